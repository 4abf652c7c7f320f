/* SPDX-License-Identifier: Apache-2.0 */
/* sink_end: the last commits of a sink: how long they are tried, who ends that, and what is owed then. */
#include "commit/sink_priv.h"
#include "unit/commit/bench.h"

/* One epoch for each of `epochs` checkpoints, of which the last holds; the target refuses, by this code. */
static struct bench *left_by(uint64_t epochs, int refuses)
{
	struct bench *b = begun();

	target.refuses = refuses;
	for (uint64_t n = 1; n <= epochs; n++) {
		give(b, (int64_t)n, 2);
		barrier(b, n, NULL);
	}
	complete(b, epochs);
	return b;
}

static struct bench *left(uint64_t epochs)
{
	return left_by(epochs, WR_ETRANSIENT);
}

/* A commit may be under way. */
static void refuse_by(int code, uint32_t behind)
{
	pthread_mutex_lock(&target_mutex);
	target.refuses = code;
	target.takes = behind;
	pthread_mutex_unlock(&target_mutex);
}

/* All that is under way comes to its end. */
static int settle(struct bench *b)
{
	int rc = WR_OK;

	while (wr_sink_of(&b->stage)->c.busy)
		rc = hear(b, 1);
	return rc;
}

/* Asks again at each tick until this long is over, or the answer is another than WR_AGAIN; gives that. */
static int ask_for(struct bench *b, int (*ask)(struct wr_stage *s), uint64_t ns)
{
	uint64_t until = b->clock.manual_ns + ns;
	int rc = ask(&b->stage);

	while (rc == WR_AGAIN) {
		rc = settle(b);
		if (rc == WR_OK)
			rc = ask(&b->stage);
		if (rc != WR_AGAIN || b->stage.tick_ns > until)
			break;
		if (b->stage.tick_ns > b->clock.manual_ns)
			wr_clock_advance(&b->clock, (int64_t)(b->stage.tick_ns - b->clock.manual_ns));
		rc = ask(&b->stage);
	}
	return rc;
}

static void is_owed(const struct bench *b, uint64_t first, uint64_t last, uint64_t rows)
{
	struct wr_owed owed;

	assert_true(wr_sink_owes(&b->stage, &owed));
	assert_int_equal(owed.rows, rows);
	assert_true(owed.bytes > 0);
	assert_int_equal(owed.first, first);
	assert_int_equal(owed.last, last);
}

static void nothing_is_owed(const struct bench *b)
{
	struct wr_owed owed;

	assert_false(wr_sink_owes(&b->stage, &owed));
}

static void a_job_that_leaves_waits_until_the_target_is_back(void **state)
{
	struct bench *b = left(3);

	(void)state;
	assert_int_equal(ask_for(b, wr_sink_leave, PATIENCE_NS / 2), WR_AGAIN);
	target_has(0, 0);
	refuse_by(WR_OK, 0);
	assert_int_equal(ask_for(b, wr_sink_leave, PATIENCE_NS), WR_OK);
	target_has(6, 15);
	nothing_is_owed(b);
	bench_free(b);
}

static void what_it_gives_up_is_owed_and_no_failure(void **state)
{
	struct bench *b = left(3);
	uint64_t began = b->clock.manual_ns;
	struct wr_owed owed;

	(void)state;
	assert_int_equal(ask_for(b, wr_sink_leave, UINT64_MAX / 2), WR_OK);
	assert_int_equal(b->clock.manual_ns - began, PATIENCE_NS);
	is_owed(b, 1, 3, 6);
	wr_sink_owes(&b->stage, &owed);
	assert_string_equal(owed.why, "the target is away");
	bench_free(b);
	target_has(0, 0);
}

static void each_commit_has_as_much_time(void **state)
{
	struct bench *b = left(2);

	(void)state;
	assert_int_equal(ask_for(b, wr_sink_leave, PATIENCE_NS * 3 / 4), WR_AGAIN);
	refuse_by(WR_ETRANSIENT, 1);
	assert_int_equal(ask_for(b, wr_sink_leave, PATIENCE_NS * 3 / 4), WR_AGAIN);
	target_has(2, 3);
	assert_int_equal(ask_for(b, wr_sink_leave, PATIENCE_NS), WR_OK);
	is_owed(b, 2, 2, 2);
	bench_free(b);
}

static void what_is_refused_for_good_is_owed_at_once(void **state)
{
	struct bench *b = left_by(1, WR_EUSER);

	(void)state;
	assert_int_equal(wr_sink_leave(&b->stage), WR_AGAIN);
	settle(b);
	assert_int_equal(ask_for(b, wr_sink_leave, 0), WR_OK);
	is_owed(b, 1, 1, 2);
	bench_free(b);
}

static void who_interrupts_the_job_waits_for_no_further_try(void **state)
{
	struct bench *b = left(1);

	(void)state;
	assert_int_equal(ask_for(b, wr_sink_leave, 0), WR_AGAIN);
	atomic_store(&b->stops, 1);
	assert_int_equal(wr_sink_leave(&b->stage), WR_OK);
	is_owed(b, 1, 1, 2);
	bench_free(b);
}

static void a_job_that_has_failed_waits_for_the_outside_for_a_moment_only(void **state)
{
	struct bench *b = bench_new(0, 1, 0);

	(void)state;
	assert_int_equal(bench_open(b), WR_OK);
	assert_false(wr_sink_is_leaving(&b->stage));
	atomic_store(&b->failed, true);
	assert_true(wr_sink_is_leaving(&b->stage));
	bench_free(b);
}

static void a_job_that_is_cancelled_owes_what_is_not_committed_and_tries_nothing(void **state)
{
	struct bench *b = left(2);

	(void)state;
	settle(b);
	refuse_by(WR_OK, 0);
	nothing_is_owed(b);
	atomic_store(&b->stops, 2);
	is_owed(b, 1, 2, 4);
	bench_free(b);
	target_has(0, 0);
}

static void C28_at_the_end_of_the_input_what_is_given_up_fails_the_task(void **state)
{
	struct bench *b = left(1);
	uint64_t began = b->clock.manual_ns;

	(void)state;
	assert_int_equal(ask_for(b, wr_sink_end, UINT64_MAX / 2), WR_ETRANSIENT);
	assert_string_equal(wr_error_text(), "commit of epoch 1: the target is away");
	assert_int_equal(b->clock.manual_ns - began, PATIENCE_NS);
	is_owed(b, 1, 1, 2);
	bench_free(b);
}

static void what_no_checkpoint_covers_is_not_owed(void **state)
{
	struct bench *b = left(1);

	(void)state;
	give(b, 7, 1);
	barrier(b, 2, NULL);
	assert_int_equal(ask_for(b, wr_sink_leave, UINT64_MAX / 2), WR_OK);
	is_owed(b, 1, 1, 2);
	bench_free(b);
}

static void without_checkpoints_it_is_tried_as_any_other_commit(void **state)
{
	struct bench *b = bench_new(0, 1, 0);

	(void)state;
	b->env.durable = NULL;
	assert_int_equal(bench_open(b), WR_OK);
	target.refuses = WR_ETRANSIENT;
	give(b, 1, 10);
	assert_int_equal(ask_for(b, wr_sink_end, UINT64_MAX / 2), WR_ETRANSIENT);
	assert_int_equal(target.asked, 8);
	is_owed(b, 1, 1, 10);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BENCH_TEST(a_job_that_leaves_waits_until_the_target_is_back),
	    BENCH_TEST(what_it_gives_up_is_owed_and_no_failure),
	    BENCH_TEST(each_commit_has_as_much_time),
	    BENCH_TEST(what_is_refused_for_good_is_owed_at_once),
	    BENCH_TEST(who_interrupts_the_job_waits_for_no_further_try),
	    BENCH_TEST(a_job_that_has_failed_waits_for_the_outside_for_a_moment_only),
	    BENCH_TEST(a_job_that_is_cancelled_owes_what_is_not_committed_and_tries_nothing),
	    BENCH_TEST(C28_at_the_end_of_the_input_what_is_given_up_fails_the_task),
	    BENCH_TEST(what_no_checkpoint_covers_is_not_owed),
	    BENCH_TEST(without_checkpoints_it_is_tried_as_any_other_commit),
	};

	return cmocka_run_group_tests_name("sink_end", tests, NULL, NULL);
}
