/* SPDX-License-Identifier: Apache-2.0 */
/* csv_test: comma-separated values in and out. */
#include "format/csv_writer.h"
#include "unit/format/text_in.h"

static void csv_rows(const char *text, const char *rows, int bad)
{
	struct stand *st = text_stand("csv");

	expect_rows(st, text, rows, bad);
	stand_free(st);
}

static void test_the_header_names_the_columns(void **state)
{
	(void)state;
	csv_rows("b,a\n1,x\r\n2,\n\n3,z",
		 "{\"a\":\"x\",\"b\":\"1\"}\n{\"a\":\"\",\"b\":\"2\"}\n{\"a\":\"z\",\"b\":\"3\"}\n", 0);
}

static void test_quoted_fields_hold_separators_line_ends_and_quotes(void **state)
{
	(void)state;
	csv_rows("a,\"b\"\r\n\"x,y\",\"say \"\"hi\"\"\"\r\n\"line\nend\",\"\"\n\"\"\"\",q\"q\n",
		 "{\"a\":\"x,y\",\"b\":\"say "
		 "\\\"hi\\\"\"}\n{\"a\":\"line\\nend\",\"b\":\"\"}\n{\"a\":\"\\\"\",\"b\":\"q\\\"q\"}\n",
		 0);
}

static void test_a_byte_order_mark_is_no_part_of_a_name(void **state)
{
	struct stand *st = text_stand("csv");

	(void)state;
	assert_int_equal(text_in(st,
				 "\xef\xbb\xbf"
				 "a\n1\n",
				 7, 1000, 1),
			 WR_END);
	assert_string_equal(stand_text(st), "{\"a\":\"1\"}\n");
	stand_free(st);
}

static void test_wrong_numbers_of_fields_are_bad_rows(void **state)
{
	(void)state;
	csv_rows("a,b\n1\n1,2\n1,2,3\n3,4\n", "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"3\",\"b\":\"4\"}\n", 2);
	assert_memory_equal(bad_text, "in, byte 10: ", 13);
	assert_non_null(strstr(bad_text, "3 fields, where there are 2 columns"));
	assert_string_equal(bad_raw, "1,2,3");
}

static void test_a_header_in_utf_16_is_a_bad_row(void **state)
{
	static const char text[] = "a\0,\0b\0\n\0001\0,\0002\0\n";
	struct stand *st = text_stand("csv");

	(void)state;
	assert_int_equal(text_in(st, text, sizeof text - 1, 1000, 1), WR_END);
	assert_string_equal(stand_text(st), "");
	assert_non_null(strstr(bad_text, "a byte 0 in the name of column 1: the text must be UTF-8"));
	stand_free(st);
}

static void test_text_behind_a_closing_quote_is_a_bad_row(void **state)
{
	(void)state;
	csv_rows("a,b\n\"x\"y,1\nz,2\n", "{\"a\":\"z\",\"b\":\"2\"}\n", 1);
}

static void test_a_quote_that_is_not_closed_spoils_its_line_only(void **state)
{
	(void)state;
	csv_rows("a,b\n\"x,1\nz,2\n", "{\"a\":\"z\",\"b\":\"2\"}\n", 1);
	assert_non_null(strstr(bad_text, "a quoted field is not closed"));
}

static void test_a_header_with_a_name_twice_spoils_the_file(void **state)
{
	(void)state;
	csv_rows("a,a\n1,2\n3,4\n", "", 1);
}

static void test_a_file_whose_lines_end_with_cr_alone_is_told(void **state)
{
	(void)state;
	csv_rows("a,b\r1,2\r3,4\r", "", 1);
	assert_non_null(strstr(bad_text, "the header has a CR in the name of column 2"));
	csv_rows("a,b\r\n1,\"2\r3\"\r\n", "{\"a\":\"1\",\"b\":\"2\\r3\"}\n", 0);
}

static struct wr_value text_value(const char *s)
{
	return (struct wr_value){.tag = WR_V_STR, .str = {s, (uint32_t)strlen(s)}};
}

static void test_options_choose_columns_separator_quote_and_types(void **state)
{
	struct wr_value columns[] = {text_value("n"), text_value("i"), text_value("b"), text_value("s")};
	struct wr_value type_names[] = {text_value("n"), text_value("i"), text_value("b")};
	struct wr_value types[] = {text_value("number"), text_value("integer"), text_value("boolean")};
	struct wr_value keys[] = {text_value("columns"), text_value("header"), text_value("quote"),
				  text_value("separator"), text_value("types")};
	struct wr_value items[] = {
	    {.tag = WR_V_LIST, .count = 4, .items = columns},
	    {.tag = WR_V_FALSE},
	    text_value("'"),
	    text_value(";"),
	    {.tag = WR_V_RECORD, .count = 3, .keys = type_names, .items = types},
	};
	struct stand *st = stand_new("discard", 0, 1);

	(void)state;
	st->stage.on_error = WR_ON_ERROR_SKIP;
	stand_options(st, "s:format", "csv", "v:csv",
		      (struct wr_value){.tag = WR_V_RECORD, .count = 5, .keys = keys, .items = items}, NULL);
	expect_rows(
	    st,
	    "1.5;-9223372036854775808;true;'a;b'\n;;;\nx;1;true;\n1;2.0;true;\n1;1;yes;\n1e999;1;true;\n"
	    "0x10;1;true;\n2;9223372036854775808;true;\n3;3;false;\"\n",
	    "{\"b\":true,\"i\":-9223372036854775808,\"n\":1.5,\"s\":\"a;b\"}\n{\"s\":\"\"}\n"
	    "{\"b\":false,\"i\":3,\"n\":3,\"s\":\"\\\"\"}\n",
	    6);
	assert_non_null(strstr(bad_text, "column 2 ('i') is no integer"));
	stand_free(st);
}

/* What the writer writes, the reader reads. */
static void test_what_is_written_reads_back(void **state)
{
	static const char of[] = "ab,\"\n\r ";
	struct wr_rand r = {3};
	struct wr_field_spec fields[] = {{"x", 1, WR_T_STR, 0}, {"y", 1, WR_T_STR, 0}, {"z", 1, WR_T_F64, 0}};
	uint32_t shape = wr_shape_intern(fields, 3, 0, 0);
	struct wr_csv_writer *w = wr_csv_writer_new(NULL);
	struct wr_bytes csv = WR_BYTES_EMPTY, rows = WR_BYTES_EMPTY, json = WR_BYTES_EMPTY;
	struct stand *st = text_stand("csv");

	(void)state;
	for (int i = 0; i < 500; i++) {
		char text[2][8];
		struct wr_cell cells[3] = {
		    {.type = WR_T_STR}, {.type = WR_T_STR}, {.type = WR_T_F64, .f64 = i}};

		for (int k = 0; k < 2; k++) {
			uint32_t len = wr_rand_below(&r, 8);

			for (uint32_t n = 0; n < len; n++)
				text[k][n] = of[wr_rand_below(&r, sizeof of - 1)];
			cells[k].str = (struct wr_str){text[k], len};
		}
		rows.len = 0;
		wr_row_put(&rows, shape, WR_INSERT, WR_TS_NONE, cells);
		assert_int_equal(wr_csv_writer_row(w, (struct wr_elem *)rows.data, &csv), WR_OK);
		wr_bytes_printf(&json, "{\"x\":");
		wr_json_string(&json, cells[0].str.p, cells[0].str.len);
		wr_bytes_printf(&json, ",\"y\":");
		wr_json_string(&json, cells[1].str.p, cells[1].str.len);
		wr_bytes_printf(&json, ",\"z\":\"%d\"}\n", i);
	}
	wr_bytes_put_u8(&csv, 0);
	wr_bytes_put_u8(&json, 0);
	expect_rows(st, (char *)csv.data, (char *)json.data, 0);
	wr_csv_writer_free(w);
	wr_bytes_deinit(&csv);
	wr_bytes_deinit(&rows);
	wr_bytes_deinit(&json);
	stand_free(st);
}

static void put_row(struct wr_csv_writer *w, const char *name, double value, int wanted, struct wr_bytes *csv)
{
	struct wr_field_spec field = {name, (uint32_t)strlen(name), WR_T_F64, 0};
	struct wr_cell cell = {.type = WR_T_F64, .f64 = value};
	struct wr_bytes row = WR_BYTES_EMPTY;

	wr_row_put(&row, wr_shape_intern(&field, 1, 0, *name == 0), WR_INSERT, WR_TS_NONE, &cell);
	assert_int_equal(wr_csv_writer_row(w, (struct wr_elem *)row.data, csv), wanted);
	wr_bytes_deinit(&row);
}

static void test_rows_are_fitted_into_the_columns_of_the_first(void **state)
{
	struct wr_csv_writer *w = wr_csv_writer_new(NULL);
	struct wr_bytes csv = WR_BYTES_EMPTY;

	(void)state;
	put_row(w, "a", 1, WR_OK, &csv);
	put_row(w, "b", 2, WR_EUSER, &csv);
	put_row(w, "a", 3, WR_OK, &csv);
	assert_int_equal(csv.len, 6);
	assert_memory_equal(csv.data, "a\n1\n3\n", 6);
	wr_csv_writer_free(w);
	csv.len = 0;
	w = wr_csv_writer_new(NULL);
	put_row(w, "", 7, WR_OK, &csv);
	assert_memory_equal(csv.data, "value\n7\n", 8);
	wr_csv_writer_free(w);
	wr_bytes_deinit(&csv);
}

static void test_a_text_is_gone_on_with_without_another_header(void **state)
{
	struct wr_csv_writer *w = wr_csv_writer_new(NULL), *later = wr_csv_writer_new(NULL);
	struct wr_bytes csv = WR_BYTES_EMPTY;

	(void)state;
	put_row(w, "a", 1, WR_OK, &csv);
	wr_csv_writer_goes_on(later);
	put_row(later, "a", 2, WR_OK, &csv);
	put_row(later, "b", 3, WR_EUSER, &csv);
	wr_bytes_put_u8(&csv, 0);
	assert_string_equal((const char *)csv.data, "a\n1\n2\n");
	wr_csv_writer_free(w);
	wr_csv_writer_free(later);
	wr_bytes_deinit(&csv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_header_names_the_columns),
	    cmocka_unit_test(test_quoted_fields_hold_separators_line_ends_and_quotes),
	    cmocka_unit_test(test_a_byte_order_mark_is_no_part_of_a_name),
	    cmocka_unit_test(test_wrong_numbers_of_fields_are_bad_rows),
	    cmocka_unit_test(test_a_header_in_utf_16_is_a_bad_row),
	    cmocka_unit_test(test_text_behind_a_closing_quote_is_a_bad_row),
	    cmocka_unit_test(test_a_quote_that_is_not_closed_spoils_its_line_only),
	    cmocka_unit_test(test_a_header_with_a_name_twice_spoils_the_file),
	    cmocka_unit_test(test_a_file_whose_lines_end_with_cr_alone_is_told),
	    cmocka_unit_test(test_options_choose_columns_separator_quote_and_types),
	    cmocka_unit_test(test_what_is_written_reads_back),
	    cmocka_unit_test(test_rows_are_fitted_into_the_columns_of_the_first),
	    cmocka_unit_test(test_a_text_is_gone_on_with_without_another_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
