/* SPDX-License-Identifier: Apache-2.0 */
/* fault: named places that fail when they are told to. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_names_are_sorted_and_differ),
	    cmocka_unit_test(nothing_is_due_by_itself),
	    cmocka_unit_test(a_point_fails_once_at_its_nth_hit_with_its_errno),
	    cmocka_unit_test(a_point_can_be_switched_off_and_set_anew),
	    cmocka_unit_test(a_list_sets_several_points),
	    cmocka_unit_test(a_list_that_cannot_be_read_is_the_users_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
