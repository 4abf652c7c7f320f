/* SPDX-License-Identifier: Apache-2.0 */
/* discover: which files there are under a source's paths; see discover.h.
 *
 * A folder stands for the regular files in it whose names do not begin with '.' or '_'
 * (what is half written usually does); a glob for what the shell would make of it.
 */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/arena.h"
#include "base/error.h"
#include "connect/discover.h"
#include "connect/watch.h"

enum { WATCH_EVERY_MS = 10000 };

struct found {
	const char *path;
	uint64_t size;
};

struct wr_discovery {
	struct wr_arena kept; /* the patterns */
	const char **patterns;
	uint32_t pattern_count;
	struct wr_watch *watch; /* NULL: one look is all */

	struct wr_arena scan; /* of one look */
	struct found *found;
	uint32_t found_count, found_size;
};

static struct wr_mem discover_mem = WR_MEM_INIT("connect.discover");

static int keep_patterns(struct wr_discovery *d, const struct wr_value *path)
{
	const struct wr_value *items = path && path->tag == WR_V_LIST ? path->items : path;

	d->pattern_count = !path ? 0 : path->tag == WR_V_LIST ? path->count : 1;
	d->patterns = wr_arena_alloc(&d->kept, (d->pattern_count + 1) * sizeof *d->patterns);
	if (!d->patterns)
		return WR_EFATAL;
	for (uint32_t i = 0; i < d->pattern_count; i++) {
		if (items[i].tag != WR_V_STR)
			return wr_error_set(WR_EUSER, "a path of files is no text");
		d->patterns[i] = wr_arena_strndup(&d->kept, items[i].str.p, items[i].str.len);
		if (!d->patterns[i])
			return WR_EFATAL;
	}
	return WR_OK;
}

static int start_watch(struct wr_discovery *d, const struct wr_value *options)
{
	int rc = WR_OK;

	d->watch = wr_watch_new(wr_value_int(options, "every", WATCH_EVERY_MS));
	if (!d->watch)
		return WR_EFATAL;
	for (uint32_t i = 0; i < d->pattern_count && rc == WR_OK; i++)
		rc = wr_watch_add(d->watch, d->patterns[i]);
	return rc;
}

struct wr_discovery *wr_discovery_new(const struct wr_value *options)
{
	struct wr_discovery *d = wr_zalloc(&discover_mem, sizeof *d);

	if (!d)
		return NULL;
	wr_arena_init(&d->kept, &discover_mem);
	wr_arena_init(&d->scan, &discover_mem);
	if (keep_patterns(d, wr_value_get(options, "path")) == WR_OK &&
	    (!wr_value_bool(options, "watch", false) || start_watch(d, options) == WR_OK))
		return d;
	wr_discovery_free(d);
	return NULL;
}

void wr_discovery_free(struct wr_discovery *d)
{
	if (!d)
		return;
	wr_watch_free(d->watch);
	wr_arena_deinit(&d->kept);
	wr_arena_deinit(&d->scan);
	wr_free(&discover_mem, d->found);
	wr_free(&discover_mem, d);
}

/* ---- one look ---- */

static int add(struct wr_discovery *d, const char *path, const struct stat *st)
{
	const char *copy = wr_arena_strndup(&d->scan, path, strlen(path));

	if (!copy)
		return WR_EFATAL;
	if (d->found_count == d->found_size && WR_GROW(&discover_mem, d->found, d->found_size, 64) != WR_OK)
		return WR_EFATAL;
	d->found[d->found_count++] = (struct found){copy, S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0};
	return WR_OK;
}

static int look_in_folder(struct wr_discovery *d, const char *folder)
{
	size_t len = strlen(folder);
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int rc = WR_OK;

	if (!dir)
		return wr_error_set(WR_EUSER, "%s: cannot read the folder: %s", folder, strerror(errno));
	while (rc == WR_OK && (entry = readdir(dir))) {
		char path[4096];
		struct stat st;

		if (entry->d_name[0] == '.' || entry->d_name[0] == '_')
			continue;
		if (snprintf(path, sizeof path, "%s%s%s", folder, len && folder[len - 1] == '/' ? "" : "/",
			     entry->d_name) >= (int)sizeof path)
			continue;
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			rc = add(d, path, &st);
	}
	closedir(dir);
	return rc;
}

static int look_for_glob(struct wr_discovery *d, const char *pattern)
{
	glob_t g;
	int found = glob(pattern, GLOB_NOSORT | GLOB_BRACE, NULL, &g), rc = WR_OK;

	if (found == GLOB_NOSPACE)
		return wr_error_nomem(0, "the names of files");
	for (size_t i = 0; found == 0 && i < g.gl_pathc && rc == WR_OK; i++) {
		struct stat st;

		if (stat(g.gl_pathv[i], &st) == 0 && !S_ISDIR(st.st_mode))
			rc = add(d, g.gl_pathv[i], &st);
	}
	if (found == 0)
		globfree(&g);
	return rc;
}

static int look_for(struct wr_discovery *d, const char *pattern)
{
	uint32_t before = d->found_count;
	struct stat st;
	int rc;

	if (stat(pattern, &st) == 0)
		return S_ISDIR(st.st_mode) ? look_in_folder(d, pattern) : add(d, pattern, &st);
	rc = look_for_glob(d, pattern);
	if (rc == WR_OK && d->found_count == before)
		return wr_error_set(WR_EUSER, "no file matches '%s'", pattern);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

int wr_discovery_look(struct wr_discovery *d, int (*each)(void *arg, const char *path, uint64_t size),
		      void *arg, int64_t *next_ms)
{
	int rc = WR_OK;

	if (d->watch)
		return wr_watch_look(d->watch, each, arg, next_ms);
	*next_ms = -1;
	wr_arena_reset(&d->scan);
	d->found_count = 0;
	for (uint32_t i = 0; i < d->pattern_count && rc == WR_OK; i++)
		rc = look_for(d, d->patterns[i]);
	if (d->found_count > 0)
		qsort(d->found, d->found_count, sizeof *d->found, by_path);
	for (uint32_t i = 0; i < d->found_count && rc == WR_OK; i++)
		if (i == 0 || strcmp(d->found[i].path, d->found[i - 1].path) != 0)
			rc = each(arg, d->found[i].path, d->found[i].size);
	return rc;
}

void wr_discovery_save(const struct wr_discovery *d, struct wr_bytes *out)
{
	if (d->watch)
		wr_watch_save(d->watch, out);
	else
		wr_value_put_list(out, 0);
}

int wr_discovery_restore(struct wr_discovery *d, const struct wr_value *saved)
{
	return d->watch ? wr_watch_restore(d->watch, saved) : WR_OK;
}
