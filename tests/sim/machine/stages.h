/* SPDX-License-Identifier: Apache-2.0 */
/* stages: kinds of stages that only the jobs of the simulation have, on their tasks' threads.
 *
 *   target,  sinks (target.h, topics.h)
 *   topics
 *   stamps,  rows pass; their functions can be replaced (functions.h)
 *   agrees
 *   paced    time by a row's number `v` alone: some rows are late, and a watermark comes behind every n-th
 *            row. Where it is read in one subtask, what is late behind it is so in every run.
 *   halting  rows pass; now and then it bids its source be still for a while
 *   listed   by key: all `v` in a list. For each row how long the list is, at the end what it comes to.
 */
#pragma once
#include "task/stage.h"

enum { STAGES = 7 };
extern const struct wr_stage_kind stages_kinds[STAGES];

/* The row, into the first output; NULL with the error set. */
struct wr_elem *stages_copy_row(struct wr_stage *s, const struct wr_elem *row);
/* A field that is a number. */
double stages_number(const struct wr_elem *row, const char *field);
