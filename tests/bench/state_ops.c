/* SPDX-License-Identifier: Apache-2.0 */
/* state_ops: single operations of the memory backend beside the plain table of ref_table.h.
 * usage: state_ops [keys] [operations]
 *
 * Keys are numbers in random order. put makes them, get and update find them again at random, timer
 * registers one a key at 100 distinct times and fire takes all of them; freeze makes a version of everything
 * and closes it. Prints a JSON line an operation with nanoseconds each, ours and C's; `put` has the
 * longest time (of this thread) that a group of puts took, too: the pause of growth.
 */
#include <time.h>
#include "ref_table.h"
#include "state/store.h"
#include "state/timers.h"

enum { NEAR = 64, TIMES = 100 };

static uint64_t keys_count, operations;
static struct wr_store *store;
static struct table *table;
static double sink;

static double thread_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report(const char *name, uint64_t n, double ours, double plain)
{
	printf("{\"operation\":\"%s\",\"keys\":%" PRIu64 ",\"weir_ns\":%.3f", name, keys_count,
	       ours / (double)n * 1e9);
	if (plain > 0)
		printf(",\"c_ns\":%.3f", plain / (double)n * 1e9);
	printf("}\n");
}

/* The i-th key of a pass: every key once when making them, else any. */
static uint64_t number_of(uint64_t i, bool make)
{
	return make ? i : random_below(3, i, keys_count);
}

static void our_keys(struct wr_short_key *keys, uint64_t first, uint32_t n, bool make)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t v = number_of(first + i, make);

		memset(keys[i].bytes, 0, 24);
		keys[i].bytes[0] = 'i';
		memcpy(keys[i].bytes + 1, &v, 8);
		keys[i].len = 9;
		keys[i].hash = XXH3_64bits(keys[i].bytes, 9);
	}
}

/* One group of our operations; `op` as named in main. */
static void ours(const struct wr_short_key *key, char op)
{
	const struct wr_sval *v;
	uint8_t *body;
	int32_t fresh;

	wr_store_set_short(store, key);
	switch (op) {
	case 'p':
		body = wr_state_put(store, 0, 3, 8);
		put_f64(body, 1);
		break;
	case 'g':
		v = wr_state_get(store, 0);
		sink += get_f64(v->body);
		break;
	case 'u':
		body = wr_state_update(store, 0, 3, 8, &fresh);
		put_f64(body, get_f64(body) + 1);
		break;
	default:
		wr_timer_add(store, WR_TIMER_EVENT, (int64_t)(key->hash % TIMES));
	}
}

static struct bucket {
	uint32_t count, cap;
	struct entry **entries;
} buckets[TIMES];

static void plain(const struct key *key, char op)
{
	struct entry *e = table_get(table, key);
	struct bucket *b;

	switch (op) {
	case 'p':
		e->value[0] = 1;
		e->present = 1;
		break;
	case 'g':
		sink += e->value[0];
		break;
	case 'u':
		e->value[0] += 1;
		break;
	default:
		b = &buckets[key->hash % TIMES];
		if (e->timer_last == (int64_t)(key->hash % TIMES))
			break;
		e->timer_last = (int64_t)(key->hash % TIMES);
		if (b->count == b->cap) {
			b->cap = b->cap ? b->cap * 2 : 1024;
			b->entries = realloc(b->entries, b->cap * sizeof *b->entries);
		}
		b->entries[b->count++] = e;
	}
}

static double run_ours(uint64_t n, char op, bool make, double *longest)
{
	double start = thread_s(), group = start;
	struct wr_short_key keys[NEAR];

	for (uint64_t i = 0; i < n; i += NEAR) {
		uint32_t count = n - i < NEAR ? (uint32_t)(n - i) : NEAR;

		our_keys(keys, i, count, make);
		wr_store_prefetch(store, keys, count);
		for (uint32_t k = 0; k < count; k++)
			ours(&keys[k], op);
		if (longest) {
			double now = thread_s();

			*longest = now - group > *longest ? now - group : *longest;
			group = now;
		}
	}
	return thread_s() - start;
}

static double run_plain(uint64_t n, char op, bool make)
{
	double start = thread_s();
	struct key keys[NEAR];

	for (uint64_t i = 0; i < n; i += NEAR) {
		uint32_t count = n - i < NEAR ? (uint32_t)(n - i) : NEAR;

		for (uint32_t k = 0; k < count; k++)
			key_number(&keys[k], (double)number_of(i + k, make));
		table_touch(table, keys, count);
		for (uint32_t k = 0; k < count; k++)
			plain(&keys[k], op);
	}
	return thread_s() - start;
}

static double fire_ours(void)
{
	double start = thread_s();
	int64_t time;

	while (wr_timer_next(store, WR_TIMER_EVENT, TIMES, &time) > 0)
		sink += (double)time;
	return thread_s() - start;
}

static double fire_plain(void)
{
	double start = thread_s();

	for (int t = 0; t < TIMES; t++)
		for (uint32_t i = 0; i < buckets[t].count; i++) {
			struct bucket *b = &buckets[t];

			__builtin_prefetch(b->entries[i + NEAR < b->count ? i + NEAR : i]);
			b->entries[i]->timer_last = INT64_MIN;
			sink += t;
		}
	return thread_s() - start;
}

static double freeze(void)
{
	double start = thread_s();
	struct wr_frozen *f = wr_store_freeze(store);

	start = thread_s() - start;
	wr_frozen_unref(f);
	wr_store_set_now(store, 1);
	return start;
}

int main(int argc, char **argv)
{
	static const struct wr_state_desc state = {"value", WR_STATE_VALUE, 0, 0, false, 0};
	struct wr_store_options o = {
	    .states = &state, .state_count = 1, .max_parallelism = 128, .group_last = 127};
	double longest = 0, seconds;

	keys_count = argument(argc, argv, 1, 1e6);
	operations = argument(argc, argv, 2, 5e6);
	store = wr_store_new(&o);
	table = table_new(keys_count);
	seconds = run_ours(keys_count, 'p', true, &longest);
	report("put", keys_count, seconds, run_plain(keys_count, 'p', true));
	report("longest group of 64 puts", 1, longest, 0);
	seconds = run_ours(operations, 'g', false, NULL);
	report("get", operations, seconds, run_plain(operations, 'g', false));
	seconds = run_ours(operations, 'u', false, NULL);
	report("update", operations, seconds, run_plain(operations, 'u', false));
	seconds = run_ours(keys_count, 't', true, NULL);
	report("timer", keys_count, seconds, run_plain(keys_count, 't', true));
	report("freeze", 1, freeze(), 0);
	seconds = fire_ours();
	report("fire", keys_count, seconds, fire_plain());
	wr_store_free(store);
	return sink < 0;
}
