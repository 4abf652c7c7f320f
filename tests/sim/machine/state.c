/* SPDX-License-Identifier: Apache-2.0 */
/* state: see job.h, sim_job_check_state. Looks into the folder of checkpoints as `weir savepoint get` does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "checkpoint/block.h"
#include "checkpoint/manifest.h"
#include "connect/pattern.h"
#include "record/row.h"
#include "savepoint/look.h"
#include "sim/machine/job.h"
#include "sim/machine/machine.h"

enum { KEYS = 64, ROWS = 4096 };

static struct wr_mem mem = WR_MEM_INIT("test.state");

struct look {
	const struct sim_job *job;
	const struct wr_plan *plan;
	struct wr_look *look;
	struct wr_arena arena;
	struct wr_manifest manifest;
	double expected[KEYS], got[KEYS];
	uint32_t left; /* rows that are still to be read */
};

static struct wr_value *parse(struct look *l, const uint8_t *p, uint32_t len)
{
	struct wr_value *v = wr_arena_alloc(&l->arena, sizeof *v);
	struct wr_reader r = wr_reader_of(p, len);

	if (!v || wr_value_parse(&r, &l->arena, v) != WR_OK)
		machine_failed("a checkpoint cannot be read: %s", wr_error_text());
	return v;
}

/* Marks what the lanes of all subtasks have before them. */
static void read_positions(struct look *l, uint32_t source, bool left[ROWS])
{
	for (uint32_t i = 0; i < l->manifest.vertices[source].parallelism; i++) {
		const struct wr_value *lanes;
		const uint8_t *value;
		uint32_t len;

		if (!l->manifest.vertices[source].tasks[i].blob ||
		    wr_look_own(l->look, source, WR_BLOCK_OPERATOR, 0, i, &value, &len) != WR_OK || !len)
			continue;
		lanes = parse(l, value, len);
		for (uint32_t k = 0; k < lanes->count; k++)
			for (int64_t n = lanes->items[k].items[0].i64; n < l->job->rows[source];
			     n += lanes->items[k].items[1].i64) {
				left[n] = true;
				l->left++;
			}
	}
}

static double number_in(const struct wr_elem *row, const char *field)
{
	return wr_row_lookup(row, field, (uint32_t)strlen(field)).f64;
}

static void replay(struct look *l, uint32_t source)
{
	struct wr_pattern *p = wr_pattern_new(l->plan->vertices[source].stages[0].options);
	_Alignas(8) uint8_t row[1024];
	bool left[ROWS] = {false};
	size_t len;

	read_positions(l, source, left);
	for (uint32_t n = 0; n < l->job->rows[source]; n++) {
		if (left[n])
			continue;
		wr_pattern_run(p, n, 1, row, sizeof row, &len);
		l->expected[(uint32_t)number_in((struct wr_elem *)row, "k")] +=
		    l->job->keyed[0] == SIM_COUNT ? 1 : number_in((struct wr_elem *)row, "v");
	}
	wr_pattern_free(p);
}

static double number_of(const char *json, uint32_t len)
{
	char text[64];

	snprintf(text, sizeof text, "%.*s", (int)len, json);
	return strtod(text, NULL);
}

static void read_state(struct look *l, uint32_t vertex)
{
	uint32_t stage = l->job->passes; /* behind the one that agrees with the functions */

	for (uint32_t g = 0; g < l->manifest.vertices[vertex].max_parallelism; g++) {
		const struct wr_look_item *items;
		uint32_t count, len;

		if (wr_look_group(l->look, vertex, stage, g, &items, &count) != WR_OK)
			machine_failed("the state of a checkpoint cannot be read");
		for (uint32_t i = 0; i < count; i++) {
			const char *key = wr_look_key_json(l->look, items[i].key, items[i].key_len, &len);
			double k = number_of(key, len);

			if (items[i].timer >= 0)
				continue;
			key = wr_look_json(l->look, &items[i], &len);
			l->got[(uint32_t)k] += number_of(key, len);
		}
	}
}

static void compare(struct look *l)
{
	const uint8_t *p;
	uint32_t len;

	p = wr_look_manifest(l->look, &len);
	if (wr_manifest_of(parse(l, p, len), &l->arena, &l->manifest) != WR_OK)
		machine_failed("a manifest cannot be read: %s", wr_error_text());
	if (l->manifest.finished)
		return;
	for (uint32_t s = 0; s < l->job->sources; s++)
		replay(l, s);
	if (!l->left) /* the operator may have ended */
		return;
	read_state(l, l->job->sources + l->job->passes);
	machine_counts[STATES]++;
	for (uint32_t k = 0; k < KEYS; k++)
		if (l->got[k] != l->expected[k])
			machine_failed("checkpoint %llu has %g for key %u, and the rows before its positions "
				       "come to %g",
				       (unsigned long long)l->manifest.checkpoint, l->got[k], k,
				       l->expected[k]);
}

void sim_job_check_state(const struct sim_job *j, const struct wr_plan *plan)
{
	struct look l = {.job = j, .plan = plan};

	if (!j->keyed_count || j->keyed[0] > SIM_SUM_AT_END)
		return;
	l.look = wr_look_open("/sim/job");
	if (!l.look) /* there is none yet, or the run itself will say what is wrong */
		return;
	wr_arena_init(&l.arena, &mem);
	compare(&l);
	wr_arena_deinit(&l.arena);
	wr_look_close(l.look);
}
