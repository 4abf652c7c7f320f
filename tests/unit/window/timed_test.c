/* SPDX-License-Identifier: Apache-2.0 */
/* timed: windows against a model that lists every window of every record. */
#include "support/window_rig.h"
#include <math.h>
#include "exchange/merger.h"

enum { KEYS = 4, RECORDS = 600, WINDOWS = 200000 };

/* ---- the model ---- */

struct window {
	int key;
	int64_t start, end;
	double n, sum, min, max, squares;
	bool fired;
};

struct model {
	int kind; /* 0 tumbling, 1 sliding, 2 cumulative */
	int64_t size, slide, offset, lateness, watermark;
	struct window *windows;
	int count;
	struct window *expected; /* of one step, in order */
	int expected_count;
	int late;
};

static void expect(struct model *m, const struct window *w)
{
	m->expected[m->expected_count++] = *w;
}

static struct window *find(struct model *m, int key, int64_t start, int64_t end)
{
	for (int i = 0; i < m->count; i++)
		if (m->windows[i].key == key && m->windows[i].start == start && m->windows[i].end == end)
			return &m->windows[i];
	assert_true(m->count < WINDOWS);
	m->windows[m->count] = (struct window){key, start, end, 0, 0, INFINITY, -INFINITY, 0, false};
	return &m->windows[m->count++];
}

/* Adds to one window unless it is late; true if it took the record. */
static bool give(struct model *m, int key, int64_t start, int64_t end, double v)
{
	struct window *w;

	if (m->watermark != WR_TS_NONE && end - 1 + m->lateness <= m->watermark)
		return false;
	w = find(m, key, start, end);
	w->n++;
	w->sum += v;
	w->squares += v * v;
	w->min = fmin(w->min, v);
	w->max = fmax(w->max, v);
	if (m->watermark != WR_TS_NONE && end - 1 <= m->watermark) {
		w->fired = true;
		expect(m, w); /* L5 */
	}
	return true;
}

static void model_row(struct model *m, int key, double v, int64_t ts)
{
	int64_t step = m->kind == 1 ? m->slide : m->size;
	bool taken = false;

	for (int64_t start = m->offset + (ts / step + 2) * step; start > ts - m->size;
	     start -= step) { /* W6 */
		if (start > ts)
			continue;
		if (m->kind != 2)
			taken |= give(m, key, start, start + m->size, v);
		for (int64_t end = start + m->size; m->kind == 2 && end > ts; end -= m->slide)
			taken |= give(m, key, start, end, v);
	}
	if (!taken && m->watermark != WR_TS_NONE && ts + m->lateness <= m->watermark)
		m->late++;
}

static int by_end(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return x->end != y->end ? (x->end > y->end) - (x->end < y->end) : x->key - y->key;
}

static void model_watermark(struct model *m, int64_t wm)
{
	m->watermark = wm;
	for (int i = 0; i < m->count; i++)
		if (!m->windows[i].fired && m->windows[i].end - 1 <= wm) {
			m->windows[i].fired = true;
			expect(m, &m->windows[i]);
		}
}

/* ---- comparing ---- */

static void check_row(const struct wr_elem *e, const struct window *w)
{
	assert_int_equal((int)rig_field(e, "k"), w->key);
	assert_int_equal((int64_t)rig_field(e, "window_start"), w->start);
	assert_int_equal((int64_t)rig_field(e, "window_end"), w->end);
	assert_int_equal(e->ts, w->end - 1);
	assert_true(rig_field(e, "count") == w->n);
	assert_true(rig_field(e, "sum") == w->sum);
	assert_true(rig_field(e, "min") == w->min);
	assert_true(rig_field(e, "max") == w->max);
	assert_true(rig_field(e, "avg") == w->sum / w->n);
	assert_true(fabs(rig_field(e, "stddev") -
			 sqrt(fmax(0, w->squares / w->n - (w->sum / w->n) * (w->sum / w->n)))) < 1e-5);
}

/* Rows that one watermark gave: in order of time; among equal times in any order of keys. */
static void check(struct rig *r, struct model *m, bool sorted)
{
	const struct wr_elem *rows[1000];
	int n = 0;
	int64_t before = INT64_MIN;

	for (const uint8_t *p = r->rooms[0]; p < r->outs[0].p; p += ((const struct wr_elem *)p)->len) {
		assert_true(n < 1000);
		rows[n++] = (const struct wr_elem *)p;
	}
	assert_int_equal(n, m->expected_count);
	if (sorted)
		qsort(m->expected, (size_t)n, sizeof *m->expected, by_end);
	for (int i = 0; i < n; i++) {
		int found = -1;

		assert_true(!sorted || rows[i]->ts >= before);
		before = rows[i]->ts;
		for (int k = sorted ? 0 : i; k < (sorted ? n : i + 1); k++)
			if (m->expected[k].end == (int64_t)rig_field(rows[i], "window_end") &&
			    m->expected[k].key == (int)rig_field(rows[i], "k"))
				found = k;
		assert_true(found >= 0);
		check_row(rows[i], &m->expected[found]);
	}
	m->expected_count = 0;
	rig_clear(r);
}

static void run(int kind, int64_t size, int64_t slide, int64_t offset, int64_t lateness, uint64_t seed)
{
	static const char *const kinds[] = {"tumbling", "sliding", "cumulative"};
	struct wr_rand rand = {seed};
	struct rig *r = rig_new(true);
	struct model m = {.kind = kind,
			  .size = size,
			  .slide = slide,
			  .offset = offset,
			  .lateness = lateness,
			  .watermark = WR_TS_NONE};
	int64_t now = -300, wm = WR_TS_NONE;
	uint64_t late_rows = 0;

	m.windows = calloc(WINDOWS, sizeof *m.windows);
	m.expected = calloc(WINDOWS, sizeof *m.expected);
	rig_option(r, "window", rig_text(kinds[kind]));
	rig_option(r, "size", rig_number((double)size));
	rig_option(r, "slide", rig_number((double)slide));
	rig_option(r, "offset", rig_number((double)offset));
	rig_option(r, "lateness", rig_number((double)lateness));
	rig_open(r);
	for (int i = 0; i < RECORDS; i++) {
		int key = (int)wr_rand_below(&rand, KEYS);
		int64_t ts = now - (int64_t)wr_rand_below(&rand, 30);
		double v = (double)wr_rand_below(&rand, 1000) - 500;

		now += (int64_t)wr_rand_below(&rand, 4) + (wr_rand_below(&rand, 50) == 0 ? 100 : 0);
		model_row(&m, key, v, ts);
		assert_int_equal(rig_row(r, key, v, ts), WR_OK);
		late_rows += r->outs[1].rows;
		check(r, &m, false);
		if (wr_rand_below(&rand, 8) == 0 && now - 12 > wm) {
			wm = now - 12;
			model_watermark(&m, wm);
			rig_watermark(r, wm);
			check(r, &m, true);
		}
	}
	model_watermark(&m, INT64_MAX);
	rig_watermark(r, INT64_MAX);
	check(r, &m, true);
	assert_int_equal(wr_metric_get(&r->stats.late), m.late);
	assert_int_equal(wr_metric_get(&r->stats.late_dropped), 0);
	assert_int_equal(late_rows, m.late);
	assert_int_equal(wr_store_keys(r->stage.store), 0); /* nothing is left behind */
	free(m.windows);
	free(m.expected);
	rig_free(r);
}

static void w1_w2_l1_l5_l12_tumbling_windows_agree_with_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		run(0, 7, 7, 0, 0, seed);
		run(0, 7, 7, 3, 0, seed);
		run(0, 20, 20, -5, 13, seed);
		run(0, 1, 1, 0, 40, seed);
	}
}

static void w6_l4_sliding_windows_agree_with_the_model_also_where_size_is_no_multiple_of_slide(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		run(1, 20, 5, 0, 0, seed);
		run(1, 20, 5, 2, 9, seed);
		run(1, 20, 7, -3, 0, seed);
		run(1, 23, 7, 0, 30, seed);
		run(1, 100, 3, 1, 0, seed);
		run(1, 5, 5, 0, 0, seed);
	}
}

static void w8_l3_records_between_two_sliding_windows_are_skipped_and_late_only_if_old(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		run(1, 5, 12, 0, 0, seed);
		run(1, 5, 12, 4, 8, seed);
	}
}

static void q6_cumulative_windows_fire_all_their_steps_once_begun(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		run(2, 20, 5, 0, 0, seed);
		run(2, 60, 3, 7, 0, seed);
		run(2, 20, 5, 1, 14, seed);
	}
}

/* Rows of a few keys in batches of some hundreds, which lie in several slices each; one key is no whole
 * number, and so is not among those that come first. */
static void run_batches(int kind, int64_t size, int64_t slide, uint64_t seed)
{
	static const char *const kinds[] = {"tumbling", "sliding", "cumulative"};
	struct wr_rand rand = {seed};
	struct rig *r = rig_new(false);
	struct model m = {.kind = kind, .size = size, .slide = slide, .watermark = WR_TS_NONE};
	struct wr_bytes rows = WR_BYTES_EMPTY;
	int64_t now = 0;

	m.windows = calloc(WINDOWS, sizeof *m.windows);
	m.expected = calloc(WINDOWS, sizeof *m.expected);
	rig_option(r, "window", rig_text(kinds[kind]));
	rig_option(r, "size", rig_number((double)size));
	rig_option(r, "slide", rig_number((double)slide));
	rig_open(r);
	for (int batch = 0; batch < 40; batch++) {
		int keys = batch % 4 ? 8 : 60, count = (int)wr_rand_below(&rand, 400);

		for (int i = 0; i < count; i++) {
			int key = (int)wr_rand_below(&rand, (uint32_t)keys);
			int64_t ts = now + (int64_t)wr_rand_below(&rand, 30);
			double v = (double)wr_rand_below(&rand, 1000) - 500;

			now += wr_rand_below(&rand, 4) == 0;
			model_row(&m, key, v, ts);
			rig_put(r, key == 3 ? 3.5 : key, v, ts, &rows);
		}
		assert_int_equal(rig_rows(r, &rows), WR_OK);
		if (wr_rand_below(&rand, 3) == 0)
			continue;
		model_watermark(&m, now - 1);
		rig_watermark(r, now - 1);
		check(r, &m, true);
	}
	model_watermark(&m, INT64_MAX);
	rig_watermark(r, INT64_MAX);
	check(r, &m, true);
	assert_int_equal(wr_metric_get(&r->stats.late), 0);
	free(m.windows);
	free(m.expected);
	wr_bytes_deinit(&rows);
	rig_free(r);
}

static void rows_of_few_keys_in_large_batches_are_added_where_they_belong(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		run_batches(0, 50, 50, seed);
		run_batches(1, 100, 50, seed);
		run_batches(1, 90, 40, seed);
		run_batches(2, 120, 40, seed);
	}
}

/* F: a million keys that fire at one watermark must not hold up other tasks. */
static void f_many_keys_that_fire_at_once_yield_between_groups(void **state)
{
	enum { MANY = 10000 };
	struct rig *r = rig_new(false);
	int64_t wm = 99;
	int pauses = 0, rc;

	(void)state;
	rig_option(r, "window", rig_text("tumbling"));
	rig_option(r, "size", rig_number(100));
	rig_open(r);
	for (int key = 0; key < MANY; key++)
		assert_int_equal(rig_row(r, key, 1, key % 100), WR_OK);
	r->stage.step_until_ns = 0;
	r->stage.watermark = wm;
	while ((rc = r->stage.ops->watermark(&r->stage, &wm)) == WR_AGAIN) {
		pauses++;
		assert_true(r->outs[0].rows <= (uint64_t)pauses * 64);
	}
	assert_int_equal(rc, WR_OK);
	assert_int_equal(r->outs[0].rows, MANY);
	assert_true(pauses >= MANY / 64 - 1);
	assert_int_equal(wr_store_keys(r->stage.store), 0);
	rig_free(r);
}

static void f_w5_rows_without_a_time_or_with_none_in_any_calendar_are_bad_rows(void **state)
{
	struct rig *r = rig_new(false);

	(void)state;
	rig_option(r, "window", rig_text("tumbling"));
	rig_option(r, "size", rig_number(100));
	rig_open(r);
	assert_int_equal(rig_row(r, 1, 1, WR_TS_NONE), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "the record has no timestamp"));
	assert_int_equal(rig_row(r, 1, 1, INT64_MAX), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "is no time"));
	assert_int_equal(rig_row(r, 1, 1, INT64_MIN + 1), WR_EUSER);
	r->stage.on_error = WR_ON_ERROR_SKIP;
	assert_int_equal(rig_row(r, 1, 1, INT64_MAX), WR_OK);
	assert_int_equal(rig_row(r, 1, 1, 5), WR_OK);
	rig_watermark(r, INT64_MAX);
	assert_int_equal(r->outs[0].rows, 1);
	assert_int_equal(wr_metric_get(&r->stats.skipped), 1);
	rig_free(r);
}

static void w12_i7_windows_of_processing_time_are_the_clocks(void **state)
{
	struct rig *r = rig_new(false);

	(void)state;
	rig_option(r, "window", rig_text("sliding"));
	rig_option(r, "size", rig_number(20));
	rig_option(r, "slide", rig_number(10));
	rig_option(r, "time", rig_text("processing"));
	rig_open(r);
	rig_time(r, 1005);
	rig_row(r, 1, 3, -70);
	rig_time(r, 1009);
	assert_int_equal(r->outs[0].rows, 0);
	rig_time(r, 1010);
	assert_int_equal(r->outs[0].rows, 1);
	rig_row(r, 1, 4, 0);
	rig_time(r, 1020);
	assert_int_equal(r->outs[0].rows, 2);
	assert_int_equal(r->stage.ops->time(&r->stage, INT64_MAX), WR_OK); /* I13: the end of the input */
	assert_int_equal(r->outs[0].rows, 3);
	assert_int_equal(wr_store_keys(r->stage.store), 0);
	rig_free(r);
}

/* The clock is set: what was due then is due at its time, and what is set anew may come before it. */
static void i6_f_a_clock_that_jumps_back_and_ahead_fires_windows_when_it_gets_there(void **state)
{
	struct rig *r = rig_new(false);

	(void)state;
	rig_option(r, "window", rig_text("tumbling"));
	rig_option(r, "size", rig_number(100));
	rig_option(r, "time", rig_text("processing"));
	rig_open(r);
	rig_time(r, 100005);
	rig_row(r, 1, 1, 0);
	assert_int_equal(r->stage.deadline_ms, 100100);
	r->clock.manual_ms = 5005;
	rig_row(r, 1, 2, 0);
	rig_row(r, 2, 3, 0);
	assert_int_equal(r->stage.deadline_ms, 5100);
	rig_time(r, 5100);
	assert_int_equal(r->outs[0].rows, 2);
	assert_int_equal(r->stage.deadline_ms, 100100);
	rig_row(r, 1, 4, 0);
	rig_time(r, INT64_C(99999999999));
	assert_int_equal(r->outs[0].rows, 4);
	assert_true(rig_field(rig_result(r, 2), "window_end") == 5200);
	assert_true(rig_field(rig_result(r, 3), "window_end") == 100100);
	assert_int_equal(r->stage.deadline_ms, INT64_MAX);
	assert_int_equal(wr_store_keys(r->stage.store), 0);
	rig_free(r);
}

static void w4_stagger_moves_the_windows_of_a_subtask_once(void **state)
{
	double starts[3];

	(void)state;
	for (int seed = 0; seed < 3; seed++) {
		struct rig *r = rig_new(false);

		rig_option(r, "window", rig_text("tumbling"));
		rig_option(r, "size", rig_number(100));
		rig_option(r, "stagger", rig_text(seed ? "random" : "natural"));
		rig_open(r);
		r->env.rand.s = (uint64_t)seed;
		rig_time(r, 1033);
		rig_row(r, 1, 1, 50);
		rig_time(r, 1077);
		rig_row(r, 1, 1, 150);
		rig_watermark(r, INT64_MAX);
		assert_int_equal(r->outs[0].rows, 2);
		starts[seed] = rig_field(rig_result(r, 0), "window_start");
		assert_true(starts[seed] > -50 && starts[seed] <= 50);
		assert_true(rig_field(rig_result(r, 1), "window_start") == starts[seed] + 100);
		rig_free(r);
	}
	assert_true(starts[0] == 33);
	assert_true(starts[1] != starts[2]);
}

/* A row that stands for `rows`, of which v is the sum. */
static void weighted_row(struct rig *r, double rows_in_it, double v, int64_t ts)
{
	struct wr_field_spec f[] = {
	    {WR_WEIGHT_NAME, WR_WEIGHT_LEN, WR_T_F64, 0}, {"k", 1, WR_T_F64, 0}, {"v", 1, WR_T_F64, 0}};
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = rows_in_it},
				  {.type = WR_T_F64, .f64 = 1},
				  {.type = WR_T_F64, .f64 = v}};
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_rows rows;

	wr_row_put(&bytes, wr_shape_intern(f, 3, 0, 0), WR_INSERT, ts, cells);
	rows = (struct wr_rows){bytes.data, bytes.data + bytes.len, 0, 0};
	assert_int_equal(r->stage.ops->rows(&r->stage, &rows), WR_OK);
	wr_bytes_deinit(&bytes);
}

static void rows_that_were_merged_on_the_way_count_as_many_late_ones_too(void **state)
{
	(void)state;
	for (int counts_only = 0; counts_only < 2; counts_only++) {
		struct rig *r = rig_new(false);

		if (counts_only)
			r->items[0].count = 1; /* of the aggregates */
		rig_option(r, "window", rig_text("tumbling"));
		rig_option(r, "size", rig_number(100));
		rig_open(r);
		assert_int_equal(rig_row(r, 1, 2, 10), WR_OK);
		weighted_row(r, 5, 8, 20);
		assert_int_equal(rig_row(r, 1, 2, 30), WR_OK);
		weighted_row(r, 3, 6, 40);
		rig_watermark(r, 99);
		assert_int_equal(r->outs[0].rows, 1);
		assert_true(rig_field(rig_result(r, 0), "count") == 10);
		if (!counts_only) {
			assert_true(rig_field(rig_result(r, 0), "sum") == 18);
			assert_true(rig_field(rig_result(r, 0), "avg") == 1.8);
		}
		weighted_row(r, 4, 1, 50);
		assert_int_equal(rig_row(r, 1, 2, 60), WR_OK);
		assert_int_equal(wr_metric_get(&r->stats.late), 5);
		assert_int_equal(wr_metric_get(&r->stats.late_dropped), 5);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(w1_w2_l1_l5_l12_tumbling_windows_agree_with_the_model),
	    cmocka_unit_test(
		w6_l4_sliding_windows_agree_with_the_model_also_where_size_is_no_multiple_of_slide),
	    cmocka_unit_test(w8_l3_records_between_two_sliding_windows_are_skipped_and_late_only_if_old),
	    cmocka_unit_test(q6_cumulative_windows_fire_all_their_steps_once_begun),
	    cmocka_unit_test(rows_of_few_keys_in_large_batches_are_added_where_they_belong),
	    cmocka_unit_test(f_many_keys_that_fire_at_once_yield_between_groups),
	    cmocka_unit_test(f_w5_rows_without_a_time_or_with_none_in_any_calendar_are_bad_rows),
	    cmocka_unit_test(i6_f_a_clock_that_jumps_back_and_ahead_fires_windows_when_it_gets_there),
	    cmocka_unit_test(w4_stagger_moves_the_windows_of_a_subtask_once),
	    cmocka_unit_test(rows_that_were_merged_on_the_way_count_as_many_late_ones_too),
	    cmocka_unit_test(w12_i7_windows_of_processing_time_are_the_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
