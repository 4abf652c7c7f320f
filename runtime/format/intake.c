/* SPDX-License-Identifier: Apache-2.0 */
/* intake: a feed's bytes through a format to rows; see intake.h. */
#include <inttypes.h>
#include <stdio.h>
#include "base/assert.h"
#include "format/intake.h"
#include "record/row.h"

enum {
	INTAKE_BLOCK = 256 << 10, /* one read: amortises the call, stays in the second-level cache */
	INTAKE_BATCH = 32 << 10,  /* rows of one poll: a buffer */
	INTAKE_RAW_MAX = 4096,	  /* of a bad record that is handed on */
};

struct wr_intake {
	struct wr_stage *stage;
	const struct wr_format *format;
	void *format_state;
	struct wr_feed *feed; /* NULL: no stream */
	uint8_t *window;
	size_t window_size; /* padding not counted */
	bool skipping;	    /* up to and including the next LF */
	uint64_t pass;	    /* bytes that were taken before the stream was saved */
	struct wr_scan scan;
};

static struct wr_mem intake_mem = WR_MEM_INIT("format.intake");

static const struct wr_format *const formats[] = {&wr_lines_format, &wr_csv_format, &wr_json_format};

/* ---- bad records ---- */

static void origin_of(const struct wr_scan *in, char *to, size_t size)
{
	snprintf(to, size, "%.*s, byte %" PRIu64, (int)in->path.len, in->path.p, wr_scan_offset(in));
}

int wr_scan_bad(struct wr_scan *in, size_t len, const char *reason)
{
	char origin[4096 + 32], text[512];

	snprintf(text, sizeof text, "%s", reason); /* reason may be this thread's error text */
	origin_of(in, origin, sizeof origin);
	return wr_stage_bad_row(in->stage, 0, NULL, in->p, len < INTAKE_RAW_MAX ? len : INTAKE_RAW_MAX,
				origin, text, WR_EUSER);
}

int wr_scan_too_long(struct wr_scan *in, size_t len)
{
	char reason[96];

	snprintf(reason, sizeof reason, "a line is longer than %zu bytes (max_line)", in->record_max);
	return wr_scan_bad(in, len, reason);
}

/* ---- life ---- */

static const struct wr_format *find_format(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

struct wr_intake *wr_intake_new(struct wr_stage *s, bool with_path)
{
	const char *name = wr_value_str(s->options, "format", "lines");
	const struct wr_format *format = find_format(name);
	struct wr_intake *in;

	if (!format) {
		wr_error_set(WR_EUSER, "there is no format '%s'", name);
		return NULL;
	}
	in = wr_zalloc(&intake_mem, sizeof *in);
	if (!in)
		return NULL;
	in->stage = in->scan.stage = s;
	in->format = format;
	in->scan.record_max = (size_t)wr_value_int(s->options, "max_line", WR_SCAN_RECORD_MAX);
	WR_ASSERT(in->scan.record_max <=
		  WR_ROW_MAX / 2); /* the Lua side checks it; a line is a row of its own */
	in->format_state = format->make(s->options, with_path);
	if (!in->format_state) {
		wr_intake_free(in);
		return NULL;
	}
	return in;
}

static void intake_end(struct wr_intake *in)
{
	wr_feed_free(in->feed);
	in->feed = NULL;
}

void wr_intake_free(struct wr_intake *in)
{
	if (!in)
		return;
	intake_end(in);
	if (in->format_state)
		in->format->free(in->format_state);
	wr_free(&intake_mem, in->window);
	wr_free(&intake_mem, in);
}

uint64_t wr_intake_saved_offset(const struct wr_value *saved)
{
	const struct wr_value *at = wr_value_get(saved, "offset");

	return at && at->tag == WR_V_I64 ? at->u64 : 0;
}

uint64_t wr_intake_offset(const struct wr_intake *in)
{
	return wr_scan_offset(&in->scan) + in->pass;
}

void wr_intake_save(const struct wr_intake *in, struct wr_bytes *out)
{
	wr_value_put_record(out, 3);
	wr_value_put_name(out, "format");
	if (in->format->save)
		in->format->save(in->format_state, out);
	else
		wr_value_put_nil(out);
	wr_value_put_name(out, "offset");
	wr_value_put_i64(out, (int64_t)wr_intake_offset(in));
	wr_value_put_name(out, "skipping");
	wr_value_put_bool(out, in->skipping);
}

int wr_intake_know(struct wr_intake *in, const struct wr_value *saved)
{
	const struct wr_value *format = wr_value_get(saved, "format");

	return format && in->format->resume ? in->format->resume(in->format_state, format) : WR_OK;
}

static int resume(struct wr_intake *in, const struct wr_stream *stream)
{
	const struct wr_value *saved = stream->saved;
	uint64_t offset = wr_intake_saved_offset(saved);

	if (saved->tag != WR_V_RECORD)
		return wr_error_set(WR_EUSER, "the saved position is malformed");
	in->skipping = wr_value_bool(saved, "skipping", false);
	in->pass = stream->from_start ? offset : 0;
	in->scan.start_offset = stream->from_start ? 0 : offset;
	return wr_intake_know(in, saved);
}

int wr_intake_begin(struct wr_intake *in, const struct wr_stream *stream)
{
	int rc;

	WR_ASSERT(!in->feed);
	in->feed = stream->feed;
	in->pass = 0;
	in->skipping = stream->from > 0;
	in->scan.p = in->scan.end = in->scan.start = in->window;
	in->scan.start_offset = stream->from > 0 ? stream->from - 1 : 0;
	in->scan.stop = stream->stop;
	in->scan.ts = stream->ts;
	in->scan.last = false;
	in->scan.path = (struct wr_str){stream->path, (uint32_t)strlen(stream->path)};
	in->format->begin(in->format_state);
	rc = stream->saved ? resume(in, stream) : WR_OK;
	if (rc != WR_OK)
		intake_end(in);
	return rc;
}

bool wr_intake_busy(const struct wr_intake *in)
{
	return in->feed != NULL;
}

/* ---- the window ---- */

/* Moves what is left to the front and makes room for a block behind it. */
static int make_room(struct wr_intake *in)
{
	struct wr_scan *scan = &in->scan;
	size_t left = (size_t)(scan->end - scan->p), size = in->window_size ? in->window_size : INTAKE_BLOCK;
	uint64_t offset = wr_scan_offset(scan);
	uint8_t *window;

	if (left > 0 && scan->p != in->window)
		memmove(in->window, scan->p, left);
	while (size - left < INTAKE_BLOCK / 2)
		size *= 2;
	if (size != in->window_size) {
		window = wr_realloc(&intake_mem, in->window, size + WR_SCAN_PADDING);
		if (!window)
			return WR_EFATAL;
		in->window = window;
		in->window_size = size;
	}
	scan->p = scan->start = in->window;
	scan->end = in->window + left;
	scan->start_offset = offset;
	return WR_OK;
}

/* More is held than a record may have, and it is none: gives it up and goes on with the next line. */
static int give_up(struct wr_intake *in)
{
	in->skipping = true;
	return wr_scan_too_long(&in->scan, (size_t)(in->scan.end - in->scan.p));
}

/* The feed is damaged, or the file is shorter than it was: a bad row, and the end of the stream. */
static int damaged(struct wr_intake *in, int code)
{
	int rc = code == WR_EUSER
		     ? wr_scan_bad(&in->scan, (size_t)(in->scan.end - in->scan.p), wr_error_text())
		     : code;

	return rc == WR_OK ? WR_END : rc;
}

static int fill(struct wr_intake *in)
{
	struct wr_scan *scan = &in->scan;
	size_t got = 0;
	int rc;

	/* CR LF may follow a record of the full length */
	if ((size_t)(scan->end - scan->p) > scan->record_max + 1)
		return give_up(in);
	rc = make_room(in);
	if (rc != WR_OK)
		return rc;
	rc = in->feed->ops->read(in->feed, in->window + (scan->end - scan->p),
				 in->window_size - (size_t)(scan->end - scan->p), &got);
	if (rc == WR_AGAIN)
		return rc;
	if (rc < 0)
		return damaged(in, rc);
	scan->end += got;
	scan->last = rc == WR_END;
	got = in->pass < got ? (size_t)in->pass : got;
	scan->p += got;
	in->pass -= got;
	return WR_OK;
}

/* true: the format may go on. */
static bool skip_line(struct wr_intake *in)
{
	struct wr_scan *scan = &in->scan;
	size_t left = (size_t)(scan->end - scan->p);
	const uint8_t *lf = left ? memchr(scan->p, '\n', left) : NULL;

	scan->p = lf ? lf + 1 : scan->end;
	in->skipping = !lf;
	return lf || scan->last;
}

static int at_end(struct wr_intake *in)
{
	struct wr_scan *scan = &in->scan;
	uint64_t size = scan->start_offset + (uint64_t)(scan->end - scan->start);
	uint64_t was = in->pass ? size + in->pass : scan->stop;

	if (was == UINT64_MAX || size >= was)
		return WR_END;
	return damaged(in,
		       wr_error_set(WR_EUSER,
				    "the file has become shorter: %" PRIu64 " of %" PRIu64 " bytes are left",
				    size, was));
}

static int step(struct wr_intake *in)
{
	int rc = WR_OK;

	if (in->pass == 0 && (!in->skipping || skip_line(in)))
		rc = in->format->rows(in->format_state, &in->scan);
	if (rc != WR_OK)
		return rc;
	return in->scan.last ? at_end(in) : fill(in);
}

int wr_intake_poll(struct wr_intake *in)
{
	struct wr_scan *scan = &in->scan;
	int rc;

	WR_ASSERT(in->feed);
	scan->budget = INTAKE_BATCH;
	do {
		rc = step(in);
	} while (rc == WR_OK && !wr_stage_spent(in->stage));
	if (rc == WR_END || rc < 0)
		intake_end(in);
	if (rc == WR_AGAIN && scan->budget < INTAKE_BATCH)
		return WR_OK;
	return rc;
}
