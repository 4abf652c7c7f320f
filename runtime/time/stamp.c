/* SPDX-License-Identifier: Apache-2.0 */
/* stamp: event time from numbers and texts; see stamp.h. */
#include "time/stamp.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/error.h"

static const int64_t first_ms = INT64_C(-62135596800000),
		     last_ms = INT64_C(253402300799999); /* 0001 to 9999 */
static const double ms_per_year = 365.2425 * 86400000;

struct unit {
	const char *name;
	double per_ms, ms_per;
};
static const struct unit units[] = {{"ms", 1, 1}, {"us", 1e3, 1}, {"ns", 1e6, 1}, {"s", 1, 1e3}};
enum { UNITS = sizeof units / sizeof *units };

void wr_stamp_init(struct wr_stamp *s, const struct wr_value *options)
{
	const char *unit = wr_value_str(options, "unit", "ms");

	*s = (struct wr_stamp){.field = wr_value_str(options, "field", NULL), .per_ms = 1, .ms_per = 1};
	s->field_len = s->field ? (uint32_t)strlen(s->field) : 0;
	s->iso = strcmp(wr_value_str(options, "format", ""), "iso8601") == 0;
	s->ahead_ms = wr_value_int(options, "ahead_max", INT64_MAX);
	for (int i = 0; i < UNITS; i++)
		if (!strcmp(units[i].name, unit)) {
			s->per_ms = units[i].per_ms;
			s->ms_per = units[i].ms_per;
		}
}

/* ---- ISO 8601 ---- */

/* `n` digits at *p, which moves on. */
static bool digits(const char **p, const char *end, int n, int *out)
{
	*out = 0;
	for (; n > 0; n--, (*p)++) {
		if (*p == end || **p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

static bool sign(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

/* Days since 1970 in the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Milliseconds behind the point; further digits are cut. */
static bool fraction(const char **p, const char *end, int *ms)
{
	int count = 0, d;

	for (*ms = 0; *p < end && **p >= '0' && **p <= '9'; count++) {
		digits(p, end, 1, &d);
		if (count < 3)
			*ms = *ms * 10 + d;
	}
	for (int i = count; i < 3; i++)
		*ms *= 10;
	return count > 0;
}

/* The time of day behind T, in ms. */
static bool clock_time(const char **p, const char *end, int64_t *ms)
{
	int h, m, s = 0, f = 0;

	if (!digits(p, end, 2, &h) || !sign(p, end, ':') || !digits(p, end, 2, &m))
		return false;
	if (sign(p, end, ':') && (!digits(p, end, 2, &s) || (sign(p, end, '.') && !fraction(p, end, &f))))
		return false;
	*ms = ((h * INT64_C(60) + m) * 60 + s) * 1000 + f;
	return h < 24 && m < 60 && s < 60;
}

static bool zone(const char **p, const char *end, int64_t *ms)
{
	int h, m = 0, way;

	*ms = 0;
	if (*p == end || sign(p, end, 'Z'))
		return true;
	way = sign(p, end, '-') ? -1 : sign(p, end, '+') ? 1 : 0;
	if (!way || !digits(p, end, 2, &h))
		return false;
	if (*p < end && ((sign(p, end, ':'), !digits(p, end, 2, &m))))
		return false;
	*ms = way * (h * INT64_C(60) + m) * 60000;
	return h < 24 && m < 60;
}

bool wr_iso_time(struct wr_str text, int64_t *ms)
{
	const char *p = text.p, *end = p + text.len;
	int year, month, day;
	int64_t time = 0, off = 0;

	if (!digits(&p, end, 4, &year) || !sign(&p, end, '-') || !digits(&p, end, 2, &month) ||
	    !sign(&p, end, '-') || !digits(&p, end, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month))
		return false;
	if ((sign(&p, end, 'T') || sign(&p, end, ' ')) &&
	    (!clock_time(&p, end, &time) || !zone(&p, end, &off)))
		return false;
	*ms = days_of(year, month, day) * INT64_C(86400000) + time - off;
	return p == end;
}

/* ---- fields ---- */

static struct wr_cell cell_of(struct wr_stamp *s, const struct wr_elem *row)
{
	uint32_t id = wr_elem_shape(row);
	const struct wr_shape *shape = wr_shape(id);

	if (s->shape != id) {
		s->shape = id;
		s->at = wr_shape_find(shape, s->field, s->field_len);
		if (s->at >= 0 && shape->fields[s->at].type == WR_T_ANY)
			s->at = -1;
		s->quick_at = 0;
		if (s->at >= 0 && shape->fields[s->at].type == WR_T_F64 && !shape->nullable && !s->iso &&
		    s->per_ms == 1 && s->ms_per == 1 && s->ahead_ms == INT64_MAX)
			s->quick_at = WR_ELEM_HEADER + shape->slots_at + 8 * (uint32_t)s->at;
	}
	if (s->at < 0) /* a path, or a row of another form */
		return wr_row_lookup(row, s->field, s->field_len);
	return wr_row_get(shape, wr_elem_body(row), (uint32_t)s->at);
}

/* The year of a time before first_ms or behind last_ms, by the mean length of years, which is off by one
 * at the bounds. */
static double year_outside(double ms)
{
	double year = floor(1970 + ms / ms_per_year);

	return ms < 0 ? fmin(year, 0) : fmax(year, 10000);
}

static int out_of_range(const struct wr_stamp *s, double ms)
{
	return wr_error_set(WR_EUSER,
			    "timestamp field '%s' is in the year %.0f: is it in another unit? (unit = \"s\", "
			    "\"ms\", \"us\" or \"ns\")",
			    s->field, year_outside(ms));
}

static int of_number(const struct wr_stamp *s, double v, int64_t *ts)
{
	double ms;

	if (!isfinite(v))
		return wr_error_set(WR_EUSER, "timestamp field '%s' is %s", s->field,
				    isnan(v) ? "NaN" : "infinite");
	/* a fraction of a second is not exact in binary: to the microsecond first */
	ms = s->ms_per == 1 ? floor(v / s->per_ms) : floor(round(v * s->ms_per * 1e3) / 1e3);
	if (ms < (double)first_ms || ms > (double)last_ms)
		return out_of_range(s, ms);
	*ts = (int64_t)ms;
	return WR_OK;
}

static int of_integer(const struct wr_stamp *s, int64_t v, int64_t *ts)
{
	int64_t per = (int64_t)s->per_ms, times = (int64_t)s->ms_per;
	int64_t ms = v / per - (v % per < 0);

	if (ms < first_ms / times || ms > last_ms / times)
		return out_of_range(s, (double)ms * (double)times);
	*ts = ms * times;
	return WR_OK;
}

static int of_text(const struct wr_stamp *s, struct wr_str text, int64_t *ts)
{
	int shown = text.len < 40 ? (int)text.len : 40;

	if (!s->iso)
		return wr_error_set(
		    WR_EUSER,
		    "timestamp field '%s' is the text \"%.*s\", not a number; format = \"iso8601\" "
		    "reads texts such as 2026-11-21T10:30:00Z",
		    s->field, shown, text.p);
	if (!wr_iso_time(text, ts))
		return wr_error_set(WR_EUSER, "timestamp field '%s' is \"%.*s\", which is no ISO 8601 time",
				    s->field, shown, text.p);
	return WR_OK;
}

static int of_cell(const struct wr_stamp *s, const struct wr_cell *c, int64_t *ts)
{
	if (!c->type)
		return wr_error_set(WR_EUSER, "timestamp field '%s' is missing", s->field);
	if (c->type == WR_T_NULL)
		return wr_error_set(WR_EUSER, "timestamp field '%s' is null", s->field);
	if (c->type == WR_T_STR)
		return of_text(s, c->str, ts);
	if (s->iso)
		return wr_error_set(
		    WR_EUSER, "timestamp field '%s' is no text, as format = \"iso8601\" asks for", s->field);
	if (c->type == WR_T_F64)
		return of_number(s, c->f64, ts);
	if (c->type == WR_T_I64)
		return of_integer(s, c->i64, ts);
	if (c->type == WR_T_U64)
		return of_integer(s, c->u64 > INT64_MAX ? INT64_MAX : (int64_t)c->u64, ts);
	return wr_error_set(WR_EUSER, "timestamp field '%s' is neither a number nor a text", s->field);
}

/* As nearly all times come: whole milliseconds since 1970. */
static bool quick_stamp(const struct wr_stamp *s, const struct wr_elem *row, int64_t *ts)
{
	double ms;

	if (s->quick_at == 0 || s->shape != wr_elem_shape(row))
		return false;
	memcpy(&ms, (const uint8_t *)row + s->quick_at, 8);
	if (!(ms >= 0 && ms <= (double)last_ms))
		return false;
	*ts = (int64_t)ms; /* of a positive number the floor */
	return true;
}

int wr_stamp_of(struct wr_stamp *s, const struct wr_elem *row, int64_t now_ms, int64_t *ts)
{
	int rc = WR_OK;

	if (quick_stamp(s, row, ts))
		return WR_OK;
	if (s->field) {
		struct wr_cell c = cell_of(s, row);

		rc = of_cell(s, &c, ts);
	} else {
		*ts = row->ts;
		if (*ts == WR_TS_NONE)
			rc = wr_error_set(WR_EUSER,
					  "the record has no timestamp: name the field that holds it "
					  "(field = \"…\")");
		else if (*ts < first_ms || *ts > last_ms)
			rc = wr_error_set(WR_EUSER,
					  "the record's time, %" PRId64
					  " ms since 1970, is in the year %.0f: is it in another unit?",
					  *ts, year_outside((double)*ts));
	}
	if (rc == WR_OK && s->ahead_ms != INT64_MAX && *ts > now_ms + s->ahead_ms)
		rc = wr_error_set(WR_EUSER,
				  "the record's time is %" PRId64
				  " ms ahead of the clock, and ahead_max is %" PRId64 " ms",
				  *ts - now_ms, s->ahead_ms);
	return rc;
}
