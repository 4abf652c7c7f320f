/* SPDX-License-Identifier: Apache-2.0 */
/* ring: order, and a consumer that sleeps only after a look. */
#include <pthread.h>
#include "unit/exchange/kit.h"

static struct bell bell;

static struct wr_channel *ring_make(void)
{
	struct wr_channel *c;

	bell_init(&bell);
	c = wr_ring_new(&bell.notify);
	assert_non_null(c);
	return c;
}

static struct wr_buffer *numbered(uint32_t n)
{
	struct wr_buffer *b = wr_buffer_alone(64);

	b->len = n;
	return b;
}

static void pop_expect(struct wr_channel *c, uint32_t n)
{
	struct wr_buffer *b = wr_ring_pop(c);

	assert_non_null(b);
	assert_int_equal(b->len, n);
	wr_buffer_unref(b);
}

static void buffers_come_out_in_the_order_they_went_in(void **state)
{
	struct wr_rand r = {3};
	struct wr_channel *c = ring_make();
	uint32_t in = 0, out = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		for (uint32_t n = wr_rand_below(&r, i % 1000 == 0 ? 200 : 4); n; n--)
			wr_channel_push(c, numbered(in++));
		assert_int_equal(c->ops->queued(c), in - out);
		assert_int_equal(wr_ring_empty(c), in == out);
		for (uint32_t n = wr_rand_below(&r, 8); n && out < in; n--)
			pop_expect(c, out++);
	}
	while (out < in)
		pop_expect(c, out++);
	assert_null(wr_ring_pop(c));
	c->ops->free(c);
}

static void wake_fires_at_the_first_push_and_after_each_look_that_found_nothing(void **state)
{
	struct wr_channel *c = ring_make();

	(void)state;
	for (uint32_t n = 0; n < 40; n++) { /* crosses segments */
		wr_channel_push(c, numbered(n));
		assert_int_equal(bell_count(&bell), 1);
		wr_channel_push(c, numbered(n));
		assert_int_equal(bell_count(&bell), 0);
		pop_expect(c, n);
		assert_false(wr_ring_empty(c));
		pop_expect(c, n);
		wr_channel_push(c, numbered(n)); /* not looked: still awake */
		assert_int_equal(bell_count(&bell), 0);
		pop_expect(c, n);
		if (n % 2)
			assert_true(wr_ring_empty(c));
		else
			assert_null(wr_ring_pop(c));
	}
	c->ops->free(c);
}

struct looking {
	uint32_t next, until;
};

static bool look(void *arg, struct wr_buffer *b)
{
	struct looking *l = arg;

	assert_int_equal(b->len, l->next++);
	return l->next < l->until;
}

static void what_waits_can_be_looked_at_and_stays(void **state)
{
	struct wr_rand r = {9};
	struct wr_channel *c = ring_make();
	uint32_t in = 0, out = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct looking l = {out, UINT32_MAX};

		wr_ring_each(c, look, &l);
		assert_int_equal(l.next, in);
		l = (struct looking){out, out + 2};
		wr_ring_each(c, look, &l);
		assert_int_equal(l.next, in - out < 2 ? in : out + 2);
		for (uint32_t n = wr_rand_below(&r, 12); n; n--)
			wr_channel_push(c, numbered(in++));
		for (uint32_t n = wr_rand_below(&r, 12); n && out < in; n--)
			pop_expect(c, out++);
	}
	while (out < in)
		pop_expect(c, out++);
	bell_count(&bell);
	assert_true(wr_ring_empty(c));
	wr_ring_each(c, look, NULL); /* is no look that has somebody woken, nor one that prevents it */
	wr_channel_push(c, numbered(0));
	assert_int_equal(bell_count(&bell), 1);
	wr_channel_push(c, numbered(1));
	assert_int_equal(bell_count(&bell), 0);
	c->ops->nudge(c);
	assert_int_equal(bell_count(&bell), 1);
	c->ops->free(c);
}

static void a_ring_that_is_freed_gives_back_what_was_queued(void **state)
{
	struct wr_channel *c = ring_make();

	(void)state;
	for (uint32_t n = 0; n < 50; n++)
		wr_channel_push(c, numbered(n));
	pop_expect(c, 0);
	c->ops->free(c);
	assert_int_equal(kit_blocks(), 0);
}

static void in_the_long_run_nothing_is_allocated(void **state)
{
	struct wr_channel *c = ring_make();
	struct wr_buffer *b = numbered(1);
	int64_t blocks = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		wr_channel_push(c, b);
		assert_ptr_equal(wr_ring_pop(c), b);
		if (i == 100)
			blocks = kit_blocks();
		if (i > 100)
			wr_mem_fail_at(1); /* an allocation would be one too many */
	}
	wr_mem_fail_at(0);
	assert_int_equal(kit_blocks(), blocks);
	wr_buffer_unref(b);
	c->ops->free(c);
}

static void a_ring_in_memory_of_its_maker_leaves_it_alone(void **state)
{
	static _Alignas(64) uint8_t room[WR_RING_BYTES];
	struct wr_channel *c;

	(void)state;
	bell_init(&bell);
	c = wr_ring_new_at(room, &bell.notify);
	assert_ptr_equal(c, room);
	assert_int_equal(kit_blocks(), 0);
	for (uint32_t n = 0; n < 20; n++)
		wr_channel_push(c, numbered(n));
	for (uint32_t n = 0; n < 10; n++)
		pop_expect(c, n);
	c->ops->free(c);
	assert_int_equal(kit_blocks(), 0);
}

static void a_ring_without_memory_is_an_error(void **state)
{
	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_ring_new(&bell.notify));
	assert_int_equal(kit_blocks(), 0);
}

static void a_push_that_the_heap_refuses_is_an_error_and_the_ring_goes_on(void **state)
{
	struct wr_channel *c = ring_make();
	uint32_t refused = 0, out = 0;

	(void)state;
	for (uint32_t n = 0; n < 100; n++) {
		struct wr_buffer *b = numbered(n);

		wr_mem_fail_at(1);
		if (wr_channel_push(c, b) != WR_OK) {
			assert_int_equal(wr_error_code(), WR_EFATAL);
			refused++;
		}
		wr_mem_fail_at(0);
		if (n % 20 == 19) /* the queue gets room again */
			assert_int_equal(wr_channel_push(c, numbered(1000)), WR_OK);
	}
	assert_true(refused > 0);
	assert_int_equal(c->ops->queued(c), 105 - refused);
	for (struct wr_buffer *b; (b = wr_ring_pop(c)); out++)
		wr_buffer_unref(b);
	assert_int_equal(out, 105 - refused);
	c->ops->free(c);
	assert_int_equal(kit_blocks(), 0);
}

/* ---- two threads: a lost wake-up hangs ---- */

enum { COUNT = 60000 };

static void *fill(void *arg)
{
	struct wr_rand r = {5};
	struct wr_channel *c = arg;

	for (uint32_t n = 0; n < COUNT; n++) {
		wr_channel_push(c, numbered(n));
		for (uint32_t i = wr_rand_below(&r, 4) ? 0 : wr_rand_below(&r, 300); i; i--)
			atomic_signal_fence(memory_order_seq_cst); /* let the consumer fall asleep at times */
	}
	return NULL;
}

static void a_sleeping_consumer_is_woken(void **state)
{
	struct wr_channel *c = ring_make();
	pthread_t producer;

	(void)state;
	pthread_create(&producer, NULL, fill, c);
	for (uint32_t n = 0; n < COUNT;) {
		if (wr_ring_empty(c))
			bell_await(&bell);
		else
			pop_expect(c, n++);
	}
	pthread_join(producer, NULL);
	assert_true(bell_count(&bell) <= 1);
	assert_int_equal(c->ops->queued(c), 0);
	c->ops->free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(buffers_come_out_in_the_order_they_went_in, kit_no_leak),
	    cmocka_unit_test_teardown(wake_fires_at_the_first_push_and_after_each_look_that_found_nothing,
				      kit_no_leak),
	    cmocka_unit_test_teardown(what_waits_can_be_looked_at_and_stays, kit_no_leak),
	    cmocka_unit_test_teardown(a_ring_that_is_freed_gives_back_what_was_queued, kit_no_leak),
	    cmocka_unit_test_teardown(in_the_long_run_nothing_is_allocated, kit_no_leak),
	    cmocka_unit_test_teardown(a_ring_in_memory_of_its_maker_leaves_it_alone, kit_no_leak),
	    cmocka_unit_test_teardown(a_ring_without_memory_is_an_error, kit_no_leak),
	    cmocka_unit_test_teardown(a_sleeping_consumer_is_woken, kit_no_leak),
	    cmocka_unit_test_teardown(a_push_that_the_heap_refuses_is_an_error_and_the_ring_goes_on,
				      kit_no_leak),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
