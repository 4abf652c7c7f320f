/* SPDX-License-Identifier: Apache-2.0 */
/* port: one output of a stage. Its wr_out is what the stage writes to; behind it are
 * writers and the queues of following stages. A port with a single-channel writer as its
 * only target lets the stage write into that writer's buffer; otherwise rows gather in a
 * page, which is handed on when it is full or the batch ends. */
#pragma once
#include "exchange/writer.h"
#include "task/queue.h"
#include "task/stage.h"

struct wr_port_target {
	struct wr_writer *writer; /* or NULL */
	struct wr_queue *queue;	  /* of the following stage, or NULL */
	uint32_t input;
};
struct wr_port {
	struct wr_out out; /* first: a wr_out is its port */
	const char *tag;
	struct wr_port_target *targets;
	uint32_t count;
	bool direct;
	uint8_t *base; /* where the rows begin that were not handed on yet */
	uint64_t counted; /* rows handed on, of out.rows */
	struct wr_page *page;
	struct wr_pages *pages;
};

/* Hands on what was written. WR_OK or an error (memory, a row that cannot be partitioned). */
int wr_port_flush(struct wr_port *p);
/* Flushes, then lets an event follow to all targets. */
int wr_port_event(struct wr_port *p, enum wr_event_type type, int64_t ts);
void wr_port_deinit(struct wr_port *p);
