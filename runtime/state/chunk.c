/* SPDX-License-Identifier: Apache-2.0 */
/* chunk: where the chunks of a store come from and go. Owner's thread.
 *
 * They are cut from slabs, which double from one chunk to `SLAB_CHUNKS`: a small store stays small, and a
 * large one asks the heap once for many (each growth of a thread's heap is a call of the system).
 *
 * The chunks that a version kept are for the copies of the next one: fresh memory costs several times the
 * copy, and a hundred thousand small pieces that are freed at once stop the heap for tens of milliseconds.
 * Stores with a lower one have a bound to keep: each chunk of theirs is a piece of the heap, and goes back.
 */
#include <stdalign.h>
#include "base/mem.h"
#include "state/memory.h"

enum { SLAB_CHUNKS = 64 };

struct slab {
	alignas(64) struct slab *older;
	uint32_t chunks, used;
};

static struct wr_mem spare_mem = WR_MEM_INIT("state.spare");

static void spare_charge(struct memory *s, int64_t bytes)
{
	wr_mem_charge(s->mem, -bytes);
	wr_mem_charge(&spare_mem, bytes);
}

static struct slab *slab_add(struct memory *s)
{
	uint32_t chunks = s->slabs ? s->slabs->chunks * 2 : 1;
	struct slab *slab;

	if (chunks > SLAB_CHUNKS)
		chunks = SLAB_CHUNKS;
	slab = wr_alloc_aligned(s->mem, 64, sizeof *slab + chunks * (size_t)wr_chunk_bytes(s));
	if (!slab)
		return NULL;
	*slab = (struct slab){.older = s->slabs, .chunks = chunks};
	s->slabs = slab;
	return slab;
}

struct chunk *wr_chunk_room(struct memory *s)
{
	struct chunk *c = s->spare;
	struct slab *slab = s->slabs;

	if (s->lower)
		return wr_alloc_aligned(s->mem, 64, (size_t)wr_chunk_bytes(s));
	if (c) {
		s->spare = c->older;
		spare_charge(s, -wr_chunk_bytes(s));
		return c;
	}
	if (!slab || slab->used == slab->chunks)
		slab = slab_add(s);
	return slab ? (void *)((uint8_t *)(slab + 1) + slab->used++ * (size_t)wr_chunk_bytes(s)) : NULL;
}

void wr_chunk_give(struct memory *s, struct chunk *c)
{
	if (s->lower) {
		wr_free(s->mem, c);
		return;
	}
	c->older = s->spare;
	s->spare = c;
	spare_charge(s, wr_chunk_bytes(s));
}

void wr_chunks_free(struct memory *s)
{
	if (s->lower) {
		for (uint32_t i = 0; i < s->chunk_count; i++)
			wr_free(s->mem, s->chunks[i]);
		return;
	}
	for (; s->spare; s->spare = s->spare->older)
		spare_charge(s, -wr_chunk_bytes(s));
	while (s->slabs) {
		struct slab *slab = s->slabs;

		s->slabs = slab->older;
		wr_free(s->mem, slab);
	}
}
