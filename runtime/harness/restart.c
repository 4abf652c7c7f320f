/* SPDX-License-Identifier: Apache-2.0 */
/* restart: a checkpoint as a running job takes it, barriers and all, into memory; then the job is
 * taken down, built again, and begins from it. Between records, when nothing is under way. */
#include <string.h>
#include "base/error.h"
#include "checkpoint/history.h"
#include "harness/priv.h"
#include "connect/collect.h"

/* What comes behind the barrier will be made once more. */
static void close_sinks(const struct wr_plan *p, bool until_barrier)
{
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			if (!strcmp(p->vertices[v].stages[i].kind, "collect"))
				wr_collect_until_barrier(
				    wr_value_str(p->vertices[v].stages[i].options, "name", ""),
				    until_barrier);
}

struct taking {
	struct wr_checkpoint_wish wish; /* first */
	bool done, holds;
};

static void on_done(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	struct taking *t = (struct taking *)w;

	t->done = true;
	t->holds = !o->error;
}

/* Snapshots are written by I/O threads, who wake the loop. */
static int take_checkpoint(struct wr_harness *h)
{
	struct wr_checkpoints *c = h->job->checkpoints;
	struct taking t = {.wish.done = on_done};
	int rc = WR_OK;

	wr_checkpoints_ask(c, &t.wish, h->clock.manual_ns);
	while (rc == WR_OK && !t.done) {
		rc = wr_checkpoints_work(c, h->clock.manual_ns);
		if (rc == WR_OK)
			rc = wr_harness_drain(h);
		if (rc == WR_OK)
			rc = wr_checkpoints_work(c, h->clock.manual_ns);
		if (rc != WR_OK || t.done)
			break;
		rc = wr_harness_pass(h); /* what stands before a barrier may wait for time to pass */
		if (rc == 0)
			wr_loop_wait(h->job->loop, UINT64_MAX);
		rc = rc > 0 ? WR_OK : rc;
	}
	if (!t.done)
		wr_checkpoints_give_up(c, "the job has failed");
	if (rc == WR_OK && !t.holds)
		rc = wr_error_set(WR_EUSER, "the job could not be saved; the log says why");
	return rc;
}

static int begin_again(struct wr_harness *h)
{
	int rc;

	wr_job_free(h->job);
	h->job = NULL;
	wr_arena_reset(&h->saved_arena);
	rc = wr_history_latest(h->blobs, &h->saved_arena, &h->saved, &h->checkpoints.newest);
	if (rc != WR_OK)
		return rc < 0 ? rc : wr_error_set(WR_EBUG, "a checkpoint that holds is not there");
	h->restore = (struct wr_restore){h->blobs, &h->saved};
	h->checkpoints.restored = &h->saved;
	h->checkpoints.lineage = h->saved.lineage;
	rc = wr_harness_make_job(h, false);
	return rc == WR_OK ? wr_harness_settle(h) : rc;
}

int wr_harness_restart(struct wr_harness *h)
{
	int rc = wr_harness_settle(h);

	close_sinks(h->plan, true);
	if (rc == WR_OK)
		rc = take_checkpoint(h);
	if (rc == WR_OK)
		rc = begin_again(h);
	close_sinks(h->plan, false);
	return rc == WR_OK || h->failure ? rc : wr_harness_fail(h);
}
