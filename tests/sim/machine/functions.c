/* SPDX-License-Identifier: Apache-2.0 */
/* functions: see functions.h. */
#include "sim/machine/functions.h"

#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "record/row.h"
#include "sim/machine/machine.h"
#include "sim/machine/stages.h"

enum { SHAKY_ONE_IN = 400, FRESH_SHAKY_ONE_IN = 3 };

struct function {
	bool fails; /* at once */
	double version;
};
struct state {
	struct function *function;
	double first; /* its version when the stage was opened: older rows are from a checkpoint */
	bool stamps;
};

static enum functions_fault faults;
static double version = 1;

void functions_rough(enum functions_fault fault)
{
	faults = fault;
}

void functions_next(void)
{
	version++;
}

void functions_not_next(void)
{
	version--;
}

/* ---- both ---- */

static struct function *function(bool fails)
{
	struct function *f = malloc(sizeof *f);

	*f = (struct function){fails, version};
	return f;
}

static void *prepare(struct wr_stage *s, const struct wr_value *plan, void *bundle)
{
	(void)plan, (void)bundle;
	machine_point();
	return function(s->ops == &stamps_stage_ops && faults == FUNCTIONS_FRESH_SHAKY &&
			machine_one_in(FRESH_SHAKY_ONE_IN));
}

static void *swap(struct wr_stage *s, void *functions)
{
	struct state *st = s->state;
	void *before = st->function;

	st->function = functions;
	return before;
}

static int open_stage(struct wr_stage *s)
{
	struct state *st = s->state = malloc(sizeof *st);

	*st = (struct state){function(false), version, wr_value_bool(s->options, "stamps", false)};
	return WR_OK;
}

static void free_stage(struct wr_stage *s)
{
	if (s->state)
		free(((struct state *)s->state)->function);
	free(s->state);
}

static void stamp(struct wr_elem *row, double by)
{
	const struct wr_shape *shape = wr_shape(wr_elem_shape(row));
	uint32_t i = 0;

	while (strcmp(shape->fields[i].name, "by") != 0)
		i++;
	memcpy((uint8_t *)(row + 1) + shape->slots_at + 8 * (size_t)i, &by, sizeof by);
}

/* ---- stamps ---- */

static bool fails(const struct function *f)
{
	return !machine_has_crashed() &&
	       (f->fails || (faults == FUNCTIONS_SHAKY && machine_one_in(SHAKY_ONE_IN)));
}

static int stamps_rows(struct wr_stage *s, struct wr_rows *rows)
{
	const struct state *st = s->state;

	for (; rows->p < rows->end; rows->p += ((const struct wr_elem *)rows->p)->len) {
		struct wr_elem *copy;

		if (fails(st->function)) {
			machine_counts[FUNCTIONS_FAILED]++;
			return wr_error_set(WR_EUSER, "the function fails");
		}
		copy = stages_copy_row(s, (const struct wr_elem *)rows->p);
		if (!copy)
			return WR_EFATAL;
		if (st->stamps)
			stamp(copy, st->function->version);
	}
	return WR_OK;
}

const struct wr_stage_ops stamps_stage_ops = {.kind = "stamps",
					      .open = open_stage,
					      .rows = stamps_rows,
					      .prepare = prepare,
					      .swap = swap,
					      .discard = free,
					      .free = free_stage};

/* ---- agrees ---- */

static int agrees_rows(struct wr_stage *s, struct wr_rows *rows)
{
	const struct state *st = s->state;

	for (; rows->p < rows->end; rows->p += ((const struct wr_elem *)rows->p)->len) {
		struct wr_elem *copy = stages_copy_row(s, (const struct wr_elem *)rows->p);
		double by;

		if (!copy)
			return WR_EFATAL;
		by = stages_number(copy, "by");
		if (by != st->function->version && by >= st->first)
			machine_failed("functions of version %g are given a row of version %g",
				       st->function->version, by);
		stamp(copy, 0);
	}
	return WR_OK;
}

const struct wr_stage_ops agrees_stage_ops = {.kind = "agrees",
					      .open = open_stage,
					      .rows = agrees_rows,
					      .prepare = prepare,
					      .swap = swap,
					      .discard = free,
					      .free = free_stage};
