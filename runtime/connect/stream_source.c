/* SPDX-License-Identifier: Apache-2.0 */
/* stream_source: the sources that have one stream of bytes: stdin and tcp. One subtask reads,
 * the others end at once. On the task's thread; what may block is behind a pump.
 *
 * stdin: options of format/intake.h. A file is read as a file (weir run job.lua < file),
 * unpacked if it is packed; anything else through a pump. Rows of lines: { line=, offset= }.
 * tcp: { host, port, retries, retry_every } beside them; connects and reads to the end of the
 * connection, like Flink's socketTextStream. Listening is up to the other side (nc -lk).
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "stream/dial.h"
#include "format/intake.h"
#include "stream/pump.h"
#include "connect/kinds.h"

struct stream_source {
	struct wr_intake *intake;
	struct wr_dial dial;
	char name[300]; /* for messages */
	bool ended;
};

static struct wr_mem stream_mem = WR_MEM_INIT("connect.stream");

static struct wr_feed *open_stdin(struct wr_stage *s)
{
	struct wr_feed *feed;
	struct stat st;
	int fd = dup(STDIN_FILENO);

	if (fd < 0 || fstat(fd, &st) != 0) {
		wr_error_set(WR_EUSER, "standard input is closed");
		return NULL;
	}
	if (S_ISREG(st.st_mode))
		return wr_file_feed_new(fd, true);
	feed = wr_pump_new(&(struct wr_pump_options){"weir-stdin", s->env->wake, fd, true, NULL, NULL});
	if (!feed)
		close(fd);
	return feed;
}

static int start(struct wr_stage *s, struct wr_feed *feed)
{
	struct stream_source *t = s->state;

	t->intake = feed ? wr_intake_new(s, false) : NULL;
	if (!t->intake) {
		wr_feed_free(feed);
		return wr_error_code();
	}
	return wr_intake_begin(
	    t->intake,
	    &(struct wr_stream){.feed = feed, .path = t->name, .stop = UINT64_MAX, .ts = WR_TS_NONE});
}

static struct stream_source *stream_new(struct wr_stage *s)
{
	struct stream_source *t = s->state = wr_zalloc(&stream_mem, sizeof *t);

	if (t)
		t->ended = s->env->subtask > 0;
	return t;
}

static int stdin_open(struct wr_stage *s)
{
	struct stream_source *t = stream_new(s);

	if (!t)
		return WR_EFATAL;
	snprintf(t->name, sizeof t->name, "standard input");
	return t->ended ? WR_OK : start(s, open_stdin(s));
}

static int tcp_open(struct wr_stage *s)
{
	struct stream_source *t = stream_new(s);

	if (!t)
		return WR_EFATAL;
	wr_dial_init(&t->dial, s->options);
	snprintf(t->name, sizeof t->name, "%s:%s", t->dial.host, t->dial.port);
	if (t->ended)
		return WR_OK;
	return start(
	    s, wr_pump_new(&(struct wr_pump_options){"weir-tcp", s->env->wake, -1, true, wr_dial, &t->dial}));
}

static int stream_poll(struct wr_stage *s)
{
	struct stream_source *t = s->state;
	int rc = t->ended ? WR_END : wr_intake_poll(t->intake);

	t->ended |= rc == WR_END;
	/* a record that cannot be read says itself where it lies */
	return rc < 0 && rc != WR_EUSER ? wr_error_wrap(rc, "reading %s", t->name) : rc;
}

static void stream_free(struct wr_stage *s)
{
	struct stream_source *t = s->state;

	if (!t)
		return;
	wr_intake_free(t->intake);
	wr_free(&stream_mem, t);
	s->state = NULL;
}

const struct wr_stage_ops wr_stdin_ops = {
    .kind = "stdin", .open = stdin_open, .poll = stream_poll, .free = stream_free};
const struct wr_stage_ops wr_tcp_ops = {
    .kind = "tcp", .open = tcp_open, .poll = stream_poll, .free = stream_free};
