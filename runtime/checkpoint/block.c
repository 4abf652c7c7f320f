/* SPDX-License-Identifier: Apache-2.0 */
/* block: see block.h; the bytes are told in FORMAT.md. */
#define XXH_INLINE_ALL
#include <inttypes.h>
#include <xxhash.h>
#include <zstd.h>
#include "base/assert.h"
#include "base/error.h"
#include "checkpoint/block.h"

enum {
	BLOCK_MAGIC = 0x4b424c57, /* "WLBK" */
	BLOCK_SUMMED = 24,	  /* header bytes under the checksum */
	PACK_MIN = 128,		  /* smaller payloads are not worth a try */
	PACK_LEVEL = -1,	  /* of zstd: the disk is faster than higher ones */
};
enum codec { PLAIN = 0, ZSTD = 1, CODECS };

struct header {
	uint32_t magic;
	uint8_t version, kind, codec, zero;
	uint32_t stage, group;
	uint32_t plain_len; /* of the payload when it is unpacked */
	uint32_t len;	    /* as it lies in the blob, padding not counted */
	uint64_t sum;
};
_Static_assert(sizeof(struct header) == WR_BLOCK_HEADER, "the header is written as it lies");

static struct wr_mem mem = WR_MEM_INIT("checkpoint.blocks");

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

static const uint8_t padding[8];

/* `there`: of the padded payload, what lies behind it; the rest is zero. */
static uint64_t checksum_of(const struct header *h, const uint8_t *payload, size_t there)
{
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, h, BLOCK_SUMMED);
	XXH3_64bits_update(&state, payload, there);
	XXH3_64bits_update(&state, padding, padded(h->len) - there);
	return XXH3_64bits_digest(&state);
}

static uint64_t checksum(const struct header *h, const uint8_t *payload)
{
	return checksum_of(h, payload, padded(h->len));
}

/* ---- writing ---- */

void wr_block_writer_init(struct wr_block_writer *w, struct wr_blob *blob)
{
	*w = (struct wr_block_writer){.blob = blob, .packed = WR_BYTES_EMPTY};
}

void wr_block_writer_deinit(struct wr_block_writer *w)
{
	wr_bytes_deinit(&w->packed);
	if (w->zstd) {
		wr_mem_charge(&mem, -(int64_t)ZSTD_sizeof_CCtx(w->zstd));
		ZSTD_freeCCtx(w->zstd);
		w->zstd = NULL;
	}
}

static int append(struct wr_block_writer *w, const void *p, size_t len)
{
	return len ? w->blob->ops->append(w->blob, p, len) : WR_OK;
}

/* The payload goes from where it is. */
static int put_plain(struct wr_block_writer *w, struct header *h, const struct wr_block *b)
{
	int rc;

	h->codec = PLAIN;
	h->len = b->len;
	h->sum = checksum_of(h, b->payload, b->len);
	rc = append(w, h, sizeof *h);
	if (rc == WR_OK)
		rc = append(w, b->payload, b->len);
	return rc == WR_OK ? append(w, padding, padded(b->len) - b->len) : rc;
}

/* The packed payload in w->packed; 0 if it does not get smaller. */
static size_t pack(struct wr_block_writer *w, const struct wr_block *b)
{
	uint8_t *to;
	size_t n;

	if (w->plain || b->len < PACK_MIN)
		return 0;
	if (!w->zstd) {
		w->zstd = ZSTD_createCCtx();
		if (!w->zstd)
			return 0;
		wr_mem_charge(&mem, (int64_t)ZSTD_sizeof_CCtx(w->zstd));
	}
	w->packed.len = 0;
	to = wr_bytes_room(&w->packed, padded(b->len));
	if (!to)
		return 0;
	wr_mem_charge(&mem, -(int64_t)ZSTD_sizeof_CCtx(w->zstd));
	n = ZSTD_compressCCtx(w->zstd, to, b->len, b->payload, b->len, PACK_LEVEL);
	wr_mem_charge(&mem, (int64_t)ZSTD_sizeof_CCtx(w->zstd));
	return ZSTD_isError(n) || n >= b->len ? 0 : n;
}

static int put_packed(struct wr_block_writer *w, struct header *h)
{
	size_t len = padded(h->len);
	int rc;

	memset(w->packed.data + h->len, 0, len - h->len);
	h->sum = checksum(h, w->packed.data);
	rc = append(w, h, sizeof *h);
	return rc == WR_OK ? append(w, w->packed.data, len) : rc;
}

int wr_block_put(struct wr_block_writer *w, const struct wr_block *b)
{
	struct header h = {.magic = BLOCK_MAGIC,
			   .version = WR_BLOCK_VERSION,
			   .kind = (uint8_t)b->kind,
			   .codec = ZSTD,
			   .stage = b->stage,
			   .group = b->group,
			   .plain_len = b->len};

	if (b->len > WR_BLOCK_MAX)
		return wr_error_set(WR_EUSER,
				    "a value of %" PRIu32
				    " bytes is too large for a checkpoint, which takes %d: "
				    "keep it in several",
				    b->len, WR_BLOCK_MAX);
	h.len = (uint32_t)pack(w, b);
	if (w->packed.failed)
		return wr_bytes_status(&w->packed);
	w->count++;
	return h.len ? put_packed(w, &h) : put_plain(w, &h, b);
}

int wr_block_finish(struct wr_block_writer *w)
{
	uint64_t count = w->count;
	struct wr_block end = {WR_BLOCK_END, 0, 0, (const uint8_t *)&count, sizeof count};

	return wr_block_put(w, &end);
}

int wr_block_commit(struct wr_block_writer *w, int rc, uint64_t *bytes)
{
	struct wr_blob *blob = w->blob;

	if (rc == WR_OK)
		rc = wr_block_finish(w);
	wr_block_writer_deinit(w);
	if (bytes)
		*bytes = blob->bytes;
	if (rc == WR_OK)
		return blob->ops->commit(blob);
	blob->ops->discard(blob);
	return rc;
}

/* ---- reading ---- */

void wr_block_reader_init(struct wr_block_reader *r, const void *data, size_t len)
{
	*r = (struct wr_block_reader){.in = wr_reader_of(data, len), .plain = WR_BYTES_EMPTY};
}

void wr_block_reader_deinit(struct wr_block_reader *r)
{
	wr_bytes_deinit(&r->plain);
}

/* A block of a later version: what is damaged is told from what is newer by the checksum, whose place stays.
 */
static int verify_newer(const struct header *h, const uint8_t *payload, size_t left)
{
	if (h->len > WR_BLOCK_MAX || padded(h->len) > left || h->sum != checksum(h, payload))
		return wr_error_set(WR_EUSER, "the header of a block contradicts itself");
	return wr_error_set(
	    WR_EFATAL, "it was written by a newer program: a block of version %u, this one reads up to %d",
	    h->version, WR_BLOCK_VERSION);
}

static int verify_header(const struct header *h, const uint8_t *payload, size_t left)
{
	if (h->magic != BLOCK_MAGIC)
		return wr_error_set(WR_EUSER, "a block does not begin with \"WLBK\"");
	if (h->version > WR_BLOCK_VERSION)
		return verify_newer(h, payload, left);
	if (!h->version || !h->kind || h->kind >= WR_BLOCK_KINDS || h->codec >= CODECS || h->zero ||
	    h->plain_len > WR_BLOCK_MAX || h->len > h->plain_len ||
	    (h->codec == PLAIN && h->len != h->plain_len))
		return wr_error_set(WR_EUSER, "the header of a block contradicts itself");
	if (padded(h->len) > left)
		return wr_error_set(WR_EUSER, "a block was cut off: %zu bytes of %" PRIu32, left, h->len);
	return WR_OK;
}

static int check_end(struct wr_block_reader *r, const struct wr_block *b)
{
	uint64_t count = 0;

	if (b->len == sizeof count)
		memcpy(&count, b->payload, sizeof count);
	if (b->len != sizeof count || count != r->count)
		return wr_error_set(WR_EUSER, "%" PRIu64 " blocks, but the end counts %" PRIu64, r->count,
				    count);
	if (r->in.p != r->in.end)
		return wr_error_set(WR_EUSER, "there are bytes behind the end");
	return WR_END;
}

int wr_block_peek(struct wr_block_reader *r, struct wr_block *out)
{
	const uint8_t *p = wr_read_bytes(&r->in, sizeof(struct header));
	struct header h;
	int rc;

	if (!p)
		return wr_error_set(WR_EUSER, "the end is missing: the blob was cut off");
	memcpy(&h, p, sizeof h);
	rc = verify_header(&h, r->in.p, (size_t)(r->in.end - r->in.p));
	if (rc != WR_OK)
		return rc;
	*out = (struct wr_block){(enum wr_block_kind)h.kind, h.stage, h.group, p, h.plain_len};
	wr_read_bytes(&r->in, padded(h.len));
	if (h.kind != WR_BLOCK_END) {
		r->count++;
		return WR_OK;
	}
	rc = wr_block_load(r, out);
	return rc == WR_OK ? check_end(r, out) : rc;
}

/* Of a block whose payload begins with its header. */
static int check_sum(const struct wr_block *b)
{
	struct header h;

	memcpy(&h, b->payload, sizeof h);
	if (h.sum == checksum(&h, b->payload + sizeof h))
		return WR_OK;
	return wr_error_set(WR_EUSER, "a block is damaged: its checksum is wrong");
}

int wr_block_check(struct wr_block_reader *r)
{
	struct wr_block block;
	int rc = wr_block_peek(r, &block);

	return rc == WR_OK ? check_sum(&block) : rc;
}

int wr_block_verify(const void *data, size_t len, const char *id)
{
	struct wr_block_reader r;
	int rc;

	wr_block_reader_init(&r, data, len);
	while ((rc = wr_block_check(&r)) == WR_OK)
		;
	wr_block_reader_deinit(&r);
	return rc == WR_END ? WR_OK : wr_error_wrap(rc, "%s", id);
}

int wr_block_load(struct wr_block_reader *r, struct wr_block *b)
{
	struct header h;
	uint8_t *to;
	size_t n;
	int rc;

	rc = check_sum(b);
	if (rc != WR_OK)
		return rc;
	memcpy(&h, b->payload, sizeof h);
	b->payload += sizeof h;
	if (h.codec == PLAIN)
		return WR_OK;
	r->plain.len = 0;
	to = wr_bytes_room(&r->plain, h.plain_len);
	if (!to)
		return wr_bytes_status(&r->plain);
	n = ZSTD_decompress(to, h.plain_len, b->payload, h.len);
	if (ZSTD_isError(n) || n != h.plain_len)
		return wr_error_set(WR_EUSER, "a block cannot be unpacked: %s",
				    ZSTD_isError(n) ? ZSTD_getErrorName(n) : "its length is another one");
	b->payload = to;
	return WR_OK;
}

int wr_block_next(struct wr_block_reader *r, struct wr_block *out)
{
	int rc = wr_block_peek(r, out);

	return rc == WR_OK ? wr_block_load(r, out) : rc;
}

int wr_block_each(struct wr_blobs *blobs, const char *id,
		  int (*each)(void *arg, struct wr_block_reader *r, struct wr_block *block), void *arg)
{
	struct wr_block_reader r;
	struct wr_blob_view view;
	struct wr_block block;
	int rc = blobs->ops->open(blobs, id, &view);

	if (rc != WR_OK)
		return rc == WR_END ? wr_error_set(WR_EUSER, "%s is missing", id) : rc;
	wr_block_reader_init(&r, view.data, view.len);
	while (rc == WR_OK) {
		rc = wr_block_peek(&r, &block);
		if (rc == WR_OK)
			rc = each(arg, &r, &block);
	}
	wr_block_reader_deinit(&r);
	blobs->ops->close(blobs, &view);
	return rc == WR_END ? WR_OK : wr_error_wrap(rc, "%s", id);
}
