/* SPDX-License-Identifier: Apache-2.0 */
/* gate: many channels as one sequence of buffers. */
#include "exchange/gate.h"

#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.gates");

enum { PREFERRED_MAX = 8 /* buffers in a row from the channel that is behind, while it says no time */ };

struct port { /* one channel's end */
	_Atomic(struct wr_channel *) channel;
	uint32_t input;
	bool blocked, ended;
	struct wr_buffer *whole; /* a row larger than a buffer, as far as it came */
};
struct beginning {		  /* of a channel that holds something of an earlier one first */
	struct wr_channel *first; /* NULL: it does not; others may look at it as long as the gate lives */
	struct wr_channel *then;  /* what follows, NULL: that is read */
};
struct wr_gate {
	struct beginning *beginnings; /* by channel, or NULL */
	uint32_t count, ended;	      /* channels, and those of them that have ended */
	uint32_t next;		      /* where round robin looks first */
	uint32_t behind;	      /* the channel to prefer, count = none */
	uint32_t preferred;	      /* buffers it was preferred for since it was set */
	struct port ports[];
};

struct wr_gate *wr_gate_new(const struct wr_gate_channel *channels, uint32_t count)
{
	struct wr_gate *g = wr_zalloc(&mem, sizeof *g + count * sizeof *g->ports);

	if (!g)
		return NULL;
	g->count = g->behind = count;
	for (uint32_t i = 0; i < count; i++) {
		atomic_init(&g->ports[i].channel, channels[i].channel);
		g->ports[i].input = channels[i].input;
	}
	return g;
}

void wr_gate_free(struct wr_gate *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->count; i++) {
		if (g->ports[i].whole)
			wr_buffer_unref(g->ports[i].whole);
		if (g->beginnings && g->beginnings[i].first)
			g->beginnings[i].first->ops->free(g->beginnings[i].first);
	}
	wr_free(&mem, g->beginnings);
	wr_free(&mem, g);
}

uint32_t wr_gate_count(const struct wr_gate *g)
{
	return g->count;
}

uint32_t wr_gate_input(const struct wr_gate *g, uint32_t channel)
{
	WR_ASSERT(channel < g->count);
	return g->ports[channel].input;
}

uint32_t wr_gate_queued(const struct wr_gate *g, uint32_t channel)
{
	struct wr_channel *c;

	WR_ASSERT(channel < g->count);
	c = atomic_load_explicit(&g->ports[channel].channel, memory_order_relaxed);
	return c->ops->queued(c);
}

static struct wr_channel *channel_of(const struct port *p)
{
	return atomic_load_explicit(&p->channel, memory_order_relaxed);
}

/* What the channel began with is read to its end: is there something behind it? */
static bool go_on(struct wr_gate *g, struct port *p)
{
	struct beginning *b = &g->beginnings[p - g->ports];

	if (!b->then)
		return false;
	atomic_store_explicit(&p->channel, b->then, memory_order_relaxed);
	b->then = NULL;
	return !wr_ring_empty(channel_of(p));
}

static bool port_filled(struct wr_gate *g, struct port *p)
{
	if (p->blocked || p->ended)
		return false;
	return !wr_ring_empty(channel_of(p)) || (WR_UNLIKELY(g->beginnings != NULL) && go_on(g, p));
}

int wr_gate_begin_with(struct wr_gate *g, uint32_t channel, struct wr_channel *first)
{
	struct port *p = &g->ports[channel];

	WR_ASSERT(channel < g->count);
	if (!g->beginnings)
		g->beginnings = wr_zalloc(&mem, g->count * sizeof *g->beginnings);
	if (!g->beginnings) {
		first->ops->free(first);
		return WR_EFATAL;
	}
	WR_ASSERT(!g->beginnings[channel].first);
	g->beginnings[channel] = (struct beginning){first, channel_of(p)};
	atomic_store_explicit(&p->channel, first, memory_order_relaxed);
	return WR_OK;
}

struct looking { /* into one ring, and then into the next */
	bool (*each)(void *arg, struct wr_buffer *b);
	void *arg;
	bool stopped;
};

static bool look(void *arg, struct wr_buffer *b)
{
	struct looking *l = arg;

	l->stopped = !l->each(l->arg, b);
	return !l->stopped;
}

void wr_gate_each(const struct wr_gate *g, uint32_t channel, bool (*each)(void *arg, struct wr_buffer *b),
		  void *arg)
{
	const struct port *p = &g->ports[channel];
	struct looking l = {each, arg, false};

	WR_ASSERT(channel < g->count);
	wr_ring_each(channel_of(p), look, &l);
	if (g->beginnings && g->beginnings[channel].then && !l.stopped)
		wr_ring_each(g->beginnings[channel].then, look, &l);
}

const struct wr_buffer *wr_gate_partial(const struct wr_gate *g, uint32_t channel)
{
	WR_ASSERT(channel < g->count);
	return g->ports[channel].whole;
}

/* The channel that is behind, or the next filled one behind the last one; count if there is none. */
static uint32_t round_robin(struct wr_gate *g)
{
	if (g->behind < g->count && g->preferred < PREFERRED_MAX && port_filled(g, &g->ports[g->behind])) {
		g->preferred++;
		return g->behind;
	}
	g->preferred = 0;
	for (uint32_t i = 0; i < g->count; i++) {
		uint32_t at = g->next + i < g->count ? g->next + i : g->next + i - g->count;

		if (port_filled(g, &g->ports[at])) {
			g->next = at + 1 < g->count ? at + 1 : 0;
			return at;
		}
	}
	return g->count;
}

static uint32_t chosen(struct wr_gate *g, uint32_t (*choose)(void *arg, uint32_t n), void *arg)
{
	uint32_t filled = 0, want;

	for (uint32_t i = 0; i < g->count; i++)
		filled += port_filled(g, &g->ports[i]);
	if (!filled)
		return g->count;
	want = choose(arg, filled);
	WR_ASSERT(want < filled);
	for (uint32_t i = 0;; i++)
		if (port_filled(g, &g->ports[i]) && want-- == 0)
			return i;
}

/* Adds a piece to the row, whose header in the first one says the length. WR_AGAIN while more are to come. */
static int assemble(struct port *p, struct wr_buffer **buffer)
{
	struct wr_buffer *piece = *buffer, *whole = p->whole;
	bool last = piece->fragment == WR_FRAGMENT_LAST;

	if (!whole)
		whole = p->whole = wr_buffer_alone(((const struct wr_elem *)piece->data)->len);
	if (!whole) {
		wr_buffer_unref(piece);
		return WR_EFATAL;
	}
	WR_ASSERT(piece->len <= whole->size - whole->len);
	memcpy(whole->data + whole->len, piece->data, piece->len);
	whole->len += piece->len;
	wr_buffer_unref(piece);
	if (!last)
		return WR_AGAIN;
	WR_ASSERT(whole->len == whole->size);
	whole->rows_len = whole->len;
	whole->row_count = 1;
	p->whole = NULL;
	*buffer = whole;
	return WR_OK;
}

/* Takes what is in front of a filled channel; WR_AGAIN while it is a piece. */
static int take(struct wr_gate *g, uint32_t at, struct wr_input *out)
{
	struct port *p = &g->ports[at];

	out->buffer = wr_ring_pop(channel_of(p));
	out->channel = at;
	out->input = p->input;
	return WR_UNLIKELY(out->buffer->fragment) ? assemble(p, &out->buffer) : WR_OK;
}

int wr_gate_next(struct wr_gate *g, struct wr_input *out, uint32_t (*choose)(void *arg, uint32_t n),
		 void *arg)
{
	int rc;

	do {
		uint32_t at = choose ? chosen(g, choose, arg) : round_robin(g);

		if (at == g->count)
			return g->ended == g->count ? WR_END : WR_AGAIN;
		rc = take(g, at, out);
	} while (rc == WR_AGAIN);
	return rc;
}

int wr_gate_next_from(struct wr_gate *g, uint32_t channel, struct wr_input *out)
{
	int rc = WR_AGAIN;

	WR_ASSERT(channel < g->count);
	while (rc == WR_AGAIN && port_filled(g, &g->ports[channel]))
		rc = take(g, channel, out);
	return rc;
}

void wr_gate_prefer(struct wr_gate *g, int64_t channel)
{
	WR_ASSERT(channel < (int64_t)g->count);
	g->behind = channel < 0 ? g->count : (uint32_t)channel;
	g->preferred = 0;
}

void wr_gate_block(struct wr_gate *g, uint32_t channel)
{
	WR_ASSERT(channel < g->count);
	g->ports[channel].blocked = true;
}

void wr_gate_unblock_all(struct wr_gate *g)
{
	for (uint32_t i = 0; i < g->count; i++)
		g->ports[i].blocked = false;
}

void wr_gate_end(struct wr_gate *g, uint32_t channel)
{
	WR_ASSERT(channel < g->count && !g->ports[channel].ended && !g->ports[channel].whole);
	g->ports[channel].ended = true;
	g->ended++;
}
