/* SPDX-License-Identifier: Apache-2.0 */
/* row_test: rows hold what was put in, and the check finds every damage. */
#include "unit/record/model.h"

enum { RECORDS = 10000 };

/* Writes `cells`, holds the row against them, and writes it again from what was read. */
static void round_trip(uint32_t shape, const struct wr_cell *cells, struct wr_rand *r)
{
	const struct wr_shape *s = wr_shape(shape);
	struct wr_bytes first = WR_BYTES_EMPTY, second = WR_BYTES_EMPTY;
	struct wr_cell *read = wr_alloc(&model_mem, (s->count + 1) * sizeof *read);
	enum wr_kind kind = (enum wr_kind)wr_rand_below(r, 4);
	int64_t ts = wr_rand_below(r, 2) ? WR_TS_NONE : (int64_t)wr_rand_next(r);
	const struct wr_elem *e;

	wr_row_put(&first, shape, kind, ts, cells);
	e = elem_of(&first);
	assert_int_equal(first.len, e->len);
	assert_int_equal(wr_elem_shape(e), shape);
	assert_int_equal(wr_elem_kind(e), kind);
	assert_true(e->ts == ts);
	if (wr_row_verify(s, wr_elem_body(e), wr_elem_body_len(e)) != WR_OK)
		fail_msg("%s", wr_error_text());
	for (uint32_t i = 0; i < s->count; i++) {
		read[i] = wr_row_get(s, wr_elem_body(e), i);
		assert_true(model_cell_equal(&cells[i], &read[i]));
	}
	wr_row_put(&second, shape, kind, ts, read);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	wr_bytes_deinit(&first);
	wr_bytes_deinit(&second);
	wr_free(&model_mem, read);
}

static void test_random_rows_read_as_they_were_written(void **state)
{
	struct wr_rand r = {1};
	uint32_t shapes[200];
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &model_mem);
	for (size_t i = 0; i < NUMBER_OF(shapes); i++) {
		shapes[i] = model_shape(&r, &arena, 12, 3);
		assert_int_not_equal(shapes[i], 0);
	}
	for (int i = 0; i < RECORDS; i++) {
		uint32_t shape = shapes[wr_rand_below(&r, NUMBER_OF(shapes))];
		struct wr_cell *cells;

		wr_arena_reset(&arena);
		cells = wr_arena_alloc(&arena, (wr_shape(shape)->count + 1) * sizeof *cells);
		model_cells(&r, &arena, wr_shape(shape), cells);
		round_trip(shape, cells, &r);
	}
	wr_arena_deinit(&arena);
}

static void test_rows_of_many_fields_keep_each_and_know_which_are_missing(void **state)
{
	static const uint32_t counts[] = {1, 63, 64, 65, 128, 255, 256, 257, 1000, WR_FIELDS_MAX};
	struct wr_field_spec *specs = wr_alloc(&model_mem, WR_FIELDS_MAX * sizeof *specs);
	struct wr_cell *cells = wr_alloc(&model_mem, WR_FIELDS_MAX * sizeof *cells);
	char(*names)[16] = wr_alloc(&model_mem, WR_FIELDS_MAX * sizeof *names);
	struct wr_rand r = {2};

	(void)state;
	for (size_t c = 0; c < NUMBER_OF(counts); c++) {
		uint32_t shape;

		for (uint32_t i = 0; i < counts[c]; i++) {
			snprintf(names[i], sizeof names[i], "f%05u", i);
			specs[i] = (struct wr_field_spec){names[i], 6, i % 2 ? WR_T_F64 : WR_T_STR, 0};
			cells[i] = (struct wr_cell){.type = specs[i].type};
			if (i % 2)
				cells[i].f64 = i;
			else
				cells[i].str = (struct wr_str){names[i], 6};
			if (wr_rand_below(&r, 2))
				cells[i] = (struct wr_cell){0};
		}
		shape = wr_shape_intern(specs, counts[c], 1, 0);
		assert_int_equal(wr_shape(shape)->slots_at, (counts[c] + 63) / 64 * 8);
		round_trip(shape, cells, &r);
	}
	wr_free(&model_mem, specs);
	wr_free(&model_mem, cells);
	wr_free(&model_mem, names);
}

static void test_integers_beyond_2_53_are_exact(void **state)
{
	static const uint64_t values[] = {(1ULL << 53) + 1, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < NUMBER_OF(values); i++) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		struct wr_cell cell = {.type = i % 2 ? WR_T_U64 : WR_T_I64, .u64 = values[i]};

		model_row1(&b, "n", cell);
		cell = wr_row_get(wr_shape(wr_elem_shape(elem_of(&b))), wr_elem_body(elem_of(&b)), 0);
		assert_true(cell.u64 == values[i]);
		wr_bytes_deinit(&b);
	}
}

/* LuaJIT would take them for values of other types. */
static void test_a_strange_NaN_is_written_as_a_plain_one(void **state)
{
	static const uint64_t strange[] = {0xfff9000000000000, 0xffffffffffffffff, 0x7ff0000000000001,
					   0x7fffffffffffffff, 0xfff8000000000001};

	(void)state;
	for (size_t i = 0; i < NUMBER_OF(strange); i++) {
		struct wr_bytes row = WR_BYTES_EMPTY, value = WR_BYTES_EMPTY;
		struct wr_value v = {.tag = WR_V_F64, .u64 = strange[i]};

		model_row1(&row, "n", (struct wr_cell){.type = WR_T_F64, .u64 = strange[i]});
		assert_memory_equal(row.data + WR_ELEM_HEADER, "\0\0\0\0\0\0\xf8\x7f", 8);
		wr_value_put(&value, &v);
		wr_value_put_num(&value, v.f64);
		assert_memory_equal(value.data, "\x04\0\0\0\0\0\0\xf8\x7f\x04\0\0\0\0\0\0\xf8\x7f", 18);
		wr_bytes_deinit(&row);
		wr_bytes_deinit(&value);
	}
}

static void test_a_row_has_one_byte_string_whatever_the_room_held_before(void **state)
{
	struct wr_field_spec specs[] = {{"a", 1, WR_T_STR, 0}, {"b", 1, WR_T_ROW, 0}, {"c", 1, WR_T_BOOL, 0}};
	struct wr_field_spec inner = {"x", 1, WR_T_STR, 0};
	struct wr_cell in = {.type = WR_T_STR, .str = {"yz", 2}}, cells[3] = {{0}};
	struct wr_bytes nested = WR_BYTES_EMPTY;
	uint8_t one[256], two[256];
	uint32_t shape, len;

	(void)state;
	specs[1].child = wr_shape_intern(&inner, 1, 0, 0);
	shape = wr_shape_intern(specs, 3, 1, 0);
	wr_row_put(&nested, specs[1].child, WR_INSERT, 0, &in);
	cells[0] = (struct wr_cell){.type = WR_T_STR, .str = {"abc", 3}};
	cells[1] = (struct wr_cell){.type = WR_T_ROW, .child = specs[1].child};
	cells[1].str =
	    (struct wr_str){(char *)nested.data + WR_ELEM_HEADER, (uint32_t)nested.len - WR_ELEM_HEADER};
	memset(one, 0x00, sizeof one);
	memset(two, 0xff, sizeof two);
	len = wr_row_len(wr_shape(shape), cells);
	wr_row_write(one, len, wr_shape(shape), WR_INSERT, 5, cells);
	wr_row_write(two, len, wr_shape(shape), WR_INSERT, 5, cells);
	assert_memory_equal(one, two, len);
	assert_true(two[len] == 0xff);
	wr_bytes_deinit(&nested);
}

static void test_a_record_beyond_the_limit_is_refused_with_words(void **state)
{
	struct wr_field_spec specs[] = {{"a", 1, WR_T_STR, 0}, {"b", 1, WR_T_STR, 0}};
	uint32_t shape = wr_shape_intern(specs, 2, 0, 0);
	struct wr_cell cells[2] = {{.type = WR_T_STR, .str = {"", WR_ROW_MAX / 2}},
				   {.type = WR_T_STR, .str = {"", WR_ROW_MAX / 2}}};
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	assert_int_equal(wr_row_len(wr_shape(shape), cells), 0);
	wr_row_put(&b, shape, WR_INSERT, 0, cells);
	assert_true(b.failed);
	assert_non_null(strstr(wr_error_text(), "larger than the limit"));
	wr_bytes_deinit(&b);
}

/* ---- rows from outside ---- */

/* One flat row with every kind of slot; `missing` is its bitmap. */
struct specimen {
	struct wr_bytes bytes;
	const struct wr_shape *shape;
	uint8_t *body;
	size_t len;
};

static struct specimen specimen_make(void)
{
	struct wr_field_spec specs[] = {{"flag", 4, WR_T_BOOL, 0}, {"items", 5, WR_T_LIST, 0},
					{"name", 4, WR_T_STR, 0},  {"none", 4, WR_T_NULL, 0},
					{"user", 4, WR_T_ROW, 0},  {"zip", 3, WR_T_STR, 0}};
	struct wr_field_spec id = {"id", 2, WR_T_ANY, 0};
	struct wr_cell in = {.type = WR_T_ANY, .str = {"\x07\x01x", 3}}, cells[6] = {{0}};
	struct wr_bytes nested = WR_BYTES_EMPTY;
	struct specimen s = {.bytes = WR_BYTES_EMPTY};

	specs[4].child = wr_shape_intern(&id, 1, 0, 0);
	wr_row_put(&nested, specs[4].child, WR_INSERT, 0, &in);
	for (int i = 0; i < 6; i++)
		cells[i] = (struct wr_cell){.type = specs[i].type, .child = specs[i].child};
	cells[0].u64 = 1;
	cells[1].str = (struct wr_str){"\x09\x01\x03", 3};
	cells[2].str = str_of("hello");
	cells[4].str =
	    (struct wr_str){(char *)nested.data + WR_ELEM_HEADER, (uint32_t)nested.len - WR_ELEM_HEADER};
	cells[5] = (struct wr_cell){0};
	s.shape = wr_shape(wr_shape_intern(specs, 6, 1, 0));
	wr_row_put(&s.bytes, s.shape->id, WR_INSERT, 0, cells);
	s.body = s.bytes.data + WR_ELEM_HEADER;
	s.len = s.bytes.len - WR_ELEM_HEADER;
	wr_bytes_deinit(&nested);
	return s;
}

static void refused(struct specimen *s, const char *words)
{
	assert_int_equal(wr_row_verify(s->shape, s->body, s->len), WR_EUSER);
	if (!strstr(wr_error_text(), words))
		fail_msg("'%s' does not say '%s'", wr_error_text(), words);
	wr_bytes_deinit(&s->bytes);
}

static void set_slot(struct specimen *s, uint32_t i, uint32_t at, uint32_t len)
{
	memcpy(s->body + s->shape->slots_at + 8 * i, &at, 4);
	memcpy(s->body + s->shape->slots_at + 8 * i + 4, &len, 4);
}

static void test_the_check_names_the_field_whose_bytes_are_wrong(void **state)
{
	struct specimen s = specimen_make();
	uint32_t at = s.shape->fixed_len;

	(void)state;
	assert_int_equal(wr_row_verify(s.shape, s.body, s.len), WR_OK);
	wr_bytes_deinit(&s.bytes);

	s = specimen_make();
	set_slot(&s, 0, 2, 0);
	refused(&s, "'flag' holds a value that its type does not have");
	s = specimen_make();
	set_slot(&s, 3, 1, 0);
	refused(&s, "'none'");
	s = specimen_make();
	set_slot(&s, 2, at + 3, 4000);
	refused(&s, "'name' does not lie where it should, or leaves the row");
	s = specimen_make();
	set_slot(&s, 2, at, 5);
	refused(&s, "'name'");
	s = specimen_make();
	set_slot(&s, 5, 8, 0);
	refused(&s, "'zip' is missing and has a value");
	s = specimen_make();
	s.body[at] = WR_V_MAP;
	refused(&s, "'items'");
	s = specimen_make();
	s.body[at + 1] = 0;
	refused(&s, "'items' has bytes behind its value");
	s = specimen_make();
	s.body[s.len - 8] = 99;
	refused(&s, "'user.id'");
	s = specimen_make();
	s.body[s.len - 1] = 1;
	refused(&s, "'user' has bytes behind its fields");
	s = specimen_make();
	s.body[0] |= 0x40;
	refused(&s, "missing which it does not have");
	s = specimen_make();
	s.len -= 8;
	refused(&s, "'user'");
	s = specimen_make();
	s.len = 8;
	refused(&s, "cut off");
}

static void test_every_prefix_of_a_row_is_refused(void **state)
{
	struct specimen s = specimen_make();

	(void)state;
	for (size_t len = 0; len < s.len; len++)
		assert_int_equal(wr_row_verify(s.shape, s.body, len), WR_EUSER);
	wr_bytes_deinit(&s.bytes);
}

/* What passes the check is a row: it is written again as the same bytes. */
static void test_a_row_with_flipped_bits_is_refused_or_is_another_row(void **state)
{
	struct specimen s = specimen_make();

	(void)state;
	for (size_t bit = 0; bit < 8 * s.len; bit++) {
		struct wr_bytes again = WR_BYTES_EMPTY;
		struct wr_cell cells[6];

		s.body[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (wr_row_verify(s.shape, s.body, s.len) == WR_OK) {
			for (uint32_t i = 0; i < 6; i++)
				cells[i] = wr_row_get(s.shape, s.body, i);
			wr_row_put(&again, s.shape->id, WR_INSERT, 0, cells);
			assert_int_equal(again.len, s.bytes.len);
			assert_memory_equal(again.data, s.bytes.data, again.len);
		}
		wr_bytes_deinit(&again);
		s.body[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	wr_bytes_deinit(&s.bytes);
}

static void test_a_row_that_gets_no_memory_leaves_what_was_there(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_cell cell = {.type = WR_T_STR, .str = {"0123456789012345678901234567890123456789", 40}};
	size_t len;

	(void)state;
	model_row1(&b, "s", cell);
	len = b.len;
	wr_mem_fail_at(1);
	model_row1(&b, "s", cell);
	wr_mem_fail_at(0);
	assert_int_equal(wr_bytes_status(&b), WR_EFATAL);
	assert_int_equal(b.len, len);
	wr_bytes_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_rows_read_as_they_were_written),
	    cmocka_unit_test(test_rows_of_many_fields_keep_each_and_know_which_are_missing),
	    cmocka_unit_test(test_integers_beyond_2_53_are_exact),
	    cmocka_unit_test(test_a_strange_NaN_is_written_as_a_plain_one),
	    cmocka_unit_test(test_a_row_has_one_byte_string_whatever_the_room_held_before),
	    cmocka_unit_test(test_a_record_beyond_the_limit_is_refused_with_words),
	    cmocka_unit_test(test_the_check_names_the_field_whose_bytes_are_wrong),
	    cmocka_unit_test(test_every_prefix_of_a_row_is_refused),
	    cmocka_unit_test(test_a_row_with_flipped_bits_is_refused_or_is_another_row),
	    cmocka_unit_test(test_a_row_that_gets_no_memory_leaves_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
