/* SPDX-License-Identifier: Apache-2.0 */
/* source: standard input and TCP connections (options as in connect/stream_source.c), with a write-ahead log:
 * what is read is in the log (wal.h), in the folder of the checkpoints, before it becomes rows. A checkpoint
 * has the place in the log; whoever begins there reads the log first, then what comes. On the task's thread;
 * the log is written by the pump's thread, and removed by an I/O thread. One subtask reads, the others end at
 * once.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "base/log.h"
#include "format/intake.h"
#include "savepoint/logs.h"
#include "stream/dial.h"
#include "stream/pump.h"
#include "task/letter.h"
#include "wal/import.h"
#include "wal/source.h"
#include "wal/wal.h"

enum { SEGMENT = 64 << 20 /* bytes: the unit in which a log is removed */ };

/* Where the log was to be read on at a checkpoint. */
struct place {
	uint64_t checkpoint, session, offset;
	bool holds;
};

struct source {
	struct wr_iojob io; /* first: removes what no checkpoint needs */
	struct wr_ioqueue *queue;
	struct wr_wal *wal; /* NULL: not ours to read */
	struct wr_intake *intake;
	struct wr_dial dial;
	char name[300]; /* for messages */
	bool tcp, ended;
	uint64_t session;	      /* that is read */
	struct wr_arena arena;	      /* of `saved` */
	const struct wr_value *saved; /* where it is gone on with, or NULL: at its beginning */
	struct place *places;	      /* of checkpoints that are kept, or under way; in order */
	uint32_t count, cap;
	/* of the removal under way */
	pthread_mutex_t mutex;
	pthread_cond_t idle;
	struct place remove;
	bool removing;
};

static struct wr_mem source_mem = WR_MEM_INIT("wal.source");

/* What was read of standard input and is not in the log yet: it belongs to the process, as standard input
 * does, and is read on when the job is run again in it. One job at a time. */
static struct wr_bytes stdin_rest;

/* ---- streams ---- */

static int keep(void *arg, const void *p, size_t len)
{
	return len ? wr_wal_append(arg, p, len) : wr_wal_end(arg);
}

static struct wr_feed *open_live(struct wr_stage *s)
{
	struct source *t = s->state;
	struct wr_pump_options o = {.thread = t->tcp ? "weir-tcp" : "weir-stdin",
				    .wake = s->env->wake,
				    .fd = t->tcp ? -1 : dup(STDIN_FILENO),
				    .close = true,
				    .dial = wr_dial,
				    .dial_arg = &t->dial,
				    .keep = keep,
				    .keep_arg = t->wal,
				    .rest = t->tcp ? NULL : &stdin_rest};
	struct wr_feed *feed;

	if (o.fd < 0 && !t->tcp) {
		wr_error_set(WR_EUSER, "standard input is closed");
		return NULL;
	}
	feed = wr_pump_new(&o);
	if (!feed && o.fd >= 0)
		close(o.fd);
	return feed;
}

static int begin(struct source *t, struct wr_feed *feed, const struct wr_value *saved)
{
	if (!feed)
		return wr_error_code();
	return wr_intake_begin(
	    t->intake,
	    &(struct wr_stream){
		.feed = feed, .path = t->name, .stop = UINT64_MAX, .ts = WR_TS_NONE, .saved = saved});
}

/* ---- the log ---- */

static void remove_work(struct wr_iojob *io)
{
	struct source *l = (struct source *)io;

	if (wr_wal_remove(l->wal, l->remove.session, l->remove.offset) != WR_OK)
		wr_warn("wal", "an old part of the log stays: %s", wr_error_text());
}

static void remove_done(struct wr_iojob *io)
{
	struct source *l = (struct source *)io;

	pthread_mutex_lock(&l->mutex);
	l->removing = false;
	pthread_cond_signal(&l->idle);
	pthread_mutex_unlock(&l->mutex);
}

/* The session at hand, from where it is to be read: one of those before, then what comes now. */
static int next_session(struct wr_stage *s)
{
	struct source *t = s->state;
	const struct wr_value *saved = t->saved;
	uint64_t from = saved ? wr_intake_saved_offset(saved) : 0;

	t->saved = NULL;
	while (t->session < wr_wal_live(t->wal)) {
		bool none;
		struct wr_feed *feed = wr_wal_read(t->wal, t->session, from, &none);

		if (!none)
			return begin(t, feed, saved);
		if (from)
			wr_warn("wal", "%s: what was logged behind the checkpoint is not there", t->name);
		t->session++;
		saved = NULL;
		from = 0;
	}
	return begin(t, open_live(s), NULL);
}

static int keep_place(struct source *l, uint64_t checkpoint, uint64_t offset)
{
	if (l->count == l->cap && WR_GROW(&source_mem, l->places, l->cap, 8) != WR_OK)
		return WR_EFATAL;
	l->places[l->count++] =
	    (struct place){.checkpoint = checkpoint, .session = l->session, .offset = offset};
	return WR_OK;
}

/* The checkpoint holds. When as many as are kept do, nobody goes back behind the first of them. */
static void forget_log(const struct wr_stage *s, struct source *l, uint64_t checkpoint)
{
	uint32_t kept = 0;
	bool busy;

	for (uint32_t i = 0; i < l->count; i++) {
		struct place *at = &l->places[i];

		at->holds |= at->checkpoint == checkpoint;
		if (at->holds || at->checkpoint > checkpoint)
			l->places[kept++] = *at;
	}
	l->count = kept;
	kept = 0;
	for (uint32_t i = 0; i < l->count; i++)
		kept += l->places[i].holds;
	for (; kept > s->env->retain; kept--)
		memmove(l->places, l->places + 1, --l->count * sizeof *l->places);
	if (kept < s->env->retain)
		return;
	pthread_mutex_lock(&l->mutex);
	busy = l->removing;
	l->removing = true;
	pthread_mutex_unlock(&l->mutex);
	if (busy)
		return;
	l->remove = l->places[0];
	wr_ioqueue_post(l->queue, &l->io);
}

/* ---- the stage ---- */

static int open_log(struct wr_stage *s)
{
	const char *uid = s->ops_stats[0].uid;
	const struct wr_durable *d = s->env->durable;
	struct source *t = s->state;
	char name[WR_LOG_FOLDER], folder[4096];
	int rc = WR_OK;

	if (!s->env->folder)
		return wr_error_set(WR_EUSER, "wal = true needs a folder for the log: --dir");
	wr_log_folder(uid, name);
	snprintf(folder, sizeof folder, "%s/%s", s->env->folder, name);
	if (d && d->restore && d->restore->blobs != d->blobs)
		rc = wr_wal_import(folder, uid, d->restore);
	if (rc != WR_OK)
		return rc;
	t->intake = wr_intake_new(s, false);
	t->queue = t->intake ? wr_ioqueue_new(s->env->io) : NULL;
	t->wal = t->queue ? wr_wal_open(folder, SEGMENT) : NULL;
	if (!t->wal)
		return wr_error_code();
	t->session = wr_wal_first(t->wal);
	return WR_OK;
}

static int source_open(struct wr_stage *s, bool tcp)
{
	struct source *t = s->state = wr_zalloc(&source_mem, sizeof *t);

	if (!t)
		return WR_EFATAL;
	wr_arena_init(&t->arena, &source_mem);
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->idle, NULL);
	t->io = (struct wr_iojob){.work = remove_work, .done = remove_done};
	t->tcp = tcp;
	t->ended = s->env->subtask > 0;
	snprintf(t->name, sizeof t->name, "standard input");
	if (tcp) {
		wr_dial_init(&t->dial, s->options);
		snprintf(t->name, sizeof t->name, "%s:%s", t->dial.host, t->dial.port);
	}
	return t->ended ? WR_OK : open_log(s);
}

static int stdin_open(struct wr_stage *s)
{
	return source_open(s, false);
}

static int tcp_open(struct wr_stage *s)
{
	return source_open(s, true);
}

static int source_poll(struct wr_stage *s)
{
	struct source *t = s->state;
	int rc = t->ended ? WR_END : wr_intake_busy(t->intake) ? WR_OK : next_session(s);

	if (rc == WR_OK)
		rc = wr_intake_poll(t->intake);
	if (rc == WR_END && !t->ended && t->session < wr_wal_live(t->wal)) {
		t->session++;
		return WR_OK;
	}
	t->ended |= rc == WR_END;
	/* a record that cannot be read says itself where it lies */
	return rc < 0 && rc != WR_EUSER ? wr_error_wrap(rc, "reading %s", t->name) : rc;
}

/* What is read next: { at = of the session, or nil: its beginning, session = }. */
static int source_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct source *t = s->state;
	bool busy = !t->ended && wr_intake_busy(t->intake);
	uint64_t offset = 0;

	if (!t->wal)
		return WR_OK;
	wr_value_put_record(out, 2);
	wr_value_put_name(out, "at");
	if (busy) {
		offset = wr_intake_offset(t->intake);
		wr_intake_save(t->intake, out);
	} else if (t->saved) {
		offset = wr_intake_saved_offset(t->saved);
		wr_value_put(out, t->saved);
	} else {
		wr_value_put_nil(out);
	}
	wr_value_put_name(out, "session");
	wr_value_put_i64(out, (int64_t)t->session + t->ended);
	return keep_place(t, s->checkpoint, offset);
}

static int source_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct source *t = s->state;
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_value *value;
	struct wr_reader r;
	int rc;

	if (!t->wal)
		return WR_OK;
	wr_value_put(&bytes, saved->parts[0].value);
	r = wr_reader_of(bytes.data, bytes.len);
	value = wr_arena_alloc(&t->arena, sizeof *value);
	rc = value ? wr_bytes_status(&bytes) : WR_EFATAL;
	if (rc == WR_OK)
		rc = wr_value_parse(&r, &t->arena, value);
	wr_bytes_deinit(&bytes);
	if (rc != WR_OK || value->tag != WR_V_RECORD || !wr_value_get(value, "session"))
		return rc; /* it kept no log then */
	t->saved = wr_value_get(value, "at");
	t->session = (uint64_t)wr_value_int(value, "session", 1);
	wr_wal_rise(t->wal, t->session + (t->saved != NULL));
	return WR_OK;
}

static void source_had_ended(struct wr_stage *s)
{
	struct source *t = s->state;

	if (t->wal)
		wr_warn("source", "%s had ended at the checkpoint: what it brings now is not read", t->name);
}

static int source_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct source *t = s->state;

	if (type == WR_LETTER_COMPLETE && t->wal)
		forget_log(s, t, wr_letter_int(payload, len));
	return WR_OK;
}

static void source_free(struct wr_stage *s)
{
	struct source *t = s->state;

	if (!t)
		return;
	pthread_mutex_lock(&t->mutex);
	while (t->removing)
		pthread_cond_wait(&t->idle, &t->mutex);
	pthread_mutex_unlock(&t->mutex);
	if (t->queue)
		wr_ioqueue_free(t->queue);
	wr_intake_free(t->intake);
	wr_wal_free(t->wal);
	wr_arena_deinit(&t->arena);
	pthread_cond_destroy(&t->idle);
	pthread_mutex_destroy(&t->mutex);
	wr_free(&source_mem, t->places);
	wr_free(&source_mem, t);
	s->state = NULL;
}

/* What is in the log, and what is still to come of a pipe: the next attempt has both. */
static bool replays(void)
{
	return true;
}

static const struct wr_stage_ops stdin_ops = {.kind = "logged_stdin",
					      .open = stdin_open,
					      .poll = source_poll,
					      .letter = source_letter,
					      .save = source_save,
					      .restore = source_restore,
					      .had_ended = source_had_ended,
					      .free = source_free,
					      .replays = replays};
static const struct wr_stage_ops tcp_ops = {.kind = "logged_tcp",
					    .open = tcp_open,
					    .poll = source_poll,
					    .letter = source_letter,
					    .save = source_save,
					    .restore = source_restore,
					    .had_ended = source_had_ended,
					    .free = source_free,
					    .replays = replays};

const struct wr_stage_kind wr_wal_kinds[] = {{"logged_stdin", &stdin_ops}, {"logged_tcp", &tcp_ops}};
const unsigned wr_wal_kinds_count = sizeof wr_wal_kinds / sizeof *wr_wal_kinds;
