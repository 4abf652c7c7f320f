/* SPDX-License-Identifier: Apache-2.0 */
/* resume: see resume.h. The contract of state (semantics.md C33, P7): found again by uid and name, of the
 * same kind, with the same number of key groups. */
#include "recovery/resume.h"

#include <inttypes.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "cluster/kinds.h"
#include "checkpoint/folder_id.h"
#include "savepoint/file.h"

struct wr_resume {
	struct wr_resume_options o;
	struct wr_blobs *blobs, *elsewhere; /* of `dir`, and of what `from` or `resume` names */
	struct wr_arena arena, other_arena;
	struct wr_manifest manifest, other_manifest;
	char origin[WR_MANIFEST_IDENTITY]; /* identity of the other manifest */
	bool began;			   /* with `from` */
	struct wr_restore restore;
	bool looked, found;
	uint64_t newest, folder_id;
	uint64_t before; /* highest number that was begun by earlier runs */
};

static struct wr_mem mem = WR_MEM_INIT("recovery.resume");

/* ---- the contract ---- */

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

static void drop(struct wr_bytes *dropped, const char *uid, const char *state)
{
	wr_bytes_printf(dropped, "%s\"%s\"%s%s", dropped->len ? ", " : "", uid, state ? "." : "",
			state ? state : "");
}

static const char *const kinds[] = {"value", "list", "map", "reducing", "aggregating"};

static int check_stage(const struct wr_resume *r, const struct wr_manifest_vertex *v,
		       const struct wr_manifest_stage *was, struct wr_bytes *dropped)
{
	const struct wr_plan_vertex *vertex;
	const struct wr_plan_stage *s = find_stage(r->o.plan, was->uid, &vertex);
	bool stateful = was->state_count || was->broadcast_count;

	if (!s && stateful)
		drop(dropped, was->uid, NULL);
	if (!s)
		return WR_OK;
	/* one with a key may have timers, and nothing else */
	if ((was->state_count || s->key) && vertex->max_parallelism != v->max_parallelism)
		return wr_error_set(WR_EUSER,
				    "operator \"%s\" has %" PRIu32 " key groups, its state has %" PRIu32
				    ": say max_parallelism(%" PRIu32 "), or --max-parallelism %" PRIu32,
				    was->uid, vertex->max_parallelism, v->max_parallelism, v->max_parallelism,
				    v->max_parallelism);
	for (uint32_t i = 0; i < was->state_count; i++) {
		const struct wr_state_desc *d = find_state(s, was->states[i].name);

		if (!d)
			drop(dropped, was->uid, was->states[i].name);
		else if (d->kind != was->states[i].kind)
			return wr_error_set(WR_EUSER,
					    "state '%s' of operator \"%s\" is declared as %s, and was saved "
					    "as %s: give the new one "
					    "another name",
					    d->name, was->uid, kinds[d->kind],
					    was->states[i].kind < sizeof kinds / sizeof *kinds
						? kinds[was->states[i].kind]
						: "something else");
	}
	return WR_OK;
}

static int check_contract(const struct wr_resume *r)
{
	struct wr_bytes dropped = WR_BYTES_EMPTY;
	const struct wr_manifest *m = &r->manifest;
	int rc = WR_OK;

	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t i = 0; i < m->vertices[v].stage_count && rc == WR_OK; i++)
			rc = check_stage(r, &m->vertices[v], &m->vertices[v].stages[i], &dropped);
	wr_bytes_put_u8(&dropped, 0);
	if (rc == WR_OK)
		rc = wr_bytes_status(&dropped);
	if (rc == WR_OK && dropped.len > 1 && !r->o.allow_dropped)
		rc = wr_error_set(WR_EUSER,
				  "checkpoint %" PRIu64
				  " has state that the job has no place for: %s; give the operators their "
				  "former uid, or leave it behind with --allow-dropped-state",
				  m->checkpoint, (const char *)dropped.data);
	else if (rc == WR_OK && dropped.len > 1)
		wr_warn("checkpoint", "state that the job has no place for is left behind: %s",
			(const char *)dropped.data);
	wr_bytes_deinit(&dropped);
	return rc;
}

/* ---- looking ---- */

static int another_job(const struct wr_resume *r)
{
	return wr_error_set(
	    WR_EUSER,
	    "%s has the checkpoints of job \"%s\", not of \"%s\": give each job a --dir of its own; one "
	    "that has a new name goes on with --resume=%s in a new folder",
	    r->o.dir, r->manifest.job, r->o.plan->job, r->o.dir);
}

/* It says where to begin, and there is more than one answer. */
static int strangers(const struct wr_resume *r)
{
	return wr_error_set(
	    WR_EUSER,
	    "%s has checkpoints that do not come from %s, the last being %" PRIu64
	    ": leave --from away to go on from there, add --resume=never to leave them behind, or "
	    "give another --dir",
	    r->o.dir, r->o.from, r->manifest.checkpoint);
}

/* The newest checkpoint of the job's own folder. WR_END: it begins elsewhere. */
static int look_at_home(struct wr_resume *r)
{
	bool never = !strcmp(r->o.resume, "never");
	int rc = r->blobs ? wr_history_latest(r->blobs, &r->arena, &r->manifest, &r->newest) : WR_END;

	if (!r->looked)
		r->before = r->newest;
	r->looked = true;
	if (never && (rc == WR_EUSER || (rc == WR_OK && r->manifest.checkpoint <= r->before)))
		return WR_END;
	if (rc == WR_EUSER)
		return wr_error_set(rc, "%s: %s; begin anew with --resume=never, or in another folder",
				    r->o.dir, wr_error_text());
	if (rc == WR_OK && strcmp(r->manifest.job, r->o.plan->job))
		return another_job(r);
	if (rc == WR_OK && r->o.from && !never && strcmp(r->manifest.origin, r->origin))
		return strangers(r);
	return rc;
}

/* Where else it is to begin. WR_END: nowhere, it begins anew. */
static int look_elsewhere(struct wr_resume *r)
{
	if (!r->elsewhere)
		return WR_END;
	r->manifest = r->other_manifest;
	r->began = r->o.from != NULL;
	return WR_OK;
}

/* There is nothing to go on with, and input that nobody has seen yet. */
static int passes_over(const struct wr_resume *r)
{
	const char *source = r->found && r->manifest.finished ? wr_job_read_once(r->o.plan, false) : NULL;

	if (!source)
		return WR_OK;
	return wr_error_set(
	    WR_EUSER,
	    "the job \"%s\" has finished, and what its source '%s' has to read now would be passed "
	    "over: --resume=never begins anew with it, as does another folder than %s",
	    r->manifest.job, source, r->o.dir ? r->o.dir : r->o.from);
}

int wr_resume_again(struct wr_resume *r)
{
	struct wr_blobs *blobs = r->blobs;
	int rc;

	wr_arena_reset(&r->arena);
	r->found = r->began = false;
	rc = look_at_home(r);
	if (rc == WR_END) {
		blobs = r->elsewhere;
		rc = look_elsewhere(r);
	}
	if (rc != WR_OK)
		return rc == WR_END ? WR_OK : rc;
	if (!r->manifest.finished)
		rc = check_contract(r);
	r->restore = (struct wr_restore){blobs, &r->manifest};
	r->found = rc == WR_OK;
	return rc;
}

/* What `from` or `resume` names. */
static int open_elsewhere(struct wr_resume *r)
{
	bool path = strcmp(r->o.resume, "auto") && strcmp(r->o.resume, "never");
	const char *where = r->o.from ? r->o.from : path ? r->o.resume : NULL;

	if (r->o.from && path)
		return wr_error_set(
		    WR_EUSER, "--from and --resume=%s both say where to begin: leave one away", r->o.resume);
	if (!where)
		return WR_OK;
	r->elsewhere = wr_savepoint_open(where, &r->other_arena, &r->other_manifest);
	if (!r->elsewhere)
		return wr_error_code();
	wr_manifest_identity(&r->other_manifest, r->origin);
	return WR_OK;
}

struct wr_resume *wr_resume_open(const struct wr_resume_options *o)
{
	struct wr_resume *r = wr_zalloc(&mem, sizeof *r);
	int rc = WR_OK;

	if (!r)
		return NULL;
	r->o = *o;
	wr_arena_init(&r->arena, &mem);
	wr_arena_init(&r->other_arena, &mem);
	if (o->dir) {
		r->blobs = wr_blobs_folder(o->dir, true);
		rc = r->blobs ? WR_OK : WR_EFATAL;
	}
	if (rc == WR_OK && r->blobs)
		rc = wr_folder_id(r->blobs, &r->folder_id);
	if (rc == WR_OK)
		rc = open_elsewhere(r);
	if (rc == WR_OK && wr_resume_again(r) == WR_OK && passes_over(r) == WR_OK)
		return r;
	wr_resume_close(r);
	return NULL;
}

void wr_resume_close(struct wr_resume *r)
{
	if (!r)
		return;
	if (r->blobs)
		r->blobs->ops->free(r->blobs);
	if (r->elsewhere)
		r->elsewhere->ops->free(r->elsewhere);
	wr_arena_deinit(&r->arena);
	wr_arena_deinit(&r->other_arena);
	wr_free(&mem, r);
}

void wr_resume_use(struct wr_resume *r, const struct wr_plan *plan, bool allow_dropped)
{
	r->o.plan = plan;
	r->o.allow_dropped = allow_dropped;
}

struct wr_blobs *wr_resume_blobs(struct wr_resume *r)
{
	return r->blobs;
}

const struct wr_restore *wr_resume_restore(const struct wr_resume *r)
{
	return r->found ? &r->restore : NULL;
}

uint64_t wr_resume_folder_id(const struct wr_resume *r)
{
	return r->folder_id;
}

const char *wr_resume_origin(const struct wr_resume *r)
{
	return r->began ? r->origin : NULL;
}

/* Tasks pass over barriers up to the one they begin at, so numbers rise above that as well. */
uint64_t wr_resume_newest(const struct wr_resume *r)
{
	return r->found && r->manifest.checkpoint > r->newest ? r->manifest.checkpoint : r->newest;
}
