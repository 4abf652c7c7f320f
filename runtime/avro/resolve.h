/* SPDX-License-Identifier: Apache-2.0 */
/* resolve: how values of a writer's schema are read as values of a reader's: a graph of steps, one for each
 * pair of types that meet. What cannot be read shows here, or, where it depends on the value (types of a
 * union), at the step that is reached then. Pure. */
#pragma once
#include "avro/types.h"

enum wr_avro_op {
	WR_AVRO_READ,  /* as its kind says */
	WR_AVRO_WRONG, /* cannot be read; `why` */
};

struct wr_avro_member {
	const struct wr_avro_step *step;
	struct wr_str name;	/* of the reader's field; p NULL: it has none, and the value is dropped */
	struct wr_str fallback; /* of a field that the writer has not: what is read in its place */
};

struct wr_avro_step {
	enum wr_avro_op op;
	enum wr_avro_kind kind;	  /* the writer's */
	bool as_double, as_float; /* a whole number is promoted */
	bool decimal;
	uint32_t scale, size;
	uint32_t count;			   /* symbols, types of the union, the writer's fields */
	uint32_t fallback_count;	   /* members behind these that are read from defaults */
	const struct wr_str *symbols;	   /* of the reader; p NULL: it has none for this */
	const struct wr_avro_step **items; /* ARRAY, MAP: one; UNION */
	struct wr_avro_member *members;	   /* RECORD */
	const char *why;
};

/* The steps live in `arena`, and borrow from both schemas. NULL with the error set; WR_EUSER: no value of the
 * writer's schema can be read by the reader's, and why. */
const struct wr_avro_step *wr_avro_resolve(const struct wr_avro_type *writer,
					   const struct wr_avro_type *reader, struct wr_arena *arena);
