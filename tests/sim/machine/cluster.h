/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: brokers as the exactly-once sink sees them: a log with transactions, and offsets of groups. A
 * model, which outlives every process; beyond struct wr_kafka_txn_ops nothing is asked of it.
 *
 * Each transactional id has an epoch, which rises with every init, and at most one transaction:
 *
 *   EMPTY ──append, put──▶ ONGOING ──commit──▶ COMMITTING ──later──▶ EMPTY, rows and offsets are visible
 *                             └──init by another, or a timeout──▶ ABORTING ──later──▶ EMPTY
 *
 * A request may be lost, or its answer, and then the client hears after ten seconds that nobody knows; it
 * may lie somewhere and come later, until the client sends the next: also when the client is gone, and its
 * process. No broker may answer for minutes, and a process rest for as long between any two calls. A group's
 * offset is pending while a transaction that has it is not over, and a moment longer: groups hear of its end
 * behind all others, as brokers have it. What nobody puts again is forgotten after a time, where one is set.
 */
#pragma once
#include "publish/publisher.h"
#include "base/bytes.h"
#include "sim/machine/machine.h"

/* How often something goes wrong; 0 = never, else one request in so many. */
struct cluster_roughness {
	uint32_t lost, late, unanswered, outage, rest;
};

/* A process as brokers see it. Zeroed, but for the number. */
struct cluster_process {
	uint32_t number;   /* from 1 */
	bool dead;	   /* nothing that it does reaches anybody */
	uint64_t dies_at;  /* as it makes this request, and 0 = does not */
	uint64_t requests; /* so far */
	uint64_t rests_until_ns;
};

enum { CLUSTER_GROUP = 200 };
struct cluster_request {
	enum { CLUSTER_INIT, CLUSTER_APPEND, CLUSTER_PUT, CLUSTER_COMMIT } what;
	uint32_t id, epoch, sequence, process;
	struct wr_bytes lines;	   /* APPEND */
	char group[CLUSTER_GROUP]; /* PUT */
	int64_t offset;
	char note[WR_KAFKA_NOTE];
	uint64_t put_ns;
};

/* A client, closed at first: zeroed, but for these two. */
struct cluster_client {
	struct cluster_process *process;
	/* The rows of an epoch, a line each. WR_OK or an error. */
	int (*lines)(struct wr_epoch_rows *rows, struct wr_bytes *out);
	/* its own */
	bool open, fatal, in_doubt;
	uint32_t id, epoch, sequence;
	bool waits; /* a request lies somewhere: */
	struct cluster_request late;
};
extern const struct wr_kafka_txn_ops cluster_ops; /* of a struct cluster_client */

/* Nothing is there yet. A transaction that takes longer than `txn_s` seconds is aborted; all times are
 * `times_faster` times as short. */
void cluster_init(uint32_t txn_s, uint32_t times_faster);
/* Of groups, `after_s` seconds after they were put; 0 = never. */
void cluster_forgets(uint32_t after_s);
void cluster_rough(const struct cluster_roughness *r);
/* All that is under way comes to its end. */
void cluster_settle(void);
/* The lines of committed transactions, in their order, once it is settled with a NUL behind them; borrowed.
 */
const struct wr_bytes *cluster_lines(void);
/* The process rests, if it does; false: it is dead. */
bool cluster_goes_on(struct cluster_process *p);
