/* SPDX-License-Identifier: Apache-2.0 */
/* panes: see panes.h. */
#include "window/panes.h"
#include "base/assert.h"
#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("window.panes");

enum { STATE = 0, ROW_HEAD = 8 /* the slot that says where the bytes are */, ROOM_MIN = 4 };

/* Which of the places of a value are taken. */
struct room {
	uint32_t first, count;
};

struct head {
	struct room room;
	int64_t next;	  /* end of the next window to fire */
	int64_t flip;	  /* panes before it have their suffix; INT64_MIN: the stacks are to be built */
	int64_t back_end; /* panes in [flip, back_end) are in back */
	uint64_t back[];
};

struct pane {
	int64_t start;
	uint64_t acc[]; /* then, if slices are shared, the suffix */
};

/* The panes of a value in place. */
struct view {
	uint8_t *data;
	struct room *room;   /* NULL: a pane alone */
	struct head *head;   /* NULL: tumbling, or a pane alone */
	int64_t *next;	     /* shared slices: end of the next window to fire */
	uint8_t *panes;	     /* of the first one */
	uint32_t count, len; /* panes; bytes of the value */
};

int wr_panes_init(struct wr_panes *p, struct wr_store *store, const struct wr_accums *accums,
		  const struct wr_slicing *slicing)
{
	struct wr_field_spec f = {"", 0, WR_T_BYTES, 0};

	*p = (struct wr_panes){.store = store, .accums = accums, .slicing = slicing};
	p->shared = slicing->kind != WR_TUMBLING;
	p->head_len = (uint32_t)(p->shared ? sizeof(struct head) + 8 * accums->slots : sizeof(struct room));
	p->bare_len = 8 + 8 * accums->slots;
	p->pane_len = p->bare_len + (p->shared ? 8 * accums->slots : 0);
	p->alone_len = p->bare_len + (p->shared ? 8 : 0);
	p->shape = wr_shape_intern(&f, 1, 0, 1);
	p->sum = wr_zalloc(&mem, 8 * ((size_t)accums->slots + 1));
	return p->shape && p->sum ? WR_OK : WR_EFATAL;
}

void wr_panes_deinit(struct wr_panes *p)
{
	wr_bytes_deinit(&p->scratch);
	wr_free(&mem, p->sum);
}

/* ---- the value ---- */

static struct view view_of(const struct wr_panes *p, uint8_t *body, uint32_t len)
{
	struct view v = {.data = body + ROW_HEAD, .len = len};

	if (len == ROW_HEAD + p->alone_len) {
		v.next = p->shared ? (int64_t *)v.data : NULL;
		v.panes = v.data + (p->shared ? 8 : 0);
		v.count = 1;
		return v;
	}
	v.room = (struct room *)v.data;
	v.head = p->shared ? (struct head *)v.data : NULL;
	v.next = p->shared ? &v.head->next : NULL;
	v.count = v.room->count;
	v.panes = v.data + p->head_len + (size_t)v.room->first * p->pane_len;
	return v;
}

static struct pane *pane_at(const struct wr_panes *p, const struct view *v, uint32_t i)
{
	return (struct pane *)(v->panes + (size_t)i * p->pane_len);
}

static bool look(struct wr_panes *p, struct view *v)
{
	const struct wr_sval *value = wr_state_get(p->store, STATE);

	if (!value)
		return false;
	*v = view_of(p, (uint8_t *)value->body, value->len);
	return true;
}

/* For changing what is there; the value exists. */
static bool own(struct wr_panes *p, struct view *v)
{
	struct wr_sval *value = wr_state_edit(p->store, STATE);

	if (!value)
		return false;
	*v = view_of(p, value->body, value->len);
	return true;
}

/* What a value held (nothing: all zero) into a new one. */
static void carry(const struct wr_panes *p, const struct view *from, struct view *to)
{
	static const struct head empty = {.flip = WR_NO_WINDOW, .back_end = WR_NO_WINDOW};
	uint32_t pane_len = from->room && to->room ? p->pane_len : p->bare_len;

	to->count = from->count;
	if (to->head)
		memcpy(to->head, from->head ? from->head : &empty, from->head ? p->head_len : sizeof empty);
	if (to->next)
		*to->next = from->next ? *from->next : WR_NO_WINDOW;
	if (to->room)
		*to->room = (struct room){0, from->count};
	if (from->count)
		memcpy(to->panes, from->panes, (size_t)from->count * pane_len);
}

/* The value with room for `cap` panes, holding what it held. */
static bool resize(struct wr_panes *p, const struct view *old, uint32_t cap, struct view *v)
{
	uint32_t data_len = cap == 1 ? p->alone_len : p->head_len + cap * p->pane_len;
	uint64_t slot = ROW_HEAD | (uint64_t)data_len << 32;
	struct view from = {0};
	uint8_t *body;

	if (old) {
		p->scratch.len = 0;
		wr_bytes_put(&p->scratch, old->data - ROW_HEAD, old->len);
		if (wr_bytes_status(&p->scratch) != WR_OK)
			return false;
		from = view_of(p, p->scratch.data, old->len);
	}
	body = wr_state_put(p->store, STATE, p->shape, ROW_HEAD + data_len);
	if (!body)
		return false;
	memcpy(body, &slot, sizeof slot);
	memset(body + ROW_HEAD, 0, data_len);
	*v = view_of(p, body, ROW_HEAD + data_len);
	carry(p, &from, v);
	return true;
}

/* Index of the first pane that does not start before `start`; records are mostly for the last ones. */
static uint32_t lower_bound(const struct wr_panes *p, const struct view *v, int64_t start)
{
	uint32_t low = 0, high = v->count;

	for (uint32_t n = 0; n < 4 && high > 0; n++, high--)
		if (pane_at(p, v, high - 1)->start < start)
			return high;
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (pane_at(p, v, middle)->start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Room behind the panes that are there. */
static bool reserve(struct wr_panes *p, bool there, struct view *v)
{
	uint32_t cap;

	if (!there || !v->room)
		return resize(p, there ? v : NULL, there ? ROOM_MIN : 1, v);
	cap = (v->len - ROW_HEAD - p->head_len) / p->pane_len;
	if (v->room->first + v->count < cap)
		return true;
	return resize(p, v, v->count * 2 < cap ? cap : cap * 2, v);
}

/* A new pane before number `at`. */
static struct pane *insert(const struct wr_panes *p, struct view *v, uint32_t at, int64_t start)
{
	struct pane *pane = pane_at(p, v, at);

	memmove((uint8_t *)pane + p->pane_len, pane, (size_t)(v->count - at) * p->pane_len);
	memset(pane, 0, v->room ? p->pane_len : p->bare_len);
	pane->start = start;
	v->count++;
	if (v->room)
		v->room->count = v->count;
	return pane;
}

uint64_t *wr_panes_at(struct wr_panes *p, int64_t start, int64_t due, bool *fresh, bool *sooner)
{
	struct view v = {0};
	bool there = own(p, &v);
	uint32_t at = there ? lower_bound(p, &v, start) : 0;
	struct pane *pane = there ? pane_at(p, &v, at) : NULL;

	*sooner = *fresh = false;
	if (WR_UNLIKELY(!there || at == v.count || pane->start != start)) {
		if ((!there && look(p, &v)) || !reserve(p, there, &v))
			return NULL;
		pane = insert(p, &v, at, start);
		*fresh = true;
		*sooner =
		    !p->shared ? at == 0 : due != WR_NO_WINDOW && (*v.next == WR_NO_WINDOW || due < *v.next);
		if (p->shared && *sooner)
			*v.next = due;
	}
	if (v.head && start < v.head->back_end)
		v.head->flip = INT64_MIN;
	return pane->acc;
}

uint64_t *wr_panes_nth(struct wr_panes *p, uint32_t i, int64_t *start)
{
	struct view v;

	if (!own(p, &v) || i >= v.count)
		return NULL;
	*start = pane_at(p, &v, i)->start;
	return pane_at(p, &v, i)->acc;
}

const uint64_t *wr_panes_find(struct wr_panes *p, int64_t start)
{
	struct view v;
	uint32_t at;

	if (!look(p, &v))
		return NULL;
	at = lower_bound(p, &v, start);
	return at < v.count && pane_at(p, &v, at)->start == start ? pane_at(p, &v, at)->acc : NULL;
}

/* Takes the first `gone` panes out, not all; v: of the value for reading. */
static int drop_first(struct wr_panes *p, struct view *v, uint32_t gone)
{
	if (!gone)
		return WR_OK;
	if (!own(p, v))
		return WR_EFATAL;
	v->room->first += gone;
	v->room->count -= gone;
	v->panes += (size_t)gone * p->pane_len;
	v->count -= gone;
	return v->count > 1 || p->shared || resize(p, v, 1, v) ? WR_OK : WR_EFATAL;
}

int wr_panes_take(struct wr_panes *p, int64_t start, int64_t keep, const uint64_t **acc, int64_t *first)
{
	struct view v;
	uint32_t gone = 0;
	int rc;

	WR_ASSERT(!p->shared);
	*acc = NULL;
	*first = WR_NO_WINDOW;
	if (!look(p, &v))
		return WR_OK;
	for (; gone < v.count && pane_at(p, &v, gone)->start <= start; gone++) {
		if (pane_at(p, &v, gone)->start < start)
			continue;
		memcpy(p->sum, pane_at(p, &v, gone)->acc, 8 * (size_t)p->accums->slots);
		*acc = p->sum;
	}
	for (gone = 0; gone < v.count && pane_at(p, &v, gone)->start < keep;)
		gone++;
	if (gone == v.count) {
		wr_state_clear(p->store, STATE);
		return WR_OK;
	}
	rc = drop_first(p, &v, gone);
	if (rc == WR_OK)
		*first = pane_at(p, &v, 0)->start;
	return rc;
}

/* ---- sums of windows ---- */

/* to = acc, then what follows it. */
static void add_up(const struct wr_panes *p, uint64_t *to, const uint64_t *acc, const uint64_t *following)
{
	memmove(to, acc, 8 * (size_t)p->accums->slots);
	if (following)
		wr_accums_merge(p->accums, to, following);
}

static void build_front(const struct wr_panes *p, const struct view *v, int64_t start, int64_t end)
{
	uint32_t low = lower_bound(p, v, start), at = lower_bound(p, v, end), slots = p->accums->slots;
	const uint64_t *following = NULL;

	while (at-- > low) {
		struct pane *pane = pane_at(p, v, at);

		add_up(p, pane->acc + slots, pane->acc, following);
		following = pane->acc + slots;
	}
	memset(v->head->back, 0, 8 * (size_t)slots);
	v->head->flip = v->head->back_end = end;
}

/* The sum of the window that fires, by the two stacks. */
static void sum_window(struct wr_panes *p, const struct view *v, int64_t start, int64_t end)
{
	uint32_t slots = p->accums->slots, at;

	if (start >= v->head->flip)
		build_front(p, v, start, end);
	for (at = lower_bound(p, v, v->head->back_end); at < v->count; at++) {
		const struct pane *pane = pane_at(p, v, at);

		if (pane->start >= end)
			break;
		wr_accums_merge(p->accums, v->head->back, pane->acc);
	}
	v->head->back_end = end;
	at = lower_bound(p, v, start);
	if (at < v->count && pane_at(p, v, at)->start < v->head->flip)
		add_up(p, p->sum, pane_at(p, v, at)->acc + slots, v->head->back);
	else
		memcpy(p->sum, v->head->back, 8 * (size_t)slots);
}

/* The first window behind the one that ends at `end` that holds a pane. */
static int64_t next_window(const struct wr_panes *p, const struct view *v, int64_t end)
{
	const struct wr_slicing *s = p->slicing;
	int64_t next = WR_NO_WINDOW;

	for (uint32_t i = 0; i < v->count && next == WR_NO_WINDOW; i++) {
		int64_t start = pane_at(p, v, i)->start;

		if (s->kind == WR_SLIDING && start >= end + s->slide - s->size && start < end)
			return end + s->slide; /* what nearly always is */
		next = wr_window_after(s, wr_slice_of(s, start), end);
	}
	return next;
}

int wr_panes_fire(struct wr_panes *p, int64_t start, int64_t end, int64_t keep, const uint64_t **sum,
		  int64_t *next)
{
	struct view v;
	uint32_t gone = 0;

	*sum = NULL;
	*next = WR_NO_WINDOW;
	if (!own(p, &v))
		return look(p, &v) ? WR_EFATAL : WR_OK;
	if (*v.next == end) {
		if (v.head)
			sum_window(p, &v, start, end);
		else
			memcpy(p->sum, pane_at(p, &v, 0)->acc, 8 * (size_t)p->accums->slots);
		*sum = p->sum;
	}
	while (gone < v.count && pane_at(p, &v, gone)->start < keep)
		gone++;
	if (gone == v.count) {
		wr_state_clear(p->store, STATE);
		return WR_OK;
	}
	if (gone) {
		v.room->first += gone;
		v.room->count -= gone;
		v.panes += (size_t)gone * p->pane_len;
		v.count -= gone;
	}
	if (*sum)
		*v.next = *next = next_window(p, &v, end);
	return WR_OK;
}

const uint64_t *wr_panes_sum(struct wr_panes *p, int64_t start, int64_t end)
{
	struct view v;

	memset(p->sum, 0, 8 * (size_t)p->accums->slots);
	if (!look(p, &v))
		return p->sum;
	for (uint32_t at = lower_bound(p, &v, start); at < v.count; at++) {
		const struct pane *pane = pane_at(p, &v, at);

		if (pane->start >= end)
			break;
		wr_accums_merge(p->accums, p->sum, pane->acc);
	}
	return p->sum;
}
