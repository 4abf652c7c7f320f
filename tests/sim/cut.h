/* SPDX-License-Identifier: Apache-2.0 */
/* cut: is what a checkpoint holds a cut through all streams? For each row of each source: what had come to
 * the subtasks of a vertex in front of their barriers, and what these overtook, is what had left those before
 * it in front of theirs. Rows are counted at the first stage, since all stages of a task have one barrier.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "checkpoint/block.h"
#include "checkpoint/history.h"
#include "exchange/writer.h"
#include "savepoint/under_way.h"
#include "task/letter.h"

enum { CUT_VERTICES = 8, CUT_TASKS = 20, CUT_ROWS = 800 /* of a source, all its subtasks */ };

struct cut_rows { /* by source vertex */
	uint16_t count[CUT_VERTICES][CUT_ROWS];
};
struct cut_edge {
	uint32_t from, to, copies; /* of each row */
};
struct cut {
	uint64_t checkpoint; /* under way, 0 = none */
	uint32_t tasks, vertices;
	uint32_t vertex[CUT_TASKS]; /* of a task */
	bool passed[CUT_TASKS], acked[CUT_TASKS], done[CUT_TASKS];
	struct cut_rows came[CUT_TASKS];   /* to the task, so far */
	struct cut_rows before[CUT_TASKS]; /* in front of its barrier */
	struct cut_rows overtaken[CUT_VERTICES];
	struct cut_edge edges[16];
	uint32_t edge_count;
	uint32_t whole, with_rows; /* checkpoints, and those with rows under way */
	uint64_t rows;		   /* under way */
};

static inline void cut_begin(struct cut *c, uint64_t checkpoint)
{
	c->checkpoint = checkpoint;
	memset(c->passed, 0, sizeof c->passed);
	memset(c->acked, 0, sizeof c->acked);
	memset(c->overtaken, 0, sizeof c->overtaken);
}

static inline void cut_pass(struct cut *c, uint32_t task, uint64_t checkpoint)
{
	if (checkpoint != c->checkpoint)
		return;
	c->passed[task] = true;
	c->before[task] = c->came[task];
}

/* Rows under way in the blob of a task; `row` says which a row is: source vertex and number there. */
static inline int cut_read(struct cut *c, struct wr_blobs *blobs, const char *id, uint32_t task,
			   void (*row)(const struct wr_elem *e, uint32_t *source, uint32_t *n))
{
	struct wr_block_reader in;
	struct wr_blob_view view;
	struct wr_block block;
	int rc = blobs->ops->open(blobs, id, &view);

	if (rc != WR_OK)
		return rc;
	wr_block_reader_init(&in, view.data, view.len);
	while ((rc = wr_block_next(&in, &block)) == WR_OK) {
		const uint8_t *p, *end;
		uint64_t input;
		size_t len;

		if (block.kind != WR_BLOCK_IN_FLIGHT)
			continue;
		p = wr_under_way_rows(&block, &input, &len);
		for (end = p + len; p < end; p += ((const struct wr_elem *)p)->len) {
			uint32_t source, n;

			if (wr_elem_is_event((const struct wr_elem *)p))
				continue;
			row((const struct wr_elem *)p, &source, &n);
			c->overtaken[c->vertex[task]].count[source][n]++;
			c->rows++;
		}
	}
	wr_block_reader_deinit(&in);
	blobs->ops->close(blobs, &view);
	c->acked[task] = true;
	return rc == WR_END ? WR_OK : rc;
}

static inline bool cut_is_whole(const struct cut *c)
{
	for (uint32_t i = 0; i < c->tasks; i++)
		if (!c->acked[i] && !c->done[i])
			return false;
	return c->checkpoint > 0;
}

/* What had come to all subtasks of a vertex in front of the cut. One that ended without a barrier has had it
 * all.
 */
static inline uint32_t cut_before(const struct cut *c, uint32_t vertex, uint32_t source, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < c->tasks; i++)
		if (c->vertex[i] == vertex)
			sum += (c->passed[i] ? &c->before[i] : &c->came[i])->count[source][n];
	return sum;
}

/* The vertex of which it does not hold, with the row; −1: it holds everywhere. */
static inline int32_t cut_check(struct cut *c, uint32_t *source, uint32_t *n)
{
	for (uint32_t v = 0; v < c->vertices; v++)
		for (*source = 0; *source < c->vertices; ++*source)
			for (*n = 0; *n < CUT_ROWS; ++*n) {
				uint32_t left = 0, fed = 0;

				for (uint32_t e = 0; e < c->edge_count; e++) {
					if (c->edges[e].to != v)
						continue;
					fed++;
					left +=
					    c->edges[e].copies * cut_before(c, c->edges[e].from, *source, *n);
				}
				if (fed && left != cut_before(c, v, *source, *n) +
						       c->overtaken[v].count[*source][*n])
					return (int32_t)v;
			}
	c->whole++;
	return -1;
}
