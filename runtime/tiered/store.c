/* SPDX-License-Identifier: Apache-2.0 */
/* store: life of a store, batches, and the calls that memory alone does not answer; see tiered.h. */
#include "tiered/tiered.h"

#include "base/assert.h"
#include "base/error.h"

enum { CALLS_A_LOOK = 256 }; /* that may make memory grow, between two edges */

static const struct lower lower = {.fetch = wr_tiered_fetch,
				   .added = wr_tiered_added,
				   .changed = wr_tiered_changed,
				   .ended = wr_tiered_ended};

/* ---- life ---- */

static void tiered_free(struct wr_store *store)
{
	struct tiered *t = tiered_of(store);
	struct wr_mem *mem = t->m.mem;

	wr_memory_deinit(&t->m);
	if (t->disk)
		t->fn->close(t->disk);
	wr_changes_deinit(&t->changes);
	wr_bytes_deinit(&t->key);
	wr_bytes_deinit(&t->value);
	for (int i = 0; i < 2; i++)
		wr_bytes_deinit(&t->rooms[i]);
	for (int i = 0; i < WALKS; i++) {
		wr_bytes_deinit(&t->walks[i].from);
		wr_bytes_deinit(&t->walks[i].ahead);
	}
	wr_free(mem, t->leaving);
	wr_free(mem, t->fetching);
	wr_free(mem, t->why);
	wr_free(mem, t);
}

static struct wr_store *tiered_new(const struct wr_store_options *o)
{
	struct wr_mem *mem = wr_memory_account(o);
	struct tiered *t = wr_zalloc(mem, sizeof *t);

	WR_ASSERT(o->spill);
	if (!t)
		return NULL;
	t->m.base.backend = &wr_backend_rocksdb;
	t->m.mem = mem;
	t->m.lower = &lower;
	t->spill = o->spill;
	t->fn = wr_spill_disks(o->spill);
	t->share = wr_spill_share(o->spill);
	t->first_out[0] = t->first_out[1] = INT64_MAX;
	if (wr_memory_init(&t->m, o) != WR_OK) {
		tiered_free(&t->m.base);
		return NULL;
	}
	t->packing = (struct packing){t->m.states, t->m.state_count, t->m.has_ttl, 0};
	return &t->m.base;
}

static int tiered_status(const struct wr_store *store)
{
	const struct tiered *t = tiered_of(store);

	if (t->why)
		return wr_error_set(WR_EFATAL, "the state of '%s': %s", t->m.uid, t->why);
	return wr_memory_status(store);
}

static uint64_t tiered_keys(const struct wr_store *store)
{
	const struct tiered *t = tiered_of(store);

	return t->m.keys + t->out;
}

static void tiered_set_now(struct wr_store *store, int64_t now_ms)
{
	struct tiered *t = tiered_of(store);

	if (!t->packing.base_ms)
		t->packing.base_ms = now_ms;
	wr_memory_set_now(store, now_ms);
	if (!t->m.frozen_count) /* a version keeps what had not expired when it was frozen */
		__atomic_store_n(&t->now_ms, now_ms, __ATOMIC_RELAXED);
	t->m.looked_up = false;
	t->m.current = NONE;
	wr_tiered_edge(t);
}

/* Memory may have grown; no edge may come for long. */
static inline void called(struct tiered *t)
{
	if (WR_UNLIKELY(++t->calls == CALLS_A_LOOK))
		wr_tiered_edge(t);
}

/* ---- one key at a time ---- */

/* An entry leaves memory with its maps, whose entries change without it. */
static inline void changed(struct tiered *t)
{
	if (t->m.current)
		wr_entry_own(&t->m, t->m.current);
}

static int tiered_merge(struct wr_store *store, uint32_t state, const uint8_t *ns, uint32_t len)
{
	int rc = wr_memory_merge(store, state, ns, len);

	changed(tiered_of(store));
	return rc;
}

static bool refreshed_by_reading(const struct tiered *t, uint32_t state)
{
	return t->m.states[state].ttl_ms && t->m.states[state].ttl_update == WR_TTL_ON_READ_AND_WRITE;
}

static uint8_t *tiered_map_put(struct wr_store *store, uint32_t state, const uint8_t *key, uint32_t klen,
			       uint32_t shape, uint32_t len)
{
	uint8_t *body = wr_memory_map_put(store, state, key, klen, shape, len);

	changed(tiered_of(store));
	return body;
}

static const struct wr_sval *tiered_map_get(struct wr_store *store, uint32_t state, const uint8_t *key,
					    uint32_t len)
{
	const struct wr_sval *v = wr_memory_map_get(store, state, key, len);

	if (v && refreshed_by_reading(tiered_of(store), state))
		changed(tiered_of(store));
	return v;
}

static const struct wr_sval *tiered_map_next(struct wr_store *store, uint32_t state, uint64_t *cursor,
					     const uint8_t **key, uint32_t *klen)
{
	const struct wr_sval *v = wr_memory_map_next(store, state, cursor, key, klen);

	if (v && refreshed_by_reading(tiered_of(store), state))
		changed(tiered_of(store));
	return v;
}

static int tiered_timer_add(struct wr_store *store, uint32_t kind, int64_t time_ms)
{
	int rc = wr_memory_timer_add(store, kind, time_ms);

	called(tiered_of(store));
	return rc;
}

static int tiered_load(struct wr_store *store, const struct wr_state_item *item)
{
	int rc = wr_memory_load(store, item);

	if (rc == WR_OK)
		changed(tiered_of(store));
	called(tiered_of(store));
	return rc == WR_OK && tiered_of(store)->m.failed ? tiered_status(store) : rc;
}

/* ---- the table ---- */

const struct wr_backend wr_backend_rocksdb = {
    .name = "rocksdb",
    .new = tiered_new,
    .free = tiered_free,
    WR_MEMORY_CALLS,
    .fetch = wr_tiered_fetch_rows,
    .prefetch = wr_tiered_prefetch,
    .merge = tiered_merge,
    .map_get = tiered_map_get,
    .map_put = tiered_map_put,
    .map_next = tiered_map_next,
    .timer_add = tiered_timer_add,
    .timer_next = wr_tiered_timer_next,
    .timer_earliest = wr_tiered_timer_earliest,
    .timer_latest = wr_tiered_timer_latest,
    .status = tiered_status,
    .set_now = tiered_set_now,
    .next = wr_tiered_next,
    .keys = tiered_keys,
    .freeze = wr_tiered_freeze,
    .frozen_unref = wr_tiered_frozen_unref,
    .frozen_copied = wr_tiered_frozen_copied,
    .frozen_each = wr_tiered_frozen_each,
    .frozen_timers = wr_tiered_frozen_timers,
    .frozen_epoch = wr_tiered_frozen_epoch,
    .frozen_changes = wr_tiered_frozen_changes,
    .frozen_each_of = wr_tiered_frozen_each_of,
    .frozen_timers_of = wr_tiered_frozen_timers_of,
    .load = tiered_load,
};
