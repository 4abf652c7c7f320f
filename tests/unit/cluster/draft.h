/* SPDX-License-Identifier: Apache-2.0 */
/* draft: a plan written down in C, and native stages to run it with.
 *
 * numbers   source of the integers 0 … count − 1 of each subtask, value = subtask * 1e6 + i
 * pass      hands rows on; adds nothing
 * tally     sink: counts rows and sums values in the test's own counters
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "cluster/job.h"
#include "record/row.h"

enum { DRAFT_VERTICES = 8, DRAFT_EDGES = 8, DRAFT_ROW = WR_ELEM_HEADER + 8 };

struct draft_vertex {
	const char *kind;
	uint32_t parallelism, inputs;
	int64_t count;	  /* numbers: rows of a subtask; −1 = no end */
	int64_t fails_at; /* pass: value at which the job fails; 0 = never */
	const char *slot_group;
};
struct draft_edge {
	uint32_t from, to, input;
	const char *partition;
	const char *merge; /* function by which its rows may become one, or NULL */
	int64_t grain;
};
struct draft {
	struct draft_vertex v[DRAFT_VERTICES];
	uint32_t vertices;
	struct draft_edge e[DRAFT_EDGES];
	uint32_t edges;
};

static _Atomic int64_t draft_rows, draft_sum, draft_per_subtask[64], draft_input[2], draft_ended;
static struct wr_job *_Atomic draft_job;

static inline void draft_put_edges(const struct draft *d, uint32_t vertex, struct wr_bytes *b)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < d->edges; i++)
		count += d->e[i].from == vertex;
	wr_value_put_list(b, count);
	for (uint32_t i = 0; i < d->edges; i++)
		if (d->e[i].from == vertex) {
			wr_value_put_record(b, 1);
			wr_value_put_name(b, "edge");
			wr_value_put_i64(b, i);
		}
}

static inline void draft_put_stage(const struct draft *d, uint32_t at, struct wr_bytes *b)
{
	const struct draft_vertex *v = &d->v[at];
	bool sink = !strcmp(v->kind, "tally");

	wr_value_put_list(b, 1);
	wr_value_put_record(b, 5);
	wr_value_put_name(b, "kind");
	wr_value_put_str(b, v->kind);
	wr_value_put_name(b, "name");
	wr_value_put_str(b, v->kind);
	wr_value_put_name(b, "operators");
	wr_value_put_list(b, 1);
	wr_value_put_record(b, 3);
	wr_value_put_name(b, "id");
	wr_value_put_i64(b, at + 1);
	wr_value_put_name(b, "name");
	wr_value_put_str(b, v->kind);
	wr_value_put_name(b, "uid");
	wr_value_put_str(b, v->kind);
	wr_value_put_name(b, "options");
	wr_value_put_record(b, 2);
	wr_value_put_name(b, "count");
	wr_value_put_i64(b, v->count);
	wr_value_put_name(b, "fails_at");
	wr_value_put_i64(b, v->fails_at);
	wr_value_put_name(b, "outs");
	wr_value_put_list(b, sink ? 0 : 1);
	if (sink)
		return;
	wr_value_put_record(b, 2);
	wr_value_put_name(b, "tag");
	wr_value_put_str(b, "");
	wr_value_put_name(b, "targets");
	draft_put_edges(d, at, b);
}

static inline void draft_put_vertex(const struct draft *d, uint32_t at, struct wr_bytes *b)
{
	const struct draft_vertex *v = &d->v[at];

	wr_value_put_record(b, 7);
	wr_value_put_name(b, "inputs");
	wr_value_put_i64(b, v->inputs);
	wr_value_put_name(b, "max_parallelism");
	wr_value_put_i64(b, 128);
	wr_value_put_name(b, "name");
	wr_value_put_str(b, v->kind);
	wr_value_put_name(b, "parallelism");
	wr_value_put_i64(b, v->parallelism);
	wr_value_put_name(b, "slot_group");
	wr_value_put_str(b, v->slot_group ? v->slot_group : "default");
	wr_value_put_name(b, "stages");
	draft_put_stage(d, at, b);
	wr_value_put_name(b, "uid");
	wr_value_put_str(b, v->kind);
}

/* An empty function merges no field: rows are only counted. */
static inline void draft_put_merge(const struct draft_edge *e, struct wr_bytes *b)
{
	wr_value_put_record(b, 3);
	wr_value_put_name(b, "fields");
	wr_value_put_list(b, *e->merge != 0);
	if (*e->merge) {
		wr_value_put_record(b, 2);
		wr_value_put_name(b, "field");
		wr_value_put_str(b, "v");
		wr_value_put_name(b, "fn");
		wr_value_put_str(b, e->merge);
	}
	wr_value_put_name(b, "grain");
	wr_value_put_i64(b, e->grain);
	wr_value_put_name(b, "weighs");
	wr_value_put_bool(b, true);
}

static inline void draft_put_edge(const struct draft_edge *e, struct wr_bytes *b)
{
	bool hash = !strcmp(e->partition, "hash");

	wr_value_put_record(b, 5 + hash + !!e->merge);
	wr_value_put_name(b, "from");
	wr_value_put_i64(b, e->from);
	wr_value_put_name(b, "input");
	wr_value_put_i64(b, e->input);
	if (hash) {
		wr_value_put_name(b, "key");
		wr_value_put_list(b, 1);
		wr_value_put_str(b, "n");
	}
	if (e->merge) {
		wr_value_put_name(b, "merge");
		draft_put_merge(e, b);
	}
	wr_value_put_name(b, "name");
	wr_value_put_str(b, "edge");
	wr_value_put_name(b, "partition");
	wr_value_put_str(b, e->partition);
	wr_value_put_name(b, "to");
	wr_value_put_i64(b, e->to);
}

static inline void draft_encode(const struct draft *d, struct wr_bytes *b)
{
	wr_value_put_record(b, 4);
	wr_value_put_name(b, "edges");
	wr_value_put_list(b, d->edges);
	for (uint32_t i = 0; i < d->edges; i++)
		draft_put_edge(&d->e[i], b);
	wr_value_put_name(b, "job");
	wr_value_put_record(b, 2);
	wr_value_put_name(b, "name");
	wr_value_put_str(b, "draft");
	wr_value_put_name(b, "seed");
	wr_value_put_i64(b, 7);
	wr_value_put_name(b, "version");
	wr_value_put_i64(b, 1);
	wr_value_put_name(b, "vertices");
	wr_value_put_list(b, d->vertices);
	for (uint32_t i = 0; i < d->vertices; i++)
		draft_put_vertex(d, i, b);
}

static inline struct wr_plan *draft_plan(const struct draft *d)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_plan *p;

	draft_encode(d, &b);
	p = wr_plan_decode(b.data, b.len);
	wr_bytes_deinit(&b);
	return p;
}

/* ---- stages ---- */

static inline uint32_t draft_shape(void)
{
	struct wr_field_spec f = {"n", 1, WR_T_I64, 0};

	return wr_shape_intern(&f, 1, 0, 0);
}

struct draft_numbers {
	int64_t next;
};

static _Atomic uint64_t draft_slack_ns; /* that a source was opened with */

static inline int draft_open(struct wr_stage *s)
{
	draft_slack_ns = s->env->slack_ns;
	s->state = calloc(1, sizeof(struct draft_numbers));
	return s->state ? WR_OK : WR_EFATAL;
}

static inline void draft_free(struct wr_stage *s)
{
	free(s->state);
}

static inline int draft_put(struct wr_out *out, const struct wr_elem *row)
{
	if ((size_t)(out->end - out->p) < row->len && !wr_out_more(out, row->len))
		return WR_EFATAL;
	memcpy(out->p, row, row->len);
	out->p += row->len;
	out->rows++;
	return WR_OK;
}

static inline int draft_poll(struct wr_stage *s)
{
	struct draft_numbers *n = s->state;
	int64_t count = wr_value_int(s->options, "count", 0);

	for (int i = 0; i < 500; i++) {
		struct {
			struct wr_elem e;
			int64_t v;
		} row = {{DRAFT_ROW, draft_shape(), WR_TS_NONE}, s->env->subtask * 1000000 + n->next};

		if (count >= 0 && n->next == count)
			return WR_END;
		n->next++;
		if (draft_put(s->outs[0], &row.e) != WR_OK)
			return WR_EFATAL;
	}
	return WR_OK;
}

static inline int64_t draft_value(const struct wr_elem *row)
{
	int64_t v;

	memcpy(&v, wr_elem_body(row), sizeof v);
	return v;
}

static inline int draft_pass(struct wr_stage *s, struct wr_rows *rows)
{
	int64_t fails_at = wr_value_int(s->options, "fails_at", 0);

	for (; rows->p < rows->end; rows->p += DRAFT_ROW) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;

		if (fails_at && draft_value(row) == fails_at)
			return wr_error_set(WR_EUSER, "value %lld is not liked", (long long)fails_at);
		if (draft_put(s->outs[0], row) != WR_OK)
			return WR_EFATAL;
	}
	return WR_OK;
}

static inline int draft_tally(struct wr_stage *s, struct wr_rows *rows)
{
	for (; rows->p < rows->end; rows->p += DRAFT_ROW) {
		int64_t v = draft_value((const struct wr_elem *)rows->p);

		int64_t stops_at = wr_value_int(s->options, "fails_at", 0);

		draft_sum += v;
		draft_per_subtask[s->env->subtask]++;
		draft_input[rows->input]++;
		if (++draft_rows == stops_at)
			wr_job_stop(draft_job);
	}
	return WR_OK;
}

static inline int draft_end(struct wr_stage *s)
{
	(void)s;
	draft_ended++;
	return WR_OK;
}

static const struct wr_stage_ops draft_numbers_ops = {
    .kind = "numbers", .open = draft_open, .poll = draft_poll, .free = draft_free};
static const struct wr_stage_ops draft_pass_ops = {.kind = "pass", .rows = draft_pass};
static const struct wr_stage_ops draft_tally_ops = {.kind = "tally", .rows = draft_tally, .end = draft_end};
static const struct wr_stage_kind draft_kinds[] = {
    {"numbers", &draft_numbers_ops}, {"pass", &draft_pass_ops}, {"tally", &draft_tally_ops}};
static const struct wr_kind_list draft_lists[] = {{draft_kinds, 3}};

static inline struct wr_job_options draft_options(const struct wr_plan *p, uint32_t workers)
{
	return (struct wr_job_options){.plan = p,
				       .kinds = draft_lists,
				       .kind_lists = 1,
				       .workers = workers,
				       .buffer_size = 4096,
				       .timeout_us = 1000,
				       .clock = wr_clock_system()};
}

/* Runs it; the counters start at 0. */
static inline int draft_run(const struct draft *d, uint32_t workers)
{
	struct wr_plan *p = draft_plan(d);
	struct wr_job_options o = draft_options(p, workers);
	int rc;

	assert_non_null(p);
	draft_rows = draft_sum = draft_input[0] = draft_input[1] = draft_ended = 0;
	for (int i = 0; i < 64; i++)
		draft_per_subtask[i] = 0;
	draft_job = wr_job_new(&o);
	assert_non_null(draft_job);
	rc = wr_job_run(draft_job);
	wr_job_free(draft_job);
	wr_plan_free(p);
	return rc;
}
