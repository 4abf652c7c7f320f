/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate: running values per key against plain arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "operator/operators.h"
#include "record/row.h"

enum { KEYS = 50, ROWS = 5000, OUT = 4 << 20 };

struct bench {
	struct wr_stage stage;
	struct wr_stage_env env;
	struct wr_clock clock;
	struct wr_out out, *outs[1];
	struct wr_op_stats stats;
	struct wr_value options, keys[5], items[5], key_as;
	uint8_t *room;
	uint32_t shape;
};

static struct wr_value text(const char *s)
{
	return (struct wr_value){.tag = WR_V_STR, .str = {s, (uint32_t)strlen(s)}};
}

static void option(struct bench *b, const char *name, struct wr_value v)
{
	b->keys[b->options.count] = text(name);
	b->items[b->options.count++] = v;
}

static struct bench *bench_new(const char *fn, const char *emit, uint32_t value_type)
{
	static struct wr_state_desc desc = {.name = "value", .kind = WR_STATE_VALUE};
	static struct wr_mem account = WR_MEM_INIT("test.state");
	static const struct wr_str key = {"k", 1};
	struct wr_field_spec f[] = {{"k", 1, WR_T_F64, 0}, {"v", 1, value_type, 0}};
	struct wr_store_options so = {.operator_uid = "a",
				      .states = &desc,
				      .state_count = 1,
				      .max_parallelism = 128,
				      .group_last = 127,
				      .mem = &account};
	struct bench *b = calloc(1, sizeof *b);

	b->room = malloc(OUT);
	wr_clock_manual_init(&b->clock, 1, 1);
	b->shape = wr_shape_intern(f, 2, 0, 0);
	b->key_as =
	    (struct wr_value){.tag = WR_V_LIST, .count = 1, .items = calloc(1, sizeof(struct wr_value))};
	b->key_as.items[0] = text("k");
	b->options = (struct wr_value){.tag = WR_V_RECORD, .keys = b->keys, .items = b->items};
	option(b, "emit", text(emit));
	option(b, "field", text("v"));
	option(b, "fn", text(fn));
	option(b, "key_as", b->key_as);
	b->out = (struct wr_out){b->room, b->room + OUT, 0};
	b->outs[0] = &b->out;
	b->stats.name = "agg";
	b->env = (struct wr_stage_env){.job = "t", .task = "t", .parallelism = 1, .clock = &b->clock};
	b->stage = (struct wr_stage){.env = &b->env,
				     .options = &b->options,
				     .outs = b->outs,
				     .out_count = 1,
				     .dead_letter = -1,
				     .ops_stats = &b->stats,
				     .ops_count = 1,
				     .store = wr_store_new(&so),
				     .keyer = wr_keyer_new(&key, 1),
				     .watermark = WR_TS_NONE,
				     .deadline_ms = INT64_MAX,
				     .step_until_ns = UINT64_MAX};
	for (unsigned i = 0; i < wr_operator_kinds_count; i++)
		if (!strcmp(wr_operator_kinds[i].kind, "aggregate"))
			b->stage.ops = wr_operator_kinds[i].ops;
	assert_int_equal(b->stage.ops->open(&b->stage), WR_OK);
	return b;
}

static void bench_free(struct bench *b)
{
	b->stage.ops->free(&b->stage);
	wr_store_free(b->stage.store);
	wr_keyer_free(b->stage.keyer);
	free(b->key_as.items);
	free(b->room);
	free(b);
}

static void send(struct bench *b, struct wr_bytes *rows)
{
	struct wr_rows r = {rows->data, rows->data + rows->len, 0, 0};

	assert_int_equal(b->stage.ops->rows(&b->stage, &r), WR_OK);
	assert_ptr_equal(r.p, r.end);
}

static void put(struct bench *b, struct wr_bytes *rows, uint32_t key, struct wr_cell v, int64_t ts)
{
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = key}, v};

	wr_row_put(rows, b->shape, WR_INSERT, ts, cells);
}

/* Field `name` of the result at `e`. */
static struct wr_cell result(const struct wr_elem *e, const char *name)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(e));
	int32_t i = wr_shape_find(s, name, (uint32_t)strlen(name));

	assert_true(i >= 0);
	return wr_row_get(s, wr_elem_body(e), (uint32_t)i);
}

static double as_double(struct wr_cell c)
{
	return c.type == WR_T_I64 ? (double)c.i64 : c.f64;
}

static void updates_agree_with(const char *fn, const char *as,
			       double (*step)(double acc, double v, bool fresh))
{
	struct bench *b = bench_new(fn, "update", WR_T_F64);
	struct wr_bytes rows = WR_BYTES_EMPTY;
	struct wr_rand r = {3};
	double acc[KEYS], want[ROWS];
	bool seen[KEYS] = {0};
	const struct wr_elem *e = (const struct wr_elem *)b->room;

	for (int i = 0; i < ROWS; i++) {
		uint32_t k = wr_rand_below(&r, KEYS);
		double v = (double)wr_rand_below(&r, 1000) - 500;

		put(b, &rows, k, (struct wr_cell){.type = WR_T_F64, .f64 = v}, i);
		want[i] = acc[k] = step(acc[k], v, !seen[k]);
		seen[k] = true;
	}
	send(b, &rows);
	assert_int_equal(b->out.rows, ROWS);
	for (int i = 0; i < ROWS; i++, e = wr_elem_next(e)) {
		assert_true(as_double(result(e, as)) == want[i]);
		assert_int_equal(e->ts, i); /* S18 */
	}
	wr_bytes_deinit(&rows);
	bench_free(b);
}

static double count_step(double acc, double v, bool fresh)
{
	(void)v;
	return fresh ? 1 : acc + 1;
}

static double sum_step(double acc, double v, bool fresh)
{
	return fresh ? v : acc + v;
}

static double min_step(double acc, double v, bool fresh)
{
	return fresh || v < acc ? v : acc;
}

static double max_step(double acc, double v, bool fresh)
{
	return fresh || v > acc ? v : acc;
}

static void s18_every_row_gives_the_running_value_with_its_timestamp(void **state)
{
	(void)state;
	updates_agree_with("count", "count", count_step);
	updates_agree_with("sum", "v", sum_step);
	updates_agree_with("min", "v", min_step);
	updates_agree_with("max", "v", max_step);
}

static void a_sum_of_integers_is_exact_beyond_2_to_the_53(void **state)
{
	struct bench *b = bench_new("sum", "update", WR_T_I64);
	struct wr_bytes rows = WR_BYTES_EMPTY;
	const struct wr_elem *e = (const struct wr_elem *)b->room;
	int64_t big = (INT64_C(1) << 53) + 1;
	struct wr_cell sum;

	(void)state;
	put(b, &rows, 1, (struct wr_cell){.type = WR_T_I64, .i64 = big}, 0);
	put(b, &rows, 1, (struct wr_cell){.type = WR_T_I64, .i64 = 2}, 0);
	send(b, &rows);
	sum = result(wr_elem_next(e), "v");
	assert_int_equal(sum.type, WR_T_I64);
	assert_true(sum.i64 == big + 2);
	wr_bytes_deinit(&rows);
	bench_free(b);
}

static void s19_final_gives_one_row_a_key_at_the_end_of_time(void **state)
{
	struct bench *b = bench_new("count", "final", WR_T_F64);
	struct wr_bytes rows = WR_BYTES_EMPTY;
	const struct wr_elem *e = (const struct wr_elem *)b->room;
	int64_t wm = 1000000;
	double total = 0;

	(void)state;
	for (int i = 0; i < ROWS; i++)
		put(b, &rows, (uint32_t)i % KEYS, (struct wr_cell){.type = WR_T_F64, .f64 = 1}, i);
	send(b, &rows);
	assert_int_equal(b->stage.ops->watermark(&b->stage, &wm), WR_OK);
	assert_int_equal(b->out.rows, 0);
	wm = WR_TS_MAX;
	assert_int_equal(b->stage.ops->watermark(&b->stage, &wm), WR_OK);
	assert_int_equal(b->out.rows, KEYS);
	for (int i = 0; i < KEYS; i++, e = wr_elem_next(e))
		total += as_double(result(e, "count"));
	assert_true(total == ROWS);
	wr_bytes_deinit(&rows);
	bench_free(b);
}

static void max_by_gives_the_whole_record_and_the_first_of_equals(void **state)
{
	struct bench *b = bench_new("max_by", "update", WR_T_F64);
	struct wr_bytes rows = WR_BYTES_EMPTY;
	const struct wr_elem *e = (const struct wr_elem *)b->room;

	(void)state;
	put(b, &rows, 1, (struct wr_cell){.type = WR_T_F64, .f64 = 5}, 0);
	put(b, &rows, 1, (struct wr_cell){.type = WR_T_F64, .f64 = 9}, 1);
	put(b, &rows, 1, (struct wr_cell){.type = WR_T_F64, .f64 = 7}, 2);
	send(b, &rows);
	assert_int_equal(b->out.rows, 3);
	for (int i = 0; i < 3; i++, e = wr_elem_next(e)) {
		assert_int_equal(wr_elem_shape(e), b->shape);
		assert_true(result(e, "v").f64 == (i == 0 ? 5 : 9));
	}
	wr_bytes_deinit(&rows);
	bench_free(b);
}

static void a_row_without_the_field_is_a_bad_row_and_the_next_is_counted(void **state)
{
	struct bench *b = bench_new("sum", "update", WR_T_F64);
	struct wr_field_spec f[] = {{"k", 1, WR_T_F64, 0}};
	uint32_t bare = wr_shape_intern(f, 1, 0, 0);
	struct wr_cell key = {.type = WR_T_F64, .f64 = 1};
	struct wr_bytes rows = WR_BYTES_EMPTY;
	struct wr_rows r;

	(void)state;
	wr_row_put(&rows, bare, WR_INSERT, 0, &key);
	put(b, &rows, 1, (struct wr_cell){.type = WR_T_F64, .f64 = 4}, 0);
	r = (struct wr_rows){rows.data, rows.data + rows.len, 0, 0};
	assert_int_equal(b->stage.ops->rows(&b->stage, &r), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "field 'v' is missing"));
	b->stage.on_error = WR_ON_ERROR_SKIP;
	send(b, &rows);
	assert_int_equal(b->out.rows, 1);
	assert_int_equal(wr_metric_get(&b->stats.skipped), 1);
	wr_bytes_deinit(&rows);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s18_every_row_gives_the_running_value_with_its_timestamp),
	    cmocka_unit_test(a_sum_of_integers_is_exact_beyond_2_to_the_53),
	    cmocka_unit_test(s19_final_gives_one_row_a_key_at_the_end_of_time),
	    cmocka_unit_test(max_by_gives_the_whole_record_and_the_first_of_equals),
	    cmocka_unit_test(a_row_without_the_field_is_a_bad_row_and_the_next_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
