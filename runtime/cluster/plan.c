/* SPDX-License-Identifier: Apache-2.0 */
/* plan: from a tagged value to structs, everything checked that the job relies on. */
#include "cluster/plan.h"

#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("cluster.plan");
enum { VERSION = 1, VERTICES_MAX = 10000 };

static void *take(struct wr_plan *p, size_t count, size_t size)
{
	void *to = wr_arena_alloc(&p->arena, (count + 1) * size);

	if (to)
		memset(to, 0, (count + 1) * size);
	return to;
}

static int bad(const char *what)
{
	return wr_error_set(WR_EUSER, "malformed plan: %s", what);
}

static int read_names(struct wr_plan *p, const struct wr_value *v, const char *field, struct wr_str **out,
		      uint32_t *count)
{
	const struct wr_value *items = wr_value_list(v, field, count);

	if (*count > WR_KEY_PARTS_MAX)
		return bad("a key of too many parts");
	*out = take(p, *count, sizeof **out);
	if (!*out)
		return WR_EFATAL;
	for (uint32_t i = 0; i < *count; i++) {
		if (items[i].tag != WR_V_STR)
			return bad("a key that is no name");
		(*out)[i] = (struct wr_str){items[i].str.p, items[i].str.len};
	}
	return WR_OK;
}

static int read_states(struct wr_plan *p, struct wr_plan_stage *s)
{
	static const char *const kinds[] = {"value", "list", "map", "reducing", "aggregating"};
	const struct wr_value *items = wr_value_list(s->value, "states", &s->state_count);

	s->states = take(p, s->state_count, sizeof *s->states);
	if (!s->states)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->state_count; i++) {
		const char *kind = wr_value_str(&items[i], "kind", "?");
		struct wr_state_desc *d = &s->states[i];
		unsigned k;

		for (k = 0; k < 5 && strcmp(kinds[k], kind); k++)
			;
		if (k == 5)
			return bad("unknown kind of state");
		d->kind = (enum wr_state_kind)k;
		d->name = wr_value_str(&items[i], "name", "");
		d->ttl_ms = wr_value_int(&items[i], "ttl", 0);
		d->ttl_update = strcmp(wr_value_str(&items[i], "ttl_update", "write"), "read") == 0
					? WR_TTL_ON_READ_AND_WRITE
					: WR_TTL_ON_WRITE;
		d->ttl_return_expired = wr_value_bool(&items[i], "ttl_return_expired", false);
	}
	return WR_OK;
}

static int read_outs(struct wr_plan *p, struct wr_plan_stage *s)
{
	const struct wr_value *outs = wr_value_list(s->value, "outs", &s->out_count);

	s->outs = take(p, s->out_count, sizeof *s->outs);
	if (!s->outs)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->out_count; i++) {
		struct wr_plan_out *o = &s->outs[i];
		const struct wr_value *targets = wr_value_list(&outs[i], "targets", &o->target_count);

		o->tag = wr_value_str(&outs[i], "tag", "");
		o->targets = take(p, o->target_count, sizeof *o->targets);
		if (!o->targets)
			return WR_EFATAL;
		for (uint32_t k = 0; k < o->target_count; k++) {
			o->targets[k].edge = (int32_t)wr_value_int(&targets[k], "edge", -1);
			o->targets[k].stage = (int32_t)wr_value_int(&targets[k], "stage", -1);
			o->targets[k].input = (uint32_t)wr_value_int(&targets[k], "input", 0);
		}
	}
	return WR_OK;
}

static int read_stage(struct wr_plan *p, const struct wr_value *v, struct wr_plan_stage *s)
{
	const struct wr_value *ops;
	int rc;

	s->value = v;
	s->kind = wr_value_str(v, "kind", "?");
	s->name = wr_value_str(v, "name", "?");
	s->on_error = wr_value_str(v, "on_error", "fail");
	ops = wr_value_list(v, "operators", &s->op_count);
	if (!s->op_count || s->op_count > 64)
		return bad("a stage of no or of too many operators");
	s->op_names = take(p, s->op_count, sizeof *s->op_names);
	s->op_uids = take(p, s->op_count, sizeof *s->op_uids);
	if (!s->op_names || !s->op_uids)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->op_count; i++) {
		s->op_names[i] = wr_value_str(&ops[i], "name", "?");
		s->op_uids[i] = wr_value_str(&ops[i], "uid", "");
	}
	rc = read_names(p, v, "key", &s->key, &s->key_count);
	if (rc == WR_OK)
		rc = read_states(p, s);
	return rc == WR_OK ? read_outs(p, s) : rc;
}

static int read_vertex(struct wr_plan *p, const struct wr_value *v, struct wr_plan_vertex *to)
{
	const struct wr_value *stages = wr_value_list(v, "stages", &to->stage_count);
	int rc = WR_OK;

	to->name = wr_value_str(v, "name", "?");
	to->uid = wr_value_str(v, "uid", "");
	to->parallelism = (uint32_t)wr_value_int(v, "parallelism", 1);
	to->max_parallelism = (uint32_t)wr_value_int(v, "max_parallelism",
						     wr_max_parallelism_default(to->parallelism));
	to->inputs = (uint32_t)wr_value_int(v, "inputs", 0);
	if (!to->stage_count || to->inputs > 2)
		return bad("a vertex without stages");
	rc = wr_parallelism_check(to->parallelism, to->max_parallelism);
	to->stages = take(p, to->stage_count, sizeof *to->stages);
	if (!to->stages)
		return WR_EFATAL;
	for (uint32_t i = 0; i < to->stage_count && rc == WR_OK; i++)
		rc = read_stage(p, &stages[i], &to->stages[i]);
	return rc;
}

static int read_edge(struct wr_plan *p, const struct wr_value *v, struct wr_plan_edge *e)
{
	static const char *const names[] = {"forward", "hash",	    "rebalance", "rescale",
					    "shuffle", "broadcast", "global",	 "custom"};
	const char *partition = wr_value_str(v, "partition", "?");
	unsigned k;

	for (k = 0; k < 8 && strcmp(names[k], partition); k++)
		;
	if (k == 8)
		return bad("unknown partitioning");
	e->partitioning = (enum wr_partitioning)k;
	e->name = wr_value_str(v, "name", "?");
	e->from = (uint32_t)wr_value_int(v, "from", UINT32_MAX);
	e->to = (uint32_t)wr_value_int(v, "to", UINT32_MAX);
	e->input = (uint32_t)wr_value_int(v, "input", 0);
	e->has_timeout = wr_value_get(v, "timeout") != NULL;
	e->timeout_us = wr_value_int(v, "timeout", 0);
	if (e->from >= p->vertex_count || e->to >= p->vertex_count || e->input > 1)
		return bad("an edge that leads nowhere");
	if (e->partitioning == WR_FORWARD && p->vertices[e->from].parallelism != p->vertices[e->to].parallelism)
		return bad("a forward edge between different parallelism");
	return read_names(p, v, "key", &e->key, &e->key_count);
}

/* Targets name what is there, and stages only what follows them. */
static int check_targets(const struct wr_plan *p)
{
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t s = 0; s < p->vertices[v].stage_count; s++) {
			const struct wr_plan_stage *stage = &p->vertices[v].stages[s];

			for (uint32_t o = 0; o < stage->out_count; o++)
				for (uint32_t t = 0; t < stage->outs[o].target_count; t++) {
					const struct wr_plan_target *to = &stage->outs[o].targets[t];

					if (to->edge >= 0 ? (uint32_t)to->edge >= p->edge_count ||
								    p->edges[to->edge].from != v
							  : to->stage <= (int32_t)s ||
								    (uint32_t)to->stage >=
									    p->vertices[v].stage_count)
						return bad("an output that leads nowhere");
				}
		}
	return WR_OK;
}

int wr_plan_decode(struct wr_plan *p, const uint8_t *bytes, size_t len)
{
	struct wr_reader r = wr_reader_of(bytes, len);
	const struct wr_value *list, *job;
	int rc;

	memset(p, 0, sizeof *p);
	wr_arena_init(&p->arena, &mem);
	rc = wr_value_parse(&r, &p->arena, &p->root);
	if (rc != WR_OK)
		return rc;
	if (wr_value_int(&p->root, "version", 0) != VERSION)
		return bad("of another version");
	job = wr_value_get(&p->root, "job");
	p->name = wr_value_str(job, "name", "job");
	p->seed = (uint64_t)wr_value_int(job, "seed", 0);
	p->bounded = wr_value_bool(job, "bounded", false);
	list = wr_value_list(&p->root, "vertices", &p->vertex_count);
	if (!p->vertex_count || p->vertex_count > VERTICES_MAX)
		return bad("no vertices, or too many");
	p->vertices = take(p, p->vertex_count, sizeof *p->vertices);
	if (!p->vertices)
		return WR_EFATAL;
	for (uint32_t i = 0; i < p->vertex_count && rc == WR_OK; i++)
		rc = read_vertex(p, &list[i], &p->vertices[i]);
	if (rc != WR_OK)
		return rc;
	list = wr_value_list(&p->root, "edges", &p->edge_count);
	p->edges = take(p, p->edge_count, sizeof *p->edges);
	if (!p->edges)
		return WR_EFATAL;
	for (uint32_t i = 0; i < p->edge_count && rc == WR_OK; i++)
		rc = read_edge(p, &list[i], &p->edges[i]);
	return rc == WR_OK ? check_targets(p) : rc;
}

void wr_plan_encode(const struct wr_plan *p, struct wr_bytes *out)
{
	wr_value_put(out, &p->root);
}

void wr_plan_deinit(struct wr_plan *p)
{
	wr_arena_deinit(&p->arena);
}
