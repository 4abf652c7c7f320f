/* SPDX-License-Identifier: Apache-2.0 */
/* target: what the sinks of the simulation write into: a store with transactions, which outlives every
 * crash. A commit takes time, may fail, and may have happened although it failed. */
#pragma once
#include "task/stage.h"

/* Empties it. `faults`: commits fail now and then. */
void target_init(void);
void target_rough(bool faults);
/* From now on nothing that the process does reaches it, until target_go_on. */
void target_cut_off(void);
void target_go_on(void);
/* All rows as JSON, sorted, a line each. */
void target_rows(struct wr_bytes *out);
extern const struct wr_stage_ops target_stage_ops;
/* Sorts the lines in place. */
void sort_lines(struct wr_bytes *text);
