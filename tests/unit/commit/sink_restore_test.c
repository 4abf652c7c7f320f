/* SPDX-License-Identifier: Apache-2.0 */
/* sink_restore: what a restart of an exactly-once sink finds, also at another parallelism: what is left to
 * commit, marks that are ahead of the checkpoint, and marks that are lost. */
#include "unit/commit/bench.h"

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

static void what_is_left_of_a_subtask_that_is_no_more_is_committed_under_its_name_before_any_row(void **state)
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
		target_has(2 + i, i ? 303 : 202);
	}
	assert_int_equal(*mark_of(&(struct wr_mark){"sink", LINEAGE, 2, NULL}), 1);
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
	b->durable.assume_committed = true; /* another question */
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
		b->durable.assume_committed = i == 0; /* another question */
		b->durable.assume_lost = i == 1;
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

/* A sink at a checkpoint of this age, which has an epoch that was not known to be committed. */
static struct bench *begun_at(int64_t age_ms, int64_t keeps_ms, struct wr_bytes *saved)
{
	struct bench *b = begun();

	memset(&target, 0, sizeof target);
	give(b, 1, 3);
	saved->len = 0;
	barrier(b, 1, saved);
	bench_free(b);
	b = bench_new(0, 1, 1);
	b->age_ms = age_ms;
	the_target.keeps_ms = keeps_ms;
	return b;
}

static void no_mark_means_not_committed_only_as_long_as_marks_are_kept(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY;
	struct bench *b;

	(void)state;
	for (int i = 0; i < 2; i++) { /* young enough, or kept for ever */
		b = begun_at(i ? INT64_C(1) << 40 : 5999, i ? 0 : 7000, &saved);
		assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
		assert_int_equal(hear(b, 1), WR_OK);
		bench_free(b);
		target_has(3, 6);
	}
	b = begun_at(6000, 7000, &saved);
	b->durable.skip_committed = true; /* another question */
	assert_int_equal(restored(b, 1, &saved, 1), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "keeps marks for 7 s"));
	assert_non_null(strstr(wr_error_text(), "--assume-committed"));
	assert_non_null(strstr(wr_error_text(), "--assume-lost"));
	bench_free(b);
	target_has(0, 0);
	b = begun_at(6000, 7000, &saved);
	b->durable.assume_lost = true;
	assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
	assert_int_equal(hear(b, 1), WR_OK);
	bench_free(b);
	target_has(3, 6);
	b = begun_at(6000, 7000, &saved);
	b->durable.assume_committed = true;
	assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
	bench_free(b);
	target_has(0, 0);
	b = begun_at(6000, 7000, &saved); /* a mark that is there is younger than it seems */
	*mark_of(&(struct wr_mark){"sink", LINEAGE, 0, NULL}) = 1;
	assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
	bench_free(b);
	target_has(0, 0);
	wr_bytes_deinit(&saved);
}

static void a_mark_that_is_forgotten_as_nothing_was_committed_for_so_long_is_no_error(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY;
	struct bench *b;

	(void)state;
	the_target.keeps_ms = 7000;
	commit_one_and_save(&saved);
	for (int is_old = 0; is_old < 2; is_old++) {
		memset(&target, 0, sizeof target);
		b = bench_new(0, 1, 2);
		wr_clock_advance(&b->clock, UINT64_C(1000000) * (is_old ? 6000 : 5999));
		assert_int_equal(restored(b, 2, &saved, 1), is_old ? WR_OK : WR_EUSER);
		if (is_old) /* what the checkpoint names would have left a mark */
			assert_int_equal(hear(b, 1), WR_OK);
		bench_free(b);
		target_has(is_old ? 2 : 0, is_old ? 21 : 0);
	}
	wr_bytes_deinit(&saved);
}

/* What may be committed behind a checkpoint that is restored in the place of a damaged one. */
static void a_mark_that_is_forgotten_says_nothing_of_newer_checkpoints_that_are_damaged(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY;
	struct wr_blob *blob;
	char id[WR_HISTORY_ID];
	struct bench *b;

	(void)state;
	the_target.keeps_ms = 7000;
	b = begun();
	barrier(b, 1, &saved);
	bench_free(b);
	for (int is_there = 0; is_there < 2; is_there++) {
		b = bench_new(0, 1, 3);
		b->age_ms = 6000;
		assert_int_equal(restored(b, 1, &saved, 1), is_there ? WR_EUSER : WR_OK);
		if (is_there)
			assert_non_null(strstr(wr_error_text(), "whether rows behind the checkpoint are"));
		bench_free(b);
		wr_history_manifest_id(2, id);
		blob = blobs->ops->begin(blobs, id);
		assert_int_equal(blob->ops->commit(blob), WR_OK);
	}
	b = bench_new(0, 1, 3); /* young enough: nothing is */
	b->age_ms = 5999;
	assert_int_equal(restored(b, 1, &saved, 1), WR_OK);
	bench_free(b);
	wr_bytes_deinit(&saved);
}

static uint64_t mark_in(const char *scope)
{
	return *mark_of(&(struct wr_mark){"sink", LINEAGE, 0, scope});
}

/* Begins at the checkpoint of commit_one_and_save, which was taken in the scope "old", in "new". */
static struct bench *begun_in_new(uint64_t lineage)
{
	struct bench *b = bench_new(0, 1, 9);

	b->durable.lineage = lineage;
	the_target.scope = "new";
	the_target.scope_option = "name";
	return b;
}

static void what_was_logged_in_another_scope_is_committed_there_before_any_row(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY, later = WR_BYTES_EMPTY;
	struct bench *b;

	(void)state;
	the_target.scope = "old";
	commit_one_and_save(&saved);
	b = begun_in_new(LINEAGE);
	assert_int_equal(restored(b, 2, &saved, 1), WR_OK);
	target_has(4, 24);
	assert_int_equal(mark_in("old"), 2);
	assert_int_equal(mark_in("new"), 0);
	barrier(b, 10, &later);
	bench_free(b);
	b = begun_in_new(LINEAGE); /* nothing is known to be there */
	b->durable.newest = 10;
	assert_int_equal(restored(b, 10, &later, 1), WR_OK);
	give(b, 20, 2);
	barrier(b, 11, NULL);
	complete(b, 11);
	assert_int_equal(hear(b, 1), WR_OK);
	bench_free(b);
	target_has(6, 65);
	assert_int_equal(mark_in("old"), 2);
	assert_int_equal(mark_in("new"), 11);

	b = begun_in_new(LINEAGE); /* again at the first */
	assert_int_equal(restored(b, 2, &saved, 1), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "rows up to epoch 11 are committed already"));
	bench_free(b);
	wr_bytes_deinit(&saved);
	wr_bytes_deinit(&later);
}

static void another_scope_is_only_looked_at_where_all_that_is_at_stake_is_committed(void **state)
{
	struct wr_bytes saved = WR_BYTES_EMPTY;
	struct bench *b;

	(void)state;
	the_target.scope = "old";
	commit_one_and_save(&saved);
	for (uint64_t epoch = 1; epoch <= 2; epoch++) { /* a job beside the one of whose savepoint it is */
		memset(&target, 0, sizeof target);
		*mark_of(&(struct wr_mark){"sink", LINEAGE, 0, "old"}) = epoch;
		b = begun_in_new(LINEAGE + 1);
		assert_int_equal(restored(b, 2, &saved, 1), WR_OK);
		bench_free(b);
		target_has(epoch == 1 ? 2 : 0, epoch == 1 ? 21 : 0);
		assert_int_equal(target.looked, 1);
		assert_int_equal(target.asked, epoch == 1);
	}
	wr_bytes_deinit(&saved);
}

/* It would be under the mark of the new scope, where the next attempt does not look for it. */
static void what_was_logged_in_another_scope_stays_in_the_log_where_the_restore_fails(void **state)
{
	struct wr_bytes saved[2] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct bench *b;

	(void)state;
	the_target.scope = "old";
	for (uint32_t i = 0; i < 2; i++) {
		b = bench_new(i, 2, 0);
		assert_int_equal(bench_open(b), WR_OK);
		give(b, 1 + i, 1);
		barrier(b, 1, &saved[i]);
		bench_free(b);
	}
	target.unseen = 2;
	b = begun_in_new(LINEAGE + 1);
	assert_int_equal(restored(b, 1, saved, 2), WR_ETRANSIENT);
	bench_free(b);
	target_has(0, 0);
	b = begun_in_new(LINEAGE + 2);
	assert_int_equal(restored(b, 1, saved, 2), WR_OK);
	bench_free(b);
	target_has(2, 3);
	for (uint32_t i = 0; i < 2; i++)
		wr_bytes_deinit(&saved[i]);
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
	*mark_of(&(struct wr_mark){"sink", LINEAGE, 1, NULL}) = 0;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BENCH_TEST(C22_a_restart_commits_what_is_missing_and_nothing_twice),
	    BENCH_TEST(what_is_left_of_a_subtask_that_is_no_more_is_committed_under_its_name_before_any_row),
	    BENCH_TEST(a_checkpoint_below_the_mark_is_refused_or_its_rows_are_skipped),
	    BENCH_TEST(a_target_that_lost_its_mark_is_told_from_a_new_one),
	    BENCH_TEST(no_mark_means_not_committed_only_as_long_as_marks_are_kept),
	    BENCH_TEST(a_mark_that_is_forgotten_as_nothing_was_committed_for_so_long_is_no_error),
	    BENCH_TEST(a_mark_that_is_forgotten_says_nothing_of_newer_checkpoints_that_are_damaged),
	    BENCH_TEST(what_was_logged_in_another_scope_is_committed_there_before_any_row),
	    BENCH_TEST(another_scope_is_only_looked_at_where_all_that_is_at_stake_is_committed),
	    BENCH_TEST(what_was_logged_in_another_scope_stays_in_the_log_where_the_restore_fails),
	    BENCH_TEST(a_lost_mark_is_noticed_by_whoever_inherits_its_log),
	    BENCH_TEST(a_checkpoint_below_the_mark_of_a_subtask_that_is_no_more_is_refused),
	};

	return cmocka_run_group_tests_name("sink_restore", tests, NULL, NULL);
}
