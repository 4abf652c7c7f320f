/* SPDX-License-Identifier: Apache-2.0 */
/* json: rows and values as JSON text, for print, files and messages; see row.h and value.h.
 *
 * Writes what it can within a bound: the walk ends once the text is longer, so a message
 * about a large record costs no more than one about a small one. The bytes are valid.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/assert.h"
#include "base/utf8.h"
#include "record/row.h"
#include "record/value.h"

/* ---- numbers ---- */

static size_t put_digits(char *end, uint64_t v)
{
	char *p = end;

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return (size_t)(end - p);
}

/* `digits` / 10^scale, with at least one digit in front of the point. */
static void put_decimal(struct wr_bytes *out, bool negative, uint64_t digits, unsigned scale)
{
	char text[40], *end = text + sizeof text, *p;
	unsigned behind = scale;

	p = end;
	for (; behind > 0; behind--, digits /= 10)
		*--p = (char)('0' + digits % 10);
	if (scale > 0)
		*--p = '.';
	p -= put_digits(p, digits);
	if (negative)
		*--p = '-';
	wr_bytes_put(out, p, (size_t)(end - p));
}

/* Whole numbers up to 2^53, and those of few digits behind the point, which are nearly all. digits and
 * 10^scale are exact doubles, so their quotient is the double nearest to the decimal: if that is v, the text
 * reads back as v; and with at most 15 digits no shorter one does. */
static bool put_short_decimal(struct wr_bytes *out, double v)
{
	static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
	double magnitude = fabs(v);

	if (!(magnitude >= 1e-4 && magnitude <= 0x1p53))
		return false;
	for (unsigned scale = 0; scale < sizeof powers / sizeof *powers; scale++) {
		double digits = rint(magnitude * powers[scale]);

		if (scale > 0 && digits >= 1e15)
			return false;
		if (digits / powers[scale] == magnitude) {
			put_decimal(out, v < 0, (uint64_t)digits, scale);
			return true;
		}
	}
	return false;
}

/* 15 digits are the shortest text whenever they are enough, because %g drops zeros; only below the
 * normal numbers are fewer digits enough and 15 show noise. */
void wr_json_number(struct wr_bytes *out, double v)
{
	char text[40];
	int digits = fabs(v) < 0x1p-1022 ? 1 : 15, len;

	if (!isfinite(v)) {
		wr_bytes_put(out, "null", 4);
		return;
	}
	if (v == 0) {
		wr_bytes_put(out, "-0", 2);
		if (!signbit(v) && !out->failed) {
			out->data[out->len - 2] = '0';
			out->len--;
		}
		return;
	}
	if (put_short_decimal(out, v))
		return;
	do {
		len = snprintf(text, sizeof text, "%.*g", digits, v);
	} while (++digits <= 17 && strtod(text, NULL) != v);
	wr_bytes_put(out, text, (size_t)len);
}

static void put_i64(struct wr_bytes *out, int64_t v)
{
	put_decimal(out, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v, 0);
}

/* ---- strings ---- */

static void put_escaped(struct wr_bytes *out, uint8_t c)
{
	static const char *const with[] = {
	    ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
	    ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
	};

	if (c < sizeof with / sizeof *with && with[c])
		wr_bytes_put(out, with[c], 2);
	else
		wr_bytes_printf(out, "\\u%04x", c);
}

static inline bool is_plain(uint8_t c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

void wr_json_string(struct wr_bytes *out, const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s, *end = p + len;

	wr_bytes_put_u8(out, '"');
	while (p < end) {
		const uint8_t *run = p;
		size_t n;

		while (p < end && is_plain(*p))
			p++;
		wr_bytes_put(out, run, (size_t)(p - run));
		if (p == end)
			break;
		n = wr_utf8_len(p, (size_t)(end - p));
		if (n > 1)
			wr_bytes_put(out, p, n);
		else if (n == 1)
			put_escaped(out, *p);
		else
			wr_bytes_put(out, "\xef\xbf\xbd", 3);
		p += n ? n : 1;
	}
	wr_bytes_put_u8(out, '"');
}

/* ---- values and rows ---- */

#define JSON_UNBOUNDED (SIZE_MAX / 2) /* nothing is as long, and one more is still a length */

struct json {
	struct wr_bytes *out;
	size_t end; /* of the text: the walk may stop behind it */
};

static bool is_full(const struct json *j)
{
	return j->out->len > j->end;
}

/* A string that is cut may lose its end, because the text is cut before it. */
static void json_string(struct json *j, const char *s, size_t len)
{
	size_t room = is_full(j) ? 0 : j->end - j->out->len + 1;

	wr_json_string(j->out, s, len < room ? len : room);
}

static bool is_hidden(const uint8_t *name, size_t len)
{
	return len > 0 && name[0] == 1;
}

static void json_name(struct json *j, bool *first, const uint8_t *name, size_t len)
{
	if (!*first)
		wr_bytes_put_u8(j->out, ',');
	*first = false;
	json_string(j, (const char *)name, len);
	wr_bytes_put_u8(j->out, ':');
}

static void json_value(struct json *j, struct wr_reader *r, bool top);

/* JSON has names only: a key that is a string is one, any other is its text. */
static void json_map_key(struct json *j, struct wr_reader *r, bool *first)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	struct json key = {&text, JSON_UNBOUNDED};
	size_t len;

	if (*r->p == WR_V_STR || *r->p == WR_V_BYTES) {
		const char *s;

		wr_read_u8(r);
		s = wr_read_str(r, &len);
		json_name(j, first, (const uint8_t *)s, len);
		return;
	}
	json_value(&key, r, false);
	json_name(j, first, text.data, text.len);
	wr_bytes_deinit(&text);
}

static void json_members(struct json *j, struct wr_reader *r, uint8_t tag, bool top)
{
	uint64_t count = wr_read_varint(r);
	bool first = true;
	size_t len;

	wr_bytes_put_u8(j->out, tag == WR_V_LIST ? '[' : '{');
	for (uint64_t i = 0; i < count && !is_full(j); i++) {
		if (tag == WR_V_LIST) {
			if (i > 0)
				wr_bytes_put_u8(j->out, ',');
		} else if (tag == WR_V_MAP) {
			json_map_key(j, r, &first);
		} else {
			const uint8_t *name = (const uint8_t *)wr_read_str(r, &len);

			if (top && is_hidden(name, len)) {
				wr_value_verify(r);
				continue;
			}
			json_name(j, &first, name, len);
		}
		json_value(j, r, false);
	}
	wr_bytes_put_u8(j->out, tag == WR_V_LIST ? ']' : '}');
}

static void json_value(struct json *j, struct wr_reader *r, bool top)
{
	uint8_t tag = wr_read_u8(r);
	const char *s;
	size_t len;

	switch (tag) {
	case WR_V_FALSE:
		wr_bytes_put(j->out, "false", 5);
		return;
	case WR_V_TRUE:
		wr_bytes_put(j->out, "true", 4);
		return;
	case WR_V_F64:
		wr_json_number(j->out, wr_read_f64(r));
		return;
	case WR_V_I64:
		put_i64(j->out, (int64_t)wr_read_u64(r));
		return;
	case WR_V_U64:
		put_decimal(j->out, false, wr_read_u64(r), 0);
		return;
	case WR_V_STR:
	case WR_V_BYTES:
		s = wr_read_str(r, &len);
		json_string(j, s, len);
		return;
	case WR_V_LIST:
	case WR_V_MAP:
	case WR_V_RECORD:
		json_members(j, r, tag, top);
		return;
	default:
		wr_bytes_put(j->out, "null", 4);
	}
}

static void json_row(struct json *j, const struct wr_shape *s, const uint8_t *body, bool top);

static void json_cell(struct json *j, const struct wr_cell *cell, bool top)
{
	struct wr_reader r;

	switch (cell->type) {
	case WR_T_BOOL:
		wr_bytes_printf(j->out, cell->u64 ? "true" : "false");
		return;
	case WR_T_F64:
		wr_json_number(j->out, cell->f64);
		return;
	case WR_T_I64:
		put_i64(j->out, cell->i64);
		return;
	case WR_T_U64:
		put_decimal(j->out, false, cell->u64, 0);
		return;
	case WR_T_STR:
	case WR_T_BYTES:
		json_string(j, cell->str.p, cell->str.len);
		return;
	case WR_T_ROW:
		json_row(j, wr_shape(cell->child), (const uint8_t *)cell->str.p, false);
		return;
	case WR_T_LIST:
	case WR_T_MAP:
	case WR_T_ANY:
		r = wr_reader_of(cell->str.p, cell->str.len);
		json_value(j, &r, top);
		return;
	default:
		wr_bytes_put(j->out, "null", 4);
	}
}

static void json_row(struct json *j, const struct wr_shape *s, const uint8_t *body, bool top)
{
	bool first = true;

	if (s->scalar) {
		struct wr_cell cell = wr_row_get(s, body, 0);

		json_cell(j, &cell, top);
		return;
	}
	wr_bytes_put_u8(j->out, '{');
	for (uint32_t i = 0; i < s->count && !is_full(j); i++) {
		const struct wr_field *f = &s->fields[i];
		struct wr_cell cell = wr_row_get(s, body, i);

		if (cell.type == 0 || (top && is_hidden((const uint8_t *)f->name, f->name_len)))
			continue;
		json_name(j, &first, (const uint8_t *)f->name, f->name_len);
		json_cell(j, &cell, false);
	}
	wr_bytes_put_u8(j->out, '}');
}

void wr_value_json(struct wr_reader *r, struct wr_bytes *out)
{
	struct json j = {out, JSON_UNBOUNDED};

	json_value(&j, r, false);
}

void wr_row_json(const struct wr_elem *e, struct wr_bytes *out)
{
	struct json j = {out, JSON_UNBOUNDED};

	WR_ASSERT(!wr_elem_is_event(e));
	json_row(&j, wr_shape(wr_elem_shape(e)), wr_elem_body(e), true);
}

void wr_row_json_short(const struct wr_elem *e, size_t max, struct wr_bytes *out)
{
	size_t end = out->len + max;
	struct json j = {out, end};

	WR_ASSERT(!wr_elem_is_event(e));
	json_row(&j, wr_shape(wr_elem_shape(e)), wr_elem_body(e), true);
	if (out->failed || out->len <= end)
		return;
	while (end > 0 && (out->data[end] & 0xc0) == 0x80)
		end--;
	out->len = end;
	wr_bytes_put(out, "…", strlen("…"));
}

void wr_cell_text(const struct wr_cell *cell, struct wr_bytes *out)
{
	struct json j = {out, JSON_UNBOUNDED};

	if (cell->type == WR_T_STR || cell->type == WR_T_BYTES)
		wr_bytes_put(out, cell->str.p, cell->str.len);
	else if (cell->type != 0)
		json_cell(&j, cell, false);
}
