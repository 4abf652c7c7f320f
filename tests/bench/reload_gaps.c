/* SPDX-License-Identifier: Apache-2.0 */
/* reload_gaps: reads the rows "key,count,version" of tests/bench/reload.lua as they come, checks each, and
 * says how long nothing came: for every version the longest time between two reads, or without versions for
 * every slice of time. usage: reload_gaps KEYS [SLICE_MS]. From the first SIGUSR1 on, which makes the clock
 * stand still, each starts or stops it.
 *
 * One thread reads and looks at the clock, before all others where the system lets it (SCHED_FIFO), since
 * what is told is how long the job was silent, not how long its reader was kept from a core. The other checks
 * what is in the ring between them, a few times a second, since the cores are the job's. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RING = 8 << 20, ENOUGH = RING / 16, HEARD = 1 << 16, ROW = 64, VERSIONS = 4096 };

static uint32_t *counts;
static int32_t *versions;
static long keys, rows;
static double longest[VERSIONS]; /* ms; the hearing thread's, as is the next, until it ends */
static long current;
static double slice;	      /* ms */
static char ring[RING + ROW]; /* what was heard, to be checked; a row over its end is made whole behind it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the four below */
static pthread_cond_t room = PTHREAD_COND_INITIALIZER, enough = PTHREAD_COND_INITIALIZER;
static size_t heard, checked; /* bytes */
static bool ended;
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

static long number(const char **p)
{
	long n = 0;

	for (; **p >= '0' && **p <= '9'; ++*p)
		n = n * 10 + **p - '0';
	++*p;
	return n;
}

static void row(const char *p)
{
	long k = number(&p), n = number(&p), v = number(&p);

	if (k >= keys || v >= VERSIONS || p[-1] != '\n')
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

static void told(size_t all, bool end)
{
	pthread_mutex_lock(&lock);
	heard = all;
	ended = end;
	if (end || heard - checked >= ENOUGH)
		pthread_cond_signal(&enough);
	pthread_mutex_unlock(&lock);
}

static void pass_on(const char *p, size_t len)
{
	size_t at = heard % RING, first = len < RING - at ? len : RING - at;

	pthread_mutex_lock(&lock);
	while (heard + len - checked > RING)
		pthread_cond_wait(&room, &lock);
	pthread_mutex_unlock(&lock);
	memcpy(ring + at, p, first);
	memcpy(ring, p + first, len - first);
	told(heard + len, false);
}

/* The whole rows between; gives where the rest begins. */
static size_t check(size_t from, size_t end)
{
	while (from < end) {
		size_t at = from % RING, left = end - from < ROW ? end - from : ROW;
		const char *line;

		if (at + left > RING)
			memcpy(ring + RING, ring, at + left - RING);
		line = memchr(ring + at, '\n', left);
		if (!line)
			break;
		row(ring + at);
		from += (size_t)(line + 1 - ring) - at;
	}
	if (end - from >= ROW)
		die("a row without an end", 0, 0, 0);
	return from;
}

static void check_all(void)
{
	size_t from = 0, end;
	bool last = false;

	while (!last) {
		pthread_mutex_lock(&lock);
		checked = from;
		pthread_cond_signal(&room);
		while (!ended && heard - checked < ENOUGH)
			pthread_cond_wait(&enough, &lock);
		end = heard;
		last = ended;
		pthread_mutex_unlock(&lock);
		from = check(from, end);
	}
	if (from != end)
		die("a row without an end", 0, 0, 0);
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
	told(heard, true);
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
	pthread_t hearing;

	keys = argc > 1 ? atol(argv[1]) : 1000000;
	slice = argc > 2 ? atof(argv[2]) : 0;
	counts = calloc((size_t)keys, sizeof *counts);
	versions = calloc((size_t)keys, sizeof *versions);
	if (!counts || !versions)
		return 1;
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = start_or_stop, .sa_flags = SA_RESTART}, NULL);
	if (pthread_create(&hearing, NULL, hear, NULL))
		return 1;
	check_all();
	pthread_join(hearing, NULL);
	report();
	return 0;
}
