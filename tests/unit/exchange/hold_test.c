/* SPDX-License-Identifier: Apache-2.0 */
/* hold: who keeps a minimum back, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "exchange/hold.h"
#include "record/element.h"

static struct wr_hold_part parts[3];

static struct wr_hold three(void)
{
	struct wr_hold h;

	wr_hold_init(&h, parts, 3);
	return h;
}

static void the_lowest_holds_from_the_moment_another_is_ahead(void **state)
{
	struct wr_hold h = three();

	(void)state;
	assert_int_equal(wr_metric_get(&h.holder), -1);
	wr_hold_set(&h, 0, 10, false, 100);
	assert_int_equal(wr_metric_get(&h.holder), 1); /* of two that said nothing, the first */
	wr_hold_set(&h, 1, 20, false, 150);
	wr_hold_set(&h, 2, 30, false, 160);
	assert_int_equal(wr_metric_get(&h.holder), 0);
	wr_hold_set(&h, 0, 25, false, 260);
	assert_int_equal(wr_metric_get(&h.holder), 1);
	assert_int_equal(wr_hold_ns(&h, 0, 300), 100);
	assert_int_equal(wr_hold_ns(&h, 1, 300), 50 + 40);
	assert_int_equal(wr_hold_ns(&h, 2, 300), 10);
}

static void nobody_holds_where_all_are_level(void **state)
{
	struct wr_hold h = three();

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		wr_hold_set(&h, i, 10, false, 100);
	assert_int_equal(wr_metric_get(&h.holder), -1);
}

static void idle_parts_and_those_at_the_end_neither_hold_nor_wait(void **state)
{
	struct wr_hold h = three();

	(void)state;
	wr_hold_set(&h, 0, 10, true, 100);
	wr_hold_set(&h, 1, 20, false, 100);
	wr_hold_set(&h, 2, WR_TS_MAX, false, 100);
	assert_int_equal(wr_metric_get(&h.holder), -1);
	wr_hold_set(&h, 0, 10, false, 200);
	assert_int_equal(wr_metric_get(&h.holder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_lowest_holds_from_the_moment_another_is_ahead),
	    cmocka_unit_test(nobody_holds_where_all_are_level),
	    cmocka_unit_test(idle_parts_and_those_at_the_end_neither_hold_nor_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
