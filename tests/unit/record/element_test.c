/* SPDX-License-Identifier: Apache-2.0 */
/* element_test: what is let in from outside the process, and how shapes of another place are translated. */
#include "record/dict.h"
#include "unit/record/model.h"

static void refused(const struct wr_elem *e, size_t len, const struct wr_dict *dict, const char *words)
{
	assert_int_equal(wr_elem_verify((const uint8_t *)e, len, dict), WR_EUSER);
	if (!strstr(wr_error_text(), words))
		fail_msg("'%s' does not say '%s'", wr_error_text(), words);
}

static void test_every_known_event_passes_and_unknown_ones_do_not(void **state)
{
	struct wr_elem e[2] = {{0}};

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		e[0].len = wr_event_put((uint8_t *)e, (enum wr_event_type)type, 5);
		assert_int_equal(wr_event_type(e), type);
		if (type >= 1 && type <= WR_EV_TYPE_MAX)
			assert_int_equal(wr_elem_verify((uint8_t *)e, sizeof e, NULL), WR_OK);
		else
			refused(e, sizeof e, NULL, "does not know");
		e[0].len = 24;
		if (type == WR_EV_BARRIER || type == WR_EV_LATENCY)
			assert_int_equal(wr_elem_verify((uint8_t *)e, sizeof e, NULL), WR_OK);
		else
			assert_int_equal(wr_elem_verify((uint8_t *)e, sizeof e, NULL), WR_EUSER);
	}
}

static void test_lengths_that_cannot_be_are_refused(void **state)
{
	struct wr_elem e[2] = {{0}};

	(void)state;
	wr_event_put((uint8_t *)e, WR_EV_WATERMARK, 5);
	refused(e, 15, NULL, "cut off");
	e[0].len = 15;
	refused(e, 32, NULL, "15 bytes");
	e[0].len = 20;
	refused(e, 32, NULL, "20 bytes");
	e[0].len = 40;
	refused(e, 32, NULL, "40 bytes where 32 are left");
	e[0].len = 0;
	refused(e, 32, NULL, "0 bytes");
}

static void test_rows_need_a_known_shape_and_kind(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;
	struct wr_elem *e;

	(void)state;
	model_row1(&row, "a", (struct wr_cell){.type = WR_T_F64, .f64 = 1});
	e = (struct wr_elem *)row.data;
	assert_int_equal(wr_elem_verify(row.data, row.len, NULL), WR_OK);
	e->tag |= 3u << 24;
	assert_int_equal(wr_elem_verify(row.data, row.len, NULL), WR_OK);
	e->tag |= 4u << 24;
	refused(e, row.len, NULL, "kind 7");
	e->tag = wr_shape_count() + 1;
	refused(e, row.len, NULL, "not said before");
	e->tag = WR_SHAPE_MAX;
	refused(e, row.len, NULL, "not said before");
	e->tag = WR_SHAPE_ANY;
	refused(e, row.len, NULL, "row:");
	wr_bytes_deinit(&row);
}

/* ---- dictionaries ---- */

/* An entry as another place would write it: there the shape has the id `there`. */
static void entry(struct wr_bytes *out, uint32_t there, uint32_t id)
{
	size_t at = out->len;

	wr_dict_put(out, id);
	memcpy(out->data + at, &there, 4);
}

static int dict_say(struct wr_dict *d, uint32_t there, uint32_t id)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader r;
	int rc;

	entry(&b, there, id);
	r = wr_reader_of(b.data, b.len);
	rc = wr_dict_read(d, &r);
	assert_true(rc != WR_OK || r.p == r.end);
	wr_bytes_deinit(&b);
	return rc;
}

static void test_a_row_of_another_place_is_checked_and_translated_by_its_dictionary(void **state)
{
	struct wr_bytes row = WR_BYTES_EMPTY;
	struct wr_elem *e;
	struct wr_dict d;
	uint32_t here;

	(void)state;
	wr_dict_init(&d);
	model_row1(&row, "a", (struct wr_cell){.type = WR_T_F64, .f64 = 1});
	e = (struct wr_elem *)row.data;
	here = wr_elem_shape(e);
	e->tag = 9000 | 2u << 24;
	refused(e, row.len, &d, "shape 9000, which was not said before");
	assert_int_equal(dict_say(&d, 9000, here), WR_OK);
	assert_int_equal(wr_elem_verify(row.data, row.len, &d), WR_OK);
	wr_dict_translate(&d, e);
	assert_int_equal(wr_elem_shape(e), here);
	assert_int_equal(wr_elem_kind(e), 2);
	wr_event_put(row.data, WR_EV_END, 0);
	wr_dict_translate(&d, e);
	assert_int_equal(wr_event_type(e), WR_EV_END);
	wr_dict_deinit(&d);
	wr_bytes_deinit(&row);
}

static void test_a_dictionary_says_each_id_once_or_the_same_again(void **state)
{
	struct wr_field_spec spec = {"other", 5, WR_T_STR, 0};
	uint32_t other = wr_shape_intern(&spec, 1, 0, 0);
	struct wr_dict d;

	(void)state;
	wr_dict_init(&d);
	assert_int_equal(wr_dict_local(&d, 1), 0);
	assert_int_equal(dict_say(&d, 1, other), WR_OK);
	assert_int_equal(dict_say(&d, 1, other), WR_OK);
	assert_int_equal(dict_say(&d, 1, WR_SHAPE_ANY), WR_EUSER);
	assert_int_equal(dict_say(&d, WR_SHAPES_MAX, WR_SHAPE_ANY), WR_OK);
	assert_int_equal(wr_dict_local(&d, 1), other);
	assert_int_equal(wr_dict_local(&d, 2), 0);
	assert_int_equal(wr_dict_local(&d, WR_SHAPES_MAX), WR_SHAPE_ANY);
	assert_int_equal(dict_say(&d, 0, other), WR_EUSER);
	assert_int_equal(dict_say(&d, WR_SHAPES_MAX + 1, other), WR_EUSER);
	wr_dict_deinit(&d);
}

static void test_a_dictionary_entry_cut_off_is_refused(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_dict d;

	(void)state;
	wr_dict_init(&d);
	entry(&b, 5, WR_SHAPE_ANY);
	for (size_t len = 0; len < b.len; len++) {
		struct wr_reader r = wr_reader_of(b.data, len);

		assert_int_equal(wr_dict_read(&d, &r), WR_EUSER);
		assert_int_equal(wr_dict_local(&d, 5), 0);
	}
	wr_dict_deinit(&d);
	wr_bytes_deinit(&b);
}

static void test_a_dictionary_without_memory_stays_as_it_was(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_dict d;
	int failures = 0, rc = WR_EFATAL;

	(void)state;
	wr_dict_init(&d);
	assert_int_equal(dict_say(&d, 1, WR_SHAPE_ANY), WR_OK);
	entry(&b, 5000, WR_SHAPE_ANY);
	for (int n = 1; rc != WR_OK; n++) {
		struct wr_reader r = wr_reader_of(b.data, b.len);

		wr_mem_fail_at(n);
		rc = wr_dict_read(&d, &r);
		wr_mem_fail_at(0);
		assert_int_equal(wr_dict_local(&d, 1), WR_SHAPE_ANY);
		failures += rc == WR_EFATAL;
	}
	assert_int_equal(failures, 2);
	assert_int_equal(wr_dict_local(&d, 5000), WR_SHAPE_ANY);
	wr_dict_deinit(&d);
	wr_bytes_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_known_event_passes_and_unknown_ones_do_not),
	    cmocka_unit_test(test_lengths_that_cannot_be_are_refused),
	    cmocka_unit_test(test_rows_need_a_known_shape_and_kind),
	    cmocka_unit_test(test_a_row_of_another_place_is_checked_and_translated_by_its_dictionary),
	    cmocka_unit_test(test_a_dictionary_says_each_id_once_or_the_same_again),
	    cmocka_unit_test(test_a_dictionary_entry_cut_off_is_refused),
	    cmocka_unit_test(test_a_dictionary_without_memory_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
