/* SPDX-License-Identifier: Apache-2.0 */
/* job: runs the tasks of a plan, and is their coordinator meanwhile. */
#include "cluster/build.h"
#include "cluster/swap.h"
#include "cluster/trial.h"

#include <stddef.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "stream/remote.h"
#include "tiered/spill.h"

enum { IO_THREADS_MAX = 4, JOB_NS_PER_MS = 1000000 };

static struct wr_mem mem = WR_MEM_INIT("cluster.job");

static struct wr_runner *runner_of(const struct wr_job *j, uint32_t vertex, uint32_t subtask)
{
	WR_ASSERT(vertex < j->o.plan->vertex_count && subtask < j->o.plan->vertices[vertex].parallelism);
	return &j->runners[vertex][subtask];
}

/* ---- news from the workers ---- */

/* A job that is to end goes without what the outside world refuses to it: its next run goes on from the last
 * checkpoint. */
static bool ends_anyway(struct wr_job *j, int code)
{
	return code == WR_ETRANSIENT && atomic_load(&j->stops);
}

static void remember_first(struct wr_job *j, int code, bool beginning)
{
	pthread_mutex_lock(&j->mutex);
	if (ends_anyway(j, code)) {
		if (!atomic_load(&j->failed))
			wr_warn("job", "given up, since it is to end: %s", wr_error_text());
	} else if (j->code == WR_OK) {
		j->code = code;
		j->in_vain = beginning && code == WR_EUSER;
		j->error = wr_strdup(&mem, wr_error_text());
	}
	pthread_mutex_unlock(&j->mutex);
	atomic_store(&j->failed, true);
}

static void remember_failure(struct wr_job *j, int code)
{
	remember_first(j, code, false);
}

static void on_end(void *arg, struct wr_runner *r, enum wr_step step)
{
	struct wr_job *j = arg;
	const struct wr_stage_env *env = wr_task_env(r->task);

	if (step == WR_STEP_ENOUGH) {
		atomic_store(&j->enough, true);
		wr_loop_wake(j->loop);
		return;
	}
	/* one that failed has not ended: a checkpoint under way must not do without its part */
	if (step == WR_STEP_FAILED)
		remember_first(j, wr_error_code(), !wr_task_is_open(r->task));
	else
		wr_job_post(j, env->vertex, env->subtask, 0, WR_LETTER_ENDED, NULL, 0);
	if (atomic_fetch_sub(&j->running, 1) == 1 || step == WR_STEP_FAILED)
		wr_loop_wake(j->loop);
}

static void on_quit(void *arg)
{
	struct wr_job *j = arg;

	wr_loop_wake(j->loop);
}

void wr_job_post(void *job, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		 const void *payload, uint32_t len)
{
	struct wr_job *j = job;
	struct wr_address who = {vertex, subtask, stage};
	struct wr_letter *l = wr_letter_new((enum wr_letter_type)type, who, payload, len);

	if (l)
		wr_mailbox_put(&j->mailbox, l);
	else
		remember_failure(j, WR_EFATAL);
	wr_loop_wake(j->loop);
}

void wr_job_stop(struct wr_job *j)
{
	atomic_fetch_add(&j->stops, 1);
	wr_loop_wake(j->loop);
}

/* ---- enumerators ---- */

void wr_job_send(struct wr_job *j, enum wr_letter_type type, struct wr_address who, const void *payload,
		 uint32_t len)
{
	struct wr_letter *l = wr_letter_new(type, who, payload, len);

	if (l)
		wr_task_post(runner_of(j, who.vertex, who.subtask)->task, l);
	else
		remember_failure(j, WR_EFATAL);
}

static void to_reader(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len)
{
	struct wr_job_source *source = arg;
	struct wr_address who = {source->vertex, subtask, 0};

	wr_job_send(source->job, (enum wr_letter_type)type, who, payload, len);
}

static void to_marker(void *job, struct wr_address who, int64_t allowed)
{
	struct wr_job *j = job;
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_time_put(&payload, allowed);
	if (wr_bytes_status(&payload) == WR_OK)
		wr_job_send(j, WR_LETTER_ALLOWED, who, payload.data, (uint32_t)payload.len);
	else
		remember_failure(j, WR_EFATAL);
	wr_bytes_deinit(&payload);
}

static const struct wr_enumerator_ops *enumerator_of(const struct wr_job *j, const char *kind)
{
	for (unsigned i = 0; i < j->o.enumerator_count; i++)
		if (!strcmp(j->o.enumerators[i]->kind, kind))
			return j->o.enumerators[i];
	return NULL;
}

static int restore_source(struct wr_job *j, struct wr_job_source *source)
{
	const struct wr_manifest *m = j->o.restore ? j->o.restore->manifest : NULL;
	const char *uid = j->o.plan->vertices[source->vertex].stages[0].operators[0].uid;

	for (uint32_t i = 0; m && i < m->source_count; i++)
		if (!strcmp(m->sources[i].uid, uid) && source->enumerator->ops->restore)
			return source->enumerator->ops->restore(source->enumerator, m->sources[i].state);
	return WR_OK;
}

static int make_sources(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;

	j->sources = wr_arena_alloc(&j->arena, (p->vertex_count + 1) * sizeof *j->sources);
	if (!j->sources)
		return WR_EFATAL;
	for (uint32_t v = 0; v < p->vertex_count; v++) {
		const struct wr_enumerator_ops *ops = enumerator_of(j, p->vertices[v].stages[0].kind);
		struct wr_job_source *source = &j->sources[j->source_count];

		if (p->vertices[v].inputs || !ops)
			continue;
		*source = (struct wr_job_source){.job = j, .vertex = v};
		source->enumerator = ops->make(p->vertices[v].stages[0].options, p->vertices[v].parallelism,
					       to_reader, source);
		if (!source->enumerator)
			return wr_error_wrap(wr_error_code(), "%s", p->vertices[v].name);
		j->source_count++;
		if (restore_source(j, source) != WR_OK)
			return wr_error_wrap(wr_error_code(), "%s", p->vertices[v].name);
	}
	return WR_OK;
}

/* Looks for splits where it is time to. Gives the time of the next look. */
static uint64_t discover(struct wr_job *j)
{
	uint64_t now = wr_clock_ns(j->o.clock), next = UINT64_MAX;

	for (uint32_t i = 0; i < j->source_count; i++) {
		struct wr_job_source *s = &j->sources[i];
		int64_t next_ms = -1;

		if (s->discover_ns <= now) {
			int rc = s->enumerator->ops->discover(s->enumerator, &next_ms);

			if (rc < 0) {
				wr_error_wrap(rc, "%s", j->o.plan->vertices[s->vertex].name);
				remember_first(j, rc, true);
			}
			s->discover_ns = next_ms < 0 ? UINT64_MAX : now + (uint64_t)next_ms * JOB_NS_PER_MS;
		}
		if (s->discover_ns < next)
			next = s->discover_ns;
	}
	return next;
}

/* WR_OK, an error, or WR_AGAIN: it is for an enumerator. */
static int deliver_here(struct wr_job *j, const struct wr_letter *l)
{
	switch (l->type) {
	case WR_LETTER_PROGRESS:
		return wr_alignment_letter(j->alignment, l);
	case WR_LETTER_ACK:
	case WR_LETTER_DECLINE:
	case WR_LETTER_NOT_YET:
	case WR_LETTER_WANTED:
	case WR_LETTER_ENDED:
		if (l->type == WR_LETTER_ENDED)
			wr_trial_letter(j->trial, l);
		return wr_checkpoints_letter(j->checkpoints, l);
	case WR_LETTER_TRIED:
		wr_trial_letter(j->trial, l);
		return WR_OK;
	case WR_LETTER_RETURNED:
		return wr_swap_letter(j->swap, l);
	default:
		return WR_AGAIN;
	}
}

static void deliver(struct wr_job *j, const struct wr_letter *l)
{
	int here = deliver_here(j, l);

	if (here < 0)
		remember_failure(j, here);
	if (here != WR_AGAIN)
		return;
	for (uint32_t i = 0; i < j->source_count; i++) {
		struct wr_job_source *s = &j->sources[i];
		int rc;

		if (s->vertex != l->who.vertex)
			continue;
		rc = s->enumerator->ops->letter(s->enumerator, l->who.subtask, l->type, l->payload, l->len);
		if (rc < 0) {
			wr_error_wrap(rc, "%s", j->o.plan->vertices[s->vertex].name);
			remember_failure(j, rc);
		}
	}
}

void wr_job_read_mail(struct wr_job *j)
{
	struct wr_letter *l;

	while ((l = wr_mailbox_take(&j->mailbox))) {
		deliver(j, l);
		wr_letter_free(l);
	}
}

/* ---- running ---- */

static void send_to_all(struct wr_job *j, enum wr_letter_type type)
{
	const struct wr_plan *p = j->o.plan;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			wr_job_send(j, type, (struct wr_address){v, i, 0}, NULL, 0);
}

/* Where a last checkpoint is none and the user wants the end, nothing is waited for. */
static bool goes_on(struct wr_job *j)
{
	return atomic_load(&j->running) && j->left == j->saved && !atomic_load(&j->failed) &&
	       atomic_load(&j->stops) < 2;
}

/* What is due of the checkpoints, and of a swap, which asks for one. Gives the time of the next work. */
static uint64_t work_on_checkpoints(struct wr_job *j)
{
	uint64_t now_ns = wr_clock_ns(j->o.clock), checkpoints, swap;
	int rc;

	wr_swap_work(j->swap, now_ns);
	rc = wr_checkpoints_work(j->checkpoints, now_ns);
	if (rc < 0)
		remember_failure(j, rc);
	wr_swap_work(j->swap, now_ns);
	checkpoints = wr_checkpoints_deadline(j->checkpoints);
	swap = wr_swap_deadline(j->swap);
	return swap < checkpoints ? swap : checkpoints;
}

/* With an error: who asked from outside can ask again, and the job goes on, unless its event time has ended.
 * A signal is obeyed, and so is a sink whose rows nobody takes. */
static void on_last(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	struct wr_job *j = (struct wr_job *)((char *)w - offsetof(struct wr_job, last_wish));

	if (o->error && j->why == WR_LEAVE_DRAIN && atomic_load(&j->running))
		remember_failure(j,
				 wr_error_set(WR_EFATAL, "the job was drained, but not saved: %s", o->error));
	j->saved = !o->error;
	j->left = j->saved || atomic_load(&j->stops) || (atomic_load(&j->enough) && atomic_load(&j->running));
	j->leaving = false;
	if (j->leave)
		j->leave->done(j->leave, o);
	j->leave = NULL;
}

static void leave(struct wr_job *j, struct wr_checkpoint_wish *w, enum wr_leave why)
{
	j->leaving = true;
	j->why = why;
	j->leave = w;
	j->last_wish.done = on_last;
	j->last_wish.options = WR_TRIGGER_STOP | (why == WR_LEAVE_DRAIN ? WR_TRIGGER_DRAIN : 0);
	wr_checkpoints_ask(j->checkpoints, &j->last_wish, wr_clock_ns(j->o.clock));
}

/* The last checkpoint holds. */
static void end_tasks(struct wr_job *j)
{
	send_to_all(j, j->why == WR_LEAVE_AGAIN ? WR_LETTER_CANCEL : WR_LETTER_LEAVE);
	j->cancelled = true;
}

/* The user, or a sink, wants an end. A job with checkpoints is not drained: it can go on from the last one,
 * which is taken now. Of the tasks that wait for a target each is told, so that it sees how long it may. */
static void stop_in_order(struct wr_job *j)
{
	if (j->saved)
		end_tasks(j);
	else if (!j->o.checkpoints)
		send_to_all(j, WR_LETTER_STOP);
	else if (!j->leaving)
		leave(j, NULL, WR_LEAVE_STOP);
	else if (j->why == WR_LEAVE_AGAIN) /* there is no next run that commits at once */
		j->why = WR_LEAVE_STOP;
}

static int needs_checkpoints(const struct wr_job *j)
{
	if (j->o.checkpoints)
		return WR_OK;
	return wr_error_set(
	    WR_EUSER,
	    "the job takes no checkpoints: it was started without --dir, or in checkpoint mode none");
}

int wr_job_checkpoint(struct wr_job *j, struct wr_checkpoint_wish *w, bool aligned)
{
	int rc = needs_checkpoints(j);

	w->options = aligned ? WR_TRIGGER_ALIGNED : 0;
	if (rc == WR_OK)
		wr_checkpoints_ask(j->checkpoints, w, wr_clock_ns(j->o.clock));
	return rc;
}

int wr_job_leave(struct wr_job *j, struct wr_checkpoint_wish *w, enum wr_leave why)
{
	int rc = needs_checkpoints(j);

	if (rc == WR_OK && (j->leaving || j->left || atomic_load(&j->stops) || atomic_load(&j->enough)))
		return wr_error_set(WR_EUSER, "the job is being stopped already");
	if (rc == WR_OK)
		leave(j, w, why);
	return rc;
}

bool wr_job_has_left(const struct wr_job *j)
{
	return j->saved;
}

static void coordinate(struct wr_job *j)
{
	uint64_t tick_ns = (uint64_t)j->o.tick_ms * JOB_NS_PER_MS;
	uint64_t tick = wr_clock_ns(j->o.clock) + tick_ns;
	bool stopping = false;

	while (goes_on(j)) {
		uint64_t next = discover(j), due;

		wr_job_read_mail(j);
		if (!stopping && (atomic_load(&j->stops) || atomic_load(&j->enough))) {
			stopping = true;
			stop_in_order(j);
		}
		due = work_on_checkpoints(j);
		if (j->o.work)
			j->o.work(j->o.work_arg, j);
		if (due < next)
			next = due;
		if (j->saved && !j->cancelled)
			end_tasks(j);
		if (j->o.tick && wr_clock_ns(j->o.clock) >= tick) {
			j->o.tick(j->o.tick_arg, false);
			tick += tick_ns;
		}
		if (j->o.tick && tick < next)
			next = tick;
		if (goes_on(j))
			wr_loop_wait(j->loop, next);
	}
}

/* What has failed is told when it is over. Where that is long to come, it is told now, with what is awaited.
 */
static void tell_stuck(struct wr_job *j, const struct wr_runner *stepped)
{
	const struct wr_stage_env *env = stepped ? wr_task_env(stepped->task) : NULL;

	pthread_mutex_lock(&j->mutex);
	wr_err("job", "%s has failed: %s", j->o.plan->job, j->error ? j->error : "out of memory");
	pthread_mutex_unlock(&j->mutex);
	wr_warn("job",
		"%s: subtask %u of \"%s\" does not return from a function of the script, or a commit, and is "
		"waited for; a signal (Ctrl-C), or weir cancel, ends the process without it",
		j->o.plan->job, env ? env->subtask : 0, env ? env->task : "a task");
	wr_checkpoints_give_up(j->checkpoints, "the job has failed, and one of its subtasks does not return");
}

/* The workers come back from the steps that they are in. Whoever asks the job for something is answered
 * meanwhile. */
static void await_workers(struct wr_job *j)
{
	enum { PATIENCE_MS = 1000 };
	uint64_t until = wr_clock_ns(j->o.clock) + PATIENCE_MS * (uint64_t)JOB_NS_PER_MS;
	const struct wr_runner *stepped;

	wr_sched_end(j->sched);
	while (wr_sched_left(j->sched, &stepped)) {
		bool patient = atomic_load(&j->failed) && !atomic_load(&j->stuck);

		if (patient && wr_clock_ns(j->o.clock) >= until) {
			atomic_store(&j->stuck, true);
			tell_stuck(j, stepped);
			patient = false;
		}
		wr_loop_wait(j->loop, patient ? until : UINT64_MAX);
	}
	atomic_store(&j->stuck, false);
}

bool wr_job_is_stuck(const struct wr_job *j)
{
	return atomic_load(&j->stuck);
}

int wr_job_run(struct wr_job *j)
{
	int rc;

	atomic_store(&j->running, j->task_count);
	rc = wr_sched_start(j->sched);
	if (rc != WR_OK)
		return rc;
	coordinate(j);
	await_workers(j);
	wr_sched_stop(j->sched);
	wr_checkpoints_give_up(j->checkpoints, "the job has ended");
	if (j->o.tick)
		j->o.tick(j->o.tick_arg, true);
	if (j->code != WR_OK)
		return wr_error_set(j->code, "%s", j->error ? j->error : "out of memory");
	if (j->o.checkpoints && !atomic_load(&j->running) && !j->cancelled && !atomic_load(&j->failed))
		rc = wr_checkpoints_finish(j->checkpoints);
	if (rc != WR_OK)
		return rc;
	return j->left || atomic_load(&j->stops) ? WR_END : WR_OK;
}

uint64_t wr_job_way_back(const struct wr_job *j)
{
	return wr_trial_way_back(j->trial);
}

bool wr_job_trial_is_good(const struct wr_job *j)
{
	return wr_trial_is_good(j->trial);
}

void wr_job_trial(struct wr_job *j, bool on)
{
	const struct wr_plan *p = j->o.plan;
	struct wr_bytes payload = WR_BYTES_EMPTY;

	if (on)
		wr_trial_begin(j->trial, 0);
	else
		wr_trial_end(j->trial);
	wr_value_put_i64(&payload, on);
	if (wr_bytes_status(&payload) != WR_OK)
		remember_failure(j, WR_EFATAL);
	for (uint32_t v = 0; v < p->vertex_count && !payload.failed; v++)
		for (uint32_t i = 0; i < p->vertices[v].parallelism; i++)
			wr_job_send(j, WR_LETTER_TRIAL, (struct wr_address){v, i, 0}, payload.data,
				    (uint32_t)payload.len);
	wr_bytes_deinit(&payload);
}

void wr_job_set_script(struct wr_job *j, const char *hash)
{
	wr_checkpoints_set_script(j->checkpoints, hash);
}

struct wr_swap *wr_job_swap(const struct wr_job *j)
{
	return j->swap;
}

bool wr_job_in_vain(const struct wr_job *j)
{
	return j->in_vain;
}

uint64_t wr_job_last_checkpoint(const struct wr_job *j)
{
	uint64_t at_ns;

	return wr_job_checkpoint_told(j, &at_ns).checkpoint;
}

struct wr_checkpoint_outcome wr_job_checkpoint_told(const struct wr_job *j, uint64_t *at_ns)
{
	return wr_checkpoints_last(j->checkpoints, at_ns);
}

/* ---- making and freeing ---- */

/* A barrier is as slow as what it waits for. */
static const struct wr_checkpoint_options barriers_only = {.timeout_us = INT64_MAX / 2000,
							   .tolerable = UINT32_MAX};

static int job_init(struct wr_job *j)
{
	struct wr_sched_options so = {.workers = j->o.workers,
				      .spin = j->o.spin,
				      .pinned = j->o.pinned,
				      .clock = j->o.clock,
				      .on_end = on_end,
				      .on_quit = on_quit,
				      .arg = j};
	int rc;

	if (j->o.restore)
		j->durable =
		    (struct wr_durable){.lineage = wr_lineage(j->o.restore->manifest, true, j->o.clock),
					.newest = j->o.restore->manifest->checkpoint,
					.restore = j->o.restore};
	if (j->o.checkpoints)
		j->durable =
		    (struct wr_durable){.blobs = j->o.checkpoints->blobs,
					.lineage = j->o.checkpoints->lineage,
					.newest = j->o.checkpoints->newest,
					.restore = j->o.restore,
					.skip_committed = j->o.checkpoints->skip_committed,
					.assume_committed = j->o.checkpoints->assume_committed,
					.assume_lost = j->o.checkpoints->assume_lost,
					.patience_ns = (uint64_t)j->o.checkpoints->patience_us * 1000,
					.packs_logs = j->o.checkpoints->packs_logs,
					.holds = j->o.checkpoints->incremental ? &j->holds : NULL,
					.chain_bytes_min = j->o.checkpoints->chain_bytes_min};
	j->loop = wr_loop_new(j->o.clock);
	j->io = wr_iopool_new(IO_THREADS_MAX, WR_IOPOOL_PROMPT);
	j->saving = wr_iopool_new(IO_THREADS_MAX, WR_IOPOOL_PATIENT);
	j->sched = wr_sched_new(&so);
	if (!j->loop || !j->io || !j->saving || !j->sched)
		return WR_EFATAL;
	rc = wr_job_build(j);
	j->alignment = rc == WR_OK ? wr_alignment_new(j->o.plan, to_marker, j) : NULL;
	if (rc == WR_OK && !j->alignment)
		return WR_EFATAL;
	if (rc == WR_OK)
		rc = make_sources(j);
	if (rc != WR_OK)
		return rc;
	j->checkpoints = wr_checkpoints_new(j, j->o.checkpoints ? j->o.checkpoints : &barriers_only);
	if (!j->checkpoints)
		return wr_error_code();
	j->swap = wr_swap_new(j);
	j->trial = wr_trial_new(j);
	return j->swap && j->trial ? WR_OK : WR_EFATAL;
}

struct wr_job *wr_job_new(const struct wr_job_options *o)
{
	struct wr_job *j = wr_zalloc(&mem, sizeof *j);

	if (!j)
		return NULL;
	j->o = *o;
	wr_arena_init(&j->arena, &mem);
	pthread_mutex_init(&j->mutex, NULL);
	if (job_init(j) == WR_OK)
		return j;
	wr_job_free(j);
	return NULL;
}

static void free_tasks(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;

	for (uint32_t v = 0; j->runners && v < p->vertex_count; v++)
		for (uint32_t i = 0; j->runners[v] && i < p->vertices[v].parallelism; i++)
			if (j->runners[v][i].task)
				wr_task_free(j->runners[v][i].task);
}

static void free_channels(struct wr_job *j)
{
	const struct wr_plan *p = j->o.plan;

	for (uint32_t e = 0; j->edges && e < p->edge_count; e++) {
		size_t n = (size_t)p->vertices[p->edges[e].from].parallelism *
			   p->vertices[p->edges[e].to].parallelism;

		for (size_t i = 0; j->edges[e] && i < n; i++)
			if (j->edges[e][i])
				j->edges[e][i]->ops->free(j->edges[e][i]);
	}
	for (uint32_t i = 0; i < sizeof j->pools / sizeof *j->pools; i++)
		wr_pools_free(j->pools[i]);
}

void wr_job_free(struct wr_job *j)
{
	if (!j)
		return;
	wr_swap_free(j->swap);
	wr_trial_free(j->trial);
	for (uint32_t i = 0; i < j->set_count; i++)
		wr_metric_set_free(j->sets[i]);
	wr_metrics_free(j->metrics);
	free_tasks(j);
	free_channels(j);
	for (uint32_t i = 0; i < j->source_count; i++)
		j->sources[i].enumerator->ops->free(j->sources[i].enumerator);
	wr_iopool_free(j->io);
	wr_iopool_free(j->saving);
	wr_checkpoints_free(j->checkpoints);
	wr_mailbox_deinit(&j->mailbox);
	wr_alignment_free(j->alignment);
	wr_sched_free(j->sched);
	wr_loop_free(j->loop);
	pthread_mutex_destroy(&j->mutex);
	wr_free(&mem, j->error);
	wr_spill_free(j->spill);
	for (struct wr_mem *part = j->state_parts; part; part = part->next)
		wr_mem_part_end(part);
	wr_arena_deinit(&j->arena);
	wr_free(&mem, j);
}

const struct wr_plan *wr_job_plan(const struct wr_job *j)
{
	return j->o.plan;
}

struct wr_loop *wr_job_loop(const struct wr_job *j)
{
	return j->loop;
}

struct wr_metrics *wr_job_metrics(const struct wr_job *j)
{
	return j->metrics;
}

const struct wr_task *wr_job_task(const struct wr_job *j, uint32_t vertex, uint32_t subtask)
{
	return runner_of(j, vertex, subtask)->task;
}

bool wr_job_remote(const struct wr_job *j, uint32_t vertex, uint32_t stage, struct wr_remote_view *out)
{
	bool found = false;

	*out = (struct wr_remote_view){0};
	for (uint32_t i = 0; i < j->o.plan->vertices[vertex].parallelism; i++) {
		struct wr_remote_view v;

		if (!wr_remote_of(&wr_task_stage(wr_job_task(j, vertex, i), stage)->ops_stats[0].remote, &v))
			continue;
		wr_remote_add(out, &v);
		found = true;
	}
	return found;
}

bool wr_job_connected(const struct wr_job *j, uint32_t edge, uint32_t from, uint32_t to)
{
	uint32_t tos = j->o.plan->vertices[j->o.plan->edges[edge].to].parallelism;

	return j->edges[edge][from * tos + to] != NULL;
}
