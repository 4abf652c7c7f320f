/* SPDX-License-Identifier: Apache-2.0 */
/* main: options, verbs, and the wiring of a job in this process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/config.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "recovery/attempts.h"
#include "recovery/owed.h"
#include "control/cli.h"
#include "control/reload_cli.h"
#include "control/serve.h"
#include "control/settings.h"
#include "cluster/kinds.h"
#include "cluster/recording.h"
#include "savepoint/file.h"
#include "script/script.h"
#include "state/store.h"
#include "task/metrics.h"

#ifndef WEIR_VERSION
#define WEIR_VERSION "0.1.0"
#endif

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130, SAME_SIGNAL_MS = 50, PATIENCE_S = 1 };

struct verb {
	const char *name, *operands, *summary, *examples;
	/* One of: a function that gives the exit status; one that reaches a running job; the name of a tool
	 * for savepoints. */
	int (*run)(struct wr_config *c, int argc, char **argv);
	int (*reach)(const struct wr_config *c, int argc, char **argv);
	const char *tool;
};

static struct wr_attempts *_Atomic running;

/* Puts the thread's error on standard error, once, in the chosen form. */
static int complain(int status)
{
	wr_log_set_live(NULL);
	fflush(stdout);
	fprintf(stderr, "weir: %s\n", wr_error_text());
	return status;
}

/* A task did not return from the script's function, or from a write that nobody reads, after the second
 * signal: nothing else can end it. */
static void on_patience_end(int sig)
{
	static const char text[] =
	    "weir: stopped while a function of the script, a write or a commit was still under way\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);

	(void)sig;
	(void)written;
	_exit(EXIT_INTERRUPTED);
}

/* The first signal ends the job in order, the second at once; so does the first where there is no order left.
 * A signal that comes twice at once (to the process and to its group) is one wish. */
static void on_signal(int sig)
{
	static _Atomic int64_t last_ms;
	static _Atomic int wishes;
	struct wr_attempts *a = atomic_load(&running);
	int64_t now_ms = (int64_t)(wr_clock_ns(wr_clock_system()) / 1000000), before = atomic_load(&last_ms);

	(void)sig;
	if (!a)
		_exit(EXIT_INTERRUPTED);
	if (now_ms - before <= SAME_SIGNAL_MS || !atomic_compare_exchange_strong(&last_ms, &before, now_ms))
		return;
	wr_attempts_stop(a);
	if (atomic_fetch_add(&wishes, 1) == 1 || wr_attempts_is_stuck(a))
		alarm(PATIENCE_S);
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal}, end = {.sa_handler = on_patience_end};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &end, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write beyond ulimit -f is an error like a full disk */
}

static int need_script(const char *verb, int argc)
{
	if (argc > 0)
		return WR_OK;
	return wr_error_set(WR_EUSER, "which script? weir %s [options] job.lua [key=value …]", verb);
}

static struct wr_draw_options draw_options(const struct wr_config *c, int argc, char **argv)
{
	return (struct wr_draw_options){
	    .path = argv[0], .args = (const char *const *)argv + 1, .arg_count = argc - 1, .config = c};
}

/* --record or --replay: *recording stays NULL without them. */
static int open_recording(struct wr_config *c, const struct wr_plan *plan, struct wr_recording **recording)
{
	const char *record = wr_config_str(c, "record"), *replay = wr_config_str(c, "replay");

	if (record && replay)
		return wr_error_set(WR_EUSER, "--record and --replay exclude each other");
	if ((record || replay) && wr_config_str(c, "restart") && strcmp(wr_config_str(c, "restart"), "none"))
		return wr_error_set(WR_EUSER, "a run that is recorded or played back is one attempt: leave "
					      "--restart away, or say --restart=none");
	if (!record && !replay)
		return WR_OK;
	*recording = wr_recording_new(plan, replay ? replay : record, replay != NULL, wr_clock_system());
	return *recording ? WR_OK : wr_error_code();
}

/* What an interrupted job with checkpoints leaves behind. */
static void say_where(const struct wr_attempts *attempts)
{
	uint64_t last = wr_job_last_checkpoint(wr_attempts_job(attempts));

	if (last)
		wr_info("checkpoint",
			"stopped at checkpoint %" PRIu64 ": the same command goes on from there", last);
	else
		wr_info("checkpoint", "stopped before the first checkpoint: the same command begins anew");
}

/* Exit status. */
static int run_attempts(struct wr_attempts *attempts, struct wr_report *report,
			struct wr_recording *recording, struct wr_reached *reached)
{
	const char *owed;
	int rc, status = 0;

	atomic_store(&running, attempts);
	rc = wr_attempts_run(attempts);
	atomic_store(&running, NULL);
	owed = wr_attempts_owed(attempts);
	if (rc < 0)
		status = complain(EXIT_FAILED);
	else if (rc == WR_END)
		status = EXIT_INTERRUPTED;
	if (rc == WR_END && *owed) {
		wr_error_set(WR_ETRANSIENT, "%s", owed);
		status = complain(reached->stopped ? EXIT_FAILED : EXIT_INTERRUPTED);
	}
	if (wr_reached_end(reached, rc))
		status = 0;
	if (!wr_attempts_job(attempts))
		return status;
	if (recording && wr_recording_finish(recording) != WR_OK) {
		rc = wr_error_code();
		status = complain(EXIT_FAILED);
	}
	wr_report_end(report, rc);
	if (rc == WR_END && reached->directory)
		say_where(attempts);
	return status;
}

static void hurry(void)
{
	alarm(PATIENCE_S);
}

static int run_plan(struct wr_config *c, const struct wr_draw_options *script, struct wr_plan *plan,
		    struct wr_bundle *bundle)
{
	struct wr_kind_list kinds[WR_JOB_KIND_LISTS];
	struct wr_report *report = wr_report_new(c, wr_clock_system());
	struct wr_recording *recording = NULL;
	struct wr_resume *resume = NULL;
	struct wr_attempts *attempts = NULL;
	struct wr_serving serving = {.reached = {.plan = plan,
						 .directory = wr_config_str(c, "dir"),
						 .clock = wr_clock_system(),
						 .hurry = hurry}};
	struct wr_bytes command = WR_BYTES_EMPTY;
	char hash[24];
	int rc = report ? open_recording(c, plan, &recording) : WR_EFATAL, status;

	wr_job_kinds(kinds);
	wr_frozen_bound(wr_config_is_set(c, "frozen-memory") ? wr_config_int(c, "frozen-memory")
							     : wr_mem_machine() / 4);
	snprintf(hash, sizeof hash, "%016" PRIx64, wr_bundle_hash(bundle));
	wr_owed_command(&command, wr_config_str(c, "dir"), script->path, script->args, script->arg_count);
	if (rc == WR_OK)
		rc = wr_bytes_status(&command);
	if (rc == WR_OK)
		rc = wr_settings_open_resume(c, plan, &resume);
	if (rc == WR_OK) {
		struct wr_attempts_options o = {.job = wr_settings_job(c, plan, bundle),
						.checkpoints = wr_settings_checkpoints(c, hash),
						.resume = resume,
						.report = report,
						.restarts = wr_settings_restarts(c, plan, recording != NULL),
						.command = (const char *)command.data,
						.allow_duplicates = wr_config_bool(c, "allow-duplicates")};

		o.job.kinds = kinds;
		o.job.tick_arg = report;
		o.job.world = recording ? wr_recording_world : NULL;
		o.job.world_arg = recording;
		rc = wr_serving_begin(&serving, c, script, &o);
		attempts = rc == WR_OK ? wr_attempts_new(&o) : NULL;
		if (attempts)
			wr_serving_attach(&serving, attempts);
	}
	status = attempts ? run_attempts(attempts, report, recording, &serving.reached)
			  : complain(wr_error_code() == WR_EUSER ? EXIT_USAGE : EXIT_FAILED);
	wr_report_free(report);
	wr_serving_detach(&serving);
	wr_attempts_free(attempts);
	wr_resume_close(resume);
	wr_serving_end(&serving);
	wr_recording_free(recording);
	wr_bytes_deinit(&command);
	return status;
}

static int run_script(struct wr_config *c, int argc, char **argv, bool doctor)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_bundle *bundle = NULL;
	struct wr_draw_options o;
	struct wr_plan *plan;
	int status;

	if (need_script(doctor ? "doctor" : "run", argc) != WR_OK)
		return complain(EXIT_USAGE);
	o = draw_options(c, argc, argv);
	o.doctor = doctor;
	o.runs = true;
	if (wr_script_draw(&o, &bytes, &bundle) != WR_OK)
		return complain(EXIT_USAGE);
	plan = wr_plan_decode(bytes.data, bytes.len);
	if (!plan)
		status = complain(EXIT_FAILED);
	else if (wr_settings_settle(c, plan) != WR_OK)
		status = complain(EXIT_USAGE);
	else
		status = run_plan(c, &o, plan, bundle);
	wr_plan_free(plan);
	wr_bytes_deinit(&bytes);
	wr_bundle_free(bundle);
	return status;
}

static int verb_run(struct wr_config *c, int argc, char **argv)
{
	return run_script(c, argc, argv, wr_config_bool(c, "doctor"));
}

static int verb_doctor(struct wr_config *c, int argc, char **argv)
{
	return run_script(c, argc, argv, true);
}

static int in_lua(const char *name, struct wr_config *c, int argc, char **argv)
{
	struct wr_draw_options o;

	if (need_script(name, argc) != WR_OK)
		return complain(EXIT_USAGE);
	o = draw_options(c, argc, argv);
	return wr_script_cli(name, &o) == WR_OK ? 0 : complain(EXIT_USAGE);
}

static int verb_check(struct wr_config *c, int argc, char **argv)
{
	return in_lua("check", c, argc, argv);
}

static int verb_graph(struct wr_config *c, int argc, char **argv)
{
	return in_lua("graph", c, argc, argv);
}

static int verb_lua(struct wr_config *c, int argc, char **argv)
{
	(void)c;
	if (argc < 1) {
		wr_error_set(WR_EUSER, "which file? usage: weir lua FILE [arguments]");
		return complain(EXIT_USAGE);
	}
	return wr_script_lua(argc, argv) == WR_OK ? 0 : complain(EXIT_FAILED);
}

static int verb_test(struct wr_config *c, int argc, char **argv)
{
	char here[] = ".", *all[] = {here};
	int failures = 0;

	if (!wr_config_is_set(c, "log-level")) /* what a job warns of is what its test is about */
		wr_log_setup(WR_LOG_ERROR, !strcmp(wr_config_str(c, "log-format"), "json"));
	if (wr_script_test(c, argc ? argv : all, argc ? argc : 1, &failures) != WR_OK)
		return complain(EXIT_USAGE);
	return failures ? EXIT_FAILED : 0;
}

/* Exit status of what reached a running job, or did not. */
static int told(int rc)
{
	return rc == WR_OK ? 0 : complain(rc == WR_EUSER ? EXIT_USAGE : EXIT_FAILED);
}

static int need_folder(int argc, char **argv)
{
	if (argc > 0)
		return wr_error_set(
		    WR_EUSER,
		    "'%s' is no command of weir savepoint; `weir savepoint --help` lists them, "
		    "and options stand behind them",
		    argv[0]);
	return wr_error_set(WR_EUSER, "a savepoint of what? --dir names the folder of a job's checkpoints; "
				      "`weir savepoint --help` tells more");
}

static int verb_savepoint(struct wr_config *c, int argc, char **argv)
{
	struct wr_savepoint_made made;
	struct wr_bytes text = WR_BYTES_EMPTY;

	if (argc == 1 && !wr_config_is_set(c, "dir"))
		return told(wr_cli_savepoint(c, argc, argv));
	if (argc > 0 || !wr_config_is_set(c, "dir")) {
		need_folder(argc, argv);
		return complain(EXIT_USAGE);
	}
	if (wr_savepoint_make_newest(wr_config_str(c, "dir"), wr_config_str(c, "output"), &made) != WR_OK)
		return complain(EXIT_FAILED);
	if (wr_config_bool(c, "json")) {
		wr_bytes_printf(&text,
				"{\"bytes\":%" PRIu64 ",\"checkpoint\":%" PRIu64 ",\"file\":", made.bytes,
				made.checkpoint);
		wr_bytes_put_json(&text, made.path, strlen(made.path));
		wr_bytes_printf(&text, ",\"job\":");
		wr_bytes_put_json(&text, made.job, strlen(made.job));
		wr_bytes_printf(&text, "}");
		printf("%.*s\n", (int)text.len, (const char *)text.data);
		wr_bytes_deinit(&text);
	} else {
		printf("%s: checkpoint %" PRIu64 " of job \"%s\", %" PRIu64 " bytes\n", made.path,
		       made.checkpoint, made.job, made.bytes);
	}
	return 0;
}

static int savepoint_tool(const char *tool, struct wr_config *c, int argc, char **argv)
{
	int status = 0;

	return wr_script_savepoint(tool, c, argc, argv, &status) == WR_OK ? status : complain(EXIT_USAGE);
}

static int verb_version(struct wr_config *c, int argc, char **argv)
{
	(void)argc, (void)argv;
	if (wr_config_bool(c, "json"))
		printf("{\"version\":\"%s\"}\n", WEIR_VERSION);
	else
		printf("weir %s\n", WEIR_VERSION);
	return 0;
}

static int verb_help(struct wr_config *c, int argc, char **argv);

static const struct verb verbs[] = {
    {"run", "[options] job.lua [key=value …]", "run a job in this process until it ends",
     "  weir run jobs/word_count.lua input='books/*.txt'\n"
     "  weir run -p 2 job.lua\n"
     "  journalctl -f | weir run jobs/unix_filter.lua\n",
     .run = verb_run},
    {"check", "[options] job.lua [key=value …]", "build everything without running it",
     "  weir check job.lua\n  weir check --explain job.lua\n", .run = verb_check},
    {"graph", "[options] job.lua [key=value …]", "show the job as it was drawn and as it runs",
     "  weir graph job.lua\n  weir graph --notation=dot job.lua | dot -Tsvg >job.svg\n", .run = verb_graph},
    {"doctor", "[options] job.lua [key=value …]", "run a job and say why its script is slow",
     "  weir doctor job.lua >/dev/null\n", .run = verb_doctor},
    {"test", "[options] [FILE|FOLDER …]",
     "run the specs of jobs (files called *_spec.lua), with the engine inside",
     "  weir test jobs/\n  weir test --filter='late' jobs/spec/top_words_spec.lua\n", .run = verb_test},
    {"list", "[options]", "list the jobs of this user that are running", "  weir list\n  weir list --json\n",
     .reach = wr_cli_list},
    {"info", "[options] JOB", "show a running job: its operators, what they did so far, its last checkpoint",
     "  weir info visits\n  weir info --json 4711\n", .reach = wr_cli_info},
    {"top", "[options] JOB", "watch a running job: records a second, back-pressure, lag",
     "  weir top visits\n  weir top --once --interval=5s visits\n", .reach = wr_cli_top},
    {"checkpoint", "[options] JOB", "have a running job take a checkpoint, and wait for it",
     "  weir checkpoint visits\n", .reach = wr_cli_checkpoint},
    {"stop", "[options] JOB", "end a running job behind a last checkpoint, from which it can go on",
     "  weir stop visits\n  weir stop --savepoint visits\n  weir stop --drain --savepoint=last.weir visits\n",
     .reach = wr_cli_stop},
    {"reload", "[options] JOB job.lua [key=value …]",
     "bring another version of its script into a running job",
     "  weir reload visits visits.lua\n  weir reload --yes -p 4 visits visits.lua\n"
     "  weir reload --watch visits.lua\n",
     .reach = wr_cli_reload},
    {"rollback", "[options] JOB", "bring back the version that a running job had before",
     "  weir rollback visits\n", .reach = wr_cli_rollback},
    {"cancel", "[options] JOB", "end a running job at once; it can go on from the checkpoint it took last",
     "  weir cancel visits-4711\n", .reach = wr_cli_cancel},
    {"savepoint", "[options] JOB | --dir DIR [-o FILE]",
     "make one file of a job's checkpoint, to go on from anywhere: of one that is taken now, or of the "
     "newest in a folder",
     "  weir savepoint visits -o monday.weir\n"
     "  weir savepoint --dir state\n"
     "  weir savepoint --dir state -o monday.weir\n"
     "  weir run --from monday.weir --dir state2 -p 4 job.lua\n",
     .run = verb_savepoint},
    {"savepoint ls", "FILE", "list operators and their state: kinds, keys, bytes, shapes, timers, positions",
     "  weir savepoint ls monday.weir\n"
     "  weir savepoint ls state          # the newest checkpoint of a job\n",
     .tool = "ls"},
    {"savepoint info", "FILE",
     "tell where a savepoint comes from: job, time, script, parallelism, watermarks",
     "  weir savepoint info monday.weir\n  weir savepoint info --json state/chk-12\n", .tool = "info"},
    {"savepoint get", "FILE UID STATE KEY [ENTRY]", "show what an operator knows of a key",
     "  weir savepoint get monday.weir visits last ann\n"
     "  weir savepoint get monday.weir visits last 17\n"
     "  weir savepoint get monday.weir visits pages ann /home        # one entry of a map\n"
     "  weir savepoint get monday.weir visits last '[\"ann\",3]'     # a key of several fields\n",
     .tool = "get"},
    {"savepoint query", "FILE UID STATE [EXPRESSION]",
     "show the keys of a state for which a Lua expression of key and value is true",
     "  weir savepoint query monday.weir visits last\n"
     "  weir savepoint query monday.weir visits last 'value.count > 10 and key:match(\"^a\")'\n"
     "  weir savepoint query --json --limit 5 monday.weir visits pages 'entry == \"/home\"'\n"
     "  weir savepoint query monday.weir visits timers 'time < 1700000000000'\n",
     .tool = "query"},
    {"savepoint diff", "FILE1 FILE2 [UID [STATE]]", "show what differs between two savepoints, by key",
     "  weir savepoint diff monday.weir tuesday.weir\n"
     "  weir savepoint diff --json monday.weir tuesday.weir visits last\n",
     .tool = "diff"},
    {"savepoint edit", "FILE SCRIPT -o NEW", "write a changed savepoint: what to change says a Lua script",
     "  weir savepoint edit monday.weir fix.lua -o fixed.weir\n"
     "  # fix.lua:\n"
     "  #   return function(sp)\n"
     "  #     sp:operator(\"visits\"):map(\"last\", function(value, key) return value + 1 end)\n"
     "  #     sp:operator(\"orders\"):seek(\"orders[3]\", { timestamp = sp.time - 3600e3 }) -- an hour back\n"
     "  #   end\n",
     .tool = "edit"},
    {"version", "", "show the version", "  weir version --json\n", .run = verb_version},
    {"help", "[verb | metrics]", "show help, or what is measured", "  weir help run\n  weir help metrics\n",
     .run = verb_help},
    {"lua", "FILE [arguments]", "run a Lua file with the modules that travel in this program",
     "  weir lua script.lua a b\n", .run = verb_lua},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const char *verb_name(int i)
{
	return verbs[i].name;
}

static const struct verb *find_verb(const char *name)
{
	for (int i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* A verb of one word or of two; *words says which. */
static const struct verb *find_words(int argc, char **argv, int *words)
{
	char both[64];
	const struct verb *v = NULL;

	*words = 2;
	if (argc > 1 && snprintf(both, sizeof both, "%s %s", argv[0], argv[1]) < (int)sizeof both)
		v = find_verb(both);
	if (v)
		return v;
	*words = 1;
	return find_verb(argv[0]);
}

/* Is it one of those that begin with another verb? */
static bool is_part_of(const struct verb *v, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(v->name, name, len) && v->name[len] == ' ';
}

static void help_verb(const struct verb *v)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	printf("usage: weir %s %s\n%s\n", v->name, v->operands, v->summary);
	if (v->run != verb_lua)
		wr_config_help(v->name, &text);
	if (text.len) {
		putchar('\n');
		fwrite(text.data, 1, text.len, stdout);
	}
	for (int i = 0; i < VERBS; i++)
		if (is_part_of(&verbs[i], v->name))
			printf("%s  weir %-16s %s\n",
			       i && is_part_of(&verbs[i - 1], v->name) ? "" : "\nfurther:\n", verbs[i].name,
			       verbs[i].summary);
	printf("\nexamples:\n%s", v->examples);
	printf("\nexit codes: %s\n", strchr(v->name, ' ')
					 ? "0 done, 1 it is not there, or not the same, 2 an error"
					 : "0 done, 1 the job or a test failed, 2 usage or script error, "
					   "130 interrupted");
	wr_bytes_deinit(&text);
}

static void help_all(FILE *to)
{
	fprintf(to, "usage: weir VERB [options] …\n\nverbs:\n");
	for (int i = 0; i < VERBS; i++)
		if (!strchr(verbs[i].name, ' '))
			fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
	fprintf(to, "\nweir help VERB, or weir VERB --help, tells more.\n");
}

static int unknown_verb(const char *name)
{
	const char *near = wr_suggest(name, verb_name, VERBS);

	wr_error_set(WR_EUSER, "unknown verb '%s'%s%s%s; `weir help` lists them", name,
		     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return complain(EXIT_USAGE);
}

/* The manual page, in roff: what `make install` puts into man1. */
static void help_man(void)
{
	struct wr_bytes options = WR_BYTES_EMPTY;

	printf(".TH WEIR 1 \"\" \"weir " WEIR_VERSION
	       "\"\n.SH NAME\nweir \\- stateful stream processing, scripted in Lua\n"
	       ".SH SYNOPSIS\n.B weir\n.I verb\n[\\fIoptions\\fR] …\n.SH VERBS\n");
	for (int i = 0; i < VERBS; i++)
		printf(".TP\n\\fB%s\\fR %s\n%s\n", verbs[i].name, verbs[i].operands, verbs[i].summary);
	wr_config_man(&options);
	if (options.len)
		fwrite(options.data, 1, options.len, stdout);
	printf(
	    ".SH ENVIRONMENT\nEach option can be given as a variable: \\fB\\-\\-buffer\\-size\\fR as "
	    "\\fBWEIR_BUFFER_SIZE\\fR. \\fBNO_COLOR\\fR turns colours off.\n"
	    ".SH FILES\n\\fIweir.toml\\fR in the current folder holds options, a line each: name = value.\n"
	    ".SH EXIT STATUS\n0 done, 1 the job or a test failed, 2 usage or script error, 130 "
	    "interrupted.\n.SH "
	    "EXAMPLES\n.nf\n");
	for (int i = 0; i < VERBS; i++)
		printf("%s", verbs[i].examples);
	printf(".fi\n");
	wr_bytes_deinit(&options);
}

/* What the summary, the live line and --json are made from. */
static void help_metrics(bool json)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	(json ? wr_metrics_catalogue_json : wr_metrics_catalogue)(wr_task_tables, wr_task_tables_count,
								  &text);
	if (text.len)
		fwrite(text.data, 1, text.len, stdout);
	wr_bytes_deinit(&text);
}

static int verb_help(struct wr_config *c, int argc, char **argv)
{
	int words;
	const struct verb *v = argc > 0 ? find_words(argc, argv, &words) : NULL;

	if (argc > 0 && !strcmp(argv[0], "man")) {
		help_man();
		return 0;
	}
	if (argc > 0 && !strcmp(argv[0], "metrics")) {
		help_metrics(wr_config_bool(c, "json"));
		return 0;
	}
	if (argc > 0 && !v)
		return unknown_verb(argv[0]);
	if (v)
		help_verb(v);
	else
		help_all(stdout);
	return 0;
}

/* Flags, environment and file; then what concerns the whole program. */
static int set_up(struct wr_config *c, const char *verb, int argc, char **argv, int *operand)
{
	const char *file;
	size_t len;
	int rc = wr_config_args(c, verb, argc, argv, operand);

	if (rc == WR_OK)
		rc = wr_config_load(c, NULL);
	if (rc != WR_OK)
		return rc;
	file = wr_config_str(c, "config");
	len = file ? strlen(file) : 0;
	if (len > 4 && !strcmp(file + len - 4, ".lua"))
		rc = wr_script_config(file, c);
	if (rc == WR_OK && wr_config_str(c, "fault"))
		rc = wr_fault_parse(wr_config_str(c, "fault"));
	if (rc == WR_OK && wr_config_str(c, "fault-steps"))
		rc = wr_fault_show(wr_config_str(c, "fault-steps"));
	if (rc != WR_OK)
		return rc;
	wr_log_setup((enum wr_log_level)wr_log_level_parse(wr_config_str(c, "log-level")),
		     !strcmp(wr_config_str(c, "log-format"), "json"));
	wr_log_set_color(isatty(STDERR_FILENO) && !wr_config_bool(c, "no-color") && !getenv("NO_COLOR"));
	return WR_OK;
}

/* The number of a standard stream that was closed before we began must not become that of a file of ours, or
 * what is printed would go into it. The stand-in fails where the closed one would. */
static void keep_standard_numbers(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 &&
		    open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY) == -1)
			_exit(EXIT_FAILED);
}

static int do_verb(const struct verb *v, struct wr_config *c, int argc, char **argv)
{
	if (v->reach)
		return told(v->reach(c, argc, argv));
	return v->tool ? savepoint_tool(v->tool, c, argc, argv) : v->run(c, argc, argv);
}

int main(int argc, char **argv)
{
	struct wr_config *c;
	const struct verb *v;
	int operand = 0, status, words;

	keep_standard_numbers();
	wr_mem_setup();
	if (argc < 2) {
		help_all(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		argv[1] = "help";
	else if (!strcmp(argv[1], "--version"))
		argv[1] = "version";
	v = find_words(argc - 1, argv + 1, &words);
	if (!v)
		return unknown_verb(argv[1]);
	catch_signals();
	if (v->run == verb_lua && (argc != 3 || strcmp(argv[2], "--help"))) /* all belongs to the file */
		return verb_lua(NULL, argc - 2, argv + 2);
	c = wr_config_new();
	argc -= words;
	argv += words;
	if (!c || set_up(c, v->name, argc, argv, &operand) != WR_OK) {
		wr_config_free(c);
		return complain(EXIT_USAGE);
	}
	if (wr_config_bool(c, "help")) {
		help_verb(v);
		status = 0;
	} else {
		status = do_verb(v, c, argc - operand, argv + operand);
	}
	wr_config_free(c);
	if (fflush(stdout) == EOF && errno != EPIPE && status == 0) {
		wr_error_set(WR_EFATAL, "cannot write to standard output: %s", strerror(errno));
		status = complain(EXIT_FAILED);
	}
	return status;
}
