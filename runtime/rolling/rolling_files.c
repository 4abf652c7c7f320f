/* SPDX-License-Identifier: Apache-2.0 */
/* rolling_files: the sink that writes rows to files in buckets and begins a new one when a file is large
 * enough, has been open for long enough, or idle. On the task's thread; disks are part_files.h's. Exactly
 * once with checkpoints.
 *
 * Options: path, format = "json" | "lines" | "csv", csv = {…}, bucket, time (bucket.h),
 *   compression = "none" | "gzip" | "zstd", level, suffix, open_max,
 *   roll = { size, rows, open_for, idle_for } in bytes and ms, each may be missing.
 */
#include <string.h>
#include "base/error.h"
#include "rolling/bucket.h"
#include "rolling/part_files.h"
#include "format/csv_writer.h"
#include "format/row_text.h"
#include "task/letter.h"

enum { NS_PER_MS = 1000000 };

struct file { /* the open part of a bucket */
	struct wr_part *part;
	char *bucket;
	uint32_t bucket_len;
	struct wr_csv_writer *csv;
	uint64_t rows, began_ns, last_ns;
	uint64_t used; /* number of the sink's row that came last */
};

struct rolling {
	struct wr_parts *parts;
	struct wr_bucket *bucket;
	enum wr_text_format format;
	struct file *files;
	uint32_t count, max;
	uint64_t size, rows, open_ns, idle_ns; /* that a file may have; UINT64_MAX = any */
	uint64_t uses;			       /* rows of all files */
	uint64_t now_ns;		       /* of this batch */
	int64_t now_ms;
	bool recovered;
};

static struct wr_mem mem = WR_MEM_INIT("rolling.rolling_files");

/* ---- life ---- */

static uint64_t bound(const struct wr_value *roll, const char *name, uint64_t unit)
{
	int64_t v = roll ? wr_value_int(roll, name, 0) : 0;

	return v ? (uint64_t)v * unit : UINT64_MAX;
}

static int read_options(struct rolling *r, const struct wr_value *o, struct wr_parts_options *parts)
{
	const struct wr_value *roll = wr_value_get(o, "roll");

	r->size = bound(roll, "size", 1);
	r->rows = bound(roll, "rows", 1);
	r->open_ns = bound(roll, "open_for", NS_PER_MS);
	r->idle_ns = bound(roll, "idle_for", NS_PER_MS);
	r->max = (uint32_t)wr_value_int(o, "open_max", 64);
	parts->path = wr_value_str(o, "path", ".");
	parts->suffix = wr_value_str(o, "suffix", "");
	parts->level = (int)wr_value_int(o, "level", 0);
	if (wr_text_format(wr_value_str(o, "format", "json"), &r->format) != WR_OK)
		return WR_EUSER;
	return wr_packing_of(wr_value_str(o, "compression", "none"), &parts->packing);
}

static int rolling_open(struct wr_stage *s)
{
	struct rolling *r = s->state = wr_zalloc(&mem, sizeof *r);
	struct wr_parts_options parts = {.env = s->env, .uid = s->ops_stats[0].uid};
	int rc = r ? read_options(r, s->options, &parts) : WR_EFATAL;

	if (rc != WR_OK)
		return rc;
	r->files = wr_zalloc(&mem, r->max * sizeof *r->files);
	r->bucket = wr_bucket_new(s->options);
	r->parts = r->files && r->bucket ? wr_parts_new(&parts) : NULL;
	return r->parts ? WR_OK : wr_error_code();
}

static void forget(struct rolling *r, struct file *f)
{
	wr_free(&mem, f->bucket);
	wr_csv_writer_free(f->csv);
	*f = r->files[--r->count];
}

static void rolling_free(struct wr_stage *s)
{
	struct rolling *r = s->state;

	if (!r)
		return;
	while (r->count)
		forget(r, &r->files[r->count - 1]);
	wr_parts_free(r->parts);
	wr_bucket_free(r->bucket);
	wr_free(&mem, r->files);
	wr_free(&mem, r);
	s->state = NULL;
}

static int recover(struct rolling *r, const struct wr_saved_state *saved)
{
	if (r->recovered)
		return WR_OK;
	r->recovered = true;
	return wr_parts_recover(r->parts, saved);
}

static int rolling_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	return recover(s->state, saved);
}

/* ---- rolling ---- */

static int end_file(struct rolling *r, struct file *f)
{
	int rc = wr_part_end(f->part);

	forget(r, f);
	return rc;
}

static uint64_t after(uint64_t at, uint64_t ns)
{
	return ns == UINT64_MAX ? UINT64_MAX : at + ns;
}

static uint64_t due_ns(const struct rolling *r, const struct file *f)
{
	uint64_t open = after(f->began_ns, r->open_ns), idle = after(f->last_ns, r->idle_ns);

	return open < idle ? open : idle;
}

static int rolling_tick(struct wr_stage *s, uint64_t now_ns)
{
	struct rolling *r = s->state;
	int rc = WR_OK;

	s->tick_ns = UINT64_MAX;
	for (uint32_t i = r->count; i-- > 0 && rc == WR_OK;) {
		uint64_t due = due_ns(r, &r->files[i]);

		if (due <= now_ns)
			rc = end_file(r, &r->files[i]);
		else if (due < s->tick_ns)
			s->tick_ns = due;
	}
	return rc;
}

/* There is no room for another bucket: the one that waited longest for a row is done with. */
static int make_room(struct rolling *r)
{
	struct file *oldest = &r->files[0];

	if (r->count < r->max)
		return WR_OK;
	for (uint32_t i = 1; i < r->count; i++)
		if (r->files[i].used < oldest->used)
			oldest = &r->files[i];
	return end_file(r, oldest);
}

/* ---- rows ---- */

static struct file *begin_file(struct wr_stage *s, struct rolling *r, struct wr_str bucket)
{
	struct file *f;

	if (make_room(r) != WR_OK)
		return NULL;
	f = &r->files[r->count];
	*f = (struct file){.bucket_len = bucket.len, .began_ns = r->now_ns, .last_ns = r->now_ns};
	f->bucket = wr_strndup(&mem, bucket.len ? bucket.p : "", bucket.len);
	if (f->bucket && r->format == WR_TEXT_CSV)
		f->csv = wr_csv_writer_new(s->options);
	if (f->bucket && (f->csv || r->format != WR_TEXT_CSV))
		f->part = wr_parts_begin(r->parts, bucket);
	r->count++;
	if (!f->part) {
		forget(r, f);
		return NULL;
	}
	if (due_ns(r, f) < s->tick_ns)
		s->tick_ns = due_ns(r, f);
	return f;
}

/* The file that was used last is looked at first, and comes to the front of those behind it by one. */
static struct file *file_of(struct wr_stage *s, struct rolling *r, struct wr_str bucket)
{
	for (uint32_t i = 0; i < r->count; i++) {
		struct file *f = &r->files[i];

		if (f->bucket_len != bucket.len || memcmp(f->bucket, bucket.p, bucket.len))
			continue;
		if (i > 0) {
			struct file before = f[-1];

			f[-1] = *f;
			*f = before;
			f--;
		}
		return f;
	}
	return begin_file(s, r, bucket);
}

static int put_row(struct wr_stage *s, struct rolling *r, const struct wr_elem *row)
{
	struct wr_str bucket;
	struct wr_bytes *block;
	struct file *f;
	int rc = wr_bucket_of(r->bucket, row, r->now_ms, &bucket);

	if (rc == WR_EUSER)
		return wr_stage_bad_row(s, 0, row, NULL, 0, wr_value_str(s->options, "path", ""),
					wr_error_text(), rc);
	f = rc == WR_OK ? file_of(s, r, bucket) : NULL;
	if (!f)
		return wr_error_code();
	block = wr_part_block(f->part);
	if (r->format == WR_TEXT_CSV)
		rc = wr_csv_writer_row(f->csv, row, block);
	else
		wr_row_text(row, r->format, block);
	if (rc == WR_EUSER)
		return wr_stage_bad_row(s, 0, row, NULL, 0, wr_value_str(s->options, "path", ""),
					wr_error_text(), rc);
	f->last_ns = r->now_ns;
	f->used = ++r->uses;
	f->rows++;
	if (rc == WR_OK && (f->rows >= r->rows || wr_part_size(f->part) >= r->size))
		return end_file(r, f);
	return rc == WR_OK ? wr_part_added(f->part, false) : rc;
}

static int rolling_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct rolling *r = s->state;
	int rc = recover(r, NULL);

	if (rc == WR_OK)
		rc = wr_parts_room(r->parts);
	r->now_ns = wr_clock_ns(s->env->clock);
	r->now_ms = wr_clock_ms(s->env->clock);
	while (rows->p < rows->end && rc == WR_OK) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;

		rc = put_row(s, r, row);
		if (rc == WR_OK)
			rows->p += row->len;
		if (rc == WR_OK && rows->p < rows->end && wr_stage_spent(s))
			return WR_AGAIN;
	}
	return rc;
}

/* ---- checkpoints ---- */

static int rolling_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct rolling *r = s->state;
	int rc = recover(r, NULL);

	(void)out;
	for (uint32_t i = 0; i < r->count && rc == WR_OK; i++)
		rc = wr_part_added(r->files[i].part, true);
	return rc == WR_OK ? wr_parts_barrier(r->parts, s->checkpoint) : rc;
}

static int rolling_settle(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out)
{
	struct rolling *r = s->state;

	return wr_parts_settle(r->parts, checkpoint, out);
}

static int rolling_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct rolling *r = s->state;
	uint64_t checkpoint = type == WR_LETTER_COMPLETE ? wr_letter_int(payload, len) : 0;

	return checkpoint ? wr_parts_complete(r->parts, checkpoint) : WR_OK;
}

/* The job stops at the checkpoint that follows: that finishes what is open. */
static int rolling_flush(struct wr_stage *s)
{
	struct rolling *r = s->state;
	int rc = recover(r, NULL);

	while (r->count && rc == WR_OK)
		rc = end_file(r, &r->files[r->count - 1]);
	return rc;
}

static int rolling_end(struct wr_stage *s)
{
	struct rolling *r = s->state;
	int rc = rolling_flush(s);

	if (rc == WR_OK)
		rc = wr_parts_finished(r->parts);
	s->tick_ns = UINT64_MAX;
	s->awaits_checkpoint = rc == WR_AGAIN && s->env->folder_id;
	return rc;
}

/* All was covered by the checkpoint at which the job left. */
static int rolling_leave(struct wr_stage *s)
{
	struct rolling *r = s->state;

	s->tick_ns = UINT64_MAX;
	return wr_parts_finished(r->parts);
}

static const struct wr_stage_ops rolling_files_ops = {.kind = "rolling_files",
						      .open = rolling_open,
						      .rows = rolling_rows,
						      .tick = rolling_tick,
						      .letter = rolling_letter,
						      .save = rolling_save,
						      .settle = rolling_settle,
						      .restore = rolling_restore,
						      .end = rolling_end,
						      .leave = rolling_leave,
						      .flush = rolling_flush,
						      .free = rolling_free};

const struct wr_stage_kind wr_rolling_kinds[] = {{"rolling_files", &rolling_files_ops}};
const unsigned wr_rolling_kinds_count = sizeof wr_rolling_kinds / sizeof *wr_rolling_kinds;
