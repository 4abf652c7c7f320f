/* SPDX-License-Identifier: Apache-2.0 */
/* buckets: what is due comes in order of time, each timer once, while places of removed ones are swept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "state/buckets.h"

enum { IDS = 2000, TIMES = 2 };

static struct wr_mem mem = WR_MEM_INIT("test");

struct model {
	bool has[TIMES][IDS + 1];
};

static bool has(void *arg, uint32_t id, int64_t time_ms)
{
	const struct model *m = arg;

	return m->has[time_ms][id];
}

static void add(struct buckets *b, struct model *m, uint32_t id, int64_t time)
{
	struct bucket *of;

	if (m->has[time][id])
		return;
	m->has[time][id] = true;
	of = wr_bucket_for(b, time);
	assert_non_null(of);
	of->ids[of->count++] = id;
	of->live++;
}

static void take_out(struct buckets *b, struct model *m, uint32_t id, int64_t time)
{
	struct bucket *of = wr_bucket_at(b, time);

	if (!m->has[time][id])
		return;
	m->has[time][id] = false;
	assert_non_null(of);
	of->live--;
	wr_bucket_removed(b, of, IDS, has, m);
}

/* The first timer, which must be of `time`. */
static void fire(struct buckets *b, struct model *m, int64_t time)
{
	struct bucket *of = wr_buckets_first(b);
	uint32_t id;

	assert_non_null(of);
	assert_int_equal(of->time_ms, time);
	wr_bucket_settle(b, of);
	do {
		assert_true(of->taken < of->count);
		id = of->ids[of->taken++];
	} while (!m->has[time][id]);
	m->has[time][id] = false;
	of->live--;
	wr_buckets_trim(b);
}

static int64_t earliest(const struct model *m)
{
	for (int64_t t = 0; t < TIMES; t++)
		for (uint32_t id = 1; id <= IDS; id++)
			if (m->has[t][id])
				return t;
	return -1;
}

static void each_timer_is_due_once_while_others_are_removed_and_set_again(void **state)
{
	struct model *m = calloc(1, sizeof *m);
	struct buckets b = {.mem = &mem};
	struct wr_rand r = {11};
	uint32_t swept = 0, fired_while_swept = 0;

	(void)state;
	for (uint32_t round = 0; round < 400000; round++) {
		uint32_t id = 1 + wr_rand_below(&r, IDS);
		int64_t time = wr_rand_below(&r, TIMES), first;
		uint32_t phase = round / 10000 % 3; /* many come, many go, some fire */

		if (wr_rand_below(&r, 8) < (phase == 0 ? 6u : phase == 1 ? 1u : 4u))
			add(&b, m, id, time);
		else if (wr_rand_below(&r, 50) >= (phase < 2 ? 2u : 25u))
			take_out(&b, m, id, time);
		else if ((first = earliest(m)) >= 0) {
			fired_while_swept += b.swept == b.heap[0] + 1;
			fire(&b, m, first);
		}
		swept += b.swept != 0;
		if (round % 64 == 0)
			assert_int_equal(b.heap_count ? wr_buckets_first(&b)->time_ms : -1, earliest(m));
	}
	for (int64_t t = 0; t < TIMES; t++)
		for (uint32_t id = 1; id <= IDS; id++)
			take_out(&b, m, id, t);
	assert_int_equal(b.heap_count, 0);
	assert_true(swept > 1000 && fired_while_swept > 50);
	wr_buckets_deinit(&b);
	assert_int_equal(atomic_load(&mem.blocks), 0);
	free(m);
}

static bool one_is_left(void *arg, uint32_t id, int64_t time_ms)
{
	(void)time_ms;
	++*(uint64_t *)arg;
	return id == 1;
}

static void a_removal_looks_at_a_few_places_however_many_timers_had_the_time(void **state)
{
	enum { MANY = 1 << 18 };
	struct buckets b = {.mem = &mem};
	uint64_t looked = 0, most = 0;

	(void)state;
	for (uint32_t id = 1; id <= MANY; id++) {
		struct bucket *of = wr_bucket_for(&b, 7);

		of->ids[of->count++] = id;
		of->live++;
	}
	for (uint32_t id = MANY; id > 1; id--) {
		struct bucket *of = wr_bucket_at(&b, 7);
		uint64_t before = looked;

		of->live--;
		wr_bucket_removed(&b, of, MANY, one_is_left, &looked);
		if (looked - before > most)
			most = looked - before;
	}
	assert_true(most > 0 && most <= 64);
	assert_true(wr_buckets_first(&b)->count < 200);
	wr_buckets_deinit(&b);
}

static void places_of_entries_that_set_their_timer_again_and_again_do_not_pile_up(void **state)
{
	struct model *m = calloc(1, sizeof *m);
	struct buckets b = {.mem = &mem};

	(void)state;
	for (uint32_t round = 0; round < 200; round++)
		for (uint32_t id = 1; id <= IDS; id++) {
			take_out(&b, m, id, 1);
			add(&b, m, id, 1);
			assert_true(wr_buckets_first(&b)->count <= 4 * IDS + 200);
		}
	wr_buckets_deinit(&b);
	free(m);
}

static void a_new_time_moves_a_bounded_part_of_the_index(void **state)
{
	struct buckets b = {.mem = &mem};
	uint64_t most = 0;

	(void)state;
	for (int64_t time = 0; time < 1 << 18; time++) {
		uint64_t before = b.index.old.slots ? b.index.old_moved : 0;
		struct bucket *of = wr_bucket_for(&b, time);

		of->ids[of->count++] = 1;
		of->live++;
		if (time > 10000 && b.index.old.slots && b.index.old_moved > before &&
		    b.index.old_moved - before > most)
			most = b.index.old_moved - before;
	}
	assert_true(most >= 32 && most < 400);
	wr_buckets_deinit(&b);
	assert_int_equal(atomic_load(&mem.blocks), 0);
}

static void without_memory_nothing_is_lost(void **state)
{
	struct buckets b = {.mem = &mem};
	int64_t time = 0;

	(void)state;
	for (int n = 1; n <= 5; n++) {
		wr_mem_fail_at(n);
		for (struct bucket *of; (of = wr_bucket_for(&b, time)); time++) {
			of->ids[of->count++] = 1;
			of->live++;
		}
		assert_int_equal(wr_error_code(), WR_EFATAL);
		wr_buckets_trim(&b);
	}
	for (int64_t t = 0; t < time; t++)
		assert_int_equal(wr_bucket_at(&b, t)->count, 1);
	assert_int_equal(wr_buckets_first(&b)->time_ms, 0);
	wr_buckets_deinit(&b);
	assert_int_equal(atomic_load(&mem.blocks), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_timer_is_due_once_while_others_are_removed_and_set_again),
	    cmocka_unit_test(a_removal_looks_at_a_few_places_however_many_timers_had_the_time),
	    cmocka_unit_test(places_of_entries_that_set_their_timer_again_and_again_do_not_pile_up),
	    cmocka_unit_test(a_new_time_moves_a_bounded_part_of_the_index),
	    cmocka_unit_test(without_memory_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
