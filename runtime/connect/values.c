/* SPDX-License-Identifier: Apache-2.0 */
/* values: the records of weir.from{…}, which travel in the plan. On the task's thread.
 * Options: values = list of anything. Subtask k of n emits every n-th from the k-th on. */
#include "base/assert.h"
#include "base/error.h"
#include "format/learn.h"
#include "connect/kinds.h"
#include "task/lanes.h"

enum { VALUES_BATCH = 256 };

struct values {
	const struct wr_value *items;
	uint32_t count;
	struct wr_lanes lanes;
	struct wr_learner *learner;
	struct wr_arena nodes;	/* of the value at hand */
	struct wr_bytes tagged; /* a map on its way into the arena */
};

static struct wr_mem values_mem = WR_MEM_INIT("connect.values");

static int values_open(struct wr_stage *s)
{
	struct values *v = s->state = wr_zalloc(&values_mem, sizeof *v);

	if (!v)
		return WR_EFATAL;
	wr_arena_init(&v->nodes, &values_mem);
	v->items = wr_value_list(s->options, "values", &v->count);
	if (wr_lanes_init(&v->lanes, s->env->subtask, s->env->parallelism) != WR_OK)
		return WR_EFATAL;
	v->learner = wr_learner_new();
	return v->learner ? WR_OK : WR_EFATAL;
}

static uint64_t node_count(const struct wr_value *v)
{
	uint64_t n = 1;

	if (v->tag == WR_V_LIST || v->tag == WR_V_RECORD)
		for (uint32_t i = 0; i < v->count; i++)
			n += node_count(&v->items[i]);
	return n;
}

static int put_map(struct values *v, const struct wr_value *value, struct wr_node *n)
{
	char *copy;

	v->tagged.len = 0;
	wr_value_put(&v->tagged, value);
	if (wr_bytes_status(&v->tagged) != WR_OK)
		return WR_EFATAL;
	copy = wr_arena_alloc(&v->nodes, v->tagged.len);
	if (!copy)
		return WR_EFATAL;
	memcpy(copy, v->tagged.data, v->tagged.len);
	n->str = copy;
	n->len = (uint32_t)v->tagged.len;
	return WR_OK;
}

/* Writes `value` and what hangs under it at *n, which moves behind it. */
static int put_nodes(struct values *v, const struct wr_value *value, struct wr_node **n)
{
	static const uint8_t types[] = {
	    [WR_V_NIL] = WR_T_NULL,  [WR_V_NULL] = WR_T_NULL, [WR_V_FALSE] = WR_T_BOOL,
	    [WR_V_TRUE] = WR_T_BOOL, [WR_V_F64] = WR_T_F64,   [WR_V_I64] = WR_T_I64,
	    [WR_V_U64] = WR_T_U64,   [WR_V_STR] = WR_T_STR,   [WR_V_BYTES] = WR_T_BYTES,
	    [WR_V_LIST] = WR_T_LIST, [WR_V_MAP] = WR_T_MAP,   [WR_V_RECORD] = WR_T_ROW,
	};
	struct wr_node *node = (*n)++;
	int rc = WR_OK;

	node->type = types[value->tag];
	node->len = value->count;
	if (value->tag == WR_V_MAP)
		return put_map(v, value, node);
	if (value->tag == WR_V_STR || value->tag == WR_V_BYTES) {
		node->str = value->str.p;
		node->len = value->str.len;
	} else if (value->tag == WR_V_LIST || value->tag == WR_V_RECORD) {
		for (uint32_t i = 0; i < value->count && rc == WR_OK; i++) {
			(*n)->key = value->keys ? value->keys[i].str.p : NULL;
			(*n)->key_len = value->keys ? value->keys[i].str.len : 0;
			rc = put_nodes(v, &value->items[i], n);
		}
	} else if (node->type == WR_T_BOOL) {
		node->u64 = value->tag == WR_V_TRUE;
	} else {
		node->u64 = node->type == WR_T_NULL ? 0 : value->u64;
	}
	return rc;
}

static int values_emit(struct wr_stage *s, struct values *v, const struct wr_value *value)
{
	struct wr_node *nodes, *end;
	int rc;

	wr_arena_reset(&v->nodes);
	nodes = end = wr_arena_alloc(&v->nodes, node_count(value) * sizeof *nodes);
	if (!nodes)
		return WR_EFATAL;
	rc = put_nodes(v, value, &end);
	return rc == WR_OK ? wr_learner_row(v->learner, nodes, WR_TS_NONE, s->outs[0]) : rc;
}

static int values_poll(struct wr_stage *s)
{
	struct values *v = s->state;
	int rc = WR_OK;

	for (uint32_t n = 0; n < VALUES_BATCH && rc == WR_OK; n++) {
		struct wr_lane *l = wr_lanes_first(&v->lanes, v->count);

		if (!l)
			return WR_END;
		rc = values_emit(s, v, &v->items[l->next]);
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
	wr_learner_free(v->learner);
	wr_lanes_deinit(&v->lanes);
	wr_arena_deinit(&v->nodes);
	wr_bytes_deinit(&v->tagged);
	wr_free(&values_mem, v);
	s->state = NULL;
}

const struct wr_stage_ops wr_values_ops = {.kind = "values",
					   .open = values_open,
					   .poll = values_poll,
					   .save = values_save,
					   .restore = values_restore,
					   .free = values_free};
