/* SPDX-License-Identifier: Apache-2.0 */
/* row: reading, writing and checking the bytes of records. */
#include "record/row.h"

#include "base/assert.h"
#include "base/error.h"
#include "record/value.h"

static bool has_bytes(uint32_t type)
{
	return type >= WR_T_STR;
}

struct wr_cell wr_row_get(const struct wr_shape *s, const uint8_t *body, uint32_t i)
{
	struct wr_cell c = {.type = 0};

	if (wr_row_missing(s, body, i))
		return c;
	c.type = s->fields[i].type;
	c.child = s->fields[i].child;
	if (has_bytes(c.type))
		c.str = wr_row_str(s, body, i);
	else
		c.u64 = wr_row_slot(s, body, i);
	return c;
}

uint32_t wr_row_len(const struct wr_shape *s, const struct wr_cell *cells)
{
	uint32_t at = s->fixed_len;

	for (uint32_t i = 0; i < s->count; i++) {
		if (!cells[i].type || !has_bytes(s->fields[i].type))
			continue;
		if (s->fields[i].type == WR_T_ROW)
			at = (at + 7) & ~7u;
		at += cells[i].str.len;
	}
	return WR_ELEM_HEADER + ((at + 7) & ~7u);
}

void wr_row_write(uint8_t *to, uint32_t len, const struct wr_shape *s, enum wr_kind kind, int64_t ts,
		  const struct wr_cell *cells)
{
	struct wr_elem *e = (struct wr_elem *)to;
	uint8_t *body = to + WR_ELEM_HEADER;
	uint32_t at = s->fixed_len;

	e->len = len;
	e->tag = s->id | (uint32_t)kind << 24;
	e->ts = ts;
	memset(body, 0, s->slots_at);
	if (len > WR_ELEM_HEADER)
		memset(to + len - 8, 0, 8); /* the padding is zero */
	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t slot = 0;

		if (!cells[i].type) {
			WR_ASSERT(s->nullable);
			((uint64_t *)body)[i >> 6] |= 1ULL << (i & 63);
		} else if (has_bytes(s->fields[i].type)) {
			if (s->fields[i].type == WR_T_ROW) {
				memset(body + at, 0, ((at + 7) & ~7u) - at);
				at = (at + 7) & ~7u;
			}
			slot = at | (uint64_t)cells[i].str.len << 32;
			if (cells[i].str.len)
				memcpy(body + at, cells[i].str.p, cells[i].str.len);
			at += cells[i].str.len;
		} else if (s->fields[i].type != WR_T_NULL) {
			slot = cells[i].u64;
		}
		memcpy(body + s->slots_at + 8 * (size_t)i, &slot, 8);
	}
}

void wr_row_put(struct wr_bytes *out, uint32_t id, enum wr_kind kind, int64_t ts,
		const struct wr_cell *cells)
{
	const struct wr_shape *s = wr_shape(id);
	uint32_t len = wr_row_len(s, cells);
	uint8_t *to = wr_bytes_room(out, len);

	if (!to)
		return;
	wr_row_write(to, len, s, kind, ts, cells);
	out->len += len;
}

static int verify(const struct wr_shape *s, const uint8_t *body, size_t len, int depth)
{
	if (depth > WR_DEPTH_MAX)
		return wr_error_set(WR_EUSER, "malformed row: too deep");
	if (len < s->fixed_len || len % 8)
		return wr_error_set(WR_EUSER, "malformed row: %zu bytes for %u fields", len, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct wr_field *f = &s->fields[i];
		struct wr_cell c = wr_row_get(s, body, i);
		struct wr_reader r;
		int rc = WR_OK;

		if (!c.type || (!has_bytes(f->type) && f->type != WR_T_BOOL))
			continue;
		if (f->type == WR_T_BOOL) {
			if (c.u64 > 1)
				return wr_error_set(WR_EUSER, "malformed row: boolean '%s'", f->name);
			continue;
		}
		uint64_t slot = wr_row_slot(s, body, i), at = (uint32_t)slot, n = slot >> 32;

		if (at < s->fixed_len || at > len || n > len - at)
			return wr_error_set(WR_EUSER, "malformed row: field '%s' lies outside", f->name);
		if (f->type == WR_T_ROW) {
			if (at % 8)
				return wr_error_set(WR_EUSER, "malformed row: field '%s' is not aligned", f->name);
			rc = verify(wr_shape(f->child), body + at, n, depth + 1);
		} else if (f->type >= WR_T_LIST) {
			r = wr_reader_of(body + at, n);
			rc = wr_value_verify(&r);
			if (rc == WR_OK && r.p != r.end)
				rc = wr_error_set(WR_EUSER, "malformed value: bytes behind it");
		}
		if (rc != WR_OK)
			return wr_error_wrap(rc, "field '%s'", f->name);
	}
	return WR_OK;
}

int wr_row_verify(const struct wr_shape *s, const uint8_t *body, size_t len)
{
	return verify(s, body, len, 1);
}
