/* SPDX-License-Identifier: Apache-2.0 */
/* stand: one stage alone on the bench: a clock that stands still, letters that are kept, an
 * output that is one large buffer, and options written down as C values. */
#pragma once
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
#include "connect/connect.h"
#include "nexmark/nexmark.h"

enum { STAND_OUT = 64 << 20, STAND_OPTIONS = 16, STAND_LETTERS = 64 };

struct stand_letter {
	uint32_t subtask, type, len;
	uint8_t payload[512];
};

struct stand {
	struct wr_stage stage;
	struct wr_stage_env env;
	struct wr_clock clock;
	struct wr_out out, *outs[1];
	struct wr_op_stats stats;
	struct wr_value options, keys[STAND_OPTIONS], items[STAND_OPTIONS];
	uint8_t *buffer;
	struct wr_bytes text;			    /* rows that were taken, as JSON lines */
	struct stand_letter letters[STAND_LETTERS]; /* sent by the stage, not yet delivered */
	uint32_t letter_count;
	struct wr_bytes splits; /* "begin 1 a.txt, at 1, end 1, " */
	bool open;
};

static inline const struct wr_stage_ops *stand_kind(const char *kind)
{
	for (unsigned i = 0; i < wr_connect_kinds_count; i++)
		if (strcmp(wr_connect_kinds[i].kind, kind) == 0)
			return wr_connect_kinds[i].ops;
	for (unsigned i = 0; i < wr_nexmark_kinds_count; i++)
		if (strcmp(wr_nexmark_kinds[i].kind, kind) == 0)
			return wr_nexmark_kinds[i].ops;
	fail_msg("no kind %s", kind);
	return NULL;
}

static inline void stand_post(void *arg, uint32_t vertex, uint32_t subtask, uint32_t stage, uint32_t type,
			      const void *payload, uint32_t len)
{
	struct stand *st = arg;
	struct stand_letter *l = &st->letters[st->letter_count++];

	(void)vertex;
	(void)stage;
	assert_true(st->letter_count <= STAND_LETTERS && len <= sizeof l->payload);
	*l = (struct stand_letter){.subtask = subtask, .type = type, .len = len};
	if (len)
		memcpy(l->payload, payload, len);
}

/* Adds options: "s:name", text · "n:name", double · "b:name", int · "v:name", struct wr_value · NULL. */
static inline void stand_options(struct stand *st, ...)
{
	const char *name;
	va_list ap;

	va_start(ap, st);
	while ((name = va_arg(ap, const char *))) {
		uint32_t i = st->options.count++;
		struct wr_value *v = &st->items[i];

		assert_true(i < STAND_OPTIONS);
		st->keys[i] =
		    (struct wr_value){.tag = WR_V_STR, .str = {name + 2, (uint32_t)strlen(name + 2)}};
		if (name[0] == 's') {
			const char *s = va_arg(ap, const char *);

			*v = (struct wr_value){.tag = WR_V_STR, .str = {s, (uint32_t)strlen(s)}};
		} else if (name[0] == 'n') {
			*v = (struct wr_value){.tag = WR_V_F64, .f64 = va_arg(ap, double)};
		} else if (name[0] == 'b') {
			*v = (struct wr_value){.tag = va_arg(ap, int) ? WR_V_TRUE : WR_V_FALSE};
		} else {
			*v = va_arg(ap, struct wr_value);
		}
	}
	va_end(ap);
	st->options.keys = st->keys;
	st->options.items = st->items;
}

static inline struct stand *stand_new(const char *kind, uint32_t subtask, uint32_t parallelism)
{
	struct stand *st = calloc(1, sizeof *st);

	assert_non_null(st);
	st->buffer = aligned_alloc(64, STAND_OUT);
	assert_non_null(st->buffer);
	wr_clock_manual_init(&st->clock, 1000000000, 1700000000000);
	st->out = (struct wr_out){st->buffer, st->buffer + STAND_OUT, 0};
	st->outs[0] = &st->out;
	st->options.tag = WR_V_RECORD;
	st->stats = (struct wr_op_stats){.name = kind, .uid = kind};
	st->env = (struct wr_stage_env){.job = "test",
					.task = kind,
					.subtask = subtask,
					.parallelism = parallelism,
					.max_parallelism = 128,
					.clock = &st->clock,
					.post = stand_post,
					.post_arg = st};
	st->stage = (struct wr_stage){.ops = stand_kind(kind),
				      .env = &st->env,
				      .options = &st->options,
				      .outs = st->outs,
				      .out_count = 1,
				      .ops_stats = &st->stats,
				      .ops_count = 1,
				      .watermark = WR_TS_NONE,
				      .deadline_ms = INT64_MAX,
				      .wake_ns = UINT64_MAX,
				      .tick_ns = UINT64_MAX,
				      .step_until_ns = UINT64_MAX};
	return st;
}

static inline int stand_open(struct stand *st)
{
	st->open = true;
	return st->stage.ops->open ? st->stage.ops->open(&st->stage) : WR_OK;
}

static inline void stand_free(struct stand *st)
{
	if (st->open && st->stage.ops->free)
		st->stage.ops->free(&st->stage);
	wr_bytes_deinit(&st->text);
	wr_bytes_deinit(&st->splits);
	free(st->buffer);
	free(st);
}

/* Takes the rows from the output and keeps them as JSON lines. */
static inline void stand_take(struct stand *st)
{
	for (uint8_t *p = st->buffer; p < st->out.p; p += ((struct wr_elem *)p)->len) {
		if (wr_elem_verify(p, (size_t)(st->out.p - p), NULL) != WR_OK)
			fail_msg("%s", wr_error_text());
		wr_row_json((struct wr_elem *)p, &st->text);
		wr_bytes_put_u8(&st->text, '\n');
	}
	st->out.p = st->buffer;
}

static inline int stand_poll(struct stand *st)
{
	int rc = st->stage.ops->poll(&st->stage);

	stand_take(st);
	return rc;
}

/* Polls until the source has nothing now or nothing any more, or fails. */
static inline int stand_run(struct stand *st)
{
	int rc;

	do
		rc = stand_poll(st);
	while (rc == WR_OK);
	return rc;
}

static inline const char *stand_text(struct stand *st)
{
	wr_bytes_put_u8(&st->text, 0);
	st->text.len--;
	return (const char *)st->text.data;
}

/* What the task gives a stage; linked in front of the task's own (Makefile). */
static int bad_rows;
static char bad_text[1024], bad_raw[256];

uint8_t *wr_out_more(struct wr_out *o, uint32_t need)
{
	(void)o;
	fail_msg("the output is too small for %u bytes more", need);
	return NULL;
}
int wr_stage_spent(struct wr_stage *s)
{
	return s->step_until_ns == 0;
}
int wr_stage_emit_split(struct wr_stage *s, enum wr_split_word word, uint32_t number, const char *name)
{
	static const char *const words[] = {"begin", "at", "end"};
	struct stand *st = s->env->post_arg;
	const char *slash = name ? strrchr(name, '/') : NULL;

	wr_bytes_printf(&st->splits, "%s %u%s%s, ", words[word], number, name ? " " : "",
			slash ? slash + 1 : "");
	return WR_OK;
}
int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	(void)row;
	bad_rows++;
	snprintf(bad_raw, sizeof bad_raw, "%.*s", (int)raw_len, (const char *)raw);
	snprintf(bad_text, sizeof bad_text, "%s: %s", origin, error);
	if (s->on_error == WR_ON_ERROR_FAIL)
		return wr_error_set(code, "%s: %s", origin, error);
	wr_metric_add(&s->ops_stats[op].skipped, 1);
	return WR_OK;
}
