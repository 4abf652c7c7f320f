/* SPDX-License-Identifier: Apache-2.0 */
/* since: see since.h. */
#include "savepoint/since.h"

#include <string.h>
#include "base/error.h"
#include "savepoint/saved.h"

enum {
	CHAIN_MAX = 64,	    /* blobs */
	REMEMBERED_MAX = 4, /* snapshots behind the one that is gone on from: the last may hold soon */
};
_Static_assert((int)CHAIN_MAX <= (int)WR_SAVED_BLOBS_MAX, "those who restore read so many");

struct written { /* a snapshot */
	struct written *older;
	uint64_t checkpoint;
	uint64_t whole_bytes, more_bytes; /* of the chain's first blob, and of those behind it */
	uint32_t blobs;
	struct wr_bytes ids; /* of the chain, newest first, each with a NUL behind it */
	uint32_t store_count;
	uint32_t epochs[];
};
struct wr_since {
	const _Atomic uint64_t *holds;
	uint64_t bytes_min;
	struct written *newest;
	const struct written *base; /* of the plan under way, NULL: it is whole */
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.since");

struct wr_since *wr_since_new(const _Atomic uint64_t *holds, uint64_t bytes_min)
{
	struct wr_since *s = wr_zalloc(&mem, sizeof *s);

	if (s)
		*s = (struct wr_since){.holds = holds, .bytes_min = bytes_min};
	return s;
}

static void forget(struct written *w)
{
	while (w) {
		struct written *older = w->older;

		wr_bytes_deinit(&w->ids);
		wr_free(&mem, w);
		w = older;
	}
}

void wr_since_free(struct wr_since *s)
{
	if (!s)
		return;
	forget(s->newest);
	wr_free(&mem, s);
}

/* The one of the newest checkpoint that holds; those before it are of no use any more. */
static struct written *base_of(struct wr_since *s)
{
	uint64_t holds = atomic_load(s->holds);
	struct written *w = s->newest;

	while (w && w->checkpoint != holds)
		w = w->older;
	if (!w)
		return NULL;
	forget(w->older);
	w->older = NULL;
	return w;
}

/* *changed and *of: entries, of all stores. */
static int find_changes(const struct written *base, struct wr_since_plan *p, uint64_t *changed, uint64_t *of)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < p->store_count && rc == WR_OK; i++) {
		struct wr_since_store *store = &p->stores[i];
		uint32_t all = 0;

		store->epoch = store->frozen && wr_frozen_epoch(store->frozen) ? base->epochs[i] : 0;
		if (!store->epoch)
			continue;
		rc = wr_frozen_changes(store->frozen, store->epoch, &store->ids, &all);
		if (rc == WR_END) { /* all of it */
			rc = WR_OK;
			store->epoch = 0;
			*changed += all;
		}
		*changed += store->ids.len / sizeof(uint32_t);
		*of += all;
	}
	return rc;
}

static bool is_worth_it(const struct written *base, uint64_t changed, uint64_t of)
{
	double share = of ? (double)changed / (double)of : 1;

	return share <= 0.5 &&
	       (double)base->more_bytes + share * (double)base->whole_bytes < (double)base->whole_bytes;
}

int wr_since_plan(struct wr_since *s, struct wr_since_plan *plan)
{
	const struct written *base = base_of(s);
	uint64_t changed = 0, of = 0;
	int rc;

	s->base = NULL;
	plan->bases = NULL;
	if (!base || base->whole_bytes < s->bytes_min || base->blobs == CHAIN_MAX ||
	    base->store_count != plan->store_count)
		return WR_OK;
	rc = find_changes(base, plan, &changed, &of);
	if (rc == WR_OK && is_worth_it(base, changed, of)) {
		s->base = base;
		plan->bases = &base->ids;
	}
	return rc;
}

void wr_since_plan_deinit(struct wr_since_plan *plan)
{
	for (uint32_t i = 0; i < plan->store_count; i++)
		wr_bytes_deinit(&plan->stores[i].ids);
}

/* Nobody waits for the last of those that came to nothing. */
static void forget_some(struct wr_since *s, uint64_t holds)
{
	struct written *w = s->newest;

	for (uint32_t n = 1; w && w->older && w->older->checkpoint != holds; n++)
		if (n >= REMEMBERED_MAX) {
			struct written *gone = w->older;

			w->older = gone->older;
			gone->older = NULL;
			forget(gone);
		} else {
			w = w->older;
		}
}

void wr_since_written(struct wr_since *s, const struct wr_since_plan *plan, uint64_t checkpoint,
		      const char *id, uint64_t bytes)
{
	const struct written *base = s->base;
	struct written *w = wr_zalloc(&mem, sizeof *w + plan->store_count * sizeof w->epochs[0]);

	if (!w)
		return;
	w->checkpoint = checkpoint;
	w->whole_bytes = base ? base->whole_bytes : bytes;
	w->more_bytes = base ? base->more_bytes + bytes : 0;
	w->blobs = base ? base->blobs + 1 : 1;
	w->store_count = plan->store_count;
	for (uint32_t i = 0; i < plan->store_count; i++)
		w->epochs[i] = plan->stores[i].frozen ? wr_frozen_epoch(plan->stores[i].frozen) : 0;
	wr_bytes_put(&w->ids, id, strlen(id) + 1);
	if (base)
		wr_bytes_put(&w->ids, base->ids.data, base->ids.len);
	if (w->ids.failed) {
		forget(w);
		return;
	}
	w->older = s->newest;
	s->newest = w;
	forget_some(s, atomic_load(s->holds));
}
