/* SPDX-License-Identifier: Apache-2.0 */
/* difference: what a new version of a script changes in a job, from the two plans. Pure.
 *
 * Operators are matched by uid, states by name. Where nothing but functions differ, these can change places
 * in the running tasks (cluster/swap.h); everything else is a job that is built anew, from a checkpoint.
 */
#pragma once
#include "cluster/plan.h"

enum wr_change {
	WR_OPERATOR_ADDED,
	WR_OPERATOR_REMOVED,
	WR_OPERATOR_CHANGED, /* its code, options, place or parallelism */
	WR_STATE_ADDED,
	WR_STATE_REMOVED,
	WR_STATE_CHANGED, /* its options: TTL and the like */
};
struct wr_difference_item {
	enum wr_change change;
	const char *uid, *name; /* of the operator */
	const char *state;	/* or NULL */
	const char *what;	/* of an operator that changed: "code", "options", …; static */
};
struct wr_difference {
	bool rebuilds;	  /* more than functions differ */
	uint32_t removed; /* states that the new job has no place for */
	struct wr_difference_item *items;
	uint32_t count, cap;
	struct wr_arena arena;
};

/* In place. The plans are borrowed as long as the difference is. WR_EUSER: state could not be taken over, its
 * kind or its number of key groups is another; or WR_EFATAL. */
int wr_difference_init(struct wr_difference *d, const struct wr_plan *before, const struct wr_plan *after);
void wr_difference_deinit(struct wr_difference *d);
/* One JSON object: {"rebuilds", "operators": {"added": [uid], "removed", "changed": [{"uid", "what"}]},
 * "state": {"added": ["uid.name"], "removed", "changed"}}. */
void wr_difference_json(const struct wr_difference *d, struct wr_bytes *out);
