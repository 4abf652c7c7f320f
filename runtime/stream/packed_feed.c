/* SPDX-License-Identifier: Apache-2.0 */
/* packed_feed: what a feed of gzip or zstd bytes unpacks to, several members or frames one
 * after another included. On the task's thread, a block at a time. A stream that ends early
 * or is damaged is WR_EUSER behind the bytes that came through. Both libraries take their
 * memory, for zstd a window of 8 MiB at most, from our account. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_customMem */
#include <zstd.h>
#include <zstd_errors.h>
#include "base/error.h"
#include "base/mem.h"
#include "stream/feed.h"

enum { PACKED_BLOCK = 64 << 10, PACKED_WINDOW_LOG_MAX = 23 };

struct packed {
	struct wr_feed feed;
	struct wr_feed *from; /* owned */
	bool from_ended;
	bool whole;	/* between two members: the stream may end here */
	size_t at, len; /* bytes of `in` not yet unpacked */
	z_stream gzip;
	bool gzip_ready;
	ZSTD_DStream *zstd; /* NULL: gzip */
	char wrong[96];	    /* what ends the stream, once the bytes before it are through */
	uint8_t in[PACKED_BLOCK];
};

static struct wr_mem packed_mem = WR_MEM_INIT("stream.packed_feed");

const char *wr_feed_packing(const uint8_t magic[4])
{
	static const uint8_t gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};

	if (memcmp(magic, gzip, sizeof gzip) == 0)
		return "gzip";
	return memcmp(magic, zstd, sizeof zstd) == 0 ? "zstd" : NULL;
}

static void *gzip_alloc(void *opaque, unsigned items, unsigned size)
{
	(void)opaque;
	return wr_alloc(&packed_mem, (size_t)items * size);
}

static void packed_give(void *opaque, void *p)
{
	(void)opaque;
	wr_free(&packed_mem, p);
}

static void *zstd_alloc(void *opaque, size_t size)
{
	(void)opaque;
	return wr_alloc(&packed_mem, size);
}

static int refill(struct packed *f)
{
	int rc;

	if (f->at < f->len || f->from_ended)
		return WR_OK;
	f->at = f->len = 0;
	rc = f->from->ops->read(f->from, f->in, sizeof f->in, &f->len);
	f->from_ended = rc == WR_END;
	return rc == WR_END ? WR_OK : rc;
}

/* Archives on tapes and some disks are filled up with zeros, which gzip passes over, too. */
static bool gzip_padding(struct packed *f)
{
	while (f->whole && f->at < f->len && f->in[f->at] == 0)
		f->at++;
	return f->at == f->len;
}

static int gzip_step(struct packed *f, uint8_t *to, size_t room, size_t *got)
{
	int rc;

	if (gzip_padding(f))
		return WR_OK;
	if (f->whole && inflateReset(&f->gzip) != Z_OK)
		return wr_error_set(WR_EUSER, "gzip: cannot begin a member");
	f->whole = false;
	f->gzip.next_in = f->in + f->at;
	f->gzip.avail_in = (unsigned)(f->len - f->at);
	f->gzip.next_out = to;
	f->gzip.avail_out = (unsigned)room;
	rc = inflate(&f->gzip, Z_NO_FLUSH);
	f->at = f->len - f->gzip.avail_in;
	*got = room - f->gzip.avail_out;
	f->whole = rc == Z_STREAM_END;
	if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
		return WR_OK;
	if (rc == Z_MEM_ERROR)
		return wr_error_nomem(0, "gzip");
	return wr_error_set(WR_EUSER, "gzip: %s", f->gzip.msg ? f->gzip.msg : "damaged data");
}

static int zstd_step(struct packed *f, uint8_t *to, size_t room, size_t *got)
{
	ZSTD_inBuffer in = {f->in, f->len, f->at};
	ZSTD_outBuffer out = {to, room, 0};
	size_t rc = ZSTD_decompressStream(f->zstd, &out, &in);

	f->at = in.pos;
	*got = out.pos;
	f->whole = rc == 0;
	if (!ZSTD_isError(rc))
		return WR_OK;
	if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation)
		return wr_error_nomem(0, "zstd");
	return wr_error_set(WR_EUSER, "zstd: %s", ZSTD_getErrorName(rc));
}

static int packed_read(struct wr_feed *feed, uint8_t *to, size_t room, size_t *got)
{
	struct packed *f = (struct packed *)feed;
	int rc = WR_OK;

	*got = 0;
	if (f->wrong[0])
		return wr_error_set(WR_EUSER, "%s", f->wrong);
	while (rc == WR_OK && *got == 0) {
		rc = refill(f);
		if (rc != WR_OK)
			break;
		if (f->at == f->len && f->whole)
			return WR_END;
		rc = f->zstd ? zstd_step(f, to, room, got) : gzip_step(f, to, room, got);
		if (rc == WR_OK && *got == 0 && f->from_ended && f->at == f->len && !f->whole)
			rc = wr_error_set(WR_EUSER, "%s: the data ends early", f->zstd ? "zstd" : "gzip");
	}
	if (rc == WR_EUSER)
		snprintf(f->wrong, sizeof f->wrong, "%s", wr_error_text());
	return *got > 0 && rc == WR_EUSER ? WR_OK : rc;
}

static void packed_free(struct wr_feed *feed)
{
	struct packed *f = (struct packed *)feed;

	if (f->gzip_ready)
		inflateEnd(&f->gzip);
	ZSTD_freeDStream(f->zstd);
	wr_feed_free(f->from);
	wr_free(&packed_mem, f);
}

static const struct wr_feed_ops packed_ops = {packed_read, packed_free};

static int packed_start(struct packed *f, bool gzip)
{
	if (gzip) {
		f->gzip.zalloc = gzip_alloc;
		f->gzip.zfree = packed_give;
		f->gzip_ready = inflateInit2(&f->gzip, 15 + 16) == Z_OK;
		return f->gzip_ready ? WR_OK : wr_error_nomem(0, "gzip");
	}
	f->zstd = ZSTD_createDStream_advanced((ZSTD_customMem){zstd_alloc, packed_give, NULL});
	if (!f->zstd ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, PACKED_WINDOW_LOG_MAX)))
		return wr_error_nomem(0, "zstd");
	return WR_OK;
}

struct wr_feed *wr_packed_feed_new(struct wr_feed *from, const uint8_t magic[4])
{
	struct packed *f = wr_zalloc(&packed_mem, sizeof *f);

	if (!f) {
		wr_feed_free(from);
		return NULL;
	}
	f->feed.ops = &packed_ops;
	f->from = from;
	if (packed_start(f, magic[0] == 0x1f) == WR_OK)
		return &f->feed;
	packed_free(&f->feed);
	return NULL;
}
