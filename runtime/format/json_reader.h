/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader: one JSON text into nodes. The C face of simdjson, which is C++ and is seen by
 * json_reader.cc alone. Pure; one thread a reader. The parser's own memory comes from C++: its
 * user keeps the account, by wr_json_bytes. */
#ifndef WR_FORMAT_JSON_READER_H
#define WR_FORMAT_JSON_READER_H
#include <stddef.h>
#include <stdint.h>
#include "format/node.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WR_JSON_DEPTH_MAX = 64, WR_JSON_PADDING = 64 };

struct wr_json;
struct wr_json *wr_json_new(void); /* NULL: no memory */
void wr_json_free(struct wr_json *j);

/* Parses the `len` bytes at `p`, behind which WR_JSON_PADDING bytes must be readable: one value, white
 * space around it. NULL, or what is wrong (static text). Depth is bounded by WR_JSON_DEPTH_MAX, UTF-8 is
 * checked. */
const char *wr_json_parse(struct wr_json *j, const uint8_t *p, size_t len);

/* The first half of wr_json_parse: where in the text something begins, in order: each of {}[]:, and each
 * string, number or word. Between them is white space, or what they go on with; strings and UTF-8 are
 * checked. NULL: the text is malformed, or larger than any that was parsed before. Borrowed until the next
 * text. */
const uint32_t *wr_json_index(struct wr_json *j, const uint8_t *p, size_t len, uint32_t *count);
/* The other half, of the text that was indexed last, whose bytes must still be there. */
const char *wr_json_parse_indexed(struct wr_json *j);

/* Memory that the parser holds: it grows with the largest text. */
size_t wr_json_bytes(const struct wr_json *j);

/* Nodes of the value that was parsed last, in preorder: writes as many as fit into `cap` and returns how
 * many there are, or 0 for a value nested deeper than WR_JSON_DEPTH_MAX. Integers up to 2^53 and all
 * fractions are F64, larger integers I64 or U64. Strings are borrowed until the next parse. */
size_t wr_json_nodes(struct wr_json *j, struct wr_node *to, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
