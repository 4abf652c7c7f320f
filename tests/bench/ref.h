/* SPDX-License-Identifier: Apache-2.0 */
/* ref: what the benchmark's hand-written references share: the row layout, the data, the result line.
 *
 * The references are single files without the engine: they say what the same work costs in
 * plain C. Layout and data are the engine's (record/FORMAT.md; source `weir.datagen`), so
 * that a checksum can be compared.
 */
#pragma once
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 32768 };

struct elem {
	uint32_t len, tag;
	int64_t ts;
};
struct str {
	const char *p;
	uint32_t len;
};

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Keeps the calling thread on one processor. */
static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* The i-th random number of the stream `field`: without state, so that any range can be made anywhere. */
static inline uint64_t random_at(uint64_t field, uint64_t i)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u + field * 0xd1b54a32d192ed03u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The same as a number from 0 to below - 1. */
static inline uint64_t random_below(uint64_t field, uint64_t i, uint64_t below)
{
	return (uint64_t)((__uint128_t)random_at(field, i) * below >> 64);
}

static inline uint32_t put_number(char *to, uint64_t number)
{
	char text[32]; /* the second half is room for a copy of fixed length */
	uint32_t at = 16;

	for (uint32_t v = (uint32_t)number;; v /= 10) {
		text[--at] = (char)('0' + v % 10);
		if (v < 10)
			break;
	}
	memcpy(to, text + at, 16);
	return 16 - at;
}

static inline double get_f64(const uint8_t *p)
{
	double v;

	memcpy(&v, p, 8);
	return v;
}
static inline void put_f64(uint8_t *p, double v)
{
	memcpy(p, &v, 8);
}
static inline struct str get_str(const uint8_t *body, uint32_t slot)
{
	uint64_t v;

	memcpy(&v, body + slot, 8);
	return (struct str){(const char *)body + (uint32_t)v, (uint32_t)(v >> 32)};
}
/* Copies a short string in words; reads and writes up to 15 bytes past its end. */
static inline void copy_short(uint8_t *to, const char *p, uint32_t len)
{
	memcpy(to, p, 16);
	for (uint32_t i = 16; i < len; i += 16)
		memcpy(to + i, p + i, 16);
}
/* Puts a string at `at` of the variable part and its slot; returns where the next one goes. */
static inline uint32_t put_str(uint8_t *body, uint32_t slot, uint32_t at, struct str s)
{
	uint64_t v = at | (uint64_t)s.len << 32;

	memcpy(body + slot, &v, 8);
	copy_short(body + at, s.p, s.len);
	return at + s.len;
}
static inline uint32_t end_row(struct elem *e, uint32_t body_len, int64_t ts)
{
	e->len = (uint32_t)sizeof *e + ((body_len + 7) & ~7u);
	e->tag = 2;
	e->ts = ts;
	return e->len;
}

static inline void *need(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 127) & ~(size_t)63);

	if (!p) {
		fprintf(stderr, "no memory for %zu bytes\n", bytes);
		exit(1);
	}
	return memset(p, 0, bytes);
}

static inline uint64_t argument(int argc, char **argv, int i, double fallback)
{
	return (uint64_t)(argc > i ? strtod(argv[i], NULL) : fallback);
}

static inline void result_hex(const char *figure, double seconds, uint64_t records, uint64_t checksum)
{
	printf("{\"figure\":\"%s\",\"ns_per_record\":%.3f,\"records\":%" PRIu64 ",\"checksum\":\"%016" PRIx64
	       "\"}\n",
	       figure, seconds / (double)records * 1e9, records, checksum);
}
static inline void result(const char *figure, double seconds, uint64_t records, double checksum)
{
	printf("{\"figure\":\"%s\",\"ns_per_record\":%.3f,\"records\":%" PRIu64 ",\"checksum\":%.17g}\n",
	       figure, seconds / (double)records * 1e9, records, checksum);
}
