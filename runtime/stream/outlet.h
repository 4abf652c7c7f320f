/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: text on its way out of the process through an I/O thread, or at once into a pipe with room for it.
 *
 * The stage appends whole lines to a block; full or flushed blocks are written by an I/O
 * thread, all that wait in one call. A bounded number of blocks is on its way; beyond it the
 * stage pauses. Standard output that nobody reads any more ends the outlet without an error.
 *
 *   OPEN ──drain──▶ DRAINED ──more──▶ OPEN        OPEN ──EPIPE──▶ GONE (WR_END)        OPEN ──error──▶ FAILED
 */
#pragma once
#include <pthread.h>
#include "base/bytes.h"
#include "base/clock.h"
#include "base/notify.h"
#include "base/thread.h"

/* What is appended between two calls of wr_outlet_added comes in one piece, whoever else writes. */
struct wr_outlet_shared {
	pthread_mutex_t lock; /* held by who writes */
	struct wr_bytes rest; /* of a block of which a part is written: comes before all else */
};
#define WR_OUTLET_SHARED_INIT                                                                                \
	{                                                                                                    \
		PTHREAD_MUTEX_INITIALIZER, WR_BYTES_EMPTY                                                    \
	}

struct wr_outlet_options {
	struct wr_iopool *io;
	struct wr_clock *clock; /* only of an outlet into a pipe */
	struct wr_notify wake;	/* fired when a paused stage may go on */
	const char *name;	/* for messages; borrowed */
	int fd;			/* −1: `dial` gives it */
	/* On the I/O thread, may block until `stop_fd` becomes readable. WR_OK, and the fd is ours; WR_END:
	 * stopped; or the error. */
	int (*dial)(const void *arg, int stop_fd, int *fd);
	const void *dial_arg;
	bool close;			 /* the fd is ours */
	bool sync;			 /* fsync when drained */
	bool pipe;			 /* that nobody reads any more is the end (WR_END), not an error */
	struct wr_outlet_shared *shared; /* of an fd that several outlets write to; borrowed, or NULL */
};
struct wr_outlet;
/* Copies the options. NULL with the error set; then the fd is still the caller's. */
struct wr_outlet *wr_outlet_new(const struct wr_outlet_options *o);
/* Waits for the write under way, but for no peer; what was not drained is lost. */
void wr_outlet_free(struct wr_outlet *o);

/* The block to append whole lines to. WR_OK; WR_AGAIN: too many are on their way, `wake` fires later;
 * WR_END: nobody reads any more; or the error of an earlier write. */
int wr_outlet_block(struct wr_outlet *o, struct wr_bytes **block);
/* Lines were appended: hands the block over when it is full. */
int wr_outlet_added(struct wr_outlet *o);
/* Hands over what there is. */
int wr_outlet_flush(struct wr_outlet *o);
/* Hands over what there is and asks for it to be on its place. WR_OK when it is, WR_AGAIN: call again
 * when woken; WR_END, or the error. More may be appended behind it. */
int wr_outlet_drain(struct wr_outlet *o);
