/* SPDX-License-Identifier: Apache-2.0 */
/* files: the reader of a files source, one a subtask, on the task's thread. Asks the
 * enumerator (files_enumerator.c) for splits, reads up to `interleave` of them side by side, a
 * batch of each in turn, and reports each that is done. What is behind it in its chain hears where
 * the rows of each split are (stage.h), and may have one held back that is ahead of the others.
 *
 * Options of the source: path = glob, folder or list of them; format and those of
 * format/intake.h; compression = "none" reads packed files as they are, "gzip" and "zstd" no others; watch,
 * split_size: files_enumerator.c; interleave; timestamp = "modified": rows carry their file's time. A split
 * that cannot be read is a bad row of the source, so on_error decides whether the job goes on without it.
 *
 *   split:  queued ──a lane is free──▶ read (or held) ──its end──▶ done
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/assert.h"
#include "connect/connect.h"
#include "format/intake.h"
#include "connect/kinds.h"
#include "connect/split.h"
#include "stream/pump.h"

struct queued {
	struct queued *next;
	struct wr_arena arena; /* holds split.path and `saved` */
	struct wr_split split;
	const struct wr_value *saved; /* where it is gone on with, or NULL: at its beginning */
};

struct lane { /* one split that is read */
	struct wr_intake *intake;
	struct queued *at; /* NULL: the lane is free */
	uint32_t number;   /* of the split, for those behind */
	bool held;
};

struct files {
	struct lane *lanes;
	uint32_t lane_count, turn;    /* turn: the lane of the last rows */
	uint32_t numbers;	      /* splits begun */
	struct queued *first, **last; /* not begun */
	uint32_t asked;		      /* SPLIT_WANTED without an answer yet */
	bool no_more;
	bool unpack, modified;
	const char *packing; /* that all files must have: "gzip", "zstd"; NULL: any or none */
};

static struct wr_mem files_mem = WR_MEM_INIT("connect.files");

static int files_open(struct wr_stage *s)
{
	struct files *f = s->state = wr_zalloc(&files_mem, sizeof *f);
	uint32_t lanes = (uint32_t)wr_value_int(s->options, "interleave", 1);
	const char *compression = wr_value_str(s->options, "compression", "auto");

	if (!f)
		return WR_EFATAL;
	f->last = &f->first;
	f->unpack = strcmp(compression, "none") != 0;
	f->packing = f->unpack && strcmp(compression, "auto") != 0 ? compression : NULL;
	f->modified = strcmp(wr_value_str(s->options, "timestamp", ""), "modified") == 0;
	f->lanes = wr_zalloc(&files_mem, lanes * sizeof *f->lanes);
	if (!f->lanes)
		return WR_EFATAL;
	for (f->lane_count = 0; f->lane_count < lanes; f->lane_count++) {
		f->lanes[f->lane_count].intake = wr_intake_new(s, true);
		if (!f->lanes[f->lane_count].intake)
			return wr_error_code();
	}
	return WR_OK;
}

static void post(struct wr_stage *s, uint32_t type, const void *payload, uint32_t len)
{
	s->env->post(s->env->post_arg, s->env->vertex, s->env->subtask, s->index, type, payload, len);
}

static void queued_free(struct queued *q)
{
	wr_arena_deinit(&q->arena);
	wr_free(&files_mem, q);
}

static struct queued *queued_take(struct files *f)
{
	struct queued *q = f->first;

	f->first = q->next;
	if (!f->first)
		f->last = &f->first;
	return q;
}

/* One more at the end of the queue; NULL when the heap refuses. */
static struct queued *queued_add(struct files *f)
{
	struct queued *q = wr_zalloc(&files_mem, sizeof *q);

	if (!q)
		return NULL;
	wr_arena_init(&q->arena, &files_mem);
	*f->last = q;
	f->last = &q->next;
	return q;
}

static int files_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct files *f = s->state;
	struct queued *q;

	if (type != WR_LETTER_SPLIT && type != WR_LETTER_NO_MORE)
		return WR_OK;
	f->asked -= f->asked > 0;
	if (type == WR_LETTER_NO_MORE) {
		f->no_more = true;
		return WR_OK;
	}
	q = queued_add(f);
	return q ? wr_split_parse(payload, len, &q->arena, &q->split) : WR_EFATAL;
}

/* ---- splits ---- */

/* The split of a lane is done with. */
static int split_done(struct wr_stage *s, struct lane *l)
{
	struct wr_bytes id = WR_BYTES_EMPTY;
	int rc = wr_stage_emit_split(s, WR_SPLIT_END, l->number, NULL);

	wr_value_put_i64(&id, (int64_t)l->at->split.id);
	post(s, WR_LETTER_SPLIT_DONE, id.data, (uint32_t)id.len);
	wr_bytes_deinit(&id);
	queued_free(l->at);
	l->at = NULL;
	l->held = false;
	return rc;
}

static int unreadable(struct wr_stage *s, struct lane *l)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	int rc, done;

	wr_bytes_printf(&text, "%s", wr_error_text());
	wr_bytes_put_u8(&text, 0);
	rc = wr_bytes_status(&text);
	if (rc == WR_OK)
		rc =
		    wr_stage_bad_row(s, 0, NULL, "", 0, l->at->split.path, (const char *)text.data, WR_EUSER);
	wr_bytes_deinit(&text);
	done = split_done(s, l);
	return rc == WR_OK ? done : rc;
}

static int64_t time_of(const struct files *f, const char *path)
{
	struct stat st;

	if (!f->modified || stat(path, &st) != 0)
		return WR_TS_NONE;
	return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

/* Under a name of its own, by which its watermark is found again (K24). */
static int announce(struct wr_stage *s, const struct lane *l)
{
	const struct wr_split *split = &l->at->split;
	struct wr_bytes name = WR_BYTES_EMPTY;
	int rc;

	if (split->to == UINT64_MAX && !split->from)
		return wr_stage_emit_split(s, WR_SPLIT_BEGIN, l->number, split->path);
	wr_bytes_printf(&name, "%s, byte %" PRIu64, split->path, split->from);
	wr_bytes_put_u8(&name, 0);
	rc = wr_bytes_status(&name);
	if (rc == WR_OK)
		rc = wr_stage_emit_split(s, WR_SPLIT_BEGIN, l->number, (const char *)name.data);
	wr_bytes_deinit(&name);
	return rc;
}

/* A pipe or a device: reading may wait for ever, and does so behind a pump. */
static struct wr_feed *open_pipe(const struct wr_stage *s, const char *path, uint64_t offset)
{
	struct wr_pump_options o = {.thread = "weir-file", .wake = s->env->wake, .close = true};
	struct wr_feed *feed;

	if (offset > 0) {
		wr_error_set(WR_EUSER, "what was read of a pipe cannot be read again, nor passed over");
		return NULL;
	}
	o.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (o.fd < 0) {
		wr_error_set(WR_EUSER, "cannot open: %s", strerror(errno));
		return NULL;
	}
	feed = wr_pump_new(&o);
	if (!feed)
		close(o.fd);
	return feed;
}

static bool is_pipe(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

/* NULL with the error set: it cannot be read, or is not packed as it has to be. */
static struct wr_feed *open_feed(const struct wr_stage *s, const char *path, uint64_t offset, bool unpack)
{
	const struct files *f = s->state;
	struct wr_feed *feed =
	    is_pipe(path) ? open_pipe(s, path, offset) : wr_file_feed_open(path, offset, unpack);
	const char *packing = feed && f->packing ? wr_file_packing(path) : NULL;

	if (!feed || !f->packing || (packing && strcmp(packing, f->packing) == 0))
		return feed;
	wr_feed_free(feed);
	wr_error_set(WR_EUSER, "it does not begin as files do that are packed by %s (compression)",
		     f->packing);
	return NULL;
}

/* Puts the next split into a free lane. */
static int begin(struct wr_stage *s, struct files *f, struct lane *l)
{
	const struct wr_split *split;
	struct wr_stream stream;
	uint64_t offset;
	bool unpack;
	int rc;

	l->at = queued_take(f);
	l->number = ++f->numbers;
	split = &l->at->split;
	rc = announce(s, l);
	if (rc != WR_OK)
		return rc;
	f->turn = (uint32_t)(l - f->lanes);
	stream = (struct wr_stream){.path = split->path,
				    .from = split->from,
				    .stop = split->to,
				    .ts = time_of(f, split->path),
				    .saved = l->at->saved};
	unpack = f->unpack && split->to == UINT64_MAX;
	offset = split->from > 0 ? split->from - 1 : 0;
	if (stream.saved) {
		stream.from_start = unpack && wr_file_packing(split->path);
		offset = stream.from_start ? 0 : wr_intake_saved_offset(stream.saved);
		unpack &= stream.from_start;
	}
	stream.feed = open_feed(s, split->path, offset, unpack);
	if (!stream.feed)
		return wr_error_code() == WR_EFATAL ? WR_EFATAL : unreadable(s, l);
	return wr_intake_begin(l->intake, &stream);
}

/* Gives every free lane a split, or asks for one. */
static int fill_lanes(struct wr_stage *s, struct files *f)
{
	uint32_t empty = 0;
	int rc = WR_OK;

	for (uint32_t i = 0; i < f->lane_count && rc == WR_OK; i++) {
		while (!f->lanes[i].at && f->first && rc == WR_OK)
			rc = begin(s, f, &f->lanes[i]);
		empty += !f->lanes[i].at;
	}
	for (; f->asked < empty && !f->no_more; f->asked++)
		post(s, WR_LETTER_SPLIT_WANTED, NULL, 0);
	return rc;
}

/* ---- rows ---- */

/* The next lane with a split that is not held. WR_AGAIN: none, WR_END: nothing is left to be read. */
static int next_lane(struct files *f, uint32_t *lane)
{
	bool busy = false;

	for (uint32_t i = 1; i <= f->lane_count; i++) {
		uint32_t at = (f->turn + i) % f->lane_count;

		busy |= f->lanes[at].at != NULL;
		if (f->lanes[at].at && !f->lanes[at].held) {
			*lane = at;
			return WR_OK;
		}
	}
	return busy || f->first || !f->no_more ? WR_AGAIN : WR_END;
}

/* A batch of a lane. */
static int read_lane(struct wr_stage *s, struct files *f, uint32_t lane)
{
	struct lane *l = &f->lanes[lane];
	int rc = lane != f->turn ? wr_stage_emit_split(s, WR_SPLIT_AT, l->number, NULL) : WR_OK;

	f->turn = lane;
	if (rc == WR_OK)
		rc = wr_intake_poll(l->intake);
	return rc == WR_END ? split_done(s, l) : rc;
}

static int files_poll(struct wr_stage *s)
{
	struct files *f = s->state;
	uint64_t before = s->outs[0]->rows;
	uint32_t lane, waits = 0; /* lanes in a row that have nothing now */
	int rc;

	do {
		rc = fill_lanes(s, f);
		if (rc == WR_OK)
			rc = next_lane(f, &lane);
		if (rc != WR_OK)
			break;
		rc = read_lane(s, f, lane);
		waits = rc == WR_AGAIN ? waits + 1 : 0;
		if (rc == WR_AGAIN && waits < f->lane_count)
			rc = WR_OK;
	} while (rc == WR_OK && s->outs[0]->rows == before && !wr_stage_spent(s));
	return (rc == WR_AGAIN || rc == WR_END) && s->outs[0]->rows != before ? WR_OK : rc;
}

static void files_hold(struct wr_stage *s, uint32_t number, bool held)
{
	struct files *f = s->state;

	for (uint32_t i = 0; i < f->lane_count; i++)
		if (f->lanes[i].at && f->lanes[i].number == number)
			f->lanes[i].held = held;
}

/* ---- snapshots: the splits that are read, in the order in which they were begun, then those that wait ----
 */

static void put_split(struct wr_bytes *out, const struct queued *q, const struct wr_intake *at)
{
	wr_value_put_record(out, 2);
	wr_value_put_name(out, "at");
	if (at)
		wr_intake_save(at, out);
	else if (q->saved)
		wr_value_put(out, q->saved);
	else
		wr_value_put_nil(out);
	wr_value_put_name(out, "split");
	wr_split_put(out, &q->split);
}

/* The lane whose split was begun next behind split `number`. */
static const struct lane *lane_behind(const struct files *f, uint32_t number)
{
	const struct lane *next = NULL;

	for (uint32_t i = 0; i < f->lane_count; i++)
		if (f->lanes[i].at && f->lanes[i].number > number &&
		    (!next || f->lanes[i].number < next->number))
			next = &f->lanes[i];
	return next;
}

static int files_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct files *f = s->state;
	uint32_t count = 0;

	for (uint32_t i = 0; i < f->lane_count; i++)
		count += f->lanes[i].at != NULL;
	for (const struct queued *q = f->first; q; q = q->next)
		count++;
	wr_value_put_list(out, count);
	for (const struct lane *l = lane_behind(f, 0); l; l = lane_behind(f, l->number))
		put_split(out, l->at, l->intake);
	for (const struct queued *q = f->first; q; q = q->next)
		put_split(out, q, NULL);
	return wr_bytes_status(out);
}

static int restore_split(struct files *f, const struct wr_value *saved)
{
	struct queued *q = queued_add(f);
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_value *copy;
	struct wr_reader r;
	int rc;

	if (!q)
		return WR_EFATAL;
	wr_value_put(&bytes, saved);
	copy = wr_arena_alloc(&q->arena, sizeof *copy);
	r = wr_reader_of(bytes.data, bytes.len);
	rc = copy && !bytes.failed ? wr_value_parse(&r, &q->arena, copy) : WR_EFATAL;
	wr_bytes_deinit(&bytes);
	if (rc != WR_OK)
		return rc;
	q->saved = wr_value_get(copy, "at");
	return wr_split_of(wr_value_get(copy, "split"), &q->split);
}

/* In the order of discovery, 0 where the split is malformed. */
static int64_t id_of(const struct wr_value *saved)
{
	const struct wr_value *split = wr_value_get(saved, "split");

	return split && split->tag == WR_V_RECORD ? wr_value_int(split, "id", 0) : 0;
}

static int by_id(const void *a, const void *b)
{
	int64_t x = id_of(*(const struct wr_value *const *)a), y = id_of(*(const struct wr_value *const *)b);

	return (x > y) - (x < y);
}

/* The splits of all parts, sorted: a subtask that reads those of several must not read a later one first, or
 * the watermark would be ahead of the earlier one's records (K24). */
static int all_splits(const struct wr_saved_state *saved, const struct wr_value **list, uint32_t *count)
{
	*count = 0;
	for (uint32_t i = 0; i < saved->count; i++) {
		const struct wr_value *part = saved->parts[i].value;

		if (part->tag != WR_V_LIST)
			return wr_error_set(WR_EUSER, "the saved splits are malformed");
		for (uint32_t k = 0; k < part->count; k++, ++*count)
			if (list)
				list[*count] = &part->items[k];
	}
	return WR_OK;
}

static int files_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	bool own = saved->parallelism == s->env->parallelism;
	const struct wr_value **list = NULL;
	uint32_t count;
	int rc = all_splits(saved, NULL, &count);

	if (rc != WR_OK || !count)
		return rc;
	list = wr_alloc(&files_mem, count * sizeof(void *));
	if (!list)
		return WR_EFATAL;
	all_splits(saved, list, &count);
	qsort(list, count, sizeof(void *), by_id);
	for (uint32_t i = 0; i < count && rc == WR_OK; i++)
		if (own || i % s->env->parallelism == s->env->subtask)
			rc = restore_split(s->state, list[i]);
	wr_free(&files_mem, list);
	return rc;
}

static void files_free(struct wr_stage *s)
{
	struct files *f = s->state;

	if (!f)
		return;
	for (uint32_t i = 0; i < f->lane_count; i++) {
		wr_intake_free(f->lanes[i].intake);
		if (f->lanes[i].at)
			queued_free(f->lanes[i].at);
	}
	while (f->first)
		queued_free(queued_take(f));
	wr_free(&files_mem, f->lanes);
	wr_free(&files_mem, f);
	s->state = NULL;
}

const struct wr_stage_ops wr_files_ops = {.kind = "files",
					  .open = files_open,
					  .poll = files_poll,
					  .letter = files_letter,
					  .hold = files_hold,
					  .save = files_save,
					  .restore = files_restore,
					  .free = files_free};
