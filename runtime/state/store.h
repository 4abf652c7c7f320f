/* SPDX-License-Identifier: Apache-2.0 */
/* store: the keyed state of one operator in one subtask.
 *
 * Addressed by (state, key group, key, namespace). The owner sets the current key, then
 * reads and writes states by their index; a namespace (a window) is the second half of the
 * address and empty unless set. All values are rows' bodies with their shape, so that state
 * can be read, moved and saved without Lua. Timers live beside it (state/timers.h).
 *
 * One writer: the subtask's thread. Pointers into state are borrowed until the next call
 * on the store that can change anything, and never cross an event.
 *
 * Time to live: a value expires when last access + ttl <= now (S6); `now` is set by the
 * owner before a batch. Reading an expired value removes it (S7).
 *
 * Versions: wr_store_freeze() makes the present content a version that other threads may
 * read while the owner goes on; a chunk older than the current epoch is copied before its
 * first change. Up to WR_FROZEN_MAX versions are open at once.
 *
 * Declarations outside `#ifndef WR_CDEF` are called by LuaJIT: they never call back into Lua.
 */
#ifndef WR_STATE_STORE_H
#define WR_STATE_STORE_H
#include <stdint.h>

struct wr_store; /* state/backend.h */
struct wr_backend;
struct wr_spill;

/* A value as it lies in state: `shape` says what the body is (record/row.h) and, above WR_SVAL_VERSION, which
 * version of its state's declaration wrote it, less 1. Who declares no versions sees shapes. */
enum { WR_SVAL_SHAPE = 0xffffff, WR_SVAL_VERSION = 24, WR_STATE_VERSION_MAX = 256 };
struct wr_sval {
	uint32_t len; /* bytes of the body */
	uint32_t shape;
	uint8_t body[];
};

/* Sets the current key by its canonical bytes and hash (record/key.h); the namespace becomes empty.
 * Cheap: the entry is looked for at the first access. WR_OK or WR_EFATAL. */
int wr_store_set_key(struct wr_store *s, const uint8_t *key, uint32_t len, uint64_t hash);
/* As wr_store_set_key, with the key of a state that has one for all (window_all, broadcasts). */
int wr_store_set_one_key(struct wr_store *s);
/* No current key: state access is an error (S12). */
void wr_store_unset_key(struct wr_store *s);
int wr_store_has_key(const struct wr_store *s);
/* Canonical bytes of the current key; NULL without one. */
const uint8_t *wr_store_key(const struct wr_store *s, uint32_t *len);
/* The namespace for the following calls; len 0 = the empty one. Bytes are copied. */
int wr_store_set_namespace(struct wr_store *s, const uint8_t *ns, uint32_t len);
const uint8_t *wr_store_namespace(const struct wr_store *s, uint32_t *len);

/* Every kind of state and every timer belongs to one namespace of its key: key and namespace together are
 * the address, so the same state has a value of its own in each. For windows: 16 bytes (start, end) or 8.
 * An entry costs about 130 bytes; where a key has many small panes one value with all of them is cheaper. */

/* Clears all states of the current key and namespace; its timers stay. */
void wr_state_clear_all(struct wr_store *s);
/* The value in another namespace of the current key; NULL = empty or expired. */
const struct wr_sval *wr_state_peek(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len);
/* Moves what `state` holds in namespace `ns` of the current key into the current namespace: a list behind
 * the elements that are there, a map over its entries, a value if there is none. `ns` is empty afterwards.
 * WR_OK; WR_AGAIN: both hold a value and nothing was moved (combine them: wr_state_peek, wr_state_put);
 * WR_EUSER: a list beyond its limit; WR_EFATAL. */
int wr_state_merge(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len);

/* Value states, and the accumulator of reducing and aggregating states. NULL = empty or expired. */
const struct wr_sval *wr_state_get(struct wr_store *s, uint32_t state);
/* Room for a value of `len` bytes (a multiple of 8) of `shape`, replacing the old one; the caller fills
 * the body at once. Same length and shape: the same place. NULL with the error set when memory is gone. */
uint8_t *wr_state_put(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len);
/* As wr_state_put, but keeps the old body if length and shape agree (update in place); *fresh = 1 if not, or
 * WR_STATE_RESHAPED where the old body of the same length, at most 32 bytes, was one of another shape: it is
 * still there to be read. */
enum { WR_STATE_RESHAPED = 2 };
uint8_t *wr_state_update(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh);
/* The value that is there, for changing its body in place; NULL: empty or expired, or memory is gone. */
struct wr_sval *wr_state_edit(struct wr_store *s, uint32_t state);
/* Clears value, list or map of the current key and namespace. */
void wr_state_clear(struct wr_store *s, uint32_t state);

/* List states, in the order of adding. */
uint8_t *wr_list_add(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len);
uint32_t wr_list_count(struct wr_store *s, uint32_t state);
/* Next value behind *cursor (start with 0); NULL at the end. Not valid across writes to the list. */
const struct wr_sval *wr_list_next(struct wr_store *s, uint32_t state, uint64_t *cursor);

/* Map states; user keys as canonical key bytes. wr_map_next gives entries in an order that is stable as
 * long as the map does not change; removing the entry just given is allowed. */
const struct wr_sval *wr_map_get(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len);
uint8_t *wr_map_put(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t klen, uint32_t shape,
		    uint32_t len);
int wr_map_remove(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len); /* 1 = was there */
uint32_t wr_map_count(struct wr_store *s, uint32_t state); /* live entries: expired ones do not count */
const struct wr_sval *wr_map_next(struct wr_store *s, uint32_t state, uint64_t *cursor, const uint8_t **key,
				  uint32_t *klen);
/* Makes the next (key, namespace) the current one, in no order; start with *cursor = 0. 1, 0 at the end, or
 * WR_EFATAL. Keys may be changed and removed on the way, but a key that is added may be met or not. */
int wr_store_next(struct wr_store *s, uint64_t *cursor);

#ifndef WR_CDEF
#include <stdbool.h>
#include "base/clock.h"
#include "record/key.h"

enum wr_state_kind { WR_STATE_VALUE, WR_STATE_LIST, WR_STATE_MAP, WR_STATE_REDUCING, WR_STATE_AGGREGATING };
enum wr_ttl_update { WR_TTL_ON_WRITE, WR_TTL_ON_READ_AND_WRITE };
enum { WR_FROZEN_MAX = 3 };
#define WR_ALL_GROUPS UINT32_MAX

struct wr_state_desc {
	const char *name; /* the contract: unique in the operator */
	enum wr_state_kind kind;
	int64_t ttl_ms; /* 0 = none */
	enum wr_ttl_update ttl_update;
	bool ttl_return_expired; /* give an expired value once more until it is cleaned up */
	uint32_t version;	 /* of the declaration, less 1: for those who save and restore */
};

struct wr_store_options {
	const char *operator_uid;
	const struct wr_state_desc *states; /* copied */
	uint32_t state_count;
	uint32_t max_parallelism;
	uint32_t group_first, group_last; /* key groups owned; others assert in debug builds */
	struct wr_mem *mem;		  /* account */
	const struct wr_backend *backend; /* NULL: memory */
	struct wr_spill *spill;		  /* what the backend rocksdb needs (tiered/spill.h); borrowed */
};

/* Empty state in the backend of the options; NULL with the error set. */
struct wr_store *wr_store_new(const struct wr_store_options *options);
void wr_store_free(struct wr_store *s);
/* WR_EFATAL once memory was refused to any call, also to one that has no answer (a value that was to be
 * cleared is still there): looked at after a batch, and the task fails. */
int wr_store_status(const struct wr_store *s);
/* Processing time for TTL, in ms; set before a batch. Also the edge at which versions that are closed give
 * back what they held and expired state is removed, a few entries at a time: no key is current afterwards. */
void wr_store_set_now(struct wr_store *s, int64_t now_ms);
/* Starts to fetch the cache lines of keys that will be set soon, so that their misses overlap. */
void wr_store_prefetch(struct wr_store *s, const struct wr_short_key *keys, uint32_t count);
/* The same for those who read a batch of rows: what is outside of memory for the keys of rows from p on is
 * fetched together, as far as there is room; asked again for rows that have been fetched, it does nothing.
 * Before wr_store_prefetch. */
void wr_store_fetch(struct wr_store *s, struct wr_keyer *k, const uint8_t *p, const uint8_t *end);
/* How often entries have left memory to make room for others. Between two wr_store_set_now, a value that
 * wr_state_edit gave stays where it is, for reading and writing, as long as this number does, its key gets no
 * other value of that state, no timer is taken and no version frozen. */
uint32_t wr_store_edges(const struct wr_store *s);
/* wr_state_update for each of `count` keys, in their order: bodies of `len` (at most 32) bytes that all stay
 * valid until the next call that can change anything. A key that comes twice is fresh once: the bodies are
 * to be filled in order. Any key may be the current one afterwards. WR_OK or WR_EFATAL. */
struct wr_update {
	uint8_t *body;
	int32_t fresh;
};
int wr_state_update_all(struct wr_store *s, uint32_t state, const struct wr_short_key *keys, uint32_t count,
			uint32_t shape, uint32_t len, struct wr_update *out);
/* As wr_store_set_key, and looks the entry up at once; `key` (of len > 0) is borrowed until the next key. */
void wr_store_set_short(struct wr_store *s, const struct wr_short_key *key);
/* Key of `row` by `keyer`, then as wr_store_set_key. WR_EUSER as wr_keyer_key. */
int wr_store_set_row(struct wr_store *s, struct wr_keyer *k, const struct wr_elem *row);

uint64_t wr_store_keys(const struct wr_store *s); /* entries: (key, namespace) pairs with state or timers */

/* A frozen version; reference-counted; any thread may read it. */
struct wr_frozen;
struct wr_bytes;
struct wr_frozen *wr_store_freeze(struct wr_store *s); /* NULL: WR_FROZEN_MAX open, or no memory */
/* The same for one who reads beside checkpoints: it leaves a place for them, and may be cancelled: reading
 * then ends with WR_ETRANSIENT. */
struct wr_frozen *wr_store_freeze_to_read(struct wr_store *s);
/* What is kept for versions that are closed goes, as with wr_store_set_now, a part of it at a time: 0 when
 * there is more. Nothing else changes. */
int wr_store_settle(struct wr_store *s);
/* Bound of the bytes that are kept for versions alone, in all stores of the process; beyond it readers are
 * cancelled, the youngest of a store first. Any thread. */
void wr_frozen_bound(int64_t bytes);
/* It is passed: whose checkpoint is being written does better not to change more. */
bool wr_frozen_full(void);
void wr_frozen_unref(struct wr_frozen *f);
int64_t wr_frozen_copied(const struct wr_frozen *f); /* bytes copied on behalf of this version so far */
/* Calls `each` for every live value of key group `group`, or of all in no order, in this version: key,
 * namespace, state index, user key (maps; NULL otherwise), position (lists), value, expiry stamp (0 = none).
 * Stops when it does not give WR_OK, and gives that. */
struct wr_state_item {
	const uint8_t *key, *ns, *map_key;
	uint32_t key_len, ns_len, map_key_len;
	uint32_t group; /* of the key */
	uint32_t state;
	uint32_t id; /* of the entry: see wr_frozen_changes; 0 = the backend has none */
	uint64_t position;
	int64_t stamp_ms;
	const struct wr_sval *value;
};
int wr_frozen_each(struct wr_frozen *f, uint32_t group,
		   int (*each)(const struct wr_state_item *item, void *arg), void *arg);
/* What has changed since an earlier version, as entries: each item belongs to one, whose number stays the
 * same as long as it is there, and may then be that of another. The content of a version is that of the
 * earlier one without all that belongs to the entries that changed, and what belongs to them now. */
/* Tells versions of a store apart, and rises; 0: the backend cannot tell what has changed. */
uint32_t wr_frozen_epoch(const struct wr_frozen *f);
/* Appends the numbers (a uint32_t each, ascending) of all entries that have changed since the version with
 * epoch `since`, those that are gone included; *of: the largest number there is. WR_OK, WR_EFATAL, or WR_END:
 * it is too long ago to be known. */
int wr_frozen_changes(const struct wr_frozen *f, uint32_t since, struct wr_bytes *ids, uint32_t *of);
/* As wr_frozen_each, for what belongs to these entries, which have changed since then. */
int wr_frozen_each_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
		      int (*each)(const struct wr_state_item *item, void *arg), void *arg);
/* The way back: puts one such value into a store whose owner is the caller; elements of a list in their
 * order. The item's key, namespace and state become the store's current ones. WR_OK, WR_EUSER: a list beyond
 * its limit, or WR_EFATAL. */
int wr_store_load(struct wr_store *s, const struct wr_state_item *item);
#endif
#endif
