/* SPDX-License-Identifier: Apache-2.0 */
/* pool: what may be taken, what comes back, who is woken. */
#include <pthread.h>
#include "unit/exchange/kit.h"

enum { SIZE = 256, BYTES_MAX = 1 << 20 };

static struct bell bell;

static struct wr_pool *pool_of(struct wr_pools **pools, uint32_t limit, uint32_t reserve)
{
	struct wr_pool *pool;

	bell_init(&bell);
	*pools = wr_pools_new(SIZE, BYTES_MAX);
	pool = wr_pool_new(*pools, "test", limit, reserve, &bell.notify);
	assert_non_null(pool);
	return pool;
}

static struct wr_pool_stats stats_of(const struct wr_pool *pool)
{
	struct wr_pool_stats s;

	wr_pool_stats(pool, &s);
	return s;
}

static void a_buffer_comes_empty_with_one_reference(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 2, 1);
	struct wr_buffer *b = wr_pool_take(pool, false);

	(void)state;
	b->len = b->rows_len = 24;
	b->row_count = 1;
	b->fragment = WR_FRAGMENT_LAST;
	wr_buffer_unref(b);
	for (int i = 0; i < 2; i++) { /* the pool may give any of its buffers */
		b = wr_pool_take(pool, true);
		assert_int_equal(atomic_load(&b->refs), 1);
		assert_int_equal(b->len + b->rows_len + b->row_count + b->fragment, 0);
		assert_int_equal(b->size, SIZE);
		assert_int_equal((uintptr_t)b->data % 16, 0);
		wr_buffer_unref(b);
	}
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void rows_of_a_large_buffer_begin_at_a_cache_line(void **state)
{
	(void)state;
	for (uint32_t size = 2048; size <= 32768; size *= 4) {
		struct wr_buffer *b[7];

		for (int i = 0; i < 7; i++) {
			b[i] = wr_buffer_alone(size);
			assert_int_equal((uintptr_t)b[i]->data % 64, 0);
		}
		for (int i = 0; i < 7; i++)
			wr_buffer_unref(b[i]);
	}
}

static void the_reserve_is_for_events_alone(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 4, 2);
	struct wr_buffer *b[5];

	(void)state;
	assert_true(wr_pool_has(pool, 2));
	assert_false(wr_pool_has(pool, 3));
	b[0] = wr_pool_take(pool, false);
	b[1] = wr_pool_take(pool, false);
	assert_false(wr_pool_has(pool, 1));
	b[2] = wr_pool_take(pool, true);
	b[3] = wr_pool_take(pool, true);
	assert_int_equal(stats_of(pool).overdrafts, 0);
	b[4] = wr_pool_take(pool, true);
	assert_int_equal(stats_of(pool).overdrafts, 1);
	assert_int_equal(stats_of(pool).in_use, 5);
	for (int i = 0; i < 5; i++)
		wr_buffer_unref(b[i]);
	assert_true(wr_pool_has(pool, 2));
	assert_int_equal(stats_of(pool).in_use, 0);
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void a_row_that_takes_from_the_reserve_is_an_overdraft(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 3, 2);
	struct wr_buffer *b[3];

	(void)state;
	for (int round = 0; round < 2; round++) { /* made anew, and again from those that came back */
		for (int i = 0; i < 3; i++)
			b[i] = wr_pool_take(pool, false);
		assert_int_equal(stats_of(pool).overdrafts, 2 * (round + 1));
		for (int i = 0; i < 3; i++)
			wr_buffer_unref(b[i]);
	}
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void what_was_overdrawn_is_freed_when_it_is_back(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 2, 1);
	struct wr_buffer *b[20];
	int64_t before = kit_blocks();

	(void)state;
	for (int i = 0; i < 20; i++)
		b[i] = wr_pool_take(pool, false);
	assert_int_equal(kit_blocks(), before + 20);
	for (int i = 0; i < 20; i++)
		wr_buffer_unref(b[i]);
	assert_true(wr_pool_has(pool, 1));
	assert_int_equal(kit_blocks(), before + 2);
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void ready_fires_once_for_a_wait_that_said_no(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 3, 1);
	struct wr_buffer *a = wr_pool_take(pool, false), *b = wr_pool_take(pool, false);

	(void)state;
	assert_false(wr_pool_wait(pool, 1));
	assert_false(wr_pool_wait(pool, 1)); /* asked twice is asked once */
	assert_false(wr_pool_has(pool, 1));
	assert_int_equal(bell_count(&bell), 0);
	wr_buffer_unref(a);
	wr_buffer_unref(b);
	assert_int_equal(bell_count(&bell), 1);
	assert_true(wr_pool_has(pool, 1));
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void nobody_is_woken_who_did_not_wait(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 2, 1);
	struct wr_buffer *b = wr_pool_take(pool, false);

	(void)state;
	wr_buffer_unref(b);
	assert_true(wr_pool_wait(pool, 1)); /* it is back already */
	wr_buffer_unref(wr_pool_take(pool, false));
	assert_int_equal(bell_count(&bell), 0);
	b = wr_pool_take(pool, false);
	assert_false(wr_pool_wait(pool, 1));
	wr_pool_free(pool); /* the owner leaves while it waits */
	wr_buffer_unref(b);
	assert_int_equal(bell_count(&bell), 0);
	wr_pools_free(pools);
}

static void a_buffer_is_back_when_its_last_reader_is_done(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 2, 1);
	struct wr_buffer *b = wr_pool_take(pool, false);

	(void)state;
	wr_buffer_ref(b, 2);
	wr_buffer_unref(b);
	wr_buffer_unref(b);
	assert_false(wr_pool_has(pool, 1));
	wr_buffer_unref(b);
	assert_true(wr_pool_has(pool, 1));
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void the_bound_of_a_process_is_the_sum_of_its_pools(void **state)
{
	struct wr_pools *pools = wr_pools_new(1024, 10 * 1024);
	struct wr_pool *a = wr_pool_new(pools, "a", 4, 1, NULL), *b = wr_pool_new(pools, "b", 6, 1, NULL);

	(void)state;
	assert_null(wr_pool_new(pools, "one too many", 2, 1, NULL));
	assert_int_equal(wr_error_code(), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "one too many"));
	assert_non_null(strstr(wr_error_text(), "10240 of 10240"));
	assert_non_null(strstr(wr_error_text(), "--buffer-pool"));
	wr_pool_free(a);
	a = wr_pool_new(pools, "a", 3, 1, NULL);
	assert_non_null(a);
	wr_pool_free(b);
	wr_pool_free(a);
	wr_pools_free(pools);
}

static void a_pool_lives_until_its_last_buffer_is_back(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 3, 1);
	struct wr_buffer *a = wr_pool_take(pool, false), *b = wr_pool_take(pool, false);

	(void)state;
	wr_buffer_unref(a);
	wr_pool_free(pool);
	memset(b->data, 1, b->size);
	assert_null(wr_pool_new(pools, "all", BYTES_MAX / SIZE, 1, NULL));
	wr_buffer_unref(b);
	pool = wr_pool_new(pools, "all", BYTES_MAX / SIZE, 1, NULL);
	assert_non_null(pool);
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void a_refused_allocation_leaves_a_pool_as_it_was(void **state)
{
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 2, 1), *other;
	int64_t blocks = kit_blocks();

	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_pool_take(pool, false));
	assert_int_equal(wr_error_code(), WR_EFATAL);
	assert_int_equal(stats_of(pool).in_use, 0);
	wr_mem_fail_at(1);
	assert_null(wr_pool_new(pools, "other", 2, 1, NULL));
	assert_int_equal(kit_blocks(), blocks);
	wr_mem_fail_at(1);
	assert_null(wr_pools_new(SIZE, 1));
	wr_mem_fail_at(0);
	other = wr_pool_new(pools, "other", 2, 1, NULL);
	wr_pool_free(other);
	wr_pool_free(pool);
	wr_pools_free(pools);
}

/* Against a model: a bag of references, and a limit. */
static void random_takes_and_returns_agree_with_a_bag(void **state)
{
	struct wr_rand r = {7};
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 6, 2);
	struct wr_buffer *out[64];
	uint32_t n = 0;
	int64_t overdrafts = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		uint32_t what = wr_rand_below(&r, 8);

		if (what < 4 && n < NUMBER_OF(out) && (n < 12 || what == 0)) {
			bool event = wr_rand_below(&r, 4) == 0;

			overdrafts += n >= (event ? 6u : 4u);
			out[n++] = wr_pool_take(pool, event);
		} else if (what < 7 && n > 0) {
			uint32_t at = wr_rand_below(&r, n);

			wr_buffer_unref(out[at]);
			out[at] = out[--n];
		} else {
			uint32_t want = wr_rand_below(&r, 5);

			assert_int_equal(wr_pool_has(pool, want), n + want + 2 <= 6);
			assert_true(stats_of(pool).in_use >= n);
			if (n + want + 2 > 6) /* a pool that is not full need not look at what came back */
				assert_int_equal(stats_of(pool).in_use, n);
		}
		assert_int_equal(stats_of(pool).overdrafts, overdrafts);
	}
	while (n)
		wr_buffer_unref(out[--n]);
	wr_pool_free(pool);
	wr_pools_free(pools);
}

/* ---- threads ---- */

enum { RETURNERS = 3, BUFFERS = 30000 };

struct returner {
	struct wr_channel *channel;
	struct bell wake;
	uint64_t sum;
	pthread_t thread;
};

static void *give_back(void *arg)
{
	struct returner *r = arg;

	for (;;) {
		struct wr_buffer *b = wr_ring_pop(r->channel);

		if (!b) {
			bell_await(&r->wake);
			continue;
		}
		if (!b->len) {
			wr_buffer_unref(b);
			return NULL;
		}
		r->sum += b->data[0];
		wr_buffer_unref(b);
	}
}

static void returners_start(struct returner *r)
{
	for (int i = 0; i < RETURNERS; i++) {
		bell_init(&r[i].wake);
		r[i].sum = 0;
		r[i].channel = wr_ring_new(&r[i].wake.notify);
		pthread_create(&r[i].thread, NULL, give_back, &r[i]);
	}
}

static uint64_t returners_join(struct returner *r)
{
	uint64_t sum = 0;

	for (int i = 0; i < RETURNERS; i++) {
		pthread_join(r[i].thread, NULL);
		r[i].channel->ops->free(r[i].channel);
		sum += r[i].sum;
	}
	return sum;
}

/* A lost wake-up hangs here; a doubled one is counted at the end. */
static void a_waiting_owner_is_woken_exactly_once_by_many_threads(void **state)
{
	struct wr_rand rand = {11};
	struct returner r[RETURNERS];
	struct wr_pools *pools;
	struct wr_pool *pool = pool_of(&pools, 4, 1);
	uint64_t sum = 0, waits = 0;

	(void)state;
	returners_start(r);
	for (int i = 0; i < BUFFERS; i++) {
		struct wr_buffer *b;

		while (!wr_pool_has(pool, 1) && !wr_pool_wait(pool, 1)) {
			bell_await(&bell);
			waits++;
		}
		b = wr_pool_take(pool, false);
		b->len = 1;
		b->data[0] = (uint8_t)i;
		sum += b->data[0];
		if (i % 5) {
			wr_channel_push(r[wr_rand_below(&rand, RETURNERS)].channel, b);
			continue;
		}
		wr_buffer_ref(b, RETURNERS - 1); /* broadcast */
		sum += (uint64_t)b->data[0] * (RETURNERS - 1);
		for (int t = 0; t < RETURNERS; t++)
			wr_channel_push(r[t].channel, b);
	}
	for (int t = 0; t < RETURNERS; t++)
		wr_channel_push(r[t].channel, wr_pool_take(pool, true));
	assert_int_equal(returners_join(r), sum);
	assert_int_equal(bell_count(&bell), 0);
	assert_true(wr_pool_has(pool, 3));
	assert_true(waits > 0);
	wr_pool_free(pool);
	wr_pools_free(pools);
}

static void the_owner_may_leave_while_threads_give_back(void **state)
{
	struct returner r[RETURNERS];

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct wr_pools *pools;
		struct wr_pool *pool = pool_of(&pools, 8, 1);

		returners_start(r);
		for (int i = 0; i < 60; i++) {
			struct wr_buffer *b = wr_pool_take(pool, false);

			b->len = i < 60 - RETURNERS;
			b->data[0] = 1;
			wr_channel_push(r[i % RETURNERS].channel, b);
		}
		wr_pool_wait(pool, 4);
		wr_pool_free(pool);
		assert_int_equal(returners_join(r), 60 - RETURNERS);
		wr_pools_free(pools);
		assert_int_equal(kit_blocks(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_buffer_comes_empty_with_one_reference, kit_no_leak),
	    cmocka_unit_test_teardown(rows_of_a_large_buffer_begin_at_a_cache_line, kit_no_leak),
	    cmocka_unit_test_teardown(the_reserve_is_for_events_alone, kit_no_leak),
	    cmocka_unit_test_teardown(a_row_that_takes_from_the_reserve_is_an_overdraft, kit_no_leak),
	    cmocka_unit_test_teardown(what_was_overdrawn_is_freed_when_it_is_back, kit_no_leak),
	    cmocka_unit_test_teardown(ready_fires_once_for_a_wait_that_said_no, kit_no_leak),
	    cmocka_unit_test_teardown(nobody_is_woken_who_did_not_wait, kit_no_leak),
	    cmocka_unit_test_teardown(a_buffer_is_back_when_its_last_reader_is_done, kit_no_leak),
	    cmocka_unit_test_teardown(the_bound_of_a_process_is_the_sum_of_its_pools, kit_no_leak),
	    cmocka_unit_test_teardown(a_pool_lives_until_its_last_buffer_is_back, kit_no_leak),
	    cmocka_unit_test_teardown(a_refused_allocation_leaves_a_pool_as_it_was, kit_no_leak),
	    cmocka_unit_test_teardown(random_takes_and_returns_agree_with_a_bag, kit_no_leak),
	    cmocka_unit_test_teardown(a_waiting_owner_is_woken_exactly_once_by_many_threads, kit_no_leak),
	    cmocka_unit_test_teardown(the_owner_may_leave_while_threads_give_back, kit_no_leak),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
