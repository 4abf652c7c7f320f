/* SPDX-License-Identifier: Apache-2.0 */
/* producer: rows into a client of librdkafka, by the options of a sink (message.h). The client
 * may be closed and opened again, the rest stays. One thread, but for `delivered` and the partitioner, which
 * are called on whichever thread polls or produces, and on threads of the library.
 */
#pragma once
#include "kafka/client.h"
#include "kafka/message.h"
#include "task/stage.h"

enum { WR_KAFKA_TOPIC_TEXT = 256 }; /* more than a name has */

struct wr_kafka_producer {
	const struct wr_value *options;
	const char *name;  /* for messages; borrowed */
	const char *topic; /* of all messages, or NULL: each has one */
	struct wr_kafka_client client;
	struct wr_remote *remote; /* is told whether a broker is reached, or NULL */
	struct wr_kafka_maker *maker;
	struct wr_kafka_topics *topics; /* handles of those that were met */
	enum wr_kafka_partitioner how;
	_Atomic uint64_t draws;
	/* A message with this mark is acknowledged, or was given up with an error (rd_kafka_resp_err_t). */
	void (*delivered)(void *arg, uint8_t mark, int code);
	void *arg;
	uint64_t messages,
	    bytes; /* that were made for wr_kafka_produce_rows, since its caller set them to 0 */
	char lost_to[WR_KAFKA_TOPIC_TEXT]; /* topic of the message that was given up last; of who polls. "" =
					      none */
};

/* `options` and `name` outlive it. WR_OK; or an error, `deinit` is to be called all the same. */
int wr_kafka_producer_init(struct wr_kafka_producer *p, const struct wr_value *options, const char *name);
/* Opens the client; `presets`: pairs of property and value that are the sink's own, NULL behind the last. */
int wr_kafka_producer_open(struct wr_kafka_producer *p, const char *const *presets);
/* Messages that are not delivered are given up without being heard of. Nothing if it is closed. */
void wr_kafka_producer_close(struct wr_kafka_producer *p);
void wr_kafka_producer_deinit(struct wr_kafka_producer *p);

/* Bytes of the largest value that goes into the library's queue, by the options of a sink: a larger one would
 * find no room even if nothing else were in it. */
size_t wr_kafka_value_max(const struct wr_value *options);
/* WR_EUSER with the error set: the value of such a message is larger than that. */
int wr_kafka_value_refused(size_t len, size_t max);
/* Likewise: the message is larger than "message.max.bytes". */
int wr_kafka_size_refused(const struct wr_kafka_message *m);

/* Hands a row over. WR_OK; WR_END: there is nothing to be sent for it; WR_AGAIN: the queue is full, and
 * nothing was taken; WR_EUSER: the row cannot be sent; other errors are of the client. */
int wr_kafka_produce(struct wr_kafka_producer *p, const struct wr_elem *row, uint8_t mark);
/* Hands over the rows from *rows on, with the mark 0, and moves *rows behind those that were taken.
 * `lasting`: they stay where they are until they are acknowledged, or the client is closed, so that what
 * stands in them is not copied. Errors as above, but WR_END, which is passed over; behind others than
 * WR_AGAIN nobody knows which of the rows were taken. */
int wr_kafka_produce_rows(struct wr_kafka_producer *p, const uint8_t **rows, const uint8_t *end,
			  bool lasting);
