/* SPDX-License-Identifier: Apache-2.0 */
/* pipe: as much goes in as there is room for, and nothing waits or is killed for it. */
#include "stream/pipe.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROOM = 4 * 4096 };

static int ends[2];
static char sent[2 * ROOM], got[2 * ROOM];

static int open_pipe(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)('a' + i / 100 % 26);
	return pipe(ends) || fcntl(ends[0], F_SETPIPE_SZ, ROOM) != ROOM;
}

static int close_pipe(void **state)
{
	(void)state;
	close(ends[0]);
	return close(ends[1]);
}

/* Where the system cannot write so, it says so, and there is nothing else to be tested. */
static bool can_write(void)
{
	if (wr_pipe_write(ends[1], "a", 1) == 1)
		return read(ends[0], got, 1) == 1;
	assert_int_equal(errno, EOPNOTSUPP);
	return false;
}

static void test_what_there_is_room_for_goes_in(void **state)
{
	(void)state;
	if (!can_write())
		return;
	assert_int_equal(wr_pipe_write(ends[1], sent, 100), 100);
	assert_int_equal(read(ends[0], got, 100), 100);
	assert_int_equal(wr_pipe_write(ends[1], sent, sizeof sent), ROOM);
	assert_int_equal(wr_pipe_write(ends[1], sent, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(read(ends[0], got, sizeof got), ROOM);
	assert_memory_equal(got, sent, ROOM);
}

static void test_a_reader_that_is_gone_kills_nobody(void **state)
{
	sigset_t pending;

	(void)state;
	if (!can_write())
		return;
	close(ends[0]);
	assert_int_equal(wr_pipe_write(ends[1], sent, 100), -1);
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
	    ON_A_PIPE(test_what_there_is_room_for_goes_in),
	    ON_A_PIPE(test_a_reader_that_is_gone_kills_nobody),
	    ON_A_PIPE(test_only_pipes_are_pipes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
