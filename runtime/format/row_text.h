/* SPDX-License-Identifier: Apache-2.0 */
/* row_text: a row as one line of text, for sinks. */
#pragma once
#include "record/row.h"

enum wr_text_format {
	WR_TEXT_JSON,  /* one JSON value; a change that is no insert begins with "op": "-U", "+U" or "-D" */
	WR_TEXT_RAW,   /* a scalar as it is; of a record the field `line` if it has one, else all fields,
			* separated by tabs */
	WR_TEXT_CSV,   /* format/csv_writer.h */
	WR_TEXT_TABLE, /* format/table.h */
};
/* By name: "json", "raw" or "lines", "csv", "table". WR_EUSER for another. */
int wr_text_format(const char *name, enum wr_text_format *out);

/* JSON or RAW, with the line's end. */
void wr_row_text(const struct wr_elem *row, enum wr_text_format format, struct wr_bytes *out);
/* "+I", "-U", "+U" or "-D". */
const char *wr_kind_sign(enum wr_kind kind);
