/* SPDX-License-Identifier: Apache-2.0 */
/* under_way: rows that a barrier overtook, as blocks of a subtask's blob (checkpoint/FORMAT.md). Any thread.
 */
#pragma once
#include "checkpoint/block.h"
#include "record/dict.h"

/* Elements of one channel, which come by `input`, as blocks behind the shapes that they have. `said`: a byte
 * for each shape that the blob knows by this; empty at the first. */
int wr_under_way_put(struct wr_block_writer *w, struct wr_bytes *said, uint32_t channel, uint64_t input,
		     const uint8_t *p, size_t len);
/* The same for a block of another blob, whose shapes are `dict`. WR_EUSER: malformed. */
int wr_under_way_copy(struct wr_block_writer *w, struct wr_bytes *said, const struct wr_block *block,
		      const struct wr_dict *dict);
/* Where a block's elements begin; NULL with WR_EUSER: malformed. */
const uint8_t *wr_under_way_rows(const struct wr_block *block, uint64_t *input, size_t *len);
