/* SPDX-License-Identifier: Apache-2.0 */
/* values: the records of weir.from{…}, which travel in the plan. On the task's thread.
 * Options: values = list of anything. Subtask k of n emits every n-th from the k-th on. */
#include "base/error.h"
#include "connect/kinds.h"
#include "format/value_row.h"
#include "task/lanes.h"

enum { VALUES_BATCH = 256 };

struct values {
	const struct wr_value *items;
	uint32_t count;
	struct wr_lanes lanes;
	struct wr_value_rows rows;
};

static struct wr_mem values_mem = WR_MEM_INIT("connect.values");

static int values_open(struct wr_stage *s)
{
	struct values *v = s->state = wr_zalloc(&values_mem, sizeof *v);

	if (!v)
		return WR_EFATAL;
	v->items = wr_value_list(s->options, "values", &v->count);
	if (wr_lanes_init(&v->lanes, s->env->subtask, s->env->parallelism) != WR_OK)
		return WR_EFATAL;
	return wr_value_rows_init(&v->rows, &values_mem);
}

static int values_poll(struct wr_stage *s)
{
	struct values *v = s->state;
	int rc = WR_OK;

	for (uint32_t n = 0; n < VALUES_BATCH && rc == WR_OK; n++) {
		struct wr_lane *l = wr_lanes_first(&v->lanes, v->count);

		if (!l)
			return WR_END;
		rc = wr_value_rows_emit(&v->rows, &v->items[l->next], WR_TS_NONE, s->outs[0]);
		l->next += l->stride;
	}
	return rc != WR_OK || wr_lanes_first(&v->lanes, v->count) ? rc : WR_END;
}

static int values_save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct values *v = s->state;

	wr_lanes_save(&v->lanes, out);
	return wr_bytes_status(out);
}

static int values_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct values *v = s->state;

	return wr_lanes_restore(&v->lanes, saved, s->env->subtask, s->env->parallelism);
}

static void values_free(struct wr_stage *s)
{
	struct values *v = s->state;

	if (!v)
		return;
	wr_lanes_deinit(&v->lanes);
	wr_value_rows_deinit(&v->rows);
	wr_free(&values_mem, v);
	s->state = NULL;
}

const struct wr_stage_ops wr_values_ops = {.kind = "values",
					   .open = values_open,
					   .poll = values_poll,
					   .save = values_save,
					   .restore = values_restore,
					   .free = values_free};
