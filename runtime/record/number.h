/* SPDX-License-Identifier: Apache-2.0 */
/* number: the bits of a double as records hold them.
 *
 * LuaJIT keeps the type of a value in the bits of a NaN and does not look at a number that
 * it loads from memory: a row with a strange NaN would become a forged pointer. So only
 * the two plain ones (quiet, no payload, either sign: what arithmetic makes) are written
 * and let in from outside.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WR_NAN_BITS 0x7ff8000000000000ULL

static inline bool wr_number_ok(uint64_t bits)
{
	uint64_t magnitude = bits & INT64_MAX;

	return magnitude <= 0x7ff0000000000000ULL || magnitude == WR_NAN_BITS;
}
/* Is `d` a whole number that no rounding made? Then it can be added to integers exactly. */
static inline bool wr_number_whole(double d, int64_t *to)
{
	if (!(d >= -0x1p53 && d <= 0x1p53))
		return false;
	*to = (int64_t)d;
	return (double)*to == d;
}
/* Bits to write for the double with the bits `bits`. */
static inline uint64_t wr_number_bits(uint64_t bits)
{
	return wr_number_ok(bits) ? bits : WR_NAN_BITS;
}
