/* SPDX-License-Identifier: Apache-2.0 */
/* format: what makes rows of bytes, and the window (scan) on the bytes that it works on.
 *
 * A format takes whole records from the front of a window and leaves the rest; the intake
 * (format/intake.h) moves the window along the stream. Malformed records go through
 * wr_scan_bad, behind which the format continues.
 */
#pragma once
#include "base/assert.h"
#include "base/error.h"
#include "task/stage.h"

enum {
	WR_SCAN_PADDING = 64,	       /* readable bytes behind `end`, which the JSON parser asks for */
	WR_SCAN_RECORD_MAX = 16 << 20, /* default limit of one line or record */
};

struct wr_scan {
	const uint8_t *p, *end; /* not yet taken */
	const uint8_t *start;	/* of the window */
	uint64_t start_offset;	/* of `start` in the stream (of uncompressed bytes) */
	uint64_t stop;		/* a record that starts here or behind is another's; UINT64_MAX = none */
	bool last;		/* nothing comes behind `end` */
	size_t record_max;	/* bytes of a record, its line end not counted */
	int64_t ts;		/* of the rows; WR_TS_NONE = they have none */
	int64_t budget;		/* bytes of rows that may still be emitted in this poll */
	struct wr_str path;	/* p NULL: rows have no path (standard input, sockets) */
	struct wr_stage *stage;
};

struct wr_format {
	const char *name;
	/* `options` of the stage; NULL with the error set. */
	void *(*make)(const struct wr_value *options, bool with_path);
	/* A new stream begins. */
	void (*begin)(void *format);
	/* Emits rows from in->p on. WR_OK: what is left is no whole record (nothing is left when in->last);
	 * WR_AGAIN: the budget is spent; WR_END: in->stop is reached; else an error to stop with. */
	int (*rows)(void *format, struct wr_scan *in);
	/* What it learned of the stream at hand, as one tagged value, and the same stream further on, with
	 * that in place of what stands at its beginning. NULL: nothing. */
	void (*save)(const void *format, struct wr_bytes *out);
	int (*resume)(void *format, const struct wr_value *saved);
	void (*free)(void *format);
};

extern const struct wr_format wr_lines_format; /* lines.c */
extern const struct wr_format wr_csv_format;   /* csv.c */
extern const struct wr_format wr_json_format;  /* json.c */

static inline uint64_t wr_scan_offset(const struct wr_scan *in)
{
	return in->start_offset + (uint64_t)(in->p - in->start);
}

/* Room for a row of `len` bytes on the main output, counted against the budget; NULL with the error set.
 * The caller fills it whole: it is emitted. */
static inline uint8_t *wr_scan_row(struct wr_scan *in, uint32_t len)
{
	struct wr_out *out = in->stage->outs[0];
	uint8_t *p = out->p;

	if (WR_UNLIKELY((size_t)(out->end - p) < len)) {
		p = wr_out_more(out, len);
		if (!p)
			return NULL;
	}
	out->p = p + len;
	out->rows++;
	in->budget -= len;
	return p;
}

/* Formats with a record a line: calls `each` for every line at in->p, its '\n' not counted, as `rows` above
 * has it. Lines that are too long are put aside. */
int wr_scan_lines(struct wr_scan *in, int (*each)(void *format, struct wr_scan *in, size_t len),
		  void *format);

/* The record of `len` bytes at in->p is bad: hands it to the stage's on_error with file and offset.
 * Does not move in->p. WR_OK: go on behind it. */
int wr_scan_bad(struct wr_scan *in, size_t len, const char *reason);
int wr_scan_too_long(struct wr_scan *in, size_t len);
