/* SPDX-License-Identifier: Apache-2.0 */
/* dial: a TCP connection to a host that may not be there yet. Blocks, so never on a worker. */
#pragma once
#include "record/value.h"

struct wr_dial {
	const char *host; /* borrowed from the options */
	char port[8];
	int64_t retries;  /* attempts after the first; −1 = for ever */
	int64_t retry_ms; /* between two attempts */
};
/* Options host ("localhost"), port, retries (0), retry_every (ms, 500). */
void wr_dial_init(struct wr_dial *d, const struct wr_value *options);
/* Connects; `arg` is a struct wr_dial. Gives up when `stop_fd` (−1: none) becomes readable. WR_OK and *fd,
 * WR_END when stopped, WR_ETRANSIENT. */
int wr_dial(const void *arg, int stop_fd, int *fd);
