/* SPDX-License-Identifier: Apache-2.0 */
/* file_feed: the bytes of a regular file, in large reads. On the task's thread: a read of a
 * regular file waits for the disk at most (it cannot be polled), and the kernel is told to
 * read ahead; an I/O thread would cost a hand-over and a copy for each block. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/fault.h"
#include "base/mem.h"
#include "stream/feed.h"

struct file_feed {
	struct wr_feed feed;
	int fd;
};

static struct wr_mem feed_mem = WR_MEM_INIT("stream.file_feed");

static int file_read(struct wr_feed *feed, uint8_t *to, size_t room, size_t *got)
{
	struct file_feed *f = (struct file_feed *)feed;
	ssize_t n;

	do
		n = WR_FAULT("file.read", &errno) ? -1 : read(f->fd, to, room);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return wr_error_set(WR_EUSER, "cannot read: %s", strerror(errno));
	*got = (size_t)n;
	return n > 0 ? WR_OK : WR_END;
}

static void file_free(struct wr_feed *feed)
{
	struct file_feed *f = (struct file_feed *)feed;

	close(f->fd);
	wr_free(&feed_mem, f);
}

static const struct wr_feed_ops file_ops = {file_read, file_free};

struct wr_feed *wr_file_feed_new(int fd, bool unpack)
{
	struct file_feed *f = wr_alloc(&feed_mem, sizeof *f);
	uint8_t magic[4];

	if (!f) {
		close(fd);
		return NULL;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*f = (struct file_feed){{&file_ops}, fd};
	if (unpack && pread(fd, magic, sizeof magic, lseek(fd, 0, SEEK_CUR)) == sizeof magic &&
	    wr_feed_packing(magic))
		return wr_packed_feed_new(&f->feed, magic);
	return &f->feed;
}

/* To byte `from`, which has to be there: what was there once was read. */
static int go_to(int fd, uint64_t from)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || lseek(fd, (off_t)from, SEEK_SET) < 0)
		return wr_error_set(WR_EUSER, "cannot open: %s", strerror(errno));
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < from)
		return wr_error_set(WR_EUSER,
				    "the file has become shorter: %" PRIu64 " of %" PRIu64 " bytes are left",
				    (uint64_t)st.st_size, from);
	return WR_OK;
}

struct wr_feed *wr_file_feed_open(const char *path, uint64_t from, bool unpack)
{
	int fd = WR_FAULT("file.open", &errno) ? -1 : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		wr_error_set(WR_EUSER, "cannot open: %s", strerror(errno));
		return NULL;
	}
	if (from > 0 && go_to(fd, from) != WR_OK) {
		close(fd);
		return NULL;
	}
	return wr_file_feed_new(fd, unpack);
}

const char *wr_file_packing(const char *path)
{
	uint8_t magic[4] = {0};
	struct stat st;
	bool regular = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	int fd = regular ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, magic, sizeof magic) : -1;

	if (fd >= 0)
		close(fd);
	return n == sizeof magic ? wr_feed_packing(magic) : NULL;
}
