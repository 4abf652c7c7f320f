/* SPDX-License-Identifier: Apache-2.0 */
/* store_priv: how the memory backend lies in memory; seen by state/ only.
 *
 *   index ─(tag, id)→ entry in a chunk ─→ cells, one per state: small values inside, others in blocks
 *
 * An entry is one (key, namespace), or one (key, namespace, map state, user key): entries of
 * a map are chained from their owner's cell, so a map of three and one of ten million work
 * alike. Chunks and blocks carry the epoch in which they were made: what is older than the
 * current epoch may be seen by a frozen version and is copied before its first change.
 */
#pragma once
#include "state/index.h"
#include "state/store.h"
#include "state/timers.h"

enum {
	CHUNK_ENTRIES = 512,
	KEY_INLINE = 24,
	CELL_INLINE = 24,
	NONE = 0, /* entry id 0 is none */
};

/* A body outside its cell, or the elements of a list: immutable once it is older than the epoch. */
struct block {
	uint32_t epoch;
	uint32_t cap; /* bytes behind this header */
	struct block *retired;
	uint32_t retired_epoch;
	uint32_t used; /* lists: bytes of elements; else of the value */
	uint8_t data[];
};

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

enum { ENTRY_FREE = 0, ENTRY_KEY = 1, ENTRY_MAP = 2 };

struct entry {
	uint64_t hash;	 /* of the key: decides the key group */
	uint32_t lookup; /* tag in the index, of the whole address */
	uint32_t key_len, ns_len;
	uint16_t kind, state; /* ENTRY_MAP: the map's state */
	union {
		uint8_t inside[KEY_INLINE];
		struct block *address; /* key, then namespace or user key */
	};
	uint32_t next, prev, owner; /* ENTRY_MAP: the chain; free: next free */
	uint32_t timers;
	int64_t timer_last[2]; /* last registered time: re-registering it costs nothing */
	struct cell cells[];
};

struct chunk {
	_Atomic uint32_t refs; /* the store and every frozen version that names it */
	_Alignas(64) uint8_t entries[];
};
/* The owner's view: the epoch beside the pointer, since a look into the chunk's head is a cache miss. */
struct chunk_slot {
	struct chunk *chunk;
	uint32_t epoch;
};

struct timers;

struct wr_store {
	struct wr_mem *mem;
	struct wr_state_desc *states;
	uint32_t state_count;
	uint32_t entry_size;
	uint32_t max_parallelism, group_first, group_last;
	char *uid;
	int64_t now_ms;

	struct index index; /* by lookup tag */

	struct chunk_slot *chunks;
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

	uint32_t epoch;
	struct wr_frozen *frozen[WR_FROZEN_MAX];
	uint32_t frozen_count;
	struct block *retired;
	uint32_t expire_at; /* cursor of the background cleanup */

	struct timers *timers[2];
};

static inline struct entry *entry_in(struct chunk *c, uint32_t id, uint32_t size)
{
	return (struct entry *)(c->entries + (size_t)(id % CHUNK_ENTRIES) * size);
}
/* For reading. */
static inline struct entry *entry_at(const struct wr_store *s, uint32_t id)
{
	return entry_in(s->chunks[id / CHUNK_ENTRIES].chunk, id, s->entry_size);
}
static inline const uint8_t *entry_key(const struct entry *e)
{
	return e->key_len + e->ns_len <= KEY_INLINE ? e->inside : e->address->data;
}
/* The index goes by the high half of the hash: the low bits decide the key group and are alike in one
 * subtask. */
static inline uint32_t wr_lookup_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* A block of the current epoch; NULL when memory is gone. Dropping keeps it while a version may see it. */
struct block *wr_block_new(struct wr_store *s, uint32_t cap);
void wr_block_drop(struct wr_store *s, struct block *b);

/* Id of the entry with this address, or NONE. Map entries: `key` is the user key, `tail` is empty. */
uint32_t wr_entry_find(const struct wr_store *s, uint32_t tag, uint16_t kind, uint16_t state, uint32_t owner,
		       const uint8_t *key, uint32_t key_len, const uint8_t *tail, uint32_t tail_len);
/* A fresh entry with its address, not yet in the index; NONE when memory is gone. */
uint32_t wr_entry_new(struct wr_store *s, const uint8_t *key, uint32_t key_len, const uint8_t *tail,
		      uint32_t tail_len);
void wr_entry_free(struct wr_store *s, uint32_t id);

/* S6: inclusive, and safe against overflow. */
bool wr_expired(const struct wr_store *s, uint32_t state, int64_t stamp_ms);
const struct wr_sval *wr_cell_value(const struct cell *c);
/* Empties a cell of an owned entry. */
void wr_cell_clear(struct wr_store *s, struct cell *c);
/* The value of an entry under its TTL: NULL when empty or expired. */
const struct wr_sval *wr_entry_get(struct wr_store *s, uint32_t id, uint32_t cell, uint32_t state);
/* Room for a body in an owned cell. With `fresh` the old bytes stay when length and shape agree (*fresh = 0).
 */
uint8_t *wr_cell_put(struct wr_store *s, struct cell *c, uint32_t shape, uint32_t len, int32_t *fresh);
/* Gives up all entries of a map; and one of them. */
void wr_map_drop(struct wr_store *s, struct cell *c);
void wr_map_unlink(struct wr_store *s, uint32_t owner, uint32_t state, uint32_t id);

/* For writing: its chunk is of the current epoch afterwards. NULL when memory is gone. */
struct entry *wr_entry_own(struct wr_store *s, uint32_t id);
/* The entry of the current address; with `make` it is made. NONE: absent, or no memory. */
uint32_t wr_entry_current(struct wr_store *s, bool make);
/* Gives the entry up if it holds neither value nor timer. */
void wr_entry_release(struct wr_store *s, uint32_t id);
/* Makes the entry's address the current one. */
int wr_entry_select(struct wr_store *s, uint32_t id);

/* Gives back what closed versions held; owner's thread, at a batch edge. */
void wr_store_sweep(struct wr_store *s);

struct timers *wr_timers_new(struct wr_mem *mem);
void wr_timers_free(struct timers *t);
/* A flat copy of all timers of a kind for a frozen version: (entry id, time) pairs. */
struct timer_pair {
	uint32_t id;
	int64_t time_ms;
};
struct timer_pair *wr_timers_copy(struct wr_store *s, int kind, uint64_t *count);
