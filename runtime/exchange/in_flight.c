/* SPDX-License-Identifier: Apache-2.0 */
/* in_flight: see in_flight.h. */
#include "exchange/in_flight.h"

#include "base/assert.h"
#include "base/mem.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.in_flight");

struct wr_in_flight *wr_in_flight_new(const struct wr_gate *g, uint64_t checkpoint)
{
	uint32_t count = wr_gate_count(g);
	struct wr_in_flight *f = wr_zalloc(&mem, sizeof *f + count * sizeof f->channels[0]);

	if (!f)
		return NULL;
	f->checkpoint = checkpoint;
	f->count = count;
	for (uint32_t i = 0; i < count; i++)
		f->channels[i].input = wr_gate_input(g, i);
	return f;
}

void wr_in_flight_free(struct wr_in_flight *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->count; i++)
		wr_bytes_deinit(&f->channels[i].rows);
	wr_free(&mem, f);
}

uint64_t wr_in_flight_bytes(const struct wr_in_flight *f)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < f->count; i++)
		bytes += f->channels[i].rows.len;
	return bytes;
}

static bool ends_recording(const struct wr_elem *e, uint64_t checkpoint)
{
	return wr_event_type(e) == WR_EV_END ||
	       (wr_event_type(e) == WR_EV_BARRIER && (uint64_t)e->ts == checkpoint);
}

struct waiting {
	uint64_t checkpoint;
	bool found;
};

static bool find(void *arg, struct wr_buffer *b)
{
	struct waiting *w = arg;

	for (const uint8_t *p = b->data + b->rows_len; p < b->data + b->len;
	     p += ((const struct wr_elem *)p)->len)
		w->found |= ends_recording((const struct wr_elem *)p, w->checkpoint);
	return !w->found;
}

bool wr_in_flight_waits(const struct wr_gate *g, uint32_t channel, uint64_t checkpoint,
			const struct wr_input *held)
{
	struct waiting w = {checkpoint, false};

	if (held && held->channel == channel)
		find(&w, held->buffer);
	if (!w.found)
		wr_gate_each(g, channel, find, &w);
	return w.found;
}

/* Where one stands in a channel. */
struct recording {
	struct wr_in_flight_channel *channel;
	uint64_t checkpoint;
	bool ended; /* the barrier or the channel's end is there */
};

static void record_events(struct recording *r, const uint8_t *p, const uint8_t *end)
{
	for (; p < end && !r->ended; p += ((const struct wr_elem *)p)->len) {
		const struct wr_elem *e = (const struct wr_elem *)p;

		r->ended = ends_recording(e, r->checkpoint);
		if (wr_event_type(e) == WR_EV_WATERMARK)
			wr_bytes_put(&r->channel->rows, e, e->len);
	}
}

/* The next buffer of the channel. */
static bool record(void *arg, struct wr_buffer *b)
{
	struct recording *r = arg;

	wr_bytes_put(&r->channel->rows, b->data, b->rows_len);
	record_events(r, b->data + b->rows_len, b->data + b->len);
	return !r->ended;
}

void wr_in_flight_record(struct wr_in_flight *f, const struct wr_gate *g, uint32_t channel,
			 const struct wr_input *held)
{
	struct recording r = {&f->channels[channel], f->checkpoint, false};
	const struct wr_buffer *partial = wr_gate_partial(g, channel);

	if (held && held->channel == channel)
		record(&r, held->buffer);
	if (partial)
		wr_bytes_put(&r.channel->rows, partial->data, partial->len);
	if (!r.ended)
		wr_gate_each(g, channel, record, &r);
}
