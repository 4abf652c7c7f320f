/* SPDX-License-Identifier: Apache-2.0 */
/* late: rows that no window takes any more (L3): to the side output of the plan's tag if somebody
 * reads it; else dropped, and a sample logged once. And those that never had one.
 */
#pragma once
#include "task/stage.h"

struct wr_late {
	struct wr_out *out; /* NULL: dropped */
	bool said;
};

/* Finds the port of the option `late`. */
void wr_late_init(struct wr_late *l, struct wr_stage *s);
/* WR_OK or WR_EFATAL. */
int wr_late_row(struct wr_late *l, struct wr_stage *s, const struct wr_elem *row);
/* A row that is not late, and lies between two windows: counts it. */
void wr_late_between(struct wr_stage *s, const struct wr_elem *row);
