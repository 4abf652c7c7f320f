/* SPDX-License-Identifier: Apache-2.0 */
/* port: where rows of a stage leave it, and the inboxes of the stages behind.
 *
 * A port hands out room for rows. Where its one target is a writer with one channel, the
 * room is the writer's buffer itself; else it is a page, which is copied to the writers and
 * handed on to the inboxes of the following stages when it is full and when the stage has
 * returned. Nothing here calls a stage, so a Lua loop is never re-entered. Task's thread.
 *
 * An inbox holds rows and events of one stage in order.
 */
#pragma once
#include "exchange/buffer.h"
#include "task/stage.h"

enum { WR_PAGE_SIZE = 32 << 10 };

struct wr_page {
	struct wr_page *next; /* free list */
	uint32_t cap;
	_Alignas(64) uint8_t data[];
};

/* Stays in its chain: what a source says of its splits (ts = number, payload = word). Others are those of
 * record/element.h. */
enum { WR_EV_SPLIT = 64 };

/* Rows (event = 0) on their way to a stage, or one event. Holds a page or a buffer, or none. */
struct wr_item {
	struct wr_item *next;
	uint32_t event; /* enum wr_event_type or WR_EV_SPLIT, 0 = rows */
	uint32_t input;
	int64_t ts;	  /* of an event */
	uint64_t payload; /* of a latency marker or barrier */
	struct wr_page *page;
	struct wr_buffer *buffer;
	const uint8_t *p, *end;
	char *text; /* name of a split, or NULL; owned */
	uint32_t rows;
	bool timers_fired; /* watermark at the end of time: processing timers went first */
	bool end_called;   /* barrier that drains: the stage has emitted what it had left */
};

struct wr_inbox {
	struct wr_item *first, **last;
	uint32_t pages;
};

/* Free items and pages of one task. */
struct wr_stock {
	struct wr_item *items;
	struct wr_page *pages;
	uint32_t page_count;
};
void wr_stock_deinit(struct wr_stock *s);

/* One place where a port leads: a writer, or the inbox of a following stage of the chain. */
struct wr_target {
	struct wr_writer *writer; /* or NULL */
	uint32_t row_max;	  /* size of the writer's buffers */
	uint32_t stage, input;
};

struct wr_port {
	struct wr_out out; /* first: what the stage sees of it */
	struct wr_chain *chain;
	struct wr_stage *stage;
	const struct wr_target *targets;
	uint32_t target_count;
	uint32_t op;		  /* the operator whose rows leave here */
	struct wr_writer *direct; /* the only target, with one channel: its buffer is the room */
	uint32_t direct_max;	  /* largest row that fits a buffer of `direct` */
	struct wr_page *page;	  /* own room, or NULL */
	uint8_t *start;		  /* rows from here to out.p were not delivered yet */
	uint64_t rows_done;	  /* of out.rows */
};

/* What ports, stages and the task share. */
struct wr_chain {
	struct wr_stage *stages;
	struct wr_inbox *inboxes; /* one a stage */
	uint32_t stage_count;
	struct wr_stock stock;
	struct wr_clock *clock;
	uint64_t step_until_ns;
	bool pause; /* an output went beyond its bound: stages stop between two rows */
	bool told;  /* a stage was told to stop: remembered, since asked again the answer may have changed */
	bool moved; /* a stage that stopped had handled something */
	bool held;  /* the source is not polled: it is ahead of others */
};

/* Delivers what was written; the room stays. */
int wr_port_sync(struct wr_port *p);
/* Delivers and gives the room back: before an event or a flush of a writer. */
int wr_port_release(struct wr_port *p);
/* Gives the room back with what is in it. */
void wr_port_discard(struct wr_port *p);
/* An event behind everything written to the port, to all its targets; `text` (of a split, else NULL) is
 * copied. */
int wr_port_event(struct wr_port *p, uint32_t event, int64_t ts, uint64_t payload, const char *text);

/* Appends to the inbox of `stage`; NULL with the error set. The caller fills it. */
struct wr_item *wr_inbox_add(struct wr_chain *c, uint32_t stage);
int wr_inbox_add_event(struct wr_chain *c, uint32_t stage, uint32_t event, int64_t ts, uint64_t payload);
/* Removes the first item and gives back what it holds. */
void wr_inbox_drop(struct wr_chain *c, uint32_t stage);
