/* SPDX-License-Identifier: Apache-2.0 */
/* wal_feed: the bytes of a session of a write-ahead log, block by block, each with its sum checked. Reads
 * files on the task's thread, as file_feed does. */
#include "wal/wal_block.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include "base/bytes.h"
#include "base/error.h"

enum { PATH = 4096 };

struct wal_feed {
	struct wr_feed feed;
	char folder[PATH - 64];
	uint64_t session;
	uint64_t *starts; /* of the segments */
	uint32_t count, next;
	FILE *file;	       /* segment next − 1, or NULL */
	uint64_t length;       /* of the session */
	uint64_t skip;	       /* what lies before this offset is not wanted */
	uint64_t expected;     /* offset of the next block */
	struct wr_bytes block; /* payload at hand */
	uint64_t block_offset;
	size_t taken;
	bool ended;
};

static struct wr_mem mem = WR_MEM_INIT("wal.wal_feed");

uint64_t wr_wal_sum(const struct wr_wal_head *head, const void *payload)
{
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, head, offsetof(struct wr_wal_head, sum));
	if (head->len)
		XXH3_64bits_update(&state, payload, head->len);
	return XXH3_64bits_digest(&state);
}

static bool is_head(const struct wr_wal_head *head)
{
	return (head->magic == WR_WAL_BYTES && head->len <= WR_WAL_BLOCK_MAX) ||
	       (head->magic == WR_WAL_END && !head->len);
}

size_t wr_wal_block(const uint8_t *p, size_t len)
{
	struct wr_wal_head head;

	if (len < sizeof head)
		return 0;
	memcpy(&head, p, sizeof head);
	if (!is_head(&head) || len - sizeof head < head.len || wr_wal_sum(&head, p + sizeof head) != head.sum)
		return 0;
	return sizeof head + head.len;
}

/* ---- reading ---- */

static void segment_path(const struct wal_feed *f, uint32_t i, char out[PATH])
{
	snprintf(out, PATH, "%s/%08" PRIx64 "-%012" PRIx64 ".wal", f->folder, f->session, f->starts[i]);
}

static int damaged(const struct wal_feed *f)
{
	char path[PATH];

	segment_path(f, f->next - 1, path);
	return wr_error_set(
	    WR_EFATAL,
	    "%s is damaged at byte %ld: put a good copy in its place, or remove the folder to go on "
	    "without what it has",
	    path, f->file ? ftell(f->file) : 0L);
}

static int lacking(const struct wal_feed *f)
{
	return wr_error_set(WR_EFATAL,
			    "the log in %s lacks what is behind byte %" PRIu64 " of session %" PRIu64
			    ": put its file back, or remove the folder to go on without what it has",
			    f->folder, f->expected, f->session);
}

static int next_segment(struct wal_feed *f)
{
	char path[PATH];

	if (f->file)
		fclose(f->file);
	f->file = NULL;
	if (f->next == f->count) /* an end is written before a session is read */
		return wr_error_set(WR_EFATAL, "the log in %s has no end", f->folder);
	segment_path(f, f->next++, path);
	f->file = fopen(path, "re");
	return f->file ? WR_OK : wr_error_set(WR_EFATAL, "cannot read %s: %s", path, strerror(errno));
}

static int next_block(struct wal_feed *f)
{
	struct wr_wal_head head;
	size_t n = f->file ? fread(&head, 1, sizeof head, f->file) : 0;
	uint8_t *to;

	if (n == 0)
		return next_segment(f);
	if (n < sizeof head || !is_head(&head))
		return damaged(f);
	if (head.magic == WR_WAL_BYTES && head.offset != f->expected)
		return lacking(f);
	f->block.len = f->taken = 0;
	to = wr_bytes_room(&f->block, head.len + 1);
	if (!to)
		return wr_bytes_status(&f->block);
	if (fread(to, 1, head.len, f->file) != head.len || wr_wal_sum(&head, to) != head.sum)
		return damaged(f);
	f->block.len = head.len;
	f->block_offset = head.offset;
	f->expected = head.offset + head.len;
	f->ended = head.magic == WR_WAL_END;
	return WR_OK;
}

/* The end says how long the session is: it may be cut in the middle of a block. */
static int look_ahead(struct wal_feed *f)
{
	struct wr_wal_head head = {0};
	uint64_t content = 0;
	int rc;

	f->next = f->count - 1;
	rc = next_segment(f);
	while (rc == WR_OK && head.magic != WR_WAL_END) {
		if (fread(&head, 1, sizeof head, f->file) < sizeof head || !is_head(&head) ||
		    fseek(f->file, (long)head.len, SEEK_CUR) != 0)
			rc = damaged(f);
		else if (head.magic == WR_WAL_BYTES)
			content = head.offset + head.len;
	}
	f->length = head.offset;
	if (rc == WR_OK && f->skip > content && f->skip > f->length)
		rc = wr_error_set(WR_EUSER,
				  "the log in %s ends at byte %" PRIu64 " of session %" PRIu64
				  ", and is to be read from byte %" PRIu64
				  ": it is not the one that was written",
				  f->folder, f->length, f->session, f->skip);
	if (f->file)
		fclose(f->file);
	f->file = NULL;
	f->next = 0;
	return rc;
}

static int wal_read(struct wr_feed *feed, uint8_t *to, size_t room, size_t *got)
{
	struct wal_feed *f = (struct wal_feed *)feed;
	int rc = WR_OK;

	while (rc == WR_OK) {
		uint64_t at = f->block_offset + f->taken, end = f->block_offset + f->block.len;

		if (at < f->skip)
			at = f->skip < end ? f->skip : end;
		if (end > f->length)
			end = f->length;
		if (at < end) {
			*got = end - at < room ? (size_t)(end - at) : room;
			memcpy(to, f->block.data + (at - f->block_offset), *got);
			f->taken = (size_t)(at - f->block_offset) + *got;
			return WR_OK;
		}
		rc = f->ended || f->skip >= f->length || end >= f->length ? WR_END : next_block(f);
	}
	return rc;
}

static void wal_free(struct wr_feed *feed)
{
	struct wal_feed *f = (struct wal_feed *)feed;

	if (f->file)
		fclose(f->file);
	wr_bytes_deinit(&f->block);
	wr_free(&mem, f->starts);
	wr_free(&mem, f);
}

static const struct wr_feed_ops wal_ops = {wal_read, wal_free};

struct wr_feed *wr_wal_feed_new(const char *folder, uint64_t session, const uint64_t *starts, uint32_t count,
				uint64_t from)
{
	struct wal_feed *f = wr_zalloc(&mem, sizeof *f);
	int rc = WR_EFATAL;

	if (!f)
		return NULL;
	f->feed.ops = &wal_ops;
	snprintf(f->folder, sizeof f->folder, "%s", folder);
	f->session = session;
	f->skip = from;
	f->count = count;
	f->starts = wr_alloc(&mem, count * sizeof *f->starts);
	if (f->starts) {
		memcpy(f->starts, starts, count * sizeof *starts);
		f->expected = starts[0];
		rc = look_ahead(f);
	}
	if (rc == WR_OK)
		return &f->feed;
	wal_free(&f->feed);
	return NULL;
}
