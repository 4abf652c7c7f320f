/* SPDX-License-Identifier: Apache-2.0 */
/* pool: the buffers of one writer, out of the job's budget of buffer memory.
 *
 * Back-pressure is an empty pool and nothing else. `give back` happens on any thread
 * (a lock-free stack); everything else on the owner's. A pool keeps a reserve: buffers that
 * only events may take, so that a barrier can always leave. Taking more is an overdraft:
 * allowed inside a batch, accounted, and freed instead of kept on its return.
 */
#pragma once
#include "base/mem.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "exchange/buffer.h"

/* The memory of all buffers of a process: a bound on what pools may promise. `buffer_size`: a multiple of 8,
 * at least WR_BUFFER_SIZE_MIN. */
struct wr_pools;
struct wr_pools *wr_pools_new(uint32_t buffer_size, int64_t bytes_max);
void wr_pools_free(struct wr_pools *p); /* all pools must be gone, and so all their buffers */
enum { WR_BUFFER_SIZE_MIN = 64 };

/* A pool of `limit` buffers, `reserve` of them (fewer) for events only. `ready` fires when a buffer comes
 * back after a wr_pool_wait that said false: once for each such wait, on the thread that gives back. NULL
 * with WR_EUSER when the process' bound would be passed: the text names the holder, the sum and which option
 * raises it. */
struct wr_pool *wr_pool_new(struct wr_pools *p, const char *holder, uint32_t limit, uint32_t reserve,
			    const struct wr_notify *ready);
/* The owner leaves: `ready` is not armed any more, though one that another thread is about to fire may still
 * come. Freed for real, and out of the sum, when the last buffer is back. */
void wr_pool_free(struct wr_pool *pool);

/* true when at least `buffers` could be taken without touching the reserve. */
bool wr_pool_has(struct wr_pool *pool, uint32_t buffers);
/* True if wr_pool_has(pool, buffers) holds by now; else asks for `ready` at the next return of any buffer,
 * after which the owner looks again. */
bool wr_pool_wait(struct wr_pool *pool, uint32_t buffers);
/* Never NULL but when the heap refuses (error set). refs = 1, empty. `event`: may use the reserve. */
struct wr_buffer *wr_pool_take(struct wr_pool *pool, bool event);

struct wr_pool_stats {
	uint32_t limit, reserve;
	uint32_t in_use;    /* taken, and not seen to be back */
	int64_t overdrafts; /* buffers ever taken beyond the limit, or for rows out of the reserve */
};
/* Any thread: numbers may be a moment old. */
void wr_pool_stats(const struct wr_pool *pool, struct wr_pool_stats *out);
