/* SPDX-License-Identifier: Apache-2.0 */
/* part_disk: see part_disk.h. */
#include "rolling/part_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "record/key.h"
#include "task/restore.h"

enum { FILE_PATH = WR_UNFINISHED_PATH, COPY = 64 << 10, ID_BITS = 48 };

static struct wr_mem mem = WR_MEM_INIT("rolling.part_disk");

static int failed(const char *what, const char *name)
{
	return wr_error_set(WR_EFATAL, "cannot %s %s: %s", what, name, strerror(errno));
}

/* "a/b/c" of what is not empty. */
static int path_of(char out[FILE_PATH], const char *a, const char *b, const char *c)
{
	int n = snprintf(out, FILE_PATH, "%s%s%s%s%s", a, b && *b ? "/" : "", b ? b : "", c ? "/" : "",
			 c ? c : "");

	return n < FILE_PATH ? WR_OK : wr_error_set(WR_EUSER, "the path %s/… is too long", a);
}

/* ---- folders ---- */

static int sync_folder(const char *path)
{
	int fd =
	    WR_FAULT("rolling.sync_folder", &errno) ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) != 0 ? failed("sync", path) : WR_OK;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* Makes `path`, whose parent is there, unless it is. Its name is on the disk then, also where a process that
 * was killed had made it and not come to that. A parent that may not be read cannot be synced. */
static int make_folder(char *path)
{
	size_t len = strlen(path);
	char *slash;
	int made, rc;

	while (len > 1 && path[len - 1] == '/')
		path[--len] = 0;
	slash = strrchr(path, '/');
	made = WR_FAULT("rolling.folder", &errno) ? -1 : mkdir(path, 0777);
	if (made != 0 && errno != EEXIST)
		return failed("make", path);
	if (slash)
		*slash = 0;
	rc = sync_folder(!slash ? "." : *path ? path : "/");
	if (slash)
		*slash = '/';
	return rc == WR_OK || errno != EACCES ? rc : WR_OK;
}

static int make_bucket(const char *path, const char *bucket)
{
	size_t start = strlen(path) + 1;
	char folder[FILE_PATH];
	int rc = path_of(folder, path, bucket, NULL);

	if (rc != WR_OK || !*bucket)
		return rc;
	for (char *p = folder + start; rc == WR_OK; p++) {
		char *slash = strchr(p, '/');

		if (slash)
			*slash = 0;
		rc = make_folder(folder);
		if (!slash)
			break;
		*slash = '/';
		p = slash;
	}
	return rc;
}

int wr_disk_make_bucket(struct wr_disk *d, const char *bucket)
{
	char folder[FILE_PATH];
	struct stat st;
	int rc = path_of(folder, d->path, bucket, NULL);

	for (int i = 0; rc == WR_OK && i < WR_DISK_MADE; i++)
		if (!strcmp(d->made[i], bucket) && stat(folder, &st) == 0)
			return WR_OK;
	if (rc == WR_OK)
		rc = make_bucket(d->path, bucket);
	if (rc == WR_OK && strlen(bucket) < sizeof d->made[0])
		snprintf(d->made[d->made_at++ % WR_DISK_MADE], sizeof d->made[0], "%s", bucket);
	return rc;
}

static int sync_bucket(const char *path, const char *bucket)
{
	char folder[FILE_PATH];
	int rc = path_of(folder, path, bucket, NULL);

	return rc == WR_OK ? sync_folder(folder) : rc;
}

int wr_disk_sync_bucket(const struct wr_disk *d, const char *bucket)
{
	return sync_bucket(d->path, bucket);
}

int wr_disk_sync_staging(struct wr_disk *d)
{
	int rc = d->names_changed ? sync_bucket(d->path, d->staging) : WR_OK;

	d->names_changed &= rc != WR_OK;
	return rc;
}

/* ---- life ---- */

static int name_staging(struct wr_disk *d, const struct wr_parts_options *o)
{
	struct wr_rand r = {o->env->folder_id ^
			    wr_key_hash((const uint8_t *)o->uid, (uint32_t)strlen(o->uid))};

	if (!o->env->folder_id && getrandom(&r, sizeof r, 0) != sizeof r)
		return wr_error_set(WR_EFATAL, "the system gives no random numbers");
	snprintf(d->id, sizeof d->id, "%012" PRIx64, wr_rand_next(&r) >> (64 - ID_BITS));
	snprintf(d->staging, sizeof d->staging, ".weir-%s", d->id);
	return WR_OK;
}

static bool is_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode);
}

/* The sink's folder is gone, and the job that goes on here finished files in it. */
static bool is_lost(const struct wr_disk *d, const char *path, const struct wr_stage_env *env)
{
	struct stat st;
	DIR *dir =
	    *d->marks && env->durable && stat(path, &st) != 0 && errno == ENOENT ? opendir(d->marks) : NULL;
	struct dirent *e;
	uint64_t lineage;
	bool found = false;

	while (dir && (e = readdir(dir)))
		found |= sscanf(e->d_name, "%" SCNx64 "-", &lineage) == 1 && lineage == env->durable->lineage;
	if (dir)
		closedir(dir);
	return found;
}

int wr_disk_open(struct wr_disk *d, const struct wr_parts_options *o)
{
	char path[FILE_PATH], root[PATH_MAX];
	int rc = path_of(path, o->path, NULL, NULL);

	if (rc == WR_OK)
		rc = name_staging(d, o);
	if (o->env->folder_id && snprintf(d->marks, sizeof d->marks, "%s/rolling-%s", o->env->folder,
					  d->id) >= (int)sizeof d->marks)
		return wr_error_set(WR_EUSER, "the path %s is too long", o->env->folder);
	d->path = o->path;
	d->suffix = o->suffix;
	if (rc == WR_OK && o->packing != WR_PACKING_NONE) {
		d->packer = wr_packer_new(o->packing, o->level);
		rc = d->packer ? WR_OK : WR_EFATAL;
	}
	if (rc == WR_OK && is_lost(d, path, o->env))
		return wr_error_set(WR_EUSER,
				    "rolling_files: the folder %s is gone, in which files of this job were "
				    "finished: bring it back, or make it empty to go on without them; "
				    "--resume=never begins anew",
				    path);
	if (rc == WR_OK && make_folder(path) != WR_OK)
		rc = wr_error_wrap(WR_EUSER, "rolling_files");
	if (rc == WR_OK && (!is_folder(path) || access(path, W_OK | X_OK) != 0))
		rc = wr_error_set(WR_EUSER, "rolling_files: cannot write to the folder %s: %s", path,
				  strerror(errno));
	if (rc == WR_OK && realpath(path, root))
		d->at = wr_strndup(&mem, root, strlen(root));
	return rc;
}

void wr_disk_deinit(struct wr_disk *d)
{
	char folder[FILE_PATH];

	if (d->path && *d->staging && path_of(folder, d->path, d->staging, NULL) == WR_OK)
		rmdir(folder);
	wr_packer_free(d->packer);
	wr_bytes_deinit(&d->packed);
	wr_free(&mem, d->at);
}

/* ---- files ---- */

int wr_disk_name(const struct wr_disk *d, struct wr_disk_part *part, const struct wr_stage_env *env,
		 uint64_t number, struct wr_str bucket)
{
	int n = snprintf(part->name, sizeof part->name, "part-%s-%" PRIu64 "-%" PRIu32 "-%" PRIu64 "%s",
			 d->id, env->run, env->subtask, number, d->suffix);

	part->fd = -1;
	if (n >= (int)sizeof part->name)
		return wr_error_set(WR_EUSER, "the suffix \"%s\" is too long", d->suffix);
	part->bucket = wr_strndup(&mem, bucket.len ? bucket.p : "", bucket.len);
	return part->bucket ? WR_OK : WR_EFATAL;
}

static int create(struct wr_disk *d, struct wr_disk_part *part)
{
	char path[FILE_PATH], folder[FILE_PATH];
	int rc = path_of(path, d->path, d->staging, part->name);

	if (rc == WR_OK)
		rc = path_of(folder, d->path, d->staging, NULL);
	if (rc == WR_OK && !d->staged)
		rc = make_folder(folder);
	d->staged |= rc == WR_OK;
	for (int tries = 0; rc == WR_OK && tries < 2 && part->fd < 0; tries++) {
		part->fd = WR_FAULT("rolling.open", &errno)
			       ? -1
			       : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (part->fd < 0 && errno == ENOENT && tries == 0)
			rc = make_folder(folder);
		else if (part->fd < 0)
			rc = failed("make", path);
	}
	d->names_changed = true;
	return rc;
}

static int write_all(const struct wr_disk *d, struct wr_disk_part *part, const uint8_t *p, size_t len)
{
	char path[FILE_PATH];

	while (len) {
		ssize_t n = WR_FAULT("rolling.write", &errno) ? -1 : write(part->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return path_of(path, d->path, d->staging, part->name) == WR_OK ? failed("write", path)
										       : WR_EUSER;
		part->length += (uint64_t)n;
		p += n;
		len -= (size_t)n;
	}
	return WR_OK;
}

int wr_disk_write(struct wr_disk *d, struct wr_disk_part *part, const void *block, size_t len)
{
	int rc = part->fd < 0 ? create(d, part) : WR_OK;

	part->dirty = true;
	if (rc != WR_OK || !d->packer)
		return rc == WR_OK ? write_all(d, part, block, len) : rc;
	d->packed.len = 0;
	rc = wr_packer_put(d->packer, block, len, &d->packed);
	return rc == WR_OK ? write_all(d, part, d->packed.data, d->packed.len) : rc;
}

int wr_disk_sync(struct wr_disk_part *part)
{
	if (!part->dirty)
		return WR_OK;
	if (WR_FAULT("rolling.sync", &errno) || fsync(part->fd) != 0)
		return failed("sync", part->name);
	part->dirty = false;
	return WR_OK;
}

void wr_disk_close(struct wr_disk_part *part)
{
	if (part->fd >= 0)
		close(part->fd);
	part->fd = -1;
}

void wr_disk_forget(struct wr_disk_part *part)
{
	wr_disk_close(part);
	wr_free(&mem, part->bucket);
}

/* WR_END: it is to be `anew`, and there is one; file systems that cannot tell put it in its place. */
static int rename_as(const char *from, const char *to, bool anew)
{
	if (anew && renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return WR_OK;
	if (anew && errno == EEXIST)
		return WR_END;
	if (anew && errno != EINVAL && errno != ENOSYS)
		return failed("rename", from);
	return rename(from, to) == 0 ? WR_OK : failed("rename", from);
}

/* `staged` becomes `name` of the bucket; as rename_as. */
static int move(const char *path, const char *staging, const char *staged, const char *bucket,
		const char *name, bool anew)
{
	char from[FILE_PATH], to[FILE_PATH], folder[FILE_PATH];
	int rc = path_of(from, path, staging, staged);

	if (rc == WR_OK)
		rc = path_of(folder, path, bucket, NULL);
	if (rc == WR_OK)
		rc = path_of(to, folder, name, NULL);
	if (rc == WR_OK && WR_FAULT("rolling.rename", &errno))
		rc = failed("rename", from);
	return rc == WR_OK ? rename_as(from, to, anew) : rc;
}

int wr_disk_finish(struct wr_disk *d, struct wr_disk_part *part)
{
	d->names_changed = true;
	return move(d->path, d->staging, part->name, part->bucket, part->name, false);
}

/* ---- marks: an empty file a lineage and subtask, named after them and the checkpoint ---- */

static int mark_path(const struct wr_disk *d, const struct wr_stage_env *env, uint64_t checkpoint,
		     char out[FILE_PATH])
{
	char name[64];

	snprintf(name, sizeof name, "%016" PRIx64 "-%" PRIu32 "-%" PRIu64, env->durable->lineage,
		 env->subtask, checkpoint);
	return path_of(out, d->marks, name, NULL);
}

static int put_mark(const struct wr_disk *d, const struct wr_stage_env *env, const char *path)
{
	char before[FILE_PATH];
	int fd, rc = mark_path(d, env, d->marked, before);

	if (rc != WR_OK)
		return rc;
	if (d->marked)
		return rename(before, path) == 0 ? WR_OK : failed("rename", before);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return failed("make", path);
	close(fd);
	return WR_OK;
}

int wr_disk_mark(struct wr_disk *d, const struct wr_stage_env *env, uint64_t checkpoint)
{
	char path[FILE_PATH];
	int rc = mark_path(d, env, checkpoint, path);

	if (checkpoint <= d->marked)
		return WR_OK;
	if (rc == WR_OK && !d->marked)
		rc = make_folder(d->marks);
	if (rc == WR_OK)
		rc = put_mark(d, env, path);
	if (rc == WR_OK)
		rc = sync_folder(d->marks);
	if (rc == WR_OK)
		d->marked = checkpoint;
	WR_CRASH_STEP("rolling.marked");
	return rc;
}

int wr_disk_read_marks(struct wr_disk *d, const struct wr_stage_env *env, uint64_t checkpoint)
{
	DIR *dir = *d->marks ? opendir(d->marks) : NULL;
	uint64_t newest = 0;
	struct dirent *e;

	if (!dir)
		return !*d->marks || errno == ENOENT ? WR_OK : failed("read", d->marks);
	while ((e = readdir(dir))) {
		uint64_t lineage, number;
		uint32_t subtask;

		if (sscanf(e->d_name, "%" SCNx64 "-%" SCNu32 "-%" SCNu64, &lineage, &subtask, &number) != 3 ||
		    lineage != env->durable->lineage || subtask % env->parallelism != env->subtask)
			continue;
		newest = number > newest ? number : newest;
		if (subtask == env->subtask)
			d->marked = number > d->marked ? number : d->marked;
	}
	closedir(dir);
	if (newest <= checkpoint)
		return WR_OK;
	return wr_error_set(
	    WR_EUSER,
	    "checkpoint %" PRIu64 " is restored, but files in %s were finished behind it, up to "
	    "checkpoint %" PRIu64 ": their rows would come twice. Remove the files that are newer "
	    "than it; --allow-duplicates goes on",
	    checkpoint, d->path, newest);
}

/* ---- beginning at a checkpoint ---- */

static int copy(int from, int to, uint64_t length)
{
	char block[COPY];

	while (length) {
		ssize_t n = read(from, block, length < COPY ? length : COPY);

		errno = n == 0 ? EIO : ENOSPC; /* where less is read, or written, than was asked for */
		if (n <= 0 || write(to, block, (size_t)n) != n)
			return -1;
		length -= (uint64_t)n;
	}
	return fsync(to);
}

/* Where files cannot be cut: the part of it that counts takes its place. */
static int cut_by_copy(int fd, const char *path, uint64_t length)
{
	char other[FILE_PATH];
	int to, rc = snprintf(other, sizeof other, "%s.cut", path) < FILE_PATH ? WR_OK : WR_EUSER;

	if (rc != WR_OK)
		return wr_error_set(rc, "the path %s is too long", path);
	to = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (to < 0 || copy(fd, to, length) != 0 || rename(other, path) != 0)
		rc = failed("copy", path);
	if (to >= 0)
		close(to);
	return rc;
}

static int cut(int fd, const char *path, uint64_t length)
{
	bool refused = WR_FAULT("rolling.truncate", &errno) || ftruncate(fd, (off_t)length) != 0;

	if (refused && (errno == EINVAL || errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP))
		return cut_by_copy(fd, path, length);
	if (refused)
		return failed("cut", path);
	return WR_FAULT("rolling.sync", &errno) || fsync(fd) != 0 ? failed("sync", path) : WR_OK;
}

static int too_short(const char *path, uint64_t bytes, uint64_t length)
{
	return wr_error_set(WR_EUSER, "%s has %" PRIu64 " bytes, and had %" PRIu64 " at the checkpoint", path,
			    bytes, length);
}

static int recover_staged(int fd, const char *path, uint64_t length)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return failed("read", path);
	if ((uint64_t)st.st_size < length)
		return too_short(path, (uint64_t)st.st_size, length);
	if ((uint64_t)st.st_size > length)
		return cut(fd, path, length);
	/* an attempt that did not come through may have cut it and not synced */
	return WR_FAULT("rolling.sync", &errno) || fsync(fd) != 0 ? failed("sync", path) : WR_OK;
}

/* It is not staged any more: behind its last checkpoint it was finished, as it was. */
static int recover_finished(const char *path, const struct wr_unfinished_part *part)
{
	char folder[FILE_PATH], file[FILE_PATH];
	struct stat st;
	int rc = path_of(folder, path, part->bucket, NULL);

	if (rc == WR_OK)
		rc = path_of(file, folder, part->name, NULL);
	if (rc != WR_OK)
		return rc;
	if (stat(file, &st) == 0 && (uint64_t)st.st_size == part->length)
		return sync_folder(folder); /* who moved it may not have come to that */
	if (stat(file, &st) != 0)
		return wr_error_set(WR_EUSER,
				    "%s is not there, and the checkpoint names it: put it back, or go on "
				    "without it with --allow-duplicates",
				    file);
	return wr_error_set(
	    WR_EUSER,
	    "%s has %" PRIu64 " bytes, and had %" PRIu64
	    " at the checkpoint: it was finished behind a later one, and what came between would "
	    "be written again: cut it to that length, or let that be with --allow-duplicates",
	    file, (uint64_t)st.st_size, part->length);
}

int wr_disk_recover(const char *path, const char *staging, const struct wr_unfinished_part *part)
{
	char file[FILE_PATH];
	int rc = path_of(file, path, staging, part->name), fd;

	if (rc != WR_OK)
		return rc;
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? recover_finished(path, part) : failed("open", file);
	rc = recover_staged(fd, file, part->length);
	close(fd);
	if (rc == WR_OK)
		rc = make_bucket(path, part->bucket);
	if (rc == WR_OK)
		rc = move(path, staging, part->name, part->bucket, part->name, false);
	if (rc == WR_OK)
		rc = sync_bucket(path, part->bucket);
	return rc == WR_OK ? sync_bucket(path, staging) : rc;
}

/* ---- beginning a job of its own at a checkpoint ---- */

/* Of an earlier attempt, or of the job that wrote it, which may have gone on with it. */
static int has_it(const struct wr_disk *d, const struct wr_unfinished_part *part, bool *has)
{
	char folder[FILE_PATH], file[FILE_PATH];
	struct stat st;
	int rc = path_of(folder, d->path, part->bucket, NULL);

	if (rc == WR_OK)
		rc = path_of(file, folder, part->name, NULL);
	if (rc != WR_OK)
		return rc;
	*has = stat(file, &st) == 0 && (uint64_t)st.st_size >= part->length;
	if (*has && (uint64_t)st.st_size > part->length)
		wr_warn("rolling_files",
			"%s has rows of behind the checkpoint, of the job that wrote it: they come again",
			file);
	return *has ? sync_folder(folder) : WR_OK;
}

struct adopting {
	struct wr_disk *d;
	struct wr_disk_part to; /* made when there is something for it */
};

/* One at a time: what an earlier attempt left of it is in the way. */
static int begin(struct adopting *a, const struct wr_stage_env *env)
{
	char path[FILE_PATH];
	int rc;

	snprintf(a->to.name, sizeof a->to.name, "part-%s-0-%" PRIu32 "-adopted", a->d->id, env->subtask);
	rc = path_of(path, a->d->path, a->d->staging, a->to.name);
	if (rc == WR_OK && unlink(path) != 0 && errno != ENOENT)
		rc = failed("remove", path);
	return rc;
}

static int put_carried(void *arg, const void *p, size_t len)
{
	struct adopting *a = arg;
	int rc = len && a->to.fd < 0 ? create(a->d, &a->to) : WR_OK;

	return rc == WR_OK ? write_all(a->d, &a->to, p, len) : rc;
}

static int copy_from(struct adopting *a, int fd, const char *file, uint64_t length)
{
	uint64_t left = length;
	char block[COPY];
	int rc = WR_OK;

	while (left && rc == WR_OK) {
		ssize_t n = read(fd, block, left < COPY ? left : COPY);

		if (n < 0)
			return failed("read", file);
		if (n == 0)
			return too_short(file, length - left, length);
		rc = put_carried(a, block, (size_t)n);
		left -= (uint64_t)n;
	}
	return rc;
}

static int copy_staged(struct adopting *a, const char *file, uint64_t length)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return failed("open", file);
	rc = copy_from(a, fd, file, length);
	close(fd);
	return rc;
}

/* WR_OK: it has its rows, or was not made, where they are finished elsewhere. */
static int fill(struct adopting *a, struct wr_blobs *from, const struct wr_unfinished *u,
		const struct wr_unfinished_part *part)
{
	enum wr_unfinished_place place;
	char file[FILE_PATH];
	uint64_t carried;
	int rc = wr_savepoint_read_unfinished(from, part->name, put_carried, a, &carried);

	if (rc == WR_END)
		rc = wr_unfinished_find(u, part, &place, file);
	else
		return rc;
	if (rc != WR_OK || place == WR_UNFINISHED_FINISHED)
		return rc;
	if (place == WR_UNFINISHED_STAGED)
		return copy_staged(a, file, part->length);
	if (place == WR_UNFINISHED_LOST && (!u->staging || strcmp(u->staging, a->d->staging) != 0))
		return wr_error_set(WR_EUSER,
				    "%s is out of reach, and the checkpoint has rows in it: begin at a "
				    "savepoint of it (weir savepoint --dir), which has them",
				    file);
	wr_warn("rolling_files", "%s is not there any more: what it had at the checkpoint is left out", file);
	return WR_OK;
}

/* The job that wrote it may finish it at this moment, with more rows: those stay. */
static int finish_adopted(struct adopting *a, const struct wr_unfinished_part *part)
{
	const struct wr_disk *d = a->d;
	bool has = false;
	int rc = wr_disk_sync(&a->to);

	wr_disk_close(&a->to);
	WR_CRASH_STEP("rolling.adopted");
	if (rc == WR_OK)
		rc = make_bucket(d->path, part->bucket);
	if (rc == WR_OK)
		rc = move(d->path, d->staging, a->to.name, part->bucket, part->name, true);
	if (rc == WR_END)
		rc = has_it(d, part, &has);
	else
		has = true;
	if (rc == WR_OK && !has)
		rc = move(d->path, d->staging, a->to.name, part->bucket, part->name, false);
	return rc == WR_OK ? sync_bucket(d->path, part->bucket) : rc;
}

/* The sink of this very folder staged it. */
static bool is_ours(const struct wr_disk *d, const struct wr_unfinished *u,
		    const struct wr_unfinished_part *part)
{
	char file[FILE_PATH];

	return u->staging && !strcmp(u->staging, d->staging) &&
	       path_of(file, d->path, d->staging, part->name) == WR_OK && access(file, F_OK) == 0;
}

int wr_disk_adopt(struct wr_disk *d, const struct wr_stage_env *env, const struct wr_unfinished *u,
		  const struct wr_unfinished_part *part)
{
	struct adopting a = {.d = d, .to = {.fd = -1, .dirty = true}};
	bool has = false;
	int rc;

	if (is_ours(d, u, part))
		return wr_disk_recover(d->path, d->staging, part);
	rc = has_it(d, part, &has);
	if (rc != WR_OK || has)
		return rc;
	rc = begin(&a, env);
	if (rc == WR_OK)
		rc = fill(&a, env->durable->restore->blobs, u, part);
	if (rc == WR_OK && a.to.fd >= 0)
		return finish_adopted(&a, part);
	wr_disk_close(&a.to);
	return rc;
}

static bool is_of(const char *name, uint32_t subtask, uint32_t parallelism)
{
	unsigned its;

	return sscanf(name, "part-%*[0-9a-f]-%*u-%u-", &its) == 1 && its % parallelism == subtask;
}

int wr_disk_sweep(struct wr_disk *d, uint32_t subtask, uint32_t parallelism)
{
	char folder[FILE_PATH];
	int rc = path_of(folder, d->path, d->staging, NULL);
	struct dirent *e;
	DIR *dir = rc == WR_OK ? opendir(folder) : NULL;

	if (rc != WR_OK || !dir)
		return rc == WR_OK && errno != ENOENT ? failed("read", folder) : rc;
	while (rc == WR_OK && (e = readdir(dir))) {
		if (!is_of(e->d_name, subtask, parallelism))
			continue;
		if (WR_FAULT("rolling.remove", &errno) ||
		    (unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT))
			rc = failed("remove", e->d_name);
	}
	closedir(dir);
	return rc;
}
