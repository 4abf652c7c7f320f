/* SPDX-License-Identifier: Apache-2.0 */
/* stage: one piece of a task's chain, and the ports through which rows leave it.
 *
 * A chain of fused operators is one stage in Lua (script/); operators built in C
 * (operator/), sources and sinks (connect/) are stages of their own. A stage sees rows,
 * its store and its ports; it never sees gates, channels or other stages. Rows cross from
 * stage to stage as bytes. All functions run on the task's thread and never block.
 *
 * Only what a stage needs is set in its table; a NULL function does nothing.
 *
 * life:  open → ( poll | rows | watermark | time | letter )* → end → free
 */
#ifndef WR_TASK_STAGE_H
#define WR_TASK_STAGE_H
#include <stdint.h>

/* Rows handed to a stage; it advances `p` behind each row it is done with. */
struct wr_rows {
	const uint8_t *p;
	const uint8_t *end;
	uint32_t input; /* 0 or 1 */
	uint32_t pad;
};

/* Where rows of a stage leave it. A row is written at `p` if it fits before `end`, else wr_out_more
 * makes room first. Emitting never waits. */
struct wr_out {
	uint8_t *p;
	uint8_t *end;
	uint64_t rows; /* the writer of a row counts it here */
};
/* Room for at least `need` bytes: a new p (and end), or NULL with the error set (memory, bad row). */
uint8_t *wr_out_more(struct wr_out *o, uint32_t need);

struct wr_stage;
/* Nonzero when the step's time is up or an output needs a pause; loops ask every few rows. */
int wr_stage_spent(struct wr_stage *s);

#ifndef WR_CDEF
#include <stdatomic.h>
#include <stdbool.h>
#include "base/clock.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/rand.h"
#include "base/thread.h"
#include "exchange/writer.h"
#include "record/value.h"
#include "state/store.h"
#include "state/timers.h"
#include "task/letter.h"

/* Makes sure of `need` bytes at o->p; false with the error set. */
static inline bool wr_out_room(struct wr_out *o, uint32_t need)
{
	return (size_t)(o->end - o->p) >= need || wr_out_more(o, need);
}

enum { WR_STEP_NS = 1000000 }; /* time after which a task's step stops between two rows */

/* Where a source is in its splits; said in order with its rows. */
enum wr_split_word {
	WR_SPLIT_BEGIN, /* a new one */
	WR_SPLIT_AT,	/* the rows that follow are of this one */
	WR_SPLIT_END,	/* it has no more rows */
};

/* What the subtasks of a stage saved: its own alone where the parallelism is as it was, else that of all. */
struct wr_saved_state {
	uint32_t parallelism; /* as it was */
	uint32_t count;
	const struct wr_saved_part {
		uint32_t subtask;
		const struct wr_value *value; /* borrowed */
	} * parts;
};
/* Where every part is taken by one subtask, whole: is part i that of `subtask` of `parallelism`? */
static inline bool wr_saved_mine(const struct wr_saved_state *s, uint32_t i, uint32_t subtask,
				 uint32_t parallelism)
{
	return s->parallelism == parallelism || s->parts[i].subtask % parallelism == subtask;
}

/* Rows that are not in the target of a sink. */
struct wr_owed {
	uint64_t rows, bytes, first, last; /* … of these epochs */
	const char *why;		   /* borrowed from the stage; "" = it was not tried */
};

struct wr_stage_ops {
	const char *kind; /* as named in the plan: "lua", "aggregate", "files", "print" … */
	/* Once, before anything else, on the task's thread. */
	int (*open)(struct wr_stage *s);
	/* Sources (first stage of a task without inputs): WR_OK something was emitted, WR_AGAIN nothing now
	 * (env.wake fires later, or s->wake_ns was set), WR_END no more. Returns after about one buffer. */
	int (*poll)(struct wr_stage *s);
	/* Handles rows until none is left (WR_OK), or stops between two rows with WR_AGAIN (time is up,
	 * output needs a pause); called again with the rest. Borrowed rows. A sink answers WR_END when nobody
	 * wants more of it (a closed pipe): the job is cancelled in order and counts as done. */
	int (*rows)(struct wr_stage *s, struct wr_rows *rows);
	/* Behind a WR_AGAIN of `rows`: it stopped in the middle of a row after all, and no barrier may pass.
	 * NULL: it never does. */
	bool (*is_resting)(const struct wr_stage *s);
	/* The task's watermark rose to `wm`: fires due event timers. WR_AGAIN: not all fired, call again.
	 * s->watermark is set by the task before. May lower the watermark that is passed on, by changing *wm
	 * (watermark assigners). NULL: nothing to do. */
	int (*watermark)(struct wr_stage *s, int64_t *wm);
	/* Processing time is `now_ms`: fires due timers. Next deadline through s->deadline_ms. */
	int (*time)(struct wr_stage *s, int64_t now_ms);
	/* The steady clock reached s->tick_ns, which the stage sets anew. Unlike `time` it does not follow
	 * the wall clock when that jumps, and it says nothing at the end of input. */
	int (*tick)(struct wr_stage *s, uint64_t now_ns);
	/* What a source of the chain says of its splits; `name` is borrowed. NULL: passed on. */
	int (*split)(struct wr_stage *s, enum wr_split_word word, uint32_t number, const char *name);
	/* The input of this stage is idle, or active again; the stage says so itself in its time
	 * (wr_stage_emit_idle). NULL: passed on. */
	int (*idle)(struct wr_stage *s, bool idle);
	/* A source: no rows of this split until further notice. NULL: the task does not poll it meanwhile. */
	void (*hold)(struct wr_stage *s, uint32_t number, bool held);
	/* A letter for this stage (splits, end of commits …); payload borrowed. */
	int (*letter)(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len);
	/* Operator state, which is neither keyed nor of broadcasts (positions, watermarks of splits …): one
	 * tagged value appended to `out`, or nothing. Called as a barrier has left the stage, behind all rows
	 * that came before it. */
	int (*save)(struct wr_stage *s, struct wr_bytes *out);
	/* The rest of `save`, for what blocks: makes durable what the stage had written when the barrier left
	 * it, and may append its state if `save` gave none. On an I/O thread, once at most for a `save`, in
	 * their order; the task's part of the checkpoint holds only behind it. */
	int (*settle)(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out);
	/* The task ends, whatever `settle` waits for: it is to come back. The task's thread or its owner's.
	 */
	void (*abandon)(struct wr_stage *s);
	/* Behind `save`: ids of further blobs that what it gave needs, each with a NUL behind it. They belong
	 * to the checkpoint, and to savepoints that are made of it; durable behind `settle`. */
	int (*names)(struct wr_stage *s, struct wr_bytes *out);
	/* Behind open, before anything else: what `save` and `settle` gave. */
	int (*restore)(struct wr_stage *s, const struct wr_saved_state *saved);
	/* All input was handled and the last watermark passed: emit what is left. WR_AGAIN: call again when
	 * woken (a sink that waits for its writer thread). With s->awaits_checkpoint the task has a
	 * checkpoint taken while the stage waits, and it is called again behind each that holds (C28). When
	 * the job is drained (WR_TRIGGER_DRAIN) its state is saved behind that. */
	int (*end)(struct wr_stage *s);
	/* The job is about to stop at a checkpoint: what a sink was given must be in its place before the
	 * barrier passes. WR_AGAIN as of `end`; more rows may come if the checkpoint fails. */
	int (*flush)(struct wr_stage *s);
	/* Behind WR_LETTER_LEAVE, and whenever the task is woken: is what the checkpoint covers in its place?
	 * WR_AGAIN: not yet; until then ticks come, and the letter that something is done, and nothing else
	 * does. What cannot be brought there is told by `owes`. NULL: it is. */
	int (*leave)(struct wr_stage *s);
	/* What it was given, is to be in its place and is not, and will not be tried again in this run;
	 * false: there is none. Nobody steps the task any more. Also where it was never opened. */
	bool (*owes)(const struct wr_stage *s, struct wr_owed *out);
	/* Functions for a stage that runs (task/functions.c); NULL: it has none that could be replaced.
	 * `prepare`: any thread, when the task is open; makes those that `bundle` has for the stage by
	 * `plan`, which differs from s->plan in nothing else; NULL with the error set. `swap`: the task's
	 * thread, between two rows; goes on with them and gives those that it had. `discard`: any thread,
	 * when nobody uses them. */
	void *(*prepare)(struct wr_stage *s, const struct wr_value *plan, void *bundle);
	void *(*swap)(struct wr_stage *s, void *functions);
	void (*discard)(void *functions);
	/* Frees everything the stage made, `s` excluded; also after a failed open, never without one. */
	void (*free)(struct wr_stage *s);
	/* The stage makes event time itself: watermarks and idleness of its input end here (K5), but for the
	 * last watermark. */
	bool own_time;
	/* Instead of `restore`: it had ended at the checkpoint, and nothing of it is called any more but
	 * `free`. */
	void (*had_ended)(struct wr_stage *s);
	/* A source whose input may be another one in the next run (standard input, a connection): can it be
	 * read again in this one? NULL: sources that are found again. Any thread. */
	bool (*replays)(void);
	/* The stage counts the rows that enter its operators; else the task does, for operator 0. */
	bool counts;
	/* This table only stands for another, which is loaded when a job first has such a stage. NULL with
	 * the error set. */
	const struct wr_stage_ops *(*load)(void);
};

enum wr_on_error { WR_ON_ERROR_FAIL, WR_ON_ERROR_SKIP, WR_ON_ERROR_DEAD_LETTER };

struct wr_remote;
/* Counters of one operator; a fused stage has one for each of its operators. */
struct wr_op_stats {
	const char *name; /* operator's name */
	const char *uid;
	const char *where; /* its line of the script, for messages; NULL = nobody knows */
	wr_metric rows_in, rows_out, bytes_in, bytes_out, skipped;
	wr_metric late;			    /* rows that came too late */
	wr_metric late_dropped;		    /* those of them that nobody reads */
	wr_metric no_window;		    /* rows that no window takes, though they are not late */
	wr_metric in_flight, in_flight_max; /* rows that an async function is with, now and at most */
	wr_metric logged;		    /* bytes logged that are not in the target yet */
	wr_metric commit_lag;		    /* those of them that may be there */
	wr_metric commits;		    /* epochs committed */
	_Atomic(struct wr_remote *) remote; /* of servers that it talks to (stream/remote.h), or NULL */
};

struct wr_blobs;
struct wr_restore;

/* The checkpoints of the job that a task is of. As long as the job. */
struct wr_durable {
	struct wr_blobs *blobs; /* NULL: it begins at one, and takes none */
	uint64_t lineage;	/* of the job */
	uint64_t newest;	/* highest number of a checkpoint that was ever begun, before this job */
	const struct wr_restore *restore; /* where the job begins, NULL = anew */
	bool skip_committed; /* restored below what was committed: so much of what comes is dropped; and what
				a target that lost its mark was given is taken for committed */
	/* What the target has forgotten of, and may be committed or not: it is; it is not, and is committed.
	 */
	bool assume_committed, assume_lost;
	uint64_t patience_ns; /* for which each last commit is tried again when the job ends */
	bool packs_logs;      /* of exactly-once sinks (commit/epoch_log.h) */
	/* The newest checkpoint that holds and was taken by this job; it stays until a newer one does. NULL:
	 * what is written does not go on from it. */
	const _Atomic uint64_t *holds;
	uint64_t chain_bytes_min; /* as in struct wr_checkpoint_options */
};

/* What a stage knows of the world; filled by the task before open. */
struct wr_stage_env {
	const char *job, *task; /* names, for messages */
	uint32_t subtask, parallelism, max_parallelism;
	struct wr_clock *clock;
	struct wr_rand rand;	  /* seeded per subtask */
	uint64_t slack_ns;	  /* for so long a source may keep a row that is due, so as to wake seldom */
	struct wr_notify wake;	  /* lets the task be stepped again; any thread */
	struct wr_iopool *io;	  /* for work that blocks */
	struct wr_iopool *saving; /* for what a checkpoint writes */
	/* Letter to the job's coordinator (splits wanted, progress). Copies payload. */
	void (*post)(void *job, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		     const void *payload, uint32_t len);
	void *post_arg;
	uint32_t vertex;
	const char *folder; /* of the job's checkpoints, NULL = it takes none */
	uint32_t retain;    /* so many of them are kept */
	uint64_t folder_id; /* drawn once for the folder of the job's checkpoints; 0 = it takes none */
	uint64_t run;	    /* rises: no checkpoint of an earlier attempt has this number or a higher one */
	void *bundle;	    /* struct wr_bundle of the script layer; opaque here */
	const struct wr_durable *durable; /* NULL: the job neither begins at a checkpoint nor takes any */
	const _Atomic int *stops;	  /* above 0: the user wants the job to end; NULL outside of jobs */
	const _Atomic bool *failed;	  /* a task of the job has; NULL outside of jobs */
};

/* Is the job to end, or has it failed? What waits for the outside world then waits for a moment only: the
 * next run or attempt does it. Any thread. */
static inline bool wr_stage_is_hurried(const struct wr_stage_env *env)
{
	return (env->stops && atomic_load_explicit(env->stops, memory_order_relaxed) > 0) ||
	       (env->failed && atomic_load_explicit(env->failed, memory_order_relaxed));
}

/* Is it to end at once? Nothing is waited for then. */
static inline bool wr_stage_is_cancelled(const struct wr_stage_env *env)
{
	return env->stops && atomic_load_explicit(env->stops, memory_order_relaxed) > 1;
}

/* Does the job take checkpoints? Else it may have begun at one. */
static inline bool wr_stage_takes_checkpoints(const struct wr_stage_env *env)
{
	return env->durable && env->durable->blobs;
}

struct wr_chain; /* task/port.h */
struct wr_marker;

struct wr_stage {
	const struct wr_stage_ops *ops;
	const struct wr_stage_env *env;
	uint32_t index;			/* in the task's chain */
	const struct wr_value *plan;	/* this stage's part of the plan; lives as long as the job */
	const struct wr_value *options; /* plan.options or NULL */
	struct wr_chain *chain;		/* task/port.h; NULL: a stage on its own */
	struct wr_out **outs;		/* by port index */
	uint32_t out_count;
	int32_t dead_letter;	       /* port of the rows that failed, -1 = none */
	struct wr_store *store;	       /* keyed state, or NULL; made by the task from the plan */
	struct wr_store *broadcast;    /* broadcast state, or NULL; made and freed by the stage */
	struct wr_keyer *keyer;	       /* extracts this stage's key from rows, or NULL */
	struct wr_op_stats *ops_stats; /* one per operator */
	uint32_t ops_count;
	enum wr_on_error on_error;
	int64_t watermark;	  /* the task's current watermark, WR_TS_NONE before the first */
	int64_t deadline_ms;	  /* next processing-time timer, INT64_MAX = none; stage sets it */
	uint64_t tick_ns;	  /* steady time of the next tick, UINT64_MAX = none; stage sets it */
	uint64_t wake_ns;	  /* a source sets the monotonic time of its next row; UINT64_MAX = none */
	uint64_t step_until_ns;	  /* set by the task: end of this step's time */
	uint64_t looked_ns;	  /* when wr_stage_spent last looked at the clock */
	uint64_t checkpoint;	  /* during `save`: whose */
	bool awaits_checkpoint;	  /* `end` says so, with WR_AGAIN */
	bool waits;		  /* a source's `poll` says so: its next record waits to be readable */
	void *state;		  /* the stage's own */
	struct wr_marker *marker; /* time/marker.h: of a stage that makes watermarks, or NULL */
	bool untried;		  /* its functions are on trial, and were given no row yet */
	_Atomic(void *) spare; /* functions that it does not use: the next ones, or those before; or NULL */
};

/* Puts a row that failed aside: counts it for operator `op`, logs a sample, and under `dead_letter` sends
 * it to the dead-letter port with error and origin. WR_OK when the policy let it pass, else `code`
 * (policy fail): the stage returns that. `row` may be NULL with `raw` bytes (malformed input). */
int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code);

/* The same of operator 0 for a row that was refused with `code`, in words that are this thread's error. What
 * is no fault of the row (not WR_EUSER) is given back as it is. */
int wr_stage_refused_row(struct wr_stage *s, const struct wr_elem *row, int code);

/* The keyer of input 1 where its key has other names (the plan's `key2`), else NULL; the caller's. WR_OK, or
 * WR_EFATAL with the error set. */
int wr_stage_second_keyer(const struct wr_stage *s, struct wr_keyer **keyer);

/* Emits one event of a source or watermark assigner behind the rows written so far on all ports. */
int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm);
int wr_stage_emit_idle(struct wr_stage *s, bool idle);
/* Asks the coordinator for a checkpoint soon. On the task's thread. */
static inline void wr_stage_want_checkpoint(const struct wr_stage *s)
{
	const struct wr_stage_env *env = s->env;

	env->post(env->post_arg, env->vertex, env->subtask, s->index, WR_LETTER_WANTED, NULL, 0);
}
/* Posts a letter to this stage itself. Any thread, as long as the stage is not freed; copies the payload.
 * WR_OK or WR_EFATAL. */
int wr_stage_mail(struct wr_stage *s, uint32_t type, const void *payload, uint32_t len);
/* A source says where it is in its splits; heard by the stages behind it in its chain, never by others.
 * `number` counts splits up from 1 in this subtask; copies `name` (of BEGIN, for people, and what stages keep
 * of a split is found by it in a checkpoint: no two splits of a source have the same). */
int wr_stage_emit_split(struct wr_stage *s, enum wr_split_word word, uint32_t number, const char *name);
/* Bids the source of this chain be still, as a whole (number 0) or with one split, or go on. */
void wr_stage_hold(struct wr_stage *s, uint32_t number, bool held);
/* Does the source of this chain have a record that it cannot read yet? It is not idle then. */
bool wr_stage_source_waits(const struct wr_stage *s);
/* Steady time, but for the times in which the task was held up by its outputs (K9). */
uint64_t wr_stage_running_ns(const struct wr_stage *s);

/* A kind of stage; the lists of script/, operator/ and connect/ are handed to the job by main. */
struct wr_stage_kind {
	const char *kind;
	const struct wr_stage_ops *ops;
};
#endif
#endif
