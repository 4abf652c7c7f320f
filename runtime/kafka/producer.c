/* SPDX-License-Identifier: Apache-2.0 */
/* producer: see producer.h. What the library keeps beside each message, a pointer for it, is a number here:
 * the mark in the lowest byte, and above it the number by which the partition is chosen. */
#include "kafka/producer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/assert.h"
#include "base/error.h"
#include "kafka/properties.h"
#include "record/key.h"

enum { TOPICS_MAX = 4096, PARTS_MAX = 6 + WR_KAFKA_HEADERS_MAX, NUMBER_SHIFT = 8 };
enum { QUEUE_KB = 1 << 20 }; /* the library's default */
enum { BATCH_MAX = 256, TEXTS_MAX = 64 << 10, MESSAGE_BYTES = 8 /* at least, beside key and value */ };

/* Messages that the library takes with one call: of one topic, without time and headers. */
struct batch {
	rd_kafka_topic_t *topic;
	bool copies; /* the library copies their values; keys it always does */
	uint32_t count, texts_len;
	rd_kafka_message_t messages[BATCH_MAX];
	const uint8_t *rows[BATCH_MAX]; /* of which they are */
	char texts[TEXTS_MAX];		/* what does not stand in the rows */
};

struct wr_kafka_topics {
	uint32_t count, last;
	struct topic {
		uint64_t hash;
		rd_kafka_topic_t *handle;
	} topics[TOPICS_MAX];
	rd_kafka_vu_t parts[PARTS_MAX]; /* of the message that is being produced */
	struct batch batch;
};

static struct wr_mem mem = WR_MEM_INIT("kafka.producer");

/* ---- what the library calls ---- */

static int64_t number_of(const void *opaque)
{
	return (int64_t)(intptr_t)opaque >> NUMBER_SHIFT;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct wr_kafka_client *c = opaque;
	struct wr_kafka_producer *p = c->owner;

	(void)rk;
	if (!m->err)
		wr_kafka_client_up(c);
	else
		snprintf(p->lost_to, sizeof p->lost_to, "%s", rd_kafka_topic_name(m->rkt));
	p->delivered(p->arg, (uint8_t)(uintptr_t)m->_private, m->err);
}

/* The partition of a message, for the library. */
static int32_t choose(const rd_kafka_topic_t *topic, const void *key, size_t len, int32_t count, void *opaque,
		      void *message)
{
	struct wr_kafka_producer *p = opaque;
	struct wr_rand rand = {atomic_fetch_add_explicit(&p->draws, 1, memory_order_relaxed) *
			       UINT64_C(0x9e3779b97f4a7c15)};

	(void)topic;
	return wr_kafka_partition(p->how, (struct wr_str){key, (uint32_t)len}, number_of(message), count,
				  &rand);
}

/* ---- life ---- */

int wr_kafka_producer_init(struct wr_kafka_producer *p, const struct wr_value *options, const char *name)
{
	p->options = options;
	p->name = name;
	p->topic = wr_value_str(options, "topic", NULL);
	p->maker = wr_kafka_maker_new(options);
	p->topics = wr_zalloc(&mem, sizeof *p->topics);
	if (!p->maker || !p->topics)
		return wr_error_code();
	return wr_kafka_partitioner(wr_value_str(options, "partitioner", "murmur2"), &p->how);
}

static int set_all(rd_kafka_conf_t *conf, const char *const *presets)
{
	int rc = WR_OK;

	for (; *presets && rc == WR_OK; presets += 2)
		rc = wr_kafka_conf_set(conf, presets[0], presets[1]);
	return rc;
}

/* Properties of topics that were set have made a default for them already. */
static void set_partitioner(struct wr_kafka_producer *p, rd_kafka_conf_t *conf)
{
	rd_kafka_topic_conf_t *topics = rd_kafka_conf_get_default_topic_conf(conf);

	if (!topics) {
		topics = rd_kafka_topic_conf_new();
		rd_kafka_conf_set_default_topic_conf(conf, topics);
	}
	rd_kafka_topic_conf_set_partitioner_cb(topics, choose);
	rd_kafka_topic_conf_set_opaque(topics, p);
}

int wr_kafka_producer_open(struct wr_kafka_producer *p, const char *const *presets)
{
	rd_kafka_conf_t *conf = wr_kafka_conf_new(WR_KAFKA_PRODUCER, p->options, p->name);
	int rc = conf ? set_all(conf, presets) : WR_EUSER;

	if (rc == WR_OK && p->how == WR_KAFKA_NUMBER) /* else messages without key stay for a while at one */
		rc = wr_kafka_conf_set(conf, "sticky.partitioning.linger.ms", "0");
	if (rc != WR_OK) {
		wr_kafka_conf_free(conf);
		return rc;
	}
	set_partitioner(p, conf);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rc = wr_kafka_client_open(&p->client, WR_KAFKA_PRODUCER, conf, p->name, p);
	if (rc == WR_OK && p->remote)
		wr_kafka_client_tell(&p->client, p->remote);
	return rc;
}

void wr_kafka_producer_close(struct wr_kafka_producer *p)
{
	if (!p->client.rk)
		return;
	rd_kafka_purge(p->client.rk,
		       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	for (uint32_t i = 0; i < p->topics->count; i++)
		rd_kafka_topic_destroy(p->topics->topics[i].handle);
	p->topics->count = p->topics->last = 0;
	wr_kafka_client_close(&p->client);
}

void wr_kafka_producer_deinit(struct wr_kafka_producer *p)
{
	wr_kafka_producer_close(p);
	wr_kafka_maker_free(p->maker);
	wr_free(&mem, p->topics);
}

/* ---- messages ---- */

/* Messages under way hold theirs, those in the batch do not. The place behind the others is free then. */
static struct topic *forget_one(struct wr_kafka_topics *t)
{
	struct topic *at = &t->topics[t->count - 1];

	if (t->batch.count && t->batch.topic == at->handle)
		at--;
	rd_kafka_topic_destroy(at->handle);
	*at = t->topics[--t->count];
	return &t->topics[t->count];
}

/* The handle of a topic. The last one is looked at first: rows of one topic come together. */
static int topic_of(struct wr_kafka_producer *p, struct wr_str name, rd_kafka_topic_t **out)
{
	struct wr_kafka_topics *t = p->topics;
	struct topic *at = &t->topics[t->last];
	uint64_t hash;

	if (name.p == p->topic && t->count) {
		*out = t->topics[0].handle;
		return WR_OK;
	}
	hash = wr_key_hash((const uint8_t *)name.p, name.len);
	if (t->last >= t->count || at->hash != hash || strcmp(rd_kafka_topic_name(at->handle), name.p)) {
		for (at = t->topics; at < t->topics + t->count; at++)
			if (at->hash == hash && !strcmp(rd_kafka_topic_name(at->handle), name.p))
				break;
	}
	if (at == t->topics + TOPICS_MAX)
		at = forget_one(t);
	if (at == t->topics + t->count) {
		*at = (struct topic){hash, rd_kafka_topic_new(p->client.rk, name.p, NULL)};
		if (!at->handle)
			return wr_kafka_failed(rd_kafka_last_error(), "topic %s", name.p);
		t->count++;
	}
	t->last = (uint32_t)(at - t->topics);
	*out = at->handle;
	return WR_OK;
}

size_t wr_kafka_value_max(const struct wr_value *options)
{
	const char *kb =
	    wr_value_str(wr_value_get(options, "properties"), "queue.buffering.max.kbytes", NULL);

	return (kb ? (size_t)strtoull(kb, NULL, 10) : QUEUE_KB) * 1024;
}

int wr_kafka_value_refused(size_t len, size_t max)
{
	return wr_error_set(WR_EUSER,
			    "a value of %zu bytes does not fit into the queue, which the property "
			    "\"queue.buffering.max.kbytes\" limits to %zu bytes",
			    len, max);
}

int wr_kafka_size_refused(const struct wr_kafka_message *m)
{
	return wr_error_set(WR_EUSER,
			    "a message of %zu bytes is larger than the property \"message.max.bytes\" allows",
			    wr_kafka_message_size(m));
}

/* Why the library did not take a message: WR_AGAIN where its queue is full, or the error. */
static int refused(struct wr_kafka_producer *p, rd_kafka_resp_err_t code, const struct wr_kafka_message *m)
{
	char fatal[256];

	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return m->value.len > wr_kafka_value_max(p->options)
			   ? wr_kafka_value_refused(m->value.len, wr_kafka_value_max(p->options))
			   : WR_AGAIN;
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return wr_kafka_size_refused(m);
	if (rd_kafka_fatal_error(p->client.rk, fatal, sizeof fatal))
		return wr_error_set(WR_ETRANSIENT, "topic %s: %s", m->topic.p, fatal);
	if (code == RD_KAFKA_RESP_ERR__STATE) /* why it failed, its messages may say, or another try */
		return wr_error_set(WR_ETRANSIENT, "topic %s: the transaction has failed", m->topic.p);
	if (code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return wr_error_set(WR_EUSER, "there is no topic %s", m->topic.p);
	return wr_kafka_failed(code, "topic %s", m->topic.p);
}

/* Topic, mark, key, value, time; then headers. Their number. */
static size_t put_parts(const struct wr_kafka_message *m, rd_kafka_topic_t *topic, void *mark,
			rd_kafka_vu_t *parts)
{
	struct wr_str at = m->headers, name, value;
	size_t n = 0;

	parts[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic};
	parts[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = mark};
	parts[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
	parts[n++] =
	    (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)m->key.p, m->key.len}};
	parts[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE,
				     .u.mem = {(void *)(uintptr_t)m->value.p, m->value.len}};
	parts[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = m->timestamp};
	while (wr_kafka_header_next(&at, &name, &value)) {
		WR_ASSERT(n < PARTS_MAX);
		parts[n++] =
		    (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {name.p, value.p, value.len}};
	}
	return n;
}

static int send_with_parts(struct wr_kafka_producer *p, const struct wr_kafka_message *m,
			   rd_kafka_topic_t *topic, void *mark)
{
	rd_kafka_vu_t *parts = p->topics->parts;
	rd_kafka_error_t *error = rd_kafka_produceva(p->client.rk, parts, put_parts(m, topic, mark, parts));
	rd_kafka_resp_err_t code;

	if (!error)
		return WR_OK;
	code = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	return refused(p, code, m);
}

static int send_plain(struct wr_kafka_producer *p, const struct wr_kafka_message *m, rd_kafka_topic_t *topic,
		      void *mark)
{
	if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)m->value.p,
			     m->value.len, m->key.p, m->key.len, mark) == 0)
		return WR_OK;
	return refused(p, rd_kafka_last_error(), m);
}

/* What the library keeps beside the message. */
static void *opaque_of(const struct wr_kafka_message *m, uint8_t mark)
{
	return (void *)((uintptr_t)m->number << NUMBER_SHIFT | mark);
}

/* The message of a row, and its topic. WR_END: there is none. */
static int make(struct wr_kafka_producer *p, const struct wr_elem *row, struct wr_kafka_message *m,
		rd_kafka_topic_t **topic)
{
	int rc = wr_kafka_message_of(p->maker, row, m);

	return rc == WR_OK ? topic_of(p, m->topic, topic) : rc;
}

static int send_one(struct wr_kafka_producer *p, const struct wr_kafka_message *m, rd_kafka_topic_t *topic,
		    uint8_t mark)
{
	return m->timestamp || m->headers.p ? send_with_parts(p, m, topic, opaque_of(m, mark))
					    : send_plain(p, m, topic, opaque_of(m, mark));
}

int wr_kafka_produce(struct wr_kafka_producer *p, const struct wr_elem *row, uint8_t mark)
{
	struct wr_kafka_message m;
	rd_kafka_topic_t *topic = NULL;
	int rc = make(p, row, &m, &topic);

	return rc == WR_OK ? send_one(p, &m, topic, mark) : rc;
}

/* ---- many messages ---- */

static bool stands_in(struct wr_str text, const struct wr_elem *row)
{
	return !text.p || (text.p >= (const char *)row && text.p < (const char *)row + row->len);
}

/* Copies what would be gone with the next message. */
static void *keep(struct batch *b, struct wr_str text, const struct wr_elem *row)
{
	char *to = b->texts + b->texts_len;

	if (stands_in(text, row))
		return (void *)(uintptr_t)text.p;
	memcpy(to, text.p, text.len);
	b->texts_len += text.len;
	return to;
}

/* Hands over what is in the batch, and empties it. At WR_AGAIN, *rows is the first that was not taken. */
static int send_batch(struct wr_kafka_producer *p, const uint8_t **rows)
{
	struct batch *b = &p->topics->batch;
	uint32_t count = b->count, i = 0;
	struct wr_kafka_message m;

	b->count = b->texts_len = 0;
	if (!count ||
	    rd_kafka_produce_batch(b->topic, RD_KAFKA_PARTITION_UA, b->copies ? RD_KAFKA_MSG_F_COPY : 0,
				   b->messages, (int)count) == (int)count)
		return WR_OK;
	while (i < count && !b->messages[i].err)
		i++;
	WR_ASSERT(i < count);
	*rows = b->rows[i];
	m = (struct wr_kafka_message){.topic = {rd_kafka_topic_name(b->topic), 0},
				      .key = {b->messages[i].key, (uint32_t)b->messages[i].key_len},
				      .value = {b->messages[i].payload, (uint32_t)b->messages[i].len}};
	return refused(p, b->messages[i].err, &m);
}

/* Can it go out with those of the batch? */
static bool fits(const struct batch *b, const struct wr_kafka_message *m, rd_kafka_topic_t *topic,
		 bool copies)
{
	return !b->count || (b->count < BATCH_MAX && b->topic == topic && b->copies == copies &&
			     TEXTS_MAX - b->texts_len >= (uint64_t)m->key.len + m->value.len);
}

static void add(struct batch *b, const struct wr_elem *row, const struct wr_kafka_message *m,
		rd_kafka_topic_t *topic, bool copies)
{
	b->topic = topic;
	b->copies = copies;
	b->rows[b->count] = (const uint8_t *)row;
	b->messages[b->count++] = (rd_kafka_message_t){.payload = keep(b, m->value, row),
						       .len = m->value.len,
						       .key = keep(b, m->key, row),
						       .key_len = m->key.len,
						       ._private = opaque_of(m, 0)};
}

/* Into the batch, which is sent first where this one has no place in it; or alone. *rows moves back to what
 * could not be sent. */
static int put_row(struct wr_kafka_producer *p, const uint8_t **rows, bool lasting)
{
	const struct wr_elem *row = (const struct wr_elem *)*rows;
	struct wr_kafka_message m;
	rd_kafka_topic_t *topic = NULL;
	bool copies, alone;
	int rc = make(p, row, &m, &topic);

	if (rc != WR_OK)
		return rc;
	p->messages++;
	p->bytes += MESSAGE_BYTES + (uint64_t)m.key.len + m.value.len;
	copies = !lasting || !stands_in(m.value, row);
	alone = m.timestamp || m.headers.p || (uint64_t)m.key.len + m.value.len > TEXTS_MAX;
	if (alone || !fits(&p->topics->batch, &m, topic, copies))
		rc = send_batch(p, rows);
	if (rc != WR_OK)
		return rc;
	if (alone)
		return send_one(p, &m, topic, 0);
	add(&p->topics->batch, row, &m, topic, copies);
	return WR_OK;
}

int wr_kafka_produce_rows(struct wr_kafka_producer *p, const uint8_t **rows, const uint8_t *end, bool lasting)
{
	const uint8_t *at = *rows;
	int rc = WR_OK;

	p->topics->batch.count = p->topics->batch.texts_len = 0;
	while (at < end && rc == WR_OK) {
		uint32_t len = ((const struct wr_elem *)at)->len;

		rc = put_row(p, &at, lasting);
		if (rc == WR_END)
			rc = WR_OK;
		if (rc == WR_OK)
			at += len;
	}
	if (rc == WR_OK)
		rc = send_batch(p, &at);
	*rows = at;
	return rc;
}
