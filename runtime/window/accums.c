/* SPDX-License-Identifier: Apache-2.0 */
/* accums: see accums.h. */
#include "window/accums.h"
#include <math.h>
#include "base/assert.h"
#include "base/error.h"
#include "exchange/merger.h"
#include "record/number.h"

static const char *const names[] = {"count", "sum", "avg", "min", "max", "stddev"};
static const uint8_t slots_of[] = {1, 2, 2, 2, 2, 3};
#define NO_WEIGHT UINT32_MAX

static double f64_of(uint64_t slot)
{
	double v;

	memcpy(&v, &slot, 8);
	return v;
}

static uint64_t slot_of(double v)
{
	uint64_t slot;

	memcpy(&slot, &v, 8);
	return slot;
}

void wr_accums_init(struct wr_accums *a, const struct wr_value *list, uint32_t count)
{
	WR_ASSERT(count <= WR_ACCUMS_MAX);
	memset(a, 0, sizeof *a);
	a->count = count;
	a->counts_only = true;
	for (uint32_t i = 0; i < count; i++) {
		struct wr_accum *acc = &a->list[i];
		const char *fn = wr_value_str(&list[i], "fn", "");
		const char *field = wr_value_str(&list[i], "field", "");
		const char *as = wr_value_str(&list[i], "as", "");

		while (acc->fn <= WR_ACC_STDDEV && strcmp(names[acc->fn], fn))
			acc->fn++;
		WR_ASSERT(acc->fn <= WR_ACC_STDDEV);
		acc->field = (struct wr_str){field, (uint32_t)strlen(field)};
		acc->as = (struct wr_str){as, (uint32_t)strlen(as)};
		acc->slot = a->slots;
		a->slots += slots_of[acc->fn];
		a->counts_only &= acc->fn == WR_ACC_COUNT;
	}
}

/* ---- reading rows ---- */

static double f64_at(const struct wr_elem *row, uint32_t at)
{
	double v;

	memcpy(&v, wr_elem_body(row) + at, sizeof v);
	return v;
}

static void learn(struct wr_accums *a, uint32_t line, uint32_t id)
{
	const struct wr_shape *s = wr_shape(id);
	int32_t weight = wr_shape_find(s, WR_WEIGHT_NAME, WR_WEIGHT_LEN);

	a->shapes[line] = id;
	a->weight_at[line] = weight >= 0 ? s->slots_at + 8 * (uint32_t)weight : NO_WEIGHT;
	for (uint32_t i = 0; i < a->count; i++) {
		int32_t at = wr_shape_find(s, a->list[i].field.p, a->list[i].field.len);

		a->at[line][i] = (struct wr_accum_at){0};
		if (at < 0 || s->nullable ||
		    (s->fields[at].type != WR_T_F64 && s->fields[at].type != WR_T_I64))
			continue;
		a->at[line][i] = (struct wr_accum_at){s->fields[at].type, s->slots_at + 8 * (uint32_t)at};
	}
}

static int look_up(struct wr_accum *acc, const struct wr_elem *row)
{
	acc->value = wr_row_lookup(row, acc->field.p, acc->field.len);
	if (acc->value.type == WR_T_F64 || acc->value.type == WR_T_I64)
		return WR_OK;
	return wr_error_set(WR_EUSER, "field '%.*s' is %s", (int)acc->field.len, acc->field.p,
			    acc->value.type == 0	   ? "missing"
			    : acc->value.type == WR_T_NULL ? "null"
							   : "no number");
}

int wr_accums_read(struct wr_accums *a, const struct wr_elem *row)
{
	uint32_t id = wr_elem_shape(row), line = id % WR_ACCUMS_SHAPES;

	if (WR_UNLIKELY(a->shapes[line] != id))
		learn(a, line, id);
	a->weightless = a->weight_at[line] == NO_WEIGHT ? id : 0;
	a->weight = a->weightless ? 1 : f64_at(row, a->weight_at[line]);
	for (uint32_t i = 0; i < a->count; i++) {
		const struct wr_accum_at *at = &a->at[line][i];
		struct wr_accum *acc = &a->list[i];

		if (acc->fn == WR_ACC_COUNT)
			continue;
		if (WR_UNLIKELY(!at->type)) {
			int rc = look_up(acc, row);

			if (rc != WR_OK)
				return rc;
			continue;
		}
		acc->value.type = at->type;
		memcpy(&acc->value.u64, wr_elem_body(row) + at->slot_at, 8);
	}
	return WR_OK;
}

/* ---- numbers of two types ---- */

static double number(uint64_t slot, uint64_t type)
{
	return type == WR_T_I64 ? (double)(int64_t)slot : f64_of(slot);
}

static bool whole(uint64_t slot, uint64_t type, int64_t *to)
{
	*to = (int64_t)slot;
	return type == WR_T_I64 || wr_number_whole(f64_of(slot), to);
}

/* With an integer the sum is exact, and an integer, until it meets a number that is none or overflows. */
static void sum(uint64_t *into, uint64_t value, uint64_t type)
{
	int64_t x, y, both;

	if (WR_LIKELY(into[1] == WR_T_F64 && type == WR_T_F64)) {
		into[0] = slot_of(f64_of(into[0]) + f64_of(value));
	} else if (!into[1]) {
		into[0] = value;
		into[1] = type;
	} else if (whole(into[0], into[1], &x) && whole(value, type, &y) &&
		   !__builtin_add_overflow(x, y, &both)) {
		into[0] = (uint64_t)both;
		into[1] = WR_T_I64;
	} else {
		into[0] = slot_of(number(into[0], into[1]) + number(value, type));
		into[1] = WR_T_F64;
	}
}

static bool is_nan(uint64_t slot, uint64_t type)
{
	return type == WR_T_F64 && isnan(f64_of(slot));
}

/* NaN is neither smaller nor larger than anything, and gives way to what is. */
static void extreme(uint64_t *into, uint64_t value, uint64_t type, bool largest)
{
	bool better;

	if (WR_LIKELY(into[1] == WR_T_F64 && type == WR_T_F64))
		better = largest ? f64_of(value) > f64_of(into[0]) : f64_of(value) < f64_of(into[0]);
	else if (into[1] == WR_T_I64 && type == WR_T_I64)
		better = largest ? (int64_t)value > (int64_t)into[0] : (int64_t)value < (int64_t)into[0];
	else
		better = largest ? number(value, type) > number(into[0], into[1])
				 : number(value, type) < number(into[0], into[1]);
	if (into[1] && !better && !is_nan(into[0], into[1]))
		return;
	into[0] = value;
	into[1] = type;
}

/* ---- adding, merging, results ---- */

/* Welford's running mean and sum of squared distances. */
static void spread(uint64_t *into, double v)
{
	double n = f64_of(into[0]) + 1, mean = f64_of(into[1]), distance = v - mean;

	mean += distance / n;
	into[2] = slot_of(f64_of(into[2]) + distance * (v - mean));
	into[0] = slot_of(n);
	into[1] = slot_of(mean);
}

static void spread_merge(uint64_t *into, const uint64_t *from)
{
	double n1 = f64_of(into[0]), n2 = f64_of(from[0]), n = n1 + n2;
	double distance = f64_of(from[1]) - f64_of(into[1]);

	if (n2 == 0)
		return;
	into[2] = slot_of(f64_of(into[2]) + f64_of(from[2]) + distance * distance * n1 * n2 / n);
	into[1] = slot_of(f64_of(into[1]) + distance * n2 / n);
	into[0] = slot_of(n);
}

void wr_accums_add(const struct wr_accums *a, uint64_t *to)
{
	if (a->counts_only && a->count == 1) {
		to[0] = slot_of(f64_of(to[0]) + a->weight);
		return;
	}
	for (uint32_t i = 0; i < a->count; i++) {
		const struct wr_accum *acc = &a->list[i];
		uint64_t *into = to + acc->slot;

		switch (acc->fn) {
		case WR_ACC_COUNT:
			into[0] = slot_of(f64_of(into[0]) + a->weight);
			break;
		case WR_ACC_SUM:
			sum(into, acc->value.u64, acc->value.type);
			break;
		case WR_ACC_AVG:
			into[0] = slot_of(f64_of(into[0]) + number(acc->value.u64, acc->value.type));
			into[1] = slot_of(f64_of(into[1]) + a->weight);
			break;
		case WR_ACC_MIN:
		case WR_ACC_MAX:
			extreme(into, acc->value.u64, acc->value.type, acc->fn == WR_ACC_MAX);
			break;
		case WR_ACC_STDDEV:
			spread(into, number(acc->value.u64, acc->value.type));
			break;
		}
	}
}

void wr_accums_merge(const struct wr_accums *a, uint64_t *to, const uint64_t *with)
{
	for (uint32_t i = 0; i < a->count; i++) {
		const struct wr_accum *acc = &a->list[i];
		uint64_t *into = to + acc->slot;
		const uint64_t *from = with + acc->slot;

		switch (acc->fn) {
		case WR_ACC_COUNT:
			into[0] = slot_of(f64_of(into[0]) + f64_of(from[0]));
			break;
		case WR_ACC_SUM:
			if (from[1])
				sum(into, from[0], from[1]);
			break;
		case WR_ACC_AVG:
			into[0] = slot_of(f64_of(into[0]) + f64_of(from[0]));
			into[1] = slot_of(f64_of(into[1]) + f64_of(from[1]));
			break;
		case WR_ACC_MIN:
		case WR_ACC_MAX:
			if (from[1])
				extreme(into, from[0], from[1], acc->fn == WR_ACC_MAX);
			break;
		case WR_ACC_STDDEV:
			spread_merge(into, from);
			break;
		}
	}
}

void wr_accums_results(const struct wr_accums *a, const uint64_t *slots, struct wr_cell *cells)
{
	for (uint32_t i = 0; i < a->count; i++) {
		const uint64_t *from = slots + a->list[i].slot;

		cells[i] = (struct wr_cell){.type = WR_T_F64, .u64 = from[0]};
		switch (a->list[i].fn) {
		case WR_ACC_COUNT:
			break;
		case WR_ACC_SUM:
		case WR_ACC_MIN:
		case WR_ACC_MAX:
			cells[i].type = (uint32_t)from[1];
			break;
		case WR_ACC_AVG:
			cells[i].f64 = f64_of(from[0]) / f64_of(from[1]);
			break;
		case WR_ACC_STDDEV:
			cells[i].f64 = sqrt(f64_of(from[2]) / f64_of(from[0]));
			break;
		}
	}
}
