/* SPDX-License-Identifier: Apache-2.0 */
/* files_enumerator: which files a files source reads, cut into splits, and who reads which.
 * On the coordinator's thread; reads directories, never files but for their first bytes.
 *
 * Options: path = glob, folder or list of them; split_size (bytes), watch, every (connect/watch.h). Files are
 * given out in the order of their paths, to whoever asks, several small ones at once. A large file of lines
 * or JSON lines is cut into splits of split_size; which line belongs to which split is the reader's rule
 * (format/intake.h). CSV is not cut, because a quoted field may hold line ends and only the bytes before it
 * tell; packed files cannot be.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "connect/connect.h"
#include "connect/discover.h"
#include "stream/feed.h"
#include "connect/kinds.h"
#include "connect/split.h"

enum { SPLIT_SIZE = 32 << 20, SPLITS_AT_ONCE = 64 };

struct reader {
	uint32_t wants; /* splits that it asked for and was not given */
	struct wr_hand hand;
};

struct files_enumerator {
	struct wr_enumerator base;
	void (*post)(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len);
	void *arg;
	uint32_t parallelism;
	bool cuts;  /* files may be cut */
	bool plain; /* whatever their first bytes are */
	uint64_t split_size;

	struct wr_discovery *discovery;
	bool complete; /* nothing is discovered any more */
	bool known;    /* from a checkpoint: all that there is was discovered */

	/* what is still to be given out: a ring of splits in order */
	struct wr_split *splits;
	uint32_t first, count, size;
	uint64_t next_id;
	struct reader *readers; /* by subtask */
};

static struct wr_mem enumerator_mem = WR_MEM_INIT("connect.enumerator");

static void enumerator_free(struct wr_enumerator *base)
{
	struct files_enumerator *e = (struct files_enumerator *)base;

	for (uint32_t i = 0; i < e->count; i++)
		wr_free(&enumerator_mem, (char *)e->splits[(e->first + i) % e->size].path);
	wr_discovery_free(e->discovery);
	wr_free(&enumerator_mem, e->splits);
	for (uint32_t i = 0; e->readers && i < e->parallelism; i++)
		wr_hand_deinit(&e->readers[i].hand);
	wr_free(&enumerator_mem, e->readers);
	wr_free(&enumerator_mem, e);
}

/* ---- splits ---- */

static int grow(struct files_enumerator *e)
{
	uint32_t size = e->size ? 2 * e->size : 64;
	struct wr_split *splits = wr_alloc(&enumerator_mem, size * sizeof *splits);

	if (!splits)
		return WR_EFATAL;
	for (uint32_t i = 0; i < e->count; i++)
		splits[i] = e->splits[(e->first + i) % e->size];
	wr_free(&enumerator_mem, e->splits);
	e->splits = splits;
	e->size = size;
	e->first = 0;
	return WR_OK;
}

static int add_split(struct files_enumerator *e, const char *path, uint64_t from, uint64_t to)
{
	char *copy = wr_strdup(&enumerator_mem, path);

	if (!copy || (e->count == e->size && grow(e) != WR_OK)) {
		wr_free(&enumerator_mem, copy);
		return WR_EFATAL;
	}
	e->splits[(e->first + e->count++) % e->size] = (struct wr_split){e->next_id++, copy, from, to};
	return WR_OK;
}

/* Called for each file that is discovered. */
static int add_file(void *arg, const char *path, uint64_t size)
{
	struct files_enumerator *e = arg;
	int rc = WR_OK;

	if (!e->cuts || size <= e->split_size || (!e->plain && wr_file_packing(path)))
		return add_split(e, path, 0, UINT64_MAX);
	for (uint64_t from = 0; from < size && rc == WR_OK; from += e->split_size)
		rc = add_split(e, path, from, size - from > e->split_size ? from + e->split_size : size);
	return rc;
}

/* ---- giving out ---- */

/* Whole files are small (else they were cut, or cannot be): some more than it wants spare letters. Few are
 * left: no more, so that the subtasks end together. */
static uint32_t share(const struct files_enumerator *e, const struct reader *r)
{
	uint32_t fair = e->count / (4 * e->parallelism) + 1;

	if (fair > SPLITS_AT_ONCE)
		fair = SPLITS_AT_ONCE;
	return e->splits[e->first].to == UINT64_MAX && fair > r->wants ? fair : r->wants;
}

static void take_in_hand(struct files_enumerator *e, struct reader *r)
{
	struct wr_split *split = &e->splits[e->first];

	wr_split_put(&r->hand.splits, split);
	r->hand.count++;
	wr_free(&enumerator_mem, (char *)split->path);
	e->first = (e->first + 1) % e->size;
	e->count--;
}

static int send_hand(struct files_enumerator *e, uint32_t subtask)
{
	struct reader *r = &e->readers[subtask];
	struct wr_bytes letter = WR_BYTES_EMPTY;
	int rc;

	r->wants -= r->hand.count < r->wants ? r->hand.count : r->wants;
	wr_hand_put(&letter, &r->hand);
	rc = wr_bytes_status(&letter);
	if (rc == WR_OK)
		e->post(e->arg, subtask, WR_LETTER_SPLITS, letter.data, (uint32_t)letter.len);
	wr_bytes_deinit(&letter);
	return rc;
}

/* Deals what there is to those who want some, one each in turn, and gives each what it has got. */
static int deal(struct files_enumerator *e)
{
	int rc = WR_OK;

	for (bool dealt = true; dealt;) {
		dealt = false;
		for (uint32_t i = 0; i < e->parallelism && e->count; i++) {
			struct reader *r = &e->readers[i];

			if (!r->wants || r->hand.count >= share(e, r))
				continue;
			take_in_hand(e, r);
			dealt = true;
		}
	}
	for (uint32_t i = 0; i < e->parallelism && rc == WR_OK; i++)
		if (e->readers[i].hand.count)
			rc = send_hand(e, i);
	for (uint32_t i = 0; i < e->parallelism && rc == WR_OK && !e->count && e->complete; i++) {
		if (e->readers[i].wants)
			e->post(e->arg, i, WR_LETTER_NO_MORE, NULL, 0);
		e->readers[i].wants = 0;
	}
	return rc;
}

static int enumerator_letter(struct wr_enumerator *base, uint32_t subtask, uint32_t type,
			     const uint8_t *payload, uint32_t len)
{
	struct files_enumerator *e = (struct files_enumerator *)base;

	WR_ASSERT(subtask < e->parallelism);
	if (type != WR_LETTER_SPLIT_WANTED)
		return WR_OK;
	e->readers[subtask].wants += (uint32_t)wr_letter_int(payload, len);
	return deal(e);
}

static int enumerator_discover(struct wr_enumerator *base, int64_t *next_ms)
{
	struct files_enumerator *e = (struct files_enumerator *)base;
	int rc = WR_OK;

	*next_ms = -1;
	if (!e->known)
		rc = wr_discovery_look(e->discovery, add_file, e, next_ms);
	e->complete = *next_ms < 0;
	return rc == WR_OK ? deal(e) : rc;
}

static struct wr_enumerator *enumerator_make(const struct wr_value *options, uint32_t parallelism,
					     void (*post)(void *arg, uint32_t subtask, uint32_t type,
							  const void *payload, uint32_t len),
					     void *arg)
{
	struct files_enumerator *e = wr_zalloc(&enumerator_mem, sizeof *e);
	const char *format = wr_value_str(options, "format", "lines");
	const char *compression = wr_value_str(options, "compression", "auto");
	int64_t split_size = wr_value_int(options, "split_size", SPLIT_SIZE);

	if (!e)
		return NULL;
	e->base.ops = &wr_files_enumerator_ops;
	e->post = post;
	e->arg = arg;
	e->parallelism = parallelism;
	e->plain = strcmp(compression, "none") == 0;
	e->cuts = (strcmp(format, "lines") == 0 || strcmp(format, "json") == 0) &&
		  (e->plain || strcmp(compression, "auto") == 0);
	e->split_size = split_size > 0 ? (uint64_t)split_size : SPLIT_SIZE;
	e->readers = wr_zalloc(&enumerator_mem, parallelism * sizeof *e->readers);
	e->discovery = wr_discovery_new(options);
	if (!e->readers || !e->discovery) {
		enumerator_free(&e->base);
		return NULL;
	}
	return &e->base;
}

/* ---- snapshots ---- */

static int enumerator_save(const struct wr_enumerator *base, struct wr_bytes *out)
{
	const struct files_enumerator *e = (const struct files_enumerator *)base;

	wr_value_put_record(out, 4);
	wr_value_put_name(out, "complete");
	wr_value_put_bool(out, e->complete);
	wr_value_put_name(out, "next_id");
	wr_value_put_i64(out, (int64_t)e->next_id);
	wr_value_put_name(out, "splits");
	wr_value_put_list(out, e->count);
	for (uint32_t i = 0; i < e->count; i++)
		wr_split_put(out, &e->splits[(e->first + i) % e->size]);
	wr_value_put_name(out, "taken");
	wr_discovery_save(e->discovery, out);
	return wr_bytes_status(out);
}

/* Files that were discovered before are not looked for again. */
static int enumerator_restore(struct wr_enumerator *base, const struct wr_value *saved)
{
	struct files_enumerator *e = (struct files_enumerator *)base;
	const struct wr_value *splits = wr_value_get(saved, "splits");
	const struct wr_value *taken = wr_value_get(saved, "taken");
	int rc = WR_OK;

	if (!splits || splits->tag != WR_V_LIST || !taken)
		return wr_error_set(WR_EUSER, "the saved list of files is malformed");
	for (uint32_t i = 0; i < splits->count && rc == WR_OK; i++) {
		struct wr_split split;

		rc = wr_split_of(&splits->items[i], &split);
		if (rc != WR_OK)
			break;
		e->next_id = split.id;
		rc = add_split(e, split.path, split.from, split.to);
	}
	e->next_id = (uint64_t)wr_value_int(saved, "next_id", 0);
	e->complete = e->known = wr_value_bool(saved, "complete", false);
	return rc == WR_OK ? wr_discovery_restore(e->discovery, taken) : rc;
}

const struct wr_enumerator_ops wr_files_enumerator_ops = {
    .kind = "files",
    .make = enumerator_make,
    .letter = enumerator_letter,
    .discover = enumerator_discover,
    .save = enumerator_save,
    .restore = enumerator_restore,
    .free = enumerator_free,
};
