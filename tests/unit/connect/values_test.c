/* SPDX-License-Identifier: Apache-2.0 */
/* values_test: what is written into a job comes out as rows. */
#include "unit/connect/stand.h"

static struct wr_mem test_mem = WR_MEM_INIT("test");

/* {a = 1, b = "x", list = {true, null}, nested = {z = 2^63 - 1}}, "plain", 2.5, {{}} */
static void put_sample(struct wr_bytes *b)
{
	wr_value_put_list(b, 4);
	wr_value_put_record(b, 4);
	wr_value_put_name(b, "a");
	wr_value_put_num(b, 1);
	wr_value_put_name(b, "b");
	wr_value_put_str(b, "x");
	wr_value_put_name(b, "list");
	wr_value_put_list(b, 2);
	wr_value_put_bool(b, true);
	wr_bytes_put_u8(b, WR_V_NULL);
	wr_value_put_name(b, "nested");
	wr_value_put_record(b, 1);
	wr_value_put_name(b, "z");
	wr_value_put_i64(b, INT64_MAX);
	wr_value_put_str(b, "plain");
	wr_value_put_num(b, 2.5);
	wr_value_put_list(b, 1);
	wr_value_put_record(b, 0);
}

static struct stand *sample(struct wr_arena *arena, struct wr_value *list, uint32_t subtask,
			    uint32_t parallelism)
{
	struct stand *st = stand_new("values", subtask, parallelism);
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader r;

	put_sample(&b);
	r = wr_reader_of(b.data, b.len);
	wr_arena_init(arena, &test_mem);
	assert_int_equal(wr_value_parse(&r, arena, list), WR_OK);
	stand_options(st, "v:values", *list, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	wr_bytes_deinit(&b);
	return st;
}

static void test_records_become_rows_and_plain_values_scalars(void **state)
{
	struct wr_arena arena;
	struct wr_value list;
	struct stand *st = sample(&arena, &list, 0, 1);
	const struct wr_shape *s;

	(void)state;
	assert_int_equal(st->stage.ops->poll(&st->stage), WR_END);
	s = wr_shape(wr_elem_shape((struct wr_elem *)st->buffer));
	assert_int_equal(s->count, 4);
	assert_int_equal(s->fields[2].type, WR_T_LIST);
	assert_int_equal(s->fields[3].type, WR_T_ROW);
	stand_take(st);
	assert_string_equal(stand_text(st), "{\"a\":1,\"b\":\"x\",\"list\":[true,null],\"nested\":{\"z\":"
					    "9223372036854775807}}\n\"plain\"\n2.5\n[{}]\n");
	stand_free(st);
	wr_arena_deinit(&arena);
}

static void test_every_value_goes_to_one_subtask(void **state)
{
	struct wr_arena arena;
	struct wr_value list;
	struct stand *st = sample(&arena, &list, 1, 3);

	(void)state;
	assert_int_equal(stand_run(st), WR_END);
	assert_string_equal(stand_text(st), "\"plain\"\n");
	stand_free(st);
	wr_arena_deinit(&arena);
}

static void test_no_values_end_at_once(void **state)
{
	struct stand *st = stand_new("values", 0, 1);

	(void)state;
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_END);
	stand_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records_become_rows_and_plain_values_scalars),
	    cmocka_unit_test(test_every_value_goes_to_one_subtask),
	    cmocka_unit_test(test_no_values_end_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
