/* SPDX-License-Identifier: Apache-2.0 */
/* spill: where the stores of a job put what does not fit into memory: a folder of scratch, the library, and
 * the bound that they share.
 *
 * A quarter of the bound, 64 MiB at most, is left for what the library needs beside cache and write buffers
 * and for the seams of the heap. A quarter of the rest is for write buffers; filters and indexes of the files
 * stay in memory, about 2 bytes a key; and what is left is divided evenly among the stores, whose share is
 * for entries: it becomes smaller as there are more keys on the disk, down to a quarter of the rest. What is
 * kept for versions has a bound of its own (state/store.h).
 *
 * The folder holds nothing that a checkpoint does not: it is made when the job is built, removed with it, and
 * one that a crash left behind is removed by the next who makes one in the same place, or would have. It
 * holds a locked file as long as its process lives.
 */
#pragma once
#include <stdint.h>
#include "tiered/disk.h"

struct wr_spill_options {
	const char *folder; /* in which the scratch folder is made; NULL: $TMPDIR, else /tmp */
	int64_t bytes;	    /* of all memory */
	uint32_t stores;    /* that share it */
	const struct wr_disk_functions *disks; /* NULL: those of the module */
};

struct wr_spill;
/* Loads the module. NULL with the error set: no module, no folder. */
struct wr_spill *wr_spill_new(const struct wr_spill_options *o);
/* Removes what processes that are gone left in `folder`. */
void wr_spill_clean(const char *folder);
/* Behind all stores. NULL is fine. */
void wr_spill_free(struct wr_spill *s);

const struct wr_disk_functions *wr_spill_disks(const struct wr_spill *s);
/* Bytes that the entries of one store may take, beside what the library held when it was last asked. */
int64_t wr_spill_share(const struct wr_spill *s);
/* A disk of its own for a store. NULL with the error set. */
struct wr_disk *wr_spill_open(struct wr_spill *s, const int64_t *now_ms);
/* Asks the library what it holds, and tells the account "state.rocksdb"; any thread. */
void wr_spill_account(struct wr_spill *s);
