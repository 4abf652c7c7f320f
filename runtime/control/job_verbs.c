/* SPDX-License-Identifier: Apache-2.0 */
/* job_verbs: see job_verbs.h. */
#include "control/job_verbs.h"

#include <string.h>
#include <unistd.h>

static void put_text(struct wr_bytes *out, const char *name, const char *value)
{
	wr_bytes_printf(out, ",\"%s\":", name);
	if (value)
		wr_bytes_put_json(out, value, strlen(value));
	else
		wr_bytes_printf(out, "null");
}

static void info(struct wr_call *call, const struct wr_value *request, void *arg)
{
	const struct wr_reached *r = arg;
	const struct wr_job *j = wr_attempts_job(r->attempts);
	struct wr_bytes out = WR_BYTES_EMPTY;

	(void)request;
	wr_bytes_printf(&out, "{\"pid\":%lld", (long long)getpid());
	put_text(&out, "id", wr_control_id(r->control));
	put_text(&out, "name", r->plan->job);
	put_text(&out, "status", j ? "running" : "restarting");
	put_text(&out, "script", r->script);
	put_text(&out, "dir", r->directory);
	wr_bytes_printf(&out, ",\"seconds\":%.3f,\"last_checkpoint\":%llu}",
			(double)(wr_clock_ns(r->clock) - r->start_ns) / 1e9,
			(unsigned long long)(j ? wr_job_last_checkpoint(j) : 0));
	wr_call_answer(call, &out);
	wr_bytes_deinit(&out);
}

static const struct wr_control_verb verbs[] = {
    {"info", info},
};

struct wr_control_verbs wr_job_verbs(struct wr_reached *r)
{
	return (struct wr_control_verbs){verbs, sizeof verbs / sizeof *verbs, r};
}
