/* SPDX-License-Identifier: Apache-2.0 */
/* pool: what all events of the stream draw from: a text of a million characters, the channels with
 * their addresses, and powers of ten. The same in every process; 2 MB, filled once and only read.
 * No allocation, no dependency: the benchmark's references include it. */
#pragma once
#include <stdint.h>

enum {
	WR_NEXMARK_TEXT = 1 << 20,
	WR_NEXMARK_HOT_CHANNELS = 4,
	WR_NEXMARK_CHANNELS = 10000,
	WR_NEXMARK_CHANNEL_MAX = 16, /* bytes of a name; all are copied */
	WR_NEXMARK_URL_MAX = 80,     /* bytes of an address; all are copied */
	WR_NEXMARK_EXTRA_MAX =
	    96, /* bytes of a bid's `extra`; as many may be read from any place of the text */
	WR_NEXMARK_POWERS = 1024,
};

/* Two cache lines. */
struct wr_nexmark_channel {
	_Alignas(128) uint32_t name_len;
	uint32_t url_len;
	char name[WR_NEXMARK_CHANNEL_MAX], url[WR_NEXMARK_URL_MAX];
};

struct wr_nexmark_pool {
	double powers[WR_NEXMARK_POWERS + 1]; /* 100 · 10^(6 i / 1024) */
	struct wr_nexmark_channel channels[WR_NEXMARK_HOT_CHANNELS + WR_NEXMARK_CHANNELS]; /* the hot first */
	char text[WR_NEXMARK_TEXT + WR_NEXMARK_EXTRA_MAX];
};

void wr_nexmark_pool_fill(struct wr_nexmark_pool *p);

/* The pool of the process, filled by the first who asks; NULL with the error set. Given back as often as
 * taken. Any thread. */
const struct wr_nexmark_pool *wr_nexmark_pool_take(void);
void wr_nexmark_pool_give(void);
