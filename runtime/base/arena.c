/* SPDX-License-Identifier: Apache-2.0 */
/* arena: blocks of doubling size (up to 1 MiB, or one allocation), newest first. */
#include "base/arena.h"

#include <string.h>
#include "base/error.h"

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };
struct wr_arena_block {
	struct wr_arena_block *next;
	size_t size;
	uint8_t data[];
};

void wr_arena_init(struct wr_arena *a, struct wr_mem *mem)
{
	memset(a, 0, sizeof *a);
	a->mem = mem;
}

static void arena_drop(struct wr_arena *a, struct wr_arena_block *b)
{
	while (b) {
		struct wr_arena_block *next = b->next;

		wr_free(a->mem, b);
		b = next;
	}
}

void wr_arena_deinit(struct wr_arena *a)
{
	arena_drop(a, a->blocks);
	wr_arena_init(a, a->mem);
}

void wr_arena_reset(struct wr_arena *a)
{
	if (!a->blocks)
		return;
	arena_drop(a, a->blocks->next);
	a->blocks->next = NULL;
	a->p = a->blocks->data;
	a->end = a->p + a->blocks->size;
}

static bool arena_grow(struct wr_arena *a, size_t bytes)
{
	size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
	struct wr_arena_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < bytes)
		size = bytes;
	b = wr_alloc(a->mem, sizeof *b + size);
	if (!b)
		return false;
	b->next = a->blocks;
	b->size = size;
	a->blocks = b;
	a->p = b->data;
	a->end = b->data + size;
	return true;
}

void *wr_arena_alloc(struct wr_arena *a, size_t bytes)
{
	uint8_t *p;

	if (bytes > SIZE_MAX / 2) {
		wr_error_nomem(bytes, a->mem->name);
		return NULL;
	}
	bytes = bytes ? (bytes + 7) & ~(size_t)7 : 8;
	if ((size_t)(a->end - a->p) < bytes && !arena_grow(a, bytes))
		return NULL;
	p = a->p;
	a->p += bytes;
	return p;
}

int wr_arena_grow(struct wr_arena *a, void *items, uint32_t *cap, size_t item_bytes, uint32_t least)
{
	uint64_t more = 2 * (uint64_t)*cap > least ? 2 * (uint64_t)*cap : least;
	void *p, *old;

	if (more > UINT32_MAX)
		return wr_error_nomem(more * item_bytes, a->mem->name);
	p = wr_arena_alloc(a, more * item_bytes);
	if (!p)
		return WR_EFATAL;
	memcpy(&old, items, sizeof old);
	if (*cap)
		memcpy(p, old, *cap * item_bytes);
	memcpy(items, &p, sizeof p);
	*cap = (uint32_t)more;
	return WR_OK;
}

char *wr_arena_strndup(struct wr_arena *a, const char *s, size_t len)
{
	char *p = wr_arena_alloc(a, len + 1);

	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}
