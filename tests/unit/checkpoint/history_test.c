/* SPDX-License-Identifier: Apache-2.0 */
/* history_test: whatever byte of a checkpoint is another one, it is noticed, and the checkpoint before is
 * taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/block.h"
#include "checkpoint/history.h"

enum { VERTICES = 2 };

static struct wr_mem mem = WR_MEM_INIT("test");

/* The log that begins behind checkpoint `after`. */
static void write_log(struct wr_blobs *b, uint64_t after)
{
	char id[WR_HISTORY_ID];
	struct wr_block_writer w;
	struct wr_blob *blob;

	wr_history_log_id("sink", 0, after, id);
	blob = b->ops->begin(b, id);
	wr_block_writer_init(&w, blob);
	assert_int_equal(wr_block_finish(&w), WR_OK);
	wr_block_writer_deinit(&w);
	assert_int_equal(blob->ops->commit(blob), WR_OK);
}

static bool has_log(struct wr_blobs *b, uint64_t after)
{
	char id[WR_HISTORY_ID];
	struct wr_blob_view view;
	int rc;

	wr_history_log_id("sink", 0, after, id);
	rc = b->ops->open(b, id, &view);
	if (rc == WR_OK)
		b->ops->close(b, &view);
	return rc == WR_OK;
}

static uint64_t named[3]; /* logs that the state of vertex 0 names, 0 = none */

static void put_names(struct wr_block_writer *w)
{
	char names[3 * WR_HISTORY_ID];
	uint32_t len = 0;

	for (int i = 0; i < 3 && named[i]; i++) {
		wr_history_log_id("sink", 0, named[i], names + len);
		len += (uint32_t)strlen(names + len) + 1;
	}
	if (len)
		assert_int_equal(
		    wr_block_put(w, &(struct wr_block){WR_BLOCK_NAMES, 0, 0, (const uint8_t *)names, len}),
		    WR_OK);
}

static void write_state(struct wr_blobs *b, uint64_t checkpoint, uint32_t vertex)
{
	char id[WR_HISTORY_ID], text[400];
	struct wr_block_writer w;
	struct wr_blob *blob;

	wr_history_blob_id(checkpoint, vertex, 0, id);
	memset(text, 'a' + (int)vertex, sizeof text); /* one that is packed */
	blob = b->ops->begin(b, id);
	assert_non_null(blob);
	wr_block_writer_init(&w, blob);
	assert_int_equal(
	    wr_block_put(&w, &(struct wr_block){WR_BLOCK_TASK, 0, 0, (const uint8_t *)"plain", 5}), WR_OK);
	if (vertex == 0)
		put_names(&w);
	assert_int_equal(
	    wr_block_put(&w, &(struct wr_block){WR_BLOCK_VALUES, 1, 7, (const uint8_t *)text, sizeof text}),
	    WR_OK);
	assert_int_equal(wr_block_finish(&w), WR_OK);
	wr_block_writer_deinit(&w);
	assert_int_equal(blob->ops->commit(blob), WR_OK);
}

static void write_checkpoint(struct wr_blobs *b, uint64_t checkpoint)
{
	char ids[VERTICES][WR_HISTORY_ID], id[WR_HISTORY_ID];
	struct wr_manifest_stage stages[VERTICES] = {{.uid = "a", .name = "a"}, {.uid = "b", .name = "b"}};
	struct wr_manifest_task tasks[VERTICES];
	struct wr_manifest_vertex vertices[VERTICES];
	struct wr_manifest m = {.checkpoint = checkpoint,
				.lineage = 5,
				.job = "job",
				.script = "",
				.vertices = vertices,
				.vertex_count = VERTICES};
	struct wr_bytes bytes = WR_BYTES_EMPTY;

	for (uint32_t v = 0; v < VERTICES; v++) {
		write_state(b, checkpoint, v);
		wr_history_blob_id(checkpoint, v, 0, ids[v]);
		tasks[v] = (struct wr_manifest_task){.blob = ids[v], .bytes = 1};
		vertices[v] = (struct wr_manifest_vertex){"v", 1, 128, &stages[v], 1, &tasks[v]};
	}
	assert_int_equal(wr_manifest_encode(&m, &bytes), WR_OK);
	wr_history_manifest_id(checkpoint, id);
	assert_int_equal(b->ops->publish(b, id, bytes.data, bytes.len), WR_OK);
	wr_bytes_deinit(&bytes);
}

static uint64_t latest(struct wr_blobs *b)
{
	struct wr_manifest m;
	struct wr_arena arena;
	uint64_t newest, found = 0;
	int rc;

	wr_arena_init(&arena, &mem);
	rc = wr_history_latest(b, &arena, &m, &newest);
	assert_true(rc == WR_OK || rc == WR_END);
	if (rc == WR_OK)
		found = m.checkpoint;
	wr_arena_deinit(&arena);
	return found;
}

/* Puts `len` bytes in the place of a blob. */
static void replace(struct wr_blobs *b, const char *id, const uint8_t *p, size_t len)
{
	struct wr_blob *blob;

	assert_int_equal(b->ops->remove(b, id), WR_OK);
	blob = b->ops->begin(b, id);
	assert_non_null(blob);
	assert_int_equal(blob->ops->append(blob, p, len), WR_OK);
	assert_int_equal(blob->ops->commit(blob), WR_OK);
}

static void read_all(struct wr_blobs *b, const char *id, struct wr_bytes *out)
{
	struct wr_blob_view view;

	assert_int_equal(b->ops->open(b, id, &view), WR_OK);
	wr_bytes_put(out, view.data, view.len);
	b->ops->close(b, &view);
}

static void two_checkpoints(struct wr_blobs **b, char ids[VERTICES + 1][WR_HISTORY_ID])
{
	*b = wr_blobs_memory();
	write_checkpoint(*b, 3);
	write_checkpoint(*b, 4);
	wr_history_manifest_id(4, ids[0]);
	for (uint32_t v = 0; v < VERTICES; v++)
		wr_history_blob_id(4, v, 0, ids[v + 1]);
	assert_int_equal(latest(*b), 4);
}

static void a_byte_that_is_another_one_is_noticed_wherever_it_is(void **state)
{
	char ids[VERTICES + 1][WR_HISTORY_ID];
	struct wr_blobs *b;

	(void)state;
	two_checkpoints(&b, ids);
	for (uint32_t i = 0; i < VERTICES + 1; i++) {
		struct wr_bytes bytes = WR_BYTES_EMPTY;

		read_all(b, ids[i], &bytes);
		for (size_t at = 0; at < bytes.len; at++)
			for (uint32_t bit = 0; bit < 8; bit += 7) {
				bytes.data[at] ^= (uint8_t)(1u << bit);
				replace(b, ids[i], bytes.data, bytes.len);
				assert_int_equal(latest(b), 3);
				bytes.data[at] ^= (uint8_t)(1u << bit);
			}
		replace(b, ids[i], bytes.data, bytes.len);
		assert_int_equal(latest(b), 4);
		wr_bytes_deinit(&bytes);
	}
	b->ops->free(b);
}

static void a_blob_that_is_cut_off_or_has_more_is_noticed(void **state)
{
	char ids[VERTICES + 1][WR_HISTORY_ID];
	struct wr_blobs *b;

	(void)state;
	two_checkpoints(&b, ids);
	for (uint32_t i = 0; i < VERTICES + 1; i++) {
		struct wr_bytes bytes = WR_BYTES_EMPTY;
		size_t len;

		read_all(b, ids[i], &bytes);
		len = bytes.len;
		wr_bytes_put(&bytes, bytes.data, 32);
		for (size_t cut = 0; cut < bytes.len; cut++) {
			if (cut == len)
				continue;
			replace(b, ids[i], bytes.data, cut);
			assert_int_equal(latest(b), 3);
		}
		assert_int_equal(b->ops->remove(b, ids[i]), WR_OK);
		assert_int_equal(latest(b), 3);
		replace(b, ids[i], bytes.data, len);
		assert_int_equal(latest(b), 4);
		wr_bytes_deinit(&bytes);
	}
	b->ops->free(b);
}

static void a_name_that_only_resembles_a_checkpoint_is_none(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();
	struct wr_arena arena;
	struct wr_manifest m;
	uint64_t newest;

	(void)state;
	write_checkpoint(b, 3);
	replace(b, "chk-007/x", (const uint8_t *)"x", 1);
	replace(b, "chk-99999999999999999999/x", (const uint8_t *)"x", 1);
	replace(b, "chk-4 (copy)/x", (const uint8_t *)"x", 1);
	wr_arena_init(&arena, &mem);
	assert_int_equal(wr_history_latest(b, &arena, &m, &newest), WR_OK);
	assert_int_equal(newest, 3);
	wr_arena_deinit(&arena);
	b->ops->free(b);
}

static void the_way_back_of_a_trial_is_kept_and_gone(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();

	(void)state;
	for (uint64_t n = 1; n <= 5; n++)
		write_checkpoint(b, n);
	assert_int_equal(wr_history_remove_old(b, 5, 1, 3), WR_OK);
	assert_int_equal(latest(b), 5);
	assert_int_equal(wr_history_go_back(b, 4), WR_OK); /* it is not there: all stays */
	assert_int_equal(latest(b), 5);
	assert_int_equal(wr_history_go_back(b, 3), WR_OK);
	assert_int_equal(latest(b), 3);
	write_checkpoint(b, 6);
	assert_int_equal(wr_history_remove_old(b, 6, 1, 0), WR_OK);
	assert_int_equal(wr_history_go_back(b, 3), WR_OK);
	assert_int_equal(latest(b), 6);
	b->ops->free(b);
}

static char kept[200]; /* ids whose being there, or not, was made durable */

static int note_kept(struct wr_blobs *b, const char *id)
{
	size_t len = strlen(kept);

	(void)b;
	snprintf(kept + len, sizeof kept - len, "%s ", id);
	return WR_OK;
}

static void where_a_job_begins_is_durable_and_so_is_that_nothing_newer_holds(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();
	const struct wr_blobs_ops *ops = b->ops;
	struct wr_blobs_ops noting = *ops;

	(void)state;
	for (uint64_t n = 1; n <= 4; n++)
		write_checkpoint(b, n);
	noting.keep = note_kept;
	b->ops = &noting;
	assert_int_equal(wr_history_go_back(b, 2), WR_OK);
	assert_int_equal(wr_history_keep(b, 2), WR_OK);
	assert_string_equal(kept, "chk-4/manifest chk-3/manifest chk-2/manifest ");
	*kept = 0;
	assert_int_equal(wr_history_keep(b, 5), WR_OK);
	assert_string_equal(kept, "");
	b->ops = ops;
	b->ops->free(b);
}

static void a_log_belongs_to_the_checkpoints_that_name_it(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();

	(void)state;
	for (uint64_t after = 1; after <= 5; after++)
		write_log(b, after);
	named[0] = 1;
	named[1] = 2;
	write_checkpoint(b, 3);
	named[0] = 2;
	named[1] = 3;
	write_checkpoint(b, 4);
	named[0] = 0;
	assert_int_equal(latest(b), 4);
	assert_int_equal(wr_history_remove_old(b, 4, 2, 0), WR_OK);
	assert_true(has_log(b, 1) && has_log(b, 2) && has_log(b, 3));
	assert_int_equal(wr_history_remove_old(b, 4, 1, 0), WR_OK);
	assert_false(has_log(b, 1)); /* with the checkpoint that named it */
	assert_true(has_log(b, 2) && has_log(b, 3));
	assert_true(has_log(b, 4) && has_log(b, 5)); /* that may be being written */
	write_checkpoint(b, 6);
	assert_int_equal(wr_history_remove_old(b, 6, 1, 0), WR_OK);
	for (uint64_t after = 1; after <= 5; after++)
		assert_false(has_log(b, after));
	b->ops->free(b);
}

static struct wr_blobs_ops refusing; /* those of a table of blobs, but that one of its ids cannot be opened */
static char refused[WR_HISTORY_ID];
static int (*really_open)(struct wr_blobs *b, const char *id, struct wr_blob_view *out);

static int open_or_refuse(struct wr_blobs *b, const char *id, struct wr_blob_view *out)
{
	if (!strcmp(id, refused))
		return wr_error_set(WR_EFATAL, "cannot read %s: Too many open files", id);
	return really_open(b, id, out);
}

static void a_checkpoint_that_cannot_be_looked_at_is_not_removed(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();
	const struct wr_blobs_ops *ops = b->ops;

	(void)state;
	for (uint64_t checkpoint = 2; checkpoint <= 4; checkpoint++)
		write_checkpoint(b, checkpoint);
	refusing = *ops;
	really_open = ops->open;
	refusing.open = open_or_refuse;
	for (uint64_t checkpoint = 3; checkpoint <= 4; checkpoint++) {
		wr_history_manifest_id(checkpoint, refused);
		b->ops = &refusing;
		assert_int_equal(wr_history_remove_old(b, 4, 2, 0), WR_EFATAL);
		b->ops = ops;
		assert_int_equal(latest(b), 4);
	}
	assert_int_equal(wr_history_remove_old(b, 4, 2, 0), WR_OK);
	assert_int_equal(b->ops->remove(b, "chk-4/manifest"), WR_OK);
	assert_int_equal(latest(b), 3);
	assert_int_equal(b->ops->remove(b, "chk-3/manifest"), WR_OK);
	assert_int_equal(latest(b), 0);
	b->ops->free(b);
}

static void a_checkpoint_whose_log_is_missing_does_not_hold(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();
	char id[WR_HISTORY_ID];

	(void)state;
	write_checkpoint(b, 3);
	write_log(b, 3);
	named[0] = 3;
	named[1] = 0;
	write_checkpoint(b, 4);
	named[0] = 0;
	assert_int_equal(latest(b), 4);
	wr_history_log_id("sink", 0, 3, id);
	assert_int_equal(b->ops->remove(b, id), WR_OK);
	assert_int_equal(latest(b), 3);
	b->ops->free(b);
}

/* As wr_block_put does it: header of 24 bytes, checksum over it and the padded payload. */
static void seal(uint8_t *block, size_t payload)
{
	XXH3_state_t state;
	uint64_t sum;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, block, 24);
	XXH3_64bits_update(&state, block + 32, (payload + 7) & ~(size_t)7);
	sum = XXH3_64bits_digest(&state);
	memcpy(block + 24, &sum, sizeof sum);
}

static void one_of_a_newer_program_is_no_damage(void **state)
{
	char ids[VERTICES + 1][WR_HISTORY_ID];
	struct wr_blobs *b;

	(void)state;
	two_checkpoints(&b, ids);
	for (uint32_t i = 0; i < VERTICES + 1; i++) {
		struct wr_bytes bytes = WR_BYTES_EMPTY;
		struct wr_arena arena;
		struct wr_manifest m;
		uint64_t newest;
		uint32_t len;

		read_all(b, ids[i], &bytes);
		memcpy(&len, bytes.data + 20, sizeof len);
		bytes.data[4]++;
		seal(bytes.data, len);
		replace(b, ids[i], bytes.data, bytes.len);
		wr_arena_init(&arena, &mem);
		assert_int_equal(wr_history_latest(b, &arena, &m, &newest), WR_EFATAL);
		assert_non_null(strstr(wr_error_text(), "it was written by a newer program"));
		wr_arena_deinit(&arena);
		bytes.data[4]--;
		seal(bytes.data, len);
		replace(b, ids[i], bytes.data, bytes.len);
		assert_int_equal(latest(b), 4);
		wr_bytes_deinit(&bytes);
	}
	b->ops->free(b);
}

static void what_is_larger_than_a_block_is_an_error_and_not_written(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();
	struct wr_blob *blob = b->ops->begin(b, "chk-1/0-0.state");
	struct wr_block_writer w;

	(void)state;
	wr_block_writer_init(&w, blob);
	assert_int_equal(wr_block_put(&w, &(struct wr_block){WR_BLOCK_VALUES, 1, 7, NULL, WR_BLOCK_MAX + 1}),
			 WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "a value of 268435457 bytes is too large"));
	assert_int_equal(blob->bytes, 0);
	wr_block_writer_deinit(&w);
	blob->ops->discard(blob);
	b->ops->free(b);
}

static void a_manifest_that_names_blobs_outside_of_its_folder_is_none(void **state)
{
	static const char *const ids[] = {"/etc/passwd", "../x", "chk-1/../../x", "chk-1/..",
					  ".",		 "",	 "chk-1//x"};

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct wr_manifest_task task = {.blob = ids[i], .bytes = 1};
		struct wr_manifest_stage stage = {.uid = "a", .name = "a"};
		struct wr_manifest_vertex vertex = {"v", 1, 128, &stage, 1, &task};
		struct wr_manifest m = {
		    .checkpoint = 1, .job = "job", .script = "", .vertices = &vertex, .vertex_count = 1};
		struct wr_bytes bytes = WR_BYTES_EMPTY;
		struct wr_arena arena;

		wr_arena_init(&arena, &mem);
		assert_int_equal(wr_manifest_encode(&m, &bytes), WR_OK);
		assert_int_equal(wr_manifest_decode(bytes.data, bytes.len, &arena, &m), WR_EUSER);
		assert_non_null(strstr(wr_error_text(), "no good 'blob'"));
		wr_bytes_deinit(&bytes);
		wr_arena_deinit(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_byte_that_is_another_one_is_noticed_wherever_it_is),
	    cmocka_unit_test(a_blob_that_is_cut_off_or_has_more_is_noticed),
	    cmocka_unit_test(a_name_that_only_resembles_a_checkpoint_is_none),
	    cmocka_unit_test(the_way_back_of_a_trial_is_kept_and_gone),
	    cmocka_unit_test(where_a_job_begins_is_durable_and_so_is_that_nothing_newer_holds),
	    cmocka_unit_test(a_log_belongs_to_the_checkpoints_that_name_it),
	    cmocka_unit_test(a_checkpoint_that_cannot_be_looked_at_is_not_removed),
	    cmocka_unit_test(a_checkpoint_whose_log_is_missing_does_not_hold),
	    cmocka_unit_test(one_of_a_newer_program_is_no_damage),
	    cmocka_unit_test(what_is_larger_than_a_block_is_an_error_and_not_written),
	    cmocka_unit_test(a_manifest_that_names_blobs_outside_of_its_folder_is_none),
	};

	wr_log_setup(WR_LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
