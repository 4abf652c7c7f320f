/* SPDX-License-Identifier: Apache-2.0 */
/* in_flight: what a barrier overtook is recorded once and in order, whoever reads or writes meanwhile. */
#include "exchange/in_flight.h"
#include "unit/exchange/kit.h"

enum { CHANNELS = 3, BUFFER = 256, STEPS = 120, CHECKPOINT = 7 };

/* One channel: what was sent before the barrier and not read when recording began, as it should be recorded.
 */
struct side {
	struct wr_channel *channel;
	struct wr_writer *writer;
	struct wr_bytes sent; /* rows and watermarks up to the barrier */
	size_t read;	      /* bytes of `sent` that were read whole */
	bool early, barrier;
};

static struct world {
	struct wr_rand r;
	struct wr_pools *pools;
	struct side sides[CHANNELS];
	struct wr_gate *gate;
	struct wr_in_flight *f;
	uint32_t whole, in_pieces; /* of all seeds */
} w;

static void make(uint64_t seed)
{
	static const struct wr_notify nobody;
	struct wr_gate_channel list[CHANNELS];

	w = (struct world){.r = {seed}, .whole = w.whole, .in_pieces = w.in_pieces};
	w.pools = wr_pools_new(BUFFER, INT64_MAX);
	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct side *s = &w.sides[i];
		struct wr_writer_options o = {.name = "side",
					      .partitioning = WR_FORWARD,
					      .channels = &s->channel,
					      .channel_count = 1,
					      .timeout_us = -1};

		s->channel = wr_ring_new(&nobody);
		o.pool = wr_pool_new(w.pools, "side", 1000, 1, &nobody);
		s->writer = wr_writer_new(&o);
		list[i] = (struct wr_gate_channel){s->channel, i % 2};
	}
	w.gate = wr_gate_new(list, CHANNELS);
}

static void drop(void)
{
	wr_in_flight_free(w.f);
	wr_gate_free(w.gate);
	for (uint32_t i = 0; i < CHANNELS; i++) {
		w.sides[i].channel->ops->free(w.sides[i].channel);
		wr_writer_free(w.sides[i].writer);
		wr_bytes_deinit(&w.sides[i].sent);
	}
	wr_pools_free(w.pools);
}

static void send(struct side *s, int64_t n)
{
	struct wr_bytes row = WR_BYTES_EMPTY;
	uint8_t event[WR_ELEM_HEADER];

	if (wr_rand_below(&w.r, 5) == 0) {
		assert_int_equal(wr_writer_event(s->writer, WR_EV_WATERMARK, n, NULL, 0), WR_OK);
		wr_writer_flush(s->writer, 0, true);
		if (!s->barrier)
			wr_bytes_put(&s->sent, event, wr_event_put(event, WR_EV_WATERMARK, n));
		return;
	}
	kit_put(&row,
		(struct kit_row){1, (double)n, wr_rand_below(&w.r, 3) ? 0 : wr_rand_below(&w.r, 4 * BUFFER)});
	assert_int_equal(wr_writer_rows(s->writer, row.data, row.data + row.len), WR_OK);
	if (!s->barrier)
		wr_bytes_put(&s->sent, row.data, row.len);
	wr_bytes_deinit(&row);
}

static void send_something(int64_t n)
{
	struct side *s = &w.sides[wr_rand_below(&w.r, CHANNELS)];

	switch (wr_rand_below(&w.r, 12)) {
	case 0:
		if (!s->barrier && !s->early) {
			wr_writer_event(s->writer, WR_EV_BARRIER, CHECKPOINT, &(uint64_t){0}, 8);
			s->barrier = true;
		}
		return;
	case 1:
		wr_writer_event(s->writer, WR_EV_IDLE, 0, NULL, 0);
		return;
	case 2:
		wr_writer_event(s->writer, WR_EV_BARRIER, CHECKPOINT - 1, &(uint64_t){0},
				8); /* one that is off */
		return;
	case 3:
		wr_writer_flush(s->writer, 0, true);
		return;
	default:
		send(s, n);
	}
}

static void read_something(void)
{
	struct wr_input in;
	struct side *s;

	if (wr_gate_next(w.gate, &in, NULL, NULL) != WR_OK)
		return;
	s = &w.sides[in.channel];
	s->read += in.buffer->rows_len;
	for (const uint8_t *p = in.buffer->data + in.buffer->rows_len; p < in.buffer->data + in.buffer->len;
	     p += ((const struct wr_elem *)p)->len)
		if (wr_event_type((const struct wr_elem *)p) == WR_EV_WATERMARK)
			s->read += ((const struct wr_elem *)p)->len;
	wr_buffer_unref(in.buffer);
}

static void check(void)
{
	for (uint32_t i = 0; i < CHANNELS; i++) {
		const struct side *s = &w.sides[i];
		const struct wr_in_flight_channel *c = &w.f->channels[i];

		assert_int_equal(c->input, i % 2);
		assert_int_equal(c->rows.len, s->sent.len - s->read);
		if (c->rows.len)
			assert_memory_equal(c->rows.data, s->sent.data + s->read, c->rows.len);
		w.whole += c->rows.len > 0;
	}
}

static void one_schedule(uint64_t seed)
{
	uint32_t read;

	make(seed);
	read = wr_rand_below(&w.r, STEPS); /* until then; barriers come later */
	for (uint32_t i = 0; i < STEPS; i++) {
		for (uint32_t k = 0; k < CHANNELS; k++)
			w.sides[k].early = i < read;
		send_something(i);
		if (i < read && wr_rand_below(&w.r, 2))
			read_something();
	}
	w.f = wr_in_flight_new(w.gate, CHECKPOINT);
	for (uint32_t k = 0; k < CHANNELS; k++) {
		assert_int_equal(wr_in_flight_waits(w.gate, k, CHECKPOINT, NULL), w.sides[k].barrier);
		if (!w.sides[k].barrier)
			wr_writer_event(w.sides[k].writer, WR_EV_END, 0, NULL, 0);
		assert_true(wr_in_flight_waits(w.gate, k, CHECKPOINT, NULL));
		w.in_pieces += wr_gate_partial(w.gate, k) != NULL;
		wr_in_flight_record(w.f, w.gate, k, NULL);
	}
	check();
	drop();
}

static void random_schedules_record_what_the_barrier_overtook(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++)
		one_schedule(seed);
	assert_true(w.whole > 1000 && w.in_pieces > 100);
}

static void what_is_held_for_the_task_is_recorded_first(void **state)
{
	struct wr_input held;

	(void)state;
	make(1);
	send(&w.sides[0], 1);
	send(&w.sides[0], 2);
	wr_writer_event(w.sides[0].writer, WR_EV_BARRIER, CHECKPOINT, &(uint64_t){0}, 8);
	assert_int_equal(wr_gate_next(w.gate, &held, NULL, NULL), WR_OK);
	w.f = wr_in_flight_new(w.gate, CHECKPOINT);
	wr_in_flight_record(w.f, w.gate, 0, &held);
	assert_int_equal(w.f->channels[0].rows.len, w.sides[0].sent.len);
	assert_int_equal(wr_in_flight_bytes(w.f), w.sides[0].sent.len);
	wr_buffer_unref(held.buffer);
	drop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(random_schedules_record_what_the_barrier_overtook, kit_no_leak),
	    cmocka_unit_test_teardown(what_is_held_for_the_task_is_recorded_first, kit_no_leak),
	};

	return cmocka_run_group_tests_name("in_flight", tests, NULL, NULL);
}
