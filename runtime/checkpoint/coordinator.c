/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator: see coordinator.h. */
#include "checkpoint/coordinator.h"

#include <string.h>
#include "base/assert.h"
#include "base/mem.h"

enum { ACTIONS_MAX = 8 }; /* an event causes three at most, and is followed by taking them */

struct wr_coordinator {
	struct wr_coordinator_options o;
	uint64_t last;	  /* number given out last */
	uint64_t pending; /* 0 = none */
	bool publishing;
	bool pending_asked;
	bool overtaken; /* its barriers were told to */
	uint64_t began_ns;
	uint64_t due_ns;   /* of the next periodic one */
	uint64_t ended_ns; /* of the last one, complete or not */
	bool asked;	   /* one is to follow the one under way */
	uint32_t failures; /* in a row */
	uint32_t acked, ended;
	struct wr_coordinator_action actions[ACTIONS_MAX];
	uint32_t first, count;
	struct task {
		bool acked, ended;
	} task[];
};

static struct wr_mem mem = WR_MEM_INIT("checkpoint.coordinator");

/* The next periodic one comes when its time has, and not before the pause is over. */
static void schedule(struct wr_coordinator *c, uint64_t now_ns)
{
	uint64_t regular, pause = now_ns + c->o.min_pause_ns;

	if (!c->o.every_ns)
		return;
	regular = c->began_ns + c->o.every_ns;
	c->due_ns = regular > pause ? regular : pause;
}

struct wr_coordinator *wr_coordinator_new(const struct wr_coordinator_options *o, uint64_t now_ns)
{
	struct wr_coordinator *c = wr_zalloc(&mem, sizeof *c + o->tasks * sizeof c->task[0]);

	WR_ASSERT(o->tasks > 0);
	if (!c)
		return NULL;
	c->o = *o;
	c->last = o->last;
	c->due_ns = UINT64_MAX;
	c->began_ns = now_ns;
	schedule(c, now_ns);
	return c;
}

void wr_coordinator_free(struct wr_coordinator *c)
{
	wr_free(&mem, c);
}

static void act(struct wr_coordinator *c, enum wr_coordinator_act what, uint64_t checkpoint, bool asked,
		const char *why)
{
	WR_ASSERT(c->count < ACTIONS_MAX);
	c->actions[(c->first + c->count++) % ACTIONS_MAX] =
	    (struct wr_coordinator_action){.act = what, .checkpoint = checkpoint, .asked = asked, .why = why};
}

bool wr_coordinator_next(struct wr_coordinator *c, struct wr_coordinator_action *out)
{
	if (!c->count)
		return false;
	*out = c->actions[c->first];
	c->first = (c->first + 1) % ACTIONS_MAX;
	c->count--;
	return true;
}

/* ---- the life of one checkpoint ---- */

static void begin(struct wr_coordinator *c, bool asked, uint64_t now_ns)
{
	c->pending = ++c->last;
	c->pending_asked = asked;
	c->publishing = c->overtaken = false;
	c->began_ns = now_ns;
	c->acked = c->ended;
	for (uint32_t i = 0; i < c->o.tasks; i++)
		c->task[i].acked = c->task[i].ended;
	act(c, WR_COORDINATOR_TRIGGER, c->pending, asked, NULL);
}

static void finish(struct wr_coordinator *c, uint64_t now_ns)
{
	c->pending = 0;
	c->publishing = false;
	c->ended_ns = now_ns;
	schedule(c, now_ns);
}

/* Whom the action that was said last waited for. */
static void name_awaited(struct wr_coordinator *c)
{
	struct wr_coordinator_action *a = &c->actions[(c->first + c->count - 1) % ACTIONS_MAX];

	for (uint32_t i = c->o.tasks; i-- > 0;)
		if (!c->task[i].acked) {
			a->task = i;
			a->awaited++;
		}
}

static void give_up(struct wr_coordinator *c, const char *why, bool late, uint64_t now_ns)
{
	uint64_t id = c->pending;

	act(c, WR_COORDINATOR_ABORT, id, c->pending_asked, why);
	if (late)
		name_awaited(c);
	finish(c, now_ns);
	if (c->failures++ >= c->o.tolerable)
		act(c, WR_COORDINATOR_FAIL, id, false, why);
}

/* All parts are there: nothing is published when all tasks have ended, since the job's end is. */
static void look(struct wr_coordinator *c, uint64_t now_ns)
{
	if (!c->pending || c->publishing || c->acked < c->o.tasks)
		return;
	if (c->ended == c->o.tasks) {
		act(c, WR_COORDINATOR_ABORT, c->pending, c->pending_asked, "the job has ended");
		finish(c, now_ns);
		return;
	}
	c->publishing = true;
	act(c, WR_COORDINATOR_PUBLISH, c->pending, c->pending_asked, NULL);
}

static void tick_pending(struct wr_coordinator *c, uint64_t now_ns)
{
	uint64_t ns = now_ns - c->began_ns;

	if (ns >= c->o.timeout_ns) {
		give_up(c, "it took longer than its timeout", true, now_ns);
	} else if (ns >= c->o.overtake_ns && !c->overtaken) {
		c->overtaken = true;
		act(c, WR_COORDINATOR_OVERTAKE, c->pending, c->pending_asked, NULL);
	}
}

void wr_coordinator_tick(struct wr_coordinator *c, uint64_t now_ns)
{
	if (c->pending) {
		if (!c->publishing)
			tick_pending(c, now_ns);
		return;
	}
	if (c->ended == c->o.tasks)
		return;
	if (c->asked) {
		c->asked = false;
		begin(c, true, now_ns);
	} else if (now_ns >= c->due_ns) {
		begin(c, false, now_ns);
	}
}

uint64_t wr_coordinator_deadline(const struct wr_coordinator *c)
{
	if (c->publishing || c->ended == c->o.tasks)
		return UINT64_MAX;
	if (c->pending && !c->overtaken && c->o.overtake_ns < c->o.timeout_ns)
		return c->began_ns + c->o.overtake_ns;
	if (c->pending)
		return c->began_ns + c->o.timeout_ns;
	return c->asked ? 0 : c->due_ns;
}

void wr_coordinator_ask(struct wr_coordinator *c, uint64_t now_ns)
{
	wr_coordinator_want(c);
	wr_coordinator_tick(c, now_ns);
}

void wr_coordinator_want(struct wr_coordinator *c)
{
	c->asked = true;
}

void wr_coordinator_ack(struct wr_coordinator *c, uint32_t task, uint64_t checkpoint, uint64_t now_ns)
{
	WR_ASSERT(task < c->o.tasks);
	if (!c->pending || checkpoint != c->pending || c->task[task].acked)
		return;
	c->task[task].acked = true;
	c->acked++;
	look(c, now_ns);
}

void wr_coordinator_decline(struct wr_coordinator *c, uint32_t task, uint64_t checkpoint, uint64_t now_ns)
{
	WR_ASSERT(task < c->o.tasks);
	if (c->pending && checkpoint == c->pending && !c->publishing)
		give_up(c, "a task could not take its snapshot", false, now_ns);
}

void wr_coordinator_defer(struct wr_coordinator *c, uint64_t checkpoint, uint64_t now_ns)
{
	if (!c->pending || checkpoint != c->pending || c->publishing)
		return;
	act(c, WR_COORDINATOR_ABORT, checkpoint, c->pending_asked,
	    "a task still reads its second input, which comes first");
	finish(c, now_ns);
}

void wr_coordinator_ended(struct wr_coordinator *c, uint32_t task, uint64_t now_ns)
{
	WR_ASSERT(task < c->o.tasks && !c->task[task].ended);
	c->task[task].ended = true;
	c->ended++;
	if (c->pending && !c->task[task].acked) {
		c->task[task].acked = true;
		c->acked++;
	}
	look(c, now_ns);
}

void wr_coordinator_published(struct wr_coordinator *c, uint64_t checkpoint, bool ok, uint64_t now_ns)
{
	WR_ASSERT(c->publishing && checkpoint == c->pending);
	if (!ok) {
		give_up(c, "its manifest could not be written", false, now_ns);
		return;
	}
	c->failures = 0;
	act(c, WR_COORDINATOR_COMPLETE, checkpoint, c->pending_asked, NULL);
	finish(c, now_ns);
	if (c->asked)
		wr_coordinator_tick(c, now_ns);
}

uint64_t wr_coordinator_last(const struct wr_coordinator *c)
{
	return c->last;
}

uint64_t wr_coordinator_pending(const struct wr_coordinator *c)
{
	return c->pending;
}

bool wr_coordinator_acked(const struct wr_coordinator *c, uint32_t task)
{
	return c->pending && c->task[task].acked;
}
