/* SPDX-License-Identifier: Apache-2.0 */
/* enumerator: which partitions a source of Kafka reads, and which subtask each. On the coordinator's thread,
 * which never waits for a broker: a thread of its own looks partitions up (lookup.h), when it is asked to.
 *
 * The first look of a job decides for all partitions where they begin and end. A source with an end is then
 * complete. Otherwise every `discover` ms it looks again: what is new by then is read from its beginning,
 * whatever `start` says, so that no record of it is missed; what has vanished is told. Which subtask reads a
 * partition follows from its name (part.h), and positions are the readers'.
 *
 * A job that begins at a checkpoint has been given a script, which may say something else than the one that
 * the checkpoint is of. What holds is the script:
 *
 *   a topic that it does not name any more   is dropped with its positions, which is told
 *   a topic that it names in addition        begins as `start` says
 *   another `stop`                           is looked up for all partitions; the same one stays what it was
 *
 * While no broker answers, or a topic that is named is missing, the first look goes on for `timeout` ms, or
 * with `wait` for ever. With `wait`, a source without an end that begins at an end of its topics (earliest,
 * latest) begins with those that are there; those that come later are read from their beginning.
 *
 *   IDLE ──discover──▶ ASKED ──the thread──▶ LOOKING ──▶ DONE ──discover──▶ IDLE
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "kafka/lookup.h"
#include "kafka/source.h"
#include "task/enumerator.h"

enum {
	/* An answer is waited for for so long at most, so that a job ends soon: a look that is under way
	 * then, which needs up to five, is waited for. */
	ANSWER_MS = 1000,
	POLL_MS = 10,	/* between two looks whether the thread is done */
	AGAIN_MS = 100, /* before the first look is tried again, and while a topic is waited for */
	REASON_MAX = 512,
};

enum step { IDLE, ASKED, LOOKING, DONE };

struct enumerator {
	struct wr_enumerator base;
	void (*post)(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len);
	void *arg;
	const struct wr_value *options;
	uint32_t parallelism;
	struct wr_hand *hands; /* by subtask: what it is given next */
	int64_t every_ms, timeout_ms;
	bool bounded, wait;
	struct wr_kafka_names names;
	bool complete;		     /* nothing is discovered any more */
	bool begun;		     /* the first look of the job was successful */
	bool looked;		     /* that of this process */
	bool restored, troubled;     /* troubled: it was told that there is no answer */
	uint64_t until_ns;	     /* of the first look, 0 = nothing failed yet */
	struct wr_kafka_parts known; /* given out; `from` says nothing, positions are the readers' */
	struct wr_kafka_parts gone;  /* those of them that had vanished when it was looked last */
	/* to be read from a time on, as who edited the savepoint said: `from` is the time in ms, or
	 * WR_KAFKA_END. They are known, and given out before anything else is looked for. */
	struct wr_kafka_parts sought;

	/* what the checkpoint says that the known ones were looked up by */
	struct wr_arena arena;
	struct wr_kafka_names before;
	const struct wr_value *asked_before;
	bool has_before, other_stop;

	struct wr_thread thread;
	struct wr_kafka_lookup *lookup; /* the thread's, once it runs */
	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t wake;
	enum step step;
	bool closing;
	bool seeking; /* the look that was asked for is for the offsets of `found` alone */
	/* what came of it */
	struct wr_kafka_parts found;
	const char *missing; /* a topic that is named and not there, the first of them */
	int rc;
	char reason[REASON_MAX];
};

static struct wr_mem mem = WR_MEM_INIT("kafka.enumerator");

static bool is_known(const struct enumerator *e, const struct wr_kafka_part *part)
{
	return wr_kafka_parts_find(&e->known, part) != NULL;
}

static bool is_topic(const struct wr_kafka_parts *parts, const char *topic)
{
	for (uint32_t i = 0; i < parts->count; i++)
		if (!strcmp(parts->items[i].topic, topic))
			return true;
	return false;
}

/* ---- the thread: it reads what is known, which nobody changes while it looks ---- */

/* A topic that is named, is not there, and was not when it was looked for last. */
static const char *missing_topic(const struct enumerator *e)
{
	for (uint32_t i = 0; i < e->names.count; i++) {
		const char *topic = e->names.topics[i].str.p;

		if (!is_topic(&e->found, topic) && !is_topic(&e->known, topic))
			return topic;
	}
	return NULL;
}

/* What is there now is begun, and what is missing later. */
static bool begins_early(const struct enumerator *e)
{
	const char *at = wr_value_str(wr_value_get(e->options, "start"), "at", "earliest");

	return e->wait && !e->bounded && (!strcmp(at, "earliest") || !strcmp(at, "latest"));
}

/* Does `start` say where it begins? */
static bool is_to_start(const struct enumerator *e, const struct wr_kafka_part *p)
{
	return !is_known(e, p) && (!e->begun || (e->has_before && !wr_kafka_names_has(&e->before, p->topic)));
}

static bool is_to_stop(const struct enumerator *e, const struct wr_kafka_part *p)
{
	return e->other_stop || !is_known(e, p);
}

/* Asks for those bounds of what was found that are to be asked for. */
static int look_up(struct enumerator *e,
		   bool (*which)(const struct enumerator *, const struct wr_kafka_part *),
		   int (*ask)(struct wr_kafka_lookup *, struct wr_kafka_parts *, int))
{
	struct wr_kafka_parts some;
	int rc = WR_OK;

	wr_kafka_parts_init(&some);
	for (uint32_t i = 0; i < e->found.count && rc == WR_OK; i++)
		if (which(e, &e->found.items[i]))
			rc = wr_kafka_parts_add(&some, &e->found.items[i]);
	if (rc == WR_OK)
		rc = ask(e->lookup, &some, ANSWER_MS);
	for (uint32_t i = 0; i < some.count && rc == WR_OK; i++) {
		struct wr_kafka_part *p = wr_kafka_parts_find(&e->found, &some.items[i]);

		p->from = some.items[i].from;
		p->to = some.items[i].to;
	}
	wr_kafka_parts_deinit(&some);
	return rc;
}

/* All that is to be read up to an end has one. */
static int check_known(const struct enumerator *e)
{
	for (uint32_t i = 0; i < e->known.count && e->bounded; i++)
		if (!wr_kafka_parts_find(&e->found, &e->known.items[i]))
			return wr_error_set(WR_ETRANSIENT,
					    "partition %" PRId32
					    " of topic \"%s\", which the checkpoint has, is not there",
					    e->known.items[i].partition, e->known.items[i].topic);
	return WR_OK;
}

/* The first look of this process: all that `start` and `stop` say is asked for, too. */
static int look_first(struct enumerator *e)
{
	int rc = WR_OK;

	if (e->missing && !begins_early(e))
		return wr_error_set(WR_ETRANSIENT, "the topic \"%s\" does not exist", e->missing);
	if (e->bounded && !e->found.count)
		return wr_error_set(WR_ETRANSIENT, "no topic has a name as the pattern says");
	rc = check_known(e);
	if (rc == WR_OK && !e->begun)
		rc = wr_kafka_lookup_check(e->lookup, &e->found);
	if (rc == WR_OK)
		rc = look_up(e, is_to_start, wr_kafka_lookup_start);
	return rc == WR_OK && e->bounded ? look_up(e, is_to_stop, wr_kafka_lookup_stop) : rc;
}

static int look(struct enumerator *e)
{
	int rc;

	if (e->seeking)
		return wr_kafka_lookup_times(e->lookup, &e->found, ANSWER_MS);
	rc = wr_kafka_lookup_parts(e->lookup, ANSWER_MS, &e->found);
	e->missing = rc == WR_OK ? missing_topic(e) : NULL;
	return rc == WR_OK && !e->looked ? look_first(e) : rc;
}

/* What came of a look stays until it is taken (take_step). */
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
		e->rc = look(e);
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

/* Has the thread look. */
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
	e->step = ASKED;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	return WR_OK;
}

/* Where the thread is; what it has done is taken. */
static enum step take_step(struct enumerator *e)
{
	enum step step;

	pthread_mutex_lock(&e->lock);
	step = e->step;
	if (step == DONE)
		e->step = IDLE;
	pthread_mutex_unlock(&e->lock);
	return step;
}

/* ---- giving out ---- */

static int give(struct enumerator *e, const struct wr_kafka_part *part)
{
	struct wr_hand *h = &e->hands[wr_kafka_part_owner(part, e->parallelism)];

	wr_kafka_part_put(&h->splits, part);
	h->count++;
	return wr_bytes_status(&h->splits);
}

static int send_hands(struct enumerator *e)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < e->parallelism && rc == WR_OK; i++) {
		struct wr_bytes letter = WR_BYTES_EMPTY;

		if (!e->hands[i].count)
			continue;
		wr_hand_put(&letter, &e->hands[i]);
		rc = wr_bytes_status(&letter);
		if (rc == WR_OK)
			e->post(e->arg, i, WR_LETTER_SPLITS, letter.data, (uint32_t)letter.len);
		wr_bytes_deinit(&letter);
	}
	return rc;
}

static void tell_no_more(struct enumerator *e)
{
	for (uint32_t i = 0; i < e->parallelism; i++)
		e->post(e->arg, i, WR_LETTER_NO_MORE, NULL, 0);
}

/* Begins a partition, which is known from then on. */
static int give_new(struct enumerator *e, const struct wr_kafka_part *p)
{
	int rc = give(e, p);

	if (e->begun)
		wr_info("kafka", "a new partition is read: %s[%" PRId32 "]", p->topic, p->partition);
	if (p->from > p->to)
		wr_warn("kafka",
			"%s[%" PRId32 "] is to begin at offset %" PRId64 " and to end at %" PRId64
			": nothing of it is read",
			p->topic, p->partition, p->from, p->to);
	return rc == WR_OK
		   ? wr_kafka_parts_add(&e->known, &(struct wr_kafka_part){p->topic, p->partition, 0, p->to})
		   : rc;
}

/* Another end of what is known. Its reader has the position, unless it had ended with all its partitions:
 * then that is where it ended. */
static int give_end(struct enumerator *e, struct wr_kafka_part *known, int64_t to)
{
	struct wr_kafka_part p = {known->topic, known->partition, WR_KAFKA_BEGINNING, to};

	if (known->to != INT64_MAX)
		p.from = known->to;
	known->to = to;
	return give(e, &p);
}

/* Gives out what is new, and other ends of what is known. */
static int give_found(struct enumerator *e)
{
	struct wr_kafka_parts old = e->known; /* sorted; what is added lies behind */
	int rc = WR_OK;

	for (uint32_t i = 0; i < e->found.count && rc == WR_OK; i++) {
		const struct wr_kafka_part *p = &e->found.items[i];

		struct wr_kafka_part *known;

		old.items = e->known.items;
		known = wr_kafka_parts_find(&old, p);
		if (!known)
			rc = give_new(e, p);
		else if ((!e->looked && e->other_stop) || (!e->bounded && known->to != INT64_MAX))
			rc = give_end(e, known, p->to);
	}
	wr_kafka_parts_sort(&e->known);
	return rc == WR_OK ? send_hands(e) : rc;
}

/* Tells what is not there any more, once, and what came back. */
static int tell_vanished(struct enumerator *e)
{
	struct wr_kafka_parts gone;
	int rc = WR_OK;

	wr_kafka_parts_init(&gone);
	for (uint32_t i = 0; i < e->known.count && rc == WR_OK; i++) {
		const struct wr_kafka_part *p = &e->known.items[i];
		bool is_gone = !wr_kafka_parts_find(&e->found, p),
		     was_gone = wr_kafka_parts_find(&e->gone, p);

		if (is_gone && !was_gone)
			wr_warn("kafka", "the partition %s[%" PRId32 "] has vanished", p->topic,
				p->partition);
		if (!is_gone && was_gone)
			wr_warn("kafka",
				"the partition %s[%" PRId32
				"] is there again: where it was made anew, and is "
				"as long as before, its first records are not read",
				p->topic, p->partition);
		if (is_gone)
			rc = wr_kafka_parts_add(&gone, p);
	}
	wr_kafka_parts_deinit(&e->gone);
	e->gone = gone;
	return rc;
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
	return rc == WR_OK ? send_hands(e) : rc;
}

static void tell_first(const struct enumerator *e)
{
	if (e->missing)
		wr_warn("kafka",
			"the topic \"%s\" does not exist; it is waited for, and read from its beginning",
			e->missing);
	else if (e->known.count)
		wr_info("kafka", "%u partitions are read", e->known.count);
	else
		wr_warn("kafka", "no topic has a name as the pattern says; it is looked for on and on");
}

static int take_found(struct enumerator *e)
{
	int rc;

	if (e->seeking)
		return take_sought(e);
	rc = give_found(e);
	if (rc == WR_OK)
		rc = tell_vanished(e);
	if (rc == WR_OK && !e->looked && !e->begun)
		tell_first(e);
	e->begun = e->looked = true;
	e->complete = e->bounded;
	if (rc == WR_OK && e->complete)
		tell_no_more(e);
	return rc;
}

/* The look gave no answer. WR_OK: it is tried again. */
static int take_failure(struct enumerator *e)
{
	uint64_t now = wr_clock_ns(wr_clock_system());
	bool reading = e->begun && !e->bounded; /* what is known is read meanwhile */

	if (e->rc != WR_ETRANSIENT)
		return wr_error_set(e->rc, "%s", e->reason);
	wr_debug("kafka", "no answer yet: %s", e->reason);
	if (e->wait || e->looked || (reading && !e->missing)) {
		if (!e->troubled)
			wr_warn("kafka", "%s: %s",
				e->seeking ? "waiting for the offsets of times"
				: reading  ? "new partitions are not looked for"
					   : "waiting for topics",
				e->reason);
		e->troubled = true;
		return WR_OK;
	}
	if (!e->until_ns) {
		e->until_ns = now + (uint64_t)e->timeout_ms * 1000000;
		wr_info("kafka", "waiting for at most %.3g s: %s", (double)e->timeout_ms / 1000, e->reason);
	}
	if (now < e->until_ns)
		return WR_OK;
	return wr_error_set(e->restored && !e->missing ? WR_ETRANSIENT : WR_EUSER,
			    "%s (brokers %s, %.3g s; `wait = true` waits on and on)", e->reason,
			    wr_value_str(e->options, "brokers", ""), (double)e->timeout_ms / 1000);
}

/* When to look again. */
static int64_t pause_of(const struct enumerator *e)
{
	if (e->seeking)
		return e->rc == WR_OK ? 0 : AGAIN_MS;
	return e->complete ? -1 : !e->looked || e->missing ? AGAIN_MS : e->every_ms;
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
	switch (take_step(e)) {
	case IDLE:
		return ask(e);
	case DONE:
		break;
	default:
		return WR_OK;
	}
	rc = e->rc == WR_OK ? take_found(e) : take_failure(e);
	if (e->rc == WR_OK)
		e->troubled = false;
	*next_ms = rc < 0 ? -1 : pause_of(e);
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
	for (uint32_t i = 0; e->hands && i < e->parallelism; i++)
		wr_hand_deinit(&e->hands[i]);
	wr_free(&mem, e->hands);
	wr_kafka_parts_deinit(&e->known);
	wr_kafka_parts_deinit(&e->gone);
	wr_kafka_parts_deinit(&e->sought);
	wr_kafka_parts_deinit(&e->found);
	wr_kafka_names_close(&e->names);
	wr_kafka_names_close(&e->before);
	wr_arena_deinit(&e->arena);
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
	wr_kafka_parts_init(&e->gone);
	wr_kafka_parts_init(&e->sought);
	wr_kafka_parts_init(&e->found);
	wr_arena_init(&e->arena, &mem);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->wake, NULL);
	e->hands = wr_zalloc(&mem, parallelism * sizeof *e->hands);
	if (e->hands && wr_kafka_names_open(&e->names, options) == WR_OK)
		return &e->base;
	enumerator_free(&e->base);
	return NULL;
}

/* ---- snapshots: { asked=, begun=, complete=, known=[[topic, partition, to], …], and
 * where there are some sought=[part, …], whose `from` is a time in ms, or WR_KAFKA_END } ---- */

static const char *const asked[] = {"pattern", "stop", "topics"};

/* The options by which partitions and their ends were looked up: until they are looked up anew, those of the
 * checkpoint. */
static void put_asked(const struct enumerator *e, struct wr_bytes *out)
{
	const struct wr_value *options = e->looked || !e->asked_before ? e->options : e->asked_before;
	size_t count = sizeof asked / sizeof asked[0];

	wr_value_put_record(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct wr_value *v = wr_value_get(options, asked[i]);

		wr_value_put_name(out, asked[i]);
		if (v)
			wr_value_put(out, v);
		else
			wr_value_put_nil(out);
	}
}

static int enumerator_save(const struct wr_enumerator *base, struct wr_bytes *out)
{
	const struct enumerator *e = (const struct enumerator *)base;

	wr_value_put_record(out, e->sought.count ? 5 : 4);
	wr_value_put_name(out, "asked");
	put_asked(e, out);
	wr_value_put_name(out, "begun");
	wr_value_put_bool(out, e->begun);
	wr_value_put_name(out, "complete");
	wr_value_put_bool(out, e->complete);
	wr_value_put_name(out, "known");
	wr_value_put_list(out, e->known.count);
	for (uint32_t i = 0; i < e->known.count; i++) {
		wr_value_put_list(out, 3);
		wr_value_put_str(out, e->known.items[i].topic);
		wr_value_put_i64(out, e->known.items[i].partition);
		wr_value_put_i64(out, e->known.items[i].to);
	}
	if (e->sought.count) {
		wr_value_put_name(out, "sought");
		wr_value_put_list(out, e->sought.count);
	}
	for (uint32_t i = 0; i < e->sought.count; i++)
		wr_kafka_part_put(out, &e->sought.items[i]);
	return wr_bytes_status(out);
}

static int malformed(void)
{
	return wr_error_set(WR_EUSER, "the saved list of partitions is malformed");
}

static int restore_part(struct enumerator *e, const struct wr_value *v)
{
	if (v->tag != WR_V_LIST || v->count != 3 || v->items[0].tag != WR_V_STR ||
	    v->items[1].tag != WR_V_I64 || v->items[2].tag != WR_V_I64)
		return malformed();
	if (!wr_kafka_names_has(&e->names, v->items[0].str.p)) {
		wr_warn("kafka",
			"partition %" PRId64
			" of topic \"%s\", which the checkpoint has, is dropped with its "
			"position: the script does not name the topic any more",
			v->items[1].i64, v->items[0].str.p);
		return WR_OK;
	}
	return wr_kafka_parts_add(
	    &e->known,
	    &(struct wr_kafka_part){v->items[0].str.p, (int32_t)v->items[1].i64, 0, v->items[2].i64});
}

static int restore_sought(struct enumerator *e, const struct wr_value *saved)
{
	uint32_t count;
	const struct wr_value *list = wr_value_list(saved, "sought", &count);
	int rc = WR_OK;

	for (uint32_t i = 0; list && i < count && rc == WR_OK; i++) {
		struct wr_kafka_part part;

		rc = wr_kafka_part_of(&list[i], &part);
		if (!e->bounded)
			part.to = INT64_MAX;
		if (rc == WR_OK && wr_kafka_names_has(&e->names, part.topic))
			rc = wr_kafka_parts_add(&e->sought, &part);
	}
	return rc;
}

static bool is_same(const struct wr_value *a, const struct wr_value *b)
{
	struct wr_bytes x = WR_BYTES_EMPTY, y = WR_BYTES_EMPTY;
	bool same = !a == !b;

	if (a && b) {
		wr_value_put(&x, a);
		wr_value_put(&y, b);
		same = x.len == y.len && !memcmp(x.data, y.data, x.len);
	}
	wr_bytes_deinit(&x);
	wr_bytes_deinit(&y);
	return same;
}

/* What was asked before; copied, for the checkpoint does not stay. */
static int restore_asked(struct enumerator *e, const struct wr_value *saved)
{
	struct wr_value *copy = wr_arena_alloc(&e->arena, sizeof *copy);
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_reader r;
	int rc;

	wr_value_put(&bytes, saved);
	rc = copy ? wr_bytes_status(&bytes) : WR_EFATAL;
	r = wr_reader_of(bytes.data, bytes.len);
	if (rc == WR_OK)
		rc = wr_value_parse(&r, &e->arena, copy);
	wr_bytes_deinit(&bytes);
	if (rc == WR_OK)
		rc = wr_kafka_names_open(&e->before, copy);
	e->has_before = rc == WR_OK;
	if (rc == WR_OK)
		e->asked_before = copy;
	return rc;
}

static int enumerator_restore(struct wr_enumerator *base, const struct wr_value *saved)
{
	struct enumerator *e = (struct enumerator *)base;
	const struct wr_value *known = wr_value_get(saved, "known"), *before = wr_value_get(saved, "asked");
	bool same = true;
	int rc = WR_OK;

	e->restored = true;
	if (!known || known->tag != WR_V_LIST || !before || before->tag != WR_V_RECORD)
		return malformed();
	for (uint32_t i = 0; i < known->count && rc == WR_OK; i++)
		rc = restore_part(e, &known->items[i]);
	wr_kafka_parts_sort(&e->known);
	if (rc == WR_OK)
		rc = restore_sought(e, saved);
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
		same = same && is_same(wr_value_get(before, asked[i]), wr_value_get(e->options, asked[i]));
	e->other_stop = !is_same(wr_value_get(before, "stop"), wr_value_get(e->options, "stop"));
	e->begun = wr_value_bool(saved, "begun", false);
	e->complete = same && wr_value_bool(saved, "complete", false);
	return rc == WR_OK ? restore_asked(e, before) : rc;
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
