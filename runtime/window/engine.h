/* SPDX-License-Identifier: Apache-2.0 */
/* engine: what all windows in C have in common: the stage around them.
 *
 * The stage (stage.c) takes keys and times of rows, lets timers fire in order of time and lets
 * other tasks run in between; a kind of window (timed.c, sessions.c) adds a row and answers a
 * timer. In processing time a row's time is the clock's, nothing is late (L2), and a window fires
 * one millisecond behind its last one (I7). Windows that know no time (counted.c) pass timers by.
 */
#pragma once
#include "task/stage.h"
#include "window/accums.h"
#include "window/late.h"
#include "window/result.h"

struct wr_window;

struct wr_window_ops {
	int (*open)(struct wr_window *w);
	/* The keys of `count` rows ahead are in w->keys: what they need of the store is fetched. NULL:
	 * wr_store_prefetch. */
	void (*ahead)(struct wr_window *w, uint32_t count);
	/* A row of time `ts`. The kind decides whether it is late, reads it (wr_accums_load) and sets its key
	 * (wr_window_key). WR_EUSER: a bad row, and nothing has changed. */
	int (*take)(struct wr_window *w, const struct wr_elem *row, const struct wr_short_key *key,
		    int64_t ts);
	/* The timer of the current key for time `at` is due. NULL: there are none. */
	int (*fire)(struct wr_window *w, int64_t at);
	/* A timer of processing time of a window of event time is due. NULL: there are none. */
	int (*early)(struct wr_window *w, int64_t at);
	/* Event time has ended. WR_AGAIN: call again. NULL: nothing to do. */
	int (*end)(struct wr_window *w);
	void (*free)(struct wr_window *w);
};

struct wr_window {
	const struct wr_window_ops *ops;
	struct wr_stage *stage;
	bool event, drop_at_end;
	int64_t lateness;
	enum wr_timer_kind timer;
	bool ending; /* the input has ended: timers of processing time up to last_ms fire */
	int64_t last_ms;
	struct wr_accums accums;
	struct wr_result result;
	struct wr_late late;
	uint64_t batch;			       /* its number, from 1 */
	int64_t now_ms;			       /* of the batch */
	bool look;			       /* a row cost as much as many: look at the clock behind it */
	struct wr_short_key keys[WR_KEYS_MAX]; /* of the rows ahead */
	void *state;			       /* the kind's own */
};

/* Makes the row's key the store's current one. */
int wr_window_key(struct wr_window *w, const struct wr_elem *row, const struct wr_short_key *key);
/* A timer for the current key, of the windows' own kind; and of any. */
int wr_window_timer(struct wr_window *w, int64_t at);
int wr_window_timer_of(struct wr_window *w, enum wr_timer_kind kind, int64_t at);
/* One result of the current key for the window [start, end). */
int wr_window_emit(struct wr_window *w, const uint64_t *slots, int64_t start, int64_t end);

extern const struct wr_window_ops wr_timed_ops, wr_sessions_ops, wr_counted_ops;
