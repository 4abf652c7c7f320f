/* SPDX-License-Identifier: Apache-2.0 */
/* collect: the sink that keeps rows in memory, for tests and the test kit. */
#pragma once
#include "base/bytes.h"

/* Appends the row elements that the collect sinks called `name` have kept since the last call, and forgets
 * them. Rows of one subtask are in order. WR_OK, WR_END: there was never such a sink. Any thread. */
int wr_collect_take(const char *name, struct wr_bytes *out);
/* The sinks of this name drop what comes behind the next barrier, until they are opened anew: a job that is
 * to go on from a checkpoint makes it once more. Any thread. */
void wr_collect_until_barrier(const char *name, bool until_barrier);
/* Forgets a name with its rows. No sink of this name may run. Any thread. */
void wr_collect_forget(const char *name);
