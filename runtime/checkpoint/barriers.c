/* SPDX-License-Identifier: Apache-2.0 */
/* barriers: see barriers.h. */
#include "checkpoint/barriers.h"

#include <string.h>
#include "base/assert.h"
#include "base/mem.h"

struct wr_barriers {
	uint64_t pending, passed;
	uint64_t recording;	    /* the one that overtook, 0 = none; equals `passed` */
	uint32_t channels, arrived; /* arrived: of the pending one, ended channels included */
	uint32_t ended;
	uint32_t unrecorded; /* channels in which the barrier or the end was not found yet */
	bool exactly_once;
	struct channel {
		uint64_t brought; /* newest barrier */
		bool ended;
	} channel[];
};

static struct wr_mem mem = WR_MEM_INIT("checkpoint.barriers");

struct wr_barriers *wr_barriers_new(uint32_t channels, bool exactly_once)
{
	struct wr_barriers *b = wr_zalloc(&mem, sizeof *b + channels * sizeof b->channel[0]);

	WR_ASSERT(channels > 0);
	if (!b)
		return NULL;
	b->channels = channels;
	b->exactly_once = exactly_once;
	return b;
}

void wr_barriers_free(struct wr_barriers *b)
{
	wr_free(&mem, b);
}

static unsigned drop_recording(struct wr_barriers *b)
{
	unsigned actions = b->recording ? WR_BARRIER_DROP : 0;

	b->recording = 0;
	return actions;
}

/* One channel more has the barrier, or its end, behind what was recorded of it. */
static unsigned recorded(struct wr_barriers *b)
{
	WR_ASSERT(b->unrecorded > 0);
	if (--b->unrecorded > 0)
		return 0;
	b->recording = 0;
	return WR_BARRIER_WHOLE;
}

/* Alignment of `id` begins; one that was under way is given up (C3). */
static unsigned begin(struct wr_barriers *b, uint64_t id)
{
	unsigned actions = drop_recording(b) | (b->pending ? WR_BARRIER_UNBLOCK : 0);

	b->pending = id;
	b->arrived = b->ended;
	return actions;
}

static unsigned complete(struct wr_barriers *b)
{
	if (!b->pending || b->arrived < b->channels)
		return 0;
	b->passed = b->pending;
	b->pending = 0;
	return WR_BARRIER_UNBLOCK | WR_BARRIER_PASS;
}

unsigned wr_barriers_on_barrier(struct wr_barriers *b, uint32_t channel, uint64_t id)
{
	struct channel *c = &b->channel[channel];
	unsigned actions = 0, done;

	WR_ASSERT(channel < b->channels && !c->ended);
	if (id == b->recording && id > c->brought)
		return wr_barriers_on_recorded(b, channel);
	if (id <= b->passed || id < b->pending || id <= c->brought)
		return 0;
	if (id > b->pending)
		actions = begin(b, id);
	c->brought = id;
	b->arrived++;
	done = complete(b);
	if (done)
		return actions | done;
	return b->exactly_once ? actions | WR_BARRIER_BLOCK : actions;
}

unsigned wr_barriers_on_end(struct wr_barriers *b, uint32_t channel)
{
	struct channel *c = &b->channel[channel];

	unsigned actions = wr_barriers_records(b, channel) ? wr_barriers_on_recorded(b, channel) : 0;

	WR_ASSERT(channel < b->channels && !c->ended);
	c->ended = true;
	b->ended++;
	if (b->pending && c->brought != b->pending)
		b->arrived++;
	return actions | complete(b);
}

unsigned wr_barriers_on_trigger(struct wr_barriers *b, uint64_t id)
{
	unsigned actions = 0;

	if (id <= b->passed || id < b->pending)
		return 0;
	if (id > b->pending)
		actions = begin(b, id);
	return actions | complete(b);
}

unsigned wr_barriers_on_timeout(struct wr_barriers *b, uint64_t id)
{
	unsigned actions = 0;

	if (!b->exactly_once || id <= b->passed || id < b->pending)
		return 0;
	if (id > b->pending)
		actions = begin(b, id);
	b->passed = b->recording = id;
	b->pending = 0;
	b->unrecorded = b->channels - b->arrived;
	actions |= WR_BARRIER_UNBLOCK | WR_BARRIER_PASS;
	if (b->unrecorded > 0)
		return actions;
	b->recording = 0;
	return actions | WR_BARRIER_WHOLE;
}

bool wr_barriers_awaits(const struct wr_barriers *b, uint32_t channel, uint64_t id)
{
	WR_ASSERT(channel < b->channels);
	return !b->channel[channel].ended && b->channel[channel].brought < id;
}

bool wr_barriers_records(const struct wr_barriers *b, uint32_t channel)
{
	const struct channel *c = &b->channel[channel];

	WR_ASSERT(channel < b->channels);
	return b->recording && !c->ended && c->brought != b->recording;
}

unsigned wr_barriers_on_recorded(struct wr_barriers *b, uint32_t channel)
{
	WR_ASSERT(wr_barriers_records(b, channel));
	b->channel[channel].brought = b->recording;
	return recorded(b);
}

unsigned wr_barriers_on_abort(struct wr_barriers *b, uint64_t id)
{
	unsigned actions = b->recording && b->recording <= id ? drop_recording(b) : 0;

	if (id > b->passed)
		b->passed = id;
	if (!b->pending || b->pending > id)
		return actions;
	b->pending = 0;
	return actions | WR_BARRIER_UNBLOCK;
}

uint64_t wr_barriers_passed(const struct wr_barriers *b)
{
	return b->passed;
}

uint64_t wr_barriers_pending(const struct wr_barriers *b)
{
	return b->pending;
}

void wr_barriers_restore(struct wr_barriers *b, uint64_t id)
{
	b->passed = id;
}
