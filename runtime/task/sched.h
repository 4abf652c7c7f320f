/* SPDX-License-Identifier: Apache-2.0 */
/* sched: a fixed set of worker threads that step tasks.
 *
 * A task belongs to one worker for life. A worker steps what is scheduled, round robin,
 * looks at its loop about every millisecond, and sleeps when nothing is scheduled. Waking a
 * task from another thread puts it into the worker's inbox.
 *
 * No wake-up is lost: a task's `scheduled` flag is cleared before its step, so a wake during
 * the step schedules it again; a worker announces that it will sleep, then looks into its
 * inbox once more; a waker fills the inbox, then looks whether the worker sleeps. All of
 * these are sequentially consistent.
 */
#pragma once
#include "base/loop.h"
#include "task/task.h"

struct wr_sched;
struct wr_sched_options {
	uint32_t workers;
	bool spin; /* poll instead of sleeping */
	struct wr_clock *clock;
	/* A task is done; on its worker's thread. */
	void (*on_done)(void *arg, struct wr_task *t);
	void *arg;
};
struct wr_sched *wr_sched_new(const struct wr_sched_options *o);
void wr_sched_free(struct wr_sched *s);

/* A place for a task on worker `worker`; its wake goes into the task's options. Before start. */
struct wr_seat;
struct wr_seat *wr_sched_seat(struct wr_sched *s, uint32_t worker);
struct wr_notify wr_seat_wake(struct wr_seat *seat);
void wr_seat_take(struct wr_seat *seat, struct wr_task *t);

/* Starts the workers and schedules every task once. */
int wr_sched_start(struct wr_sched *s);
/* Waits until all tasks are done and the workers have ended. */
void wr_sched_join(struct wr_sched *s);
