/* SPDX-License-Identifier: Apache-2.0 */
/* figures: what a running job tells of its tasks and operators, summed over subtasks, as JSON. Read from the
 * counters where they are; costs the tasks nothing. On the coordinator's thread. */
#pragma once
#include "cluster/job.h"

/* Appends [{"name":…,"subtasks":2,"busy_ns":…,…,"operators":[{"name":…,"uid":…,"rows_in":…,…},…]},…], in the
 * order of the plan. */
void wr_figures_json(const struct wr_job *j, struct wr_clock *clock, struct wr_bytes *out);
