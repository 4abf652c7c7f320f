/* SPDX-License-Identifier: Apache-2.0 */
/* recording: the decisions of all tasks of a job in a folder, a file a subtask: to be written
 * when a run ends, or to be played back by another run of the same script on the same input. */
#pragma once
#include "cluster/plan.h"
#include "task/world.h"

struct wr_recording;
/* Into or out of `folder`; `play`: the files are read at once. NULL with the error set. Borrows plan and
 * clock. */
struct wr_recording *wr_recording_new(const struct wr_plan *plan, const char *folder, bool play,
				      struct wr_clock *clock);
/* As wr_job_options.world. */
struct wr_world *wr_recording_world(void *recording, uint32_t vertex, uint32_t subtask);
/* After the run, whatever it ended with, the job still being there: writes the files, or says (WR_EUSER)
 * which task did something else than the recorded one. */
int wr_recording_finish(struct wr_recording *r);
void wr_recording_free(struct wr_recording *r);
