/* SPDX-License-Identifier: Apache-2.0 */
/* sources, sinks: the stages of this folder, one file each; see there for their options. */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_ops wr_values_ops;	  /* values.c */
extern const struct wr_stage_ops wr_sequence_ops; /* sequence.c */
extern const struct wr_stage_ops wr_files_ops;	  /* files.c */
extern const struct wr_stage_ops wr_print_ops;	  /* print.c */
extern const struct wr_stage_ops wr_discard_ops;  /* discard.c */

struct wr_enumerator_ops;
extern const struct wr_enumerator_ops wr_files_enumerator_ops; /* files_enumerator.c */
