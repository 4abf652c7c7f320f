/* SPDX-License-Identifier: Apache-2.0 */
/* decimal: the logical type: a number of two's complement, the highest byte first, in units of 10^-scale; and
 * as text, "-12.30". Pure. */
#pragma once
#include "base/bytes.h"

enum { WR_DECIMAL_BYTES_MAX = 420 }; /* 1000 digits and more */

/* Appends the text. WR_EUSER with the error set: the number has more than WR_DECIMAL_BYTES_MAX bytes. */
int wr_decimal_text(const uint8_t *p, size_t len, uint32_t scale, struct wr_bytes *out);
/* Appends the bytes of a text "[-]digits[.digits]": as few as hold it, or `size` if that is not 0. WR_EUSER
 * with the error set: it is none, has more digits than `precision`, or more than `scale` of them behind the
 * point. */
int wr_decimal_bytes(const char *text, size_t len, uint32_t precision, uint32_t scale, uint32_t size,
		     struct wr_bytes *out);
