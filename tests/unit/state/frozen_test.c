/* SPDX-License-Identifier: Apache-2.0 */
/* Frozen versions: read by another thread while the owner writes, and when memory runs out. What a version
 * holds is compared by a sum over all its items, taken when it was frozen. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/rand.h"
#include "state/store.h"
#include "state/timers.h"
#include "support/spilled.h"

enum { MAX_P = 8, VALUE = 0, LIST = 1, MAP = 2 };

static struct wr_mem mem = WR_MEM_INIT("test.frozen");

static struct wr_store *new_store(void)
{
	static const struct wr_state_desc states[] = {{"value", WR_STATE_VALUE, 0, 0, false, 0},
						      {"list", WR_STATE_LIST, 0, 0, false, 0},
						      {"map", WR_STATE_MAP, 0, 0, false, 0}};
	struct wr_store_options o = {.operator_uid = "test",
				     .states = states,
				     .state_count = 3,
				     .max_parallelism = MAX_P,
				     .group_last = MAX_P - 1,
				     .mem = &mem};

	spill_store(&o);
	return wr_store_new(&o);
}

static int select_key(struct wr_store *s, uint32_t k)
{
	uint8_t key[64] = {'i'};
	uint32_t len = k % 3 ? 9 : 40;

	memcpy(key + 1, &k, 4);
	if (wr_store_set_key(s, key, len, wr_key_hash(key, len)) != WR_OK)
		return WR_EFATAL;
	return k % 5 ? WR_OK : wr_store_set_namespace(s, (const uint8_t *)"window", 6);
}

static void put(uint8_t *body, uint32_t words, uint64_t seed)
{
	for (uint32_t i = 0; body && i < words; i++)
		memcpy(body + 8 * i, &seed, 8);
}

static void random_write(struct wr_store *s, struct wr_rand *r, uint32_t keys)
{
	uint64_t seed = wr_rand_next(r);
	uint32_t words = 1 + wr_rand_below(r, 8), op = wr_rand_below(r, 12);
	uint8_t user[9] = {'i', (uint8_t)wr_rand_below(r, 6)};
	int64_t time = wr_rand_below(r, 40);

	if (select_key(s, wr_rand_below(r, keys)) != WR_OK)
		return;
	if (op < 3)
		put(wr_state_put(s, VALUE, words, words * 8), words, seed);
	else if (op == 3)
		wr_state_clear(s, wr_rand_below(r, 3));
	else if (op == 4)
		put(wr_list_add(s, LIST, words, words * 8), words, seed);
	else if (op == 5)
		put(wr_map_put(s, MAP, user, sizeof user, words, words * 8), words, seed);
	else if (op == 6)
		wr_map_remove(s, MAP, user, sizeof user);
	else if (op < 10)
		wr_timer_add(s, op % 2, time);
	else if (op == 10)
		wr_timer_remove(s, time % 2, time);
	else if (wr_rand_below(r, 20) == 0)
		while (wr_timer_next(s, 0, time, &time) > 0)
			;
}

static int sum_item(const struct wr_state_item *item, void *arg)
{
	uint64_t h = wr_key_hash(item->key, item->key_len + item->ns_len);

	h = h * 31 + item->state + item->position;
	if (item->map_key)
		h ^= wr_key_hash(item->map_key, item->map_key_len);
	*(uint64_t *)arg += h * wr_key_hash(item->value->body, item->value->len);
	return WR_OK;
}

static int sum_timer(const struct wr_timer_item *item, void *arg)
{
	uint64_t h = wr_key_hash(item->key, item->key_len + item->ns_len);

	*(uint64_t *)arg += h * (uint64_t)(item->time_ms * 2 + item->kind + 1);
	return WR_OK;
}

static uint64_t sum_of(struct wr_frozen *f)
{
	uint64_t sum = 0;

	for (uint32_t group = 0; group < MAX_P; group++) {
		wr_frozen_each(f, group, sum_item, &sum);
		wr_frozen_timers(f, group, sum_timer, &sum);
	}
	return sum;
}

struct reader {
	struct wr_frozen *f;
	uint64_t sum;
};

static void *read_version(void *arg)
{
	struct reader *r = arg;

	r->sum = sum_of(r->f);
	wr_frozen_unref(r->f);
	return NULL;
}

static void another_thread_reads_a_version_while_the_owner_writes(void **state)
{
#ifdef __SANITIZE_THREAD__
	enum { KEYS = 3000, ROUNDS = 4 }; /* each of seconds */
#else
	enum { KEYS = 3000, ROUNDS = 12 };
#endif
	struct wr_rand r = {7};
	struct wr_store *s = new_store();

	(void)state;
	for (int i = 0; i < 4 * KEYS; i++)
		random_write(s, &r, KEYS);
	for (int round = 0; round < ROUNDS; round++) {
		struct reader readers[2];
		pthread_t threads[2];
		uint64_t sums[2];

		for (int i = 0; i < 2; i++) {
			readers[i].f = wr_store_freeze(s);
			assert_non_null(readers[i].f);
			sums[i] = sum_of(readers[i].f);
			assert_int_equal(pthread_create(&threads[i], NULL, read_version, &readers[i]), 0);
			for (int n = 0; n < KEYS; n++)
				random_write(s, &r, KEYS + 200 * (uint32_t)round);
		}
		for (int i = 0; i < 2; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(readers[i].sum, sums[i]);
		}
		wr_store_set_now(s, round);
	}
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

/* The version that is open keeps what it held, nothing leaks, and the store says that it failed. */
static void a_failing_allocation_is_said_and_hurts_no_version(void **state)
{
	enum { KEYS = 600, FAILURES = 300 };
	uint32_t said = 0;

	(void)state;
	for (int64_t n = 1; n <= FAILURES; n++) {
		struct wr_rand r = {(uint64_t)n};
		struct wr_store *s = new_store();
		struct wr_frozen *f;
		uint64_t sum;

		assert_non_null(s);
		for (int i = 0; i < 500; i++)
			random_write(s, &r, KEYS);
		f = wr_store_freeze(s);
		assert_non_null(f);
		sum = sum_of(f);
		wr_mem_fail_at(n / 8 + 1);
		for (int i = 0; i < 1000; i++)
			random_write(s, &r, KEYS);
		wr_mem_fail_at(0);
		said += wr_store_status(s) != WR_OK;
		for (int i = 0; i < 500; i++)
			random_write(s, &r, KEYS);
		assert_int_equal(sum_of(f), sum);
		wr_frozen_unref(f);
		wr_store_set_now(s, 1);
		f = wr_store_freeze(s);
		sum = sum_of(f);
		assert_int_equal(sum_of(f), sum);
		wr_frozen_unref(f);
		wr_store_free(s);
		assert_int_equal(mem.bytes, 0);
	}
	assert_true(said > FAILURES / 2);
}

/* ---- what versions cost ---- */

struct account {
	const char *name;
	int64_t bytes;
};

static void find_account(const struct wr_mem *m, void *arg)
{
	struct account *a = arg;

	if (!strcmp(m->name, a->name))
		a->bytes = m->bytes;
}

static int64_t bytes_of(const char *name)
{
	struct account a = {name, 0};

	wr_mem_each(find_account, &a);
	return a.bytes;
}

static int64_t kept_for_versions(void)
{
	return bytes_of("state.frozen");
}

static void what_is_kept_for_versions_alone_is_a_line_of_the_memory_sum(void **state)
{
	struct wr_rand r = {3};
	struct wr_store *s = new_store();
	struct wr_frozen *f;
	int64_t before;

	(void)state;
	for (int i = 0; i < 5000; i++)
		random_write(s, &r, 1000);
	before = mem.bytes;
	f = wr_store_freeze(s);
	assert_int_equal(kept_for_versions(), 0);
	for (uint32_t k = 0; k < 1000; k++) {
		assert_int_equal(select_key(s, k), WR_OK);
		put(wr_state_put(s, VALUE, 4, 32), 4, k);
	}
	assert_in_range(kept_for_versions(), wr_frozen_copied(f), 4 * wr_frozen_copied(f));
	assert_in_range(wr_frozen_copied(f), before / 4, before);
	wr_frozen_unref(f);
	wr_store_settle(s);
	assert_int_equal(kept_for_versions(), 0);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

static void write_all(struct wr_store *s, uint32_t keys)
{
	for (uint32_t k = 0; k < keys; k++) {
		assert_int_equal(select_key(s, k), WR_OK);
		put(wr_state_put(s, VALUE, 1, 8), 1, k);
	}
}

static void the_copies_of_a_version_take_the_room_of_those_before(void **state)
{
	struct wr_store *s = new_store();
	int64_t all = 0;

	(void)state;
	write_all(s, 20000);
	for (int version = 0; version < 4; version++) {
		struct wr_frozen *f = wr_store_freeze(s);
		int64_t spare = bytes_of("state.spare"), now;

		write_all(s, 20000);
		now = mem.bytes + kept_for_versions() + bytes_of("state.spare");
		if (version > 0) {
			assert_true(spare >= wr_frozen_copied(f));
			assert_in_range(now, all - 10000, all + 10000);
		}
		all = now;
		assert_true(bytes_of("state.spare") == 0);
		wr_frozen_unref(f);
		while (!wr_store_settle(s))
			;
	}
	wr_store_free(s);
	assert_int_equal(mem.bytes + bytes_of("state.spare"), 0);
}

static void what_a_large_version_kept_goes_a_part_at_a_time(void **state)
{
	struct wr_store *s = new_store();
	struct wr_frozen *f = NULL;
	int64_t kept, before;
	int parts = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t k = 0; k < 40000; k++) {
			assert_int_equal(select_key(s, k), WR_OK);
			put(wr_state_put(s, VALUE, 1, 8), 1, k);
		}
		if (round == 0)
			f = wr_store_freeze(s);
	}
	kept = kept_for_versions();
	assert_true(kept > 4 << 20);
	assert_int_equal(wr_store_settle(s), 1); /* it is open */
	assert_int_equal(kept_for_versions(), kept);
	wr_frozen_unref(f);
	do {
		before = kept_for_versions();
		parts++;
	} while (!wr_store_settle(s) && kept_for_versions() < before);
	assert_int_equal(kept_for_versions(), 0);
	assert_in_range(parts, kept >> 21, kept >> 19);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

/* One key a chunk, so that nearly all is copied. */
static void change_all(struct wr_store *s, uint64_t seed)
{
	for (uint32_t k = 0; k < 3000; k += 100) {
		assert_int_equal(select_key(s, k), WR_OK);
		put(wr_state_put(s, VALUE, 1, 8), 1, seed);
	}
}

static void at_the_bound_the_youngest_reader_is_cancelled_and_never_a_checkpoint(void **state)
{
	struct wr_rand r = {5};
	struct wr_store *s = new_store();
	struct wr_frozen *checkpoint, *old, *young;
	uint64_t sums[2], sum = 0;

	(void)state;
	for (int i = 0; i < 20000; i++)
		random_write(s, &r, 3000);
	old = wr_store_freeze_to_read(s);
	sums[0] = sum_of(old);
	change_all(s, 1);
	young = wr_store_freeze_to_read(s);
	change_all(s, 2);
	assert_null(wr_store_freeze_to_read(s)); /* the last place is a checkpoint's */
	checkpoint = wr_store_freeze(s);
	sums[1] = sum_of(checkpoint);
	change_all(s, 3);

	wr_frozen_bound(kept_for_versions() - 1);
	assert_true(wr_frozen_full());
	wr_store_set_now(s, 1);
	assert_int_equal(wr_frozen_each(young, WR_ALL_GROUPS, sum_item, &sum), WR_ETRANSIENT);
	assert_non_null(strstr(wr_error_text(), "--frozen-memory"));
	assert_int_equal(wr_frozen_timers(young, WR_ALL_GROUPS, sum_timer, &sum), WR_ETRANSIENT);
	wr_store_set_now(s, 2); /* it has not noticed yet: one is enough */
	assert_int_equal(sum_of(old), sums[0]);
	assert_int_equal(sum_of(checkpoint), sums[1]);

	wr_frozen_unref(young);
	wr_frozen_bound(1);
	wr_store_set_now(s, 3);
	assert_int_equal(wr_frozen_each(old, WR_ALL_GROUPS, sum_item, &sum), WR_ETRANSIENT);
	wr_frozen_unref(old);
	for (int now = 4; now < 8; now++)
		wr_store_set_now(s, now);
	assert_int_equal(sum_of(checkpoint), sums[1]);
	wr_frozen_unref(checkpoint);
	wr_store_set_now(s, 9);
	assert_false(wr_frozen_full());
	wr_frozen_bound(INT64_MAX);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

/* Of random changes: what there was, without the entries that changed, and what these are now. */
static int sum_all(const struct wr_state_item *item, void *arg)
{
	assert_true(item->id > 0);
	return sum_item(item, arg);
}

struct without {
	const uint32_t *ids;
	uint32_t count;
	uint64_t sum;
};

static bool is_in(const struct without *w, uint32_t id)
{
	uint32_t low = 0, high = w->count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (w->ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < w->count && w->ids[low] == id;
}

static int sum_others(const struct wr_state_item *item, void *arg)
{
	struct without *w = arg;

	return is_in(w, item->id) ? WR_OK : sum_all(item, &w->sum);
}

static int sum_other_timers(const struct wr_timer_item *item, void *arg)
{
	struct without *w = arg;

	return is_in(w, item->id) ? WR_OK : sum_timer(item, &w->sum);
}

static void a_version_is_the_one_before_but_for_the_entries_that_changed(void **state)
{
	struct wr_rand r = {11};
	struct wr_store *s = new_store();

	(void)state;
	for (int round = 0; round < (spilled ? 40 : 300); round++) {
		uint32_t keys = 1 + wr_rand_below(&r, 3000), writes = wr_rand_below(&r, 400), of;
		struct wr_frozen *before = wr_store_freeze(s), *between = NULL, *after;
		struct wr_bytes ids = WR_BYTES_EMPTY;
		struct without w = {0};

		for (uint32_t i = 0; i < writes; i++)
			random_write(s, &r, keys);
		if (round % 3 == 0) /* another version and its epoch in between change nothing */
			between = wr_store_freeze(s);
		for (uint32_t i = 0; between && i < writes; i++)
			random_write(s, &r, keys);
		after = wr_store_freeze(s);
		assert_int_equal(wr_frozen_changes(after, wr_frozen_epoch(before), &ids, &of), WR_OK);
		w.ids = (const uint32_t *)ids.data;
		w.count = (uint32_t)(ids.len / sizeof(uint32_t));
		assert_in_range(w.count, 0, of);
		wr_frozen_each(before, WR_ALL_GROUPS, sum_others, &w);
		wr_frozen_timers(before, WR_ALL_GROUPS, sum_other_timers, &w);
		wr_frozen_each_of(after, wr_frozen_epoch(before), w.ids, w.count, sum_all, &w.sum);
		wr_frozen_timers_of(after, wr_frozen_epoch(before), w.ids, w.count, sum_timer, &w.sum);
		assert_int_equal(w.sum, sum_of(after));
		wr_frozen_unref(before);
		wr_frozen_unref(after);
		if (between)
			wr_frozen_unref(between);
		wr_bytes_deinit(&ids);
		wr_store_set_now(s, round);
	}
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

static void a_store_that_cannot_be_made_leaves_nothing(void **state)
{
	(void)state;
	for (int64_t n = 1; n < 40; n++) {
		struct wr_store *s;

		wr_mem_fail_at(n);
		s = new_store();
		wr_mem_fail_at(0);
		if (s)
			wr_store_free(s);
		assert_int_equal(mem.bytes, 0);
	}
}

/* Freezing and forgetting copies nothing; what is written afterwards is copied by the chunk, once. */
static void freezing_copies_nothing_until_something_is_written(void **state)
{
	enum { KEYS = 20000 };
	struct wr_store *s = new_store();
	struct wr_frozen *f;
	int64_t before, copied;

	(void)state;
	for (uint32_t k = 0; k < KEYS; k++) {
		assert_int_equal(select_key(s, k), WR_OK);
		assert_int_equal(wr_timer_add(s, 0, k), WR_OK);
	}
	before = mem.bytes;
	f = wr_store_freeze(s);
	assert_true(mem.bytes - before < 1024);
	assert_int_equal(wr_frozen_copied(f), 0);
	assert_int_equal(select_key(s, 1), WR_OK);
	put(wr_state_put(s, VALUE, 1, 8), 1, 5);
	copied = wr_frozen_copied(f);
	assert_true(copied > 0);
	put(wr_state_put(s, VALUE, 1, 8), 1, 6);
	assert_int_equal(wr_frozen_copied(f), copied);
	wr_frozen_unref(f);
	wr_store_set_now(s, 1);
	assert_true(mem.bytes - before < 1024);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(another_thread_reads_a_version_while_the_owner_writes),
	    cmocka_unit_test(a_failing_allocation_is_said_and_hurts_no_version),
	    cmocka_unit_test(what_a_large_version_kept_goes_a_part_at_a_time),
	    cmocka_unit_test(the_copies_of_a_version_take_the_room_of_those_before),
	    cmocka_unit_test(what_is_kept_for_versions_alone_is_a_line_of_the_memory_sum),
	    cmocka_unit_test(at_the_bound_the_youngest_reader_is_cancelled_and_never_a_checkpoint),
	    cmocka_unit_test(a_version_is_the_one_before_but_for_the_entries_that_changed),
	    cmocka_unit_test(a_store_that_cannot_be_made_leaves_nothing),
	    cmocka_unit_test(freezing_copies_nothing_until_something_is_written),
	    ON_ROCKSDB(another_thread_reads_a_version_while_the_owner_writes, 0),
	    ON_ROCKSDB(another_thread_reads_a_version_while_the_owner_writes, 1 << 20),
	    ON_ROCKSDB(a_failing_allocation_is_said_and_hurts_no_version, 0),
	    ON_ROCKSDB(a_version_is_the_one_before_but_for_the_entries_that_changed, 0),
	    ON_ROCKSDB(a_version_is_the_one_before_but_for_the_entries_that_changed, 1 << 20),
	    ON_ROCKSDB(a_store_that_cannot_be_made_leaves_nothing, 0),
	};

	return cmocka_run_group_tests_name("frozen", tests, NULL, NULL);
}
