/* SPDX-License-Identifier: Apache-2.0 */
/* contract: see contract.h. A manifest says which states there are; timers, and what an operator keeps for
 * itself, are seen in the blobs, which are looked through only for operators that could miss them. */
#include "recovery/contract.h"

#include <inttypes.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/block.h"

struct checking {
	const struct wr_plan *plan;
	struct wr_blobs *blobs;
	const struct wr_manifest *manifest;
	struct wr_bytes dropped; /* a list, as text */
};

static struct wr_mem mem = WR_MEM_INIT("recovery.contract");

/* ---- who is who ---- */

static const struct wr_plan_stage *find_stage(const struct wr_plan *p, const char *uid,
					      const struct wr_plan_vertex **vertex)
{
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++) {
			*vertex = &p->vertices[v];
			if (!strcmp(p->vertices[v].stages[i].operators[0].uid, uid))
				return &p->vertices[v].stages[i];
		}
	return NULL;
}

static const struct wr_state_desc *find_state(const struct wr_plan_stage *s, const char *name)
{
	for (uint32_t i = 0; i < s->state_count; i++)
		if (!strcmp(s->states[i].name, name))
			return &s->states[i];
	return NULL;
}

static bool has_broadcast(const struct wr_plan_stage *s, const char *name)
{
	uint32_t count;
	const struct wr_value *list = wr_value_list(s->value, "broadcast", &count);

	for (uint32_t i = 0; list && i < count; i++)
		if (!strcmp(wr_value_str(&list[i], "name", ""), name))
			return true;
	return false;
}

static void drop(struct checking *c, const char *uid, const char *state)
{
	wr_bytes_printf(&c->dropped, "%s\"%s\"%s%s", c->dropped.len ? ", " : "", uid, *state ? "." : "",
			state);
}

/* ---- states ---- */

/* What an operator in C keeps a state for. */
static const char *layout_of(const struct wr_plan_stage *s, const char *name)
{
	uint32_t count;
	const struct wr_value *list = wr_value_list(s->value, "states", &count);

	for (uint32_t i = 0; list && i < count; i++)
		if (!strcmp(wr_value_str(&list[i], "name", ""), name))
			return wr_value_str(&list[i], "layout", "something else");
	return "something else";
}

static const char *kind_text(uint32_t kind)
{
	static const char *const kinds[] = {"value", "list", "map", "reducing", "aggregating"};

	return kind < sizeof kinds / sizeof *kinds ? kinds[kind] : "something else";
}

static int check_state(struct checking *c, const struct wr_manifest_stage *was, const struct wr_plan_stage *s,
		       const struct wr_manifest_state *state)
{
	const struct wr_state_desc *d = s ? find_state(s, state->name) : NULL;

	if (!d) {
		drop(c, was->uid, state->name);
		return WR_OK;
	}
	if (d->kind != state->kind)
		return wr_error_set(WR_EUSER,
				    "state '%s' of operator \"%s\" is declared as %s, and was saved as %s: "
				    "give the new one another name",
				    d->name, was->uid, kind_text(d->kind), kind_text(state->kind));
	if (state->layout && strcmp(layout_of(s, state->name), state->layout))
		return wr_error_set(
		    WR_EUSER,
		    "what operator \"%s\" has kept is for (%s), and is of no use for (%s): give the "
		    "new one another uid",
		    was->uid, state->layout, layout_of(s, state->name));
	if (d->version < state->version)
		return wr_error_set(WR_EUSER,
				    "state '%s' of operator \"%s\" is declared as version %" PRIu32
				    ", and was saved as version %" PRIu32 ": the job is older than its state",
				    d->name, was->uid, d->version + 1, state->version + 1);
	return WR_OK;
}

static int check_stage(struct checking *c, const struct wr_manifest_vertex *v,
		       const struct wr_manifest_stage *was)
{
	const struct wr_plan_vertex *vertex;
	const struct wr_plan_stage *s = find_stage(c->plan, was->uid, &vertex);
	int rc = WR_OK;

	/* one with a key may have timers, and nothing else */
	if (s && (was->state_count || s->key) && vertex->parallelism > v->max_parallelism)
		return wr_error_set(WR_EUSER,
				    "operator \"%s\" has %" PRIu32 " subtasks, and its state %" PRIu32
				    " key groups: its parallelism can be %" PRIu32 " at most",
				    was->uid, vertex->parallelism, v->max_parallelism, v->max_parallelism);
	if (s && (was->state_count || s->key) && vertex->max_parallelism != v->max_parallelism)
		return wr_error_set(WR_EUSER,
				    "operator \"%s\" has %" PRIu32 " key groups, its state has %" PRIu32
				    ": say max_parallelism(%" PRIu32 "), or --max-parallelism %" PRIu32,
				    was->uid, vertex->max_parallelism, v->max_parallelism, v->max_parallelism,
				    v->max_parallelism);
	for (uint32_t i = 0; i < was->state_count && rc == WR_OK; i++)
		rc = check_state(c, was, s, &was->states[i]);
	for (uint32_t i = 0; i < was->broadcast_count; i++)
		if (!s || !has_broadcast(s, was->broadcast[i].name))
			drop(c, was->uid, was->broadcast[i].name);
	return rc;
}

/* ---- what only the blobs tell ---- */

enum { LACKS_TIMERS = 1, LACKS_OWN = 2, LACKS_INPUT = 4 };

/* What a stage of the manifest could have, and nothing here would take. */
static unsigned lacks(const struct checking *c, const struct wr_manifest_stage *was)
{
	const struct wr_plan_vertex *vertex;
	const struct wr_plan_stage *s = find_stage(c->plan, was->uid, &vertex);

	if (!s)
		return LACKS_TIMERS | LACKS_OWN | LACKS_INPUT;
	return s->key || s->state_count ? 0 : LACKS_TIMERS;
}

struct looking { /* at the blobs of a vertex */
	uint32_t stages;
	uint8_t *seen; /* by stage: what there is of it */
};

static int note_block(void *arg, struct wr_block_reader *r, struct wr_block *block)
{
	const struct looking *l = arg;

	(void)r;
	if (block->stage < l->stages)
		l->seen[block->stage] |= block->kind == WR_BLOCK_TIMERS	     ? LACKS_TIMERS
					 : block->kind == WR_BLOCK_OPERATOR  ? LACKS_OWN
					 : block->kind == WR_BLOCK_IN_FLIGHT ? LACKS_INPUT
									     : 0;
	return WR_OK;
}

static bool gives_out(const struct wr_manifest *m, const char *uid)
{
	for (uint32_t i = 0; i < m->source_count; i++)
		if (!strcmp(m->sources[i].uid, uid))
			return true;
	return false;
}

static int check_blobs(struct checking *c, const struct wr_manifest_vertex *v)
{
	struct looking l = {.stages = v->stage_count};
	unsigned any = 0;
	int rc = WR_OK;

	for (uint32_t i = 0; i < v->stage_count; i++)
		any |= lacks(c, &v->stages[i]);
	if (!any)
		return WR_OK;
	l.seen = wr_zalloc(&mem, v->stage_count);
	if (!l.seen)
		return WR_EFATAL;
	for (uint32_t i = 0; i < v->parallelism && rc == WR_OK; i++)
		if (v->tasks[i].blob)
			rc = wr_block_each(c->blobs, v->tasks[i].blob, note_block, &l);
	for (uint32_t i = 0; i < v->stage_count && rc == WR_OK; i++) {
		unsigned missed = l.seen[i] & lacks(c, &v->stages[i]);

		if (missed & LACKS_TIMERS)
			drop(c, v->stages[i].uid, "(timers)");
		if (missed & LACKS_INPUT)
			drop(c, v->stages[i].uid, "(rows on their way to it)");
		if (missed & LACKS_OWN ||
		    (gives_out(c->manifest, v->stages[i].uid) && lacks(c, &v->stages[i]) & LACKS_OWN))
			drop(c, v->stages[i].uid, "(its own: positions and the like)");
	}
	wr_free(&mem, l.seen);
	return rc;
}

/* ---- all of it ---- */

static int settle(struct checking *c, bool allow_dropped)
{
	int rc = wr_bytes_status(&c->dropped);

	if (rc != WR_OK || !c->dropped.len)
		return rc;
	wr_bytes_put_u8(&c->dropped, 0);
	rc = wr_bytes_status(&c->dropped);
	if (rc == WR_OK && !allow_dropped)
		return wr_error_set(WR_EUSER,
				    "checkpoint %" PRIu64
				    " has state that the job has no place for: %s; give the operators their "
				    "former uid, or leave it behind with --allow-dropped-state",
				    c->manifest->checkpoint, (const char *)c->dropped.data);
	if (rc == WR_OK)
		wr_warn("checkpoint", "state that the job has no place for is left behind: %s",
			(const char *)c->dropped.data);
	return rc;
}

int wr_contract_check(const struct wr_plan *plan, struct wr_blobs *blobs, const struct wr_manifest *m,
		      bool allow_dropped)
{
	struct checking c = {.plan = plan, .blobs = blobs, .manifest = m, .dropped = WR_BYTES_EMPTY};
	int rc = WR_OK;

	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t i = 0; i < m->vertices[v].stage_count && rc == WR_OK; i++)
			rc = check_stage(&c, &m->vertices[v], &m->vertices[v].stages[i]);
	for (uint32_t v = 0; v < m->vertex_count && rc == WR_OK; v++)
		rc = check_blobs(&c, &m->vertices[v]);
	if (rc == WR_OK)
		rc = settle(&c, allow_dropped);
	wr_bytes_deinit(&c.dropped);
	return rc;
}
