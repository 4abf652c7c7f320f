/* SPDX-License-Identifier: Apache-2.0 */
/* lists: elements one behind another in a block: stamp, then a value padded to 8. */
#include "base/assert.h"
#include "base/error.h"
#include "state/store_priv.h"

static uint32_t element_len(const struct wr_sval *v)
{
	return 8 + (uint32_t)sizeof *v + v->len;
}

uint8_t *wr_list_add(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len)
{
	uint32_t id = wr_entry_current(s, true), need = 8 + (uint32_t)sizeof(struct wr_sval) + len;
	struct entry *e = id ? wr_entry_own(s, id) : NULL;
	struct wr_sval *v;
	struct block *b;
	struct cell *c;

	if (!e)
		return NULL;
	c = &e->cells[state];
	b = c->kind == CELL_LIST ? c->block : NULL;
	if (!b || wr_shared(s, b->epoch) || b->cap - b->used < need) {
		uint64_t cap = b ? (uint64_t)b->cap * (b->cap - b->used < need ? 2 : 1) : 128;
		struct block *more;

		while (cap < (b ? b->used : 0) + (uint64_t)need)
			cap *= 2;
		if (cap > UINT32_MAX) {
			wr_error_set(WR_EUSER, "a list state of more than 4 GB");
			return NULL;
		}
		more = wr_block_new(s, (uint32_t)cap);
		if (!more)
			return NULL;
		if (b) {
			memcpy(more->data, b->data, b->used);
			more->used = b->used;
			wr_block_drop(s, b);
		}
		c->kind = CELL_LIST;
		c->block = b = more;
	}
	memcpy(b->data + b->used, &s->now_ms, 8);
	v = (struct wr_sval *)(b->data + b->used + 8);
	v->len = len;
	v->shape = shape;
	b->used += need;
	c->count++;
	return v->body;
}

const struct wr_sval *wr_list_next(struct wr_store *s, uint32_t state, uint64_t *cursor)
{
	uint32_t id = wr_entry_current(s, false);
	const struct cell *c;

	if (!id)
		return NULL;
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

uint32_t wr_list_count(struct wr_store *s, uint32_t state)
{
	uint32_t id = wr_entry_current(s, false), n = 0;
	uint64_t cursor = 0;

	if (!id)
		return 0;
	if (!s->states[state].ttl_ms)
		return entry_at(s, id)->cells[state].count;
	while (wr_list_next(s, state, &cursor))
		n++;
	return n;
}
