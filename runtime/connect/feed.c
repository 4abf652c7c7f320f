/* SPDX-License-Identifier: Apache-2.0 */
/* feed: the source of the test kit, in the place of a job's own: what it emits comes by letter, when the
 * test says so. On the task's thread.
 *
 * A letter's payload is a flat list [what, time, value, …]: a row with its event time (nil: none), a
 * watermark, idleness and its end, the end of the input. */
#include <string.h>
#include "base/error.h"
#include "connect/feed.h"
#include "connect/kinds.h"
#include "format/value_row.h"
#include "task/letter.h"

enum { FEED_BATCH = 256, MEMBERS = 3 };

struct feed {
	struct wr_value_rows rows;
	struct wr_bytes queue; /* payloads that came while others were under way, one behind the other */
	uint32_t queued;       /* their number */
	struct wr_arena arena; /* of `items` */
	const struct wr_value *items;
	uint32_t count, next;
};

static struct wr_mem feed_mem = WR_MEM_INIT("connect.feed");

static int feed_open(struct wr_stage *s)
{
	struct feed *f = s->state = wr_zalloc(&feed_mem, sizeof *f);

	if (!f)
		return WR_EFATAL;
	wr_arena_init(&f->arena, &feed_mem);
	return wr_value_rows_init(&f->rows, &feed_mem);
}

static int feed_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct feed *f = s->state;

	if (type != WR_LETTER_FEED)
		return WR_OK;
	wr_bytes_put(&f->queue, payload, len);
	f->queued++;
	return wr_bytes_status(&f->queue);
}

/* The oldest payload becomes the items at hand. */
static int next_payload(struct feed *f)
{
	struct wr_reader r = wr_reader_of(f->queue.data, f->queue.len);
	struct wr_value list;
	int rc;

	wr_arena_reset(&f->arena);
	f->count = f->next = 0;
	rc = wr_value_parse(&r, &f->arena, &list);
	if (rc != WR_OK)
		return rc;
	if (list.tag != WR_V_LIST || list.count % MEMBERS)
		return wr_error_set(WR_EUSER, "what is fed is no list of threes");
	f->items = list.items;
	f->count = list.count;
	f->queued--;
	f->queue.len = (size_t)(r.end - r.p);
	memmove(f->queue.data, r.p, f->queue.len);
	return WR_OK;
}

static int64_t time_of(const struct wr_value *v)
{
	return v->tag == WR_V_F64 ? (int64_t)v->f64 : v->tag == WR_V_I64 ? v->i64 : WR_TS_NONE;
}

static int feed_one(struct wr_stage *s, struct feed *f, const struct wr_value *item)
{
	switch ((enum wr_feed_word)time_of(&item[0])) {
	case WR_FEED_ROW:
		return wr_value_rows_emit(&f->rows, &item[2], time_of(&item[1]), s->outs[0]);
	case WR_FEED_WATERMARK:
		return wr_stage_emit_watermark(s, time_of(&item[1]));
	case WR_FEED_IDLE:
		return wr_stage_emit_idle(s, true);
	case WR_FEED_ACTIVE:
		return wr_stage_emit_idle(s, false);
	case WR_FEED_END:
		return WR_END;
	}
	return wr_error_set(WR_EUSER, "what is fed is no row, watermark, idleness or end");
}

static int feed_poll(struct wr_stage *s)
{
	struct feed *f = s->state;
	int rc = WR_OK;

	if (f->next == f->count && f->queue.len)
		rc = next_payload(f);
	if (rc == WR_OK && f->next == f->count)
		return WR_AGAIN;
	for (uint32_t n = 0; n < FEED_BATCH && f->next < f->count && rc == WR_OK; n++) {
		rc = feed_one(s, f, &f->items[f->next]);
		f->next += MEMBERS;
	}
	return rc;
}

/* What was fed and not yet emitted, as a source's position says what it has not yet read: a list of payloads.
 */
static int feed_save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct feed *f = s->state;
	uint32_t left = f->count - f->next;

	wr_value_put_list(out, f->queued + (left > 0));
	if (left)
		wr_value_put_list(out, left);
	for (uint32_t i = f->next; i < f->count; i++)
		wr_value_put(out, &f->items[i]);
	wr_bytes_put(out, f->queue.data, f->queue.len);
	return wr_bytes_status(out);
}

static int feed_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct feed *f = s->state;

	for (uint32_t i = 0; i < saved->count; i++)
		for (uint32_t k = 0; k < saved->parts[i].value->count; k++) {
			wr_value_put(&f->queue, &saved->parts[i].value->items[k]);
			f->queued++;
		}
	return wr_bytes_status(&f->queue);
}

static void feed_free(struct wr_stage *s)
{
	struct feed *f = s->state;

	if (!f)
		return;
	wr_value_rows_deinit(&f->rows);
	wr_arena_deinit(&f->arena);
	wr_bytes_deinit(&f->queue);
	wr_free(&feed_mem, f);
	s->state = NULL;
}

const struct wr_stage_ops wr_feed_ops = {.kind = "feed",
					 .open = feed_open,
					 .poll = feed_poll,
					 .letter = feed_letter,
					 .save = feed_save,
					 .restore = feed_restore,
					 .free = feed_free};
