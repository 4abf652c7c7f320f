/* SPDX-License-Identifier: Apache-2.0 */
/* memory: the rows of a subtask's blocks, made before the job runs and then replayed, so that a
 * measurement does not include their generation. On the task's thread. */
#pragma once
#include "nexmark/rows.h"
#include "task/stage.h"

struct wr_nexmark_memory;
struct wr_nexmark_memory *wr_nexmark_memory_new(void);
void wr_nexmark_memory_free(struct wr_nexmark_memory *m);
/* Keeps the rows of events from..to-1 as the next block. */
int wr_nexmark_memory_add(struct wr_nexmark_memory *m, const struct wr_nexmark_rows *x, uint64_t from,
			  uint64_t to);
/* Copies about `bytes` of the next block to `out`; returns the rows copied, 0 with the error set. */
uint32_t wr_nexmark_memory_emit(struct wr_nexmark_memory *m, struct wr_out *out, uint32_t bytes);
