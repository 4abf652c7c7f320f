/* SPDX-License-Identifier: Apache-2.0 */
/* assert: a broken invariant ends the process with its address. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include "base/assert.h"
#include "base/error.h"
#include "support/capture.h"

static struct capture said;

static void a_kept_invariant_costs_nothing(void **state)
{
	int evaluated = 0;

	(void)state;
	WR_ASSERT(++evaluated == 1);
	assert_int_equal(evaluated, 1);
}

static void a_broken_invariant_aborts_and_names_place_and_last_error(void **state)
{
	pid_t child;
	int status;

	(void)state;
	capture_begin(&said);
	child = fork();
	if (child == 0) {
		wr_error_set(WR_EUSER, "what went before");
		WR_ASSERT(1 + 1 == 3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	capture_end(&said);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(said.text, "1 + 1 == 3"));
	assert_non_null(strstr(said.text, "assert_test.c:"));
	assert_non_null(strstr(said.text, "last error: what went before"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_kept_invariant_costs_nothing),
	    cmocka_unit_test(a_broken_invariant_aborts_and_names_place_and_last_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
