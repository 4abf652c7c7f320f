/* SPDX-License-Identifier: Apache-2.0 */
/* text_sink_test: rows leave as whole lines, a full pipe pauses, a closed one ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "connect/collect.h"
#include "unit/connect/crew.h"

/* ---- what a sink needs around it ---- */

static struct wr_iopool *io;
static int woken; /* an eventfd */

static void on_wake(void *self)
{
	(void)self;
	eventfd_write(woken, 1);
}

static void wait_woken(void)
{
	struct pollfd p = {.fd = woken, .events = POLLIN};
	eventfd_t n;

	assert_int_equal(poll(&p, 1, 10000), 1);
	eventfd_read(woken, &n);
}

static int setup(void **state)
{
	io = wr_iopool_new(4);
	woken = eventfd(0, EFD_CLOEXEC);
	return folder_make(state);
}

static int teardown(void **state)
{
	wr_iopool_free(io);
	close(woken);
	return folder_remove(state);
}

static struct stand *sink(const char *kind, uint32_t subtask, uint32_t parallelism, const char *format)
{
	struct stand *st = stand_new(kind, subtask, parallelism);

	st->env.io = io;
	st->env.wake = (struct wr_notify){on_wake, NULL};
	stand_options(st, "s:format", format, NULL);
	return st;
}

/* {n = …, s = "…"} of some kind of change, appended to the stand's output buffer. */
static void put(struct stand *st, enum wr_kind kind, double n, const char *s)
{
	struct wr_field_spec fields[] = {{"n", 1, WR_T_F64, 0}, {"s", 1, WR_T_STR, 0}};
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = n},
				  {.type = WR_T_STR, .str = {s, (uint32_t)strlen(s)}}};
	const struct wr_shape *shape = wr_shape(wr_shape_intern(fields, 2, 0, 0));
	uint32_t len = wr_row_len(shape, cells);

	wr_row_write(st->out.p, len, shape, kind, WR_TS_NONE, cells);
	st->out.p += len;
}

static void put_scalar(struct stand *st, enum wr_kind kind, const char *s)
{
	struct wr_field_spec field = {"", 0, WR_T_STR, 0};
	struct wr_cell cell = {.type = WR_T_STR, .str = {s, (uint32_t)strlen(s)}};
	const struct wr_shape *shape = wr_shape(wr_shape_intern(&field, 1, 0, 1));
	uint32_t len = wr_row_len(shape, &cell);

	wr_row_write(st->out.p, len, shape, kind, WR_TS_NONE, &cell);
	st->out.p += len;
}

/* Hands over what was put; waits where the sink pauses. */
static int write_rows(struct stand *st)
{
	struct wr_rows rows = {st->buffer, st->out.p, 0, 0};
	int rc;

	while ((rc = st->stage.ops->rows(&st->stage, &rows)) == WR_AGAIN)
		wait_woken();
	if (rc == WR_OK)
		assert_ptr_equal(rows.p, rows.end);
	st->out.p = st->buffer;
	return rc;
}

static int finish(struct stand *st)
{
	int rc;

	while ((rc = st->stage.ops->end(&st->stage)) == WR_AGAIN)
		wait_woken();
	return rc;
}

static char *file_read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
	fclose(f);
	return text;
}

static void expect_file(const char *name, const char *wanted)
{
	char *text = file_read_all(in_folder(name));

	assert_string_equal(text, wanted);
	free(text);
}

/* ---- files ---- */

static struct stand *file_sink(const char *name, const char *format, uint32_t subtask, uint32_t parallelism)
{
	struct stand *st = sink("file", subtask, parallelism, format);

	stand_options(st, "s:path", name, NULL);
	return st;
}

static void written_as(const char *format, void (*fill)(struct stand *st), const char *wanted)
{
	const char *path = in_folder("out");
	struct stand *st = file_sink(path, format, 0, 1);

	assert_int_equal(stand_open(st), WR_OK);
	fill(st);
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(finish(st), WR_OK);
	stand_free(st);
	expect_file("out", wanted);
}

static void some_rows(struct stand *st)
{
	put(st, WR_INSERT, 1, "one");
	put(st, WR_UPDATE_BEFORE, 1, "one");
	put(st, WR_UPDATE_AFTER, 20, "two, or more");
	put(st, WR_DELETE, 20, "\xc3\xa4");
	put_scalar(st, WR_INSERT, "plain");
	put_scalar(st, WR_DELETE, "plain");
}

static void test_json_says_what_kind_of_change_a_row_is(void **state)
{
	(void)state;
	written_as(
	    "json", some_rows,
	    "{\"n\":1,\"s\":\"one\"}\n{\"op\":\"-U\",\"n\":1,\"s\":\"one\"}\n"
	    "{\"op\":\"+U\",\"n\":20,\"s\":\"two, or more\"}\n{\"op\":\"-D\",\"n\":20,\"s\":\"\xc3\xa4\"}\n"
	    "\"plain\"\n{\"op\":\"-D\",\"value\":\"plain\"}\n");
}

static void test_raw_writes_the_text_alone(void **state)
{
	(void)state;
	written_as("raw", some_rows, "1\tone\n1\tone\n20\ttwo, or more\n20\t\xc3\xa4\nplain\nplain\n");
}

static void test_a_table_is_aligned_and_its_header_follows_the_fields(void **state)
{
	(void)state;
	written_as("table", some_rows,
		   "n  s\n-  ---\n1  one\n\n"
		   "op   n  s\n--  --  ------------\n-U   1  one\n+U  20  two, or more\n-D  20  \xc3\xa4\n\n"
		   "value\n-----\nplain\n\n"
		   "op  value\n--  -----\n-D  plain\n");
}

static void fitting_rows(struct stand *st)
{
	put(st, WR_INSERT, 1, "a,b");
	put(st, WR_INSERT, 2, "");
}

static void test_csv_has_a_header(void **state)
{
	(void)state;
	written_as("csv", fitting_rows, "n,s\n1,\"a,b\"\n2,\n");
}

static void test_a_row_that_fits_no_column_follows_on_error(void **state)
{
	struct stand *st = file_sink(in_folder("out"), "csv", 0, 1);

	(void)state;
	st->stage.on_error = WR_ON_ERROR_SKIP;
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "a");
	put_scalar(st, WR_INSERT, "x");
	put(st, WR_INSERT, 2, "b");
	assert_int_equal(write_rows(st), WR_OK);
	assert_int_equal(finish(st), WR_OK);
	assert_int_equal(wr_metric_get(&st->stats.skipped), 1);
	stand_free(st);
	expect_file("out", "n,s\n1,a\n2,b\n");
}

static void test_each_subtask_has_a_file(void **state)
{
	struct stand *st[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		st[i] = file_sink(in_folder("out"), "json", i, 2);
		assert_int_equal(stand_open(st[i]), WR_OK);
		put(st[i], WR_INSERT, i, "x");
		assert_int_equal(write_rows(st[i]), WR_OK);
		assert_int_equal(finish(st[i]), WR_OK);
		stand_free(st[i]);
	}
	expect_file("out.0", "{\"n\":0,\"s\":\"x\"}\n");
	expect_file("out.1", "{\"n\":1,\"s\":\"x\"}\n");
}

static void test_a_file_is_made_anew_or_appended_to(void **state)
{
	(void)state;
	for (int append = 0; append < 2; append++) {
		struct stand *st = file_sink(in_folder("out"), "raw", 0, 1);

		if (!append)
			file_text("out", "old\n");
		stand_options(st, "b:append", append, NULL);
		assert_int_equal(stand_open(st), WR_OK);
		put_scalar(st, WR_INSERT, "new");
		assert_int_equal(write_rows(st), WR_OK);
		assert_int_equal(finish(st), WR_OK);
		stand_free(st);
		expect_file("out", append ? "new\nnew\n" : "new\n");
	}
}

static void test_a_file_that_cannot_be_made_is_an_error(void **state)
{
	struct stand *st = file_sink("/nowhere/out", "json", 0, 1);

	(void)state;
	assert_int_equal(stand_open(st), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "/nowhere/out"));
	stand_free(st);
}

static void test_a_full_disk_is_an_error_of_the_job(void **state)
{
	struct stand *st = file_sink("/dev/full", "json", 0, 1);
	int rc;

	(void)state;
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	rc = write_rows(st);
	if (rc == WR_OK)
		rc = finish(st);
	assert_int_equal(rc, WR_EFATAL);
	assert_non_null(strstr(wr_error_text(), "cannot write /dev/full"));
	stand_free(st);
}

static void fault_fails_the_file(const char *fault, const char *wanted)
{
	struct stand *st = file_sink(in_folder("out"), "json", 0, 1);
	int rc;

	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	assert_int_equal(wr_fault_set(fault, 1, ENOSPC), WR_OK);
	rc = write_rows(st);
	if (rc == WR_OK)
		rc = finish(st);
	assert_int_equal(rc, WR_EFATAL);
	assert_non_null(strstr(wr_error_text(), wanted));
	stand_free(st);
}

static void test_a_write_or_sync_that_fails_is_an_error_of_the_job(void **state)
{
	(void)state;
	fault_fails_the_file("file.write", "cannot write ");
	fault_fails_the_file("file.fsync", "cannot sync ");
}

static void survives_refused_memory(const char *format)
{
	int rc = WR_EFATAL;

	for (int64_t n = 1; n < 100 && rc != WR_OK; n++) {
		struct stand *st = file_sink(in_folder("out"), format, 0, 1);

		put(st, WR_INSERT, 1, "a,b");
		put(st, WR_UPDATE_AFTER, 1, "a");
		wr_mem_fail_at(n);
		rc = stand_open(st);
		if (rc == WR_OK)
			rc = write_rows(st);
		if (rc == WR_OK)
			rc = finish(st);
		wr_mem_fail_at(0);
		assert_true(rc == WR_OK || rc == WR_EFATAL);
		stand_free(st);
	}
	assert_int_equal(rc, WR_OK);
}

static void test_sinks_survive_refused_memory(void **state)
{
	(void)state;
	survives_refused_memory("json");
	survives_refused_memory("csv");
	survives_refused_memory("table");
}

/* ---- collect ---- */

static void test_collected_rows_are_taken_by_name(void **state)
{
	struct stand *st = stand_new("collect", 0, 1);
	struct wr_bytes taken = WR_BYTES_EMPTY;
	size_t len;

	(void)state;
	stand_options(st, "s:name", "test", NULL);
	assert_int_equal(wr_collect_take("test", &taken), WR_END);
	assert_int_equal(stand_open(st), WR_OK);
	put(st, WR_INSERT, 1, "x");
	len = (size_t)(st->out.p - st->buffer);
	assert_int_equal(write_rows(st), WR_OK);
	stand_free(st);
	assert_int_equal(wr_collect_take("test", &taken), WR_OK);
	assert_int_equal(taken.len, len);
	assert_int_equal(wr_collect_take("test", &taken), WR_OK);
	assert_int_equal(taken.len, len);
	wr_bytes_deinit(&taken);
}

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

struct drain {
	int fd;
	struct wr_bytes text;
};

static void *drain_run(void *arg)
{
	struct drain *d = arg;
	char bytes[4096];
	ssize_t n;

	while ((n = read(d->fd, bytes, sizeof bytes)) > 0)
		wr_bytes_put(&d->text, bytes, (size_t)n);
	return NULL;
}

/* A job that was about to stop goes on where its checkpoint failed. */
static void test_what_comes_behind_a_drain_that_was_given_up_is_waited_for(void **state)
{
	struct drain d = {.fd = stdout_pipe()};
	struct stand *st = sink("print", 0, 1, "raw");
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
	struct stand *st = sink("print", 0, 1, "raw");
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
	struct stand *st = sink("print", 0, 1, "json");

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
		printers[i] = (struct printer){sink("stdout", i, 3, "raw"), WR_OK};
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

/* ---- sockets and standard input ---- */

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

static void test_lines_go_to_a_server(void **state)
{
	double port;
	int fd = listener(&port);
	struct drain d = {0};
	struct stand *st = sink("tcp_sink", 0, 1, "json");

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
	struct stand *st = sink("tcp_sink", 0, 1, "json");

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
	struct stand *st = sink("tcp_sink", 0, 1, "json");

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
	struct stand *st = sink("tcp_sink", 0, 1, "raw");
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

/* Runs a source to its end, waiting where it has nothing. */
static int run_source(struct stand *st)
{
	int rc;

	while ((rc = stand_run(st)) == WR_AGAIN)
		wait_woken();
	return rc;
}

static void test_lines_come_from_a_server(void **state)
{
	double port;
	int fd = listener(&port), peer;
	struct stand *st = sink("tcp", 0, 2, "lines");

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
	struct stand *st = sink("tcp", 1, 2, "lines");

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
	struct stand *st = sink("tcp", 0, 1, "lines");

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
	struct stand *st = sink("tcp", 0, 1, "lines");

	(void)state;
	close(fd);
	stand_options(st, "s:host", "127.0.0.1", "n:port", port, "n:retries", -1.0, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	stand_free(st);
}

static void stdin_from(int fd, const char *wanted)
{
	int kept = dup(STDIN_FILENO);
	struct stand *st = sink("stdin", 0, 1, "lines");

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
	struct stand *st = sink("stdin", 0, 1, "lines");

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

#define SINK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SINK_TEST(test_json_says_what_kind_of_change_a_row_is),
	    SINK_TEST(test_raw_writes_the_text_alone),
	    SINK_TEST(test_a_table_is_aligned_and_its_header_follows_the_fields),
	    SINK_TEST(test_csv_has_a_header),
	    SINK_TEST(test_a_row_that_fits_no_column_follows_on_error),
	    SINK_TEST(test_each_subtask_has_a_file),
	    SINK_TEST(test_a_file_is_made_anew_or_appended_to),
	    SINK_TEST(test_a_file_that_cannot_be_made_is_an_error),
	    SINK_TEST(test_a_full_disk_is_an_error_of_the_job),
	    SINK_TEST(test_a_write_or_sync_that_fails_is_an_error_of_the_job),
	    SINK_TEST(test_collected_rows_are_taken_by_name),
	    SINK_TEST(test_sinks_survive_refused_memory),
	    SINK_TEST(test_what_comes_behind_a_drain_that_was_given_up_is_waited_for),
	    SINK_TEST(test_a_pipe_that_is_full_pauses_and_loses_nothing),
	    SINK_TEST(test_so_does_one_that_somebody_made_non_blocking),
	    SINK_TEST(test_a_pipe_that_nobody_reads_ends_without_an_error),
	    SINK_TEST(test_lines_of_several_subtasks_stay_whole),
	    SINK_TEST(test_lines_go_to_a_server),
	    SINK_TEST(test_a_server_that_is_not_there_is_an_error),
	    SINK_TEST(test_a_sink_that_waits_for_its_server_can_be_stopped),
	    SINK_TEST(test_a_sink_whose_server_does_not_read_can_be_stopped),
	    SINK_TEST(test_lines_come_from_a_server),
	    SINK_TEST(test_other_subtasks_of_a_stream_end_at_once),
	    SINK_TEST(test_a_source_whose_server_is_not_there_fails),
	    SINK_TEST(test_a_source_that_waits_for_its_server_can_be_stopped),
	    SINK_TEST(test_standard_input_may_be_a_file_or_a_pipe),
	    SINK_TEST(test_a_source_that_waits_for_input_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
