/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the machine's clock, and one that is set by hand. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t system_mono(struct wr_clock *c)
{
	(void)c;
	return ns_of(CLOCK_MONOTONIC);
}

uint64_t wr_clock_thread_ns(void)
{
	return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t system_wall(struct wr_clock *c)
{
	struct timespec t;

	(void)c;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void wr_clock_text(int64_t ms, char out[WR_CLOCK_TEXT])
{
	int64_t within = ms % 1000 < 0 ? ms % 1000 + 1000 : ms % 1000;
	time_t s = (ms - within) / 1000;
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, WR_CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, WR_CLOCK_TEXT - n, ".%03uZ", (unsigned)within % 1000);
}

struct wr_clock *wr_clock_system(void)
{
	static struct wr_clock c = {.mono_ns = system_mono, .wall_ms = system_wall};

	return &c;
}

static uint64_t manual_mono(struct wr_clock *c)
{
	return c->manual_ns;
}

static int64_t manual_wall(struct wr_clock *c)
{
	return c->manual_ms;
}

void wr_clock_manual_init(struct wr_clock *c, uint64_t mono_ns, int64_t wall_ms)
{
	*c = (struct wr_clock){manual_mono, manual_wall, mono_ns, wall_ms};
}

void wr_clock_advance(struct wr_clock *c, uint64_t ns)
{
	uint64_t before = c->manual_ns / 1000000;

	c->manual_ns += ns;
	c->manual_ms += (int64_t)(c->manual_ns / 1000000 - before);
}
