/* SPDX-License-Identifier: Apache-2.0 */
/* config: where values come from, which place wins, and what wrong ones are told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/config.h"
#include "base/rand.h"
#include "support/capture.h"
#include "support/failing.h"

static struct wr_config *config;

static int setup(void **state)
{
	(void)state;
	unlink("weir.toml");
	unlink("weir.lua");
	config = wr_config_new();
	wr_error_clear();
	return config ? 0 : -1;
}

static int teardown(void **state)
{
	extern char **environ;

	(void)state;
	for (char **e = environ; *e;) {
		char name[80];

		snprintf(name, sizeof name, "%.*s", (int)strcspn(*e, "="), *e);
		if (strncmp(name, "WEIR_", 5) == 0) {
			unsetenv(name);
			e = environ;
		} else {
			e++;
		}
	}
	wr_config_free(config);
	return 0;
}

/* A folder of its own as the current one. */
static int enter_folder(void **state)
{
	static char folder[256];
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof folder, "%s/weir-config-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(folder) && chdir(folder) == 0 ? teardown(state) : -1;
}

static int leave_folder(void **state)
{
	char folder[256];

	(void)state;
	unlink("weir.toml");
	unlink("weir.lua");
	return getcwd(folder, sizeof folder) && rmdir(folder) == 0 ? 0 : -1;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Flags of `weir run …`, given as one text with single blanks; the operands are left in `operands`. */
static char operands[256];
static int args_of_verb(const char *verb, const char *text)
{
	char copy[512], *argv[32], *save = NULL;
	int argc = 0, operand = 0, rc;

	snprintf(copy, sizeof copy, "%s %s", verb, text);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	rc = wr_config_args(config, verb, argc, argv, &operand);
	operands[0] = 0;
	for (int i = operand; rc == WR_OK && i < argc; i++)
		snprintf(operands + strlen(operands), sizeof operands - strlen(operands), "%s ", argv[i]);
	return rc;
}

static int args(const char *text)
{
	return args_of_verb("run", text);
}

static int toml(const char *text)
{
	return wr_config_toml(config, "weir.toml", text, strlen(text));
}

static void refused(int rc, const char *message)
{
	assert_int_equal(rc, WR_EUSER);
	assert_string_equal(wr_error_text(), message);
}

/* ---- the table ---- */

static void every_option_is_named_once_and_says_what_it_does(void **state)
{
	(void)state;
	for (int i = 0; i < wr_options_count; i++) {
		const struct wr_option *o = &wr_options[i];
		size_t len = strlen(o->help);

		assert_true(strspn(o->name, "abcdefghijklmnopqrstuvwxyz-") == strlen(o->name));
		assert_true(len > 10 && (o->help[len - 1] == '.' || o->kind == WR_OPT_STRING));
		assert_int_equal(o->kind == WR_OPT_FLAG, !o->value_name);
		assert_int_equal(o->kind == WR_OPT_CHOICE, o->choices != NULL);
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(o->name, wr_options[j].name);
			assert_true(!o->letter || o->letter != wr_options[j].letter);
		}
	}
}

static void defaults_are_there_before_anything_is_read(void **state)
{
	(void)state;
	assert_int_equal(wr_config_int(config, "parallelism"), 1);
	assert_int_equal(wr_config_int(config, "buffer-size"), 32768);
	assert_int_equal(wr_config_int(config, "buffer-timeout"), 100000);
	assert_int_equal(wr_config_int(config, "lua-memory"), 1 << 30);
	assert_int_equal(wr_config_int(config, "workers"), 0);
	assert_string_equal(wr_config_str(config, "format"), "json");
	assert_string_equal(wr_config_str(config, "on-error"), "fail");
	assert_null(wr_config_str(config, "lua-path"));
	assert_false(wr_config_bool(config, "unsafe"));
	assert_false(wr_config_is_set(config, "parallelism"));
}

/* ---- flags ---- */

static void flags_may_stand_before_and_behind_operands(void **state)
{
	(void)state;
	assert_int_equal(args("-p 4 job.lua --format=table a=b --spin --buffer-timeout -1 -q"), WR_OK);
	assert_string_equal(operands, "job.lua a=b ");
	assert_int_equal(wr_config_int(config, "parallelism"), 4);
	assert_string_equal(wr_config_str(config, "format"), "table");
	assert_int_equal(wr_config_int(config, "buffer-timeout"), -1);
	assert_true(wr_config_bool(config, "spin"));
	assert_true(wr_config_bool(config, "quiet"));
	assert_true(wr_config_is_set(config, "spin"));
}

static void what_is_forgotten_is_as_if_nobody_had_said_it(void **state)
{
	(void)state;
	assert_int_equal(args("--dir state"), WR_OK);
	assert_string_equal(wr_config_str(config, "dir"), "state");
	wr_config_unset(config, "dir");
	assert_false(wr_config_is_set(config, "dir"));
	assert_null(wr_config_str(config, "dir"));
	assert_int_equal(wr_config_script(config, "dir", "other"),
			 WR_OK); /* the lowest rank is heard again */
	assert_string_equal(wr_config_str(config, "dir"), "other");
}

static void behind_two_dashes_all_are_operands(void **state)
{
	(void)state;
	assert_int_equal(args("--json -- -p --spin"), WR_OK);
	assert_string_equal(operands, "-p --spin ");
	assert_false(wr_config_bool(config, "spin"));
	assert_int_equal(args(""), WR_OK);
	assert_string_equal(operands, "");
}

static void a_flag_can_be_denied_and_the_last_one_counts(void **state)
{
	(void)state;
	assert_int_equal(args("--json --json=false --unsafe=no --unsafe=on -p 2 -p3"), WR_OK);
	assert_false(wr_config_bool(config, "json"));
	assert_true(wr_config_bool(config, "unsafe"));
	assert_int_equal(wr_config_int(config, "parallelism"), 3);
}

static void a_wrong_flag_is_told_what_is_allowed(void **state)
{
	(void)state;
	refused(args("--paralelism 4"), "there is no option --paralelism: did you mean --parallelism?");
	refused(args("--bufer-timeuot=4"),
		"there is no option --bufer-timeuot=4: did you mean --buffer-timeout?");
	refused(args("--wobble"), "there is no option --wobble");
	refused(args("-z"), "there is no option -z");
	refused(args("-p"), "-p needs a value");
	refused(args("--seed"), "--seed needs a value");
	refused(args("-p 0"), "--parallelism=0: allowed is 1 to 32768");
	refused(args("-p 32769"), "--parallelism=32769: allowed is 1 to 32768");
	refused(args("-p 3x"), "--parallelism=3x: not a whole number");
	refused(args("-p 99999999999999999999"), "--parallelism=99999999999999999999: not a whole number");
	refused(args("--seed=-1"), "--seed=-1: allowed is 0 to 9007199254740992");
	refused(args("--json=perhaps"), "--json=perhaps: not true or false");
	refused(args("--format=xml"), "--format=xml: allowed is json|table|raw");
	refused(args("--format=json|table"), "--format=json|table: allowed is json|table|raw");
	refused(args("--format="), "--format=: allowed is json|table|raw");
	refused(args("--buffer-size=1x"), "--buffer-size=1x: not a size: write 65536, 64k, 32 MiB or 1.5g");
	refused(args("--buffer-timeout=-2"),
		"--buffer-timeout=-2: not a duration: write 100us, 10ms, 5s, 2m, 1h30m, 1d "
		"or a number of milliseconds");
	assert_int_equal(wr_config_int(config, "parallelism"), 1);
}

static void a_verb_takes_only_its_own_flags(void **state)
{
	(void)state;
	refused(args_of_verb("check", "--doctor"), "weir check has no option --doctor (these have: run)");
	refused(args_of_verb("run", "--explain"), "weir run has no option --explain (these have: check)");
	assert_int_equal(args_of_verb("check", "--explain"), WR_OK);
	assert_int_equal(args_of_verb("version", "--json"), WR_OK);
}

/* ---- environment and file ---- */

static void flag_wins_over_environment_over_file_over_default_in_any_order(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		wr_config_free(config);
		config = wr_config_new();
		write_file("weir.toml", "parallelism = 2\nworkers = 2\nseed = 2\n");
		setenv("WEIR_PARALLELISM", "3", 1);
		setenv("WEIR_WORKERS", "3", 1);
		if (order)
			assert_int_equal(args("-p 4"), WR_OK);
		assert_int_equal(wr_config_load(config, NULL), WR_OK);
		if (!order)
			assert_int_equal(args("-p 4"), WR_OK);
		assert_int_equal(wr_config_int(config, "parallelism"), 4);
		assert_int_equal(wr_config_int(config, "workers"), 3);
		assert_int_equal(wr_config_int(config, "seed"), 2);
		assert_int_equal(wr_config_int(config, "buffer-size"), 32768);
	}
}

static void a_wrong_variable_names_itself(void **state)
{
	(void)state;
	setenv("WEIR_BUFFER_TIMEOUT", "soon", 1);
	refused(wr_config_load(config, NULL), "environment: WEIR_BUFFER_TIMEOUT=soon: not a duration: write "
					      "100us, 10ms, 5s, 2m, 1h30m, 1d or a number "
					      "of milliseconds");
}

static void an_unknown_variable_is_a_warning_and_an_empty_one_is_unset(void **state)
{
	static struct capture said;

	(void)state;
	setenv("WEIR_PARALELISM", "3", 1);
	setenv("WEIR_PARALLELISM", "", 1);
	setenv("WEIR", "3", 1);
	capture_begin(&said);
	assert_int_equal(wr_config_load(config, NULL), WR_OK);
	capture_end(&said);
	assert_non_null(strstr(said.text, "WEIR_PARALELISM"));
	assert_null(strchr(strchr(said.text, '\n') + 1, '\n'));
	assert_int_equal(wr_config_int(config, "parallelism"), 1);
	unsetenv("WEIR");
}

static void a_file_has_pairs_comments_and_blank_lines(void **state)
{
	(void)state;
	assert_int_equal(toml("# options of the shop\n\n"
			      "parallelism = 4   # half the cores\r\n"
			      "  buffer_timeout=\"10ms\"\n"
			      "\tlua-path = 'lib/\\?.lua' \n"
			      "unsafe = true\n"
			      "spin = false\n"
			      "seed = 1_000\n"
			      "config = \"a\\\"b\\\\c\\td#e\""),
			 WR_OK);
	assert_int_equal(wr_config_int(config, "parallelism"), 4);
	assert_int_equal(wr_config_int(config, "buffer-timeout"), 10000);
	assert_string_equal(wr_config_str(config, "lua-path"), "lib/\\?.lua");
	assert_true(wr_config_bool(config, "unsafe"));
	assert_false(wr_config_bool(config, "spin"));
	assert_int_equal(wr_config_int(config, "seed"), 1000);
	assert_string_equal(wr_config_str(config, "config"), "a\"b\\c\td#e");
	assert_int_equal(toml(""), WR_OK);
}

static void a_file_that_cannot_be_read_names_the_line(void **state)
{
	(void)state;
	refused(toml("seed = 1\n[job]\n"),
		"weir.toml:2: sections are not known here: write every key without one");
	refused(toml("\nbuffer_timout = 3\n"),
		"weir.toml:2: there is no option 'buffer_timout': did you mean 'buffer_timeout'?");
	refused(toml("wobble = 3\n"), "weir.toml:1: there is no option 'wobble'");
	refused(toml("workers = 3\nworkers = 4\n"),
		"weir.toml:2: workers = 4: was already set at weir.toml:1");
	refused(toml("\n\n\nparallelism = \"many\"\n"),
		"weir.toml:4: parallelism = many: not a whole number");
	refused(toml("parallelism\n"),
		"weir.toml:1: a line is \"key = value\", as in buffer_timeout = \"10ms\"");
	refused(toml("= 4\n"), "weir.toml:1: a line is \"key = value\", as in buffer_timeout = \"10ms\"");
	refused(toml("format = json\n"), "weir.toml:1: a value is a \"string\", a number, true or false");
	refused(toml("format = [\"json\"]\n"),
		"weir.toml:1: a value is a \"string\", a number, true or false");
	refused(toml("format = "), "weir.toml:1: a value is a \"string\", a number, true or false");
	refused(toml("format = \"json"), "weir.toml:1: this string does not end");
	refused(toml("format = \"json\n\""), "weir.toml:1: this string does not end");
	refused(toml("format = \"a\\qb\""),
		"weir.toml:1: this escape is not known: \\b \\t \\n \\f \\r \\\" \\\\ are");
	refused(toml("format = \"raw\" \"json\""), "weir.toml:1: one \"key = value\" a line is allowed");
	refused(toml("buffer_size = 1.5.5"),
		"weir.toml:1: buffer_size = 1.5.5: not a size: write 65536, 64k, 32 MiB or 1.5g");
}

/* Cut off, changed and random files: none may be read past its end (sanitizers) or end the process. */
static void no_file_does_harm(void **state)
{
	static const char text[] = "parallelism = 4 # x\nformat = \"ra\\\"w\"\nlua_path='a'\nunsafe = true\n";
	static struct wr_mem mem = WR_MEM_INIT("test.config");
	struct wr_rand r = {11};

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t len = wr_rand_below(&r, sizeof text);
		char *cut = wr_alloc(&mem, len);
		int rc;

		memcpy(cut, text, len);
		for (uint32_t i = wr_rand_below(&r, 4); i && len; i--)
			cut[wr_rand_below(&r, (uint32_t)len)] = (char)wr_rand_next(&r);
		wr_config_free(config);
		config = wr_config_new();
		rc = wr_config_toml(config, "x.toml", cut, len);
		assert_true(rc == WR_OK || rc == WR_EUSER);
		wr_free(&mem, cut);
	}
}

static void the_file_is_named_by_flag_or_found_in_the_folder(void **state)
{
	(void)state;
	write_file("weir.toml", "workers = 5\n");
	write_file("other.toml", "workers = 6\n");
	assert_int_equal(args("--config other.toml"), WR_OK);
	assert_int_equal(wr_config_load(config, NULL), WR_OK);
	assert_int_equal(wr_config_int(config, "workers"), 6);
	unlink("other.toml");
	refused(wr_config_load(config, "missing.toml"),
		"cannot read missing.toml: No such file or directory");
	refused(wr_config_load(config, "."), "cannot read .: Is a directory");
}

static void a_lua_file_is_left_to_the_script_layer(void **state)
{
	(void)state;
	write_file("weir.lua", "return {}");
	assert_int_equal(wr_config_load(config, NULL), WR_OK);
	assert_string_equal(wr_config_str(config, "config"), "weir.lua");
	assert_int_equal(wr_config_set(config, "buffer_timeout", "5ms", "weir.lua"), WR_OK);
	assert_int_equal(wr_config_int(config, "buffer-timeout"), 5000);
	refused(wr_config_set(config, "Wokers", "5", "weir.lua"),
		"weir.lua: there is no option 'Wokers': did you mean 'workers'?");
	refused(wr_config_set(config, "", "5", "weir.lua"), "weir.lua: there is no option ''");
	assert_int_equal(args("--config my.lua"), WR_OK);
	assert_int_equal(wr_config_load(config, NULL), WR_OK);
	assert_string_equal(wr_config_str(config, "config"), "my.lua");
}

static void a_file_without_end_is_refused(void **state)
{
	(void)state;
	refused(wr_config_load(config, "/dev/zero"), "/dev/zero is too long for a file of options");
}

/* ---- quantities ---- */

static void durations_have_units(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {{"0", 0},
		    {"10", 10000},
		    {"100us", 100},
		    {"10ms", 10000},
		    {"5s", 5000000},
		    {"2m", 120000000},
		    {"2min", 120000000},
		    {"1h30m", 5400000000},
		    {"1d", 86400000000},
		    {"0.5s", 500000},
		    {"1.5", 1500},
		    {"5 s", 5000000},
		    {"1h1s", 3601000000},
		    {"-1", -1},
		    {"1S", 1000000}};
	static const char *const bad[] = {"",
					  "s",
					  "-2",
					  "-1s",
					  "1x",
					  "1.",
					  ".5s",
					  "1 2",
					  "1h2",
					  "1.5us",
					  "5s ",
					  " 5s",
					  "1e3",
					  "9223372036854775807s",
					  "99999999999999999999",
					  "1.0000000001s"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		int64_t us = -7;

		if (wr_parse_duration(good[i].text, &us) != WR_OK || us != good[i].us)
			fail_msg("%s is %lld us", good[i].text, (long long)us);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t us = -7;

		if (wr_parse_duration(bad[i], &us) != WR_EUSER || us != -7)
			fail_msg("'%s' was accepted as %lld us", bad[i], (long long)us);
	}
}

static void sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {{"0", 0},		{"17", 17},	   {"17b", 17},
		    {"64k", 65536},	{"64KB", 65536},   {"1 GiB", 1 << 30},
		    {"1.5mb", 1572864}, {"2t", 2LL << 40}, {"0.5k", 512}};
	static const char *const bad[] = {
	    "", "k", "-1", "1x", "1k1", "1.5", "1 2", "9223372036854775807k", "64 kk"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		int64_t bytes = -7;

		if (wr_parse_bytes(good[i].text, &bytes) != WR_OK || bytes != good[i].bytes)
			fail_msg("%s is %lld bytes", good[i].text, (long long)bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t bytes = -7;

		if (wr_parse_bytes(bad[i], &bytes) != WR_EUSER || bytes != -7)
			fail_msg("'%s' was accepted as %lld bytes", bad[i], (long long)bytes);
	}
}

static const char *verb_name(int i)
{
	static const char *const verbs[] = {"run", "check", "graph", "doctor", "version", "help"};

	return verbs[i];
}

static void a_near_word_is_suggested_and_a_far_one_is_not(void **state)
{
	(void)state;
	assert_string_equal(wr_suggest("rnu", verb_name, 6), "run");
	assert_string_equal(wr_suggest("chekc", verb_name, 6), "check");
	assert_string_equal(wr_suggest("grahp", verb_name, 6), "graph");
	assert_string_equal(wr_suggest("verson", verb_name, 6), "version");
	assert_null(wr_suggest("dance", verb_name, 6));
	assert_null(wr_suggest("", verb_name, 6));
	assert_null(wr_suggest("a-word-that-is-longer-than-every-name-in-any-table-of-this-program-can-be",
			       verb_name, 6));
}

/* ---- texts ---- */

static void the_help_of_a_verb_names_its_options_in_80_columns(void **state)
{
	struct wr_bytes help = WR_BYTES_EMPTY;
	int lines = 0;

	(void)state;
	wr_config_help("run", &help);
	wr_bytes_put_u8(&help, 0);
	assert_non_null(strstr((char *)help.data, "  -p, --parallelism N       Subtasks of every"));
	assert_non_null(strstr((char *)help.data, "json|table|raw. Default: json."));
	assert_null(strstr((char *)help.data, "--explain "));
	for (const char *p = (char *)help.data; *p; p += strcspn(p, "\n") + 1, lines++)
		assert_true(strcspn(p, "\n") <= 82); /* bytes: an ellipsis has three for one column */
	assert_true(lines > 30);
	help.len = 0;
	wr_config_help(NULL, &help);
	wr_bytes_put_u8(&help, 0);
	assert_non_null(strstr((char *)help.data, "--explain "));
	wr_bytes_deinit(&help);
}

static void the_manual_has_every_option_and_no_bare_dash(void **state)
{
	struct wr_bytes man = WR_BYTES_EMPTY;
	int entries = 0;

	(void)state;
	wr_config_man(&man);
	wr_bytes_put_u8(&man, 0);
	for (const char *p = (char *)man.data; (p = strstr(p, ".TP\n")); p++)
		entries++;
	assert_int_equal(entries, wr_options_count);
	assert_non_null(strstr((char *)man.data, ".TP\n\\fB\\-p\\fR, \\fB\\-\\-parallelism\\fR \\fIN\\fR\n"));
	for (const char *p = strchr((char *)man.data, '-'); p; p = strchr(p + 1, '-'))
		assert_int_equal(p[-1], '\\');
	wr_bytes_deinit(&man);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
	(void)state;
	for (struct failing f = failing_begin(); failing_next(&f);) {
		struct wr_config *kept = config;
		int rc = WR_EFATAL;

		config = wr_config_new();
		if (config)
			rc = args("--format=raw --lua-path=x");
		if (rc == WR_OK)
			rc = toml("on_error = \"skip\"\nlua_path = \"y\"\n");
		wr_config_free(config);
		config = kept;
		failing_check(&f, rc == WR_OK);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(every_option_is_named_once_and_says_what_it_does),
	    TEST(defaults_are_there_before_anything_is_read),
	    TEST(flags_may_stand_before_and_behind_operands),
	    TEST(what_is_forgotten_is_as_if_nobody_had_said_it),
	    TEST(behind_two_dashes_all_are_operands),
	    TEST(a_flag_can_be_denied_and_the_last_one_counts),
	    TEST(a_wrong_flag_is_told_what_is_allowed),
	    TEST(a_verb_takes_only_its_own_flags),
	    TEST(flag_wins_over_environment_over_file_over_default_in_any_order),
	    TEST(a_wrong_variable_names_itself),
	    TEST(an_unknown_variable_is_a_warning_and_an_empty_one_is_unset),
	    TEST(a_file_has_pairs_comments_and_blank_lines),
	    TEST(a_file_that_cannot_be_read_names_the_line),
	    TEST(no_file_does_harm),
	    TEST(the_file_is_named_by_flag_or_found_in_the_folder),
	    TEST(a_lua_file_is_left_to_the_script_layer),
	    TEST(a_file_without_end_is_refused),
	    TEST(durations_have_units),
	    TEST(sizes_have_units),
	    TEST(a_near_word_is_suggested_and_a_far_one_is_not),
	    TEST(the_help_of_a_verb_names_its_options_in_80_columns),
	    TEST(the_manual_has_every_option_and_no_bare_dash),
	    TEST(a_refusal_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
