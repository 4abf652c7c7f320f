/* SPDX-License-Identifier: Apache-2.0 */
/* maps: an entry per user key, chained from the owner's cell. */
#include "base/assert.h"
#include "base/error.h"
#include "state/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint32_t map_tag(const struct memory *s, uint32_t owner, uint32_t state, const uint8_t *key,
			uint32_t len)
{
	const struct entry *e = entry_at(s, owner);

	return wr_lookup_tag(XXH3_64bits_withSeed(key, len, e->hash ^ ((uint64_t)owner << 20) ^ state));
}

static uint32_t map_find(struct memory *s, uint32_t owner, uint32_t state, const uint8_t *key, uint32_t len)
{
	return wr_entry_find(s, map_tag(s, owner, state, key, len), (uint16_t)(ENTRY_MAP + state), owner, key,
			     len, NULL, 0);
}

/* Takes an entry out of its chain and gives it up. */
void wr_map_unlink(struct memory *s, uint32_t owner, uint32_t state, uint32_t id)
{
	struct entry *e = wr_entry_own(s, id), *o = wr_entry_own(s, owner), *n;
	struct cell *c;

	if (!e || !o)
		return;
	c = &o->cells[state];
	if (e->prev && (n = wr_entry_own(s, e->prev)))
		n->next = e->next;
	else
		c->map.first = e->next;
	if (e->next && (n = wr_entry_own(s, e->next)))
		n->prev = e->prev;
	else
		c->map.last = e->prev;
	c->count--;
	if (!c->count)
		c->kind = CELL_EMPTY; /* S3 */
	wr_cell_clear(s, &e->cells[0]);
	wr_entry_free(s, id);
}

void wr_map_drop(struct memory *s, struct cell *c)
{
	uint32_t id = c->map.first;

	while (id) {
		struct entry *e = wr_entry_own(s, id);
		uint32_t next;

		if (!e)
			return;
		next = e->next;
		wr_cell_clear(s, &e->cells[0]);
		wr_entry_free(s, id);
		id = next;
	}
}

const struct wr_sval *wr_memory_map_get(struct wr_store *store, uint32_t state, const uint8_t *key,
					uint32_t len)
{
	struct memory *s = memory_of(store);
	uint32_t owner = wr_entry_current(s, false), id;
	const struct wr_sval *v;

	if (!owner || !(id = map_find(s, owner, state, key, len)))
		return NULL;
	v = wr_entry_get(s, id, 0, state);
	if (!v) {
		wr_map_unlink(s, owner, state, id);
		wr_entry_release(s, owner);
	}
	return v;
}

uint8_t *wr_memory_map_put(struct wr_store *store, uint32_t state, const uint8_t *key, uint32_t klen,
			   uint32_t shape, uint32_t len)
{
	struct memory *s = memory_of(store);
	uint32_t owner = wr_entry_current(s, true), id;
	struct entry *e, *o, *last;
	struct cell *c;

	if (!owner)
		return NULL;
	id = map_find(s, owner, state, key, klen);
	if (id) {
		e = wr_entry_own(s, id);
		return e ? wr_cell_put(s, &e->cells[0], shape, len, NULL) : NULL;
	}
	id = wr_entry_new(s, key, klen, NULL, 0);
	if (!id)
		return NULL;
	e = entry_at(s, id);
	o = wr_entry_own(s, owner);
	c = o ? &o->cells[state] : NULL;
	last = c && c->kind == CELL_MAP ? wr_entry_own(s, c->map.last) : NULL;
	e->lookup = map_tag(s, owner, state, key, klen);
	if (!o || (c->kind == CELL_MAP && !last) || wr_index_add(&s->index, e->lookup, id) != WR_OK) {
		wr_entry_unmake(s, id);
		return NULL;
	}
	e->hash = o->hash;
	e->kind = (uint16_t)(ENTRY_MAP + state);
	e->owner = owner;
	if (last) {
		e->prev = c->map.last;
		last->next = id;
	} else {
		c->kind = CELL_MAP;
		c->count = 0;
		c->map.first = id;
	}
	c->map.last = id;
	c->count++;
	return wr_cell_put(s, &e->cells[0], shape, len, NULL);
}

int wr_memory_map_remove(struct wr_store *store, uint32_t state, const uint8_t *key, uint32_t len)
{
	struct memory *s = memory_of(store);
	uint32_t owner = wr_entry_current(s, false), id;
	int was;

	if (!owner || !(id = map_find(s, owner, state, key, len)))
		return 0;
	was = wr_entry_get(s, id, 0, state) != NULL;
	wr_map_unlink(s, owner, state, id);
	wr_entry_release(s, owner);
	return was;
}

const struct wr_sval *wr_memory_map_next(struct wr_store *store, uint32_t state, uint64_t *cursor,
					 const uint8_t **key, uint32_t *klen)
{
	struct memory *s = memory_of(store);
	uint32_t owner = wr_entry_current(s, false), id;
	const struct cell *c;

	if (!owner || *cursor == UINT64_MAX)
		return NULL;
	c = &entry_at(s, owner)->cells[state];
	/* the cursor is the next id, so that the entry just given may be removed */
	id = *cursor ? (uint32_t)*cursor : c->kind == CELL_MAP ? c->map.first : NONE;
	while (id) {
		const struct entry *e = entry_at(s, id);

		*cursor = e->next ? e->next : UINT64_MAX;
		if (!wr_expired(s, state, e->cells[0].stamp_ms)) {
			*key = entry_key(e);
			*klen = e->key_len;
			return wr_entry_get(s, id, 0, state);
		}
		id = e->next;
	}
	*cursor = UINT64_MAX;
	return NULL;
}

uint32_t wr_memory_map_count(struct wr_store *store, uint32_t state)
{
	struct memory *s = memory_of(store);
	uint32_t owner = wr_entry_current(s, false), n = 0;
	const struct cell *c;

	if (!owner)
		return 0;
	c = &entry_at(s, owner)->cells[state];
	if (c->kind != CELL_MAP || !s->states[state].ttl_ms)
		return c->kind == CELL_MAP ? c->count : 0;
	for (uint32_t id = c->map.first; id; id = entry_at(s, id)->next)
		n += !wr_expired(s, state, entry_at(s, id)->cells[0].stamp_ms);
	return n;
}
