/* SPDX-License-Identifier: Apache-2.0 */
/* operators: the list of stage kinds made here. */
#include "operator/operators.h"

extern const struct wr_stage_ops wr_aggregate_ops, wr_measure_ops, wr_watermarks_ops, wr_words_ops;

/* The planner names an aggregate after its function. */
const struct wr_stage_kind wr_operator_kinds[] = {
    {"aggregate", &wr_aggregate_ops},
    {"measure", &wr_measure_ops},
    {"watermarks", &wr_watermarks_ops},
    {"words", &wr_words_ops},
};
const unsigned wr_operator_kinds_count = sizeof wr_operator_kinds / sizeof *wr_operator_kinds;
