/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one thread's event loop (libev), with a wake-up from other threads and deadlines
 * finer than libev's own timers (which are up to 1 ms late): a timerfd. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

struct wr_loop;
struct wr_loop *wr_loop_new(struct wr_clock *clock);
void wr_loop_free(struct wr_loop *l);
/* Any thread: lets a wr_loop_wait that is or will be sleeping return. */
void wr_loop_wake(struct wr_loop *l);
/* Handles what is ready. Sleeps until something is, or until the monotonic time `deadline_ns`
 * (UINT64_MAX = no deadline; 0 = do not sleep). */
void wr_loop_wait(struct wr_loop *l, uint64_t deadline_ns);

/* File descriptors. The callback runs on the loop's thread. */
struct wr_io;
enum { WR_IO_READ = 1, WR_IO_WRITE = 2 };
struct wr_io *wr_io_start(struct wr_loop *l, int fd, int events, void (*cb)(void *arg, int events), void *arg);
void wr_io_change(struct wr_io *io, int events); /* 0 pauses */
void wr_io_stop(struct wr_io *io);		 /* frees; does not close the fd */
