/* SPDX-License-Identifier: Apache-2.0 */
/* sched: a fixed set of worker threads on which tasks take turns.
 *
 * A task belongs to one worker for life. It is woken from any thread by its runner; a worker
 * steps what was woken, in order, and what is due goes first. A worker with nothing to do sleeps
 * in its event loop until it is woken or a deadline comes; it is woken by a system call only
 * when it sleeps.
 *
 *   runner:  RESTING ──wake──▶ QUEUED ──step──▶ RESTING
 *                      a wake during a step queues it again: none is lost
 */
#pragma once
#include <stdatomic.h>
#include "base/loop.h"
#include "base/thread.h"
#include "task/task.h"

struct wr_worker;

/* What wakes a task and steps it; made before the task, since its channels want to wake it. */
struct wr_runner {
	struct wr_worker *worker;
	struct wr_task *task;	 /* set before the first wake */
	struct wr_runner *next;	 /* run queue or inbox */
	_Atomic uint32_t queued; /* 1: in the run queue or an inbox */
	uint32_t heap_at;	 /* place among the deadlines, 0 = none */
	uint64_t deadline_ns;
	bool finished;
};

struct wr_sched_options {
	uint32_t workers;
	bool spin;   /* poll instead of sleeping */
	bool pinned; /* worker i on the i-th cpu that the process may use */
	struct wr_clock *clock;
	/* A step was ENOUGH, or the task's last one, DONE or FAILED (with this thread's error set). Worker's
	 * thread. */
	void (*on_end)(void *arg, struct wr_runner *r, enum wr_step step);
	/* A worker's thread has ended; on it, as the last thing. May be NULL. */
	void (*on_quit)(void *arg);
	void *arg;
};
struct wr_sched;
/* NULL with the error set. Threads are started by wr_sched_start. */
struct wr_sched *wr_sched_new(const struct wr_sched_options *o);
/* Before start: puts `r` on worker `worker` (modulo their number). */
int wr_sched_add(struct wr_sched *s, struct wr_runner *r, uint32_t worker);
/* The notify that wakes `r`; any thread. */
struct wr_notify wr_runner_notify(struct wr_runner *r);
/* Starts the threads and wakes all tasks once. */
int wr_sched_start(struct wr_sched *s);
/* Lets the threads end after the step that they are in, and does not wait for that. Any thread. */
void wr_sched_end(struct wr_sched *s);
/* After wr_sched_end: how many threads have not ended. One runner that such a thread is stepping goes to
 * *stepped, or NULL. Any thread. */
uint32_t wr_sched_left(struct wr_sched *s, const struct wr_runner **stepped);
/* As wr_sched_end, and joins the threads. */
void wr_sched_stop(struct wr_sched *s);
void wr_sched_free(struct wr_sched *s);
