/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: log-linear histograms (bucket of v: 64 steps per power of two, exact below 64), the registry of
 * what there is to be read, and the catalogue of what there may be. The registry's mutex is taken when a set
 * comes, goes or is read; values are written past it. */
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

void wr_histogram_json(const struct wr_histogram *h, struct wr_bytes *out)
{
	wr_bytes_printf(out, "{\"count\":%llu,\"mean\":%.1f", (unsigned long long)wr_histogram_count(h),
			wr_histogram_mean(h));
	for (int q = 0; q < wr_quantiles_count; q++)
		wr_bytes_printf(out, ",\"%s\":%llu", wr_quantiles[q].name,
				(unsigned long long)wr_histogram_at(h, wr_quantiles[q].q));
	wr_bytes_printf(out, ",\"max\":%llu}", (unsigned long long)wr_histogram_max(h));
}

/* ---- registry ---- */

struct wr_metric_set {
	struct wr_metrics *owner;
	struct wr_metric_set *next, *prev;
	struct wr_metric_owner of;
	void (*read)(void *arg, struct wr_metric_reading *r);
	void *arg;
};
struct wr_metrics {
	pthread_mutex_t mutex;
	struct wr_metric_set *first, *last;
};
struct wr_metric_reading {
	struct wr_metric_entry entry; /* the next one, as far as it is known */
	uint64_t now_ns;
	int64_t now_ms;
	void (*each)(const struct wr_metric_entry *e, void *arg);
	void *arg;
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

struct wr_metric_set *wr_metric_set_new(struct wr_metrics *m, struct wr_metric_owner owner,
					void (*read)(void *arg, struct wr_metric_reading *r), void *arg)
{
	struct wr_metric_set *s = wr_zalloc(&mem, sizeof *s);

	if (!s)
		return NULL;
	s->owner = m;
	s->of = owner;
	s->read = read;
	s->arg = arg;
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
	wr_free(&mem, s);
}

/* ---- reading ---- */

void wr_metric_tell(struct wr_metric_reading *r, const struct wr_metric_def *def, int64_t value)
{
	if (value == WR_METRIC_NONE)
		return;
	r->entry.def = def;
	r->entry.value = value;
	r->entry.histogram = NULL;
	r->each(&r->entry, r->arg);
}

void wr_metric_tell_histogram(struct wr_metric_reading *r, const struct wr_metric_def *def,
			      const struct wr_histogram *h)
{
	r->entry.def = def;
	r->entry.histogram = h;
	r->each(&r->entry, r->arg);
}

void wr_metric_part(struct wr_metric_reading *r, const char *kind, const char *name, uint64_t id)
{
	r->entry.kind = kind;
	r->entry.part = name;
	r->entry.id = id;
}

uint64_t wr_metric_now_ns(const struct wr_metric_reading *r)
{
	return r->now_ns;
}

int64_t wr_metric_now_ms(const struct wr_metric_reading *r)
{
	return r->now_ms;
}

void wr_metrics_each(struct wr_metrics *m, struct wr_clock *clock,
		     void (*each)(const struct wr_metric_entry *e, void *arg), void *arg)
{
	struct wr_metric_reading r = {
	    .now_ns = wr_clock_ns(clock), .now_ms = wr_clock_ms(clock), .each = each, .arg = arg};

	pthread_mutex_lock(&m->mutex);
	for (struct wr_metric_set *s = m->first; s; s = s->next) {
		r.entry = (struct wr_metric_entry){.owner = &s->of};
		s->read(s->arg, &r);
	}
	pthread_mutex_unlock(&m->mutex);
}

/* ---- JSON ---- */

struct json {
	struct wr_bytes *out;
	const struct wr_metric_owner *owner; /* whose braces are open */
	const char *kind;		     /* whose bracket is open, NULL: none */
	uint64_t id;
};

/* Closes what is open down to the owner's braces. */
static void json_close_parts(struct json *j)
{
	if (j->kind)
		wr_bytes_printf(j->out, "}]");
	j->kind = NULL;
}

static void json_close(struct json *j)
{
	json_close_parts(j);
	if (j->owner)
		wr_bytes_put_u8(j->out, '}');
}

static void json_name(struct json *j, const char *name)
{
	wr_bytes_printf(j->out, "{\"name\":");
	wr_bytes_put_json(j->out, name, strlen(name));
}

static void json_open(struct json *j, const struct wr_metric_entry *e)
{
	if (j->owner != e->owner) {
		json_close(j);
		wr_bytes_printf(j->out, j->owner ? "," : "");
		j->owner = e->owner;
		json_name(j, e->owner->name);
		wr_bytes_printf(j->out, ",\"subtask\":%u", e->owner->index);
	}
	if (!e->kind || (j->kind == e->kind && j->id == e->id))
		return;
	if (j->kind == e->kind) {
		wr_bytes_printf(j->out, "},");
	} else {
		json_close_parts(j);
		wr_bytes_printf(j->out, ",\"%s\":[", e->kind);
	}
	json_name(j, e->part);
	j->kind = e->kind;
	j->id = e->id;
}

static void json_entry(const struct wr_metric_entry *e, void *arg)
{
	struct json *j = arg;

	json_open(j, e);
	wr_bytes_printf(j->out, ",\"%s\":", e->def->name);
	if (e->histogram)
		wr_histogram_json(e->histogram, j->out);
	else
		wr_bytes_printf(j->out, "%lld", (long long)e->value);
}

void wr_metrics_json(struct wr_metrics *m, struct wr_clock *clock, struct wr_bytes *out)
{
	struct json j = {.out = out};

	wr_bytes_put_u8(out, '[');
	wr_metrics_each(m, clock, json_entry, &j);
	json_close(&j);
	wr_bytes_put_u8(out, ']');
}

/* ---- catalogue ---- */

static const char *const kinds[] = {
    [WR_COUNTER] = "counter", [WR_GAUGE] = "gauge", [WR_HISTOGRAM] = "histogram"};

void wr_metrics_catalogue(const struct wr_metric_table *tables, unsigned count, struct wr_bytes *out)
{
	for (unsigned t = 0; t < count; t++) {
		wr_bytes_printf(out, "%s%s\n", t ? "\n" : "", tables[t].of);
		for (unsigned i = 0; i < tables[t].count; i++) {
			const struct wr_metric_def *d = &tables[t].defs[i];

			wr_bytes_printf(out, "  %-20s %-9s %-8s %s\n", d->name, kinds[d->kind], d->unit,
					d->help);
		}
	}
}

void wr_metrics_catalogue_json(const struct wr_metric_table *tables, unsigned count, struct wr_bytes *out)
{
	const char *between = "[";

	for (unsigned t = 0; t < count; t++)
		for (unsigned i = 0; i < tables[t].count; i++, between = ",") {
			const struct wr_metric_def *d = &tables[t].defs[i];

			wr_bytes_printf(
			    out, "%s{\"of\":\"%s\",\"name\":\"%s\",\"kind\":\"%s\",\"unit\":\"%s\",\"help\":",
			    between, tables[t].of, d->name, kinds[d->kind], d->unit);
			wr_bytes_put_json(out, d->help, strlen(d->help));
			wr_bytes_put_u8(out, '}');
		}
	wr_bytes_printf(out, "]\n");
}
