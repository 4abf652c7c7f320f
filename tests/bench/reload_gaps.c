/* SPDX-License-Identifier: Apache-2.0 */
/* reload_gaps: reads the rows "key,count,version" of tests/bench/reload.lua as they come, checks each, and
 * says how long nothing came: for every version the longest time between two reads, or without versions for
 * every slice of time. usage: reload_gaps KEYS [SLICE_MS]. From the first SIGUSR1 on, which makes the clock
 * stand still, each starts or stops it.
 *
 * One thread reads and looks at the clock, before all others where the system lets it (SCHED_FIFO), since
 * what is told is how long the job was silent, not how long its reader was kept from a core; the other
 * checks. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, HEARD = 1 << 16, VERSIONS = 4096 };

static uint32_t *counts;
static int32_t *versions;
static long keys, rows;
static double longest[VERSIONS]; /* ms; the hearing thread's, as is the next, until it ends */
static long current;
static double slice; /* ms */
static int heard[2]; /* a pipe: what was heard, to be checked */
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
}

/* The version of the last whole row of what was read; a row's version is its last field. */
static void look_at_version(const char *p, size_t len)
{
	const char *end = memrchr(p, '\n', len), *v = end ? memrchr(p, ',', (size_t)(end - p)) : NULL;
	long version = v ? atol(v + 1) : 0;

	if (version > current && version < VERSIONS)
		current = version;
}

static void pass_on(const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(heard[1], p, len);

		if (n < 0)
			exit(1);
		p += n;
		len -= (size_t)n;
	}
}

static void *hear(void *arg)
{
	static char buffer[HEARD];
	double last = 0, begin = 0;
	ssize_t got;

	(void)arg;
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
	while ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
		double at = now_ms();

		if (begin == 0)
			begin = at;
		if (slice > 0 && (at - begin) / slice < VERSIONS)
			current = (long)((at - begin) / slice);
		else
			look_at_version(buffer, (size_t)got);
		if (last > 0 && at - last > longest[current])
			longest[current] = at - last;
		last = stopped ? 0 : at;
		pass_on(buffer, (size_t)got);
	}
	close(heard[1]);
	return NULL;
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
	pthread_t hearing;
	size_t kept = 0;
	ssize_t got;

	keys = argc > 1 ? atol(argv[1]) : 1000000;
	slice = argc > 2 ? atof(argv[2]) : 0;
	counts = calloc((size_t)keys, sizeof *counts);
	versions = calloc((size_t)keys, sizeof *versions);
	if (!counts || !versions || pipe(heard) || fcntl(heard[1], F_SETPIPE_SZ, BUFFER) < 0)
		return 1;
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = start_or_stop, .sa_flags = SA_RESTART}, NULL);
	if (pthread_create(&hearing, NULL, hear, NULL))
		return 1;
	while ((got = read(heard[0], buffer + kept, BUFFER - kept)) > 0) {
		char *p = buffer, *end = buffer + kept + got, *line;

		while ((line = memchr(p, '\n', (size_t)(end - p)))) {
			row(p);
			p = line + 1;
		}
		kept = (size_t)(end - p);
		memmove(buffer, p, kept);
	}
	pthread_join(hearing, NULL);
	report();
	return 0;
}
