/* SPDX-License-Identifier: Apache-2.0 */
/* crew: a source's enumerator and all its readers, stepped in turn in one thread, over files
 * in a folder of their own. */
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/rand.h"
#include "unit/connect/stand.h"

enum { CREW_MAX = 16 };

struct crew {
	uint32_t count;
	struct stand *stands[CREW_MAX];
	bool ended[CREW_MAX];
	bool eager; /* a reader is polled as soon as a letter has come */
	struct wr_enumerator *enumerator;
	int64_t next_ms;
	struct wr_rand rand;
};

static char folder[64];

static inline int folder_make(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/weir-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_remove(void **state)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[512];

	(void)state;
	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	return rmdir(folder);
}

/* A path in the folder; of the last four calls. */
static inline const char *in_folder(const char *name)
{
	static char paths[4][512];
	static int turn;
	char *path = paths[turn++ & 3];

	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static inline void file_write(const char *name, const void *p, size_t len)
{
	FILE *f = fopen(in_folder(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	fclose(f);
}

static inline void file_text(const char *name, const char *text)
{
	file_write(name, text, strlen(text));
}

static inline void crew_post(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len)
{
	const struct crew *c = arg;
	struct stand *st = c->stands[subtask];

	assert_int_equal(st->stage.ops->letter(&st->stage, type, payload, len), WR_OK);
	if (c->eager)
		stand_poll(st);
}

/* The readers' options are those of `make`, which is given each stand. */
static inline struct crew *crew_new(uint32_t count, void (*make)(struct stand *st), enum wr_on_error on_error)
{
	struct crew *c = calloc(1, sizeof *c);

	assert_non_null(c);
	c->count = count;
	c->rand.s = count;
	for (uint32_t i = 0; i < count; i++) {
		c->stands[i] = stand_new("files", i, count);
		c->stands[i]->stage.on_error = on_error;
		make(c->stands[i]);
		assert_int_equal(stand_open(c->stands[i]), WR_OK);
	}
	c->enumerator = wr_enumerators[0]->make(&c->stands[0]->options, count, crew_post, c);
	assert_non_null(c->enumerator);
	return c;
}

static inline int crew_look(struct crew *c)
{
	return c->enumerator->ops->discover(c->enumerator, &c->next_ms);
}

static inline void crew_deliver(struct crew *c, struct stand *st)
{
	while (st->letter_count > 0) {
		struct stand_letter l = st->letters[0];

		memmove(st->letters, st->letters + 1, --st->letter_count * sizeof l);
		assert_int_equal(
		    c->enumerator->ops->letter(c->enumerator, l.subtask, l.type, l.payload, l.len), WR_OK);
	}
}

/* Steps readers at random until all have ended or none has work. WR_END, WR_AGAIN or an error. */
static inline int crew_run(struct crew *c)
{
	uint32_t idle = 0, ended = 0;

	while (ended < c->count && idle < 64 * c->count) {
		uint32_t i = wr_rand_below(&c->rand, c->count);
		int rc = c->ended[i] ? WR_END : stand_poll(c->stands[i]);

		if (rc < 0)
			return rc;
		if (rc == WR_END && !c->ended[i]) {
			c->ended[i] = true;
			ended++;
		}
		idle = rc == WR_OK || c->stands[i]->letter_count > 0 ? 0 : idle + 1;
		crew_deliver(c, c->stands[i]);
	}
	return ended == c->count ? WR_END : WR_AGAIN;
}

static inline uint64_t crew_skipped(const struct crew *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < c->count; i++)
		n += (uint64_t)wr_metric_get(&c->stands[i]->stats.skipped);
	return n;
}

static inline void crew_free(struct crew *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		stand_free(c->stands[i]);
	c->enumerator->ops->free(c->enumerator);
	free(c);
}

/* ---- lines of text, sorted: what was read, without the order between subtasks ---- */

static inline int line_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines of a text in place of a new one; free() it. */
static inline char *sorted_lines(const char *text, size_t len)
{
	char *copy = malloc(len + 1), *out = malloc(len + 1), **lines = malloc((len + 1) * sizeof *lines),
	     *to = out;
	size_t count = 0;

	memcpy(copy, text, len);
	copy[len] = 0;
	for (char *p = copy; *p; p++) {
		lines[count++] = p;
		p = strchr(p, '\n');
		*p = 0;
	}
	qsort(lines, count, sizeof *lines, line_compare);
	for (size_t i = 0; i < count; i++)
		to += snprintf(to, len + 1, "%s\n", lines[i]);
	*to = 0;
	free(lines);
	free(copy);
	return out;
}

/* All rows of the crew as sorted JSON lines; free() it. */
static inline char *crew_lines(struct crew *c)
{
	struct wr_bytes all = WR_BYTES_EMPTY;
	char *sorted;

	for (uint32_t i = 0; i < c->count; i++)
		wr_bytes_put(&all, c->stands[i]->text.data, c->stands[i]->text.len);
	sorted = sorted_lines((char *)all.data, all.len);
	wr_bytes_deinit(&all);
	return sorted;
}
