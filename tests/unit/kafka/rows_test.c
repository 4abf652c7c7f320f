/* SPDX-License-Identifier: Apache-2.0 */
/* rows_test: messages become rows by the formats of their values and keys, and what is none goes aside as it
 * came. */
#include "kafka/rows.h"
#include "unit/kafka/message_in.h"
#include "unit/messages.h"

static char aside[4096]; /* what was put aside: origin, reason, row */

int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	(void)s, (void)op, (void)raw, (void)raw_len;
	assert_int_equal(code, WR_EUSER);
	wr_row_json(row, &text);
	snprintf(aside, sizeof aside, "%s | %s | %.*s", origin, error, (int)text.len, (char *)text.data);
	wr_bytes_deinit(&text);
	return WR_OK;
}

/* Options as pairs of name and text; "meta" and "key" have values of their own. */
struct source {
	struct options options, key;
	struct wr_out out, *outs[1];
	struct wr_stage_env env;
	struct wr_stage stage;
	struct wr_kafka_rows *rows;
};

static void add(struct source *s, const char *name, struct wr_value value)
{
	struct wr_value *o = &s->options.all;

	o->keys[o->count] = (struct wr_value){.tag = WR_V_STR, .str = {name, (uint32_t)strlen(name)}};
	o->items[o->count++] = value;
}

static struct source *source(const char *format, const char *key_format, bool meta)
{
	struct source *s = test_calloc(1, sizeof *s);

	options_of(&s->options, "format", format, NULL);
	if (key_format)
		add(s, "key", *options_of(&s->key, "format", key_format, NULL));
	if (meta)
		add(s, "meta", (struct wr_value){.tag = WR_V_TRUE});
	s->outs[0] = &s->out;
	s->stage =
	    (struct wr_stage){.env = &s->env, .options = &s->options.all, .outs = s->outs, .out_count = 1};
	s->rows = wr_kafka_rows_new(&s->stage);
	assert_non_null(s->rows);
	return s;
}

static void source_free(struct source *s)
{
	wr_kafka_rows_free(s->rows);
	test_free(s);
}

/* A text, or NULL, as value and as key. */
static const char *put(struct source *s, const char *value, const char *key)
{
	rd_kafka_message_t m = {.partition = 3,
				.offset = 42,
				.payload = (void *)(uintptr_t)value,
				.len = value ? strlen(value) : 0,
				.key = (void *)(uintptr_t)key,
				.key_len = key ? strlen(key) : 0};
	struct wr_bytes text = WR_BYTES_EMPTY;

	*aside = 0;
	s->out = (struct wr_out){.p = row_room, .end = row_room + sizeof row_room};
	assert_int_equal(wr_kafka_rows_put(s->rows, "orders", &m), WR_OK);
	for (uint8_t *p = row_room; p < s->out.p; p += ((struct wr_elem *)p)->len) {
		assert_int_equal(wr_elem_verify(p, (size_t)(s->out.p - p), NULL), WR_OK);
		wr_row_json((struct wr_elem *)p, &text);
	}
	wr_bytes_put_u8(&text, 0);
	text.len--;
	show(&text);
	wr_bytes_deinit(&text);
	return shown;
}

static void test_a_message_is_its_value_at_its_time(void **state)
{
	struct source *s = source("json", NULL, false);

	(void)state;
	message_ms = 1700000000123;
	assert_string_equal(put(s, "{\"b\":1,\"a\":\"x\"}", "k"), "{\"a\":\"x\",\"b\":1}");
	assert_int_equal(((struct wr_elem *)row_room)->ts, 1700000000123);
	message_ms = -1;
	assert_string_equal(put(s, "7", NULL), "7");
	assert_true(((struct wr_elem *)row_room)->ts == WR_TS_NONE);
	source_free(s);
}

static void test_a_tombstone_is_null(void **state)
{
	struct source *s = source("json", NULL, false), *meta = source("json", "text", true);

	(void)state;
	message_ms = 5;
	assert_string_equal(put(s, NULL, "k"), "null");
	assert_string_equal(
	    put(meta, NULL, "k"),
	    "{\"key\":\"k\",\"offset\":42,\"partition\":3,\"timestamp\":5,\"topic\":\"orders\","
	    "\"value\":null}");
	source_free(s);
	source_free(meta);
}

static void test_meta_has_what_the_message_has(void **state)
{
	struct source *s = source("text", "json", true), *raw = source("text", NULL, true);

	(void)state;
	message_ms = -1;
	assert_string_equal(put(s, "v", "{\"id\":[1,2]}"),
			    "{\"key\":{\"id\":[1,2]},\"offset\":42,\"partition\":3,\"topic\":\"orders\","
			    "\"value\":\"v\"}");
	assert_string_equal(put(s, "v", NULL),
			    "{\"offset\":42,\"partition\":3,\"topic\":\"orders\",\"value\":\"v\"}");
	assert_has(put(raw, "v", "k"), "\"key\":null");
	source_free(s);
	source_free(raw);
}

static void test_of_headers_with_one_name_the_last_counts(void **state)
{
	struct source *s = source("text", NULL, true);

	(void)state;
	message_ms = -1;
	message_headers = rd_kafka_headers_new(4);
	assert_has(put(s, "v", NULL), "\"headers\":{}");
	rd_kafka_header_add(message_headers, "trace", -1, "one", 3);
	rd_kafka_header_add(message_headers, "none", -1, NULL, 0);
	rd_kafka_header_add(message_headers, "", -1, "", 0);
	rd_kafka_header_add(message_headers, "trace", -1, "two", 3);
	for (int i = 0; i < 40; i++)
		rd_kafka_header_add(message_headers, "many", -1, i % 2 ? "odd" : "even", i % 2 ? 3 : 4);
	assert_has(put(s, "v", NULL),
		   "\"headers\":{\"\":\"\",\"many\":\"odd\",\"none\":null,\"trace\":\"two\"}");
	rd_kafka_headers_destroy(message_headers);
	message_headers = NULL;
	source_free(s);
}

static void test_what_cannot_be_read_goes_aside_as_it_came(void **state)
{
	struct source *s = source("json", "text", true), *plain = source("json", "text", false);

	(void)state;
	message_ms = 5;
	assert_string_equal(put(s, "{\"a\":", "k"), "");
	assert_has(aside, "topic orders, partition 3, offset 42 | value: ");
	assert_has(aside, "{\"key\":\"k\",\"offset\":42,\"partition\":3,\"timestamp\":5,\"topic\":\"orders\","
			  "\"value\":\"{\\\"a\\\":\"}");
	assert_string_equal(put(s, "1", "\xff"), "");
	assert_has(aside, "| key: byte 1 is not UTF-8 |");
	message_ms = -1;
	assert_string_equal(put(s, "", NULL), "");
	assert_has(aside, "| {\"offset\":42,\"partition\":3,\"topic\":\"orders\",\"value\":\"\"}");
	assert_string_equal(put(plain, "1", "\xff"), "1");
	source_free(s);
	source_free(plain);
}

static void test_a_format_that_is_none_is_told(void **state)
{
	struct options o;
	struct wr_stage_env env = {0};
	struct wr_stage stage = {.env = &env, .options = options_of(&o, "format", "lines", NULL)};

	(void)state;
	assert_null(wr_kafka_rows_new(&stage));
	assert_has(wr_error_text(), "no format 'lines' of whole records");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_message_is_its_value_at_its_time),
	    cmocka_unit_test(test_a_tombstone_is_null),
	    cmocka_unit_test(test_meta_has_what_the_message_has),
	    cmocka_unit_test(test_of_headers_with_one_name_the_last_counts),
	    cmocka_unit_test(test_what_cannot_be_read_goes_aside_as_it_came),
	    cmocka_unit_test(test_a_format_that_is_none_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
