/* SPDX-License-Identifier: Apache-2.0 */
/* kinds: all stage kinds that a plan of this program can name. */
#pragma once
#include "cluster/job.h"

enum { WR_JOB_KIND_LISTS = 7 };
/* The lists of script/, operator/, connect/, window/, nexmark/, rolling/ and wal/. */
void wr_job_kinds(struct wr_kind_list lists[WR_JOB_KIND_LISTS]);
/* The name of a source whose input is another one in the next run (standard input, a connection), or NULL.
 * With `again`: of one that cannot even be read again in this run. */
const char *wr_job_read_once(const struct wr_plan *p, bool again);
