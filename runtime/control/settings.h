/* SPDX-License-Identifier: Apache-2.0 */
/* settings: what the program's options say of a job, in the form in which its parts are given it. The main
 * thread; texts are borrowed from the options. */
#pragma once
#include "base/config.h"
#include "cluster/job.h"
#include "recovery/attempts.h"

struct wr_bundle; /* of script/script.h */

/* The options that the script sets, where nobody else says anything; in mode none the job has no folder of
 * checkpoints, which is logged. WR_OK, or WR_EUSER: they do not go together. */
int wr_settings_settle(struct wr_config *c, const struct wr_plan *plan);

/* Where the job begins; *resume, NULL before, is the caller's to close, and stays NULL where it keeps no
 * checkpoints and begins anew. WR_OK, or why it cannot begin there. */
int wr_settings_open_resume(struct wr_config *c, struct wr_plan *plan, struct wr_resume **resume);
/* `script` is the hash of its bundle, borrowed. */
struct wr_checkpoint_options wr_settings_checkpoints(const struct wr_config *c, const char *script);
/* A run that is recorded or played back is one attempt; and so is, unless it is asked for, that of a job
 * whose input would not come again: an error is not to turn into loss. */
struct wr_restart_options wr_settings_restarts(const struct wr_config *c, const struct wr_plan *plan,
					       bool recorded);
/* Without kinds, world and argument of the tick. */
struct wr_job_options wr_settings_job(const struct wr_config *c, const struct wr_plan *plan,
				      struct wr_bundle *bundle);
