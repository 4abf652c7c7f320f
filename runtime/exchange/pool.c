/* SPDX-License-Identifier: Apache-2.0 */
/* pool: local pools of buffers. The owner takes from a private list; everybody returns
 * through a lock-free stack, which the owner empties as a whole (so there is no ABA).
 *
 * No wake-up is lost: a returner pushes, then looks at `waiting`; the owner sets
 * `waiting`, then looks at the stack. Both are sequentially consistent, so at least one of
 * the two sees the other.
 */
#include "exchange/pool.h"

#include <pthread.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"

static struct wr_mem mem_buffers = WR_MEM_INIT("exchange.buffers");
static struct wr_mem mem = WR_MEM_INIT("exchange.pools");

struct wr_pools {
	uint32_t buffer_size;
	int64_t bytes_max;
	int64_t bytes; /* promised: sum of the pools' limits */
	pthread_mutex_t mutex;
};

struct wr_pool {
	struct wr_pools *pools;
	char *holder;
	uint32_t limit, reserve;
	struct wr_notify ready;
	/* owner's thread */
	struct wr_buffer *free;
	uint32_t made;	/* buffers in existence */
	uint32_t spare; /* in `free` */
	int64_t overdrafts;
	/* any thread */
	_Alignas(64) _Atomic(struct wr_buffer *) returned;
	_Atomic int waiting;
	_Atomic uint32_t refs; /* the owner, and every buffer under way */
};

struct wr_pools *wr_pools_new(uint32_t buffer_size, int64_t bytes_max)
{
	struct wr_pools *p = wr_zalloc(&mem, sizeof *p);

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

uint32_t wr_pools_buffer_size(const struct wr_pools *p)
{
	return p->buffer_size;
}

/* Adds to the promised bytes unless the bound would be passed. */
static int pools_promise(struct wr_pools *p, const char *holder, uint32_t limit)
{
	int64_t bytes = (int64_t)limit * p->buffer_size;
	int rc = WR_OK;

	pthread_mutex_lock(&p->mutex);
	if (p->bytes + bytes > p->bytes_max)
		rc =
		    wr_error_set(WR_EUSER,
				 "buffers of '%s' (%u of %u bytes) do not fit: %lld of %lld bytes are taken; "
				 "raise --buffer-pool or lower --buffer-size or the parallelism",
				 holder, limit, p->buffer_size, (long long)p->bytes, (long long)p->bytes_max);
	else
		p->bytes += bytes;
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

struct wr_pool *wr_pool_new(struct wr_pools *p, const char *holder, uint32_t limit, uint32_t reserve,
			    const struct wr_notify *ready)
{
	struct wr_pool *pool;

	WR_ASSERT(limit > reserve);
	if (pools_promise(p, holder, limit) != WR_OK)
		return NULL;
	pool = wr_alloc_aligned(&mem, 64, sizeof *pool);
	if (!pool)
		return NULL;
	memset(pool, 0, sizeof *pool);
	pool->holder = wr_strdup(&mem, holder);
	pool->pools = p;
	pool->limit = limit;
	pool->reserve = reserve;
	if (ready)
		pool->ready = *ready;
	pool->refs = 1;
	return pool;
}

static void drop_list(struct wr_buffer *b)
{
	while (b) {
		struct wr_buffer *next = b->next;

		wr_free(&mem_buffers, b);
		b = next;
	}
}

static void pool_unref(struct wr_pool *pool)
{
	if (atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
		return;
	drop_list(pool->free);
	drop_list(atomic_load_explicit(&pool->returned, memory_order_acquire));
	wr_free(&mem, pool->holder);
	wr_free(&mem, pool);
}

void wr_pool_free(struct wr_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->pools->mutex);
	pool->pools->bytes -= (int64_t)pool->limit * pool->pools->buffer_size;
	pthread_mutex_unlock(&pool->pools->mutex);
	atomic_store(&pool->waiting, 0);
	pool_unref(pool);
}

void wr_buffer_ref(struct wr_buffer *b, uint32_t n)
{
	atomic_fetch_add_explicit(&b->refs, n, memory_order_relaxed);
}

void wr_buffer_unref(struct wr_buffer *b)
{
	struct wr_pool *pool = b->pool;
	struct wr_buffer *head;

	if (atomic_load_explicit(&b->refs, memory_order_acquire) != 1 &&
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (!pool) { /* a row that was put together from fragments */
		wr_free(&mem_buffers, b);
		return;
	}
	head = atomic_load_explicit(&pool->returned, memory_order_relaxed);
	do
		b->next = head;
	while (!atomic_compare_exchange_weak(&pool->returned, &head, b));
	if (atomic_load(&pool->waiting) && atomic_exchange(&pool->waiting, 0))
		wr_notify_fire(&pool->ready);
	pool_unref(pool);
}

/* Owner: takes over what came back; what was overdrawn is freed. */
static void pool_drain(struct wr_pool *pool)
{
	struct wr_buffer *b = atomic_load_explicit(&pool->returned, memory_order_relaxed);

	if (!b)
		return;
	b = atomic_exchange(&pool->returned, NULL);
	while (b) {
		struct wr_buffer *next = b->next;

		if (pool->made > pool->limit) {
			pool->made--;
			wr_free(&mem_buffers, b);
		} else {
			b->next = pool->free;
			pool->free = b;
			pool->spare++;
		}
		b = next;
	}
}

bool wr_pool_has(struct wr_pool *pool, uint32_t buffers)
{
	uint32_t used = pool->made - pool->spare;

	if (used + buffers + pool->reserve <= pool->limit)
		return true;
	pool_drain(pool);
	used = pool->made - pool->spare;
	return used + buffers + pool->reserve <= pool->limit;
}

bool wr_pool_wait(struct wr_pool *pool, uint32_t buffers)
{
	atomic_store(&pool->waiting, 1);
	atomic_thread_fence(memory_order_seq_cst);
	pool_drain(pool);
	if (!wr_pool_has(pool, buffers))
		return false;
	atomic_store(&pool->waiting, 0);
	return true;
}

struct wr_buffer *wr_pool_take(struct wr_pool *pool, bool event)
{
	struct wr_buffer *b;

	if (!pool->free)
		pool_drain(pool);
	b = pool->free;
	if (b) {
		pool->free = b->next;
		pool->spare--;
	} else {
		b = wr_alloc_aligned(&mem_buffers, 64, sizeof *b + pool->pools->buffer_size);
		if (!b)
			return NULL;
		b->pool = pool;
		b->size = pool->pools->buffer_size;
		if (++pool->made > pool->limit - (event ? 0 : pool->reserve))
			pool->overdrafts++;
	}
	b->next = NULL;
	b->rows_len = b->len = b->row_count = b->fragment = 0;
	atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
	return b;
}

struct wr_buffer *wr_buffer_alone(uint32_t size)
{
	struct wr_buffer *b = wr_alloc_aligned(&mem_buffers, 64, sizeof *b + size);

	if (!b)
		return NULL;
	memset(b, 0, sizeof *b);
	b->size = size;
	b->refs = 1;
	return b;
}

void wr_pool_stats(const struct wr_pool *pool, struct wr_pool_stats *out)
{
	out->limit = pool->limit;
	out->reserve = pool->reserve;
	out->in_use = pool->made - pool->spare;
	out->overdrafts = pool->overdrafts;
}
