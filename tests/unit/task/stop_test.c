/* SPDX-License-Identifier: Apache-2.0 */
/* stop: a task at the barrier behind which nothing is to happen (C27). */
#include "kit.h"

static int flush_stage(struct wr_stage *s)
{
	struct kit_stage *k = kit_of(s);

	if (k->unflushed) {
		k->unflushed--;
		return WR_AGAIN;
	}
	kit_log(k->kit, "%s:flushed ", k->name);
	return WR_OK;
}

/* What comes from outside is emitted. */
static int read_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	(void)payload, (void)len;
	kit_log(kit_of(s)->kit, "%s<%u ", kit_of(s)->name, type);
	return type == WR_LETTER_ANSWER ? kit_emit(s, -3, WR_TS_NONE) : WR_OK;
}

/* A sink that commits as long as `unflushed`. */
static int leave_stage(struct wr_stage *s)
{
	struct kit_stage *k = kit_of(s);

	kit_log(k->kit, "%s:leaves ", k->name);
	s->tick_ns = k->unflushed ? k->kit->clock.manual_ns + 1000 : UINT64_MAX;
	return k->unflushed ? WR_AGAIN : WR_OK;
}

static int tick_stage(struct wr_stage *s, uint64_t now_ns)
{
	(void)now_ns;
	kit_log(kit_of(s)->kit, "%s:tick ", kit_of(s)->name);
	kit_of(s)->unflushed--;
	return WR_OK;
}

static void post(struct kit *k, enum wr_letter_type type, uint32_t stage, int64_t checkpoint)
{
	struct wr_bytes payload = WR_BYTES_EMPTY;

	if (checkpoint)
		wr_value_put_i64(&payload, checkpoint);
	wr_task_post(k->task, wr_letter_new(type, (struct wr_address){0, 0, stage}, payload.data,
					    (uint32_t)payload.len));
	wr_bytes_deinit(&payload);
}

static struct kit *stopped(uint64_t options)
{
	struct kit *k = kit_new(1);

	k->barrier_options = options;
	k->stages[0].processing_timer = true;
	k->stages[0].timer_ms = 6000;
	for (uint32_t i = 0; i < 2; i++) {
		k->ops[i].letter = read_letter;
		k->ops[i].flush = flush_stage;
	}
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 2);
	if (options & WR_TRIGGER_DRAIN)
		kit_event(k, 0, WR_EV_IDLE, 0); /* holds event time back no more than one that ended */
	kit_event(k, 0, WR_EV_BARRIER, 1);
	return k;
}

static void C27_behind_the_last_barrier_no_timer_fires_and_nothing_is_read(void **state)
{
	struct kit *k = stopped(WR_TRIGGER_STOP);

	(void)state;
	kit_run(k);
	kit_expect_log(k, "a:1 a:2 b:1 b:2 a:flushed b:flushed ");
	kit_expect_out(k, "1 2 barrier=1 ");
	wr_clock_advance(&k->clock, 2000000000);
	kit_send(k, 0, 3, 3);
	post(k, WR_LETTER_ANSWER, 0, 0);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	assert_true(wr_task_deadline(k->task) == UINT64_MAX);
	kit_expect_log(k, "");
	kit_expect_out(k, "");
	kit_free(k);
}

static void a_stop_that_is_given_up_goes_on_with_all_that_came_meanwhile(void **state)
{
	struct kit *k = stopped(WR_TRIGGER_STOP);

	(void)state;
	kit_run(k);
	kit_expect_out(k, "1 2 barrier=1 ");
	wr_clock_advance(&k->clock, 2000000000);
	kit_send(k, 0, 3, 3);
	post(k, WR_LETTER_ANSWER, 0, 0);
	post(k, WR_LETTER_SPLITS, 1, 0);
	kit_run(k);
	k->log.len = 0;
	post(k, WR_LETTER_ABORT, 0, 1);
	post(k, WR_LETTER_NO_MORE, 1, 0);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_expect_log(k, "a<71 b<65 b<66 a:timer b:-3 b:-2 a:3 b:3 ");
	kit_expect_out(k, "-3 -2 3 ");
	kit_free(k);
}

static void letters_that_are_never_read_are_freed_with_the_task(void **state)
{
	struct kit *k = stopped(WR_TRIGGER_STOP);

	(void)state;
	kit_run(k);
	post(k, WR_LETTER_ANSWER, 0, 0);
	post(k, WR_LETTER_ANSWER, 1, 0);
	kit_run(k);
	kit_free(k);
}

static void C27_a_sink_has_flushed_before_the_barrier_passes_it(void **state)
{
	struct kit *k = stopped(WR_TRIGGER_STOP);

	(void)state;
	k->stages[1].unflushed = 1;
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	kit_expect_out(k, "1 2 ");
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_expect_out(k, "barrier=1 ");
	kit_free(k);
}

static void C27_a_task_ends_when_its_sinks_have_committed_what_the_last_checkpoint_covers(void **state)
{
	struct kit *k = stopped(WR_TRIGGER_STOP);

	(void)state;
	k->ops[1].leave = leave_stage;
	k->ops[1].tick = tick_stage;
	kit_run(k);
	post(k, WR_LETTER_DONE, 1, 0);
	kit_run(k);
	k->log.len = 0;
	k->stages[1].unflushed = 1;
	wr_clock_advance(&k->clock, 2000000000); /* timers are due */
	kit_send(k, 0, 3, 3);
	post(k, WR_LETTER_LEAVE, 0, 0);
	post(k, WR_LETTER_ANSWER, 0, 0);
	post(k, WR_LETTER_DONE, 1, 0);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	kit_expect_log(k, "b<72 b<72 b:leaves ");
	assert_true(wr_task_deadline(k->task) == k->clock.manual_ns + 1000);
	wr_clock_advance(&k->clock, 1000);
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	kit_expect_log(k, "b:tick b:leaves ");
	kit_free(k);
}

static void C27_with_drain_timers_fire_and_stages_end_before_the_barrier(void **state)
{
	struct kit *k = stopped(WR_TRIGGER_STOP | WR_TRIGGER_DRAIN);
	struct wr_bytes out = WR_BYTES_EMPTY;

	(void)state;
	k->stages[1].event_timer = true;
	k->stages[1].timer_ms = 9000;
	while (kit_run(k) == WR_STEP_BLOCKED)
		kit_drain_out(k, &out);
	kit_drain_out(k, &out);
	wr_bytes_put_u8(&out, 0);
	assert_string_equal((char *)out.data, "1 2 idle active -2 -1 barrier=1 ");
	wr_bytes_deinit(&out);
	kit_expect_log(k, "a:1 a:2 b:1 b:2 a:timer a:wm=max b:-2 b:wm=max a:end a:flushed b:end b:flushed ");
	post(k, WR_LETTER_ABORT, 0, 1);
	kit_send(k, 0, 3, 3);
	kit_run(k);
	kit_expect_log(k, "");
	kit_free(k);
}

/* Else what comes on the others, or on this one when the job goes on, would be late. */
static void C27_a_channel_that_is_drained_holds_event_time_back_until_all_are(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	k->barrier_options = WR_TRIGGER_STOP | WR_TRIGGER_DRAIN;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 9);
	kit_event(k, 1, WR_EV_WATERMARK, 5);
	kit_event(k, 1, WR_EV_BARRIER, 1);
	kit_run(k);
	kit_send(k, 0, 7, 7);
	kit_run(k);
	kit_expect_log(k, "a:wm=5 a:7 ");
	kit_event(k, 0, WR_EV_BARRIER, 1);
	kit_run(k);
	kit_expect_log(k, "a:wm=max a:end ");
	kit_free(k);
}

static void a_stop_that_was_given_up_and_is_still_under_way_stops_nothing(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_BARRIER, 2);
	kit_run(k);
	k->barrier_options = WR_TRIGGER_STOP;
	kit_event(k, 1, WR_EV_BARRIER, 1);
	kit_event(k, 1, WR_EV_END, 0);
	kit_run(k);
	kit_send(k, 0, 3, 3);
	kit_run(k);
	kit_expect_log(k, "a:3 ");
	kit_free(k);
}

static void an_ordinary_barrier_neither_flushes_nor_ends_anything(void **state)
{
	struct kit *k = stopped(0);

	(void)state;
	kit_run(k);
	kit_expect_out(k, "1 2 barrier=1 ");
	kit_send(k, 0, 3, 3);
	kit_run(k);
	kit_expect_log(k, "a:1 a:2 b:1 b:2 a:3 b:3 ");
	kit_expect_out(k, "3 ");
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(C27_behind_the_last_barrier_no_timer_fires_and_nothing_is_read),
	    cmocka_unit_test(a_stop_that_is_given_up_goes_on_with_all_that_came_meanwhile),
	    cmocka_unit_test(letters_that_are_never_read_are_freed_with_the_task),
	    cmocka_unit_test(C27_a_sink_has_flushed_before_the_barrier_passes_it),
	    cmocka_unit_test(C27_a_task_ends_when_its_sinks_have_committed_what_the_last_checkpoint_covers),
	    cmocka_unit_test(C27_with_drain_timers_fire_and_stages_end_before_the_barrier),
	    cmocka_unit_test(C27_a_channel_that_is_drained_holds_event_time_back_until_all_are),
	    cmocka_unit_test(a_stop_that_was_given_up_and_is_still_under_way_stops_nothing),
	    cmocka_unit_test(an_ordinary_barrier_neither_flushes_nor_ends_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
