/* SPDX-License-Identifier: Apache-2.0 */
/* kit: one task on the bench: a clock that stands still, a channel in, a channel out, and stages
 * that write down what happens to them. Rows are plain integers. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "record/row.h"
#include "task/letter.h"
#include "task/task.h"

enum { KIT_BUFFER = 256, KIT_STAGES = 3, KIT_ROW = WR_ELEM_HEADER + 8 };

/* What a stage of the kit does; the default passes rows on and logs "name:value". */
struct kit;
struct kit_stage {
	struct kit *kit;
	const char *name;
	uint32_t copies;		    /* of each row; 0 = drops it */
	int64_t fails_at;		    /* value that is a bad row */
	int64_t wants_until;		    /* a sink: WR_END at this value */
	uint32_t waits;			    /* answers WR_AGAIN this often before it takes rows */
	bool event_timer, processing_timer; /* one is pending: logs and emits −1 or −2 when it fires */
	uint32_t timers; /* pending ones that fire with any watermark, each in a step of its own */
	int64_t timer_ms;
	uint32_t unflushed;    /* a sink: WR_AGAIN this often before it has flushed */
	uint32_t most_waiting; /* pages seen in its inbox */
};

struct kit {
	struct wr_clock clock;
	struct wr_pools *pools;
	struct wr_channel *in[2], *out;
	struct wr_writer *feed[2]; /* into the task's channels */
	struct wr_task *task;
	struct wr_blobs *blobs; /* where it puts snapshots, or NULL; the test's, with `io` */
	struct wr_iopool *io;
	struct wr_stage_ops ops[KIT_STAGES];
	struct kit_stage stages[KIT_STAGES];
	struct wr_target targets[KIT_STAGES + 1];
	struct wr_port_def ports[KIT_STAGES + 1];
	struct wr_op_def op[KIT_STAGES];
	const struct wr_value *options[KIT_STAGES];
	uint32_t inputs, shape;
	_Atomic uint32_t wakes;	  /* by threads that write snapshots, too */
	bool may_overtake;	  /* its barriers, where they wait too long */
	uint64_t barrier_options; /* enum wr_trigger_option of those that are fed */
	struct wr_bytes log;
};

static inline void kit_wake(void *self)
{
	((struct kit *)self)->wakes++;
}

static inline uint32_t kit_shape(void)
{
	struct wr_field_spec f = {"", 0, WR_T_I64, 0};

	return wr_shape_intern(&f, 1, 0, 1);
}

static inline int64_t kit_value(const struct wr_elem *row)
{
	int64_t v;

	memcpy(&v, wr_elem_body(row), sizeof v);
	return v;
}

static inline int kit_put(struct wr_out *out, uint32_t shape, int64_t v, int64_t ts)
{
	struct wr_elem e = {KIT_ROW, shape, ts};

	if (out->end - out->p < KIT_ROW && !wr_out_more(out, KIT_ROW))
		return WR_EFATAL;
	memcpy(out->p, &e, sizeof e);
	memcpy(out->p + sizeof e, &v, sizeof v);
	out->p += KIT_ROW;
	out->rows++;
	return WR_OK;
}

static inline struct kit_stage *kit_of(struct wr_stage *s)
{
	return &((struct kit *)s->env->post_arg)->stages[s->index];
}

#define kit_log(k, ...) wr_bytes_printf(&(k)->log, __VA_ARGS__)

static inline int kit_emit(struct wr_stage *s, int64_t v, int64_t ts)
{
	return s->out_count ? kit_put(s->outs[0], kit_of(s)->kit->shape, v, ts) : WR_OK;
}

static inline int kit_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct kit_stage *k = kit_of(s);

	if (s->chain->inboxes[s->index].pages > k->most_waiting)
		k->most_waiting = s->chain->inboxes[s->index].pages;
	if (k->waits) {
		k->waits--;
		return WR_AGAIN;
	}
	while (rows->p < rows->end) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		int64_t v = kit_value(row);
		int rc = WR_OK;

		if (v == k->wants_until)
			return WR_END;
		if (k->copies == 1)
			kit_log(k->kit, "%s:%lld ", k->name, (long long)v);
		if (v == k->fails_at)
			rc = wr_stage_bad_row(s, 0, row, NULL, 0, "here", "no good", WR_EUSER);
		for (uint32_t i = 0; i < k->copies && v != k->fails_at && rc == WR_OK; i++)
			rc = kit_emit(s, v, row->ts);
		if (rc != WR_OK)
			return rc;
		rows->p += row->len;
		if (rows->p < rows->end && wr_stage_spent(s))
			return WR_AGAIN;
	}
	return WR_OK;
}

static inline int kit_watermark(struct wr_stage *s, int64_t *wm)
{
	struct kit_stage *k = kit_of(s);

	if (*wm == WR_TS_MAX)
		kit_log(k->kit, "%s:wm=max ", k->name);
	else
		kit_log(k->kit, "%s:wm=%lld ", k->name, (long long)*wm);
	if (k->timers) {
		k->timers--;
		wr_clock_advance(s->env->clock, WR_STEP_NS);
		return kit_emit(s, -1, *wm) == WR_OK ? WR_AGAIN : WR_EFATAL;
	}
	if (!k->event_timer || k->timer_ms > *wm)
		return WR_OK;
	k->event_timer = false;
	return kit_emit(s, -1, k->timer_ms);
}

static inline int kit_time(struct wr_stage *s, int64_t now_ms)
{
	struct kit_stage *k = kit_of(s);

	if (!k->processing_timer || k->timer_ms > now_ms)
		return WR_OK;
	k->processing_timer = false;
	s->deadline_ms = INT64_MAX;
	kit_log(k->kit, "%s:timer ", k->name);
	return kit_emit(s, -2, WR_TS_NONE);
}

static inline int kit_open(struct wr_stage *s)
{
	if (kit_of(s)->processing_timer)
		s->deadline_ms = kit_of(s)->timer_ms;
	return WR_OK;
}

static inline int kit_end(struct wr_stage *s)
{
	kit_log(kit_of(s)->kit, "%s:end ", kit_of(s)->name);
	return WR_OK;
}

/* A letter to the coordinator: logs "name>type:number". */
static inline void kit_post(void *arg, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
			    const void *payload, uint32_t len)
{
	struct kit *k = arg;
	int64_t v = 0;

	(void)vertex, (void)subtask;
	if (len == 1 + sizeof v) /* one tagged integer */
		memcpy(&v, (const uint8_t *)payload + 1, sizeof v);
	if (v == WR_TS_MAX)
		kit_log(k, "%s>%u:max ", k->stages[stage].name, type);
	else
		kit_log(k, "%s>%u:%lld ", k->stages[stage].name, type, (long long)v);
}

static inline struct wr_writer *kit_writer(struct kit *k, struct wr_channel **c,
					   const struct wr_notify *ready, uint32_t buffers)
{
	struct wr_writer_options o = {.name = "kit",
				      .partitioning = WR_FORWARD,
				      .channels = c,
				      .channel_count = 1,
				      .pool = wr_pool_new(k->pools, "kit", buffers, 1, ready),
				      .max_parallelism = 128,
				      .timeout_us = 0};

	return wr_writer_new(&o);
}

/* Sets up everything but the task; the test changes `stages` and calls kit_start. */
static inline struct kit *kit_new(uint32_t inputs)
{
	static const char *const names[] = {"a", "b", "c"};
	struct kit *k = calloc(1, sizeof *k);
	struct wr_notify wake = {kit_wake, k}, none = {0};

	wr_clock_manual_init(&k->clock, 1000000000, 5000);
	k->pools = wr_pools_new(KIT_BUFFER, INT64_MAX);
	k->inputs = inputs;
	k->shape = kit_shape();
	for (uint32_t i = 0; i < inputs; i++) {
		k->in[i] = wr_ring_new(&wake);
		k->feed[i] = kit_writer(k, &k->in[i], &none, 64);
	}
	k->out = wr_ring_new(&none);
	for (uint32_t i = 0; i < KIT_STAGES; i++) {
		k->ops[i] = (struct wr_stage_ops){.kind = "kit",
						  .open = kit_open,
						  .rows = kit_rows,
						  .watermark = kit_watermark,
						  .time = kit_time,
						  .end = kit_end};
		k->stages[i] = (struct kit_stage){
		    .kit = k, .name = names[i], .copies = 1, .fails_at = INT64_MIN, .wants_until = INT64_MIN};
	}
	return k;
}

/* A chain of `count` stages; with `out` the last one leads to the channel out, whose pool has 3 buffers. */
static inline void kit_start(struct kit *k, uint32_t count, bool out, enum wr_on_error on_error)
{
	struct wr_notify wake = {kit_wake, k};
	struct wr_gate_channel channels[2] = {{k->in[0], 0}, {k->in[1], 1}};
	struct wr_writer *writer = out ? kit_writer(k, &k->out, &wake, 3) : NULL;
	struct wr_stage_def stages[KIT_STAGES] = {0};
	struct wr_task_def def = {.env = {.job = "kit",
					  .task = "task",
					  .parallelism = 1,
					  .clock = &k->clock,
					  .wake = wake,
					  .io = k->io,
					  .saving = k->io,
					  .post = kit_post,
					  .post_arg = k},
				  .stages = stages,
				  .stage_count = count,
				  .gate = wr_gate_new(channels, k->inputs),
				  .writers = &writer,
				  .writer_count = out,
				  .blobs = k->blobs,
				  .may_overtake = k->may_overtake,
				  .timeout_us_min = 0};

	for (uint32_t i = 0; i < count; i++) {
		bool last = i + 1 == count;

		k->op[i] = (struct wr_op_def){k->stages[i].name, k->stages[i].name, NULL};
		if (last && out)
			k->targets[i] = (struct wr_target){.writer = writer, .row_max = KIT_BUFFER};
		else
			k->targets[i] = (struct wr_target){.stage = i + 1};
		k->ports[i] = (struct wr_port_def){.targets = &k->targets[i], .count = 1};
		stages[i] = (struct wr_stage_def){.ops = &k->ops[i],
						  .options = k->options[i],
						  .ports = &k->ports[i],
						  .port_count = !last || out,
						  .operators = &k->op[i],
						  .operator_count = 1,
						  .on_error = on_error};
	}
	k->task = wr_task_new(&def);
	assert_non_null(k->task);
}

static inline void kit_send(struct kit *k, uint32_t input, int64_t from, int64_t to)
{
	for (int64_t v = from; v <= to; v++) {
		uint8_t row[KIT_ROW];
		struct wr_elem e = {KIT_ROW, k->shape, v};

		memcpy(row, &e, sizeof e);
		memcpy(row + sizeof e, &v, sizeof v);
		assert_int_equal(wr_writer_rows(k->feed[input], row, row + KIT_ROW), WR_OK);
	}
	wr_writer_flush(k->feed[input], 0, true);
}

static inline void kit_event(struct kit *k, uint32_t input, enum wr_event_type type, int64_t ts)
{
	uint64_t payload = type == WR_EV_BARRIER ? k->barrier_options : 7;
	bool with = type == WR_EV_LATENCY || type == WR_EV_BARRIER;

	assert_int_equal(wr_writer_event(k->feed[input], type, ts, &payload, with ? sizeof payload : 0),
			 WR_OK);
	wr_writer_flush(k->feed[input], 0, true);
}

/* Steps until the task says something else than MORE. */
static inline enum wr_step kit_run(struct kit *k)
{
	enum wr_step s;

	do
		s = wr_task_step(k->task);
	while (s == WR_STEP_MORE);
	return s;
}

/* What came out since last time, as "1 2 wm=5 end ". */
static inline void kit_drain_out(struct kit *k, struct wr_bytes *text)
{
	static const char *const names[] = {"",	    "wm",     "barrier", "cancel",
					    "idle", "active", "end",	 "latency"};
	struct wr_buffer *b;

	while ((b = wr_ring_pop(k->out))) {
		for (uint8_t *p = b->data; p < b->data + b->len; p += ((struct wr_elem *)p)->len) {
			const struct wr_elem *e = (const struct wr_elem *)p;

			if (!wr_elem_is_event(e))
				wr_bytes_printf(text, "%lld ", (long long)kit_value(e));
			else if (wr_event_type(e) == WR_EV_WATERMARK && e->ts == WR_TS_MAX)
				wr_bytes_printf(text, "wm=max ");
			else if (wr_event_type(e) == WR_EV_END || wr_event_type(e) == WR_EV_IDLE ||
				 wr_event_type(e) == WR_EV_ACTIVE)
				wr_bytes_printf(text, "%s ", names[wr_event_type(e)]);
			else
				wr_bytes_printf(text, "%s=%lld ", names[wr_event_type(e)], (long long)e->ts);
		}
		wr_buffer_unref(b);
	}
}

static inline void kit_expect_out(struct kit *k, const char *text)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	kit_drain_out(k, &b);
	wr_bytes_put_u8(&b, 0);
	assert_string_equal((char *)b.data, text);
	wr_bytes_deinit(&b);
}

static inline void kit_expect_log(struct kit *k, const char *text)
{
	wr_bytes_put_u8(&k->log, 0);
	assert_string_equal((char *)k->log.data, text);
	k->log.len = 0;
}

static inline void kit_free(struct kit *k)
{
	wr_task_free(k->task);
	for (uint32_t i = 0; i < k->inputs; i++)
		wr_writer_free(k->feed[i]);
	for (uint32_t i = 0; i < k->inputs; i++)
		k->in[i]->ops->free(k->in[i]);
	k->out->ops->free(k->out);
	wr_pools_free(k->pools);
	wr_bytes_deinit(&k->log);
	free(k);
}
