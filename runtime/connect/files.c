/* SPDX-License-Identifier: Apache-2.0 */
/* files: the reader of a files source, one a subtask, on the task's thread. Asks the
 * enumerator (files_enumerator.c) for splits, reads them one after another, reports each.
 *
 * Options of the source: path = glob, folder or list of them; format and those of
 * format/intake.h; compression = "none" reads packed files as they are; watch, split_size:
 * files_enumerator.c. A split that cannot be read is a
 * bad row of the source, so on_error decides whether the job goes on without it.
 */
#include "base/assert.h"
#include "connect/connect.h"
#include "format/intake.h"
#include "connect/kinds.h"
#include "connect/split.h"

struct queued {
	struct queued *next;
	struct wr_arena arena; /* holds split.path */
	struct wr_split split;
};

struct files {
	struct wr_intake *intake;
	struct queued *first, **last; /* first: the one that is read, if the intake is busy */
	bool asked;		      /* SPLIT_WANTED is on its way */
	bool no_more;
	bool unpack;
};

static struct wr_mem files_mem = WR_MEM_INIT("connect.files");

static int files_open(struct wr_stage *s)
{
	struct files *f = s->state = wr_zalloc(&files_mem, sizeof *f);

	if (!f)
		return WR_EFATAL;
	f->last = &f->first;
	f->unpack = strcmp(wr_value_str(s->options, "compression", "auto"), "none") != 0;
	f->intake = wr_intake_new(s, true);
	return f->intake ? WR_OK : wr_error_code();
}

static void post(struct wr_stage *s, uint32_t type, const void *payload, uint32_t len)
{
	s->env->post(s->env->post_arg, s->env->vertex, s->env->subtask, s->index, type, payload, len);
}

static void queued_drop(struct files *f)
{
	struct queued *q = f->first;

	f->first = q->next;
	if (!f->first)
		f->last = &f->first;
	wr_arena_deinit(&q->arena);
	wr_free(&files_mem, q);
}

static int files_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct files *f = s->state;
	struct queued *q;
	int rc;

	f->asked = false;
	if (type == WR_LETTER_NO_MORE)
		f->no_more = true;
	if (type != WR_LETTER_SPLIT)
		return WR_OK;
	q = wr_zalloc(&files_mem, sizeof *q);
	if (!q)
		return WR_EFATAL;
	wr_arena_init(&q->arena, &files_mem);
	*f->last = q;
	f->last = &q->next;
	rc = wr_split_parse(payload, len, &q->arena, &q->split);
	return rc;
}

/* The split at hand is done with. */
static void split_done(struct wr_stage *s, struct files *f)
{
	struct wr_bytes id = WR_BYTES_EMPTY;

	wr_value_put_i64(&id, (int64_t)f->first->split.id);
	post(s, WR_LETTER_SPLIT_DONE, id.data, (uint32_t)id.len);
	wr_bytes_deinit(&id);
	queued_drop(f);
}

static int unreadable(struct wr_stage *s, struct files *f)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	int rc;

	wr_bytes_printf(&text, "%s", wr_error_text());
	wr_bytes_put_u8(&text, 0);
	rc = wr_bytes_status(&text);
	if (rc == WR_OK)
		rc = wr_stage_bad_row(s, 0, NULL, "", 0, f->first->split.path, (const char *)text.data,
				      WR_EUSER);
	wr_bytes_deinit(&text);
	split_done(s, f);
	return rc;
}

/* Begins the next split. WR_OK, or WR_AGAIN: none here, WR_END: none any more. */
static int next_split(struct wr_stage *s, struct files *f)
{
	const struct wr_split *split;
	struct wr_feed *feed;

	if (!f->first) {
		if (f->no_more)
			return WR_END;
		if (!f->asked)
			post(s, WR_LETTER_SPLIT_WANTED, NULL, 0);
		f->asked = true;
		return WR_AGAIN;
	}
	split = &f->first->split;
	feed = wr_file_feed_open(split->path, split->from > 0 ? split->from - 1 : 0,
				 f->unpack && split->to == UINT64_MAX);
	if (!feed)
		return wr_error_code() == WR_EFATAL ? WR_EFATAL : unreadable(s, f);
	wr_intake_begin(f->intake, &(struct wr_stream){feed, split->path, split->from, split->to});
	return WR_OK;
}

static int files_poll(struct wr_stage *s)
{
	struct files *f = s->state;
	uint64_t before = s->outs[0]->rows;
	int rc;

	do {
		if (!wr_intake_busy(f->intake)) {
			rc = next_split(s, f);
			continue;
		}
		rc = wr_intake_poll(f->intake);
		if (rc != WR_END)
			return rc;
		split_done(s, f);
		rc = WR_OK;
	} while (rc == WR_OK && s->outs[0]->rows == before && !wr_stage_spent(s));
	return rc == WR_AGAIN && s->outs[0]->rows != before ? WR_OK : rc;
}

static void files_free(struct wr_stage *s)
{
	struct files *f = s->state;

	if (!f)
		return;
	wr_intake_free(f->intake);
	while (f->first)
		queued_drop(f);
	wr_free(&files_mem, f);
	s->state = NULL;
}

const struct wr_stage_ops wr_files_ops = {
    .kind = "files", .open = files_open, .poll = files_poll, .letter = files_letter, .free = files_free};
