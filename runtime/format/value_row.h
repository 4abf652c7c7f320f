/* SPDX-License-Identifier: Apache-2.0 */
/* value_row: rows out of tagged values, and back: records that come from Lua rather than from bytes
 * (weir.from, the test kit), and those that go to formats that walk over them. Shapes are learned as those of
 * JSON are (format/learn.h). One thread. */
#pragma once
#include "format/learn.h"
#include "record/value.h"

struct wr_value_rows {
	struct wr_learner *learner;
	struct wr_arena nodes;	/* of the value at hand */
	struct wr_bytes tagged; /* a map on its way into the arena */
};

/* In place; WR_EFATAL without memory. Taken back by deinit, also after a failure. */
int wr_value_rows_init(struct wr_value_rows *r, struct wr_mem *mem);
void wr_value_rows_deinit(struct wr_value_rows *r);
/* Emits `value` as one row. Errors as of wr_learner_row. */
int wr_value_rows_emit(struct wr_value_rows *r, const struct wr_value *value, int64_t ts, struct wr_out *out);

/* A row as a tree in `arena`, with the row's strings: they are borrowed, and no zero stands behind them. Of
 * records, hidden and missing fields are left out, and names are in order. WR_OK or WR_EFATAL. */
int wr_value_of_row(const struct wr_elem *row, struct wr_arena *arena, struct wr_value *out);
