/* SPDX-License-Identifier: Apache-2.0 */
/* job_verbs: see job_verbs.h. */
#include "control/job_verbs.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "control/figures.h"

struct wr_ending {
	struct wr_checkpoint_wish wish; /* first; of `stop` */
	struct wr_ending *next;
	struct wr_call *call;
	struct wr_reached *reached;
};

struct asked {				/* a checkpoint, by `checkpoint` */
	struct wr_checkpoint_wish wish; /* first */
	struct wr_call *call;
};

static struct wr_mem mem = WR_MEM_INIT("control.verbs");

/* ---- info ---- */

static void put_text(struct wr_bytes *out, const char *name, const char *value)
{
	wr_bytes_printf(out, ",\"%s\":", name);
	if (value)
		wr_bytes_put_json(out, value, strlen(value));
	else
		wr_bytes_printf(out, "null");
}

/* As others find it, wherever they are. */
static void put_path(struct wr_bytes *out, const char *name, const char *path)
{
	char whole[PATH_MAX];

	put_text(out, name, path && realpath(path, whole) ? whole : path);
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void put_known(struct wr_bytes *out, const struct wr_checkpoint_outcome *o)
{
	wr_bytes_printf(out, ",\"bytes\":%llu,\"in_flight_bytes\":%llu,\"unaligned\":%s,\"seconds\":%.6f",
			(unsigned long long)o->bytes, (unsigned long long)o->in_flight,
			o->unaligned ? "true" : "false", seconds(o->duration_ns));
}

static void put_outcome(struct wr_bytes *out, const struct wr_checkpoint_outcome *o)
{
	wr_bytes_printf(out, "{\"checkpoint\":%llu", (unsigned long long)o->checkpoint);
	put_known(out, o);
	wr_bytes_put_u8(out, '}');
}

/* Of one that was restored only the number is known. */
static void put_last(struct wr_bytes *out, const struct wr_job *j, uint64_t now_ns)
{
	uint64_t at_ns;
	struct wr_checkpoint_outcome o = wr_job_checkpoint_told(j, &at_ns);

	if (!o.checkpoint)
		return;
	wr_bytes_printf(out, ",\"last_checkpoint\":{\"checkpoint\":%llu", (unsigned long long)o.checkpoint);
	if (at_ns) {
		put_known(out, &o);
		wr_bytes_printf(out, ",\"age_seconds\":%.3f", seconds(now_ns - at_ns));
	}
	wr_bytes_put_u8(out, '}');
}

static void info(struct wr_call *call, const struct wr_value *request, void *arg)
{
	const struct wr_reached *r = arg;
	const struct wr_job *j = wr_attempts_job(r->attempts);
	struct wr_bytes out = WR_BYTES_EMPTY;
	uint64_t now_ns = wr_clock_ns(r->clock);

	(void)request;
	wr_bytes_printf(&out, "{\"pid\":%lld", (long long)getpid());
	put_text(&out, "id", wr_control_id(r->control));
	put_text(&out, "name", r->plan->job);
	put_text(&out, "status", !j ? "restarting" : r->stopped ? "stopping" : "running");
	put_path(&out, "script", wr_reload_script(r->reload));
	wr_bytes_printf(&out, ",\"version\":%llu", (unsigned long long)wr_reload_version(r->reload));
	put_path(&out, "dir", r->directory);
	wr_bytes_printf(&out, ",\"seconds\":%.3f,\"restarts\":%u,\"steady_ns\":%llu",
			seconds(now_ns - r->start_ns), wr_attempts_restarts(r->attempts),
			(unsigned long long)now_ns);
	if (j)
		put_last(&out, j, now_ns);
	wr_bytes_printf(&out, ",\"tasks\":");
	if (j)
		wr_figures_json(j, r->clock, &out);
	else
		wr_bytes_printf(&out, "[]");
	wr_bytes_put_u8(&out, '}');
	wr_call_answer(call, &out);
	wr_bytes_deinit(&out);
}

/* ---- checkpoint ---- */

static void answer_outcome(struct wr_call *call, const struct wr_checkpoint_outcome *o)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	put_outcome(&out, o);
	wr_call_answer(call, &out);
	wr_bytes_deinit(&out);
}

static void on_checkpoint(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	struct asked *a = (struct asked *)w;

	if (o->error) {
		wr_error_set(WR_ETRANSIENT, "the checkpoint was not taken: %s", o->error);
		wr_call_fail(a->call);
	} else {
		answer_outcome(a->call, o);
	}
	wr_free(&mem, a);
}

static int between_attempts(void)
{
	return wr_error_set(WR_ETRANSIENT, "the job has failed and is about to be run again: try again then");
}

static void checkpoint(struct wr_call *call, const struct wr_value *request, void *arg)
{
	struct wr_job *j = wr_attempts_job(((struct wr_reached *)arg)->attempts);
	struct asked *a = wr_zalloc(&mem, sizeof *a);
	bool aligned = false;
	int rc = a ? wr_message_flag(request, "aligned", &aligned) : WR_EFATAL;

	if (rc == WR_OK && !j)
		rc = between_attempts();
	if (rc == WR_OK) {
		a->call = call;
		a->wish.done = on_checkpoint;
		rc = wr_job_checkpoint(j, &a->wish, aligned);
	}
	if (rc == WR_OK)
		return;
	wr_free(&mem, a);
	wr_call_fail(call);
}

/* ---- the end ---- */

static struct wr_ending *ending_new(struct wr_reached *r, struct wr_call *call)
{
	struct wr_ending *e = wr_zalloc(&mem, sizeof *e);

	if (!e)
		return NULL;
	e->reached = r;
	e->call = call;
	e->next = r->endings;
	r->endings = e;
	return e;
}

static struct wr_call *ending_free(struct wr_ending *e)
{
	struct wr_ending **at = &e->reached->endings;
	struct wr_call *call = e->call;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	wr_free(&mem, e);
	return call;
}

static void on_last(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	struct wr_ending *e = (struct wr_ending *)w;
	struct wr_bytes out = WR_BYTES_EMPTY;

	if (!o->error) {
		put_outcome(&out, o);
		wr_call_progress(e->call, &out);
		wr_bytes_deinit(&out);
		return;
	}
	e->reached->stopped = false;
	wr_error_set(WR_ETRANSIENT, "the job was not stopped: its last checkpoint was not taken: %s",
		     o->error);
	wr_call_fail(ending_free(e));
}

static int begin_stop(struct wr_reached *r, struct wr_ending *e, bool drain)
{
	struct wr_job *j = wr_attempts_job(r->attempts);

	if (r->stopped)
		return wr_error_set(WR_EUSER, "the job is being stopped already");
	if (!r->directory && !drain)
		return wr_error_set(WR_EUSER,
				    "the job takes no checkpoints, so what it holds would be lost: stop it "
				    "with --drain, or cancel it");
	r->stopped = true;
	e->wish.done = on_last;
	if (j && r->directory)
		return wr_job_leave(j, &e->wish, drain ? WR_LEAVE_DRAIN : WR_LEAVE_STOP);
	wr_attempts_stop(r->attempts);
	return WR_OK;
}

static void stop(struct wr_call *call, const struct wr_value *request, void *arg)
{
	struct wr_reached *r = arg;
	struct wr_ending *e;
	bool drain = false, was = r->stopped;

	if (wr_message_flag(request, "drain", &drain) != WR_OK || !(e = ending_new(r, call))) {
		wr_call_fail(call);
	} else if (begin_stop(r, e, drain) != WR_OK) {
		r->stopped = was;
		wr_call_fail(ending_free(e));
	}
}

static void cancel(struct wr_call *call, const struct wr_value *request, void *arg)
{
	struct wr_reached *r = arg;

	(void)request;
	if (!ending_new(r, call)) {
		wr_call_fail(call);
		return;
	}
	wr_attempts_stop(r->attempts);
	wr_attempts_stop(r->attempts);
	r->hurry();
}

static const char *status_of(const struct wr_reached *r, int rc)
{
	return rc == WR_OK ? "done" : r->stopped ? "stopped" : "cancelled";
}

bool wr_reached_end(struct wr_reached *r, int rc)
{
	const char *owed = rc == WR_END && r->stopped ? wr_attempts_owed(r->attempts) : "";
	struct wr_job *j = wr_attempts_job(r->attempts);
	struct wr_bytes out = WR_BYTES_EMPTY;

	if (*owed)
		rc = wr_error_set(WR_ETRANSIENT, "%s", owed);
	wr_bytes_printf(&out, "{\"status\":\"%s\",\"last_checkpoint\":%llu}", status_of(r, rc),
			(unsigned long long)(j ? wr_job_last_checkpoint(j) : 0));
	while (r->endings) {
		struct wr_call *call = ending_free(r->endings);

		if (rc < 0)
			wr_call_fail(call);
		else
			wr_call_answer(call, &out);
	}
	wr_bytes_deinit(&out);
	return rc == WR_END && r->stopped;
}

static const struct wr_control_verb verbs[] = {
    {"info", info},
    {"checkpoint", checkpoint},
    {"stop", stop},
    {"cancel", cancel},
};

struct wr_control_verbs wr_job_verbs(struct wr_reached *r)
{
	return (struct wr_control_verbs){verbs, sizeof verbs / sizeof *verbs, r};
}
