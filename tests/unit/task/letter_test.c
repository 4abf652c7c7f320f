/* SPDX-License-Identifier: Apache-2.0 */
/* letter: every type over the wire and back, and what is refused there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "record/value.h"
#include "task/letter.h"

static const enum wr_letter_type types[] = {
    WR_LETTER_STOP,   WR_LETTER_CANCEL,	 WR_LETTER_TRIGGER, WR_LETTER_SPLIT_WANTED,
    WR_LETTER_SPLITS, WR_LETTER_NO_MORE, WR_LETTER_LEAVE,
};
static const struct wr_address somebody = {7, 300, 2};

static struct wr_letter *decode(const struct wr_bytes *b)
{
	struct wr_reader r = wr_reader_of(b->data, b->len);

	return wr_letter_decode(&r);
}

static void every_letter_is_the_same_behind_the_wire(void **state)
{
	struct wr_bytes payload = WR_BYTES_EMPTY, wire = WR_BYTES_EMPTY;
	struct wr_reader r;

	(void)state;
	wr_value_put_record(&payload, 1);
	wr_value_put_name(&payload, "path");
	wr_value_put_strn(&payload, "a\0b", 3);
	for (unsigned i = 0; i < 2 * sizeof types / sizeof *types; i++) {
		struct wr_letter *l =
		    wr_letter_new(types[i / 2], somebody, payload.data, i % 2 ? (uint32_t)payload.len : 0);

		wr_letter_encode(l, &wire);
		wr_letter_free(l);
	}
	r = wr_reader_of(wire.data, wire.len);
	for (unsigned i = 0; i < 2 * sizeof types / sizeof *types; i++) {
		struct wr_letter *l = wr_letter_decode(&r);

		assert_non_null(l);
		assert_int_equal(l->type, types[i / 2]);
		assert_memory_equal(&l->who, &somebody, sizeof somebody);
		assert_int_equal(l->len, i % 2 ? payload.len : 0);
		if (l->len)
			assert_memory_equal(l->payload, payload.data, l->len);
		wr_letter_free(l);
	}
	assert_ptr_equal(r.p, r.end);
	wr_bytes_deinit(&payload);
	wr_bytes_deinit(&wire);
}

/* A letter written by hand. */
static void put(struct wr_bytes *out, uint32_t members, int64_t version, int64_t type)
{
	out->len = 0;
	wr_value_put_list(out, members);
	wr_value_put_i64(out, version);
	wr_value_put_i64(out, type);
	for (uint32_t i = 2; i < members; i++)
		wr_value_put_i64(out, i);
}

static void expect_refusal(const struct wr_bytes *b, const char *text)
{
	assert_null(decode(b));
	assert_int_equal(wr_error_code(), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), text));
}

static void what_this_version_does_not_know_is_refused(void **state)
{
	static const int64_t unknown[] = {0, 16, 63, 73, 1000, INT64_MAX};
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_letter *l;

	(void)state;
	for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		put(&b, 6, WR_LETTER_VERSION, unknown[i]);
		expect_refusal(&b, "same version");
	}
	put(&b, 6, WR_LETTER_VERSION + 1, WR_LETTER_STOP);
	expect_refusal(&b, "version 10");
	put(&b, 9, WR_LETTER_VERSION + 1, 4); /* whatever a later version looks like behind its type */
	expect_refusal(&b, "version 10");
	put(&b, 6, 0, WR_LETTER_STOP);
	expect_refusal(&b, "malformed");
	put(&b, 5, WR_LETTER_VERSION, WR_LETTER_STOP);
	expect_refusal(&b, "malformed");
	put(&b, 6, WR_LETTER_VERSION, WR_LETTER_STOP);
	l = decode(&b);
	assert_non_null(l);
	wr_letter_free(l);
	wr_bytes_deinit(&b);
}

static void bytes_that_are_cut_or_changed_are_a_letter_or_an_error(void **state)
{
	struct wr_letter *l = wr_letter_new(WR_LETTER_SPLITS, somebody, "\7\3abc", 5), *back;
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader r;
	struct wr_rand rand = {1};

	(void)state;
	wr_letter_encode(l, &b);
	wr_letter_free(l);
	for (size_t cut = 0; cut < b.len; cut++) {
		r = wr_reader_of(b.data, cut);
		assert_null(wr_letter_decode(&r));
		assert_int_equal(wr_error_code(), WR_EUSER);
	}
	for (int round = 0; round < 5000; round++) {
		uint8_t *at = b.data + wr_rand_below(&rand, (uint32_t)b.len), was = *at;

		*at = (uint8_t)wr_rand_next(&rand);
		back = decode(&b);
		assert_true(back || wr_error_code() == WR_EUSER);
		wr_letter_free(back);
		*at = was;
	}
	wr_bytes_deinit(&b);
}

static void a_trigger_is_the_same_behind_the_wire(void **state)
{
	struct wr_trigger t = {INT64_MAX, 77, 5}, back = {0};
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	wr_trigger_put(&b, &t);
	assert_int_equal(wr_trigger_parse(b.data, (uint32_t)b.len, &back), WR_OK);
	assert_memory_equal(&t, &back, sizeof t);
	for (uint32_t cut = 0; cut < b.len; cut++)
		assert_int_equal(wr_trigger_parse(b.data, cut, &back), WR_EUSER);
	wr_value_put_nil(&b);
	assert_int_equal(wr_trigger_parse(b.data, (uint32_t)b.len, &back), WR_EUSER);
	b.len = 0;
	wr_trigger_put(&b, &(struct wr_trigger){0, 1, 0});
	assert_int_equal(wr_trigger_parse(b.data, (uint32_t)b.len, &back), WR_EUSER);
	wr_bytes_deinit(&b);
}

static void splits_that_are_given_together_are_one_list(void **state)
{
	static struct wr_mem mem = WR_MEM_INIT("test");
	struct wr_hand hand = {.count = 2};
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_value list;
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &mem);
	wr_value_put_i64(&hand.splits, 5);
	wr_value_put_str(&hand.splits, "x");
	wr_hand_put(&b, &hand);
	assert_true(!hand.count && !hand.splits.len);
	assert_int_equal(wr_hand_parse(b.data, (uint32_t)b.len, &arena, &list), WR_OK);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.items[0].i64, 5);
	assert_string_equal(list.items[1].str.p, "x");
	for (uint32_t cut = 0; cut < b.len; cut++)
		assert_int_equal(wr_hand_parse(b.data, cut, &arena, &list), WR_EUSER);
	b.len = 0;
	wr_value_put_nil(&b);
	assert_int_equal(wr_hand_parse(b.data, (uint32_t)b.len, &arena, &list), WR_EUSER);
	wr_bytes_deinit(&b);
	wr_arena_deinit(&arena);
}

static void a_letter_without_memory_is_an_error(void **state)
{
	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_letter_new(WR_LETTER_SPLITS, somebody, "\0", 1));
	assert_int_equal(wr_error_code(), WR_EFATAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_letter_is_the_same_behind_the_wire),
	    cmocka_unit_test(what_this_version_does_not_know_is_refused),
	    cmocka_unit_test(bytes_that_are_cut_or_changed_are_a_letter_or_an_error),
	    cmocka_unit_test(a_trigger_is_the_same_behind_the_wire),
	    cmocka_unit_test(splits_that_are_given_together_are_one_list),
	    cmocka_unit_test(a_letter_without_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
