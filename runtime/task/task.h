/* SPDX-License-Identifier: Apache-2.0 */
/* task: one subtask: a mailbox, a gate, a chain of stages, writers.
 *
 * A step function: it handles letters, then what is left of the last step, then at most one
 * buffer of input, and never blocks. Threads, sleeping and waking are the scheduler's; in the
 * simulator the same code runs in one thread. Everything a task learns from outside comes
 * through its mailbox, its gate and its world (task/world.h).
 *
 * Order within a task: each stage has an inbox of rows and events; the last stage with
 * something in its inbox goes first, so that what was begun is finished before more is taken
 * in, and an event reaches a stage or a channel behind every row that came before it.
 *
 *   NEW ──open──▶ RUNNING ──END passed all stages──▶ DONE
 *                 RUNNING ──cancel | error──▶ DONE
 */
#pragma once
#include "exchange/gate.h"
#include "exchange/hold.h"
#include "exchange/inherit.h"
#include "checkpoint/blobs.h"
#include "task/mailbox.h"
#include "task/port.h"
#include "task/restore.h"
#include "task/world.h"

enum wr_step {
	WR_STEP_MORE,	 /* call again soon */
	WR_STEP_IDLE,	 /* nothing to do until woken or deadline_ns */
	WR_STEP_BLOCKED, /* an output or a sink holds it up; until woken or deadline_ns */
	WR_STEP_ENOUGH,	 /* as MORE, and said once: a sink wants no more, the job may end */
	WR_STEP_DONE,	 /* ended or cancelled; nothing more to do */
	WR_STEP_FAILED,	 /* the thread's error says why; as DONE */
};

/* What a stage is made from. Names are borrowed and live as long as the job. */
struct wr_port_def {
	const struct wr_target *targets; /* borrowed */
	uint32_t count;
	uint32_t op; /* index of the operator whose rows leave here */
	bool dead_letter;
};
struct wr_op_def {
	const char *name, *uid;
	const char *where; /* in the script; NULL = nobody knows */
};
struct wr_stage_def {
	const struct wr_stage_ops *ops;
	const struct wr_value *plan, *options;
	const struct wr_port_def *ports;
	uint32_t port_count;
	const struct wr_op_def *operators;
	uint32_t operator_count;
	struct wr_store *store; /* taken; may be NULL */
	struct wr_keyer *keyer; /* taken; may be NULL */
	enum wr_on_error on_error;
};
struct wr_task_def {
	struct wr_stage_env
	    env; /* copied; env.wake lets the task be stepped again; env.clock = the world's if NULL */
	const struct wr_stage_def *stages;
	uint32_t stage_count;
	struct wr_gate *gate;	    /* taken; NULL for a source */
	struct wr_writer **writers; /* taken; the array is copied */
	uint32_t writer_count;
	int64_t timeout_us_min;	  /* shortest buffer timeout of the writers */
	uint64_t marker_every_ns; /* a source emits latency markers this often, 0 = never */
	uint64_t source_id;	  /* what its markers say of where they come from */
	struct wr_world *world;	  /* borrowed; NULL = the system's clock and round robin */
	struct wr_blobs *blobs;	  /* borrowed; where snapshots go, NULL = barriers only pass */
	bool at_least_once;	  /* barriers block no channel */
	bool may_overtake; /* where they wait too long: all channels may carry rows of one another (C9) */
	const struct wr_input_keys *keys; /* of both inputs; borrowed, NULL: none has a key */
	bool
	    second_first; /* input 1 is read to its end before anything of input 0, also where that is full */
	const struct wr_restore *restore; /* borrowed; where the task begins, NULL = anew */
	/* All who feed it had ended then: so it is restored as ended if it was. Else only where all of its
	 * vertex had ended. */
	bool fed_by_ended;
	/* Its rows come from the same subtasks as at that checkpoint, and so back to the sources: what a
	 * channel's watermark was then is what it is. */
	bool same_senders;
};

/* Written by the task's thread, read by any; what they mean is said in task/metrics.c. */
struct wr_task_stats {
	wr_metric steps, busy_ns, blocked_ns, idle_ns, waiting_ns;
	wr_metric rest, rest_since_ns; /* between two steps: what the last one said, and when */
	wr_metric watermark;	       /* WR_TS_NONE before the first */
	wr_metric buffers_in;
};

struct wr_task;
/* NULL with the error set; then everything taken was freed. */
struct wr_task *wr_task_new(const struct wr_task_def *def);
/* When nobody steps it any more and no writer of others leads to it. */
void wr_task_free(struct wr_task *t);
/* Task's thread. */
enum wr_step wr_task_step(struct wr_task *t);
/* After IDLE or BLOCKED: when to step although nobody woke it; UINT64_MAX = never. */
uint64_t wr_task_deadline(const struct wr_task *t);
/* Any thread: takes the letter and wakes the task. */
void wr_task_post(struct wr_task *t, struct wr_letter *l);

/* All its stages were opened and have their state; any thread. */
bool wr_task_is_open(const struct wr_task *t);
/* It reads its second input to the end first, and no barrier comes past that; any thread. */
bool wr_task_holds_input(const struct wr_task *t);
const struct wr_stage_env *wr_task_env(const struct wr_task *t);
const struct wr_task_stats *wr_task_stats(const struct wr_task *t);
/* Of the input channels, in the order of the gate; NULL for a source. Any thread. */
const struct wr_hold *wr_task_hold(const struct wr_task *t);
uint32_t wr_task_stage_count(const struct wr_task *t);
const struct wr_stage *wr_task_stage(const struct wr_task *t, uint32_t i);
