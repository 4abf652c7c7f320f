/* SPDX-License-Identifier: Apache-2.0 */
/* resume: see resume.h. */
#include "recovery/resume.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "cluster/kinds.h"
#include "checkpoint/folder_id.h"
#include "recovery/contract.h"
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
	    ": begin without --from to go on from there, add --resume=never to leave them behind, or "
	    "give another --dir",
	    r->o.dir, r->o.from, r->manifest.checkpoint);
}

/* What was found at home stays so, also that there is nothing (WR_END). */
static int keep(const struct wr_resume *r, int found)
{
	bool never = !strcmp(r->o.resume, "never");
	uint64_t from = found == WR_OK ? r->manifest.checkpoint : never ? r->before + 1 : 0;
	int rc = r->blobs ? wr_history_keep(r->blobs, from) : WR_OK;

	return rc == WR_OK ? found : rc;
}

/* The newest checkpoint of the job's own folder. WR_END: it begins elsewhere. */
static int look_at_home(struct wr_resume *r)
{
	bool never = !strcmp(r->o.resume, "never");
	int rc = r->blobs ? wr_history_latest(r->blobs, &r->arena, &r->manifest, &r->newest) : WR_END;

	if (!r->looked)
		r->before = r->newest;
	r->looked = true;
	if (never && (rc < 0 || (rc == WR_OK && r->manifest.checkpoint <= r->before)))
		rc = WR_END;
	if (rc == WR_EUSER)
		return wr_error_set(rc, "%s: %s; begin anew with --resume=never, or in another folder",
				    r->o.dir, wr_error_text());
	if (rc == WR_OK && strcmp(r->manifest.job, r->o.plan->job))
		return another_job(r);
	if (rc == WR_OK && r->o.from && !never && strcmp(r->manifest.origin, r->origin))
		return strangers(r);
	return rc == WR_OK || rc == WR_END ? keep(r, rc) : rc;
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

/* How the job begins anew instead of where it was found. */
static const char *advice(const struct wr_resume *r, char *text, size_t size)
{
	if (r->restore.blobs == r->blobs)
		snprintf(text, size, "--resume=never begins anew, as does another folder than %s", r->o.dir);
	else
		snprintf(text, size, "it begins anew without %s %s", r->o.from ? "--from" : "--resume",
			 r->o.from ? r->o.from : r->o.resume);
	return text;
}

/* There is nothing to go on with, and input that nobody has seen yet. */
static int passes_over(const struct wr_resume *r)
{
	char text[PATH_MAX + 64];
	const char *source;

	if (!r->found || !r->manifest.finished)
		return WR_OK;
	if (!r->o.plan->bounded)
		return wr_error_set(WR_EUSER,
				    "the job \"%s\" has finished, and has nothing to go on from now that its "
				    "input has no end: %s",
				    r->manifest.job, advice(r, text, sizeof text));
	source = wr_job_read_once(r->o.plan, false);
	if (!source)
		return WR_OK;
	return wr_error_set(WR_EUSER,
			    "the job \"%s\" has finished, and what its source '%s' has to read now would be "
			    "passed over: %s",
			    r->manifest.job, source, advice(r, text, sizeof text));
}

static uint32_t groups_of(const void *arg, const char *uid)
{
	const struct wr_manifest *m = arg;

	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t i = 0; i < m->vertices[v].stage_count; i++)
			if (!strcmp(m->vertices[v].stages[i].uid, uid))
				return m->vertices[v].max_parallelism;
	return 0;
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
	wr_plan_adopt(r->o.plan, groups_of, &r->manifest);
	if (!r->manifest.finished)
		rc = wr_contract_check(r->o.plan, blobs, &r->manifest, r->o.allow_dropped);
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

int wr_resume_go_back(struct wr_resume *r, uint64_t checkpoint)
{
	return r->blobs ? wr_history_go_back(r->blobs, checkpoint) : WR_OK;
}

void wr_resume_use(struct wr_resume *r, struct wr_plan *plan, bool allow_dropped)
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
