/* SPDX-License-Identifier: Apache-2.0 */
/* task: the step function. */
#include "task/task.h"

#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "exchange/valve.h"

enum { FLUSH_NS_MAX = 1000000 }; /* a partly filled buffer is seen at least this often while a task is busy */

static struct wr_mem mem = WR_MEM_INIT("task.tasks");

/* What a drain of the inboxes ended with, beside WR_OK and errors. */
enum { DRAIN_MORE = WR_AGAIN, DRAIN_WAIT = 16 };

struct wr_task {
	/* configuration */
	struct wr_stage_env env;
	struct wr_chain chain;
	struct wr_gate *gate;
	struct wr_writer **writers;
	uint32_t writer_count;
	struct wr_port *ports; /* of all stages, in order */
	uint32_t port_count;
	struct wr_world *world;
	struct wr_arena arena;
	int64_t timeout_us_min;
	struct wr_mailbox mailbox;
	/* state */
	struct wr_valve *valve;
	int64_t *passed;  /* by stage: last watermark that left it */
	uint32_t opened;  /* stages whose open was called */
	uint32_t ended;	  /* stages that END has passed */
	bool stopping;	  /* a source ends at its next turn */
	bool input_ended; /* END is in the chain */
	bool done;
	bool *closed; /* by stage: wants no more rows; those that come are dropped */
	bool enough, enough_said;
	uint64_t barrier_id; /* under alignment, 0 = none */
	uint64_t barrier_payload;
	uint32_t barriers; /* channels that have brought it */
	uint32_t channels_ended;
	uint64_t now_ns;     /* last reading of the clock */
	uint64_t blocked_ns; /* since when the task is blocked, 0 = it is not */
	uint64_t flush_ns;   /* when the writers want to be flushed next */
	uint64_t flush_look_ns;
	uint64_t deadline_ns;
	struct wr_task_stats stats;
};

/* ---- making ---- */

static int stage_ports(struct wr_task *t, const struct wr_task_def *def, uint32_t i, struct wr_port *ports)
{
	const struct wr_stage_def *d = &def->stages[i];
	struct wr_stage *s = &t->chain.stages[i];

	s->outs = wr_arena_alloc(&t->arena, (d->port_count + 1) * sizeof(struct wr_out *));
	if (!s->outs)
		return WR_EFATAL;
	s->out_count = d->port_count;
	s->dead_letter = -1;
	for (uint32_t k = 0; k < d->port_count; k++) {
		struct wr_port *p = &ports[k];
		const struct wr_port_def *pd = &d->ports[k];

		p->chain = &t->chain;
		p->stage = s;
		p->targets = pd->targets;
		p->target_count = pd->count;
		p->op = pd->op;
		if (pd->count == 1 && pd->targets[0].writer && wr_writer_single(pd->targets[0].writer)) {
			p->direct = pd->targets[0].writer;
			p->direct_max = pd->targets[0].row_max;
		}
		for (uint32_t j = 0; j < pd->count; j++)
			WR_ASSERT(pd->targets[j].writer || pd->targets[j].stage > i);
		if (pd->dead_letter)
			s->dead_letter = (int32_t)k;
		s->outs[k] = &p->out;
	}
	return WR_OK;
}

static int stage_init(struct wr_task *t, const struct wr_task_def *def, uint32_t i)
{
	const struct wr_stage_def *d = &def->stages[i];
	struct wr_stage *s = &t->chain.stages[i];

	s->ops = d->ops;
	s->env = &t->env;
	s->index = i;
	s->plan = d->plan;
	s->options = d->options;
	s->chain = &t->chain;
	s->store = d->store;
	s->keyer = d->keyer;
	s->on_error = d->on_error;
	s->watermark = WR_TS_NONE;
	s->deadline_ms = INT64_MAX;
	s->wake_ns = UINT64_MAX;
	t->passed[i] = WR_TS_NONE;
	s->ops_count = d->operator_count;
	s->ops_stats = wr_arena_alloc(&t->arena, (d->operator_count + 1) * sizeof *s->ops_stats);
	if (!s->ops_stats)
		return WR_EFATAL;
	memset(s->ops_stats, 0, (d->operator_count + 1) * sizeof *s->ops_stats);
	for (uint32_t k = 0; k < d->operator_count; k++) {
		s->ops_stats[k].name = d->operators[k].name;
		s->ops_stats[k].uid = d->operators[k].uid;
	}
	return WR_OK;
}

static void *zeroed(struct wr_task *t, size_t bytes)
{
	void *p = wr_arena_alloc(&t->arena, bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

static int task_init(struct wr_task *t, const struct wr_task_def *def)
{
	uint32_t n = def->stage_count, at = 0;
	int rc = WR_OK;

	for (uint32_t i = 0; i < n; i++)
		t->port_count += def->stages[i].port_count;
	t->chain.stages = zeroed(t, n * sizeof *t->chain.stages);
	t->chain.inboxes = zeroed(t, n * sizeof *t->chain.inboxes);
	t->passed = zeroed(t, n * sizeof *t->passed);
	t->closed = zeroed(t, n * sizeof *t->closed);
	t->ports = zeroed(t, (t->port_count + 1) * sizeof *t->ports);
	if (!t->chain.stages || !t->chain.inboxes || !t->passed || !t->closed || !t->ports)
		return WR_EFATAL;
	t->chain.stage_count = n;
	for (uint32_t i = 0; i < n && rc == WR_OK; i++) {
		rc = stage_init(t, def, i);
		if (rc == WR_OK)
			rc = stage_ports(t, def, i, t->ports + at);
		at += def->stages[i].port_count;
	}
	if (rc == WR_OK && t->gate) {
		t->valve = wr_valve_new(wr_gate_count(t->gate));
		rc = t->valve ? WR_OK : WR_EFATAL;
		for (uint32_t i = 0; t->valve && i < wr_gate_count(t->gate); i++)
			wr_valve_input(t->valve, i, wr_gate_input(t->gate, i));
	}
	return rc;
}

/* Frees what a definition hands over when no task came of it. */
static void def_drop(const struct wr_task_def *def)
{
	for (uint32_t i = 0; i < def->stage_count; i++) {
		if (def->stages[i].store)
			wr_store_free(def->stages[i].store);
		wr_keyer_free(def->stages[i].keyer);
	}
	for (uint32_t i = 0; i < def->writer_count; i++)
		wr_writer_free(def->writers[i]);
	wr_gate_free(def->gate);
}

struct wr_task *wr_task_new(const struct wr_task_def *def)
{
	struct wr_task *t = wr_zalloc(&mem, sizeof *t);

	WR_ASSERT(def->stage_count > 0);
	if (!t) {
		def_drop(def);
		return NULL;
	}
	wr_arena_init(&t->arena, &mem);
	t->env = def->env;
	t->world = def->world;
	if (t->world)
		t->env.clock = t->world->clock;
	else if (!t->env.clock)
		t->env.clock = wr_clock_system();
	t->chain.clock = t->env.clock;
	t->gate = def->gate;
	t->timeout_us_min = def->timeout_us_min;
	t->flush_ns = t->deadline_ns = UINT64_MAX;
	wr_metric_set(&t->stats.watermark, WR_TS_NONE);
	t->writers = wr_arena_alloc(&t->arena, (def->writer_count + 1) * sizeof *t->writers);
	if (!t->writers) {
		def_drop(def);
		wr_arena_deinit(&t->arena);
		wr_free(&mem, t);
		return NULL;
	}
	t->writer_count = def->writer_count;
	for (uint32_t i = 0; i < def->writer_count; i++)
		t->writers[i] = def->writers[i];
	if (task_init(t, def) != WR_OK) {
		t->chain.stage_count = 0;
		def_drop(def);
		t->gate = NULL;
		t->writer_count = 0;
		wr_task_free(t);
		return NULL;
	}
	return t;
}

void wr_task_free(struct wr_task *t)
{
	struct wr_chain *c = &t->chain;

	for (uint32_t i = 0; i < c->stage_count; i++) {
		struct wr_stage *s = &c->stages[i];

		if (i < t->opened && s->ops->free)
			s->ops->free(s);
		while (c->inboxes[i].first)
			wr_inbox_drop(c, i);
		if (s->store)
			wr_store_free(s->store);
		wr_keyer_free(s->keyer);
	}
	for (uint32_t i = 0; i < t->port_count; i++)
		wr_port_discard(&t->ports[i]);
	for (uint32_t i = 0; i < t->writer_count; i++)
		wr_writer_free(t->writers[i]);
	wr_gate_free(t->gate);
	wr_valve_free(t->valve);
	wr_stock_deinit(&c->stock);
	wr_mailbox_deinit(&t->mailbox);
	wr_arena_deinit(&t->arena);
	wr_free(&mem, t);
}

/* ---- rows and events through the chain ---- */

static int stage_sync(struct wr_stage *s)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < s->out_count && rc == WR_OK; i++)
		rc = wr_port_sync((struct wr_port *)s->outs[i]);
	return rc;
}

static int stage_event(struct wr_stage *s, uint32_t event, int64_t ts, uint64_t payload)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < s->out_count && rc == WR_OK; i++)
		rc = wr_port_event((struct wr_port *)s->outs[i], event, ts, payload);
	return rc;
}

static struct wr_task *task_of(struct wr_stage *s)
{
	return (struct wr_task *)((char *)s->chain - offsetof(struct wr_task, chain));
}

/* K3: a watermark that does not rise is not sent. */
static int pass_watermark(struct wr_stage *s, int64_t wm)
{
	struct wr_task *t = task_of(s);

	if (wm <= t->passed[s->index])
		return WR_OK;
	t->passed[s->index] = wm;
	if (s->index == 0)
		wr_metric_set(&t->stats.watermark, wm);
	return stage_event(s, WR_EV_WATERMARK, wm, 0);
}

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	return pass_watermark(s, wm);
}

int wr_stage_emit_idle(struct wr_stage *s, bool idle)
{
	return stage_event(s, idle ? WR_EV_IDLE : WR_EV_ACTIVE, 0, 0);
}

static int on_rows(struct wr_stage *s, struct wr_item *item)
{
	struct wr_rows rows = {item->p, item->end, item->input, 0};
	int rc, synced;

	WR_ASSERT(s->ops->rows);
	if (task_of(s)->closed[s->index])
		return WR_OK;
	rc = s->ops->rows(s, &rows);
	if (rc == WR_END) {
		task_of(s)->closed[s->index] = task_of(s)->enough = true;
		return WR_OK;
	}
	if (rc >= 0) {
		synced = stage_sync(s);
		rc = synced == WR_OK ? rc : synced;
	}
	if (rc == WR_AGAIN && rows.p != item->p)
		task_of(s)->chain.moved = true;
	WR_ASSERT(rc != WR_OK || rows.p == rows.end);
	if (rc == WR_OK && !s->ops->counts)
		wr_metric_add(&s->ops_stats[0].rows_in, item->rows);
	wr_metric_add(&s->ops_stats[0].bytes_in, rows.p - item->p);
	item->p = rows.p;
	return rc;
}

/* Processing-time timers that are left when input ends (I13). */
static int last_timers(struct wr_stage *s)
{
	int rc = WR_OK, synced;

	if (!s->ops->time || s->deadline_ms == INT64_MAX)
		return WR_OK;
	rc = s->ops->time(s, INT64_MAX);
	synced = rc >= 0 ? stage_sync(s) : WR_OK;
	return synced == WR_OK ? rc : synced;
}

static int on_watermark(struct wr_stage *s, struct wr_item *item)
{
	int64_t wm = item->ts;
	int rc = WR_OK, synced;

	if (wm == WR_TS_MAX && !item->timers_fired) {
		rc = last_timers(s);
		if (rc != WR_OK)
			return rc;
		item->timers_fired = true;
	}
	s->watermark = wm;
	if (s->ops->own_time && wm != WR_TS_MAX)
		return WR_OK;
	if (s->ops->watermark)
		rc = s->ops->watermark(s, &wm);
	synced = rc >= 0 ? stage_sync(s) : WR_OK;
	rc = synced == WR_OK ? rc : synced;
	return rc == WR_OK ? pass_watermark(s, wm) : rc;
}

static int on_end(struct wr_stage *s)
{
	int rc = last_timers(s), synced;

	if (rc != WR_OK)
		return rc;
	if (s->ops->end)
		rc = s->ops->end(s);
	synced = rc >= 0 ? stage_sync(s) : WR_OK;
	rc = synced == WR_OK ? rc : synced;
	if (rc != WR_OK)
		return rc;
	task_of(s)->ended++;
	return stage_event(s, WR_EV_END, 0, 0);
}

static int on_item(struct wr_stage *s, struct wr_item *item)
{
	switch (item->event) {
	case 0:
		return on_rows(s, item);
	case WR_EV_WATERMARK:
		return on_watermark(s, item);
	case WR_EV_END:
		return on_end(s);
	case WR_EV_IDLE:
	case WR_EV_ACTIVE:
		if (s->ops->own_time)
			return WR_OK;
	}
	return stage_event(s, item->event, item->ts, item->payload);
}

static bool time_is_up(struct wr_task *t)
{
	return wr_clock_ns(t->chain.clock) >= t->chain.step_until_ns;
}

static bool outputs_ready(struct wr_task *t)
{
	bool ready = true;

	for (uint32_t i = 0; i < t->writer_count; i++)
		ready &= wr_writer_ready(t->writers[i]);
	return ready;
}

/* A stage said WR_AGAIN: is there something it can go on with in this step, in the next, or must it be
 * woken? */
static int stage_paused(struct wr_task *t, uint32_t stage)
{
	struct wr_chain *c = &t->chain;
	bool behind = false;

	for (uint32_t i = stage + 1; i < c->stage_count; i++)
		behind |= c->inboxes[i].first != NULL;
	if (time_is_up(t) || !outputs_ready(t))
		return DRAIN_MORE;
	if (behind || c->moved || c->told)
		return WR_OK;
	return DRAIN_WAIT;
}

/* Handles what lies in the inboxes, the last stage first. */
static int drain(struct wr_task *t)
{
	struct wr_chain *c = &t->chain;
	uint32_t i = c->stage_count;

	while (i > 0) {
		struct wr_inbox *box = &c->inboxes[i - 1];
		int rc;

		if (!box->first) {
			i--;
			continue;
		}
		c->pause = c->moved = c->told = false;
		rc = on_item(&c->stages[i - 1], box->first);
		if (rc == WR_OK)
			wr_inbox_drop(c, i - 1);
		else if (rc == WR_AGAIN)
			rc = stage_paused(t, i - 1);
		if (rc != WR_OK)
			return rc;
		i = c->stage_count;
	}
	return WR_OK;
}

/* ---- input ---- */

static int valve_actions(struct wr_task *t, unsigned actions)
{
	int rc = WR_OK;

	if (actions & WR_VALVE_ACTIVE)
		rc = wr_inbox_add_event(&t->chain, 0, WR_EV_ACTIVE, 0, 0);
	if (rc == WR_OK && actions & WR_VALVE_WATERMARK)
		rc = wr_inbox_add_event(&t->chain, 0, WR_EV_WATERMARK, wr_valve_watermark(t->valve), 0);
	if (rc == WR_OK && actions & WR_VALVE_IDLE)
		rc = wr_inbox_add_event(&t->chain, 0, WR_EV_IDLE, 0, 0);
	if (rc == WR_OK && actions & WR_VALVE_END) {
		t->input_ended = true;
		rc = wr_inbox_add_event(&t->chain, 0, WR_EV_END, 0, 0);
	}
	return rc;
}

/* A barrier goes on when all channels that still run have brought it; until then those that have are
 * blocked. An ended channel counts as one that has (C4). */
static int align(struct wr_task *t)
{
	uint64_t id = t->barrier_id;

	if (!id || t->barriers + t->channels_ended < wr_gate_count(t->gate))
		return WR_OK;
	t->barrier_id = 0;
	t->barriers = 0;
	wr_gate_unblock_all(t->gate);
	return wr_inbox_add_event(&t->chain, 0, WR_EV_BARRIER, (int64_t)id, t->barrier_payload);
}

static int on_barrier(struct wr_task *t, uint32_t channel, const struct wr_elem *e)
{
	t->barrier_id = (uint64_t)e->ts;
	t->barrier_payload = 0;
	if (wr_elem_body_len(e) >= sizeof t->barrier_payload)
		memcpy(&t->barrier_payload, wr_elem_body(e), sizeof t->barrier_payload);
	t->barriers++;
	wr_gate_block(t->gate, channel);
	return align(t);
}

static int on_channel_end(struct wr_task *t, uint32_t channel)
{
	int rc;

	wr_gate_end(t->gate, channel);
	t->channels_ended++;
	rc = align(t);
	return rc == WR_OK ? valve_actions(t, wr_valve_on_end(t->valve, channel)) : rc;
}

static int on_event(struct wr_task *t, uint32_t channel, const struct wr_elem *e)
{
	uint64_t payload = 0;

	switch (wr_event_type(e)) {
	case WR_EV_WATERMARK:
		return valve_actions(t, wr_valve_on_watermark(t->valve, channel, e->ts));
	case WR_EV_IDLE:
		return valve_actions(t, wr_valve_on_idle(t->valve, channel));
	case WR_EV_ACTIVE:
		return valve_actions(t, wr_valve_on_active(t->valve, channel));
	case WR_EV_END:
		return on_channel_end(t, channel);
	case WR_EV_BARRIER:
		return on_barrier(t, channel, e);
	case WR_EV_LATENCY:
		if (wr_elem_body_len(e) >= sizeof payload)
			memcpy(&payload, wr_elem_body(e), sizeof payload);
		return wr_inbox_add_event(&t->chain, 0, WR_EV_LATENCY, e->ts, payload);
	default:
		return wr_error_set(WR_EBUG, "an event of type %u in a channel", wr_event_type(e));
	}
}

static uint32_t choose(void *arg, uint32_t filled)
{
	struct wr_world *w = arg;

	return w->channel(w, filled);
}

/* One buffer: its rows into the first inbox, its events through the valve behind them. */
static int take_buffer(struct wr_task *t)
{
	struct wr_input in;
	int rc = wr_gate_next(t->gate, &in, t->world ? choose : NULL, t->world);
	const uint8_t *p;
	struct wr_item *item;

	if (rc != WR_OK)
		return rc;
	wr_metric_add(&t->stats.buffers_in, 1);
	p = in.buffer->data + in.buffer->rows_len;
	item = wr_inbox_add(&t->chain, 0);
	if (!item) {
		wr_buffer_unref(in.buffer);
		return WR_EFATAL;
	}
	item->buffer = in.buffer;
	item->p = in.buffer->data;
	item->end = p;
	item->rows = in.buffer->row_count;
	item->input = in.input;
	for (; p < in.buffer->data + in.buffer->len && rc == WR_OK; p += ((const struct wr_elem *)p)->len)
		rc = on_event(t, in.channel, (const struct wr_elem *)p);
	return rc;
}

static int end_source(struct wr_task *t)
{
	int rc = wr_inbox_add_event(&t->chain, 0, WR_EV_WATERMARK, WR_TS_MAX, 0);

	t->input_ended = true;
	return rc == WR_OK ? wr_inbox_add_event(&t->chain, 0, WR_EV_END, 0, 0) : rc;
}

static int poll_source(struct wr_task *t)
{
	struct wr_stage *s = &t->chain.stages[0];
	int rc, synced;

	if (t->stopping)
		return end_source(t);
	s->wake_ns = UINT64_MAX;
	t->chain.pause = false;
	rc = s->ops->poll(s);
	synced = rc >= 0 ? stage_sync(s) : WR_OK;
	if (synced != WR_OK)
		return synced;
	return rc == WR_END ? end_source(t) : rc;
}

/* ---- the step ---- */

static int open_stages(struct wr_task *t)
{
	int rc = WR_OK;

	while (t->opened < t->chain.stage_count && rc == WR_OK) {
		struct wr_stage *s = &t->chain.stages[t->opened++];

		rc = s->ops->open ? s->ops->open(s) : WR_OK;
	}
	return rc;
}

static int barrier_letter(struct wr_task *t, const struct wr_letter *l)
{
	uint64_t id;

	if (t->gate || t->input_ended || l->len < sizeof id)
		return WR_OK;
	memcpy(&id, l->payload, sizeof id);
	return wr_inbox_add_event(&t->chain, 0, WR_EV_BARRIER, (int64_t)id, 0);
}

static int read_letter(struct wr_task *t, const struct wr_letter *l)
{
	struct wr_stage *s;

	switch (l->type) {
	case WR_LETTER_CANCEL:
		t->done = true;
		return WR_OK;
	case WR_LETTER_STOP:
		t->stopping = true;
		return WR_OK;
	case WR_LETTER_BARRIER:
		return barrier_letter(t, l);
	}
	WR_ASSERT(l->stage < t->chain.stage_count);
	s = &t->chain.stages[l->stage];
	return s->ops->letter ? s->ops->letter(s, l->type, l->payload, l->len) : WR_OK;
}

static int read_mail(struct wr_task *t)
{
	struct wr_letter *l;
	int rc = WR_OK;

	while (rc == WR_OK && !t->done) {
		l = t->world ? t->world->mail(t->world, &t->mailbox) : wr_mailbox_take(&t->mailbox);
		if (!l)
			break;
		rc = read_letter(t, l);
		wr_letter_free(l);
	}
	return rc;
}

/* Before a batch every writer must hold its reserve; when one does not, its pool wakes the task. */
static bool may_emit(struct wr_task *t)
{
	bool ready = true;

	for (uint32_t i = 0; i < t->writer_count; i++)
		if (!wr_writer_ready(t->writers[i]))
			ready &= wr_writer_wait(t->writers[i]);
	return t->world ? t->world->ready(t->world, ready) : ready;
}

/* Processing-time timers that are due. WR_AGAIN: more are due. */
static int fire_timers(struct wr_task *t)
{
	int64_t now_ms = INT64_MIN;
	int rc = WR_OK;

	for (uint32_t i = 0; i < t->chain.stage_count && rc == WR_OK; i++) {
		struct wr_stage *s = &t->chain.stages[i];
		int synced;

		if (s->deadline_ms == INT64_MAX || !s->ops->time)
			continue;
		if (now_ms == INT64_MIN)
			now_ms = wr_clock_ms(t->chain.clock);
		if (s->deadline_ms > now_ms)
			continue;
		rc = s->ops->time(s, now_ms);
		synced = rc >= 0 ? stage_sync(s) : WR_OK;
		rc = synced == WR_OK ? rc : synced;
	}
	return rc;
}

static int work(struct wr_task *t)
{
	int rc = drain(t), input;

	if (rc == WR_OK)
		rc = fire_timers(t);
	if (rc == WR_OK)
		rc = drain(t);
	if (rc != WR_OK || t->ended == t->chain.stage_count)
		return rc;
	input = t->input_ended ? WR_AGAIN : t->gate ? take_buffer(t) : poll_source(t);
	if (input < 0)
		return input;
	rc = drain(t);
	if (rc != WR_OK || input == WR_OK)
		return rc == WR_OK ? DRAIN_MORE : rc;
	return WR_OK;
}

static enum wr_step answer(struct wr_task *t, int rc)
{
	if (t->done || t->ended == t->chain.stage_count)
		return WR_STEP_DONE;
	if (rc >= 0 && t->enough && !t->enough_said) {
		t->enough_said = true;
		return WR_STEP_ENOUGH;
	}
	switch (rc) {
	case WR_OK:
		return WR_STEP_IDLE;
	case DRAIN_MORE:
		return WR_STEP_MORE;
	case DRAIN_WAIT:
		return WR_STEP_BLOCKED;
	default:
		wr_error_wrap(rc, "%s [%u/%u]", t->env.task, t->env.subtask + 1, t->env.parallelism);
		return WR_STEP_FAILED;
	}
}

/* Lets partly filled buffers go whose time is up. While a task is busy it is not asked at every step. */
static int flush(struct wr_task *t, enum wr_step step)
{
	int rc = WR_OK;

	if (!t->writer_count || (step == WR_STEP_MORE && t->now_ns < t->flush_look_ns))
		return WR_OK;
	for (uint32_t i = 0; i < t->port_count && rc == WR_OK; i++)
		rc = wr_port_release(&t->ports[i]);
	t->flush_ns = UINT64_MAX;
	for (uint32_t i = 0; i < t->writer_count; i++) {
		uint64_t due = wr_writer_flush(t->writers[i], t->now_ns, false);

		if (due < t->flush_ns)
			t->flush_ns = due;
	}
	if (t->timeout_us_min != 0)
		t->flush_look_ns = t->now_ns + FLUSH_NS_MAX;
	return rc;
}

static uint64_t next_deadline(struct wr_task *t)
{
	uint64_t at = t->flush_ns;
	int64_t wall = INT64_MIN;

	for (uint32_t i = 0; i < t->chain.stage_count; i++) {
		const struct wr_stage *s = &t->chain.stages[i];
		uint64_t due;

		if (s->wake_ns < at)
			at = s->wake_ns;
		if (s->deadline_ms == INT64_MAX)
			continue;
		if (wall == INT64_MIN)
			wall = wr_clock_ms(t->chain.clock);
		due = s->deadline_ms <= wall ? t->now_ns
					     : t->now_ns + (uint64_t)(s->deadline_ms - wall) * 1000000u;
		if (due < at)
			at = due;
	}
	return at;
}

static void account(struct wr_task *t, uint64_t began_ns, enum wr_step step)
{
	wr_metric_add(&t->stats.steps, 1);
	wr_metric_add(&t->stats.busy_ns, (int64_t)(t->now_ns - began_ns));
	if (t->blocked_ns)
		wr_metric_add(&t->stats.blocked_ns, (int64_t)(began_ns - t->blocked_ns));
	t->blocked_ns = step == WR_STEP_BLOCKED ? t->now_ns : 0;
}

enum wr_step wr_task_step(struct wr_task *t)
{
	uint64_t began = wr_clock_ns(t->chain.clock);
	enum wr_step step = WR_STEP_DONE;
	int rc;

	if (t->done)
		return WR_STEP_DONE;
	t->chain.step_until_ns = began + WR_STEP_NS;
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		t->chain.stages[i].step_until_ns = t->chain.step_until_ns;
	rc = t->opened < t->chain.stage_count ? open_stages(t) : WR_OK;
	if (rc == WR_OK)
		rc = read_mail(t);
	if (rc == WR_OK && !t->done)
		rc = may_emit(t) ? work(t) : DRAIN_WAIT;
	step = answer(t, rc);
	t->now_ns = wr_clock_ns(t->chain.clock);
	if (step < WR_STEP_DONE && flush(t, step) != WR_OK)
		step = answer(t, WR_EFATAL);
	t->deadline_ns = step == WR_STEP_IDLE || step == WR_STEP_BLOCKED ? next_deadline(t) : UINT64_MAX;
	account(t, began, step);
	if (step >= WR_STEP_DONE) {
		t->done = true;
		wr_metric_set(&t->stats.done, 1);
	}
	return step;
}

uint64_t wr_task_deadline(const struct wr_task *t)
{
	return t->deadline_ns;
}

void wr_task_post(struct wr_task *t, struct wr_letter *l)
{
	wr_mailbox_put(&t->mailbox, l);
	wr_notify_fire(&t->env.wake);
}

const struct wr_stage_env *wr_task_env(const struct wr_task *t)
{
	return &t->env;
}

const struct wr_task_stats *wr_task_stats(const struct wr_task *t)
{
	return &t->stats;
}

uint32_t wr_task_stage_count(const struct wr_task *t)
{
	return t->chain.stage_count;
}

const struct wr_stage *wr_task_stage(const struct wr_task *t, uint32_t i)
{
	return &t->chain.stages[i];
}

uint32_t wr_task_writer_count(const struct wr_task *t)
{
	return t->writer_count;
}

const struct wr_writer *wr_task_writer(const struct wr_task *t, uint32_t i)
{
	return t->writers[i];
}
