/* SPDX-License-Identifier: Apache-2.0 */
/* learn: rows out of parsed values, with shapes learned from the values themselves.
 *
 * A record (ROW) becomes a row with a shape of its names and types, nested records become
 * nested rows, lists and maps tagged values; any other value becomes a scalar row. The
 * layout of the last record is tried first: a stream of records that look alike interns
 * nothing and hashes nothing. A record whose shape the process refuses (too many fields,
 * too many shapes), or that comes after LAYOUTS_MAX different ones, travels as one tagged
 * value of the fallback shape: slower, never wrong, and said once in the log. One thread.
 */
#pragma once
#include "format/node.h"
#include "task/stage.h"

struct wr_learner;
/* NULL with the error set when the heap refuses. */
struct wr_learner *wr_learner_new(void);
void wr_learner_free(struct wr_learner *l);
/* Emits nodes[0] and what hangs under it as one row. Of a name that stands twice the last wins.
 * WR_EUSER: this value can be no row (a hidden field name, too large); nothing was emitted. */
int wr_learner_row(struct wr_learner *l, const struct wr_node *nodes, int64_t ts, struct wr_out *out);
