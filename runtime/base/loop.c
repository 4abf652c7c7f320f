/* SPDX-License-Identifier: Apache-2.0 */
/* loop: libev with an async watcher to be woken by, and a timerfd for deadlines.
 *
 *   RUNNING ──wait──▶ SLEEPING ──wake──▶ WOKEN ──wait returns──▶ RUNNING
 *   RUNNING ──wake──▶ WOKEN: the next wait does not sleep
 *
 * Only the waker that finds SLEEPING pays for a write to the eventfd. It may come late, when the loop
 * has been woken by something else: then a later wait returns early, which is allowed.
 */
#include "base/loop.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

static struct wr_mem mem = WR_MEM_INIT("base.loop");
static struct wr_mem mem_ev = WR_MEM_INIT("base.libev");
static pthread_once_t once = PTHREAD_ONCE_INIT;

enum { RUNNING, SLEEPING, WOKEN };
struct wr_loop {
	struct ev_loop *ev;
	_Atomic int state;
	int ios; /* descriptors watched; without any a wait of 0 has nothing to ask the system */
	ev_async wake;
	ev_io timer;
	int timer_fd;
	uint64_t armed_ns; /* deadline that the timerfd is set to; UINT64_MAX = none */
	struct wr_clock *clock;
};

struct wr_io {
	ev_io io;
	struct wr_loop *loop;
	int events; /* WR_IO_READ, WR_IO_WRITE, both, or 0 while paused */
	void (*cb)(void *arg, int events);
	void *arg;
};

/* To end the system call is all that a wake has to do. */
static void on_wake(struct ev_loop *ev, ev_async *w, int events)
{
	(void)ev, (void)w, (void)events;
}

static void on_timer(struct ev_loop *ev, ev_io *w, int events)
{
	struct wr_loop *l = w->data;
	uint64_t count;

	(void)ev, (void)events;
	if (read(l->timer_fd, &count, sizeof count) > 0)
		l->armed_ns = UINT64_MAX;
}

static void *ev_memory(void *p, long bytes)
{
	return wr_mem_hook(&mem_ev, p, (size_t)bytes);
}

static void hook_memory(void)
{
	ev_set_allocator(ev_memory);
}

struct wr_loop *wr_loop_new(struct wr_clock *clock)
{
	struct wr_loop *l = wr_zalloc(&mem, sizeof *l);

	if (!l)
		return NULL;
	l->clock = clock;
	l->armed_ns = UINT64_MAX;
	pthread_once(&once, hook_memory);
	l->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (!l->ev)
		l->ev = ev_loop_new(EVFLAG_NOENV);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!l->ev || l->timer_fd < 0) {
		wr_error_set(WR_EFATAL, "cannot make an event loop: %s", strerror(errno));
		wr_loop_free(l);
		return NULL;
	}
	ev_async_init(&l->wake, on_wake);
	ev_async_start(l->ev, &l->wake);
	ev_io_init(&l->timer, on_timer, l->timer_fd, EV_READ);
	l->timer.data = l;
	ev_io_start(l->ev, &l->timer);
	return l;
}

void wr_loop_free(struct wr_loop *l)
{
	if (!l)
		return;
	WR_ASSERT(!l->ios);
	if (l->ev) {
		ev_async_stop(l->ev, &l->wake);
		ev_io_stop(l->ev, &l->timer);
		ev_loop_destroy(l->ev);
	}
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	wr_free(&mem, l);
}

void wr_loop_wake(struct wr_loop *l)
{
	if (atomic_exchange(&l->state, WOKEN) == SLEEPING)
		ev_async_send(l->ev, &l->wake);
}

static void arm(struct wr_loop *l, uint64_t deadline_ns)
{
	struct itimerspec t = {0};

	if (deadline_ns == l->armed_ns)
		return;
	if (deadline_ns != UINT64_MAX) {
		t.it_value.tv_sec = (time_t)(deadline_ns / 1000000000u);
		t.it_value.tv_nsec = (long)(deadline_ns % 1000000000u);
		if (!t.it_value.tv_sec && !t.it_value.tv_nsec)
			t.it_value.tv_nsec = 1; /* zero would disarm */
	}
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
	l->armed_ns = deadline_ns;
}

void wr_loop_wait(struct wr_loop *l, uint64_t deadline_ns)
{
	int running = RUNNING;

	if (deadline_ns == 0) {
		if (l->ios)
			ev_run(l->ev, EVRUN_NOWAIT);
		return;
	}
	if (deadline_ns <= wr_clock_ns(l->clock) ||
	    !atomic_compare_exchange_strong(&l->state, &running, SLEEPING)) {
		ev_run(l->ev, EVRUN_NOWAIT);
	} else {
		arm(l, deadline_ns);
		ev_run(l->ev, EVRUN_ONCE);
	}
	atomic_exchange(&l->state, RUNNING); /* sees what the waker did before */
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
	struct wr_io *io = (struct wr_io *)w;

	(void)ev;
	io->cb(io->arg, (events & EV_READ ? WR_IO_READ : 0) | (events & EV_WRITE ? WR_IO_WRITE : 0));
}

struct wr_io *wr_io_start(struct wr_loop *l, int fd, int events, void (*cb)(void *arg, int events), void *arg)
{
	struct wr_io *io = wr_zalloc(&mem, sizeof *io);

	if (!io)
		return NULL;
	io->loop = l;
	io->cb = cb;
	io->arg = arg;
	ev_io_init(&io->io, on_io, fd, 0);
	wr_io_change(io, events);
	return io;
}

void wr_io_change(struct wr_io *io, int events)
{
	if (events == io->events)
		return;
	io->loop->ios += (events != 0) - (io->events != 0);
	io->events = events;
	ev_io_stop(io->loop->ev, &io->io);
	if (!events)
		return;
	ev_io_set(&io->io, io->io.fd,
		  (events & WR_IO_READ ? EV_READ : 0) | (events & WR_IO_WRITE ? EV_WRITE : 0));
	ev_io_start(io->loop->ev, &io->io);
}

void wr_io_stop(struct wr_io *io)
{
	if (!io)
		return;
	wr_io_change(io, 0);
	wr_free(&mem, io);
}
