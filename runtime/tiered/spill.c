/* SPDX-License-Identifier: Apache-2.0 */
/* spill: see spill.h. */
#include "tiered/spill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/mem.h"
#include "module/module.h"

enum { LIBRARY_MIN = 1 << 20, BESIDE_MAX = 64 << 20, BESIDE_PART = 4 };
enum { LIBRARY_PART = 2, BUFFERS_PART = 4, SHARE_MIN_PART = 4 }; /* of what is not beside */

#define PREFIX "weir-spill-"
#define FRESH "weir-fresh-" /* not locked yet: nobody takes it for one that was left behind */

struct wr_spill {
	const struct wr_disk_functions *disks;
	struct wr_disk_pool *pool;
	char *folder;
	int lock;
	int64_t bytes; /* of the library and all entries */
	uint32_t stores;
	_Atomic uint32_t opened;
	_Atomic int64_t told; /* bytes of the library */
};

static struct wr_mem mem = WR_MEM_INIT("state.spill");
static struct wr_mem mem_rocksdb = WR_MEM_INIT("state.rocksdb");

/* ---- the folder ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	enum { FILES_MAX = 16 };

	nftw(path, remove_one, FILES_MAX, FTW_DEPTH | FTW_PHYS);
}

/* Its descriptor, locked; -1: somebody else has it, or it is not to be had. */
static int lock_in(const char *folder, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof path, "%s/lock", folder) >= (int)sizeof path)
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void wr_spill_clean(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[PATH_MAX];
		int fd;

		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    snprintf(path, sizeof path, "%s/%s", parent, e->d_name) >= (int)sizeof path)
			continue;
		fd = lock_in(path, 0);
		if (fd < 0)
			continue;
		remove_tree(path);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

static int no_folder(const char *parent)
{
	return wr_error_set(WR_EUSER, "no folder for state that does not fit into memory in %s: %s", parent,
			    strerror(errno));
}

static int make_folder(struct wr_spill *s, const char *parent)
{
	char fresh[PATH_MAX], path[PATH_MAX];

	if (snprintf(fresh, sizeof fresh, "%s/" FRESH "XXXXXX", parent) >= (int)sizeof fresh) {
		errno = ENAMETOOLONG;
		return no_folder(parent);
	}
	if (mkdir(parent, 0777) < 0 && errno != EEXIST)
		return no_folder(parent);
	if (!mkdtemp(fresh))
		return no_folder(parent);
	s->lock = lock_in(fresh, O_CREAT | O_EXCL);
	snprintf(path, sizeof path, "%s/" PREFIX "%s", parent, fresh + strlen(fresh) - strlen("XXXXXX"));
	if (s->lock < 0 || rename(fresh, path) < 0) {
		no_folder(parent);
		remove_tree(fresh);
		return WR_EUSER;
	}
	s->folder = wr_strdup(&mem, path);
	if (s->folder)
		return WR_OK;
	remove_tree(path);
	return WR_EFATAL;
}

/* ---- life ---- */

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

struct wr_spill *wr_spill_new(const struct wr_spill_options *o)
{
	const char *temporary = getenv("TMPDIR");
	const char *parent = o->folder ? o->folder : temporary && *temporary ? temporary : "/tmp";
	struct wr_spill *s = wr_zalloc(&mem, sizeof *s);
	int64_t beside = o->bytes / BESIDE_PART < BESIDE_MAX ? o->bytes / BESIDE_PART : BESIDE_MAX;

	if (!s)
		return NULL;
	s->lock = -1;
	s->bytes = o->bytes - beside;
	s->stores = o->stores ? o->stores : 1;
	s->disks = o->disks ? o->disks : wr_module_load("rocksdb", WR_DISK_VERSION);
	if (s->disks) {
		wr_spill_clean(parent);
		if (make_folder(s, parent) == WR_OK)
			s->pool = s->disks->pool_new(larger(s->bytes / LIBRARY_PART, LIBRARY_MIN));
	}
	if (s->pool)
		return s;
	wr_spill_free(s);
	return NULL;
}

void wr_spill_free(struct wr_spill *s)
{
	if (!s)
		return;
	wr_mem_charge(&mem_rocksdb, -atomic_load(&s->told));
	if (s->pool)
		s->disks->pool_free(s->pool);
	if (s->folder)
		remove_tree(s->folder);
	if (s->lock >= 0)
		close(s->lock);
	wr_free(&mem, s->folder);
	wr_free(&mem, s);
}

const struct wr_disk_functions *wr_spill_disks(const struct wr_spill *s)
{
	return s->disks;
}

int64_t wr_spill_share(const struct wr_spill *s)
{
	int64_t library = larger(s->bytes / BUFFERS_PART, atomic_load(&s->told));

	return larger(s->bytes - library, s->bytes / SHARE_MIN_PART) / s->stores;
}

struct wr_disk *wr_spill_open(struct wr_spill *s, const int64_t *now_ms)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/%u", s->folder, atomic_fetch_add(&s->opened, 1)) >=
	    (int)sizeof path) {
		wr_error_set(WR_EUSER, "%s: the name is too long", s->folder);
		return NULL;
	}
	return s->disks->open(s->pool, path, now_ms);
}

void wr_spill_account(struct wr_spill *s)
{
	int64_t now = s->disks->pool_bytes(s->pool), before = atomic_exchange(&s->told, now);

	if (now != before)
		wr_mem_charge(&mem_rocksdb, now - before);
}
