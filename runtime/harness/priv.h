/* SPDX-License-Identifier: Apache-2.0 */
/* priv: the inside of a harness, shared by harness.c, look.c and restart.c. */
#pragma once
#include "base/rand.h"
#include "cluster/build.h"
#include "harness/harness.h"
#include "cluster/kinds.h"
#include "script/script.h"
#include "task/restore.h"

struct wr_harness {
	struct wr_bytes drawn; /* the plan as it was drawn */
	int64_t state_memory;  /* as in wr_job_options */
	struct wr_bundle *bundle,
	    *next;	      /* next: while it comes in, or of the functions before that it went back from */
	struct wr_plan *plan; /* as it runs */
	struct wr_kind_list kinds[WR_JOB_KIND_LISTS];
	struct wr_blobs *blobs; /* where checkpoints go */
	struct wr_manifest saved;
	struct wr_restore restore;
	struct wr_checkpoint_options checkpoints;
	struct wr_arena saved_arena;
	struct wr_job *job; /* NULL: there is none any more, `failure` says why */
	bool *done;	    /* by task, in the order of the plan */
	uint32_t task_count, done_count;
	bool waiting; /* at the end of the last drain a task could not go on with what it has */
	struct wr_clock clock;
	uint64_t part_ns; /* of a millisecond that has passed on the steady clock, not yet on the other */
	struct wr_rand rand;
	struct wr_bytes taken;
	struct wr_arena looked;
	char *failure;
};

/* h->job with the tasks of h->plan, which begin anew, or at h->restore. */
int wr_harness_make_job(struct wr_harness *h, bool anew);
/* The plan and the bundle of a script, the former appended to `plan`, and what its options say of state. */
int wr_harness_draw(const struct wr_harness_script *script, struct wr_bytes *plan, struct wr_bundle **bundle,
		    int64_t *state_memory);
/* Steps all tasks until nothing is left to do at this time. */
int wr_harness_drain(struct wr_harness *h);
/* This thread's error is the answer to everything from now on. */
int wr_harness_fail(struct wr_harness *h);
