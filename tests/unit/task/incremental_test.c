/* SPDX-License-Identifier: Apache-2.0 */
/* incremental_test: snapshots that go on from each other. Tasks write random changes of their stores; which
 * checkpoints become complete is drawn, too. Whatever is kept must restore, at any parallelism, to what the
 * stores held at its barrier, and nothing else may be left in the folder. What a store holds is compared by a
 * sum over all of its items. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/log.h"
#include "base/rand.h"
#include "checkpoint/history.h"
#include "savepoint/file.h"
#include "task/letter.h"
#include "task/restore.h"
#include "task/task_priv.h"

enum {
	MAX_P = 16,
	FORMERLY = 2,
	KEYS = 9000,
	VALUE = 0,
	LIST = 1,
	MAP = 2,
	RETAIN_MAX = 3,
	CHECKPOINTS = 40
};

static struct wr_mem mem = WR_MEM_INIT("test.incremental");

static const struct wr_state_desc states[] = {{"value", WR_STATE_VALUE, 0, 0, false, 0},
					      {"list", WR_STATE_LIST, 0, 0, false, 0},
					      {"map", WR_STATE_MAP, 0, 0, false, 0}};

/* A task with one stage, which has keyed and broadcast state. */
struct rig {
	struct wr_task task;
	struct wr_stage stage;
	struct wr_op_stats op;
	struct wr_durable durable;
	struct wr_times before_end;
	int64_t passed;
	bool past_end;
	struct wr_iopool *io;
	struct wr_bytes blob; /* that was acknowledged */
	uint64_t bytes;
	bool declined;
};

static uint32_t shape_of(uint32_t words)
{
	struct wr_field_spec f[8];
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

	for (uint32_t i = 0; i < words; i++)
		f[i] = (struct wr_field_spec){names[i], 1, WR_T_I64, 0};
	return wr_shape_intern(f, words, 0, 0);
}

static void on_letter(void *arg, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
		      const void *payload, uint32_t len)
{
	struct rig *r = arg;
	struct wr_ack ack;

	(void)vertex, (void)subtask, (void)stage;
	assert_int_equal(wr_ack_parse(payload, len, &ack), WR_OK);
	r->declined = type != WR_LETTER_ACK;
	r->bytes = ack.bytes;
	r->blob.len = 0;
	wr_bytes_put(&r->blob, ack.text.p, ack.text.len);
	wr_bytes_put_u8(&r->blob, 0);
}

static void nobody_wakes(void *arg)
{
	(void)arg;
}

static struct wr_store *new_store(uint32_t groups, uint32_t first, uint32_t last)
{
	return wr_store_new(&(struct wr_store_options){.operator_uid = "uid",
						       .states = states,
						       .state_count = 3,
						       .max_parallelism = groups,
						       .group_first = first,
						       .group_last = last,
						       .mem = &mem});
}

/* The plan of the stage: what restoring goes by. */
static struct wr_value *plan_of(struct wr_arena *arena)
{
	static const char *const lists[] = {"broadcast", "states"};
	struct wr_value *plan = wr_arena_alloc(arena, sizeof *plan);
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader in;

	wr_value_put_record(&b, 2);
	for (int i = 0; i < 2; i++) {
		wr_value_put_name(&b, lists[i]);
		wr_value_put_list(&b, 3);
		for (int k = 0; k < 3; k++) {
			wr_value_put_record(&b, 1);
			wr_value_put_name(&b, "name");
			wr_value_put_str(&b, states[k].name);
		}
	}
	in = wr_reader_of(b.data, b.len);
	assert_int_equal(wr_value_parse(&in, arena, plan), WR_OK);
	wr_bytes_deinit(&b);
	return plan;
}

static struct rig *rig_new(struct wr_blobs *blobs, uint32_t subtask, uint32_t parallelism,
			   const _Atomic uint64_t *holds)
{
	static const struct wr_stage_ops no_ops;
	static const struct wr_value no_options;
	struct rig *r = calloc(1, sizeof *r);
	struct wr_stage *s = &r->stage;
	uint32_t first, last;

	wr_key_group_range(MAX_P, parallelism, subtask, &first, &last);
	wr_arena_init(&r->task.arena, &mem);
	r->io = wr_iopool_new(1, WR_IOPOOL_PROMPT);
	r->durable = (struct wr_durable){.blobs = blobs, .holds = holds, .chain_bytes_min = 100000};
	r->task.env = (struct wr_stage_env){.job = "job",
					    .task = "task",
					    .subtask = subtask,
					    .parallelism = parallelism,
					    .max_parallelism = MAX_P,
					    .io = r->io,
					    .saving = r->io,
					    .post = on_letter,
					    .post_arg = r,
					    .wake = {nobody_wakes, r},
					    .durable = &r->durable};
	r->op.uid = "uid";
	*s = (struct wr_stage){.ops = &no_ops,
			       .env = &r->task.env,
			       .options = &no_options,
			       .plan = plan_of(&r->task.arena),
			       .ops_stats = &r->op,
			       .keyer = (void *)s,
			       .store = new_store(MAX_P, first, last),
			       .broadcast = new_store(1, 0, 0),
			       .watermark = 7,
			       .deadline_ms = INT64_MAX};
	r->task.chain = (struct wr_chain){.stages = s, .stage_count = 1};
	r->task.passed = &r->passed;
	r->task.past_end = &r->past_end;
	r->task.before_end = &r->before_end;
	r->task.snapshots = wr_snapshots_new(&r->task, blobs);
	assert_non_null(r->task.snapshots);
	return r;
}

static void rig_free(struct rig *r)
{
	wr_snapshots_free(r->task.snapshots);
	wr_iopool_free(r->io);
	wr_store_set_now(r->stage.store, 1);
	wr_store_set_now(r->stage.broadcast, 1);
	wr_store_free(r->stage.store);
	wr_store_free(r->stage.broadcast);
	wr_bytes_deinit(&r->blob);
	wr_arena_deinit(&r->task.arena);
	free(r);
}

/* ---- random content ---- */

static int select_key(struct wr_store *s, uint32_t k, uint32_t len, uint64_t *hash)
{
	uint8_t key[64] = {'i'};

	memcpy(key + 1, &k, 4);
	*hash = wr_key_hash(key, len);
	if (s && wr_store_set_key(s, key, len, *hash) != WR_OK)
		return WR_EFATAL;
	return !s || k % 5 ? WR_OK : wr_store_set_namespace(s, (const uint8_t *)"window", 6);
}

static void put(uint8_t *body, uint32_t words, uint64_t seed)
{
	for (uint32_t i = 0; i < words; i++, seed = seed * 0x9e3779b97f4a7c15 + i)
		memcpy(body + 8 * i, &seed, 8);
}

static void random_write(struct wr_store *s, struct wr_rand *r)
{
	uint64_t seed = wr_rand_next(r);
	uint32_t words = 1 + wr_rand_below(r, 8), op = wr_rand_below(r, 14);
	uint8_t user[9] = {'i', (uint8_t)wr_rand_below(r, 6)};
	int64_t time = wr_rand_below(r, 40);

	if (op < 4)
		put(wr_state_put(s, VALUE, shape_of(words), words * 8), words, seed);
	else if (op < 6)
		wr_state_clear(s, wr_rand_below(r, 3));
	else if (op == 6)
		put(wr_list_add(s, LIST, shape_of(words), words * 8), words, seed);
	else if (op == 7)
		put(wr_map_put(s, MAP, user, sizeof user, shape_of(words), words * 8), words, seed);
	else if (op == 8)
		wr_map_remove(s, MAP, user, sizeof user);
	else if (op < 11)
		wr_timer_add(s, op % 2, time);
	else if (op == 11)
		wr_timer_remove(s, time % 2, time);
	else if (op == 12)
		wr_state_clear_all(s);
	else {
		struct wr_sval *v = wr_state_edit(s, VALUE);

		if (v)
			memcpy(v->body, &seed, 8);
	}
}

static void random_writes(struct rig **rigs, struct wr_rand *r, uint32_t count, uint32_t keys)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t k = wr_rand_below(r, keys), first, last, group;
		uint64_t hash;

		select_key(NULL, k, k % 3 ? 9 : 40, &hash);
		group = wr_key_group(hash, MAX_P);
		for (uint32_t p = 0; p < FORMERLY; p++) {
			wr_key_group_range(MAX_P, FORMERLY, p, &first, &last);
			if (group < first || group > last)
				continue;
			assert_int_equal(select_key(rigs[p]->stage.store, k, k % 3 ? 9 : 40, &hash), WR_OK);
			random_write(rigs[p]->stage.store, r);
		}
		if (i % 50)
			continue;
		for (uint32_t p = 0; p < FORMERLY; p++) {
			struct wr_rand same = {i * 31 + k};

			select_key(rigs[p]->stage.broadcast, k, 9, &hash);
			random_write(rigs[p]->stage.broadcast, &same);
		}
	}
}

static int sum_item(const struct wr_state_item *item, void *arg)
{
	uint64_t h = wr_key_hash(item->key, item->key_len) * 31 + item->ns_len;

	h = h * 31 + item->state + item->position + item->value->shape;
	if (item->map_key)
		h ^= wr_key_hash(item->map_key, item->map_key_len);
	*(uint64_t *)arg += h * wr_key_hash(item->value->body, item->value->len);
	return WR_OK;
}

static int sum_timer(const struct wr_timer_item *item, void *arg)
{
	uint64_t h = wr_key_hash(item->key, item->key_len) * 31 + item->ns_len;

	*(uint64_t *)arg += h * (uint64_t)(item->time_ms * 2 + item->kind + 1);
	return WR_OK;
}

static uint64_t sum_of(struct wr_store *s)
{
	struct wr_frozen *f = wr_store_freeze(s);
	uint64_t sum = 0;

	assert_non_null(f);
	wr_frozen_each(f, WR_ALL_GROUPS, sum_item, &sum);
	wr_frozen_timers(f, WR_ALL_GROUPS, sum_timer, &sum);
	wr_frozen_unref(f);
	wr_store_set_now(s, 1);
	return sum;
}

/* ---- checkpoints ---- */

struct world {
	struct wr_blobs *blobs;
	_Atomic uint64_t holds;
	struct rig *rigs[FORMERLY];
	uint64_t keyed[CHECKPOINTS + 1], broadcast[CHECKPOINTS + 1]; /* by checkpoint: sums at its barrier */
	uint64_t next, bytes;					     /* of the last snapshot */
};

static void world_new(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->blobs = wr_blobs_memory();
	for (uint32_t p = 0; p < FORMERLY; p++)
		w->rigs[p] = rig_new(w->blobs, p, FORMERLY, &w->holds);
}

static void world_free(struct world *w)
{
	for (uint32_t p = 0; p < FORMERLY; p++)
		rig_free(w->rigs[p]);
	w->blobs->ops->free(w->blobs);
	assert_int_equal(mem.bytes, 0);
}

static void await(struct world *w)
{
	w->bytes = 0;
	for (uint32_t p = 0; p < FORMERLY; p++) {
		while (wr_snapshots_busy(w->rigs[p]->task.snapshots))
			sched_yield();
		assert_false(w->rigs[p]->declined);
		w->bytes += w->rigs[p]->bytes;
	}
}

/* The barrier of the next checkpoint passes all tasks. */
static uint64_t barrier(struct world *w)
{
	uint64_t n = ++w->next;

	w->keyed[n] = 0;
	w->broadcast[n] = sum_of(w->rigs[0]->stage.broadcast);
	for (uint32_t p = 0; p < FORMERLY; p++) {
		w->keyed[n] += sum_of(w->rigs[p]->stage.store);
		wr_snapshot_stage(w->rigs[p]->task.snapshots, &w->rigs[p]->stage, n);
	}
	return n;
}

static void publish(struct world *w, uint64_t n)
{
	struct wr_manifest_state named[3] = {{.name = "value"},
					     {.name = "list", .kind = WR_STATE_LIST},
					     {.name = "map", .kind = WR_STATE_MAP}};
	struct wr_manifest_stage stage = {.uid = "uid",
					  .name = "stage",
					  .states = named,
					  .state_count = 3,
					  .broadcast = named,
					  .broadcast_count = 3};
	struct wr_manifest_task tasks[FORMERLY];
	struct wr_manifest_vertex vertex = {.name = "task",
					    .parallelism = FORMERLY,
					    .max_parallelism = MAX_P,
					    .stages = &stage,
					    .stage_count = 1,
					    .tasks = tasks};
	struct wr_manifest m = {.checkpoint = n,
				.origin = "",
				.job = "job",
				.script = "",
				.vertices = &vertex,
				.vertex_count = 1};
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	char id[WR_HISTORY_ID];

	for (uint32_t p = 0; p < FORMERLY; p++)
		tasks[p] = (struct wr_manifest_task){.blob = (const char *)w->rigs[p]->blob.data,
						     .bytes = w->rigs[p]->bytes};
	assert_int_equal(wr_manifest_encode(&m, &bytes), WR_OK);
	wr_history_manifest_id(n, id);
	assert_int_equal(w->blobs->ops->publish(w->blobs, id, bytes.data, bytes.len), WR_OK);
	wr_bytes_deinit(&bytes);
	atomic_store(&w->holds, n);
}

static void checkpoint(struct world *w)
{
	uint64_t n = barrier(w);

	await(w);
	publish(w, n);
}

static void restores(struct world *w, struct wr_blobs *blobs, const struct wr_manifest *m,
		     uint32_t parallelism)
{
	struct wr_restore from = {blobs, m};
	uint64_t sum = 0;

	for (uint32_t p = 0; p < parallelism; p++) {
		struct rig *r = rig_new(blobs, p, parallelism, NULL);

		r->task.restore = &from;
		assert_int_equal(wr_task_restore(&r->task), WR_OK);
		sum += sum_of(r->stage.store);
		assert_int_equal(sum_of(r->stage.broadcast), w->broadcast[m->checkpoint]);
		assert_int_equal(r->stage.watermark, 7);
		rig_free(r);
	}
	assert_int_equal(sum, w->keyed[m->checkpoint]);
}

static int count_name(void *arg, const char *name)
{
	(void)name;
	++*(uint32_t *)arg;
	return WR_OK;
}

static int count_base(void *arg, const char *id)
{
	struct world *w = arg;
	struct wr_blob_view view;

	assert_int_equal(w->blobs->ops->open(w->blobs, id, &view), WR_OK);
	w->blobs->ops->close(w->blobs, &view);
	return WR_OK;
}

static uint32_t files_of(struct world *w, uint64_t n)
{
	char id[WR_HISTORY_ID];
	uint32_t files = 0;

	snprintf(id, sizeof id, "chk-%d", (int)n);
	w->blobs->ops->list(w->blobs, id, count_name, &files);
	return files;
}

/* Each of the `retain` newest complete ones holds and restores; others are gone. */
static void check_all(struct world *w, const bool *complete, uint32_t retain, uint32_t parallelism)
{
	uint32_t kept = 0;

	for (uint64_t n = w->next; n > 0; n--) {
		struct wr_arena arena;
		struct wr_manifest m;
		int rc;

		wr_arena_init(&arena, &mem);
		rc = wr_history_open(w->blobs, n, &arena, &m);
		assert_int_equal(rc, complete[n] && kept < retain ? WR_OK : WR_END);
		if (rc == WR_OK) {
			if (!kept++)
				restores(w, w->blobs, &m, parallelism);
			for (uint32_t p = 0; p < FORMERLY; p++)
				wr_history_each_name(w->blobs, m.vertices[0].tasks[p].blob, WR_HISTORY_BASES,
						     count_base, w);
		}
		wr_arena_deinit(&arena);
	}
}

static void C25_S15_any_kept_checkpoint_restores_to_what_was_there_whatever_was_declined(void **state)
{
	uint32_t incremental = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct wr_rand r = {seed};
		uint32_t retain = 1 + wr_rand_below(&r, RETAIN_MAX), keys = KEYS;
		bool complete[CHECKPOINTS + 1] = {false};
		uint64_t whole = UINT64_MAX;
		struct world w;

		world_new(&w);
		random_writes(w.rigs, &r, 40000, keys);
		for (int i = 0; i < CHECKPOINTS; i++) {
			uint64_t n = barrier(&w);

			/* while it is written */
			random_writes(w.rigs, &r, wr_rand_below(&r, wr_rand_below(&r, 8) ? 600 : 30000),
				      keys);
			await(&w);
			whole = w.bytes > whole ? whole : w.bytes;
			incremental += w.bytes < 300000;
			complete[n] = wr_rand_below(&r, 4) != 0;
			if (complete[n]) {
				publish(&w, n);
				assert_int_equal(wr_history_remove_old(w.blobs, n, retain, 0), WR_OK);
				if (wr_rand_below(&r, 3) == 0)
					check_all(&w, complete, retain, 1 + wr_rand_below(&r, 4));
			}
			if (wr_rand_below(&r, 6) == 0)
				keys = KEYS / 2 + wr_rand_below(&r, KEYS);
		}
		world_free(&w);
	}
	assert_in_range(incremental, CHECKPOINTS, 4 * CHECKPOINTS); /* or nothing was shown */
}

static void with_one_percent_changed_a_checkpoint_is_a_few_percent_of_the_first(void **state)
{
	struct wr_rand r = {5};
	struct world w;
	uint64_t first;

	(void)state;
	world_new(&w);
	random_writes(w.rigs, &r, 60000, KEYS);
	checkpoint(&w);
	first = w.bytes;
	random_writes(w.rigs, &r, KEYS / 100, KEYS);
	checkpoint(&w);
	assert_in_range(w.bytes, 1, first / 25);
	world_free(&w);
}

static void blobs_that_nothing_goes_on_from_any_more_vanish(void **state)
{
	struct wr_rand r = {9};
	struct world w;
	uint64_t n;

	(void)state;
	world_new(&w);
	random_writes(w.rigs, &r, 60000, KEYS);
	checkpoint(&w);
	for (int i = 0; i < 3; i++) {
		random_writes(w.rigs, &r, 300, KEYS);
		checkpoint(&w);
		assert_int_equal(wr_history_remove_old(w.blobs, w.next, 1, 0), WR_OK);
	}
	assert_int_equal(files_of(&w, 1), FORMERLY); /* without its manifest */
	assert_int_equal(files_of(&w, 4), FORMERLY + 1);
	random_writes(w.rigs, &r, 60000, KEYS); /* too much for going on */
	checkpoint(&w);
	assert_int_equal(wr_history_remove_old(w.blobs, w.next, 1, 0), WR_OK);
	for (n = 1; n < w.next; n++)
		assert_int_equal(files_of(&w, n), 0);
	world_free(&w);
}

static void what_is_written_in_a_row_stays_within_twice_of_what_there_is(void **state)
{
	struct wr_rand r = {4};
	struct world w;
	uint64_t whole, sum = 0, wholes = 1;

	(void)state;
	world_new(&w);
	random_writes(w.rigs, &r, 60000, KEYS);
	checkpoint(&w);
	whole = w.rigs[0]->bytes;
	for (int i = 1; i < CHECKPOINTS; i++) {
		random_writes(w.rigs, &r, 1500, KEYS);
		checkpoint(&w);
		if (w.rigs[0]->bytes < whole / 2) {
			sum += w.rigs[0]->bytes;
			continue;
		}
		assert_in_range(sum, whole / 2, whole * 5 / 4);
		whole = w.rigs[0]->bytes;
		sum = 0;
		wholes++;
	}
	assert_in_range(wholes, 2, CHECKPOINTS / 4);
	world_free(&w);
}

static void a_savepoint_has_all_that_the_checkpoint_goes_on_from(void **state)
{
	char path[] = P_tmpdir "/weir-savepoint-XXXXXX";
	struct wr_rand r = {3};
	struct wr_arena arena;
	struct wr_manifest m;
	struct wr_blobs *file;
	struct world w;
	uint64_t bytes, newest;

	(void)state;
	close(mkstemp(path));
	world_new(&w);
	random_writes(w.rigs, &r, 60000, KEYS);
	for (int i = 0; i < 3; i++) {
		checkpoint(&w);
		random_writes(w.rigs, &r, 300, KEYS);
	}
	wr_arena_init(&arena, &mem);
	assert_int_equal(wr_history_latest(w.blobs, &arena, &m, &newest), WR_OK);
	assert_int_equal(wr_savepoint_make(w.blobs, &m, path, &bytes), WR_OK);
	file = wr_savepoint_open(path, &arena, &m);
	assert_non_null(file);
	restores(&w, file, &m, 3);
	file->ops->free(file);
	wr_arena_deinit(&arena);
	world_free(&w);
	unlink(path);
}

/* Whichever byte of whichever blob: what goes on from it does not hold, what does not does. */
static void a_damaged_blob_is_noticed_by_all_that_go_on_from_it_and_others_are_taken(void **state)
{
	struct wr_rand r = {8};
	struct wr_arena arena;
	struct world w;

	(void)state;
	world_new(&w);
	random_writes(w.rigs, &r, 60000, KEYS);
	checkpoint(&w);				/* 1, whole */
	random_writes(w.rigs, &r, 60000, KEYS); /* 2, whole */
	checkpoint(&w);
	for (int i = 3; i <= 4; i++) { /* go on from 2 */
		random_writes(w.rigs, &r, 300, KEYS);
		checkpoint(&w);
	}
	wr_arena_init(&arena, &mem);
	wr_log_setup(WR_LOG_ERROR, false);
	for (int i = 0; i < 200; i++) {
		static const uint64_t taken[] = {0, 4, 1, 2, 3};
		uint64_t n = 1 + wr_rand_below(&r, 4), newest;
		struct wr_blob_view view;
		struct wr_manifest m;
		char id[WR_HISTORY_ID];
		uint8_t *byte, bit = (uint8_t)(1u << wr_rand_below(&r, 8));

		wr_history_blob_id(n, 0, wr_rand_below(&r, FORMERLY), id);
		assert_int_equal(w.blobs->ops->open(w.blobs, id, &view), WR_OK);
		byte = (uint8_t *)(uintptr_t)view.data + wr_rand_below(&r, (uint32_t)view.len);
		*byte ^= bit;
		assert_int_equal(wr_history_latest(w.blobs, &arena, &m, &newest), WR_OK);
		assert_int_equal(m.checkpoint, taken[n]);
		*byte ^= bit;
		w.blobs->ops->close(w.blobs, &view);
		wr_arena_reset(&arena);
	}
	wr_log_setup(WR_LOG_INFO, false);
	wr_arena_deinit(&arena);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(C25_S15_any_kept_checkpoint_restores_to_what_was_there_whatever_was_declined),
	    cmocka_unit_test(with_one_percent_changed_a_checkpoint_is_a_few_percent_of_the_first),
	    cmocka_unit_test(blobs_that_nothing_goes_on_from_any_more_vanish),
	    cmocka_unit_test(what_is_written_in_a_row_stays_within_twice_of_what_there_is),
	    cmocka_unit_test(a_savepoint_has_all_that_the_checkpoint_goes_on_from),
	    cmocka_unit_test(a_damaged_blob_is_noticed_by_all_that_go_on_from_it_and_others_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
