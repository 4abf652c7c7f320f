/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: what a task is at a barrier, and its way into a blob.
 *
 * As the barrier passes a stage, what the stage knows is taken: its stores are frozen, its own state is
 * written down. When it has passed the last stage, an I/O thread writes the whole into a blob and tells the
 * coordinator; the task goes on meanwhile, and only its end waits for that.
 *
 * Where the state is large and little of it has changed since the newest checkpoint that holds, the blob has
 * only that, and names the blobs that it goes on from (savepoint/since.h).
 */
#pragma once
#include "base/thread.h"
#include "checkpoint/blobs.h"
#include "task/stage.h"

/* Stage numbers of blocks: the broadcast state of stage n is that of stage n + WR_SNAPSHOT_BROADCAST. */
enum { WR_SNAPSHOT_BROADCAST = 1 << 16 };

struct wr_in_flight; /* exchange/in_flight.h */
struct wr_task;
struct wr_snapshots; /* of one task; task/snapshot.c */

/* Snapshots of `t` go to `blobs`, which is borrowed. NULL with the error set. */
struct wr_snapshots *wr_snapshots_new(struct wr_task *t, struct wr_blobs *blobs);
/* Waits for what is being written. */
void wr_snapshots_free(struct wr_snapshots *s);
/* The barrier of `checkpoint` has left stage `s`: takes what it knows. Failures become a letter to the
 * coordinator, so the task goes on. Task's thread. */
void wr_snapshot_stage(struct wr_snapshots *all, struct wr_stage *s, uint64_t checkpoint);
/* What its barrier overtook, whole: the snapshot waits for it while t->in_flight is there. Takes `f`. Task's
 * thread. */
void wr_snapshot_in_flight(struct wr_snapshots *all, struct wr_in_flight *f);
/* The inputs have ended and END has come to stages that wait for a checkpoint: those that it has passed have
 * nothing to say, and are restored as ended. One that was taken already is not taken again. Task's thread. */
void wr_snapshot_ending(struct wr_snapshots *all, uint64_t checkpoint);
/* Something is being written. */
bool wr_snapshots_busy(const struct wr_snapshots *s);
/* Gives back what stores kept for snapshots that have been written since the last call. Task's thread. */
void wr_snapshots_settle(struct wr_snapshots *s);
