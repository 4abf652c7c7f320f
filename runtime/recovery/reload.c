/* SPDX-License-Identifier: Apache-2.0 */
/* reload: see reload.h. */
#include "recovery/reload.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "cluster/swap.h"

enum { DRAW_MS_MAX = 30000 }; /* a script that draws longer than this is not coming to an end */

struct version {
	uint32_t refs;
	uint64_t number;
	struct wr_plan *plan;
	struct wr_bundle *bundle;
	bool borrowed; /* plan and bundle are */
	char hash[24];
	char *path, **args;
	int arg_count;
	int64_t parallelism;
};

enum state { NONE, DRAWING, DRAWN, SETTLING, SWAPPING, LEAVING, BUILDING };

struct wr_reload {
	struct wr_reload_options o;
	struct wr_attempts *attempts;
	enum state state;
	uint64_t numbers;		 /* given out */
	struct version *built;		 /* the one from whose plan the tasks were made */
	struct version *used, *before;	 /* in use, and that before it */
	struct version *next;		 /* being drawn, or drawn, or coming in */
	struct version *last;		 /* tasks of a job that has failed may have functions of it */
	bool fresh;			 /* the job was built and has not been seen yet */
	struct wr_difference difference; /* from `used` to `next` */
	bool compared;
	struct wr_reload_way way;
	struct wr_reload_wish *wish;
	struct wr_checkpoint_wish leave;
	uint64_t asked_ns;
	bool trial; /* the job was built anew, and is on probation */
	uint64_t trial_until_ns, trial_checkpoint;
	/* the drawing thread */
	struct wr_thread thread;
	_Atomic bool drawn, given_up;
	int rc;
	char error[2048];
	pthread_mutex_t mutex; /* of `loop` */
	struct wr_loop *loop;
};

static struct wr_mem mem = WR_MEM_INIT("recovery.reload");

/* ---- versions ---- */

static void version_unref(struct version *v)
{
	if (!v || --v->refs)
		return;
	if (!v->borrowed) {
		wr_plan_free(v->plan);
		wr_bundle_free(v->bundle);
	}
	for (int i = 0; i < v->arg_count && v->args; i++)
		wr_free(&mem, v->args[i]);
	wr_free(&mem, v->args);
	wr_free(&mem, v->path);
	wr_free(&mem, v);
}

static struct version *version_ref(struct version *v)
{
	if (v)
		v->refs++;
	return v;
}

static struct version *version_new(const char *path, const char *const *args, int count)
{
	struct version *v = wr_zalloc(&mem, sizeof *v);

	if (!v)
		return NULL;
	v->refs = 1;
	v->path = wr_strdup(&mem, path);
	v->args = wr_zalloc(&mem, ((size_t)count + 1) * sizeof *v->args);
	v->arg_count = v->args ? count : 0;
	for (int i = 0; i < v->arg_count; i++)
		v->args[i] = wr_strdup(&mem, args[i]);
	for (int i = 0; i < v->arg_count; i++)
		if (!v->args[i])
			v->arg_count = -1;
	if (v->path && v->arg_count == count)
		return v;
	version_unref(v);
	return NULL;
}

static void version_set(struct version **at, struct version *v)
{
	version_unref(*at);
	*at = v;
}

static void take_hash(struct version *v)
{
	snprintf(v->hash, sizeof v->hash, "%016" PRIx64, wr_bundle_hash(v->bundle));
}

/* ---- life ---- */

struct wr_reload *wr_reload_new(const struct wr_reload_options *o)
{
	struct wr_reload *r = wr_zalloc(&mem, sizeof *r);
	struct version *v = r ? version_new(o->script.path, o->script.args, o->script.arg_count) : NULL;

	if (!v) {
		wr_free(&mem, r);
		return NULL;
	}
	r->o = *o;
	v->number = r->numbers = 1;
	v->plan = (struct wr_plan *)(uintptr_t)o->plan;
	v->bundle = o->bundle;
	v->borrowed = true;
	take_hash(v);
	r->used = v;
	r->built = version_ref(v);
	pthread_mutex_init(&r->mutex, NULL);
	return r;
}

void wr_reload_attach(struct wr_reload *r, struct wr_attempts *a)
{
	r->attempts = a;
}

static void forget_difference(struct wr_reload *r)
{
	if (r->compared)
		wr_difference_deinit(&r->difference);
	r->compared = false;
}

static void tell(struct wr_reload *r, const char *error)
{
	struct wr_reload_wish *w = r->wish;

	r->wish = NULL;
	if (w)
		w->done(w, error);
}

/* `next` comes to nothing. */
static void give_up(struct wr_reload *r, const char *error)
{
	char text[sizeof r->error];

	snprintf(text, sizeof text, "%s", error);
	forget_difference(r);
	version_set(&r->last, r->next);
	r->next = NULL;
	r->state = NONE;
	tell(r, text);
}

void wr_reload_free(struct wr_reload *r)
{
	if (!r)
		return;
	atomic_store(&r->given_up, true);
	wr_thread_join(&r->thread);
	give_up(r, "the job has ended");
	version_unref(r->last);
	version_unref(r->before);
	version_unref(r->used);
	version_unref(r->built);
	pthread_mutex_destroy(&r->mutex);
	wr_free(&mem, r);
}

void wr_reload_waits(struct wr_reload *r, struct wr_loop *loop)
{
	pthread_mutex_lock(&r->mutex);
	r->loop = loop;
	pthread_mutex_unlock(&r->mutex);
	r->fresh = true;
}

/* ---- drawing ---- */

static int draw(struct wr_reload *r, struct version *v)
{
	struct wr_draw_options o = {.path = v->path,
				    .args = (const char *const *)v->args,
				    .arg_count = v->arg_count,
				    .config = r->o.script.config,
				    .parallelism = v->parallelism,
				    .ms_max = DRAW_MS_MAX,
				    .given_up = &r->given_up,
				    .runs = r->o.script.runs};
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	int rc = wr_script_draw(&o, &bytes, &v->bundle);

	if (rc == WR_OK) {
		v->plan = wr_plan_decode(bytes.data, bytes.len);
		rc = v->plan ? WR_OK : wr_error_code();
	}
	wr_bytes_deinit(&bytes);
	return rc;
}

static void *draw_in_thread(void *arg)
{
	struct wr_reload *r = arg;

	wr_thread_yield_to_others();
	r->rc = draw(r, r->next);
	if (r->rc != WR_OK)
		snprintf(r->error, sizeof r->error, "%s", wr_error_text());
	atomic_store(&r->drawn, true);
	pthread_mutex_lock(&r->mutex);
	if (r->loop)
		wr_loop_wake(r->loop);
	pthread_mutex_unlock(&r->mutex);
	return NULL;
}

static const char STUCK[] = "the job has failed, and one of its subtasks does not return: cancel it";

/* False: somebody else's is under way, or none can be any more; w is told. */
static bool may_begin(struct wr_reload *r, struct wr_reload_wish *w)
{
	char text[160] = "another reload is under way";

	if (wr_attempts_is_stuck(r->attempts)) {
		w->done(w, STUCK);
		return false;
	}
	if (r->state == NONE || r->state == DRAWN) {
		forget_difference(r);
		version_set(&r->next, NULL);
		r->state = NONE;
		return true;
	}
	if (r->state == DRAWING)
		snprintf(text, sizeof text,
			 "another reload is under way, whose script is being drawn; one that draws longer "
			 "than %d s is given up",
			 DRAW_MS_MAX / 1000);
	w->done(w, text);
	return false;
}

void wr_reload_draw(struct wr_reload *r, const struct wr_reload_script *s, struct wr_reload_wish *w)
{
	bool same_args = !s->args;

	if (!may_begin(r, w))
		return;
	r->wish = w;
	r->next = version_new(s->path ? s->path : r->used->path,
			      same_args ? (const char *const *)r->used->args : s->args,
			      same_args ? r->used->arg_count : s->arg_count);
	if (r->next)
		r->next->parallelism = s->parallelism ? s->parallelism : r->used->parallelism;
	atomic_store(&r->drawn, false);
	if (!r->next || wr_thread_start(&r->thread, "weir-draw", -1, draw_in_thread, r) != WR_OK) {
		give_up(r, wr_error_text());
		return;
	}
	r->state = DRAWING;
}

static uint32_t groups_of(const void *arg, const char *uid)
{
	const struct wr_plan *p = arg;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			if (!strcmp(p->vertices[v].stages[i].operators[0].uid, uid))
				return p->vertices[v].max_parallelism;
	return 0;
}

static int compare(struct wr_reload *r)
{
	int rc;

	wr_plan_adopt(r->next->plan, groups_of, r->used->plan);
	rc = wr_difference_init(&r->difference, r->used->plan, r->next->plan);

	r->compared = true;
	if (rc == WR_OK && strcmp(r->used->plan->job, r->next->plan->job))
		rc = wr_error_set(WR_EUSER, "the script draws job \"%s\", this is job \"%s\"",
				  r->next->plan->job, r->used->plan->job);
	return rc;
}

static void on_drawn(struct wr_reload *r)
{
	int rc = r->rc;

	wr_thread_join(&r->thread);
	if (rc != WR_OK)
		wr_error_set(rc, "%s", r->error);
	else
		rc = compare(r);
	if (rc != WR_OK) {
		give_up(r, wr_error_text());
		return;
	}
	r->next->number = r->wish->version = ++r->numbers;
	take_hash(r->next);
	r->state = DRAWN;
	tell(r, NULL);
}

void wr_reload_before(struct wr_reload *r, struct wr_reload_wish *w)
{
	if (!r->before) {
		w->done(w, "there is no version before this one");
		return;
	}
	if (!may_begin(r, w))
		return;
	r->wish = w;
	r->next = version_ref(r->before);
	if (compare(r) != WR_OK) {
		give_up(r, wr_error_text());
		return;
	}
	w->version = r->next->number;
	r->state = DRAWN;
	tell(r, NULL);
}

const struct wr_difference *wr_reload_difference(const struct wr_reload *r)
{
	return &r->difference;
}

const struct wr_bundle *wr_reload_bundle(const struct wr_reload *r)
{
	return r->next->bundle;
}

uint64_t wr_reload_version(const struct wr_reload *r)
{
	return r->used->number;
}

const char *wr_reload_script(const struct wr_reload *r)
{
	return r->used->path;
}

/* ---- coming in ---- */

static uint64_t now_ns(const struct wr_reload *r)
{
	(void)r;
	return wr_clock_ns(wr_clock_system());
}

/* `next` is the one in use from here on, or for the next attempt. */
static void use_next(struct wr_reload *r)
{
	struct version *next = r->next;

	r->next = NULL;
	forget_difference(r);
	version_set(&r->before, r->used);
	r->used = next;
	wr_attempts_use(r->attempts, next->plan, next->bundle, next->hash, r->way.allow_dropped);
}

static void use_before(struct wr_reload *r)
{
	struct version *failed = r->used;

	r->used = r->before;
	r->before = NULL;
	version_set(&r->last, failed);
	wr_attempts_use(r->attempts, r->used->plan, r->used->bundle, r->used->hash, true);
}

static void in_use(struct wr_reload *r, uint64_t checkpoint)
{
	r->state = NONE;
	if (r->wish) {
		r->wish->checkpoint = checkpoint;
		r->wish->wait_ns = now_ns(r) - r->asked_ns;
	}
	wr_info("reload", "version %" PRIu64 " of %s is in use", r->used->number, r->used->path);
	tell(r, NULL);
}

static void on_swap(void *reload, enum wr_swap_news news)
{
	struct wr_reload *r = reload;
	struct wr_swap *s = wr_job_swap(wr_attempts_job(r->attempts));

	switch (news) {
	case WR_SWAP_REFUSED:
		give_up(r, wr_swap_error(s));
		break;
	case WR_SWAP_DONE:
		use_next(r);
		wr_job_set_script(wr_attempts_job(r->attempts), r->used->hash);
		in_use(r, r->o.checkpoints ? wr_swap_checkpoint(s) : 0);
		break;
	case WR_SWAP_KEPT:
		wr_info("reload", "version %" PRIu64 " is kept", r->used->number);
		break;
	case WR_SWAP_RETURNED:
		wr_warn("reload", "version %" PRIu64 " failed, version %" PRIu64 " is in use again: %s",
			r->used->number, r->before ? r->before->number : 0, wr_swap_error(s));
		if (!r->before)
			break;
		use_before(r);
		wr_job_set_script(wr_attempts_job(r->attempts), r->used->hash);
		break;
	}
}

static void begin_swap(struct wr_reload *r, struct wr_job *j)
{
	struct wr_swap_options o = {.plan = r->next->plan,
				    .bundle = r->next->bundle,
				    .probation_ns = r->way.probation_ns,
				    .tell = on_swap,
				    .arg = r};

	r->state = SWAPPING;
	if (wr_swap_begin(wr_job_swap(j), &o) != WR_OK)
		give_up(r, wr_error_text());
}

static void on_left(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	struct wr_reload *r = (struct wr_reload *)((char *)w - offsetof(struct wr_reload, leave));
	char why[512];

	if (o->error) {
		snprintf(why, sizeof why, "the checkpoint to go on from was not taken: %s", o->error);
		give_up(r, why);
		return;
	}
	wr_attempts_again(r->attempts);
	r->trial_checkpoint = o->checkpoint;
	r->state = BUILDING;
	use_next(r);
}

static void begin_rebuild(struct wr_reload *r)
{
	if (!r->o.checkpoints) {
		give_up(r,
			"more than functions change, and the job takes no checkpoints to go on from: stop it "
			"and run the new script, or run jobs with --dir");
		return;
	}
	r->state = LEAVING;
	r->leave.done = on_left;
	if (wr_job_leave(wr_attempts_job(r->attempts), &r->leave, WR_LEAVE_AGAIN) != WR_OK)
		give_up(r, wr_error_text());
}

/* The job has failed and waits: it need not, with another version. */
static void begin_attempt(struct wr_reload *r)
{
	r->trial_checkpoint = 0;
	r->state = BUILDING;
	use_next(r);
	wr_attempts_again(r->attempts);
}

/* The version in use is no longer on probation: it passed, or another is to take its place. */
static void keep(struct wr_reload *r, struct wr_job *j)
{
	r->trial = false;
	wr_job_trial(j, false);
	wr_info("reload", "version %" PRIu64 " is kept", r->used->number);
}

void wr_reload_apply(struct wr_reload *r, const struct wr_reload_way *way, struct wr_reload_wish *w)
{
	struct wr_job *j = wr_attempts_job(r->attempts);
	const char *why = NULL;

	if (wr_attempts_is_stuck(r->attempts))
		why = STUCK;
	else if (r->state != DRAWN || r->next->number != w->version)
		why = "that version is not the one that was drawn last: begin again";
	else if (r->difference.removed && !way->allow_dropped)
		why = "state would be dropped: give the operators their former uid, or leave it behind with "
		      "--allow-dropped-state";
	if (why) {
		w->done(w, why);
		return;
	}
	r->wish = w;
	r->way = *way;
	r->asked_ns = now_ns(r);
	if (!j) {
		begin_attempt(r);
		return;
	}
	if (r->trial)
		keep(r, j);
	if (r->difference.rebuilds) {
		begin_rebuild(r);
		return;
	}
	wr_swap_settle(wr_job_swap(j));
	r->state = SETTLING;
	wr_loop_wake(wr_job_loop(j));
}

/* ---- hooks ---- */

void wr_reload_between(void *reload)
{
	struct wr_reload *r = reload;

	if (r->state == DRAWING && atomic_load(&r->drawn))
		on_drawn(r);
}

void wr_reload_work(void *reload, struct wr_job *j)
{
	struct wr_reload *r = reload;
	bool fresh = r->fresh;

	if (fresh)
		version_set(&r->built, version_ref(r->used));
	r->fresh = false;
	if (r->state == DRAWING && atomic_load(&r->drawn))
		on_drawn(r);
	if (r->state == SETTLING && wr_swap_is_idle(wr_job_swap(j)))
		begin_swap(r, j);
	if (r->state == BUILDING && fresh) { /* the job before it has been left, and may work once more */
		r->trial = true;
		wr_job_trial(j, true);
		r->trial_until_ns = now_ns(r) + r->way.probation_ns;
		in_use(r, r->trial_checkpoint);
	}
	if (r->trial && (now_ns(r) >= r->trial_until_ns || wr_job_trial_is_good(j)))
		keep(r, j);
}

/* Nothing of the job's swap will be told any more. */
static bool take_back(struct wr_reload *r, const struct wr_job *j, const char *why)
{
	uint64_t checkpoint = j ? wr_job_way_back(j) : 0;

	wr_warn("reload", "version %" PRIu64 " failed, and version %" PRIu64 " is run again: %s",
		r->used->number, r->before->number, why);
	use_before(r);
	wr_attempts_go_back(r->attempts, checkpoint);
	r->trial = false;
	return true;
}

bool wr_reload_failed(void *reload, struct wr_job *j)
{
	struct wr_reload *r = reload;
	char why[sizeof r->error];
	bool open = j && wr_swap_is_open(wr_job_swap(j));

	snprintf(why, sizeof why, "%s", wr_error_text());
	if (r->state == SETTLING || r->state == SWAPPING || r->state == LEAVING)
		give_up(r, why);
	else if (r->before && (r->state == BUILDING || r->trial || (open && r->o.checkpoints))) {
		bool told = r->state != BUILDING;

		r->state = NONE;
		take_back(r, j, why);
		if (!told)
			tell(r, why);
		return true;
	}
	return false;
}
