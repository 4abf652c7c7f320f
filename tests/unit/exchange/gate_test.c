/* SPDX-License-Identifier: Apache-2.0 */
/* gate: which channel comes next, blocking, ends, rows in pieces. */
#include "unit/exchange/kit.h"

enum { CHANNELS = 4 };

static struct wr_channel *channels[CHANNELS];
static struct wr_gate *gate;

static void open_gate(uint32_t count)
{
	static const struct wr_notify nobody;
	struct wr_gate_channel list[CHANNELS];

	for (uint32_t i = 0; i < count; i++) {
		channels[i] = wr_ring_new(&nobody);
		list[i] = (struct wr_gate_channel){channels[i], i % 2};
	}
	gate = wr_gate_new(list, count);
	assert_non_null(gate);
}

static void close_gate(uint32_t count)
{
	wr_gate_free(gate);
	for (uint32_t i = 0; i < count; i++)
		channels[i]->ops->free(channels[i]);
}

static void push(uint32_t channel, uint32_t number)
{
	struct wr_buffer *b = wr_buffer_alone(64);

	b->row_count = number;
	wr_channel_push(channels[channel], b);
}

static void next_is(uint32_t channel, uint32_t number)
{
	struct wr_input in;

	assert_int_equal(wr_gate_next(gate, &in, NULL, NULL), WR_OK);
	assert_int_equal(in.channel, channel);
	assert_int_equal(in.input, channel % 2);
	assert_int_equal(in.buffer->row_count, number);
	wr_buffer_unref(in.buffer);
}

static void next_says(int rc)
{
	struct wr_input in;

	assert_int_equal(wr_gate_next(gate, &in, NULL, NULL), rc);
}

static void filled_channels_take_turns(void **state)
{
	(void)state;
	open_gate(4);
	for (uint32_t i = 0; i < 3; i++) {
		push(0, i);
		push(2, i);
		push(3, i);
	}
	for (uint32_t i = 0; i < 3; i++) {
		next_is(0, i);
		next_is(2, i);
		next_is(3, i);
	}
	next_says(WR_AGAIN);
	push(1, 7);
	next_is(1, 7);
	assert_int_equal(wr_gate_count(gate), 4);
	assert_int_equal(wr_gate_input(gate, 3), 1);
	close_gate(4);
}

static void a_full_channel_does_not_starve_the_others(void **state)
{
	(void)state;
	open_gate(2);
	for (uint32_t i = 0; i < 100; i++)
		push(0, i);
	for (uint32_t i = 0; i < 20; i++) {
		next_is(0, i);
		push(1, i);
		next_is(1, i);
	}
	close_gate(2);
}

static void nothing_comes_from_a_blocked_channel_until_it_is_unblocked(void **state)
{
	(void)state;
	open_gate(3);
	wr_gate_block(gate, 0);
	wr_gate_block(gate, 2);
	push(0, 1);
	push(0, 2);
	push(2, 3);
	next_says(WR_AGAIN);
	push(1, 4);
	next_is(1, 4);
	wr_gate_unblock_all(gate);
	next_is(2, 3);
	next_is(0, 1);
	next_is(0, 2);
	close_gate(3);
}

static void a_gate_ends_when_all_channels_have_ended(void **state)
{
	(void)state;
	open_gate(2);
	push(1, 1);
	wr_gate_end(gate, 0);
	next_is(1, 1);
	next_says(WR_AGAIN);
	wr_gate_end(gate, 1);
	next_says(WR_END);
	close_gate(2);
}

struct choice {
	uint32_t asked, answer;
};
static uint32_t choose(void *arg, uint32_t n)
{
	struct choice *c = arg;

	c->asked = n;
	return c->answer;
}

static void choose_picks_among_the_filled_channels_by_number(void **state)
{
	struct choice c = {0, 1};
	struct wr_input in;

	(void)state;
	open_gate(4);
	assert_int_equal(wr_gate_next(gate, &in, choose, &c), WR_AGAIN);
	assert_int_equal(c.asked, 0);
	push(0, 1);
	push(1, 2);
	push(3, 3);
	wr_gate_block(gate, 0);
	assert_int_equal(wr_gate_next(gate, &in, choose, &c), WR_OK);
	assert_int_equal(c.asked, 2);
	assert_int_equal(in.channel, 3);
	wr_buffer_unref(in.buffer);
	c.answer = 0;
	assert_int_equal(wr_gate_next(gate, &in, choose, &c), WR_OK);
	assert_int_equal(c.asked, 1);
	assert_int_equal(in.channel, 1);
	wr_buffer_unref(in.buffer);
	close_gate(4);
}

/* ---- rows in pieces ---- */

static void push_piece(uint32_t channel, const uint8_t *p, uint32_t len, enum wr_fragment fragment)
{
	struct wr_buffer *b = wr_buffer_alone(64);

	memcpy(b->data, p, len);
	b->len = b->rows_len = len;
	b->fragment = fragment;
	wr_channel_push(channels[channel], b);
}

static void rows_in_pieces_are_put_together_for_each_channel(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;
	struct wr_input in;

	(void)state;
	open_gate(2);
	kit_put(&row, (struct kit_row){1, 5, 100});
	assert_in_range(row.len, 129, 192);
	for (uint32_t c = 0; c < 2; c++) {
		push_piece(c, row.data, 64, WR_FRAGMENT);
		push_piece(c, row.data + 64, 64, WR_FRAGMENT);
	}
	next_says(WR_AGAIN);
	push_piece(1, row.data + 128, (uint32_t)row.len - 128, WR_FRAGMENT_LAST);
	push(1, 9);
	assert_int_equal(wr_gate_next(gate, &in, NULL, NULL), WR_OK);
	assert_int_equal(in.channel, 1);
	assert_int_equal(in.buffer->row_count, 1);
	assert_int_equal(in.buffer->len, row.len);
	assert_int_equal(in.buffer->rows_len, row.len);
	assert_memory_equal(in.buffer->data, row.data, row.len);
	wr_buffer_unref(in.buffer);
	next_is(1, 9);
	close_gate(2); /* channel 0's row never came to its end */
	wr_bytes_deinit(&row);
}

static void a_refused_allocation_is_an_error_and_leaks_nothing(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;

	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_gate_new(NULL, 0));
	open_gate(1);
	kit_put(&row, (struct kit_row){1, 5, 100});
	push_piece(0, row.data, 64, WR_FRAGMENT);
	wr_mem_fail_at(1);
	next_says(WR_EFATAL);
	wr_mem_fail_at(0);
	close_gate(1);
	wr_bytes_deinit(&row);
}

static void push_to(struct wr_channel *c, uint32_t number)
{
	struct wr_buffer *b = wr_buffer_alone(64);

	b->row_count = number;
	wr_channel_push(c, b);
}

static bool add_number(void *arg, struct wr_buffer *b)
{
	*(uint32_t *)arg = *(uint32_t *)arg * 10 + b->row_count;
	return b->row_count < 8;
}

static uint32_t waiting(uint32_t channel)
{
	uint32_t numbers = 0;

	wr_gate_each(gate, channel, add_number, &numbers);
	return numbers;
}

static void what_a_channel_begins_with_comes_before_what_was_pushed(void **state)
{
	static const struct wr_notify nobody;
	struct wr_channel *first = wr_ring_new(&nobody);

	(void)state;
	open_gate(2);
	push(0, 3);
	push_to(first, 1);
	push_to(first, 2);
	assert_int_equal(wr_gate_begin_with(gate, 0, first), WR_OK);
	assert_int_equal(waiting(0), 123);
	assert_int_equal(waiting(1), 0);
	push(1, 4);
	next_is(0, 1);
	wr_gate_block(gate, 0);
	next_is(1, 4);
	next_says(WR_AGAIN);
	wr_gate_unblock_all(gate);
	next_is(0, 2);
	next_is(0, 3);
	next_says(WR_AGAIN);
	push(0, 5);
	push(0, 8);
	push(0, 6);
	assert_int_equal(waiting(0), 58); /* until it says false */
	next_is(0, 5);
	close_gate(2);
}

static void the_channel_that_is_behind_comes_before_its_turn(void **state)
{
	(void)state;
	open_gate(3);
	for (uint32_t i = 0; i < 2; i++)
		for (uint32_t c = 0; c < 3; c++)
			push(c, i);
	wr_gate_prefer(gate, 2);
	next_is(2, 0);
	next_is(2, 1);
	next_is(0, 0); /* it is empty: turns go on where they were */
	push(2, 2);
	next_is(2, 2);
	wr_gate_prefer(gate, -1);
	next_is(1, 0);
	next_is(0, 1);
	next_is(1, 1);
	next_says(WR_AGAIN);
	close_gate(3);
}

static void one_that_stays_behind_leaves_the_others_their_turns(void **state)
{
	uint32_t others = 0;

	(void)state;
	open_gate(2);
	for (uint32_t i = 0; i < 100; i++)
		for (uint32_t c = 0; c < 2; c++)
			push(c, i);
	wr_gate_prefer(gate, 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct wr_input in;

		assert_int_equal(wr_gate_next(gate, &in, NULL, NULL), WR_OK);
		others += in.channel == 1;
		wr_buffer_unref(in.buffer);
	}
	assert_in_range(others, 5, 25);
	close_gate(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(filled_channels_take_turns, kit_no_leak),
	    cmocka_unit_test_teardown(what_a_channel_begins_with_comes_before_what_was_pushed, kit_no_leak),
	    cmocka_unit_test_teardown(the_channel_that_is_behind_comes_before_its_turn, kit_no_leak),
	    cmocka_unit_test_teardown(one_that_stays_behind_leaves_the_others_their_turns, kit_no_leak),
	    cmocka_unit_test_teardown(a_full_channel_does_not_starve_the_others, kit_no_leak),
	    cmocka_unit_test_teardown(nothing_comes_from_a_blocked_channel_until_it_is_unblocked,
				      kit_no_leak),
	    cmocka_unit_test_teardown(a_gate_ends_when_all_channels_have_ended, kit_no_leak),
	    cmocka_unit_test_teardown(choose_picks_among_the_filled_channels_by_number, kit_no_leak),
	    cmocka_unit_test_teardown(rows_in_pieces_are_put_together_for_each_channel, kit_no_leak),
	    cmocka_unit_test_teardown(a_refused_allocation_is_an_error_and_leaks_nothing, kit_no_leak),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
