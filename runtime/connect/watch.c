/* SPDX-License-Identifier: Apache-2.0 */
/* watch: the files that come into folders; see watch.h.
 *
 * Time is counted in looks, which come every LOOK_MS: nothing here asks a clock. The files of
 * the folders are a table by identity; a scan marks what it finds and then drops the rest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/arena.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "connect/watch.h"

enum {
	LOOK_MS = 50,	      /* events wait at most so long; a look without events is one system call */
	FIRST_SCANS_MS = 200, /* between the first scan and the second, which takes what lies there already */
	TABLE_MIN = 64,
};

enum state { FREE, SEEN, WRITING, TAKEN };

struct file {
	uint64_t dev, inode, birth_ns;
	uint64_t size, changed_ns; /* at the last scan */
	uint32_t scan;		   /* that found it last */
	enum state state;
};

struct place {
	struct place *next;
	int descriptor;	     /* of inotify, −1 = none */
	char *folder, *name; /* name: a pattern for fnmatch */
};

struct fresh {
	const char *path;
	uint64_t size;
};

struct wr_watch {
	struct place *places;
	int inotify; /* −1 = scan only */
	int64_t every_ms, scan_in_ms;
	uint32_t scan; /* number of the scan under way or done last */

	struct file *files; /* open addressing, power of two */
	size_t files_size, files_count;

	/* found by this look */
	struct wr_arena paths;
	struct fresh *fresh;
	uint32_t fresh_count, fresh_size;
};

static struct wr_mem watch_mem = WR_MEM_INIT("connect.watch");

struct wr_watch *wr_watch_new(int64_t every_ms)
{
	struct wr_watch *w = wr_zalloc(&watch_mem, sizeof *w);

	if (!w)
		return NULL;
	w->every_ms = every_ms > LOOK_MS ? every_ms : LOOK_MS;
	wr_arena_init(&w->paths, &watch_mem);
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->files = wr_zalloc(&watch_mem, TABLE_MIN * sizeof *w->files);
	w->files_size = TABLE_MIN;
	if (w->files)
		return w;
	wr_watch_free(w);
	return NULL;
}

void wr_watch_scan_only(struct wr_watch *w)
{
	if (w->inotify >= 0)
		close(w->inotify);
	w->inotify = -1;
}

void wr_watch_free(struct wr_watch *w)
{
	if (!w)
		return;
	wr_watch_scan_only(w);
	while (w->places) {
		struct place *p = w->places;

		w->places = p->next;
		wr_free(&watch_mem, p->folder);
		wr_free(&watch_mem, p->name);
		wr_free(&watch_mem, p);
	}
	wr_arena_deinit(&w->paths);
	wr_free(&watch_mem, w->fresh);
	wr_free(&watch_mem, w->files);
	wr_free(&watch_mem, w);
}

/* ---- places ---- */

static int place_split(struct place *p, const char *pattern)
{
	const char *slash = strrchr(pattern, '/');
	struct stat st;

	if (stat(pattern, &st) == 0 && S_ISDIR(st.st_mode)) {
		p->folder = wr_strdup(&watch_mem, pattern);
		p->name = wr_strdup(&watch_mem, "*");
	} else {
		p->folder =
		    slash ? wr_strndup(&watch_mem, pattern, (size_t)(slash - pattern) + (slash == pattern))
			  : wr_strdup(&watch_mem, ".");
		p->name = wr_strdup(&watch_mem, slash ? slash + 1 : pattern);
	}
	return p->folder && p->name ? WR_OK : WR_EFATAL;
}

int wr_watch_add(struct wr_watch *w, const char *pattern)
{
	struct place *p = wr_zalloc(&watch_mem, sizeof *p);
	struct stat st;

	if (!p)
		return WR_EFATAL;
	p->next = w->places;
	w->places = p;
	p->descriptor = -1;
	if (place_split(p, pattern) != WR_OK)
		return WR_EFATAL;
	if (strchr(p->name, '{') && strchr(p->name, '}'))
		return wr_error_set(
		    WR_EUSER,
		    "cannot watch '%s': a folder is watched by the wildcards *, ? and [, so give a "
		    "path for each of the alternatives in braces",
		    pattern);
	if (stat(p->folder, &st) != 0 || !S_ISDIR(st.st_mode))
		return wr_error_set(WR_EUSER, "cannot watch '%s': there is no folder %s", pattern, p->folder);
	if (w->inotify >= 0)
		p->descriptor = inotify_add_watch(w->inotify, p->folder,
						  IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_MODIFY);
	if (p->descriptor < 0)
		wr_warn("files", "no word of changes in %s: it is scanned every %lld ms", p->folder,
			(long long)w->every_ms);
	return WR_OK;
}

static bool is_wanted(const struct place *p, const char *name)
{
	return name[0] != '.' && name[0] != '_' && fnmatch(p->name, name, FNM_PERIOD) == 0;
}

/* ---- files ---- */

static uint64_t ns_of(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

/* false: no regular file any more. */
static bool identify(const char *path, struct file *out)
{
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &st) != 0 || !S_ISREG(st.stx_mode))
		return false;
	*out = (struct file){.dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
			     .inode = st.stx_ino,
			     .birth_ns = st.stx_mask & STATX_BTIME ? ns_of(&st.stx_btime) : 0,
			     .size = st.stx_size,
			     .changed_ns = ns_of(&st.stx_mtime)};
	return true;
}

static struct file *slot_of(struct file *files, size_t size, const struct file *f)
{
	uint64_t key[3] = {f->dev, f->inode, f->birth_ns};
	size_t i = XXH3_64bits(key, sizeof key) & (size - 1);

	while (files[i].state != FREE &&
	       !(files[i].dev == f->dev && files[i].inode == f->inode && files[i].birth_ns == f->birth_ns))
		i = (i + 1) & (size - 1);
	return &files[i];
}

/* Into a table of `size`; drops what the last scan did not find, if `sweep`. */
static int rebuild(struct wr_watch *w, size_t size, bool sweep)
{
	struct file *files = wr_zalloc(&watch_mem, size * sizeof *files);

	if (!files)
		return WR_EFATAL;
	w->files_count = 0;
	for (size_t i = 0; i < w->files_size; i++) {
		const struct file *f = &w->files[i];

		if (f->state == FREE || (sweep && f->scan != w->scan))
			continue;
		*slot_of(files, size, f) = *f;
		w->files_count++;
	}
	wr_free(&watch_mem, w->files);
	w->files = files;
	w->files_size = size;
	return WR_OK;
}

/* What is remembered of the file; a new one is SEEN, with size and time that no scan has found. NULL: no
 * memory. */
static struct file *remember(struct wr_watch *w, const struct file *now)
{
	struct file *f;

	if (2 * w->files_count >= w->files_size && rebuild(w, 2 * w->files_size, false) != WR_OK)
		return NULL;
	f = slot_of(w->files, w->files_size, now);
	if (f->state == FREE) {
		*f = *now;
		f->state = SEEN;
		f->size = f->changed_ns = UINT64_MAX;
		w->files_count++;
	}
	f->scan = w->scan;
	return f;
}

static int take(struct wr_watch *w, struct file *f, const char *path, uint64_t size)
{
	const char *copy;

	if (f->state == TAKEN)
		return WR_OK;
	if (size == 0) {
		f->state = SEEN;
		return WR_OK;
	}
	if (w->fresh_count == w->fresh_size && WR_GROW(&watch_mem, w->fresh, w->fresh_size, 64) != WR_OK)
		return WR_EFATAL;
	copy = wr_arena_strndup(&w->paths, path, strlen(path));
	if (!copy)
		return WR_EFATAL;
	f->state = TAKEN;
	w->fresh[w->fresh_count++] = (struct fresh){copy, size};
	return WR_OK;
}

static bool path_of(const struct place *p, const char *name, char path[PATH_MAX])
{
	bool slash = p->folder[strlen(p->folder) - 1] == '/';

	return snprintf(path, PATH_MAX, "%s%s%s", p->folder, slash ? "" : "/", name) < PATH_MAX;
}

/* ---- scans ---- */

static int scan_file(struct wr_watch *w, const char *path)
{
	struct file now, *f;
	bool unchanged;

	if (!identify(path, &now))
		return WR_OK;
	f = remember(w, &now);
	if (!f)
		return WR_EFATAL;
	unchanged = f->size == now.size && f->changed_ns == now.changed_ns;
	f->size = now.size;
	f->changed_ns = now.changed_ns;
	return f->state == SEEN && unchanged ? take(w, f, path, now.size) : WR_OK;
}

static int scan_place(struct wr_watch *w, const struct place *p)
{
	DIR *dir = opendir(p->folder);
	struct dirent *entry;
	char path[PATH_MAX];
	int rc = WR_OK;

	if (!dir)
		return wr_error_set(WR_EUSER, "%s: cannot read the folder: %s", p->folder, strerror(errno));
	while (rc == WR_OK && (entry = readdir(dir)))
		if (is_wanted(p, entry->d_name) && path_of(p, entry->d_name, path))
			rc = scan_file(w, path);
	closedir(dir);
	return rc;
}

static int scan(struct wr_watch *w)
{
	int rc = WR_OK;

	w->scan_in_ms = w->scan == 0 ? FIRST_SCANS_MS : w->every_ms;
	w->scan++;
	for (const struct place *p = w->places; p && rc == WR_OK; p = p->next)
		rc = scan_place(w, p);
	return rc == WR_OK ? rebuild(w, w->files_size, true) : rc;
}

/* ---- events ---- */

/* A second name of a file, and a symbolic link, are made without being written to. */
static bool is_being_written(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static int on_event_at(struct wr_watch *w, const struct place *p, const struct inotify_event *e)
{
	char path[PATH_MAX];
	struct file now, *f;

	if (!is_wanted(p, e->name) || !path_of(p, e->name, path) || !identify(path, &now))
		return WR_OK;
	f = remember(w, &now);
	if (!f)
		return WR_EFATAL;
	if (e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
		return take(w, f, path, now.size);
	if (f->state == SEEN && (e->mask & IN_MODIFY || is_being_written(path)))
		f->state = WRITING;
	return WR_OK;
}

/* Events were lost: who writes is no longer known, the scans decide. */
static void on_overflow(struct wr_watch *w)
{
	for (size_t i = 0; i < w->files_size; i++)
		if (w->files[i].state == WRITING)
			w->files[i].state = SEEN;
	w->scan_in_ms = 0;
}

static int on_event(struct wr_watch *w, const struct inotify_event *e)
{
	int rc = WR_OK;

	if (e->mask & IN_Q_OVERFLOW)
		on_overflow(w);
	if (e->len == 0)
		return WR_OK;
	for (const struct place *p = w->places; p && rc == WR_OK; p = p->next)
		if (p->descriptor == e->wd)
			rc = on_event_at(w, p, e);
	return rc;
}

static int read_events(struct wr_watch *w)
{
	_Alignas(struct inotify_event) char events[16384];
	ssize_t n;
	int rc = WR_OK;

	while (rc == WR_OK && w->inotify >= 0 && (n = read(w->inotify, events, sizeof events)) > 0) {
		for (char *p = events; p < events + n && rc == WR_OK;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			rc = on_event(w, e);
			p += sizeof *e + e->len;
		}
	}
	return rc;
}

/* ---- looks ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct fresh *)a)->path, ((const struct fresh *)b)->path);
}

int wr_watch_look(struct wr_watch *w, int (*each)(void *arg, const char *path, uint64_t size), void *arg,
		  int64_t *next_ms)
{
	int rc;

	wr_arena_reset(&w->paths);
	w->fresh_count = 0;
	rc = read_events(w);
	if (rc == WR_OK && w->scan_in_ms <= 0)
		rc = scan(w);
	w->scan_in_ms -= LOOK_MS;
	*next_ms = LOOK_MS;
	if (w->fresh_count > 0)
		qsort(w->fresh, w->fresh_count, sizeof *w->fresh, by_path);
	for (uint32_t i = 0; i < w->fresh_count && rc == WR_OK; i++)
		rc = each(arg, w->fresh[i].path, w->fresh[i].size);
	return rc;
}

/* ---- snapshots ---- */

void wr_watch_save(const struct wr_watch *w, struct wr_bytes *out)
{
	uint32_t count = 0;

	for (size_t i = 0; i < w->files_size; i++)
		count += w->files[i].state == TAKEN;
	wr_value_put_list(out, count);
	for (size_t i = 0; i < w->files_size; i++) {
		const struct file *f = &w->files[i];

		if (f->state != TAKEN)
			continue;
		wr_value_put_list(out, 3);
		wr_value_put_i64(out, (int64_t)f->dev);
		wr_value_put_i64(out, (int64_t)f->inode);
		wr_value_put_i64(out, (int64_t)f->birth_ns);
	}
}

int wr_watch_restore(struct wr_watch *w, const struct wr_value *saved)
{
	for (uint32_t i = 0; saved->tag == WR_V_LIST && i < saved->count; i++) {
		const struct wr_value *id = &saved->items[i];
		struct file now = {0}, *f;

		if (id->tag != WR_V_LIST || id->count != 3)
			return wr_error_set(WR_EUSER, "the saved list of taken files is malformed");
		now.dev = id->items[0].u64;
		now.inode = id->items[1].u64;
		now.birth_ns = id->items[2].u64;
		f = remember(w, &now);
		if (!f)
			return WR_EFATAL;
		f->state = TAKEN;
	}
	return WR_OK;
}
