/* SPDX-License-Identifier: Apache-2.0 */
/* random: SplittableRandom, the source of chance of the public suite. Its state only counts up, so
 * draw k of a seed can be made without the draws before it: that is what makes every event of the
 * stream reachable by its number. No allocation, no dependency: the benchmark's references include it. */
#pragma once
#include <stdint.h>

#define WR_NEXMARK_GAMMA UINT64_C(0x9e3779b97f4a7c15)

struct wr_random {
	uint64_t s; /* the seed, and one gamma for each draw */
};

static inline uint32_t wr_random_mix32(uint64_t z)
{
	z = (z ^ z >> 33) * UINT64_C(0x62a9d9ed799705f5);
	return (uint32_t)((z ^ z >> 28) * UINT64_C(0xcb24d0a5c88c35b3) >> 32);
}

static inline uint64_t wr_random_mix64(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t wr_random_u32(struct wr_random *r)
{
	return wr_random_mix32(r->s += WR_NEXMARK_GAMMA);
}

/* In [0, 1), a multiple of 2^-53. */
static inline double wr_random_double(struct wr_random *r)
{
	return (double)(wr_random_mix64(r->s += WR_NEXMARK_GAMMA) >> 11) * 0x1p-53;
}

/* True if the 31 bits `u`, whose remainder is `rest`, lie in the last, incomplete multiple of `bound`. */
static inline int wr_random_refused(uint32_t u, uint32_t bound, uint32_t rest)
{
	return u - rest > UINT32_C(0x7fffffff) - (bound - 1);
}

/* In [0, bound), bound from 1 to 2^31 - 1. */
static inline uint32_t wr_random_below(struct wr_random *r, uint32_t bound)
{
	uint32_t v = wr_random_u32(r), rest;

	if ((bound & (bound - 1)) == 0)
		return v & (bound - 1);
	for (v >>= 1; rest = v % bound, wr_random_refused(v, bound, rest);)
		v = wr_random_u32(r) >> 1;
	return rest;
}
