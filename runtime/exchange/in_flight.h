/* SPDX-License-Identifier: Apache-2.0 */
/* in_flight: what a barrier overtook in the channels of a gate: rows and watermarks up to where the barrier,
 * or the channel's end, lies in each. Whether a channel was idle is said anew after a restore, and so is its
 * end.
 *
 * What waits in a channel is recorded when somebody looks, and stays there; what is read before that is
 * recorded as it is taken. Rows that come in pieces are recorded piece by piece. The gate's thread, until it
 * is whole; then nothing here changes.
 */
#pragma once
#include "base/bytes.h"
#include "exchange/gate.h"

struct wr_in_flight_channel {
	int64_t watermark; /* with which it begins; the caller's */
	uint32_t input;
	uint32_t upto;	      /* buffers that were recorded, counted as wr_gate_read does */
	uint32_t piece_len;   /* bytes at the end of `rows` that are the begin of a row */
	struct wr_bytes rows; /* elements; a row's last pieces may be missing until it is whole */
};
struct wr_in_flight {
	uint64_t checkpoint; /* of the barrier */
	uint32_t count;
	struct wr_in_flight_channel channels[];
};
/* The barrier of `checkpoint`, or the end, waits in the channel, or in what is `held` of it (or NULL). */
bool wr_in_flight_waits(const struct wr_gate *g, uint32_t channel, uint64_t checkpoint,
			const struct wr_input *held);
/* Nothing is recorded yet; `held`: what was taken from the gate and not handled yet, or NULL. NULL with the
 * error set when the heap refuses; what it refuses later shows in the bytes. */
struct wr_in_flight *wr_in_flight_new(const struct wr_gate *g, uint64_t checkpoint,
				      const struct wr_input *held);
void wr_in_flight_free(struct wr_in_flight *f);
/* Records what waits in the channel, `held` first if it is of this one. True: the barrier is in it. */
bool wr_in_flight_look(struct wr_in_flight *f, const struct wr_gate *g, uint32_t channel,
		       const struct wr_input *held);
/* Records a buffer that was just taken, if it was not seen while it waited. True: as above. */
bool wr_in_flight_taken(struct wr_in_flight *f, const struct wr_gate *g, const struct wr_input *in);
/* Bytes of all rows and watermarks. */
uint64_t wr_in_flight_bytes(const struct wr_in_flight *f);
