/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoints: those of one running job: carries the coordinator's wishes (checkpoint/coordinator.h) to
 * tasks, enumerators and the disk, and their answers back. On the coordinator's thread; manifests are written
 * and old checkpoints removed by an I/O thread.
 *
 * The order that makes a checkpoint hold: every task's blob is durable → its ack → the manifest is durable →
 * the tasks are told → older ones are removed. A crash between any two leaves the one before.
 */
#pragma once
#include "checkpoint/blobs.h"
#include "checkpoint/manifest.h"
#include "cluster/job.h"

/* A blob with less is written in so short a time that more files are not worth it. */
enum { WR_CHAIN_BYTES_MIN = 256 << 10 };

struct wr_checkpoint_options {
	struct wr_blobs
	    *blobs;	  /* borrowed; NULL: barriers pass when they are asked for, and nothing is written */
	int64_t every_us; /* 0 = only when asked for */
	int64_t min_pause_us, timeout_us;
	int64_t unaligned_after_us; /* from the trigger on (C8), 0 = never */
	uint32_t tolerable;	    /* failed ones in a row */
	uint32_t retain;	    /* > 0: complete ones that are kept */
	bool at_least_once;
	bool incremental; /* has only what has changed since the last, where that says it in so many bytes: */
	uint64_t chain_bytes_min;
	const char *script;		    /* hash of the bundle */
	const struct wr_manifest *restored; /* where the job begins, NULL = anew; borrowed */
	const char *origin; /* the savepoint with which a lineage begins, NULL: that of `restored` goes on */
	uint64_t newest;    /* highest number that was ever begun in `blobs` */
	const char *folder; /* of `blobs`, NULL = none: in memory */
	uint64_t folder_id; /* of `blobs` (checkpoint/folder_id.h) */
	uint64_t lineage;   /* of the job (wr_lineage) */
	bool skip_committed, assume_committed, assume_lost; /* as in struct wr_durable */
	int64_t patience_us;				    /* likewise */
	bool packs_logs;				    /* likewise */
};

/* The lineage of a job that begins at `restored` (NULL = anew); a new one is drawn where it begins anew, or
 * is to be another job from there on, so that what its sinks have committed so far tells nothing of it. */
uint64_t wr_lineage(const struct wr_manifest *restored, bool another, struct wr_clock *clock);

struct wr_checkpoints;
/* NULL with the error set. */
struct wr_checkpoints *wr_checkpoints_new(struct wr_job *j, const struct wr_checkpoint_options *o);
void wr_checkpoints_free(struct wr_checkpoints *c);
/* ACK, DECLINE, NOT_YET, WANTED and ENDED. */
int wr_checkpoints_letter(struct wr_checkpoints *c, const struct wr_letter *l);
/* Does what is due. WR_OK, or the error for which the job is to fail. */
int wr_checkpoints_work(struct wr_checkpoints *c, uint64_t now_ns);
/* When to work next, UINT64_MAX = when a letter comes or the loop is woken. */
uint64_t wr_checkpoints_deadline(const struct wr_checkpoints *c);
/* One that begins after this; its asker is told, at the latest by wr_checkpoints_give_up. */
void wr_checkpoints_ask(struct wr_checkpoints *c, struct wr_checkpoint_wish *w, uint64_t now_ns);
/* One whose barrier has `option` (WR_TRIGGER_NEXT or _BEFORE), which brings the tasks other functions. It
 * comes to all of them, also when what they write becomes no checkpoint, and before any other begins. One at
 * a time. */
void wr_checkpoints_swap(struct wr_checkpoints *c, uint64_t option, uint64_t now_ns);
/* Highest number that was begun. */
uint64_t wr_checkpoints_begun(const struct wr_checkpoints *c);
/* Number of the last whose barrier has brought other functions to all tasks, 0 = none. */
uint64_t wr_checkpoints_swapped(const struct wr_checkpoints *c);
/* Hash of the bundle, for manifests from here on; borrowed. */
void wr_checkpoints_set_script(struct wr_checkpoints *c, const char *hash);
/* Nothing comes of what was asked for and will be: `why`, static. */
void wr_checkpoints_give_up(struct wr_checkpoints *c, const char *why);
/* What became of the last one that holds (number 0: none), and the time of its end, steady. */
struct wr_checkpoint_outcome wr_checkpoints_last(const struct wr_checkpoints *c, uint64_t *at_ns);
/* The job has ended, all its tasks are through: says so on the disk, so that it is not begun again. Blocks.
 */
int wr_checkpoints_finish(struct wr_checkpoints *c);
