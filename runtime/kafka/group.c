/* SPDX-License-Identifier: Apache-2.0 */
/* group: see group.h. Of brokers one thing is asked at a time. */
#include "kafka/group.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "kafka/client.h"

enum { ASK_MS = 2000, ANSWER_MS = 10000, PAUSE_MS = 20, MS_PER_MINUTE = 60000 };

/* ---- offsets ---- */

/* Whether a broker refused, while the answer did not come: librdkafka goes on asking. */
static rd_kafka_resp_err_t refusal(rd_kafka_t *reader)
{
	rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 0);
	rd_kafka_resp_err_t code = m ? m->err : RD_KAFKA_RESP_ERR__TIMED_OUT;

	if (m)
		rd_kafka_message_destroy(m);
	return code;
}

static rd_kafka_resp_err_t ask(rd_kafka_t *reader, const char *topic, int32_t partition,
			       struct wr_kafka_found *found)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, topic, partition);
	rd_kafka_resp_err_t code = rd_kafka_committed(reader, list, ASK_MS);

	if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
		code = refusal(reader);
	else if (!code)
		code = p->err;
	if (!code) {
		found->offset = p->offset;
		snprintf(found->note, sizeof found->note, "%.*s", (int)p->metadata_size,
			 p->metadata ? (const char *)p->metadata : "");
	}
	rd_kafka_topic_partition_list_destroy(list);
	return code;
}

/* A consumer of the group that is never subscribed, with the properties of `rk`; of those of a producer it
 * would warn. It hears of offsets that are stable only, since it reads what is committed. The admin's request
 * for them is no way: in librdkafka 2.0.2 it ends the process when brokers go, on a handle without a group
 * through a null pointer (rd_kafka_handle_OffsetFetch), on others by an assertion
 * (rd_kafka_enq_once_del_source_return). */
static rd_kafka_t *reader_of(rd_kafka_t *rk, const char *group)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(rk));
	rd_kafka_t *reader = NULL;
	char text[256];

	if (rd_kafka_conf_set(conf, "group.id", group, text, sizeof text) == RD_KAFKA_CONF_OK &&
	    rd_kafka_conf_set(conf, "isolation.level", "read_committed", text, sizeof text) ==
		RD_KAFKA_CONF_OK &&
	    rd_kafka_conf_set(conf, "log_level", "3", text, sizeof text) == RD_KAFKA_CONF_OK)
		reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
	if (!reader) {
		rd_kafka_conf_destroy(conf);
		wr_error_set(WR_EUSER, "the offset of group %s: %s", group, text);
	}
	return reader;
}

int wr_kafka_reader_ask(struct wr_kafka_reader *r, rd_kafka_t *rk, const char *group, const char *topic,
			struct wr_kafka_found *found)
{
	rd_kafka_resp_err_t code;
	int rc;

	if (r->rk && strcmp(r->group, group) != 0)
		wr_kafka_reader_close(r);
	if (!r->rk)
		r->rk = reader_of(rk, group);
	if (!r->rk)
		return WR_EUSER;
	snprintf(r->group, sizeof r->group, "%s", group);
	code = ask(r->rk, topic, 0, found);
	rc = code ? wr_kafka_failed(code, "the offset of group %s", group) : WR_OK;
	if (rc == WR_ETRANSIENT) {
		rd_kafka_poll(rk, PAUSE_MS);
		return WR_AGAIN;
	}
	wr_kafka_reader_close(r);
	return rc;
}

void wr_kafka_reader_close(struct wr_kafka_reader *r)
{
	if (r->rk)
		rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	r->rk = NULL;
}

/* ---- retention ---- */

static const char RETENTION[] = "offsets.retention.minutes";

static int not_told(const char *why)
{
	return wr_error_set(WR_EUSER, "the brokers do not tell their %s: %s", RETENTION, why);
}

static int read_minutes(rd_kafka_event_t *event, int64_t *minutes)
{
	const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	size_t count = 0;

	if (!result || rd_kafka_event_error(event))
		return not_told(rd_kafka_event_error_string(event));
	resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
	if (count != 1 || rd_kafka_ConfigResource_error(resources[0]))
		return not_told(count ? rd_kafka_ConfigResource_error_string(resources[0]) : "no answer");
	entries = rd_kafka_ConfigResource_configs(resources[0], &count);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), RETENTION))
			*minutes = strtoll(rd_kafka_ConfigEntry_value(entries[i]), NULL, 10);
	return *minutes > 0 ? WR_OK : not_told("there is no such number among their settings");
}

static int ask_minutes(rd_kafka_t *rk, int32_t broker, int64_t *minutes)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_ConfigResource_t *resource;
	rd_kafka_event_t *event;
	char name[16];
	int rc;

	snprintf(name, sizeof name, "%d", broker);
	resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, name);
	rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, ANSWER_MS);
	rc = event ? read_minutes(event, minutes) : not_told("no answer");
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_ConfigResource_destroy(resource);
	rd_kafka_queue_destroy(queue);
	return rc;
}

int wr_kafka_group_retention(rd_kafka_t *rk, int64_t *ms)
{
	int32_t broker = rd_kafka_controllerid(rk, ANSWER_MS);
	int64_t minutes = 0;
	int rc = broker >= 0 ? ask_minutes(rk, broker, &minutes) : not_told("no answer");

	*ms = minutes * MS_PER_MINUTE;
	return rc;
}
