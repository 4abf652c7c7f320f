/* SPDX-License-Identifier: Apache-2.0 */
/* spans: the intervals of one key, opened by left rows, with the right rows that wait for one.
 *
 * All of a key lies in one value of the engine's state:
 *
 *   head, waiting*, span*, body*       waiting: time, accumulator of one right row
 *                                      span: from, to, what left row, accumulator
 *                                      body: the left rows' bytes, in the order of the spans
 *
 * Intervals of a key do not overlap. A right row is added to the one that holds its time; where there is
 * none yet, it waits, since the left row may come behind it. Waiting rows are kept as accumulators of one
 * row, and go when the watermark has passed them. Works on the store's current key. Task's thread.
 */
#pragma once
#include "record/row.h"
#include "state/store.h"
#include "window/accums.h"

enum { WR_NO_TIMER = INT64_MIN };

struct wr_spans_head {
	int64_t timer; /* that waits for nothing but the end of waiting rows, or WR_NO_TIMER; the owner's */
	uint32_t waiting, room;
	uint32_t count; /* spans */
	uint32_t unused;
};

struct wr_span {
	int64_t from, to; /* both included */
	uint32_t shape;	  /* of the left row */
	uint32_t len;	  /* bytes of its body, a multiple of 8 */
	uint64_t rows;	  /* right rows in it */
	uint64_t acc[];
};

struct wr_spans {
	struct wr_store *store;
	const struct wr_accums *accums;
	uint32_t shape;
	uint32_t waiting_len, span_len;
	struct wr_bytes scratch;
	uint32_t typical; /* bytes of the span added last, with its body: room that a new value has for one */
	/* of the current key, valid until its next change */
	uint8_t *data; /* NULL: it has none */
	uint32_t len;
	struct wr_spans_head *head;
};

/* Borrows both; WR_EFATAL when memory is gone (deinit all the same). */
int wr_spans_init(struct wr_spans *s, struct wr_store *store, const struct wr_accums *accums);
void wr_spans_deinit(struct wr_spans *s);

/* Makes what the current key has writable at `data` and `head`; NULL there: it has nothing. */
void wr_spans_look(struct wr_spans *s);
/* The i-th span, and the body of its left row. */
struct wr_span *wr_spans_at(const struct wr_spans *s, uint32_t i);
const uint8_t *wr_spans_body(const struct wr_spans *s, uint32_t i);
/* The span that holds time `ts`, or NULL. */
struct wr_span *wr_spans_find(const struct wr_spans *s, int64_t ts);
/* Adds the right row that was loaded last (wr_accums_load) to those that wait. Before room is made for it,
 * those that the watermark has passed go. WR_OK or WR_EFATAL. */
int wr_spans_wait(struct wr_spans *s, int64_t ts, int64_t watermark);
/* Adds a span with the left row's body; what waits for it is added up in it. WR_OK; WR_EUSER: another one
 * overlaps; WR_EFATAL. */
int wr_spans_add(struct wr_spans *s, int64_t from, int64_t to, const struct wr_elem *row);
/* Drops the spans that end at or before `upto`. WR_OK or WR_EFATAL. */
int wr_spans_drop(struct wr_spans *s, int64_t upto);
/* Waiting rows up to the watermark go; the latest time of those that stay, or WR_NO_TIMER. */
int64_t wr_spans_prune(struct wr_spans *s, int64_t watermark);
