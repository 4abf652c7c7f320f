/* SPDX-License-Identifier: Apache-2.0 */
/* difference: see difference.h. */
#include "cluster/difference.h"

#include <inttypes.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"

/* An operator of a plan, and what it is part of. */
struct place {
	const struct wr_plan_vertex *vertex;
	const struct wr_plan_stage *stage;
	uint32_t number; /* in the stage */
};

static struct wr_mem mem = WR_MEM_INIT("cluster.difference");
static const char *const kinds[] = {"value", "list", "map", "reducing", "aggregating"};

/* ---- equality ---- */

/* What two versions of a script may differ in although the tasks are the same: where an operator stands in
 * the text, and what its functions are made of. */
static bool is_text(const char *name)
{
	return !strcmp(name, "sign") || !strcmp(name, "code") || !strcmp(name, "where");
}

/* Elsewhere a name may be the script's: of a column. */
static bool is_operator(const struct wr_value *record)
{
	return wr_value_get(record, "uid") && wr_value_get(record, "sign");
}

static bool same(const struct wr_value *a, const struct wr_value *b);

static bool same_fields(const struct wr_value *a, const struct wr_value *b)
{
	bool texts = is_operator(a) && is_operator(b);
	uint32_t i = 0, k = 0;

	for (;;) {
		while (texts && i < a->count && is_text(a->keys[i].str.p))
			i++;
		while (texts && k < b->count && is_text(b->keys[k].str.p))
			k++;
		if (i == a->count || k == b->count)
			return i == a->count && k == b->count;
		if (strcmp(a->keys[i].str.p, b->keys[k].str.p) || !same(&a->items[i], &b->items[k]))
			return false;
		i++, k++;
	}
}

static bool same_items(const struct wr_value *a, const struct wr_value *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (!same(&a->items[i], &b->items[i]) ||
		    (a->tag == WR_V_MAP && !same(&a->keys[i], &b->keys[i])))
			return false;
	return true;
}

static bool same(const struct wr_value *a, const struct wr_value *b)
{
	if (!a || !b)
		return a == b;
	if (a->tag != b->tag)
		return false;
	switch (a->tag) {
	case WR_V_F64:
	case WR_V_I64:
	case WR_V_U64:
		return a->u64 == b->u64;
	case WR_V_STR:
	case WR_V_BYTES:
		return a->str.len == b->str.len && !memcmp(a->str.p, b->str.p, a->str.len);
	case WR_V_RECORD:
		return same_fields(a, b);
	case WR_V_LIST:
	case WR_V_MAP:
		return a->count == b->count && same_items(a, b);
	default:
		return true;
	}
}

/* ---- finding ---- */

static bool find(const struct wr_plan *p, const char *uid, struct place *to)
{
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			for (uint32_t k = 0; k < p->vertices[v].stages[i].operator_count; k++) {
				*to = (struct place){&p->vertices[v], &p->vertices[v].stages[i], k};
				if (!strcmp(to->stage->operators[k].uid, uid))
					return true;
			}
	return false;
}

static const struct wr_value *operator_value(const struct place *p)
{
	return &wr_value_get(p->stage->value, "operators")->items[p->number];
}

static const struct wr_value *state_value(const struct place *p, const char *list, const char *name)
{
	const struct wr_value *states = wr_value_get(p->stage->value, list);

	for (uint32_t i = 0; p->number == 0 && states && i < states->count; i++)
		if (!strcmp(wr_value_str(&states->items[i], "name", ""), name))
			return &states->items[i];
	return NULL;
}

/* ---- items ---- */

static int add(struct wr_difference *d, enum wr_change change, const struct place *p, const char *state,
	       const char *what)
{
	const struct wr_plan_operator *op = &p->stage->operators[p->number];

	if (d->count == d->cap && WR_ARENA_GROW(&d->arena, d->items, d->cap, 4) != WR_OK)
		return WR_EFATAL;
	d->removed += change == WR_STATE_REMOVED;
	d->items[d->count++] = (struct wr_difference_item){change, op->uid, op->name, state, what};
	return WR_OK;
}

static int kind_changed(const struct place *p, const struct wr_value *was, const struct wr_value *is)
{
	return wr_error_set(
	    WR_EUSER,
	    "state '%s' of operator \"%s\" was declared as %s, and is now declared as %s: give "
	    "the new one another name",
	    wr_value_str(was, "name", ""), p->stage->operators[0].uid,
	    wr_value_str(was, "kind", kinds[WR_STATE_MAP]), wr_value_str(is, "kind", kinds[WR_STATE_MAP]));
}

/* What an operator in C keeps the state for, and the version of the declaration (recovery/contract.h). */
static int check_use(const struct place *p, const struct wr_value *was, const struct wr_value *is)
{
	const char *before = wr_value_str(was, "layout", ""), *after = wr_value_str(is, "layout", "");
	int64_t version = wr_value_int(was, "version", 1), next = wr_value_int(is, "version", 1);
	const char *uid = p->stage->operators[0].uid;

	if (*before && strcmp(before, after))
		return wr_error_set(
		    WR_EUSER,
		    "what operator \"%s\" keeps is for (%s), and is of no use for (%s): give the "
		    "new one another uid",
		    uid, before, after);
	if (next < version)
		return wr_error_set(WR_EUSER,
				    "state '%s' of operator \"%s\" was declared as version %" PRIi64
				    ", and is now declared as version %" PRIi64
				    ": there is no way back from a migration",
				    wr_value_str(was, "name", ""), uid, version, next);
	return WR_OK;
}

/* The states that `from` declares and how they stand in `to`, which has the same uid or is nothing. Named
 * once of each pair: what is in both only on the way from before to after. */
static int compare_states(struct wr_difference *d, const char *which, const struct place *from,
			  const struct place *to, bool forward)
{
	const struct wr_value *list = from->number ? NULL : wr_value_get(from->stage->value, which);
	int rc = WR_OK;

	for (uint32_t i = 0; list && i < list->count && rc == WR_OK; i++) {
		const char *name = wr_value_str(&list->items[i], "name", "");
		const struct wr_value *other = to ? state_value(to, which, name) : NULL;

		if (!other)
			rc = add(d, forward ? WR_STATE_REMOVED : WR_STATE_ADDED, from, name, NULL);
		else if (!forward || same(&list->items[i], other))
			continue;
		else if (strcmp(wr_value_str(&list->items[i], "kind", ""), wr_value_str(other, "kind", "")))
			rc = kind_changed(from, &list->items[i], other);
		else
			rc = check_use(from, &list->items[i], other);
		if (other && rc == WR_OK)
			rc = add(d, WR_STATE_CHANGED, from, name, NULL);
	}
	return rc;
}

static int compare_all_states(struct wr_difference *d, const struct place *from, const struct place *to,
			      bool forward)
{
	int rc = compare_states(d, "states", from, to, forward);

	return rc == WR_OK ? compare_states(d, "broadcast", from, to, forward) : rc;
}

static int check_groups(const struct place *was, const struct place *is)
{
	if (!was->stage->key || was->vertex->max_parallelism == is->vertex->max_parallelism)
		return WR_OK;
	if (is->vertex->parallelism > was->vertex->max_parallelism)
		return wr_error_set(WR_EUSER,
				    "operator \"%s\" has %u subtasks, and its state %u key groups: its "
				    "parallelism can be %u at most",
				    was->stage->operators[0].uid, is->vertex->parallelism,
				    was->vertex->max_parallelism, was->vertex->max_parallelism);
	return wr_error_set(
	    WR_EUSER,
	    "operator \"%s\" has %u key groups, its state has %u: say max_parallelism(%u), or "
	    "--max-parallelism %u",
	    was->stage->operators[0].uid, is->vertex->max_parallelism, was->vertex->max_parallelism,
	    was->vertex->max_parallelism, was->vertex->max_parallelism);
}

/* What is another of an operator that is in both; NULL: nothing of it alone. */
static const char *changed(const struct place *was, const struct place *is)
{
	const struct wr_value *a = operator_value(was), *b = operator_value(is);

	if (was->vertex->parallelism != is->vertex->parallelism)
		return "parallelism";
	if (strcmp(was->stage->kind, is->stage->kind) || was->stage->on_error != is->stage->on_error)
		return "options";
	if (!same(wr_value_get(was->stage->value, "key"), wr_value_get(is->stage->value, "key")))
		return "key";
	if (was->stage->operator_count == 1 && is->stage->operator_count == 1 &&
	    strcmp(was->stage->kind, "lua") && !same(was->stage->options, is->stage->options))
		return "options";
	if (strcmp(wr_value_str(a, "code", ""), wr_value_str(b, "code", "")))
		return "code";
	return NULL;
}

static int compare_operator(struct wr_difference *d, const struct place *was, const struct wr_plan *after)
{
	struct place is;
	const char *what;
	int rc;

	if (!find(after, was->stage->operators[was->number].uid, &is)) {
		rc = add(d, WR_OPERATOR_REMOVED, was, NULL, NULL);
		return rc == WR_OK ? compare_all_states(d, was, NULL, true) : rc;
	}
	what = changed(was, &is);
	rc = what ? add(d, WR_OPERATOR_CHANGED, &is, NULL, what) : WR_OK;
	if (rc == WR_OK)
		rc = check_groups(was, &is);
	if (rc == WR_OK)
		rc = compare_all_states(d, was, &is, true);
	return rc == WR_OK ? compare_all_states(d, &is, was, false) : rc;
}

static int look_for_added(struct wr_difference *d, const struct place *is, const struct wr_plan *before)
{
	struct place was;
	int rc;

	if (find(before, is->stage->operators[is->number].uid, &was))
		return WR_OK;
	rc = add(d, WR_OPERATOR_ADDED, is, NULL, NULL);
	return rc == WR_OK ? compare_all_states(d, is, NULL, false) : rc;
}

static int each_operator(struct wr_difference *d, const struct wr_plan *p, const struct wr_plan *other,
			 int (*fn)(struct wr_difference *d, const struct place *at,
				   const struct wr_plan *other))
{
	int rc = WR_OK;

	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			for (uint32_t k = 0; k < p->vertices[v].stages[i].operator_count && rc == WR_OK; k++)
				rc = fn(d, &(struct place){&p->vertices[v], &p->vertices[v].stages[i], k},
					other);
	return rc;
}

int wr_difference_init(struct wr_difference *d, const struct wr_plan *before, const struct wr_plan *after)
{
	int rc;

	*d = (struct wr_difference){.rebuilds = !same(&before->value, &after->value)};
	wr_arena_init(&d->arena, &mem);
	rc = each_operator(d, before, after, compare_operator);
	return rc == WR_OK ? each_operator(d, after, before, look_for_added) : rc;
}

void wr_difference_deinit(struct wr_difference *d)
{
	wr_arena_deinit(&d->arena);
}

/* ---- telling ---- */

static void put_item(const struct wr_difference_item *item, struct wr_bytes *out)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	if (item->what)
		wr_bytes_printf(out, "{\"uid\":");
	wr_bytes_printf(&text, "%s%s%s", item->uid, item->state ? "." : "", item->state ? item->state : "");
	wr_bytes_put_json(out, (const char *)text.data, text.len);
	if (item->what)
		wr_bytes_printf(out, ",\"what\":\"%s\"}", item->what);
	out->failed |= text.failed;
	wr_bytes_deinit(&text);
}

static void put_list(const struct wr_difference *d, const char *name, enum wr_change change,
		     struct wr_bytes *out)
{
	bool first = true;

	wr_bytes_printf(out, "\"%s\":[", name);
	for (uint32_t i = 0; i < d->count; i++) {
		if (d->items[i].change != change)
			continue;
		wr_bytes_printf(out, "%s", first ? "" : ",");
		put_item(&d->items[i], out);
		first = false;
	}
	wr_bytes_printf(out, "]");
}

void wr_difference_json(const struct wr_difference *d, struct wr_bytes *out)
{
	wr_bytes_printf(out, "{\"rebuilds\":%s,\"operators\":{", d->rebuilds ? "true" : "false");
	put_list(d, "added", WR_OPERATOR_ADDED, out);
	wr_bytes_printf(out, ",");
	put_list(d, "removed", WR_OPERATOR_REMOVED, out);
	wr_bytes_printf(out, ",");
	put_list(d, "changed", WR_OPERATOR_CHANGED, out);
	wr_bytes_printf(out, "},\"state\":{");
	put_list(d, "added", WR_STATE_ADDED, out);
	wr_bytes_printf(out, ",");
	put_list(d, "removed", WR_STATE_REMOVED, out);
	wr_bytes_printf(out, ",");
	put_list(d, "changed", WR_STATE_CHANGED, out);
	wr_bytes_printf(out, "}}");
}
