/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what is to be run, as drawn by the Lua side (PLAN.md), as C structs. A plain value:
 * it refers to nothing but its own bytes. */
#pragma once
#include "exchange/writer.h"
#include "record/value.h"
#include "state/store.h"

struct wr_plan_target {
	int32_t edge;  /* index of an edge, or −1 */
	int32_t stage; /* index of a stage of the same vertex, or −1 */
	uint32_t input;
};
struct wr_plan_out {
	const char *tag;
	struct wr_plan_target *targets;
	uint32_t target_count;
};
struct wr_plan_stage {
	const char *kind, *name;
	const struct wr_value *value; /* the whole stage, for its own reading */
	const char **op_names, **op_uids;
	uint32_t op_count;
	struct wr_str *key;
	uint32_t key_count;
	struct wr_state_desc *states;
	uint32_t state_count;
	const char *on_error;
	struct wr_plan_out *outs;
	uint32_t out_count;
};
struct wr_plan_vertex {
	const char *name, *uid;
	uint32_t parallelism, max_parallelism, inputs;
	struct wr_plan_stage *stages;
	uint32_t stage_count;
};
struct wr_plan_edge {
	const char *name;
	uint32_t from, to, input;
	enum wr_partitioning partitioning;
	struct wr_str *key;
	uint32_t key_count;
	bool has_timeout;
	int64_t timeout_us;
};
struct wr_plan {
	struct wr_arena arena;
	struct wr_value root;
	const char *name;
	uint64_t seed;
	bool bounded;
	struct wr_plan_vertex *vertices;
	uint32_t vertex_count;
	struct wr_plan_edge *edges;
	uint32_t edge_count;
};

/* Reads a plan; WR_EUSER says what is wrong with it. `p` must be deinited either way. */
int wr_plan_decode(struct wr_plan *p, const uint8_t *bytes, size_t len);
void wr_plan_encode(const struct wr_plan *p, struct wr_bytes *out);
void wr_plan_deinit(struct wr_plan *p);
