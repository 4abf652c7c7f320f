/* SPDX-License-Identifier: Apache-2.0 */
/* kinds: the sources and sinks of this folder, each in a file of its own, which also says its
 * options. */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_ops wr_feed_ops;	  /* feed.c */
extern const struct wr_stage_ops wr_files_ops;	  /* files.c */
extern const struct wr_stage_ops wr_sequence_ops; /* sequence.c */
extern const struct wr_stage_ops wr_stdin_ops;	  /* stream_source.c */
extern const struct wr_stage_ops wr_tcp_ops;	  /* stream_source.c */
extern const struct wr_stage_ops wr_values_ops;	  /* values.c */

extern const struct wr_stage_ops wr_collect_ops;   /* collect.c */
extern const struct wr_stage_ops wr_discard_ops;   /* discard.c */
extern const struct wr_stage_ops wr_file_sink_ops; /* text_sink.c */
extern const struct wr_stage_ops wr_print_ops;	   /* text_sink.c */
extern const struct wr_stage_ops wr_tcp_sink_ops;  /* text_sink.c */

struct wr_enumerator_ops;
extern const struct wr_enumerator_ops wr_files_enumerator_ops; /* files_enumerator.c */
