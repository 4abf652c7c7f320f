/* SPDX-License-Identifier: Apache-2.0 */
/* watermarks: event time from a field, and watermarks that lag behind it. */
#include "operator/operators.h"
#include "time/align.h"
#include "unit/task/kit.h"

enum { TICK = 200000000 };

struct options {
	struct wr_value record, keys[6], items[6];
};

static void put(struct options *o, const char *name, struct wr_value v)
{
	o->keys[o->record.count] = (struct wr_value){.tag = WR_V_STR, .str = {name, (uint32_t)strlen(name)}};
	o->items[o->record.count++] = v;
}

static struct wr_value number(double v)
{
	return (struct wr_value){.tag = WR_V_F64, .f64 = v};
}

/* What came out; taken at each step, so that the outputs have room. */
static struct wr_bytes seen = WR_BYTES_EMPTY;

/* The rows of the kit are plain integers: their field has no name. */
static struct kit *bench(struct options *o, double delay, double every, double idle,
			 enum wr_on_error on_error)
{
	struct kit *k = kit_new(1);

	seen.len = 0;
	*o = (struct options){.record = {.tag = WR_V_RECORD, .keys = o->keys, .items = o->items}};
	put(o, "delay", number(delay));
	put(o, "every", number(every));
	put(o, "field", (struct wr_value){.tag = WR_V_STR, .str = {"", 0}});
	if (idle > 0)
		put(o, "idle_after", number(idle));
	for (unsigned i = 0; i < wr_operator_kinds_count; i++)
		if (!strcmp(wr_operator_kinds[i].kind, "watermarks"))
			k->ops[0] = *wr_operator_kinds[i].ops;
	k->options[0] = &o->record;
	kit_start(k, 1, true, on_error);
	return k;
}

static void K1_the_watermark_lags_by_the_delay_and_one(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 10, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 100, 103);
	kit_run(k);
	kit_expect_out(k, "100 101 102 103 ");
	wr_clock_advance(&k->clock, TICK);
	kit_run(k);
	kit_expect_out(k, "wm=92 ");
	kit_free(k);
}

static void K2_without_a_delay_equal_timestamps_are_not_late(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 7, 7);
	kit_run(k);
	wr_clock_advance(&k->clock, TICK);
	kit_run(k);
	kit_expect_out(k, "7 wm=6 ");
	kit_free(k);
}

static void K3_it_never_goes_back(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 50, 50);
	kit_run(k);
	wr_clock_advance(&k->clock, TICK);
	kit_run(k);
	kit_expect_out(k, "50 wm=49 ");
	kit_send(k, 0, 20, 20);
	kit_run(k);
	wr_clock_advance(&k->clock, TICK);
	kit_run(k);
	kit_expect_out(k, "20 ");
	kit_free(k);
}

static void K5_K6_at_the_end_it_says_its_last_word_and_upstream_is_not_heard(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 5);
	kit_event(k, 0, WR_EV_WATERMARK, 1000);
	kit_event(k, 0, WR_EV_IDLE, 0);
	kit_event(k, 0, WR_EV_END, 0);
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	kit_expect_out(k, "5 wm=4 end ");
	kit_free(k);
}

static void pass_ms(struct kit *k, int times, uint64_t ms)
{
	while (times-- > 0) {
		wr_clock_advance(&k->clock, ms * 1000000);
		kit_run(k);
		kit_drain_out(k, &seen);
	}
}

static void expect(struct kit *k, const char *text)
{
	kit_drain_out(k, &seen);
	wr_bytes_put_u8(&seen, 0);
	assert_string_equal((char *)seen.data, text);
	seen.len = 0;
}

static void K7_without_an_interval_only_the_end_says_a_watermark(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 0, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 6);
	kit_run(k);
	pass_ms(k, 5, 1000);
	expect(k, "5 6 ");
	kit_event(k, 0, WR_EV_END, 0);
	kit_run(k);
	expect(k, "wm=5 end ");
	kit_free(k);
}

static void K8_a_stream_is_idle_after_two_silent_ticks_and_the_time(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 100, 250, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 5);
	kit_run(k);
	pass_ms(k, 1, 100); /* sees the row */
	expect(k, "5 wm=4 ");
	pass_ms(k, 3, 100); /* the silence is seen at the first, and is 200 ms old at the third */
	expect(k, "");
	pass_ms(k, 1, 100);
	expect(k, "idle ");
	kit_free(k);
}

static void K8_the_wall_clock_may_jump_and_idleness_does_not_care(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 100, 250, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 5);
	kit_run(k);
	k->clock.manual_ms += 86400000;
	pass_ms(k, 1, 100);
	k->clock.manual_ms -= 2 * INT64_C(86400000);
	pass_ms(k, 3, 100);
	expect(k, "5 wm=4 ");
	pass_ms(k, 1, 100);
	expect(k, "idle ");
	kit_free(k);
}

/* The channel out holds three buffers of 256 bytes: ten rows each. */
static void K9_the_idle_clock_stands_still_while_the_outputs_are_full(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 100, 250, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 1, 1);
	kit_run(k);
	pass_ms(k, 2, 100); /* the second tick sees the silence */
	expect(k, "1 wm=0 ");
	for (int i = 0; i < 4; i++)
		kit_event(k, 0, WR_EV_BARRIER, i + 1); /* each leaves in a buffer of its own */
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	for (int i = 0; i < 20; i++) {
		wr_clock_advance(&k->clock, 100000000);
		assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	}
	do
		kit_drain_out(k, &seen);
	while (kit_run(k) == WR_STEP_BLOCKED);
	pass_ms(k, 2, 100);
	expect(k, "barrier=1 barrier=2 barrier=3 barrier=4 ");
	pass_ms(k, 1, 100);
	expect(k, "idle ");
	kit_free(k);
}

static void K10_an_idle_stream_is_active_before_its_next_row_though_that_is_old(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 100, 250, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 5);
	kit_run(k);
	pass_ms(k, 5, 100);
	expect(k, "5 wm=4 idle ");
	kit_send(k, 0, 2, 2);
	kit_run(k);
	expect(k, "active 2 ");
	kit_free(k);
}

/* ---- splits: a stage in front says where it is in them ---- */

enum { BEGIN = 1000, AT = 2000, END = 3000 };

static int say_splits(struct wr_stage *s, struct wr_rows *rows)
{
	int rc = WR_OK;

	for (; rows->p < rows->end && rc == WR_OK; rows->p += ((const struct wr_elem *)rows->p)->len) {
		int64_t v = kit_value((const struct wr_elem *)rows->p);

		if (v < BEGIN)
			rc = kit_emit(s, v, v);
		else
			rc = wr_stage_emit_split(s, (enum wr_split_word)(v / 1000 - 1), (uint32_t)(v % 1000),
						 v < AT ? "a split" : NULL);
	}
	return rc;
}

static void log_hold(struct wr_stage *s, uint32_t number, bool held)
{
	struct kit *k = s->env->post_arg;

	kit_log(k, "%s %u ", held ? "hold" : "go", number);
}

static struct kit *splits_bench(struct options *o, double every, double idle, bool align)
{
	struct kit *k = kit_new(1);

	seen.len = 0;
	*o = (struct options){.record = {.tag = WR_V_RECORD, .keys = o->keys, .items = o->items}};
	put(o, "every", number(every));
	put(o, "field", (struct wr_value){.tag = WR_V_STR, .str = {"", 0}});
	if (idle > 0)
		put(o, "idle_after", number(idle));
	if (align)
		put(o, "align", (struct wr_value){.tag = WR_V_RECORD});
	k->ops[0].rows = say_splits;
	k->ops[0].hold = log_hold;
	for (unsigned i = 0; i < wr_operator_kinds_count; i++)
		if (!strcmp(wr_operator_kinds[i].kind, "watermarks"))
			k->ops[1] = *wr_operator_kinds[i].ops;
	k->options[1] = &o->record;
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	return k;
}

static void send(struct kit *k, const int64_t *values, int count)
{
	for (int i = 0; i < count; i++)
		kit_send(k, 0, values[i], values[i]);
	while (kit_run(k) == WR_STEP_BLOCKED)
		kit_drain_out(k, &seen);
	kit_drain_out(k, &seen);
}
#define SEND(k, ...)                                                                                         \
	send(k, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void K11_the_watermark_of_splits_is_the_least_of_those_that_are_not_idle(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 250, false);

	(void)state;
	SEND(k, BEGIN + 1, 50, BEGIN + 2, 20);
	pass_ms(k, 1, 100);
	expect(k, "50 20 wm=19 ");
	for (int i = 0; i < 5; i++) { /* split 2 is silent */
		SEND(k, AT + 1, 60 + i);
		pass_ms(k, 1, 100);
	}
	expect(k, "60 61 62 63 wm=62 64 wm=63 ");
	pass_ms(k, 5, 100); /* all are idle: the greatest counts, and it never goes back */
	expect(k, "idle ");
	SEND(k, AT + 2, 30);
	pass_ms(k, 1, 100);
	expect(k, "active 30 ");
	kit_free(k);
}

static void K13_a_new_split_holds_the_others_until_it_has_a_watermark(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 0, false);

	(void)state;
	SEND(k, BEGIN + 1, 50);
	pass_ms(k, 1, 100);
	expect(k, "50 wm=49 ");
	SEND(k, BEGIN + 2, AT + 1, 70);
	pass_ms(k, 1, 100);
	expect(k, "70 ");
	SEND(k, AT + 2, 60);
	pass_ms(k, 1, 100);
	expect(k, "60 wm=59 ");
	kit_free(k);
}

static void K11_a_split_that_ended_holds_nobody(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 0, false);

	(void)state;
	SEND(k, BEGIN + 1, 10, BEGIN + 2, 90);
	pass_ms(k, 1, 100);
	expect(k, "10 90 wm=9 ");
	SEND(k, END + 1);
	expect(k, "wm=89 ");
	SEND(k, END + 2);
	pass_ms(k, 3, 100);
	expect(k, "");
	kit_free(k);
}

static void K14_the_marks_of_one_tick_go_out_as_one_watermark(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 0, false);

	(void)state;
	SEND(k, BEGIN + 1, 5, BEGIN + 2, 10);
	pass_ms(k, 1, 100);
	expect(k, "5 10 wm=4 ");
	SEND(k, AT + 1, 15, AT + 2, 20);
	pass_ms(k, 1, 100);
	expect(k, "15 20 wm=14 ");
	kit_free(k);
}

static void K28_without_splits_a_subtask_is_active_until_idle_after(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 0, false);

	(void)state;
	pass_ms(k, 50, 100);
	expect(k, "");
	kit_free(k);
	k = splits_bench(&o, 100, 250, false);
	pass_ms(k, 5, 100);
	expect(k, "idle ");
	SEND(k, BEGIN + 1);
	expect(k, "active ");
	kit_free(k);
}

static void allow(struct kit *k, int64_t upto)
{
	struct wr_address who = {0, 0, 1};
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_time_put(&payload, upto);
	wr_task_post(k->task, wr_letter_new(WR_LETTER_ALLOWED, who, payload.data, (uint32_t)payload.len));
	wr_bytes_deinit(&payload);
	kit_run(k);
}

static void K26_a_split_that_is_ahead_is_held_until_the_others_are_near(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 250, true);

	(void)state;
	allow(k, 30);
	SEND(k, BEGIN + 1, 31, BEGIN + 2, 90);
	kit_expect_log(k, "hold 2 ");
	pass_ms(k, 1, 100);
	kit_expect_log(k, "b>68:30 ");
	SEND(k, AT + 1, 35);
	kit_expect_log(k, "hold 1 ");
	allow(k, 88);
	kit_expect_log(k, "go 1 ");
	allow(k, 89);
	kit_expect_log(k, "go 2 ");
	kit_free(k);
}

static void K25_an_idle_or_ended_source_holds_nobody_of_its_group(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 250, true);

	(void)state;
	allow(k, 1000);
	SEND(k, BEGIN + 1, 11);
	pass_ms(k, 1, 100);
	kit_expect_log(k, "b>68:10 ");
	pass_ms(k, 5, 100);
	kit_expect_log(k, "b>68:max ");
	SEND(k, 21);
	pass_ms(k, 1, 100);
	kit_expect_log(k, "b>68:20 ");
	kit_event(k, 0, WR_EV_END, 0);
	kit_run(k);
	kit_expect_log(k, "a:wm=max b>68:max a:end ");
	kit_free(k);
}

static void a_held_split_is_not_idle(void **state)
{
	struct options o;
	struct kit *k = splits_bench(&o, 100, 250, true);

	(void)state;
	SEND(k, BEGIN + 1, 11); /* before the coordinator's first word nobody may be ahead */
	pass_ms(k, 20, 100);
	kit_expect_log(k, "hold 1 b>68:10 ");
	expect(k, "11 wm=10 ");
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(K1_the_watermark_lags_by_the_delay_and_one),
	    cmocka_unit_test(K2_without_a_delay_equal_timestamps_are_not_late),
	    cmocka_unit_test(K3_it_never_goes_back),
	    cmocka_unit_test(K5_K6_at_the_end_it_says_its_last_word_and_upstream_is_not_heard),
	    cmocka_unit_test(K7_without_an_interval_only_the_end_says_a_watermark),
	    cmocka_unit_test(K8_a_stream_is_idle_after_two_silent_ticks_and_the_time),
	    cmocka_unit_test(K8_the_wall_clock_may_jump_and_idleness_does_not_care),
	    cmocka_unit_test(K9_the_idle_clock_stands_still_while_the_outputs_are_full),
	    cmocka_unit_test(K10_an_idle_stream_is_active_before_its_next_row_though_that_is_old),
	    cmocka_unit_test(K11_the_watermark_of_splits_is_the_least_of_those_that_are_not_idle),
	    cmocka_unit_test(K11_a_split_that_ended_holds_nobody),
	    cmocka_unit_test(K13_a_new_split_holds_the_others_until_it_has_a_watermark),
	    cmocka_unit_test(K14_the_marks_of_one_tick_go_out_as_one_watermark),
	    cmocka_unit_test(K25_an_idle_or_ended_source_holds_nobody_of_its_group),
	    cmocka_unit_test(K26_a_split_that_is_ahead_is_held_until_the_others_are_near),
	    cmocka_unit_test(K28_without_splits_a_subtask_is_active_until_idle_after),
	    cmocka_unit_test(a_held_split_is_not_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
