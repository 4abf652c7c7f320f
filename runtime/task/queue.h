/* SPDX-License-Identifier: Apache-2.0 */
/* queue: what waits in front of a stage: pages of rows and events, in order. One thread. */
#pragma once
#include <stdbool.h>
#include "record/element.h"

enum { WR_PAGE_SIZE = 32 * 1024 };

struct wr_page {
	struct wr_page *next;
	uint32_t input;
	uint32_t rows;
	uint32_t cap, len; /* rows lie in data[at, len) */
	uint32_t at;
	uint32_t event; /* enum wr_event_type, or 0: rows */
	int64_t ts;	/* of the event */
	const uint8_t *borrowed; /* rows lie here instead of in data (a buffer of the gate) */
	bool counted; /* its rows are in the statistics */
	_Alignas(8) uint8_t data[];
};

struct wr_queue {
	struct wr_page *first, *last;
};
/* Pages that were emptied, for reuse; those of odd size are freed. */
struct wr_pages {
	struct wr_page *free;
	uint32_t count;
};

/* An empty page with room for `need` bytes at least; NULL with the error set. */
struct wr_page *wr_page_take(struct wr_pages *p, uint32_t need);
void wr_page_give(struct wr_pages *p, struct wr_page *page);
void wr_pages_deinit(struct wr_pages *p);

void wr_queue_put(struct wr_queue *q, struct wr_page *page);
struct wr_page *wr_queue_take(struct wr_queue *q);
