/* SPDX-License-Identifier: Apache-2.0 */
/* steps: work is done in small steps, so that other tasks of the worker run in between: under a clock that
 * goes on by a tenth of a step at each look, a step handles as many rows or timers as lie between ten looks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/error.h"
#include "harness/priv.h"

enum { LOOK_NS = WR_STEP_NS / 10, LOOKS = 10 };

static uint64_t looked(struct wr_clock *c)
{
	return c->manual_ns += LOOK_NS;
}

static int64_t rows_out(const struct wr_task *t)
{
	int64_t rows = 0;

	for (uint32_t i = 0; i < wr_task_stage_count(t); i++)
		for (uint32_t k = 0; k < wr_task_stage(t, i)->ops_count; k++)
			rows += wr_metric_get(&wr_task_stage(t, i)->ops_stats[k].rows_out);
	return rows;
}

struct steps {
	int64_t rows, most; /* of the last task: in all, and of one step */
};

static void step_to_the_end(struct wr_harness *h, struct steps *out)
{
	uint32_t last = h->plan->vertex_count - 1;

	while (!h->done[last])
		for (uint32_t v = 0; v <= last; v++) {
			struct wr_task *t = h->job->runners[v][0].task;
			int64_t before = rows_out(t), rows;
			enum wr_step said = h->done[v] ? WR_STEP_DONE : wr_task_step(t);

			assert_int_not_equal(said, WR_STEP_FAILED);
			h->done[v] = said == WR_STEP_DONE;
			rows = rows_out(t) - before;
			if (v < last)
				continue;
			out->rows += rows;
			out->most = rows > out->most ? rows : out->most;
		}
}

/* Runs `count` records with a key each through `operators`, which a script draws behind the stream `s`. */
static struct steps run(int count, const char *operators)
{
	char path[256];
	struct wr_harness_script script = {.path = path};
	struct steps steps = {0};
	struct wr_harness *h;
	uint32_t len;
	const uint8_t *plan;
	int fd;

	snprintf(path, sizeof path, "%s/weir-steps-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	dprintf(fd,
		"local weir = require 'weir'\n"
		"local job = weir.job { name = 'steps' }\n"
		"local s = job:source(weir.generate { count = %d, fn = function(n) return { k = n, ts = n %% "
		"7 } end })\n"
		"  :watermarks(weir.watermark.bounded { field = 'ts', delay = '1s' }):key_by 'k'\n"
		"s%s:sink(weir.discard())\n"
		"return job\n",
		count, operators);
	close(fd);
	h = wr_harness_new(&script);
	unlink(path);
	if (!h)
		fail_msg("%s", wr_error_text());
	plan = wr_harness_plan(h, &len);
	assert_int_equal(wr_harness_build(h, plan, len, 0, 1), WR_OK);
	h->clock.mono_ns = looked;
	step_to_the_end(h, &steps);
	wr_harness_free(h);
	return steps;
}

/* The operator and what is chained to it tell of a row each; a step may begin with what the last one left. */
static void check(struct steps s, int64_t rows, int64_t between_looks)
{
	assert_true(s.rows >= rows);
	assert_true(s.most > 0 && s.most <= 2 * LOOKS * between_looks);
}

static void windows_in_c_fire_a_few_keys_a_step(void **state)
{
	(void)state;
	check(run(20000, ":window(weir.window.tumbling '1m'):count()"), 20000, 64);
	check(run(20000, ":window(weir.window.sliding { size = '1m', slide = '7s' }):count()"), 20000, 64);
	check(run(20000, ":window(weir.window.session '1m'):count()"), 20000, 64);
	check(run(20000, ":window(weir.window.global()):trigger(weir.trigger.end_of_stream()):count()"),
	      20000, 64);
}

static void windows_in_lua_fire_a_few_keys_a_step(void **state)
{
	(void)state;
	check(run(5000, ":window(weir.window.tumbling '1m'):trigger(weir.trigger.event_time()):count()"),
	      5000, 4);
	check(run(5000, ":window(weir.window.tumbling '1m'):process(function(ctx, records)"
			"  ctx:emit { n = #records } end)"),
	      5000, 4);
}

static void timers_in_lua_fire_a_few_a_step(void **state)
{
	(void)state;
	check(run(5000, ":process(weir.process_function {"
			"  element = function(ctx) ctx:event_timer(1000) end,"
			"  timer = function(ctx) ctx:emit { k = ctx:key() } end })"),
	      5000, 4);
}

static void records_that_fire_a_window_in_lua_are_a_few_a_step(void **state)
{
	(void)state;
	check(run(5000, ":window(weir.window.global()):trigger { element = function() return 'fire' end }"
			":process(function(ctx, records) ctx:emit { n = #records } end)"),
	      5000, 1);
}

static void late_records_that_fire_a_window_each_are_a_few_a_step(void **state)
{
	(void)state;
	check(
	    run(20000,
		":map(function(r) return { k = r.k, at = r.k == 0 and 60000 or 0 } end)"
		":watermarks(weir.watermark.punctuated { field = 'at', fn = function(_, at) return at end })"
		":key_by 'k':window(weir.window.tumbling '1s'):allowed_lateness '1h':count()"),
	    20000, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(windows_in_c_fire_a_few_keys_a_step),
	    cmocka_unit_test(windows_in_lua_fire_a_few_keys_a_step),
	    cmocka_unit_test(timers_in_lua_fire_a_few_a_step),
	    cmocka_unit_test(records_that_fire_a_window_in_lua_are_a_few_a_step),
	    cmocka_unit_test(late_records_that_fire_a_window_each_are_a_few_a_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
