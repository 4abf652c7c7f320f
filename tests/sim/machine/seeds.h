/* SPDX-License-Identifier: Apache-2.0 */
/* seeds: plays many seeds, each in a process of its own, so that one is the same alone and among others.
 *
 * SEEDS=n seeds from 1 (default 2000); SEED=n plays one again; ALL=1 goes on behind a seed that fails, and
 * counts them. What a simulation counts (machine_counts) is summed over all seeds and told at the end.
 */
#pragma once
#include <stdint.h>

enum { SEEDS_COUNTS = 64 }; /* at most */
struct seeds_count {
	uint32_t which;
	const char *text;
};
/* The status of the program. `play` ends its process if the seed fails, and says why. */
int seeds_play(void (*play)(uint64_t seed), const struct seeds_count *counts, uint32_t count);
