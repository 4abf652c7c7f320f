/* SPDX-License-Identifier: Apache-2.0 */
/* stages: kinds of stages that only the jobs of the simulation have, on their tasks' threads.
 *
 *   target  a sink (target.h)
 *   shaky   rows pass; its functions can be replaced, and fail now and then
 *   paced   time by a row's number `v` alone: some rows are late, and a watermark comes behind every n-th
 * row. Where it is read in one subtask, what is late behind it is so in every run. halting rows pass; now and
 * then it bids its source be still for a while listed  by key: all `v` in a list. For each row how long the
 * list is, at the end what it comes to.
 */
#pragma once
#include "task/stage.h"

enum { STAGES = 5 };
extern const struct wr_stage_kind stages_kinds[STAGES];

enum stages_fault {
	STAGES_SOUND,
	STAGES_SHAKY,	    /* functions fail now and then */
	STAGES_FRESH_SHAKY, /* many of those that are swapped in do at their first row */
};
void stages_rough(enum stages_fault fault);
