/* SPDX-License-Identifier: Apache-2.0 */
/* resume: where a job begins: anew, or at a checkpoint, which is looked through first: is it whole, and does
 * the job as it is drawn now have a place for all of its state? Before the job runs; blocks.
 */
#pragma once
#include "checkpoint/history.h"
#include "cluster/plan.h"
#include "task/restore.h"

struct wr_resume_options {
	const char *dir;    /* of the checkpoints; kept to ourselves while it is open; NULL: there are none */
	const char *resume; /* "auto": the last in `dir`; "never"; or another folder of checkpoints */
	const char *from;   /* a savepoint, or a folder of checkpoints, to begin at; NULL = none */
	bool allow_dropped; /* state that nothing has a place for is left behind */
	struct wr_plan *plan; /* takes the number of key groups from the state where it is free to (P7) */
};
struct wr_resume;
/* NULL with the error set: also when `dir` has checkpoints of a job of another name, or none that holds, or
 * some that did not come from the savepoint, unless those there are to be passed over ("never"). */
struct wr_resume *wr_resume_open(const struct wr_resume_options *o);
void wr_resume_close(struct wr_resume *r);
/* Looks again: the job failed and begins once more from what holds now. With "never" that is a checkpoint of
 * its own, if it took one. */
int wr_resume_again(struct wr_resume *r);

/* What holds in `dir` behind this checkpoint is none any more, if that holds. */
int wr_resume_go_back(struct wr_resume *r, uint64_t checkpoint);
/* It is another plan that is to begin there; borrowed. */
void wr_resume_use(struct wr_resume *r, struct wr_plan *plan, bool allow_dropped);

struct wr_blobs *wr_resume_blobs(struct wr_resume *r); /* of `dir`; NULL: checkpoints are not taken */
/* NULL: the job begins anew. */
const struct wr_restore *wr_resume_restore(const struct wr_resume *r);
/* Of `dir` (checkpoint/folder_id.h), 0 = checkpoints are not taken. */
uint64_t wr_resume_folder_id(const struct wr_resume *r);
/* The job begins a lineage of its own: identity of the savepoint that it begins from; NULL: it goes on with
 * that of the checkpoint. */
const char *wr_resume_origin(const struct wr_resume *r);
/* Highest number of a checkpoint that was ever begun in `dir`, or is begun at: the next ones have higher
 * ones. */
uint64_t wr_resume_newest(const struct wr_resume *r);
