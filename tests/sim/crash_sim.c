/* SPDX-License-Identifier: Apache-2.0 */
/* crash_sim: whole jobs with checkpoints, from a seed, through crashes of every kind.
 *
 * Each seed draws a job of two to five vertices (machine/job.h) and runs it once without a fault; then again
 * on a machine (machine/machine.h) on which the process is killed, the power fails, files cannot be written,
 * threads rest, targets refuse and user functions fail, while checkpoints expire, barriers overtake,
 * functions are reloaded and jobs rescaled; and on which it is begun again, each time with another
 * parallelism and another pace, until it gets through. What runs is the program as it is: plan, tasks,
 * scheduler, checkpoints, recovery, sinks, files. What must hold:
 *
 *   exactly once   what the sinks hold at the end is what they hold without faults, row by row
 *   state          that of a checkpoint is what the rows before its positions come to
 *   reload         rows in front of its barrier have the version before, those behind it the next one
 *   recovery       whatever a crash left, the job begins again, and comes to its end
 *   the end holds  a job that has finished stays finished after a loss of power
 *   no deadlock, nothing left open
 *
 * SEEDS, SEED and ALL are told in machine/seeds.h, TRACE in machine/machine.h; SHAPE=n plays only jobs of
 * this shape (machine/job.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/log.h"
#include "cluster/kinds.h"
#include "cluster/swap.h"
#include "connect/connect.h"
#include "recovery/attempts.h"
#include "sim/machine/functions.h"
#include "sim/machine/job.h"
#include "sim/machine/machine.h"
#include "sim/machine/seeds.h"
#include "sim/machine/stages.h"
#include "sim/machine/target.h"
#include "sim/machine/topics.h"

enum { RUNS_MAX = 12, POINTS_LOG2 = 13, CALLS = 200, NAMES = 80, RENAMES = 8, PLANS = 8 };

static struct sim {
	uint64_t seed;
	struct wr_rand rand;
	struct sim_job job;
	struct wr_attempts *attempts;
	bool overtakes; /* barriers do, so a part of what was read is in the channels of a checkpoint */
	/* when the user does it, 0 = not */
	uint64_t stop_at_ns, reload_at_ns, rescale_at_ns, ask_at_ns;
	uint32_t trials; /* of the process */
	bool stopped;
	struct wr_plan *plans[PLANS]; /* of this process; the last is in use */
	uint32_t plan_count;
	struct wr_checkpoint_wish leave, ask;
	bool asking;
	uint32_t run;
	const char *shape; /* only jobs of this one; NULL: all */
} sim;

static uint32_t below(uint32_t n)
{
	return wr_rand_below(&sim.rand, n);
}

static void on_failure(const char *text)
{
	char job[200];

	sim_job_tell(&sim.job, job, sizeof job);
	printf("not ok - seed %llu, run %u (%s%s%s): %s\n", (unsigned long long)sim.seed, sim.run, job,
	       sim.overtakes ? ", unaligned" : "", sim.seed % 2 ? ", incremental" : "", text);
	fflush(stdout);
	_exit(1);
}

static void on_log(const char *text)
{
	machine_counts[CHECKPOINTS] += strstr(text, " holds: ") != NULL;
	machine_counts[UNALIGNED] += strstr(text, "(unaligned)") != NULL;
	machine_counts[EXPIRED] += strstr(text, "is off: it took longer") != NULL;
	machine_counts[DECLINED] += strstr(text, "is off: a task could not") != NULL;
}

/* ---- one process ---- */

static void on_crash(void *arg)
{
	(void)arg;
	target_cut_off();
	topics_cut_off();
	if (sim.attempts) {
		wr_attempts_stop(sim.attempts);
		wr_attempts_stop(sim.attempts);
	}
}

static bool is_due(uint64_t *at_ns)
{
	if (!*at_ns || machine_clock()->manual_ns < *at_ns || sim.stopped || machine_has_crashed())
		return false;
	*at_ns = 0;
	return true;
}

static struct wr_plan *next_plan(uint32_t parallelism_max)
{
	struct sim_layout layout;

	if (sim.plan_count == PLANS)
		machine_failed("more than %d plans", PLANS);
	sim_layout_draw(&layout, &sim.job, &sim.rand, parallelism_max);
	wr_debug("sim", "parallelism %u %u %u %u %u %u", layout.parallelism[0], layout.parallelism[1],
		 layout.parallelism[2], layout.parallelism[3], layout.parallelism[4], layout.parallelism[5]);
	return sim.plans[sim.plan_count++] = sim_job_plan(&sim.job, &layout);
}

/* As recovery/reload.c has it: the job is built anew from the checkpoint behind which nothing happened. */
static void on_left(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	(void)w;
	if (o->error || sim.stopped || machine_has_crashed())
		return;
	machine_counts[RESCALES]++;
	wr_attempts_again(sim.attempts);
	wr_attempts_use(sim.attempts, next_plan(SIM_PARALLELISM), NULL, "", false);
}

static void on_swap(void *arg, enum wr_swap_news news)
{
	(void)arg;
	machine_counts[RELOADS] += news == WR_SWAP_KEPT;
}

/* Where no checkpoint is as quick as its timeout asks, each trial is taken back, and nothing comes to an end
 * until the user gives up. */
enum { TRIALS_MAX = 300 };

static void reload(struct wr_job *j)
{
	struct wr_swap_options o = {
	    .plan = sim.plans[sim.plan_count - 1], .probation_ns = below(20000000), .tell = on_swap};

	functions_next();
	if (wr_swap_begin(wr_job_swap(j), &o) != WR_OK) { /* the job is only beginning */
		functions_not_next();
		sim.reload_at_ns = machine_clock()->manual_ns + 1000000;
	} else if (sim.job.shape == SIM_TRIALS && ++sim.trials < TRIALS_MAX) {
		sim.reload_at_ns = machine_clock()->manual_ns + 1 + below(3000000);
	}
}

/* Where functions are on trial all the time, somebody asks all the time. */
static void on_answer(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o)
{
	(void)w, (void)o;
	sim.asking = false;
	if (sim.job.shape == SIM_TRIALS)
		sim.ask_at_ns = machine_clock()->manual_ns + 1 + below(3000000);
}

static void ask(struct wr_job *j)
{
	sim.ask.done = on_answer;
	sim.asking = true;
	machine_counts[ASKED]++;
	if (wr_job_checkpoint(j, &sim.ask, below(2)) != WR_OK)
		sim.asking = false;
}

/* As recovery/reload.c has it: what functions on trial did is undone. */
static bool on_failed(void *arg, struct wr_job *j)
{
	(void)arg;
	if (!j || !wr_swap_is_open(wr_job_swap(j)))
		return false;
	machine_counts[TAKEN_BACK]++;
	wr_attempts_go_back(sim.attempts, wr_job_way_back(j));
	return true;
}

static void on_work(void *arg, struct wr_job *j)
{
	(void)arg;
	if (is_due(&sim.stop_at_ns)) {
		sim.stopped = true;
		machine_counts[STOPS]++;
		wr_attempts_stop(sim.attempts);
	}
	if (is_due(&sim.rescale_at_ns)) {
		sim.leave.done = on_left;
		wr_job_leave(j, &sim.leave, WR_LEAVE_AGAIN);
	}
	if (is_due(&sim.reload_at_ns))
		reload(j);
	if (!sim.asking && is_due(&sim.ask_at_ns))
		ask(j);
}

struct pace { /* of the process, and of its checkpoints */
	uint32_t workers, buffer_size, parallelism_max;
	uint32_t attempts;
	struct wr_checkpoint_options checkpoints;
};

static struct pace pace_draw(bool faults)
{
	static const int64_t timeouts[] = {3000, 20000, 1000000};
	enum sim_shape shape = sim.job.shape;
	bool deltas = shape == SIM_DELTAS;
	bool hurries = deltas || shape == SIM_TRIALS || shape == SIM_BURST || shape == SIM_CUTS;

	return (struct pace){.workers = 1 + below(3),
			     .buffer_size = 256u << below(5),
			     .attempts = faults ? 30 : 1,
			     .parallelism_max = faults || below(2) ? SIM_PARALLELISM : 1,
			     .checkpoints = {.folder = "/sim/job",
					     .every_us = 500 + below(hurries ? 1500 : 8000),
					     .timeout_us = faults ? timeouts[deltas || shape == SIM_CUTS ? 0
									     : shape == SIM_TRIALS ? below(2)
												   : below(3)]
								  : 60000000,
					     .unaligned_after_us = sim.overtakes ? 1 + below(3000) : 0,
					     .tolerable = below(4),
					     .retain = 1 + below(3),
					     .patience_us = below(20000),
					     .incremental = deltas || sim.seed % 2,
					     .packs_logs = (sim.seed + sim.plan_count) % 3 == 0,
					     .at_least_once = sim_may_double(&sim.job)}};
}

static struct wr_attempts *make_attempts(const struct wr_plan *plan, const struct pace *pace,
					 struct wr_resume *resume, struct wr_report *report)
{
	static struct wr_kind_list kinds[WR_JOB_KIND_LISTS + 1];
	struct wr_attempts_options o = {.job = {.plan = plan,
						.kinds = kinds,
						.kind_lists = WR_JOB_KIND_LISTS + 1,
						.enumerators = wr_enumerators,
						.enumerator_count = wr_enumerators_count,
						.workers = pace->workers,
						.buffer_size = pace->buffer_size,
						.timeout_us = 500,
						.clock = machine_clock(),
						.work = on_work},
					.checkpoints = pace->checkpoints,
					.resume = resume,
					.report = report,
					.command = "weir run",
					.failed = on_failed,
					.restarts = {.strategy = WR_RESTART_FIXED,
						     .attempts = pace->attempts,
						     .delay_ns = 3000000,
						     .seed = sim.seed}};

	wr_job_kinds(kinds);
	kinds[WR_JOB_KIND_LISTS] = (struct wr_kind_list){stages_kinds, STAGES};
	return wr_attempts_new(&o);
}

/* As `weir run --dir /sim/job` does it. */
static int process(struct wr_plan *plan, const struct pace *pace, struct wr_report *report)
{
	struct wr_resume *resume =
	    wr_resume_open(&(struct wr_resume_options){.dir = "/sim/job", .resume = "auto", .plan = plan});
	int rc = resume ? WR_OK : WR_EFATAL;

	if (rc == WR_OK) {
		sim.attempts = make_attempts(plan, pace, resume, report);
		if (machine_has_crashed())
			wr_attempts_stop(sim.attempts);
		rc = wr_attempts_run(sim.attempts);
		machine_counts[RESTARTS] += wr_attempts_restarts(sim.attempts);
		wr_attempts_free(sim.attempts);
		sim.attempts = NULL;
		wr_resume_close(resume);
	}
	return rc;
}

static struct wr_config *config;

/* WR_OK: the job has finished; WR_AGAIN: it is to be run again. */
static int run(const struct machine_roughness *rough, bool faults)
{
	struct pace pace = pace_draw(faults);
	struct wr_plan *plan;
	struct wr_report *report;
	const char *left;
	bool crashed;
	int rc;

	sim.plan_count = 0;
	plan = next_plan(pace.parallelism_max);
	if (!sim.overtakes)
		sim_job_check_state(&sim.job, plan);
	report = wr_report_new(config, machine_clock());
	sim.stopped = false;
	machine_counts[RUNS]++;
	target_go_on();
	topics_go_on();
	machine_begin(rough, on_crash, NULL);
	wr_debug("sim", "run %u", sim.run);
	rc = process(plan, &pace, report);
	crashed = machine_has_crashed();
	left = machine_end();
	if (left)
		machine_failed("the process ended and left %s open", left);
	wr_report_free(report);
	while (sim.plan_count)
		wr_plan_free(sim.plans[--sim.plan_count]);
	if (crashed)
		return WR_AGAIN;
	if (rc < 0 && !rough->io && !faults)
		machine_failed("the job failed: %s", wr_error_text());
	if (rc == WR_END && !sim.stopped)
		machine_failed("the job was stopped by nobody");
	machine_counts[ENDS] += rc == WR_OK;
	return rc == WR_OK ? WR_OK : WR_AGAIN;
}

/* ---- one seed ---- */

/* Who relies on what a process that was killed had not synced is found by a loss of power soon after. */
static struct machine_roughness soon_behind_a_kill(void)
{
	struct machine_roughness r = {.give_way = 1 + below(8), .power = true};

	if (sim.job.sink == SIM_TARGET || sim.job.sink == SIM_TOPICS)
		r.crash_at_commit = 1 + below(2);
	else
		r.crash_at = 1 + below(1u << (9 + below(5)));
	return r;
}

static struct machine_roughness draw_roughness(void)
{
	struct machine_roughness r = {.give_way = 1 + below(8), .power = below(3) > 0};

	if (sim.job.shape == SIM_ENDS || (sim.job.shape == SIM_TRIALS && below(2)))
		r.stall = 20 + below(200);
	else if (below(2))
		r.stall = 40 + below(800);
	if (sim.job.shape == SIM_CUTS)
		r.io = 8 + below(30);
	else if (below(3) == 0)
		r.io = 15 + below(250);
	switch (below(8)) {
	case 0:
		break;
	case 1:
		r.crash_at_call = 1 + below(CALLS);
		break;
	case 2:
	case 3:
		r.crash_at_name = 1 + below(NAMES);
		r.power = below(3) == 0;
		break;
	case 4:
		r.crash_at_rename = 1 + below(RENAMES);
		r.power = below(3) == 0;
		break;
	default:
		r.crash_at = 1 + below(1u << (6 + below(POINTS_LOG2 - 5)));
	}
	if (sim.job.shape == SIM_CUTS && below(3)) {
		r.crash_at = r.crash_at_name = r.crash_at_rename = 0;
		r.crash_at_call = CALLS + below(4 * CALLS);
		r.crash_at_cut = 1 + below(2);
		r.power = false;
	}
	return r;
}

static uint64_t some_time(bool faults, uint32_t one_in)
{
	return faults && below(one_in) == 0 ? machine_clock()->manual_ns + 1 + below(60000000) : 0;
}

static void draw_user(bool faults)
{
	bool trials = sim.job.shape == SIM_TRIALS;
	bool grows = sim.job.shape == SIM_AHEAD || sim.job.shape == SIM_BURST;

	sim.stop_at_ns = some_time(faults, 5);
	sim.rescale_at_ns = some_time(faults, grows ? 1 : 4);
	sim.reload_at_ns = some_time(faults, trials ? 1 : 4);
	sim.trials = 0;
	sim.ask_at_ns = some_time(faults, trials ? 1 : 4);
}

static enum functions_fault draw_fault(bool faults)
{
	if (!faults)
		return FUNCTIONS_SOUND;
	if (sim.job.shape == SIM_TRIALS)
		return FUNCTIONS_FRESH_SHAKY;
	return below(3) == 0 ? FUNCTIONS_SHAKY : FUNCTIONS_SOUND;
}

static void begin_world(uint64_t seed)
{
	int fd;

	machine_init(seed);
	target_init();
	topics_init();
	if (mkdir("/sim/out", 0777) != 0 || (fd = open("/sim", O_RDONLY | O_DIRECTORY)) < 0 || fsync(fd) != 0)
		machine_failed("no disk");
	close(fd);
}

/* Notes of the file sink are none of its output. */
static void take_file(void *out, const char *name, const uint8_t *p, size_t len)
{
	wr_debug("output", "%s: %zu bytes: %.*s", name, len, (int)len, (const char *)p);
	if (len && !strstr(name, ".commit"))
		wr_bytes_put(out, p, len);
}

static void output(struct wr_bytes *out)
{
	out->len = 0;
	files_each("/sim/out", take_file, out);
	topics_rows(out);
	target_rows(out);
}

static void one_line(const char *text, char *line, size_t room)
{
	snprintf(line, room, "%.*s", (int)strcspn(text, "\n"), text);
}

static const char *next_line(const char *line)
{
	return line + strcspn(line, "\n") + 1;
}

/* Sorted lines both; with `twice` a line may come more often than it should. */
static void compare(const struct wr_bytes *expected, const struct wr_bytes *got, bool twice)
{
	const char *a = (const char *)expected->data, *a_end = a + expected->len, *last = NULL;
	const char *b = (const char *)got->data, *b_end = b + got->len;
	char missing[200], extra[200];

	while (a < a_end || b < b_end) {
		bool same = a < a_end && b < b_end && !strncmp(a, b, strcspn(a, "\n") + 1);

		if (!same && !(twice && last && b < b_end && !strncmp(last, b, strcspn(last, "\n") + 1)))
			break;
		last = b;
		a = same ? next_line(a) : a;
		b = next_line(b);
	}
	if (a == a_end && b == b_end)
		return;
	one_line(a < a_end ? a : "(nothing)", missing, sizeof missing);
	one_line(b < b_end ? b : "(nothing)", extra, sizeof extra);
	if (machine_traces)
		fprintf(stderr, "expected:\n%.*sgot:\n%.*s", (int)expected->len, (const char *)expected->data,
			(int)got->len, (const char *)got->data);
	machine_failed("the output is another one: %s where %s should be (%zu bytes, not %zu)", extra,
		       missing, got->len, expected->len);
}

static void without_faults(struct wr_bytes *out)
{
	const struct machine_roughness calm = {.give_way = 4};

	begin_world(sim.seed);
	sim.run = 0;
	functions_rough(FUNCTIONS_SOUND);
	draw_user(false);
	if (run(&calm, false) != WR_OK)
		machine_failed("the job does not come to its end");
	output(out);
}

static void with_faults(struct wr_bytes *out)
{
	uint32_t rough_runs = 1 + below(RUNS_MAX - 1);
	bool refusing = below(3) == 0, killed = false;

	begin_world(sim.seed + 1000000007);
	for (sim.run = 1;; sim.run++) {
		bool faults = sim.run <= rough_runs;
		struct machine_roughness r = {.give_way = 1 + below(8)};

		if (faults)
			r = killed && below(4) ? soon_behind_a_kill() : draw_roughness();
		killed = (r.crash_at_name || r.crash_at_rename) && !r.power;
		functions_rough(draw_fault(faults));
		draw_user(faults);
		target_rough(faults && refusing);
		topics_rough(faults && refusing);
		if (run(&r, faults) == WR_OK)
			break;
		if (!faults)
			machine_failed("the job does not come to its end");
		if (below(4) == 0)
			machine_power_off();
	}
	sim.run++;
	machine_power_off();
	functions_rough(FUNCTIONS_SOUND);
	draw_user(false);
	target_rough(false);
	topics_rough(false);
	if (run(&(struct machine_roughness){.give_way = 4}, false) != WR_OK)
		machine_failed("a job that has finished runs again");
	output(out);
}

static void play(uint64_t seed)
{
	struct wr_bytes expected = WR_BYTES_EMPTY, got = WR_BYTES_EMPTY;

	sim.seed = seed;
	sim.rand.s = seed * 0x9e3779b97f4a7c15u;
	sim_job_draw(&sim.job, &sim.rand);
	if (sim.shape && sim.job.shape != (enum sim_shape)atoi(sim.shape))
		return;
	/* what it overtakes may come at a lower watermark where the parallelism is another one */
	sim.overtakes = sim.job.shape != SIM_LATE && below(3) == 0;
	without_faults(&expected);
	with_faults(&got);
	compare(&expected, &got, sim_may_double(&sim.job));
	wr_bytes_deinit(&expected);
	wr_bytes_deinit(&got);
}

static const struct seeds_count counts[] = {{RUNS, "runs of a process"},
					    {ENDS, "of them to the end of the job"},
					    {KILLS, "kills"},
					    {POWER_LOSSES, "losses of power"},
					    {FILES_LOST, "files lost"},
					    {FILES_TORN, "files torn"},
					    {NAMES_LOST, "names lost"},
					    {STALLS, "threads stalled"},
					    {CALLS_FAILED, "calls failed"},
					    {WRITES_SHORT, "writes cut short"},
					    {FUNCTIONS_FAILED, "functions failed"},
					    {RESTARTS, "restarts in the process"},
					    {STOPS, "stops by the user"},
					    {ASKED, "checkpoints asked for"},
					    {RELOADS, "reloads"},
					    {TAKEN_BACK, "reloads taken back"},
					    {RESCALES, "rescales of a running job"},
					    {CHECKPOINTS, "checkpoints that hold"},
					    {UNALIGNED, "of them unaligned"},
					    {EXPIRED, "checkpoints expired"},
					    {DECLINED, "checkpoints declined"},
					    {STATES, "states held against a replay"},
					    {COMMITS, "commits"},
					    {COMMITS_REFUSED, "commits refused"},
					    {COMMITS_DOUBTFUL, "commits in doubt"},
					    {TXN_COMMITTED, "transactions committed"},
					    {TXN_FENCED, "aborted by an init"},
					    {TXN_TIMED_OUT, "aborted by a timeout"},
					    {COMMITS_UNKNOWN, "commits with unknown outcome"},
					    {REQUESTS_LOST, "requests lost"},
					    {REQUESTS_LATE, "requests late"},
					    {REQUESTS_STALE, "requests of clients that are gone"},
					    {ANSWERS_LOST, "answers lost"},
					    {OUTAGES, "outages of all brokers"}};

int main(void)
{
	machine_on_failure = on_failure;
	machine_log_init("checkpoint", on_log);
	sim.shape = getenv("SHAPE");
	config = wr_config_new();
	wr_config_set(config, "quiet", "true", "the simulation");
	return seeds_play(play, counts, sizeof counts / sizeof *counts);
}
