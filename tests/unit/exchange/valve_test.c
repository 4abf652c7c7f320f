/* SPDX-License-Identifier: Apache-2.0 */
/* valve: rows K10 and K15 to K21 of the semantics, and random schedules against a naive model. */
#include "exchange/valve.h"
#include "unit/exchange/kit.h"

enum { WM = WR_VALVE_WATERMARK, IDLE = WR_VALVE_IDLE, ACTIVE = WR_VALVE_ACTIVE, END = WR_VALVE_END };

static struct wr_valve *v;

static void says(unsigned actions, unsigned expected, int64_t watermark)
{
	assert_int_equal(actions, expected);
	assert_true(wr_valve_watermark(v) == watermark);
}
static unsigned wm(uint32_t channel, int64_t watermark)
{
	return wr_valve_on_watermark(v, channel, watermark);
}

static void K15_the_watermark_is_the_minimum_of_all_channels_and_only_rises(void **state)
{
	(void)state;
	v = wr_valve_new(3);
	says(wm(0, 10), 0, WR_TS_NONE);
	says(wm(1, 7), 0, WR_TS_NONE);
	says(wm(2, 3), WM, 3);
	says(wm(2, 9), WM, 7);
	says(wm(2, 9), 0, 7);
	says(wm(2, 4), 0, 7);
	says(wm(0, 12), 0, 7);
	says(wm(1, 20), WM, 9);
	wr_valve_free(v);
}

static void K15_a_channel_that_goes_idle_holds_nobody_back(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	says(wm(0, 10), 0, WR_TS_NONE);
	says(wr_valve_on_idle(v, 1), WM, 10);
	says(wm(0, 11), WM, 11);
	wr_valve_free(v);
}

static void K16_watermarks_of_an_idle_channel_are_ignored(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	wr_valve_on_idle(v, 1);
	says(wm(1, 50), 0, WR_TS_NONE);
	says(wm(0, 5), WM, 5);
	says(wr_valve_on_idle(v, 0), IDLE, 5);
	says(wm(0, 60), 0, 5);
	says(wm(1, 60), 0, 5);
	wr_valve_free(v);
}

static void K17_a_channel_that_wakes_up_behind_counts_again_when_it_caught_up(void **state)
{
	int64_t at;
	bool idle, aligned;

	(void)state;
	v = wr_valve_new(3);
	wm(0, 10);
	wm(1, 7);
	says(wm(2, 3), WM, 3);
	says(wr_valve_on_idle(v, 2), WM, 7);
	says(wr_valve_on_active(v, 2), 0, 7);
	wr_valve_channel(v, 2, &at, &idle, &aligned);
	assert_true(at == 3 && !idle && !aligned);
	says(wm(2, 5), 0, 7);
	says(wm(1, 9), WM, 9); /* 2 does not hold it at 5 */
	says(wm(2, 9), 0, 9);
	wr_valve_channel(v, 2, &at, &idle, &aligned);
	assert_true(at == 9 && aligned);
	says(wm(1, 12), 0, 9); /* now it does */
	says(wm(2, 11), WM, 10);
	wr_valve_free(v);
}

static void K17_a_channel_that_wakes_up_ahead_counts_at_once(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	wm(0, 10);
	says(wm(1, 5), WM, 5);
	says(wr_valve_on_idle(v, 0), 0, 5);
	says(wr_valve_on_active(v, 0), 0, 5);
	says(wm(1, 20), WM, 10);
	wr_valve_free(v);
}

static void K18_nothing_is_emitted_while_every_active_channel_is_unaligned(void **state)
{
	(void)state;
	v = wr_valve_new(3);
	wm(0, 10);
	wm(1, 5);
	wm(2, 5);
	wr_valve_on_idle(v, 1);
	says(wr_valve_on_idle(v, 2), WM, 10);
	says(wr_valve_on_active(v, 1), 0, 10);
	says(wr_valve_on_active(v, 2), 0, 10);
	says(wr_valve_on_idle(v, 0), 0, 10);
	says(wm(1, 8), 0, 10);
	says(wm(2, 9), 0, 10);
	says(wm(2, 10), 0, 10);
	says(wm(2, 11), WM, 11);
	wr_valve_free(v);
}

static void K19_the_last_channel_to_fall_idle_flushes_the_maximum_first(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	wm(0, 10);
	says(wm(1, 5), WM, 5);
	says(wr_valve_on_idle(v, 0), 0, 5);
	says(wr_valve_on_idle(v, 1), WM | IDLE, 10);
	wr_valve_free(v);
}

static void K19_an_unaligned_last_channel_flushes_nothing(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	wm(0, 10);
	wm(1, 5);
	says(wr_valve_on_idle(v, 1), WM, 10);
	wr_valve_on_active(v, 1);
	says(wr_valve_on_idle(v, 0), 0, 10);
	says(wm(1, 6), 0, 10);
	says(wr_valve_on_idle(v, 1), IDLE, 10);
	wr_valve_free(v);
}

static void K20_idle_and_active_are_passed_on_only_when_the_whole_turns(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	says(wr_valve_on_active(v, 0), 0, WR_TS_NONE);
	says(wr_valve_on_idle(v, 0), 0, WR_TS_NONE);
	says(wr_valve_on_idle(v, 0), 0, WR_TS_NONE);
	says(wr_valve_on_idle(v, 1), IDLE, WR_TS_NONE);
	assert_true(wr_valve_idle(v));
	says(wr_valve_on_active(v, 1), ACTIVE, WR_TS_NONE);
	assert_false(wr_valve_idle(v));
	says(wr_valve_on_active(v, 0), 0, WR_TS_NONE);
	wr_valve_free(v);
	v = wr_valve_new(2);
	wr_valve_input(v, 1, 1);
	says(wr_valve_on_idle(v, 0), 0, WR_TS_NONE); /* one of two inputs */
	says(wr_valve_on_idle(v, 1), IDLE, WR_TS_NONE);
	wr_valve_free(v);
}

static void K10_a_sender_that_says_active_before_its_record_is_counted_from_then(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	wm(0, 3);
	wm(1, 3);
	wr_valve_on_idle(v, 0);
	says(wr_valve_on_active(v, 0), 0, 3); /* its record follows; no watermark is needed to be seen */
	says(wm(1, 50), 0, 3);
	says(wm(0, 10), WM, 10);
	wr_valve_free(v);
}

static struct wr_valve *two_inputs(uint32_t channels, uint32_t from)
{
	struct wr_valve *two = wr_valve_new(channels);

	for (uint32_t i = from; i < channels; i++)
		wr_valve_input(two, i, 1);
	return two;
}

static void K21_two_inputs_meet_in_their_minimum(void **state)
{
	(void)state;
	v = two_inputs(4, 2);
	wm(0, 10);
	says(wm(1, 20), 0, WR_TS_NONE);
	wm(2, 5);
	says(wm(3, 7), WM, 5);
	says(wr_valve_on_idle(v, 2), WM, 7);
	says(wr_valve_on_idle(v, 3), WM, 10); /* the whole input is idle */
	says(wr_valve_on_idle(v, 0), WM, 20);
	says(wr_valve_on_idle(v, 1), IDLE, 20);
	says(wr_valve_on_active(v, 3), ACTIVE, 20);
	wr_valve_free(v);
}

static void K21_an_input_that_wakes_up_behind_holds_the_other_back(void **state)
{
	(void)state;
	v = two_inputs(2, 1);
	wm(0, 10);
	says(wm(1, 5), WM, 5);
	says(wr_valve_on_idle(v, 1), WM, 10);
	says(wr_valve_on_active(v, 1), 0, 10);
	says(wm(0, 20), 0, 10); /* within one input K17 would let it pass */
	says(wm(1, 9), 0, 10);
	says(wm(1, 11), WM, 11);
	wr_valve_free(v);
}

static void an_ended_channel_counts_as_one_at_the_end_of_time(void **state)
{
	(void)state;
	v = wr_valve_new(2);
	wm(0, 5);
	says(wr_valve_on_end(v, 0), 0, WR_TS_NONE);
	says(wr_valve_on_end(v, 0), 0, WR_TS_NONE);
	says(wm(1, 7), WM, 7);
	says(wr_valve_on_end(v, 1), WM | END, WR_TS_MAX);
	wr_valve_free(v);
}

static void the_end_of_an_idle_stream_is_said_as_that_of_an_active_one(void **state)
{
	(void)state;
	v = wr_valve_new(1);
	wm(0, 5);
	says(wr_valve_on_idle(v, 0), IDLE, 5);
	says(wr_valve_on_end(v, 0), ACTIVE | WM | END, WR_TS_MAX);
	wr_valve_free(v);
}

static void a_channel_at_the_end_of_time_that_says_idle_counts_once(void **state)
{
	(void)state;
	v = wr_valve_new(3);
	wm(0, 5);
	wm(1, 7);
	says(wm(2, 9), WM, 5);
	says(wm(0, WR_TS_MAX), WM, 7);
	says(wr_valve_on_idle(v, 0), 0, 7);
	says(wr_valve_on_idle(v, 1), WM, 9);
	assert_false(wr_valve_idle(v)); /* channel 2 is active */
	wr_valve_free(v);
}

static void a_refused_allocation_gives_no_valve(void **state)
{
	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_valve_new(3));
	assert_int_equal(wr_error_code(), WR_EFATAL);
	wr_mem_fail_at(0);
}

/* ---- a naive model: after each event everything is computed again from the rows' words ---- */

enum { CHANNELS_MAX = 6 };

struct model {
	uint32_t count;
	struct {
		int64_t wm;
		bool idle, aligned, ended;
		uint32_t input;
	} ch[CHANNELS_MAX];
	int64_t emitted[2], combined;
	bool input_idle[2];
};

static bool model_all_ended(const struct model *m, uint32_t input)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (m->ch[i].input == input && m->ch[i].wm < WR_TS_MAX)
			return false;
	return true;
}

/* All that have not ended are silent. */
static bool model_all_idle(const struct model *m, uint32_t input)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (m->ch[i].input == input && !m->ch[i].idle && m->ch[i].wm < WR_TS_MAX)
			return false;
	return !model_all_ended(m, input);
}

static void model_settle(struct model *m, uint32_t input, bool flush)
{
	int64_t min = WR_TS_MAX, max = WR_TS_NONE, out;

	for (uint32_t i = 0; i < m->count; i++) {
		if (m->ch[i].input != input)
			continue;
		if (m->ch[i].wm > max && m->ch[i].wm < WR_TS_MAX)
			max = m->ch[i].wm;
		if (m->ch[i].idle || !m->ch[i].aligned)
			continue;
		if (m->ch[i].wm < min)
			min = m->ch[i].wm;
	}
	out = flush ? max : min;
	if ((flush || min < WR_TS_MAX || model_all_ended(m, input)) && out > m->emitted[input])
		m->emitted[input] = out;
}

/* K11 over the inputs that exist. */
static void model_combine(struct model *m)
{
	int64_t min = WR_TS_MAX, max = WR_TS_NONE, out;
	bool idle = true, any = false;

	for (uint32_t in = 0; in < 2; in++) {
		bool exists = false;

		for (uint32_t i = 0; i < m->count; i++)
			exists |= m->ch[i].input == in;
		if (!exists || m->emitted[in] == WR_TS_MAX)
			continue;
		any = true;
		if (m->emitted[in] > max)
			max = m->emitted[in];
		if (m->input_idle[in])
			continue;
		idle = false;
		if (m->emitted[in] < min)
			min = m->emitted[in];
	}
	out = idle && any ? max : min;
	if (out > m->combined)
		m->combined = out;
}

static bool model_idle(const struct model *m)
{
	bool any = false;

	for (uint32_t i = 0; i < m->count; i++) {
		if (m->emitted[m->ch[i].input] == WR_TS_MAX)
			continue;
		any = true;
		if (!m->input_idle[m->ch[i].input])
			return false;
	}
	return any;
}

static void model_watermark(struct model *m, uint32_t at, int64_t wm)
{
	uint32_t in = m->ch[at].input;

	if (m->ch[at].idle || wm <= m->ch[at].wm)
		return;
	m->ch[at].wm = wm;
	m->ch[at].aligned |= wm >= m->emitted[in];
	model_settle(m, in, wm == WR_TS_MAX && model_all_idle(m, in));
	model_combine(m);
	m->input_idle[in] = model_all_idle(m, in);
	model_combine(m);
}

static void model_active(struct model *m, uint32_t at)
{
	uint32_t in = m->ch[at].input;

	m->ch[at].idle = false;
	m->ch[at].aligned = m->ch[at].wm >= m->emitted[in];
	m->input_idle[in] = false;
	model_combine(m);
	model_settle(m, in, false);
	model_combine(m);
}

static void model_idles(struct model *m, uint32_t at)
{
	uint32_t in = m->ch[at].input;
	bool flush = m->ch[at].wm == m->emitted[in];

	m->ch[at].idle = true;
	m->ch[at].aligned = false;
	model_settle(m, in, model_all_idle(m, in) && flush);
	model_combine(m); /* the flush goes first, while the input still counts as active */
	m->input_idle[in] = model_all_idle(m, in);
	model_combine(m);
}

static unsigned random_event(struct model *m, struct wr_rand *r, uint32_t at)
{
	uint32_t what = wr_rand_below(r, 40);
	int64_t wm_next;

	if (what == 0) {
		bool all = true;

		if (m->ch[at].ended)
			return wr_valve_on_end(v, at);
		if (m->ch[at].idle)
			model_active(m, at);
		model_watermark(m, at, WR_TS_MAX);
		m->ch[at].ended = true;
		for (uint32_t i = 0; i < m->count; i++)
			all &= m->ch[i].ended;
		return wr_valve_on_end(v, at) ^ (all ? END : 0u);
	}
	if (what < 8) {
		if (!m->ch[at].idle && !m->ch[at].ended)
			model_idles(m, at);
		return wr_valve_on_idle(v, at);
	}
	if (what < 15) {
		if (m->ch[at].idle)
			model_active(m, at);
		return wr_valve_on_active(v, at);
	}
	wm_next = m->ch[at].wm == WR_TS_NONE || m->ch[at].ended ? 20 : m->ch[at].wm + 25;
	wm_next -= wr_rand_below(r, 30);
	if (!m->ch[at].ended)
		model_watermark(m, at, wm_next);
	return wr_valve_on_watermark(v, at, wm_next);
}

static void one_schedule(uint64_t seed)
{
	struct wr_rand r = {seed};
	struct model m = {.count = 1 + wr_rand_below(&r, CHANNELS_MAX), .combined = WR_TS_NONE};

	m.emitted[0] = m.emitted[1] = WR_TS_NONE;
	v = wr_valve_new(m.count);
	for (uint32_t i = 0; i < m.count; i++) {
		m.ch[i].wm = WR_TS_NONE;
		m.ch[i].aligned = true;
		m.ch[i].input = seed % 3 ? 0 : wr_rand_below(&r, 2);
		wr_valve_input(v, i, m.ch[i].input);
	}
	for (int step = 0; step < 120; step++) {
		int64_t was = m.combined;
		bool was_idle = model_idle(&m);
		unsigned said, expected = 0;

		said = random_event(&m, &r, wr_rand_below(&r, m.count));
		expected |= m.combined > was ? WM : 0u;
		expected |= !was_idle && model_idle(&m) ? IDLE : 0u;
		expected |= was_idle && !model_idle(&m) ? ACTIVE : 0u;
		assert_int_equal(said, expected);
		assert_true(wr_valve_watermark(v) == m.combined);
		assert_int_equal(wr_valve_idle(v), model_idle(&m));
	}
	wr_valve_free(v);
}

static void random_schedules_agree_with_a_naive_model(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20000; seed++)
		one_schedule(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(K15_the_watermark_is_the_minimum_of_all_channels_and_only_rises,
				      kit_no_leak),
	    cmocka_unit_test_teardown(K15_a_channel_that_goes_idle_holds_nobody_back, kit_no_leak),
	    cmocka_unit_test_teardown(K16_watermarks_of_an_idle_channel_are_ignored, kit_no_leak),
	    cmocka_unit_test_teardown(K17_a_channel_that_wakes_up_behind_counts_again_when_it_caught_up,
				      kit_no_leak),
	    cmocka_unit_test_teardown(K17_a_channel_that_wakes_up_ahead_counts_at_once, kit_no_leak),
	    cmocka_unit_test_teardown(K18_nothing_is_emitted_while_every_active_channel_is_unaligned,
				      kit_no_leak),
	    cmocka_unit_test_teardown(K19_the_last_channel_to_fall_idle_flushes_the_maximum_first,
				      kit_no_leak),
	    cmocka_unit_test_teardown(K19_an_unaligned_last_channel_flushes_nothing, kit_no_leak),
	    cmocka_unit_test_teardown(K20_idle_and_active_are_passed_on_only_when_the_whole_turns,
				      kit_no_leak),
	    cmocka_unit_test_teardown(K10_a_sender_that_says_active_before_its_record_is_counted_from_then,
				      kit_no_leak),
	    cmocka_unit_test_teardown(K21_two_inputs_meet_in_their_minimum, kit_no_leak),
	    cmocka_unit_test_teardown(K21_an_input_that_wakes_up_behind_holds_the_other_back, kit_no_leak),
	    cmocka_unit_test_teardown(an_ended_channel_counts_as_one_at_the_end_of_time, kit_no_leak),
	    cmocka_unit_test_teardown(the_end_of_an_idle_stream_is_said_as_that_of_an_active_one,
				      kit_no_leak),
	    cmocka_unit_test_teardown(a_channel_at_the_end_of_time_that_says_idle_counts_once, kit_no_leak),
	    cmocka_unit_test_teardown(a_refused_allocation_gives_no_valve, kit_no_leak),
	    cmocka_unit_test_teardown(random_schedules_agree_with_a_naive_model, kit_no_leak),
	};

	return cmocka_run_group_tests_name("valve", tests, NULL, NULL);
}
