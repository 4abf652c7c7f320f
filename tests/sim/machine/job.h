/* SPDX-License-Identifier: Apache-2.0 */
/* job: a random job, as a plan for any parallelism, whose output is the same in whatever order its rows come:
 * sources of numbered rows, operators with keyed state and windows, sinks that give each row once. */
#pragma once
#include "base/rand.h"
#include "cluster/plan.h"

enum { SIM_VERTICES = 8, SIM_PARALLELISM = 4, SIM_KEYED = 2, SIM_SOURCES = 2 };

enum sim_sink { SIM_TARGET, SIM_FILES, SIM_ROLLING, SIM_TOPICS, SIM_SINKS };
enum sim_operator {
	SIM_COUNT,
	SIM_SUM_AT_END,
	SIM_TUMBLING,
	SIM_SLIDING,
	SIM_SESSION,
	SIM_COUNTED,
	SIM_LISTED,
	SIM_OPERATORS
};
/* What a job is drawn for: most have a bit of everything, the others more of one thing (shapes.c). */
enum sim_shape {
	SIM_ANY,
	SIM_LATE,   /* what is late behind a watermark is so in every run, and counted */
	SIM_ENDS,   /* sources end at different times; each row comes at least once */
	SIM_AHEAD,  /* the time of one source is far ahead of the other's */
	SIM_BURST,  /* subtasks of sources fall behind, and catch up */
	SIM_TRIALS, /* functions are replaced all the time, and fail on trial */
	SIM_CUTS,   /* part files of many buckets, on a disk that often fails */
	SIM_DELTAS, /* many keys, of which few change between checkpoints, and many of these expire */
	SIM_SHAPES
};

struct sim_job {
	enum sim_shape shape;
	uint32_t sources, rate, keys, groups;
	uint32_t rows[SIM_SOURCES], every[SIM_SOURCES]; /* of a source; of them at the same time */
	uint32_t step;		    /* from one time to the next, ms; not 1000 only where rows are late */
	uint32_t delay, mark_every; /* of watermarks, ms; of late rows' ones, rows */
	uint32_t lateness;	    /* that windows allow, ms */
	bool passes, raw;	    /* a stage between; a sink of what the sources give, or of late rows */
	enum sim_sink sink;
	uint32_t keyed_count;
	enum sim_operator keyed[SIM_KEYED];
	uint32_t vertex_count;
};
/* How it is spread; what its output must not depend on. */
struct sim_layout {
	uint32_t parallelism[SIM_VERTICES];
	uint32_t partition[SIM_VERTICES]; /* of edges that may have any */
};

void sim_job_draw(struct sim_job *j, struct wr_rand *r);
void sim_layout_draw(struct sim_layout *l, const struct sim_job *j, struct wr_rand *r, uint32_t most);
/* Checkpoints are at least once, and so is the output. */
static inline bool sim_may_double(const struct sim_job *j)
{
	return j->shape == SIM_ENDS;
}
/* Results of this operator have a time. */
static inline bool sim_is_timed(enum sim_operator o)
{
	return o != SIM_SUM_AT_END && o != SIM_COUNTED && o != SIM_LISTED;
}
/* For people. */
void sim_job_tell(const struct sim_job *j, char *text, size_t room);
/* The plan; ends the program where it is none. */
struct wr_plan *sim_job_plan(const struct sim_job *j, const struct sim_layout *l);
/* The newest checkpoint in the job's folder, if there is one: where the first operator counts or sums, its
 * state is what the rows before the saved positions come to. */
void sim_job_check_state(const struct sim_job *j, const struct wr_plan *plan);
