/* SPDX-License-Identifier: Apache-2.0 */
/* message: a line of JSON as a value, and its fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "control/message.h"

static struct wr_messages *messages;

static int parse(const char *line, const struct wr_value **out)
{
	return wr_messages_parse(messages, line, strlen(line), out);
}

static void a_line_comes_back_as_it_was_said(void **state)
{
	static const char line[] = "{\"a\":[1,-2.5,\"x\",[],{}],\"b\":{\"c\":true,\"d\":null},\"e\":false,"
				   "\"f\":18446744073709551615}";
	const struct wr_value *v;
	struct wr_bytes tagged = WR_BYTES_EMPTY, json = WR_BYTES_EMPTY;
	struct wr_reader r;

	(void)state;
	assert_int_equal(parse(line, &v), WR_OK);
	assert_int_equal(v->count, 4);
	assert_true(wr_value_get(v, "f")->u64 == UINT64_MAX);
	wr_value_put(&tagged, wr_value_get(v, "a"));
	r = wr_reader_of(tagged.data, tagged.len);
	wr_value_json(&r, &json);
	wr_bytes_put_u8(&json, 0);
	assert_string_equal((char *)json.data, "[1,-2.5,\"x\",[],{}]");
	wr_bytes_deinit(&tagged);
	wr_bytes_deinit(&json);
}

static void fields_are_checked_when_they_are_read(void **state)
{
	const struct wr_value *v;
	const char *text = "unset";
	int64_t n = -1;
	bool flag = true;

	(void)state;
	assert_int_equal(parse("{\"t\":\"x\",\"n\":12,\"f\":false,\"z\":\"a\\u0000b\",\"r\":1.5}", &v),
			 WR_OK);
	assert_int_equal(wr_message_text(v, "none", &text), WR_OK);
	assert_string_equal(text, "unset");
	assert_int_equal(wr_message_text(v, "t", &text), WR_OK);
	assert_string_equal(text, "x");
	assert_int_equal(wr_message_int(v, "n", &n), WR_OK);
	assert_int_equal(n, 12);
	assert_int_equal(wr_message_flag(v, "f", &flag), WR_OK);
	assert_false(flag);
	assert_int_equal(wr_message_text(v, "n", &text), WR_EUSER);
	assert_int_equal(wr_message_text(v, "z", &text), WR_EUSER);
	assert_int_equal(wr_message_int(v, "r", &n), WR_EUSER);
	assert_int_equal(wr_message_int(v, "t", &n), WR_EUSER);
	assert_int_equal(wr_message_flag(v, "n", &flag), WR_EUSER);
	assert_string_equal(wr_error_text(), "\"n\" must be true or false");
}

static void what_is_no_object_or_says_a_field_twice_is_refused(void **state)
{
	static const char *const wrong[] = {
	    "", "7", "[{}]", "{\"a\":1}x", "{\"a\":{\"b\":1,\"b\":2}}", "{\"a\":1,}"};
	const struct wr_value *v;
	char deep[300] = "{\"a\":";

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(parse(wrong[i], &v), WR_EUSER);
	memset(deep + 5, '[', 100);
	memset(deep + 105, ']', 100);
	memcpy(deep + 205, "}", 2);
	assert_int_equal(parse(deep, &v), WR_EUSER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_comes_back_as_it_was_said),
	    cmocka_unit_test(fields_are_checked_when_they_are_read),
	    cmocka_unit_test(what_is_no_object_or_says_a_field_twice_is_refused),
	};
	int failed;

	messages = wr_messages_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wr_messages_free(messages);
	return failed;
}
