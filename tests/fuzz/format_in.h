/* SPDX-License-Identifier: Apache-2.0 */
/* format_in: bytes through a format, once whole and once in small pieces. Every row must hold
 * the check for rows from outside, and the pieces must make no difference. */
#pragma once
#include <stdlib.h>
#include "base/assert.h"
#include "base/error.h"
#include "format/intake.h"

struct fuzz_feed {
	struct wr_feed feed;
	const uint8_t *p;
	size_t left, piece;
};

static uint8_t fuzz_room[1 << 20] __attribute__((aligned(64)));
static struct wr_bytes fuzz_text; /* rows as JSON lines, bad records as their places */

static int fuzz_read(struct wr_feed *feed, uint8_t *to, size_t room, size_t *got)
{
	struct fuzz_feed *f = (struct fuzz_feed *)feed;
	size_t n = f->left < f->piece ? f->left : f->piece;

	if (n == 0)
		return WR_END;
	n = n < room ? n : room;
	memcpy(to, f->p, n);
	f->p += n;
	f->left -= n;
	*got = n;
	return WR_OK;
}

static void fuzz_free(struct wr_feed *feed)
{
	(void)feed;
}

static void fuzz_take(struct wr_out *o)
{
	for (uint8_t *p = fuzz_room; p < o->p; p += ((struct wr_elem *)p)->len) {
		WR_ASSERT(wr_elem_verify(p, (size_t)(o->p - p), NULL) == WR_OK);
		wr_row_json((struct wr_elem *)p, &fuzz_text);
		wr_bytes_put_u8(&fuzz_text, '\n');
	}
	o->p = fuzz_room;
}

/* What a task gives its stages; linked in front of the task's own. */
uint8_t *wr_out_more(struct wr_out *o, uint32_t need)
{
	fuzz_take(o);
	WR_ASSERT(need <= sizeof fuzz_room);
	return o->p;
}
int wr_stage_spent(struct wr_stage *s)
{
	(void)s;
	return 0;
}
int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	(void)s;
	(void)op;
	(void)row;
	(void)code;
	(void)raw;
	(void)raw_len;
	wr_bytes_printf(&fuzz_text, "%s: %s\n", origin, error);
	return WR_OK;
}

static void fuzz_read_all(const struct wr_value *options, const uint8_t *p, size_t len, size_t piece)
{
	static const struct wr_feed_ops ops = {fuzz_read, fuzz_free};
	struct fuzz_feed feed = {{&ops}, p, len, piece};
	struct wr_out out = {fuzz_room, fuzz_room + sizeof fuzz_room, 0}, *outs[1] = {&out};
	struct wr_stage stage = {.options = options, .outs = outs, .out_count = 1};
	struct wr_intake *in = wr_intake_new(&stage, false);
	int rc;

	WR_ASSERT(in);
	wr_intake_begin(
	    in, &(struct wr_stream){.feed = &feed.feed, .path = "in", .stop = UINT64_MAX, .ts = WR_TS_NONE});
	while ((rc = wr_intake_poll(in)) == WR_OK)
		fuzz_take(&out);
	WR_ASSERT(rc == WR_END);
	fuzz_take(&out);
	wr_intake_free(in);
}

static void fuzz_format(const struct wr_value *options, const uint8_t *p, size_t len, size_t piece)
{
	struct wr_bytes whole;

	fuzz_text.len = 0;
	fuzz_read_all(options, p, len, SIZE_MAX);
	whole = fuzz_text;
	fuzz_text = (struct wr_bytes)WR_BYTES_EMPTY;
	fuzz_read_all(options, p, len, piece);
	WR_ASSERT(whole.len == fuzz_text.len &&
		  (whole.len == 0 || memcmp(whole.data, fuzz_text.data, whole.len) == 0));
	wr_bytes_deinit(&whole);
}
