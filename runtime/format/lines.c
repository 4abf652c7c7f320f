/* SPDX-License-Identifier: Apache-2.0 */
/* lines: each line a row { line=, offset=, path= }, without its end (LF or CR LF); offset is
 * the line's first byte in the stream. On the task's thread.
 *
 * The row is written in place, without cells: at a gigabyte a second there are 60 ns for a
 * line. That the bytes are those of wr_row_put is asserted by the unit test.
 */
#include "base/assert.h"
#include "format/format.h"

struct lines {
	uint32_t shape;
	uint32_t fixed; /* bytes of header and slots */
	bool with_path;
};

static struct wr_mem lines_mem = WR_MEM_INIT("format.lines");

static void *lines_make(const struct wr_value *options, bool with_path)
{
	struct wr_field_spec fields[] = {
	    {"line", 4, WR_T_STR, 0}, {"offset", 6, WR_T_F64, 0}, {"path", 4, WR_T_STR, 0}};
	uint32_t count = with_path ? 3 : 2;
	struct lines *f = wr_alloc(&lines_mem, sizeof *f);

	(void)options;
	if (!f)
		return NULL;
	*f = (struct lines){wr_shape_intern(fields, count, 0, 0), WR_ELEM_HEADER + 8 * count, with_path};
	if (f->shape == 0) {
		wr_free(&lines_mem, f);
		return NULL;
	}
	return f;
}

static void lines_begin(void *format)
{
	(void)format;
}

static void lines_free(void *format)
{
	wr_free(&lines_mem, format);
}

static uint64_t string_slot(uint32_t at, uint32_t len)
{
	return (uint64_t)len << 32 | at;
}

static int emit_line(const struct lines *f, struct wr_scan *in, uint32_t len)
{
	uint32_t path_len = f->with_path ? in->path.len : 0;
	uint32_t row_len = (f->fixed + len + path_len + 7) & ~7u;
	uint32_t at = f->fixed - WR_ELEM_HEADER;
	struct wr_elem head = {row_len, f->shape, in->ts};
	double offset = (double)wr_scan_offset(in);
	uint64_t slots[3] = {string_slot(at, len), 0, string_slot(at + len, path_len)};
	uint8_t *to = wr_scan_row(in, row_len);

	if (!to)
		return wr_error_code();
	memset(to + row_len - 8, 0, 8);
	memcpy(&slots[1], &offset, 8);
	memcpy(to, &head, sizeof head);
	memcpy(to + sizeof head, slots, f->fixed - sizeof head);
	memcpy(to + f->fixed, in->p, len);
	if (path_len)
		memcpy(to + f->fixed + len, in->path.p, path_len);
	return WR_OK;
}

static int one_line(void *format, struct wr_scan *in, size_t len)
{
	bool crlf = in->p + len < in->end && len > 0 && in->p[len - 1] == '\r';

	return emit_line(format, in, (uint32_t)(crlf ? len - 1 : len));
}

static int lines_rows(void *format, struct wr_scan *in)
{
	return wr_scan_lines(in, one_line, format);
}

int wr_scan_lines(struct wr_scan *in, int (*each)(void *format, struct wr_scan *in, size_t len), void *format)
{
	int rc = WR_OK;

	while (in->p < in->end && rc == WR_OK) {
		const uint8_t *lf;
		size_t len;

		if (wr_scan_offset(in) >= in->stop)
			return WR_END;
		if (in->budget <= 0)
			return WR_AGAIN;
		lf = memchr(in->p, '\n', (size_t)(in->end - in->p));
		if (!lf && !in->last)
			return WR_OK;
		len = (size_t)((lf ? lf : in->end) - in->p);
		rc = len > in->record_max ? wr_scan_too_long(in, len) : each(format, in, len);
		in->p = lf ? lf + 1 : in->end;
	}
	return rc;
}

const struct wr_format wr_lines_format = {
    .name = "lines", .make = lines_make, .begin = lines_begin, .rows = lines_rows, .free = lines_free};
