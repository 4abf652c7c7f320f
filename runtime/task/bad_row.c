/* SPDX-License-Identifier: Apache-2.0 */
/* bad_row: what becomes of a row that failed: the job fails, the row is left out, or it goes to
 * the dead letters with its error and origin. Task's thread. */
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "record/row.h"
#include "task/stage.h"

enum { SHOWN_MAX = 300 }; /* bytes of a record in a message */

static void show(const struct wr_elem *row, const void *raw, size_t raw_len, struct wr_bytes *out)
{
	if (row) {
		wr_row_json_short(row, SHOWN_MAX, out);
	} else if (raw) {
		wr_json_string(out, raw, raw_len < SHOWN_MAX ? raw_len : SHOWN_MAX);
		if (raw_len > SHOWN_MAX)
			wr_bytes_put(out, "…", strlen("…"));
	}
	wr_bytes_put_u8(out, 0);
}

/* How a record stands in the field `record` of a dead letter: as what it was. */
static struct wr_cell record_cell(const struct wr_elem *row, const void *raw, size_t raw_len)
{
	struct wr_cell cell = {.type = WR_T_STR, .str = {"", 0}};
	const struct wr_shape *shape;

	if (!row) {
		if (raw)
			cell.str = (struct wr_str){raw, (uint32_t)raw_len};
		return cell;
	}
	shape = wr_shape(wr_elem_shape(row));
	if (shape->scalar)
		return wr_row_get(shape, wr_elem_body(row), 0);
	cell.type = WR_T_ROW;
	cell.child = shape->id;
	cell.str = (struct wr_str){(const char *)wr_elem_body(row), wr_elem_body_len(row)};
	return cell;
}

static struct wr_cell text_cell(const char *text)
{
	return (struct wr_cell){.type = WR_T_STR, .str = {text, (uint32_t)strlen(text)}};
}

/* Fields in the order of a shape: error, operator, origin, record. */
static int dead_letter(struct wr_stage *s, const char *op, const struct wr_elem *row, const void *raw,
		       size_t raw_len, const char *origin, const char *error)
{
	struct wr_out *out = s->outs[s->dead_letter];
	struct wr_cell cells[] = {text_cell(error), text_cell(op), text_cell(origin ? origin : ""),
				  record_cell(row, raw, raw_len)};
	struct wr_field_spec fields[] = {{"error", 5, WR_T_STR, 0},
					 {"operator", 8, WR_T_STR, 0},
					 {"origin", 6, WR_T_STR, 0},
					 {"record", 6, cells[3].type, cells[3].child}};
	uint32_t id, len;

	if (cells[3].type == 0)
		fields[3].type = WR_T_NULL;
	id = wr_shape_intern(fields, 4, cells[3].type == 0, 0);
	if (!id) { /* too many shapes, or nested too deep: the record as text */
		struct wr_bytes text = WR_BYTES_EMPTY;
		int rc = WR_EFATAL;

		wr_row_json_short(row, 1 << 20, &text);
		if (wr_bytes_status(&text) == WR_OK)
			rc = dead_letter(s, op, NULL, text.data, text.len, origin, error);
		wr_bytes_deinit(&text);
		return rc;
	}
	len = wr_row_len(wr_shape(id), cells);
	if ((size_t)(out->end - out->p) < len && !wr_out_more(out, len))
		return WR_EFATAL;
	wr_row_write(out->p, len, wr_shape(id), WR_INSERT, row ? row->ts : WR_TS_NONE, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	struct wr_bytes shown = WR_BYTES_EMPTY;
	const char *name = s->ops_stats[op].name, *text, *at = origin ? origin : "";
	const char *between = origin ? ": " : "";
	int rc = WR_OK;

	WR_ASSERT(op < s->ops_count && code < 0);
	show(row, raw, raw_len, &shown);
	text = wr_bytes_status(&shown) == WR_OK ? (const char *)shown.data : "";
	if (s->on_error == WR_ON_ERROR_FAIL) {
		rc = wr_error_set(code, "operator \"%s\": %s%s%s%s%s", name, at, between, error,
				  *text ? "\n  record: " : "", text);
	} else {
		wr_metric_add(&s->ops_stats[op].skipped, 1);
		wr_warn(s->env->task, "operator \"%s\" skips a record: %s%s%s%s%s", name, at, between, error,
			*text ? "; record: " : "", text);
		if (s->on_error == WR_ON_ERROR_DEAD_LETTER && s->dead_letter >= 0)
			rc = dead_letter(s, name, row, raw, raw_len, origin, error);
	}
	wr_bytes_deinit(&shown);
	return rc;
}
