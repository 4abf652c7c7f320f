/* SPDX-License-Identifier: Apache-2.0 */
/* contract: does a job, as it is drawn now, have a place for all that a checkpoint holds (semantics.md C33,
 * P7, S20)?
 *
 * State is found again by the uid of its operator and its own name. What must agree: the kind of a state, the
 * number of key groups, and that no version of a state is newer than its declaration. What has no place
 * (state, timers, positions) is an error that lists it, or is left behind when that is allowed. Fields of
 * values need no agreement: each value says what it is made of (README, Savepoints). Before the job runs;
 * blocks.
 */
#pragma once
#include "checkpoint/blobs.h"
#include "checkpoint/manifest.h"
#include "cluster/plan.h"

/* WR_OK, WR_EUSER with what does not agree, or what has no place. */
int wr_contract_check(const struct wr_plan *plan, struct wr_blobs *blobs, const struct wr_manifest *m,
		      bool allow_dropped);
