/* SPDX-License-Identifier: Apache-2.0 */
/* pattern_test: rows by rule are what the rule says, again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/error.h"
#include "connect/pattern.h"
#include "record/row.h"

static struct wr_mem mem = WR_MEM_INIT("pattern_test");

#define TEXT(s)                                                                                              \
	{                                                                                                    \
		.tag = WR_V_STR, .str = {(s), sizeof(s) - 1 }                                                \
	}

/* {due, n: cycle 7 every 2, user: "u" random 100}, repeating after `distinct` rows (0: never). */
static struct wr_pattern *make(int64_t distinct)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_arena arena;
	struct wr_reader reader;
	struct wr_value options;
	struct wr_pattern *p;

	wr_value_put_record(&bytes, 2);
	wr_value_put_name(&bytes, "distinct");
	wr_value_put_i64(&bytes, distinct);
	wr_value_put_name(&bytes, "fields");
	wr_value_put_list(&bytes, 3);
	wr_value_put_record(&bytes, 2);
	wr_value_put_name(&bytes, "kind");
	wr_value_put_str(&bytes, "due");
	wr_value_put_name(&bytes, "name");
	wr_value_put_str(&bytes, "due");
	wr_value_put_record(&bytes, 4);
	wr_value_put_name(&bytes, "below");
	wr_value_put_i64(&bytes, 7);
	wr_value_put_name(&bytes, "every");
	wr_value_put_i64(&bytes, 2);
	wr_value_put_name(&bytes, "kind");
	wr_value_put_str(&bytes, "cycle");
	wr_value_put_name(&bytes, "name");
	wr_value_put_str(&bytes, "n");
	wr_value_put_record(&bytes, 4);
	wr_value_put_name(&bytes, "below");
	wr_value_put_i64(&bytes, 100);
	wr_value_put_name(&bytes, "kind");
	wr_value_put_str(&bytes, "random");
	wr_value_put_name(&bytes, "name");
	wr_value_put_str(&bytes, "user");
	wr_value_put_name(&bytes, "prefix");
	wr_value_put_str(&bytes, "u");

	wr_arena_init(&arena, &mem);
	reader = wr_reader_of(bytes.data, bytes.len);
	assert_int_equal(wr_value_parse(&reader, &arena, &options), WR_OK);
	p = wr_pattern_new(&options);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&bytes);
	return p;
}

static void expect_row(const uint8_t *row, uint32_t len, uint64_t i, double due)
{
	const struct wr_elem *e = (const struct wr_elem *)row;
	const struct wr_shape *s = wr_shape(wr_elem_shape(e));
	struct wr_str user = wr_row_str(s, wr_elem_body(e), 2);

	assert_int_equal(e->len, len);
	assert_int_equal(len % 8, 0);
	assert_int_equal(wr_row_verify(s, wr_elem_body(e), wr_elem_body_len(e)), WR_OK);
	assert_true(wr_row_f64(s, wr_elem_body(e), 0) == due);
	assert_true(wr_row_f64(s, wr_elem_body(e), 1) == (double)(i / 2 % 7));
	assert_true(user.len >= 2 && user.len <= 3 && user.p[0] == 'u');
}

/* One row, due at `due_ns`, with room for any; its length. */
static uint32_t put(const struct wr_pattern *p, uint8_t *to, uint64_t i, uint64_t due_ns)
{
	size_t len;

	assert_int_equal(wr_pattern_run(p, i, 1, to, wr_pattern_len_max(p), &len), 1);
	wr_pattern_due(p, to, due_ns);
	return (uint32_t)len;
}

static void a_row_is_a_function_of_its_number_alone(void **state)
{
	_Alignas(8) uint8_t a[256], b[256];
	struct wr_pattern *p = make(0), *q = make(0);

	(void)state;
	assert_non_null(p);
	assert_true(wr_pattern_len_max(p) <= sizeof a);
	for (uint64_t i = 0; i < 1000; i++) {
		uint32_t len = put(p, a, i, 0);

		expect_row(a, len, i, 0);
		assert_int_equal(put(q, b, i, 0), len);
		assert_memory_equal(a, b, len);
		put(q, b, i * 31, 0);
	}
	wr_pattern_free(p);
	wr_pattern_free(q);
}

static void numbers_are_whole_in_text_whatever_their_size(void **state)
{
	static const uint64_t numbers[] = {0, 9, 10, 4294967295u, 4294967296u, 9007199254740991u};
	struct wr_value field_keys[4] = {TEXT("below"), TEXT("kind"), TEXT("name"), TEXT("prefix")};
	struct wr_value field_items[4] = {
	    {.tag = WR_V_I64, .i64 = INT64_C(1) << 53}, TEXT("cycle"), TEXT("n"), TEXT("x")};
	struct wr_value field = {.tag = WR_V_RECORD, .count = 4, .keys = field_keys, .items = field_items};
	struct wr_value key = TEXT("fields"), list = {.tag = WR_V_LIST, .count = 1, .items = &field};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 1, .keys = &key, .items = &list};
	struct wr_pattern *p = wr_pattern_new(&options);

	(void)state;
	assert_non_null(p);
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		_Alignas(8) uint8_t row[128];
		char expected[32];
		const struct wr_elem *e = (const struct wr_elem *)row;
		struct wr_str s;

		put(p, row, numbers[i], 0);
		s = wr_row_str(wr_shape(wr_elem_shape(e)), wr_elem_body(e), 0);
		snprintf(expected, sizeof expected, "x%llu", (unsigned long long)numbers[i]);
		assert_int_equal(s.len, strlen(expected));
		assert_memory_equal(s.p, expected, s.len);
	}
	wr_pattern_free(p);
}

static void random_fields_use_their_whole_range(void **state)
{
	_Alignas(8) uint8_t row[256];
	struct wr_pattern *p = make(0);
	unsigned seen[100] = {0};

	(void)state;
	for (uint64_t i = 0; i < 10000; i++) {
		const struct wr_elem *e = (const struct wr_elem *)row;
		struct wr_str user;
		unsigned v = 0;

		put(p, row, i, 0);
		user = wr_row_str(wr_shape(wr_elem_shape(e)), wr_elem_body(e), 2);
		for (uint32_t k = 1; k < user.len; k++)
			v = v * 10 + (unsigned)(user.p[k] - '0');
		assert_true(v < 100);
		seen[v]++;
	}
	for (int v = 0; v < 100; v++)
		assert_in_range(seen[v], 50, 150);
	wr_pattern_free(p);
}

static void distinct_rows_repeat_and_are_due_anew(void **state)
{
	_Alignas(8) uint8_t a[256], b[256];
	struct wr_pattern *all = make(0), *few = make(10);

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		uint32_t len = put(few, a, i, 1000 + i);

		expect_row(a, len, i % 10, (double)(1000 + i));
		assert_int_equal(put(all, b, i % 10, 1000 + i), len);
		assert_memory_equal(a, b, len);
	}
	wr_pattern_free(all);
	wr_pattern_free(few);
}

static void a_run_is_the_rows_one_by_one_as_far_as_they_fit(void **state)
{
	_Alignas(8) uint8_t run[1024], one[256];
	struct wr_pattern *p = make(10);

	(void)state;
	for (size_t room = wr_pattern_len_max(p); room < sizeof run; room += 8) {
		uint64_t i = room % 23;
		size_t len, at = 0;
		uint32_t n = wr_pattern_run(p, i, 8, run, room, &len);

		assert_in_range(n, 1, 8);
		assert_in_range(len, 1, room);
		for (uint32_t k = 0; k < n; k++, at += ((const struct wr_elem *)(run + at))->len) {
			uint32_t row = put(p, one, i + k, 0);

			assert_memory_equal(run + at, one, row);
		}
		assert_int_equal(at, len);
		if (n < 8 && (i + n) % 10 != 0)
			assert_true(len + put(p, one, i + n, 0) > room);
	}
	wr_pattern_free(p);
}

static void an_allocation_that_fails_is_an_error(void **state)
{
	(void)state;
	wr_pattern_free(make(10)); /* interns the shape */
	for (int n = 1;; n++) {
		struct wr_pattern *p;
		struct wr_value fields = {.tag = WR_V_LIST};
		struct wr_value keys[2] = {{.tag = WR_V_STR, .str = {"distinct", 8}},
					   {.tag = WR_V_STR, .str = {"fields", 6}}};
		struct wr_value items[2] = {{.tag = WR_V_I64, .i64 = 10}, fields};
		struct wr_value options = {.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};

		wr_mem_fail_at(n);
		p = wr_pattern_new(&options);
		wr_mem_fail_at(0);
		wr_pattern_free(p);
		if (p) {
			assert_true(n > 2);
			return;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_is_a_function_of_its_number_alone),
	    cmocka_unit_test(numbers_are_whole_in_text_whatever_their_size),
	    cmocka_unit_test(random_fields_use_their_whole_range),
	    cmocka_unit_test(distinct_rows_repeat_and_are_due_anew),
	    cmocka_unit_test(a_run_is_the_rows_one_by_one_as_far_as_they_fit),
	    cmocka_unit_test(an_allocation_that_fails_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
