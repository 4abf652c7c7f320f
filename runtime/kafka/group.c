/* SPDX-License-Identifier: Apache-2.0 */
/* group: see group.h. Of brokers one thing is asked at a time. */
#include "kafka/group.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kafka/client.h"

enum {
	ASK_MS = 2000,
	ASKS = 5, /* then another client asks: this one may look for a coordinator that has moved */
	PUT_MS = 2000,
	ANSWER_MS = 10000,
	PAUSE_MS = 20,
	MS_PER_MINUTE = 60000,
};

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

/* 0, or why there is no answer: that a broker refused goes before that none came in time. */
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

	if (r->rk && (strcmp(r->group, group) != 0 || r->asked == ASKS))
		wr_kafka_reader_close(r);
	if (!r->rk)
		r->rk = reader_of(rk, group);
	if (!r->rk)
		return WR_EUSER;
	snprintf(r->group, sizeof r->group, "%s", group);
	r->asked++;
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
	r->asked = 0;
}

/* ---- writing ---- */

struct wr_kafka_put {
	struct wr_thread thread;
	rd_kafka_t *rk;
	rd_kafka_topic_partition_list_t *offsets;
	rd_kafka_consumer_group_metadata_t *group;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t answered;
	bool over;
	rd_kafka_error_t *error;
	void (*then)(void *arg); /* it was left behind */
	void *arg;
};

static struct wr_mem mem = WR_MEM_INIT("kafka.group");

static void free_put(struct wr_kafka_put *w)
{
	rd_kafka_consumer_group_metadata_destroy(w->group);
	rd_kafka_topic_partition_list_destroy(w->offsets);
	pthread_cond_destroy(&w->answered);
	pthread_mutex_destroy(&w->mutex);
	wr_free(&mem, w);
}

/* Nobody takes the answer. */
static void end_left(struct wr_kafka_put *w)
{
	void (*then)(void *) = w->then;
	void *arg = w->arg;

	if (w->error)
		rd_kafka_error_destroy(w->error);
	free_put(w);
	then(arg);
}

static void *put(void *arg)
{
	struct wr_kafka_put *w = arg;
	rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(w->rk, w->offsets, w->group, PUT_MS);
	bool left;

	pthread_mutex_lock(&w->mutex);
	w->over = true;
	w->error = error;
	left = w->then != NULL;
	pthread_cond_signal(&w->answered);
	pthread_mutex_unlock(&w->mutex);
	if (left)
		end_left(w);
	return NULL;
}

struct wr_kafka_put *wr_kafka_put_begin(rd_kafka_t *rk, const char *group, const char *topic, int64_t offset,
					const char *note)
{
	struct wr_kafka_put *w = wr_zalloc(&mem, sizeof *w);
	rd_kafka_topic_partition_t *p;
	pthread_condattr_t attr;

	if (!w)
		return NULL;
	w->rk = rk;
	w->group = rd_kafka_consumer_group_metadata_new(group);
	w->offsets = rd_kafka_topic_partition_list_new(1);
	p = rd_kafka_topic_partition_list_add(w->offsets, topic, 0);
	p->offset = offset;
	p->metadata_size = strlen(note);
	p->metadata = rd_kafka_mem_malloc(rk, p->metadata_size + 1);
	memcpy(p->metadata, note, p->metadata_size + 1);
	pthread_mutex_init(&w->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->answered, &attr);
	pthread_condattr_destroy(&attr);
	if (wr_thread_start(&w->thread, "weir-marker", -1, put, w) == WR_OK)
		return w;
	free_put(w);
	return NULL;
}

bool wr_kafka_put_over(struct wr_kafka_put *w, int ms)
{
	uint64_t until_ns = wr_clock_ns(wr_clock_system()) + (uint64_t)ms * 1000000;
	struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
	bool over;

	pthread_mutex_lock(&w->mutex);
	while (!w->over && pthread_cond_timedwait(&w->answered, &w->mutex, &until) != ETIMEDOUT)
		;
	over = w->over;
	pthread_mutex_unlock(&w->mutex);
	return over;
}

rd_kafka_error_t *wr_kafka_put_take(struct wr_kafka_put *w)
{
	rd_kafka_error_t *error;

	wr_thread_join(&w->thread);
	error = w->error;
	free_put(w);
	return error;
}

void wr_kafka_put_leave(struct wr_kafka_put *w, void (*then)(void *arg), void *arg)
{
	bool over;

	pthread_mutex_lock(&w->mutex);
	w->then = then;
	w->arg = arg;
	over = w->over;
	if (!over)
		pthread_detach(w->thread.id);
	pthread_mutex_unlock(&w->mutex);
	if (!over)
		return;
	wr_thread_join(&w->thread);
	end_left(w);
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
