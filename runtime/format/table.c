/* SPDX-License-Identifier: Apache-2.0 */
/* table: rows as aligned columns; see table.h. Pure. */
#include <stdlib.h>
#include "base/error.h"
#include "format/row_text.h"
#include "format/table.h"

static struct wr_mem table_mem = WR_MEM_INIT("format.table");

void wr_table_deinit(struct wr_table *t)
{
	wr_free(&table_mem, t->widths);
	wr_bytes_deinit(&t->cell);
}

/* Characters, not bytes: those of UTF-8 that do not continue one. */
static uint32_t width_of(const uint8_t *p, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += (p[i] & 0xc0) != 0x80;
	return n;
}

/* The cell's text in t->cell, control characters as blanks: a line stays a line. */
static void cell_text(struct wr_table *t, const struct wr_shape *s, const struct wr_elem *row, uint32_t i)
{
	struct wr_cell cell = wr_row_get(s, wr_elem_body(row), i);

	t->cell.len = 0;
	if (cell.type)
		wr_cell_text(&cell, &t->cell);
	for (size_t k = 0; k < t->cell.len; k++)
		if (t->cell.data[k] < ' ' || t->cell.data[k] == 127)
			t->cell.data[k] = ' ';
}

static const char *field_name(const struct wr_shape *s, uint32_t i, size_t *len)
{
	*len = s->scalar ? 5 : s->fields[i].name_len;
	return s->scalar ? "value" : s->fields[i].name;
}

static bool fits(const struct wr_table *t, const struct wr_elem *row)
{
	return wr_elem_shape(row) == t->shape && (t->with_op || wr_elem_kind(row) == WR_INSERT);
}

static void widen(struct wr_table *t, const struct wr_shape *s, const struct wr_elem *row)
{
	for (uint32_t i = s->hidden; i < s->count; i++) {
		uint32_t width;

		cell_text(t, s, row, i);
		width = width_of(t->cell.data, t->cell.len);
		if (width > t->widths[i])
			t->widths[i] = width;
	}
}

static int begin(struct wr_table *t, const struct wr_elem *row)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));

	if (s->count > t->widths_size && WR_GROW(&table_mem, t->widths, t->widths_size, s->count) != WR_OK)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->count; i++) {
		size_t len;
		const char *name = field_name(s, i, &len);

		t->widths[i] = width_of((const uint8_t *)name, len);
	}
	t->shape = s->id;
	t->with_op = wr_elem_kind(row) != WR_INSERT;
	return WR_OK;
}

static void pad(struct wr_bytes *out, uint32_t n, char c)
{
	while (n-- > 0)
		wr_bytes_put_u8(out, (uint8_t)c);
}

static void put_cell(const struct wr_table *t, const struct wr_shape *s, uint32_t i, const void *text,
		     size_t len, struct wr_bytes *out)
{
	uint32_t type = s->fields[i].type, width = width_of(text, len);
	uint32_t blanks = t->widths[i] > width ? t->widths[i] - width : 0;
	bool right = type == WR_T_F64 || type == WR_T_I64 || type == WR_T_U64;

	if (t->with_op || i > s->hidden)
		wr_bytes_put(out, "  ", 2);
	if (right)
		pad(out, blanks, ' ');
	wr_bytes_put(out, text, len);
	if (!right && i + 1 < s->count)
		pad(out, blanks, ' ');
}

static void put_header(const struct wr_table *t, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(t->shape);

	if (t->with_op)
		wr_bytes_put(out, "op", 2);
	for (uint32_t i = s->hidden; i < s->count; i++) {
		size_t len;
		const char *name = field_name(s, i, &len);

		put_cell(t, s, i, name, len, out);
	}
	wr_bytes_put_u8(out, '\n');
	if (t->with_op)
		wr_bytes_put(out, "--", 2);
	for (uint32_t i = s->hidden; i < s->count; i++) {
		if (t->with_op || i > s->hidden)
			wr_bytes_put(out, "  ", 2);
		pad(out, t->widths[i], '-');
	}
	wr_bytes_put_u8(out, '\n');
}

static void put_row(struct wr_table *t, const struct wr_elem *row, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(t->shape);

	if (t->with_op)
		wr_bytes_put(out, wr_kind_sign(wr_elem_kind(row)), 2);
	for (uint32_t i = s->hidden; i < s->count; i++) {
		cell_text(t, s, row, i);
		put_cell(t, s, i, t->cell.data ? t->cell.data : (uint8_t *)"", t->cell.len, out);
	}
	wr_bytes_put_u8(out, '\n');
}

int wr_table_rows(struct wr_table *t, const uint8_t **p, const uint8_t *end, struct wr_bytes *out)
{
	const struct wr_elem *first = (const struct wr_elem *)*p, *row;
	bool fresh = !fits(t, first);
	int rc = fresh ? begin(t, first) : WR_OK;

	if (rc != WR_OK)
		return rc;
	for (row = first; (const uint8_t *)row < end && fits(t, row); row = wr_elem_next(row))
		widen(t, wr_shape(t->shape), row);
	if (fresh && out->len > 0)
		wr_bytes_put_u8(out, '\n');
	if (fresh)
		put_header(t, out);
	for (const struct wr_elem *e = first; e < row; e = wr_elem_next(e))
		put_row(t, e, out);
	*p = (const uint8_t *)row;
	return wr_bytes_status(&t->cell);
}
