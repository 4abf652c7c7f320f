/* SPDX-License-Identifier: Apache-2.0 */
/* in_flight: what a barrier overtook in the channels of a gate: rows and watermarks up to where the barrier,
 * or the channel's end, lies in each. Whether a channel was idle is said anew after a restore, and so is its
 * end.
 *
 * What waits stays where it is, to be read as any other. The gate's thread until it is recorded; then nothing
 * here changes.
 */
#pragma once
#include "base/bytes.h"
#include "exchange/gate.h"

struct wr_in_flight_channel {
	int64_t watermark; /* with which it begins; the caller's */
	uint32_t input;
	struct wr_bytes rows; /* elements */
};
struct wr_in_flight {
	uint64_t checkpoint; /* of the barrier */
	uint32_t count;
	struct wr_in_flight_channel channels[];
};
/* The barrier of `checkpoint`, or the end, waits in the channel, or in what is `held` of it (or NULL). */
bool wr_in_flight_waits(const struct wr_gate *g, uint32_t channel, uint64_t checkpoint,
			const struct wr_input *held);
/* Nothing is recorded yet. NULL with the error set when the heap refuses; what it refuses later shows in the
 * bytes. */
struct wr_in_flight *wr_in_flight_new(const struct wr_gate *g, uint64_t checkpoint);
void wr_in_flight_free(struct wr_in_flight *f);
/* Records a channel in which the barrier waits, what is `held` of it first, up to there. Once. */
void wr_in_flight_record(struct wr_in_flight *f, const struct wr_gate *g, uint32_t channel,
			 const struct wr_input *held);
/* Bytes of all rows and watermarks. */
uint64_t wr_in_flight_bytes(const struct wr_in_flight *f);
