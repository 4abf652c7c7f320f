/* SPDX-License-Identifier: Apache-2.0 */
/* mem: accounts, refusals and what they leave behind. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/rand.h"

static int64_t bytes_of(struct wr_mem *m)
{
	return atomic_load(&m->bytes);
}

static void an_allocation_is_counted_until_it_is_freed(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.count");
	char *a = wr_alloc(&m, 100), *b = wr_zalloc(&m, 200);

	(void)state;
	assert_true(bytes_of(&m) >= 300);
	assert_int_equal(m.blocks, 2);
	for (int i = 0; i < 200; i++)
		assert_int_equal(b[i], 0);
	wr_free(&m, a);
	wr_free(&m, b);
	wr_free(&m, NULL);
	assert_int_equal(bytes_of(&m), 0);
	assert_int_equal(m.blocks, 0);
	assert_true(m.bytes_max >= 300);
}

static void growing_keeps_the_content_and_moves_the_count(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.grow");
	char *p = wr_realloc(&m, NULL, 3);

	(void)state;
	memcpy(p, "ab", 3);
	p = wr_realloc(&m, p, 100000);
	assert_string_equal(p, "ab");
	assert_true(bytes_of(&m) >= 100000);
	p = wr_realloc(&m, p, 3);
	assert_string_equal(p, "ab");
	assert_true(bytes_of(&m) < 100000);
	assert_int_equal(m.blocks, 1);
	wr_free(&m, p);
	assert_int_equal(bytes_of(&m), 0);
}

static void a_part_of_an_account_tells_its_parent_now_and_then(void **state)
{
	static struct wr_mem parent = WR_MEM_INIT("test.parent");
	struct wr_mem parts[2];
	void *p[2][100], *large;

	(void)state;
	for (int i = 0; i < 2; i++) {
		wr_mem_part(&parts[i], &parent);
		for (int k = 0; k < 100; k++)
			p[i][k] = wr_alloc(&parts[i], 100);
		assert_int_equal(parts[i].blocks, 100);
		assert_true(bytes_of(&parts[i]) >= 10000);
	}
	assert_int_equal(bytes_of(&parent), 0);
	large = wr_alloc(&parts[0], 100000);
	assert_in_range(bytes_of(&parent), 110000, 130000);
	assert_true(parent.bytes_max >= 110000);
	wr_free(&parts[0], large);
	assert_in_range(bytes_of(&parent), 0, 20000);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 100; k++)
			wr_free(&parts[i], p[i][k]);
	for (int i = 0; i < 2; i++) {
		wr_mem_part_end(&parts[i]);
		assert_int_equal(bytes_of(&parts[i]), 0);
	}
	assert_int_equal(bytes_of(&parent), 0);
	assert_int_equal(parent.blocks, 0);
}

static void a_library_behind_the_hook_is_counted_and_never_refused(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.hook");
	char *p;

	(void)state;
	wr_mem_fail_at(1);
	p = wr_mem_hook(&m, NULL, 100);
	memcpy(p, "ab", 3);
	p = wr_mem_hook(&m, p, 10000);
	wr_mem_fail_at(0);
	assert_string_equal(p, "ab");
	assert_true(bytes_of(&m) >= 10000);
	assert_null(wr_mem_hook(&m, p, 0));
	assert_int_equal(bytes_of(&m), 0);
	assert_null(wr_mem_hook(&m, NULL, 0));
}

static void nothing_is_a_block_of_its_own(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.nothing");
	void *p = wr_alloc(&m, 0), *q = wr_zalloc(&m, 0);

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	p = wr_realloc(&m, p, 0);
	assert_non_null(p);
	wr_free(&m, p);
	wr_free(&m, q);
	assert_int_equal(m.blocks, 0);
}

static void aligned_memory_is_aligned(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.aligned");

	(void)state;
	for (size_t align = 8; align <= 4096; align *= 2) {
		void *p = wr_alloc_aligned(&m, align, 10);

		assert_int_equal((uintptr_t)p % align, 0);
		wr_free(&m, p);
	}
	assert_int_equal(bytes_of(&m), 0);
}

static void copies_end_with_zero(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.copies");
	char *a = wr_strdup(&m, "hello"), *b = wr_strndup(&m, "hello", 2);

	(void)state;
	assert_string_equal(a, "hello");
	assert_string_equal(b, "he");
	wr_free(&m, a);
	wr_free(&m, b);
}

static void the_nth_allocation_fails_once_and_says_for_whom(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.refused");
	void *a, *b;

	(void)state;
	wr_mem_fail_at(2);
	a = wr_alloc(&m, 10);
	assert_non_null(a);
	assert_null(wr_alloc(&m, 77));
	assert_string_equal(wr_error_text(), "out of memory (77 bytes for test.refused)");
	assert_int_equal(wr_error_code(), WR_EFATAL);
	b = wr_alloc(&m, 10);
	assert_non_null(b);
	assert_int_equal(m.blocks, 2);
	wr_free(&m, a);
	wr_free(&m, b);
}

static void every_door_can_refuse(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.doors");

	(void)state;
	for (int door = 0; door < 6; door++) {
		void *p = NULL;

		wr_mem_fail_at(1);
		switch (door) {
		case 0:
			p = wr_alloc(&m, 1);
			break;
		case 1:
			p = wr_zalloc(&m, 1);
			break;
		case 2:
			p = wr_alloc_aligned(&m, 64, 1);
			break;
		case 3:
			p = wr_realloc(&m, NULL, 1);
			break;
		case 4:
			p = wr_strdup(&m, "x");
			break;
		case 5:
			p = wr_strndup(&m, "x", 1);
			break;
		}
		assert_null(p);
	}
	assert_int_equal(m.blocks, 0);
}

static void a_refused_growth_leaves_the_old_block(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.old");
	char *p = wr_strdup(&m, "kept");
	int64_t before = bytes_of(&m);

	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_realloc(&m, p, 1000));
	assert_string_equal(p, "kept");
	assert_int_equal(bytes_of(&m), before);
	wr_free(&m, p);
}

static void an_array_grows_by_doubling_and_keeps_its_items(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.array");
	uint32_t *items = NULL, cap = 0, moves = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		if (i == cap) {
			assert_int_equal(WR_GROW(&m, items, cap, 3), WR_OK);
			assert_int_equal(cap, i ? 2 * i : 3);
			moves++;
		}
		items[i] = i * 7;
	}
	assert_int_equal(moves, 17);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(items[i], i * 7);
	assert_in_range(bytes_of(&m), cap * sizeof *items, cap * sizeof *items + 4096);
	wr_free(&m, items);
	assert_int_equal(m.blocks, 0);
}

static void an_array_has_room_for_as_many_as_are_needed_at_once(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.needed");
	uint64_t *items = NULL;
	uint32_t cap = 0;

	(void)state;
	assert_int_equal(WR_GROW(&m, items, cap, 10), WR_OK);
	assert_int_equal(cap, 10);
	assert_int_equal(WR_GROW(&m, items, cap, 1000), WR_OK);
	assert_int_equal(cap, 1000);
	assert_int_equal(WR_GROW(&m, items, cap, 1001), WR_OK);
	assert_int_equal(cap, 2000);
	assert_true(bytes_of(&m) >= 2000 * (int64_t)sizeof *items);
	wr_free(&m, items);
}

static void an_array_that_cannot_grow_stays_as_it_is(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.stays");
	uint64_t *items = NULL, *before;
	uint32_t cap = 0;

	(void)state;
	assert_int_equal(WR_GROW(&m, items, cap, 1), WR_OK);
	*items = 42;
	before = items;
	wr_mem_fail_at(1);
	assert_int_equal(WR_GROW(&m, items, cap, 1), WR_EFATAL);
	assert_string_equal(wr_error_text(), "out of memory (16 bytes for test.stays)");
	assert_ptr_equal(items, before);
	assert_int_equal(cap, 1);
	assert_int_equal(*items, 42);

	wr_error_clear();
	cap = 1u << 31; /* twice as many cannot be counted any more */
	assert_int_equal(WR_GROW(&m, items, cap, 1), WR_EFATAL);
	assert_int_equal(wr_error_code(), WR_EFATAL);
	assert_ptr_equal(items, before);
	assert_int_equal(cap, 1u << 31);
	wr_free(&m, items);
	assert_int_equal(m.blocks, 0);
}

static void find_account(const struct wr_mem *m, void *arg)
{
	struct {
		const struct wr_mem *wanted;
		int times;
	} *find = arg;

	find->times += m == find->wanted;
}

static void an_account_is_listed_once_from_its_first_allocation(void **state)
{
	static struct wr_mem m = WR_MEM_INIT("test.listed");
	struct {
		const struct wr_mem *wanted;
		int times;
	} find = {&m, 0};

	(void)state;
	wr_mem_each(find_account, &find);
	assert_int_equal(find.times, 0);
	wr_free(&m, wr_alloc(&m, 1));
	wr_free(&m, wr_alloc(&m, 1));
	wr_mem_each(find_account, &find);
	assert_int_equal(find.times, 1);
}

static struct wr_mem crowd = WR_MEM_INIT("test.crowd");

static void *allocate_much(void *arg)
{
	struct wr_rand r = {(uintptr_t)arg};
	void *held[16] = {NULL};

	for (int i = 0; i < 5000; i++) {
		uint32_t at = wr_rand_below(&r, 16);

		held[at] = wr_realloc(&crowd, held[at], 1 + wr_rand_below(&r, 300));
	}
	for (int i = 0; i < 16; i++)
		wr_free(&crowd, held[i]);
	return NULL;
}

static void threads_count_together(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, allocate_much, (void *)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(bytes_of(&crowd), 0);
	assert_int_equal(crowd.blocks, 0);
	assert_true(crowd.bytes_max > 0);
}

static void the_process_knows_its_size(void **state)
{
	(void)state;
	assert_true(wr_mem_resident() > 1 << 16);
	assert_true(wr_mem_resident_max() > 1 << 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_allocation_is_counted_until_it_is_freed),
	    cmocka_unit_test(growing_keeps_the_content_and_moves_the_count),
	    cmocka_unit_test(a_part_of_an_account_tells_its_parent_now_and_then),
	    cmocka_unit_test(a_library_behind_the_hook_is_counted_and_never_refused),
	    cmocka_unit_test(nothing_is_a_block_of_its_own),
	    cmocka_unit_test(aligned_memory_is_aligned),
	    cmocka_unit_test(copies_end_with_zero),
	    cmocka_unit_test(the_nth_allocation_fails_once_and_says_for_whom),
	    cmocka_unit_test(every_door_can_refuse),
	    cmocka_unit_test(a_refused_growth_leaves_the_old_block),
	    cmocka_unit_test(an_array_grows_by_doubling_and_keeps_its_items),
	    cmocka_unit_test(an_array_has_room_for_as_many_as_are_needed_at_once),
	    cmocka_unit_test(an_array_that_cannot_grow_stays_as_it_is),
	    cmocka_unit_test(an_account_is_listed_once_from_its_first_allocation),
	    cmocka_unit_test(threads_count_together),
	    cmocka_unit_test(the_process_knows_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
