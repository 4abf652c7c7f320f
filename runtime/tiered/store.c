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

/* ---- batches ---- */

struct missing {
	struct tiered *t;
	const struct wr_short_key *keys[WR_DISK_GET_MAX];
	uint32_t count;
};

static void note_absent(void *arg, uint32_t i)
{
	const struct missing *m = arg;

	m->t->absent[m->t->absent_count++] = *m->keys[i];
}

static void bring_missing(struct missing *m)
{
	struct tiered *t = m->t;
	struct wr_disk_bytes packed[WR_DISK_GET_MAX];
	uint32_t ends[WR_DISK_GET_MAX], begin = 0;
	struct wr_bytes *room = &t->rooms[0];

	room->len = 0;
	for (uint32_t i = 0; i < m->count; i++) {
		const struct wr_short_key *k = m->keys[i];

		wr_packed_put_key(room, wr_key_group(k->hash, t->m.max_parallelism), k->bytes, k->len, NULL,
				  0);
		ends[i] = (uint32_t)room->len;
	}
	if (room->failed)
		return; /* they are fetched one by one */
	for (uint32_t i = 0; i < m->count; begin = ends[i++])
		packed[i] = (struct wr_disk_bytes){room->data + begin, ends[i] - begin};
	wr_tiered_bring(t, packed, m->count, note_absent, m);
}

static void tiered_prefetch(struct wr_store *store, const struct wr_short_key *keys, uint32_t count)
{
	struct tiered *t = tiered_of(store);
	struct memory *s = &t->m;
	struct missing m = {.t = t};

	WR_ASSERT(count <= WR_DISK_GET_MAX);
	t->absent_count = 0;
	for (uint32_t i = 0; i < count; i++)
		wr_index_prefetch(&s->index, wr_lookup_tag(keys[i].hash));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t tag = wr_lookup_tag(keys[i].hash), id;
		struct index_table table = wr_index_table(&s->index, tag);
		uint64_t at = tag & table.mask;
		const char *e;

		while (table.slots[at] && (uint32_t)(table.slots[at] >> 32) != tag)
			at = (at + 1) & table.mask;
		id = (uint32_t)table.slots[at];
		if (id) { /* or one with the same tag: then the key itself is fetched when it is current */
			s->marks[id].touched = IN_USE;
			e = (const char *)entry_at(s, id);
			__builtin_prefetch(e);
			__builtin_prefetch(e + 64);
		} else if (t->out && keys[i].len) {
			m.keys[m.count++] = &keys[i];
		}
	}
	if (m.count && !s->failed)
		bring_missing(&m);
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
    .prefetch = tiered_prefetch,
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
