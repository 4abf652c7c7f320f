/* SPDX-License-Identifier: Apache-2.0 */
/* json_test: what records look like as text, and that numbers read back as they were. */
#include <stdlib.h>
#include "unit/record/model.h"

static void is_text(struct wr_bytes *b, const char *text)
{
	wr_bytes_put_u8(b, 0);
	assert_string_equal((char *)b->data, text);
	wr_bytes_deinit(b);
}

static void number_is(double v, const char *text)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	wr_json_number(&b, v);
	is_text(&b, text);
}

static void test_numbers_have_their_shortest_text(void **state)
{
	(void)state;
	number_is(0, "0");
	number_is(-0.0, "-0");
	number_is(1, "1");
	number_is(-1, "-1");
	number_is(999999999999999, "999999999999999");
	number_is(-123456789012345, "-123456789012345");
	number_is(1e15, "1000000000000000");
	number_is(1795300000123450, "1795300000123450");
	number_is(-9007199254740990, "-9007199254740990");
	number_is(1000000000000000.5, "1000000000000000.5");
	number_is(0x1p53 + 2, "9007199254740994");
	number_is(1e16, "1e+16");
	number_is(0x1p53, "9007199254740992");
	number_is(0.1, "0.1");
	number_is(-0.07, "-0.07");
	number_is(0.30000000000000004, "0.30000000000000004");
	number_is(12.34, "12.34");
	number_is(1e-4, "0.0001");
	number_is(1e-5, "1e-05");
	number_is(1e21, "1e+21");
	number_is(1.7976931348623157e308, "1.7976931348623157e+308");
	number_is(5e-324, "5e-324");
	number_is(1e-310, "1e-310");
	number_is(2.2250738585072014e-308, "2.2250738585072014e-308");
	number_is(NAN, "null");
	number_is(INFINITY, "null");
	number_is(-INFINITY, "null");
}

/* The naive model: the first precision of %g that reads back. */
static size_t shortest_digits(double v)
{
	char text[40];

	for (int digits = 1;; digits++) {
		snprintf(text, sizeof text, "%.*e", digits - 1, v);
		if (strtod(text, NULL) == v)
			return (size_t)digits;
	}
}

static size_t digits_in(const char *text)
{
	size_t count = 0, zeros = 0;

	for (; *text && *text != 'e'; text++) {
		if (*text < '0' || *text > '9' || (count == 0 && *text == '0'))
			continue;
		count++;
		zeros = *text == '0' ? zeros + 1 : 0;
	}
	return count - zeros;
}

static void test_random_numbers_read_back_with_no_digit_too_many(void **state)
{
	struct wr_rand r = {21};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		double v = model_double(&r);

		if (!isfinite(v) || v == 0)
			continue;
		wr_json_number(&b, v);
		wr_bytes_put_u8(&b, 0);
		assert_true(strtod((char *)b.data, NULL) == v);
		if (digits_in((char *)b.data) != shortest_digits(v))
			fail_msg("%s is not the shortest text of %.17g", (char *)b.data, v);
		wr_bytes_deinit(&b);
	}
}

static void string_is(const char *s, size_t len, const char *text)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	wr_json_string(&b, s, len);
	is_text(&b, text);
}
#define STRING_IS(s, text) string_is(s, sizeof(s) - 1, text)

static void test_strings_are_escaped_and_bad_bytes_replaced_one_by_one(void **state)
{
	(void)state;
	STRING_IS("", "\"\"");
	STRING_IS("plain", "\"plain\"");
	STRING_IS("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	STRING_IS("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	STRING_IS("a\0b", "\"a\\u0000b\"");
	STRING_IS("äß€😀", "\"äß€😀\"");
	STRING_IS("\xff", "\"\xef\xbf\xbd\"");
	STRING_IS("\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"");		       /* cut off */
	STRING_IS("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");		       /* overlong */
	STRING_IS("\xe0\x80\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* overlong */
	STRING_IS("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* surrogate */
	STRING_IS("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	STRING_IS("\x80x", "\"\xef\xbf\xbdx\"");
}

/* {a=1, b={x="y"}, c=missing, i=2^53+1, l=[…], u=2^64-1, \x01k hidden} */
static void sample(struct wr_bytes *out)
{
	struct wr_field_spec inner = {"x", 1, WR_T_STR, 0};
	struct wr_field_spec specs[] = {
	    {"\x01k", 2, WR_T_STR, 0}, {"a", 1, WR_T_F64, 0},  {"b", 1, WR_T_ROW, 0},
	    {"c", 1, WR_T_STR, 0},     {"i", 1, WR_T_I64, 0},  {"l", 1, WR_T_LIST, 0},
	    {"n", 1, WR_T_NULL, 0},    {"t", 1, WR_T_BOOL, 0}, {"u", 1, WR_T_U64, 0}};
	struct wr_cell in = {.type = WR_T_STR, .str = {"y", 1}}, cells[9] = {{0}};
	struct wr_bytes nested = WR_BYTES_EMPTY;

	specs[2].child = wr_shape_intern(&inner, 1, 0, 0);
	wr_row_put(&nested, specs[2].child, WR_INSERT, 0, &in);
	for (int i = 0; i < 9; i++)
		cells[i] = (struct wr_cell){.type = specs[i].type, .child = specs[i].child};
	cells[0].str = str_of("hidden");
	cells[1].f64 = 1;
	cells[2].str =
	    (struct wr_str){(char *)nested.data + WR_ELEM_HEADER, (uint32_t)nested.len - WR_ELEM_HEADER};
	cells[3] = (struct wr_cell){0};
	cells[4].i64 = -(1LL << 53) - 1;
	cells[5].str = (struct wr_str){"\x09\x03\x03\x01\x0b\x01\x01"
				       "e\x02",
				       9};
	cells[7].u64 = 1;
	cells[8].u64 = UINT64_MAX;
	wr_row_put(out, wr_shape_intern(specs, 9, 1, 0), WR_INSERT, 0, cells);
	wr_bytes_deinit(&nested);
}

static void test_a_row_prints_as_one_json_value(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;

	(void)state;
	sample(&row);
	wr_row_json(elem_of(&row), &text);
	is_text(&text, "{\"a\":1,\"b\":{\"x\":\"y\"},\"i\":-9007199254740993,\"l\":[true,null,{\"e\":false}],"
		       "\"n\":null,\"t\":true,\"u\":18446744073709551615}");
	wr_bytes_deinit(&row);
}

static void test_plain_values_and_tagged_records_print_too(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t len;
		const char *text;
	} cases[] = {
	    {"\x07\x02hi", 4, "\"hi\""},
	    {"\x00", 1, "null"},
	    {"\x0b\x02\x02\x01k\x03\x01"
	     "a\x02",
	     9, "{\"a\":false}"},
	    {"\x0a\x02\x03\x02\x07\x01k\x03", 8, "{\"true\":false,\"k\":true}"},
	    {"\x05\xff\xff\xff\xff\xff\xff\xff\xff", 9, "-1"},
	    {"\x09\x00", 2, "[]"},
	};

	(void)state;
	for (size_t i = 0; i < NUMBER_OF(cases); i++) {
		struct wr_bytes row = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;
		struct wr_cell cell = {.type = WR_T_ANY, .str = {cases[i].bytes, cases[i].len}};

		wr_row_put(&row, WR_SHAPE_ANY, WR_INSERT, 0, &cell);
		wr_row_json(elem_of(&row), &text);
		is_text(&text, cases[i].text);
		wr_bytes_deinit(&row);
	}
}

static void test_short_json_is_a_prefix_cut_between_characters(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY, whole = WR_BYTES_EMPTY;
	struct wr_cell cell = {.type = WR_T_STR, .str = str_of("grüße aus köln, 😀 und so weiter")};

	(void)state;
	model_row1(&row, "text", cell);
	wr_row_json(elem_of(&row), &whole);
	for (size_t max = 0; max < whole.len + 2; max++) {
		struct wr_bytes cut = WR_BYTES_EMPTY;
		size_t kept;

		wr_bytes_put(&cut, "at: ", 4);
		wr_row_json_short(elem_of(&row), max, &cut);
		kept = cut.len - 4;
		if (max < whole.len) {
			kept -= 3;
			assert_true(kept <= max && kept + 4 > max);
			assert_memory_equal(cut.data + 4 + kept, "…", 3);
			assert_true((whole.data[kept] & 0xc0) != 0x80);
		}
		assert_memory_equal(cut.data + 4, whole.data, kept);
		wr_bytes_deinit(&cut);
	}
	wr_bytes_deinit(&row);
	wr_bytes_deinit(&whole);
}

static void test_short_json_of_a_large_record_costs_little_memory(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY, cut = WR_BYTES_EMPTY;
	char *big = wr_alloc(&model_mem, 1 << 20);
	struct wr_cell cell = {.type = WR_T_STR, .str = {big, 1 << 20}};

	(void)state;
	memset(big, 1, 1 << 20);
	model_row1(&row, "big", cell);
	wr_row_json_short(elem_of(&row), 100, &cut);
	assert_int_equal(cut.len, 103);
	assert_in_range(cut.cap, 1, 4096);
	wr_bytes_deinit(&row);
	wr_bytes_deinit(&cut);
	wr_free(&model_mem, big);
}

static void text_is(struct wr_cell cell, const char *text)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	wr_cell_text(&cell, &b);
	is_text(&b, text);
}

static void test_cells_as_text_leave_strings_as_they_are(void **state)
{
	(void)state;
	text_is((struct wr_cell){.type = WR_T_STR, .str = {"a\"b", 3}}, "a\"b");
	text_is((struct wr_cell){.type = WR_T_F64, .f64 = 2.5}, "2.5");
	text_is((struct wr_cell){.type = WR_T_I64, .i64 = INT64_MIN}, "-9223372036854775808");
	text_is((struct wr_cell){.type = WR_T_BOOL, .u64 = 1}, "true");
	text_is((struct wr_cell){.type = WR_T_NULL}, "null");
	text_is((struct wr_cell){0}, "");
	text_is((struct wr_cell){.type = WR_T_LIST, .str = {"\x09\x01\x07\x01x", 5}}, "[\"x\"]");
}

static void test_json_without_memory_leaves_a_text_that_says_so(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;
	int failures = 0;

	(void)state;
	sample(&row);
	for (int n = 1; n < 10; n++) {
		struct wr_bytes text = WR_BYTES_EMPTY;

		wr_mem_fail_at(n);
		wr_row_json(elem_of(&row), &text);
		wr_json_number(&text, 0);
		wr_mem_fail_at(0);
		failures += wr_bytes_status(&text) != WR_OK;
		wr_bytes_deinit(&text);
	}
	assert_true(failures > 0);
	wr_bytes_deinit(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers_have_their_shortest_text),
	    cmocka_unit_test(test_random_numbers_read_back_with_no_digit_too_many),
	    cmocka_unit_test(test_strings_are_escaped_and_bad_bytes_replaced_one_by_one),
	    cmocka_unit_test(test_a_row_prints_as_one_json_value),
	    cmocka_unit_test(test_plain_values_and_tagged_records_print_too),
	    cmocka_unit_test(test_short_json_is_a_prefix_cut_between_characters),
	    cmocka_unit_test(test_short_json_of_a_large_record_costs_little_memory),
	    cmocka_unit_test(test_cells_as_text_leave_strings_as_they_are),
	    cmocka_unit_test(test_json_without_memory_leaves_a_text_that_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
