/* SPDX-License-Identifier: Apache-2.0 */
/* since: what a task remembers of the snapshots that it has written, so that the next one need only say what
 * has changed: a chain of blobs, the first of which is whole.
 *
 *   whole ◀── changed ◀── changed ◀── …      as long as all that came behind the whole one is less than it
 *
 * A snapshot goes on from the newest checkpoint that holds, which stays until a newer one does: what was
 * declined or given up is never gone on from, since its blobs go away. When a blob is changed for more than
 * half, or the chain has grown as large as its beginning, the next one is whole: disk, and the time of a
 * restore, stay within about twice of what one whole blob takes, and what is written in all within twice of
 * the changes. All of it on the I/O thread that writes the task's snapshots.
 */
#pragma once
#include "base/bytes.h"
#include "checkpoint/block.h"
#include "state/store.h"

struct wr_since; /* of one task */

/* What a snapshot is to go on from; and what has changed in each of the task's stores. */
struct wr_since_store {
	struct wr_frozen *frozen; /* NULL: there is none */
	uint32_t epoch;		  /* of the version gone on from, 0 = it is written whole */
	struct wr_bytes ids;	  /* uint32_t each: what has changed since */
};
struct wr_since_plan {
	const struct wr_bytes *bases; /* payload of WR_BLOCK_BASES, NULL: it is whole */
	struct wr_since_store *stores;
	uint32_t store_count;
};

/* `holds`: number of the newest checkpoint that holds; borrowed. A chain begins at blobs of `bytes_min` bytes
 * and more. NULL with the error set. */
struct wr_since *wr_since_new(const _Atomic uint64_t *holds, uint64_t bytes_min);
void wr_since_free(struct wr_since *s);
/* Decides how a snapshot of plan->stores is written: fills the rest of the plan, whose `bases` is borrowed
 * until wr_since_written. WR_OK or WR_EFATAL. */
int wr_since_plan(struct wr_since *s, struct wr_since_plan *plan);
void wr_since_plan_deinit(struct wr_since_plan *plan);
/* The snapshot of `checkpoint` was written so, as blob `id` of `bytes` bytes. Without memory for it the next
 * one is whole. */
void wr_since_written(struct wr_since *s, const struct wr_since_plan *plan, uint64_t checkpoint,
		      const char *id, uint64_t bytes);
