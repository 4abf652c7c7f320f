/* SPDX-License-Identifier: Apache-2.0 */
/* rows: events as the engine's rows, written where they will be read. Each kind has a shape of its own:
 *
 *   bid      auction, bidder, channel, dateTime, extra, price, url
 *   auction  category, dateTime, description, expires, extra, id, initialBid, itemName, reserve, seller
 *            (lite: without description, extra, itemName and reserve)
 *   person   city, creditCard, dateTime, emailAddress, extra, id, name, state
 */
#pragma once
#include "nexmark/event.h"
#include "record/row.h"

struct wr_nexmark_rows {
	struct wr_nexmark stream;
	bool lite;
	uint32_t bid, auction, person; /* shapes */
};

/* Bytes that must be free where a row, or each of several, is written; more than any row has. */
enum { WR_NEXMARK_ROW_MAX = 1024, WR_NEXMARK_BID_MAX = 288, WR_NEXMARK_BIDS = 16 };

/* Interns the shapes. `x->stream` and `x->lite` are set. */
int wr_nexmark_rows_init(struct wr_nexmark_rows *x);
/* Writes event `n` at `to`; returns its length. */
uint32_t wr_nexmark_row(const struct wr_nexmark_rows *x, uint64_t n, uint8_t *to);
/* Writes `count` events from `n` on, all of them bids of one group and at most WR_NEXMARK_BIDS;
 * returns their length. */
uint32_t wr_nexmark_bid_rows(const struct wr_nexmark_rows *x, uint64_t n, uint32_t count, uint8_t *to);
