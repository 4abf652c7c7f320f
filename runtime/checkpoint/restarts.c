/* SPDX-License-Identifier: Apache-2.0 */
/* restarts: see restarts.h. */
#include "checkpoint/restarts.h"

#include <string.h>
#include "base/assert.h"
#include "base/mem.h"

enum { PER_MILLE = 1000, JITTER = 100 /* per mille */ };

struct wr_restarts {
	struct wr_restart_options o;
	struct wr_rand rand;
	bool waiting;	     /* a restart was promised, for at_ns */
	uint64_t at_ns;	     /* of the last */
	uint64_t checkpoint; /* that held at the last failure */
	uint32_t count;	     /* of all */
	uint32_t row;	     /* of those that the strategy counts */
	uint64_t delay_ns;   /* exponential: the next, without jitter */
	uint64_t *failures;  /* rate: a ring of the last attempts + 1 */
	uint64_t failed;     /* how many went into it */
};

static struct wr_mem mem = WR_MEM_INIT("checkpoint.restarts");

enum wr_restart_strategy wr_restart_strategy(const char *name, bool checkpoints)
{
	static const char *const names[] = {"none", "fixed", "exponential", "rate"};

	for (unsigned i = 0; name && i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], name))
			return (enum wr_restart_strategy)i;
	WR_ASSERT(!name);
	return checkpoints ? WR_RESTART_EXPONENTIAL : WR_RESTART_NONE;
}

struct wr_restarts *wr_restarts_new(const struct wr_restart_options *o)
{
	struct wr_restarts *r = wr_zalloc(&mem, sizeof *r);

	WR_ASSERT(o->attempts > 0);
	if (!r)
		return NULL;
	r->o = *o;
	r->rand.s = o->seed;
	r->delay_ns = o->delay_ns;
	if (o->strategy == WR_RESTART_RATE) {
		r->failures = wr_zalloc(&mem, ((size_t)o->attempts + 1) * sizeof *r->failures);
		if (!r->failures) {
			wr_free(&mem, r);
			return NULL;
		}
	}
	return r;
}

void wr_restarts_free(struct wr_restarts *r)
{
	if (!r)
		return;
	wr_free(&mem, r->failures);
	wr_free(&mem, r);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Within [delay, max], or the delay itself where that is longer than max. */
static uint64_t jittered(struct wr_restarts *r, uint64_t delay)
{
	uint64_t max = r->o.delay_ns > WR_RESTART_MAX_NS ? r->o.delay_ns : WR_RESTART_MAX_NS;
	uint64_t share = PER_MILLE - JITTER + wr_rand_below(&r->rand, 2 * JITTER + 1);
	uint64_t d = delay * share / PER_MILLE;

	return d < r->o.delay_ns ? r->o.delay_ns : min(d, max);
}

static bool exponential(struct wr_restarts *r, uint64_t now, uint64_t checkpoint, uint64_t *delay)
{
	if (r->waiting && now - r->at_ns >= r->o.interval_ns && checkpoint > r->checkpoint) {
		r->row = 0;
		r->delay_ns = r->o.delay_ns;
	}
	*delay = jittered(r, r->delay_ns);
	if (r->delay_ns < WR_RESTART_MAX_NS)
		r->delay_ns = min(r->delay_ns + r->delay_ns / 2, WR_RESTART_MAX_NS);
	return r->row++ < r->o.attempts;
}

/* The slot behind the newest is the oldest. */
static bool rate(struct wr_restarts *r, uint64_t now)
{
	uint64_t kept = (uint64_t)r->o.attempts + 1;

	r->failures[r->failed++ % kept] = now;
	return r->failed < kept || now - r->failures[r->failed % kept] > r->o.interval_ns;
}

bool wr_restarts_failed(struct wr_restarts *r, uint64_t now_ns, uint64_t checkpoint, uint64_t *at_ns)
{
	uint64_t delay = r->o.delay_ns;
	bool again = false;

	*at_ns = r->at_ns;
	if (r->waiting && now_ns < r->at_ns)
		return true;
	switch (r->o.strategy) {
	case WR_RESTART_NONE:
		break;
	case WR_RESTART_FIXED:
		again = r->row++ < r->o.attempts;
		break;
	case WR_RESTART_EXPONENTIAL:
		again = exponential(r, now_ns, checkpoint, &delay);
		break;
	case WR_RESTART_RATE:
		again = rate(r, now_ns);
		break;
	}
	r->checkpoint = checkpoint;
	r->waiting = again;
	r->count += again;
	*at_ns = r->at_ns = now_ns + delay;
	return again;
}

uint32_t wr_restarts_count(const struct wr_restarts *r)
{
	return r->count;
}
