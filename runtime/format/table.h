/* SPDX-License-Identifier: Apache-2.0 */
/* table: rows as aligned columns, for people. The header comes again when the fields change;
 * columns only grow. Numbers stand to the right. One thread. */
#pragma once
#include "record/row.h"

struct wr_table {
	uint32_t shape;	  /* of the header that was printed last, 0 = none */
	bool with_op;	  /* with a column for the kind of change */
	uint32_t *widths; /* characters, by field */
	uint32_t widths_size;
	struct wr_bytes cell;
};
void wr_table_deinit(struct wr_table *t);
/* Appends the rows at *p that have the first one's fields, and moves *p behind them. */
int wr_table_rows(struct wr_table *t, const uint8_t **p, const uint8_t *end, struct wr_bytes *out);
