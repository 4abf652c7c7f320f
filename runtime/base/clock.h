/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the only place where time comes from. Passed in, never global, so that a
 * test or the simulator can hold it. `system` reads the machine; `manual` is set. */
#pragma once
#include <stdint.h>

struct wr_clock {
	uint64_t (*mono_ns)(struct wr_clock *c); /* steady nanoseconds since an arbitrary start */
	int64_t (*wall_ms)(struct wr_clock *c);	 /* milliseconds since 1970, UTC; may jump */
	uint64_t manual_ns;			 /* manual clock only */
	int64_t manual_ms;
};

/* The machine's clock; static, never freed, safe from every thread. */
struct wr_clock *wr_clock_system(void);
/* A clock that stands still at (ns, ms) until it is advanced. One thread. */
void wr_clock_manual_init(struct wr_clock *c, uint64_t mono_ns, int64_t wall_ms);
void wr_clock_advance(struct wr_clock *c, uint64_t ns);

/* Nanoseconds that the calling thread has used of a processor: what work costs, whoever else is running. */
uint64_t wr_clock_thread_ns(void);

/* "2026-11-21T07:50:00.123Z" of milliseconds since 1970 (ISO 8601, UTC; years 0 to 9999). */
enum { WR_CLOCK_TEXT = 25 };
void wr_clock_text(int64_t ms, char out[WR_CLOCK_TEXT]);

static inline uint64_t wr_clock_ns(struct wr_clock *c)
{
	return c->mono_ns(c);
}
static inline int64_t wr_clock_ms(struct wr_clock *c)
{
	return c->wall_ms(c);
}
