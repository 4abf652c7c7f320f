/* SPDX-License-Identifier: Apache-2.0 */
/* timers: which timers there are is in the entries, so that freezing the entries freezes them; in
 * what order they are due is in buckets (buckets.h).
 *
 * An entry has one time of a kind in place, more in a sorted block. Removing a timer takes it out of
 * its entry; its place in the bucket is skipped when its time comes. Rejected: one set over
 * (entry, time), which cost a cache miss a timer and had to be copied whole at a freeze.
 */
#include "base/assert.h"
#include "base/error.h"
#include "state/buckets.h"
#include "state/memory.h"

struct timers {
	struct buckets buckets;
};

enum { TIMES_MIN = 6, NEAR = 16 };

struct timers *wr_timers_new(struct wr_mem *mem)
{
	struct timers *t = wr_zalloc(mem, sizeof *t);

	if (t)
		t->buckets.mem = mem;
	return t;
}

void wr_timers_free(struct timers *t)
{
	struct wr_mem *mem = t ? t->buckets.mem : NULL;

	if (!t)
		return;
	wr_buckets_deinit(&t->buckets);
	wr_free(mem, t);
}

bool wr_timers_any(const struct timers *t)
{
	return wr_buckets_first(&t->buckets) != NULL;
}

/* ---- the times of an entry ---- */

static int64_t *times_of(struct block *b)
{
	return (int64_t *)b->data + b->used;
}

/* Position of the first time that is not before time_ms. */
static uint32_t times_find(const struct entry *e, uint32_t kind, int64_t time_ms)
{
	uint32_t from = 0, to = e->timers[kind];

	if (to && timer_at(e, kind, to - 1) < time_ms)
		return to;
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (timer_at(e, kind, middle) < time_ms)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool times_has(const struct entry *e, uint32_t kind, int64_t time_ms)
{
	uint32_t at;

	if (e->timers[kind] <= 1)
		return e->timers[kind] && e->timer[kind].time_ms == time_ms;
	at = times_find(e, kind, time_ms);
	return at < e->timers[kind] && timer_at(e, kind, at) == time_ms;
}

/* The block of times with room for one more behind them, not shared with a version. NULL: no memory. */
static struct block *times_room(struct memory *s, struct entry *e, uint32_t kind)
{
	uint32_t count = e->timers[kind];
	struct block *b = count > 1 ? e->timer[kind].times : NULL, *more;

	if (b && !wr_shared(s, b->epoch)) {
		if ((b->used + count + 1) * UINT64_C(8) <= b->cap)
			return b;
		if (b->used >= count) { /* half of it is gone: to the front */
			memmove(b->data, times_of(b), count * sizeof(int64_t));
			b->used = 0;
			return b;
		}
	}
	if (count >= UINT32_MAX / 16) {
		wr_error_set(WR_EUSER, "more than %u timers of one key", UINT32_MAX / 16);
		return NULL;
	}
	more = wr_block_new(s, (count < TIMES_MIN / 2 ? TIMES_MIN : 2 * count) * (uint32_t)sizeof(int64_t));
	if (!more)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		times_of(more)[i] = timer_at(e, kind, i);
	wr_block_drop(s, b);
	return more;
}

static int times_add(struct memory *s, struct entry *e, uint32_t kind, int64_t time_ms)
{
	uint32_t count = e->timers[kind], at = times_find(e, kind, time_ms);

	if (count) {
		struct block *b = times_room(s, e, kind);
		int64_t *times;

		if (!b)
			return wr_error_code();
		times = times_of(b);
		memmove(times + at + 1, times + at, (count - at) * sizeof *times);
		times[at] = time_ms;
		e->timer[kind].times = b;
	} else {
		e->timer[kind].time_ms = time_ms;
	}
	e->timers[kind]++;
	return WR_OK;
}

/* Takes out a time that is there. WR_EFATAL: no memory for a copy that no version sees; it stays. */
static int times_remove(struct memory *s, struct entry *e, uint32_t kind, int64_t time_ms)
{
	uint32_t count = e->timers[kind], at;
	struct block *b = e->timer[kind].times;
	int64_t *times;

	if (count == 1) {
		e->timers[kind] = 0;
		return WR_OK;
	}
	at = times_find(e, kind, time_ms);
	if (count == 2) {
		int64_t other = timer_at(e, kind, 1 - at);

		wr_block_drop(s, b);
		e->timer[kind].time_ms = other;
		e->timers[kind] = 1;
		return WR_OK;
	}
	if (wr_shared(s, b->epoch)) {
		b = times_room(s, e, kind);
		if (!b)
			return WR_EFATAL;
		e->timer[kind].times = b;
	}
	times = times_of(b);
	if (at == 0)
		b->used++;
	else
		memmove(times + at, times + at + 1, (count - at - 1) * sizeof *times);
	e->timers[kind]--;
	return WR_OK;
}

void wr_timers_drop(struct memory *s, struct entry *e)
{
	for (uint32_t kind = 0; kind < 2; kind++)
		if (e->timers[kind] > 1)
			wr_free(s->mem, e->timer[kind].times);
}

/* ---- the contract ---- */

int wr_memory_timer_add(struct wr_store *store, uint32_t kind, int64_t time_ms)
{
	struct memory *s = memory_of(store);
	struct timers *t = s->timers[kind];
	uint32_t id = wr_entry_current(s, true);
	struct bucket *b;
	struct entry *e;
	int rc;

	if (!id)
		return WR_EFATAL;
	if (times_has(entry_at(s, id), kind, time_ms))
		return WR_OK;
	e = wr_entry_own(s, id);
	b = e ? wr_bucket_for(&t->buckets, time_ms) : NULL;
	rc = b ? times_add(s, e, kind, time_ms) : WR_EFATAL;
	if (rc != WR_OK) {
		wr_buckets_trim(&t->buckets); /* a bucket that was made for it alone */
		return rc;
	}
	b->ids[b->count++] = id;
	b->live++;
	return WR_OK;
}

/* Takes the timer out of its entry, which has it. */
static int timer_take(struct memory *s, uint32_t kind, uint32_t id, struct bucket *b)
{
	struct entry *e = wr_entry_own(s, id);

	if (!e || times_remove(s, e, kind, b->time_ms) != WR_OK)
		return WR_EFATAL;
	b->live--;
	return WR_OK;
}

struct asked {
	const struct memory *s;
	uint32_t kind;
};

static bool has_timer(void *arg, uint32_t id, int64_t time_ms)
{
	const struct asked *a = arg;
	const struct entry *e = entry_at(a->s, id);

	return e->kind == ENTRY_KEY && times_has(e, a->kind, time_ms);
}

void wr_memory_timer_remove(struct wr_store *store, uint32_t kind, int64_t time_ms)
{
	struct memory *s = memory_of(store);
	struct buckets *all = &s->timers[kind]->buckets;
	uint32_t id = wr_entry_current(s, false);
	struct asked a = {s, kind};
	struct bucket *b;

	if (!id || !times_has(entry_at(s, id), kind, time_ms))
		return;
	b = wr_bucket_at(all, time_ms);
	WR_ASSERT(b);
	if (timer_take(s, kind, id, b) != WR_OK)
		return;
	wr_bucket_removed(all, b, s->used, has_timer, &a);
	wr_entry_release(s, id);
}

int wr_timers_clear(struct memory *s, uint32_t id)
{
	for (uint32_t kind = 0; kind < 2; kind++) {
		struct buckets *all = &s->timers[kind]->buckets;
		struct asked a = {s, kind};

		while (entry_at(s, id)->timers[kind]) {
			struct bucket *b = wr_bucket_at(all, timer_at(entry_at(s, id), kind, 0));

			WR_ASSERT(b);
			if (timer_take(s, kind, id, b) != WR_OK)
				return WR_EFATAL;
			wr_bucket_removed(all, b, s->used, has_timer, &a);
		}
	}
	return WR_OK;
}

/* Entries of timers that are due soon; then, when those are there, what they lead to: their place in the
 * index, for when they become empty, and a value that lies outside. */
static void bring_near(const struct memory *s, const struct bucket *b)
{
	if (b->taken + 2 * NEAR < b->count) {
		const char *e = (const char *)entry_at(s, b->ids[b->taken + 2 * NEAR]);

		__builtin_prefetch(e);
		__builtin_prefetch(e + 64);
	}
	if (b->taken + NEAR < b->count) {
		const struct entry *e = entry_at(s, b->ids[b->taken + NEAR]);

		wr_index_prefetch(&s->index, e->lookup);
		if (s->state_count && e->cells[0].kind == CELL_BLOCK)
			__builtin_prefetch(e->cells[0].block->data);
	}
}

int wr_memory_timer_next(struct wr_store *store, uint32_t kind, int64_t upto_ms, int64_t *time_ms)
{
	struct memory *s = memory_of(store);
	struct buckets *all = &s->timers[kind]->buckets;
	struct bucket *b;

	/* the entry of the timer before this one, which its callback may have left empty */
	if (s->has_key && s->current)
		wr_entry_release(s, s->current);
	while ((b = wr_buckets_first(all)) && b->time_ms <= upto_ms) {
		const struct entry *e;
		uint32_t id;

		wr_bucket_settle(all, b);
		WR_ASSERT(b->taken < b->count);
		bring_near(s, b);
		id = b->ids[b->taken];
		e = entry_at(s, id);
		if (e->kind == ENTRY_KEY && times_has(e, kind, b->time_ms)) {
			int rc = wr_entry_select(s, id);

			if (rc != WR_OK || (rc = timer_take(s, kind, id, b)) != WR_OK)
				return rc;
			b->taken++;
			*time_ms = b->time_ms;
			wr_buckets_trim(all);
			return 1;
		}
		b->taken++;
	}
	return 0;
}

int64_t wr_memory_timer_earliest(const struct wr_store *store, enum wr_timer_kind kind)
{
	const struct bucket *b = wr_buckets_first(&memory_of(store)->timers[kind]->buckets);

	return b ? b->time_ms : INT64_MAX;
}

int64_t wr_memory_timer_latest(const struct wr_store *store, enum wr_timer_kind kind)
{
	const struct buckets *all = &memory_of(store)->timers[kind]->buckets;
	int64_t latest = INT64_MIN;

	for (uint32_t i = 0; i < all->heap_count; i++) {
		const struct bucket *b = &all->list[all->heap[i]];

		if (b->live && b->time_ms > latest)
			latest = b->time_ms;
	}
	return latest;
}
