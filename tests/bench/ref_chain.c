/* SPDX-License-Identifier: Apache-2.0 */
/* ref_chain: map, filter, map over four-field rows in memory. usage: ref_chain [records]
 *
 * What the engine's generated chain does for one stage, by hand: decode the row's fields,
 * compute, encode a row of the same format into 32 KB buffers.
 *   map     amount × 1.25
 *   filter  amount >= 250
 *   map     amount + 1, ts + 1
 */
#include "ref.h"

enum { DISTINCT = 4096, AMOUNT = 0, ITEM = 8, TS = 16, USER = 24, SLOTS = 32 };

struct order {
	double amount, ts;
	struct str item, user;
};

static inline struct order decode(const uint8_t *body)
{
	return (struct order){get_f64(body + AMOUNT), get_f64(body + TS), get_str(body, ITEM),
			      get_str(body, USER)};
}

static inline uint32_t encode(uint8_t *to, const struct order *o)
{
	uint8_t *body = to + sizeof(struct elem);
	uint32_t at = SLOTS;

	put_f64(body + AMOUNT, o->amount);
	put_f64(body + TS, o->ts);
	at = put_str(body, ITEM, at, o->item);
	at = put_str(body, USER, at, o->user);
	return end_row((struct elem *)to, at, INT64_MIN);
}

static size_t make_input(uint8_t *to)
{
	size_t used = 0;

	for (uint64_t i = 0; i < DISTINCT; i++) {
		char item[32] = "item", user[32] = "user";
		struct order o = {.amount = (double)(i % 1000), .ts = (double)i};

		o.item = (struct str){item, 4 + put_number(item + 4, random_below(1, i, 8))};
		o.user = (struct str){user, 4 + put_number(user + 4, random_below(2, i, 500))};
		used += encode(to + used, &o);
	}
	return used;
}

/* One pass over the input; adds the amounts of full output buffers to *sum, as a sink would. */
static void drain(const uint8_t *out, uint32_t used, double *sum)
{
	for (uint32_t at = 0; at < used; at += ((const struct elem *)(out + at))->len)
		*sum += get_f64(out + at + sizeof(struct elem) + AMOUNT);
}

static uint32_t pass(const uint8_t *in, const uint8_t *end, uint8_t *out, uint32_t used, double *sum)
{
	for (; in < end; in += ((const struct elem *)in)->len) {
		struct order o = decode(in + sizeof(struct elem));

		o.amount *= 1.25;
		if (o.amount < 250)
			continue;
		o.amount += 1;
		o.ts += 1;
		if (used > BUFFER - 256) {
			drain(out, used, sum);
			used = 0;
		}
		used += encode(out + used, &o);
	}
	return used;
}

int main(int argc, char **argv)
{
	uint64_t passes = argument(argc, argv, 1, 100e6) / DISTINCT;
	uint8_t *in = need(DISTINCT * 128), *out = need(BUFFER + 64);
	size_t in_len = make_input(in);
	uint32_t used = 0;
	double sum = 0, start = now_s();

	for (uint64_t i = 0; i < passes; i++)
		used = pass(in, in + in_len, out, used, &sum);
	drain(out, used, &sum);
	result("chain", now_s() - start, passes * DISTINCT, sum);
	return 0;
}
