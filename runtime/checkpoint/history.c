/* SPDX-License-Identifier: Apache-2.0 */
/* history: see history.h. */
#define XXH_INLINE_ALL
#include "checkpoint/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/error.h"
#include "base/log.h"

static struct wr_mem mem = WR_MEM_INIT("checkpoint.history");

void wr_history_manifest_id(uint64_t checkpoint, char id[WR_HISTORY_ID])
{
	snprintf(id, WR_HISTORY_ID, "chk-%" PRIu64 "/manifest", checkpoint);
}

void wr_history_blob_id(uint64_t checkpoint, uint32_t vertex, uint32_t subtask, char id[WR_HISTORY_ID])
{
	snprintf(id, WR_HISTORY_ID, "chk-%" PRIu64 "/%" PRIu32 "-%" PRIu32 ".state", checkpoint, vertex,
		 subtask);
}

void wr_history_log_id(const char *uid, uint32_t log, uint64_t after, char id[WR_HISTORY_ID])
{
	snprintf(id, WR_HISTORY_ID, WR_HISTORY_LOGS "/%016" PRIx64 "-%" PRIu32 "-%" PRIu64,
		 (uint64_t)XXH3_64bits(uid, strlen(uid)), log, after);
}

/* ---- the list ---- */

struct list {
	uint64_t *numbers; /* descending once it is whole */
	uint32_t count, cap;
};

/* Only names that are written here: no copy of a folder, no number with zeros in front. */
bool wr_history_number(const char *name, uint64_t *number)
{
	char same[WR_HISTORY_ID];

	if (strncmp(name, "chk-", 4))
		return false;
	*number = strtoull(name + 4, NULL, 10);
	snprintf(same, sizeof same, "chk-%" PRIu64, *number);
	return *number <= INT64_MAX && !strcmp(name, same);
}

static int add(void *arg, const char *name)
{
	struct list *l = arg;
	uint64_t number;

	if (!wr_history_number(name, &number))
		return WR_OK;
	if (l->count == l->cap && WR_GROW(&mem, l->numbers, l->cap, 16) != WR_OK)
		return WR_EFATAL;
	l->numbers[l->count++] = number;
	return WR_OK;
}

static int descending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

static int list_all(struct wr_blobs *blobs, struct list *l)
{
	int rc = blobs->ops->list(blobs, "", add, l);

	if (l->count)
		qsort(l->numbers, l->count, sizeof *l->numbers, descending);
	return rc;
}

/* ---- which holds ---- */

static int check_blob(struct wr_blobs *blobs, const char *id)
{
	struct wr_blob_view view;
	int rc = blobs->ops->open(blobs, id, &view);

	if (rc == WR_END)
		return wr_error_set(WR_EUSER, "%s is missing", id);
	if (rc != WR_OK)
		return rc;
	rc = wr_block_verify(view.data, view.len, id);
	blobs->ops->close(blobs, &view);
	return rc;
}

int wr_history_names_of(const struct wr_block *block, int (*each)(void *arg, const char *name), void *arg)
{
	const char *p = (const char *)block->payload, *end = p + block->len;
	int rc = WR_OK;

	if (block->len && end[-1])
		return wr_error_set(WR_EUSER, "its list of blobs is malformed");
	for (; p < end && rc == WR_OK; p += strlen(p) + 1)
		rc = each(arg, p);
	return rc;
}

struct naming { /* of a blob */
	unsigned which;
	int (*each)(void *arg, const char *name);
	void *arg;
};

/* They stand in front of all that is large. */
static int take_names(void *arg, struct wr_block_reader *r, struct wr_block *block)
{
	const struct naming *n = arg;
	unsigned kind = block->kind == WR_BLOCK_NAMES	? WR_HISTORY_NAMED
			: block->kind == WR_BLOCK_BASES ? WR_HISTORY_BASES
							: 0;
	int rc;

	if (!kind)
		return block->kind == WR_BLOCK_TASK ? WR_OK : WR_END;
	if (!(n->which & kind))
		return WR_OK;
	rc = wr_block_load(r, block);
	return rc == WR_OK ? wr_history_names_of(block, n->each, n->arg) : rc;
}

int wr_history_each_name(struct wr_blobs *blobs, const char *id, unsigned which,
			 int (*each)(void *arg, const char *name), void *arg)
{
	struct naming n = {which, each, arg};

	return wr_block_each(blobs, id, take_names, &n);
}

static int check_named(void *blobs, const char *id)
{
	return check_blob(blobs, id);
}

int wr_history_verify(struct wr_blobs *blobs, const struct wr_manifest *m)
{
	int rc = WR_OK;

	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t i = 0; i < m->vertices[v].parallelism && rc == WR_OK; i++) {
			const char *id = m->vertices[v].tasks[i].blob;

			rc = id ? check_blob(blobs, id) : WR_OK;
			if (rc == WR_OK && id)
				rc = wr_history_each_name(blobs, id, WR_HISTORY_NAMED | WR_HISTORY_BASES,
							  check_named, blobs);
		}
	return rc;
}

int wr_history_open(struct wr_blobs *blobs, uint64_t number, struct wr_arena *arena, struct wr_manifest *out)
{
	char id[WR_HISTORY_ID];
	struct wr_blob_view view;
	int rc;

	wr_history_manifest_id(number, id);
	rc = blobs->ops->open(blobs, id, &view);
	if (rc != WR_OK)
		return rc;
	rc = wr_manifest_decode(view.data, view.len, arena, out);
	blobs->ops->close(blobs, &view);
	if (rc == WR_OK && out->checkpoint != number)
		rc = wr_error_set(WR_EUSER, "it is that of checkpoint %" PRIu64, out->checkpoint);
	if (rc != WR_OK)
		return wr_error_wrap(rc, "%s", id);
	return wr_history_verify(blobs, out);
}

int wr_history_keep(struct wr_blobs *blobs, uint64_t checkpoint)
{
	struct list l = {NULL, 0, 0};
	int rc = list_all(blobs, &l);

	for (uint32_t i = 0; i < l.count && l.numbers[i] >= checkpoint && rc == WR_OK; i++) {
		char id[WR_HISTORY_ID];

		wr_history_manifest_id(l.numbers[i], id);
		rc = blobs->ops->keep(blobs, id);
	}
	wr_free(&mem, l.numbers);
	return rc;
}

int wr_history_latest(struct wr_blobs *blobs, struct wr_arena *arena, struct wr_manifest *out,
		      uint64_t *newest)
{
	struct list l = {NULL, 0, 0};
	int rc = list_all(blobs, &l), found = WR_END;
	uint64_t damaged = 0;
	char why[1024] = "";

	*newest = l.count ? l.numbers[0] : 0;
	for (uint32_t i = 0; i < l.count && rc == WR_OK && found == WR_END; i++) {
		found = wr_history_open(blobs, l.numbers[i], arena, out);
		if (found != WR_END && damaged)
			wr_warn("checkpoint",
				"checkpoint %" PRIu64 " is damaged, the one before is taken: %s", damaged,
				why);
		if (found == WR_EUSER) {
			snprintf(why, sizeof why, "%s", wr_error_text());
			damaged = l.numbers[i];
			found = WR_END;
		}
	}
	if (rc == WR_OK && found == WR_END && damaged)
		found = wr_error_set(WR_EUSER, "none of the checkpoints holds any more: %s", why);
	wr_free(&mem, l.numbers);
	return rc == WR_OK ? found : rc;
}

/* ---- what is named ---- */

struct named {
	struct wr_blobs *blobs;
	struct wr_arena arena;
	char **ids; /* of blobs that kept checkpoints name beside their own; sorted once they are all there */
	uint32_t count, cap;
};

static int keep_name(void *arg, const char *name)
{
	struct named *n = arg;
	char *copy = wr_arena_strndup(&n->arena, name, strlen(name));

	if (n->count == n->cap && WR_ARENA_GROW(&n->arena, n->ids, n->cap, 16) != WR_OK)
		return WR_EFATAL;
	n->ids[n->count++] = copy;
	return copy ? WR_OK : WR_EFATAL;
}

static int keep_names_of(struct named *n, uint64_t number)
{
	char id[WR_HISTORY_ID];
	struct wr_manifest m;
	struct wr_blob_view view;
	int rc;

	wr_history_manifest_id(number, id);
	rc = n->blobs->ops->open(n->blobs, id, &view);
	if (rc != WR_OK)
		return rc;
	rc = wr_manifest_decode(view.data, view.len, &n->arena, &m);
	n->blobs->ops->close(n->blobs, &view);
	for (uint32_t v = 0; rc == WR_OK && v < m.vertex_count; v++)
		for (uint32_t i = 0; rc == WR_OK && i < m.vertices[v].parallelism; i++)
			if (m.vertices[v].tasks[i].blob)
				rc = wr_history_each_name(n->blobs, m.vertices[v].tasks[i].blob,
							  WR_HISTORY_NAMED | WR_HISTORY_BASES, keep_name, n);
	return rc;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_named(const struct named *n, const char *id)
{
	return n->count && bsearch(&id, n->ids, n->count, sizeof *n->ids, by_text);
}

/* ---- which may go ---- */

struct folder {
	const struct named *named;
	uint64_t number;
	bool kept; /* one of its blobs is */
};

static int remove_blob(void *arg, const char *name)
{
	struct folder *f = arg;
	struct wr_blobs *blobs = f->named->blobs;
	char id[WR_HISTORY_ID + 256];

	snprintf(id, sizeof id, "chk-%" PRIu64 "/%.255s", f->number, name);
	if (!is_named(f->named, id))
		return blobs->ops->remove(blobs, id);
	f->kept = true;
	return WR_OK;
}

static int remove_one(const struct named *named, uint64_t number)
{
	struct wr_blobs *blobs = named->blobs;
	struct folder f = {.named = named, .number = number};
	char id[WR_HISTORY_ID];
	int rc;

	wr_history_manifest_id(number, id);
	rc = blobs->ops->remove(blobs, id);
	snprintf(id, sizeof id, "chk-%" PRIu64, number);
	if (rc == WR_OK)
		rc = blobs->ops->list(blobs, id, remove_blob, &f);
	return rc == WR_OK && !f.kept ? blobs->ops->remove(blobs, id) : rc;
}

/* ---- logs of sinks ---- */

struct logs {
	const struct named *named;
	uint64_t complete;
};

static int remove_log(void *arg, const char *name)
{
	const struct logs *l = arg;
	struct wr_blobs *blobs = l->named->blobs;
	const char *dash = strrchr(name, '-');
	char id[WR_HISTORY_ID + 256];

	snprintf(id, sizeof id, WR_HISTORY_LOGS "/%.255s", name);
	if (!dash ||
	    !wr_history_log_may_go(strtoull(dash + 1, NULL, 10), l->complete, is_named(l->named, id)))
		return WR_OK;
	return blobs->ops->remove(blobs, id);
}

/* WR_OK: it has a manifest; WR_END: it has none; or the error: that is not known. */
static int holds(struct wr_blobs *blobs, uint64_t number)
{
	char id[WR_HISTORY_ID];
	struct wr_blob_view view;
	int rc;

	wr_history_manifest_id(number, id);
	rc = blobs->ops->open(blobs, id, &view);
	if (rc == WR_OK)
		blobs->ops->close(blobs, &view);
	return rc;
}

/* Moves the numbers that are kept to the front, in their order, those that may go behind them. */
static int sort_out(struct wr_blobs *blobs, struct list *l, uint64_t newest, uint32_t retain, uint64_t also,
		    uint32_t *kept)
{
	uint32_t first = 0;
	int rc = WR_OK;

	*kept = 0;
	while (first < l->count && l->numbers[first] > newest)
		first++;
	l->count -= first;
	memmove(l->numbers, l->numbers + first, l->count * sizeof *l->numbers);
	for (uint32_t i = 0; i < l->count && rc >= 0; i++) {
		uint64_t number = l->numbers[i];

		if (*kept >= retain && number != also)
			continue;
		rc = holds(blobs, number);
		if (rc != WR_OK)
			continue;
		memmove(l->numbers + *kept + 1, l->numbers + *kept, (i - *kept) * sizeof *l->numbers);
		l->numbers[(*kept)++] = number;
	}
	return rc < 0 ? rc : WR_OK;
}

int wr_history_remove_old(struct wr_blobs *blobs, uint64_t newest, uint32_t retain, uint64_t also)
{
	struct list l = {NULL, 0, 0};
	struct named named = {.blobs = blobs};
	struct logs logs = {&named, 0};
	uint32_t kept = 0;
	int rc = list_all(blobs, &l);

	if (rc == WR_OK)
		rc = sort_out(blobs, &l, newest, retain, also, &kept);
	logs.complete = kept ? l.numbers[0] : 0;
	wr_arena_init(&named.arena, &mem);
	for (uint32_t i = 0; i < kept && rc == WR_OK; i++)
		rc = keep_names_of(&named, l.numbers[i]);
	if (rc == WR_OK && named.count)
		qsort(named.ids, named.count, sizeof *named.ids, by_text);
	for (uint32_t i = kept; i < l.count && rc == WR_OK; i++)
		rc = remove_one(&named, l.numbers[i]);
	if (rc == WR_OK)
		rc = blobs->ops->list(blobs, WR_HISTORY_LOGS, remove_log, &logs);
	wr_arena_deinit(&named.arena);
	wr_free(&mem, l.numbers);
	return rc;
}

int wr_history_go_back(struct wr_blobs *blobs, uint64_t number)
{
	struct list l = {NULL, 0, 0};
	int rc = holds(blobs, number);

	if (rc == WR_OK)
		rc = list_all(blobs, &l);
	for (uint32_t i = 0; i < l.count && l.numbers[i] > number && rc == WR_OK; i++) {
		char id[WR_HISTORY_ID];

		wr_history_manifest_id(l.numbers[i], id);
		rc = blobs->ops->remove(blobs, id);
	}
	wr_free(&mem, l.numbers);
	return rc == WR_END ? WR_OK : rc;
}
