/* SPDX-License-Identifier: Apache-2.0 */
/* sessions: against a model that keeps each session as a plain record. */
#include "support/window_rig.h"

enum { KEYS = 3, SESSIONS = 4000 };

struct session {
	int key;
	int64_t start, end;
	double n, sum;
	bool fired, gone;
};

struct model {
	int64_t gap, lateness, watermark;
	struct session all[SESSIONS], expected[SESSIONS];
	int count, expected_count, late;
};

static void expect(struct model *m, struct session *s)
{
	s->fired = true;
	m->expected[m->expected_count++] = *s;
}

static void model_row(struct model *m, int key, double v, int64_t ts)
{
	struct session mine = {key, ts, ts + m->gap, 1, v, false, false};
	bool merged = false;

	for (int i = 0; i < m->count; i++) {
		struct session *s = &m->all[i];

		if (s->key != key || s->gone || s->end < ts || s->start > ts + m->gap) /* W9 */
			continue;
		mine.start = s->start < mine.start ? s->start : mine.start;
		mine.end = s->end > mine.end ? s->end : mine.end;
		mine.n += s->n;
		mine.sum += s->sum;
		s->gone = merged = true;
	}
	if (!merged && m->watermark != WR_TS_NONE && mine.end - 1 + m->lateness <= m->watermark) { /* M1 */
		m->late++;
		return;
	}
	assert_true(m->count < SESSIONS);
	m->all[m->count] = mine;
	if (m->watermark != WR_TS_NONE && mine.end - 1 <= m->watermark)
		expect(m, &m->all[m->count]);
	m->count++;
}

static void model_watermark(struct model *m, int64_t wm)
{
	m->watermark = wm;
	for (int i = 0; i < m->count; i++) {
		struct session *s = &m->all[i];

		if (!s->gone && !s->fired && s->end - 1 <= wm)
			expect(m, s);
		if (!s->gone && s->end - 1 <= wm && (wm == INT64_MAX || s->end - 1 + m->lateness <= wm))
			s->gone = true;
	}
}

static void check(struct rig *r, struct model *m)
{
	int n = 0;
	int64_t before = INT64_MIN;

	for (const uint8_t *p = r->rooms[0]; p < r->outs[0].p; p += ((const struct wr_elem *)p)->len, n++) {
		const struct wr_elem *e = (const struct wr_elem *)p;
		bool found = false;

		assert_true(e->ts >= before);
		before = e->ts;
		for (int i = 0; i < m->expected_count; i++) {
			const struct session *s = &m->expected[i];

			if (s->key != (int)rig_field(e, "k") || s->end != (int64_t)rig_field(e, "window_end"))
				continue;
			found = true;
			assert_int_equal((int64_t)rig_field(e, "window_start"), s->start);
			assert_int_equal(e->ts, s->end - 1);
			assert_true(rig_field(e, "count") == s->n);
			assert_true(rig_field(e, "sum") == s->sum);
		}
		assert_true(found);
	}
	assert_int_equal(n, m->expected_count);
	m->expected_count = 0;
	rig_clear(r);
}

static void run(int64_t gap, int64_t lateness, uint32_t disorder, uint64_t seed)
{
	struct wr_rand rand = {seed};
	struct rig *r = rig_new(true);
	struct model *m = calloc(1, sizeof *m);
	int64_t now = 0, wm = WR_TS_NONE;
	uint64_t late_rows = 0;

	m->gap = gap;
	m->lateness = lateness;
	m->watermark = WR_TS_NONE;
	rig_option(r, "window", rig_text("session"));
	rig_option(r, "gap", rig_number((double)gap));
	rig_option(r, "lateness", rig_number((double)lateness));
	rig_open(r);
	for (int i = 0; i < 2000; i++) {
		int key = (int)wr_rand_below(&rand, KEYS);
		int64_t ts = now - (int64_t)wr_rand_below(&rand, disorder);
		double v = (double)wr_rand_below(&rand, 100);

		now += (int64_t)wr_rand_below(&rand, 6);
		model_row(m, key, v, ts);
		assert_int_equal(rig_row(r, key, v, ts), WR_OK);
		late_rows += r->outs[1].rows;
		check(r, m);
		if (wr_rand_below(&rand, 10) == 0 && now - 20 > wm) {
			wm = now - 20;
			model_watermark(m, wm);
			rig_watermark(r, wm);
			check(r, m);
		}
	}
	model_watermark(m, INT64_MAX);
	rig_watermark(r, INT64_MAX);
	check(r, m);
	assert_int_equal(wr_metric_get(&r->stats.late), m->late);
	assert_int_equal(late_rows, m->late);
	assert_int_equal(wr_store_keys(r->stage.store), 0); /* nothing is left behind */
	free(m);
	rig_free(r);
}

static void w9_m1_m3_sessions_agree_with_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		run(7, 0, 30, seed);
		run(15, 0, 60, seed);
		run(1, 0, 10, seed);
	}
}

static void l5_late_rows_within_lateness_fire_their_session_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		run(7, 25, 60, seed);
		run(12, 100, 90, seed);
	}
}

static void w9_rows_exactly_a_gap_apart_are_one_session_and_one_more_makes_two(void **state)
{
	struct rig *r = rig_new(false);

	(void)state;
	rig_option(r, "window", rig_text("session"));
	rig_option(r, "gap", rig_number(10));
	rig_open(r);
	rig_row(r, 1, 1, 100);
	rig_row(r, 1, 1, 110);
	rig_row(r, 2, 1, 100);
	rig_row(r, 2, 1, 111);
	rig_watermark(r, INT64_MAX);
	assert_int_equal(r->outs[0].rows, 3);
	rig_free(r);
}

static void l2_i7_sessions_of_processing_time_end_a_millisecond_behind_their_last(void **state)
{
	struct rig *r = rig_new(false);

	(void)state;
	rig_option(r, "window", rig_text("session"));
	rig_option(r, "gap", rig_number(10));
	rig_option(r, "time", rig_text("processing"));
	rig_open(r);
	rig_time(r, 1000);
	rig_row(r, 1, 1, 5);
	rig_time(r, 1008);
	rig_row(r, 1, 1, -70);
	rig_time(r, 1017);
	assert_int_equal(r->outs[0].rows, 0);
	rig_time(r, 1018);
	assert_int_equal(r->outs[0].rows, 1);
	assert_true(rig_field((const struct wr_elem *)r->rooms[0], "count") == 2);
	assert_true(rig_field((const struct wr_elem *)r->rooms[0], "window_end") == 1018);
	assert_int_equal(wr_store_keys(r->stage.store), 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(w9_m1_m3_sessions_agree_with_the_model),
	    cmocka_unit_test(l5_late_rows_within_lateness_fire_their_session_again),
	    cmocka_unit_test(w9_rows_exactly_a_gap_apart_are_one_session_and_one_more_makes_two),
	    cmocka_unit_test(l2_i7_sessions_of_processing_time_end_a_millisecond_behind_their_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
