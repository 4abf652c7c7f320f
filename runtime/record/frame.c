/* SPDX-License-Identifier: Apache-2.0 */
/* frame: length and checksum around bytes that leave the process. */
#include "record/frame.h"

#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"

static uint64_t checksum(const uint8_t *header, const uint8_t *payload, uint32_t len)
{
	XXH3_state_t s;

	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, header, 16);
	XXH3_64bits_update(&s, payload, len);
	return XXH3_64bits_digest(&s);
}

void wr_frame_put(struct wr_bytes *out, uint8_t type, uint32_t channel, const void *payload, uint32_t len)
{
	uint8_t *h = wr_bytes_room(out, WR_FRAME_HEADER + (size_t)len);
	uint64_t sum;

	WR_ASSERT(len <= WR_FRAME_MAX);
	if (!h)
		return;
	memcpy(h, "WEIR", 4);
	h[4] = WR_FRAME_VERSION;
	h[5] = type;
	h[6] = h[7] = 0;
	memcpy(h + 8, &channel, 4);
	memcpy(h + 12, &len, 4);
	if (len)
		memcpy(h + WR_FRAME_HEADER, payload, len);
	sum = checksum(h, h + WR_FRAME_HEADER, len);
	memcpy(h + 16, &sum, 8);
	out->len += WR_FRAME_HEADER + (size_t)len;
}

void wr_deframer_init(struct wr_deframer *d)
{
	memset(d, 0, sizeof *d);
}

void wr_deframer_deinit(struct wr_deframer *d)
{
	wr_bytes_deinit(&d->pending);
}

void wr_deframer_feed(struct wr_deframer *d, const void *p, size_t len)
{
	if (d->taken) {
		d->pending.len -= d->taken;
		memmove(d->pending.data, d->pending.data + d->taken, d->pending.len);
		d->taken = 0;
	}
	wr_bytes_put(&d->pending, p, len);
}

int wr_deframer_next(struct wr_deframer *d, struct wr_frame *out)
{
	const uint8_t *h = d->pending.data + d->taken;
	size_t left = d->pending.len - d->taken;
	uint64_t sum;

	if (d->pending.failed)
		return wr_error_nomem(0, "a frame");
	if (left < WR_FRAME_HEADER)
		return WR_AGAIN;
	if (memcmp(h, "WEIR", 4))
		return wr_error_set(WR_EUSER, "not a frame of Weir");
	if (h[4] != WR_FRAME_VERSION)
		return wr_error_set(WR_EUSER, "frame version %u; this program speaks %u", h[4], WR_FRAME_VERSION);
	memcpy(&out->channel, h + 8, 4);
	memcpy(&out->len, h + 12, 4);
	memcpy(&sum, h + 16, 8);
	if (out->len > WR_FRAME_MAX)
		return wr_error_set(WR_EUSER, "frame of %u bytes; the limit is %d", out->len, WR_FRAME_MAX);
	if (left - WR_FRAME_HEADER < out->len)
		return WR_AGAIN;
	if (checksum(h, h + WR_FRAME_HEADER, out->len) != sum)
		return wr_error_set(WR_EUSER, "frame with a wrong checksum");
	out->type = h[5];
	out->flags = (uint16_t)(h[6] | h[7] << 8);
	out->payload = h + WR_FRAME_HEADER;
	d->taken += WR_FRAME_HEADER + (size_t)out->len;
	return WR_OK;
}
