/* SPDX-License-Identifier: Apache-2.0 */
/* graph: a random graph of tasks, for a simulation: vertices of a few stages and subtasks each, and the edges
 * between them, with every kind of partitioning. What is drawn depends on the numbers alone, and so does the
 * order of the draws: a seed stays what it was. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/rand.h"
#include "exchange/writer.h"

enum { GRAPH_VERTICES = 8, GRAPH_PARALLELISM = 4, GRAPH_STAGES = 3, GRAPH_TASKS = 20, GRAPH_EDGES = 16 };

struct graph_vertex {
	uint32_t parallelism, stages, inputs;
	bool source, sink;
	uint64_t
	    copies[GRAPH_VERTICES]; /* of each row of source vertex s that come here, over all subtasks */
};
struct graph_edge {
	uint32_t from, to, input, stage; /* stage of `from` whose port leads here */
	enum wr_partitioning partitioning;
};
struct graph {
	struct graph_vertex vertices[GRAPH_VERTICES];
	uint32_t vertex_count;
	struct graph_edge edges[GRAPH_EDGES];
	uint32_t edge_count;
};

static inline void graph_draw_vertex(struct graph *g, struct wr_rand *rand, uint32_t room)
{
	struct graph_vertex *v = &g->vertices[g->vertex_count++];

	v->parallelism = 1 + wr_rand_below(rand, room < GRAPH_PARALLELISM ? room : GRAPH_PARALLELISM);
	v->stages = 1 + wr_rand_below(rand, GRAPH_STAGES);
}

static inline void graph_draw_edge(struct graph *g, struct wr_rand *rand, uint32_t from, uint32_t to,
				   uint32_t input)
{
	static const enum wr_partitioning any[] = {WR_HASH,    WR_REBALANCE, WR_RESCALE,
						   WR_SHUFFLE, WR_BROADCAST, WR_GLOBAL};
	struct graph_vertex *f = &g->vertices[from], *t = &g->vertices[to];
	struct graph_edge *e = &g->edges[g->edge_count++];

	*e = (struct graph_edge){
	    .from = from, .to = to, .input = input, .stage = wr_rand_below(rand, f->stages)};
	e->partitioning = any[wr_rand_below(rand, 6)];
	if (f->parallelism == t->parallelism && wr_rand_below(rand, 2) == 0)
		e->partitioning = WR_FORWARD;
	for (uint32_t src = 0; src < g->vertex_count; src++)
		if (e->partitioning == WR_BROADCAST && f->copies[src] * t->parallelism > 64)
			e->partitioning = WR_HASH;
	for (uint32_t src = 0; src < g->vertex_count; src++)
		t->copies[src] += f->copies[src] * (e->partitioning == WR_BROADCAST ? t->parallelism : 1);
}

static inline bool graph_reads_from(const struct graph *g, uint32_t to, uint32_t from)
{
	for (uint32_t e = 0; e < g->edge_count; e++)
		if (g->edges[e].to == to && g->edges[e].from == from)
			return true;
	return false;
}

static inline void graph_draw_inputs(struct graph *g, struct wr_rand *rand, uint32_t at)
{
	struct graph_vertex *v = &g->vertices[at];
	uint32_t inputs = 1 + (at > 1 && wr_rand_below(rand, 2) == 0);

	v->inputs = inputs == 2 && wr_rand_below(rand, 2) == 0 ? 2 : 1;
	for (uint32_t i = 0; i < inputs; i++) {
		uint32_t from = wr_rand_below(rand, at);

		if (!graph_reads_from(g, at, from))
			graph_draw_edge(g, rand, from, at, v->inputs == 2 ? i : 0);
	}
}

/* A vertex is a sink if nobody reads from its last stage. */
static inline void graph_find_sinks(struct graph *g)
{
	for (uint32_t v = 0; v < g->vertex_count; v++) {
		struct graph_vertex *x = &g->vertices[v];

		/* a source is no sink of its own rows: it has one stage behind it at least */
		if (x->source && x->stages == 1)
			x->stages = 2;
		x->sink = true;
		for (uint32_t e = 0; e < g->edge_count; e++)
			if (g->edges[e].from == v && g->edges[e].stage == x->stages - 1)
				x->sink = false;
	}
}

/* Fills `g`, which is zero: 3 to 20 tasks, sources first, each vertex reading from those before it. */
static inline void graph_draw(struct graph *g, struct wr_rand *rand)
{
	uint32_t tasks = 3 + wr_rand_below(rand, GRAPH_TASKS - 2), sources = 1 + wr_rand_below(rand, 2);
	uint32_t used = 0;

	while (g->vertex_count < GRAPH_VERTICES && used < tasks) {
		uint32_t at = g->vertex_count;

		graph_draw_vertex(g, rand, tasks - used);
		used += g->vertices[at].parallelism;
		if (at < sources) {
			g->vertices[at].source = true;
			g->vertices[at].copies[at] = 1;
		} else {
			graph_draw_inputs(g, rand, at);
		}
	}
	graph_find_sinks(g);
}

/* Does a channel lead from this subtask to that one? */
static inline bool graph_joins(const struct graph *g, const struct graph_edge *e, uint32_t from, uint32_t to)
{
	uint32_t p = g->vertices[e->from].parallelism, q = g->vertices[e->to].parallelism;

	if (e->partitioning == WR_FORWARD)
		return from == to;
	if (e->partitioning != WR_RESCALE)
		return true;
	return p <= q ? to * p / q == from : from * q / p == to;
}

/* C9: may barriers overtake what is queued for this vertex? */
static inline bool graph_may_overtake(const struct graph *g, uint32_t vertex)
{
	for (uint32_t e = 0; e < g->edge_count; e++) {
		enum wr_partitioning by = g->edges[e].partitioning;

		if (g->edges[e].to == vertex && by != WR_HASH && by != WR_REBALANCE && by != WR_SHUFFLE)
			return false;
	}
	return true;
}
