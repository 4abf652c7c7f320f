/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: what was put is read again, and nothing behind the end is touched. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/bytes.h"
#include "base/rand.h"
#include "support/failing.h"

enum { PUTS = 400 };
struct put {
	int kind;
	uint64_t bits;
	uint32_t len;
};

/* Numbers of every length. */
static uint64_t any_number(struct wr_rand *r)
{
	return wr_rand_next(r) >> wr_rand_below(r, 64);
}

static void put_one(struct wr_bytes *b, const struct put *p, const char *text)
{
	switch (p->kind) {
	case 0:
		wr_bytes_put_u8(b, (uint8_t)p->bits);
		break;
	case 1:
		wr_bytes_put_u32(b, (uint32_t)p->bits);
		break;
	case 2:
	case 3:
		wr_bytes_put_u64(b, p->bits);
		break;
	case 4:
		wr_bytes_put_varint(b, p->bits);
		break;
	case 5:
		wr_bytes_put_str(b, text, p->len);
		break;
	default:
		wr_bytes_put(b, text, p->len);
	}
}

/* True when the next thing in `r` is p. */
static bool read_one(struct wr_reader *r, const struct put *p, const char *text)
{
	const char *s;
	uint64_t bits;
	size_t len;
	double d;

	switch (p->kind) {
	case 0:
		return wr_read_u8(r) == (uint8_t)p->bits && !r->bad;
	case 1:
		return wr_read_u32(r) == (uint32_t)p->bits && !r->bad;
	case 2:
		return wr_read_u64(r) == p->bits && !r->bad;
	case 3:
		d = wr_read_f64(r);
		memcpy(&bits, &d, 8);
		return bits == p->bits && !r->bad;
	case 4:
		return wr_read_varint(r) == p->bits && !r->bad;
	case 5:
		s = wr_read_str(r, &len);
		return s && len == p->len && !memcmp(s, text, len);
	default:
		s = (const char *)wr_read_bytes(r, p->len);
		return s && !memcmp(s, text, p->len);
	}
}

static void what_was_put_is_read_again(void **state)
{
	static char text[5000];
	struct wr_rand r = {7};

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)wr_rand_next(&r);
	for (int round = 0; round < 50; round++) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		struct wr_reader reader;
		struct put puts[PUTS];

		for (int i = 0; i < PUTS; i++) {
			puts[i] = (struct put){(int)wr_rand_below(&r, 7), any_number(&r),
					       wr_rand_below(&r, wr_rand_below(&r, 20) ? 30 : sizeof text)};
			put_one(&b, &puts[i], text);
		}
		assert_int_equal(wr_bytes_status(&b), WR_OK);
		reader = wr_reader_of(b.data, b.len);
		for (int i = 0; i < PUTS; i++)
			if (!read_one(&reader, &puts[i], text))
				fail_msg("round %d: put %d of kind %d came back different", round, i,
					 puts[i].kind);
		assert_ptr_equal(reader.p, reader.end);
		wr_bytes_deinit(&b);
	}
}

static void a_short_read_is_bad_for_ever(void **state)
{
	const uint8_t bytes[] = {1, 2, 3};
	struct wr_reader r = wr_reader_of(bytes, sizeof bytes);
	size_t len = 9;

	(void)state;
	assert_int_equal(wr_read_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(wr_read_u8(&r), 0);
	assert_int_equal(wr_read_varint(&r), 0);
	assert_true(wr_read_f64(&r) == 0);
	assert_null(wr_read_str(&r, &len));
	assert_int_equal(len, 0);
	assert_null(wr_read_bytes(&r, 0));
}

/* Each cut-off copy lies alone on the heap, so that a sanitizer sees a read behind its end. */
static void every_prefix_ends_in_a_bad_read_within_its_bounds(void **state)
{
	static struct wr_mem mem = WR_MEM_INIT("test.bytes");
	const struct put puts[] = {{4, 1ULL << 63, 0}, {5, 0, 11},  {2, 5, 0},
				   {3, 9, 0},	       {4, 300, 0}, {5, 0, 0}};
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	for (int i = 0; i < 6; i++)
		put_one(&b, &puts[i], "hello world");
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *cut = wr_alloc(&mem, len);
		struct wr_reader r = wr_reader_of(cut, len);
		int good = 0;

		memcpy(cut, b.data, len);
		while (good < 6 && read_one(&r, &puts[good], "hello world"))
			good++;
		assert_true(good < 6);
		assert_true(r.bad);
		assert_true(r.p <= r.end);
		wr_free(&mem, cut);
	}
	wr_bytes_deinit(&b);
}

static void a_varint_of_more_than_64_bits_is_bad(void **state)
{
	const uint8_t max[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
	const uint8_t over[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 2};
	const uint8_t endless[] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0};
	struct wr_reader r = wr_reader_of(max, sizeof max);

	(void)state;
	assert_true(wr_read_varint(&r) == UINT64_MAX);
	assert_false(r.bad);
	r = wr_reader_of(over, sizeof over);
	wr_read_varint(&r);
	assert_true(r.bad);
	r = wr_reader_of(endless, sizeof endless);
	wr_read_varint(&r);
	assert_true(r.bad);
}

static void a_string_longer_than_its_input_is_bad(void **state)
{
	const uint8_t bytes[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'x'};
	struct wr_reader r = wr_reader_of(bytes, sizeof bytes);
	size_t len;

	(void)state;
	assert_null(wr_read_str(&r, &len));
	assert_true(r.bad);
}

static void printing_appends_without_a_final_zero(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	for (int i = 0; i < 100; i++)
		wr_bytes_printf(&b, "%d,", i);
	wr_bytes_printf(&b, "%s", "");
	assert_int_equal(b.len, 290);
	assert_memory_equal(b.data, "0,1,2,", 6);
	assert_memory_equal(b.data + b.len - 6, "98,99,", 6);
	wr_bytes_deinit(&b);
}

static void json_of(const char *s, size_t len, const char *expected)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	wr_bytes_put_json(&b, s, len);
	wr_bytes_put_u8(&b, 0);
	assert_string_equal((char *)b.data, expected);
	wr_bytes_deinit(&b);
}

static void json_strings_escape_what_they_must(void **state)
{
	(void)state;
	json_of("", 0, "\"\"");
	json_of("plain", 5, "\"plain\"");
	json_of("a\"b\\c\n\t\r\b\f", 10, "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\"");
	json_of("\0\1\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\"");
	json_of("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\x89", 15,
		"\"Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\x89\"");
}

#define BAD "\xef\xbf\xbd"
static void json_strings_replace_what_is_not_utf8(void **state)
{
	(void)state;
	json_of("\xff", 1, "\"" BAD "\"");
	json_of("a\x80z", 3, "\"a" BAD "z\"");
	json_of("\xc0\xaf", 2, "\"" BAD BAD "\"");		   /* overlong */
	json_of("\xe0\x9f\xbf", 3, "\"" BAD BAD BAD "\"");	   /* overlong */
	json_of("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");	   /* a surrogate */
	json_of("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""); /* beyond U+10FFFF */
	json_of("\xe2\x82", 2, "\"" BAD BAD "\"");		   /* cut off */
}

static void a_refused_put_fails_all_further_ones(void **state)
{
	(void)state;
	for (struct failing f = failing_begin(); failing_next(&f);) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		size_t len = 0;
		bool was_bad = false;
		int rc;

		for (int i = 0; i < 300; i++) {
			wr_bytes_printf(&b, "%d", i);
			wr_bytes_put_varint(&b, (uint64_t)i << 50);
			wr_bytes_put_str(&b, "abc", 3);
			assert_true(!was_bad || b.len == len);
			len = b.len;
			was_bad = b.failed;
		}
		rc = wr_bytes_status(&b);
		wr_bytes_deinit(&b);
		failing_check(&f, rc == WR_OK);
	}
}

static void room_beyond_the_machine_is_an_error(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	assert_null(wr_bytes_room(&b, SIZE_MAX));
	assert_true(b.failed);
	assert_int_equal(wr_bytes_status(&b), WR_EFATAL);
	wr_bytes_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_put_is_read_again),
	    cmocka_unit_test(a_short_read_is_bad_for_ever),
	    cmocka_unit_test(every_prefix_ends_in_a_bad_read_within_its_bounds),
	    cmocka_unit_test(a_varint_of_more_than_64_bits_is_bad),
	    cmocka_unit_test(a_string_longer_than_its_input_is_bad),
	    cmocka_unit_test(printing_appends_without_a_final_zero),
	    cmocka_unit_test(json_strings_escape_what_they_must),
	    cmocka_unit_test(json_strings_replace_what_is_not_utf8),
	    cmocka_unit_test(a_refused_put_fails_all_further_ones),
	    cmocka_unit_test(room_beyond_the_machine_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
