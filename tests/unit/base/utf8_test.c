/* SPDX-License-Identifier: Apache-2.0 */
/* utf8_test: each number that one to four bytes can be written for, is a character exactly where Unicode has
 * one and there is no shorter way to write it. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/utf8.h"

/* The bytes that UTF-8's pattern of `len` bytes has for c, whether or not it may. */
static void spell(uint32_t c, size_t len, uint8_t *p)
{
	static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = len; i-- > 1; c >>= 6)
		p[i] = (uint8_t)(0x80 | (c & 0x3f));
	p[0] = (uint8_t)(first[len] | c);
}

static void test_characters_are_what_unicode_has_in_their_shortest_form(void **state)
{
	static const uint32_t end[] = {0, 0x80, 0x800, 0x10000, 0x200000};

	(void)state;
	for (size_t len = 1; len <= 4; len++) {
		for (uint32_t c = 0; c < end[len]; c++) {
			bool is =
			    c >= (len > 1 ? end[len - 1] : 0) && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
			uint8_t p[4];

			spell(c, len, p);
			assert_int_equal(wr_utf8_len(p, len), is ? len : 0);
		}
	}
}

static void test_a_character_that_is_cut_or_broken_is_none(void **state)
{
	static const char *const texts[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

	(void)state;
	for (size_t t = 0; t < 3; t++) {
		uint8_t p[4];

		for (size_t len = 1; len < t + 2; len++)
			assert_int_equal(wr_utf8_len((const uint8_t *)texts[t], len), 0);
		for (size_t i = 1; i < t + 2; i++) {
			for (int with = 0; with < 256; with++) {
				memcpy(p, texts[t], t + 2);
				p[i] = (uint8_t)with;
				assert_int_equal(wr_utf8_len(p, t + 2) != 0,
						 with >= (i == 1 && t == 2 ? 0x90 : 0x80) && with < 0xc0);
			}
		}
	}
}

static void test_no_character_begins_with_other_bytes(void **state)
{
	(void)state;
	for (int first = 0x80; first < 256; first++) {
		const uint8_t p[] = {(uint8_t)first, 0x80, 0x80, 0x80};

		if (first < 0xc2 || first > 0xf4)
			assert_int_equal(wr_utf8_len(p, sizeof p), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_characters_are_what_unicode_has_in_their_shortest_form),
	    cmocka_unit_test(test_a_character_that_is_cut_or_broken_is_none),
	    cmocka_unit_test(test_no_character_begins_with_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
