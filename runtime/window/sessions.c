/* SPDX-License-Identifier: Apache-2.0 */
/* sessions: windows of a key that end when it is silent for a gap.
 *
 * The open sessions of a key lie in one value, sorted: start, end, the end for which it fired, and
 * the accumulator. A row that touches one extends it in place, a row that touches several makes
 * them one (W9, M1 to M4). A timer is set when a session begins, and is not moved at each row:
 * when it comes too early it is set again for the end that the session has by then, so a session
 * of a thousand rows has a few timers.
 */
#include "base/assert.h"
#include "base/error.h"
#include "window/engine.h"

static struct wr_mem mem = WR_MEM_INIT("window.sessions");

enum { STATE = 0, ROW_HEAD = 8 };
#define NOT_FIRED INT64_MIN

struct session {
	int64_t start, end;
	int64_t fired; /* the end for which it gave its result */
	uint64_t acc[];
};

struct sessions {
	int64_t gap;
	uint32_t shape, len; /* bytes of a session */
	struct wr_bytes scratch;
	uint64_t *one; /* accumulator of a single row */
};

static int sessions_open(struct wr_window *w)
{
	struct wr_field_spec f = {"", 0, WR_T_BYTES, 0};
	struct sessions *t = wr_zalloc(&mem, sizeof *t);

	if (!t)
		return WR_EFATAL;
	w->state = t;
	t->gap = wr_value_int(w->stage->options, "gap", 0);
	WR_ASSERT(t->gap > 0);
	t->len = (uint32_t)sizeof(struct session) + 8 * w->accums.slots;
	t->shape = wr_shape_intern(&f, 1, 0, 1);
	t->one = wr_zalloc(&mem, 8 * (size_t)w->accums.slots);
	return t->shape && t->one ? WR_OK : WR_EFATAL;
}

static void sessions_free(struct wr_window *w)
{
	struct sessions *t = w->state;

	if (!t)
		return;
	wr_bytes_deinit(&t->scratch);
	wr_free(&mem, t->one);
	wr_free(&mem, t);
}

/* ---- the value ---- */

static struct session *at(const struct sessions *t, uint8_t *body, uint32_t i)
{
	return (struct session *)(body + ROW_HEAD + (size_t)i * t->len);
}

/* The body for changing in place; NULL: there is none, or no memory (with `*count` set). */
static uint8_t *sessions_edit(struct wr_window *w, uint32_t *count)
{
	struct sessions *t = w->state;
	struct wr_sval *v = wr_state_edit(w->stage->store, STATE);

	*count = v ? (v->len - ROW_HEAD) / t->len : 0;
	return v ? v->body : NULL;
}

/* Replaces the value by `count` sessions of t->scratch. */
static int sessions_put(struct wr_window *w, uint32_t count)
{
	struct sessions *t = w->state;
	uint64_t slot = ROW_HEAD | (uint64_t)count * t->len << 32;
	uint8_t *body;

	if (!count) {
		wr_state_clear(w->stage->store, STATE);
		return WR_OK;
	}
	if (wr_bytes_status(&t->scratch) != WR_OK)
		return WR_EFATAL;
	body = wr_state_put(w->stage->store, STATE, t->shape, ROW_HEAD + count * t->len);
	if (!body)
		return WR_EFATAL;
	memcpy(body, &slot, sizeof slot);
	memcpy(body + ROW_HEAD, t->scratch.data, (size_t)count * t->len);
	return WR_OK;
}

/* ---- rows ---- */

/* A session that has its end behind time already fires at once (L5), and goes when lateness is over. */
static int settle(struct wr_window *w, struct session *session, bool begun)
{
	int64_t last = session->end - 1, due = last;

	if (w->event && last <= w->stage->watermark) {
		int rc = wr_window_emit(w, session->acc, session->start, session->end);

		if (rc != WR_OK)
			return rc;
		session->fired = session->end;
		due = last + w->lateness;
		begun = true;
	}
	return begun ? wr_window_timer(w, due) : WR_OK;
}

/* Sessions [from, to) and the row become one, or the row begins one (from = to). */
static int rebuild(struct wr_window *w, uint8_t *body, uint32_t count, uint32_t from, uint32_t to, int64_t ts)
{
	struct sessions *t = w->state;
	_Alignas(struct session) uint8_t room[sizeof(struct session)];
	struct session *made;
	size_t made_at;
	int rc;

	memset(t->one, 0, 8 * (size_t)w->accums.slots);
	wr_accums_add(&w->accums, t->one);
	t->scratch.len = 0;
	wr_bytes_put(&t->scratch, body ? at(t, body, 0) : NULL, (size_t)from * t->len);
	made_at = t->scratch.len;
	*(struct session *)room = (struct session){ts, ts + t->gap, NOT_FIRED};
	wr_bytes_put(&t->scratch, room, sizeof room);
	if (from < to)
		wr_bytes_put(&t->scratch, at(t, body, from)->acc, 8 * (size_t)w->accums.slots);
	else
		wr_bytes_put(&t->scratch, t->one, 8 * (size_t)w->accums.slots);
	if (to < count)
		wr_bytes_put(&t->scratch, at(t, body, to), (size_t)(count - to) * t->len);
	if (wr_bytes_status(&t->scratch) != WR_OK)
		return WR_EFATAL;
	made = (struct session *)(t->scratch.data + made_at);
	for (uint32_t i = from; i < to; i++) {
		const struct session *old = at(t, body, i);

		made->start = old->start < made->start ? old->start : made->start;
		made->end = old->end > made->end ? old->end : made->end;
		if (i > from)
			wr_accums_merge(&w->accums, made->acc, old->acc);
	}
	if (from < to)
		wr_accums_merge(&w->accums, made->acc, t->one);
	rc = settle(w, made, true);
	return rc == WR_OK ? sessions_put(w, count + 1 - (to - from)) : rc;
}

static int extend(struct wr_window *w, struct session *session, int64_t ts)
{
	struct sessions *t = w->state;
	int64_t last = session->end;

	if (ts < session->start)
		session->start = ts;
	if (ts + t->gap > session->end)
		session->end = ts + t->gap;
	wr_accums_add(&w->accums, session->acc);
	if (WR_LIKELY(session->fired == NOT_FIRED && (!w->event || session->end - 1 > w->stage->watermark)))
		return WR_OK; /* its timer is set for no later than this */
	return settle(w, session, session->end != last);
}

static int sessions_take(struct wr_window *w, const struct wr_elem *row, const struct wr_short_key *key,
			 int64_t ts)
{
	struct sessions *t = w->state;
	uint32_t count, from, to;
	uint8_t *body;
	int rc = wr_accums_load(&w->accums, row);

	if (rc == WR_OK)
		rc = wr_window_key(w, row, key);
	if (rc != WR_OK)
		return rc;
	body = sessions_edit(w, &count);
	for (from = 0; from < count && at(t, body, from)->end < ts;)
		from++;
	for (to = from; to < count && at(t, body, to)->start <= ts + t->gap;)
		to++;
	if (WR_LIKELY(to - from == 1))
		return extend(w, at(t, body, from), ts);
	if (from == to && w->event && ts + t->gap - 1 + w->lateness <= w->stage->watermark) /* M1 */
		return wr_late_row(&w->late, w->stage, row);
	return rebuild(w, body, count, from, to, ts);
}

/* ---- firing ---- */

static int sessions_fire(struct wr_window *w, int64_t now)
{
	struct sessions *t = w->state;
	uint32_t count, left = 0;
	uint8_t *body = sessions_edit(w, &count);
	int rc = WR_OK;

	t->scratch.len = 0;
	for (uint32_t i = 0; i < count && rc == WR_OK; i++) {
		struct session *session = at(t, body, i);
		int64_t last = session->end - 1;

		if (last <= now && session->fired != session->end) {
			rc = wr_window_emit(w, session->acc, session->start, session->end);
			session->fired = session->end;
		}
		if (last + w->lateness <= now)
			continue;
		wr_bytes_put(&t->scratch, session, t->len);
		left++;
	}
	if (rc == WR_OK && left < count)
		rc = sessions_put(w, left);
	for (uint32_t i = 0; i < left && rc == WR_OK; i++) {
		const struct session *session =
		    (const struct session *)(t->scratch.data + (size_t)i * t->len);
		int64_t last = session->end - 1;

		rc = wr_window_timer(w, last <= now ? last + w->lateness : last);
	}
	return rc;
}

const struct wr_window_ops wr_sessions_ops = {
    .open = sessions_open, .take = sessions_take, .fire = sessions_fire, .free = sessions_free};
