/* SPDX-License-Identifier: Apache-2.0 */
/* rolling: the sink rolling_files: rows in files, files in buckets, each row exactly once.
 *
 *   rolling_files  the stage: which file a row goes to, and when a file is long enough
 *   bucket         the folder of a row
 *   part_files     the life of a file, from its first byte to its final name, in step with checkpoints
 *   part_disk      what of that touches the disk
 */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_kind wr_rolling_kinds[];
extern const unsigned wr_rolling_kinds_count;
