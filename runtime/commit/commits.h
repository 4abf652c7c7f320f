/* SPDX-License-Identifier: Apache-2.0 */
/* commits: what an exactly-once sink has logged: what of it is to be committed next, what a checkpoint must
 * name, and which logs may go. A pure protocol for one subtask of a sink: events in, answers out. No file, no
 * clock, no thread.
 *
 * Between two barriers a sink's rows go to a log, an *epoch*, which bears the number of the barrier behind
 * it. Targets keep a *mark* for each (lineage, log): the number of the last epoch that is in them, stored
 * atomically with its rows. So there is one rule for normal work and for recovery: what the last complete
 * checkpoint covers is committed in order, and what a mark covers is not committed again.
 *
 *   OPEN ──barrier n──▶ CUT n ──a checkpoint ≥ n holds──▶ DUE ──next──▶ UNDER WAY ──done──▶ gone
 *   named by a checkpoint that is restored ──▶ DUE, or gone if its mark covers it
 *
 * Numbers rise within a lineage and are never used twice. A log is named after the subtask that writes it.
 * When the parallelism changes, what is left of log k belongs to the subtask k, or where there is none to
 * k modulo the parallelism, and is committed under the name k still: nobody else touches that mark.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Rows between two barriers in one log; a plain value, part of checkpoints. */
struct wr_epoch {
	uint64_t lineage;
	uint32_t log;
	uint64_t number; /* of the barrier behind it */
	uint64_t after;	 /* newest number that had been given out before its first row: names its blob */
	uint64_t rows, bytes;
};

/* Who commits what is left of `log` where there are `parallelism` subtasks. */
static inline uint32_t wr_commits_owner(uint32_t log, uint32_t parallelism)
{
	return log < parallelism ? log : log % parallelism;
}

struct wr_commits;
/* Subtask `log` of a job of this lineage; `newest` is the highest number that was ever given out.
 * NULL with the error set when the heap refuses. */
struct wr_commits *wr_commits_new(uint64_t lineage, uint32_t log, uint64_t newest);
void wr_commits_free(struct wr_commits *c);

/* ---- beginning at a checkpoint, which counts as complete ---- */

/* An epoch that the restored checkpoint names, and that is ours. In any order. WR_OK, WR_EUSER: named twice,
 * or of a number that is to come; WR_EFATAL. */
int wr_commits_inherit(struct wr_commits *c, const struct wr_epoch *e);

/* ---- marks: nothing of a log is committed while its mark is to be asked for, which is so for inherited
 * epochs and for those whose commit failed ---- */

/* A (lineage, log) whose mark is to be asked for. False: none. */
bool wr_commits_ask(const struct wr_commits *c, uint64_t *lineage, uint32_t *log);
/* The target's answer: the epochs up to `mark` (0 = none) are in it. */
void wr_commits_answer(struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark);
/* Does the answer name an epoch that no checkpoint of this process covers? Then another process of the job is
 * at work, which has checkpoints of its own. */
bool wr_commits_overtaken(const struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark);

/* ---- what is known to be in the target, of the logs of this lineage: part of checkpoints, so that a target
 * which lost its marks is told from one that never had any ---- */

struct wr_committed {
	uint32_t log;
	uint64_t number;    /* of its newest epoch that is there */
	int64_t written_ms; /* its mark was written then or later; since 1970 */
};
/* A checkpoint says so. WR_OK or WR_EFATAL. */
int wr_commits_know(struct wr_commits *c, const struct wr_committed *known);
/* False: no i-th log of which anything is known. */
bool wr_commits_known(const struct wr_commits *c, uint32_t i, struct wr_committed *out);
/* The newest epoch of `log` that is, 0 = none. */
uint64_t wr_commits_newest(const struct wr_commits *c, uint32_t log);
/* The target has less, and that is taken as it is: up to `mark`. */
void wr_commits_lost(struct wr_commits *c, uint32_t log, uint64_t mark);

/* All that was inherited is committed, and the target is another from now on, of which nothing is known. */
void wr_commits_forget(struct wr_commits *c);

/* ---- targets that forget marks: a mark is there for `keeps_ms` behind the last time that it was written,
 * and counts as there for six sevenths of that; the rest is for clocks that differ, and for a commit whose
 * answer came so late that a checkpoint behind it does not know of it ---- */

/* When a target is asked for a mark: its keeps_ms (0 = for ever), the time, and that of the checkpoint. */
struct wr_mark_age {
	int64_t keeps_ms, now_ms, checkpoint_ms;
};
/* May a mark that was last written then be forgotten? */
bool wr_mark_may_be_forgotten(const struct wr_mark_age *age, int64_t written_ms);
enum wr_mark_is {
	WR_MARK_HOLDS,	   /* what it says is so; where there is none, nothing was committed */
	WR_MARK_EXPIRED,   /* forgotten, but what is known is there, and what the checkpoint names is not:
			      committed since, it would have left a mark that is young enough */
	WR_MARK_UNCERTAIN, /* there is none, and the checkpoint is so old that what it names may have left one
			    */
	WR_MARK_LOST,	   /* the target has less than is known to be in it */
};
/* What `mark`, the target's answer at a restore (0 = none), means. */
enum wr_mark_is wr_commits_judge(const struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark,
				 const struct wr_mark_age *age);
/* Is the mark of our own log to be written again, so that it is not forgotten? That is so a seventh of
 * `keeps_ms` behind the last time. *number: what it says. */
bool wr_commits_keep(const struct wr_commits *c, int64_t keeps_ms, int64_t now_ms, uint64_t *number);
/* It was written again, at `written_ms` or later. */
void wr_commits_kept(struct wr_commits *c, int64_t written_ms);

/* ---- running ---- */

/* What names the blob of the open epoch (struct wr_epoch.after). */
uint64_t wr_commits_after(const struct wr_commits *c);
/* The barrier `number` has come behind `rows` rows, `bytes` as logged. No rows, no epoch. WR_OK or WR_EFATAL.
 */
int wr_commits_barrier(struct wr_commits *c, uint64_t number, uint64_t rows, uint64_t bytes);
/* The checkpoint `number` holds. Said late, twice or for a later one, it means the same (C20). */
void wr_commits_complete(struct wr_commits *c, uint64_t number);
/* The next epoch to commit, oldest first (C21); under way until `done` or `failed`. False: none now. */
bool wr_commits_next(struct wr_commits *c, struct wr_epoch *out);
/* The one under way is in the target with its mark, which was written at `written_ms` or later; or may be
 * there or not: its mark is to be asked for. */
void wr_commits_done(struct wr_commits *c, int64_t written_ms);
void wr_commits_failed(struct wr_commits *c);

/* What a checkpoint names now: all that is not known to be in the target, oldest first. False: no i-th. */
bool wr_commits_named(const struct wr_commits *c, uint32_t i, struct wr_epoch *out);
/* Bytes of epochs that are due or under way: how far the target lags behind. */
uint64_t wr_commits_lag(const struct wr_commits *c);
/* Bytes of all that is named. */
uint64_t wr_commits_bytes(const struct wr_commits *c);
