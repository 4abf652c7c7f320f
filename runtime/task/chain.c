/* SPDX-License-Identifier: Apache-2.0 */
/* chain: rows and events through the stages of a task, from inbox to inbox. */
#include "base/assert.h"
#include "base/error.h"
#include "task/latency.h"
#include "task/task_priv.h"

static struct wr_task *task_of(struct wr_stage *s)
{
	return (struct wr_task *)((char *)s->chain - offsetof(struct wr_task, chain));
}

/* What `w` holds back goes behind what `ahead` has sent to the same task. */
static int follow(struct wr_task *t, struct wr_writer *w, const struct wr_writer *ahead)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < t->port_count && rc == WR_OK; i++)
		if (t->ports[i].direct == w)
			rc = wr_port_release(&t->ports[i]);
	if (rc == WR_OK)
		wr_writer_follow(w, ahead);
	return rc == WR_OK ? wr_writer_status(w) : rc;
}

/* Few rows of one input of a join would lie in their buffer while many of the other go past them, and those
 * would have to wait in the consumer's state. */
static int keep_together(struct wr_task *t)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < t->writer_count; i++) {
		struct wr_writer *ahead = t->writers[i];

		if (!wr_writer_ahead(ahead))
			continue;
		for (uint32_t k = 0; k < t->writer_count && rc == WR_OK; k++)
			if (k != i && wr_writer_consumer(t->writers[k]) == wr_writer_consumer(ahead))
				rc = follow(t, t->writers[k], ahead);
		wr_writer_followed(ahead);
	}
	return rc;
}

/* Delivers what the stage wrote to its ports; an error when its store was refused memory meanwhile. */
static int deliver(struct wr_stage *s)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < s->out_count && rc == WR_OK; i++)
		rc = wr_port_sync((struct wr_port *)s->outs[i]);
	if (rc == WR_OK && s->chain && task_of(s)->joined)
		rc = keep_together(task_of(s));
	return rc == WR_OK && s->store ? wr_store_status(s->store) : rc;
}

int wr_stage_answer(struct wr_stage *s, int rc)
{
	int delivered = rc >= 0 ? deliver(s) : WR_OK;

	return delivered == WR_OK ? rc : delivered;
}

static int stage_event(struct wr_stage *s, uint32_t event, int64_t ts, uint64_t payload, const char *text)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < s->out_count && rc == WR_OK; i++)
		rc = wr_port_event((struct wr_port *)s->outs[i], event, ts, payload, text);
	return rc;
}

/* K3: a watermark that does not rise is not sent. */
static int pass_watermark(struct wr_stage *s, int64_t wm)
{
	struct wr_task *t = task_of(s);

	if (wm <= t->passed[s->index])
		return WR_OK;
	if (wm == WR_TS_MAX)
		t->before_end[s->index].passed = t->passed[s->index];
	t->passed[s->index] = wm;
	if (s->index == 0)
		wr_metric_set(&t->stats.watermark, wm);
	return stage_event(s, WR_EV_WATERMARK, wm, 0, NULL);
}

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	return pass_watermark(s, wm);
}

int wr_stage_emit_idle(struct wr_stage *s, bool idle)
{
	return stage_event(s, idle ? WR_EV_IDLE : WR_EV_ACTIVE, 0, 0, NULL);
}

int wr_stage_emit_split(struct wr_stage *s, enum wr_split_word word, uint32_t number, const char *name)
{
	return stage_event(s, WR_EV_SPLIT, number, word, name);
}

void wr_stage_hold(struct wr_stage *s, uint32_t number, bool held)
{
	struct wr_stage *source = &s->chain->stages[0];

	if (source->ops->hold && number > 0)
		source->ops->hold(source, number, held);
	else
		s->chain->held = held;
}

bool wr_stage_source_waits(const struct wr_stage *s)
{
	return s->chain->stages[0].waits;
}

uint64_t wr_stage_running_ns(const struct wr_stage *s)
{
	const struct wr_task *t = task_of((struct wr_stage *)(uintptr_t)s);
	uint64_t now = t->chain.step_until_ns - WR_STEP_NS;

	return now - (uint64_t)wr_metric_get(&t->stats.blocked_ns);
}

static int on_rows(struct wr_stage *s, struct wr_item *item)
{
	struct wr_rows rows = {item->p, item->end, item->input, 0};
	int rc;

	WR_ASSERT(s->ops->rows);
	if (task_of(s)->closed[s->index])
		return WR_OK;
	rc = s->ops->rows(s, &rows);
	if (rc == WR_END) {
		task_of(s)->closed[s->index] = task_of(s)->enough = true;
		return WR_OK;
	}
	rc = wr_stage_answer(s, rc);
	if (rc == WR_AGAIN && rows.p != item->p)
		task_of(s)->chain.moved = true;
	WR_ASSERT(rc != WR_OK || rows.p == rows.end);
	if (rc == WR_OK && !s->ops->counts)
		wr_metric_add(&s->ops_stats[0].rows_in, item->rows);
	wr_metric_add(&s->ops_stats[0].bytes_in, rows.p - item->p);
	if (s->untried && rc >= 0 && rows.p != item->p && wr_functions_tried(s) != WR_OK)
		rc = WR_EFATAL;
	item->p = rows.p;
	return rc;
}

/* Processing-time timers that are left when input ends (I13). */
static int last_timers(struct wr_stage *s)
{
	if (!s->ops->time || s->deadline_ms == INT64_MAX)
		return WR_OK;
	return wr_stage_answer(s, s->ops->time(s, INT64_MAX));
}

static int on_watermark(struct wr_stage *s, struct wr_item *item)
{
	int64_t wm = item->ts;
	int rc = WR_OK;

	if (wm == WR_TS_MAX && !item->timers_fired) {
		rc = last_timers(s);
		if (rc != WR_OK)
			return rc;
		item->timers_fired = true;
	}
	if (wm == WR_TS_MAX && s->watermark != WR_TS_MAX)
		task_of(s)->before_end[s->index].watermark = s->watermark;
	s->watermark = wm;
	if (s->ops->own_time && wm != WR_TS_MAX)
		return WR_OK;
	if (s->ops->watermark)
		rc = s->ops->watermark(s, &wm);
	rc = wr_stage_answer(s, rc);
	return rc == WR_OK ? pass_watermark(s, wm) : rc;
}

static int on_end(struct wr_stage *s)
{
	int rc = last_timers(s);

	if (rc != WR_OK)
		return rc;
	s->awaits_checkpoint = false;
	if (s->ops->end)
		rc = s->ops->end(s);
	rc = wr_stage_answer(s, rc);
	if (rc != WR_OK)
		return rc;
	task_of(s)->ended++;
	task_of(s)->past_end[s->index] = true;
	return stage_event(s, WR_EV_END, 0, 0, NULL);
}

static int on_split(struct wr_stage *s, const struct wr_item *item)
{
	return wr_stage_answer(
	    s, s->ops->split(s, (enum wr_split_word)item->payload, (uint32_t)item->ts, item->text));
}

static int on_idle(struct wr_stage *s, const struct wr_item *item)
{
	return wr_stage_answer(s, s->ops->idle(s, item->event == WR_EV_IDLE));
}

/* At a sink, which has no output but for what failed, its way is over. */
static int on_marker(struct wr_stage *s, const struct wr_item *item)
{
	uint64_t now;

	if (s->out_count > (s->dead_letter >= 0))
		return stage_event(s, item->event, item->ts, item->payload, NULL);
	now = wr_clock_ns(s->env->clock);
	return wr_latency_add(task_of(s), s->index, item->payload,
			      now > (uint64_t)item->ts ? now - (uint64_t)item->ts : 0);
}

/* What is behind the barrier must not be missing when the job ends here (C27). */
static int flush(struct wr_stage *s, struct wr_item *item)
{
	int rc = WR_OK;

	if (item->payload & WR_TRIGGER_DRAIN && !item->end_called) {
		s->awaits_checkpoint = false;
		rc = wr_stage_answer(s, s->ops->end ? s->ops->end(s) : WR_OK);
		if (rc == WR_AGAIN && s->awaits_checkpoint)
			rc = WR_OK; /* this one */
		s->awaits_checkpoint = false;
		item->end_called = rc == WR_OK;
	}
	return rc == WR_OK && s->ops->flush ? s->ops->flush(s) : rc;
}

/* The barrier leaves first, so that others need not wait for the snapshot (C1). Of functions a snapshot holds
 * nothing; they are there when the coordinator hears of it. */
static int on_barrier(struct wr_stage *s, struct wr_item *item)
{
	struct wr_task *t = task_of(s);
	bool last = t->last_barrier == (uint64_t)item->ts;
	int rc = last ? flush(s, item) : WR_OK;

	if (rc == WR_OK)
		rc = stage_event(s, item->event, item->ts, item->payload, NULL);
	if (rc != WR_OK)
		return rc;
	if (s->index == 0)
		t->triggered = 0;
	if (item->payload & WR_TRIGGER_SWAP)
		rc = wr_functions_swap(s, (uint64_t)item->ts, item->payload);
	if (rc != WR_OK)
		return rc;
	if (t->snapshots)
		wr_snapshot_stage(t->snapshots, s, (uint64_t)item->ts);
	t->rests[s->index] = last;
	return WR_OK;
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
	case WR_EV_SPLIT:
		if (s->ops->split)
			return on_split(s, item);
		break;
	case WR_EV_LATENCY:
		return on_marker(s, item);
	case WR_EV_BARRIER:
		return on_barrier(s, item);
	case WR_EV_IDLE:
	case WR_EV_ACTIVE:
		if (s->ops->own_time)
			return WR_OK;
		if (s->ops->idle)
			return on_idle(s, item);
	}
	return stage_event(s, item->event, item->ts, item->payload, item->text);
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
	t->waits = &c->stages[stage];
	return DRAIN_WAIT;
}

/* ---- a barrier that overtakes ----
 *
 * Where alignment takes long the coordinator says so (WR_LETTER_OVERTAKE, C8). Once the barrier waits in
 * every channel it passes all stages, at the next point between two rows at which nothing waits inside of the
 * chain: in front of what is left of the buffer being read, and of all that waits in the channels. These rows
 * are recorded and belong to the snapshot; the task handles them meanwhile as any others. */

/* What a world has taken for the task and not given it yet, or NULL. */
static const struct wr_input *held_input(struct wr_task *t)
{
	return t->world && t->world->held ? t->world->held(t->world) : NULL;
}

/* The barrier in front of the first inbox passes all stages, in whose inboxes nothing is. */
static int pass_barrier(struct wr_task *t)
{
	struct wr_chain *c = &t->chain;
	int rc = WR_OK;

	for (uint32_t i = 0; i < c->stage_count && rc == WR_OK; i++) {
		struct wr_item *item = c->inboxes[i].first;

		WR_ASSERT(item && item->event == WR_EV_BARRIER && !(item->payload & WR_TRIGGER_STOP));
		rc = on_barrier(&c->stages[i], item);
		wr_inbox_drop(c, i);
	}
	return rc;
}

static struct wr_item *first_item(const struct wr_task *t)
{
	return t->chain.inboxes[0].first;
}

/* Rows of the buffer that was taken last are left. */
static bool has_rest(const struct wr_task *t)
{
	return first_item(t) && first_item(t)->event == 0;
}

/* What is left of the buffer being read, and the watermark behind it, of which the valve has heard already.
 */
static void record_rest(struct wr_task *t, struct wr_in_flight *f)
{
	struct wr_in_flight_channel *c = &f->channels[t->taken_channel];
	int64_t now = c->watermark, before = t->chain.stages[0].watermark;
	uint8_t event[WR_ELEM_HEADER];

	wr_bytes_put(&c->rows, first_item(t)->p, (size_t)(first_item(t)->end - first_item(t)->p));
	if (now <= before)
		return;
	c->watermark = before;
	if (now != WR_TS_MAX)
		wr_bytes_put(&c->rows, event, wr_event_put(event, WR_EV_WATERMARK, now));
}

static struct wr_in_flight *record_all(struct wr_task *t, uint64_t checkpoint)
{
	struct wr_in_flight *f = wr_in_flight_new(t->gate, checkpoint);
	bool idle, aligned;

	for (uint32_t i = 0; f && i < f->count; i++)
		wr_valve_channel(t->valve, i, &f->channels[i].watermark, &idle, &aligned);
	if (f && has_rest(t))
		record_rest(t, f);
	for (uint32_t i = 0; f && i < f->count; i++)
		if (wr_barriers_records(t->barriers, i)) {
			wr_in_flight_record(f, t->gate, i, held_input(t));
			wr_barriers_on_recorded(t->barriers, i);
		}
	return f;
}

static bool is_barrier(const struct wr_item *item, uint64_t checkpoint)
{
	return item->event == WR_EV_BARRIER && (uint64_t)item->ts == checkpoint;
}

/* Takes the barrier out of the first inbox; NULL: it is not there. */
static struct wr_item *take_barrier(struct wr_task *t, uint64_t checkpoint)
{
	struct wr_inbox *box = &t->chain.inboxes[0];

	for (struct wr_item **at = &box->first, *item; (item = *at); at = &item->next)
		if (is_barrier(item, checkpoint)) {
			*at = item->next;
			if (!item->next)
				box->last = at;
			return item;
		}
	return NULL;
}

static void put_first(struct wr_task *t, struct wr_item *item)
{
	struct wr_inbox *box = &t->chain.inboxes[0];

	item->next = box->first;
	if (!box->first)
		box->last = &item->next;
	box->first = item;
}

/* Nothing waits inside of the chain, and the first stage stands between two rows, with no event half done and
 * no other barrier in front of this one. Nor has the input ended: END may have passed stages whose state is
 * of no use any more, which the snapshot of a task that ends says of them (wr_snapshot_ending). */
static bool may_pass(const struct wr_task *t, uint64_t checkpoint)
{
	const struct wr_stage *s = &t->chain.stages[0];

	if (t->input_ended)
		return false;
	for (uint32_t i = 1; i < t->chain.stage_count; i++)
		if (t->chain.inboxes[i].first)
			return false;
	if (s->ops->is_resting && s->ops->is_resting(s))
		return false;
	if (first_item(t) && first_item(t)->event && first_item(t)->event != WR_EV_LATENCY &&
	    !is_barrier(first_item(t), checkpoint))
		return false;
	for (const struct wr_item *item = first_item(t); item && !is_barrier(item, checkpoint);
	     item = item->next)
		if (item->event == WR_EV_BARRIER)
			return false;
	return true;
}

/* The barrier waits in each channel that has not brought it: all who feed the task have passed it. A task
 * that went ahead of them would stop where its readers, whose alignment waits for those, block it; and they
 * might wait for it to read on. */
static bool is_visible(struct wr_task *t, uint64_t checkpoint)
{
	const struct wr_input *held = held_input(t);

	for (uint32_t i = 0; i < wr_gate_count(t->gate); i++)
		if (wr_barriers_awaits(t->barriers, i, checkpoint) &&
		    !wr_in_flight_waits(t->gate, i, checkpoint, held))
			return false;
	return true;
}

/* The barrier to pass, out of its inbox or out of nothing; NULL with *rc WR_OK: it has passed, or is off. */
static struct wr_item *barrier_of(struct wr_task *t, uint64_t checkpoint, unsigned *actions, int *rc)
{
	struct wr_item *item = take_barrier(t, checkpoint);

	*actions = item ? 0 : wr_barriers_on_timeout(t->barriers, checkpoint);
	if (item || !(*actions & WR_BARRIER_PASS))
		return item;
	*rc = wr_inbox_add_event(&t->chain, 0, WR_EV_BARRIER, (int64_t)checkpoint, 0);
	return *rc == WR_OK ? take_barrier(t, checkpoint) : NULL;
}

static int overtake(struct wr_task *t)
{
	uint64_t checkpoint = t->overtaking;
	struct wr_item *item;
	unsigned actions;
	int rc = WR_OK;

	t->overtaking = 0;
	item = barrier_of(t, checkpoint, &actions, &rc);
	if (!item)
		return rc;
	t->in_flight = record_all(t, checkpoint);
	put_first(t, item);
	if (!t->in_flight)
		return WR_EFATAL;
	if (actions & WR_BARRIER_UNBLOCK)
		wr_task_hold_input(t);
	rc = pass_barrier(t);
	if (rc != WR_OK)
		return rc;
	wr_snapshot_in_flight(t->snapshots, t->in_flight);
	t->in_flight = NULL;
	return WR_OK;
}

int wr_task_overtake(struct wr_task *t)
{
	int rc = WR_OK;

	if (t->triggered && !t->last_barrier && may_pass(t, t->triggered)) {
		put_first(t, take_barrier(t, t->triggered));
		rc = pass_barrier(t);
	}
	if (rc == WR_OK && t->overtaking && may_pass(t, t->overtaking) && is_visible(t, t->overtaking))
		rc = overtake(t);
	return rc;
}

/* ---- inboxes ---- */

int wr_task_drain(struct wr_task *t)
{
	struct wr_chain *c = &t->chain;
	uint32_t i = c->stage_count;
	bool awaits = false;

	while (i > 0) {
		struct wr_inbox *box = &c->inboxes[i - 1];
		int rc;

		if (!box->first) {
			i--;
			continue;
		}
		c->pause = c->moved = c->told = false;
		if (i == 1 && WR_UNLIKELY(t->overtaking)) {
			rc = wr_task_overtake(t);
			if (rc != WR_OK)
				return rc;
			if (!box->first)
				continue;
		}
		rc = on_item(&c->stages[i - 1], box->first);
		if (rc == WR_AGAIN && c->stages[i - 1].awaits_checkpoint) {
			t->waits = &c->stages[--i];
			awaits = true;
			continue;
		}
		if (rc == WR_OK)
			wr_inbox_drop(c, i - 1);
		else if (rc == WR_AGAIN)
			rc = stage_paused(t, i - 1);
		else if (wr_functions_return(&c->stages[i - 1], rc))
			rc = WR_OK;
		if (rc != WR_OK)
			return rc;
		i = c->stage_count;
		awaits = false;
	}
	return awaits ? DRAIN_WAIT : WR_OK;
}
