/* SPDX-License-Identifier: Apache-2.0 */
/* row: the bytes of one record of a known shape.
 *
 *   body = [bitmap: ceil(n/64) u64, only if nullable] [n slots of 8 bytes] [variable part] [pad to 8]
 *
 * Little-endian. Offsets count from the body's start. Variable parts stand in field
 * order; a nested row starts at a multiple of 8. A missing field's slot is 0. Format
 * version and test vectors: FORMAT.md beside this file.
 *
 * C reads and writes rows without Lua: sources, key extraction, aggregates, sinks.
 */
#pragma once
#include "base/bytes.h"
#include "record/element.h"
#include "record/shape.h"

enum { WR_ROW_FORMAT = 1, WR_ROW_MAX = 1 << 30 /* bytes of an element: offsets are u32 with room to add */ };

struct wr_str {
	const char *p;
	uint32_t len;
};

static inline bool wr_row_missing(const struct wr_shape *s, const uint8_t *body, uint32_t i)
{
	return s->nullable && (((const uint64_t *)body)[i >> 6] >> (i & 63) & 1);
}
static inline uint64_t wr_row_slot(const struct wr_shape *s, const uint8_t *body, uint32_t i)
{
	uint64_t v;

	memcpy(&v, body + s->slots_at + 8 * (size_t)i, 8);
	return v;
}
static inline double wr_row_f64(const struct wr_shape *s, const uint8_t *body, uint32_t i)
{
	double v;

	memcpy(&v, body + s->slots_at + 8 * (size_t)i, 8);
	return v;
}
static inline struct wr_str wr_row_str(const struct wr_shape *s, const uint8_t *body, uint32_t i)
{
	uint64_t v = wr_row_slot(s, body, i);

	return (struct wr_str){(const char *)body + (uint32_t)v, (uint32_t)(v >> 32)};
}

/* One value handed to the builder or read from a row; strings are borrowed. For LIST, MAP and ANY
 * `str` is one tagged value; for ROW it is the nested body. */
struct wr_cell {
	uint32_t type; /* 0 = missing */
	uint32_t child;
	union {
		double f64;
		int64_t i64;
		uint64_t u64;
		struct wr_str str;
	};
};
struct wr_cell wr_row_get(const struct wr_shape *s, const uint8_t *body, uint32_t i);
/* One tagged value as a cell: nil is missing, a list is LIST, a map or record is MAP, and nothing is ANY. */
struct wr_cell wr_cell_of_value(struct wr_str bytes);
/* The field called `name` of any row, also of the fallback; else, where the name is a path like "user.id",
 * what it leads to in nested records. Never ANY; type 0 if there is none. The empty name is a record that
 * is no table. For what is not hot: hot paths remember field indexes by shape. */
struct wr_cell wr_row_lookup(const struct wr_elem *row, const char *name, uint32_t len);

/* Appends to `out` a whole row element (header, body, padding) of shape `id` with `cells` in the shape's
 * field order. Every cell's type must be the field's, or 0 (missing; only if the shape is nullable). */
void wr_row_put(struct wr_bytes *out, uint32_t id, enum wr_kind kind, int64_t ts,
		const struct wr_cell *cells);
/* Bytes that wr_row_write needs for the element (0 with the error set: over WR_ROW_MAX), and the same into
 * given room (hot paths). */
uint32_t wr_row_len(const struct wr_shape *s, const struct wr_cell *cells);
void wr_row_write(uint8_t *to, uint32_t len, const struct wr_shape *s, enum wr_kind kind, int64_t ts,
		  const struct wr_cell *cells);

/* Checks a body from outside: all offsets and lengths inside, nested rows and tagged values valid,
 * depth bounded. WR_EUSER names the field path. */
int wr_row_verify(const struct wr_shape *s, const uint8_t *body, size_t len);

/* Row as one JSON value, for print, files, messages. Keys in the shape's order, hidden fields left out;
 * numbers in shortest round-trip form, integers exact, NaN and infinities as null, strings that are not
 * UTF-8 with U+FFFD for each bad byte; missing fields are left out. Scalars print as the value. */
void wr_row_json(const struct wr_elem *e, struct wr_bytes *out);
/* As JSON, cut behind `max` bytes with "…": for error messages. */
void wr_row_json_short(const struct wr_elem *e, size_t max, struct wr_bytes *out);
/* One field as text: strings as they are, others as in JSON; for CSV and tables. */
void wr_cell_text(const struct wr_cell *cell, struct wr_bytes *out);
/* Appends a string as JSON with quotes. */
void wr_json_string(struct wr_bytes *out, const char *s, size_t len);
/* Shortest text that reads back as the same double; whole numbers up to 2^53 as their digits, which is how
 * those who read integers want them. */
void wr_json_number(struct wr_bytes *out, double v);
