/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator: rows C4 and C12 to C19 of the semantics, and random schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/rand.h"
#include "checkpoint/coordinator.h"

enum { EVERY = 100, PAUSE = 30, TIMEOUT = 50, OVERTAKE = 20 };

static struct wr_coordinator *c;

static void make_overtaking(uint32_t tasks, uint32_t tolerable, uint64_t overtake_ns)
{
	struct wr_coordinator_options o = {EVERY, PAUSE, TIMEOUT, overtake_ns, tolerable, tasks, 0};

	c = wr_coordinator_new(&o, 0);
}

static void make(uint32_t tasks, uint32_t tolerable)
{
	make_overtaking(tasks, tolerable, UINT64_MAX);
}

static void says(enum wr_coordinator_act act, uint64_t checkpoint)
{
	struct wr_coordinator_action a;

	assert_true(wr_coordinator_next(c, &a));
	assert_int_equal(a.act, act);
	assert_int_equal(a.checkpoint, checkpoint);
}

static void says_nothing(void)
{
	struct wr_coordinator_action a;

	assert_false(wr_coordinator_next(c, &a));
}

static void a_checkpoint_is_complete_when_all_have_acked_and_its_manifest_is_written(void **state)
{
	(void)state;
	make(2, 0);
	wr_coordinator_tick(c, EVERY - 1);
	says_nothing();
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_ack(c, 0, 1, EVERY + 1);
	wr_coordinator_ack(c, 0, 1, EVERY + 1); /* said twice counts once */
	says_nothing();
	wr_coordinator_ack(c, 1, 1, EVERY + 2);
	says(WR_COORDINATOR_PUBLISH, 1);
	says_nothing();
	wr_coordinator_published(c, 1, true, EVERY + 3);
	says(WR_COORDINATOR_COMPLETE, 1);
	says_nothing();
	wr_coordinator_tick(c, 2 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 2);
	wr_coordinator_ack(c, 0, 1, 2 * EVERY); /* of one that is over */
	wr_coordinator_ack(c, 1, 2, 2 * EVERY);
	says_nothing();
	wr_coordinator_free(c);
}

static void C4_a_task_that_has_ended_counts_as_one_that_acked(void **state)
{
	(void)state;
	make(2, 0);
	wr_coordinator_ended(c, 0, 1);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_ack(c, 1, 1, EVERY);
	says(WR_COORDINATOR_PUBLISH, 1);
	wr_coordinator_published(c, 1, true, EVERY);
	says(WR_COORDINATOR_COMPLETE, 1);
	wr_coordinator_ended(c, 1, EVERY + 1);
	wr_coordinator_tick(c, 10 * EVERY);
	says_nothing();
	wr_coordinator_free(c);
}

static void C12_what_is_asked_for_goes_before_a_periodic_one(void **state)
{
	struct wr_coordinator_action a;

	(void)state;
	make(1, 0);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_ask(c, EVERY);
	says_nothing();
	wr_coordinator_ack(c, 0, 1, EVERY);
	says(WR_COORDINATOR_PUBLISH, 1);
	wr_coordinator_published(c, 1, true, 5 * EVERY);
	says(WR_COORDINATOR_COMPLETE, 1);
	assert_true(wr_coordinator_next(c, &a));
	assert_int_equal(a.act, WR_COORDINATOR_TRIGGER);
	assert_true(a.asked);
	wr_coordinator_free(c);
}

static void C13_the_pause_is_counted_from_the_end_of_the_last(void **state)
{
	(void)state;
	make(1, 0);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_ack(c, 0, 1, EVERY);
	says(WR_COORDINATOR_PUBLISH, 1);
	wr_coordinator_published(c, 1, true, 2 * EVERY - 1);
	says(WR_COORDINATOR_COMPLETE, 1);
	assert_int_equal(wr_coordinator_deadline(c), 2 * EVERY - 1 + PAUSE);
	wr_coordinator_tick(c, 2 * EVERY - 2 + PAUSE);
	says_nothing();
	wr_coordinator_tick(c, 2 * EVERY - 1 + PAUSE);
	says(WR_COORDINATOR_TRIGGER, 2);
	wr_coordinator_free(c);
}

static void C18_the_first_of_a_run_waits_for_the_pause_as_well(void **state)
{
	struct wr_coordinator_options o = {.every_ns = EVERY,
					   .min_pause_ns = 3 * EVERY,
					   .timeout_ns = TIMEOUT,
					   .overtake_ns = UINT64_MAX,
					   .tasks = 1,
					   .last = 7};

	(void)state;
	c = wr_coordinator_new(&o, 1000);
	assert_int_equal(wr_coordinator_deadline(c), 1000 + 3 * EVERY);
	wr_coordinator_tick(c, 1000 + 3 * EVERY - 1);
	says_nothing();
	wr_coordinator_tick(c, 1000 + 3 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 8);
	wr_coordinator_free(c);
}

static void C15_a_checkpoint_that_comes_too_early_for_a_task_is_off_and_no_failure(void **state)
{
	(void)state;
	make(2, 0);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_defer(c, 7, EVERY);
	says_nothing();
	wr_coordinator_defer(c, 1, EVERY);
	wr_coordinator_defer(c, 1, EVERY);
	says(WR_COORDINATOR_ABORT, 1);
	says_nothing();
	wr_coordinator_tick(c, 2 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 2);
	wr_coordinator_free(c);
}

static void a_checkpoint_that_is_too_late_names_whom_it_waited_for(void **state)
{
	struct wr_coordinator_action a;

	(void)state;
	make(4, 1);
	wr_coordinator_ended(c, 0, 1);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_ack(c, 2, 1, EVERY);
	wr_coordinator_tick(c, EVERY + TIMEOUT);
	assert_true(wr_coordinator_next(c, &a));
	assert_int_equal(a.act, WR_COORDINATOR_ABORT);
	assert_int_equal(a.awaited, 2);
	assert_int_equal(a.task, 1);
	wr_coordinator_tick(c, 3 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 2);
	wr_coordinator_decline(c, 2, 2, 3 * EVERY);
	assert_true(wr_coordinator_next(c, &a));
	assert_int_equal(a.act, WR_COORDINATOR_ABORT);
	assert_int_equal(a.awaited, 0);
	wr_coordinator_free(c);
}

static void C16_failures_in_a_row_beyond_the_tolerable_fail_the_job(void **state)
{
	(void)state;
	make(1, 1);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_decline(c, 0, 1, EVERY);
	wr_coordinator_decline(c, 0, 1, EVERY); /* one checkpoint counts once */
	says(WR_COORDINATOR_ABORT, 1);
	says_nothing();
	wr_coordinator_tick(c, 2 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 2);
	wr_coordinator_ack(c, 0, 2, 2 * EVERY);
	says(WR_COORDINATOR_PUBLISH, 2);
	wr_coordinator_published(c, 2, true, 2 * EVERY); /* success resets */
	says(WR_COORDINATOR_COMPLETE, 2);
	wr_coordinator_tick(c, 3 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 3);
	wr_coordinator_tick(c, 3 * EVERY + TIMEOUT - 1);
	says_nothing();
	wr_coordinator_tick(c, 3 * EVERY + TIMEOUT);
	says(WR_COORDINATOR_ABORT, 3);
	says_nothing();
	wr_coordinator_tick(c, 4 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 4);
	wr_coordinator_ack(c, 0, 4, 4 * EVERY);
	says(WR_COORDINATOR_PUBLISH, 4);
	wr_coordinator_published(c, 4, false, 4 * EVERY);
	says(WR_COORDINATOR_ABORT, 4);
	says(WR_COORDINATOR_FAIL, 4);
	wr_coordinator_free(c);
}

static void a_late_ack_of_one_that_is_off_means_nothing(void **state)
{
	(void)state;
	make(2, 5);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	wr_coordinator_ack(c, 0, 1, EVERY);
	wr_coordinator_tick(c, EVERY + TIMEOUT);
	says(WR_COORDINATOR_ABORT, 1);
	wr_coordinator_ack(c, 1, 1, EVERY + TIMEOUT);
	says_nothing();
	wr_coordinator_free(c);
}

static void C8_barriers_overtake_when_the_checkpoint_takes_long_since_its_trigger(void **state)
{
	(void)state;
	make_overtaking(2, 0, OVERTAKE);
	wr_coordinator_tick(c, EVERY);
	says(WR_COORDINATOR_TRIGGER, 1);
	assert_int_equal(wr_coordinator_deadline(c), EVERY + OVERTAKE);
	wr_coordinator_ack(c, 0, 1, EVERY + 1); /* what has come so far does not matter */
	wr_coordinator_tick(c, EVERY + OVERTAKE - 1);
	says_nothing();
	wr_coordinator_tick(c, EVERY + OVERTAKE);
	says(WR_COORDINATOR_OVERTAKE, 1);
	assert_int_equal(wr_coordinator_deadline(c), EVERY + TIMEOUT);
	wr_coordinator_tick(c, EVERY + OVERTAKE + 1);
	says_nothing(); /* once a checkpoint */
	wr_coordinator_ack(c, 1, 1, EVERY + OVERTAKE + 1);
	says(WR_COORDINATOR_PUBLISH, 1);
	wr_coordinator_published(c, 1, true, EVERY + OVERTAKE + 2);
	says(WR_COORDINATOR_COMPLETE, 1);
	wr_coordinator_tick(c, 3 * EVERY);
	says(WR_COORDINATOR_TRIGGER, 2);
	wr_coordinator_ack(c, 0, 2, 3 * EVERY);
	wr_coordinator_ack(c, 1, 2, 3 * EVERY);
	says(WR_COORDINATOR_PUBLISH, 2);
	wr_coordinator_tick(c, 3 * EVERY + OVERTAKE);
	says_nothing(); /* all parts are there */
	wr_coordinator_free(c);
}

/* A checkpoint is published only when each task has said so of that very one, or has ended; numbers rise; one
 * is under way at a time, and every one that is triggered ends. */
static void one_schedule(uint64_t seed)
{
	struct wr_rand r = {seed};
	uint32_t tasks = 1 + (uint32_t)wr_rand_below(&r, 5);
	uint64_t acked[5] = {0}, pending = 0, publishing = 0, overtaken = 0, last = 0, now = 0;
	bool ended[5] = {false};

	make_overtaking(tasks, 1000, seed % 2 ? OVERTAKE : UINT64_MAX);
	for (int step = 0; step < 300; step++) {
		uint32_t task = (uint32_t)wr_rand_below(&r, tasks);
		struct wr_coordinator_action a;

		now += wr_rand_below(&r, 20);
		switch (wr_rand_below(&r, 8)) {
		case 0:
			if (!ended[task] && wr_rand_below(&r, 10) == 0) {
				ended[task] = true;
				wr_coordinator_ended(c, task, now);
			}
			break;
		case 1:
			wr_coordinator_decline(c, task, last - wr_rand_below(&r, 2), now);
			break;
		case 2:
			wr_coordinator_ask(c, now);
			break;
		case 3:
			if (publishing)
				wr_coordinator_published(c, publishing, wr_rand_below(&r, 4) > 0, now);
			publishing = 0;
			break;
		case 4:
			wr_coordinator_tick(c, now);
			break;
		default:
			if (!ended[task] && last) {
				uint64_t id = last - wr_rand_below(&r, 2);

				acked[task] = id > acked[task] ? id : acked[task];
				wr_coordinator_ack(c, task, id, now);
			}
		}
		while (wr_coordinator_next(c, &a)) {
			switch (a.act) {
			case WR_COORDINATOR_TRIGGER:
				assert_true(a.checkpoint > last && !pending);
				last = pending = a.checkpoint;
				break;
			case WR_COORDINATOR_OVERTAKE:
				assert_true(a.checkpoint == pending && !publishing && overtaken < pending);
				overtaken = pending;
				break;
			case WR_COORDINATOR_PUBLISH:
				assert_true(a.checkpoint == pending);
				for (uint32_t i = 0; i < tasks; i++)
					assert_true(ended[i] || acked[i] == pending);
				publishing = pending;
				break;
			case WR_COORDINATOR_COMPLETE:
			case WR_COORDINATOR_ABORT:
				assert_true(a.checkpoint == pending);
				pending = 0;
				break;
			case WR_COORDINATOR_FAIL:
				fail();
			}
		}
		assert_int_equal(wr_coordinator_pending(c), pending);
	}
	wr_coordinator_free(c);
}

static void random_schedules_publish_only_what_everybody_acked(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 5000; seed++)
		one_schedule(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_checkpoint_is_complete_when_all_have_acked_and_its_manifest_is_written),
	    cmocka_unit_test(C4_a_task_that_has_ended_counts_as_one_that_acked),
	    cmocka_unit_test(C12_what_is_asked_for_goes_before_a_periodic_one),
	    cmocka_unit_test(C13_the_pause_is_counted_from_the_end_of_the_last),
	    cmocka_unit_test(C18_the_first_of_a_run_waits_for_the_pause_as_well),
	    cmocka_unit_test(C15_a_checkpoint_that_comes_too_early_for_a_task_is_off_and_no_failure),
	    cmocka_unit_test(a_checkpoint_that_is_too_late_names_whom_it_waited_for),
	    cmocka_unit_test(C16_failures_in_a_row_beyond_the_tolerable_fail_the_job),
	    cmocka_unit_test(a_late_ack_of_one_that_is_off_means_nothing),
	    cmocka_unit_test(C8_barriers_overtake_when_the_checkpoint_takes_long_since_its_trigger),
	    cmocka_unit_test(random_schedules_publish_only_what_everybody_acked),
	};

	return cmocka_run_group_tests_name("coordinator", tests, NULL, NULL);
}
