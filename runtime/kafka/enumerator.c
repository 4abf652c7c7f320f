/* SPDX-License-Identifier: Apache-2.0 */
/* enumerator: which partitions a source of Kafka reads, and which subtask each. On the coordinator's thread,
 * which never waits for a broker: a thread of its own looks partitions up (lookup.h), when it is asked to.
 *
 * The first look decides for all partitions where they begin and end. A source with an end is then complete.
 * Otherwise every `discover` ms it looks again: what is new by then is read from its beginning, whatever
 * `start` says, so that no record of it is missed; what has vanished is told. Which subtask reads a partition
 * follows from its name (part.h).
 *
 * While no broker answers, or a topic is missing, the first look goes on for `timeout` ms, or with `wait` for
 * ever.
 *
 *   IDLE ──discover──▶ ASKED ──the thread──▶ LOOKING ──▶ DONE ──discover──▶ IDLE
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "kafka/lookup.h"
#include "kafka/source.h"
#include "task/enumerator.h"

enum {
	ANSWER_MS = 1000, /* a question waits so long at most: as long as it may take to end the job */
	POLL_MS = 10,	  /* between two looks whether the thread is done */
	AGAIN_MS = 100,	  /* before the first look is tried again */
	REASON_MAX = 512,
};

enum step { IDLE, ASKED, LOOKING, DONE };

struct enumerator {
	struct wr_enumerator base;
	void (*post)(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len);
	void *arg;
	const struct wr_value *options;
	uint32_t parallelism;
	int64_t every_ms, timeout_ms;
	bool bounded, wait;
	bool complete;		     /* nothing is discovered any more */
	bool begun;		     /* the first look was successful */
	bool restored, troubled;     /* troubled: it was told that there is no answer */
	uint64_t until_ns;	     /* of the first look, 0 = nothing failed yet */
	struct wr_kafka_parts known; /* given out; `from` is 0, or 1: it has vanished */
	/* to be read from a time on, as who edited the savepoint said: `from` is the time in ms. They are
	 * known, and given out before anything else is looked for. */
	struct wr_kafka_parts sought;

	struct wr_thread thread;
	struct wr_kafka_lookup *lookup; /* the thread's, once it runs */
	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t wake;
	enum step step;
	bool closing;
	bool first, seeking; /* the look that was asked for; seeking: for the offsets of `found` alone */
	/* what came of it */
	struct wr_kafka_parts found;
	int rc;
	char reason[REASON_MAX];
};

static struct wr_mem mem = WR_MEM_INIT("kafka.enumerator");

/* ---- the thread ---- */

static int look(struct enumerator *e, struct wr_kafka_parts *found)
{
	int rc = e->seeking ? wr_kafka_lookup_times(e->lookup, found, ANSWER_MS)
			    : wr_kafka_lookup_parts(e->lookup, e->first, ANSWER_MS, found);

	if (e->seeking)
		return rc;
	if (rc == WR_OK && e->first)
		rc = wr_kafka_lookup_bounds(e->lookup, found, ANSWER_MS);
	if (rc == WR_OK && e->first && e->bounded && !found->count)
		rc = wr_error_set(WR_ETRANSIENT, "no topic has a name as the pattern says");
	return rc;
}

static void *run(void *arg)
{
	struct enumerator *e = arg;

	pthread_mutex_lock(&e->lock);
	while (!e->closing) {
		if (e->step != ASKED) {
			pthread_cond_wait(&e->wake, &e->lock);
			continue;
		}
		e->step = LOOKING;
		pthread_mutex_unlock(&e->lock);
		e->rc = look(e, &e->found);
		if (e->rc != WR_OK)
			snprintf(e->reason, sizeof e->reason, "%s%s%s", wr_error_text(),
				 *wr_kafka_lookup_trouble(e->lookup) ? "; " : "",
				 wr_kafka_lookup_trouble(e->lookup));
		pthread_mutex_lock(&e->lock);
		e->step = DONE;
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

static int start_thread(struct enumerator *e)
{
	e->lookup = wr_kafka_lookup_new(e->options);
	return e->lookup ? wr_thread_start(&e->thread, "weir-topics", -1, run, e) : wr_error_code();
}

static int ask(struct enumerator *e)
{
	int rc = WR_OK;

	wr_kafka_parts_deinit(&e->found);
	wr_kafka_parts_init(&e->found);
	e->seeking = e->sought.count > 0;
	for (uint32_t i = 0; i < e->sought.count && rc == WR_OK; i++)
		rc = wr_kafka_parts_add(&e->found, &e->sought.items[i]);
	if (rc != WR_OK)
		return rc;
	pthread_mutex_lock(&e->lock);
	e->first = !e->begun;
	e->step = ASKED;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	return WR_OK;
}

static enum step step_of(struct enumerator *e)
{
	enum step step;

	pthread_mutex_lock(&e->lock);
	step = e->step;
	pthread_mutex_unlock(&e->lock);
	return step;
}

/* ---- giving out ---- */

static int give(struct enumerator *e, const struct wr_kafka_part *part)
{
	struct wr_bytes letter = WR_BYTES_EMPTY;
	int rc;

	wr_kafka_part_put(&letter, part);
	rc = wr_bytes_status(&letter);
	if (rc == WR_OK)
		e->post(e->arg, wr_kafka_part_owner(part, e->parallelism), WR_LETTER_SPLIT, letter.data,
			(uint32_t)letter.len);
	wr_bytes_deinit(&letter);
	return rc;
}

static void tell_no_more(struct enumerator *e)
{
	for (uint32_t i = 0; i < e->parallelism; i++)
		e->post(e->arg, i, WR_LETTER_NO_MORE, NULL, 0);
}

static struct wr_kafka_part *find(const struct wr_kafka_parts *in, const struct wr_kafka_part *part)
{
	return in->count ? bsearch(part, in->items, in->count, sizeof *part, wr_kafka_part_compare) : NULL;
}

/* Gives out what is new. */
static int take_new(struct enumerator *e)
{
	uint32_t known = e->known.count;
	int rc = WR_OK;

	for (uint32_t i = 0; i < e->found.count && rc == WR_OK; i++) {
		const struct wr_kafka_part *p = &e->found.items[i];
		struct wr_kafka_parts old = e->known;

		old.count = known;
		if (find(&old, p))
			continue;
		if (e->begun)
			wr_info("kafka", "a new partition is read: %s[%" PRId32 "]", p->topic, p->partition);
		rc = give(e, p);
		if (rc == WR_OK)
			rc = wr_kafka_parts_add(&e->known,
						&(struct wr_kafka_part){p->topic, p->partition, 0, 0});
	}
	if (e->known.count > known)
		qsort(e->known.items, e->known.count, sizeof *e->known.items, wr_kafka_part_compare);
	return rc;
}

/* Tells what is not there any more, once, and what came back. */
static void tell_vanished(struct enumerator *e)
{
	for (uint32_t i = 0; i < e->known.count; i++) {
		struct wr_kafka_part *p = &e->known.items[i];
		bool gone = !find(&e->found, p);

		if (gone && !p->from)
			wr_warn("kafka", "the partition %s[%" PRId32 "] has vanished", p->topic,
				p->partition);
		if (!gone && p->from)
			wr_info("kafka", "the partition %s[%" PRId32 "] is there again", p->topic,
				p->partition);
		p->from = gone;
	}
}

/* The offsets of times are known. */
static int take_sought(struct enumerator *e)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < e->found.count && rc == WR_OK; i++) {
		const struct wr_kafka_part *p = &e->found.items[i];

		wr_info("kafka", "%s[%" PRId32 "] is read from offset %" PRId64 " on", p->topic, p->partition,
			p->from);
		rc = give(e, p);
	}
	e->sought.count = 0;
	return rc;
}

static int take_found(struct enumerator *e)
{
	int rc;

	if (e->seeking)
		return take_sought(e);
	rc = take_new(e);
	tell_vanished(e);
	if (rc == WR_OK && !e->begun && e->known.count)
		wr_info("kafka", "%u partitions are read", e->known.count);
	if (rc == WR_OK && !e->begun && !e->known.count)
		wr_warn("kafka", "no topic has a name as the pattern says; it is looked for on and on");
	e->begun = true;
	e->complete = e->bounded;
	if (rc == WR_OK && e->complete)
		tell_no_more(e);
	return rc;
}

/* The look gave no answer. WR_OK: it is tried again. */
static int take_failure(struct enumerator *e)
{
	uint64_t now = wr_clock_ns(wr_clock_system());

	if (e->rc != WR_ETRANSIENT)
		return wr_error_set(e->rc, "%s", e->reason);
	wr_debug("kafka", "no answer yet: %s", e->reason);
	if (e->begun || e->wait) {
		if (!e->troubled)
			wr_warn("kafka", "%s: %s",
				e->seeking ? "waiting for the offsets of times"
				: e->begun ? "new partitions are not looked for"
					   : "waiting for topics",
				e->reason);
		e->troubled = true;
		return WR_OK;
	}
	if (!e->until_ns)
		e->until_ns = now + (uint64_t)e->timeout_ms * 1000000;
	if (now < e->until_ns)
		return WR_OK;
	return wr_error_set(e->restored ? WR_ETRANSIENT : WR_EUSER,
			    "%s (brokers %s, %.3g s; `wait = true` waits on and on)", e->reason,
			    wr_value_str(e->options, "brokers", ""), (double)e->timeout_ms / 1000);
}

static int enumerator_discover(struct wr_enumerator *base, int64_t *next_ms)
{
	struct enumerator *e = (struct enumerator *)base;
	int rc = WR_OK;

	*next_ms = -1;
	if (e->complete && !e->sought.count) {
		tell_no_more(e);
		return WR_OK;
	}
	if (!e->lookup)
		rc = start_thread(e);
	if (rc != WR_OK)
		return rc;
	*next_ms = POLL_MS;
	switch (step_of(e)) {
	case IDLE:
		return ask(e);
	case DONE:
		break;
	default:
		return WR_OK;
	}
	e->step = IDLE;
	rc = e->rc == WR_OK ? take_found(e) : take_failure(e);
	if (e->rc == WR_OK)
		e->troubled = false;
	*next_ms = rc < 0	 ? -1
		   : e->seeking	 ? (e->rc == WR_OK ? 0 : AGAIN_MS)
		   : e->complete ? -1
		   : e->begun	 ? e->every_ms
				 : AGAIN_MS;
	return rc;
}

/* Partitions are given out unasked. */
static int enumerator_letter(struct wr_enumerator *e, uint32_t subtask, uint32_t type, const uint8_t *payload,
			     uint32_t len)
{
	(void)e;
	(void)subtask;
	(void)type;
	(void)payload;
	(void)len;
	return WR_OK;
}

/* ---- life ---- */

static void enumerator_free(struct wr_enumerator *base)
{
	struct enumerator *e = (struct enumerator *)base;

	pthread_mutex_lock(&e->lock);
	e->closing = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	wr_thread_join(&e->thread);
	wr_kafka_lookup_free(e->lookup);
	wr_kafka_parts_deinit(&e->known);
	wr_kafka_parts_deinit(&e->sought);
	wr_kafka_parts_deinit(&e->found);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	wr_free(&mem, e);
}

static struct wr_enumerator *enumerator_make(const struct wr_value *options, uint32_t parallelism,
					     void (*post)(void *arg, uint32_t subtask, uint32_t type,
							  const void *payload, uint32_t len),
					     void *arg)
{
	struct enumerator *e = wr_zalloc(&mem, sizeof *e);

	if (!e)
		return NULL;
	e->base.ops = &wr_kafka_enumerator_ops;
	e->post = post;
	e->arg = arg;
	e->options = options;
	e->parallelism = parallelism;
	e->every_ms = wr_value_int(options, "discover", 10000);
	e->timeout_ms = wr_value_int(options, "timeout", 10000);
	e->bounded = wr_value_bool(options, "bounded", false);
	e->wait = wr_value_bool(options, "wait", false);
	wr_kafka_parts_init(&e->known);
	wr_kafka_parts_init(&e->sought);
	wr_kafka_parts_init(&e->found);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->wake, NULL);
	return &e->base;
}

/* ---- snapshots: { begun=, complete=, known=[[topic, partition], …], and
 * where there are some sought=[part, …], whose `from` is a time in ms } ---- */

static int enumerator_save(const struct wr_enumerator *base, struct wr_bytes *out)
{
	const struct enumerator *e = (const struct enumerator *)base;

	wr_value_put_record(out, e->sought.count ? 4 : 3);
	wr_value_put_name(out, "begun");
	wr_value_put_bool(out, e->begun);
	wr_value_put_name(out, "complete");
	wr_value_put_bool(out, e->complete);
	wr_value_put_name(out, "known");
	wr_value_put_list(out, e->known.count);
	for (uint32_t i = 0; i < e->known.count; i++) {
		wr_value_put_list(out, 2);
		wr_value_put_str(out, e->known.items[i].topic);
		wr_value_put_i64(out, e->known.items[i].partition);
	}
	if (e->sought.count) {
		wr_value_put_name(out, "sought");
		wr_value_put_list(out, e->sought.count);
	}
	for (uint32_t i = 0; i < e->sought.count; i++)
		wr_kafka_part_put(out, &e->sought.items[i]);
	return wr_bytes_status(out);
}

static int restore_part(struct enumerator *e, const struct wr_value *v)
{
	if (v->tag != WR_V_LIST || v->count != 2 || v->items[0].tag != WR_V_STR ||
	    v->items[1].tag != WR_V_I64)
		return wr_error_set(WR_EUSER, "the saved list of partitions is malformed");
	return wr_kafka_parts_add(&e->known,
				  &(struct wr_kafka_part){v->items[0].str.p, (int32_t)v->items[1].i64, 0, 0});
}

static int restore_sought(struct enumerator *e, const struct wr_value *saved)
{
	uint32_t count;
	const struct wr_value *list = wr_value_list(saved, "sought", &count);
	int rc = WR_OK;

	for (uint32_t i = 0; list && i < count && rc == WR_OK; i++) {
		struct wr_kafka_part part;

		rc = wr_kafka_part_of(&list[i], &part);
		if (rc == WR_OK)
			rc = wr_kafka_parts_add(&e->sought, &part);
	}
	return rc;
}

static int enumerator_restore(struct wr_enumerator *base, const struct wr_value *saved)
{
	struct enumerator *e = (struct enumerator *)base;
	const struct wr_value *known = wr_value_get(saved, "known");
	int rc = WR_OK;

	e->restored = true;
	if (!known || known->tag != WR_V_LIST)
		return wr_error_set(WR_EUSER, "the saved list of partitions is malformed");
	for (uint32_t i = 0; i < known->count && rc == WR_OK; i++)
		rc = restore_part(e, &known->items[i]);
	if (e->known.count)
		qsort(e->known.items, e->known.count, sizeof *e->known.items, wr_kafka_part_compare);
	if (rc == WR_OK)
		rc = restore_sought(e, saved);
	e->begun = wr_value_bool(saved, "begun", false);
	e->complete = wr_value_bool(saved, "complete", false);
	return rc;
}

const struct wr_enumerator_ops wr_kafka_enumerator_ops = {
    .kind = "kafka",
    .make = enumerator_make,
    .letter = enumerator_letter,
    .discover = enumerator_discover,
    .save = enumerator_save,
    .restore = enumerator_restore,
    .free = enumerator_free,
};
