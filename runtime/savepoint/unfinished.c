/* SPDX-License-Identifier: Apache-2.0 */
/* unfinished: see unfinished.h. */
#include "savepoint/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/block.h"

enum { ID = WR_PART_NAME + 8, PIECE = 1 << 20 };

static struct wr_mem mem = WR_MEM_INIT("savepoint.unfinished");

/* ---- what a sink says ---- */

/* It stays below the sink's folder. */
static bool is_bucket(const char *bucket)
{
	for (const char *at = bucket; *at; at += strspn(at, "/")) {
		size_t len = strcspn(at, "/");

		if (!len || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += len;
	}
	return true;
}

static bool is_text(const struct wr_value *v, size_t max)
{
	return v->tag == WR_V_STR && v->str.len <= max && !memchr(v->str.p, 0, v->str.len);
}

static bool is_part(const struct wr_value *v)
{
	const struct wr_value *items = v->items;

	return v->tag == WR_V_LIST && v->count == 4 &&
	       (items[3].tag == WR_V_FALSE || items[3].tag == WR_V_TRUE) &&
	       is_text(&items[0], WR_BUCKET_MAX) && is_text(&items[1], WR_PART_NAME - 1) &&
	       items[2].tag == WR_V_I64 && items[2].i64 >= 0 && is_bucket(items[0].str.p) &&
	       !strncmp(items[1].str.p, "part-", 5) && !memchr(items[1].str.p, '/', items[1].str.len);
}

int wr_unfinished_read(const struct wr_value *v, struct wr_unfinished *out)
{
	const struct wr_value *parts = wr_value_get(v, "parts"), *path = wr_value_get(v, "path"),
			      *at = wr_value_get(v, "at"), *staging = wr_value_get(v, "staging");
	bool good = (!parts || parts->tag == WR_V_LIST) && (!path || is_text(path, WR_UNFINISHED_PATH - 1)) &&
		    (!at || is_text(at, WR_UNFINISHED_PATH - 1)) &&
		    (!staging || (is_text(staging, WR_STAGING_NAME - 1) &&
				  !strncmp(staging->str.p, ".weir-", 6) && !strchr(staging->str.p, '/')));

	*out = (struct wr_unfinished){.path = path && good ? path->str.p : NULL,
				      .at = at && good && at->str.len ? at->str.p : NULL,
				      .staging = staging && good ? staging->str.p : NULL};
	for (uint32_t i = 0; good && parts && i < parts->count; i++)
		good = is_part(&parts->items[i]);
	if (!good)
		return wr_error_set(WR_EUSER, "what it says of part files is malformed");
	out->parts = parts ? parts->items : NULL;
	out->count = parts ? parts->count : 0;
	return WR_OK;
}

struct wr_unfinished_part wr_unfinished_part(const struct wr_unfinished *u, uint32_t i)
{
	const struct wr_value *v = u->parts[i].items;

	return (struct wr_unfinished_part){v[0].str.p, v[1].str.p, v[2].u64, v[3].tag == WR_V_TRUE};
}

/* ---- where it is ---- */

/* *is: there is something at that path. */
static int look(const char *folder, const char *below, const char *name, char file[WR_UNFINISHED_PATH],
		bool *is)
{
	struct stat st;
	int n = snprintf(file, WR_UNFINISHED_PATH, "%s%s%s%s%s", folder, *below ? "/" : "", below,
			 *name ? "/" : "", name);

	if (n >= WR_UNFINISHED_PATH)
		return wr_error_set(WR_EUSER, "the path %s/… is too long", folder);
	*is = stat(file, &st) == 0;
	return *is || errno == ENOENT || errno == ENOTDIR
		   ? WR_OK
		   : wr_error_set(WR_EUSER, "cannot look at %s: %s", file, strerror(errno));
}

int wr_unfinished_find(const struct wr_unfinished *u, const struct wr_unfinished_part *part,
		       enum wr_unfinished_place *place, char file[WR_UNFINISHED_PATH])
{
	const char *folders[2] = {u->path, u->at}, *root = u->at ? u->at : u->path ? u->path : "";
	bool is = false;
	int rc = WR_OK;

	*place = WR_UNFINISHED_STAGED; /* it goes from there to its bucket, never back */
	for (int i = 0; i < 2 && rc == WR_OK && !is; i++)
		if (folders[i] && u->staging)
			rc = look(folders[i], u->staging, part->name, file, &is);
	if (rc != WR_OK || is)
		return rc;
	*place = WR_UNFINISHED_FINISHED;
	for (int i = 0; i < 2 && rc == WR_OK && !is; i++)
		if (folders[i])
			rc = look(folders[i], part->bucket, part->name, file, &is);
	if (rc != WR_OK || is)
		return rc;
	rc = look(root, "", "", file, &is);
	*place = is && part->ended ? WR_UNFINISHED_GONE : WR_UNFINISHED_LOST;
	return rc == WR_OK ? look(root, part->bucket, part->name, file, &is) : rc;
}

/* ---- in a savepoint ---- */

static void id_of(const char *name, char id[ID])
{
	snprintf(id, ID, "part/%s", name);
}

int wr_savepoint_read_unfinished(struct wr_blobs *from, const char *name,
				 int (*put)(void *arg, const void *p, size_t len), void *arg, uint64_t *bytes)
{
	struct wr_block_reader r;
	struct wr_blob_view view;
	struct wr_block block;
	char id[ID];
	int rc, gave = WR_OK;

	*bytes = 0;
	id_of(name, id);
	rc = from->ops->open(from, id, &view);
	if (rc != WR_OK)
		return rc;
	wr_block_reader_init(&r, view.data, view.len);
	while (gave == WR_OK && (rc = wr_block_next(&r, &block)) == WR_OK) {
		if (block.kind != WR_BLOCK_BYTES) {
			rc = wr_error_set(WR_EUSER, "it has other blocks");
			break;
		}
		gave = put(arg, block.payload, block.len);
		*bytes += block.len;
	}
	wr_block_reader_deinit(&r);
	from->ops->close(from, &view);
	if (gave != WR_OK)
		return gave;
	return rc == WR_END ? WR_OK : wr_error_wrap(rc, "%s", id);
}

/* ---- copying ---- */

struct copying {
	struct wr_blobs *from, *to;
	struct wr_block_writer writer;
};

static int put_piece(void *arg, const void *p, size_t len)
{
	struct copying *c = arg;

	return wr_block_put(&c->writer, &(struct wr_block){WR_BLOCK_BYTES, 0, 0, p, (uint32_t)len});
}

static int put_beginning(struct copying *c, int fd, const char *file, uint64_t length)
{
	uint8_t *piece = wr_alloc(&mem, PIECE);
	uint64_t left = length;
	int rc = piece ? WR_OK : WR_EFATAL;

	while (left && rc == WR_OK) {
		ssize_t n = read(fd, piece, left < PIECE ? left : PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = wr_error_set(WR_EFATAL, "cannot read %s: %s", file, strerror(errno));
		else if (n == 0)
			rc = wr_error_set(WR_EUSER,
					  "%s has %" PRIu64 " bytes, and had %" PRIu64 " at the checkpoint",
					  file, length - left, length);
		else
			rc = put_piece(c, piece, (size_t)n);
		left -= rc == WR_OK ? (uint64_t)n : 0;
	}
	wr_free(&mem, piece);
	return rc;
}

static int lost(const char *file)
{
	return wr_error_set(WR_EUSER,
			    "%s is out of reach, and the checkpoint has rows in it that were not finished: "
			    "bring it back, or go on in the job's own folder with --allow-duplicates, which "
			    "leaves them out",
			    file);
}

/* It may be finished before it is opened: then it is looked for again. */
static int put_part(struct copying *c, const struct wr_unfinished *u, const struct wr_unfinished_part *part)
{
	enum wr_unfinished_place place;
	char file[WR_UNFINISHED_PATH];
	int fd = -1, rc;

	do {
		rc = wr_unfinished_find(u, part, &place, file);
		if (rc == WR_OK && place == WR_UNFINISHED_STAGED)
			fd = open(file, O_RDONLY | O_CLOEXEC);
	} while (rc == WR_OK && place == WR_UNFINISHED_STAGED && fd < 0 && errno == ENOENT);
	if (rc != WR_OK)
		return rc;
	if (place == WR_UNFINISHED_LOST)
		return lost(file);
	if (place == WR_UNFINISHED_GONE)
		wr_warn("savepoint", "%s is not there any more: its rows are not in the savepoint", file);
	if (place != WR_UNFINISHED_STAGED)
		return WR_OK;
	if (fd < 0)
		return wr_error_set(WR_EFATAL, "cannot open %s: %s", file, strerror(errno));
	rc = put_beginning(c, fd, file, part->length);
	close(fd);
	return rc;
}

/* As it is in another savepoint, or from the sink's folder. */
static int put_one(struct copying *c, const struct wr_unfinished *u, const struct wr_unfinished_part *part)
{
	uint64_t bytes;
	int rc = wr_savepoint_read_unfinished(c->from, part->name, put_piece, c, &bytes);

	return rc == WR_END ? put_part(c, u, part) : rc;
}

static int copy_one(struct copying *c, const struct wr_unfinished *u, uint32_t i)
{
	struct wr_unfinished_part part = wr_unfinished_part(u, i);
	struct wr_blob *blob;
	char id[ID];

	id_of(part.name, id);
	blob = c->to->ops->begin(c->to, id);
	if (!blob)
		return wr_error_code();
	wr_block_writer_init(&c->writer, blob);
	return wr_block_commit(&c->writer, put_one(c, u, &part), NULL);
}

/* Of all that operators keep for themselves only a rolling sink's has these. */
static bool is_said(const struct wr_value *v)
{
	return v->tag == WR_V_RECORD && wr_value_get(v, "parts") && wr_value_get(v, "staging");
}

static int copy_said(struct copying *c, const struct wr_block *block)
{
	struct wr_reader in = wr_reader_of(block->payload, block->len);
	struct wr_unfinished u;
	struct wr_arena arena;
	struct wr_value value;
	int rc;

	wr_arena_init(&arena, &mem);
	rc = wr_value_parse(&in, &arena, &value);
	if (rc == WR_OK && is_said(&value)) {
		rc = wr_unfinished_read(&value, &u);
		for (uint32_t i = 0; rc == WR_OK && i < u.count; i++)
			rc = copy_one(c, &u, i);
	}
	wr_arena_deinit(&arena);
	return rc;
}

/* They stand in front of keyed state. */
static int take_said(void *arg, struct wr_block_reader *r, struct wr_block *block)
{
	int rc;

	if (block->kind == WR_BLOCK_TASK || block->kind == WR_BLOCK_BASES || block->kind == WR_BLOCK_NAMES)
		return WR_OK;
	if (block->kind != WR_BLOCK_OPERATOR)
		return WR_END;
	rc = wr_block_load(r, block);
	if (rc != WR_OK || !memmem(block->payload, block->len, "staging", strlen("staging")))
		return rc;
	return copy_said(arg, block);
}

int wr_savepoint_copy_unfinished(struct wr_blobs *from, struct wr_blobs *to, const char *id)
{
	struct copying c = {.from = from, .to = to};

	return wr_block_each(from, id, take_said, &c);
}
