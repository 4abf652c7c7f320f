/* SPDX-License-Identifier: Apache-2.0 */
/* decoder_test: whole records of each format become values, and what is none is told. */
#include "format/decoder.h"
#include "unit/messages.h"

/* With a decoder that has read `before`. */
static const char *read_behind(const struct wr_value *options, const char *before, const char *bytes,
			       size_t len)
{
	struct wr_decoder *d = wr_decoder_new(options, NULL);
	void *exact = exact_copy(bytes, len);
	const struct wr_node *nodes;
	size_t count;
	int rc;

	assert_non_null(d);
	if (before)
		wr_decoder_nodes(d, before, strlen(before), &nodes, &count);
	rc = wr_decoder_nodes(d, exact, len, &nodes, &count);
	show_read(rc, nodes, count);
	wr_decoder_free(d);
	test_free(exact);
	return shown;
}

static const char *read_as(const char *format, const char *bytes, size_t len)
{
	struct options o;

	return read_behind(options_of(&o, "format", format, NULL), NULL, bytes, len);
}

static const char *read_text(const char *format, const char *text)
{
	return read_as(format, text, strlen(text));
}

static void test_json_is_one_value(void **state)
{
	(void)state;
	assert_string_equal(read_text("json", "{\"b\":[1,{\"c\":null}],\"a\":\"x\"}"),
			    "{\"a\":\"x\",\"b\":[1,{\"c\":null}]}");
	assert_string_equal(read_text("json", " 9007199254740993\n"), "9007199254740993");
	assert_string_equal(read_text("json", "{\"a\":1,\"a\":2}"), "{\"a\":2}");
	assert_has(read_text("json", "{} {}"), "! ");
	assert_has(read_text("json", "{\"a\":"), "! ");
	assert_has(read_text("json", ""), "! ");
	assert_has(read_text("json", "\"\xff\""), "! ");
	assert_has(read_as("json", "1\0 2", 4), "! ");
}

static void test_what_was_read_before_leaves_nothing_behind(void **state)
{
	struct options o;

	(void)state;
	assert_string_equal(read_behind(options_of(&o, "format", "json", NULL), "{\"a\":", "{\"b\":1}", 7),
			    "{\"b\":1}");
	assert_string_equal(read_behind(options_of(&o, "format", "text", NULL), "a longer text", "x", 1),
			    "\"x\"");
}

static void test_a_text_is_utf8(void **state)
{
	static const char *const wrong[] = {"\x80",
					    "\xc0\xaf",
					    "\xc1\xbf",
					    "\xc3",
					    "\xe0\x9f\xbf",
					    "\xed\xa0\x80",
					    "\xe2\x82",
					    "\xf0\x8f\xbf\xbf",
					    "\xf4\x90\x80\x80",
					    "\xf5\x80\x80\x80",
					    "\xff",
					    "\xc3("};

	(void)state;
	assert_string_equal(read_text("text", "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"),
			    "\"\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\"");
	assert_string_equal(read_text("text", ""), "\"\"");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_has(read_text("text", wrong[i]), "! byte 1 is not UTF-8");
	assert_string_equal(read_text("text", "abc\xff"), "! byte 4 is not UTF-8");
}

static void test_bytes_are_as_they_are(void **state)
{
	struct options o;
	struct wr_decoder *d = wr_decoder_new(options_of(&o, "format", "bytes", NULL), NULL);
	const struct wr_node *nodes;
	size_t count;

	(void)state;
	assert_int_equal(wr_decoder_nodes(d, "a\0\xff", 3, &nodes, &count), WR_OK);
	assert_int_equal(nodes->type, WR_T_STR);
	assert_int_equal(nodes->len, 3);
	assert_memory_equal(nodes->str, "a\0\xff", 3);
	assert_int_equal(wr_decoder_nodes(d, "", WR_ROW_MAX, &nodes, &count), WR_EUSER);
	assert_has(wr_error_text(), "too large for a record");
	wr_decoder_free(d);
}

/* { format = "csv", csv = { columns = { "a", "b" } } } */
static const struct wr_value *csv_options(void)
{
	static struct wr_value names[] = {{.tag = WR_V_STR, .str = {"a", 1}},
					  {.tag = WR_V_STR, .str = {"b", 1}}};
	static struct wr_value csv_keys[] = {{.tag = WR_V_STR, .str = {"columns", 7}}};
	static struct wr_value csv_items[] = {{.tag = WR_V_LIST, .count = 2, .items = names}};
	static struct wr_value keys[] = {{.tag = WR_V_STR, .str = {"csv", 3}},
					 {.tag = WR_V_STR, .str = {"format", 6}}};
	static struct wr_value items[] = {
	    {.tag = WR_V_RECORD, .count = 1, .keys = csv_keys, .items = csv_items},
	    {.tag = WR_V_STR, .str = {"csv", 3}}};
	static struct wr_value options = {.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};

	return &options;
}

static void test_csv_is_one_record_of_columns(void **state)
{
	(void)state;
	assert_string_equal(read_behind(csv_options(), NULL, "1,\"x,\"\"y\"", 9),
			    "{\"a\":\"1\",\"b\":\"x,\\\"y\"}");
	assert_string_equal(read_behind(csv_options(), "longer,than that", "1,2\r\n", 5),
			    "{\"a\":\"1\",\"b\":\"2\"}");
	assert_has(read_behind(csv_options(), NULL, "1,\"x", 4), "! ");
	assert_has(read_behind(csv_options(), NULL, "1,2\n3,4", 7), "! ");
}

static void test_formats_of_streams_are_no_formats_of_records(void **state)
{
	struct options o;

	(void)state;
	assert_null(wr_decoder_new(options_of(&o, "format", "lines", NULL), NULL));
	assert_has(wr_error_text(), "there is no format 'lines' of whole records");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json_is_one_value),
	    cmocka_unit_test(test_what_was_read_before_leaves_nothing_behind),
	    cmocka_unit_test(test_a_text_is_utf8),
	    cmocka_unit_test(test_bytes_are_as_they_are),
	    cmocka_unit_test(test_csv_is_one_record_of_columns),
	    cmocka_unit_test(test_formats_of_streams_are_no_formats_of_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
