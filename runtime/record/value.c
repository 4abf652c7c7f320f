/* SPDX-License-Identifier: Apache-2.0 */
/* value: checking, parsing and writing tagged values. */
#include "record/value.h"

#include "base/assert.h"
#include "base/error.h"
#include "record/row.h"
#include "record/shape.h"

static int bad(const char *what)
{
	return wr_error_set(WR_EUSER, "malformed value: %s", what);
}

static int compare(const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
	int order = memcmp(a, b, an < bn ? an : bn);

	return order ? order : (an > bn) - (an < bn);
}

static int verify(struct wr_reader *r, int depth);

/* Keys of maps and records ascend strictly, so that equal values are equal bytes. */
static int verify_entries(struct wr_reader *r, bool record, int depth)
{
	uint64_t n = wr_read_varint(r);
	const uint8_t *last = NULL;
	size_t last_len = 0;

	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *at = r->p;
		size_t len;

		if (r->bad)
			return bad("ends early");
		if (record) {
			at = (const uint8_t *)wr_read_str(r, &len);
			if (r->bad)
				return bad("ends early");
		} else {
			if (r->p < r->end && (*r->p == WR_V_NIL || *r->p >= WR_V_LIST))
				return bad("a key that is no scalar");
			if (verify(r, depth + 1) != WR_OK)
				return WR_EUSER;
			len = (size_t)(r->p - at);
		}
		if (last && compare(last, last_len, at, len) >= 0)
			return bad("keys are not in order");
		last = at;
		last_len = len;
		if (verify(r, depth + 1) != WR_OK)
			return WR_EUSER;
	}
	return r->bad ? bad("ends early") : WR_OK;
}

static int verify(struct wr_reader *r, int depth)
{
	uint8_t tag = wr_read_u8(r);
	uint64_t n;
	size_t len;

	if (depth > WR_DEPTH_MAX + 1)
		return bad("too deep");
	if (r->bad)
		return bad("ends early");
	switch (tag) {
	case WR_V_NIL:
	case WR_V_NULL:
	case WR_V_FALSE:
	case WR_V_TRUE:
		break;
	case WR_V_F64:
	case WR_V_I64:
	case WR_V_U64:
		wr_read_u64(r);
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		wr_read_str(r, &len);
		break;
	case WR_V_LIST:
		n = wr_read_varint(r);
		if (n > (uint64_t)(r->end - r->p))
			return bad("a list longer than its bytes");
		for (uint64_t i = 0; i < n; i++)
			if (verify(r, depth + 1) != WR_OK)
				return WR_EUSER;
		break;
	case WR_V_MAP:
	case WR_V_RECORD:
		return verify_entries(r, tag == WR_V_RECORD, depth);
	default:
		return bad("unknown tag");
	}
	return r->bad ? bad("ends early") : WR_OK;
}

int wr_value_verify(struct wr_reader *r)
{
	return verify(r, 1);
}

static int parse(struct wr_reader *r, struct wr_arena *a, struct wr_value *out)
{
	uint64_t n, bits;
	size_t len;
	const char *s;

	memset(out, 0, sizeof *out);
	out->tag = (enum wr_tag)wr_read_u8(r);
	switch (out->tag) {
	case WR_V_F64:
	case WR_V_I64:
	case WR_V_U64:
		bits = wr_read_u64(r);
		memcpy(&out->u64, &bits, 8);
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		s = wr_read_str(r, &len);
		out->str.p = wr_arena_strndup(a, s, len);
		out->str.len = (uint32_t)len;
		return out->str.p ? WR_OK : WR_EFATAL;
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		n = wr_read_varint(r);
		out->count = (uint32_t)n;
		out->items = wr_arena_alloc(a, (n + 1) * sizeof *out->items);
		out->keys = out->tag == WR_V_LIST ? NULL : wr_arena_alloc(a, (n + 1) * sizeof *out->keys);
		if (!out->items || (out->tag != WR_V_LIST && !out->keys))
			return WR_EFATAL;
		for (uint64_t i = 0; i < n; i++) {
			if (out->tag == WR_V_RECORD) {
				s = wr_read_str(r, &len);
				out->keys[i] = (struct wr_value){.tag = WR_V_STR};
				out->keys[i].str.p = wr_arena_strndup(a, s, len);
				out->keys[i].str.len = (uint32_t)len;
				if (!out->keys[i].str.p)
					return WR_EFATAL;
			} else if (out->tag == WR_V_MAP && parse(r, a, &out->keys[i]) != WR_OK) {
				return WR_EFATAL;
			}
			if (parse(r, a, &out->items[i]) != WR_OK)
				return WR_EFATAL;
		}
		break;
	default:
		break;
	}
	return WR_OK;
}

int wr_value_parse(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out)
{
	struct wr_reader check = *r;

	if (wr_value_verify(&check) != WR_OK)
		return WR_EUSER;
	return parse(r, arena, out);
}

void wr_value_put(struct wr_bytes *out, const struct wr_value *v)
{
	wr_bytes_put_u8(out, (uint8_t)v->tag);
	switch (v->tag) {
	case WR_V_F64:
	case WR_V_I64:
	case WR_V_U64:
		wr_bytes_put_u64(out, v->u64);
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		wr_bytes_put_str(out, v->str.p, v->str.len);
		break;
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		wr_bytes_put_varint(out, v->count);
		for (uint32_t i = 0; i < v->count; i++) {
			if (v->tag == WR_V_RECORD)
				wr_bytes_put_str(out, v->keys[i].str.p, v->keys[i].str.len);
			else if (v->tag == WR_V_MAP)
				wr_value_put(out, &v->keys[i]);
			wr_value_put(out, &v->items[i]);
		}
		break;
	default:
		break;
	}
}

static void json(struct wr_reader *r, struct wr_bytes *out);

static void json_entries(struct wr_reader *r, bool record, struct wr_bytes *out)
{
	uint64_t n = wr_read_varint(r);

	wr_bytes_put_u8(out, '{');
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		size_t len;

		if (i)
			wr_bytes_put_u8(out, ',');
		if (record || (r->p < r->end && *r->p == WR_V_STR)) {
			const char *s;

			if (!record)
				wr_read_u8(r);
			s = wr_read_str(r, &len);
			if (s)
				wr_json_string(out, s, len);
		} else {
			/* JSON's keys are strings */
			wr_bytes_put_u8(out, '"');
			json(r, out);
			wr_bytes_put_u8(out, '"');
		}
		wr_bytes_put_u8(out, ':');
		json(r, out);
	}
	wr_bytes_put_u8(out, '}');
}

static void json(struct wr_reader *r, struct wr_bytes *out)
{
	uint8_t tag = wr_read_u8(r);
	const char *s;
	uint64_t n;
	size_t len;

	switch (tag) {
	case WR_V_FALSE:
		wr_bytes_put(out, "false", 5);
		break;
	case WR_V_TRUE:
		wr_bytes_put(out, "true", 4);
		break;
	case WR_V_F64:
		wr_json_number(out, wr_read_f64(r));
		break;
	case WR_V_I64:
		wr_bytes_printf(out, "%lld", (long long)wr_read_u64(r));
		break;
	case WR_V_U64:
		wr_bytes_printf(out, "%llu", (unsigned long long)wr_read_u64(r));
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		s = wr_read_str(r, &len);
		if (s)
			wr_json_string(out, s, len);
		break;
	case WR_V_LIST:
		n = wr_read_varint(r);
		wr_bytes_put_u8(out, '[');
		for (uint64_t i = 0; i < n && !r->bad; i++) {
			if (i)
				wr_bytes_put_u8(out, ',');
			json(r, out);
		}
		wr_bytes_put_u8(out, ']');
		break;
	case WR_V_MAP:
	case WR_V_RECORD:
		json_entries(r, tag == WR_V_RECORD, out);
		break;
	default:
		wr_bytes_put(out, "null", 4);
	}
}

void wr_value_json(struct wr_reader *r, struct wr_bytes *out)
{
	json(r, out);
}

const struct wr_value *wr_value_get(const struct wr_value *v, const char *name)
{
	if (!v || v->tag != WR_V_RECORD)
		return NULL;
	for (uint32_t i = 0; i < v->count; i++)
		if (!strcmp(v->keys[i].str.p, name))
			return v->items[i].tag == WR_V_NIL || v->items[i].tag == WR_V_NULL ? NULL
											   : &v->items[i];
	return NULL;
}

const char *wr_value_str(const struct wr_value *v, const char *name, const char *fallback)
{
	const struct wr_value *f = wr_value_get(v, name);

	return f && f->tag == WR_V_STR ? f->str.p : fallback;
}

double wr_value_num(const struct wr_value *v, const char *name, double fallback)
{
	const struct wr_value *f = wr_value_get(v, name);

	if (!f)
		return fallback;
	switch (f->tag) {
	case WR_V_F64:
		return f->f64;
	case WR_V_I64:
		return (double)f->i64;
	case WR_V_U64:
		return (double)f->u64;
	default:
		return fallback;
	}
}

int64_t wr_value_int(const struct wr_value *v, const char *name, int64_t fallback)
{
	const struct wr_value *f = wr_value_get(v, name);

	if (f && f->tag == WR_V_I64)
		return f->i64;
	if (!f || f->tag != WR_V_F64 || !(f->f64 >= -9.2e18 && f->f64 <= 9.2e18))
		return fallback;
	return (int64_t)f->f64;
}

bool wr_value_bool(const struct wr_value *v, const char *name, bool fallback)
{
	const struct wr_value *f = wr_value_get(v, name);

	if (f && f->tag == WR_V_TRUE)
		return true;
	if (f && f->tag == WR_V_FALSE)
		return false;
	return fallback;
}

const struct wr_value *wr_value_list(const struct wr_value *v, const char *name, uint32_t *count)
{
	const struct wr_value *f = wr_value_get(v, name);

	*count = f && f->tag == WR_V_LIST ? f->count : 0;
	return *count ? f->items : NULL;
}

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

void wr_value_put_strn(struct wr_bytes *out, const char *s, size_t len)
{
	wr_bytes_put_u8(out, WR_V_STR);
	wr_bytes_put_str(out, s, len);
}

void wr_value_put_str(struct wr_bytes *out, const char *s)
{
	wr_value_put_strn(out, s, strlen(s));
}

void wr_value_put_num(struct wr_bytes *out, double v)
{
	wr_bytes_put_u8(out, WR_V_F64);
	wr_bytes_put_f64(out, v);
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
