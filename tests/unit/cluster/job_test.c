/* SPDX-License-Identifier: Apache-2.0 */
/* job: whole plans of native stages on real threads: nothing is lost, failures win, stopping drains. */
#include "unit/cluster/draft.h"

/* numbers → pass → tally over `partition`, with `p`, `q` and `r` subtasks. */
static struct draft pipeline(const char *partition, uint32_t p, uint32_t q, uint32_t r, int64_t count)
{
	return (struct draft){
	    .v = {{"numbers", p, 0, count, 0, NULL}, {"pass", q, 1, 0, 0, NULL}, {"tally", r, 1, 0, 0, NULL}},
	    .vertices = 3,
	    .e = {{0, 1, 0, partition}, {1, 2, 0, "hash"}},
	    .edges = 2};
}

static int64_t sum_of(uint32_t subtasks, int64_t count)
{
	int64_t sum = 0;

	for (int64_t i = 0; i < subtasks; i++)
		sum += count * (i * 1000000) + count * (count - 1) / 2;
	return sum;
}

static void every_partitioning_brings_every_row_once(void **state)
{
	static const char *const partitions[] = {"hash",    "rebalance", "rescale",
						 "shuffle", "global",	 "forward"};

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		for (uint32_t workers = 1; workers <= 3; workers++) {
			uint32_t q = i == 5 ? 3 : 2;
			struct draft d = pipeline(partitions[i], 3, q, 2, 20000);

			assert_int_equal(draft_run(&d, workers), WR_OK);
			assert_int_equal(draft_rows, 60000);
			assert_int_equal(draft_sum, sum_of(3, 20000));
			assert_int_equal(draft_ended, 2);
			assert_true(draft_per_subtask[0] > 20000 && draft_per_subtask[1] > 20000);
		}
}

static void p10_rescale_joins_each_subtask_with_its_share(void **state)
{
	struct draft d = {.v = {{"numbers", 2, 0, 100, 0, NULL}, {"tally", 4, 1, 0, 0, NULL}},
			  .vertices = 2,
			  .e = {{0, 1, 0, "rescale"}},
			  .edges = 1};

	(void)state;
	assert_int_equal(draft_run(&d, 2), WR_OK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(draft_per_subtask[i], 50);
}

static void broadcast_brings_every_row_to_every_subtask(void **state)
{
	struct draft d = {.v = {{"numbers", 2, 0, 5000, 0, NULL}, {"tally", 3, 1, 0, 0, NULL}},
			  .vertices = 2,
			  .e = {{0, 1, 0, "broadcast"}},
			  .edges = 1};

	(void)state;
	assert_int_equal(draft_run(&d, 2), WR_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(draft_per_subtask[i], 10000);
}

static void two_inputs_are_told_apart_and_a_union_is_one(void **state)
{
	struct draft d = {.v = {{"numbers", 2, 0, 1000, 0, NULL},
				{"numbers", 1, 0, 500, 0, NULL},
				{"tally", 2, 2, 0, 0, NULL}},
			  .vertices = 3,
			  .e = {{0, 2, 0, "rebalance"}, {1, 2, 1, "rebalance"}},
			  .edges = 2};

	(void)state;
	assert_int_equal(draft_run(&d, 2), WR_OK);
	assert_int_equal(draft_input[0], 2000);
	assert_int_equal(draft_input[1], 500);
	d.e[1].input = 0;
	assert_int_equal(draft_run(&d, 2), WR_OK);
	assert_int_equal(draft_input[0], 2500);
	assert_int_equal(draft_input[1], 0);
}

static void two_hundred_subtasks_on_two_threads_all_come_to_their_end(void **state)
{
	struct draft d = pipeline("rebalance", 50, 100, 50, 200);

	(void)state;
	assert_int_equal(draft_run(&d, 2), WR_OK);
	assert_int_equal(draft_rows, 10000);
	assert_int_equal(draft_sum, sum_of(50, 200));
	assert_int_equal(draft_ended, 50);
}

static void the_first_failure_stops_a_job_that_has_no_end(void **state)
{
	struct draft d = pipeline("forward", 2, 2, 2, -1);

	(void)state;
	d.v[1].fails_at = 1000777;
	assert_int_equal(draft_run(&d, 2), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "value 1000777 is not liked"));
	assert_non_null(strstr(wr_error_text(), "pass [2/2]"));
}

static void a_job_that_is_stopped_drains_in_order(void **state)
{
	struct draft d = pipeline("rebalance", 2, 2, 2, -1);

	(void)state;
	d.v[2].fails_at = 5000; /* tally: stops the job at this row */
	assert_int_equal(draft_run(&d, 2), WR_END);
	assert_int_equal(draft_ended, 2);
	assert_true(draft_rows >= 5000);
}

static void a_kind_that_nobody_has_is_an_error(void **state)
{
	struct draft d = pipeline("rebalance", 1, 1, 1, 1);
	struct wr_plan *p;
	struct wr_job_options o;

	(void)state;
	d.v[1].kind = "nonsense";
	p = draft_plan(&d);
	o = draft_options(p, 1);
	assert_null(wr_job_new(&o));
	assert_non_null(strstr(wr_error_text(), "no operator of kind 'nonsense'"));
	wr_plan_free(p);
}

static void buffers_beyond_the_bound_are_an_error_that_names_the_option(void **state)
{
	struct draft d = pipeline("rebalance", 4, 4, 4, 1);
	struct wr_plan *p = draft_plan(&d);
	struct wr_job_options o = draft_options(p, 1);

	(void)state;
	o.buffer_bytes_max = 10000;
	assert_null(wr_job_new(&o));
	assert_non_null(strstr(wr_error_text(), "--buffer-pool"));
	wr_plan_free(p);
}

static void a_job_without_memory_is_an_error_and_leaks_nothing(void **state)
{
	struct draft d = pipeline("hash", 2, 2, 2, 1);
	struct wr_plan *p = draft_plan(&d);
	struct wr_job_options o = draft_options(p, 2);

	(void)state;
	for (int64_t n = 1; n < 400; n++) {
		struct wr_job *j;

		wr_mem_fail_at(n);
		j = wr_job_new(&o);
		wr_mem_fail_at(0);
		if (j)
			wr_job_free(j);
		else
			assert_int_equal(wr_error_code(), WR_EFATAL);
	}
	wr_plan_free(p);
}

static void a_source_keeps_what_is_due_for_a_fourth_of_the_buffer_timeout_a_millisecond_at_most(void **state)
{
	static const struct {
		int64_t timeout_us;
		bool spin;
		uint64_t slack_ns;
	} cases[] = {{0, false, 0},	     {1000, false, 250000},
		     {4000, false, 1000000}, {100000, false, 1000000},
		     {-1, false, 1000000},   {1000, true, 0}};
	struct draft d = pipeline("rebalance", 1, 1, 1, 1);
	struct wr_plan *p = draft_plan(&d);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wr_job_options o = draft_options(p, 1);

		o.timeout_us = cases[i].timeout_us;
		o.spin = cases[i].spin;
		draft_slack_ns = 1;
		draft_job = wr_job_new(&o);
		assert_non_null(draft_job);
		assert_int_equal(wr_job_run(draft_job), WR_OK);
		wr_job_free(draft_job);
		assert_int_equal(draft_slack_ns, cases[i].slack_ns);
	}
	wr_plan_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_partitioning_brings_every_row_once),
	    cmocka_unit_test(p10_rescale_joins_each_subtask_with_its_share),
	    cmocka_unit_test(broadcast_brings_every_row_to_every_subtask),
	    cmocka_unit_test(two_inputs_are_told_apart_and_a_union_is_one),
	    cmocka_unit_test(two_hundred_subtasks_on_two_threads_all_come_to_their_end),
	    cmocka_unit_test(the_first_failure_stops_a_job_that_has_no_end),
	    cmocka_unit_test(a_job_that_is_stopped_drains_in_order),
	    cmocka_unit_test(a_kind_that_nobody_has_is_an_error),
	    cmocka_unit_test(buffers_beyond_the_bound_are_an_error_that_names_the_option),
	    cmocka_unit_test(
		a_source_keeps_what_is_due_for_a_fourth_of_the_buffer_timeout_a_millisecond_at_most),
	    cmocka_unit_test(a_job_without_memory_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
