/* SPDX-License-Identifier: Apache-2.0 */
/* lines: a crew that reads the lines of files, what it is asked for, and a model of what it has to find. */
#pragma once
#include "connect/split.h"
#include "unit/connect/crew.h"

/* What the readers are asked for; lines_setup sets what the program does by itself. */
static double split_size, line_max, lanes;
static const char *pattern, *compression;
static struct wr_mem mem = WR_MEM_INIT("test");

static inline void lines_options(struct stand *st)
{
	stand_options(st, "s:path", in_folder(pattern), "n:split_size", split_size, "n:max_line", line_max,
		      "s:compression", compression, "n:interleave", lanes, NULL);
	/* the path has to outlive the call */
	st->items[0].str.p = strdup(st->items[0].str.p);
}

static inline struct crew *lines_crew(uint32_t count, enum wr_on_error on_error)
{
	return crew_new(count, lines_options, on_error);
}

/* A crew that has read all there is. */
static inline struct crew *crew_read(uint32_t count, enum wr_on_error on_error)
{
	struct crew *c = lines_crew(count, on_error);

	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_END);
	return c;
}

static inline void crew_done(struct crew *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		free((char *)c->stands[i]->items[0].str.p);
	crew_free(c);
}

static inline int lines_setup(void **state)
{
	split_size = 1 << 20;
	line_max = 1 << 20;
	lanes = 1;
	pattern = "*.txt";
	compression = "auto";
	bad_rows = 0;
	return folder_make(state);
}

/* ---- a model: the lines of a file by the book ---- */

static inline void model_line(struct wr_bytes *out, const char *path, const char *p, size_t len,
			      size_t offset)
{
	wr_bytes_printf(out, "{\"line\":");
	wr_json_string(out, p, len);
	wr_bytes_printf(out, ",\"offset\":%zu,\"path\":\"%s\"}\n", offset, path);
}

static inline void model_lines(struct wr_bytes *out, const char *path, const char *p, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const char *lf = memchr(p + at, '\n', len - at);
		size_t stop = lf ? (size_t)(lf - p) : len;
		size_t n = lf && stop > at && p[stop - 1] == '\r' ? stop - at - 1 : stop - at;

		model_line(out, path, p + at, n, at);
		at = stop + 1;
	}
}

static inline void crew_expect(struct crew *c, struct wr_bytes *model)
{
	char *wanted = sorted_lines((char *)model->data, model->len), *got;

	assert_int_equal(crew_look(c), WR_OK);
	assert_int_equal(crew_run(c), WR_END);
	got = crew_lines(c);
	assert_string_equal(got, wanted);
	free(wanted);
	free(got);
}

/* ---- a reader that goes on ---- */

/* A reader that goes on behind byte `offset` of a.txt, as the splits of a checkpoint say. */
static inline struct crew *gone_on(uint64_t offset)
{
	struct crew *c = lines_crew(1, WR_ON_ERROR_SKIP);
	struct wr_split split = {0, in_folder("a.txt"), 0, UINT64_MAX};
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_value saved;
	struct wr_arena arena;
	struct wr_reader r;

	wr_value_put_list(&bytes, 1);
	wr_value_put_record(&bytes, 2);
	wr_value_put_name(&bytes, "at");
	wr_value_put_record(&bytes, 1);
	wr_value_put_name(&bytes, "offset");
	wr_value_put_i64(&bytes, (int64_t)offset);
	wr_value_put_name(&bytes, "split");
	wr_split_put(&bytes, &split);
	wr_arena_init(&arena, &mem);
	r = wr_reader_of(bytes.data, bytes.len);
	assert_int_equal(wr_value_parse(&r, &arena, &saved), WR_OK);
	assert_int_equal(
	    c->stands[0]->stage.ops->restore(
		&c->stands[0]->stage, &(struct wr_saved_state){1, 1, &(struct wr_saved_part){0, &saved}}),
	    WR_OK);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&bytes);
	return c;
}

static inline void gone_on_gives(uint64_t offset, uint64_t rows, uint64_t bad)
{
	struct crew *c = gone_on(offset);

	assert_int_equal(crew_run(c), WR_AGAIN); /* nobody says that there are no more splits */
	assert_int_equal(c->stands[0]->out.rows, rows);
	assert_int_equal(crew_skipped(c), bad);
	crew_done(c);
}

#define LINES_TEST(f) cmocka_unit_test_setup_teardown(f, lines_setup, folder_remove)
