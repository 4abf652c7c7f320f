/* SPDX-License-Identifier: Apache-2.0 */
/* ring: the channel inside a process: a queue of segments between one producer and one
 * consumer. The producer publishes a slot by advancing `written` (release); the consumer
 * reads it first (acquire). A segment that was read to its end goes back to the producer
 * through `spare`, so that in the long run nothing is allocated.
 */
#include <string.h>
#include "base/assert.h"
#include "base/mem.h"
#include "exchange/channel.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.rings");

enum { SLOTS = 30 };
struct segment {
	_Atomic(struct segment *) next;
	_Atomic uint32_t written;
	uint32_t pad;
	struct wr_buffer *slot[SLOTS];
};

struct ring {
	struct wr_channel channel;
	struct wr_notify wake;
	_Atomic(struct segment *) spare;
	/* producer */
	_Alignas(64) struct segment *tail;
	_Atomic uint64_t pushed;
	/* consumer */
	_Alignas(64) struct segment *head;
	uint32_t at; /* slots of head that were read */
	_Atomic uint64_t popped;
};

static struct ring *ring_of(const struct wr_channel *c)
{
	return (struct ring *)(uintptr_t)c;
}

static struct segment *segment_new(struct ring *r)
{
	struct segment *s = atomic_exchange_explicit(&r->spare, NULL, memory_order_acquire);

	if (!s)
		s = wr_alloc(&mem, sizeof *s);
	/* a channel cannot refuse: its bound is the pool, so this is the process' last memory */
	WR_ASSERT(s);
	s->next = NULL;
	s->written = 0;
	return s;
}

static void ring_push(struct wr_channel *c, struct wr_buffer *b)
{
	struct ring *r = ring_of(c);
	struct segment *s = r->tail;
	uint32_t n = atomic_load_explicit(&s->written, memory_order_relaxed);

	if (n == SLOTS) {
		struct segment *more = segment_new(r);

		r->tail = more;
		more->slot[0] = b;
		atomic_store_explicit(&more->written, 1, memory_order_relaxed);
		atomic_store_explicit(&s->next, more, memory_order_release);
	} else {
		s->slot[n] = b;
		atomic_store_explicit(&s->written, n + 1, memory_order_release);
	}
	atomic_store_explicit(&r->pushed, atomic_load_explicit(&r->pushed, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	wr_notify_fire(&r->wake);
}

/* The segment with the next slot, or NULL when there is nothing to read. */
static struct segment *readable(struct ring *r)
{
	struct segment *s = r->head, *next;

	if (r->at < atomic_load_explicit(&s->written, memory_order_acquire))
		return s;
	if (r->at < SLOTS)
		return NULL;
	next = atomic_load_explicit(&s->next, memory_order_acquire);
	if (!next)
		return NULL;
	r->head = next;
	r->at = 0;
	s = atomic_exchange_explicit(&r->spare, s, memory_order_release);
	wr_free(&mem, s);
	return next;
}

struct wr_buffer *wr_ring_pop(struct wr_channel *c)
{
	struct ring *r = ring_of(c);
	struct segment *s = readable(r);

	if (!s)
		return NULL;
	atomic_store_explicit(&r->popped, atomic_load_explicit(&r->popped, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return s->slot[r->at++];
}

bool wr_ring_empty(const struct wr_channel *c)
{
	return !readable(ring_of(c));
}

static uint32_t ring_queued(const struct wr_channel *c)
{
	struct ring *r = ring_of(c);
	uint64_t popped = atomic_load_explicit(&r->popped, memory_order_relaxed);
	uint64_t pushed = atomic_load_explicit(&r->pushed, memory_order_relaxed);

	return pushed > popped ? (uint32_t)(pushed - popped) : 0;
}

static void ring_free(struct wr_channel *c)
{
	struct ring *r = ring_of(c);
	struct wr_buffer *b;

	while ((b = wr_ring_pop(c)))
		wr_buffer_unref(b);
	wr_free(&mem, atomic_load(&r->spare));
	wr_free(&mem, r->head);
	wr_free(&mem, r);
}

static const struct wr_channel_ops ring_ops = {ring_push, ring_queued, ring_free};

struct wr_channel *wr_ring_new(const struct wr_notify *wake)
{
	struct ring *r = wr_alloc_aligned(&mem, 64, sizeof *r);

	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->channel.ops = &ring_ops;
	r->wake = *wake;
	r->head = r->tail = wr_zalloc(&mem, sizeof *r->head);
	if (!r->head) {
		wr_free(&mem, r);
		return NULL;
	}
	return &r->channel;
}
