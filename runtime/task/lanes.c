/* SPDX-License-Identifier: Apache-2.0 */
/* lanes: see lanes.h. Saved as [[next, stride], …]. */
#include "task/lanes.h"

#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("task.lanes");

static int add(struct wr_lanes *l, uint64_t next, uint64_t stride)
{
	struct wr_lane *lanes = wr_realloc(&mem, l->lanes, (l->count + 1) * sizeof *lanes);

	if (!lanes)
		return WR_EFATAL;
	l->lanes = lanes;
	l->lanes[l->count++] = (struct wr_lane){next, stride};
	return WR_OK;
}

int wr_lanes_init(struct wr_lanes *l, uint64_t next, uint64_t stride)
{
	*l = (struct wr_lanes){NULL, 0};
	return add(l, next, stride);
}

void wr_lanes_deinit(struct wr_lanes *l)
{
	wr_free(&mem, l->lanes);
	*l = (struct wr_lanes){NULL, 0};
}

void wr_lanes_save(const struct wr_lanes *l, struct wr_bytes *out)
{
	wr_value_put_list(out, l->count);
	for (uint32_t i = 0; i < l->count; i++) {
		wr_value_put_list(out, 2);
		wr_value_put_i64(out, (int64_t)l->lanes[i].next);
		wr_value_put_i64(out, (int64_t)l->lanes[i].stride);
	}
}

static bool is_lane(const struct wr_value *v)
{
	return v->tag == WR_V_LIST && v->count == 2 && v->items[0].tag == WR_V_I64 &&
	       v->items[1].tag == WR_V_I64 && v->items[1].i64 > 0;
}

int wr_lanes_restore(struct wr_lanes *l, const struct wr_saved_state *saved, uint32_t subtask,
		     uint32_t parallelism)
{
	bool all = saved->parallelism == parallelism;
	uint32_t number = 0;
	int rc = WR_OK;

	l->count = 0;
	for (uint32_t i = 0; i < saved->count; i++) {
		const struct wr_value *list = saved->parts[i].value;

		if (list->tag != WR_V_LIST)
			return wr_error_set(WR_EUSER, "the saved position of a source is malformed");
		for (uint32_t k = 0; k < list->count && rc == WR_OK; k++, number++) {
			const struct wr_value *lane = &list->items[k];

			if (!is_lane(lane))
				return wr_error_set(WR_EUSER, "the saved position of a source is malformed");
			if (all || number % parallelism == subtask)
				rc = add(l, lane->items[0].u64, lane->items[1].u64);
		}
	}
	return rc;
}
