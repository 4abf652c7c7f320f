/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_gaps: reads the rows "due,key,count" of tests/bench/checkpoint.lua as they come, and says for
 * each stretch of time how long nothing came at most, how late rows came behind their due time, and how many
 * they were. usage: checkpoint_gaps FILE ROWS: when that many rows have come, and they come when they are
 * due, it writes its process number into FILE; each SIGUSR1 begins another stretch. The first is not told of.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	BUFFER = 1 << 20,
	STRETCHES = 64,
	BUCKETS = 1 << 16,   /* of 0.1 ms */
	IN_TIME = 200,	     /* buckets */
	SETTLED_MS = 500,    /* without a late row */
	GIVEN_UP_MS = 60000, /* behind the last row that was waited for */
};

static struct stretch {
	long rows;
	double longest_ms, begin_ms, end_ms;
	uint32_t late[BUCKETS];
} stretches[STRETCHES];
static volatile sig_atomic_t current;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void next(int number)
{
	(void)number;
	if (current < STRETCHES - 1)
		current++;
}

/* Counts a row that came. Was it in time? */
static bool count_row(struct stretch *s, double at_ms, const char *row)
{
	double late = (at_ms - (double)strtoll(row, NULL, 10) / 1e6) * 10;

	s->late[late < 0 ? 0 : late >= BUCKETS ? BUCKETS - 1 : (int)late]++;
	s->rows++;
	return late < IN_TIME;
}

static double quantile(const struct stretch *s, double q)
{
	long left = (long)((double)s->rows * q), i = 0;

	while (i < BUCKETS - 1 && (left -= s->late[i]) >= 0)
		i++;
	return (double)i / 10;
}

static void say_filled(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		exit(1);
	fprintf(f, "%d\n", (int)getpid());
	fclose(f);
}

static void report(double first_ms, long total)
{
	printf("{\"rows\":%ld,\"first_ms\":%.3f}\n", total, first_ms);
	for (int i = 1; i <= current; i++) {
		const struct stretch *s = &stretches[i];

		printf("{\"stretch\":%d,\"rows\":%ld,\"seconds\":%.3f,\"longest_ms\":%.3f,\"p50_ms\":%.1f,"
		       "\"p999_ms\":%.1f,\"max_ms\":%.1f}\n",
		       i, s->rows, (s->end_ms - s->begin_ms) / 1e3, s->longest_ms, quantile(s, 0.5),
		       quantile(s, 0.999), quantile(s, 1));
	}
}

int main(int argc, char **argv)
{
	static char buffer[BUFFER];
	double last = now_ms(), first = 0, late_at = 0, there = 0;
	size_t kept = 0;
	long total = 0, wanted = argc > 2 ? atol(argv[2]) : 0;
	ssize_t got;
	bool told = false;

	if (argc < 3)
		return 2;
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = next, .sa_flags = SA_RESTART}, NULL);
	while ((got = read(STDIN_FILENO, buffer + kept, BUFFER - kept)) > 0) {
		struct stretch *s = &stretches[current];
		double at = now_ms();
		char *p = buffer, *end = buffer + kept + got, *line;

		if (!first)
			first = at;
		if (!s->begin_ms)
			s->begin_ms = at;
		for (; (line = memchr(p, '\n', (size_t)(end - p))); p = line + 1, total++)
			if (!count_row(s, at, p))
				late_at = at;
		if (at - last > s->longest_ms)
			s->longest_ms = at - last;
		s->end_ms = last = at;
		kept = (size_t)(end - p);
		memmove(buffer, p, kept);
		if (total < wanted || !there)
			there = at;
		if (!told && at - there > GIVEN_UP_MS) {
			fputs(
			    "checkpoint_gaps: the rows do not come when they are due: a lower rate, please\n",
			    stderr);
			return 1;
		}
		if (!told && total >= wanted && at - late_at > SETTLED_MS) {
			say_filled(argv[1]);
			told = true;
		}
	}
	report(first, total);
	return 0;
}
