/* SPDX-License-Identifier: Apache-2.0 */
/* window_rig: a window stage on its own, with rows { k, v } and watermarks fed by hand. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "record/row.h"
#include "window/window.h"

enum { RIG_OUT = 8 << 20, RIG_OPTIONS = 16 };

struct rig {
	struct wr_stage stage;
	struct wr_stage_env env;
	struct wr_clock clock;
	struct wr_out outs[2], *out_list[2];
	uint8_t *rooms[2];
	struct wr_op_stats stats;
	struct wr_value options, keys[RIG_OPTIONS], items[RIG_OPTIONS];
	struct wr_value aggregates[6], aggregate_keys[6][3], aggregate_items[6][3], key_as;
	struct wr_value plan, plan_keys[2], plan_items[2], ports[2], port_key, port_tags[2];
	uint32_t shape;
};

static inline struct wr_value rig_text(const char *s)
{
	return (struct wr_value){.tag = WR_V_STR, .str = {s, (uint32_t)strlen(s)}};
}

static inline struct wr_value rig_number(double v)
{
	return (struct wr_value){.tag = WR_V_F64, .f64 = v};
}

static inline void rig_option(struct rig *r, const char *name, struct wr_value v)
{
	uint32_t at = r->options.count++;

	for (; at > 0 && strcmp(r->keys[at - 1].str.p, name) > 0; at--) {
		r->keys[at] = r->keys[at - 1];
		r->items[at] = r->items[at - 1];
	}
	r->keys[at] = rig_text(name);
	r->items[at] = v;
}

/* A rig whose stage is not open yet: options may be added. Aggregates: count, and sum, min, max, avg, stddev
 * of v. Port 1 takes late rows if `late`. */
static inline struct rig *rig_new(bool late)
{
	static const char *const fns[] = {"count", "sum", "min", "max", "avg", "stddev"};
	static const char *const fields[] = {"as", "field", "fn"};
	static struct wr_value key_name;
	struct wr_field_spec f[] = {{"k", 1, WR_T_F64, 0}, {"v", 1, WR_T_F64, 0}};
	struct rig *r = calloc(1, sizeof *r);

	wr_clock_manual_init(&r->clock, 1, 1);
	r->shape = wr_shape_intern(f, 2, 0, 0);
	r->options = (struct wr_value){.tag = WR_V_RECORD, .keys = r->keys, .items = r->items};
	for (uint32_t i = 0; i < 6; i++) {
		r->aggregates[i] = (struct wr_value){.tag = WR_V_RECORD,
						     .count = 3,
						     .keys = r->aggregate_keys[i],
						     .items = r->aggregate_items[i]};
		for (uint32_t k = 0; k < 3; k++)
			r->aggregate_keys[i][k] = rig_text(fields[k]);
		r->aggregate_items[i][0] = r->aggregate_items[i][2] = rig_text(fns[i]);
		r->aggregate_items[i][1] = rig_text("v");
	}
	key_name = rig_text("k");
	r->key_as = (struct wr_value){.tag = WR_V_LIST, .count = 1, .items = &key_name};
	rig_option(r, "aggregates", (struct wr_value){.tag = WR_V_LIST, .count = 6, .items = r->aggregates});
	rig_option(r, "key_as", r->key_as);
	rig_option(r, "late", rig_text("late"));
	r->port_key = rig_text("tag");
	for (int i = 0; i < 2; i++) {
		r->port_tags[i] = rig_text(i ? "late" : "");
		r->ports[i] = (struct wr_value){
		    .tag = WR_V_RECORD, .count = 1, .keys = &r->port_key, .items = &r->port_tags[i]};
		r->rooms[i] = malloc(RIG_OUT);
		r->outs[i] = (struct wr_out){r->rooms[i], r->rooms[i] + RIG_OUT, 0};
		r->out_list[i] = &r->outs[i];
	}
	r->plan_keys[0] = rig_text("outs");
	r->plan_items[0] = (struct wr_value){.tag = WR_V_LIST, .count = late ? 2 : 1, .items = r->ports};
	r->plan =
	    (struct wr_value){.tag = WR_V_RECORD, .count = 1, .keys = r->plan_keys, .items = r->plan_items};
	r->stats.name = "window";
	return r;
}

static inline void rig_open(struct rig *r)
{
	static struct wr_state_desc desc = {.name = "value", .kind = WR_STATE_VALUE};
	static struct wr_mem account = WR_MEM_INIT("test.state");
	static const struct wr_str key = {"k", 1};
	struct wr_store_options so = {.operator_uid = "w",
				      .states = &desc,
				      .state_count = 1,
				      .max_parallelism = 128,
				      .group_last = 127,
				      .mem = &account};

	r->env = (struct wr_stage_env){.job = "t", .task = "t", .parallelism = 1, .clock = &r->clock};
	r->stage = (struct wr_stage){.env = &r->env,
				     .plan = &r->plan,
				     .options = &r->options,
				     .outs = r->out_list,
				     .out_count = r->plan_items[0].count,
				     .dead_letter = -1,
				     .ops_stats = &r->stats,
				     .ops_count = 1,
				     .store = wr_store_new(&so),
				     .keyer = wr_keyer_new(&key, 1),
				     .watermark = WR_TS_NONE,
				     .deadline_ms = INT64_MAX,
				     .step_until_ns = UINT64_MAX};
	r->stage.ops = wr_window_kinds[0].ops;
	assert_int_equal(r->stage.ops->open(&r->stage), WR_OK);
}

static inline void rig_free(struct rig *r)
{
	r->stage.ops->free(&r->stage);
	wr_store_free(r->stage.store);
	wr_keyer_free(r->stage.keyer);
	free(r->rooms[0]);
	free(r->rooms[1]);
	free(r);
}

/* Forgets what was emitted. */
static inline void rig_clear(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		r->outs[i].p = r->rooms[i];
		r->outs[i].rows = 0;
	}
}

/* A row for rig_rows. */
static inline void rig_put(const struct rig *r, double key, double v, int64_t ts, struct wr_bytes *rows)
{
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = key}, {.type = WR_T_F64, .f64 = v}};

	wr_row_put(rows, r->shape, WR_INSERT, ts, cells);
}

/* Feeds these rows as one batch, and empties `bytes`. */
static inline int rig_rows(struct rig *r, struct wr_bytes *bytes)
{
	struct wr_rows rows = {bytes->data, bytes->data + bytes->len, 0, 0};
	int rc = r->stage.ops->rows(&r->stage, &rows);

	bytes->len = 0;
	return rc;
}

static inline int rig_row(struct rig *r, double key, double v, int64_t ts)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	int rc;

	rig_put(r, key, v, ts, &bytes);
	rc = rig_rows(r, &bytes);
	wr_bytes_deinit(&bytes);
	return rc;
}

static inline void rig_watermark(struct rig *r, int64_t wm)
{
	r->stage.watermark = wm;
	assert_int_equal(r->stage.ops->watermark(&r->stage, &wm), WR_OK);
}

/* Processing time is now `ms`: due timers fire. */
static inline void rig_time(struct rig *r, int64_t ms)
{
	wr_clock_advance(&r->clock, (uint64_t)(ms - wr_clock_ms(&r->clock)) * 1000000);
	if (r->stage.deadline_ms <= ms)
		assert_int_equal(r->stage.ops->time(&r->stage, ms), WR_OK);
}

/* The result number n, from 0. */
static inline const struct wr_elem *rig_result(const struct rig *r, int n)
{
	const uint8_t *p = r->rooms[0];

	while (n-- > 0)
		p += ((const struct wr_elem *)p)->len;
	return (const struct wr_elem *)p;
}

/* Number in field `name` of a row. */
static inline double rig_field(const struct wr_elem *e, const char *name)
{
	struct wr_cell c = wr_row_lookup(e, name, (uint32_t)strlen(name));

	assert_int_equal(c.type, WR_T_F64);
	return c.f64;
}
