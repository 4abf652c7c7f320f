/* SPDX-License-Identifier: Apache-2.0 */
/* interval: aggregates of the right rows that lie in an interval of event time, which a left row of their key
 * opens; the left row with the aggregates goes out when the watermark has passed the interval's end.
 *
 *   left row  ─▶ end passed? ─yes─▶ late (late.h)
 *                  └no─▶ span (spans.h), timer at its end
 *   right row ─▶ in a span of its key? ─yes─▶ add
 *                  └no─▶ watermark passed its time? ─yes─▶ late
 *                          └no─▶ wait for the left row
 *   timer     ─▶ spans that end: emit; waiting rows that are over: drop
 *
 * Right rows often come just behind the end of their interval. So that each does not make an entry of its own
 * for a moment, what a key had stays, without its interval, for as long again, a minute at most.
 */
#include "base/assert.h"
#include "base/error.h"
#include "window/joined.h"
#include "window/late.h"
#include "window/slices.h"
#include "window/spans.h"
#include "window/window.h"

static struct wr_mem mem = WR_MEM_INIT("window.interval");

enum { FIRE_GROUP = 64 /* timers between two looks at the clock */, STAYS_MAX_MS = 60000 };

/* A field of left rows that holds a time, and where it lies in rows of the shape met last. */
struct time_field {
	struct wr_str name;
	uint32_t shape;
	uint32_t at; /* in the row; 0: to be looked up in each row */
};

struct interval {
	struct time_field from, to; /* from without a name: the row's own time */
	bool alone;		    /* left rows without a right one go out, too */
	struct wr_keyer *keyer2;
	struct wr_accums accums;
	struct wr_spans spans;
	struct wr_joined joined;
	struct wr_late late;
	uint32_t checked; /* shape of left rows that can be joined */
	struct wr_short_key keys[WR_KEYS_MAX];
};

static struct time_field time_field(const struct wr_value *options, const char *option)
{
	const char *name = wr_value_str(options, option, "");

	return (struct time_field){.name = {name, (uint32_t)strlen(name)}};
}

static int open_(struct wr_stage *s)
{
	struct interval *v = wr_zalloc(&mem, sizeof *v);
	const struct wr_value *list;
	uint32_t count;

	if (!v)
		return WR_EFATAL;
	WR_ASSERT(s->store && s->keyer);
	s->state = v;
	v->from = time_field(s->options, "from");
	v->to = time_field(s->options, "to");
	v->alone = !strcmp(wr_value_str(s->options, "kind", "inner"), "left");
	list = wr_value_list(s->options, "aggregates", &count);
	wr_accums_init(&v->accums, list, count);
	v->joined.accums = &v->accums;
	wr_late_init(&v->late, s);
	if (wr_stage_second_keyer(s, &v->keyer2) != WR_OK)
		return WR_EFATAL;
	return wr_spans_init(&v->spans, s->store, &v->accums);
}

/* ---- rows ---- */

static int need_time(const struct wr_elem *row, int64_t ts, const char *what)
{
	if (WR_LIKELY(ts > -WR_WINDOW_TS_MAX && ts < WR_WINDOW_TS_MAX))
		return WR_OK;
	if (row->ts == WR_TS_NONE)
		return wr_error_set(WR_EUSER, "the record has no timestamp, and intervals are of event time: "
					      "put :watermarks(…) on both streams");
	return wr_error_set(WR_EUSER, "%s %lld is no time", what, (long long)ts);
}

static void learn(struct time_field *f, uint32_t id)
{
	const struct wr_shape *s = wr_shape(id);
	int32_t i = wr_shape_find(s, f->name.p, f->name.len);

	f->shape = id;
	f->at = i >= 0 && s->fields[i].type == WR_T_F64 && !s->nullable
		    ? WR_ELEM_HEADER + s->slots_at + 8 * (uint32_t)i
		    : 0;
}

/* A field of a left row as time. */
static int time_of(const struct wr_elem *row, struct time_field *f, int64_t *ts)
{
	struct wr_cell cell = {.type = WR_T_F64};

	if (WR_UNLIKELY(f->shape != wr_elem_shape(row)))
		learn(f, wr_elem_shape(row));
	if (WR_LIKELY(f->at))
		memcpy(&cell.f64, (const uint8_t *)row + f->at, 8);
	else
		cell = wr_row_lookup(row, f->name.p, f->name.len);
	if (cell.type == WR_T_I64)
		*ts = cell.i64;
	else if (cell.type == WR_T_F64 && cell.f64 > -0x1p62 && cell.f64 < 0x1p62)
		*ts = (int64_t)cell.f64;
	else
		return wr_error_set(WR_EUSER, "field '%.*s' is %s, and must be a time in milliseconds",
				    (int)f->name.len, f->name.p,
				    cell.type == 0	     ? "missing"
				    : cell.type == WR_T_NULL ? "null"
				    : cell.type == WR_T_F64  ? "no time"
							     : "no number");
	return need_time(row, *ts, "the time");
}

static int set_key(struct wr_stage *s, struct wr_keyer *k, const struct wr_elem *row,
		   const struct wr_short_key *key)
{
	if (WR_UNLIKELY(!key->len))
		return wr_store_set_row(s->store, k, row);
	wr_store_set_short(s->store, key);
	return WR_OK;
}

/* The key's timer that waits for no interval is set, moved or taken away. */
static int set_timer(struct wr_stage *s, struct interval *v, int64_t at)
{
	int64_t before = v->spans.head->timer;

	if (at == before)
		return WR_OK;
	if (before != WR_NO_TIMER)
		wr_timer_remove(s->store, WR_TIMER_EVENT, before);
	v->spans.head->timer = at;
	return at == WR_NO_TIMER ? WR_OK : wr_timer_add(s->store, WR_TIMER_EVENT, at);
}

static int take_left(struct wr_stage *s, const struct wr_elem *row, const struct wr_short_key *key)
{
	struct interval *v = s->state;
	int64_t from = row->ts, to;
	int rc = v->from.name.len ? time_of(row, &v->from, &from) : need_time(row, from, "the timestamp");

	if (rc == WR_OK)
		rc = time_of(row, &v->to, &to);
	if (rc == WR_OK && WR_UNLIKELY(from > to))
		rc = wr_error_set(WR_EUSER, "the interval ends at %lld, before it begins at %lld",
				  (long long)to, (long long)from);
	if (rc == WR_OK && WR_UNLIKELY(v->checked != wr_elem_shape(row))) {
		rc = wr_joined_check(&v->accums, wr_elem_shape(row));
		v->checked = rc == WR_OK ? wr_elem_shape(row) : 0;
	}
	if (rc == WR_OK && to <= s->watermark)
		return wr_late_row(&v->late, s, row);
	if (rc == WR_OK)
		rc = set_key(s, s->keyer, row, key);
	if (rc != WR_OK)
		return rc;
	wr_spans_look(&v->spans);
	rc = wr_spans_add(&v->spans, from, to, row);
	if (rc == WR_OK)
		rc = set_timer(s, v, WR_NO_TIMER);
	return rc == WR_OK ? wr_timer_add(s->store, WR_TIMER_EVENT, to) : rc;
}

static int take_right(struct wr_stage *s, const struct wr_elem *row, const struct wr_short_key *key)
{
	struct interval *v = s->state;
	struct wr_span *span;
	int rc = need_time(row, row->ts, "the timestamp");

	if (rc == WR_OK)
		rc = wr_accums_load(&v->accums, row);
	if (rc == WR_OK)
		rc = set_key(s, v->keyer2 ? v->keyer2 : s->keyer, row, key);
	if (rc != WR_OK)
		return rc;
	wr_spans_look(&v->spans);
	span = v->spans.data ? wr_spans_find(&v->spans, row->ts) : NULL;
	if (span) {
		wr_accums_add(&v->accums, span->acc);
		span->rows++;
		return WR_OK;
	}
	if (WR_UNLIKELY(row->ts <= s->watermark))
		return wr_late_row(&v->late, s, row);
	rc = wr_spans_wait(&v->spans, row->ts, s->watermark);
	if (rc == WR_OK && v->spans.head->count == 0 && v->spans.head->timer == WR_NO_TIMER)
		rc = set_timer(s, v, row->ts);
	return rc;
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct interval *v = s->state;
	struct wr_keyer *keyer = rows->input && v->keyer2 ? v->keyer2 : s->keyer;

	wr_store_set_now(s->store, wr_clock_ms(s->env->clock));
	while (rows->p < rows->end) {
		uint32_t n = wr_keyer_keys(keyer, rows->p, rows->end, v->keys);

		wr_store_fetch(s->store, keyer, rows->p, rows->end);
		wr_store_prefetch(s->store, v->keys, n);
		for (uint32_t i = 0; i < n; i++) {
			const struct wr_elem *row = (const struct wr_elem *)rows->p;
			int rc =
			    rows->input ? take_right(s, row, &v->keys[i]) : take_left(s, row, &v->keys[i]);

			if (WR_UNLIKELY(rc != WR_OK) && (rc = wr_stage_refused_row(s, row, rc)) != WR_OK)
				return rc;
			rows->p += row->len;
		}
		if (wr_stage_spent(s))
			return rows->p < rows->end ? WR_AGAIN : wr_store_status(s->store);
	}
	return wr_store_status(s->store);
}

/* ---- firing ---- */

/* Emits the spans that end by `at`, and drops them; *stays: until when the key is to stay for it. */
static int close_spans(struct wr_stage *s, struct interval *v, int64_t at, int64_t *stays)
{
	for (uint32_t i = 0; i < v->spans.head->count; i++) {
		const struct wr_span *span = wr_spans_at(&v->spans, i);
		int64_t lasted = span->to - span->from;
		int rc = WR_OK;

		if (span->to > at)
			continue;
		if (span->rows || v->alone)
			rc = wr_joined_emit(&v->joined, s->outs[0], span->shape, wr_spans_body(&v->spans, i),
					    span->acc, span->rows, span->to);
		if (rc != WR_OK)
			return rc;
		*stays = span->to + 1 + (lasted < STAYS_MAX_MS ? lasted : STAYS_MAX_MS);
	}
	return wr_spans_drop(&v->spans, at);
}

static int fire(struct wr_stage *s, struct interval *v, int64_t at)
{
	int64_t stays = WR_NO_TIMER, last;
	int rc;

	wr_spans_look(&v->spans);
	if (!v->spans.data)
		return wr_store_status(s->store);
	if (v->spans.head->timer == at)
		v->spans.head->timer = WR_NO_TIMER;
	rc = close_spans(s, v, at, &stays);
	if (rc != WR_OK)
		return rc;
	last = wr_spans_prune(&v->spans, s->watermark);
	if (v->spans.head->count)
		return WR_OK;
	if (last != WR_NO_TIMER || stays != WR_NO_TIMER)
		return set_timer(s, v, last > stays ? last : stays);
	if (v->spans.head->timer == WR_NO_TIMER)
		wr_state_clear(s->store, 0);
	return WR_OK;
}

static int watermark(struct wr_stage *s, int64_t *wm)
{
	struct interval *v = s->state;
	int64_t at;
	int rc;

	for (uint32_t n = 1; (rc = wr_timer_next(s->store, WR_TIMER_EVENT, *wm, &at)) > 0; n++) {
		rc = fire(s, v, at);
		if (rc != WR_OK)
			return rc;
		if (n % FIRE_GROUP == 0 && wr_stage_spent(s))
			return WR_AGAIN;
	}
	return rc;
}

static void free_(struct wr_stage *s)
{
	struct interval *v = s->state;

	if (!v)
		return;
	wr_spans_deinit(&v->spans);
	wr_keyer_free(v->keyer2);
	wr_free(&mem, v);
	s->state = NULL;
}

const struct wr_stage_ops wr_interval_ops = {
    .kind = "interval_aggregate",
    .open = open_,
    .rows = rows,
    .watermark = watermark,
    .free = free_,
};
