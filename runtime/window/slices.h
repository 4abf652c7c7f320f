/* SPDX-License-Identifier: Apache-2.0 */
/* slices: event time cut so that every window is a run of whole slices.
 *
 * Tumbling windows are slices themselves. Cumulative windows grow by `slide` up to `size` and are
 * made of slices of `slide`. Sliding windows begin every `slide`; where size is no multiple of it
 * there are two slices a slide, cut where windows begin and where they end, so the number of
 * slices in a window is about size / slide however odd the sizes are (a slice of the greatest
 * common divisor could be a millisecond). With slide > size the second of the two is a gap that
 * belongs to no window (W8).
 *
 * Pure arithmetic, tested against windows listed one by one. Starts are aligned by floor division
 * from `offset`, also before 1970 (W1).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum wr_slicing_kind { WR_TUMBLING, WR_SLIDING, WR_CUMULATIVE };

/* Timestamps beyond this belong to no calendar; keeping away from the ends of int64_t saves every check. */
#define WR_WINDOW_TS_MAX (INT64_C(1) << 60)

struct wr_slicing {
	enum wr_slicing_kind kind;
	int64_t size, slide, offset; /* ms; tumbling: slide = size */
};

struct wr_slice {
	int64_t start, end;
};

#define WR_NO_WINDOW INT64_MIN

struct wr_slice wr_slice_of(const struct wr_slicing *s, int64_t ts);
/* Ends of the first and the last window that hold the slice; WR_NO_WINDOW if none does. */
int64_t wr_window_first(const struct wr_slicing *s, struct wr_slice slice);
int64_t wr_window_last(const struct wr_slicing *s, struct wr_slice slice);
/* The end of the first window behind time `ts` (end > ts) that holds the slice; WR_NO_WINDOW if none. */
int64_t wr_window_after(const struct wr_slicing *s, struct wr_slice slice, int64_t ts);
/* The start of the first window that ends behind `ts`: slices before it are in no window that does. */
int64_t wr_window_keep(const struct wr_slicing *s, int64_t ts);
/* Where the window that ends at `end` begins. */
int64_t wr_window_start(const struct wr_slicing *s, int64_t end);
