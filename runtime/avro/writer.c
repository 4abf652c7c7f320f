/* SPDX-License-Identifier: Apache-2.0 */
/* writer: rows to Avro's binary encoding; see writer.h. */
#include "avro/writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include "avro/binary.h"
#include "avro/decimal.h"
#include "record/field_path.h"
#include "format/value_row.h"

enum { SHOWN_MAX = 40 }; /* bytes */

struct wr_avro_writer {
	struct wr_bytes *out;
	struct wr_arena arena;
	struct wr_bytes text;
	struct wr_field_path at;
};

static struct wr_mem mem = WR_MEM_INIT("avro.writer");

struct wr_avro_writer *wr_avro_writer_new(void)
{
	struct wr_avro_writer *w = wr_zalloc(&mem, sizeof *w);

	if (w)
		wr_arena_init(&w->arena, &mem);
	return w;
}

void wr_avro_writer_free(struct wr_avro_writer *w)
{
	if (!w)
		return;
	wr_arena_deinit(&w->arena);
	wr_bytes_deinit(&w->text);
	wr_free(&mem, w);
}

/* ---- errors ---- */

static int wrong(struct wr_avro_writer *w, const char *why, struct wr_str what)
{
	char path[WR_FIELD_PATH_TEXT];

	if (!wr_field_path_text(&w->at, path)[0])
		return wr_error_set(WR_EUSER, "%s%.*s", why, (int)what.len, what.p ? what.p : "");
	return wr_error_set(WR_EUSER, "field '%s': %s%.*s", path, why, (int)what.len, what.p ? what.p : "");
}

/* "a string is no int" */
static int no_such(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	static const char *const what[] = {
	    [WR_V_NIL] = "nothing",    [WR_V_NULL] = "null",	[WR_V_FALSE] = "a boolean",
	    [WR_V_TRUE] = "a boolean", [WR_V_F64] = "a number", [WR_V_I64] = "a number",
	    [WR_V_U64] = "a number",   [WR_V_STR] = "a string", [WR_V_BYTES] = "a string",
	    [WR_V_LIST] = "a list",    [WR_V_MAP] = "a map",	[WR_V_RECORD] = "a record",
	};
	char text[SHOWN_MAX + 40];

	if (v->tag == WR_V_F64 && t->kind >= WR_AVRO_INT && t->kind <= WR_AVRO_FLOAT)
		snprintf(text, sizeof text, "%.17g is no %s", v->f64, wr_avro_kind_name(t->kind));
	else
		snprintf(text, sizeof text, "%s is no %s", what[v->tag], wr_avro_kind_name(t->kind));
	return wrong(w, text, (struct wr_str){NULL, 0});
}

/* ---- which values a type takes ---- */

static bool is_null(const struct wr_value *v)
{
	return v->tag == WR_V_NULL || v->tag == WR_V_NIL;
}

static bool is_text(const struct wr_value *v)
{
	return v->tag == WR_V_STR || v->tag == WR_V_BYTES;
}

static bool is_number(const struct wr_value *v)
{
	return v->tag == WR_V_F64 || v->tag == WR_V_I64 || v->tag == WR_V_U64;
}

static bool whole(const struct wr_value *v, int64_t *out)
{
	if (v->tag == WR_V_F64) {
		if (!(v->f64 >= -0x1p63 && v->f64 < 0x1p63) || v->f64 != (double)(int64_t)v->f64)
			return false;
		*out = (int64_t)v->f64;
		return true;
	}
	*out = v->i64;
	return v->tag == WR_V_I64 || (v->tag == WR_V_U64 && v->u64 <= INT64_MAX);
}

static bool takes_whole(const struct wr_avro_type *t, const struct wr_value *v)
{
	int64_t n;

	return whole(v, &n) && (t->kind == WR_AVRO_LONG || (n >= INT32_MIN && n <= INT32_MAX));
}

/* A float holds any number but those beyond its range; what it cannot say exactly is rounded, as by a double.
 */
static bool takes_number(const struct wr_avro_type *t, const struct wr_value *v)
{
	return is_number(v) && (t->kind == WR_AVRO_DOUBLE || v->tag != WR_V_F64 || !isfinite(v->f64) ||
				fabs(v->f64) <= FLT_MAX);
}

static int32_t symbol_of(const struct wr_avro_type *t, const struct wr_value *v)
{
	for (uint32_t i = 0; is_text(v) && i < t->count; i++)
		if (wr_avro_same(t->symbols[i], (struct wr_str){v->str.p, v->str.len}))
			return (int32_t)i;
	return -1;
}

static const struct wr_value *member(const struct wr_value *v, struct wr_str name)
{
	uint32_t low = 0, high = v->tag == WR_V_RECORD ? v->count : 0;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2, len = v->keys[middle].str.len;
		uint32_t shared = len < name.len ? len : name.len;
		int order = shared ? memcmp(v->keys[middle].str.p, name.p, shared) : 0;

		if (order == 0 && len == name.len)
			return &v->items[middle];
		if (order < 0 || (order == 0 && len < name.len))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A table without fields may be a list to those who made it. */
static bool is_record(const struct wr_value *v)
{
	return v->tag == WR_V_RECORD || (v->tag == WR_V_LIST && v->count == 0);
}

static bool takes_null(const struct wr_avro_type *t)
{
	for (uint32_t i = 0; t->kind == WR_AVRO_UNION && i < t->count; i++)
		if (t->items[i]->kind == WR_AVRO_NULL)
			return true;
	return t->kind == WR_AVRO_NULL;
}

static bool takes_record(const struct wr_avro_type *t, const struct wr_value *v)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < t->count; i++) {
		if (member(v, t->fields[i].name))
			found++;
		else if (!t->fields[i].fallback.p && !takes_null(t->fields[i].type))
			return false;
	}
	return found == (v->tag == WR_V_RECORD ? v->count : 0);
}

static bool takes(const struct wr_avro_type *t, const struct wr_value *v)
{
	switch (t->kind) {
	case WR_AVRO_NULL:
		return is_null(v);
	case WR_AVRO_BOOLEAN:
		return v->tag == WR_V_TRUE || v->tag == WR_V_FALSE;
	case WR_AVRO_INT:
	case WR_AVRO_LONG:
		return takes_whole(t, v);
	case WR_AVRO_FLOAT:
	case WR_AVRO_DOUBLE:
		return takes_number(t, v);
	case WR_AVRO_BYTES:
		return is_text(v) || (t->decimal && is_number(v));
	case WR_AVRO_STRING:
		return is_text(v);
	case WR_AVRO_FIXED:
		return t->decimal ? is_text(v) || is_number(v) : is_text(v) && v->str.len == t->size;
	case WR_AVRO_ENUM:
		return symbol_of(t, v) >= 0;
	case WR_AVRO_ARRAY:
		return v->tag == WR_V_LIST;
	case WR_AVRO_MAP:
		return is_record(v);
	default:
		return is_record(v) && takes_record(t, v);
	}
}

/* ---- writing ---- */

static int put(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v);

static int put_whole(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	int64_t n;

	if (!takes_whole(t, v) || !whole(v, &n))
		return no_such(w, t, v);
	wr_avro_put_long(w->out, n);
	return WR_OK;
}

static int put_number(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	double n = v->tag == WR_V_F64 ? v->f64 : v->tag == WR_V_I64 ? (double)v->i64 : (double)v->u64;

	if (!takes_number(t, v))
		return no_such(w, t, v);
	if (t->kind == WR_AVRO_FLOAT)
		wr_avro_put_float(w->out, n);
	else
		wr_avro_put_double(w->out, n);
	return WR_OK;
}

static void put_text(struct wr_avro_writer *w, const char *p, size_t len)
{
	wr_avro_put_long(w->out, (int64_t)len);
	wr_bytes_put(w->out, p, len);
}

static int put_decimal(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	struct wr_bytes number = WR_BYTES_EMPTY;
	struct wr_cell cell = {.type = v->tag == WR_V_F64   ? WR_T_F64
				       : v->tag == WR_V_I64 ? WR_T_I64
							    : WR_T_U64,
			       .u64 = v->u64};
	int rc;

	w->text.len = 0;
	if (is_text(v))
		wr_bytes_put(&w->text, v->str.p, v->str.len);
	else
		wr_cell_text(&cell, &w->text);
	if (wr_bytes_status(&w->text) != WR_OK)
		return WR_EFATAL;
	rc = wr_decimal_bytes((const char *)w->text.data, w->text.len, t->precision, t->scale, t->size,
			      &number);
	if (rc == WR_OK)
		rc = wr_bytes_status(&number);
	if (rc == WR_OK && t->kind == WR_AVRO_BYTES)
		wr_avro_put_long(w->out, (int64_t)number.len);
	if (rc == WR_OK)
		wr_bytes_put(w->out, number.data, number.len);
	wr_bytes_deinit(&number);
	if (rc == WR_EUSER) {
		char why[200];

		snprintf(why, sizeof why, "%s", wr_error_text());
		return wrong(w, why, (struct wr_str){NULL, 0});
	}
	return rc;
}

static int put_bytes(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	char why[80];

	if (t->decimal && (is_text(v) || is_number(v)))
		return put_decimal(w, t, v);
	if (!is_text(v))
		return no_such(w, t, v);
	if (t->kind != WR_AVRO_FIXED) {
		put_text(w, v->str.p, v->str.len);
		return WR_OK;
	}
	if (v->str.len == t->size) {
		wr_bytes_put(w->out, v->str.p, v->str.len);
		return WR_OK;
	}
	snprintf(why, sizeof why, "it has %u bytes, and the schema says %u", v->str.len, t->size);
	return wrong(w, why, (struct wr_str){NULL, 0});
}

static int put_enum(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	int32_t i = symbol_of(t, v);

	if (i >= 0) {
		wr_avro_put_long(w->out, i);
		return WR_OK;
	}
	return is_text(v) ? wrong(w, "the enum has no symbol ",
				  (struct wr_str){v->str.p, v->str.len < SHOWN_MAX ? v->str.len : SHOWN_MAX})
			  : no_such(w, t, v);
}

static int put_union(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	const struct wr_avro_type *last = NULL;

	for (uint32_t i = 0; i < t->count; i++) {
		if (takes(t->items[i], v)) {
			wr_avro_put_long(w->out, i);
			return put(w, t->items[i], v);
		}
		if (t->items[i]->kind != WR_AVRO_NULL)
			last = t->items[i];
	}
	/* Of "null or T", T says best what is wrong. */
	return last && t->count <= 2
		   ? put(w, last, v)
		   : wrong(w, "no type of the union takes the value", (struct wr_str){NULL, 0});
}

static int enter(struct wr_avro_writer *w)
{
	return wr_field_path_enter(&w->at) ? WR_OK : wrong(w, "nested too deep", (struct wr_str){NULL, 0});
}

static int put_items(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	bool map = t->kind == WR_AVRO_MAP;
	int rc = WR_OK;

	if (map ? !is_record(v) : v->tag != WR_V_LIST)
		return no_such(w, t, v);
	rc = enter(w);
	if (rc != WR_OK)
		return rc;
	if (v->count)
		wr_avro_put_long(w->out, v->count);
	for (uint32_t i = 0; i < v->count && rc == WR_OK; i++) {
		wr_field_path_last(&w->at)->item = i;
		if (map) {
			wr_field_path_last(&w->at)->name =
			    (struct wr_str){v->keys[i].str.p, v->keys[i].str.len};
			put_text(w, v->keys[i].str.p, v->keys[i].str.len);
		}
		rc = put(w, t->items[0], &v->items[i]);
	}
	wr_avro_put_long(w->out, 0);
	w->at.depth -= rc == WR_OK;
	return rc;
}

static int put_field(struct wr_avro_writer *w, const struct wr_avro_field *f, const struct wr_value *v)
{
	static const struct wr_value nothing = {.tag = WR_V_NIL};

	if (v)
		return put(w, f->type, v);
	if (takes_null(f->type))
		return put(w, f->type, &nothing);
	if (!f->fallback.p)
		return wrong(w, "it is missing, may not be null and has no default",
			     (struct wr_str){NULL, 0});
	wr_bytes_put(w->out, f->fallback.p, f->fallback.len);
	return WR_OK;
}

static int unknown_field(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		bool known = false;

		for (uint32_t k = 0; k < t->count && !known; k++)
			known = wr_avro_same(t->fields[k].name,
					     (struct wr_str){v->keys[i].str.p, v->keys[i].str.len});
		if (!known) {
			w->at.depth--;
			return wrong(w, "the schema has no field ",
				     (struct wr_str){v->keys[i].str.p, v->keys[i].str.len});
		}
	}
	return WR_OK;
}

static int put_record(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	uint32_t found = 0;
	int rc = is_record(v) ? enter(w) : no_such(w, t, v);

	for (uint32_t i = 0; i < t->count && rc == WR_OK; i++) {
		const struct wr_value *item = member(v, t->fields[i].name);

		found += item != NULL;
		wr_field_path_last(&w->at)->name = t->fields[i].name;
		rc = put_field(w, &t->fields[i], item);
	}
	if (rc == WR_OK && v->tag == WR_V_RECORD && found < v->count)
		rc = unknown_field(w, t, v);
	w->at.depth -= rc == WR_OK;
	return rc;
}

static int put(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_value *v)
{
	switch (t->kind) {
	case WR_AVRO_NULL:
		return is_null(v) ? WR_OK : no_such(w, t, v);
	case WR_AVRO_BOOLEAN:
		wr_bytes_put_u8(w->out, v->tag == WR_V_TRUE);
		return takes(t, v) ? WR_OK : no_such(w, t, v);
	case WR_AVRO_INT:
	case WR_AVRO_LONG:
		return put_whole(w, t, v);
	case WR_AVRO_FLOAT:
	case WR_AVRO_DOUBLE:
		return put_number(w, t, v);
	case WR_AVRO_BYTES:
	case WR_AVRO_FIXED:
		return put_bytes(w, t, v);
	case WR_AVRO_STRING:
		if (!is_text(v))
			return no_such(w, t, v);
		put_text(w, v->str.p, v->str.len);
		return WR_OK;
	case WR_AVRO_ENUM:
		return put_enum(w, t, v);
	case WR_AVRO_ARRAY:
	case WR_AVRO_MAP:
		return put_items(w, t, v);
	case WR_AVRO_UNION:
		return put_union(w, t, v);
	default:
		return put_record(w, t, v);
	}
}

int wr_avro_write(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_elem *row,
		  struct wr_bytes *out)
{
	struct wr_value value;
	int rc;

	wr_arena_reset(&w->arena);
	w->out = out;
	w->at.depth = 0;
	rc = wr_value_of_row(row, &w->arena, &value);
	if (rc == WR_OK)
		rc = put(w, t, &value);
	return rc == WR_OK ? wr_bytes_status(out) : rc;
}
