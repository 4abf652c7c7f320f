/* SPDX-License-Identifier: Apache-2.0 */
/* index: from a tag, 32 bits of a key's hash, to the ids of the entries that have it: open addressing, one
 * word a slot. Inside state/ only; task's thread.
 *
 * It doubles without a pause: after growing, the old table is moved a few slots at each further add.
 * Slots move in order and by whole clusters, beginning behind an empty slot, so that where a tag
 * begins its search says which of the two tables has it, and a search looks into one table only.
 *
 *   RESTING ──add, half full──▶ MOVING ──adds──▶ RESTING
 */
#pragma once
#include "base/assert.h"
#include "base/mem.h"

struct index_table {
	uint64_t *slots; /* tag << 32 | id; 0 = empty */
	uint64_t mask;
};
struct index {
	struct wr_mem *mem;
	struct index_table table, old; /* old.slots is NULL while nothing moves */
	uint64_t old_first, old_moved; /* slots of the old table that have moved: from where, how many */
	uint64_t old_given;	       /* of them, whose pages went back to the system */
	uint64_t live;
};

/* WR_EFATAL with the error set when the heap refuses. */
int wr_index_init(struct index *x, struct wr_mem *mem);
void wr_index_deinit(struct index *x);
/* `id` > 0. */
int wr_index_add(struct index *x, uint32_t tag, uint32_t id);
/* It must be there. */
void wr_index_remove(struct index *x, uint32_t tag, uint32_t id);

/* Where ids of `tag` are looked for: from slot tag & mask on to the first empty one. */
static inline struct index_table wr_index_table(const struct index *x, uint32_t tag)
{
	if (WR_UNLIKELY(x->old.slots) && ((tag - x->old_first) & x->old.mask) >= x->old_moved)
		return x->old;
	return x->table;
}

static inline void wr_index_prefetch(const struct index *x, uint32_t tag)
{
	struct index_table t = wr_index_table(x, tag);

	__builtin_prefetch(&t.slots[tag & t.mask]);
}
