/* SPDX-License-Identifier: Apache-2.0 */
/* heap: the memory of one Lua state.
 *
 * Lua tells the size of what it gives back, so objects need no headers: those up to 384
 * bytes lie in pages of one size each, larger ones come from base/mem.h. After a
 * collection the pages without objects go back to all (heap/pages.h), which LuaJIT's own
 * allocator does not do: a subtask keeps what it needs, not what it needed to start. A heap that
 * is used up and collected in turn keeps pages for that (`keep`): it would contend for them with
 * the heaps of other cores, and each line of a page that another core had is a cache miss.
 *
 * Passing the bound is told, and refused only far beyond it: the LuaJIT of Debian 12 does not always
 * survive a refusal while compiled code runs (LuaJIT issues 1004 and 1247). For the same reason a refusal
 * of the system is told, and passed on only where it is repeated and nothing is put by any more.
 */
#pragma once
#include "heap/pages.h"

enum { WR_HEAP_CLASSES = 16 };

/* One thread at a time; all zero but for the first four is an empty heap. */
struct wr_heap {
	struct wr_mem *mem;		   /* the account */
	int64_t bytes_max;		   /* the bound; 0 = none */
	int64_t keep;			   /* up to so many bytes in pages stay when they are empty */
	void (*passed)(struct wr_heap *h); /* bound passed, or refused by the system; may be NULL */
	int64_t bytes;			   /* held by Lua now */
	bool over;			   /* until the owner resets it nobody is told again */
	bool scarce;			   /* the system refused memory, since the owner reset it */
	bool refused; /* so was Lua, once: from then on LuaJIT may give back too little */
	struct wr_slab *open[WR_HEAP_CLASSES]; /* pages with room, the one in use first */
	struct wr_slab *spare;		       /* pages that hold nothing, for whatever is allocated next */
	uint32_t spare_count, page_count;      /* of the spare ones; of the others */
};

/* As lua_Alloc asks for; `heap` is a struct wr_heap *. NULL far beyond the bound or when the system refuses.
 */
void *wr_heap_alloc(void *heap, void *p, size_t old, size_t want);
/* Gives back the pages that hold nothing, the spare ones too. */
void wr_heap_trim(struct wr_heap *h);
/* After everything was given back. */
void wr_heap_deinit(struct wr_heap *h);
