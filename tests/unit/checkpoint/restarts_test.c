/* SPDX-License-Identifier: Apache-2.0 */
/* restarts: rows F1 to F4 of the semantics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "checkpoint/restarts.h"

enum { DELAY = 1000, INTERVAL = 100000, SEEDS = 200 };

static struct wr_restarts *r;
static uint64_t at;

static void make(enum wr_restart_strategy s, uint32_t attempts, uint64_t seed)
{
	struct wr_restart_options o = {s, attempts, DELAY, INTERVAL, seed};

	r = wr_restarts_new(&o);
	assert_non_null(r);
}

/* What is given or taken: a tenth, and never below the first delay. */
static void waits_about(uint64_t now, uint64_t delay)
{
	assert_in_range(at - now, delay * 9 / 10 < DELAY ? DELAY : delay * 9 / 10, delay * 11 / 10);
}

static void F1_none_without_checkpoints_and_exponential_with_them(void **state)
{
	(void)state;
	assert_int_equal(wr_restart_strategy(NULL, false), WR_RESTART_NONE);
	assert_int_equal(wr_restart_strategy(NULL, true), WR_RESTART_EXPONENTIAL);
	assert_int_equal(wr_restart_strategy("none", true), WR_RESTART_NONE);
	assert_int_equal(wr_restart_strategy("fixed", false), WR_RESTART_FIXED);
	assert_int_equal(wr_restart_strategy("exponential", false), WR_RESTART_EXPONENTIAL);
	assert_int_equal(wr_restart_strategy("rate", true), WR_RESTART_RATE);
	make(WR_RESTART_NONE, 5, 1);
	assert_false(wr_restarts_failed(r, 10, 1, &at));
	assert_int_equal(wr_restarts_count(r), 0);
	wr_restarts_free(r);
}

static void F2_the_delay_grows_by_half_within_a_tenth_up_to_the_longest(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t now = 0, delay = DELAY;

		make(WR_RESTART_EXPONENTIAL, 1000, seed);
		for (int i = 0; i < 100; i++) {
			assert_true(wr_restarts_failed(r, now, 0, &at));
			waits_about(now, delay);
			assert_true(at - now <= WR_RESTART_MAX_NS);
			delay += delay / 2;
			delay = delay < WR_RESTART_MAX_NS ? delay : WR_RESTART_MAX_NS;
			now = at;
		}
		assert_int_equal(delay, WR_RESTART_MAX_NS);
		wr_restarts_free(r);
	}
}

static void F2_the_same_seed_gives_the_same_delays_and_another_others(void **state)
{
	uint64_t ends[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		make(WR_RESTART_EXPONENTIAL, 20, i < 2 ? 7 : 8);
		at = 0;
		for (int k = 0; k < 20; k++)
			assert_true(wr_restarts_failed(r, at, 0, &at));
		ends[i] = at;
		wr_restarts_free(r);
	}
	assert_true(ends[0] == ends[1]);
	assert_false(ends[0] == ends[2]);
}

static void F2_failures_before_the_restart_count_as_one(void **state)
{
	uint64_t first;

	(void)state;
	make(WR_RESTART_EXPONENTIAL, 1, 1);
	assert_true(wr_restarts_failed(r, 50, 0, &first));
	assert_true(wr_restarts_failed(r, 51, 0, &at));
	assert_true(wr_restarts_failed(r, first - 1, 0, &at));
	assert_int_equal(at, first);
	assert_int_equal(wr_restarts_count(r), 1);
	assert_false(wr_restarts_failed(r, first, 0, &at));
	wr_restarts_free(r);
}

static void F2_the_count_begins_anew_after_the_interval_with_a_checkpoint(void **state)
{
	(void)state;
	make(WR_RESTART_EXPONENTIAL, 2, 1);
	assert_true(wr_restarts_failed(r, 0, 5, &at));
	assert_true(wr_restarts_failed(r, at, 5, &at));
	uint64_t now = at + INTERVAL;
	assert_true(wr_restarts_failed(r, now, 6, &at));
	waits_about(now, DELAY);
	assert_true(wr_restarts_failed(r, at, 6, &at));
	assert_false(wr_restarts_failed(r, at + INTERVAL - 1, 7, &at));
	wr_restarts_free(r);
}

static void F2_a_long_way_to_the_same_record_is_no_progress(void **state)
{
	(void)state;
	make(WR_RESTART_EXPONENTIAL, 3, 1);
	at = 0;
	for (int i = 0; i < 3; i++)
		assert_true(wr_restarts_failed(r, at + 10 * INTERVAL, 4, &at));
	assert_false(wr_restarts_failed(r, at + 10 * INTERVAL, 4, &at));
	assert_int_equal(wr_restarts_count(r), 3);
	wr_restarts_free(r);
}

static void F3_one_failure_more_than_allowed_within_the_interval_ends_the_job(void **state)
{
	(void)state;
	make(WR_RESTART_RATE, 2, 1);
	assert_true(wr_restarts_failed(r, 10, 0, &at));
	assert_int_equal(at, 10 + DELAY);
	assert_true(wr_restarts_failed(r, 5000, 0, &at));
	assert_false(wr_restarts_failed(r, 10 + INTERVAL, 0, &at));
	wr_restarts_free(r);
}

static void F3_is_allowed_again_once_the_oldest_is_older_than_the_interval(void **state)
{
	(void)state;
	make(WR_RESTART_RATE, 2, 1);
	assert_true(wr_restarts_failed(r, 10, 0, &at));
	assert_true(wr_restarts_failed(r, 5000, 0, &at));
	assert_true(wr_restarts_failed(r, 11 + INTERVAL, 0, &at));
	assert_false(wr_restarts_failed(r, 5000 + INTERVAL, 0, &at));
	wr_restarts_free(r);
}

static void F4_the_attempts_of_a_fixed_delay_are_never_given_back(void **state)
{
	(void)state;
	make(WR_RESTART_FIXED, 3, 1);
	for (uint64_t i = 0; i < 3; i++) {
		assert_true(wr_restarts_failed(r, i * 100 * INTERVAL, i, &at));
		assert_int_equal(at, i * 100 * INTERVAL + DELAY);
	}
	assert_false(wr_restarts_failed(r, 1000 * INTERVAL, 9, &at));
	assert_int_equal(wr_restarts_count(r), 3);
	wr_restarts_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(F1_none_without_checkpoints_and_exponential_with_them),
	    cmocka_unit_test(F2_the_delay_grows_by_half_within_a_tenth_up_to_the_longest),
	    cmocka_unit_test(F2_the_same_seed_gives_the_same_delays_and_another_others),
	    cmocka_unit_test(F2_failures_before_the_restart_count_as_one),
	    cmocka_unit_test(F2_the_count_begins_anew_after_the_interval_with_a_checkpoint),
	    cmocka_unit_test(F2_a_long_way_to_the_same_record_is_no_progress),
	    cmocka_unit_test(F3_one_failure_more_than_allowed_within_the_interval_ends_the_job),
	    cmocka_unit_test(F3_is_allowed_again_once_the_oldest_is_older_than_the_interval),
	    cmocka_unit_test(F4_the_attempts_of_a_fixed_delay_are_never_given_back),
	};

	return cmocka_run_group_tests_name("restarts", tests, NULL, NULL);
}
