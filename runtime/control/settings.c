/* SPDX-License-Identifier: Apache-2.0 */
/* settings: see settings.h. */
#include "control/settings.h"

#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "cluster/kinds.h"
#include "connect/connect.h"

enum { TICK_MS = 200, NS_PER_US = 1000 };

static uint32_t worker_count(const struct wr_config *c)
{
	return wr_config_is_set(c, "workers") ? (uint32_t)wr_config_int(c, "workers") : wr_thread_cpus();
}

/* Options that the script sets. */
static int take_options(struct wr_config *c, const struct wr_plan *plan)
{
	const struct wr_value *set = wr_value_get(wr_value_get(&plan->value, "job"), "options");
	int rc = WR_OK;

	for (uint32_t i = 0; set && set->tag == WR_V_RECORD && i < set->count && rc == WR_OK; i++)
		rc = wr_config_script(c, set->keys[i].str.p, set->items[i].str.p);
	return rc;
}

/* A job without checkpoints has no folder for them; the plan was made as for such a one (lua/weir/plan.lua).
 */
static int settle_mode(struct wr_config *c)
{
	const char *resume = wr_config_str(c, "resume"), *from = wr_config_str(c, "from");
	/* and stays as it is now: later versions of the script are not asked */
	int rc = wr_config_script(c, "checkpoint-mode", wr_config_str(c, "checkpoint-mode"));

	if (rc != WR_OK || strcmp(wr_config_str(c, "checkpoint-mode"), "none") != 0)
		return rc;
	if (strcmp(resume, "auto") && strcmp(resume, "never"))
		return wr_error_set(
		    WR_EUSER,
		    "--resume=%s goes on from a checkpoint, which --checkpoint-mode=none never "
		    "does: --from begins at a savepoint",
		    resume);
	if (!wr_config_is_set(c, "dir"))
		return WR_OK;
	wr_info("checkpoint", "none are taken (mode none), and %s stays as it is: the job begins %s%s",
		wr_config_str(c, "dir"), from ? "from " : "anew", from ? from : "");
	wr_config_unset(c, "dir");
	return WR_OK;
}

int wr_settings_open_resume(struct wr_config *c, struct wr_plan *plan, struct wr_resume **resume)
{
	struct wr_resume_options o = {.dir = wr_config_str(c, "dir"),
				      .resume = wr_config_str(c, "resume"),
				      .from = wr_config_str(c, "from"),
				      .allow_dropped = wr_config_bool(c, "allow-dropped-state"),
				      .plan = plan};

	if (wr_config_bool(c, "allow-duplicates") && wr_config_bool(c, "skip-committed"))
		return wr_error_set(WR_EUSER, "--allow-duplicates and --skip-committed exclude each other");
	if (wr_config_bool(c, "assume-lost") && wr_config_bool(c, "assume-committed"))
		return wr_error_set(WR_EUSER, "--assume-lost and --assume-committed exclude each other");
	if (!o.dir && strcmp(o.resume, "auto") && strcmp(o.resume, "never"))
		return wr_error_set(WR_EUSER, "--resume=%s needs --dir: where the job's own checkpoints go",
				    o.resume);
	if (!o.dir && !o.from)
		return WR_OK;
	*resume = wr_resume_open(&o);
	return *resume ? WR_OK : wr_error_code();
}

struct wr_checkpoint_options wr_settings_checkpoints(const struct wr_config *c, const char *script)
{
	int64_t unaligned_after_us = wr_config_int(c, "unaligned-after");
	bool waits = !wr_config_is_set(c, "unaligned-after");
	const char *incremental = wr_config_str(c, "checkpoint-incremental");

	return (struct wr_checkpoint_options){
	    .script = script,
	    .every_us = wr_config_int(c, "checkpoint-every"),
	    .min_pause_us = wr_config_int(c, "checkpoint-min-pause"),
	    .timeout_us = wr_config_int(c, "checkpoint-timeout"),
	    .unaligned_after_us = waits			   ? 0
				  : unaligned_after_us > 0 ? unaligned_after_us
							   : 1,
	    .tolerable = (uint32_t)wr_config_int(c, "checkpoint-failures"),
	    .retain = (uint32_t)wr_config_int(c, "checkpoint-retain"),
	    .folder = wr_config_str(c, "dir"),
	    .at_least_once = !strcmp(wr_config_str(c, "checkpoint-mode"), "at_least_once"),
	    .skip_committed = wr_config_bool(c, "skip-committed"),
	    .assume_committed = wr_config_bool(c, "assume-committed"),
	    .assume_lost = wr_config_bool(c, "assume-lost"),
	    .patience_us = wr_config_int(c, "commit-patience"),
	    .packs_logs = wr_config_bool(c, "checkpoint-pack-logs"),
	    .incremental = strcmp(incremental, "off") != 0,
	    .chain_bytes_min = strcmp(incremental, "always") ? WR_CHAIN_BYTES_MIN : 0,
	};
}

struct wr_restart_options wr_settings_restarts(const struct wr_config *c, const struct wr_plan *plan,
					       bool recorded)
{
	bool checkpoints = wr_config_is_set(c, "dir") && !recorded && !wr_job_read_once(plan, true);

	return (struct wr_restart_options){
	    .strategy = wr_restart_strategy(wr_config_str(c, "restart"), checkpoints),
	    .attempts = (uint32_t)wr_config_int(c, "restart-attempts"),
	    .delay_ns = (uint64_t)wr_config_int(c, "restart-delay") * NS_PER_US,
	    .interval_ns = (uint64_t)wr_config_int(c, "restart-interval") * NS_PER_US,
	    .seed = (uint64_t)wr_config_int(c, "seed"),
	};
}

struct wr_job_options wr_settings_job(const struct wr_config *c, const struct wr_plan *plan,
				      struct wr_bundle *bundle)
{
	return (struct wr_job_options){
	    .plan = plan,
	    .bundle = bundle,
	    .kind_lists = WR_JOB_KIND_LISTS,
	    .enumerators = wr_enumerators,
	    .enumerator_count = wr_enumerators_count,
	    .workers = worker_count(c),
	    .buffer_size = (uint32_t)wr_config_int(c, "buffer-size"),
	    .timeout_us = wr_config_int(c, "buffer-timeout"),
	    .buffer_bytes_max = wr_config_int(c, "buffer-pool"),
	    .marker_every_us = wr_config_int(c, "latency-interval"),
	    .state_memory = wr_job_state_memory(c),
	    .state_folder = wr_config_str(c, "dir"),
	    .spin = wr_config_bool(c, "spin"),
	    .pinned = wr_config_bool(c, "pin"),
	    .clock = wr_clock_system(),
	    .tick = wr_report_tick,
	    .tick_ms = TICK_MS,
	};
}

/* Whether the option is about how checkpoints are taken; the mode says if they are. */
static bool of_checkpoints(const char *option)
{
	return strcmp(option, "checkpoint-mode") != 0 &&
	       (!strncmp(option, "checkpoint-", strlen("checkpoint-")) || !strcmp(option, "unaligned-after"));
}

/* What was asked for and has no effect, since nothing is there that it is about. */
static void warn_of_idle(const struct wr_config *c)
{
	bool wanted = !wr_config_is_set(c, "dir") && strcmp(wr_config_str(c, "checkpoint-mode"), "none") != 0;

	for (int i = 0; wanted && i < wr_options_count; i++)
		if (of_checkpoints(wr_options[i].name) && wr_config_is_set(c, wr_options[i].name))
			wr_warn("checkpoint", "none are taken without --dir: --%s has no effect",
				wr_options[i].name);
	if (wr_config_is_set(c, "state-memory") && !wr_job_state_memory(c))
		wr_warn("state", "all of it is in memory: --state-memory has no effect without "
				 "--state-backend=rocksdb");
}

int wr_settings_settle(struct wr_config *c, const struct wr_plan *plan)
{
	int rc = take_options(c, plan);

	if (rc == WR_OK)
		rc = settle_mode(c);
	if (rc == WR_OK)
		warn_of_idle(c);
	return rc;
}
