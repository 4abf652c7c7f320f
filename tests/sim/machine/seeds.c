/* SPDX-License-Identifier: Apache-2.0 */
/* seeds: see seeds.h. */
#include "sim/machine/seeds.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sim/machine/machine.h"

enum { AT_ONCE_MAX = 16 };

static struct {
	uint64_t counts[AT_ONCE_MAX][SEEDS_COUNTS];
} * shared;
static struct {
	pid_t pid;
	uint64_t seed;
} children[AT_ONCE_MAX];

static void tell(const struct seeds_count *counts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t sum = 0;

		for (int k = 0; k < AT_ONCE_MAX; k++)
			sum += shared->counts[k][counts[i].which];
		printf("# %-34s %8llu\n", counts[i].text, (unsigned long long)sum);
	}
}

static void begin_child(void (*play)(uint64_t seed), int slot, uint64_t seed)
{
	children[slot].seed = seed;
	children[slot].pid = fork();
	if (children[slot].pid != 0)
		return;
	machine_counts = shared->counts[slot];
	play(seed);
	fflush(stdout);
	_exit(0);
}

/* The slot of one that has ended; it said itself what was wrong, unless it died. */
static int end_child(uint64_t *failed)
{
	int status, slot = 0;
	pid_t pid = wait(&status);

	while (children[slot].pid != pid)
		slot++;
	children[slot].pid = 0;
	if (WIFSIGNALED(status))
		printf("not ok - seed %llu: signal %d\n", (unsigned long long)children[slot].seed,
		       WTERMSIG(status));
	*failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return slot;
}

/* The number of seeds that failed; but for `all` the first of them is the last. */
static uint64_t play_all(void (*play)(uint64_t seed), uint64_t first, uint64_t count, bool all)
{
	int at_once = (int)sysconf(_SC_NPROCESSORS_ONLN), under_way = 0;
	uint64_t failed = 0;

	at_once = at_once < 1 ? 1 : at_once > AT_ONCE_MAX ? AT_ONCE_MAX : at_once;
	for (uint64_t seed = first;;) {
		bool more = seed < first + count && (all || !failed);
		int slot = under_way;

		if (!more && !under_way)
			return failed;
		if (!more || under_way == at_once) {
			slot = end_child(&failed);
			under_way--;
		}
		if (more && (all || !failed)) {
			begin_child(play, slot, seed++);
			under_way++;
		}
	}
}

int seeds_play(void (*play)(uint64_t seed), const struct seeds_count *counts, uint32_t count)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t seeds = one ? 1 : many ? strtoull(many, NULL, 10) : 2000;
	uint64_t failed;

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("1..1\n");
	fflush(stdout);
	failed = play_all(play, first, seeds, getenv("ALL") != NULL);
	printf("# %-34s %8llu\n", "seeds", (unsigned long long)seeds);
	printf("# %-34s %8llu\n", "of them that fail", (unsigned long long)failed);
	tell(counts, count);
	if (!failed)
		printf("ok - %llu seeds\n", (unsigned long long)seeds);
	return failed ? 1 : 0;
}
