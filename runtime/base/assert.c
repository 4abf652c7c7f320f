/* SPDX-License-Identifier: Apache-2.0 */
/* assert: the last words of a broken invariant. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/error.h"

_Noreturn void wr_assert_fail(const char *expr, const char *file, int line, const char *func)
{
	fprintf(stderr,
		"weir: broken invariant: %s (%s:%d, %s)%s%s\nThis is a bug of Weir, not of the job.\n", expr,
		file, line, func, wr_error_text()[0] ? "\nlast error: " : "", wr_error_text());
	abort();
}
