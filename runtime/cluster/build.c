/* SPDX-License-Identifier: Apache-2.0 */
/* build: runners first (channels want to wake them), then channels, then tasks with their
 * writers and pools.
 *
 * The pool of a writer is a sum:
 *   one buffer a lane that is being filled
 * + buffers on their way: one a lane, at least a few
 * + the reserve of events: one a lane
 * Many lanes have smaller buffers, so that a subtask with hundreds of channels stays small.
 */
#include "cluster/build.h"

#include <string.h>
#include "base/assert.h"
#include "base/config.h"
#include "base/error.h"
#include "state/backend.h"
#include "tiered/spill.h"
#include "task/metrics.h"

enum {
	ON_THE_WAY = 16,     /* buffers of a writer beside those being filled, in a job of few subtasks */
	ON_THE_WAY_MANY = 2, /* in a job of many */
	MANY_SUBTASKS = 64,
	FILLING_BYTES = 512 << 10, /* bound of the buffers that a writer fills at a time */
	FILLING_BYTES_MANY = 128 << 10,
	BUFFER_SIZE_MIN = 256,
};

static struct wr_mem mem = WR_MEM_INIT("cluster.job");
static struct wr_mem mem_state = WR_MEM_INIT("state.keyed");

static void *room(struct wr_job *j, size_t count, size_t size)
{
	void *at = wr_arena_alloc(&j->arena, (count + 1) * size);

	return at ? memset(at, 0, (count + 1) * size) : NULL;
}

/* ---- runners and channels ---- */

static uint32_t first_of_group(const struct wr_plan *p, uint32_t vertex)
{
	uint32_t first = 0;

	while (strcmp(p->vertices[first].slot_group, p->vertices[vertex].slot_group))
		first++;
	return first;
}

/* Subtask i of all vertices of a slot group is on one worker, so that rows which stay in their subtask stay
 * on their thread. Groups begin on different workers, so that one can be kept apart from another; and
 * vertices with fewer subtasks than there are workers, so that a pipeline spreads. */
static uint32_t slot_group(const struct wr_plan *p, uint32_t vertex)
{
	uint32_t first = first_of_group(p, vertex), group = 0;

	for (uint32_t v = 0; v < first; v++)
		group += first_of_group(p, v) == v;
	return group;
}

static int make_runners(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;

	j->runners = room(j, p->vertex_count, sizeof *j->runners);
	if (!j->runners)
		return WR_EFATAL;
	for (uint32_t v = 0; v < p->vertex_count; v++) {
		uint32_t n = p->vertices[v].parallelism;
		uint32_t first = slot_group(p, v) + (n < j->o.workers ? v : 0);

		j->runners[v] = room(j, n, sizeof **j->runners);
		if (!j->runners[v])
			return WR_EFATAL;
		for (uint32_t i = 0; i < n; i++)
			if (wr_sched_add(j->sched, &j->runners[v][i], first + i) != WR_OK)
				return WR_EFATAL;
		j->task_count += n;
	}
	return WR_OK;
}

/* P-rows: forward joins equal indexes; rescale joins each subtask with its share of the other side; all other
 * partitionings join everybody with everybody. */
static bool connected(const struct wr_plan_edge *e, uint32_t from, uint32_t to, uint32_t froms, uint32_t tos)
{
	if (e->partitioning == WR_FORWARD)
		return from == to;
	if (e->partitioning != WR_RESCALE)
		return true;
	if (froms <= tos)
		return (uint64_t)to * froms / tos == from;
	return (uint64_t)from * tos / froms == to;
}

static int make_channels(struct wr_job *j, uint32_t edge)
{
	const struct wr_plan *p = j->o.plan;
	const struct wr_plan_edge *e = &p->edges[edge];
	uint32_t froms = p->vertices[e->from].parallelism, tos = p->vertices[e->to].parallelism;
	uint8_t *rings;
	size_t count = 0;

	for (uint32_t from = 0; from < froms; from++)
		for (uint32_t to = 0; to < tos; to++)
			count += connected(e, from, to, froms, tos);
	j->edges[edge] = room(j, (size_t)froms * tos, sizeof(struct wr_channel *));
	rings = room(j, count, WR_RING_BYTES);
	if (!j->edges[edge] || !rings)
		return WR_EFATAL;
	rings += -(uintptr_t)rings % 64;
	for (uint32_t from = 0; from < froms; from++)
		for (uint32_t to = 0; to < tos; to++) {
			struct wr_notify wake = wr_runner_notify(&j->runners[e->to][to]);

			if (!connected(e, from, to, froms, tos))
				continue;
			j->edges[edge][from * tos + to] = wr_ring_new_at(rings, &wake);
			rings += WR_RING_BYTES;
		}
	return WR_OK;
}

/* All channels into one subtask, edge by edge. */
static struct wr_gate *make_gate(struct wr_job *j, uint32_t vertex, uint32_t subtask)
{
	const struct wr_plan *p = j->o.plan;
	uint32_t tos = p->vertices[vertex].parallelism, count = 0, room_for = 0;
	struct wr_gate_channel *list;
	struct wr_gate *gate;

	for (uint32_t i = 0; i < p->edge_count; i++)
		if (p->edges[i].to == vertex)
			room_for += p->vertices[p->edges[i].from].parallelism;
	list = wr_alloc(&mem, (room_for + 1) * sizeof *list);
	if (!list)
		return NULL;
	for (uint32_t i = 0; i < p->edge_count; i++)
		for (uint32_t from = 0;
		     p->edges[i].to == vertex && from < p->vertices[p->edges[i].from].parallelism; from++) {
			struct wr_channel *c = j->edges[i][from * tos + subtask];

			if (c)
				list[count++] = (struct wr_gate_channel){c, p->edges[i].input};
		}
	gate = wr_gate_new(list, count);
	wr_free(&mem, list);
	return gate;
}

/* ---- writers ---- */

struct making { /* one task while it is made */
	struct wr_job *job;
	uint32_t vertex, subtask;
	struct wr_task_def def;
	struct wr_writer **writers; /* by edge, NULL where the edge begins elsewhere */
	struct wr_notify wake;
	struct wr_runner *runner;
	uint32_t row_max; /* of the writer made last */
};

/* Which stage a writer's bad rows belong to; the task is known when it runs. */
struct origin {
	struct wr_runner *runner;
	uint32_t stage, op;
};

static int on_bad_row(void *arg, const struct wr_elem *row, int code)
{
	struct origin *o = arg;
	struct wr_stage *s = (struct wr_stage *)(uintptr_t)wr_task_stage(o->runner->task, o->stage);
	char text[512];

	strncpy(text, wr_error_text(), sizeof text - 1);
	text[sizeof text - 1] = 0;
	return wr_stage_bad_row(s, o->op, row, NULL, 0, NULL, text, code);
}

static uint32_t buffer_log2(struct wr_job *j, uint32_t lanes)
{
	uint32_t budget = j->task_count > MANY_SUBTASKS ? FILLING_BYTES_MANY : FILLING_BYTES;
	uint32_t size = j->o.buffer_size, log2 = 0;

	if (size > budget / lanes)
		size = budget / lanes;
	if (size < BUFFER_SIZE_MIN)
		size = BUFFER_SIZE_MIN;
	while (2u << log2 <= size)
		log2++;
	return log2;
}

static struct wr_pool *make_pool(struct making *m, const char *name, uint32_t lanes, uint32_t log2)
{
	struct wr_job *j = m->job;
	uint32_t few = j->task_count > MANY_SUBTASKS ? ON_THE_WAY_MANY : ON_THE_WAY;
	uint32_t limit = lanes + (lanes > few ? lanes : few) + lanes;

	j->buffer_bytes += (int64_t)limit << log2;
	if (j->o.buffer_bytes_max && j->buffer_bytes > j->o.buffer_bytes_max) {
		wr_error_set(
		    WR_EUSER,
		    "the buffers do not fit into %lld bytes (--buffer-pool): '%s' is the holder that passes "
		    "the bound; raise it, or lower --buffer-size or the parallelism",
		    (long long)j->o.buffer_bytes_max, name);
		return NULL;
	}
	if (!j->pools[log2])
		j->pools[log2] = wr_pools_new(1u << log2, INT64_MAX);
	if (!j->pools[log2])
		return NULL;
	return wr_pool_new(j->pools[log2], name, limit, lanes, &m->wake);
}

/* Does another edge lead from the same vertex to the same one? */
static bool has_sibling(const struct wr_plan *p, uint32_t edge)
{
	for (uint32_t i = 0; i < p->edge_count; i++)
		if (i != edge && p->edges[i].from == p->edges[edge].from &&
		    p->edges[i].to == p->edges[edge].to)
			return true;
	return false;
}

/* `channels`: room for those of the edge. */
static int make_writer_in(struct making *m, uint32_t edge, uint32_t stage, uint32_t op,
			  struct wr_channel **channels)
{
	struct wr_job *j = m->job;
	const struct wr_plan_edge *e = &j->o.plan->edges[edge];
	uint32_t tos = j->o.plan->vertices[e->to].parallelism, lanes, log2;
	struct origin *origin = room(j, 1, sizeof *origin);
	struct wr_writer_options o = {.name = e->name,
				      .partitioning = e->partitioning,
				      .channels = channels,
				      .key_names = e->key,
				      .key_count = e->key_count,
				      .merge = e->merge,
				      .max_parallelism = j->o.plan->vertices[e->to].max_parallelism,
				      .consumer = has_sibling(j->o.plan, edge) ? e->to + 1 : 0,
				      .timeout_us = e->has_timeout ? e->timeout_us : j->o.timeout_us,
				      .seed = m->def.env.rand.s + edge,
				      .on_bad_row = on_bad_row,
				      .arg = origin};

	if (!origin)
		return WR_EFATAL;
	*origin = (struct origin){m->runner, stage, op};
	for (uint32_t to = 0; to < tos; to++)
		if (j->edges[edge][m->subtask * tos + to])
			channels[o.channel_count++] = j->edges[edge][m->subtask * tos + to];
	lanes = e->partitioning == WR_BROADCAST ? 1 : o.channel_count;
	log2 = buffer_log2(j, lanes);
	m->row_max = 1u << log2;
	o.pool = make_pool(m, e->name, lanes, log2);
	if (!o.pool)
		return WR_EFATAL;
	m->writers[edge] = wr_writer_new(&o);
	if (!m->writers[edge]) {
		wr_pool_free(o.pool);
		return WR_EFATAL;
	}
	m->def.writers[m->def.writer_count++] = m->writers[edge];
	if (o.timeout_us >= 0 && o.timeout_us < m->def.timeout_us_min)
		m->def.timeout_us_min = o.timeout_us;
	return WR_OK;
}

static int make_writer(struct making *m, uint32_t edge, uint32_t stage, uint32_t op)
{
	const struct wr_plan *p = m->job->o.plan;
	uint32_t tos = p->vertices[p->edges[edge].to].parallelism;
	struct wr_channel **channels = wr_alloc(&mem, tos * sizeof *channels);
	int rc = channels ? make_writer_in(m, edge, stage, op, channels) : WR_EFATAL;

	wr_free(&mem, channels);
	return rc;
}

/* ---- stages ---- */

static const struct wr_stage_ops *kind_of(struct wr_job *j, const char *kind)
{
	for (unsigned l = 0; l < j->o.kind_lists; l++)
		for (unsigned i = 0; i < j->o.kinds[l].count; i++) {
			const struct wr_stage_kind *k = &j->o.kinds[l].kinds[i];

			if (!strcmp(k->kind, kind))
				return k->ops->load ? k->ops->load() : k->ops;
		}
	wr_error_set(WR_EUSER, "there is no operator of kind '%s' in this program", kind);
	return NULL;
}

static int make_ports(struct making *m, const struct wr_plan_stage *ps, uint32_t stage,
		      struct wr_stage_def *d)
{
	struct wr_port_def *ports = room(m->job, ps->out_count, sizeof *ports);

	if (!ports)
		return WR_EFATAL;
	d->ports = ports;
	d->port_count = ps->out_count;
	for (uint32_t i = 0; i < ps->out_count; i++) {
		const struct wr_plan_out *out = &ps->outs[i];
		struct wr_target *targets = room(m->job, out->target_count, sizeof *targets);

		if (!targets)
			return WR_EFATAL;
		for (uint32_t k = 0; k < out->target_count; k++) {
			targets[k].stage = out->targets[k].to;
			targets[k].input = out->targets[k].input;
			if (!out->targets[k].is_edge)
				continue;
			if (make_writer(m, out->targets[k].to, stage, out->op) != WR_OK)
				return WR_EFATAL;
			targets[k].writer = m->writers[out->targets[k].to];
			targets[k].row_max = m->row_max;
		}
		ports[i] = (struct wr_port_def){targets, out->target_count, out->op,
						!strcmp(out->tag, "dead_letter")};
	}
	return WR_OK;
}

enum { CACHE_LINE = 64 };

/* The account of one store's part of all state, in cache lines of its own. */
static struct wr_mem *state_part(struct wr_job *j)
{
	uint8_t *at = room(j, 1, sizeof(struct wr_mem) + 2 * (size_t)CACHE_LINE);
	struct wr_mem *part;

	if (!at)
		return NULL;
	part = (struct wr_mem *)(at + (CACHE_LINE - (uintptr_t)at % CACHE_LINE));
	wr_mem_part(part, &mem_state);
	part->next = j->state_parts;
	return j->state_parts = part;
}

int64_t wr_job_state_memory(const struct wr_config *c)
{
	return strcmp(wr_config_str(c, "state-backend"), "rocksdb") ? 0 : wr_config_int(c, "state-memory");
}

static bool has_store(const struct wr_plan_stage *ps)
{
	return ps->state_count || ps->key;
}

/* What the stores share that may not keep everything in memory. */
static int make_spill(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;
	struct wr_spill_options o = {.folder = j->o.state_folder, .bytes = j->o.state_memory};

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			o.stores += has_store(&p->vertices[v].stages[i]) ? p->vertices[v].parallelism : 0;
	if (!o.bytes || !o.stores) {
		if (o.folder)
			wr_spill_clean(o.folder);
		return WR_OK;
	}
	j->spill = wr_spill_new(&o);
	return j->spill ? WR_OK : wr_error_code();
}

static int make_store(struct making *m, const struct wr_plan_stage *ps, struct wr_stage_def *d)
{
	const struct wr_plan_vertex *v = &m->job->o.plan->vertices[m->vertex];
	struct wr_store_options o = {.operator_uid = ps->operators[0].uid,
				     .states = ps->states,
				     .state_count = ps->state_count,
				     .max_parallelism = v->max_parallelism};

	if (!has_store(ps))
		return WR_OK;
	o.mem = state_part(m->job);
	if (!o.mem)
		return WR_EFATAL;
	if (m->job->spill) {
		o.backend = &wr_backend_rocksdb;
		o.spill = m->job->spill;
	}
	wr_key_group_range(v->max_parallelism, v->parallelism, m->subtask, &o.group_first, &o.group_last);
	d->store = wr_store_new(&o);
	d->keyer = ps->key ? wr_keyer_new(ps->key, ps->key_count) : NULL;
	return d->store && (d->keyer || !ps->key) ? WR_OK : WR_EFATAL;
}

static int make_stage(struct making *m, const struct wr_plan_stage *ps, uint32_t stage,
		      struct wr_stage_def *d)
{
	struct wr_op_def *operators = room(m->job, ps->operator_count, sizeof *operators);
	int rc;

	d->ops = kind_of(m->job, ps->kind);
	if (!d->ops || !operators)
		return WR_EFATAL;
	d->plan = ps->value;
	d->options = ps->options;
	d->on_error = ps->on_error;
	for (uint32_t i = 0; i < ps->operator_count; i++)
		operators[i] =
		    (struct wr_op_def){ps->operators[i].name, ps->operators[i].uid, ps->operators[i].where};
	d->operators = operators;
	d->operator_count = ps->operator_count;
	rc = make_store(m, ps, d);
	return rc == WR_OK ? make_ports(m, ps, stage, d) : rc;
}

/* ---- who had ended at the checkpoint that the job begins at ---- */

/* By the manifest: subtask `i` has nothing there, or with another parallelism nobody of its vertex has. */
static bool left_nothing(const struct wr_plan_vertex *v, const struct wr_manifest *m, uint32_t i)
{
	const struct wr_manifest_vertex *was;
	uint32_t there, stage;

	if (!wr_manifest_find(m, v->stages[0].operators[0].uid, &there, &stage) || stage)
		return false;
	was = &m->vertices[there];
	if (was->parallelism == v->parallelism)
		return !was->tasks[i].blob;
	for (uint32_t k = 0; k < was->parallelism; k++)
		if (was->tasks[k].blob)
			return false;
	return true;
}

/* All who feed the subtask now had ended, so nothing comes but the end. */
static bool feeders_had_ended(const struct wr_job *j, uint32_t vertex, uint32_t subtask)
{
	const struct wr_plan *p = j->o.plan;

	for (uint32_t e = 0; e < p->edge_count; e++)
		for (uint32_t i = 0;
		     p->edges[e].to == vertex && i < p->vertices[p->edges[e].from].parallelism; i++)
			if (wr_job_connected(j, e, i, subtask) && !j->had_ended[p->edges[e].from][i])
				return false;
	return true;
}

/* Behind the channels: one that had ended and is fed by another that goes on, goes on as well, and whoever it
 * feeds. */
static int find_ended(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;
	bool again = true;

	if (!j->o.restore)
		return WR_OK;
	j->had_ended = room(j, p->vertex_count, sizeof *j->had_ended);
	for (uint32_t v = 0; j->had_ended && v < p->vertex_count; v++) {
		j->had_ended[v] = room(j, p->vertices[v].parallelism, sizeof **j->had_ended);
		if (!j->had_ended[v])
			return WR_EFATAL;
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			j->had_ended[v][i] = left_nothing(&p->vertices[v], j->o.restore->manifest, i);
	}
	while (j->had_ended && again) {
		again = false;
		for (uint32_t v = 0; v < p->vertex_count; v++)
			for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
				if (j->had_ended[v][i] && !feeders_had_ended(j, v, i)) {
					j->had_ended[v][i] = false;
					again = true;
				}
	}
	return j->had_ended ? WR_OK : WR_EFATAL;
}

/* ---- who sends what they sent at the checkpoint that the job begins at ---- */

static bool is_as_it_was(const struct wr_plan_vertex *v, const struct wr_manifest *m)
{
	uint32_t there, stage;

	return wr_manifest_find(m, v->stages[0].operators[0].uid, &there, &stage) && !stage &&
	       m->vertices[there].parallelism == v->parallelism;
}

/* The senders of a vertex are the same when they, and all who send to them, have as many subtasks as they
 * had: else rows come another way than the watermarks that the checkpoint has of the channels. */
static int find_senders(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;
	bool again = true;

	if (!j->o.restore)
		return WR_OK;
	j->same_senders = room(j, p->vertex_count, sizeof *j->same_senders);
	if (!j->same_senders)
		return WR_EFATAL;
	for (uint32_t v = 0; v < p->vertex_count; v++)
		j->same_senders[v] = true;
	while (again) {
		again = false;
		for (uint32_t e = 0; e < p->edge_count; e++) {
			uint32_t from = p->edges[e].from;

			if (!j->same_senders[p->edges[e].to] ||
			    (j->same_senders[from] &&
			     is_as_it_was(&p->vertices[from], j->o.restore->manifest)))
				continue;
			j->same_senders[p->edges[e].to] = false;
			again = true;
		}
	}
	return WR_OK;
}

/* ---- tasks ---- */

static uint64_t seed_of(const struct wr_plan *p, const char *uid, uint32_t subtask)
{
	struct wr_rand r = {p->seed ^ wr_key_hash((const uint8_t *)uid, (uint32_t)strlen(uid))};

	r.s = wr_rand_next(&r) + subtask;
	return wr_rand_next(&r);
}

/* For how long a source may keep what is due: a fourth of the shortest time that its rows wait in buffers, or
 * would by the job's option where no buffer is behind it, and a millisecond at most. One that woke for each
 * of a million rows a second would keep a core busy, and hand them on one by one; a worker that spins is busy
 * anyway. */
static uint64_t slack_ns(const struct making *m)
{
	enum { PART = 4, MOST_US = 1000 };
	int64_t timeout_us = m->def.writer_count ? m->def.timeout_us_min : m->job->o.timeout_us;
	int64_t us = timeout_us < 0 ? MOST_US : timeout_us / PART;

	return m->job->o.spin ? 0 : (uint64_t)(us < MOST_US ? us : MOST_US) * 1000;
}

static void making_env(struct making *m)
{
	struct wr_job *j = m->job;
	const struct wr_plan_vertex *v = &j->o.plan->vertices[m->vertex];
	const struct wr_checkpoint_options *c = j->o.checkpoints;

	m->wake = wr_runner_notify(m->runner);
	m->def.env = (struct wr_stage_env){.job = j->o.plan->job,
					   .task = v->name,
					   .subtask = m->subtask,
					   .parallelism = v->parallelism,
					   .max_parallelism = v->max_parallelism,
					   .clock = j->o.clock,
					   .rand = {seed_of(j->o.plan, v->uid, m->subtask)},
					   .wake = m->wake,
					   .io = j->io,
					   .saving = j->saving,
					   .post = wr_job_post,
					   .post_arg = j,
					   .vertex = m->vertex,
					   .folder = c ? c->folder : NULL,
					   .retain = c ? c->retain : 0,
					   .folder_id = c ? c->folder_id : 0,
					   .run = c ? c->newest + 1 : 1,
					   .bundle = j->o.bundle,
					   .stops = &j->stops,
					   .failed = &j->failed,
					   .durable = c || j->o.restore ? &j->durable : NULL};
}

/* C9: where a channel must carry nothing but what its sender means for it, no barrier of the task overtakes.
 */
static bool may_overtake(const struct wr_plan *p, uint32_t vertex)
{
	for (uint32_t i = 0; i < p->edge_count; i++) {
		enum wr_partitioning by = p->edges[i].partitioning;

		if (p->edges[i].to == vertex && by != WR_HASH && by != WR_REBALANCE && by != WR_SHUFFLE)
			return false;
	}
	return true;
}

static int make_keys(struct making *m)
{
	const struct wr_plan *p = m->job->o.plan;
	struct wr_input_keys *keys = room(m->job, 2, sizeof *keys);

	if (!keys)
		return WR_EFATAL;
	for (uint32_t i = 0; i < p->edge_count; i++)
		if (p->edges[i].to == m->vertex && p->edges[i].partitioning == WR_HASH)
			keys[p->edges[i].input] =
			    (struct wr_input_keys){p->edges[i].key, p->edges[i].key_count};
	m->def.keys = keys;
	m->def.may_overtake = may_overtake(p, m->vertex);
	return WR_OK;
}

static void making_drop(struct making *m, struct wr_stage_def *stages)
{
	for (uint32_t i = 0; i < m->def.stage_count; i++) {
		if (stages[i].store)
			wr_store_free(stages[i].store);
		wr_keyer_free(stages[i].keyer);
	}
	for (uint32_t i = 0; i < m->def.writer_count; i++)
		wr_writer_free(m->def.writers[i]);
	wr_gate_free(m->def.gate);
}

static int list_task(struct wr_job *j, uint32_t vertex, uint32_t subtask)
{
	struct wr_metric_owner owner = {j->o.plan->vertices[vertex].name, vertex, subtask};
	struct wr_metric_set *set =
	    wr_metric_set_new(j->metrics, owner, wr_task_tell, j->runners[vertex][subtask].task);

	if (!set)
		return WR_EFATAL;
	j->sets[j->set_count++] = set;
	return WR_OK;
}

uint64_t wr_job_source_id(const struct wr_plan_vertex *v)
{
	return wr_key_hash((const uint8_t *)v->uid, (uint32_t)strlen(v->uid));
}

static int make_task(struct wr_job *j, uint32_t vertex, uint32_t subtask)
{
	const struct wr_plan_vertex *v = &j->o.plan->vertices[vertex];
	struct making m = {.job = j, .vertex = vertex, .subtask = subtask};
	struct wr_stage_def *stages = room(j, v->stage_count, sizeof *stages);
	int rc = WR_OK;

	m.runner = &j->runners[vertex][subtask];
	m.writers = room(j, j->o.plan->edge_count, sizeof(struct wr_writer *));
	m.def.writers = room(j, j->o.plan->edge_count, sizeof(struct wr_writer *));
	if (!stages || !m.writers || !m.def.writers)
		return WR_EFATAL;
	making_env(&m);
	m.def.stages = stages;
	m.def.stage_count = v->stage_count;
	m.def.timeout_us_min = INT64_MAX;
	m.def.marker_every_ns = (uint64_t)j->o.marker_every_us * 1000;
	m.def.source_id = wr_job_source_id(v);
	m.def.second_first = v->second_first;
	m.def.restore = j->o.restore;
	m.def.same_senders = j->o.restore && j->same_senders[vertex];
	m.def.fed_by_ended = !j->o.restore || feeders_had_ended(j, vertex, subtask);
	if (j->o.checkpoints) {
		m.def.blobs = j->o.checkpoints->blobs;
		m.def.at_least_once = j->o.checkpoints->at_least_once;
	}
	m.def.world = j->o.world ? j->o.world(j->o.world_arg, vertex, subtask) : NULL;
	if (v->inputs) {
		m.def.gate = make_gate(j, vertex, subtask);
		rc = m.def.gate ? make_keys(&m) : WR_EFATAL;
	}
	for (uint32_t i = 0; i < v->stage_count && rc == WR_OK; i++)
		rc = make_stage(&m, &v->stages[i], i, &stages[i]);
	if (rc != WR_OK) {
		making_drop(&m, stages);
		return rc;
	}
	m.def.env.slack_ns = slack_ns(&m); /* only now: its writers say how long rows wait */
	m.runner->task = wr_task_new(&m.def);
	return m.runner->task ? list_task(j, vertex, subtask) : WR_EFATAL;
}

int wr_job_build(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;
	int rc = make_runners(j);

	j->edges = room(j, p->edge_count, sizeof *j->edges);
	j->sets = room(j, j->task_count, sizeof(struct wr_metric_set *));
	j->metrics = wr_metrics_new();
	if (!j->edges || !j->sets || !j->metrics)
		return WR_EFATAL;
	for (uint32_t i = 0; i < p->edge_count && rc == WR_OK; i++)
		rc = make_channels(j, i);
	if (rc == WR_OK)
		rc = find_ended(j);
	if (rc == WR_OK)
		rc = find_senders(j);
	if (rc == WR_OK)
		rc = make_spill(j);
	for (uint32_t v = 0; v < p->vertex_count && rc == WR_OK; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism && rc == WR_OK; i++) {
			rc = make_task(j, v, i);
			if (rc != WR_OK)
				wr_error_wrap(rc, "%s [%u/%u]", p->vertices[v].name, i + 1,
					      p->vertices[v].parallelism);
		}
	return rc == WR_OK ? rc : wr_error_code();
}
