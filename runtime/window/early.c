/* SPDX-License-Identifier: Apache-2.0 */
/* early: see early.h. */
#include "window/early.h"
#include "base/error.h"

void wr_early_init(struct wr_early *e, struct wr_window *w)
{
	const struct wr_value *options = w->stage->options;

	*e = (struct wr_early){.every = wr_value_int(options, "early", 0)};
	e->event = !strcmp(wr_value_str(options, "early_time", "event"), "event");
	if (e->every)
		e->slot = w->accums.slots++;
}

/* The first multiple behind `time`, by floor division, not behind the window's last millisecond. */
static int64_t behind(const struct wr_early *e, int64_t time, int64_t last)
{
	int64_t part = time % e->every, at = time - (part < 0 ? part + e->every : part) + e->every;

	return at < last ? at : last;
}

int64_t wr_early_first(const struct wr_early *e, const struct wr_window *w, int64_t ts, int64_t last)
{
	if (e->event && last <= w->stage->watermark)
		return WR_NO_WINDOW;
	return behind(e, e->event ? ts : w->now_ms, last);
}

int wr_early_timer(const struct wr_early *e, struct wr_window *w, int64_t at)
{
	return wr_window_timer_of(w, e->event ? WR_TIMER_EVENT : WR_TIMER_PROCESSING, at);
}

int wr_early_fire(const struct wr_early *e, struct wr_window *w, struct wr_panes *panes, int64_t size,
		  int64_t at)
{
	uint64_t *acc;
	int64_t start;
	int rc = WR_OK;

	for (uint32_t i = 0; rc == WR_OK && (acc = wr_panes_nth(panes, i, &start)); i++) {
		int64_t last = start + size - 1, next;

		if ((int64_t)acc[e->slot] != at || (e->event && at >= last))
			continue;
		next = behind(e, at, last);
		if (next > at)
			acc[e->slot] = (uint64_t)next;
		rc = wr_window_emit(w, acc, start, start + size);
		if (rc == WR_OK && next > at)
			rc = wr_early_timer(e, w, next);
	}
	return rc;
}

/* Does a pane from number `from` on wait for `at`? */
static bool is_waited_for(const struct wr_early *e, struct wr_panes *panes, uint32_t from, uint64_t at)
{
	const uint64_t *acc;
	int64_t start;

	while ((acc = wr_panes_nth(panes, from++, &start)))
		if (acc[e->slot] == at)
			return true;
	return false;
}

void wr_early_drop(const struct wr_early *e, struct wr_window *w, struct wr_panes *panes, int64_t keep)
{
	const uint64_t *acc;
	int64_t start;

	if (e->event) /* they were due before the window's end */
		return;
	for (uint32_t i = 0; (acc = wr_panes_nth(panes, i, &start)) && start < keep; i++) {
		uint64_t at = acc[e->slot];

		if (!is_waited_for(e, panes, i + 1, at))
			wr_timer_remove(w->stage->store, WR_TIMER_PROCESSING, (int64_t)at);
	}
}
