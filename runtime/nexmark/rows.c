/* SPDX-License-Identifier: Apache-2.0 */
/* rows: events as rows. Bids, 46 of 50 events, are written slot by slot, and their strings in copies of
 * a fixed size that reach beyond their end into what is written next; the others in the general way. */
#include "nexmark/rows.h"
#include <string.h>
#include "base/error.h"
#include "nexmark/person.h"

#define FIELD(text, t)                                                                                       \
	{                                                                                                    \
		.name = text, .name_len = sizeof text - 1, .type = t                                         \
	}

/* Fields in the order of their names, as in the slots. */
static const struct wr_field_spec bid_fields[] = {
    FIELD("auction", WR_T_F64),	 FIELD("bidder", WR_T_F64), FIELD("channel", WR_T_STR),
    FIELD("dateTime", WR_T_F64), FIELD("extra", WR_T_STR),  FIELD("price", WR_T_F64),
    FIELD("url", WR_T_STR),
};
static const struct wr_field_spec auction_fields[] = {
    FIELD("category", WR_T_F64),   FIELD("dateTime", WR_T_F64), FIELD("description", WR_T_STR),
    FIELD("expires", WR_T_F64),	   FIELD("extra", WR_T_STR),	FIELD("id", WR_T_F64),
    FIELD("initialBid", WR_T_F64), FIELD("itemName", WR_T_STR), FIELD("reserve", WR_T_F64),
    FIELD("seller", WR_T_F64),
};
static const struct wr_field_spec lite_auction_fields[] = {
    FIELD("category", WR_T_F64), FIELD("dateTime", WR_T_F64),	FIELD("expires", WR_T_F64),
    FIELD("id", WR_T_F64),	 FIELD("initialBid", WR_T_F64), FIELD("seller", WR_T_F64),
};
static const struct wr_field_spec person_fields[] = {
    FIELD("city", WR_T_STR),	     FIELD("creditCard", WR_T_STR), FIELD("dateTime", WR_T_F64),
    FIELD("emailAddress", WR_T_STR), FIELD("extra", WR_T_STR),	    FIELD("id", WR_T_F64),
    FIELD("name", WR_T_STR),	     FIELD("state", WR_T_STR),
};
enum { FIELDS_MAX = 10, BID_FIXED = sizeof bid_fields / sizeof bid_fields[0] * 8 };

#define INTERN(fields) intern(fields, sizeof fields / sizeof fields[0])

static uint32_t intern(const struct wr_field_spec *fields, uint32_t count)
{
	struct wr_field_spec copy[FIELDS_MAX];

	memcpy(copy, fields, count * sizeof *fields);
	return wr_shape_intern(copy, count, 0, 0);
}

int wr_nexmark_rows_init(struct wr_nexmark_rows *x)
{
	x->bid = INTERN(bid_fields);
	x->auction = x->lite ? INTERN(lite_auction_fields) : INTERN(auction_fields);
	x->person = INTERN(person_fields);
	return x->bid && x->auction && x->person ? WR_OK : wr_error_code();
}

static void put_number(uint8_t *slot, int64_t v)
{
	double number = (double)v;

	memcpy(slot, &number, sizeof number);
}

static void put_place(uint8_t *slot, uint32_t at, uint32_t len)
{
	uint64_t place = (uint64_t)len << 32 | at;

	memcpy(slot, &place, sizeof place);
}

static uint32_t put_bid(const struct wr_nexmark_rows *x, const struct wr_nexmark_bid *b, uint8_t *to)
{
	const struct wr_nexmark_pool *pool = x->stream.pool;
	const struct wr_nexmark_channel *channel = &pool->channels[b->channel];
	uint8_t *body = to + sizeof(struct wr_elem);
	uint32_t extra_at = BID_FIXED + channel->name_len, url_at = extra_at + b->extra.len;
	uint32_t end = url_at + channel->url_len, len = (end + 7) & ~7u;
	struct wr_elem head = {(uint32_t)sizeof head + len, x->bid, b->ts};

	memcpy(to, &head, sizeof head);
	put_number(body, b->auction);
	put_number(body + 8, b->bidder);
	put_place(body + 16, BID_FIXED, channel->name_len);
	put_number(body + 24, b->ts);
	put_place(body + 32, extra_at, b->extra.len);
	put_number(body + 40, b->price);
	put_place(body + 48, url_at, channel->url_len);
	memcpy(body + BID_FIXED, channel->name, WR_NEXMARK_CHANNEL_MAX);
	memcpy(body + extra_at, pool->text + b->extra.at, WR_NEXMARK_EXTRA_MAX);
	memcpy(body + url_at, channel->url, WR_NEXMARK_URL_MAX);
	memset(body + end, 0, 8);
	return head.len;
}

/* All bids are made before the first is written, so that what they need of the pool comes meanwhile. */
uint32_t wr_nexmark_bid_rows(const struct wr_nexmark_rows *x, uint64_t n, uint32_t count, uint8_t *to)
{
	const struct wr_nexmark_pool *pool = x->stream.pool;
	int64_t person = wr_nexmark_last_person(n), auction = wr_nexmark_last_auction(n);
	struct wr_nexmark_bid bids[WR_NEXMARK_BIDS];
	uint32_t len = 0;

	for (uint32_t i = 0; i < count; i++) {
		wr_nexmark_bid(&x->stream, n + i, person, auction, &bids[i]);
		__builtin_prefetch(&pool->channels[bids[i].channel]);
		__builtin_prefetch(&pool->channels[bids[i].channel].url[64]);
		__builtin_prefetch(pool->text + bids[i].extra.at);
		__builtin_prefetch(pool->text + bids[i].extra.at + 63);
	}
	for (uint32_t i = 0; i < count; i++)
		len += put_bid(x, &bids[i], to + len);
	return len;
}

static struct wr_cell number(int64_t v)
{
	return (struct wr_cell){.type = WR_T_F64, .f64 = (double)v};
}

static struct wr_cell text(const char *p, uint32_t len)
{
	return (struct wr_cell){.type = WR_T_STR, .str = {p, len}};
}

static struct wr_cell piece(const struct wr_nexmark_rows *x, struct wr_nexmark_piece p)
{
	return text(x->stream.pool->text + p.at, p.len);
}

static uint32_t put_cells(uint32_t shape_id, int64_t ts, const struct wr_cell *cells, uint8_t *to)
{
	const struct wr_shape *shape = wr_shape(shape_id);
	uint32_t len = wr_row_len(shape, cells);

	wr_row_write(to, len, shape, WR_INSERT, ts, cells);
	return len;
}

static uint32_t put_lite_auction(const struct wr_nexmark_rows *x, const struct wr_nexmark_auction *a,
				 uint8_t *to)
{
	uint8_t *body = to + sizeof(struct wr_elem);
	struct wr_elem head = {sizeof head + sizeof lite_auction_fields / sizeof lite_auction_fields[0] * 8,
			       x->auction, a->ts};

	memcpy(to, &head, sizeof head);
	put_number(body, a->category);
	put_number(body + 8, a->ts);
	put_number(body + 16, a->expires);
	put_number(body + 24, a->id);
	put_number(body + 32, a->initial_bid);
	put_number(body + 40, a->seller);
	return head.len;
}

static uint32_t put_auction(const struct wr_nexmark_rows *x, uint64_t n, uint8_t *to)
{
	struct wr_nexmark_auction a;

	wr_nexmark_auction(&x->stream, n, x->lite, &a);
	if (x->lite)
		return put_lite_auction(x, &a, to);
	return put_cells(x->auction, a.ts,
			 (struct wr_cell[]){
			     number(a.category),
			     number(a.ts),
			     text(a.description, a.description_len),
			     number(a.expires),
			     piece(x, a.extra),
			     number(a.id),
			     number(a.initial_bid),
			     text(a.name, a.name_len),
			     number(a.reserve),
			     number(a.seller),
			 },
			 to);
}

static uint32_t put_person(const struct wr_nexmark_rows *x, uint64_t n, uint8_t *to)
{
	struct wr_nexmark_person p;

	wr_nexmark_person(&x->stream, n, &p);
	return put_cells(x->person, p.ts,
			 (struct wr_cell[]){
			     text(p.city.p, p.city.len),
			     text(p.card, WR_NEXMARK_CARD_LEN),
			     number(p.ts),
			     text(p.email, p.email_len),
			     piece(x, p.extra),
			     number(p.id),
			     text(p.name, p.name_len),
			     text(p.state.p, p.state.len),
			 },
			 to);
}

uint32_t wr_nexmark_row(const struct wr_nexmark_rows *x, uint64_t n, uint8_t *to)
{
	switch (wr_nexmark_kind_of(n)) {
	case WR_NEXMARK_BID:
		return wr_nexmark_bid_rows(x, n, 1, to);
	case WR_NEXMARK_AUCTION:
		return put_auction(x, n, to);
	default:
		return put_person(x, n, to);
	}
}
