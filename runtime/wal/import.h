/* SPDX-License-Identifier: Apache-2.0 */
/* import: the write-ahead log that comes with a savepoint, or lies in another folder of checkpoints, becomes
 * that of a job which begins there. Blocks; before the log is opened. */
#pragma once
#include "task/restore.h"

/* Copies the log of the source `uid` to `folder`, all of it or nothing, and once: a job that begins there a
 * second time finds it with what it has logged itself. WR_OK, also where there is none; WR_EUSER: the folder
 * has a log of something else. */
int wr_wal_import(const char *folder, const char *uid, const struct wr_restore *restore);
