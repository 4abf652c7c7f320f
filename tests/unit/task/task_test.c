/* SPDX-License-Identifier: Apache-2.0 */
/* task: what a step does, in which order, and what it does when it cannot. */
#include <semaphore.h>
#include "state/backend.h"
#include "unit/task/kit.h"

static void rows_go_through_all_stages_and_out(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	kit_start(k, 3, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 3);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_expect_log(k, "a:1 a:2 a:3 b:1 b:2 b:3 c:1 c:2 c:3 ");
	kit_expect_out(k, "1 2 3 ");
	kit_free(k);
}

static void k23_rows_of_timers_precede_the_watermark(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].event_timer = true;
	k->stages[0].timer_ms = 4;
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 2);
	kit_event(k, 0, WR_EV_WATERMARK, 5);
	kit_run(k);
	kit_expect_log(k, "a:1 a:2 b:1 b:2 a:wm=5 b:-1 b:wm=5 ");
	kit_expect_out(k, "1 2 -1 wm=5 ");
	kit_free(k);
}

static void k3_a_watermark_that_does_not_rise_is_not_sent(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 5);
	kit_event(k, 0, WR_EV_WATERMARK, 5);
	kit_event(k, 0, WR_EV_WATERMARK, 4);
	kit_event(k, 0, WR_EV_WATERMARK, 6);
	kit_run(k);
	kit_expect_out(k, "wm=5 wm=6 ");
	kit_free(k);
}

static void k5_a_stage_with_its_own_time_lets_only_the_last_watermark_pass(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->ops[0].own_time = true;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 5);
	kit_event(k, 0, WR_EV_IDLE, 0);
	kit_event(k, 0, WR_EV_ACTIVE, 0);
	kit_event(k, 0, WR_EV_END, 0);
	kit_run(k);
	kit_expect_out(k, "end ");
	kit_free(k);
}

static void the_watermark_is_the_lowest_of_the_inputs(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 9);
	kit_run(k);
	kit_expect_out(k, "");
	kit_event(k, 1, WR_EV_WATERMARK, 4);
	kit_run(k);
	kit_expect_out(k, "wm=4 ");
	kit_event(k, 1, WR_EV_IDLE, 0);
	kit_run(k);
	kit_expect_out(k, "wm=9 ");
	kit_free(k);
}

static void i13_processing_timers_fire_before_the_last_watermark(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].processing_timer = true;
	k->stages[0].timer_ms = 1000000;
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 1);
	kit_event(k, 0, WR_EV_END, 0);
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	kit_expect_log(k, "a:1 b:1 a:timer a:wm=max b:-2 b:wm=max a:end b:end ");
	kit_expect_out(k, "1 -2 end ");
	assert_int_equal(wr_task_step(k->task), WR_STEP_DONE);
	kit_free(k);
}

static void a_processing_timer_sets_the_deadline_and_fires_then(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].processing_timer = true;
	k->stages[0].timer_ms = 5003;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	assert_int_equal(wr_task_deadline(k->task), 1000000000u + 3000000u);
	kit_expect_log(k, "");
	wr_clock_advance(&k->clock, 3000000);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_expect_log(k, "a:timer ");
	kit_expect_out(k, "-2 ");
	assert_true(wr_task_deadline(k->task) == UINT64_MAX);
	kit_free(k);
}

static void a_full_output_blocks_and_its_return_wakes(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	for (int i = 0; i < 8; i++)
		kit_send(k, 0, i, i);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	wr_clock_advance(&k->clock, 5000000);
	k->wakes = 0;
	kit_expect_out(k, "0 1 ");
	assert_true(k->wakes > 0);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	assert_true(wr_metric_get(&wr_task_stats(k->task)->blocked_ns) >= 5000000);
	kit_expect_out(k, "2 3 ");
	kit_free(k);
}

static void a_blocked_task_sleeps_although_a_timer_of_it_is_due(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].processing_timer = true;
	k->stages[0].timer_ms = 5003;
	k->stages[1].waits = 3;
	kit_start(k, 2, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 2);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	wr_clock_advance(&k->clock, 5000000);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	assert_true(wr_task_deadline(k->task) > k->clock.manual_ns);
	kit_free(k);
}

static void a_stage_that_explodes_holds_a_few_pages_and_loses_nothing(void **state)
{
	struct kit *k = kit_new(1);
	uint32_t rows = 10 * (KIT_BUFFER / KIT_ROW);

	(void)state;
	k->stages[0].copies = 4000;
	k->stages[1].copies = 0;
	kit_start(k, 2, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, rows);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	assert_int_equal(wr_metric_get(&wr_task_stage(k->task, 1)->ops_stats[0].rows_in),
			 (int64_t)rows * 4000);
	assert_true(k->stages[1].most_waiting >= 4);
	assert_true(k->stages[1].most_waiting <= 8);
	kit_free(k);
}

static void a_sink_that_waits_blocks_its_task_until_it_wakes_it(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].waits = 2;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 2);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_expect_log(k, "a:1 a:2 ");
	kit_free(k);
}

static void a_sink_that_wants_no_more_says_so_once_and_drops_the_rest(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].wants_until = 2;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 3);
	kit_send(k, 0, 4, 5);
	assert_int_equal(wr_task_step(k->task), WR_STEP_ENOUGH);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_event(k, 0, WR_EV_END, 0);
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	kit_expect_log(k, "a:1 a:wm=max a:end ");
	kit_free(k);
}

static void a_bad_row_fails_the_task_with_operator_record_and_subtask(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].fails_at = 2;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 3);
	assert_int_equal(kit_run(k), WR_STEP_FAILED);
	for (int i = 0; i < 5; i++)
		assert_non_null(strstr(wr_error_text(), ((const char *[]){"operator \"a\"", "no good", "here",
									  "record: 2", "task [1/1]"})[i]));
	assert_int_equal(wr_task_step(k->task), WR_STEP_DONE);
	kit_free(k);
}

static void a_bad_row_is_skipped_at_each_place_of_a_batch_and_counted(void **state)
{
	(void)state;
	for (int64_t bad = 1; bad <= 3; bad++)
		for (uint32_t stage = 0; stage < 3; stage++) {
			struct kit *k = kit_new(1);

			k->stages[stage].fails_at = bad;
			kit_start(k, 3, true, WR_ON_ERROR_SKIP);
			kit_send(k, 0, 1, 3);
			assert_int_equal(kit_run(k), WR_STEP_IDLE);
			kit_expect_out(k, bad == 1 ? "2 3 " : bad == 2 ? "1 3 " : "1 2 ");
			assert_int_equal(wr_metric_get(&wr_task_stage(k->task, stage)->ops_stats[0].skipped),
					 1);
			kit_free(k);
		}
}

static void a_barrier_waits_for_all_channels_and_holds_back_those_that_brought_it(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 1);
	kit_event(k, 0, WR_EV_BARRIER, 1);
	kit_send(k, 0, 2, 2);
	kit_run(k);
	kit_expect_out(k, "1 ");
	kit_send(k, 1, 10, 10);
	kit_run(k);
	kit_expect_out(k, "10 ");
	kit_event(k, 1, WR_EV_BARRIER, 1);
	kit_run(k);
	kit_expect_out(k, "barrier=1 2 ");
	kit_free(k);
}

static void c4_an_ended_channel_counts_as_one_that_brought_the_barrier(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_BARRIER, 1);
	kit_run(k);
	kit_event(k, 1, WR_EV_END, 0);
	kit_run(k);
	kit_expect_out(k, "barrier=1 ");
	kit_free(k);
}

static bool holds;
static sem_t may_write;

static int end_behind_a_checkpoint(struct wr_stage *s)
{
	s->awaits_checkpoint = !holds;
	return holds ? WR_OK : WR_AGAIN;
}

static int save_number(struct wr_stage *s, struct wr_bytes *out)
{
	kit_log(kit_of(s)->kit, "%s:save=%llu ", kit_of(s)->name, (unsigned long long)s->checkpoint);
	wr_value_put_i64(out, 5);
	return WR_OK;
}

/* Logs what has left the task by then. */
static int save_behind_what_left(struct wr_stage *s, struct wr_bytes *out)
{
	kit_drain_out(kit_of(s)->kit, &kit_of(s)->kit->log);
	return save_number(s, out);
}

static int settle_number(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out)
{
	assert_int_equal(out->len, 1 + 8);
	kit_log(kit_of(s)->kit, "%s:settle=%llu ", kit_of(s)->name, (unsigned long long)checkpoint);
	return WR_OK;
}

static int hear(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	(void)s;
	holds |= type == WR_LETTER_COMPLETE && wr_letter_int(payload, len) == 3;
	return WR_OK;
}

/* A trigger or the end of a checkpoint, and what the task says then. */
static enum wr_step tell(struct kit *k, enum wr_letter_type type, uint64_t checkpoint)
{
	struct wr_trigger t = {.checkpoint = checkpoint, .epoch = checkpoint};
	struct wr_bytes b = WR_BYTES_EMPTY;

	if (type == WR_LETTER_TRIGGER)
		wr_trigger_put(&b, &t);
	else
		wr_value_put_i64(&b, (int64_t)checkpoint);
	wr_task_post(k->task, wr_letter_new(type, (struct wr_address){0}, b.data, (uint32_t)b.len));
	wr_bytes_deinit(&b);
	return kit_run(k);
}

static void c28_a_sink_that_waits_for_it_has_a_checkpoint_behind_its_last_row(void **state)
{
	struct kit *k = kit_new(1);
	struct wr_blobs *blobs;

	(void)state;
	holds = false;
	k->blobs = wr_blobs_memory();
	k->io = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	k->ops[0].save = k->ops[1].save = save_number;
	k->ops[1].settle = settle_number;
	k->ops[1].end = end_behind_a_checkpoint;
	k->ops[1].letter = hear;
	kit_start(k, 2, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 1);
	kit_event(k, 0, WR_EV_END, 0);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	kit_expect_log(k, "a:1 b:1 a:wm=max b:wm=max a:end a>11:0 ");
	assert_int_equal(tell(k, WR_LETTER_ABORT, 2), WR_STEP_BLOCKED);
	wr_clock_advance(&k->clock, 1000000000);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	kit_expect_log(k, "a>11:0 ");
	assert_int_equal(tell(k, WR_LETTER_TRIGGER, 3), WR_STEP_BLOCKED);
	wr_iopool_free(k->io);
	kit_expect_log(k, "b:save=3 b:settle=3 a>7:0 ");
	assert_int_equal(tell(k, WR_LETTER_TRIGGER, 3), WR_STEP_BLOCKED);
	assert_int_equal(tell(k, WR_LETTER_COMPLETE, 3), WR_STEP_DONE);
	kit_expect_log(k, "");
	blobs = k->blobs;
	kit_free(k);
	blobs->ops->free(blobs);
}

static void await_post(struct wr_iojob *job)
{
	(void)job;
	sem_wait(&may_write);
}

static void let_go(struct wr_iojob *job)
{
	(void)job;
}

static void C1_a_barrier_leaves_behind_the_rows_and_in_front_of_the_snapshot(void **state)
{
	struct kit *k = kit_new(1);
	struct wr_iojob slow = {.work = await_post, .done = let_go};
	struct wr_ioqueue *queue;
	struct wr_blobs *blobs;

	(void)state;
	sem_init(&may_write, 0, 0);
	k->blobs = blobs = wr_blobs_memory();
	k->io = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	k->ops[0].save = k->ops[1].save = save_behind_what_left;
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	queue = wr_ioqueue_new(k->io);
	wr_ioqueue_post(queue, &slow);
	kit_send(k, 0, 1, 2);
	kit_event(k, 0, WR_EV_BARRIER, 1);
	kit_send(k, 0, 3, 3);
	kit_run(k);
	kit_expect_log(k, "a:1 a:2 b:1 b:2 1 2 a:save=1 barrier=1 b:save=1 a:3 b:3 ");
	kit_expect_out(k, "3 ");
	sem_post(&may_write);
	wr_iopool_free(k->io);
	kit_expect_log(k, "a>7:0 ");
	wr_ioqueue_free(queue);
	kit_free(k);
	blobs->ops->free(blobs);
	sem_destroy(&may_write);
}

static void c9_no_barrier_overtakes_the_end_of_a_task_whose_snapshot_is_being_written(void **state)
{
	struct kit *k = kit_new(1);
	struct wr_iojob slow = {.work = await_post, .done = let_go};
	struct wr_ioqueue *queue;
	struct wr_blobs *blobs;

	(void)state;
	sem_init(&may_write, 0, 0);
	k->blobs = blobs = wr_blobs_memory();
	k->io = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	k->may_overtake = true;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	queue = wr_ioqueue_new(k->io);
	wr_ioqueue_post(queue, &slow);
	kit_event(k, 0, WR_EV_BARRIER, 1);
	kit_event(k, 0, WR_EV_END, 0);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	assert_int_equal(tell(k, WR_LETTER_OVERTAKE, 2), WR_STEP_BLOCKED);
	kit_expect_out(k, "barrier=1 end ");
	sem_post(&may_write);
	wr_iopool_free(k->io);
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	kit_expect_out(k, "");
	wr_ioqueue_free(queue);
	kit_free(k);
	blobs->ops->free(blobs);
	sem_destroy(&may_write);
}

static void a_latency_marker_passes_behind_the_rows(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 2);
	kit_event(k, 0, WR_EV_LATENCY, 77);
	kit_run(k);
	kit_expect_out(k, "1 2 latency=77 ");
	kit_free(k);
}

static void a_cancelled_task_stops_at_once(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 2);
	wr_task_post(k->task, wr_letter_new(WR_LETTER_CANCEL, (struct wr_address){0}, NULL, 0));
	assert_true(k->wakes > 0);
	assert_int_equal(wr_task_step(k->task), WR_STEP_DONE);
	kit_expect_log(k, "");
	kit_free(k);
}

static void i14_a_barrier_waits_until_all_timers_of_a_watermark_have_fired(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].timers = 3;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 9);
	kit_event(k, 0, WR_EV_BARRIER, 1);
	wr_task_step(k->task);
	wr_task_step(k->task);
	kit_expect_out(k, "-1 -1 ");
	kit_run(k);
	kit_expect_out(k, "-1 wm=9 barrier=1 ");
	kit_free(k);
}

static void i14_no_barrier_overtakes_the_timers_that_are_left_of_a_watermark(void **state)
{
	struct kit *k = kit_new(1);
	struct wr_blobs *blobs;

	(void)state;
	k->blobs = blobs = wr_blobs_memory();
	k->io = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	k->may_overtake = true;
	k->stages[0].timers = 3;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 9);
	kit_event(k, 0, WR_EV_BARRIER, 1);
	wr_task_step(k->task);
	kit_expect_out(k, "-1 ");
	tell(k, WR_LETTER_OVERTAKE, 1);
	kit_expect_out(k, "-1 -1 ");
	kit_run(k);
	kit_expect_out(k, "wm=9 barrier=1 ");
	wr_iopool_free(k->io);
	kit_run(k);
	kit_free(k);
	blobs->ops->free(blobs);
}

static void i15_a_task_that_is_cancelled_between_two_timers_fires_no_more(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->stages[0].timers = 5;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_WATERMARK, 9);
	while (k->stages[0].timers > 3)
		assert_int_equal(wr_task_step(k->task), WR_STEP_MORE);
	wr_task_post(k->task, wr_letter_new(WR_LETTER_CANCEL, (struct wr_address){0}, NULL, 0));
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	assert_int_equal(k->stages[0].timers, 3);
	kit_free(k);
}

static int refused(const struct wr_store *store)
{
	(void)store;
	return wr_error_set(WR_EFATAL, "no memory for the state of 'a'");
}

static void keep(struct wr_store *store)
{
	(void)store;
}

static int rows_with_a_full_store(struct wr_stage *s, struct wr_rows *rows)
{
	static const struct wr_backend backend = {.name = "full", .free = keep, .status = refused};
	static struct wr_store full = {.backend = &backend};

	s->store = &full;
	return kit_rows(s, rows);
}

static void a_task_fails_when_its_store_was_refused_memory(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	k->ops[0].rows = rows_with_a_full_store;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 3);
	assert_int_equal(kit_run(k), WR_STEP_FAILED);
	assert_non_null(strstr(wr_error_text(), "no memory for the state of 'a'"));
	kit_free(k);
}

static void a_row_larger_than_a_buffer_goes_through(void **state)
{
	struct kit *k = kit_new(1);
	uint8_t row[4 * KIT_BUFFER] = {0};
	struct wr_elem e = {sizeof row, k->shape, 1};

	(void)state;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	memcpy(row, &e, sizeof e);
	row[sizeof e] = 42;
	assert_int_equal(wr_writer_rows(k->feed[0], row, row + sizeof row), WR_OK);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	kit_expect_log(k, "a:42 ");
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_go_through_all_stages_and_out),
	    cmocka_unit_test(k23_rows_of_timers_precede_the_watermark),
	    cmocka_unit_test(k3_a_watermark_that_does_not_rise_is_not_sent),
	    cmocka_unit_test(k5_a_stage_with_its_own_time_lets_only_the_last_watermark_pass),
	    cmocka_unit_test(the_watermark_is_the_lowest_of_the_inputs),
	    cmocka_unit_test(i13_processing_timers_fire_before_the_last_watermark),
	    cmocka_unit_test(a_processing_timer_sets_the_deadline_and_fires_then),
	    cmocka_unit_test(a_full_output_blocks_and_its_return_wakes),
	    cmocka_unit_test(a_blocked_task_sleeps_although_a_timer_of_it_is_due),
	    cmocka_unit_test(a_stage_that_explodes_holds_a_few_pages_and_loses_nothing),
	    cmocka_unit_test(a_sink_that_waits_blocks_its_task_until_it_wakes_it),
	    cmocka_unit_test(a_sink_that_wants_no_more_says_so_once_and_drops_the_rest),
	    cmocka_unit_test(a_bad_row_fails_the_task_with_operator_record_and_subtask),
	    cmocka_unit_test(a_bad_row_is_skipped_at_each_place_of_a_batch_and_counted),
	    cmocka_unit_test(a_barrier_waits_for_all_channels_and_holds_back_those_that_brought_it),
	    cmocka_unit_test(c4_an_ended_channel_counts_as_one_that_brought_the_barrier),
	    cmocka_unit_test(C1_a_barrier_leaves_behind_the_rows_and_in_front_of_the_snapshot),
	    cmocka_unit_test(c28_a_sink_that_waits_for_it_has_a_checkpoint_behind_its_last_row),
	    cmocka_unit_test(c9_no_barrier_overtakes_the_end_of_a_task_whose_snapshot_is_being_written),
	    cmocka_unit_test(a_latency_marker_passes_behind_the_rows),
	    cmocka_unit_test(a_cancelled_task_stops_at_once),
	    cmocka_unit_test(i14_a_barrier_waits_until_all_timers_of_a_watermark_have_fired),
	    cmocka_unit_test(i14_no_barrier_overtakes_the_timers_that_are_left_of_a_watermark),
	    cmocka_unit_test(i15_a_task_that_is_cancelled_between_two_timers_fires_no_more),
	    cmocka_unit_test(a_task_fails_when_its_store_was_refused_memory),
	    cmocka_unit_test(a_row_larger_than_a_buffer_goes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
