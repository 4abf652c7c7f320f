/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack_test: messages of MessagePack become rows and rows messages: bytes by hand from the specification,
 * and random values against the library's own reader. */
#include <msgpack.h>
#include "base/rand.h"
#include "module/module.h"
#include "unit/messages.h"

extern const struct wr_module wr_module; /* msgpack/codec.c */

static const struct wr_codec *codec;

static const char *read_one(const char *hex)
{
	void *reader = codec->reader_new(NULL, NULL);

	read_hex(codec, reader, hex);
	codec->reader_free(reader);
	return shown;
}

static const char *written(const char *json)
{
	void *writer = codec->writer_new(NULL);

	write_json(codec, writer, json);
	codec->writer_free(writer);
	return shown;
}

static void test_values_are_as_the_specification_writes_them(void **state)
{
	static const struct {
		const char *hex, *json;
	} cases[] = {
	    {"c0", "null"},
	    {"c2", "false"},
	    {"c3", "true"},
	    {"00", "0"},
	    {"7f", "127"},
	    {"ff", "-1"},
	    {"e0", "-32"},
	    {"cc80", "128"},
	    {"cd0100", "256"},
	    {"ce00010000", "65536"},
	    {"cf0020000000000001", "9007199254740993"},
	    {"cfffffffffffffffff", "18446744073709551615"},
	    {"d0df", "-33"},
	    {"d1ff7f", "-129"},
	    {"d2ffff7fff", "-32769"},
	    {"d38000000000000000", "-9223372036854775808"},
	    {"ca3fc00000", "1.5"},
	    {"cb3fb999999999999a", "0.1"},
	    {"a0", "\"\""},
	    {"a3666f6f", "\"foo\""},
	    {"90", "[]"},
	    {"9301c0a161", "[1,null,\"a\"]"},
	    {"82a16101a16293c2c390", "{\"a\":1,\"b\":[false,true,[]]}"},
	    {"80", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_string_equal(read_one(cases[i].hex), cases[i].json);
		assert_string_equal(written(cases[i].json), cases[i].hex);
	}
}

static void test_longer_forms_than_needed_are_read(void **state)
{
	(void)state;
	assert_string_equal(read_one("d90161"), "\"a\"");
	assert_string_equal(read_one("da000161"), "\"a\"");
	assert_string_equal(read_one("db0000000161"), "\"a\"");
	assert_string_equal(read_one("c40161"), "\"a\"");
	assert_string_equal(read_one("c5000161"), "\"a\"");
	assert_string_equal(read_one("c60000000161"), "\"a\"");
	assert_string_equal(read_one("dc000101"), "[1]");
	assert_string_equal(read_one("dd0000000101"), "[1]");
	assert_string_equal(read_one("de0001a16101"), "{\"a\":1}");
	assert_string_equal(read_one("df00000001d9016101"), "{\"a\":1}");
	assert_string_equal(read_one("d30000000000000001"), "1");
}

static void test_bytes_that_are_no_value_are_told_with_field_and_byte(void **state)
{
	char deep[2 * 80 + 1];

	(void)state;
	assert_string_equal(read_one(""), "! MessagePack: at byte 1: the message ends before a value");
	assert_string_equal(read_one("0000"), "! MessagePack: at byte 2: more bytes than one value has");
	assert_string_equal(read_one("81a1619201c1"),
			    "! MessagePack: field 'a[1]', at byte 7: the byte 0xc1 begins no value");
	assert_has(read_one("8101c0"), "a key that is no string");
	assert_has(read_one("81a261"), "ends inside a string");
	assert_has(read_one("82a161"), "more members than bytes");
	assert_has(read_one("ddffffffff"), "more members than bytes");
	assert_has(read_one("cd01"), "ends inside a number");
	assert_has(read_one("d6ff00000000"), "extension types are not read");
	for (int i = 0; i < 80; i++)
		memcpy(deep + 2 * i, "91", 3);
	assert_has(read_one(deep), "nested too deep");
}

static void test_what_others_may_write_is_read_or_refused_as_a_whole(void **state)
{
	static const char *const extensions[] = {"c7 00 05", "c8 0000 05", "c9 00000000 05", "d4 05 00",
						 "d5 05 0000"};

	(void)state;
	/* of a key that stands twice the last, as in JSON */
	assert_string_equal(read_one("82 a161 01 a161 02"), "{\"a\":2}");
	assert_string_equal(read_one("82 a0 01 a2c3a9 02"), "{\"\":1,\"\xc3\xa9\":2}");
	/* any NaN is one, and JSON has none */
	assert_string_equal(read_one("cb fff8000000000001"), "null");
	assert_string_equal(read_one("ca ff800000"), "null");
	/* lengths that lie, up to the largest */
	assert_has(read_one("dbffffffff61"), "ends inside a string");
	assert_has(read_one("c6ffffffff61"), "ends inside a string");
	assert_has(read_one("c4"), "ends inside a number");
	assert_has(read_one("df ffffffff a161 01"), "more members than bytes");
	assert_has(read_one("81 dbffffffff61"), "ends inside a string");
	assert_has(read_one("81 a161"), "ends before a value");
	assert_has(read_one("92 92 0101 93 0101"), "more members than bytes");
	for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
		assert_has(read_one(extensions[i]), "extension types are not read");
}

/* ---- random values: what is written is read by the library, which writes it again, and that is read ---- */

static void put_random(struct wr_rand *r, unsigned depth, struct wr_bytes *json)
{
	uint64_t kind = wr_rand_below(r, depth < 4 ? 8 : 6), n;

	switch (kind) {
	case 0:
		wr_bytes_printf(json, "%s", wr_rand_below(r, 2) ? "null" : "true");
		return;
	case 1:
		wr_bytes_printf(json, "%lld", (long long)((int64_t)wr_rand_next(r) >> wr_rand_below(r, 64)));
		return;
	case 2:
		wr_bytes_printf(json, "%llu", (unsigned long long)wr_rand_next(r));
		return;
	case 3:
		wr_bytes_printf(json, "%.17g", (double)wr_rand_next(r) / 3e9);
		return;
	case 4:
	case 5:
		wr_bytes_put_u8(json, '"');
		for (n = wr_rand_below(r, wr_rand_below(r, 8) ? 40 : 400); n; n--)
			wr_bytes_put_u8(json, (uint8_t)('a' + wr_rand_below(r, 26)));
		wr_bytes_put_u8(json, '"');
		return;
	}
	n = wr_rand_below(r, 20);
	wr_bytes_put_u8(json, kind == 6 ? '[' : '{');
	for (uint64_t i = 0; i < n; i++) {
		wr_bytes_printf(json, i ? "," : "");
		if (kind == 7)
			wr_bytes_printf(json, "\"k%03llu\":", (unsigned long long)i);
		put_random(r, depth + 1, json);
	}
	wr_bytes_put_u8(json, kind == 6 ? ']' : '}');
}

static void test_random_values_pass_through_the_library(void **state)
{
	void *reader = codec->reader_new(NULL, NULL), *writer = codec->writer_new(NULL);
	struct wr_rand r = {1};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct wr_bytes json = WR_BYTES_EMPTY, out = WR_BYTES_EMPTY, before = WR_BYTES_EMPTY;
		const struct wr_elem *row;
		msgpack_unpacked theirs;
		msgpack_sbuffer again;
		msgpack_packer packer;
		size_t at = 0;

		put_random(&r, 0, &json);
		wr_bytes_put_u8(&json, 0);
		row = row_of_json((const char *)json.data);
		wr_row_json(row, &before);
		wr_bytes_put_u8(&before, 0);
		assert_int_equal(codec->write(writer, row, &out), WR_OK);
		msgpack_unpacked_init(&theirs);
		assert_int_equal(msgpack_unpack_next(&theirs, (const char *)out.data, out.len, &at),
				 MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(at, out.len);
		msgpack_sbuffer_init(&again);
		msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
		msgpack_pack_object(&packer, theirs.data);
		assert_string_equal(read_bytes(codec, reader, (const uint8_t *)again.data, again.size),
				    (const char *)before.data);
		msgpack_sbuffer_destroy(&again);
		msgpack_unpacked_destroy(&theirs);
		wr_bytes_deinit(&json);
		wr_bytes_deinit(&out);
		wr_bytes_deinit(&before);
	}
	codec->reader_free(reader);
	codec->writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_are_as_the_specification_writes_them),
	    cmocka_unit_test(test_longer_forms_than_needed_are_read),
	    cmocka_unit_test(test_bytes_that_are_no_value_are_told_with_field_and_byte),
	    cmocka_unit_test(test_what_others_may_write_is_read_or_refused_as_a_whole),
	    cmocka_unit_test(test_random_values_pass_through_the_library),
	};

	codec = wr_module.functions;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
