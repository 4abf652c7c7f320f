/* SPDX-License-Identifier: Apache-2.0 */
/* nexmark: the source and the sink of the stream-processing benchmark.
 *
 *   nexmark         persons, auctions and bids, generated or replayed from memory     (source.c)
 *   checksum        rows and their hashes, summed in each subtask                     (checksum.c)
 *   checksum_total  the sums of all subtasks as one line, "rows=N sum=HEX"            (checksum.c)
 */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_kind wr_nexmark_kinds[];
extern const unsigned wr_nexmark_kinds_count;
