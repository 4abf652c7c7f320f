/* SPDX-License-Identifier: Apache-2.0 */
/* arena: many small allocations, one owner, given back at once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/arena.h"
#include "base/error.h"
#include "base/rand.h"
#include "support/failing.h"

static struct wr_mem mem = WR_MEM_INIT("test.arena");

static void random_allocations_keep_their_bytes(void **state)
{
	enum { COUNT = 3000 };
	static uint8_t *at[COUNT];
	static uint32_t size[COUNT];
	struct wr_rand r = {1};
	struct wr_arena a;

	(void)state;
	wr_arena_init(&a, &mem);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < COUNT; i++) {
			size[i] = wr_rand_below(&r, wr_rand_below(&r, 50) ? 200 : 20000);
			at[i] = wr_arena_alloc(&a, size[i]);
			assert_int_equal((uintptr_t)at[i] % 8, 0);
			memset(at[i], i & 255, size[i]);
		}
		for (int i = 0; i < COUNT; i++)
			for (uint32_t j = 0; j < size[i]; j++)
				if (at[i][j] != (i & 255))
					fail_msg("byte %u of allocation %d was overwritten", j, i);
		wr_arena_reset(&a);
	}
	wr_arena_deinit(&a);
	assert_int_equal(mem.bytes, 0);
}

static void empty_allocations_have_addresses_of_their_own(void **state)
{
	struct wr_arena a;
	void *p, *q;

	(void)state;
	wr_arena_init(&a, &mem);
	p = wr_arena_alloc(&a, 0);
	q = wr_arena_alloc(&a, 0);
	assert_non_null(p);
	assert_ptr_not_equal(p, q);
	wr_arena_deinit(&a);
}

static void reset_keeps_one_block_so_that_small_rounds_allocate_nothing(void **state)
{
	struct wr_arena a;

	(void)state;
	wr_arena_init(&a, &mem);
	wr_arena_reset(&a);
	for (int i = 0; i < 100; i++)
		wr_arena_alloc(&a, 1000);
	wr_arena_reset(&a);
	assert_int_equal(mem.blocks, 1);
	wr_mem_fail_at(1);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			assert_non_null(wr_arena_alloc(&a, 1000));
		wr_arena_reset(&a);
	}
	wr_mem_fail_at(0);
	wr_arena_deinit(&a);
	assert_int_equal(mem.blocks, 0);
}

static void a_copy_ends_with_zero(void **state)
{
	struct wr_arena a;

	(void)state;
	wr_arena_init(&a, &mem);
	assert_string_equal(wr_arena_strndup(&a, "streams", 6), "stream");
	wr_arena_deinit(&a);
}

static void a_size_beyond_the_machine_is_an_error(void **state)
{
	struct wr_arena a;

	(void)state;
	wr_arena_init(&a, &mem);
	assert_null(wr_arena_alloc(&a, SIZE_MAX - 3));
	assert_int_equal(wr_error_code(), WR_EFATAL);
	assert_null(wr_arena_alloc(&a, SIZE_MAX / 2 + 1));
	wr_arena_deinit(&a);
}

static void an_array_in_an_arena_grows_by_doubling_and_keeps_its_items(void **state)
{
	struct wr_arena a;
	uint32_t *items = NULL, cap = 0;

	(void)state;
	wr_arena_init(&a, &mem);
	for (uint32_t i = 0; i < 10000; i++) {
		if (i == cap) {
			assert_int_equal(WR_ARENA_GROW(&a, items, cap, 3), WR_OK);
			assert_int_equal(cap, i ? 2 * i : 3);
		}
		items[i] = i * 7;
		wr_arena_strndup(&a, "between", 7);
	}
	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(items[i], i * 7);
	assert_int_equal(WR_ARENA_GROW(&a, items, cap, 100000), WR_OK);
	assert_int_equal(cap, 100000);
	assert_int_equal(items[9999], 9999 * 7);
	wr_arena_deinit(&a);
	assert_int_equal(mem.bytes, 0);
}

static void an_array_in_an_arena_that_cannot_grow_stays_as_it_is(void **state)
{
	struct wr_arena a;
	uint64_t *items = NULL, *before;
	uint32_t cap = 0;

	(void)state;
	wr_arena_init(&a, &mem);
	assert_int_equal(WR_ARENA_GROW(&a, items, cap, 1), WR_OK);
	*items = 42;
	before = items;
	wr_mem_fail_at(1);
	assert_int_equal(WR_ARENA_GROW(&a, items, cap, 100000), WR_EFATAL);
	assert_ptr_equal(items, before);
	assert_int_equal(cap, 1);
	assert_int_equal(*items, 42);
	cap = 1u << 31; /* twice as many cannot be counted any more */
	assert_int_equal(WR_ARENA_GROW(&a, items, cap, 1), WR_EFATAL);
	assert_ptr_equal(items, before);
	assert_int_equal(cap, 1u << 31);
	wr_arena_deinit(&a);
	assert_int_equal(mem.bytes, 0);
}

static void a_refusal_leaves_the_arena_usable(void **state)
{
	(void)state;
	for (struct failing f = failing_begin(); failing_next(&f);) {
		struct wr_arena a;
		bool all = true;

		wr_arena_init(&a, &mem);
		for (int i = 0; i < 40; i++)
			all &= wr_arena_strndup(&a, "x", 1) && wr_arena_alloc(&a, 900);
		wr_arena_deinit(&a);
		failing_check(&f, all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_allocations_keep_their_bytes),
	    cmocka_unit_test(empty_allocations_have_addresses_of_their_own),
	    cmocka_unit_test(reset_keeps_one_block_so_that_small_rounds_allocate_nothing),
	    cmocka_unit_test(a_copy_ends_with_zero),
	    cmocka_unit_test(a_size_beyond_the_machine_is_an_error),
	    cmocka_unit_test(an_array_in_an_arena_grows_by_doubling_and_keeps_its_items),
	    cmocka_unit_test(an_array_in_an_arena_that_cannot_grow_stays_as_it_is),
	    cmocka_unit_test(a_refusal_leaves_the_arena_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
