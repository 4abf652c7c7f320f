/* SPDX-License-Identifier: Apache-2.0 */
/* marker: what the splits of a restored source inherit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/error.h"
#include "time/marker.h"

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	if (wm > s->watermark) /* what was said is not taken back */
		s->watermark = wm;
	return WR_OK;
}

static bool is_idle;

int wr_stage_emit_idle(struct wr_stage *s, bool idle)
{
	(void)s;
	is_idle = idle;
	return WR_OK;
}

static bool source_waits;

bool wr_stage_source_waits(const struct wr_stage *s)
{
	(void)s;
	return source_waits;
}

uint64_t wr_stage_running_ns(const struct wr_stage *s)
{
	return wr_clock_ns(s->env->clock);
}

/* A marker of two subtasks' saved splits. */
static struct {
	struct wr_mem mem;
	struct wr_clock clock;
	struct wr_value options;
	struct wr_stage_env env;
	struct wr_stage stage;
	struct wr_marker *marker;
} its;

static int fresh(void **state)
{
	(void)state;
	its.mem = (struct wr_mem)WR_MEM_INIT("test");
	wr_clock_manual_init(&its.clock, 1000000000, 1700000000000);
	its.options = (struct wr_value){.tag = WR_V_RECORD};
	its.env = (struct wr_stage_env){.clock = &its.clock, .parallelism = 1};
	its.stage = (struct wr_stage){.env = &its.env, .options = &its.options, .watermark = WR_TS_NONE};
	its.marker = wr_marker_new(&its.stage);
	assert_non_null(its.marker);
	return 0;
}

static int done(void **state)
{
	(void)state;
	wr_marker_free(its.marker);
	return 0;
}

/* What a subtask saved that had come so far in a split. */
struct saved {
	const char *split;
	int64_t max_ts, watermark;
};

static void put(struct wr_bytes *out, const struct saved *s)
{
	wr_value_put_list(out, 1);
	wr_value_put_list(out, 3);
	wr_value_put_str(out, s->split);
	wr_value_put_i64(out, s->max_ts);
	wr_value_put_i64(out, s->watermark);
}

static void restore(struct saved first, struct saved second)
{
	const struct saved *saved[] = {&first, &second};
	struct wr_value lists[2];
	struct wr_saved_part parts[] = {{0, &lists[0]}, {1, &lists[1]}};
	struct wr_bytes bytes[2] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct wr_arena arena;

	wr_arena_init(&arena, &its.mem);
	for (int i = 0; i < 2; i++) {
		struct wr_reader r;

		put(&bytes[i], saved[i]);
		r = wr_reader_of(bytes[i].data, bytes[i].len);
		assert_int_equal(wr_value_parse(&r, &arena, &lists[i]), WR_OK);
	}
	assert_int_equal(wr_marker_restore(its.marker, &(struct wr_saved_state){2, 2, parts}), WR_OK);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&bytes[0]);
	wr_bytes_deinit(&bytes[1]);
}

/* Watermarks are emitted from time to time, so the one with the lower watermark may be further on. */
static void k24_a_split_begins_behind_all_of_its_file_in_watermark_and_in_timestamps(void **state)
{
	struct wr_marker *m = its.marker;

	(void)state;
	restore((struct saved){"file", 43611, 18334}, (struct saved){"file", 32596, 32341});
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 1, "file"), WR_OK);
	assert_int_equal(m->parts[m->at].max_ts, 32596);
	assert_int_equal(m->marks[m->at].watermark, 18334);
	assert_int_equal(its.stage.watermark, WR_TS_NONE);
	assert_int_equal(wr_marker_tick(m, 2000000000), WR_OK);
	assert_int_equal(its.stage.watermark, 18334);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 2, "another"), WR_OK);
	assert_int_equal(m->parts[m->at].max_ts, WR_TS_NONE);
	assert_int_equal(m->marks[m->at].watermark, WR_TS_NONE);
}

/* A source of topics begins its partitions one behind the other, and one of them may be far behind: its
 * broker was away. */
static void k24_no_watermark_is_said_until_all_splits_that_go_on_have_begun(void **state)
{
	struct wr_marker *m = its.marker;

	(void)state;
	restore((struct saved){"ahead", 38193, 38153}, (struct saved){"behind", 26434, 26394});
	wr_combine_idle(&m->combine, 0, true); /* nothing came for long: the brokers were away */
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 1, "ahead"), WR_OK);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 2, "behind"), WR_OK);
	assert_int_equal(wr_marker_tick(m, 2000000000), WR_OK);
	assert_int_equal(its.stage.watermark, 26394);
}

static void ticks(uint32_t count)
{
	for (; count > 0; count--) {
		wr_clock_advance(&its.clock, 200000000);
		assert_int_equal(wr_marker_tick(its.marker, wr_clock_ns(&its.clock)), WR_OK);
	}
}

static void k8_a_split_whose_source_waits_for_a_schema_is_not_idle(void **state)
{
	(void)state;
	its.marker->idle_ns = 1000000000;
	is_idle = false;
	source_waits = true;
	ticks(100);
	assert_false(is_idle);
	source_waits = false;
	ticks(10);
	assert_true(is_idle);
}

static void k13_a_split_that_is_found_while_all_others_are_idle_holds_event_time(void **state)
{
	struct wr_marker *m = its.marker;

	(void)state;
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 1, "silent"), WR_OK);
	assert_int_equal(wr_marker_rows(m), WR_OK);
	wr_marker_mark(m, 0, 100);
	ticks(1);
	assert_int_equal(its.stage.watermark, 100);
	wr_combine_idle(&m->combine, 0, true);
	ticks(1);
	assert_true(is_idle);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 2, "found"), WR_OK);
	assert_false(is_idle);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_AT, 1, NULL), WR_OK);
	assert_int_equal(wr_marker_rows(m), WR_OK);
	wr_marker_mark(m, 0, 500);
	ticks(1);
	assert_int_equal(its.stage.watermark, 100);
	wr_marker_mark(m, 1, 200);
	ticks(1);
	assert_int_equal(its.stage.watermark, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		k24_a_split_begins_behind_all_of_its_file_in_watermark_and_in_timestamps, fresh, done),
	    cmocka_unit_test_setup_teardown(k24_no_watermark_is_said_until_all_splits_that_go_on_have_begun,
					    fresh, done),
	    cmocka_unit_test_setup_teardown(k8_a_split_whose_source_waits_for_a_schema_is_not_idle, fresh,
					    done),
	    cmocka_unit_test_setup_teardown(
		k13_a_split_that_is_found_while_all_others_are_idle_holds_event_time, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
