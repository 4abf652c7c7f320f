/* SPDX-License-Identifier: Apache-2.0 */
/* ref_kafka: what the references that read and write topics share: a client, and reading one partition from
 * its first message to what is its end when it is reached. Only the public API of librdkafka. C and C++. */
#pragma once
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REF_BATCH = 1000, REF_PATIENCE_MS = 60000 };

static inline void ref_die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static inline void ref_check(const char *what, rd_kafka_resp_err_t code)
{
	if (code)
		ref_die(what, rd_kafka_err2str(code));
}

static inline void ref_check_error(const char *what, rd_kafka_error_t *error)
{
	if (error)
		ref_die(what, rd_kafka_error_string(error));
}

static inline uint64_t ref_clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void ref_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
		ref_die(name, reason);
}

static inline rd_kafka_conf_t *ref_conf(const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	ref_set(conf, "bootstrap.servers", brokers);
	return conf;
}

static inline rd_kafka_t *ref_open(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char reason[256];
	rd_kafka_t *rk = rd_kafka_new(type, conf, reason, sizeof reason);

	if (!rk)
		ref_die("client", reason);
	return rk;
}

/* Asked for at once: the library would look for it within a second. */
static inline rd_kafka_topic_t *ref_topic(rd_kafka_t *rk, const char *name)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
	const struct rd_kafka_metadata *known;

	if (!topic)
		ref_die(name, rd_kafka_err2str(rd_kafka_last_error()));
	ref_check(name, rd_kafka_metadata(rk, 0, topic, &known, REF_PATIENCE_MS));
	if (known->topic_cnt < 1)
		ref_die(name, "is not there");
	ref_check(name, known->topics[0].err);
	rd_kafka_metadata_destroy(known);
	return topic;
}

/* A full queue waits until something was delivered. */
static inline void ref_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, const void *value, size_t len)
{
	while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value,
				len, NULL, 0, NULL) != 0) {
		rd_kafka_resp_err_t code = rd_kafka_last_error();

		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			ref_check("produce", code);
		rd_kafka_poll(rk, 10);
	}
}

static inline void ref_flush(rd_kafka_t *rk)
{
	ref_check("flush", rd_kafka_flush(rk, REF_PATIENCE_MS));
}

/* Partition 0 of a topic. */
struct ref_reader {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	rd_kafka_message_t *batch[REF_BATCH];
};

/* `ends`: read ends with what is there. */
static inline void ref_reader_open(struct ref_reader *r, const char *brokers, const char *topic, bool ends)
{
	rd_kafka_conf_t *conf = ref_conf(brokers);

	ref_set(conf, "group.id", "reference");
	ref_set(conf, "enable.partition.eof", ends ? "true" : "false");
	r->rk = ref_open(RD_KAFKA_CONSUMER, conf);
	r->topic = ref_topic(r->rk, topic);
	r->queue = rd_kafka_queue_new(r->rk);
	if (rd_kafka_consume_start_queue(r->topic, 0, RD_KAFKA_OFFSET_BEGINNING, r->queue) != 0)
		ref_check(topic, rd_kafka_last_error());
}

/* Messages of the next batch, which are to be destroyed; *end: there will be no more. */
static inline size_t ref_read(struct ref_reader *r, int wait_ms, bool *end)
{
	ssize_t n = rd_kafka_consume_batch_queue(r->queue, wait_ms, r->batch, REF_BATCH);
	size_t count = 0;

	for (ssize_t i = 0; i < n; i++) {
		rd_kafka_message_t *m = r->batch[i];

		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			*end = true;
		else
			ref_check("consume", m->err);
		if (m->err)
			rd_kafka_message_destroy(m);
		else
			r->batch[count++] = m;
	}
	return count;
}

static inline void ref_reader_close(struct ref_reader *r)
{
	rd_kafka_consume_stop(r->topic, 0);
	rd_kafka_topic_destroy(r->topic);
	rd_kafka_queue_destroy(r->queue);
	rd_kafka_destroy(r->rk);
}
