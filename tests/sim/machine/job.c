/* SPDX-License-Identifier: Apache-2.0 */
/* job: see job.h. A plan is written as text and read into a tagged value (cluster/PLAN.md). */
#include "sim/machine/job.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "sim/machine/machine.h"

enum { WIDE_FIELDS = 12 };

/* ---- text to value: JSON whose members are sorted ---- */

static const char *skip(const char *p)
{
	while (isspace((unsigned char)*p) || *p == ',' || *p == ':')
		p++;
	return p;
}

static const char *put_text(const char *p, struct wr_bytes *out, bool name)
{
	const char *end = strchr(p + 1, '"');
	char text[128];

	snprintf(text, sizeof text, "%.*s", (int)(end - p - 1), p + 1);
	if (name)
		wr_value_put_name(out, text);
	else
		wr_value_put_str(out, text);
	return end + 1;
}

static const char *put_value(const char *p, struct wr_bytes *out);

/* The members behind p, with their number in front. */
static const char *put_members(const char *p, struct wr_bytes *out, bool record)
{
	struct wr_bytes members = WR_BYTES_EMPTY;
	uint32_t count = 0;

	for (p = skip(p + 1); *p != '}' && *p != ']'; p = skip(p), count++) {
		if (record)
			p = skip(put_text(p, &members, true));
		p = put_value(p, &members);
	}
	if (record)
		wr_value_put_record(out, count);
	else
		wr_value_put_list(out, count);
	if (members.len)
		wr_bytes_put(out, members.data, members.len);
	wr_bytes_deinit(&members);
	return p + 1;
}

static const char *put_value(const char *p, struct wr_bytes *out)
{
	char *end;

	if (*p == '{' || *p == '[')
		return put_members(p, out, *p == '{');
	if (*p == '"')
		return put_text(p, out, false);
	if (*p == 't' || *p == 'f') {
		wr_value_put_bool(out, *p == 't');
		return p + (*p == 't' ? 4 : 5);
	}
	wr_value_put_i64(out, strtoll(p, &end, 10));
	return end;
}

/* ---- the plan ---- */

struct drawing {
	const struct sim_job *job;
	const struct sim_layout *layout;
	struct wr_bytes vertices, edges;
	uint32_t vertex, edge;
};

/* Event times are whole seconds, and the gaps of sessions are not: two that touch are one or two, as the
 * watermark comes between them or not. */

/* An edge from one vertex to another, by the key or in any other way. */
static uint32_t edge(struct drawing *d, uint32_t from, uint32_t to, bool keyed)
{
	static const char *const partitions[] = {"rebalance", "shuffle", "rescale"};

	wr_bytes_printf(
	    &d->edges,
	    "%s{\"from\":%u,\"input\":0,%s\"name\":\"e\",\"partition\":\"%s\",\"timeout\":500,\"to\":%u}",
	    d->edge ? "," : "", from, keyed ? "\"key\":[\"k\"]," : "",
	    keyed ? "hash" : partitions[d->layout->partition[to]], to);
	return d->edge++;
}

/* `late`: the targets of its late rows, if it has any. */
static void stage_of(struct drawing *d, const char *kind, const char *uid, const char *state,
		     const char *options, const char *targets, const char *late)
{
	wr_bytes_printf(
	    &d->vertices,
	    "{%s\"kind\":\"%s\",\"name\":\"%s\",\"operators\":[{\"id\":1,\"name\":\"%s\",\"uid\":\"%s\"}],",
	    state ? "\"key\":[\"k\"]," : "", kind, uid, uid, uid);
	wr_bytes_printf(&d->vertices, "\"options\":{%s},\"outs\":[", options);
	if (*targets)
		wr_bytes_printf(&d->vertices, "{\"tag\":\"\",\"targets\":[%s]}", targets);
	if (*late)
		wr_bytes_printf(&d->vertices, ",{\"tag\":\"late\",\"targets\":[%s]}", late);
	wr_bytes_printf(&d->vertices, "]");
	if (state)
		wr_bytes_printf(&d->vertices, ",\"states\":[{\"kind\":\"%s\",\"name\":\"value\"}]", state);
	wr_bytes_printf(&d->vertices, "}");
}

static void stage(struct drawing *d, const char *kind, const char *uid, const char *options,
		  const char *targets)
{
	stage_of(d, kind, uid, NULL, options, targets, "");
}

static void vertex_begin(struct drawing *d, const char *name, uint32_t inputs)
{
	wr_bytes_printf(&d->vertices,
			"%s{\"inputs\":%u,\"max_parallelism\":%u,\"name\":\"%s\",\"parallelism\":%u,"
			"\"slot_group\":\"default\",\"stages\":[",
			d->vertex ? "," : "", inputs, d->job->groups, name,
			d->layout->parallelism[d->vertex]);
}

static void vertex_end(struct drawing *d, const char *name)
{
	wr_bytes_printf(&d->vertices, "],\"uid\":\"%s\"}", name);
	d->vertex++;
}

/* With these fields few rows fill a page, and a source that catches up pauses on the way. */
static void put_wide(char *text, size_t room)
{
	size_t n = 0;

	for (uint32_t i = 0; i < WIDE_FIELDS; i++)
		n += (size_t)snprintf(
		    text + n, room - n,
		    ",{\"below\":2,\"kind\":\"cycle\",\"name\":\"w%u\",\"prefix\":\"%060u\"}", i, i);
}

static void source(struct drawing *d, uint32_t number)
{
	const struct sim_job *j = d->job;
	uint32_t next = j->sources, raw = j->vertex_count - 1;
	bool late = j->shape == SIM_LATE;
	char name[24], options[2048], targets[64], more[32] = "", wide[1536] = "";

	if (j->shape == SIM_BURST)
		put_wide(wide, sizeof wide);
	snprintf(name, sizeof name, "source%u", number);
	vertex_begin(d, name, 0);
	snprintf(options, sizeof options,
		 "\"count\":%u,\"fields\":["
		 "{\"below\":1,\"kind\":\"cycle\",\"name\":\"by\"},"
		 "{\"below\":%u,\"kind\":\"random\",\"name\":\"k\"},"
		 "{\"below\":1000000,\"every\":%u,\"kind\":\"cycle\",\"name\":\"ts\"},"
		 "{\"below\":1000000,\"kind\":\"cycle\",\"name\":\"v\"}%s],\"rate\":%u",
		 j->rows[number], j->keys, j->every[number], wide, j->rate);
	stage(d, "sequence", name, options, "{\"stage\":1}");
	wr_bytes_printf(&d->vertices, ",");
	if (j->shape == SIM_BURST) {
		snprintf(name, sizeof name, "halts%u", number);
		stage(d, "halting", name, "", "{\"stage\":2}");
		wr_bytes_printf(&d->vertices, ",");
	}
	snprintf(name, sizeof name, "marks%u", number);
	if (late)
		snprintf(options, sizeof options, "\"delay\":%u,\"every\":%u,\"mark_every\":%u,\"step\":%u",
			 j->delay, j->every[number], j->mark_every, j->step);
	else
		snprintf(options, sizeof options, "\"delay\":%u,\"every\":%u,\"field\":\"ts\",\"unit\":\"s\"",
			 j->delay, j->mark_every);
	if (j->raw && !late)
		snprintf(more, sizeof more, ",{\"edge\":%u}", edge(d, number, raw, false));
	snprintf(targets, sizeof targets, "{\"edge\":%u}%s", edge(d, number, next, !j->passes), more);
	stage(d, late ? "paced" : "watermarks", name, options, targets);
	vertex_end(d, name);
}

#define AGGREGATES                                                                                           \
	"\"aggregates\":[{\"as\":\"n\",\"fn\":\"count\"},{\"as\":\"v\",\"field\":\"v\",\"fn\":\"sum\"}],"
#define COUNTS "\"aggregates\":[{\"as\":\"v\",\"fn\":\"count\"}],"
#define KEY "\"key_as\":[\"k\"]"
#define EVENT ",\"time\":\"event\",\"window\":"
static const struct {
	const char *name, *kind, *state;
	struct {
		const char *head, *tail; /* options; what they say of late rows comes between */
	} of[SIM_KEYED];		 /* the first keyed operator, and the second if it has others */
} operators[SIM_OPERATORS] = {
    {"count", "aggregate", "value", {{"\"as\":\"v\",\"emit\":\"update\",\"fn\":\"count\"," KEY, ""}}},
    {"sum at end",
     "aggregate",
     "value",
     {{"\"as\":\"v\",\"emit\":\"final\",\"field\":\"v\",\"fn\":\"sum\"," KEY, ""}}},
    {"tumbling",
     "window",
     "value",
     {{AGGREGATES KEY, ",\"size\":10000" EVENT "\"tumbling\""},
      {COUNTS KEY, ",\"size\":20000" EVENT "\"tumbling\""}}},
    {"sliding",
     "window",
     "value",
     {{AGGREGATES KEY, ",\"size\":12000,\"slide\":4000" EVENT "\"sliding\""},
      {COUNTS KEY, ",\"size\":20000,\"slide\":10000" EVENT "\"sliding\""}}},
    {"session",
     "window",
     "value",
     {{AGGREGATES "\"gap\":2500," KEY, EVENT "\"session\""},
      {COUNTS "\"gap\":7500," KEY, EVENT "\"session\""}}},
    {"counted",
     "window",
     "value",
     {{COUNTS "\"at_end\":true,\"every\":7," KEY, ",\"purge\":true,\"time\":\"none\",\"window\":\"count\""}}},
    {"listed", "listed", "list", {{"", ""}}},
};

static void keyed(struct drawing *d, uint32_t number)
{
	const struct sim_job *j = d->job;
	enum sim_operator o = j->keyed[number];
	uint32_t at = d->vertex, own = operators[o].of[number].head ? number : 0;
	bool last = number + 1 == j->keyed_count, late = j->shape == SIM_LATE && number == 0;
	bool agrees = j->passes && number == 0;
	char name[24], targets[32], late_targets[32] = "", lateness[64] = "", options[512];

	snprintf(name, sizeof name, "keyed%u", number);
	vertex_begin(d, name, 1);
	if (agrees) {
		stage(d, "agrees", "agrees", "", "{\"stage\":1}");
		wr_bytes_printf(&d->vertices, ",");
	}
	snprintf(targets, sizeof targets, "{\"edge\":%u}", edge(d, at, at + 1, !last));
	if (late) {
		snprintf(lateness, sizeof lateness, ",\"late\":\"late\",\"lateness\":%u", j->lateness);
		snprintf(late_targets, sizeof late_targets, "{\"edge\":%u}",
			 edge(d, at, j->vertex_count - 1, false));
	}
	snprintf(options, sizeof options, "%s%s%s", operators[o].of[own].head, lateness,
		 operators[o].of[own].tail);
	stage_of(d, operators[o].kind, name, operators[o].state, options, targets, late_targets);
	vertex_end(d, name);
}

static void sink(struct drawing *d, const char *name)
{
	static const char *const kinds[SIM_SINKS] = {"target", "file_once", "rolling_files", "topics"};
	char options[256];

	vertex_begin(d, name, 1);
	if (d->job->sink == SIM_ROLLING)
		snprintf(options, sizeof options,
			 "%s\"format\":\"json\",\"path\":\"/sim/out/%s\",\"roll\":{\"rows\":%u}",
			 d->job->keys % 2 ? "\"bucket\":[{\"text\":\"k=\"},{\"field\":\"k\"}]," : "", name,
			 5 + d->job->rows[0] % 40);
	else
		snprintf(options, sizeof options, "\"format\":\"json\",\"path\":\"/sim/out/%s\"", name);
	stage(d, kinds[d->job->sink], name, options, "");
	vertex_end(d, name);
}

static void passes(struct drawing *d)
{
	char targets[32];

	vertex_begin(d, "passes", 1);
	snprintf(targets, sizeof targets, "{\"edge\":%u}", edge(d, d->vertex, d->vertex + 1, true));
	stage(d, "stamps", "passes", d->job->keyed_count ? "\"stamps\":true" : "", targets);
	vertex_end(d, "passes");
}

void sim_job_tell(const struct sim_job *j, char *text, size_t room)
{
	static const char *const sinks[] = {"a target", "files", "rolling files", "topics"};
	static const char *const shapes[SIM_SHAPES] = {
	    "", "late rows: ", "ends: ", "a source ahead: ", "bursts: ", "trials: ", "cuts: ", "deltas: "};
	int n = snprintf(text, room, "%s%u source%s of %u rows%s", shapes[j->shape], j->sources,
			 j->sources > 1 ? "s" : "", j->rows[0], j->passes ? ", a function" : "");

	for (uint32_t i = 0; i < j->keyed_count; i++)
		n += snprintf(text + n, room - (size_t)n, ", %s", operators[j->keyed[i]].name);
	snprintf(text + n, room - (size_t)n, ", %s%s", sinks[j->sink], j->raw ? " for two" : "");
}

struct wr_plan *sim_job_plan(const struct sim_job *j, const struct sim_layout *l)
{
	struct drawing d = {.job = j, .layout = l, .vertices = WR_BYTES_EMPTY, .edges = WR_BYTES_EMPTY};
	struct wr_bytes text = WR_BYTES_EMPTY, value = WR_BYTES_EMPTY;
	struct wr_plan *p;

	for (uint32_t i = 0; i < j->sources; i++)
		source(&d, i);
	if (j->passes)
		passes(&d);
	for (uint32_t i = 0; i < j->keyed_count; i++)
		keyed(&d, i);
	sink(&d, "sink");
	if (j->raw)
		sink(&d, "raw");
	wr_bytes_printf(&text,
			"{\"edges\":[%.*s],\"job\":{\"bounded\":true,\"name\":\"sim\",\"seed\":7},"
			"\"version\":1,\"vertices\":[%.*s]}",
			(int)d.edges.len, (const char *)d.edges.data, (int)d.vertices.len,
			(const char *)d.vertices.data);
	wr_bytes_put_u8(&text, 0);
	put_value((const char *)text.data, &value);
	p = wr_plan_decode(value.data, value.len);
	if (!p)
		machine_failed("a plan: %s: %s", wr_error_text(), (const char *)text.data);
	wr_bytes_deinit(&d.vertices);
	wr_bytes_deinit(&d.edges);
	wr_bytes_deinit(&text);
	wr_bytes_deinit(&value);
	return p;
}
