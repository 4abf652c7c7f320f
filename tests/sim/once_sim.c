/* SPDX-License-Identifier: Apache-2.0 */
/* once_sim: the exactly-once sink's protocol (publish/publisher.h, commit/commits.h), from a seed, through
 * everything that can go wrong between a job and brokers.
 *
 * Each seed draws a job whose subtasks log rows, take checkpoints and publish what these cover into a model
 * of a cluster (machine/cluster.h), and processes of it that follow each other: killed at any request, at
 * rest for minutes and then going on, or alive still when the next one begins, at other parallelism, in the
 * same lineage or from an older checkpoint in a new one. Requests and answers are lost or come late,
 * transactions run out of time, brokers are away. In half of the seeds brokers forget markers that nobody
 * wrote for hours, and jobs have no rows for as long, or are not run at all; who has to tell then what is
 * committed looks. The last process has a calm time and comes to its end. What must hold:
 *
 *   exactly once   of what a checkpoint covers each row is visible once; of what a new lineage left behind,
 *                  at most once and whole; of all else nothing
 *   order          epochs of a log are visible in the order of their numbers
 *   the marker     is never behind what is known to be committed
 *   the id         is written with by nobody but who claimed it last
 *   no deadlock, and an end
 *
 * SEEDS, SEED and ALL are told in machine/seeds.h, TRACE in machine/machine.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "base/log.h"
#include "sim/machine/cluster.h"
#include "sim/machine/seeds.h"

enum { PARALLELISM = 3, PROCESSES = 32, EPOCHS = 2048, SAVES = 256, NAMED = 128, ROWS = 4 };
enum { KEEPS_S = 10000, QUIET_PACE_S = 1000, QUIET_FROM = 2 };
enum { PROCESSES_MAX = 6, RETAINED = 3, TRIES = 8, LAST_CHECKPOINTS = 4, LAG_MAX = 8, CHECKPOINTS_EACH = 20 };
#define MS UINT64_C(1000000)
static const char uid[] = "out";

enum {
	PROCESSES_BEGUN = COUNTS,
	ATTEMPTS,
	OVERLAPPING,
	SUPERSEDED,
	TOO_LATE,
	LINEAGES,
	CHECKPOINTED,
	CHECKPOINTS_LOST,
	PUBLISHED,
	DROPPED,
	KEPT,
	FORGOTTEN,
	DOUBTED,
	SIM_COUNTS
};

/* ---- what outlives processes ---- */

struct checkpoint {
	uint64_t number, lineage;
	uint32_t parallelism, named_count, known_count;
	int64_t time_ms;
	struct wr_epoch named[NAMED];
	struct wr_committed known[NAMED];
};
struct fate { /* of an epoch */
	struct wr_epoch e;
	uint32_t attempt;
	enum { LOST, COVERED, LEFT_BEHIND } is;
	uint32_t seen; /* rows, at the end */
};

static struct sim {
	uint64_t seed;
	struct wr_rand rand;
	int64_t keeps_ms;	  /* for which brokers keep markers, 0 = for ever */
	uint64_t newest, lineage; /* of the folder of checkpoints: number given out last; of the job */
	uint32_t owner, attempts; /* process that has the folder; attempts so far */
	struct checkpoint checkpoints[SAVES];
	uint32_t checkpoint_count;
	struct fate fates[EPOCHS];
	uint32_t fate_count;
} sim;

static uint32_t below(uint32_t n)
{
	return wr_rand_below(&sim.rand, n);
}

static void on_failure(const char *text)
{
	printf("not ok - seed %" PRIu64 ": %s\n", sim.seed, text);
	fflush(stdout);
	_exit(1);
}

/* ---- a process ---- */

struct subtask {
	struct process *process;
	uint32_t number, failures;
	struct wr_commits *commits;
	struct cluster_client client;
	struct wr_kafka_publisher publisher;
	pthread_t thread;
	bool restored, idle;
	bool keeps; /* a checkpoint holds since the age of the marker was looked at */
};
struct process {
	struct cluster_process base;
	struct wr_kafka_claims claims;
	uint32_t parallelism, attempt;
	struct checkpoint from;	   /* number 0: from the beginning */
	uint64_t lineage, pace_ns; /* from one checkpoint to the next */
	uint32_t checkpoints_max;  /* takes so many, and ends; 0 = any number */
	uint32_t taken;
	bool quiet; /* without rows behind its first checkpoints */
	bool failed, superseded, draining, ended;
	struct subtask subtasks[PARALLELISM];
	pthread_t thread;
};

static bool has_folder(const struct process *p)
{
	return sim.owner == p->base.number;
}

/* Shall the threads of this attempt end? */
static bool is_over(struct process *p)
{
	return !cluster_goes_on(&p->base) || p->failed || p->superseded;
}

static bool is_quiet(const struct process *p)
{
	return p->quiet && p->taken >= QUIET_FROM;
}

static int lines_of(struct wr_epoch_rows *rows, struct wr_bytes *out)
{
	const struct wr_epoch *e = &rows->epoch;

	for (uint64_t i = 0; i < e->rows; i++)
		wr_bytes_printf(out, "%" PRIu64 " %u %" PRIu64 " %" PRIu64 "\n", e->lineage, e->log,
				e->number, i);
	return WR_OK;
}

static bool is_mine(const struct subtask *s, uint32_t log)
{
	return wr_commits_owner(log, s->process->parallelism) == s->number;
}

/* It was asleep, before it claimed anything or until claims were forgotten, and others have gone on. */
static int has_newer_rows(struct subtask *s, uint32_t log, uint64_t epoch)
{
	if (has_folder(s->process))
		machine_failed("the marker of log %u is %" PRIu64 ", and no checkpoint covers that", log,
			       epoch);
	machine_counts[TOO_LATE]++;
	return wr_error_set(WR_ESUPERSEDED, "rows up to epoch %" PRIu64 " are committed already", epoch);
}

/* The number of the last epoch of a log that is visible. */
static uint64_t visible_epoch(uint64_t lineage, uint32_t log)
{
	const struct wr_bytes *text = cluster_lines();
	const char *at = (const char *)text->data, *end = at + text->len;
	uint64_t last = 0;

	while (at < end) {
		size_t len = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at) + 1;
		uint64_t of, number;
		char line[96];
		uint32_t in;

		snprintf(line, sizeof line, "%.*s", (int)len, at);
		sscanf(line, "%" SCNu64 " %u %" SCNu64, &of, &in, &number);
		if (of == lineage && in == log && number > last)
			last = number;
		at += len;
	}
	return last;
}

/* As commit/sink_restore.c has it; whoever is asked what is committed looks. */
static uint64_t judged(const struct subtask *s, uint64_t lineage, uint32_t log, uint64_t epoch)
{
	int64_t now_ms = wr_clock_ms(machine_clock());
	struct wr_mark_age age = {sim.keeps_ms, now_ms, s->restored ? now_ms : s->process->from.time_ms};
	uint64_t known = wr_commits_newest(s->commits, log);

	switch (wr_commits_judge(s->commits, lineage, log, epoch, &age)) {
	case WR_MARK_EXPIRED:
		machine_counts[FORGOTTEN]++;
		return known;
	case WR_MARK_UNCERTAIN:
		machine_counts[DOUBTED]++;
		return visible_epoch(lineage, log);
	case WR_MARK_LOST:
		machine_failed("the marker of log %u is %" PRIu64 ", and %" PRIu64 " is committed", log,
			       epoch, known);
	default:
		return epoch;
	}
}

static int ask(struct subtask *s, uint64_t lineage, uint32_t log)
{
	const struct wr_mark mark = {uid, lineage, log, NULL};
	struct wr_epoch e;
	uint64_t epoch = 0;
	uint32_t before = 0, after = 0;
	int rc = wr_kafka_publisher_last(&s->publisher, &mark, &epoch);

	if (rc != WR_OK)
		return rc;
	epoch = judged(s, lineage, log, epoch);
	if (wr_commits_overtaken(s->commits, lineage, log, epoch))
		return has_newer_rows(s, log, epoch);
	while (wr_commits_named(s->commits, before, &e))
		before++;
	wr_commits_answer(s->commits, lineage, log, epoch);
	while (wr_commits_named(s->commits, after, &e))
		after++;
	machine_counts[DROPPED] += before - after;
	wr_debug("sim", "process %u: log %u of lineage %" PRIu64 " is at %" PRIu64, s->process->base.number,
		 log, lineage, epoch);
	return WR_OK;
}

static int commit(struct subtask *s, const struct wr_epoch *e)
{
	const struct wr_mark mark = {uid, e->lineage, e->log, NULL};
	struct wr_epoch_rows rows = {.epoch = *e};
	int64_t began_ms = wr_clock_ms(machine_clock());
	int rc = wr_kafka_publisher_commit(&s->publisher, &mark, e->number, &rows);

	wr_debug("sim", "process %u: epoch %" PRIu64 " of log %u: %s", s->process->base.number, e->number,
		 e->log, rc == WR_OK ? "committed" : wr_error_text());
	if (rc == WR_OK)
		wr_commits_done(s->commits, began_ms);
	else
		wr_commits_failed(s->commits);
	machine_counts[PUBLISHED] += rc == WR_OK;
	return rc;
}

/* As commit/sink_restore.c has it: the marks of all logs that are ours are asked for. */
static int restore(struct subtask *s)
{
	const struct checkpoint *c = &s->process->from;
	const struct wr_mark own = {uid, s->process->lineage, s->number, NULL};
	uint64_t lineage;
	uint32_t log;
	int rc = wr_kafka_publisher_open(&s->publisher, &own);

	if (rc != WR_OK || !c->number)
		return rc;
	for (uint32_t i = 0; i < c->known_count && rc == WR_OK && c->lineage == s->process->lineage; i++)
		if (is_mine(s, c->known[i].log))
			rc = wr_commits_know(s->commits, &c->known[i]);
	for (uint32_t i = 0; i < c->named_count && rc == WR_OK; i++)
		if (is_mine(s, c->named[i].log))
			rc = wr_commits_inherit(s->commits, &c->named[i]);
	for (log = 0; log < PARALLELISM && rc == WR_OK; log++)
		if (is_mine(s, log))
			rc = ask(s, c->lineage, log);
	while (rc == WR_OK && wr_commits_ask(s->commits, &lineage, &log))
		rc = ask(s, lineage, log);
	return rc;
}

/* As commit/sink.c has it. WR_END: there is no need. */
static int keep(struct subtask *s)
{
	const struct wr_mark mark = {uid, s->process->lineage, s->number, NULL};
	int64_t now_ms = wr_clock_ms(machine_clock());
	uint64_t epoch;
	int rc;

	s->keeps = false;
	if (!wr_commits_keep(s->commits, sim.keeps_ms, now_ms, &epoch))
		return WR_END;
	rc = wr_kafka_publisher_keep(&s->publisher, &mark, epoch);
	if (rc == WR_OK)
		wr_commits_kept(s->commits, now_ms);
	machine_counts[KEPT] += rc == WR_OK;
	return rc == WR_ETRANSIENT ? WR_END : rc;
}

/* The next thing to be done; WR_END: there is nothing. */
static int step(struct subtask *s)
{
	struct wr_epoch e;
	uint64_t lineage;
	uint32_t log;

	if (wr_commits_ask(s->commits, &lineage, &log))
		return ask(s, lineage, log);
	if (wr_commits_next(s->commits, &e))
		return commit(s, &e);
	return s->keeps ? keep(s) : WR_END;
}

/* As commit/sink.c has it: what may pass is tried again a few times; else the job fails. */
static void on_error(struct subtask *s, int rc)
{
	struct process *p = s->process;

	if (is_over(p))
		return;
	wr_debug("sim", "process %u: %s", p->base.number, wr_error_text());
	if (rc == WR_ESUPERSEDED)
		p->superseded = true;
	else if (rc != WR_ETRANSIENT)
		machine_failed("process %u: %s", p->base.number, wr_error_text());
	else if (!s->restored || ++s->failures > TRIES)
		p->failed = true;
	else
		machine_sleep((100 * MS) << s->failures);
}

static void *run_subtask(void *arg)
{
	struct subtask *s = arg;
	struct process *p = s->process;
	uint64_t nap = MS;
	int rc = restore(s);

	s->restored = rc == WR_OK;
	while (!is_over(p)) {
		if (rc < 0)
			on_error(s, rc);
		if (is_over(p))
			break;
		rc = step(s);
		s->failures = rc == WR_OK ? 0 : s->failures;
		s->idle = rc == WR_END;
		if (s->idle && p->draining)
			break;
		nap = s->idle && nap < (is_quiet(p) ? 60000 : 500) * MS ? 2 * nap : MS;
		if (s->idle)
			machine_sleep(nap);
	}
	wr_kafka_publisher_close(&s->publisher);
	return NULL;
}

/* ---- checkpoints ---- */

static void cut(struct process *p, uint64_t number)
{
	for (uint32_t i = 0; i < p->parallelism; i++) {
		uint64_t rows = is_quiet(p) ? 0 : below(ROWS),
			 after = wr_commits_after(p->subtasks[i].commits);

		if (wr_commits_barrier(p->subtasks[i].commits, number, rows, rows) != WR_OK)
			machine_failed("%s", wr_error_text());
		if (!rows)
			continue;
		if (sim.fate_count == EPOCHS)
			machine_failed("more than %d epochs", EPOCHS);
		sim.fates[sim.fate_count++] =
		    (struct fate){.e = {p->lineage, i, number, after, rows, rows}, .attempt = p->attempt};
	}
}

static void save(const struct process *p, uint64_t number, struct checkpoint *c)
{
	struct wr_epoch e;

	*c = (struct checkpoint){.number = number,
				 .lineage = p->lineage,
				 .parallelism = p->parallelism,
				 .time_ms = wr_clock_ms(machine_clock())};
	for (uint32_t i = 0; i < p->parallelism; i++) {
		const struct wr_commits *commits = p->subtasks[i].commits;

		for (uint32_t k = 0; wr_commits_named(commits, k, &e); k++) {
			if (c->named_count == NAMED)
				machine_failed("more than %d epochs wait", NAMED);
			c->named[c->named_count++] = e;
		}
		for (uint32_t k = 0; wr_commits_known(commits, k, &c->known[c->known_count]); k++)
			c->known_count++;
	}
}

/* It is durable from now on: what it covers is to be visible. */
static void publish(const struct process *p, const struct checkpoint *c)
{
	if (sim.checkpoint_count == SAVES)
		machine_failed("more than %d checkpoints", SAVES);
	sim.checkpoints[sim.checkpoint_count++] = *c;
	for (uint32_t i = 0; i < sim.fate_count; i++)
		if (sim.fates[i].attempt == p->attempt && sim.fates[i].is == LOST)
			sim.fates[i].is = COVERED;
	machine_counts[CHECKPOINTED]++;
	wr_debug("sim", "process %u: checkpoint %" PRIu64 " holds", p->base.number, c->number);
}

static void checkpoint(struct process *p)
{
	struct checkpoint c;
	uint64_t number = ++sim.newest;

	cut(p, number);
	save(p, number, &c);
	machine_sleep(below(20000) * 1000);
	if (is_over(p))
		return;
	if (below(6) == 0 || !has_folder(p)) {
		machine_counts[CHECKPOINTS_LOST]++;
		return;
	}
	publish(p, &c);
	p->taken++;
	machine_sleep(below(2000) * 1000);
	for (uint32_t i = 0; i < p->parallelism && !is_over(p); i++) {
		wr_commits_complete(p->subtasks[i].commits, number);
		p->subtasks[i].keeps = true;
	}
}

/* All are at work, and not held up by what they could commit. */
static bool is_running(const struct process *p)
{
	for (uint32_t i = 0; i < p->parallelism; i++)
		if (!p->subtasks[i].restored || wr_commits_lag(p->subtasks[i].commits) > LAG_MAX)
			return false;
	return true;
}

/* ---- the life of a process ---- */

static void start_subtask(struct process *p, uint32_t number)
{
	struct subtask *s = &p->subtasks[number];

	*s = (struct subtask){.process = p,
			      .number = number,
			      .commits = wr_commits_new(p->lineage, number, sim.newest),
			      .client = {.process = &p->base, .lines = lines_of},
			      .publisher = {.ops = &cluster_ops,
					    .clock = machine_clock(),
					    .claims = &p->claims,
					    .name = uid,
					    .prefix = "sim"}};
	s->publisher.arg = &s->client;
	wr_commits_complete(s->commits, p->from.number);
}

static uint64_t pace_of(const struct process *p)
{
	return is_quiet(p) ? QUIET_PACE_S * 1000 * MS : p->pace_ns;
}

static void attempt(struct process *p)
{
	p->attempt = ++sim.attempts;
	p->failed = false;
	machine_counts[ATTEMPTS]++;
	for (uint32_t i = 0; i < p->parallelism; i++)
		start_subtask(p, i);
	for (uint32_t i = 0; i < p->parallelism; i++)
		pthread_create(&p->subtasks[i].thread, NULL, run_subtask, &p->subtasks[i]);
	while (!is_over(p) && has_folder(p) && !(p->checkpoints_max && p->taken >= p->checkpoints_max)) {
		machine_sleep(MS + below(1000) * (pace_of(p) / 500));
		if (is_running(p) && !is_over(p) && has_folder(p))
			checkpoint(p);
	}
	p->draining = true;
	for (uint32_t i = 0; i < p->parallelism; i++) {
		pthread_join(p->subtasks[i].thread, NULL);
		wr_commits_free(p->subtasks[i].commits);
	}
}

static struct checkpoint last_checkpoint(void)
{
	return sim.checkpoint_count ? sim.checkpoints[sim.checkpoint_count - 1] : (struct checkpoint){0};
}

/* A process that fails begins again at the last checkpoint, as long as the folder is its own. */
static void *run_process(void *arg)
{
	struct process *p = arg;

	attempt(p);
	while (p->failed && !p->base.dead && has_folder(p)) {
		p->from = last_checkpoint();
		p->draining = false;
		attempt(p);
	}
	machine_counts[SUPERSEDED] += p->superseded;
	wr_debug("sim", "process %u has ended%s", p->base.number, p->superseded ? ": superseded" : "");
	wr_kafka_claims_deinit(&p->claims);
	p->ended = true;
	return NULL;
}

/* An older checkpoint is restored on purpose. What is behind it belongs to nobody from now on; in a folder of
 * its own the new lineage knows nothing of the numbers that were given out. */
static void begin_lineage(void)
{
	uint32_t back = below(RETAINED);
	uint64_t number;

	sim.checkpoint_count -= back < sim.checkpoint_count ? back : sim.checkpoint_count - 1;
	number = last_checkpoint().number;
	sim.lineage++;
	sim.newest = below(2) ? number : sim.newest;
	machine_counts[LINEAGES]++;
	for (uint32_t i = 0; i < sim.fate_count; i++)
		if (sim.fates[i].is == COVERED && sim.fates[i].e.number > number)
			sim.fates[i].is = LEFT_BEHIND;
}

static void start_process(struct process *p, uint32_t number)
{
	if (sim.checkpoint_count && below(4) == 0)
		begin_lineage();
	*p = (struct process){.base = {.number = number},
			      .claims = WR_KAFKA_CLAIMS_INIT,
			      .parallelism = 1 + below(PARALLELISM),
			      .pace_ns = (1 + below(below(2) ? 20 : 15000)) * MS,
			      .from = last_checkpoint(),
			      .lineage = sim.lineage,
			      .quiet = sim.keeps_ms && below(3) == 0};
	sim.owner = number;
	machine_counts[PROCESSES_BEGUN]++;
	wr_debug("sim", "process %u begins: parallelism %u, lineage %" PRIu64 ", checkpoint %" PRIu64, number,
		 p->parallelism, p->lineage, p->from.number);
	pthread_create(&p->thread, NULL, run_process, p);
}

/* ---- one seed ---- */

static uint32_t one_in(uint32_t least, uint32_t most)
{
	return below(2) ? least + below(most - least) : 0;
}

static struct cluster_roughness draw_roughness(void)
{
	return (struct cluster_roughness){.lost = one_in(8, 100),
					  .late = one_in(6, 100),
					  .unanswered = one_in(6, 100),
					  .outage = one_in(40, 400),
					  .rest = one_in(30, 400)};
}

/* Until it ends, or the next is started beside it. */
static void live(struct process *p, bool to_its_end)
{
	uint64_t until_ns = machine_clock()->manual_ns + CHECKPOINTS_EACH * p->pace_ns +
			    (p->quiet ? below(2 * KEEPS_S) * 1000 * MS : 0);

	while (!p->ended && (to_its_end || machine_clock()->manual_ns < until_ns))
		machine_sleep((is_quiet(p) ? 1000 : 5) * MS);
	machine_counts[OVERLAPPING] += !p->ended && !p->base.dead;
}

/* The process is killed, if it is not yet gone, and for hours nobody begins another. */
static void rest_for_hours(struct process *p)
{
	p->base.dead = true;
	while (!p->ended)
		machine_sleep(1000 * MS);
	machine_sleep(below(2 * KEEPS_S) * 1000 * MS);
}

/* Processes follow each other; the last has a calm time, unless somebody who was asleep takes it all from
 * it. */
static uint32_t run_processes(struct process *list)
{
	uint32_t count = 1 + below(PROCESSES_MAX), n = 0;

	for (bool calm = false;; n++) {
		struct cluster_roughness rough = draw_roughness();

		calm = n >= count;
		if (n == PROCESSES)
			machine_failed("no process comes to its end");
		cluster_rough(calm ? &(struct cluster_roughness){0} : &rough);
		if (n && sim.keeps_ms && below(4) == 0)
			rest_for_hours(&list[n - 1]);
		start_process(&list[n], n + 1);
		if (!calm && below(2))
			list[n].base.dies_at = 1 + below(200);
		list[n].checkpoints_max = calm ? LAST_CHECKPOINTS : 0;
		live(&list[n], calm);
		if (calm && !list[n].superseded)
			return n + 1;
	}
}

static struct fate *fate_of(uint64_t lineage, uint32_t log, uint64_t number)
{
	for (uint32_t i = 0; i < sim.fate_count; i++) {
		const struct wr_epoch *e = &sim.fates[i].e;

		if (e->lineage == lineage && e->log == log && e->number == number)
			return &sim.fates[i];
	}
	machine_failed("a row of an epoch that never was");
}

static void check_lines(void)
{
	const struct wr_bytes *text = cluster_lines();
	uint64_t last[PARALLELISM][PROCESSES + 1] = {{0}}, lineage, number, row;
	uint32_t log;

	for (size_t at = 0; at < text->len; at += strcspn((const char *)text->data + at, "\n") + 1) {
		struct fate *f;

		sscanf((const char *)text->data + at, "%" SCNu64 " %u %" SCNu64 " %" SCNu64, &lineage, &log,
		       &number, &row);
		f = fate_of(lineage, log, number);
		if (row != f->seen++ % f->e.rows)
			machine_failed("epoch %" PRIu64 " of log %u is torn", number, log);
		if (f->seen > f->e.rows)
			machine_failed("epoch %" PRIu64 " of log %u, lineage %" PRIu64 " is there twice",
				       number, log, lineage);
		if (number < last[log][lineage])
			machine_failed("epoch %" PRIu64 " of log %u comes behind epoch %" PRIu64, number, log,
				       last[log][lineage]);
		last[log][lineage] = number;
	}
}

static void check(void)
{
	check_lines();
	for (uint32_t i = 0; i < sim.fate_count; i++) {
		const struct fate *f = &sim.fates[i];
		bool whole = f->seen == f->e.rows;

		if (f->is == LOST ? f->seen : f->is == COVERED ? !whole : f->seen && !whole)
			machine_failed("of epoch %" PRIu64 " of log %u, lineage %" PRIu64 ", %u of %" PRIu64
				       " rows are visible%s",
				       f->e.number, f->e.log, f->e.lineage, f->seen, f->e.rows,
				       f->is == LOST ? ", and no checkpoint covers it" : "");
	}
}

static void play(uint64_t seed)
{
	static struct process list[PROCESSES];
	uint32_t count;

	sim.seed = seed;
	sim.rand.s = seed * 0x9e3779b97f4a7c15u;
	machine_init(seed);
	cluster_init(below(2) ? 60 : 600, 1);
	sim.keeps_ms = below(2) ? KEEPS_S * INT64_C(1000) : 0;
	cluster_forgets((uint32_t)(sim.keeps_ms / 1000));
	machine_begin(&(struct machine_roughness){.give_way = 1 + below(8)}, NULL, NULL);
	count = run_processes(list);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(list[i].thread, NULL);
	cluster_settle();
	check();
}

int main(void)
{
	static const struct seeds_count counts[] = {{PROCESSES_BEGUN, "processes"},
						    {ATTEMPTS, "attempts of them"},
						    {OVERLAPPING, "alive when the next began"},
						    {SUPERSEDED, "ended, as a newer one had begun"},
						    {TOO_LATE, "of them by rows newer than theirs"},
						    {PROCESSES_KILLED, "killed"},
						    {RESTS, "at rest for a while"},
						    {LINEAGES, "new lineages"},
						    {CHECKPOINTED, "checkpoints that hold"},
						    {CHECKPOINTS_LOST, "checkpoints that do not"},
						    {PUBLISHED, "epochs published"},
						    {DROPPED, "epochs dropped, as they were there"},
						    {KEPT, "markers kept, without rows"},
						    {FORGOTTEN, "forgotten, and nothing was at stake"},
						    {DOUBTED, "forgotten, and somebody looked"},
						    {OFFSETS_FORGOTTEN, "offsets forgotten by brokers"},
						    {TXN_COMMITTED, "transactions committed"},
						    {TXN_CLAIMS, "of them claims"},
						    {TXN_FENCED, "aborted by an init"},
						    {TXN_TIMED_OUT, "aborted by a timeout"},
						    {COMMITS_UNKNOWN, "commits with unknown outcome"},
						    {COMMITS_UNKNOWN_DONE, "of them done"},
						    {GROUPS_PENDING, "reads of a pending marker"},
						    {REQUESTS_LOST, "requests lost"},
						    {ANSWERS_LOST, "answers lost"},
						    {REQUESTS_LATE, "requests late"},
						    {REQUESTS_STALE, "requests of clients that are gone"},
						    {REQUESTS_REFUSED, "requests refused: fenced"},
						    {OUTAGES, "outages of all brokers"}};

	machine_on_failure = on_failure;
	machine_log_init(NULL, NULL);
	return seeds_play(play, counts, sizeof counts / sizeof *counts);
}
