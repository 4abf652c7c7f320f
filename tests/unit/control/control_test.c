/* SPDX-License-Identifier: Apache-2.0 */
/* control: a socket in a folder of its own, clients that behave and that do not, all on one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "control/control.h"
#include "control/folder.h"

enum { BIG = 4 << 20, MANY = 50, TOO_MANY = 256 };

static char folder[64];
static struct wr_control *control;
static struct wr_loop *loop, *loops[2];
static struct wr_call *kept;

static void echo(struct wr_call *call, const struct wr_value *request, void *arg)
{
	struct wr_bytes out = WR_BYTES_EMPTY;
	const char *text = "";

	(void)arg;
	if (wr_message_text(request, "text", &text) != WR_OK) {
		wr_call_fail(call);
		return;
	}
	wr_bytes_put_json(&out, text, strlen(text));
	wr_call_answer(call, &out);
	wr_bytes_deinit(&out);
}

static void keep(struct wr_call *call, const struct wr_value *request, void *arg)
{
	(void)request, (void)arg;
	kept = call;
}

static void big(struct wr_call *call, const struct wr_value *request, void *arg)
{
	struct wr_bytes out = WR_BYTES_EMPTY;
	uint8_t *room = wr_bytes_room(&out, BIG);

	(void)request, (void)arg;
	memset(room, '1', BIG);
	out.len = BIG;
	wr_call_answer(call, &out);
	wr_bytes_deinit(&out);
}

static const struct wr_control_verb some[] = {{"echo", echo}, {"keep", keep}}, more[] = {{"big", big}};
static const struct wr_control_verbs tables[] = {{some, 2, NULL}, {more, 1, NULL}};

static void answer_kept(const char *json)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	wr_bytes_put(&out, json, strlen(json));
	wr_call_answer(kept, &out);
	wr_bytes_deinit(&out);
}

static int open_job(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, P_tmpdir "/weir-control-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	for (int i = 0; i < 2; i++)
		loops[i] = wr_loop_new(wr_clock_system());
	loop = loops[0];
	control = wr_control_open(&(struct wr_control_options){"a job", folder, tables, 2});
	if (control)
		wr_control_attach(control, loop);
	return control ? 0 : -1;
}

static void remove_folder(void)
{
	char path[400];
	DIR *d = opendir(folder);

	for (const struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(folder);
}

static int close_job(void **state)
{
	(void)state;
	wr_control_close(control);
	for (int i = 0; i < 2; i++)
		wr_loop_free(loops[i]);
	control = NULL;
	remove_folder();
	return 0;
}

static int connected(void)
{
	int fd = wr_control_connect(folder, wr_control_id(control));

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next `cap` bytes at most; "" at the end. */
static ssize_t hear(int fd, char *to, size_t cap)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (!poll(&p, 1, 0))
		wr_loop_wait(loop, wr_clock_ns(wr_clock_system()) + 1000000);
	return recv(fd, to, cap, 0);
}

static void expect(int fd, const char *line)
{
	char text[1000] = "";
	size_t len = 0;

	while (!strchr(text, '\n') && len < sizeof text - 1) {
		ssize_t n = hear(fd, text + len, 1);

		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = 0;
	}
	assert_string_equal(text, line);
}

static void expect_end(int fd)
{
	char byte;

	assert_true(hear(fd, &byte, 1) <= 0);
	close(fd);
}

/* Handles what has come so far. */
static void turn(void)
{
	for (int i = 0; i < 10; i++)
		wr_loop_wait(loop, 1);
}

/* ---- lines ---- */

static void a_request_is_answered_by_the_function_of_its_verb(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, "{\"verb\":\"echo\",\"text\":\"h\\u00e9 \\\"you\\\"\"}\n");
	expect(fd, "{\"ok\":\"hé \\\"you\\\"\"}\n");
	close(fd);
}

static void what_is_malformed_gets_one_error_line_and_the_next_is_answered(void **state)
{
	static const char *const wrong[][2] = {
	    {"", "request: no JSON"},
	    {"{", "request: no JSON"},
	    {"[]", "request: no JSON object"},
	    {"\xff", "request: no JSON"},
	    {"{}", "request: \\\"verb\\\" is missing"},
	    {"{\"verb\":7}", "request: \\\"verb\\\" must be a text"},
	    {"{\"verb\":\"echo\",\"verb\":\"echo\"}", "request: \\\"verb\\\" is said twice"},
	    {"{\"verb\":\"ech\"}", "request: unknown verb \\\"ech\\\"; this job knows echo, keep, big"},
	    {"{\"verb\":\"echo\",\"text\":[]}", "\\\"text\\\" must be a text"},
	};
	int fd = connected();

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[300] = "", begins[200];
		size_t len = 0;

		say(fd, wrong[i][0]);
		say(fd, "\n{\"verb\":\"echo\"}\n");
		while (!strchr(text, '\n') && len < sizeof text - 1)
			len += (size_t)hear(fd, text + len, 1);
		snprintf(begins, sizeof begins, "{\"error\":\"%s", wrong[i][1]);
		assert_memory_equal(text, begins, strlen(begins));
		expect(fd, "{\"ok\":\"\"}\n");
	}
	close(fd);
}

static void a_request_in_pieces_is_one_and_many_at_once_are_answered_in_order(void **state)
{
	static const char one[] = "{\"verb\":\"echo\",\"text\":\"piece\"}\n";
	int fd = connected();

	(void)state;
	for (size_t i = 0; i < sizeof one - 1; i++) {
		assert_int_equal(send(fd, one + i, 1, 0), 1);
		turn();
	}
	expect(fd, "{\"ok\":\"piece\"}\n");
	say(fd, "{\"verb\":\"echo\",\"text\":\"a\"}\n{\"verb\":\"echo\",\"text\":\"b\"}\n{\"verb\":\"echo\"");
	say(fd, ",\"text\":\"c\"}\n");
	expect(fd, "{\"ok\":\"a\"}\n");
	expect(fd, "{\"ok\":\"b\"}\n");
	expect(fd, "{\"ok\":\"c\"}\n");
	say(fd, "{\"verb\":\"echo\",\"text\":\"last\"}\n{\"verb");
	shutdown(fd, SHUT_WR);
	expect(fd, "{\"ok\":\"last\"}\n");
	expect_end(fd);
}

static void a_request_that_is_too_long_gets_one_error_line_and_the_end(void **state)
{
	static char text[WR_MESSAGE_MAX + 2000];
	int fd = connected();

	(void)state;
	memset(text, ' ', sizeof text - 1);
	for (size_t at = 0; at < sizeof text - 1;) {
		ssize_t n = send(fd, text + at, sizeof text - 1 - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		at += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			turn();
	}
	expect(fd, "{\"error\":\"a request is longer than 65536 bytes\"}\n");
	expect_end(fd);
}

static void a_request_of_the_greatest_length_is_answered(void **state)
{
	static char text[WR_MESSAGE_MAX + 2];
	static const char one[] = "{\"verb\":\"echo\"";
	int fd = connected();

	(void)state;
	memset(text, ' ', WR_MESSAGE_MAX);
	memcpy(text, one, sizeof one - 1);
	memcpy(text + WR_MESSAGE_MAX - 1, "}\n", 2);
	for (size_t at = 0; at < WR_MESSAGE_MAX + 1;) {
		ssize_t n = send(fd, text + at, WR_MESSAGE_MAX + 1 - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		at += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			turn();
	}
	expect(fd, "{\"ok\":\"\"}\n");
	close(fd);
}

/* ---- calls ---- */

static void while_one_waits_for_its_answer_others_are_answered(void **state)
{
	int waiting = connected(), other = connected();
	struct wr_bytes note = WR_BYTES_EMPTY;

	(void)state;
	say(waiting, "{\"verb\":\"keep\"}\n{\"verb\":\"echo\",\"text\":\"behind\"}\n");
	turn();
	assert_non_null(kept);
	say(other, "{\"verb\":\"echo\"}\n");
	expect(other, "{\"ok\":\"\"}\n");
	wr_bytes_put(&note, "17", 2);
	wr_call_progress(kept, &note);
	expect(waiting, "{\"progress\":17}\n");
	answer_kept("true");
	expect(waiting, "{\"ok\":true}\n");
	expect(waiting, "{\"ok\":\"behind\"}\n");
	wr_bytes_deinit(&note);
	close(waiting);
	close(other);
}

static void an_answer_for_a_client_that_has_gone_is_dropped(void **state)
{
	int fd = connected(), other;

	(void)state;
	say(fd, "{\"verb\":\"keep\"}\n");
	turn();
	close(fd);
	turn();
	answer_kept("1");
	other = connected();
	say(other, "{\"verb\":\"echo\"}\n");
	expect(other, "{\"ok\":\"\"}\n");
	close(other);
}

static void who_still_waits_at_the_end_hears_that_the_job_has_ended(void **state)
{
	int fd = connected();

	say(fd, "{\"verb\":\"keep\"}\n");
	turn();
	close_job(state);
	expect(fd, "{\"error\":\"the job has ended\"}\n");
	expect_end(fd);
	assert_int_equal(open_job(state), 0);
}

static void clients_move_with_the_job_from_loop_to_loop(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, "{\"verb\":\"keep\"}\n");
	turn();
	loop = loops[1];
	wr_control_attach(control, loop);
	answer_kept("2");
	expect(fd, "{\"ok\":2}\n");
	say(fd, "{\"verb\":\"echo\"}\n");
	expect(fd, "{\"ok\":\"\"}\n");
	wr_control_attach(control, NULL);
	wr_loop_free(loops[0]);
	loops[0] = NULL;
	say(fd, "{\"verb\":\"echo\",\"text\":\"later\"}\n");
	wr_control_attach(control, loop);
	expect(fd, "{\"ok\":\"later\"}\n");
	close(fd);
}

/* ---- many, and slow ones ---- */

static void a_client_that_does_not_read_holds_up_nobody(void **state)
{
	static char answer[BIG + 16];
	int slow = connected(), other = connected();
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		say(slow, "{\"verb\":\"big\"}\n");
	turn();
	say(other, "{\"verb\":\"echo\"}\n");
	expect(other, "{\"ok\":\"\"}\n");
	while (len < BIG + 8) {
		ssize_t n = hear(slow, answer + len, BIG + 8 - len);

		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_memory_equal(answer, "{\"ok\":111", 9);
	assert_memory_equal(answer + BIG + 5, "1}\n", 3);
	close(slow);
	turn();
	close(other);
}

static void fifty_clients_at_once_are_all_answered(void **state)
{
	int fds[MANY];
	char text[80];

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = connected();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			snprintf(text, sizeof text, "{\"verb\":\"echo\",\"text\":\"%d\"}\n", i);
			say(fds[i], text);
		}
		for (int i = MANY; i-- > 0;) {
			snprintf(text, sizeof text, "{\"ok\":\"%d\"}\n", i);
			expect(fds[i], text);
		}
	}
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void one_client_too_many_is_told_so_and_the_others_stay(void **state)
{
	static int fds[TOO_MANY];
	int fd;

	(void)state;
	for (int i = 0; i < TOO_MANY; i++) {
		fds[i] = connected();
		turn();
	}
	fd = connected();
	expect(fd, "{\"error\":\"256 clients are connected already\"}\n");
	expect_end(fd);
	say(fds[7], "{\"verb\":\"echo\"}\n");
	expect(fds[7], "{\"ok\":\"\"}\n");
	for (int i = 0; i < TOO_MANY; i++)
		close(fds[i]);
	turn();
	fd = connected();
	say(fd, "{\"verb\":\"echo\"}\n");
	expect(fd, "{\"ok\":\"\"}\n");
	close(fd);
}

/* ---- the folder ---- */

static void the_socket_is_the_users_alone_and_goes_with_the_job(void **state)
{
	char path[WR_SOCKET_PATH];
	struct stat st;

	assert_memory_equal(wr_control_id(control), "a_job-", 6);
	assert_int_equal(wr_control_path(folder, "", wr_control_id(control), path), WR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	close_job(state);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(open_job(state), 0);
}

static void a_folder_is_made_for_the_user_alone_and_one_that_others_write_to_is_refused(void **state)
{
	char path[WR_SOCKET_PATH], inner[80];
	struct stat st;

	(void)state;
	snprintf(inner, sizeof inner, "%s/inner", folder);
	assert_int_equal(wr_control_folder(inner, false, path), WR_END);
	assert_int_equal(wr_control_folder(inner, true, path), WR_OK);
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(chmod(inner, 0720), 0);
	assert_int_equal(wr_control_folder(inner, true, path), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "can be written to by others"));
	rmdir(inner);
	assert_int_equal(symlink(folder, inner), 0);
	assert_int_equal(wr_control_folder(inner, true, path), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "is no folder"));
	unlink(inner);
	snprintf(inner, sizeof inner, "%s/no/inner", folder);
	assert_int_equal(wr_control_folder(inner, true, path), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "cannot make"));
}

static void the_folder_is_chosen_or_the_sessions_or_the_users(void **state)
{
	char path[WR_SOCKET_PATH], expected[80];

	(void)state;
	setenv("XDG_RUNTIME_DIR", folder, 1);
	snprintf(expected, sizeof expected, "%s/weir", folder);
	assert_int_equal(wr_control_folder(NULL, false, path), WR_END);
	assert_string_equal(path, expected);
	unsetenv("XDG_RUNTIME_DIR");
	snprintf(expected, sizeof expected, P_tmpdir "/weir-%u", (unsigned)geteuid());
	wr_control_folder(NULL, false, path);
	assert_string_equal(path, expected);
}

static void leave(const char *name)
{
	char path[200];
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static int count(void *arg, const struct wr_control_entry *e)
{
	(void)e;
	++*(int *)arg;
	return WR_OK;
}

static bool is_there(const char *name)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static void what_dead_processes_left_is_removed_and_other_files_are_left_alone(void **state)
{
	int n = 0;

	(void)state;
	leave("dead-999999999.sock");
	leave(".dead-999999998.sock");
	leave("no-socket-999999999");
	leave("999999999.sock");
	leave("x.sock");
	assert_int_equal(wr_control_each(folder, count, &n), WR_OK);
	assert_int_equal(n, 1);
	assert_false(is_there("dead-999999999.sock"));
	assert_false(is_there(".dead-999999998.sock"));
	assert_true(is_there("no-socket-999999999"));
	assert_true(is_there("999999999.sock"));
	assert_true(is_there("x.sock"));
}

/* Its number belongs to another process by now. */
static void a_socket_that_nobody_listens_at_is_removed_when_it_is_called(void **state)
{
	char name[80];

	(void)state;
	snprintf(name, sizeof name, "gone-%d", (int)getppid());
	close(wr_control_listen(folder, name));
	assert_int_equal(wr_control_connect(folder, name), -1);
	assert_non_null(strstr(wr_error_text(), "it has ended"));
	snprintf(name, sizeof name, "gone-%d.sock", (int)getppid());
	assert_false(is_there(name));
}

int main(void)
{
#define JOB_TEST(f) cmocka_unit_test_setup_teardown(f, open_job, close_job)
	const struct CMUnitTest tests[] = {
	    JOB_TEST(a_request_is_answered_by_the_function_of_its_verb),
	    JOB_TEST(what_is_malformed_gets_one_error_line_and_the_next_is_answered),
	    JOB_TEST(a_request_in_pieces_is_one_and_many_at_once_are_answered_in_order),
	    JOB_TEST(a_request_that_is_too_long_gets_one_error_line_and_the_end),
	    JOB_TEST(a_request_of_the_greatest_length_is_answered),
	    JOB_TEST(while_one_waits_for_its_answer_others_are_answered),
	    JOB_TEST(an_answer_for_a_client_that_has_gone_is_dropped),
	    JOB_TEST(who_still_waits_at_the_end_hears_that_the_job_has_ended),
	    JOB_TEST(clients_move_with_the_job_from_loop_to_loop),
	    JOB_TEST(a_client_that_does_not_read_holds_up_nobody),
	    JOB_TEST(fifty_clients_at_once_are_all_answered),
	    JOB_TEST(one_client_too_many_is_told_so_and_the_others_stay),
	    JOB_TEST(the_socket_is_the_users_alone_and_goes_with_the_job),
	    JOB_TEST(a_folder_is_made_for_the_user_alone_and_one_that_others_write_to_is_refused),
	    JOB_TEST(the_folder_is_chosen_or_the_sessions_or_the_users),
	    JOB_TEST(what_dead_processes_left_is_removed_and_other_files_are_left_alone),
	    JOB_TEST(a_socket_that_nobody_listens_at_is_removed_when_it_is_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
