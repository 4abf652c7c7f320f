/* SPDX-License-Identifier: Apache-2.0 */
/* sequence: the numbers from..to (both included) or count of them, each a plain number or, with
 * `fields`, the row that the pattern gives for it (pattern.h), as fast as they are taken or at `rate` a
 * second. On the task's thread.
 *
 * The subtasks share the numbers: subtask k of n has every n-th from the k-th on, so the
 * set does not depend on the parallelism. With a rate, number i of the job is due at
 * start + i / rate: a source that was held up catches up, and what is late is never left out. Numbers that
 * are due within moments of each other go out together (wr_stage_env.slack_ns).
 */
#include <math.h>
#include "base/assert.h"
#include "base/error.h"
#include "connect/kinds.h"
#include "connect/pattern.h"
#include "task/lanes.h"

enum { SEQUENCE_BATCH = 1024, SEQUENCE_ROW = WR_ELEM_HEADER + 8 };

struct sequence {
	double from;	/* value of number 0 */
	uint64_t count; /* of the job; UINT64_MAX = no end */
	struct wr_lanes lanes;
	struct wr_lane *lane; /* of the batch at hand */
	uint32_t shape;
	double ns_each;		    /* between two numbers of the job; 0 = no pacing */
	uint64_t start_ns, first;   /* when number `first` is due */
	struct wr_pattern *pattern; /* NULL: plain numbers */
};

static struct wr_mem sequence_mem = WR_MEM_INIT("connect.sequence");

static uint64_t sequence_count(const struct wr_value *o, double from)
{
	double count = INFINITY;

	if (wr_value_get(o, "count"))
		count = wr_value_num(o, "count", 0);
	else if (wr_value_get(o, "to"))
		count = floor(wr_value_num(o, "to", 0) - from) + 1;
	if (!(count > 0))
		return 0;
	return count < 0x1p63 ? (uint64_t)count : UINT64_MAX;
}

static int sequence_open(struct wr_stage *s)
{
	struct wr_field_spec number = {.name = "", .type = WR_T_F64};
	struct sequence *q = s->state = wr_zalloc(&sequence_mem, sizeof *q);
	double rate = wr_value_num(s->options, "rate", 0);

	if (!q)
		return WR_EFATAL;
	q->from = wr_value_num(s->options, "from", 0);
	q->count = sequence_count(s->options, q->from);
	q->ns_each = rate > 0 ? 1e9 / rate : 0;
	q->start_ns = wr_clock_ns(s->env->clock);
	if (wr_lanes_init(&q->lanes, s->env->subtask, s->env->parallelism) != WR_OK)
		return WR_EFATAL;
	if (wr_value_get(s->options, "fields")) {
		q->pattern = wr_pattern_new(s->options);
		return q->pattern ? WR_OK : wr_error_code();
	}
	q->shape = wr_shape_intern(&number, 1, 0, 1);
	return q->shape ? WR_OK : wr_error_code();
}

/* UINT64_MAX: never, as far as clocks go. */
static uint64_t due_ns(const struct sequence *q, uint64_t i)
{
	double ns = i == q->first ? 0 : (double)(i - q->first) * q->ns_each;

	return ns < 0x1p62 ? q->start_ns + (uint64_t)ns : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Numbers of the lane that are due by now, at most `most` and none that another lane's come before: a subtask
 * that has lanes of several goes on in order. Sets the time of the next one. */
static uint32_t sequence_due(struct wr_stage *s, struct sequence *q, uint32_t most)
{
	const struct wr_lane *l = q->lane;
	uint64_t left = (q->count - 1 - l->next) / l->stride + 1;
	uint32_t n = (uint32_t)least(most, least(left, wr_lanes_run(&q->lanes, l, q->count))), due = 0;
	uint64_t now;

	s->wake_ns = UINT64_MAX;
	if (q->ns_each == 0)
		return n;
	now = wr_clock_ns(s->env->clock);
	while (due < n && due_ns(q, l->next + due * l->stride) <= now)
		due++;
	if (due < n)
		s->wake_ns = later(due_ns(q, l->next + due * l->stride), now + s->env->slack_ns);
	return due;
}

static void put_number(uint8_t *to, uint32_t shape, double value)
{
	struct wr_elem head = {SEQUENCE_ROW, shape, WR_TS_NONE};

	memcpy(to, &head, sizeof head);
	memcpy(to + sizeof head, &value, sizeof value);
}

/* Room for a row: WR_OK, WR_AGAIN when the step should end first, or an error. */
static int room(struct wr_stage *s, struct wr_out *out, uint32_t len)
{
	if (out->end - out->p >= len)
		return WR_OK;
	if (wr_stage_spent(s))
		return WR_AGAIN;
	return wr_out_more(out, len) ? WR_OK : wr_error_code();
}

static int sequence_emit(struct wr_stage *s, struct sequence *q, uint32_t n)
{
	struct wr_out *out = s->outs[0];

	while (n > 0) {
		int rc = room(s, out, SEQUENCE_ROW);
		uint32_t fit;

		if (rc != WR_OK)
			return rc;
		fit = (uint32_t)((out->end - out->p) / SEQUENCE_ROW);
		fit = fit < n ? fit : n;
		for (uint32_t i = 0; i < fit; i++, q->lane->next += q->lane->stride, out->p += SEQUENCE_ROW)
			put_number(out->p, q->shape, q->from + (double)q->lane->next);
		out->rows += fit;
		n -= fit;
	}
	return WR_OK;
}

/* The next rows of the lane that fit into the room at hand, `n` at most. */
static uint32_t pattern_put(struct sequence *q, struct wr_out *out, uint32_t n)
{
	size_t len;
	uint32_t most = q->lane->stride == 1 && q->ns_each == 0 ? n : 1;
	uint32_t made =
	    wr_pattern_run(q->pattern, q->lane->next, most, out->p, (size_t)(out->end - out->p), &len);

	if (q->ns_each > 0)
		wr_pattern_due(q->pattern, out->p, due_ns(q, q->lane->next));
	out->p += len;
	out->rows += made;
	q->lane->next += made * q->lane->stride;
	return made;
}

static int pattern_emit(struct wr_stage *s, struct sequence *q, uint32_t n)
{
	uint32_t len_max = wr_pattern_len_max(q->pattern);

	while (n > 0) {
		int rc = room(s, s->outs[0], len_max);

		if (rc != WR_OK)
			return rc;
		n -= pattern_put(q, s->outs[0], n);
	}
	return WR_OK;
}

static int sequence_poll(struct wr_stage *s)
{
	struct sequence *q = s->state;
	uint32_t left = SEQUENCE_BATCH, due = 0;
	int rc = WR_OK;

	while (rc == WR_OK && left > 0 && (q->lane = wr_lanes_first(&q->lanes, q->count))) {
		due = sequence_due(s, q, left);
		if (due == 0)
			return left < SEQUENCE_BATCH ? WR_OK : WR_AGAIN;
		rc = q->pattern ? pattern_emit(s, q, due) : sequence_emit(s, q, due);
		left -= due;
	}
	if (rc < 0)
		return rc;
	return wr_lanes_first(&q->lanes, q->count) ? WR_OK : WR_END;
}

static int sequence_save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct sequence *q = s->state;

	wr_lanes_save(&q->lanes, out);
	return wr_bytes_status(out);
}

/* The next number is due now. */
static int sequence_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct sequence *q = s->state;
	int rc = wr_lanes_restore(&q->lanes, saved, s->env->subtask, s->env->parallelism);
	const struct wr_lane *first = wr_lanes_first(&q->lanes, q->count);

	if (first)
		q->first = first->next;
	return rc;
}

static void sequence_free(struct wr_stage *s)
{
	struct sequence *q = s->state;

	if (q) {
		wr_pattern_free(q->pattern);
		wr_lanes_deinit(&q->lanes);
	}
	wr_free(&sequence_mem, q);
	s->state = NULL;
}

const struct wr_stage_ops wr_sequence_ops = {.kind = "sequence",
					     .open = sequence_open,
					     .poll = sequence_poll,
					     .save = sequence_save,
					     .restore = sequence_restore,
					     .free = sequence_free};
