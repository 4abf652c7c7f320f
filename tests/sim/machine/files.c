/* SPDX-License-Identifier: Apache-2.0 */
/* files: the system's calls of files, for those under /sim (disk.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sim/machine/disk.h"
#include "sim/machine/machine.h"

enum { FD_FIRST = 1 << 20, FDS = 1024, VIEWS = 64, DIRS = 8 };
static const char root_path[] = "/sim";

struct open_file {
	struct inode *inode;
	size_t at;
	int flags;
};

static struct open_file fds[FDS];
static void *views[VIEWS];
struct sim_dir {
	bool used;
	int fd;
	uint32_t at;
	struct names names;
	struct dirent entry;
};
static struct sim_dir dirs[DIRS];

/* ---- life ---- */

void files_init(void)
{
	disk_init();
}

void files_crash(bool power)
{
	disk_crash(power);
}

const char *files_end(bool crashed)
{
	const char *left = NULL;

	for (int i = 0; i < FDS; i++)
		if (fds[i].inode)
			left = "a file";
	for (int i = 0; i < VIEWS; i++)
		if (views[i])
			left = "a view of a file";
	if (crashed)
		disk_found();
	return left;
}

/* ---- paths and descriptors ---- */

static bool is_ours(const char *path)
{
	size_t len = sizeof root_path - 1;

	return !strncmp(path, root_path, len) && (path[len] == '/' || !path[len]);
}

static struct open_file *file_of(int fd)
{
	return fd >= FD_FIRST && fd < FD_FIRST + FDS ? &fds[fd - FD_FIRST] : NULL;
}

static int no(int err)
{
	errno = err;
	return -1;
}

/* The folder and the last name of a path below `at`; false with errno: there is none. "." is a name "". */
static bool walk(struct inode *at, const char *path, struct inode **folder, char name[NAME_LEN])
{
	*folder = at;
	*name = 0;
	while (*path) {
		size_t len = strcspn(path, "/");
		struct entry *e;

		if (*name) {
			e = names_find(&(*folder)->names, name);
			if (!e || !e->inode->is_folder) {
				errno = e ? ENOTDIR : ENOENT;
				return false;
			}
			*folder = e->inode;
			*name = 0;
		}
		if (len == 2 && !strncmp(path, "..", 2))
			*folder = (*folder)->parent;
		else if (len && !(len == 1 && *path == '.'))
			snprintf(name, NAME_LEN, "%.*s", (int)len, path);
		path += len;
		path += strspn(path, "/");
	}
	return true;
}

static bool find_at(int dirfd, const char *path, struct inode **folder, char name[NAME_LEN])
{
	struct open_file *f = file_of(dirfd);

	if (is_ours(path))
		return walk(disk.root, path + sizeof root_path - 1, folder, name);
	return walk(f->inode, path, folder, name);
}

static bool ours_at(int dirfd, const char *path)
{
	return is_ours(path) || (*path != '/' && file_of(dirfd));
}

/* What has the name; NULL with errno. */
static struct inode *look_at(int dirfd, const char *path)
{
	struct inode *folder;
	char name[NAME_LEN];
	struct entry *e;

	if (!find_at(dirfd, path, &folder, name))
		return NULL;
	e = *name ? names_find(&folder->names, name) : NULL;
	errno = ENOENT;
	return *name ? (e ? e->inode : NULL) : folder;
}

static void each_in(const struct inode *folder, void (*each)(void *, const char *, const uint8_t *, size_t),
		    void *arg)
{
	for (uint32_t k = 0; k < folder->names.count; k++) {
		const struct entry *e = &folder->names.list[k];

		if (!e->inode->is_folder)
			each(arg, e->name, e->inode->data.data, e->inode->data.len);
		else if (*e->name != '.')
			each_in(e->inode, each, arg);
	}
}

void files_each(const char *path, void (*each)(void *arg, const char *name, const uint8_t *p, size_t len),
		void *arg)
{
	struct inode *i = look_at(-1, path);

	if (i)
		each_in(i, each, arg);
}

/* ---- the calls ---- */

int __real_open(const char *path, int flags, ...);
int __real_openat(int dirfd, const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_read(int fd, void *p, size_t len);
ssize_t __real_pread(int fd, void *p, size_t len, off_t at);
ssize_t __real_write(int fd, const void *p, size_t len);
off_t __real_lseek(int fd, off_t at, int whence);
int __real_fsync(int fd);
int __real_ftruncate(int fd, off_t len);
int __real_fstat(int fd, struct stat *st);
int __real_stat(const char *path, struct stat *st);
int __real_mkdir(const char *path, mode_t mode);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __real_unlink(const char *path);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __real_rename(const char *from, const char *to);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __real_faccessat(int dirfd, const char *path, int mode, int flags);
int __real_access(const char *path, int mode);
int __real_flock(int fd, int what);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
DIR *__real_opendir(const char *path);
DIR *__real_fdopendir(int fd);
struct dirent *__real_readdir(DIR *dir);
int __real_closedir(DIR *dir);
int __real_dirfd(DIR *dir);

int __wrap_openat(int dirfd, const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_read(int fd, void *p, size_t len);
ssize_t __wrap_pread(int fd, void *p, size_t len, off_t at);
ssize_t __wrap_write(int fd, const void *p, size_t len);
off_t __wrap_lseek(int fd, off_t at, int whence);
int __wrap_fsync(int fd);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_faccessat(int dirfd, const char *path, int mode, int flags);
int __wrap_access(const char *path, int mode);
int __wrap_flock(int fd, int what);
int __wrap_dprintf(int fd, const char *fmt, ...);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_fdopendir(int fd);
struct dirent *__wrap_readdir(DIR *dir);
int __wrap_closedir(DIR *dir);
int __wrap_dirfd(DIR *dir);
ssize_t __wrap_getrandom(void *p, size_t len, unsigned flags);

static int open_inode(struct inode *i, int flags)
{
	for (int k = 0; k < FDS; k++)
		if (!fds[k].inode) {
			fds[k] = (struct open_file){i, 0, flags};
			return FD_FIRST + k;
		}
	return no(EMFILE);
}

int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
	struct inode *folder, *i;
	char name[NAME_LEN];
	struct entry *e;
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (!ours_at(dirfd, path))
		return __real_openat(dirfd, path, flags, mode);
	machine_call();
	if (!find_at(dirfd, path, &folder, name))
		return -1;
	e = *name ? names_find(&folder->names, name) : NULL;
	i = *name ? (e ? e->inode : NULL) : folder;
	if (!i && !(flags & O_CREAT))
		return no(ENOENT);
	if (i && (flags & O_CREAT) && (flags & O_EXCL))
		return no(EEXIST);
	if (i && (flags & O_DIRECTORY) && !i->is_folder)
		return no(ENOTDIR);
	if (i && i->is_folder && (flags & O_ACCMODE) != O_RDONLY)
		return no(EISDIR);
	if ((flags & O_ACCMODE) != O_RDONLY && machine_fails())
		return no(ENOSPC);
	if (!i) {
		i = inode_new(&disk, false);
		change(i, folder, name, NULL, NULL);
	} else if (flags & O_TRUNC && i->data.len) {
		truncate_to(i, 0);
	}
	return open_inode(i, flags);
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	return is_ours(path) ? __wrap_openat(-1, path, flags, mode) : __real_open(path, flags, mode);
}

int __wrap_close(int fd)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_close(fd);
	if (f->inode->lock == fd)
		f->inode->lock = -1;
	f->inode = NULL;
	return 0;
}

static ssize_t read_at(struct open_file *f, void *p, size_t len, size_t at)
{
	size_t left = at < f->inode->data.len ? f->inode->data.len - at : 0;

	machine_point();
	len = len < left ? len : left;
	if (len)
		memcpy(p, f->inode->data.data + at, len);
	return (ssize_t)len;
}

ssize_t __wrap_read(int fd, void *p, size_t len)
{
	struct open_file *f = file_of(fd);
	ssize_t n;

	if (!f)
		return __real_read(fd, p, len);
	n = read_at(f, p, len, f->at);
	f->at += (size_t)n;
	return n;
}

ssize_t __wrap_pread(int fd, void *p, size_t len, off_t at)
{
	struct open_file *f = file_of(fd);

	return f ? read_at(f, p, len, (size_t)at) : __real_pread(fd, p, len, at);
}

static ssize_t write_some(struct open_file *f, const void *p, size_t len)
{
	machine_call();
	if (machine_fails())
		return no(ENOSPC);
	if (len > 1 && machine_rough()->io && machine_one_in(20) && !machine_has_crashed()) {
		machine_counts[WRITES_SHORT]++;
		len = 1 + machine_below((uint32_t)len - 1);
	}
	if (f->flags & O_APPEND)
		f->at = f->inode->data.len;
	bytes_set(&f->inode->data, f->at, p, len);
	f->inode->dirty = true;
	f->at += len;
	return (ssize_t)len;
}

ssize_t __wrap_write(int fd, const void *p, size_t len)
{
	struct open_file *f = file_of(fd);

	return f ? write_some(f, p, len) : __real_write(fd, p, len);
}

int __wrap_dprintf(int fd, const char *fmt, ...)
{
	struct open_file *f = file_of(fd);
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return f ? (int)write_some(f, text, (size_t)n) : (int)__real_write(fd, text, (size_t)n);
}

off_t __wrap_lseek(int fd, off_t at, int whence)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_lseek(fd, at, whence);
	f->at = whence == SEEK_SET   ? (size_t)at
		: whence == SEEK_CUR ? (size_t)((off_t)f->at + at)
				     : (size_t)((off_t)f->inode->data.len + at);
	return (off_t)f->at;
}

int __wrap_fsync(int fd)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_fsync(fd);
	machine_call();
	if (machine_fails()) {
		f->inode->poisoned |= f->inode->data.len > f->inode->synced.len;
		return no(EIO);
	}
	if (f->inode->is_folder)
		folder_sync(f->inode);
	else
		file_sync(f->inode);
	return 0;
}

int __wrap_ftruncate(int fd, off_t len)
{
	struct open_file *f = file_of(fd);
	bool is_cut;

	if (!f)
		return __real_ftruncate(fd, len);
	machine_call();
	if (machine_fails())
		return no(EIO);
	if ((size_t)len > f->inode->data.len)
		bytes_set(&f->inode->data, (size_t)len, NULL, 0);
	is_cut = len > 0 && (size_t)len < f->inode->data.len;
	truncate_to(f->inode, (size_t)len);
	if (is_cut)
		machine_cut();
	return 0;
}

static int stat_of(const struct inode *i, struct stat *st)
{
	if (!i)
		return -1;
	memset(st, 0, sizeof *st);
	st->st_mode = i->is_folder ? S_IFDIR | 0777 : S_IFREG | 0666;
	st->st_size = (off_t)i->data.len;
	st->st_nlink = 1;
	return 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
	struct open_file *f = file_of(fd);

	return f ? stat_of(f->inode, st) : __real_fstat(fd, st);
}

int __wrap_stat(const char *path, struct stat *st)
{
	return is_ours(path) ? stat_of(look_at(-1, path), st) : __real_stat(path, st);
}

int __wrap_faccessat(int dirfd, const char *path, int mode, int flags)
{
	if (!ours_at(dirfd, path))
		return __real_faccessat(dirfd, path, mode, flags);
	return look_at(dirfd, path) ? 0 : -1;
}

int __wrap_access(const char *path, int mode)
{
	return is_ours(path) ? (look_at(-1, path) ? 0 : -1) : __real_access(path, mode);
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct inode *folder, *made;
	char name[NAME_LEN];

	if (!ours_at(dirfd, path))
		return __real_mkdirat(dirfd, path, mode);
	machine_call();
	if (!find_at(dirfd, path, &folder, name))
		return -1;
	if (!*name || names_find(&folder->names, name))
		return no(EEXIST);
	if (machine_fails())
		return no(ENOSPC);
	made = inode_new(&disk, true);
	made->parent = folder;
	change(made, folder, name, NULL, NULL);
	return 0;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return is_ours(path) ? __wrap_mkdirat(-1, path, mode) : __real_mkdir(path, mode);
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	struct inode *folder;
	char name[NAME_LEN];
	struct entry *e;

	if (!ours_at(dirfd, path))
		return __real_unlinkat(dirfd, path, flags);
	machine_call();
	if (!find_at(dirfd, path, &folder, name))
		return -1;
	e = names_find(&folder->names, name);
	if (!e)
		return no(ENOENT);
	if (e->inode->is_folder != !!(flags & AT_REMOVEDIR))
		return no(e->inode->is_folder ? EISDIR : ENOTDIR);
	if (e->inode->is_folder && e->inode->names.count)
		return no(ENOTEMPTY);
	if (machine_fails())
		return no(EIO);
	change(NULL, NULL, NULL, folder, name);
	return 0;
}

int __wrap_unlink(const char *path)
{
	return is_ours(path) ? __wrap_unlinkat(-1, path, 0) : __real_unlink(path);
}

int __wrap_rmdir(const char *path)
{
	return is_ours(path) ? __wrap_unlinkat(-1, path, AT_REMOVEDIR) : __real_rmdir(path);
}

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	struct inode *source, *target;
	char old[NAME_LEN], fresh[NAME_LEN];
	struct entry *e;

	if (!ours_at(from_fd, from))
		return __real_renameat2(from_fd, from, to_fd, to, flags);
	machine_call();
	if (!find_at(from_fd, from, &source, old) || !find_at(to_fd, to, &target, fresh))
		return -1;
	e = names_find(&source->names, old);
	if (!e)
		return no(ENOENT);
	if (flags & RENAME_NOREPLACE && names_find(&target->names, fresh))
		return no(EEXIST);
	if (machine_fails())
		return no(EIO);
	change(e->inode, target, fresh, source, old);
	return 0;
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return ours_at(from_fd, from) ? __wrap_renameat2(from_fd, from, to_fd, to, 0)
				      : __real_renameat(from_fd, from, to_fd, to);
}

int __wrap_rename(const char *from, const char *to)
{
	return is_ours(from) ? __wrap_renameat2(-1, from, -1, to, 0) : __real_rename(from, to);
}

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	struct inode *target, *i;
	char fresh[NAME_LEN];

	if (!ours_at(from_fd, from))
		return __real_linkat(from_fd, from, to_fd, to, flags);
	machine_call();
	i = look_at(from_fd, from);
	if (!i || !find_at(to_fd, to, &target, fresh))
		return -1;
	if (names_find(&target->names, fresh))
		return no(EEXIST);
	if (machine_fails())
		return no(EIO);
	change(i, target, fresh, NULL, NULL);
	return 0;
}

int __wrap_flock(int fd, int what)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_flock(fd, what);
	if (what & LOCK_UN)
		f->inode->lock = -1;
	else if (f->inode->lock >= 0 && f->inode->lock != fd)
		return no(EWOULDBLOCK);
	else
		f->inode->lock = fd;
	return 0;
}

/* A view is a copy: nobody here maps what is still written. */
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_mmap(at, len, prot, flags, fd, offset);
	machine_point();
	for (int i = 0; i < VIEWS; i++)
		if (!views[i]) {
			views[i] = must(malloc(len));
			memcpy(views[i], f->inode->data.data, len);
			return views[i];
		}
	errno = ENOMEM;
	return MAP_FAILED;
}

int __wrap_munmap(void *at, size_t len)
{
	for (int i = 0; i < VIEWS; i++)
		if (views[i] == at) {
			free(at);
			views[i] = NULL;
			return 0;
		}
	return __real_munmap(at, len);
}

static struct sim_dir *dir_of(DIR *dir)
{
	struct sim_dir *d = (struct sim_dir *)(void *)dir;

	return d >= dirs && d < dirs + DIRS ? d : NULL;
}

DIR *__wrap_fdopendir(int fd)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_fdopendir(fd);
	machine_point();
	for (int i = 0; i < DIRS; i++)
		if (!dirs[i].used) {
			dirs[i] = (struct sim_dir){.used = true, .fd = fd};
			for (uint32_t k = 0; k < f->inode->names.count; k++)
				names_set(&dirs[i].names, f->inode->names.list[k].name,
					  f->inode->names.list[k].inode);
			return (DIR *)(void *)&dirs[i];
		}
	errno = EMFILE;
	return NULL;
}

DIR *__wrap_opendir(const char *path)
{
	int fd;

	if (!is_ours(path))
		return __real_opendir(path);
	fd = __wrap_openat(-1, path, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? NULL : __wrap_fdopendir(fd);
}

struct dirent *__wrap_readdir(DIR *dir)
{
	struct sim_dir *d = dir_of(dir);

	if (!d)
		return __real_readdir(dir);
	if (d->at == d->names.count)
		return NULL;
	snprintf(d->entry.d_name, sizeof d->entry.d_name, "%s", d->names.list[d->at++].name);
	return &d->entry;
}

int __wrap_closedir(DIR *dir)
{
	struct sim_dir *d = dir_of(dir);

	if (!d)
		return __real_closedir(dir);
	free(d->names.list);
	__wrap_close(d->fd);
	d->used = false;
	return 0;
}

int __wrap_dirfd(DIR *dir)
{
	struct sim_dir *d = dir_of(dir);

	return d ? d->fd : __real_dirfd(dir);
}

ssize_t __wrap_getrandom(void *p, size_t len, unsigned flags)
{
	(void)flags;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)p)[i] = (uint8_t)machine_below(256);
	return (ssize_t)len;
}
