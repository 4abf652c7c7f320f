/* SPDX-License-Identifier: Apache-2.0 */
/* part_disk: what part_files does to the disk: folders, files, renames, each with its place in the order that
 * survives a crash. A file is reached by its name in the staging folder until it is finished, then by the
 * same name in its bucket. All functions block; one thread at a time. Errors name the file. */
#pragma once
#include "rolling/bucket.h"
#include "rolling/part_files.h"
#include "savepoint/unfinished.h"

/* One file. */
struct wr_disk_part {
	char *bucket; /* owned */
	char name[WR_PART_NAME];
	uint64_t length; /* of what is a part of it: all that was written */
	int fd;		 /* −1 = closed */
	bool dirty;	 /* written since the last sync */
};

enum { WR_DISK_MADE = 8 };
struct wr_disk {
	const char *path, *suffix;
	char *at;		       /* `path` from the root, owned; NULL = it cannot be told */
	char staging[WR_STAGING_NAME]; /* name of the folder below `path` */
	char id[WR_STAGING_NAME - 6];
	struct wr_packer *packer; /* NULL: as it is */
	struct wr_bytes packed;
	bool names_changed;	      /* in the staging folder, since it was synced */
	bool staged;		      /* that folder's own name is on the disk */
	char made[WR_DISK_MADE][256]; /* buckets whose names are, the last ones */
	uint32_t made_at;
	char marks[512]; /* folder of the marks, "" = none */
	uint64_t marked; /* by this subtask and lineage, 0 = nothing */
};

/* The sink's folder is there and can be written to, or it is the error. */
int wr_disk_open(struct wr_disk *d, const struct wr_parts_options *o);
/* Removes the staging folder if nothing is in it. */
void wr_disk_deinit(struct wr_disk *d);

/* A name for part `number` of this subtask, and its bucket. */
int wr_disk_name(const struct wr_disk *d, struct wr_disk_part *part, const struct wr_stage_env *env,
		 uint64_t number, struct wr_str bucket);
/* Appends, packed as a member of its own; the first time it makes the file. */
int wr_disk_write(struct wr_disk *d, struct wr_disk_part *part, const void *block, size_t len);
/* What was written is on the disk. */
int wr_disk_sync(struct wr_disk_part *part);
void wr_disk_close(struct wr_disk_part *part);
/* Closes it and forgets its bucket. */
void wr_disk_forget(struct wr_disk_part *part);
/* The names of staged files are. */
int wr_disk_sync_staging(struct wr_disk *d);

/* Says beside the checkpoints, before files are finished, that those of `checkpoint` are: whoever begins at
 * an older one finds that out. */
int wr_disk_mark(struct wr_disk *d, const struct wr_stage_env *env, uint64_t checkpoint);
/* To finish files: makes their bucket, moves each, syncs the bucket. */
int wr_disk_make_bucket(struct wr_disk *d, const char *bucket);
int wr_disk_finish(struct wr_disk *d, struct wr_disk_part *part);
int wr_disk_sync_bucket(const struct wr_disk *d, const char *bucket);

/* To go on from a checkpoint that names a file, staged below `path` then: cuts it to the length that it had
 * and finishes it, unless it is finished already. WR_EUSER: it is not what the checkpoint says. */
int wr_disk_recover(const char *path, const char *staging, const struct wr_unfinished_part *part);
/* To begin a job of its own there: finishes, as one of this sink, what the file had, unless the sink has it
 * already, and leaves to the job that wrote it what is its own. The rows are those that the savepoint carries
 * at which the job begins, else those that the other sink has. WR_EUSER: they are out of reach. */
int wr_disk_adopt(struct wr_disk *d, const struct wr_stage_env *env, const struct wr_unfinished *u,
		  const struct wr_unfinished_part *part);
/* Reads the marks of the subtasks that are ours modulo the parallelism. WR_EUSER: files were finished behind
 * `checkpoint`, where the job begins. */
int wr_disk_read_marks(struct wr_disk *d, const struct wr_stage_env *env, uint64_t checkpoint);
/* Removes the staged files of the subtasks that are `subtask` modulo `parallelism`. */
int wr_disk_sweep(struct wr_disk *d, uint32_t subtask, uint32_t parallelism);
