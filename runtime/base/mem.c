/* SPDX-License-Identifier: Apache-2.0 */
/* mem: the one door to the heap, with an account per holder. */
#include "base/mem.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

enum {
	STEP = 512 << 10, /* bytes by which the heap of a thread grows */
	PUT_BY = 2 << 20, /* never written to: address space, and a promise of the system */
};

static _Atomic(struct wr_mem *) accounts;
static _Thread_local size_t asked; /* since the heap was grown ahead */
static void *_Atomic put_by;

/* Without fast bins: these keep small blocks that were freed, and merge all of them when a large one comes
 * or goes, which stopped a subtask with 300,000 timers for 6 ms at a time. */
void wr_mem_setup(void)
{
	mallopt(M_MXFAST, 0);
	mallopt(M_MMAP_THRESHOLD, 2 * STEP);
	mallopt(M_TRIM_THRESHOLD, 4 * STEP);
	atomic_store(&put_by, malloc(PUT_BY));
}

bool wr_mem_spend(void)
{
	void *p = atomic_exchange(&put_by, NULL);

	free(p);
	return p != NULL;
}

void wr_mem_fail_at(int64_t n)
{
	int rc = wr_fault_set("mem.alloc", n, ENOMEM);

	WR_ASSERT(rc == WR_OK);
}

static bool refused(void)
{
	return WR_FAULT("mem.alloc", NULL);
}

static void account_register(struct wr_mem *mem)
{
	struct wr_mem *head;

	if (atomic_exchange(&mem->registered, 1))
		return;
	head = atomic_load(&accounts);
	do
		mem->next = head;
	while (!atomic_compare_exchange_weak(&accounts, &head, mem));
}

/* The counters of a part differ by so much from what its parent knows before that hears of it. */
enum { UNTOLD_MAX = 64 << 10 };

static void tell_parent(struct wr_mem *part, int64_t bytes)
{
	int64_t blocks = atomic_load_explicit(&part->blocks, memory_order_relaxed);

	wr_mem_charge(part->parent,
		      bytes - atomic_exchange_explicit(&part->told, bytes, memory_order_relaxed));
	atomic_fetch_add_explicit(
	    &part->parent->blocks,
	    blocks - atomic_exchange_explicit(&part->told_blocks, blocks, memory_order_relaxed),
	    memory_order_relaxed);
}

void wr_mem_part(struct wr_mem *part, struct wr_mem *parent)
{
	*part = (struct wr_mem){.name = parent->name, .registered = 1, .parent = parent};
}

void wr_mem_part_end(struct wr_mem *part)
{
	tell_parent(part, atomic_load_explicit(&part->bytes, memory_order_relaxed));
}

static bool untold(const struct wr_mem *part, int64_t bytes)
{
	int64_t more = bytes - atomic_load_explicit(&part->told, memory_order_relaxed);

	return more >= UNTOLD_MAX || more <= -UNTOLD_MAX;
}

void wr_mem_charge(struct wr_mem *mem, int64_t bytes)
{
	int64_t now, max;

	if (WR_UNLIKELY(!atomic_load_explicit(&mem->registered, memory_order_relaxed)))
		account_register(mem);
	now = atomic_fetch_add_explicit(&mem->bytes, bytes, memory_order_relaxed) + bytes;
	if (mem->parent && untold(mem, now))
		tell_parent(mem, now);
	max = atomic_load_explicit(&mem->bytes_max, memory_order_relaxed);
	while (now > max && !atomic_compare_exchange_weak_explicit(
				&mem->bytes_max, &max, now, memory_order_relaxed, memory_order_relaxed))
		;
}

/* The heap of a thread other than the first grows by what is missing, a page mostly, and each time by a call
 * of the system for which the other threads of the process wait with their page faults. What is taken and
 * given back at once stays with the heap, untouched. */
static void grow_ahead(size_t bytes)
{
	asked += bytes;
	if (WR_UNLIKELY(asked >= STEP)) {
		void *volatile ahead = malloc(STEP); /* a pair that is of use: not to be optimized away */

		asked = 0;
		free(ahead);
	}
}

static void *account_add(struct wr_mem *mem, void *p, size_t bytes)
{
	if (WR_UNLIKELY(!p)) {
		wr_error_nomem(bytes, mem->name);
		return NULL;
	}
	bytes = malloc_usable_size(p);
	wr_mem_charge(mem, (int64_t)bytes);
	atomic_fetch_add_explicit(&mem->blocks, 1, memory_order_relaxed);
	grow_ahead(bytes);
	return p;
}

static void account_sub(struct wr_mem *mem, void *p)
{
	int64_t bytes = (int64_t)malloc_usable_size(p),
		now = atomic_fetch_sub_explicit(&mem->bytes, bytes, memory_order_relaxed) - bytes;

	atomic_fetch_sub_explicit(&mem->blocks, 1, memory_order_relaxed);
	if (mem->parent && untold(mem, now))
		tell_parent(mem, now);
}

void *wr_alloc(struct wr_mem *mem, size_t bytes)
{
	return account_add(mem, refused() ? NULL : malloc(bytes ? bytes : 1), bytes);
}

void *wr_zalloc(struct wr_mem *mem, size_t bytes)
{
	return account_add(mem, refused() ? NULL : calloc(1, bytes ? bytes : 1), bytes);
}

void *wr_alloc_aligned(struct wr_mem *mem, size_t align, size_t bytes)
{
	void *p = NULL;

	if (refused() || posix_memalign(&p, align, bytes ? bytes : 1))
		p = NULL;
	return account_add(mem, p, bytes);
}

void *wr_realloc(struct wr_mem *mem, void *p, size_t bytes)
{
	void *q;
	size_t old = p ? malloc_usable_size(p) : 0;

	if (!p)
		return wr_alloc(mem, bytes);
	q = refused() ? NULL : realloc(p, bytes ? bytes : 1);
	if (!q) {
		wr_error_nomem(bytes, mem->name);
		return NULL;
	}
	atomic_fetch_sub_explicit(&mem->bytes, (int64_t)old, memory_order_relaxed);
	atomic_fetch_sub_explicit(&mem->blocks, 1, memory_order_relaxed);
	return account_add(mem, q, bytes);
}

int wr_mem_grow(struct wr_mem *mem, void *items, uint32_t *cap, size_t item_bytes, uint32_t least)
{
	uint64_t more = 2 * (uint64_t)*cap;
	void *p;

	if (more < least)
		more = least;
	WR_ASSERT(more > *cap);
	if (more > UINT32_MAX)
		return wr_error_nomem(more * item_bytes, mem->name);
	memcpy(&p, items, sizeof p);
	p = wr_realloc(mem, p, more * item_bytes);
	if (!p)
		return WR_EFATAL;
	memcpy(items, &p, sizeof p);
	*cap = (uint32_t)more;
	return WR_OK;
}

void *wr_mem_hook(struct wr_mem *mem, void *p, size_t bytes)
{
	int64_t old = p ? (int64_t)malloc_usable_size(p) : 0;
	void *q = NULL;

	if (bytes)
		q = realloc(p, bytes);
	else
		free(p);
	if (q || !bytes)
		wr_mem_charge(mem, (q ? (int64_t)malloc_usable_size(q) : 0) - old);
	return q;
}

char *wr_strndup(struct wr_mem *mem, const char *s, size_t len)
{
	char *p = wr_alloc(mem, len + 1);

	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}

char *wr_strdup(struct wr_mem *mem, const char *s)
{
	return wr_strndup(mem, s, strlen(s));
}

void wr_free(struct wr_mem *mem, void *p)
{
	if (!p)
		return;
	account_sub(mem, p);
	free(p);
}

void wr_mem_each(void (*each)(const struct wr_mem *mem, void *arg), void *arg)
{
	for (struct wr_mem *m = atomic_load(&accounts); m; m = m->next)
		each(m, arg);
}

int64_t wr_mem_resident(void)
{
	long total, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f)
		return 0;
	if (fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

int64_t wr_mem_machine(void)
{
	int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/sys/fs/cgroup/memory.max", "r");
	long long max;

	if (f && fscanf(f, "%lld", &max) == 1 && max < bytes) /* or the word "max" */
		bytes = max;
	if (f)
		fclose(f);
	return bytes;
}

int64_t wr_mem_resident_max(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u))
		return 0;
	return (int64_t)u.ru_maxrss * 1024;
}
