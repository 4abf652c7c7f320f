/* SPDX-License-Identifier: Apache-2.0 */
/* messages: bytes through a codec's reader to a row, shown as JSON, and JSON through its writer to bytes,
 * shown as hex. What a task gives its stages comes from here. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/assert.h"
#include "base/error.h"
#include "format/json_reader.h"
#include "format/learn.h"
#include "module/codec.h"
#include "record/row.h"
#include "record/value.h"

enum { OPTIONS_MAX = 8, ROW_ROOM = 4 << 20 };

static uint8_t row_room[ROW_ROOM] __attribute__((aligned(64)));
static struct wr_out row_out;
static char shown[1 << 20];

uint8_t *wr_out_more(struct wr_out *o, uint32_t need)
{
	assert_true(need <= sizeof row_room);
	return o->p;
}

/* Options as a plan has them: name, text, … NULL; a name that begins with '#' is of a number. */
struct options {
	struct wr_value all, keys[OPTIONS_MAX], items[OPTIONS_MAX];
};
static inline const struct wr_value *options_of(struct options *o, ...)
{
	const char *name;
	va_list ap;

	*o = (struct options){.all = {.tag = WR_V_RECORD, .keys = o->keys, .items = o->items}};
	va_start(ap, o);
	while ((name = va_arg(ap, const char *))) {
		const char *text = va_arg(ap, const char *);
		bool number = *name == '#';
		uint32_t i = o->all.count++;

		name += number;
		o->keys[i] = (struct wr_value){.tag = WR_V_STR, .str = {name, (uint32_t)strlen(name)}};
		o->items[i] = (struct wr_value){.tag = WR_V_STR, .str = {text, (uint32_t)strlen(text)}};
		if (number)
			o->items[i] = (struct wr_value){.tag = WR_V_F64, .f64 = atof(text)};
	}
	va_end(ap);
	return &o->all;
}

/* The nodes as a row in row_room. */
static inline const struct wr_elem *row_of(const struct wr_node *nodes)
{
	struct wr_learner *learner = wr_learner_new();

	row_out = (struct wr_out){.p = row_room, .end = row_room + sizeof row_room};
	assert_int_equal(wr_learner_row(learner, nodes, WR_TS_NONE, &row_out), WR_OK);
	wr_learner_free(learner);
	assert_int_equal(wr_elem_verify(row_room, (size_t)(row_out.p - row_room), NULL), WR_OK);
	return (const struct wr_elem *)row_room;
}

static inline const struct wr_elem *row_of_json(const char *json)
{
	struct wr_json *parser = wr_json_new();
	size_t len = strlen(json), count;
	char *padded = test_calloc(1, len + WR_JSON_PADDING);
	struct wr_node *nodes;
	const struct wr_elem *row;

	memcpy(padded, json, len);
	assert_null(wr_json_parse(parser, (uint8_t *)padded, len));
	count = wr_json_nodes(parser, NULL, 0);
	nodes = test_calloc(count, sizeof *nodes);
	wr_json_nodes(parser, nodes, count);
	row = row_of(nodes);
	wr_json_free(parser);
	test_free(nodes);
	test_free(padded);
	return row;
}

static inline const char *show(const struct wr_bytes *text)
{
	assert_true(text->len < sizeof shown);
	memcpy(shown, text->data, text->len);
	shown[text->len] = 0;
	return shown;
}

/* Bytes of hex digits; spaces are passed over. */
static inline size_t bytes_of(const char *hex, uint8_t *to)
{
	size_t len = 0;

	for (; *hex; hex++) {
		unsigned byte;

		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		to[len++] = (uint8_t)byte;
		hex++;
	}
	return len;
}

/* A copy to be freed that ends where the bytes end, so that a sanitizer sees one too many. */
static inline uint8_t *exact_copy(const void *p, size_t len)
{
	uint8_t *exact = test_malloc(len + !len);

	if (len)
		memcpy(exact, p, len);
	return exact;
}

/* What came of reading a message: its nodes as a row in JSON, or "! " and why there are none. */
static inline const char *show_read(int rc, const struct wr_node *nodes, size_t count)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	if (rc == WR_OK) {
		assert_ptr_equal(wr_node_skip(nodes), nodes + count);
		wr_row_json(row_of(nodes), &text);
	} else {
		assert_int_equal(rc, WR_EUSER);
		wr_bytes_printf(&text, "! %s", wr_error_text());
	}
	show(&text);
	wr_bytes_deinit(&text);
	return shown;
}

static inline const char *read_bytes(const struct wr_codec *codec, void *reader, const uint8_t *p, size_t len)
{
	uint8_t *exact = exact_copy(p, len);
	const struct wr_node *nodes = NULL;
	size_t count = 0;
	int rc = codec->nodes(reader, exact, len, &nodes, &count);

	show_read(rc, nodes, count);
	test_free(exact);
	return shown;
}

static inline const char *read_hex(const struct wr_codec *codec, void *reader, const char *hex)
{
	uint8_t bytes[4096];

	return read_bytes(codec, reader, bytes, bytes_of(hex, bytes));
}

/* A JSON value as a message in hex, or "! " and why it can be none. */
static inline const char *write_json(const struct wr_codec *codec, void *writer, const char *json)
{
	struct wr_bytes out = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;
	int rc = codec->write(writer, row_of_json(json), &out);

	for (size_t i = 0; rc == WR_OK && i < out.len; i++)
		wr_bytes_printf(&text, "%02x", out.data[i]);
	if (rc != WR_OK)
		wr_bytes_printf(&text, "%s%s", rc == WR_EUSER ? "! " : "!! ", wr_error_text());
	wr_bytes_put_u8(&text, 0);
	text.len--;
	show(&text);
	wr_bytes_deinit(&out);
	wr_bytes_deinit(&text);
	return shown;
}

static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}
