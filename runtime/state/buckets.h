/* SPDX-License-Identifier: Apache-2.0 */
/* buckets: in what order timers of one kind are due: a bucket for each distinct time, in a heap, with
 * the ids of the entries that asked for it. Inside state/ only; task's thread.
 *
 * A bucket is found by its time through an index that grows without a pause. When a timer is
 * removed its place stays, and is skipped when its time comes; a bucket of mostly such places is
 * swept: its places move together, a few at each further removal, without those that have no
 * timer and without those that are there twice. Rejected: sorting the bucket at once, which stopped
 * the task for 30 ms where a million timers had the same time.
 */
#pragma once
#include "state/index.h"

struct bucket {
	int64_t time_ms;
	uint32_t *ids;
	uint32_t count, cap, taken; /* [taken, count) are left */
	uint32_t live;		    /* timers among them */
	uint32_t next_free;
};

struct buckets {
	struct wr_mem *mem;
	struct bucket *list;
	uint32_t count, cap, free; /* free: chain of number + 1 */
	uint32_t last;		   /* bucket of the last timer added + 1: times repeat */
	struct index index;	   /* from a time to number + 1; made with the first bucket */
	uint32_t *heap;		   /* numbers, by time */
	uint32_t heap_count;
	/* the bucket that is swept + 1, 0 = none: places up to `write` are good, up to `read` a hole */
	uint32_t swept;
	uint32_t write, read;
	uint64_t *seen; /* a bit for each id up to seen_max that has a good place */
	uint32_t seen_max;
};

/* Does entry `id` have a timer for time_ms? */
typedef bool wr_bucket_has(void *arg, uint32_t id, int64_t time_ms);

void wr_buckets_deinit(struct buckets *b);
/* The earliest one, or NULL. It has timers. */
static inline struct bucket *wr_buckets_first(const struct buckets *b)
{
	return b->heap_count ? &b->list[b->heap[0]] : NULL;
}
/* The bucket of `time_ms`, or NULL. */
struct bucket *wr_bucket_at(struct buckets *b, int64_t time_ms);
/* The same, made if need be, with room for one more place; NULL: no memory. */
struct bucket *wr_bucket_for(struct buckets *b, int64_t time_ms);
/* One of the bucket's timers was removed: it has lost its place in `live`. `ids_max` is the largest id there
 * is. */
void wr_bucket_removed(struct buckets *b, struct bucket *of, uint32_t ids_max, wr_bucket_has *has, void *arg);
/* Before places are taken from it: it is whole. */
void wr_bucket_settle(struct buckets *b, struct bucket *of);
/* Drops the earliest buckets as long as they have no timers. */
void wr_buckets_trim(struct buckets *b);
