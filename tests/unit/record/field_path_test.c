/* SPDX-License-Identifier: Apache-2.0 */
/* field_path_test: where a nested value stands, as messages say it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "record/field_path.h"

static void into_field(struct wr_field_path *at, const char *name)
{
	assert_true(wr_field_path_enter(at));
	wr_field_path_last(at)->name = (struct wr_str){name, (uint32_t)strlen(name)};
}

static void into_item(struct wr_field_path *at, int64_t item)
{
	assert_true(wr_field_path_enter(at));
	wr_field_path_last(at)->item = item;
}

static void test_the_value_as_a_whole_has_no_path(void **state)
{
	struct wr_field_path at = {0};
	char text[WR_FIELD_PATH_TEXT];

	(void)state;
	assert_string_equal(wr_field_path_text(&at, text), "");
}

static void test_fields_and_items_are_told_from_the_outside_in(void **state)
{
	struct wr_field_path at = {0};
	char text[WR_FIELD_PATH_TEXT];

	(void)state;
	into_field(&at, "order");
	into_field(&at, "items");
	into_item(&at, 3);
	into_field(&at, "price");
	assert_string_equal(wr_field_path_text(&at, text), "order.items[3].price");
	at.depth = 0;
	into_item(&at, INT64_MAX);
	into_field(&at, "a");
	assert_string_equal(wr_field_path_text(&at, text), "[9223372036854775807].a");
}

static void test_a_step_that_is_taken_again_remembers_nothing(void **state)
{
	struct wr_field_path at = {0};
	char text[WR_FIELD_PATH_TEXT];

	(void)state;
	into_field(&at, "a");
	at.depth--;
	assert_true(wr_field_path_enter(&at));
	assert_string_equal(wr_field_path_text(&at, text), "[0]");
}

static void test_a_path_that_is_too_long_is_cut(void **state)
{
	struct wr_field_path at = {0};
	char text[WR_FIELD_PATH_TEXT + 1], name[101];

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	text[WR_FIELD_PATH_TEXT] = 'x';
	for (int i = 0; i < 5; i++)
		into_field(&at, name);
	assert_int_equal(strlen(wr_field_path_text(&at, text)), WR_FIELD_PATH_TEXT - 1);
	assert_int_equal(text[WR_FIELD_PATH_TEXT], 'x');
}

static void test_nothing_is_entered_deeper_than_values_nest(void **state)
{
	struct wr_field_path at = {0};

	(void)state;
	for (int i = 0; i < WR_DEPTH_MAX; i++)
		into_item(&at, i);
	assert_false(wr_field_path_enter(&at));
	assert_int_equal(at.depth, WR_DEPTH_MAX);
	assert_int_equal(wr_field_path_last(&at)->item, WR_DEPTH_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_value_as_a_whole_has_no_path),
	    cmocka_unit_test(test_fields_and_items_are_told_from_the_outside_in),
	    cmocka_unit_test(test_a_step_that_is_taken_again_remembers_nothing),
	    cmocka_unit_test(test_a_path_that_is_too_long_is_cut),
	    cmocka_unit_test(test_nothing_is_entered_deeper_than_values_nest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
