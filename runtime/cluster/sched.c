/* SPDX-License-Identifier: Apache-2.0 */
/* sched: worker threads, run queues, deadlines.
 *
 * No wake-up is lost. (1) A waker publishes its news, then exchanges `queued` to 1; a worker
 * exchanges it to 0 before a step: either the step sees the news or the waker saw 0 and queues
 * the task. (2) A waker pushes on the inbox, then reads `sleeping`; a worker sets `sleeping`,
 * then looks into the inbox before it sleeps. All four are sequentially consistent, so one of
 * the two sees the other.
 */
#include "cluster/sched.h"

#include <stdio.h>
#include "base/assert.h"
#include "base/error.h"

enum {
	LOOK_NS = 500000, /* a busy worker looks at its deadlines this often */
	LINGER_NS = 20000 /* an idle one looks for work this long at most: a sleep costs as much */
};

static struct wr_mem mem = WR_MEM_INIT("task.sched");
static _Thread_local struct wr_worker *current;

struct wr_worker {
	struct wr_sched *sched;
	struct wr_loop *loop;
	struct wr_thread thread;
	uint32_t index;
	/* own thread */
	struct wr_runner *first, **last; /* run queue */
	struct wr_runner **heap;	 /* by deadline, from 1; as many places as runners */
	uint32_t heap_count, runners;
	uint64_t look_ns, linger_ns;
	/* any thread */
	_Alignas(64) _Atomic(struct wr_runner *) inbox;
	_Atomic int sleeping;
	_Atomic uint64_t woken_ns;	     /* from the last sleep, by others; UINT64_MAX: by nobody */
	_Atomic(struct wr_runner *) stepped; /* its step is under way, or was the last one */
	_Atomic bool runs;
};

struct wr_sched {
	struct wr_sched_options o;
	_Atomic bool stop;
	struct wr_runner **all;
	uint32_t count, cap;
	struct wr_worker *workers;
};

/* ---- deadlines: a heap ---- */

static void heap_put(struct wr_worker *w, uint32_t at, struct wr_runner *r)
{
	w->heap[at] = r;
	r->heap_at = at;
}

static void heap_up(struct wr_worker *w, uint32_t at, struct wr_runner *r)
{
	for (; at > 1 && w->heap[at / 2]->deadline_ns > r->deadline_ns; at /= 2)
		heap_put(w, at, w->heap[at / 2]);
	heap_put(w, at, r);
}

static void heap_down(struct wr_worker *w, uint32_t at, struct wr_runner *r)
{
	for (;;) {
		uint32_t child = 2 * at;

		if (child > w->heap_count)
			break;
		if (child < w->heap_count && w->heap[child + 1]->deadline_ns < w->heap[child]->deadline_ns)
			child++;
		if (w->heap[child]->deadline_ns >= r->deadline_ns)
			break;
		heap_put(w, at, w->heap[child]);
		at = child;
	}
	heap_put(w, at, r);
}

static void heap_remove(struct wr_worker *w, struct wr_runner *r)
{
	uint32_t at = r->heap_at;
	struct wr_runner *last = w->heap[w->heap_count--];

	r->heap_at = 0;
	if (last == r)
		return;
	if (at > 1 && w->heap[at / 2]->deadline_ns > last->deadline_ns)
		heap_up(w, at, last);
	else
		heap_down(w, at, last);
}

static void set_deadline(struct wr_worker *w, struct wr_runner *r, uint64_t at_ns)
{
	if (r->heap_at) {
		if (r->deadline_ns == at_ns)
			return;
		heap_remove(w, r);
	}
	r->deadline_ns = at_ns;
	if (at_ns != UINT64_MAX)
		heap_up(w, ++w->heap_count, r);
}

/* ---- waking ---- */

static void enqueue(struct wr_worker *w, struct wr_runner *r)
{
	r->next = NULL;
	*w->last = r;
	w->last = &r->next;
}

static void enqueue_first(struct wr_worker *w, struct wr_runner *r)
{
	if (!w->first)
		w->last = &r->next;
	r->next = w->first;
	w->first = r;
}

static void runner_wake(void *self)
{
	struct wr_runner *r = self;
	struct wr_worker *w = r->worker;
	struct wr_runner *head;

	if (atomic_exchange(&r->queued, 1))
		return;
	if (w == current) {
		enqueue(w, r);
		return;
	}
	head = atomic_load_explicit(&w->inbox, memory_order_relaxed);
	do
		r->next = head;
	while (!atomic_compare_exchange_weak(&w->inbox, &head, r));
	if (atomic_load(&w->sleeping) && atomic_exchange(&w->sleeping, 0)) {
		atomic_store_explicit(&w->woken_ns, wr_clock_ns(w->sched->o.clock), memory_order_relaxed);
		wr_loop_wake(w->loop);
	}
}

struct wr_notify wr_runner_notify(struct wr_runner *r)
{
	return (struct wr_notify){runner_wake, r};
}

/* What was woken by others joins the run queue, oldest first. */
static void read_inbox(struct wr_worker *w)
{
	struct wr_runner *r, *oldest = NULL;

	if (!atomic_load_explicit(&w->inbox, memory_order_relaxed))
		return;
	r = atomic_exchange(&w->inbox, NULL);
	while (r) {
		struct wr_runner *next = r->next;

		r->next = oldest;
		oldest = r;
		r = next;
	}
	while (oldest) {
		struct wr_runner *next = oldest->next;

		enqueue(w, oldest);
		oldest = next;
	}
}

/* ---- the worker's thread ---- */

static void queue_due(struct wr_worker *w, uint64_t now_ns)
{
	while (w->heap_count && w->heap[1]->deadline_ns <= now_ns) {
		struct wr_runner *r = w->heap[1];

		heap_remove(w, r);
		if (!atomic_exchange(&r->queued, 1))
			enqueue_first(w, r);
	}
}

static void run(struct wr_worker *w, struct wr_runner *r)
{
	enum wr_step step;

	atomic_exchange(&r->queued, 0);
	if (r->finished)
		return;
	atomic_store_explicit(&w->stepped, r, memory_order_relaxed);
	step = wr_task_step(r->task);
	if (step == WR_STEP_ENOUGH)
		w->sched->o.on_end(w->sched->o.arg, r, step);
	if (step == WR_STEP_MORE || step == WR_STEP_ENOUGH) {
		if (!atomic_exchange(&r->queued, 1))
			enqueue(w, r);
		return;
	}
	if (step < WR_STEP_DONE) {
		set_deadline(w, r, wr_task_deadline(r->task));
		return;
	}
	r->finished = true;
	set_deadline(w, r, UINT64_MAX);
	w->sched->o.on_end(w->sched->o.arg, r, step);
}

static bool stopped(struct wr_worker *w)
{
	return atomic_load_explicit(&w->sched->stop, memory_order_relaxed);
}

static bool inbox_filled(struct wr_worker *w)
{
	return atomic_load_explicit(&w->inbox, memory_order_relaxed) != NULL;
}

/* Looks for news for a moment without sleeping. True when there are some. */
static bool linger(struct wr_worker *w, uint64_t until_ns)
{
	do {
		for (int i = 0; i < 32; i++) {
			if (inbox_filled(w) || stopped(w))
				return true;
#if defined(__x86_64__)
			__builtin_ia32_pause();
#endif
		}
	} while (wr_clock_ns(w->sched->o.clock) < until_ns);
	return false;
}

/* To linger pays where work comes soon, and takes a core from others for nothing where it does not. What woke
 * the worker last says which it is. */
static void learn_to_linger(struct wr_worker *w, uint64_t idle_ns)
{
	uint64_t woken = atomic_load_explicit(&w->woken_ns, memory_order_relaxed);

	w->linger_ns = woken - idle_ns < LINGER_NS ? LINGER_NS : w->linger_ns / 2;
}

static void rest(struct wr_worker *w, uint64_t now_ns)
{
	uint64_t deadline = w->heap_count ? w->heap[1]->deadline_ns : UINT64_MAX;
	bool due_soon = deadline < now_ns + LINGER_NS;

	if (linger(w, due_soon ? deadline : now_ns + w->linger_ns) || due_soon || w->sched->o.spin)
		return;
	atomic_store_explicit(&w->woken_ns, UINT64_MAX, memory_order_relaxed);
	atomic_store(&w->sleeping, 1);
	if (!atomic_load(&w->inbox) && !atomic_load(&w->sched->stop)) {
		wr_loop_wait(w->loop, deadline);
		learn_to_linger(w, now_ns);
	}
	atomic_store(&w->sleeping, 0);
}

static void *worker_main(void *arg)
{
	struct wr_worker *w = arg;
	uint64_t now;

	current = w;
	wr_thread_take_turns_soon();
	while (!stopped(w)) {
		struct wr_runner *r;

		read_inbox(w);
		r = w->first;
		now = r && !w->heap_count ? 0 : wr_clock_ns(w->sched->o.clock);
		if (now >= w->look_ns || !r) {
			queue_due(w, now);
			w->look_ns = now + LOOK_NS;
			r = w->first;
		}
		if (!r) {
			rest(w, now);
			w->look_ns = 0;
			continue;
		}
		w->first = r->next;
		if (!w->first)
			w->last = &w->first;
		run(w, r);
	}
	current = NULL;
	atomic_store(&w->runs, false);
	if (w->sched->o.on_quit)
		w->sched->o.on_quit(w->sched->o.arg);
	return NULL;
}

/* ---- making, starting, stopping ---- */

struct wr_sched *wr_sched_new(const struct wr_sched_options *o)
{
	struct wr_sched *s = wr_zalloc(&mem, sizeof *s);

	WR_ASSERT(o->workers > 0);
	if (!s)
		return NULL;
	s->o = *o;
	s->workers = wr_alloc_aligned(&mem, 64, o->workers * sizeof *s->workers);
	if (!s->workers) {
		wr_free(&mem, s);
		return NULL;
	}
	for (uint32_t i = 0; i < o->workers; i++) {
		s->workers[i] = (struct wr_worker){.sched = s, .index = i, .linger_ns = LINGER_NS};
		s->workers[i].last = &s->workers[i].first;
	}
	return s;
}

int wr_sched_add(struct wr_sched *s, struct wr_runner *r, uint32_t worker)
{
	struct wr_worker *w = &s->workers[worker % s->o.workers];

	if (s->count == s->cap && WR_GROW(&mem, s->all, s->cap, 16) != WR_OK)
		return WR_EFATAL;
	r->worker = w;
	r->deadline_ns = UINT64_MAX;
	w->runners++;
	s->all[s->count++] = r;
	return WR_OK;
}

static int worker_start(struct wr_worker *w)
{
	int cpu = w->sched->o.pinned ? wr_thread_cpu(w->index) : -1;
	char name[16];
	int rc;

	w->heap = wr_alloc(&mem, (w->runners + 1) * sizeof(struct wr_runner *));
	w->loop = wr_loop_new(w->sched->o.clock);
	if (!w->heap || !w->loop)
		return WR_EFATAL;
	snprintf(name, sizeof name, "weir-worker-%u", w->index % 1000);
	atomic_store(&w->runs, true);
	rc = wr_thread_start(&w->thread, name, cpu, worker_main, w);
	if (rc != WR_OK)
		atomic_store(&w->runs, false);
	return rc;
}

int wr_sched_start(struct wr_sched *s)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < s->count; i++) {
		s->all[i]->queued = 1;
		enqueue(s->all[i]->worker, s->all[i]);
	}
	for (uint32_t i = 0; i < s->o.workers && rc == WR_OK; i++)
		if (s->workers[i].runners)
			rc = worker_start(&s->workers[i]);
	if (rc != WR_OK)
		wr_sched_stop(s);
	return rc;
}

void wr_sched_end(struct wr_sched *s)
{
	atomic_store(&s->stop, true);
	for (uint32_t i = 0; i < s->o.workers; i++) {
		struct wr_worker *w = &s->workers[i];

		if (w->thread.running && atomic_exchange(&w->sleeping, 0))
			wr_loop_wake(w->loop);
	}
}

uint32_t wr_sched_left(struct wr_sched *s, const struct wr_runner **stepped)
{
	uint32_t left = 0;

	*stepped = NULL;
	for (uint32_t i = 0; i < s->o.workers; i++) {
		if (!atomic_load(&s->workers[i].runs))
			continue;
		*stepped = atomic_load_explicit(&s->workers[i].stepped, memory_order_relaxed);
		left++;
	}
	return left;
}

void wr_sched_stop(struct wr_sched *s)
{
	wr_sched_end(s);
	for (uint32_t i = 0; i < s->o.workers; i++)
		wr_thread_join(&s->workers[i].thread);
}

void wr_sched_free(struct wr_sched *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->o.workers; i++) {
		wr_loop_free(s->workers[i].loop);
		wr_free(&mem, s->workers[i].heap);
	}
	wr_free(&mem, s->all);
	wr_free(&mem, s->workers);
	wr_free(&mem, s);
}
