/* SPDX-License-Identifier: Apache-2.0 */
/* frame: elements and letters where they leave the process.
 *
 *   u32 magic "WEIR" · u8 version · u8 type · u16 flags · u32 channel · u32 length · u64 XXH3-64 of
 *   the 16 bytes before and the payload · payload · zeros up to a multiple of 8
 *
 * So a payload always lies 8-aligned in the decoder, and elements are read where they lie.
 * A decoder is fed any split of the bytes and gives whole, verified frames.
 */
#pragma once
#include "base/bytes.h"

enum { WR_FRAME_VERSION = 1, WR_FRAME_HEADER = 24, WR_FRAME_MAX = 64 << 20 };
enum wr_frame_type { WR_FRAME_DATA = 1, WR_FRAME_SHAPE = 2, WR_FRAME_LETTER = 3 };

struct wr_frame {
	uint8_t type;
	uint16_t flags;
	uint32_t channel;
	const uint8_t *payload; /* borrowed until the next call */
	uint32_t len;
};

/* Appends one frame; payload of at most WR_FRAME_MAX bytes. */
void wr_frame_put(struct wr_bytes *out, uint8_t type, uint32_t channel, const void *payload, uint32_t len);

struct wr_deframer {
	struct wr_bytes pending;
	size_t taken; /* bytes of pending that were handed out */
};
void wr_deframer_init(struct wr_deframer *d);
void wr_deframer_deinit(struct wr_deframer *d);
/* Copies the bytes; what was handed out before is no longer valid. */
void wr_deframer_feed(struct wr_deframer *d, const void *p, size_t len);
/* WR_OK with *out, WR_AGAIN when more bytes are needed, WR_EUSER for a bad frame (stays bad), WR_EFATAL
 * when the heap refused room for what was fed. */
int wr_deframer_next(struct wr_deframer *d, struct wr_frame *out);
