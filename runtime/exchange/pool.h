/* SPDX-License-Identifier: Apache-2.0 */
/* pool: the buffers of one writer, out of the job's budget of buffer memory.
 *
 * Back-pressure is an empty pool and nothing else. `give back` happens on any thread
 * (a lock-free stack); `take` on the owner's. A pool keeps a reserve: buffers that only
 * events may take, so that a barrier can always leave. Taking beyond the limit is an
 * overdraft: allowed inside a batch, accounted, and freed instead of kept on its return.
 */
#pragma once
#include "base/mem.h"
#include "base/notify.h"
#include "exchange/buffer.h"

/* The memory of all buffers of a process: a bound, with one named line per holder. */
struct wr_pools;
struct wr_pools *wr_pools_new(uint32_t buffer_size, int64_t bytes_max);
void wr_pools_free(struct wr_pools *p); /* all pools must be gone */
uint32_t wr_pools_buffer_size(const struct wr_pools *p);

/* A pool of `limit` buffers, `reserve` of them for events only. `ready` fires (once per wait) when a
 * buffer comes back after wr_pool_wait. NULL with WR_EUSER when the process' bound would be passed:
 * the text has the sum and which option raises it. Reference-counted by its buffers. */
struct wr_pool *wr_pool_new(struct wr_pools *p, const char *holder, uint32_t limit, uint32_t reserve,
			    const struct wr_notify *ready);
void wr_pool_free(struct wr_pool *pool); /* freed for real when the last buffer is back */

/* true when at least `buffers` could be taken without touching the reserve. */
bool wr_pool_has(struct wr_pool *pool, uint32_t buffers);
/* Asks for `ready` at the next return; true if wr_pool_has(pool, buffers) holds by now. */
bool wr_pool_wait(struct wr_pool *pool, uint32_t buffers);
/* Never NULL but when the heap refuses (error set). refs = 1, empty. `event`: may use the reserve. */
struct wr_buffer *wr_pool_take(struct wr_pool *pool, bool event);

struct wr_pool_stats {
	uint32_t limit, in_use, reserve;
	int64_t overdrafts; /* buffers ever taken beyond the limit */
};
void wr_pool_stats(const struct wr_pool *pool, struct wr_pool_stats *out);
