/* SPDX-License-Identifier: Apache-2.0 */
/* marker: watermarks of a stream of splits; see marker.h. */
#include "time/marker.h"

#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "time/align.h"

enum { NS_PER_MS = 1000000, PARTS_MIN = 4 };

static struct wr_mem mem = WR_MEM_INIT("time.markers");

/* ---- parts ---- */

static bool same_name(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* A part begins where it was in the checkpoint. Of several the lowest counts, for the watermark that was said
 * and for the one that the next tick says: a subtask that was far ahead may not have said so yet. */
static void inherit(struct wr_marker *m, uint32_t part)
{
	int64_t watermark = WR_TS_MAX, max_ts = WR_TS_MAX;
	bool found = false;

	for (uint32_t i = 0; i < m->former_count; i++) {
		if (!same_name(m->former[i].name, m->parts[part].name))
			continue;
		found = true;
		if (m->former_marks[i].watermark < watermark)
			watermark = m->former_marks[i].watermark;
		if (m->former[i].max_ts < max_ts)
			max_ts = m->former[i].max_ts;
	}
	if (!found)
		return;
	m->parts[part].max_ts = max_ts;
	if (watermark > WR_TS_NONE)
		wr_combine_watermark(&m->combine, part, watermark);
}

static int add_part(struct wr_marker *m, uint32_t number, const char *name)
{
	uint32_t marks_cap = m->cap;
	char *copy = NULL;

	if (m->count == m->cap) {
		if (WR_GROW(&mem, m->marks, marks_cap, PARTS_MIN) != WR_OK)
			return WR_EFATAL;
		m->combine.parts = m->marks;
		if (WR_GROW(&mem, m->parts, m->cap, PARTS_MIN) != WR_OK)
			return WR_EFATAL;
	}
	if (name) {
		copy = wr_strdup(&mem, name);
		if (!copy)
			return WR_EFATAL;
	}
	m->parts[m->count++] =
	    (struct wr_part){.number = number, .max_ts = WR_TS_NONE, .reach = WR_TS_NONE, .name = copy};
	wr_combine_add(&m->combine);
	inherit(m, m->count - 1);
	return WR_OK;
}

/* The last part takes its place, as in the combination. */
static void remove_part(struct wr_marker *m, uint32_t part)
{
	if (m->parts[part].held)
		wr_stage_hold(m->stage, m->parts[part].number, false);
	wr_free(&mem, m->parts[part].name);
	m->parts[part] = m->parts[--m->count];
	wr_combine_remove(&m->combine, part);
}

static uint32_t find_part(const struct wr_marker *m, uint32_t number)
{
	uint32_t i = 0;

	while (i < m->count && m->parts[i].number != number)
		i++;
	return i;
}

/* What stood for no split is gone when the first of those that begin together speaks: a split that goes on
 * where it was may be ahead of one that begins behind it. */
static void settle(struct wr_marker *m)
{
	uint32_t number = m->parts[m->at].number;

	if (!m->beginning)
		return;
	m->beginning = false;
	remove_part(m, find_part(m, 0));
	m->at = find_part(m, number);
}

/* ---- life ---- */

struct wr_marker *wr_marker_new(struct wr_stage *s)
{
	struct wr_marker *m = wr_zalloc(&mem, sizeof *m);

	if (!m)
		return NULL;
	m->stage = s;
	wr_stamp_init(&m->stamp, s->options);
	m->every_ns = (uint64_t)wr_value_int(s->options, "every", 200) * NS_PER_MS;
	m->idle_ns = (uint64_t)wr_value_int(s->options, "idle_after", 0) * NS_PER_MS;
	m->aligned = wr_value_get(s->options, "align") != NULL;
	m->allowed = m->reported = WR_TS_NONE;
	m->looked_ns = wr_clock_ns(s->env->clock);
	pthread_mutex_init(&m->mutex, NULL);
	wr_combine_init(&m->combine, NULL);
	if (add_part(m, 0, NULL) != WR_OK) {
		wr_marker_free(m);
		return NULL;
	}
	if (m->every_ns)
		s->tick_ns = m->looked_ns + m->every_ns;
	return m;
}

void wr_marker_free(struct wr_marker *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->count; i++)
		wr_free(&mem, m->parts[i].name);
	for (uint32_t i = 0; i < m->former_count; i++)
		wr_free(&mem, m->former[i].name);
	wr_free(&mem, m->former);
	wr_free(&mem, m->former_marks);
	wr_free(&mem, m->parts);
	wr_free(&mem, m->marks);
	pthread_mutex_destroy(&m->mutex);
	wr_free(&mem, m);
}

/* ---- saying ---- */

int wr_marker_send(struct wr_marker *m)
{
	bool idle = m->combine.idle;
	int rc = WR_OK;

	if (m->idle && !idle) {
		m->idle = false;
		rc = wr_stage_emit_idle(m->stage, false);
	}
	if (rc == WR_OK)
		rc = wr_stage_emit_watermark(m->stage, m->combine.watermark);
	if (rc == WR_OK && idle && !m->idle) {
		m->idle = true;
		rc = wr_stage_emit_idle(m->stage, true);
	}
	return rc;
}

int wr_marker_split(struct wr_marker *m, enum wr_split_word word, uint32_t number, const char *name)
{
	bool none = m->count == 1 && m->parts[0].number == 0;
	uint32_t part;
	int rc = WR_OK;

	if (word == WR_SPLIT_BEGIN) {
		if (none) /* idle, it would hold nothing back */
			wr_combine_idle(&m->combine, 0, false);
		rc = add_part(m, number, name);
		m->beginning |= none && rc == WR_OK;
	} else if (word == WR_SPLIT_END) {
		settle(m);
		if (m->count == 1)
			rc = add_part(m, 0, NULL);
		part = find_part(m, number);
		WR_ASSERT(part < m->count);
		if (rc == WR_OK)
			remove_part(m, part);
		m->at = 0;
	}
	if (word != WR_SPLIT_END) {
		m->at = find_part(m, number);
		WR_ASSERT(rc != WR_OK || m->at < m->count);
	}
	return rc == WR_OK && word != WR_SPLIT_AT ? wr_marker_send(m) : rc;
}

int wr_marker_rows(struct wr_marker *m)
{
	settle(m);
	m->parts[m->at].rows = true;
	if (!m->marks[m->at].idle)
		return WR_OK;
	wr_combine_idle(&m->combine, m->at, false);
	return wr_marker_send(m);
}

int wr_marker_stamp(struct wr_marker *m, const struct wr_elem *row, int64_t now_ms, int64_t *ts)
{
	char why[256];

	if (wr_stamp_of(&m->stamp, row, now_ms, ts) == WR_OK)
		return WR_OK;
	snprintf(why, sizeof why, "%s", wr_error_text());
	*ts = WR_TS_NONE;
	return wr_stage_bad_row(m->stage, 0, row, NULL, 0, NULL, why, WR_EUSER);
}

void wr_marker_mark(struct wr_marker *m, uint32_t part, int64_t watermark)
{
	WR_ASSERT(part < m->count);
	if (watermark > m->marks[part].watermark)
		wr_combine_watermark(&m->combine, part, watermark);
}

/* ---- alignment ---- */

static void hold(struct wr_marker *m, uint32_t part, bool held)
{
	struct wr_part *p = &m->parts[part];

	if (p->held == held)
		return;
	p->held = held;
	p->silent_ns = 0;
	wr_stage_hold(m->stage, p->number, held);
}

void wr_marker_ahead(struct wr_marker *m, int64_t watermark)
{
	struct wr_part *p = &m->parts[m->at];

	if (watermark > p->reach)
		p->reach = watermark;
	if (m->aligned && p->reach > m->allowed)
		hold(m, m->at, true);
}

static void report(struct wr_marker *m, int64_t watermark)
{
	const struct wr_stage *s = m->stage;
	struct wr_bytes payload = WR_BYTES_EMPTY;

	if (!m->aligned || watermark == m->reported)
		return;
	m->reported = watermark;
	wr_time_put(&payload, watermark);
	if (wr_bytes_status(&payload) == WR_OK)
		s->env->post(s->env->post_arg, s->env->vertex, s->env->subtask, s->index, WR_LETTER_PROGRESS,
			     payload.data, (uint32_t)payload.len);
	wr_bytes_deinit(&payload);
}

int wr_marker_letter(struct wr_marker *m, uint32_t type, const uint8_t *payload, uint32_t len)
{
	int rc;

	if (type != WR_LETTER_ALLOWED)
		return WR_OK;
	rc = wr_time_parse(payload, len, &m->allowed);
	if (rc != WR_OK)
		return rc;
	for (uint32_t i = 0; i < m->count; i++)
		if (m->parts[i].held && m->parts[i].reach <= m->allowed)
			hold(m, i, false);
	return WR_OK;
}

/* ---- ticks ---- */

/* K8: quiet since the tick before last, and for longer than idle_after since then. */
static bool fell_silent(struct wr_marker *m, struct wr_part *p, uint64_t running_ns)
{
	if (p->rows || p->held || wr_stage_source_waits(m->stage)) {
		p->rows = false;
		p->silent_ns = 0;
		return false;
	}
	if (!p->silent_ns) {
		p->silent_ns = running_ns;
		return false;
	}
	return running_ns - p->silent_ns > m->idle_ns;
}

static uint32_t lowest_part(const struct wr_marker *m)
{
	uint32_t at = m->count;

	for (uint32_t i = 0; i < m->count; i++)
		if (!m->marks[i].idle && (at == m->count || m->marks[i].watermark < m->marks[at].watermark))
			at = i;
	return at;
}

/* Tells others which part is the lowest, and adds the time since the last tick to it. */
static void show(struct wr_marker *m, uint64_t now_ns)
{
	uint32_t low = lowest_part(m), idle = 0;
	uint64_t passed = now_ns - m->looked_ns;

	m->looked_ns = now_ns;
	for (uint32_t i = 0; i < m->count; i++)
		idle += m->marks[i].idle;
	pthread_mutex_lock(&m->mutex);
	m->view.count = m->count;
	m->view.idle = idle;
	m->view.now = (struct wr_lowest){.watermark = WR_TS_NONE};
	if (low < m->count) {
		struct wr_part *p = &m->parts[low];

		p->lowest_ns += passed;
		snprintf(m->view.now.name, sizeof m->view.now.name, "%s", p->name ? p->name : "");
		m->view.now.watermark = m->marks[low].watermark;
		m->view.now.held = p->held;
		m->view.now.ns = p->lowest_ns;
		if (p->lowest_ns >= m->view.longest.ns)
			m->view.longest = m->view.now;
	}
	pthread_mutex_unlock(&m->mutex);
}

void wr_marker_look(struct wr_marker *m, struct wr_marker_view *out)
{
	pthread_mutex_lock(&m->mutex);
	*out = m->view;
	pthread_mutex_unlock(&m->mutex);
}

int wr_marker_tick(struct wr_marker *m, uint64_t now_ns)
{
	uint64_t running_ns = m->idle_ns ? wr_stage_running_ns(m->stage) : 0;
	int rc;

	settle(m);
	for (uint32_t i = 0; m->idle_ns && i < m->count; i++)
		if (!m->marks[i].idle && fell_silent(m, &m->parts[i], running_ns))
			wr_combine_idle(&m->combine, i, true);
	show(m, now_ns);
	rc = wr_marker_send(m);
	report(m, m->combine.idle ? WR_TS_MAX : m->combine.watermark);
	m->stage->tick_ns = now_ns + m->every_ns;
	return rc;
}

int wr_marker_end(struct wr_marker *m)
{
	settle(m);
	m->stage->tick_ns = UINT64_MAX;
	report(m, WR_TS_MAX);
	return wr_marker_send(m);
}

/* ---- snapshots ---- */

void wr_marker_save(const struct wr_marker *m, struct wr_bytes *out)
{
	wr_value_put_list(out, m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		wr_value_put_list(out, 3);
		if (m->parts[i].name)
			wr_value_put_str(out, m->parts[i].name);
		else
			wr_value_put_nil(out);
		wr_value_put_i64(out, m->parts[i].max_ts);
		wr_value_put_i64(out, m->marks[i].watermark);
	}
}

static int add_former(struct wr_marker *m, const struct wr_value *v)
{
	struct wr_part *parts = wr_realloc(&mem, m->former, (m->former_count + 1) * sizeof *parts);
	struct wr_combine_part *marks;
	char *name = NULL;

	if (!parts)
		return WR_EFATAL;
	m->former = parts;
	marks = wr_realloc(&mem, m->former_marks, (m->former_count + 1) * sizeof *marks);
	if (!marks)
		return WR_EFATAL;
	m->former_marks = marks;
	if (v->tag != WR_V_LIST || v->count != 3 || v->items[1].tag != WR_V_I64 ||
	    v->items[2].tag != WR_V_I64)
		return wr_error_set(WR_EUSER, "the saved watermarks are malformed");
	if (v->items[0].tag == WR_V_STR) {
		name = wr_strdup(&mem, v->items[0].str.p);
		if (!name)
			return WR_EFATAL;
	}
	parts[m->former_count] = (struct wr_part){.max_ts = v->items[1].i64, .name = name};
	marks[m->former_count++] = (struct wr_combine_part){v->items[2].i64, false};
	return WR_OK;
}

int wr_marker_restore(struct wr_marker *m, const struct wr_saved_state *saved)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < saved->count; i++) {
		const struct wr_value *list = saved->parts[i].value;

		if (list->tag != WR_V_LIST)
			return wr_error_set(WR_EUSER, "the saved watermarks are malformed");
		for (uint32_t k = 0; k < list->count && rc == WR_OK; k++)
			rc = add_former(m, &list->items[k]);
	}
	for (uint32_t i = 0; i < m->count && rc == WR_OK; i++)
		inherit(m, i);
	return rc;
}
