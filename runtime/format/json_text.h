/* SPDX-License-Identifier: Apache-2.0 */
/* json_text: JSON texts, one after the other, as nodes (format/node.h). One thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "format/node.h"

struct wr_json_text;
/* NULL with the error set when the heap refuses. */
struct wr_json_text *wr_json_text_new(void);
void wr_json_text_free(struct wr_json_text *t);
/* The nodes of the one value in the `len` bytes at `p`, behind which WR_JSON_PADDING bytes must be readable;
 * and how many they are. They and their strings are borrowed until the next text, together with
 * the bytes. WR_OK; WR_EUSER: *wrong
 * says why it is none (static text); WR_EFATAL. */
int wr_json_text_nodes(struct wr_json_text *t, const uint8_t *p, size_t len, const struct wr_node **nodes,
		       size_t *count, const char **wrong);
