/* SPDX-License-Identifier: Apache-2.0 */
/* changes: see changes.h. */
#include "tiered/changes.h"

#include <stdatomic.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

enum {
	PAGE_WORDS = 64,
	PAGE_BITS = PAGE_WORDS * 64,
	ENDED_PART = 16, /* of all numbers: below it looking for those that ended does not pay */
};

static struct wr_mem mem = WR_MEM_INIT("state.changes");

/* ---- sets of numbers ---- */

static int more_pages(struct bits *b, uint32_t page)
{
	uint32_t before = b->page_count;

	if (WR_GROW(&mem, b->pages, b->page_count, page + 1) != WR_OK)
		return WR_EFATAL;
	memset(b->pages + before, 0, (b->page_count - before) * sizeof b->pages[0]);
	return WR_OK;
}

static uint64_t *page_of(struct bits *b, uint32_t page)
{
	if (page >= b->page_count && more_pages(b, page) != WR_OK)
		return NULL;
	if (!b->pages[page])
		b->pages[page] = wr_zalloc(&mem, PAGE_WORDS * sizeof(uint64_t));
	return b->pages[page];
}

int wr_bits_set(struct bits *b, uint32_t n)
{
	uint64_t *page = page_of(b, n / PAGE_BITS);

	if (!page)
		return WR_EFATAL;
	page[n % PAGE_BITS / 64] |= UINT64_C(1) << n % 64;
	return WR_OK;
}

bool wr_bits_has(const struct bits *b, uint32_t n)
{
	const uint64_t *page = n / PAGE_BITS < b->page_count ? b->pages[n / PAGE_BITS] : NULL;

	return page && page[n % PAGE_BITS / 64] >> n % 64 & 1;
}

void wr_bits_deinit(struct bits *b)
{
	for (uint32_t i = 0; i < b->page_count; i++)
		wr_free(&mem, b->pages[i]);
	wr_free(&mem, b->pages);
	*b = (struct bits){NULL, 0};
}

int wr_bits_put(const struct bits *b, struct wr_bytes *to)
{
	for (uint32_t i = 0; i < b->page_count; i++)
		for (uint32_t w = 0; b->pages[i] && w < PAGE_WORDS; w++)
			for (uint64_t word = b->pages[i][w]; word; word &= word - 1) {
				uint32_t n = i * PAGE_BITS + w * 64 + (uint32_t)__builtin_ctzll(word);

				wr_bytes_put(to, &n, sizeof n);
			}
	return wr_bytes_status(to);
}

static int add_all(struct bits *to, const struct bits *from)
{
	for (uint32_t i = 0; i < from->page_count; i++) {
		uint64_t *page = from->pages[i] ? page_of(to, i) : NULL;

		if (from->pages[i] && !page)
			return WR_EFATAL;
		for (uint32_t w = 0; page && w < PAGE_WORDS; w++)
			page[w] |= from->pages[i][w];
	}
	return WR_OK;
}

/* ---- between two versions ---- */

static struct stretch *stretch_new(uint32_t after)
{
	struct stretch *s = wr_zalloc(&mem, sizeof *s);

	if (!s)
		return NULL;
	s->after = after;
	atomic_init(&s->refs, 1);
	return s;
}

static void stretch_unref(struct stretch *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
		return;
	wr_bits_deinit(&s->changed);
	wr_free(&mem, s);
}

void wr_stretches_unref(struct stretches *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		stretch_unref(s->all[i]);
	s->count = 0;
}

int wr_stretches_changed(const struct stretches *s, uint32_t since, struct bits *to)
{
	uint32_t first = 0;
	int rc = WR_OK;

	while (first < s->count && s->all[first]->after != since)
		first++;
	if (first == s->count)
		return WR_END;
	for (uint32_t i = first; i < s->count && rc == WR_OK; i++)
		rc = add_all(to, &s->all[i]->changed);
	return rc;
}

int wr_changes_note(struct changes *c, uint32_t number)
{
	return c->open ? wr_bits_set(&c->open->changed, number) : WR_OK;
}

int wr_changes_close(struct changes *c, uint32_t epoch, struct stretches *known)
{
	struct stretch *next = stretch_new(epoch);

	known->count = 0;
	if (!next)
		return WR_EFATAL;
	if (c->open) {
		struct stretches *closed = &c->closed;

		if (closed->count == STRETCHES_MAX) {
			stretch_unref(closed->all[0]);
			closed->count--;
			memmove(closed->all, closed->all + 1, closed->count * sizeof closed->all[0]);
		}
		closed->all[closed->count++] = c->open;
	}
	c->open = next;
	*known = c->closed;
	for (uint32_t i = 0; i < known->count; i++)
		atomic_fetch_add_explicit(&known->all[i]->refs, 1, memory_order_relaxed);
	return WR_OK;
}

void wr_changes_deinit(struct changes *c)
{
	wr_stretches_unref(&c->closed);
	stretch_unref(c->open);
	wr_bits_deinit(&c->ended);
}

/* ---- numbers ---- */

/* Takes the next page of numbers that ended; where `spare` is full the rest of it waits. */
static void find_spare(struct changes *c)
{
	uint64_t *page;

	c->at = c->at + 1 < c->ended.page_count ? c->at + 1 : 0;
	page = c->ended.pages[c->at];
	for (uint32_t w = 0; page && w < PAGE_WORDS; w++)
		while (page[w] && c->spare_count < SPARE_MAX) {
			uint32_t bit = (uint32_t)__builtin_ctzll(page[w]);

			page[w] &= page[w] - 1;
			c->spare[c->spare_count++] = c->at * PAGE_BITS + w * 64 + bit;
			c->ended_count--;
		}
}

uint32_t wr_changes_number(struct changes *c)
{
	while (!c->spare_count && c->ended_count > c->last / ENDED_PART)
		find_spare(c);
	if (c->spare_count)
		return c->spare[--c->spare_count];
	if (c->last < UINT32_MAX)
		return ++c->last;
	wr_error_set(WR_EFATAL, "more than four billion keys in one subtask");
	return 0;
}

int wr_changes_end(struct changes *c, uint32_t number)
{
	WR_ASSERT(number);
	if (c->spare_count < SPARE_MAX) {
		c->spare[c->spare_count++] = number;
		return WR_OK;
	}
	if (wr_bits_set(&c->ended, number) != WR_OK)
		return WR_EFATAL;
	c->ended_count++;
	return WR_OK;
}
