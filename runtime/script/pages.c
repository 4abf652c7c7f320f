/* SPDX-License-Identifier: Apache-2.0 */
/* pages: regions of 64 pages, with a bit for each that is free. */
#include "script/pages.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

static struct wr_mem mem_regions = WR_MEM_INIT("script.regions");

enum {
	PAGES = 64,
	EMPTY_MAX =
	    32 /* regions kept without a page in use: unmapping one interrupts all cores that run here */
};
#define ALL_FREE UINT64_MAX

struct wr_region {
	uint8_t *base;
	uint64_t free;
	struct wr_region *next, *prev; /* of those with a free page */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the rest, and of all regions */
static struct wr_region *first;
static uint32_t empty; /* regions without a page in use: at most EMPTY_MAX */

static void region_link(struct wr_region *r)
{
	r->prev = NULL;
	r->next = first;
	if (first)
		first->prev = r;
	first = r;
}

static void region_unlink(struct wr_region *r)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		first = r->next;
	if (r->next)
		r->next->prev = r->prev;
}

static struct wr_region *region_new(void)
{
	struct wr_region *r = wr_alloc(&mem_regions, sizeof *r);
	void *base;

	if (!r)
		return NULL;
	base = mmap(NULL, PAGES * WR_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED) {
		wr_free(&mem_regions, r);
		wr_error_nomem(PAGES * WR_PAGE, mem_regions.name);
		return NULL;
	}
	*r = (struct wr_region){.base = base, .free = ALL_FREE};
	empty++;
	region_link(r);
	return r;
}

static void region_free(struct wr_region *r)
{
	int rc = munmap(r->base, PAGES * WR_PAGE);

	WR_ASSERT(rc == 0);
	wr_free(&mem_regions, r);
}

struct wr_page *wr_page_take(struct wr_mem *mem)
{
	struct wr_page *page = NULL;
	struct wr_region *r;

	if (WR_FAULT("mem.alloc", NULL)) {
		wr_error_nomem(WR_PAGE, mem->name);
		return NULL;
	}
	pthread_mutex_lock(&mutex);
	r = first ? first : region_new();
	if (WR_LIKELY(r)) {
		int bit = __builtin_ctzll(r->free);

		empty -= r->free == ALL_FREE;
		r->free &= r->free - 1;
		if (!r->free)
			region_unlink(r);
		page = (struct wr_page *)(r->base + (size_t)bit * WR_PAGE);
		page->home = r;
	}
	pthread_mutex_unlock(&mutex);
	if (page)
		wr_mem_charge(mem, WR_PAGE);
	return page;
}

void wr_page_give(struct wr_mem *mem, struct wr_page *page)
{
	struct wr_region *r = page->home, *spare = NULL;
	uint64_t bit = (uint64_t)1 << (((uint8_t *)page - r->base) / WR_PAGE);

	pthread_mutex_lock(&mutex);
	WR_ASSERT(!(r->free & bit));
	if (!r->free)
		region_link(r);
	r->free |= bit;
	if (r->free == ALL_FREE && ++empty > EMPTY_MAX) {
		region_unlink(r);
		empty--;
		spare = r;
	}
	pthread_mutex_unlock(&mutex);
	if (spare)
		region_free(spare);
	wr_mem_charge(mem, -WR_PAGE);
}
