/* SPDX-License-Identifier: Apache-2.0 */
/* timed: tumbling, sliding and cumulative windows of event or processing time.
 *
 * A row finds its slice (slices.h), its key's panes (panes.h), and is added to the slice's
 * accumulator. One timer a key waits for the key's next window end, so an idle key costs nothing
 * and a key without data in a window gives no row. A watermark fires the due timers in order of
 * time and lets other tasks run in between.
 *
 *   row ─▶ every window over? ─yes─▶ late (late.h)
 *            └no─▶ add to slice; windows that have fired and are kept for late rows fire again (L5)
 *   timer ─▶ window that ends here: emit; slices that no window needs any more: drop
 *
 * In processing time a row's time is the clock's, nothing is late (L2), and a window fires one
 * millisecond behind its last one (I7).
 */
#include <stdio.h>
#include "base/assert.h"
#include "base/error.h"
#include "window/late.h"
#include "window/panes.h"
#include "window/result.h"
#include "window/window.h"

static struct wr_mem mem = WR_MEM_INIT("window.timed");

enum { FIRE_GROUP = 64 };

struct timed {
	struct wr_slicing slicing;
	int64_t lateness;
	bool event, drop_at_end;
	enum wr_timer_kind timer;
	struct wr_accums accums;
	struct wr_result result;
	struct wr_panes panes;
	struct wr_late late;
	struct wr_slice slice; /* of the last row, and the end of the last window that holds it */
	int64_t slice_last;
	int64_t now_ms;			       /* of the batch */
	struct wr_short_key keys[WR_KEYS_MAX]; /* of the rows ahead */
};

static int open_(struct wr_stage *s)
{
	static const char *const kinds[] = {"tumbling", "sliding", "cumulative"};
	struct timed *t = wr_zalloc(&mem, sizeof *t);
	const char *kind = wr_value_str(s->options, "window", "");
	const struct wr_value *list;
	uint32_t count;

	if (!t)
		return WR_EFATAL;
	s->state = t;
	WR_ASSERT(s->store);
	while (t->slicing.kind <= WR_CUMULATIVE && strcmp(kinds[t->slicing.kind], kind))
		t->slicing.kind++;
	WR_ASSERT(t->slicing.kind <= WR_CUMULATIVE);
	t->slicing.size = wr_value_int(s->options, "size", 0);
	t->slicing.slide = wr_value_int(s->options, "slide", t->slicing.size);
	t->slicing.offset = wr_value_int(s->options, "offset", 0);
	WR_ASSERT(t->slicing.size > 0 && t->slicing.slide > 0);
	t->lateness = wr_value_int(s->options, "lateness", 0);
	t->event = !strcmp(wr_value_str(s->options, "time", "event"), "event");
	t->timer = t->event ? WR_TIMER_EVENT : WR_TIMER_PROCESSING;
	t->drop_at_end = !strcmp(wr_value_str(s->options, "on_end", "fire"), "drop");
	list = wr_value_list(s->options, "aggregates", &count);
	wr_accums_init(&t->accums, list, count);
	list = wr_value_list(s->options, "key_as", &count);
	wr_result_init(&t->result, list, count, &t->accums, true);
	wr_late_init(&t->late, s);
	t->slice = (struct wr_slice){INT64_MAX, INT64_MIN};
	if (!s->keyer)
		if (wr_store_set_key(s->store, (const uint8_t *)"b\1", 2, 0) != WR_OK)
			return WR_EFATAL;
	return wr_panes_init(&t->panes, s->store, &t->accums, &t->slicing);
}

static int emit(struct wr_stage *s, struct timed *t, const uint64_t *slots, int64_t end)
{
	uint32_t len;
	const uint8_t *key = wr_store_key(s->store, &len);

	return wr_result_emit(&t->result, s->outs[0], key, len, slots, wr_window_start(&t->slicing, end), end,
			      end - 1);
}

static int add_timer(struct wr_stage *s, struct timed *t, int64_t at)
{
	int rc = wr_timer_add(s->store, t->timer, at);

	if (!t->event && at + 1 < s->deadline_ms)
		s->deadline_ms = at + 1;
	return rc;
}

/* ---- rows ---- */

/* The row is in a slice of which windows have fired already: those that are kept fire again, newest first. */
static int fire_again(struct wr_stage *s, struct timed *t, const uint64_t *acc)
{
	int64_t first = wr_window_first(&t->slicing, t->slice), end = t->slice_last;
	int rc = WR_OK;

	while (end - 1 > s->watermark)
		end -= (end - 1 - s->watermark + t->slicing.slide - 1) / t->slicing.slide * t->slicing.slide;
	for (; end >= first && end - 1 + t->lateness > s->watermark && rc == WR_OK; end -= t->slicing.slide) {
		if (t->panes.shared)
			acc = wr_panes_sum(&t->panes, wr_window_start(&t->slicing, end), end);
		rc = emit(s, t, acc, end);
	}
	return rc;
}

/* A slice was begun: the key's next firing, and when the slice goes. */
static int new_pane(struct wr_stage *s, struct timed *t)
{
	int64_t wm = t->event ? s->watermark : WR_TS_NONE, next, due;
	int rc;

	if (t->lateness) {
		rc = add_timer(s, t, t->slice_last - 1 + t->lateness);
		if (rc != WR_OK)
			return rc;
	}
	if (!t->panes.shared)
		return t->slice_last - 1 > wm ? add_timer(s, t, t->slice_last - 1) : WR_OK;
	due = wr_window_after(&t->slicing, t->slice, wm == WR_TS_NONE ? wm : wm + 1);
	next = wr_panes_next(&t->panes);
	if (due == WR_NO_WINDOW || (next != WR_NO_WINDOW && next <= due))
		return WR_OK;
	rc = wr_panes_set_next(&t->panes, due);
	return rc == WR_OK ? add_timer(s, t, due - 1) : rc;
}

static int add(struct wr_stage *s, struct timed *t)
{
	bool fresh;
	uint64_t *acc = wr_panes_at(&t->panes, t->slice.start, &fresh);
	int rc = WR_OK;

	if (!acc)
		return WR_EFATAL;
	wr_accums_add(&t->accums, acc);
	if (WR_UNLIKELY(fresh))
		rc = new_pane(s, t);
	if (WR_UNLIKELY(t->lateness && wr_window_first(&t->slicing, t->slice) - 1 <= s->watermark) &&
	    rc == WR_OK)
		rc = fire_again(s, t, fresh ? wr_panes_find(&t->panes, t->slice.start) : acc);
	return rc;
}

/* Time of the row: its own, or the clock's. */
static int time_of(struct timed *t, const struct wr_elem *row, int64_t *ts)
{
	*ts = t->event ? row->ts : t->now_ms;
	if (WR_LIKELY(*ts > -WR_WINDOW_TS_MAX && *ts < WR_WINDOW_TS_MAX))
		return WR_OK;
	if (*ts == WR_TS_NONE)
		return wr_error_set(WR_EUSER,
				    "the record has no timestamp, and windows of event time need one: "
				    "put :watermarks(…) before the window");
	return wr_error_set(WR_EUSER, "the record's timestamp %lld is no time", (long long)*ts);
}

enum { TAKE, SKIP };

/* Sets t->slice; SKIP: no window takes the row. */
static int place(struct wr_stage *s, struct timed *t, const struct wr_elem *row, int64_t ts, int *rc)
{
	if (ts < t->slice.start || ts >= t->slice.end) {
		t->slice = wr_slice_of(&t->slicing, ts);
		t->slice_last = wr_window_last(&t->slicing, t->slice);
	}
	if (WR_UNLIKELY(t->slice_last == WR_NO_WINDOW)) { /* W8 */
		if (t->event && ts + t->lateness <= s->watermark)
			*rc = wr_late_row(&t->late, s, row);
		return SKIP;
	}
	if (WR_UNLIKELY(t->event && t->slice_last - 1 + t->lateness <= s->watermark)) { /* L1, L3 */
		*rc = wr_late_row(&t->late, s, row);
		return SKIP;
	}
	return TAKE;
}

static int set_key(struct wr_stage *s, const struct wr_elem *row, const struct wr_short_key *key)
{
	if (WR_UNLIKELY(!key->len))
		return s->keyer ? wr_store_set_row(s->store, s->keyer, row) : WR_OK;
	wr_store_set_short(s->store, key);
	return WR_OK;
}

static int take(struct wr_stage *s, struct timed *t, const struct wr_elem *row,
		const struct wr_short_key *key)
{
	int64_t ts;
	int rc = time_of(t, row, &ts);

	if (rc != WR_OK || place(s, t, row, ts, &rc) == SKIP)
		return rc;
	rc = wr_accums_load(&t->accums, row);
	if (rc == WR_OK)
		rc = set_key(s, row, key);
	return rc == WR_OK ? add(s, t) : rc;
}

static int bad_row(struct wr_stage *s, const struct wr_elem *row, int code)
{
	char why[512];

	if (code != WR_EUSER)
		return code;
	snprintf(why, sizeof why, "%s", wr_error_text());
	return wr_stage_bad_row(s, 0, row, NULL, 0, NULL, why, code);
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct timed *t = s->state;

	t->now_ms = wr_clock_ms(s->env->clock);
	wr_store_set_now(s->store, t->now_ms);
	while (rows->p < rows->end) {
		uint32_t n = WR_KEYS_MAX;

		if (s->keyer) {
			n = wr_keyer_keys(s->keyer, rows->p, rows->end, t->keys);
			wr_store_prefetch(s->store, t->keys, n);
		}
		for (uint32_t i = 0; i < n && rows->p < rows->end; i++) {
			const struct wr_elem *row = (const struct wr_elem *)rows->p;
			int rc = take(s, t, row, &t->keys[i]);

			if (WR_UNLIKELY(rc != WR_OK) && (rc = bad_row(s, row, rc)) != WR_OK)
				return rc;
			rows->p += row->len;
		}
		if (wr_stage_spent(s))
			return rows->p < rows->end ? WR_AGAIN : WR_OK;
	}
	return WR_OK;
}

/* ---- firing ---- */

/* Panes that no window needs at time `at`. */
static int drop_panes(struct timed *t, int64_t at)
{
	uint32_t n = 0;
	int64_t start;

	while (wr_panes_start(&t->panes, n, &start) &&
	       wr_window_last(&t->slicing, wr_slice_of(&t->slicing, start)) - 1 + t->lateness <= at)
		n++;
	return wr_panes_drop(&t->panes, n);
}

static int fire_own(struct wr_stage *s, struct timed *t, int64_t at)
{
	const uint64_t *acc = wr_panes_find(&t->panes, at + 1 - t->slicing.size);
	int rc = acc ? emit(s, t, acc, at + 1) : WR_OK;

	return rc == WR_OK ? drop_panes(t, at) : rc;
}

/* The window after the one that fired, of those that hold a pane. */
static int schedule(struct wr_stage *s, struct timed *t, int64_t at)
{
	int64_t start, end = WR_NO_WINDOW;
	int rc;

	for (uint32_t n = 0; end == WR_NO_WINDOW && wr_panes_start(&t->panes, n, &start); n++)
		end = wr_window_after(&t->slicing, wr_slice_of(&t->slicing, start), at + 1);
	rc = wr_panes_set_next(&t->panes, end);
	return rc == WR_OK && end != WR_NO_WINDOW ? add_timer(s, t, end - 1) : rc;
}

static int fire_shared(struct wr_stage *s, struct timed *t, int64_t at)
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

		rc = sum ? emit(s, t, sum, at + 1) : WR_EFATAL;
	}
	if (rc == WR_OK)
		rc = drop_panes(t, at);
	if (rc == WR_OK && due && wr_panes_start(&t->panes, 0, &start))
		rc = schedule(s, t, at);
	return rc;
}

static int fire(struct wr_stage *s, int64_t upto)
{
	struct timed *t = s->state;
	int64_t at;

	for (uint32_t n = 1; wr_timer_next(s->store, t->timer, upto, &at); n++) {
		int rc = t->panes.shared ? fire_shared(s, t, at) : fire_own(s, t, at);

		if (rc != WR_OK)
			return rc;
		if (n % FIRE_GROUP == 0 && wr_stage_spent(s))
			return WR_AGAIN;
	}
	return WR_OK;
}

static int watermark(struct wr_stage *s, int64_t *wm)
{
	struct timed *t = s->state;

	return t->event ? fire(s, *wm) : WR_OK;
}

static int time_(struct wr_stage *s, int64_t now_ms)
{
	struct timed *t = s->state;
	int64_t next;
	int rc = WR_OK;

	if (t->event || (now_ms == INT64_MAX && t->drop_at_end)) {
		s->deadline_ms = INT64_MAX;
		return WR_OK;
	}
	rc = fire(s, now_ms == INT64_MAX ? now_ms : now_ms - 1);
	next = wr_timer_earliest(s->store, WR_TIMER_PROCESSING);
	s->deadline_ms = next == INT64_MAX ? next : next + 1;
	return rc;
}

static void free_(struct wr_stage *s)
{
	struct timed *t = s->state;

	if (!t)
		return;
	wr_panes_deinit(&t->panes);
	wr_free(&mem, t);
	s->state = NULL;
}

static const struct wr_stage_ops timed_ops = {
    .kind = "window",
    .open = open_,
    .rows = rows,
    .watermark = watermark,
    .time = time_,
    .free = free_,
};

const struct wr_stage_kind wr_window_kinds[] = {{"window", &timed_ops}};
const unsigned wr_window_kinds_count = sizeof wr_window_kinds / sizeof *wr_window_kinds;
