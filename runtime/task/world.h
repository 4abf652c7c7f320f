/* SPDX-License-Identifier: Apache-2.0 */
/* world: every decision that comes to a task from outside, in one table: the clocks, which
 * channel is next, whether the outputs have room, the letters. Seeds are part of the plan, and
 * splits come as letters; flushes and timers follow from the clock.
 *
 * Without a world a task reads the system's clock, takes channels in turn and letters as they
 * come. The simulator puts a seeded one in its place, task/record.h one that writes down and one
 * that plays back. All functions are called on the task's thread.
 */
#pragma once
#include <stdbool.h>
#include "base/clock.h"
#include "exchange/gate.h"
#include "task/mailbox.h"

struct wr_world {
	struct wr_clock *clock;
	/* A step begins; `ready`: the outputs have room. False: not yet, the step is not made; who wakes
	 * the task makes it ask again. May be NULL. */
	bool (*begin)(struct wr_world *w, struct wr_gate *gate, bool ready);
	/* May the step emit? */
	bool (*ready)(struct wr_world *w, bool ready);
	/* The next letter, or NULL. */
	struct wr_letter *(*mail)(struct wr_world *w, struct wr_mailbox *m);
	/* As wr_gate_next. */
	int (*input)(struct wr_world *w, struct wr_gate *gate, struct wr_input *out);
	/* What was taken from the gate already, and `input` has not given yet; NULL: nothing. May be NULL. */
	const struct wr_input *(*held)(const struct wr_world *w);
	/* The step ended. True: step again at once, whatever it said. May be NULL. */
	bool (*end)(struct wr_world *w);
	/* The task is freed: what was taken for it and not handed over is given back. May be NULL. */
	void (*close)(struct wr_world *w);
};
