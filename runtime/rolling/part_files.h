/* SPDX-License-Identifier: Apache-2.0 */
/* part_files: the files of one subtask of a rolling sink, from their first byte to their final name.
 *
 *   IN PROGRESS ──end──▶ PENDING ──a checkpoint that names it holds──▶ FINISHED
 *
 * In progress and pending ones lie in a folder below the sink's path that belongs to the sink alone
 * (".weir-<id>"); finished ones in their buckets, where they come by rename. Names are never used twice:
 *
 *   part-<id>-<run>-<subtask>-<number><suffix>      id: of the folder of checkpoints and the sink's uid
 *                                                   run: rises with each attempt that took a checkpoint
 *
 * Rows are appended by the task; everything that touches a file is a command, executed in order by I/O
 * threads. At a barrier all that was written is on the disk, names included, before the checkpoint may hold;
 * it holds the length of each file that is not finished. Beginning at a checkpoint all those are cut to
 * their length and finished, and what else the sink's folder has of the subtasks that this one stands for
 * was never part of anything and is removed. A job of its own that begins there (from a savepoint, in another
 * folder of checkpoints) finishes copies of them, under their names: the job that wrote them may be running.
 *
 * Without checkpoints (folder_id 0) a file is finished as it ends. Functions are the task's but for
 * wr_parts_settle. */
#pragma once
#include "stream/packer.h"
#include "task/stage.h"

struct wr_parts_options {
	const struct wr_stage_env *env;
	const char *path; /* borrowed */
	const char *uid;
	const char *suffix; /* with its dots */
	enum wr_packing packing;
	int level;
};
struct wr_parts;
struct wr_part;

/* Makes the folder if it is not there, its parents not. NULL with the error set: WR_EUSER if nothing can be
 * written there. */
struct wr_parts *wr_parts_new(const struct wr_parts_options *o);
/* Waits for what is under way; what was not finished stays where it is. */
void wr_parts_free(struct wr_parts *p);
/* Before anything is begun: finishes what the checkpoint names (NULL: there is none), removes what else is
 * left. Blocks. */
int wr_parts_recover(struct wr_parts *p, const struct wr_saved_state *saved);

/* WR_OK: more may be written; WR_AGAIN: too much waits for the disk, env.wake fires later; or the error of an
 * earlier command. */
int wr_parts_room(struct wr_parts *p);
/* A new file of this bucket ("" = none). NULL with the error set. */
struct wr_part *wr_parts_begin(struct wr_parts *p, struct wr_str bucket);
/* To append whole rows to. */
struct wr_bytes *wr_part_block(struct wr_part *part);
/* Bytes that it has or, if it is packed, had a moment ago. */
uint64_t wr_part_size(const struct wr_part *part);
/* Rows were appended: hands them over if they are many, or `all`. */
int wr_part_added(struct wr_part *part, bool all);
/* Pending. It is no longer the caller's. */
int wr_part_end(struct wr_part *part);

/* A barrier, behind all that was handed over. */
int wr_parts_barrier(struct wr_parts *p, uint64_t checkpoint);
/* On another thread: executes all up to that barrier and appends what is to be saved. */
int wr_parts_settle(struct wr_parts *p, uint64_t checkpoint, struct wr_bytes *out);
/* The checkpoint holds. */
int wr_parts_complete(struct wr_parts *p, uint64_t checkpoint);
/* WR_OK: all files are finished; WR_AGAIN: not yet, env.wake fires when one more is; or the error. */
int wr_parts_finished(struct wr_parts *p);
