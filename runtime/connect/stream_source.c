/* SPDX-License-Identifier: Apache-2.0 */
/* stream_source: the sources that have one stream of bytes: stdin and tcp. One subtask reads,
 * the others end at once. On the task's thread; what may block is behind a pump.
 *
 * stdin: options of format/intake.h. A file is read as a file (weir run job.lua < file),
 * unpacked if it is packed; anything else through a pump. Rows of lines: { line=, offset= }.
 * tcp: { host, port, retries, retry_every } beside them; connects and reads to the end of the
 * connection, like Flink's socketTextStream. Listening is up to the other side (nc -lk).
 *
 * A restart goes on in a file behind the last record that is in the checkpoint. A pipe and a connection
 * cannot be read again: what is lost with them is said.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/log.h"
#include "stream/dial.h"
#include "format/intake.h"
#include "stream/pump.h"
#include "connect/kinds.h"

struct file { /* standard input, where it is one; else all zero */
	int64_t device, number;
	int64_t start; /* where it stood when the program began */
	int64_t size;
};
struct stream_source {
	struct wr_intake *intake;
	struct wr_dial dial;
	char name[300]; /* for messages */
	struct file file;
	int64_t before; /* bytes of a pipe that earlier attempts of this process took */
	int64_t held;	/* bytes that the checkpoint has; −1 = begun anew */
	bool ended, said;
};

static struct wr_mem stream_mem = WR_MEM_INIT("connect.stream");

static struct wr_taken taken; /* of a pipe at standard input, by all attempts of this process */

/* ---- open ---- */

static int begin(struct wr_stage *s, struct wr_feed *feed, struct wr_stream stream)
{
	struct stream_source *t = s->state;

	wr_intake_free(t->intake);
	t->intake = feed ? wr_intake_new(s, false) : NULL;
	if (!t->intake) {
		wr_feed_free(feed);
		return wr_error_code();
	}
	stream.feed = feed;
	stream.path = t->name;
	stream.stop = UINT64_MAX;
	stream.ts = WR_TS_NONE;
	return wr_intake_begin(t->intake, &stream);
}

/* Where the file stood before anybody read it. */
static int64_t start_of(int fd)
{
	static _Atomic int64_t start = -1;
	int64_t none = -1;

	atomic_compare_exchange_strong(&start, &none, (int64_t)lseek(fd, 0, SEEK_CUR));
	return atomic_load(&start);
}

static struct wr_feed *open_file(struct stream_source *t, int fd, uint64_t from, bool unpack)
{
	lseek(fd, (off_t)(t->file.start + (int64_t)from), SEEK_SET);
	return wr_file_feed_new(fd, unpack);
}

/* An earlier attempt may have ended in the middle of a record: the rest of that is passed over. */
static int begin_pipe(struct wr_stage *s, int fd)
{
	struct stream_source *t = s->state;
	bool torn = atomic_load(&taken.torn);
	struct wr_feed *feed;

	t->before = atomic_load(&taken.bytes);
	feed = wr_pump_new(&(struct wr_pump_options){
	    .thread = "weir-stdin", .wake = s->env->wake, .fd = fd, .close = true, .taken = &taken});
	if (!feed)
		close(fd);
	return begin(s, feed, (struct wr_stream){.from = t->before && torn});
}

static int begin_stdin(struct wr_stage *s)
{
	struct stream_source *t = s->state;
	struct stat st;
	int fd = dup(STDIN_FILENO);

	if (fd < 0 || fstat(fd, &st) != 0)
		return wr_error_set(WR_EUSER, "standard input is closed");
	if (!S_ISREG(st.st_mode))
		return begin_pipe(s, fd);
	t->file = (struct file){(int64_t)st.st_dev, (int64_t)st.st_ino, start_of(fd), (int64_t)st.st_size};
	return begin(s, open_file(t, fd, 0, true), (struct wr_stream){.from = 0});
}

static struct stream_source *stream_new(struct wr_stage *s)
{
	struct stream_source *t = s->state = wr_zalloc(&stream_mem, sizeof *t);

	if (t) {
		t->ended = s->env->subtask > 0;
		t->held = -1;
	}
	return t;
}

static int stdin_open(struct wr_stage *s)
{
	struct stream_source *t = stream_new(s);

	if (!t)
		return WR_EFATAL;
	snprintf(t->name, sizeof t->name, "standard input");
	return t->ended ? WR_OK : begin_stdin(s);
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
	return begin(s,
		     wr_pump_new(&(struct wr_pump_options){.thread = "weir-tcp",
							   .wake = s->env->wake,
							   .fd = -1,
							   .close = true,
							   .dial = wr_dial,
							   .dial_arg = &t->dial}),
		     (struct wr_stream){.from = 0});
}

/* ---- save, restore ---- */

static int stream_save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct stream_source *t = s->state;

	if (t->ended)
		return WR_OK;
	wr_value_put_record(out, 5);
	wr_value_put_name(out, "at");
	wr_intake_save(t->intake, out);
	wr_value_put_name(out, "device");
	wr_value_put_i64(out, t->file.device);
	wr_value_put_name(out, "held");
	wr_value_put_i64(out, t->before + (int64_t)wr_intake_offset(t->intake));
	wr_value_put_name(out, "number");
	wr_value_put_i64(out, t->file.number);
	wr_value_put_name(out, "start");
	wr_value_put_i64(out, t->file.start);
	return wr_bytes_status(out);
}

static bool is_packed(const struct file *f)
{
	uint8_t magic[4];

	return pread(STDIN_FILENO, magic, sizeof magic, (off_t)f->start) == sizeof magic &&
	       wr_feed_packing(magic);
}

/* Standard input is the file that was read then, and still reaches to where it was read. */
static bool is_same_file(const struct file *f, const struct wr_value *saved, uint64_t offset)
{
	return f->number && f->device == wr_value_int(saved, "device", 0) &&
	       f->number == wr_value_int(saved, "number", 0) && f->start == wr_value_int(saved, "start", 0) &&
	       (is_packed(f) || f->start + (int64_t)offset <= f->size);
}

static int go_on_in_file(struct wr_stage *s, const struct wr_value *at, uint64_t offset)
{
	struct stream_source *t = s->state;
	bool packed = is_packed(&t->file);
	int fd = dup(STDIN_FILENO);

	if (fd < 0)
		return wr_error_set(WR_EUSER, "standard input is closed");
	t->said = true;
	wr_info("source", "%s is the file of the checkpoint: read on behind its first %" PRIu64 " bytes",
		t->name, offset);
	return begin(s, open_file(t, fd, packed ? 0 : offset, packed),
		     (struct wr_stream){.saved = at, .from_start = packed});
}

static int stream_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct stream_source *t = s->state;
	const struct wr_value *v = NULL, *at;
	uint64_t offset;

	for (uint32_t i = 0; i < saved->count && !t->ended; i++)
		if (saved->parts[i].subtask == 0)
			v = saved->parts[i].value;
	if (!v)
		return WR_OK;
	if (v->tag == WR_V_RECORD && wr_value_get(v, "session"))
		return wr_error_set(WR_EUSER,
				    "%s had a write-ahead log at the checkpoint, and lines in it would be "
				    "lost: say wal = true",
				    t->name);
	at = wr_value_get(v, "at");
	if (!at)
		return wr_error_set(WR_EUSER, "the saved position of %s is malformed", t->name);
	offset = wr_intake_saved_offset(at);
	if (is_same_file(&t->file, v, offset))
		return go_on_in_file(s, at, offset);
	t->held = wr_value_int(v, "held", 0);
	return t->before ? wr_intake_know(t->intake, at) : WR_OK;
}

static void stream_had_ended(struct wr_stage *s)
{
	const struct stream_source *t = s->state;

	if (!t->ended && !t->file.number)
		wr_warn("source", "%s had ended at the checkpoint: what it brings now is not read", t->name);
}

/* ---- run ---- */

/* What a restart lost. */
static void say_lost(struct stream_source *t)
{
	t->said = true;
	if (t->before)
		wr_warn("source",
			"%s cannot be read again: %" PRId64 " bytes of it that no checkpoint has are lost",
			t->name, t->before - (t->held > 0 ? t->held : 0));
	else if (t->held >= 0)
		wr_warn("source",
			"%s cannot be read again: the checkpoint has %" PRId64
			" bytes of it, what was read behind them is lost, and what comes now counts as new",
			t->name, t->held);
}

static int stream_poll(struct wr_stage *s)
{
	struct stream_source *t = s->state;
	int rc;

	if (!t->said && !t->ended)
		say_lost(t);
	rc = t->ended ? WR_END : wr_intake_poll(t->intake);
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

static bool stdin_replays(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

static bool tcp_replays(void)
{
	return false;
}

const struct wr_stage_ops wr_stdin_ops = {.kind = "stdin",
					  .open = stdin_open,
					  .poll = stream_poll,
					  .save = stream_save,
					  .restore = stream_restore,
					  .had_ended = stream_had_ended,
					  .free = stream_free,
					  .replays = stdin_replays};
const struct wr_stage_ops wr_tcp_ops = {.kind = "tcp",
					.open = tcp_open,
					.poll = stream_poll,
					.save = stream_save,
					.restore = stream_restore,
					.had_ended = stream_had_ended,
					.free = stream_free,
					.replays = tcp_replays};
