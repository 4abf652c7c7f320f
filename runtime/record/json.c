/* SPDX-License-Identifier: Apache-2.0 */
/* json: rows and cells as text. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "record/row.h"
#include "record/value.h"

/* Bytes of the UTF-8 sequence at s, 0 if it is none (RFC 3629: no surrogates, no overlong forms). */
static unsigned utf8_len(const uint8_t *s, size_t left)
{
	uint8_t c = s[0];
	uint32_t cp;
	unsigned n;

	if (c < 0x80)
		return 1;
	n = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
	if (!n || n > left)
		return 0;
	cp = c & (0xffu >> (n + 1));
	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (cp < 0x800 || (cp >= 0xd800 && cp < 0xe000))) ||
	    (n == 4 && (cp < 0x10000 || cp > 0x10ffff)))
		return 0;
	return n;
}

void wr_json_string(struct wr_bytes *out, const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text, *end = s + len;

	wr_bytes_put_u8(out, '"');
	while (s < end) {
		const uint8_t *from = s;
		unsigned n = 1;

		while (s < end && *s >= 0x20 && *s < 0x80 && *s != '"' && *s != '\\')
			s++;
		wr_bytes_put(out, from, (size_t)(s - from));
		if (s == end)
			break;
		if (*s == '"' || *s == '\\') {
			wr_bytes_put_u8(out, '\\');
			wr_bytes_put_u8(out, *s);
		} else if (*s == '\n') {
			wr_bytes_put(out, "\\n", 2);
		} else if (*s == '\t') {
			wr_bytes_put(out, "\\t", 2);
		} else if (*s == '\r') {
			wr_bytes_put(out, "\\r", 2);
		} else if (*s < 0x20) {
			wr_bytes_printf(out, "\\u%04x", *s);
		} else if ((n = utf8_len(s, (size_t)(end - s)))) {
			wr_bytes_put(out, s, n);
		} else {
			wr_bytes_put(out, "\xef\xbf\xbd", 3);
			n = 1;
		}
		s += n;
	}
	wr_bytes_put_u8(out, '"');
}

void wr_json_number(struct wr_bytes *out, double v)
{
	char text[32];
	int n = 0;

	if (!isfinite(v)) {
		wr_bytes_put(out, "null", 4);
		return;
	}
	if (v == 0) {
		wr_bytes_put(out, signbit(v) ? "-0.0" : "0", signbit(v) ? 4 : 1);
		return;
	}
	if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
		int64_t i = (int64_t)v;
		uint64_t u = i < 0 ? (uint64_t)-i : (uint64_t)i;
		char *p = text + sizeof text;

		do
			*--p = (char)('0' + u % 10);
		while (u /= 10);
		if (i < 0)
			*--p = '-';
		wr_bytes_put(out, p, (size_t)(text + sizeof text - p));
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	wr_bytes_put(out, text, (size_t)n);
}

static void row_json(const struct wr_shape *s, const uint8_t *body, struct wr_bytes *out);

static void cell_json(const struct wr_cell *c, struct wr_bytes *out)
{
	struct wr_reader r;

	switch (c->type) {
	case WR_T_BOOL:
		wr_bytes_put(out, c->u64 ? "true" : "false", c->u64 ? 4 : 5);
		break;
	case WR_T_F64:
		wr_json_number(out, c->f64);
		break;
	case WR_T_I64:
		wr_bytes_printf(out, "%lld", (long long)c->i64);
		break;
	case WR_T_U64:
		wr_bytes_printf(out, "%llu", (unsigned long long)c->u64);
		break;
	case WR_T_STR:
	case WR_T_BYTES:
		wr_json_string(out, c->str.p, c->str.len);
		break;
	case WR_T_ROW:
		row_json(wr_shape(c->child), (const uint8_t *)c->str.p, out);
		break;
	case WR_T_LIST:
	case WR_T_MAP:
	case WR_T_ANY:
		r = wr_reader_of(c->str.p, c->str.len);
		wr_value_json(&r, out);
		break;
	default:
		wr_bytes_put(out, "null", 4);
	}
}

static void row_json(const struct wr_shape *s, const uint8_t *body, struct wr_bytes *out)
{
	struct wr_cell c;
	bool first = true;
	int32_t wrapped = s->hidden ? wr_shape_find(s, "\x01v", 2) : -1;

	if (s->scalar || wrapped >= 0) {
		c = wr_row_get(s, body, s->scalar ? 0 : (uint32_t)wrapped);
		cell_json(&c, out);
		return;
	}
	wr_bytes_put_u8(out, '{');
	for (uint32_t i = s->hidden; i < s->count; i++) {
		c = wr_row_get(s, body, i);
		if (!c.type)
			continue;
		if (!first)
			wr_bytes_put_u8(out, ',');
		first = false;
		wr_json_string(out, s->fields[i].name, s->fields[i].name_len);
		wr_bytes_put_u8(out, ':');
		cell_json(&c, out);
	}
	wr_bytes_put_u8(out, '}');
}

void wr_row_json(const struct wr_elem *e, struct wr_bytes *out)
{
	row_json(wr_shape(wr_elem_shape(e)), wr_elem_body(e), out);
}

void wr_row_json_short(const struct wr_elem *e, size_t max, struct wr_bytes *out)
{
	size_t start = out->len;

	wr_row_json(e, out);
	if (out->failed || out->len - start <= max)
		return;
	out->len = start + max;
	while (out->len > start && (out->data[out->len] & 0xc0) == 0x80)
		out->len--; /* not in the midst of a character */
	wr_bytes_put(out, "…", 3);
}

void wr_cell_text(const struct wr_cell *cell, struct wr_bytes *out)
{
	if (cell->type == WR_T_STR || cell->type == WR_T_BYTES)
		wr_bytes_put(out, cell->str.p, cell->str.len);
	else if (cell->type)
		cell_json(cell, out);
}
