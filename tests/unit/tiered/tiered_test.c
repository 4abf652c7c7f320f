/* SPDX-License-Identifier: Apache-2.0 */
/* What a store does that has most of its keys on the disk, beside what all stores do (unit/state/): walks
 * while keys come and go, timers at the ends of time, versions that go to the other backend, and its folder.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/rand.h"
#include "record/key.h"
#include "record/row.h"
#include "state/store.h"
#include "state/timers.h"
#include "support/spilled.h"

enum { MAX_P = 8, KEYS = 700, VALUE = 0, LIST = 1, MAP = 2 };

static struct wr_mem mem = WR_MEM_INIT("test.tiered");

static const struct wr_state_desc states[] = {{"value", WR_STATE_VALUE, 0, 0, false, 0},
					      {"list", WR_STATE_LIST, 0, 0, false, 0},
					      {"map", WR_STATE_MAP, 0, 0, false, 0}};

static struct wr_store *new_store(bool on_disk)
{
	struct wr_store_options o = {.operator_uid = "test",
				     .states = states,
				     .state_count = 3,
				     .max_parallelism = MAX_P,
				     .group_last = MAX_P - 1,
				     .mem = &mem};
	struct wr_store *s;

	if (on_disk)
		spill_store(&o);
	s = wr_store_new(&o);
	assert_non_null(s);
	return s;
}

static void select_key(struct wr_store *s, uint32_t k)
{
	uint8_t key[300] = {'s'};
	uint32_t len = k % 50 ? 9 : 290;

	memcpy(key + 1, &k, 4);
	assert_int_equal(wr_store_set_key(s, key, len, wr_key_hash(key, len)), WR_OK);
	if (k % 3 == 0)
		assert_int_equal(wr_store_set_namespace(s, (const uint8_t *)"window", 6), WR_OK);
}

static void put(struct wr_store *s, uint32_t k, uint64_t v)
{
	uint8_t *body;

	select_key(s, k);
	body = wr_state_put(s, VALUE, 1, 8);
	assert_non_null(body);
	memcpy(body, &v, 8);
}

static uint32_t current_key(struct wr_store *s)
{
	uint32_t len, k;

	memcpy(&k, wr_store_key(s, &len) + 1, 4);
	return k;
}

/* Between two steps keys are read, written, added, removed, and leave memory. */
static void stir(struct wr_store *s, struct wr_rand *r, bool *gone)
{
	uint32_t k = wr_rand_below(r, KEYS);

	switch (wr_rand_below(r, 4)) {
	case 0:
		wr_store_set_now(s, 1);
		break;
	case 1:
		if (!gone[k])
			put(s, k, k);
		break;
	case 2:
		select_key(s, k);
		assert_true((wr_state_get(s, VALUE) == NULL) == gone[k]);
		break;
	default:
		if (wr_rand_below(r, 8))
			break;
		select_key(s, k);
		wr_state_clear(s, VALUE);
		gone[k] = true;
	}
}

static void a_walk_meets_each_key_once_while_they_come_and_go(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct wr_rand r = {seed};
		struct wr_store *s = new_store(true);
		uint64_t cursors[2] = {0};
		bool gone[KEYS] = {false};
		uint32_t met[2][KEYS] = {{0}}, on = 3;

		for (uint32_t k = 0; k < KEYS; k++)
			put(s, k, k);
		wr_store_set_now(s, 1);
		assert_int_equal(wr_store_keys(s), KEYS);
		while (on) { /* two walks, by turns */
			uint32_t w = wr_rand_below(&r, 2);

			if (!(on & 1 << w))
				continue;
			if (wr_store_next(s, &cursors[w]) == 1)
				met[w][current_key(s)]++;
			else
				on &= ~(1u << w);
			stir(s, &r, gone);
		}
		assert_int_equal(wr_store_status(s), WR_OK);
		for (uint32_t k = 0; k < KEYS; k++)
			for (int w = 0; w < 2; w++)
				assert_true(met[w][k] == 1 || (gone[k] && met[w][k] == 0));
		wr_store_free(s);
		assert_int_equal(mem.bytes, 0);
	}
}

static void timers_at_the_ends_of_time_fire_in_their_turn(void **state)
{
	static const int64_t times[] = {INT64_MIN, -5, 0, 5, INT64_MAX - 1, INT64_MAX};
	struct wr_store *s = new_store(true);
	int64_t time;

	(void)state;
	assert_int_equal(wr_timer_latest(s, WR_TIMER_EVENT), INT64_MIN);
	for (uint32_t k = 0; k < 6; k++) {
		select_key(s, k);
		assert_int_equal(wr_timer_add(s, WR_TIMER_EVENT, times[5 - k]), WR_OK);
		assert_int_equal(wr_timer_add(s, WR_TIMER_PROCESSING, 7), WR_OK);
		wr_store_set_now(s, 1);
	}
	assert_int_equal(wr_timer_earliest(s, WR_TIMER_EVENT), INT64_MIN);
	assert_int_equal(wr_timer_latest(s, WR_TIMER_EVENT), INT64_MAX);
	assert_int_equal(wr_timer_latest(s, WR_TIMER_PROCESSING), 7);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(wr_timer_next(s, WR_TIMER_EVENT, INT64_MAX, &time), 1);
		assert_int_equal(time, times[i]);
		assert_int_equal(current_key(s), 5 - i);
		wr_store_set_now(s, 1);
	}
	assert_int_equal(wr_timer_next(s, WR_TIMER_EVENT, INT64_MAX, &time), 0);
	assert_int_equal(wr_timer_next(s, WR_TIMER_PROCESSING, 6, &time), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(wr_timer_next(s, WR_TIMER_PROCESSING, 7, &time), 1);
	wr_store_set_now(s, 2);
	assert_int_equal(wr_store_keys(s), 0);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

static int load_into(const struct wr_state_item *item, void *arg)
{
	return wr_store_load(arg, item);
}

static int sum_item(const struct wr_state_item *item, void *arg)
{
	uint64_t h = wr_key_hash(item->key, item->key_len) ^ wr_key_hash(item->ns, item->ns_len);

	h = h * 31 + item->state * 7 + item->position + (uint64_t)item->stamp_ms;
	if (item->map_key)
		h ^= wr_key_hash(item->map_key, item->map_key_len);
	*(uint64_t *)arg += h * wr_key_hash(item->value->body, item->value->len);
	return WR_OK;
}

static uint64_t sum_of(struct wr_store *s)
{
	struct wr_frozen *f = wr_store_freeze(s);
	uint64_t sum = 0, by_group = 0;

	assert_non_null(f);
	assert_int_equal(wr_frozen_each(f, WR_ALL_GROUPS, sum_item, &sum), WR_OK);
	for (uint32_t g = 0; g < MAX_P; g++)
		assert_int_equal(wr_frozen_each(f, g, sum_item, &by_group), WR_OK);
	assert_int_equal(sum, by_group);
	wr_frozen_unref(f);
	return sum;
}

static void a_version_goes_into_a_store_of_either_backend(void **state)
{
	struct wr_store *from = new_store(true), *to[2] = {new_store(true), new_store(false)};
	struct wr_rand r = {5};
	struct wr_frozen *f;
	uint64_t sum;

	(void)state;
	for (uint32_t i = 0; i < 5 * KEYS; i++) {
		uint32_t k = wr_rand_below(&r, KEYS), words = 1 + wr_rand_below(&r, 9);
		uint8_t user[9] = {'i', (uint8_t)wr_rand_below(&r, 20)}, *body;

		select_key(from, k);
		switch (wr_rand_below(&r, 3)) {
		case VALUE:
			body = wr_state_put(from, VALUE, 1, words * 8);
			break;
		case LIST:
			body = wr_list_add(from, LIST, 1, words * 8);
			break;
		default:
			body = wr_map_put(from, MAP, user, sizeof user, 1, words * 8);
		}
		assert_non_null(body);
		memset(body, (int)i, words * 8);
		wr_store_set_now(from, i / 100);
	}
	sum = sum_of(from);
	f = wr_store_freeze(from);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wr_frozen_each(f, WR_ALL_GROUPS, load_into, to[i]), WR_OK);
		assert_int_equal(sum_of(to[i]), sum);
		wr_store_free(to[i]);
	}
	wr_frozen_unref(f);
	wr_store_free(from);
	assert_int_equal(mem.bytes, 0);
}

/* ---- rows whose keys are fetched together ---- */

enum { BATCHES = 150, ROWS = 900, ROW_KEYS = 9000 };

struct summing {
	struct wr_store *store;
	uint64_t seed, sums[ROW_KEYS];
	bool wrong;
};

/* A number, a short string, or one that is too long to be taken together with others. */
static void put_row(struct wr_bytes *rows, uint32_t k)
{
	char text[80];
	struct wr_field_spec field = {"k", 1, k % 3 ? WR_T_F64 : WR_T_STR, 0};
	struct wr_cell cell = {.type = field.type};

	if (k % 3)
		cell.f64 = k;
	else
		cell.str =
		    (struct wr_str){text, (uint32_t)snprintf(text, sizeof text, "%0*u", k % 4 ? 20 : 60, k)};
	wr_row_put(rows, wr_shape_intern(&field, 1, 0, 0), WR_INSERT, 0, &cell);
}

static bool add_to(struct summing *s, struct wr_keyer *keyer, const struct wr_short_key *key,
		   const struct wr_elem *row, uint64_t n)
{
	uint64_t sum = 0;
	int32_t fresh;
	uint8_t *body;

	if (key->len)
		wr_store_set_short(s->store, key);
	else if (wr_store_set_row(s->store, keyer, row) != WR_OK)
		return false;
	body = wr_state_update(s->store, VALUE, 1, 8, &fresh);
	if (!body)
		return false;
	if (!fresh)
		memcpy(&sum, body, 8);
	sum += n;
	memcpy(body, &sum, 8);
	return true;
}

/* As operators go through a batch; now and then one rests in the midst of it. */
static bool take_batch(struct summing *s, struct wr_keyer *keyer, struct wr_rand *r,
		       const struct wr_bytes *rows, const uint32_t *ks)
{
	const uint8_t *p = rows->data, *end = rows->data + rows->len;
	struct wr_short_key keys[WR_KEYS_MAX];

	wr_store_set_now(s->store, 1);
	while (p < end) {
		uint32_t n = wr_keyer_keys(keyer, p, end, keys);

		wr_store_fetch(s->store, keyer, p, end);
		wr_store_prefetch(s->store, keys, n);
		for (uint32_t i = 0; i < n; i++, ks++) {
			const struct wr_elem *row = (const struct wr_elem *)p;
			uint64_t add = wr_rand_below(r, 1000);

			s->sums[*ks] += add;
			if (!add_to(s, keyer, &keys[i], row, add))
				return false;
			p += row->len;
		}
		if (wr_rand_below(r, 4) == 0)
			wr_store_set_now(s->store, 1);
	}
	return true;
}

static void *sum_rows(void *arg)
{
	struct summing *s = arg;
	struct wr_rand r = {s->seed};
	struct wr_str name = {"k", 1};
	struct wr_keyer *keyer = wr_keyer_new(&name, 1);
	struct wr_bytes rows = WR_BYTES_EMPTY;
	uint32_t ks[ROWS];

	for (uint32_t b = 0; b < BATCHES && !s->wrong; b++) {
		uint32_t count = 1 + wr_rand_below(&r, ROWS),
			 of = b % 10 == 9 ? 50 : (b + 1) * ROW_KEYS / BATCHES;

		rows.len = 0;
		for (uint32_t i = 0; i < count; i++)
			put_row(&rows, ks[i] = wr_rand_below(&r, of));
		memset(wr_bytes_room(&rows, WR_ROW_SLACK), 0, WR_ROW_SLACK);
		s->wrong = rows.failed || !take_batch(s, keyer, &r, &rows, ks);
	}
	for (uint32_t k = 0; k < ROW_KEYS && !s->wrong; k++) {
		const struct wr_sval *v;
		uint64_t sum = 0;

		rows.len = 0;
		put_row(&rows, k);
		memset(wr_bytes_room(&rows, WR_ROW_SLACK), 0, WR_ROW_SLACK);
		wr_store_set_row(s->store, keyer, (const struct wr_elem *)rows.data);
		v = wr_state_get(s->store, VALUE);
		if (v)
			memcpy(&sum, v->body, 8);
		s->wrong = sum != s->sums[k];
	}
	wr_bytes_deinit(&rows);
	wr_keyer_free(keyer);
	return NULL;
}

static void keys_that_two_stores_fetch_at_once_have_what_was_put(void **state)
{
	struct summing *s[2];
	pthread_t threads[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = wr_zalloc(&mem, sizeof *s[i]);
		s[i]->seed = 7 + i;
		s[i]->store = new_store(true);
		assert_int_equal(pthread_create(&threads[i], NULL, sum_rows, s[i]), 0);
	}
	for (uint32_t i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_false(s[i]->wrong);
		assert_int_equal(wr_store_status(s[i]->store), WR_OK);
		wr_store_free(s[i]->store);
		wr_free(&mem, s[i]);
	}
	assert_int_equal(mem.bytes, 0);
}

enum { MANY = 20000, EVERY = 7, LARGE = 200 };

static void put_large(struct wr_store *s, uint32_t k, uint64_t v)
{
	uint8_t *body;

	select_key(s, k);
	body = wr_state_put(s, VALUE, 1, LARGE);
	assert_non_null(body);
	for (uint32_t i = 0; i < LARGE; i += 8) {
		uint64_t mixed = wr_key_hash((const uint8_t *)&v, 8) * (i + 1);

		memcpy(body + i, &mixed, 8); /* nothing that packs well */
	}
	memcpy(body, &v, 8);
	if (k % 50 == 0)
		wr_store_set_now(s, 1);
}

static int count_new(const struct wr_state_item *item, void *arg)
{
	uint64_t v;

	memcpy(&v, item->value->body, 8);
	assert_true(v >= MANY);
	++*(uint32_t *)arg;
	return WR_OK;
}

/* So much that the library writes files, before and after the version. */
static void what_has_changed_is_found_in_the_files_that_were_written_since(void **state)
{
	struct wr_store *s = new_store(true);
	struct wr_bytes ids = WR_BYTES_EMPTY;
	uint32_t changed = 0, found = 0, of;
	struct wr_frozen *before, *after;

	(void)state;
	for (uint32_t k = 0; k < MANY; k++)
		put_large(s, k, k);
	before = wr_store_freeze(s);
	for (uint32_t k = 0; k < MANY; k += EVERY, changed++)
		put_large(s, k, k + MANY);
	wr_store_set_now(s, 1);
	after = wr_store_freeze(s);
	assert_int_equal(wr_frozen_changes(after, wr_frozen_epoch(before), &ids, &of), WR_OK);
	assert_int_equal(ids.len, changed * sizeof(uint32_t));
	assert_int_equal(wr_frozen_each_of(after, wr_frozen_epoch(before), (const uint32_t *)ids.data,
					   changed, count_new, &found),
			 WR_OK);
	assert_int_equal(found, changed);
	wr_frozen_unref(before);
	wr_frozen_unref(after);
	wr_bytes_deinit(&ids);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

static uint32_t folders_in(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *e;
	uint32_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void a_folder_goes_with_its_job_or_with_the_next_one(void **state)
{
	const char *temporary = getenv("TMPDIR");
	char parent[256], left[320];
	struct wr_spill_options o = {.stores = 1, .bytes = 1, .disks = wr_module.functions};
	struct wr_spill *one, *two;
	FILE *lock;

	(void)state;
	snprintf(parent, sizeof parent, "%s/weir-test-XXXXXX", temporary ? temporary : ".");
	assert_non_null(mkdtemp(parent));
	o.folder = parent;
	snprintf(left, sizeof left, "%s/weir-spill-killed", parent);
	assert_int_equal(mkdir(left, 0700), 0);
	snprintf(left, sizeof left, "%s/weir-spill-killed/lock", parent);
	lock = fopen(left, "w");
	assert_non_null(lock);
	fclose(lock);
	one = wr_spill_new(&o);
	assert_non_null(one);
	assert_int_equal(folders_in(parent), 1); /* what was left behind is gone */
	wr_spill_clean(parent);
	assert_int_equal(folders_in(parent), 1);
	two = wr_spill_new(&o);
	assert_non_null(two);
	assert_int_equal(folders_in(parent), 2); /* what is in use is not */
	wr_spill_free(one);
	wr_spill_free(two);
	assert_int_equal(folders_in(parent), 0);
	rmdir(parent);
}

static void a_folder_that_cannot_be_made_is_an_error_that_names_the_place(void **state)
{
	struct wr_spill_options o = {
	    .folder = "/proc/nothing/here", .stores = 1, .bytes = 1, .disks = wr_module.functions};

	(void)state;
	assert_null(wr_spill_new(&o));
	assert_int_equal(wr_error_code(), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "/proc/nothing/here"));
}

static int64_t held;

static int64_t bytes_held(struct wr_disk_pool *pool)
{
	(void)pool;
	return held;
}

static int64_t share_beside(struct wr_spill *s, int64_t bytes)
{
	held = bytes;
	wr_spill_account(s);
	return wr_spill_share(s);
}

static void entries_have_what_the_library_leaves_but_never_less_than_a_quarter(void **state)
{
	enum { MIB = 1 << 20, REST = 400 * MIB, STORES = 2 };
	struct wr_disk_functions disks = *(const struct wr_disk_functions *)wr_module.functions;
	struct wr_spill_options o = {.stores = STORES, .bytes = REST + 64 * MIB, .disks = &disks};
	struct wr_spill *s;

	(void)state;
	disks.pool_bytes = bytes_held;
	s = wr_spill_new(&o);
	assert_non_null(s);
	assert_int_equal(wr_spill_share(s), 300 * MIB / STORES); /* beside the write buffers */
	assert_int_equal(share_beside(s, 20 * MIB), 300 * MIB / STORES);
	assert_int_equal(share_beside(s, 160 * MIB), 240 * MIB / STORES);
	assert_int_equal(share_beside(s, 3000LL * MIB), 100 * MIB / STORES);
	assert_int_equal(share_beside(s, 120 * MIB), 280 * MIB / STORES);
	wr_spill_free(s);
}

int main(void)
{
	enum { NOTHING = 0, A_PART = 400 << 10, SOME = 4 << 20 };
	const struct CMUnitTest tests[] = {
	    ON_ROCKSDB(a_walk_meets_each_key_once_while_they_come_and_go, NOTHING),
	    ON_ROCKSDB(a_walk_meets_each_key_once_while_they_come_and_go, A_PART),
	    ON_ROCKSDB(timers_at_the_ends_of_time_fire_in_their_turn, NOTHING),
	    ON_ROCKSDB(a_version_goes_into_a_store_of_either_backend, NOTHING),
	    ON_ROCKSDB(a_version_goes_into_a_store_of_either_backend, A_PART),
	    ON_ROCKSDB(keys_that_two_stores_fetch_at_once_have_what_was_put, NOTHING),
	    ON_ROCKSDB(keys_that_two_stores_fetch_at_once_have_what_was_put, SOME),
	    ON_ROCKSDB(what_has_changed_is_found_in_the_files_that_were_written_since, NOTHING),
	    cmocka_unit_test(entries_have_what_the_library_leaves_but_never_less_than_a_quarter),
	    cmocka_unit_test(a_folder_goes_with_its_job_or_with_the_next_one),
	    cmocka_unit_test(a_folder_that_cannot_be_made_is_an_error_that_names_the_place),
	};

	return cmocka_run_group_tests_name("tiered", tests, NULL, NULL);
}
