/* SPDX-License-Identifier: Apache-2.0 */
/* early: results so far of a tumbling window, every while until it ends (T6, T7).
 *
 * Each pane has one slot more, behind its accumulator: when its next early result is due, in event time or by
 * the clock. Times are multiples of the interval, and not behind the window's last millisecond. Timers are
 * the key's; which panes one is for is seen in the slots.
 */
#pragma once
#include "window/engine.h"
#include "window/panes.h"

struct wr_early {
	int64_t every; /* 0: there are none */
	bool event;
	uint32_t slot;
};

/* From the option `early`; takes its slot. */
void wr_early_init(struct wr_early *e, struct wr_window *w);
/* A pane was begun by a row of time `ts`: what goes into its slot. WR_NO_WINDOW: no early result. */
int64_t wr_early_first(const struct wr_early *e, const struct wr_window *w, int64_t ts, int64_t last);
/* A timer for it. */
int wr_early_timer(const struct wr_early *e, struct wr_window *w, int64_t at);
/* The timer for `at` is due: emits the panes of the current key that wait for it, whose windows are of
 * `size`. */
int wr_early_fire(const struct wr_early *e, struct wr_window *w, struct wr_panes *panes, int64_t size,
		  int64_t at);
/* Panes that start before `keep` are about to go: their timers do. */
void wr_early_drop(const struct wr_early *e, struct wr_window *w, struct wr_panes *panes, int64_t keep);
