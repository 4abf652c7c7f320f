/* SPDX-License-Identifier: Apache-2.0 */
/* gate: the input of one subtask: N channels seen as one sequence of buffers.
 *
 * Called on the task's thread only; channels are filled by others, who fire `wake` for one
 * that was seen empty: the task may sleep after WR_AGAIN, and only then. A buffer from
 * wr_gate_next is the caller's to unref. Fragments are put together here: the caller sees one
 * buffer (larger than the pool's) with the whole row. Which of several filled channels comes
 * next is asked of `choose` (the recordable decision), or round robin with a preference.
 *
 *   channel:  OPEN ──block──▶ BLOCKED ──unblock_all──▶ OPEN ──end──▶ ENDED
 */
#pragma once
#include "exchange/channel.h"

struct wr_gate_channel {
	struct wr_channel *channel;
	uint32_t input; /* 0 or 1: which input of a two-input task */
};
struct wr_input {
	struct wr_buffer *buffer;
	uint32_t channel;
	uint32_t input;
};
struct wr_gate;
/* Copies the list, borrows the channels. NULL with the error set when the heap refuses. */
struct wr_gate *wr_gate_new(const struct wr_gate_channel *channels, uint32_t count);
void wr_gate_free(struct wr_gate *g);
uint32_t wr_gate_count(const struct wr_gate *g);
uint32_t wr_gate_input(const struct wr_gate *g, uint32_t channel);
/* WR_OK with *out, WR_AGAIN if all open channels are empty, WR_END if all have ended, or WR_EFATAL when the
 * heap refuses a row that comes in pieces. `choose(arg, n)` picks one of the n filled channels, in the order
 * of their numbers; NULL = round robin (but see wr_gate_prefer). */
int wr_gate_next(struct wr_gate *g, struct wr_input *out, uint32_t (*choose)(void *arg, uint32_t n),
		 void *arg);
/* As wr_gate_next, from this channel; WR_AGAIN until a whole buffer is there. */
int wr_gate_next_from(struct wr_gate *g, uint32_t channel, struct wr_input *out);
/* While `channel` (−1: none) is filled, it comes before its turn: the one that is behind in event time, so
 * that what lies in front of the gate is taken nearly in that order. The others have a turn at least every
 * few buffers, until the next call. */
void wr_gate_prefer(struct wr_gate *g, int64_t channel);
/* Before the first input: what `first` holds, a ring, is read before anything of `channel`. Takes it, in any
 * case. Once a channel. WR_OK, or WR_EFATAL when the heap refuses. */
int wr_gate_begin_with(struct wr_gate *g, uint32_t channel, struct wr_channel *first);
/* Buffers that wait in a channel, in order; they stay there. As wr_ring_each. */
void wr_gate_each(const struct wr_gate *g, uint32_t channel, bool (*each)(void *arg, struct wr_buffer *b),
		  void *arg);
/* The row of `channel` that came in pieces so far, or NULL: the first `len` bytes of it. Borrowed. */
const struct wr_buffer *wr_gate_partial(const struct wr_gate *g, uint32_t channel);
/* Nothing is taken from a blocked channel, and it wakes nobody. */
void wr_gate_block(struct wr_gate *g, uint32_t channel);
void wr_gate_unblock_all(struct wr_gate *g);
/* WR_EV_END came out of it: nothing will follow. Once a channel. */
void wr_gate_end(struct wr_gate *g, uint32_t channel);
/* Buffers that wait in a channel. Any thread. */
uint32_t wr_gate_queued(const struct wr_gate *g, uint32_t channel);
