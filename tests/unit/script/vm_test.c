/* SPDX-License-Identifier: Apache-2.0 */
/* vm: Lua states whose memory is refused at any point of their making. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
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
	assert_true(refused > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_refusal_at_any_point_of_its_making_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
