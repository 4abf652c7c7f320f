/* SPDX-License-Identifier: Apache-2.0 */
/* plan: from a tagged value to structs. Every index is checked here and trusted afterwards. */
#include "cluster/plan.h"

#include <string.h>
#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("cluster.plan");

static void *room(struct wr_plan *p, size_t count, size_t size)
{
	void *at = wr_arena_alloc(&p->arena, (count + 1) * size);

	return at ? memset(at, 0, (count + 1) * size) : NULL;
}

/* Position of `name` in `names`, NULL-terminated; −1 if it is none of them. */
static int one_of(const char *name, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

static int index_of(const struct wr_value *v, const char *what, uint32_t count, uint32_t *out)
{
	int64_t i = wr_value_int(v, what, 0);

	if (i < 0 || i >= count)
		return wr_error_set(WR_EUSER, "plan: %s %lld is not below %u", what, (long long)i, count);
	*out = (uint32_t)i;
	return WR_OK;
}

static int read_names(struct wr_plan *p, const struct wr_value *list, struct wr_str **names, uint32_t *count)
{
	if (!list)
		return WR_OK;
	if (list->tag != WR_V_LIST || list->count == 0 || list->count > WR_KEY_PARTS_MAX)
		return wr_error_set(WR_EUSER, "plan: a key has 1 to %d parts", WR_KEY_PARTS_MAX);
	*names = room(p, list->count, sizeof **names);
	if (!*names)
		return WR_EFATAL;
	*count = list->count;
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->items[i].tag != WR_V_STR)
			return wr_error_set(WR_EUSER, "plan: a key is named by strings");
		(*names)[i] = (struct wr_str){list->items[i].str.p, list->items[i].str.len};
	}
	return WR_OK;
}

static int read_states(struct wr_plan *p, const struct wr_value *v, struct wr_plan_stage *s)
{
	static const char *const kinds[] = {"value", "list", "map", "reducing", "aggregating", NULL};
	const struct wr_value *list = wr_value_list(v, "states", &s->state_count);

	s->states = room(p, s->state_count, sizeof *s->states);
	if (!s->states)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->state_count; i++) {
		struct wr_state_desc *d = &s->states[i];
		int kind = one_of(wr_value_str(&list[i], "kind", ""), kinds);

		if (kind < 0)
			return wr_error_set(WR_EUSER, "plan: unknown kind of state");
		d->kind = (enum wr_state_kind)kind;
		d->name = wr_value_str(&list[i], "name", "");
		d->ttl_ms = wr_value_int(&list[i], "ttl", 0);
		d->ttl_return_expired = wr_value_bool(&list[i], "ttl_return_expired", false);
		d->version = (uint32_t)wr_value_int(&list[i], "version", 1) - 1;
		if (!strcmp(wr_value_str(&list[i], "ttl_update", "write"), "read"))
			d->ttl_update = WR_TTL_ON_READ_AND_WRITE;
	}
	return WR_OK;
}

/* The operator whose rows leave by port `port`: named by the links of a fused stage, else the only one. */
static uint32_t port_operator(const struct wr_plan_stage *s, uint32_t port)
{
	uint32_t count = 0;
	const struct wr_value *links = s->options ? wr_value_list(s->options, "links", &count) : NULL;

	for (uint32_t i = 0; i < count; i++) {
		int64_t from = wr_value_int(&links[i], "from", 0);

		if (wr_value_int(&links[i], "port", -1) != port)
			continue;
		for (uint32_t k = 0; k < s->operator_count; k++)
			if (s->operators[k].id == from)
				return k;
	}
	return s->operator_count - 1;
}

static int read_target(const struct wr_value *v, uint32_t stage, uint32_t stages, uint32_t edges,
		       struct wr_plan_target *t)
{
	int rc;

	t->is_edge = wr_value_get(v, "edge") != NULL;
	if (t->is_edge)
		return index_of(v, "edge", edges, &t->to);
	rc = index_of(v, "stage", stages, &t->to);
	if (rc == WR_OK && t->to <= stage)
		rc = wr_error_set(WR_EUSER, "plan: stage %u leads back to stage %u", stage, t->to);
	return rc == WR_OK ? index_of(v, "input", 2, &t->input) : rc;
}

static int read_outs(struct wr_plan *p, const struct wr_value *v, struct wr_plan_stage *s, uint32_t stage,
		     uint32_t stages)
{
	const struct wr_value *list = wr_value_list(v, "outs", &s->out_count);
	int rc = WR_OK;

	s->outs = room(p, s->out_count, sizeof *s->outs);
	if (!s->outs)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->out_count && rc == WR_OK; i++) {
		struct wr_plan_out *o = &s->outs[i];
		const struct wr_value *targets = wr_value_list(&list[i], "targets", &o->target_count);

		o->tag = wr_value_str(&list[i], "tag", "");
		o->op = port_operator(s, i);
		o->targets = room(p, o->target_count, sizeof *o->targets);
		if (!o->targets)
			return WR_EFATAL;
		for (uint32_t k = 0; k < o->target_count && rc == WR_OK; k++)
			rc = read_target(&targets[k], stage, stages, p->edge_count, &o->targets[k]);
	}
	return rc;
}

static int read_operators(struct wr_plan *p, const struct wr_value *v, struct wr_plan_stage *s)
{
	const struct wr_value *list = wr_value_list(v, "operators", &s->operator_count);

	if (s->operator_count == 0)
		return wr_error_set(WR_EUSER, "plan: stage '%s' has no operator", s->name);
	s->operators = room(p, s->operator_count, sizeof *s->operators);
	if (!s->operators)
		return WR_EFATAL;
	for (uint32_t i = 0; i < s->operator_count; i++) {
		s->operators[i].id = (uint32_t)wr_value_int(&list[i], "id", 0);
		s->operators[i].name = wr_value_str(&list[i], "name", "");
		s->operators[i].uid = wr_value_str(&list[i], "uid", "");
		s->operators[i].where = wr_value_str(&list[i], "where", NULL);
	}
	return WR_OK;
}

static int read_stage(struct wr_plan *p, const struct wr_value *v, struct wr_plan_vertex *vertex, uint32_t at)
{
	static const char *const policies[] = {"fail", "skip", "dead_letter", NULL};
	struct wr_plan_stage *s = &vertex->stages[at];
	int policy = one_of(wr_value_str(v, "on_error", "fail"), policies);
	int rc;

	s->value = v;
	s->options = wr_value_get(v, "options");
	s->kind = wr_value_str(v, "kind", "");
	s->name = wr_value_str(v, "name", "");
	if (policy < 0)
		return wr_error_set(WR_EUSER, "plan: stage '%s': unknown on_error", s->name);
	s->on_error = (enum wr_on_error)policy;
	rc = read_operators(p, v, s);
	if (rc == WR_OK)
		rc = read_names(p, wr_value_get(v, "key"), &s->key, &s->key_count);
	if (rc == WR_OK)
		rc = read_states(p, v, s);
	return rc == WR_OK ? read_outs(p, v, s, at, vertex->stage_count) : rc;
}

static int read_vertex(struct wr_plan *p, const struct wr_value *v, struct wr_plan_vertex *to)
{
	const struct wr_value *stages = wr_value_list(v, "stages", &to->stage_count);
	int64_t parallelism = wr_value_int(v, "parallelism", 1);
	int64_t max = wr_value_int(v, "max_parallelism", 0);
	int rc;

	to->name = wr_value_str(v, "name", "");
	to->uid = wr_value_str(v, "uid", "");
	to->slot_group = wr_value_str(v, "slot_group", "default");
	if (max == 0 && parallelism > 0 && parallelism <= WR_PARALLELISM_MAX)
		max = wr_max_parallelism_default((uint32_t)parallelism);
	rc = wr_parallelism_check(parallelism, max);
	if (rc != WR_OK)
		return wr_error_wrap(rc, "plan: '%s'", to->name);
	to->parallelism = (uint32_t)parallelism;
	to->max_parallelism = (uint32_t)max;
	to->max_derived = wr_value_bool(v, "max_derived", false);
	to->second_first = wr_value_bool(v, "second_first", false);
	rc = index_of(v, "inputs", 3, &to->inputs);
	if (rc == WR_OK && to->stage_count == 0)
		rc = wr_error_set(WR_EUSER, "plan: '%s' has no stage", to->name);
	to->stages = room(p, to->stage_count, sizeof *to->stages);
	if (!to->stages)
		return WR_EFATAL;
	for (uint32_t i = 0; i < to->stage_count && rc == WR_OK; i++)
		rc = read_stage(p, &stages[i], to, i);
	return rc;
}

static int read_merge(struct wr_plan *p, const struct wr_value *v, struct wr_plan_edge *e)
{
	/* in the order of enum wr_merge_fn */
	static const char *const names[] = {"sum", "min", "max", NULL};
	uint32_t count = 0;
	const struct wr_value *fields = v ? wr_value_list(v, "fields", &count) : NULL;

	if (!v)
		return WR_OK;
	if (count > WR_MERGE_FIELDS_MAX)
		return wr_error_set(WR_EUSER, "plan: edge '%s' merges %u fields, at most %d are possible",
				    e->name, count, WR_MERGE_FIELDS_MAX);
	e->merge = room(p, 1, sizeof *e->merge);
	if (!e->merge)
		return WR_EFATAL;
	*e->merge = (struct wr_merge){.count = count,
				      .weighs = wr_value_bool(v, "weighs", false),
				      .grain = wr_value_int(v, "grain", 0),
				      .offset = wr_value_int(v, "offset", 0)};
	if (e->merge->grain < 0)
		return wr_error_set(WR_EUSER, "plan: edge '%s' merges by a grain of %lld", e->name,
				    (long long)e->merge->grain);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = wr_value_str(&fields[i], "field", "");
		int fn = one_of(wr_value_str(&fields[i], "fn", ""), names);

		if (fn < 0)
			return wr_error_set(WR_EUSER, "plan: edge '%s': unknown merge", e->name);
		e->merge->fields[i].name = (struct wr_str){name, (uint32_t)strlen(name)};
		e->merge->fields[i].fn = (enum wr_merge_fn)fn;
	}
	return WR_OK;
}

static int read_edge(struct wr_plan *p, const struct wr_value *v, struct wr_plan_edge *e)
{
	/* in the order of enum wr_partitioning */
	static const char *const names[] = {"forward",	 "hash",   "rebalance", "rescale", "shuffle",
					    "broadcast", "global", "custom",	NULL};
	int partitioning = one_of(wr_value_str(v, "partition", "forward"), names);
	int rc;

	e->name = wr_value_str(v, "name", "");
	if (partitioning < 0)
		return wr_error_set(WR_EUSER, "plan: edge '%s': unknown partition", e->name);
	e->partitioning = (enum wr_partitioning)partitioning;
	e->has_timeout = wr_value_get(v, "timeout") != NULL;
	e->timeout_us = wr_value_int(v, "timeout", 0);
	rc = index_of(v, "from", p->vertex_count, &e->from);
	if (rc == WR_OK)
		rc = index_of(v, "to", p->vertex_count, &e->to);
	if (rc == WR_OK)
		rc = index_of(v, "input", 2, &e->input);
	if (rc == WR_OK)
		rc = read_names(p, wr_value_get(v, "key"), &e->key, &e->key_count);
	if (rc == WR_OK && e->partitioning == WR_HASH && !e->key)
		rc = wr_error_set(WR_EUSER, "plan: hash edge '%s' has no key", e->name);
	if (rc == WR_OK)
		rc = read_merge(p, wr_value_get(v, "merge"), e);
	return rc;
}

/* What holds between the parts: forward edges join equal parallelism, inputs exist, ends are where rows are.
 */
static int check(const struct wr_plan *p)
{
	for (uint32_t i = 0; i < p->edge_count; i++) {
		const struct wr_plan_edge *e = &p->edges[i];
		const struct wr_plan_vertex *from = &p->vertices[e->from], *to = &p->vertices[e->to];

		if (e->partitioning == WR_FORWARD && from->parallelism != to->parallelism)
			return wr_error_set(WR_EUSER, "plan: forward edge '%s' from %u to %u subtasks",
					    e->name, from->parallelism, to->parallelism);
		if (e->input >= to->inputs)
			return wr_error_set(WR_EUSER,
					    "plan: edge '%s' leads to input %u of '%s', which has %u",
					    e->name, e->input, to->name, to->inputs);
	}
	for (uint32_t i = 0; i < p->vertex_count; i++)
		for (uint32_t k = 0; k < p->vertices[i].stage_count; k++)
			for (uint32_t o = 0; o < p->vertices[i].stages[k].out_count; o++) {
				const struct wr_plan_out *out = &p->vertices[i].stages[k].outs[o];

				for (uint32_t t = 0; t < out->target_count; t++)
					if (out->targets[t].is_edge && p->edges[out->targets[t].to].from != i)
						return wr_error_set(WR_EUSER,
								    "plan: edge %u begins elsewhere",
								    out->targets[t].to);
			}
	return WR_OK;
}

static int read_plan(struct wr_plan *p)
{
	const struct wr_value *job = wr_value_get(&p->value, "job");
	const struct wr_value *vertices = wr_value_list(&p->value, "vertices", &p->vertex_count);
	const struct wr_value *edges = wr_value_list(&p->value, "edges", &p->edge_count);
	int64_t version = wr_value_int(&p->value, "version", 0);
	int rc = WR_OK;

	if (version != WR_PLAN_VERSION || !job)
		return wr_error_set(WR_EUSER, "plan of version %lld: this program reads version %d",
				    (long long)version, WR_PLAN_VERSION);
	p->job = wr_value_str(job, "name", "");
	p->seed = (uint64_t)wr_value_int(job, "seed", 0);
	p->bounded = wr_value_bool(job, "bounded", false);
	p->vertices = room(p, p->vertex_count, sizeof *p->vertices);
	p->edges = room(p, p->edge_count, sizeof *p->edges);
	if (!p->vertices || !p->edges)
		return WR_EFATAL;
	for (uint32_t i = 0; i < p->vertex_count && rc == WR_OK; i++)
		rc = read_vertex(p, &vertices[i], &p->vertices[i]);
	for (uint32_t i = 0; i < p->edge_count && rc == WR_OK; i++)
		rc = read_edge(p, &edges[i], &p->edges[i]);
	return rc == WR_OK ? check(p) : rc;
}

struct wr_plan *wr_plan_decode(const void *bytes, size_t len)
{
	struct wr_plan *p = wr_zalloc(&mem, sizeof *p);
	struct wr_reader r = wr_reader_of(bytes, len), probe = r;
	int rc;

	if (!p)
		return NULL;
	wr_arena_init(&p->arena, &mem);
	rc = wr_value_verify(&probe);
	if (rc == WR_OK)
		rc = wr_value_parse(&r, &p->arena, &p->value);
	if (rc == WR_OK && p->value.tag != WR_V_RECORD)
		rc = wr_error_set(WR_EUSER, "plan: not a record");
	if (rc == WR_OK)
		rc = read_plan(p);
	if (rc == WR_OK)
		return p;
	wr_plan_free(p);
	return NULL;
}

void wr_plan_encode(const struct wr_plan *p, struct wr_bytes *out)
{
	wr_value_put(out, &p->value);
}

void wr_plan_free(struct wr_plan *p)
{
	if (!p)
		return;
	wr_arena_deinit(&p->arena);
	wr_free(&mem, p);
}

void wr_plan_adopt(struct wr_plan *p, uint32_t (*groups_of)(const void *arg, const char *uid),
		   const void *arg)
{
	for (uint32_t i = 0; i < p->vertex_count; i++) {
		struct wr_plan_vertex *v = &p->vertices[i];
		uint32_t groups = 0;

		for (uint32_t k = 0; k < v->stage_count && v->max_derived && !groups; k++)
			if (v->stages[k].key || v->stages[k].state_count)
				groups = groups_of(arg, v->stages[k].operators[0].uid);
		if (groups >= v->parallelism)
			v->max_parallelism = groups;
	}
}
