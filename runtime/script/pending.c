/* SPDX-License-Identifier: Apache-2.0 */
/* pending: a queue of segments. Pure.
 *
 * A segment is a set of rows that may go out in any order, closed by at most one event. Unordered rows
 * between two events share a segment; of ordered rows each has one of its own. Only rows of the first
 * segment go out, and the segment goes when its last row has.
 */
#include "script/pending.h"

#include "base/assert.h"
#include "base/error.h"

enum { KEPT_MAX = 16 << 10 }; /* bytes that a free entry keeps of each of its buffers */

enum state { FREE, FRESH, ACTIVE, ASLEEP, ASKING, ANSWERED, DONE };

struct segment;
struct entry {
	struct entry *next, *prev;	   /* in its segment, in the order of coming */
	struct entry *due_next, *due_prev; /* of all that are not done, in the order of coming */
	struct entry *queued;		   /* next one that is done (of its segment), or answered */
	struct segment *segment;
	enum state state;
	uint32_t slot, ask, heap_at;
	uint64_t timeout_ns, wake_ns;
	bool again; /* asleep until the next attempt */
	struct wr_bytes row, answer, results;
};

struct segment {
	struct segment *next;
	struct entry *first, *last;	 /* rows that did not go out yet */
	struct entry *ready, **ready_at; /* those of them that are done, as they became so */
	enum wr_event_type event;	 /* behind its rows; 0 = none */
	int64_t ts;
	bool closed, used; /* used: a row was put into it */
};

struct wr_pending {
	struct wr_pending_options o;
	struct segment *head, *tail, *spare;
	struct entry **entries; /* by slot */
	uint32_t entry_count, entry_cap, rows;
	struct entry *free;		      /* linked by `queued` */
	struct entry *waiting, *waiting_last; /* due_next */
	struct entry *fresh;		      /* first one that was not begun; all behind it neither */
	struct entry *answered, **answered_at;
	struct entry **heap; /* asleep, by wake_ns, from 1; as many places as `entries` */
	uint32_t heap_count;
};

/* ---- asleep: a heap ---- */

static void heap_set(struct wr_pending *p, uint32_t at, struct entry *e)
{
	p->heap[at] = e;
	e->heap_at = at;
}

static void heap_up(struct wr_pending *p, uint32_t at, struct entry *e)
{
	for (; at > 1 && p->heap[at / 2]->wake_ns > e->wake_ns; at /= 2)
		heap_set(p, at, p->heap[at / 2]);
	heap_set(p, at, e);
}

static void heap_down(struct wr_pending *p, uint32_t at, struct entry *e)
{
	uint32_t child;

	for (; (child = at * 2) <= p->heap_count; at = child) {
		if (child < p->heap_count && p->heap[child + 1]->wake_ns < p->heap[child]->wake_ns)
			child++;
		if (p->heap[child]->wake_ns >= e->wake_ns)
			break;
		heap_set(p, at, p->heap[child]);
	}
	heap_set(p, at, e);
}

static void heap_remove(struct wr_pending *p, struct entry *e)
{
	uint32_t at = e->heap_at;
	struct entry *last = p->heap[p->heap_count--];

	if (last == e)
		return;
	if (at > 1 && p->heap[at / 2]->wake_ns > last->wake_ns)
		heap_up(p, at, last);
	else
		heap_down(p, at, last);
}

/* ---- segments and entries ---- */

static struct segment *segment_add(struct wr_pending *p)
{
	struct segment *s = p->spare;

	if (s)
		p->spare = s->next;
	else
		s = wr_alloc(p->o.mem, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct segment){.next = NULL};
	s->ready_at = &s->ready;
	if (p->tail)
		p->tail->next = s;
	else
		p->head = s;
	return p->tail = s;
}

static void segment_drop(struct wr_pending *p)
{
	struct segment *s = p->head;

	p->head = s->next;
	if (!p->head)
		p->tail = NULL;
	s->next = p->spare;
	p->spare = s;
}

/* The segment that takes the next row. */
static struct segment *open_segment(struct wr_pending *p)
{
	if (p->tail && p->o.ordered && p->tail->used)
		p->tail->closed = true;
	return p->tail && !p->tail->closed ? p->tail : segment_add(p);
}

static int grow(struct wr_pending *p)
{
	uint32_t heap_cap = p->entry_cap;

	if (WR_GROW(p->o.mem, p->heap, heap_cap, 16) != WR_OK)
		return WR_EFATAL;
	return WR_GROW(p->o.mem, p->entries, p->entry_cap, 16);
}

static struct entry *entry_take(struct wr_pending *p)
{
	struct entry *e = p->free;

	if (e) {
		p->free = e->queued;
		return e;
	}
	if (p->entry_count + 1 >= p->entry_cap && grow(p) != WR_OK)
		return NULL;
	e = wr_zalloc(p->o.mem, sizeof *e);
	if (!e)
		return NULL;
	e->slot = p->entry_count;
	p->entries[p->entry_count++] = e;
	return e;
}

static void bytes_reset(struct wr_bytes *b)
{
	if (b->cap > KEPT_MAX || b->failed)
		wr_bytes_deinit(b);
	b->len = 0;
}

static void entry_give(struct wr_pending *p, struct entry *e)
{
	bytes_reset(&e->row);
	bytes_reset(&e->answer);
	bytes_reset(&e->results);
	e->state = FREE;
	e->queued = p->free;
	p->free = e;
}

static struct entry *entry_of(const struct wr_pending *p, uint32_t slot)
{
	WR_ASSERT(slot < p->entry_count);
	WR_ASSERT(p->entries[slot]->state == ACTIVE);
	return p->entries[slot];
}

/* Nothing was done with it yet. */
static void refresh(const struct wr_pending *p, struct entry *e, uint64_t now_ns)
{
	e->state = FRESH;
	e->timeout_ns = p->o.timeout_ns ? now_ns + p->o.timeout_ns : UINT64_MAX;
}

static void waiting_add(struct wr_pending *p, struct entry *e)
{
	e->due_next = NULL;
	e->due_prev = p->waiting_last;
	*(p->waiting_last ? &p->waiting_last->due_next : &p->waiting) = e;
	p->waiting_last = e;
	if (!p->fresh)
		p->fresh = e;
}

static void waiting_remove(struct wr_pending *p, struct entry *e)
{
	*(e->due_prev ? &e->due_prev->due_next : &p->waiting) = e->due_next;
	*(e->due_next ? &e->due_next->due_prev : &p->waiting_last) = e->due_prev;
}

struct wr_pending *wr_pending_new(const struct wr_pending_options *options)
{
	struct wr_pending *p = wr_zalloc(options->mem, sizeof *p);

	WR_ASSERT(options->capacity > 0);
	if (!p)
		return NULL;
	p->o = *options;
	p->answered_at = &p->answered;
	return p;
}

void wr_pending_free(struct wr_pending *p)
{
	struct wr_mem *mem = p ? p->o.mem : NULL;

	if (!p)
		return;
	while (p->head)
		segment_drop(p);
	for (struct segment *s; (s = p->spare);) {
		p->spare = s->next;
		wr_free(mem, s);
	}
	for (uint32_t i = 0; i < p->entry_count; i++) {
		wr_bytes_deinit(&p->entries[i]->row);
		wr_bytes_deinit(&p->entries[i]->answer);
		wr_bytes_deinit(&p->entries[i]->results);
		wr_free(mem, p->entries[i]);
	}
	wr_free(mem, p->entries);
	wr_free(mem, p->heap);
	wr_free(mem, p);
}

uint32_t wr_pending_rows(const struct wr_pending *p)
{
	return p->rows;
}

bool wr_pending_asks(const struct wr_pending *p)
{
	for (uint32_t i = 0; i < p->entry_count; i++)
		if (p->entries[i]->state == ASKING)
			return true;
	return false;
}

bool wr_pending_full(const struct wr_pending *p)
{
	return p->rows >= p->o.capacity;
}

bool wr_pending_empty(const struct wr_pending *p)
{
	return !p->rows && (!p->head || (!p->head->closed && !p->head->next));
}

int wr_pending_put(struct wr_pending *p, const struct wr_elem *row, uint64_t now_ns)
{
	struct segment *s;
	struct entry *e;

	e = entry_take(p);
	if (!e)
		return WR_EFATAL;
	wr_bytes_put(&e->row, row, row->len);
	wr_bytes_room(&e->row, WR_ROW_SLACK);
	s = wr_bytes_status(&e->row) == WR_OK ? open_segment(p) : NULL;
	if (!s) {
		entry_give(p, e);
		return WR_EFATAL;
	}
	s->used = true;
	e->segment = s;
	refresh(p, e, now_ns);
	e->next = NULL;
	e->prev = s->last;
	*(s->last ? &s->last->next : &s->first) = e;
	s->last = e;
	waiting_add(p, e);
	p->rows++;
	return WR_OK;
}

/* Does a word replace the one before it, with no row between? Both `idle` and `active` then vanish. */
static bool replaces(struct segment *before, enum wr_event_type type, int64_t ts)
{
	if (before->event == type)
		before->ts = ts;
	else if (before->event == WR_EV_IDLE && type == WR_EV_ACTIVE)
		before->event = 0;
	else
		return false;
	return true;
}

int wr_pending_put_event(struct wr_pending *p, enum wr_event_type type, int64_t ts)
{
	struct segment *s = p->tail;

	if (s && s->closed && s->event && replaces(s, type, ts))
		return WR_OK;
	if (s && s->closed && s->event)
		s = NULL;
	if (!s)
		s = segment_add(p);
	if (!s)
		return WR_EFATAL;
	s->closed = true;
	s->event = type;
	s->ts = ts;
	return WR_OK;
}

/* ---- what is to be done ---- */

enum wr_due wr_pending_due(struct wr_pending *p, uint64_t now_ns, uint32_t *slot, uint32_t *asked)
{
	struct entry *e = p->answered;
	enum wr_due due = WR_DUE_ANSWER;

	*asked = 0;
	if (e) {
		p->answered = e->queued;
		if (!e->queued)
			p->answered_at = &p->answered;
	} else if (p->heap_count && p->heap[1]->wake_ns <= now_ns) {
		e = p->heap[1];
		heap_remove(p, e);
		due = e->again ? WR_DUE_BEGIN : WR_DUE_WAKE;
	} else if (p->waiting && p->waiting->timeout_ns <= now_ns && p->waiting != p->fresh) {
		e = p->waiting;
		if (e->state == ASLEEP)
			heap_remove(p, e);
		else
			*asked = e->ask;
		e->timeout_ns = UINT64_MAX;
		due = WR_DUE_TIMEOUT;
	} else if (p->fresh) {
		e = p->fresh;
		p->fresh = e->due_next;
		due = WR_DUE_BEGIN;
	} else {
		return WR_DUE_NOTHING;
	}
	if (due == WR_DUE_BEGIN || due == WR_DUE_TIMEOUT)
		e->results.len = 0;
	e->state = ACTIVE;
	*slot = e->slot;
	return due;
}

uint64_t wr_pending_deadline(const struct wr_pending *p)
{
	uint64_t at = UINT64_MAX;

	if (p->answered || p->fresh)
		return 0;
	if (p->heap_count)
		at = p->heap[1]->wake_ns;
	return p->waiting && p->waiting->timeout_ns < at ? p->waiting->timeout_ns : at;
}

const struct wr_elem *wr_pending_row(const struct wr_pending *p, uint32_t slot)
{
	return (const struct wr_elem *)entry_of(p, slot)->row.data;
}

void wr_pending_sleep(struct wr_pending *p, uint32_t slot, uint64_t until_ns, bool again)
{
	struct entry *e = entry_of(p, slot);

	e->state = ASLEEP;
	e->again = again;
	e->wake_ns = until_ns;
	heap_up(p, ++p->heap_count, e);
}

uint32_t wr_pending_ask(struct wr_pending *p, uint32_t slot)
{
	struct entry *e = entry_of(p, slot);

	e->state = ASKING;
	if (!++e->ask)
		e->ask = 1;
	return e->ask;
}

void wr_pending_unask(struct wr_pending *p, uint32_t slot)
{
	WR_ASSERT(slot < p->entry_count && p->entries[slot]->state == ASKING);
	p->entries[slot]->state = ACTIVE;
}

int wr_pending_answer(struct wr_pending *p, uint32_t slot, uint32_t ask, const void *bytes, size_t len,
		      bool *known)
{
	struct entry *e = slot < p->entry_count ? p->entries[slot] : NULL;

	*known = e && e->state == ASKING && e->ask == ask;
	if (!*known)
		return WR_OK;
	e->answer.len = 0;
	wr_bytes_put(&e->answer, bytes, len);
	if (wr_bytes_status(&e->answer) != WR_OK)
		return WR_EFATAL;
	e->state = ANSWERED;
	e->queued = NULL;
	*p->answered_at = e;
	p->answered_at = &e->queued;
	return WR_OK;
}

const uint8_t *wr_pending_answered(const struct wr_pending *p, uint32_t slot)
{
	return entry_of(p, slot)->answer.data;
}

uint8_t *wr_pending_result(struct wr_pending *p, uint32_t slot, uint32_t shape, uint32_t body_len)
{
	struct entry *e = entry_of(p, slot);
	const struct wr_elem *in = (const struct wr_elem *)e->row.data;
	uint32_t len = (uint32_t)sizeof *in + body_len;
	struct wr_elem *row = (struct wr_elem *)wr_bytes_room(&e->results, len);

	WR_ASSERT(body_len % WR_ELEM_ALIGN == 0);
	if (!row)
		return NULL;
	*row = (struct wr_elem){.len = len, .tag = shape | (uint32_t)wr_elem_kind(in) << 24, .ts = in->ts};
	e->results.len += len;
	return (uint8_t *)(row + 1);
}

void wr_pending_drop(struct wr_pending *p, uint32_t slot)
{
	entry_of(p, slot)->results.len = 0;
}

void wr_pending_done(struct wr_pending *p, uint32_t slot)
{
	struct entry *e = entry_of(p, slot);

	waiting_remove(p, e);
	e->state = DONE;
	e->queued = NULL;
	*e->segment->ready_at = e;
	e->segment->ready_at = &e->queued;
}

void wr_pending_hurry(struct wr_pending *p)
{
	for (uint32_t i = 1; i <= p->heap_count; i++)
		if (p->heap[i]->again)
			p->heap[i]->wake_ns = 0;
	for (uint32_t i = p->heap_count / 2; i > 0; i--)
		heap_down(p, i, p->heap[i]);
}

void wr_pending_anew(struct wr_pending *p, uint64_t now_ns)
{
	p->waiting = p->waiting_last = p->fresh = p->answered = NULL;
	p->answered_at = &p->answered;
	p->heap_count = 0;
	for (struct segment *s = p->head; s; s = s->next) {
		s->ready = NULL;
		s->ready_at = &s->ready;
		for (struct entry *e = s->first; e; e = e->next) {
			e->results.len = 0;
			refresh(p, e, now_ns);
			waiting_add(p, e);
		}
	}
}

/* ---- what goes out ---- */

static bool segment_over(const struct segment *s)
{
	return !s->first && s->closed && !s->event;
}

bool wr_pending_next(struct wr_pending *p, struct wr_pending_out *out)
{
	const struct segment *s;

	*out = (struct wr_pending_out){.event = 0};
	while (p->head && segment_over(p->head))
		segment_drop(p);
	s = p->head;
	if (!s)
		return false;
	if (s->ready) {
		out->rows = s->ready->results.data;
		out->end = out->rows + s->ready->results.len;
		return true;
	}
	out->event = s->event;
	out->ts = s->ts;
	return !s->first && s->closed;
}

void wr_pending_passed(struct wr_pending *p)
{
	struct segment *s = p->head;
	struct entry *e = s->ready;

	if (!e) {
		segment_drop(p);
		return;
	}
	s->ready = e->queued;
	if (!s->ready)
		s->ready_at = &s->ready;
	*(e->prev ? &e->prev->next : &s->first) = e->next;
	*(e->next ? &e->next->prev : &s->last) = e->prev;
	entry_give(p, e);
	p->rows--;
}

void wr_pending_each(const struct wr_pending *p,
		     void (*each)(void *arg, const struct wr_elem *row, enum wr_event_type event, int64_t ts),
		     void *arg)
{
	for (const struct segment *s = p->head; s; s = s->next) {
		for (const struct entry *e = s->first; e; e = e->next)
			each(arg, (const struct wr_elem *)e->row.data, 0, 0);
		if (s->closed && s->event)
			each(arg, NULL, s->event, s->ts);
	}
}
