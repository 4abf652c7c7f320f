/* SPDX-License-Identifier: Apache-2.0 */
/* lanes: how the subtasks of a source share numbers (of a sequence, of values, of blocks of events), and
 * where each of them is. A lane is every `stride`-th number from `next` on. A job begins with one lane a
 * subtask; when it goes on with another parallelism the lanes stay as they are and are shared out anew, so
 * every number is still emitted once. Task's thread.
 */
#pragma once
#include "task/stage.h"

struct wr_lane {
	uint64_t next, stride;
};
struct wr_lanes {
	struct wr_lane *lanes;
	uint32_t count;
};
/* One lane. WR_OK or WR_EFATAL. */
int wr_lanes_init(struct wr_lanes *l, uint64_t next, uint64_t stride);
void wr_lanes_deinit(struct wr_lanes *l);
/* The lane with the lowest number before `end`; NULL: all are at their end. */
static inline struct wr_lane *wr_lanes_first(struct wr_lanes *l, uint64_t end)
{
	struct wr_lane *first = NULL;

	for (uint32_t i = 0; i < l->count; i++)
		if (l->lanes[i].next < end && (!first || l->lanes[i].next < first->next))
			first = &l->lanes[i];
	return first;
}
/* How many numbers of `lane`, the first, come before those of all others; UINT64_MAX: there are no others. */
static inline uint64_t wr_lanes_run(const struct wr_lanes *l, const struct wr_lane *lane, uint64_t end)
{
	uint64_t other = UINT64_MAX;

	for (uint32_t i = 0; i < l->count; i++)
		if (&l->lanes[i] != lane && l->lanes[i].next < end && l->lanes[i].next < other)
			other = l->lanes[i].next;
	return other == UINT64_MAX ? other : (other - lane->next - 1) / lane->stride + 1;
}
/* As one tagged value, and the share of subtask `subtask` of `parallelism` of what was saved. */
void wr_lanes_save(const struct wr_lanes *l, struct wr_bytes *out);
int wr_lanes_restore(struct wr_lanes *l, const struct wr_saved_state *saved, uint32_t subtask,
		     uint32_t parallelism);
