/* SPDX-License-Identifier: Apache-2.0 */
/* sched: worker threads. */
#include "task/sched.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"

static struct wr_mem mem = WR_MEM_INIT("task.sched");

enum { LOOK_NS = 1000000, SPIN_NS = 20000 };

struct worker;
struct wr_seat {
	struct worker *worker;
	struct wr_task *task;
	_Atomic int scheduled;
	struct wr_seat *next; /* in inbox or run queue */
	bool done;
};

struct worker {
	struct wr_sched *sched;
	struct wr_thread thread;
	struct wr_loop *loop;
	struct wr_seat **seats;
	uint32_t seat_count, seat_cap, done;
	struct wr_seat *run_first, *run_last;
	int cpu;
	_Alignas(64) _Atomic(struct wr_seat *) inbox;
	_Atomic int sleeping;
};

struct wr_sched {
	struct wr_sched_options o;
	struct worker *workers;
};

static _Thread_local struct worker *me;

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
	memset(s->workers, 0, o->workers * sizeof *s->workers);
	for (uint32_t i = 0; i < o->workers; i++) {
		s->workers[i].sched = s;
		s->workers[i].cpu = (int)i;
	}
	return s;
}

void wr_sched_free(struct wr_sched *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->o.workers; i++) {
		struct worker *w = &s->workers[i];

		for (uint32_t k = 0; k < w->seat_count; k++)
			wr_free(&mem, w->seats[k]);
		wr_free(&mem, w->seats);
		wr_loop_free(w->loop);
	}
	wr_free(&mem, s->workers);
	wr_free(&mem, s);
}

struct wr_seat *wr_sched_seat(struct wr_sched *s, uint32_t worker)
{
	struct worker *w = &s->workers[worker % s->o.workers];
	struct wr_seat *seat = wr_zalloc(&mem, sizeof *seat);

	if (!seat)
		return NULL;
	if (w->seat_count == w->seat_cap) {
		uint32_t cap = w->seat_cap ? w->seat_cap * 2 : 8;
		struct wr_seat **seats = wr_realloc(&mem, w->seats, cap * sizeof *seats);

		if (!seats) {
			wr_free(&mem, seat);
			return NULL;
		}
		w->seats = seats;
		w->seat_cap = cap;
	}
	seat->worker = w;
	w->seats[w->seat_count++] = seat;
	return seat;
}

void wr_seat_take(struct wr_seat *seat, struct wr_task *t)
{
	seat->task = t;
}

static void run_put(struct worker *w, struct wr_seat *seat)
{
	seat->next = NULL;
	if (w->run_last)
		w->run_last->next = seat;
	else
		w->run_first = seat;
	w->run_last = seat;
}

static void seat_wake(void *self)
{
	struct wr_seat *seat = self, *head;
	struct worker *w = seat->worker;

	if (atomic_exchange(&seat->scheduled, 1))
		return;
	if (w == me) {
		run_put(w, seat);
		return;
	}
	head = atomic_load_explicit(&w->inbox, memory_order_relaxed);
	do
		seat->next = head;
	while (!atomic_compare_exchange_weak(&w->inbox, &head, seat));
	if (atomic_load(&w->sleeping) && atomic_exchange(&w->sleeping, 0))
		wr_loop_wake(w->loop);
}

struct wr_notify wr_seat_wake(struct wr_seat *seat)
{
	return (struct wr_notify){seat_wake, seat};
}

/* What other threads have woken, in the order of waking. */
static void take_inbox(struct worker *w)
{
	struct wr_seat *s, *order = NULL;

	if (!atomic_load_explicit(&w->inbox, memory_order_relaxed))
		return;
	s = atomic_exchange(&w->inbox, NULL);
	while (s) {
		struct wr_seat *next = s->next;

		s->next = order;
		order = s;
		s = next;
	}
	while (order) {
		struct wr_seat *next = order->next;

		run_put(w, order);
		order = next;
	}
}

static void run_one(struct worker *w)
{
	struct wr_seat *seat = w->run_first;
	enum wr_step step;

	w->run_first = seat->next;
	if (!w->run_first)
		w->run_last = NULL;
	atomic_store(&seat->scheduled, 0);
	if (seat->done)
		return;
	step = wr_task_step(seat->task);
	if (step == WR_STEP_MORE) {
		seat_wake(seat);
	} else if (step == WR_STEP_DONE) {
		seat->done = true;
		w->done++;
		w->sched->o.on_done(w->sched->o.arg, seat->task);
	}
}

/* Schedules tasks whose deadline has come; gives the next deadline. */
static uint64_t look_at_deadlines(struct worker *w, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < w->seat_count; i++) {
		struct wr_seat *seat = w->seats[i];
		uint64_t at = seat->done ? UINT64_MAX : wr_task_deadline(seat->task);

		if (at <= now)
			seat_wake(seat);
		else if (at < next)
			next = at;
	}
	return next;
}

/* Nothing is scheduled: sleeps until something is. */
static void rest(struct worker *w)
{
	struct wr_clock *clock = w->sched->o.clock;
	uint64_t now = wr_clock_ns(clock), next = look_at_deadlines(w, now), until = now + SPIN_NS;

	if (w->run_first)
		return;
	/* work often arrives within microseconds, and sleeping costs more than that */
	do {
		if (atomic_load_explicit(&w->inbox, memory_order_relaxed))
			return;
		__builtin_ia32_pause();
		now = wr_clock_ns(clock);
	} while (now < next && (w->sched->o.spin || now < until));
	if (now >= next || w->sched->o.spin)
		return;
	atomic_store(&w->sleeping, 1);
	if (!atomic_load(&w->inbox))
		wr_loop_wait(w->loop, next);
	atomic_store(&w->sleeping, 0);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct wr_clock *clock = w->sched->o.clock;
	uint64_t looked = 0;

	me = w;
	for (uint32_t i = 0; i < w->seat_count; i++)
		seat_wake(w->seats[i]);
	while (w->done < w->seat_count) {
		uint64_t now;

		take_inbox(w);
		if (!w->run_first) {
			rest(w);
			continue;
		}
		run_one(w);
		now = wr_clock_ns(clock);
		if (now - looked >= LOOK_NS) {
			looked = now;
			look_at_deadlines(w, now);
			wr_loop_wait(w->loop, 0);
		}
	}
	me = NULL;
	return NULL;
}

int wr_sched_start(struct wr_sched *s)
{
	for (uint32_t i = 0; i < s->o.workers; i++) {
		struct worker *w = &s->workers[i];
		char name[24];
		int rc;

		if (!w->seat_count)
			continue;
		w->loop = wr_loop_new(s->o.clock);
		if (!w->loop)
			return WR_EFATAL;
		snprintf(name, sizeof name, "weir-%u", i);
		rc = wr_thread_start(&w->thread, name, s->o.workers > 1 ? w->cpu : -1, work, w);
		if (rc != WR_OK)
			return rc;
	}
	return WR_OK;
}

void wr_sched_join(struct wr_sched *s)
{
	for (uint32_t i = 0; i < s->o.workers; i++)
		wr_thread_join(&s->workers[i].thread);
}
