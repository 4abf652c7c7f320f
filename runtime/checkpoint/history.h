/* SPDX-License-Identifier: Apache-2.0 */
/* history: the checkpoints in a folder of blobs: which are there, which holds, which may go.
 *
 *   chk-12/manifest        published last: the checkpoint holds
 *   chk-12/3-0.state       a blob of vertex 3, subtask 0
 *   logs/5f3a…-0-11        what an exactly-once sink was given behind barrier 11 (commit/): a blob that the
 *                          state of its subtask names (WR_BLOCK_NAMES), and so belongs to the checkpoint
 *
 * The blob of a subtask may say only what has changed since an earlier checkpoint; it then names all blobs
 * that it goes on from (WR_BLOCK_BASES), and they stay as long as it does, without their manifest where their
 * own checkpoint is not kept. Else, what has a number below a kept one and no manifest is a leftover of an
 * attempt that died. Functions block; one thread at a time.
 */
#pragma once
#include "checkpoint/block.h"
#include "checkpoint/manifest.h"

enum { WR_HISTORY_ID = 64 };
#define WR_HISTORY_LOGS "logs" /* folder of what checkpoints name beside their own */

void wr_history_manifest_id(uint64_t checkpoint, char id[WR_HISTORY_ID]);
void wr_history_blob_id(uint64_t checkpoint, uint32_t vertex, uint32_t subtask, char id[WR_HISTORY_ID]);

/* The blob of what a sink's subtask `log` is given from when `after` was the newest number given out. */
void wr_history_log_id(const char *uid, uint32_t log, uint64_t after, char id[WR_HISTORY_ID]);
/* May such a blob go, once checkpoint `complete` holds? Not while a kept checkpoint names it, nor while it
 * may still be written: what was begun before `complete` was cut by its barrier. */
static inline bool wr_history_log_may_go(uint64_t after, uint64_t complete, bool named)
{
	return !named && after < complete;
}

/* The newest checkpoint whose manifest and blobs are all undamaged; those that are not are named in the log
 * and passed over. Everything in *out lives in `arena`. WR_OK, WR_END: there is none, WR_EUSER: there are,
 * but none holds, or an error. *newest is the highest number that was ever begun there, so that none is given
 * out twice. */
int wr_history_latest(struct wr_blobs *blobs, struct wr_arena *arena, struct wr_manifest *out,
		      uint64_t *newest);
/* Checkpoint `number`, as wr_history_latest. WR_END: it has no manifest; WR_EUSER: it is damaged. */
int wr_history_open(struct wr_blobs *blobs, uint64_t number, struct wr_arena *arena, struct wr_manifest *out);
/* `checkpoint` was found to be the newest that holds and is begun at, or none holds from that number on:
 * makes that durable. Its manifest may have been published by a process that was killed before the name was
 * on the disk: what is committed to the outside on the strength of it would be committed again if it were
 * gone after a loss of power. That of a newer one may have been taken back, by who could not make it durable
 * or by wr_history_go_back: who found it again after a loss of power would miss the files of sinks that were
 * removed because nothing named them. WR_OK or an error. */
int wr_history_keep(struct wr_blobs *blobs, uint64_t checkpoint);
/* The number in a name like "chk-12"; false: it is none that is written here. */
bool wr_history_number(const char *name, uint64_t *number);
/* Calls `each` for the further blobs that the blob `id` of a subtask names, until it gives no WR_OK, and
 * gives that: what its stages need, or what its own keyed state goes on from, or both. */
enum { WR_HISTORY_NAMED = 1, WR_HISTORY_BASES = 2 };
int wr_history_each_name(struct wr_blobs *blobs, const char *id, unsigned which,
			 int (*each)(void *arg, const char *name), void *arg);
/* The same for the payload of one block. WR_EUSER: malformed. */
int wr_history_names_of(const struct wr_block *block, int (*each)(void *arg, const char *name), void *arg);
/* Reads all of a checkpoint and checks every sum. WR_EUSER says which blob is damaged, or missing. */
int wr_history_verify(struct wr_blobs *blobs, const struct wr_manifest *m);
/* Removes what is older than the `retain` newest that hold, `newest` among them, and is neither `also` (0 =
 * none) nor named by one of them; manifests first, so that a crash leaves no half checkpoint that claims to
 * hold; then logs. Where one of the kept ones cannot be read, nothing is touched. */
int wr_history_remove_old(struct wr_blobs *blobs, uint64_t newest, uint32_t retain, uint64_t also);
/* What holds behind checkpoint `number` is none any more, if that holds itself: who looks for the latest
 * finds it. */
int wr_history_go_back(struct wr_blobs *blobs, uint64_t number);
