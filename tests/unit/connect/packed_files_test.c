/* SPDX-License-Identifier: Apache-2.0 */
/* packed_files_test: the lines of files that are packed by gzip or zstd, and what is told of those that are
 * damaged. */
#include <zlib.h>
#include <zstd.h>
#include "unit/connect/lines.h"

static size_t gzip(const char *text, uint8_t *to, size_t room)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
	z.next_in = (uint8_t *)text;
	z.avail_in = (unsigned)strlen(text);
	z.next_out = to;
	z.avail_out = (unsigned)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t zstd(const char *text, uint8_t *to, size_t room)
{
	return ZSTD_compress(to, room, text, strlen(text), 3);
}

static void packed_twice(size_t (*pack)(const char *text, uint8_t *to, size_t room))
{
	struct wr_bytes model = WR_BYTES_EMPTY;
	uint8_t bytes[1000];
	size_t len = pack("one\ntw", bytes, sizeof bytes);
	struct crew *c;

	len += pack("o\nthree\n", bytes + len, sizeof bytes - len);
	file_write("a.txt", bytes, len);
	split_size = 3; /* packed files are not cut */
	model_lines(&model, in_folder("a.txt"), "one\ntwo\nthree\n", 14);
	c = lines_crew(2, WR_ON_ERROR_FAIL);
	crew_expect(c, &model);
	crew_done(c);
	wr_bytes_deinit(&model);
}

static void test_members_of_gzip_are_one_text(void **state)
{
	(void)state;
	packed_twice(gzip);
}

static void test_frames_of_zstd_are_one_text(void **state)
{
	(void)state;
	packed_twice(zstd);
}

/* Long text that packs badly enough to span many reads. */
static char *long_text(size_t lines)
{
	struct wr_rand r = {7};
	char *text = malloc(lines * 24 + 1), *to = text;

	for (size_t i = 0; i < lines; i++)
		to += snprintf(to, 24, "%016llx\n", (unsigned long long)wr_rand_next(&r));
	return text;
}

static void damaged(size_t (*pack)(const char *text, uint8_t *to, size_t room), size_t cut, size_t flip,
		    const char *wanted)
{
	char *text = long_text(50000);
	uint8_t *bytes = malloc(2 << 20);
	size_t len = pack(text, bytes, 2 << 20);
	struct crew *c;

	if (flip)
		bytes[len - flip] ^= 0x55;
	file_write("a.txt", bytes, len - cut);
	file_text("b.txt", "good\n");
	c = crew_read(1, WR_ON_ERROR_SKIP);
	assert_int_equal(crew_skipped(c), 1);
	assert_true(c->stands[0]->out.rows > 40000);
	assert_non_null(strstr(stand_text(c->stands[0]), "\"good\""));
	crew_done(c);
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_EUSER);
	if (!strstr(wr_error_text(), wanted) || !strstr(wr_error_text(), "a.txt, byte "))
		fail_msg("%s", wr_error_text());
	crew_done(c);
	free(bytes);
	free(text);
}

static void test_a_gzip_file_that_ends_early_is_told_behind_its_lines(void **state)
{
	(void)state;
	damaged(gzip, 20, 0, "gzip: the data ends early");
}

static void test_a_gzip_file_with_a_wrong_checksum_is_told(void **state)
{
	(void)state;
	damaged(gzip, 0, 6, "gzip: incorrect data check");
}

static void test_a_zstd_file_that_ends_early_is_told_behind_its_lines(void **state)
{
	(void)state;
	damaged(zstd, 20, 0, "zstd: the data ends early");
}

static void test_garbage_behind_gzip_data_is_told(void **state)
{
	uint8_t bytes[1000];
	size_t len = gzip("one\n", bytes, sizeof bytes);
	struct crew *c;

	(void)state;
	memcpy(bytes + len, "garbage", 7);
	file_write("a.txt", bytes, len + 7);
	c = crew_read(1, WR_ON_ERROR_SKIP);
	assert_int_equal(crew_skipped(c), 1);
	assert_int_equal(c->stands[0]->out.rows, 1);
	crew_done(c);
}

static void test_zeros_behind_gzip_data_are_padding(void **state)
{
	static uint8_t bytes[100000];
	size_t len = gzip("one\n", bytes, sizeof bytes);
	struct crew *c;

	(void)state;
	file_write("a.txt", bytes, sizeof bytes); /* more than a block of padding */
	memcpy(bytes + 1000, bytes, len);
	file_write("b.txt", bytes, 1000 + len);
	c = crew_read(1, WR_ON_ERROR_FAIL);
	assert_int_equal(c->stands[0]->out.rows, 3);
	crew_done(c);
}

static void test_packed_files_are_read_as_they_are_when_asked(void **state)
{
	uint8_t bytes[1000];
	size_t len = gzip("one\n", bytes, sizeof bytes);
	struct crew *c;

	(void)state;
	file_write("a.txt", bytes, len);
	compression = "none";
	c = crew_read(1, WR_ON_ERROR_FAIL);
	assert_null(strstr(stand_text(c->stands[0]), "\"one\""));
	crew_done(c);
}

static void test_a_file_that_is_not_packed_as_it_has_to_be_is_told(void **state)
{
	uint8_t bytes[1000];
	struct crew *c;

	(void)state;
	file_write("a.txt", bytes, gzip("one\n", bytes, sizeof bytes));
	file_write("b.txt", bytes, zstd("two\n", bytes, sizeof bytes));
	file_text("c.txt", "three\n");
	file_text("d.txt", "");
	for (int i = 0; i < 3; i++) {
		compression = i == 0 ? "gzip" : i == 1 ? "zstd" : "auto";
		split_size = 2;
		c = crew_read(1, WR_ON_ERROR_SKIP);
		assert_int_equal(c->stands[0]->out.rows, i < 2 ? 1 : 3);
		assert_int_equal(crew_skipped(c), i < 2 ? 3 : 0);
		crew_done(c);
	}
}

static void test_a_packed_file_that_is_shorter_than_what_was_read_of_it_is_told(void **state)
{
	uint8_t bytes[1000];

	(void)state;
	file_write("a.txt", bytes, gzip("one\ntwo\n", bytes, sizeof bytes));
	gone_on_gives(4, 1, 0);
	gone_on_gives(8, 0, 0);
	gone_on_gives(9, 0, 1);
}

static void test_memory_that_is_refused_is_an_error_and_no_crash(void **state)
{
	uint8_t bytes[1000];
	struct crew *c;

	(void)state;
	file_write("a.txt", bytes, gzip("one\ntwo\n", bytes, sizeof bytes));
	for (int64_t n = 1; n < 12; n++) {
		int rc;

		c = lines_crew(1, WR_ON_ERROR_SKIP);
		assert_int_equal(crew_look(c), WR_OK);
		assert_int_equal(stand_poll(c->stands[0]), WR_AGAIN);
		crew_deliver(c, c->stands[0]);
		wr_mem_fail_at(n);
		rc = stand_run(c->stands[0]);
		wr_mem_fail_at(0);
		assert_true(rc == WR_AGAIN || rc == WR_EFATAL);
		crew_done(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LINES_TEST(test_members_of_gzip_are_one_text),
	    LINES_TEST(test_frames_of_zstd_are_one_text),
	    LINES_TEST(test_a_gzip_file_that_ends_early_is_told_behind_its_lines),
	    LINES_TEST(test_a_gzip_file_with_a_wrong_checksum_is_told),
	    LINES_TEST(test_a_zstd_file_that_ends_early_is_told_behind_its_lines),
	    LINES_TEST(test_garbage_behind_gzip_data_is_told),
	    LINES_TEST(test_zeros_behind_gzip_data_are_padding),
	    LINES_TEST(test_packed_files_are_read_as_they_are_when_asked),
	    LINES_TEST(test_a_file_that_is_not_packed_as_it_has_to_be_is_told),
	    LINES_TEST(test_a_packed_file_that_is_shorter_than_what_was_read_of_it_is_told),
	    LINES_TEST(test_memory_that_is_refused_is_an_error_and_no_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
