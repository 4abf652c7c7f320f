/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: a field by name or path, in any row and any tagged value; see row.h.
 *
 * The one definition of what a path means. Callers on hot paths remember per shape where
 * a field lies and come here for what they could not remember.
 */
#include "base/assert.h"
#include "record/row.h"
#include "record/value.h"

static const struct wr_cell nothing;

struct wr_cell wr_cell_of_value(struct wr_str bytes)
{
	struct wr_reader r = wr_reader_of(bytes.p, bytes.len);
	struct wr_cell cell = {0};
	size_t len;

	switch (wr_read_u8(&r)) {
	case WR_V_NULL:
		cell.type = WR_T_NULL;
		break;
	case WR_V_FALSE:
	case WR_V_TRUE:
		cell.type = WR_T_BOOL;
		cell.u64 = (uint8_t)bytes.p[0] == WR_V_TRUE;
		break;
	case WR_V_F64:
		cell.type = WR_T_F64;
		cell.f64 = wr_read_f64(&r);
		break;
	case WR_V_I64:
	case WR_V_U64:
		cell.type = (uint8_t)bytes.p[0] == WR_V_I64 ? WR_T_I64 : WR_T_U64;
		cell.u64 = wr_read_u64(&r);
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		cell.type = (uint8_t)bytes.p[0] == WR_V_STR ? WR_T_STR : WR_T_BYTES;
		cell.str.p = wr_read_str(&r, &len);
		cell.str.len = (uint32_t)len;
		break;
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		cell.type = (uint8_t)bytes.p[0] == WR_V_LIST ? WR_T_LIST : WR_T_MAP;
		cell.str = bytes;
		break;
	}
	return cell;
}

/* Where the dot behind `from` is, or the end. */
static uint32_t dot_behind(const char *name, uint32_t len, uint32_t from)
{
	const char *dot = from < len ? memchr(name + from, '.', len - from) : NULL;

	return dot ? (uint32_t)(dot - name) : len;
}

/* The member called name, whatever it holds; its bytes. */
static bool member(struct wr_str value, const char *name, uint32_t name_len, struct wr_str *out)
{
	struct wr_reader r = wr_reader_of(value.p, value.len);
	uint8_t tag = wr_read_u8(&r);
	uint64_t count = tag == WR_V_MAP || tag == WR_V_RECORD ? wr_read_varint(&r) : 0;

	for (uint64_t i = 0; i < count && !r.bad; i++) {
		bool named = tag == WR_V_RECORD || *r.p == WR_V_STR;
		const char *key = NULL;
		const uint8_t *start;
		size_t len = 0;

		if (tag == WR_V_MAP && named)
			wr_read_u8(&r);
		if (named)
			key = wr_read_str(&r, &len);
		else
			wr_value_verify(&r);
		start = r.p;
		wr_value_verify(&r);
		if (named && len == name_len && (len == 0 || memcmp(key, name, len) == 0)) {
			*out = (struct wr_str){(const char *)start, (uint32_t)(r.p - start)};
			return true;
		}
	}
	return false;
}

static struct wr_cell lookup_value(struct wr_str value, const char *name, uint32_t len)
{
	struct wr_str found;
	struct wr_cell cell = nothing;

	if (member(value, name, len, &found))
		cell = wr_cell_of_value(found);
	for (uint32_t dot = dot_behind(name, len, 0); dot < len && cell.type == 0;
	     dot = dot_behind(name, len, dot + 1))
		if (member(value, name, dot, &found))
			cell = lookup_value(found, name + dot + 1, len - dot - 1);
	return cell;
}

static struct wr_cell lookup_row(const struct wr_shape *s, const uint8_t *body, const char *name,
				 uint32_t len);

static struct wr_cell lookup_cell(const struct wr_cell *cell, const char *name, uint32_t len)
{
	switch (cell->type) {
	case WR_T_ROW:
		return lookup_row(wr_shape(cell->child), (const uint8_t *)cell->str.p, name, len);
	case WR_T_LIST:
	case WR_T_MAP:
	case WR_T_ANY:
		return lookup_value(cell->str, name, len);
	default:
		return nothing;
	}
}

static struct wr_cell field(const struct wr_shape *s, const uint8_t *body, const char *name, uint32_t len)
{
	int32_t i = wr_shape_find(s, name, len);
	struct wr_cell cell = i >= 0 ? wr_row_get(s, body, (uint32_t)i) : nothing;

	return cell.type == WR_T_ANY ? wr_cell_of_value(cell.str) : cell;
}

static struct wr_cell lookup_row(const struct wr_shape *s, const uint8_t *body, const char *name,
				 uint32_t len)
{
	struct wr_cell cell = field(s, body, name, len);

	for (uint32_t dot = dot_behind(name, len, 0); dot < len && cell.type == 0;
	     dot = dot_behind(name, len, dot + 1)) {
		struct wr_cell outer = field(s, body, name, dot);

		cell = lookup_cell(&outer, name + dot + 1, len - dot - 1);
	}
	return cell;
}

struct wr_cell wr_row_lookup(const struct wr_elem *row, const char *name, uint32_t len)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	struct wr_cell cell;

	WR_ASSERT(s);
	if (!s->scalar)
		return lookup_row(s, wr_elem_body(row), name, len);
	cell = field(s, wr_elem_body(row), "", 0);
	if (cell.type == WR_T_LIST || cell.type == WR_T_MAP)
		return lookup_value(cell.str, name, len);
	return len == 0 ? cell : nothing;
}
