/* SPDX-License-Identifier: Apache-2.0 */
/* node: parsed values as tagged ones: lists, maps, and what the fallback shape carries; see node.h. Pure. */
#include "format/node.h"

#include <stdlib.h>
#include "base/error.h"
#include "record/value.h"

int wr_node_order(const struct wr_node *x, const struct wr_node *y)
{
	uint32_t shared = x->key_len < y->key_len ? x->key_len : y->key_len;
	int order = shared ? memcmp(x->key, y->key, shared) : 0;

	if (order == 0)
		order = (x->key_len > y->key_len) - (x->key_len < y->key_len);
	return order ? order : (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
	return wr_node_order(*(const struct wr_node *const *)a, *(const struct wr_node *const *)b);
}

static int put_record(const struct wr_node *n, struct wr_arena *scratch, struct wr_bytes *out)
{
	const struct wr_node **members = wr_arena_alloc(scratch, (n->len + 1ull) * sizeof *members);
	const struct wr_node *m = n + 1;
	uint32_t unique = 0;
	int rc = WR_OK;

	if (!members)
		return WR_EFATAL;
	for (uint32_t i = 0; i < n->len; i++, m = wr_node_skip(m))
		members[i] = m;
	qsort(members, n->len, sizeof *members, by_name);
	for (uint32_t i = 0; i < n->len; i++)
		if (i + 1 == n->len || !wr_node_same_name(members[i], members[i + 1]))
			members[unique++] = members[i];
	wr_bytes_put_u8(out, WR_V_RECORD);
	wr_bytes_put_varint(out, unique);
	for (uint32_t i = 0; i < unique && rc == WR_OK; i++) {
		wr_bytes_put_str(out, members[i]->key, members[i]->key_len);
		rc = wr_node_put(members[i], scratch, out);
	}
	return rc;
}

static int put_list(const struct wr_node *n, struct wr_arena *scratch, struct wr_bytes *out)
{
	const struct wr_node *m = n + 1;
	int rc = WR_OK;

	wr_bytes_put_u8(out, WR_V_LIST);
	wr_bytes_put_varint(out, n->len);
	for (uint32_t i = 0; i < n->len && rc == WR_OK; i++, m = wr_node_skip(m))
		rc = wr_node_put(m, scratch, out);
	return rc;
}

int wr_node_put(const struct wr_node *n, struct wr_arena *scratch, struct wr_bytes *out)
{
	static const uint8_t tags[] = {
	    [WR_T_NULL] = WR_V_NULL, [WR_T_F64] = WR_V_F64, [WR_T_I64] = WR_V_I64,
	    [WR_T_U64] = WR_V_U64,   [WR_T_STR] = WR_V_STR, [WR_T_BYTES] = WR_V_BYTES,
	};

	switch (n->type) {
	case WR_T_ROW:
		return put_record(n, scratch, out);
	case WR_T_LIST:
		return put_list(n, scratch, out);
	case WR_T_MAP:
		wr_bytes_put(out, n->str, n->len);
		return WR_OK;
	case WR_T_BOOL:
		wr_bytes_put_u8(out, n->u64 ? WR_V_TRUE : WR_V_FALSE);
		return WR_OK;
	}
	wr_bytes_put_u8(out, tags[n->type]);
	if (n->type == WR_T_STR || n->type == WR_T_BYTES)
		wr_bytes_put_str(out, n->str, n->len);
	else if (n->type != WR_T_NULL)
		wr_bytes_put_u64(out, n->u64);
	return WR_OK;
}
