/* SPDX-License-Identifier: Apache-2.0 */
/* csv_writer: rows as comma-separated values; see csv_writer.h. Pure. */
#include "base/arena.h"
#include "base/error.h"
#include "format/csv_writer.h"

struct wr_csv_writer {
	const struct wr_value *columns_wanted;
	bool header;
	char separator, quote;

	struct wr_str *columns; /* NULL before the first row */
	uint32_t count;
	uint32_t shape;	 /* for which `fields` holds, 0 = none */
	int32_t *fields; /* by column: field of the shape, or -1 */
	struct wr_arena kept;
	struct wr_bytes cell;
};

static struct wr_mem csv_mem = WR_MEM_INIT("format.csv_writer");

static char character(const struct wr_value *options, const char *name, char otherwise)
{
	const struct wr_value *v = wr_value_get(options, name);

	return v && v->tag == WR_V_STR && v->str.len == 1 ? v->str.p[0] : otherwise;
}

struct wr_csv_writer *wr_csv_writer_new(const struct wr_value *options)
{
	const struct wr_value *o = wr_value_get(options, "csv");
	struct wr_csv_writer *w = wr_zalloc(&csv_mem, sizeof *w);

	if (!w)
		return NULL;
	wr_arena_init(&w->kept, &csv_mem);
	w->columns_wanted = wr_value_get(o, "columns");
	w->header = wr_value_bool(o, "header", true);
	w->separator = character(o, "separator", ',');
	w->quote = character(o, "quote", '"');
	return w;
}

void wr_csv_writer_free(struct wr_csv_writer *w)
{
	if (!w)
		return;
	wr_arena_deinit(&w->kept);
	wr_bytes_deinit(&w->cell);
	wr_free(&csv_mem, w);
}

/* Shapes are never freed, so their names may be kept. */
static int make_columns(struct wr_csv_writer *w, const struct wr_shape *s)
{
	const struct wr_value *wanted = w->columns_wanted;
	uint32_t count = wanted ? wanted->count : s->count - s->hidden;

	w->columns = wr_arena_alloc(&w->kept, (count + 1ull) * sizeof *w->columns);
	w->fields = wr_arena_alloc(&w->kept, (count + 1ull) * sizeof *w->fields);
	if (!w->columns || !w->fields)
		return WR_EFATAL;
	for (uint32_t i = 0; i < count; i++) {
		const struct wr_field *f = wanted ? NULL : &s->fields[s->hidden + i];

		w->columns[i] = wanted ? (struct wr_str){wanted->items[i].str.p, wanted->items[i].str.len}
				       : (struct wr_str){f->name, f->name_len};
	}
	w->count = count;
	return WR_OK;
}

/* Where each column is in rows of this shape. */
static int fit(struct wr_csv_writer *w, const struct wr_shape *s)
{
	uint32_t found = 0;

	w->shape = 0;
	for (uint32_t i = 0; i < w->count; i++) {
		w->fields[i] = wr_shape_find(s, w->columns[i].p, w->columns[i].len);
		found += w->fields[i] >= 0;
	}
	if (found < s->count - s->hidden)
		return wr_error_set(WR_EUSER, "the record has fields that are no columns");
	w->shape = s->id;
	return WR_OK;
}

static void put_text(const struct wr_csv_writer *w, const char *p, size_t len, struct wr_bytes *out)
{
	bool quoted = memchr(p, w->quote, len) || memchr(p, w->separator, len) || memchr(p, '\n', len) ||
		      memchr(p, '\r', len);

	if (!quoted) {
		wr_bytes_put(out, p, len);
		return;
	}
	wr_bytes_put_u8(out, (uint8_t)w->quote);
	for (size_t i = 0; i < len; i++) {
		if (p[i] == w->quote)
			wr_bytes_put_u8(out, (uint8_t)w->quote);
		wr_bytes_put_u8(out, (uint8_t)p[i]);
	}
	wr_bytes_put_u8(out, (uint8_t)w->quote);
}

/* A line of one column that is empty, which readers would pass over. */
static void put_empty(const struct wr_csv_writer *w, struct wr_bytes *out)
{
	wr_bytes_put_u8(out, (uint8_t)w->quote);
	wr_bytes_put_u8(out, (uint8_t)w->quote);
}

static void put_header(const struct wr_csv_writer *w, struct wr_bytes *out)
{
	for (uint32_t i = 0; i < w->count; i++) {
		const struct wr_str *name = &w->columns[i];

		if (i > 0)
			wr_bytes_put_u8(out, (uint8_t)w->separator);
		put_text(w, name->len ? name->p : "value", name->len ? name->len : 5, out);
	}
	wr_bytes_put_u8(out, '\n');
}

int wr_csv_writer_fits(struct wr_csv_writer *w, const struct wr_elem *row)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	int rc = w->columns ? WR_OK : make_columns(w, s);

	return rc == WR_OK && w->shape != s->id ? fit(w, s) : rc;
}

void wr_csv_writer_goes_on(struct wr_csv_writer *w)
{
	w->header = false;
}

int wr_csv_writer_row(struct wr_csv_writer *w, const struct wr_elem *row, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	int rc = wr_csv_writer_fits(w, row);

	if (w->columns && w->header)
		put_header(w, out);
	w->header &= !w->columns;
	if (rc != WR_OK)
		return rc;
	for (uint32_t i = 0; i < w->count; i++) {
		struct wr_cell cell = {0};

		w->cell.len = 0;
		if (w->fields[i] >= 0)
			cell = wr_row_get(s, wr_elem_body(row), (uint32_t)w->fields[i]);
		if (cell.type && cell.type != WR_T_NULL)
			wr_cell_text(&cell, &w->cell);
		if (i > 0)
			wr_bytes_put_u8(out, (uint8_t)w->separator);
		if (w->cell.len > 0)
			put_text(w, (const char *)w->cell.data, w->cell.len, out);
		else if (w->count == 1)
			put_empty(w, out);
	}
	wr_bytes_put_u8(out, '\n');
	return wr_bytes_status(&w->cell);
}
