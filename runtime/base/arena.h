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
/* As WR_GROW (base/mem.h), for an array that lies in the arena: the old one stays there until all is given
 * back. */
#define WR_ARENA_GROW(arena, items, cap, least) wr_arena_grow(arena, &(items), &(cap), sizeof *(items), least)
int wr_arena_grow(struct wr_arena *a, void *items, uint32_t *cap, size_t item_bytes, uint32_t least);
/* Copy of s[0 … len) with a final zero. */
char *wr_arena_strndup(struct wr_arena *a, const char *s, size_t len);
