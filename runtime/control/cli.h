/* SPDX-License-Identifier: Apache-2.0 */
/* cli: the verbs by which a user reaches running jobs. Each writes to standard output, as text or with
 * --json, and gives WR_OK, WR_EUSER (what was asked for cannot be meant), or another error (it did not work).
 */
#pragma once
#include "base/config.h"

int wr_cli_list(const struct wr_config *c, int argc, char **argv);
int wr_cli_info(const struct wr_config *c, int argc, char **argv);
int wr_cli_top(const struct wr_config *c, int argc, char **argv);
int wr_cli_checkpoint(const struct wr_config *c, int argc, char **argv);
int wr_cli_cancel(const struct wr_config *c, int argc, char **argv);
int wr_cli_stop(const struct wr_config *c, int argc, char **argv);
/* `weir savepoint JOB`: a checkpoint that is taken now, as one file. */
int wr_cli_savepoint(const struct wr_config *c, int argc, char **argv);
