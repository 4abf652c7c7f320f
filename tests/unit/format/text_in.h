/* SPDX-License-Identifier: Apache-2.0 */
/* text_in: a text through a format to rows, fed in pieces of random size. */
#pragma once
#include "base/log.h"
#include "base/rand.h"
#include "format/intake.h"
#include "unit/connect/stand.h"

struct text_feed {
	struct wr_feed feed;
	const char *p;
	size_t left;
	struct wr_rand rand;
	size_t piece_max;
};

static inline int text_read(struct wr_feed *feed, uint8_t *to, size_t room, size_t *got)
{
	struct text_feed *f = (struct text_feed *)feed;
	size_t n = 1 + wr_rand_below(&f->rand, (uint32_t)f->piece_max);

	if (f->left == 0)
		return WR_END;
	n = n < f->left ? n : f->left;
	n = n < room ? n : room;
	memcpy(to, f->p, n);
	f->p += n;
	f->left -= n;
	*got = n;
	return WR_OK;
}

static inline void text_free(struct wr_feed *feed)
{
	free(feed);
}

static const struct wr_feed_ops text_ops = {text_read, text_free};

/* Reads the text with the stage's options. The rows are stand_text(st); the answer is that of the last poll.
 */
static inline int text_in(struct stand *st, const char *text, size_t len, size_t piece_max, uint64_t seed)
{
	struct text_feed *f = malloc(sizeof *f);
	struct wr_intake *in = wr_intake_new(&st->stage, false);
	int rc;

	assert_non_null(in);
	*f = (struct text_feed){{&text_ops}, text, len, {seed}, piece_max};
	wr_intake_begin(
	    in, &(struct wr_stream){.feed = &f->feed, .path = "in", .stop = UINT64_MAX, .ts = WR_TS_NONE});
	do {
		rc = wr_intake_poll(in);
		stand_take(st);
	} while (rc == WR_OK);
	wr_intake_free(in);
	return rc;
}

static inline struct stand *text_stand(const char *format)
{
	struct stand *st = stand_new("discard", 0, 1);

	bad_rows = 0;
	wr_log_setup(WR_LOG_ERROR, false); /* what is skipped is no news here */
	st->stage.on_error = WR_ON_ERROR_SKIP;
	stand_options(st, "s:format", format, NULL);
	return st;
}

/* The rows of a text, whatever the pieces it comes in. */
static inline void expect_rows(struct stand *st, const char *text, const char *rows, int bad)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		size_t piece_max = seed < 10 ? 1 + seed : 1000;

		st->text.len = 0;
		bad_rows = 0;
		assert_int_equal(text_in(st, text, strlen(text), piece_max, seed), WR_END);
		assert_string_equal(stand_text(st), rows);
		assert_int_equal(bad_rows, bad);
	}
}
