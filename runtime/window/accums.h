/* SPDX-License-Identifier: Apache-2.0 */
/* accums: the declared aggregates of a window as a few 8-byte slots, filled from the rows' bytes. A row may
 * stand for several that were merged on the way (exchange/merger.h): then it has a weight.
 *
 *   count 1 slot · sum, min, max 2 (value, type) · avg 2 (sum, n) · stddev 3 (n, mean, m2)
 *
 * Slots that are all zero are the empty accumulator. Two accumulators merge in time order. A row
 * is read (wr_accums_load) before anything is changed, so a bad row changes nothing.
 * One thread; used by the stages of window/ only.
 */
#pragma once
#include "record/row.h"
#include "record/value.h"

enum wr_accum_fn { WR_ACC_COUNT, WR_ACC_SUM, WR_ACC_AVG, WR_ACC_MIN, WR_ACC_MAX, WR_ACC_STDDEV };
enum { WR_ACCUMS_MAX = 32, WR_ACCUMS_SHAPES = 16 };

/* Where an aggregate's field lies in rows of one shape. */
struct wr_accum_at {
	uint32_t type; /* WR_T_F64 or WR_T_I64; 0: look it up in each row */
	uint32_t slot_at;
};

struct wr_accum {
	enum wr_accum_fn fn;
	uint32_t slot; /* first slot */
	struct wr_str field;
	struct wr_str as;
	struct wr_cell value; /* of the row that was loaded last */
};

struct wr_accums {
	uint32_t count, slots;
	struct wr_accum list[WR_ACCUMS_MAX];
	bool counts_only; /* no aggregate reads a field */
	uint32_t shapes[WR_ACCUMS_SHAPES];
	struct wr_accum_at at[WR_ACCUMS_SHAPES][WR_ACCUMS_MAX];
	uint32_t weight_at[WR_ACCUMS_SHAPES]; /* of the weight in the body */
	double weight;			      /* of the row that was loaded last */
	uint32_t weightless;		      /* if that had none its shape, else 0 */
};

/* From the plan's list [{ fn, field, as }]; borrows its strings. */
void wr_accums_init(struct wr_accums *a, const struct wr_value *list, uint32_t count);
/* Reads the fields of a row. WR_EUSER "field 'x' is missing" and the like. */
int wr_accums_read(struct wr_accums *a, const struct wr_elem *row);
static inline int wr_accums_load(struct wr_accums *a, const struct wr_elem *row)
{
	return a->counts_only && wr_elem_shape(row) == a->weightless ? 0 : wr_accums_read(a, row);
}
/* Adds the row that was loaded last. */
void wr_accums_add(const struct wr_accums *a, uint64_t *into);
/* Adds what `from` holds, which is later in time. */
void wr_accums_merge(const struct wr_accums *a, uint64_t *into, const uint64_t *from);
/* Results, one cell an aggregate, in the order of the list. */
void wr_accums_results(const struct wr_accums *a, const uint64_t *from, struct wr_cell *cells);
