/* SPDX-License-Identifier: Apache-2.0 */
/* rand: seeded numbers (SplitMix64, Steele et al. 2014). Never seeded from the time. */
#pragma once
#include <stdint.h>

struct wr_rand {
	uint64_t s;
};
static inline uint64_t wr_rand_next(struct wr_rand *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}
/* Uniform in [0, n), n > 0 (Lemire's multiplication; the bias is below 2^-32 for n < 2^32). */
static inline uint32_t wr_rand_below(struct wr_rand *r, uint32_t n)
{
	return (uint32_t)(((wr_rand_next(r) >> 32) * n) >> 32);
}
