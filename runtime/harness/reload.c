/* SPDX-License-Identifier: Apache-2.0 */
/* reload: a swap as a running job makes it (cluster/swap.h): functions are loaded by a thread, and
 * come in behind a barrier, which everything that waits in the job passes on its way. */
#include "base/error.h"
#include "cluster/difference.h"
#include "harness/priv.h"
#include "cluster/swap.h"

struct coming {
	bool over;
	enum wr_swap_news news;
};

static void on_news(void *arg, enum wr_swap_news news)
{
	struct coming *c = arg;

	c->news = news;
	c->over = news != WR_SWAP_DONE;
}

static int check(const struct wr_harness *h, const struct wr_plan *plan)
{
	struct wr_plan *before = wr_plan_decode(h->drawn.data, h->drawn.len);
	struct wr_difference d;
	int rc = before ? wr_difference_init(&d, before, plan) : wr_error_code();

	if (rc == WR_OK && d.rebuilds)
		rc = wr_error_set(WR_EUSER, "the new version draws another graph, or other options of it");
	if (before)
		wr_difference_deinit(&d);
	wr_plan_free(before);
	return rc;
}

/* Reads what came, does what is due of it, and lets the tasks do what that asks of them. */
static int go_on(struct wr_harness *h)
{
	struct wr_swap *s = wr_job_swap(h->job);
	int rc = wr_harness_drain(h);

	wr_swap_work(s, h->clock.manual_ns);
	if (rc == WR_OK)
		rc = wr_checkpoints_work(h->job->checkpoints, h->clock.manual_ns);
	wr_swap_work(s, h->clock.manual_ns);
	return rc == WR_OK ? wr_harness_drain(h) : rc;
}

static int wait(struct wr_harness *h, struct coming *c)
{
	int rc = go_on(h);

	while (rc == WR_OK && !c->over) {
		rc = wr_harness_pass(h); /* what stands before a barrier may wait for time to pass */
		if (rc == 0)
			wr_loop_wait(h->job->loop, UINT64_MAX);
		if (rc >= 0)
			rc = go_on(h);
	}
	return rc;
}

static int swap(struct wr_harness *h, const struct wr_plan *plan)
{
	struct coming c = {.over = false};
	struct wr_swap_options o = {.plan = plan, .bundle = h->next, .tell = on_news, .arg = &c};
	struct wr_swap *s = wr_job_swap(h->job);
	struct wr_bundle *before = h->bundle;
	int rc = wr_swap_begin(s, &o);

	if (rc == WR_OK)
		rc = wait(h, &c);
	if (rc != WR_OK || c.news != WR_SWAP_KEPT)
		return rc == WR_OK ? wr_error_set(WR_EUSER, "%s", wr_swap_error(s)) : rc;
	h->bundle = h->next;
	h->next = before;
	return WR_OK;
}

int wr_harness_reload(struct wr_harness *h, const struct wr_harness_script *script)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_plan *plan = NULL;
	int rc = h->failure ? wr_error_set(WR_EUSER, "%s", h->failure) : WR_OK;

	wr_bundle_free(h->next);
	h->next = NULL;
	if (rc == WR_OK)
		rc = wr_harness_draw(script, &bytes, &h->next, &h->state_memory);
	if (rc == WR_OK) {
		plan = wr_plan_decode(bytes.data, bytes.len);
		rc = plan ? check(h, plan) : wr_error_code();
	}
	if (rc == WR_OK)
		rc = swap(h, plan);
	wr_plan_free(plan);
	wr_bytes_deinit(&bytes);
	return rc;
}
