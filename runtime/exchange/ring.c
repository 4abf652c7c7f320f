/* SPDX-License-Identifier: Apache-2.0 */
/* ring: the channel inside a process: a chain of segments between one producer and one
 * consumer. A segment that was read to its end goes back to the producer through `spare`,
 * so that in the long run nothing is allocated. The first, short one is part of the ring: a job
 * has a ring for each pair of subtasks, and through most of them little flows.
 *
 * Memory order. Each cell of a segment is one atomic word that both sides meet at:
 *
 *   EMPTY ──push──▶ buffer          EMPTY ──look──▶ ASLEEP ──push, which fires `wake`──▶ buffer
 *
 * A push is one exchange (release), a look that finds EMPTY one compare-exchange to ASLEEP
 * (acquire when it fails). Changes to one word have one total order: either the push comes
 * first and the look finds the buffer, or the look comes first and the push finds ASLEEP.
 * So no wake-up is lost, no fence is needed, and a consumer that is busy is never woken.
 * There are no indexes to share. The last cell of a segment holds its successor and follows
 * the same rule.
 */
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "exchange/channel.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.rings");

enum { EMPTY = 0, ASLEEP = 1 };
enum { SLOTS = 7, FIRST_SLOTS = 3 };

struct segment {
	_Atomic uintptr_t cells[SLOTS + 1]; /* the last one: the next segment */
};

struct ring {
	struct wr_channel channel;
	struct wr_notify wake;
	_Atomic(struct segment *) spare; /* from the consumer to the producer */
	/* producer */
	_Atomic uintptr_t *tail; /* cells of a segment */
	uint32_t tail_slots;
	uint32_t filled; /* cells of tail that were written */
	_Atomic uint32_t pushed;
	bool borrowed; /* the ring lies in memory of its maker */
	/* consumer */
	_Alignas(64) _Atomic uintptr_t *head;
	uint32_t head_slots;
	uint32_t read; /* cells of head that were read */
	_Atomic uint32_t popped;
	_Atomic uintptr_t first[FIRST_SLOTS + 1];
};
_Static_assert(sizeof(struct ring) <= WR_RING_BYTES, "channel.h says how large a ring is");

static struct ring *ring_of(const struct wr_channel *c)
{
	return (struct ring *)(uintptr_t)c;
}

/* Writes a cell; true if the consumer sleeps on it. */
static bool cell_put(_Atomic uintptr_t *cell, const void *p)
{
	return atomic_exchange_explicit(cell, (uintptr_t)p, memory_order_acq_rel) == ASLEEP;
}

/* Reads a cell; when there is nothing, the next cell_put will know. */
static void *cell_look(_Atomic uintptr_t *cell)
{
	uintptr_t v = atomic_load_explicit(cell, memory_order_acquire);

	if (v == EMPTY)
		atomic_compare_exchange_strong_explicit(cell, &v, ASLEEP, memory_order_acquire,
							memory_order_acquire);
	return v > ASLEEP ? (void *)v : NULL;
}

/* Counters have one writer each. */
static void count(_Atomic uint32_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

static struct segment *segment_clear(struct segment *s)
{
	if (s)
		for (uint32_t i = 0; i <= SLOTS; i++)
			atomic_store_explicit(&s->cells[i], EMPTY, memory_order_relaxed);
	return s;
}

static struct segment *segment_take(struct ring *r)
{
	struct segment *s = atomic_exchange_explicit(&r->spare, NULL, memory_order_acquire);

	return segment_clear(s ? s : wr_alloc(&mem, sizeof *s));
}

static int ring_push(struct wr_channel *c, struct wr_buffer *b)
{
	struct ring *r = ring_of(c);
	bool asleep;

	if (WR_LIKELY(r->filled < r->tail_slots)) {
		asleep = cell_put(&r->tail[r->filled++], b);
	} else {
		_Atomic uintptr_t *link = &r->tail[r->tail_slots];
		struct segment *next = segment_take(r);

		if (WR_UNLIKELY(!next)) {
			wr_buffer_unref(b);
			return WR_EFATAL;
		}
		r->tail = next->cells;
		r->tail_slots = SLOTS;
		r->filled = 1;
		atomic_store_explicit(&next->cells[0], (uintptr_t)b, memory_order_relaxed);
		asleep = cell_put(link, next);
	}
	count(&r->pushed);
	if (asleep)
		wr_notify_fire(&r->wake);
	return WR_OK;
}

/* The segment at the head was read to its end. */
static void head_give(struct ring *r)
{
	if (r->head != r->first)
		wr_free(&mem,
			atomic_exchange_explicit(&r->spare, (struct segment *)r->head, memory_order_acq_rel));
}

/* The next cell's buffer, NULL if there is none. */
static struct wr_buffer *ring_look(struct ring *r)
{
	if (r->read == r->head_slots) {
		struct segment *next = cell_look(&r->head[r->head_slots]);

		if (!next)
			return NULL;
		head_give(r);
		r->head = next->cells;
		r->head_slots = SLOTS;
		r->read = 0;
	}
	return cell_look(&r->head[r->read]);
}

struct wr_buffer *wr_ring_pop(struct wr_channel *c)
{
	struct ring *r = ring_of(c);
	struct wr_buffer *b = ring_look(r);

	if (!b)
		return NULL;
	r->read++;
	count(&r->popped);
	return b;
}

bool wr_ring_empty(const struct wr_channel *c)
{
	return !ring_look(ring_of(c));
}

static uint32_t ring_queued(const struct wr_channel *c)
{
	struct ring *r = ring_of(c);
	uint32_t popped = atomic_load_explicit(&r->popped, memory_order_relaxed);
	uint32_t pushed = atomic_load_explicit(&r->pushed, memory_order_relaxed);
	int32_t queued = (int32_t)(pushed - popped);

	return queued > 0 ? (uint32_t)queued : 0; /* another thread may see the pop before the push */
}

void wr_ring_each(const struct wr_channel *c, bool (*each)(void *arg, struct wr_buffer *b), void *arg)
{
	const struct ring *r = ring_of(c);
	_Atomic uintptr_t *cells = r->head;
	uint32_t at = r->read, slots = r->head_slots;

	for (;; at++) {
		uintptr_t v = atomic_load_explicit(&cells[at], memory_order_acquire);

		if (v <= ASLEEP)
			return;
		if (at == slots) {
			cells = ((struct segment *)v)->cells;
			slots = SLOTS;
			at = UINT32_MAX;
		} else if (!each(arg, (struct wr_buffer *)v)) {
			return;
		}
	}
}

static void ring_nudge(struct wr_channel *c)
{
	wr_notify_fire(&ring_of(c)->wake);
}

static void ring_free(struct wr_channel *c)
{
	struct ring *r = ring_of(c);
	struct wr_buffer *b;

	while ((b = wr_ring_pop(c)))
		wr_buffer_unref(b);
	wr_free(&mem, r->spare);
	if (r->head != r->first)
		wr_free(&mem, (struct segment *)r->head);
	if (!r->borrowed)
		wr_free(&mem, r);
}

static const struct wr_channel_ops ring_ops = {ring_push, ring_queued, ring_nudge, ring_free};

static struct wr_channel *ring_init(struct ring *r, const struct wr_notify *wake)
{
	memset(r, 0, sizeof *r);
	r->channel.ops = &ring_ops;
	r->wake = *wake;
	r->head = r->tail = r->first;
	r->head_slots = r->tail_slots = FIRST_SLOTS;
	atomic_store_explicit(&r->first[0], ASLEEP, memory_order_relaxed);
	return &r->channel;
}

struct wr_channel *wr_ring_new(const struct wr_notify *wake)
{
	struct ring *r = wr_alloc_aligned(&mem, 64, sizeof *r);

	return r ? ring_init(r, wake) : NULL;
}

struct wr_channel *wr_ring_new_at(void *at, const struct wr_notify *wake)
{
	struct ring *r = at;

	WR_ASSERT((uintptr_t)at % 64 == 0);
	ring_init(r, wake);
	r->borrowed = true;
	return &r->channel;
}
