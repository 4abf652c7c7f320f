/* SPDX-License-Identifier: Apache-2.0 */
/* reload_verbs: another version of a running job's script, over its socket. On its coordinator's thread.
 *
 *   reload        {"script": path, "args": ["key=value"], "parallelism": n}, or {"before": true} for the
 * version before: draws it beside the running job and says what it changes → {"version", "difference": {…},
 * "files": [path]} reload_apply  {"version", "allow_dropped": bool, "probation_ms": n}: brings it in →
 * {"version", "checkpoint", "seconds"}
 *
 * A script that is broken, or whose state does not fit, is the answer's error; the job runs on as it was.
 */
#pragma once
#include "control/control.h"
#include "recovery/reload.h"

/* The table for wr_control_options; borrows `r`. */
struct wr_control_verbs wr_reload_verbs(struct wr_reload *r);
