/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator: when a checkpoint is begun, and whether it is complete. A pure protocol (semantics.md C12 to
 * C19): events in, actions out. No clock, no file, no thread; `now_ns` is steady time.
 *
 *   IDLE ──due or asked for──▶ PENDING n ──all tasks acked or ended──▶ PUBLISHING n ──on the disk──▶ IDLE
 *                              PENDING n ──declined | too late──▶ IDLE, n is aborted
 *                                              PUBLISHING n ──the disk refused──▶ IDLE, n is aborted
 *
 * Numbers rise and are never used twice. One checkpoint is under way at a time; what is asked for meanwhile
 * waits, as one, and goes before a periodic one (C12). Between the end of one, or the begin of the run (C18),
 * and a periodic next lies the minimum pause (C13). Checkpoints that fail one after another beyond the
 * tolerable number fail the job (C16).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct wr_coordinator_options {
	uint64_t every_ns;     /* 0 = only when asked for */
	uint64_t min_pause_ns; /* between the end of one and a periodic next */
	uint64_t timeout_ns;   /* from trigger to the last ack */
	uint64_t overtake_ns;  /* from trigger to OVERTAKE (C8), UINT64_MAX = never */
	uint32_t tolerable;    /* failures in a row */
	uint32_t tasks;	       /* > 0; numbered from 0 */
	uint64_t last;	       /* number of the checkpoint that was restored, 0 = none */
};

enum wr_coordinator_act {
	WR_COORDINATOR_TRIGGER,	 /* bid the tasks take snapshots */
	WR_COORDINATOR_OVERTAKE, /* it takes long: its barriers overtake what waits, where they may */
	WR_COORDINATOR_ABORT,	 /* tell them that it is off, and remove what they wrote */
	WR_COORDINATOR_PUBLISH,	 /* every task's part is durable: write the manifest, then say so */
	WR_COORDINATOR_COMPLETE, /* it holds: tell the tasks, remove older ones */
	WR_COORDINATOR_FAIL,	 /* too many failed in a row: the job fails */
};
struct wr_coordinator_action {
	enum wr_coordinator_act act;
	uint64_t checkpoint;
	bool asked;	  /* for, by somebody: not periodic */
	const char *why;  /* of ABORT and FAIL; static */
	uint32_t awaited; /* of an ABORT that was too late: how many tasks had not answered, … */
	uint32_t task;	  /* … and the first of them */
};

struct wr_coordinator;
/* NULL with the error set when the heap refuses. */
struct wr_coordinator *wr_coordinator_new(const struct wr_coordinator_options *o, uint64_t now_ns);
void wr_coordinator_free(struct wr_coordinator *c);

/* Time passes; called at wr_coordinator_deadline or earlier. */
void wr_coordinator_tick(struct wr_coordinator *c, uint64_t now_ns);
/* When a tick may have something to do, UINT64_MAX = never. */
uint64_t wr_coordinator_deadline(const struct wr_coordinator *c);
/* Somebody asks for a checkpoint. */
void wr_coordinator_ask(struct wr_coordinator *c, uint64_t now_ns);
/* The same, but it is not begun before the next tick. */
void wr_coordinator_want(struct wr_coordinator *c);
/* `task` has its part of `checkpoint` durable; or could not take it. Said again, or of one that is not under
 * way, it means nothing. */
void wr_coordinator_ack(struct wr_coordinator *c, uint32_t task, uint64_t checkpoint, uint64_t now_ns);
void wr_coordinator_decline(struct wr_coordinator *c, uint32_t task, uint64_t checkpoint, uint64_t now_ns);
/* A task cannot take part in `checkpoint` yet: it is off, and does not count as failed. */
void wr_coordinator_defer(struct wr_coordinator *c, uint64_t checkpoint, uint64_t now_ns);
/* `task` has ended: it counts as one that acked (C4). */
void wr_coordinator_ended(struct wr_coordinator *c, uint32_t task, uint64_t now_ns);
/* The manifest of `checkpoint` is on the disk, or is not. */
void wr_coordinator_published(struct wr_coordinator *c, uint64_t checkpoint, bool ok, uint64_t now_ns);
/* The next thing to do; false: nothing. */
bool wr_coordinator_next(struct wr_coordinator *c, struct wr_coordinator_action *out);

/* Number of the last that was begun. */
uint64_t wr_coordinator_last(const struct wr_coordinator *c);
/* Under way, 0 = none. */
uint64_t wr_coordinator_pending(const struct wr_coordinator *c);
/* Did `task` ack the one under way? */
bool wr_coordinator_acked(const struct wr_coordinator *c, uint32_t task);
