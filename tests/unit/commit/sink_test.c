/* SPDX-License-Identifier: Apache-2.0 */
/* sink: the stage of an exactly-once sink: what is committed, and when; what a commit that fails comes to;
 * and that damage of its log is noticed. */
#include "unit/commit/bench.h"

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

static void what_the_last_checkpoint_of_a_job_covers_is_committed_although_it_fails(void **state)
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
	assert_true(b->stage.awaits_checkpoint); /* others may be taken */
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

/* Two epochs are due when another process has the mark at `mark`. The answer to our asking. */
static int find_mark_at(struct bench *b, uint64_t mark)
{
	give(b, 1, 2);
	barrier(b, 1, NULL);
	give(b, 10, 2);
	barrier(b, 2, NULL);
	target.fails = WR_ETRANSIENT;
	complete(b, 2);
	assert_int_equal(hear(b, 1), WR_OK);
	*mark_of(&(struct wr_mark){"sink", LINEAGE, 0, NULL}) = mark;
	assert_int_equal(wr_sink_tick(&b->stage, b->stage.tick_ns), WR_OK);
	return hear(b, 1);
}

static void what_another_process_committed_meanwhile_is_dropped_and_no_reason_is_left(void **state)
{
	struct bench *b = begun();
	struct wr_owed owed;

	(void)state;
	assert_int_equal(find_mark_at(b, 2), WR_OK);
	give(b, 20, 2);
	barrier(b, 3, NULL);
	complete(b, 3);
	atomic_store(&b->stops, 2);
	assert_true(wr_sink_owes(&b->stage, &owed));
	assert_int_equal(owed.first, 3);
	assert_string_equal(owed.why, "");
	assert_int_equal(hear(b, 1), WR_OK);
	bench_free(b);
	target_has(2, 41);
}

static void a_mark_beyond_all_checkpoints_of_the_process_ends_it(void **state)
{
	struct bench *b = begun();

	(void)state;
	give(b, 0, 1);
	assert_int_equal(find_mark_at(b, 3), WR_ESUPERSEDED);
	assert_non_null(strstr(wr_error_text(), "epoch 3 is committed"));
	barrier(b, 3, NULL);
	complete(b, 3);
	bench_free(b);
	target_has(0, 0);
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

/* A checkpoint without rows holds, so many ms behind the last. */
static void rest(struct bench *b, uint64_t number, uint64_t ms)
{
	wr_clock_advance(&b->clock, ms * 1000000);
	barrier(b, number, NULL);
	complete(b, number);
}

static void the_mark_is_written_again_while_nothing_is_committed(void **state)
{
	struct bench *b;

	(void)state;
	the_target.keeps_ms = 7000;
	b = begun();
	rest(b, 1, 9000); /* there is none yet */
	give(b, 1, 2);
	rest(b, 2, 0);
	assert_int_equal(hear(b, 1), WR_OK);
	rest(b, 3, 999);
	assert_int_equal(target.kept, 0);
	rest(b, 4, 1);
	assert_int_equal(hear(b, 1), WR_OK);
	assert_int_equal(target.kept, 1);
	rest(b, 5, 999);
	target.fails = WR_ETRANSIENT;
	rest(b, 6, 1);
	assert_int_equal(hear(b, 1), WR_OK);
	assert_int_equal(target.kept, 1);
	rest(b, 7, 0); /* tried again at the next */
	assert_int_equal(hear(b, 1), WR_OK);
	assert_int_equal(target.kept, 2);
	give(b, 10, 2); /* a commit does the same */
	rest(b, 8, 1000);
	assert_int_equal(hear(b, 1), WR_OK);
	rest(b, 9, 999);
	assert_int_equal(target.kept, 2);
	target.fails = WR_ESUPERSEDED;
	rest(b, 10, 1);
	assert_int_equal(hear(b, 1), WR_ESUPERSEDED);
	target_has(4, 24);
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

/* The log of four rows as a process had written it that counts its shapes from `by` on. */
static void write_anew(const char *id, uint32_t by)
{
	struct wr_bytes copy = WR_BYTES_EMPTY;
	struct wr_block_writer writer;
	struct wr_block_reader in;
	struct wr_blob_view view;
	struct wr_block block;
	struct wr_blob *blob = blobs->ops->begin(blobs, id);

	assert_int_equal(blobs->ops->open(blobs, id, &view), WR_OK);
	wr_block_reader_init(&in, view.data, view.len);
	wr_block_writer_init(&writer, blob);
	while (wr_block_next(&in, &block) == WR_OK) {
		copy.len = 0;
		wr_bytes_put(&copy, block.payload, block.len);
		block.payload = copy.data;
		if (block.kind == WR_BLOCK_SHAPES)
			*(uint32_t *)copy.data += by;
		for (size_t at = 0; block.kind == WR_BLOCK_ROWS && at < copy.len;) {
			struct wr_elem *row = (struct wr_elem *)(copy.data + at);

			row->tag += by;
			at += row->len;
		}
		assert_int_equal(wr_block_put(&writer, &block), WR_OK);
	}
	assert_int_equal(wr_block_finish(&writer), WR_OK);
	wr_block_writer_deinit(&writer);
	wr_block_reader_deinit(&in);
	blobs->ops->close(blobs, &view);
	assert_int_equal(blob->ops->commit(blob), WR_OK);
	wr_bytes_deinit(&copy);
}

static void rows_of_a_log_have_the_shapes_of_here_and_last_where_they_had_them_there(void **state)
{
	struct wr_field_spec field = {"", 0, WR_T_I64, 0};
	uint32_t shape = wr_shape_intern(&field, 1, 0, 1);
	struct bench *b = begun();
	struct wr_epoch e = {LINEAGE, 0, 1, 0, 4, 0};
	char id[WR_HISTORY_ID];

	(void)state;
	give(b, 1, 4);
	barrier(b, 1, NULL);
	bench_free(b);
	wr_history_log_id("sink", 0, 0, id);
	for (uint32_t by = 0; by < 200; by += 100) {
		struct wr_epoch_rows rows;
		const uint8_t *p, *end;
		int64_t sum = 0;

		write_anew(id, by);
		assert_int_equal(wr_epoch_rows_open(&rows, blobs, "sink", &e), WR_OK);
		assert_int_equal(wr_epoch_rows_next(&rows, &p, &end), WR_OK);
		assert_int_equal(rows.lasting, by == 0);
		for (; p < end; p += ((const struct wr_elem *)p)->len) {
			int64_t v;

			assert_int_equal(wr_elem_shape((const struct wr_elem *)p), shape);
			memcpy(&v, wr_elem_body((const struct wr_elem *)p), sizeof v);
			sum += v;
		}
		assert_int_equal(sum, 10);
		assert_int_equal(wr_epoch_rows_next(&rows, &p, &end), WR_END);
		wr_epoch_rows_close(&rows);
	}
}

/* A log of rows, its bytes in the store. */
static uint64_t write_log(bool packed, int64_t count)
{
	struct bench *b = bench_new(0, 1, 0);
	struct wr_blob_view view;
	char id[WR_HISTORY_ID];
	uint64_t len;

	b->durable.packs_logs = packed;
	assert_int_equal(bench_open(b), WR_OK);
	for (int64_t v = 0; v < count; v += 8)
		assert_int_equal(give(b, v, 8), WR_OK);
	barrier(b, 1, NULL);
	bench_free(b);
	wr_history_log_id("sink", 0, 0, id);
	assert_int_equal(blobs->ops->open(blobs, id, &view), WR_OK);
	len = view.len;
	blobs->ops->close(blobs, &view);
	return len;
}

static void a_packed_log_is_smaller_and_has_the_same_rows(void **state)
{
	enum { COUNT = 8000 };
	uint64_t plain = write_log(false, COUNT), packed = write_log(true, COUNT);
	struct wr_epoch e = {LINEAGE, 0, 1, 0, COUNT, 0};
	struct wr_epoch_rows rows;
	const uint8_t *p, *end;
	int64_t next = 0;
	int rc;

	(void)state;
	assert_true(packed * 2 < plain);
	assert_int_equal(wr_epoch_rows_open(&rows, blobs, "sink", &e), WR_OK);
	while ((rc = wr_epoch_rows_next(&rows, &p, &end)) == WR_OK)
		for (; p < end; p += ((const struct wr_elem *)p)->len) {
			int64_t v;

			memcpy(&v, wr_elem_body((const struct wr_elem *)p), sizeof v);
			assert_int_equal(v, next++);
		}
	assert_int_equal(rc, WR_END);
	assert_int_equal(next, COUNT);
	wr_epoch_rows_close(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BENCH_TEST(rows_are_in_the_target_once_a_checkpoint_covers_them),
	    BENCH_TEST(what_the_last_checkpoint_of_a_job_covers_is_committed_although_it_fails),
	    BENCH_TEST(C28_the_end_waits_for_a_checkpoint_behind_the_last_row_and_for_its_commit),
	    BENCH_TEST(without_checkpoints_all_is_committed_at_the_end),
	    BENCH_TEST(a_commit_that_may_have_happened_is_asked_for_before_it_is_tried_again),
	    BENCH_TEST(what_another_process_committed_meanwhile_is_dropped_and_no_reason_is_left),
	    BENCH_TEST(a_mark_beyond_all_checkpoints_of_the_process_ends_it),
	    BENCH_TEST(a_commit_that_fails_for_good_fails_the_job),
	    BENCH_TEST(the_mark_is_written_again_while_nothing_is_committed),
	    BENCH_TEST(rows_wait_while_commits_lag_and_large_epochs_ask_for_a_checkpoint),
	    BENCH_TEST(each_byte_of_a_log_that_is_another_is_noticed),
	    BENCH_TEST(rows_of_a_log_have_the_shapes_of_here_and_last_where_they_had_them_there),
	    BENCH_TEST(a_packed_log_is_smaller_and_has_the_same_rows),
	};

	return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
