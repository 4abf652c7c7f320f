/* SPDX-License-Identifier: Apache-2.0 */
/* blobs_folder: blobs as files of a folder.
 *
 * What makes them durable, in this order: the file's bytes (fsync), for a published one its name (rename),
 * then the folder that holds the name (fsync), and once the folder's own name. A crash between any two of
 * these leaves a file that nobody names, or a name that was never promised.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/mem.h"
#include "checkpoint/blobs.h"

enum { ID_MAX = 512, MADE = 4, WRITE_BLOCK = 256 << 10, LOCK_WAIT_MS = 2000 };

struct folder {
	struct wr_blobs base;
	char *path;
	int fd;	  /* of the folder */
	int lock; /* of the lock file, −1 = none */
	pthread_mutex_t mutex;
	char made[MADE][ID_MAX]; /* folders inside whose names are durable, the last ones; under the mutex */
	uint32_t made_at;
};

struct folder_blob {
	struct wr_blob base;
	struct folder *folder;
	int fd;
	char id[ID_MAX];
	struct wr_bytes pending; /* not written yet */
};

static struct wr_mem mem = WR_MEM_INIT("checkpoint.blobs");

static struct folder *folder_of(struct wr_blobs *b)
{
	return (struct folder *)b;
}

static int failed(const struct folder *f, const char *what, const char *id, int err)
{
	return wr_error_set(WR_EFATAL, "cannot %s %s/%s: %s", what, f->path, id, strerror(err));
}

/* ---- making names durable ---- */

/* The folder in which `id` lies. */
static int open_parent(const struct folder *f, const char *id)
{
	const char *slash = strrchr(id, '/');
	char parent[ID_MAX];

	snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - id) : 1, slash ? id : ".");
	return openat(f->fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int sync_parent(const struct folder *f, const char *id)
{
	int err = 0, fd;

	if (WR_FAULT("blob.sync_folder", &err))
		return failed(f, "sync the folder of", id, err);
	fd = open_parent(f, id);
	if (fd < 0)
		return failed(f, "open the folder of", id, errno);
	if (fsync(fd) != 0)
		err = errno;
	close(fd);
	return err ? failed(f, "sync the folder of", id, err) : WR_OK;
}

static bool is_made(const struct folder *f, const char *name)
{
	for (int i = 0; i < MADE; i++)
		if (!strcmp(f->made[i], name))
			return true;
	return false;
}

/* One that is there was made by another thread, which may still be at it, or by a process that was killed
 * before it had synced the name: so whoever comes first syncs it, and the others wait. */
static int make_durable(struct folder *f, const char *name)
{
	int rc = WR_OK;

	if (is_made(f, name))
		return WR_OK;
	if (mkdirat(f->fd, name, 0777) != 0 && errno != EEXIST)
		return failed(f, "make the folder", name, errno);
	rc = sync_parent(f, name);
	if (rc == WR_OK)
		snprintf(f->made[f->made_at++ % MADE], ID_MAX, "%s", name);
	return rc;
}

/* The folder in front of `id`, with its own name durable. */
static int make_parent(struct folder *f, const char *id)
{
	const char *slash = strrchr(id, '/');
	char parent[ID_MAX];
	int rc;

	if (!slash)
		return WR_OK;
	snprintf(parent, sizeof parent, "%.*s", (int)(slash - id), id);
	pthread_mutex_lock(&f->mutex);
	rc = make_durable(f, parent);
	pthread_mutex_unlock(&f->mutex);
	return rc;
}

/* Before it goes. */
static void forget_made(struct folder *f, const char *name)
{
	pthread_mutex_lock(&f->mutex);
	for (int i = 0; i < MADE; i++)
		if (!strcmp(f->made[i], name))
			*f->made[i] = 0;
	pthread_mutex_unlock(&f->mutex);
}

/* ---- writing ---- */

static struct wr_blob *folder_begin(struct wr_blobs *b, const char *id)
{
	struct folder *f = folder_of(b);
	struct folder_blob *blob;
	int err = 0;

	if (make_parent(f, id) != WR_OK)
		return NULL;
	blob = wr_zalloc(&mem, sizeof *blob);
	if (!blob)
		return NULL;
	blob->base.ops = b->ops;
	blob->folder = f;
	snprintf(blob->id, sizeof blob->id, "%s", id);
	blob->fd = WR_FAULT("blob.open", &err)
		       ? -1
		       : openat(f->fd, id, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (blob->fd >= 0)
		return &blob->base;
	failed(f, "write", id, err ? err : errno);
	wr_free(&mem, blob);
	return NULL;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	int err = 0;

	if (WR_FAULT("blob.write", &err))
		return err;
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_pending(struct folder_blob *blob)
{
	int err = write_all(blob->fd, blob->pending.data, blob->pending.len);

	blob->pending.len = 0;
	return err ? failed(blob->folder, "write", blob->id, err) : WR_OK;
}

/* Behind what is pending, from where it is. */
static int write_large(struct folder_blob *blob, const void *p, size_t len)
{
	int rc = blob->pending.len ? write_pending(blob) : WR_OK, err;

	if (rc != WR_OK)
		return rc;
	err = write_all(blob->fd, p, len);
	return err ? failed(blob->folder, "write", blob->id, err) : WR_OK;
}

static int folder_append(struct wr_blob *base, const void *p, size_t len)
{
	struct folder_blob *blob = (struct folder_blob *)base;

	blob->base.bytes += len;
	if (len >= WRITE_BLOCK && !blob->pending.failed)
		return write_large(blob, p, len);
	wr_bytes_put(&blob->pending, p, len);
	if (blob->pending.failed)
		return WR_EFATAL;
	return blob->pending.len >= WRITE_BLOCK ? write_pending(blob) : WR_OK;
}

static int sync_file(const struct folder *f, int fd, const char *id)
{
	int err = 0;

	if (WR_FAULT("blob.sync", &err) || (fsync(fd) != 0 && (err = errno)))
		return failed(f, "sync", id, err);
	return WR_OK;
}

static void blob_free(struct folder_blob *blob)
{
	close(blob->fd);
	wr_bytes_deinit(&blob->pending);
	wr_free(&mem, blob);
}

static void folder_discard(struct wr_blob *base)
{
	struct folder_blob *blob = (struct folder_blob *)base;

	unlinkat(blob->folder->fd, blob->id, 0);
	blob_free(blob);
}

static int folder_commit(struct wr_blob *base)
{
	struct folder_blob *blob = (struct folder_blob *)base;
	int rc = blob->pending.failed ? WR_EFATAL : write_pending(blob);

	if (rc == WR_OK)
		rc = sync_file(blob->folder, blob->fd, blob->id);
	if (rc == WR_OK)
		rc = sync_parent(blob->folder, blob->id);
	if (rc == WR_OK)
		blob_free(blob);
	else
		folder_discard(base);
	return rc;
}

/* Gives `temporary` the name `id` if that is free. Where the file system cannot do both in one step, looking
 * first is enough: the folder is ours alone. */
static int name_it(struct folder *f, const char *temporary, const char *id)
{
	int err = 0;

	if (WR_FAULT("blob.rename", &err))
		return failed(f, "rename to", id, err);
	if (renameat2(f->fd, temporary, f->fd, id, RENAME_NOREPLACE) == 0)
		return WR_OK;
	err = errno;
	if (err == EEXIST || (err == EINVAL && faccessat(f->fd, id, F_OK, 0) == 0))
		return wr_error_set(WR_EUSER, "%s/%s is there already", f->path, id);
	if (err == EINVAL && renameat(f->fd, temporary, f->fd, id) == 0)
		return WR_OK;
	return failed(f, "rename to", id, err == EINVAL ? errno : err);
}

static int folder_publish(struct wr_blobs *b, const char *id, const void *p, size_t len)
{
	struct folder *f = folder_of(b);
	char temporary[ID_MAX];
	int fd, err, rc = make_parent(f, id);

	if (rc != WR_OK)
		return rc;
	snprintf(temporary, sizeof temporary, "%s.part", id);
	fd = openat(f->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return failed(f, "write", temporary, errno);
	err = write_all(fd, p, len);
	rc = err ? failed(f, "write", temporary, err) : sync_file(f, fd, temporary);
	close(fd);
	if (rc == WR_OK)
		rc = name_it(f, temporary, id);
	if (rc != WR_OK) {
		unlinkat(f->fd, temporary, 0); /* a full disk is not to be filled with what is of no use */
		return rc;
	}
	rc = sync_parent(f, id);
	if (rc != WR_OK) /* what was not promised must not be found */
		unlinkat(f->fd, id, 0);
	return rc;
}

static int folder_keep(struct wr_blobs *b, const char *id)
{
	return sync_parent(folder_of(b), id);
}

/* ---- reading ---- */

static int folder_open(struct wr_blobs *b, const char *id, struct wr_blob_view *out)
{
	struct folder *f = folder_of(b);
	int fd = openat(f->fd, id, O_RDONLY | O_CLOEXEC), rc = WR_OK;
	struct stat st;
	void *data;

	*out = (struct wr_blob_view){NULL, 0};
	if (fd < 0)
		return errno == ENOENT ? WR_END : failed(f, "read", id, errno);
	if (fstat(fd, &st) != 0) {
		rc = failed(f, "read", id, errno);
	} else if (st.st_size > 0) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			rc = failed(f, "read", id, errno);
		else
			*out = (struct wr_blob_view){data, (size_t)st.st_size};
	}
	close(fd);
	return rc;
}

static void folder_close(struct wr_blobs *b, struct wr_blob_view *view)
{
	(void)b;
	if (view->data)
		munmap((void *)(uintptr_t)view->data, view->len);
	*view = (struct wr_blob_view){NULL, 0};
}

static int folder_list(struct wr_blobs *b, const char *folder, int (*each)(void *arg, const char *name),
		       void *arg)
{
	struct folder *f = folder_of(b);
	int fd = openat(f->fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = WR_OK;
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT ? WR_OK : failed(f, "list", folder, errno);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return failed(f, "list", folder, errno);
	}
	while (rc == WR_OK && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = each(arg, e->d_name);
	closedir(dir);
	return rc;
}

static int folder_remove(struct wr_blobs *b, const char *id)
{
	struct folder *f = folder_of(b);
	int err = 0;

	if (WR_FAULT("blob.remove", &err))
		return failed(f, "remove", id, err);
	if (unlinkat(f->fd, id, 0) == 0 || errno == ENOENT)
		return WR_OK;
	if (errno != EISDIR)
		return failed(f, "remove", id, errno);
	forget_made(f, id);
	if (unlinkat(f->fd, id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return WR_OK;
	return failed(f, "remove", id, errno);
}

static void folder_free(struct wr_blobs *b)
{
	struct folder *f = folder_of(b);

	if (f->lock >= 0)
		close(f->lock);
	if (f->fd >= 0)
		close(f->fd);
	pthread_mutex_destroy(&f->mutex);
	wr_free(&mem, f->path);
	wr_free(&mem, f);
}

static const struct wr_blobs_ops folder_ops = {.begin = folder_begin,
					       .append = folder_append,
					       .commit = folder_commit,
					       .discard = folder_discard,
					       .publish = folder_publish,
					       .keep = folder_keep,
					       .open = folder_open,
					       .close = folder_close,
					       .list = folder_list,
					       .remove = folder_remove,
					       .free = folder_free};

/* The process that wrote its number into the lock, 0 = unknown. */
static pid_t lock_owner(const struct folder *f)
{
	char text[32] = "";
	ssize_t n = pread(f->lock, text, sizeof text - 1, 0);

	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* One that was killed a moment ago holds the lock until it is gone. */
static void await_end(pid_t owner)
{
	struct pollfd p = {.fd = owner > 0 ? (int)syscall(SYS_pidfd_open, owner, 0) : -1, .events = POLLIN};

	if (p.fd < 0)
		return;
	poll(&p, 1, LOCK_WAIT_MS);
	close(p.fd);
}

static int take_lock(struct folder *f)
{
	pid_t owner;

	f->lock = openat(f->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (f->lock < 0)
		return wr_error_set(WR_EUSER, "cannot keep checkpoints in %s: %s", f->path, strerror(errno));
	if (flock(f->lock, LOCK_EX | LOCK_NB) != 0) {
		owner = lock_owner(f);
		await_end(owner);
		if (flock(f->lock, LOCK_EX | LOCK_NB) != 0)
			return wr_error_set(WR_EUSER,
					    "another job (process %d) is using %s; give each its own folder",
					    (int)owner, f->path);
	}
	if (ftruncate(f->lock, 0) != 0 || dprintf(f->lock, "%d\n", (int)getpid()) < 0)
		return failed(f, "write", "lock", errno);
	return WR_OK;
}

/* The folder's own name, whether this process made it or one before that was killed. A parent that may not be
 * read cannot be synced. */
static int sync_own_name(const struct folder *f)
{
	int fd = openat(f->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = WR_OK;

	if (fd < 0)
		return errno == EACCES ? WR_OK : failed(f, "open the folder of", ".", errno);
	if (fsync(fd) != 0)
		rc = failed(f, "sync the folder of", ".", errno);
	close(fd);
	return rc;
}

struct wr_blobs *wr_blobs_folder(const char *path, bool lock)
{
	struct folder *f = wr_zalloc(&mem, sizeof *f);

	if (!f)
		return NULL;
	f->base.ops = &folder_ops;
	f->fd = f->lock = -1;
	pthread_mutex_init(&f->mutex, NULL);
	f->path = wr_strdup(&mem, path);
	if (!f->path) {
		folder_free(&f->base);
		return NULL;
	}
	if (!lock || mkdir(path, 0777) == 0 || errno == EEXIST)
		f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0)
		wr_error_set(WR_EUSER, "cannot %s checkpoints in %s: %s", lock ? "keep" : "read", path,
			     strerror(errno));
	if (f->fd < 0 || (lock && (take_lock(f) != WR_OK || sync_own_name(f) != WR_OK))) {
		folder_free(&f->base);
		return NULL;
	}
	return &f->base;
}
