/* SPDX-License-Identifier: Apache-2.0 */
/* job: builds a plan's tasks and runs them. */
#include "cluster/job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/thread.h"
#include "cluster/coordinator.h"
#include "task/sched.h"

static struct wr_mem mem = WR_MEM_INIT("cluster.job");
static struct wr_mem mem_state = WR_MEM_INIT("state");

enum { STEP_NS = 1000000, IO_THREADS = 8, RESERVE_EXTRA = 8 };

struct subtask {
	struct wr_seat *seat;
	struct wr_task *task;
};
/* Channels of an edge: [sender * receivers + receiver]; NULL where the two are not connected. */
struct edge {
	struct wr_channel **channels;
};

struct wr_job {
	struct wr_job_options o;
	const struct wr_plan *plan;
	struct wr_sched *sched;
	struct wr_pools *pools;
	struct wr_iopool *io;
	struct wr_coordinator *coordinator;
	struct subtask **subtasks; /* by vertex */
	uint32_t task_count;
	struct subtask **flat; /* all, in order */
	struct edge *edges;
	_Atomic int stops; /* asked for: 1 in order, 2 at once */
	int stopped;	   /* done about it */
	_Atomic uint32_t done;
	_Atomic int gone;
	pthread_mutex_t mutex;
	int failed; /* code of the first failure */
	char failure[8192];
};

/* ---- building ---- */

static bool connected(const struct wr_plan_edge *e, uint32_t p, uint32_t q, uint32_t from, uint32_t to)
{
	if (e->partitioning == WR_FORWARD)
		return from == to;
	if (e->partitioning != WR_RESCALE)
		return true;
	/* pointwise: each of the larger side belongs to one of the smaller */
	return p < q ? (uint64_t)to * p / q == from : (uint64_t)from * q / p == to;
}

static int make_channels(struct wr_job *j)
{
	const struct wr_plan *plan = j->plan;

	for (uint32_t i = 0; i < plan->edge_count; i++) {
		const struct wr_plan_edge *e = &plan->edges[i];
		uint32_t p = plan->vertices[e->from].parallelism, q = plan->vertices[e->to].parallelism;

		j->edges[i].channels = wr_zalloc(&mem, (size_t)p * q * sizeof(struct wr_channel *));
		if (!j->edges[i].channels)
			return WR_EFATAL;
		for (uint32_t from = 0; from < p; from++)
			for (uint32_t to = 0; to < q; to++) {
				struct wr_notify wake = wr_seat_wake(j->subtasks[e->to][to].seat);
				struct wr_channel **c = &j->edges[i].channels[(size_t)from * q + to];

				if (!connected(e, p, q, from, to))
					continue;
				*c = wr_ring_new(&wake);
				if (!*c)
					return WR_EFATAL;
			}
	}
	return WR_OK;
}

static struct wr_gate *make_gate(struct wr_job *j, uint32_t v, uint32_t subtask)
{
	const struct wr_plan *plan = j->plan;
	uint32_t count = 0, cap = 0;
	struct wr_gate_channel *list;
	struct wr_gate *gate;

	for (uint32_t i = 0; i < plan->edge_count; i++)
		if (plan->edges[i].to == v)
			cap += plan->vertices[plan->edges[i].from].parallelism;
	list = wr_alloc(&mem, (cap + 1) * sizeof *list);
	if (!list)
		return NULL;
	for (uint32_t i = 0; i < plan->edge_count; i++) {
		const struct wr_plan_edge *e = &plan->edges[i];
		uint32_t q = plan->vertices[v].parallelism;

		if (e->to != v)
			continue;
		for (uint32_t from = 0; from < plan->vertices[e->from].parallelism; from++) {
			struct wr_channel *c = j->edges[i].channels[(size_t)from * q + subtask];

			if (c)
				list[count++] = (struct wr_gate_channel){c, e->input};
		}
	}
	gate = wr_gate_new(list, count);
	wr_free(&mem, list);
	return gate;
}

static int on_bad_row(void *arg, const struct wr_elem *row, int code)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	char why[512];

	(void)arg;
	snprintf(why, sizeof why, "%s", wr_error_text());
	wr_row_json_short(row, 400, &text);
	wr_error_set(code, "key_by: %s\n  record: %.*s", why, (int)text.len, text.data ? (char *)text.data : "");
	wr_bytes_deinit(&text);
	return code;
}

static struct wr_writer *make_writer(struct wr_job *j, uint32_t edge, uint32_t subtask)
{
	const struct wr_plan_edge *e = &j->plan->edges[edge];
	uint32_t q = j->plan->vertices[e->to].parallelism, count = 0, lanes;
	struct wr_channel **channels = wr_alloc(&mem, q * sizeof *channels);
	struct wr_notify ready = wr_seat_wake(j->subtasks[e->from][subtask].seat);
	struct wr_writer *w = NULL;
	struct wr_writer_options o = {
		.name = e->name,
		.partitioning = e->partitioning,
		.key_names = e->key,
		.key_count = e->key_count,
		.max_parallelism = j->plan->vertices[e->to].max_parallelism,
		.timeout_us = e->has_timeout ? e->timeout_us : j->o.buffer_timeout_us,
		.seed = j->o.seed + edge * 1000003u + subtask,
		.on_bad_row = on_bad_row,
	};

	if (!channels)
		return NULL;
	for (uint32_t to = 0; to < q; to++) {
		struct wr_channel *c = j->edges[edge].channels[(size_t)subtask * q + to];

		if (c)
			channels[count++] = c;
	}
	lanes = e->partitioning == WR_BROADCAST ? 1 : count;
	o.channels = channels;
	o.channel_count = count;
	/* each lane: one buffer being filled and one under way, one for an event; and some to run ahead */
	o.pool = wr_pool_new(j->pools, e->name, 3 * lanes + RESERVE_EXTRA, lanes, &ready);
	if (o.pool) {
		w = wr_writer_new(&o);
		if (!w)
			wr_pool_free(o.pool);
	}
	wr_free(&mem, channels);
	return w;
}

static const struct wr_stage_ops *find_kind(const struct wr_job *j, const char *kind)
{
	for (unsigned l = 0; l < j->o.kind_lists; l++)
		for (unsigned i = 0; i < j->o.kind_counts[l]; i++)
			if (!strcmp(j->o.kinds[l][i].kind, kind))
				return j->o.kinds[l][i].ops;
	return NULL;
}

static enum wr_on_error policy_of(const char *name)
{
	if (!strcmp(name, "skip"))
		return WR_ON_ERROR_SKIP;
	return strcmp(name, "dead_letter") ? WR_ON_ERROR_FAIL : WR_ON_ERROR_DEAD_LETTER;
}

/* Everything of one subtask on its way to wr_task_new. */
struct build {
	struct wr_stage_spec *stages;
	struct wr_writer **writers; /* by edge index; NULL where the vertex has no such edge */
	struct wr_writer **list;
	uint32_t list_count;
};

static int build_stage(struct wr_job *j, uint32_t v, uint32_t subtask, uint32_t at, struct build *b)
{
	const struct wr_plan_vertex *vertex = &j->plan->vertices[v];
	const struct wr_plan_stage *s = &vertex->stages[at];
	struct wr_stage_spec *to = &b->stages[at];
	struct wr_out_spec *outs = wr_zalloc(&mem, (s->out_count + 1) * sizeof *outs);

	if (!outs)
		return WR_EFATAL;
	to->outs = outs;
	to->out_count = s->out_count;
	to->ops = find_kind(j, s->kind);
	if (!to->ops)
		return wr_error_set(WR_EUSER, "operator '%s': this program has no '%s'", s->name, s->kind);
	to->plan = s->value;
	to->names = s->op_names;
	to->uids = s->op_uids;
	to->op_count = s->op_count;
	to->on_error = policy_of(s->on_error);
	for (uint32_t i = 0; i < s->out_count; i++) {
		const struct wr_plan_out *o = &s->outs[i];
		struct wr_target *targets = wr_zalloc(&mem, (o->target_count + 1) * sizeof *targets);

		if (!targets)
			return WR_EFATAL;
		outs[i] = (struct wr_out_spec){o->tag, targets, o->target_count};
		for (uint32_t k = 0; k < o->target_count; k++) {
			if (o->targets[k].edge >= 0)
				targets[k].writer = b->writers[o->targets[k].edge];
			else
				targets[k].stage = (uint32_t)o->targets[k].stage;
			targets[k].input = o->targets[k].input;
		}
	}
	if (s->key_count) {
		struct wr_store_options so = {.operator_uid = s->op_uids[0],
					      .states = s->states,
					      .state_count = s->state_count,
					      .max_parallelism = vertex->max_parallelism,
					      .mem = &mem_state};

		wr_key_group_range(vertex->max_parallelism, vertex->parallelism, subtask, &so.group_first,
				   &so.group_last);
		to->store = wr_store_new(&so);
		to->keyer = wr_keyer_new(s->key, s->key_count);
		if (!to->store || !to->keyer)
			return WR_EFATAL;
	}
	return WR_OK;
}

static void build_deinit(struct build *b, uint32_t stages, bool taken)
{
	for (uint32_t i = 0; b->stages && i < stages; i++) {
		struct wr_stage_spec *s = &b->stages[i];

		for (uint32_t k = 0; s->outs && k < s->out_count; k++)
			wr_free(&mem, (void *)s->outs[k].targets);
		wr_free(&mem, (void *)s->outs);
		if (!taken) {
			wr_store_free(s->store);
			wr_keyer_free(s->keyer);
		}
	}
	for (uint32_t i = 0; !taken && i < b->list_count; i++)
		wr_writer_free(b->list[i]);
	wr_free(&mem, b->stages);
	wr_free(&mem, b->writers);
	wr_free(&mem, b->list);
}

static void post(void *arg, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		 const void *payload, uint32_t len)
{
	struct wr_job *j = arg;

	(void)stage;
	wr_coordinator_post(j->coordinator, vertex, subtask, type, payload, len);
}

static int build_task(struct wr_job *j, uint32_t v, uint32_t subtask)
{
	const struct wr_plan_vertex *vertex = &j->plan->vertices[v];
	struct build b = {0};
	struct wr_task_options o = {.wake = wr_seat_wake(j->subtasks[v][subtask].seat), .step_ns = STEP_NS};
	int rc = WR_OK;

	b.stages = wr_zalloc(&mem, vertex->stage_count * sizeof *b.stages);
	b.writers = wr_zalloc(&mem, (j->plan->edge_count + 1) * sizeof *b.writers);
	b.list = wr_zalloc(&mem, (j->plan->edge_count + 1) * sizeof *b.list);
	if (!b.stages || !b.writers || !b.list)
		rc = WR_EFATAL;
	for (uint32_t i = 0; rc == WR_OK && i < j->plan->edge_count; i++) {
		if (j->plan->edges[i].from != v)
			continue;
		b.writers[i] = b.list[b.list_count] = make_writer(j, i, subtask);
		rc = b.writers[i] ? WR_OK : wr_error_code();
		b.list_count += b.writers[i] != NULL;
	}
	for (uint32_t i = 0; rc == WR_OK && i < vertex->stage_count; i++)
		rc = build_stage(j, v, subtask, i, &b);
	if (rc == WR_OK) {
		o.env = (struct wr_stage_env){.job = j->plan->name,
					      .task = vertex->name,
					      .subtask = subtask,
					      .parallelism = vertex->parallelism,
					      .max_parallelism = vertex->max_parallelism,
					      .clock = j->o.clock,
					      .rand = {j->o.seed ^ ((uint64_t)v << 32 | subtask)},
					      .io = j->io,
					      .post = post,
					      .post_arg = j,
					      .vertex = v,
					      .bundle = j->o.bundle};
		o.stages = b.stages;
		o.stage_count = vertex->stage_count;
		o.gate = vertex->inputs ? make_gate(j, v, subtask) : NULL;
		o.writers = b.list;
		o.writer_count = b.list_count;
		j->subtasks[v][subtask].task = wr_task_new(&o);
		rc = j->subtasks[v][subtask].task ? WR_OK : WR_EFATAL;
	}
	build_deinit(&b, vertex->stage_count, rc == WR_OK);
	return rc;
}

static int make_seats(struct wr_job *j)
{
	uint32_t at = 0;

	for (uint32_t v = 0; v < j->plan->vertex_count; v++) {
		uint32_t n = j->plan->vertices[v].parallelism;

		j->subtasks[v] = wr_zalloc(&mem, n * sizeof **j->subtasks);
		if (!j->subtasks[v])
			return WR_EFATAL;
		for (uint32_t i = 0; i < n; i++) {
			/* neighbours in the graph on different workers, subtasks of a vertex spread evenly */
			j->subtasks[v][i].seat = wr_sched_seat(j->sched, v + i);
			if (!j->subtasks[v][i].seat)
				return WR_EFATAL;
			j->flat[at++] = &j->subtasks[v][i];
		}
	}
	return WR_OK;
}

static void on_done(void *arg, struct wr_task *t)
{
	struct wr_job *j = arg;

	if (wr_task_failed(t)) {
		struct wr_task_stats s;

		wr_task_stats(t, &s);
		pthread_mutex_lock(&j->mutex);
		if (!j->failed) {
			j->failed = wr_error_code() ? wr_error_code() : WR_EBUG;
			snprintf(j->failure, sizeof j->failure, "%s", wr_error_text());
		}
		pthread_mutex_unlock(&j->mutex);
	}
	if (wr_task_failed(t) || wr_task_gone(t)) {
		atomic_store(&j->gone, 1);
		for (uint32_t i = 0; i < j->task_count; i++)
			wr_task_cancel(j->flat[i]->task);
	}
	atomic_fetch_add(&j->done, 1);
	wr_coordinator_wake(j->coordinator);
}

/* Letter of an enumerator to a reader: the first stage of the vertex. */
static void deliver(void *arg, uint32_t vertex, uint32_t subtask, uint32_t type, const void *payload,
		    uint32_t len)
{
	struct wr_job *j = arg;

	wr_task_post(j->subtasks[vertex][subtask].task, 0, type, payload, len);
}

static int job_build(struct wr_job *j)
{
	struct wr_sched_options so = {.workers = j->o.workers,
				      .spin = j->o.spin,
				      .clock = j->o.clock,
				      .on_done = on_done,
				      .arg = j};
	int rc;

	for (uint32_t v = 0; v < j->plan->vertex_count; v++)
		j->task_count += j->plan->vertices[v].parallelism;
	j->sched = wr_sched_new(&so);
	j->pools = wr_pools_new(j->o.buffer_size, j->o.pool_bytes ? j->o.pool_bytes : INT64_MAX);
	j->io = wr_iopool_new(IO_THREADS);
	j->subtasks = wr_zalloc(&mem, j->plan->vertex_count * sizeof *j->subtasks);
	j->flat = wr_zalloc(&mem, j->task_count * sizeof *j->flat);
	j->edges = wr_zalloc(&mem, (j->plan->edge_count + 1) * sizeof *j->edges);
	if (!j->sched || !j->pools || !j->io || !j->subtasks || !j->flat || !j->edges)
		return WR_EFATAL;
	j->coordinator = wr_coordinator_new(j->plan, deliver, j);
	rc = j->coordinator ? make_seats(j) : wr_error_code();
	if (rc == WR_OK)
		rc = make_channels(j);
	for (uint32_t v = 0; rc == WR_OK && v < j->plan->vertex_count; v++)
		for (uint32_t i = 0; rc == WR_OK && i < j->plan->vertices[v].parallelism; i++) {
			rc = build_task(j, v, i);
			if (rc == WR_OK)
				wr_seat_take(j->subtasks[v][i].seat, j->subtasks[v][i].task);
		}
	return rc;
}

int wr_job_new(const struct wr_job_options *o, struct wr_job **job)
{
	struct wr_job *j = wr_zalloc(&mem, sizeof *j);
	int rc;

	if (!j)
		return WR_EFATAL;
	j->o = *o;
	j->plan = o->plan;
	pthread_mutex_init(&j->mutex, NULL);
	rc = job_build(j);
	if (rc != WR_OK) {
		wr_job_free(j);
		return rc;
	}
	*job = j;
	return WR_OK;
}

void wr_job_free(struct wr_job *j)
{
	if (!j)
		return;
	wr_iopool_free(j->io); /* first: its jobs refer to stages */
	for (uint32_t v = 0; j->subtasks && v < j->plan->vertex_count; v++) {
		for (uint32_t i = 0; j->subtasks[v] && i < j->plan->vertices[v].parallelism; i++)
			wr_task_free(j->subtasks[v][i].task);
		wr_free(&mem, j->subtasks[v]);
	}
	for (uint32_t i = 0; j->edges && i < j->plan->edge_count; i++) {
		const struct wr_plan_edge *e = &j->plan->edges[i];
		size_t n = (size_t)j->plan->vertices[e->from].parallelism * j->plan->vertices[e->to].parallelism;

		for (size_t k = 0; j->edges[i].channels && k < n; k++)
			if (j->edges[i].channels[k])
				j->edges[i].channels[k]->ops->free(j->edges[i].channels[k]);
		wr_free(&mem, j->edges[i].channels);
	}
	wr_coordinator_free(j->coordinator);
	wr_sched_free(j->sched);
	wr_pools_free(j->pools);
	wr_free(&mem, j->subtasks);
	wr_free(&mem, j->flat);
	wr_free(&mem, j->edges);
	pthread_mutex_destroy(&j->mutex);
	wr_free(&mem, j);
}

/* ---- running ---- */

void wr_job_stop(struct wr_job *j)
{
	atomic_fetch_add(&j->stops, 1);
}

/* What a signal asked for. */
static void act_on_stop(struct wr_job *j)
{
	int stops = atomic_load(&j->stops);

	while (j->stopped < stops) {
		j->stopped++;
		for (uint32_t i = 0; i < j->task_count; i++)
			if (j->stopped == 1)
				wr_task_finish(j->flat[i]->task);
			else
				wr_task_cancel(j->flat[i]->task);
	}
}

int wr_job_run(struct wr_job *j)
{
	int rc = wr_coordinator_start(j->coordinator);

	if (rc == WR_OK)
		rc = wr_sched_start(j->sched);
	if (rc != WR_OK)
		return rc;
	while (atomic_load(&j->done) < j->task_count) {
		rc = wr_coordinator_serve(j->coordinator, j->o.tick_ms);
		if (rc < 0) {
			pthread_mutex_lock(&j->mutex);
			if (!j->failed) {
				j->failed = rc;
				snprintf(j->failure, sizeof j->failure, "%s", wr_error_text());
			}
			pthread_mutex_unlock(&j->mutex);
			for (uint32_t i = 0; i < j->task_count; i++)
				wr_task_cancel(j->flat[i]->task);
		}
		act_on_stop(j);
		if (j->o.tick)
			j->o.tick(j->o.arg);
	}
	wr_sched_join(j->sched);
	if (j->failed)
		return wr_error_set(j->failed, "%s", j->failure);
	return j->stopped ? WR_END : WR_OK;
}

uint32_t wr_job_task_count(const struct wr_job *j)
{
	return j->task_count;
}

void wr_job_task_stats(const struct wr_job *j, uint32_t i, struct wr_task_stats *out)
{
	wr_task_stats(j->flat[i]->task, out);
}
