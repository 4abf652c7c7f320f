/* SPDX-License-Identifier: Apache-2.0 */
/* pending: rows whose results are awaited, and the order in which those go out.
 *
 * A row is copied in, is begun, waits any number of times (for a time, or for an answer from outside),
 * gets result rows, and is done. Results go out in the order of the rows, or as they are done; but no
 * result goes past a watermark or a word of idleness that came before or behind its row (J9). Rows and
 * events lie here as they came and in their order, so that they can be saved and put in again (J11).
 *
 *   row:  FRESH ─begin─▶ ACTIVE ⇄ ( ASLEEP | ASKING ) ─done─▶ DONE ─next, passed─▶ gone
 *
 * Pure: steady time comes in as an argument. A slot names a row as long as it is here; `ask` numbers tell
 * its present wait from earlier ones, so that what comes too late is known as such.
 */
#pragma once
#include "base/bytes.h"
#include "record/element.h"
#include "record/value.h"

struct wr_pending;
struct wr_pending_options {
	bool ordered;
	uint32_t capacity;   /* rows at once, results that wait for their turn included; at least 1 */
	uint64_t timeout_ns; /* from when a row was put in; 0 = none */
	struct wr_mem *mem;  /* account */
};
struct wr_pending *wr_pending_new(const struct wr_pending_options *options); /* NULL with the error set */
void wr_pending_free(struct wr_pending *p);

bool wr_pending_full(const struct wr_pending *p);
uint32_t wr_pending_rows(const struct wr_pending *p); /* those that take room */
bool wr_pending_asks(const struct wr_pending *p);     /* one of them waits for an answer from outside */
bool wr_pending_empty(const struct wr_pending *p);    /* neither rows nor events */
/* Copies a row, also where there is no room for it (what was saved). WR_OK or WR_EFATAL. */
int wr_pending_put(struct wr_pending *p, const struct wr_elem *row, uint64_t now_ns);
/* Watermark, idle or active, behind the rows so far. Words that replace each other take one place. */
int wr_pending_put_event(struct wr_pending *p, enum wr_event_type type, int64_t ts);

/* What is to be done next with some row; each is given once. */
enum wr_due {
	WR_DUE_NOTHING,
	WR_DUE_BEGIN,	/* a row that is new, or whose next attempt is due */
	WR_DUE_WAKE,	/* its sleep is over */
	WR_DUE_ANSWER,	/* its answer is there (wr_pending_answer) */
	WR_DUE_TIMEOUT, /* its time is over; *asked is the answer it waited for, or 0: nobody waits for it now
			 */
};
enum wr_due wr_pending_due(struct wr_pending *p, uint64_t now_ns, uint32_t *slot, uint32_t *asked);
/* When something will be due; 0 = now, UINT64_MAX = not by time. */
uint64_t wr_pending_deadline(const struct wr_pending *p);

/* Of a row that is ACTIVE: what came in. */
const struct wr_elem *wr_pending_row(const struct wr_pending *p, uint32_t slot);
/* It sleeps. `again`: then it is begun anew, its results so far are dropped. */
void wr_pending_sleep(struct wr_pending *p, uint32_t slot, uint64_t until_ns, bool again);
/* It waits for an answer from outside, under the number that comes back. */
uint32_t wr_pending_ask(struct wr_pending *p, uint32_t slot);
/* The question could not be put: it waits no more. */
void wr_pending_unask(struct wr_pending *p, uint32_t slot);
/* The answer has come, and is copied. One that nobody waits for any more is passed over (J12): *known says
 * it. WR_OK or WR_EFATAL. */
int wr_pending_answer(struct wr_pending *p, uint32_t slot, uint32_t ask, const void *bytes, size_t len,
		      bool *known);
/* The answer of a row that WR_DUE_ANSWER gave; borrowed until its next wait. */
const uint8_t *wr_pending_answered(const struct wr_pending *p, uint32_t slot);
/* Adds a result: a row of `body_len` bytes of `shape` with the time and kind of what came in; the caller
 * fills the body that comes back. NULL with the error set when memory is gone. */
uint8_t *wr_pending_result(struct wr_pending *p, uint32_t slot, uint32_t shape, uint32_t body_len);
/* Drops the results it has so far. */
void wr_pending_drop(struct wr_pending *p, uint32_t slot);
/* It has all its results, and is not touched again by its slot. */
void wr_pending_done(struct wr_pending *p, uint32_t slot);
/* Rows that sleep until their next attempt are due now (J14). */
void wr_pending_hurry(struct wr_pending *p);
/* All rows that did not go out are as if they had just come, in their order: what they waited for is
 * forgotten, and so are results. */
void wr_pending_anew(struct wr_pending *p, uint64_t now_ns);

/* What may go out next: all results of a row (perhaps none), or an event. */
struct wr_pending_out {
	enum wr_event_type event; /* 0 = results */
	int64_t ts;		  /* of the event */
	const uint8_t *rows, *end;
};
bool wr_pending_next(struct wr_pending *p, struct wr_pending_out *out);
/* What wr_pending_next gave went out. */
void wr_pending_passed(struct wr_pending *p);

/* Calls `each` for everything that is here, in order, with rows as they came in (J11). */
void wr_pending_each(const struct wr_pending *p,
		     void (*each)(void *arg, const struct wr_elem *row, enum wr_event_type event, int64_t ts),
		     void *arg);
/* Appends what is here as one tagged value. WR_OK or WR_EFATAL. */
int wr_pending_save(const struct wr_pending *p, struct wr_bytes *out);
/* Puts in what was saved, without its `events` if they are not to be. WR_OK, WR_EFATAL, or WR_EUSER:
 * malformed. */
int wr_pending_restore(struct wr_pending *p, const struct wr_value *saved, bool events, uint64_t now_ns);
