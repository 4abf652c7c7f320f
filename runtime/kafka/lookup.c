/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: asks brokers for partitions and offsets; see lookup.h. */
#include "kafka/lookup.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "kafka/client.h"
#include "kafka/properties.h"

struct wr_kafka_lookup {
	struct wr_kafka_client client;
	const struct wr_value *start, *stop; /* stop NULL: no end */
	struct wr_kafka_names names;
	rd_kafka_topic_t **handles; /* of named topics, by which the library asks for them all at once */
	uint32_t topic_count;
};

static struct wr_mem mem = WR_MEM_INIT("kafka.lookup");

void wr_kafka_parts_init(struct wr_kafka_parts *p)
{
	*p = (struct wr_kafka_parts){0};
	wr_arena_init(&p->names, &mem);
}

void wr_kafka_parts_deinit(struct wr_kafka_parts *p)
{
	wr_free(&mem, p->items);
	wr_arena_deinit(&p->names);
}

int wr_kafka_parts_add(struct wr_kafka_parts *p, const struct wr_kafka_part *part)
{
	const struct wr_kafka_part *last = p->count ? &p->items[p->count - 1] : NULL;
	const char *topic = last && !strcmp(last->topic, part->topic)
				? last->topic
				: wr_arena_strndup(&p->names, part->topic, strlen(part->topic));

	if (!topic || (p->count == p->size && WR_GROW(&mem, p->items, p->size, 16) != WR_OK))
		return WR_EFATAL;
	p->items[p->count] = *part;
	p->items[p->count++].topic = topic;
	return WR_OK;
}

void wr_kafka_parts_sort(struct wr_kafka_parts *p)
{
	if (p->count)
		qsort(p->items, p->count, sizeof *p->items, wr_kafka_part_compare);
}

struct wr_kafka_part *wr_kafka_parts_find(const struct wr_kafka_parts *p, const struct wr_kafka_part *part)
{
	return p->count ? bsearch(part, p->items, p->count, sizeof *part, wr_kafka_part_compare) : NULL;
}

/* ---- topics ---- */

static int compile(const char *pattern, regex_t *to)
{
	struct wr_bytes whole = WR_BYTES_EMPTY;
	char why[128];
	int rc, error;

	wr_bytes_printf(&whole, "^(%s)$", pattern);
	wr_bytes_put_u8(&whole, 0);
	rc = wr_bytes_status(&whole);
	error = rc == WR_OK ? regcomp(to, (const char *)whole.data, REG_EXTENDED | REG_NOSUB) : 0;
	wr_bytes_deinit(&whole);
	if (!error)
		return rc;
	regerror(error, to, why, sizeof why);
	return wr_error_set(WR_EUSER, "\"%s\" is no pattern of topics: %s", pattern, why);
}

int wr_kafka_names_open(struct wr_kafka_names *n, const struct wr_value *options)
{
	const char *pattern = wr_value_str(options, "pattern", "");
	int rc;

	*n = (struct wr_kafka_names){.internal = !strncmp(pattern, "__", 2)};
	n->topics = wr_value_list(options, "topics", &n->count);
	if (n->topics)
		return WR_OK;
	rc = compile(pattern, &n->pattern);
	n->has_pattern = rc == WR_OK;
	return rc;
}

void wr_kafka_names_close(struct wr_kafka_names *n)
{
	if (n->has_pattern)
		regfree(&n->pattern);
	*n = (struct wr_kafka_names){0};
}

bool wr_kafka_names_has(const struct wr_kafka_names *n, const char *topic)
{
	if (n->has_pattern)
		return (n->internal || strncmp(topic, "__", 2) != 0) &&
		       regexec(&n->pattern, topic, 0, NULL, 0) == 0;
	for (uint32_t i = 0; i < n->count; i++)
		if (!strcmp(n->topics[i].str.p, topic))
			return true;
	return false;
}

int wr_kafka_names_check(const char *pattern)
{
	regex_t compiled;
	int rc = compile(pattern, &compiled);

	if (rc == WR_OK)
		regfree(&compiled);
	return rc;
}

/* ---- life ---- */

static int open_client(struct wr_kafka_lookup *l, const struct wr_value *options)
{
	rd_kafka_conf_t *conf = wr_kafka_conf_new(WR_KAFKA_CONSUMER, options, "weir");
	int rc;

	if (!conf)
		return wr_error_code();
	rc = wr_kafka_conf_reads(conf, options);
	if (rc == WR_OK)
		return wr_kafka_client_open(&l->client, WR_KAFKA_CONSUMER, conf, "partitions", l);
	wr_kafka_conf_free(conf);
	return rc;
}

static int open_topics(struct wr_kafka_lookup *l, const struct wr_value *options)
{
	int rc = wr_kafka_names_open(&l->names, options);

	if (rc != WR_OK)
		return rc;
	l->handles = wr_zalloc(&mem, (l->names.count + 1) * sizeof(void *));
	if (!l->handles)
		return WR_EFATAL;
	for (; l->topic_count < l->names.count; l->topic_count++) {
		const char *name = l->names.topics[l->topic_count].str.p;

		l->handles[l->topic_count] = rd_kafka_topic_new(l->client.rk, name, NULL);
		if (!l->handles[l->topic_count])
			return wr_error_set(WR_EUSER, "\"%s\" is no name of a topic: %s", name,
					    rd_kafka_err2str(rd_kafka_last_error()));
	}
	return WR_OK;
}

struct wr_kafka_lookup *wr_kafka_lookup_new(const struct wr_value *options)
{
	struct wr_kafka_lookup *l = wr_zalloc(&mem, sizeof *l);

	if (!l)
		return NULL;
	l->start = wr_value_get(options, "start");
	l->stop = wr_value_get(options, "stop");
	if (open_client(l, options) == WR_OK && open_topics(l, options) == WR_OK)
		return l;
	wr_kafka_lookup_free(l);
	return NULL;
}

void wr_kafka_lookup_free(struct wr_kafka_lookup *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->topic_count; i++)
		rd_kafka_topic_destroy(l->handles[i]);
	wr_kafka_client_close(&l->client);
	wr_kafka_names_close(&l->names);
	wr_free(&mem, l->handles);
	wr_free(&mem, l);
}

const char *wr_kafka_lookup_trouble(const struct wr_kafka_lookup *l)
{
	return l->client.error;
}

/* ---- partitions ---- */

static int add_topic(const rd_kafka_metadata_topic_t *t, struct wr_kafka_parts *out)
{
	int rc = WR_OK;

	if (t->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return WR_OK;
	if (t->err && t->partition_cnt == 0)
		return wr_kafka_failed(t->err, "topic \"%s\"", t->topic);
	for (int i = 0; i < t->partition_cnt && rc == WR_OK; i++)
		rc = wr_kafka_parts_add(out, &(struct wr_kafka_part){t->topic, t->partitions[i].id,
								     WR_KAFKA_BEGINNING, INT64_MAX});
	return rc;
}

int wr_kafka_lookup_parts(struct wr_kafka_lookup *l, int timeout_ms, struct wr_kafka_parts *out)
{
	const struct rd_kafka_metadata *m;
	rd_kafka_resp_err_t error;
	int rc = WR_OK;

	rd_kafka_poll(l->client.rk, 0);
	error = rd_kafka_metadata(l->client.rk, l->names.has_pattern, NULL, &m, timeout_ms);
	rd_kafka_poll(l->client.rk, 0);
	if (error)
		return wr_kafka_failed(error, "no list of topics");
	wr_kafka_client_up(&l->client);
	for (int i = 0; i < m->topic_cnt && rc == WR_OK; i++)
		if (wr_kafka_names_has(&l->names, m->topics[i].topic))
			rc = add_topic(&m->topics[i], out);
	rd_kafka_metadata_destroy(m);
	wr_kafka_parts_sort(out);
	return rc;
}

/* ---- offsets ---- */

enum edge { LATEST = -1, EARLIEST = -2 }; /* as times: behind the last record, and the first */

/* What is looked up: where it begins, or ends. */
static int64_t *bound_of(struct wr_kafka_part *p, bool start)
{
	return start ? &p->from : &p->to;
}

/* Each with an error, which an answer takes away: a partition whose leader is not known is passed over in
 * silence. */
static rd_kafka_topic_partition_list_t *list_of(const struct wr_kafka_parts *parts, int64_t time)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)parts->count);

	for (uint32_t i = 0; i < parts->count; i++) {
		const struct wr_kafka_part *p = &parts->items[i];
		rd_kafka_topic_partition_t *to =
		    rd_kafka_topic_partition_list_add(list, p->topic, p->partition);

		to->offset = time;
		to->err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	}
	return list;
}

/* WR_OK where all were answered. */
static int check_list(const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t error,
		      const char *what)
{
	if (error)
		return wr_kafka_failed(error, "%s", what);
	for (int i = 0; i < list->cnt; i++)
		if (list->elems[i].err)
			return wr_kafka_failed(list->elems[i].err, "%s of %s[%" PRId32 "]", what,
					       list->elems[i].topic, list->elems[i].partition);
	return WR_OK;
}

/* An answer is an offset up to `end`, or that there is none: a partition whose leader was not known is passed
 * over in silence, and has the time that was asked for in place of an offset. */
static int check_offset(const rd_kafka_topic_partition_t *p, int64_t end, bool none)
{
	if ((p->offset >= 0 && p->offset <= end) || (none && p->offset == LATEST))
		return WR_OK;
	return wr_error_set(WR_ETRANSIENT, "the offset of %s[%" PRId32 "] was not told", p->topic,
			    p->partition);
}

/* All at the end, or at the beginning, as it is now. */
static int by_edge(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, bool start, enum edge edge,
		   int timeout_ms)
{
	rd_kafka_topic_partition_list_t *list = list_of(parts, edge);
	int rc = check_list(list, rd_kafka_offsets_for_times(l->client.rk, list, timeout_ms),
			    edge == LATEST ? "the end" : "the beginning");

	for (uint32_t i = 0; i < parts->count && rc == WR_OK; i++) {
		rc = check_offset(&list->elems[i], INT64_MAX, false);
		*bound_of(&parts->items[i], start) = list->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

/* The first records at the times of the list, which is taken, or behind them; where there are none, the end.
 * A time may be LATEST: a record of any time is in front of that. */
static int by_times(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, bool start,
		    rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
	rd_kafka_topic_partition_list_t *times = rd_kafka_topic_partition_list_copy(list);
	int rc = by_edge(l, parts, start, LATEST, timeout_ms);

	if (rc == WR_OK)
		rc = check_list(list, rd_kafka_offsets_for_times(l->client.rk, list, timeout_ms),
				"the offset");
	for (uint32_t i = 0; i < parts->count && rc == WR_OK; i++) {
		int64_t *bound = bound_of(&parts->items[i], start);

		if (times->elems[i].offset == LATEST) /* which is known, and has moved on since */
			continue;
		rc = check_offset(&list->elems[i], *bound, true);
		if (list->elems[i].offset != LATEST)
			*bound = list->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(times);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

/* Where the group is; at the beginning, where it has no position. */
static int by_group(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms)
{
	rd_kafka_topic_partition_list_t *list = list_of(parts, RD_KAFKA_OFFSET_INVALID);
	int rc = check_list(list, rd_kafka_committed(l->client.rk, list, timeout_ms), "the group's position");
	uint32_t none = 0;

	if (rc == WR_OK)
		rc = by_edge(l, parts, true, EARLIEST, timeout_ms);
	for (uint32_t i = 0; i < parts->count && rc == WR_OK; i++) {
		if (list->elems[i].offset >= 0)
			parts->items[i].from = list->elems[i].offset;
		none += list->elems[i].offset < 0;
	}
	if (rc == WR_OK && none)
		wr_warn(
		    "kafka",
		    "the group has no position in %u of %u partitions: they are read from their beginning",
		    none, parts->count);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

static int by_offsets(const struct wr_value *how, struct wr_kafka_parts *parts, bool start)
{
	uint32_t count;
	const struct wr_value *offsets = wr_value_list(how, "offsets", &count);

	for (uint32_t i = 0; i < parts->count; i++) {
		struct wr_kafka_part *p = &parts->items[i];
		uint32_t k = 0;

		while (k < count && (strcmp(wr_value_str(&offsets[k], "topic", ""), p->topic) != 0 ||
				     wr_value_int(&offsets[k], "partition", -1) != p->partition))
			k++;
		if (k == count)
			return wr_error_set(WR_EUSER,
					    "the option \"%s\" has no offset for partition %" PRId32
					    " of topic \"%s\"",
					    start ? "start" : "stop", p->partition, p->topic);
		*bound_of(p, start) = wr_value_int(&offsets[k], "offset", 0);
	}
	return WR_OK;
}

static int check_offsets(const struct wr_value *how, const char *option, const struct wr_kafka_parts *parts)
{
	uint32_t count = 0;
	const struct wr_value *offsets = how ? wr_value_list(how, "offsets", &count) : NULL;

	for (uint32_t i = 0; offsets && i < count; i++) {
		struct wr_kafka_part p = {.topic = wr_value_str(&offsets[i], "topic", "")};

		p.partition = (int32_t)wr_value_int(&offsets[i], "partition", 0);
		if (!wr_kafka_parts_find(parts, &p))
			return wr_error_set(WR_EUSER,
					    "the option \"%s\" has an offset for partition %" PRId32
					    " of topic \"%s\", which is not there",
					    option, p.partition, p.topic);
	}
	return WR_OK;
}

int wr_kafka_lookup_check(const struct wr_kafka_lookup *l, const struct wr_kafka_parts *parts)
{
	int rc = check_offsets(l->start, "start", parts);

	return rc == WR_OK ? check_offsets(l->stop, "stop", parts) : rc;
}

static int bounds(struct wr_kafka_lookup *l, const struct wr_value *how, struct wr_kafka_parts *parts,
		  bool start, int timeout_ms)
{
	const char *at = wr_value_str(how, "at", "earliest");

	if (!strcmp(at, "latest"))
		return by_edge(l, parts, start, LATEST, timeout_ms);
	if (!strcmp(at, "timestamp"))
		return by_times(l, parts, start, list_of(parts, wr_value_int(how, "ms", 0)), timeout_ms);
	if (!strcmp(at, "offsets"))
		return by_offsets(how, parts, start);
	if (!strcmp(at, "committed"))
		return by_group(l, parts, timeout_ms);
	return by_edge(l, parts, start, EARLIEST, timeout_ms);
}

int wr_kafka_lookup_start(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms)
{
	return parts->count ? bounds(l, l->start, parts, true, timeout_ms) : WR_OK;
}

int wr_kafka_lookup_stop(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms)
{
	return parts->count && l->stop ? bounds(l, l->stop, parts, false, timeout_ms) : WR_OK;
}

int wr_kafka_lookup_times(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms)
{
	rd_kafka_topic_partition_list_t *list = list_of(parts, 0);

	for (uint32_t i = 0; i < parts->count; i++)
		list->elems[i].offset = parts->items[i].from;
	return by_times(l, parts, true, list, timeout_ms);
}
