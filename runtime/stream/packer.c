/* SPDX-License-Identifier: Apache-2.0 */
/* packer: see packer.h. The libraries take their memory from our account. */
#include "stream/packer.h"

#include <string.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_customMem */
#include <zstd.h>
#include "base/error.h"

enum { GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8 }; /* the largest window, a gzip header; zlib's default */

struct wr_packer {
	ZSTD_CCtx *zstd; /* NULL: gzip */
	z_stream gzip;
	bool gzip_ready;
};

static struct wr_mem mem = WR_MEM_INIT("stream.packer");

int wr_packing_of(const char *name, enum wr_packing *out)
{
	static const char *const names[] = {"none", "gzip", "zstd"};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i])) {
			*out = (enum wr_packing)i;
			return WR_OK;
		}
	return wr_error_set(WR_EUSER, "there is no compression \"%s\"", name);
}

static void *gzip_alloc(void *opaque, unsigned items, unsigned size)
{
	(void)opaque;
	return wr_alloc(&mem, (size_t)items * size);
}

static void *zstd_alloc(void *opaque, size_t size)
{
	(void)opaque;
	return wr_alloc(&mem, size);
}

static void give(void *opaque, void *p)
{
	(void)opaque;
	wr_free(&mem, p);
}

static int make_gzip(struct wr_packer *p, int level)
{
	p->gzip.zalloc = gzip_alloc;
	p->gzip.zfree = give;
	if (deflateInit2(&p->gzip, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
			 GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return wr_error_nomem(0, "gzip");
	p->gzip_ready = true;
	return WR_OK;
}

static int make_zstd(struct wr_packer *p, int level)
{
	p->zstd = ZSTD_createCCtx_advanced((ZSTD_customMem){zstd_alloc, give, NULL});
	if (!p->zstd)
		return wr_error_nomem(0, "zstd");
	ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
	if (level)
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level);
	return WR_OK;
}

struct wr_packer *wr_packer_new(enum wr_packing packing, int level)
{
	struct wr_packer *p = wr_zalloc(&mem, sizeof *p);

	if (!p)
		return NULL;
	if ((packing == WR_PACKING_GZIP ? make_gzip(p, level) : make_zstd(p, level)) == WR_OK)
		return p;
	wr_packer_free(p);
	return NULL;
}

void wr_packer_free(struct wr_packer *p)
{
	if (!p)
		return;
	if (p->gzip_ready)
		deflateEnd(&p->gzip);
	ZSTD_freeCCtx(p->zstd);
	wr_free(&mem, p);
}

static int put_gzip(struct wr_packer *p, const void *block, size_t len, uint8_t *to, size_t *room)
{
	p->gzip.next_in = (Bytef *)(uintptr_t)block;
	p->gzip.avail_in = (uInt)len;
	p->gzip.next_out = to;
	p->gzip.avail_out = (uInt)*room;
	if (deflate(&p->gzip, Z_FINISH) != Z_STREAM_END)
		return wr_error_set(WR_EBUG, "a block did not fit its bound");
	*room = p->gzip.total_out;
	return WR_OK;
}

static int put_zstd(struct wr_packer *p, const void *block, size_t len, uint8_t *to, size_t *room)
{
	*room = ZSTD_compress2(p->zstd, to, *room, block, len);
	if (ZSTD_isError(*room))
		return wr_error_set(WR_EFATAL, "cannot compress: %s", ZSTD_getErrorName(*room));
	return WR_OK;
}

int wr_packer_put(struct wr_packer *p, const void *block, size_t len, struct wr_bytes *out)
{
	size_t room;
	uint8_t *to;
	int rc;

	if (!p->zstd)
		deflateReset(&p->gzip); /* of one that has ended the bound is without header and trailer */
	room = p->zstd ? ZSTD_compressBound(len) : deflateBound(&p->gzip, len);
	to = wr_bytes_room(out, room);
	if (!to)
		return wr_bytes_status(out);
	rc = p->zstd ? put_zstd(p, block, len, to, &room) : put_gzip(p, block, len, to, &room);
	if (rc == WR_OK)
		out->len += room;
	return rc;
}
