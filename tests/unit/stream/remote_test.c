/* SPDX-License-Identifier: Apache-2.0 */
/* remote_test: what is said of servers is found by who looks, added up over subtasks, and told in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "stream/remote.h"

static const uint64_t SECOND = 1000000000;

static void words_are(const struct wr_remote_view *v, uint64_t now_ns, const char *expected)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	wr_remote_text(v, now_ns, &out);
	wr_bytes_put_u8(&out, 0);
	assert_string_equal((const char *)out.data, expected);
	wr_bytes_deinit(&out);
}

static void test_what_is_said_is_found_until_it_is_taken_away(void **state)
{
	_Atomic(struct wr_remote *) place = NULL;
	struct wr_remote_view v = {.splits = 4, .held = 1, .lag = 90, .lag_max = 60, .lag_of = "orders[3]"};
	struct wr_remote *r;

	(void)state;
	assert_false(wr_remote_of(&place, &v));
	r = wr_remote_attach(&place);
	assert_non_null(r);
	wr_remote_say_splits(r, &v);
	wr_remote_say_error(r, "first");
	wr_remote_say_error(r, "b:9092/1: refused");
	wr_remote_say_down(r, 5 * SECOND);
	v = (struct wr_remote_view){0};
	assert_true(wr_remote_of(&place, &v));
	assert_int_equal(v.splits, 4);
	assert_int_equal(v.errors, 2);
	words_are(
	    &v, 17 * SECOND + SECOND / 2,
	    "no broker for 12.5 s (b:9092/1: refused); 90 behind, 60 of them in orders[3]; 1 of 4 splits "
	    "held");
	wr_remote_say_down(r, 0);
	wr_remote_look(r, &v);
	words_are(&v, SECOND, "90 behind, 60 of them in orders[3]; 1 of 4 splits held; 2 connection errors");
	wr_remote_detach(&place);
	assert_false(wr_remote_of(&place, &v));
	wr_remote_detach(&place);
}

static void test_subtasks_are_added_up_and_the_worst_is_named(void **state)
{
	struct wr_remote_view sum = {0};
	const struct wr_remote_view parts[] = {
	    {.splits = 2, .lag = 10, .lag_max = 9, .lag_of = "a[0]", .errors = 1, .error = "one"},
	    {.splits = 3, .lag = 20, .lag_max = 11, .lag_of = "a[1]", .down_ns = 7 * SECOND, .error = "two"},
	    {.splits = 1, .held = 1, .down_ns = 6 * SECOND, .errors = 4, .error = "three"},
	};

	(void)state;
	words_are(&sum, SECOND, "");
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		wr_remote_add(&sum, &parts[i]);
	assert_int_equal(sum.splits, 6);
	assert_int_equal(sum.errors, 5);
	words_are(&sum, 8 * SECOND,
		  "no broker for 2.0 s (three); 30 behind, 11 of them in a[1]; 1 of 6 splits held");
}

static void test_long_words_are_cut(void **state)
{
	_Atomic(struct wr_remote *) place = NULL;
	struct wr_remote *r = wr_remote_attach(&place);
	struct wr_remote_view v;
	char words[500];

	(void)state;
	memset(words, 'x', sizeof words);
	words[sizeof words - 1] = 0;
	wr_remote_say_error(r, words);
	wr_remote_look(r, &v);
	assert_int_equal(strlen(v.error), WR_REMOTE_TEXT - 1);
	wr_remote_detach(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_said_is_found_until_it_is_taken_away),
	    cmocka_unit_test(test_subtasks_are_added_up_and_the_worst_is_named),
	    cmocka_unit_test(test_long_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
