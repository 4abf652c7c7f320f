/* SPDX-License-Identifier: Apache-2.0 */
/* marker: what the exactly-once sink keeps in Kafka, and what it concludes from what it finds there.
 *
 * Kafka stores an offset and a text for each (group, topic, partition), and can do so in a transaction. For
 * each log of a sink there is a transactional id, PREFIX-UID-LOG, and of it
 *
 *   a claim   in the group of that name: who opened it last, drawn anew by each process. Whoever finds
 * another claim than its own was overtaken by a newer process, and must write nothing more. It says the same
 * to both sides however often they take the id from each other, which the errors of Kafka do not: an id that
 * was taken and a transaction that ran out of time look alike. a marker  in the group PREFIX-UID-LOG-LINEAGE:
 * the number of the last epoch that is in the topics. Each lineage has its own, so that none drops rows of
 * another.
 *
 * Groups without members are forgotten after a time (offsets.retention.minutes of the broker).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "commit/sink.h"

enum { WR_KAFKA_GROUP = 512, WR_KAFKA_NOTE = 64 };

/* Transactional id of a log, and the group of its claim. */
void wr_kafka_id(const char *prefix, const struct wr_mark *m, char id[WR_KAFKA_GROUP]);
/* The group of the marker. */
void wr_kafka_marker(const char *prefix, const struct wr_mark *m, char group[WR_KAFKA_GROUP]);

/* What stands beside an offset; `number`: of the claim, or the lineage of the marker. */
void wr_kafka_note(char kind, uint64_t number, char note[WR_KAFKA_NOTE]);
enum { WR_KAFKA_CLAIM = 'c', WR_KAFKA_MARKER = 'm' };

/* What is found in a group: `offset` is below zero where nothing is. */
struct wr_kafka_found {
	int64_t offset;
	char note[WR_KAFKA_NOTE];
};

enum wr_kafka_claimed {
	WR_KAFKA_FREE,	 /* nobody's, or that of a process before: it is to be claimed */
	WR_KAFKA_OURS,	 /* or forgotten since */
	WR_KAFKA_THEIRS, /* a newer process has it */
};
/* `own`: the number that this process claims with; `did`: it has claimed this id before. WR_EUSER: what is
 * there is no claim. */
int wr_kafka_judge_claim(const struct wr_kafka_found *found, uint64_t own, bool did,
			 enum wr_kafka_claimed *out);
/* The epoch that the marker says, 0 = there is none. WR_EUSER: it is no marker of this lineage. */
int wr_kafka_judge_marker(const struct wr_kafka_found *found, uint64_t lineage, uint64_t *epoch);
