/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: log-linear histograms (bucket of v: 64 steps per power of two, exact below 64), and the
 * registry that lists what there is to be read. The registry's mutex is taken when a set comes, goes or
 * is shown; values are written and read past it. */
#include "base/metrics.h"

#include <pthread.h>
#include "base/assert.h"
#include "base/error.h"

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

const struct wr_quantile wr_quantiles[] = {{"p50", 0.5},  {"p90", 0.9},	    {"p95", 0.95},
					   {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
const int wr_quantiles_count = sizeof wr_quantiles / sizeof *wr_quantiles;

/* ---- registry ---- */

struct item {
	struct item *next;
	const struct wr_metric_def *def;
	const wr_metric *value;
	const struct wr_histogram *histogram;
};
struct wr_metric_set {
	struct wr_metrics *owner;
	struct wr_metric_set *next, *prev;
	struct item *first, **end;
	char *name;
};
struct wr_metrics {
	pthread_mutex_t mutex;
	struct wr_metric_set *first, *last;
};

struct wr_metrics *wr_metrics_new(void)
{
	struct wr_metrics *m = wr_zalloc(&mem, sizeof *m);

	if (m)
		pthread_mutex_init(&m->mutex, NULL);
	return m;
}

void wr_metrics_free(struct wr_metrics *m)
{
	if (!m)
		return;
	WR_ASSERT(!m->first);
	pthread_mutex_destroy(&m->mutex);
	wr_free(&mem, m);
}

struct wr_metric_set *wr_metric_set_new(struct wr_metrics *m, const char *name)
{
	struct wr_metric_set *s = wr_zalloc(&mem, sizeof *s);

	if (s)
		s->name = wr_strdup(&mem, name);
	if (!s || !s->name) {
		wr_free(&mem, s);
		return NULL;
	}
	s->owner = m;
	s->end = &s->first;
	pthread_mutex_lock(&m->mutex);
	s->prev = m->last;
	*(m->last ? &m->last->next : &m->first) = s;
	m->last = s;
	pthread_mutex_unlock(&m->mutex);
	return s;
}

void wr_metric_set_free(struct wr_metric_set *s)
{
	struct wr_metrics *m = s ? s->owner : NULL;

	if (!s)
		return;
	pthread_mutex_lock(&m->mutex);
	*(s->prev ? &s->prev->next : &m->first) = s->next;
	*(s->next ? &s->next->prev : &m->last) = s->prev;
	pthread_mutex_unlock(&m->mutex);
	while (s->first) {
		struct item *next = s->first->next;

		wr_free(&mem, s->first);
		s->first = next;
	}
	wr_free(&mem, s->name);
	wr_free(&mem, s);
}

static int set_add(struct wr_metric_set *s, const struct wr_metric_def *def, const wr_metric *value,
		   const struct wr_histogram *h)
{
	struct item *item = wr_zalloc(&mem, sizeof *item);

	if (!item)
		return WR_EFATAL;
	*item = (struct item){.def = def, .value = value, .histogram = h};
	pthread_mutex_lock(&s->owner->mutex);
	for (struct item *i = s->first; i; i = i->next)
		WR_ASSERT(i->def != def);
	*s->end = item;
	s->end = &item->next;
	pthread_mutex_unlock(&s->owner->mutex);
	return WR_OK;
}

int wr_metric_set_value(struct wr_metric_set *s, const struct wr_metric_def *def, const wr_metric *value)
{
	WR_ASSERT(def->kind != WR_HISTOGRAM && value);
	return set_add(s, def, value, NULL);
}

int wr_metric_set_histogram(struct wr_metric_set *s, const struct wr_metric_def *def,
			    const struct wr_histogram *h)
{
	WR_ASSERT(def->kind == WR_HISTOGRAM && h);
	return set_add(s, def, NULL, h);
}

void wr_metrics_each(struct wr_metrics *m, void (*each)(const struct wr_metric_entry *e, void *arg),
		     void *arg)
{
	pthread_mutex_lock(&m->mutex);
	for (struct wr_metric_set *s = m->first; s; s = s->next) {
		for (struct item *i = s->first; i; i = i->next) {
			struct wr_metric_entry e = {s->name, i->def, i->value, i->histogram};

			each(&e, arg);
		}
	}
	pthread_mutex_unlock(&m->mutex);
}

static void text_entry(const struct wr_metric_entry *e, void *arg)
{
	struct wr_bytes *out = arg;

	wr_bytes_printf(out, "%s %s ", e->set, e->def->name);
	if (e->value) {
		wr_bytes_printf(out, "%lld %s\n", (long long)wr_metric_get(e->value), e->def->unit);
		return;
	}
	wr_bytes_printf(out, "count %llu mean %.1f", (unsigned long long)wr_histogram_count(e->histogram),
			wr_histogram_mean(e->histogram));
	for (int i = 0; i < wr_quantiles_count; i++)
		wr_bytes_printf(out, " %s %llu", wr_quantiles[i].name,
				(unsigned long long)wr_histogram_at(e->histogram, wr_quantiles[i].q));
	wr_bytes_printf(out, " max %llu %s\n", (unsigned long long)wr_histogram_max(e->histogram),
			e->def->unit);
}

void wr_metrics_text(struct wr_metrics *m, struct wr_bytes *out)
{
	wr_metrics_each(m, text_entry, out);
}

static void json_item(const struct item *i, struct wr_bytes *out)
{
	wr_bytes_put_json(out, i->def->name, strlen(i->def->name));
	if (i->value) {
		wr_bytes_printf(out, ":%lld", (long long)wr_metric_get(i->value));
		return;
	}
	wr_bytes_printf(out, ":{\"count\":%llu,\"mean\":%.1f",
			(unsigned long long)wr_histogram_count(i->histogram),
			wr_histogram_mean(i->histogram));
	for (int q = 0; q < wr_quantiles_count; q++)
		wr_bytes_printf(out, ",\"%s\":%llu", wr_quantiles[q].name,
				(unsigned long long)wr_histogram_at(i->histogram, wr_quantiles[q].q));
	wr_bytes_printf(out, ",\"max\":%llu}", (unsigned long long)wr_histogram_max(i->histogram));
}

void wr_metrics_json(struct wr_metrics *m, struct wr_bytes *out)
{
	const char *between = "{";

	pthread_mutex_lock(&m->mutex);
	for (struct wr_metric_set *s = m->first; s; s = s->next, between = ",") {
		wr_bytes_printf(out, "%s", between);
		wr_bytes_put_json(out, s->name, strlen(s->name));
		wr_bytes_printf(out, ":{");
		for (struct item *i = s->first; i; i = i->next) {
			json_item(i, out);
			wr_bytes_printf(out, "%s", i->next ? "," : "");
		}
		wr_bytes_printf(out, "}");
	}
	wr_bytes_printf(out, "%s", m->first ? "}" : "{}");
	pthread_mutex_unlock(&m->mutex);
}
