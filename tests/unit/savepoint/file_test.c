/* SPDX-License-Identifier: Apache-2.0 */
/* file_test: a savepoint gives back what went into it; whatever byte of it is another one, it is refused;
 * where the disk refuses, nothing is left that looks like one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include "base/fault.h"
#include "checkpoint/block.h"
#include "checkpoint/history.h"
#include "savepoint/file.h"

enum { VERTICES = 2, CHECKPOINT = 7 };

static struct wr_mem mem = WR_MEM_INIT("test");
static char folder[400], path[440], part[460];

static void write_state(struct wr_blobs *b, uint32_t vertex, char id[WR_HISTORY_ID])
{
	char text[300];
	struct wr_block_writer w;
	struct wr_blob *blob;

	wr_history_blob_id(CHECKPOINT, vertex, 0, id);
	memset(text, 'a' + (int)vertex, sizeof text);
	blob = b->ops->begin(b, id);
	assert_non_null(blob);
	wr_block_writer_init(&w, blob);
	assert_int_equal(
	    wr_block_put(&w, &(struct wr_block){WR_BLOCK_VALUES, 1, 7, (const uint8_t *)text, sizeof text}),
	    WR_OK);
	assert_int_equal(wr_block_finish(&w), WR_OK);
	wr_block_writer_deinit(&w);
	assert_int_equal(blob->ops->commit(blob), WR_OK);
}

/* A checkpoint of two vertices, the second of which had ended. */
static void with_checkpoint(bool finished, void (*each)(struct wr_blobs *blobs, const struct wr_manifest *m))
{
	struct wr_blobs *b = wr_blobs_memory();
	char id[WR_HISTORY_ID];
	struct wr_manifest_stage stage = {.uid = "a", .name = "a"};
	struct wr_manifest_task tasks[VERTICES] = {{.blob = id, .bytes = 1}, {.blob = NULL}};
	struct wr_manifest_vertex vertices[VERTICES] = {{"v", 1, 128, &stage, 1, &tasks[0]},
							{"w", 1, 128, &stage, 1, &tasks[1]}};
	struct wr_manifest m = {.checkpoint = CHECKPOINT,
				.lineage = 5,
				.job = "a job/x",
				.script = "",
				.finished = finished,
				.vertices = vertices,
				.vertex_count = VERTICES};

	assert_non_null(b);
	write_state(b, 0, id);
	each(b, &m);
	b->ops->free(b);
}

/* WR_OK, or the error of opening it. */
static int look(const char *at)
{
	struct wr_manifest m;
	struct wr_arena arena;
	struct wr_blobs *b;
	int rc = WR_OK;

	wr_arena_init(&arena, &mem);
	wr_error_clear();
	b = wr_savepoint_open(at, &arena, &m);
	if (b) {
		assert_int_equal(m.checkpoint, CHECKPOINT);
		assert_string_equal(m.job, "a job/x");
		b->ops->free(b);
	} else {
		rc = wr_error_code();
		assert_non_null(strstr(wr_error_text(), at));
	}
	wr_arena_deinit(&arena);
	return rc;
}

static void make_one(struct wr_blobs *blobs, const struct wr_manifest *m)
{
	uint64_t bytes = 0;

	assert_int_equal(wr_savepoint_make(blobs, m, path, &bytes), WR_OK);
	assert_true(bytes > 300);
}

static void compare_blob(struct wr_blobs *blobs, const struct wr_manifest *m)
{
	struct wr_blob_view here, there;
	struct wr_manifest read;
	struct wr_arena arena;
	struct wr_blobs *file;

	wr_arena_init(&arena, &mem);
	file = wr_savepoint_open(path, &arena, &read);
	assert_non_null(file);
	assert_int_equal(read.lineage, m->lineage);
	assert_null(read.vertices[1].tasks[0].blob);
	assert_int_equal(blobs->ops->open(blobs, m->vertices[0].tasks[0].blob, &here), WR_OK);
	assert_int_equal(file->ops->open(file, read.vertices[0].tasks[0].blob, &there), WR_OK);
	assert_int_equal(here.len, there.len);
	assert_memory_equal(here.data, there.data, here.len);
	assert_int_equal((uintptr_t)there.data % 8, 0);
	blobs->ops->close(blobs, &here);
	file->ops->close(file, &there);
	assert_int_equal(file->ops->open(file, "chk-7/nothing", &there), WR_END);
	file->ops->free(file);
	wr_arena_deinit(&arena);
}

static void gives_back_what_went_in(void **state)
{
	(void)state;
	with_checkpoint(false, make_one);
	with_checkpoint(false, compare_blob);
	assert_int_equal(access(part, F_OK), -1);
}

static void each_flipped_byte_is_noticed(void **state)
{
	uint8_t bytes[4096];
	size_t len;
	FILE *f;
	int fd;

	(void)state;
	with_checkpoint(false, make_one);
	f = fopen(path, "rb");
	assert_non_null(f);
	len = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	assert_in_range(len, 500, sizeof bytes - 1);
	fd = open(path, O_RDWR);
	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit += 7) {
			uint8_t other = bytes[i] ^ (uint8_t)(1 << bit);

			assert_int_equal(pwrite(fd, &other, 1, (off_t)i), 1);
			if (look(path) != WR_EUSER)
				fail_msg("byte %zu of %zu", i, len);
			assert_int_equal(pwrite(fd, &bytes[i], 1, (off_t)i), 1);
		}
	assert_int_equal(look(path), WR_OK);
	close(fd);
}

static void one_that_was_cut_off_is_refused_wherever_that_is(void **state)
{
	long len;
	FILE *f;

	(void)state;
	with_checkpoint(false, make_one);
	f = fopen(path, "rb");
	fseek(f, 0, SEEK_END);
	len = ftell(f);
	fclose(f);
	assert_int_equal(truncate(path, len + 8), 0);
	assert_int_equal(look(path), WR_EUSER);
	while (len-- > 0) {
		assert_int_equal(truncate(path, len), 0);
		assert_int_equal(look(path), WR_EUSER);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(look(path), WR_EUSER);
}

static void refuse_one(struct wr_blobs *blobs, const struct wr_manifest *m)
{
	uint64_t bytes;

	assert_int_equal(wr_savepoint_make(blobs, m, path, &bytes), WR_EFATAL);
}

static void where_the_disk_refuses_nothing_is_left_and_what_was_there_stays(void **state)
{
	static const char *const points[] = {"savepoint.write", "savepoint.sync", "savepoint.rename"};

	(void)state;
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		unlink(path);
		assert_int_equal(wr_fault_set(points[i], 1, ENOSPC), WR_OK);
		with_checkpoint(false, refuse_one);
		assert_non_null(strstr(wr_error_text(), "No space left on device"));
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(part, F_OK), -1);
		with_checkpoint(false, make_one);
		assert_int_equal(wr_fault_set(points[i], 1, ENOSPC), WR_OK);
		with_checkpoint(false, refuse_one);
		assert_int_equal(look(path), WR_OK);
	}
}

static void a_job_that_has_ended_has_one_too(void **state)
{
	(void)state;
	with_checkpoint(true, make_one);
	assert_int_equal(look(path), WR_OK);
}

static void check_name(struct wr_blobs *blobs, const struct wr_manifest *m)
{
	char name[WR_SAVEPOINT_PATH];

	(void)blobs;
	wr_savepoint_name(m, name);
	assert_string_equal(name, "a-job-x-7.weir");
}

static void its_name_is_made_from_the_jobs(void **state)
{
	(void)state;
	with_checkpoint(false, check_name);
}

static void names(const char *job, const char *expected)
{
	struct wr_manifest m = {.job = job, .checkpoint = 1};
	char name[WR_SAVEPOINT_PATH];

	wr_savepoint_name(&m, name);
	assert_string_equal(name, expected);
}

static void its_name_is_neither_hidden_nor_an_option(void **state)
{
	(void)state;
	names("/", "_-1.weir");
	names("..", "_.-1.weir");
	names("-o", "_o-1.weir");
}

static void its_name_is_short_enough_for_a_file(void **state)
{
	char job[302], name[WR_SAVEPOINT_PATH];
	struct wr_manifest m = {.job = job, .checkpoint = UINT64_MAX};

	(void)state;
	job[0] = 'x';
	for (size_t i = 1; i < 301; i += 2)
		memcpy(job + i, "\xc3\xa9", 2);
	job[301] = 0;
	wr_savepoint_name(&m, name);
	assert_true(strlen(name) + strlen(".part") <= NAME_MAX);
	assert_non_null(strstr(name, "\xa9-18446744073709551615.weir"));
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/weir-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/x.weir", folder);
	snprintf(part, sizeof part, "%s.part", path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_back_what_went_in),
	    cmocka_unit_test(each_flipped_byte_is_noticed),
	    cmocka_unit_test(one_that_was_cut_off_is_refused_wherever_that_is),
	    cmocka_unit_test(where_the_disk_refuses_nothing_is_left_and_what_was_there_stays),
	    cmocka_unit_test(a_job_that_has_ended_has_one_too),
	    cmocka_unit_test(its_name_is_made_from_the_jobs),
	    cmocka_unit_test(its_name_is_neither_hidden_nor_an_option),
	    cmocka_unit_test(its_name_is_short_enough_for_a_file),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
