/* SPDX-License-Identifier: Apache-2.0 */
/* files: the reader of a files source, one a subtask, on the task's thread. Asks the
 * enumerator (files_enumerator.c) for splits, reads up to `interleave` of them side by side, a batch of each
 * in turn. What is behind it in its chain hears where the rows of each split are (stage.h), and may have one
 * held back that is ahead of the others.
 *
 * Options of the source: path = glob, folder or list of them; format and those of
 * format/intake.h; compression = "none" reads packed files as they are, "gzip" and "zstd" no others; watch,
 * split_size: files_enumerator.c; interleave; timestamp = "modified": rows carry their file's time. A split
 * that cannot be read is a bad row of the source, so on_error decides whether the job goes on without it.
 *
 * Splits that were read at a checkpoint are all read side by side again, whatever `interleave` says: one that
 * waited for another would find its records late behind it, or hold event time, and with it the other, for
 * ever (K24). Each has a lane of its own, and those that waited queue in the lanes behind others that were
 * discovered before them.
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
#include "task/letter.h"

struct queued {
	struct queued *next;
	struct wr_arena arena; /* holds split.path and `saved` */
	struct wr_split split;
	const struct wr_value *saved; /* where it is gone on with, or NULL: at its beginning */
};

struct queue {
	struct queued *first, *last;
};

struct lane { /* one split that is read */
	struct wr_intake *intake;
	struct queued *at; /* NULL: none */
	struct queue own;  /* of a checkpoint: read behind it, before anything else */
	uint32_t number;   /* of the split that is read, or comes next, for those behind; 0: they know none */
	bool held;
};

struct files {
	struct lane *lanes;
	uint32_t lane_count, lane_cap;
	uint32_t interleave; /* lanes at once, but for those of a checkpoint */
	uint32_t turn;	     /* the lane of the last rows, or begun since */
	uint32_t said;	     /* number of the split whose rows follow, 0 = none */
	uint32_t numbers;    /* given so far */
	struct queue fresh;  /* for whichever lane is free */
	uint32_t asked;	     /* splits wanted and not given yet */
	bool no_more;
	bool unpack, modified;
	const char *packing; /* that all files must have: "gzip", "zstd"; NULL: any or none */
};

static struct wr_mem files_mem = WR_MEM_INIT("connect.files");

static int add_lane(struct wr_stage *s, struct files *f)
{
	struct wr_intake *intake;

	if (f->lane_count == f->lane_cap && WR_GROW(&files_mem, f->lanes, f->lane_cap, 4) != WR_OK)
		return WR_EFATAL;
	intake = wr_intake_new(s, true);
	if (!intake)
		return wr_error_code();
	f->lanes[f->lane_count++] = (struct lane){.intake = intake};
	return WR_OK;
}

static int files_open(struct wr_stage *s)
{
	struct files *f = s->state = wr_zalloc(&files_mem, sizeof *f);
	const char *compression = wr_value_str(s->options, "compression", "auto");
	int rc = WR_OK;

	if (!f)
		return WR_EFATAL;
	f->interleave = (uint32_t)wr_value_int(s->options, "interleave", 1);
	f->unpack = strcmp(compression, "none") != 0;
	f->packing = f->unpack && strcmp(compression, "auto") != 0 ? compression : NULL;
	f->modified = strcmp(wr_value_str(s->options, "timestamp", ""), "modified") == 0;
	while (f->lane_count < f->interleave && rc == WR_OK)
		rc = add_lane(s, f);
	return rc;
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

static struct queued *queue_take(struct queue *queue)
{
	struct queued *q = queue->first;

	queue->first = q->next;
	return q;
}

/* One more at the end; NULL when the heap refuses. */
static struct queued *queue_add(struct queue *queue)
{
	struct queued *q = wr_zalloc(&files_mem, sizeof *q);

	if (!q)
		return NULL;
	wr_arena_init(&q->arena, &files_mem);
	if (queue->first)
		queue->last->next = q;
	else
		queue->first = q;
	queue->last = q;
	return q;
}

static void queue_free(struct queue *queue)
{
	while (queue->first)
		queued_free(queue_take(queue));
}

static int take_split(struct files *f, const struct wr_value *v)
{
	struct queued *q = queue_add(&f->fresh);
	int rc = q ? wr_split_of(v, &q->split) : WR_EFATAL;

	if (rc != WR_OK)
		return rc;
	q->split.path = wr_arena_strndup(&q->arena, q->split.path, strlen(q->split.path));
	return q->split.path ? WR_OK : WR_EFATAL;
}

static int take_splits(struct files *f, const uint8_t *payload, uint32_t len)
{
	struct wr_value list;
	struct wr_arena arena;
	int rc;

	wr_arena_init(&arena, &files_mem);
	rc = wr_hand_parse(payload, len, &arena, &list);
	for (uint32_t i = 0; rc == WR_OK && i < list.count; i++)
		rc = take_split(f, &list.items[i]);
	if (rc == WR_OK)
		f->asked -= list.count < f->asked ? list.count : f->asked;
	wr_arena_deinit(&arena);
	return rc;
}

static int files_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct files *f = s->state;

	f->no_more |= type == WR_LETTER_NO_MORE;
	return type == WR_LETTER_SPLITS ? take_splits(f, payload, len) : WR_OK;
}

/* ---- splits ---- */

/* Under a name of its own, by which its watermark is found again (K24). */
static int announce(struct wr_stage *s, struct files *f, struct lane *l, const struct queued *q)
{
	const struct wr_split *split = &q->split;
	struct wr_bytes name = WR_BYTES_EMPTY;
	int rc;

	f->said = l->number = ++f->numbers;
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

/* The split of a lane is done with. What comes next in the lane begins before this one ends, and so holds
 * event time where it is. */
static int split_done(struct wr_stage *s, struct lane *l)
{
	struct files *f = s->state;
	struct queued *at = l->at;
	uint32_t number = l->number;
	int rc = WR_OK;

	l->at = NULL;
	l->number = 0;
	l->held = false;
	if (l->own.first)
		rc = announce(s, f, l, l->own.first);
	if (rc == WR_OK)
		rc = wr_stage_emit_split(s, WR_SPLIT_END, number, NULL);
	f->said = 0;
	queued_free(at);
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

/* Puts a split into a lane that reads none. */
static int begin(struct wr_stage *s, struct files *f, struct lane *l, struct queued *q)
{
	const struct wr_split *split = &q->split;
	struct wr_stream stream;
	uint64_t offset;
	bool unpack;
	int rc = l->number ? WR_OK : announce(s, f, l, q);

	l->at = q;
	f->turn = (uint32_t)(l - f->lanes);
	if (rc != WR_OK)
		return rc;
	stream = (struct wr_stream){.path = split->path,
				    .from = split->from,
				    .stop = split->to,
				    .ts = time_of(f, split->path),
				    .saved = q->saved};
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

static bool is_busy(const struct lane *l)
{
	return l->at || l->own.first;
}

static uint32_t busy_lanes(const struct files *f)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < f->lane_count; i++)
		count += is_busy(&f->lanes[i]);
	return count;
}

/* Those of a checkpoint are known behind before one of them is read, or found to be unreadable. */
static int announce_own(struct wr_stage *s, struct files *f)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < f->lane_count && rc == WR_OK; i++)
		if (f->lanes[i].own.first && !f->lanes[i].number)
			rc = announce(s, f, &f->lanes[i], f->lanes[i].own.first);
	return rc;
}

/* Lanes of a checkpoint that are not needed any more. */
static void drop_lanes(struct files *f)
{
	for (uint32_t i = f->lane_count; i-- > f->interleave;) {
		if (is_busy(&f->lanes[i]))
			continue;
		wr_intake_free(f->lanes[i].intake);
		f->lanes[i] = f->lanes[--f->lane_count];
	}
}

/* What a lane that reads none goes on with; NULL: there is nothing, or lanes enough are busy. */
static struct queued *next_split(struct files *f, struct lane *l)
{
	if (l->own.first)
		return queue_take(&l->own);
	return f->fresh.first && busy_lanes(f) < f->interleave ? queue_take(&f->fresh) : NULL;
}

static int ask(struct wr_stage *s, struct files *f)
{
	uint32_t busy = busy_lanes(f);
	struct wr_bytes wanted = WR_BYTES_EMPTY;
	int rc;

	if (f->no_more || busy + f->asked >= f->interleave)
		return WR_OK;
	wr_value_put_i64(&wanted, f->interleave - busy - f->asked);
	rc = wr_bytes_status(&wanted);
	if (rc == WR_OK) {
		post(s, WR_LETTER_SPLIT_WANTED, wanted.data, (uint32_t)wanted.len);
		f->asked = f->interleave - busy;
	}
	wr_bytes_deinit(&wanted);
	return rc;
}

/* Gives lanes that read nothing a split, or asks for some. */
static int fill_lanes(struct wr_stage *s, struct files *f)
{
	int rc = announce_own(s, f);
	struct queued *q;

	drop_lanes(f);
	for (uint32_t i = 0; i < f->lane_count && rc == WR_OK; i++)
		while (rc == WR_OK && !f->lanes[i].at && (q = next_split(f, &f->lanes[i])))
			rc = begin(s, f, &f->lanes[i], q);
	return rc == WR_OK ? ask(s, f) : rc;
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
	return busy || f->fresh.first || !f->no_more ? WR_AGAIN : WR_END;
}

/* A batch of a lane. */
static int read_lane(struct wr_stage *s, struct files *f, uint32_t lane)
{
	struct lane *l = &f->lanes[lane];
	int rc = l->number != f->said ? wr_stage_emit_split(s, WR_SPLIT_AT, l->number, NULL) : WR_OK;

	f->turn = lane;
	f->said = l->number;
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
		if (f->lanes[i].number == number)
			f->lanes[i].held = held;
}

/* ---- snapshots: a list of the splits that are read or wait, in no order ---- */

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

static uint32_t queue_len(const struct queue *queue)
{
	uint32_t count = 0;

	for (const struct queued *q = queue->first; q; q = q->next)
		count++;
	return count;
}

static void put_queue(struct wr_bytes *out, const struct queue *queue)
{
	for (const struct queued *q = queue->first; q; q = q->next)
		put_split(out, q, NULL);
}

static int files_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct files *f = s->state;
	uint32_t count = queue_len(&f->fresh);

	for (uint32_t i = 0; i < f->lane_count; i++)
		count += (f->lanes[i].at != NULL) + queue_len(&f->lanes[i].own);
	wr_value_put_list(out, count);
	for (uint32_t i = 0; i < f->lane_count; i++) {
		const struct lane *l = &f->lanes[i];

		if (l->at)
			put_split(out, l->at, l->intake);
		put_queue(out, &l->own);
	}
	put_queue(out, &f->fresh);
	return wr_bytes_status(out);
}

static int restore_split(struct queue *queue, const struct wr_value *saved)
{
	struct queued *q = queue_add(queue);
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

static bool was_read(const struct wr_value *saved)
{
	const struct wr_value *at = wr_value_get(saved, "at");

	return at && at->tag != WR_V_NIL;
}

/* The splits of all parts, sorted. */
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
	if (list)
		qsort(list, *count, sizeof(void *), by_id);
	return WR_OK;
}

static int restore_in_lane(struct wr_stage *s, uint32_t lane, const struct wr_value *saved)
{
	struct files *f = s->state;
	int rc = WR_OK;

	while (f->lane_count <= lane && rc == WR_OK)
		rc = add_lane(s, f);
	return rc == WR_OK ? restore_split(&f->lanes[lane].own, saved) : rc;
}

/* Deals the splits, in the order of their discovery, to the lanes of `readers` subtasks, of which this is
 * number `own`: one that was read begins a lane, one that waited does while there are too few. All subtasks
 * come to the same. */
static int deal(struct wr_stage *s, const struct wr_value **list, uint32_t count, uint32_t readers,
		uint32_t own)
{
	struct files *f = s->state;
	uint32_t to_begin = 0, begun = 0, turn = 0;
	int rc = WR_OK;

	for (uint32_t i = 0; i < count; i++)
		to_begin += was_read(list[i]);
	for (uint32_t i = 0; i < count && rc == WR_OK; i++) {
		bool read = was_read(list[i]),
		     begins = read || !begun || begun + to_begin < readers * f->interleave;
		uint32_t lane = begins ? begun : turn++ % begun;

		begun += begins;
		to_begin -= read;
		if (lane % readers == own)
			rc = restore_in_lane(s, lane / readers, list[i]);
	}
	return rc;
}

static int files_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	bool same = saved->parallelism == s->env->parallelism;
	const struct wr_value **list = NULL;
	uint32_t count;
	int rc = all_splits(saved, NULL, &count);

	if (rc != WR_OK || !count)
		return rc;
	list = wr_alloc(&files_mem, count * sizeof(void *));
	if (!list)
		return WR_EFATAL;
	all_splits(saved, list, &count);
	rc = same ? deal(s, list, count, 1, 0) : deal(s, list, count, s->env->parallelism, s->env->subtask);
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
		queue_free(&f->lanes[i].own);
	}
	queue_free(&f->fresh);
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
