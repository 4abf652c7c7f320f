/* SPDX-License-Identifier: Apache-2.0 */
/* sched: turns, deadlines and wake-ups on real worker threads, under a clock that goes on a little at each
 * reading, so that what is asserted are counts and not the machine's time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include "base/error.h"
#include "cluster/sched.h"

enum { READING_NS = 5000, MS = 1000000, TASKS_MAX = 200 };

struct bench;
struct seat { /* one task of the bench */
	struct bench *bench;
	struct wr_runner runner;
	_Atomic uint64_t steps;
	uint64_t ends_at; /* steps */
	cpu_set_t mask;	  /* cpus on which it found itself allowed */
	/* timers */
	uint32_t fired;
	uint64_t late_ns_max;
};
struct bench {
	struct wr_clock clock;
	_Atomic uint64_t now_ns;
	struct wr_sched *sched;
	struct seat seats[TASKS_MAX];
	uint32_t count;
	_Atomic uint32_t running;
	pthread_mutex_t mutex;
	pthread_cond_t over;
};

static uint64_t tick(struct wr_clock *c)
{
	struct bench *b = (struct bench *)((char *)c - offsetof(struct bench, clock));

	return atomic_fetch_add(&b->now_ns, READING_NS) + READING_NS;
}

static int64_t tick_ms(struct wr_clock *c)
{
	return (int64_t)(tick(c) / MS);
}

static struct seat *seat_of(struct wr_stage *s)
{
	return s->env->post_arg;
}

/* A task with work for ever: each step takes the whole of its time. */
static int hot_poll(struct wr_stage *s)
{
	struct seat *seat = seat_of(s);

	while (!wr_stage_spent(s))
		;
	return atomic_fetch_add(&seat->steps, 1) + 1 >= seat->ends_at ? WR_END : WR_OK;
}

/* One that rests until its timer fires, every 3 ms. */
static int timer_open(struct wr_stage *s)
{
	s->deadline_ms = wr_clock_ms(s->env->clock) + 3;
	return WR_OK;
}

static int timer_time(struct wr_stage *s, int64_t now_ms)
{
	struct seat *seat = seat_of(s);
	uint64_t late = wr_clock_ns(s->env->clock) - (uint64_t)s->deadline_ms * MS;

	if (now_ms == INT64_MAX) {
		s->deadline_ms = INT64_MAX;
		return WR_OK;
	}
	if (late > seat->late_ns_max)
		seat->late_ns_max = late;
	seat->fired++;
	s->deadline_ms = now_ms + 3;
	return WR_OK;
}

static int timer_poll(struct wr_stage *s)
{
	return seat_of(s)->fired >= seat_of(s)->ends_at ? WR_END : WR_AGAIN;
}

static const struct wr_stage_ops hot = {.kind = "hot", .poll = hot_poll};
static const struct wr_stage_ops timer = {
    .kind = "timer", .open = timer_open, .time = timer_time, .poll = timer_poll};

static void on_end(void *arg, struct wr_runner *r, enum wr_step step)
{
	struct bench *b = arg;

	(void)r;
	assert_int_equal(step, WR_STEP_DONE);
	if (atomic_fetch_sub(&b->running, 1) > 1)
		return;
	pthread_mutex_lock(&b->mutex);
	pthread_cond_signal(&b->over);
	pthread_mutex_unlock(&b->mutex);
}

static struct bench *bench_new(uint32_t workers, bool pinned)
{
	struct bench *b = calloc(1, sizeof *b);
	struct wr_sched_options o = {.workers = workers, .pinned = pinned, .on_end = on_end, .arg = b};

	assert_non_null(b);
	b->clock = (struct wr_clock){.mono_ns = tick, .wall_ms = tick_ms};
	atomic_store(&b->now_ns, 1000 * (uint64_t)MS);
	o.clock = &b->clock;
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->over, NULL);
	b->sched = wr_sched_new(&o);
	assert_non_null(b->sched);
	return b;
}

static struct seat *bench_add(struct bench *b, const struct wr_stage_ops *ops, uint64_t ends_at)
{
	static const struct wr_op_def op = {"op", "op", NULL};
	struct seat *seat = &b->seats[b->count];
	struct wr_stage_def stage = {.ops = ops, .operators = &op, .operator_count = 1};
	struct wr_task_def def = {.stages = &stage, .stage_count = 1};

	seat->bench = b;
	seat->ends_at = ends_at;
	assert_int_equal(wr_sched_add(b->sched, &seat->runner, b->count++), WR_OK);
	def.env = (struct wr_stage_env){.task = "task",
					.parallelism = 1,
					.clock = &b->clock,
					.wake = wr_runner_notify(&seat->runner),
					.post_arg = seat};
	seat->runner.task = wr_task_new(&def);
	assert_non_null(seat->runner.task);
	atomic_fetch_add(&b->running, 1);
	return seat;
}

static void bench_run(struct bench *b)
{
	assert_int_equal(wr_sched_start(b->sched), WR_OK);
	pthread_mutex_lock(&b->mutex);
	while (atomic_load(&b->running))
		pthread_cond_wait(&b->over, &b->mutex);
	pthread_mutex_unlock(&b->mutex);
}

static void bench_free(struct bench *b)
{
	wr_sched_stop(b->sched);
	for (uint32_t i = 0; i < b->count; i++)
		wr_task_free(b->seats[i].runner.task);
	wr_sched_free(b->sched);
	pthread_mutex_destroy(&b->mutex);
	pthread_cond_destroy(&b->over);
	free(b);
}

static void hot_tasks_do_not_starve_a_timer(void **state)
{
	(void)state;
	for (uint32_t hot_ones = 1; hot_ones <= 4; hot_ones += 3) {
		struct bench *b = bench_new(1, false);
		struct seat *t = bench_add(b, &timer, 200);

		for (uint32_t i = 0; i < hot_ones; i++)
			bench_add(b, &hot, 1000);
		bench_run(b);
		assert_true(t->fired >= 200);
		/* a step under way, the rest of its last reading, and a look at the deadlines */
		assert_true(t->late_ns_max < 3 * (uint64_t)MS);
		bench_free(b);
	}
}

struct watch { /* a task that looks at the others when it has had its turns */
	uint64_t least, most;
};
static struct watch watched;

static int watching_poll(struct wr_stage *s)
{
	struct seat *seat = seat_of(s);
	const struct bench *b = seat->bench;

	if (atomic_fetch_add(&seat->steps, 1) + 1 < seat->ends_at)
		return WR_OK;
	watched = (struct watch){UINT64_MAX, 0};
	for (uint32_t i = 0; i < b->count; i += 2) { /* those of its worker */
		uint64_t steps = atomic_load(&b->seats[i].steps);

		watched.least = steps < watched.least ? steps : watched.least;
		watched.most = steps > watched.most ? steps : watched.most;
	}
	return WR_END;
}

static void two_hundred_subtasks_on_two_threads_have_their_turns(void **state)
{
	static const struct wr_stage_ops watching = {.kind = "watching", .poll = watching_poll};
	struct bench *b = bench_new(2, false);

	(void)state;
	bench_add(b, &watching, 50);
	for (uint32_t i = 1; i < TASKS_MAX; i++)
		bench_add(b, &hot, 60);
	bench_run(b);
	assert_true(watched.least >= 49);
	assert_true(watched.most <= 51);
	for (uint32_t i = 0; i < TASKS_MAX; i++)
		assert_true(b->seats[i].steps >= b->seats[i].ends_at);
	bench_free(b);
}

static int seeing_poll(struct wr_stage *s)
{
	struct seat *seat = seat_of(s);

	sched_getaffinity(0, sizeof seat->mask, &seat->mask);
	return WR_END;
}

static void workers_are_placed_by_the_system_unless_they_are_pinned(void **state)
{
	static const struct wr_stage_ops seeing = {.kind = "seeing", .poll = seeing_poll};
	cpu_set_t ours;

	(void)state;
	sched_getaffinity(0, sizeof ours, &ours);
	for (int pinned = 0; pinned < 2; pinned++) {
		struct bench *b = bench_new(3, pinned);

		for (uint32_t i = 0; i < 3; i++)
			bench_add(b, &seeing, 0);
		bench_run(b);
		for (uint32_t i = 0; i < 3; i++) {
			cpu_set_t one;

			CPU_ZERO(&one);
			CPU_SET((unsigned)wr_thread_cpu(i), &one);
			assert_true(CPU_EQUAL(&b->seats[i].mask, pinned ? &one : &ours));
		}
		bench_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hot_tasks_do_not_starve_a_timer),
	    cmocka_unit_test(two_hundred_subtasks_on_two_threads_have_their_turns),
	    cmocka_unit_test(workers_are_placed_by_the_system_unless_they_are_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
