/* SPDX-License-Identifier: Apache-2.0 */
/* text: the two kinds of random strings of the stream. */
#pragma once
#include "nexmark/random.h"

/* Words of 'a' to 'z' separated by `space`, of 3 to max - 1 characters, spaces at both ends cut off (a
 * separator that is no space stays). `to` has room for max - 1. Moves *to to the first character that
 * stays; returns their number. */
static inline uint32_t wr_nexmark_words(struct wr_random *r, uint32_t max, char space, char **to)
{
	uint32_t len = 3 + wr_random_below(r, max - 3);
	char *p = *to;

	for (uint32_t i = 0; i < len; i++)
		p[i] = wr_random_below(r, 13) == 0 ? space : (char)('a' + wr_random_below(r, 26));
	while (len > 0 && p[len - 1] <= ' ')
		len--;
	while (len > 0 && *p <= ' ')
		p++, len--;
	*to = p;
	return len;
}

/* `len` characters, 'H' to 'z': six of each draw, whose remainders keep its sign. */
static inline void wr_nexmark_letters(struct wr_random *r, char *to, uint32_t len)
{
	int32_t v = 0;

	for (uint32_t i = 0; i < len; i++, v /= 26) {
		if (i % 6 == 0)
			v = (int32_t)wr_random_u32(r);
		to[i] = (char)('a' + v % 26);
	}
}
