/* SPDX-License-Identifier: Apache-2.0 */
/* ref_keyed_sum: the sum of a field per key. usage: ref_keyed_sum [keys] [records]
 *
 * Rows {key, value} of two numbers are made into 32 KB buffers, then summed from there:
 *   key = random below keys, value = position % 1000
 * When the input ends each key gives a row {key, value = sum}; the checksum is the sum of
 * XXH3-64 over their bodies.
 */
#include "ref_table.h"

enum { ROW = 32, PER_BUFFER = BUFFER / ROW, NEAR = 64 };

static void fill(uint8_t *buffer, uint64_t first, uint32_t count, uint64_t keys)
{
	for (uint32_t i = 0; i < count; i++, buffer += ROW) {
		*(struct elem *)buffer = (struct elem){ROW, 2, INT64_MIN};
		put_f64(buffer + 16, (double)(random_below(1, first + i, keys)));
		put_f64(buffer + 24, (double)((first + i) % 1000));
	}
}

static void sum_rows(struct table *t, const uint8_t *rows, uint32_t count)
{
	struct key keys[NEAR];

	for (uint32_t i = 0; i < count; i++)
		key_number(&keys[i], get_f64(rows + i * ROW + 16));
	table_touch(t, keys, count);
	for (uint32_t i = 0; i < count; i++) {
		struct entry *e = table_get(t, &keys[i]);

		e->value[0] += get_f64(rows + i * ROW + 24);
		e->present = 1;
	}
}

static uint64_t checksum(const struct table *t)
{
	uint64_t sum = 0;

	for (uint32_t id = 1; id <= t->used; id++) {
		const struct entry *e = entry_at(t, id);
		int64_t key;
		double row[2];

		memcpy(&key, e->key + 1, 8);
		row[0] = (double)key;
		row[1] = e->value[0];
		sum += XXH3_64bits(row, sizeof row);
	}
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t keys = argument(argc, argv, 1, 1000), records = argument(argc, argv, 2, 50e6);
	uint8_t *buffer = need(BUFFER);
	char figure[40];
	uint64_t sum;
	double start = now_s();
	struct table *t = table_new(keys);

	for (uint64_t done = 0; done < records;) {
		uint32_t n = records - done < PER_BUFFER ? (uint32_t)(records - done) : PER_BUFFER;

		fill(buffer, done, n, keys);
		for (uint32_t i = 0; i < n; i += NEAR)
			sum_rows(t, buffer + i * ROW, n - i < NEAR ? n - i : NEAR);
		done += n;
	}
	sum = checksum(t);
	snprintf(figure, sizeof figure, "keyed_sum_%" PRIu64, keys);
	result_hex(figure, now_s() - start, records, sum);
	return 0;
}
