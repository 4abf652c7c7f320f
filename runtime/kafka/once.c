/* SPDX-License-Identifier: Apache-2.0 */
/* once: topics as a target of the epoch log (commit/sink.h): guarantee = "exactly_once". The protocol is
 * publisher.h's; here is what it asks of brokers, by librdkafka. On the committer's thread, which may block.
 */
#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "kafka/group.h"
#include "kafka/producer.h"
#include "publish/publisher.h"
#include "kafka/sink.h"
#include "stream/remote.h"

enum {
	CALL_MS = 2000,	       /* a call waits so long at most, and is made again (publisher.h) */
	LEAVING_MS = 3000,     /* for a marker, once the sink is to end */
	TOPIC_PATIENCE_S = 10, /* until a topic is there that the cluster makes by itself */
	POLL_MS = 50,
	LOOK_SOON_MS = 20,     /* the queue is looked at each ms for so long: answers mostly come by then */
	LOOK_MS = 5,	       /* and less often then */
	MESSAGE_MAX = 1000000, /* the library's default of "message.max.bytes" */
	RETENTION_DAYS = 7     /* the brokers' of their offsets.retention.minutes */
};
/* The library fills a request up to "batch.size" (1000000 bytes) and "batch.num.messages" (10000), so that
 * less than two of a partition are less than twice that (ahead_max). The bound is of all partitions together,
 * and says little of each where there are many: of so many at most it is kept. */
enum { AHEAD_BYTES = 1400000, AHEAD_MAX = 14000, PARTITIONS_MAX = 4 };

struct kafka_once {
	struct wr_target base; /* first */
	struct wr_kafka_publisher publisher;
	struct wr_kafka_producer producer;
	struct wr_kafka_reader reader;
	struct wr_kafka_put *put;    /* under way, or NULL */
	struct wr_kafka_maker *fits; /* the task's */
	size_t message_max, value_max;
	const struct wr_stage *stage;
	const char *marker_topic;
	int64_t retention_ms; /* an option; 0 = as the broker says */
	bool lingers;	      /* until requests are whole: nobody said what these are to be */
	uint32_t partitions;  /* that all goes to; 0: many, or it is not known */
	int code;	      /* of the first message that was not delivered, since `begin` */
	char name[128], default_prefix[256];
};

static struct wr_mem mem = WR_MEM_INIT("kafka.once");
static struct wr_kafka_claims claims = WR_KAFKA_CLAIMS_INIT;

static struct kafka_once *of(struct wr_target *t)
{
	return (struct kafka_once *)t;
}

/* ---- errors: whatever cannot be mended from outside is tried again behind a new client ---- */

/* Does it stay so, however often it is tried? */
static bool is_lasting(int code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
	case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return true;
	default:
		return false;
	}
}

/* An error in the words that say most: of a client that is done for, of a message that was not delivered, or
 * of the call. */
static int failed(const struct kafka_once *k, int code, const char *what, const char *words)
{
	char fatal[256], lost[512];

	snprintf(lost, sizeof lost, "a message for topic %s was not delivered: %s", k->producer.lost_to,
		 rd_kafka_err2str(k->code));
	if (k->code && is_lasting(k->code))
		return wr_error_set(WR_EUSER, "%s: %s", k->name, lost);
	if (k->code)
		words = lost;
	if (k->producer.client.rk && rd_kafka_fatal_error(k->producer.client.rk, fatal, sizeof fatal))
		words = fatal;
	return wr_error_set(is_lasting(code) ? WR_EUSER : WR_ETRANSIENT, "%s: %s: %s", k->name, what, words);
}

/* Takes the error of a call: WR_OK if it is NULL, WR_AGAIN if the same call may help. */
static int answer(const struct kafka_once *k, rd_kafka_error_t *error, const char *what)
{
	bool again;
	int rc;

	if (!error)
		return WR_OK;
	again = rd_kafka_error_is_retriable(error);
	rc = failed(k, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	rd_kafka_poll(k->producer.client.rk, 0); /* it says why there is no answer */
	return again ? WR_AGAIN : rc;
}

/* ---- what the protocol asks (publisher.h): a client ---- */

static int txn_open(void *arg, const char *id)
{
	struct kafka_once *k = arg;
	/* What is delivered is known by there being nothing left. The last messages of an epoch do not
	 * linger: it is flushed. */
	const char *const presets[] = {"transactional.id",
				       id,
				       "delivery.report.only.error",
				       "true",
				       k->lingers ? "linger.ms" : NULL,
				       "100",
				       NULL};

	k->code = 0;
	return k->put ? failed(k, 0, "marker", "the last one was given up, and is still under way")
		      : wr_kafka_producer_open(&k->producer, presets);
}

static void txn_close(void *arg)
{
	struct kafka_once *k = arg;

	wr_kafka_reader_close(&k->reader);
	if (k->put && wr_kafka_put_over(k->put, 0)) {
		rd_kafka_error_t *error = wr_kafka_put_take(k->put);

		if (error)
			rd_kafka_error_destroy(error);
		k->put = NULL;
	}
	if (!k->put)
		wr_kafka_producer_close(&k->producer);
}

/* How many partitions all goes to, where they are known and few. */
static void count_partitions(struct kafka_once *k, const rd_kafka_metadata_topic_t *topic)
{
	bool only = k->producer.topic && !strcmp(k->producer.topic, topic->topic);

	k->partitions =
	    only && k->lingers && topic->partition_cnt <= PARTITIONS_MAX ? (uint32_t)topic->partition_cnt : 0;
}

/* 0, or why brokers do not know the topic. */
static rd_kafka_resp_err_t topic_state(struct kafka_once *k)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(k->producer.client.rk, k->marker_topic, NULL);
	const struct rd_kafka_metadata *m = NULL;
	rd_kafka_resp_err_t code;

	if (!topic)
		return rd_kafka_last_error();
	code = rd_kafka_metadata(k->producer.client.rk, 0, topic, &m, CALL_MS);
	if (!code)
		code = m->topic_cnt == 1 ? m->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	if (!code)
		count_partitions(k, &m->topics[0]);
	if (m)
		rd_kafka_metadata_destroy(m);
	rd_kafka_topic_destroy(topic);
	return code;
}

/* The topic is there, or is made by the cluster now. */
static int find_topic(struct kafka_once *k)
{
	uint64_t until_ns = wr_clock_ns(wr_clock_system()) + TOPIC_PATIENCE_S * UINT64_C(1000000000);
	rd_kafka_resp_err_t code = topic_state(k);

	if (code && !is_lasting(code))
		wr_info("kafka", "%s: waiting for at most %d s for the topic %s: %s", k->name,
			TOPIC_PATIENCE_S, k->marker_topic, rd_kafka_err2str(code));
	while (code && wr_clock_ns(wr_clock_system()) < until_ns && !is_lasting(code) &&
	       !wr_sink_is_leaving(k->stage)) {
		rd_kafka_poll(k->producer.client.rk, POLL_MS);
		code = topic_state(k);
	}
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		return wr_error_set(WR_EUSER, "%s: there is no topic %s", k->name, k->marker_topic);
	return code ? wr_kafka_failed(code, "%s: topic %s", k->name, k->marker_topic) : WR_OK;
}

static int txn_init(void *arg)
{
	struct kafka_once *k = arg;
	int rc = answer(k, rd_kafka_init_transactions(k->producer.client.rk, CALL_MS), "no transactional id");

	return rc == WR_OK ? find_topic(k) : rc;
}

static int txn_read(void *arg, const char *group, struct wr_kafka_found *out)
{
	struct kafka_once *k = arg;

	return wr_kafka_reader_ask(&k->reader, k->producer.client.rk, group, k->marker_topic, out);
}

/* ---- and transactions ---- */

static int txn_begin(void *arg)
{
	struct kafka_once *k = arg;

	k->code = 0;
	return answer(k, rd_kafka_begin_transaction(k->producer.client.rk), "begin");
}

/* Without an answer it is waited for, as long as anybody waits for the sink: the client cannot be used for
 * anything else. */
static int txn_put(void *arg, const char *group, int64_t offset, const char *note)
{
	struct kafka_once *k = arg;
	rd_kafka_error_t *error;

	k->put = wr_kafka_put_begin(k->producer.client.rk, group, k->marker_topic, offset, note);
	if (!k->put)
		return wr_error_code();
	for (int leaving_ms = 0; !wr_kafka_put_over(k->put, POLL_MS);) {
		rd_kafka_poll(k->producer.client.rk, 0); /* it says that no broker is reached */
		leaving_ms = wr_sink_is_leaving(k->stage) ? leaving_ms + POLL_MS : 0;
		if (leaving_ms >= LEAVING_MS)
			return failed(k, 0, "marker", "the coordinator of its group is not reached");
	}
	error = wr_kafka_put_take(k->put);
	k->put = NULL;
	return answer(k, error, "marker");
}

static int txn_commit(void *arg)
{
	struct kafka_once *k = arg;

	return answer(k, rd_kafka_commit_transaction(k->producer.client.rk, CALL_MS), "commit");
}

static bool txn_is_leaving(void *arg)
{
	const struct kafka_once *k = arg;

	return wr_sink_is_leaving(k->stage);
}

/* Waits until the library has no more than `enough` messages, or has given one up; no longer than `ms_max`,
 * unless it is 0. Nothing tells of the former, so it is looked for. When the sink is to end, brokers have a
 * moment for it. */
static int await_room(struct kafka_once *k, int enough, int ms_max)
{
	rd_kafka_t *rk = k->producer.client.rk;
	int waited_ms = 0, quiet_ms = 0, left = INT_MAX, now;

	while ((now = rd_kafka_outq_len(rk)) > enough && !k->code && (!ms_max || waited_ms < ms_max)) {
		int ms = waited_ms < LOOK_SOON_MS ? 1 : LOOK_MS;

		rd_kafka_poll(rk, ms);
		waited_ms += ms;
		quiet_ms = now < left ? 0 : quiet_ms + ms;
		left = now;
		if (quiet_ms >= CALL_MS && wr_sink_is_leaving(k->stage))
			return failed(k, 0, "rows", "they are not acknowledged");
	}
	return k->code ? failed(k, k->code, "rows", "") : WR_OK;
}

/* The library has one request of a partition under way, and while it has another one ready, its thread looks
 * for an answer without a pause (2.0.2). So what goes ahead of the answers is less than two requests of each
 * partition, where these are few and known; what is no whole request waits for that, or for the flush. The
 * number of messages as large as those of the last block, or INT_MAX. */
static int ahead_max(const struct kafka_once *k)
{
	uint64_t messages = k->producer.messages, given = k->producer.bytes;
	uint64_t most = (uint64_t)k->partitions * AHEAD_MAX, bytes = (uint64_t)k->partitions * AHEAD_BYTES;

	if (!most || !given)
		return INT_MAX;
	return (int)(most * given < bytes * messages ? most : bytes * messages / given);
}

static int send_batch(struct kafka_once *k, const uint8_t *p, const uint8_t *end, bool lasting)
{
	int rc = await_room(k, ahead_max(k), 0);

	k->producer.messages = k->producer.bytes = 0;
	while (rc == WR_OK && p < end) {
		rc = wr_kafka_produce_rows(&k->producer, &p, end, lasting);
		if (rc == WR_AGAIN) {
			int left = rd_kafka_outq_len(k->producer.client.rk);

			rc = await_room(k, left / 4 * 3, 0); /* 0, if it is empty by now */
		}
	}
	rd_kafka_poll(k->producer.client.rk, 0);
	return rc != WR_OK && k->code ? failed(k, k->code, "rows", "") : rc;
}

static int send_rows(struct kafka_once *k, struct wr_epoch_rows *rows)
{
	const uint8_t *p, *end;
	int rc;

	k->producer.messages = k->producer.bytes = 0;
	while ((rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK) {
		rc = send_batch(k, p, end, rows->lasting);
		if (rc != WR_OK)
			return rc;
	}
	return rc == WR_END ? WR_OK : rc;
}

/* All is acknowledged before the marker is written, so that a transaction that fails, fails without one. */
static int flush(struct kafka_once *k)
{
	rd_kafka_t *rk = k->producer.client.rk;
	rd_kafka_resp_err_t code;
	int left;

	do {
		left = rd_kafka_outq_len(rk);
		code = rd_kafka_flush(rk, CALL_MS);
	} while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && !k->code &&
		 (rd_kafka_outq_len(rk) < left || !wr_sink_is_leaving(k->stage)));
	if (code || k->code)
		return failed(k, code, "rows", rd_kafka_err2str(code));
	wr_kafka_client_up(&k->producer.client);
	return WR_OK;
}

static int txn_send(void *arg, struct wr_epoch_rows *rows)
{
	int rc = send_rows(arg, rows);

	if (rc == WR_OK) /* what is flushed is ready at once: mostly, this leaves one request */
		rc = await_room(arg, ahead_max(arg) / 2, LOOK_SOON_MS);
	return rc == WR_OK ? flush(arg) : rc;
}

static const struct wr_kafka_txn_ops txn_ops = {.open = txn_open,
						.close = txn_close,
						.init = txn_init,
						.read = txn_read,
						.begin = txn_begin,
						.send = txn_send,
						.put = txn_put,
						.commit = txn_commit,
						.is_leaving = txn_is_leaving};

/* ---- the contract ---- */

/* Subtasks ask the same, and one says it. */
static int64_t ask_retention_ms(const struct kafka_once *k)
{
	int64_t ms;

	if (wr_kafka_group_retention(k->producer.client.rk, &ms) == WR_OK)
		return ms;
	if (k->stage->env->subtask == 0)
		wr_warn("kafka",
			"%s: %s: it is taken for %d days, as it is unless they are configured; the option "
			"\"marker_retention\" says another",
			k->name, wr_error_text(), RETENTION_DAYS);
	return RETENTION_DAYS * INT64_C(86400000);
}

static int once_open(struct wr_target *t, bool fresh)
{
	struct kafka_once *k = of(t);
	struct wr_mark mark = {.uid = k->stage->ops_stats[0].uid, .log = k->stage->env->subtask};
	int rc = wr_kafka_publisher_open(&k->publisher, &mark);

	(void)fresh;
	if (rc == WR_OK && k->stage->env->durable)
		t->keeps_ms = k->retention_ms ? k->retention_ms : ask_retention_ms(k);
	return rc;
}

static int once_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	return wr_kafka_publisher_last(&of(t)->publisher, mark, epoch);
}

static int once_look(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	return wr_kafka_publisher_look(&of(t)->publisher, mark, epoch);
}

static int once_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
		       struct wr_epoch_rows *rows)
{
	return wr_kafka_publisher_commit(&of(t)->publisher, mark, epoch, rows);
}

static int once_keep(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch)
{
	return wr_kafka_publisher_keep(&of(t)->publisher, mark, epoch);
}

/* What could never be committed is put aside before it is logged. */
static int once_fits(struct wr_target *t, const struct wr_elem *row)
{
	struct kafka_once *k = of(t);
	struct wr_kafka_message m;
	int rc;

	if (wr_kafka_message_surely(k->fits, row,
				    k->message_max < k->value_max ? k->message_max : k->value_max))
		return WR_OK;
	rc = wr_kafka_message_of(k->fits, row, &m);
	if (rc == WR_OK && wr_kafka_message_size(&m) > k->message_max)
		return wr_kafka_size_refused(&m);
	if (rc == WR_OK && m.value.len > k->value_max)
		return wr_kafka_value_refused(m.value.len, k->value_max);
	return rc == WR_END ? WR_OK : rc;
}

/* Of the stage, nothing is there any more where a marker was left behind. */
static void release(void *arg)
{
	struct kafka_once *k = arg;

	wr_kafka_producer_deinit(&k->producer);
	wr_free(&mem, k);
}

static void once_free(struct wr_target *t)
{
	struct kafka_once *k = of(t);

	wr_kafka_reader_close(&k->reader);
	wr_kafka_maker_free(k->fits);
	k->producer.client.remote = NULL;
	wr_remote_detach(&k->stage->ops_stats[0].remote);
	if (k->put)
		wr_kafka_put_leave(k->put, release, k);
	else
		release(k);
}

static const struct wr_target_ops target_ops = {.open = once_open,
						.last = once_last,
						.look = once_look,
						.commit = once_commit,
						.keep = once_keep,
						.free = once_free,
						.fits = once_fits};

static void delivered(void *arg, uint8_t mark, int code)
{
	struct kafka_once *k = arg;

	(void)mark;
	if (code && !k->code)
		k->code = code;
}

/* ---- the stage ---- */

/* Does the script leave the sizes of requests and queues to us? */
static bool is_free(const struct wr_value *properties)
{
	static const char *const names[] = {
	    "linger.ms",	  "queue.buffering.max.ms",	  "batch.size",
	    "batch.num.messages", "queue.buffering.max.messages", "queue.buffering.max.kbytes",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (wr_value_get(properties, names[i]))
			return false;
	return true;
}

static int take_options(struct kafka_once *k, const struct wr_value *o)
{
	const char *max = wr_value_str(wr_value_get(o, "properties"), "message.max.bytes", NULL);

	snprintf(k->default_prefix, sizeof k->default_prefix, "weir-%.200s", k->stage->env->job);
	k->publisher = (struct wr_kafka_publisher){
	    .ops = &txn_ops,
	    .arg = k,
	    .clock = wr_clock_system(),
	    .claims = &claims,
	    .name = k->name,
	    .prefix = wr_value_str(o, "transactional_id_prefix", k->default_prefix)};
	k->base.scope = k->publisher.prefix;
	k->base.scope_option = "transactional_id_prefix";
	k->marker_topic = wr_value_str(o, "marker_topic", wr_value_str(o, "topic", ""));
	k->retention_ms = wr_value_int(o, "marker_retention", 0);
	k->message_max = max ? (size_t)strtoull(max, NULL, 10) : MESSAGE_MAX;
	k->value_max = wr_kafka_value_max(o);
	k->lingers = is_free(wr_value_get(o, "properties"));
	k->producer.delivered = delivered;
	k->producer.arg = k;
	k->fits = wr_kafka_maker_new(o);
	return k->fits ? wr_kafka_producer_init(&k->producer, o, k->name) : wr_error_code();
}

static int stage_open(struct wr_stage *s)
{
	struct kafka_once *k = wr_zalloc(&mem, sizeof *k);
	int rc;

	if (!k)
		return WR_EFATAL;
	k->base.ops = &target_ops;
	k->stage = s;
	snprintf(k->name, sizeof k->name, "%.100s[%u]", s->ops_stats[0].name, s->env->subtask);
	rc = take_options(k, s->options);
	if (rc == WR_OK) {
		k->producer.remote = wr_remote_attach(&s->ops_stats[0].remote);
		rc = k->producer.remote ? WR_OK : WR_EFATAL;
	}
	if (rc == WR_OK)
		return wr_sink_open(s, &k->base);
	once_free(&k->base);
	return rc;
}

const struct wr_stage_ops wr_kafka_once_ops = {.kind = "kafka_once", .open = stage_open, WR_SINK_OPS};
