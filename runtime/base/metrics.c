/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: log-linear histograms. Bucket of v: 64 steps per power of two, exact below 64. */
#include "base/metrics.h"

#include "base/mem.h"

enum { STEPS_LOG = 6, STEPS = 1 << STEPS_LOG, BUCKETS = (64 - STEPS_LOG + 1) * STEPS };
static struct wr_mem mem = WR_MEM_INIT("metrics");

struct wr_histogram {
	_Atomic uint64_t count, max;
	_Atomic uint64_t sum;
	_Atomic uint64_t bucket[BUCKETS];
};

struct wr_histogram *wr_histogram_new(void)
{
	return wr_zalloc(&mem, sizeof(struct wr_histogram));
}

void wr_histogram_free(struct wr_histogram *h)
{
	wr_free(&mem, h);
}

static unsigned bucket_of(uint64_t v)
{
	unsigned log;

	if (v < STEPS)
		return (unsigned)v;
	log = 63 - (unsigned)__builtin_clzll(v);
	return (log - STEPS_LOG + 1) * STEPS + (unsigned)(v >> (log - STEPS_LOG) & (STEPS - 1));
}

/* Largest value of a bucket. */
static uint64_t bucket_top(unsigned b)
{
	unsigned power = b / STEPS;

	if (power == 0)
		return b;
	return (((uint64_t)(STEPS + b % STEPS) + 1) << (power - 1)) - 1;
}

static void bump(_Atomic uint64_t *v, uint64_t n)
{
	atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}

void wr_histogram_add(struct wr_histogram *h, uint64_t value)
{
	bump(&h->bucket[bucket_of(value)], 1);
	bump(&h->count, 1);
	bump(&h->sum, value);
	if (value > atomic_load_explicit(&h->max, memory_order_relaxed))
		atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

void wr_histogram_merge(struct wr_histogram *into, const struct wr_histogram *from)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		bump(&into->bucket[i], atomic_load_explicit(&from->bucket[i], memory_order_relaxed));
	bump(&into->count, atomic_load_explicit(&from->count, memory_order_relaxed));
	bump(&into->sum, atomic_load_explicit(&from->sum, memory_order_relaxed));
	if (wr_histogram_max(from) > wr_histogram_max(into))
		atomic_store_explicit(&into->max, wr_histogram_max(from), memory_order_relaxed);
}

uint64_t wr_histogram_count(const struct wr_histogram *h)
{
	return atomic_load_explicit(&h->count, memory_order_relaxed);
}

uint64_t wr_histogram_max(const struct wr_histogram *h)
{
	return atomic_load_explicit(&h->max, memory_order_relaxed);
}

double wr_histogram_mean(const struct wr_histogram *h)
{
	uint64_t n = wr_histogram_count(h);

	return n ? (double)atomic_load_explicit(&h->sum, memory_order_relaxed) / (double)n : 0;
}

uint64_t wr_histogram_at(const struct wr_histogram *h, double q)
{
	uint64_t n = wr_histogram_count(h), seen = 0, want;

	if (!n)
		return 0;
	want = (uint64_t)(q * (double)n + 0.5);
	if (want < 1)
		want = 1;
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		if (seen >= want) {
			uint64_t top = bucket_top(i), max = wr_histogram_max(h);

			return top < max ? top : max;
		}
	}
	return wr_histogram_max(h);
}
