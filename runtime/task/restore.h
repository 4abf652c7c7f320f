/* SPDX-License-Identifier: Apache-2.0 */
/* restore: a task begins where a checkpoint left it: keyed state of its key groups, timers, operator state,
 * watermarks. On the task's thread, behind the open of all stages, before anything else.
 *
 * What a stage was is found by the uid of its first operator; how many subtasks it had does not matter.
 */
#pragma once
#include "checkpoint/blobs.h"
#include "checkpoint/manifest.h"

struct wr_task;

/* A checkpoint that tasks begin from. Read by all tasks, changed by none. */
struct wr_restore {
	struct wr_blobs *blobs;
	const struct wr_manifest *manifest;
};
/* WR_OK, or the error with the blob's id in front. */
int wr_task_restore(struct wr_task *t);
