/* SPDX-License-Identifier: Apache-2.0 */
/* shape: the ordered field names and types of a row, learned from the records.
 *
 * Shapes are interned per process: equal shapes have one id, ids are dense from 1 and
 * never reused; a shape never changes and is never freed. Fields are sorted by name
 * (bytewise), so a shape never depends on the order in which a table is walked. A field
 * that is itself a record has a child shape, so a shape is a tree and a nested row needs
 * no id of its own in the bytes. A *scalar* shape has one field named "" and stands for a
 * record that is not a table. Shape 1 is the scalar of type ANY: the fallback that can
 * carry every value.
 *
 * Interning takes a lock; wr_shape() does not (ids are published with release order).
 * The struct is also handed to LuaJIT (WR_CDEF).
 */
#ifndef WR_RECORD_SHAPE_H
#define WR_RECORD_SHAPE_H
#include <stdint.h>

/* Codes are part of the wire format. 16 decimal, 17 date, 18 timestamp are reserved. */
enum wr_type {
	WR_T_NULL = 1,	/* explicit null: weir.null */
	WR_T_BOOL = 2,	/* slot: 0 or 1 */
	WR_T_F64 = 3,	/* Lua number */
	WR_T_I64 = 4,	/* int64_t cdata */
	WR_T_U64 = 5,	/* uint64_t cdata */
	WR_T_STR = 6,	/* slot: u32 offset from the body's start, u32 length */
	WR_T_BYTES = 7, /* as STR; known not to be text */
	WR_T_LIST = 8,	/* slot as STR; the bytes are one tagged value (record/value.h) */
	WR_T_MAP = 9,	/* slot as STR; the bytes are one tagged value */
	WR_T_ROW = 10,	/* slot as STR; the bytes are the body of a row of the child shape, 8-aligned */
	WR_T_ANY = 11	/* slot as STR; the bytes are one tagged value of any type */
};

struct wr_field {
	const char *name;
	uint32_t name_len;
	uint32_t type;	/* enum wr_type */
	uint32_t child; /* shape id for WR_T_ROW, else 0 */
	uint32_t name_hash;
};

struct wr_shape {
	uint32_t id;
	uint32_t count;	    /* fields */
	uint32_t nullable;  /* 1: the body starts with a bitmap, bit i set = field i is missing (nil) */
	uint32_t scalar;    /* 1: one field named "", the record is that value itself */
	uint32_t fixed_len; /* bytes of bitmap and slots: where the variable part starts */
	uint32_t slots_at;  /* offset of slot 0 in the body: bytes of the bitmap */
	uint32_t depth;	    /* 1 for flat */
	uint32_t hidden;    /* number of leading fields whose name starts with \x01: keys made by functions */
	struct wr_field *fields;
};

/* Read by LuaJIT: id → shape, never NULL for an id that was given out; NULL for any other. */
const struct wr_shape *wr_shape(uint32_t id);

/* One field asked for; borrowed during the call. */
struct wr_field_spec {
	const char *name;
	uint32_t name_len;
	uint32_t type;
	uint32_t child;
};

enum { WR_SHAPE_ANY = 1 };

/* Interns the shape of `count` fields; sorts `fields` in place. Returns its id, or 0 with the error set
 * (a name twice, more than WR_FIELDS_MAX fields, too deep, or the process' bound of shapes is reached:
 * then the caller falls back to WR_SHAPE_ANY and counts it). A shape that is known is found even when
 * the bound is reached. Any thread. */
uint32_t wr_shape_intern(struct wr_field_spec *fields, uint32_t count, uint32_t nullable, uint32_t scalar);
uint32_t wr_shape_count(void); /* ids 1..count are valid */

#ifndef WR_CDEF
#include "base/bytes.h"
/* Index of the field called name, or -1. */
int32_t wr_shape_find(const struct wr_shape *s, const char *name, uint32_t name_len);
enum {
	WR_FIELDS_MAX = 4096,
	WR_FIELDS_TREE_MAX = 65536, /* of a shape and its children, all counted: bounds what a shape
				     * costs to write down although children are shared */
	WR_DEPTH_MAX = 64,	    /* nesting of values and rows */
	WR_SHAPES_MAX = 16384,	    /* of a process; bounds its memory when field names are data */
};

/* "{amount: number, user: string}" for messages and `weir check --explain`. */
void wr_shape_describe(uint32_t id, struct wr_bytes *out);

/* A shape as bytes, to carry it to a place with other ids (a file, another process); children inline.
 * What keeps the ids apart there is a dictionary: record/dict.h. Format: record/FORMAT.md. */
void wr_shape_encode(uint32_t id, struct wr_bytes *out);
/* Reads and interns one shape; 0 with the error set. */
uint32_t wr_shape_decode(struct wr_reader *r);
#endif
#endif
