/* SPDX-License-Identifier: Apache-2.0 */
/* assert: a broken invariant of our own stops the program with its address; on in
 * production. WR_CHECK runs an expensive self-check in debug builds only. */
#pragma once

#define WR_LIKELY(x) __builtin_expect(!!(x), 1)
#define WR_UNLIKELY(x) __builtin_expect(!!(x), 0)

_Noreturn void wr_assert_fail(const char *expr, const char *file, int line, const char *func);

#define WR_ASSERT(x)                                                                                         \
	do {                                                                                                 \
		if (WR_UNLIKELY(!(x)))                                                                       \
			wr_assert_fail(#x, __FILE__, __LINE__, __func__);                                    \
	} while (0)

#ifdef WR_DEBUG
#define WR_CHECK(x) WR_ASSERT(x)
#else
#define WR_CHECK(x) ((void)(0 && (x))) /* compiled, never run */
#endif
