/* SPDX-License-Identifier: Apache-2.0 */
/* sink: rows to topics, with guarantee = "none" or "at_least_once" (once.c is the other one). On the task's
 * thread; the library delivers on threads of its own, and a mail to the stage says that it has something to
 * tell.
 *
 * At least once: messages bear the generation that was open when they were produced, a generation ends at
 * each barrier, and the task's part of the checkpoint holds when all that belongs to generations up to its
 * own is acknowledged (settle, on an I/O thread). A message that is given up fails the job.
 *
 * None: such a message is counted, and told in the log once until one arrives again.
 *
 * What is not acknowledged is bounded by the library's queue; when that is full the task pauses.
 */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "kafka/producer.h"
#include "kafka/sink.h"
#include "task/letter.h"
#include "stream/remote.h"

enum { GENERATIONS = 256, SETTLE_POLL_MS = 10 };

struct kafka_sink {
	struct wr_kafka_producer producer;
	struct wr_stage *stage;
	rd_kafka_queue_t *queue;
	bool fails; /* the job, when a message is given up */
	bool told;  /* that messages are given up */
	char name[128];
	_Atomic bool mailed;	      /* and not read yet */
	_Atomic bool abandoned;	      /* nobody waits for what is under way */
	pthread_mutex_t polling;      /* held by the thread that polls */
	uint64_t generation;	      /* the open one; the task's */
	_Atomic uint64_t oldest;      /* that messages may be waiting of */
	_Atomic uint64_t waiting_all; /* messages that are neither acknowledged nor given up */
	_Atomic uint32_t waiting[GENERATIONS];
	_Atomic uint64_t generation_of[GENERATIONS]; /* that a checkpoint waits for, by its number */
	_Atomic uint64_t lost;			     /* given up and not counted yet */
	_Atomic int code;			     /* of a message that was given up */
};

static struct wr_mem mem = WR_MEM_INIT("kafka.sink");

/* ---- deliveries ---- */

/* A loss is to be seen by whoever sees that the message is waited for no more. */
static void delivered(void *arg, uint8_t generation, int code)
{
	struct kafka_sink *k = arg;
	uint32_t before;

	if (code) {
		atomic_store(&k->code, code);
		atomic_fetch_add(&k->lost, 1);
	}
	before = atomic_fetch_sub_explicit(&k->waiting[generation], 1, memory_order_release);
	WR_ASSERT(before > 0);
	atomic_fetch_sub_explicit(&k->waiting_all, 1, memory_order_release);
}

/* A thread of the library: there is something to be polled. */
static void on_news(rd_kafka_t *rk, void *arg)
{
	struct kafka_sink *k = arg;

	(void)rk;
	if (atomic_exchange(&k->mailed, true))
		return;
	if (wr_stage_mail(k->stage, WR_LETTER_DONE, NULL, 0) != WR_OK)
		wr_err(k->name, "deliveries are not heard of: %s", wr_error_text());
	wr_notify_fire(&k->stage->env->wake);
}

/* The topic of the message that was given up last, which whoever polls writes down. */
static void copy_topic(struct kafka_sink *k, char topic[WR_KAFKA_TOPIC_TEXT])
{
	pthread_mutex_lock(&k->polling);
	memcpy(topic, k->producer.lost_to, WR_KAFKA_TOPIC_TEXT);
	pthread_mutex_unlock(&k->polling);
}

static int given_up(struct kafka_sink *k)
{
	char topic[WR_KAFKA_TOPIC_TEXT];

	copy_topic(k, topic);
	return wr_kafka_failed(atomic_load(&k->code), "%s: a message for topic %s was not delivered", k->name,
			       topic);
}

static void count_lost(struct kafka_sink *k)
{
	uint64_t lost = atomic_exchange(&k->lost, 0);
	char topic[WR_KAFKA_TOPIC_TEXT];

	wr_metric_add(&k->stage->ops_stats[0].skipped, (int64_t)lost);
	if (lost && !k->told) {
		copy_topic(k, topic);
		wr_warn(k->name, "messages are given up and counted as skipped, the last for topic %s: %s",
			topic, rd_kafka_err2str(atomic_load(&k->code)));
	}
	k->told = lost > 0;
}

/* The task's thread: reads what the library has to tell, unless `settle` is at it, which wakes the task
 * behind that. WR_OK, or why the job fails. */
static int hear(struct kafka_sink *k)
{
	int heard = 0;

	atomic_store(&k->mailed, false);
	if (pthread_mutex_trylock(&k->polling) == 0) {
		for (int n = 1; n > 0; heard += n)
			n = rd_kafka_poll(k->producer.client.rk, 0);
		pthread_mutex_unlock(&k->polling);
	}
	if (k->fails)
		return atomic_load(&k->lost) ? given_up(k) : WR_OK;
	if (heard)
		count_lost(k);
	return WR_OK;
}

/* ---- rows ---- */

/* So many more, or less, are waited for. */
static void count(struct kafka_sink *k, uint8_t mark, int by)
{
	atomic_fetch_add_explicit(&k->waiting[mark], (uint32_t)by, memory_order_relaxed);
	atomic_fetch_add_explicit(&k->waiting_all, (uint64_t)(int64_t)by, memory_order_relaxed);
}

static int send_row(struct kafka_sink *k, const struct wr_elem *row)
{
	uint8_t mark = (uint8_t)(k->generation % GENERATIONS);
	int rc;

	count(k, mark, 1);
	rc = wr_kafka_produce(&k->producer, row, mark);
	if (rc != WR_OK)
		count(k, mark, -1);
	return rc;
}

/* The queue is full: what was delivered meanwhile makes room. */
static int send_late(struct kafka_sink *k, const struct wr_elem *row)
{
	int rc = hear(k);

	return rc == WR_OK ? send_row(k, row) : rc;
}

static int sink_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct kafka_sink *k = s->state;
	int rc = WR_OK;

	while (rows->p < rows->end && rc == WR_OK) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;

		rc = send_row(k, row);
		if (rc == WR_AGAIN)
			rc = send_late(k, row);
		if (rc == WR_END)
			rc = WR_OK;
		if (rc == WR_EUSER)
			rc = wr_stage_bad_row(s, 0, row, NULL, 0, k->name, wr_error_text(), rc);
		if (rc == WR_OK)
			rows->p += row->len;
	}
	return rc;
}

static int sink_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len)
{
	(void)payload, (void)len;
	return type == WR_LETTER_DONE ? hear(s->state) : WR_OK;
}

/* All that was given to it is delivered, or given up. */
static int sink_end(struct wr_stage *s)
{
	struct kafka_sink *k = s->state;
	int rc = hear(k);

	return rc == WR_OK && atomic_load(&k->waiting_all) ? WR_AGAIN : rc;
}

/* ---- barriers ---- */

/* Is all of the generations up to `last` acknowledged? */
static bool is_done(struct kafka_sink *k, uint64_t last)
{
	uint64_t g = atomic_load(&k->oldest);

	while (g <= last && atomic_load_explicit(&k->waiting[g % GENERATIONS], memory_order_acquire) == 0)
		g++;
	return g > last;
}

/* Moves `oldest` behind what is acknowledged. */
static void forget_done(struct kafka_sink *k)
{
	uint64_t oldest = atomic_load(&k->oldest);

	while (oldest < k->generation && is_done(k, oldest))
		atomic_store(&k->oldest, ++oldest);
}

/* With too many generations that are waited for, the open one goes on: the checkpoint waits for more. */
static int sink_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct kafka_sink *k = s->state;

	(void)out;
	atomic_store(&k->generation_of[s->checkpoint % GENERATIONS], k->generation);
	forget_done(k);
	if (k->generation - atomic_load(&k->oldest) < GENERATIONS - 1)
		k->generation++;
	return WR_OK;
}

static int sink_settle(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out)
{
	struct kafka_sink *k = s->state;
	uint64_t last = atomic_load(&k->generation_of[checkpoint % GENERATIONS]);

	pthread_mutex_lock(&k->polling);
	if (k->producer.client.down)
		wr_kafka_client_look(&k->producer.client);
	pthread_mutex_unlock(&k->polling);
	(void)out;
	while (k->fails && !atomic_load(&k->lost) && !is_done(k, last)) {
		if (atomic_load(&k->abandoned))
			return wr_error_set(WR_EUSER, "%s: messages are not acknowledged", k->name);
		pthread_mutex_lock(&k->polling);
		if (rd_kafka_poll(k->producer.client.rk, SETTLE_POLL_MS) > 0)
			wr_notify_fire(&s->env->wake);
		pthread_mutex_unlock(&k->polling);
	}
	return k->fails && atomic_load(&k->lost) ? given_up(k) : WR_OK;
}

static void sink_abandon(struct wr_stage *s)
{
	struct kafka_sink *k = s->state;

	if (k)
		atomic_store(&k->abandoned, true);
}

/* ---- life ---- */

static int open_client(struct kafka_sink *k)
{
	const char *const presets[] = {"enable.idempotence", k->fails ? "true" : "false", NULL};
	int rc = wr_kafka_producer_open(&k->producer, presets);

	if (rc != WR_OK)
		return rc;
	k->queue = rd_kafka_queue_get_main(k->producer.client.rk);
	rd_kafka_queue_cb_event_enable(k->queue, on_news, k);
	return WR_OK;
}

static int sink_open(struct wr_stage *s)
{
	struct kafka_sink *k = s->state = wr_zalloc(&mem, sizeof *k);
	int rc;

	if (!k)
		return WR_EFATAL;
	k->stage = s;
	k->fails = strcmp(wr_value_str(s->options, "guarantee", "at_least_once"), "none") != 0;
	k->producer.delivered = delivered;
	k->producer.arg = k;
	snprintf(k->name, sizeof k->name, "%.100s[%u]", s->ops_stats[0].name, s->env->subtask);
	pthread_mutex_init(&k->polling, NULL);
	rc = wr_kafka_producer_init(&k->producer, s->options, k->name);
	k->producer.remote = wr_remote_attach(&s->ops_stats[0].remote);
	if (!k->producer.remote)
		return WR_EFATAL;
	return rc == WR_OK ? open_client(k) : rc;
}

static void sink_free(struct wr_stage *s)
{
	struct kafka_sink *k = s->state;

	if (!k)
		return;
	if (k->queue) {
		rd_kafka_queue_cb_event_enable(k->queue, NULL, NULL);
		rd_kafka_queue_destroy(k->queue);
	}
	wr_kafka_producer_deinit(&k->producer);
	wr_remote_detach(&s->ops_stats[0].remote);
	pthread_mutex_destroy(&k->polling);
	wr_free(&mem, k);
	s->state = NULL;
}

const struct wr_stage_ops wr_kafka_sink_ops = {.kind = "kafka_sink",
					       .open = sink_open,
					       .rows = sink_rows,
					       .letter = sink_letter,
					       .save = sink_save,
					       .settle = sink_settle,
					       .abandon = sink_abandon,
					       .end = sink_end,
					       .flush = sink_end,
					       .free = sink_free};
