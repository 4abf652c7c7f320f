/* SPDX-License-Identifier: Apache-2.0 */
/* file_once: the file sink with guarantee = "exactly_once": lines in a plain file a log, and beside it a
 * small file, `path`.commit, that says how long the file is and which epochs are in it. A commit appends
 * lines, makes them durable, and publishes the new length with the new number by rename: what lies behind the
 * length was never committed, and is cut off by the next commit. The committer's thread (commit/sink.h).
 *
 * Log 0 is `path` itself, log n is `path`.n; format = "json" | "raw" = "lines" | "csv" with csv.columns. A
 * job that begins anew replaces the files, unless `append`.
 *
 *   weir 1 · length 1234 · mark LINEAGE (hex) EPOCH UID, a line each
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/fault.h"
#include "commit/sink.h"
#include "format/csv_writer.h"
#include "format/row_text.h"

enum { PATH_MAX_LEN = 4096, WRITE_BYTES = 256 << 10, NOTE_MAX = 1 << 20 };

struct file_once {
	struct wr_target base; /* first */
	enum wr_text_format format;
	const struct wr_value *options;
	struct wr_csv_writer *fits; /* CSV: the task's */
	bool append;
	uint32_t subtask, parallelism;
	struct wr_bytes text, note; /* room */
	char path[PATH_MAX_LEN];
};

/* What the note beside a file says. */
struct note {
	bool there;
	uint64_t length;
	const char *marks; /* lines, in `text` */
	struct wr_bytes text;
};

static struct wr_mem mem = WR_MEM_INIT("commit.file_once");

static int failed(const char *what, const char *path)
{
	return wr_error_set(WR_EFATAL, "cannot %s %s: %s", what, path, strerror(errno));
}

static void name_of(const struct file_once *f, uint32_t log, const char *suffix, char name[PATH_MAX_LEN + 32])
{
	if (log)
		snprintf(name, PATH_MAX_LEN + 32, "%s.%" PRIu32 "%s", f->path, log, suffix);
	else
		snprintf(name, PATH_MAX_LEN + 32, "%s%s", f->path, suffix);
}

/* ---- the disk ---- */

static int sync_fd(int fd, const char *path)
{
	if (!WR_FAULT("file.fsync", &errno) && fsync(fd) == 0)
		return WR_OK;
	return failed("sync", path);
}

static int sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX_LEN + 32];
	int fd, rc;

	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed("open the folder of", path);
	rc = sync_fd(fd, folder);
	close(fd);
	return rc;
}

static int write_all(int fd, const void *p, size_t len, const char *path)
{
	const char *at = p;

	if (WR_FAULT("file.write", &errno))
		return failed("write", path);
	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return failed("write", path);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return WR_OK;
}

/* ---- the note ---- */

static int note_parse(struct note *n, const char *path)
{
	const char *p = (const char *)n->text.data;
	char *end;

	if (strncmp(p, "weir 1\nlength ", 14) != 0)
		return wr_error_set(WR_EUSER, "%s is no note of a sink: move it away", path);
	n->length = strtoull(p + 14, &end, 10);
	if (*end != '\n')
		return wr_error_set(WR_EUSER, "%s is damaged", path);
	n->marks = end + 1;
	n->there = true;
	return WR_OK;
}

/* WR_OK also without one. Free the text. */
static int note_read(const struct file_once *f, uint32_t log, struct note *n)
{
	char path[PATH_MAX_LEN + 32];
	ssize_t got = 0;
	uint8_t *room;
	int fd;

	*n = (struct note){.text = WR_BYTES_EMPTY};
	name_of(f, log, ".commit", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? WR_OK : failed("read", path);
	room = wr_bytes_room(&n->text, NOTE_MAX);
	got = room ? read(fd, room, NOTE_MAX - 1) : 0;
	close(fd);
	if (!room)
		return wr_bytes_status(&n->text);
	if (got < 0)
		return failed("read", path);
	room[got] = 0;
	return note_parse(n, path);
}

static bool is_mark(const char *line, const struct wr_mark *m, uint64_t *epoch)
{
	char *at;

	if (strncmp(line, "mark ", 5) != 0 || strtoull(line + 5, &at, 16) != m->lineage || *at != ' ')
		return false;
	*epoch = strtoull(at + 1, &at, 10);
	return *at == ' ' && !strncmp(at + 1, m->uid, strlen(m->uid)) && at[1 + strlen(m->uid)] == '\n';
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/* Publishes the note: marks of others as they are, ours (NULL = none) anew. */
static int note_write(struct file_once *f, uint32_t log, const struct note *was, uint64_t length,
		      const struct wr_mark *mark, uint64_t epoch)
{
	char path[PATH_MAX_LEN + 32], part[PATH_MAX_LEN + 32];
	uint64_t old;
	int fd, rc;

	f->note.len = 0;
	wr_bytes_printf(&f->note, "weir 1\nlength %" PRIu64 "\n", length);
	for (const char *line = was->there ? was->marks : ""; *line; line = next_line(line))
		if (!mark || !is_mark(line, mark, &old))
			wr_bytes_put(&f->note, line, (size_t)(next_line(line) - line));
	if (mark)
		wr_bytes_printf(&f->note, "mark %016" PRIx64 " %" PRIu64 " %s\n", mark->lineage, epoch,
				mark->uid);
	if (wr_bytes_status(&f->note) != WR_OK)
		return WR_EFATAL;
	name_of(f, log, ".commit", path);
	name_of(f, log, ".commit.part", part);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return failed("write", part);
	rc = write_all(fd, f->note.data, f->note.len, part);
	if (rc == WR_OK)
		rc = sync_fd(fd, part);
	close(fd);
	WR_CRASH_STEP("commit.mark");
	if (rc == WR_OK && rename(part, path) != 0)
		rc = failed("rename to", path);
	return rc == WR_OK ? sync_folder_of(path) : rc;
}

/* ---- the contract ---- */

static struct file_once *of(struct wr_target *t)
{
	return (struct file_once *)t;
}

static bool is_empty(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

/* Files of more subtasks than there are now, of the job that is begun anew; one that a crash left behind when
 * it was made has no note yet. */
static void remove_others(const struct file_once *f)
{
	char path[PATH_MAX_LEN + 32], note[PATH_MAX_LEN + 32];

	for (uint32_t log = f->parallelism;; log++) {
		name_of(f, log, ".commit", note);
		name_of(f, log, "", path);
		if (unlink(note) != 0 && !is_empty(path))
			return;
		unlink(path);
	}
}

/* From its first moment on a file of ours has a note, so that what was never committed is known by its place.
 */
static int begin_anew(struct file_once *f)
{
	char path[PATH_MAX_LEN + 32];
	struct note n = {.text = WR_BYTES_EMPTY};
	struct stat st = {.st_size = 0};
	int fd, rc = f->append ? note_read(f, f->subtask, &n) : WR_OK;

	name_of(f, f->subtask, "", path);
	fd = rc == WR_OK ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (f->append ? 0 : O_TRUNC), 0666) : -1;
	if (rc == WR_OK && fd < 0)
		rc = wr_error_set(WR_EUSER, "cannot write %s: %s", path, strerror(errno));
	if (rc == WR_OK && fstat(fd, &st) != 0)
		rc = failed("read", path);
	if (fd >= 0)
		close(fd);
	if (rc == WR_OK)
		rc = note_write(f, f->subtask, &n, n.there ? n.length : (uint64_t)st.st_size, NULL, 0);
	if (rc == WR_OK && !f->append && f->subtask == 0)
		remove_others(f);
	wr_bytes_deinit(&n.text);
	return rc;
}

static int file_open(struct wr_target *t, bool fresh)
{
	return fresh ? begin_anew(of(t)) : WR_OK;
}

static int file_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	char path[PATH_MAX_LEN + 32];
	struct note n;
	uint64_t found;
	int rc = note_read(of(t), mark->log, &n);

	*epoch = 0;
	name_of(of(t), mark->log, ".commit", path);
	if (rc == WR_OK && n.there) /* who renamed it may have been killed before it was on the disk */
		rc = sync_folder_of(path);
	for (const char *line = rc == WR_OK && n.there ? n.marks : ""; *line; line = next_line(line))
		if (is_mark(line, mark, &found))
			*epoch = found;
	wr_bytes_deinit(&n.text);
	return rc;
}

static int put_rows(struct file_once *f, struct wr_csv_writer *csv, const uint8_t *p, const uint8_t *end)
{
	int rc = WR_OK;

	f->text.len = 0;
	for (; p < end && rc == WR_OK; p += ((const struct wr_elem *)p)->len) {
		if (csv)
			rc = wr_csv_writer_row(csv, (const struct wr_elem *)p, &f->text);
		else
			wr_row_text((const struct wr_elem *)p, f->format, &f->text);
	}
	return rc == WR_OK ? wr_bytes_status(&f->text) : rc;
}

static int write_rows(struct file_once *f, struct wr_csv_writer *csv, int fd, struct wr_epoch_rows *rows,
		      const char *path, uint64_t *length)
{
	const uint8_t *p, *end;
	int rc;

	while ((rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK) {
		rc = put_rows(f, csv, p, end);
		if (rc == WR_OK)
			rc = write_all(fd, f->text.data, f->text.len, path);
		if (rc != WR_OK)
			return rc;
		*length += f->text.len;
	}
	return rc == WR_END ? sync_fd(fd, path) : rc;
}

/* Behind `length` bytes of the file; those of CSV begin with the header if there is to be one. */
static int append(struct file_once *f, int fd, struct wr_epoch_rows *rows, const char *path, uint64_t *length)
{
	struct wr_csv_writer *csv = f->fits ? wr_csv_writer_new(f->options) : NULL;
	int rc;

	if (f->fits && !csv)
		return WR_EFATAL;
	if (csv && *length)
		wr_csv_writer_goes_on(csv);
	rc = write_rows(f, csv, fd, rows, path, length);
	wr_csv_writer_free(csv);
	return rc;
}

/* The file as it was committed last: what lies behind that is cut off. */
static int open_committed(const struct note *n, const char *path, int *fd)
{
	struct stat st;

	*fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (*fd < 0 || fstat(*fd, &st) != 0)
		return failed("write", path);
	if ((uint64_t)st.st_size < n->length)
		return wr_error_set(WR_EUSER,
				    "%s has %lld bytes, and %" PRIu64 " are committed: it was changed", path,
				    (long long)st.st_size, n->length);
	if (ftruncate(*fd, (off_t)n->length) != 0 || lseek(*fd, (off_t)n->length, SEEK_SET) < 0)
		return failed("write", path);
	return WR_OK;
}

/* A log that this job writes for the first time, with more subtasks than it had: the file has a note before
 * it has a line, else who comes after a crash would take the lines for somebody else's; and its name is on
 * the disk with the note's, else a note could speak of lines whose file is gone. */
static int begin_log(struct file_once *f, uint32_t log, const struct note *n, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		int rc = failed("write", path);

		if (fd >= 0)
			close(fd);
		return rc;
	}
	close(fd);
	if (st.st_size > 0)
		return wr_error_set(WR_EUSER,
				    "%s is there, and no %s.commit that says what is committed: move it away",
				    path, path);
	return note_write(f, log, n, 0, NULL, 0);
}

static int file_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
		       struct wr_epoch_rows *rows)
{
	struct file_once *f = of(t);
	char path[PATH_MAX_LEN + 32];
	uint64_t length;
	struct note n;
	int fd = -1, rc = note_read(f, mark->log, &n);

	name_of(f, mark->log, "", path);
	if (rc == WR_OK && !n.there)
		rc = begin_log(f, mark->log, &n, path);
	if (rc == WR_OK)
		rc = open_committed(&n, path, &fd);
	length = n.length;
	if (rc == WR_OK)
		rc = append(f, fd, rows, path, &length);
	if (fd >= 0)
		close(fd);
	if (rc == WR_OK)
		rc = note_write(f, mark->log, &n, length, mark, epoch);
	wr_bytes_deinit(&n.text);
	return rc;
}

static int file_fits(struct wr_target *t, const struct wr_elem *row)
{
	return wr_csv_writer_fits(of(t)->fits, row);
}

static void file_free(struct wr_target *t)
{
	struct file_once *f = of(t);

	wr_csv_writer_free(f->fits);

	wr_bytes_deinit(&f->text);
	wr_bytes_deinit(&f->note);
	wr_free(&mem, f);
}

static const struct wr_target_ops file_target = {
    .open = file_open, .last = file_last, .commit = file_commit, .free = file_free};
static const struct wr_target_ops csv_target = {
    .fits = file_fits, .open = file_open, .last = file_last, .commit = file_commit, .free = file_free};

static int take_format(struct file_once *f, const struct wr_value *options)
{
	int rc = wr_text_format(wr_value_str(options, "format", "json"), &f->format);

	f->base.ops = f->format == WR_TEXT_CSV ? &csv_target : &file_target;
	f->options = options;
	if (rc == WR_OK && f->format == WR_TEXT_CSV) {
		f->fits = wr_csv_writer_new(options);
		rc = f->fits ? WR_OK : WR_EFATAL;
	}
	return rc;
}

static int stage_open(struct wr_stage *s)
{
	struct file_once *f = wr_zalloc(&mem, sizeof *f);
	int n, rc;

	if (!f)
		return WR_EFATAL;
	f->append = wr_value_bool(s->options, "append", false);
	f->subtask = s->env->subtask;
	f->parallelism = s->env->parallelism;
	n = snprintf(f->path, sizeof f->path, "%s", wr_value_str(s->options, "path", ""));
	rc = n < (int)sizeof f->path ? take_format(f, s->options)
				     : wr_error_set(WR_EUSER, "the path of the file sink is too long");
	if (rc != WR_OK) {
		file_free(&f->base);
		return rc;
	}
	return wr_sink_open(s, &f->base);
}

const struct wr_stage_ops wr_file_once_ops = {.kind = "file_once", .open = stage_open, WR_SINK_OPS};
