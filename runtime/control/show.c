/* SPDX-License-Identifier: Apache-2.0 */
/* show: see show.h. Fields that an older or newer job does not tell are left out. */
#include "control/show.h"

#include <stdio.h>
#include <string.h>
#include "stream/remote.h"

enum { COLUMNS_MAX = 12, GAP = 2 };

/* ---- numbers ---- */

const char *wr_show_seconds(double s, char to[WR_SHOW])
{
	int64_t whole = (int64_t)s;

	if (s < 0.1)
		snprintf(to, WR_SHOW, "%.1f ms", s * 1e3);
	else if (s < 60)
		snprintf(to, WR_SHOW, "%.1f s", s);
	else if (whole < 3600)
		snprintf(to, WR_SHOW, "%d m %d s", (int)(whole / 60), (int)(whole % 60));
	else if (whole < 86400)
		snprintf(to, WR_SHOW, "%d h %d m", (int)(whole / 3600), (int)(whole / 60 % 60));
	else
		snprintf(to, WR_SHOW, "%d d %d h", (int)(whole / 86400), (int)(whole / 3600 % 24));
	return to;
}

static const char *scaled(double v, double step, const char *const *units, char to[WR_SHOW])
{
	int i = 0;

	while (v >= step && units[i + 1]) {
		v /= step;
		i++;
	}
	snprintf(to, WR_SHOW, i && v < 100 ? "%.1f%s" : "%.0f%s", v, units[i]);
	return to;
}

const char *wr_show_bytes(double bytes, char to[WR_SHOW])
{
	static const char *const units[] = {" B", " kB", " MB", " GB", " TB", NULL};

	return scaled(bytes, 1000, units, to);
}

const char *wr_show_amount(double n, char to[WR_SHOW])
{
	static const char *const units[] = {"", " k", " M", " G", NULL};

	return scaled(n, 1000, units, to);
}

/* ---- what was said: a value of another type counts as not said ---- */

static double number(const struct wr_value *v, const char *name)
{
	const struct wr_value *field = wr_value_get(v, name);

	if (!field)
		return 0;
	return field->tag == WR_V_F64 ? field->f64 : field->tag == WR_V_I64 ? (double)field->i64 : 0;
}

static bool has(const struct wr_value *v, const char *name, enum wr_tag tag)
{
	const struct wr_value *field = wr_value_get(v, name);

	return field && field->tag == tag;
}

static const char *text(const struct wr_value *v, const char *name)
{
	return has(v, name, WR_V_STR) ? wr_value_get(v, name)->str.p : "";
}

static const struct wr_value *list(const struct wr_value *v, const char *name, uint32_t *count)
{
	const struct wr_value *field = has(v, name, WR_V_LIST) ? wr_value_get(v, name) : NULL;

	*count = field ? field->count : 0;
	return field ? field->items : NULL;
}

/* ---- a table ---- */

struct grid {
	struct wr_bytes cells; /* one after another, each with a zero behind it */
	uint32_t columns, at;
	uint32_t width[COLUMNS_MAX];
	bool left[COLUMNS_MAX];
};

static uint32_t width_of(const char *s)
{
	uint32_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void cell(struct grid *g, const char *s)
{
	uint32_t n = width_of(s), column = g->at++ % g->columns;

	wr_bytes_put(&g->cells, s, strlen(s) + 1);
	if (n > g->width[column])
		g->width[column] = n;
}

static void cells(struct grid *g, const char *const *s)
{
	for (uint32_t i = 0; i < g->columns; i++)
		cell(g, s[i]);
}

static void grid_write(struct grid *g, struct wr_bytes *out)
{
	const char *p = (const char *)g->cells.data;

	for (uint32_t i = 0; i < g->at && !g->cells.failed; i++, p += strlen(p) + 1) {
		uint32_t column = i % g->columns, pad = g->width[column] - width_of(p);
		bool last = column + 1 == g->columns;

		if (g->left[column])
			wr_bytes_printf(out, "%s%*s", p, last ? 0 : (int)(pad + GAP), "");
		else
			wr_bytes_printf(out, "%*s%s%*s", (int)pad, "", p, last ? 0 : GAP, "");
		if (last)
			wr_bytes_put_u8(out, '\n');
	}
	out->failed |= g->cells.failed;
	wr_bytes_deinit(&g->cells);
}

/* ---- list ---- */

static void list_line(struct wr_bytes *out, const char *const s[5])
{
	wr_bytes_printf(out, "%-28s  %-10s  %10s  %10s  %s\n", s[0], s[1], s[2], s[3], s[4]);
}

void wr_show_list_head(struct wr_bytes *out)
{
	list_line(out, (const char *const[]){"JOB", "STATUS", "RUNNING", "CHECKPOINT", "SCRIPT"});
}

void wr_show_list_line(const struct wr_value *info, struct wr_bytes *out)
{
	const struct wr_value *last = wr_value_get(info, "last_checkpoint");
	char up[WR_SHOW], checkpoint[WR_SHOW] = "-";

	if (last)
		snprintf(checkpoint, sizeof checkpoint, "%.0f", number(last, "checkpoint"));
	list_line(out, (const char *const[]){text(info, "id"), text(info, "status"),
					     wr_show_seconds(number(info, "seconds"), up), checkpoint,
					     text(info, "script")});
}

/* ---- info ---- */

const char *wr_show_unaligned(const struct wr_value *checkpoint, char to[WR_SHOW])
{
	const struct wr_value *unaligned = wr_value_get(checkpoint, "unaligned");
	char bytes[WR_SHOW];

	if (!unaligned || unaligned->tag != WR_V_TRUE)
		return "";
	snprintf(to, WR_SHOW, ", %.10s of rows under way",
		 wr_show_bytes(number(checkpoint, "in_flight_bytes"), bytes));
	return to;
}

/* "12, 3.4 s ago, 1.2 MB in 12.0 ms" */
static void checkpoint_text(const struct wr_value *info, struct wr_bytes *out)
{
	const struct wr_value *last = wr_value_get(info, "last_checkpoint");
	char age[WR_SHOW], bytes[WR_SHOW], took[WR_SHOW], under_way[WR_SHOW];

	if (!last)
		wr_bytes_printf(out, "none");
	else if (!wr_value_get(last, "age_seconds"))
		wr_bytes_printf(out, "%.0f, where it began", number(last, "checkpoint"));
	else
		wr_bytes_printf(out, "%.0f, %s ago, %s in %s%s", number(last, "checkpoint"),
				wr_show_seconds(number(last, "age_seconds"), age),
				wr_show_bytes(number(last, "bytes"), bytes),
				wr_show_seconds(number(last, "seconds"), took),
				wr_show_unaligned(last, under_way));
}

static void totals(const struct wr_value *info, struct wr_bytes *out)
{
	static const char *const head[] = {"OPERATOR", "SUBTASKS", "IN", "OUT", "SKIPPED", "LATE"};
	struct grid g = {.columns = sizeof head / sizeof *head, .left = {true}};
	uint32_t task_count, op_count;
	const struct wr_value *tasks = list(info, "tasks", &task_count);

	cells(&g, head);
	for (uint32_t i = 0; i < task_count; i++) {
		const struct wr_value *ops = list(&tasks[i], "operators", &op_count);

		for (uint32_t k = 0; k < op_count; k++) {
			static const char *const fields[] = {"rows_in", "rows_out", "skipped", "late"};
			char s[WR_SHOW];

			cell(&g, text(&ops[k], "name"));
			snprintf(s, sizeof s, "%.0f", number(&tasks[i], "subtasks"));
			cell(&g, s);
			for (int f = 0; f < 4; f++) {
				snprintf(s, sizeof s, "%.0f", number(&ops[k], fields[f]));
				cell(&g, s);
			}
		}
	}
	grid_write(&g, out);
}

/* How it stands with the servers of an operator, as a line where there is something to say. */
static void remote_line(const struct wr_value *op, struct wr_bytes *out)
{
	const struct wr_value *remote = wr_value_get(op, "remote");
	struct wr_bytes words = WR_BYTES_EMPTY;
	struct wr_remote_view v = {0};
	uint64_t down_ns;

	if (!remote)
		return;
	v.splits = (uint32_t)number(remote, "splits");
	v.held = (uint32_t)number(remote, "splits_held");
	v.lag = (uint64_t)number(remote, "lag");
	v.lag_max = (uint64_t)number(remote, "lag_max");
	v.errors = (uint64_t)number(remote, "connection_errors");
	snprintf(v.lag_of, sizeof v.lag_of, "%s", text(remote, "lag_of"));
	snprintf(v.error, sizeof v.error, "%s", text(remote, "last_error"));
	down_ns = (uint64_t)(number(remote, "unreachable_ms") * 1e6);
	v.down_ns = down_ns ? 1 : 0;
	wr_remote_text(&v, down_ns + 1, &words);
	if (words.len && !words.failed)
		wr_bytes_printf(out, "%s: %.*s\n", text(op, "name"), (int)words.len,
				(const char *)words.data);
	out->failed |= words.failed;
	wr_bytes_deinit(&words);
}

static void remotes(const struct wr_value *info, struct wr_bytes *out)
{
	uint32_t task_count, op_count;
	const struct wr_value *tasks = list(info, "tasks", &task_count);

	for (uint32_t i = 0; i < task_count; i++) {
		const struct wr_value *ops = list(&tasks[i], "operators", &op_count);

		for (uint32_t k = 0; k < op_count; k++)
			remote_line(&ops[k], out);
	}
}

void wr_show_info(const struct wr_value *info, struct wr_bytes *out)
{
	char up[WR_SHOW];

	wr_bytes_printf(out, "%s: job \"%s\", process %.0f, %s for %s", text(info, "id"), text(info, "name"),
			number(info, "pid"), text(info, "status"),
			wr_show_seconds(number(info, "seconds"), up));
	if (number(info, "restarts") > 0)
		wr_bytes_printf(out, ", run again %.0f times", number(info, "restarts"));
	wr_bytes_printf(out, "\nscript      %s\nstate       %s\ncheckpoint  ", text(info, "script"),
			has(info, "dir", WR_V_STR)
			    ? text(info, "dir")
			    : "none: it was started without --dir, or in checkpoint mode none");
	checkpoint_text(info, out);
	wr_bytes_printf(out, "\n\n");
	totals(info, out);
	remotes(info, out);
}

/* ---- top ---- */

static const char *share(const struct wr_value *before, const struct wr_value *now, const char *field,
			 double ns, char to[WR_SHOW])
{
	double all = ns * number(now, "subtasks");
	double part = all > 0 ? (number(now, field) - number(before, field)) / all : 0;

	part = part < 0 ? 0 : part > 1 ? 1 : part;
	snprintf(to, WR_SHOW, "%.0f %%", part * 100);
	return to;
}

static const char *rate(const struct wr_value *before, const struct wr_value *now, const char *field,
			double ns, char to[WR_SHOW])
{
	double n = number(now, field) - number(before, field);

	return wr_show_amount(ns > 0 && n > 0 ? n / ns * 1e9 : 0, to);
}

static const char *lag(const struct wr_value *task, char to[WR_SHOW])
{
	double ms = number(task, "watermark_lag_ms");
	char ahead[WR_SHOW];

	if (!has(task, "watermark_lag_ms", WR_V_F64))
		return "-";
	if (ms >= 0)
		return wr_show_seconds(ms / 1e3, to);
	snprintf(to, WR_SHOW, "-%.30s", wr_show_seconds(-ms / 1e3, ahead));
	return to;
}

static void top_task(struct grid *g, const struct wr_value *before, const struct wr_value *now, double ns)
{
	uint32_t count, count_before;
	const struct wr_value *ops = list(now, "operators", &count);
	const struct wr_value *were = list(before, "operators", &count_before);
	char s[WR_SHOW];

	for (uint32_t k = 0; k < count; k++) {
		const struct wr_value *was = k < count_before ? &were[k] : NULL;

		cell(g, text(&ops[k], "name"));
		snprintf(s, sizeof s, "%.0f", number(now, "subtasks"));
		cell(g, s);
		cell(g, rate(was, &ops[k], "rows_in", ns, s));
		cell(g, rate(was, &ops[k], "rows_out", ns, s));
		cell(g, k ? "" : share(before, now, "busy_ns", ns, s));
		cell(g, k ? "" : share(before, now, "back_pressured_ns", ns, s));
		snprintf(s, sizeof s, "%.0f", number(now, "queued_buffers"));
		cell(g, k ? "" : s);
		cell(g, k ? "" : lag(now, s));
	}
}

void wr_show_top(const struct wr_value *before, const struct wr_value *now, struct wr_bytes *out)
{
	static const char *const head[] = {"OPERATOR", "SUBTASKS",	"IN/s",	  "OUT/s",
					   "BUSY",     "BACK-PRESSURE", "QUEUED", "LAG"};
	struct grid g = {.columns = sizeof head / sizeof *head, .left = {true}};
	uint32_t count, count_before;
	const struct wr_value *tasks = list(now, "tasks", &count);
	const struct wr_value *were = list(before, "tasks", &count_before);
	double ns = number(now, "steady_ns") - number(before, "steady_ns");
	char up[WR_SHOW];

	wr_bytes_printf(out, "%s %s for %s, checkpoint ", text(now, "id"), text(now, "status"),
			wr_show_seconds(number(now, "seconds"), up));
	checkpoint_text(now, out);
	wr_bytes_put_u8(out, '\n');
	cells(&g, head);
	for (uint32_t i = 0; i < count; i++)
		top_task(&g, i < count_before ? &were[i] : NULL, &tasks[i], ns);
	grid_write(&g, out);
	remotes(now, out);
}
