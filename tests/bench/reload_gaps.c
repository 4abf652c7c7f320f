/* SPDX-License-Identifier: Apache-2.0 */
/* reload_gaps: reads the rows "key,count,version" of tests/bench/reload.lua as they come, checks each, and
 * says how long nothing came: for every version the longest time between two reads, or without versions for
 * every slice of time; and how long of it the machine had its cores, where the system lets that be watched.
 * usage: reload_gaps KEYS [SLICE_MS]. From the first SIGUSR1 on, which makes the clock stand still, each
 * starts or stops it.
 *
 * One thread reads and looks at the clock, before all others where the system lets it (SCHED_FIFO), since
 * what is told is how long the job was silent, not how long its reader was kept from a core. The other checks
 * what is in the ring between them, a few times a second, since the cores are the job's. */
#include <signal.h>
#include "cores.h"

enum {
	RING = 8 << 20,
	ENOUGH = RING / 16,
	HEARD = 1 << 16,
	ROW = 64,
	VERSIONS = 4096,
	GAPS = 1 << 20,
	GAP_NS = 500000
};

struct gap {
	uint64_t from, to; /* ns */
	long version;
};

static uint32_t *counts;
static int32_t *versions;
static long keys, rows;
static struct gap *gaps; /* of GAP_NS and more; the hearing thread's, as are the next two, until it ends */
static long gap_count;
static long current;
static double slice;	      /* ms */
static char ring[RING + ROW]; /* what was heard, to be checked; a row over its end is made whole behind it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the four below */
static pthread_cond_t room = PTHREAD_COND_INITIALIZER, enough = PTHREAD_COND_INITIALIZER;
static size_t heard, checked; /* bytes */
static bool ended;
static volatile sig_atomic_t stopped;

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
	uint64_t last = 0, begin = 0;
	ssize_t got;

	(void)arg;
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = 80});
	while ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
		uint64_t at = now_ns();

		if (begin == 0)
			begin = at;
		if (slice > 0)
			current = (long)((double)(at - begin) / 1e6 / slice);
		else
			look_at_version(buffer, (size_t)got);
		if (last > 0 && at - last >= GAP_NS && gap_count < GAPS)
			gaps[gap_count++] = (struct gap){last, at, current};
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

/* The longest gap of each version, or of each slice, in ms, ascending; `own` is without what the cores were
 * away. The first version begins with the program itself, and does not count; nor do those that were not
 * looked at. */
static long longest(double *list, bool own)
{
	long n = -1, version = -1;

	for (long i = 0; i < gap_count; i++) {
		const struct gap *g = &gaps[i];
		double ms = (double)(g->to - g->from - (own ? cores_away(g->from, g->to) : 0)) / 1e6;

		if (g->version == 0)
			continue;
		if (g->version != version) {
			list[++n] = 0;
			version = g->version;
		}
		if (ms > list[n])
			list[n] = ms;
	}
	qsort(list, (size_t)++n, sizeof *list, by_size);
	return n;
}

static void tell(const char *name, const double *list, long n)
{
	if (n)
		printf(",\"median%s_ms\":%.3f,\"p90%s_ms\":%.3f,\"max%s_ms\":%.3f", name, list[n / 2], name,
		       list[n * 9 / 10], name, list[n - 1]);
}

static void report(bool watched)
{
	double *list = need(sizeof *list * (size_t)(gap_count + 1));
	long n = longest(list, true);

	printf("{\"rows\":%ld,\"switches\":%ld", rows, n);
	if (watched)
		tell("_own", list, n);
	n = longest(list, false);
	tell("", list, n);
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
	bool watched;

	keys = argc > 1 ? atol(argv[1]) : 1000000;
	slice = argc > 2 ? atof(argv[2]) : 0;
	counts = calloc((size_t)keys, sizeof *counts);
	versions = calloc((size_t)keys, sizeof *versions);
	gaps = need(GAPS * sizeof *gaps);
	if (!counts || !versions)
		return 1;
	watched = cores_watch();
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = start_or_stop, .sa_flags = SA_RESTART}, NULL);
	if (pthread_create(&hearing, NULL, hear, NULL))
		return 1;
	check_all();
	pthread_join(hearing, NULL);
	report(watched);
	return 0;
}
