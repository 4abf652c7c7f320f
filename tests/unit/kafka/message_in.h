/* SPDX-License-Identifier: Apache-2.0 */
/* message_in: messages as librdkafka hands them over, without a broker: what it keeps beside the public part
 * of one comes from here, linked in front of the library. */
#pragma once
#include <librdkafka/rdkafka.h>

static int64_t message_ms; /* below zero: it has none */
static rd_kafka_headers_t *message_headers;

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *m, rd_kafka_timestamp_type_t *type)
{
	(void)m;
	*type = message_ms < 0 ? RD_KAFKA_TIMESTAMP_NOT_AVAILABLE : RD_KAFKA_TIMESTAMP_CREATE_TIME;
	return message_ms;
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *m, rd_kafka_headers_t **out)
{
	(void)m;
	*out = message_headers;
	return message_headers ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}
