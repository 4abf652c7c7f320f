/* SPDX-License-Identifier: Apache-2.0 */
/* operators: the operators that are built in C, on rows, without Lua.
 *
 *   aggregate   running count, sum, min, max, min_by, max_by per key   (aggregate.c)
 *   measure     counts, checksums and latencies of what arrives    (measure.c)
 *   words       a text field cut into words, one row each          (words.c)
 *   watermarks  event time from a field, bounded out-of-orderness        (watermarks.c)
 */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_kind wr_operator_kinds[];
extern const unsigned wr_operator_kinds_count;
