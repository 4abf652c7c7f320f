/* SPDX-License-Identifier: Apache-2.0 */
/* memory: the memory backend, how it lies in memory; seen by state/ and tiered/ only.
 *
 *   index ─(tag, id)→ entry in a chunk ─→ cells, one per state: small values inside, others in blocks
 *
 * An entry is one (key, namespace), or one (key, namespace, map state, user key): entries of
 * a map are chained from their owner's cell, so a map of three and one of ten million work
 * alike. An entry also holds its timers, so that whoever has the entry has them.
 *
 * Chunks and blocks carry the epoch in which they were made: what is not newer than the newest
 * open version may be seen by it and is copied before its first change. A chunk that was copied
 * stays reachable as `older` of its copy, and gone things wait until no open version sees them.
 * Freezing itself touches nothing of this.
 *
 * Entries and chunks carry the epoch of their last change, too. One that has changed in this epoch is no
 * version's, so that the way of all further changes is short; and two versions differ in the entries that
 * have changed between them: an id that is given up and given out again says so for both its keys.
 */
#pragma once
#include <stdatomic.h>
#include <string.h>
#include "state/backend.h"
#include "state/index.h"

enum {
	CHUNK_ENTRIES = 16, /* copied at the first change of one of them while a version is open */
	KEY_INLINE = 24,
	CELL_INLINE = 32,
	NONE = 0, /* entry id 0 is none */
};

/* A body outside its cell, or the elements of a list: immutable once it is older than the epoch. */
struct block {
	uint32_t epoch;
	uint32_t cap; /* bytes behind this header */
	struct block *retired;
	uint32_t retired_epoch;
	uint32_t used; /* lists: bytes of elements; timers: times before the first; else of the value */
	uint8_t data[];
};
_Static_assert(sizeof(struct block) % 8 == 0, "times and pointers lie in blocks");

enum cell_kind { CELL_EMPTY, CELL_INSIDE, CELL_BLOCK, CELL_LIST, CELL_MAP };

struct cell {
	uint32_t kind;
	uint32_t count;	     /* lists and maps: elements */
	int64_t stamp_ms;    /* last access, when the state has a TTL */
	uint32_t len, shape; /* CELL_INSIDE: this and `body` are a wr_sval */
	union {
		uint8_t body[CELL_INLINE];
		struct block *block;
		struct {
			uint32_t first, last; /* chain of map entries */
		} map;
	};
};

/* ENTRY_MAP + n: an entry of the map that is state n. */
enum { ENTRY_FREE = 0, ENTRY_KEY = 1, ENTRY_MAP = 2 };

/* Of an entry of a store with a lower one (tiered/tiered.h). */
enum { WALKS = 2 };
enum { UNTOUCHED, IN_USE, CHOSEN };
struct mark {
	uint8_t touched;    /* used lately, or not and chosen to leave memory */
	uint8_t stored;	    /* something of it is there */
	uint8_t met[WALKS]; /* by which walks through all keys */
};

/* What is needed to find an entry lies in its first cache line. */
struct entry {
	uint64_t hash; /* of the key: decides the key group */
	uint32_t key_len;
	uint16_t ns_len, kind;
	union {
		uint8_t inside[KEY_INLINE]; /* padded with zeros */
		struct block *address;	    /* key, then namespace or user key */
	};
	union {
		struct {
			uint32_t timers[2]; /* number of timers of each kind */
			union timer_set {
				int64_t time_ms;     /* of the only one */
				struct block *times; /* of more: int64_t each, ascending */
			} timer[2];
		};
		struct {
			uint32_t next, prev, owner; /* ENTRY_MAP: the chain; free: next free */
		};
	};
	/* the second line, in which the first state is, too */
	uint32_t changed; /* epoch of the last change */
	uint32_t lookup;  /* tag in the index, of the whole address */
	struct cell cells[];
};
_Static_assert(sizeof(struct entry) == 72, "an entry with one state is two cache lines");

struct chunk {
	struct chunk *older; /* content before it was copied; kept while a version sees it */
	struct chunk *retired;
	uint32_t epoch, retired_epoch;
	uint32_t changed;		/* epoch of the last change of one of the entries */
	_Alignas(64) uint8_t entries[]; /* with a lower store their numbers behind them, uint32_t each */
};

struct timers;
struct memory;

/* Where entries are that memory does not hold (tiered/tiered.h); the memory backend has none. */
struct lower {
	/* Brings the entry of this address into memory, if it is there: its id, or NONE. Nobody else's entry
	 * moves; the current key stays what it is. */
	uint32_t (*fetch)(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
			  uint32_t ns_len);
	/* The entry of a key: there is a new one; one changes for the first time in this epoch; one ends. */
	void (*added)(struct memory *s, uint32_t id);
	void (*changed)(struct memory *s, uint32_t id);
	void (*ended)(struct memory *s, uint32_t id);
};

struct memory {
	struct wr_store base;
	struct wr_mem *mem;
	struct wr_state_desc *states;
	uint32_t state_count;
	uint32_t entry_size;
	uint32_t chunk_size; /* bytes behind the head of a chunk */
	uint32_t max_parallelism, group_first, group_last;
	char *uid;
	int64_t now_ms;

	struct index index; /* by lookup tag */

	struct block *chunk_table; /* of chunk pointers: versions read it while the owner replaces them */
	_Atomic(struct chunk *) *chunks; /* its data */
	uint32_t chunk_count, chunk_cap;
	uint32_t used; /* ids given out: 1..used */
	uint32_t free; /* chain of free ids */
	uint64_t keys; /* live ENTRY_KEY entries */

	/* current key */
	bool has_key;
	uint64_t hash;
	const uint8_t *key; /* key, then namespace: in key_room, or borrowed (wr_store_set_short) */
	uint8_t *key_room;
	uint32_t key_len, ns_len, key_cap;
	uint32_t current; /* id, NONE = absent or not looked up */
	bool looked_up;

	uint32_t epoch;	      /* from 1 */
	uint32_t newest_open; /* epoch of the newest open version, 0 = none is open */
	struct memory_frozen *frozen[WR_FROZEN_MAX];
	uint32_t frozen_count;
	struct { /* oldest first */
		struct block *first, **last;
	} retired;
	struct {
		struct chunk *first, **last;
	} retired_chunks;
	struct chunk *spare; /* for the next copies, by `older`: their pages are there already */
	struct slab *slabs;  /* the newest first; none in stores with a lower one */
	bool outside;	     /* an entry may hold blocks */
	bool has_ttl;
	bool failed;	    /* memory was refused */
	uint32_t expire_at; /* cursor of the background cleanup */

	struct timers *timers[2];

	const struct lower *lower; /* NULL: none */
	struct mark *marks;	   /* with a lower one: by id */
};

static inline struct memory *memory_of(const struct wr_store *s)
{
	return (struct memory *)s;
}
static inline struct entry *entry_in(struct chunk *c, uint32_t id, uint32_t size)
{
	return (struct entry *)(c->entries + (size_t)(id % CHUNK_ENTRIES) * size);
}
/* For reading. */
static inline struct entry *entry_at(const struct memory *s, uint32_t id)
{
	return entry_in(atomic_load_explicit(&s->chunks[id / CHUNK_ENTRIES], memory_order_relaxed), id,
			s->entry_size);
}
static inline const uint8_t *entry_key(const struct entry *e)
{
	return e->key_len + e->ns_len <= KEY_INLINE ? e->inside : e->address->data;
}
/* The number by which the lower store knows the entry of a key, 0 = none; for writing in an owned chunk. */
static inline uint32_t *number_in(struct chunk *c, uint32_t id, uint32_t size)
{
	return (uint32_t *)(c->entries + (size_t)CHUNK_ENTRIES * size) + id % CHUNK_ENTRIES;
}
static inline uint32_t *number_at(const struct memory *s, uint32_t id)
{
	return number_in(atomic_load_explicit(&s->chunks[id / CHUNK_ENTRIES], memory_order_relaxed), id,
			 s->entry_size);
}
/* The index goes by the high half of the hash: the low bits decide the key group and are alike in one
 * subtask. */
static inline uint32_t wr_lookup_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* Whether a change in place would be seen by an open version. */
static inline bool wr_shared(const struct memory *s, uint32_t epoch)
{
	return epoch <= s->newest_open;
}

/* Entries of short keys compare as three words: `inside` is zero behind the key. */
static inline uint32_t find_short(const struct memory *s, const struct wr_short_key *key)
{
	uint32_t tag = wr_lookup_tag(key->hash);
	struct index_table t = wr_index_table(&s->index, tag);

	for (uint64_t at = tag & t.mask; t.slots[at]; at = (at + 1) & t.mask) {
		const struct entry *e;

		if ((uint32_t)(t.slots[at] >> 32) != tag)
			continue;
		e = entry_at(s, (uint32_t)t.slots[at]);
		if (e->key_len == key->len && e->ns_len == 0 && e->kind == ENTRY_KEY &&
		    memcmp(e->inside, key->bytes, KEY_INLINE) == 0)
			return (uint32_t)t.slots[at];
	}
	return NONE;
}

/* A block of the current epoch; NULL when memory is gone. Dropping keeps it while a version may see it. */
struct block *wr_block_new(struct memory *s, uint32_t cap);
void wr_block_drop(struct memory *s, struct block *b);

/* Id of the entry with this address, or NONE. Map entries: `key` is the user key, `tail` is empty. */
uint32_t wr_entry_find(const struct memory *s, uint32_t tag, uint16_t kind, uint32_t owner,
		       const uint8_t *key, uint32_t key_len, const uint8_t *tail, uint32_t tail_len);
/* A fresh entry with its address, not yet in the index; NONE when memory is gone. */
uint32_t wr_entry_new(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *tail,
		      uint32_t tail_len);
void wr_entry_free(struct memory *s, uint32_t id);
/* Takes back an entry that did not get into the index. */
void wr_entry_unmake(struct memory *s, uint32_t id);

/* S6: inclusive, and safe against overflow. */
bool wr_expired(const struct memory *s, uint32_t state, int64_t stamp_ms);
const struct wr_sval *wr_cell_value(const struct cell *c);
/* Empties a cell of an owned entry. */
void wr_cell_clear(struct memory *s, struct cell *c);
/* The value of an entry under its TTL: NULL when empty or expired. */
const struct wr_sval *wr_entry_get(struct memory *s, uint32_t id, uint32_t cell, uint32_t state);
/* Room for a body in an owned cell. With `fresh` the old bytes stay when length and shape agree (*fresh = 0).
 */
uint8_t *wr_cell_put(struct memory *s, struct cell *c, uint32_t shape, uint32_t len, int32_t *fresh);
/* Leaves the expired elements of a list out; all of them gone, its cell is empty. */
int wr_list_expire(struct memory *s, uint32_t id, uint32_t state);
/* Gives up all entries of a map; and one of them. */
void wr_map_drop(struct memory *s, struct cell *c);
void wr_map_unlink(struct memory *s, uint32_t owner, uint32_t state, uint32_t id);

struct entry *wr_entry_change(struct memory *s, uint32_t id);
/* For writing: no open version sees its chunk afterwards, and it counts as changed. NULL when memory is gone.
 * Not for an id that was never given out. */
static inline struct entry *wr_entry_own(struct memory *s, uint32_t id)
{
	struct entry *e = entry_at(s, id);

	return WR_LIKELY(e->changed == s->epoch) ? e : wr_entry_change(s, id);
}
/* A fresh entry in the index, of an address that has none; NONE when memory is gone. */
uint32_t wr_entry_add(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
		      uint32_t ns_len, uint64_t hash);
/* Tag of an address in the index; `hash` is the key's. */
uint32_t wr_entry_tag(uint64_t hash, const uint8_t *ns, uint32_t ns_len);
/* The entry of the current key in a namespace, NONE: absent. */
uint32_t wr_entry_at(struct memory *s, const uint8_t *ns, uint32_t ns_len);
/* The entry of the current address; with `make` it is made. NONE: absent, or no memory. */
uint32_t wr_entry_look(struct memory *s, bool make);
static inline uint32_t wr_entry_current(struct memory *s, bool make)
{
	return WR_LIKELY(s->looked_up && (s->current || !make)) ? s->current : wr_entry_look(s, make);
}
/* Gives the entry up if it holds neither value nor timer. */
void wr_entry_release(struct memory *s, uint32_t id);
/* Makes the entry's address the current one. */
int wr_entry_select(struct memory *s, uint32_t id);

/* Bytes copied on behalf of the newest open version. */
void wr_frozen_count(struct memory *s, int64_t bytes);
/* What only versions see still moves to the account of those, until it is freed. */
void wr_block_retire(struct memory *s, struct block *b);
void wr_chunk_retire(struct memory *s, struct chunk *c);
/* Room for a new chunk or a copy: the content is undefined. NULL when memory is gone. */
struct chunk *wr_chunk_room(struct memory *s);
/* Takes back what `wr_chunk_room` gave. */
void wr_chunk_give(struct memory *s, struct chunk *c);
/* All of them, those in use as well. */
void wr_chunks_free(struct memory *s);
static inline int64_t wr_chunk_bytes(const struct memory *s)
{
	return (int64_t)(sizeof(struct chunk) + s->chunk_size);
}
/* Gives back about `most` bytes of what closed versions held; false: there is more. Owner's thread, at a
 * batch edge. */
enum { GIVEN_A_BATCH = 1 << 20 };
bool wr_memory_sweep(struct memory *s, int64_t most);

struct timers *wr_timers_new(struct wr_mem *mem);
void wr_timers_free(struct timers *t);
/* False: there is none. */
bool wr_timers_any(const struct timers *t);
/* Gives up the blocks of an entry's timers; the store is freed. */
void wr_timers_drop(struct memory *s, struct entry *e);
/* Takes all timers of an entry out, also out of their order. */
int wr_timers_clear(struct memory *s, uint32_t id);
/* The n-th time of a kind, ascending. */
static inline int64_t timer_at(const struct entry *e, uint32_t kind, uint32_t n)
{
	int64_t time_ms = e->timer[kind].time_ms;

	if (e->timers[kind] > 1) {
		const struct block *b = e->timer[kind].times;

		memcpy(&time_ms, b->data + 8 * (size_t)(b->used + n), 8);
	}
	return time_ms;
}

/* A version, as readers go through it. */
struct memory_frozen {
	struct wr_frozen base;
	_Atomic uint32_t refs;	/* readers */
	_Atomic int64_t copied; /* bytes */
	bool reader;
	_Atomic bool cancelled;
	_Atomic(struct chunk *) *chunks;
	uint32_t entry_size, state_count, max_parallelism, used, epoch;
	bool timers; /* there may be some */
};
/* WR_OK, or WR_ETRANSIENT: its reader was cancelled. */
int wr_memory_frozen_check(const struct memory_frozen *f);
static inline struct chunk *frozen_chunk(const struct memory_frozen *f, uint32_t number)
{
	struct chunk *c = atomic_load_explicit(&f->chunks[number], memory_order_acquire);

	while (c->epoch > f->epoch)
		c = c->older;
	return c;
}
static inline const struct entry *frozen_entry(const struct memory_frozen *f, uint32_t id)
{
	return entry_in(frozen_chunk(f, id / CHUNK_ENTRIES), id, f->entry_size);
}

/* The account that a store of these options uses. */
struct wr_mem *wr_memory_account(const struct wr_store_options *options);
/* What new and free do with a struct of their own: WR_OK or WR_EFATAL; deinit is due in either case. */
int wr_memory_init(struct memory *s, const struct wr_store_options *options);
void wr_memory_deinit(struct memory *s);

/* The table of backend.h. */
struct wr_store *wr_memory_new(const struct wr_store_options *options);
void wr_memory_free(struct wr_store *s);
int wr_memory_update_all(struct wr_store *s, uint32_t state, const struct wr_short_key *keys, uint32_t count,
			 uint32_t shape, uint32_t len, struct wr_update *out);
int wr_memory_set_key(struct wr_store *s, const uint8_t *key, uint32_t len, uint64_t hash);
void wr_memory_set_short(struct wr_store *s, const struct wr_short_key *key);
void wr_memory_unset_key(struct wr_store *s);
int wr_memory_has_key(const struct wr_store *s);
const uint8_t *wr_memory_key(const struct wr_store *s, uint32_t *len);
int wr_memory_set_namespace(struct wr_store *s, const uint8_t *ns, uint32_t len);
const uint8_t *wr_memory_namespace(const struct wr_store *s, uint32_t *len);
void wr_memory_prefetch(struct wr_store *s, const struct wr_short_key *keys, uint32_t count);
const struct wr_sval *wr_memory_get(struct wr_store *s, uint32_t state);
uint8_t *wr_memory_put(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len);
uint8_t *wr_memory_update(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len, int32_t *fresh);
struct wr_sval *wr_memory_edit(struct wr_store *s, uint32_t state);
void wr_memory_clear(struct wr_store *s, uint32_t state);
void wr_memory_clear_all(struct wr_store *s);
const struct wr_sval *wr_memory_peek(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len);
int wr_memory_merge(struct wr_store *s, uint32_t state, const uint8_t *ns, uint32_t len);
uint8_t *wr_memory_list_add(struct wr_store *s, uint32_t state, uint32_t shape, uint32_t len);
uint32_t wr_memory_list_count(struct wr_store *s, uint32_t state);
const struct wr_sval *wr_memory_list_next(struct wr_store *s, uint32_t state, uint64_t *cursor);
const struct wr_sval *wr_memory_map_get(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len);
uint8_t *wr_memory_map_put(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t klen,
			   uint32_t shape, uint32_t len);
int wr_memory_map_remove(struct wr_store *s, uint32_t state, const uint8_t *key, uint32_t len);
uint32_t wr_memory_map_count(struct wr_store *s, uint32_t state);
const struct wr_sval *wr_memory_map_next(struct wr_store *s, uint32_t state, uint64_t *cursor,
					 const uint8_t **key, uint32_t *klen);
int wr_memory_timer_add(struct wr_store *s, uint32_t kind, int64_t time_ms);
void wr_memory_timer_remove(struct wr_store *s, uint32_t kind, int64_t time_ms);
int wr_memory_timer_next(struct wr_store *s, uint32_t kind, int64_t upto_ms, int64_t *time_ms);
int64_t wr_memory_timer_earliest(const struct wr_store *s, enum wr_timer_kind kind);
int64_t wr_memory_timer_latest(const struct wr_store *s, enum wr_timer_kind kind);
int wr_memory_status(const struct wr_store *s);
void wr_memory_set_now(struct wr_store *s, int64_t now_ms);
/* Looks at the next `entries` entries and removes what has expired; between batches. */
void wr_memory_expire(struct memory *s, uint32_t entries);
int wr_memory_next(struct wr_store *s, uint64_t *cursor);
uint64_t wr_memory_keys(const struct wr_store *s);
int wr_memory_settle(struct wr_store *s);
struct wr_frozen *wr_memory_freeze(struct wr_store *s, bool reader);
uint32_t wr_memory_frozen_epoch(const struct wr_frozen *f);
int wr_memory_frozen_changes(const struct wr_frozen *f, uint32_t since, struct wr_bytes *ids, uint32_t *of);
int wr_memory_frozen_each_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			     int (*each)(const struct wr_state_item *item, void *arg), void *arg);
int wr_memory_frozen_timers_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			       int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
void wr_memory_frozen_unref(struct wr_frozen *f);
int64_t wr_memory_frozen_copied(const struct wr_frozen *f);
int wr_memory_frozen_each(struct wr_frozen *f, uint32_t group,
			  int (*each)(const struct wr_state_item *item, void *arg), void *arg);
int wr_memory_frozen_timers(struct wr_frozen *f, uint32_t group,
			    int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
/* All items of the key's entry, with those of its maps, and its timers. */
int wr_memory_frozen_entry(const struct memory_frozen *f, uint32_t id,
			   int (*each)(const struct wr_state_item *item, void *arg), void *arg);
int wr_memory_frozen_entry_timers(const struct memory_frozen *f, uint32_t id,
				  int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
int wr_memory_load(struct wr_store *store, const struct wr_state_item *item);
/* The calls of that table that no disk behind memory changes: both backends have them. */
#define WR_MEMORY_CALLS                                                                                      \
	.set_key = wr_memory_set_key, .set_short = wr_memory_set_short, .unset_key = wr_memory_unset_key,    \
	.has_key = wr_memory_has_key, .key = wr_memory_key, .set_namespace = wr_memory_set_namespace,        \
	.namespace = wr_memory_namespace, .update_all = wr_memory_update_all, .get = wr_memory_get,          \
	.put = wr_memory_put, .update = wr_memory_update, .edit = wr_memory_edit, .clear = wr_memory_clear,  \
	.clear_all = wr_memory_clear_all, .peek = wr_memory_peek, .list_add = wr_memory_list_add,            \
	.list_count = wr_memory_list_count, .list_next = wr_memory_list_next,                                \
	.map_remove = wr_memory_map_remove, .map_count = wr_memory_map_count,                                \
	.timer_remove = wr_memory_timer_remove, .settle = wr_memory_settle
