/* SPDX-License-Identifier: Apache-2.0 */
/* bad_row: dead letters of a stage that has room for them. */
#include "base/log.h"
#include "unit/task/kit.h"

struct bench {
	_Alignas(8) uint8_t room[8192];
	struct wr_out out, *outs[1];
	struct wr_op_stats stats;
	struct wr_stage_env env;
	struct wr_stage stage;
};

static struct bench *bench_new(void)
{
	struct bench *b = calloc(1, sizeof *b);

	b->out = (struct wr_out){.p = b->room, .end = b->room + sizeof b->room};
	b->outs[0] = &b->out;
	b->stats.name = "parse";
	b->env.task = "task";
	b->stage = (struct wr_stage){.env = &b->env,
				     .outs = b->outs,
				     .out_count = 1,
				     .ops_stats = &b->stats,
				     .ops_count = 1,
				     .on_error = WR_ON_ERROR_DEAD_LETTER};
	wr_log_setup(WR_LOG_OFF, false);
	return b;
}

/* The one dead letter on the bench is `json`. */
static void expect_letter(struct bench *b, const char *json)
{
	const struct wr_elem *row = (const struct wr_elem *)b->room;
	struct wr_bytes text = WR_BYTES_EMPTY;

	assert_int_equal(b->out.rows, 1);
	assert_ptr_equal(b->out.p, b->room + row->len);
	assert_int_equal(
	    wr_row_verify(wr_shape(wr_elem_shape(row)), wr_elem_body(row), wr_elem_body_len(row)), WR_OK);
	wr_row_json(row, &text);
	wr_bytes_put_u8(&text, 0);
	assert_string_equal((char *)text.data, json);
	wr_bytes_deinit(&text);
	free(b);
}

/* A row that is one value of `type`. */
static const struct wr_elem *row_of(uint32_t type, int64_t v)
{
	static _Alignas(8) uint8_t row[KIT_ROW];
	struct wr_field_spec f = {"", 0, type, 0};
	struct wr_elem e = {KIT_ROW, wr_shape_intern(&f, 1, 0, 1), 5};

	memcpy(row, &e, sizeof e);
	memcpy(row + sizeof e, &v, sizeof v);
	return (const struct wr_elem *)row;
}

static void put_aside(struct bench *b, const struct wr_elem *row)
{
	assert_int_equal(wr_stage_bad_row(&b->stage, 0, row, NULL, 0, "a.json:3", "no good", WR_EUSER),
			 WR_OK);
}

static void put_bytes_aside(struct bench *b, const char *bytes)
{
	assert_int_equal(
	    wr_stage_bad_row(&b->stage, 0, NULL, bytes, strlen(bytes), NULL, "not JSON", WR_EUSER), WR_OK);
}

static void a_dead_letter_holds_the_record_as_what_it_was(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	put_aside(b, row_of(WR_T_I64, 17));
	expect_letter(b,
		      "{\"error\":\"no good\",\"operator\":\"parse\",\"origin\":\"a.json:3\",\"record\":17}");
}

/* Until the process may have no more. */
static void use_up_all_shapes(void)
{
	char name[16];
	struct wr_field_spec f = {name, 0, WR_T_STR, 0};

	for (int i = 0; i <= WR_SHAPES_MAX; i++) {
		f.name_len = (uint32_t)snprintf(name, sizeof name, "f%d", i);
		wr_shape_intern(&f, 1, 0, 0);
	}
	f.name_len = (uint32_t)snprintf(name, sizeof name, "last");
	assert_int_equal(wr_shape_intern(&f, 1, 0, 0), 0);
}

/* No dead letter before this one had a record of these types. */
static void a_dead_letter_for_which_there_is_no_shape_left_holds_the_record_as_text(void **state)
{
	struct bench *rows = bench_new(), *bytes = bench_new();
	const struct wr_elem *row = row_of(WR_T_BOOL, 1);

	(void)state;
	use_up_all_shapes();
	put_aside(rows, row);
	expect_letter(
	    rows,
	    "{\"error\":\"no good\",\"operator\":\"parse\",\"origin\":\"a.json:3\",\"record\":\"true\"}");
	put_bytes_aside(bytes, "{x");
	expect_letter(bytes,
		      "{\"error\":\"not JSON\",\"operator\":\"parse\",\"origin\":\"\",\"record\":\"{x\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dead_letter_holds_the_record_as_what_it_was),
	    cmocka_unit_test(a_dead_letter_for_which_there_is_no_shape_left_holds_the_record_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
