/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: a growable byte string and its reader. */
#include "base/bytes.h"

#include <stdio.h>
#include "base/error.h"
#include "base/utf8.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie in memory");
static struct wr_mem mem = WR_MEM_INIT("bytes");

void wr_bytes_deinit(struct wr_bytes *b)
{
	wr_free(&mem, b->data);
	memset(b, 0, sizeof *b);
}

uint8_t *wr_bytes_room(struct wr_bytes *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 64;
	uint8_t *p;

	if (b->failed)
		return NULL;
	if (b->cap - b->len >= more && b->data)
		return b->data + b->len;
	while (more <= SIZE_MAX / 4 && cap - b->len < more)
		cap *= 2;
	p = cap - b->len < more ? NULL : wr_realloc(&mem, b->data, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	return p + b->len;
}

void wr_bytes_put(struct wr_bytes *b, const void *p, size_t len)
{
	uint8_t *to = wr_bytes_room(b, len);

	if (!to || !len)
		return;
	memcpy(to, p, len);
	b->len += len;
}

void wr_bytes_put_u8(struct wr_bytes *b, uint8_t v)
{
	wr_bytes_put(b, &v, 1);
}

void wr_bytes_put_u32(struct wr_bytes *b, uint32_t v)
{
	wr_bytes_put(b, &v, 4);
}

void wr_bytes_put_u64(struct wr_bytes *b, uint64_t v)
{
	wr_bytes_put(b, &v, 8);
}

void wr_bytes_put_varint(struct wr_bytes *b, uint64_t v)
{
	uint8_t *to = wr_bytes_room(b, 10);
	size_t n = 0;

	if (!to)
		return;
	while (v >= 128) {
		to[n++] = (uint8_t)(v | 128);
		v >>= 7;
	}
	to[n++] = (uint8_t)v;
	b->len += n;
}

void wr_bytes_put_str(struct wr_bytes *b, const char *s, size_t len)
{
	wr_bytes_put_varint(b, len);
	wr_bytes_put(b, s, len);
}

void wr_bytes_printf(struct wr_bytes *b, const char *fmt, ...)
{
	va_list ap;
	int n;
	uint8_t *to;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = n < 0 ? NULL : wr_bytes_room(b, (size_t)n + 1);
	if (!to) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

size_t wr_json_char(const char *s, size_t len, char out[WR_JSON_CHAR], size_t *out_len)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	size_t n = wr_utf8_len((const uint8_t *)s, len);
	const char *at = *s ? strchr(from, *s) : NULL;

	if (at)
		*out_len = (size_t)snprintf(out, WR_JSON_CHAR, "\\%c", to[at - from]);
	else if ((uint8_t)*s < 0x20 || *s == 0x7f)
		*out_len = (size_t)snprintf(out, WR_JSON_CHAR, "\\u%04x", (unsigned)*s);
	else
		*out_len =
		    (size_t)snprintf(out, WR_JSON_CHAR, "%.*s", n ? (int)n : 3, n ? s : "\xef\xbf\xbd");
	return n ? n : 1;
}

void wr_bytes_put_json(struct wr_bytes *b, const char *s, size_t len)
{
	char out[WR_JSON_CHAR];
	size_t n, used;

	wr_bytes_put_u8(b, '"');
	for (; len; s += used, len -= used) {
		used = wr_json_char(s, len, out, &n);
		wr_bytes_put(b, out, n);
	}
	wr_bytes_put_u8(b, '"');
}

int wr_bytes_status(const struct wr_bytes *b)
{
	return b->failed
		   ? wr_error_set(WR_EFATAL, "out of memory (a text behind its first %zu bytes)", b->len)
		   : WR_OK;
}

const uint8_t *wr_read_bytes(struct wr_reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < len) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return p;
}

static uint64_t read_fixed(struct wr_reader *r, size_t len)
{
	const uint8_t *p = wr_read_bytes(r, len);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, len);
	return v;
}

uint8_t wr_read_u8(struct wr_reader *r)
{
	return (uint8_t)read_fixed(r, 1);
}

uint32_t wr_read_u32(struct wr_reader *r)
{
	return (uint32_t)read_fixed(r, 4);
}

uint64_t wr_read_u64(struct wr_reader *r)
{
	return read_fixed(r, 8);
}

double wr_read_f64(struct wr_reader *r)
{
	uint64_t bits = read_fixed(r, 8);
	double v;

	memcpy(&v, &bits, 8);
	return v;
}

uint64_t wr_read_varint(struct wr_reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = wr_read_u8(r);

		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 127) << shift;
		if (b < 128)
			return r->bad ? 0 : v;
	}
	r->bad = true;
	return 0;
}

const char *wr_read_str(struct wr_reader *r, size_t *len)
{
	uint64_t n = wr_read_varint(r);

	*len = 0;
	if (r->bad || n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	*len = (size_t)n;
	return (const char *)wr_read_bytes(r, (size_t)n);
}
