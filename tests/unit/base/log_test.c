/* SPDX-License-Identifier: Apache-2.0 */
/* log: what lines look like, which are held back, and the live line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "support/capture.h"

static struct wr_clock clock_held;
static struct capture said;

static int setup(void **state)
{
	(void)state;
	wr_clock_manual_init(&clock_held, 0, 1763711400123); /* 2025-11-21T07:50:00.123Z */
	wr_log_set_clock(&clock_held);
	wr_log_setup(WR_LOG_INFO, false);
	wr_log_set_color(false);
	return 0;
}

static int count_of(const char *text, const char *part)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

static void a_line_has_time_level_topic_and_text(void **state)
{
	(void)state;
	capture_begin(&said);
	wr_info("files", "opened %s", "a.csv");
	wr_err("job", "stopped");
	assert_string_equal(capture_end(&said), "07:50:00.123 info  files: opened a.csv\n"
						"07:50:00.123 error job: stopped\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	capture_begin(&said);
	wr_debug("x", "no");
	wr_log_setup(WR_LOG_ERROR, false);
	wr_warn("x", "no");
	wr_err("x", "yes");
	wr_log_setup(WR_LOG_OFF, false);
	wr_err("x", "no");
	assert_string_equal(capture_end(&said), "07:50:00.123 error x: yes\n");
}

static void levels_are_known_by_name(void **state)
{
	(void)state;
	assert_int_equal(wr_log_level_parse("debug"), WR_LOG_DEBUG);
	assert_int_equal(wr_log_level_parse("warn"), WR_LOG_WARN);
	assert_int_equal(wr_log_level_parse("off"), WR_LOG_OFF);
	assert_int_equal(wr_log_level_parse("loud"), -1);
	assert_int_equal(wr_log_level_parse(""), -1);
}

static void a_line_for_programs_is_json(void **state)
{
	(void)state;
	wr_log_setup(WR_LOG_INFO, true);
	capture_begin(&said);
	wr_warn("csv", "bad \"row\"\n\x01 at \xff%d", 7);
	assert_string_equal(capture_end(&said),
			    "{\"time\":\"2025-11-21T07:50:00.123Z\",\"level\":\"warn\",\"topic\":\"csv\","
			    "\"text\":\"bad \\\"row\\\"\\n\\u0001 at \xef\xbf\xbd"
			    "7\"}\n");
}

static void colours_are_for_those_who_want_them(void **state)
{
	(void)state;
	wr_log_set_color(true);
	capture_begin(&said);
	wr_err("x", "red");
	wr_info("x", "plain");
	assert_string_equal(capture_end(&said), "\033[31m07:50:00.123 error x: red\033[0m\n"
						"07:50:00.123 info  x: plain\n");
}

static void storm(int lines)
{
	for (int i = 0; i < lines; i++)
		wr_warn("storm", "again");
}

static void a_site_writes_five_lines_a_second_and_counts_the_rest(void **state)
{
	(void)state;
	capture_begin(&said);
	storm(12);
	wr_warn("other", "site");
	wr_clock_advance(&clock_held, 1000000000);
	storm(2);
	capture_end(&said);
	assert_int_equal(count_of(said.text, "storm: "), 7);
	assert_int_equal(count_of(said.text, "other: site"), 1);
	assert_int_equal(
	    count_of(said.text, "07:50:01.123 warn  storm: (7 like this were held back) again\n"), 1);
	assert_int_equal(count_of(said.text, "held back"), 1);
}

static void json_counts_held_lines_too(void **state)
{
	static struct wr_log_site site;

	(void)state;
	wr_log_setup(WR_LOG_INFO, true);
	capture_begin(&said);
	for (int i = 0; i < 6; i++)
		wr_log_write(&site, WR_LOG_INFO, "t", "x");
	wr_clock_advance(&clock_held, 1000000000);
	wr_log_write(&site, WR_LOG_INFO, "t", "x");
	capture_end(&said);
	assert_int_equal(count_of(said.text, "\n"), 6);
	assert_int_equal(count_of(said.text, "\"held_back\":1,"), 1);
}

static void the_live_line_is_erased_before_a_line_and_drawn_again_behind_it(void **state)
{
	(void)state;
	capture_begin(&said);
	wr_log_set_live("17 rows/s");
	wr_info("x", "line");
	wr_log_set_live("18 rows/s");
	wr_log_set_live(NULL);
	wr_info("x", "line");
	assert_string_equal(capture_end(&said), "\r\033[K17 rows/s"
						"\r\033[K07:50:00.123 info  x: line\n17 rows/s"
						"\r\033[K18 rows/s"
						"\r\033[K"
						"07:50:00.123 info  x: line\n");
}

static void without_a_live_line_removing_it_writes_nothing(void **state)
{
	(void)state;
	capture_begin(&said);
	wr_log_set_live(NULL);
	assert_string_equal(capture_end(&said), "");
}

static void a_line_that_is_too_long_is_cut_but_ends(void **state)
{
	static char text[40000];
	size_t len;

	(void)state;
	memset(text, '"', sizeof text - 1);
	for (int json = 0; json < 2; json++) {
		wr_log_setup(WR_LOG_INFO, json);
		capture_begin(&said);
		wr_log_set_live("live");
		wr_info("x", "%s", text);
		wr_log_set_live(NULL);
		capture_end(&said);
		len = strcspn(said.text, "\n");
		assert_true(len > 4000 && len < 17000);
		assert_int_equal(count_of(said.text, "\n"), 1);
		assert_int_equal(count_of(said.text, "\"}\n"), json);
	}
}

static void *say_much(void *arg)
{
	for (int i = 0; i < 200; i++) {
		struct wr_log_site site = {0, 0, 0};

		wr_log_write(&site, WR_LOG_INFO, "thread", "<%s>", (const char *)arg);
	}
	return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
	static const char *const words[] = {"one one one one", "two two", "three three three three three",
					    "four"};
	pthread_t threads[4];
	int whole = 0;

	(void)state;
	capture_begin(&said);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, say_much, (void *)words[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	capture_end(&said);
	for (int i = 0; i < 4; i++) {
		char line[80];

		snprintf(line, sizeof line, "07:50:00.123 info  thread: <%s>\n", words[i]);
		whole += count_of(said.text, line);
	}
	assert_int_equal(whole, 800);
	assert_int_equal(count_of(said.text, "\n"), 800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_line_has_time_level_topic_and_text, setup),
	    cmocka_unit_test_setup(lines_below_the_level_are_not_written, setup),
	    cmocka_unit_test_setup(levels_are_known_by_name, setup),
	    cmocka_unit_test_setup(a_line_for_programs_is_json, setup),
	    cmocka_unit_test_setup(colours_are_for_those_who_want_them, setup),
	    cmocka_unit_test_setup(a_site_writes_five_lines_a_second_and_counts_the_rest, setup),
	    cmocka_unit_test_setup(json_counts_held_lines_too, setup),
	    cmocka_unit_test_setup(the_live_line_is_erased_before_a_line_and_drawn_again_behind_it, setup),
	    cmocka_unit_test_setup(without_a_live_line_removing_it_writes_nothing, setup),
	    cmocka_unit_test_setup(a_line_that_is_too_long_is_cut_but_ends, setup),
	    cmocka_unit_test_setup(threads_do_not_mix_their_lines, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
