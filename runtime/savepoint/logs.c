/* SPDX-License-Identifier: Apache-2.0 */
/* logs: see logs.h. A log that is being written is copied as far as it is there: what is torn at its end is
 * cut by whoever opens it. */
#include "savepoint/logs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "checkpoint/block.h"
#include "record/key.h"

enum { ID = 96, PIECE = 1 << 20 };

void wr_log_folder(const char *uid, char out[WR_LOG_FOLDER])
{
	snprintf(out, WR_LOG_FOLDER, "wal-%016" PRIx64,
		 wr_key_hash((const uint8_t *)uid, (uint32_t)strlen(uid)));
}

static int id_of(const char *uid, const char *name, char id[ID])
{
	char folder[WR_LOG_FOLDER];

	wr_log_folder(uid, folder);
	if (snprintf(id, ID, "%s/%s", folder, name) < ID)
		return WR_OK;
	return wr_error_set(WR_EUSER, "%s/%s is no segment of a log", folder, name);
}

/* ---- reading ---- */

struct segments {
	int (*each)(void *arg, const char *name);
	void *arg;
};

static int take_segment(void *arg, const char *name)
{
	const struct segments *s = arg;
	const char *dot = strrchr(name, '.');

	return dot && !strcmp(dot, ".wal") ? s->each(s->arg, name) : WR_OK;
}

int wr_savepoint_each_segment(struct wr_blobs *from, const char *uid,
			      int (*each)(void *arg, const char *name), void *arg)
{
	struct segments s = {each, arg};
	char folder[WR_LOG_FOLDER];

	wr_log_folder(uid, folder);
	return from->ops->list(from, folder, take_segment, &s);
}

/* In a savepoint it is in blocks, in a folder it is as it is. */
static bool is_in_blocks(const struct wr_blob_view *view)
{
	struct wr_block_reader r;
	struct wr_block block;
	bool is;

	wr_block_reader_init(&r, view->data, view->len);
	is = wr_block_peek(&r, &block) == WR_OK && block.kind == WR_BLOCK_BYTES;
	wr_block_reader_deinit(&r);
	return is;
}

static int read_blocks(const struct wr_blob_view *view, int (*put)(void *arg, const void *p, size_t len),
		       void *arg)
{
	struct wr_block_reader r;
	struct wr_block block;
	int rc;

	wr_block_reader_init(&r, view->data, view->len);
	while ((rc = wr_block_next(&r, &block)) == WR_OK &&
	       (rc = put(arg, block.payload, block.len)) == WR_OK)
		;
	wr_block_reader_deinit(&r);
	return rc == WR_END ? WR_OK : rc;
}

int wr_savepoint_read_segment(struct wr_blobs *from, const char *uid, const char *name,
			      int (*put)(void *arg, const void *p, size_t len), void *arg)
{
	struct wr_blob_view view;
	char id[ID];
	int rc = id_of(uid, name, id);

	if (rc != WR_OK)
		return rc;
	rc = from->ops->open(from, id, &view);
	if (rc != WR_OK)
		return rc == WR_END ? wr_error_set(WR_EUSER, "%s of the log is missing", id) : rc;
	if (is_in_blocks(&view))
		rc = read_blocks(&view, put, arg);
	else if (view.len)
		rc = put(arg, view.data, view.len);
	from->ops->close(from, &view);
	return rc < 0 ? wr_error_wrap(rc, "%s", id) : rc;
}

/* ---- copying ---- */

struct copying {
	struct wr_blobs *from, *to;
	const char *uid, *to_uid;
	struct wr_block_writer writer;
};

static int put_pieces(void *arg, const void *p, size_t len)
{
	struct copying *c = arg;
	const uint8_t *at = p;
	int rc = WR_OK;

	while (len > 0 && rc == WR_OK) {
		uint32_t piece = len < PIECE ? (uint32_t)len : PIECE;

		rc = wr_block_put(&c->writer, &(struct wr_block){WR_BLOCK_BYTES, 0, 0, at, piece});
		at += piece;
		len -= piece;
	}
	return rc;
}

static int copy_segment(void *arg, const char *name)
{
	struct copying *c = arg;
	struct wr_blob *blob;
	char id[ID];
	int rc = id_of(c->to_uid, name, id);

	if (rc != WR_OK)
		return rc;
	blob = c->to->ops->begin(c->to, id);
	if (!blob)
		return wr_error_code();
	wr_block_writer_init(&c->writer, blob);
	rc = wr_block_put(&c->writer, &(struct wr_block){WR_BLOCK_BYTES, 0, 0, (const uint8_t *)"", 0});
	if (rc == WR_OK)
		rc = wr_savepoint_read_segment(c->from, c->uid, name, put_pieces, c);
	return wr_block_commit(&c->writer, rc, NULL);
}

int wr_savepoint_copy_log(struct wr_blobs *from, struct wr_blobs *to, const char *uid, const char *to_uid)
{
	struct copying c = {.from = from, .to = to, .uid = uid, .to_uid = to_uid};

	return wr_savepoint_each_segment(from, uid, copy_segment, &c);
}
