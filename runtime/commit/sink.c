/* SPDX-License-Identifier: Apache-2.0 */
/* sink: see sink.h. Everything that decides is on the task's thread (commits.c); the committer's thread is
 * given one piece of work at a time and says by mail that it is done. */
#include "commit/sink_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "commit/sink_saved.h"
#include "record/key.h"
#include "task/letter.h"
#include "task/restore.h"

enum {
	TRIES = 8,
	DELAY_MS = 100, /* twice as much before each try as before the last: */
	SHIFT_MAX = 5,	/* up to that where time is the bound */
	NS_PER_MS = 1000000
};

static struct wr_mem mem = WR_MEM_INIT("commit.sink");

void wr_mark_text(const struct wr_mark *m, char text[WR_MARK_TEXT])
{
	size_t len = strlen(m->uid);

	if (len <= 100)
		snprintf(text, WR_MARK_TEXT, "%s/%016" PRIx64 "/%" PRIu32, m->uid, m->lineage, m->log);
	else
		snprintf(text, WR_MARK_TEXT, "%.80s~%016" PRIx64 "/%016" PRIx64 "/%" PRIu32, m->uid,
			 wr_key_hash((const uint8_t *)m->uid, (uint32_t)len), m->lineage, m->log);
}

/* ---- the committer's thread ---- */

static int commit(struct wr_stage *s, const struct wr_mark *mark)
{
	struct wr_sink *k = wr_sink_of(s);
	struct wr_epoch_rows rows;
	int rc = wr_epoch_rows_open(&rows, k->blobs, wr_sink_uid(s), &k->c.epoch);

	WR_CRASH_STEP("commit.begin");
	if (rc == WR_OK)
		rc = k->target->ops->commit(k->target, mark, k->c.epoch.number, &rows);
	wr_epoch_rows_close(&rows);
	WR_CRASH_STEP("commit.done");
	return rc;
}

static void work(struct wr_iojob *job)
{
	struct wr_committer *c = (struct wr_committer *)job;
	struct wr_sink *k = wr_sink_of(c->stage);
	struct wr_mark mark = {wr_sink_uid(c->stage), c->epoch.lineage, c->epoch.log, k->scope};

	switch (c->what) {
	case WR_SINK_OPEN:
		c->rc = k->target->ops->open(k->target, c->fresh);
		break;
	case WR_SINK_LOOK:
		c->mark = 0;
		c->rc = k->target->ops->look(k->target, &mark, &c->mark);
		break;
	case WR_SINK_ASK:
		c->mark = 0;
		c->rc = k->target->ops->last(k->target, &mark, &c->mark);
		break;
	case WR_SINK_COMMIT:
		c->rc = commit(c->stage, &mark);
		break;
	case WR_SINK_KEEP:
		c->rc = k->target->ops->keep(k->target, &mark, c->epoch.number);
		break;
	case WR_SINK_SEAL:
		c->rc = wr_epoch_log_seal(k->log);
		break;
	}
	if (c->rc > 0) /* "try again" is no success */
		c->rc = WR_ETRANSIENT;
	if (c->rc < 0)
		snprintf(c->text, sizeof c->text, "%s", wr_error_text());
}

/* It is done before it is said: who hears of it may post the next. */
static void work_done(struct wr_iojob *job)
{
	struct wr_committer *c = (struct wr_committer *)job;
	bool mails = c->mails;

	pthread_mutex_lock(&c->mutex);
	c->is_done = true;
	pthread_cond_signal(&c->done);
	pthread_mutex_unlock(&c->mutex);
	if (mails && wr_stage_mail(c->stage, WR_LETTER_DONE, NULL, 0) != WR_OK)
		wr_err(c->stage->env->task, "the end of a commit is not heard of: %s", wr_error_text());
}

/* ---- the task's thread: giving it work ---- */

static void post(struct wr_sink *k, enum wr_sink_work what, bool mails)
{
	WR_ASSERT(!k->c.busy);
	k->c.busy = true;
	k->c.what = what;
	k->c.mails = mails;
	k->c.is_done = false;
	k->c.began_ms = wr_clock_ms(k->c.stage->env->clock);
	wr_ioqueue_post(k->c.queue, &k->c.job);
}

int wr_sink_answer(const struct wr_sink *k)
{
	if (k->c.rc >= 0)
		return WR_OK;
	if (k->c.what == WR_SINK_COMMIT)
		return wr_error_set(k->c.rc, "commit of epoch %" PRIu64 ": %s", k->c.epoch.number, k->c.text);
	return wr_error_set(k->c.rc, "%s", k->c.text);
}

static int wait_done(struct wr_sink *k)
{
	struct wr_committer *c = &k->c;

	pthread_mutex_lock(&c->mutex);
	while (!c->is_done)
		pthread_cond_wait(&c->done, &c->mutex);
	pthread_mutex_unlock(&c->mutex);
	c->busy = false;
	return wr_sink_answer(k);
}

/* Only before the first row and behind the last: nothing else happens meanwhile. */
static int post_and_wait(struct wr_sink *k, enum wr_sink_work what)
{
	post(k, what, false);
	return wait_done(k);
}

void wr_sink_post_seal(struct wr_stage *s)
{
	post(wr_sink_of(s), WR_SINK_SEAL, true);
}

int wr_sink_ask(struct wr_sink *k, enum wr_sink_work how, uint64_t lineage, uint32_t log, uint64_t *mark)
{
	int rc;

	k->c.epoch = (struct wr_epoch){.lineage = lineage, .log = log};
	rc = post_and_wait(k, how);
	*mark = k->c.mark;
	return rc;
}

int wr_sink_commit_due(struct wr_sink *k)
{
	int rc = WR_OK;

	while (rc == WR_OK && wr_commits_next(k->commits, &k->c.epoch)) {
		rc = post_and_wait(k, WR_SINK_COMMIT);
		if (rc == WR_OK)
			wr_commits_done(k->commits, k->c.began_ms);
	}
	return rc;
}

void wr_sink_tell(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	wr_metric_set(&s->ops_stats[0].logged,
		      (int64_t)(wr_commits_bytes(k->commits) + wr_epoch_log_bytes(k->log)));
	wr_metric_set(&s->ops_stats[0].commit_lag, (int64_t)wr_commits_lag(k->commits));
}

/* Once a checkpoint: what is not committed for long needs no better clock, and who forgets at once does not
 * keep us at it. */
static void keep_mark(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	uint64_t number;

	k->keeps = false;
	if (!wr_commits_keep(k->commits, k->target->keeps_ms, wr_clock_ms(s->env->clock), &number))
		return;
	k->c.epoch = (struct wr_epoch){.lineage = k->lineage, .log = s->env->subtask, .number = number};
	post(k, WR_SINK_KEEP, true);
}

void wr_sink_pump(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	wr_sink_tell(s);
	if (k->c.busy || k->retry_ns != UINT64_MAX || k->failed)
		return;
	if (wr_commits_ask(k->commits, &k->c.epoch.lineage, &k->c.epoch.log))
		post(k, WR_SINK_ASK, true);
	else if (wr_commits_next(k->commits, &k->c.epoch))
		post(k, WR_SINK_COMMIT, true);
	else if (k->keeps)
		keep_mark(s);
}

int wr_sink_tick(struct wr_stage *s, uint64_t now_ns)
{
	struct wr_sink *k = wr_sink_of(s);

	if (k->say_ns <= now_ns)
		wr_sink_say(s);
	if (k->until_ns <= now_ns) { /* for the last time */
		k->until_ns = k->retry_ns = UINT64_MAX;
		wr_sink_abandon(s);
	}
	if (k->retry_ns <= now_ns)
		k->retry_ns = UINT64_MAX;
	wr_sink_set_tick(s);
	wr_sink_pump(s);
	return WR_OK;
}

int wr_sink_pause(struct wr_stage *s)
{
	uint64_t now_ns = wr_clock_ns(s->env->clock);

	if (s->tick_ns <= now_ns)
		wr_sink_tick(s, now_ns);
	return WR_AGAIN;
}

/* What failed last, or was under way, is in the target. */
static void forget_failures(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	k->failures = 0;
	*k->why = 0;
	if (k->ends)
		wr_sink_renew(s);
}

/* It may be in the target or not: its mark is asked for, and then it is tried again. */
static int try_again(struct wr_stage *s, enum wr_sink_work what)
{
	struct wr_sink *k = wr_sink_of(s);
	bool bounded = k->until_ns != UINT64_MAX;
	uint32_t longest = bounded ? SHIFT_MAX : TRIES;

	if (what == WR_SINK_COMMIT)
		wr_commits_failed(k->commits);
	snprintf(k->why, sizeof k->why, "%s", k->c.text);
	k->failures++;
	if (k->c.rc != WR_ETRANSIENT || wr_sink_is_leaving(s) || (k->failures > TRIES && !bounded))
		return wr_sink_give_up(s);
	if (k->ends)
		wr_sink_say(s);
	else if (k->failures == 1)
		wr_warn(s->env->task, "%s; it is tried again", wr_error_text());
	k->retry_ns = wr_clock_ns(s->env->clock) +
		      ((uint64_t)DELAY_MS * NS_PER_MS << (k->failures < longest ? k->failures : longest));
	wr_sink_set_tick(s);
	return WR_OK;
}

/* There is time for it: the next checkpoint that holds tries it again. */
static int on_kept(struct wr_stage *s, int rc)
{
	struct wr_sink *k = wr_sink_of(s);

	if (rc == WR_OK)
		wr_commits_kept(k->commits, k->c.began_ms);
	else if (rc == WR_ETRANSIENT)
		wr_warn(s->env->task, "%s; the mark is written again later, so that it is not forgotten",
			k->c.text);
	else
		k->failed = true;
	if (!k->failed)
		wr_sink_pump(s);
	return k->failed ? rc : WR_OK;
}

/* The mark of a commit that failed is known. One beyond our checkpoints is of a process that has others, as
 * from a copy of the folder: two that went on side by side would drop each other's rows. */
static int on_asked(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	const struct wr_epoch *e = &k->c.epoch;
	uint64_t before = wr_commits_bytes(k->commits);

	if (wr_commits_overtaken(k->commits, e->lineage, e->log, k->c.mark)) {
		k->c.rc = WR_ESUPERSEDED;
		snprintf(k->c.text, sizeof k->c.text,
			 "%s: epoch %" PRIu64 " is committed, and no checkpoint of this process covers it: "
			 "another process of this job is at work, and this one writes nothing more",
			 wr_sink_uid(s), k->c.mark);
		return try_again(s, WR_SINK_ASK);
	}
	if (k->c.mark > e->number) /* which was tried, and not beyond it */
		wr_warn(s->env->task,
			"%s: another process of this job has committed epoch %" PRIu64 " meanwhile",
			wr_sink_uid(s), k->c.mark);
	wr_commits_answer(k->commits, e->lineage, e->log, k->c.mark);
	if (wr_commits_bytes(k->commits) < before)
		forget_failures(s);
	wr_sink_pump(s);
	return WR_OK;
}

/* A run that is played back hears of it when the recorded one did: then it waits here. */
static int on_done(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	int rc;

	if (!k->c.busy)
		return WR_OK;
	rc = wait_done(k);
	if (k->c.what == WR_SINK_KEEP)
		return on_kept(s, rc);
	if (k->c.rc < 0 && k->c.what != WR_SINK_SEAL)
		return try_again(s, k->c.what);
	if (k->c.what == WR_SINK_ASK)
		return on_asked(s);
	if (k->c.what == WR_SINK_COMMIT) {
		wr_commits_done(k->commits, k->c.began_ms);
		wr_metric_add(&s->ops_stats[0].commits, 1);
		forget_failures(s);
	}
	if (rc == WR_OK)
		wr_sink_pump(s);
	return rc;
}

int wr_sink_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct wr_sink *k = wr_sink_of(s);

	if (type == WR_LETTER_DONE)
		return on_done(s);
	if (type != WR_LETTER_COMPLETE)
		return WR_OK;
	k->complete = wr_letter_int(payload, len);
	k->wanted = false;
	k->keeps = true;
	wr_commits_complete(k->commits, k->complete);
	wr_sink_pump(s);
	return WR_OK;
}

/* ---- rows, and barriers ---- */

static void want_checkpoint(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	if (k->wanted || !wr_stage_takes_checkpoints(s->env))
		return;
	k->wanted = true;
	wr_stage_want_checkpoint(s);
}

/* Rows that another run of the job has committed already. */
static void skip_rows(struct wr_sink *k, struct wr_rows *rows)
{
	while (k->skip && rows->p < rows->end) {
		rows->p += ((const struct wr_elem *)rows->p)->len;
		k->skip--;
	}
}

static int log_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct wr_sink *k = wr_sink_of(s);
	int rc;

	if (k->skip)
		skip_rows(k, rows);
	if (rows->p == rows->end)
		return WR_OK;
	if (wr_commits_lag(k->commits) > k->log_max)
		return wr_sink_pause(s);
	rc = wr_epoch_log_add(k->log, wr_commits_after(k->commits), rows->p, rows->end);
	if (rc != WR_OK)
		return rc;
	rows->p = rows->end;
	if (wr_epoch_log_bytes(k->log) > k->log_max)
		want_checkpoint(s);
	wr_sink_tell(s);
	return WR_OK;
}

/* Logs those up to the first that does not fit, and puts that aside. */
static int log_fitting(struct wr_stage *s, struct wr_rows *rows)
{
	struct wr_target *t = wr_sink_of(s)->target;
	struct wr_rows run = *rows;
	const struct wr_elem *bad;
	int rc = WR_OK, why = WR_OK;

	for (run.end = rows->p; run.end < rows->end; run.end += ((const struct wr_elem *)run.end)->len) {
		why = t->ops->fits(t, (const struct wr_elem *)run.end);
		if (why != WR_OK)
			break;
	}
	bad = run.end < rows->end ? (const struct wr_elem *)run.end : NULL;
	if (run.p < run.end)
		rc = log_rows(s, &run);
	rows->p = run.p;
	if (rc != WR_OK || !bad)
		return rc;
	rows->p += bad->len;
	t->ops->fits(t, bad); /* says why once more */
	return why == WR_EUSER ? wr_stage_bad_row(s, 0, bad, NULL, 0, "", wr_error_text(), why) : why;
}

int wr_sink_rows(struct wr_stage *s, struct wr_rows *rows)
{
	int rc = WR_OK;

	if (!wr_sink_of(s)->target->ops->fits)
		return log_rows(s, rows);
	while (rows->p < rows->end && rc == WR_OK)
		rc = log_fitting(s, rows);
	return rc;
}

int wr_sink_cut(struct wr_stage *s, uint64_t number)
{
	struct wr_sink *k = wr_sink_of(s);
	uint64_t rows, bytes;
	int rc = wr_epoch_log_cut(k->log, number, &rows, &bytes);

	return rc == WR_OK ? wr_commits_barrier(k->commits, number, rows, bytes) : rc;
}

int wr_sink_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct wr_sink *k = wr_sink_of(s);
	int rc = wr_sink_cut(s, s->checkpoint);

	if (rc != WR_OK)
		return rc;
	wr_sink_saved_put(k->commits, k->target->scope, k->skip, out);
	return wr_bytes_status(out);
}

int wr_sink_names(struct wr_stage *s, struct wr_bytes *out)
{
	char id[WR_HISTORY_ID];
	struct wr_epoch e;

	for (uint32_t i = 0; wr_commits_named(wr_sink_of(s)->commits, i, &e); i++) {
		wr_history_log_id(wr_sink_uid(s), e.log, e.after, id);
		wr_bytes_put(out, id, strlen(id) + 1);
	}
	return wr_bytes_status(out);
}

int wr_sink_settle(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out)
{
	(void)checkpoint, (void)out;
	return wr_epoch_log_seal(wr_sink_of(s)->log);
}

/* ---- life ---- */

static int open_folder(struct wr_sink *k)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(k->folder, sizeof k->folder, "%.40s/weir-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(k->folder)) {
		wr_error_set(WR_EFATAL, "cannot make the folder %s: %s", k->folder, strerror(errno));
		*k->folder = 0;
		return WR_EFATAL;
	}
	k->blobs = wr_blobs_folder(k->folder, false);
	return k->blobs ? WR_OK : wr_error_code();
}

static int remove_log(void *blobs, const char *name)
{
	char id[WR_HISTORY_ID + 256];

	snprintf(id, sizeof id, WR_HISTORY_LOGS "/%.255s", name);
	return ((struct wr_blobs *)blobs)->ops->remove(blobs, id);
}

static void close_folder(struct wr_sink *k)
{
	if (!*k->folder)
		return;
	if (k->blobs) {
		k->blobs->ops->list(k->blobs, WR_HISTORY_LOGS, remove_log, k->blobs);
		k->blobs->ops->remove(k->blobs, WR_HISTORY_LOGS);
		k->blobs->ops->free(k->blobs);
	}
	rmdir(k->folder);
}

/* Without checkpoints nobody asks for the mark, and no other run may have it. */
static uint64_t lineage_of(const struct wr_stage *s)
{
	struct wr_rand draw = {wr_clock_ns(s->env->clock) ^ (uint64_t)wr_clock_ms(s->env->clock) << 20};

	return s->env->durable ? s->env->durable->lineage : wr_rand_next(&draw) >> 1;
}

static int start(struct wr_stage *s)
{
	const struct wr_durable *d = s->env->durable;
	struct wr_sink *k = wr_sink_of(s);
	struct wr_epoch_log_options o = {.io = s->env->io,
					 .wake = s->env->wake,
					 .uid = wr_sink_uid(s),
					 .lineage = lineage_of(s),
					 .log = s->env->subtask,
					 .packs = d && d->packs_logs};
	int rc;

	if (!wr_stage_takes_checkpoints(s->env) && open_folder(k) != WR_OK)
		return wr_error_code();
	if (wr_stage_takes_checkpoints(s->env))
		k->blobs = d->blobs;
	k->log_max = (uint64_t)wr_value_num(s->options, "log_max", WR_SINK_LOG_MAX);
	k->lineage = o.lineage;
	o.blobs = k->blobs;
	k->commits = wr_commits_new(k->lineage, o.log, d ? d->newest : 0);
	k->log = wr_epoch_log_new(&o);
	k->c.pool = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	k->c.queue = k->c.pool ? wr_ioqueue_new(k->c.pool) : NULL;
	if (!k->commits || !k->log || !k->c.queue)
		return wr_error_code();
	k->c.fresh = !d || !d->restore;
	rc = post_and_wait(k, WR_SINK_OPEN);
	k->opened = rc == WR_OK;
	return rc;
}

int wr_sink_open(struct wr_stage *s, struct wr_target *target)
{
	struct wr_sink *k = wr_zalloc(&mem, sizeof *k);

	if (!k) {
		target->ops->free(target);
		return WR_EFATAL;
	}
	s->state = k;
	k->target = target;
	k->retry_ns = k->say_ns = k->until_ns = UINT64_MAX;
	k->c.stage = s;
	k->c.job = (struct wr_iojob){.work = work, .done = work_done};
	pthread_mutex_init(&k->c.mutex, NULL);
	pthread_cond_init(&k->c.done, NULL);
	return start(s);
}

bool wr_sink_is_leaving(const struct wr_stage *s)
{
	return wr_stage_is_hurried(s->env) || atomic_load(&wr_sink_of(s)->abandoned);
}

void wr_sink_abandon(struct wr_stage *s)
{
	if (wr_sink_of(s))
		atomic_store(&wr_sink_of(s)->abandoned, true);
}

/* Of a job that fails, what its last checkpoint covers is committed still; what fails here is committed by
 * the next run. */
static void commit_rest(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	int rc = WR_OK;

	if (k->c.busy) {
		rc = wait_done(k);
		if (rc == WR_OK && k->c.what == WR_SINK_COMMIT)
			wr_commits_done(k->commits, k->c.began_ms);
		if (k->c.what == WR_SINK_KEEP)
			rc = WR_OK;
	}
	if (rc == WR_OK && !k->failed && !wr_stage_is_cancelled(s->env))
		rc = wr_sink_commit_due(k);
	if (rc != WR_OK && !k->failed)
		wr_warn(s->env->task, "%s; %s", wr_error_text(),
			wr_stage_takes_checkpoints(s->env) ? "the next run commits it" : "its rows are lost");
}

void wr_sink_free(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	if (!k)
		return;
	if (k->opened)
		commit_rest(s);
	if (k->c.pool)
		wr_iopool_free(k->c.pool);
	if (k->c.queue)
		wr_ioqueue_free(k->c.queue);
	k->target->ops->free(k->target);
	wr_epoch_log_free(k->log);
	wr_commits_free(k->commits);
	close_folder(k);
	pthread_cond_destroy(&k->c.done);
	pthread_mutex_destroy(&k->c.mutex);
	wr_free(&mem, k);
	s->state = NULL;
}
