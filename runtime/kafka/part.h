/* SPDX-License-Identifier: Apache-2.0 */
/* part: a partition as a split of a source: what is read of it, as it travels from enumerator to reader in
 * WR_LETTER_SPLITS, and as it lies in checkpoints: one tagged value { from=, partition=, to=, topic= }. Pure.
 */
#pragma once
#include "record/value.h"

enum {				/* in place of an offset */
       WR_KAFKA_END = -1,	/* behind the last there is, whichever that is then */
       WR_KAFKA_BEGINNING = -2, /* the first likewise */
};

struct wr_kafka_part {
	const char *topic;
	int32_t partition;
	int64_t from; /* next offset, or WR_KAFKA_BEGINNING or _END */
	int64_t to;   /* offset in front of which it ends; INT64_MAX: it has no end */
};
void wr_kafka_part_put(struct wr_bytes *out, const struct wr_kafka_part *part);
/* `topic` is borrowed from the value. WR_EUSER for a malformed one. */
int wr_kafka_part_of(const struct wr_value *v, struct wr_kafka_part *out);
/* In the order of topics, then of partitions: < 0, 0, > 0. */
int wr_kafka_part_order(const struct wr_kafka_part *a, const struct wr_kafka_part *b);
int wr_kafka_part_compare(const void *a, const void *b); /* the same, for qsort and bsearch */
/* The subtask that reads it: partitions of a topic go round. */
uint32_t wr_kafka_part_owner(const struct wr_kafka_part *part, uint32_t parallelism);
