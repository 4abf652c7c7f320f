/* SPDX-License-Identifier: Apache-2.0 */
/* queue: pages in front of a stage. */
#include "task/queue.h"

#include "base/mem.h"

enum { FREE_MAX = 4 };
static struct wr_mem mem = WR_MEM_INIT("task.pages");

struct wr_page *wr_page_take(struct wr_pages *p, uint32_t need)
{
	struct wr_page *page = p->free;
	uint32_t cap = need > WR_PAGE_SIZE ? need : WR_PAGE_SIZE;

	if (page && need <= WR_PAGE_SIZE) {
		p->free = page->next;
		p->count--;
	} else {
		/* events need no room of their own */
		page = wr_alloc(&mem, sizeof *page + (need ? cap : 0));
		if (!page)
			return NULL;
		page->cap = need ? cap : 0;
	}
	page->next = NULL;
	page->input = page->rows = page->len = page->at = page->event = 0;
	page->borrowed = NULL;
	page->counted = false;
	return page;
}

void wr_page_give(struct wr_pages *p, struct wr_page *page)
{
	if (page->cap != WR_PAGE_SIZE || p->count >= FREE_MAX) {
		wr_free(&mem, page);
		return;
	}
	page->next = p->free;
	p->free = page;
	p->count++;
}

void wr_pages_deinit(struct wr_pages *p)
{
	while (p->free) {
		struct wr_page *next = p->free->next;

		wr_free(&mem, p->free);
		p->free = next;
	}
	p->count = 0;
}

void wr_queue_put(struct wr_queue *q, struct wr_page *page)
{
	page->next = NULL;
	if (q->last)
		q->last->next = page;
	else
		q->first = page;
	q->last = page;
}

struct wr_page *wr_queue_take(struct wr_queue *q)
{
	struct wr_page *page = q->first;

	if (page) {
		q->first = page->next;
		if (!q->first)
			q->last = NULL;
	}
	return page;
}
