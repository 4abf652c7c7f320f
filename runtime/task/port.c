/* SPDX-License-Identifier: Apache-2.0 */
/* port: from a stage's wr_out to writers and queues. */
#include "task/port.h"

#include "base/assert.h"
#include "base/error.h"

/* Rows of a page to all targets; the page itself goes to the last queue, copies to others. */
static int page_hand_on(struct wr_port *p, struct wr_page *page)
{
	struct wr_port_target *keep = NULL;

	for (uint32_t i = 0; i < p->count; i++) {
		struct wr_port_target *t = &p->targets[i];

		if (t->writer) {
			int rc = wr_writer_rows(t->writer, page->data, page->data + page->len);

			if (rc != WR_OK)
				return rc;
		} else if (!keep) {
			keep = t;
		} else {
			struct wr_page *copy = wr_page_take(p->pages, page->len);

			if (!copy)
				return WR_EFATAL;
			memcpy(copy->data, page->data, page->len);
			copy->len = page->len;
			copy->rows = page->rows;
			copy->input = t->input;
			wr_queue_put(t->queue, copy);
		}
	}
	if (keep) {
		page->input = keep->input;
		wr_queue_put(keep->queue, page);
		p->page = NULL;
	} else {
		page->len = page->rows = 0;
	}
	return WR_OK;
}

int wr_port_flush(struct wr_port *p)
{
	uint32_t rows = (uint32_t)(p->out.rows - p->counted);

	p->counted = p->out.rows;
	if (p->direct && !p->page) {
		if (rows)
			wr_writer_commit(p->targets[0].writer, p->out.p, rows);
		p->base = p->out.p = p->out.end = NULL; /* the writer may push the buffer at any time */
		return WR_OK;
	}
	if (!rows)
		return WR_OK;
	p->page->len = (uint32_t)(p->out.p - p->page->data);
	p->page->rows = rows;
	p->base = p->out.p = p->out.end = NULL;
	return page_hand_on(p, p->page);
}

uint8_t *wr_out_more(struct wr_out *o, uint32_t need)
{
	struct wr_port *p = (struct wr_port *)o;

	if (wr_port_flush(p) != WR_OK)
		return NULL;
	if (p->direct) {
		uint8_t *at;

		if (p->page) { /* a row too large for a buffer was written aside; it is gone by now */
			wr_page_give(p->pages, p->page);
			p->page = NULL;
		}
		at = wr_writer_page(p->targets[0].writer, need, &o->end);
		if (at)
			return o->p = p->base = at;
	}
	if (p->page && p->page->cap < need) {
		wr_page_give(p->pages, p->page);
		p->page = NULL;
	}
	if (!p->page)
		p->page = wr_page_take(p->pages, need);
	if (!p->page)
		return NULL;
	o->p = p->base = p->page->data;
	o->end = o->p + p->page->cap;
	return o->p;
}

int wr_port_event(struct wr_port *p, enum wr_event_type type, int64_t ts)
{
	int rc = wr_port_flush(p);

	for (uint32_t i = 0; i < p->count && rc == WR_OK; i++) {
		struct wr_port_target *t = &p->targets[i];
		struct wr_page *page;

		if (t->writer) {
			rc = wr_writer_event(t->writer, type, ts, NULL, 0);
			continue;
		}
		page = wr_page_take(p->pages, 0);
		if (!page)
			return WR_EFATAL;
		page->event = type;
		page->ts = ts;
		page->input = t->input;
		wr_queue_put(t->queue, page);
	}
	return rc;
}

void wr_port_deinit(struct wr_port *p)
{
	if (p->page)
		wr_page_give(p->pages, p->page);
	p->page = NULL;
}
