/* SPDX-License-Identifier: Apache-2.0 */
/* pages: they are whole, nobody else's, and go back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/error.h"
#include "heap/pages.h"
#include "base/rand.h"

enum { MANY = 1000 };

static struct wr_mem mem = WR_MEM_INIT("test.pages");

static struct wr_page *take(void)
{
	struct wr_page *page = NULL;
	uint32_t n = wr_pages_take(&mem, &page, 1);

	assert_true(n == (page != NULL));
	return page;
}

static void give(struct wr_page *page)
{
	wr_pages_give(&mem, &page, 1);
}

static struct wr_page *filled(uint8_t with)
{
	struct wr_page *p = take();

	assert_non_null(p);
	assert_int_equal((uintptr_t)p % WR_PAGE, 0);
	memset(p + 1, with, WR_PAGE - sizeof *p);
	return p;
}

static bool holds(const struct wr_page *p, uint8_t with)
{
	const uint8_t *at = (const uint8_t *)(p + 1);

	for (uint32_t i = 0; i < WR_PAGE - sizeof *p; i++)
		if (at[i] != with)
			return false;
	return true;
}

static void pages_are_aligned_and_do_not_overlap(void **state)
{
	struct wr_page *pages[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		pages[i] = filled((uint8_t)i);
	assert_int_equal(mem.bytes, (int64_t)MANY * WR_PAGE);
	for (int i = 0; i < MANY; i++)
		assert_true(holds(pages[i], (uint8_t)i));
	for (int i = 0; i < MANY; i++)
		give(pages[i]);
	assert_int_equal(mem.bytes, 0);
}

static void many_are_taken_and_given_at_once(void **state)
{
	struct wr_page *pages[MANY];
	uint32_t left = MANY;

	(void)state;
	assert_int_equal(wr_pages_take(&mem, pages, MANY), MANY);
	assert_int_equal(mem.bytes, (int64_t)MANY * WR_PAGE);
	for (int i = 0; i < MANY; i++)
		memset(pages[i] + 1, i & 255, WR_PAGE - sizeof *pages[i]);
	for (int i = 0; i < MANY; i++)
		assert_true(holds(pages[i], (uint8_t)i));
	while (left) {
		uint32_t n = left < 100 ? left : 100;

		left -= n;
		wr_pages_give(&mem, pages + left, n);
	}
	assert_int_equal(mem.bytes, 0);
}

static void pages_taken_and_given_at_random_stay_whole(void **state)
{
	struct wr_page *pages[MANY] = {NULL};
	struct wr_rand rand = {7};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint32_t at = wr_rand_below(&rand, MANY);

		if (!pages[at]) {
			pages[at] = filled((uint8_t)at);
			continue;
		}
		assert_true(holds(pages[at], (uint8_t)at));
		give(pages[at]);
		pages[at] = NULL;
	}
	for (int i = 0; i < MANY; i++)
		if (pages[i])
			give(pages[i]);
	assert_int_equal(mem.bytes, 0);
}

static void a_page_that_was_given_back_is_the_next_one(void **state)
{
	struct wr_page *kept = take(), *p = take(), *q;

	(void)state;
	give(p);
	q = take();
	assert_ptr_equal(p, q);
	give(q);
	give(kept);
}

static void a_refused_page_is_an_error(void **state)
{
	(void)state;
	wr_error_clear();
	wr_mem_fail_at(1);
	assert_null(take());
	assert_int_equal(wr_error_code(), WR_EFATAL);
	assert_int_equal(mem.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pages_are_aligned_and_do_not_overlap),
	    cmocka_unit_test(many_are_taken_and_given_at_once),
	    cmocka_unit_test(pages_taken_and_given_at_random_stay_whole),
	    cmocka_unit_test(a_page_that_was_given_back_is_the_next_one),
	    cmocka_unit_test(a_refused_page_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
