/* SPDX-License-Identifier: Apache-2.0 */
/* time_report: who holds the watermarks of a job back, for how long, and whether it is idle: each
 * task's channels (exchange/hold.h), each source's splits (time/marker.h). For the live line and for
 * `weir run --explain-time`. On the coordinator's thread, while the job lives. */
#pragma once
#include "cluster/job.h"

/* A block of lines. `ended`: what is over is told, else also where everybody is now. */
void wr_time_report(const struct wr_job *j, struct wr_clock *clock, bool ended, struct wr_bytes *out);
/* The same as one line of JSON, with all channels:
 *   {"watermarks":[{"task","uid","subtask","end_of_time":0|1,"watermark","lag_ms" (if there is one),
 *     "held_back_by":[{"task","uid","subtask","held_ns","idle":0|1,"now":0|1}],
 *     "splits":{"count","idle","waits_for_group":0|1,"lowest","lowest_ns"} (of a source)}]} */
void wr_time_report_json(const struct wr_job *j, struct wr_clock *clock, bool ended, struct wr_bytes *out);
/* Who is in front of the job's lowest watermark, as "files → watermarks [2/2] (part-3.json)"; false if
 * nobody is. */
bool wr_time_holder(const struct wr_job *j, char *to, size_t size);
