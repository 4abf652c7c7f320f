/* SPDX-License-Identifier: Apache-2.0 */
/* spilled: tests of state run over the backend rocksdb as well, with shares so small that entries leave
 * memory all the time. Linked with the module itself. */
#pragma once
#include "module/module.h"
#include "state/backend.h"
#include "tiered/spill.h"

extern const struct wr_module wr_module;

/* While a test runs on the backend rocksdb; else NULL. */
static struct wr_spill *spilled;

static int spill_begin(void **state)
{
	struct wr_spill_options o = {
	    .stores = 1, .bytes = (int64_t)(intptr_t)*state, .disks = wr_module.functions};

	spilled = wr_spill_new(&o);
	return spilled ? 0 : -1;
}

static int spill_end(void **state)
{
	(void)state;
	wr_spill_free(spilled);
	spilled = NULL;
	return 0;
}

static void spill_store(struct wr_store_options *o)
{
	if (!spilled)
		return;
	o->backend = &wr_backend_rocksdb;
	o->spill = spilled;
}

/* The same test over rocksdb, with so many bytes of memory. */
#define ON_ROCKSDB(test, bytes)                                                                              \
	{                                                                                                    \
#test "_on_rocksdb", test, spill_begin, spill_end, (void *)(intptr_t)(bytes)                 \
	}
