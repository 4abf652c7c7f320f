/* SPDX-License-Identifier: Apache-2.0 */
/* message: simdjson's nodes become a tree of values, which the rest of the program reads. */
#include "control/message.h"

#include <math.h>
#include "base/error.h"
#include "format/json_reader.h"
#include "record/shape.h"

struct wr_messages {
	struct wr_json *json;
	struct wr_bytes text; /* with what the parser reads beyond its end */
	struct wr_arena arena;
};

static struct wr_mem mem = WR_MEM_INIT("control.message");

struct wr_messages *wr_messages_new(void)
{
	struct wr_messages *m = wr_zalloc(&mem, sizeof *m);

	if (!m)
		return NULL;
	wr_arena_init(&m->arena, &mem);
	m->json = wr_json_new();
	if (m->json)
		return m;
	wr_error_nomem(0, mem.name);
	wr_messages_free(m);
	return NULL;
}

void wr_messages_free(struct wr_messages *m)
{
	if (!m)
		return;
	wr_json_free(m->json);
	wr_bytes_deinit(&m->text);
	wr_arena_deinit(&m->arena);
	wr_free(&mem, m);
}

static int take_text(struct wr_messages *m, const char *p, size_t len, struct wr_value *out)
{
	out->tag = WR_V_STR;
	out->str.p = wr_arena_strndup(&m->arena, p, len);
	out->str.len = (uint32_t)len;
	return out->str.p ? WR_OK : WR_EFATAL;
}

static int take(struct wr_messages *m, const struct wr_node **at, struct wr_value *out);

static int take_members(struct wr_messages *m, const struct wr_node **at, uint32_t count,
			struct wr_value *out)
{
	bool named = out->tag == WR_V_RECORD;
	int rc = WR_OK;

	out->items = wr_arena_alloc(&m->arena, (count + 1) * sizeof *out->items);
	out->keys = named ? wr_arena_alloc(&m->arena, (count + 1) * sizeof *out->keys) : NULL;
	if (!out->items || (named && !out->keys))
		return WR_EFATAL;
	for (; out->count < count && rc == WR_OK; out->count++) {
		const struct wr_node *n = *at;
		struct wr_value key;

		if (named)
			rc = take_text(m, n->key, n->key_len, &key);
		if (rc == WR_OK && named && wr_value_get(out, key.str.p))
			rc = wr_error_set(WR_EUSER, "\"%s\" is said twice", key.str.p);
		if (rc == WR_OK)
			rc = take(m, at, &out->items[out->count]);
		if (named)
			out->keys[out->count] = key;
	}
	return rc;
}

/* The value of the node at *at, which moves behind it. */
static int take(struct wr_messages *m, const struct wr_node **at, struct wr_value *out)
{
	const struct wr_node *n = (*at)++;

	*out = (struct wr_value){.tag = WR_V_NIL};
	switch (n->type) {
	case WR_T_BOOL:
		out->tag = n->u64 ? WR_V_TRUE : WR_V_FALSE;
		return WR_OK;
	case WR_T_F64:
		out->tag = WR_V_F64;
		out->f64 = n->f64;
		return WR_OK;
	case WR_T_I64:
		out->tag = WR_V_I64;
		out->i64 = n->i64;
		return WR_OK;
	case WR_T_U64:
		out->tag = WR_V_U64;
		out->u64 = n->u64;
		return WR_OK;
	case WR_T_STR:
		return take_text(m, n->str, n->len, out);
	case WR_T_LIST:
	case WR_T_ROW:
		out->tag = n->type == WR_T_ROW ? WR_V_RECORD : WR_V_LIST;
		return take_members(m, at, n->len, out);
	default:
		return WR_OK;
	}
}

int wr_messages_parse(struct wr_messages *m, const char *line, size_t len, const struct wr_value **out)
{
	struct wr_value *value;
	const struct wr_node *at;
	struct wr_node *nodes;
	const char *wrong;
	size_t count;
	int rc;

	wr_arena_reset(&m->arena);
	m->text.len = 0;
	wr_bytes_put(&m->text, line, len);
	if (!wr_bytes_room(&m->text, WR_JSON_PADDING))
		return WR_EFATAL;
	wrong = wr_json_parse(m->json, m->text.data, len);
	if (wrong)
		return wr_error_set(WR_EUSER, "no JSON: %s", wrong);
	count = wr_json_nodes(m->json, NULL, 0);
	if (!count)
		return wr_error_set(WR_EUSER, "no JSON: nested deeper than %d", WR_JSON_DEPTH_MAX);
	nodes = wr_arena_alloc(&m->arena, count * sizeof *nodes);
	value = wr_arena_alloc(&m->arena, sizeof *value);
	if (!nodes || !value)
		return WR_EFATAL;
	wr_json_nodes(m->json, nodes, count);
	if (nodes[0].type != WR_T_ROW)
		return wr_error_set(WR_EUSER, "no JSON object");
	at = nodes;
	rc = take(m, &at, value);
	*out = value;
	return rc;
}

/* ---- fields ---- */

int wr_message_text(const struct wr_value *message, const char *name, const char **out)
{
	const struct wr_value *field = wr_value_get(message, name);

	if (!field)
		return WR_OK;
	if (field->tag != WR_V_STR || strlen(field->str.p) != field->str.len)
		return wr_error_set(WR_EUSER, "\"%s\" must be a text", name);
	*out = field->str.p;
	return WR_OK;
}

int wr_message_flag(const struct wr_value *message, const char *name, bool *out)
{
	const struct wr_value *field = wr_value_get(message, name);

	if (!field)
		return WR_OK;
	if (field->tag != WR_V_TRUE && field->tag != WR_V_FALSE)
		return wr_error_set(WR_EUSER, "\"%s\" must be true or false", name);
	*out = field->tag == WR_V_TRUE;
	return WR_OK;
}

int wr_message_int(const struct wr_value *message, const char *name, int64_t *out)
{
	const struct wr_value *field = wr_value_get(message, name);

	if (!field)
		return WR_OK;
	if (field->tag != WR_V_F64 || !(fabs(field->f64) <= 0x1p53) || field->f64 != trunc(field->f64))
		return wr_error_set(WR_EUSER, "\"%s\" must be a whole number", name);
	*out = (int64_t)field->f64;
	return WR_OK;
}
