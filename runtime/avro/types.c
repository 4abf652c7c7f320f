/* SPDX-License-Identifier: Apache-2.0 */
/* types: from the JSON text of an Avro schema to its types; see types.h. Pure.
 *
 * The parser of JSON stays with the schema, for the strings of its nodes are names and symbols. Avro's own
 * library for C is none of ours: it knows neither defaults nor logical types, and takes fields that stand
 * twice and sizes below zero.
 */
#include "avro/types.h"

#include "avro/fallback.h"
#include "base/error.h"
#include "format/json_reader.h"

enum {
	DECIMAL_PRECISION_MAX = 1000, /* digits */
	FIXED_SIZE_MAX = 1 << 24,     /* bytes */
	NODES_MAX = 1 << 17,	      /* of the schema: names are compared each with each */
	SYMBOLS_MAX = 1 << 14,	      /* of an enum, likewise */
};

struct wr_avro_schema {
	struct wr_json *json;
	int64_t charged; /* of the parser's own memory */
	struct wr_arena arena;
	const struct wr_avro_type *type;
	struct wr_avro_type *named; /* newest first */
};

static struct wr_mem mem = WR_MEM_INIT("avro.schema");
static struct wr_mem json_mem = WR_MEM_INIT("avro.simdjson");

static const char *const kind_names[WR_AVRO_KINDS] = {
    "null",   "boolean", "int",	 "long",  "float", "double", "bytes",
    "string", "fixed",	 "enum", "array", "map",   "union",  "record",
};

const char *wr_avro_kind_name(enum wr_avro_kind kind)
{
	return kind_names[kind];
}

struct wr_str wr_avro_last_name(struct wr_str name)
{
	for (uint32_t i = name.len; i > 0; i--)
		if (name.p[i - 1] == '.')
			return (struct wr_str){name.p + i, name.len - i};
	return name;
}

/* ---- JSON ---- */

/* Member of an object, or NULL. */
static const struct wr_node *member(const struct wr_node *n, const char *name)
{
	const struct wr_node *m = n + 1;
	size_t len = strlen(name);

	for (uint32_t i = 0; n->type == WR_T_ROW && i < n->len; i++, m = wr_node_skip(m))
		if (m->key_len == len && memcmp(m->key, name, len) == 0)
			return m;
	return NULL;
}

static bool is_str(const struct wr_node *n, const char *text)
{
	return n && n->type == WR_T_STR && n->len == strlen(text) && memcmp(n->str, text, n->len) == 0;
}

static struct wr_str str_of(const struct wr_node *n)
{
	return n && n->type == WR_T_STR ? (struct wr_str){n->str, n->len} : (struct wr_str){NULL, 0};
}

/* A whole number in [0, max]; -1: it is none. */
static int64_t count_of(const struct wr_node *n, int64_t max)
{
	if (!n || n->type != WR_T_F64 || !(n->f64 >= 0 && n->f64 <= (double)max) ||
	    n->f64 != (double)(int64_t)n->f64)
		return -1;
	return (int64_t)n->f64;
}

/* ---- names ---- */

static bool is_name(struct wr_str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		      (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return s.len > 0;
}

static bool is_path(struct wr_str s)
{
	uint32_t from = 0;

	for (uint32_t i = 0; i <= s.len; i++) {
		if (i < s.len && s.p[i] != '.')
			continue;
		if (!is_name((struct wr_str){s.p + from, i - from}))
			return false;
		from = i + 1;
	}
	return true;
}

static int full_name(struct wr_avro_schema *s, struct wr_str name, struct wr_str space, struct wr_str *out)
{
	char *to;

	*out = name;
	if (!space.len || (name.len && memchr(name.p, '.', name.len)))
		return WR_OK;
	to = wr_arena_alloc(&s->arena, (size_t)space.len + 1 + name.len);
	if (!to)
		return WR_EFATAL;
	memcpy(to, space.p, space.len);
	to[space.len] = '.';
	if (name.len)
		memcpy(to + space.len + 1, name.p, name.len);
	*out = (struct wr_str){to, space.len + 1 + name.len};
	return WR_OK;
}

static struct wr_str space_of(struct wr_str name)
{
	uint32_t last = wr_avro_last_name(name).len;

	return (struct wr_str){name.p, last < name.len ? name.len - last - 1 : 0};
}

static const struct wr_avro_type *find(const struct wr_avro_schema *s, struct wr_str name)
{
	for (const struct wr_avro_type *t = s->named; t; t = t->next)
		if (wr_avro_same(t->name, name))
			return t;
	return NULL;
}

/* The option "aliases" of `n`: names, in `space` unless they have one. */
static int read_aliases(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
			const struct wr_str **aliases, uint32_t *count)
{
	const struct wr_node *list = member(n, "aliases"), *m;
	struct wr_str *to;
	int rc = WR_OK;

	if (!list)
		return WR_OK;
	if (list->type != WR_T_LIST)
		return wr_error_set(WR_EUSER, "\"aliases\" is no list");
	to = wr_arena_alloc(&s->arena, (list->len + 1ull) * sizeof *to);
	if (!to)
		return WR_EFATAL;
	m = list + 1;
	for (uint32_t i = 0; i < list->len && rc == WR_OK; i++, m = wr_node_skip(m)) {
		if (m->type != WR_T_STR || !is_path(str_of(m)))
			return wr_error_set(WR_EUSER, "\"aliases\" has what is no name");
		rc = full_name(s, str_of(m), space, &to[i]);
	}
	*aliases = to;
	*count = list->len;
	return rc;
}

/* Name, namespace and aliases of a named type, which is known from here on. */
static int read_name(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
		     struct wr_avro_type *t)
{
	struct wr_str name = str_of(member(n, "name"));
	const struct wr_node *given = member(n, "namespace");
	int rc;

	if (!name.p || !is_path(name))
		return wr_error_set(WR_EUSER, "a type '%s' needs a \"name\" of letters, digits and '_'",
				    kind_names[t->kind]);
	if (given && given->type == WR_T_STR) {
		space = str_of(given);
		if (space.len && !is_path(space))
			return wr_error_set(WR_EUSER, "the namespace '%.*s' is no name", (int)space.len,
					    space.p);
	}
	rc = full_name(s, name, space, &t->name);
	if (rc == WR_OK && find(s, t->name))
		return wr_error_set(WR_EUSER, "the type '%.*s' is defined twice", (int)t->name.len,
				    t->name.p);
	if (rc == WR_OK)
		rc = read_aliases(s, n, space_of(t->name), &t->aliases, &t->alias_count);
	t->next = s->named;
	s->named = t;
	return rc;
}

/* ---- types ---- */

static int read_type(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
		     const struct wr_avro_type **out);

static int read_enum(struct wr_avro_schema *s, const struct wr_node *n, struct wr_avro_type *t)
{
	const struct wr_node *list = member(n, "symbols"), *given = member(n, "default"), *m;
	struct wr_str *to;

	if (!list || list->type != WR_T_LIST)
		return wr_error_set(WR_EUSER, "an enum needs a list of \"symbols\"");
	if (list->len > SYMBOLS_MAX)
		return wr_error_set(WR_EUSER, "an enum has more than %d symbols", SYMBOLS_MAX);
	to = wr_arena_alloc(&s->arena, (list->len + 1ull) * sizeof *to);
	if (!to)
		return WR_EFATAL;
	m = list + 1;
	for (; t->count < list->len; t->count++, m = wr_node_skip(m)) {
		struct wr_str symbol = str_of(m);

		if (!symbol.p || !is_name(symbol))
			return wr_error_set(WR_EUSER, "symbol %u is no name", t->count + 1);
		for (uint32_t i = 0; i < t->count; i++)
			if (wr_avro_same(to[i], symbol))
				return wr_error_set(WR_EUSER, "the symbol '%.*s' stands twice",
						    (int)symbol.len, symbol.p);
		to[t->count] = symbol;
	}
	t->symbols = to;
	for (uint32_t i = 0; given && i < t->count; i++)
		if (wr_avro_same(to[i], str_of(given)))
			t->fallback = (int32_t)i;
	return given && t->fallback < 0 ? wr_error_set(WR_EUSER, "the default is none of the symbols")
					: WR_OK;
}

/* A logical type that does not fit is passed over, as the specification has it; a number has bytes. */
static void read_decimal(const struct wr_node *n, struct wr_avro_type *t)
{
	int64_t precision = count_of(member(n, "precision"), DECIMAL_PRECISION_MAX);
	int64_t scale = member(n, "scale") ? count_of(member(n, "scale"), precision) : 0;

	if (!is_str(member(n, "logicalType"), "decimal") || precision < 1 || scale < 0)
		return;
	t->decimal = true;
	t->precision = (uint32_t)precision;
	t->scale = (uint32_t)scale;
}

static int read_fixed(const struct wr_node *n, struct wr_avro_type *t)
{
	int64_t size = count_of(member(n, "size"), FIXED_SIZE_MAX);

	if (size < 0)
		return wr_error_set(WR_EUSER, "\"size\" is a whole number from 0 to %d", FIXED_SIZE_MAX);
	t->size = (uint32_t)size;
	if (size)
		read_decimal(n, t);
	return WR_OK;
}

static int read_field(struct wr_avro_schema *s, const struct wr_node *n, struct wr_avro_type *t)
{
	struct wr_avro_field *f = &t->fields[t->count];
	struct wr_str name = str_of(member(n, "name"));
	int rc;

	if (!name.p || !is_name(name))
		return wr_error_set(WR_EUSER, "field %u needs a \"name\" of letters, digits and '_'",
				    t->count + 1);
	for (uint32_t i = 0; i < t->count; i++)
		if (wr_avro_same(t->fields[i].name, name))
			return wr_error_set(WR_EUSER, "the field '%.*s' stands twice", (int)name.len, name.p);
	*f = (struct wr_avro_field){.name = name, .fallback_json = member(n, "default")};
	rc = member(n, "type") ? read_type(s, member(n, "type"), space_of(t->name), &f->type)
			       : wr_error_set(WR_EUSER, "it has no \"type\"");
	if (rc == WR_OK)
		rc = read_aliases(s, n, (struct wr_str){NULL, 0}, &f->aliases, &f->alias_count);
	t->count++;
	return rc == WR_EUSER ? wr_error_wrap(rc, "field '%.*s'", (int)name.len, name.p) : rc;
}

static int read_record(struct wr_avro_schema *s, const struct wr_node *n, struct wr_avro_type *t)
{
	const struct wr_node *list = member(n, "fields"), *m;
	int rc = WR_OK;

	if (!list || list->type != WR_T_LIST)
		return wr_error_set(WR_EUSER, "the record '%.*s' needs a list of \"fields\"",
				    (int)t->name.len, t->name.p);
	if (list->len > WR_FIELDS_MAX)
		return wr_error_set(WR_EUSER, "the record '%.*s' has more than %d fields", (int)t->name.len,
				    t->name.p, WR_FIELDS_MAX);
	t->fields = wr_arena_alloc(&s->arena, (list->len + 1ull) * sizeof *t->fields);
	if (!t->fields)
		return WR_EFATAL;
	m = list + 1;
	for (uint32_t i = 0; i < list->len && rc == WR_OK; i++, m = wr_node_skip(m))
		rc = read_field(s, m, t);
	return rc;
}

static int read_items(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
		      struct wr_avro_type *t)
{
	const char *name = t->kind == WR_AVRO_ARRAY ? "items" : "values";
	const struct wr_node *item = member(n, name);

	if (!item)
		return wr_error_set(WR_EUSER, "a type '%s' needs \"%s\"", kind_names[t->kind], name);
	t->items = wr_arena_alloc(&s->arena, sizeof *t->items);
	return t->items ? read_type(s, item, space, &t->items[0]) : WR_EFATAL;
}

/* Two types that a union could not tell apart. */
static bool same_branch(const struct wr_avro_type *a, const struct wr_avro_type *b)
{
	return a->kind == b->kind && wr_avro_same(a->name, b->name);
}

static int read_union(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
		      struct wr_avro_type *t)
{
	const struct wr_node *m = n + 1;
	int rc;

	t->items = wr_arena_alloc(&s->arena, (n->len + 1ull) * sizeof *t->items);
	if (!t->items)
		return WR_EFATAL;
	for (; t->count < n->len; t->count++, m = wr_node_skip(m)) {
		rc = read_type(s, m, space, &t->items[t->count]);
		if (rc != WR_OK)
			return rc;
		if (t->items[t->count]->kind == WR_AVRO_UNION)
			return wr_error_set(WR_EUSER, "a union stands in a union");
		for (uint32_t i = 0; i < t->count; i++)
			if (same_branch(t->items[i], t->items[t->count]))
				return wr_error_set(WR_EUSER, "a union has the type '%s' twice",
						    kind_names[t->items[i]->kind]);
	}
	return t->count ? WR_OK : wr_error_set(WR_EUSER, "a union has no type");
}

static struct wr_avro_type *type_new(struct wr_avro_schema *s, enum wr_avro_kind kind)
{
	struct wr_avro_type *t = wr_arena_alloc(&s->arena, sizeof *t);

	if (t)
		*t = (struct wr_avro_type){.kind = kind, .fallback = -1};
	return t;
}

static bool is_named(enum wr_avro_kind kind)
{
	return kind == WR_AVRO_FIXED || kind == WR_AVRO_ENUM || kind == WR_AVRO_RECORD;
}

/* A type of this kind; `n`: the object that says more of it, or the name alone. */
static int read_kind(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
		     enum wr_avro_kind kind, const struct wr_avro_type **out)
{
	struct wr_avro_type *t = type_new(s, kind);
	int rc = t ? WR_OK : WR_EFATAL;

	*out = t;
	if (rc == WR_OK && is_named(kind))
		rc = read_name(s, n, space, t);
	if (rc != WR_OK)
		return rc;
	switch (kind) {
	case WR_AVRO_BYTES:
		read_decimal(n, t);
		return WR_OK;
	case WR_AVRO_FIXED:
		return read_fixed(n, t);
	case WR_AVRO_ENUM:
		return read_enum(s, n, t);
	case WR_AVRO_RECORD:
		return read_record(s, n, t);
	case WR_AVRO_ARRAY:
	case WR_AVRO_MAP:
		return read_items(s, n, space, t);
	default:
		return WR_OK;
	}
}

/* A type by name: one of Avro's, which `n` says more of, or one that was defined before. */
static int read_named(struct wr_avro_schema *s, struct wr_str name, const struct wr_node *n,
		      struct wr_str space, const struct wr_avro_type **out)
{
	struct wr_str full;
	int rc;

	if (name.len == 5 && memcmp(name.p, "error", 5) == 0)
		return read_kind(s, n, space, WR_AVRO_RECORD, out);
	for (int kind = 0; kind < WR_AVRO_KINDS; kind++) {
		bool alone = kind <= WR_AVRO_STRING;

		if (kind != WR_AVRO_UNION && strlen(kind_names[kind]) == name.len &&
		    memcmp(kind_names[kind], name.p, name.len) == 0 && (alone || n->type == WR_T_ROW))
			return read_kind(s, n, space, (enum wr_avro_kind)kind, out);
	}
	rc = full_name(s, name, space, &full);
	if (rc != WR_OK)
		return rc;
	*out = find(s, full);
	if (!*out)
		*out = find(s, name);
	return *out ? WR_OK
		    : wr_error_set(WR_EUSER, "there is no type '%.*s'",
				   (int)(name.len < 100 ? name.len : 100), name.p);
}

static int read_type(struct wr_avro_schema *s, const struct wr_node *n, struct wr_str space,
		     const struct wr_avro_type **out)
{
	const struct wr_node *inner;
	struct wr_avro_type *t;

	if (n->type == WR_T_STR)
		return read_named(s, str_of(n), n, space, out);
	if (n->type == WR_T_LIST) {
		*out = t = type_new(s, WR_AVRO_UNION);
		return t ? read_union(s, n, space, t) : WR_EFATAL;
	}
	inner = member(n, "type");
	if (!inner)
		return wr_error_set(WR_EUSER, "a type is a name, a list of types or an object with \"type\"");
	return inner->type == WR_T_STR ? read_named(s, str_of(inner), n, space, out)
				       : read_type(s, inner, space, out);
}

/* ---- the whole ---- */

/* Defaults can be checked once all types are known. */
static int read_fallbacks(struct wr_avro_schema *s)
{
	int rc = WR_OK;

	for (struct wr_avro_type *t = s->named; t; t = t->next)
		for (uint32_t i = 0; t->kind == WR_AVRO_RECORD && i < t->count && rc == WR_OK; i++)
			if (t->fields[i].fallback_json)
				rc = wr_avro_fallback(&t->fields[i], &s->arena);
	return rc;
}

static int parse(struct wr_avro_schema *s, const char *text, size_t len)
{
	uint8_t *padded = wr_arena_alloc(&s->arena, len + WR_JSON_PADDING);
	const char *wrong;
	struct wr_node *nodes;
	size_t count;
	int rc;

	if (!padded)
		return WR_EFATAL;
	memset(padded + len, 0, WR_JSON_PADDING);
	if (len)
		memcpy(padded, text, len);
	wrong = wr_json_parse(s->json, padded, len);
	s->charged = (int64_t)wr_json_bytes(s->json);
	wr_mem_charge(&json_mem, s->charged);
	if (wrong)
		return wr_error_set(WR_EUSER, "it is no JSON: %s", wrong);
	count = wr_json_nodes(s->json, NULL, 0);
	if (!count)
		return wr_error_set(WR_EUSER, "it is nested too deep");
	if (count > NODES_MAX)
		return wr_error_set(WR_EUSER, "it has more than %d values", NODES_MAX);
	nodes = wr_arena_alloc(&s->arena, count * sizeof *nodes);
	if (!nodes)
		return WR_EFATAL;
	wr_json_nodes(s->json, nodes, count);
	rc = read_type(s, nodes, (struct wr_str){NULL, 0}, &s->type);
	return rc == WR_OK ? read_fallbacks(s) : rc;
}

struct wr_avro_schema *wr_avro_schema_new(const char *text, size_t len)
{
	struct wr_avro_schema *s = wr_zalloc(&mem, sizeof *s);
	int rc;

	if (!s)
		return NULL;
	wr_arena_init(&s->arena, &mem);
	s->json = wr_json_new();
	rc = s->json ? parse(s, text, len) : wr_error_nomem(0, "a JSON parser");
	if (rc == WR_OK)
		return s;
	wr_avro_schema_free(s);
	return NULL;
}

void wr_avro_schema_free(struct wr_avro_schema *s)
{
	if (!s)
		return;
	if (s->json)
		wr_json_free(s->json);
	wr_mem_charge(&json_mem, -s->charged);
	wr_arena_deinit(&s->arena);
	wr_free(&mem, s);
}

const struct wr_avro_type *wr_avro_schema_type(const struct wr_avro_schema *s)
{
	return s->type;
}
