/* SPDX-License-Identifier: Apache-2.0 */
/* index: adding, removing, growing; see index.h. */
#include <sys/mman.h>
#include "state/index.h"

#include "base/error.h"

enum {
	SLOTS_FIRST = 64,
	AT_ONCE = 4096,		 /* so small a table moves in one go */
	MOVED_AN_ADD = 32,	 /* slots: a table has moved long before the next one is half full */
	GIVEN_AT_ONCE = 1 << 16, /* slots: half a megabyte */
	TAKEN_AT_ONCE = 1 << 14,
	PAGE = 4096,
};

int wr_index_init(struct index *x, struct wr_mem *mem)
{
	*x = (struct index){.mem = mem,
			    .table = {wr_zalloc(mem, SLOTS_FIRST * sizeof(uint64_t)), SLOTS_FIRST - 1}};
	return x->table.slots ? WR_OK : WR_EFATAL;
}

void wr_index_deinit(struct index *x)
{
	wr_free(x->mem, x->table.slots);
	wr_free(x->mem, x->old.slots);
}

static void put(struct index_table t, uint64_t slot)
{
	uint64_t at = slot >> 32 & t.mask;

	while (t.slots[at])
		at = (at + 1) & t.mask;
	t.slots[at] = slot;
}

/* Pages of what has moved go back to the system at once: a table of a hundred megabytes that is freed as a
 * whole stops the task for ten milliseconds. Where something is put there again, it begins as zeros. */
static void give_back(struct index *x)
{
	uint64_t first = (x->old_first + x->old_given) & x->old.mask, count = x->old_moved - x->old_given;
	uintptr_t from, to;

	if (count > x->old.mask + 1 - first)
		count = x->old.mask + 1 - first;
	from = ((uintptr_t)&x->old.slots[first] + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	to = (uintptr_t)&x->old.slots[first + count] & ~(uintptr_t)(PAGE - 1);
	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED);
	x->old_given += count;
}

static void take_pages(const uint64_t *from, uint64_t slots)
{
	uintptr_t first = (uintptr_t)from & ~(uintptr_t)(PAGE - 1), end = (uintptr_t)(from + slots);

	madvise((void *)first, (end - first + PAGE - 1) & ~(uintptr_t)(PAGE - 1), MADV_POPULATE_WRITE);
}

/* Slots from `at` on of the old table move to these two places of the new one. Their pages come from the
 * system beforehand: one that is first read and then written comes twice, and the second time interrupts all
 * cores of the process. That the system may not know how is no harm. */
static void take(const struct index *x, uint64_t at)
{
	uint64_t size = x->old.mask + 1, slots = TAKEN_AT_ONCE - at % TAKEN_AT_ONCE;

	if (slots > size - at)
		slots = size - at;
	take_pages(&x->table.slots[at], slots);
	take_pages(&x->table.slots[at + size], slots);
}

/* Moves `slots` slots of the old table and the rest of the last one's cluster. Entries that were added
 * since may go round its end. */
static void move(struct index *x, uint64_t slots)
{
	uint64_t until = x->old_moved + slots, size = x->old.mask + 1;

	for (uint64_t slot = 1; slot || (x->old_moved < until && x->old_moved < size);) {
		uint64_t at = (x->old_first + x->old_moved) & x->old.mask, *from = &x->old.slots[at];

		if (WR_UNLIKELY(at % TAKEN_AT_ONCE == 0 || !x->old_moved) && size > AT_ONCE)
			take(x, at);
		x->old_moved++;
		slot = *from;
		if (slot)
			put(x->table, slot);
		*from = 0;
	}
	if (x->old_moved < size) {
		if (x->old_moved - x->old_given >= GIVEN_AT_ONCE)
			give_back(x);
		return;
	}
	wr_free(x->mem, x->old.slots);
	x->old.slots = NULL;
}

static int grow(struct index *x)
{
	uint64_t size = (x->table.mask + 1) * 2;
	uint64_t *slots = wr_zalloc(x->mem, size * sizeof *slots);

	if (!slots)
		return WR_EFATAL;
	if (x->old.slots)
		move(x, size);
	x->old = x->table;
	x->table = (struct index_table){slots, size - 1};
	x->old_moved = x->old_given = 0;
	for (x->old_first = 0; x->old.slots[x->old_first++];)
		;
	if (size <= AT_ONCE)
		move(x, size);
	return WR_OK;
}

int wr_index_add(struct index *x, uint32_t tag, uint32_t id)
{
	if ((x->live + 1) * 2 > x->table.mask + 1 && grow(x) != WR_OK)
		return WR_EFATAL;
	if (x->old.slots)
		move(x, MOVED_AN_ADD);
	put(wr_index_table(x, tag), (uint64_t)tag << 32 | id);
	x->live++;
	return WR_OK;
}

/* By shifting back, so that there are no tombstones. */
void wr_index_remove(struct index *x, uint32_t tag, uint32_t id)
{
	struct index_table t = wr_index_table(x, tag);
	uint64_t at = tag & t.mask, hole;

	while ((uint32_t)t.slots[at] != id)
		at = (at + 1) & t.mask;
	hole = at;
	for (;;) {
		uint64_t home;

		at = (at + 1) & t.mask;
		if (!t.slots[at])
			break;
		home = t.slots[at] >> 32 & t.mask;
		if (((at - home) & t.mask) >= ((at - hole) & t.mask)) {
			t.slots[hole] = t.slots[at];
			hole = at;
		}
	}
	t.slots[hole] = 0;
	x->live--;
}
