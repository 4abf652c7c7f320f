/* SPDX-License-Identifier: Apache-2.0 */
/* saving: savepoints of a job that runs, on the client's side: the job takes a checkpoint, and a file is made
 * of it here. Blocks; one thread, which has nothing else to do. */
#pragma once
#include "control/client.h"
#include "savepoint/file.h"

/* The folder of the checkpoints of job `id`. WR_EUSER if it takes none, or another error. */
int wr_saving_folder(struct wr_client *client, const char *id, char folder[WR_SAVEPOINT_PATH]);
/* Can a savepoint be written at `path`? NULL and "" name none. WR_EUSER: why not. */
int wr_saving_check(const char *path);
/* Has a checkpoint taken and makes a savepoint of it at `path`, NULL or "": one that is named after the job.
 * `folder`: that of the job. */
int wr_saving_take(struct wr_client *client, const char *folder, const char *path,
		   struct wr_savepoint_made *made);
/* The same of the newest checkpoint that holds. */
int wr_saving_make(const char *folder, const char *path, struct wr_savepoint_made *made);
/* {"bytes":…,"checkpoint":…,"file":…} */
void wr_saving_json(const struct wr_savepoint_made *made, struct wr_bytes *out);
