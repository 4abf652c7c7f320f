/* SPDX-License-Identifier: Apache-2.0 */
/* nexmark: the list of stage kinds made here, and the pool that all subtasks share. */
#include "nexmark/nexmark.h"
#include <pthread.h>
#include "base/mem.h"
#include "nexmark/pool.h"

extern const struct wr_stage_ops wr_nexmark_source_ops, wr_checksum_ops, wr_checksum_total_ops;

const struct wr_stage_kind wr_nexmark_kinds[] = {
    {"checksum", &wr_checksum_ops},
    {"checksum_total", &wr_checksum_total_ops},
    {"nexmark", &wr_nexmark_source_ops},
};
const unsigned wr_nexmark_kinds_count = sizeof wr_nexmark_kinds / sizeof *wr_nexmark_kinds;

static struct wr_mem mem = WR_MEM_INIT("nexmark.pool");
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct wr_nexmark_pool *pool;
static unsigned users;

const struct wr_nexmark_pool *wr_nexmark_pool_take(void)
{
	pthread_mutex_lock(&lock);
	if (!pool) {
		pool = wr_alloc_aligned(&mem, _Alignof(struct wr_nexmark_pool), sizeof *pool);
		if (pool)
			wr_nexmark_pool_fill(pool);
	}
	if (pool)
		users++;
	pthread_mutex_unlock(&lock);
	return pool;
}

void wr_nexmark_pool_give(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0) {
		wr_free(&mem, pool);
		pool = NULL;
	}
	pthread_mutex_unlock(&lock);
}
