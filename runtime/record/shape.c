/* SPDX-License-Identifier: Apache-2.0 */
/* shape: the table of all shapes of the process.
 *
 * A shape is built under the lock, complete, and then published: its pointer is stored
 * with release order into a fixed array that readers index without a lock. The array is
 * as large as the bound of shapes; its untouched pages cost nothing. Shapes lie in an
 * arena that is never given back, because an id is good for the life of the process.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>
#include "base/arena.h"
#include "base/assert.h"
#include "base/error.h"
#include "record/shape.h"

struct entry {
	struct wr_shape shape;
	uint64_t hash;	 /* of fields and flags */
	uint32_t weight; /* fields of the whole tree */
};
_Static_assert(offsetof(struct entry, shape) == 0, "an entry is found by its shape");

static struct wr_mem shape_mem = WR_MEM_INIT("record.shapes");

/* Published: readers load with acquire, so a shape is seen with all its fields. */
static _Atomic(const struct wr_shape *) shapes[WR_SHAPES_MAX + 1];
static _Atomic uint32_t shape_count = WR_SHAPE_ANY;

/* Under the lock: where shapes lie, and an open-addressing index of their ids by hash. */
static pthread_mutex_t shape_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wr_arena shape_arena;
static uint32_t *slots;
static uint32_t slots_size; /* power of two, at least twice the number of shapes */

/* Static, so that the fallback exists even when the heap refuses everything. */
static struct wr_field any_field = {.name = "", .type = WR_T_ANY};
static const struct entry any_entry = {
    .shape = {.id = WR_SHAPE_ANY, .count = 1, .scalar = 1, .fixed_len = 8, .depth = 1, .fields = &any_field},
    .weight = 1,
};

const struct wr_shape *wr_shape(uint32_t id)
{
	if (id == WR_SHAPE_ANY)
		return &any_entry.shape;
	if (WR_UNLIKELY(id > WR_SHAPES_MAX))
		return NULL;
	return atomic_load_explicit(&shapes[id], memory_order_acquire);
}

uint32_t wr_shape_count(void)
{
	return atomic_load_explicit(&shape_count, memory_order_acquire);
}

static int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t shared = a_len < b_len ? a_len : b_len;
	int order = shared ? memcmp(a, b, shared) : 0;

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int spec_compare(const void *a, const void *b)
{
	const struct wr_field_spec *x = a, *y = b;

	return name_compare(x->name, x->name_len, y->name, y->name_len);
}

int32_t wr_shape_find(const struct wr_shape *s, const char *name, uint32_t name_len)
{
	uint32_t low = 0, high = s->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct wr_field *f = &s->fields[middle];
		int order = name_compare(f->name, f->name_len, name, name_len);

		if (order == 0)
			return (int32_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* What a shape is before it has an id. */
struct draft {
	const struct wr_field_spec *fields;
	uint32_t count, nullable, scalar;
	uint32_t depth, weight;
	size_t name_bytes;
	uint64_t hash;
};

static int draft_refuse(const struct wr_field_spec *f, const char *why)
{
	return wr_error_set(WR_EUSER, "field '%.*s' %s", (int)f->name_len, f->name, why);
}

static int draft_child(struct draft *d, const struct wr_field_spec *f)
{
	const struct wr_shape *child = f->child ? wr_shape(f->child) : NULL;

	if (f->type != WR_T_ROW)
		return f->child ? draft_refuse(f, "is no record and has a child shape") : WR_OK;
	if (!child || child->scalar || d->scalar)
		return draft_refuse(f, "has no child shape");
	if (child->depth >= WR_DEPTH_MAX)
		return wr_error_set(WR_EUSER, "records are nested deeper than %d", WR_DEPTH_MAX);
	if (child->depth >= d->depth)
		d->depth = child->depth + 1;
	d->weight += ((const struct entry *)child)->weight;
	if (d->weight > WR_FIELDS_TREE_MAX)
		return wr_error_set(WR_EUSER, "a record has more than %d fields, nested ones included",
				    WR_FIELDS_TREE_MAX);
	return WR_OK;
}

static int draft_field(struct draft *d, const struct wr_field_spec *f, const struct wr_field_spec *before)
{
	if (f->type < WR_T_NULL || f->type > WR_T_ANY)
		return draft_refuse(f, "is of a type that this version does not know");
	if (before && spec_compare(before, f) == 0)
		return draft_refuse(f, "stands twice in a record");
	d->name_bytes += f->name_len + 1;
	d->hash = XXH3_64bits_withSeed(f->name, f->name_len, d->hash ^ ((uint64_t)f->child << 8 | f->type));
	return draft_child(d, f);
}

static int draft_make(struct draft *d, struct wr_field_spec *fields, uint32_t count)
{
	int rc = WR_OK;

	if (count > WR_FIELDS_MAX)
		return wr_error_set(WR_EUSER, "a record has %u fields, the limit is %d", count,
				    WR_FIELDS_MAX);
	if (d->scalar && (count != 1 || fields[0].name_len > 0))
		return wr_error_set(WR_EUSER, "the shape of a plain value has one field without a name");
	if (count > 0)
		qsort(fields, count, sizeof *fields, spec_compare);
	d->fields = fields;
	d->count = d->weight = count;
	d->depth = 1;
	d->hash = (uint64_t)count << 2 | d->nullable << 1 | d->scalar;
	for (uint32_t i = 0; i < count && rc == WR_OK; i++)
		rc = draft_field(d, &fields[i], i > 0 ? &fields[i - 1] : NULL);
	return rc;
}

static bool draft_is(const struct draft *d, const struct entry *e)
{
	const struct wr_shape *s = &e->shape;

	if (e->hash != d->hash || s->count != d->count || s->nullable != d->nullable ||
	    s->scalar != d->scalar)
		return false;
	for (uint32_t i = 0; i < d->count; i++) {
		const struct wr_field *f = &s->fields[i];
		const struct wr_field_spec *g = &d->fields[i];

		if (f->type != g->type || f->child != g->child ||
		    name_compare(f->name, f->name_len, g->name, g->name_len) != 0)
			return false;
	}
	return true;
}

/* The slot that holds the drafted shape, or the empty one where its id belongs. */
static uint32_t *slot_of(const struct draft *d)
{
	uint32_t i = (uint32_t)d->hash & (slots_size - 1);

	while (slots[i] && !draft_is(d, (const struct entry *)wr_shape(slots[i])))
		i = (i + 1) & (slots_size - 1);
	return &slots[i];
}

static int slots_grow(uint32_t size)
{
	uint32_t *old = slots, *grown = wr_zalloc(&shape_mem, size * sizeof *grown);

	if (!grown)
		return WR_EFATAL;
	for (uint32_t i = 0; i < slots_size; i++) {
		if (old[i]) {
			uint32_t j = (uint32_t)((const struct entry *)wr_shape(old[i]))->hash & (size - 1);

			while (grown[j])
				j = (j + 1) & (size - 1);
			grown[j] = old[i];
		}
	}
	slots = grown;
	slots_size = size;
	wr_free(&shape_mem, old);
	return WR_OK;
}

static void entry_fill(struct entry *e, const struct draft *d, uint32_t id, char *names)
{
	struct wr_shape *s = &e->shape;

	e->hash = d->hash;
	e->weight = d->weight;
	s->id = id;
	s->count = d->count;
	s->nullable = d->nullable;
	s->scalar = d->scalar;
	s->slots_at = d->nullable ? (d->count + 63) / 64 * 8 : 0;
	s->fixed_len = s->slots_at + 8 * d->count;
	s->depth = d->depth;
	s->hidden = 0;
	s->fields = (struct wr_field *)(e + 1);
	for (uint32_t i = 0; i < d->count; i++) {
		const struct wr_field_spec *f = &d->fields[i];

		if (f->name_len > 0)
			memcpy(names, f->name, f->name_len);
		names[f->name_len] = 0;
		s->fields[i] = (struct wr_field){.name = names,
						 .name_len = f->name_len,
						 .type = f->type,
						 .child = f->child,
						 .name_hash = (uint32_t)XXH3_64bits(names, f->name_len)};
		if (names[0] == 1 && s->hidden == i)
			s->hidden++;
		names += f->name_len + 1;
	}
}

static uint32_t shape_add(const struct draft *d, uint32_t *slot)
{
	uint32_t id = wr_shape_count() + 1;
	size_t fixed = sizeof(struct entry) + d->count * sizeof(struct wr_field);
	struct entry *e;

	if (id > WR_SHAPES_MAX) {
		wr_error_set(WR_EUSER, "the bound of %d shapes is reached: are the names of fields data?",
			     WR_SHAPES_MAX);
		return 0;
	}
	e = wr_arena_alloc(&shape_arena, fixed + d->name_bytes);
	if (!e)
		return 0;
	entry_fill(e, d, id, (char *)e + fixed);
	atomic_store_explicit(&shapes[id], &e->shape, memory_order_release);
	atomic_store_explicit(&shape_count, id, memory_order_release);
	*slot = id;
	return id;
}

static uint32_t shape_intern_locked(const struct draft *d)
{
	uint32_t *slot;

	if (!shape_arena.mem)
		wr_arena_init(&shape_arena, &shape_mem);
	if (2 * (wr_shape_count() + 1) > slots_size && slots_size < 2 * WR_SHAPES_MAX &&
	    slots_grow(slots_size ? 2 * slots_size : 64) != WR_OK)
		return 0;
	slot = slot_of(d);
	return *slot ? *slot : shape_add(d, slot);
}

uint32_t wr_shape_intern(struct wr_field_spec *fields, uint32_t count, uint32_t nullable, uint32_t scalar)
{
	struct draft d = {.nullable = nullable != 0, .scalar = scalar != 0};
	uint32_t id;

	if (draft_make(&d, fields, count) != WR_OK)
		return 0;
	if (d.scalar && !d.nullable && fields[0].type == WR_T_ANY)
		return WR_SHAPE_ANY;
	pthread_mutex_lock(&shape_lock);
	id = shape_intern_locked(&d);
	pthread_mutex_unlock(&shape_lock);
	return id;
}
