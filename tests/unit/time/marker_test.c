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

/* What a subtask saved that had come so far in a split of the file. */
static void saved(struct wr_bytes *out, const char *name, int64_t max_ts, int64_t watermark)
{
	wr_value_put_list(out, 1);
	wr_value_put_list(out, 3);
	wr_value_put_str(out, name);
	wr_value_put_i64(out, max_ts);
	wr_value_put_i64(out, watermark);
}

/* Watermarks are emitted from time to time, so the one with the lower watermark may be further on. */
static void k24_a_split_begins_behind_all_of_its_file_in_watermark_and_in_timestamps(void **state)
{
	struct wr_mem mem = WR_MEM_INIT("test");
	struct wr_clock clock;
	struct wr_value options = {.tag = WR_V_RECORD}, lists[2];
	struct wr_stage_env env = {.clock = &clock, .parallelism = 1};
	struct wr_stage stage = {.env = &env, .options = &options, .watermark = WR_TS_NONE};
	struct wr_saved_part parts[] = {{0, &lists[0]}, {1, &lists[1]}};
	struct wr_bytes bytes[2] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct wr_marker *m;
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &mem);
	wr_clock_manual_init(&clock, 1000000000, 1700000000000);
	saved(&bytes[0], "file", 43611, 18334);
	saved(&bytes[1], "file", 32596, 32341);
	for (int i = 0; i < 2; i++) {
		struct wr_reader r = wr_reader_of(bytes[i].data, bytes[i].len);

		assert_int_equal(wr_value_parse(&r, &arena, &lists[i]), WR_OK);
	}
	m = wr_marker_new(&stage);
	assert_non_null(m);
	assert_int_equal(wr_marker_restore(m, &(struct wr_saved_state){2, 2, parts}), WR_OK);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 1, "file"), WR_OK);
	assert_int_equal(m->parts[m->at].max_ts, 32596);
	assert_int_equal(m->marks[m->at].watermark, 18334);
	assert_int_equal(stage.watermark, WR_TS_NONE);
	assert_int_equal(wr_marker_tick(m, 2000000000), WR_OK);
	assert_int_equal(stage.watermark, 18334);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 2, "another"), WR_OK);
	assert_int_equal(m->parts[m->at].max_ts, WR_TS_NONE);
	assert_int_equal(m->marks[m->at].watermark, WR_TS_NONE);
	wr_marker_free(m);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&bytes[0]);
	wr_bytes_deinit(&bytes[1]);
}

/* A source of topics begins its partitions one behind the other, and one of them may be far behind: its
 * broker was away. */
static void k24_no_watermark_is_said_until_all_splits_that_go_on_have_begun(void **state)
{
	struct wr_mem mem = WR_MEM_INIT("test");
	struct wr_clock clock;
	struct wr_value options = {.tag = WR_V_RECORD}, lists[2];
	struct wr_stage_env env = {.clock = &clock, .parallelism = 1};
	struct wr_stage stage = {.env = &env, .options = &options, .watermark = WR_TS_NONE};
	struct wr_saved_part parts[] = {{0, &lists[0]}, {1, &lists[1]}};
	struct wr_bytes bytes[2] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct wr_marker *m;
	struct wr_arena arena;

	(void)state;
	wr_arena_init(&arena, &mem);
	wr_clock_manual_init(&clock, 1000000000, 1700000000000);
	saved(&bytes[0], "ahead", 38193, 38153);
	saved(&bytes[1], "behind", 26434, 26394);
	for (int i = 0; i < 2; i++) {
		struct wr_reader r = wr_reader_of(bytes[i].data, bytes[i].len);

		assert_int_equal(wr_value_parse(&r, &arena, &lists[i]), WR_OK);
	}
	m = wr_marker_new(&stage);
	assert_non_null(m);
	assert_int_equal(wr_marker_restore(m, &(struct wr_saved_state){2, 2, parts}), WR_OK);
	wr_combine_idle(&m->combine, 0, true); /* nothing came for long: the brokers were away */
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 1, "ahead"), WR_OK);
	assert_int_equal(wr_marker_split(m, WR_SPLIT_BEGIN, 2, "behind"), WR_OK);
	assert_int_equal(wr_marker_tick(m, 2000000000), WR_OK);
	assert_int_equal(stage.watermark, 26394);
	wr_marker_free(m);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&bytes[0]);
	wr_bytes_deinit(&bytes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(k24_a_split_begins_behind_all_of_its_file_in_watermark_and_in_timestamps),
	    cmocka_unit_test(k24_no_watermark_is_said_until_all_splits_that_go_on_have_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
