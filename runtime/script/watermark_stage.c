/* SPDX-License-Identifier: Apache-2.0 */
/* watermark_stage: a watermark strategy written in Lua, as a stage of a task.
 *
 * The user's function sees every record; its time, its row and the watermarks of the splits
 * (time/marker.h) stay in C. A watermark that the function gives for a record follows that record
 * at once (K4, K14); those of a tick go out as one. Task's thread.
 */
#include <string.h>
#include "base/error.h"
#include "script/api.h"
#include "script/lua_stage.h"
#include "time/marker.h"

static int open_(struct wr_stage *s)
{
	int rc = wr_lua_stage_ops.open(s);

	if (rc != WR_OK)
		return rc;
	s->marker = wr_marker_new(s);
	return s->marker ? WR_OK : WR_EFATAL;
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct wr_marker *m = s->marker;
	int rc;

	if (rows->p == rows->end) /* a buffer of events only: no activity */
		return WR_OK;
	rc = wr_marker_rows(m);
	wr_lua_stage_shared(s)->split = m->parts[m->at].number;
	if (rc == WR_OK)
		rc = wr_lua_stage_ops.rows(s, rows);
	wr_marker_ahead(m, m->marks[m->at].watermark);
	return rc;
}

/* The periodic watermark of each part; of idle ones only at the end. */
static int mark(struct wr_stage *s, bool idle_too)
{
	struct wr_marker *m = s->marker;
	int rc = WR_OK;

	for (uint32_t i = 0; i < m->count && rc == WR_OK; i++) {
		double watermark;
		bool any;

		if (m->marks[i].idle && !idle_too)
			continue;
		rc = wr_lua_stage_periodic(s, m->parts[i].number, false, &watermark, &any);
		if (rc == WR_OK && any)
			wr_marker_mark(m, i, (int64_t)watermark);
	}
	return rc;
}

static int tick(struct wr_stage *s, uint64_t now_ns)
{
	int rc = mark(s, false);

	return rc == WR_OK ? wr_marker_tick(s->marker, now_ns) : rc;
}

static int split(struct wr_stage *s, enum wr_split_word word, uint32_t number, const char *name)
{
	double watermark;
	bool any;
	int rc = wr_marker_split(s->marker, word, number, name);

	if (rc == WR_OK && word == WR_SPLIT_END)
		rc = wr_lua_stage_periodic(s, number, true, &watermark, &any);
	return rc;
}

static int letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	return wr_marker_letter(s->marker, type, payload, len);
}

static int watermark(struct wr_stage *s, int64_t *wm)
{
	int rc;

	if (*wm != WR_TS_MAX) {
		*wm = WR_TS_NONE;
		return WR_OK;
	}
	rc = mark(s, true);
	return rc == WR_OK ? wr_marker_end(s->marker) : rc;
}

static int end(struct wr_stage *s)
{
	return wr_lua_stage_ops.end(s);
}

static int save(struct wr_stage *s, struct wr_bytes *out)
{
	wr_marker_save(s->marker, out);
	return wr_bytes_status(out);
}

static int restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	return wr_marker_restore(s->marker, saved);
}

static void free_(struct wr_stage *s)
{
	wr_marker_free(s->marker);
	s->marker = NULL;
	wr_lua_stage_ops.free(s);
}

const struct wr_stage_ops wr_lua_watermarks_ops = {
    .kind = "lua_watermarks",
    .counts = true,
    .own_time = true,
    .open = open_,
    .rows = rows,
    .is_resting = wr_lua_stage_is_resting,
    .watermark = watermark,
    .tick = tick,
    .split = split,
    .letter = letter,
    .end = end,
    .save = save,
    .restore = restore,
    .prepare = wr_lua_stage_prepare,
    .swap = wr_lua_stage_swap,
    .discard = wr_lua_stage_discard,
    .free = free_,
};

/* ---- called by generated code ---- */

int wr_lua_stamp(struct wr_lua *l)
{
	int rc = wr_marker_stamp(l->stage->marker, (const struct wr_elem *)l->row, l->now_ms, &l->ts);

	return rc == WR_OK && l->ts == WR_TS_NONE ? 1 : rc;
}

int wr_lua_pass(struct wr_lua *l)
{
	const struct wr_elem *row = (const struct wr_elem *)l->row;
	struct wr_out *out = l->outs[0];

	if (((size_t)(out->end - out->p) < row->len || !out->p) && !wr_out_more(out, row->len))
		return wr_error_code();
	memcpy(out->p, row, row->len);
	((struct wr_elem *)out->p)->ts = l->ts;
	out->p += row->len;
	out->rows++;
	return WR_OK;
}

int wr_lua_mark(struct wr_lua *l, double watermark)
{
	struct wr_marker *m = l->stage->marker;

	wr_marker_mark(m, m->at, (int64_t)watermark);
	return wr_marker_send(m);
}
