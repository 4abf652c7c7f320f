/* SPDX-License-Identifier: Apache-2.0 */
/* mem: the one door to the heap.
 *
 * Every allocation belongs to a named account, so that the memory of a process is a
 * sum with one line per holder. Accounts are static: once used they stay in the
 * registry. The door can be told to fail at the n-th call (tests). Thread-safe:
 * counters are relaxed atomics. Holders that allocate all the time have a part of an account each.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_mem {
	const char *name;	   /* one line of the memory sum: "exchange.buffers" */
	_Atomic int64_t bytes;	   /* usable size held now */
	_Atomic int64_t bytes_max; /* high-water mark */
	_Atomic int64_t blocks;
	struct wr_mem *next; /* registry; written once by the first allocation */
	_Atomic int registered;
	struct wr_mem *parent;		   /* of a part of an account, else NULL */
	_Atomic int64_t told, told_blocks; /* of `bytes` and `blocks`, what the parent knows */
};
#define WR_MEM_INIT(text)                                                                                    \
	{                                                                                                    \
		.name = (text)                                                                               \
	}

/* A part of an account, for one holder that allocates again and again: the parent hears of it now and then,
 * so that threads do not contend for its counters. `parent` lives longer. */
void wr_mem_part(struct wr_mem *part, struct wr_mem *parent);
/* The parent hears of the rest; to be called when the holder has given back everything. */
void wr_mem_part_end(struct wr_mem *part);

/* Once, before the first allocation: sets the system's heap up for even pauses, and puts something by for
 * wr_mem_spend. */
void wr_mem_setup(void);
/* Gives back to the system what was put by, for those who cannot be refused at once: true if there was
 * something, so that it is worth asking again. Any thread. */
bool wr_mem_spend(void);

/* NULL with the thread's error set when the heap refuses. Zeroed variant: wr_zalloc. */
void *wr_alloc(struct wr_mem *mem, size_t bytes) __attribute__((malloc));
void *wr_zalloc(struct wr_mem *mem, size_t bytes) __attribute__((malloc));
/* `align`: a power of two, at least 8. Given back by wr_free, never grown. */
void *wr_alloc_aligned(struct wr_mem *mem, size_t align, size_t bytes);
/* As realloc; on failure the old block stays. */
void *wr_realloc(struct wr_mem *mem, void *p, size_t bytes);
/* Room for more items in an array: `items` is the variable that points to it and `cap` the uint32_t that says
 * for how many there is room (NULL and 0 at first). There is room for twice as many then, or for `least` if
 * these are more. WR_OK; or WR_EFATAL with the error set, and both variables are as they were. */
#define WR_GROW(mem, items, cap, least) wr_mem_grow(mem, &(items), &(cap), sizeof *(items), least)
int wr_mem_grow(struct wr_mem *mem, void *items, uint32_t *cap, size_t item_bytes, uint32_t least);
char *wr_strdup(struct wr_mem *mem, const char *s);
char *wr_strndup(struct wr_mem *mem, const char *s, size_t len);
/* NULL is fine. `mem` must be the account of the allocation. */
void wr_free(struct wr_mem *mem, void *p);
/* Memory that came by another door, such as a library's own: `bytes` more are held, or given back. */
void wr_mem_charge(struct wr_mem *mem, int64_t bytes);
/* For a library that ends the process when it is refused memory: like realloc, 0 bytes free `p`. No test
 * makes it fail. */
void *wr_mem_hook(struct wr_mem *mem, void *p, size_t bytes);

/* The n-th next allocation of the process fails, once (0 = never): the fault point "mem.alloc". */
void wr_mem_fail_at(int64_t n);

/* Calls `each` for every account that ever held memory. */
void wr_mem_each(void (*each)(const struct wr_mem *mem, void *arg), void *arg);
/* Bytes that the process may use at most: of the machine, or of its control group. */
int64_t wr_mem_machine(void);
/* Resident and peak resident bytes of the process, from the system. */
int64_t wr_mem_resident(void);
int64_t wr_mem_resident_max(void);
