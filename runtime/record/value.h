/* SPDX-License-Identifier: Apache-2.0 */
/* value: the tagged encoding, which carries any Lua value that may be in a record, and
 * plain trees of such values (plans, options, letters).
 *
 *   tag u8, then:  0 nil · 1 null · 2 false · 3 true · 4 f64 · 5 i64 · 6 u64 (8 bytes each)
 *   7 string · 8 bytes: varint length, bytes
 *   9 list: varint count, values        (Lua: keys 1..n; an empty table is an empty list)
 *   10 map: varint count, key value …   (keys: any scalar; sorted by encoded bytes)
 *   11 record: varint count, (varint length, name, value) …  (all keys strings; sorted bytewise)
 */
#pragma once
#include "base/arena.h"
#include "base/bytes.h"

enum wr_tag {
	WR_V_NIL = 0,
	WR_V_NULL = 1,
	WR_V_FALSE = 2,
	WR_V_TRUE = 3,
	WR_V_F64 = 4,
	WR_V_I64 = 5,
	WR_V_U64 = 6,
	WR_V_STR = 7,
	WR_V_BYTES = 8,
	WR_V_LIST = 9,
	WR_V_MAP = 10,
	WR_V_RECORD = 11,
};

/* Checks and skips one tagged value; WR_EUSER on anything malformed, unsorted or too deep. */
int wr_value_verify(struct wr_reader *r);
/* Tagged value as JSON (as wr_row_json). The bytes must be valid. */
void wr_value_json(struct wr_reader *r, struct wr_bytes *out);

/* A parsed value; lives in an arena. Lists: items[0..count). Maps and records: keys[i] → items[i]. */
struct wr_value {
	enum wr_tag tag;
	uint32_t count;
	union {
		double f64;
		int64_t i64;
		uint64_t u64;
		struct {
			const char *p; /* NUL-terminated for convenience */
			uint32_t len;
		} str;
	};
	struct wr_value *keys;
	struct wr_value *items;
};

/* Parses one value into `arena`; strings are copied. */
int wr_value_parse(struct wr_reader *r, struct wr_arena *arena, struct wr_value *out);
void wr_value_put(struct wr_bytes *out, const struct wr_value *v);

/* Field `name` of a record, or NULL; a nil counts as missing, and so do all fields of what is no record (an
 * empty table is an empty list). The typed ones give `fallback` when it is missing; a value of another type
 * is an invariant of ours that broke: the Lua side validated it. */
const struct wr_value *wr_value_get(const struct wr_value *v, const char *name);
const char *wr_value_str(const struct wr_value *v, const char *name, const char *fallback);
double wr_value_num(const struct wr_value *v, const char *name, double fallback); /* f64, i64, u64 */
int64_t wr_value_int(const struct wr_value *v, const char *name, int64_t fallback);
bool wr_value_bool(const struct wr_value *v, const char *name, bool fallback);
const struct wr_value *wr_value_list(const struct wr_value *v, const char *name, uint32_t *count);

/* Writers, for the other direction: a record is begun with its number of fields. */
void wr_value_put_record(struct wr_bytes *out, uint32_t fields); /* then name+value in sorted order */
void wr_value_put_name(struct wr_bytes *out, const char *name);
void wr_value_put_list(struct wr_bytes *out, uint32_t count);
void wr_value_put_str(struct wr_bytes *out, const char *s);
void wr_value_put_strn(struct wr_bytes *out, const char *s, size_t len);
void wr_value_put_num(struct wr_bytes *out, double v);
void wr_value_put_i64(struct wr_bytes *out, int64_t v);
void wr_value_put_bool(struct wr_bytes *out, bool v);
void wr_value_put_nil(struct wr_bytes *out);
