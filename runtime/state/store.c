/* SPDX-License-Identifier: Apache-2.0 */
/* store: the way from the functions that everybody calls to the backend that does the work; see backend.h.
 * A call costs one jump through the table. */
#include "base/error.h"
#include "state/backend.h"

struct wr_store *wr_store_new(const struct wr_store_options *o)
{
	return (o->backend ? o->backend : &wr_backend_memory)->new (o);
}

int wr_store_set_row(struct wr_store *s, struct wr_keyer *k, const struct wr_elem *row)
{
	struct wr_key key;
	int rc = wr_keyer_key(k, row, &key);

	return rc == WR_OK ? s->backend->set_key(s, key.p, key.len, key.hash) : rc;
}

int wr_store_set_one_key(struct wr_store *s)
{
	static const uint8_t key[] = {'b', 1};

	return s->backend->set_key(s, key, sizeof key, wr_key_hash(key, sizeof key));
}

void wr_store_free(struct wr_store *s)
{
	if (s)
		s->backend->free(s);
}

/* ---- the current key ---- */

int wr_store_set_key(struct wr_store *s, const uint8_t *key, uint32_t len, uint64_t hash)
{
	return s->backend->set_key(s, key, len, hash);
}
void wr_store_set_short(struct wr_store *s, const struct wr_short_key *key)
{
	s->backend->set_short(s, key);
}
void wr_store_unset_key(struct wr_store *s)
{
	s->backend->unset_key(s);
}
int wr_store_has_key(const struct wr_store *s)
{
	return s->backend->has_key(s);
}
const uint8_t *wr_store_key(const struct wr_store *s, uint32_t *len)
{
	return s->backend->key(s, len);
}
int wr_store_set_namespace(struct wr_store *s, const uint8_t *ns, uint32_t len)
{
	return s->backend->set_namespace(s, ns, len);
}
const uint8_t *wr_store_namespace(const struct wr_store *s, uint32_t *len)
{
	return s->backend->namespace(s, len);
}

/* ---- batches ---- */

void wr_store_prefetch(struct wr_store *s, const struct wr_short_key *keys, uint32_t count)
{
	s->backend->prefetch(s, keys, count);
}

void wr_store_fetch(struct wr_store *s, struct wr_keyer *k, const uint8_t *p, const uint8_t *end)
{
	if (s->backend->fetch)
		s->backend->fetch(s, k, p, end);
}

uint32_t wr_store_edges(const struct wr_store *s)
{
	return s->edges;
}

int wr_state_update_all(struct wr_store *s, uint32_t state, const struct wr_short_key *keys, uint32_t count,
			uint32_t shape, uint32_t len, struct wr_update *out)
{
	return s->backend->update_all(s, state, keys, count, shape, len, out);
}

/* ---- one key at a time ---- */

const struct wr_sval *wr_state_get(struct wr_store *s, uint32_t state)
{
	return s->backend->get(s, state);
}
uint8_t *wr_state_put(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len)
{
	return s->backend->put(s, state, shape, len);
}
uint8_t *wr_state_update(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh)
{
	return s->backend->update(s, state, shape, len, fresh);
}
struct wr_sval *wr_state_edit(struct wr_store *s, uint32_t state)
{
	return s->backend->edit(s, state);
}
void wr_state_clear(struct wr_store *s, uint32_t state)
{
	s->backend->clear(s, state);
}
void wr_state_clear_all(struct wr_store *s)
{
	s->backend->clear_all(s);
}
const struct wr_sval *wr_state_peek(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len)
{
	return s->backend->peek(s, state, ns, len);
}
int wr_state_merge(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len)
{
	return s->backend->merge(s, state, ns, len);
}
uint8_t *wr_list_add(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len)
{
	return s->backend->list_add(s, state, shape, len);
}
uint32_t wr_list_count(struct wr_store *s, uint32_t state)
{
	return s->backend->list_count(s, state);
}
const struct wr_sval *wr_list_next(struct wr_store *s, uint32_t state, uint64_t *cursor)
{
	return s->backend->list_next(s, state, cursor);
}
const struct wr_sval *wr_map_get(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len)
{
	return s->backend->map_get(s, state, key, len);
}
uint8_t *wr_map_put(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t klen, uint32_t shape,
		    uint32_t len)
{
	return s->backend->map_put(s, state, key, klen, shape, len);
}
int wr_map_remove(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len)
{
	return s->backend->map_remove(s, state, key, len);
}
uint32_t wr_map_count(struct wr_store *s, uint32_t state)
{
	return s->backend->map_count(s, state);
}
const struct wr_sval *wr_map_next(struct wr_store *s, uint32_t state, uint64_t *cursor, const uint8_t **key,
				  uint32_t *klen)
{
	return s->backend->map_next(s, state, cursor, key, klen);
}

/* ---- timers ---- */

int wr_timer_add(struct wr_store *s, uint32_t kind, int64_t time_ms)
{
	return s->backend->timer_add(s, kind, time_ms);
}
void wr_timer_remove(struct wr_store *s, uint32_t kind, int64_t time_ms)
{
	s->backend->timer_remove(s, kind, time_ms);
}
int wr_timer_next(struct wr_store *s, uint32_t kind, int64_t upto_ms, int64_t *time_ms)
{
	return s->backend->timer_next(s, kind, upto_ms, time_ms);
}
int64_t wr_timer_earliest(const struct wr_store *s, enum wr_timer_kind kind)
{
	return s->backend->timer_earliest(s, kind);
}
int64_t wr_timer_latest(const struct wr_store *s, enum wr_timer_kind kind)
{
	return s->backend->timer_latest(s, kind);
}
/* ---- between batches ---- */

int wr_store_status(const struct wr_store *s)
{
	return s->backend->status(s);
}
void wr_store_set_now(struct wr_store *s, int64_t now_ms)
{
	s->backend->set_now(s, now_ms);
}
int wr_store_next(struct wr_store *s, uint64_t *cursor)
{
	return s->backend->next(s, cursor);
}
uint64_t wr_store_keys(const struct wr_store *s)
{
	return s->backend->keys(s);
}

/* ---- versions ---- */

struct wr_frozen *wr_store_freeze(struct wr_store *s)
{
	return s->backend->freeze(s, false);
}
struct wr_frozen *wr_store_freeze_to_read(struct wr_store *s)
{
	return s->backend->freeze(s, true);
}
int wr_store_settle(struct wr_store *s)
{
	return !s->backend->settle || s->backend->settle(s);
}
void wr_frozen_unref(struct wr_frozen *f)
{
	f->backend->frozen_unref(f);
}
int64_t wr_frozen_copied(const struct wr_frozen *f)
{
	return f->backend->frozen_copied(f);
}
int wr_frozen_each(struct wr_frozen *f, uint32_t group,
		   int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	return f->backend->frozen_each(f, group, each, arg);
}
int wr_frozen_timers(struct wr_frozen *f, uint32_t group,
		     int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	return f->backend->frozen_timers(f, group, each, arg);
}
uint32_t wr_frozen_epoch(const struct wr_frozen *f)
{
	return f->backend->frozen_epoch ? f->backend->frozen_epoch(f) : 0;
}
int wr_frozen_changes(const struct wr_frozen *f, uint32_t since, struct wr_bytes *ids, uint32_t *of)
{
	return f->backend->frozen_changes(f, since, ids, of);
}
int wr_frozen_each_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
		      int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	return f->backend->frozen_each_of(f, since, ids, count, each, arg);
}
int wr_frozen_timers_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	return f->backend->frozen_timers_of(f, since, ids, count, each, arg);
}
int wr_store_load(struct wr_store *s, const struct wr_state_item *item)
{
	return s->backend->load(s, item);
}
