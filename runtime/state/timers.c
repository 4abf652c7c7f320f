/* SPDX-License-Identifier: Apache-2.0 */
/* timers: which timers there are is in the entries, so that freezing the entries freezes them; in
 * what order they are due is in buckets, one a distinct time, in a heap, each with the ids of the
 * entries that asked for it.
 *
 * An entry has one time of a kind in place, more in a sorted block. Removing a timer takes it out of
 * its entry; its place in the bucket is skipped when its time comes, and a bucket of mostly
 * such places is made anew. Rejected: one set over (entry, time), which cost a cache miss a
 * timer and had to be copied whole at a freeze.
 */
#include <stdlib.h>
#include "base/assert.h"
#include "base/error.h"
#include "state/memory.h"

struct bucket {
	int64_t time_ms;
	uint32_t *ids;
	uint32_t count, cap, taken; /* [taken, count) are left */
	uint32_t live;		    /* timers among them */
	uint32_t next_free;
};

struct timers {
	struct wr_mem *mem;
	uint64_t count;
	/* buckets, found by time through an open-addressing index (0 = empty, else bucket + 1) */
	struct bucket *buckets;
	uint32_t bucket_count, bucket_cap, bucket_free;
	uint32_t last; /* bucket of the last timer added + 1: times repeat */
	uint32_t *index;
	uint32_t index_mask;
	uint32_t *heap; /* bucket numbers, by time */
	uint32_t heap_count;
};

enum { TIMES_MIN = 6, STALE_MIN = 64, NEAR = 16 };

static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 32) * 0xd6e8feb86659fd93ULL;
	return v ^ v >> 32;
}

struct timers *wr_timers_new(struct wr_mem *mem)
{
	struct timers *t = wr_zalloc(mem, sizeof *t);

	if (t)
		t->mem = mem;
	return t;
}

void wr_timers_free(struct timers *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->bucket_count; i++)
		wr_free(t->mem, t->buckets[i].ids);
	wr_free(t->mem, t->buckets);
	wr_free(t->mem, t->index);
	wr_free(t->mem, t->heap);
	wr_free(t->mem, t);
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

/* ---- buckets ---- */

static uint32_t *index_slot(const struct timers *t, int64_t time_ms)
{
	uint32_t at = (uint32_t)mix((uint64_t)time_ms) & t->index_mask;

	while (t->index[at] && t->buckets[t->index[at] - 1].time_ms != time_ms)
		at = (at + 1) & t->index_mask;
	return &t->index[at];
}

static int buckets_grow(struct timers *t)
{
	uint32_t cap = t->bucket_cap ? t->bucket_cap * 2 : 16;
	struct bucket *buckets = wr_realloc(t->mem, t->buckets, cap * sizeof *buckets);
	uint32_t *heap, *index;

	if (!buckets)
		return WR_EFATAL;
	t->buckets = buckets;
	heap = wr_realloc(t->mem, t->heap, cap * sizeof *heap);
	if (!heap)
		return WR_EFATAL;
	t->heap = heap;
	index = wr_zalloc(t->mem, (size_t)cap * 4 * sizeof *index);
	if (!index)
		return WR_EFATAL;
	wr_free(t->mem, t->index);
	t->index = index;
	t->index_mask = cap * 4 - 1;
	for (uint32_t i = 0; i < t->heap_count; i++)
		*index_slot(t, t->buckets[t->heap[i]].time_ms) = t->heap[i] + 1;
	t->bucket_cap = cap;
	return WR_OK;
}

static void heap_up(struct timers *t, uint32_t at)
{
	uint32_t b = t->heap[at];

	while (at && t->buckets[t->heap[(at - 1) / 2]].time_ms > t->buckets[b].time_ms) {
		t->heap[at] = t->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	t->heap[at] = b;
}

static void heap_pop(struct timers *t)
{
	uint32_t last = t->heap[--t->heap_count], at = 0;

	for (;;) {
		uint32_t child = at * 2 + 1;

		if (child >= t->heap_count)
			break;
		if (child + 1 < t->heap_count &&
		    t->buckets[t->heap[child + 1]].time_ms < t->buckets[t->heap[child]].time_ms)
			child++;
		if (t->buckets[last].time_ms <= t->buckets[t->heap[child]].time_ms)
			break;
		t->heap[at] = t->heap[child];
		at = child;
	}
	if (t->heap_count)
		t->heap[at] = last;
}

/* The bucket of `time_ms`, made if need be; NULL when memory is gone. */
static struct bucket *bucket_for(struct timers *t, int64_t time_ms)
{
	uint32_t *slot, n;
	struct bucket *b;

	if (t->last && t->buckets[t->last - 1].time_ms == time_ms)
		return &t->buckets[t->last - 1];
	if (t->heap_count == t->bucket_cap && buckets_grow(t) != WR_OK)
		return NULL;
	slot = index_slot(t, time_ms);
	if (*slot) {
		t->last = *slot;
		return &t->buckets[*slot - 1];
	}
	if (t->bucket_free) {
		n = t->bucket_free - 1;
		t->bucket_free = t->buckets[n].next_free;
	} else {
		n = t->bucket_count++;
		t->buckets[n] = (struct bucket){0};
	}
	b = &t->buckets[n];
	b->time_ms = time_ms;
	b->count = b->taken = b->live = 0;
	t->last = *slot = n + 1;
	t->heap[t->heap_count++] = n;
	heap_up(t, t->heap_count - 1);
	return b;
}

/* The earliest bucket is empty: out of heap and index. */
static void bucket_drop(struct timers *t)
{
	uint32_t n = t->heap[0], at, hole;
	struct bucket *b = &t->buckets[n];

	t->last = 0;
	hole = at = (uint32_t)(index_slot(t, b->time_ms) - t->index);
	for (;;) {
		uint32_t home;

		at = (at + 1) & t->index_mask;
		if (!t->index[at])
			break;
		home = (uint32_t)mix((uint64_t)t->buckets[t->index[at] - 1].time_ms) & t->index_mask;
		if (((at - home) & t->index_mask) >= ((at - hole) & t->index_mask)) {
			t->index[hole] = t->index[at];
			hole = at;
		}
	}
	t->index[hole] = 0;
	heap_pop(t);
	if (b->cap > 64) { /* a large one does not wait for its like */
		wr_free(t->mem, b->ids);
		b->ids = NULL;
		b->cap = 0;
	}
	b->next_free = t->bucket_free;
	t->bucket_free = n + 1;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Leaves one place for each timer of the bucket: those whose timers were removed go. */
static void bucket_compact(const struct memory *s, struct bucket *b, uint32_t kind)
{
	uint32_t kept = 0;

	memmove(b->ids, b->ids + b->taken, (b->count - b->taken) * sizeof *b->ids);
	b->count -= b->taken;
	b->taken = 0;
	qsort(b->ids, b->count, sizeof *b->ids, compare_ids);
	for (uint32_t i = 0; i < b->count; i++) {
		const struct entry *e = entry_at(s, b->ids[i]);

		if ((!kept || b->ids[kept - 1] != b->ids[i]) && e->kind == ENTRY_KEY &&
		    times_has(e, kind, b->time_ms))
			b->ids[kept++] = b->ids[i];
	}
	b->count = kept;
	WR_ASSERT(b->count == b->live);
}

static int bucket_room(struct timers *t, struct bucket *b)
{
	uint32_t cap = b->cap ? b->cap * 2 : 4, *ids;

	if (WR_LIKELY(b->count < b->cap))
		return WR_OK;
	ids = wr_realloc(t->mem, b->ids, cap * sizeof *ids);
	if (!ids)
		return WR_EFATAL;
	b->ids = ids;
	b->cap = cap;
	return WR_OK;
}

/* ---- the contract ---- */

/* The earliest bucket has timers, or there is none. */
static void heap_trim(struct timers *t)
{
	while (t->heap_count && !t->buckets[t->heap[0]].live)
		bucket_drop(t);
}

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
	b = e ? bucket_for(t, time_ms) : NULL;
	rc = b ? bucket_room(t, b) : WR_EFATAL;
	if (rc == WR_OK)
		rc = times_add(s, e, kind, time_ms);
	if (rc != WR_OK) {
		heap_trim(t); /* a bucket that was made for it alone */
		return rc;
	}
	b->ids[b->count++] = id;
	b->live++;
	t->count++;
	return WR_OK;
}

/* Takes the timer out of its entry, which has it. */
static int timer_take(struct memory *s, uint32_t kind, uint32_t id, struct bucket *b)
{
	struct entry *e = wr_entry_own(s, id);

	if (!e || times_remove(s, e, kind, b->time_ms) != WR_OK)
		return WR_EFATAL;
	b->live--;
	s->timers[kind]->count--;
	return WR_OK;
}

void wr_memory_timer_remove(struct wr_store *store, uint32_t kind, int64_t time_ms)
{
	struct memory *s = memory_of(store);
	struct timers *t = s->timers[kind];
	uint32_t id = wr_entry_current(s, false);
	struct bucket *b;

	if (!id || !times_has(entry_at(s, id), kind, time_ms))
		return;
	b = bucket_for(t, time_ms);
	if (!b || timer_take(s, kind, id, b) != WR_OK)
		return;
	if (b->count - b->taken > 2 * b->live + STALE_MIN)
		bucket_compact(s, b, kind);
	heap_trim(t);
	wr_entry_release(s, id);
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
	struct timers *t = s->timers[kind];

	/* the entry of the timer before this one, which its callback may have left empty */
	if (s->has_key && s->current)
		wr_entry_release(s, s->current);
	while (t->heap_count) {
		struct bucket *b = &t->buckets[t->heap[0]];
		const struct entry *e;
		uint32_t id;

		if (b->time_ms > upto_ms)
			return 0;
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
			heap_trim(t);
			return 1;
		}
		b->taken++;
	}
	return 0;
}

int64_t wr_memory_timer_earliest(const struct wr_store *store, enum wr_timer_kind kind)
{
	const struct memory *s = memory_of(store);
	const struct timers *t = s->timers[kind];

	return t->count ? t->buckets[t->heap[0]].time_ms : INT64_MAX;
}

int64_t wr_memory_timer_latest(const struct wr_store *store, enum wr_timer_kind kind)
{
	const struct timers *t = memory_of(store)->timers[kind];
	int64_t latest = INT64_MIN;

	for (uint32_t i = 0; i < t->heap_count; i++) {
		const struct bucket *b = &t->buckets[t->heap[i]];

		if (b->live && b->time_ms > latest)
			latest = b->time_ms;
	}
	return latest;
}
