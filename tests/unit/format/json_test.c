/* SPDX-License-Identifier: Apache-2.0 */
/* json_test: JSON lines become rows with learned shapes, and bad ones are told. */
#include "unit/format/text_in.h"

static void json_rows(const char *text, const char *rows, int bad)
{
	struct stand *st = text_stand("json");

	expect_rows(st, text, rows, bad);
	stand_free(st);
}

static const struct wr_field *field_of(const struct wr_elem *row, const char *name)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	int32_t i = wr_shape_find(s, name, (uint32_t)strlen(name));

	assert_true(i >= 0);
	return &s->fields[i];
}

static void test_objects_become_rows(void **state)
{
	(void)state;
	json_rows("{\"b\":1,\"a\":\"x\"}\n{\"b\":2.5,\"a\":\"\"}\r\n\n  \n{}",
		  "{\"a\":\"x\",\"b\":1}\n{\"a\":\"\",\"b\":2.5}\n{}\n", 0);
}

static void test_a_byte_order_mark_begins_a_file_only(void **state)
{
	(void)state;
	json_rows("\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n", 0);
	json_rows("\xef\xbb\xbf\n{\"a\":2}\n", "{\"a\":2}\n", 0);
	json_rows("{\"a\":1}\n\xef\xbb\xbf{\"a\":2}\n", "{\"a\":1}\n", 1);
}

static void test_nested_objects_lists_and_nulls(void **state)
{
	(void)state;
	json_rows(
	    "{\"u\":{\"n\":\"x\",\"in\":{\"k\":null}},\"l\":[1,[],{\"z\":1,\"a\":[true]}],\"f\":false}\n",
	    "{\"f\":false,\"l\":[1,[],{\"a\":[true],\"z\":1}],\"u\":{\"in\":{\"k\":null},\"n\":\"x\"}}\n", 0);
}

static void test_values_that_are_no_objects(void **state)
{
	(void)state;
	json_rows("1\n\"x\"\nnull\ntrue\n[1,\"a\"]\n-0.5e3\n", "1\n\"x\"\nnull\ntrue\n[1,\"a\"]\n-500\n", 0);
}

static void test_types_follow_the_values(void **state)
{
	static const struct {
		const char *text;
		uint32_t type;
	} cases[] = {
	    {"1", WR_T_F64},
	    {"1.5", WR_T_F64},
	    {"9007199254740992", WR_T_F64},
	    {"-9007199254740992", WR_T_F64},
	    {"9007199254740993", WR_T_I64},
	    {"-9223372036854775808", WR_T_I64},
	    {"9223372036854775808", WR_T_U64},
	    {"\"x\"", WR_T_STR},
	    {"true", WR_T_BOOL},
	    {"null", WR_T_NULL},
	    {"[]", WR_T_LIST},
	    {"{}", WR_T_ROW},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct stand *st = text_stand("json");
		char text[64], expected[64];

		snprintf(text, sizeof text, "{\"v\":%s}\n", cases[i].text);
		assert_int_equal(text_in(st, text, strlen(text), 100, 1), WR_END);
		assert_int_equal(field_of((struct wr_elem *)st->buffer, "v")->type, cases[i].type);
		snprintf(expected, sizeof expected, "%s", text);
		assert_string_equal(stand_text(st), expected);
		stand_free(st);
	}
}

static void test_objects_that_look_alike_share_a_shape_whatever_their_order(void **state)
{
	struct stand *st = text_stand("json");
	const char *text = "{\"a\":1,\"b\":{\"c\":\"x\"}}\n{\"b\":{\"c\":\"y\"},\"a\":2}\n";
	const struct wr_elem *first = (struct wr_elem *)st->buffer, *second;

	(void)state;
	assert_int_equal(text_in(st, text, strlen(text), 100, 1), WR_END);
	second = wr_elem_next(first);
	assert_int_equal(wr_elem_shape(first), wr_elem_shape(second));
	stand_free(st);
}

static void test_of_a_name_that_stands_twice_the_last_wins(void **state)
{
	(void)state;
	json_rows("{\"a\":1,\"b\":2,\"a\":\"x\"}\n{\"l\":[{\"a\":1,\"a\":2}]}\n",
		  "{\"a\":\"x\",\"b\":2}\n{\"l\":[{\"a\":2}]}\n", 0);
}

static void test_malformed_lines_are_bad_rows_and_the_next_is_read(void **state)
{
	(void)state;
	json_rows("{\"a\":1\n{\"a\":2}\nnope\n{\"a\":\"\xff\"}\n{\"a\":3} x\n{\"a\":1e999}\n{\"a\":4}",
		  "{\"a\":2}\n{\"a\":4}\n", 5);
}

static void test_a_bad_row_has_its_place_and_its_bytes(void **state)
{
	struct stand *st = text_stand("json");

	(void)state;
	assert_int_equal(text_in(st, "{\"a\":1}\n{oops}\n", 15, 100, 1), WR_END);
	assert_memory_equal(bad_text, "in, byte 8: ", 12);
	assert_string_equal(bad_raw, "{oops}");
	stand_free(st);
}

static void test_hidden_names_are_refused(void **state)
{
	(void)state;
	json_rows("{\"\\u0001p\":1}\n{\"a\":1}\n", "{\"a\":1}\n", 1);
}

/* `open` so many times, 1, `close` as often. */
static void nest(char *to, int depth, const char *open, const char *close)
{
	size_t n = 0, open_len = strlen(open), close_len = strlen(close);

	for (int i = 0; i < depth; i++, n += open_len)
		memcpy(to + n, open, open_len);
	to[n++] = '1';
	for (int i = 0; i < depth; i++, n += close_len)
		memcpy(to + n, close, close_len);
	memcpy(to + n, "\n", 2);
}

static void nested(int depth, int bad)
{
	char lists[1000], objects[1000];

	nest(lists, depth, "[", "]");
	json_rows(lists, bad ? "" : lists, bad);
	nest(objects, depth, "{\"a\":", "}");
	json_rows(objects, bad ? "" : objects, bad);
	nest(objects, depth / 2, "{\"a\":[", "]}");
	json_rows(objects, bad ? "" : objects, bad);
}

static void test_depth_is_bounded(void **state)
{
	(void)state;
	nested(WR_DEPTH_MAX, 0);
	nested(WR_DEPTH_MAX + 2, 1);
}

/* Field names that are data: beyond the bound a record travels as one tagged value, and reads the same. */
static void test_shapes_that_explode_fall_back(void **state)
{
	struct stand *st = text_stand("json");
	struct wr_bytes text = WR_BYTES_EMPTY;
	uint32_t shapes = wr_shape_count();

	(void)state;
	for (int i = 0; i < 5000; i++)
		wr_bytes_printf(&text, "{\"name%d\":%d}\n", i, i);
	assert_int_equal(text_in(st, (char *)text.data, text.len, 1000, 1), WR_END);
	assert_true(wr_shape_count() - shapes < 2000);
	assert_int_equal(st->text.len, text.len);
	assert_memory_equal(st->text.data, text.data, text.len);
	wr_bytes_deinit(&text);
	stand_free(st);
}

/* Fields `prefix`0 …, each there or not, of one type or (the third) of several. */
static void optional_fields(struct wr_rand *r, int count, const char *prefix, struct wr_bytes *text)
{
	static const char *const mixed[] = {"null", "1.5", "\"x\"", "[1]", "{\"a\":1}"};

	for (int i = 0; i < count; i++) {
		const char *between = text->data[text->len - 1] == '{' ? "" : ",";

		if (wr_rand_below(r, 2))
			continue;
		if (i == 2)
			wr_bytes_printf(text, "%s\"%s%d\":%s", between, prefix, i,
					mixed[wr_rand_below(r, 5)]);
		else if (i % 2)
			wr_bytes_printf(text, "%s\"%s%d\":%u", between, prefix, i, wr_rand_below(r, 1000));
		else
			wr_bytes_printf(text, "%s\"%s%d\":\"s%u\"", between, prefix, i,
					wr_rand_below(r, 1000));
	}
}

/* 2^13 combinations: a shape for each would end in tagged values. */
static void test_optional_fields_share_one_shape_with_missing_fields(void **state)
{
	struct wr_rand r = {5};
	struct stand *st = text_stand("json");
	struct wr_bytes text = WR_BYTES_EMPTY;
	uint32_t shapes = wr_shape_count();

	(void)state;
	for (int i = 0; i < 5000; i++) {
		wr_bytes_printf(&text, "{\"a\":%d", i);
		optional_fields(&r, 10, "f", &text);
		wr_bytes_printf(&text, ",\"nested\":{");
		optional_fields(&r, 3, "n", &text);
		wr_bytes_printf(&text, "}}\n");
	}
	assert_int_equal(text_in(st, (char *)text.data, text.len, 5000, 1), WR_END);
	assert_int_equal(bad_rows, 0);
	assert_int_equal(st->text.len, text.len);
	assert_memory_equal(st->text.data, text.data, text.len);
	assert_true(wr_shape_count() - shapes < 60);
	wr_bytes_deinit(&text);
	stand_free(st);
}

static void test_an_object_with_more_fields_than_a_shape_may_have(void **state)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	(void)state;
	for (int i = 0; i < WR_FIELDS_MAX + 1; i++)
		wr_bytes_printf(&text, "%s\"n%05d\":%d", i ? "," : "{", i, i);
	wr_bytes_printf(&text, "}\n");
	wr_bytes_put_u8(&text, 0);
	json_rows((char *)text.data, (char *)text.data, 0);
	wr_bytes_deinit(&text);
}

/* ---- a model: random values as they are written, and as they must come out ---- */

static void random_value(struct wr_rand *r, int depth, struct wr_bytes *text, struct wr_bytes *model)
{
	static const char *const scalars[] = {
	    "null",	      "true", "false", "0", "-1.5", "\"\"", "\"x\"", "1e30", "9007199254740993",
	    "\"\xc3\xa4\\n\""};
	uint32_t kind = wr_rand_below(r, depth > 3 ? 10 : 16), count = wr_rand_below(r, 5);
	const char *between = wr_rand_below(r, 2) ? " , " : ",";

	if (kind < 10) {
		wr_bytes_printf(text, "%s", scalars[kind]);
		wr_bytes_printf(model, "%s", kind == 7 ? "1e+30" : scalars[kind]);
		return;
	}
	wr_bytes_put_u8(text, kind < 13 ? '[' : '{');
	wr_bytes_put_u8(model, kind < 13 ? '[' : '{');
	for (uint32_t i = 0; i < count; i++) {
		wr_bytes_printf(text, "%s", i ? between : "");
		wr_bytes_printf(model, "%s", i ? "," : "");
		if (kind >= 13) {
			/* the first of a name that comes again is lost */
			if (wr_rand_below(r, 8) == 0)
				wr_bytes_printf(text, "\"k%u\":[0],", i);
			wr_bytes_printf(text, "\"k%u\": ", i);
			wr_bytes_printf(model, "\"k%u\":", i);
		}
		random_value(r, depth + 1, text, model);
	}
	wr_bytes_put_u8(text, kind < 13 ? ']' : '}');
	wr_bytes_put_u8(model, kind < 13 ? ']' : '}');
}

static void test_random_values_come_out_as_they_went_in(void **state)
{
	struct wr_rand r = {11};
	struct wr_bytes text = WR_BYTES_EMPTY, model = WR_BYTES_EMPTY;
	struct stand *st = text_stand("json");

	(void)state;
	for (int i = 0; i < 10000; i++) {
		random_value(&r, 0, &text, &model);
		wr_bytes_put_u8(&text, '\n');
		wr_bytes_put_u8(&model, '\n');
	}
	assert_int_equal(text_in(st, (char *)text.data, text.len, 5000, 1), WR_END);
	assert_int_equal(bad_rows, 0);
	wr_bytes_put_u8(&model, 0);
	assert_string_equal(stand_text(st), (char *)model.data);
	stand_free(st);
	wr_bytes_deinit(&text);
	wr_bytes_deinit(&model);
}

static void test_memory_that_is_refused_is_an_error_and_no_crash(void **state)
{
	const char *text = "{\"a\":{\"b\":[1,{\"c\":2}]}}\n{\"z\":1}\n";

	(void)state;
	for (int64_t n = 4; n < 40; n++) {
		struct stand *st = text_stand("json");
		struct text_feed *f = malloc(sizeof *f);
		struct wr_intake *in = wr_intake_new(&st->stage, false);
		int rc;

		*f = (struct text_feed){{&text_ops}, text, strlen(text), {1}, 100};
		wr_intake_begin(in,
				&(struct wr_stream){
				    .feed = &f->feed, .path = "in", .stop = UINT64_MAX, .ts = WR_TS_NONE});
		wr_mem_fail_at(n - 3);
		do
			rc = wr_intake_poll(in);
		while (rc == WR_OK);
		wr_mem_fail_at(0);
		assert_true(rc == WR_END || rc == WR_EFATAL);
		wr_intake_free(in);
		stand_free(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_objects_become_rows),
	    cmocka_unit_test(test_a_byte_order_mark_begins_a_file_only),
	    cmocka_unit_test(test_nested_objects_lists_and_nulls),
	    cmocka_unit_test(test_values_that_are_no_objects),
	    cmocka_unit_test(test_types_follow_the_values),
	    cmocka_unit_test(test_objects_that_look_alike_share_a_shape_whatever_their_order),
	    cmocka_unit_test(test_of_a_name_that_stands_twice_the_last_wins),
	    cmocka_unit_test(test_malformed_lines_are_bad_rows_and_the_next_is_read),
	    cmocka_unit_test(test_a_bad_row_has_its_place_and_its_bytes),
	    cmocka_unit_test(test_hidden_names_are_refused),
	    cmocka_unit_test(test_depth_is_bounded),
	    cmocka_unit_test(test_shapes_that_explode_fall_back),
	    cmocka_unit_test(test_optional_fields_share_one_shape_with_missing_fields),
	    cmocka_unit_test(test_an_object_with_more_fields_than_a_shape_may_have),
	    cmocka_unit_test(test_random_values_come_out_as_they_went_in),
	    cmocka_unit_test(test_memory_that_is_refused_is_an_error_and_no_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
