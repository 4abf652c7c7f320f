/* SPDX-License-Identifier: Apache-2.0 */
/* saved: see saved.h. */
#include "savepoint/saved.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/thread.h"
#include "record/row.h"
#include "state/timers.h"

enum {
	BLOCK_BYTES = 64 << 10,	   /* of a block of values, where there are few groups */
	BLOCK_BYTES_MIN = 1 << 10, /* where there are many */
	BUFFERS_BYTES = 8 << 20,   /* of all groups together */
	CHANGED_BYTES = 1 << 20,   /* of a block of numbers */
	TURN_BYTES = 16 << 10,	   /* written between two offers of the core */
};
/* What an item says, beside its value. Part of the format. */
enum { ITEM_KEY = 1, ITEM_STAMP = 2, ITEM_MAP_KEY = 4, ITEM_VERSION = 8, ITEM_ID = 16, ITEM_FLAGS = 31 };
enum { TIMER_KEY = 1, TIMER_PROCESSING = 2, TIMER_ID = 4, TIMER_FLAGS = 7 };
enum {
	ITEM_HEAD = 96, /* an item without its texts is shorter */
	PAGE_ENTRIES = 4096,
	AHEAD = 32,
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.saved");

/* ---- writing ---- */

struct group {
	struct wr_bytes bytes;
	/* of the last item, to say them once: where they end in `bytes`; 0 = none was said yet */
	size_t key_end, ns_end;
	uint32_t key_len, ns_len, id;
};

struct wr_saved_writer {
	struct wr_block_writer *w;
	enum wr_block_kind kind;
	uint32_t stage, first;
	size_t block_bytes, turn_bytes;
	struct group *groups;
	uint32_t group_count;
	struct wr_bytes shapes; /* not said yet */
	uint8_t *said;		/* by shape */
	uint32_t said_count;
};

static int flush_shapes(struct wr_saved_writer *g)
{
	int rc = wr_bytes_status(&g->shapes);

	if (rc == WR_OK && g->shapes.len)
		rc = wr_block_put(g->w, &(struct wr_block){WR_BLOCK_SHAPES, g->stage, 0, g->shapes.data,
							   (uint32_t)g->shapes.len});
	g->shapes.len = 0;
	return rc;
}

/* Shapes come before the values that have them. */
static int flush_group(struct wr_saved_writer *g, uint32_t group)
{
	struct wr_bytes *b = &g->groups[group - g->first].bytes;
	int rc = flush_shapes(g);

	if (rc == WR_OK)
		rc = wr_bytes_status(b);
	if (rc == WR_OK && b->len)
		rc = wr_block_put(g->w,
				  &(struct wr_block){g->kind, g->stage, group, b->data, (uint32_t)b->len});
	b->len = 0;
	g->groups[group - g->first].key_end = 0;
	g->groups[group - g->first].id = 0;
	return rc;
}

static int say_shape(struct wr_saved_writer *g, uint32_t shape)
{
	uint32_t there = g->said_count;

	if (shape < there && g->said[shape])
		return WR_OK;
	if (shape >= there) {
		if (WR_GROW(&mem, g->said, g->said_count, shape + 64) != WR_OK)
			return WR_EFATAL;
		memset(g->said + there, 0, g->said_count - there);
	}
	g->said[shape] = 1;
	wr_dict_put(&g->shapes, shape);
	return wr_bytes_status(&g->shapes);
}

struct whose { /* the entry that an item belongs to */
	const uint8_t *key, *ns;
	uint32_t key_len, ns_len, id;
};

/* Items are written into room that was asked for once. */
static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		*p++ = (uint8_t)(v | 128);
	*p++ = (uint8_t)v;
	return p;
}

static inline uint8_t *put_text(uint8_t *p, const uint8_t *text, uint32_t len)
{
	p = put_varint(p, len);
	if (len)
		memcpy(p, text, len);
	return p + len;
}

static bool is_said(const struct group *to, const struct whose *e)
{
	const uint8_t *said = to->bytes.data;

	return to->key_end && !to->bytes.failed && to->key_len == e->key_len && to->ns_len == e->ns_len &&
	       !memcmp(said + to->key_end - e->key_len, e->key, e->key_len) &&
	       !memcmp(said + to->ns_end - e->ns_len, e->ns, e->ns_len);
}

/* Flags, and of the entry what is not as in the item before. */
static inline uint8_t *put_entry(struct group *to, uint8_t *p, uint8_t flags, uint8_t key_bit, uint8_t id_bit,
				 struct whose e)
{
	bool same = is_said(to, &e);
	int64_t step = (int64_t)e.id - to->id;

	*p++ = flags | (same ? 0 : key_bit) | (step ? id_bit : 0);
	if (step)
		p = put_varint(p, (uint64_t)step << 1 ^ (uint64_t)(step >> 63));
	to->id = e.id;
	if (same)
		return p;
	to->key_len = e.key_len;
	to->ns_len = e.ns_len;
	p = put_text(p, e.key, e.key_len);
	to->key_end = (size_t)(p - to->bytes.data);
	p = put_text(p, e.ns, e.ns_len);
	to->ns_end = (size_t)(p - to->bytes.data);
	return p;
}

static int put_done(struct wr_saved_writer *g, uint32_t group, const uint8_t *end)
{
	struct wr_bytes *b = &g->groups[group - g->first].bytes;
	size_t len = (size_t)(end - b->data);

	g->turn_bytes += len - b->len;
	if (g->turn_bytes >= TURN_BYTES) {
		g->turn_bytes = 0;
		wr_thread_give_turn();
	}
	b->len = len;
	return b->len >= g->block_bytes ? flush_group(g, group) : WR_OK;
}

int wr_saved_put_item(const struct wr_state_item *item, void *arg)
{
	struct wr_saved_writer *g = arg;
	struct group *to = &g->groups[item->group - g->first];
	uint32_t shape = item->value->shape & WR_SVAL_SHAPE, version = item->value->shape >> WR_SVAL_VERSION;
	uint8_t flags = (item->stamp_ms ? ITEM_STAMP : 0) | (item->map_key ? ITEM_MAP_KEY : 0) |
			(version ? ITEM_VERSION : 0);
	int rc = say_shape(g, shape);
	uint8_t *p = wr_bytes_room(&to->bytes, (size_t)ITEM_HEAD + item->key_len + item->ns_len +
						   item->map_key_len + item->value->len);

	if (rc != WR_OK || !p)
		return rc == WR_OK ? wr_bytes_status(&to->bytes) : rc;
	p = put_entry(to, p, flags, ITEM_KEY, ITEM_ID,
		      (struct whose){item->key, item->ns, item->key_len, item->ns_len, item->id});
	p = put_varint(p, item->state);
	if (item->stamp_ms) {
		memcpy(p, &item->stamp_ms, 8);
		p += 8;
	}
	if (item->map_key)
		p = put_text(p, item->map_key, item->map_key_len);
	if (version)
		*p++ = (uint8_t)version;
	p = put_varint(p, shape);
	return put_done(g, item->group, put_text(p, item->value->body, item->value->len));
}

int wr_saved_put_timer(const struct wr_timer_item *item, void *arg)
{
	struct wr_saved_writer *g = arg;
	struct group *to = &g->groups[item->group - g->first];
	uint8_t flags = item->kind == WR_TIMER_PROCESSING ? TIMER_PROCESSING : 0;
	uint8_t *p = wr_bytes_room(&to->bytes, (size_t)ITEM_HEAD + item->key_len + item->ns_len);

	if (!p)
		return wr_bytes_status(&to->bytes);
	p = put_entry(to, p, flags, TIMER_KEY, TIMER_ID,
		      (struct whose){item->key, item->ns, item->key_len, item->ns_len, item->id});
	memcpy(p, &item->time_ms, 8);
	return put_done(g, item->group, p + 8);
}

static int flush_all(struct wr_saved_writer *g)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < g->group_count && rc == WR_OK; i++)
		rc = flush_group(g, g->first + i);
	return rc;
}

int wr_saved_end_values(struct wr_saved_writer *g)
{
	int rc = flush_all(g);

	g->kind = WR_BLOCK_TIMERS;
	return rc;
}

int wr_saved_end_timers(struct wr_saved_writer *g)
{
	return flush_all(g);
}

struct wr_saved_writer *wr_saved_writer_new(struct wr_block_writer *w, uint32_t stage, uint32_t first,
					    uint32_t last)
{
	struct wr_saved_writer *g = wr_zalloc(&mem, sizeof *g);
	uint32_t groups = last - first + 1;

	if (!g)
		return NULL;
	g->w = w;
	g->kind = WR_BLOCK_VALUES;
	g->stage = stage;
	g->first = first;
	g->group_count = groups;
	g->block_bytes = BUFFERS_BYTES / groups;
	g->block_bytes = g->block_bytes > BLOCK_BYTES	    ? BLOCK_BYTES
			 : g->block_bytes < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN
							    : g->block_bytes;
	g->groups = wr_zalloc(&mem, groups * sizeof *g->groups);
	if (g->groups)
		return g;
	wr_free(&mem, g);
	return NULL;
}

void wr_saved_writer_free(struct wr_saved_writer *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->group_count; i++)
		wr_bytes_deinit(&g->groups[i].bytes);
	wr_free(&mem, g->groups);
	wr_bytes_deinit(&g->shapes);
	wr_free(&mem, g->said);
	wr_free(&mem, g);
}

int wr_saved_put_store(struct wr_block_writer *w, uint32_t stage, struct wr_frozen *f, uint32_t first,
		       uint32_t last)
{
	struct wr_saved_writer *g = wr_saved_writer_new(w, stage, first, last);
	int rc = g ? wr_frozen_each(f, WR_ALL_GROUPS, wr_saved_put_item, g) : WR_EFATAL;

	if (rc == WR_OK)
		rc = wr_saved_end_values(g);
	if (rc == WR_OK)
		rc = wr_frozen_timers(f, WR_ALL_GROUPS, wr_saved_put_timer, g);
	if (rc == WR_OK)
		rc = wr_saved_end_timers(g);
	wr_saved_writer_free(g);
	return rc;
}

/* Numbers as the steps between them, in blocks that stand each for itself. */
static int put_changed(struct wr_block_writer *w, uint32_t stage, const uint32_t *ids, uint32_t count)
{
	struct wr_bytes steps = WR_BYTES_EMPTY;
	uint32_t last = 0;
	int rc = WR_OK;

	for (uint32_t i = 0; i <= count && rc == WR_OK; i++) {
		if (i == count || steps.len >= CHANGED_BYTES) {
			rc = wr_bytes_status(&steps);
			if (rc == WR_OK)
				rc = wr_block_put(w, &(struct wr_block){WR_BLOCK_CHANGED, stage, 0,
									steps.data, (uint32_t)steps.len});
			steps.len = 0;
			last = 0;
		}
		if (i < count) {
			wr_bytes_put_varint(&steps, ids[i] - last);
			last = ids[i];
		}
	}
	wr_bytes_deinit(&steps);
	return rc;
}

int wr_saved_put_changes(struct wr_block_writer *w, uint32_t stage, struct wr_frozen *f, uint32_t since,
			 uint32_t first, uint32_t last, const uint32_t *ids, uint32_t count)
{
	struct wr_saved_writer *g = wr_saved_writer_new(w, stage, first, last);
	int rc = g ? wr_frozen_each_of(f, since, ids, count, wr_saved_put_item, g) : WR_EFATAL;

	if (rc == WR_OK)
		rc = wr_saved_end_values(g);
	if (rc == WR_OK)
		rc = wr_frozen_timers_of(f, since, ids, count, wr_saved_put_timer, g);
	if (rc == WR_OK)
		rc = wr_saved_end_timers(g);
	wr_saved_writer_free(g);
	return rc == WR_OK ? put_changed(w, stage, ids, count) : rc;
}

/* ---- reading ---- */

static int malformed(const char *what)
{
	return wr_error_set(WR_EUSER, "a block of %s is malformed", what);
}

int wr_saved_shapes(const struct wr_block *block, struct wr_dict *dict)
{
	struct wr_reader r = wr_reader_of(block->payload, block->len);
	int rc = WR_OK;

	while (r.p < r.end && rc == WR_OK)
		rc = wr_dict_read(dict, &r);
	return rc;
}

/* ---- what is out of date ---- */

void wr_saved_newer_deinit(struct wr_saved_newer *n)
{
	for (uint32_t i = 0; i < n->page_count; i++)
		wr_free(&mem, n->pages[i]);
	wr_free(&mem, n->pages);
	*n = (struct wr_saved_newer){0};
}

static uint8_t *newer_page(struct wr_saved_newer *n, uint32_t number)
{
	uint32_t there = n->page_count;

	if (number >= there) {
		if (WR_GROW(&mem, n->pages, n->page_count, number + 16) != WR_OK)
			return NULL;
		memset(n->pages + there, 0, (n->page_count - there) * sizeof *n->pages);
	}
	if (!n->pages[number])
		n->pages[number] = wr_zalloc(&mem, PAGE_ENTRIES);
	return n->pages[number];
}

int wr_saved_newer_add(struct wr_saved_newer *n, uint32_t blob, const struct wr_block *block)
{
	struct wr_reader r = wr_reader_of(block->payload, block->len);
	uint64_t id = 0;

	WR_ASSERT(blob < WR_SAVED_BLOBS_MAX);
	if (n->whole_at == blob)
		n->whole_at = blob + 1;
	while (r.p < r.end) {
		uint8_t *page;

		id += wr_read_varint(&r);
		if (r.bad || id > UINT32_MAX)
			return malformed("numbers of entries");
		page = newer_page(n, (uint32_t)id / PAGE_ENTRIES);
		if (!page)
			return WR_EFATAL;
		if (!page[id % PAGE_ENTRIES])
			page[id % PAGE_ENTRIES] = (uint8_t)(blob + 1);
	}
	return WR_OK;
}

bool wr_saved_is_old(const struct wr_saved_newer *n, uint32_t blob, uint32_t id)
{
	uint32_t page = id / PAGE_ENTRIES;
	uint8_t newest = page < n->page_count && n->pages[page] ? n->pages[page][id % PAGE_ENTRIES] : 0;

	return blob > n->whole_at || (newest && newest <= blob);
}

/* ---- items ---- */

static void read_id(struct wr_reader *r, uint32_t *id)
{
	uint64_t step = wr_read_varint(r);

	*id += (uint32_t)(step >> 1 ^ -(step & 1));
}

static const uint8_t *read_short(struct wr_reader *r, uint32_t *len)
{
	size_t n;
	const char *p = wr_read_str(r, &n);

	r->bad |= n > UINT32_MAX / 2;
	*len = r->bad ? 0 : (uint32_t)n;
	return (const uint8_t *)p;
}

/* The value's body, 8-aligned behind its head in `room`. */
static int read_value(struct wr_reader *r, const struct wr_dict *dict, bool versioned, struct wr_bytes *room,
		      struct wr_state_item *item)
{
	uint32_t version = versioned ? wr_read_u8(r) : 0;
	uint64_t there = wr_read_varint(r);
	uint32_t len, shape = there <= UINT32_MAX ? wr_dict_local(dict, (uint32_t)there) : 0;
	const uint8_t *body = read_short(r, &len);
	struct wr_sval *v;

	if (r->bad || !shape || len % 8 || (versioned && !version))
		return malformed("values");
	room->len = 0;
	v = (struct wr_sval *)wr_bytes_room(room, sizeof *v + len);
	if (!v)
		return wr_bytes_status(room);
	v->len = len;
	v->shape = shape | version << WR_SVAL_VERSION;
	if (len)
		memcpy(v->body, body, len);
	item->value = v;
	return wr_row_verify(wr_shape(shape), v->body, len);
}

static int read_item(struct wr_reader *r, const struct wr_dict *dict, struct wr_bytes *room,
		     struct wr_state_item *item)
{
	uint8_t flags = wr_read_u8(r);
	uint64_t state;

	if (flags & ~ITEM_FLAGS || (!item->key && !(flags & ITEM_KEY)))
		return malformed("values");
	if (flags & ITEM_ID)
		read_id(r, &item->id);
	if (flags & ITEM_KEY) {
		item->key = read_short(r, &item->key_len);
		item->ns = read_short(r, &item->ns_len);
	}
	state = wr_read_varint(r);
	r->bad |= state > UINT32_MAX;
	item->state = (uint32_t)state;
	item->stamp_ms = flags & ITEM_STAMP ? (int64_t)wr_read_u64(r) : 0;
	item->map_key = NULL;
	item->map_key_len = 0;
	if (flags & ITEM_MAP_KEY)
		item->map_key = read_short(r, &item->map_key_len);
	return read_value(r, dict, flags & ITEM_VERSION, room, item);
}

int wr_saved_each(const struct wr_block *block, const struct wr_dict *dict, struct wr_bytes *room,
		  int (*each)(void *arg, const struct wr_state_item *item), void *arg)
{
	struct wr_reader r = wr_reader_of(block->payload, block->len);
	struct wr_state_item item = {.group = block->group};
	int rc = WR_OK;

	while (r.p < r.end && rc == WR_OK) {
		rc = read_item(&r, dict, room, &item);
		if (rc == WR_OK)
			rc = each(arg, &item);
	}
	return rc;
}

/* The bytes say of which key group a key is; the key itself knows better. */
static bool is_of_group(const struct wr_saved_target *to, uint32_t group, uint64_t hash)
{
	return wr_key_group(hash, to->max_parallelism) == group;
}

static int load_item(void *arg, const struct wr_state_item *there)
{
	const struct wr_saved_target *to = arg;
	struct wr_state_item item = *there;

	if (item.state >= to->state_count ||
	    !is_of_group(to, item.group, wr_key_hash(item.key, item.key_len)))
		return malformed("values");
	if (to->states[item.state] < 0)
		return WR_OK;
	item.state = (uint32_t)to->states[item.state];
	return wr_store_load(to->store, &item);
}

int wr_saved_each_timer(const struct wr_block *block,
			int (*each)(void *arg, const struct wr_timer_item *item), void *arg)
{
	struct wr_reader r = wr_reader_of(block->payload, block->len);
	struct wr_timer_item item = {.group = block->group};
	int rc = WR_OK;

	while (r.p < r.end && rc == WR_OK) {
		uint8_t flags = wr_read_u8(&r);

		if (flags & ~TIMER_FLAGS || (!item.key && !(flags & TIMER_KEY)))
			return malformed("timers");
		if (flags & TIMER_ID)
			read_id(&r, &item.id);
		if (flags & TIMER_KEY) {
			item.key = read_short(&r, &item.key_len);
			item.ns = read_short(&r, &item.ns_len);
		}
		item.kind = flags & TIMER_PROCESSING ? WR_TIMER_PROCESSING : WR_TIMER_EVENT;
		item.time_ms = (int64_t)wr_read_u64(&r);
		rc = r.bad ? malformed("timers") : each(arg, &item);
	}
	return rc;
}

static int load_timer(void *arg, const struct wr_timer_item *item)
{
	const struct wr_saved_target *to = arg;
	uint64_t hash = wr_key_hash(item->key, item->key_len);
	int rc;

	if (!is_of_group(to, item->group, hash))
		return malformed("timers");
	if (to->newer && wr_saved_is_old(to->newer, to->blob, item->id))
		return WR_OK;
	rc = wr_store_set_key(to->store, item->key, item->key_len, hash);
	if (rc == WR_OK)
		rc = wr_store_set_namespace(to->store, item->ns, item->ns_len);
	return rc == WR_OK ? wr_timer_add(to->store, item->kind, item->time_ms) : rc;
}

struct ahead { /* values that are read before they are loaded, so that the store can fetch their places */
	const struct wr_saved_target *to;
	uint32_t count;
	struct wr_state_item items[AHEAD];
	struct wr_short_key keys[AHEAD]; /* their hashes; where there is a namespace the place is elsewhere */
	struct wr_bytes rooms[AHEAD];
};

static int load_ahead(struct ahead *a)
{
	int rc = WR_OK;

	wr_store_prefetch(a->to->store, a->keys, a->count);
	for (uint32_t i = 0; i < a->count && rc == WR_OK; i++)
		rc = load_item((void *)(uintptr_t)a->to, &a->items[i]);
	a->count = 0;
	return rc;
}

static int load_values(const struct wr_block *block, const struct wr_dict *dict,
		       const struct wr_saved_target *to)
{
	struct wr_reader r = wr_reader_of(block->payload, block->len);
	struct wr_state_item item = {.group = block->group};
	struct ahead a = {.to = to, .count = 0};
	int rc = WR_OK;

	while (r.p < r.end && rc == WR_OK) {
		rc = read_item(&r, dict, &a.rooms[a.count], &item);
		if (rc != WR_OK)
			break;
		if (to->newer && wr_saved_is_old(to->newer, to->blob, item.id))
			continue;
		a.items[a.count] = item;
		a.keys[a.count++].hash = wr_key_hash(item.key, item.key_len);
		if (a.count == AHEAD)
			rc = load_ahead(&a);
	}
	if (rc == WR_OK)
		rc = load_ahead(&a);
	for (uint32_t i = 0; i < AHEAD; i++)
		wr_bytes_deinit(&a.rooms[i]);
	return rc;
}

int wr_saved_load(const struct wr_block *block, const struct wr_dict *dict, const struct wr_saved_target *to)
{
	WR_ASSERT(block->group >= to->group_first && block->group <= to->group_last);
	if (block->kind == WR_BLOCK_TIMERS)
		return wr_saved_each_timer(block, load_timer, (void *)(uintptr_t)to);
	return load_values(block, dict, to);
}
