/* SPDX-License-Identifier: Apache-2.0 */
/* timed: tumbling, sliding and cumulative windows.
 *
 * A row finds its slice (slices.h), its key's panes (panes.h), and is added to the slice's
 * accumulator. One timer a key waits for the key's next window end, so an idle key costs nothing
 * and a key without data in a window gives no row.
 *
 *   row ─▶ every window over? ─yes─▶ late (late.h)
 *            └no─▶ add to slice; windows that have fired and are kept for late rows fire again (L5)
 *   timer ─▶ window that ends here: emit; slices that no window needs any more: drop
 */
#include "base/assert.h"
#include "base/error.h"
#include "window/engine.h"
#include "window/panes.h"

static struct wr_mem mem = WR_MEM_INIT("window.timed");

struct timed {
	struct wr_slicing slicing;
	struct wr_panes panes;
	struct wr_slice slice; /* of the last row, and the end of the last window that holds it */
	int64_t slice_last;
};

static int timed_open(struct wr_window *w)
{
	static const char *const kinds[] = {"tumbling", "sliding", "cumulative"};
	struct wr_stage *s = w->stage;
	struct timed *t = wr_zalloc(&mem, sizeof *t);
	const char *kind = wr_value_str(s->options, "window", "");

	if (!t)
		return WR_EFATAL;
	w->state = t;
	while (t->slicing.kind <= WR_CUMULATIVE && strcmp(kinds[t->slicing.kind], kind))
		t->slicing.kind++;
	WR_ASSERT(t->slicing.kind <= WR_CUMULATIVE);
	t->slicing.size = wr_value_int(s->options, "size", 0);
	t->slicing.slide = wr_value_int(s->options, "slide", t->slicing.size);
	t->slicing.offset = wr_value_int(s->options, "offset", 0);
	WR_ASSERT(t->slicing.size > 0 && t->slicing.slide > 0);
	t->slice = (struct wr_slice){INT64_MAX, INT64_MIN};
	return wr_panes_init(&t->panes, s->store, &w->accums, &t->slicing);
}

static int emit(struct wr_window *w, struct timed *t, const uint64_t *slots, int64_t end)
{
	return wr_window_emit(w, slots, wr_window_start(&t->slicing, end), end);
}

/* ---- rows ---- */

/* The row is in a slice of which windows have fired already: those that are kept fire again, newest first. */
static int fire_again(struct wr_window *w, struct timed *t, const uint64_t *acc)
{
	int64_t first = wr_window_first(&t->slicing, t->slice), end = t->slice_last;
	int rc = WR_OK;

	while (end - 1 > w->stage->watermark)
		end -= (end - 1 - w->stage->watermark + t->slicing.slide - 1) / t->slicing.slide *
		       t->slicing.slide;
	for (; end >= first && end - 1 + w->lateness > w->stage->watermark && rc == WR_OK;
	     end -= t->slicing.slide) {
		if (t->panes.shared)
			acc = wr_panes_sum(&t->panes, wr_window_start(&t->slicing, end), end);
		rc = emit(w, t, acc, end);
	}
	return rc;
}

/* A slice was begun: the key's next firing, and when the slice goes. */
static int new_pane(struct wr_window *w, struct timed *t)
{
	int64_t wm = w->event ? w->stage->watermark : WR_TS_NONE, next, due;
	int rc;

	if (w->lateness) {
		rc = wr_window_timer(w, t->slice_last - 1 + w->lateness);
		if (rc != WR_OK)
			return rc;
	}
	if (!t->panes.shared)
		return t->slice_last - 1 > wm ? wr_window_timer(w, t->slice_last - 1) : WR_OK;
	due = wr_window_after(&t->slicing, t->slice, wm == WR_TS_NONE ? wm : wm + 1);
	next = wr_panes_next(&t->panes);
	if (due == WR_NO_WINDOW || (next != WR_NO_WINDOW && next <= due))
		return WR_OK;
	rc = wr_panes_set_next(&t->panes, due);
	return rc == WR_OK ? wr_window_timer(w, due - 1) : rc;
}

static int add(struct wr_window *w, struct timed *t)
{
	bool fresh;
	uint64_t *acc = wr_panes_at(&t->panes, t->slice.start, &fresh);
	int rc = WR_OK;

	if (!acc)
		return WR_EFATAL;
	wr_accums_add(&w->accums, acc);
	if (WR_UNLIKELY(fresh))
		rc = new_pane(w, t);
	if (WR_UNLIKELY(w->lateness && wr_window_first(&t->slicing, t->slice) - 1 <= w->stage->watermark) &&
	    rc == WR_OK)
		rc = fire_again(w, t, fresh ? wr_panes_find(&t->panes, t->slice.start) : acc);
	return rc;
}

enum { TAKE, SKIP };

/* Sets t->slice; SKIP: no window takes the row. */
static int place(struct wr_window *w, struct timed *t, const struct wr_elem *row, int64_t ts, int *rc)
{
	if (ts < t->slice.start || ts >= t->slice.end) {
		t->slice = wr_slice_of(&t->slicing, ts);
		t->slice_last = wr_window_last(&t->slicing, t->slice);
	}
	if (WR_UNLIKELY(t->slice_last == WR_NO_WINDOW)) { /* W8 */
		if (w->event && ts + w->lateness <= w->stage->watermark)
			*rc = wr_late_row(&w->late, w->stage, row);
		return SKIP;
	}
	if (WR_UNLIKELY(w->event && t->slice_last - 1 + w->lateness <= w->stage->watermark)) { /* L1, L3 */
		*rc = wr_late_row(&w->late, w->stage, row);
		return SKIP;
	}
	return TAKE;
}

static int timed_take(struct wr_window *w, const struct wr_elem *row, const struct wr_short_key *key,
		      int64_t ts)
{
	struct timed *t = w->state;
	int rc = WR_OK;

	if (place(w, t, row, ts, &rc) == SKIP)
		return rc;
	rc = wr_accums_load(&w->accums, row);
	if (rc == WR_OK)
		rc = wr_window_key(w, row, key);
	return rc == WR_OK ? add(w, t) : rc;
}

/* ---- firing ---- */

/* Panes that no window needs at time `at`. */
static int drop_panes(const struct wr_window *w, struct timed *t, int64_t at)
{
	uint32_t n = 0;
	int64_t start;

	while (wr_panes_start(&t->panes, n, &start) &&
	       wr_window_last(&t->slicing, wr_slice_of(&t->slicing, start)) - 1 + w->lateness <= at)
		n++;
	return wr_panes_drop(&t->panes, n);
}

static int fire_own(struct wr_window *w, struct timed *t, int64_t at)
{
	const uint64_t *acc = wr_panes_find(&t->panes, at + 1 - t->slicing.size);
	int rc = acc ? emit(w, t, acc, at + 1) : WR_OK;

	return rc == WR_OK ? drop_panes(w, t, at) : rc;
}

/* The window after the one that fired, of those that hold a pane. */
static int schedule(struct wr_window *w, struct timed *t, int64_t at)
{
	int64_t start, end = WR_NO_WINDOW;
	int rc;

	for (uint32_t n = 0; end == WR_NO_WINDOW && wr_panes_start(&t->panes, n, &start); n++)
		end = wr_window_after(&t->slicing, wr_slice_of(&t->slicing, start), at + 1);
	rc = wr_panes_set_next(&t->panes, end);
	return rc == WR_OK && end != WR_NO_WINDOW ? wr_window_timer(w, end - 1) : rc;
}

static int fire_shared(struct wr_window *w, struct timed *t, int64_t at)
{
	int64_t start;
	bool due;
	int rc = WR_OK;

	if (!wr_panes_start(&t->panes, 0, &start))
		return WR_OK;
	due = wr_panes_next(&t->panes) - 1 == at;
	if (due) {
		const uint64_t *sum =
		    wr_panes_window(&t->panes, wr_window_start(&t->slicing, at + 1), at + 1);

		rc = sum ? emit(w, t, sum, at + 1) : WR_EFATAL;
	}
	if (rc == WR_OK)
		rc = drop_panes(w, t, at);
	if (rc == WR_OK && due && wr_panes_start(&t->panes, 0, &start))
		rc = schedule(w, t, at);
	return rc;
}

static int timed_fire(struct wr_window *w, int64_t at)
{
	struct timed *t = w->state;

	return t->panes.shared ? fire_shared(w, t, at) : fire_own(w, t, at);
}

static void timed_free(struct wr_window *w)
{
	struct timed *t = w->state;

	if (!t)
		return;
	wr_panes_deinit(&t->panes);
	wr_free(&mem, t);
}

const struct wr_window_ops wr_timed_ops = {timed_open, timed_take, timed_fire, timed_free};
