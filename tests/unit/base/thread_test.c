/* SPDX-License-Identifier: Apache-2.0 */
/* thread: names, cpus, signals, and work in order on the I/O threads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include "base/thread.h"
#include "support/failing.h"

struct seen {
	bool blocks_interrupt, blocks_profile;
};

static void *look_around(void *arg)
{
	struct seen *s = arg;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	s->blocks_interrupt = sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM);
	s->blocks_profile = sigismember(&blocked, SIGPROF);
	return NULL;
}

static void a_thread_leaves_the_users_signals_to_its_maker(void **state)
{
	struct wr_thread t = {0};
	struct seen s = {0};
	sigset_t blocked;

	(void)state;
	assert_int_equal(wr_thread_start(&t, "looks", -1, look_around, &s), WR_OK);
	assert_true(t.running);
	wr_thread_join(&t);
	assert_false(t.running);
	wr_thread_join(&t);
	assert_true(s.blocks_interrupt);
	assert_false(s.blocks_profile);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGINT));
}

struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool open;
};
#define GATE_CLOSED                                                                                          \
	{                                                                                                    \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false                                   \
	}

static void gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->mutex);
	g->open = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->mutex);
}

static void gate_pass(struct gate *g)
{
	pthread_mutex_lock(&g->mutex);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->mutex);
	pthread_mutex_unlock(&g->mutex);
}

static void *wait_at_gate(void *arg)
{
	gate_pass(arg);
	return NULL;
}

static void a_thread_has_its_name_and_cpu(void **state)
{
	struct gate g = GATE_CLOSED;
	struct wr_thread t = {0};
	cpu_set_t ours, theirs;
	char name[16];
	int cpu = 0;

	(void)state;
	sched_getaffinity(0, sizeof ours, &ours);
	while (!CPU_ISSET((unsigned)cpu, &ours))
		cpu++;
	assert_int_equal(wr_thread_start(&t, "a-name-that-is-too-long", cpu, wait_at_gate, &g), WR_OK);
	pthread_getname_np(t.id, name, sizeof name);
	assert_string_equal(name, "a-name-that-is-");
	pthread_getaffinity_np(t.id, sizeof theirs, &theirs);
	assert_int_equal(CPU_COUNT(&theirs), 1);
	assert_true(CPU_ISSET((unsigned)cpu, &theirs));
	gate_open(&g);
	wr_thread_join(&t);
}

static void cpus_are_those_of_the_mask_and_come_again(void **state)
{
	cpu_set_t ours, first;
	uint32_t n;

	(void)state;
	sched_getaffinity(0, sizeof ours, &ours);
	n = wr_thread_cpus();
	assert_int_equal(n, CPU_COUNT(&ours));
	for (uint32_t i = 0; i < n; i++) {
		assert_true(CPU_ISSET((unsigned)wr_thread_cpu(i), &ours));
		assert_true(i == 0 || wr_thread_cpu(i) > wr_thread_cpu(i - 1));
		assert_int_equal(wr_thread_cpu(i + n), wr_thread_cpu(i));
	}
	CPU_ZERO(&first);
	CPU_SET((unsigned)wr_thread_cpu(n - 1), &first);
	sched_setaffinity(0, sizeof first, &first);
	assert_int_equal(wr_thread_cpus(), 1);
	assert_true(CPU_ISSET((unsigned)wr_thread_cpu(0), &first));
	assert_int_equal(wr_thread_cpu(1), wr_thread_cpu(0));
	sched_setaffinity(0, sizeof ours, &ours);
}

static void a_cpu_that_is_not_there_is_any_cpu(void **state)
{
	struct wr_thread t = {0};
	struct seen s = {0};

	(void)state;
	assert_int_equal(wr_thread_start(&t, "nowhere", 1000, look_around, &s), WR_OK);
	wr_thread_join(&t);
	assert_int_equal(wr_thread_start(&t, "beyond", 1 << 20, look_around, &s), WR_OK);
	wr_thread_join(&t);
}

/* ---- the I/O threads ---- */

enum { QUEUES = 6, JOBS = 300 };

struct job {
	struct wr_iojob job;
	int *next; /* number that the queue's next job must have */
	int number;
	_Atomic int *wrong, *done;
};

static void work_in_order(struct wr_iojob *j)
{
	struct job *job = (struct job *)j;

	if ((*job->next)++ != job->number)
		atomic_fetch_add(job->wrong, 1);
}

static void count_done(struct wr_iojob *j)
{
	atomic_fetch_add(((struct job *)j)->done, 1);
}

struct gated {
	struct wr_iojob job;
	struct gate *gate;
};

static void work_at_gate(struct wr_iojob *j)
{
	gate_pass(((struct gated *)j)->gate);
}

static void nothing(struct wr_iojob *j)
{
	(void)j;
}

/* Posts JOBS to each of QUEUES; with `held`, all threads are held up until the last one is posted. */
static void post_and_check(int threads, bool held)
{
	static struct job jobs[QUEUES][JOBS];
	struct wr_iopool *p = wr_iopool_new(threads, WR_IOPOOL_PROMPT);
	struct wr_ioqueue *q[QUEUES], *holding[QUEUES];
	struct gate g = GATE_CLOSED;
	struct gated holds[QUEUES];
	int next[QUEUES] = {0};
	_Atomic int wrong = 0, done = 0;

	for (int i = 0; i < threads; i++) {
		holding[i] = wr_ioqueue_new(p);
		holds[i] = (struct gated){{work_at_gate, nothing, NULL}, &g};
		if (held)
			wr_ioqueue_post(holding[i], &holds[i].job);
	}
	for (int i = 0; i < QUEUES; i++)
		q[i] = wr_ioqueue_new(p);
	for (int n = 0; n < JOBS; n++) {
		for (int i = 0; i < QUEUES; i++) {
			jobs[i][n] =
			    (struct job){{work_in_order, count_done, NULL}, &next[i], n, &wrong, &done};
			wr_ioqueue_post(q[i], &jobs[i][n].job);
		}
	}
	gate_open(&g);
	wr_iopool_free(p);
	assert_int_equal(wrong, 0);
	assert_int_equal(done, QUEUES * JOBS);
	for (int i = 0; i < QUEUES; i++)
		wr_ioqueue_free(q[i]);
	for (int i = 0; i < threads; i++)
		wr_ioqueue_free(holding[i]);
}

static void jobs_of_a_queue_run_in_order_and_all_run(void **state)
{
	(void)state;
	for (int threads = 1; threads <= 4; threads++) {
		post_and_check(threads, false);
		post_and_check(threads, true);
	}
}

struct meeting {
	struct wr_iojob job;
	pthread_barrier_t *barrier;
};

static void meet(struct wr_iojob *j)
{
	pthread_barrier_wait(((struct meeting *)j)->barrier);
}

static void open_gate(struct wr_iojob *j)
{
	gate_open(((struct gated *)j)->gate);
}

/* Each job waits for all others of its round: a round only ends if every queue has a thread at once. */
static void different_queues_run_side_by_side(void **state)
{
	enum { ROUNDS = 50 };
	static struct meeting m[ROUNDS][4];
	struct wr_iopool *p = wr_iopool_new(4, WR_IOPOOL_PROMPT);
	struct wr_ioqueue *q[4];
	pthread_barrier_t barrier;

	(void)state;
	for (int i = 0; i < 4; i++)
		q[i] = wr_ioqueue_new(p);
	pthread_barrier_init(&barrier, NULL, 4);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 4; i++) {
			m[round][i] = (struct meeting){{meet, nothing, NULL}, &barrier};
			wr_ioqueue_post(q[i], &m[round][i].job);
		}
	}
	wr_iopool_free(p);
	for (int i = 0; i < 4; i++)
		wr_ioqueue_free(q[i]);
	pthread_barrier_destroy(&barrier);
}

/* Gives the other threads the time to fall asleep; no outcome hangs on it. */
static void let_it_rest(void)
{
	for (int i = 0; i < 50; i++)
		sched_yield();
}

/* A thread that was idle for the first of two jobs is not idle for the second, though it may still sleep. */
static void an_idle_thread_is_counted_on_once(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		struct wr_iopool *p = wr_iopool_new(2, WR_IOPOOL_PROMPT);
		struct wr_ioqueue *q[2] = {wr_ioqueue_new(p), wr_ioqueue_new(p)};
		struct gate g = GATE_CLOSED;
		struct gated opens = {{nothing, open_gate, NULL}, &g};
		struct meeting m[2];
		pthread_barrier_t barrier;

		pthread_barrier_init(&barrier, NULL, 2);
		let_it_rest();
		wr_ioqueue_post(q[0], &opens.job);
		gate_pass(&g);
		let_it_rest();
		for (int i = 0; i < 2; i++) {
			m[i] = (struct meeting){{meet, nothing, NULL}, &barrier};
			wr_ioqueue_post(q[i], &m[i].job);
		}
		wr_iopool_free(p);
		wr_ioqueue_free(q[0]);
		wr_ioqueue_free(q[1]);
		pthread_barrier_destroy(&barrier);
	}
}

struct again {
	struct wr_iojob job;
	struct wr_ioqueue *queue;
	int left;
};

static void once_more(struct wr_iojob *j)
{
	struct again *a = (struct again *)j;

	if (--a->left > 0)
		wr_ioqueue_post(a->queue, j);
}

static void a_job_may_post_itself_again_when_it_is_done(void **state)
{
	struct wr_iopool *p = wr_iopool_new(2, WR_IOPOOL_PROMPT);
	struct again a = {{nothing, once_more, NULL}, wr_ioqueue_new(p), 1000};

	(void)state;
	wr_ioqueue_post(a.queue, &a.job);
	wr_iopool_free(p);
	assert_int_equal(a.left, 0);
	wr_ioqueue_free(a.queue);
}

static void a_pool_without_queues_has_no_threads_to_wait_for(void **state)
{
	(void)state;
	wr_iopool_free(wr_iopool_new(8, WR_IOPOOL_PROMPT));
	wr_iopool_free(NULL);
	wr_ioqueue_free(NULL);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
	(void)state;
	for (struct failing f = failing_begin(); failing_next(&f);) {
		struct wr_iopool *p = wr_iopool_new(2, WR_IOPOOL_PROMPT);
		struct wr_ioqueue *q = p ? wr_ioqueue_new(p) : NULL;

		bool all = q != NULL;

		wr_ioqueue_free(q);
		wr_iopool_free(p);
		failing_check(&f, all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_thread_leaves_the_users_signals_to_its_maker),
	    cmocka_unit_test(a_thread_has_its_name_and_cpu),
	    cmocka_unit_test(cpus_are_those_of_the_mask_and_come_again),
	    cmocka_unit_test(a_cpu_that_is_not_there_is_any_cpu),
	    cmocka_unit_test(jobs_of_a_queue_run_in_order_and_all_run),
	    cmocka_unit_test(different_queues_run_side_by_side),
	    cmocka_unit_test(an_idle_thread_is_counted_on_once),
	    cmocka_unit_test(a_job_may_post_itself_again_when_it_is_done),
	    cmocka_unit_test(a_pool_without_queues_has_no_threads_to_wait_for),
	    cmocka_unit_test(a_refusal_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
