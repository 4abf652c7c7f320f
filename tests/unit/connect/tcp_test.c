/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_test: lines that go to a server, and come from one. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "unit/connect/outside.h"

static int listener(double *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* ---- the sink ---- */

static void test_lines_go_to_a_server(void **state)
{
	double port;
	int fd = listener(&port);
	struct drain d = {0};
	struct stand *st = outside("tcp_sink", 0, 1, "json");

	(void)state;
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	put(st, WR_INSERT, 2, "y");
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(finish(st), WR_OK);
	stand_free(st);
	d.fd = accept(fd, NULL, NULL);
	drain_run(&d);
	assert_int_equal(d.text.len, 32);
	assert_memory_equal(d.text.data, "{\"n\":1,\"s\":\"x\"}\n{\"n\":2,\"s\":\"y\"}\n", 32);
	wr_bytes_deinit(&d.text);
	close(d.fd);
	close(fd);
}

static void test_a_server_that_is_not_there_is_an_error(void **state)
{
	double port;
	int fd = listener(&port), rc;
	struct stand *st = outside("tcp_sink", 0, 1, "json");

	(void)state;
	close(fd);
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	rc = write_rows(st);
	if (rc == WR_OK)
		rc = finish(st);
	assert_int_equal(rc, WR_ETRANSIENT);
	assert_non_null(strstr(wr_error_text(), "cannot connect to 127.0.0.1"));
	stand_free(st);
}

static void test_a_sink_that_waits_for_its_server_can_be_stopped(void **state)
{
	double port;
	int fd = listener(&port);
	struct stand *st = outside("tcp_sink", 0, 1, "json");

	(void)state;
	close(fd);
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, "n:retries", -1.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(st->stage.ops->end(&st->stage), WR_AGAIN);
	stand_free(st);
}

static void test_a_sink_whose_server_does_not_read_can_be_stopped(void **state)
{
	double port;
	int fd = listener(&port), rc = WR_OK;
	struct stand *st = outside("tcp_sink", 0, 1, "raw");
	struct wr_rows rows;

	(void)state;
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	for (int i = 0; i < 1000000; i++)
		put_scalar(st, WR_INSERT, "a line that is written and never read");
	rows = (struct wr_rows){st->buffer, st->out.p, 0, 0};
	while (rc == WR_OK && rows.p < rows.end)
		rc = st->stage.ops->rows(&st->stage, &rows);
	assert_int_equal(rc, WR_AGAIN);
	stand_free(st);
	close(fd);
}

/* ---- the source ---- */

static void test_lines_come_from_a_server(void **state)
{
	double port;
	int fd = listener(&port), peer;
	struct stand *st = outside("tcp", 0, 2, "lines");

	(void)state;
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	peer = accept(fd, NULL, NULL);
	assert_int_equal(write(peer, "one\ntw", 6), 6);
	while (st->out.rows == 0) {
		assert_int_equal(stand_run(st), WR_AGAIN);
		if (st->out.rows == 0)
			wait_woken();
	}
	assert_int_equal(write(peer, "o\nthree", 7), 7);
	close(peer);
	assert_int_equal(run_source(st), WR_END);
	assert_string_equal(stand_text(st),
			    "{\"line\":\"one\",\"offset\":0}\n{\"line\":\"two\",\"offset\":4}\n"
			    "{\"line\":\"three\",\"offset\":8}\n");
	stand_free(st);
	close(fd);
}

static void test_other_subtasks_of_a_stream_end_at_once(void **state)
{
	struct stand *st = outside("tcp", 1, 2, "lines");

	(void)state;
	stand_options(st, "n:port", 1.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_END);
	stand_free(st);
}

static void test_a_source_whose_server_is_not_there_fails(void **state)
{
	double port;
	int fd = listener(&port);
	struct stand *st = outside("tcp", 0, 1, "lines");

	(void)state;
	close(fd);
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(run_source(st), WR_ETRANSIENT);
	stand_free(st);
}

static void test_a_source_that_waits_for_its_server_can_be_stopped(void **state)
{
	double port;
	int fd = listener(&port);
	struct stand *st = outside("tcp", 0, 1, "lines");

	(void)state;
	close(fd);
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, "n:retries", -1.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	stand_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    OUTSIDE_TEST(test_lines_go_to_a_server),
	    OUTSIDE_TEST(test_a_server_that_is_not_there_is_an_error),
	    OUTSIDE_TEST(test_a_sink_that_waits_for_its_server_can_be_stopped),
	    OUTSIDE_TEST(test_a_sink_whose_server_does_not_read_can_be_stopped),
	    OUTSIDE_TEST(test_lines_come_from_a_server),
	    OUTSIDE_TEST(test_other_subtasks_of_a_stream_end_at_once),
	    OUTSIDE_TEST(test_a_source_whose_server_is_not_there_fails),
	    OUTSIDE_TEST(test_a_source_that_waits_for_its_server_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
