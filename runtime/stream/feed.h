/* SPDX-License-Identifier: Apache-2.0 */
/* feed: a stream of bytes, whatever it comes from: a file, packed or not, a pipe, a socket.
 * One thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_feed;
struct wr_feed_ops {
	/* Up to `room` bytes. WR_OK with *got > 0, WR_AGAIN: none now (the stage is woken when there are),
	 * WR_END, or WR_EUSER: the stream is damaged here. Does not block, but for the disk. */
	int (*read)(struct wr_feed *f, uint8_t *to, size_t room, size_t *got);
	void (*free)(struct wr_feed *f);
};
struct wr_feed {
	const struct wr_feed_ops *ops;
};

/* A regular file from byte `from` on; `unpack`: gzip and zstd are unpacked if their magic bytes stand
 * there. NULL with the error set: WR_EUSER if it cannot be read, or ends before `from`. */
struct wr_feed *wr_file_feed_open(const char *path, uint64_t from, bool unpack);
/* How it is packed, as of wr_feed_packing; NULL for what is no regular file, or cannot be read, too. */
const char *wr_file_packing(const char *path);
/* The same over an open file, which is taken, at its current position. */
struct wr_feed *wr_file_feed_new(int fd, bool unpack);
/* What the first four bytes of a file say: "gzip", "zstd", or NULL: it is not packed. */
const char *wr_feed_packing(const uint8_t magic[4]);
/* What the bytes of `from`, which is taken, unpack to. NULL with the error set. */
struct wr_feed *wr_packed_feed_new(struct wr_feed *from, const uint8_t magic[4]);

static inline void wr_feed_free(struct wr_feed *f)
{
	if (f)
		f->ops->free(f);
}
