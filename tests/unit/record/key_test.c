/* SPDX-License-Identifier: Apache-2.0 */
/* key_test: canonical bytes of keys, and the rules of key groups (rows P2 to P6 of the semantics). */
#include "record/key.h"
#include "unit/record/model.h"

static struct wr_cell number(double v)
{
	return (struct wr_cell){.type = WR_T_F64, .f64 = v};
}
static struct wr_cell integer(int64_t v)
{
	return (struct wr_cell){.type = WR_T_I64, .i64 = v};
}
static struct wr_cell natural(uint64_t v)
{
	return (struct wr_cell){.type = WR_T_U64, .u64 = v};
}
static struct wr_cell string(const char *s)
{
	return (struct wr_cell){.type = WR_T_STR, .str = str_of(s)};
}

static bool same_key(struct wr_cell a, struct wr_cell b)
{
	struct wr_bytes x = WR_BYTES_EMPTY, y = WR_BYTES_EMPTY;
	bool same;

	assert_int_equal(wr_key_put_cell(&x, &a), WR_OK);
	assert_int_equal(wr_key_put_cell(&y, &b), WR_OK);
	same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
	assert_true(same == (wr_key_hash(x.data, (uint32_t)x.len) == wr_key_hash(y.data, (uint32_t)y.len)));
	wr_bytes_deinit(&x);
	wr_bytes_deinit(&y);
	return same;
}

static void test_one_number_is_one_key_whatever_its_type(void **state)
{
	struct wr_cell tagged = {.type = WR_T_ANY, .str = {"\x05\x01\0\0\0\0\0\0\0", 9}};

	(void)state;
	assert_true(same_key(number(1), integer(1)));
	assert_true(same_key(number(1), natural(1)));
	assert_true(same_key(number(1), tagged));
	assert_true(same_key(number(-0.0), number(0)));
	assert_true(same_key(number(-0.0), integer(0)));
	assert_true(same_key(number(0x1p53), integer(1LL << 53)));
	assert_true(same_key(number(-0x1p63), integer(INT64_MIN)));
	assert_true(same_key(number(0x1p63), natural(1ULL << 63)));
	assert_true(same_key(integer(INT64_MAX), natural(INT64_MAX)));
	assert_true(same_key(number(INFINITY), number(INFINITY)));
}

static void test_what_is_not_the_same_is_another_key(void **state)
{
	(void)state;
	assert_false(same_key(number(1), string("1")));
	assert_false(same_key(number(1), number(1.5)));
	assert_false(same_key(number(1), (struct wr_cell){.type = WR_T_BOOL, .u64 = 1}));
	assert_false(same_key(integer((1LL << 53) + 1), number(0x1p53)));
	assert_false(same_key(integer(-1), natural(UINT64_MAX)));
	assert_false(same_key(number(0x1p64), natural(0)));
	assert_false(same_key(number(INFINITY), number(-INFINITY)));
	assert_false(same_key(string(""), string("\x01")));
	assert_false(same_key((struct wr_cell){.type = WR_T_STR, .str = {"a\0b", 3}}, string("a")));
}

static void test_text_and_bytes_of_the_same_content_are_one_key(void **state)
{
	struct wr_cell bytes = string("abc");

	(void)state;
	bytes.type = WR_T_BYTES;
	assert_true(same_key(bytes, string("abc")));
}

static void refused(struct wr_cell cell, const char *words)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	assert_int_equal(wr_key_put_cell(&b, &cell), WR_EUSER);
	assert_int_equal(b.len, 0);
	assert_string_equal(wr_error_text(), words);
	wr_bytes_deinit(&b);
}

static void test_P6_nil_null_NaN_and_tables_are_no_keys(void **state)
{
	(void)state;
	refused((struct wr_cell){0}, "a key is missing");
	refused((struct wr_cell){.type = WR_T_NULL}, "a key is null");
	refused(number(NAN), "a key is NaN");
	refused((struct wr_cell){.type = WR_T_ANY, .str = {"\x00", 1}}, "a key is missing");
	refused((struct wr_cell){.type = WR_T_ANY, .str = {"\x01", 1}}, "a key is null");
	refused((struct wr_cell){.type = WR_T_ANY, .str = {"\x0b\x00", 2}}, "a key is a table");
	refused((struct wr_cell){.type = WR_T_LIST, .str = {"\x09\x00", 2}}, "a key is a table");
	refused((struct wr_cell){.type = WR_T_MAP, .str = {"\x0a\x00", 2}}, "a key is a table");
	refused((struct wr_cell){.type = WR_T_ROW, .child = 1}, "a key is a table");
}

static struct wr_cell random_part(struct wr_rand *r, struct wr_arena *arena)
{
	struct wr_cell c = {.type = WR_T_BOOL + wr_rand_below(r, 5)};

	if (c.type == WR_T_STR)
		c.str = model_string(r, arena);
	else if (c.type == WR_T_F64)
		do
			c.f64 = model_double(r);
		while (isnan(c.f64));
	else
		c.u64 = c.type == WR_T_BOOL ? wr_rand_below(r, 2) : wr_rand_next(r);
	return c;
}

static void test_random_keys_come_back_as_parts_that_make_the_same_bytes(void **state)
{
	struct wr_rand r = {31};
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &model_mem);
	for (int i = 0; i < 10000; i++) {
		uint32_t count = 1 + wr_rand_below(&r, WR_KEY_PARTS_MAX), read;
		struct wr_bytes first = WR_BYTES_EMPTY, second = WR_BYTES_EMPTY;
		struct wr_cell parts[WR_KEY_PARTS_MAX];

		wr_arena_reset(&arena);
		if (count > 1)
			wr_bytes_put(&first, (uint8_t[]){'t', (uint8_t)count}, 2);
		for (uint32_t n = 0; n < count; n++) {
			struct wr_cell part = random_part(&r, &arena);

			assert_int_equal(wr_key_put_cell(&first, &part), WR_OK);
		}
		assert_int_equal(wr_key_parts(first.data, (uint32_t)first.len, parts, &read), WR_OK);
		assert_int_equal(read, count);
		if (count > 1)
			wr_bytes_put(&second, (uint8_t[]){'t', (uint8_t)count}, 2);
		for (uint32_t n = 0; n < count; n++)
			assert_int_equal(wr_key_put_cell(&second, &parts[n]), WR_OK);
		assert_int_equal(first.len, second.len);
		assert_memory_equal(first.data, second.data, first.len);
		for (uint32_t len = 0; len < first.len; len++)
			assert_int_equal(wr_key_parts(first.data, len, parts, &read), WR_EUSER);
		wr_bytes_deinit(&first);
		wr_bytes_deinit(&second);
	}
	wr_arena_deinit(&arena);
}

#define not_canonical(bytes) check_not_canonical(bytes, sizeof(bytes) - 1)
static void check_not_canonical(const char *bytes, uint32_t len)
{
	struct wr_cell parts[WR_KEY_PARTS_MAX];
	uint32_t count;

	assert_int_equal(wr_key_parts((const uint8_t *)bytes, len, parts, &count), WR_EUSER);
	assert_int_equal(count, 0);
}

static void test_bytes_that_no_key_has_are_refused(void **state)
{
	(void)state;
	not_canonical("");
	not_canonical("x");
	not_canonical("b\x02");
	not_canonical("u\x01\0\0\0\0\0\0\0");
	not_canonical("d\0\0\0\0\0\0\xf0\x3f"); /* 1.0 is 'i' */
	not_canonical("d\0\0\0\0\0\0\0\x80");	/* -0 is 'i' */
	not_canonical("d\0\0\0\0\0\0\xe0\x43"); /* 2^63 is 'u' */
	not_canonical("d\0\0\0\0\0\0\xf8\x7f"); /* NaN */
	not_canonical("s\x80\x00");
	not_canonical("s\x01");
	not_canonical("t\x01"
		      "b\x01");
	not_canonical("t\x11"
		      "b\x01");
	not_canonical("t\x02"
		      "b\x01");
	not_canonical("t\x02"
		      "b\x01t\x02"
		      "b\x01"
		      "b\x01");
	not_canonical("b\x01"
		      "b\x01");
}

static void test_keys_print_as_json(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t len;
		const char *text;
	} cases[] = {
	    {"s\x05"
	     "al\"ce",
	     7, "\"al\\\"ce\""},
	    {"i\x11\0\0\0\0\0\0\0", 9, "17"},
	    {"t\x02s\x01"
	     "ai\x01\0\0\0\0\0\0\0",
	     14, "[\"a\",1]"},
	    {"b\x00", 2, "false"},
	    {"d\0\0\0\0\0\0\xf8\x3f", 9, "1.5"},
	    {"?", 1, "null"},
	};

	(void)state;
	for (size_t i = 0; i < NUMBER_OF(cases); i++) {
		struct wr_bytes text = WR_BYTES_EMPTY;

		wr_key_json((const uint8_t *)cases[i].bytes, cases[i].len, &text);
		wr_bytes_put_u8(&text, 0);
		assert_string_equal((char *)text.data, cases[i].text);
		wr_bytes_deinit(&text);
	}
}

/* ---- key groups ---- */

static void test_P2_the_subtask_of_a_group_is_group_times_parallelism_by_max(void **state)
{
	(void)state;
	assert_int_equal(wr_key_group_subtask(42, 128, 3), 0);
	assert_int_equal(wr_key_group_subtask(43, 128, 3), 1);
	assert_int_equal(wr_key_group_subtask(127, 128, 3), 2);
	assert_int_equal(wr_key_group_subtask(32767, 32768, 32768), 32767);
}

static void ranges_are(uint32_t parallelism, const uint32_t (*expected)[2])
{
	for (uint32_t i = 0; i < parallelism; i++) {
		uint32_t first, last;

		wr_key_group_range(128, parallelism, i, &first, &last);
		assert_int_equal(first, expected[i][0]);
		assert_int_equal(last, expected[i][1]);
	}
}

static void test_P3_key_group_ranges_of_128_groups_at_3_and_5(void **state)
{
	static const uint32_t three[][2] = {{0, 42}, {43, 85}, {86, 127}};
	static const uint32_t five[][2] = {{0, 25}, {26, 51}, {52, 76}, {77, 102}, {103, 127}};

	(void)state;
	ranges_are(3, three);
	ranges_are(5, five);
}

static void test_P3_ranges_cover_all_groups_once_and_agree_with_P2(void **state)
{
	static const uint32_t maxes[] = {1, 2, 7, 128, 129, 1000, 32768};

	(void)state;
	for (size_t m = 0; m < NUMBER_OF(maxes); m++)
		for (uint32_t p = 1; p <= maxes[m]; p += 1 + p / 3) {
			uint32_t next = 0;

			for (uint32_t i = 0; i < p; i++) {
				uint32_t first, last;

				wr_key_group_range(maxes[m], p, i, &first, &last);
				assert_int_equal(first, next);
				assert_int_equal(wr_key_group_subtask(first, maxes[m], p), i);
				assert_int_equal(wr_key_group_subtask(last, maxes[m], p), i);
				next = last + 1;
			}
			assert_int_equal(next, maxes[m]);
		}
}

static void test_P4_default_max_parallelism(void **state)
{
	(void)state;
	assert_int_equal(wr_max_parallelism_default(1), 128);
	assert_int_equal(wr_max_parallelism_default(85), 128);
	assert_int_equal(wr_max_parallelism_default(86), 256);
	assert_int_equal(wr_max_parallelism_default(170), 256);
	assert_int_equal(wr_max_parallelism_default(200), 512);
	assert_int_equal(wr_max_parallelism_default(1000), 2048);
	assert_int_equal(wr_max_parallelism_default(30000), 32768);
	assert_int_equal(wr_max_parallelism_default(32768), 32768);
	assert_int_equal(wr_max_parallelism_default(UINT32_MAX), 32768);
}

static void test_P5_parallelism_is_from_1_to_max_and_max_to_32768(void **state)
{
	(void)state;
	assert_int_equal(wr_parallelism_check(1, 1), WR_OK);
	assert_int_equal(wr_parallelism_check(128, 128), WR_OK);
	assert_int_equal(wr_parallelism_check(32768, 32768), WR_OK);
	assert_int_equal(wr_parallelism_check(0, 128), WR_EUSER);
	assert_int_equal(wr_parallelism_check(-1, 128), WR_EUSER);
	assert_int_equal(wr_parallelism_check(129, 128), WR_EUSER);
	assert_string_equal(wr_error_text(),
			    "parallelism is 129, must be from 1 to max parallelism, which is 128");
	assert_int_equal(wr_parallelism_check(1, 0), WR_EUSER);
	assert_int_equal(wr_parallelism_check(1, 32769), WR_EUSER);
	assert_string_equal(wr_error_text(), "max parallelism is 32769, must be from 1 to 32768");
}

static void test_P1_key_groups_spread_evenly(void **state)
{
	uint32_t counts[128] = {0};

	(void)state;
	for (int i = 0; i < 128000; i++) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		struct wr_cell cell = integer(i);

		wr_key_put_cell(&b, &cell);
		counts[wr_key_group(wr_key_hash(b.data, (uint32_t)b.len), 128)]++;
		wr_bytes_deinit(&b);
	}
	for (int g = 0; g < 128; g++)
		assert_in_range(counts[g], 800, 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_number_is_one_key_whatever_its_type),
	    cmocka_unit_test(test_what_is_not_the_same_is_another_key),
	    cmocka_unit_test(test_text_and_bytes_of_the_same_content_are_one_key),
	    cmocka_unit_test(test_P6_nil_null_NaN_and_tables_are_no_keys),
	    cmocka_unit_test(test_random_keys_come_back_as_parts_that_make_the_same_bytes),
	    cmocka_unit_test(test_bytes_that_no_key_has_are_refused),
	    cmocka_unit_test(test_keys_print_as_json),
	    cmocka_unit_test(test_P1_key_groups_spread_evenly),
	    cmocka_unit_test(test_P2_the_subtask_of_a_group_is_group_times_parallelism_by_max),
	    cmocka_unit_test(test_P3_key_group_ranges_of_128_groups_at_3_and_5),
	    cmocka_unit_test(test_P3_ranges_cover_all_groups_once_and_agree_with_P2),
	    cmocka_unit_test(test_P4_default_max_parallelism),
	    cmocka_unit_test(test_P5_parallelism_is_from_1_to_max_and_max_to_32768),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
