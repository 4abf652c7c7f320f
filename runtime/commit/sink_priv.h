/* SPDX-License-Identifier: Apache-2.0 */
/* sink_priv: the inside of a sink, shared by sink.c and sink_restore.c. */
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
	bool wanted;	   /* a checkpoint was asked for */
	bool keeps;	   /* a checkpoint holds, and since then it was not looked at the mark's age */
	bool failed, opened;
	_Atomic bool abandoned; /* the task is to come back */
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
