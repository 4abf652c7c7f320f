/* SPDX-License-Identifier: Apache-2.0 */
/* family: one shape with missing fields for all the records of a place, where each combination of optional
 * fields would be a shape of its own.
 *
 * A family begins with the shapes seen so far and grows by fields; a field that meets two types becomes ANY,
 * a nested record whose shape changed takes the new one. It ends (and the place goes back to a shape for
 * each combination) where its rows would be mostly holes. One thread; memory of the caller's arena.
 */
#pragma once
#include "base/arena.h"
#include "record/row.h"

enum {
	WR_FAMILY_FIELDS_MAX = 128,
	WR_FAMILY_VERSIONS_MAX = 64, /* shapes that one family may intern as it grows */
};

struct wr_family {
	const struct wr_shape *shape;
	uint32_t count, largest; /* fields; fields of the largest record that has come */
	uint32_t versions;
	bool changed; /* widened since it was settled */
	struct wr_family_member {
		struct wr_field_spec spec; /* name in the arena */
		void *nested;		   /* the learner's, for records in this field */
	} members[WR_FAMILY_FIELDS_MAX];
	uint8_t member_of[WR_FAMILY_FIELDS_MAX]; /* slot of the shape → member */
	uint8_t next[WR_FAMILY_FIELDS_MAX + 1];	 /* the slot that came behind slot i - 1 in the last record */
};

/* NULL where the shapes have too little in common, or when the heap refuses. */
struct wr_family *wr_family_new(struct wr_arena *kept, const struct wr_shape *const *shapes, uint32_t count);

/* Slot of a name, or -1; `before` is the slot of the name before it in the record, -1 at the first. */
int32_t wr_family_slot(struct wr_family *f, int32_t before, const char *name, uint32_t len);

static inline struct wr_family_member *wr_family_member(struct wr_family *f, int32_t slot)
{
	return &f->members[f->member_of[slot]];
}

/* Makes the family hold a field of this type (and shape of nested records); it must be settled before rows
 * are written. False: the family has ended. */
bool wr_family_widen(struct wr_family *f, struct wr_arena *kept, const char *name, uint32_t len,
		     uint32_t type, uint32_t child);

/* Interns the shape of a family that was widened by a record of `fields` fields. False: it has ended. */
bool wr_family_settle(struct wr_family *f, uint32_t fields);
