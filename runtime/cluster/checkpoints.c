/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoints: see checkpoints.h. */
#include "cluster/checkpoints.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/history.h"
#include "cluster/build.h"
#include "cluster/trial.h"

enum { PUBLISH_OK = 1, PUBLISH_FAILED = 2 };

struct part {		      /* of a task, of the checkpoint under way */
	struct wr_bytes blob; /* its id; empty: it had ended */
	uint64_t bytes, in_flight;
	bool overtook;
};

struct publishing { /* a manifest on its way to the disk */
	struct wr_iojob io;
	struct wr_checkpoints *all;
	uint64_t checkpoint;
	struct wr_bytes manifest;
	char error[512];
	bool published;	   /* what came of it */
	_Atomic int state; /* 0 = under way */
};

struct removing { /* of checkpoints that are not kept */
	struct wr_iojob io;
	struct wr_checkpoints *all;
	uint64_t newest, aborted;
	uint64_t also; /* is kept: the way back of a trial */
	_Atomic bool busy;
};

struct wr_checkpoints {
	struct wr_job *job;
	struct wr_checkpoint_options o;
	struct wr_coordinator *coordinator;
	struct wr_ioqueue *queue;
	uint32_t task_count, *first; /* by vertex: number of its subtask 0 */
	struct part *parts;	     /* by task */
	bool *ended, *passed;	     /* by task; passed: it has the functions of `swapping` */
	struct wr_bytes *sources;    /* by source of the job: its enumerator's state at the trigger */
	struct publishing publishing, finishing; /* the latter: of the end of the job */
	struct removing removing;
	uint64_t swap_asked;	    /* the option, 0 = not */
	uint64_t swapping, swapped; /* numbers, 0 = none; the former under way */
	bool wanted;		    /* by a task, and not begun yet */
	struct wr_checkpoint_outcome last;
	uint64_t last_ns; /* when it was complete */
	struct wr_checkpoint_wish *wishes;
	uint64_t begun;	  /* the last that the tasks were told of; the coordinator may be further */
	uint64_t options; /* of that */
	const char *over; /* why no more are taken, or NULL */
	int64_t triggered_ms;
	uint64_t began_ns;
	char error[512]; /* of the checkpoint under way */
	struct wr_arena arena;
};

static struct wr_mem mem = WR_MEM_INIT("cluster.checkpoints");

static void clear_parts(struct wr_checkpoints *c)
{
	for (uint32_t i = 0; i < c->task_count; i++) {
		struct part *p = &c->parts[i];

		*p = (struct part){.blob = p->blob};
		p->blob.len = 0;
	}
}

/* ---- letters to tasks ---- */

static void send(struct wr_checkpoints *c, enum wr_letter_type type, uint32_t vertex, uint32_t subtask,
		 const struct wr_bytes *payload)
{
	wr_job_send(c->job, type, (struct wr_address){vertex, subtask, 0}, payload->data,
		    (uint32_t)payload->len);
}

/* To all that still run. */
static void broadcast(struct wr_checkpoints *c, enum wr_letter_type type, uint64_t checkpoint)
{
	const struct wr_plan *p = c->job->o.plan;
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_value_put_i64(&payload, (int64_t)checkpoint);
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			if (!c->ended[c->first[v] + i])
				send(c, type, v, i, &payload);
	wr_bytes_deinit(&payload);
}

/* All who could bring `vertex` a barrier have ended; true for a source, which nobody brings one. */
static bool inputs_ended(const struct wr_checkpoints *c, uint32_t vertex)
{
	const struct wr_plan *p = c->job->o.plan;

	for (uint32_t e = 0; e < p->edge_count; e++)
		for (uint32_t i = 0;
		     p->edges[e].to == vertex && i < p->vertices[p->edges[e].from].parallelism; i++)
			if (!c->ended[c->first[p->edges[e].from] + i])
				return false;
	return true;
}

/* Bids take a snapshot who will not hear of it by a channel. Those who are bid twice do not mind. */
static void trigger(struct wr_checkpoints *c, uint64_t checkpoint)
{
	const struct wr_plan *p = c->job->o.plan;
	struct wr_trigger t = {.checkpoint = checkpoint, .epoch = checkpoint, .options = c->options};
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_trigger_put(&payload, &t);
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism && inputs_ended(c, v); i++)
			if (!c->ended[c->first[v] + i] &&
			    !wr_coordinator_acked(c->coordinator, c->first[v] + i))
				send(c, WR_LETTER_TRIGGER, v, i, &payload);
	wr_bytes_deinit(&payload);
}

/* ---- the manifest ---- */

static int states_of(struct wr_checkpoints *c, const struct wr_plan_stage *from, struct wr_manifest_stage *to)
{
	const struct wr_value *list = wr_value_list(from->value, "broadcast", &to->broadcast_count);
	const struct wr_value *given = wr_value_get(from->value, "states");
	struct wr_manifest_state *keyed, *broadcast;

	to->state_count = from->state_count;
	keyed = wr_arena_alloc(&c->arena, (to->state_count + 1) * sizeof *keyed);
	broadcast = wr_arena_alloc(&c->arena, (to->broadcast_count + 1) * sizeof *broadcast);
	if (!keyed || !broadcast)
		return WR_EFATAL;
	for (uint32_t i = 0; i < to->state_count; i++)
		keyed[i] =
		    (struct wr_manifest_state){.name = from->states[i].name,
					       .kind = from->states[i].kind,
					       .layout = wr_value_str(&given->items[i], "layout", NULL),
					       .ttl_ms = from->states[i].ttl_ms,
					       .version = from->states[i].version};
	for (uint32_t i = 0; i < to->broadcast_count; i++)
		broadcast[i] = (struct wr_manifest_state){.name = wr_value_str(&list[i], "name", ""),
							  .kind = WR_STATE_MAP};
	to->states = keyed;
	to->broadcast = broadcast;
	return WR_OK;
}

static int vertex_of(struct wr_checkpoints *c, uint32_t v, struct wr_manifest_vertex *to)
{
	const struct wr_plan_vertex *from = &c->job->o.plan->vertices[v];

	*to = (struct wr_manifest_vertex){.name = from->name,
					  .parallelism = from->parallelism,
					  .max_parallelism = from->max_parallelism,
					  .stage_count = from->stage_count};
	to->stages = wr_arena_alloc(&c->arena, from->stage_count * sizeof *to->stages);
	to->tasks = wr_arena_alloc(&c->arena, from->parallelism * sizeof *to->tasks);
	if (!to->stages || !to->tasks)
		return WR_EFATAL;
	for (uint32_t i = 0; i < from->stage_count; i++) {
		struct wr_manifest_stage *s = &to->stages[i];
		const struct wr_plan_stage *ps = &from->stages[i];

		s->uid = ps->operators[0].uid;
		s->name = ps->name;
		if (states_of(c, ps, s) != WR_OK)
			return WR_EFATAL;
	}
	for (uint32_t i = 0; i < from->parallelism; i++) {
		const struct part *p = &c->parts[c->first[v] + i];

		to->tasks[i] =
		    (struct wr_manifest_task){.blob = p->blob.len ? (const char *)p->blob.data : NULL,
					      .bytes = p->bytes,
					      .overtook = p->overtook,
					      .in_flight = p->in_flight};
	}
	return WR_OK;
}

static int sources_of(struct wr_checkpoints *c, struct wr_manifest *m)
{
	struct wr_job *j = c->job;

	m->sources = wr_arena_alloc(&c->arena, (j->source_count + 1) * sizeof *m->sources);
	if (!m->sources)
		return WR_EFATAL;
	for (uint32_t i = 0; i < j->source_count; i++) {
		struct wr_value *state = wr_arena_alloc(&c->arena, sizeof *state);
		struct wr_reader r = wr_reader_of(c->sources[i].data, c->sources[i].len);

		if (!c->sources[i].len)
			continue;
		if (!state || wr_value_parse(&r, &c->arena, state) != WR_OK)
			return WR_EFATAL;
		m->sources[m->source_count++] = (struct wr_manifest_source){
		    j->o.plan->vertices[j->sources[i].vertex].stages[0].operators[0].uid, state};
	}
	return WR_OK;
}

static int manifest_of(struct wr_checkpoints *c, uint64_t checkpoint, bool finished, struct wr_bytes *out)
{
	const struct wr_plan *p = c->job->o.plan;
	struct wr_manifest m = {.checkpoint = checkpoint,
				.lineage = c->o.lineage,
				.origin = c->o.origin	  ? c->o.origin
					  : c->o.restored ? c->o.restored->origin
							  : "",
				.time_ms = c->triggered_ms,
				.job = p->job,
				.script = c->o.script ? c->o.script : "",
				.finished = finished,
				.vertex_count = p->vertex_count};
	int rc = WR_OK;

	wr_arena_reset(&c->arena);
	m.vertices = wr_arena_alloc(&c->arena, p->vertex_count * sizeof *m.vertices);
	if (!m.vertices)
		return WR_EFATAL;
	for (uint32_t v = 0; v < p->vertex_count && rc == WR_OK; v++)
		rc = vertex_of(c, v, &m.vertices[v]);
	if (rc == WR_OK && !finished)
		rc = sources_of(c, &m);
	out->len = 0;
	return rc == WR_OK ? wr_manifest_encode(&m, out) : rc;
}

/* On an I/O thread. */
static int put_manifest(struct wr_blobs *blobs, uint64_t checkpoint, const struct wr_bytes *bytes)
{
	char id[WR_HISTORY_ID];

	wr_history_manifest_id(checkpoint, id);
	return blobs->ops->publish(blobs, id, bytes->data, bytes->len);
}

static void publish_work(struct wr_iojob *io)
{
	struct publishing *p = (struct publishing *)io;
	int rc = put_manifest(p->all->o.blobs, p->checkpoint, &p->manifest);

	if (rc != WR_OK)
		snprintf(p->error, sizeof p->error, "%s", wr_error_text());
	p->published = rc == WR_OK;
	WR_CRASH_STEP("checkpoint.published");
}

/* It is said here: who hears of it may post the next. */
static void publish_done(struct wr_iojob *io)
{
	struct publishing *p = (struct publishing *)io;

	atomic_store(&p->state, p->published ? PUBLISH_OK : PUBLISH_FAILED);
	wr_loop_wake(p->all->job->loop);
}

static void publish(struct wr_checkpoints *c, uint64_t checkpoint, uint64_t now_ns)
{
	struct publishing *p = &c->publishing;

	p->checkpoint = checkpoint;
	atomic_store(&p->state, 0);
	if (manifest_of(c, checkpoint, false, &p->manifest) == WR_OK) {
		wr_ioqueue_post(c->queue, &p->io);
		return;
	}
	snprintf(c->error, sizeof c->error, "%s", wr_error_text());
	p->checkpoint = 0;
	wr_coordinator_published(c->coordinator, checkpoint, false, now_ns);
}

/* ---- what is not kept ---- */

static void remove_work(struct wr_iojob *io)
{
	struct removing *r = (struct removing *)io;

	if (wr_history_remove_old(r->all->o.blobs, r->newest, r->all->o.retain, r->also) != WR_OK)
		wr_warn("checkpoint", "an old checkpoint stays: %s", wr_error_text());
	WR_CRASH_STEP("checkpoint.removed");
}

static void remove_done(struct wr_iojob *io)
{
	atomic_store(&((struct removing *)io)->busy, false);
}

static void remove_old(struct wr_checkpoints *c)
{
	struct removing *r = &c->removing;

	if (atomic_exchange(&r->busy, true))
		return;
	r->newest = c->last.checkpoint;
	r->also = wr_trial_way_back(c->job->trial);
	wr_ioqueue_post(c->queue, &r->io);
}

/* ---- what others ask for ---- */

/* A barrier brings other functions although its checkpoint is off: a newer one must not take its place. */
static bool is_swapping_on(const struct wr_checkpoints *c)
{
	return c->swapping && wr_coordinator_pending(c->coordinator) != c->swapping;
}

static void ask(struct wr_checkpoints *c, uint64_t now_ns)
{
	if (is_swapping_on(c))
		wr_coordinator_want(c->coordinator);
	else
		wr_coordinator_ask(c->coordinator, now_ns);
}

/* All that was asked for so far is answered by the one that begins now. */
static void take_wishes(struct wr_checkpoints *c, uint64_t checkpoint)
{
	c->options = 0;
	for (struct wr_checkpoint_wish *w = c->wishes; w; w = w->next) {
		w->checkpoint = checkpoint;
		c->options |= w->options;
	}
}

/* Takes out the first that waits for `checkpoint`, or for any (0). */
static struct wr_checkpoint_wish *wish_of(struct wr_checkpoints *c, uint64_t checkpoint)
{
	for (struct wr_checkpoint_wish **at = &c->wishes, *w; (w = *at); at = &w->next)
		if (!checkpoint || w->checkpoint == checkpoint) {
			*at = w->next;
			return w;
		}
	return NULL;
}

static void answer(struct wr_checkpoints *c, const struct wr_checkpoint_outcome *o)
{
	struct wr_checkpoint_wish *w;

	while ((w = wish_of(c, o->checkpoint)))
		w->done(w, o);
}

void wr_checkpoints_give_up(struct wr_checkpoints *c, const char *why)
{
	c->over = why;
	answer(c, &(struct wr_checkpoint_outcome){.error = why});
}

void wr_checkpoints_ask(struct wr_checkpoints *c, struct wr_checkpoint_wish *w, uint64_t now_ns)
{
	struct wr_checkpoint_wish **at = &c->wishes;

	if (c->over) {
		w->done(w, &(struct wr_checkpoint_outcome){.error = c->over});
		return;
	}
	while (*at)
		at = &(*at)->next;
	w->next = NULL;
	w->checkpoint = 0;
	*at = w;
	ask(c, now_ns);
}

/* ---- other functions ---- */

/* The barrier of `checkpoint` has left task `task`, or found it ended. */
static void pass(struct wr_checkpoints *c, uint32_t task, uint64_t checkpoint)
{
	if (!c->swapping || checkpoint != c->swapping)
		return;
	c->passed[task] = true;
	for (uint32_t i = 0; i < c->task_count; i++)
		if (!c->passed[i] && !c->ended[i])
			return;
	c->swapped = c->swapping;
	c->swapping = 0;
}

/* Behind the barrier of a job that stops nothing happens: functions wait for the next. */
static void begin_swap(struct wr_checkpoints *c, uint64_t checkpoint)
{
	c->options |= c->swap_asked;
	c->swap_asked = 0;
	c->swapping = checkpoint;
	memset(c->passed, 0, c->task_count * sizeof *c->passed);
}

/* ---- the coordinator's wishes ---- */

static int begin(struct wr_checkpoints *c, uint64_t checkpoint, uint64_t now_ns)
{
	struct wr_job *j = c->job;

	c->triggered_ms = wr_clock_ms(j->o.clock);
	c->began_ns = now_ns;
	c->begun = checkpoint;
	c->wanted = false;
	*c->error = 0;
	take_wishes(c, checkpoint);
	if (c->swap_asked && !(c->options & WR_TRIGGER_STOP))
		begin_swap(c, checkpoint);
	clear_parts(c);
	for (uint32_t i = 0; i < j->source_count && c->o.blobs; i++) {
		struct wr_enumerator *e = j->sources[i].enumerator;

		c->sources[i].len = 0;
		if (e->ops->save &&
		    (e->ops->save(e, &c->sources[i]) != WR_OK || wr_bytes_status(&c->sources[i]) != WR_OK))
			return wr_error_code();
	}
	trigger(c, checkpoint);
	WR_CRASH_STEP("checkpoint.trigger");
	return WR_OK;
}

static void complete(struct wr_checkpoints *c, const struct wr_coordinator_action *a, uint64_t now_ns)
{
	struct wr_checkpoint_outcome o = {.checkpoint = a->checkpoint, .duration_ns = now_ns - c->began_ns};

	for (uint32_t i = 0; i < c->task_count; i++) {
		o.bytes += c->parts[i].bytes;
		o.in_flight += c->parts[i].in_flight;
		o.unaligned |= c->parts[i].overtook;
	}
	wr_debug("checkpoint",
		 "checkpoint %" PRIu64 " holds: %" PRIu64 " bytes, %" PRIu64 " in flight%s, %.3f s",
		 o.checkpoint, o.bytes, o.in_flight, o.unaligned ? " (unaligned)" : "",
		 (double)o.duration_ns / 1e9);
	if (!c->o.blobs)
		return;
	c->last = o;
	c->last_ns = now_ns;
	atomic_store(&c->job->holds, o.checkpoint);
	broadcast(c, WR_LETTER_COMPLETE, a->checkpoint);
	WR_CRASH_STEP("checkpoint.complete");
	remove_old(c);
	answer(c, &o);
}

static void name_awaited(struct wr_checkpoints *c, const struct wr_coordinator_action *a)
{
	char more[32] = "";
	uint32_t v = 0;

	while (v + 1 < c->job->o.plan->vertex_count && c->first[v + 1] <= a->task)
		v++;
	if (a->awaited > 1)
		snprintf(more, sizeof more, " and %" PRIu32 " more", a->awaited - 1);
	snprintf(c->error, sizeof c->error, "%s [%u]%s had no part of it yet",
		 c->job->o.plan->vertices[v].name, a->task - c->first[v] + 1, more);
}

static void abort_one(struct wr_checkpoints *c, const struct wr_coordinator_action *a)
{
	char why[sizeof c->error + 80];

	if (a->awaited)
		name_awaited(c, a);
	snprintf(why, sizeof why, "%s%s%s", a->why, *c->error ? ": " : "", c->error);
	wr_warn("checkpoint", "checkpoint %" PRIu64 " is off: %s", a->checkpoint, why);
	if (a->checkpoint != c->swapping)
		broadcast(c, WR_LETTER_ABORT, a->checkpoint);
	answer(c, &(struct wr_checkpoint_outcome){.checkpoint = a->checkpoint, .error = why});
}

static int do_action(struct wr_checkpoints *c, const struct wr_coordinator_action *a, uint64_t now_ns)
{
	switch (a->act) {
	case WR_COORDINATOR_TRIGGER:
		if (c->job->left) /* its tasks rest, and are about to end */
			return WR_OK;
		return begin(c, a->checkpoint, now_ns);
	case WR_COORDINATOR_OVERTAKE:
		if (!c->options)
			broadcast(c, WR_LETTER_OVERTAKE, a->checkpoint);
		return WR_OK;
	case WR_COORDINATOR_ABORT:
		abort_one(c, a);
		return WR_OK;
	case WR_COORDINATOR_PUBLISH:
		if (c->o.blobs)
			publish(c, a->checkpoint, now_ns);
		else
			wr_coordinator_published(c->coordinator, a->checkpoint, true, now_ns);
		return WR_OK;
	case WR_COORDINATOR_COMPLETE:
		complete(c, a, now_ns);
		return WR_OK;
	case WR_COORDINATOR_FAIL:
		return wr_error_set(WR_EFATAL, "checkpoint %" PRIu64 " failed: %s%s%s", a->checkpoint, a->why,
				    *c->error ? ": " : "", c->error);
	}
	return WR_OK;
}

int wr_checkpoints_work(struct wr_checkpoints *c, uint64_t now_ns)
{
	struct publishing *p = &c->publishing;
	struct wr_coordinator_action action;
	int state = p->checkpoint ? atomic_load(&p->state) : 0, rc = WR_OK;

	if (state) {
		uint64_t checkpoint = p->checkpoint;

		p->checkpoint = 0;
		if (state == PUBLISH_FAILED)
			snprintf(c->error, sizeof c->error, "%s", p->error);
		wr_coordinator_published(c->coordinator, checkpoint, state == PUBLISH_OK, now_ns);
	}
	if (c->job->left)
		return WR_OK;
	if (!is_swapping_on(c))
		wr_coordinator_tick(c->coordinator, now_ns);
	while (rc == WR_OK && wr_coordinator_next(c->coordinator, &action))
		rc = do_action(c, &action, now_ns);
	return rc;
}

uint64_t wr_checkpoints_deadline(const struct wr_checkpoints *c)
{
	return is_swapping_on(c) || c->job->left ? UINT64_MAX : wr_coordinator_deadline(c->coordinator);
}

void wr_checkpoints_swap(struct wr_checkpoints *c, uint64_t option, uint64_t now_ns)
{
	WR_ASSERT(!c->swap_asked && !c->swapping);
	c->swap_asked = option;
	wr_coordinator_ask(c->coordinator, now_ns);
}

void wr_checkpoints_set_script(struct wr_checkpoints *c, const char *hash)
{
	c->o.script = hash;
}

uint64_t wr_checkpoints_begun(const struct wr_checkpoints *c)
{
	return wr_coordinator_last(c->coordinator);
}

uint64_t wr_checkpoints_swapped(const struct wr_checkpoints *c)
{
	return c->swapped;
}

struct wr_checkpoint_outcome wr_checkpoints_last(const struct wr_checkpoints *c, uint64_t *at_ns)
{
	*at_ns = c->last_ns;
	return c->last;
}

/* ---- answers ---- */

static void on_ended(struct wr_checkpoints *c, uint32_t task, uint64_t now_ns)
{
	uint64_t pending;

	c->ended[task] = true;
	pass(c, task, c->swapping);
	wr_coordinator_ended(c->coordinator, task, now_ns);
	pending = is_swapping_on(c) ? c->swapping : wr_coordinator_pending(c->coordinator);
	if (pending && pending <= c->begun) /* else it is told them as it begins */
		trigger(c, pending);
}

static void on_wanted(struct wr_checkpoints *c, uint64_t now_ns)
{
	if (!c->wanted)
		ask(c, now_ns);
	c->wanted = true;
}

static void on_ack(struct wr_checkpoints *c, uint32_t task, const struct wr_ack *ack, uint64_t now_ns)
{
	struct part *p = &c->parts[task];

	if (ack->checkpoint != wr_coordinator_pending(c->coordinator) ||
	    wr_coordinator_acked(c->coordinator, task))
		return;
	p->blob.len = 0;
	wr_bytes_put(&p->blob, ack->text.p, ack->text.len);
	wr_bytes_put_u8(&p->blob, 0);
	p->bytes = ack->bytes;
	p->in_flight = ack->in_flight;
	p->overtook = ack->overtook;
	if (wr_bytes_status(&p->blob) == WR_OK)
		wr_coordinator_ack(c->coordinator, task, ack->checkpoint, now_ns);
	else
		wr_coordinator_decline(c->coordinator, task, ack->checkpoint, now_ns);
}

static void on_decline(struct wr_checkpoints *c, struct wr_address who, const struct wr_ack *ack,
		       uint64_t now_ns)
{
	if (ack->checkpoint == wr_coordinator_pending(c->coordinator))
		snprintf(c->error, sizeof c->error, "%s [%u]: %.*s",
			 c->job->o.plan->vertices[who.vertex].name, who.subtask + 1, (int)ack->text.len,
			 ack->text.p);
	wr_coordinator_decline(c->coordinator, c->first[who.vertex] + who.subtask, ack->checkpoint, now_ns);
}

int wr_checkpoints_letter(struct wr_checkpoints *c, const struct wr_letter *l)
{
	uint32_t task = c->first[l->who.vertex] + l->who.subtask;
	uint64_t now_ns = wr_clock_ns(c->job->o.clock);
	struct wr_ack ack;
	int rc;

	if (l->type == WR_LETTER_ENDED) {
		on_ended(c, task, now_ns);
		return WR_OK;
	}
	if (l->type == WR_LETTER_WANTED) {
		on_wanted(c, now_ns);
		return WR_OK;
	}
	rc = wr_ack_parse(l->payload, l->len, &ack);
	if (rc != WR_OK)
		return rc;
	if (l->type == WR_LETTER_NOT_YET) {
		wr_coordinator_defer(c->coordinator, ack.checkpoint, now_ns);
		return WR_OK;
	}
	pass(c, task, ack.checkpoint);
	if (l->type == WR_LETTER_ACK)
		on_ack(c, task, &ack, now_ns);
	else
		on_decline(c, l->who, &ack, now_ns);
	return WR_OK;
}

/* On an I/O thread, behind what is still being written. */
static void finish_work(struct wr_iojob *io)
{
	struct publishing *p = (struct publishing *)io;
	struct wr_checkpoints *c = p->all;

	publish_work(io);
	if (p->published && wr_history_remove_old(c->o.blobs, p->checkpoint, c->o.retain, 0) != WR_OK)
		wr_warn("checkpoint", "an old checkpoint stays: %s", wr_error_text());
}

int wr_checkpoints_finish(struct wr_checkpoints *c)
{
	struct publishing *p = &c->finishing;
	int rc;

	clear_parts(c);
	c->triggered_ms = wr_clock_ms(c->job->o.clock);
	p->checkpoint = wr_coordinator_last(c->coordinator) + 1;
	rc = manifest_of(c, p->checkpoint, true, &p->manifest);
	if (rc != WR_OK)
		return rc;
	for (uint32_t failures = 0;; failures++) {
		atomic_store(&p->state, 0);
		wr_ioqueue_post(c->queue, &p->io);
		while (!atomic_load(&p->state))
			wr_loop_wait(c->job->loop, UINT64_MAX);
		if (p->state == PUBLISH_OK)
			return WR_OK;
		if (failures == c->o.tolerable)
			return wr_error_set(WR_EFATAL, "%s", p->error);
		wr_warn("checkpoint", "that the job has ended could not be written, and is tried again: %s",
			p->error);
	}
}

/* ---- life ---- */

uint64_t wr_lineage(const struct wr_manifest *restored, bool another, struct wr_clock *clock)
{
	struct wr_rand draw = {wr_clock_ns(clock) ^ (uint64_t)wr_clock_ms(clock) << 20};

	return restored && !another ? restored->lineage : wr_rand_next(&draw) >> 1;
}

static int init(struct wr_checkpoints *c)
{
	const struct wr_plan *p = c->job->o.plan;
	struct wr_coordinator_options o = {
	    .every_ns = (uint64_t)c->o.every_us * 1000,
	    .min_pause_ns = (uint64_t)c->o.min_pause_us * 1000,
	    .timeout_ns = (uint64_t)c->o.timeout_us * 1000,
	    .overtake_ns = c->o.unaligned_after_us ? (uint64_t)c->o.unaligned_after_us * 1000 : UINT64_MAX,
	    .tolerable = c->o.tolerable,
	    .tasks = c->job->task_count,
	    .last = c->o.newest};
	uint64_t now_ns = wr_clock_ns(c->job->o.clock);

	c->last.checkpoint = c->o.restored ? c->o.restored->checkpoint : 0;
	c->task_count = o.tasks;
	c->first = wr_zalloc(&mem, p->vertex_count * sizeof *c->first);
	c->parts = wr_zalloc(&mem, c->task_count * sizeof *c->parts);
	c->ended = wr_zalloc(&mem, c->task_count * sizeof *c->ended);
	c->passed = wr_zalloc(&mem, c->task_count * sizeof *c->passed);
	c->sources = wr_zalloc(&mem, (c->job->source_count + 1) * sizeof *c->sources);
	c->queue = wr_ioqueue_new(c->job->io);
	c->coordinator = wr_coordinator_new(&o, now_ns);
	if (!c->first || !c->parts || !c->ended || !c->passed || !c->sources || !c->queue || !c->coordinator)
		return WR_EFATAL;
	for (uint32_t v = 1; v < p->vertex_count; v++)
		c->first[v] = c->first[v - 1] + p->vertices[v - 1].parallelism;
	return WR_OK;
}

struct wr_checkpoints *wr_checkpoints_new(struct wr_job *j, const struct wr_checkpoint_options *o)
{
	struct wr_checkpoints *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return NULL;
	c->job = j;
	c->o = *o;
	wr_arena_init(&c->arena, &mem);
	c->publishing.all = c->finishing.all = c->removing.all = c;
	c->publishing.io = (struct wr_iojob){.work = publish_work, .done = publish_done};
	c->finishing.io = (struct wr_iojob){.work = finish_work, .done = publish_done};
	c->removing.io = (struct wr_iojob){.work = remove_work, .done = remove_done};
	if (init(c) == WR_OK)
		return c;
	wr_checkpoints_free(c);
	return NULL;
}

void wr_checkpoints_free(struct wr_checkpoints *c)
{
	if (!c)
		return;
	if (c->queue)
		wr_ioqueue_free(c->queue);
	for (uint32_t i = 0; c->parts && i < c->task_count; i++)
		wr_bytes_deinit(&c->parts[i].blob);
	for (uint32_t i = 0; c->sources && i < c->job->source_count; i++)
		wr_bytes_deinit(&c->sources[i]);
	wr_bytes_deinit(&c->publishing.manifest);
	wr_bytes_deinit(&c->finishing.manifest);
	wr_coordinator_free(c->coordinator);
	wr_free(&mem, c->first);
	wr_free(&mem, c->parts);
	wr_free(&mem, c->ended);
	wr_free(&mem, c->passed);
	wr_free(&mem, c->sources);
	wr_arena_deinit(&c->arena);
	wr_free(&mem, c);
}
