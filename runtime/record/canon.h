/* SPDX-License-Identifier: Apache-2.0 */
/* canon: the canonical bytes of one part of a key, written in place; see key.h.
 *
 * Of a string only tag and length are written here: its bytes are copied once, by the
 * caller, to where they stay.
 */
#pragma once
#include <math.h>
#include "record/row.h"

enum { WR_CANON_HEAD_MAX = 11 /* tag, varint of 64 bits */ };

static inline uint8_t *wr_canon_u64_raw(uint8_t *to, char tag, uint64_t bits)
{
	to[0] = (uint8_t)tag;
	memcpy(to + 1, &bits, 8);
	return to + 9;
}
/* `v` is not NaN. */
static inline uint8_t *wr_canon_f64(uint8_t *to, double v)
{
	uint64_t bits;

	if (v >= -0x1p63 && v < 0x1p63 && (double)(int64_t)v == v)
		return wr_canon_u64_raw(to, 'i', (uint64_t)(int64_t)v);
	if (v >= 0x1p63 && v < 0x1p64)
		return wr_canon_u64_raw(to, 'u', (uint64_t)v);
	memcpy(&bits, &v, 8);
	return wr_canon_u64_raw(to, 'd', bits);
}
static inline uint8_t *wr_canon_str(uint8_t *to, uint32_t len)
{
	*to++ = 's';
	for (; len >= 0x80; len >>= 7)
		*to++ = (uint8_t)(len | 0x80);
	*to++ = (uint8_t)len;
	return to;
}

/* Any cell: writes at most WR_CANON_HEAD_MAX bytes to *to and moves it behind them; *str is what must follow.
 * NULL, or why the cell is no key: "is missing", "is NaN", … */
const char *wr_canon_cell(uint8_t **to, const struct wr_cell *cell, struct wr_str *str);
