/* SPDX-License-Identifier: Apache-2.0 */
/* binary: numbers as Avro writes them. */
#pragma once
#include "base/bytes.h"
#include "base/error.h"

/* Variable length, the sign in the lowest bit. */
static inline void wr_avro_put_long(struct wr_bytes *out, int64_t v)
{
	wr_bytes_put_varint(out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

/* WR_OK; WR_END: the bytes end before the number does; WR_EUSER: it has more than 64 bits. */
static inline int wr_avro_get_long(struct wr_reader *r, int64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (r->p == r->end)
			return WR_END;
		byte = *r->p++;
		if (shift == 63 && byte > 1)
			return WR_EUSER;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = (int64_t)(v >> 1 ^ (0 - (v & 1)));
			return WR_OK;
		}
	}
	return WR_EUSER;
}

static inline void wr_avro_put_float(struct wr_bytes *out, double v)
{
	float f = (float)v;
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	wr_bytes_put_u32(out, bits);
}

static inline void wr_avro_put_double(struct wr_bytes *out, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	wr_bytes_put_u64(out, bits);
}
