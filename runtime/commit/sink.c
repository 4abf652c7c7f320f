/* SPDX-License-Identifier: Apache-2.0 */
/* sink: see sink.h. Everything that decides is on the task's thread (commits.c); the committer's thread is
 * given one piece of work at a time and says by mail that it is done. */
#include "commit/sink.h"

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
#include "record/key.h"
#include "task/letter.h"
#include "task/restore.h"

enum { TRIES = 8, DELAY_MS = 100, NS_PER_MS = 1000000, NUMBERS = 6 /* of an epoch in saved state */ };

enum work { OPEN, ASK, COMMIT, SEAL };

/* What the committer's thread is asked to do. */
struct committer {
	struct wr_iojob job; /* first */
	struct wr_stage *stage;
	struct wr_iopool *pool; /* one thread, which may block as long as it likes */
	struct wr_ioqueue *queue;
	bool busy;  /* the task's: something was posted and is not heard of yet */
	bool mails; /* says so by mail; else the task waits for it */
	enum work what;
	struct wr_epoch epoch; /* ASK: lineage and log only */
	bool fresh;
	/* the answer */
	int rc;
	uint64_t mark;
	char text[1024];
	pthread_mutex_t mutex;
	pthread_cond_t done;
	bool is_done;
};

struct sink {
	struct wr_target *target;
	struct wr_blobs *blobs; /* where logs lie */
	char folder[64];	/* without checkpoints: a temporary one, else "" */
	struct wr_commits *commits;
	struct wr_epoch_log *log;
	struct committer c;
	uint64_t log_max;
	uint64_t lineage, newest, complete;
	uint64_t skip;	   /* rows to be dropped, which were committed by a job that got further */
	uint32_t failures; /* of one commit, in a row */
	bool wanted;	   /* a checkpoint was asked for */
	bool failed, opened;
};

static struct wr_mem mem = WR_MEM_INIT("commit.sink");

static struct sink *of(const struct wr_stage *s)
{
	return s->state;
}

static const char *uid_of(const struct wr_stage *s)
{
	return s->ops_stats[0].uid;
}

static bool takes_checkpoints(const struct wr_stage *s)
{
	return s->env->durable && s->env->durable->blobs;
}

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
	struct sink *k = of(s);
	struct wr_epoch_rows rows;
	int rc = wr_epoch_rows_open(&rows, k->blobs, uid_of(s), &k->c.epoch);

	WR_CRASH_STEP("commit.begin");
	if (rc == WR_OK)
		rc = k->target->ops->commit(k->target, mark, k->c.epoch.number, &rows);
	wr_epoch_rows_close(&rows);
	WR_CRASH_STEP("commit.done");
	return rc == WR_OK ? rc : wr_error_wrap(rc, "commit of epoch %" PRIu64, k->c.epoch.number);
}

static void work(struct wr_iojob *job)
{
	struct committer *c = (struct committer *)job;
	struct sink *k = of(c->stage);
	struct wr_mark mark = {uid_of(c->stage), c->epoch.lineage, c->epoch.log};

	switch (c->what) {
	case OPEN:
		c->rc = k->target->ops->open(k->target, c->fresh);
		break;
	case ASK:
		c->mark = 0;
		c->rc = k->target->ops->last(k->target, &mark, &c->mark);
		break;
	case COMMIT:
		c->rc = commit(c->stage, &mark);
		break;
	case SEAL:
		c->rc = wr_epoch_log_seal(k->log);
		break;
	}
	if (c->rc < 0)
		snprintf(c->text, sizeof c->text, "%s", wr_error_text());
}

/* It is done before it is said: who hears of it may post the next. */
static void work_done(struct wr_iojob *job)
{
	struct committer *c = (struct committer *)job;
	bool mails = c->mails;

	pthread_mutex_lock(&c->mutex);
	c->is_done = true;
	pthread_cond_signal(&c->done);
	pthread_mutex_unlock(&c->mutex);
	if (mails && wr_stage_mail(c->stage, WR_LETTER_DONE, NULL, 0) != WR_OK)
		wr_err(c->stage->env->task, "the end of a commit is not heard of: %s", wr_error_text());
}

/* ---- the task's thread: giving it work ---- */

static void post(struct sink *k, enum work what, bool mails)
{
	WR_ASSERT(!k->c.busy);
	k->c.busy = true;
	k->c.what = what;
	k->c.mails = mails;
	k->c.is_done = false;
	wr_ioqueue_post(k->c.queue, &k->c.job);
}

static int answer(const struct sink *k)
{
	return k->c.rc < 0 ? wr_error_set(k->c.rc, "%s", k->c.text) : WR_OK;
}

static int wait_done(struct sink *k)
{
	struct committer *c = &k->c;

	pthread_mutex_lock(&c->mutex);
	while (!c->is_done)
		pthread_cond_wait(&c->done, &c->mutex);
	pthread_mutex_unlock(&c->mutex);
	c->busy = false;
	return answer(k);
}

/* Only before the first row and behind the last: nothing else happens meanwhile. */
static int post_and_wait(struct sink *k, enum work what)
{
	post(k, what, false);
	return wait_done(k);
}

static void tell(struct wr_stage *s)
{
	struct sink *k = of(s);

	wr_metric_set(&s->ops_stats[0].logged,
		      (int64_t)(wr_commits_bytes(k->commits) + wr_epoch_log_bytes(k->log)));
	wr_metric_set(&s->ops_stats[0].commit_lag, (int64_t)wr_commits_lag(k->commits));
}

/* Gives the committer what comes next, unless it is at work. */
static void pump(struct wr_stage *s)
{
	struct sink *k = of(s);

	tell(s);
	if (k->c.busy || s->tick_ns != UINT64_MAX || k->failed)
		return;
	if (wr_commits_ask(k->commits, &k->c.epoch.lineage, &k->c.epoch.log))
		post(k, ASK, true);
	else if (wr_commits_next(k->commits, &k->c.epoch))
		post(k, COMMIT, true);
}

int wr_sink_tick(struct wr_stage *s, uint64_t now_ns)
{
	(void)now_ns;
	s->tick_ns = UINT64_MAX;
	pump(s);
	return WR_OK;
}

/* A task that is paused fires no timers. */
static int pause_task(struct wr_stage *s)
{
	uint64_t now_ns = wr_clock_ns(s->env->clock);

	if (s->tick_ns <= now_ns)
		wr_sink_tick(s, now_ns);
	return WR_AGAIN;
}

/* It may be in the target or not: its mark is asked for, and then it is tried again. */
static int try_again(struct wr_stage *s, enum work what)
{
	struct sink *k = of(s);

	if (what == COMMIT)
		wr_commits_failed(k->commits);
	if (k->c.rc != WR_ETRANSIENT || ++k->failures > TRIES) {
		k->failed = true;
		return answer(k);
	}
	if (k->failures == 1)
		wr_warn(s->env->task, "%s; it is tried again", k->c.text);
	s->tick_ns = wr_clock_ns(s->env->clock) + ((uint64_t)DELAY_MS * NS_PER_MS << k->failures);
	return WR_OK;
}

/* A run that is played back hears of it when the recorded one did: then it waits here. */
static int on_done(struct wr_stage *s)
{
	struct sink *k = of(s);
	int rc;

	if (!k->c.busy)
		return WR_OK;
	rc = wait_done(k);
	if (k->c.rc < 0 && k->c.what != SEAL)
		return try_again(s, k->c.what);
	if (k->c.what == ASK)
		wr_commits_answer(k->commits, k->c.epoch.lineage, k->c.epoch.log, k->c.mark);
	if (k->c.what == COMMIT) {
		k->failures = 0;
		wr_commits_done(k->commits);
		wr_metric_add(&s->ops_stats[0].commits, 1);
	}
	if (rc == WR_OK)
		pump(s);
	return rc;
}

int wr_sink_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct sink *k = of(s);

	if (type == WR_LETTER_DONE)
		return on_done(s);
	if (type != WR_LETTER_COMPLETE)
		return WR_OK;
	k->complete = wr_letter_checkpoint(payload, len);
	k->wanted = false;
	wr_commits_complete(k->commits, k->complete);
	pump(s);
	return WR_OK;
}

/* ---- rows, and barriers ---- */

static void want_checkpoint(struct wr_stage *s)
{
	struct sink *k = of(s);
	const struct wr_stage_env *env = s->env;

	if (k->wanted || !takes_checkpoints(s))
		return;
	k->wanted = true;
	env->post(env->post_arg, env->vertex, env->subtask, s->index, WR_LETTER_WANTED, NULL, 0);
}

/* Rows that another run of the job has committed already. */
static void skip_rows(struct sink *k, struct wr_rows *rows)
{
	while (k->skip && rows->p < rows->end) {
		rows->p += ((const struct wr_elem *)rows->p)->len;
		k->skip--;
	}
}

int wr_sink_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct sink *k = of(s);
	int rc;

	if (k->skip)
		skip_rows(k, rows);
	if (rows->p == rows->end)
		return WR_OK;
	if (wr_commits_lag(k->commits) > k->log_max)
		return pause_task(s);
	rc = wr_epoch_log_add(k->log, k->newest, rows->p, rows->end);
	if (rc != WR_OK)
		return rc;
	rows->p = rows->end;
	if (wr_epoch_log_bytes(k->log) > k->log_max)
		want_checkpoint(s);
	tell(s);
	return WR_OK;
}

/* The open epoch ends at barrier `number`. */
static int cut(struct wr_stage *s, uint64_t number)
{
	struct sink *k = of(s);
	uint64_t rows, bytes;
	int rc = wr_epoch_log_cut(k->log, number, &rows, &bytes);

	if (rc == WR_OK)
		rc = wr_commits_barrier(k->commits, number, rows, bytes);
	if (rc == WR_OK)
		k->newest = number;
	return rc;
}

static void put_committed(const struct sink *k, struct wr_bytes *out)
{
	uint64_t number;
	uint32_t count = 0, log;

	while (wr_commits_known(k->commits, count, &log, &number))
		count++;
	wr_value_put_name(out, "committed");
	wr_value_put_list(out, count);
	for (uint32_t i = 0; wr_commits_known(k->commits, i, &log, &number); i++) {
		wr_value_put_list(out, 2);
		wr_value_put_i64(out, log);
		wr_value_put_i64(out, (int64_t)number);
	}
}

int wr_sink_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct sink *k = of(s);
	struct wr_epoch e;
	uint32_t count = 0;
	int rc = cut(s, s->checkpoint);

	if (rc != WR_OK)
		return rc;
	while (wr_commits_named(k->commits, count, &e))
		count++;
	wr_value_put_record(out, 3); /* in the order of names */
	put_committed(k, out);
	wr_value_put_name(out, "epochs");
	wr_value_put_list(out, count);
	for (uint32_t i = 0; wr_commits_named(k->commits, i, &e); i++) {
		wr_value_put_list(out, NUMBERS);
		wr_value_put_i64(out, (int64_t)e.lineage);
		wr_value_put_i64(out, e.log);
		wr_value_put_i64(out, (int64_t)e.number);
		wr_value_put_i64(out, (int64_t)e.after);
		wr_value_put_i64(out, (int64_t)e.rows);
		wr_value_put_i64(out, (int64_t)e.bytes);
	}
	wr_value_put_name(out, "skip");
	wr_value_put_i64(out, (int64_t)k->skip);
	return wr_bytes_status(out);
}

int wr_sink_names(struct wr_stage *s, struct wr_bytes *out)
{
	char id[WR_HISTORY_ID];
	struct wr_epoch e;

	for (uint32_t i = 0; wr_commits_named(of(s)->commits, i, &e); i++) {
		wr_history_log_id(uid_of(s), e.log, e.after, id);
		wr_bytes_put(out, id, strlen(id) + 1);
	}
	return wr_bytes_status(out);
}

int wr_sink_settle(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out)
{
	(void)checkpoint, (void)out;
	return wr_epoch_log_seal(of(s)->log);
}

/* Without checkpoints all is one epoch. */
static int commit_all(struct wr_stage *s)
{
	struct sink *k = of(s);
	int rc = WR_OK;

	if (wr_epoch_log_rows(k->log) && !k->c.busy) {
		uint64_t number = k->newest + 1;

		rc = cut(s, number);
		if (rc == WR_OK)
			post(k, SEAL, true);
		wr_commits_complete(k->commits, number);
	}
	return rc;
}

/* Is there a row that the last complete checkpoint does not cover? */
static bool uncovered(const struct sink *k)
{
	struct wr_epoch e;
	bool found = wr_epoch_log_rows(k->log) > 0;

	for (uint32_t i = 0; wr_commits_named(k->commits, i, &e); i++)
		found |= e.number > k->complete;
	return found;
}

/* Waits for the checkpoint that covers the last row, and for its commit (C28). */
int wr_sink_end(struct wr_stage *s)
{
	struct sink *k = of(s);
	struct wr_epoch e;
	int rc = takes_checkpoints(s) ? WR_OK : commit_all(s);

	if (rc != WR_OK)
		return rc;
	s->awaits_checkpoint = takes_checkpoints(s) && uncovered(k);
	tell(s);
	return wr_epoch_log_rows(k->log) || wr_commits_named(k->commits, 0, &e) ? pause_task(s) : WR_OK;
}

/* ---- beginning at a checkpoint ---- */

static bool read_epoch(const struct wr_value *v, struct wr_epoch *e)
{
	if (v->tag != WR_V_LIST || v->count != NUMBERS)
		return false;
	for (uint32_t i = 0; i < NUMBERS; i++)
		if (v->items[i].tag != WR_V_I64 || v->items[i].i64 < 0)
			return false;
	*e = (struct wr_epoch){(uint64_t)v->items[0].i64, (uint32_t)v->items[1].i64,
			       (uint64_t)v->items[2].i64, (uint64_t)v->items[3].i64,
			       (uint64_t)v->items[4].i64, (uint64_t)v->items[5].i64};
	return true;
}

static int malformed(void)
{
	return wr_error_set(WR_EUSER, "the sink's saved state is malformed");
}

/* What a former subtask knew of the logs that are ours, while the lineage goes on. */
static int inherit_known(struct wr_stage *s, const struct wr_value *saved)
{
	struct sink *k = of(s);
	uint32_t count = 0;
	const struct wr_value *list = wr_value_list(saved, "committed", &count);
	int rc = WR_OK;

	for (uint32_t i = 0; i < count && rc == WR_OK; i++) {
		const struct wr_value *v = &list[i];

		if (v->tag != WR_V_LIST || v->count != 2 || v->items[0].tag != WR_V_I64 ||
		    v->items[1].tag != WR_V_I64 || v->items[0].i64 < 0 || v->items[1].i64 < 0)
			return malformed();
		if (k->lineage == s->env->durable->restore->manifest->lineage &&
		    wr_commits_owner((uint32_t)v->items[0].i64, s->env->parallelism) == s->env->subtask)
			rc =
			    wr_commits_know(k->commits, (uint32_t)v->items[0].i64, (uint64_t)v->items[1].i64);
	}
	return rc;
}

/* The epochs of a former subtask that are ours. Logs of another store come along. */
static int inherit(struct wr_stage *s, const struct wr_value *saved)
{
	const struct wr_durable *d = s->env->durable;
	struct sink *k = of(s);
	uint32_t count = 0;
	bool good = saved->tag == WR_V_RECORD && wr_value_get(saved, "epochs");
	const struct wr_value *list = good ? wr_value_list(saved, "epochs", &count) : NULL;
	struct wr_epoch e;
	int rc = good ? inherit_known(s, saved) : malformed();

	for (uint32_t i = 0; i < count && rc == WR_OK; i++) {
		if (!read_epoch(&list[i], &e))
			return malformed();
		if (wr_commits_owner(e.log, s->env->parallelism) != s->env->subtask)
			continue;
		rc = wr_commits_inherit(k->commits, &e);
		if (rc == WR_OK && d->restore->blobs != k->blobs)
			rc = wr_epoch_log_copy(d->restore->blobs, k->blobs, uid_of(s), &e);
	}
	return rc;
}

static int ask(struct sink *k, uint64_t lineage, uint32_t log, uint64_t *mark)
{
	int rc;

	k->c.epoch = (struct wr_epoch){.lineage = lineage, .log = log};
	rc = post_and_wait(k, ASK);
	*mark = k->c.mark;
	return rc;
}

/* The target has more than the checkpoint knows of: the rows in between will come again. */
static int restored_below(struct wr_stage *s, uint32_t log, uint64_t mark, bool same_parallelism)
{
	const struct wr_durable *d = s->env->durable;
	const struct wr_manifest *m = d->restore->manifest;
	struct sink *k = of(s);
	uint64_t rows = 0;

	if (k->lineage != m->lineage) {
		wr_warn(s->env->task,
			"the job begins at checkpoint %" PRIu64 ", and rows up to epoch %" PRIu64
			" are committed: those in between come again",
			m->checkpoint, mark);
		return WR_OK;
	}
	if (!d->skip_committed)
		return wr_error_set(
		    WR_EUSER,
		    "checkpoint %" PRIu64 " is restored, but rows up to epoch %" PRIu64
		    " are committed already: they would come twice; --skip-committed drops as many "
		    "rows as were committed since, --allow-duplicates commits them again",
		    m->checkpoint, mark);
	if (mark > d->newest)
		return wr_error_set(WR_EUSER,
				    "epoch %" PRIu64 " is committed, and the folder knows of none beyond "
				    "%" PRIu64 ": only --allow-duplicates is left",
				    mark, d->newest);
	if (!same_parallelism)
		return wr_error_set(WR_EUSER, "--skip-committed needs the sink's parallelism as it was");
	if (wr_epoch_log_count(k->blobs, uid_of(s), m->lineage, log, m->checkpoint, mark, &rows) != WR_OK)
		return wr_error_wrap(wr_error_code(), "--skip-committed cannot tell how many rows to drop");
	k->skip += rows;
	wr_warn(s->env->task, "%" PRIu64 " rows that come now were committed before and are dropped", rows);
	return WR_OK;
}

/* The target has less than the checkpoint knows to be in it: what it lost is in no log any more. */
static int lost_its_mark(struct wr_stage *s, uint32_t log, uint64_t mark)
{
	struct sink *k = of(s);
	uint64_t known = wr_commits_newest(k->commits, log);
	const struct wr_durable *d = s->env->durable;
	uint64_t checkpoint = d->restore->manifest->checkpoint;

	if (!d->skip_committed)
		return wr_error_set(
		    WR_EUSER,
		    "by checkpoint %" PRIu64 " rows up to epoch %" PRIu64
		    " are committed, and the target's mark is %" PRIu64
		    ": it lost rows or marks, or is another target. Bring it back, or go on without what it "
		    "lost: --allow-duplicates commits the rows that the checkpoint has logged, which may "
		    "be there already, --skip-committed takes them for committed; --resume=never begins "
		    "anew",
		    checkpoint, known, mark);
	wr_warn(s->env->task,
		"the target's mark is %" PRIu64 ", and epoch %" PRIu64
		" was committed: all that checkpoint %" PRIu64 " has logged is taken for committed",
		mark, known, checkpoint);
	wr_commits_answer(k->commits, d->restore->manifest->lineage, log, checkpoint);
	wr_commits_lost(k->commits, log, mark);
	return WR_OK;
}

/* Asks for the mark of a log of the restored job. */
static int check_mark(struct wr_stage *s, uint32_t log, bool same_parallelism)
{
	const struct wr_manifest *m = s->env->durable->restore->manifest;
	struct sink *k = of(s);
	uint64_t mark;
	int rc = ask(k, m->lineage, log, &mark);

	if (rc == WR_OK && mark < wr_commits_newest(k->commits, log))
		return lost_its_mark(s, log, mark);
	if (rc == WR_OK && mark > m->checkpoint)
		rc = restored_below(s, log, mark, same_parallelism);
	if (rc == WR_OK)
		wr_commits_answer(k->commits, m->lineage, log, mark);
	return rc;
}

/* How many logs there may be: as many as the checkpoint has subtasks or knows of, and where a later one was
 * begun any that the job can have. */
static uint32_t logs_max(const struct wr_stage *s, uint32_t parallelism)
{
	const struct wr_durable *d = s->env->durable;
	uint32_t max = parallelism, log;
	uint64_t number;

	if (max <= s->env->subtask)
		max = s->env->subtask + 1;
	if (of(s)->lineage == d->restore->manifest->lineage && d->newest > d->restore->manifest->checkpoint &&
	    s->env->max_parallelism > max)
		max = s->env->max_parallelism;
	for (uint32_t i = 0; wr_commits_known(of(s)->commits, i, &log, &number); i++)
		if (log >= max)
			max = log + 1;
	return max;
}

static int ask_for_marks(struct wr_stage *s, uint32_t parallelism)
{
	const struct wr_manifest *m = s->env->durable->restore->manifest;
	bool same_parallelism = parallelism == s->env->parallelism;
	uint32_t max = logs_max(s, parallelism), log;
	struct sink *k = of(s);
	uint64_t lineage, mark;
	int rc = WR_OK;

	for (log = 0; log < max && rc == WR_OK; log++)
		if (wr_commits_owner(log, s->env->parallelism) == s->env->subtask)
			rc = check_mark(s, log, same_parallelism);
	while (rc == WR_OK && wr_commits_ask(k->commits, &lineage, &log)) {
		if (lineage == m->lineage) {
			rc = check_mark(s, log, same_parallelism);
			continue;
		}
		rc = ask(k, lineage, log, &mark);
		if (rc == WR_OK)
			wr_commits_answer(k->commits, lineage, log, mark);
	}
	return rc;
}

int wr_sink_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct sink *k = of(s);
	int rc = WR_OK;

	k->complete = s->env->durable->restore->manifest->checkpoint;
	wr_commits_complete(k->commits, k->complete);
	for (uint32_t i = 0; i < saved->count && rc == WR_OK; i++) {
		rc = inherit(s, saved->parts[i].value);
		if (rc == WR_OK && saved->parts[i].subtask == s->env->subtask)
			k->skip += (uint64_t)wr_value_int(saved->parts[i].value, "skip", 0);
	}
	if (rc == WR_OK)
		rc = ask_for_marks(s, saved->parallelism);
	if (rc == WR_OK)
		pump(s);
	return rc;
}

/* ---- life ---- */

static int open_folder(struct sink *k)
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

static void close_folder(struct sink *k)
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
	struct sink *k = of(s);
	struct wr_epoch_log_options o = {.io = s->env->io,
					 .wake = s->env->wake,
					 .uid = uid_of(s),
					 .lineage = lineage_of(s),
					 .log = s->env->subtask};
	int rc;

	if (!takes_checkpoints(s) && open_folder(k) != WR_OK)
		return wr_error_code();
	if (takes_checkpoints(s))
		k->blobs = d->blobs;
	k->log_max = (uint64_t)wr_value_num(s->options, "log_max", WR_SINK_LOG_MAX);
	k->lineage = o.lineage;
	k->newest = d ? d->newest : 0;
	o.blobs = k->blobs;
	k->commits = wr_commits_new(k->lineage, o.log, k->newest);
	k->log = wr_epoch_log_new(&o);
	k->c.pool = wr_iopool_new(1);
	k->c.queue = k->c.pool ? wr_ioqueue_new(k->c.pool) : NULL;
	if (!k->commits || !k->log || !k->c.queue)
		return wr_error_code();
	k->c.fresh = !d || !d->restore;
	rc = post_and_wait(k, OPEN);
	k->opened = rc == WR_OK;
	return rc;
}

int wr_sink_open(struct wr_stage *s, struct wr_target *target)
{
	struct sink *k = wr_zalloc(&mem, sizeof *k);

	if (!k) {
		target->ops->free(target);
		return WR_EFATAL;
	}
	s->state = k;
	k->target = target;
	k->c.stage = s;
	k->c.job = (struct wr_iojob){.work = work, .done = work_done};
	pthread_mutex_init(&k->c.mutex, NULL);
	pthread_cond_init(&k->c.done, NULL);
	return start(s);
}

/* A job that is stopped hears that its last checkpoint holds, and ends: what that covers is committed still.
 * What fails here is committed by the next run. */
static void commit_rest(struct sink *k)
{
	int rc = WR_OK;

	if (k->c.busy) {
		rc = wait_done(k);
		if (rc == WR_OK && k->c.what == COMMIT)
			wr_commits_done(k->commits);
	}
	while (rc == WR_OK && !k->failed && wr_commits_next(k->commits, &k->c.epoch)) {
		rc = post_and_wait(k, COMMIT);
		if (rc == WR_OK)
			wr_commits_done(k->commits);
	}
}

void wr_sink_free(struct wr_stage *s)
{
	struct sink *k = of(s);

	if (!k)
		return;
	if (k->opened)
		commit_rest(k);
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
