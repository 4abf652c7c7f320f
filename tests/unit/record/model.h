/* SPDX-License-Identifier: Apache-2.0 */
/* model: random shapes, cells and values for the tests of record/, kept apart from the
 * bytes they are written to, so that what is read can be held against what was meant.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <math.h>
#include "base/arena.h"
#include "base/error.h"
#include "base/rand.h"
#include "record/number.h"
#include "record/row.h"
#include "record/value.h"

#define NUMBER_OF(a) (sizeof(a) / sizeof *(a))

static __attribute__((unused)) struct wr_mem model_mem = WR_MEM_INIT("test.model");

static inline struct wr_str str_of(const char *s)
{
	return (struct wr_str){s, (uint32_t)strlen(s)};
}

/* ---- scalars ---- */

static inline double model_double(struct wr_rand *r)
{
	static const double odd[] = {0.0,	 -0.0,
				     NAN,	 INFINITY,
				     -INFINITY,	 0x1p53,
				     0x1p53 + 2, -0x1p63,
				     0x1p63,	 0x1p64,
				     5e-324,	 1.7976931348623157e308,
				     0.1,	 1e21,
				     1e15,	 999999999999999.0,
				     -1.5,	 2.2250738585072014e-308};
	uint64_t bits;
	double v;

	switch (wr_rand_below(r, 4)) {
	case 0:
		return odd[wr_rand_below(r, NUMBER_OF(odd))];
	case 1:
		return (double)(int32_t)wr_rand_next(r);
	case 2:
		return (double)wr_rand_below(r, 1000000) / 100;
	default:
		bits = wr_number_bits(wr_rand_next(r));
		memcpy(&v, &bits, 8);
		return v;
	}
}

/* Any bytes, NUL and bad UTF-8 among them; often empty, seldom long. */
static inline struct wr_str model_string(struct wr_rand *r, struct wr_arena *arena)
{
	static const uint32_t bounds[] = {1, 4, 20, 300, 5000};
	uint32_t len = wr_rand_below(r, bounds[wr_rand_below(r, NUMBER_OF(bounds))]);
	char *p = wr_arena_alloc(arena, len + 1);

	for (uint32_t i = 0; i < len; i++)
		p[i] = (char)(wr_rand_below(r, 8) ? 'a' + wr_rand_below(r, 26) : wr_rand_next(r));
	return (struct wr_str){p, len};
}

/* ---- tagged values ---- */

static inline int model_bytes_compare(const struct wr_bytes *a, const struct wr_bytes *b)
{
	size_t shared = a->len < b->len ? a->len : b->len;
	int order = shared ? memcmp(a->data, b->data, shared) : 0;

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* How a key is sorted: records by name, maps by encoded bytes. */
static inline int model_key_compare(const struct wr_value *a, const struct wr_value *b, bool record)
{
	struct wr_bytes x = WR_BYTES_EMPTY, y = WR_BYTES_EMPTY;
	int order;

	if (record) {
		wr_bytes_put(&x, a->str.p, a->str.len);
		wr_bytes_put(&y, b->str.p, b->str.len);
	} else {
		wr_value_put(&x, a);
		wr_value_put(&y, b);
	}
	order = model_bytes_compare(&x, &y);
	wr_bytes_deinit(&x);
	wr_bytes_deinit(&y);
	return order;
}

static inline void model_scalar(struct wr_rand *r, struct wr_arena *arena, struct wr_value *out,
				uint32_t least_tag)
{
	struct wr_str s;

	*out = (struct wr_value){.tag = (enum wr_tag)(least_tag + wr_rand_below(r, WR_V_LIST - least_tag))};
	switch (out->tag) {
	case WR_V_F64:
		out->f64 = model_double(r);
		break;
	case WR_V_I64:
	case WR_V_U64:
		out->u64 = wr_rand_next(r);
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		s = model_string(r, arena);
		out->str.p = wr_arena_strndup(arena, s.p, s.len);
		out->str.len = s.len;
		break;
	default:
		break;
	}
}

static inline void model_key(struct wr_rand *r, struct wr_arena *arena, struct wr_value *out, bool record)
{
	do {
		model_scalar(r, arena, out, WR_V_NULL);
	} while (record ? out->tag != WR_V_STR : out->tag == WR_V_F64 && isnan(out->f64));
}

static inline void model_value(struct wr_rand *r, struct wr_arena *arena, struct wr_value *out,
			       unsigned depth)
{
	uint32_t wanted = wr_rand_below(r, 6), n = 0;

	if (depth == 0 || wr_rand_below(r, 3) == 0) {
		model_scalar(r, arena, out, WR_V_NIL);
		return;
	}
	*out = (struct wr_value){.tag = (enum wr_tag)(WR_V_LIST + wr_rand_below(r, 3))};
	out->items = wr_arena_alloc(arena, 6 * sizeof *out->items);
	out->keys = wr_arena_alloc(arena, 6 * sizeof *out->keys);
	for (uint32_t i = 0; i < wanted; i++) {
		bool record = out->tag == WR_V_RECORD;
		struct wr_value key = {.tag = WR_V_NIL};
		uint32_t at = n;

		if (out->tag != WR_V_LIST) {
			model_key(r, arena, &key, record);
			for (at = 0; at < n && model_key_compare(&out->keys[at], &key, record) < 0; at++)
				;
			if (at < n && model_key_compare(&out->keys[at], &key, record) == 0)
				continue;
		}
		memmove(out->keys + at + 1, out->keys + at, (n - at) * sizeof key);
		memmove(out->items + at + 1, out->items + at, (n - at) * sizeof key);
		out->keys[at] = key;
		model_value(r, arena, &out->items[at], depth - 1);
		n++;
	}
	out->count = n;
}

static inline bool model_value_equal(const struct wr_value *a, const struct wr_value *b)
{
	if (a->tag != b->tag)
		return false;
	switch (a->tag) {
	case WR_V_F64:
	case WR_V_I64:
	case WR_V_U64:
		return a->u64 == b->u64;
	case WR_V_STR:
	case WR_V_BYTES:
		return a->str.len == b->str.len && memcmp(a->str.p, b->str.p, a->str.len) == 0 &&
		       b->str.p[b->str.len] == 0;
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		if (a->count != b->count)
			return false;
		for (uint32_t i = 0; i < a->count; i++)
			if ((a->tag != WR_V_LIST && !model_value_equal(&a->keys[i], &b->keys[i])) ||
			    !model_value_equal(&a->items[i], &b->items[i]))
				return false;
		return true;
	default:
		return true;
	}
}

/* ---- shapes and rows ---- */

/* A shape whose names are drawn from a few, so that shapes repeat, or from many. 0 if names collided. */
static inline uint32_t model_shape(struct wr_rand *r, struct wr_arena *arena, uint32_t fields_max,
				   unsigned depth)
{
	uint32_t count = wr_rand_below(r, fields_max + 1);
	struct wr_field_spec *specs = wr_arena_alloc(arena, (count + 1) * sizeof *specs);

	for (uint32_t i = 0; i < count; i++) {
		char name[16] = {(char)('a' + i % 26), (char)(i / 26), (char)wr_rand_below(r, 3)};
		uint32_t type = 1 + wr_rand_below(r, WR_T_ANY);

		if (type == WR_T_ROW && depth == 0)
			type = WR_T_STR;
		specs[i] = (struct wr_field_spec){wr_arena_strndup(arena, name, 3), i < 26 ? 1 : 3, type, 0};
		if (type == WR_T_ROW)
			specs[i].child = model_shape(r, arena, 5, depth - 1);
	}
	return wr_shape_intern(specs, count, wr_rand_below(r, 2), 0);
}

static inline void model_cells(struct wr_rand *r, struct wr_arena *arena, const struct wr_shape *s,
			       struct wr_cell *cells);

static inline struct wr_str model_tagged(struct wr_rand *r, struct wr_arena *arena, uint32_t type)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_value v;
	struct wr_str s;

	do {
		model_value(r, arena, &v, 3);
	} while ((type == WR_T_LIST && v.tag != WR_V_LIST) || (type == WR_T_MAP && v.tag < WR_V_MAP));
	wr_value_put(&bytes, &v);
	s = (struct wr_str){wr_arena_strndup(arena, (char *)bytes.data, bytes.len), (uint32_t)bytes.len};
	wr_bytes_deinit(&bytes);
	return s;
}

static inline struct wr_str model_nested(struct wr_rand *r, struct wr_arena *arena, uint32_t shape)
{
	const struct wr_shape *s = wr_shape(shape);
	struct wr_cell *cells = wr_arena_alloc(arena, (s->count + 1) * sizeof *cells);
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_str body;

	model_cells(r, arena, s, cells);
	wr_row_put(&bytes, shape, WR_INSERT, 0, cells);
	body.len = (uint32_t)bytes.len - WR_ELEM_HEADER;
	body.p = wr_arena_strndup(arena, (char *)bytes.data + WR_ELEM_HEADER, body.len);
	wr_bytes_deinit(&bytes);
	return body;
}

static inline void model_cells(struct wr_rand *r, struct wr_arena *arena, const struct wr_shape *s,
			       struct wr_cell *cells)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct wr_field *f = &s->fields[i];
		struct wr_cell *c = &cells[i];

		*c = (struct wr_cell){.type = f->type, .child = f->child};
		if (s->nullable && wr_rand_below(r, 4) == 0)
			*c = (struct wr_cell){0};
		else if (f->type == WR_T_BOOL)
			c->u64 = wr_rand_below(r, 2);
		else if (f->type == WR_T_F64)
			c->f64 = model_double(r);
		else if (f->type == WR_T_I64 || f->type == WR_T_U64)
			c->u64 = wr_rand_next(r);
		else if (f->type == WR_T_ROW)
			c->str = model_nested(r, arena, f->child);
		else if (f->type >= WR_T_LIST)
			c->str = model_tagged(r, arena, f->type);
		else if (f->type >= WR_T_STR)
			c->str = model_string(r, arena);
	}
}

static inline bool model_cell_equal(const struct wr_cell *a, const struct wr_cell *b)
{
	if (a->type != b->type || a->child != b->child)
		return false;
	if (a->type >= WR_T_STR)
		return a->str.len == b->str.len &&
		       (a->str.len == 0 || memcmp(a->str.p, b->str.p, a->str.len) == 0);
	return a->type <= WR_T_NULL || a->u64 == b->u64;
}

/* A row of one field, for tests that look at one thing. Heap bytes. */
static inline void model_row1(struct wr_bytes *out, const char *name, struct wr_cell cell)
{
	struct wr_field_spec spec = {name, (uint32_t)strlen(name), cell.type, cell.child};

	wr_row_put(out, wr_shape_intern(&spec, 1, 0, 0), WR_INSERT, WR_TS_NONE, &cell);
}

static inline const struct wr_elem *elem_of(const struct wr_bytes *b)
{
	return (const struct wr_elem *)b->data;
}
