/* SPDX-License-Identifier: Apache-2.0 */
/* sink: the stage of an exactly-once sink with a target in memory: what is committed and when, what a restart
 * and another parallelism find, and that damage is noticed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/error.h"
#include "commit/sink.h"
#include "record/row.h"
#include "record/value.h"
#include "task/letter.h"
#include "task/restore.h"

enum { MARKS = 8, ROWS = 4096, LINEAGE = 7 };

/* ---- the target: survives its sinks ---- */

static struct {
	int64_t rows[ROWS];
	uint32_t count;
	struct {
		char name[WR_MARK_TEXT];
		uint64_t epoch;
	} marks[MARKS];
	uint32_t commits, asked;
	int fails;	/* code of the next commit */
	bool stores;	/* it is there nevertheless */
	bool was_fresh; /* what the last open was told */
} target;

static pthread_mutex_t target_mutex = PTHREAD_MUTEX_INITIALIZER; /* two sinks may commit side by side */

static uint64_t *mark_of(const struct wr_mark *m)
{
	char name[WR_MARK_TEXT];
	uint32_t i = 0;

	wr_mark_text(m, name);
	while (*target.marks[i].name && strcmp(target.marks[i].name, name))
		i++;
	assert_true(i < MARKS);
	memcpy(target.marks[i].name, name, sizeof name);
	return &target.marks[i].epoch;
}

static int target_open(struct wr_target *t, bool fresh)
{
	(void)t;
	pthread_mutex_lock(&target_mutex);
	target.was_fresh = fresh;
	pthread_mutex_unlock(&target_mutex);
	return WR_OK;
}

static int target_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	(void)t;
	pthread_mutex_lock(&target_mutex);
	target.asked++;
	*epoch = *mark_of(mark);
	pthread_mutex_unlock(&target_mutex);
	return WR_OK;
}

static int target_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
			 struct wr_epoch_rows *rows)
{
	int64_t taken[ROWS];
	uint32_t count = 0;
	const uint8_t *p, *end;
	int rc, fails;

	(void)t;
	while ((rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK)
		for (; p < end; p += ((const struct wr_elem *)p)->len)
			memcpy(&taken[count++], wr_elem_body((const struct wr_elem *)p), 8);
	if (rc != WR_END)
		return rc;
	pthread_mutex_lock(&target_mutex);
	fails = target.fails;
	target.fails = WR_OK;
	if (fails == WR_OK || target.stores) {
		memcpy(&target.rows[target.count], taken, count * sizeof *taken);
		target.count += count;
		target.commits++;
		assert_true(*mark_of(mark) < epoch);
		*mark_of(mark) = epoch;
	}
	pthread_mutex_unlock(&target_mutex);
	return fails == WR_OK ? WR_OK : wr_error_set(fails, "the target is away");
}

static void target_free(struct wr_target *t)
{
	(void)t;
}

static const struct wr_target_ops target_ops = {
    .open = target_open, .last = target_last, .commit = target_commit, .free = target_free};
static struct wr_target the_target = {&target_ops};

/* ---- a subtask ---- */

struct bench {
	struct wr_stage stage;
	struct wr_stage_ops ops;
	struct wr_stage_env env;
	struct wr_durable durable;
	struct wr_op_stats stats;
	struct wr_clock clock;
	struct wr_restore restore;
	struct wr_manifest manifest;
	pthread_mutex_t mutex;
	pthread_cond_t came;
	uint32_t mail, wanted;
};
static struct wr_iopool *io;
static struct wr_blobs *blobs;
static struct wr_value no_options = {.tag = WR_V_RECORD};

/* In front of the task's own (Makefile). */
int wr_stage_mail(struct wr_stage *s, uint32_t type, const void *payload, uint32_t len)
{
	struct bench *b = s->env->post_arg;

	(void)payload, (void)len;
	assert_int_equal(type, WR_LETTER_DONE);
	pthread_mutex_lock(&b->mutex);
	b->mail++;
	pthread_cond_signal(&b->came);
	pthread_mutex_unlock(&b->mutex);
	return WR_OK;
}

static void on_post(void *arg, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		    const void *payload, uint32_t len)
{
	(void)vertex, (void)subtask, (void)stage, (void)payload, (void)len;
	assert_int_equal(type, WR_LETTER_WANTED);
	((struct bench *)arg)->wanted++;
}

static void on_wake(void *self)
{
	(void)self;
}

static struct bench *bench_new(uint32_t subtask, uint32_t parallelism, uint64_t newest)
{
	struct bench *b = calloc(1, sizeof *b);

	wr_clock_manual_init(&b->clock, 1000000000, 1700000000000);
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->came, NULL);
	b->durable = (struct wr_durable){.blobs = blobs, .lineage = LINEAGE, .newest = newest};
	b->stats = (struct wr_op_stats){.name = "sink", .uid = "sink"};
	b->ops = (struct wr_stage_ops){.kind = "test", WR_SINK_OPS};
	b->env = (struct wr_stage_env){.job = "test",
				       .task = "sink",
				       .subtask = subtask,
				       .parallelism = parallelism,
				       .clock = &b->clock,
				       .wake = {on_wake, NULL},
				       .io = io,
				       .post = on_post,
				       .post_arg = b,
				       .durable = &b->durable};
	b->stage = (struct wr_stage){.ops = &b->ops,
				     .env = &b->env,
				     .options = &no_options,
				     .ops_stats = &b->stats,
				     .ops_count = 1,
				     .tick_ns = UINT64_MAX};
	return b;
}

static int bench_open(struct bench *b)
{
	return wr_sink_open(&b->stage, &the_target);
}

static void bench_free(struct bench *b)
{
	wr_sink_free(&b->stage);
	pthread_mutex_destroy(&b->mutex);
	pthread_cond_destroy(&b->came);
	free(b);
}

static struct bench *begun(void)
{
	struct bench *b = bench_new(0, 1, 0);

	assert_int_equal(bench_open(b), WR_OK);
	return b;
}

static int give(struct bench *b, int64_t first, int64_t count)
{
	struct wr_field_spec field = {"", 0, WR_T_I64, 0};
	const struct wr_shape *shape = wr_shape(wr_shape_intern(&field, 1, 0, 1));
	uint8_t buffer[ROWS], *p = buffer;
	struct wr_rows rows;

	for (int64_t v = first; v < first + count; v++) {
		struct wr_cell cell = {.type = WR_T_I64, .i64 = v};
		uint32_t len = wr_row_len(shape, &cell);

		assert_true(p + len <= buffer + sizeof buffer);
		wr_row_write(p, len, shape, WR_INSERT, WR_TS_NONE, &cell);
		p += len;
	}
	rows = (struct wr_rows){buffer, p, 0, 0};
	return wr_sink_rows(&b->stage, &rows);
}

/* The barrier passes, and what it cut becomes durable. *saved = what the stage says of itself. */
static void barrier(struct bench *b, uint64_t number, struct wr_bytes *saved)
{
	struct wr_bytes own = WR_BYTES_EMPTY, names = WR_BYTES_EMPTY;

	b->stage.checkpoint = number;
	assert_int_equal(wr_sink_save(&b->stage, saved ? saved : &own), WR_OK);
	assert_int_equal(wr_sink_names(&b->stage, &names), WR_OK);
	assert_int_equal(wr_sink_settle(&b->stage, number, NULL), WR_OK);
	for (const char *id = (const char *)names.data; id && id < (const char *)names.data + names.len;
	     id += strlen(id) + 1) {
		struct wr_blob_view view;

		assert_int_equal(blobs->ops->open(blobs, id, &view), WR_OK);
		blobs->ops->close(blobs, &view);
	}
	wr_bytes_deinit(&own);
	wr_bytes_deinit(&names);
}

static void complete(struct bench *b, uint64_t number)
{
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_value_put_i64(&payload, (int64_t)number);
	assert_int_equal(wr_sink_letter(&b->stage, WR_LETTER_COMPLETE, payload.data, (uint32_t)payload.len),
			 WR_OK);
	wr_bytes_deinit(&payload);
}

/* Waits for `count` pieces of work to be done and hears of each. Gives the last answer. */
static int hear(struct bench *b, uint32_t count)
{
	int rc = WR_OK;

	for (; count > 0; count--) {
		pthread_mutex_lock(&b->mutex);
		while (!b->mail)
			pthread_cond_wait(&b->came, &b->mutex);
		b->mail--;
		pthread_mutex_unlock(&b->mutex);
		rc = wr_sink_letter(&b->stage, WR_LETTER_DONE, NULL, 0);
	}
	return rc;
}

static void target_has(uint32_t count, int64_t sum)
{
	int64_t total = 0;

	assert_int_equal(target.count, count);
	for (uint32_t i = 0; i < count; i++)
		total += target.rows[i];
	assert_int_equal(total, sum);
}

/* Begins where `from`, a stage's saved value each, leaves it. */
static int restored(struct bench *b, uint64_t checkpoint, const struct wr_bytes *from, uint32_t count)
{
	struct wr_saved_part parts[4];
	struct wr_value values[4];
	struct wr_arena arena;
	static struct wr_mem mem = WR_MEM_INIT("test.sink");
	struct wr_saved_state saved = {count, count, parts};
	int rc;

	b->manifest = (struct wr_manifest){.checkpoint = checkpoint, .lineage = LINEAGE};
	b->restore = (struct wr_restore){blobs, &b->manifest};
	b->durable.restore = &b->restore;
	assert_int_equal(bench_open(b), WR_OK);
	wr_arena_init(&arena, &mem);
	for (uint32_t i = 0; i < count; i++) {
		struct wr_reader r = wr_reader_of(from[i].data, from[i].len);

		assert_int_equal(wr_value_parse(&r, &arena, &values[i]), WR_OK);
		parts[i] = (struct wr_saved_part){i, &values[i]};
	}
	if (count == b->env.parallelism) { /* its own alone */
		parts[0] = parts[b->env.subtask];
		saved.count = 1;
	}
	rc = wr_sink_restore(&b->stage, &saved);
	wr_arena_deinit(&arena);
	return rc;
}

static int setup(void **state)
{
	(void)state;
	memset(&target, 0, sizeof target);
	io = wr_iopool_new(2);
	blobs = wr_blobs_memory();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wr_iopool_free(io);
	blobs->ops->free(blobs);
	return 0;
}

/* ---- tests ---- */

static void rows_are_in_the_target_once_a_checkpoint_covers_them(void **state)
{
	struct bench *b = begun();

	(void)state;
	assert_true(target.was_fresh);
	assert_int_equal(give(b, 1, 10), WR_OK);
	assert_int_equal(give(b, 11, 10), WR_OK);
	barrier(b, 1, NULL);
	assert_int_equal(give(b, 100, 1), WR_OK);
	target_has(0, 0);
	complete(b, 1);
	assert_int_equal(hear(b, 1), WR_OK);
	target_has(20, 210);
	assert_int_equal(wr_metric_get(&b->stats.commits), 1);
	assert_true(wr_metric_get(&b->stats.logged) > 0);
	barrier(b, 2, NULL);
	barrier(b, 3, NULL);
	complete(b, 3);
	assert_int_equal(hear(b, 1), WR_OK);
	target_has(21, 310);
	assert_int_equal(wr_metric_get(&b->stats.logged), 0);
	assert_int_equal(target.asked, 0);
	bench_free(b);
}

static void what_the_last_checkpoint_of_a_job_covers_is_committed_although_it_ends(void **state)
{
	struct bench *b = begun();

	(void)state;
	for (uint64_t n = 1; n <= 3; n++) {
		give(b, (int64_t)n, 1);
		barrier(b, n, NULL);
	}
	give(b, 100, 1); /* of no checkpoint */
	complete(b, 3);
	bench_free(b); /* nobody hears of the first commit any more */
	target_has(3, 6);
}

static void C28_the_end_waits_for_a_checkpoint_behind_the_last_row_and_for_its_commit(void **state)
{
	struct bench *b = begun();

	(void)state;
	give(b, 1, 3);
	assert_int_equal(wr_sink_end(&b->stage), WR_AGAIN);
	assert_true(b->stage.awaits_checkpoint);
	barrier(b, 1, NULL);
	assert_int_equal(wr_sink_end(&b->stage), WR_AGAIN);
	assert_true(b->stage.awaits_checkpoint);
	complete(b, 1);
	assert_int_equal(wr_sink_end(&b->stage), WR_AGAIN);
	assert_false(b->stage.awaits_checkpoint);
	assert_int_equal(hear(b, 1), WR_OK);
	assert_int_equal(wr_sink_end(&b->stage), WR_OK);
	target_has(3, 6);
	bench_free(b);
}

static void without_checkpoints_all_is_committed_at_the_end(void **state)
{
	struct bench *b = bench_new(0, 1, 0);

	(void)state;
	b->env.durable = NULL;
	assert_int_equal(bench_open(b), WR_OK);
	give(b, 1, 10);
	give(b, 11, 10);
	assert_int_equal(wr_sink_end(&b->stage), WR_AGAIN);
	target_has(0, 0);
	assert_int_equal(hear(b, 2), WR_OK); /* durable, committed */
	assert_int_equal(wr_sink_end(&b->stage), WR_OK);
	target_has(20, 210);
	assert_int_equal(target.commits, 1);
	bench_free(b);
}

static void C22_a_restart_commits_what_is_missing_and_nothing_twice(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY;
	struct bench *b = begun();

	(void)state;
	give(b, 1, 2);
	barrier(b, 1, NULL);
	give(b, 10, 2);
	barrier(b, 2, &saved); /* names both */
	complete(b, 1);
	assert_int_equal(hear(b, 1), WR_OK);
	bench_free(b);
	target_has(2, 3);
	for (int i = 0; i < 2; i++) {
		b = bench_new(0, 1, 2 + i);
		assert_int_equal(restored(b, 2, &saved, 1), WR_OK);
		assert_false(target.was_fresh);
		if (i == 0)
			assert_int_equal(hear(b, 1), WR_OK);
		bench_free(b);
		target_has(4, 24);
	}
	assert_int_equal(target.asked, 2); /* its own, each time */
	wr_bytes_deinit(&saved);
}

static void what_is_left_of_a_subtask_that_is_no_more_is_committed_under_its_name(void **state)
{
	struct wr_bytes saved[3] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct bench *b[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		b[i] = bench_new(i, 3, 0);
		assert_int_equal(bench_open(b[i]), WR_OK);
		give(b[i], 1 + 100 * i, 1);
		barrier(b[i], 1, &saved[i]);
		bench_free(b[i]);
	}
	for (uint32_t i = 0; i < 2; i++) {
		b[i] = bench_new(i, 2, 1);
		assert_int_equal(restored(b[i], 1, saved, 3), WR_OK);
	}
	assert_int_equal(hear(b[0], 2), WR_OK);
	assert_int_equal(hear(b[1], 1), WR_OK);
	target_has(3, 303);
	assert_int_equal(*mark_of(&(struct wr_mark){"sink", LINEAGE, 2}), 1);
	for (uint32_t i = 0; i < 2; i++)
		bench_free(b[i]);
	for (uint32_t i = 0; i < 3; i++)
		wr_bytes_deinit(&saved[i]);
}

static void a_checkpoint_below_the_mark_is_refused_or_its_rows_are_skipped(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY;
	struct bench *b = begun();

	(void)state;
	give(b, 1, 2);
	barrier(b, 1, &saved);
	give(b, 10, 2);
	barrier(b, 2, NULL);
	give(b, 20, 3);
	barrier(b, 3, NULL);
	complete(b, 3);
	assert_int_equal(hear(b, 3), WR_OK);
	target_has(7, 87);
	bench_free(b);

	b = bench_new(0, 1, 3);
	assert_int_equal(restored(b, 1, &saved, 1), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "--skip-committed"));
	bench_free(b);

	b = bench_new(0, 1, 3);
	b->durable.skip_committed = true;
	assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
	give(b, 10, 2);
	give(b, 20, 4); /* the last is new */
	barrier(b, 4, NULL);
	complete(b, 4);
	assert_int_equal(hear(b, 1), WR_OK);
	target_has(8, 110);
	bench_free(b);

	b = bench_new(0, 1, 4); /* another job from there on */
	b->durable.lineage = LINEAGE + 1;
	assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
	give(b, 10, 2);
	barrier(b, 5, NULL);
	complete(b, 5);
	assert_int_equal(hear(b, 1), WR_OK);
	target_has(10, 131);
	bench_free(b);
	wr_bytes_deinit(&saved);
}

/* Commits epoch 1 of rows 1 and 2; `saved` at barrier 2 knows so, and names epoch 2 of rows 10 and 11. */
static void commit_one_and_save(struct wr_bytes *saved)
{
	struct bench *b = begun();

	give(b, 1, 2);
	barrier(b, 1, NULL);
	complete(b, 1);
	assert_int_equal(hear(b, 1), WR_OK);
	give(b, 10, 2);
	barrier(b, 2, saved);
	bench_free(b);
	target_has(2, 3);
}

static void a_target_that_lost_its_mark_is_told_from_a_new_one(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY, later = WR_BYTES_EMPTY;
	struct bench *b;

	(void)state;
	commit_one_and_save(&saved);
	memset(&target, 0, sizeof target);
	for (int i = 0; i < 2; i++) { /* it stays so */
		b = bench_new(0, 1, 2);
		assert_int_equal(restored(b, 2, &saved, 1), WR_EUSER);
		assert_non_null(strstr(wr_error_text(), "rows up to epoch 1 are committed, and the target's "
							"mark is 0"));
		assert_non_null(strstr(wr_error_text(), "--allow-duplicates"));
		bench_free(b);
		target_has(0, 0);
	}

	b = bench_new(0, 1, 2); /* what is logged counts as committed, and what comes is committed */
	b->durable.skip_committed = true;
	assert_int_equal(restored(b, 2, &saved, 1), WR_OK);
	give(b, 20, 2);
	barrier(b, 3, &later);
	complete(b, 3);
	assert_int_equal(hear(b, 1), WR_OK);
	bench_free(b);
	target_has(2, 41);
	b = bench_new(0, 1, 3); /* from there on as ever */
	assert_int_equal(restored(b, 3, &later, 1), WR_OK);
	bench_free(b);

	memset(&target, 0, sizeof target);
	b = bench_new(0, 1, 2); /* --allow-duplicates, or a savepoint: another job from there on */
	b->durable.lineage = LINEAGE + 1;
	assert_int_equal(restored(b, 2, &saved, 1), WR_OK);
	assert_int_equal(hear(b, 1), WR_OK);
	bench_free(b);
	target_has(2, 21);
	wr_bytes_deinit(&saved);
	wr_bytes_deinit(&later);
}

static void a_lost_mark_is_noticed_by_whoever_inherits_its_log(void **state)
{
	struct wr_bytes saved[2] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY}, one = WR_BYTES_EMPTY;
	struct bench *b;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		b = bench_new(i, 2, 0);
		assert_int_equal(bench_open(b), WR_OK);
		give(b, 1, 1);
		barrier(b, 1, NULL);
		complete(b, 1);
		assert_int_equal(hear(b, 1), WR_OK);
		barrier(b, 2, &saved[i]);
		bench_free(b);
	}
	b = bench_new(0, 1, 2); /* by one subtask, which tells the next */
	assert_int_equal(restored(b, 2, saved, 2), WR_OK);
	barrier(b, 3, &one);
	bench_free(b);
	*mark_of(&(struct wr_mark){"sink", LINEAGE, 1}) = 0;
	b = bench_new(0, 1, 3);
	assert_int_equal(restored(b, 3, &one, 1), WR_EUSER);
	bench_free(b);
	for (uint32_t i = 0; i < 2; i++)
		wr_bytes_deinit(&saved[i]);
	wr_bytes_deinit(&one);
}

static void a_checkpoint_below_the_mark_of_a_subtask_that_is_no_more_is_refused(void **state)
{
	struct wr_bytes saved[3] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct bench *b;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		b = bench_new(i, 3, 0);
		assert_int_equal(bench_open(b), WR_OK);
		barrier(b, 1, &saved[i]);
		if (i == 2)
			give(b, 1, 1);
		barrier(b, 2, NULL);
		complete(b, 2);
		assert_int_equal(hear(b, i == 2), WR_OK);
		bench_free(b);
	}
	target_has(1, 1);
	b = bench_new(0, 2, 2); /* the checkpoint was of three */
	assert_int_equal(restored(b, 1, saved, 3), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "rows up to epoch 2 are committed already"));
	bench_free(b);
	for (uint64_t newest = 1; newest < 3; newest++) { /* it was of one, and there were three behind it */
		b = bench_new(0, 1, newest);
		b->env.max_parallelism = 4;
		assert_int_equal(restored(b, 1, saved, 1), newest == 1 ? WR_OK : WR_EUSER);
		bench_free(b);
	}
	for (uint32_t i = 0; i < 3; i++)
		wr_bytes_deinit(&saved[i]);
}

static void a_commit_that_may_have_happened_is_asked_for_before_it_is_tried_again(void **state)
{
	struct bench *b = begun();

	(void)state;
	for (int stores = 0; stores < 2; stores++) {
		target.stores = stores;
		target.fails = WR_ETRANSIENT;
		give(b, 1, 2);
		barrier(b, 1 + (uint64_t)stores, NULL);
		complete(b, 1 + (uint64_t)stores);
		assert_int_equal(hear(b, 1), WR_OK);
		assert_true(b->stage.tick_ns > b->clock.manual_ns && b->stage.tick_ns < UINT64_MAX);
		assert_int_equal(wr_sink_tick(&b->stage, b->stage.tick_ns), WR_OK);
		assert_int_equal(hear(b, stores ? 1 : 2), WR_OK); /* the mark, and the commit if need be */
		target_has(2 + 2 * (uint32_t)stores, 3 + 3 * stores);
	}
	assert_int_equal(target.asked, 2);
	bench_free(b);
}

static void a_commit_that_fails_for_good_fails_the_job(void **state)
{
	struct bench *b = begun();

	(void)state;
	target.fails = WR_EUSER;
	give(b, 1, 2);
	barrier(b, 1, NULL);
	complete(b, 1);
	assert_int_equal(hear(b, 1), WR_EUSER);
	assert_string_equal(wr_error_text(), "commit of epoch 1: the target is away");
	bench_free(b);
}

static void rows_wait_while_commits_lag_and_large_epochs_ask_for_a_checkpoint(void **state)
{
	struct wr_value key = {.tag = WR_V_STR, .str = {"log_max", 7}}, max = {.tag = WR_V_F64, .f64 = 200};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 1, .keys = &key, .items = &max};
	struct bench *b = bench_new(0, 1, 0);

	(void)state;
	b->stage.options = &options;
	assert_int_equal(bench_open(b), WR_OK);
	assert_int_equal(give(b, 1, 5), WR_OK);
	assert_int_equal(b->wanted, 0);
	assert_int_equal(give(b, 1, 5), WR_OK);
	assert_int_equal(give(b, 1, 5), WR_OK); /* the checkpoint comes behind what is given: rows go on */
	assert_int_equal(b->wanted, 1);
	barrier(b, 1, NULL);
	assert_int_equal(give(b, 1, 1), WR_OK);
	complete(b, 1);
	assert_true(wr_metric_get(&b->stats.commit_lag) > 200);
	assert_int_equal(give(b, 1, 1), WR_AGAIN);
	assert_int_equal(hear(b, 1), WR_OK);
	assert_int_equal(give(b, 1, 1), WR_OK);
	bench_free(b);
}

static void each_byte_of_a_log_that_is_another_is_noticed(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY, copy = WR_BYTES_EMPTY;
	struct bench *b = begun();
	struct wr_epoch e = {LINEAGE, 0, 1, 0, 4, 0};
	struct wr_epoch_rows rows;
	struct wr_blob_view view;
	const uint8_t *p, *end;
	char id[WR_HISTORY_ID];

	(void)state;
	give(b, 1, 4);
	barrier(b, 1, &saved);
	bench_free(b);
	wr_history_log_id("sink", 0, 0, id);
	assert_int_equal(blobs->ops->open(blobs, id, &view), WR_OK);
	wr_bytes_put(&copy, view.data, view.len);
	blobs->ops->close(blobs, &view);
	for (size_t at = 0; at <= copy.len; at++) {
		struct wr_blob *blob;
		int rc;

		if (at < copy.len)
			copy.data[at] ^= 0x40;
		blob = blobs->ops->begin(blobs, id);
		blob->ops->append(blob, copy.data, copy.len);
		assert_int_equal(blob->ops->commit(blob), WR_OK);
		rc = wr_epoch_rows_open(&rows, blobs, "sink", &e);
		while (rc == WR_OK)
			rc = wr_epoch_rows_next(&rows, &p, &end);
		wr_epoch_rows_close(&rows);
		assert_int_equal(rc, at < copy.len ? WR_EUSER : WR_END);
		if (at < copy.len)
			copy.data[at] ^= 0x40;
	}
	e.rows = 5; /* not what the checkpoint says */
	assert_int_equal(wr_epoch_rows_open(&rows, blobs, "sink", &e), WR_OK);
	while ((wr_epoch_rows_next(&rows, &p, &end)) == WR_OK)
		;
	assert_int_equal(wr_error_code(), WR_EUSER);
	wr_epoch_rows_close(&rows);
	wr_bytes_deinit(&saved);
	wr_bytes_deinit(&copy);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(rows_are_in_the_target_once_a_checkpoint_covers_them),
	    T(what_the_last_checkpoint_of_a_job_covers_is_committed_although_it_ends),
	    T(C28_the_end_waits_for_a_checkpoint_behind_the_last_row_and_for_its_commit),
	    T(without_checkpoints_all_is_committed_at_the_end),
	    T(C22_a_restart_commits_what_is_missing_and_nothing_twice),
	    T(what_is_left_of_a_subtask_that_is_no_more_is_committed_under_its_name),
	    T(a_checkpoint_below_the_mark_is_refused_or_its_rows_are_skipped),
	    T(a_target_that_lost_its_mark_is_told_from_a_new_one),
	    T(a_lost_mark_is_noticed_by_whoever_inherits_its_log),
	    T(a_checkpoint_below_the_mark_of_a_subtask_that_is_no_more_is_refused),
	    T(a_commit_that_may_have_happened_is_asked_for_before_it_is_tried_again),
	    T(a_commit_that_fails_for_good_fails_the_job),
	    T(rows_wait_while_commits_lag_and_large_epochs_ask_for_a_checkpoint),
	    T(each_byte_of_a_log_that_is_another_is_noticed),
	};

	return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
