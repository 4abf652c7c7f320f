/* SPDX-License-Identifier: Apache-2.0 */
/* swap: see swap.h. */
#include "cluster/swap.h"

#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "cluster/build.h"
#include "cluster/trial.h"
#include "task/functions.h"

enum state { IDLE, LOADING, SWAPPING, PROBATION, RETURNING, DISCARDING };

struct wr_swap {
	struct wr_job *job;
	struct wr_swap_options o;
	enum state state;
	enum wr_swap_news outcome;    /* of DISCARDING */
	struct wr_thread thread;      /* of LOADING and DISCARDING */
	_Atomic bool ended, given_up; /* by the thread; from it */
	int rc;			      /* of LOADING; the thread's until `ended` */
	char error[1024];
	bool failed; /* a task went back to the functions before */
	uint64_t checkpoint, until_ns;
};

static struct wr_mem mem = WR_MEM_INIT("cluster.swap");

struct wr_swap *wr_swap_new(struct wr_job *j)
{
	struct wr_swap *s = wr_zalloc(&mem, sizeof *s);

	if (s)
		s->job = j;
	return s;
}

void wr_swap_free(struct wr_swap *s)
{
	if (!s)
		return;
	atomic_store(&s->given_up, true);
	wr_thread_join(&s->thread);
	wr_free(&mem, s);
}

/* ---- the thread that loads and discards ---- */

static int each_stage(struct wr_swap *s,
		      int (*fn)(struct wr_swap *s, struct wr_task *t, uint32_t vertex, uint32_t stage))
{
	const struct wr_plan *p = s->job->o.plan;
	int rc = WR_OK;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			for (uint32_t k = 0; k < p->vertices[v].stage_count && rc == WR_OK; k++)
				rc = fn(s, s->job->runners[v][i].task, v, k);
	return rc;
}

static int load(struct wr_swap *s, struct wr_task *t, uint32_t vertex, uint32_t stage)
{
	if (atomic_load(&s->given_up))
		return WR_END;
	return wr_task_prepare(t, stage, s->o.plan->vertices[vertex].stages[stage].value, s->o.bundle);
}

static int discard(struct wr_swap *s, struct wr_task *t, uint32_t vertex, uint32_t stage)
{
	(void)s, (void)vertex;
	wr_task_discard(t, stage);
	return WR_OK;
}

static void *load_all(void *arg)
{
	struct wr_swap *s = arg;

	wr_thread_yield_to_others();
	s->rc = each_stage(s, load);
	if (s->rc != WR_OK) {
		snprintf(s->error, sizeof s->error, "%s", wr_error_text());
		each_stage(s, discard);
	}
	atomic_store(&s->ended, true);
	wr_loop_wake(s->job->loop);
	return NULL;
}

static void *discard_all(void *arg)
{
	struct wr_swap *s = arg;

	wr_thread_yield_to_others();
	each_stage(s, discard);
	atomic_store(&s->ended, true);
	wr_loop_wake(s->job->loop);
	return NULL;
}

static int start(struct wr_swap *s, void *(*run)(void *))
{
	atomic_store(&s->ended, false);
	return wr_thread_start(&s->thread, "weir-swap", -1, run, s);
}

/* ---- the way of one ---- */

/* What keeps the job from taking a barrier to all of its tasks; NULL: nothing. */
static const char *hindrance(const struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;

	if (j->left)
		return "the job is being stopped";
	if (j->o.world)
		return "a run that is recorded or played back keeps its functions";
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++) {
			if (!wr_task_is_open(j->runners[v][i].task))
				return "the job is only beginning; try again";
			if (wr_task_holds_input(j->runners[v][i].task))
				return "a task still reads its second input, which comes first; try again "
				       "when it has";
		}
	return NULL;
}

int wr_swap_begin(struct wr_swap *s, const struct wr_swap_options *o)
{
	const char *why = s->state == IDLE ? hindrance(s->job) : "the reload before is not over yet";
	int rc;

	if (why)
		return wr_error_set(WR_EUSER, "%s", why);
	s->o = *o;
	s->failed = false;
	s->checkpoint = 0;
	*s->error = 0;
	rc = start(s, load_all);
	if (rc == WR_OK)
		s->state = LOADING;
	return rc;
}

void wr_swap_settle(struct wr_swap *s)
{
	s->until_ns = 0;
}

bool wr_swap_is_idle(const struct wr_swap *s)
{
	return s->state == IDLE;
}

int wr_swap_letter(struct wr_swap *s, const struct wr_letter *l)
{
	struct wr_ack why;
	int rc = wr_ack_parse(l->payload, l->len, &why);

	if (rc != WR_OK || s->failed)
		return rc;
	if (!wr_swap_is_open(s)) /* it crossed the end of probation: a failure like any other */
		return wr_error_set(WR_EUSER, "%.*s", (int)why.text.len, why.text.p);
	s->failed = true;
	snprintf(s->error, sizeof s->error, "%.*s", (int)why.text.len, why.text.p);
	return WR_OK;
}

static void tell(struct wr_swap *s, enum wr_swap_news news)
{
	s->o.tell(s->o.arg, news);
}

static void ask_for_barrier(struct wr_swap *s, enum state state, uint64_t option, uint64_t now_ns)
{
	s->state = state;
	s->checkpoint = wr_checkpoints_swapped(s->job->checkpoints);
	wr_checkpoints_swap(s->job->checkpoints, option, now_ns);
}

static bool has_passed(const struct wr_swap *s)
{
	return wr_checkpoints_swapped(s->job->checkpoints) > s->checkpoint;
}

static void begin_discarding(struct wr_swap *s, enum wr_swap_news outcome)
{
	s->state = DISCARDING;
	s->outcome = outcome;
	wr_job_trial(s->job, false);
	if (start(s, discard_all) == WR_OK)
		return;
	each_stage(s, discard);
	atomic_store(&s->ended, true);
}

static void on_loaded(struct wr_swap *s, uint64_t now_ns)
{
	wr_thread_join(&s->thread);
	if (s->rc == WR_OK) {
		ask_for_barrier(s, SWAPPING, WR_TRIGGER_NEXT, now_ns);
		return;
	}
	s->state = IDLE;
	tell(s, WR_SWAP_REFUSED);
}

static void on_swapped(struct wr_swap *s, uint64_t now_ns)
{
	s->state = PROBATION;
	s->checkpoint = wr_checkpoints_swapped(s->job->checkpoints);
	s->until_ns = now_ns + s->o.probation_ns;
	wr_trial_begin(s->job->trial, s->checkpoint);
	tell(s, WR_SWAP_DONE);
}

static void watch(struct wr_swap *s, uint64_t now_ns)
{
	if (s->failed)
		ask_for_barrier(s, RETURNING, WR_TRIGGER_BEFORE, now_ns);
	else if (now_ns >= s->until_ns || wr_trial_is_good(s->job->trial))
		begin_discarding(s, WR_SWAP_KEPT);
}

void wr_swap_work(struct wr_swap *s, uint64_t now_ns)
{
	switch (s->state) {
	case IDLE:
		break;
	case LOADING:
		if (atomic_load(&s->ended))
			on_loaded(s, now_ns);
		break;
	case SWAPPING:
		if (has_passed(s))
			on_swapped(s, now_ns);
		break;
	case PROBATION:
		watch(s, now_ns);
		break;
	case RETURNING:
		if (has_passed(s))
			begin_discarding(s, WR_SWAP_RETURNED);
		break;
	case DISCARDING:
		if (!atomic_load(&s->ended))
			break;
		wr_thread_join(&s->thread);
		s->state = IDLE;
		tell(s, s->outcome);
	}
}

uint64_t wr_swap_deadline(const struct wr_swap *s)
{
	if (s->state == PROBATION)
		return s->failed ? 0 : s->until_ns;
	return s->state == DISCARDING && atomic_load(&s->ended) ? 0 : UINT64_MAX;
}

const char *wr_swap_error(const struct wr_swap *s)
{
	return s->error;
}

uint64_t wr_swap_checkpoint(const struct wr_swap *s)
{
	return s->checkpoint;
}

bool wr_swap_is_open(const struct wr_swap *s)
{
	return s->state == SWAPPING || s->state == PROBATION || s->state == RETURNING;
}
