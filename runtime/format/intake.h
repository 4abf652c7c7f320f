/* SPDX-License-Identifier: Apache-2.0 */
/* intake: a feed's bytes through a format to rows: what all byte sources share.
 *
 * Keeps the window in which the format finds records, skips what is too long or belongs to
 * the split before, and turns a damaged stream into a bad row. On the task's thread.
 *
 *   life of one stream:  begin → poll* → WR_END
 */
#pragma once
#include "stream/feed.h"
#include "format/format.h"

struct wr_intake;
/* Options: format = "lines" | "csv" | "json", max_line (bytes), those of the format.
 * NULL with the error set. */
struct wr_intake *wr_intake_new(struct wr_stage *s, bool with_path);
void wr_intake_free(struct wr_intake *in);

/* What to read next. With `from` > 0 the feed stands one byte before `from`, and the first record is the
 * first one that starts at `from` or behind; records that start at `stop` or behind are left. */
struct wr_stream {
	struct wr_feed *feed; /* taken */
	const char *path;     /* borrowed until the end; for messages, and for rows if they have a path */
	uint64_t from;
	uint64_t stop;		      /* UINT64_MAX = to the end */
	int64_t ts;		      /* of its rows; WR_TS_NONE = they have none */
	const struct wr_value *saved; /* what wr_intake_save gave: goes on there; else NULL */
	bool from_start;	      /* with `saved`: the feed stands at byte 0, not at the saved offset */
};
/* WR_OK, or WR_EUSER: `saved` is malformed; then the feed was freed. */
int wr_intake_begin(struct wr_intake *in, const struct wr_stream *stream);
/* Where the stream at hand is, as one tagged value; and its offset (of uncompressed bytes) in such a value.
 */
void wr_intake_save(const struct wr_intake *in, struct wr_bytes *out);
uint64_t wr_intake_saved_offset(const struct wr_value *saved);
/* About a buffer of rows. WR_OK, WR_AGAIN (the feed has nothing now), WR_END (this stream is done; rows may
 * have been emitted), or an error to stop with. */
int wr_intake_poll(struct wr_intake *in);
/* What came before in the stream at hand was read by another intake, which gave `saved`: goes on with what
 * its format knew (the names of columns). Before the first poll. WR_OK, or WR_EUSER: `saved` is malformed. */
int wr_intake_know(struct wr_intake *in, const struct wr_value *saved);
uint64_t wr_intake_offset(const struct wr_intake *in); /* of the next record, in uncompressed bytes */
bool wr_intake_busy(const struct wr_intake *in);       /* between begin and the end */
