/* SPDX-License-Identifier: Apache-2.0 */
/* task_sim: the tasks of a random graph in one thread, from a seed.
 *
 * Every seed draws a graph of 3 to 20 tasks (sources of numbered rows, chains of passing
 * stages, unions, two inputs, sinks that wait for their outside), joins them with every kind of
 * partitioning over buffers and pools of the smallest size, and steps them in random order under
 * a clock that moves at random. Sources fall idle and come back, and barriers are sent at
 * random. What must hold:
 *
 *   order      rows of one stage come to each of its readers in the order they left
 *   no loss, no duplicate: every row comes to each sink as often as the graph says
 *   watermark  no row comes behind a watermark that is not below its timestamp
 *   barrier    after a row from behind a barrier no row from before it comes; or, where barriers overtake,
 *              what a checkpoint holds is a cut through all streams (sim/cut.h)
 *   no deadlock: when nobody can go on, everybody has ended
 *
 * SEEDS=n seeds from 1 (default 1000); SEED=n plays one again, TRACE=1 shows each step.
 */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/rand.h"
#include "record/row.h"
#include "sim/cut.h"
#include "task/task_priv.h"

enum {
	VERTICES_MAX = 8,
	PARALLELISM_MAX = 4,
	STAGES_MAX = 3,
	TASKS_MAX = 20,
	EDGES_MAX = 16,
	ROWS_MAX = 200
};
enum { FIELD_EPOCH, FIELD_FROM, FIELD_N, FIELD_SEQ, FIELD_SRC, FIELD_FILL, FIELDS };
enum { STEPS_MAX = 2000000 };

struct sim;

struct vertex {
	uint32_t parallelism, stages, inputs;
	bool source, sink;
	uint64_t copies[VERTICES_MAX]; /* of each row of source vertex s that come here, over all subtasks */
	uint16_t *seen[VERTICES_MAX];  /* by source vertex: [subtask * ROWS_MAX + n] */
};
struct edge {
	uint32_t from, to, input, stage; /* stage of `from` whose port leads here */
	enum wr_partitioning partitioning;
	struct wr_channel *channels[PARALLELISM_MAX][PARALLELISM_MAX];
};
struct node { /* a task, with what its stages know */
	struct sim *sim;
	struct wr_task *task;
	uint32_t vertex, subtask;
	bool scheduled, done;
	bool waiting; /* a sink waits for its outside */
	bool acked;   /* a snapshot was written since the last step */
	/* sources */
	uint32_t rows, sent;
	uint64_t epoch;
	bool idle;
	int64_t last_ts;
	/* by stage: where the sequences of others stand, and the own one */
	int64_t seq[STAGES_MAX], heard[STAGES_MAX][TASKS_MAX * STAGES_MAX];
	uint64_t epoch_seen[STAGES_MAX];
};
struct sim {
	struct wr_rand rand;
	struct wr_clock clock;
	struct wr_world world;
	struct node *current;
	struct vertex vertices[VERTICES_MAX];
	uint32_t vertex_count;
	struct edge edges[EDGES_MAX];
	uint32_t edge_count;
	struct node nodes[TASKS_MAX];
	uint32_t node_count;
	uint32_t first[VERTICES_MAX]; /* node of subtask 0 */
	struct wr_pools *pools;
	uint32_t buffer_size;
	int64_t time; /* event time: all timestamps come from here */
	bool pause;   /* sources are silent until one that came back is known everywhere */
	bool keeps; /* some buffers leave only when they are full, and that is never known: nobody falls idle
		     */
	bool barriers;
	uint64_t barrier;
	bool overtakes; /* barriers do: one at a time, each checkpoint is looked at */
	bool told;	/* the one under way may */
	struct cut cut;
	struct wr_blobs *blobs;
	struct wr_iopool *io;
	uint32_t shape;
	char failure[300];
	bool trace;
};

static uint32_t below(struct sim *s, uint32_t n)
{
	return wr_rand_below(&s->rand, n);
}

static bool one_in(struct sim *s, uint32_t n)
{
	return below(s, n) == 0;
}

static int fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!s->failure[0])
		vsnprintf(s->failure, sizeof s->failure, fmt, ap);
	va_end(ap);
	return wr_error_set(WR_EBUG, "%s", s->failure);
}

/* ---- the world ---- */

static uint64_t sim_mono(struct wr_clock *c)
{
	struct sim *s = (struct sim *)((char *)c - offsetof(struct sim, clock));

	c->manual_ns += below(s, 20000);
	return c->manual_ns;
}

static int64_t sim_wall(struct wr_clock *c)
{
	return (int64_t)(c->manual_ns / 1000000);
}

static uint32_t choose(void *arg, uint32_t filled)
{
	return below(arg, filled);
}

static int sim_input(struct wr_world *w, struct wr_gate *gate, struct wr_input *out)
{
	return wr_gate_next(gate, out, choose, (char *)w - offsetof(struct sim, world));
}

static bool sim_ready(struct wr_world *w, bool ready)
{
	(void)w;
	return ready;
}

static struct wr_letter *sim_mail(struct wr_world *w, struct wr_mailbox *m)
{
	struct sim *s = (struct sim *)((char *)w - offsetof(struct sim, world));
	struct wr_letter *l = wr_mailbox_take(m);

	if (l && l->type == WR_LETTER_TRIGGER)
		s->current->epoch++;
	return l;
}

static void wake(void *self)
{
	((struct node *)self)->scheduled = true;
}

/* ---- stages ---- */

static struct node *node_of(const struct wr_stage *s)
{
	return s->env->post_arg;
}

static int put(struct wr_stage *st, struct wr_cell *cells, int64_t ts)
{
	struct node *n = node_of(st);
	const struct wr_shape *shape = wr_shape(n->sim->shape);
	int64_t from = (n - n->sim->nodes) * STAGES_MAX + st->index;

	cells[FIELD_FROM] = (struct wr_cell){.type = WR_T_I64, .i64 = from};
	cells[FIELD_SEQ] = (struct wr_cell){.type = WR_T_I64, .i64 = ++n->seq[st->index]};
	for (uint32_t i = 0; i < st->out_count; i++) {
		struct wr_out *out = st->outs[i];
		uint32_t len = wr_row_len(shape, cells);

		if ((size_t)(out->end - out->p) < len && !wr_out_more(out, len))
			return WR_EFATAL;
		wr_row_write(out->p, len, shape, WR_INSERT, ts, cells);
		out->p += len;
		out->rows++;
	}
	return WR_OK;
}

static int send_row(struct wr_stage *st, struct node *n)
{
	static const char fill[2048];
	struct sim *s = n->sim;
	uint32_t len = one_in(s, 40) ? below(s, 2 * s->buffer_size) : below(s, 24);
	struct wr_cell cells[FIELDS] = {
	    [FIELD_EPOCH] = {.type = WR_T_I64, .i64 = (int64_t)n->epoch},
	    [FIELD_N] = {.type = WR_T_I64, .i64 = n->sent},
	    [FIELD_SRC] = {.type = WR_T_I64, .i64 = n->vertex * PARALLELISM_MAX + n->subtask},
	    [FIELD_FILL] = {.type = WR_T_BYTES, .str = {fill, len}},
	};

	s->cut.came[n - s->nodes].count[n->vertex][n->subtask * ROWS_MAX + n->sent]++;
	n->sent++;
	n->last_ts = ++s->time;
	return put(st, cells, n->last_ts);
}

/* Falls idle for a while, or comes back: says so, with a watermark that nobody is ahead of, and all
 * sources are silent until that has gone everywhere. */
static int source_idle(struct wr_stage *st, struct node *n)
{
	struct sim *s = n->sim;
	int rc;

	if (n->idle) {
		if (s->pause) /* one at a time */
			return WR_OK;
		n->idle = false;
		s->pause = true;
		rc = wr_stage_emit_idle(st, false);
		return rc == WR_OK ? wr_stage_emit_watermark(st, s->time) : rc;
	}
	n->idle = true;
	st->wake_ns = s->clock.manual_ns + below(s, 3000000);
	return wr_stage_emit_idle(st, true);
}

static int source_poll(struct wr_stage *st)
{
	struct node *n = node_of(st);
	struct sim *s = n->sim;
	int rc = WR_OK;

	if (s->pause && !n->idle)
		return WR_AGAIN; /* woken when the pause is over */
	if (n->idle || (!s->overtakes && !s->keeps && one_in(s, 60))) {
		rc = source_idle(st, n);
		return rc == WR_OK ? WR_AGAIN : rc;
	}
	for (uint32_t k = below(s, 12); k > 0 && n->sent < n->rows && rc == WR_OK; k--) {
		rc = send_row(st, n);
		if (rc == WR_OK && one_in(s, 10))
			rc = wr_stage_emit_watermark(st, n->last_ts);
	}
	if (rc != WR_OK)
		return rc;
	if (n->sent == n->rows)
		return WR_END;
	if (one_in(s, 8)) {
		st->wake_ns = s->clock.manual_ns + below(s, 500000);
		return WR_AGAIN;
	}
	return WR_OK;
}

static int check_row(struct wr_stage *st, struct node *n, const struct wr_elem *row,
		     const struct wr_cell *cells, uint32_t input)
{
	struct sim *s = n->sim;
	uint32_t from = (uint32_t)cells[FIELD_FROM].i64;
	uint32_t from_vertex = s->nodes[from / STAGES_MAX].vertex;
	int64_t *heard = &n->heard[st->index][from];

	if (cells[FIELD_SEQ].i64 <= *heard)
		return fail(s, "order: row %lld of stage %u after row %lld", (long long)cells[FIELD_SEQ].i64,
			    from, (long long)*heard);
	*heard = cells[FIELD_SEQ].i64;
	if (row->ts <= st->watermark)
		return fail(s, "watermark %lld overtook a row of %lld", (long long)st->watermark,
			    (long long)row->ts);
	if (!s->overtakes && (uint64_t)cells[FIELD_EPOCH].i64 < n->epoch_seen[st->index])
		return fail(s, "barrier %llu overtook a row", (unsigned long long)n->epoch_seen[st->index]);
	n->epoch_seen[st->index] = (uint64_t)cells[FIELD_EPOCH].i64;
	for (uint32_t e = 0; st->index == 0 && e < s->edge_count; e++)
		if (s->edges[e].to == n->vertex && s->edges[e].from == from_vertex &&
		    s->edges[e].input != input)
			return fail(s, "a row came by input %u instead of %u", input, s->edges[e].input);
	return WR_OK;
}

static int take_row(struct wr_stage *st, struct node *n, struct wr_cell *cells, int64_t ts)
{
	struct vertex *v = &n->sim->vertices[n->vertex];
	uint32_t src = (uint32_t)cells[FIELD_SRC].i64;

	if (st->index == 0)
		n->sim->cut.came[n - n->sim->nodes]
		    .count[src / PARALLELISM_MAX]
			  [src % PARALLELISM_MAX * ROWS_MAX + (uint32_t)cells[FIELD_N].i64]++;
	if (st->out_count)
		return put(st, cells, ts);
	v->seen[src / PARALLELISM_MAX][src % PARALLELISM_MAX * ROWS_MAX + (uint32_t)cells[FIELD_N].i64]++;
	return WR_OK;
}

static int pass_rows(struct wr_stage *st, struct wr_rows *rows)
{
	struct node *n = node_of(st);
	struct sim *s = n->sim;

	if (!st->out_count && one_in(s, 10) && rows->p < rows->end) {
		n->waiting = true;
		return WR_AGAIN;
	}
	while (rows->p < rows->end) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		const struct wr_shape *shape = wr_shape(wr_elem_shape(row));
		struct wr_cell cells[FIELDS];
		int rc;

		if (shape->id != s->shape)
			return fail(s, "a row of shape %u", shape->id);
		for (uint32_t i = 0; i < FIELDS; i++)
			cells[i] = wr_row_get(shape, wr_elem_body(row), i);
		rc = check_row(st, n, row, cells, rows->input);
		if (rc == WR_OK)
			rc = take_row(st, n, cells, row->ts);
		if (rc != WR_OK)
			return rc;
		rows->p += row->len;
		if (rows->p < rows->end && (one_in(s, 50) || wr_stage_spent(st)))
			return WR_AGAIN;
	}
	return WR_OK;
}

static int pass_end(struct wr_stage *st)
{
	struct node *n = node_of(st);

	if (st->watermark != WR_TS_MAX)
		return fail(n->sim, "the last watermark did not come before the end");
	if (!st->out_count && !n->waiting && one_in(n->sim, 2)) {
		n->waiting = true;
		return WR_AGAIN;
	}
	return WR_OK;
}

/* The barrier has left the stage. */
static int save(struct wr_stage *st, struct wr_bytes *out)
{
	struct node *n = node_of(st);

	(void)out;
	if (st->index == 0)
		cut_pass(&n->sim->cut, (uint32_t)(n - n->sim->nodes), st->checkpoint);
	return WR_OK;
}

static const struct wr_stage_ops source_ops = {.kind = "source", .poll = source_poll, .save = save};
static const struct wr_stage_ops pass_ops = {
    .kind = "pass", .rows = pass_rows, .end = pass_end, .save = save};

/* ---- drawing a graph ---- */

static void draw_vertex(struct sim *s, uint32_t room)
{
	struct vertex *v = &s->vertices[s->vertex_count++];

	v->parallelism = 1 + below(s, room < PARALLELISM_MAX ? room : PARALLELISM_MAX);
	v->stages = 1 + below(s, STAGES_MAX);
}

static void draw_edge(struct sim *s, uint32_t from, uint32_t to, uint32_t input)
{
	static const enum wr_partitioning any[] = {WR_HASH,    WR_REBALANCE, WR_RESCALE,
						   WR_SHUFFLE, WR_BROADCAST, WR_GLOBAL};
	struct vertex *f = &s->vertices[from], *t = &s->vertices[to];
	struct edge *e = &s->edges[s->edge_count++];

	*e = (struct edge){.from = from, .to = to, .input = input, .stage = below(s, f->stages)};
	e->partitioning = any[below(s, 6)];
	if (f->parallelism == t->parallelism && one_in(s, 2))
		e->partitioning = WR_FORWARD;
	for (uint32_t src = 0; src < s->vertex_count; src++)
		if (e->partitioning == WR_BROADCAST && f->copies[src] * t->parallelism > 64)
			e->partitioning = WR_HASH;
	for (uint32_t src = 0; src < s->vertex_count; src++)
		t->copies[src] += f->copies[src] * (e->partitioning == WR_BROADCAST ? t->parallelism : 1);
}

static bool reads_from(const struct sim *s, uint32_t to, uint32_t from)
{
	for (uint32_t e = 0; e < s->edge_count; e++)
		if (s->edges[e].to == to && s->edges[e].from == from)
			return true;
	return false;
}

static void draw_inputs(struct sim *s, uint32_t at)
{
	struct vertex *v = &s->vertices[at];
	uint32_t inputs = 1 + (at > 1 && one_in(s, 2));

	v->inputs = inputs == 2 && one_in(s, 2) ? 2 : 1;
	for (uint32_t i = 0; i < inputs; i++) {
		uint32_t from = below(s, at);

		if (!reads_from(s, at, from))
			draw_edge(s, from, at, v->inputs == 2 ? i : 0);
	}
}

static void draw_graph(struct sim *s)
{
	uint32_t tasks = 3 + below(s, TASKS_MAX - 2), sources = 1 + below(s, 2), used = 0;

	while (s->vertex_count < VERTICES_MAX && used < tasks) {
		uint32_t at = s->vertex_count;

		draw_vertex(s, tasks - used);
		used += s->vertices[at].parallelism;
		if (at < sources) {
			s->vertices[at].source = true;
			s->vertices[at].copies[at] = 1;
		} else {
			draw_inputs(s, at);
		}
	}
	for (uint32_t v = 0; v < s->vertex_count; v++) {
		struct vertex *x = &s->vertices[v];

		/* a source is no sink of its own rows: it has one stage behind it at least */
		if (x->source && x->stages == 1)
			x->stages = 2;
		x->sink = true;
		for (uint32_t e = 0; e < s->edge_count; e++)
			if (s->edges[e].from == v && s->edges[e].stage == x->stages - 1)
				x->sink = false;
	}
}

/* ---- building it ---- */

static bool joined(const struct sim *s, const struct edge *e, uint32_t from, uint32_t to)
{
	uint32_t p = s->vertices[e->from].parallelism, q = s->vertices[e->to].parallelism;

	if (e->partitioning == WR_FORWARD)
		return from == to;
	if (e->partitioning != WR_RESCALE)
		return true;
	return p <= q ? to * p / q == from : from * q / p == to;
}

static void make_channels(struct sim *s)
{
	for (uint32_t e = 0; e < s->edge_count; e++)
		for (uint32_t i = 0; i < s->vertices[s->edges[e].from].parallelism; i++)
			for (uint32_t k = 0; k < s->vertices[s->edges[e].to].parallelism; k++) {
				struct wr_notify n = {wake, &s->nodes[s->first[s->edges[e].to] + k]};

				if (joined(s, &s->edges[e], i, k))
					s->edges[e].channels[i][k] = wr_ring_new(&n);
			}
}

static struct wr_gate *make_gate(struct sim *s, struct node *n)
{
	struct wr_gate_channel list[EDGES_MAX * PARALLELISM_MAX];
	uint32_t count = 0;

	for (uint32_t e = 0; e < s->edge_count; e++)
		for (uint32_t i = 0; s->edges[e].to == n->vertex && i < PARALLELISM_MAX; i++)
			if (s->edges[e].channels[i][n->subtask])
				list[count++] = (struct wr_gate_channel){s->edges[e].channels[i][n->subtask],
									 s->edges[e].input};
	return wr_gate_new(list, count);
}

static struct wr_writer *make_writer(struct sim *s, struct node *n, struct edge *e)
{
	static const struct wr_str key = {"n", 1};
	static const int64_t timeouts[] = {0, 100, 1000, -1};
	struct wr_channel *channels[PARALLELISM_MAX];
	struct wr_notify ready = {wake, n};
	struct wr_writer_options o = {.name = "edge",
				      .partitioning = e->partitioning,
				      .channels = channels,
				      .key_names = &key,
				      .key_count = 1,
				      .max_parallelism = 128,
				      .timeout_us = timeouts[below(s, s->keeps ? 4 : 3)],
				      .seed = wr_rand_next(&s->rand)};
	uint32_t lanes;

	for (uint32_t k = 0; k < PARALLELISM_MAX; k++)
		if (e->channels[n->subtask][k])
			channels[o.channel_count++] = e->channels[n->subtask][k];
	lanes = e->partitioning == WR_BROADCAST ? 1 : o.channel_count;
	o.pool = wr_pool_new(s->pools, "edge", lanes + 1 + lanes, lanes, &ready);
	return wr_writer_new(&o);
}

static void row_of(const struct wr_elem *e, uint32_t *source, uint32_t *number)
{
	const struct wr_shape *shape = wr_shape(wr_elem_shape(e));
	uint32_t src = (uint32_t)wr_row_get(shape, wr_elem_body(e), FIELD_SRC).i64;

	*source = src / PARALLELISM_MAX;
	*number =
	    src % PARALLELISM_MAX * ROWS_MAX + (uint32_t)wr_row_get(shape, wr_elem_body(e), FIELD_N).i64;
}

/* On the I/O thread, for which the step waits. */
static void heard(void *node, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		  const void *payload, uint32_t len)
{
	struct node *n = node;
	struct sim *s = n->sim;
	struct wr_ack ack;
	char id[WR_HISTORY_ID];

	(void)stage;
	n->acked = true;
	if (type != WR_LETTER_ACK || wr_ack_parse(payload, len, &ack) != WR_OK ||
	    ack.checkpoint != s->cut.checkpoint)
		return;
	wr_history_blob_id(ack.checkpoint, vertex, subtask, id);
	if (cut_read(&s->cut, s->blobs, id, (uint32_t)(n - s->nodes), row_of) != WR_OK)
		fail(s, "%s", wr_error_text());
}

/* C9 */
static bool may_overtake(const struct sim *s, uint32_t vertex)
{
	for (uint32_t e = 0; e < s->edge_count; e++) {
		enum wr_partitioning by = s->edges[e].partitioning;

		if (s->edges[e].to == vertex && by != WR_HASH && by != WR_REBALANCE && by != WR_SHUFFLE)
			return false;
	}
	return true;
}

static void make_task(struct sim *s, struct node *n)
{
	static const struct wr_op_def op = {"op", "op"};
	static struct wr_target targets[TASKS_MAX][STAGES_MAX][EDGES_MAX + 1];
	static struct wr_port_def ports[TASKS_MAX][STAGES_MAX];
	struct vertex *v = &s->vertices[n->vertex];
	struct wr_writer *writers[EDGES_MAX];
	struct wr_stage_def stages[STAGES_MAX] = {0};
	struct wr_task_def def = {
	    .stages = stages, .stage_count = v->stages, .writers = writers, .world = &s->world};
	size_t at = (size_t)(n - s->nodes);

	for (uint32_t i = 0; i < v->stages; i++) {
		struct wr_target *t = targets[at][i];
		uint32_t count = 0;

		if (i + 1 < v->stages)
			t[count++] = (struct wr_target){.stage = i + 1};
		for (uint32_t e = 0; e < s->edge_count; e++) {
			if (s->edges[e].from != n->vertex || s->edges[e].stage != i)
				continue;
			writers[def.writer_count] = make_writer(s, n, &s->edges[e]);
			t[count++] = (struct wr_target){.writer = writers[def.writer_count++],
							.row_max = s->buffer_size};
		}
		ports[at][i] = (struct wr_port_def){.targets = t, .count = count};
		stages[i] = (struct wr_stage_def){.ops = i == 0 && v->source ? &source_ops : &pass_ops,
						  .ports = &ports[at][i],
						  .port_count = count > 0,
						  .operators = &op,
						  .operator_count = 1};
	}
	def.env = (struct wr_stage_env){.job = "sim",
					.task = "task",
					.subtask = n->subtask,
					.parallelism = v->parallelism,
					.wake = {wake, n},
					.io = s->io,
					.vertex = n->vertex,
					.post = heard,
					.post_arg = n};
	def.blobs = s->blobs;
	def.may_overtake = s->overtakes && may_overtake(s, n->vertex);
	def.gate = v->source ? NULL : make_gate(s, n);
	n->rows = below(s, ROWS_MAX);
	n->scheduled = true;
	n->task = wr_task_new(&def);
}

static void build(struct sim *s)
{
	for (uint32_t v = 0; v < s->vertex_count; v++) {
		s->first[v] = s->node_count;
		for (uint32_t i = 0; i < s->vertices[v].parallelism; i++)
			s->nodes[s->node_count++] = (struct node){.sim = s, .vertex = v, .subtask = i};
		for (uint32_t src = 0; src < s->vertex_count; src++)
			s->vertices[v].seen[src] = calloc(PARALLELISM_MAX * ROWS_MAX, sizeof(uint16_t));
	}
	make_channels(s);
	for (uint32_t i = 0; i < s->node_count; i++)
		make_task(s, &s->nodes[i]);
	s->cut.tasks = s->node_count;
	s->cut.vertices = s->vertex_count;
	s->cut.edge_count = s->edge_count;
	for (uint32_t i = 0; i < s->node_count; i++)
		s->cut.vertex[i] = s->nodes[i].vertex;
	for (uint32_t e = 0; e < s->edge_count; e++)
		s->cut.edges[e] = (struct cut_edge){
		    s->edges[e].from, s->edges[e].to,
		    s->edges[e].partitioning == WR_BROADCAST ? s->vertices[s->edges[e].to].parallelism : 1};
}

static void tear_down(struct sim *s)
{
	for (uint32_t i = 0; i < s->node_count; i++)
		wr_task_free(s->nodes[i].task);
	for (uint32_t e = 0; e < s->edge_count; e++)
		for (uint32_t i = 0; i < PARALLELISM_MAX * PARALLELISM_MAX; i++) {
			struct wr_channel *c = s->edges[e].channels[i / PARALLELISM_MAX][i % PARALLELISM_MAX];

			if (c)
				c->ops->free(c);
		}
	for (uint32_t v = 0; v < s->vertex_count; v++)
		for (uint32_t src = 0; src < s->vertex_count; src++)
			free(s->vertices[v].seen[src]);
	wr_pools_free(s->pools);
	if (s->overtakes) {
		s->blobs->ops->free(s->blobs);
		wr_iopool_free(s->io);
	}
}

/* ---- running it ---- */

static void step(struct sim *s, struct node *n)
{
	static const char *const names[] = {"more", "idle", "blocked", "enough", "done", "failed"};
	enum wr_step r;

	n->scheduled = false;
	s->current = n;
	r = wr_task_step(n->task);
	if (s->trace)
		printf("# %llu vertex %u subtask %u: %s\n", (unsigned long long)s->clock.manual_ns, n->vertex,
		       n->subtask, names[r]);
	if (r == WR_STEP_MORE)
		n->scheduled = true;
	while (n->task->snapshots && wr_snapshots_busy(n->task->snapshots))
		sched_yield(); /* it is written at once, and wakes the task */
	n->scheduled |= n->acked;
	n->acked = false;
	n->done = s->cut.done[n - s->nodes] = r >= WR_STEP_DONE;
	if (r == WR_STEP_FAILED)
		fail(s, "%s", wr_error_text());
}

/* One of the nodes that are so, at random. */
static bool pick(struct sim *s, bool (*is)(const struct node *n), struct node **out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->node_count; i++)
		if (is(&s->nodes[i]) && one_in(s, ++count))
			*out = &s->nodes[i];
	return count > 0;
}

static bool is_scheduled(const struct node *n)
{
	return n->scheduled && !n->done;
}

static bool is_waiting(const struct node *n)
{
	return n->waiting && !n->done;
}

/* The clock goes to the earliest deadline; false when nobody has one. */
static bool sleep_until_next(struct sim *s)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < s->node_count; i++)
		if (!s->nodes[i].done && wr_task_deadline(s->nodes[i].task) < next)
			next = wr_task_deadline(s->nodes[i].task);
	if (next == UINT64_MAX)
		return false;
	if (next > s->clock.manual_ns)
		s->clock.manual_ns = next;
	for (uint32_t i = 0; i < s->node_count; i++)
		if (!s->nodes[i].done && wr_task_deadline(s->nodes[i].task) <= s->clock.manual_ns)
			s->nodes[i].scheduled = true;
	return true;
}

static void end_waiting(struct node *n)
{
	n->waiting = false;
	n->scheduled = true;
}

static void end_pause(struct sim *s)
{
	s->pause = false;
	for (uint32_t i = 0; i < s->node_count; i++)
		if (s->vertices[s->nodes[i].vertex].source)
			s->nodes[i].scheduled = true;
}

/* Nobody can go on: what moves the world? False: nothing does any more. */
static bool rest(struct sim *s)
{
	struct node *n = NULL;

	if (pick(s, is_waiting, &n))
		end_waiting(n);
	else if (!sleep_until_next(s)) {
		if (!s->pause)
			return false;
		end_pause(s);
	}
	return true;
}

static void send_barrier(struct sim *s)
{
	struct wr_trigger trigger = {.checkpoint = ++s->barrier};
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_trigger_put(&payload, &trigger);
	for (uint32_t i = 0; i < s->node_count; i++)
		if (s->vertices[s->nodes[i].vertex].source && !s->nodes[i].done)
			wr_task_post(s->nodes[i].task,
				     wr_letter_new(WR_LETTER_TRIGGER, (struct wr_address){0}, payload.data,
						   (uint32_t)payload.len));
	wr_bytes_deinit(&payload);
}

static void tell(struct sim *s, enum wr_letter_type type)
{
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_value_put_i64(&payload, (int64_t)s->cut.checkpoint);
	for (uint32_t i = 0; i < s->node_count; i++)
		if (!s->nodes[i].done)
			wr_task_post(s->nodes[i].task, wr_letter_new(type, (struct wr_address){0},
								     payload.data, (uint32_t)payload.len));
	wr_bytes_deinit(&payload);
}

/* One checkpoint after the other: barriers overtake at a random time, at times it is given up, and what it
 * holds is looked at when all have said theirs. */
static void checkpoints(struct sim *s)
{
	uint32_t source, n;
	int32_t wrong;

	if (!s->cut.checkpoint && one_in(s, 100)) {
		s->told = false;
		cut_begin(&s->cut, s->barrier + 1);
		send_barrier(s);
	}
	if (cut_is_whole(&s->cut)) {
		wrong = cut_check(&s->cut, &source, &n);
		if (wrong >= 0)
			fail(s, "checkpoint %llu is no cut: row %u of vertex %u at vertex %d",
			     (unsigned long long)s->cut.checkpoint, n, source, wrong);
		s->cut.with_rows += s->cut.rows > 0;
		s->cut.rows = 0;
		s->cut.checkpoint = 0;
	} else if (s->cut.checkpoint && !s->told && one_in(s, 60)) {
		s->told = true;
		tell(s, WR_LETTER_OVERTAKE);
	} else if (s->cut.checkpoint && one_in(s, 2000)) {
		tell(s, WR_LETTER_ABORT);
		s->cut.checkpoint = s->cut.rows = 0;
	}
}

static void run(struct sim *s)
{
	for (uint32_t steps = 0; !s->failure[0]; steps++) {
		struct node *n = NULL;

		if (steps == STEPS_MAX)
			fail(s, "no end after %d steps", STEPS_MAX);
		else if (pick(s, is_scheduled, &n))
			step(s, n);
		else if (!rest(s))
			break;
		if (one_in(s, 20) && pick(s, is_waiting, &n))
			end_waiting(n);
		if (s->overtakes)
			checkpoints(s);
		else if (s->barriers && one_in(s, 200))
			send_barrier(s);
	}
}

static void check_rows(struct sim *s, uint32_t sink, const struct node *src)
{
	const struct vertex *v = &s->vertices[sink];
	const uint16_t *seen = v->seen[src->vertex] + src->subtask * ROWS_MAX;

	for (uint32_t k = 0; k < src->rows; k++)
		if (seen[k] != v->copies[src->vertex])
			fail(s, "row %u of vertex %u came %u times to vertex %u, not %llu", k, src->vertex,
			     seen[k], sink, (unsigned long long)v->copies[src->vertex]);
}

static void check_end(struct sim *s)
{
	for (uint32_t i = 0; i < s->node_count && !s->failure[0]; i++)
		if (!s->nodes[i].done)
			fail(s, "deadlock: vertex %u subtask %u has not ended", s->nodes[i].vertex,
			     s->nodes[i].subtask);
	for (uint32_t v = 0; v < s->vertex_count; v++)
		for (uint32_t i = 0; s->vertices[v].sink && i < s->node_count && !s->failure[0]; i++)
			if (s->vertices[s->nodes[i].vertex].source)
				check_rows(s, v, &s->nodes[i]);
}

static uint32_t row_shape(void)
{
	struct wr_field_spec f[] = {{"e", 1, WR_T_I64, 0}, {"f", 1, WR_T_I64, 0}, {"n", 1, WR_T_I64, 0},
				    {"q", 1, WR_T_I64, 0}, {"s", 1, WR_T_I64, 0}, {"x", 1, WR_T_BYTES, 0}};

	return wr_shape_intern(f, FIELDS, 0, 0);
}

static uint64_t cuts, cuts_with_rows; /* of all seeds */

static bool simulate(uint64_t seed, bool trace)
{
	static struct sim s;

	memset(&s, 0, sizeof s);
	s.rand.s = seed;
	s.trace = trace;
	wr_clock_manual_init(&s.clock, 1000000000, 0);
	s.clock.mono_ns = sim_mono;
	s.clock.wall_ms = sim_wall;
	s.world =
	    (struct wr_world){.clock = &s.clock, .ready = sim_ready, .mail = sim_mail, .input = sim_input};
	s.shape = row_shape();
	s.buffer_size = 128u << below(&s, 3);
	s.barriers = one_in(&s, 2);
	s.overtakes = seed % 3 == 0;
	s.keeps = seed % 4 == 0;
	if (s.overtakes) {
		s.blobs = wr_blobs_memory();
		s.io = wr_iopool_new(1);
	}
	s.pools = wr_pools_new(s.buffer_size, INT64_MAX);
	draw_graph(&s);
	build(&s);
	run(&s);
	check_end(&s);
	if (s.failure[0])
		printf("not ok 1 - seed %llu: %s\n", (unsigned long long)seed, s.failure);
	else
		tear_down(&s);
	cuts += s.cut.whole;
	cuts_with_rows += s.cut.with_rows;
	return !s.failure[0];
}

int main(void)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t count = one ? 1 : many ? strtoull(many, NULL, 10) : 1000;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..1\n");
	for (uint64_t seed = first; seed < first + count; seed++)
		if (!simulate(seed, getenv("TRACE") != NULL))
			return 1;
	printf("ok 1 - %llu random graphs keep order, rows, watermarks and barriers\n",
	       (unsigned long long)count);
	printf("# checkpoints with barriers that may overtake: %llu, with rows under way: %llu\n",
	       (unsigned long long)cuts, (unsigned long long)cuts_with_rows);
	return 0;
}
