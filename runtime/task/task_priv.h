/* SPDX-License-Identifier: Apache-2.0 */
/* task_priv: the inside of a task, shared by make.c, chain.c and task.c. */
#pragma once
#include "base/error.h"
#include "checkpoint/barriers.h"
#include "exchange/in_flight.h"
#include "exchange/valve.h"
#include "task/functions.h"
#include "task/snapshot.h"
#include "task/task.h"

/* What a drain of the inboxes ended with, beside WR_OK and errors. */
enum { DRAIN_MORE = WR_AGAIN, DRAIN_WAIT = 16 };

/* Watermarks of a stage: its own, and the last that left it. */
struct wr_times {
	int64_t watermark, passed;
};

struct wr_task {
	/* configuration */
	struct wr_stage_env env;
	struct wr_chain chain;
	struct wr_gate *gate;
	struct wr_writer **writers;
	uint32_t writer_count;
	bool joined;	       /* several writers lead to one consumer */
	struct wr_port *ports; /* of all stages, in order */
	uint32_t port_count;
	struct wr_world *world;
	struct wr_arena arena;
	int64_t timeout_us_min;
	uint64_t marker_every_ns, source_id;
	struct wr_mailbox mailbox;
	/* state */
	struct wr_valve *valve;
	struct wr_hold hold;  /* of the valve's channels */
	int64_t *passed;      /* by stage: last watermark that left it */
	uint32_t opened;      /* stages whose open was called */
	_Atomic bool is_open; /* all of them, and their state is there */
	uint32_t ended;	      /* stages that END has passed */
	bool *past_end;	      /* by stage: END has passed it */
	bool stopping;	      /* a source ends at its next turn */
	bool input_ended;     /* END is in the chain */
	bool done;
	struct wr_stage *waits; /* the stage that the task waits for when it is blocked; NULL: its outputs */
	bool *closed;		/* by stage: wants no more rows; those that come are dropped */
	bool enough, enough_said;
	struct wr_barriers *barriers;	/* NULL for a source */
	_Atomic uint32_t second_left;	/* channels of input 1 for whose end input 0 waits */
	struct wr_snapshots *snapshots; /* NULL: barriers only pass */
	const struct wr_restore *restore;
	bool fed_by_ended, same_senders;
	uint64_t barrier_payload;
	bool on_trial; /* of functions; checkpoints behind this one are withheld from the stages: */
	uint64_t trial_from, withheld; /* … the last of them, 0 = none */
	uint32_t untried;	       /* stages that are */
	uint32_t swapped;	 /* stages that the barrier of other functions has left; without snapshots */
	uint64_t triggered;	 /* a source's barrier that has not left stage 0, 0 = none */
	uint64_t triggered_last; /* a source is bid twice where others ended meanwhile */
	const struct wr_input_keys *keys;
	bool may_overtake;		/* barriers, where they wait too long */
	uint64_t overtaking;		/* the one that is to, 0 = none */
	uint32_t taken_channel;		/* of the last buffer of input */
	struct wr_in_flight *in_flight; /* of a barrier that overtakes, while it passes, or NULL */
	uint64_t bid;			/* the checkpoint that was asked for last when the inputs had ended */
	uint64_t ask_ns; /* when to ask for a checkpoint that a stage awaits, UINT64_MAX = it was asked for */
	uint64_t last_barrier; /* behind which nothing is to happen (WR_TRIGGER_STOP), 0 = none */
	bool draining;	       /* with WR_TRIGGER_DRAIN */
	bool leaving; /* it holds, and the task ends when its stages say so (struct wr_stage_ops.leave) */
	uint64_t leave_ns;		     /* when to ask them again */
	bool *rests;			     /* by stage: that barrier has left it */
	struct wr_letter *kept, **kept_last; /* that came for stages that rest */
	struct wr_times *before_end;	     /* by stage: as they were when event time ended */
	uint64_t now_ns;		     /* last reading of the clock */
	uint64_t flush_ns;		     /* when the writers want to be flushed next */
	uint64_t flush_look_ns;
	uint64_t deadline_ns;
	uint64_t marker_ns; /* when a source's next latency marker is due; 0 = to begin, UINT64_MAX = never */
	struct wr_task_stats stats;
	_Atomic(struct wr_latency *) latencies;
};

/* Holds input 0 back as long as input 1 is to be read first; all channels are open otherwise. */
void wr_task_hold_input(struct wr_task *t);
/* Handles what lies in the inboxes, the last stage first. WR_OK: they are empty. */
int wr_task_drain(struct wr_task *t);
/* The barrier of t->overtaking, or of a source that has no room, passes if it may by now. */
int wr_task_overtake(struct wr_task *t);
/* A function of the stage answered `rc`: delivers what it wrote to its ports. Gives `rc`, or the error of the
 * delivery, or of a store that was refused memory meanwhile. */
int wr_stage_answer(struct wr_stage *s, int rc);
