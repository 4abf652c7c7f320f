/* SPDX-License-Identifier: Apache-2.0 */
/* ref_gaps: how late records come because the machine takes its cores away, and for nothing else: two pinned
 * threads do nothing but read the clock and keep each pause between two readings; records at a rate are then
 * handed from one to the other on paper, each step as soon as the thread whose turn it is runs.
 * usage: ref_gaps RATE [milliseconds] [skip milliseconds]
 *
 * This is the floor of any engine on this machine during this run: what ref_latency and Weir show beyond it
 * is their own.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "ref.h"

enum { THREADS = 2, GAPS_MAX = 1 << 20, GAP_NS = 2000 };

struct gap {
	uint64_t from, to;
};
struct watch {
	pthread_t thread;
	int cpu;
	struct gap *gaps;
	uint64_t count;
};
static struct watch watches[THREADS];
static _Atomic int ready;
static uint64_t start_ns, end_ns;

static void *spin(void *arg)
{
	struct watch *w = arg;

	pin(w->cpu);
	memset(w->gaps, 0, GAPS_MAX * sizeof *w->gaps);
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) <= THREADS)
		;
	for (uint64_t last = start_ns, now; last < end_ns; last = now) {
		now = now_ns();
		if (now > last + GAP_NS && w->count < GAPS_MAX)
			w->gaps[w->count++] = (struct gap){last, now};
	}
	return NULL;
}

/* When the thread runs, at `at` or next; times are asked for in ascending order. */
static uint64_t runs(const struct watch *w, uint64_t *next, uint64_t at)
{
	while (*next < w->count && w->gaps[*next].to <= at)
		++*next;
	return *next < w->count && w->gaps[*next].from < at ? w->gaps[*next].to : at;
}

static int ascending(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : *(const uint32_t *)a > *(const uint32_t *)b;
}

static double longest_us(void)
{
	uint64_t longest = 0;

	for (int i = 0; i < THREADS; i++)
		for (uint64_t k = 0; k < watches[i].count; k++)
			if (watches[i].gaps[k].to - watches[i].gaps[k].from > longest)
				longest = watches[i].gaps[k].to - watches[i].gaps[k].from;
	return (double)longest / 1e3;
}

static void tell(uint64_t rate, uint32_t *took_ns, uint64_t n)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}, {"max", 1}};
	uint64_t late = 0;

	qsort(took_ns, n, sizeof *took_ns, ascending);
	printf("{\"figure\":\"gaps_%" PRIu64 "\"", rate);
	for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
		printf(",\"%s_us\":%.1f", quantiles[i].name,
		       took_ns[(uint64_t)(quantiles[i].q * (double)(n - 1))] / 1e3);
	while (late < n && took_ns[n - 1 - late] > 1000000)
		late++;
	printf(",\"longest_us\":%.1f,\"late_share\":%.6f}\n", longest_us(), (double)late / (double)n);
}

int main(int argc, char **argv)
{
	uint64_t rate = argument(argc, argv, 1, 100000), ms = argument(argc, argv, 2, 3000);
	uint64_t skip_ms = argument(argc, argv, 3, 0), n = rate * (ms - skip_ms) / 1000,
		 next[THREADS] = {0, 0};
	uint32_t *took_ns = need(n * sizeof *took_ns);

	for (int i = 0; i < THREADS; i++) {
		watches[i].cpu = i;
		watches[i].gaps = need(GAPS_MAX * sizeof(struct gap));
		pthread_create(&watches[i].thread, NULL, spin, &watches[i]);
	}
	while (atomic_load(&ready) < THREADS)
		sched_yield();
	start_ns = now_ns();
	end_ns = start_ns + ms * 1000000;
	atomic_fetch_add(&ready, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(watches[i].thread, NULL);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t due = start_ns + skip_ms * 1000000 + i * 1000000000 / rate, at = due;

		for (int k = 0; k < THREADS; k++)
			at = runs(&watches[k], &next[k], at);
		took_ns[i] = at - due < UINT32_MAX ? (uint32_t)(at - due) : UINT32_MAX;
	}
	tell(rate, took_ns, n);
	return 0;
}
