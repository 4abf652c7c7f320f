/* SPDX-License-Identifier: Apache-2.0 */
/* in_flight: see in_flight.h. */
#include "exchange/in_flight.h"

#include "base/assert.h"
#include "base/mem.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.in_flight");

struct wr_in_flight *wr_in_flight_new(const struct wr_gate *g, uint64_t checkpoint,
				      const struct wr_input *held)
{
	uint32_t count = wr_gate_count(g);
	struct wr_in_flight *f = wr_zalloc(&mem, sizeof *f + count * sizeof f->channels[0]);

	if (!f)
		return NULL;
	f->checkpoint = checkpoint;
	f->count = count;
	for (uint32_t i = 0; i < count; i++) {
		f->channels[i].input = wr_gate_input(g, i);
		f->channels[i].upto = wr_gate_read(g, i) - (held && held->channel == i);
	}
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
		wr_gate_each(g, channel, 0, find, &w);
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
	struct wr_in_flight_channel *c = r->channel;

	wr_bytes_put(&c->rows, b->data, b->rows_len);
	c->piece_len = b->fragment == WR_FRAGMENT ? c->piece_len + b->rows_len : 0;
	c->upto++;
	record_events(r, b->data + b->rows_len, b->data + b->len);
	return !r->ended;
}

/* A row whose pieces were read by now: what of it was not recorded. */
static void record_pieces(struct wr_in_flight_channel *c, const struct wr_buffer *row, uint32_t read)
{
	WR_ASSERT(c->piece_len <= row->len);
	wr_bytes_put(&c->rows, row->data + c->piece_len, row->len - c->piece_len);
	c->piece_len = row->len;
	c->upto = read;
}

/* A buffer that was read by now, perhaps a row whose pieces were: what of it was not recorded. */
static void record_read(struct recording *r, struct wr_buffer *b, uint32_t read)
{
	struct wr_in_flight_channel *c = r->channel;

	if ((int32_t)(read - c->upto) <= 0)
		return;
	if (!c->piece_len && read - c->upto == 1) {
		record(r, b);
		return;
	}
	record_pieces(c, b, read);
	c->piece_len = 0;
}

bool wr_in_flight_taken(struct wr_in_flight *f, const struct wr_gate *g, const struct wr_input *in)
{
	struct recording r = {&f->channels[in->channel], f->checkpoint, false};

	record_read(&r, in->buffer, wr_gate_read(g, in->channel));
	return r.ended;
}

bool wr_in_flight_look(struct wr_in_flight *f, const struct wr_gate *g, uint32_t channel,
		       const struct wr_input *held)
{
	struct recording r = {&f->channels[channel], f->checkpoint, false};
	const struct wr_buffer *partial = wr_gate_partial(g, channel);
	uint32_t read = wr_gate_read(g, channel);

	if (held && held->channel == channel)
		record_read(&r, held->buffer, read);
	if (partial && (int32_t)(read - r.channel->upto) >= 0)
		record_pieces(r.channel, partial, read);
	WR_ASSERT((int32_t)(read - r.channel->upto) <= 0);
	if (!r.ended)
		wr_gate_each(g, channel, r.channel->upto - read, record, &r);
	return r.ended;
}
