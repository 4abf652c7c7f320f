/* SPDX-License-Identifier: Apache-2.0 */
/* vm: Lua states whose memory is refused at any point of their making. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <lauxlib.h>
#include "base/error.h"
#include "base/fault.h"
#include "base/mem.h"
#include "script/vm.h"

static void a_refusal_at_any_point_of_its_making_is_an_error(void **state)
{
	int n = 0, refused = 0;

	(void)state;
	do {
		struct wr_vm *vm;

		wr_error_clear();
		wr_mem_fail_at(++n);
		vm = wr_vm_new(NULL, false, 0);
		if (!vm) {
			assert_non_null(strstr(wr_error_text(), "memory"));
			refused++;
		}
		wr_vm_free(vm); /* a trace that got no room is only not compiled */
	} while (!atomic_load(&wr_fault_armed));
	wr_mem_fail_at(0);
	assert_true(refused > 30);
}

/* The tables grow in compiled code, where LuaJIT does not survive a refusal. */
static const char hot[] = "local sum = 0\n"
			  "for i = 1, 400 do\n"
			  "  local t = {}\n"
			  "  for k = 1, 20 do t[k] = i; t[k * 0.5] = k; t.x = 'a' .. i end\n"
			  "  sum = sum + t[20]\n"
			  "end\n"
			  "return sum";

static void a_refusal_while_compiled_code_runs_ends_the_call_and_not_the_process(void **state)
{
	int n = 0, refused = 0, fewer = 0; /* refused where a page less of several would do */

	(void)state;
	for (bool complete = false; !complete; n++) {
		struct wr_vm *vm = wr_vm_new(NULL, false, 1 << 30);
		int rc;

		assert_non_null(vm);
		assert_int_equal(luaL_loadstring(vm->L, hot), 0);
		wr_error_clear();
		wr_mem_fail_at(n + 1);
		rc = wr_vm_call(vm, 0, 1, 0);
		complete = atomic_load(&wr_fault_armed);
		assert_true(rc == WR_OK || !complete);
		fewer += rc == WR_OK && !complete;
		if (rc != WR_OK)
			assert_non_null(strstr(wr_error_text(), "memory"));
		refused += rc != WR_OK;
		wr_mem_fail_at(0);
		wr_vm_free(vm);
	}
	assert_true(refused > 60);
	assert_true(fewer < refused / 20);
}

/* What it is bound to is a minute away. */
static void a_call_that_nobody_waits_for_any_more_ends(void **state)
{
	_Atomic bool given_up = false;
	struct wr_vm *vm = wr_vm_new(NULL, false, 0);

	(void)state;
	assert_non_null(vm);
	wr_vm_bound_time(vm, 60000, &given_up);
	assert_int_equal(luaL_loadstring(vm->L, "for i = 1, 1e6 do end"), 0);
	assert_int_equal(wr_vm_call(vm, 0, 0, 0), WR_OK);
	atomic_store(&given_up, true);
	assert_int_equal(luaL_loadstring(vm->L, "jit.off(true, true) while true do end"), 0);
	assert_int_equal(wr_vm_call(vm, 0, 0, 0), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "nobody waits for it any more"));
	wr_vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_refusal_at_any_point_of_its_making_is_an_error),
	    cmocka_unit_test(a_refusal_while_compiled_code_runs_ends_the_call_and_not_the_process),
	    cmocka_unit_test(a_call_that_nobody_waits_for_any_more_ends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
