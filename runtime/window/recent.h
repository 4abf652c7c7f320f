/* SPDX-License-Identifier: Apache-2.0 */
/* recent: the accumulators of keys that came lately, within a batch of rows and a slice of time.
 *
 * Half of a stream's rows may be of a few keys. A row whose key was met a moment ago is added where the
 * last one was, without a look into the store: what the store gave stays where it is until the batch ends,
 * its key gets another slice, or the store makes room (wr_store_edges). Where few rows find their key,
 * nothing is looked for or remembered for a while. Inline; one thread.
 */
#pragma once
#include "state/store.h"

enum {
	WR_RECENT_LOG2 = 8,
	WR_RECENT_KEY = 24,	       /* bytes of the keys that are remembered, at most */
	WR_RECENT_LOOK_ROWS = 4096,    /* after so many it is decided whether looking pays: */
	WR_RECENT_LOOK_SHARE = 2,      /* every so manieth row must have found its key, */
	WR_RECENT_REST_ROWS = 1 << 17, /* else it rests for so many */
};

struct wr_recent {
	uint64_t serial; /* of what is valid, from 1 */
	uint32_t looked, found, resting;
	uint64_t *acc[WR_KEYS_MAX]; /* of the rows ahead, or NULL; valid as long as `serial` is acc_serial */
	uint64_t acc_serial;
	struct wr_recent_note {
		uint64_t hash, serial;
		uint64_t *acc;
		uint8_t key[WR_RECENT_KEY];
	} notes[1 << WR_RECENT_LOG2];
};

static inline void wr_recent_forget(struct wr_recent *r)
{
	r->serial++;
}

static inline struct wr_recent_note *wr_recent_note(struct wr_recent *r, uint64_t hash)
{
	return &r->notes[hash >> (64 - WR_RECENT_LOG2)];
}

/* Should the next `rows` be looked for? */
static inline bool wr_recent_awake(struct wr_recent *r, uint32_t rows)
{
	if (r->resting) {
		r->resting -= rows < r->resting ? rows : r->resting;
		r->acc_serial = 0;
		return false;
	}
	r->looked += rows;
	if (r->looked >= WR_RECENT_LOOK_ROWS) {
		if (r->found < r->looked / WR_RECENT_LOOK_SHARE)
			r->resting = WR_RECENT_REST_ROWS;
		r->looked = r->found = 0;
	}
	return true;
}

/* Looks for the keys of `count` rows; those that are not known are copied to `missing`. How many. */
static inline uint32_t wr_recent_look(struct wr_recent *r, const struct wr_short_key *keys, uint32_t count,
				      struct wr_short_key *missing)
{
	uint32_t n = 0;

	r->acc_serial = r->serial;
	for (uint32_t i = 0; i < count; i++) {
		const struct wr_recent_note *note = wr_recent_note(r, keys[i].hash);

		r->acc[i] = NULL;
		if (note->hash == keys[i].hash && note->serial == r->serial && keys[i].len &&
		    keys[i].len <= WR_RECENT_KEY && !memcmp(note->key, keys[i].bytes, WR_RECENT_KEY))
			r->acc[i] = note->acc;
		if (!r->acc[i])
			missing[n++] = keys[i];
	}
	r->found += count - n;
	return n;
}

/* The accumulator of row `i` of those that were looked for; NULL: the store knows. */
static inline uint64_t *wr_recent_acc(const struct wr_recent *r, uint32_t i)
{
	return r->acc_serial == r->serial ? r->acc[i] : NULL;
}

static inline void wr_recent_add(struct wr_recent *r, const struct wr_short_key *key, uint64_t *acc)
{
	struct wr_recent_note *note = wr_recent_note(r, key->hash);

	if (!key->len || key->len > WR_RECENT_KEY)
		return;
	note->hash = key->hash;
	note->serial = r->serial;
	note->acc = acc;
	memcpy(note->key, key->bytes, WR_RECENT_KEY);
}
