/* SPDX-License-Identifier: Apache-2.0 */
/* value_row: a tagged value becomes the nodes that a parser would have made of it, and they a row; and a row
 * becomes the value that it holds. */
#include "format/value_row.h"

#include <string.h>
#include "base/error.h"

int wr_value_rows_init(struct wr_value_rows *r, struct wr_mem *mem)
{
	wr_arena_init(&r->nodes, mem);
	r->tagged = (struct wr_bytes)WR_BYTES_EMPTY;
	r->learner = wr_learner_new();
	return r->learner ? WR_OK : WR_EFATAL;
}

void wr_value_rows_deinit(struct wr_value_rows *r)
{
	wr_learner_free(r->learner);
	wr_arena_deinit(&r->nodes);
	wr_bytes_deinit(&r->tagged);
}

static uint64_t node_count(const struct wr_value *v)
{
	uint64_t n = 1;

	if (v->tag == WR_V_LIST || v->tag == WR_V_RECORD)
		for (uint32_t i = 0; i < v->count; i++)
			n += node_count(&v->items[i]);
	return n;
}

static int put_map(struct wr_value_rows *r, const struct wr_value *value, struct wr_node *n)
{
	char *copy;

	r->tagged.len = 0;
	wr_value_put(&r->tagged, value);
	if (wr_bytes_status(&r->tagged) != WR_OK)
		return WR_EFATAL;
	copy = wr_arena_alloc(&r->nodes, r->tagged.len);
	if (!copy)
		return WR_EFATAL;
	memcpy(copy, r->tagged.data, r->tagged.len);
	n->str = copy;
	n->len = (uint32_t)r->tagged.len;
	return WR_OK;
}

/* Writes `value` and what hangs under it at *n, which moves behind it. */
static int put_nodes(struct wr_value_rows *r, const struct wr_value *value, struct wr_node **n)
{
	static const uint8_t types[] = {
	    [WR_V_NIL] = WR_T_NULL,  [WR_V_NULL] = WR_T_NULL, [WR_V_FALSE] = WR_T_BOOL,
	    [WR_V_TRUE] = WR_T_BOOL, [WR_V_F64] = WR_T_F64,   [WR_V_I64] = WR_T_I64,
	    [WR_V_U64] = WR_T_U64,   [WR_V_STR] = WR_T_STR,   [WR_V_BYTES] = WR_T_BYTES,
	    [WR_V_LIST] = WR_T_LIST, [WR_V_MAP] = WR_T_MAP,   [WR_V_RECORD] = WR_T_ROW,
	};
	struct wr_node *node = (*n)++;
	int rc = WR_OK;

	node->type = types[value->tag];
	node->len = value->count;
	if (value->tag == WR_V_MAP)
		return put_map(r, value, node);
	if (value->tag == WR_V_STR || value->tag == WR_V_BYTES) {
		node->str = value->str.p;
		node->len = value->str.len;
	} else if (value->tag == WR_V_LIST || value->tag == WR_V_RECORD) {
		for (uint32_t i = 0; i < value->count && rc == WR_OK; i++) {
			(*n)->key = value->keys ? value->keys[i].str.p : NULL;
			(*n)->key_len = value->keys ? value->keys[i].str.len : 0;
			rc = put_nodes(r, &value->items[i], n);
		}
	} else if (node->type == WR_T_BOOL) {
		node->u64 = value->tag == WR_V_TRUE;
	} else {
		node->u64 = node->type == WR_T_NULL ? 0 : value->u64;
	}
	return rc;
}

int wr_value_rows_emit(struct wr_value_rows *r, const struct wr_value *value, int64_t ts, struct wr_out *out)
{
	struct wr_node *nodes, *end;
	int rc;

	wr_arena_reset(&r->nodes);
	nodes = end = wr_arena_alloc(&r->nodes, node_count(value) * sizeof *nodes);
	if (!nodes)
		return WR_EFATAL;
	rc = put_nodes(r, value, &end);
	return rc == WR_OK ? wr_learner_row(r->learner, nodes, ts, out) : rc;
}

/* ---- back ---- */

static int value_of_cell(const struct wr_cell *cell, struct wr_arena *arena, struct wr_value *out);

static int value_of_body(const struct wr_shape *s, const uint8_t *body, struct wr_arena *arena,
			 struct wr_value *out)
{
	size_t room = s->count - s->hidden + 1;
	int rc = WR_OK;

	*out = (struct wr_value){.tag = WR_V_RECORD};
	out->keys = wr_arena_alloc(arena, room * sizeof *out->keys);
	out->items = wr_arena_alloc(arena, room * sizeof *out->items);
	if (!out->keys || !out->items)
		return WR_EFATAL;
	for (uint32_t i = s->hidden; i < s->count && rc == WR_OK; i++) {
		struct wr_cell cell = wr_row_get(s, body, i);

		if (!cell.type)
			continue;
		out->keys[out->count] =
		    (struct wr_value){.tag = WR_V_STR, .str = {s->fields[i].name, s->fields[i].name_len}};
		rc = value_of_cell(&cell, arena, &out->items[out->count++]);
	}
	return rc;
}

static int value_of_cell(const struct wr_cell *cell, struct wr_arena *arena, struct wr_value *out)
{
	static const uint8_t tags[] = {
	    [WR_T_NULL] = WR_V_NULL, [WR_T_F64] = WR_V_F64, [WR_T_I64] = WR_V_I64,
	    [WR_T_U64] = WR_V_U64,   [WR_T_STR] = WR_V_STR, [WR_T_BYTES] = WR_V_BYTES,
	};
	struct wr_reader tagged;

	switch (cell->type) {
	case WR_T_ROW:
		return value_of_body(wr_shape(cell->child), (const uint8_t *)cell->str.p, arena, out);
	case WR_T_LIST:
	case WR_T_MAP:
	case WR_T_ANY:
		tagged = wr_reader_of(cell->str.p, cell->str.len);
		return wr_value_parse(&tagged, arena, out);
	case WR_T_BOOL:
		*out = (struct wr_value){.tag = cell->u64 ? WR_V_TRUE : WR_V_FALSE};
		return WR_OK;
	case WR_T_STR:
	case WR_T_BYTES:
		*out = (struct wr_value){.tag = (enum wr_tag)tags[cell->type],
					 .str = {cell->str.p, cell->str.len}};
		return WR_OK;
	default:
		*out = (struct wr_value){.tag = (enum wr_tag)tags[cell->type], .u64 = cell->u64};
		return WR_OK;
	}
}

int wr_value_of_row(const struct wr_elem *row, struct wr_arena *arena, struct wr_value *out)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	const uint8_t *body = wr_elem_body(row);
	struct wr_cell cell;

	if (!s->scalar)
		return value_of_body(s, body, arena, out);
	cell = wr_row_get(s, body, s->hidden);
	if (!cell.type)
		*out = (struct wr_value){.tag = WR_V_NIL};
	return cell.type ? value_of_cell(&cell, arena, out) : WR_OK;
}
