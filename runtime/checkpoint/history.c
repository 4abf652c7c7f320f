/* SPDX-License-Identifier: Apache-2.0 */
/* history: see history.h. */
#include "checkpoint/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/block.h"

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
	if (l->count == l->cap) {
		uint32_t cap = 2 * l->cap + 16;
		uint64_t *numbers = wr_realloc(&mem, l->numbers, cap * sizeof *numbers);

		if (!numbers)
			return WR_EFATAL;
		l->numbers = numbers;
		l->cap = cap;
	}
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
	struct wr_block_reader r;
	struct wr_blob_view view;
	int rc = blobs->ops->open(blobs, id, &view);

	if (rc == WR_END)
		return wr_error_set(WR_EUSER, "%s is missing", id);
	if (rc != WR_OK)
		return rc;
	wr_block_reader_init(&r, view.data, view.len);
	while (rc == WR_OK)
		rc = wr_block_check(&r);
	wr_block_reader_deinit(&r);
	blobs->ops->close(blobs, &view);
	return rc == WR_END ? WR_OK : wr_error_wrap(rc, "%s", id);
}

int wr_history_verify(struct wr_blobs *blobs, const struct wr_manifest *m)
{
	int rc = WR_OK;

	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t i = 0; i < m->vertices[v].parallelism && rc == WR_OK; i++)
			if (m->vertices[v].tasks[i].blob)
				rc = check_blob(blobs, m->vertices[v].tasks[i].blob);
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

int wr_history_latest(struct wr_blobs *blobs, struct wr_arena *arena, struct wr_manifest *out,
		      uint64_t *newest)
{
	struct list l = {NULL, 0, 0};
	int rc = list_all(blobs, &l), found = WR_END;
	bool damaged = false;

	*newest = l.count ? l.numbers[0] : 0;
	for (uint32_t i = 0; i < l.count && rc == WR_OK && found == WR_END; i++) {
		found = wr_history_open(blobs, l.numbers[i], arena, out);
		if (found == WR_EUSER) {
			wr_warn("checkpoint",
				"checkpoint %" PRIu64 " is damaged, the one before is taken: %s",
				l.numbers[i], wr_error_text());
			found = WR_END;
			damaged = true;
		}
	}
	if (rc == WR_OK && found == WR_END && damaged)
		found = wr_error_set(WR_EUSER, "none of the checkpoints holds any more: %s", wr_error_text());
	wr_free(&mem, l.numbers);
	return rc == WR_OK ? found : rc;
}

/* ---- which may go ---- */

struct folder {
	struct wr_blobs *blobs;
	uint64_t number;
};

static int remove_blob(void *arg, const char *name)
{
	const struct folder *f = arg;
	char id[WR_HISTORY_ID + 256];

	snprintf(id, sizeof id, "chk-%" PRIu64 "/%.255s", f->number, name);
	return f->blobs->ops->remove(f->blobs, id);
}

static int remove_one(struct wr_blobs *blobs, uint64_t number)
{
	struct folder f = {blobs, number};
	char id[WR_HISTORY_ID];
	int rc;

	wr_history_manifest_id(number, id);
	rc = blobs->ops->remove(blobs, id);
	snprintf(id, sizeof id, "chk-%" PRIu64, number);
	if (rc == WR_OK)
		rc = blobs->ops->list(blobs, id, remove_blob, &f);
	return rc == WR_OK ? blobs->ops->remove(blobs, id) : rc;
}

static bool holds(struct wr_blobs *blobs, uint64_t number)
{
	char id[WR_HISTORY_ID];
	struct wr_blob_view view;
	int rc;

	wr_history_manifest_id(number, id);
	rc = blobs->ops->open(blobs, id, &view);
	if (rc == WR_OK)
		blobs->ops->close(blobs, &view);
	return rc == WR_OK;
}

int wr_history_remove_old(struct wr_blobs *blobs, uint64_t newest, uint32_t retain)
{
	struct list l = {NULL, 0, 0};
	uint32_t kept = 0;
	int rc = list_all(blobs, &l);

	for (uint32_t i = 0; i < l.count && rc == WR_OK; i++) {
		if (l.numbers[i] > newest)
			continue;
		if (kept < retain && holds(blobs, l.numbers[i]))
			kept++;
		else
			rc = remove_one(blobs, l.numbers[i]);
	}
	wr_free(&mem, l.numbers);
	return rc;
}
