/* SPDX-License-Identifier: Apache-2.0 */
/* hold: which of several watermarks keeps their minimum back, and for how long; what
 * `weir run --explain-time` tells of a task's channels. Kept by one thread, at every change, which
 * is a few times a second; read by any.
 *
 * The holder is the lowest of those that are active, if another active one is ahead of it. One at
 * the end of time holds nobody and waits for nobody.
 */
#pragma once
#include <stdbool.h>
#include "base/metrics.h"

struct wr_hold_part {
	wr_metric watermark; /* WR_TS_NONE before the first */
	wr_metric idle;
	wr_metric held_ns; /* how long it was the holder, up to `since` */
};
struct wr_hold {
	struct wr_hold_part *parts; /* the caller's */
	uint32_t count;
	wr_metric holder; /* −1 = nobody */
	wr_metric since;  /* steady time from which it is */
};
void wr_hold_init(struct wr_hold *h, struct wr_hold_part *parts, uint32_t count);
/* The state of a part is, as of now: */
void wr_hold_set(struct wr_hold *h, uint32_t part, int64_t watermark, bool idle, uint64_t now_ns);
/* How long the part was the holder, up to now. */
int64_t wr_hold_ns(const struct wr_hold *h, uint32_t part, uint64_t now_ns);
