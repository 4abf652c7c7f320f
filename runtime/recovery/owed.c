/* SPDX-License-Identifier: Apache-2.0 */
/* owed: see owed.h. */
#include "recovery/owed.h"

#include <inttypes.h>
#include "base/bytes.h"

static void put_argument(struct wr_bytes *out, const char *text)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./,:+@%";

	wr_bytes_put_u8(out, ' ');
	if (*text && text[strspn(text, plain)] == 0) {
		wr_bytes_put(out, text, strlen(text));
		return;
	}
	wr_bytes_put_u8(out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			wr_bytes_printf(out, "'\\''");
		else
			wr_bytes_put_u8(out, (uint8_t)*text);
	wr_bytes_put_u8(out, '\'');
}

void wr_owed_command(struct wr_bytes *out, const char *dir, const char *script, const char *const *args,
		     int count)
{
	wr_bytes_printf(out, "weir run");
	if (dir) {
		wr_bytes_printf(out, " --dir");
		put_argument(out, dir);
	}
	put_argument(out, script);
	for (int i = 0; i < count; i++)
		put_argument(out, args[i]);
	wr_bytes_put_u8(out, 0);
}

static bool all_open(const struct wr_job *j)
{
	const struct wr_plan *p = wr_job_plan(j);

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			if (!wr_task_is_open(wr_job_task(j, v, i)))
				return false;
	return true;
}

/* All subtasks of a stage together, and why the first of them that knows owes it. */
static bool add_up(const struct wr_job *j, uint32_t vertex, uint32_t stage, struct wr_owed *sum)
{
	*sum = (struct wr_owed){.first = UINT64_MAX, .why = ""};
	for (uint32_t i = 0; i < wr_job_plan(j)->vertices[vertex].parallelism; i++) {
		const struct wr_stage *s = wr_task_stage(wr_job_task(j, vertex, i), stage);
		struct wr_owed one;

		if (!s->ops->owes || !s->ops->owes(s, &one))
			continue;
		sum->rows += one.rows;
		sum->bytes += one.bytes;
		sum->first = one.first < sum->first ? one.first : sum->first;
		sum->last = one.last > sum->last ? one.last : sum->last;
		if (!*sum->why)
			sum->why = one.why;
	}
	return sum->rows > 0;
}

static void put_sink(const char *uid, const struct wr_owed *o, bool reason, struct wr_bytes *out)
{
	wr_bytes_printf(out, "%s%" PRIu64 " row%s (%" PRIu64 " bytes as logged) of epoch",
			out->len ? ", " : "", o->rows, o->rows == 1 ? "" : "s", o->bytes);
	if (o->first == o->last)
		wr_bytes_printf(out, " %" PRIu64, o->last);
	else
		wr_bytes_printf(out, "s %" PRIu64 " to %" PRIu64, o->first, o->last);
	wr_bytes_printf(out, " of sink \"%s\" %s not committed, and so not visible", uid,
			o->rows == 1 ? "is" : "are");
	if (reason && *o->why)
		wr_bytes_printf(out, " (%s)", o->why);
}

void wr_owed_note(const struct wr_job *j, const struct wr_owed_way *w, struct wr_bytes *out)
{
	const struct wr_plan *p = wr_job_plan(j);
	struct wr_owed sum;

	if (!all_open(j))
		return;
	out->len = 0;
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			if (add_up(j, v, i, &sum))
				put_sink(wr_task_stage(wr_job_task(j, v, 0), i)->ops_stats[0].uid, &sum,
					 w->reasons, out);
	if (!out->len)
		return;
	if (w->folder)
		wr_bytes_printf(out,
				": they are kept in the epoch log of the checkpoint %s/chk-%" PRIu64
				", and `%s` commits them",
				w->folder, w->checkpoint, w->command);
	else
		wr_bytes_printf(out, ": the job takes no checkpoints, and so they are lost; with --dir they "
				     "would be kept");
	wr_bytes_put_u8(out, 0);
	if (out->failed)
		out->len = 0;
}
