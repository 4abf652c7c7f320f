/* SPDX-License-Identifier: Apache-2.0 */
/* slices: see slices.h. */
#include "window/slices.h"

/* The largest start + k * step that is not above ts. */
static int64_t align(int64_t ts, int64_t step, int64_t start)
{
	int64_t rest = (ts - start) % step;

	return ts - (rest < 0 ? rest + step : rest);
}

struct wr_slice wr_slice_of(const struct wr_slicing *s, int64_t ts)
{
	int64_t start = align(ts, s->slide, s->offset);
	int64_t cut =
	    s->size % s->slide; /* windows end here behind each start; size itself in a gap's case */

	if (s->kind != WR_SLIDING || cut == 0)
		return (struct wr_slice){start, start + s->slide};
	if (ts - start < cut)
		return (struct wr_slice){start, start + cut};
	return (struct wr_slice){start + cut, start + s->slide};
}

int64_t wr_window_last(const struct wr_slicing *s, struct wr_slice slice)
{
	int64_t start = align(slice.start, s->kind == WR_CUMULATIVE ? s->size : s->slide, s->offset);

	return start + s->size >= slice.end ? start + s->size : WR_NO_WINDOW;
}

int64_t wr_window_first(const struct wr_slicing *s, struct wr_slice slice)
{
	int64_t start;

	if (s->kind != WR_SLIDING)
		return slice.end;
	start = align(slice.end - s->size - 1, s->slide, s->offset) + s->slide;
	return start <= slice.start ? start + s->size : WR_NO_WINDOW;
}

int64_t wr_window_after(const struct wr_slicing *s, struct wr_slice slice, int64_t ts)
{
	int64_t first = wr_window_first(s, slice), last = wr_window_last(s, slice);

	if (last == WR_NO_WINDOW || last <= ts)
		return WR_NO_WINDOW;
	if (first <= ts)
		first += (ts - first) / s->slide * s->slide + s->slide;
	return first <= last ? first : WR_NO_WINDOW;
}

int64_t wr_window_keep(const struct wr_slicing *s, int64_t ts)
{
	int64_t step = s->kind == WR_CUMULATIVE ? s->size : s->slide;

	return align(ts - s->size, step, s->offset) + step;
}

int64_t wr_window_start(const struct wr_slicing *s, int64_t end)
{
	return s->kind == WR_CUMULATIVE ? align(end - 1, s->size, s->offset) : end - s->size;
}
