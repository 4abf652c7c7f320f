/* SPDX-License-Identifier: Apache-2.0 */
/* birth: the heap of a state and, behind it, a reserve that is only ever taken from. */
#include "script/birth.h"

#include <string.h>
#include "base/error.h"

enum { RESERVE = 64 << 10 }; /* what an empty state needs, several times */

struct birth {
	struct wr_heap *heap;
	uint8_t *reserve;
	size_t taken;
};

static void *reserve_take(struct birth *b, size_t bytes)
{
	void *p = b->reserve + b->taken;

	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > RESERVE - b->taken)
		return NULL;
	b->taken += bytes;
	return p;
}

static void *birth_alloc(void *birth, void *p, size_t old, size_t want)
{
	struct birth *b = birth;
	bool reserved = p && (uintptr_t)p - (uintptr_t)b->reserve < RESERVE;
	void *q;

	if (!reserved) {
		q = wr_heap_alloc(b->heap, p, old, want);
		if (q || !want)
			return q;
	}
	if (!want || !(q = reserve_take(b, want)))
		return NULL;
	if (p)
		memcpy(q, p, old < want ? old : want);
	if (p && !reserved)
		wr_heap_alloc(b->heap, p, old, 0);
	return q;
}

lua_State *wr_birth(struct wr_heap *heap)
{
	struct birth b = {heap, wr_alloc(heap->mem, RESERVE), 0};
	lua_State *L;

	if (!b.reserve)
		return NULL;
	L = lua_newstate(birth_alloc, &b);
	if (L && b.taken) {
		lua_close(L);
		L = NULL;
	}
	if (L)
		lua_setallocf(L, wr_heap_alloc, heap);
	else
		wr_error_set(WR_EFATAL, "no memory for a Lua state");
	wr_free(heap->mem, b.reserve);
	return L;
}
