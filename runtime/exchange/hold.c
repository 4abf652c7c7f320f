/* SPDX-License-Identifier: Apache-2.0 */
/* hold: who keeps a watermark back; see hold.h. */
#include "exchange/hold.h"

#include "base/assert.h"
#include "record/element.h"

void wr_hold_init(struct wr_hold *h, struct wr_hold_part *parts, uint32_t count)
{
	h->parts = parts;
	h->count = count;
	wr_metric_set(&h->holder, -1);
	wr_metric_set(&h->since, 0);
	for (uint32_t i = 0; i < count; i++) {
		wr_metric_set(&parts[i].watermark, WR_TS_NONE);
		wr_metric_set(&parts[i].idle, 0);
		wr_metric_set(&parts[i].held_ns, 0);
	}
}

static int64_t holder(const struct wr_hold *h)
{
	int64_t low = WR_TS_MAX, high = WR_TS_NONE, at = -1;
	uint32_t active = 0;

	for (uint32_t i = 0; i < h->count; i++) {
		int64_t wm = wr_metric_get(&h->parts[i].watermark);

		if (wm == WR_TS_MAX || wr_metric_get(&h->parts[i].idle))
			continue;
		active++;
		if (wm < low) {
			low = wm;
			at = i;
		}
		if (wm > high)
			high = wm;
	}
	return active > 1 && low < high ? at : -1;
}

void wr_hold_set(struct wr_hold *h, uint32_t part, int64_t watermark, bool idle, uint64_t now_ns)
{
	int64_t before = wr_metric_get(&h->holder);

	WR_ASSERT(part < h->count);
	wr_metric_set(&h->parts[part].watermark, watermark);
	wr_metric_set(&h->parts[part].idle, idle);
	if (before >= 0)
		wr_metric_add(&h->parts[before].held_ns, (int64_t)now_ns - wr_metric_get(&h->since));
	wr_metric_set(&h->since, (int64_t)now_ns);
	wr_metric_set(&h->holder, holder(h));
}

int64_t wr_hold_ns(const struct wr_hold *h, uint32_t part, uint64_t now_ns)
{
	int64_t ns = wr_metric_get(&h->parts[part].held_ns);

	if (wr_metric_get(&h->holder) == part && (int64_t)now_ns > wr_metric_get(&h->since))
		ns += (int64_t)now_ns - wr_metric_get(&h->since);
	return ns;
}
