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
	int64_t in, out, skipped, blocked_ns, bytes;
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

/* Records in: what sources emitted; out: what entered sinks. */
static struct totals add_up(const struct wr_report *r)
{
	struct totals t = {0};

	for (uint32_t i = 0; i < wr_job_task_count(r->job); i++) {
		struct wr_task_stats s;

		wr_job_task_stats(r->job, i, &s);
		t.blocked_ns += s.blocked_ns;
		for (uint32_t k = 0; k < s.op_count; k++) {
			t.skipped += wr_metric_get(&s.ops[k].skipped);
			t.bytes += wr_metric_get(&s.ops[k].bytes_in);
			if (s.source && k == 0)
				t.in += wr_metric_get(&s.ops[k].rows_out);
			if (s.sink && k + 1 == s.op_count)
				t.out += wr_metric_get(&s.ops[k].rows_in);
		}
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

void wr_report_tick(void *report)
{
	struct wr_report *r = report;
	uint64_t now = wr_clock_ns(r->clock);
	struct totals t;
	char a[16], b[16], c[16], line[200];
	double s = (double)(now - r->last_ns) / 1e9;

	if (!r->live || s < 0.45)
		return;
	t = add_up(r);
	snprintf(line, sizeof line, "%.0f s · %srecords in (%s/s) · out %s/s · back-pressured %.1f s",
		 (double)(now - r->start_ns) / 1e9, amount((double)t.in, a, sizeof a),
		 amount((double)(t.in - r->last_in) / s, b, sizeof b),
		 amount((double)(t.out - r->last_out) / s, c, sizeof c), (double)t.blocked_ns / 1e9);
	wr_log_set_live(line);
	r->last_ns = now;
	r->last_in = t.in;
	r->last_out = t.out;
}

/* Sum of one operator over the subtasks that follow each other from task i on. */
struct op_sum {
	const struct wr_op_stats *op;
	int64_t in, out, skipped;
};

static void each_operator(const struct wr_report *r, void (*each)(const struct op_sum *s, bool first, void *arg),
			  void *arg)
{
	uint32_t n = wr_job_task_count(r->job);
	bool first = true;

	for (uint32_t i = 0; i < n;) {
		struct wr_task_stats s, next;
		uint32_t until = i + 1;

		wr_job_task_stats(r->job, i, &s);
		for (; until < n; until++) {
			wr_job_task_stats(r->job, until, &next);
			if (next.subtask == 0)
				break;
		}
		for (uint32_t k = 0; k < s.op_count; k++) {
			struct op_sum sum = {.op = &s.ops[k]};

			for (uint32_t at = i; at < until; at++) {
				wr_job_task_stats(r->job, at, &next);
				sum.in += wr_metric_get(&next.ops[k].rows_in);
				sum.out += wr_metric_get(&next.ops[k].rows_out);
				sum.skipped += wr_metric_get(&next.ops[k].skipped);
			}
			each(&sum, first, arg);
			first = false;
		}
		i = until;
	}
}

static void op_text(const struct op_sum *s, bool first, void *arg)
{
	(void)first, (void)arg;
	fprintf(stderr, "  %-28s %12lld in %12lld out", s->op->name, (long long)s->in, (long long)s->out);
	if (s->skipped)
		fprintf(stderr, " %9lld skipped", (long long)s->skipped);
	fputc('\n', stderr);
}

static void op_json(const struct op_sum *s, bool first, void *arg)
{
	struct wr_bytes *out = arg;

	wr_bytes_printf(out, "%s{\"name\":", first ? "" : ",");
	wr_json_string(out, s->op->name, strlen(s->op->name));
	wr_bytes_printf(out, ",\"in\":%lld,\"out\":%lld,\"skipped\":%lld}", (long long)s->in, (long long)s->out,
			(long long)s->skipped);
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

		wr_bytes_printf(&out,
				"{\"status\":\"%s\",\"seconds\":%.3f,\"records_in\":%lld,\"records_out\":%lld,"
				"\"skipped\":%lld,\"bytes\":%lld,\"back_pressured_seconds\":%.3f,"
				"\"resident_bytes_max\":%lld,\"operators\":[",
				rc < 0 ? "failed" : rc == WR_END ? "interrupted" : "done", s, (long long)t.in,
				(long long)t.out, (long long)t.skipped, (long long)t.bytes,
				(double)t.blocked_ns / 1e9, (long long)wr_mem_resident_max());
		each_operator(r, op_json, &out);
		wr_bytes_printf(&out, "]}\n");
		if (!out.failed)
			fwrite(out.data, 1, out.len, stderr);
		wr_bytes_deinit(&out);
	} else if (!r->quiet) {
		fprintf(stderr, "%s: %srecords in, %sout, %.3f s", rc < 0 ? "failed" : rc == WR_END ? "stopped" : "done",
			amount((double)t.in, a, sizeof a), amount((double)t.out, b, sizeof b), s);
		fprintf(stderr, " (%s/s), %.1f MB peak memory", amount(s > 0 ? (double)t.in / s : 0, a, sizeof a),
			(double)wr_mem_resident_max() / 1e6);
		if (t.skipped)
			fprintf(stderr, ", %lld skipped", (long long)t.skipped);
		if (t.blocked_ns)
			fprintf(stderr, ", back-pressured %.3f s", (double)t.blocked_ns / 1e9);
		fputc('\n', stderr);
		each_operator(r, op_text, NULL);
	}
}
