/* SPDX-License-Identifier: Apache-2.0 */
/* shape_test: equal shapes are one, from whatever thread and in whatever order they come. The last test
 * fills the table of this process, so what needs new shapes stands before it. */
#include <pthread.h>
#include "unit/record/model.h"

static uint32_t shape_of(const char *const *names, const uint32_t *types, uint32_t count, uint32_t nullable)
{
	struct wr_field_spec specs[16];

	for (uint32_t i = 0; i < count; i++)
		specs[i] = (struct wr_field_spec){names[i], (uint32_t)strlen(names[i]), types[i], 0};
	return wr_shape_intern(specs, count, nullable, 0);
}

static void says(const char *words)
{
	if (!strstr(wr_error_text(), words))
		fail_msg("'%s' does not say '%s'", wr_error_text(), words);
}

static void test_shape_1_is_the_scalar_of_any_type_before_anything_is_interned(void **state)
{
	const struct wr_shape *s = wr_shape(WR_SHAPE_ANY);
	struct wr_field_spec any = {"", 0, WR_T_ANY, 0};

	(void)state;
	assert_int_equal(wr_shape_count(), 1);
	assert_int_equal(s->id, WR_SHAPE_ANY);
	assert_int_equal(s->count, 1);
	assert_int_equal(s->scalar, 1);
	assert_int_equal(s->fields[0].type, WR_T_ANY);
	assert_int_equal(wr_shape_intern(&any, 1, 0, 1), WR_SHAPE_ANY);
	assert_null(wr_shape(0));
	assert_null(wr_shape(2));
	assert_null(wr_shape(UINT32_MAX));
}

static void test_the_order_of_fields_does_not_matter(void **state)
{
	const char *const forth[] = {"user", "amount", "ts"}, *const back[] = {"ts", "amount", "user"};
	const uint32_t types[] = {WR_T_STR, WR_T_F64, WR_T_I64}, sepyt[] = {WR_T_I64, WR_T_F64, WR_T_STR};
	uint32_t id = shape_of(forth, types, 3, 0);
	const struct wr_shape *s = wr_shape(id);

	(void)state;
	assert_int_equal(shape_of(back, sepyt, 3, 0), id);
	assert_string_equal(s->fields[0].name, "amount");
	assert_string_equal(s->fields[1].name, "ts");
	assert_string_equal(s->fields[2].name, "user");
	assert_int_equal(wr_shape_find(s, "amount", 6), 0);
	assert_int_equal(wr_shape_find(s, "user", 4), 2);
	assert_int_equal(wr_shape_find(s, "use", 3), -1);
	assert_int_equal(wr_shape_find(s, "users", 5), -1);
	assert_int_equal(wr_shape_find(s, "", 0), -1);
}

static void test_another_type_or_nullability_is_another_shape(void **state)
{
	const char *const names[] = {"a", "b"};
	const uint32_t types[] = {WR_T_STR, WR_T_F64}, other[] = {WR_T_STR, WR_T_I64};
	uint32_t id = shape_of(names, types, 2, 0), nullable = shape_of(names, types, 2, 1);

	(void)state;
	assert_int_not_equal(shape_of(names, other, 2, 0), id);
	assert_int_not_equal(nullable, id);
	assert_int_equal(wr_shape(id)->slots_at, 0);
	assert_int_equal(wr_shape(id)->fixed_len, 16);
	assert_int_equal(wr_shape(nullable)->slots_at, 8);
	assert_int_equal(wr_shape(nullable)->fixed_len, 24);
}

static void test_names_are_bytes_and_may_hold_nul(void **state)
{
	struct wr_field_spec one[] = {{"a\0b", 3, WR_T_F64, 0},
				      {"a", 1, WR_T_F64, 0},
				      {"a\0", 2, WR_T_F64, 0},
				      {"", 0, WR_T_F64, 0},
				      {"\xff", 1, WR_T_F64, 0}};
	const struct wr_shape *s = wr_shape(wr_shape_intern(one, 5, 0, 0));
	static const uint32_t lens[] = {0, 1, 2, 3, 1};

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(s->fields[i].name_len, lens[i]);
	assert_int_equal(wr_shape_find(s, "a\0b", 3), 3);
	assert_int_equal(wr_shape_find(s, "\xff", 1), 4);
	assert_int_equal(wr_shape_find(s, NULL, 0), 0);
}

static void test_hidden_fields_are_counted_where_they_lead(void **state)
{
	const char *const names[] = {"b", "\x01p", "\x01k", "a"};
	const uint32_t types[] = {WR_T_F64, WR_T_F64, WR_T_F64, WR_T_F64};

	(void)state;
	assert_int_equal(wr_shape(shape_of(names, types, 4, 0))->hidden, 2);
	assert_int_equal(wr_shape(shape_of(names + 3, types, 1, 0))->hidden, 0);
}

static void test_what_is_no_shape_is_refused_with_words(void **state)
{
	struct wr_field_spec twice[] = {{"b", 1, WR_T_F64, 0}, {"a", 1, WR_T_F64, 0}, {"b", 1, WR_T_STR, 0}};
	struct wr_field_spec odd = {"x", 1, 12, 0}, none = {"x", 1, 0, 0};
	struct wr_field_spec orphan = {"x", 1, WR_T_ROW, 0}, child = {"x", 1, WR_T_STR, 1};
	struct wr_field_spec unborn = {"x", 1, WR_T_ROW, WR_SHAPES_MAX}, named = {"x", 1, WR_T_STR, 0};
	struct wr_field_spec *many = wr_zalloc(&model_mem, (WR_FIELDS_MAX + 1) * sizeof *many);
	uint32_t count = wr_shape_count();

	(void)state;
	assert_int_equal(wr_shape_intern(twice, 3, 0, 0), 0);
	says("field 'b' stands twice");
	assert_int_equal(wr_shape_intern(&odd, 1, 0, 0), 0);
	says("does not know");
	assert_int_equal(wr_shape_intern(&none, 1, 0, 0), 0);
	assert_int_equal(wr_shape_intern(&orphan, 1, 0, 0), 0);
	says("no child shape");
	assert_int_equal(wr_shape_intern(&unborn, 1, 0, 0), 0);
	assert_int_equal(wr_shape_intern(&child, 1, 0, 0), 0);
	assert_int_equal(wr_shape_intern(&named, 1, 0, 1), 0);
	says("without a name");
	assert_int_equal(wr_shape_intern(many, WR_FIELDS_MAX + 1, 0, 0), 0);
	says("4097 fields");
	assert_int_equal(wr_error_code(), WR_EUSER);
	assert_int_equal(wr_shape_count(), count);
	wr_free(&model_mem, many);
}

static void test_depth_is_bounded(void **state)
{
	struct wr_field_spec leaf = {"leaf", 4, WR_T_F64, 0};
	uint32_t id = wr_shape_intern(&leaf, 1, 0, 0);

	(void)state;
	for (uint32_t depth = 2; depth <= WR_DEPTH_MAX; depth++) {
		struct wr_field_spec wrap = {"in", 2, WR_T_ROW, id};

		id = wr_shape_intern(&wrap, 1, 0, 0);
		assert_int_not_equal(id, 0);
		assert_int_equal(wr_shape(id)->depth, depth);
	}
	leaf = (struct wr_field_spec){"in", 2, WR_T_ROW, id};
	assert_int_equal(wr_shape_intern(&leaf, 1, 0, 0), 0);
	says("nested deeper than 64");
}

/* Children are shared, so a few shapes can stand for a tree that nobody can write down. */
static void test_the_tree_of_a_shape_is_bounded_although_children_are_shared(void **state)
{
	struct wr_field_spec leaf = {"leaf", 4, WR_T_F64, 0};
	uint32_t id = wr_shape_intern(&leaf, 1, 0, 0), levels = 0;

	(void)state;
	while (id) {
		struct wr_field_spec two[] = {{"a", 1, WR_T_ROW, id}, {"b", 1, WR_T_ROW, id}};

		id = wr_shape_intern(two, 2, 0, 0);
		levels++;
	}
	says("nested ones included");
	assert_in_range(levels, 10, 16);
}

static void test_a_shape_is_described_as_a_person_would(void **state)
{
	struct wr_field_spec inner = {"id", 2, WR_T_I64, 0}, scalar = {"", 0, WR_T_STR, 0};
	struct wr_field_spec specs[] = {
	    {"user", 4, WR_T_ROW, 0}, {"amount", 6, WR_T_F64, 0}, {"a b", 3, WR_T_ANY, 0}};
	struct wr_bytes text = WR_BYTES_EMPTY;

	(void)state;
	specs[0].child = wr_shape_intern(&inner, 1, 1, 0);
	wr_shape_describe(wr_shape_intern(specs, 3, 0, 0), &text);
	wr_bytes_put(&text, " ", 1);
	wr_shape_describe(wr_shape_intern(&scalar, 1, 0, 1), &text);
	wr_bytes_put_u8(&text, 0);
	assert_string_equal((char *)text.data, "{\"a b\": any, amount: number, user: {id?: integer}} string");
	wr_bytes_deinit(&text);
}

/* ---- as bytes ---- */

static void test_random_shapes_come_back_from_their_bytes_with_the_same_id(void **state)
{
	struct wr_rand r = {3};
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &model_mem);
	for (int i = 0; i < 300; i++) {
		struct wr_bytes b = WR_BYTES_EMPTY;
		uint32_t id = model_shape(&r, &arena, 40, 3);
		struct wr_reader reader;

		wr_shape_encode(id, &b);
		reader = wr_reader_of(b.data, b.len);
		assert_int_equal(wr_shape_decode(&reader), id);
		assert_ptr_equal(reader.p, reader.end);
		for (size_t len = 0; len < b.len; len++) {
			reader = wr_reader_of(b.data, len);
			assert_int_equal(wr_shape_decode(&reader), 0);
		}
		wr_bytes_deinit(&b);
		wr_arena_reset(&arena);
	}
	wr_arena_deinit(&arena);
}

static void refused(const char *bytes, size_t len)
{
	struct wr_reader r = wr_reader_of(bytes, len);

	wr_error_clear();
	assert_int_equal(wr_shape_decode(&r), 0);
	assert_int_equal(wr_error_code(), WR_EUSER);
}

static void test_bytes_that_are_no_shape_are_refused(void **state)
{
	(void)state;
	refused("\x04\x00", 2); /* flag */
	refused("\x00\x02\x01"
		"b\x03\x01"
		"a\x03",
		8); /* not sorted */
	refused("\x00\x02\x01"
		"a\x03\x01"
		"a\x03",
		8); /* twice */
	refused("\x00\x81\x00\x01"
		"a\x03",
		6); /* a count that is too long */
	refused("\x00\x01\x01"
		"a\x0c",
		5); /* type */
	refused("\x00\x01\x01"
		"a\x0a\x02\x01\x00\x03",
		10); /* a child that is a scalar */
	refused("\x00\xff\xff\x03", 4);
}

static void test_bytes_nested_without_end_are_refused(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	for (int i = 0; i < 100000; i++)
		wr_bytes_put(&b,
			     "\x00\x01\x01"
			     "a\x0a",
			     5);
	refused((char *)b.data, b.len);
	says("too deep");
	wr_bytes_deinit(&b);
}

/* ---- under pressure ---- */

static void test_a_failed_allocation_leaves_the_table_whole(void **state)
{
	uint32_t failures = 0, before = wr_shape_count(), id = 0;

	(void)state;
	for (int n = 1; id == 0; n++) {
		struct wr_field_spec spec = {"scarce", 6, WR_T_F64, 0};
		char big[20000];
		struct wr_field_spec large = {big, sizeof big, WR_T_F64, 0};

		memset(big, 'x', sizeof big);
		wr_mem_fail_at(n);
		id = wr_shape_intern(&large, 1, 0, 0);
		wr_mem_fail_at(0);
		if (id == 0) {
			failures++;
			assert_int_equal(wr_error_code(), WR_EFATAL);
			assert_int_equal(wr_shape_count(), before);
		}
		assert_int_not_equal(wr_shape_intern(&spec, 1, 0, 0), 0);
		before = wr_shape_count();
	}
	assert_true(failures > 0);
}

enum { THREADS = 4, SHAPES = 500 };

static void *intern_many(void *arg)
{
	uint32_t *ids = arg;
	struct wr_rand r = {(uintptr_t)arg};
	uint32_t start = wr_rand_below(&r, SHAPES);

	for (uint32_t n = 0; n < SHAPES; n++) {
		uint32_t i = (start + n) % SHAPES;
		char name[16];
		struct wr_field_spec spec = {name, 0, WR_T_F64, 0};

		spec.name_len = (uint32_t)snprintf(name, sizeof name, "t%u", i);
		ids[i] = wr_shape_intern(&spec, 1, 0, 0);
		if (wr_shape(ids[i])->fields[0].name_len != spec.name_len ||
		    wr_shape(wr_shape_count()) == NULL)
			return "a shape was seen before it was whole";
	}
	return NULL;
}

static void test_threads_that_intern_the_same_shapes_get_the_same_ids(void **state)
{
	static uint32_t ids[THREADS][SHAPES];
	uint32_t before = wr_shape_count();
	pthread_t threads[THREADS];

	(void)state;
	for (int t = 0; t < THREADS; t++)
		pthread_create(&threads[t], NULL, intern_many, ids[t]);
	for (int t = 0; t < THREADS; t++) {
		void *wrong;

		pthread_join(threads[t], &wrong);
		assert_null(wrong);
		assert_memory_equal(ids[t], ids[0], sizeof ids[0]);
	}
	assert_int_equal(wr_shape_count(), before + SHAPES);
}

static void add_memory(const struct wr_mem *mem, void *arg)
{
	if (strcmp(mem->name, "record.shapes") == 0)
		*(int64_t *)arg = mem->bytes;
}

static int64_t shape_memory(void)
{
	int64_t bytes = 0;

	wr_mem_each(add_memory, &bytes);
	return bytes;
}

static uint32_t numbered(uint32_t i)
{
	char name[16];
	struct wr_field_spec spec = {name, 0, WR_T_F64, 0};

	spec.name_len = (uint32_t)snprintf(name, sizeof name, "n%u", i);
	return wr_shape_intern(&spec, 1, 0, 0);
}

static void test_names_that_are_data_meet_the_bound_and_memory_stays_flat(void **state)
{
	uint32_t first = numbered(0), i = 1;
	int64_t full;

	(void)state;
	while (numbered(i))
		i++;
	says("are the names of fields data?");
	assert_int_equal(wr_shape_count(), WR_SHAPES_MAX);
	assert_non_null(wr_shape(WR_SHAPES_MAX));
	full = shape_memory();
	assert_in_range(full, 1, WR_SHAPES_MAX * 256);
	for (uint32_t more = i; more < i + 100000; more++)
		assert_int_equal(numbered(more), 0);
	assert_true(shape_memory() == full);
	assert_int_equal(numbered(0), first);
	assert_int_equal(numbered(i - 1), WR_SHAPES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shape_1_is_the_scalar_of_any_type_before_anything_is_interned),
	    cmocka_unit_test(test_the_order_of_fields_does_not_matter),
	    cmocka_unit_test(test_another_type_or_nullability_is_another_shape),
	    cmocka_unit_test(test_names_are_bytes_and_may_hold_nul),
	    cmocka_unit_test(test_hidden_fields_are_counted_where_they_lead),
	    cmocka_unit_test(test_what_is_no_shape_is_refused_with_words),
	    cmocka_unit_test(test_depth_is_bounded),
	    cmocka_unit_test(test_the_tree_of_a_shape_is_bounded_although_children_are_shared),
	    cmocka_unit_test(test_a_shape_is_described_as_a_person_would),
	    cmocka_unit_test(test_random_shapes_come_back_from_their_bytes_with_the_same_id),
	    cmocka_unit_test(test_bytes_that_are_no_shape_are_refused),
	    cmocka_unit_test(test_bytes_nested_without_end_are_refused),
	    cmocka_unit_test(test_a_failed_allocation_leaves_the_table_whole),
	    cmocka_unit_test(test_threads_that_intern_the_same_shapes_get_the_same_ids),
	    cmocka_unit_test(test_names_that_are_data_meet_the_bound_and_memory_stays_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
