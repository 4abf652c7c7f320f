/* SPDX-License-Identifier: Apache-2.0 */
/* value_test: tagged values come back as they went, and only in one form. */
#include "unit/record/model.h"

enum { VALUES = 10000 };

static void test_random_values_come_back_exactly(void **state)
{
	struct wr_rand r = {11};
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &model_mem);
	for (int i = 0; i < VALUES; i++) {
		struct wr_bytes first = WR_BYTES_EMPTY, second = WR_BYTES_EMPTY;
		struct wr_value meant, read;
		struct wr_reader reader, check;

		wr_arena_reset(&arena);
		model_value(&r, &arena, &meant, 5);
		wr_value_put(&first, &meant);
		reader = check = wr_reader_of(first.data, first.len);
		if (wr_value_verify(&check) != WR_OK)
			fail_msg("%s", wr_error_text());
		assert_ptr_equal(check.p, check.end);
		assert_int_equal(wr_value_parse(&reader, &arena, &read), WR_OK);
		assert_ptr_equal(reader.p, reader.end);
		assert_true(model_value_equal(&meant, &read));
		wr_value_put(&second, &read);
		assert_int_equal(first.len, second.len);
		assert_memory_equal(first.data, second.data, first.len);
		wr_bytes_deinit(&first);
		wr_bytes_deinit(&second);
	}
	wr_arena_deinit(&arena);
}

static void test_every_prefix_of_a_value_is_refused(void **state)
{
	struct wr_rand r = {12};
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &model_mem);
	for (int i = 0; i < 200; i++) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		struct wr_value v;

		wr_arena_reset(&arena);
		model_value(&r, &arena, &v, 4);
		wr_value_put(&b, &v);
		for (size_t len = 0; len < b.len; len++) {
			struct wr_reader reader = wr_reader_of(b.data, len);

			assert_int_equal(wr_value_verify(&reader), WR_EUSER);
		}
		wr_bytes_deinit(&b);
	}
	wr_arena_deinit(&arena);
}

#define refused(bytes, words) check_refused(bytes, sizeof(bytes) - 1, words)
static void check_refused(const char *bytes, size_t len, const char *words)
{
	struct wr_reader r = wr_reader_of(bytes, len);

	assert_int_equal(wr_value_verify(&r), WR_EUSER);
	if (!strstr(wr_error_text(), words))
		fail_msg("'%s' does not say '%s'", wr_error_text(), words);
}

static void test_what_has_another_form_is_refused(void **state)
{
	(void)state;
	refused("\x0c", "does not know");
	refused("\x07\x81\x00x", "cut off"); /* length 1 in two bytes */
	refused("\x0b\x02\x01"
		"b\x00\x01"
		"a\x00",
		"not sorted");
	refused("\x0b\x02\x01"
		"a\x00\x01"
		"a\x00",
		"not sorted");
	refused("\x0b\x02\x02"
		"aa\x00\x01"
		"a\x00",
		"not sorted");
	refused("\x0a\x02\x03\x00\x02\x00", "not sorted");
	refused("\x0a\x01\x00\x00", "no scalar");
	refused("\x0a\x01\x09\x00\x00", "no scalar");
	refused("\x0a\x01\x04\x00\x00\x00\x00\x00\x00\xf8\x7f\x00", "NaN");
	refused("\x04\x01\x00\x00\x00\x00\x00\xf8\xff", "none of ours");
	refused("\x09\xff\xff\xff\xff\x0f", "more members than bytes");
	refused("\x0b\x02\x00\x00", "more members than bytes");
}

static void test_nesting_is_bounded_to_the_level(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader r;

	(void)state;
	for (int i = 0; i < WR_DEPTH_MAX - 1; i++)
		wr_bytes_put(&b, "\x09\x01", 2);
	wr_bytes_put(&b, "\x09\x00", 2);
	r = wr_reader_of(b.data, b.len);
	assert_int_equal(wr_value_verify(&r), WR_OK);
	b.len = 0;
	for (int i = 0; i < 100000; i++)
		wr_bytes_put(&b, "\x09\x01", 2);
	wr_bytes_put_u8(&b, 0);
	refused("\x09\x01", "more members");
	r = wr_reader_of(b.data + 2 * (100000 - WR_DEPTH_MAX), 2 * WR_DEPTH_MAX + 1);
	assert_int_equal(wr_value_verify(&r), WR_OK);
	check_refused((char *)b.data + 2 * (100000 - WR_DEPTH_MAX - 1), 2 * WR_DEPTH_MAX + 3, "too deep");
	check_refused((char *)b.data, b.len, "too deep");
	wr_bytes_deinit(&b);
}

static void test_fields_of_a_plan_are_read_by_name_with_fallbacks(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	const struct wr_value *items;
	struct wr_arena arena;
	struct wr_reader r;
	struct wr_value v;
	uint32_t count;

	(void)state;
	wr_arena_init(&arena, &model_mem);
	wr_value_put_record(&b, 6);
	wr_value_put_name(&b, "big");
	wr_value_put_i64(&b, (1LL << 53) + 1);
	wr_value_put_name(&b, "items");
	wr_value_put_list(&b, 2);
	wr_value_put_num(&b, 7);
	wr_value_put_str(&b, "x");
	wr_value_put_name(&b, "name");
	wr_value_put_strn(&b, "a\0b", 3);
	wr_value_put_name(&b, "none");
	wr_value_put_nil(&b);
	wr_value_put_name(&b, "ok");
	wr_value_put_bool(&b, true);
	wr_value_put_name(&b, "rate");
	wr_value_put_num(&b, -2.5);
	r = wr_reader_of(b.data, b.len);
	assert_int_equal(wr_value_parse(&r, &arena, &v), WR_OK);
	assert_true(wr_value_int(&v, "big", 0) == (1LL << 53) + 1);
	assert_true(wr_value_int(&v, "rate", 0) == -2);
	assert_true(wr_value_num(&v, "rate", 0) == -2.5);
	assert_true(wr_value_bool(&v, "ok", false));
	assert_memory_equal(wr_value_str(&v, "name", ""), "a\0b", 4);
	items = wr_value_list(&v, "items", &count);
	assert_int_equal(count, 2);
	assert_string_equal(items[1].str.p, "x");
	assert_null(wr_value_get(&v, "none"));
	assert_null(wr_value_get(&v, "nam"));
	assert_null(wr_value_get(NULL, "name"));
	assert_null(wr_value_get(&items[0], "name"));
	assert_string_equal(wr_value_str(&v, "other", "else"), "else");
	assert_true(wr_value_num(&v, "none", 3) == 3);
	assert_null(wr_value_list(&v, "other", &count));
	assert_int_equal(count, 0);
	wr_bytes_deinit(&b);
	wr_arena_deinit(&arena);
}

static void test_parsing_says_when_memory_runs_out(void **state)
{
	struct wr_rand r = {13};
	struct wr_arena model;
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_value v;
	int rc = WR_EFATAL, failures = 0;

	(void)state;
	wr_arena_init(&model, &model_mem);
	while (b.len < 20000) {
		b.len = 0;
		model_value(&r, &model, &v, 5);
		wr_value_put(&b, &v);
	}
	for (int n = 1; rc != WR_OK; n++) {
		struct wr_reader reader = wr_reader_of(b.data, b.len);
		struct wr_arena arena;

		wr_arena_init(&arena, &model_mem);
		wr_mem_fail_at(n);
		rc = wr_value_parse(&reader, &arena, &v);
		wr_mem_fail_at(0);
		failures += rc == WR_EFATAL;
		wr_arena_deinit(&arena);
	}
	assert_true(failures > 1);
	wr_bytes_deinit(&b);
	wr_arena_deinit(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_values_come_back_exactly),
	    cmocka_unit_test(test_every_prefix_of_a_value_is_refused),
	    cmocka_unit_test(test_what_has_another_form_is_refused),
	    cmocka_unit_test(test_nesting_is_bounded_to_the_level),
	    cmocka_unit_test(test_fields_of_a_plan_are_read_by_name_with_fallbacks),
	    cmocka_unit_test(test_parsing_says_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
