/* SPDX-License-Identifier: Apache-2.0 */
/* decimal: between two's complement and text; see decimal.h. Numbers are magnitudes of 32-bit limbs, the
 * lowest first. */
#include "avro/decimal.h"

#include "base/error.h"

enum { LIMBS = WR_DECIMAL_BYTES_MAX / 4 + 1, BILLION = 1000000000, DIGITS_MAX = LIMBS * 10 };

struct magnitude {
	uint32_t limbs[LIMBS];
	uint32_t count; /* without leading zeros */
};

static void add_and_scale(struct magnitude *m, uint32_t factor, uint32_t add)
{
	uint64_t carry = add;

	for (uint32_t i = 0; i < m->count; i++) {
		carry += (uint64_t)m->limbs[i] * factor;
		m->limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry)
		m->limbs[m->count++] = (uint32_t)carry;
}

static uint32_t divide_by_billion(struct magnitude *m)
{
	uint64_t rest = 0;

	for (uint32_t i = m->count; i > 0; i--) {
		rest = rest << 32 | m->limbs[i - 1];
		m->limbs[i - 1] = (uint32_t)(rest / BILLION);
		rest %= BILLION;
	}
	while (m->count && !m->limbs[m->count - 1])
		m->count--;
	return (uint32_t)rest;
}

/* Magnitude of two's complement; tells whether it is below zero. */
static bool magnitude_of(const uint8_t *p, size_t len, struct magnitude *m)
{
	bool negative = len && p[0] & 0x80;
	uint32_t carry = negative;

	*m = (struct magnitude){.count = (uint32_t)(len + 3) / 4};
	for (size_t i = 0; i < len; i++) {
		uint32_t byte = p[len - 1 - i];

		if (negative) {
			byte = (byte ^ 0xff) + carry;
			carry = byte >> 8;
			byte &= 0xff;
		}
		m->limbs[i / 4] |= byte << (i % 4 * 8);
	}
	while (m->count && !m->limbs[m->count - 1])
		m->count--;
	return negative;
}

int wr_decimal_text(const uint8_t *p, size_t len, uint32_t scale, struct wr_bytes *out)
{
	char digits[DIGITS_MAX], *end = digits + sizeof digits, *at = end;
	struct magnitude m;
	bool negative;
	uint32_t count;

	if (len > WR_DECIMAL_BYTES_MAX)
		return wr_error_set(WR_EUSER, "a decimal of %zu bytes, more than %d", len,
				    WR_DECIMAL_BYTES_MAX);
	negative = magnitude_of(p, len, &m);
	while (m.count) {
		uint32_t nine = divide_by_billion(&m);

		for (int i = 0; i < 9; i++, nine /= 10)
			*--at = (char)('0' + nine % 10);
	}
	while (at < end && *at == '0')
		at++;
	count = (uint32_t)(end - at);
	if (negative)
		wr_bytes_put_u8(out, '-');
	if (count <= scale)
		wr_bytes_put_u8(out, '0');
	else
		wr_bytes_put(out, at, count - scale);
	if (!scale)
		return WR_OK;
	wr_bytes_put_u8(out, '.');
	for (uint32_t i = count; i < scale; i++)
		wr_bytes_put_u8(out, '0');
	count = count < scale ? count : scale;
	wr_bytes_put(out, end - count, count);
	return WR_OK;
}

static int no_decimal(const char *text, size_t len, const char *why)
{
	return wr_error_set(WR_EUSER, "'%.*s' is no decimal%s", (int)(len < 60 ? len : 60), text, why);
}

/* Reads digits into the magnitude; *behind: of them, behind the point. False: the text is none. */
static bool read_digits(const char *text, size_t len, struct magnitude *m, uint32_t *digits, uint32_t *behind)
{
	bool point = false, any = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (text[i] < '0' || text[i] > '9')
			return false;
		any = true;
		*behind += point;
		*digits += *digits || text[i] != '0';
		if (m->count < LIMBS)
			add_and_scale(m, 10, (uint32_t)(text[i] - '0'));
	}
	return any;
}

/* Two's complement of the magnitude, sign extended to `size` bytes. */
static void put_bytes(const struct magnitude *m, bool negative, uint32_t size, struct wr_bytes *out)
{
	uint8_t *to = wr_bytes_room(out, size);
	uint32_t carry = 1;

	if (!to)
		return;
	for (uint32_t i = 0; i < size; i++) {
		uint32_t byte = i / 4 < m->count ? m->limbs[i / 4] >> (i % 4 * 8) & 0xff : 0;

		if (negative) {
			byte = (byte ^ 0xff) + carry;
			carry = byte >> 8;
		}
		to[size - 1 - i] = (uint8_t)byte;
	}
	out->len += size;
}

/* Bytes that hold it with its sign. */
static uint32_t size_of(const struct magnitude *m, bool negative)
{
	uint32_t bits = 0;
	bool power = true; /* of two: as a negative number it takes a bit less */

	if (!m->count)
		return 1;
	for (uint32_t top = m->limbs[m->count - 1]; top; top >>= 1)
		bits++;
	bits += (m->count - 1) * 32;
	for (uint32_t i = 0; i + 1 < m->count; i++)
		power = power && !m->limbs[i];
	power = power && !(m->limbs[m->count - 1] & (m->limbs[m->count - 1] - 1));
	return (bits - (negative && power)) / 8 + 1;
}

int wr_decimal_bytes(const char *text, size_t len, uint32_t precision, uint32_t scale, uint32_t size,
		     struct wr_bytes *out)
{
	bool negative = len && text[0] == '-';
	struct magnitude m = {.count = 0};
	uint32_t digits = 0, behind = 0;

	while (memchr(text, '.', len) && len && text[len - 1] == '0')
		len--;
	if (!read_digits(text + negative, len - negative, &m, &digits, &behind))
		return no_decimal(text, len, ": digits with a point");
	if (behind > scale)
		return no_decimal(text, len, " of the schema: it has more digits behind the point");
	if ((m.count ? digits + (scale - behind) : 0) > precision)
		return no_decimal(text, len, " of the schema: it has more digits");
	for (; behind < scale; behind++)
		add_and_scale(&m, 10, 0);
	negative = negative && m.count;
	if (size && size < size_of(&m, negative))
		return no_decimal(text, len, " of the schema: it takes more bytes");
	put_bytes(&m, negative, size ? size : size_of(&m, negative), out);
	return WR_OK;
}
