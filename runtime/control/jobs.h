/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: which jobs of this user are running, and which of them somebody means. On the client's side. */
#pragma once
#include "base/bytes.h"
#include "control/folder.h"

struct wr_running {
	char id[WR_SOCKET_ID];
	int64_t pid;
};
struct wr_jobs {
	char folder[WR_SOCKET_PATH];
	struct wr_running *list; /* sorted by id */
	uint32_t count;
};

/* `folder` as wr_control_folder's `chosen`. WR_OK, or an error. */
int wr_jobs_init(struct wr_jobs *jobs, const char *folder);
void wr_jobs_deinit(struct wr_jobs *jobs);
/* The one that `what` means: an id, a process, a name that one job has, or what one id begins with. NULL with
 * WR_EUSER, which lists those that it may mean, or those that are running. */
const struct wr_running *wr_jobs_find(const struct wr_jobs *jobs, const char *what);
