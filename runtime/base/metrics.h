/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: counters, gauges and histograms, each declared once with unit and sentence.
 *
 * A value is written by one thread (relaxed, no lock) and read by any. A registry lists them
 * for the summary, the live line and --json.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/clock.h"

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

/* A registry lists the sets of one job, a set the values of one subtask. Values stay where their writer has
 * them: a set has a function that reads them when somebody asks, so being listed costs the writer nothing,
 * and what must be reckoned (a lag, the length of a queue) is reckoned then. All functions may be called
 * from any thread; `arg` must live until the set is freed. */
struct wr_metrics;
struct wr_metric_set;
struct wr_metric_reading;	 /* of one set, under way */
#define WR_METRIC_NONE INT64_MIN /* a value that is not there is not told */

struct wr_metrics *wr_metrics_new(void);
void wr_metrics_free(struct wr_metrics *m); /* all sets must be freed before */

/* Who is measured: subtask `index` of the task `name`, which is the `group`-th of its job. */
struct wr_metric_owner {
	const char *name;
	uint32_t group, index;
};
/* Listed behind the others; the name is borrowed. NULL with the error set. */
struct wr_metric_set *wr_metric_set_new(struct wr_metrics *m, struct wr_metric_owner owner,
					void (*read)(void *arg, struct wr_metric_reading *r), void *arg);
void wr_metric_set_free(struct wr_metric_set *s);

/* For a set's `read`: tells one value. Those told first are the owner's own. */
void wr_metric_tell(struct wr_metric_reading *r, const struct wr_metric_def *def, int64_t value);
void wr_metric_tell_histogram(struct wr_metric_reading *r, const struct wr_metric_def *def,
			      const struct wr_histogram *h);
/* What is told from here on is of a part of the owner: number `id` among those of its kind ("operators"),
 * which follow one another. */
void wr_metric_part(struct wr_metric_reading *r, const char *kind, const char *name, uint64_t id);
uint64_t wr_metric_now_ns(const struct wr_metric_reading *r); /* when it is read: monotonic */
int64_t wr_metric_now_ms(const struct wr_metric_reading *r);  /* and of the wall */

struct wr_metric_entry { /* borrowed during the call */
	const struct wr_metric_owner *owner;
	const char *kind, *part; /* NULL: the owner's own */
	uint64_t id;
	const struct wr_metric_def *def;
	int64_t value;			      /* counters, gauges */
	const struct wr_histogram *histogram; /* histograms */
};
/* Calls `each` for every value, set by set in order; it must not call the registry. */
void wr_metrics_each(struct wr_metrics *m, struct wr_clock *clock,
		     void (*each)(const struct wr_metric_entry *e, void *arg), void *arg);
/* [{"name":"count","subtask":0,"steps":9,"operators":[{"name":"count","rows_in":17},…]},…] */
void wr_metrics_json(struct wr_metrics *m, struct wr_clock *clock, struct wr_bytes *out);
/* {"count":9,"mean":1.5,"p50":1,…,"p99.99":4,"max":4} */
void wr_histogram_json(const struct wr_histogram *h, struct wr_bytes *out);

/* ---- catalogue: what there may be to be read ---- */

/* Metrics of one kind of owner or part; each is declared once. */
struct wr_metric_table {
	const char *of; /* "operators" */
	const struct wr_metric_def *defs;
	unsigned count;
};
void wr_metrics_catalogue(const struct wr_metric_table *tables, unsigned count, struct wr_bytes *out);
void wr_metrics_catalogue_json(const struct wr_metric_table *tables, unsigned count, struct wr_bytes *out);
