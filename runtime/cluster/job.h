/* SPDX-License-Identifier: Apache-2.0 */
/* job: a plan running in this process: its channels, tasks, workers and coordinator.
 *
 *   wr_job_new (everything is built) → wr_job_run (blocks until the end) → wr_job_free
 *
 * The thread of wr_job_run is the coordinator: it serves the enumerators of sources and
 * calls `tick`. The first failure wins: all tasks are cancelled and its text is kept.
 */
#pragma once
#include "base/config.h"
#include "cluster/plan.h"
#include "task/task.h"

struct wr_job_options {
	const struct wr_plan *plan; /* borrowed */
	void *bundle;		    /* for the stages (script layer) */
	const struct wr_stage_kind *const *kinds; /* lists of kinds */
	const unsigned *kind_counts;
	unsigned kind_lists;
	uint32_t workers;
	uint32_t buffer_size;
	int64_t buffer_timeout_us;
	int64_t pool_bytes; /* 0 = no bound */
	uint64_t seed;
	bool spin;
	struct wr_clock *clock;
	/* About every `tick_ms`, on the coordinator's thread; may be NULL. */
	void (*tick)(void *arg);
	void *arg;
	int tick_ms;
};

struct wr_job;
int wr_job_new(const struct wr_job_options *o, struct wr_job **job);
/* WR_OK when the job ended in order, WR_END when it was stopped, or the first failure's code and text. */
int wr_job_run(struct wr_job *j);
void wr_job_free(struct wr_job *j);

/* Any thread and signal handlers. Sources end in order and the job drains; a second call cancels. */
void wr_job_stop(struct wr_job *j);

uint32_t wr_job_task_count(const struct wr_job *j);
void wr_job_task_stats(const struct wr_job *j, uint32_t i, struct wr_task_stats *out);
