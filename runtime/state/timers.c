/* SPDX-License-Identifier: Apache-2.0 */
/* timers: per kind a set of (entry, time), which is the truth, and buckets by time, which
 * give the order: a heap of distinct times, each with the entries that were registered for
 * it. Removing a timer takes it out of the set; its place in the bucket is skipped when its
 * time comes. Most jobs register few distinct times for many keys, or one key's same time
 * again and again: the latter is seen in the entry (timer_last) and costs nothing.
 */
#include "base/assert.h"
#include "base/error.h"
#include "state/store_priv.h"

struct bucket {
	int64_t time_ms;
	uint32_t *ids;
	uint32_t count, cap, taken; /* [taken, count) are left */
	uint32_t next_free;
};

struct timers {
	struct wr_mem *mem;
	/* set: open addressing; id 0 = empty */
	struct timer_pair *set;
	uint64_t mask, count;
	/* buckets, found by time through an open-addressing index (0 = empty, else bucket + 1) */
	struct bucket *buckets;
	uint32_t bucket_count, bucket_cap, bucket_free;
	uint32_t *index;
	uint32_t index_mask, index_used;
	uint32_t *heap; /* bucket numbers, by time */
	uint32_t heap_count;
};

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
	wr_free(t->mem, t->set);
	wr_free(t->mem, t);
}

/* ---- the set ---- */

static uint64_t set_home(const struct timers *t, uint32_t id, int64_t time_ms)
{
	return mix(((uint64_t)id << 32) ^ (uint64_t)time_ms) & t->mask;
}

static int set_grow(struct timers *t)
{
	struct timer_pair *old = t->set, *set;
	uint64_t slots = old ? (t->mask + 1) * 2 : 64, was = old ? t->mask + 1 : 0;

	set = wr_zalloc(t->mem, slots * sizeof *set);
	if (!set)
		return WR_EFATAL;
	t->set = set;
	t->mask = slots - 1;
	for (uint64_t i = 0; i < was; i++) {
		uint64_t at;

		if (!old[i].id)
			continue;
		for (at = set_home(t, old[i].id, old[i].time_ms); set[at].id; at = (at + 1) & t->mask)
			;
		set[at] = old[i];
	}
	wr_free(t->mem, old);
	return WR_OK;
}

/* Slot of the pair, or of the empty place where it would go. */
static uint64_t set_slot(const struct timers *t, uint32_t id, int64_t time_ms)
{
	uint64_t at = set_home(t, id, time_ms);

	while (t->set[at].id && (t->set[at].id != id || t->set[at].time_ms != time_ms))
		at = (at + 1) & t->mask;
	return at;
}

static bool set_remove(struct timers *t, uint32_t id, int64_t time_ms)
{
	uint64_t at, hole;

	if (!t->set)
		return false;
	hole = at = set_slot(t, id, time_ms);
	if (!t->set[at].id)
		return false;
	for (;;) {
		uint64_t home;

		at = (at + 1) & t->mask;
		if (!t->set[at].id)
			break;
		home = set_home(t, t->set[at].id, t->set[at].time_ms);
		if (((at - home) & t->mask) >= ((at - hole) & t->mask)) {
			t->set[hole] = t->set[at];
			hole = at;
		}
	}
	t->set[hole].id = 0;
	t->count--;
	return true;
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

	if (t->heap_count == t->bucket_cap && buckets_grow(t) != WR_OK)
		return NULL;
	slot = index_slot(t, time_ms);
	if (*slot)
		return &t->buckets[*slot - 1];
	if (t->bucket_free) {
		n = t->bucket_free - 1;
		t->bucket_free = t->buckets[n].next_free;
	} else {
		n = t->bucket_count++;
		t->buckets[n] = (struct bucket){0};
	}
	b = &t->buckets[n];
	b->time_ms = time_ms;
	b->count = b->taken = 0;
	*slot = n + 1;
	t->heap[t->heap_count++] = n;
	heap_up(t, t->heap_count - 1);
	return b;
}

/* The earliest bucket is empty: out of heap and index. */
static void bucket_drop(struct timers *t)
{
	uint32_t n = t->heap[0], at, hole;
	struct bucket *b = &t->buckets[n];

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

/* ---- the contract ---- */

int wr_timer_add(struct wr_store *s, uint32_t kind, int64_t time_ms)
{
	struct timers *t = s->timers[kind];
	uint32_t id = wr_entry_current(s, true);
	struct bucket *b;
	struct entry *e;
	uint64_t at;

	if (!id)
		return WR_EFATAL;
	if (entry_at(s, id)->timer_last[kind] == time_ms && time_ms != INT64_MIN)
		return WR_OK;
	e = wr_entry_own(s, id);
	if (!e)
		return WR_EFATAL;
	if (!t->set || (t->count + 1) * 10 > (t->mask + 1) * 6)
		if (set_grow(t) != WR_OK)
			return WR_EFATAL;
	at = set_slot(t, id, time_ms);
	if (t->set[at].id) {
		e->timer_last[kind] = time_ms;
		return WR_OK;
	}
	b = bucket_for(t, time_ms);
	if (!b)
		return WR_EFATAL;
	if (b->count == b->cap) {
		uint32_t cap = b->cap ? b->cap * 2 : 4;
		uint32_t *ids = wr_realloc(t->mem, b->ids, cap * sizeof *ids);

		if (!ids)
			return WR_EFATAL;
		b->ids = ids;
		b->cap = cap;
	}
	b->ids[b->count++] = id;
	t->set[at] = (struct timer_pair){id, time_ms};
	t->count++;
	e->timers++;
	e->timer_last[kind] = time_ms;
	return WR_OK;
}

/* The set has lost a timer of the entry. */
static void entry_lost(struct wr_store *s, uint32_t kind, uint32_t id, int64_t time_ms)
{
	struct entry *e = wr_entry_own(s, id);

	WR_ASSERT(e && e->timers);
	e->timers--;
	if (e->timer_last[kind] == time_ms)
		e->timer_last[kind] = INT64_MIN;
}

void wr_timer_remove(struct wr_store *s, uint32_t kind, int64_t time_ms)
{
	uint32_t id = wr_entry_current(s, false);

	if (!id || !set_remove(s->timers[kind], id, time_ms))
		return;
	entry_lost(s, kind, id, time_ms);
	wr_entry_release(s, id);
}

int wr_timer_next(struct wr_store *s, uint32_t kind, int64_t upto_ms, int64_t *time_ms)
{
	struct timers *t = s->timers[kind];

	/* the entry of the timer before this one, which its callback may have left empty */
	if (s->has_key && s->current)
		wr_entry_release(s, s->current);
	while (t->heap_count) {
		struct bucket *b = &t->buckets[t->heap[0]];
		uint32_t id;

		if (b->time_ms > upto_ms)
			return 0;
		if (b->taken == b->count) {
			bucket_drop(t);
			continue;
		}
		id = b->ids[b->taken++];
		if (!set_remove(t, id, b->time_ms))
			continue;
		*time_ms = b->time_ms;
		entry_lost(s, kind, id, b->time_ms);
		wr_entry_select(s, id);
		return 1;
	}
	return 0;
}

int64_t wr_timer_earliest(const struct wr_store *s, enum wr_timer_kind kind)
{
	const struct timers *t = s->timers[kind];

	return t->heap_count && t->count ? t->buckets[t->heap[0]].time_ms : INT64_MAX;
}

uint64_t wr_timer_count(const struct wr_store *s, enum wr_timer_kind kind)
{
	return s->timers[kind]->count;
}

struct timer_pair *wr_timers_copy(struct wr_store *s, int kind, uint64_t *count)
{
	struct timers *t = s->timers[kind];
	struct timer_pair *copy = wr_alloc(s->mem, (t->count + 1) * sizeof *copy);

	*count = 0;
	if (!copy)
		return NULL;
	for (uint64_t i = 0; t->set && i <= t->mask; i++)
		if (t->set[i].id)
			copy[(*count)++] = t->set[i];
	return copy;
}
