/* SPDX-License-Identifier: Apache-2.0 */
/* field_path: where readers and writers of nested values are, for what they say of a wrong one:
 * "order.items[3].price". A plain value; one thread. */
#pragma once
#include <stdbool.h>
#include "record/row.h"

enum { WR_FIELD_PATH_TEXT = 300 };

struct wr_field_path {
	uint32_t depth;
	struct wr_field_step {
		struct wr_str name; /* of a field, borrowed; p NULL: an item of a list */
		int64_t item;
	} steps[WR_DEPTH_MAX];
};

/* Into a container, whose steps are then `wr_field_path_last`. False: it would be nested too deep. */
bool wr_field_path_enter(struct wr_field_path *p);
static inline struct wr_field_step *wr_field_path_last(struct wr_field_path *p)
{
	return &p->steps[p->depth - 1];
}
/* Writes "" for the value as a whole; cuts what is too long. Returns `text`. */
const char *wr_field_path_text(const struct wr_field_path *p, char text[WR_FIELD_PATH_TEXT]);
