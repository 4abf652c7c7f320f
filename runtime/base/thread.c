/* SPDX-License-Identifier: Apache-2.0 */
/* thread: named threads, and I/O threads that serve queues. */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

static struct wr_mem mem = WR_MEM_INIT("base.threads");

int wr_thread_start(struct wr_thread *t, const char *name, int cpu, void *(*run)(void *), void *arg)
{
	int rc = pthread_create(&t->id, NULL, run, arg);

	if (rc)
		return wr_error_set(WR_EFATAL, "cannot start thread %s: %s", name, strerror(rc));
	t->running = true;
	snprintf(t->name, sizeof t->name, "%s", name);
	pthread_setname_np(t->id, t->name);
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned)cpu, &set);
		rc = pthread_setaffinity_np(t->id, sizeof set, &set);
		if (rc)
			wr_debug("thread", "%s is not pinned to cpu %d: %s", name, cpu, strerror(rc));
	}
	return WR_OK;
}

void wr_thread_join(struct wr_thread *t)
{
	if (!t->running)
		return;
	pthread_join(t->id, NULL);
	t->running = false;
}

/* A queue is in the pool's ready list exactly while it has jobs and no thread works on it. */
struct wr_ioqueue {
	struct wr_iopool *pool;
	struct wr_iojob *first, *last;
	struct wr_ioqueue *next_ready;
	bool busy;
};
struct wr_iopool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct wr_ioqueue *ready_first, *ready_last;
	struct wr_thread *threads;
	int started, idle, max;
	bool stop;
};

struct wr_iopool *wr_iopool_new(int threads_max)
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
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->work, NULL);
	return p;
}

static void queue_ready(struct wr_iopool *p, struct wr_ioqueue *q)
{
	q->next_ready = NULL;
	if (p->ready_last)
		p->ready_last->next_ready = q;
	else
		p->ready_first = q;
	p->ready_last = q;
}

static void *serve(void *arg)
{
	struct wr_iopool *p = arg;

	pthread_mutex_lock(&p->mutex);
	for (;;) {
		struct wr_ioqueue *q = p->ready_first;
		struct wr_iojob *job;

		if (!q) {
			if (p->stop)
				break;
			p->idle++;
			pthread_cond_wait(&p->work, &p->mutex);
			p->idle--;
			continue;
		}
		p->ready_first = q->next_ready;
		if (!p->ready_first)
			p->ready_last = NULL;
		job = q->first;
		q->first = job->next;
		if (!q->first)
			q->last = NULL;
		q->busy = true;
		pthread_mutex_unlock(&p->mutex);
		job->work(job);
		pthread_mutex_lock(&p->mutex);
		q->busy = false;
		if (q->first)
			queue_ready(p, q);
		/* `done` may let the owner free the queue: it is the last touch of job and queue */
		pthread_mutex_unlock(&p->mutex);
		job->done(job);
		pthread_mutex_lock(&p->mutex);
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

struct wr_ioqueue *wr_ioqueue_new(struct wr_iopool *p)
{
	struct wr_ioqueue *q = wr_zalloc(&mem, sizeof *q);

	if (q)
		q->pool = p;
	return q;
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
	if (q->last)
		q->last->next = job;
	else
		q->first = job;
	if (!q->last && !q->busy)
		queue_ready(p, q);
	q->last = job;
	if (p->idle == 0 && p->started < p->max &&
	    wr_thread_start(&p->threads[p->started], "weir-io", -1, serve, p) == WR_OK)
		p->started++;
	WR_ASSERT(p->started > 0);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->mutex);
}
