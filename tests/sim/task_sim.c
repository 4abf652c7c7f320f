/* SPDX-License-Identifier: Apache-2.0 */
/* task_sim: the tasks of a random graph in one thread, from a seed.
 *
 * Every seed draws a graph of 3 to 20 tasks (sim/graph.h; sources of numbered rows, chains of passing
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
#include "sim/graph.h"
#include "task/task_priv.h"

enum { ROWS_MAX = 200 };
enum { FIELD_EPOCH, FIELD_FROM, FIELD_N, FIELD_SEQ, FIELD_SRC, FIELD_FILL, FIELDS };
enum { STEPS_MAX = 2000000 };

struct sim;

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
	int64_t seq[GRAPH_STAGES], heard[GRAPH_STAGES][GRAPH_TASKS * GRAPH_STAGES];
	uint64_t epoch_seen[GRAPH_STAGES];
};
struct sim {
	struct wr_rand rand;
	struct wr_clock clock;
	struct wr_world world;
	struct node *current;
	struct graph graph;
	struct node nodes[GRAPH_TASKS];
	uint32_t node_count;
	uint32_t first[GRAPH_VERTICES]; /* node of subtask 0 */
	struct wr_channel *channels[GRAPH_EDGES][GRAPH_PARALLELISM][GRAPH_PARALLELISM];
	/* at a vertex, of a source vertex: [subtask * ROWS_MAX + n] */
	uint16_t *seen[GRAPH_VERTICES][GRAPH_VERTICES];
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
	int64_t from = (n - n->sim->nodes) * GRAPH_STAGES + st->index;

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
	    [FIELD_SRC] = {.type = WR_T_I64, .i64 = n->vertex * GRAPH_PARALLELISM + n->subtask},
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
	uint32_t from_vertex = s->nodes[from / GRAPH_STAGES].vertex;
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
	for (uint32_t e = 0; st->index == 0 && e < s->graph.edge_count; e++)
		if (s->graph.edges[e].to == n->vertex && s->graph.edges[e].from == from_vertex &&
		    s->graph.edges[e].input != input)
			return fail(s, "a row came by input %u instead of %u", input,
				    s->graph.edges[e].input);
	return WR_OK;
}

static int take_row(struct wr_stage *st, struct node *n, struct wr_cell *cells, int64_t ts)
{
	uint32_t src = (uint32_t)cells[FIELD_SRC].i64;
	uint32_t source = src / GRAPH_PARALLELISM;
	uint32_t number = src % GRAPH_PARALLELISM * ROWS_MAX + (uint32_t)cells[FIELD_N].i64;

	if (st->index == 0)
		n->sim->cut.came[n - n->sim->nodes].count[source][number]++;
	if (st->out_count)
		return put(st, cells, ts);
	n->sim->seen[n->vertex][source][number]++;
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

/* ---- building it ---- */

static void make_channels(struct sim *s)
{
	const struct graph *g = &s->graph;

	for (uint32_t e = 0; e < g->edge_count; e++) {
		const struct graph_edge *edge = &g->edges[e];

		for (uint32_t i = 0; i < g->vertices[edge->from].parallelism; i++)
			for (uint32_t k = 0; k < g->vertices[edge->to].parallelism; k++) {
				struct wr_notify n = {wake, &s->nodes[s->first[edge->to] + k]};

				if (graph_joins(g, edge, i, k))
					s->channels[e][i][k] = wr_ring_new(&n);
			}
	}
}

static struct wr_gate *make_gate(struct sim *s, struct node *n)
{
	struct wr_gate_channel list[GRAPH_EDGES * GRAPH_PARALLELISM];
	uint32_t count = 0;

	for (uint32_t e = 0; e < s->graph.edge_count; e++)
		for (uint32_t i = 0; s->graph.edges[e].to == n->vertex && i < GRAPH_PARALLELISM; i++)
			if (s->channels[e][i][n->subtask])
				list[count++] = (struct wr_gate_channel){s->channels[e][i][n->subtask],
									 s->graph.edges[e].input};
	return wr_gate_new(list, count);
}

static struct wr_writer *make_writer(struct sim *s, struct node *n, uint32_t edge)
{
	static const struct wr_str key = {"n", 1};
	static const int64_t timeouts[] = {0, 100, 1000, -1};
	struct wr_channel *channels[GRAPH_PARALLELISM];
	const struct graph_edge *e = &s->graph.edges[edge];
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

	for (uint32_t k = 0; k < GRAPH_PARALLELISM; k++)
		if (s->channels[edge][n->subtask][k])
			channels[o.channel_count++] = s->channels[edge][n->subtask][k];
	lanes = e->partitioning == WR_BROADCAST ? 1 : o.channel_count;
	o.pool = wr_pool_new(s->pools, "edge", lanes + 1 + lanes, lanes, &ready);
	return wr_writer_new(&o);
}

static void row_of(const struct wr_elem *e, uint32_t *source, uint32_t *number)
{
	const struct wr_shape *shape = wr_shape(wr_elem_shape(e));
	uint32_t src = (uint32_t)wr_row_get(shape, wr_elem_body(e), FIELD_SRC).i64;

	*source = src / GRAPH_PARALLELISM;
	*number =
	    src % GRAPH_PARALLELISM * ROWS_MAX + (uint32_t)wr_row_get(shape, wr_elem_body(e), FIELD_N).i64;
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

static void make_task(struct sim *s, struct node *n)
{
	static const struct wr_op_def op = {"op", "op", NULL};
	static struct wr_target targets[GRAPH_TASKS][GRAPH_STAGES][GRAPH_EDGES + 1];
	static struct wr_port_def ports[GRAPH_TASKS][GRAPH_STAGES];
	struct graph_vertex *v = &s->graph.vertices[n->vertex];
	struct wr_writer *writers[GRAPH_EDGES];
	struct wr_stage_def stages[GRAPH_STAGES] = {0};
	struct wr_task_def def = {
	    .stages = stages, .stage_count = v->stages, .writers = writers, .world = &s->world};
	size_t at = (size_t)(n - s->nodes);

	for (uint32_t i = 0; i < v->stages; i++) {
		struct wr_target *t = targets[at][i];
		uint32_t count = 0;

		if (i + 1 < v->stages)
			t[count++] = (struct wr_target){.stage = i + 1};
		for (uint32_t e = 0; e < s->graph.edge_count; e++) {
			if (s->graph.edges[e].from != n->vertex || s->graph.edges[e].stage != i)
				continue;
			writers[def.writer_count] = make_writer(s, n, e);
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
					.saving = s->io,
					.vertex = n->vertex,
					.post = heard,
					.post_arg = n};
	def.blobs = s->blobs;
	def.may_overtake = s->overtakes && graph_may_overtake(&s->graph, n->vertex);
	def.gate = v->source ? NULL : make_gate(s, n);
	n->rows = below(s, ROWS_MAX);
	n->scheduled = true;
	n->task = wr_task_new(&def);
}

static void build_cut(struct sim *s)
{
	const struct graph *g = &s->graph;

	s->cut.tasks = s->node_count;
	s->cut.vertices = g->vertex_count;
	s->cut.edge_count = g->edge_count;
	for (uint32_t i = 0; i < s->node_count; i++)
		s->cut.vertex[i] = s->nodes[i].vertex;
	for (uint32_t e = 0; e < g->edge_count; e++) {
		const struct graph_edge *edge = &g->edges[e];
		bool broadcast = edge->partitioning == WR_BROADCAST;

		s->cut.edges[e] = (struct cut_edge){edge->from, edge->to,
						    broadcast ? g->vertices[edge->to].parallelism : 1};
	}
}

static void build(struct sim *s)
{
	const struct graph *g = &s->graph;

	for (uint32_t v = 0; v < g->vertex_count; v++) {
		s->first[v] = s->node_count;
		for (uint32_t i = 0; i < g->vertices[v].parallelism; i++)
			s->nodes[s->node_count++] = (struct node){.sim = s, .vertex = v, .subtask = i};
		for (uint32_t src = 0; src < g->vertex_count; src++)
			s->seen[v][src] = calloc(GRAPH_PARALLELISM * ROWS_MAX, sizeof(uint16_t));
	}
	make_channels(s);
	for (uint32_t i = 0; i < s->node_count; i++)
		make_task(s, &s->nodes[i]);
	build_cut(s);
}

static void tear_down(struct sim *s)
{
	for (uint32_t i = 0; i < s->node_count; i++)
		wr_task_free(s->nodes[i].task);
	for (uint32_t e = 0; e < s->graph.edge_count; e++)
		for (uint32_t i = 0; i < GRAPH_PARALLELISM * GRAPH_PARALLELISM; i++) {
			struct wr_channel *c = s->channels[e][i / GRAPH_PARALLELISM][i % GRAPH_PARALLELISM];

			if (c)
				c->ops->free(c);
		}
	for (uint32_t v = 0; v < s->graph.vertex_count; v++)
		for (uint32_t src = 0; src < s->graph.vertex_count; src++)
			free(s->seen[v][src]);
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
		if (s->graph.vertices[s->nodes[i].vertex].source)
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
		if (s->graph.vertices[s->nodes[i].vertex].source && !s->nodes[i].done)
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
	uint64_t copies = s->graph.vertices[sink].copies[src->vertex];
	const uint16_t *seen = s->seen[sink][src->vertex] + src->subtask * ROWS_MAX;

	for (uint32_t k = 0; k < src->rows; k++)
		if (seen[k] != copies)
			fail(s, "row %u of vertex %u came %u times to vertex %u, not %llu", k, src->vertex,
			     seen[k], sink, (unsigned long long)copies);
}

static void check_end(struct sim *s)
{
	for (uint32_t i = 0; i < s->node_count && !s->failure[0]; i++)
		if (!s->nodes[i].done)
			fail(s, "deadlock: vertex %u subtask %u has not ended", s->nodes[i].vertex,
			     s->nodes[i].subtask);
	for (uint32_t v = 0; v < s->graph.vertex_count; v++)
		for (uint32_t i = 0; s->graph.vertices[v].sink && i < s->node_count && !s->failure[0]; i++)
			if (s->graph.vertices[s->nodes[i].vertex].source)
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
		s.io = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	}
	s.pools = wr_pools_new(s.buffer_size, INT64_MAX);
	graph_draw(&s.graph, &s.rand);
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
