/* SPDX-License-Identifier: Apache-2.0 */
/* walk: all keys of a tiered store, each once, while entries go to and fro between memory and the disk.
 *
 * First those that memory holds, by id, then those on the disk, by key. An entry that was met in the first
 * part carries the number of the walk, also to the disk and back. One that was on the disk at any time of the
 * first part still has its place there in the second, unless it has ended (tiered.h), so none is left out.
 * Two walks may go on at the same time: their marks are apart.
 */
#include "base/error.h"
#include "tiered/tiered.h"

/* The cursor: an id, then ON_DISK; the walk's number above, so that 0 is a walk that has not begun. */
enum { NUMBER_SHIFT = 40 };
#define ON_DISK (UINT64_C(1) << 33)

static bool was_met(const struct tiered *t, const struct walk *w, uint32_t id)
{
	return t->m.marks[id].met[w - t->walks] == w->number;
}

/* Makes the entry the current one: 1, or WR_EFATAL. */
static int meet(struct tiered *t, uint32_t id)
{
	int rc = wr_entry_select(&t->m, id);

	return rc == WR_OK ? 1 : rc;
}

static struct walk *begin(struct tiered *t, uint64_t *cursor)
{
	struct walk *w;

	t->walk_last = t->walk_last == UINT8_MAX ? 1 : t->walk_last + 1;
	w = &t->walks[t->walk_last % WALKS];
	w->number = t->walk_last;
	w->at_end = false;
	w->from.len = w->ahead.len = w->taken = 0;
	*cursor = (uint64_t)w->number << NUMBER_SHIFT;
	return w;
}

struct looking {
	struct tiered *t;
	struct walk *w;
	uint32_t count;
	int64_t bytes; /* that they may still take in memory */
};

/* Keys whose entries were not met, as far as the disk knows; they come into memory. */
static int look_ahead(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct looking *l = arg;
	struct wr_bytes *ahead = &l->w->ahead;
	struct packed_key k;
	int rc;

	if (l->count == WALK_AHEAD || l->bytes < 0) {
		l->w->from.len = 0;
		wr_bytes_put(&l->w->from, key.p, key.len);
		l->w->at_end = false;
		return WR_END;
	}
	if (wr_packed_head(&l->t->packing, value).met[l->w - l->t->walks] == l->w->number)
		return WR_OK;
	rc = wr_packed_read_key(key, &k);
	if (rc != WR_OK)
		return rc;
	if (!wr_tiered_in_memory(l->t, &k))
		wr_tiered_take(l->t, &k, value);
	wr_bytes_put_u32(ahead, key.len);
	wr_bytes_put(ahead, key.p, key.len);
	l->count++;
	l->bytes -= (int64_t)l->t->m.entry_size + key.len + value.len;
	return wr_bytes_status(ahead);
}

static int more_ahead(struct tiered *t, struct walk *w)
{
	struct looking l = {t, w, 0, t->share / WALK_AHEAD_PART};
	struct wr_bytes *from = &t->rooms[0];
	int rc;

	t->m.current = NONE;
	t->m.looked_up = false;
	wr_tiered_edge(t);
	rc = wr_tiered_write(t);
	if (rc != WR_OK)
		return rc;
	from->len = 0;
	wr_bytes_put(from, w->from.data, w->from.len);
	w->ahead.len = w->taken = 0;
	w->at_end = true;
	rc = wr_bytes_status(from);
	if (rc == WR_OK)
		rc = t->fn->scan(t->disk, NULL, WR_DISK_ENTRIES,
				 (struct wr_disk_bytes){from->data, (uint32_t)from->len}, 0, look_ahead, &l);
	if (rc == WR_END)
		rc = wr_bytes_status(&w->from);
	return rc == WR_OK ? WR_OK : wr_tiered_fail(t);
}

/* Id of the next entry of those ahead that is still to be met, or NONE. */
static uint32_t next_ahead(struct tiered *t, struct walk *w)
{
	while (w->taken < w->ahead.len) {
		struct wr_disk_bytes packed;
		struct packed_key k;
		uint32_t id;

		memcpy(&packed.len, w->ahead.data + w->taken, sizeof packed.len);
		packed.p = w->ahead.data + w->taken + sizeof packed.len;
		w->taken += sizeof packed.len + packed.len;
		if (wr_packed_read_key(packed, &k) != WR_OK ||
		    wr_memory_set_key(&t->m.base, k.key, k.key_len, wr_key_hash(k.key, k.key_len)) != WR_OK ||
		    wr_memory_set_namespace(&t->m.base, k.ns, k.ns_len) != WR_OK) {
			wr_tiered_fail(t);
			return NONE;
		}
		id = wr_entry_look(&t->m, false);
		if (id && !was_met(t, w, id))
			return id;
	}
	return NONE;
}

int wr_tiered_next(struct wr_store *store, uint64_t *cursor)
{
	struct tiered *t = tiered_of(store);
	struct memory *s = &t->m;
	struct walk *w = *cursor ? &t->walks[(*cursor >> NUMBER_SHIFT) % WALKS] : begin(t, cursor);
	uint32_t id;

	if (w->number != *cursor >> NUMBER_SHIFT)
		return wr_error_set(WR_EBUG, "more than %d walks through the keys of '%s'", WALKS, s->uid);
	while (!(*cursor & ON_DISK) && (uint32_t)*cursor < s->used) {
		id = (uint32_t)++ * cursor;
		if (entry_at(s, id)->kind != ENTRY_KEY || was_met(t, w, id))
			continue;
		if (!wr_entry_own(s, id)) /* changed, so that the mark goes with it to the disk */
			return WR_EFATAL;
		s->marks[id].met[w - t->walks] = w->number;
		return meet(t, id);
	}
	*cursor |= ON_DISK;
	while (t->disk) {
		id = next_ahead(t, w);
		if (id) {
			s->marks[id].touched = UNTOUCHED; /* the first to leave again */
			return meet(t, id);
		}
		if (s->failed)
			return store->backend->status(store);
		if (w->at_end)
			return 0;
		if (more_ahead(t, w) != WR_OK)
			return store->backend->status(store);
	}
	return 0;
}
