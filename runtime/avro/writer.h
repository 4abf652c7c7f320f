/* SPDX-License-Identifier: Apache-2.0 */
/* writer: rows as Avro's binary encoding of a schema's type. One thread.
 *
 * What a row lacks is null where the type may be null, else the field's default; what it has and the type has
 * not is an error, and so is a number that the type does not hold. Of a union the first type that takes the
 * value is written.
 */
#pragma once
#include "avro/types.h"

struct wr_avro_writer;
/* NULL with the error set. */
struct wr_avro_writer *wr_avro_writer_new(void);
void wr_avro_writer_free(struct wr_avro_writer *w);
/* Appends the row as a value of type `t`. WR_OK; WR_EUSER: it is none, at which field and why; WR_EFATAL. */
int wr_avro_write(struct wr_avro_writer *w, const struct wr_avro_type *t, const struct wr_elem *row,
		  struct wr_bytes *out);
