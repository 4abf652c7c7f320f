/* SPDX-License-Identifier: Apache-2.0 */
/* backend: what a keeper of keyed state can do, as one table of functions.
 *
 * Operators, scripts and checkpoints call the functions of state/store.h and state/timers.h; those go
 * through the table of the store at hand, so nobody knows which backend it is. Each field does what
 * the function that is named after it (wr_state_get → get, wr_list_add → list_add) promises there: same
 * arguments, same ownership, same errors. All but the last group are called on the task's thread and
 * never block; a backend that waits for a disk answers from what `prefetch` brought, and waits only where
 * that did not suffice.
 *
 *   memory    chunks of entries, copied on write                      (memory.h)
 *   rocksdb   the same within a bound; what does not fit is on the disk   (tiered/tiered.h)
 */
#pragma once
#include "state/store.h"
#include "state/timers.h"

struct wr_backend {
	const char *name;
	/* Empty state; NULL with the error set. `free` takes it back when all versions are closed. */
	struct wr_store *(*new)(const struct wr_store_options *options);
	void (*free)(struct wr_store *s);

	/* The current key: set before anything is read or written. */
	int (*set_key)(struct wr_store *s, const uint8_t *key, uint32_t len, uint64_t hash);
	void (*set_short)(struct wr_store *s, const struct wr_short_key *key);
	void (*unset_key)(struct wr_store *s);
	int (*has_key)(const struct wr_store *s);
	const uint8_t *(*key)(const struct wr_store *s, uint32_t *len);
	int (*set_namespace)(struct wr_store *s, const uint8_t *ns, uint32_t len);
	const uint8_t *(*namespace)(const struct wr_store *s, uint32_t *len);

	/* Batches: the keys of rows to come. A backend that reads from outside fetches them together; `fetch`
	 * is NULL for others. */
	void (*fetch)(struct wr_store *s, struct wr_keyer *k, const uint8_t *p, const uint8_t *end);
	void (*prefetch)(struct wr_store *s, const struct wr_short_key *keys, uint32_t count);
	int (*update_all)(struct wr_store *s, uint32_t state, const struct wr_short_key *keys, uint32_t count,
			  uint32_t shape, uint32_t len, struct wr_update *out);

	/* One key at a time. */
	const struct wr_sval *(*get)(struct wr_store *s, uint32_t state);
	uint8_t *(*put)(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len);
	uint8_t *(*update)(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh);
	struct wr_sval *(*edit)(struct wr_store *s, uint32_t state);
	void (*clear)(struct wr_store *s, uint32_t state);
	void (*clear_all)(struct wr_store *s);
	const struct wr_sval *(*peek)(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len);
	int (*merge)(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len);
	uint8_t *(*list_add)(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len);
	uint32_t (*list_count)(struct wr_store *s, uint32_t state);
	const struct wr_sval *(*list_next)(struct wr_store *s, uint32_t state, uint64_t *cursor);
	const struct wr_sval *(*map_get)(struct wr_store *s, uint32_t state, const uint8_t *key,
					 uint32_t len);
	uint8_t *(*map_put)(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t klen,
			    uint32_t shape, uint32_t len);
	int (*map_remove)(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len);
	uint32_t (*map_count)(struct wr_store *s, uint32_t state);
	const struct wr_sval *(*map_next)(struct wr_store *s, uint32_t state, uint64_t *cursor,
					  const uint8_t **key, uint32_t *klen);

	/* Timers (state/timers.h). */
	int (*timer_add)(struct wr_store *s, uint32_t kind, int64_t time_ms);
	void (*timer_remove)(struct wr_store *s, uint32_t kind, int64_t time_ms);
	int (*timer_next)(struct wr_store *s, uint32_t kind, int64_t upto_ms, int64_t *time_ms);
	int64_t (*timer_earliest)(const struct wr_store *s, enum wr_timer_kind kind);
	int64_t (*timer_latest)(const struct wr_store *s, enum wr_timer_kind kind);

	/* Between batches. */
	int (*status)(const struct wr_store *s);
	void (*set_now)(struct wr_store *s, int64_t now_ms);
	int (*next)(struct wr_store *s, uint64_t *cursor);
	uint64_t (*keys)(const struct wr_store *s);

	/* Versions; what takes a version may be called on any thread. */
	int (*settle)(struct wr_store *s); /* NULL: there is nothing to do */
	struct wr_frozen *(*freeze)(struct wr_store *s, bool reader);
	void (*frozen_unref)(struct wr_frozen *f);
	int64_t (*frozen_copied)(const struct wr_frozen *f);
	int (*frozen_each)(struct wr_frozen *f, uint32_t group,
			   int (*each)(const struct wr_state_item *item, void *arg), void *arg);
	int (*frozen_timers)(struct wr_frozen *f, uint32_t group,
			     int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
	int (*load)(struct wr_store *s, const struct wr_state_item *item);

	/* What has changed between versions; NULL, all four: the backend cannot tell. */
	uint32_t (*frozen_epoch)(const struct wr_frozen *f);
	int (*frozen_changes)(const struct wr_frozen *f, uint32_t since, struct wr_bytes *ids, uint32_t *of);
	int (*frozen_each_of)(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			      int (*each)(const struct wr_state_item *item, void *arg), void *arg);
	int (*frozen_timers_of)(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
				int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
};

/* The first member of every backend's own struct. */
struct wr_store {
	const struct wr_backend *backend;
	uint32_t edges; /* see wr_store_edges */
};
struct wr_frozen {
	const struct wr_backend *backend;
};

extern const struct wr_backend wr_backend_memory, wr_backend_rocksdb;
