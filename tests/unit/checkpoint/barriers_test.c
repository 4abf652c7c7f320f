/* SPDX-License-Identifier: Apache-2.0 */
/* barriers: rows C2 to C7 of the semantics, and random schedules against what a snapshot must be: everything
 * that came before the barrier in each channel, and nothing that came behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/rand.h"
#include "checkpoint/barriers.h"

enum {
	UNBLOCK = WR_BARRIER_UNBLOCK,
	BLOCK = WR_BARRIER_BLOCK,
	PASS = WR_BARRIER_PASS,
	DROP = WR_BARRIER_DROP,
	WHOLE = WR_BARRIER_WHOLE
};

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

static void C9_a_barrier_that_waits_too_long_overtakes_what_was_not_read(void **state)
{
	(void)state;
	b = wr_barriers_new(3, true);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 1), BLOCK);
	assert_true(wr_barriers_awaits(b, 0, 1) && !wr_barriers_awaits(b, 1, 1));
	assert_int_equal(wr_barriers_on_timeout(b, 1), UNBLOCK | PASS);
	assert_int_equal(wr_barriers_passed(b), 1);
	assert_true(wr_barriers_records(b, 0) && !wr_barriers_records(b, 1) && wr_barriers_records(b, 2));
	assert_int_equal(wr_barriers_on_recorded(b, 2), 0); /* seen in the queue */
	assert_false(wr_barriers_records(b, 2));
	assert_int_equal(wr_barriers_on_barrier(b, 2, 1), 0); /* and out of it */
	assert_int_equal(wr_barriers_on_barrier(b, 0, 1), WHOLE);
	assert_int_equal(wr_barriers_on_timeout(b, 1), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 2), BLOCK);
	wr_barriers_free(b);
}

static void C9_a_barrier_overtakes_before_it_has_come_by_any_channel(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	wr_barriers_on_end(b, 1);
	assert_int_equal(wr_barriers_on_timeout(b, 4), UNBLOCK | PASS);
	assert_true(wr_barriers_records(b, 0) && !wr_barriers_records(b, 1));
	assert_int_equal(wr_barriers_on_end(b, 0), WHOLE); /* C4: the end is as good */
	wr_barriers_free(b);
}

static void C4_an_end_that_is_seen_in_a_queue_ends_its_recording_once(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	wr_barriers_on_timeout(b, 1);
	assert_int_equal(wr_barriers_on_recorded(b, 0), 0);
	assert_int_equal(wr_barriers_on_end(b, 0), 0);
	assert_int_equal(wr_barriers_on_recorded(b, 1), WHOLE);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 2), UNBLOCK | PASS);
	wr_barriers_free(b);
}

static void C6_what_was_recorded_for_a_checkpoint_that_is_off_is_dropped(void **state)
{
	(void)state;
	b = wr_barriers_new(2, true);
	wr_barriers_on_timeout(b, 3);
	assert_int_equal(wr_barriers_on_abort(b, 2), 0);
	assert_int_equal(wr_barriers_on_abort(b, 3), DROP);
	assert_false(wr_barriers_records(b, 0));
	assert_int_equal(wr_barriers_on_barrier(b, 0, 3), 0);
	wr_barriers_on_timeout(b, 4);
	assert_int_equal(wr_barriers_on_barrier(b, 0, 5),
			 DROP | BLOCK); /* the letter that 4 is off is late */
	assert_int_equal(wr_barriers_on_timeout(b, 5), UNBLOCK | PASS);
	assert_int_equal(wr_barriers_on_timeout(b, 6), DROP | UNBLOCK | PASS);
	wr_barriers_free(b);
}

static void C10_no_barrier_overtakes_where_none_blocks(void **state)
{
	(void)state;
	b = wr_barriers_new(2, false);
	wr_barriers_on_barrier(b, 0, 1);
	assert_int_equal(wr_barriers_on_timeout(b, 1), 0);
	assert_int_equal(wr_barriers_on_barrier(b, 1, 1), UNBLOCK | PASS);
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

/* The same reader, who loses patience at times: then the cut is where it stands, and what the channels hold
 * up to their barriers has to be recorded, each row of it once. */
struct cut {
	struct wr_rand r;
	struct channel ch[CHANNELS_MAX];
	uint32_t n, open;
	uint64_t passed, whole;
	int at[CHANNELS_MAX],
	    upto[CHANNELS_MAX]; /* of what is being recorded: where it began, how far it is */
	bool recording[CHANNELS_MAX];
	uint32_t overtaken; /* in all schedules */
};

static void cut_actions(struct cut *c, uint32_t i, unsigned actions)
{
	if (actions & UNBLOCK)
		for (uint32_t k = 0; k < c->n; k++)
			c->ch[k].blocked = false;
	if (actions & BLOCK)
		c->ch[i].blocked = true;
	if (actions & DROP)
		memset(c->recording, 0, sizeof c->recording);
	if (actions & PASS)
		c->passed = wr_barriers_passed(b);
	if (!(actions & WHOLE))
		return;
	for (uint32_t k = 0; k < c->n; k++) /* each was recorded right up to its barrier or its end */
		assert_true(!c->recording[k] || c->upto[k] == c->ch[k].ends_at ||
			    c->ch[k].events[c->upto[k]] == c->passed);
	assert_true(c->passed > c->whole);
	c->whole = c->passed;
	memset(c->recording, 0, sizeof c->recording);
}

static void cut_overtake(struct cut *c, uint64_t id)
{
	unsigned actions = wr_barriers_on_timeout(b, id);

	cut_actions(c, 0, actions & ~(unsigned)WHOLE);
	for (uint32_t k = 0; k < c->n && actions & PASS; k++) {
		c->recording[k] = wr_barriers_records(b, k);
		c->at[k] = c->upto[k] = c->ch[k].at;
	}
	c->overtaken += actions != 0;
	cut_actions(c, 0, actions & WHOLE);
}

/* Looks ahead in what waits, as far as it likes. */
static void cut_look(struct cut *c, uint32_t i)
{
	struct channel *ch = &c->ch[i];

	for (int k = c->upto[i]; wr_barriers_records(b, i) && wr_rand_below(&c->r, 4); c->upto[i] = ++k)
		if (k == ch->ends_at || ch->events[k] == c->passed) {
			cut_actions(c, i, wr_barriers_on_recorded(b, i));
			return;
		}
}

static void cut_step(struct cut *c, uint32_t i)
{
	struct channel *ch = &c->ch[i];

	if (ch->ended || ch->blocked)
		return;
	if (ch->at == ch->ends_at) {
		ch->ended = true;
		c->open--;
		if (wr_barriers_records(b, i))
			c->upto[i] = ch->at;
		cut_actions(c, i, wr_barriers_on_end(b, i));
		return;
	}
	if (ch->events[ch->at++]) {
		if (wr_barriers_records(b, i) && ch->events[ch->at - 1] == c->passed)
			c->upto[i] = ch->at - 1;
		cut_actions(c, i, wr_barriers_on_barrier(b, i, ch->events[ch->at - 1]));
	}
	if (wr_barriers_records(b, i) && c->upto[i] < ch->at)
		c->upto[i] = ch->at;
}

static void random_schedules_record_every_channel_up_to_its_barrier(void **state)
{
	struct cut c = {.overtaken = 0};

	(void)state;
	for (uint64_t seed = 0; seed < 20000; seed++) {
		c = (struct cut){.r = {seed}, .overtaken = c.overtaken};
		c.n = c.open = 1 + (uint32_t)wr_rand_below(&c.r, CHANNELS_MAX);
		b = wr_barriers_new(c.n, true);
		for (uint32_t i = 0; i < c.n; i++) {
			c.ch[i].ends_at = (int)wr_rand_below(&c.r, LENGTH);
			for (uint64_t id = 1; id <= BARRIERS; id++)
				c.ch[i].events[(id - 1) * (LENGTH / BARRIERS) +
					       wr_rand_below(&c.r, LENGTH / BARRIERS)] = id;
		}
		while (c.open) {
			cut_step(&c, (uint32_t)wr_rand_below(&c.r, c.n));
			cut_look(&c, (uint32_t)wr_rand_below(&c.r, c.n));
			if (wr_rand_below(&c.r, 16) == 0)
				cut_overtake(&c, wr_barriers_pending(b) ? wr_barriers_pending(b)
									: wr_barriers_passed(b) + 1);
			if (wr_rand_below(&c.r, 64) == 0)
				cut_actions(&c, 0, wr_barriers_on_abort(b, wr_barriers_passed(b)));
		}
		wr_barriers_free(b);
	}
	assert_true(c.overtaken > 10000);
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
	    cmocka_unit_test(C9_a_barrier_that_waits_too_long_overtakes_what_was_not_read),
	    cmocka_unit_test(C9_a_barrier_overtakes_before_it_has_come_by_any_channel),
	    cmocka_unit_test(C4_an_end_that_is_seen_in_a_queue_ends_its_recording_once),
	    cmocka_unit_test(C6_what_was_recorded_for_a_checkpoint_that_is_off_is_dropped),
	    cmocka_unit_test(C10_no_barrier_overtakes_where_none_blocks),
	    cmocka_unit_test(random_schedules_cut_every_channel_at_its_barrier),
	    cmocka_unit_test(random_schedules_record_every_channel_up_to_its_barrier),
	};

	return cmocka_run_group_tests_name("barriers", tests, NULL, NULL);
}
