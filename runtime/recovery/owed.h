/* SPDX-License-Identifier: Apache-2.0 */
/* owed: what the sinks of a job that has ended were given for good and could not bring to their targets, as a
 * sentence for its user: which sink, how much, why, where it is kept, and what commits it. */
#pragma once
#include "cluster/job.h"

/* The command that runs a script with these arguments again, as for a shell, with a NUL behind it. `dir`: as
 * in --dir, or NULL. */
void wr_owed_command(struct wr_bytes *out, const char *dir, const char *script, const char *const *args,
		     int count);

struct wr_owed_way {
	const char *folder;  /* of the checkpoints, NULL: the job takes none */
	uint64_t checkpoint; /* the last that holds */
	const char *command; /* runs the job again */
	bool reasons;	     /* are told, too: the job's own error does not */
};
/* Puts the sentence into `out`, with a NUL behind it, or empties that where nothing is owed. A job whose
 * tasks did not all open knows nothing: `out` stays as it is. When nobody steps them any more. */
void wr_owed_note(const struct wr_job *j, const struct wr_owed_way *w, struct wr_bytes *out);
