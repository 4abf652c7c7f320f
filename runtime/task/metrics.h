/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: what a subtask, its operators, outputs and inputs tell of themselves (base/metrics.h). The tables
 * in metrics.c are the one place where each is declared. */
#pragma once
#include "base/metrics.h"

struct wr_task;

/* All tables, for the catalogue. */
extern const struct wr_metric_table wr_task_tables[];
extern const unsigned wr_task_tables_count;

/* Those that others look for. */
enum wr_op_metric {
	WR_OP_ROWS_IN,
	WR_OP_ROWS_OUT,
	WR_OP_BYTES_IN,
	WR_OP_BYTES_OUT,
	WR_OP_SKIPPED,
	WR_OP_LATE,
	WR_OP_LATE_DROPPED,
	WR_OP_NO_WINDOW,
	WR_OP_IN_FLIGHT,
	WR_OP_IN_FLIGHT_MAX,
	WR_OP_LOGGED,
	WR_OP_COMMIT_LAG,
	WR_OP_COMMITS,
	WR_OP_METRICS,
};
extern const struct wr_metric_def wr_op_metrics[WR_OP_METRICS];
extern const struct wr_metric_def *const wr_task_blocked, *const wr_task_watermark;
extern const struct wr_metric_def wr_latency_metric; /* the part's id is the source's (wr_task_def) */

/* Tells everything of the task, `wr_metric_set_new`'s read; any thread, as long as the task lives. */
void wr_task_tell(void *task, struct wr_metric_reading *r);
