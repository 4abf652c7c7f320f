/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what is to run, as plain structs, decoded from one tagged value (PLAN.md).
 *
 * Immutable once decoded; lives in an arena of its own, which everything in it borrows.
 * Functions of the script are named by operator, never pointed to, so that a plan can be
 * written, sent and compared. Knows no thread, channel or task.
 */
#pragma once
#include "exchange/writer.h"
#include "record/value.h"
#include "state/store.h"
#include "task/stage.h"

enum { WR_PLAN_VERSION = 1 };

/* Where a row that leaves a stage goes. */
struct wr_plan_target {
	bool is_edge;
	uint32_t to; /* edge, or stage of the same vertex */
	uint32_t input;
};
/* One output of a stage: the main one, a side output, or the dead letters. */
struct wr_plan_out {
	const char *tag; /* of a side output, "dead_letter", or "" */
	struct wr_plan_target *targets;
	uint32_t target_count;
	uint32_t op; /* operator of the stage whose rows leave here */
};
/* As the script named it: an operator may share its stage with others. */
struct wr_plan_operator {
	uint32_t id; /* position in the script's graph, from 1 */
	const char *name, *uid;
	const char *where; /* its line of the script; NULL = nobody knows */
};
/* What one struct wr_stage is made from. */
struct wr_plan_stage {
	const char *kind; /* of wr_stage_kind: "lua", "files", "print" … */
	const char *name;
	struct wr_plan_operator *operators;
	uint32_t operator_count;
	struct wr_str *key; /* NULL when not keyed */
	uint32_t key_count;
	struct wr_state_desc *states;
	uint32_t state_count;
	enum wr_on_error on_error;
	struct wr_plan_out *outs;
	uint32_t out_count;
	const struct wr_value *value, *options; /* of this stage, for those who run it */
};
/* A chain of stages, run by `parallelism` subtasks. */
struct wr_plan_vertex {
	const char *name, *uid, *slot_group;
	uint32_t parallelism, max_parallelism;
	bool max_derived;  /* nobody asked for it: it follows from the parallelism, or from state */
	uint32_t inputs;   /* 0, 1 or 2 */
	bool second_first; /* input 1 is read to its end before input 0 */
	struct wr_plan_stage *stages;
	uint32_t stage_count;
};
/* From the subtasks of one vertex to those of another. */
struct wr_plan_edge {
	const char *name;
	uint32_t from, to, input;
	enum wr_partitioning partitioning;
	struct wr_str *key;
	uint32_t key_count;
	struct wr_merge *merge; /* how rows of a key may become one, or NULL */
	bool has_timeout;	/* else the job's --buffer-timeout holds */
	int64_t timeout_us;
};
struct wr_plan {
	const char *job;
	uint64_t seed;
	bool bounded; /* every source has an end */
	struct wr_plan_vertex *vertices;
	uint32_t vertex_count;
	struct wr_plan_edge *edges;
	uint32_t edge_count;
	struct wr_value value; /* what it was decoded from: stages borrow their parts */
	struct wr_arena arena;
};

/* NULL with WR_EUSER when the bytes are no plan of this version or contradict themselves. */
struct wr_plan *wr_plan_decode(const void *bytes, size_t len);
void wr_plan_encode(const struct wr_plan *p, struct wr_bytes *out);
void wr_plan_free(struct wr_plan *p);

/* P7: a vertex has as many key groups as its state if nobody asked for another number, and if they are enough
 * for its subtasks. `groups_of` gives those of the operator's state, 0 = it has none. */
void wr_plan_adopt(struct wr_plan *p, uint32_t (*groups_of)(const void *arg, const char *uid),
		   const void *arg);
