/* SPDX-License-Identifier: Apache-2.0 */
/* partitioning: to which channels a writer sends a row (rows P of the semantics). */
#include "unit/exchange/writing.h"

static void forward_and_global_use_the_first_channel_alone(void **state)
{
	double n[8];

	(void)state;
	for (int p = 0; p < 2; p++) {
		open_plain(p ? WR_GLOBAL : WR_FORWARD, 3);
		assert_true(wr_writer_single(w));
		for (int i = 0; i < 6; i++)
			add(i, i);
		send();
		wr_writer_flush(w, 0, true);
		assert_int_equal(received(0, n, 8), 6);
		for (int i = 0; i < 6; i++)
			assert_true(n[i] == i);
		assert_int_equal(received(1, n, 8) + received(2, n, 8), 0);
		close_all(3);
	}
}

/* Against the rule itself: P2 (and P1 as decided) by a keyer of the test's own. */
static void P2_hash_sends_a_row_to_the_subtask_of_its_key_group(void **state)
{
	static const uint32_t max_parallelisms[] = {128, 100, 5, 32768};
	static const struct wr_str key_name = {"k", 1};
	static double n[1000];

	(void)state;
	for (unsigned m = 0; m < NUMBER_OF(max_parallelisms); m++) {
		struct wr_writer_options o = options(WR_HASH, CHANNELS);
		struct wr_keyer *keyer = wr_keyer_new(&key_name, 1);
		uint32_t expected[1000], at[CHANNELS] = {0}, total = 0;

		o.max_parallelism = max_parallelisms[m];
		open_with(o, 1000);
		for (int i = 0; i < 1000; i++) {
			size_t begin = rows.len;
			struct wr_key key;

			add(i % 321, i);
			assert_int_equal(
			    wr_keyer_key(keyer, (const struct wr_elem *)(rows.data + begin), &key), 0);
			expected[i] = wr_key_group_subtask(wr_key_group(key.hash, o.max_parallelism),
							   o.max_parallelism, CHANNELS);
		}
		wr_keyer_free(keyer);
		send();
		wr_writer_flush(w, 0, true);
		for (uint32_t c = 0; c < CHANNELS; c++) {
			at[c] = received(c, n, 1000);
			assert_true(at[c] > 0);
			for (uint32_t i = 0; i < at[c]; i++) {
				assert_int_equal(expected[(int)n[i]], c);
				assert_true(i == 0 || n[i] > n[i - 1]);
			}
			total += at[c];
		}
		assert_int_equal(total, 1000);
		close_all(CHANNELS);
	}
}

static void P6_a_row_without_a_key_is_the_users_error(void **state)
{
	double n[8];

	(void)state;
	open_plain(WR_HASH, 2);
	add(1, 1);
	kit_put_custom(&rows, 0, 2); /* has no field k */
	add(1, 3);
	bad_answer = WR_OK; /* skipped */
	send();
	assert_int_equal(bad_rows, 1);
	wr_writer_flush(w, 0, true);
	assert_int_equal(received(0, n, 8) + received(1, n, 8), 2);
	kit_put_custom(&rows, 0, 2);
	bad_answer = WR_EUSER;
	assert_int_equal(kit_send(w, &rows), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "'k'"));
	close_all(2);
}

static void P9_rebalance_begins_at_a_random_channel_and_goes_round(void **state)
{
	bool began_at[CHANNELS] = {false};
	double n[8];

	(void)state;
	for (uint64_t seed = 0; seed < 64; seed++) {
		struct wr_writer_options o = options(WR_REBALANCE, CHANNELS);
		uint32_t first = CHANNELS;

		o.seed = seed;
		open_with(o, 1000);
		for (int i = 0; i < 2 * CHANNELS; i++)
			add(i, i);
		send();
		wr_writer_flush(w, 0, true);
		for (uint32_t c = 0; c < CHANNELS; c++) {
			assert_int_equal(received(c, n, 8), 2);
			assert_true(n[1] == n[0] + CHANNELS);
			if (n[0] == 0)
				first = c;
		}
		assert_true(first < CHANNELS);
		began_at[first] = true;
		close_all(CHANNELS);
	}
	for (int c = 0; c < CHANNELS; c++)
		assert_true(began_at[c]);
}

static void P10_rescale_begins_at_its_first_channel(void **state)
{
	double n[8];

	(void)state;
	for (uint64_t seed = 0; seed < 16; seed++) {
		struct wr_writer_options o = options(WR_RESCALE, 3);

		o.seed = seed;
		open_with(o, 1000);
		for (int i = 0; i < 7; i++)
			add(i, i);
		send();
		wr_writer_flush(w, 0, true);
		for (uint32_t c = 0; c < 3; c++) {
			assert_int_equal(received(c, n, 8), c == 0 ? 3 : 2);
			assert_true(n[0] == c && n[1] == c + 3);
		}
		close_all(3);
	}
}

static void P11_a_custom_channel_out_of_range_is_the_users_error(void **state)
{
	static const double bad[] = {-1, 3, 0.5, NAN, INFINITY, 1e300};
	double n[8];

	(void)state;
	open_plain(WR_CUSTOM, 3);
	for (unsigned i = 0; i < NUMBER_OF(bad); i++)
		kit_put_custom(&rows, bad[i], i);
	add(1, 1); /* no channel at all */
	for (int i = 0; i < 6; i++)
		kit_put_custom(&rows, i % 3, 100 + i);
	send();
	assert_int_equal(bad_rows, NUMBER_OF(bad) + 1);
	wr_writer_flush(w, 0, true);
	for (uint32_t c = 0; c < 3; c++) {
		assert_int_equal(received(c, n, 8), 2);
		assert_true(n[0] == 100 + c && n[1] == 103 + c);
	}
	close_all(3);

	open_plain(WR_CUSTOM, 1); /* also where every row would go the same way */
	assert_false(wr_writer_single(w));
	kit_put_custom(&rows, 1, 1);
	bad_answer = WR_EUSER;
	assert_int_equal(kit_send(w, &rows), WR_EUSER);
	close_all(1);
}

static void shuffle_reaches_every_channel_and_a_seed_repeats_it(void **state)
{
	static double n[2][CHANNELS][400];
	uint32_t count[2][CHANNELS];

	(void)state;
	for (int round = 0; round < 2; round++) {
		open_plain(WR_SHUFFLE, CHANNELS);
		for (int i = 0; i < 400; i++)
			add(i, i);
		send();
		wr_writer_flush(w, 0, true);
		for (uint32_t c = 0; c < CHANNELS; c++) {
			count[round][c] = received(c, n[round][c], 400);
			assert_in_range(count[round][c], 40, 120);
		}
		close_all(CHANNELS);
	}
	assert_memory_equal(count[0], count[1], sizeof count[0]);
	for (uint32_t c = 0; c < CHANNELS; c++)
		assert_memory_equal(n[0][c], n[1][c], count[0][c] * sizeof(double));
}

static void broadcast_shares_one_buffer_among_all_channels(void **state)
{
	struct wr_buffer *b[3];

	(void)state;
	open_plain(WR_BROADCAST, 3);
	add(1, 1);
	send();
	wr_writer_flush(w, 0, true);
	for (int c = 0; c < 3; c++) {
		b[c] = wr_ring_pop(channels[c]);
		assert_non_null(b[c]);
		assert_ptr_equal(b[c], b[0]);
	}
	for (int c = 0; c < 3; c++) {
		assert_int_equal(atomic_load(&b[c]->refs), 3 - c);
		wr_buffer_unref(b[c]);
	}
	close_all(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forward_and_global_use_the_first_channel_alone),
	    cmocka_unit_test(P2_hash_sends_a_row_to_the_subtask_of_its_key_group),
	    cmocka_unit_test(P6_a_row_without_a_key_is_the_users_error),
	    cmocka_unit_test(P9_rebalance_begins_at_a_random_channel_and_goes_round),
	    cmocka_unit_test(P10_rescale_begins_at_its_first_channel),
	    cmocka_unit_test(P11_a_custom_channel_out_of_range_is_the_users_error),
	    cmocka_unit_test(shuffle_reaches_every_channel_and_a_seed_repeats_it),
	    cmocka_unit_test(broadcast_shares_one_buffer_among_all_channels),
	};

	return cmocka_run_group_tests_name("partitioning", tests, NULL, NULL);
}
