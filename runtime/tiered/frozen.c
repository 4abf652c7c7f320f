/* SPDX-License-Identifier: Apache-2.0 */
/* frozen: versions: one of memory and a view of the disk, taken at the same moment, and how they are
 * read as one. The rows of timers on the disk are those of entries that memory had not; an entry on the disk
 * may be an older form of one in memory, so each is looked up there, in a table of ids that is made for the
 * reading. See tiered.h. */
#include "base/error.h"
#include "tiered/tiered.h"

static struct wr_mem mem_frozen = WR_MEM_INIT("state.versions");

struct tiered_frozen {
	struct wr_frozen base;
	struct wr_frozen *memory;
	struct wr_disk_view *view; /* NULL: nothing was on the disk */
	const struct wr_disk_functions *fn;
	struct wr_disk *disk;
	struct packing packing;
	struct stretches known;
	uint32_t numbers; /* the largest */
	bool tells;	  /* what has changed */
	bool timers_out;
};

static struct tiered_frozen *tiered_frozen_of(struct wr_frozen *f)
{
	return (struct tiered_frozen *)f;
}

struct wr_frozen *wr_tiered_freeze(struct wr_store *store, bool reader)
{
	struct tiered *t = tiered_of(store);
	struct tiered_frozen *f;

	if (wr_tiered_write(t) != WR_OK)
		return NULL;
	f = wr_zalloc(&mem_frozen, sizeof *f);
	if (!f)
		return NULL;
	f->memory = wr_memory_freeze(store, reader);
	if (!f->memory) {
		wr_free(&mem_frozen, f);
		return NULL;
	}
	f->tells = !reader && !t->m.has_ttl;
	if (f->tells &&
	    wr_changes_close(&t->changes, wr_memory_frozen_epoch(f->memory), &f->known) != WR_OK) {
		wr_memory_frozen_unref(f->memory);
		wr_free(&mem_frozen, f);
		return NULL;
	}
	f->base.backend = &wr_backend_rocksdb;
	f->numbers = t->changes.last;
	f->timers_out = t->timers_out[0] || t->timers_out[1];
	f->fn = t->fn;
	f->disk = t->disk;
	f->packing = t->packing;
	if (t->disk)
		f->view = t->fn->view_open(t->disk);
	return &f->base;
}

/* The owner may free the store as soon as memory's version is closed: that comes last. */
void wr_tiered_frozen_unref(struct wr_frozen *frozen)
{
	struct tiered_frozen *f = tiered_frozen_of(frozen);
	struct wr_frozen *memory = f->memory;

	if (f->view)
		f->fn->view_close(f->disk, f->view);
	wr_stretches_unref(&f->known);
	wr_free(&mem_frozen, f);
	wr_memory_frozen_unref(memory);
}

int64_t wr_tiered_frozen_copied(const struct wr_frozen *frozen)
{
	return wr_memory_frozen_copied(((const struct tiered_frozen *)frozen)->memory);
}

/* ---- entries of memory, by which those of the disk are told apart that are out of date ---- */

struct shadows {
	const struct memory_frozen *f;
	uint32_t *ids; /* open addressing, by tag; NONE = empty */
	uint32_t mask;
};

static int shadows_init(struct shadows *s, const struct memory_frozen *f)
{
	uint64_t count = 0, slots = 16;

	s->f = f;
	for (uint32_t id = 1; id <= f->used; id++)
		count += frozen_entry(f, id)->kind == ENTRY_KEY;
	while (slots < 2 * count)
		slots *= 2;
	s->mask = (uint32_t)slots - 1;
	s->ids = wr_zalloc(&mem_frozen, slots * sizeof *s->ids);
	if (!s->ids)
		return WR_EFATAL;
	for (uint32_t id = 1; id <= f->used; id++) {
		const struct entry *e = frozen_entry(f, id);
		uint32_t at = e->lookup & s->mask;

		if (e->kind != ENTRY_KEY)
			continue;
		while (s->ids[at])
			at = (at + 1) & s->mask;
		s->ids[at] = id;
	}
	return WR_OK;
}

static bool is_in_memory(const struct shadows *s, const struct packed_key *k)
{
	uint32_t tag = wr_entry_tag(wr_key_hash(k->key, k->key_len), k->ns, k->ns_len);

	for (uint32_t at = tag & s->mask; s->ids[at]; at = (at + 1) & s->mask) {
		const struct entry *e = frozen_entry(s->f, s->ids[at]);

		if (e->lookup == tag && e->key_len == k->key_len && e->ns_len == k->ns_len &&
		    !memcmp(entry_key(e), k->key, k->key_len) &&
		    !memcmp(entry_key(e) + k->key_len, k->ns, k->ns_len))
			return true;
	}
	return false;
}

/* ---- reading ---- */

struct reading {
	const struct tiered_frozen *f;
	struct shadows shadows;
	struct wr_bytes room;
	uint32_t group, since;
	const struct bits *wanted; /* NULL: all */
	int (*each)(const struct wr_state_item *item, void *arg);
	int (*each_timer)(const struct wr_timer_item *item, void *arg);
	void *arg;
};

/* What memory has, by the number of the key's entry, also where it is of a map. */
static uint32_t number_of(const struct memory_frozen *f, uint32_t id)
{
	const struct entry *e = frozen_entry(f, id);

	if (e->kind != ENTRY_KEY)
		id = e->owner;
	return *number_in(frozen_chunk(f, id / CHUNK_ENTRIES), id, f->entry_size);
}

static int read_item(const struct wr_state_item *there, void *arg)
{
	const struct reading *r = arg;
	struct wr_state_item item = *there;

	item.id = number_of((const struct memory_frozen *)r->f->memory, there->id);
	return r->each(&item, r->arg);
}

static int read_timer_item(const struct wr_timer_item *there, void *arg)
{
	const struct reading *r = arg;
	struct wr_timer_item item = *there;

	item.id = number_of((const struct memory_frozen *)r->f->memory, there->id);
	return r->each_timer(&item, r->arg);
}

static int read_entry(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct reading *r = arg;
	struct packed_key k;
	int rc = wr_packed_read_key(key, &k);

	if (rc == WR_OK)
		rc = wr_memory_frozen_check(r->shadows.f);
	if (rc != WR_OK)
		return rc;
	if (r->group != WR_ALL_GROUPS && k.group != r->group)
		return WR_END;
	if (r->wanted && !wr_bits_has(r->wanted, wr_packed_head(&r->f->packing, value).number))
		return WR_OK;
	if (is_in_memory(&r->shadows, &k))
		return WR_OK;
	if (r->each) {
		struct wr_state_item item = {
		    .key = k.key, .key_len = k.key_len, .ns = k.ns, .ns_len = k.ns_len, .group = k.group};

		return wr_packed_each(&r->f->packing, value, &r->room, &item, r->each, r->arg);
	}
	return wr_packed_timers(
	    &r->f->packing, value, &r->room,
	    &(struct wr_timer_item){
		.key = k.key, .key_len = k.key_len, .ns = k.ns, .ns_len = k.ns_len, .group = k.group},
	    r->each_timer, r->arg);
}

/* A scan ends with WR_END where the group does; an answer of `each` is a scan's own. */
static int scanned(int rc)
{
	return rc == WR_END ? WR_OK : rc;
}

/* The entries on the disk. */
static int read_disk(struct reading *r)
{
	const struct tiered_frozen *f = r->f;
	uint8_t from[2] = {(uint8_t)(r->group >> 8), (uint8_t)r->group};
	int rc;

	if (!f->view)
		return WR_OK;
	rc = shadows_init(&r->shadows, (const struct memory_frozen *)f->memory);
	if (rc == WR_OK)
		rc = scanned(
		    f->fn->scan(f->disk, f->view, WR_DISK_ENTRIES,
				(struct wr_disk_bytes){from, r->group == WR_ALL_GROUPS ? 0 : sizeof from},
				r->since, read_entry, r));
	wr_free(&mem_frozen, r->shadows.ids);
	wr_bytes_deinit(&r->room);
	return rc;
}

int wr_tiered_frozen_each(struct wr_frozen *frozen, uint32_t group,
			  int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	struct tiered_frozen *f = tiered_frozen_of(frozen);
	struct reading r = {.f = f, .group = group, .each = each, .arg = arg};
	int rc = wr_memory_frozen_each(f->memory, group, read_item, &r);

	return rc == WR_OK ? read_disk(&r) : rc;
}

static int read_timer(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct reading *r = arg;
	struct wr_timer_item item = {0};
	struct packed_key k;
	int rc = wr_packed_read_time(key, &item.kind, &item.time_ms);

	if (rc == WR_OK && value.len != sizeof item.id)
		rc = wr_error_set(WR_EBUG, "a timer came back from the disk malformed");
	if (rc == WR_OK)
		rc = wr_packed_read_key((struct wr_disk_bytes){key.p + PACKED_TIME, key.len - PACKED_TIME},
					&k);
	if (rc != WR_OK || (r->group != WR_ALL_GROUPS && k.group != r->group))
		return rc;
	memcpy(&item.id, value.p, sizeof item.id);
	item.key = k.key;
	item.key_len = k.key_len;
	item.ns = k.ns;
	item.ns_len = k.ns_len;
	item.group = k.group;
	return r->each_timer(&item, r->arg);
}

int wr_tiered_frozen_timers(struct wr_frozen *frozen, uint32_t group,
			    int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	struct tiered_frozen *f = tiered_frozen_of(frozen);
	struct reading r = {.f = f, .group = group, .each_timer = each, .arg = arg};
	int rc = wr_memory_frozen_timers(f->memory, group, read_timer_item, &r);

	if (rc != WR_OK || !f->view)
		return rc;
	return f->fn->scan(f->disk, f->view, WR_DISK_TIMERS, (struct wr_disk_bytes){NULL, 0}, 0, read_timer,
			   &r);
}

/* ---- what has changed ---- */

uint32_t wr_tiered_frozen_epoch(const struct wr_frozen *frozen)
{
	const struct tiered_frozen *f = (const struct tiered_frozen *)frozen;

	return f->tells ? wr_memory_frozen_epoch(f->memory) : 0;
}

int wr_tiered_frozen_changes(const struct wr_frozen *frozen, uint32_t since, struct wr_bytes *ids,
			     uint32_t *of)
{
	const struct tiered_frozen *f = (const struct tiered_frozen *)frozen;
	struct bits changed = {0};
	int rc = wr_stretches_changed(&f->known, since, &changed);

	*of = f->numbers;
	if (rc == WR_OK)
		rc = wr_bits_put(&changed, ids);
	wr_bits_deinit(&changed);
	return rc;
}

/* Where nothing of a chunk has come or changed since then, none of its entries is wanted. */
static int read_memory(struct reading *r)
{
	const struct memory_frozen *f = (const struct memory_frozen *)r->f->memory;
	int rc = WR_OK;

	for (uint32_t id = 1; id <= f->used && rc == WR_OK; id++) {
		struct chunk *c = frozen_chunk(f, id / CHUNK_ENTRIES);

		if (c->changed <= r->since)
			id |= CHUNK_ENTRIES - 1;
		else if (entry_in(c, id, f->entry_size)->kind != ENTRY_KEY ||
			 !wr_bits_has(r->wanted, *number_in(c, id, f->entry_size)))
			continue;
		else
			rc = r->each ? wr_memory_frozen_entry(f, id, read_item, r)
				     : wr_memory_frozen_entry_timers(f, id, read_timer_item, r);
	}
	return rc;
}

static int read_wanted(struct reading *r, const uint32_t *ids, uint32_t count)
{
	struct bits wanted = {0};
	int rc = WR_OK;

	for (uint32_t i = 0; i < count && rc == WR_OK; i++)
		rc = wr_bits_set(&wanted, ids[i]);
	r->group = WR_ALL_GROUPS;
	r->wanted = &wanted;
	if (rc == WR_OK)
		rc = read_memory(r);
	if (rc == WR_OK && (r->each || r->f->timers_out))
		rc = read_disk(r);
	wr_bits_deinit(&wanted);
	return rc;
}

int wr_tiered_frozen_each_of(struct wr_frozen *frozen, uint32_t since, const uint32_t *ids, uint32_t count,
			     int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	struct reading r = {.f = tiered_frozen_of(frozen), .since = since, .each = each, .arg = arg};

	return read_wanted(&r, ids, count);
}

int wr_tiered_frozen_timers_of(struct wr_frozen *frozen, uint32_t since, const uint32_t *ids, uint32_t count,
			       int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	struct reading r = {.f = tiered_frozen_of(frozen), .since = since, .each_timer = each, .arg = arg};

	return read_wanted(&r, ids, count);
}
