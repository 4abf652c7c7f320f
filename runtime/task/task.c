/* SPDX-License-Identifier: Apache-2.0 */
/* task: the step function. */
#include "task/task.h"

#include <pthread.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "task/port.h"

static struct wr_mem mem = WR_MEM_INIT("task");

enum phase { OPENING, RUNNING, DONE };

struct node {
	struct wr_stage stage; /* first: a stage is its node */
	struct wr_task *task;
	struct wr_queue queue;
	struct wr_port *ports;
	bool ended;	 /* END has passed */
	bool time_ended; /* pending processing-time timers have fired (I13) */
	uint64_t rows_out; /* of port 0, as far as it is in the statistics */
};

struct letter {
	struct letter *next;
	uint32_t stage, type, len;
	uint8_t payload[];
};

struct wr_task {
	/* configuration */
	struct wr_stage_env env;
	struct wr_clock *clock;
	struct wr_gate *gate;
	struct wr_valve *valve;
	struct wr_writer **writers;
	uint32_t writer_count;
	struct wr_notify wake;
	uint64_t step_ns;
	uint32_t (*choose)(void *arg, uint32_t n);
	void *choose_arg;
	/* chain */
	struct node *nodes;
	uint32_t node_count;
	struct wr_pages pages;
	/* state */
	enum phase phase;
	bool failed, gone;
	bool paused; /* in this step a stage was told to stop early */
	struct wr_buffer *buffer; /* input that stage 0 has not finished */
	struct wr_input input;
	struct wr_page *borrowed; /* stands for `buffer` in stage 0's queue */
	bool source_ended;
	uint64_t deadline_ns;
	uint64_t blocked_since_ns;
	int64_t watermark;
	/* other threads */
	pthread_mutex_t mutex;
	struct letter *letters, *letters_last;
	_Atomic int mail; /* letters, cancel or finish are there */
	_Atomic int cancelled, finishing;
	/* statistics, written by the task */
	wr_metric steps, busy_ns, blocked_ns, watermark_stat;
	struct wr_op_stats *ops;
	uint32_t op_count;
};

static struct node *node_of(struct wr_stage *s)
{
	return (struct node *)s;
}

/* ---- making and freeing ---- */

static int node_ports(struct wr_task *t, struct node *n, const struct wr_stage_spec *spec)
{
	n->ports = wr_zalloc(&mem, (spec->out_count + 1) * sizeof *n->ports);
	n->stage.outs = wr_zalloc(&mem, (spec->out_count + 1) * sizeof *n->stage.outs);
	if (!n->ports || !n->stage.outs)
		return WR_EFATAL;
	n->stage.out_count = spec->out_count;
	for (uint32_t i = 0; i < spec->out_count; i++) {
		struct wr_port *p = &n->ports[i];
		const struct wr_out_spec *o = &spec->outs[i];

		p->tag = o->tag;
		p->pages = &t->pages;
		p->targets = wr_zalloc(&mem, (o->count + 1) * sizeof *p->targets);
		if (!p->targets)
			return WR_EFATAL;
		p->count = o->count;
		for (uint32_t k = 0; k < o->count; k++) {
			p->targets[k].writer = o->targets[k].writer;
			p->targets[k].input = o->targets[k].input;
			if (!o->targets[k].writer)
				p->targets[k].queue = &t->nodes[o->targets[k].stage].queue;
		}
		p->direct = o->count == 1 && o->targets[0].writer && wr_writer_single(o->targets[0].writer);
		n->stage.outs[i] = &p->out;
	}
	return WR_OK;
}

static int node_init(struct wr_task *t, struct node *n, uint32_t index, const struct wr_stage_spec *spec)
{
	n->task = t;
	n->stage.ops = spec->ops;
	n->stage.env = &t->env;
	n->stage.index = index;
	n->stage.plan = spec->plan;
	n->stage.options = wr_value_get(spec->plan, "options");
	n->stage.store = spec->store;
	n->stage.keyer = spec->keyer;
	n->stage.on_error = spec->on_error;
	n->stage.watermark = WR_TS_NONE;
	n->stage.deadline_ms = INT64_MAX;
	n->stage.wake_ns = UINT64_MAX;
	n->stage.ops_stats = t->ops + t->op_count;
	n->stage.ops_count = spec->op_count;
	for (uint32_t i = 0; i < spec->op_count; i++) {
		t->ops[t->op_count].name = spec->names[i];
		t->ops[t->op_count++].uid = spec->uids[i];
	}
	return node_ports(t, n, spec);
}

static void on_ready(void *self)
{
	wr_task_wake(self);
}

struct wr_notify wr_task_notify(struct wr_task *t)
{
	return (struct wr_notify){on_ready, t};
}

struct wr_task *wr_task_new(const struct wr_task_options *o)
{
	struct wr_task *t = wr_zalloc(&mem, sizeof *t);
	uint32_t ops = 0;

	WR_ASSERT(o->stage_count > 0);
	if (!t)
		return NULL;
	pthread_mutex_init(&t->mutex, NULL);
	t->env = o->env;
	t->env.wake = (struct wr_notify){on_ready, t};
	t->clock = o->env.clock;
	t->gate = o->gate;
	t->writers = wr_alloc(&mem, (o->writer_count + 1) * sizeof *t->writers);
	if (t->writers && o->writer_count)
		memcpy(t->writers, o->writers, o->writer_count * sizeof *t->writers);
	t->writer_count = o->writer_count;
	t->wake = o->wake;
	t->step_ns = o->step_ns;
	t->deadline_ns = UINT64_MAX;
	t->watermark = WR_TS_NONE;
	t->watermark_stat = WR_TS_NONE;
	for (uint32_t i = 0; i < o->stage_count; i++)
		ops += o->stages[i].op_count;
	t->ops = wr_zalloc(&mem, (ops + 1) * sizeof *t->ops);
	t->nodes = wr_zalloc(&mem, o->stage_count * sizeof *t->nodes);
	t->valve = t->gate ? wr_valve_new(wr_gate_count(t->gate)) : NULL;
	if (!t->ops || !t->nodes || !t->writers || (t->gate && !t->valve)) {
		wr_task_free(t);
		return NULL;
	}
	t->node_count = o->stage_count;
	for (uint32_t i = 0; i < o->stage_count; i++)
		if (node_init(t, &t->nodes[i], i, &o->stages[i]) != WR_OK) {
			wr_task_free(t);
			return NULL;
		}
	return t;
}

static void queue_drop(struct wr_task *t, struct wr_queue *q)
{
	struct wr_page *page;

	while ((page = wr_queue_take(q)))
		wr_page_give(&t->pages, page);
}

void wr_task_free(struct wr_task *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->nodes && i < t->node_count; i++) {
		struct node *n = &t->nodes[i];

		if (n->stage.ops && n->stage.ops->free)
			n->stage.ops->free(&n->stage);
		queue_drop(t, &n->queue);
		for (uint32_t k = 0; n->ports && k < n->stage.out_count; k++) {
			wr_port_deinit(&n->ports[k]);
			wr_free(&mem, n->ports[k].targets);
		}
		wr_free(&mem, n->ports);
		wr_free(&mem, n->stage.outs);
		wr_store_free(n->stage.store);
		wr_keyer_free(n->stage.keyer);
	}
	if (t->buffer)
		wr_buffer_unref(t->buffer);
	wr_pages_deinit(&t->pages);
	wr_valve_free(t->valve);
	wr_gate_free(t->gate);
	for (uint32_t i = 0; i < t->writer_count; i++)
		wr_writer_free(t->writers[i]);
	wr_free(&mem, t->writers);
	while (t->letters) {
		struct letter *next = t->letters->next;

		wr_free(&mem, t->letters);
		t->letters = next;
	}
	pthread_mutex_destroy(&t->mutex);
	wr_free(&mem, t->nodes);
	wr_free(&mem, t->ops);
	wr_free(&mem, t);
}

/* ---- what stages call ---- */

int wr_stage_spent(struct wr_stage *s)
{
	struct wr_task *t = node_of(s)->task;

	if (wr_clock_ns(t->clock) >= s->step_until_ns)
		return t->paused = true;
	for (uint32_t i = 0; i < t->writer_count; i++)
		if (!wr_writer_ready(t->writers[i]))
			return t->paused = true;
	return 0;
}

static int node_flush(struct node *n)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < n->stage.out_count && rc == WR_OK; i++)
		rc = wr_port_flush(&n->ports[i]);
	return rc;
}

/* An event leaves the stage by all its ports, side outputs too (K22). */
static int node_event(struct node *n, enum wr_event_type type, int64_t ts)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < n->stage.out_count && rc == WR_OK; i++)
		rc = wr_port_event(&n->ports[i], type, ts);
	return rc;
}

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	return node_event(node_of(s), WR_EV_WATERMARK, wm);
}

int wr_stage_emit_idle(struct wr_stage *s, bool idle)
{
	return node_event(node_of(s), idle ? WR_EV_IDLE : WR_EV_ACTIVE, 0);
}

/* ---- rows that failed ---- */

static uint32_t dead_letter_shape(void)
{
	struct wr_field_spec f[] = {{"error", 5, WR_T_STR, 0},
				    {"operator", 8, WR_T_STR, 0},
				    {"origin", 6, WR_T_STR, 0},
				    {"record", 6, WR_T_STR, 0}};

	return wr_shape_intern(f, 4, 0, 0);
}

static int dead_letter(struct wr_stage *s, const char *name, const char *origin, const char *error,
		       const struct wr_bytes *record, int64_t ts)
{
	struct wr_port *port = NULL;
	struct wr_cell cells[4] = {
		{.type = WR_T_STR, .str = {error, (uint32_t)strlen(error)}},
		{.type = WR_T_STR, .str = {name, (uint32_t)strlen(name)}},
		{.type = WR_T_STR, .str = {origin, (uint32_t)strlen(origin)}},
		{.type = WR_T_STR, .str = {(const char *)record->data, (uint32_t)record->len}},
	};
	const struct wr_shape *shape;
	uint32_t len, id;
	uint8_t *to;

	for (uint32_t i = 0; i < s->out_count; i++)
		if (!strcmp(node_of(s)->ports[i].tag, "dead_letter"))
			port = &node_of(s)->ports[i];
	if (!port)
		return WR_OK; /* counted and logged; nobody reads them */
	id = dead_letter_shape();
	if (!id)
		return WR_EFATAL;
	shape = wr_shape(id);
	len = wr_row_len(shape, cells);
	to = port->out.p;
	if (!to || (size_t)(port->out.end - to) < len)
		to = wr_out_more(&port->out, len);
	if (!to)
		return WR_EFATAL;
	wr_row_write(to, len, shape, WR_INSERT, ts, cells);
	port->out.p = to + len;
	port->out.rows++;
	return WR_OK;
}

int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	struct wr_op_stats *stats = &s->ops_stats[op < s->ops_count ? op : 0];
	const char *name = s->ops_count ? stats->name : s->ops->kind;
	struct wr_bytes text = WR_BYTES_EMPTY;
	char where[256];
	int rc = WR_OK;

	if (row)
		wr_row_json(row, &text);
	else
		wr_bytes_put(&text, raw ? raw : "", raw ? raw_len : 0);
	snprintf(where, sizeof where, "%s%s%s (%u)", origin ? origin : "", origin ? ", " : "", s->env->task,
		 s->env->subtask);
	if (s->on_error == WR_ON_ERROR_FAIL) {
		rc = wr_error_set(code, "operator '%s': %s\n  at: %s\n  record: %.*s%s", name, error, where,
				  (int)(text.len < 400 ? text.len : 400), text.data ? (char *)text.data : "",
				  text.len > 400 ? "…" : "");
	} else {
		wr_metric_add(&stats->skipped, 1);
		wr_warn(name, "%s: %s; record: %.*s (%s)",
			s->on_error == WR_ON_ERROR_SKIP ? "skipped" : "dead letter", error,
			(int)(text.len < 200 ? text.len : 200), text.data ? (char *)text.data : "", where);
		if (s->on_error == WR_ON_ERROR_DEAD_LETTER)
			rc = dead_letter(s, name, where, error, &text, row ? row->ts : WR_TS_NONE);
	}
	wr_bytes_deinit(&text);
	return rc;
}

/* ---- other threads ---- */

void wr_task_wake(struct wr_task *t)
{
	wr_notify_fire(&t->wake);
}

void wr_task_post(struct wr_task *t, uint32_t stage, uint32_t type, const void *payload, uint32_t len)
{
	struct letter *l = wr_alloc(&mem, sizeof *l + len);

	WR_ASSERT(l); /* a letter is a few bytes: there is nobody left to tell */
	*l = (struct letter){NULL, stage, type, len};
	if (len)
		memcpy(l->payload, payload, len);
	pthread_mutex_lock(&t->mutex);
	if (t->letters_last)
		t->letters_last->next = l;
	else
		t->letters = l;
	t->letters_last = l;
	pthread_mutex_unlock(&t->mutex);
	atomic_store(&t->mail, 1);
	wr_task_wake(t);
}

void wr_task_cancel(struct wr_task *t)
{
	atomic_store(&t->cancelled, 1);
	atomic_store(&t->mail, 1);
	wr_task_wake(t);
}

void wr_task_finish(struct wr_task *t)
{
	atomic_store(&t->finishing, 1);
	atomic_store(&t->mail, 1);
	wr_task_wake(t);
}

/* ---- the step ---- */

static int queue_event(struct wr_task *t, enum wr_event_type type, int64_t ts)
{
	struct wr_page *page = wr_page_take(&t->pages, 0);

	if (!page)
		return WR_EFATAL;
	page->event = type;
	page->ts = ts;
	wr_queue_put(&t->nodes[0].queue, page);
	return WR_OK;
}

static int step_mail(struct wr_task *t)
{
	struct letter *l;
	int rc = WR_OK;

	if (!atomic_load_explicit(&t->mail, memory_order_relaxed))
		return WR_OK;
	atomic_store(&t->mail, 0);
	if (atomic_load(&t->finishing) && !t->gate && !t->source_ended) {
		t->source_ended = true;
		rc = queue_event(t, WR_EV_WATERMARK, WR_TS_MAX);
		if (rc == WR_OK)
			rc = queue_event(t, WR_EV_END, 0);
	}
	pthread_mutex_lock(&t->mutex);
	l = t->letters;
	t->letters = t->letters_last = NULL;
	pthread_mutex_unlock(&t->mutex);
	while (l) {
		struct letter *next = l->next;
		struct wr_stage *s = &t->nodes[l->stage].stage;

		if (rc == WR_OK && s->ops->letter)
			rc = s->ops->letter(s, l->type, l->payload, l->len);
		wr_free(&mem, l);
		l = next;
	}
	return rc;
}

/* Rows of one page, or of the gate's buffer, through a stage. WR_AGAIN: not finished. */
static int node_rows(struct node *n, struct wr_page *page)
{
	const uint8_t *base = page->borrowed ? page->borrowed : page->data;
	struct wr_rows rows = {base + page->at, base + page->len, page->input, 0};
	int rc = n->stage.ops->rows(&n->stage, &rows);
	int flushed;

	page->at = (uint32_t)(rows.p - base);
	flushed = node_flush(n);
	if (rc == WR_OK)
		WR_ASSERT(rows.p == rows.end);
	return rc < 0 ? rc : flushed != WR_OK ? flushed : rc;
}

static int node_watermark(struct node *n, int64_t wm)
{
	struct wr_stage *s = &n->stage;
	int rc = WR_OK, flushed;

	if (wm == WR_TS_MAX && s->ops->time && !n->time_ended) {
		rc = s->ops->time(s, INT64_MAX);
		flushed = node_flush(n);
		if (rc != WR_OK || flushed != WR_OK)
			return rc != WR_OK ? rc : flushed;
		n->time_ended = true;
	}
	s->watermark = wm;
	if (s->ops->watermark)
		rc = s->ops->watermark(s, &wm);
	flushed = node_flush(n);
	if (rc != WR_OK || flushed != WR_OK)
		return rc != WR_OK ? rc : flushed;
	return wm == WR_TS_NONE ? WR_OK : node_event(n, WR_EV_WATERMARK, wm);
}

static int node_end(struct node *n)
{
	int rc = n->stage.ops->end ? n->stage.ops->end(&n->stage) : WR_OK, flushed = node_flush(n);

	if (rc != WR_OK || flushed != WR_OK)
		return rc != WR_OK ? rc : flushed;
	n->ended = true;
	return node_event(n, WR_EV_END, 0);
}

static int node_take_event(struct node *n, const struct wr_page *page)
{
	switch (page->event) {
	case WR_EV_WATERMARK:
		return node_watermark(n, page->ts);
	case WR_EV_END:
		return node_end(n);
	default:
		return node_event(n, page->event, page->ts);
	}
}

static void page_done(struct wr_task *t, struct node *n)
{
	struct wr_page *page = wr_queue_take(&n->queue);

	if (page->borrowed) {
		wr_buffer_unref(t->buffer);
		t->buffer = NULL;
	}
	wr_page_give(&t->pages, page);
}

static void count_in(struct node *n, struct wr_page *page)
{
	page->counted = true;
	wr_metric_add(&n->stage.ops_stats[0].bytes_in, page->len);
	if (!n->stage.ops->counts)
		wr_metric_add(&n->stage.ops_stats[0].rows_in, page->rows);
}

/* Rows that left by the main output, for the last operator of the stage. */
static void count_out(struct node *n)
{
	uint64_t out = n->stage.out_count ? n->ports[0].out.rows : 0;

	if (out == n->rows_out)
		return;
	wr_metric_add(&n->stage.ops_stats[n->stage.ops_count - 1].rows_out, (int64_t)(out - n->rows_out));
	n->rows_out = out;
}

/* Everything that waits inside the chain, in topological order. WR_AGAIN: time is up or an output
 * needs a pause; WR_END: a sink's outside is gone. */
static int step_chain(struct wr_task *t)
{
	for (uint32_t i = 0; i < t->node_count; i++) {
		struct node *n = &t->nodes[i];
		struct wr_page *page;

		while ((page = n->queue.first)) {
			int rc;

			if (page->event) {
				rc = node_take_event(n, page);
			} else {
				if (!page->counted)
					count_in(n, page);
				rc = node_rows(n, page);
			}
			if (rc != WR_OK)
				return rc;
			page_done(t, n);
		}
		count_out(n);
	}
	return WR_OK;
}

static bool chain_pending(const struct wr_task *t)
{
	for (uint32_t i = 0; i < t->node_count; i++)
		if (t->nodes[i].queue.first)
			return true;
	return false;
}

static int valve_actions(struct wr_task *t, unsigned actions)
{
	int rc = WR_OK;

	if (actions & WR_VALVE_ACTIVE)
		rc = queue_event(t, WR_EV_ACTIVE, 0);
	if (rc == WR_OK && (actions & WR_VALVE_WATERMARK)) {
		t->watermark = wr_valve_watermark(t->valve);
		wr_metric_set(&t->watermark_stat, t->watermark);
		rc = queue_event(t, WR_EV_WATERMARK, t->watermark);
	}
	if (rc == WR_OK && (actions & WR_VALVE_IDLE))
		rc = queue_event(t, WR_EV_IDLE, 0);
	if (rc == WR_OK && (actions & WR_VALVE_END))
		rc = queue_event(t, WR_EV_END, 0);
	return rc;
}

static int take_event(struct wr_task *t, const struct wr_elem *e, uint32_t channel)
{
	switch (wr_event_type(e)) {
	case WR_EV_WATERMARK:
		return valve_actions(t, wr_valve_on_watermark(t->valve, channel, e->ts));
	case WR_EV_IDLE:
		return valve_actions(t, wr_valve_on_idle(t->valve, channel));
	case WR_EV_ACTIVE:
		return valve_actions(t, wr_valve_on_active(t->valve, channel));
	case WR_EV_END:
		wr_gate_end(t->gate, channel);
		return valve_actions(t, wr_valve_on_end(t->valve, channel));
	case WR_EV_LATENCY:
		return queue_event(t, WR_EV_LATENCY, e->ts);
	default:
		return wr_error_set(WR_EBUG, "an event of type %u in a channel", wr_event_type(e));
	}
}

/* One buffer of input: its rows into stage 0's queue, its events behind them. */
static int step_gate(struct wr_task *t)
{
	struct wr_buffer *b;
	struct wr_page *page;
	int rc = wr_gate_next(t->gate, &t->input, t->choose, t->choose_arg);

	if (rc != WR_OK)
		return rc;
	b = t->input.buffer;
	if (b->rows_len) {
		page = wr_page_take(&t->pages, 0);
		if (!page) {
			wr_buffer_unref(b);
			return WR_EFATAL;
		}
		page->borrowed = b->data;
		page->len = b->rows_len;
		page->rows = b->row_count;
		page->input = t->input.input;
		t->buffer = b;
		wr_queue_put(&t->nodes[0].queue, page);
	}
	for (uint32_t at = b->rows_len; at < b->len && rc == WR_OK;) {
		const struct wr_elem *e = (const struct wr_elem *)(b->data + at);

		rc = take_event(t, e, t->input.channel);
		at += e->len;
	}
	if (!t->buffer)
		wr_buffer_unref(b);
	return rc;
}

static int step_source(struct wr_task *t)
{
	struct wr_stage *s = &t->nodes[0].stage;
	int rc, flushed;

	if (t->source_ended)
		return WR_AGAIN;
	rc = s->ops->poll(s);
	flushed = node_flush(&t->nodes[0]);
	if (flushed != WR_OK)
		return flushed;
	count_out(&t->nodes[0]);
	if (rc != WR_END)
		return rc;
	t->source_ended = true;
	rc = queue_event(t, WR_EV_WATERMARK, WR_TS_MAX); /* K27 */
	return rc == WR_OK ? queue_event(t, WR_EV_END, 0) : rc;
}

/* Processing-time timers that are due. */
static int step_timers(struct wr_task *t)
{
	int64_t now = INT64_MIN;

	for (uint32_t i = 0; i < t->node_count; i++) {
		struct node *n = &t->nodes[i];
		int rc, flushed;

		if (n->stage.deadline_ms == INT64_MAX || n->ended)
			continue;
		if (now == INT64_MIN)
			now = wr_clock_ms(t->clock);
		if (n->stage.deadline_ms > now)
			continue;
		rc = n->stage.ops->time(&n->stage, now);
		flushed = node_flush(n);
		if (rc != WR_OK || flushed != WR_OK)
			return rc != WR_OK ? rc : flushed;
	}
	return WR_OK;
}

static bool writers_ready(struct wr_task *t)
{
	for (uint32_t i = 0; i < t->writer_count; i++)
		if (!wr_writer_ready(t->writers[i]) && !wr_writer_wait(t->writers[i]))
			return false;
	return true;
}

static void step_flush(struct wr_task *t, bool all)
{
	uint64_t now = wr_clock_ns(t->clock), next = UINT64_MAX;

	for (uint32_t i = 0; i < t->writer_count; i++) {
		uint64_t due = wr_writer_flush(t->writers[i], now, all);

		if (due < next)
			next = due;
	}
	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct wr_stage *s = &t->nodes[i].stage;

		if (s->wake_ns < next)
			next = s->wake_ns;
		if (s->deadline_ms != INT64_MAX && !t->nodes[i].ended) {
			int64_t left = s->deadline_ms - wr_clock_ms(t->clock);
			uint64_t due = left <= 0 ? now : left > INT64_MAX / 2000000 ? UINT64_MAX
									 : now + (uint64_t)left * 1000000;

			if (due < next)
				next = due;
		}
	}
	t->deadline_ns = next;
}

static enum wr_step task_end(struct wr_task *t, bool failed)
{
	t->failed = failed;
	t->phase = DONE;
	return WR_STEP_DONE;
}

static int step_open(struct wr_task *t)
{
	for (uint32_t i = 0; i < t->node_count; i++) {
		struct wr_stage *s = &t->nodes[i].stage;
		int rc = s->ops->open ? s->ops->open(s) : WR_OK;

		if (rc == WR_OK)
			rc = node_flush(&t->nodes[i]);
		if (rc != WR_OK)
			return rc;
	}
	t->phase = RUNNING;
	return WR_OK;
}

/* What a step does between mail and flush. WR_OK: more may follow at once; WR_AGAIN: not before somebody
 * wakes the task or its deadline comes; WR_END: the outside of a sink is gone. */
static int step_work(struct wr_task *t)
{
	int rc = step_chain(t), input;

	if (rc == WR_OK)
		rc = step_timers(t);
	if (rc == WR_OK && !chain_pending(t)) {
		input = t->gate ? step_gate(t) : step_source(t);
		if (input < 0)
			return input;
		rc = step_chain(t);
		if (rc == WR_OK)
			return input == WR_OK ? WR_OK : WR_AGAIN;
	}
	if (rc != WR_AGAIN)
		return rc;
	/* A stage stopped early: because it was told to, then the next step goes on (what it was told must be
	 * remembered: asked again, the answer may have changed); or because it waits for its own outside. */
	return t->paused ? WR_OK : WR_AGAIN;
}

static bool all_ended(const struct wr_task *t)
{
	for (uint32_t i = 0; i < t->node_count; i++)
		if (!t->nodes[i].ended)
			return false;
	return true;
}

enum wr_step wr_task_step(struct wr_task *t)
{
	uint64_t now = wr_clock_ns(t->clock);
	int rc = WR_OK;

	if (t->phase == DONE)
		return WR_STEP_DONE;
	wr_metric_add(&t->steps, 1);
	if (atomic_load_explicit(&t->cancelled, memory_order_relaxed))
		return task_end(t, false);
	t->paused = false;
	for (uint32_t i = 0; i < t->node_count; i++)
		t->nodes[i].stage.step_until_ns = now + t->step_ns;
	if (t->phase == OPENING)
		rc = step_open(t);
	if (rc == WR_OK)
		rc = step_mail(t);
	if (rc < 0)
		return task_end(t, true);
	if (!writers_ready(t)) {
		if (!t->blocked_since_ns)
			t->blocked_since_ns = now;
		return WR_STEP_BLOCKED;
	}
	if (t->blocked_since_ns) {
		wr_metric_add(&t->blocked_ns, (int64_t)(now - t->blocked_since_ns));
		t->blocked_since_ns = 0;
	}
	rc = step_work(t);
	if (rc < 0)
		return task_end(t, true);
	if (rc == WR_END) {
		t->gone = true;
		return task_end(t, false);
	}
	step_flush(t, all_ended(t));
	if (all_ended(t))
		return task_end(t, false);
	wr_metric_add(&t->busy_ns, (int64_t)(wr_clock_ns(t->clock) - now));
	return rc == WR_OK ? WR_STEP_MORE : WR_STEP_IDLE;
}

bool wr_task_failed(const struct wr_task *t)
{
	return t->failed;
}

bool wr_task_gone(const struct wr_task *t)
{
	return t->gone;
}

uint64_t wr_task_deadline(const struct wr_task *t)
{
	return t->deadline_ns;
}

void wr_task_choose(struct wr_task *t, uint32_t (*choose)(void *arg, uint32_t n), void *arg)
{
	t->choose = choose;
	t->choose_arg = arg;
}

void wr_task_stats(const struct wr_task *t, struct wr_task_stats *out)
{
	memset(out, 0, sizeof *out);
	out->name = t->env.task;
	out->subtask = t->env.subtask;
	out->steps = wr_metric_get(&t->steps);
	out->busy_ns = wr_metric_get(&t->busy_ns);
	out->blocked_ns = wr_metric_get(&t->blocked_ns);
	out->watermark = wr_metric_get(&t->watermark_stat);
	out->ops = t->ops;
	out->op_count = t->op_count;
	out->source = !t->gate;
	out->sink = t->nodes[t->node_count - 1].stage.out_count == 0;
	for (uint32_t i = 0; i < t->writer_count; i++) {
		struct wr_writer_stats w;

		wr_writer_stats(t->writers[i], &w);
		if (w.queued_max > out->queued_max)
			out->queued_max = w.queued_max;
		out->buffers_used += w.pool.in_use;
		out->buffers_limit += w.pool.limit;
		out->overdrafts += w.pool.overdrafts;
	}
}
