/* SPDX-License-Identifier: Apache-2.0 */
/* trial: has new code shown what it does? It has when each subtask that runs it has been given a record, or
 * has ended, and a checkpoint holds that was begun behind that. On the coordinator's thread.
 *
 *   UNTRIED ──all are TRIED or ENDED──▶ TRIED ──a checkpoint that was begun since holds──▶ good
 */
#pragma once
#include "cluster/job.h"

struct wr_trial; /* of one job; it may have one after the other */
/* NULL with the error set. */
struct wr_trial *wr_trial_new(struct wr_job *j);
void wr_trial_free(struct wr_trial *t);
/* Of the code that the barrier of `checkpoint` brings; 0: that the job began with. Tasks may have told
 * already that they tried it. */
void wr_trial_begin(struct wr_trial *t, uint64_t checkpoint);
/* TRIED and ENDED. */
void wr_trial_letter(struct wr_trial *t, const struct wr_letter *l);
bool wr_trial_is_good(const struct wr_trial *t);
void wr_trial_end(struct wr_trial *t);
/* Number of the checkpoint to go back to if it fails, 0 = none is on. It is kept, whatever comes behind it.
 */
uint64_t wr_trial_way_back(const struct wr_trial *t);
