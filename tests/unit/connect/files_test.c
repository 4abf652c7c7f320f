/* SPDX-License-Identifier: Apache-2.0 */
/* files_test: every line of every file exactly once, whatever the parallelism, and what cannot
 * be read is told and passed over. */
#include <ctype.h>
#include <errno.h>
#include "base/fault.h"
#include "unit/connect/lines.h"

static void test_lines_come_with_offset_and_path(void **state)
{
	struct crew *c;
	char expected[1024];

	(void)state;
	file_text("a.txt", "one\r\n\ntwo\r\nthree");
	c = crew_read(1, WR_ON_ERROR_FAIL);
	snprintf(expected, sizeof expected,
		 "{\"line\":\"one\",\"offset\":0,\"path\":\"%1$s/a.txt\"}\n"
		 "{\"line\":\"\",\"offset\":5,\"path\":\"%1$s/a.txt\"}\n"
		 "{\"line\":\"two\",\"offset\":6,\"path\":\"%1$s/a.txt\"}\n"
		 "{\"line\":\"three\",\"offset\":11,\"path\":\"%1$s/a.txt\"}\n",
		 folder);
	assert_string_equal(stand_text(c->stands[0]), expected);
	crew_done(c);
}

static void test_a_line_written_in_place_is_the_row_that_cells_make(void **state)
{
	struct crew *c;
	struct stand *st;
	struct wr_bytes row = WR_BYTES_EMPTY;
	struct wr_cell cells[3] = {
	    {.type = WR_T_STR, .str = {"hello", 5}}, {.type = WR_T_F64, .f64 = 0}, {.type = WR_T_STR}};

	(void)state;
	file_text("a.txt", "hello\n");
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	st = c->stands[0];
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(st->stage.ops->poll(&st->stage), WR_AGAIN);
	crew_deliver(c, st);
	memset(st->buffer, 0xee, 256);
	assert_int_equal(st->stage.ops->poll(&st->stage), WR_OK);
	cells[2].str = (struct wr_str){in_folder("a.txt"), (uint32_t)strlen(in_folder("a.txt"))};
	wr_row_put(&row, wr_elem_shape((struct wr_elem *)st->buffer), WR_INSERT, WR_TS_NONE, cells);
	assert_int_equal(st->out.p - st->buffer, row.len);
	assert_memory_equal(st->buffer, row.data, row.len);
	wr_bytes_deinit(&row);
	crew_done(c);
}

static void random_text(struct wr_rand *r, char *p, size_t len)
{
	static const char of[] = "abc \n\n\r\r\n";

	for (size_t i = 0; i < len; i++)
		p[i] = of[wr_rand_below(r, sizeof of - 1)];
}

static void each_line_once(uint32_t parallelism, uint64_t seed)
{
	struct wr_rand r = {seed};
	struct wr_bytes model = WR_BYTES_EMPTY;
	struct crew *c;
	char text[2000], name[16];

	split_size = 1 + wr_rand_below(&r, 60);
	lanes = 1 + wr_rand_below(&r, 4);
	for (uint32_t i = 0; i < 6; i++) {
		size_t len = wr_rand_below(&r, 4) ? wr_rand_below(&r, sizeof text) : wr_rand_below(&r, 3);

		random_text(&r, text, len);
		snprintf(name, sizeof name, "%u.txt", i);
		file_write(name, text, len);
		model_lines(&model, in_folder(name), text, len);
	}
	c = lines_crew(parallelism, WR_ON_ERROR_FAIL);
	crew_expect(c, &model);
	crew_done(c);
	wr_bytes_deinit(&model);
}

static void test_each_line_is_read_once_at_any_parallelism(void **state)
{
	static const uint32_t parallelisms[] = {1, 2, 7};

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++)
		for (size_t i = 0; i < 3; i++)
			each_line_once(parallelisms[i], seed);
}

static char *splits_of(struct stand *st)
{
	wr_bytes_put_u8(&st->splits, 0);
	st->splits.len = 0;
	return (char *)st->splits.data;
}

static void test_splits_are_told_where_their_rows_are(void **state)
{
	struct crew *c;
	struct stand *st;

	(void)state;
	lanes = 2;
	file_text("a.txt", "1\n");
	file_text("b.txt", "2\n");
	file_text("c.txt", "3\n");
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	st = c->stands[0];
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_END);
	assert_string_equal(splits_of(st), "begin 1 a.txt, begin 2 b.txt, at 1, end 1, at 2, end 2, "
					   "begin 3 c.txt, end 3, ");
	crew_done(c);
}

static void k24_splits_that_are_wanted_together_are_begun_before_one_of_them_is_read(void **state)
{
	struct crew *c;

	(void)state;
	lanes = 3;
	for (char name[] = "a.txt"; *name <= 'c'; ++*name)
		file_text(name, "1\n");
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	c->eager = true;
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_END);
	assert_string_equal(splits_of(c->stands[0]),
			    "begin 1 a.txt, begin 2 b.txt, begin 3 c.txt, at 1, end 1, "
			    "at 2, end 2, at 3, end 3, ");
	crew_done(c);
}

/* Those that are discovered go round, whoever asked first. */
static void test_splits_are_dealt_to_all_that_want_some(void **state)
{
	struct crew *c;

	(void)state;
	lanes = 2;
	file_text("a.txt", "1\n");
	file_text("b.txt", "2\n");
	c = lines_crew(2, WR_ON_ERROR_FAIL);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(stand_poll(c->stands[i]), WR_AGAIN);
		crew_deliver(c, c->stands[i]);
	}
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_END);
	assert_string_equal(splits_of(c->stands[0]), "begin 1 a.txt, end 1, ");
	assert_string_equal(splits_of(c->stands[1]), "begin 1 b.txt, end 1, ");
	crew_done(c);
}

static void test_splits_of_one_file_have_names_of_their_own(void **state)
{
	struct crew *c;

	(void)state;
	split_size = 4;
	file_text("a.txt", "1\n2\n3\n4\n5\n");
	c = crew_read(1, WR_ON_ERROR_FAIL);
	assert_string_equal(splits_of(c->stands[0]),
			    "begin 1 a.txt, byte 0, end 1, begin 2 a.txt, byte 4, end 2, "
			    "begin 3 a.txt, byte 8, end 3, ");
	crew_done(c);
}

/* What a reader saves: files that it reads, behind their first line, in capitals, and those that it has not
 * begun.
 */
static void saved_splits(struct wr_bytes *out, const char *names, uint64_t id)
{
	uint32_t count = (uint32_t)strlen(names);

	wr_value_put_list(out, count);
	for (uint32_t i = 0; i < count; i++) {
		char name[] = {(char)tolower(names[i]), '.', 't', 'x', 't', 0};
		struct wr_split split = {id + i, in_folder(name), 0, UINT64_MAX};

		wr_value_put_record(out, 2);
		wr_value_put_name(out, "at");
		if (isupper(names[i])) {
			wr_value_put_record(out, 1);
			wr_value_put_name(out, "offset");
			wr_value_put_i64(out, 2);
		} else {
			wr_value_put_nil(out);
		}
		wr_value_put_name(out, "split");
		wr_split_put(out, &split);
	}
}

/* How reader `subtask` of `parallelism` begins and ends the splits that two readers saved: the first the
 * files of `first` from number `id` on, the second those of `second` from 0 on. */
static char *gone_on_with(const char *first, uint64_t id, const char *second, uint32_t subtask,
			  uint32_t parallelism)
{
	static char text[1024];
	struct wr_bytes saved[2] = {WR_BYTES_EMPTY, WR_BYTES_EMPTY};
	struct wr_value lists[2];
	struct wr_saved_part parts[2] = {{0, &lists[0]}, {1, &lists[1]}};
	struct wr_arena arena;
	struct stand *st;
	struct crew *c;

	wr_arena_init(&arena, &mem);
	for (char name[] = "a.txt"; *name <= 'd'; ++*name)
		file_text(name, "1\n2\n");
	saved_splits(&saved[0], first, id);
	saved_splits(&saved[1], second, 0);
	for (int i = 0; i < 2; i++) {
		struct wr_reader r = wr_reader_of(saved[i].data, saved[i].len);

		assert_int_equal(wr_value_parse(&r, &arena, &lists[i]), WR_OK);
	}
	c = lines_crew(parallelism, WR_ON_ERROR_SKIP);
	st = c->stands[subtask];
	/* of three, so that what they saved is dealt to one as to two */
	assert_int_equal(st->stage.ops->restore(&st->stage, &(struct wr_saved_state){3, 2, parts}), WR_OK);
	while (st->stage.ops->poll(&st->stage) == WR_OK)
		;
	snprintf(text, sizeof text, "%s", splits_of(st));
	crew_done(c);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&saved[0]);
	wr_bytes_deinit(&saved[1]);
	return text;
}

static void k24_splits_of_several_readers_are_gone_on_with_in_the_order_of_their_discovery(void **state)
{
	(void)state;
	assert_string_equal(gone_on_with("c", 2, "ab", 0, 1),
			    "begin 1 a.txt, begin 2 b.txt, end 1, at 2, begin 3 c.txt, end 2, at 3, end 3, ");
}

static void k24_splits_that_were_read_are_all_begun_before_one_of_them_is_read(void **state)
{
	(void)state;
	assert_string_equal(gone_on_with("CD", 2, "AB", 0, 1),
			    "begin 1 a.txt, begin 2 b.txt, begin 3 c.txt, begin 4 d.txt, at 1, end 1, "
			    "at 2, end 2, at 3, end 3, at 4, end 4, ");
	assert_string_equal(gone_on_with("CD", 2, "AB", 1, 2),
			    "begin 1 b.txt, begin 2 d.txt, at 1, end 1, at 2, end 2, ");
}

static void k24_a_split_that_waited_begins_before_the_one_in_front_of_it_ends(void **state)
{
	(void)state;
	assert_string_equal(gone_on_with("D", 3, "Abc", 0, 1),
			    "begin 1 a.txt, begin 2 d.txt, at 1, begin 3 b.txt, end 1, at 2, end 2, "
			    "at 3, begin 4 c.txt, end 3, at 4, end 4, ");
	assert_string_equal(gone_on_with("D", 3, "Abc", 0, 2),
			    "begin 1 a.txt, begin 2 b.txt, end 1, at 2, begin 3 c.txt, end 2, at 3, end 3, ");
}

static void k24_a_split_that_cannot_be_read_ends_behind_the_beginning_of_all_others(void **state)
{
	(void)state;
	assert_string_equal(gone_on_with("C", 2, "XB", 0, 1),
			    "begin 1 x.txt, begin 2 b.txt, begin 3 c.txt, end 1, at 2, end 2, at 3, end 3, ");
}

static void test_a_split_that_is_held_waits_and_the_others_go_on(void **state)
{
	struct crew *c;
	struct stand *st;

	(void)state;
	lanes = 2;
	file_text("a.txt", "1\n");
	file_text("b.txt", "2\n");
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	st = c->stands[0];
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(stand_poll(st), WR_AGAIN);
	crew_deliver(c, st);
	st->stage.step_until_ns = 0; /* a poll begins the splits and reads one of them */
	assert_int_equal(stand_poll(st), WR_OK);
	st->stage.ops->hold(&st->stage, 2, true);
	st->text.len = 0;
	for (int i = 0; i < 5; i++) {
		stand_poll(st);
		crew_deliver(c, st);
	}
	assert_int_equal(stand_poll(st), WR_AGAIN);
	assert_null(strstr(stand_text(st), "b.txt"));
	st->stage.ops->hold(&st->stage, 2, false);
	assert_int_equal(crew_run(c), WR_END);
	assert_non_null(strstr(stand_text(st), "b.txt"));
	crew_done(c);
}

static void test_a_line_longer_than_many_splits_is_read_once(void **state)
{
	struct wr_bytes model = WR_BYTES_EMPTY;
	char *text = malloc(300000);
	struct crew *c;

	(void)state;
	memset(text, 'x', 300000);
	text[10] = '\n';
	text[299990] = '\n';
	split_size = 5000;
	file_write("a.txt", text, 300000);
	model_lines(&model, in_folder("a.txt"), text, 300000);
	c = lines_crew(7, WR_ON_ERROR_FAIL);
	crew_expect(c, &model);
	crew_done(c);
	wr_bytes_deinit(&model);
	free(text);
}

static void test_a_line_beyond_the_limit_is_a_bad_row_and_the_next_is_read(void **state)
{
	struct wr_bytes model = WR_BYTES_EMPTY;
	char text[4000];
	struct crew *c;

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "ok\n", 3);
	text[3 + 101] = '\n';		/* one too long */
	text[3 + 101 + 1 + 100] = '\n'; /* just right */
	text[3998] = '\n';
	text[3999] = 'z';
	line_max = 100;
	split_size = 50;
	file_write("a.txt", text, sizeof text);
	model_line(&model, in_folder("a.txt"), text, 2, 0);
	model_line(&model, in_folder("a.txt"), text + 105, 100, 105);
	model_line(&model, in_folder("a.txt"), text + 3999, 1, 3999);
	c = lines_crew(2, WR_ON_ERROR_SKIP);
	crew_expect(c, &model);
	assert_int_equal(crew_skipped(c), 2);
	crew_done(c);
	wr_bytes_deinit(&model);
}

static void test_a_line_far_beyond_the_window_is_one_bad_row(void **state)
{
	struct wr_bytes model = WR_BYTES_EMPTY;
	char *text = malloc(3 << 20);
	struct crew *c;

	(void)state;
	memset(text, 'x', 3 << 20);
	memcpy(text, "a\n", 2);
	memcpy(text + (3 << 20) - 3, "\nb\n", 3);
	line_max = 300000;
	split_size = 64 << 20;
	file_write("a.txt", text, 3 << 20);
	model_line(&model, in_folder("a.txt"), "a", 1, 0);
	model_line(&model, in_folder("a.txt"), "b", 1, (3 << 20) - 2);
	c = lines_crew(1, WR_ON_ERROR_SKIP);
	crew_expect(c, &model);
	assert_int_equal(crew_skipped(c), 1);
	crew_done(c);
	wr_bytes_deinit(&model);
	free(text);
}

static void test_a_bad_line_fails_the_source_with_file_and_offset(void **state)
{
	struct crew *c;

	(void)state;
	file_text("a.txt", "ab\nabcdef\nab\n");
	line_max = 3;
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "a.txt, byte 3"));
	assert_non_null(strstr(wr_error_text(), "a line is longer than 3 bytes"));
	crew_done(c);
}

/* ---- files that change ---- */

static void test_a_file_that_vanished_is_told_and_the_others_are_read(void **state)
{
	struct crew *c;

	(void)state;
	file_text("a.txt", "a\n");
	file_text("b.txt", "b\n");
	c = lines_crew(2, WR_ON_ERROR_SKIP);
	assert_int_equal(crew_look(c), WR_OK);
	unlink(in_folder("a.txt"));
	assert_int_equal(crew_run(c), WR_END);
	assert_int_equal(crew_skipped(c), 1);
	assert_int_equal(c->stands[0]->out.rows + c->stands[1]->out.rows, 1);
	crew_done(c);
}

static void test_a_file_that_became_shorter_is_told(void **state)
{
	struct crew *c;

	(void)state;
	file_text("a.txt", "0123456\n0123456\n0123456\n");
	split_size = 8;
	c = lines_crew(1, WR_ON_ERROR_SKIP);
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(truncate(in_folder("a.txt"), 12), 0);
	assert_int_equal(crew_run(c), WR_END);
	assert_int_equal(crew_skipped(c), 2);
	crew_done(c);
}

static void test_a_file_that_is_shorter_than_what_was_read_of_it_is_told(void **state)
{
	(void)state;
	file_text("a.txt", "one\ntwo\n");
	gone_on_gives(4, 1, 0);
	gone_on_gives(8, 0, 0);
	gone_on_gives(9, 0, 1);
}

/* Nothing of a pipe is there, then a line, then the end; a file beside it is read meanwhile. */
static void test_a_pipe_among_the_files_is_not_waited_for(void **state)
{
	struct crew *c;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(in_folder("a.txt"), 0666), 0);
	file_text("b.txt", "one\ntwo\n");
	lanes = 2;
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_AGAIN);
	assert_int_equal(c->stands[0]->out.rows, 2);
	fd = open(in_folder("a.txt"), O_WRONLY);
	assert_int_equal(write(fd, "three\n", 6), 6);
	while (c->stands[0]->out.rows == 2)
		assert_int_equal(crew_run(c), WR_AGAIN);
	assert_int_equal(c->stands[0]->out.rows, 3);
	crew_done(c); /* while the writer is there and says nothing */
	close(fd);
}

static void test_no_file_is_an_error_of_the_source(void **state)
{
	struct crew *c;

	(void)state;
	c = lines_crew(1, WR_ON_ERROR_SKIP);
	assert_int_equal(crew_look(c), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "no file matches"));
	crew_done(c);
}

static void test_a_folder_stands_for_its_files_but_hidden_ones(void **state)
{
	struct wr_bytes model = WR_BYTES_EMPTY;
	struct crew *c;

	(void)state;
	file_text("a.txt", "a\n");
	file_text("b", "b\n");
	file_text(".c", "c\n");
	file_text("_d", "d\n");
	pattern = "";
	c = lines_crew(1, WR_ON_ERROR_FAIL);
	model_lines(&model, in_folder("a.txt"), "a\n", 2);
	model_lines(&model, in_folder("b"), "b\n", 2);
	crew_expect(c, &model);
	crew_done(c);
	wr_bytes_deinit(&model);
}

static void test_a_read_that_fails_is_told_and_the_other_files_are_read(void **state)
{
	struct crew *c;

	(void)state;
	file_text("a.txt", "a\n");
	file_text("b.txt", "b\n");
	c = lines_crew(1, WR_ON_ERROR_SKIP);
	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(wr_fault_set("file.read", 2, EIO), WR_OK);
	assert_int_equal(crew_run(c), WR_END);
	assert_int_equal(crew_skipped(c), 1);
	assert_int_equal(c->stands[0]->out.rows, 2);
	assert_non_null(strstr(bad_text, "a.txt, byte 2: cannot read: Input/output error"));
	crew_done(c);
}

static uint32_t payload_count(const uint8_t *payload, uint32_t len)
{
	struct wr_reader r = wr_reader_of(payload, len);

	assert_int_equal(wr_read_u8(&r), WR_V_LIST);
	return (uint32_t)wr_read_varint(&r);
}

/* The enumerator alone, with each of its allocations refused in turn. */
static void drop_letter(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len)
{
	(void)subtask;
	*(uint32_t *)arg += type == WR_LETTER_SPLITS ? payload_count(payload, len) : 0;
}

static void test_an_enumerator_survives_refused_memory(void **state)
{
	struct stand *st = stand_new("files", 0, 1);
	uint32_t splits = 0, complete = 0;
	struct wr_bytes one = WR_BYTES_EMPTY;

	(void)state;
	wr_value_put_i64(&one, 1);
	lines_options(st);
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d.txt", i);
		file_text(name, "x\n");
	}
	for (int64_t n = 1; n < 400 && complete == 0; n++) {
		struct wr_enumerator *e;
		int64_t next_ms;

		splits = 0;
		wr_mem_fail_at(n);
		e = wr_enumerators[0]->make(&st->options, 1, drop_letter, &splits);
		if (e && e->ops->discover(e, &next_ms) == WR_OK)
			while (splits < 100 && e->ops->letter(e, 0, WR_LETTER_SPLIT_WANTED, one.data,
							      (uint32_t)one.len) == WR_OK)
				;
		wr_mem_fail_at(0);
		complete = splits == 100;
		if (e)
			e->ops->free(e);
	}
	assert_true(complete);
	wr_bytes_deinit(&one);
	free((char *)st->items[0].str.p);
	stand_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LINES_TEST(test_lines_come_with_offset_and_path),
	    LINES_TEST(test_a_line_written_in_place_is_the_row_that_cells_make),
	    LINES_TEST(test_each_line_is_read_once_at_any_parallelism),
	    LINES_TEST(test_a_line_longer_than_many_splits_is_read_once),
	    LINES_TEST(test_splits_are_told_where_their_rows_are),
	    LINES_TEST(k24_splits_that_are_wanted_together_are_begun_before_one_of_them_is_read),
	    LINES_TEST(test_splits_are_dealt_to_all_that_want_some),
	    LINES_TEST(test_splits_of_one_file_have_names_of_their_own),
	    LINES_TEST(k24_splits_of_several_readers_are_gone_on_with_in_the_order_of_their_discovery),
	    LINES_TEST(k24_splits_that_were_read_are_all_begun_before_one_of_them_is_read),
	    LINES_TEST(k24_a_split_that_waited_begins_before_the_one_in_front_of_it_ends),
	    LINES_TEST(k24_a_split_that_cannot_be_read_ends_behind_the_beginning_of_all_others),
	    LINES_TEST(test_a_split_that_is_held_waits_and_the_others_go_on),
	    LINES_TEST(test_a_line_beyond_the_limit_is_a_bad_row_and_the_next_is_read),
	    LINES_TEST(test_a_line_far_beyond_the_window_is_one_bad_row),
	    LINES_TEST(test_a_bad_line_fails_the_source_with_file_and_offset),
	    LINES_TEST(test_a_file_that_vanished_is_told_and_the_others_are_read),
	    LINES_TEST(test_a_file_that_became_shorter_is_told),
	    LINES_TEST(test_a_file_that_is_shorter_than_what_was_read_of_it_is_told),
	    LINES_TEST(test_a_pipe_among_the_files_is_not_waited_for),
	    LINES_TEST(test_no_file_is_an_error_of_the_source),
	    LINES_TEST(test_a_folder_stands_for_its_files_but_hidden_ones),
	    LINES_TEST(test_a_read_that_fails_is_told_and_the_other_files_are_read),
	    LINES_TEST(test_an_enumerator_survives_refused_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
