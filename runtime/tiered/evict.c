/* SPDX-License-Identifier: Apache-2.0 */
/* evict: entries on their way between memory and the disk; see tiered.h. */
#include "tiered/tiered.h"

#include <stdlib.h>
#include "base/error.h"

enum {
	LEAVING_MIN = 4096, /* entries that are chosen at a time: .. */
	LEAVING_MAX = 1 << 16,
	LEAVING_SHARE = 32,    /* .. what they take of the share, */
	LEAVING_PART = 4,      /* .. and how many they are of those in memory */
	SLACK_PART = 32,       /* of the share, below which eviction stops */
	SLACK_MAX = 1 << 20,   /* bytes */
	MAP_PART = 8,	       /* of the share: an entry with a map larger than that stays */
	MAP_ANYWAY = 64 << 10, /* bytes of a map that never stay for that */
	NEAR = 4	       /* entries that come near before they leave */
};

int wr_tiered_fail(struct tiered *t)
{
	if (!t->why)
		t->why = wr_strdup(t->m.mem, wr_error_text());
	t->m.failed = true;
	return WR_EFATAL;
}

int wr_tiered_write(struct tiered *t)
{
	if (!t->pending)
		return WR_OK;
	t->pending = false;
	return t->fn->write(t->disk) == WR_OK ? WR_OK : wr_tiered_fail(t);
}

static struct wr_disk_bytes bytes_of(const struct wr_bytes *b)
{
	return (struct wr_disk_bytes){b->data, (uint32_t)b->len};
}

/* Packs the entry's address into t->key, behind `front`. */
static void pack_key(struct tiered *t, const struct entry *e)
{
	const uint8_t *key = entry_key(e);

	wr_packed_put_key(&t->key, wr_key_group(e->hash, t->m.max_parallelism), key, e->key_len,
			  key + e->key_len, e->ns_len);
}

/* ---- entries that begin, change and end, wherever they are ---- */

void wr_tiered_added(struct memory *s, uint32_t id)
{
	struct tiered *t = (struct tiered *)s;
	uint32_t number = t->moving || s->has_ttl ? 0 : wr_changes_number(&t->changes);

	*number_at(s, id) = number;
	if (t->moving || s->has_ttl)
		return;
	if (!number || wr_changes_note(&t->changes, number) != WR_OK)
		wr_tiered_fail(t);
}

void wr_tiered_changed(struct memory *s, uint32_t id)
{
	struct tiered *t = (struct tiered *)s;
	uint32_t number = *number_at(s, id);

	if (number && !t->moving && wr_changes_note(&t->changes, number) != WR_OK)
		wr_tiered_fail(t);
}

static void forget(struct tiered *t, const struct entry *e)
{
	t->key.len = 0;
	pack_key(t, e);
	if (wr_bytes_status(&t->key) != WR_OK) {
		wr_tiered_fail(t);
		return;
	}
	t->fn->remove(t->disk, WR_DISK_ENTRIES, bytes_of(&t->key));
	t->pending = true;
}

void wr_tiered_ended(struct memory *s, uint32_t id)
{
	struct tiered *t = (struct tiered *)s;
	uint32_t *number = number_at(s, id);

	if (!t->moving && s->marks[id].stored)
		forget(t, entry_at(s, id));
	if (!t->moving && *number && wr_changes_end(&t->changes, *number) != WR_OK)
		wr_tiered_fail(t);
	*number = 0;
}

/* ---- timers: rows on the disk as long as their entry is there ---- */

/* Either puts or removes all rows of the entry. Each holds its number. */
static void timer_rows(struct tiered *t, uint32_t id, bool put)
{
	const struct entry *e = entry_at(&t->m, id);
	struct wr_disk_bytes number = {(const uint8_t *)number_at(&t->m, id), sizeof(uint32_t)};

	for (uint32_t kind = 0; kind < 2; kind++)
		for (uint32_t i = 0; i < e->timers[kind]; i++) {
			int64_t time_ms = timer_at(e, kind, i);

			t->key.len = 0;
			wr_packed_put_time(&t->key, kind, time_ms);
			pack_key(t, e);
			if (t->key.failed)
				return;
			if (put) {
				t->fn->put(t->disk, WR_DISK_TIMERS, bytes_of(&t->key), number);
				t->timers_out[kind]++;
				if (time_ms < t->first_out[kind])
					t->first_out[kind] = time_ms;
			} else {
				t->fn->remove(t->disk, WR_DISK_TIMERS, bytes_of(&t->key));
				t->timers_out[kind]--;
			}
			t->pending = true;
		}
}

/* ---- out ---- */

int64_t wr_tiered_in_use(const struct tiered *t)
{
	const struct memory *s = &t->m;
	uint64_t slots = s->index.table.mask + 1;
	int64_t bytes = atomic_load_explicit(&s->mem->bytes, memory_order_relaxed);

	bytes -= (int64_t)(s->used - s->index.live) * s->entry_size;
	if (s->index.live * 16 > slots * 7)
		bytes += (int64_t)(2 * slots * sizeof *s->index.table.slots);
	return bytes;
}

static bool stays(const struct tiered *t, uint32_t id)
{
	const struct memory *s = &t->m;
	const struct entry *e = entry_at(s, id);
	int64_t most = t->share / MAP_PART > MAP_ANYWAY ? t->share / MAP_PART : MAP_ANYWAY;

	if (e->kind != ENTRY_KEY || (s->has_key && id == s->current))
		return true;
	for (uint32_t i = 0; i < s->state_count; i++)
		if (e->cells[i].kind == CELL_MAP && (int64_t)e->cells[i].count * s->entry_size > most)
			return true;
	return false;
}

/* Takes the entry out of memory, where it does not end. */
static int leave(struct tiered *t, uint32_t id)
{
	struct memory *s = &t->m;
	struct entry *e = wr_entry_own(s, id);

	if (!e || wr_timers_clear(s, id) != WR_OK)
		return WR_EFATAL;
	e = entry_at(s, id);
	for (uint32_t i = 0; i < s->state_count; i++)
		wr_cell_clear(s, &e->cells[i]);
	wr_entry_free(s, id);
	t->out++;
	return WR_OK;
}

/* Writes the entry down and takes it out of memory. */
static int evict(struct tiered *t, uint32_t id)
{
	int rc;

	struct memory *s = &t->m;
	struct entry *e = entry_at(s, id);

	if (!s->marks[id].stored || e->changed) {
		t->key.len = t->value.len = 0;
		pack_key(t, e);
		wr_packed_put_entry(&t->packing, s, id, &t->value);
		if (t->key.failed || t->value.failed)
			return wr_error_nomem(0, "state on its way to the disk");
		t->fn->put(t->disk, WR_DISK_ENTRIES, bytes_of(&t->key), bytes_of(&t->value));
		t->pending = true;
	}
	timer_rows(t, id, true);
	if (t->key.failed)
		return wr_error_nomem(0, "state on its way to the disk");
	t->moving = true;
	rc = leave(t, id);
	t->moving = false;
	return rc;
}

static uint64_t order_of(const struct tiered *t, const struct entry *e)
{
	return wr_packed_order(wr_key_group(e->hash, t->m.max_parallelism), entry_key(e), e->key_len);
}

static int by_order(const void *a, const void *b)
{
	const struct leaving *x = a, *y = b;

	return (x->order > y->order) - (x->order < y->order);
}

/* Chooses entries from the hand on, and sorts them about in the order of the disk's keys: what goes there in
 * that order is sorted in at a fraction of the cost, the more so the more they are. Those touched lately are
 * chosen when the hand comes by again. */
static void choose(struct tiered *t)
{
	struct memory *s = &t->m;
	uint64_t most = s->keys / LEAVING_PART + 1;

	t->leaving_count = t->left = 0;
	most = most < t->leaving_max ? most : t->leaving_max;
	for (uint64_t n = 0; n < 2 * (uint64_t)s->used && t->leaving_count < most; n++) {
		struct mark *mark;

		t->hand = t->hand >= s->used ? 1 : t->hand + 1;
		mark = &s->marks[t->hand];
		if (mark->touched == IN_USE)
			mark->touched = UNTOUCHED;
		else if (mark->touched == UNTOUCHED && !stays(t, t->hand)) {
			mark->touched = CHOSEN;
			t->leaving[t->leaving_count++] =
			    (struct leaving){order_of(t, entry_at(s, t->hand)), t->hand};
		}
	}
	qsort(t->leaving, t->leaving_count, sizeof *t->leaving, by_order);
}

static void bring_near(const struct tiered *t, uint32_t at)
{
	const struct memory *s = &t->m;

	if (at + 2 * NEAR < t->leaving_count) {
		const char *e = (const char *)entry_at(s, t->leaving[at + 2 * NEAR].id);

		__builtin_prefetch(e);
		__builtin_prefetch(e + 64);
	}
	if (at + NEAR < t->leaving_count)
		wr_index_prefetch(&s->index, entry_at(s, t->leaving[at + NEAR].id)->lookup);
}

/* Of those that were chosen and not touched since, as many as take so many bytes; at least one, if there is
 * one. */
static int evict_chosen(struct tiered *t, int64_t bytes)
{
	int rc = WR_OK;

	while (rc == WR_OK && bytes > 0 && t->left < t->leaving_count) {
		uint32_t id = t->leaving[t->left].id;

		bring_near(t, t->left++);
		if (t->m.marks[id].touched != CHOSEN)
			continue;
		t->m.marks[id].touched = IN_USE;
		if (stays(t, id))
			continue;
		rc = evict(t, id);
		bytes -= t->m.entry_size;
	}
	return rc == WR_OK ? wr_tiered_write(t) : rc;
}

static int evict_until(struct tiered *t, int64_t bytes)
{
	int rc = WR_OK;

	while (rc == WR_OK && wr_tiered_in_use(t) > bytes) {
		if (t->left == t->leaving_count)
			choose(t);
		if (!t->leaving_count)
			break;
		rc = evict_chosen(t, wr_tiered_in_use(t) - bytes);
	}
	return rc;
}

static int open_disk(struct tiered *t)
{
	int64_t most = t->share / LEAVING_SHARE / (int64_t)sizeof *t->leaving;

	if (t->disk)
		return WR_OK;
	t->leaving_max = most < LEAVING_MIN ? LEAVING_MIN : most > LEAVING_MAX ? LEAVING_MAX : (uint32_t)most;
	t->leaving = wr_alloc(t->m.mem, t->leaving_max * sizeof *t->leaving);
	if (!t->leaving)
		return WR_EFATAL;
	if (wr_tiered_fetching_new(t) != WR_OK)
		return WR_EFATAL;
	t->disk = wr_spill_open(t->spill, t->m.has_ttl ? &t->now_ms : NULL);
	return t->disk ? WR_OK : wr_error_code();
}

void wr_tiered_edge(struct tiered *t)
{
	int64_t slack = t->share / SLACK_PART;

	t->calls = 0;
	if (WR_LIKELY(wr_tiered_in_use(t) <= t->share) || t->m.failed)
		return;
	wr_tiered_forget_absent(t);
	t->m.base.edges++;
	slack = slack < SLACK_MAX ? slack : SLACK_MAX;
	if (open_disk(t) != WR_OK || evict_until(t, t->share - slack) != WR_OK)
		wr_tiered_fail(t);
	wr_spill_account(t->spill);
	t->share = wr_spill_share(t->spill);
}

/* ---- in ---- */

uint32_t wr_tiered_take(struct tiered *t, const struct packed_key *k, struct wr_disk_bytes value)
{
	struct memory *s = &t->m;
	bool looked_up = s->looked_up, has_key = s->has_key;
	uint32_t current = s->current;
	uint64_t hash = wr_key_hash(k->key, k->key_len);
	uint32_t id;
	int rc;

	t->moving = true;
	id = wr_entry_add(s, k->key, k->key_len, k->ns, k->ns_len, hash);
	t->moving = false;
	if (!id)
		return NONE;
	s->current = id;
	s->looked_up = s->has_key = true;
	rc = wr_packed_load(&t->packing, s, value, &t->value);
	s->current = current;
	s->looked_up = looked_up;
	s->has_key = has_key;
	s->marks[id].stored = 1;
	entry_at(s, id)->changed = 0; /* until somebody owns it */
	timer_rows(t, id, false);
	t->out--;
	if (rc == WR_OK && t->key.failed)
		rc = wr_error_nomem(0, "state on its way from the disk");
	if (rc != WR_OK)
		wr_tiered_fail(t);
	return id;
}

uint32_t wr_tiered_in_memory(const struct tiered *t, const struct packed_key *k)
{
	const struct memory *s = &t->m;
	uint32_t tag = wr_entry_tag(wr_key_hash(k->key, k->key_len), k->ns, k->ns_len);

	return wr_entry_find(s, tag, ENTRY_KEY, 0, k->key, k->key_len, k->ns, k->ns_len);
}

struct bringing {
	struct tiered *t;
	const struct wr_disk_bytes *keys;
	uint64_t found[WR_DISK_GET_MAX / 64]; /* a bit for each key */
};

static void found(void *arg, uint32_t i, struct wr_disk_bytes value)
{
	struct bringing *b = arg;
	struct packed_key k;

	b->found[i / 64] |= UINT64_C(1) << i % 64;
	if (wr_packed_read_key(b->keys[i], &k) != WR_OK)
		wr_tiered_fail(b->t);
	else if (!wr_tiered_in_memory(b->t, &k))
		wr_tiered_take(b->t, &k, value);
}

int wr_tiered_bring(struct tiered *t, const struct wr_disk_bytes *keys, uint32_t count,
		    void (*absent)(void *arg, uint32_t i), void *arg)
{
	struct bringing b = {.t = t, .keys = keys};

	if (wr_tiered_write(t) != WR_OK)
		return WR_EFATAL;
	if (t->fn->get(t->disk, WR_DISK_ENTRIES, keys, count, found, &b) != WR_OK)
		return wr_tiered_fail(t);
	for (uint32_t i = 0; absent && i < count; i++)
		if (!(b.found[i / 64] & UINT64_C(1) << i % 64))
			absent(arg, i);
	return t->m.failed ? WR_EFATAL : WR_OK;
}
