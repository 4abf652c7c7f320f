/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: histograms against sorted values, the registry and the catalogue. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/metrics.h"
#include "base/rand.h"
#include "support/failing.h"

static const struct wr_metric_def rows_in = {"rows_in", WR_COUNTER, "rows", "Rows that came in."};
static const struct wr_metric_def queued = {"queued", WR_GAUGE, "buffers", "Buffers that wait."};
static const struct wr_metric_def latency = {"latency", WR_HISTOGRAM, "ns", "Time from source to sink."};

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void check_quantiles(struct wr_histogram *h, const uint64_t *sorted, uint64_t n)
{
	for (int i = 0; i < wr_quantiles_count; i++) {
		uint64_t rank = (uint64_t)(wr_quantiles[i].q * (double)n + 0.5);
		uint64_t exact = sorted[(rank ? rank : 1) - 1];
		uint64_t shown = wr_histogram_at(h, wr_quantiles[i].q);

		assert_true(shown >= exact);
		if (shown - exact > exact / 64)
			fail_msg("%s of %llu values: %llu shown for %llu", wr_quantiles[i].name,
				 (unsigned long long)n, (unsigned long long)shown, (unsigned long long)exact);
	}
}

static void quantiles_are_near_those_of_the_sorted_values(void **state)
{
	enum { MOST = 20000 };
	static uint64_t v[MOST];
	struct wr_rand r = {3};

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct wr_histogram *h = wr_histogram_new();
		uint32_t n = 1 + wr_rand_below(&r, round % 2 ? MOST : 30), shift = wr_rand_below(&r, 64);
		double sum = 0;

		for (uint32_t i = 0; i < n; i++) {
			v[i] = wr_rand_next(&r) >> (shift + wr_rand_below(&r, 64 - shift));
			wr_histogram_add(h, v[i]);
			sum += (double)v[i];
		}
		qsort(v, n, sizeof *v, by_value);
		check_quantiles(h, v, n);
		assert_int_equal(wr_histogram_count(h), n);
		assert_true(wr_histogram_max(h) == v[n - 1]);
		assert_true(wr_histogram_at(h, 1) == v[n - 1]);
		if (sum < 1e18)
			assert_true(wr_histogram_mean(h) > sum / n * 0.999999 - 1e-9 &&
				    wr_histogram_mean(h) < sum / n * 1.000001 + 1e-9);
		wr_histogram_free(h);
	}
}

static void small_values_are_exact(void **state)
{
	struct wr_histogram *h = wr_histogram_new();

	(void)state;
	for (uint64_t i = 1; i <= 100; i++)
		wr_histogram_add(h, i);
	assert_int_equal(wr_histogram_at(h, 0), 1);
	assert_int_equal(wr_histogram_at(h, 0.5), 50);
	assert_int_equal(wr_histogram_at(h, 0.99), 99);
	assert_int_equal(wr_histogram_at(h, 0.9999), 100);
	wr_histogram_free(h);
}

static void an_empty_histogram_shows_nothing(void **state)
{
	struct wr_histogram *h = wr_histogram_new();

	(void)state;
	assert_int_equal(wr_histogram_count(h), 0);
	assert_int_equal(wr_histogram_max(h), 0);
	assert_int_equal(wr_histogram_at(h, 0.99), 0);
	assert_true(wr_histogram_mean(h) == 0);
	wr_histogram_free(h);
	wr_histogram_free(NULL);
}

static void the_ends_of_the_range_have_buckets(void **state)
{
	struct wr_histogram *h = wr_histogram_new();

	(void)state;
	wr_histogram_add(h, 0);
	assert_int_equal(wr_histogram_at(h, 1), 0);
	wr_histogram_add(h, UINT64_MAX);
	assert_int_equal(wr_histogram_at(h, 0.5), 0);
	assert_true(wr_histogram_at(h, 1) == UINT64_MAX);
	for (int i = 0; i < 64; i++)
		wr_histogram_add(h, 1ULL << i);
	assert_int_equal(wr_histogram_count(h), 66);
	wr_histogram_free(h);
}

static void merging_is_adding_all(void **state)
{
	struct wr_histogram *a = wr_histogram_new(), *b = wr_histogram_new(), *all = wr_histogram_new();
	struct wr_rand r = {5};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint64_t v = wr_rand_next(&r) >> wr_rand_below(&r, 64);

		wr_histogram_add(i % 3 ? a : b, v);
		wr_histogram_add(all, v);
	}
	wr_histogram_merge(a, b);
	assert_int_equal(wr_histogram_count(a), wr_histogram_count(all));
	assert_true(wr_histogram_max(a) == wr_histogram_max(all));
	for (int i = 0; i <= 100; i++)
		assert_true(wr_histogram_at(a, i / 100.0) == wr_histogram_at(all, i / 100.0));
	wr_histogram_free(a);
	wr_histogram_free(b);
	wr_histogram_free(all);
}

struct shared {
	struct wr_histogram *h;
	wr_metric rows;
	_Atomic int done;
};

static void *write_values(void *arg)
{
	struct shared *s = arg;

	for (uint64_t i = 0; i < 50000; i++) {
		wr_histogram_add(s->h, i);
		wr_metric_add(&s->rows, 2);
	}
	atomic_store(&s->done, 1);
	return NULL;
}

static void tell_shared(void *arg, struct wr_metric_reading *r)
{
	struct shared *s = arg;

	wr_metric_tell(r, &rows_in, wr_metric_get(&s->rows));
	wr_metric_tell_histogram(r, &latency, s->h);
}

static void values_may_be_read_while_they_are_written(void **state)
{
	struct shared s = {wr_histogram_new(), 0, 0};
	struct wr_metrics *m = wr_metrics_new();
	struct wr_metric_set *set =
	    wr_metric_set_new(m, (struct wr_metric_owner){"busy", 0, 0}, tell_shared, &s);
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_values, &s), 0);
	do {
		struct wr_bytes text = WR_BYTES_EMPTY;

		wr_metrics_json(m, wr_clock_system(), &text);
		assert_true(wr_histogram_at(s.h, 0.5) <= 50000);
		wr_bytes_deinit(&text);
	} while (!atomic_load(&s.done));
	pthread_join(writer, NULL);
	assert_int_equal(wr_metric_get(&s.rows), 100000);
	wr_metric_set_free(set);
	wr_metrics_free(m);
	wr_histogram_free(s.h);
}

/* A task with two operators and an output, and nothing of what is not there. */
static void tell_task(void *arg, struct wr_metric_reading *r)
{
	wr_metric_tell(r, &rows_in, *(int64_t *)arg);
	wr_metric_tell(r, &queued, WR_METRIC_NONE);
	wr_metric_part(r, "operators", "map", 0);
	wr_metric_tell(r, &rows_in, 1);
	wr_metric_tell(r, &queued, -2);
	wr_metric_part(r, "operators", "map", 1);
	wr_metric_tell(r, &rows_in, 3);
	wr_metric_part(r, "outputs", "a \"b\"", 1);
	wr_metric_tell(r, &queued, (int64_t)wr_metric_now_ns(r) + wr_metric_now_ms(r));
}

static void tell_histogram(void *arg, struct wr_metric_reading *r)
{
	wr_metric_part(r, "latencies", "print", 77);
	wr_metric_tell_histogram(r, &latency, arg);
}

static void expect_json(struct wr_metrics *m, const char *text)
{
	struct wr_bytes out = WR_BYTES_EMPTY;
	struct wr_clock clock;

	wr_clock_manual_init(&clock, 5, 6);
	wr_metrics_json(m, &clock, &out);
	wr_bytes_put_u8(&out, 0);
	assert_string_equal((char *)out.data, text);
	wr_bytes_deinit(&out);
}

static void the_registry_reads_sets_in_order_with_their_parts(void **state)
{
	struct wr_metrics *m = wr_metrics_new();
	struct wr_histogram *h = wr_histogram_new();
	int64_t rows = 17;
	struct wr_metric_set *a =
	    wr_metric_set_new(m, (struct wr_metric_owner){"map", 0, 0}, tell_task, &rows);
	struct wr_metric_set *b =
	    wr_metric_set_new(m, (struct wr_metric_owner){"map", 0, 1}, tell_histogram, h);

	(void)state;
	wr_histogram_add(h, 4);
	wr_histogram_add(h, 5);
	expect_json(m, "[{\"name\":\"map\",\"subtask\":0,\"rows_in\":17,\"operators\":["
		       "{\"name\":\"map\",\"rows_in\":1,\"queued\":-2},{\"name\":\"map\",\"rows_in\":3}],"
		       "\"outputs\":[{\"name\":\"a \\\"b\\\"\",\"queued\":11}]},"
		       "{\"name\":\"map\",\"subtask\":1,\"latencies\":[{\"name\":\"print\",\"latency\":"
		       "{\"count\":2,\"mean\":4.5,\"p50\":4,\"p90\":5,\"p95\":5,\"p99\":5,\"p99.9\":5,"
		       "\"p99.99\":5,\"max\":5}}]}]");
	wr_metric_set_free(a);
	wr_metric_set_free(b);
	wr_metric_set_free(NULL);
	expect_json(m, "[]");
	wr_metrics_free(m);
	wr_metrics_free(NULL);
	wr_histogram_free(h);
}

static void the_catalogue_says_name_kind_unit_and_meaning(void **state)
{
	static const struct wr_metric_def defs[] = {{"rows_in", WR_COUNTER, "rows", "Rows that came in."},
						    {"queued", WR_GAUGE, "buffers", "Buffers that wait."}};
	static const struct wr_metric_table tables[] = {{"tasks", defs, 2}, {"others", defs, 1}};
	struct wr_bytes text = WR_BYTES_EMPTY, json = WR_BYTES_EMPTY;

	(void)state;
	wr_metrics_catalogue(tables, 2, &text);
	wr_metrics_catalogue_json(tables, 1, &json);
	wr_bytes_put_u8(&text, 0);
	wr_bytes_put_u8(&json, 0);
	assert_string_equal((char *)text.data,
			    "tasks\n"
			    "  rows_in              counter   rows     Rows that came in.\n"
			    "  queued               gauge     buffers  Buffers that wait.\n"
			    "\nothers\n"
			    "  rows_in              counter   rows     Rows that came in.\n");
	assert_string_equal(
	    (char *)json.data,
	    "[{\"of\":\"tasks\",\"name\":\"rows_in\",\"kind\":\"counter\",\"unit\":\"rows\",\"help\":\"Rows "
	    "that came in.\"},{\"of\":\"tasks\",\"name\":\"queued\",\"kind\":\"gauge\",\"unit\":\"buffers\","
	    "\"help\":\"Buffers that wait.\"}]\n");
	wr_bytes_deinit(&text);
	wr_bytes_deinit(&json);
}

static void a_refusal_leaves_nothing_listed(void **state)
{
	int64_t rows = 0;

	(void)state;
	for (struct failing f = failing_begin(); failing_next(&f);) {
		struct wr_metrics *m = wr_metrics_new();
		struct wr_metric_owner owner = {"x", 0, 0};
		struct wr_metric_set *set = m ? wr_metric_set_new(m, owner, tell_task, &rows) : NULL;
		struct wr_histogram *h = wr_histogram_new();
		bool all = set && h;

		wr_metric_set_free(set);
		wr_metrics_free(m);
		wr_histogram_free(h);
		failing_check(&f, all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(quantiles_are_near_those_of_the_sorted_values),
	    cmocka_unit_test(small_values_are_exact),
	    cmocka_unit_test(an_empty_histogram_shows_nothing),
	    cmocka_unit_test(the_ends_of_the_range_have_buckets),
	    cmocka_unit_test(merging_is_adding_all),
	    cmocka_unit_test(values_may_be_read_while_they_are_written),
	    cmocka_unit_test(the_registry_reads_sets_in_order_with_their_parts),
	    cmocka_unit_test(the_catalogue_says_name_kind_unit_and_meaning),
	    cmocka_unit_test(a_refusal_leaves_nothing_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
