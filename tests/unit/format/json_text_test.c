/* SPDX-License-Identifier: Apache-2.0 */
/* json_text_test: a text is read the same whatever text was read before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "format/json_reader.h"
#include "format/json_text.h"

enum { TEXT_MAX = 256 };

static const char *const texts[] = {
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"\",\"b\":-2.5,\"c\":false,\"d\":null}",
    " {\t\"a\" : \"y z\" , \"b\": 0.125 ,\"c\": true\r, \"d\": null\n} ",
    "{\"a\": \"y\", \"b\": 999999999999999, \"c\": true, \"d\": null}",
    /* numbers */
    "{\"a\":\"x\",\"b\":0,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":-0,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":-0.0,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":0.1,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":123456.7890123,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":0.3333333333333333333,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":1e3,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":9007199254740993,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":18446744073709551615,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":01,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":1.,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":.5,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":-,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":1 2,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":1x,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":1\"x\",\"c\":true,\"d\":null}",
    /* words */
    "{\"a\":\"x\",\"b\":1,\"c\":truex,\"d\":null}",
    "{\"a\":\"x\",\"b\":1,\"c\":tru,\"d\":null}",
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":nulls}",
    "{\"a\":\"x\",\"b\":1,\"c\":null,\"d\":true}",
    /* strings */
    "{\"a\":\"\\\"\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"x\\\\\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"\\u00e4\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"\xc3\xa4,:{}[]\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"\xff\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"\x01\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"x\"y,\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"x\"\"y\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"x,\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":x\"y\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":1\"y\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":null\"y\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\xc2\xa0\"y\",\"b\":1,\"c\":true,\"d\":null}",
    /* names */
    "{\"b\":\"x\",\"a\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"a\":1,\"a\":true,\"a\":null}",
    "{\"\":\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\\\\\":\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\\\"\":\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\\\"\":\"x\",\"b\":2,\"c\":false,\"d\":null}",
    "{\"\\u0061\":\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{a:\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a name of some length\":1,\"another name\":\"x\"}",
    "{\"a name of some lengts\":1,\"another name\":\"x\"}",
    "{\"a name of some length\":2,\"another mame\":\"x\"}",
    "{\"a name of some length\":3,\"another name\":\"\"}",
    /* forms */
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null,}",
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null}}",
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null]",
    "{\"a\":\"x\",\"b\":1,\"c\":true:\"d\":null}",
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\",null}",
    "[\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null",
    "{\"a\":[\"x\"],\"b\":1,\"c\":true,\"d\":null}",
    "{\"a\":{\"b\":1},\"b\":1,\"c\":true,\"d\":{}}",
    "{\"a\":\"x\",\"b\":1,\"c\":true}",
    "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":null,\"e\":1}",
    "{}",
    "[1,[2]]",
    "\"x\"",
    "-0",
    "",
    " ",
};
enum { TEXTS = sizeof texts / sizeof *texts };

struct answer {
	int rc;
	const char *wrong;
	const struct wr_node *nodes;
	size_t count;
};

static struct answer read_text(struct wr_json_text *t, const char *text)
{
	static uint8_t rooms[2][TEXT_MAX + WR_JSON_PADDING];
	static int turn;
	uint8_t *room = rooms[turn ^= 1];
	struct answer a = {0};

	assert_true(strlen(text) <= TEXT_MAX);
	memset(room, '9', sizeof rooms[0]); /* what stands behind a text must not matter */
	memcpy(room, text, strlen(text));
	a.rc = wr_json_text_nodes(t, room, strlen(text), &a.nodes, &a.count, &a.wrong);
	return a;
}

static void same(const struct answer *x, const struct answer *y)
{
	assert_int_equal(x->rc, y->rc);
	if (x->rc != WR_OK) {
		assert_string_equal(x->wrong, y->wrong);
		return;
	}
	assert_int_equal(x->count, y->count);
	for (size_t i = 0; i < x->count; i++) {
		const struct wr_node *n = &x->nodes[i], *m = &y->nodes[i];

		assert_int_equal(n->type, m->type);
		assert_int_equal(n->len, m->len);
		assert_int_equal(n->key_len, m->key_len);
		assert_memory_equal(n->key_len ? n->key : "", m->key_len ? m->key : "", n->key_len);
		if (n->type == WR_T_STR)
			assert_memory_equal(n->str, m->str, n->len);
		else if (n->type != WR_T_ROW && n->type != WR_T_LIST)
			assert_int_equal(n->u64, m->u64);
	}
}

static void after(const char *before, const char *text)
{
	struct wr_json_text *fresh = wr_json_text_new(), *used = wr_json_text_new();
	struct answer expected, found;

	read_text(used, before);
	expected = read_text(fresh, text);
	found = read_text(used, text);
	same(&expected, &found);
	wr_json_text_free(used);
	wr_json_text_free(fresh);
}

static void a_text_is_read_the_same_whatever_text_was_before(void **state)
{
	(void)state;
	for (size_t before = 0; before < TEXTS; before++)
		for (size_t i = 0; i < TEXTS; i++)
			after(texts[before], texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_text_is_read_the_same_whatever_text_was_before),
	};

	return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
