/* SPDX-License-Identifier: Apache-2.0 */
/* shape_codec: a shape written down, as bytes for dictionaries and as text for people.
 *
 * The bytes (FORMAT.md) hold children inline, so they mean the same in every process.
 * Reading is strict: one shape has one byte string. Any thread.
 */
#include "base/assert.h"
#include "base/error.h"
#include "record/row.h"
#include "record/shape.h"
#include "record/varint.h"

enum { SHAPE_NULLABLE = 1, SHAPE_SCALAR = 2, FIELD_BYTES_MIN = 2 /* empty name, type */ };

static struct wr_mem codec_mem = WR_MEM_INIT("record.shapes.reading");

void wr_shape_encode(uint32_t id, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(id);

	WR_ASSERT(s);
	wr_bytes_put_u8(out, (s->nullable ? SHAPE_NULLABLE : 0) | (s->scalar ? SHAPE_SCALAR : 0));
	wr_bytes_put_varint(out, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct wr_field *f = &s->fields[i];

		wr_bytes_put_str(out, f->name, f->name_len);
		wr_bytes_put_u8(out, (uint8_t)f->type);
		if (f->type == WR_T_ROW)
			wr_shape_encode(f->child, out);
	}
}

static uint32_t decode(struct wr_reader *r, unsigned depth);

static int decode_field(struct wr_reader *r, struct wr_field_spec *f, const struct wr_field_spec *before,
			unsigned depth)
{
	uint64_t len = wr_read_varint_strict(r);

	f->name = (const char *)wr_read_bytes(r, len);
	f->name_len = (uint32_t)len;
	f->type = wr_read_u8(r);
	f->child = 0;
	if (r->bad)
		return wr_error_set(WR_EUSER, "a shape is cut off or malformed");
	if (before) {
		uint32_t shared = before->name_len < f->name_len ? before->name_len : f->name_len;
		int order = shared ? memcmp(before->name, f->name, shared) : 0;

		if (order > 0 || (order == 0 && before->name_len >= f->name_len))
			return wr_error_set(WR_EUSER, "the fields of a shape are not sorted");
	}
	if (f->type == WR_T_ROW)
		f->child = decode(r, depth + 1);
	return f->type == WR_T_ROW && f->child == 0 ? WR_EUSER : WR_OK;
}

static uint32_t decode_fields(struct wr_reader *r, uint8_t flags, uint32_t count, unsigned depth)
{
	struct wr_field_spec *fields = wr_alloc(&codec_mem, (count + 1) * sizeof *fields);
	int rc = fields ? WR_OK : WR_EFATAL;
	uint32_t id = 0;

	for (uint32_t i = 0; i < count && rc == WR_OK; i++)
		rc = decode_field(r, &fields[i], i > 0 ? &fields[i - 1] : NULL, depth);
	if (rc == WR_OK)
		id = wr_shape_intern(fields, count, flags & SHAPE_NULLABLE, flags & SHAPE_SCALAR);
	wr_free(&codec_mem, fields);
	return id;
}

static uint32_t decode(struct wr_reader *r, unsigned depth)
{
	uint8_t flags = wr_read_u8(r);
	uint64_t count = wr_read_varint_strict(r);
	const char *wrong = NULL;

	if (r->bad || count > (size_t)(r->end - r->p) / FIELD_BYTES_MIN)
		wrong = "is cut off or malformed";
	else if (flags > (SHAPE_NULLABLE | SHAPE_SCALAR))
		wrong = "has flags that this version does not know";
	else if (count > WR_FIELDS_MAX)
		wrong = "has too many fields";
	else if (depth > WR_DEPTH_MAX)
		wrong = "is nested too deep";
	if (wrong) {
		wr_error_set(WR_EUSER, "a shape %s", wrong);
		return 0;
	}
	return decode_fields(r, flags, (uint32_t)count, depth);
}

uint32_t wr_shape_decode(struct wr_reader *r)
{
	return decode(r, 1);
}

static const char *type_name(uint32_t type)
{
	static const char *const names[] = {
	    [WR_T_NULL] = "null",    [WR_T_BOOL] = "boolean", [WR_T_F64] = "number",  [WR_T_I64] = "integer",
	    [WR_T_U64] = "unsigned", [WR_T_STR] = "string",   [WR_T_BYTES] = "bytes", [WR_T_LIST] = "list",
	    [WR_T_MAP] = "map",	     [WR_T_ROW] = "record",   [WR_T_ANY] = "any",
	};

	return names[type];
}

static bool is_identifier(const char *name, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return len > 0;
}

static void describe_field(const struct wr_shape *s, const struct wr_field *f, struct wr_bytes *out)
{
	if (is_identifier(f->name, f->name_len))
		wr_bytes_put(out, f->name, f->name_len);
	else
		wr_json_string(out, f->name, f->name_len);
	wr_bytes_printf(out, "%s: ", s->nullable ? "?" : "");
	if (f->type == WR_T_ROW)
		wr_shape_describe(f->child, out);
	else
		wr_bytes_printf(out, "%s", type_name(f->type));
}

void wr_shape_describe(uint32_t id, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(id);

	WR_ASSERT(s);
	if (s->scalar) {
		wr_bytes_printf(out, "%s", type_name(s->fields[0].type));
		return;
	}
	wr_bytes_put_u8(out, '{');
	for (uint32_t i = 0; i < s->count; i++) {
		if (i > 0)
			wr_bytes_put(out, ", ", 2);
		describe_field(s, &s->fields[i], out);
	}
	wr_bytes_put_u8(out, '}');
}
