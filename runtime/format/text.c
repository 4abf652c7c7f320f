/* SPDX-License-Identifier: Apache-2.0 */
/* text: a whole file as one row { path=, text= }. On the task's thread. */
#include "base/assert.h"
#include "format/format.h"

struct text {
	uint32_t shape;
	bool with_path;
	bool done; /* an empty file is a row too: it has no bytes to tell by */
};

static struct wr_mem text_mem = WR_MEM_INIT("format.text");

static void *text_make(const struct wr_value *options, bool with_path)
{
	struct wr_field_spec fields[] = {{"text", 4, WR_T_STR, 0}, {"path", 4, WR_T_STR, 0}};
	struct text *f = wr_alloc(&text_mem, sizeof *f);

	(void)options;
	if (!f)
		return NULL;
	*f = (struct text){.shape = wr_shape_intern(fields, with_path ? 2 : 1, 0, 0), .with_path = with_path};
	if (f->shape)
		return f;
	wr_free(&text_mem, f);
	return NULL;
}

static void text_begin(void *format)
{
	((struct text *)format)->done = false;
}

static int text_rows(void *format, struct wr_scan *in)
{
	struct text *f = format;
	const struct wr_shape *s = wr_shape(f->shape);
	size_t size = (size_t)(in->end - in->p);
	struct wr_cell cells[2] = {{.type = WR_T_STR, .str = in->path}};
	uint32_t len;
	uint8_t *to;

	if (!in->last || f->done)
		return WR_OK;
	f->done = true;
	if (size > in->record_max)
		return wr_scan_too_long(in, size);
	cells[f->with_path ? 1 : 0] =
	    (struct wr_cell){.type = WR_T_STR, .str = {(const char *)in->p, (uint32_t)size}};
	len = wr_row_len(s, cells);
	to = len ? wr_scan_row(in, len) : NULL;
	if (!to)
		return wr_error_code();
	wr_row_write(to, len, s, WR_INSERT, WR_TS_NONE, cells);
	in->p = in->end;
	return WR_OK;
}

static void text_free(void *format)
{
	wr_free(&text_mem, format);
}

const struct wr_format wr_text_format_whole = {"text", text_make, text_begin, text_rows, text_free};
