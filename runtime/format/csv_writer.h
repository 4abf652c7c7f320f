/* SPDX-License-Identifier: Apache-2.0 */
/* csv_writer: rows as comma-separated values. The columns are those of the options or of the
 * first row; later rows are fitted in by name, what they lack is empty. One thread. */
#pragma once
#include "record/row.h"
#include "record/value.h"

struct wr_csv_writer;
/* Options csv = { header = true, separator = ",", quote = "\"", columns = [names] }. NULL with the error set.
 */
struct wr_csv_writer *wr_csv_writer_new(const struct wr_value *options);
void wr_csv_writer_free(struct wr_csv_writer *w);
/* Would the row be appended? WR_OK, or WR_EUSER as of wr_csv_writer_row, which then begins with these
 * columns. */
int wr_csv_writer_fits(struct wr_csv_writer *w, const struct wr_elem *row);
/* The next row is not the first of its text, and has no header before it. */
void wr_csv_writer_goes_on(struct wr_csv_writer *w);
/* Appends the row, before the first one the header. WR_EUSER: it has a field that is no column; nothing
 * of it was appended. */
int wr_csv_writer_row(struct wr_csv_writer *w, const struct wr_elem *row, struct wr_bytes *out);
