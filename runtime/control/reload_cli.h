/* SPDX-License-Identifier: Apache-2.0 */
/* reload_cli: `weir reload` and `weir rollback`: says what another version of a script would change in a
 * running job, asks, and has it brought in. As control/cli.h. */
#pragma once
#include "base/config.h"

/* JOB job.lua [key=value …]; with --watch the job may be left out: it is the one that runs the script. */
int wr_cli_reload(const struct wr_config *c, int argc, char **argv);
/* JOB: the version before. */
int wr_cli_rollback(const struct wr_config *c, int argc, char **argv);
