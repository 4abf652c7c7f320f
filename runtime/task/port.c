/* SPDX-License-Identifier: Apache-2.0 */
/* port: rows from a stage to writers and inboxes. */
#include "task/port.h"

#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/element.h"

enum {
	PAGES_KEPT = 8,	 /* free pages of a task */
	INBOX_PAGES = 4, /* pages that wait for one stage before the stage in front of it pauses */
};

static struct wr_mem mem = WR_MEM_INIT("task.pages");

static struct wr_page *page_take(struct wr_stock *s, uint32_t need)
{
	struct wr_page *page = s->pages;

	if (need > WR_PAGE_SIZE || !page) {
		uint32_t cap = need > WR_PAGE_SIZE ? need : WR_PAGE_SIZE;

		page = wr_alloc_aligned(&mem, 64, sizeof *page + cap + WR_ROW_SLACK);
		if (page)
			page->cap = cap;
		return page;
	}
	s->pages = page->next;
	s->page_count--;
	return page;
}

static void page_give(struct wr_stock *s, struct wr_page *page)
{
	if (!page)
		return;
	if (page->cap != WR_PAGE_SIZE || s->page_count == PAGES_KEPT) {
		wr_free(&mem, page);
		return;
	}
	page->next = s->pages;
	s->pages = page;
	s->page_count++;
}

void wr_stock_deinit(struct wr_stock *s)
{
	for (struct wr_page *page; (page = s->pages);) {
		s->pages = page->next;
		wr_free(&mem, page);
	}
	for (struct wr_item *item; (item = s->items);) {
		s->items = item->next;
		wr_free(&mem, item);
	}
}

struct wr_item *wr_inbox_add(struct wr_chain *c, uint32_t stage)
{
	struct wr_inbox *box = &c->inboxes[stage];
	struct wr_item *item = c->stock.items;

	WR_ASSERT(stage < c->stage_count);
	if (item)
		c->stock.items = item->next;
	else
		item = wr_alloc(&mem, sizeof *item);
	if (!item)
		return NULL;
	memset(item, 0, sizeof *item);
	if (!box->first)
		box->last = &box->first;
	*box->last = item;
	box->last = &item->next;
	return item;
}

int wr_inbox_add_event(struct wr_chain *c, uint32_t stage, uint32_t event, int64_t ts, uint64_t payload)
{
	struct wr_item *item = wr_inbox_add(c, stage);

	if (!item)
		return WR_EFATAL;
	item->event = event;
	item->ts = ts;
	item->payload = payload;
	return WR_OK;
}

void wr_inbox_drop(struct wr_chain *c, uint32_t stage)
{
	struct wr_inbox *box = &c->inboxes[stage];
	struct wr_item *item = box->first;

	box->first = item->next;
	if (item->page) {
		box->pages--;
		page_give(&c->stock, item->page);
	}
	if (item->buffer)
		wr_buffer_unref(item->buffer);
	wr_free(&mem, item->text);
	item->next = c->stock.items;
	c->stock.items = item;
}

/* Rows to the inbox of a following stage: the page itself if `give`, else a copy. */
static int deliver_page(struct wr_port *p, const struct wr_target *to, uint32_t rows, bool give)
{
	struct wr_chain *c = p->chain;
	uint32_t len = (uint32_t)(p->out.p - p->start);
	struct wr_page *page = give ? p->page : page_take(&c->stock, len);
	struct wr_item *item = page ? wr_inbox_add(c, to->stage) : NULL;

	if (!item) {
		if (!give)
			page_give(&c->stock, page);
		return WR_EFATAL;
	}
	if (!give)
		memcpy(page->data, p->start, len);
	item->page = page;
	item->p = give ? p->start : page->data;
	item->end = item->p + len;
	item->rows = rows;
	item->input = to->input;
	if (++c->inboxes[to->stage].pages >= INBOX_PAGES)
		c->pause = true;
	return WR_OK;
}

static void port_clear(struct wr_port *p)
{
	p->out.p = p->out.end = p->start = NULL;
}

/* Delivers the rows in the port's own page. A page that was handed on is no longer the port's. */
static int sync_page(struct wr_port *p, uint32_t rows)
{
	bool given = false;

	for (uint32_t i = 0; i < p->target_count; i++) {
		const struct wr_target *to = &p->targets[i];
		int rc;

		if (to->writer) {
			rc = wr_writer_rows(to->writer, p->start, p->out.p);
			if (!wr_writer_ready(to->writer))
				p->chain->pause = true;
		} else {
			given = i + 1 == p->target_count;
			rc = deliver_page(p, to, rows, given);
		}
		if (rc != WR_OK)
			return rc;
	}
	if (given) {
		p->page = NULL;
		port_clear(p);
	} else {
		p->out.p = p->start = p->page->data;
	}
	return WR_OK;
}

int wr_port_sync(struct wr_port *p)
{
	uint32_t rows = (uint32_t)(p->out.rows - p->rows_done);
	uint32_t len = (uint32_t)(p->out.p - p->start);
	struct wr_op_stats *stats = &p->stage->ops_stats[p->op];

	if (!len)
		return WR_OK;
	WR_ASSERT(rows > 0 && p->out.p <= p->out.end);
	p->rows_done = p->out.rows;
	wr_metric_add(&stats->rows_out, rows);
	wr_metric_add(&stats->bytes_out, len);
	if (p->page)
		return sync_page(p, rows);
	wr_writer_commit(p->direct, p->out.p, rows);
	p->start = p->out.p;
	return WR_OK;
}

void wr_port_discard(struct wr_port *p)
{
	if (p->page)
		page_give(&p->chain->stock, p->page);
	p->page = NULL;
	port_clear(p);
}

int wr_port_release(struct wr_port *p)
{
	int rc = wr_port_sync(p);

	wr_port_discard(p);
	return rc;
}

static int deliver_event(struct wr_chain *c, uint32_t stage, const struct wr_item *event, const char *text)
{
	struct wr_item *item = wr_inbox_add(c, stage);

	if (!item)
		return WR_EFATAL;
	item->event = event->event;
	item->ts = event->ts;
	item->payload = event->payload;
	if (text)
		item->text = wr_strdup(&mem, text);
	return text && !item->text ? WR_EFATAL : WR_OK;
}

int wr_port_event(struct wr_port *p, uint32_t event, int64_t ts, uint64_t payload, const char *text)
{
	const struct wr_item item = {.event = event, .ts = ts, .payload = payload};
	bool with_payload = event == WR_EV_BARRIER;
	int rc = wr_port_release(p);

	for (uint32_t i = 0; i < p->target_count && rc == WR_OK; i++) {
		const struct wr_target *to = &p->targets[i];

		if (to->writer && event == WR_EV_WATERMARK && ts == WR_TS_MAX)
			continue; /* END follows, and says it */
		if (to->writer && event == WR_EV_SPLIT)
			continue;
		if (to->writer && event == WR_EV_LATENCY)
			rc = wr_writer_marker(to->writer, ts, &payload, sizeof payload);
		else if (to->writer)
			rc = wr_writer_event(to->writer, (enum wr_event_type)event, ts, &payload,
					     with_payload ? sizeof payload : 0);
		else
			rc = deliver_event(p->chain, to->stage, &item, text);
	}
	return rc;
}

uint8_t *wr_out_more(struct wr_out *o, uint32_t need)
{
	struct wr_port *p = (struct wr_port *)o;

	if (wr_port_release(p) != WR_OK)
		return NULL;
	if (p->direct && need <= p->direct_max) {
		o->p = wr_writer_page(p->direct, need, &o->end);
		p->start = o->p;
		if (!wr_writer_ready(p->direct))
			p->chain->pause = true;
		return o->p;
	}
	p->page = page_take(&p->chain->stock, need);
	if (!p->page)
		return NULL;
	o->p = p->start = p->page->data;
	o->end = o->p + p->page->cap;
	return o->p;
}

int wr_stage_spent(struct wr_stage *s)
{
	s->looked_ns = wr_clock_ns(s->env->clock);
	if (!(s->chain && s->chain->pause) && s->looked_ns < s->step_until_ns)
		return 0;
	if (s->chain)
		s->chain->told = true;
	return 1;
}
