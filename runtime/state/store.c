/* SPDX-License-Identifier: Apache-2.0 */
/* store: the memory backend: entries, their index, and the values in their cells. */
#include "base/assert.h"
#include "base/error.h"
#include "state/store_priv.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct wr_mem mem_default = WR_MEM_INIT("state");

/* ---- blocks ---- */

static struct block *block_new(struct wr_store *s, uint32_t cap)
{
	struct block *b = wr_alloc(s->mem, sizeof *b + cap);

	if (!b)
		return NULL;
	b->epoch = s->epoch;
	b->cap = cap;
	b->used = 0;
	return b;
}

/* No frozen version that is open sees what was made in the current epoch. */
static void block_drop(struct wr_store *s, struct block *b)
{
	if (!b)
		return;
	if (!s->frozen_count || b->epoch == s->epoch) {
		wr_free(s->mem, b);
		return;
	}
	b->retired_epoch = s->epoch;
	b->retired = s->retired;
	s->retired = b;
}

/* ---- entries ---- */

struct entry *wr_entry_own(struct wr_store *s, uint32_t id)
{
	struct chunk *c = s->chunks[id / CHUNK_ENTRIES], *copy;
	size_t bytes = (size_t)CHUNK_ENTRIES * s->entry_size;

	if (WR_LIKELY(c->epoch == s->epoch))
		return entry_in(c, id, s->entry_size);
	if (atomic_load_explicit(&c->refs, memory_order_acquire) == 1) {
		c->epoch = s->epoch; /* its versions are closed */
		return entry_in(c, id, s->entry_size);
	}
	copy = wr_alloc_aligned(s->mem, 64, sizeof *copy + bytes);
	if (!copy)
		return NULL;
	copy->refs = 1;
	copy->epoch = s->epoch;
	memcpy(copy->entries, c->entries, bytes);
	s->chunks[id / CHUNK_ENTRIES] = copy;
	atomic_fetch_sub_explicit(&c->refs, 1, memory_order_release);
	return entry_in(copy, id, s->entry_size);
}

static int chunk_add(struct wr_store *s)
{
	size_t bytes = (size_t)CHUNK_ENTRIES * s->entry_size;
	struct chunk *c;

	if (s->chunk_count == s->chunk_cap) {
		uint32_t cap = s->chunk_cap ? s->chunk_cap * 2 : 4;
		struct chunk **more = wr_realloc(s->mem, s->chunks, cap * sizeof *more);

		if (!more)
			return WR_EFATAL;
		s->chunks = more;
		s->chunk_cap = cap;
	}
	c = wr_alloc_aligned(s->mem, 64, sizeof *c + bytes);
	if (!c)
		return WR_EFATAL;
	c->refs = 1;
	c->epoch = s->epoch;
	s->chunks[s->chunk_count++] = c;
	return WR_OK;
}

static int index_grow(struct wr_store *s)
{
	uint64_t slots = s->index ? (s->mask + 1) * 2 : 64, mask = slots - 1;
	uint64_t *more = wr_zalloc(s->mem, slots * sizeof *more);

	if (!more)
		return WR_EFATAL;
	for (uint64_t i = 0; s->index && i <= s->mask; i++) {
		uint64_t at;

		if (!s->index[i])
			continue;
		for (at = (s->index[i] >> 32) & mask; more[at]; at = (at + 1) & mask)
			;
		more[at] = s->index[i];
	}
	wr_free(s->mem, s->index);
	s->index = more;
	s->mask = mask;
	return WR_OK;
}

/* The high half of the hash: the low bits decide the key group and are alike in one subtask. */
static uint32_t lookup_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

static uint32_t index_find(const struct wr_store *s, uint32_t tag, uint16_t kind, uint16_t state,
			   uint32_t owner, const uint8_t *key, uint32_t key_len, const uint8_t *tail,
			   uint32_t tail_len)
{
	if (!s->index)
		return NONE;
	for (uint64_t at = tag & s->mask; s->index[at]; at = (at + 1) & s->mask) {
		const struct entry *e;
		uint32_t id = (uint32_t)s->index[at];
		const uint8_t *mine;

		if ((uint32_t)(s->index[at] >> 32) != tag)
			continue;
		e = entry_at(s, id);
		if (e->key_len != key_len || e->ns_len != tail_len || e->kind != kind)
			continue;
		if (kind == ENTRY_MAP && (e->owner != owner || e->state != state))
			continue;
		mine = entry_key(e);
		if (!memcmp(mine, key, key_len) && (!tail_len || !memcmp(mine + key_len, tail, tail_len)))
			return id;
	}
	return NONE;
}

static int index_add(struct wr_store *s, uint32_t tag, uint32_t id)
{
	uint64_t at;

	if (!s->index || (s->live + 1) * 10 > (s->mask + 1) * 6)
		if (index_grow(s) != WR_OK)
			return WR_EFATAL;
	for (at = tag & s->mask; s->index[at]; at = (at + 1) & s->mask)
		;
	s->index[at] = (uint64_t)tag << 32 | id;
	s->live++;
	return WR_OK;
}

/* Removal by shifting back, so that there are no tombstones. */
static void index_remove(struct wr_store *s, uint32_t tag, uint32_t id)
{
	uint64_t at = tag & s->mask, hole;

	while ((uint32_t)s->index[at] != id)
		at = (at + 1) & s->mask;
	hole = at;
	for (;;) {
		uint64_t home;

		at = (at + 1) & s->mask;
		if (!s->index[at])
			break;
		home = (s->index[at] >> 32) & s->mask;
		if (((at - home) & s->mask) >= ((at - hole) & s->mask)) {
			s->index[hole] = s->index[at];
			hole = at;
		}
	}
	s->index[hole] = 0;
	s->live--;
}

/* A fresh entry with its address; not yet in the index. */
static uint32_t entry_new(struct wr_store *s, const uint8_t *key, uint32_t key_len, const uint8_t *tail,
			  uint32_t tail_len)
{
	uint32_t id = s->free, total = key_len + tail_len;
	struct block *address = NULL;
	struct entry *e;
	uint8_t *to;

	if (total > KEY_INLINE) {
		address = block_new(s, total);
		if (!address)
			return NONE;
	}
	if (!id) {
		id = s->used + 1;
		if (id / CHUNK_ENTRIES >= s->chunk_count && chunk_add(s) != WR_OK) {
			wr_free(s->mem, address);
			return NONE;
		}
	}
	e = wr_entry_own(s, id);
	if (!e) {
		wr_free(s->mem, address);
		return NONE;
	}
	if (id == s->free)
		s->free = e->next;
	else
		s->used = id;
	memset(e, 0, s->entry_size);
	e->timer_last[0] = e->timer_last[1] = INT64_MIN;
	e->key_len = key_len;
	e->ns_len = tail_len;
	to = e->inside;
	if (address) {
		e->address = address;
		to = address->data;
	}
	memcpy(to, key, key_len);
	if (tail_len)
		memcpy(to + key_len, tail, tail_len);
	return id;
}

static void entry_free(struct wr_store *s, uint32_t id)
{
	struct entry *e = wr_entry_own(s, id);

	if (!e)
		return; /* no memory for the copy: the entry stays, empty */
	index_remove(s, e->lookup, id);
	if (e->kind == ENTRY_KEY)
		s->keys--;
	if (e->key_len + e->ns_len > KEY_INLINE)
		block_drop(s, e->address);
	e->kind = ENTRY_FREE;
	e->next = s->free;
	s->free = id;
	if (s->current == id)
		s->current = NONE;
}

uint32_t wr_entry_current(struct wr_store *s, bool make)
{
	uint64_t hash = s->hash;
	const uint8_t *ns = s->key + s->key_len;
	struct entry *e;

	WR_ASSERT(s->has_key);
	if (s->looked_up && (s->current || !make))
		return s->current;
	if (s->ns_len)
		hash = XXH3_64bits_withSeed(ns, s->ns_len, hash);
	if (!s->looked_up) {
		s->current = index_find(s, lookup_tag(hash), ENTRY_KEY, 0, 0, s->key, s->key_len, ns, s->ns_len);
		s->looked_up = true;
		if (s->current || !make)
			return s->current;
	}
	s->current = entry_new(s, s->key, s->key_len, ns, s->ns_len);
	if (!s->current)
		return NONE;
	e = entry_at(s, s->current);
	e->hash = s->hash;
	e->lookup = lookup_tag(hash);
	e->kind = ENTRY_KEY;
	if (index_add(s, e->lookup, s->current) != WR_OK) {
		e->kind = ENTRY_FREE;
		e->next = s->free;
		s->free = s->current;
		s->current = NONE;
		return NONE;
	}
	s->keys++;
	return s->current;
}

void wr_entry_release(struct wr_store *s, uint32_t id)
{
	const struct entry *e = entry_at(s, id);

	if (e->kind != ENTRY_KEY || e->timers)
		return;
	for (uint32_t i = 0; i < s->state_count; i++)
		if (e->cells[i].kind != CELL_EMPTY)
			return;
	entry_free(s, id);
}

/* ---- life ---- */

struct wr_store *wr_store_new(const struct wr_store_options *o)
{
	struct wr_mem *mem = o->mem ? o->mem : &mem_default;
	struct wr_store *s = wr_zalloc(mem, sizeof *s);

	if (!s)
		return NULL;
	s->mem = mem;
	s->state_count = o->state_count;
	s->entry_size = (uint32_t)(sizeof(struct entry) + o->state_count * sizeof(struct cell));
	s->max_parallelism = o->max_parallelism;
	s->group_first = o->group_first;
	s->group_last = o->group_last;
	s->epoch = 1;
	s->key_cap = 512;
	s->key = wr_alloc(mem, s->key_cap);
	s->states = wr_zalloc(mem, (o->state_count + 1) * sizeof *s->states);
	s->uid = wr_strdup(mem, o->operator_uid ? o->operator_uid : "");
	for (int i = 0; i < 2; i++)
		s->timers[i] = wr_timers_new(mem);
	if (!s->key || !s->states || !s->uid || !s->timers[0] || !s->timers[1]) {
		wr_store_free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < o->state_count; i++) {
		s->states[i] = o->states[i];
		s->states[i].name = wr_strdup(mem, o->states[i].name);
	}
	return s;
}

static void cell_free(struct wr_store *s, struct cell *c)
{
	if (c->kind == CELL_BLOCK || c->kind == CELL_LIST)
		wr_free(s->mem, c->block);
}

void wr_store_free(struct wr_store *s)
{
	if (!s)
		return;
	wr_store_sweep(s);
	WR_ASSERT(s->frozen_count == 0);
	for (uint32_t id = 1; id <= s->used; id++) {
		struct entry *e = entry_at(s, id);

		if (e->kind == ENTRY_FREE)
			continue;
		if (e->key_len + e->ns_len > KEY_INLINE)
			wr_free(s->mem, e->address);
		for (uint32_t i = 0; i < s->state_count; i++)
			cell_free(s, &e->cells[i]);
	}
	for (uint32_t i = 0; i < s->chunk_count; i++)
		wr_free(s->mem, s->chunks[i]);
	while (s->retired) {
		struct block *b = s->retired;

		s->retired = b->retired;
		wr_free(s->mem, b);
	}
	for (uint32_t i = 0; s->states && i < s->state_count; i++)
		wr_free(s->mem, (void *)s->states[i].name);
	wr_timers_free(s->timers[0]);
	wr_timers_free(s->timers[1]);
	wr_free(s->mem, s->chunks);
	wr_free(s->mem, s->index);
	wr_free(s->mem, s->states);
	wr_free(s->mem, s->key);
	wr_free(s->mem, s->uid);
	wr_free(s->mem, s);
}

void wr_store_set_now(struct wr_store *s, int64_t now_ms)
{
	s->now_ms = now_ms;
	if (WR_UNLIKELY(s->frozen_count || s->retired))
		wr_store_sweep(s);
}

uint64_t wr_store_keys(const struct wr_store *s)
{
	return s->keys;
}

int64_t wr_store_bytes(const struct wr_store *s)
{
	return atomic_load_explicit(&s->mem->bytes, memory_order_relaxed);
}

/* ---- current key ---- */

int wr_store_set_key(struct wr_store *s, const uint8_t *key, uint32_t len, uint64_t hash)
{
	if (WR_UNLIKELY(len > s->key_cap)) {
		uint8_t *more = wr_realloc(s->mem, s->key, len * 2);

		if (!more)
			return WR_EFATAL;
		s->key = more;
		s->key_cap = len * 2;
	}
	memcpy(s->key, key, len);
	s->key_len = len;
	s->ns_len = 0;
	s->hash = hash;
	s->has_key = true;
	s->looked_up = false;
	s->current = NONE;
	return WR_OK;
}

void wr_store_unset_key(struct wr_store *s)
{
	s->has_key = false;
	s->looked_up = false;
	s->current = NONE;
}

int wr_store_has_key(const struct wr_store *s)
{
	return s->has_key;
}

const uint8_t *wr_store_key(const struct wr_store *s, uint32_t *len)
{
	*len = s->key_len;
	return s->has_key ? s->key : NULL;
}

int wr_store_set_namespace(struct wr_store *s, const uint8_t *ns, uint32_t len)
{
	WR_ASSERT(s->has_key);
	if (s->key_len + len > s->key_cap) {
		uint8_t *more = wr_realloc(s->mem, s->key, (s->key_len + len) * 2);

		if (!more)
			return WR_EFATAL;
		s->key = more;
		s->key_cap = (s->key_len + len) * 2;
	}
	memcpy(s->key + s->key_len, ns, len);
	s->ns_len = len;
	s->looked_up = false;
	s->current = NONE;
	return WR_OK;
}

const uint8_t *wr_store_namespace(const struct wr_store *s, uint32_t *len)
{
	*len = s->ns_len;
	return s->key + s->key_len;
}

int wr_entry_select(struct wr_store *s, uint32_t id)
{
	const struct entry *e = entry_at(s, id);
	int rc = wr_store_set_key(s, entry_key(e), e->key_len, e->hash);

	if (rc == WR_OK && e->ns_len)
		rc = wr_store_set_namespace(s, entry_key(e) + e->key_len, e->ns_len);
	s->current = id;
	s->looked_up = true;
	return rc;
}

void wr_store_prefetch(struct wr_store *s, uint64_t hash)
{
	if (s->index)
		__builtin_prefetch(&s->index[lookup_tag(hash) & s->mask]);
}

void wr_store_prefetch_entry(struct wr_store *s, uint64_t hash)
{
	uint64_t slot;

	if (!s->index)
		return;
	slot = s->index[lookup_tag(hash) & s->mask];
	if (slot) {
		const char *e = (const char *)entry_at(s, (uint32_t)slot);

		__builtin_prefetch(e);
		__builtin_prefetch(e + 64);
		__builtin_prefetch(e + 128);
	}
}

int wr_store_set_row(struct wr_store *s, struct wr_keyer *k, const struct wr_elem *row)
{
	struct wr_key key;
	int rc = wr_keyer_key(k, row, &key);

	if (WR_UNLIKELY(rc != WR_OK))
		return rc;
	return wr_store_set_key(s, key.p, key.len, key.hash);
}

/* ---- values ---- */

/* S6: inclusive, and safe against overflow. */
static bool expired(const struct wr_store *s, uint32_t state, int64_t stamp_ms)
{
	int64_t ttl = s->states[state].ttl_ms;

	return ttl && stamp_ms <= INT64_MAX - ttl && stamp_ms + ttl <= s->now_ms;
}

static const struct wr_sval *cell_value(const struct cell *c)
{
	return c->kind == CELL_BLOCK ? (const struct wr_sval *)c->block->data
				     : (const struct wr_sval *)&c->len;
}

static void map_drop(struct wr_store *s, struct cell *c);

/* Empties a cell of an owned entry. */
static void cell_clear(struct wr_store *s, struct cell *c)
{
	if (c->kind == CELL_BLOCK || c->kind == CELL_LIST)
		block_drop(s, c->block);
	else if (c->kind == CELL_MAP)
		map_drop(s, c);
	c->kind = CELL_EMPTY;
	c->count = 0;
}

/* The value of an entry under its TTL: NULL when empty or expired; the expired one is removed (S7). */
static const struct wr_sval *entry_get(struct wr_store *s, uint32_t id, uint32_t cell, uint32_t state)
{
	struct cell *c = &entry_at(s, id)->cells[cell];
	const struct wr_state_desc *d = &s->states[state];

	if (c->kind == CELL_EMPTY)
		return NULL;
	if (WR_UNLIKELY(d->ttl_ms)) {
		if (expired(s, state, c->stamp_ms))
			return NULL;
		if (d->ttl_update == WR_TTL_ON_READ_AND_WRITE && c->stamp_ms != s->now_ms) {
			struct entry *e = wr_entry_own(s, id);

			if (!e)
				return NULL;
			c = &e->cells[cell];
			c->stamp_ms = s->now_ms; /* S8 */
		}
	}
	return cell_value(c);
}

/* Room for a body in an owned cell; keep: the old bytes stay when length and shape agree. */
static uint8_t *cell_put(struct wr_store *s, struct cell *c, uint32_t shape, uint32_t len, int32_t *fresh)
{
	struct block *b;
	struct wr_sval *v;

	if (fresh)
		*fresh = 1;
	c->stamp_ms = s->now_ms;
	if (c->kind == CELL_INSIDE && c->len == len) {
		if (fresh && c->shape == shape)
			*fresh = 0;
		c->shape = shape;
		return c->body;
	}
	if (len <= CELL_INLINE) {
		cell_clear(s, c);
		c->kind = CELL_INSIDE;
		c->len = len;
		c->shape = shape;
		return c->body;
	}
	if (c->kind == CELL_BLOCK && c->block->epoch == s->epoch && c->block->cap >= len + sizeof *v &&
	    c->block->cap <= 2 * (len + sizeof *v)) {
		v = (struct wr_sval *)c->block->data;
		if (fresh && v->len == len && v->shape == shape)
			*fresh = 0;
	} else {
		b = block_new(s, (len + (uint32_t)sizeof *v + 15) & ~15u);
		if (!b)
			return NULL;
		v = (struct wr_sval *)b->data;
		if (fresh && c->kind == CELL_BLOCK) {
			const struct wr_sval *old = cell_value(c);

			if (old->len == len && old->shape == shape) {
				memcpy(v->body, old->body, len);
				*fresh = 0;
			}
		}
		cell_clear(s, c);
		c->kind = CELL_BLOCK;
		c->block = b;
	}
	c->block->used = len;
	v->len = len;
	v->shape = shape;
	return v->body;
}

const struct wr_sval *wr_state_get(struct wr_store *s, uint32_t state)
{
	uint32_t id = wr_entry_current(s, false);
	const struct wr_sval *v;

	if (!id)
		return NULL;
	v = entry_get(s, id, state, state);
	if (WR_UNLIKELY(!v && entry_at(s, id)->cells[state].kind != CELL_EMPTY)) {
		/* expired: given once more if asked for, from a copy that lives until the next write */
		struct cell *c = &entry_at(s, id)->cells[state];

		if (s->states[state].ttl_return_expired) {
			struct block *last = block_new(s, cell_value(c)->len + (uint32_t)sizeof *v);

			if (last) {
				memcpy(last->data, cell_value(c), cell_value(c)->len + sizeof *v);
				last->retired = s->retired;
				last->retired_epoch = s->epoch;
				s->retired = last;
				v = (const struct wr_sval *)last->data;
			}
		}
		wr_state_clear(s, state);
	}
	return v;
}

static uint8_t *state_put(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh)
{
	uint32_t id = wr_entry_current(s, true);
	struct entry *e = id ? wr_entry_own(s, id) : NULL;

	if (!e)
		return NULL;
	if (WR_UNLIKELY(fresh && s->states[state].ttl_ms && e->cells[state].kind != CELL_EMPTY &&
			expired(s, state, e->cells[state].stamp_ms)))
		cell_clear(s, &e->cells[state]);
	return cell_put(s, &e->cells[state], shape, len, fresh);
}

uint8_t *wr_state_put(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len)
{
	return state_put(s, state, shape, len, NULL);
}

uint8_t *wr_state_update(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh)
{
	return state_put(s, state, shape, len, fresh);
}

void wr_state_clear(struct wr_store *s, uint32_t state)
{
	uint32_t id = wr_entry_current(s, false);
	struct entry *e;

	if (!id || entry_at(s, id)->cells[state].kind == CELL_EMPTY)
		return;
	e = wr_entry_own(s, id);
	if (!e)
		return;
	cell_clear(s, &e->cells[state]);
	wr_entry_release(s, id);
}

/* ---- lists: elements one behind another in a block: stamp, then a value padded to 8 ---- */

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
	if (!b || b->epoch != s->epoch || b->cap - b->used < need) {
		uint64_t cap = b ? (uint64_t)b->cap * (b->cap - b->used < need ? 2 : 1) : 128;
		struct block *more;

		while (cap < (b ? b->used : 0) + (uint64_t)need)
			cap *= 2;
		if (cap > UINT32_MAX) {
			wr_error_set(WR_EUSER, "a list state of more than 4 GB");
			return NULL;
		}
		more = block_new(s, (uint32_t)cap);
		if (!more)
			return NULL;
		if (b) {
			memcpy(more->data, b->data, b->used);
			more->used = b->used;
			block_drop(s, b);
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
		if (!expired(s, state, stamp))
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

/* ---- maps: an entry per user key, chained from the owner's cell ---- */

static uint32_t map_tag(const struct wr_store *s, uint32_t owner, uint32_t state, const uint8_t *key,
			uint32_t len)
{
	const struct entry *e = entry_at(s, owner);

	return lookup_tag(XXH3_64bits_withSeed(key, len, e->hash ^ ((uint64_t)owner << 20) ^ state));
}

static uint32_t map_find(struct wr_store *s, uint32_t owner, uint32_t state, const uint8_t *key,
			 uint32_t len)
{
	return index_find(s, map_tag(s, owner, state, key, len), ENTRY_MAP, (uint16_t)state, owner, key, len,
			  NULL, 0);
}

/* Takes an entry out of its chain and gives it up. */
static void map_unlink(struct wr_store *s, uint32_t owner, uint32_t state, uint32_t id)
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
	cell_clear(s, &e->cells[0]);
	entry_free(s, id);
}

static void map_drop(struct wr_store *s, struct cell *c)
{
	uint32_t id = c->map.first;

	while (id) {
		struct entry *e = wr_entry_own(s, id);
		uint32_t next;

		if (!e)
			return;
		next = e->next;
		cell_clear(s, &e->cells[0]);
		entry_free(s, id);
		id = next;
	}
}

const struct wr_sval *wr_map_get(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len)
{
	uint32_t owner = wr_entry_current(s, false), id;
	const struct wr_sval *v;

	if (!owner || !(id = map_find(s, owner, state, key, len)))
		return NULL;
	v = entry_get(s, id, 0, state);
	if (!v) {
		map_unlink(s, owner, state, id);
		wr_entry_release(s, owner);
	}
	return v;
}

uint8_t *wr_map_put(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t klen, uint32_t shape,
		    uint32_t len)
{
	uint32_t owner = wr_entry_current(s, true), id;
	struct entry *e, *o, *last;
	struct cell *c;

	if (!owner)
		return NULL;
	id = map_find(s, owner, state, key, klen);
	if (id) {
		e = wr_entry_own(s, id);
		return e ? cell_put(s, &e->cells[0], shape, len, NULL) : NULL;
	}
	id = entry_new(s, key, klen, NULL, 0);
	if (!id)
		return NULL;
	e = entry_at(s, id);
	o = wr_entry_own(s, owner);
	c = o ? &o->cells[state] : NULL;
	last = c && c->kind == CELL_MAP ? wr_entry_own(s, c->map.last) : NULL;
	e->lookup = map_tag(s, owner, state, key, klen);
	if (!o || (c->kind == CELL_MAP && !last) || index_add(s, e->lookup, id) != WR_OK) {
		if (klen > KEY_INLINE)
			wr_free(s->mem, e->address);
		e->kind = ENTRY_FREE;
		e->next = s->free;
		s->free = id;
		return NULL;
	}
	e->hash = o->hash;
	e->kind = ENTRY_MAP;
	e->state = (uint16_t)state;
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
	return cell_put(s, &e->cells[0], shape, len, NULL);
}

int wr_map_remove(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len)
{
	uint32_t owner = wr_entry_current(s, false), id;
	int was;

	if (!owner || !(id = map_find(s, owner, state, key, len)))
		return 0;
	was = entry_get(s, id, 0, state) != NULL;
	map_unlink(s, owner, state, id);
	wr_entry_release(s, owner);
	return was;
}

const struct wr_sval *wr_map_next(struct wr_store *s, uint32_t state, uint64_t *cursor,
				  const uint8_t **key, uint32_t *klen)
{
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
		if (!expired(s, state, e->cells[0].stamp_ms)) {
			*key = entry_key(e);
			*klen = e->key_len;
			return entry_get(s, id, 0, state);
		}
		id = e->next;
	}
	*cursor = UINT64_MAX;
	return NULL;
}

uint32_t wr_map_count(struct wr_store *s, uint32_t state)
{
	uint32_t owner = wr_entry_current(s, false), n = 0;
	const struct cell *c;

	if (!owner)
		return 0;
	c = &entry_at(s, owner)->cells[state];
	if (c->kind != CELL_MAP || !s->states[state].ttl_ms)
		return c->kind == CELL_MAP ? c->count : 0;
	for (uint32_t id = c->map.first; id; id = entry_at(s, id)->next)
		n += !expired(s, state, entry_at(s, id)->cells[0].stamp_ms);
	return n;
}

/* ---- background cleanup ---- */

void wr_store_expire(struct wr_store *s, uint32_t entries)
{
	bool any = false;

	for (uint32_t i = 0; i < s->state_count; i++)
		any |= s->states[i].ttl_ms != 0;
	if (!any || !s->used)
		return;
	wr_store_unset_key(s);
	while (entries--) {
		uint32_t id = s->expire_at = s->expire_at >= s->used ? 1 : s->expire_at + 1;
		const struct entry *e = entry_at(s, id);
		struct entry *own;

		if (e->kind == ENTRY_MAP && expired(s, e->state, e->cells[0].stamp_ms)) {
			uint32_t owner = e->owner;

			map_unlink(s, owner, e->state, id);
			wr_entry_release(s, owner);
			continue;
		}
		if (e->kind != ENTRY_KEY)
			continue;
		for (uint32_t i = 0; i < s->state_count; i++) {
			const struct cell *c = &e->cells[i];

			if ((c->kind != CELL_INSIDE && c->kind != CELL_BLOCK) || !expired(s, i, c->stamp_ms))
				continue;
			own = wr_entry_own(s, id);
			if (!own)
				return;
			cell_clear(s, &own->cells[i]);
			e = own;
		}
		wr_entry_release(s, id);
	}
}
