/* SPDX-License-Identifier: Apache-2.0 */
/* valve: the minimum of many watermarks (semantics.md K15–K21; K10 as decided there).
 *
 * Invariant of a side, after every event: no channel that counts is above `emitted` alone,
 * that is, emitted ≥ the minimum over the channels that count; and each of them is ≥ emitted.
 */
#include "exchange/valve.h"

#include "base/assert.h"
#include "base/mem.h"
#include "exchange/combine.h"
#include "record/element.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.valves");

enum { SIDES = 2 };

struct channel {
	int64_t watermark;
	uint32_t input;
	bool idle, aligned, ended;
};
struct side { /* the channels of one input */
	uint32_t count, idle_count;
	uint32_t at_end; /* channels whose watermark is MAX */
	int64_t emitted;
};
struct wr_valve {
	uint32_t count, ended;
	struct side sides[SIDES];
	struct wr_combine combine; /* of the sides that have channels */
	struct wr_combine_part parts[SIDES];
	struct channel ch[];
};

static void sides_combine(struct wr_valve *v)
{
	wr_combine_init(&v->combine, v->parts);
	for (int i = 0; i < SIDES; i++)
		if (v->sides[i].count)
			wr_combine_add(&v->combine);
}

struct wr_valve *wr_valve_new(uint32_t channels)
{
	struct wr_valve *v = wr_zalloc(&mem, sizeof *v + channels * sizeof *v->ch);

	WR_ASSERT(channels > 0);
	if (!v)
		return NULL;
	v->count = v->sides[0].count = channels;
	for (int i = 0; i < SIDES; i++)
		v->sides[i].emitted = WR_TS_NONE;
	for (uint32_t i = 0; i < channels; i++)
		v->ch[i] = (struct channel){.watermark = WR_TS_NONE, .aligned = true};
	sides_combine(v);
	return v;
}

void wr_valve_input(struct wr_valve *v, uint32_t channel, uint32_t input)
{
	WR_ASSERT(channel < v->count && input < SIDES);
	v->sides[v->ch[channel].input].count--;
	v->ch[channel].input = input;
	v->sides[input].count++;
	sides_combine(v);
}

void wr_valve_free(struct wr_valve *v)
{
	wr_free(&mem, v);
}

/* ---- one side ---- */

static bool side_raise(struct side *s, int64_t wm)
{
	if (wm <= s->emitted)
		return false;
	s->emitted = wm;
	return true;
}

/* Minimum over aligned active channels (K15); nothing when there is none (K18). A channel at the end of time
 * holds nobody back, and event time ends for all together: another that is only idle may come back. */
static bool side_minimum(struct wr_valve *v, uint32_t input)
{
	struct side *s = &v->sides[input];
	int64_t min = WR_TS_MAX;

	for (uint32_t i = 0; i < v->count; i++) {
		const struct channel *c = &v->ch[i];

		if (c->input == input && c->aligned && c->watermark < min)
			min = c->watermark;
	}
	return (min < WR_TS_MAX || s->at_end == s->count) && side_raise(s, min);
}

static bool side_maximum(struct wr_valve *v, uint32_t input)
{
	int64_t max = WR_TS_NONE;

	for (uint32_t i = 0; i < v->count; i++)
		if (v->ch[i].input == input && v->ch[i].watermark > max && v->ch[i].watermark < WR_TS_MAX)
			max = v->ch[i].watermark;
	return side_raise(&v->sides[input], max);
}

/* All that have not ended are silent. */
static bool side_idle(const struct side *s)
{
	return s->at_end < s->count && s->idle_count + s->at_end == s->count;
}

/* ---- the sides as one ---- */

static uint32_t part_of(const struct wr_valve *v, uint32_t input)
{
	return v->combine.count == 1 ? 0 : input;
}

static unsigned pass_watermark(struct wr_valve *v, uint32_t input)
{
	bool rose = wr_combine_watermark(&v->combine, part_of(v, input), v->sides[input].emitted);

	return rose ? WR_VALVE_WATERMARK : 0;
}

/* K20: said only when the whole turns. */
static unsigned pass_idle(struct wr_valve *v, uint32_t input)
{
	bool was = v->combine.idle;
	unsigned actions = 0;

	if (wr_combine_idle(&v->combine, part_of(v, input), side_idle(&v->sides[input])))
		actions |= WR_VALVE_WATERMARK;
	if (was != v->combine.idle)
		actions |= was ? WR_VALVE_ACTIVE : WR_VALVE_IDLE;
	return actions;
}

/* ---- events ---- */

/* What several steps did to the idleness of the whole, said as one. */
static unsigned turned(const struct wr_valve *v, bool was, unsigned actions)
{
	actions &= ~(unsigned)(WR_VALVE_ACTIVE | WR_VALVE_IDLE);
	if (was != v->combine.idle)
		actions |= was ? WR_VALVE_ACTIVE : WR_VALVE_IDLE;
	return actions;
}

/* A channel came to the end of time: the others decide, if there are others. */
static unsigned channel_at_end(struct wr_valve *v, const struct channel *c)
{
	struct side *s = &v->sides[c->input];
	bool was = v->combine.idle;
	unsigned actions;

	s->at_end++;
	if (side_idle(s))
		side_maximum(v, c->input);
	else
		side_minimum(v, c->input);
	actions = pass_watermark(v, c->input) | pass_idle(v, c->input);
	return turned(v, was, actions);
}

unsigned wr_valve_on_watermark(struct wr_valve *v, uint32_t channel, int64_t watermark)
{
	struct channel *c = &v->ch[channel];

	WR_ASSERT(channel < v->count);
	if (c->idle || c->ended || watermark <= c->watermark) /* K16, K3 */
		return 0;
	c->watermark = watermark;
	if (watermark >= v->sides[c->input].emitted) /* K17 */
		c->aligned = true;
	if (watermark == WR_TS_MAX)
		return channel_at_end(v, c);
	return side_minimum(v, c->input) ? pass_watermark(v, c->input) : 0;
}

unsigned wr_valve_on_idle(struct wr_valve *v, uint32_t channel)
{
	struct channel *c = &v->ch[channel];
	struct side *s = &v->sides[c->input];
	unsigned actions = 0;

	WR_ASSERT(channel < v->count);
	if (c->idle || c->watermark == WR_TS_MAX) /* nobody waits for one at the end of time */
		return 0;
	c->idle = true;
	c->aligned = false;
	s->idle_count++;
	if (!side_idle(s))
		return side_minimum(v, c->input) ? pass_watermark(v, c->input) : 0;
	if (c->watermark == s->emitted && side_maximum(v, c->input)) /* K19 */
		actions = pass_watermark(v, c->input);
	return actions | pass_idle(v, c->input);
}

static unsigned channel_activate(struct wr_valve *v, struct channel *c)
{
	struct side *s = &v->sides[c->input];
	bool was_idle = side_idle(s);
	unsigned actions;

	c->idle = false;
	s->idle_count--;
	c->aligned = c->watermark >= s->emitted; /* K17 */
	actions = was_idle ? pass_idle(v, c->input) : 0;
	return side_minimum(v, c->input) ? actions | pass_watermark(v, c->input) : actions;
}

unsigned wr_valve_on_active(struct wr_valve *v, uint32_t channel)
{
	struct channel *c = &v->ch[channel];

	WR_ASSERT(channel < v->count);
	if (!c->idle)
		return 0;
	return channel_activate(v, c);
}

unsigned wr_valve_on_end(struct wr_valve *v, uint32_t channel)
{
	struct channel *c = &v->ch[channel];
	bool was = v->combine.idle;
	unsigned actions = 0;

	WR_ASSERT(channel < v->count);
	if (c->ended)
		return 0;
	if (c->idle)
		actions |= channel_activate(v, c);
	actions |= wr_valve_on_watermark(v, channel, WR_TS_MAX);
	actions =
	    turned(v, was, actions); /* one that was idle may have woken the whole and let it rest again */
	c->ended = true;
	if (++v->ended == v->count)
		actions |= WR_VALVE_END;
	return actions;
}

int64_t wr_valve_watermark(const struct wr_valve *v)
{
	return v->combine.watermark;
}

bool wr_valve_idle(const struct wr_valve *v)
{
	return v->combine.idle;
}

void wr_valve_channel(const struct wr_valve *v, uint32_t channel, int64_t *watermark, bool *idle,
		      bool *aligned)
{
	WR_ASSERT(channel < v->count);
	*watermark = v->ch[channel].watermark;
	*idle = v->ch[channel].idle;
	*aligned = v->ch[channel].aligned;
}
