/* SPDX-License-Identifier: Apache-2.0 */
/* value: checking, parsing and writing tagged values; see value.h and FORMAT.md.
 *
 * Reading is strict: a value has one byte string (shortest varints, sorted keys, none
 * twice). Nesting is bounded by WR_DEPTH_MAX, so recursion is.
 */
#include <inttypes.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/number.h"
#include "record/shape.h"
#include "record/value.h"
#include "record/varint.h"

static int malformed(const char *what)
{
	return wr_error_set(WR_EUSER, "tagged value: %s", what);
}

/* Is [a, a_end) < [b, b_end) bytewise? */
static bool ascends(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t shared = a_len < b_len ? a_len : b_len;
	int order = shared ? memcmp(a, b, shared) : 0;

	return order < 0 || (order == 0 && a_len < b_len);
}

static const uint8_t *read_string(struct wr_reader *r, size_t *len)
{
	*len = (size_t)wr_read_varint_strict(r);
	return wr_read_bytes(r, *len);
}

static int verify(struct wr_reader *r, unsigned depth);

static int verify_list(struct wr_reader *r, uint64_t count, unsigned depth)
{
	int rc = WR_OK;

	for (uint64_t i = 0; i < count && rc == WR_OK; i++)
		rc = verify(r, depth);
	return rc;
}

static int verify_map_key(struct wr_reader *r)
{
	uint8_t tag = r->p < r->end ? *r->p : 0;
	struct wr_reader peek = *r;

	if (tag == WR_V_NIL || tag > WR_V_BYTES)
		return malformed("a key of a map is no scalar");
	if (tag == WR_V_F64) {
		double v;

		wr_read_u8(&peek);
		v = wr_read_f64(&peek);
		if (v != v)
			return malformed("a key of a map is NaN");
	}
	return verify(r, 0);
}

static int verify_map(struct wr_reader *r, uint64_t count, unsigned depth)
{
	const uint8_t *before = NULL;
	size_t before_len = 0;
	int rc = WR_OK;

	for (uint64_t i = 0; i < count && rc == WR_OK; i++) {
		const uint8_t *key = r->p;

		rc = verify_map_key(r);
		if (rc == WR_OK && i > 0 && !ascends(before, before_len, key, (size_t)(r->p - key)))
			return malformed("the keys of a map are not sorted");
		before = key;
		before_len = (size_t)(r->p - key);
		if (rc == WR_OK)
			rc = verify(r, depth);
	}
	return rc;
}

static int verify_record(struct wr_reader *r, uint64_t count, unsigned depth)
{
	const uint8_t *before = NULL;
	size_t before_len = 0;
	int rc = WR_OK;

	for (uint64_t i = 0; i < count && rc == WR_OK; i++) {
		size_t len;
		const uint8_t *name = read_string(r, &len);

		if (!name)
			return malformed("a name is cut off");
		if (i > 0 && !ascends(before, before_len, name, len))
			return malformed("the fields of a record are not sorted");
		before = name;
		before_len = len;
		rc = verify(r, depth);
	}
	return rc;
}

/* The number of members, each of which takes at least `least` bytes. */
static bool read_count(struct wr_reader *r, unsigned least, uint64_t *count)
{
	*count = wr_read_varint_strict(r);
	return !r->bad && *count <= (size_t)(r->end - r->p) / least;
}

static int verify_container(struct wr_reader *r, uint8_t tag, unsigned depth)
{
	uint64_t count;

	if (depth >= WR_DEPTH_MAX)
		return malformed("nested too deep");
	if (!read_count(r, tag == WR_V_LIST ? 1 : 2, &count))
		return malformed("more members than bytes");
	if (tag == WR_V_LIST)
		return verify_list(r, count, depth + 1);
	return tag == WR_V_MAP ? verify_map(r, count, depth + 1) : verify_record(r, count, depth + 1);
}

static int verify(struct wr_reader *r, unsigned depth)
{
	uint8_t tag = wr_read_u8(r);
	size_t len;

	if (r->bad)
		return malformed("cut off");
	switch (tag) {
	case WR_V_NIL:
	case WR_V_NULL:
	case WR_V_FALSE:
	case WR_V_TRUE:
		return WR_OK;
	case WR_V_F64:
		if (!wr_number_ok(wr_read_u64(r)))
			return malformed("a NaN that is none of ours");
		return r->bad ? malformed("a number is cut off") : WR_OK;
	case WR_V_I64:
	case WR_V_U64:
		return wr_read_bytes(r, 8) ? WR_OK : malformed("a number is cut off");
	case WR_V_STR:
	case WR_V_BYTES:
		return read_string(r, &len) ? WR_OK : malformed("a string is cut off");
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		return verify_container(r, tag, depth);
	default:
		return malformed("a tag that this version does not know");
	}
}

int wr_value_verify(struct wr_reader *r)
{
	return verify(r, 0);
}

/* ---- parsing: the bytes were verified, so only the heap can fail ---- */

static int parse(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out);

static int parse_string(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out)
{
	size_t len;
	const char *s = wr_read_str(r, &len);

	out->str.len = (uint32_t)len;
	out->str.p = wr_arena_strndup(arena, s, len);
	return out->str.p ? WR_OK : WR_EFATAL;
}

static int parse_members(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out)
{
	bool keyed = out->tag != WR_V_LIST;
	int rc = WR_OK;

	out->count = (uint32_t)wr_read_varint(r);
	out->items = wr_arena_alloc(arena, (out->count + 1) * sizeof *out->items);
	if (out->items && keyed)
		out->keys = wr_arena_alloc(arena, (out->count + 1) * sizeof *out->keys);
	if (!out->items || (keyed && !out->keys))
		return WR_EFATAL;
	for (uint32_t i = 0; i < out->count && rc == WR_OK; i++) {
		if (out->tag == WR_V_RECORD) {
			out->keys[i] = (struct wr_value){.tag = WR_V_STR};
			rc = parse_string(r, arena, &out->keys[i]);
		} else if (keyed) {
			rc = parse(r, arena, &out->keys[i]);
		}
		if (rc == WR_OK)
			rc = parse(r, arena, &out->items[i]);
	}
	return rc;
}

static int parse(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out)
{
	*out = (struct wr_value){.tag = (enum wr_tag)wr_read_u8(r)};
	switch (out->tag) {
	case WR_V_F64:
	case WR_V_I64:
	case WR_V_U64:
		out->u64 = wr_read_u64(r);
		return WR_OK;
	case WR_V_STR:
	case WR_V_BYTES:
		return parse_string(r, arena, out);
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		return parse_members(r, arena, out);
	default:
		return WR_OK;
	}
}

int wr_value_parse(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out)
{
	struct wr_reader check = *r;
	int rc = wr_value_verify(&check);

	return rc == WR_OK ? parse(r, arena, out) : rc;
}

void wr_value_put(struct wr_bytes *out, const struct wr_value *v)
{
	wr_bytes_put_u8(out, (uint8_t)v->tag);
	switch (v->tag) {
	case WR_V_F64:
		wr_bytes_put_u64(out, wr_number_bits(v->u64));
		return;
	case WR_V_I64:
	case WR_V_U64:
		wr_bytes_put_u64(out, v->u64);
		return;
	case WR_V_STR:
	case WR_V_BYTES:
		wr_bytes_put_str(out, v->str.p, v->str.len);
		return;
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		wr_bytes_put_varint(out, v->count);
		break;
	default:
		return;
	}
	for (uint32_t i = 0; i < v->count; i++) {
		if (v->tag == WR_V_RECORD)
			wr_bytes_put_str(out, v->keys[i].str.p, v->keys[i].str.len);
		else if (v->tag == WR_V_MAP)
			wr_value_put(out, &v->keys[i]);
		wr_value_put(out, &v->items[i]);
	}
}

/* ---- reading trees ---- */

const struct wr_value *wr_value_get(const struct wr_value *v, const char *name)
{
	size_t len = strlen(name);

	if (!v || v->tag != WR_V_RECORD)
		return NULL;
	for (uint32_t i = 0; i < v->count; i++)
		if (v->keys[i].str.len == len && memcmp(v->keys[i].str.p, name, len) == 0)
			return v->items[i].tag == WR_V_NIL ? NULL : &v->items[i];
	return NULL;
}

const char *wr_value_str(const struct wr_value *v, const char *name, const char *fallback)
{
	const struct wr_value *field = wr_value_get(v, name);

	WR_ASSERT(!field || field->tag == WR_V_STR || field->tag == WR_V_BYTES);
	return field ? field->str.p : fallback;
}

double wr_value_num(const struct wr_value *v, const char *name, double fallback)
{
	const struct wr_value *field = wr_value_get(v, name);

	if (!field)
		return fallback;
	WR_ASSERT(field->tag == WR_V_F64 || field->tag == WR_V_I64 || field->tag == WR_V_U64);
	if (field->tag == WR_V_F64)
		return field->f64;
	return field->tag == WR_V_I64 ? (double)field->i64 : (double)field->u64;
}

int64_t wr_value_int(const struct wr_value *v, const char *name, int64_t fallback)
{
	const struct wr_value *field = wr_value_get(v, name);

	if (!field)
		return fallback;
	if (field->tag == WR_V_F64) {
		WR_ASSERT(field->f64 >= -0x1p63 && field->f64 < 0x1p63);
		return (int64_t)field->f64;
	}
	WR_ASSERT(field->tag == WR_V_I64 || (field->tag == WR_V_U64 && field->u64 <= INT64_MAX));
	return field->i64;
}

bool wr_value_bool(const struct wr_value *v, const char *name, bool fallback)
{
	const struct wr_value *field = wr_value_get(v, name);

	WR_ASSERT(!field || field->tag == WR_V_TRUE || field->tag == WR_V_FALSE);
	return field ? field->tag == WR_V_TRUE : fallback;
}

const struct wr_value *wr_value_list(const struct wr_value *v, const char *name, uint32_t *count)
{
	const struct wr_value *field = wr_value_get(v, name);

	WR_ASSERT(!field || field->tag == WR_V_LIST);
	*count = field ? field->count : 0;
	return field ? field->items : NULL;
}

/* ---- writing without a tree ---- */

void wr_value_put_record(struct wr_bytes *out, uint32_t fields)
{
	wr_bytes_put_u8(out, WR_V_RECORD);
	wr_bytes_put_varint(out, fields);
}

void wr_value_put_name(struct wr_bytes *out, const char *name)
{
	wr_bytes_put_str(out, name, strlen(name));
}

void wr_value_put_list(struct wr_bytes *out, uint32_t count)
{
	wr_bytes_put_u8(out, WR_V_LIST);
	wr_bytes_put_varint(out, count);
}

void wr_value_put_str(struct wr_bytes *out, const char *s)
{
	wr_value_put_strn(out, s, strlen(s));
}

void wr_value_put_strn(struct wr_bytes *out, const char *s, size_t len)
{
	wr_bytes_put_u8(out, WR_V_STR);
	wr_bytes_put_str(out, s, len);
}

void wr_value_put_num(struct wr_bytes *out, double v)
{
	struct wr_value number = {.tag = WR_V_F64, .f64 = v};

	wr_value_put(out, &number);
}

void wr_value_put_i64(struct wr_bytes *out, int64_t v)
{
	wr_bytes_put_u8(out, WR_V_I64);
	wr_bytes_put_u64(out, (uint64_t)v);
}

void wr_value_put_bool(struct wr_bytes *out, bool v)
{
	wr_bytes_put_u8(out, v ? WR_V_TRUE : WR_V_FALSE);
}

void wr_value_put_nil(struct wr_bytes *out)
{
	wr_bytes_put_u8(out, WR_V_NIL);
}
