/* SPDX-License-Identifier: Apache-2.0 */
/* message: what a row is as a message of Kafka: topic, key, value, headers, timestamp, partition. Pure: no
 * client, no clock. One thread.
 *
 * What differs by the row is read from fields of it, by name; what a function of the script gives travels in
 * hidden fields. The options of a sink:
 *
 *   topic = "name" | topic_field         where to; needed
 *   key_field                            missing or null: no key
 *   key = { format, FORMAT = options }   of keys, likewise; not there: text
 *   value_field                          in place of the whole row; missing or null: a tombstone
 *   headers = packed | headers_field     packed: (name NUL length NUL bytes)*, the length in digits
 *   timestamp_field | timestamp = "now"  else the row's own time, if it has one
 *   number_field                         of the partition (wr_kafka_partition)
 *   format                               of the value: "json", "lines", "csv", "avro", "msgpack"; of one
 *                                        that is a string "text" or "bytes"
 *   upsert                               a change is the new value of its key, a delete a tombstone
 */
#pragma once
#include "base/rand.h"
#include "record/row.h"
#include "record/value.h"

#define WR_KAFKA_NUMBER_MAX (INT64_C(1) << 53)
enum { WR_KAFKA_HEADERS_MAX = 500 }; /* of a message */

/* Borrowed from the row and the maker, until the next one. A string without pointer is not there. */
struct wr_kafka_message {
	struct wr_str topic; /* with a NUL behind it */
	struct wr_str key;
	struct wr_str value;   /* not there: a tombstone */
	struct wr_str headers; /* packed, checked */
	int64_t timestamp;     /* ms; 0 = when it is sent */
	int64_t number;	       /* of the partition, where the partitioner is one of numbers */
};

struct wr_kafka_maker;
/* The options must outlive it. NULL with the error set. */
struct wr_kafka_maker *wr_kafka_maker_new(const struct wr_value *options);
void wr_kafka_maker_free(struct wr_kafka_maker *m);

/* WR_OK; WR_END: nothing is to be sent for this row (what an upsert replaces); WR_EUSER: it cannot be a
 * message; WR_EFATAL. */
int wr_kafka_message_of(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out);

/* The next header at *at, which is moved behind it. False: there is none any more. The name has a NUL behind
 * it. */
bool wr_kafka_header_next(struct wr_str *at, struct wr_str *name, struct wr_str *value);
/* The row is a message for sure, and one of at most `max` bytes: true only where that is seen without making
 * it. */
bool wr_kafka_message_surely(struct wr_kafka_maker *m, const struct wr_elem *row, size_t max);
/* Bytes that the message takes of what a broker allows for one, never too few. */
size_t wr_kafka_message_size(const struct wr_kafka_message *m);

/* ---- partitions. Two programs that write the same keys to one topic must choose the same, so the hashes are
 * those of the clients in use: murmur2 as the Java client has it, CRC-32 as librdkafka has it ("consistent").
 * Any thread. ---- */

enum wr_kafka_partitioner {
	WR_KAFKA_MURMUR2, /* of the key; without one at random */
	WR_KAFKA_CRC32,	  /* the same */
	WR_KAFKA_RANDOM,
	WR_KAFKA_NUMBER, /* given with the message, modulo the number of partitions */
};

/* "murmur2", "crc32", "random", "number". WR_OK, or WR_EUSER for another. */
int wr_kafka_partitioner(const char *name, enum wr_kafka_partitioner *out);

/* org.apache.kafka.common.utils.Utils.murmur2 */
int32_t wr_kafka_murmur2(const void *key, size_t len);

/* One of the partitions 0 … count - 1, count > 0. `key` without pointer: the message has none. */
int32_t wr_kafka_partition(enum wr_kafka_partitioner how, struct wr_str key, int64_t number, int32_t count,
			   struct wr_rand *rand);
