/* SPDX-License-Identifier: Apache-2.0 */
/* spans: see spans.h. */
#include "window/spans.h"
#include "base/assert.h"
#include "base/error.h"

enum { STATE = 0, ROW_HEAD = 8 /* the slot that says where the bytes are */, ROOM_MIN = 4 };

struct waiting {
	int64_t ts;
	uint64_t acc[];
};

int wr_spans_init(struct wr_spans *s, struct wr_store *store, const struct wr_accums *accums)
{
	struct wr_field_spec f = {"", 0, WR_T_BYTES, 0};

	*s = (struct wr_spans){.store = store, .accums = accums};
	s->waiting_len = (uint32_t)sizeof(struct waiting) + 8 * accums->slots;
	s->span_len = (uint32_t)sizeof(struct wr_span) + 8 * accums->slots;
	s->shape = wr_shape_intern(&f, 1, 0, 1);
	return s->shape ? WR_OK : WR_EFATAL;
}

void wr_spans_deinit(struct wr_spans *s)
{
	wr_bytes_deinit(&s->scratch);
}

/* ---- the value ---- */

static void view(struct wr_spans *s, uint8_t *body, uint32_t len)
{
	s->data = body ? body + ROW_HEAD : NULL;
	s->len = len;
	s->head = (struct wr_spans_head *)s->data;
}

void wr_spans_look(struct wr_spans *s)
{
	struct wr_sval *value = wr_state_edit(s->store, STATE);

	view(s, value ? value->body : NULL, value ? value->len - ROW_HEAD : 0);
}

static struct waiting *waiting_at(const struct wr_spans *s, uint32_t i)
{
	return (struct waiting *)(s->data + sizeof *s->head + (size_t)i * s->waiting_len);
}

struct wr_span *wr_spans_at(const struct wr_spans *s, uint32_t i)
{
	return (struct wr_span *)((uint8_t *)waiting_at(s, s->head->room) + (size_t)i * s->span_len);
}

const uint8_t *wr_spans_body(const struct wr_spans *s, uint32_t i)
{
	const uint8_t *p = (const uint8_t *)wr_spans_at(s, s->head->count);

	for (uint32_t k = 0; k < i; k++)
		p += wr_spans_at(s, k)->len;
	return p;
}

struct wr_span *wr_spans_find(const struct wr_spans *s, int64_t ts)
{
	for (uint32_t i = 0; i < s->head->count; i++) {
		struct wr_span *span = wr_spans_at(s, i);

		if (ts >= span->from && ts <= span->to)
			return span;
	}
	return NULL;
}

/* Puts the value that `scratch` holds, with `more` bytes free behind it. */
static int put(struct wr_spans *s, uint32_t more)
{
	uint32_t used = (uint32_t)s->scratch.len, len = used + more;
	uint64_t slot = ROW_HEAD | (uint64_t)len << 32;
	uint8_t *body;

	if (wr_bytes_status(&s->scratch) != WR_OK)
		return WR_EFATAL;
	body = wr_state_put(s->store, STATE, s->shape, ROW_HEAD + len);
	if (!body)
		return WR_EFATAL;
	memcpy(body, &slot, sizeof slot);
	memcpy(body + ROW_HEAD, s->scratch.data, used);
	memset(body + ROW_HEAD + used, 0, more);
	view(s, body, len);
	return WR_OK;
}

/* Begins the value anew in `scratch`: the head, and what waits, with room for `room`. */
static void copy_waiting(struct wr_spans *s, uint32_t room)
{
	static const struct wr_spans_head empty = {.timer = WR_NO_TIMER};
	struct wr_spans_head head = s->data ? *s->head : empty;
	uint32_t used = head.waiting * s->waiting_len;
	uint8_t *rest;

	WR_ASSERT(head.waiting <= room);
	head.room = room;
	s->scratch.len = 0;
	wr_bytes_put(&s->scratch, &head, sizeof head);
	if (used)
		wr_bytes_put(&s->scratch, waiting_at(s, 0), used);
	rest = wr_bytes_room(&s->scratch, room * s->waiting_len - used);
	if (!rest)
		return;
	memset(rest, 0, room * s->waiting_len - used);
	s->scratch.len += room * s->waiting_len - used;
}

static uint32_t bodies_len(const struct wr_spans *s)
{
	return (uint32_t)(wr_spans_body(s, s->head->count) - wr_spans_body(s, 0));
}

static int grow(struct wr_spans *s)
{
	bool has_spans = s->data && s->head->count;

	copy_waiting(s, s->data && s->head->room ? 2 * s->head->room : ROOM_MIN);
	if (has_spans)
		wr_bytes_put(&s->scratch, wr_spans_at(s, 0),
			     (size_t)s->head->count * s->span_len + bodies_len(s));
	return put(s, has_spans ? 0 : s->typical);
}

/* ---- right rows ---- */

int64_t wr_spans_prune(struct wr_spans *s, int64_t watermark)
{
	int64_t last = WR_NO_TIMER;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->head->waiting; i++) {
		const struct waiting *w = waiting_at(s, i);

		if (w->ts <= watermark)
			continue;
		last = w->ts > last ? w->ts : last;
		if (kept != i)
			memcpy(waiting_at(s, kept), w, s->waiting_len);
		kept++;
	}
	s->head->waiting = kept;
	return last;
}

int wr_spans_wait(struct wr_spans *s, int64_t ts, int64_t watermark)
{
	bool full = !s->data || s->head->waiting == s->head->room;
	struct waiting *w;

	if (full && s->data) {
		wr_spans_prune(s, watermark);
		full = 2 * s->head->waiting >=
		       s->head->room; /* else each of the next ones would look through all */
	}
	if (full && grow(s) != WR_OK)
		return WR_EFATAL;
	w = waiting_at(s, s->head->waiting++);
	w->ts = ts;
	memset(w->acc, 0, s->waiting_len - sizeof *w);
	wr_accums_add(s->accums, w->acc);
	return WR_OK;
}

/* ---- left rows ---- */

/* What waits for the span goes into it. */
static void take_waiting(struct wr_spans *s, struct wr_span *span)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->head->waiting; i++) {
		const struct waiting *w = waiting_at(s, i);

		if (w->ts >= span->from && w->ts <= span->to) {
			wr_accums_merge(s->accums, span->acc, w->acc);
			span->rows++;
			continue;
		}
		if (kept != i)
			memcpy(waiting_at(s, kept), w, s->waiting_len);
		kept++;
	}
	s->head->waiting = kept;
}

static int check_overlap(const struct wr_spans *s, int64_t from, int64_t to)
{
	for (uint32_t i = 0; s->data && i < s->head->count; i++) {
		const struct wr_span *other = wr_spans_at(s, i);

		if (from <= other->to && to >= other->from)
			return wr_error_set(WR_EUSER,
					    "the key has an interval from %lld to %lld already, which "
					    "overlaps with that from %lld to %lld",
					    (long long)other->from, (long long)other->to, (long long)from,
					    (long long)to);
	}
	return WR_OK;
}

/* The value anew, with the span behind those it has. */
static int put_with(struct wr_spans *s, const struct wr_span *span, const uint8_t *body)
{
	uint32_t count = s->data ? s->head->count : 0;

	copy_waiting(s, s->data ? s->head->room : 0);
	if (count)
		wr_bytes_put(&s->scratch, wr_spans_at(s, 0), (size_t)count * s->span_len);
	wr_bytes_put(&s->scratch, span, sizeof *span);
	for (uint32_t i = 0; i < s->accums->slots; i++)
		wr_bytes_put_u64(&s->scratch, 0);
	if (count)
		wr_bytes_put(&s->scratch, wr_spans_body(s, 0), bodies_len(s));
	wr_bytes_put(&s->scratch, body, span->len);
	return put(s, 0);
}

static bool has_room(const struct wr_spans *s, uint32_t bytes)
{
	return s->data && s->head->count == 0 &&
	       (size_t)((const uint8_t *)wr_spans_at(s, 0) - s->data) + bytes <= s->len;
}

int wr_spans_add(struct wr_spans *s, int64_t from, int64_t to, const struct wr_elem *row)
{
	uint32_t len = row->len - WR_ELEM_HEADER;
	struct wr_span span = {.from = from, .to = to, .shape = wr_elem_shape(row), .len = len}, *added;
	int rc = check_overlap(s, from, to);

	s->typical = s->span_len + len;
	if (rc == WR_OK && has_room(s, s->typical)) {
		added = wr_spans_at(s, 0);
		*added = span;
		memset(added->acc, 0, s->span_len - sizeof span);
		memcpy((uint8_t *)added + s->span_len, wr_elem_body(row), len);
	} else if (rc == WR_OK) {
		rc = put_with(s, &span, wr_elem_body(row));
	}
	if (rc != WR_OK)
		return rc;
	take_waiting(s, wr_spans_at(s, s->head->count++));
	return WR_OK;
}

int wr_spans_drop(struct wr_spans *s, int64_t upto)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->head->count; i++)
		kept += wr_spans_at(s, i)->to > upto;
	if (kept == s->head->count)
		return WR_OK;
	if (kept == 0) { /* what lay behind is room that is not used */
		s->head->count = 0;
		return WR_OK;
	}
	copy_waiting(s, s->head->room);
	for (uint32_t i = 0; i < s->head->count; i++)
		if (wr_spans_at(s, i)->to > upto)
			wr_bytes_put(&s->scratch, wr_spans_at(s, i), s->span_len);
	for (uint32_t i = 0; i < s->head->count; i++)
		if (wr_spans_at(s, i)->to > upto)
			wr_bytes_put(&s->scratch, wr_spans_body(s, i), wr_spans_at(s, i)->len);
	if (put(s, 0) != WR_OK)
		return WR_EFATAL;
	s->head->count = kept;
	return WR_OK;
}
