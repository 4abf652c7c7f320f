/* SPDX-License-Identifier: Apache-2.0 */
/* watermarks: event time from a field, and watermarks that lag behind it. */
#include "operator/operators.h"
#include "unit/task/kit.h"

struct options {
	struct wr_value record, keys[4], items[4];
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

/* The rows of the kit are plain integers: their field has no name. */
static struct kit *bench(struct options *o, double delay, double every, double idle,
			 enum wr_on_error on_error)
{
	struct kit *k = kit_new(1);

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

static void k1_the_watermark_lags_by_the_delay_and_one(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 10, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 100, 103);
	kit_run(k);
	kit_expect_out(k, "100 101 102 103 ");
	wr_clock_advance(&k->clock, 200000000);
	kit_run(k);
	kit_expect_out(k, "wm=92 ");
	kit_free(k);
}

static void k2_without_a_delay_equal_timestamps_are_not_late(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 7, 7);
	kit_run(k);
	wr_clock_advance(&k->clock, 200000000);
	kit_run(k);
	kit_expect_out(k, "7 wm=6 ");
	kit_free(k);
}

static void k3_it_never_goes_back(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 50, 50);
	kit_run(k);
	wr_clock_advance(&k->clock, 200000000);
	kit_run(k);
	kit_expect_out(k, "50 wm=49 ");
	kit_send(k, 0, 20, 20);
	kit_run(k);
	wr_clock_advance(&k->clock, 200000000);
	kit_run(k);
	kit_expect_out(k, "20 ");
	kit_free(k);
}

static void k5_k6_at_the_end_it_says_its_last_word_and_upstream_is_not_heard(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 200, 0, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 5);
	kit_event(k, 0, WR_EV_WATERMARK, 1000);
	kit_event(k, 0, WR_EV_END, 0);
	assert_int_equal(kit_run(k), WR_STEP_DONE);
	kit_expect_out(k, "5 wm=4 end ");
	kit_free(k);
}

static void k8_k10_a_silent_stream_is_idle_and_active_before_its_next_row(void **state)
{
	struct options o;
	struct kit *k = bench(&o, 0, 100, 250, WR_ON_ERROR_FAIL);

	(void)state;
	kit_send(k, 0, 5, 5);
	kit_run(k);
	wr_clock_advance(&k->clock, 100000000);
	kit_run(k);
	kit_expect_out(k, "5 wm=4 ");
	for (int i = 0; i < 4; i++) {
		wr_clock_advance(&k->clock, 100000000);
		kit_run(k);
	}
	kit_expect_out(k, "idle ");
	kit_send(k, 0, 6, 6);
	kit_run(k);
	kit_expect_out(k, "active 6 ");
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(k1_the_watermark_lags_by_the_delay_and_one),
	    cmocka_unit_test(k2_without_a_delay_equal_timestamps_are_not_late),
	    cmocka_unit_test(k3_it_never_goes_back),
	    cmocka_unit_test(k5_k6_at_the_end_it_says_its_last_word_and_upstream_is_not_heard),
	    cmocka_unit_test(k8_k10_a_silent_stream_is_idle_and_active_before_its_next_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
