/* SPDX-License-Identifier: Apache-2.0 */
/* reader: one value of MessagePack as nodes (format/node.h). Any bytes are safe. One thread.
 *
 * Numbers are numbers, whole ones beyond 2^53 exact (I64, U64); str and bin are strings; an array is a list;
 * a map is a record, so that its keys must be strings. Extension types are refused.
 */
#pragma once
#include "format/node.h"

struct wr_msgpack_reader;
/* NULL with the error set. */
struct wr_msgpack_reader *wr_msgpack_reader_new(void);
void wr_msgpack_reader_free(struct wr_msgpack_reader *d);
/* The one value that the bytes are. Nodes are borrowed until the next call, with the bytes. WR_OK; WR_EUSER:
 * what is wrong, at which field and byte; WR_EFATAL. */
int wr_msgpack_read(struct wr_msgpack_reader *d, const void *p, size_t len, const struct wr_node **nodes,
		    size_t *count);
