/* SPDX-License-Identifier: Apache-2.0 */
/* panes: what one key holds of a time window, in the engine's state: an accumulator a slice.
 *
 * All slices of a key lie in one value, sorted by start, so a record costs one lookup by key and
 * finds its slice at the end of an array. (Rejected: an entry a slice, addressed by key and
 * namespace; it costs 200 bytes and a lookup a slice, and a window of 3,600 slices 3,600 lookups.)
 *
 *   tumbling   pane                           pane: start, accumulator
 *              room, pane*                    where a key has had two or more at a time
 *   shared     next, pane                     pane: start, accumulator
 *              head, pane*                    where a key has had two or more; with a suffix each
 *
 * A count alone is so 32 bytes, which lie in the entry of the key.
 *
 * Sliding and cumulative windows share slices. What their windows add up to is kept by the two
 * stacks of a sliding sum, which need no inverse: in front of `flip` each pane has the sum of the
 * panes from it up to flip (suffix), behind it they are added to `back`. A window costs two merges,
 * and each pane one more when it moves to the front, however many slices a window has. A late
 * record in a pane that is already summed up makes the stacks be built anew at the next firing.
 *
 * The value is a row of one field of bytes. Works on the store's current key.
 */
#pragma once
#include "record/row.h"
#include "state/store.h"
#include "window/accums.h"
#include "window/slices.h"

struct wr_panes {
	struct wr_store *store;
	const struct wr_accums *accums;
	const struct wr_slicing *slicing;
	uint32_t shape;
	bool shared;
	uint32_t head_len, pane_len;  /* pane_len: of one that has others */
	uint32_t bare_len, alone_len; /* of a pane without suffix; of a value with one pane alone */
	struct wr_bytes scratch;
	uint64_t *sum; /* result of wr_panes_sum and wr_panes_fire */
};

/* Borrows all; WR_EFATAL when memory is gone (deinit all the same). */
int wr_panes_init(struct wr_panes *p, struct wr_store *store, const struct wr_accums *accums,
		  const struct wr_slicing *slicing);
void wr_panes_deinit(struct wr_panes *p);

/* The accumulator of the slice that starts at `start`, for writing; *fresh: it was made, empty. Valid until
 * the next call. Tumbling windows: *sooner says that no pane of the key is before it. Shared slices: `due` is
 * the end of the next window to fire that holds a new slice (or WR_NO_WINDOW), and *sooner says that the key
 * fires then for the first time or sooner than so far. NULL: no memory. */
uint64_t *wr_panes_at(struct wr_panes *p, int64_t start, int64_t due, bool *fresh, bool *sooner);
/* The same for reading; NULL: there is none. */
const uint64_t *wr_panes_find(struct wr_panes *p, int64_t start);
/* Tumbling windows: the accumulator of pane number `i` of the key, for writing, and where it starts; NULL:
 * there are not so many. Valid until the next call that can change anything. */
uint64_t *wr_panes_nth(struct wr_panes *p, uint32_t i, int64_t *start);
/* Tumbling windows: *acc is the accumulator of the pane that starts at `start` (NULL: there is none), panes
 * that start before `keep` are dropped, and *first is where the first of the others starts (WR_NO_WINDOW:
 * none). */
int wr_panes_take(struct wr_panes *p, int64_t start, int64_t keep, const uint64_t **acc, int64_t *first);

/* For shared slices, when the window [start, end) may be due: *sum is what it adds up to (NULL: it is not the
 * window the key waits for), panes that start before `keep` are dropped, and *next is the end of the next
 * window to fire (WR_NO_WINDOW: none, or it stays). */
int wr_panes_fire(struct wr_panes *p, int64_t start, int64_t end, int64_t keep, const uint64_t **sum,
		  int64_t *next);
/* The sum of the panes in [start, end) by adding them up, for any window. */
const uint64_t *wr_panes_sum(struct wr_panes *p, int64_t start, int64_t end);
