/* SPDX-License-Identifier: Apache-2.0 */
/* sink_end: nothing comes to a sink any more, or its job has left at a checkpoint that holds: the last
 * commits are waited for. Each has as long as the job says (struct wr_durable.patience_ns); then, or as soon
 * as the user does not wait, it is given up, and what is in the log is owed: the next run commits it. Without
 * checkpoints there is no next run that could, so such a commit is tried as any other. On the task's thread.
 */
#include <inttypes.h>
#include "base/error.h"
#include "base/log.h"
#include "commit/sink_priv.h"
#include "stream/remote.h"

static const uint64_t SILENT_NS = 2000000000; /* most commits are done by then */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void wr_sink_set_tick(struct wr_stage *s)
{
	const struct wr_sink *k = wr_sink_of(s);

	s->tick_ns = earlier(k->retry_ns, earlier(k->say_ns, k->until_ns));
}

/* ---- waiting ---- */

void wr_sink_say(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	struct wr_remote_view remote;
	const char *why = k->why;
	struct wr_epoch e;

	k->say_ns = UINT64_MAX;
	if (k->said || !wr_commits_named(k->commits, 0, &e))
		return;
	k->said = true;
	if (!*why && wr_remote_of(&s->ops_stats[0].remote, &remote) && remote.down_ns)
		why = remote.error;
	if (*why)
		wr_warn(s->env->task, "waiting to commit epoch %" PRIu64 " of %s: %s", e.number,
			wr_sink_uid(s), why);
	else
		wr_info(s->env->task, "waiting to commit epoch %" PRIu64 " of %s: it is under way", e.number,
			wr_sink_uid(s));
}

void wr_sink_renew(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	uint64_t now_ns = wr_clock_ns(s->env->clock);

	atomic_store(&k->abandoned, false);
	k->say_ns = k->said ? UINT64_MAX : now_ns + SILENT_NS;
	if (wr_stage_takes_checkpoints(s->env))
		k->until_ns = now_ns + s->env->durable->patience_ns;
	wr_sink_set_tick(s);
}

int wr_sink_give_up(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	k->failed = true;
	k->retry_ns = k->say_ns = k->until_ns = UINT64_MAX;
	wr_sink_set_tick(s);
	return k->leaves ? WR_OK : wr_sink_answer(k);
}

/* WR_AGAIN until nothing more happens; or the error of what is given up. */
static int await_commits(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	if (!k->ends) {
		k->ends = true;
		wr_sink_renew(s);
	}
	if (k->retry_ns != UINT64_MAX && wr_sink_is_leaving(s))
		return wr_sink_give_up(s);
	return wr_sink_pause(s);
}

/* ---- the end of the input ---- */

/* Without checkpoints all is one epoch. */
static int commit_all(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	int rc = WR_OK;

	if (wr_epoch_log_rows(k->log) && !k->c.busy) {
		uint64_t number = wr_commits_after(k->commits) + 1;

		rc = wr_sink_cut(s, number);
		if (rc == WR_OK)
			wr_sink_post_seal(s);
		wr_commits_complete(k->commits, number);
	}
	return rc;
}

/* Is there a row that the last complete checkpoint does not cover? */
static bool uncovered(const struct wr_sink *k)
{
	struct wr_epoch e;
	bool found = wr_epoch_log_rows(k->log) > 0;

	for (uint32_t i = 0; wr_commits_named(k->commits, i, &e); i++)
		found |= e.number > k->complete;
	return found;
}

/* Waits for the checkpoint that covers the last row, and for its commit (C28). Meanwhile others may be taken
 * as well. */
int wr_sink_end(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);
	bool takes = wr_stage_takes_checkpoints(s->env), left;
	struct wr_epoch e;
	int rc = takes ? WR_OK : commit_all(s);

	if (rc != WR_OK)
		return rc;
	left = wr_epoch_log_rows(k->log) || wr_commits_named(k->commits, 0, &e);
	s->awaits_checkpoint = takes && left;
	wr_sink_tell(s);
	if (!left)
		return WR_OK;
	return takes && uncovered(k) ? wr_sink_pause(s) : await_commits(s);
}

/* ---- the end of the job ---- */

/* The oldest epoch is the first that a checkpoint covers. */
static bool is_due(const struct wr_sink *k)
{
	struct wr_epoch e;

	return wr_commits_named(k->commits, 0, &e) && e.number <= k->complete;
}

/* What waits to be tried again is tried now. */
int wr_sink_leave(struct wr_stage *s)
{
	struct wr_sink *k = wr_sink_of(s);

	if (!k->leaves) {
		k->leaves = true;
		k->retry_ns = UINT64_MAX;
		wr_sink_set_tick(s);
		wr_sink_pump(s);
	}
	return k->failed || !is_due(k) ? WR_OK : await_commits(s);
}

bool wr_sink_owes(const struct wr_stage *s, struct wr_owed *out)
{
	const struct wr_sink *k = wr_sink_of(s);
	struct wr_epoch e;

	*out = (struct wr_owed){.first = UINT64_MAX};
	if (!k || !k->opened || (!k->failed && !wr_stage_is_cancelled(s->env)))
		return false;
	out->why = k->why;
	for (uint32_t i = 0; wr_commits_named(k->commits, i, &e); i++) {
		if (wr_stage_takes_checkpoints(s->env) && e.number > k->complete)
			break;
		out->rows += e.rows;
		out->bytes += e.bytes;
		out->first = earlier(out->first, e.number);
		out->last = e.number;
	}
	return out->rows > 0;
}
