/* SPDX-License-Identifier: Apache-2.0 */
/* job_verbs: what a running job answers to by itself. On its coordinator's thread.
 *
 *   info        who it is and how it goes: its tasks and operators with their counters
 *   checkpoint  takes one, and says what became of it
 *   stop        takes one behind which nothing happens, and ends; "drain": true ends event time first (C27).
 *               A job without checkpoints ends only with drain, since what it holds would be lost
 *   cancel      ends at once
 *
 * stop and cancel are answered when the job has ended; stop says before that, as progress, which checkpoint
 * holds.
 */
#pragma once
#include "control/control.h"
#include "recovery/attempts.h"
#include "recovery/reload.h"

struct wr_ending;

/* The job that is asked; outlives the socket. */
struct wr_reached {
	struct wr_control *control;
	struct wr_attempts *attempts;
	const struct wr_plan *plan;
	const struct wr_reload *reload;
	const char *directory; /* of its checkpoints, or NULL */
	struct wr_clock *clock;
	/* The process is to end soon, whatever still holds it: a function that does not return, a pipe that
	 * nobody reads. */
	void (*hurry)(void);
	uint64_t start_ns;
	/* ours */
	struct wr_ending *endings; /* calls that are answered when the job has ended */
	bool stopped;
};

/* The table for wr_control_options; borrows `r`. */
struct wr_control_verbs wr_job_verbs(struct wr_reached *r);
/* The job has ended; `rc` as wr_attempts_run gave it. True: it did as `stop` asked, which is success
 * unless its sinks owe something. */
bool wr_reached_end(struct wr_reached *r, int rc);
