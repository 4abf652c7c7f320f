/* SPDX-License-Identifier: Apache-2.0 */
/* ref_table: keyed state as the engine's memory backend lays it out, without its freedoms.
 *
 *   index: tag << 32 | id, linear probing ─→ entries of 128 bytes in chunks of 512
 *
 * One state a key, of up to 24 bytes; keys of up to 24 canonical bytes; nothing is ever removed,
 * no epochs, no namespaces. Keys are handled a buffer at a time, so that the cache misses of
 * index and entry overlap: hash all, touch all index slots, touch all entries, then work.
 */
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "ref.h"

enum { CHUNK = 512, KEY_MAX = 24 };

struct entry {
	uint64_t hash;
	uint32_t lookup, key_len;
	uint8_t key[KEY_MAX];
	int64_t timer_last;
	uint8_t unused[32]; /* links and marks of the engine */
	uint32_t present, len, shape, pad;
	double value[3];
	int64_t stamp;
};
_Static_assert(sizeof(struct entry) == 128, "as the engine's entry with one state");

struct table {
	uint64_t *index, mask;
	struct entry **chunks;
	uint32_t used; /* ids 1..used */
};
struct key {
	uint64_t hash;
	uint32_t len;
	uint8_t bytes[KEY_MAX + 16]; /* canonical, padded with zeros to KEY_MAX */
};

static inline struct entry *entry_at(const struct table *t, uint32_t id)
{
	return &t->chunks[id / CHUNK][id % CHUNK];
}

static inline void key_number(struct key *k, double v)
{
	int64_t i = (int64_t)v;

	memset(k->bytes, 0, KEY_MAX);
	k->bytes[0] = 'i';
	memcpy(k->bytes + 1, &i, 8);
	k->len = 9;
	k->hash = XXH3_64bits(k->bytes, 9);
}
static inline void key_string(struct key *k, struct str s)
{
	memset(k->bytes, 0, KEY_MAX);
	k->bytes[0] = 's';
	k->bytes[1] = (uint8_t)s.len;
	memcpy(k->bytes + 2, s.p, s.len);
	k->len = s.len + 2;
	k->hash = XXH3_64bits(k->bytes, k->len);
}

static void table_grow(struct table *t)
{
	uint64_t slots = t->index ? (t->mask + 1) * 2 : 1024, mask = slots - 1;
	uint64_t *more = need(slots * 8);

	for (uint64_t i = 0; t->index && i <= t->mask; i++) {
		uint64_t at = t->index[i] >> 32 & mask;

		if (!t->index[i])
			continue;
		while (more[at])
			at = (at + 1) & mask;
		more[at] = t->index[i];
	}
	free(t->index);
	t->index = more;
	t->mask = mask;
}

static inline struct table *table_new(uint64_t keys_max)
{
	struct table *t = need(sizeof *t);

	t->chunks = need((keys_max / CHUNK + 2) * sizeof *t->chunks);
	table_grow(t);
	return t;
}

static inline void table_touch_index(const struct table *t, const struct key *k)
{
	__builtin_prefetch(&t->index[k->hash >> 32 & t->mask]);
}
static inline void table_touch_entry(const struct table *t, const struct key *k)
{
	uint64_t slot = t->index[k->hash >> 32 & t->mask];

	if (slot) {
		__builtin_prefetch(entry_at(t, (uint32_t)slot));
		__builtin_prefetch((char *)entry_at(t, (uint32_t)slot) + 64);
	}
}

static struct entry *table_add(struct table *t, uint64_t at, const struct key *k)
{
	uint32_t id = ++t->used;
	struct entry *e;

	if (!t->chunks[id / CHUNK])
		t->chunks[id / CHUNK] = need(CHUNK * sizeof *e);
	e = entry_at(t, id);
	e->hash = k->hash;
	e->lookup = (uint32_t)(k->hash >> 32);
	e->key_len = k->len;
	e->timer_last = INT64_MIN;
	memcpy(e->key, k->bytes, KEY_MAX);
	t->index[at] = k->hash >> 32 << 32 | id;
	if ((uint64_t)t->used * 2 > t->mask)
		table_grow(t);
	return e;
}

static inline struct entry *table_get(struct table *t, const struct key *k)
{
	uint64_t at = k->hash >> 32 & t->mask;

	for (; t->index[at]; at = (at + 1) & t->mask) {
		struct entry *e = entry_at(t, (uint32_t)t->index[at]);

		if (t->index[at] >> 32 == k->hash >> 32 && e->key_len == k->len &&
		    !memcmp(e->key, k->bytes, KEY_MAX))
			return e;
	}
	return table_add(t, at, k);
}

/* Hashes the keys of a buffer and brings their entries near. */
static inline void table_touch(const struct table *t, const struct key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		table_touch_index(t, &keys[i]);
	for (uint32_t i = 0; i < count; i++)
		table_touch_entry(t, &keys[i]);
}
