/* SPDX-License-Identifier: Apache-2.0 */
/* loop: sleeping, being woken, deadlines and file descriptors. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/loop.h"
#include "support/failing.h"

static uint64_t now(void)
{
	return wr_clock_ns(wr_clock_system());
}

static void a_wake_before_the_wait_is_not_lost(void **state)
{
	struct wr_loop *l = wr_loop_new(wr_clock_system());

	(void)state;
	for (int i = 0; i < 100; i++) {
		wr_loop_wake(l);
		wr_loop_wake(l);
		wr_loop_wait(l, 0); /* does not use it up */
		wr_loop_wait(l, UINT64_MAX);
	}
	wr_loop_free(l);
	wr_loop_free(NULL);
}

static void a_deadline_is_never_early_for_him_who_looks_again(void **state)
{
	struct wr_loop *l = wr_loop_new(wr_clock_system());

	(void)state;
	for (uint64_t wait_ns = 1; wait_ns < 4000000; wait_ns *= 7) {
		uint64_t deadline = now() + wait_ns;

		while (now() < deadline)
			wr_loop_wait(l, deadline);
	}
	wr_loop_wait(l, 1); /* long past */
	wr_loop_free(l);
}

static void waiting_for_a_deadline_is_sleeping_not_polling(void **state)
{
	struct wr_loop *l = wr_loop_new(wr_clock_system());
	uint64_t deadline = now() + 20000000;
	int waits = 0;

	(void)state;
	for (; now() < deadline; waits++)
		wr_loop_wait(l, deadline);
	assert_true(waits <= 3);
	wr_loop_free(l);
}

static void a_far_deadline_can_be_brought_near(void **state)
{
	struct wr_loop *l = wr_loop_new(wr_clock_system());
	uint64_t far = now() + 3600000000000, near;

	(void)state;
	wr_loop_wake(l);
	wr_loop_wait(l, far);
	wr_loop_wait(l, now() + 100000);
	near = now() + 1000000;
	while (now() < near)
		wr_loop_wait(l, near);
	wr_loop_free(l);
}

/* Two loops hand a token to and fro: a lost wake-up would leave both asleep for ever. */
struct player {
	struct wr_loop *own, *other;
	_Atomic int *token;
	int side;
};

static void *play(void *arg)
{
	struct player *p = arg;

	for (int round = 0; round < 20000; round++) {
		while (atomic_load(p->token) != p->side)
			wr_loop_wait(p->own, UINT64_MAX);
		atomic_store(p->token, !p->side);
		wr_loop_wake(p->other);
	}
	return NULL;
}

static void no_wake_up_is_lost_between_threads(void **state)
{
	struct wr_loop *a = wr_loop_new(wr_clock_system()), *b = wr_loop_new(wr_clock_system());
	_Atomic int token = 0;
	struct player pa = {a, b, &token, 0}, pb = {b, a, &token, 1};
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, play, &pb), 0);
	play(&pa);
	pthread_join(t, NULL);
	wr_loop_free(a);
	wr_loop_free(b);
}

struct reader {
	int fd, calls, events;
	char last;
	struct wr_io *io;
};

static void on_read(void *arg, int events)
{
	struct reader *r = arg;

	r->calls++;
	r->events = events;
	if (read(r->fd, &r->last, 1) != 1)
		r->last = 0;
}

static void a_descriptor_is_called_when_it_is_ready(void **state)
{
	struct wr_loop *l = wr_loop_new(wr_clock_system());
	struct reader r = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	r.fd = fds[0];
	r.io = wr_io_start(l, fds[0], WR_IO_READ, on_read, &r);
	wr_loop_wait(l, 0);
	assert_int_equal(r.calls, 0);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	while (r.calls < 1)
		wr_loop_wait(l, UINT64_MAX);
	assert_int_equal(r.last, 'a');
	assert_int_equal(r.events, WR_IO_READ);
	wr_io_change(r.io, 0);
	wr_loop_wait(l, 0);
	wr_loop_wait(l, now());
	assert_int_equal(r.calls, 1);
	wr_io_change(r.io, WR_IO_READ);
	while (r.calls < 2)
		wr_loop_wait(l, 0);
	assert_int_equal(r.last, 'b');
	wr_io_stop(r.io);
	wr_io_stop(NULL);
	wr_loop_free(l);
	close(fds[0]);
	close(fds[1]);
}

static void stop_itself(void *arg, int events)
{
	struct reader *r = arg;

	(void)events;
	r->calls++;
	wr_io_stop(r->io);
}

static void a_callback_may_stop_itself(void **state)
{
	struct wr_loop *l = wr_loop_new(wr_clock_system());
	struct reader a = {0}, b = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	a.io = wr_io_start(l, fds[1], WR_IO_WRITE, stop_itself, &a);
	b.io = wr_io_start(l, fds[0], WR_IO_READ, stop_itself, &b);
	assert_int_equal(write(fds[1], "x", 1), 1);
	while (a.calls + b.calls < 2)
		wr_loop_wait(l, UINT64_MAX);
	wr_loop_wait(l, 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	wr_loop_free(l);
	close(fds[0]);
	close(fds[1]);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
	(void)state;
	for (struct failing f = failing_begin(); failing_next(&f);) {
		struct wr_loop *l = wr_loop_new(wr_clock_system());
		struct wr_io *io = l ? wr_io_start(l, STDERR_FILENO, 0, on_read, NULL) : NULL;

		bool all = l && io;

		wr_io_stop(io);
		wr_loop_free(l);
		failing_check(&f, all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_wake_before_the_wait_is_not_lost),
	    cmocka_unit_test(a_deadline_is_never_early_for_him_who_looks_again),
	    cmocka_unit_test(waiting_for_a_deadline_is_sleeping_not_polling),
	    cmocka_unit_test(a_far_deadline_can_be_brought_near),
	    cmocka_unit_test(no_wake_up_is_lost_between_threads),
	    cmocka_unit_test(a_descriptor_is_called_when_it_is_ready),
	    cmocka_unit_test(a_callback_may_stop_itself),
	    cmocka_unit_test(a_refusal_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
