/* SPDX-License-Identifier: Apache-2.0 */
/* attempts: a job that is run, and after a failure run again from its last checkpoint, in this process. One
 * thread, but for wr_attempts_stop.
 *
 * Not tried again: a first attempt that cannot begin (what is not built, a source without its input, a sink
 * that does not open), a bug of ours, and a job that was asked to stop.
 */
#pragma once
#include "checkpoint/restarts.h"
#include "cluster/checkpoints.h"
#include "cluster/report.h"
#include "recovery/resume.h"

struct wr_attempts_options {
	struct wr_job_options job; /* checkpoints and restore are set for each attempt */
	struct wr_checkpoint_options
	    checkpoints;	  /* likewise blobs, restored and newest; of no use without `resume` */
	struct wr_resume *resume; /* NULL: no checkpoints; borrowed */
	struct wr_report *report; /* watches each attempt; borrowed */
	struct wr_restart_options restarts;
	bool allow_duplicates; /* what was committed beyond the restored checkpoint may come again */
	const char *command;   /* by which the user runs it again; borrowed */
	/* An attempt has failed; `j` is freed after this, NULL: it was not even built. True: it is run again
	 * at once. May be NULL. */
	bool (*failed)(void *arg, struct wr_job *j);
	void *failed_arg;
	/* Told in which loop the thread waits from now on, before the one of before is freed. May be NULL. */
	void (*waits)(void *arg, struct wr_loop *loop);
	void *waits_arg;
	/* Between two attempts, whenever the loop has woken. May be NULL. */
	void (*between)(void *arg);
	void *between_arg;
};

struct wr_attempts;
/* NULL with the error set. */
struct wr_attempts *wr_attempts_new(const struct wr_attempts_options *o);
/* Frees the last job as well. */
void wr_attempts_free(struct wr_attempts *a);
/* Blocks until the job ended or is given up; as wr_job_run. WR_OK without a job: it had finished already. One
 * that was stopped, but not by wr_attempts_stop, has failed where its sinks owe something. */
int wr_attempts_run(struct wr_attempts *a);
/* Behind that: what sinks owe (recovery/owed.h), "" = nothing, or nobody knows. */
const char *wr_attempts_owed(const struct wr_attempts *a);
/* Attempts from the next one on run this plan; all borrowed until then and as long as they run. */
void wr_attempts_use(struct wr_attempts *a, struct wr_plan *plan, void *bundle, const char *script,
		     bool allow_dropped);
/* The next attempt begins at this checkpoint, if it holds, and what holds behind it is dropped. */
void wr_attempts_go_back(struct wr_attempts *a, uint64_t checkpoint);
/* The job is leaving (wr_job_leave), or waits for its next attempt: it is run again at once. The thread that
 * runs. */
void wr_attempts_again(struct wr_attempts *a);
/* As wr_job_stop; between two attempts it ends at once. Signal handlers on the thread that runs. */
void wr_attempts_stop(struct wr_attempts *a);
/* How many times the job was run again; the thread that runs. */
uint32_t wr_attempts_restarts(const struct wr_attempts *a);
/* The last that was built, NULL = none. */
struct wr_job *wr_attempts_job(const struct wr_attempts *a);
/* wr_job_is_stuck of the attempt under way; signals too. */
bool wr_attempts_is_stuck(const struct wr_attempts *a);
