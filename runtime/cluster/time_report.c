/* SPDX-License-Identifier: Apache-2.0 */
/* time_report: who holds the watermarks back; see time_report.h. */
#include "cluster/time_report.h"

#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "time/marker.h"

enum { CHANNELS_SHOWN = 3 };

struct origin {
	uint32_t vertex, subtask;
};

/* Where channel `channel` of a gate comes from: edge by edge, as the gate was made. */
static struct origin origin_of(const struct wr_job *j, uint32_t vertex, uint32_t subtask, uint32_t channel)
{
	const struct wr_plan *p = wr_job_plan(j);

	for (uint32_t e = 0; e < p->edge_count; e++)
		for (uint32_t i = 0;
		     p->edges[e].to == vertex && i < p->vertices[p->edges[e].from].parallelism; i++)
			if (wr_job_connected(j, e, i, subtask) && channel-- == 0)
				return (struct origin){p->edges[e].from, i};
	return (struct origin){vertex, subtask};
}

static bool name_is_unique(const struct wr_plan *p, uint32_t vertex)
{
	uint32_t same = 0;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		same += !strcmp(p->vertices[v].name, p->vertices[vertex].name);
	return same == 1;
}

static void put_task(const struct wr_plan *p, struct origin o, struct wr_bytes *out)
{
	const struct wr_plan_vertex *v = &p->vertices[o.vertex];

	wr_bytes_printf(out, "%s [%u/%u]", v->name, o.subtask + 1, v->parallelism);
	if (!name_is_unique(p, o.vertex))
		wr_bytes_printf(out, " (%s)", v->uid);
}

static struct wr_marker *marker_of(const struct wr_task *t)
{
	for (uint32_t i = 0; i < wr_task_stage_count(t); i++)
		if (wr_task_stage(t, i)->marker)
			return wr_task_stage(t, i)->marker;
	return NULL;
}

static void put_time(struct wr_clock *clock, int64_t watermark, struct wr_bytes *out)
{
	char text[WR_CLOCK_TEXT];

	if (watermark == WR_TS_NONE) {
		wr_bytes_printf(out, "no watermark yet");
		return;
	}
	if (watermark == WR_TS_MAX) {
		wr_bytes_printf(out, "at the end of time");
		return;
	}
	wr_clock_text(watermark, text);
	wr_bytes_printf(out, "at %s, %.1f s behind the clock", text,
			(double)(wr_clock_ms(clock) - watermark) / 1e3);
}

/* The channel with the longest hold below `below`; UINT32_MAX if there is none. */
static uint32_t next_longest(const struct wr_hold *h, uint64_t now_ns, int64_t below, uint32_t behind)
{
	uint32_t at = UINT32_MAX;
	int64_t most = 0;

	for (uint32_t i = 0; i < h->count; i++) {
		int64_t ns = wr_hold_ns(h, i, now_ns);

		if (ns > most && (ns < below || (ns == below && i > behind))) {
			most = ns;
			at = i;
		}
	}
	return at;
}

static void put_channels(const struct wr_job *j, struct origin o, const struct wr_hold *h, uint64_t now_ns,
			 bool ended, struct wr_bytes *out)
{
	int64_t below = INT64_MAX;
	uint32_t at = 0;

	for (int n = 0; n < CHANNELS_SHOWN; n++) {
		at = next_longest(h, now_ns, below, at);
		if (at == UINT32_MAX)
			return;
		below = wr_hold_ns(h, at, now_ns);
		wr_bytes_printf(out, "    held back %.1f s by ", (double)below / 1e9);
		put_task(wr_job_plan(j), origin_of(j, o.vertex, o.subtask, at), out);
		if (!ended && wr_metric_get(&h->parts[at].idle))
			wr_bytes_printf(out, ", which is idle now");
		else if (!ended && wr_metric_get(&h->holder) == at)
			wr_bytes_printf(out, ", still");
		wr_bytes_printf(out, "\n");
	}
}

static void put_splits(struct wr_marker *m, struct wr_bytes *out)
{
	struct wr_marker_view v;

	wr_marker_look(m, &v);
	if (v.longest.name[0])
		wr_bytes_printf(out, "    lowest for %.1f s: split %s\n", (double)v.longest.ns / 1e9,
				v.longest.name);
	if (v.now.held)
		wr_bytes_printf(out, "    waits for others of its alignment group\n");
	if (v.idle)
		wr_bytes_printf(out, "    %u of %u splits idle\n", v.idle, v.count);
}

static void put_subtask(const struct wr_job *j, struct wr_clock *clock, struct origin o, bool ended,
			struct wr_bytes *out)
{
	const struct wr_task *t = wr_job_task(j, o.vertex, o.subtask);
	const struct wr_hold *h = wr_task_hold(t);
	struct wr_marker *m = marker_of(t);

	wr_bytes_printf(out, "  ");
	put_task(wr_job_plan(j), o, out);
	wr_bytes_printf(out, ": ");
	put_time(clock, wr_metric_get(&wr_task_stats(t)->watermark), out);
	wr_bytes_printf(out, "\n");
	if (h)
		put_channels(j, o, h, wr_clock_ns(clock), ended, out);
	if (m)
		put_splits(m, out);
}

void wr_time_report(const struct wr_job *j, struct wr_clock *clock, bool ended, struct wr_bytes *out)
{
	const struct wr_plan *p = wr_job_plan(j);

	wr_bytes_printf(out, "watermarks, and who held them back:\n");
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			put_subtask(j, clock, (struct origin){v, i}, ended, out);
}

/* ---- the same for programs ---- */

static void json_task(const struct wr_plan *p, struct origin o, struct wr_bytes *out)
{
	const struct wr_plan_vertex *v = &p->vertices[o.vertex];

	wr_bytes_printf(out, "{\"task\":");
	wr_json_string(out, v->name, strlen(v->name));
	wr_bytes_printf(out, ",\"uid\":");
	wr_json_string(out, v->uid, strlen(v->uid));
	wr_bytes_printf(out, ",\"subtask\":%u", o.subtask);
}

/* All channels that held it back, the longest first. */
static void json_channels(const struct wr_job *j, struct origin o, const struct wr_hold *h, uint64_t now_ns,
			  bool ended, struct wr_bytes *out)
{
	int64_t below = INT64_MAX;
	const char *comma = "";
	uint32_t at = 0;

	while ((at = next_longest(h, now_ns, below, at)) != UINT32_MAX) {
		bool idle = !ended && wr_metric_get(&h->parts[at].idle);
		bool still = !ended && !idle && wr_metric_get(&h->holder) == at;

		below = wr_hold_ns(h, at, now_ns);
		wr_bytes_printf(out, "%s", comma);
		json_task(wr_job_plan(j), origin_of(j, o.vertex, o.subtask, at), out);
		wr_bytes_printf(out, ",\"held_ns\":%lld,\"idle\":%d,\"now\":%d}", (long long)below, idle,
				still);
		comma = ",";
	}
}

static void json_splits(struct wr_marker *m, struct wr_bytes *out)
{
	struct wr_marker_view v;

	wr_marker_look(m, &v);
	wr_bytes_printf(out, ",\"splits\":{\"count\":%u,\"idle\":%u,\"waits_for_group\":%d", v.count, v.idle,
			v.now.held);
	if (v.longest.name[0]) {
		wr_bytes_printf(out, ",\"lowest\":");
		wr_json_string(out, v.longest.name, strlen(v.longest.name));
		wr_bytes_printf(out, ",\"lowest_ns\":%llu", (unsigned long long)v.longest.ns);
	}
	wr_bytes_put_u8(out, '}');
}

static void json_subtask(const struct wr_job *j, struct wr_clock *clock, struct origin o, bool ended,
			 struct wr_bytes *out)
{
	const struct wr_task *t = wr_job_task(j, o.vertex, o.subtask);
	int64_t watermark = wr_metric_get(&wr_task_stats(t)->watermark);
	const struct wr_hold *h = wr_task_hold(t);
	struct wr_marker *m = marker_of(t);

	json_task(wr_job_plan(j), o, out);
	wr_bytes_printf(out, ",\"end_of_time\":%d", watermark == WR_TS_MAX);
	if (watermark != WR_TS_NONE && watermark != WR_TS_MAX)
		wr_bytes_printf(out, ",\"watermark\":%lld,\"lag_ms\":%lld", (long long)watermark,
				(long long)(wr_clock_ms(clock) - watermark));
	wr_bytes_printf(out, ",\"held_back_by\":[");
	if (h)
		json_channels(j, o, h, wr_clock_ns(clock), ended, out);
	wr_bytes_put_u8(out, ']');
	if (m)
		json_splits(m, out);
	wr_bytes_put_u8(out, '}');
}

void wr_time_report_json(const struct wr_job *j, struct wr_clock *clock, bool ended, struct wr_bytes *out)
{
	const struct wr_plan *p = wr_job_plan(j);

	wr_bytes_printf(out, "{\"watermarks\":[");
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++) {
			if (v || i)
				wr_bytes_put_u8(out, ',');
			json_subtask(j, clock, (struct origin){v, i}, ended, out);
		}
	wr_bytes_printf(out, "]}\n");
}

bool wr_time_holder(const struct wr_job *j, char *to, size_t size)
{
	const struct wr_plan *p = wr_job_plan(j);
	struct wr_bytes text = WR_BYTES_EMPTY;
	bool found = false;

	for (uint32_t v = 0; v < p->vertex_count && !found; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism && !found; i++) {
			const struct wr_hold *h = wr_task_hold(wr_job_task(j, v, i));
			int64_t at = h ? wr_metric_get(&h->holder) : -1;

			if (at < 0)
				continue;
			put_task(p, origin_of(j, v, i, (uint32_t)at), &text);
			found = true;
		}
	wr_bytes_put_u8(&text, 0);
	if (found && wr_bytes_status(&text) == WR_OK)
		snprintf(to, size, "%s", (const char *)text.data);
	wr_bytes_deinit(&text);
	return found;
}
