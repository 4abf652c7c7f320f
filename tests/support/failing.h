/* SPDX-License-Identifier: Apache-2.0 */
/* failing: runs a piece of work once for each allocation it makes, with that one refused, and
 * holds the memory accounts against what they were before: nothing may be left over.
 *
 *	for (struct failing f = failing_begin(); failing_next(&f);) {
 *		int rc = work();
 *		failing_check(&f, rc == WR_OK);
 *	}
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/fault.h"
#include "base/mem.h"

struct failing {
	int64_t n;    /* the n-th allocation fails in this round */
	int64_t held; /* bytes of all accounts before the round */
	bool complete;
};

static void failing_add(const struct wr_mem *mem, void *sum)
{
	*(int64_t *)sum += atomic_load(&mem->bytes);
}

static inline int64_t failing_held(void)
{
	int64_t sum = 0;

	wr_mem_each(failing_add, &sum);
	return sum;
}

static inline struct failing failing_begin(void)
{
	return (struct failing){0, 0, false};
}

static inline bool failing_next(struct failing *f)
{
	if (f->complete)
		return false;
	f->held = failing_held();
	wr_error_clear();
	wr_mem_fail_at(++f->n);
	return true;
}

/* Behind the work and its cleaning up: it succeeded if, and only if, no allocation was refused. */
static inline void failing_check(struct failing *f, bool succeeded)
{
	f->complete = atomic_load(&wr_fault_armed) != 0;
	wr_mem_fail_at(0);
	assert_int_equal(succeeded, f->complete);
	if (!succeeded)
		assert_int_equal(wr_error_code(), WR_EFATAL);
	assert_int_equal(failing_held(), f->held);
}
