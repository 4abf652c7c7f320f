/* SPDX-License-Identifier: Apache-2.0 */
/* functions: see functions.h. */
#include "task/functions.h"

#include <string.h>
#include "base/assert.h"
#include "base/log.h"
#include "task/task_priv.h"

enum state { NEXT, BEFORE, FAILED };

struct spare {
	void *functions;
	enum state state; /* of functions that are not in use */
};

static struct wr_mem mem = WR_MEM_INIT("task.functions");

static struct wr_task *task_of(const struct wr_stage *s)
{
	return (struct wr_task *)((char *)s->chain - offsetof(struct wr_task, chain));
}

int wr_task_prepare(struct wr_task *t, uint32_t stage, const struct wr_value *plan, void *bundle)
{
	struct wr_stage *s = &t->chain.stages[stage];
	struct spare *spare;

	WR_ASSERT(stage < t->chain.stage_count && wr_task_is_open(t) && !atomic_load(&s->spare));
	if (!s->ops->prepare)
		return WR_OK;
	spare = wr_zalloc(&mem, sizeof *spare);
	if (!spare)
		return WR_EFATAL;
	spare->functions = s->ops->prepare(s, plan, bundle);
	if (!spare->functions) {
		wr_free(&mem, spare);
		return wr_error_code();
	}
	atomic_store(&s->spare, spare);
	return WR_OK;
}

void wr_task_discard(struct wr_task *t, uint32_t stage)
{
	struct wr_stage *s = &t->chain.stages[stage];
	struct spare *spare = atomic_exchange(&s->spare, NULL);

	if (spare)
		s->ops->discard(spare->functions);
	wr_free(&mem, spare);
}

static int tell(struct wr_task *t, enum wr_letter_type type, const struct wr_ack *what)
{
	struct wr_bytes letter = WR_BYTES_EMPTY;
	int rc;

	wr_ack_put(&letter, what);
	rc = wr_bytes_status(&letter);
	if (rc == WR_OK)
		t->env.post(t->env.post_arg, t->env.vertex, t->env.subtask, 0, type, letter.data,
			    (uint32_t)letter.len);
	wr_bytes_deinit(&letter);
	return rc;
}

static void swap(struct wr_stage *s, struct spare *spare)
{
	WR_ASSERT(spare->state != FAILED);
	spare->functions = s->ops->swap(s, spare->functions);
	spare->state = spare->state == NEXT ? BEFORE : FAILED;
}

/* The letters of a job that was built anew name no checkpoint. */
static int tell_tried(struct wr_task *t)
{
	struct wr_bytes letter = WR_BYTES_EMPTY;
	int rc;

	if (t->untried || !t->on_trial)
		return WR_OK;
	wr_value_put_i64(&letter, (int64_t)t->trial_from);
	rc = wr_bytes_status(&letter);
	if (rc == WR_OK)
		t->env.post(t->env.post_arg, t->env.vertex, t->env.subtask, 0, WR_LETTER_TRIED, letter.data,
			    (uint32_t)letter.len);
	wr_bytes_deinit(&letter);
	return rc;
}

static void set_untried(struct wr_stage *s, bool untried)
{
	struct wr_task *t = task_of(s);

	if (s->untried != untried)
		t->untried += untried ? 1 : (uint32_t)-1;
	s->untried = untried;
}

int wr_functions_tried(struct wr_stage *s)
{
	set_untried(s, false);
	return tell_tried(task_of(s));
}

int wr_functions_swap(struct wr_stage *s, uint64_t checkpoint, uint64_t options)
{
	struct wr_task *t = task_of(s);
	struct spare *spare = atomic_exchange(&s->spare, NULL);

	if (spare && spare->state == (options & WR_TRIGGER_NEXT ? NEXT : BEFORE))
		swap(s, spare);
	if (spare)
		atomic_store(&s->spare, spare);
	t->on_trial = options & WR_TRIGGER_NEXT;
	t->trial_from = checkpoint;
	set_untried(s, spare && t->on_trial);
	if (s->index + 1 == t->chain.stage_count && tell_tried(t) != WR_OK)
		return WR_EFATAL;
	if (t->snapshots || ++t->swapped < t->chain.stage_count)
		return WR_OK;
	t->swapped = 0;
	return tell(t, WR_LETTER_ACK, &(struct wr_ack){.checkpoint = checkpoint, .text = {"", 0}});
}

static int tell_stages(struct wr_task *t, uint64_t checkpoint)
{
	struct wr_bytes payload = WR_BYTES_EMPTY;
	int rc;

	wr_value_put_i64(&payload, (int64_t)checkpoint);
	rc = wr_bytes_status(&payload);
	for (uint32_t i = 0; i < t->chain.stage_count && rc == WR_OK; i++) {
		struct wr_stage *s = &t->chain.stages[i];

		if (s->ops->letter)
			rc = s->ops->letter(s, WR_LETTER_COMPLETE, payload.data, (uint32_t)payload.len);
	}
	wr_bytes_deinit(&payload);
	return rc;
}

int wr_functions_complete(struct wr_task *t, uint64_t checkpoint)
{
	if (!t->on_trial || checkpoint <= t->trial_from)
		return tell_stages(t, checkpoint);
	t->withheld = checkpoint;
	return WR_OK;
}

int wr_functions_trial(struct wr_task *t, bool on)
{
	uint64_t withheld = t->withheld;

	t->on_trial = on;
	t->trial_from = 0;
	t->withheld = 0;
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		set_untried(&t->chain.stages[i], on && t->chain.stages[i].ops->prepare);
	if (on)
		return tell_tried(t);
	return withheld ? tell_stages(t, withheld) : WR_OK;
}

bool wr_functions_return(struct wr_stage *s, int code)
{
	struct wr_task *t = task_of(s);
	struct spare *spare = code == WR_EUSER && !t->snapshots && s->watermark != WR_TS_MAX
				  ? atomic_exchange(&s->spare, NULL)
				  : NULL;
	bool returns;
	struct wr_ack why = {.text = {wr_error_text(), (uint32_t)strlen(wr_error_text())}};

	if (!spare)
		return false;
	returns = spare->state == BEFORE && tell(t, WR_LETTER_RETURNED, &why) == WR_OK;
	if (returns) {
		wr_warn("reload", "%s [%u/%u]: new functions failed, those before go on: %s", t->env.task,
			t->env.subtask + 1, t->env.parallelism, why.text.p);
		swap(s, spare);
	}
	atomic_store(&s->spare, spare);
	return returns;
}
