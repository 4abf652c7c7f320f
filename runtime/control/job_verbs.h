/* SPDX-License-Identifier: Apache-2.0 */
/* job_verbs: what a running job answers to by itself. On its coordinator's thread. */
#pragma once
#include "control/control.h"
#include "recovery/attempts.h"

/* The job that is asked; outlives the socket. */
struct wr_reached {
	struct wr_control *control;
	struct wr_attempts *attempts;
	const struct wr_plan *plan;
	const char *script;    /* its path */
	const char *directory; /* of its checkpoints, or NULL */
	struct wr_clock *clock;
	uint64_t start_ns;
};

/* The table for wr_control_options; borrows `r`. */
struct wr_control_verbs wr_job_verbs(struct wr_reached *r);
