/* SPDX-License-Identifier: Apache-2.0 */
/* stages: see stages.h. */
#include "sim/machine/stages.h"

#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "record/row.h"
#include "sim/machine/functions.h"
#include "sim/machine/machine.h"
#include "sim/machine/target.h"
#include "sim/machine/topics.h"

enum { LATE_ONE_IN = 2, LATE_STEPS = 40, LATE_STEP_MS = 500 };
enum { HALT_ONE_IN = 8, HALT_NS = 20000000 };

struct wr_elem *stages_copy_row(struct wr_stage *s, const struct wr_elem *row)
{
	struct wr_out *out = s->outs[0];
	struct wr_elem *copy;

	if (!wr_out_room(out, row->len))
		return NULL;
	copy = memcpy(out->p, row, row->len);
	out->p += row->len;
	out->rows++;
	return copy;
}

/* ---- paced ---- */

double stages_number(const struct wr_elem *row, const char *field)
{
	return wr_row_lookup(row, field, (uint32_t)strlen(field)).f64;
}

static int64_t lateness_of(uint32_t number)
{
	uint32_t drawn = number * 2654435761u >> 12;

	return drawn % LATE_ONE_IN ? 0 : (int64_t)(drawn / LATE_ONE_IN % LATE_STEPS) * LATE_STEP_MS;
}

static int paced_row(struct wr_stage *s, const struct wr_elem *row)
{
	uint32_t number = (uint32_t)stages_number(row, "v");
	int64_t now = number / wr_value_int(s->options, "every", 1) * wr_value_int(s->options, "step", 0);
	int64_t ts = now - lateness_of(number);
	struct wr_elem *copy = stages_copy_row(s, row);

	if (!copy)
		return WR_EFATAL;
	copy->ts = ts < 0 ? 0 : ts;
	if (number % wr_value_int(s->options, "mark_every", 1))
		return WR_OK;
	return wr_stage_emit_watermark(s, now - wr_value_int(s->options, "delay", 0) - 1);
}

static int paced_rows(struct wr_stage *s, struct wr_rows *rows)
{
	int rc = WR_OK;

	while (rows->p < rows->end && rc == WR_OK) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;

		rows->p += row->len;
		rc = paced_row(s, row);
	}
	return rc;
}

static const struct wr_stage_ops paced_ops = {.kind = "paced", .rows = paced_rows};

/* ---- halting ---- */

static int halting_open(struct wr_stage *s)
{
	s->tick_ns = UINT64_MAX;
	return WR_OK;
}

static int halting_rows(struct wr_stage *s, struct wr_rows *rows)
{
	for (; rows->p < rows->end; rows->p += ((const struct wr_elem *)rows->p)->len)
		if (!stages_copy_row(s, (const struct wr_elem *)rows->p))
			return WR_EFATAL;
	if (s->tick_ns == UINT64_MAX && machine_one_in(HALT_ONE_IN)) {
		wr_stage_hold(s, 0, true);
		s->tick_ns = wr_clock_ns(s->env->clock) + machine_below(HALT_NS);
	}
	return WR_OK;
}

static int halting_tick(struct wr_stage *s, uint64_t now_ns)
{
	(void)now_ns;
	wr_stage_hold(s, 0, false);
	s->tick_ns = UINT64_MAX;
	return WR_OK;
}

static const struct wr_stage_ops halting_ops = {
    .kind = "halting", .open = halting_open, .rows = halting_rows, .tick = halting_tick};

static void free_state(struct wr_stage *s)
{
	free(s->state);
}

/* ---- listed ---- */

struct listed {
	uint32_t element, result; /* shapes: a number; k and v */
};

static int listed_open(struct wr_stage *s)
{
	struct wr_field_spec number = {"", 0, WR_T_F64, 0};
	struct wr_field_spec result[] = {{"k", 1, WR_T_F64, 0}, {"v", 1, WR_T_F64, 0}};
	struct listed *l = s->state = malloc(sizeof *l);

	l->element = wr_shape_intern(&number, 1, 0, 1);
	l->result = wr_shape_intern(result, 2, 0, 0);
	return l->element && l->result ? WR_OK : WR_EFATAL;
}

static int give(struct wr_stage *s, double k, double v)
{
	const struct wr_shape *shape = wr_shape(((struct listed *)s->state)->result);
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = k}, {.type = WR_T_F64, .f64 = v}};
	uint32_t len = wr_row_len(shape, cells);

	if (!wr_out_room(s->outs[0], len))
		return WR_EFATAL;
	wr_row_write(s->outs[0]->p, len, shape, WR_INSERT, WR_TS_NONE, cells);
	s->outs[0]->p += len;
	s->outs[0]->rows++;
	return WR_OK;
}

/* The key is an element, too: the first. */
static int listed_add(struct wr_stage *s, double value)
{
	uint8_t *to = wr_list_add(s->store, 0, ((struct listed *)s->state)->element, sizeof value);

	if (!to)
		return WR_EFATAL;
	memcpy(to, &value, sizeof value);
	return WR_OK;
}

static int listed_row(struct wr_stage *s, const struct wr_elem *row)
{
	double k = stages_number(row, "k");
	int rc = wr_store_set_row(s->store, s->keyer, row);

	if (rc == WR_OK && !wr_list_count(s->store, 0))
		rc = listed_add(s, k);
	if (rc == WR_OK)
		rc = listed_add(s, stages_number(row, "v"));
	return rc == WR_OK ? give(s, k, wr_list_count(s->store, 0)) : rc;
}

static int listed_rows(struct wr_stage *s, struct wr_rows *rows)
{
	int rc = WR_OK;

	while (rows->p < rows->end && rc == WR_OK) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;

		rows->p += row->len;
		rc = listed_row(s, row);
	}
	return rc;
}

static int listed_sum(struct wr_stage *s)
{
	const struct wr_sval *v;
	double first = -1, sum = 0;
	uint64_t cursor = 0;

	while ((v = wr_list_next(s->store, 0, &cursor))) {
		double number;

		memcpy(&number, v->body, sizeof number);
		sum += number;
		first = first < 0 ? number : first;
	}
	return first < 0 ? WR_OK : give(s, first, sum);
}

static int listed_end(struct wr_stage *s)
{
	uint64_t cursor = 0;
	int rc;

	while ((rc = wr_store_next(s->store, &cursor)) > 0) {
		rc = listed_sum(s);
		if (rc != WR_OK)
			break;
	}
	return rc;
}

static const struct wr_stage_ops listed_ops = {
    .kind = "listed", .open = listed_open, .rows = listed_rows, .end = listed_end, .free = free_state};

const struct wr_stage_kind stages_kinds[STAGES] = {
    {"target", &target_stage_ops}, {"stamps", &stamps_stage_ops}, {"agrees", &agrees_stage_ops},
    {"paced", &paced_ops},	   {"halting", &halting_ops},	  {"listed", &listed_ops},
    {"topics", &topics_stage_ops}};
