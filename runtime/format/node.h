/* SPDX-License-Identifier: Apache-2.0 */
/* node: a parsed value as a flat run of nodes in preorder, each container in front of its
 * members. What a parser gives and format/learn.h turns into a row; plain declarations, so
 * that the C++ side of the JSON parser reads them too. */
#ifndef WR_FORMAT_NODE_H
#define WR_FORMAT_NODE_H
#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#include <string.h>
#include "base/arena.h"
#include "base/bytes.h"
#include "record/shape.h"
#endif

struct wr_node {
	uint32_t type; /* enum wr_type: NULL BOOL F64 I64 U64 STR BYTES, LIST, ROW; MAP is one tagged value */
	uint32_t len;  /* STR, BYTES, MAP: bytes of str. LIST, ROW: number of members */
	const char *key; /* member of a ROW: its name; else unset. Borrowed, as str is */
	uint32_t key_len;
	union {
		double f64;
		int64_t i64;
		uint64_t u64; /* BOOL too */
		const char *str;
	};
};

#ifndef __cplusplus
/* The node behind `n` and what hangs under it. */
static inline const struct wr_node *wr_node_skip(const struct wr_node *n)
{
	uint64_t left = 1;

	for (; left > 0; n++)
		left += n->type == WR_T_LIST || n->type == WR_T_ROW ? n->len - 1ull : -1ull;
	return n;
}
/* Names are short: for most of them a call costs more than they do. */
static inline bool wr_name_same(const char *x, const char *y, uint32_t len)
{
	uint64_t a, b, c, d;

	if (len < 4 || len > 16) {
		if (len > 16)
			return memcmp(x, y, len) == 0;
		return len == 0 || (x[0] == y[0] && x[len / 2] == y[len / 2] && x[len - 1] == y[len - 1]);
	}
	if (len < 8) {
		uint32_t e, f, g, h;

		memcpy(&e, x, 4);
		memcpy(&f, y, 4);
		memcpy(&g, x + len - 4, 4);
		memcpy(&h, y + len - 4, 4);
		return e == f && g == h;
	}
	memcpy(&a, x, 8);
	memcpy(&b, y, 8);
	memcpy(&c, x + len - 8, 8);
	memcpy(&d, y + len - 8, 8);
	return a == b && c == d;
}
static inline bool wr_node_same_name(const struct wr_node *x, const struct wr_node *y)
{
	return x->key_len == y->key_len && wr_name_same(x->key, y->key, x->key_len);
}
/* Members of one record by name, of equal names by their place in the run: below, at or above 0. */
int wr_node_order(const struct wr_node *x, const struct wr_node *y);

/* Appends `n` and what hangs under it as one tagged value; of a name that stands twice the last wins. WR_OK,
 * or WR_EFATAL; a put that failed shows by wr_bytes_status. `scratch` may be reset then. */
int wr_node_put(const struct wr_node *n, struct wr_arena *scratch, struct wr_bytes *out);
#endif
#endif
