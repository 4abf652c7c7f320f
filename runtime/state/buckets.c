/* SPDX-License-Identifier: Apache-2.0 */
/* buckets: see buckets.h. */
#include "state/buckets.h"

#include <string.h>
#include "base/error.h"

enum {
	FIRST = 16,
	STALE_MIN = 64,
	SWEPT_A_REMOVAL = 16, /* places: a sweep is over long before the bucket is stale again */
	IDS_KEPT = 64	      /* a larger array does not wait for the next bucket */
};

static uint32_t tag_of(int64_t time_ms)
{
	uint64_t v = (uint64_t)time_ms;

	v = (v ^ v >> 32) * 0xd6e8feb86659fd93ULL;
	return (uint32_t)(v ^ v >> 32);
}

void wr_buckets_deinit(struct buckets *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		wr_free(b->mem, b->list[i].ids);
	wr_free(b->mem, b->list);
	wr_free(b->mem, b->heap);
	wr_free(b->mem, b->seen);
	wr_index_deinit(&b->index);
}

/* ---- by time ---- */

/* Number + 1, or 0. */
static uint32_t find(const struct buckets *b, int64_t time_ms)
{
	uint32_t tag = tag_of(time_ms);
	struct index_table t = wr_index_table(&b->index, tag);

	for (uint64_t at = tag & t.mask; t.slots[at]; at = (at + 1) & t.mask)
		if ((uint32_t)(t.slots[at] >> 32) == tag &&
		    b->list[(uint32_t)t.slots[at] - 1].time_ms == time_ms)
			return (uint32_t)t.slots[at];
	return 0;
}

/* Room for one more bucket. */
static int grow(struct buckets *b)
{
	uint32_t heap_cap = b->cap;

	if (b->heap_count < b->cap)
		return WR_OK;
	if (!b->cap && !b->index.table.slots && wr_index_init(&b->index, b->mem) != WR_OK)
		return WR_EFATAL;
	if (WR_GROW(b->mem, b->heap, heap_cap, FIRST) != WR_OK)
		return WR_EFATAL;
	return WR_GROW(b->mem, b->list, b->cap, FIRST);
}

/* ---- the heap ---- */

static void heap_up(struct buckets *b, uint32_t at)
{
	uint32_t n = b->heap[at];

	while (at && b->list[b->heap[(at - 1) / 2]].time_ms > b->list[n].time_ms) {
		b->heap[at] = b->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	b->heap[at] = n;
}

static void heap_pop(struct buckets *b)
{
	uint32_t last = b->heap[--b->heap_count], at = 0;

	for (;;) {
		uint32_t child = at * 2 + 1;

		if (child >= b->heap_count)
			break;
		if (child + 1 < b->heap_count &&
		    b->list[b->heap[child + 1]].time_ms < b->list[b->heap[child]].time_ms)
			child++;
		if (b->list[last].time_ms <= b->list[b->heap[child]].time_ms)
			break;
		b->heap[at] = b->heap[child];
		at = child;
	}
	if (b->heap_count)
		b->heap[at] = last;
}

/* ---- sweeping ---- */

static void sweep_end(struct buckets *b)
{
	b->swept = 0;
	wr_free(b->mem, b->seen);
	b->seen = NULL;
}

void wr_bucket_settle(struct buckets *b, struct bucket *of)
{
	if (WR_LIKELY(!b->swept || of != &b->list[b->swept - 1]))
		return;
	memmove(of->ids + b->write, of->ids + b->read, (of->count - b->read) * sizeof *of->ids);
	of->count -= b->read - b->write;
	sweep_end(b);
}

/* Without memory there is no sweep: places are skipped when their time comes. */
static void sweep_begin(struct buckets *b, struct bucket *of, uint32_t ids_max)
{
	b->seen = wr_zalloc(b->mem, ((size_t)ids_max / 64 + 1) * sizeof *b->seen);
	if (!b->seen)
		return;
	b->seen_max = ids_max;
	b->swept = (uint32_t)(of - b->list) + 1;
	b->write = b->read = of->taken;
}

/* Is this the first place of its entry? An id beyond those of the sweep's begin counts as one. */
static bool is_first(struct buckets *b, uint32_t id)
{
	uint64_t bit = UINT64_C(1) << id % 64;
	bool first;

	if (id > b->seen_max)
		return true;
	first = !(b->seen[id / 64] & bit);
	b->seen[id / 64] |= bit;
	return first;
}

static void sweep(struct buckets *b, wr_bucket_has *has, void *arg)
{
	struct bucket *of = &b->list[b->swept - 1];

	for (uint32_t n = 0; n < SWEPT_A_REMOVAL && b->read < of->count; n++) {
		uint32_t id = of->ids[b->read++];

		if (has(arg, id, of->time_ms) && is_first(b, id))
			of->ids[b->write++] = id;
	}
	if (b->read < of->count)
		return;
	of->count = b->write;
	sweep_end(b);
}

void wr_bucket_removed(struct buckets *b, struct bucket *of, uint32_t ids_max, wr_bucket_has *has, void *arg)
{
	if (!b->swept && of->count - of->taken > 2 * of->live + STALE_MIN)
		sweep_begin(b, of, ids_max);
	if (b->swept)
		sweep(b, has, arg);
	wr_buckets_trim(b);
}

/* ---- coming and going ---- */

/* Puts an empty bucket into heap and index. */
static uint32_t make(struct buckets *b, int64_t time_ms)
{
	uint32_t n = b->free ? b->free - 1 : b->count;
	struct bucket *of = &b->list[n];

	if (n == b->count)
		*of = (struct bucket){0};
	of->time_ms = time_ms;
	of->count = of->taken = of->live = 0;
	if (wr_index_add(&b->index, tag_of(time_ms), n + 1) != WR_OK)
		return 0;
	if (n == b->count)
		b->count++;
	else
		b->free = of->next_free;
	b->heap[b->heap_count++] = n;
	heap_up(b, b->heap_count - 1);
	return n + 1;
}

struct bucket *wr_bucket_at(struct buckets *b, int64_t time_ms)
{
	if (!b->last || b->list[b->last - 1].time_ms != time_ms)
		b->last = b->heap_count ? find(b, time_ms) : 0;
	return b->last ? &b->list[b->last - 1] : NULL;
}

struct bucket *wr_bucket_for(struct buckets *b, int64_t time_ms)
{
	struct bucket *of = wr_bucket_at(b, time_ms);

	if (WR_UNLIKELY(!of)) {
		b->last = grow(b) == WR_OK ? make(b, time_ms) : 0;
		if (!b->last)
			return NULL;
		of = &b->list[b->last - 1];
	}
	if (WR_UNLIKELY(of->count == of->cap) && WR_GROW(b->mem, of->ids, of->cap, 4) != WR_OK)
		return NULL;
	return of;
}

/* The earliest bucket goes. */
static void drop(struct buckets *b)
{
	uint32_t n = b->heap[0];
	struct bucket *of = &b->list[n];

	if (b->swept == n + 1)
		sweep_end(b);
	b->last = 0;
	wr_index_remove(&b->index, tag_of(of->time_ms), n + 1);
	heap_pop(b);
	if (of->cap > IDS_KEPT) {
		wr_free(b->mem, of->ids);
		of->ids = NULL;
		of->cap = 0;
	}
	of->next_free = b->free;
	b->free = n + 1;
}

void wr_buckets_trim(struct buckets *b)
{
	while (b->heap_count && !b->list[b->heap[0]].live)
		drop(b);
}
