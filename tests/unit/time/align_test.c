/* SPDX-License-Identifier: Apache-2.0 */
/* align: bounds of the members of groups, held against a naive model too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "record/element.h"
#include "time/align.h"

enum { MEMBERS = 7 };

static int64_t told[MEMBERS];
static int tells;

static void tell(void *arg, uint32_t member, int64_t allowed)
{
	(void)arg;
	told[member] = allowed;
	tells++;
}

static struct wr_align *group_of(int count, int64_t drift)
{
	struct wr_align *a = wr_align_new();

	for (int i = 0; i < count; i++) {
		assert_true(wr_align_add(a, "g", drift));
		told[i] = WR_TS_NONE;
	}
	tells = 0;
	return a;
}

static void K25_the_slowest_and_the_drift_bound_all(void **state)
{
	struct wr_align *a = group_of(2, 100);

	(void)state;
	wr_align_report(a, 0, 5000, tell, NULL);
	assert_int_equal(tells, 0); /* member 1 has not begun: nobody may go */
	wr_align_report(a, 1, 1000, tell, NULL);
	assert_int_equal(told[0], 1100);
	assert_int_equal(told[1], 1100);
	wr_align_report(a, 0, 6000, tell, NULL);
	assert_int_equal(tells, 2); /* the slowest is where it was */
	wr_align_free(a);
}

static void K25_idle_and_ended_members_hold_nobody_and_the_sum_saturates(void **state)
{
	struct wr_align *a = group_of(2, 100);

	(void)state;
	wr_align_report(a, 0, 5000, tell, NULL);
	wr_align_report(a, 1, WR_TS_MAX, tell, NULL);
	assert_int_equal(told[0], 5100);
	wr_align_report(a, 0, WR_TS_MAX - 7, tell, NULL);
	assert_int_equal(told[0], WR_TS_MAX);
	wr_align_report(a, 1, 10, tell, NULL); /* back from being idle, far behind */
	assert_int_equal(told[0], 110);
	wr_align_free(a);
}

static void groups_do_not_see_each_other_and_drifts_are_each_ones_own(void **state)
{
	struct wr_align *a = wr_align_new();

	(void)state;
	wr_align_add(a, "a", 10);
	wr_align_add(a, "b", 20);
	wr_align_add(a, "b", 30);
	wr_align_report(a, 0, 1, tell, NULL);
	assert_int_equal(told[0], 11);
	wr_align_report(a, 1, 100, tell, NULL);
	wr_align_report(a, 2, 200, tell, NULL);
	assert_int_equal(told[1], 120);
	assert_int_equal(told[2], 130);
	assert_int_equal(told[0], 11);
	wr_align_free(a);
}

static void whatever_is_reported_the_bounds_are_those_of_the_minimum(void **state)
{
	struct wr_rand rand = {7};
	int64_t at[MEMBERS];
	struct wr_align *a = group_of(MEMBERS, 50);

	(void)state;
	for (int i = 0; i < MEMBERS; i++)
		at[i] = WR_TS_NONE;
	for (int n = 0; n < 10000; n++) {
		uint32_t i = wr_rand_below(&rand, MEMBERS);
		int64_t min = WR_TS_MAX, expected;

		at[i] = wr_rand_below(&rand, 10) == 0 ? WR_TS_MAX : (int64_t)wr_rand_below(&rand, 1000);
		wr_align_report(a, i, at[i], tell, NULL);
		for (int k = 0; k < MEMBERS; k++)
			min = at[k] < min ? at[k] : min;
		expected = min == WR_TS_NONE || min == WR_TS_MAX ? min : min + 50;
		for (int k = 0; k < MEMBERS; k++)
			assert_int_equal(told[k], expected);
	}
	wr_align_free(a);
}

static void letters_about_time_are_read_back_and_others_refused(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	int64_t ms;

	(void)state;
	wr_time_put(&b, -5);
	assert_int_equal(wr_time_parse(b.data, (uint32_t)b.len, &ms), WR_OK);
	assert_int_equal(ms, -5);
	assert_int_equal(wr_time_parse(b.data, (uint32_t)b.len - 1, &ms), WR_EUSER);
	b.data[0] = 0;
	assert_int_equal(wr_time_parse(b.data, (uint32_t)b.len, &ms), WR_EUSER);
	wr_bytes_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(K25_the_slowest_and_the_drift_bound_all),
	    cmocka_unit_test(K25_idle_and_ended_members_hold_nobody_and_the_sum_saturates),
	    cmocka_unit_test(groups_do_not_see_each_other_and_drifts_are_each_ones_own),
	    cmocka_unit_test(whatever_is_reported_the_bounds_are_those_of_the_minimum),
	    cmocka_unit_test(letters_about_time_are_read_back_and_others_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
