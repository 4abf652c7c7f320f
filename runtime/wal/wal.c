/* SPDX-License-Identifier: Apache-2.0 */
/* wal: see wal.h. The list of segments is under `mutex`: it grows as bytes are appended and shrinks as they
 * are removed. */
#include "wal/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/fault.h"
#include "wal/wal_block.h"

enum { PATH = 4096 };

struct segment {
	uint64_t session, from;
};

struct wr_wal {
	char folder[PATH - 64];
	uint64_t segment_bytes;
	uint64_t live;	 /* number of the session that is appended to */
	uint64_t length; /* of it */
	int fd;		 /* of its last segment, −1 = none */
	uint64_t segment_from;
	pthread_mutex_t mutex;
	struct segment *segments; /* in order */
	uint32_t count, cap;
};

static struct wr_mem mem = WR_MEM_INIT("wal.wal");

static int failed(const char *what, const char *name)
{
	return wr_error_set(WR_EFATAL, "cannot %s %s: %s", what, name, strerror(errno));
}

static void path_of(const struct wr_wal *w, const struct segment *s, char out[PATH])
{
	snprintf(out, PATH, "%s/%08" PRIx64 "-%012" PRIx64 ".wal", w->folder, s->session, s->from);
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc =
	    fd < 0 || WR_FAULT("wal.sync_folder", &errno) || fsync(fd) != 0 ? failed("sync", path) : WR_OK;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- the list ---- */

static int add_segment(struct wr_wal *w, uint64_t session, uint64_t from)
{
	int rc = WR_OK;

	pthread_mutex_lock(&w->mutex);
	if (w->count == w->cap)
		rc = WR_GROW(&mem, w->segments, w->cap, 16);
	if (rc == WR_OK)
		w->segments[w->count++] = (struct segment){session, from};
	pthread_mutex_unlock(&w->mutex);
	return rc;
}

static int in_order(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int list_segments(struct wr_wal *w)
{
	DIR *dir = opendir(w->folder);
	struct dirent *e;
	int rc = dir ? WR_OK : failed("read", w->folder);

	while (rc == WR_OK && (e = readdir(dir))) {
		uint64_t session, from;
		char rest[8] = "";

		if (sscanf(e->d_name, "%8" SCNx64 "-%12" SCNx64 "%7s", &session, &from, rest) == 3 &&
		    !strcmp(rest, ".wal"))
			rc = add_segment(w, session, from);
	}
	if (dir)
		closedir(dir);
	if (w->count)
		qsort(w->segments, w->count, sizeof *w->segments, in_order);
	return rc;
}

/* ---- putting an end to what has none ---- */

/* What the blocks of a segment say. */
struct found {
	uint64_t good;	  /* bytes of the file that hold */
	uint64_t content; /* offset behind its last byte */
	uint64_t line;	  /* offset behind its last line, 0 = it has none */
	bool ended;
	bool damaged; /* something holds behind something that does not */
};

static void look_at(const uint8_t *p, size_t len, uint64_t from, struct found *f)
{
	size_t at = 0, block;

	*f = (struct found){.content = from};
	while ((block = wr_wal_block(p + at, len - at)) && !f->ended) {
		struct wr_wal_head head;
		const uint8_t *payload = p + at + sizeof head;
		const uint8_t *lf;

		memcpy(&head, p + at, sizeof head);
		if (head.magic == WR_WAL_BYTES && head.offset != f->content)
			break;
		f->ended = head.magic == WR_WAL_END;
		lf = memrchr(payload, '\n', head.len);
		if (lf)
			f->line = head.offset + (uint64_t)(lf + 1 - payload);
		f->content = head.offset + head.len;
		at += block;
	}
	f->good = at;
	while (!f->ended && !f->damaged && ++at < len)
		f->damaged = wr_wal_block(p + at, len - at) > 0;
}

static int read_segment(const char *path, struct wr_bytes *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *to;
	ssize_t n = -1;

	out->len = 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		n = -1;
	} else {
		to = wr_bytes_room(out, (size_t)st.st_size + 1);
		do {
			n = to ? read(fd, to + out->len, (size_t)st.st_size - out->len) : 0;
			out->len += n > 0 ? (size_t)n : 0;
		} while (n > 0);
	}
	if (n < 0)
		failed("read", path);
	if (fd >= 0)
		close(fd);
	return n < 0 ? WR_EFATAL : wr_bytes_status(out);
}

static int write_all(int fd, const void *from, size_t len)
{
	const uint8_t *p = from;

	while (len) {
		ssize_t n = WR_FAULT("wal.write", &errno) ? -1 : write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_block(int fd, uint32_t magic, uint64_t offset, const void *p, uint32_t len)
{
	struct wr_wal_head head = {.magic = magic, .len = len, .offset = offset};

	head.sum = wr_wal_sum(&head, p);
	if (write_all(fd, &head, sizeof head) != 0 || write_all(fd, p, len) != 0)
		return -1;
	return WR_FAULT("wal.sync", &errno) ? -1 : fdatasync(fd);
}

static int put_end(const char *path, uint64_t good, uint64_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = WR_OK;

	if (fd < 0 || ftruncate(fd, (off_t)good) != 0 || lseek(fd, 0, SEEK_END) < 0 ||
	    put_block(fd, WR_WAL_END, length, NULL, 0) != 0)
		rc = failed("write", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Session of segments [first, last]: its last segment says whether it has an end. */
static int end_session(struct wr_wal *w, uint32_t first, uint32_t last)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct found end, f;
	char path[PATH];
	uint64_t line;
	int rc;

	path_of(w, &w->segments[last], path);
	rc = read_segment(path, &bytes);
	if (rc == WR_OK)
		look_at(bytes.data, bytes.len, w->segments[last].from, &end);
	line = rc == WR_OK ? end.line : 0;
	for (uint32_t i = last; rc == WR_OK && !end.ended && !line && i-- > first;) {
		char before[PATH];

		path_of(w, &w->segments[i], before);
		rc = read_segment(before, &bytes);
		if (rc == WR_OK)
			look_at(bytes.data, bytes.len, w->segments[i].from, &f);
		line = rc == WR_OK ? f.line : 0;
	}
	wr_bytes_deinit(&bytes);
	if (rc != WR_OK || end.ended)
		return rc;
	if (end.damaged)
		return wr_error_set(
		    WR_EUSER,
		    "%s is damaged at byte %" PRIu64
		    ": what lies behind cannot be read. Put a good copy in its place, or remove it "
		    "to go on without",
		    path, end.good);
	return put_end(path, end.good, line > w->segments[first].from ? line : w->segments[first].from);
}

static int end_sessions(struct wr_wal *w)
{
	int rc = WR_OK;

	for (uint32_t i = 0, first = 0; i < w->count && rc == WR_OK; i++) {
		if (w->segments[i].session != w->segments[first].session)
			first = i;
		if (i + 1 == w->count || w->segments[i + 1].session != w->segments[i].session)
			rc = end_session(w, first, i);
	}
	return rc;
}

/* ---- life ---- */

static int open_folder(struct wr_wal *w, const char *folder)
{
	if ((size_t)snprintf(w->folder, sizeof w->folder, "%s", folder) >= sizeof w->folder)
		return wr_error_set(WR_EUSER, "the path %s is too long", folder);
	if (WR_FAULT("wal.folder", &errno) || (mkdir(folder, 0777) != 0 && errno != EEXIST))
		return failed("make", folder);
	return list_segments(w);
}

struct wr_wal *wr_wal_open(const char *folder, uint64_t segment_bytes)
{
	struct wr_wal *w = wr_zalloc(&mem, sizeof *w);
	int rc;

	if (!w)
		return NULL;
	w->fd = -1;
	w->segment_bytes = segment_bytes;
	pthread_mutex_init(&w->mutex, NULL);
	rc = open_folder(w, folder);
	if (rc == WR_OK)
		rc = end_sessions(w);
	w->live = w->count ? w->segments[w->count - 1].session + 1 : 1;
	if (rc == WR_OK)
		return w;
	wr_wal_free(w);
	return NULL;
}

void wr_wal_free(struct wr_wal *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	pthread_mutex_destroy(&w->mutex);
	wr_free(&mem, w->segments);
	wr_free(&mem, w);
}

uint64_t wr_wal_first(const struct wr_wal *w)
{
	return w->count ? w->segments[0].session : w->live;
}

uint64_t wr_wal_live(const struct wr_wal *w)
{
	return w->live;
}

void wr_wal_rise(struct wr_wal *w, uint64_t session)
{
	if (session > w->live)
		w->live = session;
}

/* ---- appending ---- */

static int next_segment(struct wr_wal *w)
{
	struct segment s = {w->live, w->length};
	char path[PATH];
	int rc;

	if (w->fd >= 0)
		close(w->fd);
	path_of(w, &s, path);
	w->fd = WR_FAULT("wal.open", &errno) ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (w->fd < 0)
		return failed("make", path);
	w->segment_from = w->length;
	rc = sync_folder(w->folder);
	return rc == WR_OK ? add_segment(w, s.session, s.from) : rc;
}

/* What is not on the disk for certain is not in the log: who appended it may do so again. */
static int put_whole_block(struct wr_wal *w, uint32_t magic, const void *p, uint32_t len)
{
	off_t before = lseek(w->fd, 0, SEEK_END);

	if (before >= 0 && put_block(w->fd, magic, w->length, p, len) == 0)
		return WR_OK;
	failed("write to the log in", w->folder);
	if (before >= 0 && ftruncate(w->fd, before) != 0)
		return wr_error_wrap(WR_EFATAL, "%s, and may not be cut", w->folder);
	return WR_EFATAL;
}

static int append(struct wr_wal *w, uint32_t magic, const void *p, size_t len)
{
	int rc = w->fd < 0 || w->length - w->segment_from >= w->segment_bytes ? next_segment(w) : WR_OK;

	WR_CRASH_STEP("wal.received");
	if (rc == WR_OK)
		rc = put_whole_block(w, magic, p, (uint32_t)len);
	WR_CRASH_STEP("wal.logged");
	if (rc == WR_OK)
		w->length += len;
	return rc;
}

int wr_wal_append(struct wr_wal *w, const void *p, size_t len)
{
	return append(w, WR_WAL_BYTES, p, len);
}

int wr_wal_end(struct wr_wal *w)
{
	return append(w, WR_WAL_END, NULL, 0);
}

/* ---- removing ---- */

/* The oldest segment, if all of it is before that place and it is not the last. */
static bool take_oldest(struct wr_wal *w, uint64_t session, uint64_t offset, struct segment *out)
{
	bool any;

	pthread_mutex_lock(&w->mutex);
	any = w->count > 1 && (w->segments[0].session < session ||
			       (w->segments[0].session == session && w->segments[1].session == session &&
				w->segments[1].from <= offset));
	if (any) {
		*out = w->segments[0];
		memmove(w->segments, w->segments + 1, --w->count * sizeof *w->segments);
	}
	pthread_mutex_unlock(&w->mutex);
	return any;
}

int wr_wal_remove(struct wr_wal *w, uint64_t session, uint64_t offset)
{
	struct segment s;
	char path[PATH];

	while (take_oldest(w, session, offset, &s)) {
		path_of(w, &s, path);
		if (WR_FAULT("wal.remove", &errno) || (unlink(path) != 0 && errno != ENOENT))
			return failed("remove", path);
	}
	return WR_OK;
}

/* ---- reading ---- */

struct wr_feed *wr_wal_read(struct wr_wal *w, uint64_t session, uint64_t from, bool *none)
{
	uint32_t first = UINT32_MAX, last = 0;
	uint64_t *starts = NULL;
	struct wr_feed *feed = NULL;

	pthread_mutex_lock(&w->mutex);
	for (uint32_t i = 0; i < w->count; i++)
		if (w->segments[i].session == session) {
			if (first == UINT32_MAX || w->segments[i].from <= from)
				first = i;
			last = i;
		}
	*none = first == UINT32_MAX;
	if (!*none)
		starts = wr_alloc(&mem, (last - first + 1) * sizeof *starts);
	for (uint32_t i = first; starts && i <= last; i++)
		starts[i - first] = w->segments[i].from;
	pthread_mutex_unlock(&w->mutex);
	if (starts && starts[0] > from)
		wr_error_set(WR_EUSER,
			     "the log in %s begins at byte %" PRIu64 " of session %" PRIu64
			     ", and is to be read from byte %" PRIu64
			     ": what was before has been processed and is gone. Remove the folder to go on "
			     "without what it has",
			     w->folder, starts[0], session, from);
	else if (starts)
		feed = wr_wal_feed_new(w->folder, session, starts, last - first + 1, from);
	wr_free(&mem, starts);
	return feed;
}
