/* SPDX-License-Identifier: Apache-2.0 */
/* task: one subtask of a vertex: a gate, a tree of stages, writers; driven by steps.
 *
 * A step handles letters first, then what is pending inside the chain, then at most one
 * buffer of input (or one poll of a source), and never blocks or sleeps. All functions but
 * wr_task_post and wr_task_wake are called on the worker's thread that owns the task.
 *
 *   OPENING → RUNNING → DRAINED (END passed all stages) → DONE
 *        any ──error or cancel──▶ DONE
 *
 * Between stages elements travel in queues: rows in pages, and events between them, so
 * a watermark never overtakes a row inside a chain either.
 */
#pragma once
#include "exchange/gate.h"
#include "exchange/valve.h"
#include "task/stage.h"

enum wr_step { WR_STEP_MORE, WR_STEP_IDLE, WR_STEP_BLOCKED, WR_STEP_DONE };

/* Where the rows of one port go. */
struct wr_target {
	struct wr_writer *writer; /* or NULL: then the stage of this index */
	uint32_t stage, input;
};
struct wr_out_spec {
	const char *tag;
	const struct wr_target *targets;
	uint32_t count;
};
struct wr_stage_spec {
	const struct wr_stage_ops *ops;
	const struct wr_value *plan;
	struct wr_store *store;	  /* taken; or NULL */
	struct wr_keyer *keyer;	  /* taken; or NULL */
	const char *const *names; /* of operators */
	const char *const *uids;
	uint32_t op_count;
	enum wr_on_error on_error;
	const struct wr_out_spec *outs;
	uint32_t out_count;
};
struct wr_task_options {
	struct wr_stage_env env; /* copied; env.wake is set by the task */
	const struct wr_stage_spec *stages; /* topological order; stage 0 gets the input */
	uint32_t stage_count;
	struct wr_gate *gate; /* taken; NULL for a source */
	struct wr_writer **writers; /* taken: all writers that targets name */
	uint32_t writer_count;
	struct wr_notify wake;	/* how the task gets itself stepped again */
	uint64_t step_ns;	/* time of one step */
};
struct wr_task;
struct wr_task *wr_task_new(const struct wr_task_options *o);
void wr_task_free(struct wr_task *t);

/* One step. On WR_STEP_DONE, wr_task_failed tells whether it ended by an error (this thread's text). */
enum wr_step wr_task_step(struct wr_task *t);
bool wr_task_failed(const struct wr_task *t);
/* It ended because the outside of a sink is gone (a closed pipe): the job ends without an error. */
bool wr_task_gone(const struct wr_task *t);
/* Monotonic time at which the task must be stepped again although nothing arrived; UINT64_MAX = none. */
uint64_t wr_task_deadline(const struct wr_task *t);
/* Which outside decision comes next is asked here instead of the default, if set (simulator). */
void wr_task_choose(struct wr_task *t, uint32_t (*choose)(void *arg, uint32_t n), void *arg);

/* Any thread. */
void wr_task_post(struct wr_task *t, uint32_t stage, uint32_t type, const void *payload, uint32_t len);
void wr_task_wake(struct wr_task *t);
void wr_task_cancel(struct wr_task *t);	  /* ends at its next step, output is dropped */
void wr_task_finish(struct wr_task *t);	  /* a source ends in order, as if its input had ended */

struct wr_task_stats {
	const char *name;
	uint32_t subtask;
	int64_t steps, busy_ns, blocked_ns;
	int64_t watermark;
	uint32_t queued_max, buffers_used, buffers_limit;
	int64_t overdrafts;
	const struct wr_op_stats *ops;
	uint32_t op_count;
	bool source, sink; /* has no input; its last stage has no output */
};
/* Racy by nature, for display. Operators of all stages one behind another. */
void wr_task_stats(const struct wr_task *t, struct wr_task_stats *out);
