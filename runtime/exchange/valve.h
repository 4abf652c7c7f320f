/* SPDX-License-Identifier: Apache-2.0 */
/* valve: the watermark of many channels as one. A pure protocol (semantics.md K15–K21):
 * events in, a set of actions out. No clock, no thread.
 *
 * A channel counts while it is active and aligned; the watermark is the minimum over those
 * that count, after every event, and never goes back. An idle stream becomes active before its
 * first record (K10): the sender says so. The channels of a two-input task are two valves whose
 * watermarks meet as parts of one (K21; exchange/combine.h); callers see one.
 *
 * Event time ends for all together: a channel at MAX holds nobody back and counts no more; MAX is
 * emitted when all are there, not while another is only idle.
 *
 *   channel: ACTIVE ──idle──▶ IDLE ──active──▶ ACTIVE (aligned once its watermark has caught up)
 *            any ──end──▶ ENDED (active, aligned, its watermark MAX)
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {			       /* a set: bits */
       WR_VALVE_WATERMARK = 1, /* emit valve.watermark */
       WR_VALVE_IDLE = 2,      /* then say idle */
       WR_VALVE_ACTIVE = 4,    /* say active, before a watermark */
       WR_VALVE_END = 8,       /* all channels ended; after the watermark */
};
struct wr_valve;
/* `channels` > 0, all of input 0. NULL with the error set when the heap refuses. */
struct wr_valve *wr_valve_new(uint32_t channels);
/* Before the first event: `channel` belongs to `input`, 0 or 1. */
void wr_valve_input(struct wr_valve *v, uint32_t channel, uint32_t input);
void wr_valve_free(struct wr_valve *v);
unsigned wr_valve_on_watermark(struct wr_valve *v, uint32_t channel, int64_t watermark);
unsigned wr_valve_on_idle(struct wr_valve *v, uint32_t channel);
unsigned wr_valve_on_active(struct wr_valve *v, uint32_t channel);
unsigned wr_valve_on_end(struct wr_valve *v, uint32_t channel);
int64_t wr_valve_watermark(const struct wr_valve *v); /* last emitted; INT64_MIN before the first */
bool wr_valve_idle(const struct wr_valve *v);
/* For `weir why-late` and metrics: state of one channel. */
void wr_valve_channel(const struct wr_valve *v, uint32_t channel, int64_t *watermark, bool *idle,
		      bool *aligned);
