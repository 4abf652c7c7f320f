/* SPDX-License-Identifier: Apache-2.0 */
/* barriers: rows C2 to C7 of the semantics, and random schedules against what a snapshot must be: everything
 * that came before the barrier in each channel, and nothing that came behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rand.h"
#include "checkpoint/barriers.h"

enum { UNBLOCK = WR_BARRIER_UNBLOCK, BLOCK = WR_BARRIER_BLOCK, PASS = WR_BARRIER_PASS };

static struct wr_barriers *b;

static void a_barrier_passes_when_all_channels_have_brought_it(void **state)
{
	(void)state;
	b = wr_barriers_new(3, true);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 1), BLOCK);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 1), BLOCK);
	assert_int_equal(wr_barriers_pending(b), 1);
	assert_int_equal(wr_barriers_on_barrier(b, 2, 1), UNBLOCK | PASS);
	assert_int_equal(wr_barriers_passed(b), 1);
	assert_int_equal(wr_barriers_pending(b), 0);
	wr_barriers_free(b);
}

static void C2_a_barrier_that_is_not_newer_is_ignored(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	wr_barriers_on_barrier(b, 0, 5);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 5), UNBLOCK | PASS);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 5), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 4), 0);
	assert_int_equal(wr_barriers_passed(b), 5);
	wr_barriers_free(b);
}

static void C3_a_newer_barrier_cancels_the_alignment_of_an_older(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 1), BLOCK);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 2), UNBLOCK | BLOCK);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 2), UNBLOCK | PASS);
	assert_int_equal(wr_barriers_passed(b), 2);
	wr_barriers_free(b);
}

static void C4_a_channel_that_has_ended_counts_as_one_that_brought_it(void **state)
{
	(void)state;
	b = wr_barriers_new(3, true);
	assert_int_equal(wr_barriers_on_end(b, 0), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 1), BLOCK);
	assert_int_equal(wr_barriers_on_end(b, 2), UNBLOCK | PASS);
	wr_barriers_free(b);

	b = wr_barriers_new(2, true); /* the same channel brings it and ends: it counts once */
	assert_int_equal(wr_barriers_on_barrier(b, 0, 1), BLOCK);
	assert_int_equal(wr_barriers_on_end(b, 0), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 1), UNBLOCK | PASS);
	wr_barriers_free(b);
}

static void C6_a_checkpoint_that_is_off_blocks_nobody(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	wr_barriers_on_barrier(b, 0, 3);
	assert_int_equal(wr_barriers_on_abort(b, 3), UNBLOCK);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 3), 0);
	assert_int_equal(wr_barriers_on_abort(b, 4), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 4), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 5), BLOCK);
	assert_int_equal(wr_barriers_on_abort(b, 4), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 5), UNBLOCK | PASS);
	wr_barriers_free(b);
}

static void C7_at_least_once_blocks_nothing(void **state)
{
	(void)state;
	b = wr_barriers_new(2, false);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 1), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 1), UNBLOCK | PASS);
	wr_barriers_free(b);
}

static void a_task_whose_inputs_have_ended_is_triggered(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	wr_barriers_on_end(b, 0);
	assert_int_equal(wr_barriers_on_trigger(b, 1), 0);
	assert_int_equal(wr_barriers_on_end(b, 1), UNBLOCK | PASS);
	assert_int_equal(wr_barriers_on_trigger(b, 1), 0);
	assert_int_equal(wr_barriers_on_trigger(b, 2), UNBLOCK | PASS);
	wr_barriers_free(b);
}

/* Channels carry rows and barriers 1, 2, …; a reader takes from one that is not blocked at random. */
enum { CHANNELS_MAX = 5, BARRIERS = 4, LENGTH = 40 };

struct channel {
	int at, ends_at;
	uint64_t events[LENGTH]; /* 0 = a row, else a barrier */
	bool blocked, ended;
};

static void one_schedule(uint64_t seed)
{
	struct wr_rand r = {seed};
	struct channel ch[CHANNELS_MAX] = {0};
	uint32_t n = 1 + (uint32_t)wr_rand_below(&r, CHANNELS_MAX), open = n;
	uint64_t seen = 0;

	b = wr_barriers_new(n, true);
	for (uint32_t i = 0; i < n; i++) {
		ch[i].ends_at = (int)wr_rand_below(&r, LENGTH);
		for (uint64_t id = 1; id <= BARRIERS; id++)
			ch[i].events[(id - 1) * (LENGTH / BARRIERS) + wr_rand_below(&r, LENGTH / BARRIERS)] =
			    id;
	}
	while (open) {
		uint32_t i = (uint32_t)wr_rand_below(&r, n);
		struct channel *c = &ch[i];
		unsigned actions = 0;

		if (c->ended || c->blocked)
			continue;
		if (c->at == c->ends_at) {
			c->ended = true;
			open--;
			actions = wr_barriers_on_end(b, i);
		} else if (c->events[c->at++]) {
			actions = wr_barriers_on_barrier(b, i, c->events[c->at - 1]);
		}
		if (actions & UNBLOCK)
			for (uint32_t k = 0; k < n; k++)
				ch[k].blocked = false;
		if (actions & BLOCK)
			c->blocked = true;
		if (!(actions & PASS))
			continue;
		assert_int_equal(wr_barriers_passed(b), ++seen);
		for (uint32_t k = 0; k < n; k++) /* each stands right behind it, or had ended */
			assert_true(ch[k].ended || ch[k].events[ch[k].at - 1] == seen);
	}
	wr_barriers_free(b);
}

static void random_schedules_cut_every_channel_at_its_barrier(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20000; seed++)
		one_schedule(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_barrier_passes_when_all_channels_have_brought_it),
	    cmocka_unit_test(C2_a_barrier_that_is_not_newer_is_ignored),
	    cmocka_unit_test(C3_a_newer_barrier_cancels_the_alignment_of_an_older),
	    cmocka_unit_test(C4_a_channel_that_has_ended_counts_as_one_that_brought_it),
	    cmocka_unit_test(C6_a_checkpoint_that_is_off_blocks_nobody),
	    cmocka_unit_test(C7_at_least_once_blocks_nothing),
	    cmocka_unit_test(a_task_whose_inputs_have_ended_is_triggered),
	    cmocka_unit_test(random_schedules_cut_every_channel_at_its_barrier),
	};

	return cmocka_run_group_tests_name("barriers", tests, NULL, NULL);
}
