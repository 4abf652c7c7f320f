/* SPDX-License-Identifier: Apache-2.0 */
/* part_test: a partition as a split comes back as it was, and each has one reader at any parallelism. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/error.h"
#include "kafka/part.h"

static struct wr_mem mem = WR_MEM_INIT("test.part");

static int parse(const struct wr_bytes *bytes, struct wr_arena *arena, struct wr_kafka_part *out)
{
	struct wr_reader r = wr_reader_of(bytes->data, bytes->len);
	struct wr_value v;

	assert_int_equal(wr_value_parse(&r, arena, &v), WR_OK);
	return wr_kafka_part_of(&v, out);
}

static int there_and_back(const struct wr_kafka_part *part, struct wr_arena *arena, struct wr_kafka_part *out)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	int rc;

	wr_kafka_part_put(&bytes, part);
	assert_int_equal(wr_bytes_status(&bytes), WR_OK);
	rc = parse(&bytes, arena, out);
	wr_bytes_deinit(&bytes);
	return rc;
}

static void test_a_part_comes_back_as_it_was(void **state)
{
	const struct wr_kafka_part parts[] = {{"orders", 0, WR_KAFKA_BEGINNING, INT64_MAX},
					      {"orders", 17, (1ll << 60) + 1, (1ll << 60) + 2},
					      {"a.b_c-d", INT32_MAX, 0, 0},
					      {"x", 1, WR_KAFKA_END, INT64_MAX}};

	(void)state;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		struct wr_kafka_part out;
		struct wr_arena arena;

		wr_arena_init(&arena, &mem);
		assert_int_equal(there_and_back(&parts[i], &arena, &out), WR_OK);
		assert_int_equal(wr_kafka_part_order(&parts[i], &out), 0);
		assert_true(out.from == parts[i].from && out.to == parts[i].to);
		wr_arena_deinit(&arena);
	}
}

/* The position { from=FROM, partition=0, to=9, topic="t" } of a savepoint that was edited. */
static int edited(double from, int64_t *out)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_kafka_part part = {0};
	struct wr_arena arena;
	int rc;

	wr_value_put_record(&bytes, 4);
	wr_value_put_name(&bytes, "from");
	wr_value_put_num(&bytes, from);
	wr_value_put_name(&bytes, "partition");
	wr_value_put_num(&bytes, 0);
	wr_value_put_name(&bytes, "to");
	wr_value_put_i64(&bytes, 9);
	wr_value_put_name(&bytes, "topic");
	wr_value_put_str(&bytes, "t");
	wr_arena_init(&arena, &mem);
	rc = parse(&bytes, &arena, &part);
	*out = part.from;
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&bytes);
	return rc;
}

static void test_a_position_may_be_a_number_of_Lua_if_it_is_an_offset(void **state)
{
	int64_t from;

	(void)state;
	assert_int_equal(edited(5, &from), WR_OK);
	assert_int_equal(from, 5);
	assert_int_equal(edited(5.5, &from), WR_EUSER);
	assert_int_equal(edited(-3, &from), WR_EUSER);
	assert_int_equal(edited(1e300, &from), WR_EUSER);
}

static void test_partitions_of_a_topic_go_round(void **state)
{
	(void)state;
	for (uint32_t p = 1; p <= 7; p++) {
		uint32_t count[7] = {0};

		for (int32_t i = 0; i < 70; i++) {
			uint32_t owner = wr_kafka_part_owner(&(struct wr_kafka_part){"topic", i, 0, 0}, p);

			assert_true(owner < p);
			count[owner]++;
		}
		for (uint32_t i = 0; i < p; i++)
			assert_in_range(count[i], 70 / p, 70 / p + 1);
	}
}

static void test_the_order_is_that_of_topics_then_of_partitions(void **state)
{
	struct wr_kafka_part a = {"a", 9, 0, 0}, b = {"b", 1, 0, 0}, c = {"b", 10, 5, 5};

	(void)state;
	assert_true(wr_kafka_part_order(&a, &b) < 0 && wr_kafka_part_order(&b, &c) < 0);
	assert_true(wr_kafka_part_order(&c, &a) > 0 && wr_kafka_part_compare(&c, &b) > 0);
	assert_int_equal(wr_kafka_part_order(&a, &a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_part_comes_back_as_it_was),
	    cmocka_unit_test(test_a_position_may_be_a_number_of_Lua_if_it_is_an_offset),
	    cmocka_unit_test(test_partitions_of_a_topic_go_round),
	    cmocka_unit_test(test_the_order_is_that_of_topics_then_of_partitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
