/* SPDX-License-Identifier: Apache-2.0 */
/* tiered: the backend "rocksdb": the memory backend within a bound, and below it a disk (disk.h) for entries
 * that were not used lately. Seen by tiered/ only.
 *
 *   access ─▶ memory (memory.h) ──absent──▶ disk: the entry comes into memory
 *                │ over its share, at the edge of a batch
 *                └─ entries not touched since the hand came by ─▶ disk, many in one write
 *
 * The unit is an entry: a key in a namespace with all its values, lists, maps and timers. What is in memory
 * counts; the disk may hold an older form of it (struct mark), so that an entry that is only read leaves
 * memory without being written again. One that ends is removed from the disk in the same write as the next
 * that is evicted, or before anything is read.
 *
 * Timers of an entry in memory are in memory's order; those of others are rows of their own, by time, on the
 * disk. A version is a version of memory and a view of the disk, both of the same moment; it holds no entry
 * twice, since who reads the disk looks each one up in memory's.
 *
 * What has changed between two versions is told by numbers that entries have wherever they are (changes.h).
 * On the disk the epoch of an entry's last change is in front of it, so that what is older than a version is
 * passed over by the file. A store with a time to live cannot tell: its entries may end on the disk unseen.
 *
 * All on the task's thread but reading versions.
 */
#pragma once
#include "base/bytes.h"
#include "state/memory.h"
#include "tiered/changes.h"
#include "tiered/spill.h"

enum { WALK_AHEAD = 1024 };    /* keys, */
enum { WALK_AHEAD_PART = 16 }; /* and entries of so much of the share */

/* What the bytes of all entries of a store have in common. */
struct packing {
	const struct wr_state_desc *states;
	uint32_t state_count;
	bool expires;	 /* in front is a time of expiry, else the epoch of the last change */
	int64_t base_ms; /* stamps are told from here on */
};

/* A walk through all keys (wr_store_next) that has come to those on the disk. */
struct walk {
	uint8_t number;	       /* 0: none */
	bool at_end;	       /* no key behind those of `ahead` */
	struct wr_bytes from;  /* the disk's key behind which it goes on */
	struct wr_bytes ahead; /* keys that come next, each with its length (4 bytes) in front */
	size_t taken;	       /* bytes of them */
};

/* An entry that is chosen to leave memory, and its place among the disk's keys, about. */
struct leaving {
	uint64_t order;
	uint32_t id;
};

struct tiered {
	struct memory m; /* first: the functions of memory.h take it as it is */
	struct wr_spill *spill;
	const struct wr_disk_functions *fn;
	struct wr_disk *disk;	 /* NULL until something is evicted */
	int64_t share;		 /* bytes that memory may take */
	uint32_t hand;		 /* where eviction goes on */
	struct leaving *leaving; /* chosen, in the order in which they leave; as long as there is a disk */
	uint32_t leaving_count, leaving_max, left; /* `left`: have left, or have stayed */
	uint64_t out;		/* entries that are on the disk alone; some may have expired there */
	bool pending;		/* something waits for the disk's `write` */
	bool moving;		/* entries come and go, and neither begin, change nor end */
	struct changes changes; /* not where there is a time to live */
	int64_t first_out[2];	/* no timer on the disk is before it */
	uint64_t timers_out[2];
	uint32_t calls; /* that may make memory grow, since it was looked at */
	int64_t now_ms; /* what had expired by then may be dropped; read by the disk's threads */
	struct packing packing;
	char *why;		   /* the disk failed */
	struct fetching *fetching; /* as long as there is a disk */
	struct wr_bytes key, value, rooms[2];
	struct walk walks[WALKS];
	uint8_t walk_last;
};

static inline struct tiered *tiered_of(const struct wr_store *s)
{
	return (struct tiered *)s;
}

/* ---- entries as bytes (packed.c) ---- */

struct packed_key {
	const uint8_t *key, *ns;
	uint32_t key_len, ns_len, group;
};
/* Appends key group, key and namespace. */
void wr_packed_put_key(struct wr_bytes *to, uint32_t group, const uint8_t *key, uint32_t key_len,
		       const uint8_t *ns, uint32_t ns_len);
/* The begin of those bytes as a number: their order, about. */
static inline uint64_t wr_packed_order(uint32_t group, const uint8_t *key, uint32_t key_len)
{
	uint64_t begin = 0;

	memcpy(&begin, key, key_len < sizeof begin ? key_len : sizeof begin);
	return (uint64_t)group << 48 | (uint64_t)(key_len & 0xff) << 40 | __builtin_bswap64(begin) >> 24;
}
/* WR_OK or WR_EFATAL: these are no bytes of ours. */
int wr_packed_read_key(struct wr_disk_bytes from, struct packed_key *to);
/* A time of a kind in front of a packed key, in the order of times. */
enum { PACKED_TIME = 9 };
void wr_packed_put_time(struct wr_bytes *to, uint32_t kind, int64_t time_ms);
/* WR_OK or WR_EBUG: these are no bytes of ours. */
int wr_packed_read_time(struct wr_disk_bytes from, uint32_t *kind, int64_t *time_ms);

/* Appends all that entry `id` holds. */
void wr_packed_put_entry(const struct packing *p, const struct memory *s, uint32_t id, struct wr_bytes *to);
/* Fills the entry, which is fresh and the current one; `room` is for aligned values. WR_OK or WR_EFATAL. */
int wr_packed_load(const struct packing *p, struct memory *s, struct wr_disk_bytes from,
		   struct wr_bytes *room);
/* As frozen_each, for one entry; `item` has its address. */
int wr_packed_each(const struct packing *p, struct wr_disk_bytes from, struct wr_bytes *room,
		   struct wr_state_item *item, int (*each)(const struct wr_state_item *item, void *arg),
		   void *arg);
/* As frozen_timers, for one entry. */
int wr_packed_timers(const struct packing *p, struct wr_disk_bytes from, struct wr_bytes *room,
		     struct wr_timer_item *item, int (*each)(const struct wr_timer_item *item, void *arg),
		     void *arg);
struct packed_head {
	uint32_t number;    /* of the entry, 0 = none */
	uint8_t met[WALKS]; /* by which walks it was */
};
struct packed_head wr_packed_head(const struct packing *p, struct wr_disk_bytes from);

/* ---- in and out (evict.c) ---- */

/* What waits is written. WR_OK, or WR_EFATAL, remembered for wr_store_status. */
int wr_tiered_write(struct tiered *t);
/* Bytes that entries take. An index that is about to double counts as if it had. */
int64_t wr_tiered_in_use(const struct tiered *t);
/* WR_EFATAL and the words for it are the store's from now on. */
int wr_tiered_fail(struct tiered *t);
/* Where memory is over its share: entries leave it, not the current one. Between batches, and where no
 * pointer into state is held. */
void wr_tiered_edge(struct tiered *t);
/* Of lower. */
void wr_tiered_added(struct memory *s, uint32_t id);
void wr_tiered_changed(struct memory *s, uint32_t id);
void wr_tiered_ended(struct memory *s, uint32_t id);
/* An entry that the disk has comes into memory, which has it not: its id, or NONE: no memory. The current key
 * stays. */
uint32_t wr_tiered_take(struct tiered *t, const struct packed_key *k, struct wr_disk_bytes value);
/* Id of an entry in memory, or NONE. */
uint32_t wr_tiered_in_memory(const struct tiered *t, const struct packed_key *k);
/* Brings entries into memory whose packed keys are these, at most WR_DISK_GET_MAX; those that memory has are
 * left alone. `absent` is called for each that is nowhere, and may be NULL. */
int wr_tiered_bring(struct tiered *t, const struct wr_disk_bytes *keys, uint32_t count,
		    void (*absent)(void *arg, uint32_t i), void *arg);

/* ---- reading ahead (fetch.c) ---- */

/* What is kept for it, in t->fetching. WR_OK or WR_EFATAL. */
int wr_tiered_fetching_new(struct tiered *t);
/* What was found nowhere may be on the disk now. */
void wr_tiered_forget_absent(struct tiered *t);
void wr_tiered_fetch_rows(struct wr_store *store, struct wr_keyer *k, const uint8_t *p, const uint8_t *end);
void wr_tiered_prefetch(struct wr_store *store, const struct wr_short_key *keys, uint32_t count);
/* Of lower. */
uint32_t wr_tiered_fetch(struct memory *s, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
			 uint32_t ns_len);

/* ---- the table: what is not memory's ---- */

int wr_tiered_timer_next(struct wr_store *s, uint32_t kind, int64_t upto_ms, int64_t *time_ms);
int64_t wr_tiered_timer_earliest(const struct wr_store *s, enum wr_timer_kind kind);
int64_t wr_tiered_timer_latest(const struct wr_store *s, enum wr_timer_kind kind);
struct wr_frozen *wr_tiered_freeze(struct wr_store *s, bool reader);
void wr_tiered_frozen_unref(struct wr_frozen *f);
int64_t wr_tiered_frozen_copied(const struct wr_frozen *f);
int wr_tiered_frozen_each(struct wr_frozen *f, uint32_t group,
			  int (*each)(const struct wr_state_item *item, void *arg), void *arg);
int wr_tiered_frozen_timers(struct wr_frozen *f, uint32_t group,
			    int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
uint32_t wr_tiered_frozen_epoch(const struct wr_frozen *f);
int wr_tiered_frozen_changes(const struct wr_frozen *f, uint32_t since, struct wr_bytes *ids, uint32_t *of);
int wr_tiered_frozen_each_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			     int (*each)(const struct wr_state_item *item, void *arg), void *arg);
int wr_tiered_frozen_timers_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			       int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
int wr_tiered_next(struct wr_store *s, uint64_t *cursor);
