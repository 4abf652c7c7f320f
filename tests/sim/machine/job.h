/* SPDX-License-Identifier: Apache-2.0 */
/* job: a random job, as a plan for any parallelism, whose output is the same in whatever order its rows come:
 * sources of numbered rows, operators with keyed state and windows, sinks that give each row once. */
#pragma once
#include "base/rand.h"
#include "cluster/plan.h"

enum { SIM_VERTICES = 8, SIM_PARALLELISM = 4, SIM_KEYED = 2 };

enum sim_sink { SIM_TARGET, SIM_FILES, SIM_ROLLING, SIM_SINKS };
enum sim_operator {
	SIM_COUNT,
	SIM_SUM_AT_END,
	SIM_TUMBLING,
	SIM_SLIDING,
	SIM_SESSION,
	SIM_COUNTED,
	SIM_OPERATORS
};

struct sim_job {
	uint32_t sources, rows, rate, keys, every; /* rows of each source; rows of the same time */
	uint32_t delay, mark_every;		   /* of watermarks, ms */
	bool passes, raw;			   /* a stage between; a sink of what the sources give */
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
void sim_layout_draw(struct sim_layout *l, struct wr_rand *r, uint32_t most);
/* For people. */
void sim_job_tell(const struct sim_job *j, char *text, size_t room);
/* The plan; ends the program where it is none. */
struct wr_plan *sim_job_plan(const struct sim_job *j, const struct sim_layout *l);
/* The newest checkpoint in the job's folder, if there is one: where the first operator counts or sums, its
 * state is what the rows before the saved positions come to. */
void sim_job_check_state(const struct sim_job *j, const struct wr_plan *plan);
