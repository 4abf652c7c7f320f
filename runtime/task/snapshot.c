/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: see snapshot.h; the bytes are told in checkpoint/FORMAT.md. */
#include "task/snapshot.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "checkpoint/history.h"
#include "exchange/valve.h"
#include "task/letter.h"
#include "savepoint/saved.h"
#include "savepoint/since.h"
#include "savepoint/under_way.h"
#include "task/task_priv.h"

struct part { /* of one stage */
	struct wr_frozen *keyed, *broadcast;
	uint32_t group_first, group_last;
	struct wr_bytes own;   /* one tagged value, or nothing */
	struct wr_bytes names; /* of further blobs */
	int64_t watermark, passed;
	bool ended; /* END has passed it: there is nothing of it */
};

struct snapshot {
	struct wr_iojob io; /* first */
	struct wr_snapshots *all;
	uint64_t checkpoint;
	uint32_t taken; /* stages that the barrier has left */
	bool failed;
	char *why;
	uint64_t bytes;
	struct wr_bytes channels;	/* their watermarks: a tagged value */
	struct wr_in_flight *in_flight; /* NULL: the barrier overtook nothing */
	struct part parts[];
};

struct wr_snapshots {
	struct wr_task *task;
	struct wr_blobs *blobs;
	struct wr_ioqueue *queue;
	struct wr_since *since; /* NULL: each snapshot is whole */
	struct snapshot *open;	/* the barrier is under way in the chain */
	uint64_t last;		/* that was begun */
	pthread_mutex_t mutex;
	pthread_cond_t written;
	_Atomic uint32_t writing;
	_Atomic bool closed; /* versions of one that was written */
};

static struct wr_mem mem = WR_MEM_INIT("task.snapshots");

/* ---- life ---- */

struct wr_snapshots *wr_snapshots_new(struct wr_task *t, struct wr_blobs *blobs)
{
	struct wr_snapshots *s = wr_zalloc(&mem, sizeof *s);
	const struct wr_durable *d = t->env.durable;
	bool incremental = d && d->holds;

	if (!s)
		return NULL;
	s->since = incremental ? wr_since_new(d->holds, d->chain_bytes_min) : NULL;
	s->queue = wr_ioqueue_new(t->env.saving);
	if (!s->queue || (incremental && !s->since)) {
		if (s->queue)
			wr_ioqueue_free(s->queue);
		wr_since_free(s->since);
		wr_free(&mem, s);
		return NULL;
	}
	s->task = t;
	s->blobs = blobs;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->written, NULL);
	return s;
}

static void snapshot_free(struct snapshot *s)
{
	for (uint32_t i = 0; i < s->all->task->chain.stage_count; i++) {
		if (s->parts[i].keyed)
			wr_frozen_unref(s->parts[i].keyed);
		if (s->parts[i].broadcast)
			wr_frozen_unref(s->parts[i].broadcast);
		wr_bytes_deinit(&s->parts[i].own);
		wr_bytes_deinit(&s->parts[i].names);
	}
	wr_bytes_deinit(&s->channels);
	wr_in_flight_free(s->in_flight);
	wr_free(&mem, s->why);
	wr_free(&mem, s);
}

void wr_snapshots_free(struct wr_snapshots *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	while (atomic_load(&s->writing))
		pthread_cond_wait(&s->written, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	if (s->open)
		snapshot_free(s->open);
	wr_ioqueue_free(s->queue);
	wr_since_free(s->since);
	pthread_cond_destroy(&s->written);
	pthread_mutex_destroy(&s->mutex);
	wr_free(&mem, s);
}

bool wr_snapshots_busy(const struct wr_snapshots *s)
{
	return atomic_load(&s->writing) > 0;
}

void wr_snapshots_settle(struct wr_snapshots *s)
{
	const struct wr_chain *c = &s->task->chain;
	struct wr_notify wake = s->task->env.wake;
	bool all = true;

	if (WR_LIKELY(!atomic_load_explicit(&s->closed, memory_order_relaxed)) ||
	    !atomic_exchange(&s->closed, false))
		return;
	for (uint32_t i = 0; i < c->stage_count; i++) {
		if (c->stages[i].store)
			all &= wr_store_settle(c->stages[i].store) != 0;
		if (c->stages[i].broadcast)
			all &= wr_store_settle(c->stages[i].broadcast) != 0;
	}
	if (all)
		return;
	atomic_store_explicit(&s->closed, true, memory_order_relaxed);
	wr_notify_fire(&wake);
}

/* ---- telling the coordinator ---- */

static void blob_id(const struct snapshot *s, char id[WR_HISTORY_ID])
{
	const struct wr_stage_env *env = &s->all->task->env;

	wr_history_blob_id(s->checkpoint, env->vertex, env->subtask, id);
}

static void tell(const struct snapshot *s)
{
	const struct wr_stage_env *env = &s->all->task->env;
	struct wr_bytes letter = WR_BYTES_EMPTY;
	struct wr_ack ack = {.checkpoint = s->checkpoint,
			     .bytes = s->bytes,
			     .in_flight = s->in_flight ? wr_in_flight_bytes(s->in_flight) : 0,
			     .overtook = s->in_flight != NULL};
	char id[WR_HISTORY_ID];

	blob_id(s, id);
	ack.text.p = !s->failed ? id : s->why ? s->why : "out of memory";
	ack.text.len = (uint32_t)strlen(ack.text.p);
	wr_ack_put(&letter, &ack);
	env->post(env->post_arg, env->vertex, env->subtask, 0, s->failed ? WR_LETTER_DECLINE : WR_LETTER_ACK,
		  letter.data, (uint32_t)letter.len);
	wr_bytes_deinit(&letter);
}

static void fail(struct snapshot *s)
{
	if (s->failed)
		return;
	s->failed = true;
	s->why = wr_strdup(&mem, wr_error_text());
}

/* ---- writing: on an I/O thread ---- */

static int put_task(const struct snapshot *s, struct wr_block_writer *w)
{
	const struct wr_task *t = s->all->task;
	struct wr_bytes value = WR_BYTES_EMPTY;
	int rc;

	wr_value_put_record(&value, 4);
	wr_value_put_name(&value, "channels");
	if (s->channels.len)
		wr_bytes_put(&value, s->channels.data, s->channels.len);
	else
		wr_value_put_list(&value, 0);
	wr_value_put_name(&value, "ended");
	wr_value_put_list(&value, t->chain.stage_count);
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		wr_value_put_bool(&value, s->parts[i].ended);
	wr_value_put_name(&value, "passed");
	wr_value_put_list(&value, t->chain.stage_count);
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		wr_value_put_i64(&value, s->parts[i].passed);
	wr_value_put_name(&value, "watermarks");
	wr_value_put_list(&value, t->chain.stage_count);
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		wr_value_put_i64(&value, s->parts[i].watermark);
	rc = wr_bytes_status(&value);
	if (rc == WR_OK)
		rc =
		    wr_block_put(w, &(struct wr_block){WR_BLOCK_TASK, 0, 0, value.data, (uint32_t)value.len});
	wr_bytes_deinit(&value);
	return rc;
}

/* Store `i` of the task: keyed state of a stage, then its broadcast state, then those of the next. */
static struct wr_frozen *store_of(const struct snapshot *s, uint32_t i)
{
	const struct part *p = &s->parts[i / 2];

	return i % 2 ? p->broadcast : p->keyed;
}

static int put_store(const struct snapshot *s, uint32_t i, const struct wr_since_plan *plan,
		     struct wr_block_writer *w)
{
	const struct part *p = &s->parts[i / 2];
	const struct wr_bytes *ids = &plan->stores[i].ids;
	uint32_t stage = i / 2 + (i % 2 ? WR_SNAPSHOT_BROADCAST : 0);
	uint32_t first = i % 2 ? 0 : p->group_first, last = i % 2 ? 0 : p->group_last;

	if (!plan->stores[i].frozen)
		return WR_OK;
	if (plan->bases && plan->stores[i].epoch)
		return wr_saved_put_changes(w, stage, plan->stores[i].frozen, plan->stores[i].epoch, first,
					    last, (const uint32_t *)ids->data,
					    (uint32_t)(ids->len / sizeof(uint32_t)));
	return wr_saved_put_store(w, stage, plan->stores[i].frozen, first, last);
}

static int put_ids(struct wr_block_writer *w, enum wr_block_kind kind, uint32_t stage,
		   const struct wr_bytes *ids)
{
	if (!ids || !ids->len)
		return WR_OK;
	return wr_block_put(w, &(struct wr_block){kind, stage, 0, ids->data, (uint32_t)ids->len});
}

static int put_in_flight(const struct wr_in_flight *f, struct wr_block_writer *w)
{
	struct wr_bytes said = WR_BYTES_EMPTY;
	int rc = WR_OK;

	for (uint32_t i = 0; i < f->count && rc == WR_OK; i++)
		rc = wr_bytes_status(&f->channels[i].rows) != WR_OK
			 ? WR_EFATAL
			 : wr_under_way_put(w, &said, i, f->channels[i].input, f->channels[i].rows.data,
					    f->channels[i].rows.len);
	wr_bytes_deinit(&said);
	return rc;
}

static int put_all(const struct snapshot *s, const struct wr_since_plan *plan, struct wr_block_writer *w)
{
	uint32_t stages = s->all->task->chain.stage_count;
	int rc = put_task(s, w);

	if (rc == WR_OK)
		rc = put_ids(w, WR_BLOCK_BASES, 0, plan->bases);
	for (uint32_t i = 0; i < stages && rc == WR_OK; i++)
		rc = put_ids(w, WR_BLOCK_NAMES, i, &s->parts[i].names);
	for (uint32_t i = 0; i < stages && rc == WR_OK; i++)
		if (s->parts[i].own.len)
			rc = wr_block_put(w, &(struct wr_block){WR_BLOCK_OPERATOR, i, 0, s->parts[i].own.data,
								(uint32_t)s->parts[i].own.len});
	for (uint32_t i = 0; i < plan->store_count && rc == WR_OK; i++)
		rc = put_store(s, i, plan, w);
	if (rc == WR_OK && s->in_flight)
		rc = put_in_flight(s->in_flight, w);
	return rc;
}

static int settle(struct snapshot *s)
{
	const struct wr_chain *c = &s->all->task->chain;
	int rc = WR_OK;

	for (uint32_t i = 0; i < c->stage_count && rc == WR_OK; i++)
		if (c->stages[i].ops->settle && !s->parts[i].ended)
			rc = c->stages[i].ops->settle(&c->stages[i], s->checkpoint, &s->parts[i].own);
	return rc;
}

static int write_blob(struct snapshot *s, const struct wr_since_plan *plan, const char *id)
{
	struct wr_blob *blob = s->all->blobs->ops->begin(s->all->blobs, id);
	struct wr_block_writer w;

	if (!blob)
		return wr_error_code();
	wr_block_writer_init(&w, blob);
	return wr_block_commit(&w, put_all(s, plan, &w), &s->bytes);
}

static void write_snapshot(struct wr_iojob *io)
{
	struct snapshot *s = (struct snapshot *)io;
	struct wr_since *since = s->all->since;
	struct wr_since_plan plan = {.store_count = 2 * s->all->task->chain.stage_count};
	char id[WR_HISTORY_ID];
	int rc = s->failed ? WR_OK : settle(s);

	if (s->failed)
		return;
	blob_id(s, id);
	plan.stores = wr_zalloc(&mem, plan.store_count * sizeof *plan.stores);
	rc = plan.stores || rc != WR_OK ? rc : WR_EFATAL;
	for (uint32_t i = 0; plan.stores && i < plan.store_count; i++)
		plan.stores[i].frozen = store_of(s, i);
	if (rc == WR_OK && since)
		rc = wr_since_plan(since, &plan);
	if (rc == WR_OK)
		rc = write_blob(s, &plan, id);
	if (rc == WR_OK && since)
		wr_since_written(since, &plan, s->checkpoint, id, s->bytes);
	if (plan.stores)
		wr_since_plan_deinit(&plan);
	wr_free(&mem, plan.stores);
	if (rc != WR_OK)
		fail(s);
}

static void written(struct wr_iojob *io)
{
	struct snapshot *s = (struct snapshot *)io;
	struct wr_snapshots *all = s->all;
	struct wr_notify wake = all->task->env.wake;

	WR_CRASH_STEP("checkpoint.ack");
	tell(s);
	snapshot_free(s);
	atomic_store(&all->closed, true);
	pthread_mutex_lock(&all->mutex);
	atomic_fetch_sub(&all->writing, 1);
	wr_notify_fire(&wake);
	pthread_cond_signal(&all->written);
	pthread_mutex_unlock(&all->mutex);
}

/* ---- taking: on the task's thread ---- */

static void take_channels(struct snapshot *s)
{
	const struct wr_task *t = s->all->task;
	uint32_t count = t->gate ? wr_gate_count(t->gate) : 0;

	if (!count)
		return;
	wr_value_put_list(&s->channels, count);
	for (uint32_t i = 0; i < count; i++) {
		int64_t watermark;
		bool idle, aligned;

		wr_valve_channel(t->valve, i, &watermark, &idle, &aligned);
		if (t->in_flight)
			watermark = t->in_flight->channels[i].watermark;
		wr_value_put_list(&s->channels, 2);
		wr_value_put_i64(&s->channels, watermark);
		wr_value_put_bool(&s->channels, idle);
	}
	if (wr_bytes_status(&s->channels) != WR_OK)
		fail(s);
}

static struct snapshot *begin(struct wr_snapshots *all, uint64_t checkpoint)
{
	uint32_t stages = all->task->chain.stage_count;
	struct snapshot *s = wr_zalloc(&mem, sizeof *s + stages * sizeof s->parts[0]);

	if (!s)
		return NULL;
	s->io.work = write_snapshot;
	s->io.done = written;
	s->all = all;
	s->checkpoint = all->last = checkpoint;
	take_channels(s);
	return s;
}

static struct wr_frozen *freeze(struct snapshot *s, struct wr_store *store)
{
	struct wr_frozen *f = wr_store_freeze(store);

	if (!f)
		fail(s);
	return f;
}

static void take(struct snapshot *s, struct wr_stage *stage)
{
	struct part *p = &s->parts[stage->index];

	p->watermark = stage->watermark;
	p->passed = s->all->task->passed[stage->index];
	stage->checkpoint = s->checkpoint;
	if (s->all->task->draining) {
		const struct wr_times *before = &s->all->task->before_end[stage->index];

		p->watermark = p->watermark == WR_TS_MAX ? before->watermark : p->watermark;
		p->passed = p->passed == WR_TS_MAX ? before->passed : p->passed;
	}
	if (stage->ops->save && (stage->ops->save(stage, &p->own) != WR_OK || p->own.failed))
		fail(s);
	if (stage->ops->names && (stage->ops->names(stage, &p->names) != WR_OK || p->names.failed))
		fail(s);
	if (stage->store) {
		wr_key_group_range(stage->env->max_parallelism, stage->env->parallelism, stage->env->subtask,
				   &p->group_first, &p->group_last);
		p->keyed = freeze(s, stage->store);
	}
	if (stage->broadcast)
		p->broadcast = freeze(s, stage->broadcast);
}

static void not_begun(const struct wr_snapshots *all)
{
	wr_err("checkpoint", "%s [%u]: %s", all->task->env.task, all->task->env.subtask + 1, wr_error_text());
}

static void hand_over(struct wr_snapshots *all, struct snapshot *s)
{
	all->open = NULL;
	atomic_fetch_add(&all->writing, 1);
	wr_ioqueue_post(all->queue, &s->io);
}

void wr_snapshot_ending(struct wr_snapshots *all, uint64_t checkpoint)
{
	struct wr_chain *c = &all->task->chain;
	struct snapshot *s;

	WR_ASSERT(!all->open);
	if (checkpoint <= all->last)
		return;
	s = begin(all, checkpoint);
	for (uint32_t i = 0; s && i < c->stage_count; i++)
		if (all->task->past_end[i])
			s->parts[i].ended = true;
		else
			take(s, &c->stages[i]);
	if (s)
		hand_over(all, s);
	else
		not_begun(all);
}

void wr_snapshot_stage(struct wr_snapshots *all, struct wr_stage *stage, uint64_t checkpoint)
{
	struct snapshot *s = all->open;

	WR_ASSERT(!s || s->checkpoint == checkpoint);
	if (!s && stage->index == 0) {
		s = all->open = begin(all, checkpoint);
		if (!s)
			not_begun(all);
	}
	if (!s)
		return;
	take(s, stage);
	if (++s->taken == all->task->chain.stage_count && !all->task->in_flight)
		hand_over(all, s);
}

void wr_snapshot_in_flight(struct wr_snapshots *all, struct wr_in_flight *f)
{
	struct snapshot *s = all->open;

	if (!s) { /* there was no memory for it */
		wr_in_flight_free(f);
		return;
	}
	WR_ASSERT(s->checkpoint == f->checkpoint && s->taken == all->task->chain.stage_count);
	s->in_flight = f;
	hand_over(all, s);
}
