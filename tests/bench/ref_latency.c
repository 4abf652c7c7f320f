/* SPDX-License-Identifier: Apache-2.0 */
/* ref_latency: records at a rate, from one spinning thread to another that counts them by key; the
 * time of each from when it was due. usage: ref_latency RATE [records] [skip]
 *
 * Both threads poll and never sleep, so this is what the machine gives at best: what its tail
 * shows is the machine's own (other work on the cores, interrupts, page faults of the table).
 */
#include <pthread.h>
#include <stdatomic.h>
#include "ref_table.h"

enum { RING = 1 << 16, KEYS = 100000 };

struct record {
	uint64_t due_ns, key;
};
static struct record ring[RING];
static _Alignas(64) _Atomic uint64_t given;
static _Alignas(64) _Atomic uint64_t taken;
static uint64_t records, skip;
static uint32_t *took_ns; /* by record */

static void *consume(void *arg)
{
	struct table *t = table_new(KEYS);

	pin(1);
	for (uint64_t n = 0, there = 0; n < records; n++) {
		const struct record *r = &ring[n % RING];
		struct key k;
		uint64_t took;

		while (there == n)
			there = atomic_load_explicit(&given, memory_order_acquire);
		key_number(&k, (double)r->key);
		table_get(t, &k)->value[0]++;
		took = now_ns() - r->due_ns;
		took_ns[n] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
		atomic_store_explicit(&taken, n + 1, memory_order_release);
	}
	return arg;
}

static void produce(double ns_each)
{
	uint64_t start = now_ns();

	pin(0);
	for (uint64_t n = 0; n < records; n++) {
		uint64_t due = start + (uint64_t)((double)n * ns_each);

		while (now_ns() < due || n - atomic_load_explicit(&taken, memory_order_acquire) == RING)
			;
		ring[n % RING] = (struct record){due, random_below(1, n, KEYS)};
		atomic_store_explicit(&given, n + 1, memory_order_release);
	}
}

static int ascending(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : *(const uint32_t *)a > *(const uint32_t *)b;
}

static double at(double q)
{
	return took_ns[skip + (uint64_t)(q * (double)(records - skip - 1))] / 1e3;
}

int main(int argc, char **argv)
{
	uint64_t rate = argument(argc, argv, 1, 100e3);
	pthread_t consumer;

	records = argument(argc, argv, 2, 1e6);
	skip = argument(argc, argv, 3, 0);
	took_ns = need(records * sizeof *took_ns);
	pthread_create(&consumer, NULL, consume, NULL);
	produce(1e9 / (double)rate);
	pthread_join(consumer, NULL);
	qsort(took_ns + skip, records - skip, sizeof *took_ns, ascending);
	printf("{\"figure\":\"latency_%" PRIu64 "\",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
	       "\"p9999_us\":%.1f,\"max_us\":%.1f}\n",
	       rate, at(0.5), at(0.99), at(0.999), at(0.9999), at(1));
	return 0;
}
