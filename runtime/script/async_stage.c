/* SPDX-License-Identifier: Apache-2.0 */
/* async_stage: an async function of the script as a stage of a task.
 *
 * Rows wait in C (script/pending.h); for each that was begun there is a coroutine in Lua
 * (lua/weir/internal/async.lua), which lives as long as its attempt and can be made again from its row.
 * Answers from outside come as letters, so that they are recorded and played back like all that comes from
 * outside. With no room for another row the stage stops taking rows, which holds back what comes before it
 * (J10). Task's thread, but for `answered`.
 */
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "module/module.h"
#include "record/value.h"
#include "script/api.h"
#include "script/api_async.h"
#include "script/lua_stage.h"
#include "script/pending.h"
#include "stream/http.h"
#include "task/letter.h"

static struct wr_mem mem = WR_MEM_INIT("script.async");

struct wr_async {
	struct wr_stage *stage;
	struct wr_pending *pending;
	const struct wr_http_functions *http; /* NULL before the first request */
	struct wr_http *client;
	bool ending;
	int rc; /* of what went wrong where no error can be returned */
	char error[512];
};

static struct wr_async *of(struct wr_stage *s)
{
	return wr_lua_stage_shared(s)->async;
}

static uint64_t now_ns(const struct wr_async *a)
{
	return wr_clock_ns(a->stage->env->clock);
}

/* ---- out ---- */

static int put_row(struct wr_out *out, const struct wr_elem *row)
{
	if ((!out->p || (size_t)(out->end - out->p) < row->len) && !wr_out_more(out, row->len))
		return wr_error_code();
	memcpy(out->p, row, row->len);
	out->p += row->len;
	out->rows++;
	return WR_OK;
}

static int pass(struct wr_stage *s, const struct wr_pending_out *out)
{
	const struct wr_elem *row = (const struct wr_elem *)out->rows;
	int rc = WR_OK;

	switch ((int)out->event) {
	case WR_EV_WATERMARK:
		return wr_stage_emit_watermark(s, out->ts);
	case WR_EV_IDLE:
	case WR_EV_ACTIVE:
		return wr_stage_emit_idle(s, out->event == WR_EV_IDLE);
	default:
		for (; (const uint8_t *)row < out->end && rc == WR_OK; row = wr_elem_next(row))
			rc = put_row(s->outs[0], row);
		return rc;
	}
}

/* Lets go out what may. WR_AGAIN: not all, the outputs or the clock want a pause. */
static int deliver(struct wr_stage *s)
{
	struct wr_async *a = of(s);
	struct wr_pending_out out;
	uint32_t left = 16;
	int rc = WR_OK;

	while (rc == WR_OK && wr_pending_next(a->pending, &out)) {
		if (!--left) {
			left = 16;
			if (wr_stage_spent(s))
				return WR_AGAIN;
		}
		rc = pass(s, &out);
		if (rc == WR_OK)
			wr_pending_passed(a->pending);
	}
	return rc;
}

/* ---- in ---- */

static int take(struct wr_stage *s, struct wr_rows *rows)
{
	struct wr_async *a = of(s);
	uint64_t now = rows->p < rows->end ? now_ns(a) : 0;
	int rc = WR_OK;

	while (rows->p < rows->end && rc == WR_OK && !wr_pending_full(a->pending)) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;

		rc = wr_pending_put(a->pending, row, now);
		if (rc == WR_OK)
			rows->p += row->len;
	}
	return rc;
}

/* Lets Lua do what is due. WR_AGAIN: not all. */
static int run(struct wr_stage *s)
{
	struct wr_async *a = of(s);
	struct wr_rows none = {NULL, NULL, 0, 0};
	int rc = wr_lua_stage_ops.rows(s, &none);

	return rc >= 0 && a->rc != WR_OK ? wr_error_set(a->rc, "%s", a->error) : rc;
}

static void count(struct wr_stage *s)
{
	int64_t rows = wr_pending_rows(of(s)->pending);

	wr_metric_set(&s->ops_stats[0].in_flight, rows);
	if (rows > wr_metric_get(&s->ops_stats[0].in_flight_max))
		wr_metric_set(&s->ops_stats[0].in_flight_max, rows);
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct wr_async *a = of(s);
	int rc;

	for (;;) {
		rc = deliver(s);
		if (rc == WR_OK)
			rc = take(s, rows);
		count(s);
		if (rc != WR_OK || wr_pending_deadline(a->pending) > now_ns(a))
			break;
		rc = run(s);
		if (rc != WR_OK)
			break;
	}
	s->tick_ns = rc == WR_AGAIN ? 0 : wr_pending_deadline(a->pending);
	return rc == WR_OK && rows->p < rows->end ? WR_AGAIN : rc;
}

static int proceed(struct wr_stage *s)
{
	return rows(s, &(struct wr_rows){NULL, NULL, 0, 0});
}

static int tick(struct wr_stage *s, uint64_t now)
{
	(void)now;
	return proceed(s);
}

static int put_event(struct wr_stage *s, enum wr_event_type type, int64_t ts)
{
	int rc = wr_pending_put_event(of(s)->pending, type, ts);

	if (rc == WR_OK)
		rc = deliver(s);
	if (rc == WR_AGAIN)
		s->tick_ns = 0;
	return rc == WR_AGAIN ? WR_OK : rc;
}

/* A watermark waits for the rows before it; the last one is passed on by the task when all are gone. */
static int watermark(struct wr_stage *s, int64_t *wm)
{
	struct wr_async *a = of(s);
	int64_t at = *wm;
	int rc;

	if (at != WR_TS_MAX) {
		*wm = WR_TS_NONE;
		return put_event(s, WR_EV_WATERMARK, at);
	}
	if (!a->ending)
		wr_pending_hurry(a->pending);
	a->ending = true;
	rc = proceed(s);
	if (rc != WR_OK)
		return rc;
	return wr_pending_empty(a->pending) ? WR_OK : WR_AGAIN;
}

static int idle(struct wr_stage *s, bool is_idle)
{
	return put_event(s, is_idle ? WR_EV_IDLE : WR_EV_ACTIVE, 0);
}

/* ---- answers ---- */

/* The request's thread: [slot, ask, [error, status, body, name, value, …]]. */
static void answered(void *arg, const struct wr_http_reply *r)
{
	struct wr_async *a = arg;
	struct wr_bytes b = WR_BYTES_EMPTY;
	const char *text = r->headers;

	wr_value_put_list(&b, 3);
	wr_value_put_i64(&b, (int64_t)(r->id & UINT32_MAX));
	wr_value_put_i64(&b, (int64_t)(r->id >> 32));
	wr_value_put_list(&b, 3 + 2 * r->header_count);
	wr_value_put_str(&b, r->error ? r->error : "");
	wr_value_put_num(&b, r->status);
	wr_value_put_strn(&b, (const char *)r->body, r->body_len);
	for (uint32_t i = 0; i < 2 * r->header_count; i++) {
		wr_value_put_str(&b, text);
		text += strlen(text) + 1;
	}
	if (wr_bytes_status(&b) == WR_OK)
		wr_stage_mail(a->stage, WR_LETTER_ANSWER, b.data, (uint32_t)b.len);
	wr_bytes_deinit(&b);
}

static int64_t read_int(struct wr_reader *r)
{
	r->bad |= wr_read_u8(r) != WR_V_I64;
	return (int64_t)wr_read_u64(r);
}

static int letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct wr_reader r = wr_reader_of(payload, len);
	uint32_t slot, ask;
	bool known;
	int rc;

	if (type != WR_LETTER_ANSWER)
		return WR_OK;
	r.bad = wr_read_u8(&r) != WR_V_LIST || wr_read_varint(&r) != 3;
	slot = (uint32_t)read_int(&r);
	ask = (uint32_t)read_int(&r);
	if (r.bad)
		return wr_error_set(WR_EUSER, "an answer is malformed");
	rc = wr_pending_answer(of(s)->pending, slot, ask, r.p, (size_t)(r.end - r.p), &known);
	if (rc == WR_OK && known)
		s->tick_ns = 0;
	return rc;
}

/* ---- checkpoints ---- */

static int save(struct wr_stage *s, struct wr_bytes *out)
{
	return wr_pending_save(of(s)->pending, out);
}

/* Where the parallelism is another, the parts are dealt out; the watermarks in them come again. */
static int restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct wr_async *a = of(s);
	bool same = saved->parallelism == s->env->parallelism;
	int rc = WR_OK;

	for (uint32_t i = 0; i < saved->count && rc == WR_OK; i++)
		if (same || saved->parts[i].subtask % s->env->parallelism == s->env->subtask)
			rc = wr_pending_restore(a->pending, saved->parts[i].value, same, now_ns(a));
	s->tick_ns = 0;
	return rc;
}

/* ---- life ---- */

static int open_(struct wr_stage *s)
{
	struct wr_pending_options o = {
	    .ordered = wr_value_bool(s->options, "ordered", true),
	    .capacity = (uint32_t)wr_value_int(s->options, "capacity", 100),
	    .timeout_ns = (uint64_t)wr_value_int(s->options, "timeout", 0) * 1000000u,
	    .mem = &mem,
	};
	int rc = wr_lua_stage_ops.open(s);
	struct wr_async *a = rc == WR_OK ? wr_zalloc(&mem, sizeof *a) : NULL;

	if (!a)
		return rc == WR_OK ? WR_EFATAL : rc;
	wr_lua_stage_shared(s)->async = a;
	a->stage = s;
	a->pending = wr_pending_new(&o);
	return a->pending ? WR_OK : WR_EFATAL;
}

static int end(struct wr_stage *s)
{
	return wr_lua_stage_ops.end(s);
}

static void free_(struct wr_stage *s)
{
	struct wr_async *a = s->state ? of(s) : NULL;

	if (a) {
		if (a->client)
			a->http->close(a->client);
		wr_pending_free(a->pending);
		wr_free(&mem, a);
	}
	wr_lua_stage_ops.free(s);
}

/* Coroutines end with the functions that they run: what is under way is asked anew of the new ones, as after
 * a restart (J11). */
static void *swap(struct wr_stage *s, void *functions)
{
	void *before = wr_lua_stage_swap(s, functions);
	struct wr_async *a = of(s);

	wr_pending_anew(a->pending, now_ns(a));
	s->tick_ns = 0;
	return before;
}

const struct wr_stage_ops wr_lua_async_ops = {
    .kind = "lua_async",
    .counts = true,
    .open = open_,
    .rows = rows,
    .is_resting = wr_lua_stage_is_resting,
    .watermark = watermark,
    .tick = tick,
    .idle = idle,
    .letter = letter,
    .save = save,
    .restore = restore,
    .prepare = wr_lua_stage_prepare,
    .swap = swap,
    .discard = wr_lua_stage_discard,
    .end = end,
    .free = free_,
};

bool wr_script_asks(const struct wr_stage *s)
{
	const struct wr_async *a =
	    s->ops == &wr_lua_async_ops && s->state ? of((struct wr_stage *)(uintptr_t)s) : NULL;

	return a && wr_pending_asks(a->pending);
}

/* ---- called by Lua ---- */

static uint64_t id_of(uint32_t slot, uint32_t ask)
{
	return (uint64_t)ask << 32 | slot;
}

int wr_async_next(struct wr_lua *l, struct wr_async_due *due)
{
	struct wr_async *a = l->async;
	uint32_t asked;

	due->what = wr_pending_due(a->pending, now_ns(a), &due->slot, &asked);
	if (due->what == WR_DUE_NOTHING)
		return 0;
	if (asked && a->client)
		a->http->cancel(a->client, id_of(due->slot, asked));
	due->row = (const uint8_t *)wr_pending_row(a->pending, due->slot);
	due->answer = due->what == WR_DUE_ANSWER ? wr_pending_answered(a->pending, due->slot) : NULL;
	return 1;
}

uint8_t *wr_async_result(struct wr_lua *l, uint32_t slot, uint32_t shape, uint32_t body_len)
{
	return wr_pending_result(l->async->pending, slot, shape, body_len);
}

void wr_async_drop(struct wr_lua *l, uint32_t slot)
{
	wr_pending_drop(l->async->pending, slot);
}

void wr_async_done(struct wr_lua *l, uint32_t slot)
{
	wr_pending_done(l->async->pending, slot);
}

void wr_async_sleep(struct wr_lua *l, uint32_t slot, double ms, uint32_t again)
{
	wr_pending_sleep(l->async->pending, slot, now_ns(l->async) + (uint64_t)(ms * 1e6), again);
}

int wr_async_ending(const struct wr_lua *l)
{
	return l->async->ending;
}

static int connect(struct wr_async *a)
{
	if (!a->http)
		a->http = wr_module_load("http", WR_HTTP_VERSION);
	if (a->http && !a->client)
		a->client = a->http->open(answered, a);
	return a->client ? WR_OK : WR_EFATAL;
}

int wr_async_get(struct wr_lua *l, uint32_t slot, const struct wr_async_get *get)
{
	struct wr_async *a = l->async;
	struct wr_http_request r = {
	    .url = get->url,
	    .headers = get->headers,
	    .timeout_ms = (int64_t)get->timeout_ms,
	    .redirects_max = (uint32_t)get->redirects_max,
	    .body_max = (uint64_t)get->body_max,
	};
	int rc = connect(a);

	if (rc == WR_OK) {
		r.id = id_of(slot, wr_pending_ask(a->pending, slot));
		rc = a->http->get(a->client, &r);
		if (rc != WR_OK)
			wr_pending_unask(a->pending, slot);
	}
	if (rc == WR_EFATAL) {
		a->rc = rc;
		snprintf(a->error, sizeof a->error, "%s", wr_error_text());
	}
	return rc;
}
