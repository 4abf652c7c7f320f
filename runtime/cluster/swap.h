/* SPDX-License-Identifier: Apache-2.0 */
/* swap: other functions for a running job, from a version of its script that draws the same graph
 * (cluster/difference.h). On the coordinator's thread, but for the loading, which a thread of low priority
 * does while the job runs on: at the barrier only pointers change places (task/functions.h).
 *
 *   IDLE ──begin──▶ LOADING ──all are loaded──▶ SWAPPING ──the barrier has left all tasks──▶ PROBATION
 *                   LOADING ──one is not──▶ IDLE, REFUSED: the job has not noticed
 *   PROBATION ──it is over──▶ DISCARDING ──▶ IDLE, KEPT
 *   PROBATION ──they fail, and there are no checkpoints──▶ RETURNING ──barrier──▶ DISCARDING ──▶ IDLE,
 * RETURNED
 *
 * During probation the functions before lie ready. It is over with the first checkpoint that holds and was
 * begun when they had met records (cluster/trial.h), or when its time is. With checkpoints a failure ends the
 * job, and who runs it goes back to what was before the barrier (wr_swap_is_open).
 */
#pragma once
#include "cluster/job.h"

enum wr_swap_news {
	WR_SWAP_REFUSED,  /* the script could not be loaded in some task; wr_swap_error */
	WR_SWAP_DONE,	  /* all tasks have the new functions; probation begins */
	WR_SWAP_KEPT,	  /* probation is over */
	WR_SWAP_RETURNED, /* they failed, those before are in use again; wr_swap_error */
};
struct wr_swap_options {
	const struct wr_plan *plan; /* borrowed until DONE or REFUSED */
	void
	    *bundle; /* borrowed as long as its functions run; when the end is told, one of the two is free */
	uint64_t probation_ns;
	/* Of each once, DONE before the two others; the coordinator's thread. Not told when the job ends
	 * first. */
	void (*tell)(void *arg, enum wr_swap_news news);
	void *arg;
};

struct wr_swap; /* of one job */
/* NULL with the error set. */
struct wr_swap *wr_swap_new(struct wr_job *j);
/* Waits for what is being loaded. */
void wr_swap_free(struct wr_swap *s);
/* WR_EUSER: another one is not over, or the job cannot take it now. Waits for nothing. */
int wr_swap_begin(struct wr_swap *s, const struct wr_swap_options *o);
/* Probation is over, if there is one. */
void wr_swap_settle(struct wr_swap *s);
/* wr_swap_begin may be called. */
bool wr_swap_is_idle(const struct wr_swap *s);
/* RETURNED. WR_EUSER: probation is over, and the job fails. */
int wr_swap_letter(struct wr_swap *s, const struct wr_letter *l);
/* Does what is due. */
void wr_swap_work(struct wr_swap *s, uint64_t now_ns);
/* When to work next, UINT64_MAX = when a letter comes or the loop is woken. */
uint64_t wr_swap_deadline(const struct wr_swap *s);

/* Why the last one was refused or taken back. */
const char *wr_swap_error(const struct wr_swap *s);
/* Number of the last one's checkpoint. */
uint64_t wr_swap_checkpoint(const struct wr_swap *s);
/* Some tasks may have new functions, and they are not trusted yet. */
bool wr_swap_is_open(const struct wr_swap *s);
