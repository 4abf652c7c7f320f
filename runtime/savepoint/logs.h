/* SPDX-License-Identifier: Apache-2.0 */
/* logs: the write-ahead logs of sources (wal/wal.h) that travel with a savepoint: what they have behind the
 * checkpoint is nowhere else. In a folder of checkpoints each is a folder of segments; in a savepoint each
 * segment is a blob of the same id, whose bytes are the payloads of its blocks (WR_BLOCK_BYTES). */
#pragma once
#include "checkpoint/blobs.h"

enum { WR_LOG_FOLDER = 24 };
/* Name of the folder in which the source of this uid has its log. */
void wr_log_folder(const char *uid, char out[WR_LOG_FOLDER]);

/* Into a new savepoint: the log of the source `uid`, if there is one, as that of `to_uid`. */
int wr_savepoint_copy_log(struct wr_blobs *from, struct wr_blobs *to, const char *uid, const char *to_uid);
/* Calls `each` for the segments of a log, in no order, until it gives no WR_OK, and gives that. */
int wr_savepoint_each_segment(struct wr_blobs *from, const char *uid,
			      int (*each)(void *arg, const char *name), void *arg);
/* Calls `put` with the bytes of a segment, piece by piece. WR_EUSER: it is gone, or damaged. */
int wr_savepoint_read_segment(struct wr_blobs *from, const char *uid, const char *name,
			      int (*put)(void *arg, const void *p, size_t len), void *arg);
