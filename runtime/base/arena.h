/* SPDX-License-Identifier: Apache-2.0 */
/* arena: memory that is given back all at once. One owner, one thread. */
#pragma once
#include "base/mem.h"

struct wr_arena_block;
struct wr_arena {
	struct wr_mem *mem;
	struct wr_arena_block *blocks; /* newest first */
	uint8_t *p, *end;
};

void wr_arena_init(struct wr_arena *a, struct wr_mem *mem);
void wr_arena_deinit(struct wr_arena *a);
/* Gives everything back but the newest block, for reuse. */
void wr_arena_reset(struct wr_arena *a);
/* 8-aligned; NULL with the error set when the heap refuses. */
void *wr_arena_alloc(struct wr_arena *a, size_t bytes);
/* Copy of s[0 … len) with a final zero. */
char *wr_arena_strndup(struct wr_arena *a, const char *s, size_t len);
