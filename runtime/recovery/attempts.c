/* SPDX-License-Identifier: Apache-2.0 */
/* attempts: see attempts.h. */
#include "recovery/attempts.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include "base/error.h"
#include "base/log.h"
#include "recovery/owed.h"

struct wr_attempts {
	struct wr_attempts_options o;
	struct wr_restarts *restarts;
	struct wr_loop *loop; /* of the time between two attempts */
	uint64_t checkpoint;  /* the last that held, 0 = none */
	struct wr_job *_Atomic job;
	_Atomic bool stopped;
	bool again;	      /* an end that was asked for is none */
	uint64_t go_back;     /* checkpoint to begin the next attempt at, 0 = the latest */
	struct wr_bytes owed; /* with a NUL, or nothing: of the last attempt that knew */
};

static struct wr_mem mem = WR_MEM_INIT("recovery.attempts");

struct wr_attempts *wr_attempts_new(const struct wr_attempts_options *o)
{
	struct wr_attempts *a = wr_zalloc(&mem, sizeof *a);

	if (!a)
		return NULL;
	a->o = *o;
	a->restarts = wr_restarts_new(&o->restarts);
	a->loop = a->restarts ? wr_loop_new(o->job.clock) : NULL;
	if (a->loop)
		return a;
	wr_attempts_free(a);
	return NULL;
}

void wr_attempts_free(struct wr_attempts *a)
{
	if (!a)
		return;
	wr_job_free(atomic_load(&a->job));
	wr_loop_free(a->loop);
	wr_restarts_free(a->restarts);
	wr_bytes_deinit(&a->owed);
	wr_free(&mem, a);
}

void wr_attempts_stop(struct wr_attempts *a)
{
	struct wr_job *j = atomic_load(&a->job);

	atomic_store(&a->stopped, true);
	if (j)
		wr_job_stop(j);
	wr_loop_wake(a->loop);
}

struct wr_job *wr_attempts_job(const struct wr_attempts *a)
{
	return atomic_load(&a->job);
}

bool wr_attempts_is_stuck(const struct wr_attempts *a)
{
	const struct wr_job *j = atomic_load(&a->job);

	return j && wr_job_is_stuck(j);
}

static void wait_in(struct wr_attempts *a, struct wr_loop *loop)
{
	if (a->o.waits)
		a->o.waits(a->o.waits_arg, loop);
}

uint32_t wr_attempts_restarts(const struct wr_attempts *a)
{
	return wr_restarts_count(a->restarts);
}

/* The job is to be another one from where it begins: at what was not taken by itself in its folder, or where
 * the user wants what is behind it again. */
static bool is_another(const struct wr_attempts *a)
{
	const struct wr_restore *r = a->o.job.restore;

	return a->o.allow_duplicates || (r && r->blobs != a->o.checkpoints.blobs);
}

/* A job from what holds now; none if that is its end. */
static int build(struct wr_attempts *a)
{
	struct wr_job_options *o = &a->o.job;
	struct wr_checkpoint_options *c = &a->o.checkpoints;
	struct wr_job *j;

	if (a->o.resume) {
		o->restore = wr_resume_restore(a->o.resume);
		c->blobs = wr_resume_blobs(a->o.resume);
		o->checkpoints = c->blobs ? c : NULL;
		c->origin = wr_resume_origin(a->o.resume);
		c->restored = o->restore ? o->restore->manifest : NULL;
		c->newest = wr_resume_newest(a->o.resume);
		c->folder_id = wr_resume_folder_id(a->o.resume);
		c->lineage = wr_lineage(c->restored, is_another(a), o->clock);
		a->checkpoint = c->restored ? c->restored->checkpoint : 0;
	}
	if (o->restore && o->restore->manifest->finished) {
		wr_info("checkpoint", "%s has finished already; %s runs it again", o->plan->job,
			o->restore->blobs == c->blobs ? "--resume=never"
						      : "without that savepoint the same command");
		return WR_OK;
	}
	j = wr_job_new(o);
	if (!j)
		return wr_error_code();
	atomic_store(&a->job, j);
	wait_in(a, wr_job_loop(j));
	return wr_report_watch(a->o.report, j);
}

static int attempt(struct wr_attempts *a)
{
	int rc = build(a);
	struct wr_job *j = atomic_load(&a->job);

	if (rc != WR_OK || !j)
		return rc;
	rc = atomic_load(&a->stopped) ? WR_END : wr_job_run(j);
	if (wr_job_last_checkpoint(j) > a->checkpoint)
		a->checkpoint = wr_job_last_checkpoint(j);
	wr_owed_note(j,
		     &(struct wr_owed_way){.folder = a->o.job.checkpoints ? a->o.checkpoints.folder : NULL,
					   .checkpoint = a->checkpoint,
					   .command = a->o.command,
					   .reasons = rc >= 0},
		     &a->owed);
	return rc;
}

const char *wr_attempts_owed(const struct wr_attempts *a)
{
	return a->owed.len ? (const char *)a->owed.data : "";
}

/* A job that began may fail for a reason that passes. */
static bool may_help(const struct wr_attempts *a, int rc)
{
	struct wr_job *j = atomic_load(&a->job);

	if (rc == WR_EBUG || rc == WR_ESUPERSEDED)
		return false;
	if (wr_restarts_count(a->restarts))
		return j || rc != WR_EUSER;
	return j && !wr_job_in_vain(j);
}

/* Says so; the error stays as it is when the job is given up. */
static bool is_tried_again(struct wr_attempts *a, int rc, uint64_t *at_ns)
{
	uint64_t now = wr_clock_ns(a->o.job.clock);
	uint32_t before = wr_restarts_count(a->restarts);
	char from[64];

	if (atomic_load(&a->stopped) || !may_help(a, rc))
		return false;
	if (!wr_restarts_failed(a->restarts, now, a->checkpoint, at_ns)) {
		if (before)
			wr_warn("restart", "given up after %" PRIu32 " restart%s", before,
				before == 1 ? "" : "s");
		return false;
	}
	snprintf(from, sizeof from, a->checkpoint ? "checkpoint %" PRIu64 : "the beginning", a->checkpoint);
	wr_warn("restart", "%s: failed, and is run again in %.1f s from %s (restart %" PRIu32 "): %s",
		a->o.job.plan->job, (double)(*at_ns - now) / 1e9, from, before + 1, wr_error_text());
	return true;
}

/* WR_OK: it is time for the next attempt; WR_END: stopped; or an error. */
static int prepare(struct wr_attempts *a, uint64_t at_ns)
{
	struct wr_job *j = atomic_exchange(&a->job, NULL);

	wr_report_forget(a->o.report);
	wait_in(a, a->loop);
	wr_job_free(j);
	while (!atomic_load(&a->stopped) && !a->again && wr_clock_ns(a->o.job.clock) < at_ns) {
		wr_loop_wait(a->loop, at_ns);
		if (a->o.between)
			a->o.between(a->o.between_arg);
	}
	a->again = false;
	if (atomic_load(&a->stopped))
		return WR_END;
	if (!a->o.resume)
		return WR_OK;
	if (a->go_back && wr_resume_go_back(a->o.resume, a->go_back) != WR_OK)
		wr_warn("restart", "what holds behind checkpoint %" PRIu64 " may be gone on with: %s",
			a->go_back, wr_error_text());
	a->go_back = 0;
	return wr_resume_again(a->o.resume);
}

void wr_attempts_go_back(struct wr_attempts *a, uint64_t checkpoint)
{
	a->go_back = checkpoint;
}

void wr_attempts_use(struct wr_attempts *a, struct wr_plan *plan, void *bundle, const char *script,
		     bool allow_dropped)
{
	a->o.job.plan = plan;
	a->o.job.bundle = bundle;
	a->o.checkpoints.script = script;
	if (a->o.resume)
		wr_resume_use(a->o.resume, plan, allow_dropped);
}

void wr_attempts_again(struct wr_attempts *a)
{
	a->again = true;
}

static bool has_left(const struct wr_attempts *a)
{
	const struct wr_job *j = atomic_load(&a->job);

	return j && wr_job_has_left(j);
}

/* Is there another attempt, and when? */
static bool goes_on(struct wr_attempts *a, int rc, uint64_t *at_ns)
{
	bool again = a->again;

	*at_ns = 0;
	a->again = false;
	if (rc >= 0 || atomic_load(&a->stopped) || (has_left(a) && !again))
		return rc == WR_END && again && !atomic_load(&a->stopped);
	if (a->o.failed && a->o.failed(a->o.failed_arg, atomic_load(&a->job)))
		return true;
	return is_tried_again(a, rc, at_ns);
}

int wr_attempts_run(struct wr_attempts *a)
{
	uint64_t at_ns;
	int rc = attempt(a);

	while (goes_on(a, rc, &at_ns)) {
		rc = prepare(a, at_ns);
		if (rc == WR_OK)
			rc = attempt(a);
	}
	if (rc == WR_END && a->owed.len && !atomic_load(&a->stopped))
		return wr_error_set(WR_ETRANSIENT, "%s", wr_attempts_owed(a));
	return rc < 0 && a->owed.len ? wr_error_set(rc, "%s; %s", wr_error_text(), wr_attempts_owed(a)) : rc;
}
