/* SPDX-License-Identifier: Apache-2.0 */
/* event: event n of the stream, made of its number alone: persons, auctions and bids as 1 : 3 : 46,
 * in groups of 50. Equal, field by field, to the generator of the public suite with SplittableRandom(n).
 * Inline and without dependency, since the benchmark's references generate with it, too. */
#pragma once
#include <math.h>
#include <stdbool.h>
#include "nexmark/pool.h"
#include "nexmark/random.h"
#include "nexmark/text.h"

enum {
	WR_NEXMARK_GROUP = 50,	    /* events: a person, three auctions, bids */
	WR_NEXMARK_FIRST_ID = 1000, /* of persons and of auctions */
	WR_NEXMARK_CATEGORY = 10,   /* the first of five */
	WR_NEXMARK_IN_FLIGHT = 100, /* auctions that bids are for */
	WR_NEXMARK_ACTIVE = 1000,   /* persons who do something */
	WR_NEXMARK_LEAD = 10,	    /* ids may lie so far in the future */
	WR_NEXMARK_HOT = 100,	    /* ids to a hot one */
	WR_NEXMARK_LIFE = 1666,	    /* events that an auction lasts on average, and as many again at most */
	WR_NEXMARK_NAME_MAX = 20,   /* strings below are shorter than these */
	WR_NEXMARK_DESCRIPTION_MAX = 100,
	WR_NEXMARK_TEXTS_MAX = 136,
};
#define WR_NEXMARK_BASE_MS INT64_C(1436918400000) /* 2015-07-15T00:00Z */

enum wr_nexmark_kind { WR_NEXMARK_PERSON, WR_NEXMARK_AUCTION, WR_NEXMARK_BID };

/* The stream: how fast event time goes, and what events draw from. */
struct wr_nexmark {
	const struct wr_nexmark_pool *pool;
	double delay_us; /* of event time between two events: 1e6 / rate */
};

/* A piece of the pool's text. */
struct wr_nexmark_piece {
	uint32_t at, len;
};

struct wr_nexmark_bid {
	int64_t auction, bidder, price, ts;
	uint32_t channel; /* index in the pool */
	struct wr_nexmark_piece extra;
};

struct wr_nexmark_auction {
	int64_t id, initial_bid, ts, expires, seller, category;
	/* not in the lite stream */
	int64_t reserve;
	const char *name, *description; /* in `texts` */
	uint32_t name_len, description_len;
	struct wr_nexmark_piece extra;
	char texts[WR_NEXMARK_TEXTS_MAX];
};

static inline enum wr_nexmark_kind wr_nexmark_kind_of(uint64_t n)
{
	uint32_t rest = (uint32_t)(n % WR_NEXMARK_GROUP);

	return rest == 0 ? WR_NEXMARK_PERSON : rest < 4 ? WR_NEXMARK_AUCTION : WR_NEXMARK_BID;
}

static inline int64_t wr_nexmark_ts(const struct wr_nexmark *x, uint64_t n)
{
	return WR_NEXMARK_BASE_MS + (int64_t)((double)n * x->delay_us) / 1000;
}

static inline int64_t wr_nexmark_last_person(uint64_t n)
{
	return (int64_t)(n / WR_NEXMARK_GROUP);
}

static inline int64_t wr_nexmark_last_auction(uint64_t n)
{
	uint32_t rest = (uint32_t)(n % WR_NEXMARK_GROUP);

	return wr_nexmark_last_person(n) * 3 + (rest == 0 ? -1 : rest < 3 ? (int32_t)rest - 1 : 2);
}

static inline int64_t wr_nexmark_next_person(struct wr_random *r, uint64_t n)
{
	int64_t people = wr_nexmark_last_person(n) + 1;
	uint32_t active = people < WR_NEXMARK_ACTIVE ? (uint32_t)people : WR_NEXMARK_ACTIVE;

	return people - active + wr_random_below(r, active + WR_NEXMARK_LEAD);
}

static inline int64_t wr_nexmark_next_auction(struct wr_random *r, uint64_t n)
{
	int64_t last = wr_nexmark_last_auction(n);
	int64_t from = last > WR_NEXMARK_IN_FLIGHT ? last - WR_NEXMARK_IN_FLIGHT : 0;

	return from + wr_random_below(r, (uint32_t)(last - from) + 1 + WR_NEXMARK_LEAD);
}

/* round(100 · 10^(6 u)), by a table and a short series; where that is too close to the middle of two whole
 * numbers, by the library. */
static inline int64_t wr_nexmark_price_of(const struct wr_nexmark_pool *p, double u)
{
	int i = (int)(u * WR_NEXMARK_POWERS + 0.5);
	double x = (u - i * (1.0 / WR_NEXMARK_POWERS)) * (6 * 2.302585092994045684);
	double v = p->powers[i] * (1 + x * (1 + x * (1.0 / 2 + x * (1.0 / 6 + x * (1.0 / 24 + x / 120)))));
	int64_t whole = (int64_t)v;

	if (__builtin_expect(fabs(v - (double)whole - 0.5) < 1e-5, 0))
		return (int64_t)(pow(10, u * 6) * 100 + 0.5);
	return (int64_t)(v + 0.5);
}

static inline int64_t wr_nexmark_price(const struct wr_nexmark_pool *p, struct wr_random *r)
{
	return wr_nexmark_price_of(p, wr_random_double(r));
}

/* So much text that an event of `used` bytes comes to about `average`. */
static inline struct wr_nexmark_piece wr_nexmark_extra(struct wr_random *r, uint32_t used, uint32_t average)
{
	struct wr_nexmark_piece piece = {0, 0};
	uint32_t rest, delta;

	if (used > average)
		return piece;
	rest = average - used;
	delta = (uint32_t)(0.2 * rest + 0.5);
	piece.len = rest - delta + (delta ? wr_random_below(r, 2 * delta) : 0);
	piece.at = wr_random_below(r, WR_NEXMARK_TEXT - piece.len);
	return piece;
}

/* Bid `n`, draw after draw. */
static inline void wr_nexmark_bid_exact(const struct wr_nexmark *x, uint64_t n, struct wr_nexmark_bid *b)
{
	struct wr_random r = {n};

	b->ts = wr_nexmark_ts(x, n);
	b->auction = WR_NEXMARK_FIRST_ID + (wr_random_below(&r, 2) > 0
						? wr_nexmark_last_auction(n) / WR_NEXMARK_HOT * WR_NEXMARK_HOT
						: wr_nexmark_next_auction(&r, n));
	b->bidder =
	    2 * WR_NEXMARK_FIRST_ID + (wr_random_below(&r, 4) > 0
					   ? wr_nexmark_last_person(n) / WR_NEXMARK_HOT * WR_NEXMARK_HOT + 1
					   : wr_nexmark_next_person(&r, n));
	b->price = wr_nexmark_price(x->pool, &r);
	b->channel = wr_random_below(&r, 2) > 0
			 ? wr_random_below(&r, WR_NEXMARK_HOT_CHANNELS)
			 : WR_NEXMARK_HOT_CHANNELS + wr_random_below(&r, WR_NEXMARK_CHANNELS);
	b->extra = wr_nexmark_extra(&r, 32, 100);
}

/* The same without a branch that chance decides: both sides of a choice are made and one is taken. A draw
 * that would have to be repeated, and the first events, go the other way. `person` and `auction` are the last
 * ones before it, the same for all bids of a group. */
static inline void wr_nexmark_bid(const struct wr_nexmark *x, uint64_t n, int64_t person, int64_t auction,
				  struct wr_nexmark_bid *b)
{
	enum {
		AUCTIONS = WR_NEXMARK_IN_FLIGHT + 1 + WR_NEXMARK_LEAD,
		PEOPLE = WR_NEXMARK_ACTIVE + WR_NEXMARK_LEAD
	};
	struct wr_random r = {n}, skip;
	uint32_t cold, u, rest, refused, v;

	cold = ~wr_random_u32(&r) & 1;
	skip = r;
	u = wr_random_u32(&skip) >> 1;
	rest = u % AUCTIONS;
	refused = wr_random_refused(u, AUCTIONS, rest);
	b->auction = WR_NEXMARK_FIRST_ID + (cold ? auction - WR_NEXMARK_IN_FLIGHT + rest
						 : auction / WR_NEXMARK_HOT * WR_NEXMARK_HOT);
	r.s += cold ? WR_NEXMARK_GAMMA : 0;

	cold = (wr_random_u32(&r) & 3) == 0;
	skip = r;
	u = wr_random_u32(&skip) >> 1;
	rest = u % PEOPLE;
	refused |= wr_random_refused(u, PEOPLE, rest);
	b->bidder = 2 * WR_NEXMARK_FIRST_ID + (cold ? person + 1 - WR_NEXMARK_ACTIVE + rest
						    : person / WR_NEXMARK_HOT * WR_NEXMARK_HOT + 1);
	r.s += cold ? WR_NEXMARK_GAMMA : 0;

	b->ts = wr_nexmark_ts(x, n);
	b->price = wr_nexmark_price(x->pool, &r);
	cold = ~wr_random_u32(&r) & 1;
	v = wr_random_u32(&r);
	rest = (v >> 1) % WR_NEXMARK_CHANNELS;
	refused |= wr_random_refused(v >> 1, WR_NEXMARK_CHANNELS, rest);
	b->channel = cold ? WR_NEXMARK_HOT_CHANNELS + rest : v & (WR_NEXMARK_HOT_CHANNELS - 1);

	u = wr_random_u32(&r) >> 1;
	rest = u % 28;
	refused |= wr_random_refused(u, 28, rest);
	b->extra.len = 54 + rest;
	u = wr_random_u32(&r) >> 1;
	b->extra.at = u % (WR_NEXMARK_TEXT - b->extra.len);
	refused |= wr_random_refused(u, WR_NEXMARK_TEXT - b->extra.len, b->extra.at);
	if (__builtin_expect(refused || person < WR_NEXMARK_ACTIVE, 0))
		wr_nexmark_bid_exact(x, n, b);
}

/* Auction `n`; `lite` leaves out what stands last in the struct. */
static inline void wr_nexmark_auction(const struct wr_nexmark *x, uint64_t n, bool lite,
				      struct wr_nexmark_auction *a)
{
	struct wr_random r = {n};
	int64_t life;
	char *p;

	a->id = WR_NEXMARK_FIRST_ID + wr_nexmark_last_auction(n);
	a->ts = wr_nexmark_ts(x, n);
	a->seller = WR_NEXMARK_FIRST_ID + (wr_random_below(&r, 4) > 0
					       ? wr_nexmark_last_person(n) / WR_NEXMARK_HOT * WR_NEXMARK_HOT
					       : wr_nexmark_next_person(&r, n));
	a->category = WR_NEXMARK_CATEGORY + wr_random_below(&r, 5);
	a->initial_bid = wr_nexmark_price(x->pool, &r);
	life = 2 * (wr_nexmark_ts(x, n + WR_NEXMARK_LIFE) - a->ts);
	a->expires = a->ts + 1 + wr_random_below(&r, life > 1 ? (uint32_t)life : 1);
	if (lite)
		return;
	p = a->texts;
	a->name_len = wr_nexmark_words(&r, WR_NEXMARK_NAME_MAX, ' ', &p);
	a->name = p;
	p = a->texts + WR_NEXMARK_NAME_MAX;
	a->description_len = wr_nexmark_words(&r, WR_NEXMARK_DESCRIPTION_MAX, ' ', &p);
	a->description = p;
	a->reserve = a->initial_bid + wr_nexmark_price(x->pool, &r);
	a->extra = wr_nexmark_extra(&r, 8 + a->name_len + a->description_len + 40, 500);
}
