/* SPDX-License-Identifier: Apache-2.0 */
/* watch_test: a file that comes into a folder is told once, when it is whole. */
#include "connect/watch.h"
#include "unit/connect/crew.h"

static char told[4096];

static int tell(void *arg, const char *path, uint64_t size)
{
	size_t n = strlen(told);

	(void)arg;
	snprintf(told + n, sizeof told - n, "%s:%d ", strrchr(path, '/') + 1, (int)size);
	return WR_OK;
}

/* What is new after `looks` looks. */
static const char *look(struct wr_watch *w, int looks)
{
	int64_t next_ms = 0;

	told[0] = 0;
	for (int i = 0; i < looks; i++) {
		assert_int_equal(wr_watch_look(w, tell, NULL, &next_ms), WR_OK);
		assert_true(next_ms > 0);
	}
	return told;
}

static struct wr_watch *watch(const char *pattern)
{
	struct wr_watch *w = wr_watch_new(1000);

	assert_non_null(w);
	assert_int_equal(wr_watch_add(w, in_folder(pattern)), WR_OK);
	return w;
}

static void test_files_that_lie_there_are_told_once(void **state)
{
	struct wr_watch *w;

	(void)state;
	file_text("b", "bb");
	file_text("a", "a");
	w = watch("");
	assert_string_equal(look(w, 1), "");
	assert_string_equal(look(w, 4), "a:1 b:2 ");
	assert_string_equal(look(w, 60), "");
	wr_watch_free(w);
}

static void test_a_file_is_told_when_its_writer_closes_it(void **state)
{
	struct wr_watch *w;
	FILE *f;

	(void)state;
	w = watch("");
	look(w, 10);
	f = fopen(in_folder("a"), "w");
	fputs("one", f);
	fflush(f);
	assert_string_equal(look(w, 100), "");
	fputs("two", f);
	fclose(f);
	assert_string_equal(look(w, 1), "a:6 ");
	assert_string_equal(look(w, 60), "");
	wr_watch_free(w);
}

static void test_a_file_is_told_when_it_is_moved_in(void **state)
{
	struct wr_watch *w;

	(void)state;
	file_text(".half", "x");
	w = watch("");
	look(w, 60);
	assert_int_equal(rename(in_folder(".half"), in_folder("whole")), 0);
	assert_string_equal(look(w, 1), "whole:1 ");
	assert_string_equal(look(w, 60), "");
	wr_watch_free(w);
}

static void test_a_file_that_is_renamed_or_appended_to_is_not_told_again(void **state)
{
	struct wr_watch *w;
	FILE *f;

	(void)state;
	w = watch("");
	file_text("a", "x");
	assert_string_equal(look(w, 1), "a:1 ");
	assert_int_equal(rename(in_folder("a"), in_folder("b")), 0);
	f = fopen(in_folder("b"), "a");
	fputs("more", f);
	fclose(f);
	assert_string_equal(look(w, 60), "");
	wr_watch_free(w);
}

/* Made first, as touch does, and written to later. */
static void test_an_empty_file_is_told_when_there_is_something_in_it(void **state)
{
	for (int scan_only = 0; scan_only < 2; scan_only++) {
		struct wr_watch *w;

		(void)state;
		w = watch("");
		if (scan_only)
			wr_watch_scan_only(w);
		file_text("a", "");
		assert_string_equal(look(w, 60), "");
		file_text("a", "one");
		assert_string_equal(look(w, 60), "a:3 ");
		assert_string_equal(look(w, 60), "");
		wr_watch_free(w);
		unlink(in_folder("a"));
	}
}

static void test_alternatives_in_braces_are_refused(void **state)
{
	struct wr_watch *w = wr_watch_new(1000);

	(void)state;
	assert_int_equal(wr_watch_add(w, in_folder("*.{json,csv}")), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "a path for each of the alternatives"));
	wr_watch_free(w);
}

static void test_a_file_that_is_gone_is_forgotten(void **state)
{
	struct wr_watch *w;

	(void)state;
	w = watch("");
	file_text("a", "x");
	assert_string_equal(look(w, 30), "a:1 ");
	unlink(in_folder("a"));
	assert_string_equal(look(w, 30), "");
	file_text("a", "xy");
	assert_string_equal(look(w, 30), "a:2 ");
	wr_watch_free(w);
}

static void test_a_file_that_takes_the_place_of_another_is_told(void **state)
{
	struct wr_watch *w;

	(void)state;
	w = watch("");
	file_text("a", "x");
	assert_string_equal(look(w, 30), "a:1 ");
	file_text(".new", "new");
	assert_int_equal(rename(in_folder(".new"), in_folder("a")), 0);
	assert_string_equal(look(w, 30), "a:3 ");
	wr_watch_free(w);
}

static void test_without_inotify_scans_find_what_no_longer_changes(void **state)
{
	struct wr_watch *w;
	FILE *f;

	(void)state;
	w = watch("");
	wr_watch_scan_only(w);
	look(w, 10);
	f = fopen(in_folder("a"), "w");
	for (int i = 0; i < 5; i++) {
		fputs("more", f);
		fflush(f);
		assert_string_equal(look(w, 20), "");
	}
	assert_string_equal(look(w, 20), "a:20 ");
	fclose(f);
	assert_string_equal(look(w, 60), "");
	wr_watch_free(w);
}

static void test_a_pattern_chooses_names(void **state)
{
	struct wr_watch *w;

	(void)state;
	w = watch("*.json");
	file_text("a.json", "x");
	file_text("a.txt", "x");
	file_text("_a.json", "x");
	assert_string_equal(look(w, 60), "a.json:1 ");
	wr_watch_free(w);
}

static void test_a_link_to_a_file_is_told_by_the_scan(void **state)
{
	struct wr_watch *w;

	(void)state;
	file_text(".hidden", "x");
	w = watch("");
	assert_int_equal(link(in_folder(".hidden"), in_folder("a")), 0);
	assert_string_equal(look(w, 60), "a:1 ");
	wr_watch_free(w);
}

static void test_a_folder_that_is_not_there_is_an_error(void **state)
{
	struct wr_watch *w = wr_watch_new(1000);

	(void)state;
	assert_int_equal(wr_watch_add(w, "/nowhere/at/all/*"), WR_EUSER);
	wr_watch_free(w);
}

static void test_many_files_are_each_told_once(void **state)
{
	struct wr_watch *w;
	char name[16];
	int count = 0;

	(void)state;
	w = watch("");
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "%03d", i);
		file_text(name, "x");
		if (i % 100 == 99)
			for (const char *p = look(w, 25); (p = strchr(p, ' ')); p++)
				count++;
	}
	assert_int_equal(count, 300);
	wr_watch_free(w);
}

static void watch_options(struct stand *st)
{
	stand_options(st, "s:path", folder, "b:watch", 1, NULL);
}

static void test_a_watching_source_reads_what_comes_and_does_not_end(void **state)
{
	struct crew *c = crew_new(2, watch_options, WR_ON_ERROR_FAIL);

	(void)state;
	assert_int_equal(crew_look(c), WR_OK);
	assert_true(c->next_ms > 0);
	assert_int_equal(crew_run(c), WR_AGAIN);
	file_text("a", "one\n");
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_AGAIN);
	assert_int_equal(c->stands[0]->out.rows + c->stands[1]->out.rows, 1);
	file_text("b", "two\nthree\n");
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_AGAIN);
	assert_int_equal(c->stands[0]->out.rows + c->stands[1]->out.rows, 3);
	crew_free(c);
}

static void test_a_watch_survives_refused_memory(void **state)
{
	bool complete = false;
	char name[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%03d", i);
		file_text(name, "x");
	}
	for (int64_t n = 1; n < 200 && !complete; n++) {
		struct wr_watch *w;
		int64_t next_ms;
		int rc = WR_EFATAL;

		told[0] = 0;
		wr_mem_fail_at(n);
		w = wr_watch_new(1000);
		if (w)
			rc = wr_watch_add(w, folder);
		for (int i = 0; i < 10 && rc == WR_OK; i++)
			rc = wr_watch_look(w, tell, NULL, &next_ms);
		wr_mem_fail_at(0);
		complete = rc == WR_OK;
		assert_true(rc == WR_OK || rc == WR_EFATAL);
		wr_watch_free(w);
	}
	assert_true(complete);
	assert_non_null(strstr(told, "099:1"));
}

#define WATCH_TEST(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WATCH_TEST(test_files_that_lie_there_are_told_once),
	    WATCH_TEST(test_a_file_is_told_when_its_writer_closes_it),
	    WATCH_TEST(test_a_file_is_told_when_it_is_moved_in),
	    WATCH_TEST(test_a_file_that_is_renamed_or_appended_to_is_not_told_again),
	    WATCH_TEST(test_an_empty_file_is_told_when_there_is_something_in_it),
	    WATCH_TEST(test_alternatives_in_braces_are_refused),
	    WATCH_TEST(test_a_file_that_is_gone_is_forgotten),
	    WATCH_TEST(test_a_file_that_takes_the_place_of_another_is_told),
	    WATCH_TEST(test_without_inotify_scans_find_what_no_longer_changes),
	    WATCH_TEST(test_a_pattern_chooses_names),
	    WATCH_TEST(test_a_link_to_a_file_is_told_by_the_scan),
	    WATCH_TEST(test_a_folder_that_is_not_there_is_an_error),
	    WATCH_TEST(test_many_files_are_each_told_once),
	    WATCH_TEST(test_a_watch_survives_refused_memory),
	    WATCH_TEST(test_a_watching_source_reads_what_comes_and_does_not_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
