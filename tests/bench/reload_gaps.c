/* SPDX-License-Identifier: Apache-2.0 */
/* reload_gaps: reads the rows "key,count,version" of tests/bench/reload.lua as they come, checks each, and
 * says how long nothing came: for every version the longest time between two reads, or without versions for
 * every slice of time. usage: reload_gaps KEYS [SLICE_MS]. From the first SIGUSR1 on, which makes the clock
 * stand still, each starts or stops it. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, VERSIONS = 4096 };

static uint32_t *counts;
static int32_t *versions;
static long keys, rows;
static double longest[VERSIONS]; /* ms */
static long current;
static volatile sig_atomic_t stopped;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void start_or_stop(int number)
{
	(void)number;
	stopped = !stopped;
}

static void die(const char *what, long k, long n, long v)
{
	fprintf(stderr, "reload_gaps: %s: key %ld, count %ld, version %ld behind count %u, version %d\n",
		what, k, n, v, k < keys ? counts[k] : 0, k < keys ? versions[k] : 0);
	exit(1);
}

static void row(const char *p)
{
	char *end;
	long k = strtol(p, &end, 10), n = strtol(end + 1, &end, 10), v = strtol(end + 1, &end, 10);

	if (k < 0 || k >= keys || v < 0 || v >= VERSIONS)
		die("a row that cannot be", k, n, v);
	if (n != (long)counts[k] + 1)
		die("lost or doubled", k, n, v);
	if (v < versions[k])
		die("the version went back", k, n, v);
	counts[k]++;
	versions[k] = (int32_t)v;
	rows++;
	if (v > current)
		current = v;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The first version begins with the program itself, and does not count; nor do those that were not looked at.
 */
static void report(void)
{
	long n = 0;
	double *list = longest + 1;

	for (long i = 0; i < current; i++)
		if (list[i] > 0)
			list[n++] = list[i];
	qsort(list, (size_t)n, sizeof *list, by_size);
	printf("{\"rows\":%ld,\"switches\":%ld", rows, n);
	if (n)
		printf(",\"median_ms\":%.3f,\"p90_ms\":%.3f,\"max_ms\":%.3f", list[n / 2], list[n * 9 / 10],
		       list[n - 1]);
	printf(",\"histogram\":{");
	for (int bound = 1, from = 0, first = 1; bound <= 1024; from = bound, bound *= 2) {
		long count = 0;

		for (long i = 0; i < n; i++)
			count += list[i] >= from && list[i] < bound;
		if (count)
			printf("%s\"%d-%d ms\":%ld", first ? "" : ",", from, bound, count);
		first &= !count;
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	static char buffer[BUFFER];
	size_t kept = 0;
	ssize_t got;
	double last = 0, begin = 0, slice = argc > 2 ? atof(argv[2]) : 0;

	keys = argc > 1 ? atol(argv[1]) : 1000000;
	counts = calloc((size_t)keys, sizeof *counts);
	versions = calloc((size_t)keys, sizeof *versions);
	if (!counts || !versions)
		return 1;
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = start_or_stop, .sa_flags = SA_RESTART}, NULL);
	while ((got = read(STDIN_FILENO, buffer + kept, BUFFER - kept)) > 0) {
		double at = now_ms();

		char *p = buffer, *end = buffer + kept + got, *line;

		if (!rows)
			begin = at;
		if (slice > 0 && (at - begin) / slice < VERSIONS)
			current = (long)((at - begin) / slice);
		while ((line = memchr(p, '\n', (size_t)(end - p)))) {
			row(p);
			p = line + 1;
		}
		if (last > 0 && at - last > longest[current])
			longest[current] = at - last;
		last = stopped ? 0 : at;
		kept = (size_t)(end - p);
		memmove(buffer, p, kept);
	}
	report();
	return 0;
}
