/* SPDX-License-Identifier: Apache-2.0 */
/* frame: writing frames, and finding them again in any split of their bytes; see frame.h. */
#define XXH_INLINE_ALL
#include <inttypes.h>
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/frame.h"

enum { FRAME_MAGIC = 0x52494557 /* "WEIR" */, FRAME_SUMMED = 16 /* header bytes under the checksum */ };

struct header {
	uint32_t magic;
	uint8_t version, type;
	uint16_t flags;
	uint32_t channel;
	uint32_t len;
	uint64_t sum;
};
_Static_assert(sizeof(struct header) == WR_FRAME_HEADER, "the header is written as it lies");
_Static_assert(WR_FRAME_HEADER % 8 == 0, "payloads are 8-aligned");

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

static uint64_t checksum(const struct header *h, const uint8_t *payload)
{
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, h, FRAME_SUMMED);
	XXH3_64bits_update(&state, payload, h->len);
	return XXH3_64bits_digest(&state);
}

void wr_frame_put(struct wr_bytes *out, uint8_t type, uint32_t channel, const void *payload, uint32_t len)
{
	struct header h = {
	    .magic = FRAME_MAGIC, .version = WR_FRAME_VERSION, .type = type, .channel = channel, .len = len};
	uint8_t *to;

	WR_ASSERT(len <= WR_FRAME_MAX);
	to = wr_bytes_room(out, sizeof h + padded(len));
	if (!to)
		return;
	h.sum = checksum(&h, payload);
	memcpy(to, &h, sizeof h);
	if (len > 0)
		memcpy(to + sizeof h, payload, len);
	memset(to + sizeof h + len, 0, padded(len) - len);
	out->len += sizeof h + padded(len);
}

void wr_deframer_init(struct wr_deframer *d)
{
	*d = (struct wr_deframer){.pending = WR_BYTES_EMPTY};
}

void wr_deframer_deinit(struct wr_deframer *d)
{
	wr_bytes_deinit(&d->pending);
	d->taken = 0;
}

/* What is left moves to the front only when it is less than what was taken: each byte moves once at most
 * a time that another one is fed. */
void wr_deframer_feed(struct wr_deframer *d, const void *p, size_t len)
{
	size_t left = d->pending.len - d->taken;

	if (d->taken > 0 && left <= d->taken) {
		memmove(d->pending.data, d->pending.data + d->taken, left);
		d->pending.len = left;
		d->taken = 0;
	}
	wr_bytes_put(&d->pending, p, len);
}

static int verify_header(const struct header *h)
{
	if (h->magic != FRAME_MAGIC)
		return wr_error_set(WR_EUSER, "a frame does not start with \"WEIR\"");
	if (h->version != WR_FRAME_VERSION)
		return wr_error_set(WR_EUSER, "a frame of version %u; this is version %d", h->version,
				    WR_FRAME_VERSION);
	if (h->type < WR_FRAME_DATA || h->type > WR_FRAME_LETTER || h->flags != 0)
		return wr_error_set(WR_EUSER,
				    "a frame of type %u with flags %u, which this version does not know",
				    h->type, h->flags);
	if (h->len > WR_FRAME_MAX)
		return wr_error_set(WR_EUSER, "a frame of %" PRIu32 " bytes; the limit is %d", h->len,
				    WR_FRAME_MAX);
	return WR_OK;
}

static int verify_payload(const struct header *h, const uint8_t *payload)
{
	if (h->sum != checksum(h, payload))
		return wr_error_set(WR_EUSER, "a frame was damaged on its way: its checksum is wrong");
	for (size_t i = h->len; i < padded(h->len); i++)
		if (payload[i] != 0)
			return wr_error_set(WR_EUSER,
					    "a frame was damaged on its way: its padding is not zero");
	return WR_OK;
}

int wr_deframer_next(struct wr_deframer *d, struct wr_frame *out)
{
	const uint8_t *p = d->pending.data + d->taken;
	size_t left = d->pending.len - d->taken;
	struct header h;
	int rc;

	if (d->pending.failed)
		return WR_EFATAL;
	if (left < sizeof h)
		return WR_AGAIN;
	memcpy(&h, p, sizeof h);
	rc = verify_header(&h);
	if (rc != WR_OK)
		return rc;
	if (left < sizeof h + padded(h.len))
		return WR_AGAIN;
	rc = verify_payload(&h, p + sizeof h);
	if (rc != WR_OK)
		return rc;
	*out = (struct wr_frame){h.type, h.flags, h.channel, p + sizeof h, h.len};
	d->taken += sizeof h + padded(h.len);
	return WR_OK;
}
