/* SPDX-License-Identifier: Apache-2.0 */
/* functions: what a reload replaces in the jobs of the simulation, in two stages, on their tasks' threads.
 * Each function has a version, a number that rises with every reload.
 *
 *   stamps  rows pass, and have the version in their field `by`, if the stage's option `stamps` is true. It
 *           fails now and then.
 *   agrees  rows pass, and `by` is 0 again, so that nothing that is given shows it. Rows of an older version
 *           than its own are in front of the barrier that brought its own, others behind it: what agrees not
 *           ends the test. So the version of all rows, and with them of each key, changes once, at the cut.
 */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_ops stamps_stage_ops, agrees_stage_ops;

enum functions_fault {
	FUNCTIONS_SOUND,
	FUNCTIONS_SHAKY,       /* fail now and then */
	FUNCTIONS_FRESH_SHAKY, /* many of those that are swapped in do at their first row */
};
void functions_rough(enum functions_fault fault);
/* Functions that are loaded from now on are of the next version, or again of the one before it. No task may
 * be opening. */
void functions_next(void);
void functions_not_next(void);
