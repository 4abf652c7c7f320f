/* SPDX-License-Identifier: Apache-2.0 */
/* build: from a plan to tasks. Inside cluster/ only. */
#pragma once
#include <pthread.h>
#include "cluster/alignment.h"
#include "cluster/checkpoints.h"
#include "cluster/job.h"

/* A source's enumerator, and where its letters go. */
struct wr_job_source {
	struct wr_job *job;
	uint32_t vertex;
	struct wr_enumerator *enumerator;
	uint64_t discover_ns; /* when to look for splits next, UINT64_MAX = not again */
};

struct wr_job {
	struct wr_job_options o;
	struct wr_arena arena;
	struct wr_sched *sched;
	struct wr_loop *loop;
	struct wr_iopool *io, *saving;
	bool **had_ended;	    /* by vertex and subtask, at the checkpoint; NULL: it begins anew */
	bool *same_senders;	    /* by vertex (struct wr_task_def); likewise */
	struct wr_runner **runners; /* by vertex, then by subtask */
	struct wr_channel ***edges; /* by edge: from × to, NULL where there is none */
	struct wr_pools *pools[32]; /* by power of two of the buffer's size */
	int64_t buffer_bytes;
	struct wr_mem *state_parts; /* the accounts of the stores */
	struct wr_spill *spill;	    /* where state goes that memory does not hold, or NULL */
	struct wr_metrics *metrics;
	struct wr_metric_set **sets; /* by task, in order */
	uint32_t set_count;
	uint32_t task_count;
	struct wr_job_source *sources;
	uint32_t source_count;
	struct wr_alignment *alignment;
	struct wr_checkpoints *checkpoints;
	struct wr_checkpoint_wish last_wish; /* for the one that the job ends with */
	struct wr_checkpoint_wish *leave;    /* who asked for that, or NULL */
	bool leaving;			     /* it is asked for */
	enum wr_leave why;
	bool left, saved; /* it holds, or the user does not wait for it any more; the former */
	struct wr_swap *swap;
	struct wr_trial *trial;
	struct wr_durable durable; /* with checkpoints, or when it begins at one */
	_Atomic uint64_t holds;	   /* the newest checkpoint that was taken and holds, 0 = none */
	/* any thread */
	struct wr_mailbox mailbox; /* the coordinator's */
	pthread_mutex_t mutex;	   /* of the first failure */
	int code;
	char *error;
	bool in_vain; /* it failed before it could begin */
	_Atomic uint32_t running;
	_Atomic int stops;   /* asked for by the user: 1 in order, 2 at once */
	_Atomic bool enough; /* a sink wants no more: in order, too */
	_Atomic bool failed;
	_Atomic bool stuck; /* it has failed, and a task does not come back from its step */
	bool cancelled;	    /* behind a checkpoint from which it can go on */
};

/* Makes runners, channels, pools and tasks. What was made is freed by wr_job_free. */
int wr_job_build(struct wr_job *j);
/* A letter to a task; the coordinator's thread. */
void wr_job_send(struct wr_job *j, enum wr_letter_type type, struct wr_address who, const void *payload,
		 uint32_t len);
/* Hands the letters that came for the coordinator to enumerators and alignment; failures are remembered. */
void wr_job_read_mail(struct wr_job *j);
/* Letters from stages; wr_stage_env.post. */
void wr_job_post(void *job, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		 const void *payload, uint32_t len);
