/* SPDX-License-Identifier: Apache-2.0 */
/* csv: comma-separated values (RFC 4180): each record a row with a field per column. On the
 * task's thread.
 *
 * Its options: { header = true, separator = ",", quote = "\"", columns = [names],
 * types = { column = "number" | "integer" | "boolean" | "string" } } (types may also stand
 * beside csv). Columns are named by `columns`, else by the header, else c1, c2, …. A quoted
 * field may hold separators, line ends and, doubled, quotes. An empty field of a column that
 * is not a string is missing. Empty lines are passed over. A record with another number of
 * fields, text behind a closing quote or a field that is not of its type is a bad row. So is a header with a
 * CR in a name: that of a file whose lines end with CR alone, which would be all of one line; or with a byte
 * 0: that of UTF-16.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/assert.h"
#include "format/csv.h"
#include "format/format.h"

struct csv {
	const struct wr_value *columns; /* from the options, or NULL */
	const struct wr_value *types;
	bool header;
	uint8_t separator, quote;

	/* of the stream at hand */
	bool started;	 /* the first record was seen */
	bool unreadable; /* its header makes no columns */
	const struct wr_shape *shape;
	uint32_t count;
	uint32_t *slots; /* column → field of the shape; in `kept`, as `column_types` */
	uint32_t *column_types;
	struct wr_arena kept;

	/* of the record at hand */
	struct wr_str *fields;
	uint32_t field_count, fields_size;
	struct wr_cell *cells;
	struct wr_arena row; /* unquoted text */
	const char *wrong;   /* what is wrong with it, or NULL */
	char text[160];
};

static struct wr_mem csv_mem = WR_MEM_INIT("format.csv");
static const char not_closed[] = "a quoted field is not closed";

static uint8_t option_byte(const struct wr_value *o, const char *name, uint8_t fallback)
{
	const struct wr_value *v = wr_value_get(o, name);

	return v && v->tag == WR_V_STR && v->str.len == 1 ? (uint8_t)v->str.p[0] : fallback;
}

static void *csv_make(const struct wr_value *options, bool with_path)
{
	const struct wr_value *o = wr_value_get(options, "csv");
	struct csv *f = wr_zalloc(&csv_mem, sizeof *f);

	(void)with_path;
	if (!f)
		return NULL;
	f->columns = wr_value_get(o, "columns");
	f->types = wr_value_get(o, "types");
	if (!f->types)
		f->types = wr_value_get(options, "types");
	f->header = wr_value_bool(o, "header", true);
	f->separator = option_byte(o, "separator", ',');
	f->quote = option_byte(o, "quote", '"');
	wr_arena_init(&f->kept, &csv_mem);
	wr_arena_init(&f->row, &csv_mem);
	return f;
}

static void csv_free(void *format)
{
	struct csv *f = format;

	wr_arena_deinit(&f->kept);
	wr_arena_deinit(&f->row);
	wr_free(&csv_mem, f->fields);
	wr_free(&csv_mem, f);
}

static void csv_begin(void *format)
{
	struct csv *f = format;

	f->started = f->unreadable = false;
	f->shape = NULL;
	wr_arena_reset(&f->kept);
}

/* ---- records ---- */

static int add_field(struct csv *f, const char *p, size_t len)
{
	if (f->field_count == f->fields_size && WR_GROW(&csv_mem, f->fields, f->fields_size, 32) != WR_OK)
		return WR_EFATAL;
	f->fields[f->field_count++] = (struct wr_str){p, (uint32_t)len};
	return WR_OK;
}

/* A quoted field's text with its doubled quotes made single. */
static int add_quoted(struct csv *f, const uint8_t *p, const uint8_t *end, bool doubled)
{
	char *text, *to;

	if (!doubled)
		return add_field(f, (const char *)p, (size_t)(end - p));
	text = to = wr_arena_alloc(&f->row, (size_t)(end - p));
	if (!text)
		return WR_EFATAL;
	for (; p < end; p++) {
		*to++ = (char)*p;
		p += *p == f->quote;
	}
	return add_field(f, text, (size_t)(to - text));
}

/* The closing quote of the field whose text begins at p; NULL: not before end. */
static const uint8_t *closing_quote(const struct csv *f, const uint8_t *p, const uint8_t *end, bool *doubled)
{
	*doubled = false;
	while ((p = memchr(p, f->quote, (size_t)(end - p)))) {
		if (p + 1 == end || p[1] != f->quote)
			return p;
		*doubled = true;
		p += 2;
	}
	return NULL;
}

static const uint8_t *field_end(const struct csv *f, const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p != f->separator && *p != '\n')
		p++;
	return p;
}

/* Takes one field at p. *next: behind the field, at a separator, an LF or the end; NULL: the record goes on
 * behind `end`. */
static int take_field(struct csv *f, const uint8_t *p, const uint8_t *end, bool last, const uint8_t **next)
{
	const uint8_t *stop, *text;
	bool doubled;

	*next = NULL;
	if (p == end || *p != f->quote) {
		stop = field_end(f, p, end);
		if (stop == end && !last)
			return WR_OK;
		*next = stop;
		if (stop > p && stop[-1] == '\r' && stop < end && *stop == '\n')
			stop--;
		return add_field(f, (const char *)p, (size_t)(stop - p));
	}
	text = p + 1;
	stop = closing_quote(f, text, end, &doubled);
	if (!last &&
	    (!stop || stop + 2 >= end)) /* whether a second quote or CR LF follows is not known yet */
		return WR_OK;
	if (!stop) {
		f->wrong = not_closed;
		*next = end;
		return WR_OK;
	}
	p = stop + 1;
	if (p + 1 < end && *p == '\r' && p[1] == '\n')
		p++;
	*next = field_end(f, p, end);
	if (*next == end && !last) {
		*next = NULL;
		return WR_OK;
	}
	if (*next != p)
		f->wrong = "text follows a closing quote";
	return add_quoted(f, text, stop, doubled);
}

/* Takes one record at p. *next: behind its line end, or NULL: more bytes are needed. */
static int take_record(struct csv *f, const uint8_t *p, const uint8_t *end, bool last, const uint8_t **next)
{
	f->field_count = 0;
	f->wrong = NULL;
	wr_arena_reset(&f->row);
	for (;;) {
		int rc = take_field(f, p, end, last, next);

		if (rc != WR_OK || !*next)
			return rc;
		p = *next;
		if (p == end)
			return WR_OK;
		*next = ++p;
		if (p[-1] == '\n')
			return WR_OK;
	}
}

/* ---- columns ---- */

static uint32_t column_type(const struct csv *f, const char *name)
{
	const char *type = wr_value_str(f->types, name, "string");

	if (strcmp(type, "number") == 0)
		return WR_T_F64;
	if (strcmp(type, "integer") == 0)
		return WR_T_I64;
	return strcmp(type, "boolean") == 0 ? WR_T_BOOL : WR_T_STR;
}

static const char *column_name(struct csv *f, uint32_t i)
{
	char name[16];

	if (f->columns)
		return wr_arena_strndup(&f->kept, f->columns->items[i].str.p, f->columns->items[i].str.len);
	if (f->header)
		return wr_arena_strndup(&f->kept, f->fields[i].len ? f->fields[i].p : "", f->fields[i].len);
	snprintf(name, sizeof name, "c%u", i + 1);
	return wr_arena_strndup(&f->kept, name, strlen(name));
}

/* From the first record of a stream. WR_EUSER: it makes no columns. */
static int make_columns(struct csv *f)
{
	uint32_t count = f->columns ? f->columns->count : f->field_count;
	struct wr_field_spec *specs = wr_arena_alloc(&f->kept, (count + 1ull) * sizeof *specs);
	const char **names = wr_arena_alloc(&f->kept, (count + 1ull) * sizeof *names);
	uint32_t id, typed = 0;

	f->slots = wr_arena_alloc(&f->kept, (count + 1ull) * sizeof *f->slots);
	f->column_types = wr_arena_alloc(&f->kept, (count + 1ull) * sizeof *f->column_types);
	f->cells = wr_arena_alloc(&f->kept, (count + 1ull) * sizeof *f->cells);
	if (!specs || !names || !f->slots || !f->column_types || !f->cells)
		return WR_EFATAL;
	for (uint32_t i = 0; i < count; i++) {
		names[i] = column_name(f, i);
		if (!names[i])
			return WR_EFATAL;
		if (names[i][0] == '\x01')
			return wr_error_set(WR_EUSER, "a column's name may not begin with the byte 1");
		if (!f->columns && f->header && strlen(names[i]) < f->fields[i].len)
			return wr_error_set(
			    WR_EUSER,
			    "the header has a byte 0 in the name of column %u: the text must be UTF-8",
			    i + 1);
		if (!f->columns && strchr(names[i], '\r'))
			return wr_error_set(WR_EUSER,
					    "the header has a CR in the name of column %u: lines must end "
					    "with LF or CR LF",
					    i + 1);
		f->column_types[i] = column_type(f, names[i]);
		typed += f->column_types[i] != WR_T_STR;
		specs[i] =
		    (struct wr_field_spec){names[i], (uint32_t)strlen(names[i]), f->column_types[i], 0};
	}
	id = wr_shape_intern(specs, count, typed > 0, 0);
	if (id == 0)
		return wr_error_code();
	f->shape = wr_shape(id);
	f->count = count;
	for (uint32_t i = 0; i < count; i++)
		f->slots[i] = (uint32_t)wr_shape_find(f->shape, names[i], (uint32_t)strlen(names[i]));
	return WR_OK;
}

/* ---- rows ---- */

static bool to_number(const struct wr_str *s, double *out)
{
	char copy[64], *end;

	if (s->len >= sizeof copy)
		return false;
	memcpy(copy, s->p, s->len);
	copy[s->len] = 0;
	if (strspn(copy, "0123456789+-.eE") != s->len)
		return false;
	*out = strtod(copy, &end);
	return end == copy + s->len && *out - *out == 0;
}

static bool to_integer(const struct wr_str *s, int64_t *out)
{
	uint64_t v = 0;
	uint32_t i = s->p[0] == '-' || s->p[0] == '+', first = i;

	for (; i < s->len; i++) {
		unsigned digit = (unsigned)((uint8_t)s->p[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (i == first || v > (uint64_t)INT64_MAX + (s->p[0] == '-'))
		return false;
	*out = s->p[0] == '-' ? (int64_t)-v : (int64_t)v;
	return true;
}

static bool to_boolean(const struct wr_str *s, uint64_t *out)
{
	*out = s->len == 4 && memcmp(s->p, "true", 4) == 0;
	return *out || (s->len == 5 && memcmp(s->p, "false", 5) == 0);
}

static bool to_cell(const struct wr_str *s, uint32_t type, struct wr_cell *cell)
{
	*cell = (struct wr_cell){.type = type};
	if (type == WR_T_STR) {
		cell->str = *s;
		return true;
	}
	if (s->len == 0) {
		cell->type = 0;
		return true;
	}
	if (type == WR_T_F64)
		return to_number(s, &cell->f64);
	return type == WR_T_I64 ? to_integer(s, &cell->i64) : to_boolean(s, &cell->u64);
}

static bool make_cells(struct csv *f)
{
	if (f->wrong)
		return false;
	if (f->field_count != f->count) {
		snprintf(f->text, sizeof f->text, "%u fields, where there are %u columns", f->field_count,
			 f->count);
		f->wrong = f->text;
		return false;
	}
	for (uint32_t i = 0; i < f->count; i++) {
		if (to_cell(&f->fields[i], f->column_types[i], &f->cells[f->slots[i]]))
			continue;
		snprintf(f->text, sizeof f->text, "column %u ('%.60s') is no %s", i + 1,
			 f->shape->fields[f->slots[i]].name,
			 f->column_types[i] == WR_T_F64	  ? "number"
			 : f->column_types[i] == WR_T_I64 ? "integer"
							  : "boolean");
		f->wrong = f->text;
		return false;
	}
	return true;
}

static int emit_record(struct csv *f, struct wr_scan *in, size_t len)
{
	uint32_t row_len;
	uint8_t *to;

	if (!make_cells(f))
		return wr_scan_bad(in, len, f->wrong);
	row_len = wr_row_len(f->shape, f->cells);
	to = row_len ? wr_scan_row(in, row_len) : NULL;
	if (!to)
		return wr_error_code();
	wr_row_write(to, row_len, f->shape, WR_INSERT, in->ts, f->cells);
	return WR_OK;
}

/* The first record of a stream names the columns, or is data already (*is_data). */
static int start(struct csv *f, struct wr_scan *in, size_t len, bool *is_data)
{
	int rc = f->wrong ? wr_error_set(WR_EUSER, "%s", f->wrong) : make_columns(f);

	*is_data = !f->header;
	f->started = true;
	if (rc != WR_EUSER)
		return rc;
	f->unreadable = true;
	return wr_scan_bad(in, len, wr_error_text());
}

static int handle_record(struct csv *f, struct wr_scan *in, size_t len)
{
	bool is_data = true;
	int rc = WR_OK;

	if (len > in->record_max)
		return wr_scan_too_long(in, len);
	if (!f->started)
		rc = start(f, in, len, &is_data);
	return rc == WR_OK && is_data && !f->unreadable ? emit_record(f, in, len) : rc;
}

/* A quote that is never closed, or far away, spoils its line, not all that follows. */
static const uint8_t *behind_line(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));

	return lf ? lf + 1 : end;
}

static size_t line_end_len(const uint8_t *p, const uint8_t *next)
{
	if (next == p || next[-1] != '\n')
		return 0;
	return next - p >= 2 && next[-2] == '\r' ? 2 : 1;
}

static int csv_rows(void *format, struct wr_scan *in)
{
	struct csv *f = format;
	int rc = WR_OK;

	if (!f->started && wr_scan_offset(in) == 0 && in->end - in->p >= 3 &&
	    memcmp(in->p, "\xef\xbb\xbf", 3) == 0)
		in->p += 3;
	while (in->p < in->end && rc == WR_OK && !f->unreadable) {
		const uint8_t *next;
		size_t len;

		if (in->budget <= 0)
			return WR_AGAIN;
		rc = take_record(f, in->p, in->end, in->last, &next);
		if (rc != WR_OK || !next)
			return rc;
		len = (size_t)(next - in->p) - line_end_len(in->p, next);
		if (f->wrong == not_closed || len > in->record_max)
			next = behind_line(in->p, in->end);
		if (len > 0)
			rc = handle_record(f, in, len);
		in->p = next;
	}
	return rc == WR_OK && f->unreadable ? WR_END : rc;
}

/* The names of the columns. */
static void csv_save(const void *format, struct wr_bytes *out)
{
	const struct csv *f = format;

	wr_value_put_list(out, f->shape ? f->count : 0);
	for (uint32_t i = 0; f->shape && i < f->count; i++)
		wr_value_put_str(out, f->shape->fields[f->slots[i]].name);
}

static int csv_resume(void *format, const struct wr_value *saved)
{
	struct csv *f = format;
	bool header = f->header;
	int rc = saved->tag == WR_V_LIST ? WR_OK : WR_EUSER;

	if (rc == WR_OK && saved->count == 0)
		return WR_OK;
	f->field_count = 0;
	for (uint32_t i = 0; i < saved->count && rc == WR_OK; i++)
		rc = saved->items[i].tag == WR_V_STR
			 ? add_field(f, saved->items[i].str.p, saved->items[i].str.len)
			 : WR_EUSER;
	if (rc == WR_EUSER)
		return wr_error_set(WR_EUSER, "the saved columns are malformed");
	f->header = f->started = true;
	if (rc == WR_OK)
		rc = make_columns(f);
	f->header = header;
	return rc;
}

int wr_csv_record(void *format, const uint8_t *p, size_t len, const struct wr_shape **shape,
		  const struct wr_cell **cells, const char **wrong)
{
	struct csv *f = format;
	const uint8_t *next;
	int rc = take_record(f, p, p + len, true, &next);

	WR_ASSERT(f->columns);
	if (rc == WR_OK && !f->shape)
		rc = make_columns(f);
	if (rc != WR_OK)
		return rc;
	if (!f->wrong && next != p + len)
		f->wrong = "more than one line";
	if (!make_cells(f)) {
		*wrong = f->wrong;
		return WR_EUSER;
	}
	*shape = f->shape;
	*cells = f->cells;
	return WR_OK;
}

const struct wr_format wr_csv_format = {.name = "csv",
					.make = csv_make,
					.begin = csv_begin,
					.rows = csv_rows,
					.save = csv_save,
					.resume = csv_resume,
					.free = csv_free};
