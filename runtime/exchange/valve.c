/* SPDX-License-Identifier: Apache-2.0 */
/* valve: the minimum of many watermarks (semantics.md K11–K21; K10 as decided there). */
#include "exchange/valve.h"

#include "base/assert.h"
#include "base/mem.h"
#include "record/element.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.valves");

struct channel {
	int64_t watermark;
	bool idle, aligned, ended;
};
struct wr_valve {
	uint32_t count, ended;
	int64_t emitted;
	bool idle;
	struct channel ch[];
};

struct wr_valve *wr_valve_new(uint32_t channels)
{
	struct wr_valve *v = wr_zalloc(&mem, sizeof *v + channels * sizeof *v->ch);

	if (!v)
		return NULL;
	v->count = channels;
	v->emitted = WR_TS_NONE;
	for (uint32_t i = 0; i < channels; i++)
		v->ch[i] = (struct channel){.watermark = WR_TS_NONE, .aligned = true};
	return v;
}

void wr_valve_free(struct wr_valve *v)
{
	wr_free(&mem, v);
}

static unsigned raise_to(struct wr_valve *v, int64_t wm)
{
	if (wm <= v->emitted)
		return 0;
	v->emitted = wm;
	return WR_VALVE_WATERMARK;
}

/* Minimum over aligned active channels (K15); nothing when there is none (K18). */
static unsigned emit_minimum(struct wr_valve *v)
{
	int64_t min = INT64_MAX;
	bool any = false;

	for (uint32_t i = 0; i < v->count; i++)
		if (v->ch[i].aligned && !v->ch[i].idle) {
			any = true;
			if (v->ch[i].watermark < min)
				min = v->ch[i].watermark;
		}
	return any ? raise_to(v, min) : 0;
}

static bool all_idle(const struct wr_valve *v)
{
	for (uint32_t i = 0; i < v->count; i++)
		if (!v->ch[i].idle)
			return false;
	return true;
}

unsigned wr_valve_on_watermark(struct wr_valve *v, uint32_t channel, int64_t watermark)
{
	struct channel *c = &v->ch[channel];

	WR_ASSERT(channel < v->count);
	if (c->idle || c->ended || watermark <= c->watermark) /* K16, K3 */
		return 0;
	c->watermark = watermark;
	if (!c->aligned && watermark >= v->emitted) /* K17 */
		c->aligned = true;
	return emit_minimum(v);
}

unsigned wr_valve_on_idle(struct wr_valve *v, uint32_t channel)
{
	struct channel *c = &v->ch[channel];
	unsigned actions = 0;

	WR_ASSERT(channel < v->count);
	if (c->idle || c->ended)
		return 0;
	c->idle = true;
	c->aligned = false;
	if (!all_idle(v))
		return emit_minimum(v);
	if (c->watermark == v->emitted) { /* K19: nothing that arrived is held back by silence */
		int64_t max = WR_TS_NONE;

		for (uint32_t i = 0; i < v->count; i++)
			if (v->ch[i].watermark > max)
				max = v->ch[i].watermark;
		actions = raise_to(v, max);
	}
	v->idle = true;
	return actions | WR_VALVE_IDLE;
}

unsigned wr_valve_on_active(struct wr_valve *v, uint32_t channel)
{
	struct channel *c = &v->ch[channel];
	unsigned actions = 0;

	WR_ASSERT(channel < v->count);
	if (!c->idle || c->ended)
		return 0;
	c->idle = false;
	c->aligned = c->watermark >= v->emitted; /* K17 */
	if (v->idle) {
		v->idle = false;
		actions = WR_VALVE_ACTIVE;
	}
	return actions;
}

/* An ended channel is one whose watermark is at the end of time; the others decide. */
unsigned wr_valve_on_end(struct wr_valve *v, uint32_t channel)
{
	struct channel *c = &v->ch[channel];
	unsigned actions = 0;

	WR_ASSERT(channel < v->count);
	if (c->ended)
		return 0;
	c->ended = true;
	v->ended++;
	if (c->idle && v->idle && v->ended == v->count) {
		v->idle = false;
		actions |= WR_VALVE_ACTIVE;
	}
	c->watermark = WR_TS_MAX;
	if (v->ended == v->count) {
		c->idle = false;
		c->aligned = true;
		return actions | raise_to(v, WR_TS_MAX) | WR_VALVE_END;
	}
	/* while others run it neither holds them back nor counts as one of them */
	c->idle = true;
	c->aligned = false;
	if (!all_idle(v))
		return actions | emit_minimum(v);
	if (!v->idle) {
		v->idle = true;
		actions |= WR_VALVE_IDLE;
	}
	return actions;
}

int64_t wr_valve_watermark(const struct wr_valve *v)
{
	return v->emitted;
}

bool wr_valve_idle(const struct wr_valve *v)
{
	return v->idle;
}

void wr_valve_channel(const struct wr_valve *v, uint32_t channel, int64_t *watermark, bool *idle,
		      bool *aligned)
{
	*watermark = v->ch[channel].watermark;
	*idle = v->ch[channel].idle && !v->ch[channel].ended;
	*aligned = v->ch[channel].aligned;
}
