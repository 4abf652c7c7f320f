/* SPDX-License-Identifier: Apache-2.0 */
/* report: live line and summary. */
#include "cluster/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "base/log.h"

static struct wr_mem mem = WR_MEM_INIT("cluster.report");

struct wr_report {
	struct wr_clock *clock;
	struct wr_job *job;
	bool live, json, quiet;
	uint64_t start_ns, last_ns;
	int64_t last_in, last_out;
};

struct totals {
	int64_t in, out, skipped, late, late_dropped, blocked_ns, bytes;
	int64_t watermark; /* the lowest; WR_TS_NONE or WR_TS_MAX: there is none */
};

struct wr_report *wr_report_new(const struct wr_config *c, struct wr_clock *clock)
{
	struct wr_report *r = wr_zalloc(&mem, sizeof *r);

	if (!r)
		return NULL;
	r->clock = clock;
	r->json = wr_config_bool(c, "json");
	r->quiet = wr_config_bool(c, "quiet");
	r->live = !r->quiet && !r->json && isatty(STDERR_FILENO);
	r->start_ns = r->last_ns = wr_clock_ns(clock);
	return r;
}

void wr_report_free(struct wr_report *r)
{
	wr_free(&mem, r);
}

void wr_report_watch(struct wr_report *r, struct wr_job *j)
{
	r->job = j;
}

/* One operator, summed over its subtasks. */
struct op_sum {
	const char *name;
	int64_t in, out, bytes_in, bytes_out, skipped, late, late_dropped;
	bool source, sink;
};

static struct op_sum op_sum(const struct wr_job *j, uint32_t vertex, uint32_t stage, uint32_t op)
{
	const struct wr_plan_vertex *v = &wr_job_plan(j)->vertices[vertex];
	const struct wr_plan_stage *s = &v->stages[stage];
	struct op_sum sum = {.name = s->operators[op].name,
			     .source = !v->inputs && stage == 0 && op == 0,
			     .sink = s->out_count == 0};

	for (uint32_t i = 0; i < v->parallelism; i++) {
		const struct wr_op_stats *o = &wr_task_stage(wr_job_task(j, vertex, i), stage)->ops_stats[op];

		sum.in += wr_metric_get(&o->rows_in);
		sum.out += wr_metric_get(&o->rows_out);
		sum.bytes_in += wr_metric_get(&o->bytes_in);
		sum.bytes_out += wr_metric_get(&o->bytes_out);
		sum.skipped += wr_metric_get(&o->skipped);
		sum.late += wr_metric_get(&o->late);
		sum.late_dropped += wr_metric_get(&o->late_dropped);
	}
	return sum;
}

static void each_operator(const struct wr_report *r,
			  void (*each)(const struct op_sum *s, bool first, void *arg), void *arg)
{
	const struct wr_plan *p = wr_job_plan(r->job);
	bool first = true;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t s = 0; s < p->vertices[v].stage_count; s++)
			for (uint32_t k = 0; k < p->vertices[v].stages[s].operator_count; k++) {
				struct op_sum sum = op_sum(r->job, v, s, k);

				each(&sum, first, arg);
				first = false;
			}
}

static void add_operator(const struct op_sum *s, bool first, void *arg)
{
	struct totals *t = arg;

	(void)first;
	t->skipped += s->skipped;
	t->late += s->late;
	t->late_dropped += s->late_dropped;
	if (s->source) {
		t->in += s->out;
		t->bytes += s->bytes_out;
	}
	if (s->sink)
		t->out += s->in;
}

/* Records in: what sources emitted; out: what entered sinks. */
static struct totals add_up(const struct wr_report *r)
{
	const struct wr_plan *p = wr_job_plan(r->job);
	struct totals t = {.watermark = WR_TS_MAX};

	each_operator(r, add_operator, &t);
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++) {
			const struct wr_task_stats *s = wr_task_stats(wr_job_task(r->job, v, i));
			int64_t watermark = wr_metric_get(&s->watermark);

			t.blocked_ns += wr_metric_get(&s->blocked_ns);
			if (watermark != WR_TS_NONE && watermark < t.watermark)
				t.watermark = watermark;
		}
	return t;
}

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

void wr_report_tick(void *report, bool last)
{
	struct wr_report *r = report;
	uint64_t now = wr_clock_ns(r->clock);
	struct totals t;
	char a[16], b[16], c[16], lag[48] = "", line[250];
	double s = (double)(now - r->last_ns) / 1e9;

	if (last || !r->live || s < 0.45)
		return;
	t = add_up(r);
	if (t.watermark != WR_TS_MAX)
		snprintf(lag, sizeof lag, " · lag %.1f s",
			 (double)(wr_clock_ms(r->clock) - t.watermark) / 1e3);
	snprintf(line, sizeof line, "%.0f s · %srecords in (%s/s) · out %s/s · back-pressured %.1f s%s",
		 (double)(now - r->start_ns) / 1e9, amount((double)t.in, a, sizeof a),
		 amount((double)(t.in - r->last_in) / s, b, sizeof b),
		 amount((double)(t.out - r->last_out) / s, c, sizeof c), (double)t.blocked_ns / 1e9, lag);
	wr_log_set_live(line);
	r->last_ns = now;
	r->last_in = t.in;
	r->last_out = t.out;
}

static void op_text(const struct op_sum *s, bool first, void *arg)
{
	(void)first, (void)arg;
	fprintf(stderr, "  %-28s %12lld in %12lld out", s->name, (long long)s->in, (long long)s->out);
	if (s->skipped)
		fprintf(stderr, " %9lld skipped", (long long)s->skipped);
	if (s->late)
		fprintf(stderr, " %9lld late, %lld dropped", (long long)s->late, (long long)s->late_dropped);
	fputc('\n', stderr);
}

static void op_json(const struct op_sum *s, bool first, void *arg)
{
	struct wr_bytes *out = arg;

	wr_bytes_printf(out, "%s{\"name\":", first ? "" : ",");
	wr_json_string(out, s->name, strlen(s->name));
	wr_bytes_printf(out,
			",\"in\":%lld,\"out\":%lld,\"skipped\":%lld,\"late\":%lld,\"late_dropped\":%lld}",
			(long long)s->in, (long long)s->out, (long long)s->skipped, (long long)s->late,
			(long long)s->late_dropped);
}

/* What the writers of a task say together. */
static void task_writers_json(const struct wr_task *t, struct wr_bytes *out)
{
	struct wr_writer_stats sum = {0}, w;

	for (uint32_t i = 0; i < wr_task_writer_count(t); i++) {
		wr_writer_stats(wr_task_writer(t, i), &w);
		sum.buffers += w.buffers;
		sum.pool.limit += w.pool.limit;
		sum.pool.in_use += w.pool.in_use;
		sum.pool.overdrafts += w.pool.overdrafts;
		if (w.queued_max > sum.queued_max)
			sum.queued_max = w.queued_max;
	}
	wr_bytes_printf(out,
			"\"buffers_out\":%lld,\"pool_buffers\":%u,\"pool_buffers_in_use\":%u,"
			"\"pool_overdrafts\":%lld,\"queued_buffers\":%u",
			(long long)sum.buffers, sum.pool.limit, sum.pool.in_use,
			(long long)sum.pool.overdrafts, sum.queued_max);
}

static void tasks_json(const struct wr_report *r, struct wr_bytes *out)
{
	const struct wr_plan *p = wr_job_plan(r->job);
	bool first = true;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++) {
			const struct wr_task *t = wr_job_task(r->job, v, i);
			const struct wr_task_stats *s = wr_task_stats(t);
			int64_t watermark = wr_metric_get(&s->watermark);

			wr_bytes_printf(out, "%s{\"name\":", first ? "" : ",");
			wr_json_string(out, p->vertices[v].name, strlen(p->vertices[v].name));
			wr_bytes_printf(out,
					",\"subtask\":%u,\"steps\":%lld,\"busy_ms\":%.3f,"
					"\"back_pressured_ms\":%.3f,\"buffers_in\":%lld,",
					i, (long long)wr_metric_get(&s->steps),
					(double)wr_metric_get(&s->busy_ns) / 1e6,
					(double)wr_metric_get(&s->blocked_ns) / 1e6,
					(long long)wr_metric_get(&s->buffers_in));
			if (watermark != WR_TS_NONE && watermark != WR_TS_MAX)
				wr_bytes_printf(out, "\"watermark\":%lld,", (long long)watermark);
			task_writers_json(t, out);
			wr_bytes_put_u8(out, '}');
			first = false;
		}
}

void wr_report_end(struct wr_report *r, int rc)
{
	double s = (double)(wr_clock_ns(r->clock) - r->start_ns) / 1e9;
	struct totals t = add_up(r);
	char a[16], b[16];

	if (r->live)
		wr_log_set_live(NULL);
	if (r->json) {
		struct wr_bytes out = WR_BYTES_EMPTY;

		wr_bytes_printf(
		    &out,
		    "{\"status\":\"%s\",\"seconds\":%.3f,\"records_in\":%lld,\"records_out\":%lld,"
		    "\"skipped\":%lld,\"late\":%lld,\"late_dropped\":%lld,\"bytes\":%lld,\"back_pressured_"
		    "seconds\":%.3f,"
		    "\"resident_bytes_max\":%lld,\"operators\":[",
		    rc < 0	   ? "failed"
		    : rc == WR_END ? "interrupted"
				   : "done",
		    s, (long long)t.in, (long long)t.out, (long long)t.skipped, (long long)t.late,
		    (long long)t.late_dropped, (long long)t.bytes, (double)t.blocked_ns / 1e9,
		    (long long)wr_mem_resident_max());
		each_operator(r, op_json, &out);
		wr_bytes_printf(&out, "],\"tasks\":[");
		tasks_json(r, &out);
		wr_bytes_printf(&out, "]}\n");
		if (!out.failed)
			fwrite(out.data, 1, out.len, stderr);
		wr_bytes_deinit(&out);
	} else if (!r->quiet) {
		fprintf(stderr, "%s: %srecords in, %sout, %.3f s",
			rc < 0	       ? "failed"
			: rc == WR_END ? "stopped"
				       : "done",
			amount((double)t.in, a, sizeof a), amount((double)t.out, b, sizeof b), s);
		fprintf(stderr, " (%s/s), %.1f MB peak memory",
			amount(s > 0 ? (double)t.in / s : 0, a, sizeof a),
			(double)wr_mem_resident_max() / 1e6);
		if (t.skipped)
			fprintf(stderr, ", %lld skipped", (long long)t.skipped);
		if (t.late)
			fprintf(stderr, ", %lld late (%lld dropped)", (long long)t.late,
				(long long)t.late_dropped);
		if (t.blocked_ns)
			fprintf(stderr, ", back-pressured %.3f s", (double)t.blocked_ns / 1e9);
		fputc('\n', stderr);
		each_operator(r, op_text, NULL);
	}
}
