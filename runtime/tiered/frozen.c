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
	f->base.backend = &wr_backend_rocksdb;
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
	uint32_t group;
	int (*each)(const struct wr_state_item *item, void *arg);
	int (*each_timer)(const struct wr_timer_item *item, void *arg);
	void *arg;
};

static int read_entry(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct reading *r = arg;
	struct wr_state_item item = {0};
	struct packed_key k;
	int rc = wr_packed_read_key(key, &k);

	if (rc == WR_OK)
		rc = wr_memory_frozen_check(r->shadows.f);
	if (rc != WR_OK)
		return rc;
	if (r->group != WR_ALL_GROUPS && k.group != r->group)
		return WR_END;
	if (is_in_memory(&r->shadows, &k))
		return WR_OK;
	item.key = k.key;
	item.key_len = k.key_len;
	item.ns = k.ns;
	item.ns_len = k.ns_len;
	item.group = k.group;
	return wr_packed_each(&r->f->packing, value, &r->room, &item, r->each, r->arg);
}

/* A scan ends with WR_END where the group does; an answer of `each` is a scan's own. */
static int scanned(int rc)
{
	return rc == WR_END ? WR_OK : rc;
}

int wr_tiered_frozen_each(struct wr_frozen *frozen, uint32_t group,
			  int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	struct tiered_frozen *f = tiered_frozen_of(frozen);
	struct reading r = {.f = f, .group = group, .each = each, .arg = arg};
	uint8_t from[2] = {(uint8_t)(group >> 8), (uint8_t)group};
	int rc = wr_memory_frozen_each(f->memory, group, each, arg);

	if (rc != WR_OK || !f->view)
		return rc;
	rc = shadows_init(&r.shadows, (const struct memory_frozen *)f->memory);
	if (rc == WR_OK)
		rc = scanned(f->fn->scan(
		    f->disk, f->view, WR_DISK_ENTRIES,
		    (struct wr_disk_bytes){from, group == WR_ALL_GROUPS ? 0 : sizeof from}, read_entry, &r));
	wr_free(&mem_frozen, r.shadows.ids);
	wr_bytes_deinit(&r.room);
	return rc;
}

static int read_timer(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct reading *r = arg;
	struct wr_timer_item item = {0};
	struct packed_key k;
	int rc = wr_packed_read_time(key, &item.kind, &item.time_ms);

	(void)value;
	if (rc == WR_OK)
		rc = wr_packed_read_key((struct wr_disk_bytes){key.p + PACKED_TIME, key.len - PACKED_TIME},
					&k);
	if (rc != WR_OK || (r->group != WR_ALL_GROUPS && k.group != r->group))
		return rc;
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
	int rc = wr_memory_frozen_timers(f->memory, group, each, arg);

	if (rc != WR_OK || !f->view)
		return rc;
	return f->fn->scan(f->disk, f->view, WR_DISK_TIMERS, (struct wr_disk_bytes){NULL, 0}, read_timer, &r);
}
