/* SPDX-License-Identifier: Apache-2.0 */
/* thread: named threads, and I/O threads that serve queues. */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

static struct wr_mem mem = WR_MEM_INIT("base.threads");

/* On `cpu` from its first instruction. */
static int create_on(struct wr_thread *t, int cpu, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int rc;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	rc = pthread_attr_init(&attr);
	if (rc)
		return rc;
	rc = pthread_attr_setaffinity_np(&attr, sizeof set, &set);
	if (!rc)
		rc = pthread_create(&t->id, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return rc;
}

int wr_thread_start(struct wr_thread *t, const char *name, int cpu, void *(*run)(void *), void *arg)
{
	sigset_t ours, before;
	int rc = -1;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	if (cpu >= 0) {
		rc = create_on(t, cpu, run, arg);
		if (rc)
			wr_debug("thread", "%s is not pinned to cpu %d: %s", name, cpu, strerror(rc));
	}
	if (rc)
		rc = pthread_create(&t->id, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return wr_error_set(WR_EFATAL, "cannot start thread %s: %s", name, strerror(rc));
	t->running = true;
	snprintf(t->name, sizeof t->name, "%s", name);
	pthread_setname_np(t->id, t->name);
	return WR_OK;
}

void wr_thread_join(struct wr_thread *t)
{
	if (!t->running)
		return;
	pthread_join(t->id, NULL);
	t->running = false;
}

static _Thread_local bool yields; /* wr_thread_yield_to_others was called here */
static _Thread_local uint64_t turn_ns;

void wr_thread_give_turn(void)
{
	enum { TURN_NS = 1000000 };
	uint64_t now_ns;

	if (!yields)
		return;
	now_ns = wr_clock_ns(wr_clock_system());
	if (now_ns - turn_ns < TURN_NS)
		return;
	turn_ns = now_ns;
	sched_yield();
}

void wr_thread_yield_to_others(void)
{
	enum { NICE = 10 };
	struct sched_param none = {.sched_priority = 0};

	/* on Linux both are a thread's; that they cannot be lowered is no harm */
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	yields = true;
}

/* As the system has it (sched_setattr(2)), for which the C library has no name. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

void wr_thread_take_turns_soon(void)
{
	enum { TURN_NS = 500000 };
	struct attributes a = {.size = sizeof a};

	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) || a.policy != SCHED_OTHER)
		return;
	a.runtime_ns = TURN_NS;
	syscall(SYS_sched_setattr, 0, &a, 0); /* systems that do not know of turns pass over it */
}

uint32_t wr_thread_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) || !CPU_COUNT(&set))
		return 1;
	return (uint32_t)CPU_COUNT(&set);
}

int wr_thread_cpu(uint32_t n)
{
	cpu_set_t set;
	unsigned cpu = 0;

	if (sched_getaffinity(0, sizeof set, &set) || !CPU_COUNT(&set))
		return -1;
	n %= (uint32_t)CPU_COUNT(&set);
	while (!CPU_ISSET(cpu, &set) || n--)
		cpu++;
	return (int)cpu;
}

/* A queue is in the pool's ready list exactly while it has jobs and no thread works on it. */
struct wr_ioqueue {
	struct wr_iopool *pool;
	struct wr_iojob *first, *last; /* the first one stays here while it is worked on */
	struct wr_ioqueue *next_ready;
};
struct wr_iopool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct wr_ioqueue *ready_first, *ready_last;
	struct wr_thread *threads;
	const char *name;
	void (*manner)(void); /* wr_thread_yield_to_others or wr_thread_take_turns_soon */
	int started, idle, max;
	int ready; /* queues in the list; never more than `idle` while a thread can still be started */
	bool stop;
};

struct wr_iopool *wr_iopool_new(int threads_max, enum wr_iopool_kind kind)
{
	struct wr_iopool *p = wr_zalloc(&mem, sizeof *p);

	if (!p)
		return NULL;
	p->threads = wr_zalloc(&mem, (size_t)threads_max * sizeof *p->threads);
	if (!p->threads) {
		wr_free(&mem, p);
		return NULL;
	}
	p->max = threads_max;
	p->name = kind == WR_IOPOOL_PATIENT ? "weir-save" : "weir-io";
	p->manner = kind == WR_IOPOOL_PATIENT ? wr_thread_yield_to_others : wr_thread_take_turns_soon;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->work, NULL);
	return p;
}

static void queue_ready(struct wr_iopool *p, struct wr_ioqueue *q)
{
	q->next_ready = NULL;
	p->ready++;
	if (p->ready_last)
		p->ready_last->next_ready = q;
	else
		p->ready_first = q;
	p->ready_last = q;
}

static struct wr_ioqueue *queue_take(struct wr_iopool *p)
{
	struct wr_ioqueue *q = p->ready_first;

	p->ready_first = q->next_ready;
	if (!p->ready_first)
		p->ready_last = NULL;
	p->ready--;
	return q;
}

/* Runs the first job of `q`. The pool is locked before and behind; `done` may let the owner free the
 * queue, so it is called when nothing touches it any more. */
static void queue_run(struct wr_iopool *p, struct wr_ioqueue *q)
{
	struct wr_iojob *job = q->first;

	pthread_mutex_unlock(&p->mutex);
	job->work(job);
	pthread_mutex_lock(&p->mutex);
	q->first = job->next;
	if (!q->first)
		q->last = NULL;
	if (q->first)
		queue_ready(p, q);
	pthread_mutex_unlock(&p->mutex);
	job->done(job);
	pthread_mutex_lock(&p->mutex);
}

static void *serve(void *arg)
{
	struct wr_iopool *p = arg;

	p->manner();
	pthread_mutex_lock(&p->mutex);
	while (p->ready_first || !p->stop) {
		if (p->ready_first) {
			queue_run(p, queue_take(p));
			continue;
		}
		p->idle++;
		pthread_cond_wait(&p->work, &p->mutex);
		p->idle--;
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

void wr_iopool_free(struct wr_iopool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
	for (int i = 0; i < p->started; i++)
		wr_thread_join(&p->threads[i]);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->mutex);
	wr_free(&mem, p->threads);
	wr_free(&mem, p);
}

/* Starts one more thread if there may be one. A refusal is an error only when there is none at all. */
static int pool_grow(struct wr_iopool *p)
{
	int rc = WR_OK;

	if (p->started == p->max)
		return WR_OK;
	rc = wr_thread_start(&p->threads[p->started], p->name, -1, serve, p);
	p->started += rc == WR_OK;
	return p->started ? WR_OK : rc;
}

struct wr_ioqueue *wr_ioqueue_new(struct wr_iopool *p)
{
	struct wr_ioqueue *q = wr_zalloc(&mem, sizeof *q);
	int rc = WR_OK;

	if (!q)
		return NULL;
	q->pool = p;
	pthread_mutex_lock(&p->mutex);
	if (!p->started)
		rc = pool_grow(p);
	pthread_mutex_unlock(&p->mutex);
	if (rc == WR_OK)
		return q;
	wr_free(&mem, q);
	return NULL;
}

void wr_ioqueue_free(struct wr_ioqueue *q)
{
	if (!q)
		return;
	WR_ASSERT(!q->first);
	wr_free(&mem, q);
}

void wr_ioqueue_post(struct wr_ioqueue *q, struct wr_iojob *job)
{
	struct wr_iopool *p = q->pool;

	job->next = NULL;
	pthread_mutex_lock(&p->mutex);
	if (q->last) {
		q->last->next = job;
	} else {
		q->first = job;
		queue_ready(p, q);
	}
	q->last = job;
	if (p->ready > p->idle)
		pool_grow(p);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->mutex);
}
