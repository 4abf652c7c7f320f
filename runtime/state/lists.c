/* SPDX-License-Identifier: Apache-2.0 */
/* lists: elements one behind another in a block: stamp, then a value padded to 8. Expired ones are skipped,
 * and left out whenever the list moves to another block or the background cleanup comes by. */
#include "base/assert.h"
#include "base/error.h"
#include "state/memory.h"

static uint32_t element_len(const struct wr_sval *v)
{
	return 8 + (uint32_t)sizeof *v + v->len;
}

/* Bytes of the elements that have not expired, and how many they are. */
static uint32_t live_bytes(const struct memory *s, uint32_t state, const struct block *b, uint32_t *count)
{
	uint32_t bytes = 0;

	*count = 0;
	for (uint32_t at = 0, len; at < b->used; at += len) {
		int64_t stamp;

		len = element_len((const struct wr_sval *)(b->data + at + 8));
		memcpy(&stamp, b->data + at, 8);
		if (wr_expired(s, state, stamp))
			continue;
		bytes += len;
		++*count;
	}
	return bytes;
}

/* Copies what has not expired; `to` may be `from`. */
static void copy_live(const struct memory *s, uint32_t state, struct block *to, const struct block *from)
{
	uint32_t used = 0, until = from->used;

	for (uint32_t at = 0, len; at < until; at += len) {
		int64_t stamp;

		len = element_len((const struct wr_sval *)(from->data + at + 8));
		memcpy(&stamp, from->data + at, 8);
		if (wr_expired(s, state, stamp))
			continue;
		memmove(to->data + used, from->data + at, len);
		used += len;
	}
	to->used = used;
}

/* Gives the list a block of its own with what has not expired and room for `need` bytes. */
static int list_renew(struct memory *s, uint32_t state, struct cell *c, uint32_t need)
{
	struct block *b = c->kind == CELL_LIST ? c->block : NULL, *more;
	uint64_t cap = 128, live = 0;
	uint32_t count = 0;

	if (b)
		live = live_bytes(s, state, b, &count);
	while (cap < live + need || (need && cap < live + live / 2))
		cap *= 2;
	if (cap > UINT32_MAX)
		return wr_error_set(WR_EUSER, "a list state of more than 2 GB");
	more = wr_block_new(s, (uint32_t)cap);
	if (!more)
		return WR_EFATAL;
	if (b)
		copy_live(s, state, more, b);
	wr_block_drop(s, b);
	c->kind = CELL_LIST;
	c->block = more;
	c->count = count;
	return WR_OK;
}

uint8_t *wr_memory_list_add(struct wr_store *store, uint32_t state, uint32_t shape, uint32_t len)
{
	struct memory *s = memory_of(store);
	uint32_t id = wr_entry_current(s, true), need = 8 + (uint32_t)sizeof(struct wr_sval) + len;
	struct entry *e = id ? wr_entry_own(s, id) : NULL;
	struct wr_sval *v;
	struct block *b;
	struct cell *c;

	if (!e)
		return NULL;
	c = &e->cells[state];
	if (c->kind != CELL_LIST || wr_shared(s, c->block->epoch) || c->block->cap - c->block->used < need)
		if (list_renew(s, state, c, need) != WR_OK)
			return NULL;
	b = c->block;
	memcpy(b->data + b->used, &s->now_ms, 8);
	v = (struct wr_sval *)(b->data + b->used + 8);
	v->len = len;
	v->shape = shape;
	b->used += need;
	c->count++;
	return v->body;
}

int wr_list_expire(struct memory *s, uint32_t id, uint32_t state)
{
	struct cell *c = &entry_at(s, id)->cells[state];
	uint32_t count, live = live_bytes(s, state, c->block, &count);
	struct entry *e;

	if (count == c->count)
		return WR_OK;
	e = wr_entry_own(s, id);
	if (!e)
		return WR_EFATAL;
	c = &e->cells[state];
	if (!count) {
		wr_cell_clear(s, c);
	} else if (wr_shared(s, c->block->epoch) || live < c->block->cap / 4) {
		return list_renew(s, state, c, 0);
	} else {
		copy_live(s, state, c->block, c->block);
		c->count = count;
	}
	return WR_OK;
}

/* Is there an element whose stamp a read moves to now? */
static bool stale(const struct memory *s, uint32_t state, const struct block *b)
{
	for (uint32_t at = 0; at < b->used; at += element_len((const struct wr_sval *)(b->data + at + 8))) {
		int64_t stamp;

		memcpy(&stamp, b->data + at, 8);
		if (stamp != s->now_ms && !wr_expired(s, state, stamp))
			return true;
	}
	return false;
}

/* S8: a read of the list keeps what has not expired alive. */
static void list_touch(struct memory *s, uint32_t id, uint32_t state)
{
	struct cell *c = &entry_at(s, id)->cells[state];
	struct entry *e;

	if (c->kind != CELL_LIST || !stale(s, state, c->block))
		return;
	e = wr_entry_own(s, id);
	if (!e)
		return;
	c = &e->cells[state];
	if (wr_shared(s, c->block->epoch) && list_renew(s, state, c, 0) != WR_OK)
		return;
	for (uint32_t at = 0; at < c->block->used;) {
		int64_t stamp;

		memcpy(&stamp, c->block->data + at, 8);
		if (!wr_expired(s, state, stamp))
			memcpy(c->block->data + at, &s->now_ms, 8);
		at += element_len((const struct wr_sval *)(c->block->data + at + 8));
	}
}

const struct wr_sval *wr_memory_list_next(struct wr_store *store, uint32_t state, uint64_t *cursor)
{
	struct memory *s = memory_of(store);
	uint32_t id = wr_entry_current(s, false);
	const struct cell *c;

	if (!id)
		return NULL;
	if (WR_UNLIKELY(*cursor == 0 && s->states[state].ttl_ms) &&
	    s->states[state].ttl_update == WR_TTL_ON_READ_AND_WRITE)
		list_touch(s, id, state);
	c = &entry_at(s, id)->cells[state];
	while (c->kind == CELL_LIST && *cursor < c->block->used) {
		uint8_t *at = c->block->data + *cursor;
		const struct wr_sval *v = (const struct wr_sval *)(at + 8);
		int64_t stamp;

		memcpy(&stamp, at, 8);
		*cursor += element_len(v);
		if (!wr_expired(s, state, stamp))
			return v;
	}
	return NULL;
}

uint32_t wr_memory_list_count(struct wr_store *store, uint32_t state)
{
	struct memory *s = memory_of(store);
	uint32_t id = wr_entry_current(s, false), n;
	const struct cell *c;

	if (!id)
		return 0;
	c = &entry_at(s, id)->cells[state];
	if (c->kind != CELL_LIST || !s->states[state].ttl_ms)
		return c->count;
	live_bytes(s, state, c->block, &n);
	return n;
}
