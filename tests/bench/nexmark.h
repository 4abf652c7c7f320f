/* SPDX-License-Identifier: Apache-2.0 */
/* nexmark: what the references of the Nexmark queries share: events in blocks from the engine's own
 * generator (lite), maps, the checksum.
 *
 * A block is made as a whole before it is read, so that a query that reads two fields of a bid does not get
 * a generator that makes two fields of a bid. Strings are places in the pool and are not copied.
 */
#pragma once
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "nexmark/event.h"
#include "nexmark/person.h"

enum { GROUPS = 10, BLOCK = GROUPS * WR_NEXMARK_GROUP, AUCTIONS = 3, BIDS = 46 };

struct auction {
	int64_t id, initial_bid, ts, expires, seller, category;
};
struct person {
	int64_t id, ts;
	struct wr_nexmark_text city, state;
	uint32_t name_len, email_len, extra_at, extra_len;
	char name[24], email[24], card[24];
};
struct group {
	struct person person;
	struct auction auctions[AUCTIONS];
	struct wr_nexmark_bid bids[BIDS];
};
struct block {
	struct group groups[GROUPS];
};

static inline void *need(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

static inline double seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double now_s(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

static void __attribute__((noinline)) block_make(const struct wr_nexmark *x, uint64_t n, struct block *b)
{
	for (int g = 0; g < GROUPS; g++, n += WR_NEXMARK_GROUP) {
		struct group *to = &b->groups[g];
		int64_t person = wr_nexmark_last_person(n), auction = person * AUCTIONS + AUCTIONS - 1;
		struct wr_nexmark_person p;

		wr_nexmark_person(x, n, &p);
		to->person = (struct person){.id = p.id,
					     .ts = p.ts,
					     .city = p.city,
					     .state = p.state,
					     .name_len = p.name_len,
					     .email_len = p.email_len,
					     .extra_at = p.extra.at,
					     .extra_len = p.extra.len};
		memcpy(to->person.name, p.name, sizeof p.name);
		memcpy(to->person.email, p.email, sizeof p.email);
		memcpy(to->person.card, p.card, sizeof p.card);
		for (uint32_t i = 0; i < AUCTIONS; i++) {
			struct wr_nexmark_auction a;

			wr_nexmark_auction(x, n + 1 + i, true, &a);
			to->auctions[i] =
			    (struct auction){a.id, a.initial_bid, a.ts, a.expires, a.seller, a.category};
		}
		for (uint32_t i = 0; i < BIDS; i++)
			wr_nexmark_bid(x, n + 1 + AUCTIONS + i, person, auction, &to->bids[i]);
	}
}

/* ---- maps from a whole number to a place from 1 on; 0 is none ---- */

struct slot {
	int64_t key;
	uint32_t at;
};
struct map {
	struct slot *slots;
	uint64_t mask, used, seed;
};

static inline uint64_t map_home(const struct map *m, int64_t key)
{
	return (((uint64_t)key + m->seed) * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & m->mask;
}

static inline struct slot *map_find(const struct map *m, int64_t key)
{
	uint64_t i = map_home(m, key);

	while (m->slots[i].at && m->slots[i].key != key)
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

static inline struct map map_new(uint64_t seed)
{
	return (struct map){need(1024 * sizeof(struct slot)), 1023, 0, seed};
}

static void map_grow(struct map *m)
{
	struct map more = {need((m->mask + 1) * 2 * sizeof(struct slot)), m->mask * 2 + 1, m->used, m->seed};

	for (uint64_t i = 0; i <= m->mask; i++)
		if (m->slots[i].at)
			*map_find(&more, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = more;
}

static inline uint32_t map_get(const struct map *m, int64_t key)
{
	return map_find(m, key)->at;
}

static inline void map_put(struct map *m, int64_t key, uint32_t at)
{
	struct slot *s = map_find(m, key);

	m->used += !s->at;
	*s = (struct slot){key, at};
	if (m->used * 2 > m->mask)
		map_grow(m);
}

/* Slots behind it move up, so that no gap cuts them off. */
static inline void map_remove(struct map *m, int64_t key)
{
	uint64_t gap = (uint64_t)(map_find(m, key) - m->slots);

	if (!m->slots[gap].at)
		return;
	for (uint64_t i = (gap + 1) & m->mask; m->slots[i].at; i = (i + 1) & m->mask) {
		if (((i - map_home(m, m->slots[i].key)) & m->mask) >= ((i - gap) & m->mask)) {
			m->slots[gap] = m->slots[i];
			gap = i;
		}
	}
	m->slots[gap].at = 0;
	m->used--;
}

static inline void map_clear(struct map *m)
{
	memset(m->slots, 0, (m->mask + 1) * sizeof *m->slots);
	m->used = 0;
}

/* Room for one more of `size` bytes at index `count`; index 0 is never used. */
static inline void *grown(void *list, uint32_t count, size_t size)
{
	if (count & (count - 1))
		return list;
	list = realloc(list, (count ? 2 * (size_t)count : 2) * size);
	if (!list) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return list;
}

/* ---- the checksum ---- */

struct sum {
	uint64_t rows, sum;
};

static inline uint64_t mixed(uint64_t h, int64_t v)
{
	h ^= (uint64_t)v * UINT64_C(0x9e3779b97f4a7c15);
	return (h << 27 | h >> 37) * UINT64_C(0xbf58476d1ce4e5b9);
}

static inline uint64_t hash3(uint64_t query, int64_t a, int64_t b, int64_t c)
{
	uint64_t h = mixed(mixed(mixed(query, a), b), c);

	return h ^ h >> 29;
}

static inline void add(struct sum *s, uint64_t h)
{
	s->rows++;
	s->sum += h ^ h >> 29;
}

static inline int64_t text_hash(const char *p, uint32_t len)
{
	uint32_t h = 0;

	for (uint32_t i = 0; i < len; i++)
		h = 31 * h + (uint8_t)p[i];
	return (int32_t)h;
}
