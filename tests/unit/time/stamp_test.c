/* SPDX-License-Identifier: Apache-2.0 */
/* stamp: event time from fields of all kinds, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "time/stamp.h"

static int64_t iso(const char *text)
{
	int64_t ms = -1;

	if (!wr_iso_time((struct wr_str){text, (uint32_t)strlen(text)}, &ms))
		fail_msg("no time: %s", text);
	return ms;
}

static void iso_texts_with_zones_and_fractions(void **state)
{
	(void)state;
	assert_int_equal(iso("1970-01-01"), 0);
	assert_int_equal(iso("1970-01-01T00:00Z"), 0);
	assert_int_equal(iso("1969-12-31 23:59:59.999"), -1);
	assert_int_equal(iso("2026-11-21T07:50:00.123Z"), 1795247400123);
	assert_int_equal(iso("2026-11-21T07:50:00.123987Z"), 1795247400123);
	assert_int_equal(iso("2026-11-21T07:50:00.5Z"), 1795247400500);
	assert_int_equal(iso("2026-11-21T08:50:00+01:00"), 1795247400000);
	assert_int_equal(iso("2026-11-21T03:20:00-0430"), 1795247400000);
	assert_int_equal(iso("2024-02-29T00:00:00+00"), 1709164800000);
}

static void texts_that_are_no_time(void **state)
{
	static const char *const bad[] = {"",
					  "2026",
					  "2026-11",
					  "2026-13-01",
					  "2026-02-29",
					  "1900-02-29",
					  "2026-11-21T",
					  "2026-11-21T24:00:00",
					  "2026-11-21T07:50:00.Z",
					  "2026-11-21T07:50:00Zx",
					  "2026-11-21T07:50:00+1",
					  "2026-11-21T07:50:00+01:",
					  "21.11.2026",
					  "2026-11-21Z",
					  "+026-11-21"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (wr_iso_time((struct wr_str){bad[i], (uint32_t)strlen(bad[i])}, &ms))
			fail_msg("a time: %s", bad[i]);
}

static void iso_agrees_with_the_c_library(void **state)
{
	struct wr_rand rand = {11};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		time_t s = (time_t)(wr_rand_next(&rand) % 315537897600) - 62135596800;
		struct tm tm;
		char text[40];

		gmtime_r(&s, &tm);
		snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		assert_int_equal(iso(text), (int64_t)s * 1000);
	}
}

/* ---- fields ---- */

static struct wr_value text(const char *s)
{
	return (struct wr_value){.tag = WR_V_STR, .str = {s, (uint32_t)strlen(s)}};
}

/* Reads the cell as field "t" with one more option; the error's text, or NULL. */
static const char *read_cell(struct wr_cell cell, const char *option, const char *value, int64_t *ts)
{
	struct wr_value keys[] = {text("field"), text(option ? option : "unit")};
	struct wr_value items[] = {text("t"), text(value ? value : "ms")};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};
	struct wr_field_spec field = {"t", 1, cell.type ? cell.type : WR_T_F64, 0};
	uint32_t id = wr_shape_intern(&field, 1, !cell.type, 0);
	struct wr_bytes row = WR_BYTES_EMPTY;
	struct wr_stamp stamp;
	int rc;

	wr_row_put(&row, id, WR_INSERT, WR_TS_NONE, &cell);
	wr_stamp_init(&stamp, &options);
	rc = wr_stamp_of(&stamp, (struct wr_elem *)row.data, 0, ts);
	wr_bytes_deinit(&row);
	return rc == WR_OK ? NULL : wr_error_text();
}

static struct wr_cell f64(double v)
{
	return (struct wr_cell){.type = WR_T_F64, .f64 = v};
}
static struct wr_cell i64(int64_t v)
{
	return (struct wr_cell){.type = WR_T_I64, .i64 = v};
}
static struct wr_cell str(const char *s)
{
	return (struct wr_cell){.type = WR_T_STR, .str = {s, (uint32_t)strlen(s)}};
}

static void good(struct wr_cell cell, const char *option, const char *value, int64_t expected)
{
	int64_t ts = 0;
	const char *why = read_cell(cell, option, value, &ts);

	if (why)
		fail_msg("%s", why);
	assert_int_equal(ts, expected);
}

static void bad(struct wr_cell cell, const char *option, const char *value, const char *expected)
{
	int64_t ts;
	const char *why = read_cell(cell, option, value, &ts);

	assert_non_null(why);
	if (!strstr(why, expected))
		fail_msg("%s", why);
}

static void numbers_in_their_units(void **state)
{
	(void)state;
	good(f64(1700000000123.9), NULL, NULL, 1700000000123);
	good(f64(-0.5), NULL, NULL, -1);
	good(f64(1700000000.123), "unit", "s", 1700000000123);
	good(f64(1.001), "unit", "s", 1001);
	good(f64(1700000000123456), "unit", "us", 1700000000123);
	good(i64(1700000000123456), "unit", "us", 1700000000123);
	good(i64(-1), "unit", "us", -1);
	good(i64(1700000000123456789), "unit", "ns", 1700000000123);
	good(i64(1700000000), "unit", "s", 1700000000000);
	good(str("2026-11-21T07:50:00.123Z"), "format", "iso8601", 1795247400123);
}

static void times_before_1970_are_good(void **state)
{
	(void)state;
	good(f64(-86400000), NULL, NULL, -86400000);
	good(i64(-62135596800000), NULL, NULL, -62135596800000);
}

static void what_is_no_time_is_an_error_that_says_why(void **state)
{
	(void)state;
	bad((struct wr_cell){0}, NULL, NULL, "'t' is missing");
	bad((struct wr_cell){.type = WR_T_NULL}, NULL, NULL, "'t' is null");
	bad(f64(NAN), NULL, NULL, "'t' is NaN");
	bad(f64(INFINITY), NULL, NULL, "'t' is infinite");
	bad(f64(1e300), NULL, NULL, "in the year");
	bad(i64(1700000000123456), NULL, NULL, "in the year 55840: is it in another unit?");
	bad(i64(INT64_MAX), "unit", "s", "in the year");
	bad(f64(1.2e15), NULL, NULL, "in the year 39996");
	bad(i64(-62135596800001), NULL, NULL, "in the year 0:");
	bad(i64(253402300800000), NULL, NULL, "in the year 10000:");
	bad(str("soon"), NULL, NULL, "is the text \"soon\", not a number");
	bad(str("soon"), "format", "iso8601", "no ISO 8601 time");
	bad(f64(1), "format", "iso8601", "is no text");
	bad((struct wr_cell){.type = WR_T_BOOL, .u64 = 1}, NULL, NULL, "neither a number nor a text");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(iso_texts_with_zones_and_fractions),
	    cmocka_unit_test(texts_that_are_no_time),
	    cmocka_unit_test(iso_agrees_with_the_c_library),
	    cmocka_unit_test(numbers_in_their_units),
	    cmocka_unit_test(times_before_1970_are_good),
	    cmocka_unit_test(what_is_no_time_is_an_error_that_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
