/* SPDX-License-Identifier: Apache-2.0 */
/* pool: local pools of buffers. The owner takes from a private list; everybody gives back
 * through one word, `returned`, which the owner empties as a whole (so there is no ABA):
 *
 *   NOTHING ──give──▶ list ──give──▶ list ──drain──▶ NOTHING
 *   NOTHING ──wait──▶ WAITING ──give, which fires `ready`──▶ list        any ──free──▶ CLOSED
 *
 * Memory order. No wake-up is lost and none comes twice, because all of it is changes to one
 * atomic word, and those have one total order whatever their memory order: a give is either
 * before the wait (whose compare-exchange then fails and finds the buffer) or behind it (and
 * takes WAITING out: it alone fires). A give is a release and a drain an acquire, so that a
 * buffer's readers are done with it before its next use. A thread that gives back does not touch
 * the pool after its compare-exchange, since from then on the owner may free it. Counting
 * what is under way costs nothing while the owner lives: only when the pool is CLOSED do the
 * late ones count down `left`, from which the owner adds what was out; who makes it zero frees.
 */
#include "exchange/pool.h"

#include <pthread.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/element.h"

static struct wr_mem mem_buffers = WR_MEM_INIT("exchange.buffers");
static struct wr_mem mem = WR_MEM_INIT("exchange.pools");

struct wr_pools {
	uint32_t buffer_size;
	int64_t bytes_max;
	pthread_mutex_t mutex; /* of the rest */
	int64_t bytes;	       /* promised to pools */
};

enum { CACHE_LINE = 64, ALIGNED_MIN = 2048 /* size of the buffers that are aligned to it */ };
enum { NOTHING = 0, WAITING = 1, CLOSED = 2 }; /* no buffer has such an address */

struct wr_pool {
	struct wr_pools *pools;
	uint32_t limit, reserve;
	struct wr_notify ready;
	/* owner's thread */
	struct wr_buffer *free;
	uint32_t made;		      /* buffers in existence */
	uint32_t spare;		      /* of these in `free` */
	wr_metric in_use, overdrafts; /* read by any thread */
	/* any thread */
	_Alignas(64) _Atomic uintptr_t returned;
	_Atomic int64_t left;
};

/* ---- the sum ---- */

struct wr_pools *wr_pools_new(uint32_t buffer_size, int64_t bytes_max)
{
	struct wr_pools *p = wr_zalloc(&mem, sizeof *p);

	WR_ASSERT(buffer_size >= WR_BUFFER_SIZE_MIN && buffer_size % WR_ELEM_ALIGN == 0);
	if (!p)
		return NULL;
	p->buffer_size = buffer_size;
	p->bytes_max = bytes_max;
	pthread_mutex_init(&p->mutex, NULL);
	return p;
}

void wr_pools_free(struct wr_pools *p)
{
	if (!p)
		return;
	WR_ASSERT(p->bytes == 0);
	pthread_mutex_destroy(&p->mutex);
	wr_free(&mem, p);
}

static int64_t pool_bytes(const struct wr_pool *pool)
{
	return (int64_t)pool->limit * pool->pools->buffer_size;
}

/* Adds to the sum unless the bound would be passed. */
static int pools_enter(struct wr_pools *p, const struct wr_pool *pool, const char *holder)
{
	int rc = WR_OK;

	pthread_mutex_lock(&p->mutex);
	if (pool_bytes(pool) > p->bytes_max - p->bytes) {
		rc = wr_error_set(
		    WR_EUSER,
		    "buffers of '%s' (%u of %u bytes) do not fit: %lld of %lld bytes are taken; "
		    "raise --buffer-pool or lower --buffer-size or the parallelism",
		    holder, pool->limit, p->buffer_size, (long long)p->bytes, (long long)p->bytes_max);
	} else {
		p->bytes += pool_bytes(pool);
	}
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

static void pools_leave(struct wr_pools *p, const struct wr_pool *pool)
{
	pthread_mutex_lock(&p->mutex);
	p->bytes -= pool_bytes(pool);
	pthread_mutex_unlock(&p->mutex);
}

/* ---- life ---- */

struct wr_pool *wr_pool_new(struct wr_pools *p, const char *holder, uint32_t limit, uint32_t reserve,
			    const struct wr_notify *ready)
{
	struct wr_pool *pool = wr_alloc_aligned(&mem, 64, sizeof *pool);

	WR_ASSERT(limit > reserve);
	if (!pool)
		return NULL;
	memset(pool, 0, sizeof *pool);
	pool->pools = p;
	pool->limit = limit;
	pool->reserve = reserve;
	if (ready)
		pool->ready = *ready;
	if (pools_enter(p, pool, holder) == WR_OK)
		return pool;
	wr_free(&mem, pool);
	return NULL;
}

static uint32_t drop_list(struct wr_buffer *b)
{
	uint32_t n = 0;

	for (struct wr_buffer *next; b; b = next, n++) {
		next = b->next;
		wr_free(&mem_buffers, b);
	}
	return n;
}

/* Of the buffers that were out when the owner left, `n` more are accounted for. */
static void pool_settle(struct wr_pool *pool, int64_t n)
{
	if (atomic_fetch_add_explicit(&pool->left, n, memory_order_acq_rel) + n != 0)
		return;
	pools_leave(pool->pools, pool);
	wr_free(&mem, pool);
}

void wr_pool_free(struct wr_pool *pool)
{
	uintptr_t head;
	uint32_t back;

	if (!pool)
		return;
	head = atomic_exchange_explicit(&pool->returned, CLOSED, memory_order_acq_rel);
	back = drop_list(pool->free);
	if (head > CLOSED)
		back += drop_list((struct wr_buffer *)head);
	WR_ASSERT(back <= pool->made);
	pool_settle(pool, pool->made - back);
}

/* ---- giving back: any thread ---- */

static void pool_give(struct wr_pool *pool, struct wr_buffer *b)
{
	const struct wr_notify ready = pool->ready;
	uintptr_t head = atomic_load_explicit(&pool->returned, memory_order_acquire);

	do {
		if (WR_UNLIKELY(head == CLOSED)) {
			wr_free(&mem_buffers, b);
			pool_settle(pool, -1);
			return;
		}
		b->next = head == WAITING ? NULL : (struct wr_buffer *)head;
	} while (!atomic_compare_exchange_weak_explicit(&pool->returned, &head, (uintptr_t)b,
							memory_order_release, memory_order_acquire));
	if (head == WAITING)
		wr_notify_fire(&ready);
}

void wr_buffer_ref(struct wr_buffer *b, uint32_t n)
{
	atomic_fetch_add_explicit(&b->refs, n, memory_order_relaxed);
}

void wr_buffer_unref(struct wr_buffer *b)
{
	if (atomic_load_explicit(&b->refs, memory_order_acquire) != 1 &&
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (b->pool)
		pool_give(b->pool, b);
	else
		wr_free(&mem_buffers, b);
}

/* A small buffer holds few rows, and there may be a hundred thousand: what aligning one costs is a quarter of
 * it.
 */
static struct wr_buffer *buffer_alloc(uint32_t size)
{
	size_t bytes = sizeof(struct wr_buffer) + size + WR_ROW_SLACK;

	return size < ALIGNED_MIN ? wr_alloc(&mem_buffers, bytes)
				  : wr_alloc_aligned(&mem_buffers, CACHE_LINE, bytes);
}

struct wr_buffer *wr_buffer_alone(uint32_t size)
{
	struct wr_buffer *b = buffer_alloc(size);

	if (!b)
		return NULL;
	memset(b, 0, sizeof *b);
	b->size = size;
	atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

/* ---- taking: the owner ---- */

static uint32_t pool_used(const struct wr_pool *pool)
{
	return pool->made - pool->spare;
}

/* Takes over what came back; what was overdrawn is freed. Leaves WAITING as it is. */
static void pool_drain(struct wr_pool *pool)
{
	struct wr_buffer *b, *next;

	if (atomic_load_explicit(&pool->returned, memory_order_relaxed) <= WAITING)
		return;
	b = (struct wr_buffer *)atomic_exchange_explicit(&pool->returned, NOTHING, memory_order_acquire);
	for (; b; b = next) {
		next = b->next;
		if (pool->made > pool->limit) {
			pool->made--;
			wr_free(&mem_buffers, b);
		} else {
			b->next = pool->free;
			pool->free = b;
			pool->spare++;
		}
	}
	wr_metric_set(&pool->in_use, pool_used(pool));
}

bool wr_pool_has(struct wr_pool *pool, uint32_t buffers)
{
	uint64_t want = (uint64_t)buffers + pool->reserve;

	if (pool_used(pool) + want <= pool->limit)
		return true;
	pool_drain(pool);
	return pool_used(pool) + want <= pool->limit;
}

bool wr_pool_wait(struct wr_pool *pool, uint32_t buffers)
{
	for (;;) {
		uintptr_t head = NOTHING;

		if (wr_pool_has(pool, buffers))
			return true;
		if (atomic_compare_exchange_strong_explicit(&pool->returned, &head, WAITING,
							    memory_order_relaxed, memory_order_relaxed) ||
		    head == WAITING)
			return false;
	}
}

/* A buffer from the heap. */
static struct wr_buffer *pool_make(struct wr_pool *pool)
{
	struct wr_buffer *b = buffer_alloc(pool->pools->buffer_size);

	if (!b)
		return NULL;
	b->pool = pool;
	b->size = pool->pools->buffer_size;
	pool->made++;
	return b;
}

struct wr_buffer *wr_pool_take(struct wr_pool *pool, bool event)
{
	uint32_t bound = pool->limit - (event ? 0 : pool->reserve);
	struct wr_buffer *b;

	if (!pool->free || pool_used(pool) >= bound)
		pool_drain(pool);
	if (pool_used(pool) >= bound)
		wr_metric_add(&pool->overdrafts, 1);
	b = pool->free;
	if (b) {
		pool->free = b->next;
		pool->spare--;
	} else if (!(b = pool_make(pool))) {
		return NULL;
	}
	wr_metric_set(&pool->in_use, pool_used(pool));
	b->next = NULL;
	b->rows_len = b->len = b->row_count = b->fragment = 0;
	atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void wr_pool_stats(const struct wr_pool *pool, struct wr_pool_stats *out)
{
	out->limit = pool->limit;
	out->reserve = pool->reserve;
	out->in_use = (uint32_t)wr_metric_get(&pool->in_use);
	out->overdrafts = wr_metric_get(&pool->overdrafts);
}
