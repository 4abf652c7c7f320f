/* SPDX-License-Identifier: Apache-2.0 */
/* figures: see figures.h. */
#include "control/figures.h"

#include <string.h>
#include "task/metrics.h"
#include "stream/remote.h"

/* Those of a task that are told; the first FIGURES_SUMMED are added up, of the others the largest counts. */
static const char *const task_figures[] = {"busy_ns",	 "back_pressured_ns", "idle_ns",
					   "waiting_ns", "queued_buffers",    "watermark_lag_ms"};
enum { FIGURES = sizeof task_figures / sizeof *task_figures, FIGURES_SUMMED = 5 };

struct op_figures {
	int64_t values[WR_OP_METRICS];
};
struct task_figures {
	int64_t values[FIGURES];
	bool told[FIGURES];
	struct op_figures *ops; /* in the order of its chain */
};
struct figures {
	struct wr_arena arena;
	struct task_figures *tasks; /* by vertex */
	uint32_t count;
};

static struct wr_mem mem = WR_MEM_INIT("control.figures");

static uint32_t operator_count(const struct wr_plan_vertex *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->stage_count; i++)
		n += v->stages[i].operator_count;
	return n;
}

static bool figures_init(struct figures *f, const struct wr_plan *p)
{
	size_t bytes = (p->vertex_count + 1) * sizeof *f->tasks;

	wr_arena_init(&f->arena, &mem);
	f->count = p->vertex_count;
	f->tasks = wr_arena_alloc(&f->arena, bytes);
	if (!f->tasks)
		return false;
	memset(f->tasks, 0, bytes);
	for (uint32_t v = 0; v < p->vertex_count; v++) {
		struct task_figures *t = &f->tasks[v];

		bytes = (operator_count(&p->vertices[v]) + 1) * sizeof *t->ops;
		t->ops = wr_arena_alloc(&f->arena, bytes);
		if (!t->ops)
			return false;
		memset(t->ops, 0, bytes);
	}
	return true;
}

static void add_task(struct task_figures *t, const struct wr_metric_entry *e)
{
	for (int i = 0; i < FIGURES; i++) {
		if (strcmp(task_figures[i], e->def->name))
			continue;
		if (i < FIGURES_SUMMED)
			t->values[i] += e->value;
		else if (!t->told[i] || e->value > t->values[i])
			t->values[i] = e->value;
		t->told[i] = true;
	}
}

static void add(const struct wr_metric_entry *e, void *arg)
{
	struct task_figures *t = &((struct figures *)arg)->tasks[e->owner->group];

	if (!e->kind)
		add_task(t, e);
	else if (!strcmp(e->kind, "operators"))
		t->ops[e->id].values[e->def - wr_op_metrics] += e->value;
}

static void put_name(struct wr_bytes *out, const char *field, const char *value)
{
	wr_bytes_printf(out, "\"%s\":", field);
	wr_bytes_put_json(out, value, strlen(value));
	wr_bytes_put_u8(out, ',');
}

static void put_remote(const struct wr_remote_view *v, uint64_t now_ns, struct wr_bytes *out)
{
	wr_bytes_printf(out, ",\"remote\":{\"splits\":%u,\"splits_held\":%u,\"lag\":%llu,\"lag_max\":%llu,",
			v->splits, v->held, (unsigned long long)v->lag, (unsigned long long)v->lag_max);
	put_name(out, "lag_of", v->lag_of);
	wr_bytes_printf(out, "\"unreachable_ms\":%llu,\"connection_errors\":%llu,\"last_error\":",
			v->down_ns ? (unsigned long long)(now_ns - v->down_ns) / 1000000 : 0,
			(unsigned long long)v->errors);
	wr_bytes_put_json(out, v->error, strlen(v->error));
	wr_bytes_put_u8(out, '}');
}

/* The first operator of a stage, whose servers are the stage's. */
static void put_remotes(const struct wr_job *j, struct wr_clock *clock, uint32_t vertex, uint32_t stage,
			struct wr_bytes *out)
{
	struct wr_remote_view v;

	if (wr_job_remote(j, vertex, stage, &v))
		put_remote(&v, wr_clock_ns(clock), out);
}

static void put_operator(const struct wr_plan_operator *o, const struct op_figures *f, struct wr_bytes *out)
{
	wr_bytes_put_u8(out, '{');
	put_name(out, "name", o->name);
	put_name(out, "uid", o->uid);
	for (int i = 0; i < WR_OP_METRICS; i++)
		wr_bytes_printf(out, "%s\"%s\":%lld", i ? "," : "", wr_op_metrics[i].name,
				(long long)f->values[i]);
}

static void put_task(const struct wr_job *j, struct wr_clock *clock, uint32_t vertex,
		     const struct task_figures *t, struct wr_bytes *out)
{
	const struct wr_plan_vertex *v = &wr_job_plan(j)->vertices[vertex];
	const struct op_figures *f = t->ops;

	wr_bytes_put_u8(out, '{');
	put_name(out, "name", v->name);
	wr_bytes_printf(out, "\"subtasks\":%u", v->parallelism);
	for (int i = 0; i < FIGURES; i++) {
		wr_bytes_printf(out, ",\"%s\":", task_figures[i]);
		if (t->told[i])
			wr_bytes_printf(out, "%lld", (long long)t->values[i]);
		else
			wr_bytes_printf(out, "null");
	}
	wr_bytes_printf(out, ",\"operators\":[");
	for (uint32_t s = 0; s < v->stage_count; s++)
		for (uint32_t k = 0; k < v->stages[s].operator_count; k++) {
			if (f != t->ops)
				wr_bytes_put_u8(out, ',');
			put_operator(&v->stages[s].operators[k], f++, out);
			if (k == 0)
				put_remotes(j, clock, vertex, s, out);
			wr_bytes_put_u8(out, '}');
		}
	wr_bytes_printf(out, "]}");
}

void wr_figures_json(const struct wr_job *j, struct wr_clock *clock, struct wr_bytes *out)
{
	const struct wr_plan *p = wr_job_plan(j);
	struct figures f;

	if (figures_init(&f, p)) {
		wr_metrics_each(wr_job_metrics(j), clock, add, &f);
		wr_bytes_put_u8(out, '[');
		for (uint32_t v = 0; v < f.count; v++) {
			if (v)
				wr_bytes_put_u8(out, ',');
			put_task(j, clock, v, &f.tasks[v], out);
		}
		wr_bytes_put_u8(out, ']');
	} else {
		out->failed = true;
	}
	wr_arena_deinit(&f.arena);
}
