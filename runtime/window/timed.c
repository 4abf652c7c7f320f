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
 *
 * Tumbling windows may give results so far in between (early.h).
 */
#include "base/assert.h"
#include "base/error.h"
#include "window/early.h"
#include "window/recent.h"

static struct wr_mem mem = WR_MEM_INIT("window.timed");

struct timed {
	struct wr_slicing slicing;
	const char *stagger; /* how the windows of this subtask are to be moved; NULL: it is settled */
	struct wr_panes panes;
	struct wr_early early;
	struct wr_slice slice; /* of the last row, and the end of the last window that holds it */
	int64_t slice_last;
	int64_t due, due_slice, due_watermark; /* see due_of: what it gave, and for what */
	int64_t fire_at, fire_start,
	    keep; /* the timers that fire now, their window's start, slices to keep */
	uint64_t batch;
	uint32_t edges; /* of the store; what `recent` has is of this batch, and since this edge */
	struct wr_recent recent;
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
	t->stagger = wr_value_str(s->options, "stagger", NULL);
	WR_ASSERT(t->slicing.size > 0 && t->slicing.slide > 0);
	t->slice = (struct wr_slice){INT64_MAX, INT64_MIN};
	t->due_slice = t->fire_at = INT64_MIN;
	t->recent.serial = 1;
	wr_early_init(&t->early, w);
	WR_ASSERT(!t->early.every || t->slicing.kind == WR_TUMBLING);
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

	w->look = true;
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

/* The end of the first window behind the watermark that holds the slice at hand. */
static int64_t due_of(const struct wr_window *w, struct timed *t)
{
	int64_t wm = w->event ? w->stage->watermark : WR_TS_NONE;

	if (t->due_watermark != wm || t->due_slice != t->slice.start) {
		t->due_watermark = wm;
		t->due_slice = t->slice.start;
		t->due = wr_window_after(&t->slicing, t->slice, wm == WR_TS_NONE ? wm : wm + 1);
	}
	return t->due;
}

/* Timers of a slice that was begun: the key's next firing, when the slice goes, and an early result. */
static int new_pane(struct wr_window *w, struct timed *t, bool sooner, int64_t early)
{
	int64_t wm = w->event ? w->stage->watermark : WR_TS_NONE;
	int rc = early == WR_NO_WINDOW ? WR_OK : wr_early_timer(&t->early, w, early);

	if (w->lateness && rc == WR_OK)
		rc = wr_window_timer(w, t->slice_last - 1 + w->lateness);
	if (!t->panes.shared && w->lateness)
		sooner = t->slice_last - 1 > wm;
	if (rc == WR_OK && sooner)
		rc = wr_window_timer(w, t->panes.shared ? t->due - 1 : t->slice_last - 1);
	return rc;
}

/* The store has made no room, so that accumulators are where they were; else they are forgotten. */
static bool stays(struct wr_window *w, struct timed *t)
{
	uint32_t edges = wr_store_edges(w->stage->store);

	if (WR_LIKELY(edges == t->edges))
		return true;
	t->edges = edges;
	wr_recent_forget(&t->recent);
	return false;
}

static int add(struct wr_window *w, struct timed *t, const struct wr_short_key *key, int64_t ts)
{
	bool fresh, sooner;
	int64_t early = WR_NO_WINDOW;
	int64_t due = t->panes.shared ? due_of(w, t) : WR_NO_WINDOW;
	uint64_t *acc = wr_panes_at(&t->panes, t->slice.start, due, &fresh, &sooner);
	int rc = WR_OK;

	if (!acc)
		return WR_EFATAL;
	wr_accums_add(&w->accums, acc);
	if (WR_UNLIKELY(fresh)) {
		if (t->early.every) {
			early = wr_early_first(&t->early, w, ts, t->slice_last - 1);
			acc[t->early.slot] = (uint64_t)early;
		}
		rc = new_pane(w, t, sooner, early);
	}
	if (!t->recent.resting && !w->lateness && stays(w, t))
		wr_recent_add(&t->recent, key, acc);
	if (WR_UNLIKELY(w->lateness) && rc == WR_OK &&
	    wr_window_first(&t->slicing, t->slice) - 1 <= w->stage->watermark)
		rc = fire_again(w, t, wr_panes_find(&t->panes, t->slice.start));
	return rc;
}

/* W4: at the first row the windows move once for all, by chance or to where the clock is. */
static void settle_offset(struct wr_window *w, struct timed *t)
{
	struct wr_rand rand = w->stage->env->rand;
	int64_t size = t->slicing.size;

	if (!strcmp(t->stagger, "natural"))
		t->slicing.offset += w->now_ms % size;
	else if (!strcmp(t->stagger, "random"))
		t->slicing.offset += (int64_t)(wr_rand_next(&rand) % (uint64_t)size);
	t->slicing.offset %= size;
	t->stagger = NULL;
}

enum { TAKE, SKIP };

/* Sets t->slice; SKIP: no window takes the row. */
static int place(struct wr_window *w, struct timed *t, const struct wr_elem *row, int64_t ts, int *rc)
{
	if (ts < t->slice.start || ts >= t->slice.end) {
		if (WR_UNLIKELY(t->stagger))
			settle_offset(w, t);
		wr_recent_forget(&t->recent);
		t->slice = wr_slice_of(&t->slicing, ts);
		t->slice_last = wr_window_last(&t->slicing, t->slice);
	}
	if (WR_UNLIKELY(t->slice_last == WR_NO_WINDOW)) { /* W8 */
		if (w->event && ts + w->lateness <= w->stage->watermark)
			*rc = wr_late_row(&w->late, w->stage, row);
		else
			wr_late_between(w->stage, row);
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
	uint64_t *acc;
	int rc = WR_OK;

	if (place(w, t, row, ts, &rc) == SKIP)
		return rc;
	rc = wr_accums_load(&w->accums, row);
	acc = wr_recent_acc(&t->recent, (uint32_t)(key - w->keys));
	if (acc && rc == WR_OK) {
		wr_accums_add(&w->accums, acc);
		return WR_OK;
	}
	if (rc == WR_OK)
		rc = wr_window_key(w, row, key);
	return rc == WR_OK ? add(w, t, key, ts) : rc;
}

static void timed_ahead(struct wr_window *w, uint32_t count)
{
	struct timed *t = w->state;
	struct wr_short_key missing[WR_KEYS_MAX];

	if (t->batch != w->batch)
		wr_recent_forget(&t->recent);
	t->batch = w->batch;
	stays(w, t);
	if (w->lateness || !wr_recent_awake(&t->recent, count)) {
		wr_store_prefetch(w->stage->store, w->keys, count);
		return;
	}
	count = wr_recent_look(&t->recent, w->keys, count, missing);
	wr_store_prefetch(w->stage->store, missing, count);
	stays(w, t);
}

/* ---- firing ---- */

static int fire_own(struct wr_window *w, struct timed *t, int64_t at)
{
	const uint64_t *acc;
	int64_t first;
	int rc;

	if (t->early.every)
		wr_early_drop(&t->early, w, &t->panes, t->keep);
	rc = wr_panes_take(&t->panes, t->fire_start, t->keep, &acc, &first);
	if (rc == WR_OK && acc)
		rc = wr_window_emit(w, acc, t->fire_start, at + 1);
	if (rc == WR_OK && first != WR_NO_WINDOW && !w->lateness)
		rc = wr_window_timer(w, first + t->slicing.size - 1);
	return rc;
}

static int fire_shared(struct wr_window *w, struct timed *t, int64_t at)
{
	const uint64_t *sum;
	int64_t next;
	int rc = wr_panes_fire(&t->panes, t->fire_start, at + 1, t->keep, &sum, &next);

	if (rc == WR_OK && sum)
		rc = wr_window_emit(w, sum, t->fire_start, at + 1);
	return rc == WR_OK && next != WR_NO_WINDOW ? wr_window_timer(w, next - 1) : rc;
}

static int timed_early(struct wr_window *w, int64_t at)
{
	struct timed *t = w->state;

	return wr_early_fire(&t->early, w, &t->panes, t->slicing.size, at);
}

static int timed_fire(struct wr_window *w, int64_t at)
{
	struct timed *t = w->state;
	int rc = t->early.every && t->early.event ? timed_early(w, at) : WR_OK;

	if (rc != WR_OK)
		return rc;
	if (t->fire_at != at) {
		t->fire_at = at;
		t->fire_start = wr_window_start(&t->slicing, at + 1);
		t->keep = wr_window_keep(&t->slicing, at + 1 - w->lateness);
	}
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

const struct wr_window_ops wr_timed_ops = {.open = timed_open,
					   .ahead = timed_ahead,
					   .take = timed_take,
					   .fire = timed_fire,
					   .early = timed_early,
					   .free = timed_free};
