/* SPDX-License-Identifier: Apache-2.0 */
/* values: the cells of entries: small bodies inside, larger ones in blocks; expiry. */
#include "base/assert.h"
#include "base/error.h"
#include "state/memory.h"

bool wr_expired(const struct memory *s, uint32_t state, int64_t stamp_ms)
{
	int64_t ttl = s->states[state].ttl_ms;

	return ttl && stamp_ms <= INT64_MAX - ttl && stamp_ms + ttl <= s->now_ms;
}

const struct wr_sval *wr_cell_value(const struct cell *c)
{
	return c->kind == CELL_BLOCK ? (const struct wr_sval *)c->block->data
				     : (const struct wr_sval *)&c->len;
}

void wr_cell_clear(struct memory *s, struct cell *c)
{
	if (c->kind == CELL_BLOCK || c->kind == CELL_LIST)
		wr_block_drop(s, c->block);
	else if (c->kind == CELL_MAP)
		wr_map_drop(s, c);
	c->kind = CELL_EMPTY;
	c->count = 0;
}

const struct wr_sval *wr_entry_get(struct memory *s, uint32_t id, uint32_t cell, uint32_t state)
{
	struct cell *c = &entry_at(s, id)->cells[cell];
	const struct wr_state_desc *d = &s->states[state];

	if (c->kind == CELL_EMPTY)
		return NULL;
	if (WR_UNLIKELY(d->ttl_ms)) {
		if (wr_expired(s, state, c->stamp_ms))
			return NULL;
		if (d->ttl_update == WR_TTL_ON_READ_AND_WRITE && c->stamp_ms != s->now_ms) {
			struct entry *e = wr_entry_own(s, id);

			if (!e)
				return NULL;
			c = &e->cells[cell];
			c->stamp_ms = s->now_ms; /* S8 */
		}
	}
	return wr_cell_value(c);
}

uint8_t *wr_cell_put(struct memory *s, struct cell *c, uint32_t shape, uint32_t len, int32_t *fresh)
{
	struct block *b;
	struct wr_sval *v;

	if (fresh)
		*fresh = 1;
	c->stamp_ms = s->now_ms;
	if (c->kind == CELL_INSIDE && c->len == len) {
		if (fresh)
			*fresh = c->shape == shape ? 0 : WR_STATE_RESHAPED;
		c->shape = shape;
		return c->body;
	}
	if (len <= CELL_INLINE) {
		wr_cell_clear(s, c);
		c->kind = CELL_INSIDE;
		c->len = len;
		c->shape = shape;
		return c->body;
	}
	if (c->kind == CELL_BLOCK && !wr_shared(s, c->block->epoch) && c->block->cap >= len + sizeof *v &&
	    c->block->cap <= 2 * (len + sizeof *v)) {
		v = (struct wr_sval *)c->block->data;
		if (fresh && v->len == len && v->shape == shape)
			*fresh = 0;
	} else {
		b = wr_block_new(s, (len + (uint32_t)sizeof *v + 15) & ~15u);
		if (!b)
			return NULL;
		v = (struct wr_sval *)b->data;
		if (fresh && c->kind == CELL_BLOCK) {
			const struct wr_sval *old = wr_cell_value(c);

			if (old->len == len && old->shape == shape) {
				memcpy(v->body, old->body, len);
				*fresh = 0;
			}
		}
		wr_cell_clear(s, c);
		c->kind = CELL_BLOCK;
		c->block = b;
	}
	c->block->used = len;
	v->len = len;
	v->shape = shape;
	return v->body;
}

/* What most calls are about: a value of the current key that does not expire. */
static inline struct wr_sval *plain_value(const struct memory *s, uint32_t state)
{
	struct cell *c;

	if (!s->looked_up || !s->current || s->has_ttl)
		return NULL;
	c = &entry_at(s, s->current)->cells[state];
	if (c->kind == CELL_BLOCK)
		return (struct wr_sval *)c->block->data;
	return c->kind == CELL_INSIDE ? (struct wr_sval *)&c->len : NULL;
}

const struct wr_sval *wr_memory_get(struct wr_store *store, uint32_t state)
{
	struct memory *s = memory_of(store);
	const struct wr_sval *v = plain_value(s, state);
	uint32_t id;

	if (WR_LIKELY(v != NULL))
		return v;
	id = wr_entry_current(s, false);
	if (!id)
		return NULL;
	v = wr_entry_get(s, id, state, state);
	if (WR_UNLIKELY(!v && entry_at(s, id)->cells[state].kind != CELL_EMPTY)) {
		/* expired: given once more if asked for, from a copy that lives until the next write */
		struct cell *c = &entry_at(s, id)->cells[state];

		if (s->states[state].ttl_return_expired) {
			struct block *last = wr_block_new(s, wr_cell_value(c)->len + (uint32_t)sizeof *v);

			if (last) {
				memcpy(last->data, wr_cell_value(c), wr_cell_value(c)->len + sizeof *v);
				wr_block_retire(s, last);
				v = (const struct wr_sval *)last->data;
			}
		}
		wr_memory_clear(&s->base, state);
	}
	return v;
}

static uint8_t *state_put(struct memory *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh)
{
	uint32_t id = wr_entry_current(s, true);
	struct entry *e = id ? wr_entry_own(s, id) : NULL;

	if (!e)
		return NULL;
	if (WR_UNLIKELY(fresh && s->states[state].ttl_ms && e->cells[state].kind != CELL_EMPTY &&
			wr_expired(s, state, e->cells[state].stamp_ms)))
		wr_cell_clear(s, &e->cells[state]);
	return wr_cell_put(s, &e->cells[state], shape, len, fresh);
}

uint8_t *wr_memory_put(struct wr_store *store, uint32_t state, uint32_t shape, uint32_t len)
{
	struct memory *s = memory_of(store);

	return state_put(s, state, shape, len, NULL);
}

uint8_t *wr_memory_update(struct wr_store *store, uint32_t state, uint32_t shape, uint32_t len,
			  int32_t *fresh)
{
	struct memory *s = memory_of(store);

	if (WR_LIKELY(s->looked_up && s->current)) {
		struct entry *e = wr_entry_own(s, s->current);
		struct cell *cell;

		if (!e)
			return NULL;
		cell = &e->cells[state];
		if (WR_LIKELY(cell->kind == CELL_INSIDE && cell->len == len && cell->shape == shape &&
			      !s->states[state].ttl_ms)) {
			*fresh = 0;
			return cell->body;
		}
	}
	return state_put(s, state, shape, len, fresh);
}

int wr_memory_update_all(struct wr_store *store, uint32_t state, const struct wr_short_key *keys,
			 uint32_t count, uint32_t shape, uint32_t len, struct wr_update *out)
{
	struct memory *s = memory_of(store);
	bool in_place = !s->states[state].ttl_ms;

	WR_ASSERT(len <= CELL_INLINE);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t id = in_place && keys[i].len <= KEY_INLINE ? find_short(s, &keys[i]) : NONE;
		struct entry *e = id ? wr_entry_own(s, id) : NULL;
		struct cell *c = e ? &e->cells[state] : NULL;

		if (WR_LIKELY(c && c->kind == CELL_INSIDE && c->len == len && c->shape == shape)) {
			out[i] = (struct wr_update){c->body, 0};
			continue;
		}
		wr_memory_set_short(&s->base, &keys[i]);
		out[i].body = wr_memory_update(&s->base, state, shape, len, &out[i].fresh);
		if (!out[i].body)
			return WR_EFATAL;
	}
	return WR_OK;
}

struct wr_sval *wr_memory_edit(struct wr_store *store, uint32_t state)
{
	struct memory *s = memory_of(store);
	const struct wr_sval *v = wr_memory_get(&s->base, state);
	struct entry *e;
	struct cell *c;
	int32_t fresh;

	if (!v)
		return NULL;
	e = wr_entry_own(s, s->current);
	if (!e)
		return NULL;
	c = &e->cells[state];
	if (c->kind == CELL_BLOCK && WR_UNLIKELY(wr_shared(s, c->block->epoch)))
		if (!wr_cell_put(s, c, v->shape, v->len, &fresh))
			return NULL;
	c->stamp_ms = s->now_ms;
	return (struct wr_sval *)wr_cell_value(c);
}

void wr_memory_clear(struct wr_store *store, uint32_t state)
{
	struct memory *s = memory_of(store);
	uint32_t id = wr_entry_current(s, false);
	struct entry *e;

	if (!id || entry_at(s, id)->cells[state].kind == CELL_EMPTY)
		return;
	e = wr_entry_own(s, id);
	if (!e)
		return;
	wr_cell_clear(s, &e->cells[state]);
	wr_entry_release(s, id);
}

/* Expired values and list elements of one (key, namespace). */
static int entry_expire(struct memory *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->state_count; i++) {
		const struct cell *c = &entry_at(s, id)->cells[i];
		struct entry *own;

		if (c->kind == CELL_LIST && s->states[i].ttl_ms && wr_list_expire(s, id, i) != WR_OK)
			return WR_EFATAL;
		if ((c->kind != CELL_INSIDE && c->kind != CELL_BLOCK) || !wr_expired(s, i, c->stamp_ms))
			continue;
		own = wr_entry_own(s, id);
		if (!own)
			return WR_EFATAL;
		wr_cell_clear(s, &own->cells[i]);
	}
	wr_entry_release(s, id);
	return WR_OK;
}

void wr_memory_expire(struct memory *s, uint32_t entries)
{
	if (!s->has_ttl || !s->used)
		return;
	wr_memory_unset_key(&s->base);
	for (; entries; entries--) {
		uint32_t id = s->expire_at = s->expire_at >= s->used ? 1 : s->expire_at + 1;
		const struct entry *e = entry_at(s, id);

		uint32_t owner = e->owner, map = e->kind >= ENTRY_MAP ? e->kind - ENTRY_MAP : 0;

		if (e->kind >= ENTRY_MAP && wr_expired(s, map, e->cells[0].stamp_ms)) {
			wr_map_unlink(s, owner, map, id);
			wr_entry_release(s, owner);
		} else if (e->kind == ENTRY_KEY && entry_expire(s, id) != WR_OK) {
			return;
		}
	}
}
