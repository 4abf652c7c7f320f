/* SPDX-License-Identifier: Apache-2.0 */
/* sequence_test: the numbers, their sharing and their pace. */
#include "unit/connect/stand.h"

static void test_counts_from_one_number_to_another(void **state)
{
	struct stand *st = stand_new("sequence", 0, 1);

	(void)state;
	stand_options(st, "n:from", 3.0, "n:to", 6.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_END);
	assert_string_equal(stand_text(st), "3\n4\n5\n6\n");
	stand_free(st);
}

static void test_subtasks_share_the_numbers(void **state)
{
	char seen[10000] = {0};

	(void)state;
	for (uint32_t k = 0; k < 7; k++) {
		struct stand *st = stand_new("sequence", k, 7);
		char *text;

		stand_options(st, "n:count", 10000.0, NULL);
		assert_int_equal(stand_open(st), WR_OK);
		assert_int_equal(stand_run(st), WR_END);
		text = (char *)stand_text(st);
		while (*text) {
			seen[strtol(text, &text, 10)]++;
			text++;
		}
		stand_free(st);
	}
	for (int i = 0; i < 10000; i++)
		assert_int_equal(seen[i], 1);
}

static void test_an_empty_range_ends_at_once(void **state)
{
	struct stand *st = stand_new("sequence", 0, 1);

	(void)state;
	stand_options(st, "n:from", 5.0, "n:to", 4.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_END);
	assert_int_equal(st->out.rows, 0);
	stand_free(st);
}

static void test_a_rate_emits_each_number_when_it_is_due(void **state)
{
	struct stand *st = stand_new("sequence", 1, 2);
	uint64_t start;

	(void)state;
	stand_options(st, "n:rate", 1000.0, NULL);
	start = wr_clock_ns(&st->clock);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 0);
	assert_int_equal(st->stage.wake_ns, start + 1000000);
	wr_clock_advance(&st->clock, 999999);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 0);
	wr_clock_advance(&st->clock, 1);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_string_equal(stand_text(st), "1\n");
	assert_int_equal(st->stage.wake_ns, start + 3000000);
	stand_free(st);
}

static void test_numbers_that_are_due_within_the_slack_go_out_together(void **state)
{
	struct stand *st = stand_new("sequence", 0, 1);
	uint64_t start;

	(void)state;
	stand_options(st, "n:rate", 1000.0, NULL);
	st->env.slack_ns = 2500000;
	start = wr_clock_ns(&st->clock);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 1);
	assert_int_equal(st->stage.wake_ns, start + 2500000); /* not when the next one is due */
	wr_clock_advance(&st->clock, 2500000);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 3);
	wr_clock_advance(&st->clock, 997500000); /* held up: none is left out */
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 1001);
	stand_free(st);
}

static void test_a_rate_may_be_as_low_as_a_number_can_be(void **state)
{
	const double rates[] = {1e-9, 1e-300, 5e-324};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct stand *st = stand_new("sequence", 0, 1);

		stand_options(st, "n:rate", rates[i], NULL);
		assert_int_equal(stand_open(st), WR_OK);
		assert_int_equal(stand_run(st), WR_AGAIN);
		assert_string_equal(stand_text(st), "0\n");
		assert_true(st->stage.wake_ns > wr_clock_ns(&st->clock) + UINT64_C(1000000000000000000) - 1);
		stand_free(st);
	}
}

static void test_a_source_that_was_held_up_catches_up(void **state)
{
	struct stand *st = stand_new("sequence", 0, 1);

	(void)state;
	stand_options(st, "n:rate", 10000.0, "n:count", 100000.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 1);
	wr_clock_advance(&st->clock, 5000000000);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_int_equal(st->out.rows, 50001);
	wr_clock_advance(&st->clock, 5000000000);
	assert_int_equal(stand_run(st), WR_END);
	assert_int_equal(st->out.rows, 100000);
	stand_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counts_from_one_number_to_another),
	    cmocka_unit_test(test_subtasks_share_the_numbers),
	    cmocka_unit_test(test_an_empty_range_ends_at_once),
	    cmocka_unit_test(test_a_rate_emits_each_number_when_it_is_due),
	    cmocka_unit_test(test_numbers_that_are_due_within_the_slack_go_out_together),
	    cmocka_unit_test(test_a_rate_may_be_as_low_as_a_number_can_be),
	    cmocka_unit_test(test_a_source_that_was_held_up_catches_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
