/* SPDX-License-Identifier: Apache-2.0 */
/* record: what was written down is decided again, and no more. */
#include "task/record.h"
#include "unit/task/kit.h"

static uint32_t noise(struct wr_rand *r)
{
	return wr_rand_below(r, 1000);
}

static void the_player_gives_what_the_recorder_saw(void **state)
{
	struct wr_clock real, other;
	struct wr_recorder rec;
	struct wr_player p;
	struct wr_mailbox m = {NULL, NULL};
	uint64_t mono[3];
	int64_t wall;
	struct wr_letter *l;

	(void)state;
	wr_clock_manual_init(&real, 5000, 77);
	wr_clock_manual_init(&other, 1, 1);
	wr_recorder_init(&rec, &real);
	for (int i = 0; i < 3; i++) {
		rec.world.ready(&rec.world, i != 1);
		mono[i] = wr_clock_ns(rec.world.clock);
		wr_clock_advance(&real, 1000000 * (uint64_t)i);
		if (i == 2) {
			wr_mailbox_put(
			    &m, wr_letter_new(WR_LETTER_SPLITS, (struct wr_address){1, 2, 3}, "\7\2ab", 4));
			wr_letter_free(rec.world.mail(&rec.world, &m));
			wall = wr_clock_ms(rec.world.clock);
		}
		assert_false(rec.world.end(&rec.world));
	}
	wr_player_init(&p, rec.text.data, rec.text.len, &other);
	for (int i = 0; i < 3; i++) {
		assert_true(p.world.begin(&p.world, NULL, true));
		assert_int_equal(p.world.ready(&p.world, true), i != 1);
		assert_int_equal(wr_clock_ns(p.world.clock), mono[i]);
		if (i == 2) {
			l = p.world.mail(&p.world, &m);
			assert_int_equal(l->type, WR_LETTER_SPLITS);
			assert_memory_equal(l->payload, "\7\2ab", 4);
			wr_letter_free(l);
			assert_null(p.world.mail(&p.world, &m));
			assert_int_equal(wr_clock_ms(p.world.clock), wall);
		}
		assert_int_equal(p.world.end(&p.world), i < 2);
	}
	assert_true(p.world.begin(&p.world, NULL, true));
	assert_true(p.over);
	assert_false(p.diverged);
	assert_int_equal(wr_clock_ns(p.world.clock), 1);
	wr_recorder_deinit(&rec);
}

static void a_step_that_could_emit_waits_until_this_one_can(void **state)
{
	struct wr_clock real;
	struct wr_recorder rec;
	struct wr_player p;

	(void)state;
	wr_clock_manual_init(&real, 5000, 77);
	wr_recorder_init(&rec, &real);
	rec.world.ready(&rec.world, true);
	rec.world.end(&rec.world);
	wr_player_init(&p, rec.text.data, rec.text.len, &real);
	assert_false(p.world.begin(&p.world, NULL, false));
	assert_true(p.world.begin(&p.world, NULL, true));
	wr_recorder_deinit(&rec);
}

static void a_task_that_asks_for_something_else_has_diverged(void **state)
{
	struct wr_clock real;
	struct wr_recorder rec;
	struct wr_player p;

	(void)state;
	wr_clock_manual_init(&real, 5000, 77);
	wr_recorder_init(&rec, &real);
	wr_clock_ns(rec.world.clock);
	rec.world.end(&rec.world);
	wr_player_init(&p, rec.text.data, rec.text.len, &real);
	assert_true(p.world.begin(&p.world, NULL, true));
	wr_clock_ms(p.world.clock);
	assert_true(p.diverged);
	wr_recorder_deinit(&rec);
}

/* What a task takes in its first step: buffers of channel 0. */
static void record_one_input(struct wr_recorder *rec, struct wr_clock *real)
{
	struct kit *k = kit_new(1);
	struct wr_gate_channel channel = {k->in[0], 0};
	struct wr_gate *gate = wr_gate_new(&channel, 1);
	struct wr_input in;

	wr_recorder_init(rec, real);
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 1);
	rec->world.ready(&rec->world, true);
	assert_int_equal(rec->world.input(&rec->world, gate, &in), WR_OK);
	wr_buffer_unref(in.buffer);
	rec->world.end(&rec->world);
	wr_gate_free(gate);
	kit_free(k);
}

static void a_buffer_that_the_played_task_does_not_ask_for_is_given_back(void **state)
{
	struct kit *k = kit_new(1);
	struct wr_gate_channel channel = {k->in[0], 0};
	struct wr_gate *gate = wr_gate_new(&channel, 1);
	struct wr_recorder rec;
	struct wr_player p;

	(void)state;
	record_one_input(&rec, &k->clock);
	wr_player_init(&p, rec.text.data, rec.text.len, &k->clock);
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_send(k, 0, 1, 1);
	assert_true(p.world.begin(&p.world, gate, true));
	p.world.end(&p.world);
	assert_true(p.diverged);
	p.world.close(&p.world);
	wr_gate_free(gate);
	wr_recorder_deinit(&rec);
	kit_free(k); /* asserts that all buffers are back */
}

static void bytes_that_are_no_record_never_read_beyond_their_end(void **state)
{
	struct wr_rand r = {11};
	struct wr_clock real;

	(void)state;
	wr_clock_manual_init(&real, 5000, 77);
	for (int round = 0; round < 2000; round++) {
		uint32_t len = noise(&r) % 60;
		uint8_t *bytes = malloc(len + 1);
		struct wr_mailbox m = {NULL, NULL};
		struct wr_player p;

		for (uint32_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)(noise(&r) % 5);
		bytes = realloc(bytes, len ? len : 1);
		wr_player_init(&p, bytes, len, &real);
		for (int step = 0; step < 70; step++) {
			p.world.begin(&p.world, NULL, true);
			wr_letter_free(p.world.mail(&p.world, &m));
			wr_clock_ns(p.world.clock);
			p.world.end(&p.world);
		}
		assert_true(p.over);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_player_gives_what_the_recorder_saw),
	    cmocka_unit_test(a_step_that_could_emit_waits_until_this_one_can),
	    cmocka_unit_test(a_task_that_asks_for_something_else_has_diverged),
	    cmocka_unit_test(a_buffer_that_the_played_task_does_not_ask_for_is_given_back),
	    cmocka_unit_test(bytes_that_are_no_record_never_read_beyond_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
