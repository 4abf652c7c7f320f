/* SPDX-License-Identifier: Apache-2.0 */
/* watermarks: event time from a field of the record, and watermarks that lag behind it
 * (bounded out-of-orderness, K1–K3): the largest timestamp so far, minus the delay, minus 1.
 * With `none` records pass as they are, and there are no watermarks.
 *
 * Watermarks of upstream are swallowed; only the end of time passes (K5). They are emitted
 * every `every` ms of processing time, and once more at the end (K6).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "operator/operators.h"

static struct wr_mem mem = WR_MEM_INIT("operator.watermarks");

struct watermarks {
	const char *field; /* NULL: the records have timestamps already */
	uint32_t field_len;
	int64_t delay_ms, idle_ms, every_ms;
	int64_t max_ts, emitted;
	uint32_t shape; /* of the last row, and where the field is in it */
	int32_t at;
	bool none, idle;
	int64_t active_ms; /* processing time of the last batch */
};

static int open_(struct wr_stage *s)
{
	struct watermarks *w = wr_zalloc(&mem, sizeof *w);

	if (!w)
		return WR_EFATAL;
	s->state = w;
	w->field = wr_value_str(s->options, "field", NULL);
	w->field_len = w->field ? (uint32_t)strlen(w->field) : 0;
	w->delay_ms = wr_value_int(s->options, "delay", 0);
	w->idle_ms = wr_value_int(s->options, "idle_after", 0);
	w->none = wr_value_bool(s->options, "none", false);
	w->every_ms = w->none ? 0 : wr_value_int(s->options, "every", 200);
	w->max_ts = WR_TS_NONE;
	w->emitted = WR_TS_NONE;
	w->active_ms = wr_clock_ms(s->env->clock);
	if (w->every_ms > 0)
		s->deadline_ms = w->active_ms + w->every_ms;
	return WR_OK;
}

static int emit(struct wr_stage *s, struct watermarks *w)
{
	int64_t wm;

	if (w->none || w->max_ts < WR_TS_NONE + w->delay_ms + 2)
		return WR_OK;
	wm = w->max_ts - w->delay_ms - 1;
	if (wm <= w->emitted)
		return WR_OK;
	w->emitted = wm;
	return wr_stage_emit_watermark(s, wm);
}

/* The row's timestamp from the field, or an error. */
static int timestamp_of(struct watermarks *w, const struct wr_elem *row, int64_t *ts)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	struct wr_cell c;

	if (!w->field) {
		*ts = row->ts;
		if (*ts == WR_TS_NONE && !w->none)
			return wr_error_set(WR_EUSER, "the record has no timestamp; name a field");
		return WR_OK;
	}
	if (w->shape != s->id) {
		w->shape = s->id;
		w->at = wr_shape_find(s, w->field, w->field_len);
	}
	if (w->at < 0)
		return wr_error_set(WR_EUSER, "timestamp field '%s' is missing", w->field);
	c = wr_row_get(s, wr_elem_body(row), (uint32_t)w->at);
	if (c.type == WR_T_I64 && c.i64 > -(INT64_C(1) << 62) && c.i64 < INT64_C(1) << 62) {
		*ts = c.i64;
	} else if (c.type == WR_T_F64 && fabs(c.f64) < 0x1p62) {
		*ts = (int64_t)floor(c.f64);
	} else if (!c.type) {
		return wr_error_set(WR_EUSER, "timestamp field '%s' is missing", w->field);
	} else {
		return wr_error_set(WR_EUSER, "timestamp field '%s' is no number of milliseconds", w->field);
	}
	return WR_OK;
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct watermarks *w = s->state;
	struct wr_out *out = s->outs[0];

	w->active_ms = wr_clock_ms(s->env->clock);
	if (w->idle && rows->p < rows->end) { /* K10 as decided: active before its first record */
		w->idle = false;
		wr_stage_emit_idle(s, false);
	}
	for (; rows->p < rows->end; rows->p += ((const struct wr_elem *)rows->p)->len) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		struct wr_elem *copy;
		int64_t ts;

		if (timestamp_of(w, row, &ts) != WR_OK) {
			char why[256];
			int rc;

			snprintf(why, sizeof why, "%s", wr_error_text());
			rc = wr_stage_bad_row(s, 0, row, NULL, 0, NULL, why, WR_EUSER);
			if (rc != WR_OK)
				return rc;
			continue;
		}
		if ((size_t)(out->end - out->p) < row->len || !out->p)
			if (!wr_out_more(out, row->len))
				return WR_EFATAL;
		copy = (struct wr_elem *)out->p;
		memcpy(copy, row, row->len);
		copy->ts = ts;
		out->p += row->len;
		out->rows++;
		if (ts > w->max_ts)
			w->max_ts = ts;
	}
	return w->every_ms > 0 ? WR_OK : emit(s, w);
}

static int time_(struct wr_stage *s, int64_t now_ms)
{
	struct watermarks *w = s->state;
	int rc = emit(s, w);

	if (now_ms == INT64_MAX) {
		s->deadline_ms = INT64_MAX;
		return rc;
	}
	if (rc == WR_OK && w->idle_ms && !w->idle && now_ms - w->active_ms > w->idle_ms) {
		w->idle = true;
		rc = wr_stage_emit_idle(s, true);
	}
	s->deadline_ms = now_ms + w->every_ms;
	return rc;
}

static int watermark(struct wr_stage *s, int64_t *wm)
{
	int rc = WR_OK;

	if (*wm == WR_TS_MAX)
		rc = emit(s, s->state);
	else
		*wm = WR_TS_NONE;
	return rc;
}

static void free_(struct wr_stage *s)
{
	wr_free(&mem, s->state);
	s->state = NULL;
}

const struct wr_stage_ops wr_watermarks_ops = {
    .kind = "watermarks",
    .open = open_,
    .rows = rows,
    .watermark = watermark,
    .time = time_,
    .free = free_,
    .own_time = true,
};
