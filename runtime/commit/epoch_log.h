/* SPDX-License-Identifier: Apache-2.0 */
/* epoch_log: the rows that one subtask of an exactly-once sink is given, on their way into blobs, one an
 * epoch (commits.h), and out of them again. FORMAT.md of checkpoint/ has the bytes.
 *
 * The task appends rows to a block; full blocks are written by an I/O thread while the epoch is open. The
 * barrier cuts the epoch, and who writes the task's snapshot waits until all of it is durable (seal). A
 * bounded number of blocks waits to be written; beyond it the task pauses.
 */
#pragma once
#include "base/notify.h"
#include "base/thread.h"
#include "checkpoint/block.h"
#include "checkpoint/history.h"
#include "commit/commits.h"
#include "record/dict.h"

struct wr_epoch_log_options {
	struct wr_blobs *blobs; /* borrowed */
	struct wr_iopool *io;
	struct wr_notify wake; /* fired when a paused task may go on */
	const char *uid;       /* of the sink; borrowed */
	uint64_t lineage;
	uint32_t log; /* number of the subtask */
	bool packs;   /* its blocks; else not, as what is soon read back and removed */
};
struct wr_epoch_log;
/* Copies the options. NULL with the error set. */
struct wr_epoch_log *wr_epoch_log_new(const struct wr_epoch_log_options *o);
/* Waits for the write under way; what was not cut and sealed is lost. */
void wr_epoch_log_free(struct wr_epoch_log *l);

/* Task's thread. Appends the rows; `after` names the open epoch (struct wr_epoch). WR_OK; WR_AGAIN: nothing
 * was taken, too much waits to be written; or the error of an earlier write, after which no epoch may be
 * named. */
int wr_epoch_log_add(struct wr_epoch_log *l, uint64_t after, const uint8_t *rows, const uint8_t *end);
/* Task's thread: the open epoch ends here, by barrier `number`; *rows, *bytes of it, 0 = there was none.
 * WR_OK or that error. */
int wr_epoch_log_cut(struct wr_epoch_log *l, uint64_t number, uint64_t *rows, uint64_t *bytes);
/* Of the open epoch. */
uint64_t wr_epoch_log_rows(const struct wr_epoch_log *l);
uint64_t wr_epoch_log_bytes(const struct wr_epoch_log *l);
/* Any one thread but the task's; blocks: all that was cut is durable, or the error that keeps it from being.
 */
int wr_epoch_log_seal(struct wr_epoch_log *l);

/* Reads the rows of an epoch. One thread. */
struct wr_epoch_rows {
	struct wr_blobs *blobs;
	struct wr_epoch epoch;
	char id[WR_HISTORY_ID];
	struct wr_blob_view view;
	struct wr_block_reader in;
	struct wr_dict dict;
	struct wr_bytes rows;
	uint64_t count; /* rows so far */
	bool whole;	/* nothing may follow */
	bool at_home;	/* shapes bear the ids here that they had there */
	bool lasting;	/* the batch at hand is borrowed until the rows are closed */
};
/* WR_OK, or WR_EUSER: it is missing, damaged or another one. Close it in either case. */
int wr_epoch_rows_open(struct wr_epoch_rows *r, struct wr_blobs *blobs, const char *uid,
		       const struct wr_epoch *e);
/* The next batch: rows with the shapes of this process, borrowed until the next call. WR_OK, WR_END, or
 * WR_EUSER: damaged, or of another number of rows than was said. */
int wr_epoch_rows_next(struct wr_epoch_rows *r, const uint8_t **rows, const uint8_t **end);
void wr_epoch_rows_close(struct wr_epoch_rows *r);

/* Copies the blob of an epoch, checked, from another store. Blocks. */
int wr_epoch_log_copy(struct wr_blobs *from, struct wr_blobs *to, const char *uid, const struct wr_epoch *e);
/* How many rows the epochs first < number <= last of a log have, by what still lies in the store. Blocks.
 * WR_OK, or WR_EUSER: not all are there. */
int wr_epoch_log_count(struct wr_blobs *blobs, const char *uid, uint64_t lineage, uint32_t log,
		       uint64_t first, uint64_t last, uint64_t *rows);
