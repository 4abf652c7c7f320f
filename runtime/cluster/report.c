/* SPDX-License-Identifier: Apache-2.0 */
/* report: live line and summary, from the registry of metrics. */
#include "cluster/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "cluster/footprint.h"
#include "task/metrics.h"
#include "stream/remote.h"
#include "cluster/time_report.h"

#define EXPLAIN_NS UINT64_C(10000000000) /* between two reports of --explain-time */

enum { REMOTES_MAX = 400 };
static const double LIVE_S = 0.45; /* between two live lines at least */
static struct wr_mem mem = WR_MEM_INIT("cluster.report");

/* One operator, summed over its subtasks. */
struct op_sum {
	const char *name;
	int64_t values[WR_OP_METRICS];
	bool source, sink;
};
/* Markers from a source to a sink, over all subtasks. */
struct pair {
	struct pair *next;
	const char *source, *sink;
	uint64_t source_id;
	uint32_t vertex; /* of the sink */
	struct wr_histogram *histogram;
};
struct wr_report {
	struct wr_clock *clock;
	struct wr_job *job;
	bool live, json, quiet, explain_time, memory;
	uint64_t start_ns, last_ns, explained_ns;
	int64_t last_in, last_out;
	struct op_sum *ops; /* vertex by vertex, in the order of the chains */
	uint32_t op_count;
	uint32_t *first_op; /* by vertex */
	struct pair *pairs; /* only at the end */
	uint32_t restarts;
};

struct totals {
	int64_t in, out, skipped, late, late_dropped, no_window, blocked_ns, bytes;
	int64_t watermark; /* the lowest; WR_TS_MAX: there is none */
};

struct wr_report *wr_report_new(const struct wr_config *c, struct wr_clock *clock)
{
	struct wr_report *r = wr_zalloc(&mem, sizeof *r);

	if (!r)
		return NULL;
	r->clock = clock;
	r->json = wr_config_bool(c, "json");
	r->quiet = wr_config_bool(c, "quiet");
	r->explain_time = wr_config_bool(c, "explain-time");
	r->memory = wr_config_bool(c, "memory");
	r->live = !r->quiet && !r->json && isatty(STDERR_FILENO);
	r->start_ns = r->last_ns = r->explained_ns = wr_clock_ns(clock);
	return r;
}

static void drop_pairs(struct wr_report *r)
{
	for (struct pair *p; (p = r->pairs);) {
		r->pairs = p->next;
		wr_histogram_free(p->histogram);
		wr_free(&mem, p);
	}
}

static void drop_operators(struct wr_report *r)
{
	wr_free(&mem, r->ops);
	wr_free(&mem, r->first_op);
	r->ops = NULL;
	r->first_op = NULL;
	r->op_count = 0;
}

void wr_report_free(struct wr_report *r)
{
	if (!r)
		return;
	drop_pairs(r);
	drop_operators(r);
	wr_free(&mem, r);
}

static void list_operators(struct wr_report *r)
{
	const struct wr_plan *p = wr_job_plan(r->job);
	struct op_sum *op = r->ops;

	for (uint32_t v = 0; v < p->vertex_count; v++) {
		const struct wr_plan_vertex *vertex = &p->vertices[v];

		r->first_op[v] = (uint32_t)(op - r->ops);
		for (uint32_t s = 0; s < vertex->stage_count; s++)
			for (uint32_t k = 0; k < vertex->stages[s].operator_count; k++)
				*op++ = (struct op_sum){.name = vertex->stages[s].operators[k].name,
							.source = !vertex->inputs && s == 0 && k == 0,
							.sink = vertex->stages[s].out_count == 0};
	}
}

int wr_report_watch(struct wr_report *r, struct wr_job *j)
{
	const struct wr_plan *p = wr_job_plan(j);

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t s = 0; s < p->vertices[v].stage_count; s++)
			r->op_count += p->vertices[v].stages[s].operator_count;
	r->ops = wr_zalloc(&mem, (r->op_count + 1) * sizeof *r->ops);
	r->first_op = wr_zalloc(&mem, (p->vertex_count + 1) * sizeof *r->first_op);
	if (!r->ops || !r->first_op)
		return WR_EFATAL;
	r->job = j;
	list_operators(r);
	return WR_OK;
}

void wr_report_forget(struct wr_report *r)
{
	if (r->live)
		wr_log_set_live(NULL);
	drop_operators(r);
	r->job = NULL;
	r->last_in = r->last_out = 0;
	r->restarts++;
}

/* ---- adding up ---- */

struct adding {
	struct wr_report *report;
	struct totals *totals;
};

static void add_operator(struct wr_report *r, const struct wr_metric_entry *e)
{
	uint32_t at = r->first_op[e->owner->group] + (uint32_t)e->id;

	WR_ASSERT(at < r->op_count);
	r->ops[at].values[e->def - wr_op_metrics] += e->value;
}

static void add_entry(const struct wr_metric_entry *e, void *arg)
{
	struct adding *a = arg;

	if (e->kind && !strcmp(e->kind, "operators"))
		add_operator(a->report, e);
	else if (e->def == wr_task_blocked)
		a->totals->blocked_ns += e->value;
	else if (e->def == wr_task_watermark && e->value < a->totals->watermark)
		a->totals->watermark = e->value;
}

/* Records in: what sources emitted; out: what entered sinks. */
static struct totals add_up(struct wr_report *r)
{
	struct totals t = {.watermark = WR_TS_MAX};
	struct adding a = {r, &t};

	for (uint32_t i = 0; i < r->op_count; i++)
		memset(r->ops[i].values, 0, sizeof r->ops[i].values);
	wr_metrics_each(wr_job_metrics(r->job), r->clock, add_entry, &a);
	for (uint32_t i = 0; i < r->op_count; i++) {
		const struct op_sum *o = &r->ops[i];

		t.in += o->source ? o->values[WR_OP_ROWS_OUT] : 0;
		t.bytes += o->source ? o->values[WR_OP_BYTES_OUT] : 0;
		t.out += o->sink ? o->values[WR_OP_ROWS_IN] : 0;
		t.skipped += o->values[WR_OP_SKIPPED];
		t.late += o->values[WR_OP_LATE];
		t.late_dropped += o->values[WR_OP_LATE_DROPPED];
		t.no_window += o->values[WR_OP_NO_WINDOW];
	}
	return t;
}

/* ---- latencies ---- */

static const char *source_name(const struct wr_report *r, uint64_t id)
{
	const struct wr_plan *p = wr_job_plan(r->job);

	for (uint32_t v = 0; v < p->vertex_count; v++)
		if (!p->vertices[v].inputs && wr_job_source_id(&p->vertices[v]) == id)
			return p->vertices[v].stages[0].operators[0].name;
	return "?";
}

static void add_pair(const struct wr_metric_entry *e, void *arg)
{
	struct wr_report *r = arg;
	struct pair *p = r->pairs;

	if (e->def != &wr_latency_metric)
		return;
	while (p && (p->source_id != e->id || p->vertex != e->owner->group || strcmp(p->sink, e->part)))
		p = p->next;
	if (!p) {
		struct wr_histogram *h = wr_histogram_new();

		p = h ? wr_alloc(&mem, sizeof *p) : NULL;
		if (!p) {
			wr_histogram_free(h);
			return;
		}
		*p = (struct pair){r->pairs, source_name(r, e->id), e->part, e->id, e->owner->group, h};
		r->pairs = p;
	}
	wr_histogram_merge(p->histogram, e->histogram);
}

static void pairs_text(const struct wr_report *r)
{
	for (const struct pair *p = r->pairs; p; p = p->next) {
		fprintf(stderr, "  latency %s → %s:", p->source, p->sink);
		for (int i = 0; i < wr_quantiles_count; i++)
			fprintf(stderr, " %s %.1f", wr_quantiles[i].name,
				(double)wr_histogram_at(p->histogram, wr_quantiles[i].q) / 1e3);
		fprintf(stderr, " µs (%llu markers)\n", (unsigned long long)wr_histogram_count(p->histogram));
	}
}

static void pairs_json(const struct wr_report *r, struct wr_bytes *out)
{
	for (const struct pair *p = r->pairs; p; p = p->next) {
		wr_bytes_printf(out, "%s{\"source\":", p == r->pairs ? "" : ",");
		wr_json_string(out, p->source, strlen(p->source));
		wr_bytes_printf(out, ",\"sink\":");
		wr_json_string(out, p->sink, strlen(p->sink));
		wr_bytes_printf(out, ",\"latency_ns\":");
		wr_histogram_json(p->histogram, out);
		wr_bytes_put_u8(out, '}');
	}
}

/* ---- the live line ---- */

static const char *amount(double v, char *to, size_t size)
{
	if (v >= 1e9)
		snprintf(to, size, "%.2f G", v / 1e9);
	else if (v >= 1e6)
		snprintf(to, size, "%.2f M", v / 1e6);
	else if (v >= 1e4)
		snprintf(to, size, "%.1f k", v / 1e3);
	else
		snprintf(to, size, "%.0f ", v);
	return to;
}

static void explain_time(struct wr_report *r, uint64_t now_ns, bool ended)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	r->explained_ns = now_ns;
	(r->json ? wr_time_report_json : wr_time_report)(r->job, r->clock, ended, &out);
	if (wr_bytes_status(&out) == WR_OK)
		fwrite(out.data, 1, out.len, stderr);
	wr_bytes_deinit(&out);
}

/* " · lag 3.2 s (held by files [2/2])" */
static void lag_text(const struct wr_report *r, int64_t watermark, char *to, size_t size)
{
	char holder[100];
	int n;

	to[0] = 0;
	if (watermark == WR_TS_MAX)
		return;
	n = snprintf(to, size, " · lag %.1f s", (double)(wr_clock_ms(r->clock) - watermark) / 1e3);
	if (wr_time_holder(r->job, holder, sizeof holder))
		snprintf(to + n, size - (size_t)n, " (held by %s)", holder);
}

/* " · kafka: no broker for 12.3 s (…)" of each stage that has something to say. */
static void remotes_text(const struct wr_report *r, uint64_t now_ns, char *to, size_t size)
{
	const struct wr_plan *p = wr_job_plan(r->job);
	struct wr_bytes out = WR_BYTES_EMPTY;
	struct wr_remote_view view;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t s = 0; s < p->vertices[v].stage_count; s++) {
			size_t begin = out.len, words;

			if (!wr_job_remote(r->job, v, s, &view))
				continue;
			wr_bytes_printf(&out, " · %s: ", p->vertices[v].stages[s].operators[0].name);
			words = out.len;
			wr_remote_text(&view, now_ns, &out);
			if (out.len == words)
				out.len = begin;
		}
	snprintf(to, size, "%.*s", (int)out.len, out.data ? (const char *)out.data : "");
	wr_bytes_deinit(&out);
}

void wr_report_tick(void *report, bool last)
{
	struct wr_report *r = report;
	uint64_t now = wr_clock_ns(r->clock);
	struct totals t;
	char a[16], b[16], c[16], lag[160], remotes[REMOTES_MAX], line[360 + REMOTES_MAX];
	double s = (double)(now - r->last_ns) / 1e9;

	if (r->explain_time && !last && now - r->explained_ns >= EXPLAIN_NS)
		explain_time(r, now, false);
	if (last || !r->live || s < LIVE_S)
		return;
	t = add_up(r);
	lag_text(r, t.watermark, lag, sizeof lag);
	remotes_text(r, now, remotes, sizeof remotes);
	snprintf(line, sizeof line, "%.0f s · %srecords in (%s/s) · out %s/s · back-pressured %.1f s%s%s",
		 (double)(now - r->start_ns) / 1e9, amount((double)t.in, a, sizeof a),
		 amount((double)(t.in - r->last_in) / s, b, sizeof b),
		 amount((double)(t.out - r->last_out) / s, c, sizeof c), (double)t.blocked_ns / 1e9, lag,
		 remotes);
	wr_log_set_live(line);
	r->last_ns = now;
	r->last_in = t.in;
	r->last_out = t.out;
}

/* ---- the summary ---- */

static void op_text(const struct op_sum *s)
{
	const int64_t *v = s->values;

	fprintf(stderr, "  %-28s %12lld in %12lld out", s->name, (long long)v[WR_OP_ROWS_IN],
		(long long)v[WR_OP_ROWS_OUT]);
	if (v[WR_OP_SKIPPED])
		fprintf(stderr, " %9lld skipped", (long long)v[WR_OP_SKIPPED]);
	if (v[WR_OP_LATE])
		fprintf(stderr, " %9lld late, %lld dropped", (long long)v[WR_OP_LATE],
			(long long)v[WR_OP_LATE_DROPPED]);
	if (v[WR_OP_NO_WINDOW])
		fprintf(stderr, " %9lld in no window", (long long)v[WR_OP_NO_WINDOW]);
	if (v[WR_OP_IN_FLIGHT_MAX])
		fprintf(stderr, " %9lld in flight at most", (long long)v[WR_OP_IN_FLIGHT_MAX]);
	fputc('\n', stderr);
}

static void op_json(const struct op_sum *s, bool first, struct wr_bytes *out)
{
	const int64_t *v = s->values;

	wr_bytes_printf(out, "%s{\"name\":", first ? "" : ",");
	wr_json_string(out, s->name, strlen(s->name));
	wr_bytes_printf(out,
			",\"in\":%lld,\"out\":%lld,\"skipped\":%lld,\"late\":%lld,\"late_dropped\":%lld,\"no_"
			"window\":%lld",
			(long long)v[WR_OP_ROWS_IN], (long long)v[WR_OP_ROWS_OUT],
			(long long)v[WR_OP_SKIPPED], (long long)v[WR_OP_LATE],
			(long long)v[WR_OP_LATE_DROPPED], (long long)v[WR_OP_NO_WINDOW]);
	if (v[WR_OP_IN_FLIGHT_MAX])
		wr_bytes_printf(out, ",\"in_flight\":%lld,\"in_flight_max\":%lld",
				(long long)v[WR_OP_IN_FLIGHT], (long long)v[WR_OP_IN_FLIGHT_MAX]);
	wr_bytes_printf(out, "}");
}

static void summary_json(struct wr_report *r, const struct totals *t, const char *status, double seconds)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	wr_bytes_printf(
	    &out,
	    "{\"status\":\"%s\",\"seconds\":%.3f,\"records_in\":%lld,\"records_out\":%lld,"
	    "\"skipped\":%lld,\"late\":%lld,\"late_dropped\":%lld,\"no_window\":%lld,\"bytes\":%lld,"
	    "\"restarts\":%u,\"back_pressured_seconds\":%.3f,\"resident_bytes_max\":%lld,\"operators\":[",
	    status, seconds, (long long)t->in, (long long)t->out, (long long)t->skipped, (long long)t->late,
	    (long long)t->late_dropped, (long long)t->no_window, (long long)t->bytes, r->restarts,
	    (double)t->blocked_ns / 1e9, (long long)wr_mem_resident_max());
	for (uint32_t i = 0; i < r->op_count; i++)
		op_json(&r->ops[i], i == 0, &out);
	wr_bytes_printf(&out, "],\"latencies\":[");
	pairs_json(r, &out);
	wr_bytes_printf(&out, "],\"tasks\":");
	wr_metrics_json(wr_job_metrics(r->job), r->clock, &out);
	if (r->memory) {
		wr_bytes_put_u8(&out, ',');
		wr_footprint_json(&out);
	}
	wr_bytes_printf(&out, "}\n");
	if (!out.failed)
		fwrite(out.data, 1, out.len, stderr);
	wr_bytes_deinit(&out);
}

static void summary_text(const struct wr_report *r, const struct totals *t, const char *status,
			 double seconds)
{
	char a[16], b[16];

	fprintf(stderr, "%s: %srecords in, %sout, %.3f s", status, amount((double)t->in, a, sizeof a),
		amount((double)t->out, b, sizeof b), seconds);
	fprintf(stderr, " (%s/s), %.1f MB peak memory",
		amount(seconds > 0 ? (double)t->in / seconds : 0, a, sizeof a),
		(double)wr_mem_resident_max() / 1e6);
	if (t->skipped)
		fprintf(stderr, ", %lld skipped", (long long)t->skipped);
	if (t->late)
		fprintf(stderr, ", %lld late (%lld dropped)", (long long)t->late, (long long)t->late_dropped);
	if (t->no_window)
		fprintf(stderr, ", %lld in no window", (long long)t->no_window);
	if (r->restarts)
		fprintf(stderr, ", since the last of %u restart%s", r->restarts, r->restarts == 1 ? "" : "s");
	if (t->blocked_ns)
		fprintf(stderr, ", back-pressured %.3f s", (double)t->blocked_ns / 1e9);
	fputc('\n', stderr);
	for (uint32_t i = 0; i < r->op_count; i++)
		op_text(&r->ops[i]);
	pairs_text(r);
	if (r->memory)
		wr_footprint_text();
}

void wr_report_end(struct wr_report *r, int rc)
{
	double s = (double)(wr_clock_ns(r->clock) - r->start_ns) / 1e9;
	struct totals t;

	if (!r->job)
		return;
	t = add_up(r);
	wr_metrics_each(wr_job_metrics(r->job), r->clock, add_pair, r);
	if (r->live)
		wr_log_set_live(NULL);
	if (r->json)
		summary_json(r, &t, rc < 0 ? "failed" : rc == WR_END ? "interrupted" : "done", s);
	else if (!r->quiet)
		summary_text(r, &t, rc < 0 ? "failed" : rc == WR_END ? "stopped" : "done", s);
	if (r->explain_time)
		explain_time(r, wr_clock_ns(r->clock), true);
}
