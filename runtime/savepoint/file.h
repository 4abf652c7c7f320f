/* SPDX-License-Identifier: Apache-2.0 */
/* file: a savepoint: a whole checkpoint in one file that can be carried away (FORMAT.md).
 *
 * To those who read and write state it is one more table of blobs (checkpoint/blobs.h): a new file takes
 * blobs one after the other and is there once its manifest is published; one that is there gives them back.
 * Functions block; one thread, but for open and close of a file that is read.
 */
#pragma once
#include "checkpoint/blobs.h"
#include "checkpoint/manifest.h"

/* Can a savepoint be written at `path`? WR_EUSER: why not. */
int wr_savepoint_check_path(const char *path);
/* A new file at `path`. One blob is written at a time; `publish` of the manifest, which comes last, completes
 * the file and gives it its name, in place of one that has it. Freed before that it leaves nothing behind.
 * NULL with the error set. */
struct wr_blobs *wr_savepoint_create(const char *path);
/* What is at `path`: a savepoint, or a folder of checkpoints (that of a job, or chk-N in one). `manifest` is
 * that of the savepoint, of checkpoint N, or of the newest checkpoint that holds; all of it was read and
 * every checksum is right. Everything in *manifest lives in `arena`. NULL with the error set, the path in
 * front. */
struct wr_blobs *wr_savepoint_open(const char *path, struct wr_arena *arena, struct wr_manifest *manifest);

/* Makes a savepoint at `path` from the checkpoint `m` in `from`, which nobody removes meanwhile; *bytes is
 * the length of the file. The checkpoint's blobs go over as they are. Of a job that had ended it
 * says that, and who begins there ends at once. WR_OK or the error. */
int wr_savepoint_make(struct wr_blobs *from, const struct wr_manifest *m, const char *path, uint64_t *bytes);
/* Into a new savepoint, as they are: the blobs that a subtask's blob names (logs of sinks). */
int wr_savepoint_copy_named(struct wr_blobs *from, struct wr_blobs *to, const char *id);
/* The same from the newest checkpoint that holds in a job's folder, also while the job is running. `path`
 * NULL: wr_savepoint_name in the current folder. */
enum { WR_SAVEPOINT_PATH = 512 };
struct wr_savepoint_made {
	char job[WR_SAVEPOINT_PATH], path[WR_SAVEPOINT_PATH];
	uint64_t checkpoint, bytes;
	int64_t time_ms; /* of the checkpoint */
};
int wr_savepoint_make_newest(const char *folder, const char *path, struct wr_savepoint_made *out);
/* "JOB-12.weir" for checkpoint 12, with what does not belong into the name of a file as '-'. */
void wr_savepoint_name(const struct wr_manifest *m, char out[WR_SAVEPOINT_PATH]);
