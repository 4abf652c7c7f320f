/* SPDX-License-Identifier: Apache-2.0 */
/* writer: rows as MessagePack, each number in the fewest bytes that hold it exactly: a whole number as an
 * integer. One thread. */
#pragma once
#include "base/bytes.h"
#include "record/row.h"

struct wr_msgpack_writer;
/* NULL with the error set. */
struct wr_msgpack_writer *wr_msgpack_writer_new(void);
void wr_msgpack_writer_free(struct wr_msgpack_writer *w);
/* Appends the row as one value. WR_OK or WR_EFATAL. */
int wr_msgpack_write(struct wr_msgpack_writer *w, const struct wr_elem *row, struct wr_bytes *out);
