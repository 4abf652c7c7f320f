/* SPDX-License-Identifier: Apache-2.0 */
/* serve: see serve.h. */
#include "control/serve.h"

#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "control/reload_verbs.h"

static void waits_in(void *serving, struct wr_loop *loop)
{
	struct wr_serving *s = serving;

	wr_reload_waits(s->reload, loop);
	if (s->control)
		wr_control_attach(s->control, loop);
}

static void open_socket(struct wr_serving *s, const struct wr_config *c)
{
	struct wr_control_verbs tables[] = {wr_job_verbs(&s->reached), wr_reload_verbs(s->reload)};
	struct wr_control_options o = {.job = s->reached.plan->job,
				       .folder = wr_config_str(c, "runtime-dir"),
				       .tables = tables,
				       .table_count = sizeof tables / sizeof *tables};

	if (!strcmp(wr_config_str(c, "control"), "no"))
		return;
	s->reached.start_ns = wr_clock_ns(s->reached.clock);
	s->reached.control = s->control = wr_control_open(&o);
	if (!s->control)
		wr_warn("control", "this job cannot be reached while it runs: %s", wr_error_text());
}

int wr_serving_begin(struct wr_serving *s, const struct wr_config *c, const struct wr_draw_options *script,
		     struct wr_attempts_options *o)
{
	struct wr_reload_options r = {.script = *script,
				      .plan = s->reached.plan,
				      .bundle = o->job.bundle,
				      .checkpoints = s->reached.directory != NULL};

	s->reload = wr_reload_new(&r);
	if (!s->reload)
		return WR_EFATAL;
	s->reached.reload = s->reload;
	o->job.work = wr_reload_work;
	o->job.work_arg = s->reload;
	o->failed = wr_reload_failed;
	o->failed_arg = s->reload;
	o->between = wr_reload_between;
	o->between_arg = s->reload;
	o->waits = waits_in;
	o->waits_arg = s;
	open_socket(s, c);
	return WR_OK;
}

void wr_serving_attach(struct wr_serving *s, struct wr_attempts *a)
{
	s->reached.attempts = a;
	wr_reload_attach(s->reload, a);
}

void wr_serving_detach(struct wr_serving *s)
{
	if (s->reload)
		waits_in(s, NULL);
}

void wr_serving_end(struct wr_serving *s)
{
	wr_reload_free(s->reload);
	wr_control_close(s->control);
}
