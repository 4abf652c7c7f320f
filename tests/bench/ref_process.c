/* SPDX-License-Identifier: Apache-2.0 */
/* ref_process: a keyed process function by hand. usage: ref_process [keys] [records]
 *
 * Rows {amount, ts, user}: user = "user" .. random below keys, amount = position % 1000,
 * ts = position / 10 ms. Per record: a value state row (count, last, sum) is read and
 * written, a timer is set for the end of the record's minute, and every fourth record of a
 * user emits {n, total, user} into 32 KB buffers. After each buffer time advances and due timers
 * fire. The checksum is the sum of the emitted totals.
 */
#include "ref_table.h"

enum { NEAR = 64, AMOUNT = 0, TS = 8, USER = 16, SLOTS = 24, MINUTE = 60000, BUCKETS = 8 };

/* Timers of one minute: the entries that asked for it, each once. Few minutes are open at a time. */
struct bucket {
	int64_t time;
	uint32_t count, cap;
	struct entry **entries;
};
static struct bucket buckets[BUCKETS];
static struct {
	uint8_t *rows;
	uint32_t used;
	double total;
} out;
static uint64_t fired;

static void timer_add(struct entry *e, int64_t time)
{
	struct bucket *b = &buckets[time / MINUTE % BUCKETS];

	if (e->timer_last == time)
		return;
	e->timer_last = time;
	b->time = time;
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1024;
		b->entries = realloc(b->entries, b->cap * sizeof *b->entries);
	}
	b->entries[b->count++] = e;
}

static void timers_advance(int64_t watermark)
{
	for (int i = 0; i < BUCKETS; i++) {
		if (!buckets[i].count || buckets[i].time > watermark)
			continue;
		for (uint32_t k = 0; k < buckets[i].count; k++) {
			__builtin_prefetch(
			    &buckets[i].entries[k + NEAR < buckets[i].count ? k + NEAR : k]->present);
			fired += buckets[i].entries[k]->present;
		}
		buckets[i].count = 0;
	}
}

static uint32_t fill(uint8_t *buffer, uint64_t *position, uint64_t end, uint64_t keys)
{
	uint32_t used = 0;

	for (; *position < end && used < BUFFER - 128; ++*position) {
		uint8_t *body = buffer + used + sizeof(struct elem);
		char user[32] = "user";
		struct str s = {user, 4 + put_number(user + 4, random_below(1, *position, keys))};

		put_f64(body + AMOUNT, (double)(*position % 1000));
		put_f64(body + TS, (double)(*position / 10));
		used += end_row((struct elem *)(buffer + used), put_str(body, USER, SLOTS, s), INT64_MIN);
	}
	return used;
}

static void drain(void)
{
	for (uint32_t at = 0; at < out.used; at += ((struct elem *)(out.rows + at))->len)
		out.total += get_f64(out.rows + at + sizeof(struct elem) + 8);
	out.used = 0;
}

static void emit(double n, double total, struct str user)
{
	uint8_t *row = out.rows + out.used, *body = row + sizeof(struct elem);

	put_f64(body, n);
	put_f64(body + 8, total);
	out.used += end_row((struct elem *)row, put_str(body, 16, 24, user), INT64_MIN);
	if (out.used > BUFFER - 128)
		drain();
}

static void element(struct table *t, const struct key *k, const uint8_t *body)
{
	struct entry *e = table_get(t, k);
	double ts = get_f64(body + TS);
	int64_t time = (int64_t)ts;

	e->present = 1;
	e->value[0] += 1;
	e->value[1] = ts;
	e->value[2] += get_f64(body + AMOUNT);
	timer_add(e, time - time % MINUTE + MINUTE);
	if ((uint64_t)e->value[0] % 4 == 0)
		emit(e->value[0], e->value[2], get_str(body, USER));
}

static void process(struct table *t, const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		struct key keys[NEAR];
		const uint8_t *bodies[NEAR];
		uint32_t n = 0;

		for (; n < NEAR && p < end; n++, p += ((const struct elem *)p)->len) {
			bodies[n] = p + sizeof(struct elem);
			key_string(&keys[n], get_str(bodies[n], USER));
		}
		table_touch(t, keys, n);
		for (uint32_t i = 0; i < n; i++)
			element(t, &keys[i], bodies[i]);
	}
}

int main(int argc, char **argv)
{
	uint64_t keys = argument(argc, argv, 1, 1000), records = argument(argc, argv, 2, 20e6), position = 0;
	uint8_t *buffer = need(BUFFER + 64);
	char figure[40];
	double start = now_s();
	struct table *t = table_new(keys);

	out.rows = need(BUFFER + 64);
	while (position < records) {
		uint32_t used = fill(buffer, &position, records, keys);

		process(t, buffer, buffer + used);
		timers_advance((int64_t)(position - 1) / 10 - 1);
	}
	timers_advance(INT64_MAX);
	drain();
	snprintf(figure, sizeof figure, "process_%" PRIu64, keys);
	result(figure, now_s() - start, records, out.total);
	fprintf(stderr, "%" PRIu64 " timers fired\n", fired);
	return 0;
}
