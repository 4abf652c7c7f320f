/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one thread's event loop (libev), with a wake-up from other threads and deadlines
 * finer than libev's own timers (which are up to 1 ms late): a timerfd. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

struct wr_loop;
/* `clock` counts as the machine's does (deadlines are the kernel's). NULL with the error set. */
struct wr_loop *wr_loop_new(struct wr_clock *clock);
void wr_loop_free(struct wr_loop *l); /* all io must be stopped before; no waker may be under way */
/* Any thread: lets the wr_loop_wait that is sleeping, or else the next one that would sleep, return.
 * Costs one atomic exchange while the loop is awake. */
void wr_loop_wake(struct wr_loop *l);
/* Handles what is ready. Sleeps until something is, or until the monotonic time `deadline_ns`
 * (UINT64_MAX = no deadline; 0 = do not sleep). May return early for no reason: look again at what you
 * wait for. With 0 and nothing watched it asks the system nothing, and does not use up a wake. */
void wr_loop_wait(struct wr_loop *l, uint64_t deadline_ns);

/* File descriptors. The callback runs on the loop's thread. */
struct wr_io;
enum { WR_IO_READ = 1, WR_IO_WRITE = 2 };
/* Borrows fd. NULL with the error set. */
struct wr_io *wr_io_start(struct wr_loop *l, int fd, int events, void (*cb)(void *arg, int events),
			  void *arg);
void wr_io_change(struct wr_io *io, int events); /* 0 pauses */
void wr_io_stop(struct wr_io *io);		 /* frees, also within the callback; does not close the fd */
