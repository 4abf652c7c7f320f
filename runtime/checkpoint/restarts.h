/* SPDX-License-Identifier: Apache-2.0 */
/* restarts: whether a job that failed is run again, and when. A pure protocol (semantics.md F1 to F4): it is
 * told of failures and answers. No clock, no job, no thread; times are steady nanoseconds.
 *
 *   none:         never
 *   fixed:        `delay` after each failure, `attempts` times in all (F4)
 *   exponential:  `delay` after the first, longer by half after each other one, at most WR_RESTART_MAX_NS,
 * give or take a tenth (F2); `attempts` times in a row rate:         `delay` after each failure, unless more
 * than `attempts` lie within `interval` (F3)
 *
 * A row of the exponential strategy is over, and the delay short again, when the job ran for `interval` since
 * the last restart and took a checkpoint meanwhile: a record on which the script fails whenever it comes
 * again ends the job, however long the way to it is.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/rand.h"

#define WR_RESTART_MAX_NS UINT64_C(60000000000)

enum wr_restart_strategy {
	WR_RESTART_NONE,
	WR_RESTART_FIXED,
	WR_RESTART_EXPONENTIAL,
	WR_RESTART_RATE,
};

struct wr_restart_options {
	enum wr_restart_strategy strategy;
	uint32_t attempts; /* > 0 */
	uint64_t delay_ns, interval_ns;
	uint64_t seed; /* of what is given or taken */
};

/* What is asked for by name ("none", "fixed", "exponential", "rate"); NULL: the default, which is exponential
 * for a job with checkpoints and none for another (F1). */
enum wr_restart_strategy wr_restart_strategy(const char *name, bool checkpoints);

struct wr_restarts;
/* NULL with the error set when the heap refuses. */
struct wr_restarts *wr_restarts_new(const struct wr_restart_options *o);
void wr_restarts_free(struct wr_restarts *r);
/* The job failed; `checkpoint` is the number of its last complete one, 0 = none. True: it is to be run again
 * at *at_ns. Failures before that time count as one. False: it is given up. */
bool wr_restarts_failed(struct wr_restarts *r, uint64_t now_ns, uint64_t checkpoint, uint64_t *at_ns);
/* How many times it was said to run again. */
uint32_t wr_restarts_count(const struct wr_restarts *r);
