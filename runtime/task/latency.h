/* SPDX-License-Identifier: Apache-2.0 */
/* latency: how long markers took from their source to the sinks of a task: a histogram for each source and
 * sink. Written on the task's thread, read on any. */
#pragma once
#include "base/metrics.h"

struct wr_task;

struct wr_latency {
	struct wr_latency *next;
	uint64_t source; /* as in wr_task_def.source_id */
	uint32_t stage;	 /* the sink's place in the chain */
	struct wr_histogram *histogram;
};
/* A marker of `source`, from `ns` ago, came to the sink. WR_EFATAL when the heap refuses. */
int wr_latency_add(struct wr_task *t, uint32_t stage, uint64_t source, uint64_t ns);
/* Newest first; they live as long as the task. Any thread. */
const struct wr_latency *wr_latency_first(const struct wr_task *t);
void wr_latency_deinit(struct wr_task *t);
