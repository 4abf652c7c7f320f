/* SPDX-License-Identifier: Apache-2.0 */
/* source: the reader of a source of Kafka, one a subtask, on the task's thread. One consumer serves all
 * partitions that the enumerator (enumerator.c) gives it; their messages come on one queue, whose first
 * message wakes the task.
 *
 * Positions are ours: the consumer is a member of no group, and each partition is begun by itself at an exact
 * offset. With incremental assignments of librdkafka 2.0.2 the first messages of a partition were missing now
 * and then. A partition is held back by taking it from the consumer, and goes on where its last row was. What
 * the consumer has fetched and nobody has taken is bounded (`queue_memory`); while the task is held up by its
 * outputs nothing is taken.
 *
 * Options of the source, beside those of rows.h and properties.h: isolation; group, to which positions are
 * told when a checkpoint holds (`commit`); out_of_range = "fail" | "earliest" | "latest"; bounded: all
 * partitions have an end.
 *
 *   partition:  fresh ──begun──▶ read (or held) ──its end──▶ ended
 *
 * One that has ended stays in checkpoints with its position, for a script that says another end. In a source
 * with an end nothing is begun before the enumerator has given out all: it may change the ends of what a
 * checkpoint had.
 */
#include "kafka/source.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include "base/error.h"
#include "base/log.h"
#include "kafka/client.h"
#include "kafka/group_offsets.h"
#include "kafka/lookup.h"
#include "kafka/part.h"
#include "kafka/properties.h"
#include "kafka/rows.h"
#include "task/letter.h"
#include "stream/remote.h"

enum {
	BATCH = 1024,	       /* messages taken at once */
	ROWS_BYTES = 32 << 10, /* of messages handled in one poll: about a buffer */
	NAME_MAX_LEN = 320,    /* a topic has 249 characters at most */
	ANSWER_MS = 1000,      /* for which the task waits for a broker */
	LAST_SAVES_MAX = 3,    /* at the end, of which none held */
	FETCH_MIN = 1000,      /* the least that the library takes for "message.max.bytes" */
	BATCH_BYTES = 1000000, /* what it takes for that itself */
};

struct part {
	struct wr_kafka_part split; /* `from`: the next offset; its topic is ours */
	uint32_t number;	    /* for those behind; 0: fresh */
	rd_kafka_topic_t *handle;   /* NULL before it is begun */
	bool held, ended;
	bool complained; /* of its topic */
	bool doubted;	 /* its position was not there, and is asked for once more */
	uint64_t
	    not_before; /* batch: messages of earlier ones are void, it was taken from the consumer since */
};

struct source {
	struct wr_kafka_client client;
	struct wr_remote *remote;
	uint64_t told_ns;	 /* when it was told of partitions last */
	bool untold;		 /* what it was told then holds no more */
	rd_kafka_queue_t *queue; /* messages of all partitions */
	rd_kafka_queue_t *main;	 /* what the library has to say besides */
	struct wr_kafka_rows *rows;
	struct wr_kafka_group_offsets group_offsets;
	uint64_t ask_ns,
	    until_ns;	   /* at the end: when a checkpoint is asked for, how long the group is waited for */
	uint64_t leave_ns; /* likewise as the job leaves, 0 = it does not */
	uint32_t last_saves; /* checkpoints that were begun with the last positions */
	bool bounded, no_more, commit, idle;
	int unheld; /* why a partition was not held back, or did not go on; WR_OK: all did */
	char unheld_text[512];

	struct part *parts; /* in the order of topics and partitions */
	uint32_t count, size;
	uint32_t live;	  /* of them not ended */
	uint32_t fresh;	  /* of those not begun */
	uint32_t numbers; /* given so far */
	uint32_t said;	  /* number of the one whose rows follow, 0 = none */

	/* the messages at hand */
	rd_kafka_message_t *batch[BATCH];
	uint32_t at, taken;
	uint64_t batches;
	/* where the last one was found */
	const rd_kafka_topic_t *last_topic;
	int32_t last_partition;
	struct part *last;
};

static const uint64_t TELL_NS = 250000000; /* between two words to who looks */
static const uint64_t ASK_NS = 1000000000, GROUP_NS = 5000000000, LEAVE_NS = 1000000000;

static struct wr_mem mem = WR_MEM_INIT("kafka.source");

static void part_name(const struct part *p, char name[NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "%s[%" PRId32 "]", p->split.topic, p->split.partition);
}

/* ---- opening ---- */

static void on_messages(rd_kafka_t *rk, void *arg)
{
	(void)rk;
	wr_notify_fire(arg);
}

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t error,
			 rd_kafka_topic_partition_list_t *positions, void *opaque)
{
	const struct wr_kafka_client *c = opaque;
	struct source *k = ((const struct wr_stage *)c->owner)->state;

	(void)rk;
	(void)positions;
	wr_kafka_group_offsets_answered(&k->group_offsets);
	if (error)
		wr_warn("kafka", "%s: the group was not told of positions: %s", c->name,
			rd_kafka_err2str(error));
}

static int configure(const struct wr_stage *s, struct source *k, rd_kafka_conf_t *conf)
{
	const struct wr_value *o = s->options;
	int64_t half = wr_value_int(o, "queue_memory", 32 << 20) / 2, fetch;
	char text[32];
	int rc = wr_kafka_conf_reads(conf, o);

	if (rc == WR_OK)
		rc = wr_kafka_conf_set(conf, "enable.auto.commit", "false");
	if (rc == WR_OK)
		rc = wr_kafka_conf_set(conf, "enable.auto.offset.store", "false");
	if (rc == WR_OK)
		rc = wr_kafka_conf_set(conf, "auto.offset.reset", "error");
	if (rc == WR_OK)
		rc = wr_kafka_conf_set(conf, "enable.partition.eof", k->bounded ? "true" : "false");
	snprintf(text, sizeof text, "%" PRId64, half / 1024 ? half / 1024 : 1);
	if (rc == WR_OK)
		rc = wr_kafka_conf_default(conf, o, "queued.max.messages.kbytes", text);
	fetch = half < FETCH_MIN ? FETCH_MIN : half < INT32_MAX / 4 ? half : INT32_MAX / 4;
	snprintf(text, sizeof text, "%" PRId64, fetch);
	if (rc == WR_OK)
		rc = wr_kafka_conf_default(conf, o, "fetch.max.bytes", text);
	snprintf(text, sizeof text, "%" PRId64, fetch < BATCH_BYTES ? fetch : BATCH_BYTES);
	if (rc == WR_OK) /* the library wants it to be no more than a fetch */
		rc = wr_kafka_conf_default(conf, o, "message.max.bytes", text);
	rd_kafka_conf_set_offset_commit_cb(conf, on_committed);
	return rc;
}

static int open_client(struct wr_stage *s, struct source *k)
{
	rd_kafka_conf_t *conf = wr_kafka_conf_new(WR_KAFKA_CONSUMER, s->options, "weir");
	char name[128];
	int rc;

	if (!conf)
		return wr_error_code();
	rc = configure(s, k, conf);
	if (rc != WR_OK) {
		wr_kafka_conf_free(conf);
		return rc;
	}
	snprintf(name, sizeof name, "%s[%u]", s->ops_stats[0].name, s->env->subtask);
	return wr_kafka_client_open(&k->client, WR_KAFKA_CONSUMER, conf, name, s);
}

static int source_open(struct wr_stage *s)
{
	struct source *k = s->state = wr_zalloc(&mem, sizeof *k);
	int rc;

	if (!k)
		return WR_EFATAL;
	k->bounded = wr_value_bool(s->options, "bounded", false);
	k->commit = wr_value_bool(s->options, "commit", false);
	if (k->commit && !wr_stage_takes_checkpoints(s->env) && s->env->subtask == 0)
		wr_warn(
		    "kafka",
		    "%s: the group is told of positions when a checkpoint holds, and the job takes none: it "
		    "is run without --dir",
		    s->ops_stats[0].name);
	k->rows = wr_kafka_rows_new(s);
	if (!k->rows)
		return wr_error_code();
	k->remote = wr_remote_attach(&s->ops_stats[0].remote);
	rc = k->remote ? open_client(s, k) : WR_EFATAL;
	if (rc != WR_OK)
		return rc;
	wr_kafka_client_tell(&k->client, k->remote);
	k->queue = rd_kafka_queue_new(k->client.rk);
	k->main = rd_kafka_queue_get_main(k->client.rk);
	rd_kafka_queue_cb_event_enable(k->queue, on_messages, (void *)&s->env->wake);
	rd_kafka_queue_cb_event_enable(k->main, on_messages, (void *)&s->env->wake);
	return WR_OK;
}

/* ---- partitions ---- */

/* The place of a partition in the list, or where it would be. */
static uint32_t place_of(const struct source *k, const struct wr_kafka_part *split)
{
	uint32_t from = 0, to = k->count;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (wr_kafka_part_order(&k->parts[mid].split, split) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static struct part *find(struct source *k, const char *topic, int32_t partition)
{
	struct wr_kafka_part key = {.topic = topic, .partition = partition};
	uint32_t i = place_of(k, &key);

	return i < k->count && wr_kafka_part_order(&k->parts[i].split, &key) == 0 ? &k->parts[i] : NULL;
}

/* The topic is copied. One that is there already is given another end. */
static int add_part(struct source *k, const struct wr_kafka_part *split)
{
	uint32_t i = place_of(k, split);
	char *topic;

	if (i < k->count && wr_kafka_part_order(&k->parts[i].split, split) == 0) {
		k->parts[i].split.to = split->to;
		return WR_OK;
	}
	if (k->count == k->size && WR_GROW(&mem, k->parts, k->size, 16) != WR_OK)
		return WR_EFATAL;
	topic = wr_strdup(&mem, split->topic);
	if (!topic)
		return WR_EFATAL;
	memmove(&k->parts[i + 1], &k->parts[i], (k->count - i) * sizeof *k->parts);
	k->parts[i] = (struct part){.split = *split};
	k->parts[i].split.topic = topic;
	k->count++;
	k->live++;
	k->fresh++;
	k->last_topic = NULL;
	return WR_OK;
}

/* Gives a partition to the consumer, from its position on, or takes it away. */
static int assign(struct source *k, struct part *p, bool on)
{
	int rc;

	if (!p->handle)
		p->handle = rd_kafka_topic_new(k->client.rk, p->split.topic, NULL);
	p->not_before = k->batches + 1;
	rc = !p->handle ? -1
	     : on	? rd_kafka_consume_start_queue(p->handle, p->split.partition, p->split.from, k->queue)
			: rd_kafka_consume_stop(p->handle, p->split.partition);
	return rc == 0 ? WR_OK
		       : wr_kafka_failed(rd_kafka_last_error(), "%s partition %" PRId32 " of topic %s",
					 on ? "reading" : "leaving", p->split.partition, p->split.topic);
}

static bool is_complete(const struct part *p)
{
	return p->split.from >= p->split.to;
}

static void mark_ended(struct source *k, struct part *p)
{
	p->ended = true;
	k->live--;
	if (p->split.from < p->split.to)
		p->split.from = p->split.to;
}

static int end_part(struct wr_stage *s, struct part *p)
{
	struct source *k = s->state;
	int rc = wr_stage_emit_split(s, WR_SPLIT_END, p->number, NULL);

	if (k->said == p->number)
		k->said = 0;
	mark_ended(k, p);
	return rc == WR_OK ? assign(k, p, false) : rc;
}

static int begin_part(struct wr_stage *s, struct part *p)
{
	struct source *k = s->state;
	char name[NAME_MAX_LEN];
	int rc;

	p->number = ++k->numbers;
	k->said = p->number;
	part_name(p, name);
	rc = wr_stage_emit_split(s, WR_SPLIT_BEGIN, p->number, name);
	return rc == WR_OK ? assign(k, p, true) : rc;
}

/* Begins what came since: in their order, so that a watermark finds each again. */
static int begin_fresh(struct wr_stage *s)
{
	struct source *k = s->state;
	int rc = WR_OK;

	for (uint32_t i = 0; i < k->count && k->fresh && rc == WR_OK; i++) {
		struct part *p = &k->parts[i];

		if (p->number || p->ended)
			continue;
		k->fresh--;
		if (is_complete(p))
			mark_ended(k, p);
		else
			rc = begin_part(s, p);
	}
	return rc;
}

/* `start = "latest"`, or what an edited savepoint sets to the latest, is what the enumerator has seen: no
 * checkpoint has it yet, and none may come for long. */
static void keep_start(struct wr_stage *s)
{
	const char *at = wr_value_str(wr_value_get(s->options, "start"), "at", "earliest");

	if (wr_stage_takes_checkpoints(s->env) && (s->env->durable->restore || !strcmp(at, "latest")))
		wr_stage_want_checkpoint(s);
}

static int add_parts(struct source *k, const uint8_t *payload, uint32_t len)
{
	struct wr_kafka_part split;
	struct wr_value list;
	struct wr_arena arena;
	int rc;

	wr_arena_init(&arena, &mem);
	rc = wr_hand_parse(payload, len, &arena, &list);
	for (uint32_t i = 0; rc == WR_OK && i < list.count; i++) {
		rc = wr_kafka_part_of(&list.items[i], &split);
		if (rc == WR_OK)
			rc = add_part(k, &split);
	}
	wr_arena_deinit(&arena);
	return rc;
}

static int source_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	struct source *k = s->state;
	int rc;

	if (type == WR_LETTER_NO_MORE)
		k->no_more = true;
	if (type == WR_LETTER_COMPLETE && k->commit)
		wr_kafka_group_offsets_complete(&k->group_offsets, k->client.rk, wr_letter_int(payload, len));
	if (type != WR_LETTER_SPLITS)
		return WR_OK;
	rc = add_parts(k, payload, len);
	keep_start(s);
	return rc;
}

/* Who holds it cannot fail: the next poll does. */
static void source_hold(struct wr_stage *s, uint32_t number, bool held)
{
	struct source *k = s->state;

	for (uint32_t i = 0; i < k->count; i++) {
		struct part *p = &k->parts[i];

		if (p->number != number || p->ended || p->held == held)
			continue;
		p->held = held;
		k->untold = true;
		if (assign(k, p, !held) == WR_OK)
			continue;
		k->unheld = wr_error_code();
		snprintf(k->unheld_text, sizeof k->unheld_text, "%s", wr_error_text());
		wr_notify_fire(&s->env->wake);
	}
}

/* ---- messages ---- */

static struct part *part_of(struct source *k, const rd_kafka_message_t *m)
{
	if (!m->rkt)
		return NULL;
	if (m->rkt != k->last_topic || m->partition != k->last_partition) {
		k->last = find(k, rd_kafka_topic_name(m->rkt), m->partition);
		k->last_topic = m->rkt;
		k->last_partition = m->partition;
	}
	return k->last;
}

/* Where to go on instead: an offset, so that a checkpoint has it before anything was read there. False: it
 * cannot be had now. The task waits for the answer: records were lost, which is rare, and a checkpoint that
 * was taken meanwhile would have a position that is not there. */
static bool next_of(const struct source *k, const struct part *p, const char *policy, int64_t *next)
{
	int64_t first, end;
	int code = rd_kafka_query_watermark_offsets(k->client.rk, p->split.topic, p->split.partition, &first,
						    &end, ANSWER_MS);

	*next = !strcmp(policy, "earliest") ? first : end;
	return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The offset is not in the topic any more, or not yet again. The answer may be to what was asked before the
 * partition was taken from the consumer and given back: it counts when it comes again. */
static int out_of_range(struct wr_stage *s, struct part *p, const rd_kafka_message_t *m)
{
	struct source *k = s->state;
	const char *policy = wr_value_str(s->options, "out_of_range", "fail");
	char name[NAME_MAX_LEN];
	int64_t next;
	int rc = assign(k, p, false);

	if (rc != WR_OK)
		return rc;
	if (!p->doubted) {
		p->doubted = true;
		return assign(k, p, true);
	}
	part_name(p, name);
	if (!strcmp(policy, "fail"))
		return wr_error_set(
		    WR_EUSER,
		    "%s: offset %" PRId64 " is not there (%s): its records were removed, or the topic was "
		    "made anew; out_of_range = \"earliest\" or \"latest\" goes on without them",
		    name, p->split.from, rd_kafka_message_errstr(m));
	if (next_of(k, p, policy, &next)) {
		wr_warn("kafka", "%s: %s: offset %" PRId64 " is not there, goes on with the %s record",
			k->client.name, name, p->split.from, policy);
		p->split.from = next;
	}
	return assign(k, p, true);
}

/* Only who reads up to an end cannot wait until it is there. */
static int no_such(struct source *k, struct part *p, const rd_kafka_message_t *m)
{
	char name[NAME_MAX_LEN];

	part_name(p, name);
	if (k->bounded)
		return wr_kafka_failed(m->err, "%s", name);
	if (!p->complained)
		wr_warn("kafka", "%s: %s: %s", k->client.name, name, rd_kafka_message_errstr(m));
	p->complained = true;
	return WR_OK;
}

/* What comes in place of a message. */
static int handle_error(struct wr_stage *s, struct part *p, const rd_kafka_message_t *m)
{
	struct source *k = s->state;
	int rc;

	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		wr_kafka_client_up(&k->client);
		return p && m->offset >= p->split.to ? end_part(s, p) : WR_OK;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return p && !p->held ? out_of_range(s, p, m) : WR_OK;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return p ? no_such(k, p, m) : WR_OK;
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: /* only of what is told to it */
		wr_warn("kafka", "%s: %s", k->client.name, rd_kafka_message_errstr(m));
		return WR_OK;
	default:
		rc = wr_kafka_failed(m->err, "%s", m->rkt ? rd_kafka_topic_name(m->rkt) : "consumer");
		if (rc != WR_ETRANSIENT)
			return rc;
		wr_warn("kafka", "%s: %s", k->client.name, wr_error_text());
		return WR_OK;
	}
}

static int handle(struct wr_stage *s, const rd_kafka_message_t *m)
{
	struct source *k = s->state;
	struct part *p = part_of(k, m);
	int rc = WR_OK;

	if (p && (p->ended || k->batches < p->not_before))
		return WR_OK;
	if (m->err)
		return handle_error(s, p, m);
	if (!p || p->held || m->offset < p->split.from)
		return WR_OK;
	if (m->offset >= p->split.to)
		return end_part(s, p);
	if (p->number != k->said)
		rc = wr_stage_emit_split(s, WR_SPLIT_AT, p->number, NULL);
	k->said = p->number;
	if (rc == WR_OK)
		rc = wr_kafka_rows_put(k->rows, p->split.topic, m);
	if (rc != WR_OK)
		return rc;
	p->complained = p->doubted = false;
	p->split.from = m->offset + 1;
	return is_complete(p) ? end_part(s, p) : WR_OK;
}

/* The next messages; false: there are none now. */
static bool take(struct source *k)
{
	ssize_t n = rd_kafka_consume_batch_queue(k->queue, 0, k->batch, BATCH);

	rd_kafka_poll(k->client.rk, 0);
	k->at = 0;
	k->taken = n > 0 ? (uint32_t)n : 0;
	k->batches++;
	if (k->taken && !k->batch[0]->err)
		wr_kafka_client_up(&k->client);
	return k->taken > 0;
}

/* A subtask without partitions holds nobody back. */
static int say_idle(struct wr_stage *s)
{
	struct source *k = s->state;
	bool idle = k->live == 0;

	if (idle == k->idle)
		return WR_OK;
	k->idle = idle;
	return wr_stage_emit_idle(s, idle);
}

/* ---- what others are told ---- */

/* Offsets that are there and were not read yet, as far as the library knows. */
static uint64_t lag_of(const struct source *k, const struct part *p)
{
	int64_t low, high, from = p->split.from;

	if (rd_kafka_get_watermark_offsets(k->client.rk, p->split.topic, p->split.partition, &low, &high))
		return 0;
	high = high < p->split.to ? high : p->split.to;
	from = from >= 0 ? from : from == WR_KAFKA_BEGINNING ? low : high;
	return high > from && from >= 0 ? (uint64_t)(high - from) : 0;
}

static void tell_splits(struct source *k)
{
	struct wr_remote_view v = {.splits = k->live};

	for (uint32_t i = 0; i < k->count; i++) {
		const struct part *p = &k->parts[i];
		uint64_t lag = lag_of(k, p);

		v.held += p->held && !p->ended;
		v.lag += lag;
		if (lag <= v.lag_max)
			continue;
		v.lag_max = lag;
		snprintf(v.lag_of, sizeof v.lag_of, "%.180s[%" PRId32 "]", p->split.topic,
			 p->split.partition);
	}
	wr_remote_say_splits(k->remote, &v);
}

/* Now and then: the source is polled again when something is still to be said, or to be looked for. */
static void look_around(struct wr_stage *s)
{
	struct source *k = s->state;
	uint64_t now_ns = wr_clock_ns(s->env->clock);

	if (now_ns - k->told_ns >= TELL_NS) {
		k->told_ns = now_ns;
		if (k->client.down)
			wr_kafka_client_look(&k->client);
		if (k->untold)
			tell_splits(k);
		k->untold = false;
	}
	if (k->untold || k->client.down)
		s->wake_ns = k->told_ns + TELL_NS;
}

/* A message that has to wait for its schema stays the next one. */
static int handle_next(struct wr_stage *s, int64_t *room)
{
	struct source *k = s->state;
	rd_kafka_message_t *m = k->batch[k->at];
	int rc = handle(s, m);

	s->waits = rc == WR_AGAIN;
	if (s->waits)
		return rc;
	k->at++;
	*room -= (int64_t)m->len + (int64_t)sizeof *m;
	rd_kafka_message_destroy(m);
	return rc;
}

/* All is read. With a group, of which a checkpoint is to tell, that is waited for in front of the end of
 * time, behind which no barrier comes by. None may come: an operator that reads this stream to its end first
 * takes part in no checkpoint before that. */
static int at_end(struct wr_stage *s)
{
	struct source *k = s->state;
	uint64_t now_ns = wr_clock_ns(s->env->clock);

	if (!k->commit || !k->count || !wr_stage_takes_checkpoints(s->env) ||
	    wr_kafka_group_offsets_over(&k->group_offsets))
		return WR_END;
	if (!k->group_offsets.last_told && k->last_saves > LAST_SAVES_MAX) {
		wr_warn("kafka", "%s: the group is not told that all is read, since no checkpoint is taken",
			k->client.name);
		return WR_END;
	}
	if (k->group_offsets.last_told && !k->until_ns)
		k->until_ns = now_ns + GROUP_NS;
	if (k->until_ns && now_ns >= k->until_ns)
		return WR_END;
	if (now_ns >= k->ask_ns) {
		k->ask_ns = now_ns + ASK_NS;
		if (!k->group_offsets.last_told)
			wr_stage_want_checkpoint(s);
	}
	s->wake_ns = k->ask_ns;
	return WR_AGAIN;
}

static int source_poll(struct wr_stage *s)
{
	struct source *k = s->state;
	int64_t room = ROWS_BYTES;
	int rc = k->unheld == WR_OK ? WR_OK : wr_error_set(k->unheld, "%s", k->unheld_text);

	if (rc == WR_OK && k->fresh && (!k->bounded || k->no_more))
		rc = begin_fresh(s);
	if (rc == WR_OK)
		rc = say_idle(s);
	while (rc == WR_OK && room > 0) {
		if (k->at == k->taken && !take(k))
			rc = k->no_more && k->live == 0 ? at_end(s) : WR_AGAIN;
		while (rc == WR_OK && k->at < k->taken && room > 0)
			rc = handle_next(s, &room);
		if (rc == WR_OK && wr_stage_spent(s))
			break;
	}
	k->untold |= room < ROWS_BYTES;
	if (k->untold || k->client.down)
		look_around(s);
	return rc;
}

/* ---- snapshots ---- */

static int source_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct source *k = s->state;

	if (k->no_more && k->live == 0) {
		wr_kafka_group_offsets_last(&k->group_offsets, s->checkpoint);
		k->last_saves++;
	}
	wr_value_put_list(out, k->count);
	for (uint32_t i = 0; i < k->count; i++) {
		wr_kafka_part_put(out, &k->parts[i].split);
		if (k->commit && k->parts[i].split.from >= 0)
			wr_kafka_group_offsets_add(&k->group_offsets, s->checkpoint, &k->parts[i].split);
	}
	return wr_bytes_status(out);
}

/* Those that this subtask is to read, and whose topic the script names: of others the enumerator tells. */
static int restore_part(struct wr_stage *s, const struct wr_kafka_names *names, const struct wr_value *v)
{
	struct source *k = s->state;
	struct wr_kafka_part split;
	int rc = wr_kafka_part_of(v, &split);

	if (rc != WR_OK || wr_kafka_part_owner(&split, s->env->parallelism) != s->env->subtask ||
	    !wr_kafka_names_has(names, split.topic))
		return rc;
	if (!k->bounded)
		split.to = INT64_MAX;
	return add_part(k, &split);
}

static int source_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct wr_kafka_names names;
	int rc = wr_kafka_names_open(&names, s->options);

	if (rc != WR_OK)
		return rc;
	for (uint32_t i = 0; i < saved->count && rc == WR_OK; i++) {
		const struct wr_value *list = saved->parts[i].value;

		if (list->tag != WR_V_LIST)
			rc = wr_error_set(WR_EUSER, "the saved positions are malformed");
		for (uint32_t n = 0; n < list->count && rc == WR_OK; n++)
			rc = restore_part(s, &names, &list->items[n]);
	}
	wr_kafka_names_close(&names);
	return rc;
}

/* The job has left: the group hears of its last positions, if it answers soon. */
static int source_leave(struct wr_stage *s)
{
	struct source *k = s->state;
	uint64_t now_ns = wr_clock_ns(s->env->clock);

	rd_kafka_poll(k->client.rk, 0);
	if (!k->leave_ns)
		k->leave_ns = s->tick_ns = now_ns + LEAVE_NS;
	if (k->group_offsets.unheard && now_ns < k->leave_ns)
		return WR_AGAIN;
	if (k->group_offsets.unheard)
		wr_warn("kafka", "%s: the group may not have heard of the last positions", k->client.name);
	k->group_offsets.unheard = 0;
	return WR_OK;
}

static void free_part(struct part *p)
{
	if (p->number && !p->held && !p->ended)
		rd_kafka_consume_stop(p->handle, p->split.partition);
	if (p->handle)
		rd_kafka_topic_destroy(p->handle);
	wr_free(&mem, (char *)p->split.topic);
}

static void source_free(struct wr_stage *s)
{
	struct source *k = s->state;

	if (!k)
		return;
	while (k->at < k->taken)
		rd_kafka_message_destroy(k->batch[k->at++]);
	wr_kafka_group_offsets_deinit(&k->group_offsets);
	for (uint32_t i = 0; i < k->count; i++)
		free_part(&k->parts[i]);
	if (k->queue) {
		rd_kafka_queue_cb_event_enable(k->queue, NULL, NULL);
		rd_kafka_queue_cb_event_enable(k->main, NULL, NULL);
		rd_kafka_queue_destroy(k->queue);
		rd_kafka_queue_destroy(k->main);
	}
	wr_kafka_client_close(&k->client);
	wr_remote_detach(&s->ops_stats[0].remote);
	wr_kafka_rows_free(k->rows);
	wr_free(&mem, k->parts);
	wr_free(&mem, k);
	s->state = NULL;
}

const struct wr_stage_ops wr_kafka_source_ops = {
    .kind = "kafka",
    .open = source_open,
    .poll = source_poll,
    .letter = source_letter,
    .hold = source_hold,
    .save = source_save,
    .restore = source_restore,
    .leave = source_leave,
    .free = source_free,
};
