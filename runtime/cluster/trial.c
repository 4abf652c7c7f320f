/* SPDX-License-Identifier: Apache-2.0 */
/* trial: see trial.h. */
#include "cluster/trial.h"

#include "cluster/build.h"

struct wr_trial {
	struct wr_job *job;
	uint64_t *tried; /* by task: number of the checkpoint whose code it tried last, and 1; 0 = none */
	uint64_t wanted; /* what all are to have there */
	bool all;	 /* have it */
	uint64_t behind; /* newest checkpoint that was begun then */
};

static struct wr_mem mem = WR_MEM_INIT("cluster.trial");

struct wr_trial *wr_trial_new(struct wr_job *j)
{
	struct wr_trial *t = wr_zalloc(&mem, sizeof *t);

	if (!t)
		return NULL;
	t->job = j;
	t->wanted = UINT64_MAX;
	t->tried = wr_zalloc(&mem, (j->task_count + 1ull) * sizeof *t->tried);
	if (t->tried)
		return t;
	wr_trial_free(t);
	return NULL;
}

void wr_trial_free(struct wr_trial *t)
{
	if (!t)
		return;
	wr_free(&mem, t->tried);
	wr_free(&mem, t);
}

static void look(struct wr_trial *t)
{
	if (t->all || t->wanted == UINT64_MAX)
		return;
	for (uint32_t i = 0; i < t->job->task_count; i++)
		if (t->tried[i] < t->wanted)
			return;
	t->all = true;
	t->behind = wr_checkpoints_begun(t->job->checkpoints);
}

void wr_trial_begin(struct wr_trial *t, uint64_t checkpoint)
{
	t->wanted = checkpoint + 1;
	t->all = false;
	look(t);
}

void wr_trial_letter(struct wr_trial *t, const struct wr_letter *l)
{
	const struct wr_plan *p = t->job->o.plan;
	uint32_t task = l->who.subtask;

	for (uint32_t v = 0; v < l->who.vertex; v++)
		task += p->vertices[v].parallelism;
	t->tried[task] = l->type == WR_LETTER_ENDED ? UINT64_MAX - 1 : wr_letter_int(l->payload, l->len) + 1;
	look(t);
}

void wr_trial_end(struct wr_trial *t)
{
	t->wanted = UINT64_MAX;
	t->all = false;
}

uint64_t wr_trial_way_back(const struct wr_trial *t)
{
	const struct wr_checkpoint_options *o = t->job->o.checkpoints;

	if (t->wanted == UINT64_MAX)
		return 0;
	return t->wanted > 1 ? t->wanted - 1 : o && o->restored ? o->restored->checkpoint : 0;
}

bool wr_trial_is_good(const struct wr_trial *t)
{
	return t->all && wr_job_last_checkpoint(t->job) > t->behind;
}
