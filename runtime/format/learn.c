/* SPDX-License-Identifier: Apache-2.0 */
/* learn: rows out of parsed values; see learn.h. On the task's thread.
 *
 * A *layout* is a record's names and types in the order in which they came, and where each
 * stands in the interned shape. Layouts are found by comparison with the one that was seen
 * last at the same place, else by hash. Nested records are finished first, because their
 * shapes are types of the outer one. A place that has met several shapes tries one for all
 * of them (family.h).
 */
#include <stdlib.h>
#include <xxhash.h>
#include "base/arena.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "format/family.h"
#include "format/learn.h"
#include "record/value.h"

enum {
	LAYOUTS_MAX = 512, /* of 16384 shapes of the process: leaves room for others */
	LAYOUT_SLOTS = 2 * LAYOUTS_MAX,
	SEEN_MAX = 24, /* shapes of a place; at 6, 12 and 24 a family is tried */
	TYPES = WR_T_ANY + 1,
	TAGGED_MAX = 1 << 30
};

struct layout;
/* Where records come from: the top of a stream, or a field of nested records. */
struct place {
	struct layout *hint;		/* what was seen here last */
	struct wr_family *family;	/* all records have its shape; NULL: each has one of its own */
	const struct wr_shape **shapes; /* SEEN_MAX, those seen here */
	uint32_t seen;
};
struct member {
	const char *name;
	uint32_t name_len;
	uint32_t type, child;
	int32_t slot; /* in the shape; -1: the name comes again, and the last wins */
	struct place place;
};
struct layout {
	uint64_t hash;
	const struct wr_shape *shape;
	uint32_t count;
	bool flat; /* its members stand in cells as they are */
	struct member members[];
};

struct wr_learner {
	struct layout *slots[LAYOUT_SLOTS]; /* open addressing by hash */
	uint32_t layouts;
	bool told; /* that records travel in the fallback shape */
	struct place top;
	uint32_t scalars[TYPES]; /* shape ids, 0 = not asked for yet */
	struct wr_arena kept;	 /* layouts */
	struct wr_arena row;	 /* what one row needs while it is built */
	struct wr_bytes tagged;
};

static struct wr_mem learn_mem = WR_MEM_INIT("format.learn");

struct wr_learner *wr_learner_new(void)
{
	struct wr_learner *l = wr_zalloc(&learn_mem, sizeof *l);

	if (!l)
		return NULL;
	wr_arena_init(&l->kept, &learn_mem);
	wr_arena_init(&l->row, &learn_mem);
	return l;
}

void wr_learner_free(struct wr_learner *l)
{
	if (!l)
		return;
	wr_arena_deinit(&l->kept);
	wr_arena_deinit(&l->row);
	wr_bytes_deinit(&l->tagged);
	wr_free(&learn_mem, l);
}

/* A cell of `type` that holds `n` as one tagged value, kept in the row's arena. */
static int tagged_cell(struct wr_learner *l, const struct wr_node *n, uint32_t type, struct wr_cell *cell)
{
	int rc;
	char *copy;

	l->tagged.len = 0;
	rc = wr_node_put(n, &l->row, &l->tagged);
	if (rc == WR_OK)
		rc = wr_bytes_status(&l->tagged);
	if (rc != WR_OK)
		return rc;
	if (l->tagged.len > TAGGED_MAX)
		return wr_error_set(WR_EUSER, "a value of %zu bytes is too large for a record",
				    l->tagged.len);
	copy = wr_arena_alloc(&l->row, l->tagged.len);
	if (!copy)
		return WR_EFATAL;
	memcpy(copy, l->tagged.data, l->tagged.len);
	*cell = (struct wr_cell){.type = type, .str = {copy, (uint32_t)l->tagged.len}};
	return WR_OK;
}

/* ---- layouts ---- */

/* One member of the record at hand. */
struct part {
	const struct wr_node *node;
	struct wr_cell cell;
	bool last; /* of its name */
};

static uint64_t layout_hash(const struct part *parts, uint32_t count)
{
	uint64_t h = count;

	for (uint32_t i = 0; i < count; i++)
		h = XXH3_64bits_withSeed(parts[i].node->key, parts[i].node->key_len,
					 h ^ ((uint64_t)parts[i].cell.child << 8 | parts[i].cell.type));
	return h;
}

static bool layout_fits(const struct layout *y, const struct part *parts, uint32_t count)
{
	if (y->count != count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct member *m = &y->members[i];
		const struct part *p = &parts[i];

		if (m->type != p->cell.type || m->child != p->cell.child || m->name_len != p->node->key_len ||
		    !wr_name_same(m->name, p->node->key, m->name_len))
			return false;
	}
	return true;
}

static int by_part_name(const void *a, const void *b)
{
	const struct part *x = *(const struct part *const *)a, *y = *(const struct part *const *)b;

	return wr_node_order(x->node, y->node);
}

/* Interns the shape of the parts, of equal names the last; 0 with the error set. */
static uint32_t layout_intern(struct wr_learner *l, struct part *parts, uint32_t count)
{
	struct wr_field_spec *specs = wr_arena_alloc(&l->row, (count + 1ull) * sizeof *specs);
	struct part **sorted = wr_arena_alloc(&l->row, (count + 1ull) * sizeof *sorted);
	uint32_t unique = 0;

	if (!specs || !sorted)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = &parts[i];
	qsort(sorted, count, sizeof *sorted, by_part_name);
	for (uint32_t i = 0; i < count; i++) {
		const struct wr_node *n = sorted[i]->node;

		sorted[i]->last = i + 1 == count || !wr_node_same_name(n, sorted[i + 1]->node);
		if (sorted[i]->last)
			specs[unique++] = (struct wr_field_spec){n->key, n->key_len, sorted[i]->cell.type,
								 sorted[i]->cell.child};
	}
	return wr_shape_intern(specs, unique, 0, 0);
}

static bool is_flat(uint32_t type)
{
	return type <= WR_T_BYTES;
}

/* NULL: the shape is refused, or memory (which shows again where the fallback needs it). */
static struct layout *layout_learn(struct wr_learner *l, struct part *parts, uint32_t count, uint64_t hash)
{
	struct layout *y;
	uint32_t id;

	if (count > WR_FIELDS_MAX || l->layouts == LAYOUTS_MAX)
		return NULL;
	id = layout_intern(l, parts, count);
	y = id ? wr_arena_alloc(&l->kept, sizeof *y + count * sizeof y->members[0]) : NULL;
	if (!y)
		return NULL;
	*y = (struct layout){hash, wr_shape(id), count, true};
	for (uint32_t i = 0; i < count; i++) {
		const struct wr_node *n = parts[i].node;
		char *name = wr_arena_strndup(&l->kept, n->key_len ? n->key : "", n->key_len);

		if (!name)
			return NULL;
		y->members[i] =
		    (struct member){name,
				    n->key_len,
				    parts[i].cell.type,
				    parts[i].cell.child,
				    parts[i].last ? wr_shape_find(y->shape, name, n->key_len) : -1,
				    {0}};
		y->flat &= is_flat(parts[i].cell.type);
	}
	l->layouts++;
	return y;
}

/* Remembers the shape of a record at a place, and tries a family where there are several. */
static void place_note(struct wr_learner *l, struct place *place, const struct wr_shape *shape)
{
	uint32_t i = 0;

	if (place->seen == SEEN_MAX)
		return;
	if (!place->shapes)
		place->shapes = wr_arena_alloc(&l->kept, SEEN_MAX * sizeof *place->shapes);
	if (!place->shapes)
		return;
	while (i < place->seen && place->shapes[i] != shape)
		i++;
	if (i < place->seen)
		return;
	place->shapes[place->seen++] = shape;
	if (place->seen == SEEN_MAX || place->seen == SEEN_MAX / 2 || place->seen == SEEN_MAX / 4)
		place->family = wr_family_new(&l->kept, place->shapes, place->seen);
}

static struct layout *layout_of(struct wr_learner *l, struct part *parts, uint32_t count, struct place *place)
{
	uint64_t hash;
	uint32_t i;

	if (place->hint && layout_fits(place->hint, parts, count))
		return place->hint;
	hash = layout_hash(parts, count);
	i = (uint32_t)hash & (LAYOUT_SLOTS - 1);
	while (l->slots[i] && !(l->slots[i]->hash == hash && layout_fits(l->slots[i], parts, count)))
		i = (i + 1) & (LAYOUT_SLOTS - 1);
	if (!l->slots[i])
		l->slots[i] = layout_learn(l, parts, count, hash);
	if (l->slots[i]) {
		place->hint = l->slots[i];
		place_note(l, place, place->hint->shape);
	}
	return l->slots[i];
}

/* ---- records ---- */

/* A record with its cells in the order of its shape; shape NULL: it goes by the fallback. */
struct shaped {
	const struct wr_shape *shape;
	struct wr_cell *cells;
};

static int shape_record(struct wr_learner *l, const struct wr_node *n, struct place *place,
			struct shaped *out);

/* The record as a nested body in the row's arena. */
static int nested_cell(struct wr_learner *l, const struct wr_node *n, struct place *place,
		       struct wr_cell *cell)
{
	struct shaped r;
	uint32_t len;
	uint8_t *to;
	int rc = shape_record(l, n, place, &r);

	if (rc != WR_OK)
		return rc;
	if (!r.shape)
		return tagged_cell(l, n, WR_T_ANY, cell);
	len = wr_row_len(r.shape, r.cells);
	if (!len)
		return WR_EUSER;
	to = wr_arena_alloc(&l->row, len);
	if (!to)
		return WR_EFATAL;
	wr_row_write(to, len, r.shape, WR_INSERT, WR_TS_NONE, r.cells);
	*cell = (struct wr_cell){.type = WR_T_ROW,
				 .child = r.shape->id,
				 .str = {(char *)to + WR_ELEM_HEADER, len - WR_ELEM_HEADER}};
	return WR_OK;
}

/* A value or a string, which lie at the same place; in words as they are read, or the reader would wait. */
static inline void flat_cell(const struct wr_node *n, struct wr_cell *cell)
{
	cell->type = n->type;
	cell->child = 0;
	cell->u64 = n->u64;
	cell->str.len = n->len;
}
_Static_assert(offsetof(struct wr_cell, u64) == offsetof(struct wr_cell, str.p) &&
		   offsetof(struct wr_node, u64) == offsetof(struct wr_node, str),
	       "a value stands where a string's pointer does");

static int make_cell(struct wr_learner *l, const struct wr_node *n, struct place *place, struct wr_cell *cell)
{
	switch (n->type) {
	case WR_T_ROW:
		return nested_cell(l, n, place, cell);
	case WR_T_LIST:
	case WR_T_MAP:
		return tagged_cell(l, n, n->type, cell);
	default:
		flat_cell(n, cell);
		return WR_OK;
	}
}

static int check_name(const struct wr_node *n)
{
	if (n->key_len > 0 && n->key[0] == '\x01')
		return wr_error_set(WR_EUSER, "a field's name may not begin with the byte 1");
	return WR_OK;
}

static int make_parts(struct wr_learner *l, const struct wr_node *n, struct layout *guess, struct part *parts)
{
	const struct wr_node *m = n + 1;
	int rc = WR_OK;

	for (uint32_t i = 0; i < n->len && rc == WR_OK; i++) {
		struct place none = {.seen = SEEN_MAX};

		rc = check_name(m);
		if (rc != WR_OK)
			return rc;
		parts[i].node = m;
		rc = make_cell(l, m, guess && i < guess->count ? &guess->members[i].place : &none,
			       &parts[i].cell);
		m = m->type == WR_T_ROW || m->type == WR_T_LIST ? wr_node_skip(m) : m + 1;
	}
	return rc;
}

/* The place of records in a family's field: in a family from the start. NULL when the heap refuses. */
static struct place *family_place(struct wr_learner *l, struct wr_family_member *m)
{
	struct place *place = m->nested;

	if (place)
		return place;
	place = wr_arena_alloc(&l->kept, sizeof *place);
	if (!place)
		return NULL;
	*place = (struct place){0};
	if (m->spec.type == WR_T_ROW) {
		const struct wr_shape *shape = wr_shape(m->spec.child);

		place->family = wr_family_new(&l->kept, &shape, 1);
	}
	m->nested = place;
	return place;
}

/* The member of a record as a cell of the family; widens it where it does not fit. WR_END: it has ended. */
static int family_cell(struct wr_learner *l, struct wr_family *f, const struct wr_node *n, int32_t *before,
		       struct wr_cell *cells)
{
	int32_t slot = wr_family_slot(f, *before, n->key, n->key_len);
	struct wr_family_member *m = slot >= 0 ? wr_family_member(f, slot) : NULL;
	struct place none = {.seen = SEEN_MAX}, *place = m ? family_place(l, m) : &none;
	struct wr_cell cell;
	int rc;

	if (!place)
		return WR_EFATAL;
	if (m && f->shape->fields[slot].type == WR_T_ANY) {
		rc = tagged_cell(l, n, WR_T_ANY, &cells[slot]);
		*before = slot;
		return rc;
	}
	rc = make_cell(l, n, place, &cell);
	if (rc != WR_OK)
		return rc;
	if (!m || f->shape->fields[slot].type != cell.type || f->shape->fields[slot].child != cell.child)
		return wr_family_widen(f, &l->kept, n->key, n->key_len, cell.type, cell.child) ? WR_OK
											       : WR_END;
	cells[slot] = cell;
	*before = slot;
	return WR_OK;
}

/* A record in the shape of its place's family. WR_END: the family has ended. */
static int family_record(struct wr_learner *l, const struct wr_node *n, struct wr_family *f,
			 struct shaped *out)
{
	int rc = WR_OK;

	do {
		const struct wr_node *m = n + 1;
		int32_t before = -1;

		out->shape = f->shape;
		out->cells = wr_arena_alloc(&l->row, f->shape->count * sizeof *out->cells);
		if (!out->cells)
			return WR_EFATAL;
		memset(out->cells, 0, f->shape->count * sizeof *out->cells);
		for (uint32_t i = 0; i < n->len && rc == WR_OK; i++) {
			rc = check_name(m);
			if (rc == WR_OK)
				rc = family_cell(l, f, m, &before, out->cells);
			m = m->type == WR_T_ROW || m->type == WR_T_LIST ? wr_node_skip(m) : m + 1;
		}
		if (rc == WR_OK && f->changed && !wr_family_settle(f, n->len))
			rc = WR_END;
	} while (rc == WR_OK && out->shape != f->shape);
	return rc;
}

/* A record like the last one at its place, without anything nested. False: it is another; *out may be
 * written all the same. */
static bool flat_record(struct wr_learner *l, const struct wr_node *n, const struct layout *y,
			struct shaped *out)
{
	if (!y || !y->flat || y->count != n->len)
		return false;
	out->shape = y->shape;
	out->cells = wr_arena_alloc(&l->row, (y->count + 1ull) * sizeof *out->cells);
	for (uint32_t i = 0; i < y->count && out->cells; i++) {
		const struct member *m = &y->members[i];
		const struct wr_node *part = &n[1 + i];

		if (m->type != part->type || m->name_len != part->key_len ||
		    !wr_name_same(m->name, part->key, m->name_len))
			return false;
		if (m->slot >= 0)
			flat_cell(part, &out->cells[m->slot]);
	}
	return out->cells != NULL;
}

static int shape_record(struct wr_learner *l, const struct wr_node *n, struct place *place,
			struct shaped *out)
{
	struct part *parts;
	struct layout *y;
	int rc;

	if (!place->family && flat_record(l, n, place->hint, out))
		return WR_OK;
	if (place->family) {
		rc = family_record(l, n, place->family, out);
		if (rc != WR_END)
			return rc;
		place->family = NULL;
		place->seen = SEEN_MAX;
	}
	parts = wr_arena_alloc(&l->row, (n->len + 1ull) * sizeof *parts);
	if (!parts)
		return WR_EFATAL;
	rc = make_parts(l, n, place->hint, parts);
	y = rc == WR_OK ? layout_of(l, parts, n->len, place) : NULL;
	out->shape = y ? y->shape : NULL;
	if (!y)
		return rc;
	out->cells = wr_arena_alloc(&l->row, (y->shape->count + 1ull) * sizeof *out->cells);
	if (!out->cells)
		return WR_EFATAL;
	for (uint32_t i = 0; i < n->len; i++)
		if (y->members[i].slot >= 0)
			out->cells[y->members[i].slot] = parts[i].cell;
	return WR_OK;
}

/* ---- rows ---- */

static int emit(struct wr_out *out, const struct wr_shape *s, const struct wr_cell *cells, int64_t ts)
{
	uint32_t len = wr_row_len(s, cells);

	if (!len)
		return WR_EUSER;
	if (!wr_out_room(out, len))
		return wr_error_code();
	wr_row_write(out->p, len, s, WR_INSERT, ts, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

static int emit_scalar(struct wr_learner *l, const struct wr_cell *cell, int64_t ts, struct wr_out *out)
{
	struct wr_field_spec spec = {.name = "", .type = cell->type};
	uint32_t *id = &l->scalars[cell->type];

	if (*id == 0)
		*id = cell->type == WR_T_ANY ? WR_SHAPE_ANY : wr_shape_intern(&spec, 1, 0, 1);
	return *id ? emit(out, wr_shape(*id), cell, ts) : wr_error_code();
}

/* The record as a tagged value, whatever its shape. Shapes bound the nesting of other rows. */
static int emit_tagged(struct wr_learner *l, const struct wr_node *n, int64_t ts, struct wr_out *out)
{
	struct wr_cell cell;
	struct wr_reader r;
	int rc = tagged_cell(l, n, WR_T_ANY, &cell);

	if (rc != WR_OK)
		return rc;
	r = wr_reader_of(cell.str.p, cell.str.len);
	if (wr_value_verify(&r) != WR_OK)
		return wr_error_set(WR_EUSER, "the record is nested too deep");
	if (!l->told)
		wr_warn("source",
			"records have too many different field names: from now on some travel as tagged "
			"values, which is slower");
	l->told = true;
	return emit_scalar(l, &cell, ts, out);
}

int wr_learner_row(struct wr_learner *l, const struct wr_node *nodes, int64_t ts, struct wr_out *out)
{
	struct shaped r = {0};
	struct wr_cell cell;
	int rc;

	wr_arena_reset(&l->row);
	if (nodes->type != WR_T_ROW) {
		rc = make_cell(l, nodes, NULL, &cell);
		return rc == WR_OK ? emit_scalar(l, &cell, ts, out) : rc;
	}
	rc = shape_record(l, nodes, &l->top, &r);
	if (rc != WR_OK)
		return rc;
	return r.shape ? emit(out, r.shape, r.cells, ts) : emit_tagged(l, nodes, ts, out);
}
