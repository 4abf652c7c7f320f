/* SPDX-License-Identifier: Apache-2.0 */
/* fallback: defaults of fields; see fallback.h. Bytes stand in JSON as characters from U+0000 to U+00FF. */
#include "avro/fallback.h"

#include "avro/binary.h"

enum {
	BYTES_MAX = 1 << 20,
	VALUES_MAX =
	    1 << 16, /* with defaults in defaults they may double with each level, and have no bytes */
};

/* A default that is being written. */
struct draft {
	struct wr_bytes out;
	uint32_t values, depth;
};

static int put(struct draft *d, const struct wr_avro_type *t, const struct wr_node *n);

static bool whole(const struct wr_node *n, int64_t *out)
{
	if (n->type == WR_T_I64 || (n->type == WR_T_F64 && n->f64 >= -0x1p53 && n->f64 <= 0x1p53 &&
				    n->f64 == (double)(int64_t)n->f64)) {
		*out = n->type == WR_T_I64 ? n->i64 : (int64_t)n->f64;
		return true;
	}
	return false;
}

static int no_such(const struct wr_avro_type *t)
{
	return wr_error_set(WR_EUSER, "the default is no %s", wr_avro_kind_name(t->kind));
}

static int put_whole(struct wr_bytes *out, const struct wr_avro_type *t, const struct wr_node *n)
{
	int64_t v;

	if (!whole(n, &v) || (t->kind == WR_AVRO_INT && (v < INT32_MIN || v > INT32_MAX)))
		return no_such(t);
	wr_avro_put_long(out, v);
	return WR_OK;
}

static int put_number(struct wr_bytes *out, const struct wr_avro_type *t, const struct wr_node *n)
{
	double v = n->type == WR_T_F64 ? n->f64 : n->type == WR_T_I64 ? (double)n->i64 : (double)n->u64;

	if (n->type != WR_T_F64 && n->type != WR_T_I64 && n->type != WR_T_U64)
		return no_such(t);
	if (t->kind == WR_AVRO_FLOAT)
		wr_avro_put_float(out, v);
	else
		wr_avro_put_double(out, v);
	return WR_OK;
}

/* Characters up to U+00FF, each a byte; false: there is another. */
static bool put_chars(struct wr_bytes *out, const struct wr_node *n)
{
	const uint8_t *p = (const uint8_t *)n->str, *end = p + n->len;

	while (p < end) {
		if (*p < 0x80) {
			wr_bytes_put_u8(out, *p++);
		} else if ((*p == 0xc2 || *p == 0xc3) && end - p > 1) {
			wr_bytes_put_u8(out, (uint8_t)((*p & 3) << 6 | (p[1] & 0x3f)));
			p += 2;
		} else {
			return false;
		}
	}
	return true;
}

static int put_bytes(struct wr_bytes *out, const struct wr_avro_type *t, const struct wr_node *n)
{
	struct wr_bytes chars = WR_BYTES_EMPTY;
	int rc = n->type == WR_T_STR && put_chars(&chars, n) ? wr_bytes_status(&chars) : no_such(t);

	if (rc == WR_OK && t->kind == WR_AVRO_FIXED && chars.len != t->size)
		rc = wr_error_set(WR_EUSER, "the default has %zu bytes, not %u", chars.len, t->size);
	if (rc == WR_OK && t->kind == WR_AVRO_BYTES)
		wr_avro_put_long(out, (int64_t)chars.len);
	if (rc == WR_OK && chars.len)
		wr_bytes_put(out, chars.data, chars.len);
	wr_bytes_deinit(&chars);
	return rc;
}

static int put_text(struct wr_bytes *out, const struct wr_avro_type *t, const struct wr_node *n)
{
	if (n->type != WR_T_STR)
		return no_such(t);
	if (t->kind == WR_AVRO_STRING) {
		wr_avro_put_long(out, n->len);
		wr_bytes_put(out, n->str, n->len);
		return WR_OK;
	}
	for (uint32_t i = 0; i < t->count; i++) {
		if (wr_avro_same(t->symbols[i], (struct wr_str){n->str, n->len})) {
			wr_avro_put_long(out, i);
			return WR_OK;
		}
	}
	return wr_error_set(WR_EUSER, "the default is none of the symbols");
}

static int put_items(struct draft *d, const struct wr_avro_type *t, const struct wr_node *n)
{
	const struct wr_node *m = n + 1;
	int rc = WR_OK;

	if (n->type != (t->kind == WR_AVRO_ARRAY ? WR_T_LIST : WR_T_ROW))
		return no_such(t);
	if (n->len)
		wr_avro_put_long(&d->out, n->len);
	for (uint32_t i = 0; i < n->len && rc == WR_OK; i++, m = wr_node_skip(m)) {
		if (t->kind == WR_AVRO_MAP) {
			wr_avro_put_long(&d->out, m->key_len);
			wr_bytes_put(&d->out, m->key, m->key_len);
		}
		rc = put(d, t->items[0], m);
	}
	wr_avro_put_long(&d->out, 0);
	return rc;
}

/* The first type that takes it, as the specification has it since 1.12; before, it was the first of all. */
static int put_union(struct draft *d, const struct wr_avro_type *t, const struct wr_node *n)
{
	size_t before = d->out.len;
	int rc = WR_EUSER;

	for (uint32_t i = 0; i < t->count && rc == WR_EUSER; i++) {
		d->out.len = before;
		wr_avro_put_long(&d->out, i);
		rc = put(d, t->items[i], n);
	}
	return rc == WR_EUSER ? wr_error_set(WR_EUSER, "the default is of none of the union's types") : rc;
}

static int put_record(struct draft *d, const struct wr_avro_type *t, const struct wr_node *n)
{
	int rc = n->type == WR_T_ROW ? WR_OK : no_such(t);

	for (uint32_t i = 0; i < t->count && rc == WR_OK; i++) {
		const struct wr_avro_field *f = &t->fields[i];
		const struct wr_node *value = f->fallback_json, *m = n + 1;

		for (uint32_t k = 0; k < n->len; k++, m = wr_node_skip(m))
			if (wr_avro_same((struct wr_str){m->key, m->key_len}, f->name))
				value = m;
		rc = value ? put(d, f->type, value)
			   : wr_error_set(WR_EUSER, "the default lacks the field '%.*s'", (int)f->name.len,
					  f->name.p);
	}
	return rc;
}

static int put_kind(struct draft *d, const struct wr_avro_type *t, const struct wr_node *n)
{
	struct wr_bytes *out = &d->out;

	switch (t->kind) {
	case WR_AVRO_NULL:
		return n->type == WR_T_NULL ? WR_OK : no_such(t);
	case WR_AVRO_BOOLEAN:
		wr_bytes_put_u8(out, n->u64 != 0);
		return n->type == WR_T_BOOL ? WR_OK : no_such(t);
	case WR_AVRO_INT:
	case WR_AVRO_LONG:
		return put_whole(out, t, n);
	case WR_AVRO_FLOAT:
	case WR_AVRO_DOUBLE:
		return put_number(out, t, n);
	case WR_AVRO_BYTES:
	case WR_AVRO_FIXED:
		return put_bytes(out, t, n);
	case WR_AVRO_STRING:
	case WR_AVRO_ENUM:
		return put_text(out, t, n);
	case WR_AVRO_ARRAY:
	case WR_AVRO_MAP:
		return put_items(d, t, n);
	case WR_AVRO_UNION:
		return put_union(d, t, n);
	default:
		return put_record(d, t, n);
	}
}

static int put(struct draft *d, const struct wr_avro_type *t, const struct wr_node *n)
{
	int rc;

	if (d->depth > WR_DEPTH_MAX || d->out.len > BYTES_MAX || d->values == VALUES_MAX)
		return wr_error_set(WR_EUSER, "the default is nested too deep or too large");
	d->values++;
	d->depth++;
	rc = put_kind(d, t, n);
	d->depth--;
	return rc;
}

int wr_avro_fallback(struct wr_avro_field *field, struct wr_arena *arena)
{
	struct draft d = {.out = WR_BYTES_EMPTY};
	int rc = put(&d, field->type, field->fallback_json);
	char *copy = NULL;

	if (rc == WR_OK)
		rc = wr_bytes_status(&d.out);
	if (rc == WR_OK) {
		copy = wr_arena_strndup(arena, d.out.len ? (const char *)d.out.data : "", d.out.len);
		rc = copy ? WR_OK : WR_EFATAL;
	}
	if (rc == WR_OK)
		field->fallback = (struct wr_str){copy, (uint32_t)d.out.len};
	wr_bytes_deinit(&d.out);
	return rc == WR_EUSER ? wr_error_wrap(rc, "field '%.*s'", (int)field->name.len, field->name.p) : rc;
}
