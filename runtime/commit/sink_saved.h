/* SPDX-License-Identifier: Apache-2.0 */
/* sink_saved: what a sink says of itself in a checkpoint (checkpoint/FORMAT.md): written, and read with every
 * number looked at before it is believed. Pure. */
#pragma once
#include "commit/commits.h"
#include "record/value.h"

/* All that `c` names and knows, in which scope (NULL: none), and how many of the next rows are to be dropped.
 */
void wr_sink_saved_put(const struct wr_commits *c, const char *scope, uint64_t skip, struct wr_bytes *out);

struct wr_sink_saved { /* borrows the value that it was read from */
	const struct wr_value *epochs, *known;
	uint32_t epoch_count, known_count;
	const char *scope; /* or NULL */
	uint64_t skip;
};
/* WR_EUSER: it is malformed. */
int wr_sink_saved_read(const struct wr_value *v, struct wr_sink_saved *out);
struct wr_epoch wr_sink_saved_epoch(const struct wr_sink_saved *s, uint32_t i);
struct wr_committed wr_sink_saved_known(const struct wr_sink_saved *s, uint32_t i);
