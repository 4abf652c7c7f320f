/* SPDX-License-Identifier: Apache-2.0 */
/* heap: pages of objects of one size.
 *
 * A page is `open` while it may have room: it is in the list of its class. The first of the
 * list is allocated from until it is full, and then leaves the list; the first object that
 * is given back brings it in again. A page without objects is spare, unless it is the first.
 * Spare pages are exchanged with the other heaps many at a time.
 */
#include "heap/heap.h"

#include <string.h>
#include "base/assert.h"

enum {
	SMALL_MAX = 384,
	FAR_BEYOND = 4,	     /* times the bound: a growing heap has twice been collected until there */
	SMALL_ROOM = 4096,   /* up to where memory is refused, for small objects alone */
	EXCHANGED_MAX = 32,  /* pages taken or given back at once */
	EXCHANGED_PART = 64, /* of a heap that may keep none: so large a part of it */
};

struct wr_slab {
	struct wr_page page;
	struct wr_slab *next, *prev;
	void *free;	/* objects that were given back; the first word is the next one */
	uint16_t fresh; /* where the part begins that was never used */
	uint16_t size, used;
	uint8_t class;
	bool is_open;
};

/* Sizes of the classes: every 16 bytes up to 128, then every 32. */
static inline uint32_t class_of(size_t bytes)
{
	return (uint32_t)(bytes <= 128 ? (bytes - 1) / 16 : 4 + (bytes - 1) / 32);
}

static uint32_t class_size(uint32_t class)
{
	return class < 8 ? (class + 1) * 16 : (class - 3) * 32;
}

static struct wr_slab *slab_of(void *p)
{
	return (struct wr_slab *)((uintptr_t)p & ~(uintptr_t)(WR_PAGE - 1));
}

static void slab_open(struct wr_heap *h, struct wr_slab *s)
{
	struct wr_slab *head = h->open[s->class];

	s->is_open = true;
	s->prev = NULL;
	s->next = head;
	if (head)
		head->prev = s;
	h->open[s->class] = s;
}

static void slab_close(struct wr_heap *h, struct wr_slab *s)
{
	s->is_open = false;
	if (s->prev)
		s->prev->next = s->next;
	else
		h->open[s->class] = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

/* Gives back all spare pages but `keep`. */
static void spare_give(struct wr_heap *h, uint32_t keep)
{
	while (h->spare_count > keep) {
		struct wr_page *pages[EXCHANGED_MAX];
		uint32_t n = 0;

		for (; n < EXCHANGED_MAX && h->spare_count > keep; n++, h->spare_count--) {
			pages[n] = &h->spare->page;
			h->spare = h->spare->next;
		}
		wr_pages_give(h->mem, pages, n);
	}
}

static void spare_add(struct wr_heap *h, struct wr_slab *s)
{
	s->next = h->spare;
	h->spare = s;
	h->spare_count++;
}

/* How many spare pages the heap may keep. */
static uint32_t spare_room(const struct wr_heap *h)
{
	int64_t room = h->keep / WR_PAGE - h->page_count;

	return room > 0 ? (uint32_t)room : 0;
}

static uint32_t exchanged(const struct wr_heap *h)
{
	uint32_t n = 1 + h->page_count / EXCHANGED_PART + spare_room(h);

	return n < EXCHANGED_MAX ? n : EXCHANGED_MAX;
}

/* False: the system refuses. */
static bool spare_fill(struct wr_heap *h)
{
	struct wr_page *pages[EXCHANGED_MAX];
	uint32_t n = wr_pages_take(h->mem, pages, exchanged(h));

	for (uint32_t i = n; i > 0; i--)
		spare_add(h, (struct wr_slab *)pages[i - 1]);
	return n > 0;
}

static void slab_drop_empty(struct wr_heap *h, struct wr_slab *s)
{
	uint32_t keep;

	if (WR_LIKELY(!s || s->used))
		return;
	slab_close(h, s);
	spare_add(h, s);
	h->page_count--;
	keep = spare_room(h);
	if (h->spare_count >= keep + exchanged(h))
		spare_give(h, keep);
}

static struct wr_slab *slab_new(struct wr_heap *h, uint32_t class)
{
	struct wr_slab *s;

	if (!h->spare && !spare_fill(h))
		return NULL;
	s = h->spare;
	h->spare = s->next;
	h->spare_count--;
	h->page_count++;
	s->free = NULL;
	s->size = (uint16_t)class_size(class);
	s->class = (uint8_t) class;
	s->fresh = WR_PAGE % s->size;
	while (s->fresh < sizeof *s)
		s->fresh += s->size;
	s->used = 0;
	slab_open(h, s);
	return s;
}

/* An object of the first page that is no longer full, or NULL. */
static void *slab_take(struct wr_slab *s)
{
	void *p = s->free;

	if (WR_LIKELY(p)) {
		memcpy(&s->free, p, sizeof s->free);
	} else {
		if (s->fresh == WR_PAGE)
			return NULL;
		p = (uint8_t *)s + s->fresh;
		s->fresh += s->size;
	}
	s->used++;
	return p;
}

static void *small_alloc(struct wr_heap *h, size_t bytes)
{
	uint32_t class = class_of(bytes);
	struct wr_slab *s;

	while (WR_LIKELY((s = h->open[class]))) {
		void *p = slab_take(s);

		if (WR_LIKELY(p))
			return p;
		slab_close(h, s);
	}
	s = slab_new(h, class);
	return s ? slab_take(s) : NULL;
}

static void small_free(struct wr_heap *h, void *p)
{
	struct wr_slab *s = slab_of(p);

	memcpy(p, &s->free, sizeof s->free);
	s->free = p;
	s->used--;
	if (WR_UNLIKELY(!s->is_open)) {
		slab_drop_empty(h, h->open[s->class]);
		slab_open(h, s);
	}
	if (s != h->open[s->class])
		slab_drop_empty(h, s);
}

static void *heap_new(struct wr_heap *h, size_t bytes)
{
	return bytes <= SMALL_MAX ? small_alloc(h, bytes) : wr_alloc(h->mem, bytes);
}

static void heap_drop(struct wr_heap *h, void *p, size_t bytes)
{
	if (bytes <= SMALL_MAX)
		small_free(h, p);
	else
		wr_free(h->mem, p);
}

static void *heap_resize(struct wr_heap *h, void *p, size_t old, size_t want)
{
	void *q;

	if (old > SMALL_MAX && want > SMALL_MAX)
		return wr_realloc(h->mem, p, want);
	if (old <= SMALL_MAX && want <= SMALL_MAX && class_of(old) == class_of(want))
		return p;
	q = heap_new(h, want);
	if (q) {
		memcpy(q, p, old < want ? old : want);
		heap_drop(h, p, old);
	}
	return q;
}

/* The bound is passed: the owner is told, once. */
static void tell(struct wr_heap *h)
{
	if (h->over)
		return;
	h->over = true;
	if (h->passed)
		h->passed(h);
}

/* LuaJIT takes a function whose variables are refused for one without variables, and gives it back as that. A
 * small one's page knows better; a large one must not come into this: there is room for all its variables. */
static bool far_beyond(const struct wr_heap *h, int64_t bytes, size_t want)
{
	return (bytes + (want > SMALL_MAX ? SMALL_ROOM : 0)) / FAR_BEYOND >= h->bytes_max;
}

static void *heap_set(struct wr_heap *h, void *p, size_t old, size_t want)
{
	return p ? heap_resize(h, p, old, want) : heap_new(h, want);
}

/* The system refused. LuaJIT is not told at once, since it would not survive that in compiled code: the owner
 * is, and ends what runs before its next instruction. */
static void *insist(struct wr_heap *h, void *p, size_t old, size_t want)
{
	void *q;

	h->scarce = true;
	tell(h);
	q = heap_set(h, p, old, want);
	if (!q && wr_mem_spend())
		q = heap_set(h, p, old, want);
	if (!q)
		h->refused = true;
	return q;
}

void *wr_heap_alloc(void *heap, void *p, size_t old, size_t want)
{
	struct wr_heap *h = heap;
	int64_t grow = (int64_t)want - (int64_t)old;
	void *q;

	if (want == 0) {
		if (p)
			heap_drop(h, p, old);
		h->bytes -= (int64_t)old;
		return NULL;
	}
	if (WR_UNLIKELY(grow > 0 && h->bytes_max && h->bytes + grow > h->bytes_max)) {
		tell(h);
		if (far_beyond(h, h->bytes + grow, want)) {
			h->refused = true;
			return NULL;
		}
	}
	q = heap_set(h, p, old, want);
	if (WR_UNLIKELY(!q))
		q = insist(h, p, old, want);
	if (WR_LIKELY(q))
		h->bytes += grow;
	return q;
}

void wr_heap_trim(struct wr_heap *h)
{
	for (uint32_t i = 0; i < WR_HEAP_CLASSES; i++)
		slab_drop_empty(h, h->open[i]);
	spare_give(h, 0);
}

void wr_heap_deinit(struct wr_heap *h)
{
	wr_heap_trim(h);
	if (h->refused)
		return;
	WR_ASSERT(h->bytes == 0);
	for (uint32_t i = 0; i < WR_HEAP_CLASSES; i++)
		WR_ASSERT(!h->open[i]);
}
