/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: the keys of rows that are about to be worked on come into memory together, and which of them are
 * nowhere is remembered until entries leave memory; see tiered.h.
 *
 * Keys of a whole batch of rows are sorted before they are read: the library goes through files, filters and
 * indexes once for those that are neighbours there.
 *
 * The task's thread.
 */
#include <stdlib.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/element.h"
#include "tiered/tiered.h"

enum {
	AHEAD_ROWS = WR_DISK_GET_MAX, /* that are read together, */
	AHEAD_PART = 16,	      /* and entries of so much of the share */
	FEW_PART = 8,		      /* of keys that are missing, at which nothing is read ahead */
	FETCHED_MAX = 2 * AHEAD_ROWS, /* keys that are remembered */
	ABSENT_SLOTS = 4 * FETCHED_MAX,
};

struct place {
	uint64_t order;
	uint32_t at; /* of its key */
};

struct fetching {
	struct wr_short_key keys[FETCHED_MAX]; /* that memory had not */
	uint32_t count;
	bool any_absent;
	bool few;	/* of the last keys few were missing: those of rows to come are not looked for */
	uint32_t ahead; /* keys to come that have been looked for */
	const uint8_t *from, *upto, *end; /* their rows, of those up to `end` */
	struct place sorted[AHEAD_ROWS];
	struct wr_disk_bytes packed[AHEAD_ROWS];
	uint16_t absent[ABSENT_SLOTS]; /* by hash: 1 + the place of a key that is nowhere; 0 = none */
};

int wr_tiered_fetching_new(struct tiered *t)
{
	if (!t->fetching)
		t->fetching = wr_zalloc(t->m.mem, sizeof *t->fetching);
	return t->fetching ? WR_OK : WR_EFATAL;
}

/* ---- keys that are nowhere ---- */

void wr_tiered_forget_absent(struct tiered *t)
{
	struct fetching *f = t->fetching;

	if (!f)
		return;
	f->count = 0;
	if (f->any_absent)
		memset(f->absent, 0, sizeof f->absent);
	f->any_absent = false;
}

static void note_absent(struct fetching *f, uint32_t at)
{
	uint32_t slot = wr_lookup_tag(f->keys[at].hash) % ABSENT_SLOTS;

	while (f->absent[slot])
		slot = (slot + 1) % ABSENT_SLOTS;
	f->absent[slot] = (uint16_t)(1 + at);
	f->any_absent = true;
}

static bool known_absent(const struct fetching *f, uint64_t hash, const uint8_t *key, uint32_t len)
{
	for (uint32_t slot = wr_lookup_tag(hash) % ABSENT_SLOTS; f->absent[slot];
	     slot = (slot + 1) % ABSENT_SLOTS) {
		const struct wr_short_key *k = &f->keys[f->absent[slot] - 1];

		if (k->hash == hash && k->len == len && !memcmp(k->bytes, key, len))
			return true;
	}
	return false;
}

/* ---- many keys ---- */

/* Appends those that memory has not, and asks for the cache lines of the others. */
static void look(struct tiered *t, const struct wr_short_key *keys, uint32_t count)
{
	struct memory *s = &t->m;
	struct fetching *f = t->fetching;

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
		} else if (t->out && keys[i].len &&
			   !known_absent(f, keys[i].hash, keys[i].bytes, keys[i].len)) {
			f->keys[f->count++] = keys[i];
		}
	}
}

static int by_order(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->order > y->order) - (x->order < y->order);
}

static void absent(void *arg, uint32_t i)
{
	struct fetching *f = arg;

	note_absent(f, f->sorted[i].at);
}

/* As many entries as there is room for, but a group of keys in any case. */
static uint32_t room_for(const struct tiered *t)
{
	int64_t each = wr_tiered_in_use(t) / (int64_t)(t->m.keys + 1) + 1;
	int64_t count = t->share / AHEAD_PART / each;

	return count < WR_KEYS_MAX ? WR_KEYS_MAX : count > AHEAD_ROWS ? AHEAD_ROWS : (uint32_t)count;
}

/* Keys from `first` on come into memory, as far as there is room. */
static void bring_from(struct tiered *t, uint32_t first)
{
	struct fetching *f = t->fetching;
	uint32_t most = room_for(t), count = f->count - first < most ? f->count - first : most;
	struct wr_bytes *room = &t->rooms[0];
	size_t begin = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct wr_short_key *k = &f->keys[first + i];
		uint32_t group = wr_key_group(k->hash, t->m.max_parallelism);

		f->sorted[i] = (struct place){wr_packed_order(group, k->bytes, k->len), first + i};
	}
	qsort(f->sorted, count, sizeof *f->sorted, by_order);
	room->len = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct wr_short_key *k = &f->keys[f->sorted[i].at];

		wr_packed_put_key(room, wr_key_group(k->hash, t->m.max_parallelism), k->bytes, k->len, NULL,
				  0);
		f->packed[i].len = (uint32_t)(room->len - begin);
		begin = room->len;
	}
	if (room->failed || t->m.failed)
		return; /* they are fetched one by one */
	begin = 0;
	for (uint32_t i = 0; i < count; begin += f->packed[i++].len)
		f->packed[i].p = room->data + begin;
	wr_tiered_bring(t, f->packed, count, absent, f);
}

void wr_tiered_fetch_rows(struct wr_store *store, struct wr_keyer *k, const uint8_t *p, const uint8_t *end)
{
	struct tiered *t = tiered_of(store);
	struct fetching *f = t->fetching;
	struct wr_short_key keys[WR_KEYS_MAX];
	uint32_t first;

	if (!t->out || f->few || (f->end == end && p > f->from && p < f->upto))
		return;
	if (f->count + AHEAD_ROWS > FETCHED_MAX)
		wr_tiered_forget_absent(t);
	first = f->count;
	f->from = p;
	for (f->ahead = 0; p < end && f->ahead + WR_KEYS_MAX <= AHEAD_ROWS;) {
		uint32_t n = wr_keyer_keys(k, p, end, keys);

		look(t, keys, n);
		f->ahead += n;
		while (n--)
			p = (const uint8_t *)wr_elem_next((const struct wr_elem *)p);
	}
	f->upto = p;
	f->end = end;
	f->few = (f->count - first) * FEW_PART < f->ahead;
	if (f->count > first)
		bring_from(t, first);
}

void wr_tiered_prefetch(struct wr_store *store, const struct wr_short_key *keys, uint32_t count)
{
	struct tiered *t = tiered_of(store);
	struct fetching *f = t->fetching;
	uint32_t first = f ? f->count : 0;

	WR_ASSERT(count <= WR_KEYS_MAX);
	if (first + count > FETCHED_MAX) {
		wr_tiered_forget_absent(t);
		first = 0;
	}
	look(t, keys, count);
	if (!t->out)
		return;
	if (f->ahead)
		f->ahead -= count < f->ahead ? count : f->ahead;
	else
		f->few = (f->count - first) * FEW_PART < count;
	if (f->count > first)
		bring_from(t, first);
}

/* ---- one key ---- */

uint32_t wr_tiered_fetch(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
			 uint32_t ns_len)
{
	struct tiered *t = (struct tiered *)s;
	uint64_t hash = wr_key_hash(key, key_len);
	struct wr_bytes *room = &t->rooms[0];
	struct wr_disk_bytes packed;
	struct packed_key k;

	if (!t->out || s->failed || (!ns_len && known_absent(t->fetching, hash, key, key_len)))
		return NONE;
	room->len = 0;
	wr_packed_put_key(room, wr_key_group(hash, s->max_parallelism), key, key_len, ns, ns_len);
	packed = (struct wr_disk_bytes){room->data, (uint32_t)room->len};
	if (wr_bytes_status(room) != WR_OK || wr_packed_read_key(packed, &k) != WR_OK) {
		wr_tiered_fail(t);
		return NONE;
	}
	if (wr_tiered_bring(t, &packed, 1, NULL, NULL) != WR_OK)
		return NONE;
	return wr_tiered_in_memory(t, &k);
}
