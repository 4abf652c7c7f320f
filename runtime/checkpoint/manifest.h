/* SPDX-License-Identifier: Apache-2.0 */
/* manifest: what a checkpoint consists of. It is published last, so a checkpoint without a manifest never
 * was. One tagged value (FORMAT.md) in a block of its own. A plain value: no file, no thread.
 */
#pragma once
#include "base/arena.h"
#include "record/value.h"

enum { WR_MANIFEST_VERSION = 1 };

struct wr_manifest_state {
	const char *name;
	uint32_t kind;	    /* enum wr_state_kind (state/store.h) */
	uint32_t version;   /* of its declaration, less 1 */
	const char *layout; /* what an operator in C keeps it for, as text; NULL: nothing */
	int64_t ttl_ms;	    /* told to whoever looks; 0 = none */
};
struct wr_manifest_stage {
	const char *uid; /* of its first operator: what it is found again by */
	const char *name;
	const struct wr_manifest_state *states;
	uint32_t state_count;
	const struct wr_manifest_state *broadcast;
	uint32_t broadcast_count;
};
struct wr_manifest_task {
	const char *blob; /* NULL: it had ended, there is nothing to be said */
	uint64_t bytes;
	bool overtook;	    /* its barrier did not wait for its alignment */
	uint64_t in_flight; /* bytes of rows that it overtook, before they were packed */
};
struct wr_manifest_vertex {
	const char *name;
	uint32_t parallelism, max_parallelism;
	struct wr_manifest_stage *stages;
	uint32_t stage_count;
	struct wr_manifest_task *tasks; /* by subtask */
};
struct wr_manifest_source { /* an enumerator's state */
	const char *uid;
	const struct wr_value *state;
};
struct wr_manifest {
	uint64_t checkpoint; /* rises within a lineage */
	uint64_t lineage;    /* drawn when a job begins anew, or from a checkpoint that is not its last */
	const char *origin;  /* wr_manifest_identity of what the lineage began from, "" = nothing */
	int64_t time_ms;     /* when it was triggered */
	const char *job;
	const char *script; /* hash of the bundle, "" = unknown */
	bool finished;	    /* the job had ended: nothing is left to be done */
	struct wr_manifest_vertex *vertices;
	uint32_t vertex_count;
	struct wr_manifest_source *sources;
	uint32_t source_count;
};

/* As one tagged value, and back: everything in *out lives in `arena`. WR_EUSER: this is no manifest. */
int wr_manifest_put(const struct wr_manifest *m, struct wr_bytes *out);
int wr_manifest_of(const struct wr_value *value, struct wr_arena *arena, struct wr_manifest *out);
/* The bytes of a whole blob, end included. WR_OK or WR_EFATAL. */
int wr_manifest_encode(const struct wr_manifest *m, struct wr_bytes *out);
/* Everything in *out lives in `arena`. WR_EUSER: these bytes are no manifest;
 * WR_EFATAL: a newer program's. */
int wr_manifest_decode(const void *p, size_t len, struct wr_arena *arena, struct wr_manifest *out);
/* A name that no other checkpoint has: lineage and number. */
enum { WR_MANIFEST_IDENTITY = 40 };
void wr_manifest_identity(const struct wr_manifest *m, char out[WR_MANIFEST_IDENTITY]);
/* The stage whose first operator is `uid`, and where: NULL if there is none. */
const struct wr_manifest_stage *wr_manifest_find(const struct wr_manifest *m, const char *uid,
						 uint32_t *vertex, uint32_t *stage);
