/* SPDX-License-Identifier: Apache-2.0 */
/* heap: random operations of a Lua state against a model that knows what each block holds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/rand.h"
#include "heap/heap.h"

enum { BLOCKS = 3000 };

static struct wr_mem mem = WR_MEM_INIT("test.heap");

struct block {
	uint8_t *p;
	size_t size;
	uint8_t with;
};

static void block_check(const struct block *b, size_t upto)
{
	for (size_t i = 0; i < upto; i++)
		assert_int_equal(b->p[i], b->with);
}

static void block_set(struct wr_heap *h, struct block *b, size_t size, uint8_t with)
{
	size_t same = size < b->size ? size : b->size;

	block_check(b, b->size);
	b->p = wr_heap_alloc(h, b->p, b->size, size);
	assert_true((b->p != NULL) == (size != 0));
	assert_int_equal((uintptr_t)b->p % 16, 0);
	block_check(b, same);
	b->size = size;
	b->with = with;
	if (size)
		memset(b->p, with, size);
}

/* Mostly small, as Lua's objects are. */
static size_t random_size(struct wr_rand *r)
{
	switch (wr_rand_below(r, 8)) {
	case 0:
		return 0;
	case 1:
		return 1 + wr_rand_below(r, 20000);
	case 2:
		return 200 + wr_rand_below(r, 100);
	default:
		return 1 + wr_rand_below(r, 130);
	}
}

static void blocks_keep_what_is_in_them(void **state)
{
	static struct block blocks[BLOCKS];
	struct wr_heap h = {.mem = &mem};
	struct wr_rand r = {11};
	int64_t sum = 0;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		struct block *b = &blocks[wr_rand_below(&r, BLOCKS)];
		size_t size = random_size(&r);

		sum += (int64_t)size - (int64_t)b->size;
		block_set(&h, b, size, (uint8_t)i);
		assert_int_equal(h.bytes, sum);
	}
	assert_true(mem.bytes >= sum);
	for (int i = 0; i < BLOCKS; i++)
		block_set(&h, &blocks[i], 0, 0);
	wr_heap_deinit(&h);
	assert_int_equal(mem.bytes, 0);
}

static void what_a_peak_needed_goes_back(void **state)
{
	static struct block blocks[BLOCKS];
	struct wr_heap h = {.mem = &mem};

	(void)state;
	for (int i = 0; i < BLOCKS; i++)
		block_set(&h, &blocks[i], 1 + (size_t)i % 256, 1);
	for (int i = 0; i < BLOCKS; i++)
		if (i >= 256)
			block_set(&h, &blocks[i], 0, 0);
	wr_heap_trim(&h);
	assert_true(mem.bytes < 4 * h.bytes);
	for (int i = 0; i < 256; i++)
		block_set(&h, &blocks[i], 0, 0);
	wr_heap_trim(&h);
	assert_int_equal(mem.bytes, 0);
	wr_heap_deinit(&h);
}

static void what_may_stay_is_not_exchanged_with_others(void **state)
{
	static struct block blocks[BLOCKS];
	struct wr_heap h = {.mem = &mem, .keep = 1 << 20};
	int64_t peak;

	(void)state;
	for (int i = 0; i < BLOCKS; i++)
		block_set(&h, &blocks[i], 100, 1);
	peak = mem.bytes;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < BLOCKS; i++)
			block_set(&h, &blocks[i], 0, 0);
		assert_int_equal(mem.bytes, peak);
		for (int i = 0; i < BLOCKS; i++)
			block_set(&h, &blocks[i], 100, 2);
		assert_int_equal(mem.bytes, peak);
	}
	h.keep = 0;
	for (int i = 0; i < BLOCKS; i++)
		block_set(&h, &blocks[i], 0, 0);
	assert_true(mem.bytes < peak / 4);
	wr_heap_trim(&h);
	assert_int_equal(mem.bytes, 0);
	wr_heap_deinit(&h);
}

static int told;

static void on_passed(struct wr_heap *h)
{
	assert_true(h->over);
	told++;
}

static void the_bound_is_told_once_until_it_is_reset(void **state)
{
	struct wr_heap h = {.mem = &mem, .bytes_max = 5000, .passed = on_passed};
	struct block small = {0}, large = {0};

	(void)state;
	told = 0;
	block_set(&h, &large, 4900, 1);
	block_set(&h, &small, 100, 2);
	assert_int_equal(told, 0);
	block_set(&h, &small, 101, 2);
	block_set(&h, &large, 9000, 3);
	assert_int_equal(told, 1);
	block_set(&h, &large, 50, 3);
	h.over = false;
	block_set(&h, &small, 4900, 4);
	assert_int_equal(told, 1);
	block_set(&h, &small, 5000, 4);
	assert_int_equal(told, 2);
	assert_false(h.refused);
	block_set(&h, &small, 0, 0);
	block_set(&h, &large, 0, 0);
	wr_heap_deinit(&h);
}

static void far_beyond_the_bound_memory_is_refused_but_never_for_a_smaller_block(void **state)
{
	struct wr_heap h = {.mem = &mem, .bytes_max = 5000};
	struct block small = {0}, large = {0}, rest[20] = {0};

	(void)state;
	block_set(&h, &large, 15800, 1);
	block_set(&h, &small, 100, 2);
	assert_null(wr_heap_alloc(&h, NULL, 0, 500)); /* the last 4 KB are for small ones */
	assert_null(wr_heap_alloc(&h, large.p, 15800, 20000));
	assert_null(wr_heap_alloc(&h, small.p, 100, 500));
	for (int i = 0; i < 20; i++)
		block_set(&h, &rest[i], 200, 5);
	assert_null(wr_heap_alloc(&h, NULL, 0, 100));
	assert_true(h.refused);
	block_check(&small, 100);
	block_set(&h, &large, 50, 3);
	block_set(&h, &small, 5000, 4);
	for (int i = 0; i < 20; i++)
		block_set(&h, &rest[i], 0, 0);
	block_set(&h, &small, 0, 0);
	block_set(&h, &large, 0, 0);
	wr_heap_deinit(&h);
}

/* LuaJIT forgets how large a function is whose variables were refused: it says that it has none. */
static void after_a_refusal_a_small_block_may_be_said_to_be_smaller(void **state)
{
	struct wr_heap h = {.mem = &mem, .bytes_max = 5000};
	int64_t before = mem.bytes;
	void *p = wr_heap_alloc(&h, NULL, 0, 72);

	(void)state;
	assert_null(wr_heap_alloc(&h, NULL, 0, 30000));
	wr_heap_alloc(&h, p, 32, 0);
	wr_heap_deinit(&h);
	assert_int_equal(mem.bytes, before);
}

static void a_refusal_of_the_system_is_told_and_the_block_is_there_all_the_same(void **state)
{
	struct wr_heap h = {.mem = &mem, .passed = on_passed};
	struct block b = {0};

	(void)state;
	told = 0;
	block_set(&h, &b, 40, 1);
	for (size_t size = 300; size < 5000; size += 2000) {
		int before = told;

		wr_mem_fail_at(1);
		block_set(&h, &b, size, 2);
		assert_true(h.scarce && !h.refused);
		assert_int_equal(told, before + 1);
		assert_int_equal(h.bytes, size);
		h.scarce = h.over = false;
	}
	wr_mem_fail_at(0);
	block_set(&h, &b, 0, 0);
	wr_heap_deinit(&h);
	assert_int_equal(mem.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blocks_keep_what_is_in_them),
	    cmocka_unit_test(what_a_peak_needed_goes_back),
	    cmocka_unit_test(what_may_stay_is_not_exchanged_with_others),
	    cmocka_unit_test(the_bound_is_told_once_until_it_is_reset),
	    cmocka_unit_test(far_beyond_the_bound_memory_is_refused_but_never_for_a_smaller_block),
	    cmocka_unit_test(after_a_refusal_a_small_block_may_be_said_to_be_smaller),
	    cmocka_unit_test(a_refusal_of_the_system_is_told_and_the_block_is_there_all_the_same),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
