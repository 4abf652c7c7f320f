/* SPDX-License-Identifier: Apache-2.0 */
/* import: see import.h. The segments are written to a folder beside, which gets the name when all are on the
 * disk; an empty file in it, ORIGIN.from, says of which checkpoint they are. */
#include "wal/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/fault.h"
#include "savepoint/logs.h"

enum { PATH = 4096 };

struct importing {
	const struct wr_restore *restore;
	const char *uid;
	const char *folder; /* where the log is to be */
	char part[PATH];    /* beside it */
	const char *name;   /* of the segment at hand */
	int fd;
};

static int failed(const char *what, const char *name)
{
	return wr_error_set(WR_EFATAL, "cannot %s %s: %s", what, name, strerror(errno));
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || WR_FAULT("wal.import", &errno) || fsync(fd) != 0 ? failed("sync", path) : WR_OK;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int sync_parent(const char *path)
{
	char parent[PATH];
	char *slash;

	snprintf(parent, sizeof parent, "%s", path);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = 0;
	return sync_folder(slash ? parent : ".");
}

/* ---- what is there ---- */

static int any(void *arg, const char *name)
{
	(void)name;
	*(bool *)arg = true;
	return WR_OK;
}

static bool is_there(const char *folder, const char *name)
{
	char path[PATH];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

/* Removes the files of a folder, and it. WR_OK also where there is none. */
static int remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int rc = WR_OK;

	if (!dir)
		return errno == ENOENT ? WR_OK : failed("read", path);
	while (rc == WR_OK && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    unlinkat(dirfd(dir), e->d_name, 0) != 0)
			rc = failed("remove what is in", path);
	closedir(dir);
	return rc == WR_OK && rmdir(path) != 0 ? failed("remove", path) : rc;
}

/* ---- copying ---- */

static int put(void *arg, const void *p, size_t len)
{
	const struct importing *m = arg;
	const uint8_t *at = p;

	while (len) {
		ssize_t n = WR_FAULT("wal.import", &errno) ? -1 : write(m->fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed("write", m->part);
		at += n;
		len -= (size_t)n;
	}
	return WR_OK;
}

static int make_file(struct importing *m, const char *name)
{
	char path[PATH + 256];

	snprintf(path, sizeof path, "%s/%s", m->part, name);
	m->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return m->fd < 0 ? failed("make", path) : WR_OK;
}

static int copy_segment(void *arg, const char *name)
{
	struct importing *m = arg;
	int rc = make_file(m, name);

	if (rc != WR_OK)
		return rc;
	rc = wr_savepoint_read_segment(m->restore->blobs, m->uid, name, put, m);
	if (rc == WR_OK && (WR_FAULT("wal.import", &errno) || fsync(m->fd) != 0))
		rc = failed("sync", m->part);
	close(m->fd);
	return rc;
}

static int copy_all(struct importing *m, const char *origin)
{
	int rc = remove_folder(m->part);

	if (rc == WR_OK && mkdir(m->part, 0777) != 0)
		rc = failed("make", m->part);
	if (rc == WR_OK)
		rc = wr_savepoint_each_segment(m->restore->blobs, m->uid, copy_segment, m);
	if (rc == WR_OK)
		rc = make_file(m, origin);
	if (rc == WR_OK)
		close(m->fd);
	if (rc == WR_OK)
		rc = sync_folder(m->part);
	WR_CRASH_STEP("wal.imported");
	if (rc == WR_OK && rename(m->part, m->folder) != 0)
		rc = errno == ENOTEMPTY || errno == EEXIST
			 ? wr_error_set(WR_EUSER,
					"%s has a log of another run, and the one that comes with the "
					"checkpoint cannot be put beside it: give another --dir, or remove "
					"the folder if nothing of it is wanted",
					m->folder)
			 : failed("rename to", m->folder);
	return rc == WR_OK ? sync_parent(m->folder) : rc;
}

int wr_wal_import(const char *folder, const char *uid, const struct wr_restore *restore)
{
	struct importing m = {.restore = restore, .uid = uid, .folder = folder};
	char identity[WR_MANIFEST_IDENTITY], origin[WR_MANIFEST_IDENTITY + 8];
	bool some = false;
	int rc = wr_savepoint_each_segment(restore->blobs, uid, any, &some);

	wr_manifest_identity(restore->manifest, identity);
	snprintf(origin, sizeof origin, "%s.from", identity);
	if (rc != WR_OK || !some || is_there(folder, origin))
		return rc;
	if (snprintf(m.part, sizeof m.part, "%s.part", folder) >= (int)sizeof m.part)
		return wr_error_set(WR_EUSER, "the path %s is too long", folder);
	return copy_all(&m, origin);
}
