/* SPDX-License-Identifier: Apache-2.0 */
/* report: what a person or a program is told of a running job: the live line on a terminal,
 * and the summary at the end. On standard error, so that records have standard output. */
#pragma once
#include "base/config.h"
#include "cluster/job.h"

struct wr_report;
struct wr_report *wr_report_new(const struct wr_config *c, struct wr_clock *clock);
void wr_report_free(struct wr_report *r);
/* The job to be watched; before wr_job_run. WR_EFATAL without memory. */
int wr_report_watch(struct wr_report *r, struct wr_job *j);
/* The job that was watched failed and will be freed; the next attempt is watched instead. What is said at the
 * end is of the last attempt, and how many there were before it. */
void wr_report_forget(struct wr_report *r);
void wr_report_tick(void *report, bool last); /* as wr_job_options.tick */
/* The summary; `rc` as wr_job_run gave it. */
void wr_report_end(struct wr_report *r, int rc);
