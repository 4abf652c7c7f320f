/* SPDX-License-Identifier: Apache-2.0 */
/* pipe: whole lines go into a pipe as far as it has room, and nothing waits or is killed for it. */
#include "stream/pipe.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PAGE = 4096, ROOM = 16 * PAGE };

static int ends[2];
static char text[1 << 20];

static int open_pipe(void **state)
{
	(void)state;
	return pipe2(ends, O_NONBLOCK) || fcntl(ends[0], F_SETPIPE_SZ, ROOM) != ROOM;
}

static int close_pipe(void **state)
{
	(void)state;
	close(ends[0]);
	return close(ends[1]);
}

/* Lines of `each` bytes, `len` in all. */
static void fill_text(size_t len, size_t each)
{
	for (size_t i = 0; i < len; i++)
		text[i] = i % each == each - 1 ? '\n' : (char)('a' + i / each % 26);
}

static size_t put(size_t from, size_t len)
{
	errno = 0;
	return wr_pipe_put_lines(ends[1], text + from, len - from);
}

/* Where the system cannot write so, it says so, and there is nothing else to be tested. */
static bool can_put(void)
{
	char line[3];

	if (wr_pipe_put_lines(ends[1], "a\n", 2) == 2)
		return read(ends[0], line, sizeof line) == 2;
	assert_int_equal(errno, EOPNOTSUPP);
	return false;
}

static void expect(size_t from, size_t len)
{
	static char got[sizeof text];
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(ends[0], got + at, len - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_memory_equal(got, text + from, len);
}

static void test_lines_go_in_as_they_are(void **state)
{
	(void)state;
	if (!can_put())
		return;
	fill_text(3 * PAGE, 96);
	assert_int_equal(put(0, 3 * PAGE), 3 * PAGE);
	expect(0, 3 * PAGE);
}

static void test_a_full_pipe_takes_whole_lines_only(void **state)
{
	size_t len = sizeof text - sizeof text % 100, at = 0;
	int times = 0;

	(void)state;
	if (!can_put())
		return;
	fill_text(len, 100);
	while (at < len) {
		size_t done = put(at, len);

		assert_int_equal(done % 100, 0);
		assert_in_range(done, 1, ROOM);
		assert_true(at + done == len || errno == EAGAIN);
		assert_int_equal(put(at + done, len), 0);
		expect(at, done);
		at += done;
		times++;
	}
	assert_in_range(times, len / ROOM, 2 * len / ROOM);
}

static void test_a_line_that_is_no_whole_to_a_pipe_stays(void **state)
{
	(void)state;
	if (!can_put())
		return;
	fill_text(3 * PAGE, PAGE);
	text[PAGE - 1] = 'x'; /* a line of one page, and one of two */
	memset(text, '\n', 10);
	assert_int_equal(put(0, 3 * PAGE), 10);
	assert_int_equal(errno, EMSGSIZE);
	expect(0, 10);
	assert_int_equal(put(10, PAGE), 0); /* no end of a line in sight */
	assert_int_equal(put(2 * PAGE, 3 * PAGE), PAGE);
	expect(2 * PAGE, PAGE);
}

static void test_a_reader_that_is_gone_kills_nobody(void **state)
{
	sigset_t pending;

	(void)state;
	if (!can_put())
		return;
	fill_text(PAGE, 64);
	close(ends[0]);
	assert_int_equal(put(0, PAGE), 0);
	assert_int_equal(errno, EPIPE);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
	ends[0] = dup(ends[1]); /* for close_pipe */
}

static void test_only_pipes_are_pipes(void **state)
{
	FILE *f = tmpfile();

	(void)state;
	assert_true(wr_is_pipe(ends[1]));
	assert_false(wr_is_pipe(fileno(f)));
	assert_false(wr_is_pipe(-1));
	fclose(f);
}

#define ON_A_PIPE(test) cmocka_unit_test_setup_teardown(test, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ON_A_PIPE(test_lines_go_in_as_they_are),
	    ON_A_PIPE(test_a_full_pipe_takes_whole_lines_only),
	    ON_A_PIPE(test_a_line_that_is_no_whole_to_a_pipe_stays),
	    ON_A_PIPE(test_a_reader_that_is_gone_kills_nobody),
	    ON_A_PIPE(test_only_pipes_are_pipes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
