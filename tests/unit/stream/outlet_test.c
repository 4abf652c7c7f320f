/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: what comes at a low pace is in the pipe at once, whatever the I/O threads do; what finds no room
 * waits for them, and all comes in order. */
#include "stream/outlet.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/error.h"
#include "stream/pipe.h"
#include "unit/woken.h"

static int ends[2];
static struct wr_iopool *pool;
static struct wr_outlet *outlet, *other;
static struct wr_clock now;
static struct wr_outlet_shared shared = WR_OUTLET_SHARED_INIT;

static struct wr_outlet *outlet_to_pipe(void)
{
	return wr_outlet_new(&(struct wr_outlet_options){.io = pool,
							 .clock = &now,
							 .wake = {on_wake, NULL},
							 .name = "a pipe",
							 .fd = ends[1],
							 .pipe = true,
							 .shared = &shared});
}

static int open_outlet(void **state)
{
	(void)state;
	if (pipe(ends))
		return 1;
	woken = eventfd(0, EFD_CLOEXEC);
	wr_clock_manual_init(&now, 1, 0);
	pool = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	outlet = outlet_to_pipe();
	other = outlet_to_pipe();
	return !outlet || !other;
}

static int close_outlet(void **state)
{
	(void)state;
	wr_outlet_free(outlet);
	wr_outlet_free(other);
	wr_iopool_free(pool);
	close(woken);
	close(ends[0]);
	return close(ends[1]);
}

static int put_soon(struct wr_outlet *o, const char *text)
{
	struct wr_bytes *block;
	int rc = wr_outlet_block(o, &block);

	if (rc != WR_OK)
		return rc;
	wr_bytes_put(block, text, strlen(text));
	return wr_outlet_flush(o);
}

/* A second behind what came before. */
static int put(struct wr_outlet *o, const char *text)
{
	wr_clock_advance(&now, 1000000000);
	return put_soon(o, text);
}

static void await_drained(struct wr_outlet *o)
{
	while (wr_outlet_drain(o) == WR_AGAIN)
		wait_woken();
}

static int in_pipe(void)
{
	int n = -1;

	ioctl(ends[0], FIONREAD, &n);
	return n;
}

static void expect(const char *text)
{
	char got[64] = "";

	assert_int_equal(in_pipe(), strlen(text));
	assert_int_equal(read(ends[0], got, sizeof got), strlen(text));
	assert_string_equal(got, text);
}

struct block_job {
	struct wr_iojob job;
	pthread_mutex_t hold;
};

static void block_work(struct wr_iojob *job)
{
	struct block_job *b = (struct block_job *)job;

	pthread_mutex_lock(&b->hold);
	pthread_mutex_unlock(&b->hold);
}

static void block_done(struct wr_iojob *job)
{
	(void)job;
}

static bool can_write_at_once(void)
{
	int pair[2];
	bool can;

	assert_int_equal(pipe(pair), 0);
	can = wr_pipe_write(pair[1], "x", 1) == 1;
	close(pair[0]);
	close(pair[1]);
	return can;
}

/* Does `with_threads_busy` while the only I/O thread has something else to do. */
static void while_threads_are_busy(void (*with_threads_busy)(void))
{
	struct block_job b = {.job = {.work = block_work, .done = block_done},
			      .hold = PTHREAD_MUTEX_INITIALIZER};
	struct wr_ioqueue *q = wr_ioqueue_new(pool);

	pthread_mutex_lock(&b.hold);
	wr_ioqueue_post(q, &b.job);
	with_threads_busy();
	pthread_mutex_unlock(&b.hold);
	await_drained(outlet);
	wr_ioqueue_free(q);
}

static void put_two(void)
{
	assert_int_equal(put(outlet, "one\n"), WR_OK);
	assert_int_equal(put(outlet, "two\n"), WR_OK);
	assert_int_equal(in_pipe(), can_write_at_once() ? 8 : 0);
}

static void test_a_line_at_a_low_pace_needs_no_other_thread(void **state)
{
	(void)state;
	while_threads_are_busy(put_two);
	expect("one\ntwo\n");
}

static void put_two_soon(void)
{
	assert_int_equal(put(outlet, "one\n"), WR_OK);
	assert_int_equal(put_soon(outlet, "two\n"), WR_OK);
	assert_int_equal(put(outlet, "three\n"), WR_OK); /* waits for what came before it */
	assert_int_equal(in_pipe(), can_write_at_once() ? 4 : 0);
}

static void test_what_comes_soon_behind_another_is_left_to_other_threads(void **state)
{
	(void)state;
	while_threads_are_busy(put_two_soon);
	expect("one\ntwo\nthree\n");
}

static void test_lines_of_others_are_not_cut(void **state)
{
	(void)state;
	pthread_mutex_lock(&shared.lock); /* another outlet is at it */
	assert_int_equal(put(outlet, "one\n"), WR_OK);
	assert_int_equal(put(outlet, "two\n"), WR_OK);
	assert_int_equal(in_pipe(), 0);
	pthread_mutex_unlock(&shared.lock);
	await_drained(outlet);
	expect("one\ntwo\n");
}

/* Fills the pipe but for its last page. */
static void fill_pipe(void)
{
	static char filling[4096];
	int left = fcntl(ends[1], F_GETPIPE_SZ) / 4096 - 1;

	while (left-- > 0)
		assert_int_equal(write(ends[1], filling, sizeof filling), sizeof filling);
}

static struct wr_thread reader;
static char read_text[1 << 13];

/* As far as a full stop; passes over what filled it. */
static void *empty_pipe(void *arg)
{
	char *text = arg;
	size_t len = 0;
	ssize_t n;

	while ((n = read(ends[0], text + len, 1)) == 1 && text[len] != '.')
		len += text[len] != 0;
	text[len] = 0;
	return NULL;
}

/* The other's lines are the first that an I/O thread takes. */
static void begin_a_block_behind_the_other(void)
{
	char record[6001];

	memset(record, 'a', 6000);
	memcpy(record + 5999, "\n", 2);
	pthread_mutex_lock(&shared.lock);
	assert_int_equal(put(other, "b.\n"), WR_OK);
	pthread_mutex_unlock(&shared.lock);
	assert_int_equal(put(outlet, record), WR_OK);
	assert_int_equal(wr_thread_start(&reader, "reader", -1, empty_pipe, read_text), WR_OK);
}

static void test_a_block_that_was_begun_is_ended_before_another_begins(void **state)
{
	(void)state;
	fill_pipe();
	while_threads_are_busy(begin_a_block_behind_the_other);
	await_drained(other);
	await_drained(outlet);
	wr_thread_join(&reader);
	if (!can_write_at_once())
		return;
	assert_int_equal(strspn(read_text, "a"), 5999);
	assert_string_equal(read_text + 5999, "\nb");
}

static void *read_all(void *arg)
{
	uint32_t *next = arg;
	char got[8];
	size_t have = 0;

	while (*next < 20000) { /* lines of eight bytes, numbered */
		ssize_t n = read(ends[0], got + have, sizeof got - have);

		have += n > 0 ? (size_t)n : 0;
		if (have < sizeof got)
			continue;
		if (strtoul(got, NULL, 10) != *next || got[7] != '\n')
			break;
		++*next;
		have = 0;
	}
	return NULL;
}

static void test_what_finds_no_room_comes_behind_in_order(void **state)
{
	uint32_t number = 0, read_until = 0;

	(void)state;
	while (number < 20000) {
		char lines[1 << 13] = "";
		size_t len = 0;
		int rc;

		for (uint32_t i = 0; i < 1000; i++)
			len += (size_t)snprintf(lines + len, sizeof lines - len, "%07u\n", number + i);
		rc = put(outlet, lines);
		assert_true(rc == WR_OK || rc == WR_AGAIN);
		number += rc == WR_OK ? 1000 : 0;
		if (rc == WR_OK)
			continue;
		if (!reader.running) /* the pipe is full, and so is the way to it */
			assert_int_equal(wr_thread_start(&reader, "reader", -1, read_all, &read_until),
					 WR_OK);
		wait_woken();
	}
	await_drained(outlet);
	assert_true(reader.running);
	wr_thread_join(&reader);
	assert_int_equal(read_until, 20000);
}

static void test_a_reader_that_is_gone_is_the_end(void **state)
{
	int rc;

	(void)state;
	close(ends[0]);
	assert_int_equal(put(outlet, "one\n"), WR_OK);
	while ((rc = wr_outlet_drain(outlet)) == WR_AGAIN)
		wait_woken();
	assert_int_equal(rc, WR_END);
	assert_int_equal(put(outlet, "two\n"), WR_END);
	ends[0] = dup(ends[1]); /* for close_outlet */
}

#define ON_A_PIPE(test) cmocka_unit_test_setup_teardown(test, open_outlet, close_outlet)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ON_A_PIPE(test_a_line_at_a_low_pace_needs_no_other_thread),
	    ON_A_PIPE(test_what_comes_soon_behind_another_is_left_to_other_threads),
	    ON_A_PIPE(test_lines_of_others_are_not_cut),
	    ON_A_PIPE(test_a_block_that_was_begun_is_ended_before_another_begins),
	    ON_A_PIPE(test_what_finds_no_room_comes_behind_in_order),
	    ON_A_PIPE(test_a_reader_that_is_gone_is_the_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
