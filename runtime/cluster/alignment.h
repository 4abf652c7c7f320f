/* SPDX-License-Identifier: Apache-2.0 */
/* alignment: the sources of a job that are kept together (time/align.h), by the plan; carries
 * their reports and bounds. On the coordinator's thread. Inside cluster/ only. */
#pragma once
#include "cluster/plan.h"
#include "task/letter.h"
#include "time/align.h"

struct wr_alignment;
/* `tell` sends a bound to a stage. NULL with the error set when the heap refuses; a plan without aligned
 * sources has an empty one. */
struct wr_alignment *wr_alignment_new(const struct wr_plan *p,
				      void (*tell)(void *arg, struct wr_address who, int64_t allowed),
				      void *arg);
void wr_alignment_free(struct wr_alignment *a);
/* A letter WR_LETTER_PROGRESS. */
int wr_alignment_letter(struct wr_alignment *a, const struct wr_letter *l);
