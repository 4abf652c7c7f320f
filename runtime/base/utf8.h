/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: what a character of UTF-8 is (RFC 3629: no surrogates, nothing overlong). */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins p[0 … len), of which there is at least one; 0: none begins there. */
static inline size_t wr_utf8_len(const uint8_t *p, size_t len)
{
	uint8_t least, most; /* of the second byte */
	size_t n;

	if (p[0] < 0x80)
		return 1;
	least = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
	most = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len || p[1] < least || p[1] > most)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}
