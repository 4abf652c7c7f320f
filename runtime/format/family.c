/* SPDX-License-Identifier: Apache-2.0 */
/* family: see family.h. */
#include "format/family.h"

enum {
	HOLES_MAX = 4,
	HOLES_FREE = 8
}; /* fields for each one of the largest record; and so many for nothing */

bool wr_family_widen(struct wr_family *f, struct wr_arena *kept, const char *name, uint32_t len,
		     uint32_t type, uint32_t child)
{
	struct wr_field_spec *spec;

	f->changed = true;
	for (uint32_t i = 0; i < f->count; i++) {
		spec = &f->members[i].spec;
		if (spec->name_len != len || memcmp(spec->name, name, len) != 0)
			continue;
		if (spec->type != type)
			*spec = (struct wr_field_spec){spec->name, len, WR_T_ANY, 0};
		else
			spec->child = child;
		return true;
	}
	if (f->count == WR_FAMILY_FIELDS_MAX)
		return false;
	name = wr_arena_strndup(kept, len ? name : "", len);
	if (!name)
		return false;
	f->members[f->count++].spec = (struct wr_field_spec){name, len, type, child};
	return true;
}

bool wr_family_settle(struct wr_family *f, uint32_t fields)
{
	struct wr_field_spec specs[WR_FAMILY_FIELDS_MAX];
	uint32_t id;

	if (fields > f->largest)
		f->largest = fields;
	if (f->count > HOLES_MAX * f->largest + HOLES_FREE || f->versions++ == WR_FAMILY_VERSIONS_MAX)
		return false;
	for (uint32_t i = 0; i < f->count; i++)
		specs[i] = f->members[i].spec;
	id = wr_shape_intern(specs, f->count, 1, 0);
	if (!id)
		return false;
	f->shape = wr_shape(id);
	for (uint32_t i = 0; i < f->count; i++)
		f->member_of[wr_shape_find(f->shape, specs[i].name, specs[i].name_len)] = (uint8_t)i;
	for (uint32_t i = 0; i <= f->count; i++)
		f->next[i] = (uint8_t)(i < f->count ? i : 0);
	f->changed = false;
	return true;
}

struct wr_family *wr_family_new(struct wr_arena *kept, const struct wr_shape *const *shapes, uint32_t count)
{
	struct wr_family *f = wr_arena_alloc(kept, sizeof *f);
	uint32_t largest = 0;

	if (!f)
		return NULL;
	memset(f, 0, sizeof *f);
	for (uint32_t s = 0; s < count; s++) {
		if (shapes[s]->count > largest)
			largest = shapes[s]->count;
		for (uint32_t i = 0; i < shapes[s]->count; i++) {
			const struct wr_field *field = &shapes[s]->fields[i];

			if (!wr_family_widen(f, kept, field->name, field->name_len, field->type,
					     field->child))
				return NULL;
		}
	}
	return f->count > 0 && wr_family_settle(f, largest) ? f : NULL;
}

static bool is_named(const struct wr_family *f, uint32_t slot, const char *name, uint32_t len)
{
	const struct wr_field *field = &f->shape->fields[slot];

	return field->name_len == len && memcmp(field->name, name, len) == 0;
}

int32_t wr_family_slot(struct wr_family *f, int32_t before, const char *name, uint32_t len)
{
	uint8_t *next = &f->next[before + 1];
	int32_t slot;

	if (is_named(f, *next, name, len))
		return *next;
	slot = wr_shape_find(f->shape, name, len);
	if (slot >= 0)
		*next = (uint8_t)slot;
	return slot;
}
