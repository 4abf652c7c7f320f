/* SPDX-License-Identifier: Apache-2.0 */
/* channel: one producer subtask to one consumer subtask, buffers in total order.
 *
 * The producer pushes through a table of functions and does not know whether the channel
 * ends in a ring of this process, a socket or a file; so far there is the ring. The
 * consumer is told by `wake` when a channel was filled that it had seen empty.
 */
#pragma once
#include "base/notify.h"
#include "exchange/buffer.h"

struct wr_channel;
struct wr_channel_ops {
	/* Takes one reference of `b`, in any case. Never blocks: room is bounded by the producer's pool.
	 * WR_EFATAL when the heap refuses what the queue itself needs: then `b` is lost to this channel, and
	 * the job cannot go on. Producer's thread. */
	int (*push)(struct wr_channel *c, struct wr_buffer *b);
	/* Buffers pushed and not yet popped. Any thread. */
	uint32_t (*queued)(const struct wr_channel *c);
	/* Lets the consumer look, also where it has not seen the channel empty. Producer's thread. */
	void (*nudge)(struct wr_channel *c);
	/* Drops what is queued. When neither side runs any more. */
	void (*free)(struct wr_channel *c);
};
struct wr_channel {
	const struct wr_channel_ops *ops;
};
static inline int wr_channel_push(struct wr_channel *c, struct wr_buffer *b)
{
	return c->ops->push(c, b);
}

/* A lock-free queue between two threads (or one); unbounded, since its producer's pool is the bound.
 * `wake` fires on the producer's thread at the first push of all, and then at each push that follows a
 * wr_ring_pop or wr_ring_empty which found nothing: a consumer may sleep after such a look, and only then.
 * NULL with the error set when the heap refuses. */
struct wr_channel *wr_ring_new(const struct wr_notify *wake);
enum { WR_RING_BYTES = 128 };
/* The same in WR_RING_BYTES at `at`, aligned to 64, which must outlive it. */
struct wr_channel *wr_ring_new_at(void *at, const struct wr_notify *wake);
/* Consumer's thread: next buffer (its reference is the caller's), NULL when empty. */
struct wr_buffer *wr_ring_pop(struct wr_channel *c);
/* Consumer's thread. */
bool wr_ring_empty(const struct wr_channel *c);
/* Consumer's thread: what waits, the next one first, until `each` says false; it stays where it is, and
 * nobody is woken for what comes later. */
void wr_ring_each(const struct wr_channel *c, bool (*each)(void *arg, struct wr_buffer *b), void *arg);
