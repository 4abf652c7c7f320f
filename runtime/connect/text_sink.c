/* SPDX-License-Identifier: Apache-2.0 */
/* text_sink: the sinks that write rows as lines of text: print (stdout), file, tcp_sink. Rows
 * are made lines on the task's thread and written by an I/O thread (stream/outlet.h).
 *
 * print: to standard output, which all subtasks share, so its lock is the only global of its
 *   kind here. When nobody reads any more (weir run … | head), the stage answers WR_END: the
 *   job ends in order and without an error, with checkpoints behind a last one.
 * file: one plain file a subtask: `path`, or `path`.<subtask> where there are several; made
 *   anew, unless `append`, and on the disk when the job has ended.
 * tcp_sink: one connection a subtask to `host`, `port` (retries: stream/dial.h), made by the
 *   I/O thread at the first row; a lost one is an error of the job.
 * All: format = "json" | "raw" = "lines" | "csv" | "table" (format/row_text.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "connect/kinds.h"
#include "format/csv_writer.h"
#include "format/row_text.h"
#include "format/table.h"
#include "stream/dial.h"
#include "stream/outlet.h"

struct text_sink {
	struct wr_outlet *outlet;
	enum wr_text_format format;
	struct wr_table table;
	struct wr_csv_writer *csv;
	struct wr_dial dial; /* tcp_sink only */
	char name[4200];     /* of the target, for messages */
};

static struct wr_mem sink_mem = WR_MEM_INIT("connect.text_sink");

/* Makes s->state with the format of the options. NULL with the error set. */
static struct text_sink *sink_new(struct wr_stage *s)
{
	struct text_sink *t = s->state = wr_zalloc(&sink_mem, sizeof *t);

	if (!t || wr_text_format(wr_value_str(s->options, "format", "json"), &t->format) != WR_OK)
		return NULL;
	if (t->format != WR_TEXT_CSV)
		return t;
	t->csv = wr_csv_writer_new(s->options);
	return t->csv ? t : NULL;
}

/* Opens the outlet; io, clock, wake and name are filled in here. */
static int sink_start(struct wr_stage *s, const struct wr_outlet_options *o)
{
	struct text_sink *t = s->state;
	struct wr_outlet_options all = *o;

	all.io = s->env->io;
	all.clock = s->env->clock;
	all.wake = s->env->wake;
	all.name = t->name;
	t->outlet = wr_outlet_new(&all);
	return t->outlet ? WR_OK : WR_EFATAL;
}

/* CSV has columns, which a row may not fit. */
static int put_csv(struct wr_stage *s, struct text_sink *t, const struct wr_elem *row, struct wr_bytes *block)
{
	int rc = wr_csv_writer_row(t->csv, row, block);

	if (rc != WR_EUSER)
		return rc;
	return wr_stage_bad_row(s, 0, row, NULL, 0, t->name, wr_error_text(), rc);
}

/* Writes one row, or for a table all rows of a kind that follow one another. */
static int put_some(struct wr_stage *s, struct text_sink *t, struct wr_rows *rows, struct wr_bytes *block)
{
	const struct wr_elem *row = (const struct wr_elem *)rows->p;

	if (t->format == WR_TEXT_TABLE)
		return wr_table_rows(&t->table, &rows->p, rows->end, block);
	rows->p += row->len;
	if (t->format == WR_TEXT_CSV)
		return put_csv(s, t, row, block);
	wr_row_text(row, t->format, block);
	return WR_OK;
}

static int sink_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct text_sink *t = s->state;
	int rc = WR_OK;

	while (rows->p < rows->end && rc == WR_OK) {
		struct wr_bytes *block;

		rc = wr_outlet_block(t->outlet, &block);
		if (rc == WR_OK)
			rc = put_some(s, t, rows, block);
		if (rc == WR_OK)
			rc = wr_outlet_added(t->outlet);
	}
	return rc == WR_OK ? wr_outlet_flush(t->outlet) : rc;
}

static int sink_end(struct wr_stage *s)
{
	struct text_sink *t = s->state;
	int rc = wr_outlet_drain(t->outlet);

	return rc == WR_END ? WR_OK : rc;
}

static void sink_free(struct wr_stage *s)
{
	struct text_sink *t = s->state;

	if (!t)
		return;
	wr_outlet_free(t->outlet);
	wr_table_deinit(&t->table);
	wr_csv_writer_free(t->csv);
	wr_free(&sink_mem, t);
	s->state = NULL;
}

/* ---- print ---- */

static struct wr_outlet_shared stdout_shared = WR_OUTLET_SHARED_INIT;

static int print_open(struct wr_stage *s)
{
	struct text_sink *t = sink_new(s);
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (!t)
		return wr_error_code();
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return wr_error_set(WR_EUSER, "cannot write standard output: it is closed");
	snprintf(t->name, sizeof t->name, "standard output");
	return sink_start(
	    s, &(struct wr_outlet_options){.fd = STDOUT_FILENO, .shared = &stdout_shared, .pipe = true});
}

const struct wr_stage_ops wr_print_ops = {.kind = "print",
					  .open = print_open,
					  .rows = sink_rows,
					  .end = sink_end,
					  .flush = sink_end,
					  .free = sink_free};

/* ---- file ---- */

static int file_open(struct wr_stage *s)
{
	struct text_sink *t = sink_new(s);
	const char *path = wr_value_str(s->options, "path", "");
	int mode = wr_value_bool(s->options, "append", false) ? O_APPEND : O_TRUNC, fd, rc;

	if (!t)
		return wr_error_code();
	if (s->env->parallelism > 1)
		snprintf(t->name, sizeof t->name, "%s.%u", path, s->env->subtask);
	else
		snprintf(t->name, sizeof t->name, "%s", path);
	fd = WR_FAULT("file.open", &errno) ? -1 : open(t->name, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0666);
	if (fd < 0)
		return wr_error_set(WR_EUSER, "cannot write %s: %s", t->name, strerror(errno));
	rc = sink_start(s, &(struct wr_outlet_options){.fd = fd, .close = true, .sync = true});
	if (rc != WR_OK)
		close(fd);
	return rc;
}

const struct wr_stage_ops wr_file_sink_ops = {.kind = "file",
					      .open = file_open,
					      .rows = sink_rows,
					      .end = sink_end,
					      .flush = sink_end,
					      .free = sink_free};

/* ---- tcp ---- */

static int tcp_open(struct wr_stage *s)
{
	struct text_sink *t = sink_new(s);

	if (!t)
		return wr_error_code();
	wr_dial_init(&t->dial, s->options);
	snprintf(t->name, sizeof t->name, "%s:%s", t->dial.host, t->dial.port);
	return sink_start(
	    s, &(struct wr_outlet_options){.fd = -1, .dial = wr_dial, .dial_arg = &t->dial, .close = true});
}

const struct wr_stage_ops wr_tcp_sink_ops = {.kind = "tcp_sink",
					     .open = tcp_open,
					     .rows = sink_rows,
					     .end = sink_end,
					     .flush = sink_end,
					     .free = sink_free};
