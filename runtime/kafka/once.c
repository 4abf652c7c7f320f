/* SPDX-License-Identifier: Apache-2.0 */
/* once: topics as a target of the epoch log (commit/sink.h): guarantee = "exactly_once". On the committer's
 * thread, which may block.
 *
 * An epoch goes out in one transaction with its number: begin, messages, marker, commit (marker.h). Between
 * two epochs none is open, so that readers of the topics wait for nobody, and an epoch whose transaction ran
 * out of time is sent again from the log. To begin with a log, and behind every error, the same is done: a
 * new client, which fences the one before (init), the claim, and then the marker says whether the epoch is
 * there.
 *
 *   closed ──init, claim──▶ open ──begin … commit──▶ open
 *      ▲                                │ any error
 *      └────────────────────────────────┘
 *
 * A client is of one log. Another log's is opened in its place where a subtask has inherited some.
 */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "kafka/marker.h"
#include "kafka/producer.h"
#include "kafka/sink.h"
#include "record/key.h"

enum { CALL_MS = 10000, PATIENCE_S = 60, TOPIC_PATIENCE_S = 10, POLL_MS = 50, MESSAGE_MAX = 1000000 };

struct kafka_once {
	struct wr_target base; /* first */
	struct wr_kafka_producer producer;
	struct wr_kafka_maker *fits; /* the task's */
	size_t message_max;
	const struct wr_stage *stage;
	const char *prefix, *marker_topic;
	int64_t retention_ms; /* an option; 0 = as the broker says */
	uint32_t log;	      /* of the open client */
	int code;	      /* of the first message that was not delivered, since `begin` */
	char name[128], default_prefix[256];
};

static struct wr_mem mem = WR_MEM_INIT("kafka.once");

static struct kafka_once *of(struct wr_target *t)
{
	return (struct kafka_once *)t;
}

/* ---- which ids this process has claimed, by all its attempts ---- */

static pthread_mutex_t claims_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
	uint64_t own; /* the number that it claims with, 0 = not drawn yet */
	uint64_t *ids;
	uint32_t count, cap;
} claims;

static uint64_t id_hash(const char *id)
{
	return wr_key_hash((const uint8_t *)id, (uint32_t)strlen(id));
}

static bool has_claimed(const char *id, uint64_t *own)
{
	struct wr_clock *clock = wr_clock_system();
	bool found = false;

	pthread_mutex_lock(&claims_mutex);
	if (!claims.own) {
		struct wr_rand draw = {wr_clock_ns(clock) ^ (uint64_t)wr_clock_ms(clock) << 20 ^
				       (uint64_t)getpid() << 44};

		claims.own = wr_rand_next(&draw) | 1;
	}
	*own = claims.own;
	for (uint32_t i = 0; i < claims.count; i++)
		found |= claims.ids[i] == id_hash(id);
	pthread_mutex_unlock(&claims_mutex);
	return found;
}

static int remember_claim(const char *id)
{
	int rc = WR_OK;

	pthread_mutex_lock(&claims_mutex);
	if (claims.count == claims.cap) {
		uint32_t cap = claims.cap ? 2 * claims.cap : 16;
		uint64_t *ids = wr_realloc(&mem, claims.ids, cap * sizeof *ids);

		if (ids) {
			claims.ids = ids;
			claims.cap = cap;
		} else {
			rc = WR_EFATAL;
		}
	}
	if (rc == WR_OK)
		claims.ids[claims.count++] = id_hash(id);
	pthread_mutex_unlock(&claims_mutex);
	return rc;
}

/* ---- errors: whatever cannot be mended from outside is tried again behind a new client ---- */

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
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return true;
	default:
		return false;
	}
}

static int failed(const struct kafka_once *k, int code, const char *what, const char *words)
{
	char fatal[256];

	if (k->code && is_lasting(k->code))
		return wr_error_set(WR_EUSER, "%s: a message was not delivered: %s", k->name,
				    rd_kafka_err2str(k->code));
	if (k->code)
		words = rd_kafka_err2str(k->code);
	if (k->producer.client.rk && rd_kafka_fatal_error(k->producer.client.rk, fatal, sizeof fatal))
		words = fatal;
	return wr_error_set(is_lasting(code) ? WR_EUSER : WR_ETRANSIENT, "%s: %s: %s", k->name, what, words);
}

/* Takes the error of a call: WR_OK if it is NULL, WR_AGAIN if the same call may help, until `until_ns`. */
static int answer(const struct kafka_once *k, rd_kafka_error_t *error, const char *what, uint64_t until_ns)
{
	int rc;

	if (!error)
		return WR_OK;
	if (rd_kafka_error_is_retriable(error) && wr_clock_ns(wr_clock_system()) < until_ns)
		rc = WR_AGAIN;
	else
		rc = failed(k, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return rc;
}

static uint64_t within_s(uint64_t s)
{
	return wr_clock_ns(wr_clock_system()) + s * 1000000000;
}

/* ---- transactions ---- */

static int begin(struct kafka_once *k)
{
	k->code = 0;
	return answer(k, rd_kafka_begin_transaction(k->producer.client.rk), "begin", 0);
}

static int put_offset(struct kafka_once *k, const char *group, int64_t offset, const char *note)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, k->marker_topic, 0);
	rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata_new(group);
	uint64_t until_ns = within_s(PATIENCE_S);
	int rc;

	p->offset = offset;
	p->metadata = rd_kafka_mem_malloc(k->producer.client.rk, WR_KAFKA_NOTE);
	p->metadata_size = strlen(note);
	memcpy(p->metadata, note, p->metadata_size);
	do
		rc = answer(
		    k, rd_kafka_send_offsets_to_transaction(k->producer.client.rk, list, metadata, CALL_MS),
		    "marker", until_ns);
	while (rc == WR_AGAIN);
	rd_kafka_consumer_group_metadata_destroy(metadata);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

static int commit(struct kafka_once *k)
{
	uint64_t until_ns = within_s(PATIENCE_S);
	int rc;

	do
		rc = answer(k, rd_kafka_commit_transaction(k->producer.client.rk, CALL_MS), "commit",
			    until_ns);
	while (rc == WR_AGAIN);
	return rc;
}

/* ---- a client of a log ---- */

static int init(struct kafka_once *k)
{
	uint64_t until_ns = within_s(PATIENCE_S);
	int rc;

	do
		rc = answer(k, rd_kafka_init_transactions(k->producer.client.rk, CALL_MS),
			    "no transactional id", until_ns);
	while (rc == WR_AGAIN);
	return rc;
}

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
	if (m)
		rd_kafka_metadata_destroy(m);
	rd_kafka_topic_destroy(topic);
	return code;
}

/* The topic is there, or is made by the cluster now. */
static int find_topic(struct kafka_once *k)
{
	uint64_t until_ns = within_s(TOPIC_PATIENCE_S);
	rd_kafka_resp_err_t code = topic_state(k);

	while (code && wr_clock_ns(wr_clock_system()) < until_ns && !is_lasting(code)) {
		rd_kafka_poll(k->producer.client.rk, POLL_MS);
		code = topic_state(k);
	}
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		return wr_error_set(WR_EUSER, "%s: there is no topic %s", k->name, k->marker_topic);
	return code ? wr_kafka_failed(code, "%s: topic %s", k->name, k->marker_topic) : WR_OK;
}

static int write_claim(struct kafka_once *k, const char *id, uint64_t own)
{
	char note[WR_KAFKA_NOTE];
	int rc = begin(k);

	wr_kafka_note(WR_KAFKA_CLAIM, own, note);
	if (rc == WR_OK)
		rc = put_offset(k, id, 0, note);
	WR_CRASH_STEP("kafka.claim");
	if (rc == WR_OK)
		rc = commit(k);
	return rc == WR_OK ? remember_claim(id) : rc;
}

static int claim(struct kafka_once *k, const char *id)
{
	struct wr_kafka_found found;
	enum wr_kafka_claimed is;
	uint64_t own;
	bool did = has_claimed(id, &own);
	int rc = wr_kafka_group_read(k->producer.client.rk, id, k->marker_topic, 0, &found);

	if (rc == WR_OK)
		rc = wr_kafka_judge_claim(&found, own, did, &is);
	if (rc != WR_OK)
		return wr_error_wrap(rc, "%s: group %s", k->name, id);
	if (is == WR_KAFKA_THEIRS)
		return wr_error_set(
		    WR_ESUPERSEDED,
		    "%s: another process of this job began after this one and has taken the "
		    "transactional id %s: this one writes nothing more. Two jobs that shall run "
		    "at the same time need different values of transactional_id_prefix",
		    k->name, id);
	return is == WR_KAFKA_FREE ? write_claim(k, id, own) : WR_OK;
}

static int open_log(struct kafka_once *k, const struct wr_mark *mark)
{
	char id[WR_KAFKA_GROUP];
	const char *const presets[] = {"transactional.id", id, NULL};
	uint64_t own;
	int rc;

	wr_kafka_id(k->prefix, mark, id);
	wr_kafka_producer_close(&k->producer);
	k->code = 0;
	rc = wr_kafka_producer_open(&k->producer, presets);
	if (rc == WR_OK && has_claimed(id, &own)) /* who was overtaken takes it from nobody again */
		rc = claim(k, id);
	if (rc == WR_OK)
		rc = init(k);
	if (rc == WR_OK)
		rc = find_topic(k);
	if (rc == WR_OK)
		rc = claim(k, id);
	k->log = mark->log;
	if (rc != WR_OK)
		wr_kafka_producer_close(&k->producer);
	return rc;
}

static bool is_open(const struct kafka_once *k, uint32_t log)
{
	return k->producer.client.rk && k->log == log;
}

/* ---- the contract ---- */

static int once_open(struct wr_target *t, bool fresh)
{
	struct kafka_once *k = of(t);
	struct wr_mark mark = {.uid = k->stage->ops_stats[0].uid, .log = k->stage->env->subtask};
	int rc = open_log(k, &mark);

	if (rc == WR_OK && !fresh)
		t->keeps_ms =
		    k->retention_ms ? k->retention_ms : wr_kafka_group_retention_ms(k->producer.client.rk);
	return rc;
}

/* Has any process ever had the id of this log? Whoever had it has claimed it. */
static int was_used(struct kafka_once *k, const struct wr_mark *mark, bool *used)
{
	struct wr_kafka_found found;
	char id[WR_KAFKA_GROUP];
	int rc;

	*used = true;
	if (!k->producer.client.rk)
		return WR_OK;
	wr_kafka_id(k->prefix, mark, id);
	rc = wr_kafka_group_read(k->producer.client.rk, id, k->marker_topic, 0, &found);
	*used = rc != WR_OK || found.offset >= 0;
	return rc;
}

static int read_marker(struct kafka_once *k, const struct wr_mark *mark, uint64_t *epoch)
{
	struct wr_kafka_found found;
	char group[WR_KAFKA_GROUP];
	int rc;

	wr_kafka_marker(k->prefix, mark, group);
	rc = wr_kafka_group_read(k->producer.client.rk, group, k->marker_topic, 0, &found);
	if (rc == WR_OK)
		rc = wr_kafka_judge_marker(&found, mark->lineage, epoch);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "%s: group %s", k->name, group);
}

static int once_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	struct kafka_once *k = of(t);
	bool used = true;
	int rc = WR_OK;

	*epoch = 0;
	if (!is_open(k, mark->log)) {
		rc = was_used(k, mark, &used);
		if (rc == WR_OK && used)
			rc = open_log(k, mark);
	}
	return rc == WR_OK && used ? read_marker(k, mark, epoch) : rc;
}

static int send_row(struct kafka_once *k, const struct wr_elem *row)
{
	int rc = wr_kafka_produce(&k->producer, row, 0);

	while (rc == WR_AGAIN && !k->code) {
		rd_kafka_poll(k->producer.client.rk, POLL_MS);
		rc = wr_kafka_produce(&k->producer, row, 0);
	}
	if (rc == WR_AGAIN)
		return failed(k, k->code, "rows", "");
	return rc == WR_END ? WR_OK : rc;
}

static int send_rows(struct kafka_once *k, struct wr_epoch_rows *rows)
{
	const uint8_t *p, *end;
	int rc;

	while ((rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK) {
		for (; p < end && rc == WR_OK; p += ((const struct wr_elem *)p)->len)
			rc = send_row(k, (const struct wr_elem *)p);
		rd_kafka_poll(k->producer.client.rk, 0);
		if (rc != WR_OK)
			return rc;
	}
	return rc == WR_END ? WR_OK : rc;
}

/* All is acknowledged before the marker is written, so that a transaction that fails, fails without one. */
static int flush(struct kafka_once *k)
{
	rd_kafka_resp_err_t code;

	do
		code = rd_kafka_flush(k->producer.client.rk, CALL_MS);
	while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && !k->code);
	return code || k->code ? failed(k, code, "rows", rd_kafka_err2str(code)) : WR_OK;
}

static int publish(struct kafka_once *k, const struct wr_mark *mark, uint64_t epoch,
		   struct wr_epoch_rows *rows)
{
	char group[WR_KAFKA_GROUP], note[WR_KAFKA_NOTE];
	int rc = begin(k);

	wr_kafka_marker(k->prefix, mark, group);
	wr_kafka_note(WR_KAFKA_MARKER, mark->lineage, note);
	WR_CRASH_STEP("kafka.begin");
	if (rc == WR_OK)
		rc = send_rows(k, rows);
	if (rc == WR_OK)
		rc = flush(k);
	WR_CRASH_STEP("kafka.send");
	if (rc == WR_OK)
		rc = put_offset(k, group, (int64_t)epoch, note);
	WR_CRASH_STEP("kafka.marker");
	if (rc == WR_OK)
		rc = commit(k);
	WR_CRASH_STEP("kafka.commit");
	return rc;
}

static int once_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
		       struct wr_epoch_rows *rows)
{
	struct kafka_once *k = of(t);
	int rc = is_open(k, mark->log) ? WR_OK : open_log(k, mark);

	if (rc == WR_OK)
		rc = publish(k, mark, epoch, rows);
	if (rc != WR_OK)
		wr_kafka_producer_close(&k->producer);
	return rc;
}

/* What could never be committed is put aside before it is logged. */
static int once_fits(struct wr_target *t, const struct wr_elem *row)
{
	struct kafka_once *k = of(t);
	struct wr_kafka_message m;
	int rc;

	if (wr_kafka_message_surely(k->fits, row, k->message_max))
		return WR_OK;
	rc = wr_kafka_message_of(k->fits, row, &m);
	if (rc == WR_OK && wr_kafka_message_size(&m) > k->message_max)
		return wr_error_set(WR_EUSER,
				    "a message of %zu bytes is larger than the property "
				    "\"message.max.bytes\" allows",
				    wr_kafka_message_size(&m));
	return rc == WR_END ? WR_OK : rc;
}

static void once_free(struct wr_target *t)
{
	struct kafka_once *k = of(t);

	wr_kafka_producer_deinit(&k->producer);
	wr_kafka_maker_free(k->fits);
	wr_free(&mem, k);
}

static const struct wr_target_ops target_ops = {
    .open = once_open, .last = once_last, .commit = once_commit, .free = once_free, .fits = once_fits};

static void delivered(void *arg, uint8_t mark, int code)
{
	struct kafka_once *k = arg;

	(void)mark;
	if (code && !k->code)
		k->code = code;
}

/* ---- the stage ---- */

static int take_options(struct kafka_once *k, const struct wr_value *o)
{
	const char *max = wr_value_str(wr_value_get(o, "properties"), "message.max.bytes", NULL);

	snprintf(k->default_prefix, sizeof k->default_prefix, "weir-%.200s", k->stage->env->job);
	k->prefix = wr_value_str(o, "transactional_id_prefix", k->default_prefix);
	k->marker_topic = wr_value_str(o, "marker_topic", wr_value_str(o, "topic", ""));
	k->retention_ms = wr_value_int(o, "marker_retention", 0);
	k->message_max = max ? (size_t)strtoull(max, NULL, 10) : MESSAGE_MAX;
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
	if (rc == WR_OK)
		return wr_sink_open(s, &k->base);
	once_free(&k->base);
	return rc;
}

const struct wr_stage_ops wr_kafka_once_ops = {.kind = "kafka_once", .open = stage_open, WR_SINK_OPS};
