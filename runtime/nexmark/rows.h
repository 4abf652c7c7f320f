/* SPDX-License-Identifier: Apache-2.0 */
/* rows: events as the engine's rows, written where they will be read. Each kind has a shape of its own:
 *
 *   bid      auction, bidder, channel, dateTime, extra, price, url
 *   auction  category, dateTime, description, expires, extra, id, initialBid, itemName, reserve, seller
 *            (lite: without description, extra, itemName and reserve)
 *   person   city, creditCard, dateTime, emailAddress, extra, id, name, state
 *
 * Events are drawn whole; of their fields only those that are read are copied into rows.
 */
#pragma once
#include "nexmark/event.h"
#include "record/row.h"

enum { WR_NEXMARK_FIELDS_MAX = 10 };

/* Rows of one kind of event; fields in the order above. */
struct wr_nexmark_kind_rows {
	uint32_t shape, count;
	uint32_t fixed; /* bytes of the slots */
	uint32_t at[WR_NEXMARK_FIELDS_MAX];
	bool kept[WR_NEXMARK_FIELDS_MAX];
};

struct wr_nexmark_rows {
	struct wr_nexmark stream;
	bool lite;
	const struct wr_str *read; /* names of the fields that are read, borrowed; NULL: all are */
	uint32_t read_count;
	struct wr_nexmark_kind_rows bid, auction, person;
};

/* Bytes that must be free where a row, or each of several, is written; more than any row has. */
enum { WR_NEXMARK_ROW_MAX = 1024, WR_NEXMARK_BID_MAX = 288, WR_NEXMARK_BIDS = 16 };

/* Interns the shapes. What stands above them is set. */
int wr_nexmark_rows_init(struct wr_nexmark_rows *x);
/* Writes event `n` at `to`; returns its length. */
uint32_t wr_nexmark_row(const struct wr_nexmark_rows *x, uint64_t n, uint8_t *to);
/* Writes `count` events from `n` on, all of them bids of one group and at most WR_NEXMARK_BIDS;
 * returns their length. */
uint32_t wr_nexmark_bid_rows(const struct wr_nexmark_rows *x, uint64_t n, uint32_t count, uint8_t *to);
