/* SPDX-License-Identifier: Apache-2.0 */
/* key: what a record is keyed by, as canonical bytes, and the key group of those bytes.
 *
 * Canonical bytes of one part: tag byte, then
 *   'b' u8 · 'i' i64 (every integral number in i64 range, whatever its Lua type; −0 is 0)
 *   'u' u64 (every integral number above, up to UINT64_MAX) · 'd' f64 (all other numbers)
 *   's' varint length, bytes
 * A key of several parts is 't', u8 number of parts, parts. So 1, 1.0 and 1LL are one key and
 * "1" is another. nil, null, NaN and tables are no keys.
 *
 * key group = XXH3-64(bytes) mod max parallelism; both are part of the savepoint format
 * (FORMAT.md has vectors).
 */
#pragma once
#include "record/row.h"

enum { WR_KEY_PARTS_MAX = 16, WR_PARALLELISM_MAX = 32768 };

/* Extracts keys of rows by field name; remembers where the fields are, per shape. One thread. */
struct wr_keyer;
/* Copies `names` (1 to WR_KEY_PARTS_MAX). A name may be a path into nested rows: "user.id"; a field that
 * is itself called "user.id" comes first. NULL with the error set. */
struct wr_keyer *wr_keyer_new(const struct wr_str *names, uint32_t count);
void wr_keyer_free(struct wr_keyer *k);

struct wr_key {
	const uint8_t *p; /* canonical bytes; borrowed until the next extraction by the same keyer */
	uint32_t len;
	uint64_t hash; /* XXH3-64 of them */
};
/* WR_OK, or WR_EUSER with "key field 'user' is missing" and the like (no record in the text). */
int wr_keyer_key(struct wr_keyer *k, const struct wr_elem *row, struct wr_key *out);

/* Keys of rows that follow each other, taken together: the usual kinds at a few ns each. */
enum { WR_KEYS_MAX = 64, WR_KEY_SHORT = 48 };
struct wr_short_key {
	uint64_t hash;
	uint32_t len; /* 0: the row's key is longer, of another kind, or missing: wr_keyer_key tells */
	uint8_t bytes[WR_KEY_SHORT]; /* behind the first `len` zero up to byte 24 at least */
};
/* Keys of the rows from p on, up to `end` and WR_KEYS_MAX; returns how many rows those were. */
uint32_t wr_keyer_keys(struct wr_keyer *k, const uint8_t *p, const uint8_t *end, struct wr_short_key *keys);
/* The same for those who send rows on and need no more than their hashes. Bit i of *unknown: not that of row
 * i, whose key wr_keyer_key tells. */
uint32_t wr_keyer_hashes(struct wr_keyer *k, const uint8_t *p, const uint8_t *end,
			 uint64_t hashes[WR_KEYS_MAX], uint64_t *unknown);

/* The key alone, from Lua-made parts or tests: appends canonical bytes of one cell. */
int wr_key_put_cell(struct wr_bytes *out, const struct wr_cell *cell);
/* Canonical bytes back to cells (strings borrowed); for ctx:key() and savepoint tools. */
int wr_key_parts(const uint8_t *p, uint32_t len, struct wr_cell *parts, uint32_t *count);
uint64_t wr_key_hash(const uint8_t *p, uint32_t len);
/* Key as JSON ("alice", 17, ["a",1]) for messages. */
void wr_key_json(const uint8_t *p, uint32_t len, struct wr_bytes *out);

static inline uint32_t wr_key_group(uint64_t hash, uint32_t max_parallelism)
{
	return (uint32_t)(hash % max_parallelism);
}
/* Rules P2 to P5 of Flink. */
static inline uint32_t wr_key_group_subtask(uint32_t group, uint32_t max_parallelism, uint32_t parallelism)
{
	return (uint32_t)((uint64_t)group * parallelism / max_parallelism);
}
void wr_key_group_range(uint32_t max_parallelism, uint32_t parallelism, uint32_t subtask, uint32_t *first,
			uint32_t *last);
uint32_t wr_max_parallelism_default(uint32_t parallelism);
int wr_parallelism_check(int64_t parallelism, int64_t max_parallelism);
