/* SPDX-License-Identifier: Apache-2.0 */
/* frame_fuzz: the first byte says how the rest is cut into pieces. Any cut must give the same frames as the
 * bytes in one piece, and each frame must be written again as the bytes it was read from. The checksum is
 * put right first (second byte odd), or the fuzzer would never get behind it.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/frame.h"

enum { PREFIX = 2 };

static void mend_checksums(uint8_t *p, size_t len)
{
	size_t at = 0;

	while (len - at >= WR_FRAME_HEADER) {
		XXH3_state_t state;
		uint32_t size;
		uint64_t sum;

		memcpy(&size, p + at + 12, 4);
		if (size > len - at - WR_FRAME_HEADER)
			return;
		XXH3_64bits_reset(&state);
		XXH3_64bits_update(&state, p + at, 16);
		XXH3_64bits_update(&state, p + at + WR_FRAME_HEADER, size);
		sum = XXH3_64bits_digest(&state);
		memcpy(p + at + 16, &sum, 8);
		at += WR_FRAME_HEADER + (((size_t)size + 7) & ~(size_t)7);
		if (at > len)
			return;
	}
}

/* Appends to `out` all frames of the bytes, fed in pieces of `piece`; the answer behind the last. */
static int deframe(const uint8_t *p, size_t len, size_t piece, struct wr_bytes *out)
{
	struct wr_deframer d;
	struct wr_frame f;
	int rc = WR_AGAIN;

	wr_deframer_init(&d);
	for (size_t at = 0; at < len && rc == WR_AGAIN; at += piece) {
		wr_deframer_feed(&d, p + at, piece < len - at ? piece : len - at);
		while ((rc = wr_deframer_next(&d, &f)) == WR_OK) {
			WR_ASSERT((uintptr_t)f.payload % 8 == 0);
			wr_frame_put(out, f.type, f.channel, f.payload, f.len);
		}
	}
	if (rc == WR_EUSER)
		WR_ASSERT(wr_deframer_next(&d, &f) == WR_EUSER);
	wr_deframer_deinit(&d);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_bytes stream = WR_BYTES_EMPTY, whole = WR_BYTES_EMPTY, cut = WR_BYTES_EMPTY;

	if (len <= PREFIX)
		return 0;
	wr_bytes_put(&stream, data + PREFIX, len - PREFIX);
	if (data[1] & 1)
		mend_checksums(stream.data, stream.len);
	WR_ASSERT(deframe(stream.data, stream.len, stream.len, &whole) ==
		  deframe(stream.data, stream.len, data[0] + 1u, &cut));
	WR_ASSERT(whole.len == cut.len && whole.len <= stream.len);
	WR_ASSERT(whole.len == 0 || (memcmp(whole.data, cut.data, whole.len) == 0 &&
				     memcmp(whole.data, stream.data, whole.len) == 0));
	wr_bytes_deinit(&stream);
	wr_bytes_deinit(&whole);
	wr_bytes_deinit(&cut);
	return 0;
}
