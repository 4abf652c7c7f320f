/* SPDX-License-Identifier: Apache-2.0 */
/* decoder: a whole record's bytes, such as a message brings them, as nodes (format/node.h), of which rows are
 * made (format/learn.h). One thread. */
#pragma once
#include <stddef.h>
#include "base/notify.h"
#include "format/node.h"
#include "record/value.h"

struct wr_decoder;
/* `options`: format = "json", "csv" (with its options beside it, and names of columns), "text" (UTF-8
 * strings), "bytes" (strings of any bytes), "avro" (with its options beside it) or "msgpack". `wake`: as in
 * module/codec.h. NULL with the error set. */
struct wr_decoder *wr_decoder_new(const struct wr_value *options, const struct wr_notify *wake);
void wr_decoder_free(struct wr_decoder *d);

/* The value that the bytes are: *count nodes, borrowed until the next call, together with the bytes. Their
 * first node has no key. WR_OK; WR_AGAIN: what is needed to read them, such as a schema, was asked for, come
 * again when woken; WR_EUSER with the error set: they are none; WR_ETRANSIENT: what is needed cannot be had
 * now; WR_EFATAL. */
int wr_decoder_nodes(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
		     size_t *count);
