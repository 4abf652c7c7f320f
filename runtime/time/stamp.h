/* SPDX-License-Identifier: Apache-2.0 */
/* stamp: the event time of a row, in ms since 1970, from one of its fields or from the row's
 * own timestamp, as a watermark strategy declares it. Pure; one thread.
 *
 * What is no time is an error that says why, never a guess: a missing field, a text where a
 * number is declared, NaN, a year before 1 or behind 9999 (mostly a time in another unit).
 * Times before 1970 are negative and good.
 */
#pragma once
#include "record/row.h"
#include "record/value.h"

struct wr_stamp {
	const char *field; /* NULL: the row's own timestamp */
	uint32_t field_len;
	bool iso;	       /* the field is ISO 8601 text */
	double per_ms, ms_per; /* of the unit: how many of it are a ms, or how many ms it is; one is 1 */
	int64_t ahead_ms;      /* how far before the clock a record may be, INT64_MAX = any */
	uint32_t shape;	       /* of the last row, and where the field is in it */
	int32_t at;
	uint32_t quick_at; /* where it is in the element, if it is a number of ms and always there; else 0 */
};
/* Options: field, unit = ns|us|ms|s, format = "iso8601", ahead_max. Borrowed. */
void wr_stamp_init(struct wr_stamp *s, const struct wr_value *options);
/* `now_ms`: processing time. WR_OK, or WR_EUSER with the error set. */
int wr_stamp_of(struct wr_stamp *s, const struct wr_elem *row, int64_t now_ms, int64_t *ts);

/* ISO 8601: 2026-11-21T10:30[:00[.123456]][Z|+01:00], a space in place of T, a date alone; without a zone it
 * is UTC. False: it is none. */
bool wr_iso_time(struct wr_str text, int64_t *ms);
