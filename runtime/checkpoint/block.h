/* SPDX-License-Identifier: Apache-2.0 */
/* block: the unit in which a blob is written, checked and read: a kind, the stage and the key group that its
 * payload concerns, a checksum over all of it, packed with zstd where that helps. FORMAT.md has the bytes.
 *
 * A blob is a sequence of blocks and ends with WR_BLOCK_END, so that one that was cut off is noticed
 * wherever the cut is. One thread.
 */
#pragma once
#include "base/bytes.h"
#include "checkpoint/blobs.h"

enum { WR_BLOCK_VERSION = 2, WR_BLOCK_HEADER = 32, WR_BLOCK_MAX = 256 << 20 };

/* Part of the format: never renumbered. */
enum wr_block_kind {
	WR_BLOCK_TASK = 1,     /* what the task was; first in a blob of a subtask */
	WR_BLOCK_OPERATOR = 2, /* a stage's own state: one tagged value */
	WR_BLOCK_SHAPES = 3,   /* shapes of the values that follow (record/dict.h) */
	WR_BLOCK_VALUES = 4,   /* keyed state of a key group */
	WR_BLOCK_TIMERS = 5,   /* timers of a key group */
	WR_BLOCK_MANIFEST = 6, /* the whole of a manifest */
	WR_BLOCK_END = 7,      /* nothing follows; the payload is the number of blocks before, a u64 */
	WR_BLOCK_INDEX = 8,    /* of a savepoint: where its blobs are */
	WR_BLOCK_ROWS = 9,     /* rows as they lie in buffers (record/FORMAT.md, Element) */
	WR_BLOCK_NAMES = 10,   /* ids of further blobs that this one needs, each with a NUL behind it */
	WR_BLOCK_BASES = 11, /* likewise: blobs of the same subtask whose keyed state goes on, newest first */
	WR_BLOCK_CHANGED = 12,	 /* entries of a stage of which older blobs are out of date */
	WR_BLOCK_BYTES = 13,	 /* of a log of a source, as they are */
	WR_BLOCK_IN_FLIGHT = 14, /* rows and watermarks that a barrier overtook in a channel */
	WR_BLOCK_KINDS,
};

struct wr_block {
	enum wr_block_kind kind;
	uint32_t stage, group;
	const uint8_t *payload; /* borrowed until the next call */
	uint32_t len;
};

/* Appends blocks to a blob. */
struct wr_block_writer {
	struct wr_blob *blob;
	struct wr_bytes packed;
	uint64_t count;
	bool plain; /* nothing is packed: for what is read back at once, and removed */
	void *zstd; /* compressor, made at the first use */
};
void wr_block_writer_init(struct wr_block_writer *w, struct wr_blob *blob);
void wr_block_writer_deinit(struct wr_block_writer *w);
/* WR_OK, WR_EUSER: it has more than WR_BLOCK_MAX bytes, the blob's error, or WR_EFATAL without memory. */
int wr_block_put(struct wr_block_writer *w, const struct wr_block *block);
/* WR_BLOCK_END. */
int wr_block_finish(struct wr_block_writer *w);
/* The end of a writer and of its blob: where `rc` is WR_OK, WR_BLOCK_END, and the blob is committed; else, or
 * when that fails, it is discarded. *bytes, unless NULL: of the blob. `rc`, or the error of these. */
int wr_block_commit(struct wr_block_writer *w, int rc, uint64_t *bytes);

/* Reads blocks in their order. */
struct wr_block_reader {
	struct wr_reader in;
	struct wr_bytes plain;
	uint64_t count;
};
void wr_block_reader_init(struct wr_block_reader *r, const void *data, size_t len);
void wr_block_reader_deinit(struct wr_block_reader *r);
/* WR_OK with *out, WR_END behind the last block, or WR_EUSER: these bytes were not written so. */
int wr_block_next(struct wr_block_reader *r, struct wr_block *out);
/* As wr_block_next, but unpacks nothing and checks no sum: kind, stage and group only; the payload is what
 * wr_block_load makes of it. For passing over what concerns others. */
int wr_block_peek(struct wr_block_reader *r, struct wr_block *out);
/* Passes over a block and checks its sum; WR_END behind the last. */
int wr_block_check(struct wr_block_reader *r);
/* The payload of the block just peeked at. */
int wr_block_load(struct wr_block_reader *r, struct wr_block *block);

/* Is each block as it was written, up to WR_BLOCK_END? WR_OK or WR_EUSER, whose text begins with `id`. */
int wr_block_verify(const void *data, size_t len, const char *id);

/* Calls `each` with the blocks of a blob, as wr_block_peek gives them, until it gives no WR_OK: WR_END is a
 * good end, too. WR_EUSER: there is no such blob, or its bytes were not written so. The text of an error
 * begins with `id`. */
int wr_block_each(struct wr_blobs *blobs, const char *id,
		  int (*each)(void *arg, struct wr_block_reader *r, struct wr_block *block), void *arg);
