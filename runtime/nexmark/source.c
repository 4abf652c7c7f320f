/* SPDX-License-Identifier: Apache-2.0 */
/* source: the events of the benchmark. On the task's thread.
 *
 * The stream is cut into blocks of 1,000 events; subtask k of n has every n-th block from the k-th on, so
 * the set does not depend on the parallelism, and the event numbers alone say where a subtask stands. Rows
 * carry event time, which ascends; behind each block goes the watermark that it allows.
 *
 * Options: rate (events a second of event time), first (number of the first event), count, lite,
 * from "generator"|"memory", reads (names of the fields that somebody reads; missing: any may be).
 */
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "nexmark/memory.h"
#include "nexmark/nexmark.h"
#include "nexmark/rows.h"
#include "task/lanes.h"

enum {
	BLOCK = 1000,	       /* events */
	STEP_BYTES = 32 << 10, /* of rows, after which poll returns */
	READS_MAX = 32,
};

struct source {
	struct wr_nexmark_rows rows;
	struct wr_str reads[READS_MAX];
	struct wr_nexmark_memory *memory; /* NULL: events are generated */
	struct wr_lanes lanes; /* of event numbers; from one block to the next of a lane: its stride */
	uint64_t end;	       /* event number */
	int64_t watermark;     /* emitted last */
};

static struct wr_mem mem = WR_MEM_INIT("nexmark.source");

/* The first event from `n` on that is this subtask's. */
static uint64_t own(const struct wr_stage_env *env, uint64_t n)
{
	uint64_t block = n / BLOCK,
		 ahead = (env->subtask + env->parallelism - block % env->parallelism) % env->parallelism;

	return ahead ? (block + ahead) * BLOCK : n;
}

static uint64_t block_end(const struct source *q, uint64_t n)
{
	uint64_t end = n - n % BLOCK + BLOCK;

	return end < q->end ? end : q->end;
}

/* Behind event `n` − 1 of a lane: its next event. */
static uint64_t behind(const struct wr_lane *l, uint64_t n)
{
	return n % BLOCK == 0 ? n + l->stride - BLOCK : n;
}

/* Makes the rows of all blocks in the order in which they will be emitted, and puts the lanes back. */
static int remember_lanes(struct source *q)
{
	struct wr_bytes start = WR_BYTES_EMPTY;
	struct wr_lane *l;
	int rc = WR_OK;

	wr_bytes_put(&start, q->lanes.lanes, q->lanes.count * sizeof *l);
	if (start.failed)
		return wr_bytes_status(&start);
	while (rc == WR_OK && (l = wr_lanes_first(&q->lanes, q->end))) {
		uint64_t end = block_end(q, l->next);

		rc = wr_nexmark_memory_add(q->memory, &q->rows, l->next, end);
		l->next = behind(l, end);
	}
	if (start.len)
		memcpy(q->lanes.lanes, start.data, start.len);
	wr_bytes_deinit(&start);
	return rc;
}

static int remember(struct wr_stage *s, struct source *q)
{
	uint64_t start = wr_clock_ns(s->env->clock), start_cpu = wr_clock_thread_ns();
	int rc;

	wr_nexmark_memory_free(q->memory);
	q->memory = wr_nexmark_memory_new();
	if (!q->memory)
		return WR_EFATAL;
	rc = remember_lanes(q);
	if (rc == WR_OK)
		wr_debug("nexmark", "subtask %u made its rows in %.6f s, CPU %.6f s", s->env->subtask,
			 (double)(wr_clock_ns(s->env->clock) - start) / 1e9,
			 (double)(wr_clock_thread_ns() - start_cpu) / 1e9);
	return rc;
}

/* More names than events have fields are as good as all of them. */
static void take_reads(struct wr_stage *s, struct source *q)
{
	uint32_t count;
	const struct wr_value *list = wr_value_list(s->options, "reads", &count);

	if (!list || count > READS_MAX)
		return;
	for (uint32_t i = 0; i < count; i++)
		q->reads[i] = (struct wr_str){list[i].str.p, list[i].str.len};
	q->rows.read = q->reads;
	q->rows.read_count = count;
}

static int open_(struct wr_stage *s)
{
	struct source *q = s->state = wr_zalloc(&mem, sizeof *q);
	double first = wr_value_num(s->options, "first", 0),
	       count = wr_value_num(s->options, "count", 0x1p62);
	int rc;

	if (!q)
		return WR_EFATAL;
	q->rows.stream.pool = wr_nexmark_pool_take();
	if (!q->rows.stream.pool)
		return WR_EFATAL;
	q->rows.stream.delay_us = 1e6 / wr_value_num(s->options, "rate", 1e5);
	q->rows.lite = wr_value_bool(s->options, "lite", false);
	q->end = (uint64_t)(first + count);
	q->watermark = WR_TS_NONE;
	take_reads(s, q);
	rc = wr_lanes_init(&q->lanes, own(s->env, (uint64_t)first), (uint64_t)s->env->parallelism * BLOCK);
	if (rc == WR_OK)
		rc = wr_nexmark_rows_init(&q->rows);
	if (rc == WR_OK && !strcmp(wr_value_str(s->options, "from", "generator"), "memory"))
		rc = remember(s, q);
	return rc;
}

static int save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct source *q = s->state;

	wr_lanes_save(&q->lanes, out);
	return wr_bytes_status(out);
}

static int restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct source *q = s->state;
	int rc = wr_lanes_restore(&q->lanes, saved, s->env->subtask, s->env->parallelism);

	return rc == WR_OK && q->memory ? remember(s, q) : rc;
}

/* How many events from `n` on, before `to`, are bids and fit in `room`; at most what is written at once. */
static uint32_t bids_at(uint64_t n, uint64_t to, size_t room)
{
	uint32_t rest = (uint32_t)(n % WR_NEXMARK_GROUP), count = WR_NEXMARK_GROUP - rest;

	count = count < WR_NEXMARK_BIDS ? count : WR_NEXMARK_BIDS;
	count = count < to - n ? count : (uint32_t)(to - n);
	return wr_nexmark_kind_of(n) == WR_NEXMARK_BID && room >= count * WR_NEXMARK_BID_MAX ? count : 0;
}

/* Generates from event `from` on, before `to` and up to about a step's bytes; returns where it stopped, or
 * `from` with the error set. */
static uint64_t generate(const struct source *q, struct wr_out *out, uint64_t from, uint64_t to)
{
	uint8_t row[WR_NEXMARK_ROW_MAX];
	uint64_t n = from;
	uint32_t done = 0;

	while (n < to && done < STEP_BYTES) {
		size_t room = out->p ? (size_t)(out->end - out->p) : 0;
		uint32_t count = bids_at(n, to, room), len;

		if (count) {
			len = wr_nexmark_bid_rows(&q->rows, n, count, out->p);
		} else if (count = 1, room >= WR_NEXMARK_ROW_MAX) {
			len = wr_nexmark_row(&q->rows, n, out->p);
		} else {
			len = wr_nexmark_row(&q->rows, n, row);
			if (room < len && !wr_out_more(out, len))
				return from;
			memcpy(out->p, row, len);
		}
		out->p += len;
		out->rows += count;
		done += len;
		n += count;
	}
	return n;
}

static int poll_(struct wr_stage *s)
{
	struct source *q = s->state;
	struct wr_lane *l = wr_lanes_first(&q->lanes, q->end);
	struct wr_out *out = s->outs[0];
	uint64_t to, at;
	int64_t watermark;

	if (!l)
		return WR_END;
	to = block_end(q, l->next);
	at = q->memory ? l->next + wr_nexmark_memory_emit(q->memory, out, STEP_BYTES)
		       : generate(q, out, l->next, to);
	if (at == l->next)
		return wr_error_code();
	l->next = at;
	if (at < to)
		return WR_OK;
	l->next = behind(l, at);
	watermark = wr_nexmark_ts(&q->rows.stream, at - 1) - 1;
	if (watermark <= q->watermark)
		return WR_OK;
	q->watermark = watermark;
	return wr_stage_emit_watermark(s, watermark);
}

static void free_(struct wr_stage *s)
{
	struct source *q = s->state;

	if (!q)
		return;
	wr_nexmark_memory_free(q->memory);
	wr_lanes_deinit(&q->lanes);
	if (q->rows.stream.pool)
		wr_nexmark_pool_give();
	wr_free(&mem, q);
	s->state = NULL;
}

const struct wr_stage_ops wr_nexmark_source_ops = {
    .kind = "nexmark", .open = open_, .poll = poll_, .save = save, .restore = restore, .free = free_};
