/* SPDX-License-Identifier: Apache-2.0 */
/* look: see look.h. Where the blocks of a stage and key group are is written down in one pass over the
 * headers of a vertex; then a group costs what is in it, what is out of date in older blobs included. */
#include "savepoint/look.h"

#include <stdlib.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "checkpoint/history.h"
#include "savepoint/file.h"
#include "savepoint/saved.h"

struct place { /* of a block */
	uint32_t stage, group;
	uint32_t task; /* whose blob */
	uint32_t kind;
	uint32_t blob; /* of the vertex */
	uint64_t at, packed;
};
struct blob {
	struct wr_blob_view view;
	struct wr_dict dict;
	uint32_t age; /* 0: the checkpoint's own, else an older one that it goes on from */
};
struct newer { /* of a stage in a subtask */
	uint32_t stage, task;
	struct wr_saved_newer newer;
};
struct vertex {
	bool known;
	struct blob *blobs; /* those of a subtask behind each other, newest first */
	uint32_t blob_count, blob_cap;
	struct newer *newer;
	uint32_t newer_count;
	struct place *places;
	uint32_t count, cap;
};
struct wr_look {
	struct wr_arena arena; /* of the manifest */
	struct wr_manifest manifest;
	struct wr_bytes encoded; /* the manifest as a tagged value */
	struct wr_blobs *blobs;
	struct vertex *vertices;
	struct wr_block_reader reader; /* of the last block that was read */
	struct wr_arena room;	       /* of the items */
	struct wr_bytes value;
	struct wr_look_item *items;
	uint32_t count, cap;
	const uint8_t *key, *ns, *key_there, *ns_there; /* of the last item: kept once */
	uint64_t hash;
	struct wr_bytes text, row;
	struct wr_bytes bases;		    /* ids of blobs that a subtask's goes on from */
	const struct wr_saved_newer *newer; /* of the block that is read, or NULL */
	uint32_t age;			    /* of its blob */
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.look");

/* ---- where things are ---- */

static int add_place(struct vertex *v, const struct place *p)
{
	if (v->count == v->cap && WR_GROW(&mem, v->places, v->cap, 256) != WR_OK)
		return WR_EFATAL;
	v->places[v->count++] = *p;
	return WR_OK;
}

/* What is out of date of `stage` in older blobs of `task`; NULL: nothing is known, or no memory. */
static struct wr_saved_newer *find_newer(struct vertex *v, uint32_t stage, uint32_t task)
{
	for (uint32_t i = 0; i < v->newer_count; i++)
		if (v->newer[i].stage == stage && v->newer[i].task == task)
			return &v->newer[i].newer;
	return NULL;
}

static int add_changed(struct vertex *v, uint32_t task, uint32_t age, const struct wr_block *block)
{
	struct wr_saved_newer *n = find_newer(v, block->stage, task);

	if (!n) {
		struct newer *more = wr_realloc(&mem, v->newer, (v->newer_count + 1) * sizeof *more);

		if (!more)
			return WR_EFATAL;
		v->newer = more;
		more[v->newer_count] = (struct newer){.stage = block->stage, .task = task};
		n = &more[v->newer_count++].newer;
	}
	return wr_saved_newer_add(n, age, block);
}

static int take_base(void *arg, const char *id)
{
	struct wr_look *l = arg;

	wr_bytes_put(&l->bases, id, strlen(id) + 1);
	return wr_bytes_status(&l->bases);
}

/* Notes a block, or reads what must be known before others. Of an older blob only keyed state counts. */
static int scan_block(struct wr_look *l, struct vertex *v, struct wr_block_reader *r, struct wr_block *block,
		      const struct place *p)
{
	struct blob *b = &v->blobs[p->blob];
	int rc;

	if (block->kind == WR_BLOCK_VALUES || block->kind == WR_BLOCK_TIMERS)
		return add_place(v, p);
	if (block->kind != WR_BLOCK_SHAPES && block->kind != WR_BLOCK_CHANGED &&
	    block->kind != WR_BLOCK_BASES)
		return b->age ? WR_OK : add_place(v, p);
	rc = wr_block_load(r, block);
	if (rc == WR_OK && block->kind == WR_BLOCK_SHAPES)
		return wr_saved_shapes(block, &b->dict);
	if (rc == WR_OK && block->kind == WR_BLOCK_CHANGED)
		return add_changed(v, p->task, b->age, block);
	return rc == WR_OK && !b->age ? wr_history_names_of(block, take_base, l) : rc;
}

static int scan_blob(struct wr_look *l, struct vertex *v, uint32_t task, uint32_t blob)
{
	const struct wr_blob_view *view = &v->blobs[blob].view;
	struct wr_block_reader r;
	struct wr_block block;
	int rc = WR_OK;

	wr_block_reader_init(&r, view->data, view->len);
	while (rc == WR_OK) {
		struct place p = {.task = task, .blob = blob, .at = (uint64_t)(r.in.p - view->data)};

		rc = wr_block_peek(&r, &block);
		if (rc != WR_OK)
			break;
		p.stage = block.stage;
		p.group = block.group;
		p.kind = block.kind;
		p.packed = (uint64_t)(r.in.p - view->data) - p.at;
		rc = scan_block(l, v, &r, &block, &p);
	}
	wr_block_reader_deinit(&r);
	return rc == WR_END ? WR_OK : rc;
}

static int open_blob(struct wr_look *l, struct vertex *v, uint32_t task, uint32_t age, const char *id)
{
	struct blob *b;
	int rc;

	if (v->blob_count == v->blob_cap && WR_GROW(&mem, v->blobs, v->blob_cap, 16) != WR_OK)
		return WR_EFATAL;
	b = &v->blobs[v->blob_count];
	*b = (struct blob){.age = age};
	wr_dict_init(&b->dict);
	rc = l->blobs->ops->open(l->blobs, id, &b->view);
	v->blob_count += rc == WR_OK;
	if (rc == WR_END)
		rc = wr_error_set(WR_EUSER, "%s is missing", id);
	if (rc == WR_OK)
		rc = scan_blob(l, v, task, v->blob_count - 1);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "%s", id);
}

/* A subtask's blob, and then those that it goes on from. */
static int scan_task(struct wr_look *l, struct vertex *v, uint32_t task, const char *id)
{
	size_t at = 0;
	uint32_t age = 0;
	int rc;

	l->bases.len = 0;
	rc = open_blob(l, v, task, 0, id);
	for (; at < l->bases.len && rc == WR_OK; at += strlen((const char *)l->bases.data + at) + 1)
		rc = ++age < WR_SAVED_BLOBS_MAX
			 ? open_blob(l, v, task, age, (const char *)l->bases.data + at)
			 : wr_error_set(WR_EUSER, "%s goes on from too many blobs", id);
	return rc;
}

static int order_of_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->blob != y->blob)
		return x->blob < y->blob ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static int scan_vertex(struct wr_look *l, uint32_t vertex)
{
	const struct wr_manifest_vertex *m = &l->manifest.vertices[vertex];
	struct vertex *v = &l->vertices[vertex];
	int rc = WR_OK;

	if (v->known)
		return WR_OK;
	v->known = true;
	for (uint32_t i = 0; i < m->parallelism && rc == WR_OK; i++)
		if (m->tasks[i].blob)
			rc = scan_task(l, v, i, m->tasks[i].blob);
	if (v->count)
		qsort(v->places, v->count, sizeof *v->places, order_of_places);
	return rc;
}

/* The first place of (stage, group) or behind it. */
static uint32_t find_place(const struct vertex *v, uint32_t stage, uint32_t group)
{
	uint32_t low = 0, high = v->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct place *p = &v->places[mid];

		if (p->stage < stage || (p->stage == stage && p->group < group))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int load_block(struct wr_look *l, const struct vertex *v, const struct place *p,
		      struct wr_block *block)
{
	const struct wr_blob_view *view = &v->blobs[p->blob].view;

	l->reader.in = wr_reader_of(view->data + p->at, view->len - p->at);
	return wr_block_next(&l->reader, block);
}

/* ---- items of a group ---- */

static struct wr_look_item *add_item(struct wr_look *l)
{
	if (l->count == l->cap && WR_GROW(&mem, l->items, l->cap, 1024) != WR_OK)
		return NULL;
	l->items[l->count] = (struct wr_look_item){.order = l->count, .timer = -1};
	return &l->items[l->count++];
}

/* A copy that has an address of its own also where there are no bytes. */
static const uint8_t *keep(struct wr_look *l, const uint8_t *p, uint32_t len)
{
	return (const uint8_t *)wr_arena_strndup(&l->room, len ? (const char *)p : "", len);
}

static int keep_key(struct wr_look *l, struct wr_look_item *to, const uint8_t *key, uint32_t key_len,
		    const uint8_t *ns, uint32_t ns_len)
{
	if (l->key_there != key || l->ns_there != ns) {
		l->key = keep(l, key, key_len);
		l->ns = keep(l, ns, ns_len);
		l->hash = wr_key_hash(key, key_len);
		l->key_there = key;
		l->ns_there = ns;
	}
	to->key = l->key;
	to->key_len = key_len;
	to->ns = l->ns;
	to->ns_len = ns_len;
	to->hash = l->hash;
	return l->key && l->ns ? WR_OK : WR_EFATAL;
}

static int take_value(void *arg, const struct wr_state_item *item)
{
	struct wr_look *l = arg;
	struct wr_look_item *to;
	uint8_t *body;

	if (l->newer && wr_saved_is_old(l->newer, l->age, item->id))
		return WR_OK;
	to = add_item(l);
	body = to ? wr_arena_alloc(&l->room, item->value->len + 8) : NULL;
	if (!body || keep_key(l, to, item->key, item->key_len, item->ns, item->ns_len) != WR_OK)
		return WR_EFATAL;
	if (item->value->len)
		memcpy(body, item->value->body, item->value->len);
	to->body = body;
	to->body_len = item->value->len;
	to->shape = item->value->shape & WR_SVAL_SHAPE;
	to->version = (item->value->shape >> WR_SVAL_VERSION) + 1;
	to->group = item->group;
	to->state = item->state;
	to->time = item->stamp_ms;
	if (item->map_key) {
		to->map_key = keep(l, item->map_key, item->map_key_len);
		to->map_key_len = item->map_key_len;
	}
	return item->map_key && !to->map_key ? WR_EFATAL : WR_OK;
}

static int take_timer(void *arg, const struct wr_timer_item *item)
{
	struct wr_look *l = arg;
	struct wr_look_item *to;

	if (l->newer && wr_saved_is_old(l->newer, l->age, item->id))
		return WR_OK;
	to = add_item(l);
	if (!to || keep_key(l, to, item->key, item->key_len, item->ns, item->ns_len) != WR_OK)
		return WR_EFATAL;
	to->group = item->group;
	to->timer = (int32_t)item->kind;
	to->time = item->time_ms;
	return WR_OK;
}

static int compare_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	uint32_t len = a_len < b_len ? a_len : b_len;
	int order = len && a != b ? memcmp(a, b, len) : 0;

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int order_of_items(const void *a, const void *b)
{
	const struct wr_look_item *x = a, *y = b;
	int order;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	order = compare_bytes(x->key, x->key_len, y->key, y->key_len);
	if (!order)
		order = compare_bytes(x->ns, x->ns_len, y->ns, y->ns_len);
	if (order)
		return order;
	if (x->timer != y->timer)
		return x->timer < y->timer ? -1 : 1;
	if (x->timer >= 0 && x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	order = x->map_key && y->map_key
		    ? compare_bytes(x->map_key, x->map_key_len, y->map_key, y->map_key_len)
		    : 0;
	return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* An older blob has nothing of a stage of which the newest does not say what has changed. */
static int take_block(struct wr_look *l, struct vertex *v, const struct place *p)
{
	struct wr_block block;
	int rc;

	l->age = v->blobs[p->blob].age;
	l->newer = l->age ? find_newer(v, p->stage, p->task) : NULL;
	if (l->age && !l->newer)
		return WR_OK;
	rc = load_block(l, v, p, &block);
	l->key_there = l->ns_there = NULL;
	if (rc == WR_OK && p->kind == WR_BLOCK_VALUES)
		rc = wr_saved_each(&block, &v->blobs[p->blob].dict, &l->value, take_value, l);
	else if (rc == WR_OK && p->kind == WR_BLOCK_TIMERS)
		rc = wr_saved_each_timer(&block, take_timer, l);
	return rc;
}

int wr_look_group(struct wr_look *l, uint32_t vertex, uint32_t stage, uint32_t group,
		  const struct wr_look_item **items, uint32_t *count)
{
	struct vertex *v = &l->vertices[vertex];
	uint32_t task = UINT32_MAX;
	int rc;

	WR_ASSERT(vertex < l->manifest.vertex_count);
	wr_arena_reset(&l->room);
	l->count = 0;
	rc = scan_vertex(l, vertex);
	for (uint32_t i = rc == WR_OK ? find_place(v, stage, group) : v->count; i < v->count && rc == WR_OK;
	     i++) {
		const struct place *p = &v->places[i];

		if (p->stage != stage || p->group != group)
			break;
		if (p->kind != WR_BLOCK_VALUES && p->kind != WR_BLOCK_TIMERS)
			continue;
		if (stage >= WR_LOOK_BROADCAST && task != UINT32_MAX && task != p->task)
			break; /* the same in all: one is enough */
		task = p->task;
		rc = take_block(l, v, p);
	}
	if (rc == WR_OK && l->count)
		qsort(l->items, l->count, sizeof *l->items, order_of_items);
	*items = l->items;
	*count = rc == WR_OK ? l->count : 0;
	return rc;
}

uint32_t wr_look_group_of(const uint8_t *key, uint32_t len, uint32_t max_parallelism)
{
	return wr_key_group(wr_key_hash(key, len), max_parallelism);
}

/* ---- the rest ---- */

int wr_look_own(struct wr_look *l, uint32_t vertex, uint32_t kind, uint32_t stage, uint32_t subtask,
		const uint8_t **value, uint32_t *len)
{
	struct vertex *v = &l->vertices[vertex];
	struct wr_block block;
	int rc = scan_vertex(l, vertex);

	*len = 0;
	for (uint32_t i = rc == WR_OK ? find_place(v, stage, 0) : v->count;
	     i < v->count && v->places[i].stage == stage && rc == WR_OK; i++) {
		if (v->places[i].task != subtask || v->places[i].kind != kind)
			continue;
		rc = load_block(l, v, &v->places[i], &block);
		if (rc == WR_OK && kind != WR_BLOCK_NAMES) {
			struct wr_reader r = wr_reader_of(block.payload, block.len);

			rc = wr_value_verify(&r);
		}
		if (rc != WR_OK)
			break;
		*value = block.payload;
		*len = block.len;
	}
	return rc;
}

int wr_look_under_way(struct wr_look *l, uint32_t vertex, uint32_t subtask,
		      int (*each)(void *arg, const struct wr_block *block, const struct wr_dict *dict),
		      void *arg)
{
	struct vertex *v = &l->vertices[vertex];
	int rc = scan_vertex(l, vertex);

	for (uint32_t i = 0; i < v->count && v->places[i].stage == 0 && rc == WR_OK; i++) {
		const struct place *p = &v->places[i];
		struct wr_block block;

		if (p->task != subtask || p->kind != WR_BLOCK_IN_FLIGHT)
			continue;
		rc = load_block(l, v, p, &block);
		if (rc == WR_OK)
			rc = each(arg, &block, &v->blobs[p->blob].dict);
	}
	return rc;
}

struct wr_blobs *wr_look_blobs(struct wr_look *l)
{
	return l->blobs;
}

const char *wr_look_blob(const struct wr_look *l, uint32_t vertex, uint32_t subtask)
{
	return l->manifest.vertices[vertex].tasks[subtask].blob;
}

uint64_t wr_look_packed(struct wr_look *l, uint32_t vertex, uint32_t stage)
{
	struct vertex *v = &l->vertices[vertex];
	uint64_t sum = 0;

	if (scan_vertex(l, vertex) != WR_OK)
		return 0;
	for (uint32_t i = find_place(v, stage, 0); i < v->count && v->places[i].stage == stage; i++)
		sum += v->places[i].packed;
	return sum;
}

uint64_t wr_look_bytes(struct wr_look *l, uint32_t vertex, int older)
{
	const struct vertex *v = &l->vertices[vertex];
	uint64_t sum = 0;

	if (scan_vertex(l, vertex) != WR_OK)
		return 0;
	for (uint32_t i = 0; i < v->blob_count; i++)
		if ((v->blobs[i].age > 0) == (older != 0))
			sum += v->blobs[i].view.len;
	return sum;
}

static const char *text_of(struct wr_look *l, uint32_t *len)
{
	*len = l->text.failed ? 0 : (uint32_t)l->text.len;
	return (const char *)l->text.data;
}

const char *wr_look_json(struct wr_look *l, const struct wr_look_item *item, uint32_t *len)
{
	struct wr_elem *row;

	l->text.len = l->row.len = 0;
	row = (struct wr_elem *)wr_bytes_room(&l->row, sizeof *row + item->body_len);
	if (row) {
		*row = (struct wr_elem){WR_ELEM_HEADER + item->body_len, item->shape, 0};
		memcpy(row + 1, item->body, item->body_len);
		wr_row_json(row, &l->text);
	}
	return text_of(l, len);
}

const char *wr_look_key_json(struct wr_look *l, const uint8_t *key, uint32_t key_len, uint32_t *len)
{
	l->text.len = 0;
	wr_key_json(key, key_len, &l->text);
	return text_of(l, len);
}

const char *wr_look_value_json(struct wr_look *l, const uint8_t *value, uint32_t value_len, uint32_t *len)
{
	struct wr_reader r = wr_reader_of(value, value_len);

	l->text.len = 0;
	wr_value_json(&r, &l->text);
	return text_of(l, len);
}

const char *wr_look_shape_text(struct wr_look *l, uint32_t shape, uint32_t *len)
{
	l->text.len = 0;
	wr_shape_describe(shape, &l->text);
	return text_of(l, len);
}

const uint8_t *wr_look_manifest(struct wr_look *l, uint32_t *len)
{
	*len = (uint32_t)l->encoded.len;
	return l->encoded.data;
}

struct wr_look *wr_look_open(const char *path)
{
	struct wr_look *l = wr_zalloc(&mem, sizeof *l);
	int rc;

	if (!l)
		return NULL;
	wr_arena_init(&l->arena, &mem);
	wr_arena_init(&l->room, &mem);
	wr_block_reader_init(&l->reader, NULL, 0);
	l->blobs = wr_savepoint_open(path, &l->arena, &l->manifest);
	rc = l->blobs ? wr_manifest_put(&l->manifest, &l->encoded) : wr_error_code();
	if (rc == WR_OK) {
		l->vertices = wr_zalloc(&mem, (l->manifest.vertex_count + 1) * sizeof *l->vertices);
		if (l->vertices)
			return l;
	}
	wr_look_close(l);
	return NULL;
}

static void close_vertex(struct wr_look *l, uint32_t vertex)
{
	struct vertex *v = &l->vertices[vertex];

	for (uint32_t i = 0; i < v->blob_count; i++) {
		wr_dict_deinit(&v->blobs[i].dict);
		l->blobs->ops->close(l->blobs, &v->blobs[i].view);
	}
	for (uint32_t i = 0; i < v->newer_count; i++)
		wr_saved_newer_deinit(&v->newer[i].newer);
	wr_free(&mem, v->newer);
	wr_free(&mem, v->blobs);
	wr_free(&mem, v->places);
}

void wr_look_close(struct wr_look *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; l->vertices && i < l->manifest.vertex_count; i++)
		close_vertex(l, i);
	wr_free(&mem, l->vertices);
	if (l->blobs)
		l->blobs->ops->free(l->blobs);
	wr_block_reader_deinit(&l->reader);
	wr_bytes_deinit(&l->encoded);
	wr_bytes_deinit(&l->value);
	wr_bytes_deinit(&l->text);
	wr_bytes_deinit(&l->row);
	wr_bytes_deinit(&l->bases);
	wr_arena_deinit(&l->arena);
	wr_arena_deinit(&l->room);
	wr_free(&mem, l->items);
	wr_free(&mem, l);
}
