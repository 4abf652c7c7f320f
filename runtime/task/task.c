/* SPDX-License-Identifier: Apache-2.0 */
/* task: the step function: letters, timers, input, flush. */
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "task/restore.h"
#include "task/task_priv.h"

#define ASK_AGAIN_NS UINT64_C(100000000) /* a checkpoint that was wanted is off */

enum {
	FLUSH_NS_MAX = 1000000, /* a partly filled buffer is seen at least this often while a task is busy */
	FETCH_MAX = 4096,	/* bytes of a buffer that are fetched at once: more does not help */
	CACHE_LINE = 64
};

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

/* What the valve made of an event of `channel`. */
static int on_time(struct wr_task *t, uint32_t channel, unsigned actions)
{
	uint64_t now_ns = t->chain.step_until_ns - WR_STEP_NS;
	int64_t watermark, holder;
	bool idle, aligned;

	wr_valve_channel(t->valve, channel, &watermark, &idle, &aligned);
	wr_hold_set(&t->hold, channel, watermark, idle, now_ns);
	holder = wr_metric_get(&t->hold.holder);
	if (holder >= 0 && wr_metric_get(&t->hold.parts[holder].watermark) == WR_TS_NONE)
		holder = -1; /* it may have no event time at all */
	wr_gate_prefer(t->gate, holder);
	return valve_actions(t, actions);
}

void wr_task_hold_input(struct wr_task *t)
{
	wr_gate_unblock_all(t->gate);
	for (uint32_t i = 0; t->second_left && i < wr_gate_count(t->gate); i++)
		if (wr_gate_input(t->gate, i) == 0)
			wr_gate_block(t->gate, i);
}

/* With the barrier that drains event time ends for all channels at once; the valve does not hear of it, so
 * that their watermarks are saved as they were. */
static int end_time(struct wr_task *t)
{
	int rc = WR_OK;

	if (t->valve && wr_valve_idle(t->valve))
		rc = wr_inbox_add_event(&t->chain, 0, WR_EV_ACTIVE, 0, 0);
	return rc == WR_OK ? wr_inbox_add_event(&t->chain, 0, WR_EV_WATERMARK, WR_TS_MAX, 0) : rc;
}

static int add_barrier(struct wr_task *t, uint64_t checkpoint)
{
	int rc = t->barrier_payload & WR_TRIGGER_DRAIN ? end_time(t) : WR_OK;

	if (rc != WR_OK)
		return rc;
	if (t->barrier_payload & WR_TRIGGER_STOP) {
		t->last_barrier = checkpoint;
		t->draining = t->barrier_payload & WR_TRIGGER_DRAIN;
	}
	return wr_inbox_add_event(&t->chain, 0, WR_EV_BARRIER, (int64_t)checkpoint, t->barrier_payload);
}

/* What the protocol made of a barrier or an end of `channel`. */
static int on_barriers(struct wr_task *t, uint32_t channel, unsigned actions)
{
	if (actions & WR_BARRIER_UNBLOCK)
		wr_task_hold_input(t);
	if (actions & WR_BARRIER_BLOCK)
		wr_gate_block(t->gate, channel);
	if (!(actions & WR_BARRIER_PASS))
		return WR_OK;
	return add_barrier(t, wr_barriers_passed(t->barriers));
}

/* The barrier of input 0 lies behind rows that are not read yet, and input 1 cannot wait for it. */
static int not_yet(struct wr_task *t, uint64_t checkpoint)
{
	static const char why[] = "its second input is not read to the end yet";
	struct wr_ack ack = {.checkpoint = checkpoint, .text = {why, sizeof why - 1}};
	struct wr_bytes letter = WR_BYTES_EMPTY;
	int rc;

	wr_ack_put(&letter, &ack);
	rc = wr_bytes_status(&letter);
	if (rc == WR_OK && t->snapshots)
		t->env.post(t->env.post_arg, t->env.vertex, t->env.subtask, 0, WR_LETTER_NOT_YET, letter.data,
			    (uint32_t)letter.len);
	wr_bytes_deinit(&letter);
	return rc;
}

/* What is still under way of a checkpoint that was given up says nothing of the one that is awaited. */
static void take_options(struct wr_task *t, uint64_t checkpoint, uint64_t options)
{
	if (checkpoint > wr_barriers_passed(t->barriers) && checkpoint >= wr_barriers_pending(t->barriers))
		t->barrier_payload = options;
}

static int on_barrier(struct wr_task *t, uint32_t channel, const struct wr_elem *e)
{
	uint64_t options = 0;
	unsigned actions;

	if (t->second_left)
		return not_yet(t, (uint64_t)e->ts);
	if (wr_elem_body_len(e) >= sizeof options)
		memcpy(&options, wr_elem_body(e), sizeof options);
	take_options(t, (uint64_t)e->ts, options);
	actions = wr_barriers_on_barrier(t->barriers, channel, (uint64_t)e->ts);
	/* at least once, too: what new functions made must not come to those before */
	if (options & WR_TRIGGER_SWAP && !(actions & WR_BARRIER_PASS) &&
	    wr_barriers_pending(t->barriers) == (uint64_t)e->ts)
		actions |= WR_BARRIER_BLOCK;
	return on_barriers(t, channel, actions);
}

static int on_channel_end(struct wr_task *t, uint32_t channel)
{
	int rc;

	wr_gate_end(t->gate, channel);
	if (t->second_left && wr_gate_input(t->gate, channel) == 1 && !--t->second_left)
		wr_task_hold_input(t);
	rc = on_barriers(t, channel, wr_barriers_on_end(t->barriers, channel));
	return rc == WR_OK ? on_time(t, channel, wr_valve_on_end(t->valve, channel)) : rc;
}

static int on_event(struct wr_task *t, uint32_t channel, const struct wr_elem *e)
{
	uint64_t payload = 0;

	switch (wr_event_type(e)) {
	case WR_EV_WATERMARK:
		return on_time(t, channel, wr_valve_on_watermark(t->valve, channel, e->ts));
	case WR_EV_IDLE:
		return on_time(t, channel, wr_valve_on_idle(t->valve, channel));
	case WR_EV_ACTIVE:
		return on_time(t, channel, wr_valve_on_active(t->valve, channel));
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

/* The lines lie in another core's cache and come one after the other unless they are asked for together. */
static void fetch(const struct wr_buffer *b)
{
	uint32_t len = b->len < FETCH_MAX ? b->len : FETCH_MAX;

	for (uint32_t at = 0; at < len; at += CACHE_LINE)
		__builtin_prefetch(b->data + at);
}

/* One buffer: its rows into the first inbox, its events through the valve behind them. */
static int take_buffer(struct wr_task *t)
{
	struct wr_input in;
	int rc = t->world ? t->world->input(t->world, t->gate, &in) : wr_gate_next(t->gate, &in, NULL, NULL);
	const uint8_t *p;
	struct wr_item *item;

	if (rc != WR_OK)
		return rc;
	wr_metric_add(&t->stats.buffers_in, 1);
	fetch(in.buffer);
	t->taken_channel = in.channel;
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
	t->marker_ns = UINT64_MAX;
	return rc == WR_OK ? wr_inbox_add_event(&t->chain, 0, WR_EV_END, 0, 0) : rc;
}

/* Says when it was due, so that a source that is held up shows in what it measures. */
static int emit_marker(struct wr_task *t)
{
	int rc = wr_inbox_add_event(&t->chain, 0, WR_EV_LATENCY, (int64_t)t->marker_ns, t->source_id);

	t->marker_ns += t->marker_every_ns;
	if (t->marker_ns <= t->now_ns)
		t->marker_ns = t->now_ns + t->marker_every_ns;
	return rc;
}

static int poll_source(struct wr_task *t)
{
	struct wr_stage *s = &t->chain.stages[0];
	int rc;

	if (t->stopping)
		return end_source(t);
	if (t->now_ns >= t->marker_ns)
		return emit_marker(t);
	s->wake_ns = UINT64_MAX;
	if (t->chain.held)
		return WR_AGAIN;
	t->chain.pause = false;
	rc = wr_stage_answer(s, s->ops->poll(s));
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
	if (rc == WR_OK && t->restore)
		rc = wr_task_restore(t);
	t->is_open = rc == WR_OK;
	return rc;
}

/* A source sends the barrier behind the rows emitted so far. Another task is asked only when its inputs have
 * ended, so that no barrier will come by them. */
static int trigger(struct wr_task *t, const struct wr_letter *l)
{
	struct wr_trigger trigger;
	int rc = wr_trigger_parse(l->payload, l->len, &trigger);

	if (rc == WR_OK && t->input_ended)
		t->bid = trigger.checkpoint;
	if (rc != WR_OK || t->input_ended)
		return rc;
	if (t->gate) {
		take_options(t, trigger.checkpoint, trigger.options);
		return on_barriers(t, 0, wr_barriers_on_trigger(t->barriers, trigger.checkpoint));
	}
	if (trigger.checkpoint <= t->triggered_last)
		return WR_OK;
	t->barrier_payload = trigger.options;
	t->triggered = t->triggered_last = trigger.checkpoint;
	return add_barrier(t, trigger.checkpoint);
}

/* The job goes on after all. */
static void wake_up(struct wr_task *t)
{
	memset(t->rests, 0, t->chain.stage_count * sizeof *t->rests);
	t->last_barrier = 0;
	if (t->marker_ns != UINT64_MAX)
		t->marker_ns = t->now_ns + t->marker_every_ns;
}

static int abort_checkpoint(struct wr_task *t, const struct wr_letter *l)
{
	uint64_t id = wr_letter_int(l->payload, l->len);

	if (t->ask_ns == UINT64_MAX)
		t->ask_ns = t->now_ns + ASK_AGAIN_NS;
	if (id == t->last_barrier && !t->draining)
		wake_up(t);
	return t->gate ? on_barriers(t, 0, wr_barriers_on_abort(t->barriers, id)) : WR_OK;
}

static int read_letter(struct wr_task *t, const struct wr_letter *l)
{
	struct wr_stage *s;

	switch (l->type) {
	case WR_LETTER_CANCEL:
		t->done = true;
		return WR_OK;
	case WR_LETTER_LEAVE: /* what is on trial is gone on with, and so is what it gave */
		t->leaving = true;
		return wr_functions_trial(t, false);
	case WR_LETTER_STOP:
		t->stopping = true;
		return WR_OK;
	case WR_LETTER_TRIGGER:
		return trigger(t, l);
	case WR_LETTER_OVERTAKE:
		if (t->may_overtake && t->snapshots)
			t->overtaking = wr_letter_int(l->payload, l->len);
		return WR_OK;
	case WR_LETTER_ABORT:
		return abort_checkpoint(t, l);
	case WR_LETTER_COMPLETE:
		return wr_functions_complete(t, wr_letter_int(l->payload, l->len));
	case WR_LETTER_TRIAL:
		return wr_functions_trial(t, wr_letter_int(l->payload, l->len) > 0);
	default:
		break;
	}
	if (t->leaving && l->type != WR_LETTER_DONE)
		return WR_OK;
	if (l->who.stage >= t->chain.stage_count)
		return wr_error_set(WR_EUSER, "a letter for stage %u of %u", l->who.stage,
				    t->chain.stage_count);
	s = &t->chain.stages[l->who.stage];
	return s->ops->letter ? s->ops->letter(s, l->type, l->payload, l->len) : WR_OK;
}

static struct wr_letter *next_letter(struct wr_task *t)
{
	struct wr_letter *l = t->last_barrier && !t->leaving ? NULL : t->kept;

	if (!l)
		return t->world ? t->world->mail(t->world, &t->mailbox) : wr_mailbox_take(&t->mailbox);
	t->kept = l->next;
	if (!t->kept)
		t->kept_last = &t->kept;
	return l;
}

/* What comes for a stage that rests might make it emit something: true, and it is read if the job goes on. */
static bool keep_letter(struct wr_task *t, struct wr_letter *l)
{
	if (l->type < WR_LETTER_SPLIT_WANTED || l->who.stage >= t->chain.stage_count ||
	    !t->rests[l->who.stage] || t->leaving)
		return false;
	l->next = NULL;
	*t->kept_last = l;
	t->kept_last = &l->next;
	return true;
}

/* What was written before a trigger belongs in front of the barrier, what comes behind it does not: a source
 * that is to send one reads on when it has. */
static int read_mail(struct wr_task *t)
{
	struct wr_letter *l;
	int rc = WR_OK;

	while (rc == WR_OK && !t->done && !t->triggered) {
		l = next_letter(t);
		if (!l)
			break;
		if (keep_letter(t, l))
			continue;
		rc = read_letter(t, l);
		wr_letter_free(l);
	}
	return rc;
}

/* A snapshot is on its way to the disk. */
static bool is_writing(const struct wr_task *t)
{
	return t->snapshots && wr_snapshots_busy(t->snapshots);
}

/* Before a batch every writer must hold its reserve; when one does not, its pool wakes the task. What changes
 * while a snapshot is written is kept twice: where that is too much, the end of the writing wakes the task.
 */
static bool may_emit(struct wr_task *t)
{
	bool ready = true;

	if (t->snapshots)
		wr_snapshots_settle(t->snapshots);
	if (WR_UNLIKELY(wr_frozen_full()) && is_writing(t))
		return false;

	for (uint32_t i = 0; i < t->writer_count; i++)
		if (!wr_writer_ready(t->writers[i]))
			ready &= wr_writer_wait(t->writers[i]);
	return ready;
}

static int fire_tick(struct wr_stage *s, uint64_t now_ns)
{
	int rc;

	do
		rc = wr_stage_answer(s, s->ops->tick(s, now_ns));
	while (rc < 0 && wr_functions_return(s, rc));
	return rc;
}

static int fire_time(struct wr_stage *s, int64_t now_ms)
{
	int rc;

	do
		rc = wr_stage_answer(s, s->ops->time(s, now_ms));
	while (rc < 0 && wr_functions_return(s, rc));
	return rc;
}

/* Ticks and processing-time timers that are due. WR_AGAIN: more are due. */
static int fire_timers(struct wr_task *t)
{
	uint64_t now_ns = t->chain.step_until_ns - WR_STEP_NS;
	int64_t now_ms = INT64_MIN;
	int rc = WR_OK;

	for (uint32_t i = 0; i < t->chain.stage_count && rc == WR_OK; i++) {
		struct wr_stage *s = &t->chain.stages[i];

		if (t->rests[i])
			continue;
		if (s->tick_ns <= now_ns)
			rc = fire_tick(s, now_ns);
		if (rc != WR_OK)
			return rc;
		if (s->deadline_ms == INT64_MAX || !s->ops->time)
			continue;
		if (now_ms == INT64_MIN)
			now_ms = wr_clock_ms(t->chain.clock);
		if (s->deadline_ms > now_ms)
			continue;
		rc = fire_time(s, now_ms);
	}
	return rc;
}

/* Nothing happens any more but that stages bring to its place what the checkpoint covers. */
static int leave(struct wr_task *t)
{
	uint64_t now_ns = t->chain.step_until_ns - WR_STEP_NS;
	bool waits = false;
	int rc = WR_OK;

	t->leave_ns = UINT64_MAX;
	for (uint32_t i = 0; i < t->chain.stage_count && rc >= 0; i++) {
		struct wr_stage *s = &t->chain.stages[i];

		if (!s->ops->leave || t->past_end[i])
			continue;
		rc = s->ops->tick && s->tick_ns <= now_ns ? s->ops->tick(s, now_ns) : WR_OK;
		if (rc >= 0)
			rc = s->ops->leave(s);
		if (rc != WR_AGAIN)
			continue;
		waits = true;
		if (s->tick_ns < t->leave_ns)
			t->leave_ns = s->tick_ns;
	}
	t->done = rc >= 0 && !waits;
	return rc < 0 ? rc : waits ? DRAIN_WAIT : WR_OK;
}

static int work(struct wr_task *t)
{
	int rc = wr_task_drain(t), input;

	if (rc == WR_OK)
		rc = fire_timers(t);
	if (rc == WR_OK)
		rc = wr_task_drain(t);
	if (rc != WR_OK || t->ended == t->chain.stage_count || t->last_barrier)
		return rc;
	input = t->input_ended ? WR_AGAIN : t->gate ? take_buffer(t) : poll_source(t);
	if (input < 0)
		return input;
	rc = wr_task_drain(t);
	if (rc != WR_OK || input == WR_OK)
		return rc == WR_OK ? DRAIN_MORE : rc;
	return WR_OK;
}

/* C28: nothing is left but stages that wait for a checkpoint behind all that they were given. */
static void await_checkpoint(struct wr_task *t)
{
	if (t->bid)
		wr_snapshot_ending(t->snapshots, t->bid);
	t->bid = 0;
	if (t->now_ns < t->ask_ns)
		return;
	wr_stage_want_checkpoint(&t->chain.stages[0]);
	t->ask_ns = UINT64_MAX;
}

static bool awaits_checkpoint(const struct wr_task *t)
{
	return t->snapshots && t->waits && t->waits->awaits_checkpoint;
}

static enum wr_step answer(struct wr_task *t, int rc)
{
	/* what the snapshot says must be heard before the end of the task is */
	if (rc >= 0 && t->ended == t->chain.stage_count && is_writing(t))
		return WR_STEP_BLOCKED;
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
	for (uint32_t i = 0; i < t->writer_count && rc == WR_OK; i++) {
		uint64_t due = wr_writer_flush(t->writers[i], t->now_ns, false);

		if (due < t->flush_ns)
			t->flush_ns = due;
		rc = wr_writer_status(t->writers[i]);
	}
	if (t->timeout_us_min != 0)
		t->flush_look_ns = t->now_ns + FLUSH_NS_MAX;
	return rc;
}

/* A blocked task handles no input and fires no timers: only what lets it go on again counts. */
static uint64_t blocked_deadline(const struct wr_task *t)
{
	uint64_t at = t->flush_ns;

	if (t->leaving)
		return t->leave_ns;
	if (awaits_checkpoint(t) && t->ask_ns < at)
		at = t->ask_ns;
	for (uint32_t i = 0; i < t->chain.stage_count; i++) {
		const struct wr_stage *s = &t->chain.stages[i];

		if (s != t->waits && !s->awaits_checkpoint)
			continue;
		if (s->tick_ns < at)
			at = s->tick_ns;
		if (s->wake_ns < at)
			at = s->wake_ns;
	}
	return at;
}

static uint64_t next_deadline(struct wr_task *t)
{
	uint64_t at = t->flush_ns < t->marker_ns || t->last_barrier ? t->flush_ns : t->marker_ns;
	int64_t wall = INT64_MIN;

	for (uint32_t i = 0; i < t->chain.stage_count; i++) {
		const struct wr_stage *s = &t->chain.stages[i];
		uint64_t due;

		if (t->rests[i])
			continue;
		if (s->wake_ns < at)
			at = s->wake_ns;
		if (s->tick_ns < at)
			at = s->tick_ns;
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

/* The time since the last step goes to what that one said. */
static void account_rest(struct wr_task *t, uint64_t now_ns)
{
	struct wr_task_stats *s = &t->stats;
	enum wr_step said = (enum wr_step)wr_metric_get(&s->rest);

	if (wr_metric_get(&s->steps))
		wr_metric_add(said == WR_STEP_IDLE	? &s->idle_ns
			      : said == WR_STEP_BLOCKED ? &s->blocked_ns
							: &s->waiting_ns,
			      (int64_t)(now_ns - t->now_ns));
}

static void account(struct wr_task *t, uint64_t began_ns, enum wr_step step)
{
	wr_metric_add(&t->stats.steps, 1);
	wr_metric_add(&t->stats.busy_ns, (int64_t)(t->now_ns - began_ns));
	wr_metric_set(&t->stats.rest, step);
	wr_metric_set(&t->stats.rest_since_ns, (int64_t)t->now_ns);
}

enum wr_step wr_task_step(struct wr_task *t)
{
	enum wr_step step;
	uint64_t began;
	bool ready, held;
	int rc;

	if (t->done)
		return WR_STEP_DONE;
	ready = may_emit(t);
	if (t->world) {
		if (t->world->begin && !t->world->begin(t->world, t->gate, ready)) {
			t->deadline_ns = UINT64_MAX;
			return WR_STEP_IDLE;
		}
		ready = t->world->ready(t->world, ready);
	}
	began = wr_clock_ns(t->chain.clock);
	account_rest(t, began);
	t->now_ns = began;
	if (!t->marker_ns)
		t->marker_ns = began + t->marker_every_ns;
	t->chain.step_until_ns = began + WR_STEP_NS;
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		t->chain.stages[i].step_until_ns = t->chain.step_until_ns;
	t->waits = NULL;
	rc = t->opened < t->chain.stage_count ? open_stages(t) : WR_OK;
	if (rc == WR_OK)
		rc = read_mail(t);
	held = t->triggered;
	if (rc == WR_OK && (t->overtaking || t->triggered))
		rc = wr_task_overtake(t);
	if (rc == WR_OK && !t->done)
		rc = t->leaving ? leave(t) : ready ? work(t) : DRAIN_WAIT;
	if (rc == DRAIN_WAIT && awaits_checkpoint(t))
		await_checkpoint(t);
	step = answer(t, rc);
	if (held && !t->triggered && (step == WR_STEP_IDLE || step == WR_STEP_BLOCKED))
		step = WR_STEP_MORE; /* for the letters behind the trigger */
	t->now_ns = wr_clock_ns(t->chain.clock);
	if (step < WR_STEP_DONE && flush(t, step) != WR_OK)
		step = answer(t, WR_EFATAL);
	t->deadline_ns = step == WR_STEP_IDLE	   ? next_deadline(t)
			 : step == WR_STEP_BLOCKED ? blocked_deadline(t)
						   : UINT64_MAX;
	account(t, began, step);
	if (step >= WR_STEP_DONE)
		t->done = true;
	if (t->world && t->world->end && t->world->end(t->world) && step < WR_STEP_DONE)
		step = step == WR_STEP_ENOUGH ? step : WR_STEP_MORE;
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

int wr_stage_mail(struct wr_stage *s, uint32_t type, const void *payload, uint32_t len)
{
	struct wr_task *t = (struct wr_task *)((char *)s->chain - offsetof(struct wr_task, chain));
	struct wr_letter *l =
	    wr_letter_new((enum wr_letter_type)type,
			  (struct wr_address){t->env.vertex, t->env.subtask, s->index}, payload, len);

	if (!l)
		return WR_EFATAL;
	wr_task_post(t, l);
	return WR_OK;
}
