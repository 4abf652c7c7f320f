/* SPDX-License-Identifier: Apache-2.0 */
/* pages: regions of 64 pages, with a bit for each that is free. */
#include "heap/pages.h"

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

/* Touched from end to end, so that nobody waits for the system while the mutex is held. */
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
	for (size_t i = 0; i < PAGES; i++)
		((struct wr_page *)(r->base + i * WR_PAGE))->home = r;
	return r;
}

static void region_free(struct wr_region *r)
{
	int rc = munmap(r->base, PAGES * WR_PAGE);

	WR_ASSERT(rc == 0);
	wr_free(&mem_regions, r);
}

/* The mutex is held, but for the time in which the system is asked: it may put this thread aside, and others
 * come first. False when the system refuses. */
static bool grow(void)
{
	struct wr_region *r;

	pthread_mutex_unlock(&mutex);
	r = region_new();
	pthread_mutex_lock(&mutex);
	if (!r)
		return first != NULL;
	empty++;
	region_link(r);
	return true;
}

/* The mutex is held. NULL when the system refuses. */
static struct wr_page *take(void)
{
	struct wr_region *r;
	struct wr_page *page;

	if (WR_UNLIKELY(!first) && !grow())
		return NULL;
	r = first;
	page = (struct wr_page *)(r->base + (size_t)__builtin_ctzll(r->free) * WR_PAGE);
	empty -= r->free == ALL_FREE;
	r->free &= r->free - 1;
	if (!r->free)
		region_unlink(r);
	return page;
}

uint32_t wr_pages_take(struct wr_mem *mem, struct wr_page **pages, uint32_t count)
{
	uint32_t n = 0;

	if (WR_FAULT("mem.alloc", NULL)) {
		wr_error_nomem(WR_PAGE, mem->name);
		return 0;
	}
	pthread_mutex_lock(&mutex);
	while (n < count && (pages[n] = take()))
		n++;
	pthread_mutex_unlock(&mutex);
	if (n)
		wr_mem_charge(mem, (int64_t)n * WR_PAGE);
	return n;
}

/* The mutex is held. The region, if it is to be unmapped. */
static struct wr_region *give(struct wr_page *page)
{
	struct wr_region *r = page->home;
	uint64_t bit = (uint64_t)1 << (((uint8_t *)page - r->base) / WR_PAGE);

	WR_ASSERT(!(r->free & bit));
	if (!r->free)
		region_link(r);
	r->free |= bit;
	if (r->free != ALL_FREE || ++empty <= EMPTY_MAX)
		return NULL;
	region_unlink(r);
	empty--;
	return r;
}

void wr_pages_give(struct wr_mem *mem, struct wr_page *const *pages, uint32_t count)
{
	struct wr_region *spare = NULL;

	pthread_mutex_lock(&mutex);
	for (uint32_t i = 0; i < count; i++) {
		struct wr_region *r = give(pages[i]);

		if (r) {
			r->next = spare;
			spare = r;
		}
	}
	pthread_mutex_unlock(&mutex);
	while (spare) {
		struct wr_region *r = spare;

		spare = r->next;
		region_free(r);
	}
	wr_mem_charge(mem, -(int64_t)count * WR_PAGE);
}
