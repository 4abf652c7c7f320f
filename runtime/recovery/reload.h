/* SPDX-License-Identifier: Apache-2.0 */
/* reload: the versions of a running job's script, and the way from one to another. On the thread that runs
 * the job; a thread of its own draws.
 *
 *   NONE ──draw──▶ DRAWING ──▶ DRAWN, with what it changes ──apply──▶ SETTLING ──▶ SWAPPING ──▶ NONE, in use
 *                  DRAWING ──it is broken──▶ NONE                     LEAVING ──▶ BUILDING ──▶ NONE, in use
 *
 * Where only functions differ they change places in the running tasks (cluster/swap.h). Otherwise the job
 * takes a checkpoint behind which nothing happens, and is built anew from it. Either way it is on probation
 * after that: until a checkpoint holds that was begun when each subtask had been given a record, or a time,
 * or the next version is applied, to which the one in use then counts as good. A failure during probation
 * brings the version before back, from the checkpoint at which the new one came in, without waiting; where
 * there are no checkpoints the tasks go back by themselves. A job that has failed and waits for its next
 * attempt is in BUILDING at once, and need not wait.
 */
#pragma once
#include "cluster/difference.h"
#include "recovery/attempts.h"
#include "script/script.h"

struct wr_reload_options {
	struct wr_draw_options script; /* of the version that the job begins with; borrowed, but for its
					  config only during wr_reload_new */
	const struct wr_plan *plan;    /* of that; like its bundle borrowed */
	struct wr_bundle *bundle;
	bool checkpoints; /* the job takes some */
};
struct wr_reload;
/* NULL with the error set. */
struct wr_reload *wr_reload_new(const struct wr_reload_options *o);
/* Waits for what is being drawn. Behind the attempts. */
void wr_reload_free(struct wr_reload *r);
/* Which attempts to run the job in; once, before they do. */
void wr_reload_attach(struct wr_reload *r, struct wr_attempts *a);

/* Hooks: of wr_job_options.work, of wr_attempts_options.failed and .between, and of the loop in which the
 * thread waits. */
void wr_reload_work(void *reload, struct wr_job *j);
bool wr_reload_failed(void *reload, struct wr_job *j);
void wr_reload_between(void *reload);
void wr_reload_waits(struct wr_reload *r, struct wr_loop *loop);

/* Somebody who waits for a draw or an apply; told once, on the same thread, perhaps before the call returns.
 */
struct wr_reload_wish {
	/* `error`: it came to nothing, and the job runs on as it was; else NULL. */
	void (*done)(struct wr_reload_wish *w, const char *error);
	uint64_t version;    /* of it */
	uint64_t checkpoint; /* behind which it is in use */
	uint64_t wait_ns;    /* from apply until then */
};

/* Another version: `path` and its arguments (NULL: those of the one in use), `parallelism` 0 as it is. */
struct wr_reload_script {
	const char *path;
	const char *const *args;
	int arg_count;
	int64_t parallelism;
};
/* Draws it beside the running job, and compares. Copies `s`. */
void wr_reload_draw(struct wr_reload *r, const struct wr_reload_script *s, struct wr_reload_wish *w);
/* The version before is as if it had just been drawn. */
void wr_reload_before(struct wr_reload *r, struct wr_reload_wish *w);
/* Of the one that is drawn: what it changes, and its files, one a line; until the next draw or apply. */
const struct wr_difference *wr_reload_difference(const struct wr_reload *r);
const struct wr_bundle *wr_reload_bundle(const struct wr_reload *r);

struct wr_reload_way {
	bool allow_dropped; /* state that it has no place for is left behind */
	uint64_t probation_ns;
};
/* Brings in version `w->version`, which was drawn last. */
void wr_reload_apply(struct wr_reload *r, const struct wr_reload_way *way, struct wr_reload_wish *w);

/* The version in use: its number from 1, and how many there were that came back. */
uint64_t wr_reload_version(const struct wr_reload *r);
const char *wr_reload_script(const struct wr_reload *r); /* its path */
