/* SPDX-License-Identifier: Apache-2.0 */
/* stage: the stage around windows; see engine.h. */
#include "base/assert.h"
#include "base/error.h"
#include "window/engine.h"
#include "window/slices.h"
#include "window/window.h"

static struct wr_mem mem = WR_MEM_INIT("window.stage");

enum { FIRE_GROUP = 64 /* timers between two looks at the clock */ };

static int open_(struct wr_stage *s)
{
	struct wr_window *w = wr_zalloc(&mem, sizeof *w);
	const char *kind = wr_value_str(s->options, "window", "");
	const struct wr_value *list;
	uint32_t count;

	if (!w)
		return WR_EFATAL;
	WR_ASSERT(s->store);
	s->state = w;
	w->stage = s;
	w->ops = !strcmp(kind, "session") ? &wr_sessions_ops
		 : !strcmp(kind, "count") ? &wr_counted_ops
					  : &wr_timed_ops;
	w->lateness = wr_value_int(s->options, "lateness", 0);
	w->event = !strcmp(wr_value_str(s->options, "time", "event"), "event");
	w->timer = w->event ? WR_TIMER_EVENT : WR_TIMER_PROCESSING;
	w->drop_at_end = !strcmp(wr_value_str(s->options, "on_end", "fire"), "drop");
	if (!w->event)
		w->lateness = 0;
	list = wr_value_list(s->options, "aggregates", &count);
	wr_accums_init(&w->accums, list, count);
	list = wr_value_list(s->options, "key_as", &count);
	wr_result_init(&w->result, list, count, &w->accums, w->ops != &wr_counted_ops);
	wr_late_init(&w->late, s);
	if (!s->keyer && wr_store_set_one_key(s->store) != WR_OK)
		return WR_EFATAL;
	return w->ops->open(w);
}

/* ---- for the kinds ---- */

int wr_window_key(struct wr_window *w, const struct wr_elem *row, const struct wr_short_key *key)
{
	struct wr_stage *s = w->stage;

	if (WR_UNLIKELY(!key->len))
		return s->keyer ? wr_store_set_row(s->store, s->keyer, row) : WR_OK;
	wr_store_set_short(s->store, key);
	return WR_OK;
}

int wr_window_timer_of(struct wr_window *w, enum wr_timer_kind kind, int64_t at)
{
	if (kind == WR_TIMER_PROCESSING && at + 1 < w->stage->deadline_ms)
		w->stage->deadline_ms = at + 1;
	return wr_timer_add(w->stage->store, kind, at);
}

int wr_window_timer(struct wr_window *w, int64_t at)
{
	return wr_window_timer_of(w, w->timer, at);
}

int wr_window_emit(struct wr_window *w, const uint64_t *slots, int64_t start, int64_t end)
{
	uint32_t len;
	const uint8_t *key = wr_store_key(w->stage->store, &len);

	return wr_result_emit(&w->result, w->stage->outs[0], key, len, slots, start, end, end - 1);
}

/* ---- rows ---- */

/* Time of the row: its own, or the clock's. */
static int time_of(struct wr_window *w, const struct wr_elem *row, int64_t *ts)
{
	*ts = w->event ? row->ts : w->now_ms;
	if (WR_LIKELY(*ts > -WR_WINDOW_TS_MAX && *ts < WR_WINDOW_TS_MAX))
		return WR_OK;
	if (*ts == WR_TS_NONE)
		return wr_error_set(WR_EUSER,
				    "the record has no timestamp, and windows of event time need one: "
				    "put :watermarks(…) before the window");
	return wr_error_set(WR_EUSER, "the record's timestamp %lld is no time", (long long)*ts);
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct wr_window *w = s->state;

	w->now_ms = wr_clock_ms(s->env->clock);
	w->look = false;
	w->batch++;
	wr_store_set_now(s->store, w->now_ms);
	while (rows->p < rows->end) {
		uint32_t n = WR_KEYS_MAX;

		if (s->keyer) {
			wr_store_fetch(s->store, s->keyer, rows->p, rows->end);
			n = wr_keyer_keys(s->keyer, rows->p, rows->end, w->keys);
			if (w->ops->ahead)
				w->ops->ahead(w, n);
			else
				wr_store_prefetch(s->store, w->keys, n);
		}
		for (uint32_t i = 0; i < n && rows->p < rows->end && !w->look; i++) {
			const struct wr_elem *row = (const struct wr_elem *)rows->p;
			int64_t ts;
			int rc = time_of(w, row, &ts);

			if (WR_LIKELY(rc == WR_OK))
				rc = w->ops->take(w, row, &w->keys[i], ts);
			if (WR_UNLIKELY(rc != WR_OK) && (rc = wr_stage_refused_row(s, row, rc)) != WR_OK)
				return rc;
			rows->p += row->len;
		}
		w->look = false;
		if (wr_stage_spent(s))
			return rows->p < rows->end ? WR_AGAIN : WR_OK;
	}
	return WR_OK;
}

/* ---- firing ---- */

static int fire(struct wr_stage *s, enum wr_timer_kind kind, int64_t upto)
{
	struct wr_window *w = s->state;
	int (*fire_one)(struct wr_window * w, int64_t at) = kind == w->timer ? w->ops->fire : w->ops->early;
	int64_t at;
	int rc;

	for (uint32_t n = 1; (rc = wr_timer_next(s->store, kind, upto, &at)) > 0; n++) {
		rc = fire_one(w, at);
		if (rc != WR_OK)
			return rc;
		if (n % FIRE_GROUP == 0 && wr_stage_spent(s))
			return WR_AGAIN;
	}
	return rc;
}

static int watermark(struct wr_stage *s, int64_t *wm)
{
	struct wr_window *w = s->state;

	if (w->ops->end && *wm == WR_TS_MAX)
		return w->ops->end(w);
	return w->event ? fire(s, WR_TIMER_EVENT, *wm) : WR_OK;
}

/* Up to when timers fire at the end of the input. An early result sets a timer for the next one: only those
 * that were pending count, or there would be no end. */
static int64_t last_time(struct wr_stage *s, struct wr_window *w)
{
	if (!w->event)
		return INT64_MAX;
	if (!w->ending)
		w->last_ms = wr_timer_latest(s->store, WR_TIMER_PROCESSING);
	w->ending = true;
	return w->last_ms;
}

static int time_(struct wr_stage *s, int64_t now_ms)
{
	struct wr_window *w = s->state;
	int64_t next;
	int rc;

	if ((w->event && !w->ops->early) || (now_ms == INT64_MAX && w->drop_at_end)) {
		s->deadline_ms = INT64_MAX;
		return WR_OK;
	}
	w->now_ms = now_ms == INT64_MAX ? wr_clock_ms(s->env->clock) : now_ms;
	rc = fire(s, WR_TIMER_PROCESSING, now_ms == INT64_MAX ? last_time(s, w) : now_ms - 1);
	next = wr_timer_earliest(s->store, WR_TIMER_PROCESSING);
	s->deadline_ms = next == INT64_MAX ? next : next + 1;
	return rc;
}

static void free_(struct wr_stage *s)
{
	struct wr_window *w = s->state;

	if (!w)
		return;
	w->ops->free(w);
	wr_free(&mem, w);
	s->state = NULL;
}

static const struct wr_stage_ops window_ops = {
    .kind = "window",
    .open = open_,
    .rows = rows,
    .watermark = watermark,
    .time = time_,
    .free = free_,
};

const struct wr_stage_kind wr_window_kinds[] = {{"window", &window_ops},
						{"interval_aggregate", &wr_interval_ops}};
const unsigned wr_window_kinds_count = sizeof wr_window_kinds / sizeof *wr_window_kinds;
