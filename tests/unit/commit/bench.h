/* SPDX-License-Identifier: Apache-2.0 */
/* bench: subtasks of an exactly-once sink, stepped by hand, with a target in memory that survives them. */
#pragma once
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

enum { MARKS = 8, ROWS = 4096, LINEAGE = 7, MARK_NAME = WR_MARK_TEXT + 16 };
static const uint64_t PATIENCE_NS = 5000000000;

/* ---- the target: survives its sinks ---- */

static struct {
	int64_t rows[ROWS];
	uint32_t count;
	struct {
		char name[MARK_NAME];
		uint64_t epoch;
	} marks[MARKS];
	uint32_t commits, asked, looked, kept;
	int fails;	 /* code of what is written next */
	int refuses;	 /* code of all of them, WR_OK = of none */
	uint32_t takes;	 /* so many before that */
	uint32_t unseen; /* the look with this number fails, 0 = none does */
	bool stores;	 /* it is there nevertheless */
	bool was_fresh;	 /* what the last open was told */
} target;

static pthread_mutex_t target_mutex = PTHREAD_MUTEX_INITIALIZER; /* two sinks may commit side by side */

static const struct wr_target_ops target_ops;
static struct wr_target the_target = {.ops = &target_ops};

static inline uint64_t *mark_of(const struct wr_mark *m)
{
	const char *scope = m->scope ? m->scope : the_target.scope;
	char name[MARK_NAME], text[WR_MARK_TEXT];
	uint32_t i = 0;

	wr_mark_text(m, text);
	snprintf(name, sizeof name, "%s:%s", scope ? scope : "", text);
	while (*target.marks[i].name && strcmp(target.marks[i].name, name))
		i++;
	assert_true(i < MARKS);
	memcpy(target.marks[i].name, name, sizeof name);
	return &target.marks[i].epoch;
}

static inline int target_open(struct wr_target *t, bool fresh)
{
	(void)t;
	pthread_mutex_lock(&target_mutex);
	target.was_fresh = fresh;
	pthread_mutex_unlock(&target_mutex);
	return WR_OK;
}

static inline int target_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	(void)t;
	pthread_mutex_lock(&target_mutex);
	target.asked++;
	*epoch = *mark_of(mark);
	pthread_mutex_unlock(&target_mutex);
	return WR_OK;
}

static inline int target_look(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	bool fails;

	(void)t;
	pthread_mutex_lock(&target_mutex);
	fails = ++target.looked == target.unseen;
	*epoch = *mark_of(mark);
	pthread_mutex_unlock(&target_mutex);
	return fails ? wr_error_set(WR_ETRANSIENT, "the target is away") : WR_OK;
}

static inline int target_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
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
	fails = target.refuses && !target.takes ? target.refuses : target.fails;
	target.takes -= target.takes > 0;
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

static inline int target_keep(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch)
{
	int fails;

	(void)t;
	pthread_mutex_lock(&target_mutex);
	fails = target.fails;
	target.fails = WR_OK;
	if (fails == WR_OK) {
		assert_true(*mark_of(mark) == 0 || *mark_of(mark) == epoch);
		*mark_of(mark) = epoch;
		target.kept++;
	}
	pthread_mutex_unlock(&target_mutex);
	return fails == WR_OK ? WR_OK : wr_error_set(fails, "the target is away");
}

static inline void target_free(struct wr_target *t)
{
	(void)t;
}

static const struct wr_target_ops target_ops = {.open = target_open,
						.last = target_last,
						.commit = target_commit,
						.keep = target_keep,
						.look = target_look,
						.free = target_free};

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
	_Atomic int stops;
	_Atomic bool failed;
	int64_t age_ms; /* of the checkpoint that it begins at */
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

static inline void on_post(void *arg, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
			   const void *payload, uint32_t len)
{
	(void)vertex, (void)subtask, (void)stage, (void)payload, (void)len;
	assert_int_equal(type, WR_LETTER_WANTED);
	((struct bench *)arg)->wanted++;
}

static inline void on_wake(void *self)
{
	(void)self;
}

static inline struct bench *bench_new(uint32_t subtask, uint32_t parallelism, uint64_t newest)
{
	struct bench *b = calloc(1, sizeof *b);

	wr_clock_manual_init(&b->clock, 1000000000, 1700000000000);
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->came, NULL);
	b->durable = (struct wr_durable){
	    .blobs = blobs, .lineage = LINEAGE, .newest = newest, .patience_ns = PATIENCE_NS};
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
				       .stops = &b->stops,
				       .failed = &b->failed,
				       .durable = &b->durable};
	b->stage = (struct wr_stage){.ops = &b->ops,
				     .env = &b->env,
				     .options = &no_options,
				     .ops_stats = &b->stats,
				     .ops_count = 1,
				     .tick_ns = UINT64_MAX};
	return b;
}

static inline int bench_open(struct bench *b)
{
	return wr_sink_open(&b->stage, &the_target);
}

static inline void bench_free(struct bench *b)
{
	wr_sink_free(&b->stage);
	pthread_mutex_destroy(&b->mutex);
	pthread_cond_destroy(&b->came);
	free(b);
}

static inline struct bench *begun(void)
{
	struct bench *b = bench_new(0, 1, 0);

	assert_int_equal(bench_open(b), WR_OK);
	return b;
}

static inline int give(struct bench *b, int64_t first, int64_t count)
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
static inline void barrier(struct bench *b, uint64_t number, struct wr_bytes *saved)
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

static inline void complete(struct bench *b, uint64_t number)
{
	struct wr_bytes payload = WR_BYTES_EMPTY;

	wr_value_put_i64(&payload, (int64_t)number);
	assert_int_equal(wr_sink_letter(&b->stage, WR_LETTER_COMPLETE, payload.data, (uint32_t)payload.len),
			 WR_OK);
	wr_bytes_deinit(&payload);
}

/* Waits for `count` pieces of work to be done and hears of each. Gives the last answer. */
static inline int hear(struct bench *b, uint32_t count)
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

static inline void target_has(uint32_t count, int64_t sum)
{
	int64_t total = 0;

	assert_int_equal(target.count, count);
	for (uint32_t i = 0; i < count; i++)
		total += target.rows[i];
	assert_int_equal(total, sum);
}

/* Begins where `from`, a stage's saved value each, leaves it. */
static inline int restored(struct bench *b, uint64_t checkpoint, const struct wr_bytes *from, uint32_t count)
{
	struct wr_saved_part parts[4];
	struct wr_value values[4];
	struct wr_arena arena;
	static struct wr_mem mem = WR_MEM_INIT("test.sink");
	struct wr_saved_state saved = {count, count, parts};
	int rc;

	b->manifest = (struct wr_manifest){
	    .checkpoint = checkpoint, .lineage = LINEAGE, .time_ms = wr_clock_ms(&b->clock) - b->age_ms};
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

static inline int bench_setup(void **state)
{
	(void)state;
	memset(&target, 0, sizeof target);
	the_target = (struct wr_target){.ops = &target_ops};
	io = wr_iopool_new(2, WR_IOPOOL_PROMPT);
	blobs = wr_blobs_memory();
	return 0;
}

static inline int bench_teardown(void **state)
{
	(void)state;
	wr_iopool_free(io);
	blobs->ops->free(blobs);
	return 0;
}

#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
