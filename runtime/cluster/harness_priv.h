/* SPDX-License-Identifier: Apache-2.0 */
/* harness_priv: the inside of a harness, shared by harness.c, harness_look.c and harness_restart.c. */
#pragma once
#include "base/rand.h"
#include "cluster/build.h"
#include "cluster/harness.h"
#include "cluster/kinds.h"
#include "script/script.h"

struct wr_harness {
	struct wr_bytes drawn; /* the plan as it was drawn */
	struct wr_bundle *bundle;
	struct wr_plan *plan; /* as it runs */
	struct wr_kind_list kinds[WR_JOB_KIND_LISTS];
	struct wr_job *job;
	bool *done; /* by task, in the order of the plan */
	uint32_t task_count, done_count;
	struct wr_clock clock;
	struct wr_rand rand;
	struct wr_bytes taken;
	struct wr_arena looked;
	char *failure;
};

/* The tasks of h->plan. */
int wr_harness_make_job(struct wr_harness *h, struct wr_job **job);
/* Broadcast state of a stage, or NULL. */
struct wr_store *wr_harness_broadcast(const struct wr_stage *s);
