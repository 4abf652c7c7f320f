/* SPDX-License-Identifier: Apache-2.0 */
/* content: the bytes of a message's value or key, by a format whose text is not at hand in the row: csv,
 * avro, msgpack, and json of a part of a row. Pure. One thread.
 */
#pragma once
#include "record/row.h"
#include "record/value.h"

struct wr_kafka_content;
/* `format` is "json", "csv", "avro" or "msgpack"; options.FORMAT are its own, and outlive it. NULL with the
 * error set. */
struct wr_kafka_content *wr_kafka_content_new(const char *format, const struct wr_value *options);
void wr_kafka_content_free(struct wr_kafka_content *c); /* NULL is fine */
/* Replaces `out` by the row: WR_OK; WR_EUSER: it has none in this format; WR_EFATAL. */
int wr_kafka_content_row(struct wr_kafka_content *c, const struct wr_elem *row, struct wr_bytes *out);
/* The same for a field of a row, which is not missing. A nested record is a record of its own. */
int wr_kafka_content_cell(struct wr_kafka_content *c, const struct wr_cell *cell, struct wr_bytes *out);
