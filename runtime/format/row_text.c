/* SPDX-License-Identifier: Apache-2.0 */
/* row_text: a row as one line of text; see row_text.h. Pure. */
#include <string.h>
#include "base/error.h"
#include "format/row_text.h"

int wr_text_format(const char *name, enum wr_text_format *out)
{
	static const struct {
		const char *name;
		enum wr_text_format format;
	} names[] = {{"json", WR_TEXT_JSON},
		     {"raw", WR_TEXT_RAW},
		     {"lines", WR_TEXT_RAW},
		     {"csv", WR_TEXT_CSV},
		     {"table", WR_TEXT_TABLE}};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i].name, name) == 0) {
			*out = names[i].format;
			return WR_OK;
		}
	}
	return wr_error_set(WR_EUSER, "there is no format '%s'", name);
}

const char *wr_kind_sign(enum wr_kind kind)
{
	static const char *const signs[] = {
	    [WR_INSERT] = "+I", [WR_UPDATE_BEFORE] = "-U", [WR_UPDATE_AFTER] = "+U", [WR_DELETE] = "-D"};

	return signs[kind];
}

/* {"op":"-U","user":"alice"}; a change of a plain value is {"op":"-U","value":17}. */
static void put_change(const struct wr_elem *row, struct wr_bytes *out)
{
	size_t at = out->len;

	wr_row_json(row, out);
	if (out->failed)
		return;
	if (out->data[at] == '{') {
		bool empty = out->data[at + 1] == '}';
		size_t rest = out->len - at - 1, op = empty ? 9 : 10;

		if (!wr_bytes_room(out, op))
			return;
		memmove(out->data + at + 1 + op, out->data + at + 1, rest);
		memcpy(out->data + at + 1, "\"op\":\"+I\",", op);
		memcpy(out->data + at + 7, wr_kind_sign(wr_elem_kind(row)), 2);
		out->len += op;
		return;
	}
	out->len = at;
	wr_bytes_printf(out, "{\"op\":\"%s\",\"value\":", wr_kind_sign(wr_elem_kind(row)));
	wr_row_json(row, out);
	wr_bytes_put_u8(out, '}');
}

static void put_raw(const struct wr_elem *row, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	int32_t line = wr_shape_find(s, "line", 4);
	uint32_t first = line >= 0 ? (uint32_t)line : s->hidden, end = line >= 0 ? first + 1 : s->count;

	for (uint32_t i = first; i < end; i++) {
		struct wr_cell cell = wr_row_get(s, wr_elem_body(row), i);

		if (i > first)
			wr_bytes_put_u8(out, '\t');
		if (cell.type)
			wr_cell_text(&cell, out);
	}
}

void wr_row_text(const struct wr_elem *row, enum wr_text_format format, struct wr_bytes *out)
{
	if (format == WR_TEXT_RAW)
		put_raw(row, out);
	else if (wr_elem_kind(row) != WR_INSERT)
		put_change(row, out);
	else
		wr_row_json(row, out);
	wr_bytes_put_u8(out, '\n');
}
