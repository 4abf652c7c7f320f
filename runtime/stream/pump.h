/* SPDX-License-Identifier: Apache-2.0 */
/* pump: a feed from where reading may block: a pipe, a terminal, a socket. A thread of its own
 * reads into a few blocks and wakes the stage; when they are full it stops reading. Not an
 * I/O thread of the pool, because a read may wait for ever. */
#pragma once
#include <stdatomic.h>
#include "base/bytes.h"
#include "base/notify.h"
#include "stream/feed.h"

/* What was read of a stream. Written by the pump's thread. */
struct wr_taken {
	_Atomic int64_t bytes;
	_Atomic bool torn; /* the last byte was no LF */
};
struct wr_pump_options {
	const char *thread;    /* its name */
	struct wr_notify wake; /* fired when there are bytes, the end or an error */
	int fd;		       /* −1: `dial` gives it */
	bool close;	       /* the fd is ours */
	/* On the pump's thread: opens the fd; gives up when `stop_fd` becomes readable. WR_OK or error set.
	 */
	int (*dial)(const void *arg, int stop_fd, int *fd);
	const void *dial_arg;	/* borrowed */
	struct wr_taken *taken; /* counts what is read; borrowed, NULL: nobody asks */
	/* Or NULL: is given what was read, as many whole lines as have come, before anybody sees it; 0 bytes:
	 * the stream has ended. On the pump's thread; may block. An error ends the pump. */
	int (*keep)(void *arg, const void *p, size_t len);
	void *keep_arg;
	/* With `keep`, or NULL: what comes first, and in the end what was read and not kept. Borrowed. */
	struct wr_bytes *rest;
};
/* Starts at once. NULL with the error set; then the fd is still the caller's. Its `free` stops the thread. */
struct wr_feed *wr_pump_new(const struct wr_pump_options *o);
