/* SPDX-License-Identifier: Apache-2.0 */
/* sink_priv: the inside of a sink, shared by sink.c, sink_end.c and sink_restore.c. */
#pragma once
#include <pthread.h>
#include "commit/sink.h"

enum wr_sink_work { WR_SINK_OPEN, WR_SINK_LOOK, WR_SINK_ASK, WR_SINK_COMMIT, WR_SINK_KEEP, WR_SINK_SEAL };

/* What the committer's thread is asked to do. */
struct wr_committer {
	struct wr_iojob job; /* first */
	struct wr_stage *stage;
	struct wr_iopool *pool; /* one thread, which may block as long as it likes */
	struct wr_ioqueue *queue;
	bool busy;  /* the task's: something was posted and is not heard of yet */
	bool mails; /* says so by mail; else the task waits for it */
	enum wr_sink_work what;
	struct wr_epoch
	    epoch; /* to be committed; of others lineage and log, of WR_SINK_KEEP the number, too */
	int64_t began_ms;
	bool fresh;
	/* the answer */
	int rc;
	uint64_t mark;
	char text[1024];
	pthread_mutex_t mutex;
	pthread_cond_t done;
	bool is_done;
};

struct wr_sink {
	struct wr_target *target;
	struct wr_blobs *blobs; /* where logs lie */
	char folder[64];	/* without checkpoints: a temporary one, else "" */
	struct wr_commits *commits;
	struct wr_epoch_log *log;
	struct wr_committer c;
	uint64_t log_max;
	uint64_t lineage, complete;
	const char *scope; /* of what is restored, where that is not the target's; else NULL */
	uint64_t skip;	   /* rows to be dropped, which were committed by a job that got further */
	uint32_t failures; /* of one commit, in a row */
	uint64_t retry_ns; /* when it is tried again, UINT64_MAX = none waits for that */
	char why[1024];	   /* it failed last */
	bool wanted;	   /* a checkpoint was asked for */
	bool keeps;	   /* a checkpoint holds, and since then it was not looked at the mark's age */
	bool failed;	   /* and nothing is committed any more */
	bool opened;
	_Atomic bool abandoned; /* nobody waits any longer */
	/* at the end (sink_end.c) */
	bool ends;	   /* nothing comes any more but commits */
	bool leaves;	   /* and the job has left at a checkpoint that holds */
	bool said;	   /* what is waited for */
	uint64_t say_ns;   /* when to, UINT64_MAX = not */
	uint64_t until_ns; /* for which the commit under way is tried, UINT64_MAX = as ever */
};

static inline struct wr_sink *wr_sink_of(const struct wr_stage *s)
{
	return s->state;
}

static inline const char *wr_sink_uid(const struct wr_stage *s)
{
	return s->ops_stats[0].uid;
}

/* Waits for the target's answer: its mark of a log, by WR_SINK_ASK or WR_SINK_LOOK. Only before the first
 * row. */
int wr_sink_ask(struct wr_sink *k, enum wr_sink_work how, uint64_t lineage, uint32_t log, uint64_t *mark);
/* Commits all that is due, and waits for it. Before the first row, or behind the last. */
int wr_sink_commit_due(struct wr_sink *k);
/* Gives the committer what comes next, unless it is at work. */
void wr_sink_pump(struct wr_stage *s);
/* The open epoch ends at barrier `number`. */
int wr_sink_cut(struct wr_stage *s, uint64_t number);
/* What was cut becomes durable, and is heard of by mail. */
void wr_sink_post_seal(struct wr_stage *s);
/* Tells the metrics. */
void wr_sink_tell(struct wr_stage *s);
/* What came of the work done last: WR_OK, or its error, set anew. */
int wr_sink_answer(const struct wr_sink *k);
/* WR_AGAIN. A task that is paused fires no timers: this does. */
int wr_sink_pause(struct wr_stage *s);

/* ---- sink_end.c ---- */

/* Sets the stage's tick to what comes next. */
void wr_sink_set_tick(struct wr_stage *s);
/* What failed last is not tried again: its error, or WR_OK where the job leaves, and tells it itself. */
int wr_sink_give_up(struct wr_stage *s);
/* Once: the log tells what is waited for at the end. */
void wr_sink_say(struct wr_stage *s);
/* A commit is done: for the next one there is as much time again. */
void wr_sink_renew(struct wr_stage *s);
