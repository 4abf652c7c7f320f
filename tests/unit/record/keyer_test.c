/* SPDX-License-Identifier: Apache-2.0 */
/* keyer_test: keys out of rows of any shape, held against wr_row_lookup and wr_key_put_cell. */
#include "record/key.h"
#include "unit/record/model.h"

static struct wr_keyer *keyer_of(const char *name)
{
	struct wr_str s = str_of(name);

	return wr_keyer_new(&s, 1);
}

/* `row` keyed by `name` is `json`, or the error that text. */
static void key_is(struct wr_keyer *k, const struct wr_bytes *row, const char *json)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	struct wr_key key;
	int rc = wr_keyer_key(k, elem_of(row), &key);

	if (rc == WR_OK) {
		assert_true(key.hash == wr_key_hash(key.p, key.len));
		wr_key_json(key.p, key.len, &text);
	} else {
		assert_int_equal(rc, WR_EUSER);
		wr_bytes_printf(&text, "%s", wr_error_text());
	}
	wr_bytes_put_u8(&text, 0);
	assert_string_equal((char *)text.data, json);
	wr_bytes_deinit(&text);
}

static void keyed_by(const char *name, const struct wr_bytes *row, const char *json)
{
	struct wr_keyer *k = keyer_of(name);

	key_is(k, row, json);
	key_is(k, row, json); /* the second time the way is known */
	wr_keyer_free(k);
}

static void row1(struct wr_bytes *out, const char *name, struct wr_cell cell)
{
	out->len = 0;
	model_row1(out, name, cell);
}

static void test_every_scalar_field_makes_its_key(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;

	(void)state;
	row1(&row, "k", (struct wr_cell){.type = WR_T_STR, .str = {"alice", 5}});
	keyed_by("k", &row, "\"alice\"");
	row1(&row, "k", (struct wr_cell){.type = WR_T_STR, .str = {"", 0}});
	keyed_by("k", &row, "\"\"");
	row1(&row, "k", (struct wr_cell){.type = WR_T_F64, .f64 = 17});
	keyed_by("k", &row, "17");
	row1(&row, "k", (struct wr_cell){.type = WR_T_F64, .f64 = 1.5});
	keyed_by("k", &row, "1.5");
	row1(&row, "k", (struct wr_cell){.type = WR_T_I64, .i64 = -3});
	keyed_by("k", &row, "-3");
	row1(&row, "k", (struct wr_cell){.type = WR_T_U64, .u64 = UINT64_MAX});
	keyed_by("k", &row, "18446744073709551615");
	row1(&row, "k", (struct wr_cell){.type = WR_T_BOOL, .u64 = 1});
	keyed_by("k", &row, "true");
	row1(&row, "k", (struct wr_cell){.type = WR_T_ANY, .str = {"\x07\x01z", 3}});
	keyed_by("k", &row, "\"z\"");
	wr_bytes_deinit(&row);
}

static void test_strings_of_every_length_are_copied_whole(void **state)
{
	struct wr_keyer *k = keyer_of("k");
	char text[2000];

	(void)state;
	for (uint32_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7 + i / 256);
	for (uint32_t len = 0; len < sizeof text; len++) {
		struct wr_bytes row = WR_BYTES_EMPTY, expected = WR_BYTES_EMPTY;
		struct wr_cell cell = {.type = WR_T_STR, .str = {text, len}};
		struct wr_key key;

		model_row1(&row, "k", cell);
		wr_key_put_cell(&expected, &cell);
		assert_int_equal(wr_keyer_key(k, elem_of(&row), &key), WR_OK);
		assert_int_equal(key.len, expected.len);
		assert_memory_equal(key.p, expected.data, expected.len);
		assert_true(key.hash == wr_key_hash(expected.data, key.len));
		wr_bytes_deinit(&row);
		wr_bytes_deinit(&expected);
	}
	wr_keyer_free(k);
}

static void test_P6_a_key_that_is_none_is_an_error_that_names_the_field(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;

	(void)state;
	row1(&row, "k", (struct wr_cell){.type = WR_T_F64, .f64 = NAN});
	keyed_by("k", &row, "key field 'k' is NaN");
	keyed_by("other", &row, "key field 'other' is missing");
	keyed_by("k.x", &row, "key field 'k.x' is missing");
	row1(&row, "k", (struct wr_cell){.type = WR_T_NULL});
	keyed_by("k", &row, "key field 'k' is null");
	row1(&row, "k", (struct wr_cell){.type = WR_T_LIST, .str = {"\x09\x00", 2}});
	keyed_by("k", &row, "key field 'k' is a table");
	row1(&row, "\x01k", (struct wr_cell){.type = WR_T_ANY, .str = {"\x00", 1}});
	keyed_by("\x01k", &row, "the key is missing");
	wr_bytes_deinit(&row);
}

static void test_an_error_does_not_spoil_the_next_key(void **state)
{
	struct wr_bytes bad = WR_BYTES_EMPTY, good = WR_BYTES_EMPTY;
	struct wr_keyer *k = keyer_of("k");

	(void)state;
	row1(&bad, "k", (struct wr_cell){.type = WR_T_F64, .f64 = NAN});
	row1(&good, "k", (struct wr_cell){.type = WR_T_F64, .f64 = 2});
	key_is(k, &good, "2");
	key_is(k, &bad, "key field 'k' is NaN");
	key_is(k, &good, "2");
	wr_keyer_free(k);
	wr_bytes_deinit(&bad);
	wr_bytes_deinit(&good);
}

/* {user={id=cell}} */
static void nested_row(struct wr_bytes *out, struct wr_cell cell)
{
	struct wr_bytes inner = WR_BYTES_EMPTY;
	struct wr_cell outer = {.type = WR_T_ROW};

	model_row1(&inner, "id", cell);
	outer.child = wr_elem_shape(elem_of(&inner));
	outer.str =
	    (struct wr_str){(char *)inner.data + WR_ELEM_HEADER, (uint32_t)inner.len - WR_ELEM_HEADER};
	row1(out, "user", outer);
	wr_bytes_deinit(&inner);
}

static void test_a_path_leads_into_nested_rows_maps_and_tagged_records(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;

	(void)state;
	nested_row(&row, (struct wr_cell){.type = WR_T_STR, .str = {"bob", 3}});
	keyed_by("user.id", &row, "\"bob\"");
	keyed_by("user", &row, "key field 'user' is a table");
	keyed_by("user.x", &row, "key field 'user.x' is missing");
	row1(&row, "user", (struct wr_cell){.type = WR_T_ANY, .str = {"\x0b\x01\x02id\x03", 6}});
	keyed_by("user.id", &row, "true");
	row1(&row, "user", (struct wr_cell){.type = WR_T_MAP, .str = {"\x0a\x02\x03\x02\x07\x02id\x03", 9}});
	keyed_by("user.id", &row, "true");
	wr_bytes_deinit(&row);
}

static void tagged_row(struct wr_bytes *out, const char *bytes, uint32_t len)
{
	struct wr_cell cell = {.type = WR_T_ANY, .str = {bytes, len}};

	out->len = 0;
	wr_row_put(out, WR_SHAPE_ANY, WR_INSERT, 0, &cell);
}

/* {["a.b"]={id=5}} */
static void test_a_path_may_lead_through_a_field_with_a_dot_in_its_name(void **state)
{
	struct wr_bytes inner = WR_BYTES_EMPTY, row = WR_BYTES_EMPTY;
	struct wr_cell outer = {.type = WR_T_ROW};

	(void)state;
	model_row1(&inner, "id", (struct wr_cell){.type = WR_T_F64, .f64 = 5});
	outer.child = wr_elem_shape(elem_of(&inner));
	outer.str =
	    (struct wr_str){(char *)inner.data + WR_ELEM_HEADER, (uint32_t)inner.len - WR_ELEM_HEADER};
	model_row1(&row, "a.b", outer);
	keyed_by("a.b.id", &row, "5");
	keyed_by("a.b", &row, "key field 'a.b' is a table");
	row1(&row, "a.b",
	     (struct wr_cell){.type = WR_T_ANY,
			      .str = {"\x0b\x01\x03"
				      "c.d\x03",
				      7}});
	keyed_by("a.b.c.d", &row, "true");
	tagged_row(&row,
		   "\x0b\x01\x03"
		   "a.b\x0b\x01\x03"
		   "c.d\x03",
		   13);
	keyed_by("a.b.c.d", &row, "true");
	wr_bytes_deinit(&inner);
	wr_bytes_deinit(&row);
}

static void test_a_field_whose_name_is_the_path_comes_first(void **state)
{
	struct wr_field_spec inner = {"id", 2, WR_T_F64, 0};
	struct wr_field_spec specs[] = {{"user", 4, WR_T_ROW, 0}, {"user.id", 7, WR_T_STR, 0}};
	struct wr_cell in = {.type = WR_T_F64, .f64 = 5}, cells[2] = {{.type = WR_T_ROW}, {.type = WR_T_STR}};
	struct wr_bytes nested = WR_BYTES_EMPTY, row = WR_BYTES_EMPTY;
	uint32_t shape;

	(void)state;
	specs[0].child = cells[0].child = wr_shape_intern(&inner, 1, 0, 0);
	wr_row_put(&nested, specs[0].child, WR_INSERT, 0, &in);
	cells[0].str =
	    (struct wr_str){(char *)nested.data + WR_ELEM_HEADER, (uint32_t)nested.len - WR_ELEM_HEADER};
	cells[1].str = str_of("whole");
	shape = wr_shape_intern(specs, 2, 1, 0);
	wr_row_put(&row, shape, WR_INSERT, 0, cells);
	keyed_by("user.id", &row, "\"whole\"");
	cells[1] = (struct wr_cell){0};
	row.len = 0;
	wr_row_put(&row, shape, WR_INSERT, 0, cells);
	keyed_by("user.id", &row, "5");
	cells[0] = (struct wr_cell){0};
	row.len = 0;
	wr_row_put(&row, shape, WR_INSERT, 0, cells);
	keyed_by("user.id", &row, "key field 'user.id' is missing");
	wr_bytes_deinit(&nested);
	wr_bytes_deinit(&row);
}

static void test_records_of_the_fallback_and_plain_values_have_keys_too(void **state)
{
	struct wr_field_spec spec = {"", 0, WR_T_STR, 0};
	struct wr_cell cell = {.type = WR_T_STR, .str = {"me", 2}};
	struct wr_bytes row = WR_BYTES_EMPTY;

	(void)state;
	tagged_row(&row,
		   "\x0b\x02\x01"
		   "a\x03\x01k\x07\x01v",
		   11);
	keyed_by("k", &row, "\"v\"");
	keyed_by("a", &row, "true");
	keyed_by("b", &row, "key field 'b' is missing");
	tagged_row(&row, "\x0b\x01\x04user\x0b\x01\x02id\x03", 13);
	keyed_by("user.id", &row, "true");
	tagged_row(&row, "\x07\x02me", 4);
	keyed_by("", &row, "\"me\"");
	keyed_by("x", &row, "key field 'x' is missing");
	row.len = 0;
	wr_row_put(&row, wr_shape_intern(&spec, 1, 0, 1), WR_INSERT, 0, &cell);
	keyed_by("", &row, "\"me\"");
	wr_bytes_deinit(&row);
}

static void test_several_fields_make_a_tuple_in_the_order_asked(void **state)
{
	struct wr_field_spec specs[] = {{"a", 1, WR_T_STR, 0}, {"b", 1, WR_T_F64, 0}};
	struct wr_cell cells[] = {{.type = WR_T_STR, .str = {"x", 1}}, {.type = WR_T_F64, .f64 = 1}};
	struct wr_str ab[] = {{"a", 1}, {"b", 1}}, ba[] = {{"b", 1}, {"a", 1}};
	struct wr_keyer *one = wr_keyer_new(ab, 2), *two = wr_keyer_new(ba, 2);
	struct wr_bytes row = WR_BYTES_EMPTY;

	(void)state;
	wr_row_put(&row, wr_shape_intern(specs, 2, 0, 0), WR_INSERT, 0, cells);
	key_is(one, &row, "[\"x\",1]");
	key_is(two, &row, "[1,\"x\"]");
	key_is(one, &row, "[\"x\",1]");
	wr_keyer_free(one);
	wr_keyer_free(two);
	wr_bytes_deinit(&row);
}

/* A name out of the shape: a field, a path through rows, or something that is not there. */
static void random_name(struct wr_rand *r, const struct wr_shape *s, struct wr_bytes *name)
{
	const struct wr_field *f;

	if (s->count == 0 || wr_rand_below(r, 20) == 0) {
		wr_bytes_put(name, "zz.z", 4);
		return;
	}
	f = &s->fields[wr_rand_below(r, s->count)];
	wr_bytes_put(name, f->name, f->name_len);
	if (f->type == WR_T_ROW && wr_rand_below(r, 4)) {
		wr_bytes_put_u8(name, '.');
		random_name(r, wr_shape(f->child), name);
	}
}

/* More shapes than the keyer has lines, so lines are lost and learned again. */
static void test_random_rows_have_the_keys_that_a_lookup_gives(void **state)
{
	enum { SHAPES = 150 };
	struct wr_rand r = {41};
	struct wr_arena shapes_arena, arena;
	uint32_t shapes[SHAPES], keys = 0;

	(void)state;
	wr_arena_init(&shapes_arena, &model_mem);
	wr_arena_init(&arena, &model_mem);
	for (int i = 0; i < SHAPES; i++)
		shapes[i] = model_shape(&r, &shapes_arena, 8, 6);
	for (int k = 0; k < 100; k++) {
		struct wr_bytes name = WR_BYTES_EMPTY;
		struct wr_keyer *keyer;

		random_name(&r, wr_shape(shapes[wr_rand_below(&r, SHAPES)]), &name);
		keyer = wr_keyer_new(&(struct wr_str){(char *)name.data, (uint32_t)name.len}, 1);
		for (int i = 0; i < 100; i++) {
			const struct wr_shape *s = wr_shape(shapes[wr_rand_below(&r, SHAPES)]);
			struct wr_bytes row = WR_BYTES_EMPTY, expected = WR_BYTES_EMPTY;
			struct wr_cell *cells, cell;
			struct wr_key key;
			int rc;

			wr_arena_reset(&arena);
			cells = wr_arena_alloc(&arena, (s->count + 1) * sizeof *cells);
			model_cells(&r, &arena, s, cells);
			wr_row_put(&row, s->id, WR_INSERT, 0, cells);
			cell = wr_row_lookup(elem_of(&row), (char *)name.data, (uint32_t)name.len);
			rc = wr_key_put_cell(&expected, &cell);
			assert_int_equal(wr_keyer_key(keyer, elem_of(&row), &key), rc);
			if (rc == WR_OK) {
				assert_int_equal(key.len, expected.len);
				assert_memory_equal(key.p, expected.data, expected.len);
				keys++;
			}
			wr_bytes_deinit(&row);
			wr_bytes_deinit(&expected);
		}
		wr_keyer_free(keyer);
		wr_bytes_deinit(&name);
	}
	assert_true(keys > 500);
	wr_arena_deinit(&arena);
	wr_arena_deinit(&shapes_arena);
}

/* A row of one of three shapes: {k: number}, {k: string} and {j: number, k: number}. */
static void random_keyed_row(struct wr_rand *r, struct wr_bytes *out)
{
	struct wr_field_spec specs[] = {{"j", 1, WR_T_F64, 0}, {"k", 1, WR_T_F64, 0}};
	struct wr_cell cells[2] = {{.type = WR_T_F64, .f64 = 3}, {.type = WR_T_F64}};
	static const double odd[] = {0, -0.0, -1, 1.5, 0x1p53, -0x1p63, 0x1p63, 1e300, -INFINITY, NAN};
	static const char text[] = "a key of many letters, of which some are too many to be short";

	if (wr_rand_below(r, 3))
		cells[1].f64 = (double)(int64_t)wr_rand_next(r) / (double)(1 + wr_rand_next(r) % 1024);
	else
		cells[1].f64 = odd[wr_rand_below(r, sizeof odd / sizeof *odd)];
	if (wr_rand_below(r, 2))
		cells[1].f64 = trunc(cells[1].f64);
	switch (wr_rand_below(r, 3)) {
	case 0:
		wr_row_put(out, wr_shape_intern(specs + 1, 1, 0, 0), WR_INSERT, 0, cells + 1);
		return;
	case 1:
		wr_row_put(out, wr_shape_intern(specs, 2, 0, 0), WR_INSERT, 0, cells);
		return;
	default:
		model_row1(out, "k",
			   (struct wr_cell){.type = WR_T_STR, .str = {text, wr_rand_below(r, sizeof text)}});
	}
}

static void test_keys_taken_together_are_those_of_each_row(void **state)
{
	enum { ROWS = 20000 };
	struct wr_str names[] = {{"k", 1}, {"k", 1}};
	struct wr_rand r = {17};
	uint32_t none = 0;

	(void)state;
	for (uint32_t parts = 1; parts <= 2; parts++) {
		struct wr_keyer *k = wr_keyer_new(names, parts);
		struct wr_bytes rows = WR_BYTES_EMPTY;
		const uint8_t *p, *end;

		for (int i = 0; i < ROWS; i++)
			random_keyed_row(&r, &rows);
		p = rows.data;
		end = p + rows.len;
		while (p < end) {
			struct wr_short_key keys[WR_KEYS_MAX];
			uint64_t hashes[WR_KEYS_MAX], unknown;
			uint32_t n = wr_keyer_keys(k, p, end, keys);

			assert_true(n > 0);
			assert_int_equal(wr_keyer_hashes(k, p, end, hashes, &unknown), n);
			for (uint32_t i = 0; i < n; i++) {
				const struct wr_elem *row = (const struct wr_elem *)p;
				uint8_t padded[24] = {0};
				struct wr_key key;

				p += row->len;
				assert_int_equal(unknown >> i & 1, keys[i].len == 0);
				if (!keys[i].len) {
					none++;
					continue;
				}
				assert_int_equal(wr_keyer_key(k, row, &key), WR_OK);
				assert_int_equal(keys[i].len, key.len);
				assert_memory_equal(keys[i].bytes, key.p, key.len);
				assert_true(keys[i].hash == wr_key_hash(key.p, key.len));
				assert_true(hashes[i] == keys[i].hash);
				memcpy(padded, key.p, key.len < 24 ? key.len : 24);
				assert_memory_equal(keys[i].bytes, padded, 24);
			}
		}
		wr_bytes_deinit(&rows);
		wr_keyer_free(k);
	}
	assert_in_range(none, ROWS / 10, ROWS);
}

static void test_a_keyer_without_memory_is_none_and_a_large_key_is_an_error(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;
	struct wr_keyer *k;
	struct wr_key key;
	char *big = wr_zalloc(&model_mem, 100000);

	(void)state;
	for (int n = 1; n <= 2; n++) {
		wr_mem_fail_at(n);
		assert_null(keyer_of("k"));
		wr_mem_fail_at(0);
	}
	k = keyer_of("k");
	model_row1(&row, "k", (struct wr_cell){.type = WR_T_STR, .str = {big, 100000}});
	wr_mem_fail_at(1);
	assert_int_equal(wr_keyer_key(k, elem_of(&row), &key), WR_EFATAL);
	wr_mem_fail_at(0);
	assert_int_equal(wr_keyer_key(k, elem_of(&row), &key), WR_OK);
	assert_int_equal(key.len, 100004);
	wr_keyer_free(k);
	wr_keyer_free(NULL);
	wr_bytes_deinit(&row);
	wr_free(&model_mem, big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_scalar_field_makes_its_key),
	    cmocka_unit_test(test_strings_of_every_length_are_copied_whole),
	    cmocka_unit_test(test_P6_a_key_that_is_none_is_an_error_that_names_the_field),
	    cmocka_unit_test(test_an_error_does_not_spoil_the_next_key),
	    cmocka_unit_test(test_a_path_leads_into_nested_rows_maps_and_tagged_records),
	    cmocka_unit_test(test_a_path_may_lead_through_a_field_with_a_dot_in_its_name),
	    cmocka_unit_test(test_a_field_whose_name_is_the_path_comes_first),
	    cmocka_unit_test(test_records_of_the_fallback_and_plain_values_have_keys_too),
	    cmocka_unit_test(test_several_fields_make_a_tuple_in_the_order_asked),
	    cmocka_unit_test(test_random_rows_have_the_keys_that_a_lookup_gives),
	    cmocka_unit_test(test_keys_taken_together_are_those_of_each_row),
	    cmocka_unit_test(test_a_keyer_without_memory_is_none_and_a_large_key_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
