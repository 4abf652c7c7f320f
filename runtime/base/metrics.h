/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: counters, gauges and histograms, each declared once with unit and sentence.
 *
 * A value is written by one thread (relaxed, no lock) and read by any. A set belongs to
 * one subtask; a registry lists sets for the summary, the live line and --json.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/bytes.h"

enum wr_metric_kind { WR_COUNTER, WR_GAUGE, WR_HISTOGRAM };

struct wr_metric_def {
	const char *name; /* "rows_in" */
	enum wr_metric_kind kind;
	const char *unit; /* "rows", "bytes", "ns", "ms" */
	const char *help; /* one sentence */
};

/* Log-linear histogram (HdrHistogram's bucketing): 64 linear steps per power of two, error < 1.6 %. */
struct wr_histogram;
struct wr_histogram *wr_histogram_new(void);
void wr_histogram_free(struct wr_histogram *h);
void wr_histogram_add(struct wr_histogram *h, uint64_t value); /* one writer */
void wr_histogram_merge(struct wr_histogram *into, const struct wr_histogram *from);
uint64_t wr_histogram_count(const struct wr_histogram *h);
uint64_t wr_histogram_max(const struct wr_histogram *h);
double wr_histogram_mean(const struct wr_histogram *h);
/* Value at quantile q in [0,1]; 0 when empty. */
uint64_t wr_histogram_at(const struct wr_histogram *h, double q);

typedef _Atomic int64_t wr_metric;
static inline void wr_metric_add(wr_metric *m, int64_t n)
{
	/* one writer: a plain load and store are enough, and cost no bus lock */
	atomic_store_explicit(m, atomic_load_explicit(m, memory_order_relaxed) + n,
			      memory_order_relaxed);
}
static inline void wr_metric_set(wr_metric *m, int64_t n)
{
	atomic_store_explicit(m, n, memory_order_relaxed);
}
static inline int64_t wr_metric_get(const wr_metric *m)
{
	return atomic_load_explicit((wr_metric *)m, memory_order_relaxed);
}
