/* SPDX-License-Identifier: Apache-2.0 */
/* group: what brokers keep for a group of consumers, read and written through librdkafka: offsets, and for
 * how long they are remembered. On the caller's thread, which blocks, unless said.
 */
#pragma once
#include "publish/marker.h"

struct rd_kafka_s;
struct rd_kafka_error_s;

/* Asks for offsets. Zeroed: closed. */
struct wr_kafka_reader {
	struct rd_kafka_s *rk; /* while an answer is missing */
	int asked;	       /* times, with this client */
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

/* An offset of a group that is being written in the transaction of a client. The library looks for the
 * group's coordinator without end, whatever time it is given (librdkafka 2.0.2, its issue 5456), so the call
 * has a thread of its own and can be left behind, with the client that it uses. */
struct wr_kafka_put;

/* Begins to write offset and note of partition 0 of `topic`; texts are copied. `rk` stays until it is over.
 * NULL with the error set: there is no thread. */
struct wr_kafka_put *wr_kafka_put_begin(struct rd_kafka_s *rk, const char *group, const char *topic,
					int64_t offset, const char *note);
/* Waits for the answer, for `ms` at most: is it there? */
bool wr_kafka_put_over(struct wr_kafka_put *w, int ms);
/* The answer, which the caller frees: NULL is success. Waits for it; frees `w`. */
struct rd_kafka_error_s *wr_kafka_put_take(struct wr_kafka_put *w);
/* Leaves it behind: then(arg) is called when it is over, on its thread, or here if it is. Takes `w`. */
void wr_kafka_put_leave(struct wr_kafka_put *w, void (*then)(void *arg), void *arg);

/* For how long brokers remember groups without members. WR_OK, or WR_EUSER: they do not say. */
int wr_kafka_group_retention(struct rd_kafka_s *rk, int64_t *ms);
