/* SPDX-License-Identifier: Apache-2.0 */
/* pool: filling it. */
#include "nexmark/pool.h"
#include <math.h>
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

/* The many strings are put together by hand: printf takes longer than all else. */
static char *put(char *to, const char *text, uint32_t len)
{
	memcpy(to, text, len);
	return to + len;
}

#define PUT(to, text) put(to, text, sizeof(text) - 1)

static char *put_number(char *to, uint32_t v)
{
	char digits[10];
	uint32_t n = sizeof digits;

	do
		digits[--n] = (char)('0' + v % 10);
	while (v /= 10);
	return put(to, digits + n, (uint32_t)sizeof digits - n);
}

static void put_url(struct wr_nexmark_channel *c, struct wr_random *r)
{
	char *end = PUT(c->url, "https://www.nexmark.com");

	for (int i = 0; i < 3; i++) {
		char word[8], *at = word;
		uint32_t len = wr_nexmark_words(r, 5, '_', &at);

		end = put(PUT(end, "/"), at, len);
	}
	end = PUT(end, "/item.htm?query=1");
	c->url_len = (uint32_t)(end - c->url);
}

/* As Java's Math.abs: the smallest number stays what it is. */
static int32_t absolute(int32_t v)
{
	return v < 0 ? (int32_t)(0u - (uint32_t)v) : v;
}

static void put_channel(struct wr_nexmark_channel *c, uint32_t number, struct wr_random *r)
{
	char *end = put_number(PUT(c->name, "channel-"), number);
	int32_t id;

	c->name_len = (uint32_t)(end - c->name);
	put_url(c, r);
	if (wr_random_below(r, 10) == 0)
		return;
	id = absolute((int32_t)reversed(number));
	end = PUT(c->url + c->url_len, "&channel_id=");
	if (id < 0)
		end = PUT(end, "-");
	end = put_number(end, id < 0 ? 0u - (uint32_t)id : (uint32_t)id);
	c->url_len = (uint32_t)(end - c->url);
}

void wr_nexmark_pool_fill(struct wr_nexmark_pool *p)
{
	static const char *const hot[WR_NEXMARK_HOT_CHANNELS] = {"Google", "Facebook", "Baidu", "Apple"};
	struct wr_random text = {TEXT_SEED}, urls = {URL_SEED};

	memset(p, 0, sizeof *p);
	wr_nexmark_letters(&text, p->text, WR_NEXMARK_TEXT);
	for (uint32_t i = 0; i < WR_NEXMARK_HOT_CHANNELS; i++) {
		struct wr_nexmark_channel *c = &p->channels[i];

		c->name_len = (uint32_t)strlen(hot[i]);
		put(c->name, hot[i], c->name_len);
		put_url(c, &urls);
	}
	for (uint32_t i = 0; i < WR_NEXMARK_CHANNELS; i++)
		put_channel(&p->channels[WR_NEXMARK_HOT_CHANNELS + i], i, &urls);
	for (int i = 0; i <= WR_NEXMARK_POWERS; i++)
		p->powers[i] = (double)(100 * powl(10, 6.0L * i / WR_NEXMARK_POWERS));
}
