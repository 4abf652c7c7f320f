/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: a growable byte string, and a cursor to read one. Little-endian throughout. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/mem.h"

struct wr_bytes {
	uint8_t *data;
	size_t len, cap;
	bool failed; /* an allocation was refused: all further puts are no-ops, checked once at the end */
};
#define WR_BYTES_EMPTY                                                                                       \
	{                                                                                                    \
		NULL, 0, 0, false                                                                            \
	}

void wr_bytes_deinit(struct wr_bytes *b);
/* Room for `more` bytes behind len; NULL (and failed) when the heap refuses. */
uint8_t *wr_bytes_room(struct wr_bytes *b, size_t more);
void wr_bytes_put(struct wr_bytes *b, const void *p, size_t len);
void wr_bytes_put_u8(struct wr_bytes *b, uint8_t v);
void wr_bytes_put_u32(struct wr_bytes *b, uint32_t v);
void wr_bytes_put_u64(struct wr_bytes *b, uint64_t v);
void wr_bytes_put_varint(struct wr_bytes *b, uint64_t v);	      /* LEB128 */
void wr_bytes_put_str(struct wr_bytes *b, const char *s, size_t len); /* varint length, bytes */
void wr_bytes_printf(struct wr_bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s[0 … len) as a JSON string with its quotes. */
void wr_bytes_put_json(struct wr_bytes *b, const char *s, size_t len);
/* Writes the first character of s[0 … len), len > 0, as it stands in a JSON string: escaped where it must be,
 * U+FFFD for a byte that is not UTF-8. Returns the bytes of s that it took. */
enum { WR_JSON_CHAR = 8 };
size_t wr_json_char(const char *s, size_t len, char out[WR_JSON_CHAR], size_t *out_len);
/* WR_OK, or WR_EFATAL with the error set if a put had failed. */
int wr_bytes_status(const struct wr_bytes *b);

/* A reader never reads past `end`; after the first short read `bad` stays true and all reads give 0. */
struct wr_reader {
	const uint8_t *p, *end;
	bool bad;
};
static inline struct wr_reader wr_reader_of(const void *p, size_t len)
{
	return (struct wr_reader){(const uint8_t *)p, (const uint8_t *)p + len, false};
}
uint8_t wr_read_u8(struct wr_reader *r);
uint32_t wr_read_u32(struct wr_reader *r);
uint64_t wr_read_u64(struct wr_reader *r);
double wr_read_f64(struct wr_reader *r);
uint64_t wr_read_varint(struct wr_reader *r);
/* Borrowed pointer to `len` bytes, or NULL (bad). */
const uint8_t *wr_read_bytes(struct wr_reader *r, size_t len);
const char *wr_read_str(struct wr_reader *r, size_t *len);
