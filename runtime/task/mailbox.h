/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: letters to one reader, from any thread, in the order in which they were put. No lock:
 * senders push on a stack which the owner empties as a whole and turns around.
 */
#pragma once
#include <stdatomic.h>
#include "task/letter.h"

struct wr_mailbox {
	_Atomic(struct wr_letter *) pushed; /* newest first; any thread */
	struct wr_letter *taken;	    /* oldest first; owner */
};
/* Takes `l`. Any thread; the caller wakes the owner afterwards. */
void wr_mailbox_put(struct wr_mailbox *m, struct wr_letter *l);
/* Owner: the oldest letter, or NULL. */
struct wr_letter *wr_mailbox_take(struct wr_mailbox *m);
/* Owner, or nobody runs any more: frees what was not read. */
void wr_mailbox_deinit(struct wr_mailbox *m);
