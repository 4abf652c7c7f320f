/* SPDX-License-Identifier: Apache-2.0 */
/* memory: entries, their index, and the current key. Values are in values.c, maps.c and lists.c, timers in
 * timers.c, versions in frozen.c. */
#include "base/assert.h"
#include "base/error.h"
#include "state/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { EXPIRED_A_BATCH = 16 }; /* entries that the cleanup looks at between two batches */

static struct wr_mem mem_default = WR_MEM_INIT("state");

/* ---- blocks ---- */

static struct block *block_make(struct memory *s, uint32_t cap)
{
	struct block *b = wr_alloc(s->mem, sizeof *b + cap);

	if (!b) {
		s->failed = true;
		return NULL;
	}
	b->epoch = s->epoch;
	b->cap = cap;
	b->used = 0;
	return b;
}

struct block *wr_block_new(struct memory *s, uint32_t cap)
{
	s->outside = true;
	return block_make(s, cap);
}

void wr_block_drop(struct memory *s, struct block *b)
{
	if (!b)
		return;
	if (!wr_shared(s, b->epoch)) {
		wr_free(s->mem, b);
		return;
	}
	wr_block_retire(s, b);
}

/* ---- entries ---- */

static struct chunk *chunk_copy(struct memory *s, uint32_t number)
{
	struct chunk *c = atomic_load_explicit(&s->chunks[number], memory_order_relaxed);
	struct chunk *copy = wr_chunk_room(s);

	if (!copy) {
		s->failed = true;
		return NULL;
	}
	memcpy(copy->entries, c->entries, s->chunk_size);
	copy->older = c;
	copy->epoch = s->epoch;
	wr_frozen_count(s, (int64_t)s->chunk_size);
	atomic_store_explicit(&s->chunks[number], copy, memory_order_release);
	wr_chunk_retire(s, c);
	return copy;
}

/* The first change of an entry in an epoch. */
struct entry *wr_entry_change(struct memory *s, uint32_t id)
{
	uint32_t number = id / CHUNK_ENTRIES;
	struct chunk *c = atomic_load_explicit(&s->chunks[number], memory_order_relaxed);
	struct entry *e;

	if (WR_UNLIKELY(wr_shared(s, c->epoch)))
		c = chunk_copy(s, number);
	if (!c)
		return NULL;
	e = entry_in(c, id, s->entry_size);
	c->changed = e->changed = s->epoch;
	if (WR_UNLIKELY(s->lower != NULL))
		s->lower->changed(s, id);
	return e;
}

/* A version may go on reading the table it knew: what it looks for is reachable from there. */
static int chunk_table_grow(struct memory *s)
{
	uint32_t cap = s->chunk_cap ? s->chunk_cap * 2 : 4;
	struct block *more = block_make(s, cap * (uint32_t)sizeof *s->chunks);

	if (!more)
		return WR_EFATAL;
	if (s->lower) {
		struct mark *marks =
		    wr_realloc(s->mem, s->marks, (size_t)cap * CHUNK_ENTRIES * sizeof *marks);

		if (!marks) {
			wr_free(s->mem, more);
			s->failed = true;
			return WR_EFATAL;
		}
		s->marks = marks;
	}
	if (s->chunk_table)
		memcpy(more->data, s->chunk_table->data, s->chunk_count * sizeof *s->chunks);
	wr_block_drop(s, s->chunk_table);
	s->chunk_table = more;
	s->chunks = (void *)more->data;
	s->chunk_cap = cap;
	return WR_OK;
}

static int chunk_add(struct memory *s)
{
	struct chunk *c;

	if (s->chunk_count == s->chunk_cap && chunk_table_grow(s) != WR_OK)
		return WR_EFATAL;
	c = wr_chunk_room(s);
	if (!c) {
		s->failed = true;
		return WR_EFATAL;
	}
	c->older = NULL;
	c->epoch = c->changed = s->epoch;
	if (s->lower)
		memset(number_in(c, 0, s->entry_size), 0, CHUNK_ENTRIES * sizeof(uint32_t));
	atomic_store_explicit(&s->chunks[s->chunk_count++], c, memory_order_release);
	return WR_OK;
}

uint32_t wr_entry_find(const struct memory *s, uint32_t tag, uint16_t kind, uint32_t owner,
		       const uint8_t *key, uint32_t key_len, const uint8_t *tail, uint32_t tail_len)
{
	struct index_table t = wr_index_table(&s->index, tag);

	for (uint64_t at = tag & t.mask; t.slots[at]; at = (at + 1) & t.mask) {
		const struct entry *e;
		uint32_t id = (uint32_t)t.slots[at];
		const uint8_t *mine;

		if ((uint32_t)(t.slots[at] >> 32) != tag)
			continue;
		e = entry_at(s, id);
		if (e->key_len != key_len || e->ns_len != tail_len || e->kind != kind)
			continue;
		if (kind != ENTRY_KEY && e->owner != owner)
			continue;
		mine = entry_key(e);
		if (!memcmp(mine, key, key_len) && (!tail_len || !memcmp(mine + key_len, tail, tail_len)))
			return id;
	}
	return NONE;
}

/* A fresh entry with its address; not yet in the index. */
uint32_t wr_entry_new(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *tail,
		      uint32_t tail_len)
{
	uint32_t id = s->free, total = key_len + tail_len;
	struct block *address = NULL;
	struct entry *e;
	uint8_t *to;

	if (total > KEY_INLINE) {
		address = wr_block_new(s, total);
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
	e = wr_entry_change(s, id);
	if (!e) {
		wr_free(s->mem, address);
		return NONE;
	}
	if (id == s->free)
		s->free = e->next;
	else
		s->used = id;
	memset(e, 0, s->entry_size);
	e->changed = s->epoch;
	e->key_len = key_len;
	e->ns_len = (uint16_t)tail_len;
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

void wr_entry_unmake(struct memory *s, uint32_t id)
{
	struct entry *e = entry_at(s, id);

	if (e->key_len + e->ns_len > KEY_INLINE)
		wr_free(s->mem, e->address);
	e->kind = ENTRY_FREE;
	e->next = s->free;
	s->free = id;
}

void wr_entry_free(struct memory *s, uint32_t id)
{
	struct entry *e = wr_entry_own(s, id);

	if (!e)
		return; /* no memory for the copy: the entry stays, empty */
	if (WR_UNLIKELY(s->lower && e->kind == ENTRY_KEY))
		s->lower->ended(s, id);
	wr_index_remove(&s->index, e->lookup, id);
	if (e->kind == ENTRY_KEY)
		s->keys--;
	if (e->key_len + e->ns_len > KEY_INLINE)
		wr_block_drop(s, e->address);
	e->kind = ENTRY_FREE;
	e->next = s->free;
	s->free = id;
	if (s->current == id)
		s->current = NONE;
}

uint32_t wr_entry_tag(uint64_t hash, const uint8_t *ns, uint32_t ns_len)
{
	return wr_lookup_tag(ns_len ? XXH3_64bits_withSeed(ns, ns_len, hash) : hash);
}

uint32_t wr_entry_add(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
		      uint32_t ns_len, uint64_t hash)
{
	uint32_t id = wr_entry_new(s, key, key_len, ns, ns_len);
	struct entry *e;

	if (!id)
		return NONE;
	e = entry_at(s, id);
	e->hash = hash;
	e->lookup = wr_entry_tag(hash, ns, ns_len);
	e->kind = ENTRY_KEY;
	if (wr_index_add(&s->index, e->lookup, id) != WR_OK) {
		wr_entry_unmake(s, id);
		return NONE;
	}
	if (s->lower) {
		s->marks[id] = (struct mark){.touched = IN_USE};
		s->lower->added(s, id);
	}
	s->keys++;
	return id;
}

uint32_t wr_entry_at(struct memory *s, const uint8_t *ns, uint32_t ns_len)
{
	uint32_t id;

	WR_ASSERT(s->has_key);
	id =
	    wr_entry_find(s, wr_entry_tag(s->hash, ns, ns_len), ENTRY_KEY, 0, s->key, s->key_len, ns, ns_len);
	if (WR_LIKELY(!s->lower))
		return id;
	if (!id)
		return s->lower->fetch(s, s->key, s->key_len, ns, ns_len);
	s->marks[id].touched = IN_USE;
	return id;
}

uint32_t wr_entry_look(struct memory *s, bool make)
{
	const uint8_t *ns = s->key + s->key_len;

	WR_ASSERT(s->has_key);
	if (!s->looked_up) {
		s->current = wr_entry_at(s, ns, s->ns_len);
		s->looked_up = true;
		if (s->current || !make)
			return s->current;
	}
	s->current = wr_entry_add(s, s->key, s->key_len, ns, s->ns_len, s->hash);
	return s->current;
}

void wr_entry_release(struct memory *s, uint32_t id)
{
	const struct entry *e = entry_at(s, id);

	if (e->kind != ENTRY_KEY || e->timers[0] || e->timers[1])
		return;
	for (uint32_t i = 0; i < s->state_count; i++)
		if (e->cells[i].kind != CELL_EMPTY)
			return;
	wr_entry_free(s, id);
}

/* ---- life ---- */

int wr_memory_init(struct memory *s, const struct wr_store_options *o)
{
	struct wr_mem *mem = s->mem;

	s->state_count = o->state_count;
	s->entry_size = (uint32_t)(sizeof(struct entry) + o->state_count * sizeof(struct cell) + 63) & ~63u;
	s->chunk_size = CHUNK_ENTRIES * (s->entry_size + (s->lower ? (uint32_t)sizeof(uint32_t) : 0));
	s->max_parallelism = o->max_parallelism;
	s->group_first = o->group_first;
	s->group_last = o->group_last;
	s->epoch = 1;
	s->retired.last = &s->retired.first;
	s->retired_chunks.last = &s->retired_chunks.first;
	s->key_cap = 512;
	s->key = s->key_room = wr_alloc(mem, s->key_cap);
	s->states = wr_zalloc(mem, (o->state_count + 1) * sizeof *s->states);
	s->uid = wr_strdup(mem, o->operator_uid ? o->operator_uid : "");
	for (int i = 0; i < 2; i++)
		s->timers[i] = wr_timers_new(mem);
	if (wr_index_init(&s->index, mem) != WR_OK || !s->key_room || !s->states || !s->uid ||
	    !s->timers[0] || !s->timers[1])
		return WR_EFATAL;
	for (uint32_t i = 0; i < o->state_count; i++) {
		s->states[i] = o->states[i];
		s->states[i].name = wr_strdup(mem, o->states[i].name);
		s->has_ttl |= o->states[i].ttl_ms != 0;
		if (!s->states[i].name)
			return WR_EFATAL;
	}
	return WR_OK;
}

struct wr_mem *wr_memory_account(const struct wr_store_options *o)
{
	return o->mem ? o->mem : &mem_default;
}

struct wr_store *wr_memory_new(const struct wr_store_options *o)
{
	struct wr_mem *mem = wr_memory_account(o);
	struct memory *s = wr_zalloc(mem, sizeof *s);

	if (!s)
		return NULL;
	s->base.backend = &wr_backend_memory;
	s->mem = mem;
	if (wr_memory_init(s, o) == WR_OK)
		return &s->base;
	wr_memory_free(&s->base);
	return NULL;
}

static void cell_free(struct memory *s, struct cell *c)
{
	if (c->kind == CELL_BLOCK || c->kind == CELL_LIST)
		wr_free(s->mem, c->block);
}

/* Blocks of all entries; stores of short keys and small values have none and are not walked. */
static void blocks_free(struct memory *s)
{
	for (uint32_t id = 1; s->outside && id <= s->used; id++) {
		struct entry *e = entry_at(s, id);

		if (e->kind == ENTRY_FREE)
			continue;
		if (e->key_len + e->ns_len > KEY_INLINE)
			wr_free(s->mem, e->address);
		if (e->kind == ENTRY_KEY)
			wr_timers_drop(s, e);
		for (uint32_t i = 0; i < (e->kind == ENTRY_KEY ? s->state_count : 1); i++)
			cell_free(s, &e->cells[i]);
	}
}

void wr_memory_deinit(struct memory *s)
{
	wr_memory_sweep(s, INT64_MAX);
	WR_ASSERT(s->frozen_count == 0 && !s->retired.first && !s->retired_chunks.first);
	blocks_free(s);
	for (uint32_t i = 0; s->states && i < s->state_count; i++)
		wr_free(s->mem, (void *)s->states[i].name);
	wr_timers_free(s->timers[0]);
	wr_timers_free(s->timers[1]);
	wr_index_deinit(&s->index);
	wr_chunks_free(s);
	wr_free(s->mem, s->chunk_table);
	wr_free(s->mem, s->states);
	wr_free(s->mem, s->key_room);
	wr_free(s->mem, s->marks);
	wr_free(s->mem, s->uid);
}

void wr_memory_free(struct wr_store *store)
{
	struct memory *s = memory_of(store);

	wr_memory_deinit(s);
	wr_free(s->mem, s);
}

void wr_memory_set_now(struct wr_store *store, int64_t now_ms)
{
	struct memory *s = memory_of(store);

	if (s->has_key && s->current)
		wr_entry_release(s, s->current); /* the callback of the last timer may have left it empty */
	if (WR_UNLIKELY(s->has_ttl && now_ms != s->now_ms)) {
		s->now_ms = now_ms;
		wr_memory_expire(s, EXPIRED_A_BATCH);
	}
	s->now_ms = now_ms;
	if (WR_UNLIKELY(s->frozen_count || s->retired.first || s->retired_chunks.first))
		wr_memory_sweep(s, GIVEN_A_BATCH);
}

int wr_memory_status(const struct wr_store *store)
{
	const struct memory *s = memory_of(store);

	return s->failed ? wr_error_set(WR_EFATAL, "no memory for the state of '%s'", s->uid) : WR_OK;
}

uint64_t wr_memory_keys(const struct wr_store *store)
{
	const struct memory *s = memory_of(store);

	return s->keys;
}

/* ---- current key ---- */

static int key_room(struct memory *s, uint32_t len)
{
	bool ours = s->key == s->key_room;

	if (WR_LIKELY(len <= s->key_cap))
		return WR_OK;
	if (WR_GROW(s->mem, s->key_room, s->key_cap, len) != WR_OK)
		return WR_EFATAL;
	if (ours)
		s->key = s->key_room;
	return WR_OK;
}

static inline bool is_owned(const struct memory *s, uint64_t hash)
{
	uint32_t group = wr_key_group(hash, s->max_parallelism);

	return group >= s->group_first && group <= s->group_last;
}

static void key_changed(struct memory *s, uint32_t len, uint64_t hash)
{
	WR_CHECK(is_owned(s, hash));
	s->key_len = len;
	s->ns_len = 0;
	s->hash = hash;
	s->has_key = true;
	s->looked_up = false;
	s->current = NONE;
}

int wr_memory_set_key(struct wr_store *store, const uint8_t *key, uint32_t len, uint64_t hash)
{
	struct memory *s = memory_of(store);

	if (key_room(s, len) != WR_OK)
		return WR_EFATAL;
	memcpy(s->key_room, key, len);
	s->key = s->key_room;
	key_changed(s, len, hash);
	return WR_OK;
}

void wr_memory_set_short(struct wr_store *store, const struct wr_short_key *key)
{
	struct memory *s = memory_of(store);

	s->key = key->bytes;
	key_changed(s, key->len, key->hash);
	if (WR_UNLIKELY(key->len > KEY_INLINE))
		return;
	s->current = find_short(s, key);
	s->looked_up = s->current || !s->lower;
}

void wr_memory_unset_key(struct wr_store *store)
{
	struct memory *s = memory_of(store);

	s->has_key = false;
	s->looked_up = false;
	s->current = NONE;
}

int wr_memory_has_key(const struct wr_store *store)
{
	const struct memory *s = memory_of(store);

	return s->has_key;
}

const uint8_t *wr_memory_key(const struct wr_store *store, uint32_t *len)
{
	const struct memory *s = memory_of(store);

	*len = s->key_len;
	return s->has_key ? s->key : NULL;
}

int wr_memory_set_namespace(struct wr_store *store, const uint8_t *ns, uint32_t len)
{
	struct memory *s = memory_of(store);

	WR_ASSERT(s->has_key);
	if (len > UINT16_MAX)
		return wr_error_set(WR_EUSER, "a namespace of %u bytes", len);
	if (key_room(s, s->key_len + len) != WR_OK)
		return WR_EFATAL;
	if (s->key != s->key_room) {
		memcpy(s->key_room, s->key, s->key_len);
		s->key = s->key_room;
	}
	memcpy(s->key_room + s->key_len, ns, len);
	s->ns_len = len;
	s->looked_up = false;
	s->current = NONE;
	return WR_OK;
}

const uint8_t *wr_memory_namespace(const struct wr_store *store, uint32_t *len)
{
	const struct memory *s = memory_of(store);

	*len = s->ns_len;
	return s->key + s->key_len;
}

int wr_entry_select(struct memory *s, uint32_t id)
{
	const struct entry *e = entry_at(s, id);
	int rc = wr_memory_set_key(&s->base, entry_key(e), e->key_len, e->hash);

	if (rc == WR_OK && e->ns_len)
		rc = wr_memory_set_namespace(&s->base, entry_key(e) + e->key_len, e->ns_len);
	s->current = id;
	s->looked_up = true;
	return rc;
}

/* What the first state of entries has outside of them; those are on their way. */
static void prefetch_blocks(const struct memory *s, const uint32_t *ids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct cell *c = &entry_at(s, ids[i])->cells[0];

		if (c->kind != CELL_BLOCK)
			continue;
		__builtin_prefetch(c->block);
		__builtin_prefetch((const char *)c->block + 64);
	}
}

void wr_memory_prefetch(struct wr_store *store, const struct wr_short_key *keys, uint32_t count)
{
	struct memory *s = memory_of(store);
	enum { NEAR_ANYWAY = 2048 }; /* so few entries stay in the cache by themselves */
	uint32_t ids[WR_KEYS_MAX], found = 0;

	WR_ASSERT(count <= WR_KEYS_MAX);
	if (s->index.live < NEAR_ANYWAY)
		return;
	for (uint32_t i = 0; i < count; i++)
		wr_index_prefetch(&s->index, wr_lookup_tag(keys[i].hash));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t tag = wr_lookup_tag(keys[i].hash);
		struct index_table t = wr_index_table(&s->index, tag);
		uint64_t at = tag & t.mask;
		const char *e;

		while (t.slots[at] && (uint32_t)(t.slots[at] >> 32) != tag)
			at = (at + 1) & t.mask;
		if (!t.slots[at])
			continue;
		ids[found] = (uint32_t)t.slots[at];
		e = (const char *)entry_at(s, ids[found++]);
		__builtin_prefetch(e);
		__builtin_prefetch(e + 64);
	}
	if (s->outside && s->state_count)
		prefetch_blocks(s, ids, found);
}

int wr_memory_next(struct wr_store *store, uint64_t *cursor)
{
	struct memory *s = memory_of(store);

	while (*cursor < s->used) {
		uint32_t id = (uint32_t)++ * cursor;

		if (entry_at(s, id)->kind == ENTRY_KEY) {
			int rc = wr_entry_select(s, id);

			return rc == WR_OK ? 1 : rc;
		}
	}
	return 0;
}

/* ---- the table ---- */

const struct wr_backend wr_backend_memory = {
    .name = "memory",
    .new = wr_memory_new,
    .free = wr_memory_free,
    WR_MEMORY_CALLS,
    .prefetch = wr_memory_prefetch,
    .merge = wr_memory_merge,
    .map_get = wr_memory_map_get,
    .map_put = wr_memory_map_put,
    .map_next = wr_memory_map_next,
    .timer_add = wr_memory_timer_add,
    .timer_next = wr_memory_timer_next,
    .timer_earliest = wr_memory_timer_earliest,
    .timer_latest = wr_memory_timer_latest,
    .status = wr_memory_status,
    .set_now = wr_memory_set_now,
    .next = wr_memory_next,
    .keys = wr_memory_keys,
    .freeze = wr_memory_freeze,
    .frozen_unref = wr_memory_frozen_unref,
    .frozen_copied = wr_memory_frozen_copied,
    .frozen_each = wr_memory_frozen_each,
    .frozen_timers = wr_memory_frozen_timers,
    .frozen_epoch = wr_memory_frozen_epoch,
    .frozen_changes = wr_memory_frozen_changes,
    .frozen_each_of = wr_memory_frozen_each_of,
    .frozen_timers_of = wr_memory_frozen_timers_of,
    .load = wr_memory_load,
};
