/* SPDX-License-Identifier: Apache-2.0 */
/* index: everything that was added is found, at every step of its growth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "state/index.h"

static struct wr_mem mem = WR_MEM_INIT("test");

static bool found(const struct index *x, uint32_t tag, uint32_t id)
{
	struct index_table t = wr_index_table(x, tag);

	for (uint64_t at = tag & t.mask; t.slots[at]; at = (at + 1) & t.mask)
		if (t.slots[at] == ((uint64_t)tag << 32 | id))
			return true;
	return false;
}

/* Tags in clusters, many of them equal, and some that meet at the table's end. */
static uint32_t draw(struct wr_rand *r)
{
	uint32_t tag = (uint32_t)wr_rand_next(r);

	switch (wr_rand_below(r, 4)) {
	case 0:
		return tag | 0xfffff0;
	case 1:
		return tag & ~0xfffu;
	default:
		return tag;
	}
}

static void entries_are_found_while_the_table_moves(void **state)
{
	enum { IDS = 60000 };
	uint32_t *tags = calloc(IDS + 1, sizeof *tags);
	bool *in = calloc(IDS + 1, 1);
	struct wr_rand r = {7};
	struct index x;
	uint32_t count = 0, moving = 0;

	(void)state;
	assert_int_equal(wr_index_init(&x, &mem), WR_OK);
	for (uint32_t id = 1; id <= IDS; id++) {
		uint32_t other = 1 + wr_rand_below(&r, id);

		tags[id] = draw(&r);
		assert_int_equal(wr_index_add(&x, tags[id], id), WR_OK);
		in[id] = true;
		count++;
		moving += x.old.slots != NULL;
		for (int k = 0; k < 4; k++, other = 1 + wr_rand_below(&r, id))
			assert_int_equal(found(&x, tags[other], other), in[other]);
		if (wr_rand_below(&r, 4) == 0 && in[other]) {
			wr_index_remove(&x, tags[other], other);
			in[other] = false;
			count--;
		}
		assert_int_equal(x.live, count);
	}
	for (uint32_t id = 1; id <= IDS; id++)
		assert_int_equal(found(&x, tags[id], id), in[id]);
	assert_true(moving > IDS / 100);
	wr_index_deinit(&x);
	assert_int_equal(atomic_load(&mem.blocks), 0);
	free(tags);
	free(in);
}

static void an_add_moves_a_bounded_part_of_the_table(void **state)
{
	struct wr_rand r = {3};
	struct index x;
	uint64_t most = 0;

	(void)state;
	assert_int_equal(wr_index_init(&x, &mem), WR_OK);
	for (uint32_t id = 1; id <= 1 << 20; id++) {
		uint64_t before = x.old.slots ? x.old_moved : 0;

		assert_int_equal(wr_index_add(&x, (uint32_t)wr_rand_next(&r), id), WR_OK);
		if (x.old.slots && id > 10000 && x.old_moved - before > most && x.old_moved > before)
			most = x.old_moved - before;
	}
	assert_true(most >= 32 && most < 400);
	wr_index_deinit(&x);
}

static void without_memory_an_add_is_refused_and_nothing_is_lost(void **state)
{
	struct index x;
	uint32_t id = 1;

	(void)state;
	wr_mem_fail_at(1);
	assert_int_equal(wr_index_init(&x, &mem), WR_EFATAL);
	wr_index_deinit(&x);
	assert_int_equal(wr_index_init(&x, &mem), WR_OK);
	wr_mem_fail_at(1);
	while (wr_index_add(&x, id * 77, id) == WR_OK)
		id++;
	assert_int_equal(wr_error_code(), WR_EFATAL);
	for (uint32_t k = 1; k < id; k++)
		assert_true(found(&x, k * 77, k));
	assert_int_equal(wr_index_add(&x, id * 77, id), WR_OK);
	wr_index_deinit(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entries_are_found_while_the_table_moves),
	    cmocka_unit_test(an_add_moves_a_bounded_part_of_the_table),
	    cmocka_unit_test(without_memory_an_add_is_refused_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
