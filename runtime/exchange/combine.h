/* SPDX-License-Identifier: Apache-2.0 */
/* combine: the watermark of a few parts as one: the splits of a source, the two inputs of a
 * task. A pure protocol (semantics.md K11–K13, K21): no clock, no thread.
 *
 * The minimum over the parts that are not idle; if all are idle the maximum over all; never
 * back. Unlike a gate's channel (valve.h) a part that wakes up far behind holds the others
 * until it has caught up, and a part that says a watermark is active by that (K12).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct wr_combine_part {
	int64_t watermark;
	bool idle;
};
/* Parts come and go at the end of the array, which is the caller's. */
struct wr_combine {
	struct wr_combine_part *parts;
	uint32_t count;
	int64_t watermark; /* combined, last given out; WR_TS_NONE before the first */
	bool idle;	   /* all parts are; with no parts the last word stays */
};
/* No parts yet. */
void wr_combine_init(struct wr_combine *c, struct wr_combine_part *parts);
/* Part `count` begins at WR_TS_NONE, active, and so holds the others (K13). */
void wr_combine_add(struct wr_combine *c);
/* Each says true when c->watermark rose. c->idle is up to date afterwards; who says it to others says a
 * risen watermark first. */
bool wr_combine_watermark(struct wr_combine *c, uint32_t part, int64_t watermark);
bool wr_combine_idle(struct wr_combine *c, uint32_t part, bool idle);
/* The part is gone; the last one takes its number. */
bool wr_combine_remove(struct wr_combine *c, uint32_t part);
