/* SPDX-License-Identifier: Apache-2.0 */
/* barriers: when a task that reads several channels may take its snapshot. A pure protocol (semantics.md
 * C2–C7): events in, a set of actions out. No channel, no clock, no thread.
 *
 * Exactly once: a channel that has brought the barrier is blocked until all have (Chandy and Lamport,
 * "Distributed Snapshots", 1985, with the alignment of Carbone et al., "Lightweight Asynchronous Snapshots
 * for Distributed Dataflows", 2015). At least once: nothing is blocked.
 *
 *   IDLE ──first barrier of n──▶ ALIGNING n ──all channels brought it or ended──▶ IDLE, PASS n
 *        ALIGNING n ──barrier of m > n──▶ ALIGNING m        ALIGNING n ──n is aborted──▶ IDLE
 *
 * Where alignment takes too long (exactly once only), the barrier goes on in front of what was not read yet,
 * as in Chandy and Lamport: what each channel holds up to its barrier, or its end, is recorded and belongs to
 * the snapshot, while the task reads on.
 *
 *   IDLE | ALIGNING n ──n takes too long──▶ RECORDING n, PASS n ──every channel was recorded──▶ IDLE, WHOLE
 *        RECORDING n ──n is aborted | a newer one──▶ as from IDLE, DROP
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {			       /* a set: bits, in the order in which they are done */
       WR_BARRIER_UNBLOCK = 1, /* all channels are read again */
       WR_BARRIER_BLOCK = 2,   /* the event's channel is not read for now */
       WR_BARRIER_PASS = 4,    /* the barrier of wr_barriers_passed goes on, behind what was read so far */
       WR_BARRIER_DROP = 8,    /* what was recorded is of no use any more; before the others */
       WR_BARRIER_WHOLE = 16,  /* all channels were recorded up to the barrier that passed last */
};

struct wr_barriers;
/* `channels` > 0. NULL with the error set when the heap refuses. */
struct wr_barriers *wr_barriers_new(uint32_t channels, bool exactly_once);
void wr_barriers_free(struct wr_barriers *b);
/* A barrier came out of `channel`. One that is not newer than the last is ignored (C2). */
unsigned wr_barriers_on_barrier(struct wr_barriers *b, uint32_t channel, uint64_t id);
/* `channel` has ended: it counts as one that brought every barrier (C4). Once a channel. */
unsigned wr_barriers_on_end(struct wr_barriers *b, uint32_t channel);
/* The coordinator asks a task all of whose inputs have ended, or are about to, for a snapshot. */
unsigned wr_barriers_on_trigger(struct wr_barriers *b, uint64_t id);
/* The barrier of `id`, or the end, has not come out of `channel`. */
bool wr_barriers_awaits(const struct wr_barriers *b, uint32_t channel, uint64_t id);
/* Alignment of `id`, which brings nothing but a cut, takes too long, wherever it stands: it passes now, in
 * front of what was not read yet. Nothing where it has passed, or channels are not blocked at all. */
unsigned wr_barriers_on_timeout(struct wr_barriers *b, uint64_t id);
/* What comes out of `channel`, or waits in it, belongs to the snapshot of the barrier that passed last. */
bool wr_barriers_records(const struct wr_barriers *b, uint32_t channel);
/* In what was recorded of `channel`, and was not read yet, lies the barrier, or the channel's end. */
unsigned wr_barriers_on_recorded(struct wr_barriers *b, uint32_t channel);
/* The coordinator gave `id` up: its barriers are ignored from now on. */
unsigned wr_barriers_on_abort(struct wr_barriers *b, uint64_t id);
/* The last one passed or given up, 0 = none. */
uint64_t wr_barriers_passed(const struct wr_barriers *b);
/* The one under alignment, 0 = none. */
uint64_t wr_barriers_pending(const struct wr_barriers *b);
/* From a snapshot: barriers up to `id` belong to the past. */
void wr_barriers_restore(struct wr_barriers *b, uint64_t id);
