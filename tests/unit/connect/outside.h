/* SPDX-License-Identifier: Apache-2.0 */
/* outside: a stage that writes to the outside or reads from it, with the threads that do so and wake it; rows
 * to give to it, and what came out. */
#pragma once
#include "unit/connect/crew.h"
#include "unit/woken.h"

static struct wr_iopool *io;

static inline int outside_setup(void **state)
{
	io = wr_iopool_new(4, WR_IOPOOL_PROMPT);
	woken = eventfd(0, EFD_CLOEXEC);
	return folder_make(state);
}

static inline int outside_teardown(void **state)
{
	wr_iopool_free(io);
	close(woken);
	return folder_remove(state);
}

static inline struct stand *outside(const char *kind, uint32_t subtask, uint32_t parallelism,
				    const char *format)
{
	struct stand *st = stand_new(kind, subtask, parallelism);

	st->env.io = io;
	st->env.wake = (struct wr_notify){on_wake, NULL};
	stand_options(st, "s:format", format, NULL);
	return st;
}

/* {n = …, s = "…"} of some kind of change, appended to the stand's output buffer. */
static inline void put(struct stand *st, enum wr_kind kind, double n, const char *s)
{
	struct wr_field_spec fields[] = {{"n", 1, WR_T_F64, 0}, {"s", 1, WR_T_STR, 0}};
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = n},
				  {.type = WR_T_STR, .str = {s, (uint32_t)strlen(s)}}};
	const struct wr_shape *shape = wr_shape(wr_shape_intern(fields, 2, 0, 0));
	uint32_t len = wr_row_len(shape, cells);

	wr_row_write(st->out.p, len, shape, kind, WR_TS_NONE, cells);
	st->out.p += len;
}

static inline void put_scalar(struct stand *st, enum wr_kind kind, const char *s)
{
	struct wr_field_spec field = {"", 0, WR_T_STR, 0};
	struct wr_cell cell = {.type = WR_T_STR, .str = {s, (uint32_t)strlen(s)}};
	const struct wr_shape *shape = wr_shape(wr_shape_intern(&field, 1, 0, 1));
	uint32_t len = wr_row_len(shape, &cell);

	wr_row_write(st->out.p, len, shape, kind, WR_TS_NONE, &cell);
	st->out.p += len;
}

/* Hands over what was put; waits where the sink pauses. */
static inline int write_rows(struct stand *st)
{
	struct wr_rows rows = {st->buffer, st->out.p, 0, 0};
	int rc;

	while ((rc = st->stage.ops->rows(&st->stage, &rows)) == WR_AGAIN)
		wait_woken();
	if (rc == WR_OK)
		assert_ptr_equal(rows.p, rows.end);
	st->out.p = st->buffer;
	return rc;
}

static inline int finish(struct stand *st)
{
	int rc;

	while ((rc = st->stage.ops->end(&st->stage)) == WR_AGAIN)
		wait_woken();
	return rc;
}

/* Runs a source to its end, waiting where it has nothing. */
static inline int run_source(struct stand *st)
{
	int rc;

	while ((rc = stand_run(st)) == WR_AGAIN)
		wait_woken();
	return rc;
}

struct drain {
	int fd;
	struct wr_bytes text;
};

static inline void *drain_run(void *arg)
{
	struct drain *d = arg;
	char bytes[4096];
	ssize_t n;

	while ((n = read(d->fd, bytes, sizeof bytes)) > 0)
		wr_bytes_put(&d->text, bytes, (size_t)n);
	return NULL;
}

#define OUTSIDE_TEST(f) cmocka_unit_test_setup_teardown(f, outside_setup, outside_teardown)
