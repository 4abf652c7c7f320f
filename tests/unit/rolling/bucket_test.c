/* SPDX-License-Identifier: Apache-2.0 */
/* bucket: the folder of a record, against what strftime and a naive reading of the pieces give. */
#include "rolling/bucket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"

struct options {
	struct wr_value record, keys[2], items[2], pieces[8], names[8], values[8];
};

static struct wr_value text(const char *s)
{
	return (struct wr_value){.tag = WR_V_STR, .str = {s, (uint32_t)strlen(s)}};
}

/* Pairs of kind and text, NULL behind the last. */
static struct wr_bucket *bucket_of(struct options *o, const char *time, ...)
{
	struct wr_value list = {.tag = WR_V_LIST, .items = o->pieces};
	struct wr_bucket *b;
	const char *kind;
	va_list ap;

	va_start(ap, time);
	while ((kind = va_arg(ap, const char *))) {
		uint32_t i = list.count++;

		o->names[i] = text(kind);
		o->values[i] = text(va_arg(ap, const char *));
		o->pieces[i] = (struct wr_value){
		    .tag = WR_V_RECORD, .count = 1, .keys = &o->names[i], .items = &o->values[i]};
	}
	va_end(ap);
	o->keys[0] = text("bucket");
	o->items[0] = list;
	o->keys[1] = text("time");
	o->items[1] = text(time);
	o->record = (struct wr_value){.tag = WR_V_RECORD, .count = 2, .keys = o->keys, .items = o->items};
	b = wr_bucket_new(&o->record);
	assert_non_null(b);
	return b;
}

/* A record { k = } of this time. */
static const struct wr_elem *row_of(const char *k, int64_t ts)
{
	static struct wr_bytes b;
	struct wr_field_spec f = {"k", 1, WR_T_STR, 0};
	struct wr_cell cell = {.type = WR_T_STR, .str = {k, (uint32_t)strlen(k)}};

	b.len = 0;
	wr_row_put(&b, wr_shape_intern(&f, 1, 0, 0), 0, ts, &cell);
	return (const struct wr_elem *)b.data;
}

static void expect(struct wr_bucket *b, const struct wr_elem *row, int64_t now_ms, const char *path)
{
	struct wr_str out;

	assert_int_equal(wr_bucket_of(b, row, now_ms, &out), WR_OK);
	assert_int_equal(out.len, strlen(path));
	assert_memory_equal(out.p, path, out.len);
}

static void refuse(struct wr_bucket *b, const struct wr_elem *row, const char *why)
{
	struct wr_str out;

	assert_int_equal(wr_bucket_of(b, row, 0, &out), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), why));
}

static void times_of_any_order_give_what_strftime_gives(void **state)
{
	static const char *const units[] = {"%H", "%M", "%S", "%d", "%j"};
	struct wr_rand r = {3};

	(void)state;
	for (unsigned u = 0; u < sizeof units / sizeof *units; u++) {
		struct options o = {0};
		struct wr_bucket *b =
		    bucket_of(&o, "event", "text", "y=", "time", "%Y", "text", "/", "time", units[u], NULL);
		int64_t ms = 1700000000000;

		for (int i = 0; i < 2000; i++) {
			char format[32], path[64];
			struct tm tm;
			time_t s;

			ms += (int64_t)(wr_rand_next(&r) % 4000000) - 2000000;
			if (i % 100 == 99)
				ms = (int64_t)(wr_rand_next(&r) % 4000000000000) - 2000000000000;
			s = (time_t)(ms / 1000 - (ms % 1000 < 0));
			snprintf(format, sizeof format, "y=%%Y/%s", units[u]);
			strftime(path, sizeof path, format, gmtime_r(&s, &tm));
			expect(b, row_of("x", ms), 0, path);
		}
		wr_bucket_free(b);
	}
}

static void the_clock_counts_where_it_is_asked_for(void **state)
{
	struct options o = {0};
	struct wr_bucket *b = bucket_of(&o, "processing", "time", "%M", NULL);

	(void)state;
	expect(b, row_of("x", WR_TS_NONE), 61000, "01");
	expect(b, row_of("x", WR_TS_NONE), 121000, "02");
	wr_bucket_free(b);
}

static void a_value_is_one_name_whatever_it_is(void **state)
{
	struct options o = {0};
	struct wr_bucket *b = bucket_of(&o, "event", "text", "k=", "field", "k", "text", "/z", NULL);
	char name[300] = "";

	(void)state;
	expect(b, row_of("Ünit-1_a.b", 0), 0, "k=Ünit-1_a.b/z");
	expect(b, row_of("../up", 0), 0, "k=%2E.%2Fup/z");
	expect(b, row_of("50% a\n", 0), 0, "k=50%25%20a%0A/z");
	expect(b, row_of("", 0), 0, "k=__missing__/z");
	memset(name, 'n', 254);
	refuse(b, row_of(name, 0), "a name of more than 255 bytes");
	expect(b, row_of("good", 0), 0, "k=good/z");
	wr_bucket_free(b);
	b = bucket_of(&o, "event", "field", "other", NULL);
	expect(b, row_of("x", 0), 0, "__missing__");
	wr_bucket_free(b);
}

static void a_name_is_no_longer_than_file_systems_take(void **state)
{
	struct options o = {0};
	char half[201] = "", level[257] = "", path[1100] = {0};
	struct wr_bucket *b = bucket_of(&o, "event", "field", "k", "text", "_", "field", "k", NULL);

	(void)state;
	memset(half, 'n', 128);
	refuse(b, row_of(half, 0), "a name of more than 255 bytes");
	half[127] = 0;
	snprintf(path, sizeof path, "%s_%s", half, half);
	expect(b, row_of(half, 0), 0, path);
	wr_bucket_free(b);
	memset(level, 'n', 256);
	b = bucket_of(&o, "event", "text", level, NULL);
	for (int i = 0; i < 3; i++)
		refuse(b, row_of("x", 0), "a name of more than 255 bytes");
	wr_bucket_free(b);
	for (int i = 0; i < 1025; i++)
		path[i] = i % 2 ? '/' : 'a';
	b = bucket_of(&o, "event", "text", path, NULL);
	for (int i = 0; i < 3; i++)
		refuse(b, row_of("x", 0), "its bucket has more than 1024 bytes");
	wr_bucket_free(b);
	b = bucket_of(&o, "event", "given", "k", NULL);
	refuse(b, row_of(level, 0), "a name of more than 255 bytes");
	expect(b, row_of(level + 1, 0), 0, level + 1);
	wr_bucket_free(b);
}

static void a_path_that_was_given_stays_below_the_sink(void **state)
{
	static const char *const bad[] = {"", "/", "a/", "/a", "a//b", "..", "a/../b", ".hidden", "a\nb"};
	struct options o = {0};
	struct wr_bucket *b = bucket_of(&o, "event", "given", "k", NULL);

	(void)state;
	expect(b, row_of("a/b c/ü", 0), 0, "a/b c/ü");
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		refuse(b, row_of(bad[i], 0), "its bucket");
	wr_bucket_free(b);
}

static void a_record_without_a_time_has_no_bucket_of_it(void **state)
{
	struct options o = {0};
	struct wr_bucket *b = bucket_of(&o, "event", "time", "%H", NULL);

	(void)state;
	refuse(b, row_of("x", WR_TS_NONE), "it has no event time");
	expect(b, row_of("x", 3600000), 0, "01");
	wr_bucket_free(b);
	b = bucket_of(&o, "event", NULL);
	expect(b, row_of("x", WR_TS_NONE), 0, "");
	wr_bucket_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_of_any_order_give_what_strftime_gives),
	    cmocka_unit_test(the_clock_counts_where_it_is_asked_for),
	    cmocka_unit_test(a_value_is_one_name_whatever_it_is),
	    cmocka_unit_test(a_name_is_no_longer_than_file_systems_take),
	    cmocka_unit_test(a_path_that_was_given_stays_below_the_sink),
	    cmocka_unit_test(a_record_without_a_time_has_no_bucket_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
