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

/* Percentiles that are shown: p50 p90 p95 p99 p99.9 p99.99. */
struct wr_quantile {
	const char *name; /* "p99.9" */
	double q;
};
extern const struct wr_quantile wr_quantiles[];
extern const int wr_quantiles_count;

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
	atomic_store_explicit(m, atomic_load_explicit(m, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void wr_metric_set(wr_metric *m, int64_t n)
{
	atomic_store_explicit(m, n, memory_order_relaxed);
}
static inline int64_t wr_metric_get(const wr_metric *m)
{
	return atomic_load_explicit((wr_metric *)m, memory_order_relaxed);
}

/* ---- registry: what there is to be read, by subtask ---- */

/* A registry lists the sets of one job; a set lists the values of one subtask (or of the process). The values
 * stay where their writer has them, so that being listed costs nothing: a set only borrows their addresses.
 * All functions may be called from any thread; a set's values must live until the set is freed. */
struct wr_metrics;
struct wr_metric_set;
struct wr_metrics *wr_metrics_new(void);
void wr_metrics_free(struct wr_metrics *m); /* all sets must be freed before */

/* A set called `name` ("count[2]"), listed behind the others; NULL with the error set. */
struct wr_metric_set *wr_metric_set_new(struct wr_metrics *m, const char *name);
void wr_metric_set_free(struct wr_metric_set *s);
/* Lists a counter or gauge, or a histogram, as `def`, which lives as long as the program. A set holds a
 * def once (assert). WR_EFATAL without memory. */
int wr_metric_set_value(struct wr_metric_set *s, const struct wr_metric_def *def, const wr_metric *value);
int wr_metric_set_histogram(struct wr_metric_set *s, const struct wr_metric_def *def,
			    const struct wr_histogram *h);

struct wr_metric_entry {
	const char *set; /* "count[2]"; borrowed during the call */
	const struct wr_metric_def *def;
	const wr_metric *value;		      /* counters, gauges */
	const struct wr_histogram *histogram; /* histograms */
};
/* Calls `each` for every value, set by set in order; it must not call the registry. */
void wr_metrics_each(struct wr_metrics *m, void (*each)(const struct wr_metric_entry *e, void *arg),
		     void *arg);
/* Lines "count[2] rows_in 17 rows"; histograms as "… count 9 mean 1.5 p50 1 … p99.99 4 max 4 ns". */
void wr_metrics_text(struct wr_metrics *m, struct wr_bytes *out);
/* {"count[2]":{"rows_in":17,"latency":{"count":9,…,"p99.99":4,"max":4}}} */
void wr_metrics_json(struct wr_metrics *m, struct wr_bytes *out);
