/* SPDX-License-Identifier: Apache-2.0 */
/* cores: when the machine's cores were gone, while something else is measured.
 *
 * A thread on each core, before all others, asks to be woken every millisecond. Where it comes late nothing
 * at all ran there: the host had taken the core, or the system was busy with itself. It costs the cores a
 * hundredth, and sees what is gone for less than a millisecond only by chance, so that it never tells of too
 * much. */
#pragma once
#include <sched.h>
#include <sys/timerfd.h>
#include "ref.h"

enum { CORES = 64, AWAY = 1 << 16, AWAY_TICK_NS = 1000000, AWAY_LATE_NS = 200000 };

struct away {
	uint64_t from, to; /* ns, of CLOCK_MONOTONIC */
};
struct core {
	struct away *list; /* ascending */
	_Atomic uint32_t count;
	uint32_t cpu;
};
static struct core cores[CORES];
static uint32_t core_count;

static void *core_main(void *arg)
{
	struct core *c = arg;
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t due = now_ns() + AWAY_TICK_NS, ticks;

	pin((int)c->cpu);
	for (;;) {
		struct timespec at = {(time_t)(due / 1000000000), (long)(due % 1000000000)};
		uint64_t now;

		timerfd_settime(timer, TFD_TIMER_ABSTIME, &(struct itimerspec){.it_value = at}, NULL);
		if (read(timer, &ticks, sizeof ticks) != sizeof ticks)
			return NULL;
		now = now_ns();
		if (now > due + AWAY_LATE_NS && c->count < AWAY) {
			c->list[c->count] = (struct away){due, now};
			c->count++;
		}
		due = now + AWAY_TICK_NS;
	}
}

/* Begins to watch all cores, until the program ends. False: the system does not let a thread be before all
 * others. */
static inline bool cores_watch(void)
{
	pthread_attr_t first;
	bool allowed = true;

	pthread_attr_init(&first);
	pthread_attr_setinheritsched(&first, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&first, SCHED_FIFO);
	pthread_attr_setschedparam(&first, &(struct sched_param){.sched_priority = 90});
	core_count = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	for (uint32_t i = 0; i < core_count && i < CORES && allowed; i++) {
		pthread_t thread;

		cores[i].cpu = i;
		cores[i].list = need(AWAY * sizeof(struct away));
		allowed = !pthread_create(&thread, &first, core_main, &cores[i]);
	}
	pthread_attr_destroy(&first);
	return allowed;
}

/* How long of the time between, in nanoseconds, a core was gone, or several. */
static inline uint64_t cores_away(uint64_t from, uint64_t to)
{
	uint64_t sum = 0;

	while (from < to) {
		struct away next = {to, to};

		for (uint32_t i = 0; i < core_count && i < CORES; i++)
			for (uint32_t k = 0; k < cores[i].count; k++)
				if (cores[i].list[k].to > from && cores[i].list[k].from < next.from)
					next = cores[i].list[k];
		if (next.from < from)
			next.from = from;
		if (next.to > to)
			next.to = to;
		sum += next.to - next.from;
		from = next.to;
	}
	return sum;
}
