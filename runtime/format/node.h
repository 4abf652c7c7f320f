/* SPDX-License-Identifier: Apache-2.0 */
/* node: a parsed value as a flat run of nodes in preorder, each container in front of its
 * members. What a parser gives and format/learn.h turns into a row; plain declarations, so
 * that the C++ side of the JSON parser reads them too. */
#ifndef WR_FORMAT_NODE_H
#define WR_FORMAT_NODE_H
#include <stdint.h>

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
#endif
