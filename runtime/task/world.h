/* SPDX-License-Identifier: Apache-2.0 */
/* world: every decision that comes to a task from outside, in one table: the clocks, which
 * of several filled channels is next, whether the outputs have room, the letters.
 *
 * Without a world a task reads the system's clock, takes channels in turn and letters as
 * they come. The simulator puts a seeded one in its place; a recorder and a player can
 * stand there too (task/record.h).
 */
#pragma once
#include <stdbool.h>
#include "base/clock.h"
#include "task/mailbox.h"

struct wr_world {
	struct wr_clock *clock;
	/* One of `filled` channels, by its place among the filled ones; `filled` > 0. */
	uint32_t (*channel)(struct wr_world *w, uint32_t filled);
	/* The outputs are ready: true; false = not yet. A player insists on what was recorded. */
	bool (*ready)(struct wr_world *w, bool ready);
	/* The next letter, or NULL. */
	struct wr_letter *(*mail)(struct wr_world *w, struct wr_mailbox *m);
};
