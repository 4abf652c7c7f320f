/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: the protocol of the exactly-once sink: epochs (commit/commits.h) into a log with transactions,
 * each once, whoever else tries. One thread at a time.
 *
 * An epoch goes out in one transaction with its number: begin, rows, marker, commit (marker.h). Between
 * two epochs none is open, so that readers of the topics wait for nobody, and an epoch whose transaction ran
 * out of time is sent again from the log. To begin with a log, and behind every error, the same is done: a
 * new client, which fences the one before (init), the claim, and then the marker says whether the epoch is
 * there.
 *
 *   closed ──init, claim──▶ open ──begin … commit──▶ open
 *      ▲                                │ any error
 *      └────────────────────────────────┘
 *
 * A client is of one log. Another log's is opened in its place where a subtask has inherited some, also where
 * they are of another prefix: as who has the ids of that still it sends what is left under them.
 *
 * What is asked of brokers goes through a table of functions, librdkafka's in earnest (once.c),
 * those of a model in the simulation (tests/sim/machine/cluster.h).
 */
#pragma once
#include "base/clock.h"
#include "publish/claims.h"
#include "publish/marker.h"

/* WR_OK or an error; or WR_AGAIN with the error set: the same call may help, and until then nobody knows what
 * became of it. All may block. */
struct wr_kafka_txn_ops {
	/* A client for this transactional id, which asks nothing of brokers yet; there is none open. */
	int (*open)(void *arg, const char *id);
	/* What is under way is given up, and not waited for. Nothing if none is open. */
	void (*close)(void *arg);
	/* From now on nobody who had the id before can write with it, and what they had open is aborted. */
	int (*init)(void *arg);
	/* What a group has; WR_AGAIN while a transaction is under way that could change it. */
	int (*read)(void *arg, const char *group, struct wr_kafka_found *out);
	int (*begin)(void *arg);
	/* All rows are acknowledged when this is WR_OK. Never WR_AGAIN. */
	int (*send)(void *arg, struct wr_epoch_rows *rows);
	/* An offset and a text for a group, which appear when the transaction is committed. */
	int (*put)(void *arg, const char *group, int64_t offset, const char *note);
	int (*commit)(void *arg);
	/* Is the sink to end (commit/sink.h)? What fails is tried again for three seconds then. NULL: never.
	 */
	bool (*is_leaving)(void *arg);
};

struct wr_kafka_publisher {
	const struct wr_kafka_txn_ops *ops;
	void *arg;
	struct wr_clock *clock;
	struct wr_kafka_claims *claims; /* of the process */
	const char *name;		/* for messages */
	const char *prefix;		/* of its transactional ids, where a mark does not name its scope */
	/* its own */
	bool is_open;
	char id[WR_KAFKA_GROUP]; /* of the open client */
};

/* Opens the client of this log. WR_OK; WR_ESUPERSEDED: a newer process has its id; or another error. */
int wr_kafka_publisher_open(struct wr_kafka_publisher *p, const struct wr_mark *mark);
/* The number of the last epoch of a log that is in the topics, 0 = none, once nobody else can change it. */
int wr_kafka_publisher_last(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t *epoch);
/* The same as far as it can be seen without taking the id from whoever has it, by the open client of another
 * log or prefix: what is under way, or not answered, is waited for for ten seconds, and then counts as not
 * there. */
int wr_kafka_publisher_look(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t *epoch);
/* An epoch and its number, both or neither; neither, where another process has committed it meanwhile. Behind
 * an error nobody knows which: `last` is to be asked. WR_ETRANSIENT also where another process has committed
 * newer epochs, as one does that was at rest: who began after it may know them, too. */
int wr_kafka_publisher_commit(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch,
			      struct wr_epoch_rows *rows);
/* The number alone once more, so that brokers do not forget it: `epoch` is the last one that is in the
 * topics. WR_ESUPERSEDED: a newer one is. */
int wr_kafka_publisher_keep(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch);
void wr_kafka_publisher_close(struct wr_kafka_publisher *p);
