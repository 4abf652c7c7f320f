/* SPDX-License-Identifier: Apache-2.0 */
/* error: the words of a failure, from where it is known to where it is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "base/error.h"

static void a_fresh_thread_has_no_error(void **state)
{
	(void)state;
	wr_error_clear();
	assert_string_equal(wr_error_text(), "");
	assert_int_equal(wr_error_code(), WR_OK);
}

static void setting_returns_the_code_and_drops_the_old_words(void **state)
{
	(void)state;
	assert_int_equal(wr_error_set(WR_EUSER, "old"), WR_EUSER);
	assert_int_equal(wr_error_set(WR_ETRANSIENT, "port %d", 80), WR_ETRANSIENT);
	assert_string_equal(wr_error_text(), "port 80");
	assert_int_equal(wr_error_code(), WR_ETRANSIENT);
}

static void wrapping_puts_the_cause_behind(void **state)
{
	(void)state;
	wr_error_set(WR_EUSER, "no such file");
	assert_int_equal(wr_error_wrap(WR_EUSER, "open %s", "a.csv"), WR_EUSER);
	assert_int_equal(wr_error_wrap(WR_EFATAL, "start"), WR_EFATAL);
	assert_string_equal(wr_error_text(), "start: open a.csv: no such file");
	assert_int_equal(wr_error_code(), WR_EFATAL);
}

static void wrapping_nothing_is_setting(void **state)
{
	(void)state;
	wr_error_clear();
	wr_error_wrap(WR_EUSER, "alone");
	assert_string_equal(wr_error_text(), "alone");
}

static void the_old_text_may_be_an_argument(void **state)
{
	(void)state;
	wr_error_set(WR_EUSER, "inner");
	wr_error_set(WR_EUSER, "before %s behind", wr_error_text());
	assert_string_equal(wr_error_text(), "before inner behind");
	wr_error_wrap(WR_EUSER, "(%s)", wr_error_text());
	assert_string_equal(wr_error_text(), "(before inner behind): before inner behind");
}

static void a_chain_that_is_too_long_keeps_its_front(void **state)
{
	(void)state;
	wr_error_set(WR_EUSER, "cause");
	for (int i = 0; i < 5000; i++)
		wr_error_wrap(WR_EUSER, "step %d", i);
	assert_int_equal(strncmp(wr_error_text(), "step 4999: step 4998: ", 22), 0);
	assert_true(strlen(wr_error_text()) > 1000);
}

static void memory_says_bytes_and_holder(void **state)
{
	(void)state;
	assert_int_equal(wr_error_nomem(42, "tables"), WR_EFATAL);
	assert_string_equal(wr_error_text(), "out of memory (42 bytes for tables)");
	wr_error_nomem(0, "a library");
	assert_string_equal(wr_error_text(), "out of memory (for a library)");
}

static void *other_thread(void *arg)
{
	int *ok = arg;

	*ok = wr_error_text()[0] == 0 && wr_error_code() == WR_OK;
	wr_error_set(WR_EBUG, "theirs");
	return NULL;
}

static void threads_do_not_see_each_other(void **state)
{
	pthread_t t;
	int ok = 0;

	(void)state;
	wr_error_set(WR_EUSER, "ours");
	assert_int_equal(pthread_create(&t, NULL, other_thread, &ok), 0);
	pthread_join(t, NULL);
	assert_true(ok);
	assert_string_equal(wr_error_text(), "ours");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_fresh_thread_has_no_error),
	    cmocka_unit_test(setting_returns_the_code_and_drops_the_old_words),
	    cmocka_unit_test(wrapping_puts_the_cause_behind),
	    cmocka_unit_test(wrapping_nothing_is_setting),
	    cmocka_unit_test(the_old_text_may_be_an_argument),
	    cmocka_unit_test(a_chain_that_is_too_long_keeps_its_front),
	    cmocka_unit_test(memory_says_bytes_and_holder),
	    cmocka_unit_test(threads_do_not_see_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
