/* SPDX-License-Identifier: Apache-2.0 */
/* watermarks: event time from a field of the record, and watermarks that lag behind it
 * (bounded out-of-orderness, K1–K3): the largest timestamp of a split so far, minus the delay,
 * minus 1; the minimum over the splits (time/marker.h). Strategies in Lua: script/.
 *
 * Watermarks of upstream are swallowed; only the end of time passes (K5). They are emitted
 * every `every` ms of steady time (0: never, K7), and once more at the end (K6).
 *
 * `none`: records pass as they are, and there are no watermarks. `ingestion`: a record's time is
 * the clock's when it comes, and the watermark follows the clock, whether records come or not; when
 * the clock is set back, time stands still until it has caught up.
 */
#include <inttypes.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "operator/operators.h"
#include "time/marker.h"

static struct wr_mem mem = WR_MEM_INIT("operator.watermarks");

enum strategy { BOUNDED, NONE, INGESTION };
enum { AHEAD_MS = 86400000 }; /* a record so far before the clock is worth a word */

struct watermarks {
	enum strategy strategy;
	struct wr_marker *marker;
	int64_t delay_ms;
	int64_t now_ms; /* processing time of this batch; never back */
	bool warned;	/* of a record that is far ahead of the clock */
};

static int open_(struct wr_stage *s)
{
	struct watermarks *w = wr_zalloc(&mem, sizeof *w);

	if (!w)
		return WR_EFATAL;
	s->state = w;
	w->strategy = wr_value_bool(s->options, "none", false)	      ? NONE
		      : wr_value_bool(s->options, "ingestion", false) ? INGESTION
								      : BOUNDED;
	w->delay_ms = wr_value_int(s->options, "delay", 0);
	w->now_ms = wr_clock_ms(s->env->clock);
	if (w->strategy == NONE)
		return WR_OK;
	w->marker = s->marker = wr_marker_new(s);
	return w->marker ? WR_OK : WR_EFATAL;
}

/* What the timestamps of a part come to; WR_TS_NONE before the first. */
static int64_t watermark_of(const struct watermarks *w, const struct wr_part *p)
{
	if (w->strategy == INGESTION)
		return w->now_ms - 1;
	return p->max_ts < WR_TS_NONE + w->delay_ms + 2 ? WR_TS_NONE : p->max_ts - w->delay_ms - 1;
}

static void mark(struct watermarks *w, bool idle_too)
{
	for (uint32_t i = 0; i < w->marker->count; i++)
		if (idle_too || !w->marker->marks[i].idle)
			wr_marker_mark(w->marker, i, watermark_of(w, &w->marker->parts[i]));
}

static void read_clock(struct wr_stage *s, struct watermarks *w)
{
	int64_t now_ms = wr_clock_ms(s->env->clock);

	if (now_ms > w->now_ms)
		w->now_ms = now_ms;
}

static void warn_ahead(struct wr_stage *s, struct watermarks *w, int64_t ts)
{
	w->warned = true;
	wr_warn(s->env->task,
		"operator \"%s\": a record's time is %" PRId64
		" h ahead of the clock, and takes the watermark "
		"with it: records behind it will be late; ahead_max = \"1h\" would refuse it",
		s->ops_stats[0].name, (ts - w->now_ms) / 3600000);
}

static int time_of(struct watermarks *w, const struct wr_elem *row, int64_t *ts)
{
	if (w->strategy == INGESTION) {
		*ts = w->now_ms;
		return WR_OK;
	}
	return wr_marker_stamp(w->marker, row, w->now_ms, ts);
}

static int copy_row(struct wr_out *out, const struct wr_elem *row, int64_t ts)
{
	struct wr_elem *copy;

	if (((size_t)(out->end - out->p) < row->len || !out->p) && !wr_out_more(out, row->len))
		return WR_EFATAL;
	copy = (struct wr_elem *)out->p;
	memcpy(copy, row, row->len);
	copy->ts = ts;
	out->p += row->len;
	out->rows++;
	return WR_OK;
}

static int pass(struct wr_stage *s, struct wr_rows *rows)
{
	int rc = WR_OK;

	for (; rows->p < rows->end && rc == WR_OK; rows->p += ((const struct wr_elem *)rows->p)->len)
		rc = copy_row(s->outs[0], (const struct wr_elem *)rows->p,
			      ((const struct wr_elem *)rows->p)->ts);
	return rc;
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct watermarks *w = s->state;
	int64_t max_ts;
	int rc;

	if (w->strategy == NONE)
		return pass(s, rows);
	if (rows->p == rows->end) /* a buffer of events only: no activity */
		return WR_OK;
	read_clock(s, w);
	rc = wr_marker_rows(w->marker);
	max_ts = w->marker->parts[w->marker->at].max_ts;
	while (rows->p < rows->end && rc == WR_OK) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		int64_t ts;

		rc = time_of(w, row, &ts);
		if (rc != WR_OK)
			break;
		rows->p += row->len;
		if (ts == WR_TS_NONE)
			continue;
		rc = copy_row(s->outs[0], row, ts);
		if (ts > max_ts)
			max_ts = ts;
	}
	if (max_ts > w->now_ms && max_ts - w->now_ms > AHEAD_MS && !w->warned)
		warn_ahead(s, w, max_ts);
	w->marker->parts[w->marker->at].max_ts = max_ts;
	wr_marker_ahead(w->marker, watermark_of(w, &w->marker->parts[w->marker->at]));
	return rc;
}

static int tick(struct wr_stage *s, uint64_t now_ns)
{
	struct watermarks *w = s->state;

	read_clock(s, w);
	mark(w, false);
	return wr_marker_tick(w->marker, now_ns);
}

static int split(struct wr_stage *s, enum wr_split_word word, uint32_t number, const char *name)
{
	struct watermarks *w = s->state;

	return w->marker ? wr_marker_split(w->marker, word, number, name) : WR_OK;
}

static int letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct watermarks *w = s->state;

	return w->marker ? wr_marker_letter(w->marker, type, payload, len) : WR_OK;
}

static int watermark(struct wr_stage *s, int64_t *wm)
{
	struct watermarks *w = s->state;

	if (*wm != WR_TS_MAX) {
		*wm = WR_TS_NONE;
		return WR_OK;
	}
	if (!w->marker)
		return WR_OK;
	read_clock(s, w);
	mark(w, true);
	return wr_marker_end(w->marker);
}

static int save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct watermarks *w = s->state;

	if (w->marker)
		wr_marker_save(w->marker, out);
	return wr_bytes_status(out);
}

static int restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct watermarks *w = s->state;

	return w->marker ? wr_marker_restore(w->marker, saved) : WR_OK;
}

static void free_(struct wr_stage *s)
{
	struct watermarks *w = s->state;

	if (!w)
		return;
	wr_marker_free(w->marker);
	s->marker = NULL;
	wr_free(&mem, w);
	s->state = NULL;
}

const struct wr_stage_ops wr_watermarks_ops = {
    .kind = "watermarks",
    .open = open_,
    .rows = rows,
    .watermark = watermark,
    .tick = tick,
    .split = split,
    .letter = letter,
    .save = save,
    .restore = restore,
    .free = free_,
    .own_time = true,
};
