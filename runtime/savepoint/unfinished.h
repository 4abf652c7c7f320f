/* SPDX-License-Identifier: Apache-2.0 */
/* unfinished: the files of rolling sinks (rolling/part_files.h) that were not finished at a checkpoint. A
 * checkpoint has their names and lengths, their rows are below the sink's folder; a savepoint takes those
 * rows along, since whoever begins there may be out of reach of that folder.
 *
 * A file of it is looked for where it is staged, and then in its bucket, where it was finished behind the
 * checkpoint: each below the path that the sink was given, and below what that path was on the machine that
 * wrote it. Names of files are never used twice, and files only grow: what is found under a name begins with
 * what the checkpoint means.
 *
 * In a savepoint each is a blob "part/NAME" of blocks (WR_BLOCK_BYTES); one without bytes had been finished
 * when the savepoint was made, so that its rows are in the sink's folder for all to see.
 *
 * All functions block; any thread. */
#pragma once
#include "checkpoint/blobs.h"
#include "record/value.h"

enum { WR_PART_NAME = 160, WR_STAGING_NAME = 24, WR_BUCKET_MAX = 1024, WR_UNFINISHED_PATH = 4096 };

/* What a sink says of itself in a checkpoint; all borrowed. */
struct wr_unfinished {
	const struct wr_value *parts; /* [bucket, name, length, ended] each */
	uint32_t count;
	const char *path;    /* as the sink was given it; NULL = not said, like the others */
	const char *at;	     /* the same from the root of the machine that wrote it */
	const char *staging; /* name of the folder below it */
};
struct wr_unfinished_part {
	const char *bucket; /* below the sink's folder, "" = itself */
	const char *name;
	uint64_t length; /* at the checkpoint */
	bool ended;	 /* finished as soon as the checkpoint holds, for others to take it away */
};
/* WR_EUSER: it is malformed, or its names lead elsewhere. */
int wr_unfinished_read(const struct wr_value *v, struct wr_unfinished *out);
struct wr_unfinished_part wr_unfinished_part(const struct wr_unfinished *u, uint32_t i);

enum wr_unfinished_place {
	WR_UNFINISHED_STAGED,	/* *file is its path */
	WR_UNFINISHED_FINISHED, /* likewise */
	WR_UNFINISHED_GONE, /* it had ended, and somebody took it from the sink's folder, which is there */
	WR_UNFINISHED_LOST, /* it is nowhere; *file is where it would be */
};
/* Where a part is. WR_OK, or WR_EUSER: a path is too long. */
int wr_unfinished_find(const struct wr_unfinished *u, const struct wr_unfinished_part *part,
		       enum wr_unfinished_place *place, char file[WR_UNFINISHED_PATH]);

/* Into a new savepoint: the files that the blob `id` of a subtask means. WR_EUSER: one is out of reach, or is
 * not what the checkpoint says. */
int wr_savepoint_copy_unfinished(struct wr_blobs *from, struct wr_blobs *to, const char *id);
/* Calls `put` with the bytes of one that `from` carries, piece by piece; *bytes is how many they are, 0 = it
 * had been finished. WR_END: it is not in there; WR_EUSER: it is damaged; or what `put` gave. */
int wr_savepoint_read_unfinished(struct wr_blobs *from, const char *name,
				 int (*put)(void *arg, const void *p, size_t len), void *arg,
				 uint64_t *bytes);
