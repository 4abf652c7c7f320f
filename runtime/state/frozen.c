/* SPDX-License-Identifier: Apache-2.0 */
/* frozen: versions of a store that other threads read while the owner goes on.
 *
 * Freezing notes where things are and begins a new epoch; it touches no chunk, so it takes the same
 * time for ten keys and for ten million. A reader goes from the chunk it finds back through `older` to
 * the one its version knew. A version is closed by its readers' last unref; the owner notices at
 * its next batch and gives back what no open version sees, so all of that is touched by the owner alone.
 *
 * What is kept for versions alone, old chunks and old blocks, is an account of its own with a bound. Beyond
 * it the youngest reader of a store is cancelled at the store's next batch; a checkpoint never is, and tasks
 * wait for theirs (task/task.c). Each store sees to its own readers: one without changes adds nothing.
 *
 * Memory order: the owner publishes a copied chunk with release, readers take it with acquire, so they see
 * its epoch and `older`; an entry that a version sees is never written again.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "state/memory.h"

enum { AHEAD = 2048 }; /* bytes */

static struct memory_frozen *memory_frozen_of(const struct wr_frozen *frozen)
{
	return (struct memory_frozen *)frozen;
}

static struct wr_mem frozen_mem = WR_MEM_INIT("state.frozen");
static _Atomic int64_t bytes_max = INT64_MAX;

void wr_frozen_bound(int64_t bytes)
{
	atomic_store(&bytes_max, bytes);
}

bool wr_frozen_full(void)
{
	return atomic_load_explicit(&frozen_mem.bytes, memory_order_relaxed) >
	       atomic_load_explicit(&bytes_max, memory_order_relaxed);
}

/* A place is kept for a checkpoint. */
struct wr_frozen *wr_memory_freeze(struct wr_store *store, bool reader)
{
	struct memory *s = memory_of(store);
	uint32_t open_max = reader ? WR_FROZEN_MAX - 1 : WR_FROZEN_MAX;
	struct memory_frozen *f;

	wr_memory_sweep(s, 0);
	if (s->frozen_count >= open_max) {
		wr_error_set(WR_ETRANSIENT, "%u frozen versions are open", s->frozen_count);
		return NULL;
	}
	f = wr_zalloc(s->mem, sizeof *f);
	if (!f)
		return NULL;
	f->base.backend = &wr_backend_memory;
	f->refs = 1;
	f->reader = reader;
	f->chunks = s->chunks;
	f->entry_size = s->entry_size;
	f->state_count = s->state_count;
	f->max_parallelism = s->max_parallelism;
	f->used = s->used;
	f->timers = wr_timers_any(s->timers[0]) || wr_timers_any(s->timers[1]);
	f->epoch = s->newest_open = s->epoch++;
	s->frozen[s->frozen_count++] = f;
	return &f->base;
}

void wr_memory_frozen_unref(struct wr_frozen *frozen)
{
	struct memory_frozen *f = memory_frozen_of(frozen);

	atomic_fetch_sub_explicit(&f->refs, 1, memory_order_release);
}

static void hold(struct memory *s, int64_t bytes)
{
	wr_mem_charge(s->mem, -bytes);
	wr_mem_charge(&frozen_mem, bytes);
}

static int64_t block_bytes(const struct block *b)
{
	return (int64_t)(sizeof *b + b->cap);
}

void wr_block_retire(struct memory *s, struct block *b)
{
	b->retired_epoch = s->epoch;
	b->retired = NULL;
	*s->retired.last = b;
	s->retired.last = &b->retired;
	hold(s, block_bytes(b));
}

void wr_chunk_retire(struct memory *s, struct chunk *c)
{
	c->retired_epoch = s->epoch;
	c->retired = NULL;
	*s->retired_chunks.last = c;
	s->retired_chunks.last = &c->retired;
	hold(s, wr_chunk_bytes(s));
}

/* What was retired in epoch e is seen by versions older than e. About `most` bytes at a time: what a large
 * version has kept takes a while to go. */
static bool sweep_retired(struct memory *s, uint32_t oldest, int64_t most)
{
	while (s->retired.first && s->retired.first->retired_epoch <= oldest && most > 0) {
		struct block *b = s->retired.first;

		s->retired.first = b->retired;
		most -= block_bytes(b);
		hold(s, -block_bytes(b));
		wr_free(s->mem, b);
	}
	if (!s->retired.first)
		s->retired.last = &s->retired.first;
	while (s->retired_chunks.first && s->retired_chunks.first->retired_epoch <= oldest && most > 0) {
		struct chunk *c = s->retired_chunks.first;

		s->retired_chunks.first = c->retired;
		most -= wr_chunk_bytes(s);
		hold(s, -wr_chunk_bytes(s));
		wr_chunk_give(s, c);
	}
	if (!s->retired_chunks.first)
		s->retired_chunks.last = &s->retired_chunks.first;
	return most > 0;
}

/* One at a time: what it holds is free when it has noticed. */
static void cancel_reader(struct memory *s)
{
	struct memory_frozen *youngest = NULL;

	for (uint32_t i = 0; i < s->frozen_count; i++) {
		if (atomic_load_explicit(&s->frozen[i]->cancelled, memory_order_relaxed))
			return;
		if (s->frozen[i]->reader)
			youngest = s->frozen[i];
	}
	if (youngest)
		atomic_store_explicit(&youngest->cancelled, true, memory_order_relaxed);
}

int wr_memory_frozen_check(const struct memory_frozen *f)
{
	if (WR_LIKELY(!atomic_load_explicit(&f->cancelled, memory_order_relaxed)))
		return WR_OK;
	return wr_error_set(WR_ETRANSIENT,
			    "the reader was cancelled: state changes faster than it reads, and what is kept "
			    "for it takes more than %lld bytes (--frozen-memory)",
			    (long long)atomic_load(&bytes_max));
}

int wr_memory_settle(struct wr_store *store)
{
	return wr_memory_sweep(memory_of(store), GIVEN_A_BATCH);
}

bool wr_memory_sweep(struct memory *s, int64_t most)
{
	uint32_t kept = 0, oldest = UINT32_MAX;
	bool all;

	s->newest_open = 0;
	for (uint32_t i = 0; i < s->frozen_count; i++) {
		struct memory_frozen *f = s->frozen[i];

		if (!atomic_load_explicit(&f->refs, memory_order_acquire)) {
			wr_free(s->mem, f);
			continue;
		}
		s->frozen[kept++] = f;
		oldest = f->epoch < oldest ? f->epoch : oldest;
		s->newest_open = f->epoch > s->newest_open ? f->epoch : s->newest_open;
	}
	s->frozen_count = kept;
	all = sweep_retired(s, oldest, most);
	if (WR_UNLIKELY(wr_frozen_full()))
		cancel_reader(s);
	return all;
}

void wr_frozen_count(struct memory *s, int64_t bytes)
{
	atomic_fetch_add_explicit(&s->frozen[s->frozen_count - 1]->copied, bytes, memory_order_relaxed);
}

int64_t wr_memory_frozen_copied(const struct wr_frozen *frozen)
{
	const struct memory_frozen *f = memory_frozen_of(frozen);

	return atomic_load_explicit(&f->copied, memory_order_relaxed);
}

/* All entries in order; those that come soon are fetched meanwhile. */
struct walk {
	const struct memory_frozen *f;
	struct chunk *chunk;
	uint32_t id; /* the last that was given, 0 = none */
};

static inline const struct entry *walk_next(struct walk *w)
{
	const struct entry *e;

	if (w->id++ == w->f->used)
		return NULL;
	if (!w->chunk || w->id % CHUNK_ENTRIES == 0)
		w->chunk = frozen_chunk(w->f, w->id / CHUNK_ENTRIES);
	e = entry_in(w->chunk, w->id, w->f->entry_size);
	__builtin_prefetch((const uint8_t *)e + AHEAD);
	__builtin_prefetch((const uint8_t *)e + AHEAD + 64);
	return e;
}

/* ---- items ---- */

static int each_list(const struct cell *c, struct wr_state_item *item,
		     int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	int rc = WR_OK;

	item->position = 0;
	for (uint32_t at = 0; rc == WR_OK && item->position < c->count; item->position++) {
		item->value = (const struct wr_sval *)(c->block->data + at + 8);
		memcpy(&item->stamp_ms, c->block->data + at, 8);
		rc = each(item, arg);
		at += 8 + (uint32_t)sizeof *item->value + item->value->len;
	}
	item->position = 0;
	return rc;
}

static int each_value(const struct cell *c, struct wr_state_item *item,
		      int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	item->stamp_ms = c->stamp_ms;
	item->value = wr_cell_value(c);
	return each(item, arg);
}

/* The entry of a map; key and namespace of `item` are its owner's. */
static int each_map_entry(const struct entry *e, uint32_t id, struct wr_state_item *item,
			  int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	item->id = id;
	item->map_key = entry_key(e);
	item->map_key_len = e->key_len;
	return each_value(&e->cells[0], item, each, arg);
}

static int each_map(const struct memory_frozen *f, const struct cell *c, struct wr_state_item *item,
		    int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	struct wr_state_item mine = *item;
	int rc = WR_OK;

	for (uint32_t id = c->map.first; id && rc == WR_OK;) {
		const struct entry *e = frozen_entry(f, id);

		rc = each_map_entry(e, id, &mine, each, arg);
		id = e->next;
	}
	return rc;
}

/* Whose the items are that come next. */
static void item_of(const struct memory_frozen *f, const struct entry *e, uint32_t id,
		    struct wr_state_item *item)
{
	item->key = entry_key(e);
	item->key_len = e->key_len;
	item->ns = item->key + e->key_len;
	item->ns_len = e->ns_len;
	item->group = wr_key_group(e->hash, f->max_parallelism);
	item->id = id;
}

/* States of a key; `maps`: with the entries of its maps. */
static int each_state(const struct memory_frozen *f, const struct entry *e, bool maps,
		      struct wr_state_item *item, int (*each)(const struct wr_state_item *item, void *arg),
		      void *arg)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < f->state_count && rc == WR_OK; i++) {
		const struct cell *c = &e->cells[i];

		item->state = i;
		if (c->kind == CELL_LIST)
			rc = each_list(c, item, each, arg);
		else if (c->kind == CELL_MAP)
			rc = maps ? each_map(f, c, item, each, arg) : WR_OK;
		else if (c->kind != CELL_EMPTY)
			rc = each_value(c, item, each, arg);
	}
	return rc;
}

int wr_memory_frozen_each(struct wr_frozen *frozen, uint32_t group,
			  int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	struct memory_frozen *f = memory_frozen_of(frozen);
	struct wr_state_item item = {0};
	struct walk w = {.f = f};
	const struct entry *e;
	int rc = wr_memory_frozen_check(f);

	while (rc == WR_OK && (e = walk_next(&w))) {
		if (e->kind != ENTRY_KEY)
			continue;
		item_of(f, e, w.id, &item);
		if (group == WR_ALL_GROUPS || item.group == group)
			rc = each_state(f, e, true, &item, each, arg);
		rc = rc == WR_OK ? wr_memory_frozen_check(f) : rc;
	}
	return rc;
}

/* ---- timers ---- */

static int each_timer(const struct memory_frozen *f, const struct entry *e, uint32_t id,
		      int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	struct wr_timer_item item = {.key = entry_key(e),
				     .ns = entry_key(e) + e->key_len,
				     .key_len = e->key_len,
				     .ns_len = e->ns_len,
				     .group = wr_key_group(e->hash, f->max_parallelism),
				     .id = id};
	int rc = WR_OK;

	for (item.kind = 0; item.kind < 2; item.kind++)
		for (uint32_t i = 0; i < e->timers[item.kind] && rc == WR_OK; i++) {
			item.time_ms = timer_at(e, item.kind, i);
			rc = each(&item, arg);
		}
	return rc;
}

int wr_memory_frozen_timers(struct wr_frozen *frozen, uint32_t group,
			    int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	struct memory_frozen *f = memory_frozen_of(frozen);
	struct walk w = {.f = f};
	const struct entry *e;
	int rc = wr_memory_frozen_check(f);

	while (rc == WR_OK && f->timers && (e = walk_next(&w))) {
		if (e->kind == ENTRY_KEY &&
		    (group == WR_ALL_GROUPS || wr_key_group(e->hash, f->max_parallelism) == group))
			rc = each_timer(f, e, w.id, each, arg);
		rc = rc == WR_OK ? wr_memory_frozen_check(f) : rc;
	}
	return rc;
}

/* ---- one entry ---- */

int wr_memory_frozen_entry(const struct memory_frozen *f, uint32_t id,
			   int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	const struct entry *e = frozen_entry(f, id);
	struct wr_state_item item = {0};

	item_of(f, e, id, &item);
	return each_state(f, e, true, &item, each, arg);
}

int wr_memory_frozen_entry_timers(const struct memory_frozen *f, uint32_t id,
				  int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	return each_timer(f, frozen_entry(f, id), id, each, arg);
}

/* ---- what has changed ---- */

uint32_t wr_memory_frozen_epoch(const struct wr_frozen *frozen)
{
	return memory_frozen_of(frozen)->epoch;
}

int wr_memory_frozen_changes(const struct wr_frozen *frozen, uint32_t since, struct wr_bytes *ids,
			     uint32_t *of)
{
	const struct memory_frozen *f = memory_frozen_of(frozen);

	*of = f->used;
	for (uint32_t id = 1; id <= f->used;) {
		struct chunk *c = frozen_chunk(f, id / CHUNK_ENTRIES);
		uint32_t end = id - id % CHUNK_ENTRIES + CHUNK_ENTRIES;

		end = end - 1 < f->used ? end : f->used + 1;
		for (; c->changed > since && id < end; id++)
			if (entry_in(c, id, f->entry_size)->changed > since)
				wr_bytes_put(ids, &id, sizeof id);
		id = end;
	}
	return wr_bytes_status(ids);
}

int wr_memory_frozen_each_of(struct wr_frozen *frozen, uint32_t since, const uint32_t *ids, uint32_t count,
			     int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	struct memory_frozen *f = memory_frozen_of(frozen);
	int rc = WR_OK;

	(void)since;
	for (uint32_t i = 0; i < count && rc == WR_OK; i++) {
		const struct entry *e = frozen_entry(f, ids[i]);
		struct wr_state_item item = {0};

		if (e->kind == ENTRY_KEY) {
			item_of(f, e, ids[i], &item);
			rc = each_state(f, e, false, &item, each, arg);
		} else if (e->kind != ENTRY_FREE) {
			item_of(f, frozen_entry(f, e->owner), ids[i], &item);
			item.state = e->kind - ENTRY_MAP;
			rc = each_map_entry(e, ids[i], &item, each, arg);
		}
	}
	return rc;
}

int wr_memory_frozen_timers_of(struct wr_frozen *frozen, uint32_t since, const uint32_t *ids, uint32_t count,
			       int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	struct memory_frozen *f = memory_frozen_of(frozen);
	int rc = WR_OK;

	(void)since;
	for (uint32_t i = 0; i < count && rc == WR_OK && f->timers; i++) {
		const struct entry *e = frozen_entry(f, ids[i]);

		if (e->kind == ENTRY_KEY)
			rc = each_timer(f, e, ids[i], each, arg);
	}
	return rc;
}

/* Stamps are those of the item, as if it were put when it was. */
int wr_memory_load(struct wr_store *store, const struct wr_state_item *item)
{
	struct memory *s = memory_of(store);
	const struct wr_sval *v = item->value;
	int64_t now_ms = s->now_ms;
	int rc = wr_memory_set_key(store, item->key, item->key_len, wr_key_hash(item->key, item->key_len));
	uint8_t *to;

	if (rc == WR_OK)
		rc = wr_memory_set_namespace(store, item->ns, item->ns_len);
	if (rc != WR_OK)
		return rc;
	s->now_ms = item->stamp_ms;
	switch (s->states[item->state].kind) {
	case WR_STATE_LIST:
		to = wr_memory_list_add(store, item->state, v->shape, v->len);
		break;
	case WR_STATE_MAP:
		if (!item->map_key) {
			s->now_ms = now_ms;
			return wr_error_set(WR_EUSER, "an entry of a map has no key");
		}
		to =
		    wr_memory_map_put(store, item->state, item->map_key, item->map_key_len, v->shape, v->len);
		break;
	default:
		to = wr_memory_put(store, item->state, v->shape, v->len);
	}
	s->now_ms = now_ms;
	if (!to)
		return wr_error_code();
	memcpy(to, v->body, v->len);
	return WR_OK;
}
