/* SPDX-License-Identifier: Apache-2.0 */
/* types: an Avro schema (specification 1.11) as a graph of types: what its JSON text says, checked whole.
 * References are resolved, so that types that contain themselves are cycles. Immutable once made. */
#pragma once
#include "format/node.h"
#include "record/row.h"

enum wr_avro_kind {
	WR_AVRO_NULL,
	WR_AVRO_BOOLEAN,
	WR_AVRO_INT,
	WR_AVRO_LONG,
	WR_AVRO_FLOAT,
	WR_AVRO_DOUBLE,
	WR_AVRO_BYTES,
	WR_AVRO_STRING,
	WR_AVRO_FIXED,
	WR_AVRO_ENUM,
	WR_AVRO_ARRAY,
	WR_AVRO_MAP,
	WR_AVRO_UNION,
	WR_AVRO_RECORD,
	WR_AVRO_KINDS
};

struct wr_avro_field {
	struct wr_str name;
	const struct wr_avro_type *type;
	const struct wr_str *aliases;
	uint32_t alias_count;
	const struct wr_node *fallback_json; /* NULL: it has no default */
	struct wr_str fallback;		     /* the default as it is in a message; p NULL: none */
};

struct wr_avro_type {
	enum wr_avro_kind kind;
	bool decimal;	    /* BYTES, FIXED of the logical type "decimal" */
	uint32_t precision; /* of a decimal: digits at most */
	uint32_t scale;	    /* of them behind the point */
	uint32_t size;	    /* FIXED: bytes */
	struct wr_str name; /* FIXED, ENUM, RECORD: with namespace */
	const struct wr_str *aliases;
	uint32_t alias_count;
	uint32_t count;	  /* ENUM: symbols; UNION: types; RECORD: fields */
	int32_t fallback; /* ENUM: index of its default, or -1 */
	const struct wr_str *symbols;
	const struct wr_avro_type **items; /* ARRAY, MAP: one; UNION */
	struct wr_avro_field *fields;
	struct wr_avro_type *next; /* of the schema's named types */
};

struct wr_avro_schema;
/* Takes no ownership of the text. NULL with the error set: WR_EUSER says what is wrong and where. */
struct wr_avro_schema *wr_avro_schema_new(const char *text, size_t len);
void wr_avro_schema_free(struct wr_avro_schema *s);
const struct wr_avro_type *wr_avro_schema_type(const struct wr_avro_schema *s);

/* "long", "array" … */
const char *wr_avro_kind_name(enum wr_avro_kind kind);
/* A name without its namespace. */
struct wr_str wr_avro_last_name(struct wr_str name);
static inline bool wr_avro_same(struct wr_str a, struct wr_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
