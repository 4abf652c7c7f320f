/* SPDX-License-Identifier: Apache-2.0 */
/* commits: the rules of exactly-once sinks one by one, then random schedules of whole jobs against a model:
 * subtasks, a store of logs, checkpoints, and a target that keeps rows and marks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "checkpoint/history.h"
#include "commit/commits.h"

static struct wr_commits *c;

static void cut(uint64_t number, uint64_t rows)
{
	assert_int_equal(wr_commits_barrier(c, number, rows, 10 * rows), WR_OK);
}

static void next_is(uint64_t lineage, uint32_t log, uint64_t number)
{
	struct wr_epoch e;

	assert_true(wr_commits_next(c, &e));
	assert_int_equal(e.lineage, lineage);
	assert_int_equal(e.log, log);
	assert_int_equal(e.number, number);
}

static void next_is_none(void)
{
	struct wr_epoch e;

	assert_false(wr_commits_next(c, &e));
}

static void named_are(uint32_t count)
{
	struct wr_epoch e;

	if (count)
		assert_true(wr_commits_named(c, count - 1, &e));
	assert_false(wr_commits_named(c, count, &e));
}

static void inherit(uint64_t lineage, uint32_t log, uint64_t number)
{
	struct wr_epoch e = {lineage, log, number, number - 1, 1, 10};

	assert_int_equal(wr_commits_inherit(c, &e), WR_OK);
}

static void asked_for(uint64_t lineage, uint32_t log, uint64_t mark)
{
	uint64_t at;
	uint32_t of;

	assert_true(wr_commits_ask(c, &at, &of));
	assert_int_equal(at, lineage);
	assert_int_equal(of, log);
	wr_commits_answer(c, at, of, mark);
}

static void asks_nothing(void)
{
	uint64_t lineage;
	uint32_t log;

	assert_false(wr_commits_ask(c, &lineage, &log));
}

static void nothing_is_committed_before_a_checkpoint_holds(void **state)
{
	(void)state;
	c = wr_commits_new(7, 0, 0);
	cut(1, 5);
	next_is_none();
	wr_commits_complete(c, 1);
	next_is(7, 0, 1);
	next_is_none(); /* one at a time */
	wr_commits_done(c, 1000);
	next_is_none();
	named_are(0);
	wr_commits_free(c);
}

static void C20_C21_a_checkpoint_that_holds_covers_all_epochs_before_it_in_order(void **state)
{
	(void)state;
	c = wr_commits_new(7, 0, 0);
	cut(1, 5); /* 1 and 2 are given up: their rows are covered by 3 */
	cut(2, 5);
	cut(3, 5);
	wr_commits_complete(c, 3);
	next_is(7, 0, 1);
	wr_commits_complete(c, 3);
	wr_commits_complete(c, 2);
	wr_commits_done(c, 1000);
	next_is(7, 0, 2);
	wr_commits_done(c, 1000);
	next_is(7, 0, 3);
	wr_commits_done(c, 1000);
	next_is_none();
	wr_commits_free(c);
}

static void an_epoch_without_rows_leaves_nothing_behind(void **state)
{
	(void)state;
	c = wr_commits_new(7, 0, 0);
	cut(1, 0);
	cut(2, 3);
	assert_int_equal(wr_commits_after(c), 2);
	wr_commits_complete(c, 2);
	named_are(1);
	next_is(7, 0, 2);
	wr_commits_free(c);
}

static void what_is_not_known_to_be_committed_is_named_by_each_checkpoint(void **state)
{
	(void)state;
	c = wr_commits_new(7, 0, 0);
	cut(1, 5);
	wr_commits_complete(c, 1);
	next_is(7, 0, 1);
	cut(2, 1);
	named_are(2);
	assert_int_equal(wr_commits_bytes(c), 60);
	assert_int_equal(wr_commits_lag(c), 50);
	wr_commits_done(c, 1000);
	named_are(1);
	assert_int_equal(wr_commits_lag(c), 0);
	wr_commits_free(c);
}

static void C22_C23_a_restored_epoch_is_committed_unless_its_mark_covers_it(void **state)
{
	(void)state;
	c = wr_commits_new(7, 0, 9);
	inherit(7, 0, 5);
	inherit(7, 0, 3);
	inherit(7, 0, 4);
	next_is_none(); /* its mark is not known */
	asked_for(7, 0, 3);
	asks_nothing();
	named_are(2);
	next_is(7, 0, 4);
	wr_commits_done(c, 1000);
	next_is(7, 0, 5);
	wr_commits_free(c);
}

static void each_log_is_asked_for_and_committed_under_the_name_that_wrote_it(void **state)
{
	(void)state;
	c = wr_commits_new(8, 0, 9); /* of two subtasks; there were three, in a lineage before */
	inherit(7, 2, 3);
	inherit(7, 0, 3);
	inherit(7, 2, 4);
	asked_for(7, 2, 0);
	asked_for(7, 0, 3);
	asks_nothing();
	cut(10, 1);
	wr_commits_complete(c, 10);
	next_is(7, 2, 3);
	wr_commits_done(c, 1000);
	next_is(7, 2, 4);
	wr_commits_done(c, 1000);
	next_is(8, 0, 10);
	wr_commits_free(c);
}

static void a_mark_of_another_lineage_drops_nothing(void **state)
{
	(void)state;
	c = wr_commits_new(8, 0, 9);
	inherit(7, 0, 3);
	cut(10, 1);
	asked_for(7, 0, 12); /* what a run beyond this checkpoint had left */
	asks_nothing();
	wr_commits_complete(c, 10);
	next_is(8, 0, 10);
	wr_commits_free(c);
}

static void a_commit_that_failed_is_tried_again_behind_its_mark(void **state)
{
	(void)state;
	c = wr_commits_new(7, 0, 0);
	cut(1, 1);
	cut(2, 1);
	wr_commits_complete(c, 2);
	next_is(7, 0, 1);
	wr_commits_failed(c); /* it was in the target nevertheless */
	next_is_none();
	asked_for(7, 0, 1);
	next_is(7, 0, 2);
	wr_commits_failed(c);
	asked_for(7, 0, 1);
	next_is(7, 0, 2);
	wr_commits_done(c, 1000);
	next_is_none();
	wr_commits_free(c);
}

static void what_cannot_be_is_refused(void **state)
{
	struct wr_epoch e = {7, 0, 3, 2, 1, 1}, late = {7, 0, 10, 2, 1, 1}, torn = {7, 0, 3, 3, 1, 1};

	(void)state;
	c = wr_commits_new(7, 0, 9);
	assert_int_equal(wr_commits_inherit(c, &e), WR_OK);
	assert_int_equal(wr_commits_inherit(c, &e), WR_EUSER);
	assert_int_equal(wr_commits_inherit(c, &late), WR_EUSER);
	assert_int_equal(wr_commits_inherit(c, &torn), WR_EUSER);
	wr_commits_free(c);
}

static void a_log_goes_when_no_kept_checkpoint_names_it_and_it_is_not_being_written(void **state)
{
	(void)state;
	assert_false(wr_history_log_may_go(3, 4, true));
	assert_true(wr_history_log_may_go(3, 4, false));
	assert_false(wr_history_log_may_go(4, 4, false));
	assert_false(wr_history_log_may_go(5, 4, false));
}

static void what_is_left_of_a_log_has_one_owner(void **state)
{
	(void)state;
	assert_int_equal(wr_commits_owner(2, 3), 2);
	assert_int_equal(wr_commits_owner(2, 2), 0);
	assert_int_equal(wr_commits_owner(5, 3), 2);
}

static void what_is_known_to_be_in_the_target_is_known_by_log_of_this_lineage(void **state)
{
	struct wr_committed known;

	(void)state;
	c = wr_commits_new(7, 0, 9);
	assert_false(wr_commits_known(c, 0, &known));
	inherit(7, 4, 3);
	inherit(6, 5, 4);
	assert_int_equal(wr_commits_know(c, &(struct wr_committed){4, 2, 500}), WR_OK);
	asked_for(7, 4, 3);
	asked_for(6, 5, 4);
	cut(11, 2);
	cut(12, 2);
	wr_commits_complete(c, 12);
	next_is(7, 0, 11);
	assert_int_equal(wr_commits_newest(c, 0), 0);
	wr_commits_done(c, 1000);
	next_is(7, 0, 12);
	wr_commits_failed(c);
	assert_int_equal(wr_commits_newest(c, 0), 11);
	assert_int_equal(wr_commits_newest(c, 4), 3);
	assert_int_equal(wr_commits_newest(c, 5), 0);
	assert_true(wr_commits_known(c, 0, &known));
	assert_int_equal(known.log, 4);
	assert_int_equal(known.written_ms, 500);
	assert_true(wr_commits_known(c, 1, &known));
	assert_int_equal(known.log, 0);
	assert_int_equal(known.number, 11);
	assert_int_equal(known.written_ms, 1000);
	assert_false(wr_commits_known(c, 2, &known));
	wr_commits_lost(c, 4, 0);
	assert_int_equal(wr_commits_newest(c, 4), 0);
	assert_false(wr_commits_known(c, 1, &known));
	wr_commits_free(c);
}

/* What a target that keeps marks for 7000 ms and has `mark` says at 100000, to a checkpoint so old. */
static enum wr_mark_is judged(uint64_t mark, int64_t checkpoint_age_ms)
{
	struct wr_mark_age age = {7000, 100000, 100000 - checkpoint_age_ms};

	return wr_commits_judge(c, 7, 4, mark, &age);
}

static void a_mark_that_is_gone_is_forgotten_or_lost_by_when_it_was_written(void **state)
{
	struct wr_mark_age for_ever = {0, 100000, 0};

	(void)state;
	c = wr_commits_new(7, 0, 9);
	assert_int_equal(judged(0, 99999), WR_MARK_HOLDS); /* never was there one */
	wr_commits_know(c, &(struct wr_committed){4, 3, 94001});
	assert_int_equal(judged(0, 0), WR_MARK_LOST);
	assert_int_equal(judged(2, 0), WR_MARK_LOST);
	assert_int_equal(judged(3, 99999), WR_MARK_HOLDS);
	wr_commits_free(c);

	c = wr_commits_new(7, 0, 9);
	wr_commits_know(c, &(struct wr_committed){4, 3, 94000});
	assert_int_equal(judged(2, 0), WR_MARK_LOST);
	assert_int_equal(judged(0, 99999), WR_MARK_EXPIRED);
	assert_int_equal(wr_commits_judge(c, 7, 4, 0, &for_ever), WR_MARK_LOST);
	inherit(7, 4, 5); /* committed behind the checkpoint it would have left a mark */
	assert_int_equal(judged(0, 5999), WR_MARK_EXPIRED);
	assert_int_equal(judged(0, 6000), WR_MARK_UNCERTAIN);
	assert_int_equal(judged(5, 99999), WR_MARK_HOLDS);
	wr_commits_free(c);

	c = wr_commits_new(8, 0, 9); /* another job: nothing is known */
	inherit(7, 4, 5);
	assert_int_equal(judged(0, 5999), WR_MARK_HOLDS);
	assert_int_equal(judged(0, 6000), WR_MARK_UNCERTAIN);
	wr_commits_free(c);
}

static void a_mark_is_written_again_a_seventh_of_the_time_for_which_it_is_kept_later(void **state)
{
	uint64_t number;

	(void)state;
	c = wr_commits_new(7, 0, 9);
	wr_commits_know(c, &(struct wr_committed){4, 3, 0});
	assert_false(wr_commits_keep(c, 7000, 100000, &number)); /* there is none of ours */
	wr_commits_know(c, &(struct wr_committed){0, 5, 0});
	assert_true(wr_commits_keep(c, 7000, 100000, &number));
	assert_int_equal(number, 5);
	assert_false(wr_commits_keep(c, 0, 100000, &number));
	wr_commits_kept(c, 100000);
	assert_false(wr_commits_keep(c, 7000, 100999, &number));
	assert_true(wr_commits_keep(c, 7000, 101000, &number));
	assert_true(wr_commits_keep(c, 7000, 99999, &number)); /* the clock was set back */
	cut(11, 1);
	wr_commits_complete(c, 11);
	next_is(7, 0, 11);
	wr_commits_done(c, 200000);
	assert_false(wr_commits_keep(c, 7000, 200999, &number));
	assert_int_equal(number, 11);
	wr_commits_free(c);
}

/* ---- random schedules ---- */

enum { ROWS = 300, SUBTASKS = 4, LOGS = 8192, EPOCHS = 64, CHECKPOINTS = 4096, LINEAGES = 64 };

struct log { /* in the store, by what names it */
	bool there, durable;
	uint32_t rows[ROWS], count;
};
struct checkpoint {
	bool holds;
	uint64_t lineage, number;
	uint32_t position, parallelism;
	struct wr_epoch named[SUBTASKS][EPOCHS];
	uint32_t count[SUBTASKS];
	struct wr_committed known[SUBTASKS]; /* by log */
};
struct subtask {
	struct wr_commits *c;
	struct log *open;
	uint64_t mail; /* newest COMPLETE that was not read yet */
};
struct model {
	struct wr_rand rand;
	/* what survives */
	struct log logs[LOGS];
	uint64_t log_after[LOGS];
	uint32_t log_of[LOGS], log_count;
	struct checkpoint kept[2]; /* the newest first */
	uint64_t newest;
	uint64_t marks[LINEAGES][SUBTASKS];
	uint32_t written[ROWS]; /* how often a row is in the target */
	bool repeats;		/* the user allowed it */
	/* what does not */
	uint64_t lineage, lineages;
	uint32_t position, parallelism;
	struct subtask subtasks[SUBTASKS];
	struct checkpoint pending; /* number 0: none */
	uint32_t crashes, restores, drops, replays, removed;
};
static struct model *m;

static uint32_t below(uint32_t n)
{
	return wr_rand_below(&m->rand, n);
}

/* The blob of an epoch that is begun; one that a dead process left is written over. */
static struct log *log_begin(uint32_t log, uint64_t after)
{
	uint32_t i = 0;

	while (i < m->log_count && !(m->log_of[i] == log && m->log_after[i] == after))
		i++;
	assert_true(i < LOGS);
	if (i == m->log_count)
		m->log_count++;
	m->log_of[i] = log;
	m->log_after[i] = after;
	m->logs[i] = (struct log){.there = true};
	return &m->logs[i];
}

static const struct log *log_of(const struct wr_epoch *e)
{
	for (uint32_t i = 0; i < m->log_count; i++)
		if (m->log_of[i] == e->log && m->log_after[i] == e->after)
			return &m->logs[i];
	fail_msg("no log %u behind %lu", e->log, (unsigned long)e->after);
	return NULL;
}

static void emit(void)
{
	struct subtask *s;

	if (m->position == ROWS)
		return;
	s = &m->subtasks[below(m->parallelism)]; /* a replay may distribute rows in another way */
	if (!s->open)
		s->open = log_begin((uint32_t)(s - m->subtasks), wr_commits_after(s->c));
	s->open->rows[s->open->count++] = m->position++;
}

/* What a checkpoint knows to be in the target is there. */
static void take_known(const struct subtask *s, struct checkpoint *p)
{
	struct wr_committed known;

	for (uint32_t k = 0; wr_commits_known(s->c, k, &known); k++) {
		assert_int_equal(p->known[known.log].number, 0);
		assert_true(known.number <= m->marks[m->lineage][known.log]);
		p->known[known.log] = known;
	}
}

/* A cut through all subtasks: their logs become durable, their states are written down. */
static void barrier(void)
{
	struct checkpoint *p = &m->pending;

	*p = (struct checkpoint){.lineage = m->lineage,
				 .number = ++m->newest,
				 .position = m->position,
				 .parallelism = m->parallelism};
	for (uint32_t i = 0; i < m->parallelism; i++) {
		struct subtask *s = &m->subtasks[i];
		uint32_t rows = s->open ? s->open->count : 0;

		assert_int_equal(wr_commits_barrier(s->c, p->number, rows, rows), WR_OK);
		if (s->open)
			s->open->durable = true;
		s->open = NULL;
		while (wr_commits_named(s->c, p->count[i], &p->named[i][p->count[i]]))
			assert_true(++p->count[i] < EPOCHS);
		take_known(s, p);
	}
}

static bool is_named(uint32_t log, uint64_t after)
{
	for (uint32_t k = 0; k < 2; k++)
		for (uint32_t i = 0; m->kept[k].number && i < m->kept[k].parallelism; i++)
			for (uint32_t n = 0; n < m->kept[k].count[i]; n++)
				if (m->kept[k].named[i][n].log == log &&
				    m->kept[k].named[i][n].after == after)
					return true;
	return false;
}

static void remove_logs(void)
{
	for (uint32_t i = 0; i < m->log_count; i++)
		if (m->logs[i].there && wr_history_log_may_go(m->log_after[i], m->kept[0].number,
							      is_named(m->log_of[i], m->log_after[i]))) {
			m->logs[i].there = false;
			m->removed++;
		}
}

static void complete(void)
{
	if (!m->pending.number)
		return;
	m->kept[1] = m->kept[0];
	m->kept[0] = m->pending;
	m->kept[0].holds = true;
	for (uint32_t i = 0; i < m->parallelism; i++)
		m->subtasks[i].mail = below(8) ? m->pending.number : m->subtasks[i].mail; /* some are lost */
	m->pending.number = 0;
	if (below(2))
		remove_logs();
}

/* One atomic step of the target, if it comes to it. */
static void commit(struct subtask *s)
{
	struct wr_epoch e;
	const struct log *log;
	uint64_t lineage;
	uint32_t of;

	wr_commits_complete(s->c, s->mail);
	while (wr_commits_ask(s->c, &lineage, &of))
		wr_commits_answer(s->c, lineage, of, m->marks[lineage][of]);
	if (!wr_commits_next(s->c, &e))
		return;
	if (below(4) == 0) {
		wr_commits_failed(s->c);
		return;
	}
	log = log_of(&e);
	assert_true(log->there && log->durable);
	assert_int_equal(log->count, e.rows);
	assert_true(m->marks[e.lineage][e.log] < e.number);
	for (uint32_t i = 0; i < log->count; i++)
		m->written[log->rows[i]]++;
	m->marks[e.lineage][e.log] = e.number;
	if (below(8) == 0)
		wr_commits_failed(s->c); /* the answer was lost */
	else
		wr_commits_done(s->c, (int64_t)m->newest);
}

static void end_all(void)
{
	for (uint32_t i = 0; i < SUBTASKS; i++) {
		wr_commits_free(m->subtasks[i].c);
		m->subtasks[i] = (struct subtask){NULL, NULL, 0};
	}
	for (uint32_t i = 0; i < m->log_count; i++)
		m->logs[i].there &= m->logs[i].durable;
	m->pending.number = 0;
}

/* Begins at `from`, or anew. */
static void begin(const struct checkpoint *from, bool new_lineage)
{
	m->parallelism = 1 + below(SUBTASKS);
	m->position = from ? from->position : 0;
	m->lineage = from && !new_lineage ? from->lineage : ++m->lineages;
	assert_true(m->lineage < LINEAGES);
	for (uint32_t i = 0; i < m->parallelism; i++)
		m->subtasks[i].c = wr_commits_new(m->lineage, i, m->newest);
	for (uint32_t i = 0; from && i < from->parallelism; i++)
		for (uint32_t n = 0; n < from->count[i]; n++) {
			const struct wr_epoch *e = &from->named[i][n];

			assert_int_equal(
			    wr_commits_inherit(m->subtasks[wr_commits_owner(e->log, m->parallelism)].c, e),
			    WR_OK);
		}
	for (uint32_t log = 0; from && m->lineage == from->lineage && log < SUBTASKS; log++)
		if (from->known[log].number)
			assert_int_equal(wr_commits_know(m->subtasks[wr_commits_owner(log, m->parallelism)].c,
							 &from->known[log]),
					 WR_OK);
	for (uint32_t i = 0; from && i < m->parallelism; i++)
		wr_commits_complete(m->subtasks[i].c, from->number);
}

/* Some mark of its lineage is beyond the checkpoint: its rows would be written again. */
static bool is_below_a_mark(const struct checkpoint *from)
{
	for (uint32_t i = 0; i < SUBTASKS; i++)
		if (m->marks[from->lineage][i] > from->number)
			return true;
	return false;
}

static void crash(void)
{
	bool fall_back = m->kept[1].holds && below(16) == 0;
	const struct checkpoint *from = fall_back ? &m->kept[1] : &m->kept[0];

	m->crashes++;
	end_all();
	if (!from->holds) {
		for (uint32_t i = 0; i < ROWS; i++)
			assert_int_equal(m->written[i], 0);
		begin(NULL, true);
		return;
	}
	if (fall_back) {
		if (is_below_a_mark(from))
			m->repeats = true;
		m->replays += is_below_a_mark(from);
		m->kept[0] = m->kept[1];
		m->kept[1].number = 0;
		m->kept[1].holds = false;
		from = &m->kept[0];
	}
	m->restores++;
	begin(from, m->repeats && m->lineages < LINEAGES - 2);
	m->drops += m->repeats;
}

static void play(uint64_t seed)
{
	memset(m, 0, sizeof *m);
	m->rand.s = seed;
	begin(NULL, true);
	for (uint32_t step = 0; step < 600; step++) {
		uint32_t what = below(100);

		if (what < 50)
			emit();
		else if (what < 60)
			barrier(); /* one under way is given up */
		else if (what < 72)
			complete();
		else if (what < 97)
			commit(&m->subtasks[below(m->parallelism)]);
		else if (what == 97 && m->lineages < LINEAGES - 4)
			crash();
	}
	while (m->position < ROWS)
		emit();
	barrier();
	complete();
	for (uint32_t i = 0; i < m->parallelism; i++) {
		struct wr_epoch e;

		m->subtasks[i].mail = m->newest;
		while (wr_commits_named(m->subtasks[i].c, 0, &e))
			commit(&m->subtasks[i]);
	}
	remove_logs();
	end_all();
	for (uint32_t i = 0; i < ROWS; i++)
		if (m->repeats ? m->written[i] < 1 : m->written[i] != 1)
			fail_msg("seed %lu: row %u is in the target %u times", (unsigned long)seed, i,
				 m->written[i]);
}

static void each_row_is_in_the_target_once_in_random_schedules(void **state)
{
	uint32_t crashes = 0, replays = 0, removed = 0;

	(void)state;
	m = calloc(1, sizeof *m);
	assert_non_null(m);
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		play(seed);
		crashes += m->crashes;
		replays += m->replays;
		removed += m->removed;
	}
	free(m);
	print_message("# %u crashes, %u restores below a mark, %u logs removed\n", crashes, replays, removed);
	assert_true(crashes > 5000 && replays > 10 && removed > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_committed_before_a_checkpoint_holds),
	    cmocka_unit_test(C20_C21_a_checkpoint_that_holds_covers_all_epochs_before_it_in_order),
	    cmocka_unit_test(an_epoch_without_rows_leaves_nothing_behind),
	    cmocka_unit_test(what_is_not_known_to_be_committed_is_named_by_each_checkpoint),
	    cmocka_unit_test(C22_C23_a_restored_epoch_is_committed_unless_its_mark_covers_it),
	    cmocka_unit_test(each_log_is_asked_for_and_committed_under_the_name_that_wrote_it),
	    cmocka_unit_test(a_mark_of_another_lineage_drops_nothing),
	    cmocka_unit_test(a_commit_that_failed_is_tried_again_behind_its_mark),
	    cmocka_unit_test(what_cannot_be_is_refused),
	    cmocka_unit_test(a_log_goes_when_no_kept_checkpoint_names_it_and_it_is_not_being_written),
	    cmocka_unit_test(what_is_left_of_a_log_has_one_owner),
	    cmocka_unit_test(what_is_known_to_be_in_the_target_is_known_by_log_of_this_lineage),
	    cmocka_unit_test(a_mark_that_is_gone_is_forgotten_or_lost_by_when_it_was_written),
	    cmocka_unit_test(a_mark_is_written_again_a_seventh_of_the_time_for_which_it_is_kept_later),
	    cmocka_unit_test(each_row_is_in_the_target_once_in_random_schedules),
	};

	return cmocka_run_group_tests_name("commits", tests, NULL, NULL);
}
