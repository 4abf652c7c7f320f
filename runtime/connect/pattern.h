/* SPDX-License-Identifier: Apache-2.0 */
/* pattern: rows by rule, for load without Lua: row i is a function of i alone, so subtasks,
 * restarts and other programs make the same rows. One thread.
 *
 * Options `fields`: a list of { name, kind, below, every, prefix }:
 *   random  a number below `below`, drawn for the row and the field
 *   cycle   floor(i / every) modulo `below`
 *   due     when the row is due, in ns of the monotonic clock
 * With `prefix` a field is a string: the prefix, then the number. With `distinct` rows repeat after
 * so many: they are made once and copied.
 */
#pragma once
#include "record/value.h"
#include "task/stage.h"

struct wr_pattern;
/* Of the stage's options; NULL with the error set. */
struct wr_pattern *wr_pattern_new(const struct wr_value *options);
void wr_pattern_free(struct wr_pattern *p);
/* Room that one row needs at most. */
uint32_t wr_pattern_len_max(const struct wr_pattern *p);
/* Writes rows i, i + 1 … to `to`: at least one if `room` (bytes) is that of the longest row, at most
 * `most` > 0. Returns how many, and their bytes in *len. */
uint32_t wr_pattern_run(const struct wr_pattern *p, uint64_t i, uint32_t most, uint8_t *to, size_t room,
			size_t *len);
/* Sets the `due` fields of a row that was written. */
void wr_pattern_due(const struct wr_pattern *p, uint8_t *row, uint64_t due_ns);
