/* SPDX-License-Identifier: Apache-2.0 */
/* varint: LEB128 read strictly, so that one value has one byte string.
 *
 * Keys are compared and maps are sorted by their bytes; a length written with a needless
 * zero byte would make equal things different.
 */
#pragma once
#include "base/bytes.h"

static inline uint32_t wr_varint_len(uint64_t v)
{
	uint32_t len = 1;

	while (v >= 0x80) {
		v >>= 7;
		len++;
	}
	return len;
}
/* As wr_read_varint; a value that is not in its shortest form is bad. */
static inline uint64_t wr_read_varint_strict(struct wr_reader *r)
{
	const uint8_t *start = r->p;
	uint64_t v = wr_read_varint(r);

	if (!r->bad && (size_t)(r->p - start) != wr_varint_len(v))
		r->bad = true;
	return r->bad ? 0 : v;
}
