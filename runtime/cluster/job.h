/* SPDX-License-Identifier: Apache-2.0 */
/* job: a plan that runs in this process.
 *
 * wr_job_new builds every task of the plan with its channels, pools and stores; wr_job_run
 * starts the workers and is the coordinator until all tasks have ended: it carries letters
 * between readers and enumerators, and reacts to failures and to a wish to stop.
 *
 *   BUILT ──run──▶ RUNNING ──all tasks ended──▶ ENDED
 *                  RUNNING ──first failure | cancel──▶ workers stop ──▶ ENDED
 */
#pragma once
#include "base/loop.h"
#include "cluster/plan.h"
#include "connect/connect.h"
#include "cluster/sched.h"

struct wr_swap;
struct wr_job;
struct wr_checkpoint_options; /* cluster/checkpoints.h */
struct wr_config;

/* What became of a checkpoint. */
struct wr_checkpoint_outcome {
	uint64_t checkpoint;
	uint64_t bytes, duration_ns;
	uint64_t in_flight; /* bytes of rows that barriers overtook, before they were packed */
	bool unaligned;	    /* a barrier did not wait for its alignment */
	const char *error;  /* NULL: it holds */
};
/* Somebody's wish for a checkpoint; the asker's memory until `done` was called, once. Coordinator's thread.
 */
struct wr_checkpoint_wish {
	void (*done)(struct wr_checkpoint_wish *w, const struct wr_checkpoint_outcome *o);
	/* ours */
	struct wr_checkpoint_wish *next;
	uint64_t options;    /* enum wr_trigger_option (task/letter.h) */
	uint64_t checkpoint; /* 0: not begun */
};

/* Why a job leaves. */
enum wr_leave {
	WR_LEAVE_STOP,
	WR_LEAVE_DRAIN, /* event time ends in front of the last checkpoint */
	WR_LEAVE_AGAIN, /* it is run again at once: what sinks have to commit is left to that */
};

struct wr_kind_list {
	const struct wr_stage_kind *kinds;
	unsigned count;
};

struct wr_job_options {
	const struct wr_plan *plan; /* borrowed */
	void *bundle;		    /* for the stages of script/; borrowed, may be NULL */
	const struct wr_kind_list *kinds;
	unsigned kind_lists;
	const struct wr_enumerator_ops *const *enumerators;
	unsigned enumerator_count;
	uint32_t workers;
	bool spin, pinned; /* as in cluster/sched.h */
	uint32_t buffer_size;
	int64_t timeout_us;	  /* of edges that do not say their own */
	int64_t buffer_bytes_max; /* bound of all buffers, 0 = what the sum says */
	int64_t marker_every_us;  /* sources emit latency markers this often, 0 = never */
	int64_t state_memory;	  /* bound of keyed state, whose rest is on a disk; 0 = all is in memory */
	const char *state_folder; /* in which that disk's folder is made; NULL: where temporary files are */
	struct wr_clock *clock;
	/* Called by wr_job_run every tick_ms, and once at the end; may be NULL. */
	void (*tick)(void *arg, bool last);
	void *tick_arg;
	int64_t tick_ms;
	/* Called by wr_job_run whenever something may have happened; may be NULL. */
	void (*work)(void *arg, struct wr_job *j);
	void *work_arg;
	/* A world for a task, to record or play back; NULL = none. */
	struct wr_world *(*world)(void *arg, uint32_t vertex, uint32_t subtask);
	void *world_arg;
	const struct wr_checkpoint_options *checkpoints; /* NULL = none; borrowed */
	const struct wr_restore *restore;		 /* where the job begins, NULL = anew; borrowed */
};

/* What the options say of state_memory. */
int64_t wr_job_state_memory(const struct wr_config *c);

struct wr_job;
/* NULL with the error set. */
struct wr_job *wr_job_new(const struct wr_job_options *o);
/* WR_OK when all tasks ended, WR_END when it was stopped, else the first failure, whose text is this
 * thread's error. A job with checkpoints that is stopped takes one more, from which it can go on, and ends
 * without draining. */
int wr_job_run(struct wr_job *j);
void wr_job_free(struct wr_job *j);
/* After it failed: something of the user's kept it from beginning, a source without its input, or a stage
 * that does not open. */
bool wr_job_in_vain(const struct wr_job *j);
/* Has it failed, and waits for long for a task that does not come back from its step, in a function of the
 * script or a commit that does not return? Only the end of the process ends that. Any thread, signals too. */
bool wr_job_is_stuck(const struct wr_job *j);
/* The hash that manifests give for the script from here on; borrowed. */
void wr_job_set_script(struct wr_job *j, const char *hash);
/* What it runs is on trial, or not any more: meanwhile sinks that give each record once keep what they have
 * (task/functions.h). The thread that runs it. */
void wr_job_trial(struct wr_job *j, bool on);
/* What it runs has met records, and a checkpoint behind that holds (cluster/trial.h). */
bool wr_job_trial_is_good(const struct wr_job *j);
/* Number of the checkpoint in front of what is on trial, 0 = nothing is. It is kept meanwhile. */
uint64_t wr_job_way_back(const struct wr_job *j);
/* By which it gets other functions while it runs (cluster/swap.h). */
struct wr_swap *wr_job_swap(const struct wr_job *j);
/* Number of the last checkpoint that holds, 0 = none; the thread that runs the job. */
uint64_t wr_job_last_checkpoint(const struct wr_job *j);
/* The same with what is known of it, and when it was complete, steady; of one that was restored that is 0. */
struct wr_checkpoint_outcome wr_job_checkpoint_told(const struct wr_job *j, uint64_t *at_ns);
/* On the thread that runs the job, while it runs: asks for a checkpoint; `aligned`: one with nothing but
 * state, however long it takes. WR_EUSER: the job takes none. */
int wr_job_checkpoint(struct wr_job *j, struct wr_checkpoint_wish *w, bool aligned);
/* Likewise: one more checkpoint, behind which nothing happens but that sinks commit what it covers, and then
 * the job ends (C27). When it fails, the job goes on; or, drained, it fails. WR_EUSER: the job takes no
 * checkpoints, or ends already. */
int wr_job_leave(struct wr_job *j, struct wr_checkpoint_wish *w, enum wr_leave why);
/* It does, and that checkpoint holds. */
bool wr_job_has_left(const struct wr_job *j);

/* Sources end in order and the job drains; a second call ends everything at once. Any thread, and signal
 * handlers. */
void wr_job_stop(struct wr_job *j);
const struct wr_plan *wr_job_plan(const struct wr_job *j);
/* In which wr_job_run waits: what is watched there is handled on its thread. As long as the job lives. */
struct wr_loop *wr_job_loop(const struct wr_job *j);
/* What all subtasks tell of themselves; a set's group is its vertex. As long as the job lives. */
struct wr_metrics *wr_job_metrics(const struct wr_job *j);
/* By which a latency marker says that it comes from this source. */
uint64_t wr_job_source_id(const struct wr_plan_vertex *v);
/* As long as the job lives. */
const struct wr_task *wr_job_task(const struct wr_job *j, uint32_t vertex, uint32_t subtask);
struct wr_remote_view;
/* What the subtasks of a stage know of the servers that they talk to (stream/remote.h). False: they have
 * none.
 */
bool wr_job_remote(const struct wr_job *j, uint32_t vertex, uint32_t stage, struct wr_remote_view *out);
/* A channel of the plan's edge leads from one subtask to the other. */
bool wr_job_connected(const struct wr_job *j, uint32_t edge, uint32_t from, uint32_t to);
