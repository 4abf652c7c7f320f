/* SPDX-License-Identifier: Apache-2.0 */
/* reader: one value of Avro's binary encoding as nodes (format/node.h), by the steps that its schemas
 * resolved to. Any bytes are safe: nesting and the number of values are bounded. One thread.
 *
 * int, long, float and double are numbers, a long beyond 2^53 is exact (I64); string, bytes, fixed and enum
 * are strings; a decimal is its text ("12.30"); array, map and record are list, map and record. A field that
 * is null is left out of its record; elsewhere null is null.
 */
#pragma once
#include "avro/resolve.h"

struct wr_avro_reader;
/* NULL with the error set. */
struct wr_avro_reader *wr_avro_reader_new(void);
void wr_avro_reader_free(struct wr_avro_reader *d);
/* The one value that the bytes are. Nodes are borrowed until the next call, with the bytes and the steps.
 * WR_OK; WR_EUSER: what is wrong, at which field and byte; WR_EFATAL. */
int wr_avro_read(struct wr_avro_reader *d, const struct wr_avro_step *step, const void *p, size_t len,
		 const struct wr_node **nodes, size_t *count);
