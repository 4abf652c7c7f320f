/* SPDX-License-Identifier: Apache-2.0 */
/* wal: what was appended is read again, whatever the process or the disk did to the end of the log; what was
 * damaged elsewhere is never taken for something else. */
#include "wal/wal.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/rand.h"

enum { SMALL = 200, HEAD = 24 };

static char folder[128];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/weir-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static void append(struct wr_wal *w, const char *text)
{
	assert_int_equal(wr_wal_append(w, text, strlen(text)), WR_OK);
}

/* What is read from there to the end; WR_END, or the error. */
static int read_all(struct wr_wal *w, uint64_t session, uint64_t from, struct wr_bytes *out)
{
	bool none;
	struct wr_feed *f = wr_wal_read(w, session, from, &none);
	size_t got;
	int rc = f ? WR_OK : wr_error_code();

	out->len = 0;
	while (rc == WR_OK) {
		rc = f->ops->read(f, wr_bytes_room(out, 7), 7, &got);
		out->len += rc == WR_OK ? got : 0;
	}
	wr_feed_free(f);
	wr_bytes_put_u8(out, 0);
	out->len--;
	return rc;
}

static void expect(struct wr_wal *w, uint64_t session, uint64_t from, const char *text)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	assert_int_equal(read_all(w, session, from, &b), WR_END);
	assert_string_equal((char *)b.data, text);
	wr_bytes_deinit(&b);
}

static void what_was_appended_is_read_by_the_next_process(void **state)
{
	struct wr_wal *w = wr_wal_open(folder, SMALL);
	bool none;

	(void)state;
	assert_int_equal(wr_wal_live(w), 1);
	append(w, "one\ntwo\n");
	append(w, "three");
	wr_wal_free(w);
	w = wr_wal_open(folder, SMALL);
	assert_int_equal(wr_wal_first(w), 1);
	assert_int_equal(wr_wal_live(w), 2);
	expect(w, 1, 0, "one\ntwo\n");
	expect(w, 1, 4, "two\n");
	expect(w, 1, 8, "");
	append(w, "four\nfive");
	assert_int_equal(wr_wal_end(w), WR_OK);
	wr_wal_free(w);
	w = wr_wal_open(folder, SMALL);
	expect(w, 1, 4, "two\n");
	expect(w, 2, 0, "four\nfive");
	assert_null(wr_wal_read(w, 3, 0, &none));
	assert_true(none);
	wr_wal_rise(w, 7);
	assert_int_equal(wr_wal_live(w), 7);
	wr_wal_free(w);
}

static void a_log_of_many_segments_is_read_from_any_byte_and_removed_from_its_beginning(void **state)
{
	struct wr_wal *w = wr_wal_open(folder, SMALL);
	struct wr_bytes all = WR_BYTES_EMPTY, b = WR_BYTES_EMPTY;
	struct wr_rand r = {5};
	bool none;

	(void)state;
	for (int i = 0; i < 300; i++) {
		size_t at = all.len;

		wr_bytes_printf(&all, "line %d of %llu\n", i, (unsigned long long)(wr_rand_next(&r) % 1000));
		assert_int_equal(wr_wal_append(w, all.data + at, all.len - at), WR_OK);
	}
	wr_bytes_put_u8(&all, 0);
	wr_wal_free(w);
	w = wr_wal_open(folder, SMALL);
	for (size_t from = 0; from < all.len; from += 1 + from % 13)
		expect(w, 1, from, (char *)all.data + from);
	assert_int_equal(wr_wal_remove(w, 1, 2000), WR_OK);
	expect(w, 1, 2000, (char *)all.data + 2000);
	assert_int_equal(read_all(w, 1, 0, &b), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "has been processed and is gone"));
	append(w, "more\n");
	assert_int_equal(wr_wal_remove(w, 2, 0), WR_OK);
	assert_null(wr_wal_read(w, 1, 0, &none));
	assert_true(none);
	wr_wal_free(w);
	w = wr_wal_open(folder, SMALL);
	assert_int_equal(wr_wal_first(w), 2);
	expect(w, 2, 0, "more\n");
	assert_int_equal(read_all(w, 2, 99, &b), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "it is not the one that was written"));
	wr_bytes_deinit(&all);
	wr_bytes_deinit(&b);
	wr_wal_free(w);
}

static const char *const blocks[] = {"a\nbb\n", "ccc\ndd", "d\n", "eeeee\nf"};
enum { BLOCKS = sizeof blocks / sizeof *blocks };

/* The file of a log of those, and its bytes. */
static void write_blocks(char path[256], struct wr_bytes *bytes)
{
	struct wr_wal *w = wr_wal_open(folder, 1 << 20);
	FILE *f;
	int c;

	for (int i = 0; i < BLOCKS; i++)
		append(w, blocks[i]);
	wr_wal_free(w);
	snprintf(path, 256, "%s/00000001-000000000000.wal", folder);
	f = fopen(path, "r");
	while ((c = fgetc(f)) != EOF)
		wr_bytes_put_u8(bytes, (uint8_t)c);
	fclose(f);
}

static void put_file(const char *path, const uint8_t *p, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_int_equal(fwrite(p, 1, len, f), len);
	fclose(f);
}

static void a_log_that_ends_anywhere_ends_behind_its_last_whole_line(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	char path[256];

	(void)state;
	write_blocks(path, &bytes);
	for (size_t len = 0; len <= bytes.len; len++) {
		char text[64] = "", *lf;
		size_t at = 0;
		struct wr_wal *w;

		for (int i = 0; i < BLOCKS && at + HEAD + strlen(blocks[i]) <= len; i++) {
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s", blocks[i]);
			at += HEAD + strlen(blocks[i]);
		}
		lf = strrchr(text, '\n');
		*(lf ? lf + 1 : text) = 0;
		put_file(path, bytes.data, len);
		for (int again = 0; again < 2; again++) {
			w = wr_wal_open(folder, 1 << 20);
			assert_non_null(w);
			assert_int_equal(wr_wal_live(w), 2);
			expect(w, 1, 0, text);
			wr_wal_free(w);
		}
	}
	wr_bytes_deinit(&bytes);
}

static void a_flipped_byte_is_an_error_or_the_end_and_never_another_line(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY, b = WR_BYTES_EMPTY;
	size_t last = HEAD + strlen(blocks[BLOCKS - 1]);
	char path[256];

	(void)state;
	write_blocks(path, &bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		struct wr_wal *w;

		bytes.data[i] ^= 0x20;
		put_file(path, bytes.data, bytes.len);
		bytes.data[i] ^= 0x20;
		w = wr_wal_open(folder, 1 << 20);
		if (i < bytes.len - last) { /* in front of what holds */
			assert_null(w);
			assert_non_null(strstr(wr_error_text(), "is damaged at byte"));
			continue;
		}
		assert_non_null(w);
		expect(w, 1, 0, "a\nbb\nccc\nddd\n");
		wr_wal_free(w);
	}
	wr_bytes_deinit(&bytes);
	wr_bytes_deinit(&b);
}

/* A segment between others that is gone, or ends before it should. */
static void what_a_log_lacks_in_its_middle_is_an_error_and_nothing_is_read_across_it(void **state)
{
	struct wr_bytes all = WR_BYTES_EMPTY, b = WR_BYTES_EMPTY;
	struct wr_wal *w = wr_wal_open(folder, SMALL);
	char path[256], away[256];
	uint64_t from[64];
	int count = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		size_t at = all.len;

		wr_bytes_printf(&all, "line %d\n", i);
		assert_int_equal(wr_wal_append(w, all.data + at, all.len - at), WR_OK);
		snprintf(path, sizeof path, "%s/%08x-%012zx.wal", folder, 1, at);
		if (access(path, F_OK) == 0)
			from[count++] = at;
	}
	assert_true(count > 3);
	wr_wal_free(w);
	snprintf(away, sizeof away, "%s/away", folder);
	for (int i = 1; i < count - 1; i++)
		for (int cut = 0; cut < 2; cut++) {
			snprintf(path, sizeof path, "%s/%08x-%012llx.wal", folder, 1,
				 (unsigned long long)from[i]);
			assert_int_equal(rename(path, away), 0);
			if (cut)
				put_file(path, (const uint8_t *)"", 0);
			w = wr_wal_open(folder, SMALL);
			assert_non_null(w);
			assert_int_equal(read_all(w, 1, 0, &b), WR_EFATAL);
			assert_non_null(strstr(wr_error_text(), "lacks what is behind byte"));
			assert_int_equal(b.len, from[i]);
			wr_wal_free(w);
			assert_int_equal(rename(away, path), 0);
		}
	w = wr_wal_open(folder, SMALL);
	wr_bytes_put_u8(&all, 0);
	expect(w, 1, 0, (char *)all.data);
	wr_wal_free(w);
	wr_bytes_deinit(&all);
	wr_bytes_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_appended_is_read_by_the_next_process, make_folder,
					    remove_folder),
	    cmocka_unit_test_setup_teardown(
		a_log_of_many_segments_is_read_from_any_byte_and_removed_from_its_beginning, make_folder,
		remove_folder),
	    cmocka_unit_test_setup_teardown(a_log_that_ends_anywhere_ends_behind_its_last_whole_line,
					    make_folder, remove_folder),
	    cmocka_unit_test_setup_teardown(
		what_a_log_lacks_in_its_middle_is_an_error_and_nothing_is_read_across_it, make_folder,
		remove_folder),
	    cmocka_unit_test_setup_teardown(a_flipped_byte_is_an_error_or_the_end_and_never_another_line,
					    make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
