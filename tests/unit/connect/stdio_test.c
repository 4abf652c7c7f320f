/* SPDX-License-Identifier: Apache-2.0 */
/* stdio_test: standard output, where a full pipe pauses and a closed one ends, and standard input. */
#include <sched.h>
#include "unit/connect/outside.h"

/* ---- standard output ---- */

/* Standard output is a pipe from here to stdout_back; gives the end to read. */
static int stdout_kept;

static int stdout_pipe(void)
{
	int fds[2];

	fflush(stdout);
	stdout_kept = dup(STDOUT_FILENO);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	return fds[0];
}

static void stdout_back(void)
{
	dup2(stdout_kept, STDOUT_FILENO);
	close(stdout_kept);
}

/* A job that was about to stop goes on where its checkpoint failed. */
static void test_what_comes_behind_a_drain_that_was_given_up_is_waited_for(void **state)
{
	struct drain d = {.fd = stdout_pipe()};
	struct stand *st = outside("print", 0, 1, "raw");
	struct wr_thread reader = {0};
	char line[100001];
	int rc;

	(void)state;
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = 0;
	assert_int_equal(stand_open(st), WR_OK);
	put_scalar(st, WR_INSERT, "first");
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(st->stage.ops->flush(&st->stage), WR_AGAIN);
	wait_woken();
	put_scalar(st, WR_INSERT, line); /* more than a pipe takes */
	assert_int_equal(write_rows(st), WR_OK);
	rc = st->stage.ops->flush(&st->stage);
	assert_int_equal(wr_thread_start(&reader, "reader", -1, drain_run, &d), WR_OK);
	finish(st);
	stand_free(st);
	stdout_back();
	wr_thread_join(&reader);
	close(d.fd);
	assert_int_equal(rc, WR_AGAIN);
	assert_int_equal(d.text.len, strlen("first\n") + sizeof line);
	wr_bytes_deinit(&d.text);
}

/* `flags` of the pipe: as it is, or non-blocking. */
static void full_pipe_pauses(int flags)
{
	struct drain d = {.fd = stdout_pipe()};
	struct stand *st = outside("print", 0, 1, "raw");
	struct wr_rows rows;
	struct wr_thread reader = {0};
	char text[16], *at;
	int rc;

	assert_int_equal(fcntl(STDOUT_FILENO, F_SETFL, flags), 0);
	assert_int_equal(stand_open(st), WR_OK);
	for (int i = 0; i < 300000; i++) {
		snprintf(text, sizeof text, "%d", i);
		put_scalar(st, WR_INSERT, text);
	}
	rows = (struct wr_rows){st->buffer, st->out.p, 0, 0};
	do
		rc = st->stage.ops->rows(&st->stage, &rows);
	while (rc == WR_OK && rows.p < rows.end);
	assert_int_equal(rc, WR_AGAIN);
	assert_int_equal(wr_thread_start(&reader, "reader", -1, drain_run, &d), WR_OK);
	while ((rc = st->stage.ops->rows(&st->stage, &rows)) == WR_AGAIN)
		wait_woken();
	assert_int_equal(rc, WR_OK);
	assert_int_equal(finish(st), WR_OK);
	stand_free(st);
	stdout_back();
	wr_thread_join(&reader);
	close(d.fd);
	wr_bytes_put_u8(&d.text, 0);
	at = (char *)d.text.data;
	for (int i = 0; i < 300000; i++, at++)
		assert_int_equal(strtol(at, &at, 10), i);
	assert_int_equal(*at, 0);
	wr_bytes_deinit(&d.text);
}

static void test_a_pipe_that_is_full_pauses_and_loses_nothing(void **state)
{
	(void)state;
	full_pipe_pauses(0);
}

static void test_so_does_one_that_somebody_made_non_blocking(void **state)
{
	(void)state;
	full_pipe_pauses(O_NONBLOCK);
}

static void test_a_pipe_that_nobody_reads_ends_without_an_error(void **state)
{
	int fd = stdout_pipe(), rc = WR_OK;
	struct stand *st = outside("print", 0, 1, "json");

	(void)state;
	close(fd);
	assert_int_equal(stand_open(st), WR_OK);
	for (int i = 0; i < 1000000 && rc == WR_OK; i++) {
		put(st, WR_INSERT, i, "x");
		rc = write_rows(st);
	}
	assert_int_equal(rc, WR_END);
	assert_int_equal(finish(st), WR_OK);
	stand_free(st);
	stdout_back();
}

struct printer {
	struct stand *st;
	int rc;
};

/* Lines of one letter, as long as its number says: torn lines would show. */
static void *printer_run(void *arg)
{
	struct printer *p = arg;
	char text[4000];

	for (int i = 0; i < 400 && p->rc == WR_OK; i++) {
		size_t len = 1 + (size_t)(i * 37) % (sizeof text - 2);
		struct wr_rows rows;

		memset(text, 'a' + (int)p->st->env.subtask, len);
		text[len] = 0;
		p->st->out.p = p->st->buffer;
		put_scalar(p->st, WR_INSERT, text);
		rows = (struct wr_rows){p->st->buffer, p->st->out.p, 0, 0};
		while ((p->rc = p->st->stage.ops->rows(&p->st->stage, &rows)) == WR_AGAIN)
			sched_yield();
	}
	while (p->rc == WR_OK && (p->rc = p->st->stage.ops->end(&p->st->stage)) == WR_AGAIN) {
		sched_yield();
		p->rc = WR_OK;
	}
	return NULL;
}

static void test_lines_of_several_subtasks_stay_whole(void **state)
{
	struct drain d = {.fd = stdout_pipe()};
	struct wr_thread reader = {0}, threads[3] = {{0}};
	struct printer printers[3];
	int lines = 0;

	(void)state;
	assert_int_equal(wr_thread_start(&reader, "reader", -1, drain_run, &d), WR_OK);
	for (uint32_t i = 0; i < 3; i++) {
		printers[i] = (struct printer){outside("stdout", i, 3, "raw"), WR_OK};
		assert_int_equal(stand_open(printers[i].st), WR_OK);
		assert_int_equal(wr_thread_start(&threads[i], "printer", -1, printer_run, &printers[i]),
				 WR_OK);
	}
	for (uint32_t i = 0; i < 3; i++) {
		wr_thread_join(&threads[i]);
		assert_int_equal(printers[i].rc, WR_OK);
		stand_free(printers[i].st);
	}
	stdout_back();
	wr_thread_join(&reader);
	close(d.fd);
	wr_bytes_put_u8(&d.text, 0);
	for (char *p = (char *)d.text.data; *p; p++, lines++)
		for (char c = *p; *p != '\n'; p++)
			assert_int_equal(*p, c);
	assert_int_equal(lines, 1200);
	wr_bytes_deinit(&d.text);
}

/* ---- standard input ---- */

static void stdin_from(int fd, const char *wanted)
{
	int kept = dup(STDIN_FILENO);
	struct stand *st = outside("stdin", 0, 1, "lines");

	dup2(fd, STDIN_FILENO);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(run_source(st), WR_END);
	assert_string_equal(stand_text(st), wanted);
	stand_free(st);
	dup2(kept, STDIN_FILENO);
	close(kept);
}

static void test_standard_input_may_be_a_file_or_a_pipe(void **state)
{
	const char *wanted = "{\"line\":\"a\",\"offset\":0}\n{\"line\":\"b\",\"offset\":2}\n";
	int fds[2], fd;

	(void)state;
	file_text("in", "a\nb\n");
	fd = open(in_folder("in"), O_RDONLY);
	stdin_from(fd, wanted);
	close(fd);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\nb\n", 4), 4);
	close(fds[1]);
	stdin_from(fds[0], wanted);
	close(fds[0]);
}

static void test_a_source_that_waits_for_input_can_be_stopped(void **state)
{
	int fds[2], kept = dup(STDIN_FILENO);
	struct stand *st = outside("stdin", 0, 1, "lines");

	(void)state;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[0], STDIN_FILENO);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	stand_free(st);
	dup2(kept, STDIN_FILENO);
	close(kept);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    OUTSIDE_TEST(test_what_comes_behind_a_drain_that_was_given_up_is_waited_for),
	    OUTSIDE_TEST(test_a_pipe_that_is_full_pauses_and_loses_nothing),
	    OUTSIDE_TEST(test_so_does_one_that_somebody_made_non_blocking),
	    OUTSIDE_TEST(test_a_pipe_that_nobody_reads_ends_without_an_error),
	    OUTSIDE_TEST(test_lines_of_several_subtasks_stay_whole),
	    OUTSIDE_TEST(test_standard_input_may_be_a_file_or_a_pipe),
	    OUTSIDE_TEST(test_a_source_that_waits_for_input_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
