/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a store against a model that is a plain array, with frozen versions
 * compared with copies of the model while the store goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "state/store.h"
#include "state/timers.h"
#include "support/spilled.h"

enum { KEYS = 40, SPACES = 3, USER_KEYS = 8, LIST_MAX = 64, TIMES = 50, MAX_P = 16 };
enum { S_VALUE, S_LIST, S_MAP, S_TTL };

/* One (key, namespace): a value is its number of 8-byte words, all of them `seed`; 0 words = empty. */
struct value {
	uint32_t words;
	uint64_t seed;
	int64_t stamp;
};
struct slot {
	struct value value, ttl, list[LIST_MAX], map[USER_KEYS];
	uint32_t list_count;
	bool timer[2][TIMES];
};
struct model {
	int64_t now;
	struct slot slots[KEYS][SPACES];
};

static const int64_t ttl_ms = 100;

static uint32_t key_bytes(uint32_t k, uint8_t *to)
{
	/* short keys lie in the entry, long ones in a block */
	uint32_t len = k % 2 ? 10 : 40;

	to[0] = 's';
	to[1] = (uint8_t)(len - 2);
	memset(to + 2, 'a' + (int)(k % 26), len - 2);
	memcpy(to + 2, &k, 4);
	return len;
}

static void select_slot(struct wr_store *s, uint32_t k, uint32_t space)
{
	uint8_t key[64], ns[64];
	uint32_t len = key_bytes(k, key);

	assert_int_equal(wr_store_set_key(s, key, len, wr_key_hash(key, len)), 0);
	memset(ns, (int)('A' + space), sizeof ns);
	if (space)
		assert_int_equal(wr_store_set_namespace(s, ns, space == 1 ? 3 : 50), 0);
}

static void fill(uint8_t *body, struct value v)
{
	assert_non_null(body);
	for (uint32_t i = 0; i < v.words; i++)
		memcpy(body + 8 * i, &v.seed, 8);
}

static void check(const struct wr_sval *got, struct value want)
{
	if (!want.words) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_int_equal(got->len, want.words * 8);
	assert_int_equal(got->shape, want.words);
	for (uint32_t i = 0; i < want.words; i++)
		assert_memory_equal(got->body + 8 * i, &want.seed, 8);
}

static struct value random_value(struct wr_rand *r)
{
	return (struct value){1 + wr_rand_below(r, 2) * wr_rand_below(r, 30), wr_rand_next(r), 0};
}

static bool alive(struct value v, int64_t now)
{
	return v.words && v.stamp + ttl_ms > now; /* S6 */
}

static uint32_t user_key(uint32_t u, uint8_t *to)
{
	uint32_t len = u % 2 ? 5 : 60;

	memset(to, 'k', len);
	to[0] = 's';
	to[1] = (uint8_t)(len - 2);
	to[2] = (uint8_t)u;
	return len;
}

static void check_list(struct wr_store *s, const struct slot *m)
{
	uint64_t cursor = 0;

	assert_int_equal(wr_list_count(s, S_LIST), m->list_count);
	for (uint32_t i = 0; i < m->list_count; i++)
		check(wr_list_next(s, S_LIST, &cursor), m->list[i]);
	assert_null(wr_list_next(s, S_LIST, &cursor));
}

static void check_map(struct wr_store *s, const struct slot *m)
{
	uint64_t cursor = 0;
	uint32_t count = 0, seen = 0, klen;
	const struct wr_sval *v;
	const uint8_t *key;

	for (uint32_t u = 0; u < USER_KEYS; u++)
		count += m->map[u].words != 0;
	assert_int_equal(wr_map_count(s, S_MAP), count);
	while ((v = wr_map_next(s, S_MAP, &cursor, &key, &klen))) {
		assert_true(key[2] < USER_KEYS);
		check(v, m->map[key[2]]);
		seen++;
	}
	assert_int_equal(seen, count);
}

/* Session windows grow together: what another namespace of the key holds comes into the current one. */
static void merge(struct wr_store *s, struct model *m, uint32_t k, uint32_t space, uint32_t other,
		  uint32_t state)
{
	struct slot *to = &m->slots[k][space], *from = &m->slots[k][other];
	uint32_t len = other == 0 ? 0 : other == 1 ? 3 : 50;
	bool both = to->value.words && from->value.words;
	uint8_t ns[64];

	memset(ns, (int)('A' + other), sizeof ns);
	if (space == other || (state == S_LIST && to->list_count + from->list_count > LIST_MAX))
		return;
	if (state == S_VALUE)
		check(wr_state_peek(s, S_VALUE, ns, len), from->value);
	assert_int_equal(wr_state_merge(s, state, ns, len), state == S_VALUE && both ? WR_AGAIN : WR_OK);
	if (state == S_VALUE && !both && from->value.words) {
		to->value = from->value;
		from->value.words = 0;
	} else if (state == S_LIST) {
		memcpy(to->list + to->list_count, from->list, from->list_count * sizeof *from->list);
		to->list_count += from->list_count;
		from->list_count = 0;
	} else if (state == S_MAP) {
		for (uint32_t u = 0; u < USER_KEYS; u++)
			if (from->map[u].words)
				to->map[u] = from->map[u];
		memset(from->map, 0, sizeof from->map);
	}
}

static void one_operation(struct wr_store *s, struct model *m, struct wr_rand *r, int64_t now)
{
	uint32_t k = wr_rand_below(r, KEYS), space = wr_rand_below(r, SPACES),
		 u = wr_rand_below(r, USER_KEYS);
	struct slot *slot = &m->slots[k][space];
	struct value v = random_value(r);
	uint8_t ukey[64];
	uint32_t ulen = user_key(u, ukey), kind = wr_rand_below(r, 2), at = wr_rand_below(r, TIMES);
	int32_t fresh;
	uint8_t *body;

	select_slot(s, k, space);
	switch (wr_rand_below(r, 16)) {
	case 0:
	case 1:
		fill(wr_state_put(s, S_VALUE, v.words, v.words * 8), v);
		slot->value = v;
		break;
	case 2: /* in place when length and shape agree, else anew */
		v.words = slot->value.words ? slot->value.words : v.words;
		body = wr_state_update(s, S_VALUE, v.words, v.words * 8, &fresh);
		assert_int_equal(fresh, slot->value.words == 0);
		if (!fresh)
			assert_memory_equal(body, &slot->value.seed, 8);
		fill(body, v);
		slot->value = v;
		break;
	case 3:
		wr_state_clear(s, S_VALUE);
		slot->value.words = 0;
		break;
	case 4:
		if (slot->list_count == LIST_MAX)
			break;
		fill(wr_list_add(s, S_LIST, v.words, v.words * 8), v);
		slot->list[slot->list_count++] = v;
		break;
	case 5:
		if (wr_rand_below(r, 4))
			break;
		wr_state_clear(s, S_LIST);
		slot->list_count = 0;
		break;
	case 6:
	case 7:
		fill(wr_map_put(s, S_MAP, ukey, ulen, v.words, v.words * 8), v);
		slot->map[u] = v;
		break;
	case 8:
		assert_int_equal(wr_map_remove(s, S_MAP, ukey, ulen), slot->map[u].words != 0);
		slot->map[u].words = 0;
		break;
	case 9:
		if (wr_rand_below(r, 4))
			break;
		wr_state_clear(s, S_MAP);
		memset(slot->map, 0, sizeof slot->map);
		break;
	case 10:
		fill(wr_state_put(s, S_TTL, v.words, v.words * 8), v);
		slot->ttl = v;
		slot->ttl.stamp = now;
		break;
	case 11:
		assert_int_equal(wr_timer_add(s, kind, at), 0);
		slot->timer[kind][at] = true;
		break;
	case 12:
		wr_timer_remove(s, kind, at);
		slot->timer[kind][at] = false;
		break;
	case 13:
		merge(s, m, k, space, wr_rand_below(r, SPACES), wr_rand_below(r, 3));
		break;
	case 14:
		if (wr_rand_below(r, 8))
			break;
		wr_state_clear_all(s);
		slot->value.words = slot->ttl.words = slot->list_count = 0;
		memset(slot->map, 0, sizeof slot->map);
		break;
	default:
		check(wr_state_get(s, S_VALUE), slot->value);
		check(wr_map_get(s, S_MAP, ukey, ulen), slot->map[u]);
		check(wr_state_get(s, S_TTL), alive(slot->ttl, now) ? slot->ttl : (struct value){0});
		if (!alive(slot->ttl, now))
			slot->ttl.words = 0; /* S7: reading removed it */
		check_list(s, slot);
		check_map(s, slot);
	}
}

/* Fires what is due: in time order, each once; a callback adds and removes timers that count at once (I4). */
static void fire(struct wr_store *s, struct model *m, struct wr_rand *r, uint32_t kind, int64_t upto)
{
	int64_t time, last = INT64_MIN;

	while (wr_timer_next(s, kind, upto, &time)) {
		uint32_t klen, nlen, k, space;
		const uint8_t *key = wr_store_key(s, &klen);

		memcpy(&k, key + 2, 4);
		wr_store_namespace(s, &nlen);
		space = nlen == 0 ? 0 : nlen == 3 ? 1 : 2;
		assert_true(time >= last && time <= upto);
		assert_true(m->slots[k][space].timer[kind][time]);
		m->slots[k][space].timer[kind][time] = false;
		last = time;
		if (wr_rand_below(r, 5) == 0) {
			int64_t more = time + wr_rand_below(r, (uint32_t)(TIMES - time));

			assert_int_equal(wr_timer_add(s, kind, more), 0);
			m->slots[k][space].timer[kind][more] = true;
		}
		if (wr_rand_below(r, 5) == 0) {
			int64_t other = time + wr_rand_below(r, (uint32_t)(TIMES - time));

			wr_timer_remove(s, kind, other);
			m->slots[k][space].timer[kind][other] = false;
		}
	}
	for (uint32_t k = 0; k < KEYS; k++)
		for (uint32_t space = 0; space < SPACES; space++)
			for (int64_t t = 0; t <= upto; t++)
				assert_false(m->slots[k][space].timer[kind][t]);
}

struct frozen_check {
	struct model *m;
	uint64_t values, lists, maps, ttls, timers;
};

static struct slot *slot_of(struct model *m, const uint8_t *key, uint32_t ns_len)
{
	uint32_t k;

	memcpy(&k, key + 2, 4);
	return &m->slots[k][ns_len == 0 ? 0 : ns_len == 3 ? 1 : 2];
}

static int each_item(const struct wr_state_item *item, void *arg)
{
	struct frozen_check *c = arg;
	struct slot *slot = slot_of(c->m, item->key, item->ns_len);

	if (item->state == S_VALUE) {
		check(item->value, slot->value);
		c->values++;
	} else if (item->state == S_LIST) {
		assert_true(item->position < slot->list_count);
		check(item->value, slot->list[item->position]);
		c->lists++;
	} else if (item->state == S_MAP) {
		check(item->value, slot->map[item->map_key[2]]);
		c->maps++;
	} else if (alive(slot->ttl, c->m->now)) { /* others may have been cleaned up or not */
		check(item->value, slot->ttl);
		c->ttls++;
	}
	return 0;
}

static int each_timer(const struct wr_timer_item *item, void *arg)
{
	struct frozen_check *c = arg;

	assert_true(slot_of(c->m, item->key, item->ns_len)->timer[item->kind][item->time_ms]);
	c->timers++;
	return 0;
}

/* The version holds exactly what the model held when it was frozen. */
static void check_frozen(struct wr_frozen *f, struct model *m)
{
	struct frozen_check c = {.m = m}, want = {.m = m};

	for (uint32_t k = 0; k < KEYS; k++)
		for (uint32_t space = 0; space < SPACES; space++) {
			const struct slot *slot = &m->slots[k][space];

			want.values += slot->value.words != 0;
			want.ttls += alive(slot->ttl, m->now);
			want.lists += slot->list_count;
			for (uint32_t u = 0; u < USER_KEYS; u++)
				want.maps += slot->map[u].words != 0;
			for (uint32_t t = 0; t < TIMES; t++)
				want.timers += slot->timer[0][t] + slot->timer[1][t];
		}
	for (uint32_t group = 0; group < MAX_P; group++) {
		assert_int_equal(wr_frozen_each(f, group, each_item, &c), 0);
		assert_int_equal(wr_frozen_timers(f, group, each_timer, &c), 0);
	}
	assert_int_equal(c.values, want.values);
	assert_int_equal(c.lists, want.lists);
	assert_int_equal(c.maps, want.maps);
	assert_int_equal(c.ttls, want.ttls);
	assert_int_equal(c.timers, want.timers);
}

static struct wr_mem mem = WR_MEM_INIT("test.state");

static struct wr_store *new_store(void)
{
	static const struct wr_state_desc states[] = {
	    {"value", WR_STATE_VALUE, 0, 0, false, 0},
	    {"list", WR_STATE_LIST, 0, 0, false, 0},
	    {"map", WR_STATE_MAP, 0, 0, false, 0},
	    {"ttl", WR_STATE_VALUE, 100, WR_TTL_ON_WRITE, false, 0}};
	struct wr_store_options o = {.operator_uid = "test",
				     .states = states,
				     .state_count = 4,
				     .max_parallelism = MAX_P,
				     .group_last = MAX_P - 1,
				     .mem = &mem};

	spill_store(&o);
	return wr_store_new(&o);
}

static void one_run(uint64_t seed)
{
	struct wr_rand r = {seed};
	struct wr_store *s = new_store();
	struct model *m = calloc(1, sizeof *m), *copies[WR_FROZEN_MAX] = {NULL};
	struct wr_frozen *frozen[WR_FROZEN_MAX] = {NULL};
	int64_t now = 1000;

	assert_non_null(s);
	for (int step = 0; step < 3000; step++) {
		uint32_t f = wr_rand_below(&r, WR_FROZEN_MAX);

		wr_store_set_now(s, m->now = now);
		one_operation(s, m, &r, now);
		if (step % 100 == 99)
			fire(s, m, &r, wr_rand_below(&r, 2), wr_rand_below(&r, TIMES));
		if (wr_rand_below(&r, 150) == 0 && !frozen[f]) {
			frozen[f] = wr_store_freeze(s);
			assert_non_null(frozen[f]);
			copies[f] = malloc(sizeof *m);
			memcpy(copies[f], m, sizeof *m);
		} else if (wr_rand_below(&r, 150) == 0 && frozen[f]) {
			check_frozen(frozen[f], copies[f]);
			wr_frozen_unref(frozen[f]);
			free(copies[f]);
			frozen[f] = NULL;
		}
		now += wr_rand_below(&r, 3);
	}
	for (int f = 0; f < WR_FROZEN_MAX; f++)
		if (frozen[f]) {
			check_frozen(frozen[f], copies[f]);
			wr_frozen_unref(frozen[f]);
			free(copies[f]);
		}
	wr_store_free(s);
	free(m);
	assert_int_equal(mem.bytes, 0);
}

static void random_operations_agree_with_a_model_S1_S2_S3_S6_S7_I1_I2_I3_I4(void **state)
{
#ifdef __SANITIZE_THREAD__
	enum { SEEDS = 15 }; /* each is half a second on a disk */
#else
	enum { SEEDS = 60 };
#endif

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		one_run(seed);
}

static void an_entry_without_values_and_timers_is_given_up(void **state)
{
	struct wr_store *s = new_store();
	int64_t time;

	(void)state;
	select_slot(s, 1, 0);
	fill(wr_state_put(s, S_VALUE, 1, 8), (struct value){1, 5, 0});
	assert_int_equal(wr_timer_add(s, WR_TIMER_EVENT, 7), 0);
	assert_int_equal(wr_store_keys(s), 1);
	wr_state_clear(s, S_VALUE);
	assert_int_equal(wr_store_keys(s), 1);
	assert_int_equal(wr_timer_next(s, WR_TIMER_EVENT, 10, &time), 1);
	assert_int_equal(wr_timer_next(s, WR_TIMER_EVENT, 10, &time), 0);
	assert_int_equal(wr_store_keys(s), 0);
	wr_store_free(s);
}

static int sum_item(const struct wr_state_item *item, void *arg)
{
	uint64_t *kept = arg, sum;
	uint32_t k;

	memcpy(&k, item->key + 2, 4);
	memcpy(&sum, item->value->body, 8);
	kept[k] -= sum;
	return 0;
}

/* A group of keys, some twice, some long, some new; also while a version is open. */
static void a_group_of_keys_is_updated_as_one_by_one(void **state)
{
	enum { GROUP = 40, LAPS = 200 };
	struct wr_store *s = new_store();
	uint64_t sums[KEYS] = {0}, kept[KEYS];
	struct wr_frozen *f = NULL;
	struct wr_rand r = {3};

	(void)state;
	for (int lap = 0; lap < LAPS; lap++) {
		struct wr_short_key keys[GROUP];
		struct wr_update out[GROUP];
		uint32_t which[GROUP];

		for (int i = 0; i < GROUP; i++) {
			which[i] = wr_rand_below(&r, KEYS);
			memset(&keys[i], 0, sizeof keys[i]);
			keys[i].len = key_bytes(which[i], keys[i].bytes);
			keys[i].hash = wr_key_hash(keys[i].bytes, keys[i].len);
		}
		if (lap == LAPS / 2) {
			f = wr_store_freeze(s);
			memcpy(kept, sums, sizeof sums);
		}
		wr_store_prefetch(s, keys, GROUP);
		assert_int_equal(wr_state_update_all(s, S_VALUE, keys, GROUP, 1, 8, out), WR_OK);
		for (int i = 0; i < GROUP; i++) {
			uint64_t sum = 0;

			if (!out[i].fresh)
				memcpy(&sum, out[i].body, 8);
			assert_int_equal(sum, sums[which[i]]);
			assert_int_equal(out[i].fresh, sums[which[i]] == 0);
			sum = sums[which[i]] += 1 + (uint64_t)i;
			memcpy(out[i].body, &sum, 8);
		}
	}
	for (uint32_t group = 0; group < MAX_P; group++)
		assert_int_equal(wr_frozen_each(f, group, sum_item, kept), 0);
	wr_frozen_unref(f);
	for (uint32_t k = 0; k < KEYS; k++) {
		select_slot(s, k, 0);
		check(wr_state_get(s, S_VALUE), (struct value){1, sums[k], 0});
		assert_int_equal(kept[k], 0);
	}
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

static int count_item(const struct wr_state_item *item, void *arg)
{
	assert_true(item->value->len == 8);
	++*(uint32_t *)arg;
	return 0;
}

static uint32_t items_in_version(struct wr_store *s)
{
	struct wr_frozen *f = wr_store_freeze(s);
	uint32_t n = 0;

	assert_non_null(f);
	for (uint32_t group = 0; group < MAX_P; group++)
		assert_int_equal(wr_frozen_each(f, group, count_item, &n), 0);
	wr_frozen_unref(f);
	return n;
}

static void expired_list_elements_give_their_room_back_S6(void **state)
{
	enum { EARLY = 1000, LATE = 10, LIST = 0 };
	static const struct wr_state_desc states[] = {{"list", WR_STATE_LIST, 100, 0, false, 0}};
	struct wr_store_options o = {.states = states,
				     .state_count = 1,
				     .max_parallelism = MAX_P,
				     .group_last = MAX_P - 1,
				     .mem = &mem};
	struct wr_store *s = wr_store_new(&o);
	uint64_t cursor = 0;
	int64_t full;

	(void)state;
	wr_store_set_now(s, 1);
	select_slot(s, 1, 0);
	for (uint32_t i = 0; i < EARLY; i++)
		fill(wr_list_add(s, LIST, 1, 8), (struct value){1, i, 0});
	full = mem.bytes;
	wr_store_set_now(s, 50);
	select_slot(s, 1, 0);
	for (uint32_t i = 0; i < LATE; i++)
		fill(wr_list_add(s, LIST, 1, 8), (struct value){1, EARLY + i, 0});
	assert_int_equal(items_in_version(s), EARLY + LATE);
	wr_store_set_now(s, 101); /* the early ones have expired, and a version is closed */
	assert_int_equal(items_in_version(s), LATE);
	wr_store_set_now(s, 102);
	assert_true(mem.bytes < full);
	select_slot(s, 1, 0);
	assert_int_equal(wr_list_count(s, LIST), LATE);
	for (uint32_t i = 0; i < LATE; i++)
		check(wr_list_next(s, LIST, &cursor), (struct value){1, EARLY + i, 0});
	wr_store_set_now(s, 150);
	assert_int_equal(wr_store_keys(s), 0);
	wr_store_free(s);
	assert_int_equal(mem.bytes, 0);
}

static void an_update_with_another_shape_says_so_and_leaves_the_bytes(void **state)
{
	struct wr_store *s = new_store();
	int64_t number = 77, there = 0;
	int32_t fresh;
	uint8_t *body;

	(void)state;
	select_slot(s, 1, 0);
	body = wr_state_update(s, S_VALUE, 5, 8, &fresh);
	assert_int_equal(fresh, 1);
	memcpy(body, &number, 8);
	for (uint32_t shape = 6; shape < 8; shape++) {
		body = wr_state_update(s, S_VALUE, shape, 8, &fresh);
		assert_int_equal(fresh, WR_STATE_RESHAPED);
		memcpy(&there, body, 8);
		assert_int_equal(there, 77);
		assert_int_equal(wr_state_get(s, S_VALUE)->shape, shape);
	}
	wr_state_update(s, S_VALUE, 7, 8, &fresh);
	assert_int_equal(fresh, 0);
	wr_state_update(s, S_VALUE, 8, 16, &fresh);
	assert_int_equal(fresh, 1);
	wr_store_free(s);
}

static void a_million_keys_are_found_again(void **state)
{
	struct wr_store *s = new_store();

	(void)state;
	for (uint32_t k = 0; k < 1000000; k++) {
		select_slot(s, k, 0);
		fill(wr_state_put(s, S_VALUE, 1, 8), (struct value){1, k, 0});
	}
	assert_int_equal(wr_store_keys(s), 1000000);
	for (uint32_t k = 0; k < 1000000; k += 7) {
		select_slot(s, k, 0);
		check(wr_state_get(s, S_VALUE), (struct value){1, k, 0});
	}
	wr_store_free(s);
}

/* Bytes of memory for the backend rocksdb: nothing stays, about a half of what the model holds, a part of
 * many keys. */
enum { NOTHING = 0, A_HALF = 120 << 10, MEGABYTES = 60 << 20 };

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_operations_agree_with_a_model_S1_S2_S3_S6_S7_I1_I2_I3_I4),
	    cmocka_unit_test(an_entry_without_values_and_timers_is_given_up),
	    cmocka_unit_test(a_group_of_keys_is_updated_as_one_by_one),
	    cmocka_unit_test(expired_list_elements_give_their_room_back_S6),
	    cmocka_unit_test(an_update_with_another_shape_says_so_and_leaves_the_bytes),
	    cmocka_unit_test(a_million_keys_are_found_again),
	    ON_ROCKSDB(random_operations_agree_with_a_model_S1_S2_S3_S6_S7_I1_I2_I3_I4, NOTHING),
	    ON_ROCKSDB(random_operations_agree_with_a_model_S1_S2_S3_S6_S7_I1_I2_I3_I4, A_HALF),
	    ON_ROCKSDB(an_entry_without_values_and_timers_is_given_up, NOTHING),
	    ON_ROCKSDB(a_group_of_keys_is_updated_as_one_by_one, NOTHING),
	    ON_ROCKSDB(an_update_with_another_shape_says_so_and_leaves_the_bytes, NOTHING),
	    ON_ROCKSDB(a_million_keys_are_found_again, MEGABYTES),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
