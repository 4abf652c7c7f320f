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
enum { BID_FIELDS = sizeof bid_fields / sizeof bid_fields[0] };

#define COUNT(fields) ((uint32_t)(sizeof fields / sizeof fields[0]))

static bool is_read(const struct wr_nexmark_rows *x, const struct wr_field_spec *f)
{
	for (uint32_t i = 0; i < x->read_count; i++)
		if (x->read[i].len == f->name_len && !memcmp(x->read[i].p, f->name, f->name_len))
			return true;
	return !x->read;
}

/* The fields that are read become the slots of a shape. Those that are not get a place behind the row, where
 * the next one is written over them. */
static int make_kind(const struct wr_nexmark_rows *x, const struct wr_field_spec *fields, uint32_t count,
		     struct wr_nexmark_kind_rows *k)
{
	struct wr_field_spec kept[WR_NEXMARK_FIELDS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		k->kept[i] = is_read(x, &fields[i]);
		if (k->kept[i])
			kept[n++] = fields[i];
	}
	k->fixed = 8 * n;
	n = 0;
	for (uint32_t i = 0; i < count; i++)
		k->at[i] = k->kept[i] ? 8 * n++ : k->fixed;
	k->count = count;
	k->shape = wr_shape_intern(kept, n, 0, 0);
	return k->shape ? WR_OK : wr_error_code();
}

int wr_nexmark_rows_init(struct wr_nexmark_rows *x)
{
	int rc = make_kind(x, bid_fields, COUNT(bid_fields), &x->bid);

	if (rc == WR_OK && x->lite)
		rc = make_kind(x, lite_auction_fields, COUNT(lite_auction_fields), &x->auction);
	else if (rc == WR_OK)
		rc = make_kind(x, auction_fields, COUNT(auction_fields), &x->auction);
	return rc == WR_OK ? make_kind(x, person_fields, COUNT(person_fields), &x->person) : rc;
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
	enum { AUCTION, BIDDER, CHANNEL, TIME, EXTRA, PRICE, URL };
	const struct wr_nexmark_pool *pool = x->stream.pool;
	const struct wr_nexmark_channel *channel = &pool->channels[b->channel];
	const struct wr_nexmark_kind_rows *k = &x->bid;
	uint8_t *body = to + sizeof(struct wr_elem);
	uint32_t end = k->fixed;
	struct wr_elem head = {0, k->shape, b->ts};

	put_number(body + k->at[AUCTION], b->auction);
	put_number(body + k->at[BIDDER], b->bidder);
	put_number(body + k->at[TIME], b->ts);
	put_number(body + k->at[PRICE], b->price);
	if (k->kept[CHANNEL]) {
		put_place(body + k->at[CHANNEL], end, channel->name_len);
		memcpy(body + end, channel->name, WR_NEXMARK_CHANNEL_MAX);
		end += channel->name_len;
	}
	if (k->kept[EXTRA]) {
		put_place(body + k->at[EXTRA], end, b->extra.len);
		memcpy(body + end, pool->text + b->extra.at, WR_NEXMARK_EXTRA_MAX);
		end += b->extra.len;
	}
	if (k->kept[URL]) {
		put_place(body + k->at[URL], end, channel->url_len);
		memcpy(body + end, channel->url, WR_NEXMARK_URL_MAX);
		end += channel->url_len;
	}
	memset(body + end, 0, 8);
	head.len = (uint32_t)sizeof head + ((end + 7) & ~7u);
	memcpy(to, &head, sizeof head);
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
		if (x->bid.fixed < 8 * BID_FIELDS)
			continue;
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

/* `cells` for all fields of the kind. */
static uint32_t put_cells(const struct wr_nexmark_kind_rows *k, int64_t ts, const struct wr_cell *cells,
			  uint8_t *to)
{
	const struct wr_shape *shape = wr_shape(k->shape);
	struct wr_cell kept[WR_NEXMARK_FIELDS_MAX];
	uint32_t len;

	for (uint32_t i = 0; i < k->count; i++)
		if (k->kept[i])
			kept[k->at[i] / 8] = cells[i];
	len = wr_row_len(shape, kept);
	wr_row_write(to, len, shape, WR_INSERT, ts, kept);
	return len;
}

static uint32_t put_lite_auction(const struct wr_nexmark_rows *x, const struct wr_nexmark_auction *a,
				 uint8_t *to)
{
	const struct wr_nexmark_kind_rows *k = &x->auction;
	uint8_t *body = to + sizeof(struct wr_elem);
	struct wr_elem head = {(uint32_t)sizeof head + k->fixed, k->shape, a->ts};

	memcpy(to, &head, sizeof head);
	put_number(body + k->at[0], a->category);
	put_number(body + k->at[1], a->ts);
	put_number(body + k->at[2], a->expires);
	put_number(body + k->at[3], a->id);
	put_number(body + k->at[4], a->initial_bid);
	put_number(body + k->at[5], a->seller);
	return head.len;
}

static uint32_t put_auction(const struct wr_nexmark_rows *x, uint64_t n, uint8_t *to)
{
	struct wr_nexmark_auction a;

	wr_nexmark_auction(&x->stream, n, x->lite, &a);
	if (x->lite)
		return put_lite_auction(x, &a, to);
	return put_cells(&x->auction, a.ts,
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
	return put_cells(&x->person, p.ts,
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
