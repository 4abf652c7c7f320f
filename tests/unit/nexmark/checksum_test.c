/* SPDX-License-Identifier: Apache-2.0 */
/* checksum_test: hashes against their definition written down anew, and what is no checksum. */
#include "unit/connect/stand.h"
#include "record/row.h"

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	(void)s;
	(void)wm;
	return WR_OK;
}

struct item {
	double id, weight;
	const char *text;
};

static uint64_t mixed(uint64_t h, uint64_t v)
{
	h ^= v * UINT64_C(0x9E3779B97F4A7C15);
	return (h << 27 | h >> 37) * UINT64_C(0xBF58476D1CE4E5B9);
}

static uint64_t hash_of(uint64_t query, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t h = mixed(mixed(mixed(query, a), b), c);

	return h ^ h >> 29;
}

/* A checksum over id, text and the text's length. */
static struct stand *begin(const char *extra_option, const char *extra_value)
{
	static struct wr_value names[] = {{.tag = WR_V_STR, .str = {"id", 2}},
					  {.tag = WR_V_STR, .str = {"text", 4}},
					  {.tag = WR_V_STR, .str = {"#text", 5}}};
	struct wr_value fields = {.tag = WR_V_LIST, .count = 3, .items = names};
	struct stand *st = stand_new("checksum", 0, 1);

	stand_options(st, "n:query", 7.0, "v:fields", fields, NULL);
	if (extra_option)
		stand_options(st, extra_option, extra_value, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	return st;
}

static int feed(struct stand *st, const struct item *items, uint32_t count)
{
	struct wr_field_spec fields[] = {{.name = "id", .name_len = 2, .type = WR_T_F64},
					 {.name = "text", .name_len = 4, .type = WR_T_STR},
					 {.name = "weight", .name_len = 6, .type = WR_T_F64}};
	uint32_t shape = wr_shape_intern(fields, 3, 0, 0);
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_rows rows;
	int rc;

	for (uint32_t i = 0; i < count; i++) {
		struct wr_cell cells[] = {
		    {.type = WR_T_F64, .f64 = items[i].id},
		    {.type = WR_T_STR, .str = {items[i].text, (uint32_t)strlen(items[i].text)}},
		    {.type = WR_T_F64, .f64 = items[i].weight}};

		wr_row_put(&bytes, shape, WR_INSERT, 0, cells);
	}
	rows = (struct wr_rows){bytes.data, bytes.data + bytes.len, 0, 0};
	rc = st->stage.ops->rows(&st->stage, &rows);
	wr_bytes_deinit(&bytes);
	return rc;
}

/* Ends it, and takes what it says through a total: "rows=N sum=HEX". */
static const char *end(struct stand *st)
{
	static char text[128];
	struct stand *total = stand_new("checksum_total", 0, 1);
	struct wr_rows rows;

	assert_int_equal(st->stage.ops->end(&st->stage), WR_OK);
	rows = (struct wr_rows){st->buffer, st->out.p, 0, 0};
	assert_int_equal(stand_open(total), WR_OK);
	assert_int_equal(total->stage.ops->rows(&total->stage, &rows), WR_OK);
	assert_int_equal(total->stage.ops->end(&total->stage), WR_OK);
	stand_take(total);
	snprintf(text, sizeof text, "%s", stand_text(total));
	stand_free(total);
	stand_free(st);
	return text;
}

static const char *line(uint64_t rows, uint64_t sum)
{
	static char text[128];

	snprintf(text, sizeof text, "\"rows=%llu sum=%016llx\"\n", (unsigned long long)rows,
		 (unsigned long long)sum);
	return text;
}

/* Of "ab": 31 · 97 + 98. Of "zzzzzzzzzz": negative, by overflow. */
static const struct item some[] = {{5, 2, "ab"}, {-1, 3, "zzzzzzzzzz"}, {5, 10, ""}};
enum { AB = 3105, ZS = -1580979136 };

static void test_the_hash_is_the_one_defined_and_order_does_not_matter(void **state)
{
	uint64_t sum =
	    hash_of(7, 5, AB, 2) + hash_of(7, (uint64_t)-1, (uint64_t)(int64_t)ZS, 10) + hash_of(7, 5, 0, 0);
	struct item turned[] = {some[2], some[0], some[1]};
	struct stand *st = begin(NULL, NULL);

	(void)state;
	assert_int_equal(feed(st, some, 3), WR_OK);
	assert_string_equal(end(st), line(3, sum));
	st = begin(NULL, NULL);
	assert_int_equal(feed(st, turned, 3), WR_OK);
	assert_string_equal(end(st), line(3, sum));
}

static void test_a_weight_multiplies_the_hash(void **state)
{
	struct stand *st = begin("s:weight", "weight");

	(void)state;
	assert_int_equal(feed(st, some, 1), WR_OK);
	assert_int_equal(feed(st, some + 2, 1), WR_OK);
	assert_string_equal(end(st), line(2, 2 * hash_of(7, 5, AB, 2) + 10 * hash_of(7, 5, 0, 0)));
}

static void test_only_the_last_row_of_a_value_counts(void **state)
{
	struct stand *st = begin("s:last_of", "id");
	struct item many[100];
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		many[i] = (struct item){i % 20, 0, i < 80 ? "old" : "ab"};
		sum += i < 80 ? 0 : hash_of(7, (uint64_t)i % 20, AB, 2);
	}
	assert_int_equal(feed(st, many, 100), WR_OK);
	assert_string_equal(end(st), line(100, sum));
}

static void test_nothing_is_no_rows_and_zero(void **state)
{
	(void)state;
	assert_string_equal(end(begin(NULL, NULL)), line(0, 0));
}

static void test_a_fraction_and_a_missing_field_are_errors(void **state)
{
	struct item half = {0.5, 1, "x"};
	struct stand *st = begin(NULL, NULL);

	(void)state;
	assert_int_equal(feed(st, &half, 1), WR_EUSER);
	assert_string_equal(wr_error_text(), "field 'id' is 0.5: a checksum takes whole numbers");
	stand_free(st);
	st = begin("s:weight", "mass");
	assert_int_equal(feed(st, some, 1), WR_EUSER);
	assert_string_equal(wr_error_text(), "a row without the field 'mass' that its checksum needs");
	stand_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_hash_is_the_one_defined_and_order_does_not_matter),
	    cmocka_unit_test(test_a_weight_multiplies_the_hash),
	    cmocka_unit_test(test_only_the_last_row_of_a_value_counts),
	    cmocka_unit_test(test_nothing_is_no_rows_and_zero),
	    cmocka_unit_test(test_a_fraction_and_a_missing_field_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
