/* SPDX-License-Identifier: Apache-2.0 */
/* bad_row: what becomes of a row that failed: the job fails, the row is left out, or it goes to
 * the dead letters with its error and origin. Task's thread. */
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "record/row.h"
#include "task/stage.h"

enum {
	SHOWN_MAX = 300,	   /* bytes of a record in a message */
	RECORD_TEXT_MAX = 1 << 20, /* of one in a dead letter that has it as text */
};

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

/* What failed, as a dead letter tells it: a row, or bytes that are none, or nothing. */
struct failure {
	const struct wr_elem *row;
	const void *raw;
	size_t raw_len;
	const char *op, *origin, *error;
};

/* How a record stands in the field `record` of a dead letter: as what it was. */
static struct wr_cell record_cell(const struct failure *f)
{
	struct wr_cell cell = {.type = WR_T_STR, .str = {"", 0}};
	const struct wr_shape *shape;

	if (!f->row) {
		if (f->raw)
			cell.str = (struct wr_str){f->raw, (uint32_t)f->raw_len};
		return cell;
	}
	shape = wr_shape(wr_elem_shape(f->row));
	if (shape->scalar)
		return wr_row_get(shape, wr_elem_body(f->row), 0);
	cell.type = WR_T_ROW;
	cell.child = shape->id;
	cell.str = (struct wr_str){(const char *)wr_elem_body(f->row), wr_elem_body_len(f->row)};
	return cell;
}

static struct wr_cell text_cell(const char *text)
{
	return (struct wr_cell){.type = WR_T_STR, .str = {text, (uint32_t)strlen(text)}};
}

static int put_row(struct wr_out *out, uint32_t shape, int64_t ts, const struct wr_cell *cells)
{
	uint32_t len = wr_row_len(wr_shape(shape), cells);

	if (!len)
		return wr_error_code();
	if ((size_t)(out->end - out->p) < len && !wr_out_more(out, len))
		return WR_EFATAL;
	wr_row_write(out->p, len, wr_shape(shape), WR_INSERT, ts, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

/* There is no shape for the dead letter, since there are too many or the record is nested too deep: the
 * record as text, in the shape that carries everything. */
static int put_as_text(struct wr_out *out, int64_t ts, const struct failure *f)
{
	struct wr_bytes record = WR_BYTES_EMPTY, letter = WR_BYTES_EMPTY;
	struct wr_cell cell = {.type = WR_T_ANY};
	int rc;

	if (f->row)
		wr_row_json_short(f->row, RECORD_TEXT_MAX, &record);
	else
		wr_bytes_put(&record, f->raw, f->raw_len);
	wr_value_put_record(&letter, 4);
	wr_value_put_name(&letter, "error");
	wr_value_put_str(&letter, f->error);
	wr_value_put_name(&letter, "operator");
	wr_value_put_str(&letter, f->op);
	wr_value_put_name(&letter, "origin");
	wr_value_put_str(&letter, f->origin);
	wr_value_put_name(&letter, "record");
	wr_value_put_strn(&letter, (const char *)record.data, record.len);
	rc = wr_bytes_status(&record);
	if (rc == WR_OK)
		rc = wr_bytes_status(&letter);
	cell.str = (struct wr_str){(const char *)letter.data, (uint32_t)letter.len};
	if (rc == WR_OK)
		rc = put_row(out, WR_SHAPE_ANY, ts, &cell);
	wr_bytes_deinit(&record);
	wr_bytes_deinit(&letter);
	return rc;
}

/* Fields in the order of a shape: error, operator, origin, record. */
static int dead_letter(struct wr_out *out, const struct failure *f)
{
	struct wr_cell cells[] = {text_cell(f->error), text_cell(f->op), text_cell(f->origin),
				  record_cell(f)};
	struct wr_field_spec fields[] = {{"error", 5, WR_T_STR, 0},
					 {"operator", 8, WR_T_STR, 0},
					 {"origin", 6, WR_T_STR, 0},
					 {"record", 6, cells[3].type, cells[3].child}};
	int64_t ts = f->row ? f->row->ts : WR_TS_NONE;
	uint32_t shape;

	if (cells[3].type == 0)
		fields[3].type = WR_T_NULL;
	shape = wr_shape_intern(fields, 4, cells[3].type == 0, 0);
	return shape ? put_row(out, shape, ts, cells) : put_as_text(out, ts, f);
}

int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	const char *name = s->ops_stats[op].name, *where = s->ops_stats[op].where;
	const char *text, *at = origin ? origin : "";
	struct failure failure = {row, raw, raw_len, name, at, error};
	struct wr_bytes shown = WR_BYTES_EMPTY;
	const char *opens = where ? " (" : "", *closes = where ? ")" : "";
	const char *between = origin ? ": " : "";
	int rc = WR_OK;

	WR_ASSERT(op < s->ops_count && code < 0);
	show(row, raw, raw_len, &shown);
	text = wr_bytes_status(&shown) == WR_OK ? (const char *)shown.data : "";
	if (s->on_error == WR_ON_ERROR_FAIL) {
		rc = wr_error_set(code, "operator \"%s\"%s%s%s: %s%s%s%s%s", name, opens, where ? where : "",
				  closes, at, between, error, *text ? "\n  record: " : "", text);
	} else {
		wr_metric_add(&s->ops_stats[op].skipped, 1);
		wr_warn(s->env->task, "operator \"%s\"%s%s%s skips a record: %s%s%s%s%s", name, opens,
			where ? where : "", closes, at, between, error, *text ? "; record: " : "", text);
		if (s->on_error == WR_ON_ERROR_DEAD_LETTER && s->dead_letter >= 0)
			rc = dead_letter(s->outs[s->dead_letter], &failure);
	}
	wr_bytes_deinit(&shown);
	return rc;
}

int wr_stage_refused_row(struct wr_stage *s, const struct wr_elem *row, int code)
{
	char why[512];

	if (code != WR_EUSER)
		return code;
	snprintf(why, sizeof why, "%s", wr_error_text());
	return wr_stage_bad_row(s, 0, row, NULL, 0, NULL, why, code);
}
