/* SPDX-License-Identifier: Apache-2.0 */
/* panes: what one key holds of a time window, in the engine's state: an accumulator a slice.
 *
 * All slices of a key lie in one value, sorted by start, so a record costs one lookup by key and
 * finds its slice at the end of an array. (Rejected: an entry a slice, addressed by key and
 * namespace; it costs 200 bytes and a lookup a slice, and a window of 3,600 slices 3,600 lookups.)
 *
 *   tumbling   pane*                          pane: start, accumulator
 *   shared     head, pane*                    pane: start, accumulator, suffix
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
	uint32_t head_len, pane_len;
	struct wr_bytes scratch;
	uint64_t *sum; /* result of wr_panes_sum and wr_panes_window */
};

/* Borrows all; WR_EFATAL when memory is gone (deinit all the same). */
int wr_panes_init(struct wr_panes *p, struct wr_store *store, const struct wr_accums *accums,
		  const struct wr_slicing *slicing);
void wr_panes_deinit(struct wr_panes *p);

/* The accumulator of the slice that starts at `start`, for writing; *fresh = 1: it was made, empty. Valid
 * until the next call. NULL: no memory. */
uint64_t *wr_panes_at(struct wr_panes *p, int64_t start, bool *fresh);
/* The same for reading; NULL: there is none. */
const uint64_t *wr_panes_find(struct wr_panes *p, int64_t start);
/* Start of the n-th pane, by time; false behind the last one. */
bool wr_panes_start(struct wr_panes *p, uint32_t n, int64_t *start);
/* Takes the first `count` panes out; the last one takes the value with it. */
int wr_panes_drop(struct wr_panes *p, uint32_t count);

/* For shared slices: the sum of the panes in [start, end) for the window that fires now; windows are asked
 * for in the order of their ends. NULL: no memory. */
const uint64_t *wr_panes_window(struct wr_panes *p, int64_t start, int64_t end);
/* The same by adding them up, for any window. */
const uint64_t *wr_panes_sum(struct wr_panes *p, int64_t start, int64_t end);
/* End of the next window of this key that is to fire; WR_NO_WINDOW: none. The value must be there. */
int64_t wr_panes_next(struct wr_panes *p);
int wr_panes_set_next(struct wr_panes *p, int64_t end);
