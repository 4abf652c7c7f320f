/* SPDX-License-Identifier: Apache-2.0 */
/* functions: other functions for a task that runs.
 *
 * They are made beforehand by another thread (wr_task_prepare) and lie beside the stage as its spare. When a
 * barrier that says so (WR_TRIGGER_NEXT) has left the stage, the two change places: rows before it were
 * handled by the ones, rows behind it are by the others, and only a pointer moved. Those before are the spare
 * now, and can come back by another barrier (WR_TRIGGER_BEFORE), until somebody discards them.
 *
 *   spare:  none ──prepare──▶ NEXT ──barrier──▶ BEFORE ──barrier, or the new ones fail──▶ FAILED
 *           any of them ──discard──▶ none
 */
#pragma once
#include <stdbool.h>
#include "record/value.h"

struct wr_stage;
struct wr_task;

/* While functions are on trial, checkpoints behind the barrier that brought them are not told to the stages:
 * what sinks make visible by them could not be taken back. The last of them is told when the trial is over.
 */

/* What `bundle` has for stage `stage` by its part of the new plan becomes its spare. Any thread, one at a
 * time, when the task is open; the stage has no spare. WR_OK, also for a stage that has no functions, or the
 * error of the script. */
int wr_task_prepare(struct wr_task *t, uint32_t stage, const struct wr_value *plan, void *bundle);
/* Nobody needs the spare of the stage any more, whichever it is. Any thread. */
void wr_task_discard(struct wr_task *t, uint32_t stage);

/* The barrier of `checkpoint`, with these options, has left stage `s`: the spare that they mean comes in. A
 * task without snapshots tells the coordinator when it has left all stages. Task's thread. */
int wr_functions_swap(struct wr_stage *s, uint64_t checkpoint, uint64_t options);
/* The functions of `s` were untried, and handled a row. The coordinator is told when all of the task did.
 * Task's thread. */
int wr_functions_tried(struct wr_stage *s);
/* A trial begins, or is over. Task's thread. */
int wr_functions_trial(struct wr_task *t, bool on);
/* The checkpoint holds: tells the stages, unless it lies behind a trial. Task's thread. */
int wr_functions_complete(struct wr_task *t, uint64_t checkpoint);
/* The functions of `s` failed with `code`, an error of the script. True: those before are in their place, and
 * what failed can be given to them; the coordinator is told. Only where there are no snapshots to go back to,
 * and not at the end of time. Task's thread. */
bool wr_functions_return(struct wr_stage *s, int code);
