/* SPDX-License-Identifier: Apache-2.0 */
/* fault: named places that fail when they are told to. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "base/fault.h"

static void the_names_are_sorted_and_differ(void **state)
{
	int n = 0;

	(void)state;
	for (; wr_fault_name(n); n++)
		if (n)
			assert_true(strcmp(wr_fault_name(n - 1), wr_fault_name(n)) < 0);
	assert_true(n >= 5);
	assert_null(wr_fault_name(-1));
}

static void nothing_is_due_by_itself(void **state)
{
	(void)state;
	assert_int_equal(wr_fault_armed, 0);
	assert_false(WR_FAULT("file.read", NULL));
}

static void a_point_fails_once_at_its_nth_hit_with_its_errno(void **state)
{
	int err = 0;

	(void)state;
	assert_int_equal(wr_fault_set("file.read", 3, ENOSPC), WR_OK);
	assert_false(WR_FAULT("file.read", &err));
	assert_false(WR_FAULT("file.write", &err));
	assert_false(WR_FAULT("file.read", &err));
	assert_int_equal(err, 0);
	assert_true(WR_FAULT("file.read", &err));
	assert_int_equal(err, ENOSPC);
	assert_false(WR_FAULT("file.read", &err));
	assert_int_equal(wr_fault_armed, 0);
}

static void a_point_can_be_switched_off_and_set_anew(void **state)
{
	(void)state;
	wr_fault_set("file.open", 1, EIO);
	wr_fault_set("file.open", 2, EIO);
	assert_int_equal(wr_fault_armed, 1);
	wr_fault_set("file.open", 0, 0);
	assert_int_equal(wr_fault_armed, 0);
	assert_false(WR_FAULT("file.open", NULL));
}

static void a_list_sets_several_points(void **state)
{
	int err = 0;

	(void)state;
	assert_int_equal(wr_fault_parse("file.open,file.write:2=28,file.fsync=13"), WR_OK);
	assert_int_equal(wr_fault_armed, 3);
	assert_true(WR_FAULT("file.open", &err));
	assert_int_equal(err, EIO);
	assert_false(WR_FAULT("file.write", &err));
	assert_true(WR_FAULT("file.write", &err));
	assert_int_equal(err, ENOSPC);
	assert_true(WR_FAULT("file.fsync", &err));
	assert_int_equal(err, EACCES);
	assert_int_equal(wr_fault_parse(""), WR_OK);
}

static void a_list_that_cannot_be_read_is_the_users_error(void **state)
{
	const char *const bad[] = {
	    "file.nothing",  "file.open:",   "file.open:x", "file.open=", "file.open:1=x",
	    "file.open:1:1", "file.open:-1", "file.open 1", ",",	  "file.open:99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		wr_error_clear();
		if (wr_fault_parse(bad[i]) != WR_EUSER)
			fail_msg("'%s' was accepted", bad[i]);
		assert_true(wr_error_text()[0]);
	}
	assert_int_equal(wr_fault_set("file.nothing", 1, 0), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "unknown fault point 'file.nothing'; there are blob.open, "));
	assert_non_null(strstr(wr_error_text(), ", savepoint.write"));
	assert_int_equal(wr_fault_armed, 0);
}

static struct wr_fault_step seen(const char *path, const char *name)
{
	struct wr_fault_step step = {.passed = 0};
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	do
		assert_int_equal(fread(&step, sizeof step, 1, f), 1);
	while (strcmp(step.name, name));
	fclose(f);
	return step;
}

static void a_file_counts_the_steps_and_what_is_no_step_is_left_out(void **state)
{
	char path[64], spec[80];

	(void)state;
	snprintf(path, sizeof path, "%s/weir-steps-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
		 getpid());
	snprintf(spec, sizeof spec, "%s:1", path);
	assert_int_equal(wr_fault_show(spec), WR_OK);
	for (int i = 0; i < 3; i++)
		WR_CRASH_STEP("checkpoint.ack");
	assert_false(WR_FAULT("blob.sync", NULL));
	assert_false(WR_FAULT("mem.alloc", NULL));
	assert_int_equal(seen(path, "checkpoint.ack").passed, 3);
	assert_int_equal(seen(path, "checkpoint.ack").at, 0);
	assert_int_equal(seen(path, "blob.sync").passed, 1);
	assert_int_equal(seen(path, "mem.alloc").passed, 0);
	unlink(path);
}

static void what_cannot_be_read_or_made_is_refused(void **state)
{
	(void)state;
	assert_int_equal(wr_fault_show(":5"), WR_EUSER);
	assert_int_equal(wr_fault_show("file:"), WR_EUSER);
	assert_int_equal(wr_fault_show("file:5x"), WR_EUSER);
	assert_int_equal(wr_fault_show("/no/such/folder/file"), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "/no/such/folder/file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_names_are_sorted_and_differ),
	    cmocka_unit_test(nothing_is_due_by_itself),
	    cmocka_unit_test(a_point_fails_once_at_its_nth_hit_with_its_errno),
	    cmocka_unit_test(a_point_can_be_switched_off_and_set_anew),
	    cmocka_unit_test(a_list_sets_several_points),
	    cmocka_unit_test(a_list_that_cannot_be_read_is_the_users_error),
	    cmocka_unit_test(what_cannot_be_read_or_made_is_refused),
	    cmocka_unit_test(a_file_counts_the_steps_and_what_is_no_step_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
