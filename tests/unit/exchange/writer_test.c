/* SPDX-License-Identifier: Apache-2.0 */
/* writer: when buffers leave, what events and pages do, and what a writer without buffers waits for. */
#include "unit/exchange/writing.h"

static void a_full_buffer_leaves_and_a_partly_filled_one_stays(void **state)
{
	struct wr_writer_stats s;

	(void)state;
	open_plain(WR_FORWARD, 1);
	for (int i = 0; i < SIZE / 32; i++)
		add(i, i);
	send();
	assert_true(wr_ring_empty(channels[0]));
	add(9, 9);
	send();
	assert_int_equal(channels[0]->ops->queued(channels[0]), 1);
	wr_writer_stats(w, &s);
	assert_int_equal(s.rows, SIZE / 32);
	assert_int_equal(s.bytes, SIZE);
	assert_int_equal(s.buffers, 1);
	assert_int_equal(s.queued_max, 1);
	assert_int_equal(s.pool.in_use, 2);
	close_all(1);
}

static void an_event_comes_behind_the_rows_in_every_channel(void **state)
{
	uint64_t payload = 77;

	(void)state;
	for (int p = WR_FORWARD; p <= WR_CUSTOM; p++) {
		open_plain((enum wr_partitioning)p, 3);
		if (p != WR_CUSTOM)
			for (int i = 0; i < 6; i++)
				add(i, i);
		send();
		assert_int_equal(wr_writer_event(w, WR_EV_BARRIER, 5, &payload, sizeof payload), WR_OK);
		assert_int_equal(wr_writer_event(w, WR_EV_WATERMARK, 6, NULL, 0), WR_OK);
		wr_writer_flush(w, 0, false);
		for (uint32_t c = 0; c < 3; c++) {
			struct wr_buffer *b = wr_ring_pop(channels[c]);
			const struct wr_elem *e = (const struct wr_elem *)(b->data + b->rows_len);

			assert_int_equal(b->rows_len, b->row_count * 32);
			assert_int_equal(b->len, b->rows_len + 24);
			assert_int_equal(wr_event_type(e), WR_EV_BARRIER);
			assert_int_equal(e->ts, 5);
			assert_int_equal(e->len, 24);
			assert_memory_equal(wr_elem_body(e), &payload, 8);
			wr_buffer_unref(b);
			b = wr_ring_pop(channels[c]);
			assert_int_equal(b->rows_len, 0);
			assert_int_equal(b->len, 16);
			assert_int_equal(wr_event_type((const struct wr_elem *)b->data), WR_EV_WATERMARK);
			wr_buffer_unref(b);
			assert_true(wr_ring_empty(channels[c]));
		}
		close_all(3);
	}
}

static void channels_without_rows_share_the_buffer_of_an_event(void **state)
{
	struct wr_buffer *b[3];
	struct wr_writer_stats stats;

	(void)state;
	open_plain(WR_REBALANCE, 3);
	add(1, 1);
	send();
	assert_int_equal(wr_writer_event(w, WR_EV_IDLE, 6, NULL, 0), WR_OK);
	wr_writer_stats(w, &stats);
	assert_int_equal(stats.pool.in_use, 2);
	for (uint32_t c = 0; c < 3; c++)
		b[c] = wr_ring_pop(channels[c]);
	for (uint32_t c = 0; c < 3; c++)
		assert_true(b[c]->rows_len > 0 || b[c] == b[(c + 1) % 3] || b[c] == b[(c + 2) % 3]);
	for (uint32_t c = 0; c < 3; c++)
		wr_buffer_unref(b[c]);
	close_all(3);
}

/* What came out of channel c: numbers of rows, watermarks as -ts; frees them. */
static void came(uint32_t c, const char *expected)
{
	struct wr_bytes said = WR_BYTES_EMPTY;
	struct wr_buffer *b;

	while ((b = wr_ring_pop(channels[c]))) {
		for (uint32_t at = 0; at < b->len;) {
			const struct wr_elem *e = (const struct wr_elem *)(b->data + at);

			if (!wr_elem_is_event(e))
				wr_bytes_printf(&said, "%d ", (int)kit_n(e));
			else
				wr_bytes_printf(&said, "%c%d ", "?wb"[wr_event_type(e)], (int)e -> ts);
			at += e->len;
		}
		wr_buffer_unref(b);
	}
	wr_bytes_put(&said, "", 1);
	assert_string_equal((const char *)said.data, expected);
	wr_bytes_deinit(&said);
}

static void to(uint32_t channel, double n)
{
	kit_put_custom(&rows, channel, n);
	send();
}

static void event(enum wr_event_type type, int64_t ts)
{
	assert_int_equal(wr_writer_event(w, type, ts, NULL, 0), WR_OK);
}

static void of_watermarks_without_rows_between_them_the_last_one_goes(void **state)
{
	(void)state;
	open_plain(WR_CUSTOM, 2);
	to(0, 1);
	event(WR_EV_WATERMARK, 5);
	came(0, "1 w5 ");
	came(1, "");
	event(WR_EV_WATERMARK, 6);
	event(WR_EV_WATERMARK, 7);
	came(0, "");
	to(1, 2);
	event(WR_EV_WATERMARK, 8);
	came(0, "");
	came(1, "w7 2 w8 ");
	event(WR_EV_BARRIER, 1);
	came(0, "w8 b1 ");
	came(1, "b1 ");
	event(WR_EV_WATERMARK, 9);
	wr_writer_flush(w, 0, false);
	came(0, "w9 ");
	came(1, "w9 ");
	wr_writer_flush(w, 0, true);
	came(0, "");
	close_all(2);
}

static void a_page_comes_behind_the_watermark_before_it(void **state)
{
	uint8_t *end, *page;

	(void)state;
	open_plain(WR_FORWARD, 1);
	event(WR_EV_WATERMARK, 5);
	page = wr_writer_page(w, 64, &end);
	assert_non_null(page);
	add(1, 1);
	memcpy(page, rows.data, rows.len);
	wr_writer_commit(w, page + rows.len, 1);
	rows.len = 0;
	wr_writer_flush(w, 0, true);
	came(0, "w5 1 ");
	close_all(1);
}

/* Two writers into inputs of one task. */
static void what_waits_for_one_input_follows_a_full_buffer_for_the_other(void **state)
{
	struct wr_writer_options o = options(WR_CUSTOM, 2);
	struct wr_writer *ahead;
	double n[64];

	(void)state;
	open_plain(WR_CUSTOM, 2);
	ahead = w;
	while (!wr_writer_ahead(ahead))
		to(1, 1);
	assert_true(received(1, n, 64) > 0);
	o.pool = wr_pool_new(pools, "second", 100, 2, &ready.notify);
	w = wr_writer_new(&o);
	to(0, 7);
	to(1, 8);
	wr_writer_follow(w, ahead);
	came(0, "");
	came(1, "8 ");
	wr_writer_followed(ahead);
	assert_false(wr_writer_ahead(ahead));
	to(1, 9);
	wr_writer_follow(w, ahead);
	came(1, "");
	wr_writer_free(ahead);
	close_all(2);
}

static void a_payload_is_padded_with_zeros(void **state)
{
	struct wr_buffer *b;

	(void)state;
	open_plain(WR_FORWARD, 1);
	assert_int_equal(wr_writer_event(w, WR_EV_LATENCY, 1, "abcdefghijk", 11), WR_OK);
	b = wr_ring_pop(channels[0]);
	assert_int_equal(b->len, 32);
	assert_memory_equal(b->data + 16, "abcdefghijk\0\0\0\0\0", 16);
	wr_buffer_unref(b);
	close_all(1);
}

static void a_row_larger_than_a_buffer_travels_in_pieces_in_order(void **state)
{
	struct wr_bytes got = WR_BYTES_EMPTY, sent = WR_BYTES_EMPTY;
	struct wr_buffer *b;
	uint32_t pieces = 0;

	(void)state;
	open_plain(WR_FORWARD, 1);
	add(1, 1);
	send();
	kit_put(&rows, (struct kit_row){2, 2, 1000});
	kit_put(&sent, (struct kit_row){2, 2, 1000});
	add(3, 3);
	send();
	wr_writer_flush(w, 0, true);
	b = wr_ring_pop(channels[0]);
	assert_int_equal(b->fragment, WR_WHOLE);
	assert_int_equal(b->row_count, 1);
	wr_buffer_unref(b);
	do {
		b = wr_ring_pop(channels[0]);
		pieces++;
		assert_int_equal(b->fragment, got.len + b->len < sent.len ? WR_FRAGMENT : WR_FRAGMENT_LAST);
		assert_int_equal(b->row_count, got.len + b->len == sent.len);
		wr_bytes_put(&got, b->data, b->len);
		wr_buffer_unref(b);
	} while (got.len < sent.len);
	assert_int_equal(pieces, (sent.len + SIZE - 1) / SIZE);
	assert_memory_equal(got.data, sent.data, sent.len);
	b = wr_ring_pop(channels[0]);
	assert_int_equal(b->fragment, WR_WHOLE);
	wr_buffer_unref(b);
	wr_bytes_deinit(&got);
	wr_bytes_deinit(&sent);
	close_all(1);
}

static void a_page_is_the_room_of_the_current_buffer(void **state)
{
	uint8_t *end, *at;
	double n[20];

	(void)state;
	for (int p = 0; p < 2; p++) {
		open_plain(p ? WR_BROADCAST : WR_HASH, p ? 3 : 1);
		assert_true(wr_writer_single(w));
		add(1, 0);
		send();
		for (int i = 1; i < 12; i++) {
			at = wr_writer_page(w, 32, &end);
			assert_non_null(at);
			assert_true(end - at >= 32 && end - at <= SIZE);
			add(1, i);
			memcpy(at, rows.data, 32);
			rows.len = 0;
			wr_writer_commit(w, at + 32, 1);
		}
		assert_null(wr_writer_page(w, SIZE + 8, &end));
		wr_writer_flush(w, 0, true);
		for (uint32_t c = 0; c < (p ? 3u : 1u); c++) {
			assert_int_equal(received(c, n, 20), 12);
			for (int i = 0; i < 12; i++)
				assert_true(n[i] == i);
		}
		close_all(p ? 3 : 1);
	}
}

static void a_flush_takes_only_buffers_whose_time_is_up(void **state)
{
	struct wr_writer_options o = options(WR_RESCALE, 2);

	(void)state;
	o.timeout_us = 10;
	open_with(o, 1000);
	assert_true(wr_writer_flush(w, 1000, false) == UINT64_MAX);
	add(1, 1);
	send(); /* channel 0 */
	assert_true(wr_writer_flush(w, 2000, false) == 12000);
	add(2, 2);
	send(); /* channel 1 */
	assert_true(wr_writer_flush(w, 7000, false) == 12000);
	assert_true(wr_writer_flush(w, 11999, false) == 12000);
	assert_true(wr_ring_empty(channels[0]));
	assert_true(wr_writer_flush(w, 12000, false) == 17000);
	assert_false(wr_ring_empty(channels[0]));
	assert_true(wr_ring_empty(channels[1]));
	add(3, 3);
	send(); /* channel 0: its time begins anew */
	assert_true(wr_writer_flush(w, 17000, false) == 27000);
	assert_false(wr_ring_empty(channels[1]));
	close_all(2);
}

static void timeout_zero_flushes_always_and_minus_one_never(void **state)
{
	struct wr_writer_options o = options(WR_FORWARD, 1);

	(void)state;
	o.timeout_us = 0;
	open_with(o, 1000);
	add(1, 1);
	send();
	assert_true(wr_writer_flush(w, 5, false) == UINT64_MAX);
	assert_false(wr_ring_empty(channels[0]));
	close_all(1);
	open_plain(WR_FORWARD, 1);
	add(1, 1);
	send();
	assert_true(wr_writer_flush(w, UINT64_MAX - 1, false) == UINT64_MAX);
	assert_true(wr_ring_empty(channels[0]));
	wr_writer_flush(w, 5, true);
	assert_false(wr_ring_empty(channels[0]));
	close_all(1);
}

static void a_writer_without_buffers_is_not_ready_until_some_are_back(void **state)
{
	struct wr_writer_stats s;
	double n[100];

	(void)state;
	open_with(options(WR_FORWARD, 1), 4); /* one for events, three for rows */
	for (int i = 0; i < 3 * SIZE / 32; i++)
		add(i, i);
	send();
	assert_false(wr_writer_ready(w));
	assert_false(wr_writer_wait(w));
	for (int i = 0; i < 2 * SIZE / 32; i++)
		add(i, i);
	send(); /* emitting does not wait */
	wr_writer_stats(w, &s);
	assert_int_equal(s.pool.overdrafts, 2);
	assert_int_equal(bell_count(&ready), 0);
	received(0, n, 100);
	assert_int_equal(bell_count(&ready), 1);
	assert_true(wr_writer_ready(w));
	close_all(1);
}

/* Every channel holds a buffer that nobody else can give back. */
static void a_writer_that_holds_what_it_waits_for_lets_go(void **state)
{
	double n[8];

	(void)state;
	open_with(options(WR_RESCALE, 4), 5); /* four for events, one for rows */
	for (int i = 0; i < 4; i++)
		add(i, i);
	send();
	assert_false(wr_writer_ready(w));
	assert_false(wr_writer_wait(w));
	for (uint32_t c = 0; c < 4; c++)
		assert_int_equal(received(c, n, 8), 1);
	assert_int_equal(bell_count(&ready), 1);
	assert_true(wr_writer_ready(w));
	close_all(4);
}

static void a_page_keeps_a_pool_of_one_buffer_going(void **state)
{
	uint8_t *end;

	(void)state;
	open_with(options(WR_FORWARD, 1), 2); /* one for events, one for rows */
	assert_non_null(wr_writer_page(w, 32, &end));
	assert_true(wr_writer_ready(w));
	close_all(1);
}

static void a_refused_allocation_is_an_error_and_leaks_nothing(void **state)
{
	struct wr_writer_options o = options(WR_HASH, 3);
	bool refused = true;

	(void)state;
	kit_put(&rows, (struct kit_row){1, 1, 0}); /* shapes are known from now on */
	kit_put(&rows, (struct kit_row){2, 2, 1000});
	open_plain(WR_HASH, 3);
	for (int n = 1; n < 60; n++) {
		o.pool = wr_pool_new(pools, "second", 10, 3, NULL);
		wr_mem_fail_at(n);
		struct wr_writer *second = wr_writer_new(&o);
		refused = !second;
		if (second) {
			refused = kit_send(second, &rows) != WR_OK;
			refused |= wr_writer_event(second, WR_EV_END, 0, NULL, 0) != WR_OK;
			wr_writer_free(second);
		} else {
			wr_pool_free(o.pool);
		}
		wr_mem_fail_at(0);
		assert_true(!refused || wr_error_code() == WR_EFATAL);
	}
	assert_false(refused);
	close_all(3);
}

static void a_marker_goes_to_one_channel_after_the_other(void **state)
{
	uint64_t payload = 9;

	(void)state;
	open_plain(WR_HASH, 3);
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(wr_writer_marker(w, i, &payload, sizeof payload), WR_OK);
		for (uint32_t c = 0; c < 3; c++) {
			struct wr_buffer *b = wr_ring_pop(channels[c]);

			assert_int_equal(b != NULL, c == i % 3);
			if (!b)
				continue;
			assert_int_equal(wr_event_type((struct wr_elem *)b->data), WR_EV_LATENCY);
			assert_int_equal(((struct wr_elem *)b->data)->ts, i);
			assert_memory_equal(wr_elem_body((struct wr_elem *)b->data), &payload,
					    sizeof payload);
			wr_buffer_unref(b);
		}
	}
	close_all(3);
}

static void rows_that_a_channel_lost_are_an_error_until_the_end(void **state)
{
	(void)state;
	open_plain(WR_FORWARD, 1);
	kit_put(&rows, (struct kit_row){1, 1, 0});
	for (uint32_t n = 0; wr_writer_status(w) == WR_OK; n++) {
		assert_true(n < 100);
		assert_int_equal(kit_send(w, &rows), WR_OK);
		wr_mem_fail_at(1); /* of the queue: the buffers of the pool are there */
		wr_writer_flush(w, 0, true);
		wr_mem_fail_at(0);
	}
	assert_int_equal(wr_error_code(), WR_EFATAL);
	assert_int_equal(wr_writer_event(w, WR_EV_END, 0, NULL, 0), WR_EFATAL);
	close_all(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_full_buffer_leaves_and_a_partly_filled_one_stays),
	    cmocka_unit_test(an_event_comes_behind_the_rows_in_every_channel),
	    cmocka_unit_test(channels_without_rows_share_the_buffer_of_an_event),
	    cmocka_unit_test(of_watermarks_without_rows_between_them_the_last_one_goes),
	    cmocka_unit_test(a_page_comes_behind_the_watermark_before_it),
	    cmocka_unit_test(what_waits_for_one_input_follows_a_full_buffer_for_the_other),
	    cmocka_unit_test(a_payload_is_padded_with_zeros),
	    cmocka_unit_test(a_row_larger_than_a_buffer_travels_in_pieces_in_order),
	    cmocka_unit_test(a_page_is_the_room_of_the_current_buffer),
	    cmocka_unit_test(a_flush_takes_only_buffers_whose_time_is_up),
	    cmocka_unit_test(timeout_zero_flushes_always_and_minus_one_never),
	    cmocka_unit_test(a_writer_without_buffers_is_not_ready_until_some_are_back),
	    cmocka_unit_test(a_writer_that_holds_what_it_waits_for_lets_go),
	    cmocka_unit_test(a_page_keeps_a_pool_of_one_buffer_going),
	    cmocka_unit_test(a_refused_allocation_is_an_error_and_leaks_nothing),
	    cmocka_unit_test(a_marker_goes_to_one_channel_after_the_other),
	    cmocka_unit_test(rows_that_a_channel_lost_are_an_error_until_the_end),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
