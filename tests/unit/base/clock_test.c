/* SPDX-License-Identifier: Apache-2.0 */
/* clock: one that stands still, one that runs, and their texts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/clock.h"

static void a_manual_clock_stands_still(void **state)
{
	struct wr_clock c;

	(void)state;
	wr_clock_manual_init(&c, 5, 7);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(wr_clock_ns(&c), 5);
		assert_int_equal(wr_clock_ms(&c), 7);
	}
}

static void advancing_moves_both_times_and_loses_no_part_of_a_millisecond(void **state)
{
	struct wr_clock c;

	(void)state;
	wr_clock_manual_init(&c, 0, 1000);
	for (int i = 0; i < 10; i++)
		wr_clock_advance(&c, 250000);
	assert_int_equal(wr_clock_ns(&c), 2500000);
	assert_int_equal(wr_clock_ms(&c), 1002);
	wr_clock_advance(&c, 3600000000000);
	assert_int_equal(wr_clock_ms(&c), 3601002);
}

static void the_machine_never_goes_back(void **state)
{
	struct wr_clock *c = wr_clock_system();
	uint64_t before = wr_clock_ns(c);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t now = wr_clock_ns(c);

		assert_true(now >= before);
		before = now;
	}
	assert_true(wr_clock_ms(c) > 1600000000000);
}

static void text_of(int64_t ms, const char *expected)
{
	char text[WR_CLOCK_TEXT];

	wr_clock_text(ms, text);
	assert_string_equal(text, expected);
}

static void times_are_written_in_utc(void **state)
{
	(void)state;
	text_of(0, "1970-01-01T00:00:00.000Z");
	text_of(-1, "1969-12-31T23:59:59.999Z");
	text_of(-1000, "1969-12-31T23:59:59.000Z");
	text_of(951782400123, "2000-02-29T00:00:00.123Z");
	text_of(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void test_time_of_a_thread_grows_with_its_work(void **state)
{
	uint64_t before = wr_clock_thread_ns();

	(void)state;
	while (wr_clock_thread_ns() == before)
		;
	assert_true(wr_clock_thread_ns() > before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time_of_a_thread_grows_with_its_work),
	    cmocka_unit_test(a_manual_clock_stands_still),
	    cmocka_unit_test(advancing_moves_both_times_and_loses_no_part_of_a_millisecond),
	    cmocka_unit_test(the_machine_never_goes_back),
	    cmocka_unit_test(times_are_written_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
