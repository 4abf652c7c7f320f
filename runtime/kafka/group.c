/* SPDX-License-Identifier: Apache-2.0 */
/* group: see group.h. What is asked of brokers are requests of librdkafka's admin, one at a time. */
#include "kafka/group.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "kafka/client.h"

enum { ASK_MS = 2000, ANSWER_MS = 10000, PAUSE_MS = 20, DAYS = 7, MS_PER_MINUTE = 60000 };

/* ---- offsets ---- */

/* What a broker answered for the one partition: a code of librdkafka's. */
static rd_kafka_resp_err_t read_answer(rd_kafka_event_t *event, struct wr_kafka_found *found)
{
	const rd_kafka_ListConsumerGroupOffsets_result_t *result =
	    rd_kafka_event_ListConsumerGroupOffsets_result(event);
	const rd_kafka_topic_partition_list_t *list;
	const rd_kafka_group_result_t **groups;
	const rd_kafka_topic_partition_t *p;
	size_t count = 0;

	if (rd_kafka_event_error(event) || !result)
		return rd_kafka_event_error(event);
	groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
	if (count != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	if (rd_kafka_group_result_error(groups[0]))
		return rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
	list = rd_kafka_group_result_partitions(groups[0]);
	if (!list || list->cnt != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	p = &list->elems[0];
	found->offset = p->offset;
	snprintf(found->note, sizeof found->note, "%.*s", (int)p->metadata_size,
		 p->metadata ? (const char *)p->metadata : "");
	return p->err;
}

static rd_kafka_AdminOptions_t *stable_options(rd_kafka_t *rk)
{
	rd_kafka_AdminOptions_t *o =
	    rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	char text[128];

	rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(o, 1));
	rd_kafka_AdminOptions_set_request_timeout(o, ASK_MS, text, sizeof text);
	return o;
}

static rd_kafka_resp_err_t ask(rd_kafka_t *rk, const char *group, const char *topic, int32_t partition,
			       struct wr_kafka_found *found)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_ListConsumerGroupOffsets_t *request;
	rd_kafka_AdminOptions_t *options = stable_options(rk);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_event_t *event;

	rd_kafka_topic_partition_list_add(list, topic, partition);
	request = rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, queue);
	event = rd_kafka_queue_poll(queue, 2 * ASK_MS);
	if (event) {
		code = read_answer(event, found);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_partition_list_destroy(list);
	return code;
}

/* librdkafka 2.0.2 reaches through a null pointer when a handle without a group hears that a broker does not
 * coordinate the one it asks for (rd_kafka_handle_OffsetFetch), as when brokers go: a handle of a consumer
 * that is never subscribed asks, with the properties of `rk`; of those of a producer it would warn. */
static rd_kafka_t *reader_of(rd_kafka_t *rk, const char *group)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(rk));
	rd_kafka_t *reader = NULL;
	char text[256];

	if (rd_kafka_conf_set(conf, "group.id", group, text, sizeof text) == RD_KAFKA_CONF_OK &&
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
	code = ask(r->rk, group, topic, 0, found);
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
		rd_kafka_destroy(r->rk);
	r->rk = NULL;
}

/* ---- retention ---- */

static int64_t minutes_of(rd_kafka_event_t *event)
{
	const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	size_t count = 0;

	if (!result)
		return 0;
	resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
	if (count != 1 || rd_kafka_ConfigResource_error(resources[0]))
		return 0;
	entries = rd_kafka_ConfigResource_configs(resources[0], &count);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), "offsets.retention.minutes"))
			return strtoll(rd_kafka_ConfigEntry_value(entries[i]), NULL, 10);
	return 0;
}

static int64_t ask_minutes(rd_kafka_t *rk, int32_t broker)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_ConfigResource_t *resource;
	rd_kafka_event_t *event;
	int64_t minutes = 0;
	char name[16];

	snprintf(name, sizeof name, "%d", broker);
	resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, name);
	rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, ANSWER_MS);
	if (event) {
		minutes = minutes_of(event);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_ConfigResource_destroy(resource);
	rd_kafka_queue_destroy(queue);
	return minutes;
}

int64_t wr_kafka_group_retention_ms(rd_kafka_t *rk)
{
	int32_t broker = rd_kafka_controllerid(rk, ANSWER_MS);
	int64_t minutes = broker >= 0 ? ask_minutes(rk, broker) : 0;

	return (minutes > 0 ? minutes : DAYS * 24 * 60) * MS_PER_MINUTE;
}
