/* SPDX-License-Identifier: Apache-2.0 */
/* pool: filling it. */
#include "nexmark/pool.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nexmark/text.h"

#define TEXT_SEED UINT64_C(0x6e65786d61726b31)
#define URL_SEED UINT64_C(0x6e65786d61726b32)

static uint32_t reversed(uint32_t v)
{
	uint32_t out = 0;

	for (int i = 0; i < 32; i++, v >>= 1)
		out = out << 1 | (v & 1);
	return out;
}

static void put_url(struct wr_nexmark_channel *c, struct wr_random *r)
{
	char words[3][8], *at[3];
	int len[3];

	for (int i = 0; i < 3; i++) {
		at[i] = words[i];
		len[i] = (int)wr_nexmark_words(r, 5, '_', &at[i]);
	}
	c->url_len = (uint32_t)snprintf(c->url, sizeof c->url,
					"https://www.nexmark.com/%.*s/%.*s/%.*s/item.htm?query=1", len[0],
					at[0], len[1], at[1], len[2], at[2]);
}

/* As Java's Math.abs: the smallest number stays what it is. */
static int32_t absolute(int32_t v)
{
	return v < 0 ? (int32_t)(0u - (uint32_t)v) : v;
}

static void put_channel(struct wr_nexmark_channel *c, uint32_t number, struct wr_random *r)
{
	c->name_len = (uint32_t)snprintf(c->name, sizeof c->name, "channel-%u", number);
	put_url(c, r);
	if (wr_random_below(r, 10) > 0)
		c->url_len += (uint32_t)snprintf(c->url + c->url_len, sizeof c->url - c->url_len,
						 "&channel_id=%d", absolute((int32_t)reversed(number)));
}

void wr_nexmark_pool_fill(struct wr_nexmark_pool *p)
{
	static const char *const hot[WR_NEXMARK_HOT_CHANNELS] = {"Google", "Facebook", "Baidu", "Apple"};
	struct wr_random text = {TEXT_SEED}, urls = {URL_SEED};

	memset(p, 0, sizeof *p);
	wr_nexmark_letters(&text, p->text, WR_NEXMARK_TEXT);
	for (uint32_t i = 0; i < WR_NEXMARK_HOT_CHANNELS; i++) {
		struct wr_nexmark_channel *c = &p->channels[i];

		c->name_len = (uint32_t)snprintf(c->name, sizeof c->name, "%s", hot[i]);
		put_url(c, &urls);
	}
	for (uint32_t i = 0; i < WR_NEXMARK_CHANNELS; i++)
		put_channel(&p->channels[WR_NEXMARK_HOT_CHANNELS + i], i, &urls);
	for (int i = 0; i <= WR_NEXMARK_POWERS; i++)
		p->powers[i] = (double)(100 * powl(10, 6.0L * i / WR_NEXMARK_POWERS));
}
