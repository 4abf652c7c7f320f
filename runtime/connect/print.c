/* SPDX-License-Identifier: Apache-2.0 */
/* print: rows as lines on standard output. Formats on the task's thread, writes on an I/O
 * thread (connect/outlet.h). Options: format = "json" | "raw" | "table" (connect/rowtext.h).
 *
 * All subtasks share one standard output, so its lock is the only global of this folder.
 * When nobody reads any more (weir run … | head), the stage answers WR_END: the job ends in
 * order and without an error.
 */
#include <unistd.h>
#include "base/error.h"
#include "connect/outlet.h"
#include "connect/rowtext.h"
#include "connect/sources.h"

struct print {
	struct wr_outlet *outlet;
	enum wr_text_format format;
};

static struct wr_mem print_mem = WR_MEM_INIT("connect.print");
static pthread_mutex_t stdout_lock = PTHREAD_MUTEX_INITIALIZER;

static int print_open(struct wr_stage *s)
{
	struct print *p = s->state = wr_zalloc(&print_mem, sizeof *p);
	int rc = p ? wr_text_format(wr_value_str(s->options, "format", "json"), &p->format) : WR_EFATAL;

	if (rc != WR_OK)
		return rc;
	p->outlet = wr_outlet_new(&(struct wr_outlet_options){
		.io = s->env->io,
		.wake = s->env->wake,
		.name = "standard output",
		.fd = STDOUT_FILENO,
		.lock = &stdout_lock,
	});
	return p->outlet ? WR_OK : WR_EFATAL;
}

static int print_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct print *p = s->state;
	int rc = WR_OK;

	while (rows->p < rows->end && rc == WR_OK) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		struct wr_bytes *block;

		rc = wr_outlet_block(p->outlet, &block);
		if (rc != WR_OK)
			return rc;
		wr_row_text(row, p->format, block);
		rows->p += row->len;
		rc = wr_outlet_added(p->outlet);
	}
	return rc == WR_OK ? wr_outlet_flush(p->outlet) : rc;
}

static int print_end(struct wr_stage *s)
{
	struct print *p = s->state;
	int rc = wr_outlet_drain(p->outlet);

	return rc == WR_END ? WR_OK : rc;
}

static void print_free(struct wr_stage *s)
{
	struct print *p = s->state;

	if (!p)
		return;
	wr_outlet_free(p->outlet);
	wr_free(&print_mem, p);
	s->state = NULL;
}

const struct wr_stage_ops wr_print_ops = {
	.kind = "print", .open = print_open, .rows = print_rows, .end = print_end, .free = print_free};
