/* SPDX-License-Identifier: Apache-2.0 */
/* group: what brokers keep for a group of consumers, read through librdkafka: offsets, and for how long they
 * are remembered. On the caller's thread; blocks.
 */
#pragma once
#include "publish/marker.h"

struct rd_kafka_s;

/* Asks for offsets. Zeroed: closed. */
struct wr_kafka_reader {
	struct rd_kafka_s *rk; /* while an answer is missing */
	char group[WR_KAFKA_GROUP];
};
/* The offset that a group has in partition 0 of a topic, and the text beside it, by the properties of `rk`;
 * found->offset is below zero where there is none. WR_OK; WR_AGAIN with the error set: a transaction is under
 * way that could change it, or no broker answers, and it is to be asked again; WR_EUSER: it may not be read.
 */
int wr_kafka_reader_ask(struct wr_kafka_reader *r, struct rd_kafka_s *rk, const char *group,
			const char *topic, struct wr_kafka_found *found);
/* Before `rk` is closed. */
void wr_kafka_reader_close(struct wr_kafka_reader *r);

/* For how long brokers remember groups without members. WR_OK, or WR_EUSER: they do not say. */
int wr_kafka_group_retention(struct rd_kafka_s *rk, int64_t *ms);
