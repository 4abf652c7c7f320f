/* SPDX-License-Identifier: Apache-2.0 */
/* combine: the minimum of a few watermarks (semantics.md K11–K13, K21). */
#include "exchange/combine.h"

#include "base/assert.h"
#include "record/element.h"

void wr_combine_init(struct wr_combine *c, struct wr_combine_part *parts)
{
	*c = (struct wr_combine){.parts = parts, .watermark = WR_TS_NONE};
}

static bool update(struct wr_combine *c)
{
	int64_t min = WR_TS_MAX, max = WR_TS_NONE, combined;
	uint32_t at_end = 0;
	bool idle = true;

	if (!c->count)
		return false;
	for (uint32_t i = 0; i < c->count; i++) {
		const struct wr_combine_part *p = &c->parts[i];

		if (p->watermark == WR_TS_MAX) { /* holds nobody back, and does not speak for the others */
			at_end++;
			continue;
		}
		if (p->watermark > max)
			max = p->watermark;
		if (p->idle)
			continue;
		idle = false;
		if (p->watermark < min)
			min = p->watermark;
	}
	c->idle = idle && at_end < c->count;
	combined = c->idle ? max : min;
	if (combined <= c->watermark)
		return false;
	c->watermark = combined;
	return true;
}

void wr_combine_add(struct wr_combine *c)
{
	c->parts[c->count++] = (struct wr_combine_part){.watermark = WR_TS_NONE};
	c->idle = false;
}

bool wr_combine_watermark(struct wr_combine *c, uint32_t part, int64_t watermark)
{
	struct wr_combine_part *p = &c->parts[part];

	WR_ASSERT(part < c->count);
	p->idle = false;
	if (watermark > p->watermark)
		p->watermark = watermark;
	return update(c);
}

bool wr_combine_idle(struct wr_combine *c, uint32_t part, bool idle)
{
	WR_ASSERT(part < c->count);
	c->parts[part].idle = idle;
	return update(c);
}

bool wr_combine_remove(struct wr_combine *c, uint32_t part)
{
	WR_ASSERT(part < c->count);
	c->parts[part] = c->parts[--c->count];
	return update(c);
}
