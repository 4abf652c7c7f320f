/* SPDX-License-Identifier: Apache-2.0 */
/* person: the persons among the events. */
#pragma once
#include <string.h>
#include "nexmark/event.h"

struct wr_nexmark_text {
	const char *p;
	uint32_t len;
};

struct wr_nexmark_person {
	int64_t id, ts;
	struct wr_nexmark_text city, state;
	uint32_t name_len, email_len;
	struct wr_nexmark_piece extra;
	char name[24], email[24], card[24]; /* the card has 19 characters */
};
enum { WR_NEXMARK_CARD_LEN = 19 };

#define WR_NEXMARK_TEXT_OF(s)                                                                                \
	{                                                                                                    \
		s, sizeof s - 1                                                                              \
	}
static const struct wr_nexmark_text wr_nexmark_states[] = {
    WR_NEXMARK_TEXT_OF("AZ"), WR_NEXMARK_TEXT_OF("CA"), WR_NEXMARK_TEXT_OF("ID"),
    WR_NEXMARK_TEXT_OF("OR"), WR_NEXMARK_TEXT_OF("WA"), WR_NEXMARK_TEXT_OF("WY"),
};
static const struct wr_nexmark_text wr_nexmark_cities[] = {
    WR_NEXMARK_TEXT_OF("Phoenix"),  WR_NEXMARK_TEXT_OF("Los Angeles"), WR_NEXMARK_TEXT_OF("San Francisco"),
    WR_NEXMARK_TEXT_OF("Boise"),    WR_NEXMARK_TEXT_OF("Portland"),    WR_NEXMARK_TEXT_OF("Bend"),
    WR_NEXMARK_TEXT_OF("Redmond"),  WR_NEXMARK_TEXT_OF("Seattle"),     WR_NEXMARK_TEXT_OF("Kent"),
    WR_NEXMARK_TEXT_OF("Cheyenne"),
};
static const struct wr_nexmark_text wr_nexmark_first_names[] = {
    WR_NEXMARK_TEXT_OF("Peter"),  WR_NEXMARK_TEXT_OF("Paul"),	WR_NEXMARK_TEXT_OF("Luke"),
    WR_NEXMARK_TEXT_OF("John"),	  WR_NEXMARK_TEXT_OF("Saul"),	WR_NEXMARK_TEXT_OF("Vicky"),
    WR_NEXMARK_TEXT_OF("Kate"),	  WR_NEXMARK_TEXT_OF("Julie"),	WR_NEXMARK_TEXT_OF("Sarah"),
    WR_NEXMARK_TEXT_OF("Deiter"), WR_NEXMARK_TEXT_OF("Walter"),
};
static const struct wr_nexmark_text wr_nexmark_last_names[] = {
    WR_NEXMARK_TEXT_OF("Shultz"), WR_NEXMARK_TEXT_OF("Abrams"),	 WR_NEXMARK_TEXT_OF("Spencer"),
    WR_NEXMARK_TEXT_OF("White"),  WR_NEXMARK_TEXT_OF("Bartels"), WR_NEXMARK_TEXT_OF("Walton"),
    WR_NEXMARK_TEXT_OF("Smith"),  WR_NEXMARK_TEXT_OF("Jones"),	 WR_NEXMARK_TEXT_OF("Noris"),
};

static inline struct wr_nexmark_text wr_nexmark_pick(struct wr_random *r, const struct wr_nexmark_text *list,
						     uint32_t count)
{
	return list[wr_random_below(r, count)];
}

static inline uint32_t wr_nexmark_append(char *to, const char *p, uint32_t len)
{
	memcpy(to, p, len);
	return len;
}

static inline void wr_nexmark_put_names(struct wr_nexmark_person *p, struct wr_random *r)
{
	struct wr_nexmark_text first = wr_nexmark_pick(r, wr_nexmark_first_names, 11);
	struct wr_nexmark_text last = wr_nexmark_pick(r, wr_nexmark_last_names, 9);
	char word[8], *at = word;
	uint32_t len;

	p->name_len = wr_nexmark_append(p->name, first.p, first.len);
	p->name[p->name_len++] = ' ';
	p->name_len += wr_nexmark_append(p->name + p->name_len, last.p, last.len);

	len = wr_nexmark_words(r, 7, ' ', &at);
	p->email_len = wr_nexmark_append(p->email, at, len);
	p->email[p->email_len++] = '@';
	at = word;
	len = wr_nexmark_words(r, 5, ' ', &at);
	p->email_len += wr_nexmark_append(p->email + p->email_len, at, len);
	p->email_len += wr_nexmark_append(p->email + p->email_len, ".com", 4);
}

static inline void wr_nexmark_put_card(struct wr_nexmark_person *p, struct wr_random *r)
{
	char *to = p->card;

	for (int i = 0; i < 4; i++, to += 5) {
		uint32_t v = wr_random_below(r, 10000);

		for (int k = 3; k >= 0; k--, v /= 10)
			to[k] = (char)('0' + v % 10);
		to[4] = ' ';
	}
}

/* Person `n`. */
static inline void wr_nexmark_person(const struct wr_nexmark *x, uint64_t n, struct wr_nexmark_person *p)
{
	struct wr_random r = {n};

	p->id = WR_NEXMARK_FIRST_ID + wr_nexmark_last_person(n);
	p->ts = wr_nexmark_ts(x, n);
	wr_nexmark_put_names(p, &r);
	wr_nexmark_put_card(p, &r);
	p->city = wr_nexmark_pick(&r, wr_nexmark_cities, 10);
	p->state = wr_nexmark_pick(&r, wr_nexmark_states, 6);
	p->extra = wr_nexmark_extra(
	    &r, 8 + p->name_len + p->email_len + WR_NEXMARK_CARD_LEN + p->city.len + p->state.len, 200);
}
