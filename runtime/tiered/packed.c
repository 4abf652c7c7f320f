/* SPDX-License-Identifier: Apache-2.0 */
/* packed: an entry as bytes on the disk, and its address as a key there. The bytes are scratch of this
 * process.
 *
 *   key    group (2 bytes, big-endian), length of the key, key, namespace
 *   entry  time of expiry, 8 bytes: stores with a time to live; else epoch of the last change, 4 bytes
 *          flags [marks of walks] number cells, 0 [timers]
 *   cell   1 + state * 4 + form; then a value with its stamp or without (it is 0), or the count and the bytes
 *          of a list as they lie in memory, or the count of a map and each user key with stamp and value
 *   value  length / 8, shape, body
 *   timers of each kind their count and times
 *
 * Numbers are varints unless their size is told.
 */
#include "base/error.h"
#include "tiered/tiered.h"

enum { FORM_VALUE, FORM_LIST, FORM_MAP, FORM_TIMELESS, FORMS };
enum { HAS_MARKS = 1 };
enum { SHORT_LEN = 255 };

static int malformed(void)
{
	return wr_error_set(WR_EBUG, "an entry of state came back from the disk malformed");
}

/* ---- keys ---- */

void wr_packed_put_key(struct wr_bytes *to, uint32_t group, const uint8_t *key, uint32_t key_len,
		       const uint8_t *ns, uint32_t ns_len)
{
	wr_bytes_put_u8(to, (uint8_t)(group >> 8));
	wr_bytes_put_u8(to, (uint8_t)group);
	wr_bytes_put_u8(to, key_len < SHORT_LEN ? (uint8_t)key_len : SHORT_LEN);
	if (key_len >= SHORT_LEN)
		wr_bytes_put_u32(to, key_len);
	wr_bytes_put(to, key, key_len);
	wr_bytes_put(to, ns, ns_len);
}

int wr_packed_read_key(struct wr_disk_bytes from, struct packed_key *to)
{
	struct wr_reader r = wr_reader_of(from.p, from.len);

	to->group = (uint32_t)wr_read_u8(&r) << 8;
	to->group |= wr_read_u8(&r);
	to->key_len = wr_read_u8(&r);
	if (to->key_len == SHORT_LEN)
		to->key_len = wr_read_u32(&r);
	to->key = wr_read_bytes(&r, to->key_len);
	to->ns_len = (uint32_t)(r.end - r.p);
	to->ns = r.p;
	return r.bad ? malformed() : WR_OK;
}

void wr_packed_put_time(struct wr_bytes *to, uint32_t kind, int64_t time_ms)
{
	uint64_t ordered = __builtin_bswap64((uint64_t)time_ms ^ UINT64_C(1) << 63);

	wr_bytes_put_u8(to, (uint8_t)kind);
	wr_bytes_put(to, &ordered, sizeof ordered);
}

int wr_packed_read_time(struct wr_disk_bytes from, uint32_t *kind, int64_t *time_ms)
{
	uint64_t ordered;

	if (from.len < PACKED_TIME)
		return wr_error_set(WR_EBUG, "a timer came back from the disk malformed");
	memcpy(&ordered, from.p + 1, sizeof ordered);
	*kind = from.p[0];
	*time_ms = (int64_t)(__builtin_bswap64(ordered) ^ UINT64_C(1) << 63);
	return WR_OK;
}

/* ---- writing ---- */

static void put_stamp(const struct packing *p, const struct cell *c, struct wr_bytes *to)
{
	int64_t ago = c->stamp_ms - p->base_ms;

	wr_bytes_put_varint(to, (uint64_t)ago << 1 ^ (uint64_t)(ago >> 63));
}

static void put_value(const struct cell *c, struct wr_bytes *to)
{
	const struct wr_sval *v = wr_cell_value(c);

	wr_bytes_put_varint(to, v->len / 8);
	wr_bytes_put_varint(to, v->shape);
	wr_bytes_put(to, v->body, v->len);
}

static void put_map(const struct packing *p, const struct memory *s, const struct cell *c,
		    struct wr_bytes *to)
{
	wr_bytes_put_varint(to, c->count);
	for (uint32_t id = c->map.first; id; id = entry_at(s, id)->next) {
		const struct entry *e = entry_at(s, id);

		wr_bytes_put_str(to, (const char *)entry_key(e), e->key_len);
		put_stamp(p, &e->cells[0], to);
		put_value(&e->cells[0], to);
	}
}

static uint32_t form_of(const struct cell *c)
{
	if (c->kind == CELL_LIST)
		return FORM_LIST;
	if (c->kind == CELL_MAP)
		return FORM_MAP;
	return c->stamp_ms ? FORM_VALUE : FORM_TIMELESS;
}

static void put_cell(const struct packing *p, const struct memory *s, uint32_t state, const struct cell *c,
		     struct wr_bytes *to)
{
	uint32_t form = form_of(c);

	if (c->kind == CELL_EMPTY)
		return;
	wr_bytes_put_varint(to, 1 + (uint64_t)state * FORMS + form);
	switch (form) {
	case FORM_LIST:
		wr_bytes_put_varint(to, c->count);
		wr_bytes_put_str(to, (const char *)c->block->data, c->block->used);
		break;
	case FORM_MAP:
		put_map(p, s, c, to);
		break;
	case FORM_VALUE:
		put_stamp(p, c, to);
		put_value(c, to);
		break;
	default:
		put_value(c, to);
	}
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t end_of(int64_t stamp_ms, int64_t ttl_ms)
{
	return stamp_ms > INT64_MAX - ttl_ms ? INT64_MAX : stamp_ms + ttl_ms;
}

static int64_t list_end(const struct block *b, int64_t ttl_ms)
{
	int64_t end = INT64_MIN, stamp;

	for (uint32_t at = 0; at < b->used;) {
		const struct wr_sval *v = (const struct wr_sval *)(b->data + at + 8);

		memcpy(&stamp, b->data + at, 8);
		end = later(end, end_of(stamp, ttl_ms));
		at += 8 + (uint32_t)sizeof *v + v->len;
	}
	return end;
}

/* When nothing of the entry is left; INT64_MAX: never. */
static int64_t entry_end(const struct memory *s, const struct entry *e)
{
	int64_t end = INT64_MIN;

	if (e->timers[0] || e->timers[1])
		return INT64_MAX;
	for (uint32_t i = 0; i < s->state_count; i++) {
		const struct cell *c = &e->cells[i];
		int64_t ttl = s->states[i].ttl_ms;

		if (c->kind == CELL_EMPTY)
			continue;
		if (!ttl)
			return INT64_MAX;
		if (c->kind == CELL_LIST)
			end = later(end, list_end(c->block, ttl));
		else if (c->kind != CELL_MAP)
			end = later(end, end_of(c->stamp_ms, ttl));
		for (uint32_t id = c->kind == CELL_MAP ? c->map.first : NONE; id; id = entry_at(s, id)->next)
			end = later(end, end_of(entry_at(s, id)->cells[0].stamp_ms, ttl));
	}
	return end;
}

void wr_packed_put_entry(const struct packing *p, const struct memory *s, uint32_t id, struct wr_bytes *to)
{
	const struct entry *e = entry_at(s, id);
	const uint8_t *met = s->marks[id].met;
	bool marks = met[0] || met[1];

	if (p->expires)
		wr_bytes_put_u64(to, (uint64_t)entry_end(s, e));
	else
		wr_bytes_put_u32(to, e->changed);
	wr_bytes_put_u8(to, marks ? HAS_MARKS : 0);
	if (marks)
		wr_bytes_put(to, met, WALKS);
	wr_bytes_put_varint(to, *number_at(s, id));
	for (uint32_t i = 0; i < s->state_count; i++)
		put_cell(p, s, i, &e->cells[i], to);
	wr_bytes_put_u8(to, 0);
	if (!e->timers[0] && !e->timers[1])
		return;
	for (uint32_t kind = 0; kind < 2; kind++) {
		wr_bytes_put_varint(to, e->timers[kind]);
		for (uint32_t i = 0; i < e->timers[kind]; i++)
			wr_bytes_put_u64(to, (uint64_t)timer_at(e, kind, i));
	}
}

/* ---- reading ---- */

static struct packed_head read_head(const struct packing *p, struct wr_reader *r)
{
	struct packed_head head = {0};
	const uint8_t *marks;

	if (p->expires)
		wr_read_u64(r);
	else
		wr_read_u32(r);
	marks = wr_read_u8(r) == HAS_MARKS ? wr_read_bytes(r, WALKS) : NULL;
	if (marks)
		memcpy(head.met, marks, WALKS);
	head.number = (uint32_t)wr_read_varint(r);
	return head;
}

struct packed_head wr_packed_head(const struct packing *p, struct wr_disk_bytes from)
{
	struct wr_reader r = wr_reader_of(from.p, from.len);

	return read_head(p, &r);
}

static int64_t read_stamp(const struct packing *p, struct wr_reader *r)
{
	uint64_t ago = wr_read_varint(r);

	return p->base_ms + (int64_t)(ago >> 1 ^ -(ago & 1));
}

/* The value, aligned in `room`. */
static const struct wr_sval *read_value(struct wr_reader *r, struct wr_bytes *room)
{
	uint64_t words = wr_read_varint(r), shape = wr_read_varint(r);
	const uint8_t *body = wr_read_bytes(r, words * 8);
	struct wr_sval *v;

	room->len = 0;
	v = body ? (struct wr_sval *)wr_bytes_room(room, sizeof *v + words * 8) : NULL;
	if (!v)
		return NULL;
	v->len = (uint32_t)words * 8;
	v->shape = (uint32_t)shape;
	memcpy(v->body, body, v->len);
	return v;
}

static int each_element(struct wr_reader *r, struct wr_bytes *room, struct wr_state_item *item,
			int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	uint64_t count = wr_read_varint(r);
	size_t len;
	const char *elements = wr_read_str(r, &len);
	int rc = WR_OK;

	room->len = 0;
	if (!elements || !wr_bytes_room(room, len))
		return elements ? WR_EFATAL : malformed();
	memcpy(room->data, elements, len);
	for (size_t at = 0; rc == WR_OK && item->position < count; item->position++) {
		item->value = (const struct wr_sval *)(room->data + at + 8);
		memcpy(&item->stamp_ms, room->data + at, 8);
		rc = each(item, arg);
		at += 8 + sizeof *item->value + item->value->len;
	}
	item->position = 0;
	return rc;
}

static int each_value(struct wr_reader *r, struct wr_bytes *room, struct wr_state_item *item,
		      int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	item->value = read_value(r, room);
	if (item->value)
		return each(item, arg);
	return r->bad ? malformed() : WR_EFATAL;
}

static int each_user_key(const struct packing *p, struct wr_reader *r, struct wr_bytes *room,
			 struct wr_state_item *item, int (*each)(const struct wr_state_item *item, void *arg),
			 void *arg)
{
	uint64_t count = wr_read_varint(r);
	int rc = WR_OK;

	for (uint64_t i = 0; i < count && rc == WR_OK; i++) {
		size_t len;

		item->map_key = (const uint8_t *)wr_read_str(r, &len);
		item->map_key_len = (uint32_t)len;
		item->stamp_ms = read_stamp(p, r);
		rc = r->bad ? malformed() : each_value(r, room, item, each, arg);
	}
	item->map_key = NULL;
	item->map_key_len = 0;
	return rc;
}

static int each_cell(const struct packing *p, struct wr_reader *r, struct wr_bytes *room,
		     struct wr_state_item *item, int (*each)(const struct wr_state_item *item, void *arg),
		     void *arg)
{
	uint64_t tag;
	int rc = WR_OK;

	while (rc == WR_OK && (tag = wr_read_varint(r))) {
		item->state = (uint32_t)((tag - 1) / FORMS);
		if (item->state >= p->state_count)
			return malformed();
		switch ((tag - 1) % FORMS) {
		case FORM_LIST:
			rc = each_element(r, room, item, each, arg);
			break;
		case FORM_MAP:
			rc = each_user_key(p, r, room, item, each, arg);
			break;
		default:
			item->stamp_ms = (tag - 1) % FORMS == FORM_VALUE ? read_stamp(p, r) : 0;
			rc = each_value(r, room, item, each, arg);
		}
	}
	return rc == WR_OK && r->bad ? malformed() : rc;
}

int wr_packed_each(const struct packing *p, struct wr_disk_bytes from, struct wr_bytes *room,
		   struct wr_state_item *item, int (*each)(const struct wr_state_item *item, void *arg),
		   void *arg)
{
	struct wr_reader r = wr_reader_of(from.p, from.len);

	item->id = read_head(p, &r).number;
	return each_cell(p, &r, room, item, each, arg);
}

static int each_time(struct wr_reader *r, struct wr_timer_item *item,
		     int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	int rc = WR_OK;

	for (item->kind = 0; item->kind < 2 && r->p < r->end && rc == WR_OK; item->kind++) {
		uint64_t count = wr_read_varint(r);

		for (uint64_t i = 0; i < count && rc == WR_OK; i++) {
			item->time_ms = (int64_t)wr_read_u64(r);
			rc = r->bad ? malformed() : each(item, arg);
		}
	}
	return rc;
}

static int pass_over(const struct wr_state_item *item, void *arg)
{
	(void)item;
	(void)arg;
	return WR_OK;
}

int wr_packed_timers(const struct packing *p, struct wr_disk_bytes from, struct wr_bytes *room,
		     struct wr_timer_item *item, int (*each)(const struct wr_timer_item *item, void *arg),
		     void *arg)
{
	struct wr_reader r = wr_reader_of(from.p, from.len);
	struct wr_state_item before = {0};
	int rc;

	item->id = read_head(p, &r).number;
	rc = each_cell(p, &r, room, &before, pass_over, NULL);
	return rc == WR_OK ? each_time(&r, item, each, arg) : rc;
}

/* ---- into memory ---- */

/* As it was put, at the time of its stamp. */
static int load_item(const struct wr_state_item *item, void *arg)
{
	struct memory *s = arg;
	const struct wr_sval *v = item->value;
	uint8_t *to;

	s->now_ms = item->stamp_ms;
	switch (s->states[item->state].kind) {
	case WR_STATE_LIST:
		to = wr_memory_list_add(&s->base, item->state, v->shape, v->len);
		break;
	case WR_STATE_MAP:
		to = wr_memory_map_put(&s->base, item->state, item->map_key, item->map_key_len, v->shape,
				       v->len);
		break;
	default:
		to = wr_memory_put(&s->base, item->state, v->shape, v->len);
	}
	if (!to)
		return wr_error_code();
	memcpy(to, v->body, v->len);
	return WR_OK;
}

static int load_timer(const struct wr_timer_item *item, void *arg)
{
	struct memory *s = arg;

	return wr_memory_timer_add(&s->base, item->kind, item->time_ms);
}

int wr_packed_load(const struct packing *p, struct memory *s, struct wr_disk_bytes from,
		   struct wr_bytes *room)
{
	struct wr_reader r = wr_reader_of(from.p, from.len);
	struct packed_head head = read_head(p, &r);
	struct wr_state_item item = {0};
	struct wr_timer_item timer = {0};
	int64_t now_ms = s->now_ms;
	int rc = each_cell(p, &r, room, &item, load_item, s);

	memcpy(s->marks[s->current].met, head.met, WALKS);
	*number_at(s, s->current) = head.number;
	s->now_ms = now_ms;
	return rc == WR_OK ? each_time(&r, &timer, load_timer, s) : rc;
}
