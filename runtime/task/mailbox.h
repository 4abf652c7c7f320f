/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: letters to one task, from any thread, in the order in which they were put.
 *
 * A letter is a plain value: a type, the stage it is for, and bytes. It is handed over
 * whole: who puts it gives it away, who takes it frees it. No lock: senders push on a
 * stack which the owner empties as a whole and turns around.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/bytes.h"

/* Letters to the task itself; those for stages start at 64 (connect/connect.h). Part of the wire format. */
enum wr_task_letter {
	WR_LETTER_STOP = 1,   /* to a source: end in order, as if the input had ended */
	WR_LETTER_CANCEL = 2, /* stop at once, whatever is under way */
	WR_LETTER_BARRIER =
	    3, /* to a source: payload u64 id; a barrier leaves behind the rows emitted so far */
	WR_LETTER_STAGE_FIRST = 64,
};

struct wr_letter {
	struct wr_letter *next;
	uint32_t type;
	uint32_t stage; /* index in the task's chain */
	uint32_t len;
	_Alignas(8) uint8_t payload[];
};
/* Copies the payload. NULL with the error set. */
struct wr_letter *wr_letter_new(uint32_t type, uint32_t stage, const void *payload, uint32_t len);
void wr_letter_free(struct wr_letter *l);
/* Wire form: varint type, varint stage, varint length, payload. Decoding: NULL with WR_EUSER. */
void wr_letter_encode(const struct wr_letter *l, struct wr_bytes *out);
struct wr_letter *wr_letter_decode(struct wr_reader *r);

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
