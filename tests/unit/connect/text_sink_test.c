/* SPDX-License-Identifier: Apache-2.0 */
/* text_sink_test: rows leave as whole lines of the format that was asked for, into files. */
#include <errno.h>
#include "base/fault.h"
#include "unit/connect/outside.h"

static char *file_read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
	fclose(f);
	return text;
}

static void expect_file(const char *name, const char *wanted)
{
	char *text = file_read_all(in_folder(name));

	assert_string_equal(text, wanted);
	free(text);
}

static struct stand *file_sink(const char *name, const char *format, uint32_t subtask, uint32_t parallelism)
{
	struct stand *st = outside("file", subtask, parallelism, format);

	stand_options(st, "s:path", name, NULL);
	return st;
}

static void written_as(const char *format, void (*fill)(struct stand *st), const char *wanted)
{
	const char *path = in_folder("out");
	struct stand *st = file_sink(path, format, 0, 1);

	assert_int_equal(stand_open(st), WR_OK);
	fill(st);
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(finish(st), WR_OK);
	stand_free(st);
	expect_file("out", wanted);
}

static void some_rows(struct stand *st)
{
	put(st, WR_INSERT, 1, "one");
	put(st, WR_UPDATE_BEFORE, 1, "one");
	put(st, WR_UPDATE_AFTER, 20, "two, or more");
	put(st, WR_DELETE, 20, "\xc3\xa4");
	put_scalar(st, WR_INSERT, "plain");
	put_scalar(st, WR_DELETE, "plain");
}

static void test_json_says_what_kind_of_change_a_row_is(void **state)
{
	(void)state;
	written_as(
	    "json", some_rows,
	    "{\"n\":1,\"s\":\"one\"}\n{\"op\":\"-U\",\"n\":1,\"s\":\"one\"}\n"
	    "{\"op\":\"+U\",\"n\":20,\"s\":\"two, or more\"}\n{\"op\":\"-D\",\"n\":20,\"s\":\"\xc3\xa4\"}\n"
	    "\"plain\"\n{\"op\":\"-D\",\"value\":\"plain\"}\n");
}

static void test_raw_writes_the_text_alone(void **state)
{
	(void)state;
	written_as("raw", some_rows, "1\tone\n1\tone\n20\ttwo, or more\n20\t\xc3\xa4\nplain\nplain\n");
}

static void test_a_table_is_aligned_and_its_header_follows_the_fields(void **state)
{
	(void)state;
	written_as("table", some_rows,
		   "n  s\n-  ---\n1  one\n\n"
		   "op   n  s\n--  --  ------------\n-U   1  one\n+U  20  two, or more\n-D  20  \xc3\xa4\n\n"
		   "value\n-----\nplain\n\n"
		   "op  value\n--  -----\n-D  plain\n");
}

static void fitting_rows(struct stand *st)
{
	put(st, WR_INSERT, 1, "a,b");
	put(st, WR_INSERT, 2, "");
}

static void test_csv_has_a_header(void **state)
{
	(void)state;
	written_as("csv", fitting_rows, "n,s\n1,\"a,b\"\n2,\n");
}

static void test_a_row_that_fits_no_column_follows_on_error(void **state)
{
	struct stand *st = file_sink(in_folder("out"), "csv", 0, 1);

	(void)state;
	st->stage.on_error = WR_ON_ERROR_SKIP;
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "a");
	put_scalar(st, WR_INSERT, "x");
	put(st, WR_INSERT, 2, "b");
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(finish(st), WR_OK);
	assert_int_equal(wr_metric_get(&st->stats.skipped), 1);
	stand_free(st);
	expect_file("out", "n,s\n1,a\n2,b\n");
}

static void test_each_subtask_has_a_file(void **state)
{
	struct stand *st[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		st[i] = file_sink(in_folder("out"), "json", i, 2);
		assert_int_equal(stand_open(st[i]), WR_OK);
		put(st[i], WR_INSERT, i, "x");
		assert_int_equal(write_rows(st[i]), WR_OK);
		assert_int_equal(finish(st[i]), WR_OK);
		stand_free(st[i]);
	}
	expect_file("out.0", "{\"n\":0,\"s\":\"x\"}\n");
	expect_file("out.1", "{\"n\":1,\"s\":\"x\"}\n");
}

static void test_a_file_is_made_anew_or_appended_to(void **state)
{
	(void)state;
	for (int append = 0; append < 2; append++) {
		struct stand *st = file_sink(in_folder("out"), "raw", 0, 1);

		if (!append)
			file_text("out", "old\n");
		stand_options(st, "b:append", append, NULL);
		assert_int_equal(stand_open(st), WR_OK);
		put_scalar(st, WR_INSERT, "new");
		assert_int_equal(write_rows(st), WR_OK);
		assert_int_equal(finish(st), WR_OK);
		stand_free(st);
		expect_file("out", append ? "new\nnew\n" : "new\n");
	}
}

static void test_a_file_that_cannot_be_made_is_an_error(void **state)
{
	struct stand *st = file_sink("/nowhere/out", "json", 0, 1);

	(void)state;
	assert_int_equal(stand_open(st), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "/nowhere/out"));
	stand_free(st);
}

static void test_a_full_disk_is_an_error_of_the_job(void **state)
{
	struct stand *st = file_sink("/dev/full", "json", 0, 1);
	int rc;

	(void)state;
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	rc = write_rows(st);
	if (rc == WR_OK)
		rc = finish(st);
	assert_int_equal(rc, WR_EFATAL);
	assert_non_null(strstr(wr_error_text(), "cannot write /dev/full"));
	stand_free(st);
}

static void fault_fails_the_file(const char *fault, const char *wanted)
{
	struct stand *st = file_sink(in_folder("out"), "json", 0, 1);
	int rc;

	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	assert_int_equal(wr_fault_set(fault, 1, ENOSPC), WR_OK);
	rc = write_rows(st);
	if (rc == WR_OK)
		rc = finish(st);
	assert_int_equal(rc, WR_EFATAL);
	assert_non_null(strstr(wr_error_text(), wanted));
	stand_free(st);
}

static void test_a_write_or_sync_that_fails_is_an_error_of_the_job(void **state)
{
	(void)state;
	fault_fails_the_file("file.write", "cannot write ");
	fault_fails_the_file("file.fsync", "cannot sync ");
}

static void survives_refused_memory(const char *format)
{
	int rc = WR_EFATAL;

	for (int64_t n = 1; n < 100 && rc != WR_OK; n++) {
		struct stand *st = file_sink(in_folder("out"), format, 0, 1);

		put(st, WR_INSERT, 1, "a,b");
		put(st, WR_UPDATE_AFTER, 1, "a");
		wr_mem_fail_at(n);
		rc = stand_open(st);
		if (rc == WR_OK)
			rc = write_rows(st);
		if (rc == WR_OK)
			rc = finish(st);
		wr_mem_fail_at(0);
		assert_true(rc == WR_OK || rc == WR_EFATAL);
		stand_free(st);
	}
	assert_int_equal(rc, WR_OK);
}

static void test_sinks_survive_refused_memory(void **state)
{
	(void)state;
	survives_refused_memory("json");
	survives_refused_memory("csv");
	survives_refused_memory("table");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    OUTSIDE_TEST(test_json_says_what_kind_of_change_a_row_is),
	    OUTSIDE_TEST(test_raw_writes_the_text_alone),
	    OUTSIDE_TEST(test_a_table_is_aligned_and_its_header_follows_the_fields),
	    OUTSIDE_TEST(test_csv_has_a_header),
	    OUTSIDE_TEST(test_a_row_that_fits_no_column_follows_on_error),
	    OUTSIDE_TEST(test_each_subtask_has_a_file),
	    OUTSIDE_TEST(test_a_file_is_made_anew_or_appended_to),
	    OUTSIDE_TEST(test_a_file_that_cannot_be_made_is_an_error),
	    OUTSIDE_TEST(test_a_full_disk_is_an_error_of_the_job),
	    OUTSIDE_TEST(test_a_write_or_sync_that_fails_is_an_error_of_the_job),
	    OUTSIDE_TEST(test_sinks_survive_refused_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
