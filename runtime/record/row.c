/* SPDX-License-Identifier: Apache-2.0 */
/* row: reading, writing and checking the bytes of rows; see row.h and FORMAT.md.
 *
 * One record of one shape has one byte string: variable parts lie back to back in field
 * order, gaps and padding are zero. So rows can be compared as bytes, a snapshot of the
 * same state has the same bytes, and the check of a row from outside is linear in its
 * length, because no two fields can share bytes.
 */
#include "base/assert.h"
#include "base/error.h"
#include "record/number.h"
#include "record/row.h"
#include "record/value.h"

static inline uint64_t align8(uint64_t n)
{
	return (n + 7) & ~(uint64_t)7;
}
/* Does the slot hold offset and length? */
static inline bool is_variable(uint32_t type)
{
	return type >= WR_T_STR;
}

struct wr_cell wr_row_get(const struct wr_shape *s, const uint8_t *body, uint32_t i)
{
	struct wr_cell cell = {0};

	if (wr_row_missing(s, body, i))
		return cell;
	cell.type = s->fields[i].type;
	cell.child = s->fields[i].child;
	if (is_variable(cell.type))
		cell.str = wr_row_str(s, body, i);
	else
		cell.u64 = wr_row_slot(s, body, i);
	return cell;
}

uint32_t wr_row_len(const struct wr_shape *s, const struct wr_cell *cells)
{
	uint64_t len = s->fixed_len;

	for (uint32_t i = 0; i < s->count; i++) {
		if (!is_variable(cells[i].type))
			continue;
		if (cells[i].type == WR_T_ROW)
			len = align8(len);
		len += cells[i].str.len;
	}
	len = WR_ELEM_HEADER + align8(len);
	if (len > WR_ROW_MAX) {
		wr_error_set(WR_EUSER, "a record of %llu bytes is larger than the limit of %d",
			     (unsigned long long)len, WR_ROW_MAX);
		return 0;
	}
	return (uint32_t)len;
}

static void zero(uint8_t *body, uint32_t from, uint32_t to)
{
	if (to > from)
		memset(body + from, 0, to - from);
}

static uint32_t write_variable(uint8_t *body, uint32_t at, const struct wr_cell *cell, uint64_t *slot)
{
	uint32_t start = cell->type == WR_T_ROW ? (uint32_t)align8(at) : at;

	zero(body, at, start);
	if (cell->str.len > 0)
		memcpy(body + start, cell->str.p, cell->str.len);
	*slot = start | (uint64_t)cell->str.len << 32;
	return start + cell->str.len;
}

static inline uint64_t fixed_slot(const struct wr_cell *cell)
{
	if (cell->type == WR_T_F64)
		return wr_number_bits(cell->u64);
	if (cell->type == WR_T_BOOL)
		return cell->u64 != 0;
	return cell->type == WR_T_NULL ? 0 : cell->u64;
}

void wr_row_write(uint8_t *to, uint32_t len, const struct wr_shape *s, enum wr_kind kind, int64_t ts,
		  const struct wr_cell *cells)
{
	struct wr_elem header = {.len = len, .tag = s->id | (uint32_t)kind << 24, .ts = ts};
	uint8_t *body = to + WR_ELEM_HEADER;
	uint32_t at = s->fixed_len;

	memset(to + len - 8, 0, 8); /* the padding, and what is written over it below */
	memcpy(to, &header, sizeof header);
	zero(body, 0, s->slots_at);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct wr_cell *cell = &cells[i];
		uint64_t slot = 0;

		WR_ASSERT(cell->type == s->fields[i].type || (cell->type == 0 && s->nullable));
		if (cell->type == 0)
			body[i >> 3] |= (uint8_t)(1u << (i & 7));
		else if (is_variable(cell->type))
			at = write_variable(body, at, cell, &slot);
		else
			slot = fixed_slot(cell);
		memcpy(body + s->slots_at + 8 * (size_t)i, &slot, 8);
	}
	WR_ASSERT(align8(at) == len - WR_ELEM_HEADER);
}

void wr_row_put(struct wr_bytes *out, uint32_t id, enum wr_kind kind, int64_t ts, const struct wr_cell *cells)
{
	const struct wr_shape *s = wr_shape(id);
	uint32_t len;
	uint8_t *to;

	WR_ASSERT(s);
	len = wr_row_len(s, cells);
	if (len == 0)
		out->failed = true;
	to = wr_bytes_room(out, len);
	if (!to)
		return;
	wr_row_write(to, len, s, kind, ts, cells);
	out->len += len;
}

/* ---- checking ---- */

/* Where the check stands: one shape and field a level. */
struct trail {
	struct step {
		const struct wr_shape *shape;
		uint32_t field;
	} steps[WR_DEPTH_MAX + 1];
	uint32_t depth;
};

/* The way to the field as "user.id", made printable; ends early when it is long. */
static void trail_text(const struct trail *trail, char *text, size_t size)
{
	size_t n = 0;

	for (uint32_t d = 0; d < trail->depth; d++) {
		const struct wr_field *f = &trail->steps[d].shape->fields[trail->steps[d].field];

		if (d > 0 && n + 1 < size)
			text[n++] = '.';
		for (uint32_t i = 0; i < f->name_len && n + 1 < size; i++)
			text[n++] = f->name[i] >= ' ' && f->name[i] < 127 ? f->name[i] : '?';
	}
	text[n] = 0;
}

static int refuse(const struct trail *trail, const char *why)
{
	char path[200];

	trail_text(trail, path, sizeof path);
	return wr_error_set(WR_EUSER, "row: field '%s' %s", path, why);
}

static int verify_body(struct trail *trail, const struct wr_shape *s, const uint8_t *body, size_t len);

static bool all_zero(const uint8_t *p, size_t from, size_t to)
{
	while (from < to)
		if (p[from++] != 0)
			return false;
	return true;
}

static int verify_value(const struct trail *trail, uint32_t type, const uint8_t *p, size_t len)
{
	struct wr_reader r = wr_reader_of(p, len);
	int rc = wr_value_verify(&r);

	if (rc != WR_OK) {
		char path[200];

		trail_text(trail, path, sizeof path);
		return wr_error_wrap(rc, "row: field '%s'", path);
	}
	if (r.p != r.end)
		return refuse(trail, "has bytes behind its value");
	if ((type == WR_T_LIST && p[0] != WR_V_LIST) ||
	    (type == WR_T_MAP && p[0] != WR_V_MAP && p[0] != WR_V_RECORD))
		return refuse(trail, "holds a value of another type than its shape says");
	return WR_OK;
}

/* `at`: the end of what the fields before hold. */
static int verify_variable(struct trail *trail, const struct wr_field *f, uint64_t slot, const uint8_t *body,
			   size_t len, size_t *at)
{
	size_t start = f->type == WR_T_ROW ? align8(*at) : *at, size = slot >> 32;
	const uint8_t *p = body + start;

	if ((uint32_t)slot != start || start > len || size > len - start)
		return refuse(trail, "does not lie where it should, or leaves the row");
	if (!all_zero(body, *at, start))
		return refuse(trail, "has padding that is not zero");
	*at = start + size;
	switch (f->type) {
	case WR_T_ROW:
		return verify_body(trail, wr_shape(f->child), p, size);
	case WR_T_LIST:
	case WR_T_MAP:
	case WR_T_ANY:
		return verify_value(trail, f->type, p, size);
	default:
		return WR_OK;
	}
}

static int verify_field(struct trail *trail, const struct wr_shape *s, uint32_t i, const uint8_t *body,
			size_t len, size_t *at)
{
	const struct wr_field *f = &s->fields[i];
	uint64_t slot = wr_row_slot(s, body, i);

	if (s->nullable && (body[i >> 3] >> (i & 7) & 1))
		return slot == 0 ? WR_OK : refuse(trail, "is missing and has a value");
	if (is_variable(f->type))
		return verify_variable(trail, f, slot, body, len, at);
	if ((f->type == WR_T_NULL && slot != 0) || (f->type == WR_T_BOOL && slot > 1) ||
	    (f->type == WR_T_F64 && !wr_number_ok(slot)))
		return refuse(trail, "holds a value that its type does not have");
	return WR_OK;
}

static bool bitmap_ends(const struct wr_shape *s, const uint8_t *body)
{
	uint32_t used = s->count % 64;
	uint64_t last;

	if (!s->nullable || used == 0)
		return true;
	memcpy(&last, body + s->slots_at - 8, 8);
	return last >> used == 0;
}

static int verify_body(struct trail *trail, const struct wr_shape *s, const uint8_t *body, size_t len)
{
	size_t at = s->fixed_len;
	struct step *step = &trail->steps[trail->depth];
	int rc = WR_OK;

	if (len < s->fixed_len || len % WR_ELEM_ALIGN != 0)
		return refuse(trail, "is cut off");
	if (!bitmap_ends(s, body))
		return refuse(trail, "says that fields are missing which it does not have");
	WR_ASSERT(trail->depth <= WR_DEPTH_MAX);
	trail->depth++;
	step->shape = s;
	for (uint32_t i = 0; i < s->count && rc == WR_OK; i++) {
		step->field = i;
		rc = verify_field(trail, s, i, body, len, &at);
	}
	trail->depth--;
	if (rc == WR_OK && (align8(at) != len || !all_zero(body, at, len)))
		return refuse(trail, "has bytes behind its fields");
	return rc;
}

int wr_row_verify(const struct wr_shape *s, const uint8_t *body, size_t len)
{
	struct trail trail;

	trail.depth = 0;
	return verify_body(&trail, s, body, len);
}
