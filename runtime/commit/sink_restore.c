/* SPDX-License-Identifier: Apache-2.0 */
/* sink_restore: a sink begins at a checkpoint: what of it is ours, and whether the target is where the
 * checkpoint says that it is. Before the first row, on the task's thread, which waits for the committer's. */
#include <inttypes.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "commit/sink_priv.h"
#include "commit/sink_saved.h"
#include "task/restore.h"

/* The epochs of a former subtask that are ours, and what it knew of the logs that are, while the lineage goes
 * on. Logs of another store come along. */
static int inherit(struct wr_stage *s, const struct wr_sink_saved *saved)
{
	const struct wr_durable *d = s->env->durable;
	struct wr_sink *k = wr_sink_of(s);
	bool goes_on = k->lineage == d->restore->manifest->lineage;
	int rc = WR_OK;

	for (uint32_t i = 0; i < saved->known_count && goes_on && rc == WR_OK; i++) {
		struct wr_committed known = wr_sink_saved_known(saved, i);

		if (wr_commits_owner(known.log, s->env->parallelism) == s->env->subtask)
			rc = wr_commits_know(k->commits, &known);
	}
	for (uint32_t i = 0; i < saved->epoch_count && rc == WR_OK; i++) {
		struct wr_epoch e = wr_sink_saved_epoch(saved, i);

		if (wr_commits_owner(e.log, s->env->parallelism) != s->env->subtask)
			continue;
		rc = wr_commits_inherit(k->commits, &e);
		if (rc == WR_OK && d->restore->blobs != k->blobs)
			rc = wr_epoch_log_copy(d->restore->blobs, k->blobs, wr_sink_uid(s), &e);
	}
	return rc;
}

/* The target has more than the checkpoint knows of: the rows in between will come again. */
static int restored_below(struct wr_stage *s, uint32_t log, uint64_t mark, bool same_parallelism)
{
	const struct wr_durable *d = s->env->durable;
	const struct wr_manifest *m = d->restore->manifest;
	struct wr_sink *k = wr_sink_of(s);
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
	if (wr_epoch_log_count(k->blobs, wr_sink_uid(s), m->lineage, log, m->checkpoint, mark, &rows) !=
	    WR_OK)
		return wr_error_wrap(wr_error_code(), "--skip-committed cannot tell how many rows to drop");
	k->skip += rows;
	wr_warn(s->env->task, "%" PRIu64 " rows that come now were committed before and are dropped", rows);
	return WR_OK;
}

/* The target has less than the checkpoint knows to be in it: what it lost is in no log any more. */
static int lost_its_mark(struct wr_stage *s, uint32_t log, uint64_t mark)
{
	struct wr_sink *k = wr_sink_of(s);
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

/* The target may have had a mark, and forgotten it: nobody knows whether what the checkpoint has logged is in
 * it. */
static int forgotten(struct wr_stage *s, uint64_t lineage, uint32_t log)
{
	const struct wr_durable *d = s->env->durable;
	const struct wr_manifest *m = d->restore->manifest;
	struct wr_sink *k = wr_sink_of(s);
	char taken[WR_CLOCK_TEXT];

	wr_clock_text(m->time_ms, taken);
	if (!d->assume_lost && !d->assume_committed)
		return wr_error_set(
		    WR_EUSER,
		    "checkpoint %" PRIu64 " is of %s, and the target keeps marks for %" PRId64
		    " s: it has none, and so nobody knows whether it has the rows that the checkpoint has "
		    "logged. Look, and say --assume-committed, which takes them for committed, or "
		    "--assume-lost, which commits them",
		    m->checkpoint, taken, k->target->keeps_ms / 1000);
	wr_warn(s->env->task,
		"the target has no mark: what checkpoint %" PRIu64 " has logged is taken for %s",
		m->checkpoint, d->assume_lost ? "lost, and is committed" : "committed");
	wr_commits_answer(k->commits, lineage, log, d->assume_lost ? 0 : m->checkpoint);
	return WR_OK;
}

static bool names_beyond(const struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark)
{
	struct wr_epoch e;

	for (uint32_t i = 0; wr_commits_named(c, i, &e); i++)
		if (e.lineage == lineage && e.log == log && e.number > mark)
			return true;
	return false;
}

/* The checkpoint was taken in another scope. Who is at work there still, as where a job begins beside the one
 * of whose savepoint it is, is left alone if all that is at stake is committed; else it is taken from them.
 * So it is where less is seen than is known to be there, since a look does not wait for long. A newer
 * checkpoint than this may have been taken in the present scope. */
static int ask_elsewhere(struct wr_stage *s, uint64_t lineage, uint32_t log, uint64_t *mark)
{
	struct wr_sink *k = wr_sink_of(s);
	const struct wr_target *t = k->target;
	const char *scope = k->scope;
	uint64_t here = 0;
	int rc = wr_sink_ask(k, WR_SINK_LOOK, lineage, log, mark);
	bool less = lineage == k->lineage && *mark < wr_commits_newest(k->commits, log);

	if (rc == WR_OK && (less || names_beyond(k->commits, lineage, log, *mark))) {
		wr_warn(s->env->task,
			"%s is \"%s\" now, and was \"%s\": what checkpoint %" PRIu64
			" has logged is committed under that name still, and a job that uses it ends",
			t->scope_option, t->scope, scope, s->env->durable->restore->manifest->checkpoint);
		rc = wr_sink_ask(k, WR_SINK_ASK, lineage, log, mark);
	}
	if (rc == WR_OK && lineage == k->lineage) {
		k->scope = NULL;
		rc = wr_sink_ask(k, WR_SINK_ASK, lineage, log, &here);
		k->scope = scope;
	}
	if (here > *mark)
		*mark = here;
	return rc == WR_OK
		   ? rc
		   : wr_error_wrap(rc, "%s is \"%s\" now, and was \"%s\"", t->scope_option, t->scope, scope);
}

/* Is there a newer checkpoint, which is damaged? It held, and so rows behind this one may be committed. */
static bool has_newer(const struct wr_stage *s)
{
	const struct wr_durable *d = s->env->durable;
	const struct wr_blobs_ops *ops = d->restore->blobs->ops;
	char id[WR_HISTORY_ID];
	struct wr_blob_view view;

	for (uint64_t n = d->restore->manifest->checkpoint + 1; n <= d->newest; n++) {
		int rc;

		wr_history_manifest_id(n, id);
		rc = ops->open(d->restore->blobs, id, &view);
		if (rc == WR_OK)
			ops->close(d->restore->blobs, &view);
		if (rc != WR_END)
			return true;
	}
	return false;
}

static int forgotten_below(const struct wr_stage *s)
{
	return wr_error_set(
	    WR_EUSER,
	    "checkpoint %" PRIu64 " is restored, as newer ones are damaged, and the target keeps "
	    "marks for %" PRId64 " s: it has none, and so nobody knows whether rows behind the "
	    "checkpoint are committed: only --allow-duplicates is left",
	    s->env->durable->restore->manifest->checkpoint, wr_sink_of(s)->target->keeps_ms / 1000);
}

/* Asks for the mark of a log, whatever lineage wrote it. */
static int check_mark(struct wr_stage *s, uint64_t lineage, uint32_t log, bool same_parallelism)
{
	const struct wr_manifest *m = s->env->durable->restore->manifest;
	struct wr_sink *k = wr_sink_of(s);
	struct wr_mark_age age = {k->target->keeps_ms, wr_clock_ms(s->env->clock), m->time_ms};
	uint64_t mark;
	int rc = k->scope ? ask_elsewhere(s, lineage, log, &mark)
			  : wr_sink_ask(k, WR_SINK_ASK, lineage, log, &mark);

	if (rc != WR_OK)
		return rc;
	if (mark == 0 && lineage == k->lineage && wr_mark_may_be_forgotten(&age, m->time_ms) && has_newer(s))
		return forgotten_below(s);
	switch (wr_commits_judge(k->commits, lineage, log, mark, &age)) {
	case WR_MARK_HOLDS:
		break;
	case WR_MARK_EXPIRED:
		mark = wr_commits_newest(k->commits, log);
		wr_info(s->env->task,
			"the target has forgotten that epoch %" PRIu64
			" is in it, the last one: nothing is lost",
			mark);
		break;
	case WR_MARK_UNCERTAIN:
		return forgotten(s, lineage, log);
	case WR_MARK_LOST:
		return lost_its_mark(s, log, mark);
	}
	if (lineage == m->lineage && mark > m->checkpoint)
		rc = restored_below(s, log, mark, same_parallelism);
	if (rc == WR_OK)
		wr_commits_answer(k->commits, lineage, log, mark);
	return rc;
}

/* How many logs there may be: as many as the checkpoint has subtasks or knows of, and where a later one was
 * begun any that the job can have. */
static uint32_t logs_max(const struct wr_stage *s, uint32_t parallelism)
{
	const struct wr_durable *d = s->env->durable;
	uint32_t max = parallelism;
	struct wr_committed known;

	if (max <= s->env->subtask)
		max = s->env->subtask + 1;
	if (wr_sink_of(s)->lineage == d->restore->manifest->lineage &&
	    d->newest > d->restore->manifest->checkpoint && s->env->max_parallelism > max)
		max = s->env->max_parallelism;
	for (uint32_t i = 0; wr_commits_known(wr_sink_of(s)->commits, i, &known); i++)
		if (known.log >= max)
			max = known.log + 1;
	return max;
}

static int ask_for_marks(struct wr_stage *s, uint32_t parallelism)
{
	const struct wr_manifest *m = s->env->durable->restore->manifest;
	bool same_parallelism = parallelism == s->env->parallelism;
	uint32_t max = logs_max(s, parallelism), log;
	struct wr_sink *k = wr_sink_of(s);
	uint64_t lineage;
	int rc = WR_OK;

	for (log = 0; log < max && rc == WR_OK; log++)
		if (wr_commits_owner(log, s->env->parallelism) == s->env->subtask)
			rc = check_mark(s, m->lineage, log, same_parallelism);
	while (rc == WR_OK && wr_commits_ask(k->commits, &lineage, &log))
		rc = check_mark(s, lineage, log, same_parallelism);
	return rc;
}

/* The scope in which the checkpoint was taken, if it is another than the target's. */
static const char *other_scope(const struct wr_sink *k, const struct wr_sink_saved *part)
{
	bool differs = part->scope && k->target->scope && strcmp(part->scope, k->target->scope) != 0;

	return differs ? part->scope : NULL;
}

/* Where the parallelism is another, the rows of a key may be left in the log of one subtask and come from now
 * on to another: what is left is committed before the subtask can be part of a checkpoint, and so before
 * anything that comes is. Where the scope is another the same is done, so that a checkpoint is of one scope.
 */
int wr_sink_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct wr_sink *k = wr_sink_of(s);
	int rc = WR_OK;

	k->complete = s->env->durable->restore->manifest->checkpoint;
	wr_commits_complete(k->commits, k->complete);
	for (uint32_t i = 0; i < saved->count && rc == WR_OK; i++) {
		struct wr_sink_saved part;

		rc = wr_sink_saved_read(saved->parts[i].value, &part);
		if (rc == WR_OK)
			rc = inherit(s, &part);
		if (rc == WR_OK && !k->scope)
			k->scope = other_scope(k, &part);
		if (rc == WR_OK && saved->parts[i].subtask == s->env->subtask)
			k->skip += part.skip;
	}
	if (rc == WR_OK)
		rc = ask_for_marks(s, saved->parallelism);
	if (rc == WR_OK && (k->scope || saved->parallelism != s->env->parallelism))
		rc = wr_sink_commit_due(k);
	if (rc == WR_OK && k->scope)
		wr_commits_forget(k->commits);
	k->scope = NULL;
	k->failed = rc != WR_OK; /* what is left may belong to that scope: it stays in the log */
	if (rc == WR_OK)
		wr_sink_pump(s);
	return rc;
}
