/* SPDX-License-Identifier: Apache-2.0 */
/* resolve: schema resolution; see resolve.h.
 *
 * A pair of types is resolved once: types that contain themselves meet their own step. A pair that fails
 * turns its step into one that says so, for others may hold it already.
 */
#include "avro/resolve.h"

#include "base/error.h"

enum {
	NESTED_MAX = 512,    /* pairs under way: bounds the recursion */
	PAIRS_MAX = 1 << 17, /* more than any schema has types; two could meet in as many as their product */
	BUCKETS = 1 << 12,
};

struct pair {
	const struct wr_avro_type *writer, *reader;
	struct wr_avro_step *step;
	struct pair *next;
};
struct resolver {
	struct wr_arena *arena;
	struct pair *buckets[BUCKETS]; /* by both types; newest first */
	uint32_t pairs;
	unsigned nested;
};

static const struct wr_avro_step *resolve(struct resolver *r, const struct wr_avro_type *w,
					  const struct wr_avro_type *to);

/* ---- which types go together, at first sight ---- */

static bool is_alias(const struct wr_str *aliases, uint32_t count, struct wr_str name)
{
	for (uint32_t i = 0; i < count; i++)
		if (wr_avro_same(aliases[i], name))
			return true;
	return false;
}

static bool names_match(const struct wr_avro_type *w, const struct wr_avro_type *to)
{
	return wr_avro_same(wr_avro_last_name(w->name), wr_avro_last_name(to->name)) ||
	       is_alias(to->aliases, to->alias_count, w->name);
}

static bool is_promoted(enum wr_avro_kind w, enum wr_avro_kind to)
{
	if (w >= WR_AVRO_INT && w <= WR_AVRO_FLOAT)
		return to > w && to <= WR_AVRO_DOUBLE;
	return (w == WR_AVRO_BYTES && to == WR_AVRO_STRING) || (w == WR_AVRO_STRING && to == WR_AVRO_BYTES);
}

static bool is_alike(const struct wr_avro_type *w, const struct wr_avro_type *to)
{
	return w->kind == to->kind && (w->kind != WR_AVRO_FIXED || w->size == to->size);
}

static int mismatch(const struct wr_avro_type *w, const struct wr_avro_type *to)
{
	if (w->kind != to->kind)
		return wr_error_set(WR_EUSER, "%s cannot be read as %s", wr_avro_kind_name(w->kind),
				    wr_avro_kind_name(to->kind));
	return wr_error_set(WR_EUSER, "the %s '%.*s' cannot be read as '%.*s'", wr_avro_kind_name(w->kind),
			    (int)w->name.len, w->name.p, (int)to->name.len, to->name.p);
}

/* ---- steps by kind ---- */

static int resolve_enum(struct resolver *r, const struct wr_avro_type *w, const struct wr_avro_type *to,
			struct wr_avro_step *s)
{
	struct wr_str *symbols = wr_arena_alloc(r->arena, (w->count + 1ull) * sizeof *symbols);

	if (!symbols)
		return WR_EFATAL;
	for (uint32_t i = 0; i < w->count; i++) {
		symbols[i] = (struct wr_str){NULL, 0};
		if (to->fallback >= 0)
			symbols[i] = to->symbols[to->fallback];
		for (uint32_t k = 0; k < to->count; k++)
			if (wr_avro_same(w->symbols[i], to->symbols[k]))
				symbols[i] = to->symbols[k];
	}
	s->symbols = symbols;
	s->count = w->count;
	return WR_OK;
}

static const char *why_not(struct resolver *r)
{
	const char *text = wr_error_text();

	return wr_arena_strndup(r->arena, text, strlen(text));
}

/* Each of the union's types by itself: one that cannot be read shows when it comes. */
static int resolve_union(struct resolver *r, const struct wr_avro_type *w, const struct wr_avro_type *to,
			 struct wr_avro_step *s)
{
	uint32_t good = 0;

	s->items = wr_arena_alloc(r->arena, w->count * sizeof *s->items);
	if (!s->items)
		return WR_EFATAL;
	for (; s->count < w->count; s->count++) {
		const struct wr_avro_step *item = resolve(r, w->items[s->count], to);
		struct wr_avro_step *wrong;

		if (!item && wr_error_code() != WR_EUSER)
			return wr_error_code();
		good += item != NULL;
		s->items[s->count] = item;
		if (item)
			continue;
		s->items[s->count] = wrong = wr_arena_alloc(r->arena, sizeof *wrong);
		if (!wrong)
			return WR_EFATAL;
		*wrong = (struct wr_avro_step){.op = WR_AVRO_WRONG, .why = why_not(r)};
		if (!wrong->why)
			return WR_EFATAL;
	}
	return good ? WR_OK : WR_EUSER;
}

static const struct wr_avro_field *field_for(const struct wr_avro_type *to, struct wr_str name)
{
	for (uint32_t i = 0; i < to->count; i++)
		if (wr_avro_same(to->fields[i].name, name))
			return &to->fields[i];
	for (uint32_t i = 0; i < to->count; i++)
		if (is_alias(to->fields[i].aliases, to->fields[i].alias_count, name))
			return &to->fields[i];
	return NULL;
}

static bool has_member(const struct wr_avro_step *s, struct wr_str name)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->members[i].name.p && wr_avro_same(s->members[i].name, name))
			return true;
	return false;
}

static int resolve_member(struct resolver *r, const struct wr_avro_field *from,
			  const struct wr_avro_field *to, struct wr_avro_member *m)
{
	*m = (struct wr_avro_member){.name = to ? to->name : (struct wr_str){NULL, 0}};
	m->step = resolve(r, from->type, to ? to->type : from->type);
	if (m->step)
		return WR_OK;
	if (wr_error_code() != WR_EUSER)
		return wr_error_code();
	return wr_error_wrap(WR_EUSER, "field '%.*s'", (int)from->name.len, from->name.p);
}

static int resolve_missing(struct resolver *r, const struct wr_avro_type *to, struct wr_avro_step *s)
{
	for (uint32_t i = 0; i < to->count; i++) {
		const struct wr_avro_field *f = &to->fields[i];
		struct wr_avro_member *m = &s->members[s->count + s->fallback_count];

		if (has_member(s, f->name))
			continue;
		if (!f->fallback.p)
			return wr_error_set(
			    WR_EUSER, "the field '%.*s' is not written, and the schema has no default for it",
			    (int)f->name.len, f->name.p);
		*m = (struct wr_avro_member){resolve(r, f->type, f->type), f->name, f->fallback};
		if (!m->step)
			return wr_error_code();
		s->fallback_count++;
	}
	return WR_OK;
}

static int resolve_record(struct resolver *r, const struct wr_avro_type *w, const struct wr_avro_type *to,
			  struct wr_avro_step *s)
{
	int rc = WR_OK;

	s->members = wr_arena_alloc(r->arena, ((size_t)w->count + to->count + 1) * sizeof *s->members);
	if (!s->members)
		return WR_EFATAL;
	for (uint32_t i = 0; i < w->count && rc == WR_OK; i++) {
		const struct wr_avro_field *f = field_for(to, w->fields[i].name);

		if (f && has_member(s, f->name))
			f = NULL;
		rc = resolve_member(r, &w->fields[i], f, &s->members[i]);
		s->count = i + 1;
	}
	return rc == WR_OK ? resolve_missing(r, to, s) : rc;
}

static int resolve_items(struct resolver *r, const struct wr_avro_type *w, const struct wr_avro_type *to,
			 struct wr_avro_step *s)
{
	s->items = wr_arena_alloc(r->arena, sizeof *s->items);
	if (!s->items)
		return WR_EFATAL;
	s->items[0] = resolve(r, w->items[0], to->items[0]);
	return s->items[0] ? WR_OK : wr_error_code();
}

/* ---- pairs ---- */

/* The reader's type for values of `w`, where the reader has a union: the one of its whole name, else the
 * first that is alike, by name if it has one, else the first that it can be promoted to. */
static const struct wr_avro_type *pick(const struct wr_avro_type *w, const struct wr_avro_type *to)
{
	for (uint32_t i = 0; i < to->count; i++)
		if (is_alike(w, to->items[i]) && wr_avro_same(w->name, to->items[i]->name))
			return to->items[i];
	for (uint32_t i = 0; i < to->count; i++)
		if (is_alike(w, to->items[i]) && (!w->name.p || names_match(w, to->items[i])))
			return to->items[i];
	for (uint32_t i = 0; i < to->count; i++)
		if (is_alike(w, to->items[i]) || is_promoted(w->kind, to->items[i]->kind))
			return to->items[i];
	return NULL;
}

static int fill(struct resolver *r, const struct wr_avro_type *w, const struct wr_avro_type *to,
		struct wr_avro_step *s)
{
	if (w->kind == WR_AVRO_UNION)
		return resolve_union(r, w, to, s);
	if (is_promoted(w->kind, to->kind)) {
		s->as_float = to->kind == WR_AVRO_FLOAT;
		s->as_double = to->kind == WR_AVRO_DOUBLE;
		return WR_OK;
	}
	if (!is_alike(w, to) || (w->name.p && !names_match(w, to)))
		return mismatch(w, to);
	s->decimal = w->decimal && to->decimal;
	s->scale = w->scale;
	s->size = w->size;
	switch (w->kind) {
	case WR_AVRO_ENUM:
		return resolve_enum(r, w, to, s);
	case WR_AVRO_ARRAY:
	case WR_AVRO_MAP:
		return resolve_items(r, w, to, s);
	case WR_AVRO_RECORD:
		return resolve_record(r, w, to, s);
	default:
		return WR_OK;
	}
}

static struct pair **bucket_of(struct resolver *r, const struct wr_avro_type *w,
			       const struct wr_avro_type *to)
{
	return &r->buckets[((uintptr_t)w / sizeof *w * 31 + (uintptr_t)to / sizeof *to) % BUCKETS];
}

static struct pair *pair_new(struct resolver *r, const struct wr_avro_type *w, const struct wr_avro_type *to)
{
	struct pair *p = wr_arena_alloc(r->arena, sizeof *p);
	struct wr_avro_step *s = p ? wr_arena_alloc(r->arena, sizeof *s) : NULL;
	struct pair **bucket = bucket_of(r, w, to);

	if (!s)
		return NULL;
	*s = (struct wr_avro_step){.kind = w->kind};
	*p = (struct pair){w, to, s, *bucket};
	*bucket = p;
	r->pairs++;
	return p;
}

static const struct wr_avro_step *resolve_pair(struct resolver *r, const struct wr_avro_type *w,
					       const struct wr_avro_type *to)
{
	struct pair *p = pair_new(r, w, to);
	int rc = p ? fill(r, w, to, p->step) : WR_EFATAL;

	if (rc == WR_EUSER) {
		const char *why = why_not(r);

		*p->step = (struct wr_avro_step){.op = WR_AVRO_WRONG, .why = why ? why : ""};
	}
	return rc == WR_OK ? p->step : NULL;
}

static const struct wr_avro_step *resolve(struct resolver *r, const struct wr_avro_type *w,
					  const struct wr_avro_type *to)
{
	const struct wr_avro_type *one =
	    w->kind != WR_AVRO_UNION && to->kind == WR_AVRO_UNION ? pick(w, to) : to;
	const struct wr_avro_step *s;

	if (!one) {
		mismatch(w, to);
		return NULL;
	}
	for (const struct pair *p = *bucket_of(r, w, one); p; p = p->next) {
		if (p->writer != w || p->reader != one)
			continue;
		if (p->step->op == WR_AVRO_READ)
			return p->step;
		wr_error_set(WR_EUSER, "%s", p->step->why);
		return NULL;
	}
	if (r->nested == NESTED_MAX || r->pairs == PAIRS_MAX) {
		wr_error_set(WR_EUSER, "the schemas are nested too deep or too large");
		return NULL;
	}
	r->nested++;
	s = resolve_pair(r, w, one);
	r->nested--;
	return s;
}

const struct wr_avro_step *wr_avro_resolve(const struct wr_avro_type *writer,
					   const struct wr_avro_type *reader, struct wr_arena *arena)
{
	struct resolver r = {.arena = arena};

	return resolve(&r, writer, reader);
}
