/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: what a task tells of itself, and the way of latency markers through it. */
#include "task/latency.h"
#include "task/metrics.h"
#include "unit/task/kit.h"

struct asked {
	const char *kind, *name;
	int64_t value;
};

static void look(const struct wr_metric_entry *e, void *arg)
{
	struct asked *a = arg;

	if (!strcmp(e->def->name, a->name) && (a->kind ? e->kind && !strcmp(e->kind, a->kind) : !e->kind))
		a->value = e->histogram ? (int64_t)wr_histogram_count(e->histogram) : e->value;
}

/* The last value of that name among the task's own (NULL) or those of its parts; −1: none is told. */
static int64_t told(struct kit *k, const char *kind, const char *name)
{
	struct wr_metrics *m = wr_metrics_new();
	struct wr_metric_set *set =
	    wr_metric_set_new(m, (struct wr_metric_owner){"task", 0, 0}, wr_task_tell, k->task);
	struct asked a = {kind, name, -1};

	wr_metrics_each(m, &k->clock, look, &a);
	wr_metric_set_free(set);
	wr_metrics_free(m);
	return a.value;
}

static void time_without_a_step_goes_to_what_the_last_step_said(void **state)
{
	struct kit *k = kit_new(1);

	(void)state;
	kit_start(k, 1, true, WR_ON_ERROR_FAIL);
	assert_int_equal(kit_run(k), WR_STEP_IDLE);
	wr_clock_advance(&k->clock, 1000);
	assert_int_equal(told(k, NULL, "idle_ns"), 1000); /* what is under way counts */
	for (int i = 0; i < 8; i++)
		kit_send(k, 0, i, i);
	assert_int_equal(wr_task_step(k->task), WR_STEP_MORE);
	wr_clock_advance(&k->clock, 20);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	wr_clock_advance(&k->clock, 300);
	kit_expect_out(k, "0 1 ");
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	wr_clock_advance(&k->clock, 4);
	assert_int_equal(told(k, NULL, "idle_ns"), 1000);
	assert_int_equal(told(k, NULL, "waiting_ns"), 20);
	assert_int_equal(told(k, NULL, "back_pressured_ns"), 304);
	assert_int_equal(told(k, NULL, "busy_ns"), 0); /* the clock stands still in a step */
	kit_free(k);
}

static void queues_pools_and_rows_are_told(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	kit_start(k, 2, true, WR_ON_ERROR_FAIL);
	for (int i = 0; i < 5; i++)
		kit_send(k, 0, i, i);
	assert_int_equal(told(k, NULL, "queued_buffers"), 5);
	assert_int_equal(told(k, "outputs", "pool_buffers"), 3);
	assert_int_equal(told(k, "outputs", "pool_buffers_in_use"), 0);
	assert_int_equal(kit_run(k), WR_STEP_BLOCKED);
	assert_int_equal(told(k, "outputs", "pool_buffers_in_use"), 2);
	assert_int_equal(told(k, "outputs", "queued_buffers_max"), 2);
	assert_int_equal(told(k, "outputs", "rows"), 2);
	assert_int_equal(told(k, "operators", "rows_in"), 2);
	assert_int_equal(told(k, NULL, "queued_buffers"), 3);
	kit_free(k);
}

static void a_lag_is_told_from_the_first_watermark_to_the_last(void **state)
{
	struct kit *k = kit_new(2);

	(void)state;
	kit_start(k, 1, false, WR_ON_ERROR_FAIL);
	kit_run(k);
	assert_int_equal(told(k, NULL, "watermark_lag_ms"), -1);
	kit_event(k, 0, WR_EV_WATERMARK, 4000);
	kit_event(k, 1, WR_EV_WATERMARK, 4800);
	kit_run(k);
	assert_int_equal(told(k, NULL, "watermark"), 4000);
	assert_int_equal(told(k, NULL, "watermark_lag_ms"), 1000); /* the kit's clock is at 5000 */
	assert_int_equal(told(k, "inputs", "watermark_lag_ms"), 200);
	assert_int_equal(told(k, "inputs", "idle"), 0);
	kit_event(k, 1, WR_EV_IDLE, 0);
	kit_run(k);
	assert_int_equal(told(k, "inputs", "idle"), 1);
	kit_event(k, 0, WR_EV_END, 0);
	kit_event(k, 1, WR_EV_END, 0);
	kit_run(k);
	assert_int_equal(told(k, NULL, "watermark_lag_ms"), -1);
	kit_free(k);
}

static void a_marker_is_measured_at_the_sink_alone(void **state)
{
	struct kit *k = kit_new(1);
	const struct wr_latency *l;

	(void)state;
	kit_start(k, 2, false, WR_ON_ERROR_FAIL);
	kit_event(k, 0, WR_EV_LATENCY, (int64_t)k->clock.manual_ns - 40);
	kit_event(k, 0, WR_EV_LATENCY, (int64_t)k->clock.manual_ns - 50);
	kit_run(k);
	l = wr_latency_first(k->task);
	assert_non_null(l);
	assert_null(l->next);
	assert_int_equal(l->stage, 1);
	assert_int_equal(l->source, 7); /* the kit's payload */
	assert_int_equal(wr_histogram_count(l->histogram), 2);
	assert_int_equal(wr_histogram_max(l->histogram), 50);
	assert_int_equal(told(k, "latencies", "latency_ns"), 2);
	kit_free(k);
}

/* ---- a source ---- */

static int nothing_now(struct wr_stage *s)
{
	(void)s;
	return WR_AGAIN;
}

static struct wr_task *silent_source(struct kit *k, uint64_t every_ns)
{
	static const struct wr_stage_ops ops = {.kind = "silent", .poll = nothing_now};
	static const struct wr_op_def op = {"silent", "silent", NULL};
	static struct wr_target target;
	static struct wr_port_def port;
	struct wr_notify wake = {kit_wake, k};
	struct wr_writer *writer = kit_writer(k, &k->out, &wake, 3);
	struct wr_stage_def stage = {
	    .ops = &ops, .ports = &port, .port_count = 1, .operators = &op, .operator_count = 1};
	struct wr_task_def def = {
	    .env = {.task = "source", .parallelism = 1, .clock = &k->clock, .wake = wake},
	    .stages = &stage,
	    .stage_count = 1,
	    .writers = &writer,
	    .writer_count = 1,
	    .marker_every_ns = every_ns,
	    .source_id = 7};

	target = (struct wr_target){.writer = writer, .row_max = KIT_BUFFER};
	port = (struct wr_port_def){.targets = &target, .count = 1};
	k->task = wr_task_new(&def);
	assert_non_null(k->task);
	return k->task;
}

static void a_silent_source_emits_markers_when_they_are_due(void **state)
{
	struct kit *k = kit_new(0);
	struct wr_task *t = silent_source(k, 1000);

	(void)state;
	kit_run(k);
	kit_expect_out(k, "");
	assert_int_equal(wr_task_deadline(t), 1000001000);
	wr_clock_advance(&k->clock, 1000);
	kit_run(k);
	kit_expect_out(k, "latency=1000001000 ");
	assert_int_equal(wr_task_deadline(t), 1000002000);
	wr_clock_advance(&k->clock, 5500); /* held up: one, from when it was due, not five */
	kit_run(k);
	kit_expect_out(k, "latency=1000002000 ");
	assert_int_equal(wr_task_deadline(t), 1000007500);
	kit_free(k);
}

static void without_an_interval_there_are_no_markers(void **state)
{
	struct kit *k = kit_new(0);

	(void)state;
	silent_source(k, 0);
	kit_run(k);
	wr_clock_advance(&k->clock, 1000000000);
	kit_run(k);
	kit_expect_out(k, "");
	assert_true(wr_task_deadline(k->task) == UINT64_MAX);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(time_without_a_step_goes_to_what_the_last_step_said),
	    cmocka_unit_test(queues_pools_and_rows_are_told),
	    cmocka_unit_test(a_lag_is_told_from_the_first_watermark_to_the_last),
	    cmocka_unit_test(a_marker_is_measured_at_the_sink_alone),
	    cmocka_unit_test(a_silent_source_emits_markers_when_they_are_due),
	    cmocka_unit_test(without_an_interval_there_are_no_markers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
