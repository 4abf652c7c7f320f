/* SPDX-License-Identifier: Apache-2.0 */
/* collect_test: rows that stay in the process, until they are taken by name. */
#include "connect/collect.h"
#include "unit/connect/outside.h"

static void test_collected_rows_are_taken_by_name(void **state)
{
	struct stand *st = stand_new("collect", 0, 1);
	struct wr_bytes taken = WR_BYTES_EMPTY;
	size_t len;

	(void)state;
	stand_options(st, "s:name", "test", NULL);
	assert_int_equal(wr_collect_take("test", &taken), WR_END);
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	len = (size_t)(st->out.p - st->buffer);
	assert_int_equal(write_rows(st), WR_OK);
	stand_free(st);
	assert_int_equal(wr_collect_take("test", &taken), WR_OK);
	assert_int_equal(taken.len, len);
	assert_int_equal(wr_collect_take("test", &taken), WR_OK);
	assert_int_equal(taken.len, len);
	wr_bytes_deinit(&taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    OUTSIDE_TEST(test_collected_rows_are_taken_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
