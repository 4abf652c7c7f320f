/* SPDX-License-Identifier: Apache-2.0 */
/* combine: rows K11 to K13 of the semantics. */
#include "exchange/combine.h"
#include "unit/exchange/kit.h"

static struct wr_combine_part parts[16];
static struct wr_combine c;

static void with_parts(uint32_t count)
{
	wr_combine_init(&c, parts);
	while (count--)
		wr_combine_add(&c);
}

static void K11_combined_is_the_minimum_over_parts_that_are_not_idle(void **state)
{
	(void)state;
	with_parts(3);
	assert_false(wr_combine_watermark(&c, 0, 10));
	assert_false(wr_combine_watermark(&c, 1, 7));
	assert_true(wr_combine_watermark(&c, 2, 5));
	assert_int_equal(c.watermark, 5);
	assert_true(wr_combine_idle(&c, 2, true));
	assert_int_equal(c.watermark, 7);
	assert_false(c.idle);
}

static void K11_when_all_are_idle_it_is_the_maximum_over_all(void **state)
{
	(void)state;
	with_parts(2);
	wr_combine_watermark(&c, 0, 10);
	wr_combine_watermark(&c, 1, 5);
	assert_false(wr_combine_idle(&c, 0, true));
	assert_true(wr_combine_idle(&c, 1, true));
	assert_int_equal(c.watermark, 10);
	assert_true(c.idle);
}

static void K11_it_never_decreases(void **state)
{
	(void)state;
	with_parts(2);
	wr_combine_watermark(&c, 0, 10);
	wr_combine_watermark(&c, 1, 5);
	wr_combine_idle(&c, 1, true);
	assert_int_equal(c.watermark, 10);
	assert_false(wr_combine_idle(&c, 1, false));
	assert_false(wr_combine_watermark(&c, 0, 20));
	assert_false(wr_combine_watermark(&c, 1, 10));
	assert_true(wr_combine_watermark(&c, 1, 12));
	assert_int_equal(c.watermark, 12);
	assert_false(wr_combine_watermark(&c, 1, 3));
	assert_int_equal(parts[1].watermark, 12);
}

static void K11_without_parts_nothing_is_emitted(void **state)
{
	(void)state;
	with_parts(1);
	wr_combine_watermark(&c, 0, 10);
	assert_false(wr_combine_remove(&c, 0));
	assert_int_equal(c.watermark, 10);
}

static void K12_a_part_that_says_a_watermark_is_active(void **state)
{
	(void)state;
	with_parts(2);
	wr_combine_idle(&c, 0, true);
	wr_combine_idle(&c, 1, true);
	assert_true(c.idle);
	assert_true(wr_combine_watermark(&c, 1, 4));
	assert_false(c.idle);
	assert_false(parts[1].idle);
	assert_int_equal(c.watermark, 4);
}

static void K13_a_new_part_holds_the_others_until_it_speaks_or_idles(void **state)
{
	(void)state;
	with_parts(1);
	assert_true(wr_combine_watermark(&c, 0, 10));
	wr_combine_add(&c);
	assert_false(wr_combine_watermark(&c, 0, 20));
	assert_true(wr_combine_watermark(&c, 1, 15));
	assert_int_equal(c.watermark, 15);
	wr_combine_add(&c);
	assert_false(wr_combine_watermark(&c, 1, 30));
	assert_true(wr_combine_idle(&c, 2, true));
	assert_int_equal(c.watermark, 20);
}

static void a_part_that_goes_frees_the_others(void **state)
{
	(void)state;
	with_parts(3);
	wr_combine_watermark(&c, 1, 10);
	wr_combine_watermark(&c, 2, 20);
	assert_true(wr_combine_remove(&c, 0)); /* 2 is called 0 now */
	assert_int_equal(c.watermark, 10);
	assert_false(wr_combine_watermark(&c, 0, 21));
	assert_true(wr_combine_remove(&c, 1));
	assert_int_equal(c.watermark, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(K11_combined_is_the_minimum_over_parts_that_are_not_idle),
	    cmocka_unit_test(K11_when_all_are_idle_it_is_the_maximum_over_all),
	    cmocka_unit_test(K11_it_never_decreases),
	    cmocka_unit_test(K11_without_parts_nothing_is_emitted),
	    cmocka_unit_test(K12_a_part_that_says_a_watermark_is_active),
	    cmocka_unit_test(K13_a_new_part_holds_the_others_until_it_speaks_or_idles),
	    cmocka_unit_test(a_part_that_goes_frees_the_others),
	};

	return cmocka_run_group_tests_name("combine", tests, NULL, NULL);
}
